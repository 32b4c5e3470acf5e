//! hyper as the oracle: whatever we accept, it accepts, and it reads the same. We may refuse more.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use portcullis_net::http1::{Decoded, Decoder, HeadLimits, HeadReader, framing, persistence};
use portcullis_net::upstream::{Call, Client, ClientSettings, FieldLines, Origin, RetryRule};
use portcullis_net::{Body, BodyError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::mutate::Mutator;
use crate::soak;

const CHANGES_PER_SEED: u32 = 120;

// === responses ===

const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A:  b \r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nA: b\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil close",
    "HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
];

/// Status, fields and body of one response.
type ReadResponse = (u16, HeaderMap, Vec<u8>);

#[tokio::test]
async fn responses_are_read_as_hyper_reads_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(ClientSettings::default());
    let (mut accepted, mut refused) = (0, 0);
    let mut mutator = Mutator::new(0xd1ff);
    for seed in RESPONSES {
        for round in 0..CHANGES_PER_SEED * soak() {
            let response = if round == 0 {
                seed.as_bytes().to_vec()
            } else {
                mutator.change(seed.as_bytes())
            };
            let method = [Method::GET, Method::HEAD, Method::POST][mutator.below(3)].clone();
            let ours = ours(&client, &listener, &method, &response).await;
            let Some(ours) = ours else {
                refused += 1;
                continue;
            };
            accepted += 1;
            let text = String::from_utf8_lossy(&response);
            assert_eq!(Some(ours), hypers(&method, &response).await, "{method} {text:?}");
        }
    }
    assert!(
        accepted > 100 && refused > 100,
        "{accepted} accepted, {refused} refused: that compares nothing"
    );
}

async fn ours(client: &Client, listener: &TcpListener, method: &Method, response: &[u8]) -> Option<ReadResponse> {
    let address: SocketAddr = listener.local_addr().unwrap();
    let origin = Arc::new(Origin::http(&address.to_string()).unwrap());
    let call = Call {
        method: method.clone(),
        target: "/".parse().unwrap(),
        headers: HeaderMap::new(),
        lines: FieldLines::default(),
        host: None,
        body: Body::Empty,
        body_length: None,
        deadline: tokio::time::Instant::now() + Duration::from_secs(60),
        body_idle_timeout: Duration::from_secs(60),
        retry: RetryRule::Never,
        upgrade: false,
    };
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        drop(stream.write_all(response).await);
    };
    let read = async {
        let mut answer = client.call(&origin, call).await.ok()?;
        let body = all_of(&mut answer.body).await.ok()?;
        Some((answer.status.as_u16(), answer.fields.to_map(), body))
    };
    tokio::join!(serve, read).1
}

async fn all_of(body: &mut Body) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(&frame?.into_data().unwrap());
    }
    Ok(bytes)
}

async fn hypers(method: &Method, response: &[u8]) -> Option<ReadResponse> {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
    let connection = tokio::spawn(connection);
    let serve = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(far.read_u8().await.unwrap());
        }
        drop(far.write_all(response).await);
        drop(far);
    };
    let request = Request::builder()
        .method(method)
        .uri("/")
        .header("host", "a")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let read = async {
        let response = sender.send_request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some((head.status.as_u16(), head.headers, body.to_vec()))
    };
    let read = tokio::join!(serve, read).1;
    connection.abort();
    read
}

// === requests ===

const REQUESTS: &[&str] = &[
    "GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nA: b\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nGET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nPOST /2 HTTP/1.0\r\nContent-Length: 2\r\n\r\nhiGET /3 HTTP/1.0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nGET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 36\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n....GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
];

#[derive(Debug, PartialEq)]
struct ReadRequest {
    method: Method,
    uri: String,
    version: Version,
    headers: HeaderMap,
    body: Vec<u8>,
}

#[tokio::test]
async fn requests_are_read_as_hyper_reads_them() {
    let (mut accepted, mut refused) = (0, 0);
    let mut mutator = Mutator::new(0xd1fe);
    for seed in REQUESTS {
        for round in 0..CHANGES_PER_SEED * soak() {
            let wire = if round == 0 {
                seed.as_bytes().to_vec()
            } else {
                mutator.change(seed.as_bytes())
            };
            let ours = our_requests(&wire);
            accepted += ours.len();
            refused += usize::from(ours.is_empty());
            if ours.is_empty() {
                continue;
            }
            let mut hypers = hyper_requests(&wire).await;
            // A request that we refuse ends the connection; hyper may go on. What it must not do is read other ones before.
            hypers.truncate(ours.len());
            assert_eq!(ours, hypers, "{:?}", String::from_utf8_lossy(&wire));
        }
    }
    assert!(
        accepted > 100 && refused > 100,
        "{accepted} accepted, {refused} refused: that compares nothing"
    );
}

/// All requests up to the first that is refused or incomplete, or that ends the connection.
fn our_requests(wire: &[u8]) -> Vec<ReadRequest> {
    let mut reader = HeadReader::new(HeadLimits {
        line_bytes_max: 8192,
        fields_bytes_max: 8192,
    });
    let mut input = BytesMut::from(wire);
    let mut requests = Vec::new();
    while let Ok(Some(head)) = reader.request(&mut input) {
        let Ok(framing) = framing::request(head.version, &head.headers) else {
            break;
        };
        let mut decoder = Decoder::request(framing);
        let mut body = Vec::new();
        while let Ok(Decoded::Data(data)) = decoder.decode(&mut input) {
            body.extend_from_slice(&data);
        }
        if !decoder.is_ended() {
            break;
        }
        let keeps_alive = persistence::keeps_alive(head.version, &head.headers);
        let (method, uri, version, headers) = (head.method, head.uri.to_string(), head.version, head.headers);
        requests.push(ReadRequest {
            method,
            uri,
            version,
            headers,
            body,
        });
        if !keeps_alive {
            break;
        }
    }
    requests
}

async fn hyper_requests(wire: &[u8]) -> Vec<ReadRequest> {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let requests = Arc::new(Mutex::new(Vec::new()));
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let requests = Arc::clone(&requests);
        async move {
            let (head, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let (method, uri, version, headers) = (head.method, head.uri.to_string(), head.version, head.headers);
                let body = body.to_bytes().to_vec();
                requests.lock().unwrap().push(ReadRequest {
                    method,
                    uri,
                    version,
                    headers,
                    body,
                });
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    far.write_all(wire).await.unwrap();
    far.shutdown().await.unwrap();
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(near), service);
    drop(connection.await);
    std::mem::take(&mut *requests.lock().unwrap())
}
