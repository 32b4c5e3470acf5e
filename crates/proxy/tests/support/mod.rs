//! A worker over documents given as text, called without a socket on its own side.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by several tests"
)]

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use portcullis_core::{Place, Secret, Timestamp};
use portcullis_jose::{Algorithm, SecretEncoding, SigningKey, issue};
use portcullis_limit::Rate;
use portcullis_model::{
    ApiSource, MethodSource, StageLimits, StageSource,
    cache::{CacheSettings, StageCacheSource},
    compile,
};
use portcullis_net::{
    listener::TrustedProxies,
    server::{Peer, RequestBody},
};
use portcullis_openapi::document::{ApiKind, Located};
use portcullis_proxy::{Fixtures, Gateway, Live, Observer, Step, Worker};
use portcullis_testkit::ManualClock;
use serde_json::{Map, Value};

/// 2026-11-20T12:00:00Z.
pub const NOW: i64 = 1_795_176_000;
pub const SECRET: &str = "a secret of at least thirty-two bytes";
pub const SECOND: &str = "the second secret, of thirty-two bytes";

/// One stage to be served: its name, mount, throttle and variables.
pub struct StageSpec {
    pub name: &'static str,
    pub mount: &'static str,
    pub throttle: (f64, u32),
    pub limits: StageLimits,
    pub variables: Vec<(&'static str, String)>,
    pub cache: Option<StageCacheSource>,
    pub methods: Vec<MethodSource>,
}

impl Default for StageSpec {
    fn default() -> Self {
        Self {
            name: "TEST",
            mount: "/",
            throttle: (10_000.0, 5_000),
            limits: StageLimits::default(),
            variables: Vec::new(),
            cache: None,
            methods: Vec::new(),
        }
    }
}

pub struct Bench {
    pub worker: Worker,
    pub gateway: Arc<Gateway>,
    pub clock: Arc<ManualClock>,
    pub directory: tempfile::TempDir,
    pub fixtures: Fixtures,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    /// The steps passed, then the one that refused with its reason.
    pub steps: Vec<(Step, String)>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

#[derive(Default)]
struct Steps(Vec<(Step, String)>);

impl Observer for Steps {
    fn passed(&mut self, step: Step, verdict: std::fmt::Arguments<'_>) {
        self.0.push((step, verdict.to_string()));
    }

    fn refused(&mut self, step: Step, reason: std::fmt::Arguments<'_>) {
        self.0.push((step, reason.to_string()));
    }
}

/// A stage's cache with these settings for every `GET`.
pub fn cached(settings: CacheSettings) -> Option<StageCacheSource> {
    Some(StageCacheSource {
        place: Place::whole("test"),
        bytes_max: 10_000_000,
        is_shared: false,
        settings,
    })
}

/// Serves `document`. Beside it stand `secret` and `second` with the secrets above, and `denied`, an empty deny list.
pub fn serve(kind: ApiKind, document: &str, stages: Vec<StageSpec>) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in [("secret", SECRET), ("second", SECOND), ("denied", "# nobody yet\n")] {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    let (read, findings) = portcullis_openapi::read("api.yaml", document, kind);
    assert!(!findings.has_errors(), "{}", text(&findings));
    let source = ApiSource {
        id: "proxy".into(),
        region: "eu-west-1".into(),
        account: "123456789012".into(),
        document: read.unwrap(),
        directory: directory.path().into(),
        stages: stages.into_iter().map(stage).collect(),
        disable_default_endpoint: None,
    };
    let (snapshot, findings) = compile(&vec![source].into(), None);
    assert!(!findings.has_errors(), "{}", text(&findings));
    let fixtures = Fixtures::new(1).unwrap();
    let live = Live::open(snapshot.unwrap(), &fixtures, None).unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(NOW)));
    let trusted = TrustedProxies::new(vec!["192.0.2.0/24".parse().unwrap()]);
    let gateway = Gateway::new(live, clock.clone(), vec![trusted]);
    Bench {
        worker: gateway.worker(0),
        gateway,
        clock,
        directory,
        fixtures,
    }
}

fn stage(spec: StageSpec) -> StageSource {
    let place = Place::whole("test");
    StageSource {
        place: place.clone(),
        name: spec.name.into(),
        mount: Located {
            value: spec.mount.into(),
            place: place.clone(),
        },
        variables: spec
            .variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<BTreeMap<_, _>>(),
        throttle: Rate::new(spec.throttle.0, spec.throttle.1).unwrap().into(),
        limits: StageLimits {
            methods: spec.methods,
            ..spec.limits
        },
        access_log: None,
        origin_roots: None::<PathBuf>,
        origin_client_certificate: None,
        deployment: None,
        role: portcullis_model::Role::Whole,
        cache: spec.cache,
    }
}

fn text(findings: &portcullis_core::Findings) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

impl Bench {
    /// Writes a file beside the document and has the watch look at it.
    pub fn rewrite(&self, name: &str, content: &str) {
        std::fs::write(self.directory.path().join(name), content).unwrap();
        self.fixtures.watch.look();
    }

    /// Calls as `127.0.0.1` would.
    pub async fn call(&self, request: Request<RequestBody>) -> Answer {
        self.call_from("127.0.0.1", request).await
    }

    pub async fn call_from(&self, source: &str, request: Request<RequestBody>) -> Answer {
        let peer = peer(source);
        let mut steps = Steps::default();
        let (reply, record) = self.worker.answer(request, peer, &mut steps).await;
        let body = reply.body.collect().await.unwrap().to_bytes();
        drop(record);
        Answer {
            status: reply.status.as_u16(),
            headers: reply.fields.to_map(),
            body: String::from_utf8(body.to_vec()).unwrap(),
            steps: steps.0,
        }
    }

    /// Calls, where the answer's body may break off: the status, and the body if it is whole.
    pub async fn try_call(&self, request: Request<RequestBody>) -> (u16, Option<Vec<u8>>) {
        let peer = peer("127.0.0.1");
        let (reply, record) = self.worker.answer(request, peer, &mut Steps::default()).await;
        let body = reply.body.collect().await.ok().map(|body| body.to_bytes().to_vec());
        drop(record);
        (reply.status.as_u16(), body)
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call(request("GET", path, headers)).await
    }
}

fn peer(source: &str) -> Peer {
    let local: SocketAddr = "127.0.0.1:8080".parse().unwrap();
    Peer {
        address: source.parse().unwrap(),
        port: 40_000,
        local,
        listener: 0,
        secure: false,
        tls: None,
    }
}

/// An origin's answer, 200 with a body framed by its length.
pub fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into()
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<RequestBody> {
    let mut builder = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1:8080");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(RequestBody::empty()).unwrap()
}

/// A token signed with [`SECRET`]; `exp` is ten minutes from [`NOW`] unless given.
pub fn token(claims: Value) -> String {
    let Value::Object(mut claims) = claims else {
        panic!("claims are an object")
    };
    claims.entry("exp").or_insert((NOW + 600).into());
    sign(&claims, SECRET)
}

pub fn sign(claims: &Map<String, Value>, secret: &str) -> String {
    let secret = Secret::new(secret.as_bytes().to_vec());
    let key = SigningKey::hmac(&secret, SecretEncoding::Raw, Algorithm::HS256).unwrap();
    issue(claims, &key, None).unwrap()
}
