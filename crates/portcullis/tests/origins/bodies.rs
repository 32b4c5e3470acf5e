//! Bodies: large ones streamed, coded ones untouched, and answers without any.

use std::thread;

use portcullis_testkit::{Nginx, Origin, Wire, curl};

use crate::support::{Setup, ok};

const MIB: usize = 1024 * 1024;
/// The whole process may never have used more, in KiB; each test below moves several times as much at once.
const MEMORY_KIB_MAX: u64 = 60 * 1024;

/// Bytes that tell where they stand.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position % 251) as u8).collect()
}

#[test]
fn large_downloads_are_streamed() {
    const SIZE: usize = 50 * MIB;
    let content = pattern(SIZE);
    let nginx = Nginx::serving("/large.bin", content.clone()).start();
    let running = Setup::open(nginx.address()).start();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut wire = Wire::connect(running.gateway.address());
                let head = wire.send("GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n").read_head();
                assert!(head.contains(&format!("content-length: {SIZE}\r\n")), "{head}");
                for expected in content.chunks(MIB) {
                    assert!(wire.read_exact(expected.len()) == expected, "the body is another");
                }
            });
        }
    });
    let used = running.memory_kib();
    assert!(used < MEMORY_KIB_MAX, "{used} KiB");
    running.stop();
}

#[test]
fn large_uploads_are_streamed() {
    const SIZE: usize = 9 * MIB;
    let origin = Origin::answering(ok("thanks"));
    let running = Setup::open(origin.address()).start();
    let content = pattern(SIZE);
    running.place.write("upload", &content);
    let data = format!("@{}", running.place.path("upload").display());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let arguments = ["--data-binary", &data, "-H", "Content-Type: application/octet-stream"];
                assert_eq!(running.call("/upload", &arguments).text(), "thanks");
            });
        }
    });
    let requests = origin.requests();
    assert_eq!(requests.len(), 8);
    assert!(
        requests.iter().all(|request| request.body == content),
        "a body is another"
    );
    assert_eq!(requests[0].header("content-length"), Some(&*SIZE.to_string()));
    let used = running.memory_kib();
    assert!(used < MEMORY_KIB_MAX, "{used} KiB");
    running.stop();
}

#[test]
fn coded_bodies_are_intact() {
    let text = "Hello from the origin. ".repeat(1_000);
    let nginx = Nginx::serving("/text.txt", text.clone())
        .with("gzip on; gzip_types text/plain; gzip_min_length 1;")
        .start();
    let running = Setup::open(nginx.address()).start();
    let direct = format!("http://{}/text.txt", nginx.address());
    let coded = ["-H", "Accept-Encoding: gzip"];
    let answer = running.call("/text.txt", &coded);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.body[..2], [0x1f, 0x8b]);
    assert!(answer.body.len() < text.len() / 10);
    assert_eq!(
        answer.body,
        curl(&[&coded[..], &[&direct]].concat()).body,
        "byte for byte"
    );
    assert_eq!(running.call("/text.txt", &["--compressed"]).text(), text);
    let plain = running.call("/text.txt", &[]);
    assert_eq!((plain.text(), plain.header("content-encoding")), (&*text, None));
    // A part of it is a part of it.
    let part = running.call("/text.txt", &["--range", "6-9"]);
    assert_eq!((part.status, part.text()), (206, "from"));
    assert_eq!(part.header("content-range"), Some("bytes 6-9/23000"));
    running.stop();
}

#[test]
fn answers_without_a_body_end_where_they_end() {
    let nginx = Nginx::serving("/text.txt", "hello")
        .with("location /empty { return 204; }")
        .start();
    let running = Setup::open(nginx.address()).start();
    let etag = running.call("/text.txt", &[]).header("etag").unwrap().to_owned();
    // All on one connection: an answer with a byte too many or too few would shift those behind it.
    let mut wire = Wire::connect(running.gateway.address());
    let mut head = |method: &str, path: &str, fields: &str| {
        wire.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
        let head = wire.read_head().to_lowercase();
        let body = if method == "GET" && head.starts_with("http/1.1 200 ") {
            wire.read_exact(5)
        } else {
            Vec::new()
        };
        (head, body)
    };
    let get = head("GET", "/text.txt", "");
    assert_eq!(get.1, b"hello");
    let (answer, _) = head("HEAD", "/text.txt", "");
    assert!(answer.starts_with("http/1.1 200 ok\r\n"), "{answer}");
    assert!(
        answer.contains("content-length: 5\r\n") && answer.contains(&format!("etag: {etag}\r\n")),
        "{answer}"
    );
    let (answer, _) = head("GET", "/empty", "");
    assert!(answer.starts_with("http/1.1 204 "), "{answer}");
    assert!(
        !answer.contains("content-length") && !answer.contains("transfer-encoding"),
        "{answer}"
    );
    let (answer, _) = head("GET", "/text.txt", &format!("If-None-Match: {etag}\r\n"));
    assert!(answer.starts_with("http/1.1 304 "), "{answer}");
    assert!(answer.contains(&format!("etag: {etag}\r\n")), "{answer}");
    let (answer, _) = head("HEAD", "/absent", "");
    assert!(answer.starts_with("http/1.1 404 "), "{answer}");
    assert_eq!(head("GET", "/text.txt", "").1, b"hello");
    drop(wire);
    running.stop();
}
