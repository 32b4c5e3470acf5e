//! The real curl: the client that people know.

use std::{fs, process::Command};

use http::HeaderMap;

/// What curl received: the final answer, after any `100 Continue`.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its header fields, in order, repeated ones kept.
    pub headers: HeaderMap,
    /// Its body, decoded from its framing.
    pub body: Vec<u8>,
}

/// curl ended without a whole answer.
#[derive(Debug)]
pub struct CurlFailure {
    /// curl's exit status: 7 refused, 18 cut short, 28 timed out, 52 empty, 56 reset.
    pub code: i32,
    /// What it said.
    pub message: String,
}

/// Runs `curl` with `arguments` (a URL, `-H`, `-X`, `--data-binary` …) and returns the answer; panics when there is none.
#[track_caller]
pub fn curl(arguments: &[&str]) -> Answer {
    try_curl(arguments).unwrap_or_else(|failure| panic!("curl {arguments:?} ended with {failure:?}"))
}

/// Runs `curl` with `arguments`; a failure of the transfer is a result, a missing curl a panic.
///
/// Paths are sent as they are (`--path-as-is`), no settings file and no proxy of the environment is used.
#[track_caller]
pub fn try_curl(arguments: &[&str]) -> Result<Answer, CurlFailure> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (head, body) = (directory.path().join("head"), directory.path().join("body"));
    let mut command = Command::new("curl");
    // `--disable` counts only as the first argument.
    command.args([
        "--disable",
        "--silent",
        "--show-error",
        "--path-as-is",
        "--noproxy",
        "*",
        "--max-time",
        "60",
    ]);
    command
        .arg("--dump-header")
        .arg(&head)
        .arg("--output")
        .arg(&body)
        .args(arguments);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start curl: {error}; run ./test, which installs it"));
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(CurlFailure {
            code: output.status.code().unwrap_or(-1),
            message,
        });
    }
    let (status, headers) = parse_heads(&fs::read(&head).unwrap_or_default());
    Ok(Answer {
        status,
        headers,
        body: fs::read(&body).unwrap_or_default(),
    })
}

// === impl Answer ===

impl Answer {
    /// The first value of a header field, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text; panics when it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }
}

/// The status and fields of the last head in what `--dump-header` wrote.
#[track_caller]
pub(crate) fn parse_heads(dump: &[u8]) -> (u16, HeaderMap) {
    let (mut status, mut headers) = (0, HeaderMap::new());
    for line in dump.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end) {
        if line.starts_with(b"HTTP/") {
            headers.clear();
            let code = line
                .split(|byte| *byte == b' ')
                .nth(1)
                .and_then(|code| std::str::from_utf8(code).ok());
            status = code.and_then(|code| code.parse().ok()).expect("a status line");
        } else if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            let name = http::HeaderName::from_bytes(&line[..colon]).expect("a field name");
            let value = http::HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).expect("a field value");
            headers.append(name, value);
        }
    }
    (status, headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_head_counts() {
        let dump = b"HTTP/1.1 100 Continue\r\nX-A: no\r\n\r\nHTTP/1.1 403 Forbidden\r\nX-A: one:1\r\nx-a: two\r\n\r\n";
        let (status, headers) = parse_heads(dump);
        assert_eq!(status, 403);
        assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["one:1", "two"]);
    }
}
