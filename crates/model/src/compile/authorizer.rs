//! Authorisers of a document, compiled.

use std::path::{Path, PathBuf};

use http::HeaderName;
use portcullis_core::{Findings, Place, SecretRef};
use portcullis_jose::{Algorithm, AlgorithmSet, Rules, SecretEncoding};
use portcullis_openapi::document::{self, AuthorizerKind, JwtAuthorizer, Located, TokenAuthorizer};
use portcullis_policy::template::PolicyTemplate;

use crate::snapshot::{
    Authorizer, Bearer, BindingTarget, ClaimBinding, Grants, JwksUrl, KeySource, TokenGrants, TokenSource,
};

/// The TTL of an authoriser that states none, in seconds (Amazon's default for REST APIs).
const RESULT_TTL_DEFAULT_S: u32 = 300;

/// Compiles one authoriser; file references are relative to `directory`.
pub(super) fn compile(given: &document::Authorizer, directory: &Path, findings: &mut Findings) -> Option<Authorizer> {
    match &given.kind {
        AuthorizerKind::Token(token) => compile_token(given, token, directory, findings),
        AuthorizerKind::Jwt(jwt) => compile_jwt(given, jwt, findings),
    }
}

fn compile_token(
    given: &document::Authorizer,
    token: &TokenAuthorizer,
    directory: &Path,
    findings: &mut Findings,
) -> Option<Authorizer> {
    let header = header_name(&token.header, findings);
    let algorithms = algorithms(&token.algorithms, findings);
    let keys = key_source(given, token, algorithms, directory, findings);
    let expression = match &token.validation_expression {
        Some(text) => Some(expression(text, findings)?),
        None => None,
    };
    let bindings = token
        .bindings
        .iter()
        .filter_map(|binding| claim_binding(binding, findings))
        .collect();
    let policy = match &token.policy {
        Some(policy) => match PolicyTemplate::parse(&policy.value) {
            Ok(template) => Some(template),
            Err(error) => {
                findings.error(
                    policy.place.clone(),
                    "policy-invalid",
                    format!("the policy of authoriser `{}` cannot be used: {error}", given.name),
                    "write an IAM policy document; strings may hold ${claims.NAME}",
                );
                return None;
            }
        },
        None => None,
    };
    let grants = TokenGrants {
        policy,
        principal_claim: token
            .principal_claim
            .as_ref()
            .map_or("sub".into(), |claim| claim.value.as_str().into()),
        bindings,
        deny_list: token
            .deny_list
            .as_ref()
            .and_then(|list| file_path(list, directory, "denyList", findings)),
    };
    if !token.require_expiry {
        findings.warn(
            given.place.clone(),
            "expiry-not-required",
            format!("authoriser `{}` accepts tokens that never expire", given.name),
            "drop `requireExpiry: false` once every token has an `exp`",
        );
    }
    Some(Authorizer {
        name: given.name.as_str().into(),
        source: TokenSource::Header(header?),
        bearer: if token.bearer_prefix {
            Bearer::Required
        } else {
            Bearer::Unknown
        },
        rules: Rules {
            algorithms,
            require_expiry: token.require_expiry,
            leeway_s: token.leeway_s.as_ref().map_or(0, |leeway| leeway.value),
            issuer: token.issuer.as_ref().map(|issuer| issuer.value.as_str().into()),
            audiences: token
                .audiences
                .iter()
                .map(|audience| audience.value.as_str().into())
                .collect(),
            client_id_as_audience: false,
            check_issued_at: false,
        },
        keys: keys?,
        expression,
        result_ttl_s: given
            .result_ttl_s
            .as_ref()
            .map_or(RESULT_TTL_DEFAULT_S, |ttl| ttl.value),
        grants: Grants::Policy(Box::new(grants)),
    })
}

