//! The invariants of the architecture and the tidiness of the tree, held by tests.
//!
//! Each check is a plain function from facts to violations; beside each run over the real tree stands a bad example that it
//! must find, so that a check which accepts everything fails too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
    process::Command,
};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// The layers from below (docs/ARCHITECTURE.md). A crate may depend on those of a strictly lower layer.
const LAYERS: [&[&str]; 5] = [
    &["portcullis-core"],
    &[
        "portcullis-policy",
        "portcullis-jose",
        "portcullis-limit",
        "portcullis-template",
        "portcullis-openapi",
    ],
    &[
        "portcullis-model",
        "portcullis-net",
        "portcullis-store",
        "portcullis-telemetry",
        "portcullis-cluster",
    ],
    &["portcullis-proxy"],
    &["portcullis"],
];

/// Programs beside the product, which may depend on anything and on which nothing may depend.
const TOOLS: [&str; 2] = ["portcullis-bench", "portcullis-fuzz"];
/// What tests stand on: a dev-dependency of all, a dependency of the tools at most.
const TESTKIT: &str = "portcullis-testkit";

/// Edges that break the rule of the layers, each as (from, to). This list may only shrink.
const LAYER_EXCEPTIONS: [(&str, &str); 0] = [];

/// What the pure layer may not touch: runtimes, sockets, clocks, HTTP, randomness from the system.
const IMPURE: [&str; 15] = [
    "tokio",
    "mio",
    "socket2",
    "h2",
    "hyper",
    "hyper-util",
    "http",
    "http-body",
    "httparse",
    "rustls",
    "tokio-rustls",
    "async-std",
    "futures-util",
    "rand",
    "tracing-subscriber",
];

/// Crates that only the named ones may depend on directly.
const RESERVED: [(&str, &[&str]); 14] = [
    ("rustls", &["portcullis-net", "portcullis"]), // the binary chooses the cryptography provider once
    ("tokio-rustls", &["portcullis-net"]),
    ("webpki-roots", &["portcullis-net"]),
    ("x509-parser", &["portcullis-net"]),
    ("httparse", &[]), // our codec is our own; hyper brings it as an oracle
    ("h2", &["portcullis-net"]),
    ("socket2", &["portcullis-net", TESTKIT]),
    ("aws-lc-rs", &["portcullis-jose"]),
    ("redis", &["portcullis-cluster"]),
    ("jsonwebtoken", &[]), // an oracle in tests
    ("hyper", &[]),        // an oracle in tests
    ("hyper-util", &[]),
    ("rcgen", &["portcullis-net", TESTKIT]),
    ("serde-saphyr", &["portcullis-openapi"]),
];

/// Crates that may not be built at all: other cryptography and other HTTP stacks.
const BANNED_CRATES: [&str; 6] = ["ring", "openssl", "openssl-sys", "native-tls", "reqwest", "serde_yaml"];

/// A source file that is not a test reads badly above this.
const LINES_MAX: usize = 500;
/// Longer files, each with its present length. This list may only shrink.
const LONG_FILES: [(&str, usize); 0] = [];

/// A workspace crate and what it depends on directly.
#[derive(Default)]
struct Package {
    name: String,
    normal: BTreeSet<String>, // with build dependencies
    inherits_lints: bool,
}

// === the rules ===

fn layer_violations(packages: &[Package], exceptions: &[(&str, &str)]) -> Vec<String> {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let mut violations = Vec::new();
    let mut used = BTreeSet::new();
    for Package { name, normal, .. } in packages {
        let tool = TOOLS.contains(&name.as_str());
        let own = layer(name);
        if own.is_none() && !tool && name != TESTKIT {
            violations.push(format!("{name} stands in no layer"));
        }
        for dependency in normal.iter().filter(|dependency| dependency.starts_with("portcullis")) {
            let allowed = match (own, layer(dependency)) {
                _ if tool => !TOOLS.contains(&dependency.as_str()),
                (Some(own), Some(below)) => below < own,
                (None, Some(below)) => name == TESTKIT && below == 0,
                (_, None) => false, // the test kit and the tools are no one's dependency
            };
            let edge = (name.as_str(), dependency.as_str());
            if exceptions.contains(&edge) {
                used.insert(edge);
            } else if !allowed {
                violations.push(format!("{name} may not depend on {dependency}"));
            }
        }
    }
    let idle = exceptions.iter().filter(|edge| !used.contains(*edge));
    violations.extend(idle.map(|(from, to)| format!("the exception {from} -> {to} is not needed any more")));
    violations
}

