//! A condition key's value as the type that an operator compares.

use std::{borrow::Cow, net::IpAddr};

use portcullis_core::Timestamp;

use crate::{KeyValue, date, decimal::Decimal};

pub(crate) fn text<'a>(value: &KeyValue<'a>) -> Option<Cow<'a, str>> {
    match *value {
        KeyValue::Address(address) => Some(Cow::Owned(address.to_canonical().to_string())),
        KeyValue::Bool(flag) => Some(Cow::Borrowed(if flag { "true" } else { "false" })),
        KeyValue::Bytes(_) => None,
        KeyValue::Number(number) => Some(Cow::Owned(number.to_string())),
        KeyValue::Text(text) => Some(Cow::Borrowed(text)),
        KeyValue::Time(time) => Some(Cow::Owned(time.to_rfc3339())),
    }
}

/// A number; a time in whole seconds since the epoch.
pub(crate) fn number(value: &KeyValue<'_>) -> Option<Decimal> {
    match *value {
        KeyValue::Number(number) => Some(Decimal::from_whole(number)),
        KeyValue::Text(text) => Decimal::parse(text),
        KeyValue::Time(time) => Some(Decimal::from_whole(time.unix_seconds())),
        KeyValue::Address(_) | KeyValue::Bool(_) | KeyValue::Bytes(_) => None,
    }
}

/// A point in time; a number is seconds since the epoch.
#[inline]
pub(crate) fn time(value: &KeyValue<'_>) -> Option<Timestamp> {
    match *value {
        KeyValue::Time(time) => Some(time),
        KeyValue::Number(seconds) => date::from_number(Decimal::from_whole(seconds)),
        KeyValue::Text(text) => date::parse(text),
        KeyValue::Address(_) | KeyValue::Bool(_) | KeyValue::Bytes(_) => None,
    }
}

pub(crate) fn flag(value: &KeyValue<'_>) -> Option<bool> {
    match *value {
        KeyValue::Bool(flag) => Some(flag),
        KeyValue::Text(text) => parse_flag(text),
        KeyValue::Address(_) | KeyValue::Bytes(_) | KeyValue::Number(_) | KeyValue::Time(_) => None,
    }
}

pub(crate) fn parse_flag(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// An address; an IPv4-mapped one as IPv4 (RFC 4291 section 2.5.5.2).
pub(crate) fn address(value: &KeyValue<'_>) -> Option<IpAddr> {
    match *value {
        KeyValue::Address(address) => Some(address.to_canonical()),
        KeyValue::Text(text) => text.parse().ok().map(|address: IpAddr| address.to_canonical()),
        KeyValue::Bool(_) | KeyValue::Bytes(_) | KeyValue::Number(_) | KeyValue::Time(_) => None,
    }
}

pub(crate) fn bytes<'a>(value: &KeyValue<'a>) -> Option<&'a [u8]> {
    match *value {
        KeyValue::Bytes(bytes) => Some(bytes),
        KeyValue::Text(text) => Some(text.as_bytes()),
        KeyValue::Address(_) | KeyValue::Bool(_) | KeyValue::Number(_) | KeyValue::Time(_) => None,
    }
}
