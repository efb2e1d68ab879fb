//! One operation of a connector, step by step.

use std::sync::Arc;
use std::time::Duration;

use linli_core::time::Instant;

use crate::connector::{self, ASKED, Asked};
use crate::error::CallError;
use crate::exchange::{Delivery, End, Field, Operation, OperationKind, Outcome, Start, Step};
use crate::plugin::{Core, Plugin};
use crate::seat::Session;

/// Steps of one run at most: reading and moving a thousand files, or asking about 500 referrals, takes fewer.
pub const STEPS_MAX: u32 = 5_000;
/// What of a disclosed value stands instead of it in a message.
const REDACTED: &str = "…";
/// Shortest value, in bytes, that is looked for in messages: one letter is in every text.
const VALUE_BYTES_MIN: usize = 4;

/// An operation under way. Dropping it ends it in the plugin.
pub struct Run {
    core: Arc<Core>,
    /// `None`: it is over.
    session: Option<Session>,
    operation: OperationKind,
    asked: Asked,
    steps: u32,
    /// What it was told, which no message may hold.
    disclosed: Vec<String>,
    /// What of that comes from a care file, which no reference may hold.
    personal: Vec<String>,
}

impl Plugin {
    /// Begins an operation of a connector: what it wants first. Blocks until that is there or the budget is spent.
    ///
    /// # Errors
    /// [`CallError`]; then nothing was sent anywhere.
    pub fn begin(&self, start: &Start, budget: Duration) -> Result<(Run, Step), CallError> {
        let core = Arc::clone(self.core());
        let no_connector = || CallError::Unfit { what: "it has rules, and is no connector".to_owned() };
        let runs = core.seat.runs().ok_or_else(no_connector)?;
        let manifest = core.manifest.connector.as_ref().ok_or_else(no_connector)?;
        let request = connector::request(manifest, start)?;
        let (disclosed, personal) = disclosed(&start.operation);
        let operation = start.operation.kind();
        let begun = core.watched(true, || {
            let (session, said) = runs.begin(request, budget).map_err(|error| redact(error, &disclosed))?;
            let step = connector::step(manifest, operation, &said)?;
            Ok((session, step))
        });
        let (session, step) = begun?;
        let asked = Asked::by(&step);
        let session = Some(session).filter(|_| asked != Asked::Nothing);
        let run = Run { core, session, operation, asked, steps: 1, disclosed, personal };
        let step = run.shown(step);
        Ok((run, step))
    }
}

impl Run {
    /// Says what came of the last step, and when; what the connector wants next. Blocks until that is there or the budget
    /// is spent. After an error, and after [`Step::End`], the run is over.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn step(&mut self, outcome: &Outcome, now: Instant, budget: Duration) -> Result<Step, CallError> {
        let Some(manifest) = self.core.manifest.connector.as_ref() else {
            return Err(CallError::WrongPlugin);
        };
        // What does not answer the step leaves the run where it is.
        let input = connector::input(self.asked, outcome, now)?;
        let over = || CallError::Unfit { what: "the run is over".to_owned() };
        let session = self.session.take().ok_or_else(over)?;
        let steps = self.steps;
        let step = self.core.watched(false, || {
            if steps >= STEPS_MAX {
                let what = format!("it has not ended after {STEPS_MAX} steps");
                return Err(CallError::Misbehaved { what });
            }
            let said = session.step(input, budget).map_err(|error| redact(error, &self.disclosed))?;
            connector::step(manifest, self.operation, &said)
        });
        let step = step.inspect_err(|_| self.asked = Asked::Nothing)?;
        self.steps += 1;
        self.asked = Asked::by(&step);
        self.session = Some(session).filter(|_| self.asked != Asked::Nothing);
        Ok(self.shown(step))
    }

    /// A step whose message or reference, if it has one, holds no disclosed value: both are shown to people who may not see those.
    fn shown(&self, step: Step) -> Step {
        match step {
            Step::End(End::Delivered { external_reference })
                if self.personal.iter().any(|value| external_reference.contains(value)) =>
            {
                Step::End(End::Delivered { external_reference: String::new() })
            }
            Step::End(End::Error { message, retry, retry_after }) => {
                let message = without(message, &self.disclosed);
                Step::End(End::Error { message, retry, retry_after })
            }
            step => step,
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({} of {}, {} steps)", self.operation.word(), self.core.manifest.id, self.steps)
    }
}

/// The values that a run is given, longest first, so that none is left in part; and those of them that come from a care file.
fn disclosed(operation: &Operation) -> (Vec<String>, Vec<String>) {
    let Operation::Deliver(Delivery { fields, answer_url, .. }) = operation else {
        return (Vec::new(), Vec::new());
    };
    let (mut all, mut personal) = (Vec::new(), Vec::new());
    for Field { code, value } in fields {
        if !ASKED.contains(&code.as_str()) {
            personal.push(value.clone());
        }
        all.push(value.clone());
    }
    // Whoever has the address can answer.
    all.push(answer_url.clone());
    for values in [&mut all, &mut personal] {
        values.retain(|value| value.len() >= VALUE_BYTES_MIN);
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    }
    (all, personal)
}

fn without(mut text: String, values: &[String]) -> String {
    for value in values {
        if text.contains(value.as_str()) {
            text = text.replace(value.as_str(), REDACTED);
        }
    }
    text
}

fn redact(error: CallError, values: &[String]) -> CallError {
    match error {
        CallError::Failed { status, message } => {
            CallError::Failed { status, message: without(message, values) }
        }
        CallError::Panicked { message } => CallError::Panicked { message: without(message, values) },
        CallError::Misbehaved { what } => CallError::Misbehaved { what: without(what, values) },
        error @ (CallError::Busy { .. }
        | CallError::Resting { .. }
        | CallError::Stopped
        | CallError::TimedOut { .. }
        | CallError::Hung { .. }
        | CallError::Overran { .. }
        | CallError::Crashed { .. }
        | CallError::NoProcess { .. }
        | CallError::Unfit { .. }
        | CallError::WrongPlugin
        | CallError::NoThread { .. }) => error,
    }
}
