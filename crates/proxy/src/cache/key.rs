//! What one entry differs from another by.
//!
//! A key begins with the method's prefix ([`RouteCache::prefix`]). Behind it stand the values of its parameters, each with how
//! many there are and how long each is, so that no two requests with different values have one key. Values are compared as
//! policies compare paths: escapes of unreserved characters decoded, all others in upper case. That is finer than decoding:
//! `a%2Fb` and `a/b`, or `a+b` and `a%20b`, are one value to some origins and two to others, and an answer to one must not be
//! served for the other. For the same reason *all* values of a repeated parameter count, not the last one alone.

use std::{borrow::Borrow, sync::Arc};

use http::{HeaderMap, HeaderName};
use portcullis_core::{Verb, path};
use portcullis_model::{
    cache::{CacheSettings, KeyParameter, RouteCache},
    router::Parameters,
};
use portcullis_template::mapping::Source;

use crate::{
    integrate::{Admitted, form_decode, source_value},
    record::Record,
};

/// The key of an entry.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(Arc<[u8]>);

/// How the keys of one method are made.
#[derive(Debug)]
pub(crate) struct KeyPlan {
    verb: Verb,
    prefix: [u8; 32],
    parts: Vec<Part>,
    /// The headers among them.
    headers: Arc<[HeaderName]>,
    settings: CacheSettings,
    names: Vec<Box<str>>,
}

/// What of a request a part of the key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Header(HeaderName),
    Path(Box<str>),
    Query(Box<str>),
    /// Anything that is made of the request in another way.
    Other(Source),
}

/// Writes the values of one part.
struct Values<'k> {
    out: &'k mut Vec<u8>,
    count_at: usize,
    count: u32,
}

// === impl KeyPlan ===

impl KeyPlan {
    pub(crate) fn of(cache: &RouteCache) -> Self {
        let sources = cache.key.iter().flat_map(|parameter: &KeyParameter| &parameter.sources);
        let parts: Vec<_> = sources.filter_map(Part::of).collect();
        let headers = parts.iter().filter_map(|part| match part {
            Part::Header(name) => Some(name.clone()),
            Part::Path(_) | Part::Query(_) | Part::Other(_) => None,
        });
        Self {
            verb: cache.verb,
            prefix: cache.prefix,
            headers: headers.collect(),
            parts,
            settings: cache.settings.clone(),
            names: cache.key.iter().map(|parameter| parameter.name.clone()).collect(),
        }
    }

    pub(super) fn verb(&self) -> Verb {
        self.verb
    }

    pub(super) fn settings(&self) -> &CacheSettings {
        &self.settings
    }

    /// The headers that the key holds.
    pub(super) fn headers(&self) -> &Arc<[HeaderName]> {
        &self.headers
    }

    /// What the key is made of, as the document names it.
    pub(crate) fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The key of a request.
    pub(super) fn key(&self, admitted: &Admitted<'_, '_>, headers: &HeaderMap, record: &Record) -> Key {
        let mut out = Vec::with_capacity(160);
        out.extend_from_slice(&self.prefix);
        for part in &self.parts {
            let mut values = Values::begin(&mut out);
            match part {
                Part::Header(name) => headers
                    .get_all(name)
                    .iter()
                    .for_each(|value| values.push(value.as_bytes())),
                Part::Path(_) | Part::Query(_) => {
                    values.push_of_target(part, admitted.received.query(), admitted.routed.parameters())
                }
                Part::Other(source) => {
                    let value = source_value(
                        source,
                        admitted.received.query(),
                        headers,
                        &|name| admitted.routed.parameters().raw(name).map(ToOwned::to_owned),
                        &admitted.located.stage().variables,
                        record,
                    );
                    if let Some(value) = value {
                        values.push(value.as_bytes());
                    }
                }
            }
            values.end();
        }
        Key(out.into())
    }

