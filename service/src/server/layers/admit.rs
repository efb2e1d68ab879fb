//! Who calls: the gate turns credentials and metadata into the `Call` that handlers find in the request.
//! Health and reflection hold no data and need none.

use std::sync::Arc;

use hyper::{Request, Response};
use tonic::body::Body;

use super::{Around, Facts, Inner};
use crate::auth::gate::Gate;
use crate::error::Error;
use crate::server::connection::Peer;
use crate::server::strangers::Strangers;

pub(super) struct Admit {
    pub(super) gate: Arc<Gate>,
    pub(super) strangers: Arc<Strangers>,
}

impl Around for Admit {
    async fn around<S: Inner>(&self, mut request: Request<Body>, inner: S) -> Response<Body> {
        let facts = Facts::of(&request);
        if facts.open {
            return inner.pass(request).await;
        }
        let peer = request.extensions_mut().remove::<Peer>();
        let names = peer.as_ref().map_or(&[][..], |peer| &peer.names);
        match self.gate.admit(request.uri().path(), request.headers(), names, &facts.request_id) {
            Ok(call) => {
                // Handlers do not see credentials, so that none can be logged.
                request.headers_mut().remove(hyper::header::AUTHORIZATION);
                request.extensions_mut().insert(call);
                inner.pass(request).await
            }
            Err(error) => {
                if matches!(error, Error::Unauthenticated) {
                    self.strangers.count(peer.and_then(|peer| peer.address));
                }
                facts.refuse(&error)
            }
        }
    }
}
