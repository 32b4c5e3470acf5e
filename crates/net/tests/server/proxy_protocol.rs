//! The PROXY protocol on a listener.

use std::time::Duration;

use portcullis_net::listener::ProxyProtocol;

use crate::harness::{Subject, settings, subject, subject_with};

const GET: &[u8] = b"GET /peer HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(30);
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn behind(network: &str, patience: Duration) -> Subject {
    let mut settings = settings();
    settings.proxy_protocol = ProxyProtocol::Required {
        from: vec![network.parse().unwrap()],
    };
    settings.head_timeout = patience;
    settings.connections_per_source_max = 1;
    subject_with(settings)
}

fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

fn tcp4(last_octet: u8) -> Vec<u8> {
    header(
        0x21,
        0x11,
        &[192, 0, 2, last_octet, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb],
    )
}

#[test]
fn the_client_is_who_the_load_balancer_says() {
    for at_once in [true, false] {
        let subject = behind("127.0.0.0/8", PATIENCE);
        let mut wire = subject.connect();
        let bytes = [tcp4(7), GET.to_vec()].concat();
        if at_once {
            wire.send(bytes);
        } else {
            for byte in bytes {
                wire.send([byte]);
            }
        }
        let answer = wire.rest();
        assert!(answer.ends_with("192.0.2.7|4711|198.51.100.1:443|false"), "{answer}");
    }
    let subject = behind("127.0.0.0/8", PATIENCE);
    let answer = subject.talk([header(0x20, 0, &[]), GET.to_vec()].concat());
    assert!(
        answer.contains("\r\n\r\n127.0.0.1|"),
        "a health check speaks for itself: {answer}"
    );
}

#[test]
fn what_is_no_header_is_closed_without_an_answer() {
    for (network, bytes) in [
        ("127.0.0.0/8", GET.to_vec()),
        ("127.0.0.0/8", b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec()),
        ("127.0.0.0/8", header(0x21, 0x12, &[0; 12])),
        ("127.0.0.0/8", tcp4(7)[..20].to_vec()), // and no more in time
        ("10.0.0.0/8", tcp4(7)),                 // not from there
    ] {
        let is_complete = bytes.len() != 20;
        let (patience, behind_it) = if is_complete {
            (PATIENCE, GET)
        } else {
            (Duration::from_millis(50), &b""[..])
        };
        let subject = behind(network, patience);
        let answer = subject.talk([&bytes, behind_it].concat());
        assert!(matches!(answer.as_str(), "" | " RESET"), "{bytes:?}: {answer}");
        assert_eq!(subject.calls(), [""; 0], "{bytes:?}");
        assert_eq!(subject.server.stats().refused_proxy_header(), 1, "{bytes:?}");
    }
}

#[test]
fn a_header_is_malformed_where_none_is_expected() {
    let subject = subject();
    let answer = subject.talk([tcp4(7), GET.to_vec()].concat());
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(subject.calls().iter().all(|call| call.starts_with("fault: ")));
}

#[test]
fn the_limit_of_a_source_is_the_clients() {
    let subject = behind("127.0.0.0/8", PATIENCE);
    let mut first = subject.connect();
    first.send([tcp4(7), b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()].concat());
    subject.waiting.recv().unwrap();
    let again = subject.talk([tcp4(7), GET.to_vec()].concat());
    assert!(matches!(again.as_str(), "" | " RESET"), "{again}");
    assert_eq!(subject.server.stats().refused_source(), 1);
    let another = subject.talk([tcp4(8), GET.to_vec()].concat());
    assert!(another.contains("192.0.2.8|"), "{another}");
    subject.gate.add_permits(1);
    first.end();
    assert!(first.rest().ends_with("waited"));
}
