//! Inputs made from a corpus by seeded mutation.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// An input is never longer.
pub(crate) const INPUT_BYTES_MAX: usize = 64 * 1024;
/// How many mutated inputs are kept beside the corpus to be mutated further.
const DRIFT_MAX: usize = 256;
/// Bytes on which parsers decide.
const PIVOTS: &[u8] = b"\0\t\r\n \"'#%&(),./0129:;<=>?@AZ[\\]_az{|}~\x7f\x80\xff";

/// An endless source of inputs: the same seed and corpus give the same inputs.
pub(crate) struct Mutator {
    random: StdRng,
    corpus: Vec<Vec<u8>>,
    drift: Vec<Vec<u8>>,
}

impl Mutator {
    /// From a corpus, which may be empty.
    pub(crate) fn new(seed: u64, mut corpus: Vec<Vec<u8>>) -> Self {
        corpus.push(Vec::new());
        Self {
            random: StdRng::seed_from_u64(seed),
            corpus,
            drift: Vec::new(),
        }
    }

    /// The next input.
    pub(crate) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.pick().clone();
        for _ in 0..=self.random.random_range(0..6_u32) {
            self.mutate(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        // Some go on from where they are: without coverage to follow, a walk away from the corpus is left to chance.
        if self.random.random_range(0..64_u32) == 0 {
            match self.drift.len() {
                DRIFT_MAX => {
                    let place = self.random.random_range(0..DRIFT_MAX);
                    self.drift[place].clone_from(&input);
                }
                _ => self.drift.push(input.clone()),
            }
        }
        input
    }

    fn pick(&mut self) -> &Vec<u8> {
        let from = if self.drift.is_empty() || self.random.random_range(0..4_u32) > 0 {
            &self.corpus
        } else {
            &self.drift
        };
        &from[self.random.random_range(0..from.len())]
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.place(input.len());
        match self.random.random_range(0..9_u32) {
            0 if at < input.len() => input[at] ^= 1 << self.random.random_range(0..8_u32),
            1 if at < input.len() => input[at] = self.random.random(),
            2 if at < input.len() => input[at] = PIVOTS[self.random.random_range(0..PIVOTS.len())],
            3 => input.insert(at, PIVOTS[self.random.random_range(0..PIVOTS.len())]),
            4 => drop(input.drain(self.range(input.len(), 16))),
            5 => {
                let part = input[self.range(input.len(), 64)].to_vec();
                for _ in 0..self.random.random_range(1..8_u32) {
                    splice(input, at, &part);
                }
            }
            6 => {
                // A number becomes another: lengths, counts and times are what limits are about.
                let number = [0, 1, 255, 65_536, u64::from(u32::MAX), u64::MAX][self.random.random_range(0..6_usize)];
                let end = input[at..]
                    .iter()
                    .position(|byte| !byte.is_ascii_digit())
                    .map_or(input.len(), |run| at + run);
                input.splice(at..end, number.to_string().into_bytes());
            }
            7 => {
                let other = self.pick().clone();
                let part = other[self.range(other.len(), 256)].to_vec();
                splice(input, at, &part);
            }
            _ => {
                let other = self.pick().clone();
                let cut = self.place(other.len());
                input.truncate(at);
                input.extend_from_slice(&other[cut..]);
            }
        }
    }

    fn place(&mut self, length: usize) -> usize {
        self.random.random_range(0..=length)
    }

    fn range(&mut self, length: usize, max: usize) -> std::ops::Range<usize> {
        let start = self.place(length);
        start..(start + self.random.random_range(0..=max)).min(length)
    }
}

fn splice(input: &mut Vec<u8>, at: usize, part: &[u8]) {
    if input.len() + part.len() <= INPUT_BYTES_MAX {
        input.splice(at..at, part.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_says_it_all_and_inputs_differ() {
        let make = |seed| {
            let mut mutator = Mutator::new(seed, vec![b"{\"a\": 17}".to_vec()]);
            (0..2_000).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        assert!(make(1).iter().collect::<BTreeSet<_>>().len() > 1_500);
    }

    #[test]
    fn stays_below_its_limit() {
        let mut mutator = Mutator::new(7, vec![vec![b'x'; INPUT_BYTES_MAX]]);
        assert!((0..500).all(|_| mutator.next_input().len() <= INPUT_BYTES_MAX));
    }
}
