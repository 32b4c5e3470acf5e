//! `x-amazon-apigateway-endpoint-configuration`: at the root, and at every server in OpenAPI 3.

use crate::{document::Located, fields::Fields, read::Reader, report::quote, root::Root};

const KEY: &str = "x-amazon-apigateway-endpoint-configuration";
const SECURITY_POLICY: &str = "x-amazon-apigateway-security-policy";
const ACCESS_MODE: &str = "x-amazon-apigateway-endpoint-access-mode";
const KEYS: &[&str] = &["disableExecuteApiEndpoint", "ipAddressType", "types", "vpcEndpointIds"];

/// Whether the API is served by custom domains alone, where it is said. Said in several places, `true` counts: a default
/// address that somebody closed stays closed.
pub(crate) fn read(root: &Root<'_>, reader: &mut Reader<'_>) -> Option<Located<bool>> {
    let report = &mut reader.report;
    let mut found: Vec<_> = root.fields(KEY, report).into_iter().collect();
    for server in root.items("servers", report) {
        let server = Fields::of(server, &server.place, "servers", report);
        found.extend(server.and_then(|server| server.fields(KEY, report)));
    }
    let mut disabled: Option<Located<bool>> = None;
    for endpoint in found {
        endpoint.only(KEYS, report);
        let types = endpoint.texts("types", report);
        if let Some(private) = types.iter().find(|text| text.value.eq_ignore_ascii_case("PRIVATE")) {
            let message = "a private API is served like any other";
            let remedy = "listen on a private address only, and say who may call in the resource policy";
            report.warn(&private.place, "endpoint-ignored", message, remedy);
        }
        if let Some(flag) = endpoint.flag("disableExecuteApiEndpoint", report) {
            disabled = disabled.filter(|known| known.value).or(Some(flag));
        }
    }
    disabled
}

/// `x-amazon-apigateway-security-policy` and `x-amazon-apigateway-endpoint-access-mode`: what the listeners do in any case is
/// remarked, whatever would need more than that is refused.
pub(crate) fn check_tls(root: &Root<'_>, reader: &mut Reader<'_>) {
    let report = &mut reader.report;
    if let Some(policy) = root.text(SECURITY_POLICY, report) {
        let name = policy.value.as_str();
        // Forward secrecy is no difference: listeners speak nothing without it.
        let is_met = matches!(name, "TLS_1_0" | "TLS_1_2") || name.starts_with("SecurityPolicy_TLS13_1_2_");
        if is_met && !name.contains("FIPS") {
            let message = format!(
                "`{SECURITY_POLICY}`: the listeners' TLS settings apply, which speak nothing older than TLS 1.2"
            );
            let remedy = "see that callers come by listeners with `[listeners.tls]`";
            report.warn(&policy.place, "endpoint-ignored", message, remedy);
        } else {
            let message = format!(
                "`{SECURITY_POLICY}: {}` is more than a document can ask of the listeners",
                quote(name)
            );
            let remedy = "take it out, and say it in `[listeners.tls]`: `minimum = \"1.3\"`";
            report.error(&policy.place, "not-supported", message, remedy);
        }
    }
    if let Some(mode) = root.text(ACCESS_MODE, report).filter(|mode| mode.value != "BASIC") {
        let message = format!("`{ACCESS_MODE}` is not `BASIC`");
        let remedy =
            "take it out: a host that asks for client certificates is told from others by its connection in any case";
        report.error(&mode.place, "not-supported", message, remedy);
    }
}