fn purity_violations(packages: &[Package]) -> Vec<String> {
    let pure = packages
        .iter()
        .filter(|package| LAYERS[..2].iter().any(|layer| layer.contains(&package.name.as_str())));
    let pairs = pure.flat_map(|package| package.normal.iter().map(move |dependency| (&package.name, dependency)));
    // `core` makes ids, so it may draw random numbers; nothing else is allowed to it.
    let allowed = |name: &str, dependency: &str| name == "portcullis-core" && dependency == "rand";
    pairs
        .filter(|(name, dependency)| IMPURE.contains(&dependency.as_str()) && !allowed(name, dependency))
        .map(|(name, dependency)| format!("{name} is pure and may not depend on {dependency}"))
        .collect()
}

fn reservation_violations(packages: &[Package]) -> Vec<String> {
    let mut violations = Vec::new();
    for (reserved, owners) in RESERVED {
        let users = packages.iter().filter(|package| package.normal.contains(reserved));
        let strangers =
            users.filter(|user| !owners.contains(&user.name.as_str()) && !TOOLS.contains(&user.name.as_str()));
        violations.extend(strangers.map(|user| format!("{} may not depend on {reserved}", user.name)));
    }
    violations
}

fn lint_violations(packages: &[Package], root_manifest: &str) -> Vec<String> {
    let missing = packages.iter().filter(|package| !package.inherits_lints);
    let mut violations: Vec<_> = missing
        .map(|package| format!("{} lacks `[lints] workspace = true`", package.name))
        .collect();
    if !root_manifest
        .lines()
        .any(|line| line.replace(' ', "") == r#"unsafe_code="forbid""#)
    {
        violations.push("the workspace does not forbid unsafe code".to_owned());
    }
    violations
}

fn banned_crates(tree: &str) -> Vec<String> {
    let built: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    BANNED_CRATES
        .iter()
        .filter(|name| built.contains(**name))
        .map(|name| format!("{name} is built"))
        .collect()
}

fn length_violations(files: &BTreeMap<String, String>, exceptions: &[(&str, usize)]) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".rs") && !is_test(path)) {
        let lines = text.lines().count();
        match exceptions.iter().find(|(exception, _)| exception == path) {
            None if lines > LINES_MAX => violations.push(format!("{path} has {lines} lines; split it by nouns")),
            Some((_, max)) if lines > *max => violations.push(format!("{path} has grown from {max} to {lines} lines")),
            Some(_) if lines <= LINES_MAX => violations.push(format!("{path} is short now; strike it off the list")),
            _ => {}
        }
    }
    violations
}

/// Words of unfinished work, hosts of package registries and paths of a developer's machine.
fn word_violations(files: &BTreeMap<String, String>, checkout: &Path) -> Vec<String> {
    // Each is written in two halves, so that this file does not hold what it looks for.
    let unfinished = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("db", "g!("),
    ];
    let hosts = [
        concat!("static.", "crates.io"),
        concat!("index.", "crates.io"),
        concat!("pypi", ".org"),
        concat!("python", "hosted.org"),
        concat!("registry.", "npmjs"),
        concat!("deb.", "debian.org"),
        concat!("proxy.", "golang.org"),
    ];
    let mut paths = vec![
        concat!("/ho", "me/").to_owned(),
        concat!("/ro", "ot/").to_owned(),
        concat!("/Us", "ers/").to_owned(),
    ];
    paths.push(concat!("/wo", "rk/").to_owned());
    let deep = checkout
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .count()
        > 1;
    paths.extend(deep.then(|| format!("{}/", checkout.display())));

    let mut violations = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| !path.ends_with(".lock")) {
        for (number, line) in text.lines().enumerate() {
            let stub = path.ends_with(".rs") && unfinished.iter().any(|word| line.contains(word));
            let host = hosts.iter().any(|host| line.contains(host));
            if stub || host || paths.iter().any(|start| names_path(line, start)) {
                violations.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    violations
}

/// Rows of docs/THREATS.md without a test, and tests named there that are not in the tree.
fn threat_violations(files: &BTreeMap<String, String>) -> Vec<String> {
    let page = files.get("docs/THREATS.md").map_or("", String::as_str);
    let mut violations = Vec::new();
    for (number, line) in page.lines().enumerate() {
        let row = line.starts_with("| ") && !line.starts_with("| Threat |");
        let named: Vec<_> = line.split('`').filter_map(|word| word.split_once(".rs::")).collect();
        if row && named.is_empty() {
            violations.push(format!("docs/THREATS.md:{} names no test", number + 1));
        }
        for (path, test) in named {
            let path = format!("{path}.rs");
            let is_there = files
                .get(&path)
                .is_some_and(|text| text.contains(&format!("fn {test}(")));
            if !is_there {
                violations.push(format!("docs/THREATS.md:{}: {path} has no test {test}", number + 1));
            }
        }
    }
    violations
}

/// Whether `start` begins a path in `line`, rather than standing inside one (`example.com/home/`).
fn names_path(line: &str, start: &str) -> bool {
    let before = |at: usize| line[..at].chars().next_back();
    line.match_indices(start)
        .any(|(at, _)| !before(at).is_some_and(|left| left.is_alphanumeric() || "}>-_.".contains(left)))
}

/// Relative links of Markdown files that lead to no file or to no heading.
fn dead_links(files: &BTreeMap<String, String>, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".md")) {
        for target in links(text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let directory = Path::new(path).parent().unwrap_or(Path::new(""));
            let linked = if file.is_empty() {
                PathBuf::from(path)
            } else {
                normal(&directory.join(file))
            };
            let heading = |text: &String| anchor.is_empty() || headings(text).any(|heading| heading == anchor);
            let alive = exists(&linked) && files.get(&*linked.to_string_lossy()).is_none_or(heading);
            if !alive {
                violations.push(format!("{path} links to `{target}`, which is not there"));
            }
        }
    }
    violations
}

