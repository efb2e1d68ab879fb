//! Triggered duties: an answer within a time from each event.

use std::sync::Arc;

use crate::applied::{Applied, AppliedSpan};
use crate::calendar::CalendarError;
use crate::id::EventId;
use crate::kind::EventKind;
use crate::mutant::{Mutant, planted};
use crate::obligation::view::{View, union};
use crate::obligation::{
    ENTRY_GRACE_HOURS, Excuse, Flags, Obligation, ObligationStatus, Opening, ladder, status,
};
use crate::record::{Outcome, SubjectRecord};
use crate::standard::{Duty, Within};
use crate::time::{CivilDate, DateRange, Instant};

/// Something that started a clock, with the answer that it found.
pub(super) struct Trigger<'a> {
    pub(super) opening: Opening,
    /// When the clock started.
    pub(super) start: Instant,
    /// When it must be answered, where that is not simply the standard's time after `start`.
    pub(super) due: Option<Instant>,
    pub(super) answer: Answer<'a>,
}

/// What answered an event.
pub(super) enum Answer<'a> {
    /// Nothing yet.
    None,
    /// A service record, which earns credit.
    Record(&'a SubjectRecord),
    /// Something else, at an instant: the person returned, somebody confirmed their safety.
    Fact(Instant),
}

impl Answer<'_> {
    /// When care was given, for records; when it was known, for facts.
    pub(super) fn at(&self) -> Option<Instant> {
        match self {
            Self::None => None,
            Self::Record(record) => Some(record.occurred_at),
            Self::Fact(at) => Some(*at),
        }
    }
}

pub(super) fn collect(
    view: &View<'_>,
    applied: &Applied,
    range: DateRange,
    found: &mut Vec<Obligation>,
) -> Result<(), CalendarError> {
    let from = found.len();
    for span in &applied.spans {
        let Duty::Triggered { on, any_match, .. } = span.standard.duty else { continue };
        for trigger in triggers(view, span, on, any_match) {
            if let Some(obligation) = obligation(view, applied, span, trigger, range)? {
                found.push(obligation);
            }
        }
    }
    if let Some(new) = found.get_mut(from..) {
        new.sort_by(|a, b| (a.start, &a.opening).cmp(&(b.start, &b.opening)));
    }
    Ok(())
}

/// What started clocks for a standard, before it is asked whether the standard applied then.
fn triggers<'a>(view: &View<'a>, span: &AppliedSpan, on: EventKind, any_match: bool) -> Vec<Trigger<'a>> {
    match on {
        EventKind::PauseOverdue => overdue(view, span, any_match),
        EventKind::ServiceDone => view.records.iter().map(|record| recording(record)).collect(),
        EventKind::ContactNotReached => ladder::triggers(view, span),
        EventKind::HouseholdMovedIn
        | EventKind::ChangeReported
        | EventKind::SafetyConfirmed
        | EventKind::Discharged
        | EventKind::MajorChange
        | EventKind::ExtremeWeather
        | EventKind::RequestSubmitted
        | EventKind::RequestAccepted
        | EventKind::RequestDispatched
        | EventKind::RequestDone
        | EventKind::RequestReviewDue
        | EventKind::ReferralSent
        | EventKind::ReferralAccepted => {
            let events = view.case.events.iter().filter(|event| {
                event.kind == on && event.recorded_at <= view.now && event.subject == *view.case.subject
            });
            let triggers = events.map(|event| Trigger {
                opening: Opening::Event(event.id.clone()),
                start: event.occurred_at,
                due: None,
                answer: answer(view, span, event.occurred_at, Some(&event.id), any_match),
            });
            triggers.collect()
        }
    }
}

