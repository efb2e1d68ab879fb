//! Commands for which several people may meet on one row: whoever loses decides again on what is there now.

use std::future::Future;

use super::Answer;
use crate::error::{Error, Result};

/// How often a call is tried that loses against others on the same row: each time one of them wins, so that this many people
/// would have to act on it within milliseconds.
const TRIES_MAX: u32 = 32;

/// Tries until the answer was not lost to somebody else.
pub(super) async fn contended<T, F>(attempt: impl Fn() -> F) -> Result<Answer<T>>
where
    F: Future<Output = Result<Option<Answer<T>>>>,
{
    for _ in 0..TRIES_MAX {
        if let Some(answer) = attempt().await? {
            return Ok(answer);
        }
    }
    Err(Error::EtagMismatch)
}

/// How often the server tries what nobody could be asked to try again.
const OWN_TRIES_MAX: u32 = 9;

/// Tries what the server does by itself until it was not lost to somebody else, and not put off because too much waits.
pub(super) async fn insisted<T, F>(attempt: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for _ in 1..OWN_TRIES_MAX {
        match attempt().await {
            Err(Error::EtagMismatch | Error::Overloaded) => {}
            answer => return answer,
        }
    }
    attempt().await
}

/// `None` for a commit that somebody else was ahead of.
pub(super) fn won<T>(committed: Result<Answer<T>>) -> Result<Option<Answer<T>>> {
    match committed {
        Err(Error::EtagMismatch) => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StateConflict;

    #[tokio::test]
    async fn who_always_loses_is_told_so_and_who_fails_is_not_asked_again() {
        let tries = std::cell::Cell::new(0);
        let lost = || {
            tries.set(tries.get() + 1);
            async { Ok(None::<Answer<()>>) }
        };
        let answer = contended(lost).await;
        assert!(matches!(answer, Err(Error::EtagMismatch)), "{answer:?}");
        assert_eq!(tries.get(), TRIES_MAX);
        let failing = || {
            tries.set(tries.get() + 1);
            async { Err::<Option<Answer<()>>, _>(Error::State(StateConflict::LineOverdrawn)) }
        };
        let answer = contended(failing).await;
        assert!(matches!(answer, Err(Error::State(StateConflict::LineOverdrawn))), "{answer:?}");
        assert_eq!(tries.get(), TRIES_MAX + 1);
    }
}
