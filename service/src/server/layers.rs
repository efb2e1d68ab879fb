//! What every call passes on its way to a handler, in a fixed order; one concern per layer.
//!
//! A layer is one async function: [`Around::around`]. The services behind are always ready, so nothing waits in
//! `poll_ready`; what does not fit is refused at once.

mod admit;
mod body;
mod deadline;
mod explain;
mod panic;
mod seal;
mod shed;
mod trace;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::{Request, Response};
use linli_core::text::Language;
use linli_core::time::Clock;
use tonic::body::Body;
use tonic::service::Routes;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceBuilder};

use super::methods::Streams;
use super::metrics::Metrics;
use super::strangers::Strangers;
use crate::auth::gate::Gate;
use crate::config::{Limits, Timeouts};
use crate::error::Error;
use crate::grpc::status::status;
use crate::time::IdSource;

/// The services with every layer around them.
pub(super) type Stack = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What the layers work with.
pub(super) struct Means {
    pub(super) gate: Arc<Gate>,
    pub(super) sealed: bool,
    pub(super) strangers: Arc<Strangers>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
}

/// Assembles the layers, the outermost first. The order is part of the design:
/// everything is traced, even a refusal; a panic anywhere below is answered; no refusal waits; a sealed server asks
/// nobody for credentials that it has no use for; only who found a place is authenticated; what tonic refuses by itself is explained like everything else.
pub(super) fn stack(routes: Routes, means: &Means) -> Stack {
    let metrics = &means.metrics;
    let services = ServiceBuilder::new()
        .layer(around(trace::Trace {
            ids: Arc::clone(&means.ids),
            clock: Arc::clone(&means.clock),
            metrics: Arc::clone(metrics),
        }))
        .layer(around(panic::CatchPanic { metrics: Arc::clone(metrics) }))
        .layer(around(deadline::Deadline { timeouts: means.timeouts }))
        .layer(around(shed::Shed::new(means.limits.calls)))
        .layer(around(seal::Seal { sealed: means.sealed }))
        .layer(around(admit::Admit {
            gate: Arc::clone(&means.gate),
            strangers: Arc::clone(&means.strangers),
        }))
        .layer(around(explain::Explain))
        .service(routes.prepare());
    BoxCloneSyncService::new(services)
}

/// What the layers know of a call; the outermost one puts it into the request.
#[derive(Debug, Clone)]
struct Facts {
    /// The id under which logs and answers speak of the call.
    request_id: Arc<str>,
    /// The language of messages.
    language: Language,
    /// The row of the figures.
    method: usize,
    /// What streams.
    streams: Streams,
    /// Whether no credentials are needed.
    open: bool,
}

impl Facts {
    /// Takes the facts out of a request.
    fn of<B>(request: &Request<B>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_else(|| Self {
            request_id: Arc::from(""),
            language: Language::En,
            method: usize::MAX,
            streams: Streams::Nothing,
            open: false,
        })
    }

    /// The answer to a call that is refused.
    fn refuse(&self, error: &Error) -> Response<Body> {
        self.status(error).into_http()
    }

    fn status(&self, error: &Error) -> tonic::Status {
        status(error, self.language, &self.request_id)
    }
}

/// A layer as one async function.
trait Around: Send + Sync + 'static {
    /// Handles a request, by `inner` or instead of it.
    fn around<S: Inner>(
        &self,
        request: Request<Body>,
        inner: S,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// A service that a layer stands around.
trait Inner: Clone + Send + 'static {
    /// Hands the request on.
    fn pass(self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;
}

impl<S> Inner for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    async fn pass(self, request: Request<Body>) -> Response<Body> {
        match tower::ServiceExt::oneshot(self, request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The tower layer of an [`Around`].
fn around<A>(layer: A) -> AroundLayer<A> {
    AroundLayer(Arc::new(layer))
}

struct AroundLayer<A>(Arc<A>);

impl<A, S> Layer<S> for AroundLayer<A> {
    type Service = Surrounded<A, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Surrounded { layer: Arc::clone(&self.0), inner }
    }
}

struct Surrounded<A, S> {
    layer: Arc<A>,
    inner: S,
}

impl<A, S: Clone> Clone for Surrounded<A, S> {
    fn clone(&self) -> Self {
        Self { layer: Arc::clone(&self.layer), inner: self.inner.clone() }
    }
}

impl<A: Around, S: Inner> Service<Request<Body>> for Surrounded<A, S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (layer, inner) = (Arc::clone(&self.layer), self.inner.clone());
        Box::pin(async move { Ok(layer.around(request, inner).await) })
    }
}
