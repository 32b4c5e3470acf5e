//! Properties over random tokens.

use portcullis_jose::{Algorithm, issue, verify};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{GOOD, craft, key_set, lax, now, oracle::oracle, signing_key};

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(vec![
        Algorithm::HS256,
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ])
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

/// Case counts grow with `PORTCULLIS_SOAK`.
fn cases(ordinary: u32) -> ProptestConfig {
    let factor = std::env::var("PORTCULLIS_SOAK")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(ordinary.saturating_mul(factor))
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn any_change_of_one_byte_is_refused(algorithm in algorithm(), place in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let token = craft(&format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#), GOOD, &signing_key(algorithm));
        let mut changed = token.clone().into_bytes();
        let place = place.index(changed.len());
        prop_assume!(changed[place] != byte);
        changed[place] = byte;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert!(verify(&token, &key_set(algorithm), &lax(), now()).is_ok());
        prop_assert!(verify(&changed, &key_set(algorithm), &lax(), now()).is_err(), "{} {}", algorithm, changed);
    }

    #[test]
    fn any_bytes_inserted_or_cut_out_are_refused(algorithm in algorithm(), place in any::<prop::sample::Index>(), insert in "[ -~]{1,4}", cut in 1_usize..5) {
        let token = craft(&format!(r#"{{"alg":"{algorithm}"}}"#), GOOD, &signing_key(algorithm));
        let place = place.index(token.len());
        let longer = format!("{}{insert}{}", &token[..place], &token[place..]);
        let shorter = format!("{}{}", &token[..place], &token[(place + cut).min(token.len())..]);
        for changed in [longer, shorter] {
            prop_assert!(verify(&changed, &key_set(algorithm), &lax(), now()).is_err(), "{} {}", algorithm, changed);
        }
    }

    #[test]
    fn claims_come_back_as_they_were_and_as_the_oracle_reads_them(name in "[a-z]{1,8}_", value in value()) {
        let mut claims = Map::new();
        claims.insert(name, value);
        let token = issue(&claims, &signing_key(Algorithm::HS256), None).unwrap();
        let accepted = verify(&token, &key_set(Algorithm::HS256), &lax(), now()).unwrap();
        prop_assert_eq!(accepted.object(), &claims);
        prop_assert_eq!(oracle(&token, Algorithm::HS256), Some(Value::Object(claims)));
    }

    #[test]
    fn what_we_accept_the_oracle_reads_alike(header in r#"\{"alg":"HS256"(,"[a-z]{1,3}":("[a-z]{0,3}"|[0-9]{1,3}|null|\{\}))?\}"#, payload in r#"\{("[a-e]{1,2}":("[a-z]{0,3}"|-?[0-9]{1,20}|[0-9]e[0-9]{1,3}|true|\[1?\]),?){0,3}\}"#) {
        let token = craft(&header, &payload, &signing_key(Algorithm::HS256));
        if let Ok(accepted) = verify(&token, &key_set(Algorithm::HS256), &lax(), now()) {
            prop_assert_eq!(oracle(&token, Algorithm::HS256), Some(Value::Object(accepted.object().clone())));
        }
    }
}
