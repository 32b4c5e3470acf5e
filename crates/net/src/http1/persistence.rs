//! Whether a connection outlives a message (RFC 9112 section 9.3).

use http::{Version, header};

use super::head::Noted;
use super::lookup::Lookup;

/// Whether the sender of this head means to keep the connection: HTTP/1.1 without `close`, or HTTP/1.0 with `keep-alive`.
pub fn keeps_alive(version: Version, headers: &impl Lookup) -> bool {
    !has_option(headers, "close") && (version != Version::HTTP_10 || has_option(headers, "keep-alive"))
}

/// As [`keeps_alive`], of a head that was parsed here.
pub(crate) fn of_head(version: Version, headers: &impl Lookup, noted: Noted) -> bool {
    if noted.connection {
        keeps_alive(version, headers)
    } else {
        version != Version::HTTP_10
    }
}

/// Whether `Connection` lists `option`, ignoring case (RFC 9110 section 7.6.1).
pub fn has_option(headers: &impl Lookup, option: &str) -> bool {
    options(headers).any(|listed| listed.eq_ignore_ascii_case(option.as_bytes()))
}

/// All options that `Connection` lists, in order, as received.
pub fn options(headers: &impl Lookup) -> impl Iterator<Item = &[u8]> {
    headers
        .values(&header::CONNECTION)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|option| !option.is_empty())
}