    /// What the keys of a path and query hold, part by part; `None` where they hold anything else.
    pub(super) fn resource(&self, query: Option<&str>, parameters: &Parameters<'_, '_>) -> Vec<Option<Vec<u8>>> {
        let part = |part: &Part| match part {
            Part::Path(_) | Part::Query(_) => {
                let mut out = Vec::new();
                let mut values = Values::begin(&mut out);
                values.push_of_target(part, query, parameters);
                values.end();
                Some(out)
            }
            Part::Header(_) | Part::Other(_) => None,
        };
        self.parts.iter().map(part).collect()
    }

    /// What the keys of the method begin with.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// What a key of this method holds of path and query, part by part: what [`resource`](Self::resource) says of them.
    pub(super) fn resource_of<'k>(&self, key: &'k Key) -> Vec<&'k [u8]> {
        let mut rest = key.0.get(self.prefix.len()..).unwrap_or_default();
        let held = |part: &Part| {
            let held = take_part(&mut rest)?;
            matches!(part, Part::Path(_) | Part::Query(_)).then_some(held)
        };
        self.parts.iter().filter_map(held).collect()
    }

    /// Whether a key is one of this method's, and of that path and query.
    pub(super) fn is_of_resource(&self, key: &Key, resource: &[Option<Vec<u8>>]) -> bool {
        let Some(mut rest) = key.0.strip_prefix(&self.prefix) else {
            return false;
        };
        resource.iter().all(|wanted| {
            let held = take_part(&mut rest);
            held.is_some_and(|held| wanted.as_ref().is_none_or(|wanted| *wanted == held))
        })
    }
}

// === impl Part ===

impl Part {
    /// `None` for what is the same in every request of a deployment.
    fn of(source: &Source) -> Option<Self> {
        match source {
            Source::Header(name) | Source::HeaderAll(name) => HeaderName::try_from(&**name).ok().map(Self::Header),
            Source::Path(name) => Some(Self::Path(name.clone())),
            Source::Query(name) | Source::QueryAll(name) => Some(Self::Query(name.clone())),
            Source::Literal(_) | Source::StageVariable(_) => None,
            Source::Context(_) | Source::PathWhole => Some(Self::Other(source.clone())),
        }
    }
}

// === impl Key ===

impl Key {
    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Vec<u8>> for Key {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    /// Never its values: tokens may be among them.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Key({} bytes)", self.0.len())
    }
}

// === impl Values ===

impl<'k> Values<'k> {
    fn begin(out: &'k mut Vec<u8>) -> Self {
        let count_at = out.len();
        out.extend_from_slice(&[0; 4]);
        Self {
            out,
            count_at,
            count: 0,
        }
    }

    fn push(&mut self, value: &[u8]) {
        self.out.extend_from_slice(&length(value.len()));
        self.out.extend_from_slice(value);
        self.count += 1;
    }

    fn push_normalized(&mut self, value: &str) {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        path::normalize_onto(value, self.out);
        let written = length(self.out.len() - at - 4);
        self.out[at..at + 4].copy_from_slice(&written);
        self.count += 1;
    }

    /// What of the request's target a part holds.
    fn push_of_target(&mut self, part: &Part, query: Option<&str>, parameters: &Parameters<'_, '_>) {
        match part {
            Part::Path(name) => {
                if let Some(value) = parameters.raw(name) {
                    self.push_normalized(value);
                }
            }
            Part::Query(name) => query_pairs(query, name).for_each(|pair| self.push_normalized(pair)),
            Part::Header(_) | Part::Other(_) => {}
        }
    }

    fn end(self) {
        self.out[self.count_at..self.count_at + 4].copy_from_slice(&self.count.to_be_bytes());
    }
}

/// Heads are bounded far below this.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// Cuts the values of one part off a key.
fn take_part<'k>(rest: &mut &'k [u8]) -> Option<&'k [u8]> {
    let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize);
    let mut end = 4;
    for _ in 0..number(rest)? {
        end += 4 + number(rest.get(end..)?)?;
    }
    let (part, behind) = rest.split_at_checked(end)?;
    *rest = behind;
    Some(part)
}

