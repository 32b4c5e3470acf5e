//! A small origin to stand behind the gateway in `./run`: it answers every request with what it received, as JSON, so that
//! one sees what the gateway passed on.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use portcullis_testkit::{Received, read_request};
use serde_json::{Map, Value, json};

/// Connections served at a time; one more is closed at once.
const CONNECTIONS_MAX: usize = 256;
/// How long a connection may be silent. Longer than the gateway's pool keeps one, so that the gateway closes first.
const IDLE: Duration = Duration::from_secs(120);

/// Answers every request with what it received, as JSON; /example.json with a fixed document.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    let Arguments { listen } = Arguments::parse();
    let listener = match TcpListener::bind(listen) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("demo-origin: cannot listen on {listen}: {error}; choose another with --listen ADDRESS:PORT");
            return ExitCode::from(2);
        }
    };
    let address = listener.local_addr().unwrap_or(listen);
    // On the standard output, so that who starts it can wait for the line; whether anybody does is no concern of ours.
    let _ = writeln!(io::stdout(), "demo-origin: listening on http://{address}");
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming().flatten() {
        let open = Arc::clone(&open);
        if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::SeqCst);
            continue; // dropping the stream closes it
        }
        std::thread::spawn(move || {
            let _ = serve(&stream); // a client that goes away is nothing to report
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
    ExitCode::SUCCESS
}

fn serve(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer, 0)? {
        stream.write_all(&answer(&request))?;
    }
    Ok(())
}

fn answer(request: &Received) -> Vec<u8> {
    let mut words = request.request_line().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let value = match target.split('?').next() {
        Some("/example.json") => json!({ "message": "Hello from the origin", "protected": true }),
        _ => {
            json!({ "method": method, "target": target, "headers": headers(request), "bodyBytes": request.body.len() })
        }
    };
    let body = format!("{value:#}\n");
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    // The answer to HEAD has the fields of the answer to GET and no body (RFC 9110 section 9.3.2).
    if method == "HEAD" {
        head.into_bytes()
    } else {
        (head + &body).into_bytes()
    }
}

/// Name to value, a repeated field joined by commas (RFC 9110 section 5.3).
fn headers(request: &Received) -> Value {
    let mut fields = Map::new();
    for (name, value) in request.head.lines().skip(1).filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        fields
            .entry(name)
            .and_modify(|before| *before = format!("{}, {value}", before.as_str().unwrap_or_default()).into())
            .or_insert_with(|| value.into());
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_it_received() {
        let wire = b"POST /a?b=c HTTP/1.1\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nhi";
        let request = read_request(&mut &wire[..], &mut Vec::new(), 0).unwrap().unwrap();
        let answer = String::from_utf8(answer(&request)).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        let value: Value = serde_json::from_str(body).unwrap();
        assert_eq!(value["target"], "/a?b=c");
        assert_eq!(
            (&value["headers"]["X-A"], &value["bodyBytes"]),
            (&json!("1, 2"), &json!(2))
        );
    }

    #[test]
    fn head_has_no_body() {
        let request = read_request(&mut &b"HEAD /example.json HTTP/1.1\r\n\r\n"[..], &mut Vec::new(), 0)
            .unwrap()
            .unwrap();
        assert!(answer(&request).ends_with(b"\r\n\r\n"));
    }
}
