//! Statements in words.

use std::fmt::{self, Display, Write as _};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::{
    condition::{Condition, Values},
    operator::Quantifier,
    statement::{Actions, Resources, Statement, Verdict},
};

impl Display for Statement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sid,
            verdict,
            actions,
            resources,
            conditions,
        } = self;
        let verdict = match verdict {
            Verdict::Allow => "Allow",
            Verdict::Deny => "Deny",
        };
        let mut line = format!("{verdict} {actions} on {resources}");
        for (index, condition) in conditions.iter().enumerate() {
            write!(line, " {} {condition}", if index == 0 { "if" } else { "and" })?;
        }
        if let Some(sid) = sid {
            write!(line, " ({sid})")?;
        }
        // One line, whatever the document's author put into its strings.
        formatter.write_str(
            &line
                .chars()
                .map(|found| if found.is_control() { '\u{fffd}' } else { found })
                .collect::<String>(),
        )
    }
}

impl Display for Actions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        but(formatter, self.negated, &self.names)
    }
}

impl Display for Resources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        but(formatter, self.negated, &self.patterns)
    }
}

impl Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantifier = match self.operation.quantifier {
            Quantifier::All => "every value of ",
            Quantifier::Any => "some value of ",
            Quantifier::Single => "",
        };
        let if_exists = if self.operation.if_exists { ", where known," } else { "" };
        write!(
            formatter,
            "{quantifier}{}{if_exists} {} ",
            self.key,
            self.operation.operator.phrase()
        )?;
        match &self.values {
            Values::Arn(patterns) => list(formatter, patterns),
            Values::Bool(flags) | Values::Null(flags) => list(formatter, flags),
            Values::Bytes(values) => {
                let texts: Vec<String> = values.iter().map(|bytes| BASE64_STANDARD.encode(bytes)).collect();
                list(formatter, &texts)
            }
            Values::Date(_, dates) => {
                let texts: Vec<String> = dates.iter().map(|date| date.to_rfc3339()).collect();
                list(formatter, &texts)
            }
            Values::Equal(texts) | Values::EqualIgnoringCase(texts) => list(formatter, texts),
            Values::Like(patterns) => list(formatter, patterns),
            Values::Network(networks) => list(formatter, networks),
            Values::Number(_, numbers) => list(formatter, numbers),
        }
    }
}

fn but(formatter: &mut fmt::Formatter<'_>, negated: bool, items: &[impl Display]) -> fmt::Result {
    if negated {
        formatter.write_str("everything but ")?;
    }
    list(formatter, items)
}

fn list(formatter: &mut fmt::Formatter<'_>, items: &[impl Display]) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(index, item)| {
        let separator = if index == 0 { "" } else { " or " };
        write!(formatter, "{separator}{item}")
    })
}
