//! The log of what the gateways that share a stage's answers are to forget.

pub(super) const GENERATION_BYTES: usize = 16;
/// A tag is a name as [`name`](portcullis_jose::SealingKey::name) makes them.
pub(super) const TAG_BYTES: usize = 43;
/// Tags in a log; one more is a flush.
const TAGS_MAX: usize = 256;
pub(super) const LOG_BYTES_MAX: usize = GENERATION_BYTES + TAG_BYTES * TAGS_MAX;

/// A place in the log: what had been forgotten at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) generation: [u8; GENERATION_BYTES],
    /// How many tags there were.
    pub(super) forgotten: u16,
}

/// The log as it was read.
pub(super) struct Log<'l> {
    generation: [u8; GENERATION_BYTES],
    tags: &'l [u8],
}

// === impl Mark ===

impl Mark {
    /// The first of a new generation.
    pub(super) fn begin() -> Self {
        Self {
            generation: rand::random(),
            forgotten: 0,
        }
    }
}

// === impl Log ===

impl<'l> Log<'l> {
    /// `None` for what is none, or too long to be whole.
    pub(super) fn parse(bytes: &'l [u8]) -> Option<Self> {
        let (generation, tags) = bytes.split_first_chunk()?;
        let is_log = tags.len().is_multiple_of(TAG_BYTES) && bytes.len() <= LOG_BYTES_MAX;
        is_log.then_some(Self {
            generation: *generation,
            tags,
        })
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            generation: self.generation,
            forgotten: u16::try_from(self.tags.len() / TAG_BYTES).unwrap_or(u16::MAX),
        }
    }

    pub(super) fn tags_since(&self, mark: &Mark) -> impl Iterator<Item = &'l [u8]> + use<'l> {
        self.tags.chunks_exact(TAG_BYTES).skip(mark.forgotten.into())
    }

    /// Whether an entry whose fetch began at a mark is still good.
    pub(super) fn keeps(&self, stored: &Mark, tag: &str) -> bool {
        stored.generation == self.generation && !self.tags_since(stored).any(|gone| gone == tag.as_bytes())
    }
}

/// Reads bytes as a log. Panics when it keeps what it says is forgotten.
pub(super) fn fuzz(data: &[u8]) {
    if let Some(log) = Log::parse(data) {
        assert_eq!(log.tags_since(&log.mark()).count(), 0, "tags behind the last");
        let tags = log
            .tags
            .chunks_exact(TAG_BYTES)
            .filter_map(|tag| std::str::from_utf8(tag).ok());
        let first = Mark {
            forgotten: 0,
            ..log.mark()
        };
        for tag in tags {
            assert!(!log.keeps(&first, tag) && log.keeps(&log.mark(), tag));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_says_which_entries_are_good() {
        let tags = ["a", "b"].map(|letter| letter.repeat(TAG_BYTES));
        let mut bytes = vec![7; GENERATION_BYTES];
        bytes.extend(tags.concat().into_bytes());
        let log = Log::parse(&bytes).unwrap();
        let check = |generation: u8, forgotten: u16, tag: &str, expected: bool| {
            let stored = Mark {
                generation: [generation; GENERATION_BYTES],
                forgotten,
            };
            assert_eq!(log.keeps(&stored, tag), expected, "{generation} {forgotten} {tag}");
        };
        check(7, 0, &tags[0], false);
        check(7, 1, &tags[0], true);
        check(7, 1, &tags[1], false);
        check(7, 2, &tags[1], true);
        check(7, 9, &tags[1], true);
        check(7, 0, &"c".repeat(TAG_BYTES), true);
        check(6, 2, &tags[0], false);
        for torn in [&bytes[..15], &bytes[..17], &bytes[..bytes.len() - 1]] {
            assert!(Log::parse(torn).is_none());
        }
        let full = |tags: usize| Log::parse(&vec![7; GENERATION_BYTES + TAG_BYTES * tags]).is_some();
        assert!(full(0) && full(TAGS_MAX) && !full(TAGS_MAX + 1));
    }
}
