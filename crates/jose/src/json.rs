//! JSON read strictly: no duplicate members at any depth, bounded depth.
//!
//! serde_json lets the last of two equal members win; another reader of the same token may let the first win. RFC 7515
//! section 4 and RFC 7519 section 4 let us refuse, and we do, so that nobody can say two things with one signature.

use std::{borrow::Cow, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep objects and arrays may nest, the outermost included.
pub(crate) const DEPTH_MAX: u8 = 16;

/// A document that is not JSON, has a duplicate member, nests too deeply or is not of the wanted type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotStrict;

/// A string, borrowed from the document unless it holds escapes.
pub(crate) struct Text<'json>(pub(crate) Cow<'json, str>);

/// Any value, with this many levels left for what it holds.
#[derive(Clone, Copy)]
pub(crate) struct AnyValue(pub(crate) u8);

/// Reads a document that must be one object.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, NotStrict> {
    // Checking the whole as UTF-8 once is faster than string by string, as `from_slice` does.
    let text = std::str::from_utf8(bytes).map_err(|_| NotStrict)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match AnyValue(DEPTH_MAX).deserialize(&mut deserializer) {
        Ok(Value::Object(object)) => deserializer.end().map(|()| object).map_err(|_| NotStrict),
        Ok(_) | Err(_) => Err(NotStrict),
    }
}

// === impl Text ===

impl<'de> de::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

// === impl AnyValue ===

impl AnyValue {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        self.0
            .checked_sub(1)
            .map(Self)
            .ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        // Room for the claims of most tokens spares growing the map twice on the way of every request.
        let mut object = if self.0 == DEPTH_MAX {
            Map::with_capacity(8)
        } else {
            Map::new()
        };
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, accepted: bool) {
        let strict = parse_object(document.as_bytes());
        assert_eq!(strict.is_ok(), accepted, "{document}");
        if let Ok(object) = strict {
            let plain: Value = serde_json::from_str(document).unwrap();
            assert_eq!(Value::Object(object), plain, "{document}");
        }
    }

    #[test]
    fn reads_objects_strictly() {
        check("{}", true);
        check(
            r#" {"a":1,"b":[null,true,-2,1.5,18446744073709551615,"x\n",{"a":{}}]} "#,
            true,
        );
        check(r#"{"a":1,"A":2}"#, true);
        check(r#"{"a":1,"a":1}"#, false);
        check(r#"{"a":1,"\u0061":1}"#, false);
        check(r#"{"a":[{"b":1,"b":2}]}"#, false);
        check(r#"{"a":[{"b":1},{"b":2}]}"#, true);
        check(r#"{"a":1e400}"#, false);
        check(r#"{"a":1e300}"#, true);
        check(r#"{"a":1} {}"#, false);
        check(r#"{"a":1,}"#, false);
        check("[]", false);
        check("null", false);
        check("", false);
        check("{\"a\":\"\u{0}\"}", false);
        for (depth, accepted) in [(15, true), (16, false), (10_000, false)] {
            check(
                &format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth)),
                accepted,
            );
        }
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), Err(NotStrict));
    }
}
