//! A second evaluator, written for obviousness alone and sharing nothing with the first: it walks the JSON document for
//! every request, knows the request only as text, and matches by textbook recursion.

use std::collections::BTreeMap;

use serde_json::Value;

/// Condition keys in lower case with their values as text.
pub(crate) type Keys = BTreeMap<String, Vec<String>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    Deny,
    Neither,
}

/// One request: its action in lower case, its method ARN, and its keys.
pub(crate) struct Asked<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) keys: &'a Keys,
}

pub(crate) fn evaluate(document: &Value, asked: &Asked<'_>) -> Verdict {
    let new = document["Version"] == "2012-10-17";
    let applying: Vec<&str> = listed(&document["Statement"])
        .into_iter()
        .filter(|statement| applies(statement, asked, new))
        .map(|statement| statement["Effect"].as_str().unwrap())
        .collect();
    if applying.contains(&"Deny") {
        Verdict::Deny
    } else if applying.contains(&"Allow") {
        Verdict::Allow
    } else {
        Verdict::Neither
    }
}

fn applies(statement: &Value, asked: &Asked<'_>, new: bool) -> bool {
    let allows = statement["Effect"] == "Allow";
    let action = |pattern: &Value| glob(&wild(&pattern.as_str().unwrap().to_lowercase()), asked.action);
    let action_fits = match statement.get("Action") {
        Some(actions) => listed(actions).into_iter().any(action),
        None => !listed(&statement["NotAction"]).into_iter().any(action),
    };
    let resource = |pattern: &Value, if_unknown: bool| match expand(pattern.as_str().unwrap(), asked.keys, new, true) {
        Some(pattern) => glob(&pattern, asked.resource),
        None => if_unknown,
    };
    let resource_fits = match statement.get("Resource") {
        Some(resources) => listed(resources).into_iter().any(|pattern| resource(pattern, false)),
        None => !listed(&statement["NotResource"])
            .into_iter()
            .any(|pattern| resource(pattern, allows)),
    };
    let conditions = statement
        .get("Condition")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let mut each =
        conditions.flat_map(|(operator, keys)| keys.as_object().unwrap().iter().map(move |pair| (operator, pair)));
    action_fits
        && resource_fits
        && each.all(|(operator, (key, wanted))| holds(operator, key, wanted, asked.keys, new, allows))
}

fn holds(operator: &str, key: &str, wanted: &Value, keys: &Keys, new: bool, allows: bool) -> bool {
    let key = key.to_lowercase();
    let found = keys.get(&key).filter(|values| !values.is_empty());
    if operator == "Null" {
        return listed(wanted)
            .into_iter()
            .any(|wanted| (text(wanted) == "true") == found.is_none());
    }
    let (quantifier, base) = operator.split_once(':').unwrap_or(("", operator));
    let (base, if_exists) = base.strip_suffix("IfExists").map_or((base, false), |base| (base, true));
    let plain = base.replace("Not", "");
    let negated = plain != base;
    let Some(found) = found else {
        return if_exists || quantifier == "ForAllValues" || (quantifier.is_empty() && negated);
    };
    let mut passes = found.iter().map(|found| {
        let matches =
            |wanted: &Value| compare(&plain, &key, found, &text(wanted), keys, new).unwrap_or(negated && allows);
        listed(wanted).into_iter().any(matches) != negated
    });
    match (quantifier, negated) {
        ("ForAllValues", _) | ("", true) => passes.all(|pass| pass),
        _ => passes.any(|pass| pass),
    }
}

/// Whether one value of the request matches one of the document; nothing when a variable has no value.
fn compare(plain: &str, key: &str, found: &str, wanted: &str, keys: &Keys, new: bool) -> Option<bool> {
    let order = |fits: fn(f64, f64) -> bool, found: Option<f64>, wanted: Option<f64>| match (found, wanted) {
        (Some(found), Some(wanted)) => fits(found, wanted),
        _ => false,
    };
    let fits: fn(f64, f64) -> bool = match plain.trim_start_matches("Numeric").trim_start_matches("Date") {
        "LessThan" => |found, wanted| found < wanted,
        "LessThanEquals" => |found, wanted| found <= wanted,
        "GreaterThan" => |found, wanted| found > wanted,
        "GreaterThanEquals" => |found, wanted| found >= wanted,
        _ => |found, wanted| found == wanted,
    };
    Some(match plain {
        "StringEquals" => literal(&expand(wanted, keys, new, false)?) == found,
        "StringEqualsIgnoreCase" => literal(&expand(wanted, keys, new, false)?).to_lowercase() == found.to_lowercase(),
        "StringLike" => glob(&expand(wanted, keys, new, true)?, found),
        "ArnEquals" | "ArnLike" => arn(&expand(wanted, keys, new, true)?, found),
        "Bool" => {
            ["true", "false"].contains(&found.to_lowercase().as_str()) && found.to_lowercase() == wanted.to_lowercase()
        }
        "IpAddress" => found.parse().is_ok_and(|found| network(wanted, found)),
        "BinaryEquals" => base64(wanted) == found.as_bytes(),
        // The current time counts as a number too.
        _ if plain.starts_with("Numeric") && key == "aws:currenttime" => order(fits, date(found), number(wanted)),
        _ if plain.starts_with("Numeric") => order(fits, number(found), number(wanted)),
        _ if plain.starts_with("Date") => order(fits, date(found), date(wanted)),
        other => panic!("{other}"),
    })
}

