//! `portcullis test`: one call through the real pipeline, without a listener, and its way through the steps.

use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use portcullis_core::SystemClock;
use portcullis_net::{
    Body, Fields, Reply,
    server::{Peer, RequestBody},
};
use portcullis_proxy::{BODY_BYTES_MAX, Fixtures, Gateway, Live, Observer, Step};
use serde_json::{Value, json};

use super::{Exit, read_input};
use crate::{
    config::Destination,
    failure::Failure,
    load::{How, Loaded, Mounting, Source},
    report::{self, Form},
};

/// An answer's body is shown up to this size.
const ANSWER_BYTES_MAX: usize = 10 * 1024 * 1024;

pub(super) const HELP: &str = "\
Examples:
  portcullis test GET /example.json --config portcullis.toml
  portcullis test GET /example.json --document proxy.yaml --variable origin=127.0.0.1:9000 --header \"Approov-Token: $TOKEN\"
  portcullis test POST /orders --header 'Content-Type: application/json' --body order.json --source-ip 203.0.113.7

The call goes through every step that a real one goes through, and to the origin when nothing refuses it. It is not \
counted and not logged. The exit status is 1 when a step refuses it.";

#[derive(Debug, clap::Args)]
pub(super) struct TestCall {
    /// The method.
    method: Method,
    /// The path and query, as a client would send them.
    target: String,
    /// A header of the call; may be repeated.
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// A file with the call's body, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The caller's address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    source_ip: IpAddr,
    /// The call came over TLS.
    #[arg(long)]
    secure_transport: bool,
    /// An API document, or several as PATH=DOCUMENT; may be repeated.
    #[arg(long = "document", id = "documents", value_name = "DOCUMENT")]
    documents: Vec<String>,
    #[command(flatten)]
    how: How,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

/// The way of a call through the steps.
#[derive(Debug)]
struct Way {
    since: Instant,
    steps: Vec<Passage>,
}

/// One step of the way.
#[derive(Debug)]
struct Passage {
    step: Step,
    has_passed: bool,
    verdict: String,
    took: Duration,
}

impl Observer for Way {
    fn passed(&mut self, step: Step, verdict: fmt::Arguments<'_>) {
        self.note(step, true, verdict);
    }

