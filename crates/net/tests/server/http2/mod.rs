//! HTTP/2 against real sockets: curl for what clients do, frames written by hand for what they do not.

mod curl;
mod floods;
mod heads;
mod patience;
mod streams;
mod wire;

use portcullis_net::listener::{Http2, ListenerSettings};

use crate::harness::{Subject, settings, subject_with};

/// A server that takes HTTP/2 without TLS.
fn subject() -> Subject {
    subject_with(http2_settings())
}

fn http2_settings() -> ListenerSettings {
    let mut settings = settings();
    settings.http2 = Http2::PriorKnowledge;
    settings
}
