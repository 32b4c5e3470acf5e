use proptest::prelude::*;

use super::*;

fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn body_v4() -> Vec<u8> {
    vec![192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb]
}

fn body_v6(source: [u8; 16]) -> Vec<u8> {
    let mut body = source.to_vec();
    body.extend(Ipv6Addr::LOCALHOST.octets());
    body.extend([0, 80, 0x01, 0xbb]);
    body
}

fn proxied_v4() -> ProxyHeader {
    ProxyHeader::Proxied {
        source: "192.0.2.7:4711".parse().unwrap(),
        destination: "10.0.0.1:443".parse().unwrap(),
    }
}

fn check(bytes: &[u8], expected: Result<ProxyHeader, ProxyHeaderFault>) {
    let read = parse(bytes).map(|read| read.map(|(header, length)| (header, length == bytes.len())));
    assert_eq!(read, expected.map(|header| Some((header, true))), "{bytes:02x?}");
    fuzz_proxy_header(bytes);
}

#[test]
fn reads_what_the_specification_says() {
    let with_extensions: Vec<u8> = [body_v4(), vec![0x04, 0, 3, b'a', b'b', b'c']].concat();
    let longest: Vec<u8> = [body_v4(), vec![0; HEADER_BYTES_MAX - FIXED_BYTES - 12]].concat();
    let v6 = |source: &str| ProxyHeader::Proxied {
        source: SocketAddr::new(source.parse().unwrap(), 80),
        destination: "[::1]:443".parse().unwrap(),
    };
    for (bytes, expected) in [
        (header(0x21, 0x11, &body_v4()), proxied_v4()),
        (header(0x21, 0x11, &with_extensions), proxied_v4()),
        (header(0x21, 0x11, &longest), proxied_v4()),
        (
            header(
                0x21,
                0x21,
                &body_v6("2001:db8::7".parse::<Ipv6Addr>().unwrap().octets()),
            ),
            v6("2001:db8::7"),
        ),
        (
            header(
                0x21,
                0x21,
                &body_v6("::ffff:192.0.2.7".parse::<Ipv6Addr>().unwrap().octets()),
            ),
            v6("192.0.2.7"),
        ),
        (header(0x20, 0x00, &[]), ProxyHeader::Local),
        (header(0x20, 0x11, &body_v4()), ProxyHeader::Local),
        (header(0x20, 0x31, &[1, 2, 3]), ProxyHeader::Local),
        (header(0x21, 0x00, &[9; 5]), ProxyHeader::Local),
    ] {
        check(&bytes, Ok(expected));
    }
}

#[test]
fn refuses_what_it_does_not_say() {
    let too_long = vec![0; HEADER_BYTES_MAX - FIXED_BYTES + 1];
    for (bytes, fault) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), ProxyHeaderFault::Signature),
        (
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(),
            ProxyHeaderFault::Signature,
        ),
        (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), ProxyHeaderFault::Signature),
        (header(0x11, 0x11, &body_v4()), ProxyHeaderFault::Version),
        (header(0x22, 0x11, &body_v4()), ProxyHeaderFault::Version),
        (header(0x2f, 0x11, &body_v4()), ProxyHeaderFault::Version),
        (header(0x21, 0x12, &body_v4()), ProxyHeaderFault::Family), // UDP
        (header(0x21, 0x31, &[0; 216]), ProxyHeaderFault::Family),  // Unix
        (header(0x21, 0x10, &body_v4()), ProxyHeaderFault::Family),
        (header(0x21, 0x11, &body_v4()[..11]), ProxyHeaderFault::Length),
        (header(0x21, 0x21, &body_v4()), ProxyHeaderFault::Length),
        (header(0x21, 0x11, &too_long), ProxyHeaderFault::Length),
    ] {
        check(&bytes, Err(fault));
    }
}

#[test]
fn leaves_what_follows_alone() {
    let mut bytes = header(0x21, 0x11, &body_v4());
    let length = bytes.len();
    bytes.extend(b"GET / HTTP/1.1\r\n");
    assert_eq!(parse(&bytes), Ok(Some((proxied_v4(), length))));
    for end in 0..length {
        assert_eq!(parse(&bytes[..end]), Ok(None), "{end} bytes");
    }
}

#[test]
fn the_corpus_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz-corpus/proxy_header");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        fuzz_proxy_header(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 5, "{files} files in {folder}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_header_reads_back(source: [u8; 4], port: u16, extensions in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut body = source.to_vec();
        body.extend([10, 0, 0, 1]);
        body.extend(port.to_be_bytes());
        body.extend([1, 187]);
        body.extend(extensions);
        let bytes = header(0x21, 0x11, &body);
        let expected = ProxyHeader::Proxied {
            source: SocketAddr::new(IpAddr::from(source), port),
            destination: "10.0.0.1:443".parse().unwrap(),
        };
        prop_assert_eq!(parse(&bytes), Ok(Some((expected, bytes.len()))));
        fuzz_proxy_header(&bytes);
    }

    #[test]
    fn any_mutation_is_decided_once(index in 0_usize..28, byte: u8, end in 0_usize..64) {
        let mut bytes = header(0x21, 0x21, &body_v6([7; 16]));
        bytes[index] = byte;
        bytes.truncate(end);
        fuzz_proxy_header(&bytes);
    }
}
