//! Who calls: the gate turns credentials and metadata into the `Call` that handlers find in the request.
//! Health and reflection hold no data and need none.

use std::sync::Arc;

use hyper::{Request, Response};
use tonic::body::Body;

use super::{Around, Facts, Inner};
use crate::auth::gate::Gate;

pub(super) struct Admit {
    pub(super) gate: Arc<Gate>,
}

impl Around for Admit {
    async fn around<S: Inner>(&self, mut request: Request<Body>, inner: S) -> Response<Body> {
        let facts = Facts::of(&request);
        if facts.open {
            return inner.pass(request).await;
        }
        match self.gate.admit(request.uri().path(), request.headers(), &facts.request_id) {
            Ok(call) => {
                // Handlers do not see credentials, so that none can be logged.
                request.headers_mut().remove(hyper::header::AUTHORIZATION);
                request.extensions_mut().insert(call);
                inner.pass(request).await
            }
            Err(error) => facts.refuse(&error),
        }
    }
}
