//! The gateway rotates its own access log under load: every line is in one file, whole.

use portcullis_testkit::Origin;

use crate::support::{Setup, ok};

#[test]
fn no_line_is_lost_or_split_by_rotation() {
    // Long lines, so that a mebibyte is full soon.
    let origin = Origin::answering(ok(""));
    let padding = "x".repeat(2_900);
    let running = Setup::open(origin.address())
        .in_config(
            "destination = \"stdout\", format = \"clf\"",
            &format!(
                "destination = \"file:access.log\", format = \"$context.requestId {padding} $context.status\", \
                 rotate = {{ size_mb_max = 1, every = \"day\", keep = 5 }}"
            ),
        )
        .start();
    let url = format!("{}[1-1000]", running.gateway.url("/x"));
    let answer = running.place.shell(&format!(
        "curl -s -o /dev/null -w '%{{http_code}}\\n' '{url}' | sort | uniq -c"
    ));
    assert_eq!(
        answer.out.split_whitespace().collect::<Vec<_>>(),
        ["1000", "200"],
        "{answer:?}"
    );
    let place = running.stop_in_place();
    let mut files = 0;
    let mut ids = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(place.path("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with("access.log") {
            continue;
        }
        files += 1;
        for line in place.read(&name).lines() {
            let (id, rest) = line.split_once(' ').unwrap();
            assert_eq!(rest, format!("{padding} 200"));
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
        }
    }
    assert!(files >= 2, "{files} files");
    assert_eq!(ids.len(), 1_000);
}

#[test]
fn slips_are_named() {
    let check = |from: &str, to: &str, expected: &str| {
        let place = Setup::open("127.0.0.1:9").in_config(from, to).written();
        place
            .run(&["check", "--config", "portcullis.toml"])
            .expect(1, "", expected);
    };
    let access_log = "access_log = { destination = \"stdout\", format = \"clf\" }";
    let file = |rotate: &str| format!("access_log = {{ destination = \"file:a.log\", rotate = {rotate} }}");
    check(
        access_log,
        "access_log = { rotate = { every = \"day\" } }",
        "only a file can be rotated",
    );
    check(access_log, &file("{ }"), "nothing says when the file is rotated");
    check(access_log, &file("{ every = \"week\" }"), "that is no period");
    check(
        access_log,
        &file("{ every = \"day\", keep = 0 }"),
        "is 0, which is not between 1 and 10000",
    );
    check(
        access_log,
        &format!(
            "{}\n[[apis.stages]]\nname = \"B\"\naccess_log = {{ destination = \"file:a.log\" }}",
            file("{ every = \"day\" }")
        ),
        "is rotated in two ways",
    );
    check(
        access_log,
        "execution_log = { level = \"DEBUG\" }",
        "`DEBUG` is no level",
    );
    check(
        access_log,
        "execution_log = { level = \"INFO\", data_trace = true }",
        "`apis.stages.execution_log.data_trace` is unknown",
    );
}
