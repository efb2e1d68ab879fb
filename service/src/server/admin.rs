//! The second listener, for the machines that watch this one: `/healthz`, `/readyz` and `/metrics` over HTTP/1.1.
//!
//! Three fixed answers need no HTTP library: one request a connection, read to its empty line, answered, closed.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::limits::{ACCEPT_REST, ADMIN_CONNECTIONS, ADMIN_REQUEST_BYTES, ADMIN_TIMEOUT, PROBE_TIMEOUT};
use super::metrics::Metrics;

/// Asks whether what calls depend on answers now.
pub type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// What the listener tells; filled in while the server starts.
#[derive(Default)]
pub(super) struct State {
    /// Whether calls are answered now.
    pub(super) ready: AtomicBool,
    /// Whether the process lacks its root key.
    pub(super) sealed: AtomicBool,
    /// What the server that runs shows, from the moment when there is one.
    shown: RwLock<Shown>,
}

/// What a server shows of itself.
#[derive(Clone, Default)]
struct Shown {
    /// Whether the store answers; `None`: no store is open.
    probe: Option<Probe>,
    metrics: Option<Arc<Metrics>>,
}

impl State {
    /// Shows another server: its figures, and how to ask its store; without a store it is sealed.
    pub(super) fn show(&self, metrics: Arc<Metrics>, probe: Option<Probe>) {
        self.sealed.store(probe.is_none(), Ordering::Release);
        let shown = Shown { probe, metrics: Some(metrics) };
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    fn shown(&self) -> Shown {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The listener at work; ends when it is dropped.
pub(super) struct Admin {
    pub(super) address: SocketAddr,
    pub(super) state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Admin {
    /// Binds and answers from now on: alive at once, ready when the server is.
    pub(super) async fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::<State>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_REST).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            // A peer that is too slow or goes away gets no answer; nothing else is lost.
            let _ = timeout(ADMIN_TIMEOUT, exchange(stream, &state)).await;
            drop(place);
        });
    }
}

async fn exchange(mut stream: TcpStream, state: &State) -> io::Result<()> {
    let mut request = Vec::with_capacity(512);
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        if request.len() >= ADMIN_REQUEST_BYTES || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    // Only who asks for readiness waits for the store.
    let probe = state.shown().probe.filter(|_| path(&request) == b"/readyz");
    let answers = match probe {
        Some(probe) => timeout(PROBE_TIMEOUT, probe()).await.unwrap_or(false),
        None => true,
    };
    let (status, kind, body) = answer(&request, state, answers);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\ncache-control: no-store\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    if !request.starts_with(b"HEAD ") {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

/// The words of the request's first line.
fn words(request: &[u8]) -> impl Iterator<Item = &[u8]> {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    line.split(|byte| *byte == b' ')
}

/// The path that is asked for, without its query.
fn path(request: &[u8]) -> &[u8] {
    let path = words(request).nth(1).unwrap_or_default();
    path.split(|byte| *byte == b'?').next().unwrap_or_default()
}

/// Status line, content type and body. `store_answers`: what the probe said.
fn answer(request: &[u8], state: &State, store_answers: bool) -> (&'static str, &'static str, String) {
    const TEXT: &str = "text/plain; charset=utf-8";
    const UNAVAILABLE: &str = "503 Service Unavailable";
    let method = words(request).next().unwrap_or_default();
    if method != b"GET" && method != b"HEAD" {
        return ("405 Method Not Allowed", TEXT, "GET or HEAD only\n".into());
    }
    match path(request) {
        b"/healthz" => ("200 OK", TEXT, "alive\n".into()),
        b"/readyz" if state.sealed.load(Ordering::Acquire) => {
            (UNAVAILABLE, TEXT, "not ready: sealed, the root key is missing\n".into())
        }
        b"/readyz" if !state.ready.load(Ordering::Acquire) => (UNAVAILABLE, TEXT, "not ready\n".into()),
        b"/readyz" if !store_answers => (UNAVAILABLE, TEXT, "not ready: the store does not answer\n".into()),
        b"/readyz" => ("200 OK", TEXT, "ready\n".into()),
        b"/metrics" => {
            let text = state.shown().metrics.map(|metrics| metrics.text()).unwrap_or_default();
            ("200 OK", "text/plain; version=0.0.4; charset=utf-8", text)
        }
        _ => ("404 Not Found", TEXT, "/healthz, /readyz or /metrics\n".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let state = State::default();
        let check = |request: &str, expect: &str| {
            assert_eq!(answer(request.as_bytes(), &state, true).0, expect, "{request}");
        };
        check("GET /healthz HTTP/1.1\r\n\r\n", "200 OK");
        check("HEAD /healthz HTTP/1.1\r\n\r\n", "200 OK");
        check("GET /readyz HTTP/1.1\r\n\r\n", "503 Service Unavailable");
        state.ready.store(true, Ordering::Release);
        check("GET /readyz?verbose HTTP/1.1\r\n\r\n", "200 OK");
        check("GET /metrics HTTP/1.0\r\n\r\n", "200 OK");
        check("GET /secret HTTP/1.1\r\n\r\n", "404 Not Found");
        check("POST /healthz HTTP/1.1\r\n\r\n", "405 Method Not Allowed");
        check("\r\n\r\n", "405 Method Not Allowed");
        let ready = |state: &State, answers| answer(b"GET /readyz HTTP/1.1\r\n\r\n", state, answers);
        let away = ready(&state, false);
        assert!(away.0.starts_with("503") && away.2.contains("store"), "{away:?}");
        state.sealed.store(true, Ordering::Release);
        let sealed = ready(&state, true);
        assert!(sealed.0.starts_with("503") && sealed.2.contains("sealed"), "{sealed:?}");
    }
}
