//! Which scheme protects an operation: none, or exactly one.

use portcullis_core::Place;

use crate::{
    api_key,
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

/// Reads `security` and `x-amazon-apigateway-auth` of an operation: which scheme protects it, and where an API key is
/// demanded beside that.
///
/// Amazon exports an authoriser and an API key as two alternatives and demands both, so both are demanded here, however they
/// are written.
pub(crate) fn read(route: &Route<'_>, reader: &mut Reader<'_>) -> (Requirement, Option<Place>) {
    if refuses_auth(&route.fields, reader) {
        return (Requirement::Refused, None);
    }
    let Some(entry) = route.fields.map.entry("security") else {
        return (Requirement::Absent, None);
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
    let mut api_key = None;
    let mut of_keys_alone = 0;
    for alternative in alternatives {
        let about = route.label.as_str();
        let Some(all) = Fields::of(alternative, &alternative.place, about, &mut reader.report) else {
            continue;
        };
        let before = found.len();
        let mut has_key = false;
        for (name, demanded) in all.map.iter() {
            let scopes = all.texts(name, &mut reader.report);
            if api_key::is_demanded_by(name, reader) {
                has_key = true;
                api_key.get_or_insert_with(|| demanded.key_place.clone());
            } else {
                found.push((name, demanded.key_place.clone(), scopes));
            }
        }
        of_keys_alone += usize::from(has_key && found.len() == before);
    }
    if let Some(place) = &api_key {
        api_key::check_kind(place, &route.label, reader);
    }
    if reader.report.errors() > before {
        return (Requirement::Refused, None);
    }
    let requirement = match (found.as_slice(), alternatives.len() - of_keys_alone) {
        ([], 0) => Requirement::Nobody,
        ([], 1) if api_key.is_none() => Requirement::Nobody,
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
            let remedy = "name one scheme, and one for an API key at most: an operation has one authoriser";
            reader
                .report
                .error(&entry.key_place, "several-schemes", message, remedy);
            Requirement::Refused
        }
    };
    (requirement, api_key)
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
