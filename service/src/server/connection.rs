//! One connection: the preface against the clock, then HTTP/2 with every limit set, until its age or the server's end.

use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use linli_core::staff::Credential;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::body::Body;
use tower::ServiceExt as _;

use super::Phase;
use super::layers::Stack;
use super::limits;
use super::listener::{Place, Stream};
use super::metrics::Metrics;
use super::tls::{self, Tls};
use crate::config::{Limits, Timeouts};

/// What an HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What every connection is served with.
pub(super) struct Serving {
    pub(super) stack: Stack,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
}

/// Serves a connection to its end. Returns whether it ended by itself, rather than being cut.
pub(super) async fn serve(
    serving: Arc<Serving>,
    stream: Pin<Box<dyn Stream>>,
    place: Place,
    mut phase: watch::Receiver<Phase>,
) -> bool {
    let Some((stream, names)) = handshake(&serving, stream, &mut phase).await else { return true };
    let Some(stream) = preface(&serving, stream, &mut phase).await else { return true };
    let stack = serving.stack.clone();
    let peer = Peer { address: place.address(), names: names.into() };
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        stack.clone().oneshot(request)
    });
    let connection = http2(&serving.limits).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let age = staggered(serving.timeouts.connection_age, serving.metrics.accepted.load(Relaxed));
    let mut asked = pin!(sleep(age));
    let mut cut = pin!(sleep(age + limits::CONNECTION_CUT_AFTER));
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(err) = ended {
                    tracing::debug!(timeout = err.is_timeout(), "connection broke");
                }
                return true;
            }
            () = asked.as_mut(), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = cut.as_mut() => return false,
            phase = next_phase(&mut phase) => match phase {
                Phase::Serving => {}
                Phase::Draining | Phase::Waiting => if !leaving {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                },
                Phase::Closed => return false,
            },
        }
    }
}

/// HTTP/2 with nothing left to its defaults that a stranger could use.
fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_header_list_size(limits::HEADER_LIST_BYTES)
        .max_frame_size(limits::FRAME_BYTES)
        .max_send_buf_size(limits::SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(limits::PENDING_RESETS)
        .max_local_error_reset_streams(limits::LOCAL_RESETS)
        .keep_alive_interval(limits::KEEPALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT);
    builder
}

/// Who is at the other end of a connection, as every one of its calls is told.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Where it is; `None` on a Unix socket.
    pub(super) address: Option<IpAddr>,
    /// The names in its certificate, which was verified.
    pub(super) names: Arc<[Credential]>,
}

/// The TLS handshake, where the listener speaks TLS, and the names in the client's certificate; `None` where it fails or takes
/// too long.
async fn handshake(
    serving: &Serving,
    stream: Pin<Box<dyn Stream>>,
    phase: &mut watch::Receiver<Phase>,
) -> Option<(Pin<Box<dyn Stream>>, Vec<Credential>)> {
    let Some(tls) = &serving.tls else { return Some((stream, Vec::new())) };
    let shaken = tokio::select! {
        shaken = timeout(serving.timeouts.handshake, tls.acceptor().accept(stream)) => shaken,
        _ = phase.wait_for(|phase| *phase != Phase::Serving) => return None,
    };
    let Ok(Ok(stream)) = shaken else {
        serving.metrics.refused_handshake.fetch_add(1, Relaxed);
        return None;
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let names = certificate.map(tls::names).unwrap_or_default();
    let stream: Pin<Box<dyn Stream>> = Box::pin(stream);
    Some((stream, names))
}

/// Reads the preface; `None` where it does not come in time or is something else.
async fn preface(
    serving: &Serving,
    mut stream: Pin<Box<dyn Stream>>,
    phase: &mut watch::Receiver<Phase>,
) -> Option<Replay> {
    let mut bytes = [0; PREFACE.len()];
    let read = async {
        let mut have = 0;
        while let Some(rest) = bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
            let more = stream.read(rest).await?;
            have += more;
            // The first wrong byte tells: TLS, HTTP/1.1 or a scanner.
            if more == 0 || bytes.get(..have) != PREFACE.get(..have) {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok::<_, io::Error>(())
    };
    let arrived = tokio::select! {
        arrived = timeout(serving.timeouts.handshake, read) => matches!(arrived, Ok(Ok(()))),
        _ = phase.wait_for(|phase| *phase != Phase::Serving) => return None,
    };
    if !arrived {
        serving.metrics.refused_handshake.fetch_add(1, Relaxed);
        return None;
    }
    Some(Replay { read: 0, stream })
}

/// The phase, when it changes; a server that was dropped is closed.
async fn next_phase(phase: &mut watch::Receiver<Phase>) -> Phase {
    match phase.changed().await {
        Ok(()) => *phase.borrow_and_update(),
        Err(_) => Phase::Closed,
    }
}

/// The age, up to a tenth less: connections that were opened together shall not all come back together.
fn staggered(age: Duration, connection: u64) -> Duration {
    age - age / 1000 * u32::try_from(connection % 100).unwrap_or(0)
}

/// The stream with the preface put back in front.
struct Replay {
    read: usize,
    stream: Pin<Box<dyn Stream>>,
}

impl AsyncRead for Replay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = PREFACE.get(self.read..).unwrap_or_default();
        if rest.is_empty() {
            return self.stream.as_mut().poll_read(cx, buffer);
        }
        let now = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..now).unwrap_or_default());
        self.read += now;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}
