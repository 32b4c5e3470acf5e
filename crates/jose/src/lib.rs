//! JWT, JWS and JWK with keys parsed once: the home of every signature, digest and key.
//!
//! [`verify`] answers one question, "whose token is this and is it good at `now`?", and returns [`Claims`] as the proof.
//! A [`KeySet`] is parsed when configuration or a JWKS is loaded and is immutable afterwards; nothing on the way of a
//! request parses a key. Below `jwt` (the rules about claims) stands [`jws`] (segments, header and signature over bytes),
//! which knows nothing of claims.
//!
//! Invariants:
//! - pure: no clock, no file, no socket, no HTTP status; `now` is an argument;
//! - the algorithm is on the caller's list before a key is looked at, and a key is a type of its own per algorithm family,
//!   so that a public key can never be taken for an HMAC secret; `none` does not exist;
//! - no error and no `Debug` shows a part of a token or of a key;
//! - a token brings no key: `jku`, `jwk`, `x5u` and `x5c` in its header are parsed past and never used.

mod algorithm;
mod base64url;
pub mod bindings;
mod claims;
pub mod digest;
pub mod fuzzing;
mod json;
mod jwk;
pub mod jws;
mod jwt;
mod key;
mod key_set;
mod sealing;
mod secret;
mod signing;
mod webhook;

pub use algorithm::{Algorithm, AlgorithmSet, UnknownAlgorithm};
pub use claims::Claims;
pub use digest::constant_time_eq;
pub use jwk::{JwksError, JwksOptions, SkipReason, SkippedKey};
pub use jwt::{Rules, TOKEN_BYTES_MAX, TokenError, issue, verify};
pub use key::KeyError;
pub use key_set::{KEYS_MAX, KeySet};
pub use sealing::{NotSealed, SEAL_BYTES, SealingKey, SealingKeyError};
pub use secret::{SecretEncoding, SecretForm, SecretLook, generate_secret, inspect_secret};
pub use signing::{SignError, SigningKey};
pub use webhook::{WebhookKey, WebhookKeyError};
