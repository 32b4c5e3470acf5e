//! The load: connections in a closed loop, every answer checked.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::LocalSet,
};

use crate::{
    failure::{Failure, Outcome, While as _},
    http2,
    wire::{Connector, Wire},
};

/// What to send and what must come back.
pub(crate) struct Load {
    /// The proxy.
    pub(crate) address: SocketAddr,
    /// Requests under way at a time: one on each connection, or several over HTTP/2. The next goes out when one is answered.
    pub(crate) connections: usize,
    /// How connections are made.
    pub(crate) connector: Connector,
    /// Whether each request has a connection of its own.
    pub(crate) connects_each_time: bool,
    /// Whether HTTP/2 is spoken.
    pub(crate) is_http2: bool,
    /// Requests before the measurement begins.
    pub(crate) warm_up: usize,
    /// Requests measured.
    pub(crate) requests: usize,
    /// The tokens, if requests carry one.
    pub(crate) tokens: Tokens,
    /// The body of every answer; its status is 200.
    pub(crate) body: Rc<[u8]>,
}

/// Which token a request carries.
#[derive(Clone)]
pub(crate) enum Tokens {
    /// None.
    None,
    /// The n-th connection always the n-th.
    PerConnection(Rc<[String]>),
    /// The n-th request the n-th.
    PerRequest(Rc<[String]>),
}

/// What was measured between the end of the warm-up and the last answer.
pub(crate) struct Measured<Mark> {
    /// From the first mark to the last.
    pub(crate) elapsed: Duration,
    /// Time from a request's first byte to its answer's last, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// What `mark` said at the start and at the end.
    pub(crate) marks: (Mark, Mark),
}

struct Progress<Mark> {
    sent: Cell<usize>,
    answered: Cell<usize>,
    start: RefCell<Option<(Instant, Mark)>>,
    end: RefCell<Option<(Instant, Mark)>>,
    latency: RefCell<Histogram<u64>>,
}

/// Puts the load on and calls `mark` when the measurement starts and ends.
pub(crate) fn run<Mark: 'static>(load: Load, mark: impl Fn() -> Mark + 'static) -> Outcome<Measured<Mark>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .doing("starting the load")?;
    let progress = Rc::new(Progress {
        sent: Cell::new(0),
        answered: Cell::new(0),
        start: RefCell::new(None),
        end: RefCell::new(None),
        latency: RefCell::new(Histogram::new_with_bounds(1_000, 60_000_000_000, 3).doing("a histogram")?),
    });
    let (load, mark) = (Rc::new(load), Rc::new(mark));
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let mut shared = Vec::new();
        for _ in 0..load.connections.div_ceil(http2::STREAMS) * usize::from(load.is_http2) {
            shared.push(http2::connect(&load.connector, load.address).await?);
        }
        let connections = (0..load.connections).map(|index| {
            let (load, progress, mark) = (Rc::clone(&load), Rc::clone(&progress), Rc::clone(&mark));
            let requests = shared.get(index / http2::STREAMS).cloned();
            tokio::task::spawn_local(async move {
                let mut client = Client::new(requests);
                send_all(index, &load, &progress, &*mark, &mut client).await
            })
        });
        for connection in connections.collect::<Vec<_>>() {
            connection.await.doing("a connection's task")??;
        }
        Ok::<_, Failure>(())
    })?;
    let (Some((started, before)), Some((ended, after))) = (progress.start.take(), progress.end.take()) else {
        return Err(Failure::new("the load ended before its measurement"));
    };
    Ok(Measured {
        elapsed: ended - started,
        latency: progress.latency.borrow().clone(),
        marks: (before, after),
    })
}

async fn send_all<Mark>(
    index: usize,
    load: &Load,
    progress: &Progress<Mark>,
    mark: &impl Fn() -> Mark,
    client: &mut Client,
) -> Outcome<()> {
    let total = load.warm_up + load.requests;
    loop {
        let number = progress.sent.get();
        if number == total {
            return Ok(());
        }
        progress.sent.set(number + 1);
        let sent = Instant::now();
        client.ask(load, load.tokens.choose(index, number)).await?;
        let answered = progress.answered.get() + 1;
        progress.answered.set(answered);
        if answered > load.warm_up {
            let nanos = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
            progress.latency.borrow_mut().saturating_record(nanos);
        }
        if answered == load.warm_up {
            *progress.start.borrow_mut() = Some((Instant::now(), mark()));
        }
        if answered == total {
            *progress.end.borrow_mut() = Some((Instant::now(), mark()));
        }
    }
}

/// One caller.
struct Client {
    /// Its part of a connection of HTTP/2.
    requests: Option<h2::client::SendRequest<bytes::Bytes>>,
    /// Its connection of HTTP/1.1, while it is kept.
    kept: Option<Box<dyn Wire>>,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    fn new(requests: Option<h2::client::SendRequest<bytes::Bytes>>) -> Self {
        Self {
            requests,
            kept: None,
            request: Vec::with_capacity(2048),
            buffer: vec![0; 16 * 1024],
        }
    }

