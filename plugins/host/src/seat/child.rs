//! In processes of its own: as many as calls are made at one time, up to the limit. One that ends is replaced; one that
//! ends soon again is replaced later and later.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use linli_plugin_abi as abi;
use linli_plugin_abi::encode;

use super::Answered;
use super::hunt::{self, Part};
use crate::answer::Said;
use crate::batch::Batch;
use crate::child::{Home, Loss, Outcome, Process};
use crate::elf::Refusal;
use crate::error::CallError;
use crate::instance::Question;
use crate::plugin::Limits;

/// The wait after the second of several ends of a process without an answer between them; it doubles with each. The
/// first is replaced at once.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The processes of one plugin.
pub(crate) struct Children {
    home: Home,
    limits: Limits,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Process>,
    /// Processes that are idle, at work or being started.
    live: usize,
    /// Ends of processes since the last answer.
    ends: u32,
    /// No process is started before.
    not_before: Option<Instant>,
}

/// A call's time: when it is over, and how long a process may then take to stop.
#[derive(Clone, Copy)]
struct Time {
    end: Instant,
    deadline: Duration,
    /// While hunting, a process is replaced at once.
    hunting: bool,
}

impl Children {
    /// With one process that is started already, if there is one.
    pub(crate) fn new(home: Home, limits: &Limits, first: Option<Process>) -> Self {
        let state = State {
            live: usize::from(first.is_some()),
            idle: first.into_iter().collect(),
            ..State::default()
        };
        Self { home, limits: limits.clone(), state: Mutex::new(state), freed: Condvar::new() }
    }

    pub(super) fn ask(
        &self,
        question: Question,
        batch: Batch,
        deadline: Duration,
    ) -> Result<Answered, CallError> {
        let time = Time { end: Instant::now() + deadline, deadline, hunting: false };
        match self.ask_once(question, &batch.encoded, time)? {
            Outcome::Answered(records) => {
                Ok(Answered { batch, said: Said { records, manual: Vec::new() }, ends: 0 })
            }
            Outcome::Failed(error) => Err(with_deadline(error, deadline)),
            Outcome::Lost(Loss::Crashed { how }) => {
                tracing::warn!(plugin = %self.home.name, %how, rows = batch.len(),
                    "the plugin's process ended; looking for the resident over whom it does");
                let found = hunt::hunt(batch.encoded.rows(), |rows| {
                    let Some(part) = hunt::part(&batch.encoded, rows) else { return Ok(Part::NoTime) };
                    self.ask_part(question, &part, Time { hunting: true, ..time })
                })?;
                self.settled();
                Ok(Answered { batch, said: found.said, ends: found.ends })
            }
            Outcome::Lost(Loss::NotBegun { how }) => Err(CallError::Crashed { how }),
            Outcome::Lost(Loss::Overran) => Err(CallError::Overran { deadline }),
            Outcome::Lost(Loss::Misbehaved { what }) => Err(CallError::Misbehaved { what }),
        }
    }

    fn ask_part(&self, question: Question, part: &encode::Batch, time: Time) -> Result<Part, CallError> {
        if Instant::now() >= time.end {
            return Ok(Part::NoTime);
        }
        match self.ask_once(question, part, time)? {
            Outcome::Answered(records) => Ok(Part::Answered(records)),
            Outcome::Failed(CallError::TimedOut { .. }) | Outcome::Lost(Loss::Overran) => Ok(Part::NoTime),
            Outcome::Failed(error) => Err(error),
            Outcome::Lost(Loss::Crashed { .. }) => Ok(Part::Ended),
            Outcome::Lost(Loss::NotBegun { how }) => Err(CallError::Crashed { how }),
            Outcome::Lost(Loss::Misbehaved { what }) => Err(CallError::Misbehaved { what }),
        }
    }

    fn ask_once(
        &self,
        question: Question,
        batch: &encode::Batch,
        time: Time,
    ) -> Result<Outcome<Vec<abi::Finding>>, CallError> {
        let mut process = self.process(time)?;
        let records_max = batch.rows().saturating_mul(self.limits.findings_per_resident);
        let until = (time.end, self.limits.stop_grace);
        let outcome = process.ask(&self.home.name, question, batch, records_max, until);
        match &outcome {
            Outcome::Answered(_) | Outcome::Failed(_) => self.give_back(process),
            Outcome::Lost(_) => {
                drop(process); // ended and waited for before another takes its place
                self.lose(!time.hunting);
            }
        }
        Ok(outcome)
    }

    /// An idle process, or a new one while there are fewer than the limit.
    fn process(&self, Time { end, deadline, hunting }: Time) -> Result<Process, CallError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(process) = state.idle.pop() {
                return Ok(process);
            }
            let now = Instant::now();
            let wait = state.not_before.map(|at| at.saturating_duration_since(now));
            let wait = wait.filter(|wait| !wait.is_zero() && !hunting);
            let has_room = state.live < self.limits.workers.max(1);
            if has_room && wait.is_none() {
                state.live += 1;
                drop(state);
                return self.start();
            }
            let left = end.saturating_duration_since(now);
            match wait {
                Some(wait) if has_room && wait > left => {
                    let message = format!(
                        "it ended {} times without an answer and is started again in {} ms",
                        state.ends,
                        wait.as_millis()
                    );
                    return Err(CallError::NoProcess { message });
                }
                Some(_) | None if left.is_zero() => return Err(CallError::Busy { deadline }),
                Some(_) | None => {}
            }
            let wait = wait.filter(|_| has_room).map_or(left, |wait| wait.min(left));
            state = self.freed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn start(&self) -> Result<Process, CallError> {
        match self.home.start() {
            Ok((process, _)) => Ok(process),
            Err(Refusal { reason, .. }) => {
                self.lose(true);
                Err(CallError::NoProcess { message: reason })
            }
        }
    }

    fn give_back(&self, process: Process) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.idle.push(process);
        (state.ends, state.not_before) = (0, None);
        drop(state);
        self.freed.notify_one();
    }

    fn lose(&self, counts: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.live = state.live.saturating_sub(1);
        if counts {
            state.ends = state.ends.saturating_add(1);
            state.not_before = Some(Instant::now() + wait_after(state.ends));
        }
        drop(state);
        self.freed.notify_one();
    }

    /// A hunt is over, and counted as one fault: the next call is answered at once.
    fn settled(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.ends, state.not_before) = (0, None);
    }
}

/// How long to wait with another process after so many ended without an answer.
pub(super) fn wait_after(ends: u32) -> Duration {
    match ends.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => WAIT_FIRST.saturating_mul(1 << doublings.min(16)).min(WAIT_MAX),
    }
}

/// The process knows when its time was over, not how long it was.
pub(super) fn with_deadline(error: CallError, deadline: Duration) -> CallError {
    if matches!(error, CallError::TimedOut { .. }) { CallError::TimedOut { deadline } } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_replaced_at_once_and_then_later_and_later() {
        let waits: Vec<u128> = (0..14).map(|ends| wait_after(ends).as_millis()).collect();
        assert_eq!(
            waits,
            [0, 0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000]
        );
        assert_eq!(wait_after(u32::MAX), WAIT_MAX);
    }
}
