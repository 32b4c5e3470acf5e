//! Which scheme protects an operation: none, or exactly one.

use crate::{
    document::{Authorizer, AuthorizerKind, Located, Security},
    fields::Fields,
    read::Reader,
    report::quote,
    route::Route,
    tree::Node,
};

/// What an operation says about its protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// Nothing.
    Absent,
    /// `security: []` or `[{}]`: nobody protects it.
    Nobody,
    /// One scheme does.
    Scheme(Security),
    /// Something that cannot be honoured; it is reported.
    Refused,
}

/// Reads `security` and `x-amazon-apigateway-auth` of an operation.
pub(crate) fn read(route: &Route<'_>, reader: &mut Reader<'_>) -> Requirement {
    if refuses_auth(&route.fields, reader) {
        return Requirement::Refused;
    }
    let Some(entry) = route.fields.map.entry("security") else {
        return Requirement::Absent;
    };
    let before = reader.report.errors();
    if entry.value.is_null() {
        // `security:` with nothing behind it; whoever wrote it meant something else than its absence.
        route
            .fields
            .wrong_type("security", &entry.value, "a list", &mut reader.report);
    }
    let alternatives = route.fields.items("security", &mut reader.report);
    let mut found = Vec::new();
    for alternative in alternatives {
        let about = route.label.as_str();
        let Some(all) = Fields::of(alternative, &alternative.place, about, &mut reader.report) else {
            continue;
        };
        for (name, demanded) in all.map.iter() {
            let scopes = all.texts(name, &mut reader.report);
            found.push((name, demanded.key_place.clone(), scopes));
        }
    }
    if reader.report.errors() > before {
        return Requirement::Refused;
    }
    match (found.as_slice(), alternatives.len()) {
        ([], 0 | 1) => Requirement::Nobody,
        ([(name, place, scopes)], 1) => Requirement::Scheme(Security {
            place: place.clone(),
            scheme: (*name).to_owned(),
            scopes: scopes
                .iter()
                .map(|scope: &Located<String>| scope.value.clone())
                .collect(),
        }),
        _ => {
            let names: Vec<_> = alternatives.iter().map(noun).collect();
            let names = quote(&names.join(" or "));
            let message = route
                .fields
                .says(format!("more than one security requirement ({names})"));
            let remedy = "name one scheme: an operation has one authoriser, and API keys are not supported yet";
            reader
                .report
                .error(&entry.key_place, "several-schemes", message, remedy);
            Requirement::Refused
        }
    }
}

/// An alternative in words: `Token and ApiKey`, or `nobody`.
fn noun(alternative: &Node) -> String {
    let names: Vec<_> = alternative
        .as_map()
        .iter()
        .flat_map(|all| all.iter())
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() {
        "nobody".to_owned()
    } else {
        names.join(" and ")
    }
}

/// Scopes are demanded of JWT authorisers alone; elsewhere they would be believed to be checked.
pub(crate) fn check_scopes(route: &Route<'_>, security: &Security, authorizer: &Authorizer, reader: &mut Reader<'_>) {
    match &authorizer.kind {
        AuthorizerKind::Jwt(_) => {}
        AuthorizerKind::Token(_) if security.scopes.is_empty() => {}
        AuthorizerKind::Token(_) => {
            let message = format!("{}: `{}` checks no scopes", route.label, quote(&security.scheme));
            let remedy = "leave the list empty, and demand the claim in the authoriser's `policy`";
            reader
                .report
                .error(&security.place, "scopes-not-supported", message, remedy);
        }
    }
}

/// Whether `x-amazon-apigateway-auth` demands what is not supported: IAM signatures.
pub(crate) fn refuses_auth(fields: &Fields<'_>, reader: &mut Reader<'_>) -> bool {
    let before = reader.report.errors();
    let auth = fields.fields("x-amazon-apigateway-auth", &mut reader.report);
    if let Some(kind) = auth.as_ref().and_then(|auth| auth.text("type", &mut reader.report))
        && !kind.value.eq_ignore_ascii_case("NONE")
    {
        let message = fields.says(format!(
            "`x-amazon-apigateway-auth` of type `{}` is not supported",
            quote(&kind.value)
        ));
        let remedy = "protect it by a scheme with `x-portcullis-authorizer`";
        reader
            .report
            .error(&kind.place, "authorizer-not-supported", message, remedy);
    }
    reader.report.errors() > before
}
