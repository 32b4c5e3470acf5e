//! Access log templates: one line per request out of `$context` variables.

use crate::{
    log_form::{self, XmlFault},
    sink::{Escape, Quotes, Sink},
    variable::{ContextValues, Product, Variable, VariableError, name_at},
};

/// Bytes of a template at most (Amazon's limit).
pub const TEMPLATE_BYTES_MAX: usize = 3 * 1024;

/// Amazon's common log format to the letter, so that what reads it there reads it here.
const CLF: &str = "$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] \
                   \"$context.httpMethod $context.resourcePath $context.protocol\" $context.status \
                   $context.responseLength $context.requestId $context.extendedRequestId";
/// The same for HTTP APIs, which name routes instead of resources.
const CLF_HTTP: &str = "$context.identity.sourceIp $context.identity.caller $context.identity.user \
                        [$context.requestTime] \"$context.httpMethod $context.routeKey $context.protocol\" \
                        $context.status $context.responseLength $context.requestId $context.extendedRequestId";
/// Amazon's JSON format, extended by what an operator asks for first: the path, both latencies in milliseconds, the
/// principal, and what went wrong where.
const JSON: &str = r#"{ "requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","ip":"$context.identity.sourceIp","caller":"$context.identity.caller","user":"$context.identity.user","requestTime":"$context.requestTime","httpMethod":"$context.httpMethod","resourcePath":"$context.resourcePath","path":"$context.path","status":"$context.status","protocol":"$context.protocol","responseLength":"$context.responseLength","integrationLatency":"$context.integrationLatency","responseLatency":"$context.responseLatency","principalId":"$context.authorizer.principalId","authorizerError":"$context.authorizer.error","integrationError":"$context.integration.error","errorType":"$context.error.responseType" }"#;
const JSON_HTTP: &str = r#"{ "requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","ip":"$context.identity.sourceIp","caller":"$context.identity.caller","user":"$context.identity.user","requestTime":"$context.requestTime","httpMethod":"$context.httpMethod","routeKey":"$context.routeKey","path":"$context.path","status":"$context.status","protocol":"$context.protocol","responseLength":"$context.responseLength","integrationLatency":"$context.integrationLatency","responseLatency":"$context.responseLatency","principalId":"$context.authorizer.principalId","authorizerError":"$context.authorizer.error","integrationError":"$context.integration.error","errorType":"$context.error.responseType" }"#;

/// Amazon's XML format, extended as the JSON one is.
const XML: &str = r#"<request id="$context.requestId"> <extendedRequestId>$context.extendedRequestId</extendedRequestId> <ip>$context.identity.sourceIp</ip> <caller>$context.identity.caller</caller> <user>$context.identity.user</user> <requestTime>$context.requestTime</requestTime> <httpMethod>$context.httpMethod</httpMethod> <resourcePath>$context.resourcePath</resourcePath> <path>$context.path</path> <status>$context.status</status> <protocol>$context.protocol</protocol> <responseLength>$context.responseLength</responseLength> <integrationLatency>$context.integrationLatency</integrationLatency> <responseLatency>$context.responseLatency</responseLatency> <principalId>$context.authorizer.principalId</principalId> <authorizerError>$context.authorizer.error</authorizerError> <integrationError>$context.integration.error</integrationError> <errorType>$context.error.responseType</errorType> </request>"#;
const XML_HTTP: &str = r#"<request id="$context.requestId"> <extendedRequestId>$context.extendedRequestId</extendedRequestId> <ip>$context.identity.sourceIp</ip> <caller>$context.identity.caller</caller> <user>$context.identity.user</user> <requestTime>$context.requestTime</requestTime> <httpMethod>$context.httpMethod</httpMethod> <routeKey>$context.routeKey</routeKey> <path>$context.path</path> <status>$context.status</status> <protocol>$context.protocol</protocol> <responseLength>$context.responseLength</responseLength> <integrationLatency>$context.integrationLatency</integrationLatency> <responseLatency>$context.responseLatency</responseLatency> <principalId>$context.authorizer.principalId</principalId> <authorizerError>$context.authorizer.error</authorizerError> <integrationError>$context.integration.error</integrationError> <errorType>$context.error.responseType</errorType> </request>"#;
/// Amazon's CSV format to the letter: the columns of CLF.
const CSV: &str = "$context.identity.sourceIp,$context.identity.caller,$context.identity.user,$context.requestTime,\
                   $context.httpMethod,$context.resourcePath,$context.protocol,$context.status,\
                   $context.responseLength,$context.requestId,$context.extendedRequestId";
