//! The server as a stranger on the wire meets it, with a stand-in for the handlers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body as HttpBody, Bytes, Frame};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use tower::Service;

use super::*;
use crate::auth::Call;
use crate::config::{Config, Flags};
use crate::time::{RandomIds, SystemClock};

const PATH: &str = "/linli.v1.SiteService/GetSite";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// Nothing here takes as long.
const SOON: Duration = Duration::from_secs(20);

/// Stands in for the handlers: does what the header `x-probe` says.
#[derive(Clone)]
struct Probe;

impl tonic::server::NamedService for Probe {
    const NAME: &'static str = "linli.v1.SiteService";
}

impl Service<Request<Body>> for Probe {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            let wanted = request.headers().get("x-probe").map_or("", |value| value.to_str().unwrap());
            let streamed = |kind| Ok(Response::new(Body::new(ProbeBody { kind, sent: false })));
            match wanted {
                "panic" => panic!("11010519491231002X"),
                "panic in body" => streamed("panic"),
                "hang" => std::future::pending().await,
                "hang in body" => streamed("hang"),
                "too large" => Ok(Status::out_of_range("decoded message length too large").into_http()),
                "garbage" => Ok(Status::internal("failed to decode Protobuf message").into_http()),
                _ => {
                    assert!(request.extensions().get::<Call>().is_some(), "no call behind the gate");
                    assert!(!request.headers().contains_key("authorization"), "credentials behind the gate");
                    streamed("ok")
                }
            }
        })
    }
}

/// One message, and then what `kind` says.
struct ProbeBody {
    kind: &'static str,
    sent: bool,
}

impl HttpBody for ProbeBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !std::mem::replace(&mut self.sent, true) {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 0])))));
        }
        match self.kind {
            "panic" => panic!("440524188001010014"),
            "hang" => Poll::Pending,
            _ => {
                let mut trailers = HeaderMap::new();
                Status::new(Code::Ok, "").add_header(&mut trailers).unwrap();
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }
}

/// A server on free ports with `toml` over a development configuration.
async fn serve(toml: &str) -> Running {
    let flags = Flags {
        dev: true,
        listen: (!toml.contains("listen")).then(|| "127.0.0.1:0".to_owned()),
        ..Flags::default()
    };
    let config = Config::layered(Some((toml, "linli.toml")), [], &flags).unwrap();
    let parts = Parts {
        routes: Routes::new(Probe),
        descriptors: crate::grpc::FILE_DESCRIPTOR_SET,
        gate: Arc::new(Gate::new(Arc::new(crate::time::SystemClock)).with_development("secret", "stranger")),
        keys: None,
        ids: Arc::new(RandomIds::new()),
        clock: Arc::new(SystemClock),
        gauges: Arc::new(|| vec![Gauge { name: "linli_store_queue", help: "Writes that wait.", value: 0.0 }]),
        store: Some(Arc::new(|| Box::pin(async { true }))),
        ending: crate::app::Ending::default(),
    };
    bind(&config.server).await.unwrap().start(parts).await.unwrap()
}

fn tcp(running: &Running) -> SocketAddr {
    match running.address() {
        Address::Tcp(address) => *address,
        Address::Unix(path) => panic!("{}", path.display()),
    }
}

