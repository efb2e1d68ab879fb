//! The ladder after contacts that did not reach the person: each failed try opens the next step.
//!
//! A call to the emergency contact that was made proves nothing about the person: it opens the door check like a failed
//! try, unless the door check is already open. Somebody's word that they are safe is an event of its own.

use crate::applied::AppliedSpan;
use crate::kind::{EventKind, ServiceKind};
use crate::mutant::{Mutant, planted};
use crate::obligation::triggered::{Answer, Trigger};
use crate::obligation::view::View;
use crate::obligation::{ENTRY_GRACE_HOURS, EVENING_HOUR, MORNING_HOUR, Opening};
use crate::record::{Outcome, SubjectRecord};
use crate::standard::{Duty, LadderStep, Within};
use crate::time::{CivilDate, Instant};

/// How many failed tries a call to the emergency contact stands for: the step after them is the check at the door.
const EMERGENCY_CALL_STANDS_FOR: u32 = 3;

/// The failed tries that open a step. Every failed try opens a standard that names no step.
pub(super) fn triggers<'a>(view: &View<'a>, span: &AppliedSpan) -> Vec<Trigger<'a>> {
    let Duty::Triggered { within, .. } = span.standard.duty else { return Vec::new() };
    let mut triggers = Vec::new();
    let proofs = proofs_of_safety(view);
    // Failed tries since the last proof, in order: a proof between two tries starts the count again.
    let mut count: u32 = 0;
    let mut last_try = Instant::MIN;
    for (position, failed) in view.records.iter().enumerate() {
        let proven = proofs.iter().any(|proof| last_try <= *proof && *proof < failed.occurred_at)
            && !planted(Mutant::LadderForgetsProof);
        count = match failed.outcome {
            Outcome::NotReached if proven => 1,
            Outcome::NotReached => count + 1,
            Outcome::Done if calls_emergency_contact(failed, span) && !proven => match count {
                1..EMERGENCY_CALL_STANDS_FOR => EMERGENCY_CALL_STANDS_FOR,
                // Nobody is missing, or the door is already asked for.
                _ => continue,
            },
            Outcome::Done | Outcome::Declined | Outcome::NotDone => continue,
        };
        last_try = failed.occurred_at;
        if let Some(LadderStep { attempt, .. }) = span.standard.ladder
            && u32::from(attempt) != count + 1
        {
            continue;
        }
        let grace = failed.occurred_at.plus_hours(ENTRY_GRACE_HOURS);
        let start = if failed.recorded_at > grace { failed.recorded_at } else { failed.occurred_at };
        let quiet = span.standard.ladder.is_some_and(|step| step.quiet_hours);
        triggers.push(Trigger {
            opening: Opening::Record(failed.id.clone()),
            start,
            due: clock(within, start).map(|due| if quiet { after_quiet_hours(view, due) } else { due }),
            answer: answer(view, span, failed, view.records.get(position + 1..).unwrap_or_default(), &proofs),
        });
    }
    triggers
}

/// Whether the emergency contact was called, which opens a numbered step only.
fn calls_emergency_contact(record: &SubjectRecord, span: &AppliedSpan) -> bool {
    record.kind == ServiceKind::EmergencyContactCall
        && span.standard.ladder.is_some()
        && !planted(Mutant::EmergencyCallEndsLadder)
}

/// When a step is due; `None` for civil days, which the engine counts itself.
fn clock(within: Within, start: Instant) -> Option<Instant> {
    match within {
        Within::Minutes(minutes) => Some(start.plus_minutes(i64::from(minutes))),
        Within::Hours(hours) => Some(start.plus_hours(i64::from(hours))),
        Within::Days(_) => None,
    }
}

/// A try due between 21:00 and 08:00 is due at 08:00.
fn after_quiet_hours(view: &View<'_>, due: Instant) -> Instant {
    if planted(Mutant::QuietHoursIgnored) {
        return due;
    }
    let day = view.zone.date_of(due);
    let morning = |day: CivilDate| view.zone.at(day, MORNING_HOUR, 0);
    if due < morning(day) {
        morning(day)
    } else if due >= view.zone.at(day, EVENING_HOUR, 0) {
        morning(day.plus_days(1))
    } else {
        due
    }
}

/// When somebody saw, heard or read the person, or family, a neighbour or a guard confirmed that they are safe.
fn proofs_of_safety(view: &View<'_>) -> Vec<Instant> {
    let contacts =
        view.records.iter().filter(|record| proves_safety(record)).map(|record| record.occurred_at);
    let confirmed = view.case.events.iter().filter(|event| {
        event.kind == EventKind::SafetyConfirmed
            && event.recorded_at <= view.now
            && event.subject == *view.case.subject
    });
    contacts.chain(confirmed.map(|event| event.occurred_at)).collect()
}

fn proves_safety(record: &SubjectRecord) -> bool {
    record.outcome == Outcome::Done && record.kind.proves_safety()
}

/// The earliest of: a later try of an accepted kind, reached or not (but a report that reached no authority is none);
/// a proof of safety at or after the failed try.
fn answer<'a>(
    view: &View<'a>,
    span: &AppliedSpan,
    failed: &SubjectRecord,
    later: &[&'a SubjectRecord],
    proofs: &[Instant],
) -> Answer<'a> {
    let accepts = span.standard.accepts.union(span.substitutes);
    let tried = later.iter().find(|record| match record.outcome {
        Outcome::Done => accepts.contains(record.kind),
        Outcome::NotReached => {
            let reported =
                record.kind != ServiceKind::AuthorityReport || planted(Mutant::UnmadeReportAnswers);
            reported && accepts.contains(record.kind)
        }
        Outcome::Declined | Outcome::NotDone => false,
    });
    let proof = proofs.iter().copied().filter(|proof| *proof >= failed.occurred_at).min();
    match (tried, proof) {
        (Some(record), Some(proof)) if proof < record.occurred_at => of_proof(view, proof),
        (Some(record), _) => Answer::Record(record),
        (None, Some(proof)) => of_proof(view, proof),
        (None, None) => Answer::None,
    }
}

/// A proof by a contact is credited to its record, one by word of mouth is a fact.
fn of_proof<'a>(view: &View<'a>, at: Instant) -> Answer<'a> {
    let contact = view.records_between(at, at).iter().copied().find(|record| proves_safety(record));
    contact.map_or(Answer::Fact(at), Answer::Record)
}
