//! HMAC secrets: how they are written, what they look like, and new ones.

use aws_lc_rs::rand;
use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use portcullis_core::Secret;

use crate::{algorithm::Algorithm, key::KeyError};

/// How a secret is written where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretEncoding {
    /// base64 with the standard or the URL alphabet, padded or not, with at most one line break at the end.
    Base64,
    /// The bytes as they are, line breaks included.
    Raw,
}

/// What a secret looks like: facts that reveal nothing of it but its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretLook {
    /// The likeliest way in which it is written.
    pub form: SecretForm,
    /// How many bytes it has as it is written.
    pub raw_bytes: usize,
    /// How many bytes it has when read as base64; `None` when it is not base64.
    pub base64_bytes: Option<usize>,
    /// Whether it has fewer than 8 different bytes, and so was not drawn at random.
    pub monotonous: bool,
}

/// The likeliest way in which a secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretForm {
    /// base64 with the standard alphabet.
    Base64,
    /// base64 with the URL alphabet, recognised by `-` or `_`.
    Base64Url,
    /// Bytes that are no text.
    Binary,
    /// An even number of hexadecimal digits, at least 32.
    Hex,
    /// Text of another kind: a pass phrase, perhaps.
    Text,
}

/// A new secret of 64 random bytes: enough for every HMAC algorithm, and one block of HS256, so it is used undigested.
///
/// # Errors
/// [`KeyError::NoRandomness`].
pub fn generate_secret() -> Result<Secret, KeyError> {
    let mut bytes = vec![0; 64];
    rand::fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
    Ok(Secret::new(bytes))
}

/// Looks at a secret as it is written, for a person to be told what it seems to be.
pub fn inspect_secret(bytes: &[u8]) -> SecretLook {
    let written = without_line_break(bytes);
    let base64_bytes = from_base64(written).map(|decoded| decoded.expose().len());
    let has_any = |wanted: &[u8]| written.iter().any(|byte| wanted.contains(byte));
    let plausible_base64 = written.len() >= 16 && (written.len().is_multiple_of(4) || has_any(b"-_+/"));
    let form = if written.len() >= 32 && written.len().is_multiple_of(2) && written.iter().all(u8::is_ascii_hexdigit) {
        SecretForm::Hex
    } else if base64_bytes.is_some() && plausible_base64 && !looks_like_words(written) {
        if has_any(b"-_") {
            SecretForm::Base64Url
        } else {
            SecretForm::Base64
        }
    } else if std::str::from_utf8(written).is_ok_and(|text| !text.chars().any(char::is_control)) {
        SecretForm::Text
    } else {
        SecretForm::Binary
    };
    let mut seen = [false; 256];
    written.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let monotonous = seen.into_iter().filter(|seen| *seen).count() < 8;
    SecretLook {
        form,
        raw_bytes: bytes.len(),
        base64_bytes,
        monotonous,
    }
}

impl SecretEncoding {
    /// The key itself from what is written.
    ///
    /// # Errors
    /// [`KeyError::NotBase64`].
    pub fn decode(self, written: &Secret) -> Result<Secret, KeyError> {
        match self {
            Self::Base64 => from_base64(without_line_break(written.expose())).ok_or(KeyError::NotBase64),
            Self::Raw => Ok(written.clone()),
        }
    }

    /// What to write for this key: the reverse of [`decode`](Self::decode), with the standard alphabet and padding.
    pub fn encode(self, key: &Secret) -> Secret {
        match self {
            Self::Base64 => Secret::new(general_purpose::STANDARD.encode(key.expose()).into_bytes()),
            Self::Raw => key.clone(),
        }
    }
}

impl SecretLook {
    /// How long the key is in bytes when it is read as `encoding` says; `None` when it cannot be.
    pub fn key_bytes(&self, encoding: SecretEncoding) -> Option<usize> {
        match encoding {
            SecretEncoding::Base64 => self.base64_bytes,
            SecretEncoding::Raw => Some(self.raw_bytes),
        }
    }

    /// What a person should know before this secret is used for `algorithm` and read as `encoding` says; each a sentence
    /// without an ending full stop.
    pub fn warnings(&self, encoding: SecretEncoding, algorithm: Algorithm) -> Vec<String> {
        let mut warnings = Vec::new();
        let key_bytes = self.key_bytes(encoding);
        match (key_bytes, algorithm.secret_bytes_min()) {
            (None, _) => warnings.push("the secret is not base64".to_owned()),
            (Some(bytes), Some(least)) if bytes < least => warnings.push(format!(
                "the secret has {bytes} bytes; {algorithm} needs at least {least} (RFC 7518 section 3.2), or it can be guessed"
            )),
            (Some(_), _) => {}
        }
        if self.monotonous {
            warnings.push("the secret has fewer than 8 different characters and was not drawn at random".to_owned());
        }
        match (encoding, self.form, self.base64_bytes) {
            (SecretEncoding::Raw, SecretForm::Base64 | SecretForm::Base64Url, Some(bytes)) => warnings.push(format!(
                "the secret looks like base64 of {bytes} bytes but is used as it is written; check that the issuer does so too"
            )),
            (SecretEncoding::Base64, SecretForm::Hex, Some(_)) => warnings.push(
                "the secret looks like hexadecimal digits but is read as base64; check that the issuer does so too".to_owned(),
            ),
            _ => {}
        }
        warnings
    }
}

