use std::{
    collections::VecDeque,
    io::Read as _,
    task::{Context, Poll},
};

use http_body::Frame;
use http_body_util::BodyExt;
use proptest::prelude::*;

use super::*;

/// A body of unknown length that comes in pieces; `None` is a pause.
struct Pieces(VecDeque<Option<Result<Bytes, BodyError>>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.0.pop_front() {
            Some(Some(piece)) => Poll::Ready(Some(piece.map(Frame::data))),
            Some(None) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

fn pieces(parts: &[&[u8]]) -> Body {
    let with_pauses = parts
        .iter()
        .flat_map(|part| [Some(Ok(Bytes::copy_from_slice(part))), None]);
    Body::stream(Pieces(with_pauses.collect()))
}

fn reply(lines: &[(&'static str, &'static str)], body: Body) -> Reply {
    let mut reply = Reply::new(StatusCode::OK, body);
    for (name, value) in lines {
        reply
            .fields
            .push(&http::HeaderName::from_static(name), &HeaderValue::from_static(value));
    }
    reply
}

fn with(bytes_min: u64, coding: Option<Coding>) -> Compression {
    Compression { bytes_min, coding }
}

fn decoded(coding: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        b"gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap(),
        b"deflate" => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut plain).unwrap(),
        other => panic!("{other:?}"),
    };
    plain
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// Applies and collects; the fields that count and the plain body.
fn outcome(compression: Compression, reply: Reply) -> (Option<&'static str>, Fields, Vec<u8>) {
    let (fields, bytes) = wait(async {
        let Reply { fields, body, .. } = compression.apply(reply).await;
        (fields, body.collect().await.unwrap().to_bytes())
    });
    match fields.get("content-encoding") {
        Some(coding @ (b"gzip" | b"deflate")) => {
            let plain = decoded(coding, &bytes);
            let name = if coding == b"gzip" { "gzip" } else { "deflate" };
            (Some(name), fields, plain)
        }
        _ => (None, fields, bytes.to_vec()),
    }
}

const GZIP: Option<Coding> = Some(Coding::Gzip);

#[test]
fn the_size_decides_whether_it_is_known_or_not() {
    for (bytes_min, length, expected) in [
        (0, 0, None),
        (0, 1, Some("gzip")),
        (10, 9, None),
        (10, 10, Some("gzip")),
        (10, 11, Some("gzip")),
        (AHEAD_BYTES_MAX, AHEAD_BYTES_MAX, Some("gzip")),
    ] {
        let plain = vec![b'a'; usize::try_from(length).unwrap()];
        for body in [
            Body::from(Bytes::from(plain.clone())),
            pieces(&[&plain[..plain.len() / 2], &plain[plain.len() / 2..]]),
        ] {
            let (coding, fields, body) = outcome(with(bytes_min, GZIP), reply(&[], body));
            assert_eq!((coding, &body), (expected, &plain), "{bytes_min} {length}");
            assert_eq!(fields.get("vary"), Some(&b"Accept-Encoding"[..]));
        }
    }
    // Beyond what is waited for, a known length is compressed and an unknown one is not.
    let plain = vec![b'a'; usize::try_from(AHEAD_BYTES_MAX).unwrap() + 2];
    let bytes_min = AHEAD_BYTES_MAX + 1;
    assert_eq!(
        outcome(with(bytes_min, GZIP), reply(&[], Bytes::from(plain.clone()).into())).0,
        Some("gzip")
    );
    let (coding, _, body) = outcome(with(bytes_min, GZIP), reply(&[], pieces(&[&plain[2..], &plain[..2]])));
    assert_eq!((coding, body), (None, plain));
}

#[test]
fn the_head_tells_what_became_of_the_body() {
    let plain = || Body::from(Bytes::from_static(b"aaaaaaaaaaaaaaaa"));
    let lines = [
        ("content-length", "16"),
        ("accept-ranges", "bytes"),
        ("etag", "\"x\""),
        ("vary", "Origin"),
        ("x-other", "1"),
    ];
    let (_, fields, _) = outcome(with(0, GZIP), reply(&lines, plain()));
    assert_eq!(
        String::from_utf8_lossy(&fields.to_lines()),
        "vary: Origin\r\nx-other: 1\r\nvary: Accept-Encoding\r\ncontent-encoding: gzip\r\netag: W/\"x\"\r\n"
    );
    let weak = outcome(
        with(0, GZIP),
        reply(&[("etag", "W/\"x\""), ("vary", "Origin, accept-encoding")], plain()),
    )
    .1;
    assert_eq!(weak.get("etag"), Some(&b"W/\"x\""[..]));
    assert_eq!(weak.get_all("vary").count(), 1);
    // Whoever wants none gets the answer as it is; a cache in between must know that others do not.
    let (coding, fields, body) = outcome(with(0, None), reply(&lines, plain()));
    assert_eq!((coding, body.len()), (None, 16));
    assert_eq!(
        (fields.get("etag"), fields.get("content-length")),
        (Some(&b"\"x\""[..]), Some(&b"16"[..]))
    );
    assert!(fields.get_all("vary").any(|name| name == b"Accept-Encoding"));
    assert_eq!(
        outcome(with(0, Some(Coding::Deflate)), reply(&[], plain())).0,
        Some("deflate")
    );
    assert_eq!(
        outcome(with(0, GZIP), reply(&[("content-encoding", "Identity")], plain())).0,
        Some("gzip")
    );
}

#[test]
fn what_must_stay_as_it_is_stays() {
    for line in [
        ("content-encoding", "br"),
        ("content-encoding", "gzip"),
        ("content-range", "bytes 0-15/16"),
        ("cache-control", "max-age=5, No-Transform"),
        ("content-digest", "sha-256=:x:"),
        ("content-type", "text/event-stream; charset=utf-8"),
    ] {
        let body = Body::from(Bytes::from_static(b"aaaaaaaaaaaaaaaa"));
        let Reply { fields, body, .. } = wait(with(0, GZIP).apply(reply(&[line], body)));
        assert_eq!((fields.iter().count(), body.length()), (1, Some(16)), "{line:?}");
    }
    for status in [
        StatusCode::PARTIAL_CONTENT,
        StatusCode::NOT_MODIFIED,
        StatusCode::NO_CONTENT,
    ] {
        let mut reply = reply(&[], Body::from(Bytes::from_static(b"aaaaaaaaaaaaaaaa")));
        reply.status = status;
        assert!(wait(with(0, GZIP).apply(reply)).fields.is_empty(), "{status}");
    }
}

#[test]
fn a_body_that_breaks_off_is_not_taken_for_whole() {
    let broken = |pieces: usize| {
        let whole = (0..pieces).map(|_| Some(Ok(Bytes::from_static(&[b'a'; 1024]))));
        let end = [Some(Err(BodyError::UpstreamBroken))];
        Body::stream(Pieces(whole.chain(end).collect()))
    };
    for (pieces, bytes_min) in [(0, 0), (1, 0), (1, 4096), (8, 4096)] {
        let error = wait(async {
            let reply = with(bytes_min, GZIP).apply(reply(&[], broken(pieces))).await;
            reply.body.collect().await.unwrap_err()
        });
        assert_eq!(error, BodyError::UpstreamBroken, "{pieces} {bytes_min}");
    }
}

#[test]
fn what_has_come_is_sent_when_the_origin_pauses() {
    wait(async {
        let reply = with(1, GZIP).apply(reply(&[], pieces(&[b"first", b"second"]))).await;
        let mut body = reply.body;
        let mut so_far = Vec::new();
        // The header alone may come first; the text comes before the second piece is asked for.
        loop {
            so_far.extend_from_slice(&next(&mut body).await.unwrap().unwrap());
            let mut plain = Vec::new();
            let _ = flate2::read::GzDecoder::new(so_far.as_slice()).read_to_end(&mut plain); // it has no end yet
            if plain == b"first" {
                break;
            }
            assert!(plain.is_empty(), "the first piece was kept until the second came");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_compressed_reads_back(
        parts in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![0u8, 1, b'a', 255]), 0..3_000), 0..6),
        is_gzip in any::<bool>(),
        bytes_min in 0u64..4_000,
    ) {
        let plain = parts.concat();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let coding = if is_gzip { Coding::Gzip } else { Coding::Deflate };
        let (found, _, body) = outcome(with(bytes_min, Some(coding)), reply(&[], pieces(&parts)));
        let is_long = plain.len() as u64 >= bytes_min.max(1);
        prop_assert_eq!(found, is_long.then_some(coding.as_str()));
        prop_assert_eq!(body, plain);
    }
}
