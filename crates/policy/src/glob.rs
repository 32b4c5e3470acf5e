//! Matching text with `*` and `?`.

use std::fmt;

/// A compiled pattern: segments with any run of characters between them.
///
/// Each segment is taken at the first place where it fits, and that place is never reconsidered, so that matching is
/// linear in the text however many stars there are; each `?` may cost one more pass, which is why documents limit them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    head: Segment,
    /// What follows each star; the last may be empty. No star when there are none.
    rest: Box<[Segment]>,
}

/// What a pattern is written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    /// Exactly one character (`?`).
    One,
    /// Any run of characters, also none (`*`).
    Run,
    /// This text itself.
    Text(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(Box<str>),
    /// With a `?` in it; `None` stands for that.
    Mixed(Box<[Option<Box<str>>]>),
}

// === impl Glob ===

impl Glob {
    /// Compiles symbols.
    pub(crate) fn new(symbols: impl IntoIterator<Item = Symbol>) -> Self {
        let mut segments = vec![Vec::new()];
        let mut stars = 0;
        for symbol in symbols {
            match (symbol, segments.last_mut()) {
                (Symbol::Run, _) => {
                    stars += 1;
                    segments.push(Vec::new());
                }
                (Symbol::One, Some(segment)) => segment.push(None),
                (Symbol::Text(text), Some(segment)) => segment.push(Some(text)),
                (Symbol::One | Symbol::Text(_), None) => {}
            }
        }
        let count = segments.len();
        let mut segments = segments.into_iter().map(Segment::new);
        let head = segments.next().unwrap_or(Segment::Text("".into()));
        // Between two stars an empty segment says nothing.
        let rest = segments
            .enumerate()
            .filter(|(index, segment)| index + 2 == count || !segment.is_empty());
        let rest: Box<[Segment]> = rest.map(|(_, segment)| segment).collect();
        debug_assert_eq!(stars == 0, rest.is_empty());
        Self { head, rest }
    }

    /// Reads text in which `*` and `?` are wildcards and nothing else is special.
    pub(crate) fn parse(text: &str) -> Self {
        Self::new(symbols(text))
    }

    /// Whether the whole of `text` fits.
    #[inline]
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some(mut text) = self.head.strip_from_start(text) else {
            return false;
        };
        let Some((last, middle)) = self.rest.split_last() else {
            return text.is_empty();
        };
        for segment in middle {
            match segment.find(text) {
                Some(behind) => text = behind,
                None => return false,
            }
        }
        last.ends(text)
    }

    /// Whether every text fits.
    pub(crate) fn matches_everything(&self) -> bool {
        self.head.is_empty() && matches!(&*self.rest, [last] if last.is_empty())
    }

    /// Whether `text` stands literally in the pattern.
    pub(crate) fn contains(&self, text: &str) -> bool {
        std::iter::once(&self.head)
            .chain(&self.rest)
            .any(|segment| match segment {
                Segment::Text(piece) => piece.contains(text),
                Segment::Mixed(pieces) => pieces.iter().flatten().any(|piece| piece.contains(text)),
            })
    }
}

/// Cuts text at its wildcards.
pub(crate) fn symbols(text: &str) -> impl Iterator<Item = Symbol> {
    text.split_inclusive(['*', '?']).flat_map(|piece| {
        let (text, wildcard) = match (piece.strip_suffix('*'), piece.strip_suffix('?')) {
            (Some(text), _) => (text, Some(Symbol::Run)),
            (None, Some(text)) => (text, Some(Symbol::One)),
            (None, None) => (piece, None),
        };
        let text = (!text.is_empty()).then(|| Symbol::Text(text.into()));
        text.into_iter().chain(wildcard)
    })
}

impl fmt::Display for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.fmt(formatter)?;
        self.rest.iter().try_for_each(|segment| write!(formatter, "*{segment}"))
    }
}

// === impl Segment ===

