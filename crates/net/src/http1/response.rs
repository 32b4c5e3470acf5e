//! A response's head.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::StatusCode;

use super::head::{FIELDS_MAX, HeadFault, ResponseHead, fields, head_fault, version};

/// Parses a complete head.
pub(super) fn parse(head: &Bytes) -> Result<ResponseHead, HeadFault> {
    let mut storage = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, head, &mut storage)
        .map_err(head_fault)?;
    if status != httparse::Status::Complete(head.len()) {
        return Err(HeadFault::LineMalformed); // httparse saw the head end elsewhere than we did
    }
    let (headers, noted) = fields(head, parsed.headers)?;
    Ok(ResponseHead {
        status: StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(|_| HeadFault::LineMalformed)?,
        version: version(parsed.version)?,
        headers,
        noted,
    })
}
