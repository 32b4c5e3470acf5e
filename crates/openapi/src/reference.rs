//! `$ref` within the document: JSON pointers in URI fragments (RFC 6901, section 6).

use portcullis_core::Place;

use crate::{
    read::Reader,
    report::{Report, quote},
    tree::{Content, Map, Node},
};

/// How many references may lead to one another.
const HOPS_MAX: usize = 16;

/// How many values references may lead to in all, each counted as often as it is read: a few references could
/// otherwise make a small document as large as an alias bomb does.
const VALUES_MAX: usize = 2_000_000;
/// How much text they may lead to.
const TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What references have led to so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Referred {
    values: usize,
    text_bytes: usize,
}

impl<'a> Reader<'a> {
    /// Follows `$ref` until something else stands there. `about` names what is read (`GET /pets`).
    pub(crate) fn resolve(&mut self, node: &'a Node, about: &str) -> Option<&'a Node> {
        let mut node = node;
        for _ in 0..=HOPS_MAX {
            let Some(reference) = node.as_map().and_then(|map| map.get("$ref")) else {
                return Some(node);
            };
            self.refuse_neighbors(node, about);
            let Some(text) = reference.as_text() else {
                let message = format!("{about}: `$ref` is {}, not a string", reference.noun());
                self.report.error(
                    &reference.place,
                    "wrong-type",
                    message,
                    "write a reference such as `#/components/…`",
                );
                return None;
            };
            node = follow(self.root, text, &reference.place, about, &mut self.report)?;
            if !self.referred.charge(node) {
                let message = format!("{about}: references lead to more than {VALUES_MAX} values in all");
                self.report.error(
                    &reference.place,
                    "document-too-large",
                    message,
                    "split it into several APIs",
                );
                return None;
            }
        }
        let message = format!("{about}: the reference leads in a circle, or over more than {HOPS_MAX} others");
        let remedy = "refer to the value itself";
        self.report.error(&node.place, "circular-reference", message, remedy);
        None
    }

    /// What stands beside a `$ref` is ignored by some readers and merged by others, so it is refused.
    fn refuse_neighbors(&mut self, node: &Node, about: &str) {
        let harmless = |key: &str| matches!(key, "$ref" | "summary" | "description");
        for (key, entry) in node
            .as_map()
            .iter()
            .flat_map(|map| map.iter())
            .filter(|(key, _)| !harmless(key))
        {
            let message = format!("{about}: `{}` stands beside a `$ref` and would be ignored", quote(key));
            let remedy = "move it to where the `$ref` leads";
            self.report.error(&entry.key_place, "beside-reference", message, remedy);
        }
    }
}

// === impl Referred ===

impl Referred {
    /// Counts a value with all that is in it; false once the bounds are crossed, and then without looking further.
    fn charge(&mut self, node: &Node) -> bool {
        self.values += 1;
        if self.values > VALUES_MAX || self.text_bytes > TEXT_BYTES_MAX {
            return false;
        }
        match &node.content {
            Content::Scalar(scalar) => {
                self.text_bytes += scalar.text.len();
                true
            }
            Content::Sequence(items) => items.iter().all(|item| self.charge(item)),
            Content::Map(map) => map.iter().all(|(_, entry)| self.charge(&entry.value)),
        }
    }
}

fn follow<'a>(root: &'a Map, text: &str, place: &Place, about: &str, report: &mut Report) -> Option<&'a Node> {
    let Some(pointer) = text.strip_prefix("#/") else {
        let message = format!("{about}: `{}` refers to something outside the document", quote(text));
        let remedy = "bundle the parts into one document first; references here begin with `#/`";
        report.error(place, "external-reference", message, remedy);
        return None;
    };
    let target = walk(root, pointer);
    if target.is_none() {
        let message = format!("{about}: `{}` refers to nothing", quote(text));
        report.error(
            place,
            "unresolved-reference",
            message,
            "define it, or correct the reference",
        );
    }
    target
}

fn walk<'a>(root: &'a Map, pointer: &str) -> Option<&'a Node> {
    let mut tokens = pointer.split('/').map(unescape);
    let mut node = root.get(&tokens.next()?)?;
    for token in tokens {
        node = match &node.content {
            Content::Map(map) => map.get(&token)?,
            Content::Sequence(items) => items.get(token.parse::<usize>().ok()?)?,
            Content::Scalar(_) => return None,
        };
    }
    Some(node)
}

/// Percent escapes first, then `~1` and `~0` in this order (RFC 6901, section 4).
fn unescape(token: &str) -> String {
    percent_encoding::percent_decode_str(token)
        .decode_utf8_lossy()
        .replace("~1", "/")
        .replace("~0", "~")
}
