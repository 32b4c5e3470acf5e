//! Text of a document that a request's values are compared with: literals, wildcards and policy variables.

use std::{borrow::Cow, fmt};

use crate::{
    Context, KeyValue,
    error::Fault,
    glob::{self, Glob, Symbol},
    key::Key,
    value,
};

/// Text with variables in it, cut into its parts.
#[derive(Clone, Debug)]
pub(crate) struct Parts(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Symbol(Symbol),
    Variable { key: Key, default: Option<Box<str>> },
}

/// Which characters of a document's text are special.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syntax {
    /// `*` and `?`.
    pub(crate) wildcards: bool,
    /// `${…}`: since version 2012-10-17.
    pub(crate) variables: bool,
}

/// What compares with an unresolved variable: neither yes nor no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    No,
    /// A variable without a default has no value, or several.
    Unresolved,
    Yes,
}

/// Text to be equal to.
#[derive(Clone, Debug)]
pub(crate) enum Exact {
    Text(Box<str>),
    Variable(Parts),
}

/// Text with wildcards.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Glob(Glob),
    Variable(Parts),
}

// === impl Parts ===

impl Parts {
    /// Cuts `text`; the fault says which variable is malformed.
    pub(crate) fn parse(text: &str, syntax: Syntax) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${").filter(|_| syntax.variables) {
            push_text(&mut parts, before, syntax);
            let (part, behind) = variable(behind).ok_or_else(|| Fault::MalformedVariable(text.into()))?;
            parts.push(part);
            rest = behind;
        }
        push_text(&mut parts, rest, syntax);
        Ok(Self(parts))
    }

    /// Puts literal text in front.
    pub(crate) fn behind(mut self, text: &str) -> Self {
        self.0.insert(0, Part::Symbol(Symbol::Text(text.into())));
        self
    }

    /// The symbols, or the parts again when a variable stands among them.
    pub(crate) fn without_variables(self) -> Result<Vec<Symbol>, Self> {
        if self.0.iter().any(|part| matches!(part, Part::Variable { .. })) {
            return Err(self);
        }
        let symbol = |part| match part {
            Part::Symbol(symbol) => Some(symbol),
            Part::Variable { .. } => None,
        };
        Ok(self.0.into_iter().filter_map(symbol).collect())
    }

    /// The symbols for one request. A variable's value is literal text, whatever characters are in it.
    pub(crate) fn resolve(&self, context: &Context<'_>) -> Option<Vec<Symbol>> {
        let symbol = |part: &Part| match part {
            Part::Symbol(symbol) => Some(symbol.clone()),
            Part::Variable { key, default } => {
                let value = single_value(key, context).or_else(|| default.clone())?;
                Some(Symbol::Text(value))
            }
        };
        self.0.iter().map(symbol).collect()
    }
}

/// The text of a key that has exactly one value: a variable cannot stand for several.
fn single_value(key: &Key, context: &Context<'_>) -> Option<Box<str>> {
    let mut text = None;
    let mut count = 0;
    context.visit(key, &mut |found: KeyValue<'_>| {
        count += 1;
        text = value::text(&found).map(|text| text.into());
    });
    text.filter(|_| count == 1)
}

/// Reads what follows `${`: a special character, or a key with or without a default; and what follows that.
fn variable(text: &str) -> Option<(Part, &str)> {
    for special in ["*", "?", "$"] {
        if let Some(behind) = text.strip_prefix(special).and_then(|behind| behind.strip_prefix('}')) {
            return Some((Part::Symbol(Symbol::Text(special.into())), behind));
        }
    }
    let end = text.find([',', '}'])?;
    let key = Key::parse(text[..end].trim_matches(' '))?;
    let behind = &text[end + 1..];
    if text.as_bytes()[end] == b'}' {
        return Some((Part::Variable { key, default: None }, behind));
    }
    let (default, behind) = behind.trim_start_matches(' ').strip_prefix('\'')?.split_once('\'')?;
    let behind = behind.trim_start_matches(' ').strip_prefix('}')?;
    Some((
        Part::Variable {
            key,
            default: Some(default.into()),
        },
        behind,
    ))
}

fn push_text(parts: &mut Vec<Part>, text: &str, syntax: Syntax) {
    if syntax.wildcards {
        parts.extend(glob::symbols(text).map(Part::Symbol));
    } else if !text.is_empty() {
        parts.push(Part::Symbol(Symbol::Text(text.into())));
    }
}

fn concatenate(symbols: Vec<Symbol>) -> String {
    let text = |symbol| match symbol {
        Symbol::Text(text) => text,
        Symbol::One => "?".into(),
        Symbol::Run => "*".into(),
    };
    symbols.into_iter().map(text).collect()
}

impl fmt::Display for Parts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Symbol(Symbol::Text(text)) => formatter.write_str(text),
            Part::Symbol(Symbol::One) => formatter.write_str("?"),
            Part::Symbol(Symbol::Run) => formatter.write_str("*"),
            Part::Variable { key, default: None } => write!(formatter, "${{{key}}}"),
            Part::Variable {
                key,
                default: Some(default),
            } => write!(formatter, "${{{key}, '{default}'}}"),
        })
    }
}

// === impl Match ===

impl From<bool> for Match {
    #[inline]
    fn from(matched: bool) -> Self {
        if matched { Self::Yes } else { Self::No }
    }
}

// === impl Exact ===

impl Exact {
    pub(crate) fn new(parts: Parts) -> Self {
        match parts.without_variables() {
            Ok(symbols) => Self::Text(concatenate(symbols).into()),
            Err(parts) => Self::Variable(parts),
        }
    }

    /// The text for one request; `None` when a variable cannot be resolved.
    pub(crate) fn resolve(&self, context: &Context<'_>) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Variable(parts) => parts.resolve(context).map(|symbols| Cow::Owned(concatenate(symbols))),
        }
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Variable(parts) => parts.fmt(formatter),
        }
    }
}

// === impl Pattern ===

impl Pattern {
    pub(crate) fn new(parts: Parts) -> Self {
        match parts.without_variables() {
            Ok(symbols) => Self::Glob(Glob::new(symbols)),
            Err(parts) => Self::Variable(parts),
        }
    }

    #[inline]
    pub(crate) fn matches(&self, text: &str, context: &Context<'_>) -> Match {
        match self {
            Self::Glob(glob) => glob.matches(text).into(),
            Self::Variable(parts) => match parts.resolve(context) {
                Some(symbols) => Glob::new(symbols).matches(text).into(),
                None => Match::Unresolved,
            },
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glob(glob) => glob.fmt(formatter),
            Self::Variable(parts) => parts.fmt(formatter),
        }
    }
}
