//! Distinguished names as text (RFC 4514): `CN=client,O=Example,C=GB`, the last component first.

use std::fmt::Write as _;

use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// A name's text. Whatever is in the certificate, it holds no control character and reads back as the same components.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let components: Vec<_> = name.iter_rdn().collect();
    for (index, component) in components.into_iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, attribute) in component.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            write(&mut text, attribute);
        }
    }
    text
}

fn write(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    let value = value(attribute);
    match (short_name(&oid), value) {
        (Some(name), Some(value)) => {
            text.push_str(name);
            text.push('=');
            escape(text, &value);
        }
        // RFC 4514 section 2.4: an attribute without a name, or a value that is no text, as its encoding.
        (name, _) => {
            text.push_str(name.unwrap_or(&oid));
            text.push_str("=#");
            for byte in attribute.as_slice() {
                let _ = write!(text, "{byte:02x}"); // a String takes everything
            }
        }
    }
}

/// The names of RFC 4514 section 3, and those that certificates of financial institutions use.
fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.15" => "businessCategory",
        "2.5.4.42" => "GN",
        "2.5.4.97" => "organizationIdentifier", // PSD2 authorisation numbers (ETSI TS 119 495)
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

fn value(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let any = attribute.attr_value();
    match any.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            std::str::from_utf8(any.data).ok().map(ToOwned::to_owned)
        }
        Tag::BmpString => {
            let units = any
                .data
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            let text = char::decode_utf16(units).collect::<Result<String, _>>().ok();
            text.filter(|_| any.data.len() % 2 == 0)
        }
        Tag::T61String => Some(any.data.iter().map(|byte| char::from(*byte)).collect()), // as Latin-1, as everybody does
        _ => None,
    }
}

/// RFC 4514 section 2.4; control characters as `\XX` of their UTF-8 bytes, which it allows.
fn escape(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (index, letter) in value.chars().enumerate() {
        match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                text.push('\\');
                text.push(letter);
            }
            '#' if index == 0 => text.push_str("\\#"),
            ' ' if index == 0 || index == last => text.push_str("\\ "),
            _ if letter.is_control() => {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
            _ => text.push(letter),
        }
    }
}
