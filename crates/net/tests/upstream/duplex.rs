//! Both directions at once.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Method;
use http_body::Frame;
use http_body_util::BodyExt;
use portcullis_net::upstream::Call;
use portcullis_net::{Body, BodyError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::origin::{Step, send, serve};
use crate::{call, client, plain, read, stream};

const PIECE: usize = 50_000;
const TOTAL: u64 = 64 * 1024 * 1024;

/// A body that counts upwards, and is not ready every other time it is asked.
struct Counting {
    sent: u64,
    is_ready: bool,
}

impl http_body::Body for Counting {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.is_ready = !self.is_ready;
        if !self.is_ready {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = (PIECE as u64).min(TOTAL - self.sent) as usize;
        let piece = Bytes::from(expected(self.sent, length));
        self.sent += piece.len() as u64;
        Poll::Ready(if piece.is_empty() {
            None
        } else {
            Some(Ok(Frame::data(piece)))
        })
    }
}

/// What stands from `place` on in the body: the numbers from 0 to 250, again and again.
fn expected(place: u64, length: usize) -> Vec<u8> {
    let numbers: Vec<u8> = (0..251).collect();
    let start = (place % 251) as usize;
    let mut bytes = numbers.repeat((start + length).div_ceil(251));
    bytes.drain(..start);
    bytes.truncate(length);
    bytes
}

#[tokio::test]
async fn an_echo_of_64_megabytes_flows_through_small_buffers() {
    for length in [Some(TOTAL), None] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // It answers at once and sends back what comes, framing included: chunked in, chunked out.
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let framing = length.map_or("transfer-encoding: chunked".into(), |bytes| {
                format!("content-length: {bytes}")
            });
            stream
                .write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes())
                .await
                .unwrap();
            let (mut from, mut to) = stream.split();
            drop(tokio::io::copy(&mut from, &mut to).await);
        });
        let client = client();
        let body = Body::stream(Counting {
            sent: 0,
            is_ready: false,
        });
        let call = Call {
            body_length: length,
            ..call(Method::POST, body)
        };
        let mut answer = client.call(&plain(address), call).await.unwrap();
        let mut received = 0;
        while let Some(frame) = answer.body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(
                data == expected(received, data.len()),
                "the body differs behind {received}"
            );
            received += data.len() as u64;
        }
        assert_eq!(received, TOTAL);
        assert_eq!(
            client.stats().idle(),
            1,
            "both directions ended: the connection is of use"
        );
    }
}

#[tokio::test]
async fn an_early_answer_arrives_although_the_origin_stops_reading() {
    // It reads the head alone, answers, and closes with most of the request unread.
    for end in [Step::EndSide, Step::Read(1)] {
        let response = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmuch";
        let origin = serve(vec![vec![Step::Head, send(response), end]]).await;
        let client = client();
        let body = Body::stream(Counting {
            sent: 0,
            is_ready: false,
        });
        let answer = client
            .call(&plain(origin.address), call(Method::POST, body))
            .await
            .unwrap();
        assert_eq!(
            (answer.status.as_u16(), read(answer.body).await),
            (413, Ok(b"much".to_vec()))
        );
        assert_eq!(client.stats().idle(), 0);
    }
}

#[tokio::test]
async fn a_request_body_that_breaks_after_the_head_of_the_answer_breaks_the_answer() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let origin = serve(vec![vec![Step::Head, send(response), Step::ReadAll]]).await;
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let breaking = futures_util::stream::once(async move {
        receiver.await.unwrap();
        Err::<Frame<Bytes>, _>(BodyError::ClientGone)
    });
    let body = Body::stream(http_body_util::StreamBody::new(Box::pin(breaking)));
    let answer = client()
        .call(&plain(origin.address), call(Method::POST, body))
        .await
        .unwrap();
    sender.send(()).unwrap();
    assert_eq!(read(answer.body).await, Err(BodyError::ClientGone));
    assert!(!origin.seen().await[0].contains("0\r\n\r\n"));
}

#[tokio::test]
async fn the_answer_may_come_before_the_request_is_complete_and_still_both_end() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n";
    let request = "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n".len();
    let rest = "3\r\nllo\r\n0\r\n\r\n";
    let origin = serve(vec![vec![
        Step::Head,
        send(response),
        Step::Read(request),
        send(rest),
        Step::ReadAll,
    ]])
    .await;
    let client = client();
    let body = stream(vec![Ok("he"), Ok("llo")]);
    let answer = client
        .call(&plain(origin.address), call(Method::POST, body))
        .await
        .unwrap();
    assert_eq!(read(answer.body).await.unwrap(), b"hello");
    assert_eq!(client.stats().idle(), 1);
}
