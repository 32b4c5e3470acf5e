use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Enters one after the other and holds all that were admitted.
fn check(limits: SourceLimits, script: &[(&str, bool)]) -> Vec<SourceGuard> {
    let counts = SourceCounts::new(limits);
    let enter = |(text, expected): &(&str, bool)| {
        let guard = counts.enter(address(text));
        assert_eq!(guard.is_some(), *expected, "{text}");
        guard
    };
    script.iter().filter_map(enter).collect()
}

#[test]
fn a_source_has_its_share_and_no_more() {
    let limits = SourceLimits {
        per_source_max: 2,
        total_max: 100,
    };
    check(
        limits,
        &[
            ("192.0.2.1", true),
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::3", false),
            ("2001:db8:0:2::1", true),
        ],
    );
    check(
        SourceLimits {
            per_source_max: 0,
            total_max: 1,
        },
        &[("192.0.2.1", false)],
    );
}

#[test]
fn the_total_holds_over_all_sources() {
    let limits = SourceLimits {
        per_source_max: 2,
        total_max: 2,
    };
    check(
        limits,
        &[("192.0.2.1", true), ("192.0.2.2", true), ("192.0.2.3", false)],
    );
    check(
        SourceLimits {
            per_source_max: 1,
            total_max: 0,
        },
        &[("192.0.2.1", false)],
    );
}

#[test]
fn a_place_given_back_can_be_taken_and_nothing_is_remembered() {
    let counts = SourceCounts::new(SourceLimits {
        per_source_max: 1,
        total_max: 1,
    });
    for _ in 0..3 {
        let guard = counts.enter(address("192.0.2.1"));
        assert!(guard.is_some());
        assert!(counts.enter(address("192.0.2.1")).is_none());
        assert!(counts.enter(address("192.0.2.9")).is_none());
        assert_eq!((counts.open(), counts.sources()), (1, 1));
        drop(guard);
        assert_eq!((counts.open(), counts.sources()), (0, 0));
    }
}

#[test]
fn exact_under_concurrency() {
    let counts = SourceCounts::new(SourceLimits {
        per_source_max: 30,
        total_max: 50,
    });
    let enter = |last: u8| {
        (0..100)
            .filter_map(|_| counts.enter(IpAddr::from([192, 0, 2, last])))
            .collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let enter = &enter;
        let threads: Vec<_> = (0..4_u8).map(|index| scope.spawn(move || enter(index % 2))).collect();
        let guards: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        // A refused entry holds a place for a moment, so that one more refusal may fall into it, but never one admission.
        assert!(guards.len() <= 50);
        assert_eq!(counts.open(), guards.len());
        for last in [0, 1] {
            assert!(
                guards
                    .iter()
                    .filter(|guard| guard.source == IpAddr::from([192, 0, 2, last]))
                    .count()
                    <= 30
            );
        }
    });
    assert_eq!((counts.open(), counts.sources()), (0, 0));
    assert_eq!(enter(0).len(), 30);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn agrees_with_a_plain_map(steps in prop::collection::vec((any::<bool>(), 0_u8..5), 0..80)) {
        let counts = SourceCounts::new(SourceLimits { per_source_max: 3, total_max: 8 });
        let (mut held, mut plain) = (Vec::new(), BTreeMap::<u8, usize>::new());
        for (enters, last) in steps {
            if enters {
                let admits = plain.values().sum::<usize>() < 8 && plain.get(&last).is_none_or(|count| *count < 3);
                let guard = counts.enter(IpAddr::from([192, 0, 2, last]));
                prop_assert_eq!(guard.is_some(), admits);
                if let Some(guard) = guard {
                    *plain.entry(last).or_default() += 1;
                    held.push((last, guard));
                }
            } else if let Some(at) = held.iter().position(|(of, _)| *of == last) {
                drop(held.remove(at));
                *plain.entry(last).or_default() -= 1;
            }
            prop_assert_eq!(counts.open(), held.len());
            prop_assert_eq!(counts.sources(), plain.values().filter(|count| **count > 0).count());
        }
    }
}
