//! What happened to a request, line by line, and what no line says.

use portcullis_testkit::{Origin, Stream, Wire};

use crate::support::{ORIGIN_KEY, SECRET, Setup, ok, poll};

/// The events of one request, without their beginnings.
fn events(lines: &[String]) -> Vec<String> {
    let id = lines[0]
        .split_once('(')
        .unwrap()
        .1
        .split_once(')')
        .unwrap()
        .0
        .to_owned();
    assert!(
        lines.iter().all(|line| line.contains(&format!(" proxy/TEST ({id}) "))),
        "{lines:?}"
    );
    lines
        .iter()
        .map(|line| line.split_once(") ").unwrap().1.to_owned())
        .collect()
}

#[test]
fn a_request_is_told_in_amazon_s_words_and_its_secrets_are_not() {
    let origin =
        Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: sid=hush-4\r\nX-Kind: plain\r\n\r\n{}");
    let running = Setup::new(origin.address())
        .in_config(
            "access_log = {",
            "execution_log = { level = \"INFO\", destination = \"file:execution.log\" }\naccess_log = {",
        )
        .start();
    let token = running.place.token("env:APPROOV_SECRET", "1h");
    let headers = [
        "-H",
        "Authorization: Basic hush-1",
        "-H",
        "Cookie: a=hush-2",
        "-H",
        "X-Note: seen",
    ];
    let token_header = format!("Approov-Token: {token}");
    let answer = running.call(
        "/pets?page=2&api_key=hush-3",
        &[&headers[..], &["-H", &token_header]].concat(),
    );
    assert_eq!(answer.status, 200);
    running.gateway.wait_for_access_log(1);
    assert_eq!(running.call("/refused", &[]).status, 401);
    running.gateway.wait_for_access_log(2);
    let place = running.stop_in_place();
    let log = place.read("execution.log");
    for secret in ["hush", &token, SECRET, ORIGIN_KEY, &token[..20]] {
        assert!(!log.contains(secret), "`{secret}` in {log}");
    }
    let lines: Vec<String> = log.lines().map(str::to_owned).collect();
    let end = lines.iter().position(|line| line.contains("Method completed")).unwrap() + 1;
    let told = events(&lines[..end]);
    let expected = [
        "Extended Request Id: ",
        "Starting execution for request: ",
        "HTTP Method: GET, Resource Path: /{proxy+}",
        "Method request path: {proxy=pets}",
        "Method request query string: {page=2, api_key=****** (6 bytes)}",
        "Method request headers: {",
        "Using valid authorizer policy for principal: *****",
        &format!(
            "Endpoint request URI: http://{}/pets with {{page=2, api_key=****** (6 bytes)}}",
            origin.address()
        ),
        "Endpoint request headers: {",
        &format!("Sending request to http://{}/pets", origin.address()),
        "Received response. Status: 200, Integration latency: ",
        "Endpoint response headers: {",
        "Method response body: 2 bytes",
        "Successfully completed execution",
        "Method completed with status: 200",
    ];
    for (index, begin) in expected.iter().enumerate() {
        assert!(told[index].starts_with(begin), "{index}: {begin} in {told:#?}");
    }
    assert_eq!(told.len(), expected.len());
    assert!(
        told[5].contains("x-note=seen") && told[5].contains("authorization=****** (12 bytes)"),
        "{told:#?}"
    );
    assert!(told[8].contains("apikey=****** ("), "{told:#?}");
    assert!(
        told[11].contains("x-kind=plain") && told[11].contains("set-cookie=****** (10 bytes)"),
        "{told:#?}"
    );

    let refused = events(&lines[end..]);
    let failed = refused
        .iter()
        .find(|event| event.starts_with("Execution failed at authenticate: "))
        .unwrap();
    assert!(!failed.ends_with(": "), "{failed}");
    assert!(
        refused.contains(&"Gateway response type: UNAUTHORIZED with status code: 401".to_owned()),
        "{refused:#?}"
    );
    assert_eq!(refused.last().unwrap(), "Method completed with status: 401");
}

#[test]
fn a_running_gateway_is_asked_for_some_time() {
    let origin = Origin::answering(ok(""));
    let running = Setup::new(origin.address()).start();
    assert_eq!(running.call("/before", &[]).status, 401);
    running.gateway.wait_for_access_log(1);
    let ask = |arguments: &[&str]| running.place.run(&[&["execution-log"], arguments].concat());
    ask(&["proxy/PROD"]).expect(1, "", "there is no stage `proxy/PROD`");
    ask(&["proxy"]).expect(2, "", "write the API's id and the stage's name");
    ask(&["proxy/TEST", "--seconds", "0"]).expect(2, "", "0 is not in 1..=3600");
    ask(&["proxy/TEST", "--level", "ERROR"]).expect(0, "of proxy/TEST is on standard error for 60 s", "");
    assert_eq!(running.call("/refused", &[]).status, 401);
    let line = running
        .gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.contains("proxy/TEST ("));
    assert!(
        line.contains("Execution failed at authenticate: "),
        "the first line of level ERROR: {line}"
    );
    ask(&["proxy/TEST", "--seconds", "1"]).expect(0, "for 1 s", "");
    running.call("/refused", &[]);
    running
        .gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.contains("HTTP Method: GET"));
    running.stop();
}

#[test]
fn what_cannot_be_read_is_told_a_few_times_a_second() {
    let running = Setup::open("127.0.0.1:9").start();
    for _ in 0..30 {
        let mut wire = Wire::connect(running.gateway.address());
        wire.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
        assert_eq!(wire.read_answer().status, 400);
    }
    let ended = running.stop();
    let told = ended
        .stderr
        .lines()
        .filter(|line| line.contains("a request could not be read"));
    let told: Vec<_> = told.collect();
    assert!((1..30).contains(&told.len()), "{told:#?}");
    assert!(
        told[0].contains("client=127.0.0.1") && told[0].contains("Host is given more than once"),
        "{told:#?}"
    );
}

#[test]
fn it_is_written_while_the_gateway_runs_also_where_no_access_log_goes() {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address())
        .in_config(
            "access_log = {",
            "execution_log = { level = \"INFO\", destination = \"file:execution.log\" }\naccess_log = {",
        )
        .start();
    let completed = || running.place.read("execution.log").matches("Method completed").count();
    assert_eq!(running.call("/pets", &[]).status, 200);
    poll(completed, |count| *count == 1);
    // Logs that nobody writes to are closed twice a second, and before a reload is said to be done.
    let config = running.place.read("portcullis.toml");
    running.place.write("portcullis.toml", format!("{config}\n# changed\n"));
    running
        .gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.contains("reloaded"));
    assert_eq!(running.call("/pets", &[]).status, 200);
    poll(completed, |count| *count == 2);
    running.stop();
}
