//! Findings about one configuration text, and how a byte of it becomes a place.

use std::{
    cell::RefCell,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use portcullis_core::{Finding, Findings, Place, Severity};

/// The code of findings about what is not there.
const MISSING_KEY: &str = "missing-key";

/// The findings about one text, and how a byte of it becomes a place.
pub(super) struct Report<'t> {
    source: Arc<str>,
    text: &'t str,
    line_starts: Vec<usize>,
    directory: &'t Path,
    findings: RefCell<Findings>,
}

// === impl Report ===

impl<'t> Report<'t> {
    pub(super) fn new(source: Arc<str>, text: &'t str, directory: &'t Path) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            source,
            text,
            line_starts,
            directory,
            findings: RefCell::default(),
        }
    }

    pub(super) fn error(
        &self,
        place: &Place,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.borrow_mut().error(place.clone(), code, message, remedy);
    }

    pub(super) fn warn(
        &self,
        place: &Place,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.borrow_mut().warn(place.clone(), code, message, remedy);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.findings.borrow().has_errors()
    }

    pub(super) fn extend(&self, findings: Findings) {
        self.findings.borrow_mut().extend(findings);
    }

    pub(super) fn missing(&self, place: &Place, message: impl Into<String>, remedy: impl Into<String>) {
        self.error(place, MISSING_KEY, message, remedy);
    }

    /// All of them by place; without those about missing keys when the text could not be parsed to its end.
    pub(super) fn into_findings(self, is_torn: bool) -> Findings {
        let mut kept = Findings::new();
        for finding in &self.findings.into_inner().sorted() {
            let Finding {
                place,
                severity,
                code,
                message,
                remedy,
            } = finding.clone();
            match severity {
                Severity::Error if is_torn && code == MISSING_KEY => {}
                Severity::Error => kept.error(place, code, message, remedy),
                Severity::Warning => kept.warn(place, code, message, remedy),
            }
        }
        kept
    }

    pub(super) fn whole(&self) -> Place {
        Place::whole(self.source.clone())
    }

    /// The place of the first byte of a span.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let mut at = span.start.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.line_starts.partition_point(|start| *start <= at);
        let before = &self.text[self.line_starts[line - 1]..at];
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place::new(self.source.clone(), count(line), count(before.chars().count() + 1))
    }

    /// A path as the configuration writes it, from the process's own point of view.
    pub(super) fn relative(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }
}
