//! A response's head.

use std::mem::MaybeUninit;

use http::StatusCode;

use super::head::{FIELDS_MAX, HeadFault, Noted, ResponseHead, head_fault, version};
use crate::fields::Fields;

/// Parses a complete head.
pub(super) fn parse(head: &[u8]) -> Result<ResponseHead, HeadFault> {
    let mut storage = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, head, &mut storage)
        .map_err(head_fault)?;
    if status != httparse::Status::Complete(head.len()) {
        return Err(HeadFault::LineMalformed); // httparse saw the head end elsewhere than we did
    }
    Ok(ResponseHead {
        status: StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(|_| HeadFault::LineMalformed)?,
        version: version(parsed.version)?,
        fields: Fields::of_parsed(head, parsed.headers),
        noted: Noted::of(parsed.headers),
    })
}
