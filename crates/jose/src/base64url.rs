//! base64url without padding (RFC 7515 section 2), strict and canonical.

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::general_purpose::{GeneralPurpose, NO_PAD},
};

/// Refuses padding, white space, the standard alphabet, and set bits behind the last byte: one value has one spelling,
/// so that a token cannot be changed without changing what it says.
const ENGINE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD);

/// A text that is not canonical base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotCanonical;

/// Room for a decoded segment: on the stack up to `INLINE` bytes, on the heap beyond.
pub(crate) struct Buffer<const INLINE: usize> {
    inline: [u8; INLINE],
    heap: Vec<u8>,
}

/// Encodes into a new text.
pub(crate) fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

/// Encodes behind what `text` holds.
pub(crate) fn encode_onto(bytes: &[u8], text: &mut String) {
    ENGINE.encode_string(bytes, text);
}

/// Decodes into new memory.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, NotCanonical> {
    ENGINE.decode(text).map_err(|_| NotCanonical)
}

impl<const INLINE: usize> Buffer<INLINE> {
    pub(crate) fn new() -> Self {
        Self {
            inline: [0; INLINE],
            heap: Vec::new(),
        }
    }

    /// Decodes `text`, which the caller has bounded.
    pub(crate) fn decode(&mut self, text: &str) -> Result<&[u8], NotCanonical> {
        // The library rounds the room it asks for up to whole groups of three bytes.
        let room = text.len().div_ceil(4) * 3;
        if room > INLINE {
            self.heap.clear();
            ENGINE.decode_vec(text, &mut self.heap).map_err(|_| NotCanonical)?;
            return Ok(&self.heap);
        }
        let length = ENGINE.decode_slice(text, &mut self.inline).map_err(|_| NotCanonical)?;
        self.inline.get(..length).ok_or(NotCanonical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&[u8]>) {
        assert_eq!(decode(text).ok().as_deref(), expected, "{text}");
        assert_eq!(Buffer::<4>::new().decode(text).ok(), expected, "{text} small");
        assert_eq!(Buffer::<64>::new().decode(text).ok(), expected, "{text} large");
    }

    #[test]
    fn one_value_has_one_spelling() {
        check("", Some(b""));
        check("AA", Some(&[0]));
        check("AB", None); // trailing bits
        check("AA==", None);
        check("A", None);
        check("-_-_", Some(&[0xfb, 0xff, 0xbf]));
        check("+/+/", None);
        check("AAAA\n", None);
        check(" AAAA", None);
        check("AAAAAAAA", Some(&[0; 6]));
        check("AAAAAAB", None);
        check("ÄAA", None);
    }

    proptest::proptest! {
        #[test]
        fn reads_back(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
            let mut text = "x.".to_owned();
            encode_onto(&bytes, &mut text);
            proptest::prop_assert_eq!(decode(text.trim_start_matches("x.")), Ok(bytes.clone()));
            proptest::prop_assert_eq!(encode(&bytes), &text[2..]);
        }
    }
}
