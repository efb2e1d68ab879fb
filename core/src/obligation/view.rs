//! A case as known at one instant: what was recorded by then, in order.

use std::borrow::Cow;

use crate::applied::Waiver;
use crate::calendar::{CalendarError, SiteCalendar};
use crate::mutant::{Mutant, planted};
use crate::obligation::{Case, Excuse};
use crate::pause::Pause;
use crate::record::SubjectRecord;
use crate::standard::RunsOn;
use crate::time::{CivilDate, DateRange, Instant, SiteZone};

/// A case at `now`.
pub(super) struct View<'a> {
    pub(super) case: &'a Case<'a>,
    pub(super) now: Instant,
    pub(super) zone: SiteZone,
    pub(super) calendar: &'a SiteCalendar,
    /// Records that were made by now and not voided, in order of occurrence.
    // INVARIANT: sorted by (occurred_at, id); windows find their records by binary search.
    pub(super) records: Vec<&'a SubjectRecord>,
    /// The days in care, in order, without overlap.
    pub(super) tenure: Cow<'a, [DateRange]>,
    /// Pauses that were recorded by now, in order of leaving.
    pub(super) pauses: Vec<KnownPause<'a>>,
}

/// A pause with the days that it excuses as known at `now`.
pub(super) struct KnownPause<'a> {
    pub(super) pause: &'a Pause,
    pub(super) days: DateRange,
    pub(super) confirmed: bool,
}

/// Days without duty, with the reason to show.
#[derive(Default)]
pub(super) struct Blocked {
    /// In order, without overlap.
    pub(super) days: Vec<DateRange>,
    pub(super) excuse: Option<Excuse>,
    pub(super) late_pause: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(case: &'a Case<'a>, now: Instant) -> Self {
        let mut records: Vec<&SubjectRecord> = Vec::with_capacity(case.records.len());
        records.extend(case.records.iter().filter(|record| counts(record, now)));
        let key = |record: &&'a SubjectRecord| (record.occurred_at, &record.id);
        if !records.is_sorted_by(|a, b| key(a) <= key(b)) {
            records.sort_by(|a, b| key(a).cmp(&key(b)));
        }
        let tenure = match case.tenure {
            [] | [_] => Cow::Borrowed(case.tenure),
            several => Cow::Owned(union(several.to_vec())),
        };
        let mut pauses: Vec<KnownPause<'a>> = Vec::new();
        for pause in case.pauses.iter().filter(|pause| pause.recorded_at <= now) {
            let confirmed = pause.confirmed_at.is_some_and(|at| at <= now);
            pauses.push(KnownPause { pause, days: paused_days(pause, now), confirmed });
        }
        pauses.sort_by_key(|known| (known.pause.left_on, &known.pause.id));
        let zone = case.calendar.zone();
        Self { case, now, zone, calendar: case.calendar, records, tenure, pauses }
    }

    /// The last instant of a day.
    pub(super) fn end_of(&self, day: CivilDate) -> Instant {
        Instant::clamped(self.zone.start_of(day.plus_days(1)).micros() - 1)
    }

    /// Whether the subject is in care on a day, and until when: the first day that is not.
    pub(super) fn tenure_at(&self, day: CivilDate) -> Option<CivilDate> {
        self.tenure.iter().find(|range| range.contains(day)).map(|range| range.end())
    }

    /// The records with `from <= occurred_at <= to`, in order.
    pub(super) fn records_between(&self, from: Instant, to: Instant) -> &[&'a SubjectRecord] {
        let first = self.records.partition_point(|record| record.occurred_at < from);
        let rest = self.records.get(first..).unwrap_or_default();
        let count = rest.partition_point(|record| record.occurred_at <= to);
        rest.get(..count).unwrap_or_default()
    }

    /// The days that pauses (where `pausable`) and waivers take out of the eligible `days` (in order, without overlap)
    /// of an obligation that is due at `due`.
    pub(super) fn blocked(
        &self,
        days: &[DateRange],
        due: Instant,
        pausable: bool,
        waivers: &[Waiver],
    ) -> Blocked {
        let mut blocked = Blocked::default();
        let touches = |taken: DateRange| days.iter().any(|range| !range.intersect(taken).is_empty());
        if pausable && !planted(Mutant::PauseIgnored) {
            for known in self.pauses.iter().filter(|known| touches(known.days)) {
                let late = known.pause.recorded_at > due;
                blocked.late_pause |= late;
                if late && !known.confirmed && !planted(Mutant::LatePauseExcuses) {
                    continue;
                }
                blocked.days.push(known.days);
                blocked.excuse.get_or_insert_with(|| Excuse::Pause(known.pause.id.clone()));
            }
        }
        for waiver in waivers.iter().filter(|waiver| waiver.recorded_at <= self.now && touches(waiver.days)) {
            if planted(Mutant::WaiverIgnored) {
                continue;
            }
            blocked.days.push(waiver.days);
            blocked.excuse.get_or_insert(Excuse::Waiver);
        }
        if blocked.days.len() > 1 {
            blocked.days = union(blocked.days);
        }
        blocked
    }

    /// How many of `days` are blocked and would otherwise be running days of the duty.
    pub(super) fn count_blocked(
        &self,
        days: &[DateRange],
        blocked: &[DateRange],
        runs_on: RunsOn,
    ) -> Result<i32, CalendarError> {
        let mut count = 0;
        for range in days {
            for taken in blocked {
                count += self.count(runs_on, taken.intersect(*range))?;
            }
        }
        Ok(count)
    }

    /// How many of `days` the duty runs on.
    pub(super) fn count(&self, runs_on: RunsOn, days: DateRange) -> Result<i32, CalendarError> {
        if planted(Mutant::NonRunningDaysCount) {
            return Ok(days.len());
        }
        self.calendar.count(runs_on, days)
    }
}

fn counts(record: &SubjectRecord, now: Instant) -> bool {
    let known = record.recorded_at <= now || planted(Mutant::FutureRecordCounts);
    let voided = record.voided_at.is_some_and(|at| at <= now) && !planted(Mutant::VoidedRecordCounts);
    known && !voided
}

fn paused_days(pause: &Pause, now: Instant) -> DateRange {
    let days = pause.days(now);
    if planted(Mutant::PauseTakesDayOfLeaving) {
        return DateRange::new(days.start().plus_days(-1), days.end());
    }
    if planted(Mutant::PauseOutlivesExpectedReturn) && pause.ended.is_none() {
        return DateRange::new(days.start(), days.end().plus_days(30));
    }
    days
}

/// The union of days, in order, without overlap.
pub(super) fn union(mut days: Vec<DateRange>) -> Vec<DateRange> {
    days.retain(|range| !range.is_empty());
    days.sort_unstable();
    let mut joined: Vec<DateRange> = Vec::with_capacity(days.len());
    for range in days {
        match joined.last_mut().filter(|last| range.start() <= last.end()) {
            Some(last) => *last = DateRange::new(last.start(), last.end().max(range.end())),
            None => joined.push(range),
        }
    }
    joined
}
