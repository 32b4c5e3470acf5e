//! Frames of RFC 6455 section 5.2, unfragmented.

/// A UTF-8 message.
pub(crate) const TEXT: u8 = 1;
/// A message of bytes.
pub(crate) const BINARY: u8 = 2;
/// The last frame of a side.
pub(crate) const CLOSE: u8 = 8;
/// To be answered by a pong with the same payload.
pub(crate) const PING: u8 = 9;
/// The answer to a ping.
pub(crate) const PONG: u8 = 10;

/// One frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
    /// Whether it came masked, as every frame of a client must and none of a server may.
    pub(crate) is_masked: bool,
}

impl Frame {
    pub(crate) fn new(opcode: u8, payload: &[u8]) -> Self {
        Self {
            opcode,
            payload: payload.to_vec(),
            is_masked: false,
        }
    }

    /// As a client sends it.
    pub(crate) fn masked(&self, mask: [u8; 4]) -> Vec<u8> {
        let mut bytes = self.head(0x80);
        bytes.extend(mask);
        bytes.extend(apply(mask, &self.payload));
        bytes
    }

    /// As a server sends it.
    pub(crate) fn plain(&self) -> Vec<u8> {
        [self.head(0), self.payload.clone()].concat()
    }

    /// Reads one; `take` gives the next so many bytes.
    ///
    /// # Errors
    /// Those of `take`.
    pub(crate) fn read<E>(mut take: impl FnMut(usize) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let head = take(2)?;
        assert_eq!(head[0] & 0xf0, 0x80, "a final frame without extensions");
        let number = |bytes: Vec<u8>| bytes.into_iter().fold(0, |sum, byte| sum << 8 | usize::from(byte));
        let length = match head[1] & 0x7f {
            126 => number(take(2)?),
            127 => number(take(8)?),
            short => usize::from(short),
        };
        let is_masked = head[1] & 0x80 != 0;
        let mask = if is_masked {
            take(4)?.try_into().unwrap()
        } else {
            [0; 4]
        };
        Ok(Self {
            opcode: head[0] & 0x0f,
            payload: apply(mask, &take(length)?),
            is_masked,
        })
    }

    fn head(&self, mask_bit: u8) -> Vec<u8> {
        let mut bytes = vec![0x80 | self.opcode];
        match self.payload.len() {
            length @ 0..=125 => bytes.push(mask_bit | length as u8),
            length @ 126..=0xffff => {
                bytes.push(mask_bit | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(mask_bit | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes
    }
}

/// Masking is its own reverse (section 5.3).
fn apply(mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}
