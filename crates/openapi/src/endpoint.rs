//! `x-amazon-apigateway-endpoint-configuration`: at the root, and at every server in OpenAPI 3.

use crate::{document::Located, fields::Fields, read::Reader, root::Root};

const KEY: &str = "x-amazon-apigateway-endpoint-configuration";
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
