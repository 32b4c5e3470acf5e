//! Templates of gateway responses: plain substitution, no VTL (Amazon's rule).

use crate::{
    mapping::{MappingError, Source, check_stage_variable, parse_rest_source},
    sink::{Escape, Quotes, Sink},
    variable::{ContextValues, Product, Variable, VariableError, name_at},
};

/// Bytes of a template at most.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// The body of a gateway response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayTemplate {
    pieces: Vec<Piece>,
}

/// Where a header of a gateway response takes its value from: a literal, the request, `$context` or a stage variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderSource(Source);

/// Why a text is no template of a gateway response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayTemplateError {
    /// A request's body cannot be quoted.
    #[error("at byte {0}: `$method.request` is followed by `.header.NAME`, `.querystring.NAME` or `.path.NAME`")]
    Request(usize),
    /// A stage variable's name.
    #[error("at byte {0}: a stage variable's name has letters, digits and underscores, 64 at most")]
    StageVariable(usize),
    /// Too long.
    #[error("a gateway response's template has at most {TEMPLATE_BYTES_MAX} bytes")]
    TooLong,
    /// A `$context` variable that cannot be used.
    #[error("at byte {at}: {error}")]
    Variable {
        /// Where it stands.
        at: usize,
        /// What is wrong with it.
        error: VariableError,
    },
    /// A directive or utility of the template language.
    #[error(
        "at byte {at}: `{written}` is template language, which gateway responses do not have: substitute \
             `$context.…`, `$stageVariables.…` and `$method.request.…` only"
    )]
    TemplateLanguage {
        /// Where it stands.
        at: usize,
        /// What is written there.
        written: String,
    },
}

/// The values of one request beyond `$context`.
pub trait RequestValues: ContextValues {
    /// The value of a source, decoded.
    fn source(&self, source: &Source) -> Option<String>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Value {
        of: Origin,
        /// It stands inside quotes, if the template is JSON.
        in_quotes: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Variable(Variable),
    Source(Source),
}

const DIRECTIVES: [&str; 8] = ["#set", "#if", "#else", "#end", "#foreach", "#macro", "#parse", "#break"];

// === impl GatewayTemplate ===

impl GatewayTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, GatewayTemplateError> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(GatewayTemplateError::TooLong);
        }
        let directive = DIRECTIVES
            .iter()
            .filter_map(|word| text.find(word).map(|at| (at, *word)))
            .min();
        if let Some((at, word)) = directive {
            return Err(GatewayTemplateError::TemplateLanguage {
                at,
                written: word.to_owned(),
            });
        }
        let mut quotes = Quotes::default();
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            let at = text.len() - rest.len() + dollar;
            let (before, behind) = rest.split_at(dollar);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            quotes.pass(before);
            let (of, length) = parse_piece(behind, at)?;
            pieces.push(Piece::Value {
                of,
                in_quotes: quotes.are_open,
            });
            rest = &behind[length..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self { pieces })
    }

    /// Appends the body for one request. `escape` is that of the body's media type ([`Escape::for_media_type`]); no value
    /// leaves the place that it stands in.
    ///
    /// In JSON, a value outside quotes brings quotes of its own where it needs them, and one that is missing reads `null`;
    /// `$context.error.messageString` and stage variables are inserted there as they are. Elsewhere what is missing reads as
    /// nothing.
    pub fn render(&self, values: &impl RequestValues, escape: Escape, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            let (of, in_quotes) = match piece {
                Piece::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                Piece::Value { of, in_quotes } => (of, *in_quotes),
            };
            let is_json_value = escape == Escape::JsonString && !in_quotes;
            let mut sink = Sink::new(
                out,
                if is_json_value {
                    of.escape_as_json_value()
                } else {
                    escape
                },
            );
            match of {
                Origin::Variable(variable) => values.write(variable, &mut sink),
                Origin::Source(source) => {
                    if let Some(value) = values.source(source) {
                        sink.text(&value);
                    }
                }
            }
            if is_json_value && !sink.is_written() {
                out.extend_from_slice(b"null");
            }
        }
    }
}

// === impl Origin ===

impl Origin {
    fn escape_as_json_value(&self) -> Escape {
        match self {
            // The one is quoted by whoever gives it; the other is the API's author's own, who may have written JSON into it.
            Self::Variable(Variable::ErrorMessageString) | Self::Source(Source::StageVariable(_)) => Escape::Plain,
            Self::Variable(_) | Self::Source(_) => Escape::JsonValue,
        }
    }
}

fn parse_piece(text: &str, at: usize) -> Result<(Origin, usize), GatewayTemplateError> {
    // Velocity's formal notation: `${context.requestId}` is `$context.requestId`.
    if let Some((inner, _)) = text.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
        let (piece, length) = parse_reference(inner, at)?;
        if length == inner.len() {
            return Ok((piece, inner.len() + 3));
        }
    }
    parse_reference(&text[1..], at).map(|(piece, length)| (piece, length + 1))
}