const CSV_HTTP: &str = "$context.identity.sourceIp,$context.identity.caller,$context.identity.user,\
                        $context.requestTime,$context.httpMethod,$context.routeKey,$context.protocol,$context.status,\
                        $context.responseLength,$context.requestId,$context.extendedRequestId";

/// A parsed access log template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTemplate {
    pieces: Vec<Piece>,
}

/// Why a text is no access log template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogTemplateError {
    /// A dollar sign that begins no variable.
    #[error("at byte {0}: only `$context.NAME` variables can be written here")]
    NotContext(usize),
    /// It begins with `{` and is not JSON.
    #[error("a log format that begins with `{{` is JSON, and this is not: {0}")]
    NotJson(String),
    /// It begins with `<` and is not XML.
    #[error("a log format that begins with `<` is XML, and this is not: {0}")]
    NotXml(XmlFault),
    /// A line break.
    #[error("at byte {0}: a log format is one line")]
    NotOneLine(usize),
    /// No id to find the request by.
    #[error("a log format must hold `$context.requestId` or `$context.extendedRequestId`")]
    NoRequestId,
    /// Too long.
    #[error("a log format has at most {TEMPLATE_BYTES_MAX} bytes")]
    TooLong,
    /// A variable that cannot be used.
    #[error("at byte {at}: {error}")]
    Variable {
        /// Where its dollar sign stands.
        at: usize,
        /// What is wrong with it.
        error: VariableError,
    },
}

/// What a template writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csv,
    Json,
    Line,
    Xml,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Value {
        variable: Variable,
        escape: Escape,
        /// What a request without the value prints.
        missing: &'static str,
    },
}

// === impl LogTemplate ===

impl LogTemplate {
    /// Reads `clf`, `json`, `xml`, `csv` or a template of one's own.
    ///
    /// A template that begins with `{` is JSON, and every line of it will be: text without quotes around it brings its own,
    /// and what is missing reads `null` there. One that begins with `<` is XML, and every line will be one element. One whose
    /// variables are parted by nothing but commas is CSV (RFC 4180): a value that needs quotes brings them. Elsewhere quotes,
    /// backslashes and control characters are escaped. What is missing or empty reads `-`, so that no column is lost.
    pub fn parse(text: &str, product: Product) -> Result<Self, LogTemplateError> {
        match (text, product) {
            ("clf", Product::Rest) => Self::parse_template(CLF, product),
            ("clf", Product::Http) => Self::parse_template(CLF_HTTP, product),
            ("json", Product::Rest) => Self::parse_template(JSON, product),
            ("json", Product::Http) => Self::parse_template(JSON_HTTP, product),
            ("xml", Product::Rest) => Self::parse_template(XML, product),
            ("xml", Product::Http) => Self::parse_template(XML_HTTP, product),
            ("csv", Product::Rest) => Self::parse_template(CSV, product),
            ("csv", Product::Http) => Self::parse_template(CSV_HTTP, product),
            _ => Self::parse_template(text, product),
        }
    }

