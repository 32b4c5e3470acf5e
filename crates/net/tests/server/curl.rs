//! A client that was not written here.

use std::process::Command;

use crate::harness::subject;

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*"])
        .args(arguments)
        .output();
    let output = output.expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(0) => text,
        code => format!("{text}[{code:?}]"),
    }
}

#[test]
fn curl_gets_what_it_asks_for() {
    let subject = subject();
    let url = |path: &str| format!("http://{}{path}", subject.address());
    let large = "x".repeat(300_000);
    let file = std::env::temp_dir().join(format!("portcullis-net-curl-{}", std::process::id()));
    std::fs::write(&file, &large).unwrap();
    let upload = format!("@{}", file.display());
    for (arguments, expected) in [
        (vec![url("/")], "hello"),
        (vec![url("/"), url("/pieces")], "helloonetwothree"),
        (vec!["--http1.0".to_owned(), url("/pieces")], "onetwothree"),
        (vec!["-d".to_owned(), "some=form".to_owned(), url("/echo")], "some=form"),
        (vec!["--data-binary".to_owned(), upload.clone(), url("/echo")], &large),
        (
            vec![
                "-H".to_owned(),
                "Expect: 100-continue".to_owned(),
                "--data-binary".to_owned(),
                upload.clone(),
                url("/stream"),
            ],
            &large,
        ),
        (
            vec![
                "-H".to_owned(),
                "Transfer-Encoding: chunked".to_owned(),
                "--data-binary".to_owned(),
                upload.clone(),
                url("/stream"),
            ],
            &large,
        ),
        (
            vec![
                "-w".to_owned(),
                "%{http_code}".to_owned(),
                "--data-binary".to_owned(),
                upload,
                url("/unread"),
            ],
            "no413",
        ),
        (vec!["-w".to_owned(), "%{http_code}".to_owned(), url("/204")], "204"),
        (
            vec![
                "-I".to_owned(),
                "-o".to_owned(),
                "/dev/null".to_owned(),
                "-w".to_owned(),
                "%{http_code}".to_owned(),
                url("/large"),
            ],
            "200",
        ),
        (vec![url("/breaks")], "one[Some(18)]"), // CURLE_PARTIAL_FILE
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert!(curl(&arguments) == expected, "{arguments:?}: {}", curl(&arguments));
    }
    std::fs::remove_file(file).unwrap();
}
