//! What every end-to-end test works with: servers (in this process, as a process of their own, on SQLite and on
//! PostgreSQL), a client that can call every RPC, refusals taken apart, and a small estate.
//!
//! | module | what |
//! |---|---|
//! | `browser` | pages in a real browser: what they look like, and what a script finds in them |
//! | `client` | one `ask` for every RPC; the table of all of them is this suite's list |
//! | `server` | starting, stopping, killing, starting again on the same files |
//! | `issuer` | tokens of every kind, and staff whom they belong to |
//! | `estate` | a site with dwellings and elders, times and identity numbers |
//! | `story` | one request for every RPC, in an order in which all succeed |
//!
//! Nothing sleeps: what is waited for is a condition with a deadline ([`until`]).

pub mod browser;
pub mod client;
pub mod estate;
pub mod issuer;
pub mod server;
pub mod story;

use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// How long any condition may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A refusal, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub code: Code,
    /// Of `ErrorInfo`.
    pub reason: String,
    /// Of `ErrorInfo`.
    pub domain: String,
    /// Of `ErrorInfo`, sorted.
    pub metadata: Vec<(String, String)>,
    /// Field and description of every violation.
    pub violations: Vec<(String, String)>,
    /// Locale and words of `LocalizedMessage`.
    pub words: (String, String),
    pub request_id: String,
    /// Whether `RetryInfo` is there.
    pub retry: bool,
    /// The status's own message.
    pub message: String,
}

impl Refusal {
    /// Of a status, which must have every detail that all refusals have.
    #[track_caller]
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
        let words = details.localized_message().unwrap_or_else(|| panic!("no words in {status:?}"));
        let mut metadata: Vec<_> = info.metadata.clone().into_iter().collect();
        metadata.sort();
        Self {
            code: status.code(),
            reason: info.reason.clone(),
            domain: info.domain.clone(),
            metadata,
            violations: details
                .bad_request()
                .map(|bad| {
                    let pair = |v: &tonic_types::FieldViolation| (v.field.clone(), v.description.clone());
                    bad.field_violations.iter().map(pair).collect()
                })
                .unwrap_or_default(),
            words: (words.locale.clone(), words.message.clone()),
            request_id: details.request_info().map(|info| info.request_id.clone()).unwrap_or_default(),
            retry: details.retry_info().is_some_and(|info| info.retry_delay.is_some()),
            message: status.message().to_owned(),
        }
    }

    /// The refused fields, in order.
    pub fn fields(&self) -> Vec<&str> {
        self.violations.iter().map(|(field, _)| field.as_str()).collect()
    }
}

/// The refusal that `answer` must be, with this reason.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, reason: &str) -> Refusal {
    let status = match answer {
        Ok(answer) => panic!("not refused with {reason} but answered {answer:?}"),
        Err(status) => status,
    };
    let refusal = Refusal::of(&status);
    assert_eq!(refusal.reason, reason, "{status:?}");
    refusal
}

/// As [`refused`] with `INVALID_FIELD`: exactly these fields, in any order.
#[track_caller]
pub fn invalid<T: std::fmt::Debug>(answer: Result<T, Status>, fields: &[&str]) -> Refusal {
    let refusal = refused(answer, "INVALID_FIELD");
    assert_eq!(refusal.code, Code::InvalidArgument);
    let sorted = |mut fields: Vec<&str>| {
        fields.sort_unstable();
        fields.join(", ")
    };
    assert_eq!(sorted(refusal.fields()), sorted(fields.to_vec()), "{refusal:?}");
    refusal
}

/// Tries again until `probe`, which takes its time, gives something; fails after [`PATIENCE`].
#[track_caller]
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::yield_now();
    }
}

/// Whether a part stands anywhere in some bytes; nothing is no part.
pub fn holds(bytes: &[u8], part: impl AsRef<[u8]>) -> bool {
    let part = part.as_ref();
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

/// A small generator of numbers that repeats by its seed; the seed is printed by who makes it.
pub struct Numbers(u64);

impl Numbers {
    /// From `LINLI_TEST_SEED`, or from the clock; says which, so that a failure can be repeated.
    pub fn seeded(test: &str) -> Self {
        let seed = std::env::var("LINLI_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || {
            use linli_core::time::Clock;
            linli_service::time::SystemClock.now().micros().unsigned_abs()
        };
        let seed = seed.unwrap_or_else(now);
        eprintln!("{test}: LINLI_TEST_SEED={seed}");
        Self(seed)
    }

    /// From a number that another generator gave.
    pub fn from(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (splitmix64).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }
}