/// Strict about the alphabet, lenient about padding and trailing bits: whoever chose the secret may have used any tool.
fn from_base64(written: &[u8]) -> Option<Secret> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
    const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);
    let engine = if written.iter().any(|byte| matches!(byte, b'-' | b'_')) {
        &URL
    } else {
        &PLAIN
    };
    engine.decode(written).ok().map(Secret::new)
}

fn without_line_break(bytes: &[u8]) -> &[u8] {
    bytes
        .strip_suffix(b"\r\n")
        .or_else(|| bytes.strip_suffix(b"\n"))
        .unwrap_or(bytes)
}

/// Letters of one case with dashes or underscores: `my-secret-pass_phrase` is also base64url, but nobody meant it so.
fn looks_like_words(written: &[u8]) -> bool {
    let letters = written.iter().filter(|byte| byte.is_ascii_alphabetic());
    let lower = letters.clone().filter(|byte| byte.is_ascii_lowercase()).count();
    let (letters, digits) = (
        letters.count(),
        written.iter().filter(|byte| byte.is_ascii_digit()).count(),
    );
    (lower == letters || lower == 0) && letters > digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(bytes: &[u8]) -> Secret {
        Secret::new(bytes.to_vec())
    }

    #[test]
    fn base64_is_read_however_it_is_written() {
        let check = |written: &[u8], expected: Option<&[u8]>| {
            let decoded = SecretEncoding::Base64.decode(&secret(written));
            assert_eq!(
                decoded.as_ref().map(Secret::expose).ok(),
                expected,
                "{}",
                written.escape_ascii()
            );
        };
        let key = [0xfb, 0xff, 0xbf, 0x00];
        for written in [
            "+/+/AA==",
            "+/+/AA",
            "-_-_AA==",
            "-_-_AA",
            "+/+/AA==\n",
            "+/+/AA==\r\n",
            "+/+/AB==",
            "+/+/AA=",
        ] {
            check(written.as_bytes(), Some(&key));
        }
        for refused in [
            "+/+/AA==\n\n",
            "+/-_AA==",
            "+/+/A",
            "+/ +/AA==",
            " +/+/AA==",
            "+/+/AA===",
        ] {
            check(refused.as_bytes(), None);
        }
        assert_eq!(SecretEncoding::Raw.decode(&secret(b"a\n")).unwrap().expose(), b"a\n");
    }

    #[test]
    fn generated_secrets_are_long_new_and_writable() {
        let (one, two) = (generate_secret().unwrap(), generate_secret().unwrap());
        assert!(!one.is(two.expose()));
        for encoding in [SecretEncoding::Base64, SecretEncoding::Raw] {
            assert!(encoding.decode(&encoding.encode(&one)).unwrap().is(one.expose()));
        }
        let look = inspect_secret(SecretEncoding::Base64.encode(&one).expose());
        assert_eq!(
            (look.form, look.base64_bytes, look.raw_bytes),
            (SecretForm::Base64, Some(64), 88)
        );
        assert_eq!(look.warnings(SecretEncoding::Base64, Algorithm::HS512), [""; 0]);
    }

    #[test]
    fn looks() {
        let check = |written: &[u8], form: SecretForm, base64_bytes: Option<usize>| {
            let look = inspect_secret(written);
            assert_eq!(
                (look.form, look.base64_bytes),
                (form, base64_bytes),
                "{}",
                written.escape_ascii()
            );
        };
        check(
            b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T",
            SecretForm::Base64Url,
            Some(33),
        );
        check(
            b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr8=\n",
            SecretForm::Base64,
            Some(32),
        );
        check(
            b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            SecretForm::Hex,
            Some(48),
        );
        check(b"correct horse battery staple", SecretForm::Text, None);
        check(b"my-secret-pass_phrase", SecretForm::Text, None);
        check(b"secret", SecretForm::Text, Some(4));
        check(b"\x00\x01\xff\x80abcdefghijklmnop", SecretForm::Binary, None);
        check(b"", SecretForm::Text, Some(0));
    }

    #[test]
    fn warnings() {
        let check = |written: &[u8], encoding: SecretEncoding, algorithm: Algorithm, parts: &[&str]| {
            let warnings = inspect_secret(written).warnings(encoding, algorithm);
            assert_eq!(warnings.len(), parts.len(), "{warnings:?}");
            for (warning, part) in warnings.iter().zip(parts) {
                assert!(warning.contains(part), "{warning} lacks {part}");
            }
        };
        let good = b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr8=";
        check(good, SecretEncoding::Base64, Algorithm::HS256, &[]);
        check(
            good,
            SecretEncoding::Base64,
            Algorithm::HS384,
            &["32 bytes; HS384 needs at least 48"],
        );
        check(
            good,
            SecretEncoding::Raw,
            Algorithm::HS256,
            &["looks like base64 of 32 bytes"],
        );
        check(b"hunter2!", SecretEncoding::Raw, Algorithm::HS256, &["has 8 bytes"]);
        check(
            &[b'a'; 40],
            SecretEncoding::Raw,
            Algorithm::HS256,
            &["fewer than 8 different"],
        );
        check(
            b"correct horse battery staple!!!!!",
            SecretEncoding::Base64,
            Algorithm::HS256,
            &["not base64"],
        );
        let hex = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check(
            hex,
            SecretEncoding::Base64,
            Algorithm::HS256,
            &["looks like hexadecimal"],
        );
        check(hex, SecretEncoding::Raw, Algorithm::HS256, &[]);
    }
}
