//! The values that mappings take from a request.

use std::{borrow::Cow, collections::BTreeMap};

use http::{HeaderMap, HeaderName};
use portcullis_core::path;
use portcullis_template::{ContextValues, Sink, mapping::Source, variable::Escape};

/// The value of one source, decoded; `None` when the request does not have it. Of a repeated header or parameter the last
/// value counts (Amazon's rule), but for the sources that want all of them.
pub(crate) fn source_value(
    source: &Source,
    query: Option<&str>,
    headers: &HeaderMap,
    path_parameter: &dyn Fn(&str) -> Option<String>,
    variables: &BTreeMap<String, String>,
    context: &impl ContextValues,
) -> Option<String> {
    match source {
        Source::Context(variable) => {
            let mut out = Vec::new();
            let mut sink = Sink::new(&mut out, Escape::Plain);
            context.write(variable, &mut sink);
            if sink.is_written() {
                String::from_utf8(out).ok()
            } else {
                None
            }
        }
        Source::Header(name) => header_values(headers, name).last(),
        Source::HeaderAll(name) => join(header_values(headers, name)),
        Source::Literal(text) => Some(text.to_string()),
        Source::Path(name) => path_parameter(name),
        Source::PathWhole => path_parameter(""),
        Source::Query(name) => query_values(query, name).last().map(Cow::into_owned),
        Source::QueryAll(name) => join(query_values(query, name).map(Cow::into_owned)),
        Source::StageVariable(name) => variables.get(&**name).cloned(),
    }
}

fn join(values: impl Iterator<Item = String>) -> Option<String> {
    let all: Vec<_> = values.collect();
    if all.is_empty() { None } else { Some(all.join(",")) }
}

fn header_values<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = String> + 'h {
    let name = HeaderName::try_from(name).ok();
    let values = name.map(|name| headers.get_all(name).iter());
    values
        .into_iter()
        .flatten()
        .filter_map(|value| value.to_str().ok())
        .map(ToOwned::to_owned)
}

/// Query values by name, decoded: percent escapes, and the plus sign of forms.
fn query_values<'q>(query: Option<&'q str>, name: &'q str) -> impl Iterator<Item = Cow<'q, str>> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs.filter_map(move |pair| {
        let (known, value) = pair.split_once('=').unwrap_or((pair, ""));
        (form_decode(known) == name).then(|| form_decode(value))
    })
}

pub(crate) fn form_decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(path::decode(&spaced).into_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use portcullis_template::Variable;

    use super::*;

    struct Context;

    impl ContextValues for Context {
        fn write(&self, variable: &Variable, sink: &mut Sink<'_>) {
            if *variable == Variable::RequestId {
                sink.text("id-1");
            }
        }
    }

    #[test]
    fn sources() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2"));
        let variables = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
        let check = |source: Source, expected: Option<&str>| {
            let path = |name: &str| (name == "id").then(|| "7".to_owned());
            let value = source_value(&source, Some("q=a%20b&q=c+d&e"), &headers, &path, &variables, &Context);
            assert_eq!(value.as_deref(), expected, "{source:?}");
        };
        check(Source::Header("X-A".into()), Some("2"));
        check(Source::HeaderAll("X-A".into()), Some("1,2"));
        check(Source::Header("X-B".into()), None);
        check(Source::Query("q".into()), Some("c d"));
        check(Source::QueryAll("q".into()), Some("a b,c d"));
        check(Source::Query("e".into()), Some(""));
        check(Source::Query("z".into()), None);
        check(Source::Path("id".into()), Some("7"));
        check(Source::StageVariable("env".into()), Some("prod"));
        check(Source::StageVariable("gone".into()), None);
        check(Source::Context(Variable::RequestId), Some("id-1"));
        check(Source::Context(Variable::Status), None);
        check(Source::Literal("x".into()), Some("x"));
    }
}
