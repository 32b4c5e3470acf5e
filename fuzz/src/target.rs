//! The targets: each a parser of foreign bytes.

use std::path::{Path, PathBuf};

use crate::path::fuzz_path;

/// A function to be fuzzed, with its corpus.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// Its name, which is that of its corpus.
    pub(crate) name: &'static str,
    /// The folder below the root of the tree whose corpora hold its own.
    corpora: &'static str,
    /// Takes any bytes and panics only on a defect.
    pub(crate) function: fn(&[u8]),
}

/// All of them, by crate.
pub(crate) const TARGETS: &[Target] = &[
    Target::new("fuzz/corpus", "path", fuzz_path),
    Target::new("crates/jose/fuzz-corpus", "jwks", portcullis_jose::fuzzing::fuzz_jwks),
    Target::new("crates/jose/fuzz-corpus", "jwt", portcullis_jose::fuzzing::fuzz_jwt),
    Target::new(
        "crates/net/fuzz-corpus",
        "chunked",
        portcullis_net::fuzzing::fuzz_chunked,
    ),
    Target::new(
        "crates/net/fuzz-corpus",
        "proxy_header",
        portcullis_net::listener::proxy_header::fuzz_proxy_header,
    ),
    Target::new(
        "crates/net/fuzz-corpus",
        "request_head",
        portcullis_net::fuzzing::fuzz_request_head,
    ),
    Target::new(
        "crates/net/fuzz-corpus",
        "response_head",
        portcullis_net::fuzzing::fuzz_response_head,
    ),
    Target::new(
        "crates/openapi/fuzz-corpus",
        "document",
        portcullis_openapi::fuzzing::fuzz_document,
    ),
    Target::new(
        "crates/policy/fuzz-corpus",
        "policy",
        portcullis_policy::fuzzing::fuzz_policy,
    ),
];

impl Target {
    const fn new(corpora: &'static str, name: &'static str, function: fn(&[u8])) -> Self {
        Self {
            name,
            corpora,
            function,
        }
    }

    /// The target of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        TARGETS.iter().find(|target| target.name == name).copied()
    }

    /// Where its corpus lies, from the root of the tree.
    pub(crate) fn corpus(&self) -> PathBuf {
        Path::new(self.corpora).join(self.name)
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
        let own = folders(&root.join("fuzz/corpus"));
        let found = crates
            .iter()
            .flat_map(|path| folders(&path.join("fuzz-corpus")))
            .chain(own);
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
