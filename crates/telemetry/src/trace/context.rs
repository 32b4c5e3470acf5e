//! Where a caller says which trace its request stands in: W3C Trace Context and AWS X-Ray, two ways to write one thing.

use std::fmt;

/// A trace's id, never zero: 16 bytes, the first four the time of its beginning where X-Ray shall read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// A span's id, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// What a caller says of the trace that its request stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span.
    pub parent: Option<SpanId>,
    /// Whether it is sampled, when that is decided.
    pub sampled: Option<bool>,
}

// === impl TraceId ===

impl TraceId {
    /// A new one of a time (seconds since 1970, as far as 32 bits go) and random bytes.
    pub fn new(unix_seconds: u32, random: [u8; 12]) -> Self {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&unix_seconds.to_be_bytes());
        bytes[4..].copy_from_slice(&random);
        if bytes == [0; 16] {
            bytes[15] = 1;
        }
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Its low 56 bits, which are random (W3C Trace Context level 2).
    pub(super) fn low_bits(self) -> u64 {
        self.0[9..].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, formatter)
    }
}

// === impl SpanId ===

impl SpanId {
    /// From random bits; 1 stands for 0.
    pub fn new(random: u64) -> Self {
        Self(random.max(1).to_be_bytes())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, formatter)
    }
}

// === impl TraceContext ===

impl TraceContext {
    /// Reads `traceparent` (W3C Trace Context section 3.2). Later versions may say more behind what is known.
    pub fn from_traceparent(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(55)?;
        let (version, trace, parent, flags) = (&known[..2], &known[3..35], &known[36..52], &known[53..]);
        if known[2] != b'-' || known[35] != b'-' || known[52] != b'-' {
            return None;
        }
        let [version] = digits::<1>(version)?;
        let may_go_on = version > 0 && more.starts_with(b"-");
        if version == 0xff || !(more.is_empty() || may_go_on) {
            return None;
        }
        let [flags] = digits::<1>(flags)?;
        Some(Self {
            trace: TraceId(not_zero(digits(trace)?)?),
            parent: Some(SpanId(not_zero(digits(parent)?)?)),
            sampled: Some(flags & 1 == 1),
        })
    }

    /// Reads `X-Amzn-Trace-Id`: `Root=1-{8}-{24};Parent={16};Sampled=0|1|?`, its parts in any order. Without a well-formed root
    /// it says nothing; without a parent its decision does not count.
    pub fn from_xray(value: &[u8]) -> Option<Self> {
        let part = |name: &[u8]| {
            let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            parts.find_map(|part| part.strip_prefix(name))
        };
        let root = part(b"Root=1-")?;
        let (time, random) = root.split_at_checked(8)?;
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&digits::<4>(time)?);
        bytes[4..].copy_from_slice(&digits::<12>(random.strip_prefix(b"-")?)?);
        let parent = part(b"Parent=")
            .and_then(|parent| not_zero(digits(parent)?))
            .map(SpanId);
        let sampled = part(b"Sampled=").filter(|_| parent.is_some());
        Some(Self {
            trace: TraceId(not_zero(bytes)?),
            parent,
            sampled: match sampled {
                Some(b"1") => Some(true),
                Some(b"0") => Some(false),
                _ => None,
            },
        })
    }

    /// As `traceparent`; without a parent or a decision there is nothing that could be written.
    pub fn to_traceparent(self) -> Option<String> {
        let flags = u8::from(self.sampled?);
        Some(format!("00-{}-{}-{flags:02x}", self.trace, self.parent?))
    }

    /// As `X-Amzn-Trace-Id`.
    pub fn to_xray(self) -> Option<String> {
        let (trace, parent, sampled) = (self.trace.to_string(), self.parent?, u8::from(self.sampled?));
        let (time, random) = trace.split_at_checked(8)?;
        Some(format!("Root=1-{time}-{random};Parent={parent};Sampled={sampled}"))
    }
}

/// Takes any bytes as either field: what is understood must say the same when it is written and read again.
pub fn fuzz_trace_context(data: &[u8]) {
    for context in [TraceContext::from_traceparent(data), TraceContext::from_xray(data)] {
        let Some(context) = context else { continue };
        assert!(context.trace.0 != [0; 16], "an id of nothing");
        let again = [
            context
                .to_traceparent()
                .map(|text| TraceContext::from_traceparent(text.as_bytes())),
            context.to_xray().map(|text| TraceContext::from_xray(text.as_bytes())),
        ];
        for again in again.into_iter().flatten() {
            assert_eq!(again, Some(context), "another trace");
        }
    }
}

/// Lower-case hexadecimal digits, as both forms demand.
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn not_zero<const N: usize>(bytes: [u8; N]) -> Option<[u8; N]> {
    (bytes != [0; N]).then_some(bytes)
}

fn hex(bytes: &[u8], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn w3c() {
        let check = |text: &str, expected: Option<bool>| {
            let context = TraceContext::from_traceparent(text.as_bytes());
            assert_eq!(context.and_then(|context| context.sampled), expected, "{text}");
            if let Some(context) = context {
                assert_eq!(
                    (context.trace.to_string(), context.parent.unwrap().to_string()),
                    (TRACE.into(), "00f067aa0ba902b7".into())
                );
            }
        };
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some(true));
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", Some(false));
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", Some(true));
        check(
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-will-be",
            Some(true),
        );
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn xray() {
        let check = |text: &str, expected: Option<&str>| {
            let context = TraceContext::from_xray(text.as_bytes());
            assert_eq!(
                context.and_then(TraceContext::to_traceparent).as_deref(),
                expected,
                "{text}"
            );
        };
        let root = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736";
        let parent = "Parent=00f067aa0ba902b7";
        check(
            &format!("{root};{parent};Sampled=1"),
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        );
        check(
            &format!("Self=1-x; Sampled=0 ;{parent}; {root}"),
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
        );
        // Who has no span has not sampled it.
        let alone = TraceContext::from_xray(format!("{root};Sampled=1").as_bytes()).unwrap();
        assert_eq!((alone.parent, alone.sampled), (None, None));
        let open = TraceContext::from_xray(format!("{root};{parent};Sampled=?").as_bytes()).unwrap();
        assert_eq!(open.sampled, None);
        for bad in [
            "",
            "Root=2-4bf92f35-77b34da6a3ce929d0e0e4736",
            "Root=1-4bf92f35",
            "Root=1-00000000-000000000000000000000000",
        ] {
            assert_eq!(TraceContext::from_xray(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_corpus_holds() {
        let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus/trace_context");
        let inputs: Vec<_> = std::fs::read_dir(corpus)
            .unwrap()
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect();
        assert!(inputs.len() >= 3);
        inputs.iter().for_each(|input| fuzz_trace_context(input));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_safely(data in prop::collection::vec(any::<u8>(), 0..90), text in "[0-9a-f=;RotPaenSmld1?-]{0,80}") {
            fuzz_trace_context(&data);
            fuzz_trace_context(text.as_bytes());
        }
    }
}
