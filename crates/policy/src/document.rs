//! Reading documents. Source: Amazon's "Grammar of the IAM JSON policy language" and the pages on its elements.

use serde_json::{Map, Value};

use crate::{
    Policy, PolicyError, QUESTION_MARKS_MAX, STATEMENTS_MAX, VALUES_MAX,
    condition::{Condition, Values},
    error::Fault,
    json,
    key::Key,
    operator::Operation,
    pattern::{Parts, Pattern, Syntax},
    place::Place,
    statement::{Actions, Resources, Statement, Verdict},
};

/// Which kind of document is read.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'a> {
    /// About one caller.
    Identity,
    /// About everyone who calls this API.
    Resource { api_arn: &'a str },
}

/// What holds for all of the document.
#[derive(Clone, Copy)]
struct Reader<'a> {
    kind: Kind<'a>,
    /// Whether `${…}` is a variable.
    variables: bool,
}

type Result<T, E = PolicyError> = std::result::Result<T, E>;

/// Compiles a document, or names the first place that cannot be honoured.
pub(crate) fn read(document: &Value, kind: Kind<'_>) -> Result<Policy> {
    let root = Place::Root;
    match json::question_marks(document) {
        0..=QUESTION_MARKS_MAX => {}
        count => return Err(root.error(Fault::TooManyQuestionMarks(count))),
    }
    let members = object(document, root)?;
    known_members(members, root, &["Version", "Id", "Statement"])?;
    for name in ["Version", "Id"] {
        if let Some(value) = members.get(name) {
            text(value, Place::Member(&root, name))?;
        }
    }
    let variables = match members.get("Version").and_then(Value::as_str) {
        Some("2012-10-17") => true,
        Some("2008-10-17") | None => false, // what a document without a version is in
        Some(other) => return Err(Place::Member(&root, "Version").error(Fault::UnknownVersion(other.into()))),
    };
    let reader = Reader { kind, variables };
    let statements = members
        .get("Statement")
        .ok_or_else(|| root.error(Fault::Missing("Statement")))?;
    let place = Place::Member(&root, "Statement");
    let statements: Box<[Statement]> = match statements {
        Value::Array(list) if list.len() > STATEMENTS_MAX => {
            return Err(place.error(Fault::TooManyStatements(list.len())));
        }
        Value::Array(list) => {
            let each = list.iter().enumerate();
            each.map(|(index, value)| reader.statement(value, Place::Item(&place, index)))
                .collect::<Result<_>>()?
        }
        one => Box::new([reader.statement(one, place)?]),
    };
    Ok(Policy {
        statements,
        has_variables: variables,
    })
}

// === impl Reader ===

impl Reader<'_> {
    fn statement(self, statement: &Value, place: Place<'_>) -> Result<Statement> {
        let members = object(statement, place)?;
        let names = [
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        known_members(members, place, &names)?;
        self.principal(members, place)?;
        let sid = members
            .get("Sid")
            .map(|sid| text(sid, Place::Member(&place, "Sid")))
            .transpose()?;
        let conditions = match members.get("Condition") {
            Some(block) => self.conditions(block, Place::Member(&place, "Condition"))?,
            None => Box::default(),
        };
        Ok(Statement {
            sid: sid.map(Into::into),
            verdict: verdict(members, place)?,
            actions: actions(members, place)?,
            resources: self.resources(members, place)?,
            conditions,
        })
    }

    fn principal(self, members: &Map<String, Value>, place: Place<'_>) -> Result<()> {
        match self.kind {
            Kind::Identity => {
                let given = ["Principal", "NotPrincipal"]
                    .into_iter()
                    .find(|name| members.contains_key(*name));
                given.map_or(Ok(()), |name| {
                    Err(Place::Member(&place, name).error(Fault::PrincipalNotAllowed))
                })
            }
            Kind::Resource { .. } => {
                if members.contains_key("NotPrincipal") {
                    return Err(Place::Member(&place, "NotPrincipal").error(Fault::PrincipalNotEveryone));
                }
                let principal = members
                    .get("Principal")
                    .ok_or_else(|| place.error(Fault::Missing("Principal")))?;
                if is_everyone(principal) {
                    Ok(())
                } else {
                    Err(Place::Member(&place, "Principal").error(Fault::PrincipalNotEveryone))
                }
            }
        }
    }

    fn resources(self, members: &Map<String, Value>, place: Place<'_>) -> Result<Resources> {
        let (negated, name, value) = one_of(members, place, "Resource", "NotResource")?;
        let patterns = strings(value, Place::Member(&place, name), |text| self.resource(text))?;
        Ok(Resources { negated, patterns })
    }

    fn resource(self, text: &str) -> Result<Pattern, Fault> {
        let syntax = Syntax {
            wildcards: true,
            variables: self.variables,
        };
        match (self.kind, text.strip_prefix("execute-api:")) {
            (Kind::Resource { api_arn }, Some(below)) if below.starts_with('/') => {
                Ok(Pattern::new(Parts::parse(below, syntax)?.behind(api_arn)))
            }
            (Kind::Identity | Kind::Resource { .. }, _) => {
                let may_be_arn = text.starts_with("arn:") || text.starts_with('*');
                let may_become_arn = self.variables && text.starts_with("${");
                if may_be_arn || may_become_arn {
                    Ok(Pattern::new(Parts::parse(text, syntax)?))
                } else {
                    Err(Fault::MalformedResource(text.into()))
                }
            }
        }
    }

    fn conditions(self, block: &Value, place: Place<'_>) -> Result<Box<[Condition]>> {
        let mut conditions = Vec::new();
        for (name, keys) in object(block, place)? {
            let place = Place::Member(&place, name);
            let operation = Operation::parse(name).ok_or_else(|| place.error(Fault::UnknownOperator(name.clone())))?;
            let keys = object(keys, place)?;
            if keys.is_empty() {
                return Err(place.error(Fault::Empty));
            }
            let first = conditions.len();
            for (name, values) in keys {
                let place = Place::Member(&place, name);
                let condition = self.condition(operation, name, values, place)?;
                if conditions[first..]
                    .iter()
                    .any(|other: &Condition| other.key == condition.key)
                {
                    return Err(place.error(Fault::DuplicateKey(name.clone())));
                }
                conditions.push(condition);
            }
        }
        Ok(conditions.into())
    }

    fn condition(self, operation: Operation, name: &str, values: &Value, place: Place<'_>) -> Result<Condition> {
        let key = Key::parse(name).ok_or_else(|| place.error(Fault::MalformedKey(name.into())))?;
        let list = list(values, place)?;
        let values = Values::parse(operation.operator, &list, self.variables).map_err(|(index, fault)| {
            let item = Place::Item(&place, index);
            if values.is_array() {
                item.error(fault)
            } else {
                place.error(fault)
            }
        })?;
        Ok(Condition { operation, key, values })
    }
}

