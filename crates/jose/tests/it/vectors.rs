//! Examples of the RFCs.

use portcullis_core::Timestamp;
use portcullis_jose::{
    AlgorithmSet, Claims, JwksOptions, KeySet, TokenError,
    jws::{Compact, JwsError},
    verify,
};
use serde_json::{Value, json};

/// RFC 7515 appendix A.1: the payload of A.1, A.2 and A.3.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// RFC 7520 section 4: the payload of all examples, which is no JSON.
const FRODO: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
const RSA_7515: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_7520: &str = "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw";

fn keys(jwk: &Value) -> KeySet {
    let document = json!({ "keys": [jwk] }).to_string();
    let (keys, skipped) = KeySet::from_jwks_with(document.as_bytes(), JwksOptions { symmetric: true }).unwrap();
    assert_eq!(skipped, []);
    keys
}

/// The token verifies just before its `exp`, has expired at it, and is refused under any other single algorithm.
fn check_token(token: &str, jwk: &Value, algorithm: &str) {
    let keys = keys(jwk);
    let rules = |algorithms| portcullis_jose::Rules {
        algorithms,
        require_expiry: true,
        ..Default::default()
    };
    let own = rules(AlgorithmSet::from(
        algorithm.parse::<portcullis_jose::Algorithm>().unwrap(),
    ));
    let at = |seconds| verify(token, &keys, &own, Timestamp::from_unix_seconds(seconds));
    let claims: Claims = at(1_300_819_379).unwrap();
    assert_eq!(claims.value("iss"), Some(&json!("joe")));
    assert_eq!(claims.value("http://example.com/is_root"), Some(&json!(true)));
    assert_eq!(at(1_300_819_380).unwrap_err(), TokenError::Expired);
    for other in portcullis_jose::Algorithm::ALL
        .into_iter()
        .filter(|other| other.as_str() != algorithm)
    {
        let verdict = verify(token, &keys, &rules(other.into()), Timestamp::from_unix_seconds(0));
        assert_eq!(verdict.unwrap_err(), TokenError::AlgorithmNotAllowed);
    }
}

#[test]
fn rfc_7515_a1_hs256() {
    let k = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let token = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}.{signature}");
    check_token(&token, &json!({"kty": "oct", "k": k}), "HS256");
}

#[test]
fn rfc_7515_a2_rs256() {
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let token = format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.{signature}");
    check_token(&token, &json!({"kty": "RSA", "n": RSA_7515, "e": "AQAB"}), "RS256");
}

#[test]
fn rfc_7515_a3_es256() {
    let jwk = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    check_token(&format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{signature}"), &jwk, "ES256");
}

/// The JWS verifies; with one character of the payload changed it does not.
fn check_bytes(header: &str, payload: &str, signature: &str, jwk: &Value) {
    let keys = keys(jwk);
    let verdict = |payload: &str| {
        let token = format!("{header}.{payload}.{signature}");
        let algorithms = AlgorithmSet::of(&portcullis_jose::Algorithm::ALL);
        Compact::split(&token)?.check_signature(&keys, algorithms, |_| Ok::<_, JwsError>(()))
    };
    assert_eq!(verdict(payload), Ok(()));
    let mut changed = payload.to_owned();
    changed.replace_range(..1, if payload.starts_with('A') { "B" } else { "A" });
    assert_eq!(verdict(&changed), Err(JwsError::BadSignature));
}

#[test]
fn rfc_8037_a4_ed25519() {
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    check_bytes(
        "eyJhbGciOiJFZERTQSJ9",
        "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        signature,
        &jwk,
    );
}

#[test]
fn rfc_7520_4_1_rs256() {
    let header = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    let signature = "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";
    check_bytes(header, FRODO, signature, &rsa_7520());
}

#[test]
fn rfc_7520_4_2_ps384() {
    let header = "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    let signature = "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";
    check_bytes(header, FRODO, signature, &rsa_7520());
}

#[test]
fn rfc_7520_4_4_hs256() {
    let header = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9";
    let jwk = json!({
        "kty": "oct",
        "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037",
        "use": "sig",
        "alg": "HS256",
        "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    });
    check_bytes(header, FRODO, "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0", &jwk);
}

fn rsa_7520() -> Value {
    json!({"kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "n": RSA_7520, "e": "AQAB"})
}
