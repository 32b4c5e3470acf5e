//! Security schemes and their authorisers.

use indexmap::IndexMap;
use portcullis_core::{Place, suggest::closest};

use crate::{
    document::{ApiKind, Authorizer, AuthorizerKind, JwtAuthorizer, Located},
    extensions,
    fields::Fields,
    read::Reader,
    report::{did_you_mean, list, quote},
    security::refuses_auth,
    token,
    tree::{Map, Node},
};

/// The longest that a verdict's policy is kept.
pub(crate) const RESULT_TTL_S_MAX: u32 = 3_600;

pub(crate) const AMAZON: &str = "x-amazon-apigateway-authorizer";
pub(crate) const PORTCULLIS: &str = "x-portcullis-authorizer";
const SCHEME_KEYS: &[&str] = &[
    "authorizationUrl",
    "bearerFormat",
    "description",
    "flow",
    "flows",
    "in",
    "name",
    "openIdConnectUrl",
    "scheme",
    "scopes",
    "tokenUrl",
    "type",
];
const JWT_KEYS: &[&str] = &[
    "authorizerResultTtlInSeconds",
    "identitySource",
    "jwtConfiguration",
    "type",
];

/// Where a scheme is first demanded, and the routes that it is to protect.
pub(crate) struct Use {
    pub(crate) place: Place,
    pub(crate) labels: Vec<String>,
}

/// The authorisers of the schemes in `uses`, by name.
pub(crate) fn read(uses: &IndexMap<String, Use>, reader: &mut Reader<'_>) -> IndexMap<String, Authorizer> {
    let mut authorizers = IndexMap::new();
    let table = table(reader);
    let schemes: Vec<_> = table.into_iter().flat_map(Map::iter).collect();
    for (name, used) in uses
        .iter()
        .filter(|(name, _)| !table.is_some_and(|table| table.has(name)))
    {
        const NAMES_MAX: usize = 200;
        let candidate = closest(name, schemes.iter().map(|(name, _)| *name).take(NAMES_MAX));
        let message = format!(
            "there is no security scheme `{}`, which is to protect {}",
            quote(name),
            joined(&used.labels)
        );
        let remedy = match candidate {
            Some(candidate) => format!("did you mean `{}`?", quote(candidate)),
            None => "define it in `components.securitySchemes` (`securityDefinitions` in Swagger)".to_owned(),
        };
        reader
            .report
            .error(&used.place, "unknown-security-scheme", message, remedy);
    }
    for (name, entry) in schemes {
        let about = format!("security scheme `{}`", quote(name));
        let Some(node) = reader.resolve(&entry.value, &about) else {
            continue;
        };
        let Some(fields) = Fields::of(node, &entry.key_place, about, &mut reader.report) else {
            continue;
        };
        if !std::ptr::eq(node, &entry.value) {
            extensions::check_scheme(fields.map, &mut reader.report);
        }
        let labels = uses.get(name).map_or(&[][..], |used| &used.labels);
        let before = reader.report.errors();
        let scheme = Scheme { name, labels, fields };
        let authorizer = scheme.authorizer(reader);
        let is_sound = reader.report.errors() == before;
        if let Some(authorizer) = authorizer.filter(|_| is_sound && !labels.is_empty()) {
            authorizers.insert(name.to_owned(), authorizer);
        }
    }
    authorizers
}

pub(crate) fn table<'a>(reader: &Reader<'a>) -> Option<&'a Map> {
    let swagger = reader.root.get("securityDefinitions");
    let openapi = || reader.root.get("components")?.as_map()?.get("securitySchemes");
    swagger.or_else(openapi).and_then(Node::as_map)
}

fn joined(labels: &[String]) -> String {
    list(labels.iter().map(String::as_str))
}

struct Scheme<'a, 'u> {
    name: &'a str,
    labels: &'u [String],
    fields: Fields<'a>,
}

// === impl Scheme ===

impl Scheme<'_, '_> {
    fn authorizer(&self, reader: &mut Reader<'_>) -> Option<Authorizer> {
        self.fields.mostly(SCHEME_KEYS, &mut reader.report);
        let ours = self.fields.fields(PORTCULLIS, &mut reader.report);
        let amazons = self.fields.fields(AMAZON, &mut reader.report);
        if let Some(ours) = ours {
            if let Some(amazons) = amazons {
                let message = self
                    .fields
                    .says(format!("`{PORTCULLIS}` takes the place of `{AMAZON}`"));
                reader.report.warn(
                    &amazons.place,
                    "authorizer-replaced",
                    message,
                    "nothing to do, if that is meant",
                );
            }
            let result_ttl_s = ttl(&ours, reader);
            let kind = AuthorizerKind::Token(Box::new(token::read(&self.fields, &ours, reader)?));
            return Some(self.finish(kind, result_ttl_s));
        }
        match amazons {
            Some(amazons) => self.amazons(&amazons, reader),
            None => {
                self.without_authorizer(reader);
                None
            }
        }
    }

