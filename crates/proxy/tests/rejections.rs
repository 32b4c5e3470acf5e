//! Every refusal with its status, type, messages, party and retry rule, as a golden file: it is a contract.
//!
//! `PORTCULLIS_BLESS=1` writes the file anew; review what changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use portcullis_core::PathError;
use portcullis_jose::TokenError;
use portcullis_model::snapshot::ApiKind;
use portcullis_net::tls::ClientCertificateFault;
use portcullis_proxy::Rejection;

fn all() -> Vec<Rejection> {
    vec![
        Rejection::ApiKeyMissing,
        Rejection::ApiKeyRefused,
        Rejection::ArnTooLong,
        Rejection::BindingMismatch,
        Rejection::BodyAnnouncedTooLarge,
        Rejection::BodyMalformed,
        Rejection::BodyTimeout,
        Rejection::BodyTooLarge,
        Rejection::ClientCertificate(ClientCertificateFault::Revoked),
        Rejection::ClientGone,
        Rejection::Denied { explicit: true },
        Rejection::Denied { explicit: false },
        Rejection::EndpointDisabled(ApiKind::Http),
        Rejection::HeadMalformed("Host is missing"),
        Rejection::HeadTimeout,
        Rejection::HeadersTooLarge,
        Rejection::IntegrationMalformed,
        Rejection::IntegrationTimeout,
        Rejection::IntegrationUnreachable,
        Rejection::InvalidationDenied,
        Rejection::JwtMissing,
        Rejection::JwtRefused(TokenError::Expired),
        Rejection::KeysUnavailable,
        Rejection::MappingFailed("a mapped value cannot stand in a header".into()),
        Rejection::Misdirected,
        Rejection::NoRoute,
        Rejection::Overloaded,
        Rejection::PathRefused(PathError::DotSegment),
        Rejection::PolicyUnmade,
        Rejection::QuotaExceeded {
            retry_after_ms: Some(60_000),
        },
        Rejection::ResourcePolicy {
            explicit: true,
            arn: "arn:…".into(),
        },
        Rejection::ResourcePolicy {
            explicit: false,
            arn: "arn:…".into(),
        },
        Rejection::ScopeMissing,
        Rejection::SourceThrottled {
            retry_after_ms: Some(100),
        },
        Rejection::Throttled {
            limit: "stage",
            retry_after_ms: Some(100),
        },
        Rejection::TokenDenied,
        Rejection::TokenMismatch,
        Rejection::TokenMissing,
        Rejection::TokenRefused(TokenError::BadSignature),
        Rejection::UnknownStage,
        Rejection::UnmappedPath,
        Rejection::UriTooLong,
    ]
}

#[test]
fn the_list_of_refusals_is_as_agreed() {
    let mut text = String::new();
    for rejection in all() {
        let name = format!("{rejection:?}");
        let facts = rejection.facts();
        let portcullis_proxy::Facts {
            step,
            response,
            status,
            message,
            http_status,
            http_message,
            party,
            retry,
        } = facts;
        text.push_str(&format!(
            "{name}\n    step {step}, fault of the {party:?}, retry {retry:?}\n    REST {status} {} {} {}\n    HTTP \
             {http_status} {http_message}\n    log: {}\n",
            response.as_str(),
            response.defaults().error_type,
            message.as_deref().unwrap_or("null"),
            rejection.log_text(),
        ));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/rejections.txt");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), text);
}

#[test]
fn the_list_is_whole() {
    // A variant that is missing above has no line in the golden file. The names are those of the enum's own source.
    let source = include_str!("../src/rejection.rs");
    let body = source
        .split("pub enum Rejection {")
        .nth(1)
        .unwrap()
        .split("\n}")
        .next()
        .unwrap();
    let names = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(char::is_uppercase));
    let names: Vec<_> = names
        .map(|line| line.split(|letter: char| !letter.is_alphanumeric()).next().unwrap())
        .collect();
    let listed: std::collections::BTreeSet<_> = all()
        .iter()
        .map(|rejection| {
            format!("{rejection:?}")
                .split(|letter: char| !letter.is_alphanumeric())
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(names.len() > 20);
    for name in names {
        assert!(listed.contains(name), "{name} is not in the golden file");
    }
}
