//! The fields of the request towards the origin: the caller's, the gateway's own, the mapped ones.
//!
//! They are written down in one pass. Only those that a mapping changes in a way that depends on the request go through a
//! map, where mappings are applied one after the other.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use portcullis_model::snapshot::{ApiKind, Stage};
use portcullis_net::{server::Peer, upstream::FieldLines};
use portcullis_template::mapping::Target;

use super::{
    headers::{self, Fate, Replaced},
    plan::{FieldsPlan, Plan},
    target::{Mapped, MappedValue},
};
use crate::{Rejection, address::AddressText, live::LiveStage, record::Record, trace_id, trace_id::TraceId};

static API_ID: HeaderName = HeaderName::from_static("x-amzn-apigateway-api-id");
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const JSON: &str = "application/json";
/// Room for what the gateway adds.
const OWN_BYTES: usize = 384;

/// What the gateway's own fields are made of.
pub(super) struct Facts<'r> {
    pub(super) stage: &'r Stage,
    pub(super) live: &'r LiveStage,
    pub(super) record: &'r Record,
    pub(super) peer: &'r Peer,
    pub(super) trace: &'r TraceId,
    pub(super) has_body: bool,
}

/// The fields to send. None is in both.
#[derive(Debug)]
pub(super) struct Fields {
    /// Those that went through a mapping.
    pub(super) changed: HeaderMap,
    /// All others.
    pub(super) lines: FieldLines,
}

/// What the caller says that the gateway's own fields depend on.
#[derive(Default)]
struct Said {
    agent: bool,
    accept: bool,
    content_type: bool,
    /// Whether there is a chain to be continued.
    forwarded_for: bool,
}

struct Writer<'p> {
    plan: &'p Plan,
    fields: Fields,
}

/// The fields for the origin.
pub(super) fn fields(
    headers: &HeaderMap,
    plan: &Plan,
    mapped: &[Mapped<'_>],
    facts: &Facts<'_>,
) -> Result<Fields, Rejection> {
    let mut writer = Writer {
        plan,
        fields: Fields {
            changed: HeaderMap::new(),
            lines: FieldLines::with_capacity(OWN_BYTES + 64 * headers.len()),
        },
    };
    let said = writer.pass_on(headers, facts.stage.kind);
    writer.add_own(headers, &said, facts);
    let Fields { changed, lines } = &mut writer.fields;
    match &plan.fields {
        FieldsPlan::Constant(constant) => lines.extend(constant),
        FieldsPlan::Mapped => {
            for Mapped { target, action, value } in mapped {
                if let Target::Header(name) = target {
                    headers::apply(changed, name, *action, value.as_ref().map(MappedValue::as_str))?;
                }
            }
        }
    }
    Ok(writer.fields)
}

// === impl Writer ===

impl Writer<'_> {
    fn pass_on(&mut self, headers: &HeaderMap, kind: ApiKind) -> Said {
        let mut said = Said::default();
        let listed = headers::listed(headers);
        for (name, value) in headers {
            match headers::request_fate(name) {
                Fate::Pass if listed.contains(name) => {}
                Fate::Pass => {
                    match *name {
                        header::USER_AGENT => said.agent = true,
                        header::ACCEPT => said.accept = true,
                        header::CONTENT_TYPE => said.content_type = true,
                        _ => {}
                    }
                    self.pass(name, value);
                }
                Fate::Replace(Replaced::ForwardedFor) => said.forwarded_for = kind == ApiKind::Rest,
                Fate::Drop
                | Fate::Replace(
                    Replaced::ApiId | Replaced::ForwardedPort | Replaced::ForwardedProto | Replaced::TraceId,
                ) => {}
            }
        }
        said
    }

    fn add_own(&mut self, headers: &HeaderMap, said: &Said, facts: &Facts<'_>) {
        self.own(&API_ID, &facts.stage.api);
        if !said.agent {
            self.own(&header::USER_AGENT, &facts.live.user_agent);
        }
        if !said.accept {
            self.own(&header::ACCEPT, JSON);
        }
        if facts.has_body && !said.content_type {
            self.own(&header::CONTENT_TYPE, JSON);
        }
        self.own(&trace_id::HEADER, facts.trace.as_str());
        match facts.stage.kind {
            ApiKind::Rest => self.forwarded_for(headers, said, facts.peer),
            ApiKind::Http => self.forwarded(facts.record),
        }
    }

    /// The chain grows by the address that called us: with a trusted proxy before us, by the proxy's.
    fn forwarded_for(&mut self, headers: &HeaderMap, said: &Said, peer: &Peer) {
        let address = AddressText::new(peer.address);
        if said.forwarded_for {
            let mut chain = String::with_capacity(64);
            let given = headers.get_all(&FORWARDED_FOR);
            for value in given.iter().filter_map(|value| value.to_str().ok()) {
                chain.push_str(value);
                chain.push_str(", ");
            }
            chain.push_str(address.as_str());
            self.own(&FORWARDED_FOR, &chain);
        } else {
            self.own(&FORWARDED_FOR, address.as_str());
        }
        let mut digits = [0; 5];
        self.own(&FORWARDED_PORT, decimal(peer.local.port(), &mut digits));
        self.own(&FORWARDED_PROTO, if peer.secure { "https" } else { "http" });
    }

    /// HTTP APIs write RFC 7239's field in the place of the three, behind the caller's own.
    fn forwarded(&mut self, record: &Record) {
        let source = match record.source {
            std::net::IpAddr::V4(address) => address.to_string(),
            std::net::IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        let mut element = format!("for={source};proto={}", if record.secure { "https" } else { "http" });
        if let Some(host) = &record.kept.host {
            element.push_str(&format!(";host=\"{host}\""));
        }
        if !self.plan.mapped.contains(&header::FORWARDED) {
            let _ = self.fields.lines.push_text(&header::FORWARDED, &element);
        } else if let (FieldsPlan::Mapped, Ok(value)) = (&self.plan.fields, HeaderValue::try_from(element)) {
            self.fields.changed.append(header::FORWARDED, value);
        }
    }

    /// A field of the caller's.
    fn pass(&mut self, name: &HeaderName, value: &HeaderValue) {
        if !self.plan.mapped.contains(name) {
            self.fields.lines.push(name, value);
        } else if matches!(self.plan.fields, FieldsPlan::Mapped) {
            self.fields.changed.append(name.clone(), value.clone());
        }
    }

    /// A field of the gateway's, left out when its text cannot be sent.
    fn own(&mut self, name: &HeaderName, text: &str) {
        if !self.plan.mapped.contains(name) {
            let _ = self.fields.lines.push_text(name, text);
        } else if let (FieldsPlan::Mapped, Ok(value)) = (&self.plan.fields, HeaderValue::try_from(text)) {
            self.fields.changed.insert(name.clone(), value);
        }
    }
}

fn decimal(number: u16, digits: &mut [u8; 5]) -> &str {
    let mut rest = number;
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    std::str::from_utf8(&digits[at..]).unwrap_or_default()
}