fn verdict(members: &Map<String, Value>, place: Place<'_>) -> Result<Verdict> {
    let effect = members
        .get("Effect")
        .ok_or_else(|| place.error(Fault::Missing("Effect")))?;
    let place = Place::Member(&place, "Effect");
    match text(effect, place)? {
        "Allow" => Ok(Verdict::Allow),
        "Deny" => Ok(Verdict::Deny),
        other => Err(place.error(Fault::UnknownEffect(other.into()))),
    }
}

fn actions(members: &Map<String, Value>, place: Place<'_>) -> Result<Actions> {
    let (negated, name, value) = one_of(members, place, "Action", "NotAction")?;
    let action = |text: &str| {
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"*?-_".contains(&byte))
        };
        let is_action = text == "*"
            || text
                .split_once(':')
                .is_some_and(|(service, name)| is_part(service) && is_part(name));
        is_action
            .then(|| text.into())
            .ok_or_else(|| Fault::MalformedAction(text.into()))
    };
    Ok(Actions::new(
        negated,
        strings(value, Place::Member(&place, name), action)?,
    ))
}

/// `"*"`, `{"AWS": "*"}` or `{"AWS": ["*"]}`.
fn is_everyone(principal: &Value) -> bool {
    let is_star = |value: &Value| match value {
        Value::Array(list) => matches!(&**list, [one] if one == "*"),
        one => one == "*",
    };
    match principal {
        Value::Object(members) => members.len() == 1 && members.get("AWS").is_some_and(is_star),
        one => one == "*",
    }
}

/// An element or its opposite: whether it is the opposite, its name, and its value.
fn one_of<'a>(
    members: &'a Map<String, Value>,
    place: Place<'_>,
    plain: &'static str,
    negated: &'static str,
) -> Result<(bool, &'static str, &'a Value)> {
    match (members.get(plain), members.get(negated)) {
        (Some(value), None) => Ok((false, plain, value)),
        (None, Some(value)) => Ok((true, negated, value)),
        (Some(_), Some(_)) => Err(place.error(Fault::BothElements(plain))),
        (None, None) => Err(place.error(Fault::Missing(plain))),
    }
}

fn known_members(members: &Map<String, Value>, place: Place<'_>, known: &[&str]) -> Result<()> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Place::Member(&place, name).error(Fault::UnknownElement(name.clone()))),
        None => Ok(()),
    }
}

fn object<'a>(value: &'a Value, place: Place<'_>) -> Result<&'a Map<String, Value>> {
    value
        .as_object()
        .ok_or_else(|| place.error(Fault::WrongType("an object")))
}

fn text<'a>(value: &'a Value, place: Place<'_>) -> Result<&'a str> {
    value.as_str().ok_or_else(|| place.error(Fault::WrongType("a string")))
}

/// One value, or a list of at least one.
fn list<'a>(value: &'a Value, place: Place<'_>) -> Result<Vec<&'a Value>> {
    match value {
        Value::Array(list) if list.is_empty() => Err(place.error(Fault::Empty)),
        Value::Array(list) if list.len() > VALUES_MAX => Err(place.error(Fault::TooManyValues(list.len()))),
        Value::Array(list) => Ok(list.iter().collect()),
        one => Ok(vec![one]),
    }
}

/// One string, or a list of at least one.
fn strings<T>(value: &Value, place: Place<'_>, read: impl Fn(&str) -> Result<T, Fault>) -> Result<Box<[T]>> {
    let is_list = value.is_array();
    let each = list(value, place)?.into_iter().enumerate();
    let read = |(index, value): (usize, &Value)| {
        let item = Place::Item(&place, index);
        let place = if is_list { item } else { place };
        read(text(value, place)?).map_err(|fault| place.error(fault))
    };
    each.map(read).collect()
}