    async fn ask(&mut self, load: &Load, token: Option<&str>) -> Outcome<()> {
        if let Some(requests) = &self.requests {
            return http2::ask(requests, token, &load.body).await;
        }
        let mut stream = match self.kept.take() {
            Some(stream) => stream,
            None => load.connector.connect(load.address).await?,
        };
        encode(&mut self.request, token, load.address);
        stream.write_all(&self.request).await.doing("sending a request")?;
        stream.flush().await.doing("sending a request")?;
        receive(&mut *stream, &mut self.buffer, &load.body).await?;
        if !load.connects_each_time {
            self.kept = Some(stream);
        }
        Ok(())
    }
}

/// Sends one request on a connection and compares its answer.
pub(crate) async fn ask_once(stream: &mut dyn Wire, address: SocketAddr, body: &[u8]) -> Outcome<()> {
    let (mut request, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    encode(&mut request, None, address);
    stream.write_all(&request).await.doing("sending a request")?;
    stream.flush().await.doing("sending a request")?;
    receive(stream, &mut buffer, body).await
}

fn encode(request: &mut Vec<u8>, token: Option<&str>, address: SocketAddr) {
    request.clear();
    request.extend_from_slice(b"GET /example.json HTTP/1.1\r\nHost: ");
    request.extend_from_slice(address.to_string().as_bytes());
    request.extend_from_slice(b"\r\nUser-Agent: bench\r\nAccept: */*\r\n");
    if let Some(token) = token {
        request.extend_from_slice(b"Approov-Token: ");
        request.extend_from_slice(token.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
}

/// Reads one answer framed by its length and compares it.
async fn receive(stream: &mut dyn Wire, buffer: &mut [u8], body: &[u8]) -> Outcome<()> {
    let mut filled = 0;
    let head_end = loop {
        filled += read_some(stream, &mut buffer[filled..]).await?;
        if let Some(end) = memmem::find(&buffer[..filled], b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = &buffer[..head_end];
    let length = content_length(head);
    if !head.starts_with(b"HTTP/1.1 200") || length != Some(body.len()) {
        return Err(Failure::new(format!(
            "an answer is wrong:\n{}",
            String::from_utf8_lossy(&buffer[..filled])
        )));
    }
    while filled < head_end + body.len() {
        filled += read_some(stream, &mut buffer[filled..]).await?;
    }
    match &buffer[head_end..filled] == body {
        true => Ok(()),
        false => Err(Failure::new("an answer has another body than the origin's")),
    }
}

async fn read_some(stream: &mut dyn Wire, into: &mut [u8]) -> Outcome<usize> {
    match stream.read(into).await.doing("reading an answer")? {
        0 => Err(Failure::new(
            "the proxy closed a connection, or its answer is larger than it should be",
        )),
        length => Ok(length),
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = lines.find(|line| line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:"))?;
    std::str::from_utf8(&line[15..]).ok()?.trim().parse().ok()
}

// === impl Tokens ===

impl Tokens {
    fn choose(&self, connection: usize, request: usize) -> Option<&str> {
        match self {
            Self::None => None,
            Self::PerConnection(tokens) => Some(&tokens[connection % tokens.len()]),
            Self::PerRequest(tokens) => Some(&tokens[request]),
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_testkit::Origin;

    use super::*;

    fn load(origin: &Origin, body: &str) -> Load {
        let tokens: Rc<[String]> = (0..30).map(|number| format!("t{number}")).collect();
        Load {
            address: origin.address(),
            connections: 3,
            connector: Connector::PLAIN,
            connects_each_time: false,
            is_http2: false,
            warm_up: 10,
            requests: 20,
            tokens: Tokens::PerRequest(tokens),
            body: body.as_bytes().into(),
        }
    }

    #[test]
    fn sends_each_token_once_and_measures_after_the_warm_up() {
        let origin = Origin::ok("hello");
        let count = Cell::new(0);
        let measured = run(load(&origin, "hello"), move || count.replace(count.get() + 1)).unwrap();
        assert_eq!((measured.marks, measured.latency.len()), ((0, 1), 20));
        let mut tokens: Vec<_> = origin
            .requests()
            .iter()
            .map(|request| request.header("approov-token").unwrap().to_owned())
            .collect();
        tokens.sort_by_key(|token| token[1..].parse::<u32>().unwrap());
        assert_eq!(tokens, (0..30).map(|number| format!("t{number}")).collect::<Vec<_>>());
        assert_eq!(origin.connection_count(), 3);
    }

    #[test]
    fn a_wrong_answer_stops_it() {
        let check = |origin: Origin| assert!(run(load(&origin, "hello"), || ()).is_err());
        check(Origin::ok("other"));
        check(Origin::ok("hello and more"));
        check(Origin::answering(
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nhello",
        ));
        check(Origin::closing());
    }
}
