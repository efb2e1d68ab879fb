//! The oracle's answer about events and occasions.

use std::sync::Arc;

use super::{
    HOUR, Line, away_on, day_of, excuses, first_instant, in_care, known_records, last_instant, local,
    pause_on, runs, unmet, waived,
};
use crate::calendar::CalendarError;
use crate::id::EventId;
use crate::kind::{EventKind, KindSet, ServiceKind};
use crate::obligation::{Excuse, Flags, Obligation, ObligationStatus, Opening};
use crate::pause::Pause;
use crate::record::{Outcome, SubjectRecord};
use crate::standard::{Duty, OccasionRef, Standard, Within};
use crate::testing::history::{History, subject};
use crate::time::{CivilDate, DateRange, Instant};

/// How far after its range a stay is followed, in days.
const FAR: i32 = 420;

/// What started a clock, and what stopped it.
struct Clock {
    opening: Opening,
    start: Instant,
    /// The moment that answered it, with the record that did.
    answer: Option<(Instant, Option<SubjectRecord>)>,
    ladder: bool,
}

pub(super) fn triggered(history: &History, line: &Line<'_>) -> Result<Vec<Obligation>, CalendarError> {
    let mut found = Vec::new();
    for day in line.all_days() {
        let Some(standard) = line.at(day) else { continue };
        if !matches!(standard.duty, Duty::Triggered { .. }) {
            continue;
        }
        let substitutes = line.day(day).map_or(KindSet::EMPTY, |d| d.substitutes);
        if !in_care(history, day) || day >= history.range.end() {
            continue;
        }
        for clock in clocks(history, standard, substitutes) {
            if day_of(history, clock.start) == day {
                found.extend(answered(history, line, standard, substitutes, day, clock)?);
            }
        }
    }
    Ok(found)
}

fn clocks(history: &History, standard: &Standard, substitutes: KindSet) -> Vec<Clock> {
    let Duty::Triggered { on, any_match, .. } = standard.duty else { return Vec::new() };
    let kinds = standard.accepts.union(substitutes);
    let first_answer = |from: Instant, event: Option<&EventId>| {
        let mut records = known_records(history).into_iter();
        let record = records.find(|r| {
            r.outcome == Outcome::Done
                && kinds.contains(r.kind)
                && r.occurred_at >= from
                && (any_match || event.is_some_and(|event| r.answers.contains(event)))
        });
        record.map(|r| (r.occurred_at, Some(r.clone())))
    };
    let mut clocks = Vec::new();
    match on {
        EventKind::ServiceDone => {
            for r in known_records(history) {
                clocks.push(Clock {
                    opening: Opening::Record(r.id.clone()),
                    start: r.occurred_at,
                    answer: Some((r.recorded_at, None)),
                    ladder: false,
                });
            }
        }
        EventKind::PauseOverdue => {
            for pause in history.pauses.iter().filter(|p| p.recorded_at <= history.now) {
                let start = pause.recorded_at.max(first_instant(history, pause.expected_return));
                let ended = pause.ended.filter(|end| end.recorded_at <= history.now);
                let in_time =
                    ended.is_some_and(|e| e.recorded_at <= start && e.returned_on <= pause.expected_return);
                if start > history.now || in_time {
                    continue;
                }
                let contact = first_answer(start, None);
                let returned = ended.map(|e| (e.recorded_at.max(start), None));
                let answer = match (contact, returned) {
                    (Some(contact), Some(returned)) => {
                        Some(if returned.0 < contact.0 { returned } else { contact })
                    }
                    (contact, returned) => contact.or(returned),
                };
                let opening = Opening::PauseOverdue(pause.id.clone());
                clocks.push(Clock { opening, start, answer, ladder: false });
            }
        }
        EventKind::ContactNotReached => clocks = ladder(history, standard, kinds),
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
            for event in &history.events {
                if event.kind == on && event.subject == subject() && event.recorded_at <= history.now {
                    clocks.push(Clock {
                        opening: Opening::Event(event.id.clone()),
                        start: event.occurred_at,
                        answer: first_answer(event.occurred_at, Some(&event.id)),
                        ladder: false,
                    });
                }
            }
        }
    }
    clocks
}

