//! `[telemetry.otlp]`: where traces and metrics are sent, by OpenTelemetry's protocol.

use std::time::Duration;

use http::HeaderName;
use portcullis_core::SecretRef;
use portcullis_openapi::document::Located;

use super::{endpoint::Endpoint, section::Section};

/// Header fields at most.
const HEADERS_MAX: usize = 20;
/// Bytes of the service's name at most.
const NAME_BYTES_MAX: usize = 255;

/// Where traces and metrics are sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Otlp {
    /// The collector; `/v1/traces` and `/v1/metrics` are below it.
    pub(crate) endpoint: Endpoint,
    /// Fields to send, their values by reference.
    pub(crate) headers: Vec<(HeaderName, Located<SecretRef>)>,
    /// `service.name` (default `portcullis`).
    pub(crate) service_name: String,
    /// Whether requests are traced (default yes), and how many percent of those whose caller has not decided (default all).
    pub(crate) sample_percent: Option<f64>,
    /// Spans that may wait (default 8,192).
    pub(crate) spans_max: usize,
    /// How often metrics are sent (default every 60 s); `None` for not at all.
    pub(crate) metrics_every: Option<Duration>,
    /// How long the collector may take (default 5 s).
    pub(crate) timeout: Duration,
}

// === impl Otlp ===

impl Otlp {
    /// Whether the same is sent to the same, wherever it is written.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let mut moved = other.clone();
        moved.endpoint.place = self.endpoint.place.clone();
        for ((_, moved), (_, own)) in moved.headers.iter_mut().zip(&self.headers) {
            moved.place = own.place.clone();
        }
        *self == moved
    }
}

pub(super) fn read(root: &Section<'_>) -> Option<Otlp> {
    let telemetry = root.table("telemetry")?;
    let section = telemetry.table("otlp");
    telemetry.finish();
    let section = section?;
    let endpoint = section
        .required("endpoint", |key| section.text(key))
        .and_then(|url| Endpoint::read(&section, url));
    let roots = section.path("roots");
    let headers = section.table("headers").map(|table| read_headers(&table));
    let service_name = section.text("service_name");
    let traces = section.flag("traces");
    let sample_percent = section.number("sample_percent", 0.0..=100.0);
    let spans_max = section.integer("spans_max", 1..=1_000_000);
    let metrics = section.flag("metrics");
    let metrics_every_s = section.integer("metrics_every_s", 1..=3_600);
    let timeout_ms = section.integer("timeout_ms", 1..=60_000);
    section.finish();
    if let Some(name) = &service_name
        && (name.value.is_empty() || name.value.len() > NAME_BYTES_MAX)
    {
        let message = format!("`telemetry.otlp.service_name` has {} bytes", name.value.len());
        let remedy = format!("it has 1 to {NAME_BYTES_MAX} bytes");
        section.report.error(&name.place, "out-of-range", message, remedy);
    }
    let is_on = |found: Option<Located<bool>>| found.is_none_or(|found| found.value);
    let (traces, metrics) = (is_on(traces), is_on(metrics));
    if !traces && !metrics {
        let message = "neither traces nor metrics are sent";
        section
            .report
            .error(&section.place, "otlp-idle", message, "remove `[telemetry.otlp]`");
    }
    let (every, timeout) = (
        metrics_every_s.map_or(60, |found| found.value),
        timeout_ms.map_or(5_000, |found| found.value),
    );
    Some(Otlp {
        endpoint: endpoint?.with_roots(roots.map(|roots| roots.value)),
        headers: headers.unwrap_or_default(),
        service_name: service_name.map_or_else(|| "portcullis".to_owned(), |name| name.value),
        sample_percent: traces.then(|| sample_percent.map_or(100.0, |found| found.value)),
        spans_max: spans_max
            .and_then(|found| usize::try_from(found.value).ok())
            .unwrap_or(8_192),
        metrics_every: metrics.then(|| Duration::from_secs(every)),
        timeout: Duration::from_millis(timeout),
    })
}

