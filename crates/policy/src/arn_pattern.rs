//! Patterns that `Arn…` operators compare with.

use std::fmt;

use crate::{
    Context,
    glob::{Glob, Symbol},
    pattern::{Match, Parts},
};

/// A pattern for resource names, of which each of the six fields is matched by itself.
#[derive(Clone, Debug)]
pub(crate) enum ArnPattern {
    Anything,
    Fields(Box<[Glob; ARN_FIELDS]>),
    Variable(Parts),
}

/// `arn:partition:service:region:account:resource`.
const ARN_FIELDS: usize = 6;

// === impl ArnPattern ===

impl ArnPattern {
    /// Takes `*` alone, six fields, or text whose fields are known only when its variables are.
    pub(crate) fn new(parts: Parts) -> Option<Self> {
        let symbols = match parts.without_variables() {
            Ok(symbols) => symbols,
            Err(parts) => return Some(Self::Variable(parts)),
        };
        if symbols == [Symbol::Run] {
            return Some(Self::Anything);
        }
        let fields = arn_fields(symbols)?;
        fields[0].matches("arn").then(|| Self::Fields(Box::new(fields)))
    }

    pub(crate) fn matches(&self, text: &str, context: &Context<'_>) -> Match {
        match self {
            Self::Anything => is_arn(text).into(),
            Self::Fields(fields) => fields_match(fields, text).into(),
            Self::Variable(parts) => match parts.resolve(context) {
                Some(symbols) => arn_fields(symbols)
                    .is_some_and(|fields| fields_match(&fields, text))
                    .into(),
                None => Match::Unresolved,
            },
        }
    }

    /// Whether `text` stands literally in one of the fields.
    pub(crate) fn contains(&self, text: &str) -> bool {
        matches!(self, Self::Fields(fields) if fields.iter().any(|field| field.contains(text)))
    }
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.splitn(ARN_FIELDS, ':').count() == ARN_FIELDS
}

fn fields_match(fields: &[Glob; ARN_FIELDS], text: &str) -> bool {
    is_arn(text)
        && fields
            .iter()
            .zip(text.splitn(ARN_FIELDS, ':'))
            .all(|(field, text)| field.matches(text))
}

/// Cuts symbols at their first five colons; `None` when there are fewer.
fn arn_fields(symbols: Vec<Symbol>) -> Option<[Glob; ARN_FIELDS]> {
    let mut fields = vec![Vec::new()];
    for symbol in symbols {
        let Symbol::Text(text) = symbol else {
            fields.last_mut()?.push(symbol);
            continue;
        };
        let room = ARN_FIELDS - fields.len() + 1;
        for (index, piece) in text.splitn(room, ':').enumerate() {
            if index > 0 {
                fields.push(Vec::new());
            }
            fields.last_mut()?.push(Symbol::Text(piece.into()));
        }
    }
    let globs: Vec<Glob> = fields.into_iter().map(Glob::new).collect();
    globs.try_into().ok()
}

impl fmt::Display for ArnPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => formatter.write_str("*"),
            Self::Fields(fields) => {
                let texts: Vec<String> = fields.iter().map(ToString::to_string).collect();
                formatter.write_str(&texts.join(":"))
            }
            Self::Variable(parts) => parts.fmt(formatter),
        }
    }
}
