//! Binding one address once per worker.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds ready for one worker until it accepts them.
const BACKLOG: i32 = 1024;

/// `workers` listening sockets on one address, and that address with its real port.
///
/// With several workers the kernel spreads connections over their sockets (`SO_REUSEPORT`). As that option would also let a
/// second process share the port silently, the port is first bound without it, which fails when anyone listens there.
pub(crate) fn bind(address: SocketAddr, workers: usize) -> io::Result<(Vec<Socket>, SocketAddr)> {
    let is_shared = workers > 1;
    if is_shared && address.port() != 0 {
        drop(socket(address, false)?);
    }
    let first = socket(address, is_shared)?;
    first.listen(BACKLOG)?;
    let address = first
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
    let mut sockets = vec![first];
    while sockets.len() < workers {
        let next = socket(address, true)?;
        next.listen(BACKLOG)?;
        sockets.push(next);
    }
    Ok((sockets, address))
}

/// The same socket as the runtime takes it.
pub(crate) fn to_std(socket: Socket) -> TcpListener {
    socket.into()
}

fn socket(address: SocketAddr, is_shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?; // a restart must not wait for the last connections' TIME_WAIT
    socket.set_reuse_port(is_shared)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit it: answers are written in whole, there is nothing to wait for.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_a_port_but_processes_do_not() {
        for workers in [1, 3] {
            let (sockets, address) = bind(SocketAddr::from(([127, 0, 0, 1], 0)), workers).unwrap();
            assert_eq!(sockets.len(), workers);
            assert_ne!(address.port(), 0);
            for others in [1, 2] {
                let busy = bind(address, others).map(|_| ()).unwrap_err();
                assert_eq!(
                    busy.kind(),
                    io::ErrorKind::AddrInUse,
                    "{workers} workers, {others} others"
                );
            }
            drop(sockets);
            assert_eq!(bind(address, workers).unwrap().1, address, "free again");
        }
    }
}
