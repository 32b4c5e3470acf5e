//! What a plain scalar stands for: YAML 1.2's core schema (section 10.3.2), which reads JSON's scalars alike.

use crate::tree::ScalarKind;

/// Resolves a scalar that is neither quoted nor tagged.
///
/// Unlike the schema, integers with a leading zero are strings: they are account numbers, dates and digits of a
/// version, and a reader that drops the zero changes what they name.
pub(crate) fn resolve(text: &str) -> ScalarKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => ScalarKind::Null,
        "true" | "True" | "TRUE" => ScalarKind::Bool(true),
        "false" | "False" | "FALSE" => ScalarKind::Bool(false),
        _ if is_number(text) => ScalarKind::Number,
        _ => ScalarKind::Text,
    }
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let has_digits = !whole.is_empty() || fraction.is_some_and(|digits| !digits.is_empty());
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0') && fraction.is_none() && exponent.is_none();
    has_digits
        && !has_leading_zero
        && is_digits(whole)
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|digits| !digits.is_empty() && is_digits(digits))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_by_the_core_schema() {
        let check = |kind: ScalarKind, texts: &[&str]| {
            for text in texts {
                assert_eq!(resolve(text), kind, "{text:?}");
            }
        };
        check(ScalarKind::Null, &["", "~", "null", "NULL"]);
        check(ScalarKind::Bool(true), &["true", "True", "TRUE"]);
        check(ScalarKind::Bool(false), &["false"]);
        check(
            ScalarKind::Number,
            &[
                "0", "-1", "+12", "1.0", ".5", "5.", "1e9", "-1.5E-7", "0x1F", "0o17", ".inf", "-.INF", ".nan", "0.5",
            ],
        );
        check(
            ScalarKind::Text,
            &[
                "yes",
                "no",
                "on",
                "off",
                "y",
                "tRUE",
                "012345678901",
                ".",
                "-",
                "1.0.0",
                "1e",
                "0x",
                "0o8",
                "e5",
                "1 ",
            ],
        );
    }
}
