//! The fields of an answer as the lines that go out.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use crate::http1::encode;

/// Header fields as HTTP/1.1 writes them, one line each, in their order.
///
/// Most fields of an answer go from the origin to the client as they came: nobody needs a map of them, nor values of their own.
/// A look-up walks over the lines; names are compared without case and stay in the spelling that they came in.
///
/// Invariant: each line is `name: value` and a line break, the name a token, the value free of control characters other than
/// the tab and of white space around it as it came (RFC 9110 section 5). So no line can hold another one.
#[derive(Clone, Default)]
pub struct Fields(Vec<u8>);

/// One of them.
#[derive(Clone, Copy)]
pub struct Field<'f> {
    line: &'f [u8],
    name_end: usize,
}

// === impl Fields ===

impl Fields {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// None, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// The fields of a head that was parsed.
    pub(crate) fn of_parsed(head: &[u8], parsed: &[httparse::Header<'_>]) -> Self {
        let mut lines = Vec::with_capacity(head.len());
        for field in parsed {
            match as_received(head, field) {
                Some(line) => lines.extend_from_slice(line),
                None => encode::raw_field(&mut lines, field.name, field.value),
            }
        }
        Self(lines)
    }

    /// Adds a field, whether there is one of its name or not.
    pub fn push(&mut self, name: &HeaderName, value: &HeaderValue) {
        encode::field(&mut self.0, name, value);
    }

    /// Adds a field whose value is text; `false`, and nothing is added, when it holds what a value must not (RFC 9110
    /// section 5.5): control characters other than the tab.
    #[must_use]
    pub fn push_text(&mut self, name: &HeaderName, text: &str) -> bool {
        let is_value = is_value(text.as_bytes());
        if is_value {
            encode::text_field(&mut self.0, name, text);
        }
        is_value
    }

    /// Adds a field whose value is a number.
    pub fn push_number(&mut self, name: &HeaderName, number: u64) {
        encode::number_field(&mut self.0, name, number);
    }

    /// Adds a field of other fields as it is, under another name if one is given.
    pub fn push_field(&mut self, field: Field<'_>, renamed: Option<&HeaderName>) {
        match renamed {
            None => self.0.extend_from_slice(field.line),
            Some(name) => encode::raw_field(&mut self.0, name.as_str(), field.value()),
        }
    }

    /// Puts a field in the place of all of its name.
    pub fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.remove(name.as_str());
        self.push(name, value);
    }

    /// As [`Self::set`], with text; `false`, and nothing changes, when it is no value.
    #[must_use]
    pub fn set_text(&mut self, name: &HeaderName, text: &str) -> bool {
        let is_value = is_value(text.as_bytes());
        if is_value {
            self.remove(name.as_str());
            encode::text_field(&mut self.0, name, text);
        }
        is_value
    }

    /// Removes all fields of a name; whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let is_there = self.contains(name);
        if is_there {
            self.retain(|field| !field.is(name));
        }
        is_there
    }

    /// Keeps the fields that `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&Field<'_>) -> bool) {
        let mut kept = Vec::with_capacity(self.0.len());
        for field in self.iter().filter(|field| keep(field)) {
            kept.extend_from_slice(field.line);
        }
        self.0 = kept;
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + '_ {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let name_end = memchr(b':', rest)?;
            let end = memchr(b'\n', &rest[name_end..])? + name_end + 1;
            let (line, others) = rest.split_at(end);
            rest = others;
            Some(Field { line, name_end })
        })
    }

    /// The values of all fields of a name, in order.
    pub fn get_all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f [u8]> + 'f {
        self.iter()
            .filter(move |field| field.is(name))
            .map(|field| field.value())
    }

    /// The value of the first field of a name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|field| field.is(name)).map(|field| field.value())
    }

    /// Whether there is a field of a name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines, each with its line break.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a map, for those who speak another protocol or change many of them. Names are in lower case there.
    pub fn to_map(&self) -> HeaderMap {
        let fields = self.iter().filter_map(|field| {
            let name = HeaderName::from_bytes(field.name()).ok()?;
            Some((name, HeaderValue::from_bytes(field.value()).ok()?))
        });
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(name, value);
        }
        map
    }
}

impl From<&HeaderMap> for Fields {
    fn from(map: &HeaderMap) -> Self {
        let mut fields = Self::with_capacity(32 * map.len());
        for (name, value) in map {
            fields.push(name, value);
        }
        fields
    }
}

impl fmt::Debug for Fields {
    /// Never the values: cookies may be among them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fields({} bytes)", self.0.len())
    }
}

// === impl Field ===

impl<'f> Field<'f> {
    /// Its name in the spelling that it came in.
    pub fn name(&self) -> &'f [u8] {
        &self.line[..self.name_end]
    }

    /// Its value.
    pub fn value(&self) -> &'f [u8] {
        // Behind the colon and its space, before the line break: every line has them.
        self.line
            .get(self.name_end + 2..self.line.len() - 2)
            .unwrap_or_default()
    }

    /// The whole line with its line break.
    pub fn line(&self) -> &'f [u8] {
        self.line
    }

    /// Whether this is its name, without regard to case.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }
}

