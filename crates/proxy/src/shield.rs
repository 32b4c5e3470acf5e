//! Step 3: whether a source of requests is within its rate. Before anything costs a look at a token.

use std::net::IpAddr;

use portcullis_model::snapshot::Stage;

use crate::Rejection;

/// Evidence that a request's source is within its rate.
#[derive(Debug)]
pub(crate) struct Screened {
    _passed: (),
}

/// Takes a token of the source's own bucket, where the stage has such.
pub(crate) fn screen(stage: &Stage, source: IpAddr, now_ns: u64) -> Result<Screened, Rejection> {
    if let Some(buckets) = &stage.limits.source {
        let hash = buckets.hash(&network(source));
        buckets
            .try_take(hash, now_ns)
            .map_err(|empty| Rejection::SourceThrottled {
                retry_after_ms: empty.retry_after_ms,
            })?;
    }
    Ok(Screened { _passed: () })
}

/// What is one source: an IPv4 address, or the 64 bits of an IPv6 address that its network chose. Whoever has one of those
/// has all of its addresses.
fn network(source: IpAddr) -> u64 {
    match source.to_canonical() {
        // Beside 2002::/16, which nobody routes any more, the first bits of an IPv6 network are never 0xffff.
        IpAddr::V4(address) => 0xffff_0000_0000_0000 | u64::from(address.to_bits()),
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_source() {
        let same = |one: &str, other: &str| network(one.parse().unwrap()) == network(other.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(!same("0.0.0.1", "::1"));
    }
}
