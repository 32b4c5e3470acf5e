//! A response's head.

use http::StatusCode;

use super::head::{HeadFault, Noted, ResponseHead};
use super::line::{split_head, version};
use crate::fields::{Fields, is_value};

/// Parses a complete head.
pub(super) fn parse(head: &[u8]) -> Result<ResponseHead, HeadFault> {
    let (line, lines) = split_head(head)?;
    // The version is of eight bytes, whatever it is.
    let version = version(line.get(..8).unwrap_or(line))?;
    let status = status(&line[8..])?;
    // Mostly a few lines: their marks find room, too.
    let mut fields = Fields::with_capacity(head.len() + 64);
    let mut noted = Noted::default();
    for field in lines {
        let field = field?;
        let kind = fields.push_parsed(field.line, field.name_bytes, field.value);
        noted.note(kind, field.value);
    }
    Ok(ResponseHead {
        status,
        version,
        fields,
        noted,
    })
}

/// ` 200 OK`; the reason may be missing, and the space before it with it (RFC 9112 section 4 wants that space).
fn status(text: &[u8]) -> Result<StatusCode, HeadFault> {
    let [b' ', digits @ ..] = text else {
        return Err(HeadFault::LineMalformed);
    };
    let (code, reason) = digits.split_at_checked(3).ok_or(HeadFault::LineMalformed)?;
    if !matches!(reason, [] | [b' ', ..]) || !is_value(reason) {
        return Err(HeadFault::LineMalformed);
    }
    StatusCode::from_bytes(code).map_err(|_| HeadFault::LineMalformed)
}