/// The pairs of a query whose name decodes to `name`, as received, the name included.
fn query_pairs<'q>(query: Option<&'q str>, name: &'q str) -> impl Iterator<Item = &'q str> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs.filter(move |pair| {
        let known = pair.split_once('=').map_or(*pair, |(known, _)| known);
        form_decode(known) == name
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A key of parts with these values.
    fn written(parts: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in parts {
            let mut values = Values::begin(&mut out);
            part.iter().for_each(|value| values.push(value));
            values.end();
        }
        out
    }

    fn normalized(values: &[String]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut out = Vec::new();
        let mut written = Values::begin(&mut out);
        values.iter().for_each(|value| written.push_normalized(value));
        written.end();
        let plain = values.iter().map(|value| {
            let mut plain = Vec::new();
            path::normalize_onto(value, &mut plain);
            plain
        });
        (out, plain.collect())
    }

    /// Values of few and telling bytes, so that some of them look like the lengths of others.
    fn values() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let byte = prop_oneof![Just(0_u8), Just(1), Just(4), Just(b'&')];
        proptest::collection::vec(proptest::collection::vec(byte, 0..6), 0..4)
    }

    fn cases(count: u32) -> ProptestConfig {
        let soak = std::env::var("PORTCULLIS_SOAK")
            .ok()
            .and_then(|soak| soak.parse().ok())
            .unwrap_or(1);
        ProptestConfig::with_cases(count * soak)
    }

    proptest! {
        #![proptest_config(cases(200))]

        #[test]
        fn other_values_make_another_key(
            one in proptest::collection::vec(values(), 3),
            other in proptest::collection::vec(values(), 3),
        ) {
            prop_assert_eq!(written(&one) == written(&other), one == other);
        }

        #[test]
        fn a_key_is_taken_apart_as_it_was_put_together(parts in proptest::collection::vec(values(), 0..5)) {
            let key = written(&parts);
            let mut rest = key.as_slice();
            for part in &parts {
                let expected = written(std::slice::from_ref(part));
                prop_assert_eq!(take_part(&mut rest), Some(expected.as_slice()));
            }
            prop_assert!(rest.is_empty());
            prop_assert_eq!(take_part(&mut rest), None);
        }

        #[test]
        fn spellings_of_one_value_make_one_key(
            one in proptest::collection::vec("(%[46][0-9a-f]|%2[fF]|%|[a-c/+&=]){0,6}", 0..3),
            other in proptest::collection::vec("(%[46][0-9a-f]|%2[fF]|%|[a-c/+&=]){0,6}", 0..3),
        ) {
            let ((one_key, one), (other_key, other)) = (normalized(&one), normalized(&other));
            prop_assert_eq!(one_key == other_key, one == other);
        }
    }

    #[test]
    fn broken_keys_are_not_taken_apart() {
        for broken in [
            &b""[..],
            b"\0\0\0",
            b"\0\0\0\x01",
            b"\0\0\0\x01\0\0\0\x02a",
            b"\xff\xff\xff\xff\0\0\0\0",
        ] {
            assert_eq!(take_part(&mut &broken[..]), None, "{broken:?}");
        }
    }

    #[test]
    fn pairs_of_a_name_in_any_spelling() {
        let check = |query: &str, expected: &[&str]| {
            assert_eq!(
                query_pairs(Some(query), "page size").collect::<Vec<_>>(),
                expected,
                "{query}"
            );
        };
        check("page+size=1&x=2&page%20size", &["page+size=1", "page%20size"]);
        check("pagesize=1&Page+size=1&=page+size", &[]);
        check("", &[]);
        assert_eq!(query_pairs(None, "page size").next(), None);
    }
}
