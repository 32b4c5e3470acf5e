//! One process follows another without a dropped request: the old one hands its listening sockets and the lock of its data
//! directory over, and ends when the new one serves.
//!
//! Over the control socket, after `hand-over`:
//!
//! ```text
//! old → new   {"listeners":[["127.0.0.1:8080",2]],"metrics":[["127.0.0.1:9100",1]]}
//! old → new   one byte with a descriptor for the lock, then one for each socket in that order
//! new → old   serving                    and the old one stops to accept; anything else, or nothing, and it goes on
//! old → new   what it still counts of quotas, a line a time (usage.rs), until it ends
//! ```
//!
//! The sockets are the same ones, with whoever waits in their queues: nothing is bound anew, so there is no moment at which
//! nobody listens. Until `serving` both may accept.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    net::SocketAddr,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

use portcullis_net::server::Listening;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::{config::Config, control_socket, data_dir::DataDir, failure::Failure};

/// How long the new process may take to serve.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first line in bytes at most.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Sockets of one address at most.
const SOCKETS_MAX: usize = 2_048;
/// What the new process says when it serves.
const SERVING: &str = "serving";

/// What a process has to hand over.
pub(super) struct Held<'h> {
    pub(super) lock: Option<BorrowedFd<'h>>,
    pub(super) listeners: Vec<Listening>,
    pub(super) metrics: Vec<Listening>,
}

/// What a process was handed over, or took by itself.
pub(crate) struct Inherited {
    pub(super) data_dir: Option<DataDir>,
    pub(super) listeners: Vec<Listening>,
    pub(super) metrics: Vec<Listening>,
    /// Who is to be told when this process serves.
    pub(super) giver: Option<UnixStream>,
}

/// What comes: addresses with the number of their sockets.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    listeners: Vec<(SocketAddr, usize)>,
    metrics: Vec<(SocketAddr, usize)>,
}

// === impl Inherited ===

impl Inherited {
    /// Of a process that follows nobody: the data directory is its own.
    pub(super) fn nothing(config: &Config) -> Result<Self, Failure> {
        let data_dir = config.data_dir.as_ref().map(|path| DataDir::take(&path.value));
        Ok(Self {
            data_dir: data_dir.transpose().map_err(Failure::DataDir)?,
            listeners: Vec::new(),
            metrics: Vec::new(),
            giver: None,
        })
    }
}

/// Hands everything over, and gives the way to the other process back when that serves.
pub(super) fn give(mut stream: UnixStream, held: &Held<'_>) -> io::Result<UnixStream> {
    let Some(lock) = held.lock else {
        return Err(io::Error::other("there is no data directory"));
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let count = |all: &[Listening]| {
        let counts = all.iter().map(|listening| (listening.address, listening.sockets.len()));
        counts.collect::<Vec<_>>()
    };
    let manifest = Manifest {
        listeners: count(&held.listeners),
        metrics: count(&held.metrics),
    };
    writeln!(stream, "{}", serde_json::to_string(&manifest)?)?;
    send_descriptor(&stream, lock)?;
    for socket in held
        .listeners
        .iter()
        .chain(&held.metrics)
        .flat_map(|listening| &listening.sockets)
    {
        send_descriptor(&stream, socket.as_fd())?;
    }
    match read_line(&stream)?.as_str() {
        SERVING => Ok(stream),
        _ => Err(io::Error::other("it does not serve")),
    }
}

/// Takes over from the process that owns a data directory; `None` when there is none.
pub(crate) fn take(data_dir: &Path) -> io::Result<Option<Inherited>> {
    let stream = match control_socket::ask_to_hand_over(data_dir) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let manifest: Manifest = serde_json::from_str(&read_line(&stream)?)?;
    let lock = receive_descriptor(&stream)?;
    let receive = |counts: Vec<(SocketAddr, usize)>| {
        let listening = counts.into_iter().map(|(address, count)| {
            let sockets = (0..count.min(SOCKETS_MAX)).map(|_| receive_descriptor(&stream).map(Arc::new));
            Ok(Listening {
                address,
                sockets: sockets.collect::<io::Result<_>>()?,
            })
        });
        listening.collect::<io::Result<Vec<_>>>()
    };
    let (listeners, metrics) = (receive(manifest.listeners)?, receive(manifest.metrics)?);
    Ok(Some(Inherited {
        data_dir: Some(DataDir::inherit(lock)),
        listeners,
        metrics,
        giver: Some(stream),
    }))
}

/// Says that this process serves; the other one stops.
pub(super) fn confirm(mut giver: &UnixStream) -> io::Result<()> {
    writeln!(giver, "{SERVING}")
}

fn send_descriptor(stream: &UnixStream, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    sendmsg(stream, &[IoSlice::new(b".")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive_descriptor(stream: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor = descriptors.next().and_then(|mut descriptors| descriptors.next());
    descriptor.ok_or_else(|| io::Error::other("the gateway that runs did not hand everything over"))
}

/// A line, byte by byte: what stands behind it brings descriptors, which reading ahead would lose.
fn read_line(mut stream: &UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        match byte {
            [b'\n'] => break,
            _ if line.len() == LINE_BYTES_MAX => return Err(io::Error::other("a line is too long")),
            [byte] => line.push(byte),
        }
    }
    String::from_utf8(line).map_err(|_| io::Error::other("a line is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    #[test]
    fn sockets_and_lock_go_to_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let owner = DataDir::take(directory.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let held = Held {
            lock: Some(owner.lock()),
            listeners: vec![Listening {
                address,
                sockets: vec![Arc::new(listener.into())],
            }],
            metrics: Vec::new(),
        };
        let (old, new) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            let giver = scope.spawn(|| give(old, &held));
            let manifest: Manifest = serde_json::from_str(&read_line(&new).unwrap()).unwrap();
            assert_eq!(manifest.listeners, [(address, 1)]);
            let lock = receive_descriptor(&new).unwrap();
            let socket = TcpListener::from(receive_descriptor(&new).unwrap());
            assert_eq!(socket.local_addr().unwrap(), address);
            confirm(&new).unwrap();
            giver.join().unwrap().unwrap();
            let next = DataDir::inherit(lock);
            assert!(DataDir::take(directory.path()).is_err());
            drop(next);
        });
        drop(held);
        assert!(DataDir::take(directory.path()).is_err(), "the old one still has it");
        drop(owner);
        DataDir::take(directory.path()).unwrap();
    }

    #[test]
    fn who_does_not_come_to_serve_takes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let owner = DataDir::take(directory.path()).unwrap();
        let held = Held {
            lock: Some(owner.lock()),
            listeners: Vec::new(),
            metrics: Vec::new(),
        };
        for said in ["", "sorry\n"] {
            let (old, mut new) = UnixStream::pair().unwrap();
            new.write_all(said.as_bytes()).unwrap();
            new.shutdown(std::net::Shutdown::Write).unwrap();
            assert!(give(old, &held).is_err(), "{said}");
        }
        assert!(take(directory.path()).unwrap().is_none(), "nobody listens there");
    }
}