    fn finish(&self, kind: AuthorizerKind, result_ttl_s: Option<Located<u32>>) -> Authorizer {
        Authorizer {
            place: self.fields.place.clone(),
            name: self.name.to_owned(),
            result_ttl_s,
            kind,
        }
    }

    fn amazons(&self, settings: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Authorizer> {
        let remedy = "give its type: `jwt` for HTTP APIs";
        let kind = settings.required_text("type", remedy, &mut reader.report)?;
        match (kind.value.to_ascii_lowercase().as_str(), reader.kind) {
            ("jwt", ApiKind::Http) => {
                settings.only(JWT_KEYS, &mut reader.report);
                let result_ttl_s = ttl(settings, reader);
                Some(self.finish(AuthorizerKind::Jwt(self.jwt(settings, reader)?), result_ttl_s))
            }
            ("jwt", ApiKind::Rest) => {
                let what = "a `jwt` authoriser is supported for HTTP APIs only";
                self.refuse(
                    &kind.place,
                    what,
                    "use `x-portcullis-authorizer` with `jwks`, or `kind = \"http\"`",
                    reader,
                );
                None
            }
            ("token" | "request" | "cognito_user_pools", _) => {
                let what = format!("an authoriser of type `{}` is not supported yet", kind.value);
                let remedy = "check the token here with `x-portcullis-authorizer` in the same scheme";
                self.refuse(&kind.place, &what, remedy, reader);
                None
            }
            (other, _) => {
                let what = format!("there is no authoriser of type `{}`", quote(other));
                let remedy = did_you_mean(other, &["token", "request", "jwt", "cognito_user_pools"]);
                self.refuse(&kind.place, &what, &remedy, reader);
                None
            }
        }
    }

    fn jwt(&self, settings: &Fields<'_>, reader: &mut Reader<'_>) -> Option<JwtAuthorizer> {
        let report = &mut reader.report;
        let default = || Located {
            value: "$request.header.Authorization".to_owned(),
            place: settings.place.clone(),
        };
        let identity_source = settings.text("identitySource", report).unwrap_or_else(default);
        let Some(configuration) = settings.fields("jwtConfiguration", report) else {
            let message = self.fields.says("`jwtConfiguration` is missing");
            report.error(
                &settings.place,
                "missing-key",
                message,
                "give it an `issuer` and an `audience`",
            );
            return None;
        };
        configuration.only(&["audience", "issuer"], report);
        let issuer = configuration.required_text("issuer", "give the issuer's URL", report);
        let audiences = configuration.texts("audience", report);
        if audiences.is_empty() {
            let message = configuration.says("`audience` is missing");
            report.error(
                &configuration.place,
                "missing-key",
                message,
                "name at least one audience",
            );
            return None;
        }
        Some(JwtAuthorizer {
            identity_source,
            issuer: issuer?,
            audiences,
        })
    }

    /// A scheme that only describes has no effect at Amazon: an operation that relies on it is open there.
    fn without_authorizer(&self, reader: &mut Reader<'_>) {
        if self.labels.is_empty() || refuses_auth(&self.fields, reader) {
            return;
        }
        let text = |key: &str| self.fields.map.get(key).and_then(Node::as_text).unwrap_or_default();
        let authtype = text("x-amazon-apigateway-authtype");
        let place = self.fields.place.clone();
        if authtype.eq_ignore_ascii_case("awsSigv4") {
            let remedy = "use a scheme with `x-portcullis-authorizer`";
            self.refuse(&place, "signatures with AWS keys are not supported", remedy, reader);
        } else if text("type") == "apiKey" && text("name").eq_ignore_ascii_case("x-api-key") {
            let message = self
                .fields
                .says(format!("an API key comes in a header only: {}", joined(self.labels)));
            let remedy = "write `in: header`, in the scheme itself";
            reader.report.error(&place, "scheme-not-supported", message, remedy);
        } else {
            let message = self.fields.says(format!(
                "no authoriser checks it, which would leave open: {}",
                joined(self.labels)
            ));
            let remedy = "add `x-portcullis-authorizer` (or, for HTTP APIs, a `jwt` authoriser) to the scheme";
            reader
                .report
                .error(&place, "scheme-without-authorizer", message, remedy);
        }
    }

    /// An error where the scheme protects routes; a warning where it is merely there.
    fn refuse(&self, place: &Place, what: &str, remedy: &str, reader: &mut Reader<'_>) {
        let code = "authorizer-not-supported";
        if self.labels.is_empty() {
            reader.report.warn(
                place,
                code,
                self.fields.says(format!("{what}, and no operation uses it")),
                remedy,
            );
        } else {
            let message = self
                .fields
                .says(format!("{what}; it is to protect {}", joined(self.labels)));
            reader.report.error(place, code, message, remedy);
        }
    }
}

fn ttl(settings: &Fields<'_>, reader: &mut Reader<'_>) -> Option<Located<u32>> {
    settings.number(
        "authorizerResultTtlInSeconds",
        0..=RESULT_TTL_S_MAX,
        "out-of-range",
        &mut reader.report,
    )
}
