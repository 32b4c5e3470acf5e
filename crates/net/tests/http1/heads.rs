//! Heads: each refusal beside its accepted twin.

use bytes::BytesMut;
use http::{Method, StatusCode, Version};
use portcullis_net::http1::{HeadFault, HeadLimits, HeadReader};

const LIMITS: HeadLimits = HeadLimits {
    line_bytes_max: 64,
    fields_bytes_max: 4096,
};

/// Reads a request whole and byte by byte; gives what follows the head, or the fault.
fn request(text: &str) -> Result<Option<String>, HeadFault> {
    read(text, |reader, input| Ok(reader.request(input)?.is_some()))
}

fn response(text: &str) -> Result<Option<String>, HeadFault> {
    read(text, |reader, input| Ok(reader.response(input)?.is_some()))
}

fn read(
    text: &str,
    mut next: impl FnMut(&mut HeadReader, &mut BytesMut) -> Result<bool, HeadFault>,
) -> Result<Option<String>, HeadFault> {
    let mut input = BytesMut::from(text);
    let whole = next(&mut HeadReader::new(LIMITS), &mut input)
        .map(|found| found.then(|| String::from_utf8(input.to_vec()).unwrap()));
    let mut reader = HeadReader::new(LIMITS);
    let mut input = BytesMut::new();
    let mut pieces = Ok(None);
    for (index, byte) in text.bytes().enumerate() {
        input.extend_from_slice(&[byte]);
        match next(&mut reader, &mut input) {
            Ok(false) => {}
            Ok(true) => {
                pieces = Ok(Some(text[index + 1..].to_owned()));
                break;
            }
            Err(fault) => {
                pieces = Err(fault);
                break;
            }
        }
    }
    assert_eq!(whole, pieces, "byte by byte it reads differently: {text:?}");
    whole
}

#[test]
fn request_heads_are_accepted_or_refused_for_the_right_reason() {
    let ok = || Ok(Some(String::new()));
    let cases: &[(&str, Result<Option<String>, HeadFault>)] = &[
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ok()),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", Ok(Some("rest".into()))),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r", Ok(None)),
        ("", Ok(None)),
        // lines (RFC 9112 section 2.2)
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Err(HeadFault::BareLineFeed)),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Err(HeadFault::BareLineFeed)),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Err(HeadFault::BareLineFeed)),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::BareLineFeed)),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
            Err(HeadFault::FieldMalformed),
        ),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ok()),
        (
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            Err(HeadFault::LineMalformed),
        ),
        // the request line (RFC 9112 section 3)
        ("GET /\r\nHost: a\r\n\r\n", Err(HeadFault::LineMalformed)),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::LineMalformed)),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::LineMalformed)),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Err(HeadFault::LineMalformed)),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::LineMalformed)),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", ok()),
        ("PURGE / HTTP/1.1\r\nHost: a\r\n\r\n", ok()),
        ("GET / HTTP/1.0\r\n\r\n", ok()),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Err(HeadFault::VersionUnsupported)),
        ("PRI * HTTP/2.0\r\n\r\n", Err(HeadFault::VersionUnsupported)),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::VersionUnsupported)),
        // targets (RFC 9112 section 3.2)
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::TargetMalformed)),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", ok()),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::TargetMalformed)),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::TargetMalformed)),
        ("GET /a%23b HTTP/1.1\r\nHost: a\r\n\r\n", ok()),
        ("GET /ä HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadFault::TargetMalformed)),
        ("GET //a/../b HTTP/1.1\r\nHost: a\r\n\r\n", ok()), // dots are the proxy's to refuse
        (
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
            Err(HeadFault::TargetMalformed),
        ),
        ("GET http://a/ HTTP/1.1\r\nHost: A\r\n\r\n", ok()),
        (
            "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
            Err(HeadFault::HostDisagrees),
        ),
        (
            "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            Err(HeadFault::HostDisagrees),
        ),
        (
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            Err(HeadFault::TargetMalformed),
        ),
        // Host (RFC 9112 section 3.2)
        ("GET / HTTP/1.1\r\n\r\n", Err(HeadFault::HostMissing)),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            Err(HeadFault::HostRepeated),
        ),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", ok()),
        ("GET / HTTP/1.1\r\nHost: a.b-c:8080\r\n\r\n", ok()),
        ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", ok()),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", Err(HeadFault::HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", Err(HeadFault::HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Err(HeadFault::HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Err(HeadFault::HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Err(HeadFault::HostMalformed)),
        // fields (RFC 9112 section 5)
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Err(HeadFault::FieldMalformed)),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Err(HeadFault::FieldFolded)),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
            Err(HeadFault::FieldFolded),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\t\r\n\r\n",
            Err(HeadFault::FieldFolded),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
            Err(HeadFault::FieldMalformed),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n",
            Err(HeadFault::FieldMalformed),
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \tä\t\r\n\r\n", ok()),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", Err(HeadFault::FieldMalformed)),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
            Err(HeadFault::FieldMalformed),
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", ok()),
    ];
    for (text, expected) in cases {
        assert_eq!(&request(text), expected, "{text:?}");
    }
}

