//! `x-portcullis-authorizer: {type: token}`.

use portcullis_core::SecretRef;

use crate::{
    document::{BindingTarget, ClaimBinding, Located, TokenAuthorizer},
    fields::Fields,
    read::Reader,
    report::{did_you_mean, quote},
};

const LEEWAY_S_MAX: u32 = 300;
const KEYS: &[&str] = &[
    "algorithms",
    "audience",
    "authorizerResultTtlInSeconds",
    "bearerPrefix",
    "claimBindings",
    "denyList",
    "identityValidationExpression",
    "issuer",
    "jwks",
    "leewayInSeconds",
    "policy",
    "principal",
    "requireExpiry",
    "secret",
    "secretEncoding",
    "type",
    "usageIdentifierClaim",
];

/// Reads the settings of a scheme's authoriser; `None` when something that it cannot be without is missing.
pub(crate) fn read(scheme: &Fields<'_>, settings: &Fields<'_>, reader: &mut Reader<'_>) -> Option<TokenAuthorizer> {
    settings.only(KEYS, &mut reader.report);
    check_type(settings, reader);
    let header = header(scheme, reader);
    let report = &mut reader.report;
    let algorithms = settings.texts("algorithms", report);
    if algorithms.is_empty() {
        let message = settings.says("`algorithms` is missing");
        report.error(
            &settings.place,
            "missing-key",
            message,
            "name those that tokens may be signed by: `[HS256]`",
        );
    }
    let secrets = secrets(settings, reader);
    let jwks = reference(settings, "jwks", &["file:", "https://", "http://"], reader);
    if !settings.map.has("secret") && !settings.map.has("jwks") {
        let message = settings.says("there is neither `secret` nor `jwks` to check a signature with");
        let remedy = "write `secret: file:PATH` (or `env:NAME`), or `jwks: https://…`";
        reader.report.error(&settings.place, "missing-key", message, remedy);
    }
    let deny_list = reference(settings, "denyList", &["file:"], reader);
    let bindings = bindings(settings, reader);
    let report = &mut reader.report;
    let secret_encoding = settings.text("secretEncoding", report);
    if let Some(encoding) = secret_encoding
        .as_ref()
        .filter(|text| !matches!(text.value.as_str(), "base64" | "raw"))
    {
        let message = settings.says("`secretEncoding` is neither `base64` nor `raw`");
        report.error(&encoding.place, "wrong-value", message, "write `base64` or `raw`");
    }
    let bearer_prefix = settings.flag("bearerPrefix", report).map(|flag| flag.value);
    let require_expiry = settings.flag("requireExpiry", report).is_none_or(|flag| flag.value);
    let validation_expression = settings.text("identityValidationExpression", report);
    let issuer = settings.text("issuer", report);
    let audiences = settings.texts("audience", report);
    let leeway_s = settings.number("leewayInSeconds", 0..=LEEWAY_S_MAX, "out-of-range", report);
    let principal_claim = settings.text("principal", report);
    let usage_identifier_claim = settings.text("usageIdentifierClaim", report);
    let policy = policy(settings, reader);
    // Last, so that everything above is reported beside it.
    let (header, is_bearer) = header?;
    Some(TokenAuthorizer {
        header,
        bearer_prefix: bearer_prefix.unwrap_or(is_bearer),
        algorithms,
        secrets,
        secret_encoding,
        jwks,
        validation_expression,
        issuer,
        audiences,
        leeway_s,
        require_expiry,
        principal_claim,
        usage_identifier_claim,
        bindings,
        deny_list,
        policy,
    })
}

fn check_type(settings: &Fields<'_>, reader: &mut Reader<'_>) {
    let report = &mut reader.report;
    let kind = settings.required_text("type", "write `type: token`", report);
    if let Some(kind) = kind.filter(|kind| kind.value != "token") {
        let message = settings.says(format!("there is no authoriser of type `{}`", quote(&kind.value)));
        report.error(&kind.place, "wrong-value", message, "write `type: token`");
    }
}

