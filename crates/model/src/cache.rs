//! What a stage's cache keeps, for how long, and what its entries differ by.

use portcullis_core::{Place, Verb};
use portcullis_template::mapping::Source;

/// Seconds that an entry is fresh at most (aws).
pub const TTL_S_MAX: u32 = 3_600;
/// Bytes of an entry at most (aws).
pub const ENTRY_BYTES_MAX: usize = 1_048_576;

/// A stage's cache as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageCacheSource {
    /// Where it stands.
    pub place: Place,
    /// Bytes of all its entries at most.
    pub bytes_max: u64,
    /// Whether gateways share its entries.
    pub is_shared: bool,
    /// What holds for every `GET`.
    pub settings: CacheSettings,
}

/// The cache of some methods as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodCache {
    /// They are not cached.
    Off,
    /// They are, in this way.
    On(CacheSettings),
}

/// How answers are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Seconds for which an entry is fresh, 0 to [`TTL_S_MAX`]; 0 keeps nothing.
    pub ttl_s: u32,
    /// Who may have an entry fetched anew.
    pub invalidation: Invalidation,
    /// Seconds for which a stale entry is served while it is fetched anew behind the caller's back.
    pub stale_while_revalidate_s: u32,
    /// Seconds for which a stale entry is served when the origin fails.
    pub stale_if_error_s: u32,
    /// The statuses that are kept.
    pub statuses: Vec<u16>,
    /// Whether answers with `Set-Cookie` are kept, and everyone given the same cookie.
    pub store_set_cookie: bool,
}

/// Who may have an entry fetched anew with `Cache-Control: max-age=0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// Everyone.
    Anyone,
    /// Who is allowed `execute-api:InvalidateCache` by a policy; here is what becomes of the others.
    Permitted(Unpermitted),
}

/// What becomes of a request for a fresh answer by who may not have one fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpermitted {
    /// It is refused: `FAIL_WITH_403`.
    Refuse,
    /// It is answered as if it had not asked, and told so in `Warning`: `SUCCEED_WITH_RESPONSE_HEADER`.
    Warn,
    /// It is answered as if it had not asked: `SUCCEED_WITHOUT_RESPONSE_HEADER`.
    Ignore,
}

/// A stage's cache, compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageCache {
    /// Bytes of all its entries at most.
    pub bytes_max: u64,
    /// Whether gateways share its entries.
    pub is_shared: bool,
}

/// The cache of a route, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteCache {
    /// The verb of the requests whose answers are kept.
    pub verb: Verb,
    /// What every key begins with: a digest of API, stage, everything that shapes the stage's answers, the namespace, the
    /// verb and the key's parameters. An answer of another deployment has another one and is never found.
    pub prefix: [u8; 32],
    /// What entries of this method differ by, in order.
    pub key: Vec<KeyParameter>,
    /// How they are kept.
    pub settings: CacheSettings,
}

/// One parameter of a cache key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyParameter {
    /// As the document writes it.
    pub name: Box<str>,
    /// What of the request it is made of.
    pub sources: Vec<Source>,
}

// === impl CacheSettings ===

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            ttl_s: 300,
            invalidation: Invalidation::Permitted(Unpermitted::Warn),
            stale_while_revalidate_s: 0,
            stale_if_error_s: 0,
            statuses: vec![200],
            store_set_cookie: false,
        }
    }
}
