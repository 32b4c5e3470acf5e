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
    plan::{FieldsPlan, OwnField, Plan},
    target::{Mapped, MappedValue},
};
use crate::{
    Rejection,
    address::AddressText,
    record::Record,
    trace::{TRACEPARENT, Trace},
    trace_id,
    trace_id::TraceId,
};

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
/// Room for what the gateway adds.
const OWN_BYTES: usize = 384;

/// What the gateway's own fields are made of.
pub(super) struct Facts<'r> {
    pub(super) stage: &'r Stage,
    pub(super) record: &'r Record,
    pub(super) peer: &'r Peer,
    pub(super) has_body: bool,
}

/// The fields to send. None is in both.
#[derive(Debug)]
pub(super) struct Fields {
    /// Those that went through a mapping.
    pub(super) changed: HeaderMap,
    /// All others.
    pub(super) lines: FieldLines,
    /// The trace that they carry.
    pub(super) trace: TraceId,
    /// Whether the caller asks for another protocol.
    pub(super) asks_upgrade: bool,
}

/// What the caller says that the gateway's own fields depend on.
#[derive(Default)]
struct Said<'h> {
    agent: bool,
    accept: bool,
    content_type: bool,
    /// Whether there is a chain to be continued.
    forwarded_for: bool,
    upgrade: bool,
    trace: Option<&'h HeaderValue>,
}

struct Writer<'p> {
    plan: &'p Plan,
    changed: HeaderMap,
    lines: FieldLines,
}

/// The fields for the origin, before those are mapped that depend on the request.
pub(super) fn fields(headers: &HeaderMap, plan: &Plan, facts: &Facts<'_>) -> Fields {
    let mut writer = Writer {
        plan,
        changed: HeaderMap::new(),
        lines: FieldLines::with_capacity(OWN_BYTES + 64 * headers.len()),
    };
    let traced = facts.record.trace.as_deref();
    let said = writer.pass_on(headers, facts.stage.kind, traced);
    let trace = match traced {
        Some(traced) => TraceId::of(traced.onward()),
        None => TraceId::continued(said.trace, facts.record.id, facts.record.started),
    };
    writer.add_own(headers, &said, &trace, facts);
    let Writer { changed, mut lines, .. } = writer;
    if let FieldsPlan::Constant(constant) = &plan.fields {
        lines.extend(constant);
    }
    Fields {
        changed,
        lines,
        trace,
        asks_upgrade: said.upgrade,
    }
}

// === impl Fields ===

