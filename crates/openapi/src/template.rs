//! Path templates: their syntax, and which of them exclude one another.

use std::collections::HashMap;

use portcullis_core::Place;

use crate::report::{Report, quote};

/// The longest path template, in bytes.
const PATH_BYTES_MAX: usize = 1_024;

/// A path template, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathTemplate {
    /// As written, but without a trailing slash, which no request is matched by.
    pub(crate) text: String,
    /// Its parameters' names in order, without `+`.
    pub(crate) parameters: Vec<String>,
}

/// The parameter that stands at each variable position, by the template up to there.
#[derive(Debug, Default)]
pub(crate) struct Siblings(HashMap<String, (String, Place)>);

// === impl PathTemplate ===

impl PathTemplate {
    /// Reads a template such as `/pets/{petId}` or `/{proxy+}`.
    pub(crate) fn parse(text: &str, place: &Place, report: &mut Report) -> Option<Self> {
        let mut refuse = |message: String, remedy: &str| {
            report.error(place, "path-template", format!("{}: {message}", quote(text)), remedy);
            None
        };
        if text.len() > PATH_BYTES_MAX {
            return refuse(
                format!("a path has at most {PATH_BYTES_MAX} bytes"),
                "write a shorter path",
            );
        }
        let Some(behind_slash) = text.strip_prefix('/') else {
            return refuse("a path begins with a slash".into(), "write `/…`");
        };
        let behind_slash = behind_slash.strip_suffix('/').unwrap_or(behind_slash);
        let mut parameters: Vec<String> = Vec::new();
        let segments: Vec<&str> = if behind_slash.is_empty() {
            Vec::new()
        } else {
            behind_slash.split('/').collect()
        };
        for (index, segment) in segments.iter().enumerate() {
            match Segment::parse(segment) {
                Ok(Segment::Literal) => {}
                Ok(Segment::Parameter { is_greedy: true, .. }) if index + 1 < segments.len() => {
                    let message = format!("`{segment}` takes the rest of the path, but more follows");
                    return refuse(message, "only the last segment may end in `+}`");
                }
                Ok(Segment::Parameter { name, .. }) if parameters.iter().any(|other| other == name) => {
                    let message = format!("the parameter `{name}` stands there twice");
                    return refuse(message, "give each parameter a name of its own");
                }
                Ok(Segment::Parameter { name, .. }) => parameters.push(name.to_owned()),
                Err((message, remedy)) if segment.is_empty() => return refuse(message.to_owned(), remedy),
                Err((message, remedy)) => return refuse(format!("`{}` {message}", quote(segment)), remedy),
            }
        }
        Some(Self {
            text: format!("/{behind_slash}"),
            parameters,
        })
    }

    /// The template with its parameters' names taken out: two that are equal match the same requests.
    pub(crate) fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in self.text.split('/').skip(1) {
            shape.push('/');
            match Segment::parse(segment) {
                Ok(Segment::Parameter { is_greedy: true, .. }) => shape.push_str("{+}"),
                Ok(Segment::Parameter { is_greedy: false, .. }) => shape.push_str("{}"),
                Ok(Segment::Literal) | Err(_) => shape.push_str(segment),
            }
        }
        shape
    }
}

// === impl Siblings ===

impl Siblings {
    /// Takes a template in, or reports that another has given one of its positions another name, as Amazon does.
    pub(crate) fn admit(&mut self, template: &PathTemplate, place: &Place, report: &mut Report) {
        let mut shape = String::new();
        let mut names = template.parameters.iter();
        for segment in template.shape().split('/').skip(1) {
            shape.push('/');
            shape.push_str(segment);
            if !matches!(segment, "{}" | "{+}") {
                continue;
            }
            let Some(name) = names.next() else { continue };
            let (known, first) = self
                .0
                .entry(shape.clone())
                .or_insert_with(|| (name.clone(), place.clone()));
            if known != name {
                let message = format!(
                    "{}: `{name}` stands where line {} has `{known}`, and a position has one name",
                    quote(&template.text),
                    first.line
                );
                report.error(
                    place,
                    "sibling-parameter",
                    message,
                    format!("write `{{{known}}}` here too"),
                );
                return;
            }
        }
    }
}

enum Segment<'a> {
    Literal,
    Parameter { name: &'a str, is_greedy: bool },
}

// === impl Segment ===

impl<'a> Segment<'a> {
    fn parse(segment: &'a str) -> Result<Self, (&'static str, &'static str)> {
        if let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let (name, is_greedy) = match inner.strip_suffix('+') {
                Some(name) => (name, true),
                None => (inner, false),
            };
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':');
            if name.is_empty() || !name.bytes().all(is_name) {
                return Err(("is no parameter", "name it with letters, digits, `.`, `_`, `-` and `:`"));
            }
            return Ok(Self::Parameter { name, is_greedy });
        }
        match segment {
            "" => Err(("a segment is empty", "write single slashes")),
            "." | ".." => Err(("is a dot segment, which no request may have", "write the path itself")),
            _ if segment.contains(['{', '}']) => Err((
                "mixes text and a parameter",
                "a parameter fills a whole segment: `/{name}`",
            )),
            _ if segment.bytes().all(is_segment_byte) => Ok(Self::Literal),
            _ => Err((
                "has characters that no path has",
                "write them decoded, and without a query",
            )),
        }
    }
}

/// `pchar` of RFC 3986, section 3.3, without escapes: templates are matched against decoded segments.
fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}