fn read_headers(table: &Section<'_>) -> Vec<(HeaderName, Located<SecretRef>)> {
    let entries = table.entries();
    if entries.len() > HEADERS_MAX {
        let message = format!(
            "there are {} header fields; at most {HEADERS_MAX} are sent",
            entries.len()
        );
        table.report.error(&table.place, "too-many", message, "remove some");
    }
    let header = |(name, value): (Located<String>, Located<String>)| {
        let parsed = HeaderName::try_from(&name.value).ok();
        if parsed.is_none() {
            let message = format!("`{}` cannot be a header field's name", name.value);
            table.report.error(
                &name.place,
                "bad-header",
                message,
                "letters, digits and hyphens make one",
            );
        }
        Some((parsed?, table.as_secret(&name.value, value)?))
    };
    entries.into_iter().filter_map(header).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn read_text(text: &str) -> (Option<Otlp>, Vec<String>) {
        let least = "[[listeners]]\naddress = \"127.0.0.1:8080\"\n[[apis]]\nid = \"a\"\ndocument = \"a.yaml\"\n[[apis.stages]]\nname = \"T\"\n[telemetry.otlp]\n";
        let (config, findings) = config::read("p", &format!("{least}{text}"), Path::new("/etc/p"));
        let found = findings
            .iter()
            .map(|finding| format!("{}: {}", finding.place.line, finding.code));
        let found = found.collect();
        (config.otlp, found)
    }

    #[test]
    fn says_everything_or_little() {
        let (otlp, found) = read_text("endpoint = \"http://127.0.0.1:4318\"");
        assert_eq!(found, [""; 0]);
        let otlp = otlp.unwrap();
        assert_eq!(
            (otlp.sample_percent, otlp.metrics_every),
            (Some(100.0), Some(Duration::from_secs(60)))
        );
        assert_eq!(
            (otlp.spans_max, otlp.timeout, otlp.service_name.as_str()),
            (8_192, Duration::from_secs(5), "portcullis")
        );

        let (otlp, found) = read_text(
            "endpoint = \"https://collector.example/otlp\"\nroots = \"ca.pem\"\nheaders = { api-key = \"file:key\", b = \"env:B\" }\n\
             service_name = \"front\"\nmetrics = false\nsample_percent = 0.5\nspans_max = 10\ntimeout_ms = 100\n",
        );
        assert_eq!(found, [""; 0]);
        let otlp = otlp.unwrap();
        assert_eq!((otlp.sample_percent, otlp.metrics_every), (Some(0.5), None));
        assert_eq!(otlp.endpoint.origin.roots.as_deref(), Some(Path::new("/etc/p/ca.pem")));
        assert_eq!(otlp.headers[0].1.value, SecretRef::File("/etc/p/key".to_owned()));
    }

    #[test]
    fn slips_are_named() {
        let check = |text: &str, expected: &[&str]| assert_eq!(read_text(text).1, expected, "{text}");
        let endpoint = "endpoint = \"http://127.0.0.1:4318\"\n";
        check("", &["8: missing-key"]);
        check("endpoint = \"127.0.0.1:4318\"", &["9: bad-url"]);
        check("endpoint = \"http://collector.example:4318\"", &["9: plain-http"]);
        check(
            &format!("{endpoint}headers = {{ api-key = \"hunter2\" }}"),
            &["10: bad-secret"],
        );
        check(
            &format!("{endpoint}headers = {{ \"api key\" = \"env:A\" }}"),
            &["10: bad-header"],
        );
        check(&format!("{endpoint}sample_percent = 101"), &["10: out-of-range"]);
        check(&format!("{endpoint}sample = 1"), &["10: unknown-key"]);
        check(&format!("{endpoint}service_name = \"\""), &["10: out-of-range"]);
        check(&format!("{endpoint}traces = false\nmetrics = false"), &["8: otlp-idle"]);
    }
}
