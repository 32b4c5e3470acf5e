use super::*;

fn check(parsed: Result<Mapping, MappingError>, expected: Result<(Action, Target, Vec<Source>), &str>) {
    match (parsed, expected) {
        (Ok(mapping), Ok(expected)) => assert_eq!((mapping.action, mapping.target, mapping.value), expected),
        (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error} does not say {text}"),
        (parsed, expected) => panic!("{parsed:?} is not {expected:?}"),
    }
}

#[test]
fn rest_expressions() {
    use {Action::*, Target as T};
    let ok = |action, target, source| Ok((action, target, vec![source]));
    let cases = [
        (
            "header.apikey",
            "'an-origin-key'",
            ok(
                Overwrite,
                T::Header("apikey".into()),
                Source::Literal("an-origin-key".into()),
            ),
        ),
        (
            "path.proxy",
            "method.request.path.proxy",
            ok(
                Overwrite,
                T::PathParameter("proxy".into()),
                Source::Path("proxy".into()),
            ),
        ),
        (
            "querystring.q",
            "method.request.querystring.q",
            ok(Append, T::Query("q".into()), Source::Query("q".into())),
        ),
        (
            "header.X",
            "method.request.multivalueheader.Y",
            ok(Overwrite, T::Header("X".into()), Source::HeaderAll("Y".into())),
        ),
        (
            "header.X",
            "context.requestId",
            ok(Overwrite, T::Header("X".into()), Source::Context(Variable::RequestId)),
        ),
        (
            "header.X",
            "stageVariables.key",
            ok(Overwrite, T::Header("X".into()), Source::StageVariable("key".into())),
        ),
        (
            "header.X",
            "''",
            ok(Overwrite, T::Header("X".into()), Source::Literal("".into())),
        ),
        ("header.X", "'unclosed", Err("is no source")),
        ("header.X", "'two\nlines'", Err("is no source")),
        ("header.X", "literal", Err("is no source")),
        ("header.X", "method.request.body.a", Err("maps a part of a body")),
        ("header.X", "context.nonsense", Err("is unknown")),
        ("header.X", "stageVariables.a-b", Err("does not name")),
        ("header.Content-Length", "'1'", Err("the gateway sets it")),
        ("header.x-amzn-trace-id", "'1'", Err("the gateway sets it")),
        ("header.a b", "'1'", Err("does not name")),
        ("cookie.X", "'1'", Err("is no target")),
    ];
    for (target, source, expected) in cases {
        check(
            parse_rest_request(&format!("integration.request.{target}"), source),
            expected,
        );
    }
    assert!(parse_rest_request("method.request.header.X", "'1'").is_err());
}

#[test]
fn http_expressions() {
    use {Action::*, Target as T};
    let cases = [
        (
            "overwrite:path",
            "/v2$request",
            Ok((Overwrite, T::Path, vec![Source::Literal("/v2$request".into())])),
        ),
        (
            "overwrite:path",
            "$request.path",
            Ok((Overwrite, T::Path, vec![Source::PathWhole])),
        ),
        (
            "append:header.X",
            "${request.path.id}-${context.requestId}",
            Ok((
                Append,
                T::Header("X".into()),
                vec![
                    Source::Path("id".into()),
                    Source::Literal("-".into()),
                    Source::Context(Variable::RequestId),
                ],
            )),
        ),
        ("remove:querystring.q", "", Ok((Remove, T::Query("q".into()), vec![]))),
        (
            "append:querystring.q",
            "",
            Ok((Append, T::Query("q".into()), vec![Source::Literal("".into())])),
        ),
        ("append:path", "x", Err("is no target")),
        ("replace:header.X", "x", Err("is no target")),
        ("append:header.X", "$request.body.a", Err("maps a part of a body")),
        ("append:header.X", "${request.path.id", Err("a `}` behind each `${`")),
        (
            "append:header.X",
            "$context.resourcePath",
            Err("not known to this kind"),
        ),
        ("append:header.Host", "x", Err("the gateway sets it")),
    ];
    for (target, value, expected) in cases {
        check(parse_http_request(target, value), expected);
    }
    let status = parse_http_response("overwrite:statuscode", "404").unwrap();
    assert_eq!(
        (status.target, status.value),
        (ResponseTarget::Status, vec![ResponseSource::Literal("404".into())])
    );
    assert!(parse_http_response("append:header.X", "$request.header.Y").is_err());
    assert!(parse_http_response("append:header.X", "$response.header.Y").is_ok());
}
