//! The names of condition operators.

/// An operator without its quantifier and `IfExists`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    ArnEquals,
    ArnLike,
    ArnNotEquals,
    ArnNotLike,
    BinaryEquals,
    Bool,
    DateEquals,
    DateGreaterThan,
    DateGreaterThanEquals,
    DateLessThan,
    DateLessThanEquals,
    DateNotEquals,
    IpAddress,
    NotIpAddress,
    Null,
    NumericEquals,
    NumericGreaterThan,
    NumericGreaterThanEquals,
    NumericLessThan,
    NumericLessThanEquals,
    NumericNotEquals,
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    StringNotEquals,
    StringNotEqualsIgnoreCase,
    StringNotLike,
}

/// How many of a key's values must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// `ForAllValues:`: each, and it is enough that there are none.
    All,
    /// `ForAnyValue:`: at least one.
    Any,
    /// None given: meant for keys with one value. Several pass a plain operator when one of them does, and a negated
    /// operator when none of them matches, so that a negated operator is always the opposite of its plain one.
    Single,
}

/// An operator as a document writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) quantifier: Quantifier,
    pub(crate) operator: Operator,
    /// `…IfExists`: an absent key passes.
    pub(crate) if_exists: bool,
}

/// How an ordered value must stand to one of the document's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

// === impl Operation ===

impl Operation {
    /// Reads a name such as `ForAnyValue:StringLikeIfExists`; names are case-sensitive.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (quantifier, base) = match name.split_once(':') {
            Some(("ForAllValues", base)) => (Quantifier::All, base),
            Some(("ForAnyValue", base)) => (Quantifier::Any, base),
            Some(_) => return None,
            None => (Quantifier::Single, name),
        };
        let (base, if_exists) = match base.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (base, false),
        };
        let operator = Operator::ALL.into_iter().find(|operator| operator.name() == base)?;
        // A test for absence that passes when absent, or counts values, would say nothing.
        let is_plain = quantifier == Quantifier::Single && !if_exists;
        (operator != Operator::Null || is_plain).then_some(Self {
            quantifier,
            operator,
            if_exists,
        })
    }
}

// === impl Operator ===

impl Operator {
    pub(crate) const ALL: [Self; 27] = [
        Self::ArnEquals,
        Self::ArnLike,
        Self::ArnNotEquals,
        Self::ArnNotLike,
        Self::BinaryEquals,
        Self::Bool,
        Self::DateEquals,
        Self::DateGreaterThan,
        Self::DateGreaterThanEquals,
        Self::DateLessThan,
        Self::DateLessThanEquals,
        Self::DateNotEquals,
        Self::IpAddress,
        Self::NotIpAddress,
        Self::Null,
        Self::NumericEquals,
        Self::NumericGreaterThan,
        Self::NumericGreaterThanEquals,
        Self::NumericLessThan,
        Self::NumericLessThanEquals,
        Self::NumericNotEquals,
        Self::StringEquals,
        Self::StringEqualsIgnoreCase,
        Self::StringLike,
        Self::StringNotEquals,
        Self::StringNotEqualsIgnoreCase,
        Self::StringNotLike,
    ];

    /// As documents write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ArnEquals => "ArnEquals",
            Self::ArnLike => "ArnLike",
            Self::ArnNotEquals => "ArnNotEquals",
            Self::ArnNotLike => "ArnNotLike",
            Self::BinaryEquals => "BinaryEquals",
            Self::Bool => "Bool",
            Self::DateEquals => "DateEquals",
            Self::DateGreaterThan => "DateGreaterThan",
            Self::DateGreaterThanEquals => "DateGreaterThanEquals",
            Self::DateLessThan => "DateLessThan",
            Self::DateLessThanEquals => "DateLessThanEquals",
            Self::DateNotEquals => "DateNotEquals",
            Self::IpAddress => "IpAddress",
            Self::NotIpAddress => "NotIpAddress",
            Self::Null => "Null",
            Self::NumericEquals => "NumericEquals",
            Self::NumericGreaterThan => "NumericGreaterThan",
            Self::NumericGreaterThanEquals => "NumericGreaterThanEquals",
            Self::NumericLessThan => "NumericLessThan",
            Self::NumericLessThanEquals => "NumericLessThanEquals",
            Self::NumericNotEquals => "NumericNotEquals",
            Self::StringEquals => "StringEquals",
            Self::StringEqualsIgnoreCase => "StringEqualsIgnoreCase",
            Self::StringLike => "StringLike",
            Self::StringNotEquals => "StringNotEquals",
            Self::StringNotEqualsIgnoreCase => "StringNotEqualsIgnoreCase",
            Self::StringNotLike => "StringNotLike",
        }
    }

    /// As a person says it, between a key and its values.
    pub(crate) fn phrase(self) -> &'static str {
        match self {
            Self::ArnEquals | Self::ArnLike | Self::StringLike => "is like",
            Self::ArnNotEquals | Self::ArnNotLike | Self::StringNotLike => "is not like",
            Self::BinaryEquals | Self::Bool | Self::StringEquals => "is",
            Self::DateEquals => "is at",
            Self::DateGreaterThan => "is after",
            Self::DateGreaterThanEquals => "is not before",
            Self::DateLessThan => "is before",
            Self::DateLessThanEquals => "is not after",
            Self::DateNotEquals => "is not at",
            Self::IpAddress => "is in",
            Self::NotIpAddress => "is not in",
            Self::Null => "is absent:",
            Self::NumericEquals => "is",
            Self::NumericGreaterThan => "is greater than",
            Self::NumericGreaterThanEquals => "is at least",
            Self::NumericLessThan => "is less than",
            Self::NumericLessThanEquals => "is at most",
            Self::NumericNotEquals | Self::StringNotEquals => "is not",
            Self::StringEqualsIgnoreCase => "is, in any case,",
            Self::StringNotEqualsIgnoreCase => "is not, in any case,",
        }
    }

    /// Whether it is the opposite of its plain operator.
    pub(crate) fn is_negated(self) -> bool {
        match self {
            Self::ArnNotEquals
            | Self::ArnNotLike
            | Self::DateNotEquals
            | Self::NotIpAddress
            | Self::NumericNotEquals
            | Self::StringNotEquals
            | Self::StringNotEqualsIgnoreCase
            | Self::StringNotLike => true,
            Self::ArnEquals
            | Self::ArnLike
            | Self::BinaryEquals
            | Self::Bool
            | Self::DateEquals
            | Self::DateGreaterThan
            | Self::DateGreaterThanEquals
            | Self::DateLessThan
            | Self::DateLessThanEquals
            | Self::IpAddress
            | Self::Null
            | Self::NumericEquals
            | Self::NumericGreaterThan
            | Self::NumericGreaterThanEquals
            | Self::NumericLessThan
            | Self::NumericLessThanEquals
            | Self::StringEquals
            | Self::StringEqualsIgnoreCase
            | Self::StringLike => false,
        }
    }
}

// === impl Order ===

impl Order {
    /// Whether `found` stands so to `wanted`.
    #[inline]
    pub(crate) fn holds<T: Ord>(self, found: &T, wanted: &T) -> bool {
        match self {
            Self::Equal => found == wanted,
            Self::Greater => found > wanted,
            Self::GreaterOrEqual => found >= wanted,
            Self::Less => found < wanted,
            Self::LessOrEqual => found <= wanted,
        }
    }
}