/// A connection for calls. Not tonic's, which knows of deadlines and would hide ours.
async fn connect(running: &Running) -> SendRequest<Body> {
    let stream = TcpStream::connect(tcp(running)).await.unwrap();
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A connection for health checks.
async fn channel(running: &Running) -> Channel {
    Endpoint::from_shared(format!("http://{}", tcp(running))).unwrap().connect().await.unwrap()
}

/// How a call ended.
struct Outcome {
    status: Status,
    request_id: String,
}

impl Outcome {
    fn reason(&self) -> String {
        self.status.get_error_details().error_info().map_or_else(String::new, |info| info.reason.clone())
    }
}

async fn call(client: &SendRequest<Body>, path: &str, headers: &[(&'static str, &str)]) -> Outcome {
    let mut request = Request::builder()
        .method("POST")
        .uri(format!("http://linli{path}"))
        .header("content-type", "application/grpc");
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", "Bearer secret");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = client.clone().send_request(request).await.unwrap();
    let response = response.map(Body::new);
    let request_id = response.headers().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    if let Some(status) = Status::from_header_map(response.headers()) {
        return Outcome { status, request_id };
    }
    let mut body = response.into_body();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Some(status) = frame.unwrap().trailers_ref().and_then(Status::from_header_map) {
            return Outcome { status, request_id };
        }
    }
    panic!("an answer without a status");
}

#[tokio::test]
async fn calls_through_the_layers() {
    let running = serve("").await;
    let client = connect(&running).await;
    let check = async |path: &str, headers: &[(&'static str, &str)], expect: (Code, &str)| {
        let headers = [headers, &[("x-request-id", "abc")]].concat();
        let found = call(&client, path, &headers).await;
        assert_eq!((found.status.code(), found.reason().as_str()), expect, "{path} {headers:?}");
        assert_eq!(found.request_id, "abc");
        let text = format!("{:?}", found.status);
        assert!(!text.contains("11010519491231002X") && !text.contains("440524188001010014"), "{text}");
        if found.status.code() != Code::Ok {
            let details = found.status.get_error_details();
            assert_eq!(details.request_info().unwrap().request_id, "abc");
            assert!(details.localized_message().is_some());
        }
    };
    check(PATH, &[], (Code::Ok, "")).await;
    check(PATH, &[("x-probe", "panic")], (Code::Internal, "INTERNAL")).await;
    check(PATH, &[("x-probe", "panic in body")], (Code::Internal, "INTERNAL")).await;
    let soon = ("grpc-timeout", "50m");
    check(PATH, &[("x-probe", "hang"), soon], (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")).await;
    check(PATH, &[("x-probe", "hang in body"), soon], (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")).await;
    check(PATH, &[("grpc-timeout", "soon")], (Code::InvalidArgument, "INVALID_FIELD")).await;
    check(PATH, &[("x-probe", "too large")], (Code::OutOfRange, "MESSAGE_TOO_LARGE")).await;
    check(PATH, &[("x-probe", "garbage")], (Code::InvalidArgument, "INVALID_FIELD")).await;
    check(PATH, &[("authorization", "Bearer guess")], (Code::Unauthenticated, "UNAUTHENTICATED")).await;
    check("/linli.v1.Made/Up", &[], (Code::PermissionDenied, "PERMISSION_DENIED")).await;
    // The connection outlives them all.
    check(PATH, &[], (Code::Ok, "")).await;
    assert_eq!(running.stop().await, Ended { cut: 0 });
}

#[tokio::test]
async fn the_server_has_a_deadline_of_its_own() {
    let running = serve("server.timeouts.request_ms = 100").await;
    let client = connect(&running).await;
    for headers in [&[("x-probe", "hang")][..], &[("x-probe", "hang"), ("grpc-timeout", "1H")]] {
        let found = call(&client, PATH, headers).await;
        assert_eq!(found.status.code(), Code::DeadlineExceeded);
    }
}

#[tokio::test]
async fn request_ids_are_made_where_none_is_fit() {
    let running = serve("").await;
    let client = connect(&running).await;
    let none = call(&client, PATH, &[]).await.request_id;
    let unfit = call(&client, PATH, &[("x-request-id", "two words")]).await.request_id;
    assert_eq!((none.len(), unfit.len()), (36, 36));
    assert_ne!(none, unfit);
}

#[tokio::test]
async fn a_call_too_many_is_refused_at_once() {
    let running = serve("server.limits.calls = 2").await;
    let client = connect(&running).await;
    let hang = |kind: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { call(&client, PATH, &[("x-probe", kind), ("grpc-timeout", "1H")]).await })
    };
    // One hangs before its head is out, one after: both keep their places.
    let hanging = [hang("hang"), hang("hang in body")];
    let admin = running.admin_address().unwrap();
    until(async || scrape(admin).await["linli_calls_at_work"] == 2.0).await;
    let started = Instant::now();
    let found = call(&client, PATH, &[]).await;
    assert_eq!((found.status.code(), found.reason().as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(found.status.get_error_details().retry_info().is_some());
    assert!(started.elapsed() < SOON);
    // Health has places of its own.
    assert_eq!(health(&channel(&running).await).await, Ok(1));
    for task in hanging {
        task.abort();
    }
    until(async || call(&client, PATH, &[]).await.status.code() == Code::Ok).await;
}

/// The health of the whole server: 1 SERVING, 2 NOT_SERVING.
async fn health(channel: &Channel) -> Result<i32, Code> {
    let request = HealthCheckRequest { service: "linli.v1.SiteService".into() };
    let answer = HealthClient::new(channel.clone()).check(request).await;
    answer.map(|answer| answer.into_inner().status).map_err(|status| status.code())
}

/// Waits until it holds; the test fails where it never does.
async fn until(holds: impl AsyncFn() -> bool) {
    let all = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, all).await.expect("it never came true");
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The figures without labels.
async fn scrape(address: SocketAddr) -> HashMap<String, f64> {
    let text = get(address, "/metrics").await;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

#[tokio::test]
async fn the_admin_listener() {
    let running = serve("").await;
    let admin = running.admin_address().unwrap();
    assert!(get(admin, "/healthz").await.ends_with("\r\n\r\nalive\n"));
    assert!(get(admin, "/readyz").await.starts_with("HTTP/1.1 200"));
    let client = connect(&running).await;
    call(&client, PATH, &[("x-probe", "panic")]).await;
    let figures = scrape(admin).await;
    assert_eq!((figures["linli_panics_total"], figures["linli_store_queue"]), (1.0, 0.0));
    let label = "linli_calls_total{method=\"linli.v1.SiteService/GetSite\",code=\"INTERNAL\"}";
    assert_eq!(figures[label], 1.0, "{figures:?}");
    // A peer that says nothing does not keep others from being answered.
    let _silent = TcpStream::connect(admin).await.unwrap();
    assert!(get(admin, "/healthz").await.starts_with("HTTP/1.1 200"));
}

/// How long the server keeps a connection that sends `bytes` and then nothing.
async fn kept(address: SocketAddr, bytes: &[u8]) -> Duration {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let started = Instant::now();
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("still open");
    started.elapsed()
}

#[tokio::test]
async fn silent_and_foreign_connections_are_closed() {
    let running = serve("server.timeouts.handshake_ms = 300").await;
    let address = tcp(&running);
    let (at_least, at_most) = (Duration::from_millis(290), Duration::from_secs(5));
    for bytes in [&b""[..], &PREFACE[..11], &PREFACE[..23]] {
        let kept = kept(address, bytes).await;
        assert!(kept > at_least && kept < at_most, "{bytes:?} kept for {kept:?}");
    }
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00"] {
        let kept = kept(address, bytes).await;
        assert!(kept < at_least, "{bytes:?} kept for {kept:?}");
    }
    let figures = scrape(running.admin_address().unwrap()).await;
    assert_eq!(figures["linli_connections_refused_total{reason=\"handshake\"}"], 5.0);
    assert_eq!(figures["linli_connections"], 0.0);
}

#[tokio::test]
async fn connections_are_capped() {
    let running = serve("server.limits.connections = 1").await;
    let client = connect(&running).await;
    assert_eq!(call(&client, PATH, &[]).await.status.code(), Code::Ok);
    assert!(kept(tcp(&running), PREFACE).await < Duration::from_secs(5));
    assert_eq!(call(&client, PATH, &[]).await.status.code(), Code::Ok);
    let figures = scrape(running.admin_address().unwrap()).await;
    assert_eq!(figures["linli_connections_refused_total{reason=\"full\"}"], 1.0);
}

/// Reads one HTTP/2 frame: its type and payload.
async fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).await.unwrap();
    (head[3], payload)
}

#[tokio::test]
async fn settings_announce_the_limits() {
    let running = serve("server.limits.streams_per_connection = 77").await;
    let mut stream = TcpStream::connect(tcp(&running)).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(SETTINGS).await.unwrap();
    let (kind, payload) = timeout(SOON, frame(&mut stream)).await.unwrap();
    assert_eq!(kind, 4, "the first frame is SETTINGS");
    let settings: HashMap<u16, u32> = payload
        .chunks_exact(6)
        .map(|pair| {
            (u16::from_be_bytes([pair[0], pair[1]]), u32::from_be_bytes(pair[2..].try_into().unwrap()))
        })
        .collect();
    // 3 MAX_CONCURRENT_STREAMS, 4 INITIAL_WINDOW_SIZE, 5 MAX_FRAME_SIZE, 6 MAX_HEADER_LIST_SIZE.
    assert_eq!(settings.get(&3), Some(&77));
    assert_eq!(settings.get(&4), Some(&limits::STREAM_WINDOW_BYTES));
    assert_eq!(settings.get(&6), Some(&limits::HEADER_LIST_BYTES));
    assert!(settings.get(&5).is_none_or(|size| *size == limits::FRAME_BYTES));
}

#[tokio::test]
async fn an_old_connection_is_asked_to_end() {
    let running = serve("server.timeouts.connection_age_s = 1").await;
    let mut stream = TcpStream::connect(tcp(&running)).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(SETTINGS).await.unwrap();
    let goaway = async {
        loop {
            // 7 is GOAWAY.
            if frame(&mut stream).await.0 == 7 {
                return;
            }
        }
    };
    timeout(SOON, goaway).await.expect("no GOAWAY");
}

#[tokio::test]
async fn a_unix_socket_serves_and_goes() {
    let folder = std::env::temp_dir().join(format!("linli-server-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("linli.sock");
    let running = serve(&format!("server.listen = \"unix:{}\"", path.display())).await;
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(SETTINGS).await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4);
    drop(stream);
    assert_eq!(running.stop().await, Ended { cut: 0 });
    assert!(!path.exists());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn stopping_lets_open_calls_finish() {
    let running = serve("server.timeouts.notice_ms = 500").await;
    let (address, admin) = (tcp(&running), running.admin_address().unwrap());
    let (client, channel) = (connect(&running).await, channel(&running).await);
    let open = {
        let client = client.clone();
        tokio::spawn(
            async move { call(&client, PATH, &[("x-probe", "hang"), ("grpc-timeout", "1500m")]).await },
        )
    };
    until(async || scrape(admin).await["linli_calls_at_work"] == 1.0).await;
    assert_eq!(health(&channel).await, Ok(1));
    let stopping = tokio::spawn(running.stop());
    // The notice: no longer ready, yet everything is answered.
    until(async || get(admin, "/readyz").await.starts_with("HTTP/1.1 503")).await;
    assert_eq!(health(&channel).await, Ok(2));
    assert_eq!(call(&client, PATH, &[]).await.status.code(), Code::Ok);
    // The drain: nobody new, but the open call gets its answer.
    until(async || TcpStream::connect(address).await.is_err()).await;
    assert_eq!(open.await.unwrap().status.code(), Code::DeadlineExceeded);
    assert_eq!(stopping.await.unwrap(), Ended { cut: 0 });
}

#[tokio::test]
async fn stopping_cuts_what_does_not_end() {
    let running = serve("server.timeouts.drain_ms = 200").await;
    let client = connect(&running).await;
    let admin = running.admin_address().unwrap();
    let open = tokio::spawn(async move {
        let request = Request::builder()
            .method("POST")
            .uri(format!("http://linli{PATH}"))
            .header("authorization", "Bearer secret");
        let request = request.header("x-probe", "hang").body(Body::empty()).unwrap();
        client.clone().send_request(request).await.map(|_| ())
    });
    until(async || scrape(admin).await["linli_calls_at_work"] == 1.0).await;
    let ended = timeout(SOON, running.stop()).await.expect("the drain has a deadline");
    assert_eq!(ended, Ended { cut: 1 });
    assert!(open.await.unwrap().is_err());
}

#[tokio::test]
async fn reflection_can_be_switched_off() {
    for (toml, expect) in [("server.reflection = true", true), ("server.reflection = false", false)] {
        let running = serve(toml).await;
        let client = connect(&running).await;
        for version in ["v1", "v1alpha"] {
            let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            let found = call(&client, &path, &[]).await;
            assert_eq!(found.status.code() == Code::Ok, expect, "{toml} {version} {:?}", found.status);
        }
    }
}

/// A HEADERS frame that opens a call of `Probe` on a stream, without compression.
fn open_call(stream_id: u32, probe: &str) -> Vec<u8> {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", PATH),
        (":authority", "linli"),
        ("authorization", "Bearer secret"),
        ("x-probe", probe),
    ];
    let mut block = Vec::new();
    for (name, value) in headers {
        // A literal field that is not indexed, with a new name (RFC 7541, 6.2.2).
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    // HEADERS with END_HEADERS and END_STREAM.
    frame_of(1, 5, stream_id, &block)
}

fn frame_of(kind: u8, flags: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream_id.to_be_bytes());
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn calls_over_the_announced_limit_are_refused() {
    let running = serve("server.limits.streams_per_connection = 10").await;
    let mut stream = TcpStream::connect(tcp(&running)).await.unwrap();
    let mut bytes = [PREFACE, SETTINGS].concat();
    for index in 0..15 {
        bytes.extend(open_call(2 * index + 1, "hang"));
    }
    stream.write_all(&bytes).await.unwrap();
    let mut refused = 0;
    while refused < 5 {
        // RST_STREAM with REFUSED_STREAM.
        let (kind, payload) = timeout(SOON, frame(&mut stream)).await.expect("too few are refused");
        refused += usize::from(kind == 3 && payload == [0, 0, 0, 7]);
    }
    let admin = running.admin_address().unwrap();
    until(async || scrape(admin).await["linli_calls_at_work"] == 10.0).await;
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let running = serve("").await;
    let mut stream = TcpStream::connect(tcp(&running)).await.unwrap();
    let mut bytes = [PREFACE, SETTINGS].concat();
    for index in 0..2000 {
        bytes.extend(open_call(2 * index + 1, "hang"));
        // RST_STREAM with CANCEL.
        bytes.extend(frame_of(3, 0, 2 * index + 1, &[0, 0, 0, 8]));
    }
    // The server may hang up before it has read everything.
    let _ = stream.write_all(&bytes).await;
    let mut rest = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("still open");
    let admin = running.admin_address().unwrap();
    until(async || scrape(admin).await["linli_connections"] == 0.0).await;
    until(async || scrape(admin).await["linli_calls_at_work"] == 0.0).await;
    let client = connect(&running).await;
    assert_eq!(call(&client, PATH, &[]).await.status.code(), Code::Ok);
}

#[tokio::test]
async fn headers_over_their_limit_are_refused() {
    let running = serve("").await;
    let client = connect(&running).await;
    let long = "x".repeat(limits::HEADER_LIST_BYTES as usize);
    let request = Request::builder().method("POST").uri(format!("http://linli{PATH}"));
    let request = request.header("authorization", "Bearer secret").header("x-long", long);
    let answer = client.clone().send_request(request.body(Body::empty()).unwrap()).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 431));
    assert_eq!(call(&client, PATH, &[]).await.status.code(), Code::Ok);
}
