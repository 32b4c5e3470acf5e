//! Bodies: each refusal beside its accepted twin.

use bytes::{Bytes, BytesMut};
use portcullis_net::http1::body::{EXTENSIONS_BYTES_MAX, TRAILERS_BYTES_MAX};
use portcullis_net::http1::{DecodeFault, Decoded, Decoder, RequestFraming, ResponseFraming, encode};
use proptest::prelude::*;

use crate::soak;

/// The body and what is left behind it; a body that wants more at the end of the input is told that there is none.
fn decode(mut decoder: Decoder, pieces: &[&[u8]]) -> Result<(Vec<u8>, usize), DecodeFault> {
    let mut input = BytesMut::new();
    let mut body = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Decoded::Data(data) = decoder.decode(&mut input)? {
            assert!(!data.is_empty());
            body.extend_from_slice(&data);
        }
    }
    decoder.end_of_input()?;
    assert!(decoder.is_ended());
    Ok((body, input.len()))
}

/// A body and how many bytes are left behind it.
type Read = Result<(String, usize), DecodeFault>;

fn chunked(text: &str) -> Read {
    let whole = decode(Decoder::request(RequestFraming::Chunked), &[text.as_bytes()]);
    let bytes: Vec<_> = text.as_bytes().chunks(1).collect();
    assert_eq!(
        whole,
        decode(Decoder::response(ResponseFraming::Chunked), &bytes),
        "byte by byte: {text:?}"
    );
    whole.map(|(body, rest)| (String::from_utf8(body).unwrap(), rest))
}

#[test]
fn chunks_are_accepted_or_refused_for_the_right_reason() {
    use DecodeFault::{ChunkEnd, ChunkExtension, ChunkSize, Trailers, Truncated};
    let ok = |text: &str| Ok((text.to_owned(), 0));
    let cases: &[(&str, Read)] = &[
        ("0\r\n\r\n", ok("")),
        ("5\r\nhello\r\n0\r\n\r\n", ok("hello")),
        ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", ok("hello world")),
        ("0\r\n\r\nGET /", Ok((String::new(), 5))),
        (
            "a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n",
            ok("01234567890123456789"),
        ),
        ("0000000000000005\r\nhello\r\n0\r\n\r\n", ok("hello")),
        ("00000000000000005\r\nhello\r\n0\r\n\r\n", Err(ChunkSize)),
        ("10000000000000000\r\n", Err(ChunkSize)),
        ("+5\r\nhello\r\n0\r\n\r\n", Err(ChunkSize)),
        ("-5\r\nhello\r\n0\r\n\r\n", Err(ChunkSize)),
        ("0x5\r\nhello\r\n0\r\n\r\n", Err(ChunkSize)),
        (" 5\r\nhello\r\n0\r\n\r\n", Err(ChunkSize)),
        ("5 \r\nhello\r\n0\r\n\r\n", Err(ChunkSize)),
        ("5 ;a\r\nhello\r\n0\r\n\r\n", Err(ChunkSize)),
        ("\r\n", Err(ChunkSize)),
        (";a\r\n", Err(ChunkSize)),
        ("g\r\n", Err(ChunkSize)),
        ("5\nhello\r\n0\r\n\r\n", Err(ChunkSize)),
        ("5\rhello\r\n0\r\n\r\n", Err(ChunkSize)),
        ("5\r\nhello0\r\n\r\n", Err(ChunkEnd)),
        ("5\r\nhello\n0\r\n\r\n", Err(ChunkEnd)),
        ("4\r\nhello\r\n0\r\n\r\n", Err(ChunkEnd)),
        ("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", ok("hello")),
        ("5;a\nhello\r\n0\r\n\r\n", Err(ChunkExtension)),
        ("5;a\r\r\nhello\r\n0\r\n\r\n", Err(ChunkExtension)),
        ("5;\0\r\nhello\r\n0\r\n\r\n", Err(ChunkExtension)),
        ("0\r\nA: b\r\nC:\r\n\r\n", ok("")),
        ("0\r\nA : b\r\n\r\n", Err(Trailers)),
        ("0\r\nA: b\r\n c\r\n\r\n", Err(Trailers)),
        ("0\r\nA: b\n\r\n", Err(Trailers)),
        ("0\r\nA: \0\r\n\r\n", Err(Trailers)),
        ("0\r\nA\r\n\r\n", Err(Trailers)),
        ("0\r\n\n", Err(Trailers)),
        ("", Err(Truncated)),
        ("5\r\nhell", Err(Truncated)),
        ("5\r\nhello\r\n", Err(Truncated)),
        ("5\r\nhello\r\n0\r\n", Err(Truncated)),
        ("5\r\nhello\r\n0\r\n\r", Err(Truncated)),
    ];
    for (text, expected) in cases {
        assert_eq!(&chunked(text), expected, "{text:?}");
    }
}