fn compile_jwt(given: &document::Authorizer, jwt: &JwtAuthorizer, findings: &mut Findings) -> Option<Authorizer> {
    let source = jwt_source(&jwt.identity_source, findings);
    let issuer = jwt.issuer.value.trim_end_matches('/');
    let discovery = jwks_url(
        &Located {
            value: format!("{issuer}/.well-known/openid-configuration"),
            place: jwt.issuer.place.clone(),
        },
        findings,
    );
    Some(Authorizer {
        name: given.name.as_str().into(),
        source: source?,
        bearer: Bearer::Optional,
        rules: Rules {
            algorithms: [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512]
                .into_iter()
                .collect(),
            require_expiry: true,
            leeway_s: 0,
            issuer: Some(jwt.issuer.value.as_str().into()),
            audiences: jwt
                .audiences
                .iter()
                .map(|audience| audience.value.as_str().into())
                .collect(),
            client_id_as_audience: true,
            check_issued_at: true,
        },
        keys: KeySource::Discovery(discovery?),
        expression: None,
        result_ttl_s: given
            .result_ttl_s
            .as_ref()
            .map_or(RESULT_TTL_DEFAULT_S, |ttl| ttl.value),
        grants: Grants::Scopes,
    })
}

/// `$request.header.NAME` or `$request.querystring.NAME`.
fn jwt_source(source: &Located<String>, findings: &mut Findings) -> Option<TokenSource> {
    if let Some(name) = source.value.strip_prefix("$request.header.") {
        let name = Located {
            value: name.to_owned(),
            place: source.place.clone(),
        };
        return header_name(&name, findings).map(TokenSource::Header);
    }
    if let Some(name) = source
        .value
        .strip_prefix("$request.querystring.")
        .filter(|name| !name.is_empty())
    {
        return Some(TokenSource::Query(name.into()));
    }
    findings.error(
        source.place.clone(),
        "identity-source-invalid",
        format!("`{}` is no identity source of a JWT authoriser", source.value),
        "write `$request.header.Authorization` or `$request.querystring.NAME`",
    );
    None
}

fn key_source(
    given: &document::Authorizer,
    token: &TokenAuthorizer,
    algorithms: AlgorithmSet,
    directory: &Path,
    findings: &mut Findings,
) -> Option<KeySource> {
    let name = &given.name;
    let hmac = algorithms.iter().any(Algorithm::is_symmetric);
    let asymmetric = algorithms.iter().any(|algorithm| !algorithm.is_symmetric());
    let mut wrong = |place: &Place, message: String, remedy: &str| {
        findings.error(place.clone(), "authorizer-keys", message, remedy);
        None
    };
    match (&token.jwks, token.secrets.as_slice()) {
        (None, []) => wrong(
            &given.place,
            format!("authoriser `{name}` has no keys"),
            "give `secret: env:NAME | file:PATH` for HS256, or `jwks: file:PATH | https://…`",
        ),
        (Some(jwks), [_, ..]) => wrong(
            &jwks.place,
            format!("authoriser `{name}` has both `secret` and `jwks`"),
            "keep one of them; two authorisers can protect different routes",
        ),
        (None, [first, ..]) if asymmetric => wrong(
            &first.place,
            format!("authoriser `{name}` allows algorithms with public keys but has shared secrets"),
            "allow only HS256, HS384 or HS512 beside `secret`, or give `jwks`",
        ),
        (Some(jwks), []) if hmac => wrong(
            &jwks.place,
            format!("authoriser `{name}` allows an HMAC algorithm with a public key set"),
            "allow only RS*, PS*, ES* and EdDSA beside `jwks`, or give `secret`",
        ),
        (None, secrets) => {
            let encoding = secret_encoding(token, findings)?;
            let references = secrets
                .iter()
                .filter_map(|secret| secret_reference(secret, directory, findings));
            let references: Vec<_> = references.collect();
            (references.len() == secrets.len()).then_some(KeySource::Secrets { references, encoding })
        }
        (Some(jwks), []) if jwks.value.starts_with("file:") => {
            file_path(jwks, directory, "jwks", findings).map(KeySource::JwksFile)
        }
        (Some(jwks), []) => jwks_url(jwks, findings).map(KeySource::JwksUrl),
    }
}

