//! Throttles, wherever they stand: a rate and a burst.

use portcullis_core::Place;

use super::section::Section;

/// The rate and burst of a throttle at most.
const THROTTLE_MAX: u32 = 10_000_000;
/// Sources or principals that are told apart at most, and when nothing is said.
const ENTRIES_MAX: u64 = 16_777_216;
const ENTRIES: usize = 65_536;

/// `throttle`: requests per second and at once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Throttle {
    /// Where it stands.
    pub(crate) place: Place,
    /// Requests per second (default 10,000); 0 for none once the burst is used up.
    pub(crate) rate_per_s: f64,
    /// Requests at once (default 5,000); 0 refuses everything.
    pub(crate) burst: u32,
    /// Whether gateways with one Redis count together (default false).
    pub(crate) shared: bool,
}

/// `source_throttle`, `principal_throttle`: a throttle for each of many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyedThrottle {
    /// The figures of each.
    pub(crate) each: Throttle,
    /// How many are told apart at once.
    pub(crate) entries_max: usize,
}

// === impl Throttle ===

impl Throttle {
    /// Amazon's account-wide figures: 10,000 per second, 5,000 at once.
    pub(crate) fn standard(place: Place) -> Self {
        Self {
            place,
            rate_per_s: 10_000.0,
            burst: 5_000,
            shared: false,
        }
    }
}

/// Reads a throttle that may be shared.
pub(super) fn read_shared(table: &Section<'_>) -> Throttle {
    let shared = table.flag("shared");
    Throttle {
        shared: shared.is_some_and(|shared| shared.value),
        ..read(table)
    }
}

/// Reads a throttle; whether it is shared is said elsewhere.
pub(super) fn read(table: &Section<'_>) -> Throttle {
    let throttle = read_figures(table);
    table.finish();
    throttle
}

/// Reads a throttle for each of many, under `max_key` how many.
pub(super) fn read_keyed(table: &Section<'_>, max_key: &'static str, may_be_shared: bool) -> KeyedThrottle {
    let shared = may_be_shared && table.flag("shared").is_some_and(|shared| shared.value);
    let entries = table.integer(max_key, 1..=ENTRIES_MAX);
    for key in ["rate_per_s", "burst"] {
        table.required(key, |_| Some(()));
    }
    let figures = read_figures(table);
    table.finish();
    if figures.rate_per_s <= 0.0 && table.has("rate_per_s") {
        let message = format!(
            "`{}` never lets anybody back who used up the burst",
            table.full("rate_per_s")
        );
        let remedy = "give a rate of more than 0";
        table.report.error(&table.place, "out-of-range", message, remedy);
    }
    KeyedThrottle {
        each: Throttle { shared, ..figures },
        entries_max: entries
            .and_then(|entries| usize::try_from(entries.value).ok())
            .unwrap_or(ENTRIES),
    }
}

fn read_figures(table: &Section<'_>) -> Throttle {
    let rate_per_s = table.number("rate_per_s", 0.0..=f64::from(THROTTLE_MAX));
    let burst = table.integer("burst", 0..=u64::from(THROTTLE_MAX));
    let standard = Throttle::standard(table.place.clone());
    let throttle = Throttle {
        rate_per_s: rate_per_s.as_ref().map_or(standard.rate_per_s, |found| found.value),
        burst: burst
            .as_ref()
            .and_then(|found| u32::try_from(found.value).ok())
            .unwrap_or(standard.burst),
        ..standard
    };
    if throttle.burst == 0 {
        let place = burst.map_or(table.place.clone(), |found| found.place);
        table.report.warn(
            &place,
            "refuses-everything",
            "a burst of 0 refuses every request",
            "set it to the requests allowed at once",
        );
    }
    throttle
}
