//! Why a document is refused.

use std::fmt;

/// A document that cannot be honoured: what is wrong, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at {}: {}", place(pointer), fault.remedy())]
pub struct PolicyError {
    pointer: String,
    fault: Fault,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Both an element and its opposite are given.
    #[error("`{0}` and `Not{0}` exclude each other")]
    BothElements(&'static str),
    /// A condition key stands twice below one operator, in different spellings.
    #[error("the condition key {} stands twice", Quoted(.0))]
    DuplicateKey(String),
    /// A list or an operator without content, which leaves open whether nothing or anything is meant.
    #[error("there is nothing in it")]
    Empty,
    /// Not an action's name.
    #[error("{} is not an action", Quoted(.0))]
    MalformedAction(String),
    /// Neither an address nor a network.
    #[error("{} is neither an IP address nor a network", Quoted(.0))]
    MalformedAddress(String),
    /// Not a resource name that `Arn…` operators can compare.
    #[error("{} is not an ARN", Quoted(.0))]
    MalformedArn(String),
    /// Not base64.
    #[error("{} is not base64", Quoted(.0))]
    MalformedBase64(String),
    /// Neither true nor false.
    #[error("{} is neither true nor false", Quoted(.0))]
    MalformedBool(String),
    /// Not a date.
    #[error("{} is not a date", Quoted(.0))]
    MalformedDate(String),
    /// Not a condition key.
    #[error("{} is not a condition key", Quoted(.0))]
    MalformedKey(String),
    /// Not a number, or one that cannot be held exactly.
    #[error("{} is not a number", Quoted(.0))]
    MalformedNumber(String),
    /// Not a pattern for resource names.
    #[error("{} is not a resource", Quoted(.0))]
    MalformedResource(String),
    /// A `${` that begins no policy variable.
    #[error("{} holds a malformed policy variable", Quoted(.0))]
    MalformedVariable(String),
    /// An element that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Not JSON, or an object that names a member twice; with the reader's words.
    #[error("not JSON ({0})")]
    NotJson(String),
    /// A principal in an identity policy.
    #[error("an identity policy has no principal")]
    PrincipalNotAllowed,
    /// A principal other than everyone.
    #[error("only everyone can be the principal")]
    PrincipalNotEveryone,
    /// The document is larger than [`DOCUMENT_BYTES_MAX`](crate::DOCUMENT_BYTES_MAX).
    #[error("the document has {0} bytes")]
    TooManyBytes(usize),
    /// More `?` than [`QUESTION_MARKS_MAX`](crate::QUESTION_MARKS_MAX).
    #[error("there are {0} question marks")]
    TooManyQuestionMarks(usize),
    /// More statements than [`STATEMENTS_MAX`](crate::STATEMENTS_MAX).
    #[error("there are {0} statements")]
    TooManyStatements(usize),
    /// More values than [`VALUES_MAX`](crate::VALUES_MAX).
    #[error("there are {0} values")]
    TooManyValues(usize),
    /// An effect that is neither of the two.
    #[error("the effect {} is unknown", Quoted(.0))]
    UnknownEffect(String),
    /// An element that documents do not have.
    #[error("the element {} is unknown", Quoted(.0))]
    UnknownElement(String),
    /// An operator that conditions do not have.
    #[error("the condition operator {} is unknown", Quoted(.0))]
    UnknownOperator(String),
    /// A version that was never published.
    #[error("the version {} is unknown", Quoted(.0))]
    UnknownVersion(String),
    /// JSON of another type is wanted.
    #[error("the value is not {0}")]
    WrongType(&'static str),
}

/// A piece of a document in an error: on one line, and not at any length.
struct Quoted<'a>(&'a str);

/// The root has no pointer that a person would recognise.
fn place(pointer: &str) -> String {
    if pointer.is_empty() {
        "the root of the document".to_owned()
    } else {
        format!("`{pointer}`")
    }
}

// === impl PolicyError ===

impl PolicyError {
    pub(crate) fn new(pointer: String, fault: Fault) -> Self {
        Self { pointer, fault }
    }

