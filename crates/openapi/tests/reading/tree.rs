//! The located tree: JSON and YAML alike, its bounds, and what no tree comes from.

use portcullis_openapi::{DEPTH_MAX, NODES_MAX, TEXT_BYTES_MAX, read_tree};
use serde_json::{Value, json};

/// `Ok` with the tree as JSON when nothing was found, else the findings.
fn tree(text: &str) -> Result<Value, Vec<String>> {
    let (tree, findings) = read_tree("t", text);
    if findings.is_empty() {
        return Ok(tree.expect("a tree").to_json());
    }
    Err(findings
        .iter()
        .map(|finding| format!("{}: {}", finding.place, finding.code))
        .collect())
}

#[test]
fn values_are_read_as_they_are_meant() {
    let check = |text: &str, expected: Value| assert_eq!(tree(text), Ok(expected), "{text:?}");
    check(
        "{\n\t\"a\": 1,\n\t\"b\": [true, null]\n}\n",
        json!({"a": 1, "b": [true, null]}),
    );
    check(
        r#"{"a": "x\/y\u00e9\ud83d\ude00\t\"", "b":{"c":[]}}"#,
        json!({"a": "x/yé😀\t\"", "b": {"c": []}}),
    );
    check("{\"a\": 1.50, \"b\": -2e3}", json!({"a": 1.5, "b": -2e3}));
    check("a: 123456789012345678901234567890\nb: 1e999\nc: 0x1F", {
        json!({"a": "123456789012345678901234567890", "b": "1e999", "c": "0x1F"})
    });
    check(
        "on: yes\nno: off\n012: 0o17\n200: 0123",
        json!({"on": "yes", "no": "off", "012": "0o17", "200": "0123"}),
    );
    check(
        "a: ~\nb:\nc: ''\nd: 'null'",
        json!({"a": null, "b": null, "c": "", "d": "null"}),
    );
    check("a: !!str 1\nb: !!int '2'\nc: ! 3", json!({"a": "1", "b": 2, "c": "3"}));
    check("\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\n", json!({"a": 1, "b": "x\ny\n"}));
    check(
        "%YAML 1.2\n%TAG !x! tag:yaml.org,2002:\n---\na: !x!str 1\n...\n",
        json!({"a": "1"}),
    );
    check("b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\nd: {<<: [{y: 4}, *b]}", {
        json!({"b": {"x": 1, "y": 2}, "c": {"y": 3, "x": 1}, "d": {"y": 4, "x": 1}})
    });
    check("- 1\n-\n  - 2\n", json!([1, [2]]));
    let long = "k".repeat(5_000);
    check(&format!("{{\"{long}\": 1}}"), json!({long: 1}));
}

#[test]
fn places_are_those_of_the_text() {
    let (tree, findings) = read_tree("pets.yaml", "é: 1\nkey:\n  - {inner: value}\n");
    assert!(findings.is_empty());
    let tree = tree.unwrap();
    let map = tree.as_map().unwrap();
    let place = |node: &portcullis_openapi::tree::Node| node.place.to_string();
    assert_eq!(map.entry("key").unwrap().key_place.to_string(), "pets.yaml:2:1");
    let item = &map.get("key").unwrap().as_sequence().unwrap()[0];
    assert_eq!(place(item), "pets.yaml:3:5");
    assert_eq!(place(item.as_map().unwrap().get("inner").unwrap()), "pets.yaml:3:13");
    assert_eq!(place(map.get("é").unwrap()), "pets.yaml:1:4");
}

