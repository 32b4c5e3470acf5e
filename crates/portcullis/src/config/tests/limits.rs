//! What bounds requests: throttles of methods.

use portcullis_core::Verb;
use portcullis_model::MethodVerb;

use super::*;

#[test]
fn methods_are_read() {
    let text = format!(
        "{LEAST}[[apis.stages.methods]]\npath = \"/a/{{id}}\"\nmethod = \"GET\"\nthrottle = {{ rate_per_s = 0.5, burst = 2 \
         }}\n[[apis.stages.methods]]\nmethod = \"ANY\"\n[[apis.stages.methods]]\npath = \"*\"\nmethod = \"*\"\n"
    );
    let (config, findings) = read("p", &text, Path::new(""));
    assert!(findings.is_empty());
    let methods = &config.apis[0].stages[0].methods;
    let shown: Vec<_> = methods
        .iter()
        .map(|method| {
            let throttle = method.throttle.as_ref();
            (
                method.path.as_ref().map(|path| path.value.as_str()),
                method.verb,
                throttle.map(|throttle| (throttle.rate_per_s, throttle.burst)),
            )
        })
        .collect();
    let expected = [
        (Some("/a/{id}"), MethodVerb::One(Verb::Get), Some((0.5, 2))),
        (None, MethodVerb::Any, None),
        (None, MethodVerb::Every, None),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn slips_of_methods_are_named() {
    let check_method =
        |line: &str, expected: &[&str]| check("name", &format!("[[apis.stages.methods]]\n{line}"), expected);
    check_method("path = \"/a\"\nthrottle = { burst = 1 }", &[]);
    check_method("path = \"a\"", &["9:8: error: bad-method: `a` is no resource's path"]);
    check_method("method = \"get\"", &["9:10: error: bad-method: `get` is not a method"]);
    check_method(
        "verb = \"GET\"",
        &["9:1: error: unknown-key: `apis.stages.methods.verb` is unknown"],
    );
    check_method(
        "throttle = { rate_per_s = -1 }",
        &[
            "9:27: error: out-of-range: `apis.stages.methods.throttle.rate_per_s` is -1, which is not between 0 and 10000000",
        ],
    );
}
