//! Outermost: gives the call its request id and its span, and counts it when its answer is out.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Instant;

use hyper::body::{Bytes, Frame};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request, Response};
use linli_core::time::Clock;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::{Instrument as _, Span};

use super::body::{Watch, Watched};
use super::{Around, Facts, Inner};
use crate::auth::gate::language;
use crate::server::limits::REQUEST_ID_BYTES;
use crate::server::methods::Streams;
use crate::server::metrics::{Metrics, code_name};
use crate::time::IdSource;

/// The header that names a call, both ways.
const REQUEST_ID: &str = "x-request-id";

pub(super) struct Trace {
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
}

impl Around for Trace {
    async fn around<S: Inner>(&self, mut request: Request<Body>, inner: S) -> Response<Body> {
        let facts = self.facts(&request);
        let name = self.metrics.methods.get(facts.method).map_or("", |method| method.name.as_str());
        let span = tracing::info_span!("call", method = name, request_id = &*facts.request_id);
        let mut meter = Meter::start(Arc::clone(&self.metrics), facts.method, span.clone());
        let request_id = HeaderValue::from_str(&facts.request_id);
        if let Ok(value) = &request_id {
            // What follows, the gate included, speaks of the call by this one id.
            request.headers_mut().insert(REQUEST_ID, value.clone());
        }
        request.extensions_mut().insert(facts);
        let mut response = inner.pass(request).instrument(span).await;
        if let Ok(value) = request_id {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        meter.see_headers(response.headers());
        response.map(|body| Watched::over(body, Watch::Meter(meter)))
    }
}

impl Trace {
    fn facts(&self, request: &Request<Body>) -> Facts {
        let sent = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let request_id = match sent.filter(|id| acceptable(id)) {
            Some(id) => Arc::from(id),
            None => Arc::from(self.ids.next(self.clock.now())),
        };
        let method = self.metrics.methods.index_of(request.uri().path());
        let known = self.metrics.methods.get(method);
        Facts {
            request_id,
            language: language(request.headers()),
            method,
            streams: known.map_or(Streams::Nothing, |method| method.streams),
            open: known.is_some_and(|method| method.open),
        }
    }
}

/// Whether a client's id may stand in the log.
fn acceptable(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= REQUEST_ID_BYTES && id.bytes().all(plain)
}

/// Counts a call once: with the status of its head or of its trailers, or as cancelled when it is dropped before.
pub(super) struct Meter {
    metrics: Arc<Metrics>,
    method: usize,
    span: Span,
    started: Instant,
    counted: bool,
}

impl Meter {
    fn start(metrics: Arc<Metrics>, method: usize, span: Span) -> Self {
        metrics.at_work.fetch_add(1, Relaxed);
        Self { metrics, method, span, started: Instant::now(), counted: false }
    }

    /// Looks for a status in the head of an answer or in its trailers.
    fn see_headers(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.count(Code::from_bytes(code.as_bytes()));
        }
    }

    /// Looks for a status in what a body gave.
    pub(super) fn see(&mut self, polled: &Poll<Option<Result<Frame<Bytes>, Status>>>) {
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.see_headers(trailers);
                }
            }
            Poll::Ready(Some(Err(status))) => self.count(status.code()),
            Poll::Ready(None) => self.count(Code::Ok),
            Poll::Pending => {}
        }
    }

    fn count(&mut self, code: Code) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        let took = self.started.elapsed();
        self.metrics.at_work.fetch_sub(1, Relaxed);
        self.metrics.count(self.method, code, took);
        let (code_text, micros) = (code_name(code), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let _entered = self.span.enter();
        match code {
            Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss => {
                tracing::warn!(code = code_text, micros, "call failed");
            }
            Code::Ok
            | Code::Cancelled
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => tracing::debug!(code = code_text, micros, "call"),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.count(Code::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_of_clients() {
        let check = |id: &str, expect: bool| assert_eq!(acceptable(id), expect, "{id}");
        check("0192-abc_DEF.7", true);
        check("", false);
        check("two words", false);
        check("line\nfeed", false);
        check("\u{1b}[31m", false);
        check("姓名", false);
        check(&"x".repeat(64), true);
        check(&"x".repeat(65), false);
    }
}