/// The header that carries the token, and whether `Bearer ` stands in front of it.
fn header(scheme: &Fields<'_>, reader: &mut Reader<'_>) -> Option<(Located<String>, bool)> {
    let report = &mut reader.report;
    let kind = scheme.required_text("type", "write `type: apiKey` or `type: http`", report)?;
    match kind.value.as_str() {
        "apiKey" => {
            let name = scheme.required_text("name", "name the header that carries the token", report);
            let location = scheme.required_text("in", "write `in: header`", report)?;
            if location.value != "header" {
                let message = scheme.says("a token is taken from a header only");
                report.error(&location.place, "scheme-not-supported", message, "write `in: header`");
                return None;
            }
            let name = name?;
            if !is_header_name(&name.value) {
                let message = scheme.says("`name` is no header's name");
                report.error(
                    &name.place,
                    "wrong-value",
                    message,
                    "write the header's name, such as `Authorization`",
                );
                return None;
            }
            Some((name, false))
        }
        "http" => {
            let method = scheme.required_text("scheme", "write `scheme: bearer`", report)?;
            if !method.value.eq_ignore_ascii_case("bearer") {
                let message = scheme.says("a token comes by the scheme `bearer` only");
                report.error(&method.place, "scheme-not-supported", message, "write `scheme: bearer`");
                return None;
            }
            Some((
                Located {
                    value: "Authorization".to_owned(),
                    place: method.place,
                },
                true,
            ))
        }
        _ => {
            let message = scheme.says("a token comes by `type: apiKey` or `type: http`");
            let remedy = "write `type: apiKey` with `in: header` and `name`, or `type: http` with `scheme: bearer`";
            report.error(&kind.place, "scheme-not-supported", message, remedy);
            None
        }
    }
}

/// `field-name` (RFC 9110, section 5.1).
pub(crate) fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// References only: a secret in a document is in its repository, its backups and its export. Never echoed.
fn secrets(settings: &Fields<'_>, reader: &mut Reader<'_>) -> Vec<Located<String>> {
    let mut secrets = settings.texts("secret", &mut reader.report);
    secrets.retain(|secret| {
        let is_reference = secret.value.parse::<SecretRef>().is_ok();
        if !is_reference {
            let message = settings.says("`secret` is not a reference; a secret has no place in a document");
            let remedy =
                "move it to a file or variable, write `file:PATH` or `env:NAME`, and replace it if others saw it";
            reader
                .report
                .error(&secret.place, "secret-in-document", message, remedy);
        }
        is_reference
    });
    secrets
}

/// A setting that names a file or a URL. Its value is not echoed: it might be a key.
fn reference(settings: &Fields<'_>, key: &str, prefixes: &[&str], reader: &mut Reader<'_>) -> Option<Located<String>> {
    let text = settings.text(key, &mut reader.report)?;
    let names_something = prefixes
        .iter()
        .any(|prefix| text.value.len() > prefix.len() && text.value.starts_with(prefix));
    if !names_something {
        let message = settings.says(format!("`{key}` does not begin with {}", prefixes.join(" or ")));
        reader
            .report
            .error(&text.place, "wrong-value", message, format!("write `{}…`", prefixes[0]));
        return None;
    }
    Some(text)
}

fn bindings(settings: &Fields<'_>, reader: &mut Reader<'_>) -> Vec<ClaimBinding> {
    let mut bindings = Vec::new();
    for item in settings.items("claimBindings", &mut reader.report) {
        let about = settings.says("`claimBindings`");
        let Some(fields) = Fields::of(item, &item.place, about, &mut reader.report) else {
            continue;
        };
        fields.only(&["claim", "to"], &mut reader.report);
        let claim = fields.required_text("claim", "name the claim", &mut reader.report);
        let remedy = "write `to: sourceIp` or `to: header.NAME`";
        let Some(to) = fields.required_text("to", remedy, &mut reader.report) else {
            continue;
        };
        let target = match to.value.strip_prefix("header.") {
            Some(name) if is_header_name(name) => BindingTarget::HeaderDigest(name.to_owned()),
            None if to.value == "sourceIp" => BindingTarget::SourceAddress,
            Some(_) | None => {
                let message = fields.says(format!(
                    "`{}` is nothing that a claim can be bound to",
                    quote(&to.value)
                ));
                let remedy = match to.value.contains('.') {
                    true => remedy.to_owned(),
                    false => did_you_mean(&to.value, &["sourceIp", "header.NAME"]),
                };
                reader.report.error(&to.place, "wrong-value", message, remedy);
                continue;
            }
        };
        let Some(claim) = claim else { continue };
        bindings.push(ClaimBinding {
            place: item.place.clone(),
            claim: claim.value,
            to: target,
        });
    }
    bindings
}

fn policy(settings: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Located<serde_json::Value>> {
    let fields = settings.fields("policy", &mut reader.report)?;
    let node = settings.map.get("policy")?;
    Some(Located {
        value: node.to_json(),
        place: fields.place,
    })
}