fn ladder(history: &History, standard: &Standard, kinds: KindSet) -> Vec<Clock> {
    let records = known_records(history);
    let mut proofs: Vec<(Instant, Option<&SubjectRecord>)> = Vec::new();
    for r in &records {
        if r.outcome == Outcome::Done && r.kind.proves_safety() {
            proofs.push((r.occurred_at, Some(*r)));
        }
    }
    for e in &history.events {
        if e.kind == EventKind::SafetyConfirmed && e.subject == subject() && e.recorded_at <= history.now {
            proofs.push((e.occurred_at, None));
        }
    }
    // Tries that leave the person missing: failed ones, and calls that reached nobody but the emergency contact.
    let call = |r: &SubjectRecord| r.outcome == Outcome::Done && r.kind == ServiceKind::EmergencyContactCall;
    let mut failed: Vec<&SubjectRecord> = records.clone();
    failed.retain(|r| r.outcome == Outcome::NotReached || (standard.ladder.is_some() && call(r)));
    let mut clocks = Vec::new();
    for (position, one) in failed.iter().enumerate() {
        // This try and those before it that no proof of safety separates from it.
        let unproven = failed[..=position].iter().filter(|earlier| {
            let between = |p: &&(Instant, _)| earlier.occurred_at <= p.0 && p.0 < one.occurred_at;
            !proofs.iter().any(|p| between(&p))
        });
        let (mut consecutive, mut before) = (0, 0);
        for r in unproven {
            before = consecutive;
            consecutive = match (call(r), consecutive) {
                (true, 1 | 2) => 3,
                (true, same) => same,
                (false, some) => some + 1,
            };
        }
        if consecutive == before {
            continue;
        }
        if standard.ladder.is_some_and(|step| usize::from(step.attempt) != 1 + consecutive) {
            continue;
        }
        let late = one.recorded_at.micros() - one.occurred_at.micros() > 24 * HOUR;
        let mut answers: Vec<(Instant, u8, Option<SubjectRecord>)> = Vec::new();
        for r in &records {
            let after = (r.occurred_at, &r.id) > (one.occurred_at, &one.id);
            let unmade = r.kind == ServiceKind::AuthorityReport && r.outcome == Outcome::NotReached;
            let tried =
                matches!(r.outcome, Outcome::Done | Outcome::NotReached) && kinds.contains(r.kind) && !unmade;
            if after && tried {
                answers.push((r.occurred_at, 0, Some((*r).clone())));
            }
        }
        for (at, record) in &proofs {
            if *at >= one.occurred_at {
                let rank = if record.is_some() { 1 } else { 2 };
                answers.push((*at, rank, record.cloned()));
            }
        }
        answers.sort_by_key(|(at, rank, _)| (*at, *rank));
        clocks.push(Clock {
            opening: Opening::Record(one.id.clone()),
            start: if late { one.recorded_at } else { one.occurred_at },
            answer: answers.into_iter().next().map(|(at, _, record)| (at, record)),
            ladder: true,
        });
    }
    clocks
}

