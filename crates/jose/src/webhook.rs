//! Signed notifications, in the form of Standard Webhooks (<https://www.standardwebhooks.com>, version 1, symmetric).

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_core::Secret;

/// What a secret begins with when it is written as the standard says.
const PREFIX: &[u8] = b"whsec_";
/// Bytes of a secret at least and at most, as the standard says.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key of one receiver.
#[derive(Debug)]
pub struct WebhookKey(hmac::Key);

/// Why a secret is not one to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookKeyError {
    /// It is too short or too long.
    #[error("the secret has {0} bytes; 24 to 64 are asked for")]
    Length(usize),
    /// It is not base64.
    #[error("the secret is not base64, with or without `whsec_` before it")]
    NotBase64,
}

// === impl WebhookKey ===

impl WebhookKey {
    /// From base64 of 24 to 64 bytes, behind `whsec_` or alone.
    pub fn new(written: &Secret) -> Result<Self, WebhookKeyError> {
        let text = written.expose().trim_ascii();
        let text = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = Secret::new(STANDARD.decode(text).map_err(|_| WebhookKeyError::NotBase64)?);
        if !SECRET_BYTES.contains(&bytes.expose().len()) {
            return Err(WebhookKeyError::Length(bytes.expose().len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes.expose())))
    }

    /// What `webhook-signature` says of a message: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
    pub fn sign(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{unix_seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_the_example_of_the_standard() {
        // From the reference implementations' own tests.
        for secret in [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        ] {
            let key = WebhookKey::new(&Secret::new(secret.into())).unwrap();
            assert_eq!(
                key.sign(
                    "msg_p5jXN8AQM9LWM0D4loKWxJek",
                    1_614_265_330,
                    br#"{"test": 2432232314}"#
                ),
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
            );
        }
    }

    #[test]
    fn refuses_what_is_no_secret() {
        let too_long = STANDARD.encode([1; 65]);
        for bad in ["", "whsec_", "whsec_***", "c2hvcnQ=", &too_long] {
            assert!(WebhookKey::new(&Secret::new(bad.into())).is_err(), "{bad}");
        }
    }
}
