//! What is written is read again, by whoever comes next.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeSet, fs};

use portcullis_core::Timestamp;
use portcullis_store::{Canary, Release, RollbackRule, Stopped, Store, StoreError};
use proptest::{collection::vec, prelude::*};

fn time() -> Timestamp {
    Timestamp::parse_rfc3339("2026-01-02T03:04:05Z").unwrap()
}

fn record(store: &Store, api: &str, text: &str, max: usize, used: &[u32]) -> u32 {
    let in_use = |number: u32| used.contains(&number);
    store
        .record(api, text.as_bytes(), ("as it is", time()), max, &in_use)
        .unwrap()
        .number
}

#[test]
fn deployments_are_kept_and_read_by_the_next_process() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    assert!(store.history("proxy").unwrap().deployments.is_empty());
    assert_eq!(record(&store, "proxy", "one", 9, &[]), 1);
    assert_eq!(record(&store, "proxy", "two", 9, &[]), 2);
    assert_eq!(record(&store, "proxy", "one", 9, &[]), 3);
    assert_eq!(record(&store, "other", "one", 9, &[]), 1, "each API counts for itself");

    let next = Store::at(directory.path());
    let history = next.history("proxy").unwrap();
    assert_eq!(next.source(history.find(2).unwrap()).unwrap(), b"two");
    assert_eq!(history.before(3).unwrap().number, 2);
    assert_eq!(history.latest().unwrap().created, time());
    let sources = fs::read_dir(directory.path().join("deployments/sources")).unwrap();
    assert_eq!(sources.count(), 2, "the same text is kept once");
}

#[test]
fn decisions_are_read_as_they_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let mut releases = store.releases().unwrap();
    *releases.of_mut("proxy", "TEST") = Release {
        deployment: Some(6),
        variables: [("a".to_owned(), "b".to_owned())].into(),
        canary: Some(Canary {
            deployment: 7,
            percent: 0.5,
            variables: [("origin".to_owned(), "127.0.0.1:9001".to_owned())].into(),
            use_stage_cache: true,
            rollback: Some(RollbackRule {
                error_percent_max: Some(2.5),
                latency_p99_ms_max: None,
                requests_min: 100,
                window_s: 60,
            }),
        }),
        stopped: Some(Stopped {
            deployment: 7,
            at: time(),
            reason: "too many 5XX".to_owned(),
        }),
    };
    releases.of_mut("proxy", "$default").deployment = Some(1);
    store.keep_releases(&releases).unwrap();
    assert_eq!(Store::at(directory.path()).releases().unwrap(), releases);
    for (number, expected) in [(1, true), (6, true), (7, true), (8, false)] {
        assert_eq!(releases.points_to("proxy", number), expected, "{number}");
    }
    assert!(!releases.points_to("other", 6));
}

#[test]
fn what_is_damaged_is_named_and_never_served() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    record(&store, "proxy", "one", 9, &[]);
    let history = store.history("proxy").unwrap();
    let deployment = history.latest().unwrap();
    let source = directory.path().join("deployments/sources").join(&deployment.digest);
    fs::write(&source, "oNe").unwrap();
    let error = store.source(deployment).unwrap_err();
    assert!(
        matches!(&error, StoreError::Damaged { path, .. } if *path == source),
        "{error}"
    );
    // The same document deployed again mends it.
    record(&store, "proxy", "one", 9, &[]);
    assert_eq!(store.source(deployment).unwrap(), b"one");

    for (file, bad) in [
        ("apis/proxy.json", "{"),
        ("apis/proxy.json", r#"{"last":1,"deployments":[],"more":1}"#),
        (
            "apis/proxy.json",
            r#"{"last":1,"deployments":[{"number":2,"digest":"","created":"2026-01-02T03:04:05Z","description":""}]}"#,
        ),
        (
            "apis/proxy.json",
            r#"{"last":2,"deployments":[{"number":2,"digest":"../../lock","created":"2026-01-02T03:04:05Z","description":""}]}"#,
        ),
        (
            "stages.json",
            r#"{"stages":[{"api":"a","stage":"b","canary":{"deployment":1,"percent":101,"use_stage_cache":true}}]}"#,
        ),
        ("stages.json", r#"{"stages":[{"api":"a","stage":"b","deploymnet":1}]}"#),
    ] {
        fs::write(directory.path().join("deployments").join(file), bad).unwrap();
        let error = match file {
            "stages.json" => store.releases().unwrap_err(),
            _ => store.history("proxy").unwrap_err(),
        };
        assert!(error.to_string().contains("is damaged"), "{bad}: {error}");
    }
}

#[test]
fn a_half_written_file_of_a_killed_process_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    record(&store, "proxy", "one", 9, &[]);
    fs::write(directory.path().join("deployments/apis/proxy.new"), "{\"last\":").unwrap();
    assert_eq!(store.history("proxy").unwrap().last, 1);
    assert_eq!(record(&store, "proxy", "two", 9, &[]), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// However many there were: numbers go up, no more than `max` are kept beside those in use, the newest always, and a
    /// document is there exactly as long as it is named.
    #[test]
    fn the_oldest_are_removed(texts in vec(0_u8..6, 1..12), max in 1_usize..6, used in vec(1_u32..12, 0..3)) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        for (index, text) in texts.iter().enumerate() {
            prop_assert_eq!(record(&store, "proxy", &text.to_string(), max, &used) as usize, index + 1);
        }
        let history = store.history("proxy").unwrap();
        prop_assert_eq!(history.last as usize, texts.len());
        let kept: Vec<_> = history.deployments.iter().map(|deployment| deployment.number).collect();
        prop_assert!(kept.contains(&history.last));
        for number in used.iter().filter(|number| **number <= history.last) {
            prop_assert!(kept.contains(number), "{number} is in use");
        }
        let idle = kept.iter().filter(|number| !used.contains(number)).count();
        prop_assert!(idle <= max);
        prop_assert!(kept.len() >= texts.len().min(max));
        for deployment in &history.deployments {
            let text = texts[deployment.number as usize - 1].to_string();
            prop_assert_eq!(store.source(deployment).unwrap(), text.into_bytes());
        }
        let named: BTreeSet<_> = history.deployments.iter().map(|deployment| deployment.digest.clone()).collect();
        let files = fs::read_dir(directory.path().join("deployments/sources")).unwrap();
        let files: BTreeSet<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        prop_assert_eq!(named, files);
    }
}