    fn refused(&mut self, step: Step, reason: fmt::Arguments<'_>) {
        self.note(step, false, reason);
    }
}

impl Way {
    fn note(&mut self, step: Step, has_passed: bool, verdict: fmt::Arguments<'_>) {
        let took = self.since.elapsed();
        self.steps.push(Passage {
            step,
            has_passed,
            verdict: verdict.to_string(),
            took,
        });
        self.since = Instant::now(); // writing the verdict down is not the next step's time
    }
}

pub(super) fn run(args: &TestCall) -> Result<Exit, Failure> {
    let body = args
        .body
        .as_deref()
        .map(|path| read_input(path, BODY_BYTES_MAX))
        .transpose()?
        .unwrap_or_default();
    let request = request(args, body.into())?;
    let source = Source {
        documents: args.documents.clone(),
        how: args.how.clone(),
    };
    let mut loaded = source.load(Mounting::Root)?;
    // This call is nobody's: it leaves no line in a log that may be evidence.
    let stages = loaded.config.apis.iter_mut().flat_map(|api| &mut api.stages);
    stages.for_each(|stage| {
        stage.access_log.destination.value = Destination::Off;
        stage.execution_log = None;
    });
    let snapshot = loaded.compile(None);
    let Loaded { findings, sources, .. } = loaded;
    let Some(snapshot) = snapshot else {
        report::print(findings, &sources, Form::Text);
        return Err(Failure::Findings);
    };

    let fixtures = Fixtures::new(1).map_err(Failure::Start)?;
    let live = Live::open(snapshot, &fixtures, None).map_err(Failure::Live)?;
    let gateway = Gateway::new(live, Arc::new(SystemClock), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Start)?;
    let (way, head, body) = runtime.block_on(call(&gateway, request, args));
    report::answer(&if args.json {
        as_json(&way, &head, &body)
    } else {
        as_text(&way, &head, &body)
    });
    Ok(if way.steps.iter().all(|passage| passage.has_passed) {
        Exit::Good
    } else {
        Exit::Negative
    })
}

/// What came back but for the body.
struct Head {
    status: StatusCode,
    fields: Fields,
}

/// What came back of an answer's body.
type Content = Result<Bytes, String>;

async fn call(gateway: &Arc<Gateway>, request: Request<RequestBody>, args: &TestCall) -> (Way, Head, Content) {
    let worker = gateway.worker(0);
    let peer = Peer {
        address: args.source_ip.to_canonical(),
        port: 0,
        local: ([127, 0, 0, 1], 0).into(),
        listener: 0,
        secure: args.secure_transport,
        tls: None,
    };
    let mut way = Way {
        since: Instant::now(),
        steps: Vec::new(),
    };
    let (reply, _) = worker.answer(request, peer, &mut way).await;
    let Reply { status, fields, body } = reply;
    let content = match body {
        Body::Tunnel(_) => Err("the connection would be a tunnel from here on".to_owned()),
        body => Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map(|body| body.to_bytes())
            .map_err(|error| error.to_string()),
    };
    (way, Head { status, fields }, content)
}

fn request(args: &TestCall, body: Bytes) -> Result<Request<RequestBody>, Failure> {
    let refused = |what: String| Failure::Option {
        option: "TARGET",
        what,
        remedy: "write the path as a client would send it: `/example.json?page=2`".to_owned(),
    };
    if !args.target.starts_with('/') {
        return Err(refused(format!("`{}` does not begin with a slash", args.target)));
    }
    let uri: Uri = args
        .target
        .parse()
        .map_err(|error: http::uri::InvalidUri| refused(error.to_string()))?;
    let mut request = Request::new(if body.is_empty() {
        RequestBody::empty()
    } else {
        RequestBody::full(body)
    });
    *request.method_mut() = args.method.clone();
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    for (name, value) in &args.header {
        headers.append(name.clone(), value.clone());
    }
    headers
        .entry(header::HOST)
        .or_insert(HeaderValue::from_static("localhost"));
    Ok(request)
}

fn as_text(way: &Way, head: &Head, content: &Content) -> String {
    let mut lines: Vec<String> = way.steps.iter().map(as_line).collect();
    lines.push(String::new());
    lines.push(format!("HTTP/1.1 {}", head.status));
    lines.extend(
        head.fields
            .iter()
            .map(|field| format!("{}: {}", shown(field.name()), shown(field.value()))),
    );
    match content {
        Ok(body) if body.is_empty() => {}
        Ok(body) => lines.extend([String::new(), shown(body)]),
        Err(error) => lines.extend([String::new(), format!("({error})")]),
    }
    lines.join("\n")
}

fn as_line(passage: &Passage) -> String {
    let Passage {
        step,
        has_passed,
        verdict,
        took,
    } = passage;
    let mark = if *has_passed { "passed " } else { "refused" };
    format!(
        "{:>8} µs  {mark}  {step:<16} {}",
        took.as_micros(),
        report::printable(verdict)
    )
}

fn as_json(way: &Way, head: &Head, content: &Content) -> String {
    let step = |passage: &Passage| {
        json!({
            "step": passage.step.as_str(),
            "passed": passage.has_passed,
            "verdict": passage.verdict,
            "micros": u64::try_from(passage.took.as_micros()).unwrap_or(u64::MAX),
        })
    };
    let headers: Vec<Value> = head
        .fields
        .iter()
        .map(|field| {
            json!([
                String::from_utf8_lossy(field.name()),
                String::from_utf8_lossy(field.value())
            ])
        })
        .collect();
    let answer = json!({
        "steps": way.steps.iter().map(step).collect::<Vec<_>>(),
        "status": head.status.as_u16(),
        "headers": headers,
        "body": content.as_ref().ok().map(|body| String::from_utf8_lossy(body)),
        "error": content.as_ref().err(),
    });
    format!("{answer:#}")
}

/// Text as it is, without what a terminal would obey; of anything else its size.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => report::printable(text.trim_end_matches('\n')),
        Err(_) => format!("({} bytes that are no text)", bytes.len()),
    }
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let remedy = || "write `NAME: VALUE`".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(remedy)?;
    let name = name.trim().parse().map_err(|_| remedy())?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "the value holds what a header cannot carry".to_owned())?;
    Ok((name, value))
}
