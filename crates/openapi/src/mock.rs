//! `mock` integrations with one constant answer.
//!
//! Amazon renders a request template to find a status, chooses a response by it and renders that. Without placeholders
//! all of this can be done once, here; with placeholders it is refused.

use regex::Regex;

use crate::{
    document::{Located, Mock},
    fields::Fields,
    payload,
    read::Reader,
    report::quote,
    token::is_header_name,
};

const RESPONSE_KEYS: &[&str] = &[
    "contentHandling",
    "responseParameters",
    "responseTemplates",
    "statusCode",
];
const HEADER_PREFIX: &str = "method.response.header.";
/// How many responses a mock may have.
const RESPONSES_MAX: usize = 100;
/// The longest pattern of a response, and the size of its automaton.
const PATTERN_BYTES_MAX: usize = 256;
const PATTERN_SIZE_BYTES_MAX: usize = 64 * 1024;

/// The constant answer; `None` after an error.
pub(crate) fn read(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Mock> {
    let selected = selected_status(fields, reader)?;
    let response = response(fields, selected, reader)?;
    response.only(RESPONSE_KEYS, &mut reader.report);
    let before = reader.report.errors();
    payload::check_content_handling(&response, reader);
    if !response.map.has("statusCode") {
        let message = response.says("`statusCode` is missing");
        reader
            .report
            .error(&response.place, "missing-key", message, "write the answer's status");
    }
    let status = response.number("statusCode", 200..=599, "status-code", &mut reader.report);
    let headers = headers(&response, reader);
    let body = constant(&response, "responseTemplates", reader)?;
    let body = body
        .filter(|(_, text)| !text.value.is_empty())
        .map(|(media_type, text)| (text.value, media_type));
    let status = u16::try_from(status?.value).ok()?;
    (reader.report.errors() == before).then(|| Mock {
        place: fields.place.clone(),
        status,
        headers,
        body,
    })
}

/// The status that the request template gives, by which the response is chosen.
fn selected_status(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<u16> {
    let found = constant(fields, "requestTemplates", reader)?;
    let status = found.as_ref().and_then(|(_, template)| status_in(&template.value));
    if status.is_none() {
        let place = found.map_or_else(|| fields.place.clone(), |(_, template)| template.place);
        let message = fields.says("the request template of a mock gives no `statusCode`");
        let remedy = "write `requestTemplates: {application/json: '{\"statusCode\": 200}'}`";
        reader.report.error(&place, "mock-without-status", message, remedy);
    }
    status
}

/// The one template of a key and its media type. `None` after an error, `Some(None)` without templates.
fn constant(fields: &Fields<'_>, key: &str, reader: &mut Reader<'_>) -> Option<Option<(String, Located<String>)>> {
    let mut templates = fields.text_map(key, &mut reader.report).into_iter();
    let Some((media_type, first)) = templates.next() else {
        return Some(None);
    };
    if let Some((_, other)) = templates.find(|(_, other)| other.value != first.value) {
        let message = fields.says(format!(
            "the templates in `{key}` differ, so that the answer is not constant"
        ));
        let remedy = "keep one template; anything else is not supported yet";
        reader.report.error(&other.place, "mock-not-constant", message, remedy);
        return None;
    }
    if first.value.contains(['$', '#']) {
        let message = fields.says(format!(
            "the template for `{}` in `{key}` is not constant",
            quote(&media_type)
        ));
        let remedy = "write it without `$` and `#`; templates are not supported yet";
        reader.report.error(&first.place, "mock-not-constant", message, remedy);
        return None;
    }
    Some(Some((media_type, first)))
}

/// The `statusCode` of a flat object. Amazon's own reader takes names without quotes and stray commas, so does this.
fn status_in(template: &str) -> Option<u16> {
    let inner = template.trim().strip_prefix('{')?.strip_suffix('}')?;
    let value = inner.split(',').find_map(|pair| {
        let (name, value) = pair.split_once(':')?;
        (name.trim().trim_matches(['"', '\'']) == "statusCode").then(|| value.trim())
    })?;
    // A string of digits does not count there (`"200"`), and no sign does here.
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|_| is_number)
}

/// The response whose pattern matches the status as a whole, else the default.
fn response<'a>(fields: &Fields<'a>, status: u16, reader: &mut Reader<'_>) -> Option<Fields<'a>> {
    let status = status.to_string();
    let responses = fields.fields("responses", &mut reader.report);
    let mut default = None;
    let mut chosen = None;
    if let Some(many) = responses
        .as_ref()
        .filter(|responses| responses.map.len() > RESPONSES_MAX)
    {
        let message = many.says(format!("there are more than {RESPONSES_MAX}"));
        reader.report.error(
            &many.place,
            "too-many-responses",
            message,
            "keep those that can be chosen",
        );
        return None;
    }
    for (pattern, entry) in responses.iter().flat_map(|responses| responses.map.iter()) {
        if pattern == "default" {
            default = Some((pattern, entry));
            continue;
        }
        let regex = (pattern.len() <= PATTERN_BYTES_MAX).then(|| {
            regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
                .size_limit(PATTERN_SIZE_BYTES_MAX)
                .build()
        });
        let Some(Ok(regex)) = regex else {
            let message = fields.says(format!("`{}` in `responses` is no pattern", quote(pattern)));
            let remedy = "write a status such as `200`, a regular expression, or `default`";
            reader.report.error(&entry.key_place, "wrong-value", message, remedy);
            return None;
        };
        if chosen.is_none() && Regex::is_match(&regex, &status) {
            chosen = Some((pattern, entry));
        }
    }
    let Some((pattern, entry)) = chosen.or(default) else {
        let message = fields.says(format!("no response is chosen by the mock's status {status}"));
        let place = responses.map_or_else(|| fields.place.clone(), |responses| responses.place);
        reader.report.error(
            &place,
            "mock-without-response",
            message,
            "add a `default` to `responses`",
        );
        return None;
    };
    let about = fields.says(format!("response `{}`", quote(pattern)));
    Fields::of(&entry.value, &entry.key_place, about, &mut reader.report)
}

fn headers(response: &Fields<'_>, reader: &mut Reader<'_>) -> Vec<(Located<String>, Located<String>)> {
    let Some(parameters) = response.fields("responseParameters", &mut reader.report) else {
        return Vec::new();
    };
    let texts = response.text_map("responseParameters", &mut reader.report);
    let mut headers = Vec::new();
    for (target, source) in texts {
        let Some(place) = parameters.map.entry(&target).map(|entry| entry.key_place.clone()) else {
            continue;
        };
        let Some(name) = target.strip_prefix(HEADER_PREFIX).filter(|name| is_header_name(name)) else {
            let message = response.says(format!("`{}` is no header of the response", quote(&target)));
            reader.report.error(
                &place,
                "mapping-not-supported",
                message,
                format!("write `{HEADER_PREFIX}NAME`"),
            );
            continue;
        };
        let literal = source.value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        // `field-value` without `obs-text` (RFC 9110, section 5.5).
        let is_value = |text: &str| text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        let Some(value) = literal.filter(|text| is_value(text)) else {
            let message = response.says(format!("the header `{name}` of a mock is not constant"));
            let remedy = "write a literal in single quotes: `\"'value'\"`";
            reader.report.error(&source.place, "mock-not-constant", message, remedy);
            continue;
        };
        let value = Located {
            value: value.to_owned(),
            place: source.place,
        };
        headers.push((
            Located {
                value: name.to_owned(),
                place,
            },
            value,
        ));
    }
    headers
}
