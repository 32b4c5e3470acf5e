//! Identifiers.

use std::fmt;

use rand::Rng;

/// A request's id: a random UUID (version 4, RFC 9562 section 5.4), as in `x-amzn-RequestId`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 36]);

/// The two digits of each byte: ids are written for every request.
static HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    table
};

// === impl RequestId ===

impl RequestId {
    /// A new one from this thread's generator (cryptographically strong, seeded by the system).
    pub fn random() -> Self {
        Self::from_bits(rand::rng().next_u64(), rand::rng().next_u64())
    }

    /// From 128 bits, of which six are overwritten by version and variant.
    pub fn from_bits(high: u64, low: u64) -> Self {
        let high = (high & !0xf000) | 0x4000; // version 4
        let low = (low & !(0b11 << 62)) | (0b10 << 62); // variant of RFC 9562
        let mut bytes = [0_u8; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in bytes.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            [text[at], text[at + 1]] = HEX[usize::from(byte)];
            at += 2;
        }
        Self(text)
    }

    /// The 36 characters, all of ASCII.
    pub fn as_bytes(&self) -> &[u8; 36] {
        &self.0
    }

    /// 32 of its random bits as a number, for a draw that can be told again from the log: the first eight digits.
    pub fn draw(&self) -> u32 {
        let digit = |byte: &u8| (*byte as char).to_digit(16).unwrap_or(0);
        self.0[..8].iter().fold(0, |number, byte| number << 4 | digit(byte))
    }

    /// The 36 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_uuid_of_version_4() {
        assert_eq!(
            RequestId::from_bits(0, 0).as_str(),
            "00000000-0000-4000-8000-000000000000"
        );
        assert_eq!(
            RequestId::from_bits(u64::MAX, u64::MAX).as_str(),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        assert_eq!(
            RequestId::from_bits(0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef).as_str(),
            "01234567-89ab-4def-8123-456789abcdef"
        );
        assert_ne!(RequestId::random(), RequestId::random());
        assert_eq!(RequestId::from_bits(0x0123_4567_89ab_cdef, 0).draw(), 0x0123_4567);
        assert_eq!(RequestId::from_bits(u64::MAX, 0).draw(), u32::MAX);
    }
}
