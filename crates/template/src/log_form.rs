//! Which form a log template has, and whether its text is of that form whatever the values are.

/// Stands for a value in a skeleton that is checked; a character of no meaning (Unicode's private use area).
pub(crate) const VALUE: &str = "\u{e000}";
const VALUE_CHAR: char = '\u{e000}';

/// Why a text is not XML, or not XML in which values are safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlFault {
    /// An ampersand that begins no entity.
    #[error("`&` begins no entity; write `&amp;`")]
    Ampersand,
    /// An attribute twice, without a name or without `=`.
    #[error("an attribute is there twice, or has no name or no `=`")]
    Attribute,
    /// A tag that was not opened last is closed.
    #[error("`</{0}>` closes what was not opened last")]
    Closing(String),
    /// Comments, processing instructions and declarations are not for a log's line.
    #[error("`<!` and `<?` have no place in a line of a log")]
    Declaration,
    /// A name that is none, or a value in the place of one.
    #[error("a tag or an attribute has no name of letters, digits, `_`, `-`, `.` and `:`")]
    Name,
    /// Something behind or before the one element.
    #[error("a line is one element, and nothing stands beside it")]
    NotOneElement,
    /// A tag, quote or element that does not end.
    #[error("a tag, a quote or an element does not end")]
    Open,
    /// An attribute's value without quotes.
    #[error("an attribute's value has no quotes around it")]
    Unquoted,
}

/// Whether a template is CSV: nothing but commas parts its fields, each of which is one variable, one variable in quotes, or
/// plain text; and there are at least two.
pub(crate) fn is_csv(template: &str) -> bool {
    let field = |field: &str| {
        let inner = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match inner.unwrap_or(field).strip_prefix("$context.") {
            Some(name) => crate::variable::name_at(name).len() == name.len(),
            None => !field.contains(['"', '\\', '$', ' ']),
        }
    };
    template.contains(',') && template.split(',').all(field)
}

/// Whether a line is one element of well-formed XML 1.0 in which [`VALUE`] stands only where text may (sections 2.1, 2.3 and 3.1).
pub(crate) fn check_xml(skeleton: &str) -> Result<(), XmlFault> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = skeleton;
    let mut elements = 0;
    while !rest.is_empty() {
        let Some(begin) = rest.find('<') else {
            check_text(rest)?;
            return Err(if open.is_empty() {
                XmlFault::NotOneElement
            } else {
                XmlFault::Open
            });
        };
        let (text, tag) = rest.split_at(begin);
        check_text(text)?;
        if open.is_empty() && !text.is_empty() {
            return Err(XmlFault::NotOneElement);
        }
        if tag.starts_with("<!") || tag.starts_with("<?") {
            return Err(XmlFault::Declaration);
        }
        let end = tag_end(tag)?;
        let inside = &tag[1..end];
        rest = &tag[end + 1..];
        if let Some(name) = inside.strip_prefix('/') {
            let name = name.trim_end();
            if open.pop() != Some(name) {
                return Err(XmlFault::Closing(name.replace(VALUE_CHAR, "…")));
            }
            continue;
        }
        elements += usize::from(open.is_empty());
        let (inside, is_closed) = inside
            .strip_suffix('/')
            .map_or((inside, false), |inside| (inside, true));
        let name = check_opening(inside)?;
        if !is_closed {
            open.push(name);
        }
    }
    match (open.is_empty(), elements) {
        (false, _) => Err(XmlFault::Open),
        (true, 1) => Ok(()),
        (true, _) => Err(XmlFault::NotOneElement),
    }
}