fn parse_reference(text: &str, at: usize) -> Result<(Origin, usize), GatewayTemplateError> {
    if let Some(rest) = text.strip_prefix("context.") {
        let name = name_at(rest);
        let variable =
            Variable::parse(name, Product::Rest).map_err(|error| GatewayTemplateError::Variable { at, error })?;
        return Ok((Origin::Variable(variable), "context.".len() + name.len()));
    }
    if let Some(rest) = text.strip_prefix("stageVariables.") {
        let end = rest
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .unwrap_or(rest.len());
        let name = check_stage_variable(&rest[..end]).map_err(|_| GatewayTemplateError::StageVariable(at))?;
        return Ok((
            Origin::Source(Source::StageVariable(name)),
            "stageVariables.".len() + end,
        ));
    }
    if text.starts_with("method.request.") {
        let end = "method.".len() + name_at(&text["method.".len()..]).len();
        let source = parse_rest_source(&text[..end]).map_err(|_| GatewayTemplateError::Request(at))?;
        return Ok((Origin::Source(source), end));
    }
    let end = text
        .find(|letter: char| !letter.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    Err(GatewayTemplateError::TemplateLanguage {
        at,
        written: format!("${}", &text[..end]),
    })
}

// === impl HeaderSource ===

impl HeaderSource {
    /// Reads `'text'`, `method.request.…`, `context.…` or `stageVariables.…`.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        parse_rest_source(text).map(Self)
    }

    /// The header's value for one request; `None` when it has none.
    pub fn value(&self, values: &impl RequestValues) -> Option<String> {
        match &self.0 {
            Source::Literal(text) => Some(text.to_string()),
            Source::Context(variable) => {
                let mut out = Vec::new();
                let mut sink = Sink::new(&mut out, Escape::Plain);
                values.write(variable, &mut sink);
                if sink.is_written() {
                    String::from_utf8(out).ok()
                } else {
                    None
                }
            }
            source => values.source(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Values;

    impl ContextValues for Values {
        fn write(&self, variable: &Variable, sink: &mut Sink<'_>) {
            match variable {
                Variable::ErrorMessage => sink.text("say \"no\""),
                Variable::ErrorMessageString => sink.text("\"say \\\"no\\\"\""),
                Variable::RequestId => sink.text("id-1"),
                _ => {}
            }
        }
    }

    impl RequestValues for Values {
        fn source(&self, source: &Source) -> Option<String> {
            match source {
                Source::Header(name) => Some(format!("<{name}\">")),
                Source::StageVariable(name) => Some(name.to_uppercase()),
                _ => None,
            }
        }
    }

    fn render(template: &str, escape: Escape) -> String {
        let mut out = Vec::new();
        GatewayTemplate::parse(template)
            .unwrap()
            .render(&Values, escape, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn substitutes() {
        let json = Escape::JsonString;
        assert_eq!(
            render(r#"{"message":$context.error.messageString}"#, json),
            r#"{"message":"say \"no\""}"#
        );
        assert_eq!(
            render(r#"{"m":"$context.error.message","id":"${context.requestId}"}"#, json),
            r#"{"m":"say \"no\"","id":"id-1"}"#
        );
        assert_eq!(
            render(r#""$method.request.header.Origin" $stageVariables.env."#, json),
            r#""<Origin\">" ENV."#
        );
        assert_eq!(
            render(
                r#"[$method.request.header.A,$context.status,"$context.status","$context.error.messageString"]"#,
                json
            ),
            r#"["<A\">",null,"","\"say \\\"no\\\"\""]"#
        );
        assert_eq!(
            render(
                "<p title='$method.request.header.A'>$context.status</p>",
                Escape::Markup
            ),
            "<p title='&lt;A&quot;&gt;'></p>"
        );
        assert_eq!(
            render("$context.error.message $context.status", Escape::Plain),
            "say \"no\" "
        );
    }

    #[test]
    fn refuses_template_language() {
        let error = |text: &str| GatewayTemplate::parse(text).unwrap_err().to_string();
        assert!(error("#set($a = 1)").starts_with("at byte 0: `#set` is template language"));
        assert!(error("a $input.body").starts_with("at byte 2: `$input` is template language"));
        assert!(error("$util.escape").contains("`$util`"));
        assert!(error("$context.nonsense").contains("is unknown"));
        assert!(error("$method.request.body").contains("is followed by"));
    }

    #[test]
    fn headers_have_sources() {
        let value = |text: &str| HeaderSource::parse(text).unwrap().value(&Values);
        assert_eq!(value("'*'"), Some("*".to_owned()));
        assert_eq!(value("context.requestId"), Some("id-1".to_owned()));
        assert_eq!(value("context.status"), None);
        assert_eq!(value("method.request.header.Origin"), Some("<Origin\">".to_owned()));
        assert!(HeaderSource::parse("method.response.header.X").is_err());
    }
}
