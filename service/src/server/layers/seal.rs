//! A sealed server: whatever would need the root key is refused before anybody is asked for credentials, as whether the
//! server can read files is no secret. Health and reflection answer, and `GetServerInfo` to whoever may call it.

use hyper::{Request, Response};
use tonic::body::Body;

use super::{Around, Facts, Inner};
use crate::auth::table::SERVER_INFO;
use crate::error::Error;

pub(super) struct Seal {
    pub(super) sealed: bool,
}

impl Around for Seal {
    async fn around<S: Inner>(&self, request: Request<Body>, inner: S) -> Response<Body> {
        let facts = Facts::of(&request);
        if self.sealed && !facts.open && request.uri().path().strip_prefix('/') != Some(SERVER_INFO) {
            return facts.refuse(&Error::Sealed);
        }
        inner.pass(request).await
    }
}
