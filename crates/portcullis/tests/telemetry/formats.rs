//! Access log lines, read back by parsers that are not ours: Python's.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use portcullis_testkit::Origin;

use crate::support::{Setup, ok};

/// What a caller sends who would like to write lines or columns of their own.
const AGENT: &str = "a,\"b\"</ip><ip>6.6.6.6 & '";

/// What a Python program makes of `input`.
#[track_caller]
pub(crate) fn python(program: &str, input: &str) -> serde_json::Value {
    let mut child = Command::new("python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed: `./test` installs it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{input}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One call's line in `format`, without its line break.
#[track_caller]
fn line(format: &str) -> String {
    let origin = Origin::answering(ok("12345"));
    let running = Setup::open(origin.address())
        .in_config(
            "destination = \"stdout\", format = \"clf\"",
            &format!("destination = \"stdout\", format = '''{format}'''"),
        )
        .start();
    let answer = running.call("/a%22b?q=1", &["-A", AGENT]);
    assert_eq!(answer.status, 200);
    let lines = running.gateway.wait_for_access_log(1);
    running.stop();
    lines[0].clone()
}

#[test]
fn csv_is_what_a_csv_reader_reads() {
    const READ: &str = "import csv,json,sys; print(json.dumps(list(csv.reader(sys.stdin, strict=True))))";
    let rows = python(READ, &line("csv"));
    let [row] = &rows.as_array().unwrap()[..] else {
        panic!("{rows}")
    };
    let row: Vec<_> = row
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field.as_str().unwrap())
        .collect();
    assert_eq!(row.len(), 11, "{row:?}");
    assert_eq!(row[..3], ["127.0.0.1", "-", "-"]);
    assert_eq!(row[4..9], ["GET", "/{proxy+}", "HTTP/1.1", "200", "5"]);
    assert!(
        row[3].ends_with(" +0000") && row[9].len() == 36 && row[10].ends_with('='),
        "{row:?}"
    );

    let own = line("$context.requestId,$context.identity.userAgent,\"$context.identity.userAgent\",$context.status");
    let rows = python(READ, &own);
    assert_eq!(
        (&rows[0][1], &rows[0][2], &rows[0][3]),
        (&AGENT.into(), &AGENT.into(), &"200".into())
    );
}

#[test]
fn xml_is_what_an_xml_reader_reads() {
    const READ: &str = "import json,sys,xml.etree.ElementTree as tree; root=tree.fromstring(sys.stdin.read()); \
                        print(json.dumps([root.tag, root.attrib, {child.tag: child.text for child in root}]))";
    let read = python(READ, &line("xml"));
    assert_eq!(
        (&read[0], read[1]["id"].as_str().unwrap().len()),
        (&"request".into(), 36)
    );
    for (name, text) in [
        ("ip", "127.0.0.1"),
        ("httpMethod", "GET"),
        ("resourcePath", "/{proxy+}"),
        ("path", "/a%22b"),
        ("status", "200"),
        ("responseLength", "5"),
        ("principalId", "-"),
    ] {
        assert_eq!(read[2][name], text, "{name} of {read}");
    }
    let own = line(
        "<r id=\"$context.requestId\" agent=\"$context.identity.userAgent\"><a>$context.identity.userAgent</a></r>",
    );
    let read = python(READ, &own);
    assert_eq!((&read[1]["agent"], &read[2]["a"]), (&AGENT.into(), &AGENT.into()));
}
