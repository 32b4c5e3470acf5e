//! What a value may hold.

/// Whether this can be a field's value (RFC 9110 section 5.5): no control character but tabs. Eight bytes at a time, for every
/// value of every head comes by here and most are short.
pub(crate) fn is_value(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let is_clean = match text.last_chunk::<8>() {
        // The last word may hold some bytes a second time.
        Some(last) => words.iter().chain([last]).all(|word| is_clean(*word)),
        None => rest.iter().all(|byte| is_value_byte(*byte)),
    };
    is_clean || text.iter().all(|byte| is_value_byte(*byte))
}

fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

/// Whether no byte is a control character; tabs count as such here. The highest bit of a byte says so (Warren, Hacker's Delight,
/// section 6-1): of one that was below 0x20 when 0x20 was taken off, and of one that was 0x7f when 1 was taken off its
/// difference to that. A borrow only reaches a byte over one that is found itself.
fn is_clean(word: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(word);
    let difference = word ^ (ONES * 0x7f);
    let below = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = difference.wrapping_sub(ONES) & !difference;
    (below | delete) & (ONES * 0x80) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_no_control_characters() {
        for length in 0..40 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    for around in [b'x', b'\t', b' ', 0xff] {
                        let mut text = vec![around; length];
                        text[at] = byte;
                        let expected = byte == b'\t' || !byte.is_ascii_control();
                        assert_eq!(is_value(&text), expected, "{byte} at {at} of {length}");
                    }
                }
            }
        }
        assert!(is_value(b""));
    }
}
