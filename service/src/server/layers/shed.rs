//! A call that finds no place is refused at once: RESOURCE_EXHAUSTED. Its place is free when its answer is out.
//! Calls without credentials have places of their own.

use std::sync::Arc;

use hyper::{Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;

use super::body::{Watch, Watched};
use super::{Around, Facts, Inner};
use crate::error::Error;
use crate::server::limits::OPEN_CALLS;

pub(super) struct Shed {
    places: Arc<Semaphore>,
    open_places: Arc<Semaphore>,
}

impl Shed {
    pub(super) fn new(calls: u32) -> Self {
        Self {
            places: Arc::new(Semaphore::new(usize::try_from(calls).unwrap_or(Semaphore::MAX_PERMITS))),
            open_places: Arc::new(Semaphore::new(OPEN_CALLS)),
        }
    }
}

impl Around for Shed {
    async fn around<S: Inner>(&self, request: Request<Body>, inner: S) -> Response<Body> {
        let facts = Facts::of(&request);
        let places = if facts.open { &self.open_places } else { &self.places };
        match Arc::clone(places).try_acquire_owned() {
            Ok(place) => {
                let response = inner.pass(request).await;
                response.map(|body| Watched::over(body, Watch::Place(place)))
            }
            Err(_) => facts.refuse(&Error::Overloaded),
        }
    }
}