impl fmt::Debug for Field<'_> {
    /// Its name alone.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Field({})", self.name().escape_ascii())
    }
}

/// The line as it stands in `head`, if it stands there as we would write it.
fn as_received<'h>(head: &'h [u8], field: &httparse::Header<'_>) -> Option<&'h [u8]> {
    let start = (field.name.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize);
    let value = start.wrapping_add(field.name.len()).wrapping_add(2);
    let end = value.wrapping_add(field.value.len());
    let is_there = (field.value.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize) == value
        && head.get(value.wrapping_sub(2)..value)? == b": "
        && head.get(end..end.wrapping_add(2))? == b"\r\n";
    if is_there { head.get(start..end + 2) } else { None }
}

/// Whether this can be a field's value (RFC 9110 section 5.5). Looks at every byte whatever it finds: so the compiler looks at
/// many at once.
pub(crate) fn is_value(text: &[u8]) -> bool {
    text.iter().fold(true, |so_far, byte| {
        so_far & (*byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f))
    })
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn fields(lines: &[(&'static str, &'static str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.push(&HeaderName::try_from(*name).unwrap(), &HeaderValue::from_static(value));
        }
        fields
    }

    fn check(fields: &Fields, expected: &str) {
        assert_eq!(String::from_utf8_lossy(fields.as_bytes()), expected);
        let again: Vec<u8> = fields.iter().flat_map(|field| field.line().to_vec()).collect();
        assert_eq!(again, fields.as_bytes());
        // A map keeps the fields of one name together, so that only the values of each name stay in order.
        let map = fields.to_map();
        for field in fields.iter() {
            let name = std::str::from_utf8(field.name()).unwrap();
            let values: Vec<_> = map.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            assert_eq!(fields.get_all(name).collect::<Vec<_>>(), values, "{name}");
        }
        assert_eq!(Fields::from(&map).to_map(), map);
        assert_eq!(fields.is_empty(), expected.is_empty());
    }

    #[test]
    fn fields_are_added_replaced_and_removed() {
        let mut all = fields(&[("a", "1"), ("set-cookie", "x=y: z"), ("a", ""), ("b", "2")]);
        check(&all, "a: 1\r\nset-cookie: x=y: z\r\na: \r\nb: 2\r\n");
        assert_eq!(all.get("A"), Some(&b"1"[..]));
        assert_eq!(all.get_all("a").collect::<Vec<_>>(), [&b"1"[..], b""]);
        assert_eq!(all.get("Set-Cookie"), Some(&b"x=y: z"[..]));
        assert!(!all.contains("set"), "a part of a name is no name");
        assert!(!all.contains("y"), "a part of a value is no name");

        all.set(&HeaderName::from_static("a"), &HeaderValue::from_static("3"));
        check(&all, "set-cookie: x=y: z\r\nb: 2\r\na: 3\r\n");
        assert!(all.remove("B"));
        assert!(!all.remove("b"));
        check(&all, "set-cookie: x=y: z\r\na: 3\r\n");
        all.push_number(&header::CONTENT_LENGTH, u64::MAX);
        assert!(all.set_text(&HeaderName::from_static("a"), "4"));
        check(
            &all,
            "set-cookie: x=y: z\r\ncontent-length: 18446744073709551615\r\na: 4\r\n",
        );
        check(&Fields::new(), "");
    }

    #[test]
    fn what_is_no_value_is_not_taken() {
        let name = HeaderName::from_static("x-a");
        for text in ["1\r\nx-b: 2", "1\n", "\u{7f}", "\0"] {
            let mut all = fields(&[("x-a", "0")]);
            assert!(!all.push_text(&name, text), "{text:?}");
            assert!(!all.set_text(&name, text), "{text:?}");
            check(&all, "x-a: 0\r\n");
        }
        let mut all = fields(&[]);
        assert!(all.push_text(&name, "a\tb\u{e9}"));
        check(&all, "x-a: a\tb\u{e9}\r\n");
    }

    #[test]
    fn parsed_lines_are_kept_as_they_came_but_for_white_space() {
        for (given, expected) in [
            ("A: b\r\nX-Long:  c \t\r\n", "A: b\r\nX-Long: c\r\n"),
            ("A:b\r\nB: \r\nC:\r\n", "A: b\r\nB: \r\nC: \r\n"),
            ("", ""),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{given}\r\n");
            let mut storage = [httparse::EMPTY_HEADER; 8];
            let mut parsed = httparse::Response::new(&mut storage);
            assert!(parsed.parse(head.as_bytes()).unwrap().is_complete());
            check(&Fields::of_parsed(head.as_bytes(), parsed.headers), expected);
        }
    }

    #[test]
    fn a_field_is_taken_over_under_another_name() {
        let from = fields(&[("Server", "nginx"), ("x-a", "1")]);
        let mut to = Fields::new();
        for field in from.iter() {
            let renamed = HeaderName::from_static("x-was-server");
            to.push_field(field, field.is("server").then_some(&renamed));
        }
        check(&to, "x-was-server: nginx\r\nx-a: 1\r\n");
        assert_eq!(format!("{to:?}"), "Fields(29 bytes)", "values are not shown");
    }
}