fn secret_encoding(token: &TokenAuthorizer, findings: &mut Findings) -> Option<SecretEncoding> {
    let Some(encoding) = &token.secret_encoding else {
        return Some(SecretEncoding::Base64);
    };
    match encoding.value.as_str() {
        "base64" => Some(SecretEncoding::Base64),
        "raw" => Some(SecretEncoding::Raw),
        other => {
            let message = format!("`{other}` is no encoding of a secret");
            findings.error(
                encoding.place.clone(),
                "secret-encoding",
                message,
                "write `base64` or `raw`",
            );
            None
        }
    }
}

fn secret_reference(secret: &Located<String>, directory: &Path, findings: &mut Findings) -> Option<SecretRef> {
    match secret.value.parse() {
        Ok(SecretRef::File(path)) => Some(SecretRef::File(directory.join(path).to_string_lossy().into_owned())),
        Ok(reference @ SecretRef::Env(_)) => Some(reference),
        Err(_) => {
            // The value may be the secret itself: it is not shown.
            findings.error(
                secret.place.clone(),
                "secret-in-document",
                "a secret is given by value",
                "give it by reference: `env:NAME` or `file:PATH`",
            );
            None
        }
    }
}

fn file_path(text: &Located<String>, directory: &Path, key: &str, findings: &mut Findings) -> Option<PathBuf> {
    match text.value.strip_prefix("file:").filter(|path| !path.is_empty()) {
        Some(path) => Some(directory.join(path)),
        None => {
            let message = format!("`{key}` is not a file reference");
            findings.error(text.place.clone(), "file-reference", message, "write `file:PATH`");
            None
        }
    }
}

fn jwks_url(url: &Located<String>, findings: &mut Findings) -> Option<JwksUrl> {
    match JwksUrl::parse(&url.value) {
        Ok(url) => Some(url),
        Err(error) => {
            let message = format!("keys cannot be fetched from `{}`: {error}", url.value);
            findings.error(
                url.place.clone(),
                "jwks-url",
                message,
                "write `https://HOST/PATH`, or `file:PATH`",
            );
            None
        }
    }
}

fn algorithms(names: &[Located<String>], findings: &mut Findings) -> AlgorithmSet {
    let mut known = Vec::new();
    for name in names {
        match name.value.parse::<Algorithm>() {
            Ok(algorithm) => known.push(algorithm),
            Err(_) => findings.error(
                name.place.clone(),
                "algorithm-unknown",
                format!("`{}` is no signature algorithm that can be verified", name.value),
                "write HS256, RS256, PS256, ES256 or EdDSA",
            ),
        }
    }
    known.into_iter().collect()
}

/// Amazon matches the expression against the whole token.
fn expression(text: &Located<String>, findings: &mut Findings) -> Option<regex::Regex> {
    match regex::RegexBuilder::new(&format!("^(?:{})$", text.value))
        .size_limit(1 << 20)
        .build()
    {
        Ok(expression) => Some(expression),
        Err(error) => {
            // The library draws a picture over several lines; its last one says what is wrong.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            findings.error(
                text.place.clone(),
                "expression-invalid",
                format!("identityValidationExpression cannot be used: {reason}"),
                "look-around and back references are not supported; everything else of Java's syntax in use is",
            );
            None
        }
    }
}

fn claim_binding(binding: &document::ClaimBinding, findings: &mut Findings) -> Option<ClaimBinding> {
    let to = match &binding.to {
        document::BindingTarget::SourceAddress => BindingTarget::SourceAddress,
        document::BindingTarget::HeaderDigest(name) => {
            let name = Located {
                value: name.clone(),
                place: binding.place.clone(),
            };
            BindingTarget::HeaderDigest(header_name(&name, findings)?)
        }
    };
    Some(ClaimBinding {
        claim: binding.claim.as_str().into(),
        to,
    })
}

fn header_name(name: &Located<String>, findings: &mut Findings) -> Option<HeaderName> {
    match HeaderName::try_from(name.value.as_str()) {
        Ok(name) => Some(name),
        Err(_) => {
            let message = format!("`{}` is no header name", name.value);
            findings.error(
                name.place.clone(),
                "header-name",
                message,
                "use letters, digits and hyphens",
            );
            None
        }
    }
}