/// The first record at or after `from` that answers: its kind fits, and it names the event or any will do.
fn answer<'a>(
    view: &View<'a>,
    span: &AppliedSpan,
    from: Instant,
    event: Option<&EventId>,
    any_match: bool,
) -> Answer<'a> {
    let accepts = span.standard.accepts.union(span.substitutes);
    let from = if planted(Mutant::AnswersEarlierRecord) { Instant::MIN } else { from };
    let mut after = view.records_between(from, Instant::MAX).iter();
    let first = after.find(|record| {
        let names = event.is_some_and(|event| record.answers.contains(event));
        record.outcome == Outcome::Done
            && accepts.contains(record.kind)
            && (any_match || names || planted(Mutant::AnswersNotRead))
    });
    first.map_or(Answer::None, |record| Answer::Record(record))
}

/// Each record starts the clock of its own recording.
fn recording(record: &SubjectRecord) -> Trigger<'_> {
    Trigger {
        opening: Opening::Record(record.id.clone()),
        start: record.occurred_at,
        due: None,
        answer: Answer::Fact(record.recorded_at),
    }
}

/// When a pause's expected return comes without a return having been recorded: the start of that day, or the moment
/// of recording where the pause was recorded later. `None` where the return was known by then.
fn overdue_from(view: &View<'_>, pause: &crate::pause::Pause) -> Option<(Instant, Option<Instant>)> {
    let start = view.zone.start_of(pause.expected_return).max(pause.recorded_at);
    let ended = pause.ended.filter(|end| end.recorded_at <= view.now);
    match ended {
        Some(end) if end.recorded_at <= start && end.returned_on <= pause.expected_return => None,
        Some(end) => Some((start, Some(end.recorded_at))),
        None => Some((start, None)),
    }
}

/// Pauses that outlived their expected return, until now.
fn overdue<'a>(view: &View<'a>, span: &AppliedSpan, any_match: bool) -> Vec<Trigger<'a>> {
    let mut triggers = Vec::new();
    for known in &view.pauses {
        let Some((start, returned)) = overdue_from(view, known.pause) else { continue };
        if start > view.now {
            continue;
        }
        let contact = answer(view, span, start, None, any_match);
        let answer = match returned.map(|at| at.max(start)) {
            Some(returned) if contact.at().is_none_or(|at| returned < at) => Answer::Fact(returned),
            Some(_) | None => contact,
        };
        let opening = Opening::PauseOverdue(known.pause.id.clone());
        triggers.push(Trigger { opening, start, due: None, answer });
    }
    triggers
}

/// When the next pause known today outlives its expected return.
pub(super) fn next_overdue(view: &View<'_>) -> Option<Instant> {
    let starts = view.pauses.iter().filter_map(|known| overdue_from(view, known.pause));
    starts.map(|(start, _)| start).filter(|start| *start > view.now).min()
}