fn listed(value: &Value) -> Vec<&Value> {
    value
        .as_array()
        .map_or_else(|| vec![value], |list| list.iter().collect())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

// === patterns: a character, or one of two wildcards

#[derive(Clone, Copy, PartialEq)]
enum Token {
    Character(char),
    One,
    Run,
}

fn wild(text: &str) -> Vec<Token> {
    let token = |found| match found {
        '*' => Token::Run,
        '?' => Token::One,
        other => Token::Character(other),
    };
    text.chars().map(token).collect()
}

fn plain(text: &str) -> Vec<Token> {
    text.chars().map(Token::Character).collect()
}

/// The document's text with its variables replaced; nothing when one has no value.
fn expand(text: &str, keys: &Keys, new: bool, wildcards: bool) -> Option<Vec<Token>> {
    let read = if wildcards { wild } else { plain };
    let Some((before, rest)) = text.split_once("${").filter(|_| new) else {
        return Some(read(text));
    };
    let (inside, behind) = rest.split_once('}').unwrap();
    let value = match inside {
        "*" | "?" | "$" => inside.to_owned(),
        _ => {
            let (key, default) = match inside.split_once(", ") {
                Some((key, default)) => (key, Some(default.trim_matches('\'').to_owned())),
                None => (inside, None),
            };
            match keys.get(&key.to_lowercase()).map(Vec::as_slice) {
                Some([one]) => one.clone(),
                _ => default?,
            }
        }
    };
    Some([read(before), plain(&value), expand(behind, keys, new, wildcards)?].concat())
}

fn literal(tokens: &[Token]) -> String {
    let character = |token: &Token| match token {
        Token::Character(character) => *character,
        Token::One => '?',
        Token::Run => '*',
    };
    tokens.iter().map(character).collect()
}

/// By a table over all pairs of positions.
fn glob(pattern: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut reachable = vec![vec![false; text.len() + 1]; pattern.len() + 1];
    reachable[0][0] = true;
    for (row, token) in pattern.iter().enumerate() {
        for column in 0..=text.len() {
            let from_left = column > 0
                && match token {
                    Token::Character(wanted) => reachable[row][column - 1] && text[column - 1] == *wanted,
                    Token::One => reachable[row][column - 1],
                    Token::Run => reachable[row + 1][column - 1],
                };
            reachable[row + 1][column] = from_left || (*token == Token::Run && reachable[row][column]);
        }
    }
    reachable[pattern.len()][text.len()]
}

/// Six fields, each by itself.
fn arn(pattern: &[Token], found: &str) -> bool {
    if !found.starts_with("arn:") || found.matches(':').count() < 5 {
        return false;
    }
    if pattern == [Token::Run] {
        return true;
    }
    let patterns: Vec<&[Token]> = pattern.splitn(6, |token| *token == Token::Character(':')).collect();
    let found: Vec<&str> = found.splitn(6, ':').collect();
    patterns.len() == 6 && patterns.iter().zip(found).all(|(pattern, found)| glob(pattern, found))
}

// === values

fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.ends_with(|last: char| last.is_ascii_digit());
    if is_number && digits.chars().all(|found| found.is_ascii_digit() || found == '.') {
        text.parse().ok()
    } else {
        None
    }
}

/// Seconds since 1970 of `YYYY-MM-DD`, `YYYY-MM-DDThh:mm:ssZ`, or a number.
fn date(text: &str) -> Option<f64> {
    if text.len() < 10 || text.as_bytes()[4] != b'-' {
        return number(text);
    }
    let field = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<i64>().ok());
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut days: i64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let lengths = [
        31,
        if is_leap(year) { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    days += lengths[..usize::try_from(month).ok()? - 1].iter().sum::<i64>() + day - 1;
    let seconds = match text.len() {
        10 => 0,
        20 => field(11, 13)? * 3600 + field(14, 16)? * 60 + field(17, 19)?,
        _ => return None,
    };
    Some((days * 86_400 + seconds) as f64)
}

/// Whether the address is in the network, bit by bit; the two families are different worlds.
fn network(wanted: &str, found: std::net::IpAddr) -> bool {
    let bits = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(address) => format!("{:032b}", u32::from(address)),
        std::net::IpAddr::V6(address) => format!("{:0128b}", u128::from(address)),
    };
    let (address, length) = match wanted.split_once('/') {
        Some((address, length)) => (address, length.parse().unwrap()),
        None => (wanted, 128),
    };
    let wanted: std::net::IpAddr = address.parse().unwrap();
    let (wanted, found) = match (wanted, found) {
        // A mapped network's prefix loses the 96 bits that all mapped addresses share.
        (std::net::IpAddr::V6(mapped), _) if mapped.to_ipv4_mapped().is_some() && length >= 96 => (
            bits(wanted.to_canonical())[..length.min(128) - 96].to_owned(),
            bits(found.to_canonical()),
        ),
        _ => {
            let wanted = bits(wanted);
            (
                wanted[..length.min(wanted.len())].to_owned(),
                bits(found.to_canonical()),
            )
        }
    };
    let family = |address: &str| {
        if address.contains(':') && !address.contains("::ffff:") {
            128
        } else {
            32
        }
    };
    family(address) == found.len() && found.starts_with(&wanted)
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = text
        .trim_end_matches('=')
        .chars()
        .map(|digit| format!("{:06b}", ALPHABET.find(digit).unwrap()))
        .collect();
    (0..bits.len() / 8)
        .map(|index| u8::from_str_radix(&bits[index * 8..index * 8 + 8], 2).unwrap())
        .collect()
}