#[test]
fn what_is_ignored_in_chunks_is_bounded() {
    let extension = |length: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(length - 1));
    assert_eq!(chunked(&extension(256)), Ok(("x".into(), 0)));
    assert_eq!(chunked(&extension(257)), Err(DecodeFault::ChunkExtension));

    let many = |count: usize| format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "a".repeat(127)).repeat(count));
    let most = EXTENSIONS_BYTES_MAX / 128;
    assert_eq!(chunked(&many(most)), Ok(("x".repeat(most), 0)));
    assert_eq!(chunked(&many(most + 1)), Err(DecodeFault::ChunkExtension));

    let trailer = |length: usize| format!("0\r\nA:{}\r\n\r\n", "b".repeat(length - 6));
    assert_eq!(chunked(&trailer(TRAILERS_BYTES_MAX)), Ok((String::new(), 0)));
    assert_eq!(chunked(&trailer(TRAILERS_BYTES_MAX + 1)), Err(DecodeFault::Trailers));

    let trailers = |count: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(chunked(&trailers(100)), Ok((String::new(), 0)));
    assert_eq!(chunked(&trailers(101)), Err(DecodeFault::Trailers));
}

#[test]
fn lengths_and_closing() {
    let five = || Decoder::response(ResponseFraming::Length(5));
    assert_eq!(decode(five(), &[b"hello"]), Ok((b"hello".to_vec(), 0)));
    assert_eq!(decode(five(), &[b"he", b"llo!"]), Ok((b"hello".to_vec(), 1)));
    assert_eq!(decode(five(), &[b"hell"]), Err(DecodeFault::Truncated));
    assert_eq!(
        decode(Decoder::response(ResponseFraming::UntilClose), &[b"he", b"llo"]),
        Ok((b"hello".to_vec(), 0))
    );
    assert_eq!(
        decode(Decoder::response(ResponseFraming::None), &[b"hello"]),
        Ok((Vec::new(), 5))
    );
    assert_eq!(
        decode(Decoder::request(RequestFraming::Length(0)), &[b"x"]),
        Ok((Vec::new(), 1))
    );
    assert_eq!(
        decode(Decoder::request(RequestFraming::None), &[b"x"]),
        Ok((Vec::new(), 1))
    );
}

#[test]
fn the_end_is_seen_with_the_last_data_but_nothing_is_skipped() {
    let mut decoder = Decoder::response(ResponseFraming::Chunked);
    let mut input = BytesMut::from("1\r\nx\r\n1\r\ny\r\n0\r\n\r\n");
    assert_eq!(decoder.decode(&mut input), Ok(Decoded::Data(Bytes::from_static(b"x"))));
    assert_eq!((decoder.settle(&mut input), decoder.is_ended()), (Ok(true), false));
    assert_eq!(decoder.decode(&mut input), Ok(Decoded::Data(Bytes::from_static(b"y"))));
    assert_eq!((decoder.settle(&mut input), decoder.is_ended()), (Ok(true), true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128 * soak()))]

    #[test]
    fn what_is_written_in_chunks_is_read_back_however_it_is_split(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8),
        step in 1_usize..50,
    ) {
        let mut wire = Vec::new();
        for piece in &pieces {
            encode::chunk_start(&mut wire, piece.len());
            wire.extend_from_slice(piece);
            encode::chunk_end(&mut wire);
        }
        wire.extend_from_slice(encode::LAST_CHUNK);
        let split: Vec<_> = wire.chunks(step).collect();
        prop_assert_eq!(decode(Decoder::request(RequestFraming::Chunked), &split), Ok((pieces.concat(), 0)));
    }
}

#[test]
fn numbers_are_written_as_they_are() {
    for (number, chunk, length) in [
        (1, "1\r\n", "content-length: 1\r\n"),
        (10, "A\r\n", "content-length: 10\r\n"),
        (
            usize::MAX,
            "FFFFFFFFFFFFFFFF\r\n",
            "content-length: 18446744073709551615\r\n",
        ),
    ] {
        let mut output = Vec::new();
        encode::chunk_start(&mut output, number);
        assert_eq!(output, chunk.as_bytes());
        output.clear();
        encode::content_length(&mut output, number as u64);
        assert_eq!(output, length.as_bytes());
    }
    let mut output = Vec::new();
    encode::content_length(&mut output, 0);
    assert_eq!(output, b"content-length: 0\r\n");
}
