//! The two clocks and the source of ids: the only place that reads the machine's time.

use std::sync::atomic::{AtomicI64, Ordering};

use linli_core::time::{Clock, Instant};
use uuid::{ContextV7, Timestamp, Uuid};

/// The machine's clock: tokens, leases, audit; never simulated.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one reader of the machine's clock")]
    fn now(&self) -> Instant {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Instant::clamped(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

/// A care clock that moves only when told to, and never back.
#[derive(Debug)]
pub struct SimulatedClock {
    micros: AtomicI64,
    turn: tokio::sync::Mutex<()>,
}

impl SimulatedClock {
    /// A clock that stands at `start`.
    pub fn new(start: Instant) -> Self {
        Self { micros: AtomicI64::new(start.micros()), turn: tokio::sync::Mutex::new(()) }
    }

    /// Waits until nobody else is between reading the clock and moving it.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Moves to `to`; an earlier instant changes nothing. Returns where the clock stands.
    pub fn advance_to(&self, to: Instant) -> Instant {
        let before = self.micros.fetch_max(to.micros(), Ordering::AcqRel);
        Instant::clamped(before.max(to.micros()))
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        Instant::clamped(self.micros.load(Ordering::Acquire))
    }
}

/// Where new ids come from.
pub trait IdSource: Send + Sync {
    /// A fresh id: UUIDv7 text of `at`, later ids of one process sorting later.
    fn next(&self, at: Instant) -> String;
}

/// Ids from the operating system's randomness.
pub struct RandomIds {
    context: std::sync::Mutex<ContextV7>,
}

impl RandomIds {
    /// A fresh source.
    pub fn new() -> Self {
        Self { context: std::sync::Mutex::new(ContextV7::new()) }
    }
}

impl Default for RandomIds {
    fn default() -> Self {
        Self::new()
    }
}

impl IdSource for RandomIds {
    fn next(&self, at: Instant) -> String {
        let micros = u64::try_from(at.micros()).unwrap_or(0);
        let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
        let context = self.context.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Uuid::new_v7(Timestamp::from_unix(&*context, micros / 1_000_000, nanos)).hyphenated().to_string()
    }
}
