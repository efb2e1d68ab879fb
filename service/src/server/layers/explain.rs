//! Innermost: statuses that tonic makes by itself (a message too large, one that does not decode) get the same shape
//! as ours: a reason, the request id, a message in the caller's language.

use hyper::{Request, Response};
use linli_core::invalid::Invalid;
use tonic::body::Body;
use tonic::{Code, Status};

use super::{Around, Facts, Inner};
use crate::error::{Error, Violation};

pub(super) struct Explain;

impl Around for Explain {
    async fn around<S: Inner>(&self, request: Request<Body>, inner: S) -> Response<Body> {
        let facts = Facts::of(&request);
        let response = inner.pass(request).await;
        if facts.open {
            return response;
        }
        match Status::from_header_map(response.headers()) {
            Some(status) if status.details().is_empty() => match error_of(status.code()) {
                Some(error) => facts.refuse(&error),
                None => response,
            },
            Some(_) | None => response,
        }
    }
}

/// What a bare status of tonic means; `None`: it keeps its own words.
fn error_of(code: Code) -> Option<Error> {
    match code {
        Code::OutOfRange => Some(Error::MessageTooLarge),
        // Our handlers never answer so without details: it is a message that does not decode.
        Code::Internal | Code::InvalidArgument => {
            Some(Error::Invalid(vec![Violation { field: "message".into(), why: Invalid::Unknown }]))
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unimplemented
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => None,
    }
}