impl Segment {
    fn new(mut pieces: Vec<Option<Box<str>>>) -> Self {
        if pieces.contains(&None) {
            return Self::Mixed(pieces.into());
        }
        match (pieces.len(), pieces.pop().flatten()) {
            (1, Some(text)) => Self::Text(text),
            (_, last) => Self::Text(
                pieces
                    .into_iter()
                    .chain([last])
                    .flatten()
                    .collect::<Vec<_>>()
                    .concat()
                    .into(),
            ),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    /// What follows the segment when `text` begins with it.
    #[inline]
    fn strip_from_start<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Self::Text(piece) => text.strip_prefix(&**piece),
            Self::Mixed(pieces) => pieces.iter().try_fold(text, |text, piece| match piece {
                Some(piece) => text.strip_prefix(&**piece),
                None => behind_one(text),
            }),
        }
    }

    /// What follows the segment at the first place where it stands in `text`.
    fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Self::Text(piece) => text.find(&**piece).map(|at| &text[at + piece.len()..]),
            Self::Mixed(_) => text
                .char_indices()
                .find_map(|(at, _)| self.strip_from_start(&text[at..])),
        }
    }

    /// Whether `text` ends with the segment.
    #[inline]
    fn ends(&self, text: &str) -> bool {
        match self {
            Self::Text(piece) => text.ends_with(&**piece),
            Self::Mixed(pieces) => {
                let without = |text: &'_ str, piece: &Option<Box<str>>| match piece {
                    Some(piece) => text.strip_suffix(&**piece).map(str::len),
                    None => text.char_indices().next_back().map(|(at, _)| at),
                };
                let rest = pieces
                    .iter()
                    .rev()
                    .try_fold(text.len(), |end, piece| without(&text[..end], piece));
                rest.is_some()
            }
        }
    }
}

fn behind_one(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    characters.next().map(|_| characters.as_str())
}

impl fmt::Display for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => escape(text, formatter),
            Self::Mixed(pieces) => pieces.iter().try_for_each(|piece| match piece {
                Some(text) => escape(text, formatter),
                None => formatter.write_str("?"),
            }),
        }
    }
}

/// Wildcards that stand for themselves, as documents write them.
fn escape(text: &str, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    text.chars().try_for_each(|found| match found {
        '*' | '?' => write!(formatter, "${{{found}}}"),
        _ => write!(formatter, "{found}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(Glob::parse(pattern).matches(text), expected, "{pattern} over {text}");
        assert_eq!(Glob::parse(pattern).to_string(), pattern.replace("**", "*"));
    }

    #[test]
    fn stars_run_over_everything_and_question_marks_over_one_character() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a", "A", false),
            ("*", "", true),
            ("*", "a/b:c", true),
            ("**", "", true),
            ("?", "", false),
            ("?", "é", true),
            ("?", "ab", false),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aab", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*?", "", false),
            ("*?", "x", true),
            ("?*?", "x", false),
            ("?*?", "éé", true),
            ("*a?c*", "xxabbabcx", true),
            ("*a?", "aab", true),
            ("a*?b", "ab", false),
            ("a*?b", "aéb", true),
            ("*.*", "a.b", true),
            ("[a]", "a", false),
        ] {
            check(pattern, text, expected);
        }
    }

    #[test]
    fn many_stars_are_not_slow() {
        let text = "a".repeat(1_600);
        let pattern = format!("{}b", "a*".repeat(1_000));
        assert!(!Glob::parse(&pattern).matches(&text));
        assert!(Glob::parse(&pattern).matches(&format!("{text}b")));
    }

    /// The textbook recursion, exponential and obviously right.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => naive(rest, text) || (!text.is_empty() && naive(pattern, &text[1..])),
            (['?', rest @ ..], [_, behind @ ..]) => naive(rest, behind),
            ([expected, rest @ ..], [found, behind @ ..]) => expected == found && naive(rest, behind),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_textbook(pattern in "[ab*?é]{0,10}", text in "[abé]{0,12}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::parse(&pattern).matches(&text), naive(&characters(&pattern), &characters(&text)));
        }
    }
}
