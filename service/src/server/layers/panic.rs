//! A panic fails one call: INTERNAL with the request id. The hook has logged where it happened.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use hyper::{Request, Response};
use tonic::Status;
use tonic::body::Body;

use super::body::{Watch, Watched};
use super::{Around, Facts, Inner};
use crate::error::Error;
use crate::server::metrics::Metrics;

pub(super) struct CatchPanic {
    pub(super) metrics: Arc<Metrics>,
}

impl Around for CatchPanic {
    async fn around<S: Inner>(&self, request: Request<Body>, inner: S) -> Response<Body> {
        let facts = Facts::of(&request);
        let mut passed = pin!(async move { inner.pass(request).await });
        let caught = std::future::poll_fn(|cx| {
            match std::panic::catch_unwind(AssertUnwindSafe(|| passed.as_mut().poll(cx))) {
                Ok(polled) => polled.map(Some),
                Err(_) => Poll::Ready(None),
            }
        });
        match caught.await {
            Some(response) => {
                let watch = Watch::Panic(facts, Arc::clone(&self.metrics));
                response.map(|body| Watched::over(body, watch))
            }
            None => self::caught(&facts, &self.metrics).into_http(),
        }
    }
}

/// Counts a panic and gives the status that answers it.
pub(super) fn caught(facts: &Facts, metrics: &Metrics) -> Status {
    metrics.panics.fetch_add(1, Relaxed);
    facts.status(&Error::Internal("a handler panicked".into()))
}
