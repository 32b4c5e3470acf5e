//! What the step tells people.

use std::fmt;

use super::{Answered, Fetch, How, Kept, planned};
use crate::{integrate::Admitted, live::Live};

/// What the answers to a request differ by, for people.
pub(crate) struct Keyed<'k>(pub(crate) &'k Admitted<'k, 'k>, pub(crate) &'k Live);

impl fmt::Display for Keyed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = planned(self.0, self.1).map_or_else(Vec::new, |(_, plan)| plan.names().to_vec());
        if names.is_empty() {
            return formatter.write_str("one answer for all");
        }
        write!(formatter, "by {}", names.join(", "))
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.how.fmt(formatter)
    }
}

impl fmt::Display for Fetch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { absent, lead } = self;
        formatter.write_str(match lead {
            _ if absent.is_refresh => "fetched anew, as the caller may ask",
            Some(_) => "miss",
            None => "miss, fetched for this request alone",
        })
    }
}

impl fmt::Display for How {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Hit => "hit",
            Self::Stale => "stale, and fetched anew meanwhile",
            Self::Shared => "fetched by another request meanwhile",
            Self::Elsewhere => "hit, as another gateway stored it",
        })
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => formatter.write_str("kept"),
            Self::No(why) => write!(formatter, "not kept: {why}"),
            Self::Stale => formatter.write_str("failed; the stale answer was served"),
        }
    }
}