/// The targets of inline links and images, without those that lead out of the tree.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2); // the odd parts are code
    let targets = prose
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// The anchors of a file's headings, as code hosts make them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let prose = text.split("```").step_by(2).flat_map(str::lines);
    prose.filter(|line| line.starts_with('#')).map(|line| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        kept.chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect()
    })
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests")
}

/// `path` without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts
}

// === the facts ===

fn root() -> PathBuf {
    normal(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
}

fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let package = |package: &cargo_metadata::Package| {
        let normal = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development);
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        Package {
            name: package.name.to_string(),
            normal: normal.map(|dependency| dependency.name.clone()).collect(),
            inherits_lints: manifest
                .split("[lints]")
                .nth(1)
                .is_some_and(|rest| rest.trim_start().starts_with("workspace = true")),
        }
    };
    metadata.packages.iter().map(package).collect()
}

/// The text files of the tree by their path from its root, without what is built, fetched or kept by a run.
fn files() -> BTreeMap<String, String> {
    let (root, mut found) = (root(), BTreeMap::new());
    let mut waiting = vec![root.clone()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            let skipped = [
                ".git",
                "target",
                "portcullis-data",
                ".tools",
                "bench/out",
                "fuzz/target",
                "fuzz/artifacts",
            ];
            if skipped.contains(&name.as_str()) {
                continue; // in a second working tree of git, `.git` is a file
            }
            if entry.file_type().unwrap().is_dir() {
                if !name.contains("node_modules") && !name.contains("fuzz-corpus") {
                    waiting.push(path);
                }
            } else if name != ".git" // a file in a linked working tree
                && let Ok(text) = fs::read_to_string(&path)
            {
                found.insert(name, text);
            }
        }
    }
    found
}

#[track_caller]
fn none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[track_caller]
fn only(violations: Vec<String>, expected: &[&str]) {
    assert_eq!(violations, expected);
}

fn example(name: &str, normal: &[&str]) -> Package {
    let normal = normal.iter().map(|dependency| (*dependency).to_owned()).collect();
    Package {
        name: name.to_owned(),
        normal,
        inherits_lints: true,
    }
}

fn tree(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect()
}

// === the tests ===

#[test]
fn arrows_point_down() {
    none(layer_violations(&packages(), &LAYER_EXCEPTIONS));
    let good = example("portcullis-proxy", &["portcullis-net", "portcullis-core", "tokio"]);
    let up = example("portcullis-jose", &["portcullis-core", "portcullis-policy"]);
    let stranger = example("portcullis-new", &[]);
    let kit = example("portcullis-net", &["portcullis-testkit"]);
    let bench = example("portcullis-bench", &["portcullis-jose", "portcullis-testkit"]);
    let expected = [
        "portcullis-jose may not depend on portcullis-policy",
        "portcullis-new stands in no layer",
        "portcullis-net may not depend on portcullis-testkit",
    ];
    only(layer_violations(&[good, up, stranger, kit, bench], &[]), &expected);
    let excused = [example("portcullis-jose", &["portcullis-policy"])];
    none(layer_violations(&excused, &[("portcullis-jose", "portcullis-policy")]));
    let idle = [
        ("portcullis-jose", "portcullis-limit"),
        ("portcullis-jose", "portcullis-policy"),
    ];
    only(
        layer_violations(&excused, &idle),
        &["the exception portcullis-jose -> portcullis-limit is not needed any more"],
    );
}

#[test]
fn decisions_are_pure() {
    none(purity_violations(&packages()));
    let bad = [
        example("portcullis-policy", &["serde", "tokio"]),
        example("portcullis-net", &["tokio"]),
    ];
    only(
        purity_violations(&bad),
        &["portcullis-policy is pure and may not depend on tokio"],
    );
}

