//! What every input of the codec must satisfy, as functions that a fuzzer or a test calls with any bytes. They panic where it does not.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};

use crate::http1::{
    DecodeFault, Decoded, Decoder, HeadFault, HeadLimits, HeadReader, Lookup, RequestFraming, ResponseFraming, encode,
    framing,
};

/// Small, so that a fuzzer reaches them.
const LIMITS: HeadLimits = HeadLimits {
    line_bytes_max: 512,
    fields_bytes_max: 2048,
};

/// A refusal, whatever its reason: of two faults another one may show first when a head comes in pieces. That a head is
/// refused, and everything about one that is accepted, must not depend on them.
#[derive(Debug, PartialEq, Eq)]
struct Refused;

/// A request's head: pieces do not matter, and what was accepted is read the same when written again.
pub fn fuzz_request_head(data: &[u8]) {
    let whole = read_whole(data, HeadReader::request);
    let pieces = read_in_pieces(data, HeadReader::request);
    assert_eq!(
        whole.as_ref().map(shape).map_err(|_| Refused),
        pieces.as_ref().map(shape).map_err(|_| Refused),
        "pieces change what is read"
    );
    let Ok(Some((head, rest))) = whole else { return };
    check_end(data, rest);
    assert!(
        head.headers.get_all(http::header::HOST).iter().count() <= 1,
        "Host is repeated"
    );
    let target = head.uri.to_string();
    let mut again = Vec::new();
    encode::request_line(&mut again, &head.method, &target);
    write_fields(&mut again, &head.headers);
    // What is written is always HTTP/1.1, which an HTTP/1.0 head without Host is not.
    if head.version == http::Version::HTTP_11 && again.len() <= 2048 && target.len() < 256 {
        let read = read_whole(&again, HeadReader::request)
            .ok()
            .flatten()
            .map(|(head, _)| head);
        let read = read.map(|read| (read.method, read.uri, read.headers));
        assert_eq!(
            read,
            Some((head.method, head.uri, head.headers.clone())),
            "written again it reads differently"
        );
    }
    if let Ok(RequestFraming::Chunked | RequestFraming::Length(_)) = framing::request(head.version, &head.headers) {
        assert_one_framing(&head.headers);
    }
}

/// A response's head: as with requests.
pub fn fuzz_response_head(data: &[u8]) {
    let whole = read_whole(data, HeadReader::response);
    let pieces = read_in_pieces(data, HeadReader::response);
    assert_eq!(
        whole.as_ref().map(shape).map_err(|_| Refused),
        pieces.as_ref().map(shape).map_err(|_| Refused),
        "pieces change what is read"
    );
    let Ok(Some((head, rest))) = whole else { return };
    check_end(data, rest);
    let mut again = Vec::new();
    encode::status_line(&mut again, head.version, head.status);
    again.extend_from_slice(&head.fields.to_lines());
    encode::end_of_head(&mut again);
    if again.len() <= 2048 {
        let read = read_whole(&again, HeadReader::response)
            .ok()
            .flatten()
            .map(|(head, _)| head);
        let read = read.map(|read| (read.status, read.version, read.fields.to_map()));
        assert_eq!(
            read,
            Some((head.status, head.version, head.fields.to_map())),
            "written again it reads differently"
        );
    }
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(
            framing::of_response(&method, &head).map(|(framing, _)| framing),
            framing::response(&method, head.status, head.version, &head.fields),
            "what was noted of the fields says another framing than they do"
        );
    }
    if let Ok(ResponseFraming::Chunked | ResponseFraming::Length(_)) =
        framing::response(&Method::GET, head.status, head.version, &head.fields)
    {
        assert_one_framing(&head.fields);
    }
}

/// A chunked body: pieces do not matter, no more comes out than went in, and what came out is read back when written as one chunk.
pub fn fuzz_chunked(data: &[u8]) {
    let whole = decode_whole(data);
    for step in [1, 2, 7] {
        assert_eq!(
            whole,
            decode_in_pieces(data, step),
            "pieces of {step} change what is read"
        );
    }
    let Ok(Some((body, rest))) = whole else { return };
    assert!(body.len() + rest < data.len(), "more came out than went in");
    let mut again = Vec::new();
    if !body.is_empty() {
        encode::chunk_start(&mut again, body.len());
        again.extend_from_slice(&body);
        encode::chunk_end(&mut again);
    }
    again.extend_from_slice(encode::LAST_CHUNK);
    assert_eq!(
        decode_whole(&again),
        Ok(Some((body, 0))),
        "written again it reads differently"
    );
}

