//! The body of an answer, watched while it is sent: a call is over when its last frame is, not when its head is.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::HeaderMap;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::{Facts, trace::Meter};
use crate::error::Error;
use crate::server::metrics::Metrics;

/// What is done while a body is sent.
pub(super) enum Watch {
    /// A panic ends the body with INTERNAL.
    Panic(Facts, Arc<Metrics>),
    /// The time ends the body with DEADLINE_EXCEEDED.
    Until(Facts, Pin<Box<Sleep>>),
    /// The call's place is kept.
    Place(#[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit),
    /// The call is counted when it ends.
    Meter(Meter),
}

/// A body and what watches it.
pub(super) struct Watched {
    inner: Body,
    watch: Watch,
    over: bool,
}

impl Watched {
    /// The same body, watched.
    pub(super) fn over(inner: Body, watch: Watch) -> Body {
        Body::new(Self { inner, watch, over: false })
    }

    fn end_with(&mut self, status: &Status) -> Frame<Bytes> {
        self.over = true;
        self.inner = Body::empty();
        let mut trailers = HeaderMap::new();
        // The status is ours and its text has a header's shape.
        let _ = status.add_header(&mut trailers);
        Frame::trailers(trailers)
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        let inner = Pin::new(&mut this.inner);
        let polled = match &mut this.watch {
            Watch::Panic(facts, metrics) => {
                match std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll_frame(cx))) {
                    Ok(polled) => polled,
                    Err(_) => {
                        let status = super::panic::caught(facts, metrics);
                        return Poll::Ready(Some(Ok(this.end_with(&status))));
                    }
                }
            }
            Watch::Until(facts, sleep) => match inner.poll_frame(cx) {
                Poll::Pending if sleep.as_mut().poll(cx).is_ready() => {
                    let status = facts.status(&Error::DeadlineExceeded);
                    return Poll::Ready(Some(Ok(this.end_with(&status))));
                }
                polled => polled,
            },
            Watch::Place(_) => inner.poll_frame(cx),
            Watch::Meter(meter) => {
                let polled = inner.poll_frame(cx);
                meter.see(&polled);
                polled
            }
        };
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.over = true;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
