//! Claims that bind a token to the address or to a header of the client that it was issued to.

use std::net::IpAddr;

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use crate::digest::{constant_time_eq, sha256};

/// Whether a claim names this address: a text with one address, or an array of such texts of which one matches.
///
/// An IPv4 address equals its IPv4-mapped IPv6 spelling. Networks, host names and everything else match nothing.
pub fn claim_matches_address(value: &Value, address: IpAddr) -> bool {
    let address = address.to_canonical();
    any_text(value, |text| {
        text.parse::<IpAddr>()
            .is_ok_and(|claimed| claimed.to_canonical() == address)
    })
}

/// Whether a claim is the SHA-256 digest of a header's value: a text, or an array of texts of which one matches.
///
/// The digest may be written in base64 or base64url, padded or not, or in hexadecimal; it is compared in constant time.
pub fn claim_matches_header_digest(value: &Value, header_bytes: &[u8]) -> bool {
    let digest = sha256(header_bytes);
    any_text(value, |text| {
        digest_from(text).is_some_and(|claimed| constant_time_eq(&claimed, &digest))
    })
}

fn any_text(value: &Value, matches: impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => matches(text),
        Value::Array(elements) => elements.iter().filter_map(Value::as_str).any(matches),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

fn digest_from(text: &str) -> Option<[u8; 32]> {
    const EITHER: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, EITHER);
    const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, EITHER);
    let bytes = match text.len() {
        64 => hex(text)?,
        43 | 44 => URL.decode(text).or_else(|_| PLAIN.decode(text)).ok()?,
        _ => return None,
    };
    bytes.try_into().ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.last()?)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses() {
        let check = |value: Value, address: &str, expected: bool| {
            assert_eq!(
                claim_matches_address(&value, address.parse().unwrap()),
                expected,
                "{value} {address}"
            );
        };
        check(json!("192.0.2.1"), "192.0.2.1", true);
        check(json!("192.0.2.1"), "192.0.2.2", false);
        check(json!("192.0.2.1"), "::ffff:192.0.2.1", true);
        check(json!("::ffff:192.0.2.1"), "192.0.2.1", true);
        check(json!("2001:DB8::0:1"), "2001:db8::1", true);
        check(json!("2001:db8::2"), "2001:db8::1", false);
        check(json!(["192.0.2.9", "192.0.2.1"]), "192.0.2.1", true);
        check(json!(["192.0.2.9", 7, null]), "192.0.2.1", false);
        check(json!([]), "192.0.2.1", false);
        check(json!("192.0.2.0/24"), "192.0.2.1", false);
        check(json!(" 192.0.2.1"), "192.0.2.1", false);
        check(json!("192.0.2.001"), "192.0.2.1", false);
        check(json!(3_221_225_985_u32), "192.0.2.1", false);
        check(json!({"ip": "192.0.2.1"}), "192.0.2.1", false);
        check(Value::Null, "192.0.2.1", false);
    }

    #[test]
    fn header_digests() {
        let check = |value: Value, header: &[u8], expected: bool| {
            assert_eq!(claim_matches_header_digest(&value, header), expected, "{value}");
        };
        let plain = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0";
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check(json!(plain), b"abc", true);
        check(json!(format!("{plain}=")), b"abc", true);
        check(json!(plain.replace('+', "-").replace('/', "_")), b"abc", true);
        check(json!(hex), b"abc", true);
        check(json!(hex.to_uppercase()), b"abc", true);
        check(json!(["x", hex]), b"abc", true);
        check(json!(plain), b"abd", false);
        check(json!(hex), b"abd", false);
        check(json!(&hex[..62]), b"abc", false);
        check(json!(hex.replace('b', "g")), b"abc", false);
        check(json!("é".repeat(32)), b"abc", false);
        check(json!(""), b"", false);
        check(json!("abc"), b"abc", false);
        check(Value::Null, b"abc", false);
    }
}