/// The last instant that counts, and whether a pause entered late concerns it.
fn deadline(history: &History, standard: &Standard, clock: &Clock, day: CivilDate) -> (Instant, bool) {
    let Duty::Triggered { within, .. } = standard.duty else { unreachable!("asked of events only") };
    let hours = match within {
        Within::Minutes(n) => i64::from(n) * HOUR / 60,
        Within::Hours(n) => i64::from(n) * HOUR,
        Within::Days(n) => {
            let mut plain = day;
            for _ in 0..n {
                plain = plain.plus_days(1);
            }
            let plain_due = last_instant(history, plain);
            let mut last = day;
            let mut counted = 0;
            let mut late = false;
            while counted < n {
                last = last.plus_days(1);
                if !standard.pausable || pause_on(history, last, plain_due).is_none() {
                    counted += 1;
                }
                late |= standard.pausable
                    && history.pauses.iter().any(|p| away_on(history, p, last) && p.recorded_at > plain_due);
            }
            return (last_instant(history, last), late);
        }
    };
    let mut due = Instant::clamped(clock.start.micros() + hours);
    if clock.ladder && standard.ladder.is_some_and(|step| step.quiet_hours) {
        let on = day_of(history, due);
        if due < local(history, on, 8) {
            due = local(history, on, 8);
        } else if due >= local(history, on, 21) {
            due = local(history, on.plus_days(1), 8);
        }
    }
    (due, false)
}

fn answered(
    history: &History,
    line: &Line<'_>,
    standard: &Arc<Standard>,
    substitutes: KindSet,
    day: CivilDate,
    clock: Clock,
) -> Result<Option<Obligation>, CalendarError> {
    let (due, late_pause) = deadline(history, standard, &clock, day);
    let last_day = day_of(history, due).max(day);
    let days: Vec<CivilDate> = DateRange::new(day, last_day.plus_days(1)).days().collect();
    let in_care_days = days.iter().take_while(|d| in_care(history, **d)).count();
    let leaves = days.iter().find(|d| !in_care(history, **d)).map(|d| first_instant(history, *d));
    let leaves = leaves.filter(|at| *at <= due);
    // The last day of this stay, where it has one.
    let mut last_in_care = Some(day);
    while let Some(d) = last_in_care.filter(|d| in_care(history, d.plus_days(1))) {
        last_in_care = (d.plus_days(1) < CivilDate::MAX.plus_days(-1)
            && d < history.range.end().plus_days(FAR))
        .then(|| d.plus_days(1));
    }
    let gone = last_in_care.map(|d| first_instant(history, d.plus_days(1)));
    let waived = waived(history, &line.code, day);
    let mut excuse = None;
    let mut next_change_at = None;
    let status = if waived {
        excuse = Some(Excuse::Waiver);
        ObligationStatus::Excused
    } else if let Some((at, _)) = &clock.answer {
        if *at <= due { ObligationStatus::Met } else { ObligationStatus::MetLate }
    } else if leaves.is_some_and(|at| at <= history.now) {
        excuse = Some(Excuse::Ended);
        ObligationStatus::Excused
    } else {
        let (status, next) = unmet(history, &days, clock.start, due);
        next_change_at = [next, leaves].into_iter().flatten().min();
        if status == ObligationStatus::Missed {
            next_change_at = gone.filter(|at| *at > history.now);
        }
        status
    };
    let care_ended = status == ObligationStatus::Missed && gone.is_some_and(|at| at <= history.now);
    let settled = match (&excuse, &clock.answer) {
        (Some(_), _) => Some(last_day),
        (None, Some((at, _))) => Some(day_of(history, *at).max(last_day)),
        (None, None) if care_ended => last_in_care.map(|d| d.max(last_day)),
        (None, None) => None,
    };
    if settled.is_some_and(|settled| settled < history.range.start()) {
        return Ok(None);
    }
    let met_at = clock.answer.as_ref().map(|(at, _)| *at);
    let record = clock.answer.and_then(|(_, record)| record);
    Ok(Some(Obligation {
        subject: subject(),
        standard: Arc::clone(standard),
        opening: clock.opening,
        window: DateRange::new(day, last_day.plus_days(1)),
        start: clock.start,
        due,
        required: if excuse.is_some() { 0 } else { 1 },
        credited: if met_at.is_some() { 1 } else { 0 },
        credits: record.iter().map(|r| r.id.clone()).collect(),
        accepts: standard.accepts.union(substitutes),
        eligible_days: u32::try_from(in_care_days).unwrap(),
        active_days: if waived { 0 } else { u32::try_from(in_care_days).unwrap() },
        excuse,
        status,
        flags: Flags {
            late_entry: record.is_some_and(|r| r.recorded_at.micros() > due.micros() + 24 * HOUR),
            late_pause,
            care_ended,
        },
        met_at,
        next_change_at,
    }))
}

