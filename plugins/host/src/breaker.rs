//! When to stop calling a plugin that fails: a breaker over monotonic time, which the caller passes in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Faults within [`FAULT_WINDOW`] that make a plugin rest.
pub(crate) const FAULTS_MAX: usize = 5;
/// How long a fault is remembered.
pub(crate) const FAULT_WINDOW: Duration = Duration::from_secs(10 * 60);
/// How long a plugin rests.
pub(crate) const REST: Duration = Duration::from_secs(60);
/// Threads that may be lost at one time to calls that do not return before the plugin is stopped: each costs memory and
/// possibly a core until it returns after all.
pub(crate) const LOST_MAX: usize = 3;

/// Whether a plugin is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It is.
    Ready,
    /// Not before this time has passed: faults became too many, or a call hung.
    Resting {
        /// What is left of the rest.
        retry_in: Duration,
    },
    /// Not before the operator resets it: too many calls hung.
    Stopped,
}

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    faults: VecDeque<Instant>,
    rest_until: Option<Instant>,
    /// Lost threads of which the operator knows.
    forgiven: usize,
}

impl Breaker {
    /// Whether the plugin is called, with so many threads lost at present.
    pub(crate) fn health(&self, now: Instant, lost: usize) -> Health {
        if lost.saturating_sub(self.forgiven) >= LOST_MAX {
            return Health::Stopped;
        }
        match self.rest_until.map(|until| until.saturating_duration_since(now)) {
            Some(retry_in) if !retry_in.is_zero() => Health::Resting { retry_in },
            Some(_) | None => Health::Ready,
        }
    }

    /// A panic, a failure or an answer that is not acceptable.
    pub(crate) fn fault(&mut self, now: Instant) {
        self.faults.push_back(now);
        while self.faults.front().is_some_and(|at| now.saturating_duration_since(*at) > FAULT_WINDOW) {
            self.faults.pop_front();
        }
        if self.faults.len() >= FAULTS_MAX {
            self.faults.clear();
            self.rest_until = Some(now + REST);
        }
    }

    /// A call that did not return: trips at once.
    pub(crate) fn hang(&mut self, now: Instant) {
        self.rest_until = Some(now + REST);
    }

    /// Begins anew, with so many threads lost at present.
    pub(crate) fn reset(&mut self, lost: usize) {
        *self = Self { forgiven: lost, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_faults_in_ten_minutes_rest_for_one() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::default();
        for second in [0, 1, 2, 3] {
            breaker.fault(at(second));
        }
        assert_eq!(breaker.health(at(3), 0), Health::Ready);
        breaker.fault(at(700)); // the first four are forgotten
        assert_eq!(breaker.health(at(700), 0), Health::Ready);
        for second in [701, 702, 703, 704] {
            breaker.fault(at(second));
        }
        assert_eq!(breaker.health(at(705), 0), Health::Resting { retry_in: Duration::from_secs(59) });
        assert_eq!(breaker.health(at(764), 0), Health::Ready);
    }

    #[test]
    fn hangs_rest_at_once_and_stop_while_three_threads_are_lost() {
        let start = Instant::now();
        let later = start + FAULT_WINDOW;
        let mut breaker = Breaker::default();
        breaker.hang(start);
        assert!(matches!(breaker.health(start, 1), Health::Resting { .. }));
        let after = |lost, expected| assert_eq!(breaker.health(later, lost), expected);
        after(2, Health::Ready);
        after(3, Health::Stopped);
        after(2, Health::Ready); // one returned after all
        breaker.reset(3);
        assert_eq!(breaker.health(start, 3), Health::Ready);
        assert_eq!(breaker.health(start, 6), Health::Stopped);
    }
}
