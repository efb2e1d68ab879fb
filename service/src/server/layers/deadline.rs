//! A call ends by the client's `grpc-timeout` or the server's own limit, whichever is sooner: DEADLINE_EXCEEDED.
//! Commands run in tasks of their own and are not cut by it.

use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{Request, Response};
use linli_core::invalid::Invalid;
use tokio::time::sleep;
use tonic::body::Body;

use super::body::{Watch, Watched};
use super::{Around, Facts, Inner};
use crate::config::Timeouts;
use crate::error::{Error, Violation};
use crate::server::methods::Streams;

pub(super) struct Deadline {
    pub(super) timeouts: Timeouts,
}

impl Around for Deadline {
    async fn around<S: Inner>(&self, request: Request<Body>, inner: S) -> Response<Body> {
        let facts = Facts::of(&request);
        let wanted = match request.headers().get("grpc-timeout").map(parse) {
            None => None,
            Some(Some(timeout)) => Some(timeout),
            Some(None) => {
                let violation = Violation { field: "grpc-timeout".into(), why: Invalid::Unknown };
                return facts.refuse(&Error::Invalid(vec![violation]));
            }
        };
        let allowed = match facts.streams {
            Streams::Nothing => Some(self.timeouts.request),
            Streams::Requests => Some(self.timeouts.stream),
            // The connection's age ends them.
            Streams::Answers => None,
        };
        let Some(time) = wanted.into_iter().chain(allowed).min() else {
            return inner.pass(request).await;
        };
        let mut over = Box::pin(sleep(time));
        tokio::select! {
            biased;
            response = inner.pass(request) => {
                if response.headers().contains_key("grpc-status") {
                    return response;
                }
                response.map(|body| Watched::over(body, Watch::Until(facts, over)))
            }
            () = &mut over => facts.refuse(&Error::DeadlineExceeded),
        }
    }
}

/// Up to eight digits and a unit, as the gRPC protocol has it.
fn parse(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        let check = |text: &str, expect: Option<Duration>| {
            assert_eq!(parse(&HeaderValue::from_str(text).unwrap()), expect, "{text}");
        };
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3600)));
        check("2M", Some(Duration::from_secs(120)));
        check("1S", Some(Duration::from_secs(1)));
        check("250m", Some(Duration::from_millis(250)));
        check("7u", Some(Duration::from_micros(7)));
        check("0n", Some(Duration::ZERO));
        for wrong in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "999999999S", "1 S"] {
            check(wrong, None);
        }
    }
}
