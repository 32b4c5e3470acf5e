//! Random changes to messages from a seed, weighted towards what parsers stumble over.

/// What is inserted, besides random bytes.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"0",
    b"5",
    b"+5",
    b"-1",
    b"0x5",
    b"\r\n\r\n",
    b"chunked",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Connection: close\r\n",
    b"Host: b\r\n",
    b"0\r\n\r\n",
    b"\r\n 5",
    b"FFFFFFFFFFFFFFFF",
    b"\x80",
    b"\xff",
    b"HTTP/1.0",
    b"HTTP/1.1",
];

/// A generator of changes (xorshift64*), the same for the same seed.
pub(crate) struct Mutator(u64);

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % bound
    }

    /// `data` with one to four changes.
    pub(crate) fn change(&mut self, data: &[u8]) -> Vec<u8> {
        let mut data = data.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len() + 1);
            match self.below(5) {
                0 => data
                    .splice(at..at, WORDS[self.below(WORDS.len())].iter().copied())
                    .for_each(drop),
                1 => data.insert(at, self.below(256) as u8),
                2 => {
                    let end = (at + self.below(4)).min(data.len());
                    data.drain(at..end);
                }
                3 => {
                    let end = (at + self.below(40)).min(data.len());
                    let again = data[at..end].to_vec();
                    data.splice(at..at, again).for_each(drop);
                }
                _ => {
                    if let Some(byte) = data.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        data
    }
}