pub(super) fn seasonal(history: &History, line: &Line<'_>) -> Result<Vec<Obligation>, CalendarError> {
    let mut found = Vec::new();
    for day in line.all_days() {
        let Some(standard) = line.at(day) else { continue };
        let Duty::Seasonal { occasion, lead_days, tail_days } = &standard.duty else { continue };
        if !in_care(history, day) || !is_occasion(history, occasion, day) {
            continue;
        }
        let first = day.plus_days(-i32::from(*lead_days));
        let days: Vec<CivilDate> =
            (0..=i32::from(*lead_days) + i32::from(*tail_days)).map(|n| first.plus_days(n)).collect();
        if !days.iter().any(|d| history.range.contains(*d)) {
            continue;
        }
        let (start, due) = (first_instant(history, days[0]), last_instant(history, days[days.len() - 1]));
        let eligible: Vec<CivilDate> =
            days.iter().filter(|d| line.at(**d).is_some() && in_care(history, **d)).copied().collect();
        let (mut eligible_days, mut active_days) = (0, 0);
        for d in &eligible {
            if runs(history, standard.runs_on, *d)? {
                eligible_days += 1;
                let away = standard.pausable && pause_on(history, *d, due).is_some();
                active_days += u32::from(!away && !waived(history, &line.code, *d));
            }
        }
        if eligible_days == 0 {
            continue;
        }
        let substitutes = line.day(day).map_or(KindSet::EMPTY, |d| d.substitutes);
        let kinds = standard.accepts.union(substitutes);
        let mut credited = known_records(history);
        credited.retain(|r| {
            r.outcome == Outcome::Done
                && kinds.contains(r.kind)
                && days.contains(&day_of(history, r.occurred_at))
        });
        let required = u16::from(active_days > 0);
        let mut next_change_at = None;
        let status = if required == 0 {
            ObligationStatus::Excused
        } else if !credited.is_empty() {
            ObligationStatus::Met
        } else {
            let (status, next) = unmet(history, &days, start, due);
            next_change_at = next;
            status
        };
        let mut touching: Vec<&Pause> = history
            .pauses
            .iter()
            .filter(|p| standard.pausable && eligible.iter().any(|d| away_on(history, p, *d)))
            .collect();
        touching.sort_by_key(|p| (p.left_on, &p.id));
        let holding = touching.iter().find(|p| excuses(history, p, due));
        let excuse = holding.map_or(Excuse::Waiver, |p| Excuse::Pause(p.id.clone()));
        found.push(Obligation {
            subject: subject(),
            standard: Arc::clone(standard),
            opening: Opening::Occasion { year: day.year(), day },
            window: DateRange::new(days[0], days[days.len() - 1].plus_days(1)),
            start,
            due,
            required,
            credited: u16::try_from(credited.len()).unwrap(),
            credits: credited.iter().map(|r| r.id.clone()).collect(),
            accepts: kinds,
            eligible_days,
            active_days,
            excuse: (required == 0).then_some(excuse),
            status,
            flags: Flags {
                late_entry: credited.iter().any(|r| r.recorded_at.micros() > due.micros() + 24 * HOUR),
                late_pause: touching.iter().any(|p| p.recorded_at > due),
                care_ended: false,
            },
            met_at: credited.first().filter(|_| required > 0).map(|r| r.occurred_at),
            next_change_at,
        });
    }
    Ok(found)
}

fn is_occasion(history: &History, occasion: &OccasionRef, day: CivilDate) -> bool {
    history.calendar.occasion(occasion, day.year()) == Ok(day)
}
