//! The located tree: every mapping, sequence and scalar of a YAML or JSON text with its place.

use indexmap::IndexMap;
use portcullis_core::Place;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What stands there.
    pub content: Content,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A single value.
    Scalar(Scalar),
    /// Values in order.
    Sequence(Vec<Node>),
    /// Values by name.
    Map(Map),
}

/// A single value: its text (escapes and quotes resolved) and what the text stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text as written, so that `version: 1.0` stays `1.0`.
    pub text: String,
    /// What it stands for.
    pub kind: ScalarKind,
}

/// What the text of a scalar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`; never `yes`, `on` and their like (YAML 1.2, section 10.3).
    Bool(bool),
    /// An integer or a floating-point number.
    Number,
    /// Anything else, and whatever is quoted.
    Text,
}

/// Values by name, in the order of the text; a name stands there once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    entries: IndexMap<String, Entry>,
}

/// A value with the place of its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the name stands.
    pub key_place: Place,
    /// The value.
    pub value: Node,
}

// === impl Node ===

impl Node {
    /// The mapping, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.content {
            Content::Map(map) => Some(map),
            Content::Scalar(_) | Content::Sequence(_) => None,
        }
    }

    /// The sequence, if it is one.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.content {
            Content::Sequence(items) => Some(items),
            Content::Scalar(_) | Content::Map(_) => None,
        }
    }

    /// The scalar, if it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            Content::Sequence(_) | Content::Map(_) => None,
        }
    }

    /// The text of a string or of a number (`version: 1.0`, `statusCode: 200`), not of a boolean or of nothing.
    pub fn as_text(&self) -> Option<&str> {
        let scalar = self.as_scalar()?;
        match scalar.kind {
            ScalarKind::Text | ScalarKind::Number => Some(&scalar.text),
            ScalarKind::Null | ScalarKind::Bool(_) => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_scalar()?.kind {
            ScalarKind::Bool(value) => Some(value),
            ScalarKind::Null | ScalarKind::Number | ScalarKind::Text => None,
        }
    }

    /// Whether it is `null` or nothing at all.
    pub fn is_null(&self) -> bool {
        self.as_scalar().is_some_and(|scalar| scalar.kind == ScalarKind::Null)
    }

    /// How many levels of mappings and sequences it is: 0 for a scalar.
    pub(crate) fn height(&self) -> usize {
        let highest = |heights: Option<usize>| 1 + heights.unwrap_or(0);
        match &self.content {
            Content::Scalar(_) => 0,
            Content::Sequence(items) => highest(items.iter().map(Node::height).max()),
            Content::Map(map) => highest(map.iter().map(|(_, entry)| entry.value.height()).max()),
        }
    }

    /// What it is, in words: `a mapping`, `a number`.
    pub fn noun(&self) -> &'static str {
        match &self.content {
            Content::Map(_) => "a mapping",
            Content::Sequence(_) => "a sequence",
            Content::Scalar(scalar) => match scalar.kind {
                ScalarKind::Null => "nothing",
                ScalarKind::Bool(_) => "a boolean",
                ScalarKind::Number => "a number",
                ScalarKind::Text => "a string",
            },
        }
    }

    /// The same as JSON. An integer of more than 64 bits and a number that JSON cannot write (`0o17`, `.inf`) become
    /// strings, lest a reader round them.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.content {
            Content::Map(map) => map
                .iter()
                .map(|(key, entry)| (key.to_owned(), entry.value.to_json()))
                .collect(),
            Content::Sequence(items) => items.iter().map(Node::to_json).collect(),
            Content::Scalar(scalar) => match scalar.kind {
                ScalarKind::Null => serde_json::Value::Null,
                ScalarKind::Bool(value) => value.into(),
                ScalarKind::Number => match serde_json::from_str::<serde_json::Number>(&scalar.text) {
                    Ok(number) if !number.is_f64() || scalar.text.contains(['.', 'e', 'E']) => number.into(),
                    Ok(_) | Err(_) => scalar.text.clone().into(),
                },
                ScalarKind::Text => scalar.text.clone().into(),
            },
        }
    }
}

// === impl Map ===

impl Map {
    /// The value of a name.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The value of a name with the place of the name.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Whether the name is there, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Everything in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// The number of names.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a value, or says where the name stands already.
    pub(crate) fn insert(&mut self, key: String, entry: Entry) -> Result<(), Place> {
        match self.entries.entry(key) {
            indexmap::map::Entry::Occupied(occupied) => Err(occupied.get().key_place.clone()),
            indexmap::map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
                Ok(())
            }
        }
    }

    /// Takes a name out, keeping the order of the others.
    pub(crate) fn take(&mut self, key: &str) -> Option<Entry> {
        self.entries.shift_remove(key)
    }

    /// Takes over whatever `other` has and this has not: a YAML merge (`<<`).
    pub(crate) fn merge(&mut self, other: Map) {
        for (key, entry) in other.entries {
            self.entries.entry(key).or_insert(entry);
        }
    }
}
