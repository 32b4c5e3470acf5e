//! One key of a condition block, compiled.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ipnet::{IpNet, Ipv4Net};
use portcullis_core::Timestamp;
use serde_json::Value;

use crate::{
    Context, KeyValue,
    arn_pattern::ArnPattern,
    date,
    decimal::Decimal,
    error::Fault,
    key::Key,
    operator::{Operation, Operator, Order, Quantifier},
    pattern::{Exact, Match, Parts, Pattern, Syntax},
    statement::Verdict,
    value,
};

/// One operator over one key; all of a statement's conditions must hold.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) operation: Operation,
    pub(crate) key: Key,
    pub(crate) values: Values,
}

/// What the key's value is compared with: one of these must match, or none for a negated operator.
#[derive(Debug)]
pub(crate) enum Values {
    Arn(Box<[ArnPattern]>),
    Bool(Box<[bool]>),
    Bytes(Box<[Box<[u8]>]>),
    Date(Order, Box<[Timestamp]>),
    Equal(Box<[Exact]>),
    EqualIgnoringCase(Box<[Exact]>),
    Like(Box<[Pattern]>),
    Network(Box<[IpNet]>),
    Null(Box<[bool]>),
    Number(Order, Box<[Decimal]>),
}

// === impl Condition ===

impl Condition {
    /// Whether the condition holds for a statement of this verdict.
    ///
    /// An absent key does not match: a plain operator fails, a negated one passes, `IfExists` and `ForAllValues` pass,
    /// `ForAnyValue` fails. A variable that cannot be resolved does not match either; but it never makes a negated
    /// operator pass in a statement that allows, because what cannot be read must not open a door.
    #[inline]
    pub(crate) fn holds(&self, context: &Context<'_>, verdict: Verdict) -> bool {
        let Operation {
            quantifier,
            operator,
            if_exists,
        } = self.operation;
        let is_negated = operator.is_negated();
        let unresolved_matches = is_negated && verdict == Verdict::Allow;
        let (mut present, mut any_matches, mut all_match) = (false, false, true);
        context.visit(&self.key, &mut |value| {
            present = true;
            let matched = match self.values.compare(&value, context) {
                Match::Yes => true,
                Match::No => false,
                Match::Unresolved => unresolved_matches,
            };
            any_matches |= matched;
            all_match &= matched;
        });
        if let Values::Null(wanted) = &self.values {
            return wanted.contains(&!present);
        }
        if !present {
            return if_exists
                || match quantifier {
                    Quantifier::All => true,
                    Quantifier::Any => false,
                    Quantifier::Single => is_negated,
                };
        }
        match (quantifier, is_negated) {
            (Quantifier::Single | Quantifier::Any, false) => any_matches,
            (Quantifier::Single | Quantifier::All, true) => !any_matches,
            (Quantifier::All, false) => all_match,
            (Quantifier::Any, true) => !all_match,
        }
    }
}

// === impl Values ===

impl Values {
    /// Compiles the values of an operator; the fault comes with the index of the value.
    pub(crate) fn parse(operator: Operator, values: &[&Value], variables: bool) -> Result<Self, (usize, Fault)> {
        let plain = Syntax {
            wildcards: false,
            variables,
        };
        let like = Syntax {
            wildcards: true,
            variables,
        };
        Ok(match operator {
            Operator::StringEquals | Operator::StringNotEquals => Self::Equal(exact(values, plain)?),
            Operator::StringEqualsIgnoreCase | Operator::StringNotEqualsIgnoreCase => {
                Self::EqualIgnoringCase(exact(values, plain)?)
            }
            Operator::StringLike | Operator::StringNotLike => Self::Like(each(values, |value| {
                Ok(Pattern::new(Parts::parse(&scalar(value)?, like)?))
            })?),
            Operator::ArnEquals | Operator::ArnLike | Operator::ArnNotEquals | Operator::ArnNotLike => {
                let pattern = |value: &Value| {
                    let text = scalar(value)?;
                    ArnPattern::new(Parts::parse(&text, like)?).ok_or(Fault::MalformedArn(text))
                };
                Self::Arn(each(values, pattern)?)
            }
            Operator::NumericEquals | Operator::NumericNotEquals => Self::number(Order::Equal, values)?,
            Operator::NumericGreaterThan => Self::number(Order::Greater, values)?,
            Operator::NumericGreaterThanEquals => Self::number(Order::GreaterOrEqual, values)?,
            Operator::NumericLessThan => Self::number(Order::Less, values)?,
            Operator::NumericLessThanEquals => Self::number(Order::LessOrEqual, values)?,
            Operator::DateEquals | Operator::DateNotEquals => Self::date(Order::Equal, values)?,
            Operator::DateGreaterThan => Self::date(Order::Greater, values)?,
            Operator::DateGreaterThanEquals => Self::date(Order::GreaterOrEqual, values)?,
            Operator::DateLessThan => Self::date(Order::Less, values)?,
            Operator::DateLessThanEquals => Self::date(Order::LessOrEqual, values)?,
            Operator::Bool => Self::Bool(each(values, flag)?),
            Operator::Null => Self::Null(each(values, flag)?),
            Operator::IpAddress | Operator::NotIpAddress => {
                Self::Network(each(values, |value| network(scalar(value)?))?)
            }
            Operator::BinaryEquals => Self::Bytes(each(values, |value| {
                let text = scalar(value)?;
                BASE64_STANDARD
                    .decode(&text)
                    .map(Into::into)
                    .map_err(|_| Fault::MalformedBase64(text))
            })?),
        })
    }

