//! Listening sockets that go from one process to the next.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use socket2::Socket;

use super::lifecycle::Listening;

/// Takes the sockets of an address out of those that were handed over; for port 0, those of any port of that host.
pub(super) fn claim(inherited: &mut Vec<Listening>, address: SocketAddr) -> Option<Listening> {
    let is_it = |known: &Listening| match address.port() {
        0 => known.address.ip() == address.ip(),
        _ => known.address == address,
    };
    let index = inherited.iter().position(is_it)?;
    Some(inherited.remove(index))
}

/// The sockets as `workers` threads serve them. None is closed and none is added, for the kernel spreads callers over all that
/// there are: with more workers some share one, with fewer some serve several.
pub(super) fn spread(listening: &Listening, workers: usize) -> io::Result<(Vec<Socket>, SocketAddr)> {
    let count = listening.sockets.len().max(workers);
    let each = listening.sockets.iter().cycle().take(count);
    let sockets = each.map(|socket| Ok(Socket::from(socket.try_clone()?)));
    Ok((sockets.collect::<io::Result<_>>()?, listening.address))
}

/// The same sockets once more. Those that several workers share are kept several times, which costs descriptors only.
pub(super) fn keep(sockets: &[Socket], address: SocketAddr) -> io::Result<Listening> {
    let kept = sockets
        .iter()
        .map(|socket| Ok(Arc::new(OwnedFd::from(socket.try_clone()?))));
    Ok(Listening {
        address,
        sockets: kept.collect::<io::Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::bind;

    fn listening(workers: usize) -> Listening {
        let (sockets, address) = bind(SocketAddr::from(([127, 0, 0, 1], 0)), workers).unwrap();
        keep(&sockets, address).unwrap()
    }

    #[test]
    fn each_socket_is_served_whatever_the_number_of_workers() {
        for (before, after, expected) in [(1, 1, 1), (3, 2, 3), (2, 3, 3)] {
            let (sockets, _) = spread(&listening(before), after).unwrap();
            assert_eq!(sockets.len(), expected, "{before} to {after}");
        }
    }

    #[test]
    fn an_address_is_claimed_once() {
        let one = listening(1);
        let address = one.address;
        let any = SocketAddr::new(address.ip(), 0);
        for (wanted, expected) in [
            (address, true),
            (any, true),
            (SocketAddr::from(([127, 0, 0, 2], 0)), false),
        ] {
            let mut inherited = vec![one.clone()];
            assert_eq!(claim(&mut inherited, wanted).is_some(), expected, "{wanted}");
            assert_eq!(inherited.is_empty(), expected);
            assert!(!expected || claim(&mut inherited, wanted).is_none());
        }
    }
}