    pub(crate) fn at_root(fault: Fault) -> Self {
        Self::new(String::new(), fault)
    }

    /// The JSON pointer (RFC 6901) of the faulty place; the empty pointer is the whole document.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What is wrong there.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }
}

// === impl Fault ===

impl Fault {
    /// How to mend it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::BothElements(_) => "keep one of them",
            Self::DuplicateKey(_) => "condition keys are not case-sensitive; put all values into one list",
            Self::Empty => "leave it out, or say what is meant",
            Self::MalformedAction(_) => "write `execute-api:Invoke`, `execute-api:*` or `*`",
            Self::MalformedAddress(_) => "write an address or a network such as `203.0.113.0/24` or `2001:db8::/32`",
            Self::MalformedArn(_) => "write `*` or six fields with colons between them, the first of which is `arn`",
            Self::MalformedBase64(_) => "write base64 with its padding (RFC 4648 section 4)",
            Self::MalformedBool(_) => "write `true` or `false`",
            Self::MalformedDate(_) => {
                "write a date such as `2026-11-20T00:00:00Z` or `2026-11-20`, or seconds since 1970"
            }
            Self::MalformedKey(_) => "write a key such as `aws:SourceIp`",
            Self::MalformedNumber(_) => "write a number with at most 20 digits before and 18 behind the point",
            Self::MalformedResource(_) => {
                "write `*` or an ARN such as `arn:aws:execute-api:*:*:API/STAGE/GET/path`; \
                 a resource policy may also say `execute-api:/STAGE/GET/path`"
            }
            Self::MalformedVariable(_) => {
                "write `${aws:SourceIp}` or `${aws:SourceIp, 'default'}`; for the characters themselves `${$}`, `${*}`, `${?}`"
            }
            Self::Missing(_) => "add it",
            Self::NotJson(_) => "mend the JSON; an object may name a member once",
            Self::PrincipalNotAllowed => "remove it: the caller is known already",
            Self::PrincipalNotEveryone => {
                "write `\"Principal\": \"*\"` and narrow the statement by conditions: callers here are not principals of an Amazon account"
            }
            Self::TooManyBytes(_) => "at most 65536 are read; use patterns, or several policies",
            Self::TooManyQuestionMarks(_) => "at most 500 are read; use `*`",
            Self::TooManyStatements(_) => "at most 200 are read; put what has the same effect into one",
            Self::TooManyValues(_) => "at most 1000 are read; use patterns",
            Self::UnknownEffect(_) => "write `Allow` or `Deny`",
            Self::UnknownElement(_) => {
                "elements are case-sensitive: `Version`, `Id`, `Statement`; in a statement `Sid`, `Effect`, `Action`, \
                 `NotAction`, `Resource`, `NotResource`, `Condition`, and `Principal` in a resource policy"
            }
            Self::UnknownOperator(_) => {
                "operators are case-sensitive: `StringEquals`, `StringLike`, `NumericLessThan`, `DateLessThan`, `Bool`, \
                 `IpAddress`, `ArnLike` and so on, with `IfExists` behind and `ForAnyValue:` or `ForAllValues:` in front; \
                 `Null` takes neither"
            }
            Self::UnknownVersion(_) => "write `2012-10-17`",
            Self::WrongType(_) => "change its type",
        }
    }
}

// === impl Quoted ===

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHARACTERS_MAX: usize = 80;
        let text: String = self
            .0
            .chars()
            .take(CHARACTERS_MAX)
            .flat_map(char::escape_debug)
            .collect();
        let more = if self.0.chars().nth(CHARACTERS_MAX).is_some() {
            "…"
        } else {
            ""
        };
        write!(formatter, "`{text}{more}`")
    }
}
