//! The targets: each a parser of foreign bytes.

use std::path::{Path, PathBuf};

/// A function to be fuzzed, with its corpus.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// Its name, which is that of its corpus.
    pub(crate) name: &'static str,
    /// The folder of its crate below `crates`.
    pub(crate) krate: &'static str,
    /// Takes any bytes and panics only on a defect.
    pub(crate) function: fn(&[u8]),
}

/// All of them, by crate.
pub(crate) const TARGETS: &[Target] = &[
    Target::new("jose", "jwks", portcullis_jose::fuzzing::fuzz_jwks),
    Target::new("jose", "jwt", portcullis_jose::fuzzing::fuzz_jwt),
    Target::new("net", "chunked", portcullis_net::fuzzing::fuzz_chunked),
    Target::new(
        "net",
        "proxy_header",
        portcullis_net::listener::proxy_header::fuzz_proxy_header,
    ),
    Target::new("net", "request_head", portcullis_net::fuzzing::fuzz_request_head),
    Target::new("net", "response_head", portcullis_net::fuzzing::fuzz_response_head),
    Target::new("openapi", "document", portcullis_openapi::fuzzing::fuzz_document),
    Target::new("policy", "policy", portcullis_policy::fuzzing::fuzz_policy),
];

impl Target {
    const fn new(krate: &'static str, name: &'static str, function: fn(&[u8])) -> Self {
        Self { name, krate, function }
    }

    /// The target of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        TARGETS.iter().find(|target| target.name == name).copied()
    }

    /// Where its corpus lies, from the root of the tree.
    pub(crate) fn corpus(&self) -> PathBuf {
        Path::new("crates").join(self.krate).join("fuzz-corpus").join(self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    fn folders(directory: &Path) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(directory) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect()
    }

    #[test]
    fn every_corpus_has_its_target_and_every_target_its_corpus() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let crates = folders(&root.join("crates"));
        let found = crates.iter().flat_map(|path| folders(&path.join("fuzz-corpus")));
        let found: BTreeSet<_> = found.map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect();
        let listed: BTreeSet<_> = TARGETS.iter().map(Target::corpus).collect();
        assert_eq!(listed, found);
        for corpus in &listed {
            assert!(
                fs::read_dir(root.join(corpus)).unwrap().next().is_some(),
                "{} is empty",
                corpus.display()
            );
        }
    }

    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(names.len(), TARGETS.len());
        assert!(Target::named("policy").is_some() && Target::named("polizei").is_none());
    }
}