#[test]
fn what_is_no_tree_says_so_once() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(
            tree(text),
            Err(expected.iter().map(ToString::to_string).collect()),
            "{text:?}"
        );
    };
    check("", &["t: empty-document"]);
    check("# only a comment", &["t: empty-document"]);
    check("null", &["t: empty-document"]);
    check("a: 1\n---\nb: 2", &["t:3:1: several-documents"]);
    check("{\"a\": 1, \"b\": {\"a\": 1}, \"a\": 2}", &["t:1:25: duplicate-key"]);
    check(
        "a: 1\nb: 2\na: 3\n'a': 4",
        &["t:3:1: duplicate-key", "t:4:1: duplicate-key"],
    );
    check("200: 1\n'200': 2", &["t:2:1: duplicate-key"]);
    check("a: !Ref X\nb: !Sub\n  - y\nc: {Fn::GetAtt: z}\nd: !mine 1", {
        &[
            "t:1:9: deploy-template",
            "t:3:3: deploy-template",
            "t:4:5: deploy-template",
            "t:5:10: unknown-tag",
        ]
    });
    check("a: %x", &["t:1:4: syntax-error"]);
    check("a: \"x", &["t:1:4: syntax-error"]);
    check("a:\n\tb: 1", &["t:2:2: syntax-error"]);
    check("{\"a\": 1 \"b\": 2}", &["t:1:12: syntax-error"]);
    check("{\"a\": [1, 2}", &["t:1:7: syntax-error"]);
    check("{\"a\": \"\\q\"}", &["t:1:7: syntax-error"]);
    check("{\"a\": \"\\ud83d\"}", &["t:1:7: syntax-error"]);
    check("a: b: c", &["t:1:5: syntax-error"]);
    check("a: *b", &["t:1:4: unknown-alias"]);
    check("a: &a [*a]", &["t:1:8: recursive-alias"]);
    check("? [a]\n: b", &["t:1:3: key-not-a-string"]);
    check("a: {<<: 1}", &["t:1:9: merge-not-a-mapping"]);
}

/// Nine levels of nine aliases each: 9⁹ values.
#[test]
fn an_alias_bomb_is_refused_early() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let refused = tree(&bomb).unwrap_err();
    assert!(
        refused.len() == 1 && refused[0].ends_with("document-too-large"),
        "{refused:?}"
    );
    // Its twin with three levels is an ordinary document.
    let small: Vec<&str> = bomb.lines().take(3).collect();
    assert!(tree(&small.join("\n")).is_ok());
}

/// A long text behind few aliases: little in nodes, much in bytes.
#[test]
fn an_alias_bomb_of_text_is_refused() {
    let text = |length: usize| format!("a: &a {}\nb: [{}]\n", "x".repeat(length), vec!["*a"; 100].join(", "));
    assert_eq!(tree(&text(1024 * 1024)).unwrap_err().len(), 1);
    assert!(tree(&text(1024)).is_ok());
}

/// Aliases that nest in one another must not get around the depth.
#[test]
fn depth_is_bounded() {
    let flow = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let block = |depth: usize| {
        let lines = (0..depth).map(|level| format!("{}a:\n", " ".repeat(level)));
        lines.collect::<String>() + &" ".repeat(depth) + "b"
    };
    let mut aliased = format!("- &a0 {}\n", flow(30));
    for level in 1..100 {
        let (open, close) = ("[".repeat(30), "]".repeat(30));
        aliased.push_str(&format!("- &a{level} {open}*a{}{close}\n", level - 1));
    }
    for text in [
        flow(DEPTH_MAX + 1),
        flow(100_000),
        block(DEPTH_MAX + 1),
        block(1_000),
        aliased.clone(),
    ] {
        let refused = tree(&text).unwrap_err();
        assert!(
            refused.len() == 1 && refused[0].ends_with("document-too-deep"),
            "{refused:?}"
        );
    }
    let two_levels: String = aliased.lines().take(2).map(|line| format!("{line}\n")).collect();
    for text in [flow(DEPTH_MAX), block(DEPTH_MAX), two_levels] {
        tree(&text).unwrap();
    }
}

#[test]
fn size_is_bounded() {
    let text = |length: usize| format!("a: {}", "x".repeat(length - 3));
    assert_eq!(
        tree(&text(TEXT_BYTES_MAX + 1)),
        Err(vec!["t: document-too-large".to_owned()])
    );
    assert!(tree(&text(TEXT_BYTES_MAX)).is_ok());
    let items = |count: usize| format!("[{}]", "1,".repeat(count));
    assert!(tree(&items(NODES_MAX)).unwrap_err()[0].ends_with("document-too-large"));
    assert!(tree(&items(NODES_MAX - 1)).is_ok());
}
