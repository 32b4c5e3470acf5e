//! Entry points for a fuzzer: each takes any bytes, must not panic, and asserts what must always hold.
//!
//! An input is UTF-8 in two parts, parted by the first line break: the text to parse, and a value that a caller may send.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    gateway::{GatewayTemplate, HeaderSource, RequestValues},
    log::LogTemplate,
    mapping::{
        Mapping, MappingError, ResponseSource, ResponseTarget, Source, Target, parse_http_request, parse_http_response,
        parse_rest_request, parse_rest_source,
    },
    sink::{Escape, Sink},
    uri::{OriginUri, Scheme, UriTemplate},
    variable::{ContextValues, Product, Variable},
};

/// Every variable and source has this value; stage variables, which are the author's own, have a harmless one.
struct Same<'v>(&'v str);

/// As an access log template, for both products.
pub fn fuzz_log_template(data: &[u8]) {
    let Some((text, value)) = parts(data) else { return };
    for product in [Product::Rest, Product::Http] {
        let Ok(template) = LogTemplate::parse(text, product) else {
            continue;
        };
        for value in [value, "", "x"] {
            let mut line = Vec::new();
            template.render(&Same(value), &mut line);
            let breaks = line.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
            assert!(breaks == 1 && line.ends_with(b"\n"), "not one line");
            if text.trim_start().starts_with('<') {
                let line = std::str::from_utf8(&line).unwrap_or("");
                assert_eq!(crate::log_form::check_xml(line.trim()), Ok(()), "not XML");
            }
            if text.trim_start().starts_with('{') {
                assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok(), "not JSON");
            }
        }
    }
}

/// As the template of a gateway response, and as the source of one of its headers.
pub fn fuzz_gateway_template(data: &[u8]) {
    let Some((text, value)) = parts(data) else { return };
    if let Ok(source) = HeaderSource::parse(text) {
        let _ = source.value(&Same(value));
    }
    let Ok(template) = GatewayTemplate::parse(text) else {
        return;
    };
    const HARMLESS: &str = "harmless text";
    let render = |value: &str, escape| {
        let mut out = Vec::new();
        template.render(&Same(value), escape, &mut out);
        out
    };
    // A document that is JSON with a harmless value is the same document, but for its strings, with any other.
    if let Ok(harmless) = serde_json::from_slice::<serde_json::Value>(&render(HARMLESS, Escape::JsonString)) {
        let other = serde_json::from_slice(&render(value, Escape::JsonString));
        let other: serde_json::Value = other.unwrap_or_default();
        assert_eq!(shape(&harmless), shape(&other), "a value changed the document");
    }
    let tags = |out: &[u8]| out.iter().filter(|byte| matches!(byte, b'<' | b'>' | b'"')).count();
    assert_eq!(
        tags(&render(HARMLESS, Escape::Markup)),
        tags(&render(value, Escape::Markup)),
        "a value brought markup"
    );
}

/// The first part as a target, the second as its value, in the forms of both products and in both directions.
pub fn fuzz_mapping(data: &[u8]) {
    let Some((target, value)) = parts(data) else { return };
    for mapping in [parse_rest_request(target, value), parse_http_request(target, value)] {
        match mapping {
            Ok(mapping) => check_mapping(&mapping),
            Err(error) => check_error(&error),
        }
    }
    if let Ok(source) = parse_rest_source(value) {
        check_source(&source);
    }
    match parse_http_response(target, value) {
        Ok(mapping) => {
            if let ResponseTarget::Header(name) = &mapping.target {
                check_header(name);
            }
            for source in &mapping.value {
                if let ResponseSource::Literal(text) = source {
                    assert!(
                        !text.chars().any(char::is_control),
                        "a literal could end a header field"
                    );
                }
            }
        }
        Err(error) => check_error(&error),
    }
}

/// The first part as a URI whose stage variables all have the second as their value.
pub fn fuzz_uri(data: &[u8]) {
    let Some((text, value)) = parts(data) else { return };
    let Ok(template) = UriTemplate::parse(text) else { return };
    let variables: BTreeMap<_, _> = template
        .stage_variables()
        .map(|name| (name.to_owned(), value.to_owned()))
        .collect();
    let Ok(uri) = template.resolve(&variables) else { return };
    assert!(!uri.host().is_empty() && uri.port() > 0);
    assert!(
        !uri.host().contains(['@', '/', '?', '#', '{', '}', '[', ']', ' ']),
        "a host that reads two ways"
    );
    let parameter = |_: &str| Some(Cow::Borrowed("a%2Fb&c"));
    let mut target = String::new();
    assert!(uri.write_path(&parameter, &mut target) && target.starts_with('/'));
    assert!(!target.contains(['?', '#']), "the path ends early");
    if uri.has_query() {
        let mut query = String::new();
        assert!(uri.write_query(&parameter, &mut query));
        let separators = |text: &str| text.matches(['&', '=']).count();
        let mut harmless = String::new();
        uri.write_query(&|_| Some(Cow::Borrowed("x")), &mut harmless);
        assert_eq!(separators(&query), separators(&harmless), "a value split the query");
        target.push('?');
        target.push_str(&query);
    }
    // What was read and written reads back the same.
    let scheme = if uri.scheme() == Scheme::Https { "https" } else { "http" };
    let host = if uri.host().contains(':') {
        format!("[{}]", uri.host())
    } else {
        uri.host().to_owned()
    };
    let written = format!("{scheme}://{host}:{}{target}", uri.port());
    match OriginUri::parse(&written) {
        Ok(again) => {
            assert_eq!(
                (again.scheme(), again.host(), again.port()),
                (uri.scheme(), uri.host(), uri.port())
            );
            let mut path = String::new();
            assert!(again.write_path(&|_| None, &mut path) && target.starts_with(&path));
        }
        Err(error) => assert!(written.len() > crate::uri::URI_BYTES_MAX, "{error} in {written}"),
    }
}

fn parts(data: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.split_once('\n').unwrap_or((text, "")))
}

/// A document with all its strings and numbers taken out; keys stay.
fn shape(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Array(items) => items.iter().map(shape).collect(),
        // A key may hold a value too.
        Value::Object(fields) => fields.values().map(shape).collect(),
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Value::from(0),
        Value::Null => Value::Null,
    }
}

fn check_mapping(mapping: &Mapping) {
    if let Target::Header(name) = &mapping.target {
        check_header(name);
    }
    mapping.value.iter().for_each(check_source);
}

fn check_header(name: &str) {
    let reserved = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "x-amzn-trace-id",
    ];
    assert!(
        !name.is_empty() && !reserved.contains(&name.to_ascii_lowercase().as_str()),
        "a reserved header"
    );
    assert!(
        name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'),
        "a header's name reads two ways"
    );
}

fn check_source(source: &Source) {
    if let Source::Literal(text) = source {
        assert!(
            !text.chars().any(char::is_control),
            "a literal could end a header field"
        );
    }
}

/// An error says something, on one line.
fn check_error(error: &MappingError) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
}

impl ContextValues for Same<'_> {
    fn write(&self, variable: &Variable, sink: &mut Sink<'_>) {
        match variable {
            Variable::Status => sink.number(200),
            Variable::IdentitySourceIp => sink.display(self.0),
            Variable::ErrorMessageString => sink.text(&serde_json::Value::from(self.0).to_string()),
            _ => sink.text(self.0),
        }
    }
}

impl RequestValues for Same<'_> {
    fn source(&self, source: &Source) -> Option<String> {
        match source {
            Source::StageVariable(_) => Some("1".to_owned()),
            _ => Some(self.0.to_owned()),
        }
    }
}
