//! An entry as bytes, for other gateways.
//!
//! ```text
//! version 1 │ generation 16 │ forgotten 2 │ status 2 │ stored 8 │ age 4 │ fields 2, each: name 2, value 4, both │ body
//! ```
//!
//! Numbers are big-endian. What has another version, or anything out of place, is no entry.

use bytes::Bytes;
use http::StatusCode;
use portcullis_core::Timestamp;
use portcullis_model::cache::ENTRY_BYTES_MAX;
use portcullis_net::Fields;

use super::{
    entry::{Entry, EntryHead, ends_here},
    log::{GENERATION_BYTES, Mark},
};

/// What a head takes at most; one that is larger stays here.
const HEAD_BYTES_MAX: usize = 65_536;
/// What an entry takes at most.
pub(super) const BYTES_MAX: usize = HEAD_BYTES_MAX + ENTRY_BYTES_MAX;

const VERSION: u8 = 1;

/// An entry, and what had been forgotten when its fetch began. `None` when it is too large.
pub(super) fn encode(entry: &Entry, mark: &Mark) -> Option<Vec<u8>> {
    let Entry { head, body } = entry;
    let mut out = Vec::with_capacity(head.fields.size() + body.len() + 256);
    out.push(VERSION);
    out.extend_from_slice(&mark.generation);
    out.extend_from_slice(&mark.forgotten.to_be_bytes());
    out.extend_from_slice(&head.status.as_u16().to_be_bytes());
    out.extend_from_slice(&head.stored.unix_micros().to_be_bytes());
    out.extend_from_slice(&head.age_s.to_be_bytes());
    out.extend_from_slice(&u16::try_from(head.fields.iter().count()).ok()?.to_be_bytes());
    for field in head.fields.iter() {
        out.extend_from_slice(&u16::try_from(field.name().len()).ok()?.to_be_bytes());
        out.extend_from_slice(&u32::try_from(field.value().len()).ok()?.to_be_bytes());
        out.extend_from_slice(field.name());
        out.extend_from_slice(field.value());
    }
    if out.len() > HEAD_BYTES_MAX || body.len() > ENTRY_BYTES_MAX {
        return None;
    }
    out.extend_from_slice(body);
    Some(out)
}

/// What [`encode`] made; `None` for anything else.
pub(super) fn decode(bytes: Vec<u8>) -> Option<(Entry, Mark)> {
    let mut rest = &*bytes;
    if take(&mut rest)? != [VERSION] {
        return None;
    }
    let generation = take::<GENERATION_BYTES>(&mut rest)?;
    let forgotten = u16::from_be_bytes(take(&mut rest)?);
    let status = StatusCode::from_u16(u16::from_be_bytes(take(&mut rest)?)).ok()?;
    let stored = Timestamp::from_unix_micros(i64::from_be_bytes(take(&mut rest)?));
    let age_s = u32::from_be_bytes(take(&mut rest)?);
    let count = u16::from_be_bytes(take(&mut rest)?);
    let mut fields = Fields::new();
    for _ in 0..count {
        let name = usize::from(u16::from_be_bytes(take(&mut rest)?));
        let value = usize::try_from(u32::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, behind) = rest.split_at_checked(name)?;
        let (value, behind) = behind.split_at_checked(value)?;
        rest = behind;
        if !fields.push_kept(name, value) {
            return None;
        }
    }
    let (body, head) = (rest.len(), bytes.len() - rest.len());
    if head > HEAD_BYTES_MAX || body > ENTRY_BYTES_MAX || fields.iter().any(|field| ends_here(&field)) {
        return None;
    }
    let head_of = EntryHead {
        status,
        fields,
        stored,
        age_s,
    };
    let entry = head_of.complete(Bytes::from(bytes).slice(head..));
    Some((entry, Mark { generation, forgotten }))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(status: u16, fields: &[(String, Vec<u8>)], stored: i64, age_s: u32, body: Vec<u8>) -> Entry {
        let mut kept = Fields::new();
        for (name, value) in fields {
            assert!(kept.push_kept(name.as_bytes(), value), "{name}");
        }
        let head = EntryHead {
            status: StatusCode::from_u16(status).unwrap(),
            fields: kept,
            stored: Timestamp::from_unix_micros(stored),
            age_s,
        };
        head.complete(body.into())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128 * soak()))]

        #[test]
        fn what_is_encoded_is_decoded_and_nothing_shorter(
            status in 200_u16..600,
            fields in prop::collection::vec(("[Xx]-[a-zA-Z0-9]{1,12}", prop::collection::vec(0x20_u8..0x7f, 0..40)), 0..8),
            stored in any::<i64>(),
            age_s in any::<u32>(),
            body in prop::collection::vec(any::<u8>(), 0..200),
            generation in any::<[u8; 16]>(),
            forgotten in any::<u16>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mark = Mark { generation, forgotten };
            let one = entry(status, &fields, stored, age_s, body.clone());
            let bytes = encode(&one, &mark).unwrap();
            let (other, read) = decode(bytes.clone()).unwrap();
            prop_assert_eq!(&read, &mark);
            prop_assert_eq!(other.head.fields.to_lines(), one.head.fields.to_lines());
            prop_assert_eq!(&other.body, &one.body);
            prop_assert_eq!((other.head.status, other.head.age_s), (one.head.status, age_s));
            prop_assert_eq!(other.head.stored.unix_micros(), stored);
            prop_assert_eq!(encode(&other, &read).unwrap(), bytes.clone());
            // A head that is cut is none; a body that is cut cannot be told, and has a seal around it.
            let head = bytes.len() - body.len();
            prop_assert!(decode(bytes[..cut.index(head)].to_vec()).is_none());
        }
    }

    fn soak() -> u32 {
        std::env::var("PORTCULLIS_SOAK")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(1)
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let mark = Mark {
            generation: [7; 16],
            forgotten: 3,
        };
        let check = |name: &str, value: &[u8], is_entry: bool| {
            let kept = entry(200, &[(name.to_owned(), value.to_vec())], 1, 0, b"body".to_vec());
            let bytes = encode(&kept, &mark).unwrap();
            assert_eq!(decode(bytes).is_some(), is_entry, "{name}");
        };
        check("x-a", b"b", true);
        check("content-length", b"9", false);
        check("Transfer-Encoding", b"chunked", false);
        let large = |bytes: usize| entry(200, &[], 1, 0, vec![0; bytes]);
        assert!(encode(&large(ENTRY_BYTES_MAX), &mark).is_some());
        assert!(encode(&large(ENTRY_BYTES_MAX + 1), &mark).is_none());
        let long = entry(200, &[("x-a".to_owned(), vec![b'a'; HEAD_BYTES_MAX])], 1, 0, Vec::new());
        assert!(encode(&long, &mark).is_none());
        let good = encode(&large(4), &mark).unwrap();
        let mut of_another_version = good.clone();
        of_another_version[0] = 2;
        assert!(decode(good).is_some() && decode(of_another_version).is_none());
        // A line break in a value would be another field.
        let kept = entry(200, &[("x-a".to_owned(), b"b!c".to_vec())], 1, 0, Vec::new());
        let mut split = encode(&kept, &mark).unwrap();
        let at = split.iter().position(|byte| *byte == b'!').unwrap();
        split[at] = b'\n';
        assert!(decode(split).is_none());
    }
}
