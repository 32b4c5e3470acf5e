//! The `Date` field, formatted once a second and thread.

use std::cell::RefCell;

use portcullis_core::{Clock, SystemClock};

/// A line and the second that it is of.
struct Line {
    second: i64,
    text: String,
}

thread_local! {
    static LINE: RefCell<Line> = const { RefCell::new(Line { second: i64::MIN, text: String::new() }) };
}

/// Appends `date: Fri, 20 Nov 2026 00:00:00 GMT` and its line break (RFC 9110 section 6.6.1).
pub(super) fn write(output: &mut Vec<u8>) {
    let now = SystemClock.now();
    LINE.with_borrow_mut(|line| {
        if line.second != now.unix_seconds() {
            line.second = now.unix_seconds();
            line.text = format!("date: {}\r\n", now.to_http_date());
        }
        output.extend_from_slice(line.text.as_bytes());
    });
}