impl Fields {
    /// Applies the mappings that depend on the request, one after the other.
    pub(super) fn map(&mut self, plan: &Plan, mapped: &[Mapped<'_>]) -> Result<(), Rejection> {
        match &plan.fields {
            FieldsPlan::Constant(_) => Ok(()),
            FieldsPlan::Mapped => mapped.iter().try_for_each(|Mapped { target, action, value }| {
                let Target::Header(name) = target else { return Ok(()) };
                headers::apply(
                    &mut self.changed,
                    name,
                    *action,
                    value.as_ref().map(MappedValue::as_str),
                )
            }),
        }
    }
}

// === impl Writer ===

impl Writer<'_> {
    fn pass_on<'h>(&mut self, headers: &'h HeaderMap, kind: ApiKind, traced: Option<&Trace>) -> Said<'h> {
        let mut said = Said::default();
        let listed = headers::listed(headers);
        for (name, value) in headers {
            match headers::request_fate(name) {
                Fate::Pass if listed.contains(name) => {}
                Fate::Pass if traced.is_some_and(|trace| trace.replaces(name)) => {}
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
                // Of several the first one counts.
                Fate::Replace(Replaced::TraceId) => said.trace = said.trace.or(Some(value)),
                Fate::Drop => said.upgrade |= *name == header::UPGRADE,
                Fate::Replace(Replaced::ApiId | Replaced::ForwardedPort | Replaced::ForwardedProto) => {}
            }
        }
        said
    }

    fn add_own(&mut self, headers: &HeaderMap, said: &Said<'_>, trace: &TraceId, facts: &Facts<'_>) {
        let own = &self.plan.own;
        self.constant(&own.api_id);
        if !said.agent {
            self.constant(&own.user_agent);
        }
        if !said.accept {
            self.constant(&own.accept);
        }
        if facts.has_body && !said.content_type {
            self.constant(&own.content_type);
        }
        self.own(&trace_id::HEADER, trace.as_bytes());
        if let Some(parent) = facts
            .record
            .trace
            .as_ref()
            .and_then(|trace| trace.onward().to_traceparent())
        {
            self.own(&TRACEPARENT, parent.as_bytes());
        }
        match facts.stage.kind {
            ApiKind::Rest => self.forwarded_for(headers, said, facts.peer),
            ApiKind::Http => self.forwarded(facts.record),
        }
    }

    /// The chain grows by the address that called us: with a trusted proxy before us, by the proxy's.
    fn forwarded_for(&mut self, headers: &HeaderMap, said: &Said<'_>, peer: &Peer) {
        let address = AddressText::new(peer.address);
        if said.forwarded_for {
            let mut chain = Vec::with_capacity(64);
            let given = headers.get_all(&FORWARDED_FOR);
            for value in given.iter().filter_map(|value| value.to_str().ok()) {
                chain.extend_from_slice(value.as_bytes());
                chain.extend_from_slice(b", ");
            }
            chain.extend_from_slice(address.as_bytes());
            self.own(&FORWARDED_FOR, &chain);
        } else {
            self.own(&FORWARDED_FOR, address.as_bytes());
        }
        let mut digits = [0; 5];
        self.own(&FORWARDED_PORT, decimal(peer.local.port(), &mut digits));
        let [secure, plain] = &self.plan.own.forwarded_proto;
        self.constant(if peer.secure { secure } else { plain });
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
            let _ = self.lines.push_text(&header::FORWARDED, &element);
        } else if let (FieldsPlan::Mapped, Ok(value)) = (&self.plan.fields, HeaderValue::try_from(element)) {
            self.changed.append(header::FORWARDED, value);
        }
    }

    /// A field of the caller's.
    fn pass(&mut self, name: &HeaderName, value: &HeaderValue) {
        if !self.plan.mapped.contains(name) {
            self.lines.push(name, value);
        } else if matches!(self.plan.fields, FieldsPlan::Mapped) {
            self.changed.append(name.clone(), value.clone());
        }
    }

    /// A field of the gateway's that is the same for every request.
    fn constant(&mut self, field: &OwnField) {
        match field {
            OwnField::Written(line) => self.lines.extend(line),
            OwnField::Mapped(name, text) => self.own(name, text.as_bytes()),
        }
    }

    /// A field of the gateway's, left out when its text cannot be sent.
    fn own(&mut self, name: &HeaderName, text: &[u8]) {
        if !self.plan.mapped.contains(name) {
            let _ = self.lines.push_text(name, text);
        } else if let (FieldsPlan::Mapped, Ok(value)) = (&self.plan.fields, HeaderValue::from_bytes(text)) {
            self.changed.insert(name.clone(), value);
        }
    }
}

fn decimal(number: u16, digits: &mut [u8; 5]) -> &[u8] {
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
    &digits[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of the caller's `user-agent: curl` and `accept: x`, and of the gateway's own port.
    fn check(mapped: &[&'static str], is_constant: bool, expected_lines: &str, expected_changed: &[(&str, &str)]) {
        let plan = Plan {
            mapped: mapped.iter().map(|name| HeaderName::from_static(name)).collect(),
            fields: match is_constant {
                true => FieldsPlan::Constant(FieldLines::default()),
                false => FieldsPlan::Mapped,
            },
            ..Plan::default()
        };
        let mut writer = Writer {
            plan: &plan,
            changed: HeaderMap::new(),
            lines: FieldLines::default(),
        };
        writer.pass(&header::USER_AGENT, &HeaderValue::from_static("curl"));
        writer.pass(&header::ACCEPT, &HeaderValue::from_static("x"));
        writer.own(&FORWARDED_PORT, b"443");
        writer.own(&trace_id::HEADER, b"not a value\n");
        let lines = String::from_utf8(writer.lines.as_bytes().to_vec()).unwrap();
        assert_eq!(lines, expected_lines, "{mapped:?} {is_constant}");
        let changed: Vec<_> = writer.changed.iter().collect();
        let changed: Vec<_> = changed
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(changed, expected_changed, "{mapped:?} {is_constant}");
    }

    #[test]
    fn a_field_is_passed_on_added_or_left_to_its_mapping() {
        let all = "user-agent: curl\r\naccept: x\r\nx-forwarded-port: 443\r\n";
        check(&[], true, all, &[]);
        check(&[], false, all, &[]);
        let others = "accept: x\r\nx-forwarded-port: 443\r\n";
        check(&["user-agent"], true, others, &[]);
        check(&["user-agent"], false, others, &[("user-agent", "curl")]);
        let others = "user-agent: curl\r\naccept: x\r\n";
        check(&["x-forwarded-port"], true, others, &[]);
        check(&["x-forwarded-port"], false, others, &[("x-forwarded-port", "443")]);
    }

    #[test]
    fn ports() {
        for port in [0, 9, 80, 443, 8_080, 65_535] {
            assert_eq!(decimal(port, &mut [0; 5]), port.to_string().as_bytes());
        }
    }
}
