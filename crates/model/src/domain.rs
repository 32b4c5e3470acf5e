//! Custom domains: a host name, its base paths, and the stages that they lead to.
//!
//! Names are looked up by hash, once exactly and once without the first label for wildcards; base paths are few and stand the
//! longest first. Nothing is allocated for a request.

use std::collections::HashMap;

use portcullis_core::RequestPath;

use crate::locate::Mount;

/// The longest host name (RFC 1035 section 2.3.4), as text.
pub const NAME_BYTES_MAX: usize = 253;

/// All custom domains.
#[derive(Debug, Default)]
pub struct Domains {
    all: Vec<Domain>,
    exact: HashMap<Box<str>, usize>,
    /// Of `*.example.com` what stands behind the first dot.
    wildcards: HashMap<Box<str>, usize>,
}

/// A host name with its base paths.
#[derive(Debug)]
pub struct Domain {
    /// `api.example.com` or `*.example.com`.
    pub name: Box<str>,
    /// The longest base path first.
    pub mappings: Vec<BasePathMapping>,
}

/// A base path and the stage that it leads to.
#[derive(Debug)]
pub struct BasePathMapping {
    /// Without slashes at its ends; empty for all that no other one covers.
    pub base_path: Box<str>,
    pub(crate) mount: Mount,
}

/// A base path mapping of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappingIndex {
    domain: usize,
    mapping: usize,
}

// === impl Domains ===

impl Domains {
    pub(crate) fn new(all: Vec<Domain>) -> Self {
        let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
        for (index, domain) in all.iter().enumerate() {
            match domain.name.strip_prefix("*.") {
                Some(rest) => wildcards.insert(rest.into(), index),
                None => exact.insert(domain.name.clone(), index),
            };
        }
        Self { all, exact, wildcards }
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Domain> {
        self.all.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The mapping of an index that [`crate::Snapshot::locate`] gave.
    pub fn at(&self, index: MappingIndex) -> Option<&BasePathMapping> {
        self.all.get(index.domain)?.mappings.get(index.mapping)
    }

    /// The domain of a host without its port: in any case, with or without a dot at its end; an exact name before a wildcard.
    pub(crate) fn find(&self, host: &str) -> Option<usize> {
        if self.all.is_empty() {
            return None;
        }
        let mut buffer = [0; NAME_BYTES_MAX];
        let host = folded(host.strip_suffix('.').unwrap_or(host), &mut buffer)?;
        let exact = self.exact.get(host);
        let found = exact.or_else(|| {
            let (label, rest) = host.split_once('.')?;
            self.wildcards.get(rest).filter(|_| !label.is_empty())
        });
        found.copied()
    }

    /// The longest base path of a domain that covers a path.
    pub(crate) fn mapping(&self, domain: usize, path: RequestPath<'_>) -> Option<(MappingIndex, &Mount)> {
        let mappings = &self.all.get(domain)?.mappings;
        let mapping = mappings.iter().position(|mapping| mapping.mount.covers(path))?;
        let index = MappingIndex { domain, mapping };
        Some((index, &mappings.get(mapping)?.mount))
    }
}

/// In small letters; `None` for what is longer than a name may be.
fn folded<'b>(host: &str, buffer: &'b mut [u8; NAME_BYTES_MAX]) -> Option<&'b str> {
    let folded = buffer.get_mut(..host.len())?;
    folded.copy_from_slice(host.as_bytes());
    folded.make_ascii_lowercase();
    std::str::from_utf8(folded).ok()
}

// === impl BasePathMapping ===

impl BasePathMapping {
    pub(crate) fn new(base_path: &str, stage: usize) -> Self {
        Self {
            base_path: base_path.into(),
            mount: Mount::new(base_path, stage),
        }
    }

    /// `$context.customDomain.basePathMatched`: Amazon calls the one without a path `(none)`.
    pub fn matched(&self) -> &str {
        if self.base_path.is_empty() {
            "(none)"
        } else {
            &self.base_path
        }
    }

    /// The stage's index in [`crate::snapshot::Snapshot::stages`].
    pub fn stage(&self) -> usize {
        self.mount.stage
    }

    pub(crate) fn depth(&self) -> usize {
        self.mount.segments.len()
    }
}
