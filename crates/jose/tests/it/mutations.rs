//! What forgers try, each beside the token that is accepted.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_core::Secret;
use portcullis_jose::{
    Algorithm::{self, ES256, EdDSA, HS256, HS384, PS256, RS256},
    KeySet, SecretEncoding, SigningKey, TOKEN_BYTES_MAX, TokenError, verify,
};

use crate::{GOOD, SECRET, craft, key_set, lax, now, pem, signing_key};

const HS: &str = r#"{"alg":"HS256"}"#;

/// Accepted or refused for exactly this reason; refused always when it must be.
fn check(name: &str, token: &str, keys: &KeySet, expected: Result<(), TokenError>) {
    let verdict = verify(token, keys, &lax(), now()).map(|claims| assert!(!claims.object().is_empty()));
    assert_eq!(verdict, expected, "{name}: {token}");
}

fn refused(error: TokenError) -> Result<(), TokenError> {
    Err(error)
}

#[test]
fn every_algorithm_is_accepted_and_no_key_of_another_kind_takes_its_place() {
    for signed in Algorithm::ALL {
        let token = craft(&format!(r#"{{"alg":"{signed}"}}"#), GOOD, &signing_key(signed));
        for verified in Algorithm::ALL {
            // Every HMAC algorithm uses the same secret, and the JWK of an RSA key names its one algorithm.
            let same = signed == verified || (signed.is_symmetric() && verified.is_symmetric());
            let expected = if same { Ok(()) } else { refused(TokenError::UnknownKey) };
            check(
                &format!("{signed} with a key for {verified}"),
                &token,
                &key_set(verified),
                expected,
            );
        }
    }
}

#[test]
fn a_public_key_is_never_a_secret() {
    let keys = key_set(RS256);
    check(
        "RS256 itself",
        &craft(r#"{"alg":"RS256"}"#, GOOD, &signing_key(RS256)),
        &keys,
        Ok(()),
    );
    let jwk = signing_key(RS256).public_jwk().unwrap();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for public in [jwk.to_string().into_bytes(), modulus, pem(RS256).unwrap().to_vec()] {
        let forger = SigningKey::hmac(&Secret::new(public), SecretEncoding::Raw, HS256).unwrap();
        check(
            "RS256 to HS256",
            &craft(HS, GOOD, &forger),
            &keys,
            refused(TokenError::UnknownKey),
        );
        check(
            "left as RS256",
            &craft(r#"{"alg":"RS256"}"#, GOOD, &forger),
            &keys,
            refused(TokenError::BadSignature),
        );
    }
}

#[test]
fn algorithm_names() {
    let (key, keys) = (signing_key(HS256), key_set(HS256));
    let with = |header: &str, expected| check(header, &craft(header, GOOD, &key), &keys, expected);
    with(HS, Ok(()));
    for name in [
        "none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS", "HS257", "RS1", "dir", "A256GCM",
    ] {
        with(
            &format!(r#"{{"alg":"{name}"}}"#),
            refused(TokenError::AlgorithmNotAllowed),
        );
    }
    for wrong in [
        r#"{}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":256}"#,
        r#"{"ALG":"HS256"}"#,
    ] {
        with(wrong, refused(TokenError::MalformedHeader));
    }
    with(r#"{"\u0061lg":"HS2\u00356"}"#, Ok(())); // escapes mean what they say
    with(r#"{"alg":"HS384"}"#, refused(TokenError::BadSignature));
    check(
        "HS384 itself",
        &craft(r#"{"alg":"HS384"}"#, GOOD, &signing_key(HS384)),
        &keys,
        Ok(()),
    );
    let none = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(GOOD)
    );
    check(
        "none, no signature",
        &none,
        &keys,
        refused(TokenError::AlgorithmNotAllowed),
    );
}

#[test]
fn headers() {
    let (key, keys) = (signing_key(HS256), key_set(HS256));
    let with = |members: &str, expected| {
        let header = format!(r#"{{"alg":"HS256"{members}}}"#);
        check(&header, &craft(&header, GOOD, &key), &keys, expected);
    };
    with("", Ok(()));
    with(r#","alg":"HS256""#, refused(TokenError::MalformedHeader));
    with(r#","alg":"none""#, refused(TokenError::MalformedHeader));
    with(r#","\u0061lg":"none""#, refused(TokenError::MalformedHeader));
    with(r#","x":1,"x":1"#, refused(TokenError::MalformedHeader));
    with(r#","x":1,"y":1"#, Ok(()));
    with(r#","x":{"y":1,"y":2}"#, refused(TokenError::MalformedHeader));
    with(r#","kid":"a","kid":"a""#, refused(TokenError::MalformedHeader));
    with(r#","kid":7"#, refused(TokenError::MalformedHeader));
    with(r#","crit":["exp"],"exp":1"#, refused(TokenError::UnsupportedCritical));
    with(r#","crit":[]"#, refused(TokenError::UnsupportedCritical));
    with(
        r#","crit":["b64"],"b64":false"#,
        refused(TokenError::UnsupportedCritical),
    );
    with(r#","\u0063rit":null"#, refused(TokenError::UnsupportedCritical));
    for typ in [
        "JWT",
        "jwt",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "application/JWT",
    ] {
        with(&format!(r#","typ":"{typ}""#), Ok(()));
    }
    for typ in ["", "JOSE", "dpop+jwt", "logout+jwt", "secevent+jwt", "text/jwt"] {
        with(&format!(r#","typ":"{typ}""#), refused(TokenError::WrongType));
    }
    with(r#","typ":null"#, refused(TokenError::MalformedHeader));
    let many = |count: usize| (0..count).map(|index| format!(r#","m{index}":0"#)).collect::<String>();
    with(&many(32), Ok(()));
    with(&many(33), refused(TokenError::MalformedHeader));
    check(
        "not an object",
        &craft("[]", GOOD, &key),
        &keys,
        refused(TokenError::MalformedHeader),
    );
    check(
        "two objects",
        &craft(&format!("{HS}{HS}"), GOOD, &key),
        &keys,
        refused(TokenError::MalformedHeader),
    );
    check("spaced", &craft(" { \"alg\" : \"HS256\" } ", GOOD, &key), &keys, Ok(()));
    check(
        "not JSON",
        &craft("alg=HS256", GOOD, &key),
        &keys,
        refused(TokenError::MalformedHeader),
    );
    check(
        "empty",
        &craft("", GOOD, &key),
        &keys,
        refused(TokenError::MalformedHeader),
    );
}

#[test]
fn keys_that_the_token_brings_are_never_used() {
    let forger = SigningKey::generate(EdDSA).unwrap();
    let jwk = forger.public_jwk().unwrap();
    for members in [
        format!(r#","jwk":{jwk}"#),
        r#","jku":"https://evil.example/jwks.json""#.to_owned(),
        r#","x5u":"https://evil.example/cert.pem""#.to_owned(),
        r#","x5c":["MIIB"]"#.to_owned(),
    ] {
        let header = format!(r#"{{"alg":"EdDSA"{members}}}"#);
        check(
            "forged",
            &craft(&header, GOOD, &forger),
            &key_set(EdDSA),
            refused(TokenError::BadSignature),
        );
        check(
            "honest",
            &craft(&header, GOOD, &signing_key(EdDSA)),
            &key_set(EdDSA),
            Ok(()),
        );
    }
}

#[test]
fn names_of_keys() {
    let named = |kid: &str| {
        let mut jwk = signing_key(ES256).public_jwk().unwrap();
        jwk["kid"] = kid.into();
        jwk
    };
    let with = |kid: &str, keys: &KeySet, expected| {
        let token = craft(&format!(r#"{{"alg":"ES256","kid":{kid}}}"#), GOOD, &signing_key(ES256));
        check(kid, &token, keys, expected);
    };
    let keys = crate::jwks(&[named("a")]);
    with(r#""a""#, &keys, Ok(()));
    with(r#""\u0061""#, &keys, Ok(()));
    for trick in [
        r#""b""#,
        r#""A""#,
        r#""""#,
        r#""a ""#,
        r#""a\u0000""#,
        r#""../../../../dev/null""#,
        r#""/dev/null""#,
        r#""a' OR '1'='1""#,
        r#""x' UNION SELECT 'key'--""#,
        r#""| cat /etc/passwd""#,
        r#""https://evil.example/a""#,
    ] {
        with(trick, &keys, refused(TokenError::UnknownKey));
    }
    with(r#""b""#, &key_set(ES256), Ok(())); // a key without a name may be anybody's
    check(
        "no kid",
        &craft(r#"{"alg":"ES256"}"#, GOOD, &signing_key(ES256)),
        &keys,
        Ok(()),
    );
    let other = SigningKey::generate(ES256).unwrap();
    let forged = craft(r#"{"alg":"ES256","kid":"a"}"#, GOOD, &other);
    check(
        "another key under the name",
        &forged,
        &keys,
        refused(TokenError::BadSignature),
    );
}

#[test]
fn a_token_without_a_name_does_not_buy_a_hundred_signature_checks() {
    let set = |count: usize| {
        let jwk = |index: usize| {
            let mut jwk = signing_key(EdDSA).public_jwk().unwrap();
            jwk["kid"] = index.to_string().into();
            jwk
        };
        crate::jwks(&(0..count).map(jwk).collect::<Vec<_>>())
    };
    let nameless = craft(r#"{"alg":"EdDSA"}"#, GOOD, &signing_key(EdDSA));
    let named = craft(r#"{"alg":"EdDSA","kid":"7"}"#, GOOD, &signing_key(EdDSA));
    check("eight keys", &nameless, &set(8), Ok(()));
    check("nine keys", &nameless, &set(9), refused(TokenError::UnknownKey));
    check("a hundred keys, named", &named, &set(100), Ok(()));
}

#[test]
fn several_secrets_are_all_tried() {
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    let keys = KeySet::from_secrets(&[secret("new"), secret("old")], SecretEncoding::Raw).unwrap();
    for (text, expected) in [
        ("new", Ok(())),
        ("old", Ok(())),
        ("older", refused(TokenError::BadSignature)),
    ] {
        let key = SigningKey::hmac(&secret(text), SecretEncoding::Raw, HS256).unwrap();
        check(text, &craft(HS, GOOD, &key), &keys, expected);
        check(
            text,
            &craft(r#"{"alg":"HS256","kid":"k"}"#, GOOD, &key),
            &keys,
            expected,
        );
    }
}

#[test]
fn serialisations() {
    let keys = key_set(HS256);
    let good = craft(HS, GOOD, &signing_key(HS256));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let with = |name: &str, token: String, error| check(name, &token, &keys, refused(error));
    check("as it is", &good, &keys, Ok(()));
    with("no signature", format!("{header}.{payload}."), TokenError::BadSignature);
    with(
        "signature left out",
        format!("{header}.{payload}"),
        TokenError::MalformedStructure,
    );
    with("empty", String::new(), TokenError::MalformedStructure);
    with("two dots", "..".to_owned(), TokenError::MalformedHeader);
    with("trailing dot", format!("{good}."), TokenError::MalformedStructure);
    with("leading dot", format!(".{good}"), TokenError::MalformedStructure);
    with(
        "four segments",
        format!("{good}.{signature}"),
        TokenError::MalformedStructure,
    );
    with(
        "no header",
        format!(".{payload}.{signature}"),
        TokenError::MalformedHeader,
    );
    with("no payload", format!("{header}..{signature}"), TokenError::BadSignature);
    with(
        "truncated by two bytes",
        good[..good.len() - 3].to_owned(),
        TokenError::BadSignature,
    );
    with(
        "truncated by one",
        good[..good.len() - 1].to_owned(),
        TokenError::MalformedEncoding,
    );
    with("longer by four", format!("{good}AAAA"), TokenError::BadSignature);
    with("padded signature", format!("{good}="), TokenError::MalformedEncoding);
    with(
        "padded header",
        format!("{header}=.{payload}.{signature}"),
        TokenError::MalformedEncoding,
    );
    with("space before", format!(" {good}"), TokenError::MalformedEncoding);
    with("space behind", format!("{good} "), TokenError::MalformedEncoding);
    with("line break behind", format!("{good}\n"), TokenError::MalformedEncoding);
    with(
        "space inside",
        format!("{header}. {payload}.{signature}"),
        TokenError::BadSignature,
    );
    with("a zero byte", format!("{good}\0"), TokenError::MalformedEncoding);
    with("not ASCII", format!("{good}é"), TokenError::MalformedEncoding);
    with(
        "scheme left in front",
        format!("Bearer {good}"),
        TokenError::MalformedEncoding,
    );
    with("quoted", format!("\"{good}\""), TokenError::MalformedEncoding);
    with(
        "JSON serialisation",
        format!(r#"{{"payload":"{payload}"}}"#),
        TokenError::MalformedStructure,
    );
    let standard = signature.replace('-', "+").replace('_', "/");
    if standard != signature {
        with(
            "standard alphabet",
            format!("{header}.{payload}.{standard}"),
            TokenError::MalformedEncoding,
        );
    }
    // 32 bytes leave two bits of the last character unused: three other spellings decode alike elsewhere.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(good.chars().last().unwrap()).unwrap();
    for bits in 1..4 {
        let other = alphabet.as_bytes()[last + bits] as char;
        with(
            "trailing bits",
            format!("{}{other}", &good[..good.len() - 1]),
            TokenError::MalformedEncoding,
        );
    }
}

#[test]
fn length_is_bounded() {
    let key = signing_key(HS256);
    let sized = |padding: usize| craft(HS, &format!(r#"{{"p":"{}"}}"#, "x".repeat(padding)), &key);
    let largest = (0..TOKEN_BYTES_MAX)
        .rev()
        .map(|cut| TOKEN_BYTES_MAX - 1 - cut)
        .take_while(|padding| {
            let payload = r#"{"p":""}"#.len() + padding;
            HS.len().div_ceil(3) * 4 + 2 + (payload * 4).div_ceil(3) + 43 <= TOKEN_BYTES_MAX
        });
    let largest = largest.last().unwrap();
    assert!(sized(largest).len() >= TOKEN_BYTES_MAX - 3 && sized(largest).len() <= TOKEN_BYTES_MAX);
    check("as long as may be", &sized(largest), &key_set(HS256), Ok(()));
    check(
        "longer",
        &sized(largest + 4),
        &key_set(HS256),
        refused(TokenError::TooLong),
    );
}

#[test]
fn signatures_of_another_shape() {
    let (key, keys) = (signing_key(ES256), key_set(ES256));
    let good = craft(r#"{"alg":"ES256"}"#, GOOD, &key);
    check("R and S", &good, &keys, Ok(()));
    let (input, signature) = good.rsplit_once('.').unwrap();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let with = |name: &str, bytes: &[u8]| {
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));
        check(name, &token, &keys, refused(TokenError::BadSignature));
    };
    with("DER", &der(&raw));
    with("zeros (CVE-2022-21449)", &[0; 64]);
    with("R zero", &[&[0; 32], &raw[32..]].concat());
    with("S zero", &[&raw[..32], &[0; 32]].concat());
    with("swapped", &[&raw[32..], &raw[..32]].concat());
    with(
        "a zero in front of each",
        &[&[0], &raw[..32], &[0], &raw[32..]].concat(),
    );
    with("one byte more", &[&raw[..], &[0]].concat());
    with("one byte less", &raw[..63]);
    with("twice", &[&raw[..], &raw].concat());
    for algorithm in [RS256, PS256, EdDSA] {
        let (key, keys) = (signing_key(algorithm), key_set(algorithm));
        let good = craft(&format!(r#"{{"alg":"{algorithm}"}}"#), GOOD, &key);
        check("as it is", &good, &keys, Ok(()));
        let (input, signature) = good.rsplit_once('.').unwrap();
        let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for bytes in [
            [&[0], &raw[..]].concat(),
            [&raw[..], &[0]].concat(),
            vec![0; raw.len()],
            vec![0xff; raw.len()],
        ] {
            let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));
            check(algorithm.as_str(), &token, &keys, refused(TokenError::BadSignature));
        }
    }
}

/// R ‖ S as the DER sequence that other libraries hand out.
fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap();
        let sign: &[u8] = if bytes[start] >= 0x80 { &[0] } else { &[] };
        let number = [sign, &bytes[start..]].concat();
        [&[2, number.len() as u8], &number[..]].concat()
    };
    let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [&[0x30, body.len() as u8], &body[..]].concat()
}

#[test]
fn payloads() {
    let (key, keys) = (signing_key(HS256), key_set(HS256));
    let with = |payload: &str, expected| check(payload, &craft(HS, payload, &key), &keys, expected);
    with(GOOD, Ok(()));
    with(
        r#"{"exp":1700000060,"exp":1700000060}"#,
        refused(TokenError::MalformedClaims),
    );
    with(
        r#"{"exp":1600000000,"\u0065xp":1800000000}"#,
        refused(TokenError::MalformedClaims),
    );
    with(r#"{"a":{"b":[{"c":1,"c":2}]}}"#, refused(TokenError::MalformedClaims));
    with(r#"{"a":{"b":[{"c":1},{"c":2}]}}"#, Ok(()));
    with(r#"["exp",1700000060]"#, refused(TokenError::MalformedClaims));
    with(r#""text""#, refused(TokenError::MalformedClaims));
    with("", refused(TokenError::MalformedClaims));
    with(r#"{"exp":1700000060}x"#, refused(TokenError::MalformedClaims));
    with("\u{feff}{\"a\":1}", refused(TokenError::MalformedClaims));
    with(
        &format!(r#"{{"a":{}{}}}"#, "[".repeat(5000), "]".repeat(5000)),
        refused(TokenError::MalformedClaims),
    );
}

#[test]
fn errors_show_nothing_of_the_token() {
    let marked = r#"{"sub":"visible","exp":"visible"}"#;
    let token = craft(HS, marked, &signing_key(HS256));
    let error = verify(&token, &key_set(HS256), &lax(), now()).unwrap_err();
    assert_eq!(error, TokenError::MalformedClaim("exp"));
    assert!(!format!("{error} {error:?}").contains("visible"));
    let claims = verify(
        &craft(HS, r#"{"sub":"visible"}"#, &signing_key(HS256)),
        &key_set(HS256),
        &lax(),
        now(),
    )
    .unwrap();
    assert!(!format!("{claims:?}").contains("visible"));
    let secret = String::from_utf8_lossy(SECRET).into_owned();
    assert!(!format!("{:?}{:?}", key_set(HS256), signing_key(HS256)).contains(&secret[..8]));
}
