//! The targets: each a parser of foreign bytes.

use std::path::{Path, PathBuf};

use portcullis_jose::fuzzing as jose;
use portcullis_net::{fuzzing as net, listener::proxy_header};
use portcullis_openapi::fuzzing as openapi;
use portcullis_policy::fuzzing as policy;
use portcullis_proxy::fuzzing as proxy;
use portcullis_telemetry::trace::fuzz_trace_context;
use portcullis_template::fuzzing as template;

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
    Target::new("crates/jose/fuzz-corpus", "jwks", jose::fuzz_jwks),
    Target::new("crates/jose/fuzz-corpus", "jwt", jose::fuzz_jwt),
    Target::new("crates/net/fuzz-corpus", "certificate", net::fuzz_certificate),
    Target::new("crates/net/fuzz-corpus", "chunked", net::fuzz_chunked),
    Target::new(
        "crates/net/fuzz-corpus",
        "proxy_header",
        proxy_header::fuzz_proxy_header,
    ),
    Target::new("crates/net/fuzz-corpus", "request_head", net::fuzz_request_head),
    Target::new("crates/net/fuzz-corpus", "response_head", net::fuzz_response_head),
    Target::new("crates/openapi/fuzz-corpus", "document", openapi::fuzz_document),
    Target::new("crates/policy/fuzz-corpus", "policy", policy::fuzz_policy),
    Target::new("crates/telemetry/fuzz-corpus", "trace_context", fuzz_trace_context),
    Target::new(
        "crates/proxy/fuzz-corpus",
        "accept_encoding",
        proxy::fuzz_accept_encoding,
    ),
    Target::new("crates/proxy/fuzz-corpus", "shared_answer", proxy::fuzz_shared_answer),
    Target::new(
        "crates/template/tests/seeds",
        "gateway_template",
        template::fuzz_gateway_template,
    ),
    Target::new(
        "crates/template/tests/seeds",
        "log_template",
        template::fuzz_log_template,
    ),
    Target::new("crates/template/tests/seeds", "mapping", template::fuzz_mapping),
    Target::new("crates/template/tests/seeds", "uri", template::fuzz_uri),
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
    use crate::drive::read_corpus;

    /// The files below `directory` whose name ends like this.
    fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let below = |path: PathBuf| if path.is_dir() { files(&path, end) } else { vec![path] };
        entries
            .flat_map(below)
            .filter(|path| path.to_string_lossy().ends_with(end))
            .collect()
    }

    #[test]
    fn every_fuzz_function_of_the_crates_has_a_target() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = BTreeSet::from(["path".to_owned()]);
        for file in files(&root.join("crates"), ".rs") {
            let text = fs::read_to_string(file).unwrap();
            let names = text.lines().filter_map(|line| {
                line.trim()
                    .strip_prefix("pub fn fuzz_")?
                    .strip_suffix("(data: &[u8]) {")
            });
            found.extend(names.map(ToOwned::to_owned));
        }
        assert_eq!(
            TARGETS
                .iter()
                .map(|target| target.name.to_owned())
                .collect::<BTreeSet<_>>(),
            found
        );
    }

    #[test]
    fn every_target_takes_its_corpus() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for target in TARGETS {
            let corpus = read_corpus(&root.join(target.corpus())).unwrap();
            assert!(corpus.len() >= 3, "{} has a corpus of {}", target.name, corpus.len());
            corpus.iter().for_each(|input| (target.function)(input));
        }
    }

    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(names.len(), TARGETS.len());
        assert!(Target::named("policy").is_some() && Target::named("polizei").is_none());
    }
}