fn obligation(
    view: &View<'_>,
    applied: &Applied,
    span: &AppliedSpan,
    trigger: Trigger<'_>,
    range: DateRange,
) -> Result<Option<Obligation>, CalendarError> {
    let Trigger { opening, start, due, answer } = trigger;
    let standard = &span.standard;
    let day = view.zone.date_of(start);
    if day >= range.end() || !span.days.contains(day) {
        return Ok(None);
    }
    let tenure_end = match view.tenure_at(day) {
        Some(end) => end,
        None if planted(Mutant::TenureIgnored) => CivilDate::MAX,
        None => return Ok(None),
    };
    let (due, late_pause) = match due {
        Some(due) => (due, false),
        None => deadline(view, span, start, day),
    };
    let last_day = view.zone.date_of(due);
    let waived = applied.waivers.iter().any(|waiver| {
        waiver.recorded_at <= view.now && waiver.days.contains(day) && !planted(Mutant::WaiverIgnored)
    });
    let days = DateRange::new(day, last_day.max(day).plus_days(1));
    let answered = answer.at();
    let end = (tenure_end < CivilDate::MAX).then(|| view.zone.start_of(tenure_end));
    let over = end.filter(|end| *end <= due);
    let mut excuse = None;
    let (status, next_change_at) = match (waived, answered, over) {
        (true, _, _) => {
            excuse = Some(Excuse::Waiver);
            (ObligationStatus::Excused, None)
        }
        (false, Some(at), _) if at < due || (at == due && !planted(Mutant::DeadlineIsExclusive)) => {
            (ObligationStatus::Met, None)
        }
        (false, Some(_), _) => (ObligationStatus::MetLate, None),
        (false, None, Some(over)) if view.now >= over => {
            excuse = Some(Excuse::Ended);
            (ObligationStatus::Excused, None)
        }
        (false, None, over) => {
            let (status, next) = status::unmet(view, days, start, due);
            // Also what was missed closes with the end of care.
            let end = end.filter(|end| view.now < *end);
            let closes = if status == ObligationStatus::Missed { end } else { over };
            (status, next.into_iter().chain(closes).min())
        }
    };
    // Nobody can answer for the dead: what was missed before the end stays missed and is open no more.
    let care_ended = status == ObligationStatus::Missed
        && end.is_some_and(|end| view.now >= end)
        && !planted(Mutant::EndedStaysOpen);
    let settled = match (excuse.is_some(), answered) {
        (true, _) => Some(last_day),
        (false, Some(at)) => Some(last_day.max(view.zone.date_of(at))),
        (false, None) if care_ended => Some(last_day.max(tenure_end.plus_days(-1))),
        (false, None) => None,
    };
    if settled.is_some_and(|settled| settled < range.start()) {
        return Ok(None);
    }
    let credited = match answer {
        Answer::Record(record) => Some(record),
        Answer::None | Answer::Fact(_) => None,
    };
    let grace = due.plus_hours(ENTRY_GRACE_HOURS);
    let late_entry = credited.is_some_and(|record| record.recorded_at > grace);
    let eligible = DateRange::new(day, days.end().min(tenure_end)).len().unsigned_abs();
    Ok(Some(Obligation {
        subject: view.case.subject.clone(),
        standard: Arc::clone(standard),
        opening,
        window: days,
        start,
        due,
        required: u16::from(excuse.is_none()),
        credited: u16::from(answered.is_some()),
        credits: credited.iter().map(|record| record.id.clone()).collect(),
        accepts: standard.accepts.union(span.substitutes),
        eligible_days: eligible,
        active_days: if waived { 0 } else { eligible },
        excuse,
        status,
        flags: Flags { late_entry, late_pause, care_ended },
        met_at: answered,
        next_change_at,
    }))
}

/// The last instant that counts (Civil Code Art. 200–204): hours and minutes run from the instant; of days, the first
/// does not count and the last counts to its end. Pauses move `Days` deadlines of pausable standards.
fn deadline(view: &View<'_>, span: &AppliedSpan, start: Instant, day: CivilDate) -> (Instant, bool) {
    let Duty::Triggered { within, .. } = span.standard.duty else { return (start, false) };
    match within {
        Within::Minutes(minutes) => (start.plus_minutes(i64::from(minutes)), false),
        Within::Hours(hours) => (start.plus_hours(i64::from(hours)), false),
        Within::Days(count) => {
            let mut count = i32::try_from(count).unwrap_or(i32::MAX);
            if planted(Mutant::StartDayCounts) {
                count = (count - 1).max(0);
            }
            let due = view.end_of(day.plus_days(count));
            if !span.standard.pausable || view.pauses.is_empty() || count == 0 {
                return (due, false);
            }
            let after = DateRange::from(day.plus_days(1));
            let blocked = view.blocked(&[after], due, !planted(Mutant::PausedDaysDoNotMoveDeadline), &[]);
            // Walk over the gaps between paused days until enough days have passed.
            let (mut left, mut next) = (count, after.start());
            for paused in union(blocked.days) {
                let free = DateRange::new(next, paused.start()).len();
                if free >= left {
                    break;
                }
                left -= free;
                next = next.max(paused.end());
            }
            let last = next.plus_days(left - 1);
            let passed = [DateRange::new(after.start(), last.plus_days(1))];
            (view.end_of(last), view.blocked(&passed, due, true, &[]).late_pause)
        }
    }
}
