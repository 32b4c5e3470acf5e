//! Deployments: a document as it was at one time, under a number.

use portcullis_core::Timestamp;

/// A document as it was at one time. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its number within its API, from 1.
    pub number: u32,
    /// The SHA-256 of the document's bytes, 64 hexadecimal digits.
    pub digest: String,
    /// When it was recorded.
    pub created: Timestamp,
    /// What its author says about it.
    pub description: String,
}

/// The deployments of one API, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The last number that was given; 0 for none.
    pub last: u32,
    /// Those that are kept.
    pub deployments: Vec<Deployment>,
}

// === impl History ===

impl History {
    /// The deployment of a number.
    pub fn find(&self, number: u32) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.number == number)
    }

    /// The one that was recorded last.
    pub fn latest(&self) -> Option<&Deployment> {
        self.deployments.last()
    }

    /// The one that was recorded before `number`.
    pub fn before(&self, number: u32) -> Option<&Deployment> {
        self.deployments
            .iter()
            .rev()
            .find(|deployment| deployment.number < number)
    }

    /// The number that the next one will have.
    pub fn next_number(&self) -> u32 {
        self.last.saturating_add(1)
    }

    /// Adds one, and forgets the oldest beyond `max` for which `is_in_use` says no.
    pub(crate) fn add(&mut self, deployment: Deployment, max: usize, is_in_use: &dyn Fn(u32) -> bool) {
        self.last = deployment.number;
        self.deployments.push(deployment);
        let newest = self.last;
        let mut surplus = self.deployments.len().saturating_sub(max);
        self.deployments.retain(|kept| {
            let is_dropped = surplus > 0 && kept.number != newest && !is_in_use(kept.number);
            surplus -= usize::from(is_dropped);
            !is_dropped
        });
    }
}