// === heads ===

type Read<T> = Result<Option<(T, usize)>, HeadFault>;
type ReadHead<T> = fn(&mut HeadReader, &mut BytesMut) -> Result<Option<T>, HeadFault>;

/// The head and how many bytes are left behind it.
fn read_whole<T>(data: &[u8], read: ReadHead<T>) -> Read<T> {
    let mut input = BytesMut::from(data);
    let head = read(&mut HeadReader::new(LIMITS), &mut input)?;
    Ok(head.map(|head| (head, input.len())))
}

fn read_in_pieces<T>(data: &[u8], read: ReadHead<T>) -> Read<T> {
    let mut reader = HeadReader::new(LIMITS);
    let mut input = BytesMut::new();
    for (index, byte) in data.iter().enumerate() {
        input.extend_from_slice(&[*byte]);
        if let Some(head) = read(&mut reader, &mut input)? {
            return Ok(Some((head, data.len() - index - 1 + input.len())));
        }
    }
    Ok(None)
}

/// What can be compared of a head.
fn shape<T: std::fmt::Debug>(read: &Option<(T, usize)>) -> Option<(String, usize)> {
    read.as_ref().map(|(head, rest)| (format!("{head:?}"), *rest))
}

fn check_end(data: &[u8], rest: usize) {
    let head = &data[..data.len() - rest];
    assert!(head.ends_with(b"\r\n\r\n"), "the head does not end with an empty line");
    let feeds = head.iter().filter(|byte| **byte == b'\n').count();
    let breaks = head.windows(2).filter(|pair| pair == b"\r\n").count();
    let returns = head.iter().filter(|byte| **byte == b'\r').count();
    assert!(feeds == breaks && returns == breaks, "a bare CR or LF was accepted");
}

fn write_fields(output: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        encode::field(output, name, value);
    }
    encode::end_of_head(output);
}

fn assert_one_framing(headers: &impl Lookup) {
    let lengths = headers.values(&http::header::CONTENT_LENGTH).count();
    let codings = headers.values(&http::header::TRANSFER_ENCODING).count();
    assert_eq!(lengths + codings, 1, "two framings were accepted");
}

// === chunked bodies ===

type DecodedBody = Result<Option<(Bytes, usize)>, DecodeFault>;

fn decode_whole(data: &[u8]) -> DecodedBody {
    decode_in_pieces(data, data.len().max(1))
}

fn decode_in_pieces(data: &[u8], step: usize) -> DecodedBody {
    let mut decoder = Decoder::request(RequestFraming::Chunked);
    let mut input = BytesMut::new();
    let mut body = BytesMut::new();
    let mut taken = 0;
    for piece in data.chunks(step) {
        input.extend_from_slice(piece);
        taken += piece.len();
        loop {
            match decoder.decode(&mut input)? {
                Decoded::Data(data) => body.extend_from_slice(&data),
                Decoded::End => return Ok(Some((body.freeze(), data.len() - taken + input.len()))),
                Decoded::NeedMore => break,
            }
        }
    }
    Ok(None)
}

/// Any bytes as a certificate: what is read of it can stand in one line of a log, and says the same twice.
pub fn fuzz_certificate(data: &[u8]) {
    use crate::tls::{Certificate, RevocationList, read_pem};

    let der = rustls::pki_types::CertificateDer::from(data.to_vec());
    if let Ok(certificate) = Certificate::read(&der) {
        for text in [&certificate.subject, &certificate.issuer, &certificate.serial_number] {
            assert!(!text.contains(char::is_control), "{text:?}");
        }
        assert_eq!(Certificate::read(&der).as_ref(), Ok(&certificate));
    }
    let _ = RevocationList::read(data);
    let _ = read_pem(data);
}
