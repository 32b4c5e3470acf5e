//! HTTP/1.1 on the wire (RFC 9112), without a socket: heads, framing, bodies, and writing them.
//!
//! Both sides of the gateway use it, so that what the server takes for one message the client sends as one message.
//! It is stricter than RFC 9112 asks wherever two readers could disagree about where a message ends.

pub mod body;
pub mod encode;
pub mod framing;
pub mod head;
mod line;
mod lookup;
pub mod persistence;
pub(crate) mod request;
mod response;
mod scan;

pub use body::{DecodeFault, Decoded, Decoder};
pub use framing::{FramingFault, RequestFraming, ResponseFraming};
pub(crate) use head::KEEP_ALIVE;
pub use head::{HeadFault, HeadLimits, HeadReader, RequestHead, ResponseHead};
pub use lookup::Lookup;
