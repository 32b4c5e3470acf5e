//! Ports from the system.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A loopback port that is taken but on which nobody listens.
///
/// A caller's connection is refused (an origin that is down). While this is held the system gives the port to nobody else;
/// a server that binds it by number with `SO_REUSEADDR`, as nginx, HAProxy and tokio's listeners do, may listen on it.
#[derive(Debug)]
pub struct ReservedPort {
    _socket: Socket,
    address: SocketAddr,
}

impl ReservedPort {
    /// Reserves one on 127.0.0.1.
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a TCP socket");
        socket.set_reuse_address(true).expect("SO_REUSEADDR");
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .expect("a free loopback port");
        let address = socket
            .local_addr()
            .expect("its address")
            .as_socket()
            .expect("an IPv4 address");
        Self {
            _socket: socket,
            address,
        }
    }

    /// Its address, `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.address.port()
    }
}

impl Default for ReservedPort {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::ErrorKind,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn refuses_until_somebody_listens() {
        let port = ReservedPort::new();
        assert_eq!(
            TcpStream::connect(port.address()).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        // std's listener sets SO_REUSEADDR, as servers do.
        let _listener = TcpListener::bind(port.address()).unwrap();
        assert!(TcpStream::connect(port.address()).is_ok());
    }
}