    /// Appends the line of one request, with its line break.
    pub fn render(&self, values: &impl ContextValues, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Value {
                    variable,
                    escape,
                    missing,
                } => {
                    let before = out.len();
                    let mut sink = Sink::new(out, *escape);
                    values.write(variable, &mut sink);
                    let is_column = matches!(escape, Escape::LogLine | Escape::CsvField | Escape::CsvQuoted);
                    let is_missing = !sink.is_written() || (is_column && out.len() == before);
                    if is_missing {
                        out.extend_from_slice(missing.as_bytes());
                    }
                }
            }
        }
        out.push(b'\n');
    }

    /// Whether it holds a variable for which `wanted` says yes: what nobody logs need not be kept.
    pub fn uses(&self, wanted: impl Fn(&Variable) -> bool) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Value { variable, .. } => wanted(variable),
        })
    }

    fn parse_template(text: &str, product: Product) -> Result<Self, LogTemplateError> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(LogTemplateError::TooLong);
        }
        if let Some(at) = text.find(['\n', '\r']) {
            return Err(LogTemplateError::NotOneLine(at));
        }
        let kind = Kind::of(text);
        let mut quotes = Quotes::default();
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            let at = text.len() - rest.len() + dollar;
            let (before, behind) = rest.split_at(dollar);
            quotes.pass(before);
            let name = name_at(
                behind
                    .strip_prefix("$context.")
                    .ok_or(LogTemplateError::NotContext(at))?,
            );
            let variable = Variable::parse(name, product).map_err(|error| LogTemplateError::Variable { at, error })?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(kind.piece(variable, quotes.are_open));
            rest = &behind["$context.".len() + name.len()..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        let template = Self { pieces };
        match kind {
            Kind::Json => template.check_json()?,
            Kind::Xml => template.check_xml()?,
            Kind::Csv | Kind::Line => {}
        }
        let names_request = |variable: &Variable| matches!(variable, Variable::RequestId | Variable::ExtendedRequestId);
        if template.uses(names_request) {
            Ok(template)
        } else {
            Err(LogTemplateError::NoRequestId)
        }
    }

    /// A line in which every value is missing must be JSON; with values it is then, too.
    fn check_json(&self) -> Result<(), LogTemplateError> {
        struct Nothing;
        impl ContextValues for Nothing {
            fn write(&self, _: &Variable, _: &mut Sink<'_>) {}
        }
        let mut line = Vec::new();
        self.render(&Nothing, &mut line);
        let read = serde_json::from_slice::<serde::de::IgnoredAny>(&line);
        read.map(|_| ()).map_err(|error| {
            // Without the place, which is one in the line and not in the template.
            let reason = error.to_string();
            LogTemplateError::NotJson(reason.split(" at line ").next().unwrap_or_default().to_owned())
        })
    }

    /// Values may stand where text may: between tags and inside the quotes of an attribute.
    fn check_xml(&self) -> Result<(), LogTemplateError> {
        let skeleton: String = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Value { .. } => log_form::VALUE,
            })
            .collect();
        log_form::check_xml(skeleton.trim()).map_err(LogTemplateError::NotXml)
    }
}

// === impl Kind ===

impl Kind {
    fn of(template: &str) -> Self {
        match template.trim_start().bytes().next() {
            Some(b'{') => Self::Json,
            Some(b'<') => Self::Xml,
            _ if log_form::is_csv(template) => Self::Csv,
            _ => Self::Line,
        }
    }

