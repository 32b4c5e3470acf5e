//! Framing decisions: each refusal beside its accepted twin.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};
use portcullis_net::http1::framing::{self, FramingFault, RequestFraming, ResponseFraming};
use portcullis_net::http1::persistence;

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

type Fields = &'static [(&'static str, &'static str)];

const LENGTH: &str = "content-length";
const CODING: &str = "transfer-encoding";

#[test]
fn requests() {
    use FramingFault::{Ambiguous, CodingTooNew, CodingUnsupported, LengthMalformed, LengthRepeated};
    use RequestFraming::{Chunked, Length};
    let new = Version::HTTP_11;
    let old = Version::HTTP_10;
    let cases: &[(Version, Fields, Result<RequestFraming, FramingFault>)] = &[
        (new, &[], Ok(RequestFraming::None)),
        (new, &[(LENGTH, "0")], Ok(Length(0))),
        (new, &[(LENGTH, "5")], Ok(Length(5))),
        (new, &[(LENGTH, "05")], Ok(Length(5))),
        (old, &[(LENGTH, "5")], Ok(Length(5))),
        (new, &[(LENGTH, "18446744073709551615")], Ok(Length(u64::MAX))),
        (new, &[(LENGTH, "18446744073709551616")], Err(LengthMalformed)),
        (new, &[(LENGTH, "+5")], Err(LengthMalformed)),
        (new, &[(LENGTH, "-5")], Err(LengthMalformed)),
        (new, &[(LENGTH, "")], Err(LengthMalformed)),
        (new, &[(LENGTH, "5 ")], Err(LengthMalformed)),
        (new, &[(LENGTH, "0x5")], Err(LengthMalformed)),
        (new, &[(LENGTH, "5, 5")], Err(LengthMalformed)),
        (new, &[(LENGTH, "5"), (LENGTH, "5")], Err(LengthRepeated)),
        (new, &[(LENGTH, "5"), (LENGTH, "6")], Err(LengthRepeated)),
        (new, &[(CODING, "chunked")], Ok(Chunked)),
        (new, &[(CODING, "Chunked")], Ok(Chunked)),
        (old, &[(CODING, "chunked")], Err(CodingTooNew)),
        (new, &[(CODING, "chunked"), (LENGTH, "5")], Err(Ambiguous)),
        (new, &[(LENGTH, "5"), (CODING, "chunked")], Err(Ambiguous)),
        (new, &[(LENGTH, "5"), (CODING, "identity")], Err(Ambiguous)),
        (new, &[(CODING, "chunked"), (CODING, "chunked")], Err(CodingUnsupported)),
        (new, &[(CODING, "chunked, chunked")], Err(CodingUnsupported)),
        (new, &[(CODING, "gzip, chunked")], Err(CodingUnsupported)),
        (new, &[(CODING, "chunked, identity")], Err(CodingUnsupported)),
        (new, &[(CODING, "identity")], Err(CodingUnsupported)),
        (new, &[(CODING, "xchunked")], Err(CodingUnsupported)),
        (new, &[(CODING, "chunked;a=b")], Err(CodingUnsupported)),
        (new, &[(CODING, "")], Err(CodingUnsupported)),
    ];
    for (version, fields, expected) in cases {
        assert_eq!(
            &framing::request(*version, &headers(fields)),
            expected,
            "{version:?} {fields:?}"
        );
    }
}

#[test]
fn responses() {
    use ResponseFraming::{Chunked, Length, None, UntilClose};
    let cases: &[(Method, u16, Fields, Result<ResponseFraming, FramingFault>)] = &[
        (Method::GET, 200, &[(LENGTH, "5")], Ok(Length(5))),
        (Method::GET, 200, &[(CODING, "chunked")], Ok(Chunked)),
        (Method::GET, 200, &[], Ok(UntilClose)),
        (Method::GET, 204, &[], Ok(None)),
        (Method::GET, 204, &[(LENGTH, "5")], Ok(None)),
        (Method::GET, 304, &[(LENGTH, "5")], Ok(None)),
        (Method::GET, 304, &[(CODING, "chunked")], Ok(None)),
        (Method::GET, 205, &[(LENGTH, "5")], Ok(Length(5))),
        (Method::GET, 100, &[], Ok(None)),
        (Method::HEAD, 200, &[(LENGTH, "5")], Ok(None)),
        (Method::HEAD, 200, &[(CODING, "chunked")], Ok(None)),
        (Method::POST, 200, &[(LENGTH, "5")], Ok(Length(5))),
        (
            Method::GET,
            200,
            &[(LENGTH, "5"), (CODING, "chunked")],
            Err(FramingFault::Ambiguous),
        ),
        (
            Method::GET,
            200,
            &[(LENGTH, "5"), (LENGTH, "5")],
            Err(FramingFault::LengthRepeated),
        ),
        (
            Method::HEAD,
            200,
            &[(LENGTH, "5"), (LENGTH, "5")],
            Err(FramingFault::LengthRepeated),
        ),
        (
            Method::GET,
            200,
            &[(LENGTH, "five")],
            Err(FramingFault::LengthMalformed),
        ),
        (
            Method::GET,
            200,
            &[(CODING, "gzip")],
            Err(FramingFault::CodingUnsupported),
        ),
    ];
    for (method, status, fields, expected) in cases {
        let status = StatusCode::from_u16(*status).unwrap();
        let framing = framing::response(method, status, Version::HTTP_11, &headers(fields));
        assert_eq!(&framing, expected, "{method} {status} {fields:?}");
    }
    let old = framing::response(
        &Method::GET,
        StatusCode::OK,
        Version::HTTP_10,
        &headers(&[(CODING, "chunked")]),
    );
    assert_eq!(old, Err(FramingFault::CodingTooNew));
}

#[test]
fn connections_are_kept_as_both_versions_mean_it() {
    let cases: &[(Version, &[&str], bool)] = &[
        (Version::HTTP_11, &[], true),
        (Version::HTTP_11, &["close"], false),
        (Version::HTTP_11, &["Close"], false),
        (Version::HTTP_11, &["keep-alive, CLOSE"], false),
        (Version::HTTP_11, &["upgrade", "close"], false),
        (Version::HTTP_11, &["closed"], true),
        (Version::HTTP_10, &[], false),
        (Version::HTTP_10, &["keep-alive"], true),
        (Version::HTTP_10, &["keep-alive, close"], false),
    ];
    for (version, options, expected) in cases {
        let fields: Vec<_> = options.iter().map(|option| ("connection", *option)).collect();
        assert_eq!(
            persistence::keeps_alive(*version, &headers(&fields)),
            *expected,
            "{version:?} {options:?}"
        );
    }
}
