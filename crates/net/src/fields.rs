//! The fields of an answer as the lines that go out.

mod mark;
mod value;

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use self::mark::{MARK_BYTES, Mark};
use crate::http1::encode;

pub(crate) use self::mark::Kind;
pub(crate) use self::value::is_value;

/// Header fields as HTTP/1.1 writes them, one line each, in their order.
///
/// Most fields of an answer go from the origin to the client as they came: nobody needs a map of them, nor values of their own.
/// A look-up walks over the lines; names are compared without case and stay in the spelling that they came in.
///
/// Invariant: the bytes are a row of entries, each a [`Mark`] and a line. A line is `name: value` and a line break, the name a
/// token, the value free of control characters other than the tab and of white space around it as it came (RFC 9110 section 5).
/// So no line can hold another one.
#[derive(Clone, Default)]
pub struct Fields(Vec<u8>);

/// One of them.
#[derive(Clone, Copy)]
pub struct Field<'f> {
    /// Mark and line.
    entry: &'f [u8],
    name_bytes: usize,
    kind: Kind,
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

    /// The same fields, with room for so many bytes more.
    #[must_use]
    pub fn copy_with_room(&self, bytes: usize) -> Self {
        let mut lines = Vec::with_capacity(self.0.len() + bytes);
        lines.extend_from_slice(&self.0);
        Self(lines)
    }

    /// Adds a line that was parsed: it begins with a name of so many bytes and a colon, and ends with a line break. Gives what
    /// kind of field it is.
    pub(crate) fn push_parsed(&mut self, line: &[u8], name_bytes: usize, value: &[u8]) -> Kind {
        let name = line.get(..name_bytes).unwrap_or_default();
        let kind = Kind::of(name);
        // As we would write it: then it is copied as a whole.
        if line.len() == name_bytes + value.len() + 4 && line.get(name_bytes + 1) == Some(&b' ') {
            self.mark(line.len(), name_bytes, kind);
            self.0.extend_from_slice(line);
        } else {
            self.append(name, value, kind);
        }
        kind
    }

    /// Adds a field, whether there is one of its name or not.
    pub fn push(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.append_named(name, value.as_bytes());
    }

    /// Adds a field whose value is text; `false`, and nothing is added, when it holds what a value must not (RFC 9110
    /// section 5.5): control characters other than the tab.
    #[must_use]
    pub fn push_text(&mut self, name: &HeaderName, text: impl AsRef<[u8]>) -> bool {
        let is_value = is_value(text.as_ref());
        if is_value {
            self.append_named(name, text.as_ref());
        }
        is_value
    }

    /// Adds a field in the spelling that it was kept in; `false`, and nothing is added, when it is none (RFC 9110 section 5).
    #[must_use]
    pub fn push_kept(&mut self, name: &[u8], value: &[u8]) -> bool {
        let is_field = HeaderName::from_bytes(name).is_ok() && is_value(value);
        if is_field {
            self.append(name, value, Kind::of(name));
        }
        is_field
    }

    /// Adds a field whose value is a number.
    pub fn push_number(&mut self, name: &HeaderName, number: u64) {
        let mut digits = [0; 20];
        self.append_named(name, encode::digits(number, &mut digits));
    }

    /// Adds a field of other fields as it is, under another name if one is given.
    pub fn push_field(&mut self, field: Field<'_>, renamed: Option<&HeaderName>) {
        match renamed {
            None => self.0.extend_from_slice(field.entry),
            Some(name) => self.append_named(name, field.value()),
        }
    }

    /// Puts a field in the place of all of its name.
    pub fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.remove(name.as_str());
        self.push(name, value);
    }

    /// As [`Self::set`], with text; `false`, and nothing changes, when it is no value.
    #[must_use]
    pub fn set_text(&mut self, name: &HeaderName, text: impl AsRef<[u8]>) -> bool {
        let is_value = is_value(text.as_ref());
        if is_value {
            self.remove(name.as_str());
            self.append_named(name, text.as_ref());
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
            kept.extend_from_slice(field.entry);
        }
        self.0 = kept;
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + '_ {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let mark = Mark::read(*rest.first_chunk()?);
            let (entry, others) = rest.split_at_checked(MARK_BYTES + mark.line_bytes as usize)?;
            rest = others;
            Some(Field {
                entry,
                name_bytes: mark.name_bytes.into(),
                kind: mark.kind,
            })
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

    /// What `Content-Length` says, of several the first; found without a look at names.
    pub fn content_length(&self) -> Option<&[u8]> {
        let mut fields = self.iter();
        fields
            .find(|field| field.kind == Kind::ContentLength)
            .map(|field| field.value())
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
    pub fn to_lines(&self) -> Vec<u8> {
        let mut lines = Vec::with_capacity(self.0.len());
        self.iter().for_each(|field| lines.extend_from_slice(field.line()));
        lines
    }

    /// How many bytes of memory they take, as a bound for those who keep many.
    pub fn size(&self) -> usize {
        self.0.len()
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

    fn append_named(&mut self, name: &HeaderName, value: &[u8]) {
        let name = name.as_str().as_bytes();
        self.append(name, value, Kind::of(name));
    }

    fn append(&mut self, name: &[u8], value: &[u8], kind: Kind) {
        let line_bytes = name.len() + value.len() + 4;
        self.mark(line_bytes, name.len(), kind);
        self.0.extend_from_slice(name);
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(value);
        self.0.extend_from_slice(b"\r\n");
    }

    fn mark(&mut self, line_bytes: usize, name_bytes: usize, kind: Kind) {
        self.0.reserve(MARK_BYTES + line_bytes);
        // Heads have bounds far below, and so have names in crate http.
        let mark = Mark {
            line_bytes: u32::try_from(line_bytes).unwrap_or(u32::MAX),
            name_bytes: u16::try_from(name_bytes).unwrap_or(u16::MAX),
            kind,
        };
        self.0.extend_from_slice(&mark.write());
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
        formatter.debug_list().entries(self.iter()).finish()
    }
}

// === impl Field ===

impl<'f> Field<'f> {
    /// Its name in the spelling that it came in.
    pub fn name(&self) -> &'f [u8] {
        self.line().get(..self.name_bytes).unwrap_or_default()
    }

    /// Its value.
    pub fn value(&self) -> &'f [u8] {
        // Behind the colon and its space, before the line break: every line has them.
        let line = self.line();
        line.get(self.name_bytes + 2..line.len().saturating_sub(2))
            .unwrap_or_default()
    }

    /// The whole line with its line break.
    pub fn line(&self) -> &'f [u8] {
        self.entry.get(MARK_BYTES..).unwrap_or_default()
    }

    /// Whether this is its name, without regard to case.
    #[inline]
    pub fn is(&self, name: &str) -> bool {
        // Few names of the same length begin alike.
        let first = |text: &[u8]| text.first().map(u8::to_ascii_lowercase);
        self.name_bytes == name.len()
            && first(self.name()) == first(name.as_bytes())
            && self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Debug for Field<'_> {
    /// Its name alone.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Field({})", self.name().escape_ascii())
    }
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
        assert_eq!(String::from_utf8_lossy(&fields.to_lines()), expected);
        let mut again = Fields::new();
        fields.iter().for_each(|field| again.push_field(field, None));
        assert_eq!(again.0, fields.0);
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
        assert_eq!(all.content_length(), None);
        assert_eq!(all.get("Set-Cookie"), Some(&b"x=y: z"[..]));
        assert!(!all.contains("set"), "a part of a name is no name");
        assert!(!all.contains("y"), "a part of a value is no name");

        all.set(&HeaderName::from_static("a"), &HeaderValue::from_static("3"));
        check(&all, "set-cookie: x=y: z\r\nb: 2\r\na: 3\r\n");
        assert!(all.remove("B"));
        assert!(!all.remove("b"));
        check(&all, "set-cookie: x=y: z\r\na: 3\r\n");
        all.push_number(&header::CONTENT_LENGTH, u64::MAX);
        assert_eq!(all.content_length(), Some(&b"18446744073709551615"[..]));
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
        for (line, name_bytes, value, expected, kind) in [
            ("A: b\r\n", 1, "b", "A: b\r\n", Kind::Other),
            ("Date:  c \t\r\n", 4, "c", "Date: c\r\n", Kind::Date),
            ("DATA:b\r\n", 4, "b", "DATA: b\r\n", Kind::Other),
            ("a:\tb\r\n", 1, "b", "a: b\r\n", Kind::Other),
            ("a:b \r\n", 1, "b", "a: b\r\n", Kind::Other),
            ("Connection: \r\n", 10, "", "Connection: \r\n", Kind::Connection),
            ("keep-alive:\r\n", 10, "", "keep-alive: \r\n", Kind::KeepAlive),
        ] {
            let mut fields = Fields::new();
            assert_eq!(
                fields.push_parsed(line.as_bytes(), name_bytes, value.as_bytes()),
                kind,
                "{line:?}"
            );
            check(&fields, expected);
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
        assert_eq!(
            format!("{to:?}"),
            "[Field(x-was-server), Field(x-a)]",
            "values are not shown"
        );
    }
}
