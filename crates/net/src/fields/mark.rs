//! What stands in front of each line.

use http::header;

use crate::http1::KEEP_ALIVE;

/// What stands in front of a line, so that walking over lines looks at none of their bytes: the lengths of the line and of its
/// name, and its kind.
pub(super) struct Mark {
    pub(super) line_bytes: u32,
    pub(super) name_bytes: u16,
    pub(super) kind: Kind,
}

pub(super) const MARK_BYTES: usize = 8;

/// Fields that framing and the connection's life depend on, told apart once, when a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Other,
    Connection,
    ContentLength,
    Date,
    KeepAlive,
    TransferEncoding,
}

// === impl Mark ===

impl Mark {
    #[inline]
    pub(super) fn read(bytes: [u8; MARK_BYTES]) -> Self {
        let mark = u64::from_le_bytes(bytes); // one load
        Self {
            line_bytes: mark as u32,
            name_bytes: (mark >> 32) as u16,
            kind: match (mark >> 48) as u8 {
                1 => Kind::Connection,
                2 => Kind::ContentLength,
                3 => Kind::Date,
                4 => Kind::KeepAlive,
                5 => Kind::TransferEncoding,
                _ => Kind::Other,
            },
        }
    }

    pub(super) fn write(&self) -> [u8; MARK_BYTES] {
        let [a, b, c, d] = self.line_bytes.to_le_bytes();
        let [e, f] = self.name_bytes.to_le_bytes();
        [a, b, c, d, e, f, self.kind as u8, 0]
    }
}

// === impl Kind ===

impl Kind {
    /// By the length of the name first: few names have the same.
    pub(crate) fn of(name: &[u8]) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            4 if is(header::DATE.as_str()) => Self::Date,
            10 if is(header::CONNECTION.as_str()) => Self::Connection,
            10 if is(KEEP_ALIVE) => Self::KeepAlive,
            14 if is(header::CONTENT_LENGTH.as_str()) => Self::ContentLength,
            17 if is(header::TRANSFER_ENCODING.as_str()) => Self::TransferEncoding,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_read_back() {
        for kind in [
            Kind::Other,
            Kind::Connection,
            Kind::ContentLength,
            Kind::Date,
            Kind::KeepAlive,
            Kind::TransferEncoding,
        ] {
            let (line_bytes, name_bytes) = (0x0102_0304, 0x0506);
            let mark = Mark {
                line_bytes,
                name_bytes,
                kind,
            };
            let read = Mark::read(mark.write());
            assert_eq!(
                (read.line_bytes, read.name_bytes, read.kind),
                (line_bytes, name_bytes, kind)
            );
        }
    }
}
