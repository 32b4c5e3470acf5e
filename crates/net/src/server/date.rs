//! The `Date` field, formatted once a second and thread.

use std::cell::RefCell;

use http::HeaderValue;
use portcullis_core::{Clock, SystemClock};

/// A line, its value, and the second that they are of.
struct Line {
    second: i64,
    text: String,
    value: Option<HeaderValue>,
}

thread_local! {
    static LINE: RefCell<Line> = const { RefCell::new(Line { second: i64::MIN, text: String::new(), value: None }) };
}

/// Appends `date: Fri, 20 Nov 2026 00:00:00 GMT` and its line break (RFC 9110 section 6.6.1).
pub(super) fn write(output: &mut Vec<u8>) {
    with_line(|line| output.extend_from_slice(line.text.as_bytes()));
}

/// The same as a field's value.
pub(super) fn value() -> HeaderValue {
    with_line(|line| line.value.clone()).unwrap_or(HeaderValue::from_static(""))
}

fn with_line<T>(read: impl FnOnce(&Line) -> T) -> T {
    let now = SystemClock.now();
    LINE.with_borrow_mut(|line| {
        if line.second != now.unix_seconds() {
            line.second = now.unix_seconds();
            let date = now.to_http_date();
            line.text = format!("date: {date}\r\n");
            line.value = HeaderValue::try_from(date).ok();
        }
        read(line)
    })
}