    fn piece(self, variable: Variable, in_quotes: bool) -> Piece {
        let (escape, missing) = match (self, &variable) {
            (Self::Line, _) => (Escape::LogLine, "-"),
            (Self::Csv, _) if in_quotes => (Escape::CsvQuoted, "-"),
            (Self::Csv, _) => (Escape::CsvField, "-"),
            (Self::Xml, _) => (Escape::Markup, "-"),
            (Self::Json, _) if in_quotes => (Escape::JsonString, "-"),
            // This one is a JSON string or `null` already.
            (Self::Json, Variable::ErrorMessageString) => (Escape::Plain, "null"),
            (Self::Json, _) => (Escape::JsonValue, "null"),
        };
        Piece::Value {
            variable,
            escape,
            missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Values(&'static str);

    impl ContextValues for Values {
        fn write(&self, variable: &Variable, sink: &mut Sink<'_>) {
            match variable {
                Variable::RequestId => sink.text("id-1"),
                Variable::Status => sink.number(200),
                Variable::Path => sink.text(self.0),
                Variable::Protocol => sink.text(""),
                Variable::ErrorMessageString => sink.text(r#""\"no\"""#),
                _ => {}
            }
        }
    }

    fn render(template: &str, path: &'static str) -> String {
        let mut out = Vec::new();
        LogTemplate::parse(template, Product::Rest)
            .unwrap()
            .render(&Values(path), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn renders_values_and_says_what_is_missing() {
        let cases = [
            (
                "$context.requestId $context.status \"$context.path\"",
                "id-1 200 \"/a\\x22b\"\n",
            ),
            ("$context.requestId.$context.status.", "id-1.200.\n"),
            ("$context.requestId $context.identity.user", "id-1 -\n"),
            (
                r#"{"id":"$context.requestId","status":$context.status,"user":$context.identity.user,"u":"$context.identity.user","path":"$context.path"}"#,
                "{\"id\":\"id-1\",\"status\":200,\"user\":null,\"u\":\"-\",\"path\":\"/a\\\"b\"}\n",
            ),
            (
                r#"{"id":$context.requestId,"path":$context.path,"m":$context.error.messageString}"#,
                "{\"id\":\"id-1\",\"path\":\"/a\\\"b\",\"m\":\"\\\"no\\\"\"}\n",
            ),
            (
                r#"{"id":"$context.requestId","m":"$context.error.messageString"}"#,
                "{\"id\":\"id-1\",\"m\":\"\\\"\\\\\\\"no\\\\\\\"\\\"\"}\n",
            ),
            (
                r#"<r id="$context.requestId" user="$context.identity.user">$context.path</r>"#,
                "<r id=\"id-1\" user=\"-\">/a&quot;b</r>\n",
            ),
            ("$context.requestId $context.protocol $context.status", "id-1 - 200\n"),
            (
                "$context.requestId,$context.path,\"$context.path\",$context.status,$context.protocol,x",
                "id-1,\"/a\"\"b\",\"/a\"\"b\",200,-,x\n",
            ),
            // A space beside a comma makes it a line like any other.
            ("$context.requestId, $context.path", "id-1, /a\\x22b\n"),
            (
                r#"{"id":"$context.requestId","p":"$context.protocol"}"#,
                "{\"id\":\"id-1\",\"p\":\"\"}\n",
            ),
        ];
        for (template, line) in cases {
            assert_eq!(render(template, "/a\"b"), line, "{template}");
        }
    }

    #[test]
    fn presets_are_complete() {
        assert_eq!(render("clf", "/"), "- - - [-] \"- - -\" 200 - id-1 -\n");
        let line: serde_json::Value = serde_json::from_str(&render("json", "/")).unwrap();
        assert_eq!(line["status"], "200");
        assert_eq!(render("csv", "/"), "-,-,-,-,-,-,-,200,-,id-1,-\n");
        assert_eq!(
            render("xml", "/<>"),
            "<request id=\"id-1\"> <extendedRequestId>-</extendedRequestId> <ip>-</ip> <caller>-</caller> <user>-</user> \
             <requestTime>-</requestTime> <httpMethod>-</httpMethod> <resourcePath>-</resourcePath> <path>/&lt;&gt;</path> \
             <status>200</status> <protocol></protocol> <responseLength>-</responseLength> \
             <integrationLatency>-</integrationLatency> <responseLatency>-</responseLatency> <principalId>-</principalId> \
             <authorizerError>-</authorizerError> <integrationError>-</integrationError> <errorType>-</errorType> \
             </request>\n"
        );
        for name in ["clf", "json", "xml", "csv"] {
            assert!(LogTemplate::parse(name, Product::Http).is_ok(), "{name}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_honoured() {
        let error = |text: &str| LogTemplate::parse(text, Product::Rest).unwrap_err().to_string();
        assert_eq!(
            error("$context.status"),
            "a log format must hold `$context.requestId` or `$context.extendedRequestId`"
        );
        assert_eq!(
            error("$context.requestId $input.body"),
            "at byte 19: only `$context.NAME` variables can be written here"
        );
        assert_eq!(error("$context.requestId\n"), "at byte 18: a log format is one line");
        assert_eq!(
            error("$context.requestId $context.statis"),
            "at byte 19: `$context.statis` is unknown (did you mean `status`?)"
        );
        assert_eq!(
            error(r#"{"id":"$context.requestId",}"#),
            "a log format that begins with `{` is JSON, and this is not: key must be a string"
        );
        assert!(error("{ $context.requestId").contains("is JSON, and this is not"));
        assert_eq!(
            error("<r id=$context.requestId/>"),
            "a log format that begins with `<` is XML, and this is not: an attribute's value has no quotes around it"
        );
        assert_eq!(error(&"x".repeat(3073)), "a log format has at most 3072 bytes");
    }

    proptest! {
        #[test]
        fn one_request_is_one_line_of_json(path in "\\PC*|[\\x00-\\x7f]{0,40}") {
            struct Path(String);
            impl ContextValues for Path {
                fn write(&self, variable: &Variable, sink: &mut Sink<'_>) {
                    if *variable == Variable::Path { sink.text(&self.0) }
                }
            }
            let mut out = Vec::new();
            LogTemplate::parse("json", Product::Rest).unwrap().render(&Path(path.clone()), &mut out);
            prop_assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
            let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(line["path"].as_str().unwrap(), path);
        }
    }
}