#[test]
fn response_heads_are_accepted_or_refused_for_the_right_reason() {
    let ok = || Ok(Some(String::new()));
    let cases: &[(&str, Result<Option<String>, HeadFault>)] = &[
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", ok()),
        ("HTTP/1.1 200 OK\r\n\r\nbody", Ok(Some("body".into()))),
        ("HTTP/1.0 200 \r\n\r\n", ok()),
        ("HTTP/1.1 200\r\n\r\n", ok()),
        ("HTTP/1.1 99 OK\r\n\r\n", Err(HeadFault::LineMalformed)),
        ("HTTP/1.1 099 OK\r\n\r\n", Err(HeadFault::LineMalformed)),
        ("HTTP/1.1 2000 OK\r\n\r\n", Err(HeadFault::LineMalformed)),
        ("HTTP/1.1 20x OK\r\n\r\n", Err(HeadFault::LineMalformed)),
        ("HTTP/2 200 OK\r\n\r\n", Err(HeadFault::VersionUnsupported)),
        ("ICY 200 OK\r\n\r\n", Err(HeadFault::VersionUnsupported)),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", Err(HeadFault::LineMalformed)),
        ("HTTP/1.1 200 OK\n\r\n", Err(HeadFault::BareLineFeed)),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Err(HeadFault::FieldFolded)),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Err(HeadFault::FieldMalformed)),
    ];
    for (text, expected) in cases {
        assert_eq!(&response(text), expected, "{text:?}");
    }
}

#[test]
fn limits_hold_to_the_byte_and_without_waiting_for_the_end() {
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 14));
    assert_eq!(request(&line(64)), Ok(Some(String::new())));
    assert_eq!(request(&line(65)), Err(HeadFault::LineTooLong));
    assert_eq!(request(&"x".repeat(65)), Ok(None)); // the last one may be a CR
    assert_eq!(request(&"x".repeat(66)), Err(HeadFault::LineTooLong));

    let field = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length - 16));
    assert_eq!(request(&field(4096)), Ok(Some(String::new())));
    assert_eq!(request(&field(4097)), Err(HeadFault::FieldsTooLarge));
    assert_eq!(request(&format!("GET / HTTP/1.1\r\n{}", "x".repeat(4096))), Ok(None));
    assert_eq!(
        request(&format!("GET / HTTP/1.1\r\n{}", "x".repeat(4097))),
        Err(HeadFault::FieldsTooLarge)
    );

    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(request(&fields(100)), Ok(Some(String::new())));
    assert_eq!(request(&fields(101)), Err(HeadFault::FieldsTooMany));
}

#[test]
fn everything_in_a_head_is_handed_on() {
    let mut input =
        BytesMut::from("PATCH /a?b=c HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one:  2 \r\n\r\nGET / HTTP/1.0\r\n\r\n");
    let mut reader = HeadReader::new(LIMITS);
    let head = reader.request(&mut input).unwrap().unwrap();
    assert_eq!(
        (head.method, head.uri.to_string(), head.version),
        (Method::PATCH, "/a?b=c".into(), Version::HTTP_11)
    );
    assert_eq!(head.headers.get_all("x-one").iter().collect::<Vec<_>>(), ["1", "2"]);
    // The reader is ready for the next one, and the head does not share the buffer's memory.
    let next = reader.request(&mut input).unwrap().unwrap();
    assert_eq!((next.method, next.version), (Method::GET, Version::HTTP_10));
    assert!(input.is_empty());

    let mut input = BytesMut::from("HTTP/1.0 404 Gone fishing\r\nA: b\r\n\r\n");
    let head = reader.response(&mut input).unwrap().unwrap();
    assert_eq!(
        (head.status, head.version, head.fields.get("a")),
        (StatusCode::NOT_FOUND, Version::HTTP_10, Some(&b"b"[..]))
    );
}
