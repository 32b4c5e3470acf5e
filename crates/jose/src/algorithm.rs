//! The signature algorithms of RFC 7518 section 3.1 and RFC 8037 section 3.1 that exist here.

use std::{fmt, str::FromStr};

/// A JWS signature algorithm. `none` does not exist, so that no configuration and no token can name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    PS256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    PS384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    PS512,
    /// ECDSA on P-256 with SHA-256, signature as R ‖ S in 64 bytes.
    ES256,
    /// ECDSA on P-384 with SHA-384, signature as R ‖ S in 96 bytes.
    ES384,
    /// Ed25519 (RFC 8037; Ed448 is not offered).
    EdDSA,
}

/// A set of algorithms: the allow-list of an authoriser.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AlgorithmSet(u16);

/// A name that is no algorithm of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown signature algorithm: use one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA"
)]
pub struct UnknownAlgorithm;

// === impl Algorithm ===

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The name as `alg` carries it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Whether both sides hold the same secret (HMAC).
    pub const fn is_symmetric(self) -> bool {
        self.secret_bytes_min().is_some()
    }

    /// The least length of an HMAC secret in bytes: that of the hash (RFC 7518 section 3.2); `None` for other families.
    pub const fn secret_bytes_min(self) -> Option<usize> {
        match self {
            Self::HS256 => Some(32),
            Self::HS384 => Some(48),
            Self::HS512 => Some(64),
            Self::RS256
            | Self::RS384
            | Self::RS512
            | Self::PS256
            | Self::PS384
            | Self::PS512
            | Self::ES256
            | Self::ES384
            | Self::EdDSA => None,
        }
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// By the exact name: case matters (RFC 7515 section 4.1.1).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or(UnknownAlgorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

// === impl AlgorithmSet ===

impl AlgorithmSet {
    /// None: nothing verifies.
    pub const EMPTY: Self = Self(0);

    /// What Amazon's JWT authorisers accept: RS256, RS384 and RS512.
    pub const RSA_PKCS1: Self = Self::of(&[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512]);

    /// These.
    pub const fn of(algorithms: &[Algorithm]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < algorithms.len() {
            bits |= 1 << algorithms[index] as u16;
            index += 1;
        }
        Self(bits)
    }

    /// Whether `algorithm` is one of them.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << algorithm as u16) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each once, in the order of [`Algorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL
            .into_iter()
            .filter(move |algorithm| self.contains(*algorithm))
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(
            algorithms
                .into_iter()
                .fold(0, |bits, algorithm| bits | 1 << algorithm as u16),
        )
    }
}

impl From<Algorithm> for AlgorithmSet {
    fn from(algorithm: Algorithm) -> Self {
        Self::of(&[algorithm])
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_near_misses_do_not() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            assert_eq!(AlgorithmSet::from(algorithm).iter().collect::<Vec<_>>(), [algorithm]);
            assert!(!AlgorithmSet::EMPTY.contains(algorithm));
        }
        for near in [
            "none", "None", "NONE", "", "hs256", "HS256 ", "RS1", "ES512", "Ed25519", "EDDSA",
        ] {
            assert_eq!(near.parse::<Algorithm>(), Err(UnknownAlgorithm), "{near}");
        }
        assert_eq!(
            Algorithm::ALL.into_iter().collect::<AlgorithmSet>().iter().count(),
            Algorithm::ALL.len()
        );
        assert_eq!(format!("{:?}", AlgorithmSet::RSA_PKCS1), "{RS256, RS384, RS512}");
    }
}
