//! Finding the end of a head, line by line, before anything is parsed.

use super::head::{FIELDS_MAX, HeadFault, HeadLimits};

/// What to do with an empty line in front of a head.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LeadingEmptyLine {
    /// One is skipped (requests, RFC 9112 section 2.2).
    Skipped,
    /// Responses have no such allowance.
    Refused,
}

/// How far a head has been looked at. All positions are offsets into the buffer.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Everything before it is known to hold no further line feed.
    scanned: usize,
    line_start: usize,
    /// Where the head begins: 0, or 2 behind an empty line.
    head_start: usize,
    /// Where the fields begin; 0 while the first line is incomplete.
    fields_start: usize,
    fields: usize,
}

// === impl Scan ===

impl Scan {
    /// Where the head begins and ends, or `None` when its end has not arrived.
    pub(super) fn head_end(
        &mut self,
        bytes: &[u8],
        limits: HeadLimits,
        leading: LeadingEmptyLine,
    ) -> Result<Option<(usize, usize)>, HeadFault> {
        while let Some(offset) = bytes.get(self.scanned..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let feed = self.scanned + offset;
            let line = &bytes[self.line_start..feed];
            let Some((b'\r', line)) = line.split_last() else {
                return Err(HeadFault::BareLineFeed);
            };
            let next = feed + 1;
            if self.fields_start == 0 {
                self.first_line(line, next, limits, leading)?;
            } else {
                self.check_fields_bytes(next, limits)?;
                if line.is_empty() {
                    return Ok(Some((self.head_start, next)));
                }
                self.field_line(line)?;
            }
            self.line_start = next;
            self.scanned = next;
        }
        self.scanned = bytes.len();
        self.check_unfinished(bytes.len(), limits)?;
        Ok(None)
    }

    fn first_line(
        &mut self,
        line: &[u8],
        next: usize,
        limits: HeadLimits,
        leading: LeadingEmptyLine,
    ) -> Result<(), HeadFault> {
        if line.is_empty() {
            if leading == LeadingEmptyLine::Refused || self.head_start != 0 {
                return Err(HeadFault::LineMalformed);
            }
            self.head_start = next;
            return Ok(());
        }
        if line.len() > limits.line_bytes_max {
            return Err(HeadFault::LineTooLong);
        }
        self.fields_start = next;
        Ok(())
    }

    fn field_line(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        if let [b' ' | b'\t', ..] = line {
            return Err(HeadFault::FieldFolded);
        }
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(HeadFault::FieldsTooMany);
        }
        Ok(())
    }

    fn check_fields_bytes(&self, end: usize, limits: HeadLimits) -> Result<(), HeadFault> {
        if end - self.fields_start > limits.fields_bytes_max {
            return Err(HeadFault::FieldsTooLarge);
        }
        Ok(())
    }

    /// An unfinished line counts too: nobody may make us wait for the rest of what is refused already.
    fn check_unfinished(&self, end: usize, limits: HeadLimits) -> Result<(), HeadFault> {
        if self.fields_start != 0 {
            self.check_fields_bytes(end, limits)
        } else if end - self.line_start > limits.line_bytes_max.saturating_add(1) {
            Err(HeadFault::LineTooLong) // the one byte more is the CR
        } else {
            Ok(())
        }
    }
}