/// Where the `>` of a tag stands, which may be in quotes before that.
fn tag_end(tag: &str) -> Result<usize, XmlFault> {
    let mut quote = None;
    for (at, letter) in tag.char_indices() {
        match (quote, letter) {
            (None, '>') => return Ok(at),
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
    }
    Err(XmlFault::Open)
}

/// The name of an opening tag whose attributes are as they must be.
fn check_opening(inside: &str) -> Result<&str, XmlFault> {
    let end = inside.find(char::is_whitespace).unwrap_or(inside.len());
    let (name, mut rest) = inside.split_at(end);
    check_name(name)?;
    let mut seen = Vec::new();
    loop {
        let trimmed = rest.trim_start();
        if trimmed.is_empty() {
            return Ok(name);
        }
        let (attribute, behind) = trimmed.split_once('=').ok_or(XmlFault::Attribute)?;
        let attribute = attribute.trim_end();
        check_name(attribute)?;
        if seen.contains(&attribute) || trimmed.len() == rest.len() {
            return Err(XmlFault::Attribute);
        }
        seen.push(attribute);
        let behind = behind.trim_start();
        let quote = behind.chars().next().filter(|letter| matches!(letter, '"' | '\''));
        let quote = quote.ok_or(XmlFault::Unquoted)?;
        let (value, behind) = behind[1..].split_once(quote).ok_or(XmlFault::Open)?;
        if value.contains('<') {
            return Err(XmlFault::Attribute);
        }
        check_text(value)?;
        rest = behind;
    }
}

/// Letters and digits beyond ASCII are left out: nobody's names of columns need them.
fn check_name(name: &str) -> Result<(), XmlFault> {
    let begins = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let goes_on = |letter: char| begins(letter) || letter.is_ascii_digit() || matches!(letter, '-' | '.' | ':');
    if name.starts_with(begins) && name.chars().all(goes_on) {
        Ok(())
    } else {
        Err(XmlFault::Name)
    }
}

/// Entities are those that need no declaration (XML 1.0 section 4.6), and numbers of plain characters.
fn check_text(text: &str) -> Result<(), XmlFault> {
    for (_, rest) in text.match_indices('&').map(|(at, _)| text.split_at(at + 1)) {
        let (entity, _) = rest.split_once(';').ok_or(XmlFault::Ampersand)?;
        let number = entity
            .strip_prefix('#')
            .and_then(|digits| match digits.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => digits.parse().ok(),
            });
        let is_plain = |letter: char| !letter.is_control();
        let is_known = matches!(entity, "amp" | "lt" | "gt" | "quot" | "apos");
        if !is_known && !number.and_then(char::from_u32).is_some_and(is_plain) {
            return Err(XmlFault::Ampersand);
        }
    }
    if text.chars().any(|letter| letter.is_control() && letter != '\t') || text.contains("]]>") {
        return Err(XmlFault::Ampersand);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_is_told_from_what_only_looks_like_it() {
        let check = |text: &str, expected: Result<(), XmlFault>| {
            assert_eq!(check_xml(&text.replace('$', VALUE)), expected, "{text}");
        };
        check("<r id=\"$\">$</r>", Ok(()));
        check("<r id='a$b' x=\"1\"/>", Ok(()));
        check("<r><a>$ &amp; &#x41;</a> <b/></r>", Ok(()));
        check("<r a=\">\">$</r>", Ok(()));
        for (text, fault) in [
            ("<r>$", XmlFault::Open),
            ("<r", XmlFault::Open),
            ("<r a=\"$></r>", XmlFault::Open),
            ("<r a=$></r>", XmlFault::Unquoted),
            ("<$>x</$>", XmlFault::Name),
            ("<r $=\"1\"/>", XmlFault::Name),
            ("<r a/>", XmlFault::Attribute),
            ("<r a=\"1\" a=\"2\"/>", XmlFault::Attribute),
            ("<r a=\"1\"b=\"2\"/>", XmlFault::Attribute),
            ("<r a=\"<\"/>", XmlFault::Attribute),
            ("<r><a></r></a>", XmlFault::Closing("r".to_owned())),
            ("</r>", XmlFault::Closing("r".to_owned())),
            ("<r/><r/>", XmlFault::NotOneElement),
            ("<r/>$", XmlFault::NotOneElement),
            ("<r/> x", XmlFault::NotOneElement),
            ("<!-- $ --><r/>", XmlFault::Declaration),
            ("<r><![CDATA[$]]></r>", XmlFault::Declaration),
            ("<?xml version=\"1.0\"?><r/>", XmlFault::Declaration),
            ("<r>a & b</r>", XmlFault::Ampersand),
            ("<r>&nbsp;</r>", XmlFault::Ampersand),
            ("<r>&#0;</r>", XmlFault::Ampersand),
        ] {
            check(text, Err(fault));
        }
    }

    #[test]
    fn csv_is_told_from_a_line_that_holds_commas() {
        for text in ["$context.a,$context.b", "\"$context.a\",$context.b.c", "x,$context.a,1"] {
            assert!(is_csv(text), "{text}");
        }
        for text in [
            "$context.a",
            "$context.a, $context.b",
            "$context.a $context.b,x",
            "\"$context.a,$context.b\"",
            "$context.a;,$context.b",
            "[$context.a],$context.b",
            "x\\,$context.a",
        ] {
            assert!(!is_csv(text), "{text}");
        }
    }
}
