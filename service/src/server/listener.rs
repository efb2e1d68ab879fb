//! Accepting: sockets bound before anything else starts, caps on how many stay open, and who is turned away.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::ACCEPT_REST;
use super::metrics::Metrics;
use crate::config::{Address, Limits};

/// A connection's two directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// A bound socket.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
    /// Closed: nobody is accepted any more.
    Closed,
}

/// The file of a Unix socket; removed with the listener.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds an address. A Unix socket that nobody listens on any more is replaced.
    pub(super) async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Address::Unix(path) => {
                remove_stale(path).await?;
                let listener = UnixListener::bind(path)?;
                let file = SocketFile(path.clone());
                // Whoever can open the socket can call: owner and group.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// Where it listens; the port that was taken for port 0.
    pub(super) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, file) => Ok(Address::Unix(file.0.clone())),
            Self::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Closes the socket: who connects from now on is refused.
    pub(super) fn close(&mut self) {
        *self = Self::Closed;
    }

    /// The next connection, and where it comes from on TCP. Delays of small answers are off: they cost 40 ms a call.
    pub(super) async fn accept(&self) -> (Pin<Box<dyn Stream>>, Option<IpAddr>) {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().await.and_then(|(stream, peer)| {
                    stream.set_nodelay(true)?;
                    Ok((Box::pin(stream) as Pin<Box<dyn Stream>>, Some(peer.ip())))
                }),
                Self::Unix(listener, _) => listener
                    .accept()
                    .await
                    .map(|(stream, _)| (Box::pin(stream) as Pin<Box<dyn Stream>>, None)),
                Self::Closed => std::future::pending().await,
            };
            match accepted {
                Ok(accepted) => return accepted,
                Err(err) if peer_gone(&err) => {}
                Err(err) => {
                    // Out of file descriptors or memory: the open connections go on, new ones wait.
                    tracing::warn!(kind = %err.kind(), "accepting failed");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }
}

/// How many connections are open from each address.
type ByAddress = Arc<Mutex<HashMap<IpAddr, u32>>>;

/// The places for connections.
pub(super) struct Places {
    all: Arc<Semaphore>,
    by_address: ByAddress,
    per_address: u32,
    metrics: Arc<Metrics>,
}

/// The place of one connection, free again when it is dropped.
pub(super) struct Place {
    _one_of_all: OwnedSemaphorePermit,
    address: Option<IpAddr>,
    counted: Option<(IpAddr, ByAddress)>,
    metrics: Arc<Metrics>,
}

impl Places {
    pub(super) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let all = usize::try_from(limits.connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(all)),
            by_address: Arc::default(),
            per_address: limits.connections_per_address,
            metrics,
        }
    }

    /// A place for a connection from `peer`, if there is one.
    pub(super) fn take(&self, peer: Option<IpAddr>) -> Option<Place> {
        let Ok(one_of_all) = Arc::clone(&self.all).try_acquire_owned() else {
            self.metrics.refused_full.fetch_add(1, Relaxed);
            return None;
        };
        // Loopback may be a proxy or a test with many clients.
        let counted = peer.map(|peer| peer.to_canonical()).filter(|peer| !peer.is_loopback());
        if let Some(peer) = counted {
            let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = by_address.entry(peer).or_insert(0);
            if *count >= self.per_address {
                self.metrics.refused_address.fetch_add(1, Relaxed);
                return None;
            }
            *count += 1;
        }
        self.metrics.accepted.fetch_add(1, Relaxed);
        self.metrics.connections.fetch_add(1, Relaxed);
        Some(Place {
            _one_of_all: one_of_all,
            address: peer.map(|peer| peer.to_canonical()),
            counted: counted.map(|peer| (peer, Arc::clone(&self.by_address))),
            metrics: Arc::clone(&self.metrics),
        })
    }
}

impl Place {
    /// Where the connection comes from; `None` on a Unix socket.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.connections.fetch_sub(1, Relaxed);
        if let Some((peer, by_address)) = &self.counted {
            let mut by_address = by_address.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = by_address.get_mut(peer) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(peer);
                }
            }
        }
    }
}

fn peer_gone(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotConnected
    )
}

/// Removes the socket of a server that is gone; one that answers, and a file that is no socket, stay.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists and is not a socket"))
        }
        Ok(_) => match tokio::net::UnixStream::connect(path).await {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there")),
            Err(_) => std::fs::remove_file(path),
        },
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(err) => Err(err),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::methods::Methods;

    fn places(connections: u32, connections_per_address: u32) -> (Places, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new(Methods::new(&[]), Arc::new(Vec::new)));
        let limits = Limits { connections, connections_per_address, streams_per_connection: 1, calls: 1 };
        (Places::new(&limits, Arc::clone(&metrics)), metrics)
    }

    #[test]
    fn caps_by_address_and_in_all() {
        let (places, metrics) = places(4, 2);
        let (near, far, loopback) = ("10.0.0.1", "::ffff:10.0.0.1", "127.0.0.1");
        let take = |ip: &str| places.take(Some(ip.parse().unwrap()));
        let first = take(near).unwrap();
        // The same address, as a dual-stack socket shows it.
        let second = take(far).unwrap();
        assert!(take(near).is_none());
        drop(first);
        let third = take(near).unwrap();
        let fourth = take(loopback).unwrap();
        let fifth = take(loopback).unwrap();
        assert!(places.take(None).is_none(), "four are open");
        assert_eq!((metrics.refused_address.load(Relaxed), metrics.refused_full.load(Relaxed)), (1, 1));
        assert_eq!(metrics.connections.load(Relaxed), 4);
        drop((second, third, fourth, fifth));
        assert_eq!(metrics.connections.load(Relaxed), 0);
        assert!(places.by_address.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn unix_sockets() {
        let folder = std::env::temp_dir().join(format!("linli-listener-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let address = Address::Unix(path.clone());
        let listener = Listener::bind(&address).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let refused = Listener::bind(&address).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists());
        // A socket that a killed server left behind.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Listener::bind(&address).await.unwrap());
        std::fs::write(&path, "roster").unwrap();
        let refused = Listener::bind(&address).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "roster");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
