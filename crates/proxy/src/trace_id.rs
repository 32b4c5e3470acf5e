//! `X-Amzn-Trace-Id`: the caller's root goes on, what is missing is filled in.

use std::ops::Range;

use http::{HeaderName, HeaderValue};
use portcullis_core::{RequestId, Timestamp};
use portcullis_telemetry::trace::TraceContext;

/// The field's name.
pub(crate) static HEADER: HeaderName = HeaderName::from_static("x-amzn-trace-id");
/// Bytes of a caller's field that are looked at.
const BYTES_MAX: usize = 256;
/// What is filled in.
const FORM: &[u8; 74] = b"Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0";
const ROOT: Range<usize> = 5..40;
const ROOT_TIME: Range<usize> = 7..15;
const ROOT_RANDOM: Range<usize> = 16..40;
const PARENT: Range<usize> = 48..64;
const SAMPLED: Range<usize> = 73..74;

/// The field's value for the origin: `Root=1-{time}-{96 bits};Parent={64 bits};Sampled=0`, always as long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceId([u8; FORM.len()]);

// === impl TraceId ===

impl TraceId {
    /// A caller's root and, beside it, its parent and sampling decision are kept when they are well-formed; the rest is
    /// made of the request's own id. The time is the low 32 bits of the seconds since 1970.
    pub(crate) fn continued(given: Option<&HeaderValue>, id: RequestId, now: Timestamp) -> Self {
        let given = given
            .and_then(|value| value.to_str().ok())
            .filter(|text| text.len() <= BYTES_MAX);
        let part = |name: &str| {
            let mut parts = given?.split(';').filter_map(|part| part.trim().split_once('='));
            parts.find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        let digits = id_digits(id);
        let mut text = Self(*FORM);
        text.put(PARENT, &digits[16..]);
        match part("Root").filter(|root| is_root(root)) {
            Some(root) => {
                text.put(ROOT, root.as_bytes());
                if let Some(parent) = part("Parent").filter(|parent| parent.len() == 16 && is_hex(parent)) {
                    text.put(PARENT, parent.as_bytes());
                    if let Some(sampled) = part("Sampled").filter(|sampled| matches!(*sampled, "0" | "1")) {
                        text.put(SAMPLED, sampled.as_bytes());
                    }
                }
            }
            None => {
                text.put(ROOT_TIME, &time(now));
                text.put(ROOT_RANDOM, &digits[..24]);
            }
        }
        text
    }

    /// All of ASCII.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The field of a request that is traced, whose ids are the trace's own.
    pub(crate) fn of(context: TraceContext) -> Self {
        let mut text = Self(*FORM);
        if let Some(written) = context.to_xray().filter(|written| written.len() == FORM.len()) {
            text.put(0..FORM.len(), written.as_bytes());
        }
        text
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// `text` is as long as its place.
    fn put(&mut self, place: Range<usize>, text: &[u8]) {
        self.0[place].copy_from_slice(text);
    }
}

/// The 32 digits of a request's id: those of a UUID without its hyphens.
pub(crate) fn id_digits(id: RequestId) -> [u8; 32] {
    let mut digits = [b'0'; 32];
    let text = id.as_bytes();
    digits[..8].copy_from_slice(&text[..8]);
    digits[8..12].copy_from_slice(&text[9..13]);
    digits[12..16].copy_from_slice(&text[14..18]);
    digits[16..20].copy_from_slice(&text[19..23]);
    digits[20..].copy_from_slice(&text[24..]);
    digits
}

fn time(now: Timestamp) -> [u8; 8] {
    let seconds = now.unix_seconds();
    std::array::from_fn(|index| b"0123456789abcdef"[(seconds >> (28 - 4 * index) & 15) as usize])
}

/// `1-5759e988-bd862e3fe1be46a994272793`.
fn is_root(text: &str) -> bool {
    let mut parts = text.split('-');
    let shape = [parts.next(), parts.next(), parts.next(), parts.next()];
    matches!(shape, [Some("1"), Some(time), Some(random), None]
        if time.len() == 8 && random.len() == 24 && is_hex(time) && is_hex(random))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_root_and_fills_the_rest_in() {
        let id = RequestId::from_bits(0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef);
        let now = Timestamp::from_unix_seconds(0x5759_e988);
        let check = |given: Option<&'static str>, expected: &str| {
            let value = given.map(HeaderValue::from_static);
            assert_eq!(
                TraceId::continued(value.as_ref(), id, now).as_str(),
                expected,
                "{given:?}"
            );
        };
        let own = "Root=1-5759e988-0123456789ab4def81234567;Parent=8123456789abcdef;Sampled=0";
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
        check(None, own);
        check(Some("nonsense"), own);
        check(Some("Root=1-5759e988-short"), own);
        check(
            Some(root),
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=8123456789abcdef;Sampled=0",
        );
        check(
            Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"),
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        );
        check(
            Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"),
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=8123456789abcdef;Sampled=0",
        );
    }
}
