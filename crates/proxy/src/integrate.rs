//! Step 12: the only step with effects outside. It demands the evidence of all steps before it.

mod forward;
mod headers;
mod http_proxy;
mod mock;
mod plan;
mod target;
mod values;

use bytes::Bytes;
use http::{HeaderMap, Method};
use portcullis_limit::Lease;
use portcullis_model::snapshot::Integration;
use portcullis_net::{
    Body, Reply,
    server::{Peer, RequestBody},
    upstream::Client,
};
use portcullis_policy::Permit;

use crate::{
    Rejection,
    authenticate::Caller,
    live::Live,
    locate::{Located, Routed},
    receive::Received,
    record::Record,
    shield::Screened,
};

pub(crate) use plan::Plan;
pub(crate) use values::{form_decode, source_value};

/// A request that passed every step: everything an integration may use, and the proof that it may.
///
/// None of the evidence can be made outside the crate or module that decides it, so that an integration that a check was
/// forgotten for does not compile.
#[derive(Debug)]
pub(crate) struct Admitted<'s, 'r> {
    pub(crate) received: Received<'r>,
    pub(crate) located: Located<'s, 'r>,
    pub(crate) screened: Screened,
    pub(crate) routed: Routed<'s, 'r>,
    pub(crate) caller: Caller,
    pub(crate) permit: Permit,
    pub(crate) lease: Lease,
}

impl<'s, 'r> Admitted<'s, 'r> {
    /// What is to be asked. The proofs are about this one request and used up with it.
    fn spend(self) -> (Received<'r>, Located<'s, 'r>, Routed<'s, 'r>) {
        let Self {
            received,
            located,
            screened,
            routed,
            caller,
            permit,
            lease,
        } = self;
        drop((screened, caller, permit, lease));
        (received, located, routed)
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Asked<'e> {
    received: Received<'e>,
    located: &'e Located<'e, 'e>,
    routed: &'e Routed<'e, 'e>,
}

/// The request's own parts, to be forwarded.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
    pub(crate) peer: Peer,
}

/// Answers an admitted request.
pub(crate) async fn integrate(
    admitted: Admitted<'_, '_>,
    message: &mut Message,
    client: &Client,
    live: &Live,
    record: &mut Record,
) -> Result<Reply, Rejection> {
    let (received, located, routed) = admitted.spend();
    match &routed.route().integration {
        Integration::HttpProxy(proxy) => {
            let live = live.stages.get(located.index());
            let live = live.ok_or(Rejection::IntegrationUnreachable)?;
            let asked = Asked {
                received,
                located: &located,
                routed: &routed,
            };
            http_proxy::call(proxy, asked, message, client, live, record).await
        }
        Integration::Mock(mock) => Ok(mock::answer(mock)),
    }
}

/// The answer of the origin to an admitted request whose caller is answered already: a future that needs nothing of it.
pub(crate) fn detached(
    admitted: Admitted<'_, '_>,
    message: &mut Message,
    client: &Client,
    record: &Record,
) -> Result<impl Future<Output = Result<Reply, Rejection>> + Send + use<>, Rejection> {
    let (received, located, routed) = admitted.spend();
    let asked = Asked {
        received,
        located: &located,
        routed: &routed,
    };
    http_proxy::detached(asked, message, client.clone(), record.clone())
}

fn full(bytes: &[u8]) -> Body {
    Body::from(Bytes::copy_from_slice(bytes))
}