    fn number(order: Order, values: &[&Value]) -> Result<Self, (usize, Fault)> {
        let number = |value: &Value| {
            let text = scalar(value)?;
            Decimal::parse(&text).ok_or(Fault::MalformedNumber(text))
        };
        Ok(Self::Number(order, each(values, number)?))
    }

    fn date(order: Order, values: &[&Value]) -> Result<Self, (usize, Fault)> {
        let date = |value: &Value| {
            let text = scalar(value)?;
            let time = match value {
                // A JSON number is never a year.
                Value::Number(_) => Decimal::parse(&text).and_then(date::from_number),
                _ => date::parse(&text),
            };
            time.ok_or(Fault::MalformedDate(text))
        };
        Ok(Self::Date(order, each(values, date)?))
    }

    /// Whether one of the values matches, negation aside.
    #[inline]
    fn compare(&self, found: &KeyValue<'_>, context: &Context<'_>) -> Match {
        match self {
            Self::Date(order, dates) => value::time(found)
                .is_some_and(|found| dates.iter().any(|wanted| order.holds(&found, wanted)))
                .into(),
            Self::Network(networks) => value::address(found)
                .is_some_and(|found| networks.iter().any(|network| network.contains(&found)))
                .into(),
            Self::Bool(flags) => value::flag(found).is_some_and(|found| flags.contains(&found)).into(),
            Self::Number(order, numbers) => value::number(found)
                .is_some_and(|found| numbers.iter().any(|wanted| order.holds(&found, wanted)))
                .into(),
            Self::Bytes(values) => value::bytes(found)
                .is_some_and(|found| values.iter().any(|wanted| **wanted == *found))
                .into(),
            Self::Null(_) => Match::No, // asks for presence alone
            Self::Equal(texts) => any_text(found, texts, |text, wanted| {
                exactly(wanted, context, |wanted| text == wanted)
            }),
            Self::EqualIgnoringCase(texts) => any_text(found, texts, |text, wanted| {
                exactly(wanted, context, |wanted| equal_ignoring_case(text, wanted))
            }),
            Self::Like(patterns) => any_text(found, patterns, |text, pattern| pattern.matches(text, context)),
            Self::Arn(patterns) => any_text(found, patterns, |text, pattern| pattern.matches(text, context)),
        }
    }
}

fn any_text<T>(found: &KeyValue<'_>, wanted: &[T], compare: impl Fn(&str, &T) -> Match) -> Match {
    let Some(text) = value::text(found) else {
        return Match::No;
    };
    first_match(wanted.iter().map(|wanted| compare(&text, wanted)))
}

/// Yes as soon as one is; else unresolved when one is.
pub(crate) fn first_match(matches: impl Iterator<Item = Match>) -> Match {
    let mut result = Match::No;
    for matched in matches {
        match matched {
            Match::Yes => return Match::Yes,
            Match::Unresolved => result = Match::Unresolved,
            Match::No => {}
        }
    }
    result
}

fn exactly(wanted: &Exact, context: &Context<'_>, is_equal: impl Fn(&str) -> bool) -> Match {
    wanted
        .resolve(context)
        .map_or(Match::Unresolved, |wanted| is_equal(&wanted).into())
}

fn equal_ignoring_case(left: &str, right: &str) -> bool {
    let lower = |text| str::chars(text).flat_map(char::to_lowercase);
    left == right || lower(left).eq(lower(right))
}

fn each<T>(values: &[&Value], read: impl Fn(&Value) -> Result<T, Fault>) -> Result<Box<[T]>, (usize, Fault)> {
    values
        .iter()
        .enumerate()
        .map(|(index, value)| read(value).map_err(|fault| (index, fault)))
        .collect()
}

fn exact(values: &[&Value], syntax: Syntax) -> Result<Box<[Exact]>, (usize, Fault)> {
    each(values, |value| Ok(Exact::new(Parts::parse(&scalar(value)?, syntax)?)))
}

/// The text of a string, number or boolean.
fn scalar(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Fault::WrongType("a string, number or boolean")),
    }
}

fn flag(value: &Value) -> Result<bool, Fault> {
    let text = scalar(value)?;
    value::parse_flag(&text).ok_or(Fault::MalformedBool(text))
}

/// An address, or a network in CIDR notation (RFC 4632); one of IPv4-mapped addresses becomes the IPv4 one, because that is
/// what callers' addresses become.
fn network(text: String) -> Result<IpNet, Fault> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => match text.parse() {
            Ok(address) => IpNet::from(std::net::IpAddr::to_canonical(&address)),
            Err(_) => return Err(Fault::MalformedAddress(text)),
        },
    };
    const MAPPED_PREFIX_BITS: u8 = 96;
    if let IpNet::V6(mapped) = network
        && let Some(address) = mapped.addr().to_ipv4_mapped()
        && let Some(bits) = mapped.prefix_len().checked_sub(MAPPED_PREFIX_BITS)
        && let Ok(network) = Ipv4Net::new(address, bits)
    {
        return Ok(network.into());
    }
    Ok(network)
}