#[test]
fn some_crates_are_reserved() {
    none(reservation_violations(&packages()));
    let bad = [
        example("portcullis-proxy", &["rustls"]),
        example("portcullis-net", &["rustls", "socket2"]),
    ];
    only(
        reservation_violations(&bad),
        &["portcullis-proxy may not depend on rustls"],
    );
}

#[test]
fn lints_hold_everywhere() {
    none(lint_violations(
        &packages(),
        &fs::read_to_string(root().join("Cargo.toml")).unwrap(),
    ));
    let lax = Package {
        name: "portcullis-net".to_owned(),
        ..Package::default()
    };
    let expected = [
        "portcullis-net lacks `[lints] workspace = true`",
        "the workspace does not forbid unsafe code",
    ];
    only(lint_violations(&[lax], "unsafe_code = \"warn\""), &expected);
}

#[test]
fn no_other_cryptography_is_built() {
    let arguments = [
        "tree",
        "--workspace",
        "--locked",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--edges",
        "normal,build,dev",
    ];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built = String::from_utf8(output.stdout).unwrap();
    assert!(
        built.contains("aws-lc-rs v"),
        "the tree is not what this test takes it for:\n{built}"
    );
    none(banned_crates(&built));
    only(banned_crates("ring v0.17.14\nring-buffer v1.0.0"), &["ring is built"]);
}

#[test]
fn files_are_short() {
    none(length_violations(&files(), &LONG_FILES));
    let long = "x\n".repeat(LINES_MAX + 1);
    let bad = tree(&[
        ("a/src/long.rs", &long),
        ("a/src/fine.rs", "x\n"),
        ("a/src/tests.rs", &long),
        ("a/tests/b.rs", &long),
    ]);
    only(
        length_violations(&bad, &[]),
        &["a/src/long.rs has 501 lines; split it by nouns"],
    );
    none(length_violations(&bad, &[("a/src/long.rs", 501)]));
    let expected = [
        "a/src/fine.rs is short now; strike it off the list",
        "a/src/long.rs has grown from 500 to 501 lines",
    ];
    only(
        length_violations(&bad, &[("a/src/long.rs", 500), ("a/src/fine.rs", 600)]),
        &expected,
    );
}

#[test]
fn no_unfinished_work_no_registry_no_path_of_a_machine() {
    none(word_violations(&files(), &root()));
    let stub = format!("fn main() {{ {}) }}", concat!("to", "do!("));
    let host = format!("see https://{}/x", concat!("pypi", ".org"));
    let home = format!(
        "cd {}ann/x\nhttps://example.com{}x",
        concat!("/ho", "me/"),
        concat!("/ho", "me/")
    );
    let bad = tree(&[
        ("a.rs", &stub),
        ("b.md", &host),
        ("c.sh", &home),
        ("d.md", "in /srv/checkout/a"),
        ("e.lock", &host),
    ]);
    let found = word_violations(&bad, Path::new("/srv/checkout"));
    let places: Vec<_> = found.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["a.rs:1", "b.md:1", "c.sh:1", "d.md:1"]);
}

#[test]
fn links_lead_somewhere() {
    let found = files();
    none(dead_links(&found, |path| root().join(path).exists()));
    let page =
        "# One `Two`\n[a](b.md) [c](../README.md#top-of-it) [d](#one-two) [e](https://example.com/x) [f](src/)\n";
    let bad = tree(&[
        ("docs/a.md", page),
        ("README.md", "# Top of it\n```\n[x](gone.md)\n```\n[y](docs/a.md#three)"),
    ]);
    let exists = |path: &Path| bad.contains_key(&*path.to_string_lossy()) || path == Path::new("docs/src");
    let expected = [
        "README.md links to `docs/a.md#three`, which is not there",
        "docs/a.md links to `b.md`, which is not there",
    ];
    only(dead_links(&bad, exists), &expected);
}

#[test]
fn every_threat_names_its_tests() {
    let found = files();
    assert!(found.contains_key("docs/THREATS.md"));
    none(threat_violations(&found));
    let page = "| Threat | What stops it | Shown by |\n|---|---|---|\n| a | b | `x/a.rs::holds`, `x/a.rs::gone` |\n| a | b | trust |\n| a | b | `x/b.rs::holds` |\n";
    let bad = tree(&[("docs/THREATS.md", page), ("x/a.rs", "fn holds() {}")]);
    let expected = [
        "docs/THREATS.md:3: x/a.rs has no test gone",
        "docs/THREATS.md:4 names no test",
        "docs/THREATS.md:5: x/b.rs has no test holds",
    ];
    only(threat_violations(&bad), &expected);
}
