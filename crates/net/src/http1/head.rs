//! Reading the head of a message: its first line and its fields (RFC 9112 sections 2 to 5).

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Uri, Version};

use super::framing::{self, FramingFault};
use super::scan::{LeadingEmptyLine, Scan};
use super::{request, response};
use crate::fields::{Fields, Kind};

/// The field that says how long a connection may rest (RFC 2068 section 19.7.1.1).
pub(crate) const KEEP_ALIVE: &str = "keep-alive";
/// The most fields in one head, whatever the caller's limits are.
pub const FIELDS_MAX: usize = 100;

/// How large a head may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The first line in bytes, without its line break.
    pub line_bytes_max: usize,
    /// All fields together in bytes, with their line breaks and the empty line at the end.
    pub fields_bytes_max: usize,
}

/// Reads one head after another from the front of a buffer.
///
/// It remembers how far it has looked, so that a head that arrives byte by byte is looked at once and not once per byte.
/// After a fault it must not be used again: where the next message would begin is unknown.
#[derive(Debug)]
pub struct HeadReader {
    limits: HeadLimits,
    scan: Scan,
}

/// A request's head. The field values share one allocation, a copy of the head, so that the read buffer stays free.
#[derive(Debug)]
pub struct RequestHead {
    /// The method, in whatever spelling the client gave it: methods are case-sensitive (RFC 9110 section 9.1).
    pub method: Method,
    /// In origin form, or in absolute form with an authority that equals `Host`, or `*` with OPTIONS.
    pub uri: Uri,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// All fields as received.
    pub headers: HeaderMap,
    pub(crate) noted: Noted,
}

/// A response's head.
#[derive(Debug)]
pub struct ResponseHead {
    /// 100 to 999.
    pub status: StatusCode,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// All fields as received, but for white space around values.
    pub fields: Fields,
    pub(crate) noted: Noted,
}

/// Which fields a head holds that framing and the connection's life depend on. They are seen while the head is parsed anyway,
/// and most heads hold few of them: nobody needs to look for the others in the map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) connection: bool,
    pub(crate) content_length: Noticed,
    pub(crate) keep_alive: bool,
    pub(crate) transfer_encoding: bool,
}

/// The `Content-Length` of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Noticed {
    #[default]
    None,
    One(Result<u64, FramingFault>),
    Repeated,
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// A line that ends with LF alone: RFC 9112 section 2.2 lets a reader take it, and readers that do differ.
    #[error("a line of the head does not end with CR LF")]
    BareLineFeed,
    /// A field continued on a line that begins with white space (obs-fold, RFC 9112 section 5.2).
    #[error("a header field is folded over two lines")]
    FieldFolded,
    /// White space before the colon, a name that is no token, or a control character in a value (RFC 9112 section 5.1).
    #[error("a header field is malformed")]
    FieldMalformed,
    /// More bytes of fields than [`HeadLimits::fields_bytes_max`].
    #[error("the header fields are too large")]
    FieldsTooLarge,
    /// More fields than [`FIELDS_MAX`].
    #[error("there are too many header fields")]
    FieldsTooMany,
    /// A target in absolute form names another authority than `Host` (RFC 9112 section 3.2.2).
    #[error("the request target and Host name different hosts")]
    HostDisagrees,
    /// `Host` is not a host with an optional port (RFC 9112 section 3.2).
    #[error("Host is malformed")]
    HostMalformed,
    /// An HTTP/1.1 request without `Host` (RFC 9112 section 3.2).
    #[error("Host is missing")]
    HostMissing,
    /// `Host` more than once (RFC 9112 section 3.2).
    #[error("Host is given more than once")]
    HostRepeated,
    /// The first line is not a request line or status line (RFC 9112 sections 3 and 4).
    #[error("the first line is malformed")]
    LineMalformed,
    /// A longer first line than [`HeadLimits::line_bytes_max`].
    #[error("the first line is too long")]
    LineTooLong,
    /// The target is in none of the forms that a gateway serves, or holds bytes that must be escaped (RFC 9112 section 3.2).
    #[error("the request target is malformed")]
    TargetMalformed,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("the HTTP version is not supported")]
    VersionUnsupported,
}

// === impl HeadReader ===

impl HeadReader {
    /// A reader with nothing read yet.
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            scan: Scan::default(),
        }
    }

    /// Takes a request's head off the front of `input`; `None` when it is not complete yet.
    ///
    /// One empty line in front of it is skipped (RFC 9112 section 2.2).
    pub fn request(&mut self, input: &mut BytesMut) -> Result<Option<RequestHead>, HeadFault> {
        match self.scan.head_end(input, self.limits, LeadingEmptyLine::Skipped)? {
            Some((start, end)) => request::parse(&self.take(input, start, end)).map(Some),
            None => Ok(None),
        }
    }

    /// Takes a response's head off the front of `input`; `None` when it is not complete yet.
    pub fn response(&mut self, input: &mut BytesMut) -> Result<Option<ResponseHead>, HeadFault> {
        match self.scan.head_end(input, self.limits, LeadingEmptyLine::Refused)? {
            Some((start, end)) => {
                self.scan = Scan::default();
                let head = response::parse(&input[start..end]);
                input.advance(end);
                head.map(Some)
            }
            None => Ok(None),
        }
    }

    /// A copy, not a split: the buffer stays with its connection, and what a request keeps alive is its head alone.
    fn take(&mut self, input: &mut BytesMut, start: usize, end: usize) -> Bytes {
        self.scan = Scan::default();
        let head = Bytes::copy_from_slice(&input[start..end]);
        input.advance(end);
        head
    }
}

// === impl Noted ===

impl Noted {
    pub(super) fn note(&mut self, kind: Kind, value: &[u8]) {
        match kind {
            Kind::Connection => self.connection = true,
            Kind::ContentLength => {
                self.content_length = match self.content_length {
                    Noticed::None => Noticed::One(framing::decimal(value)),
                    Noticed::One(_) | Noticed::Repeated => Noticed::Repeated,
                }
            }
            Kind::KeepAlive => self.keep_alive = true,
            Kind::TransferEncoding => self.transfer_encoding = true,
            Kind::Date | Kind::Other => {}
        }
    }
}
