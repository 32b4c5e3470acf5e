//! `http_proxy` integrations: the request goes on to an origin, and its answer comes back, both unchanged but for
//! what parameters say.

use indexmap::IndexMap;
use portcullis_core::Verb;

use crate::{
    document::{ApiKind, HttpProxy, Located},
    fields::Fields,
    payload,
    read::Reader,
    report::quote,
};

/// The longest time that an integration may take: 29 s, or 30 s for HTTP APIs (Amazon's quotas).
const TIMEOUT_REST_MS_MAX: u32 = 29_000;
const TIMEOUT_HTTP_MS_MAX: u32 = 30_000;
/// The shortest.
const TIMEOUT_MS_MIN: u32 = 50;
/// The keys of one entry of `responses`.
const RESPONSE_KEYS: &[&str] = &[
    "contentHandling",
    "responseParameters",
    "responseTemplates",
    "statusCode",
];

/// The integration; `None` after an error.
pub(crate) fn read(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<HttpProxy> {
    let uri = fields.required_text(
        "uri",
        "write the origin's URI: `https://origin/{proxy}`",
        &mut reader.report,
    );
    let method = method(fields, reader);
    refuse_templates(fields, "requestTemplates", reader);
    check_responses(fields, reader);
    let server_name = tls(fields, reader);
    let response_parameters = response_parameters(fields, reader);
    let timeout_ms = timeout(fields, reader);
    let request_parameters = fields.text_map("requestParameters", &mut reader.report);
    Some(HttpProxy {
        place: fields.place.clone(),
        method: method?,
        uri: uri?,
        request_parameters,
        response_parameters,
        timeout_ms: timeout_ms?,
        server_name,
    })
}

/// `None` after an error; `Some(None)` for `ANY`.
fn method(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Option<Verb>> {
    let remedy = "write `httpMethod: ANY` to pass on the client's own";
    let text = fields.required_text("httpMethod", remedy, &mut reader.report)?;
    let name = text.value.to_ascii_uppercase();
    if name == "ANY" {
        return Some(None);
    }
    let verb = Verb::parse(&name);
    if verb.is_none() {
        let message = fields.says(format!("`{}` is no method", quote(&text.value)));
        reader.report.error(&text.place, "wrong-value", message, remedy);
    }
    verb.map(Some)
}

fn timeout(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Located<u32>> {
    let max = match reader.kind {
        ApiKind::Rest => TIMEOUT_REST_MS_MAX,
        ApiKind::Http => TIMEOUT_HTTP_MS_MAX,
    };
    let key = "timeoutInMillis";
    let Some(entry) = fields.entry(key) else {
        return Some(Located {
            value: max,
            place: fields.place.clone(),
        });
    };
    let timeout = fields.number(key, TIMEOUT_MS_MIN..=max, "timeout-out-of-range", &mut reader.report)?;
    if timeout.value > TIMEOUT_REST_MS_MAX {
        let message = fields.says("a timeout above 29 s outlasts what clients and proxies in front commonly wait");
        reader
            .report
            .warn(&entry.value.place, "timeout-long", message, "write 29000 or less");
    }
    Some(timeout)
}

/// Bodies go through `http_proxy` unchanged, so that only a template that changes nothing is honoured.
fn refuse_templates(fields: &Fields<'_>, key: &str, reader: &mut Reader<'_>) {
    let templates = fields.text_map(key, &mut reader.report);
    let changes = templates.iter().find(|(_, template)| !is_passthrough(&template.value));
    if let Some((media_type, template)) = changes {
        let message = fields.says(format!(
            "the template for `{}` in `{key}` is not supported",
            quote(media_type)
        ));
        let remedy = "take it out: `http_proxy` passes bodies on unchanged";
        reader
            .report
            .error(&template.place, "mapping-not-supported", message, remedy);
    }
}

fn is_passthrough(template: &str) -> bool {
    matches!(
        template.trim(),
        "" | "__passthrough__" | "$input.body" | "$input.json('$')" | "$input.json(\"$\")" | "$input.json($)"
    )
}

/// Amazon ignores `responses` of `http_proxy`; what would be ignored is refused, unless it says nothing.
fn check_responses(fields: &Fields<'_>, reader: &mut Reader<'_>) {
    let Some(responses) = fields.fields("responses", &mut reader.report) else {
        return;
    };
    for (_, entry) in responses.map.iter() {
        let about = fields.says("`responses`");
        let Some(response) = Fields::of(&entry.value, &entry.key_place, about, &mut reader.report) else {
            continue;
        };
        response.only(RESPONSE_KEYS, &mut reader.report);
        refuse_templates(&response, "responseTemplates", reader);
        let parameters = response.fields("responseParameters", &mut reader.report);
        let mapped = parameters.filter(|parameters| !parameters.map.is_empty());
        payload::check_content_handling(&response, reader);
        if let Some(Fields { place, .. }) = mapped {
            let message = response.says("`http_proxy` answers with what the origin says, and maps nothing");
            let remedy = "take the mapping out, or let the origin set the header";
            reader.report.error(&place, "mapping-not-supported", message, remedy);
        }
    }
}

/// `responseParameters` by status, which HTTP APIs have and REST APIs have not.
fn response_parameters(
    fields: &Fields<'_>,
    reader: &mut Reader<'_>,
) -> IndexMap<String, IndexMap<String, Located<String>>> {
    let mut by_status = IndexMap::new();
    let Some(statuses) = fields.fields("responseParameters", &mut reader.report) else {
        return by_status;
    };
    if reader.kind == ApiKind::Rest {
        if !statuses.map.is_empty() {
            let message = fields.says("`responseParameters` of an integration belong to HTTP APIs");
            let remedy = "take them out, or serve the document with `kind = \"http\"`";
            reader
                .report
                .error(&statuses.place, "mapping-not-supported", message, remedy);
        }
        return by_status;
    }
    for (status, entry) in statuses.map.iter() {
        if !status.parse::<u16>().is_ok_and(|number| (200..=599).contains(&number)) {
            let message = statuses.says(format!("`{}` is no status from 200 to 599", quote(status)));
            reader
                .report
                .error(&entry.key_place, "status-code", message, "write a status such as `200`");
            continue;
        }
        by_status.insert(status.to_owned(), statuses.text_map(status, &mut reader.report));
    }
    by_status
}

/// `tlsConfig`: the name to verify (HTTP APIs). Verification is never switched off.
fn tls(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Located<String>> {
    let settings = fields.fields("tlsConfig", &mut reader.report)?;
    settings.only(&["insecureSkipVerification", "serverNameToVerify"], &mut reader.report);
    let skip = settings.flag("insecureSkipVerification", &mut reader.report);
    if let Some(flag) = skip.filter(|flag| flag.value) {
        let message = settings.says("the origin's certificate is always verified");
        let remedy = "give the origin's root with `origin_roots` on the stage, and take this out";
        reader.report.error(&flag.place, "insecure-origin", message, remedy);
    }
    let server_name = settings.text("serverNameToVerify", &mut reader.report)?;
    if reader.kind == ApiKind::Rest {
        let message = settings.says("`serverNameToVerify` belongs to HTTP APIs");
        let remedy = "write the name into `uri`, or serve the document with `kind = \"http\"`";
        reader
            .report
            .error(&server_name.place, "not-supported", message, remedy);
        return None;
    }
    Some(server_name)
}
