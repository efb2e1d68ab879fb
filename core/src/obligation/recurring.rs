//! Recurring duties: calendar windows, what each requires, and what earned credit in it.

use crate::applied::{Applied, AppliedSpan};
use crate::calendar::{CalendarError, calendar_window};
use crate::kind::KindSet;
use crate::mutant::{Mutant, planted};
use crate::obligation::view::{Blocked, View};
use crate::obligation::{ENTRY_GRACE_HOURS, Flags, Obligation, ObligationStatus, Opening, status};
use crate::record::{Outcome, SubjectRecord};
use crate::standard::{Duty, Period};
use crate::time::{CivilDate, DateRange, Instant};

/// Spans of one standard whose windows form one grid: same period, same clip and, for `EveryDays`, same anchor.
struct Chain<'a> {
    spans: &'a [AppliedSpan],
    per: Period,
    clip: DateRange,
    /// Windows of `EveryDays` end where the next contiguous interval begins a grid of its own.
    limit: CivilDate,
}

/// A window of the grid before and after clipping.
struct Window {
    full: DateRange,
    days: DateRange,
    /// Whether a change of period cut it.
    cut: bool,
}

/// What a window requires.
struct Measure<'a> {
    span: &'a AppliedSpan,
    distinct_days: bool,
    substitutes: KindSet,
    due: Instant,
    eligible: i32,
    active: i32,
    required: u16,
    blocked: Blocked,
}

pub(super) fn collect(
    view: &View<'_>,
    applied: &Applied,
    range: DateRange,
    found: &mut Vec<Obligation>,
) -> Result<(), CalendarError> {
    let Some(((first, last), _)) = hull(&view.tenure).zip(applied.spans.first()) else {
        return Ok(());
    };
    let in_care = DateRange::new(first, last);
    for chain in chains(&applied.spans) {
        let (Some(head), Some(tail)) = (chain.spans.first(), chain.spans.last()) else { continue };
        let applies = DateRange::new(head.days.start(), tail.days.end()).intersect(in_care);
        if applies.is_empty() {
            continue;
        }
        // The window that holds the first day asked for may begin before it.
        let mut day = applies.start().max(range.start().min(applies.end().plus_days(-1)));
        let mut known_start: Option<(CivilDate, Instant)> = None;
        while day < applies.end() {
            let window = chain.window(day);
            if window.days.start() >= range.end() {
                break;
            }
            if !window.days.intersect(range).is_empty() {
                let start = match known_start {
                    Some((known, instant)) if known == window.days.start() => instant,
                    Some(_) | None => view.zone.start_of(window.days.start()),
                };
                let end = view.zone.start_of(window.days.end());
                known_start = Some((window.days.end(), end));
                if let Some(measure) = chain.measure(view, applied, &window, end)? {
                    found.push(obligation(view, applied, &window, start, measure)?);
                }
            }
            // Arithmetic stays within the accepted dates: at their end a window may not advance.
            if window.full.end() <= day {
                break;
            }
            day = window.full.end();
        }
    }
    Ok(())
}

fn obligation(
    view: &View<'_>,
    applied: &Applied,
    window: &Window,
    start: Instant,
    measure: Measure<'_>,
) -> Result<Obligation, CalendarError> {
    let standard = &measure.span.standard;
    let mut credits = Vec::new();
    let mut met_at = None;
    let mut late_entry = false;
    let grace = measure.due.plus_hours(ENTRY_GRACE_HOURS);
    let credited = credit(view, applied, start, &measure, |count, record| {
        credits.push(record.id.clone());
        late_entry |= record.recorded_at > grace && !planted(Mutant::LateEntryUnflagged);
        if count == measure.required {
            met_at = Some(record.occurred_at);
        }
    })?;
    let (status, next_change_at) = if measure.required == 0 {
        (ObligationStatus::Excused, None)
    } else if credited >= measure.required {
        (ObligationStatus::Met, None)
    } else {
        status::unmet(view, window.days, start, measure.due)
    };
    Ok(Obligation {
        subject: view.case.subject.clone(),
        standard: std::sync::Arc::clone(standard),
        opening: Opening::Window(window.days.start()),
        window: window.days,
        start,
        due: measure.due,
        required: measure.required,
        credited,
        credits,
        accepts: standard.accepts.union(measure.substitutes),
        eligible_days: measure.eligible.unsigned_abs(),
        active_days: measure.active.unsigned_abs(),
        excuse: if measure.required == 0 { measure.blocked.excuse } else { None },
        status,
        flags: Flags { late_entry, late_pause: measure.blocked.late_pause, care_ended: false },
        met_at,
        next_change_at,
    })
}

/// Calls `earns` with every record that earns credit and the count so far; returns the count.
fn credit<'a>(
    view: &View<'a>,
    applied: &Applied,
    start: Instant,
    measure: &Measure<'_>,
    mut earns: impl FnMut(u16, &'a SubjectRecord),
) -> Result<u16, CalendarError> {
    let standard = &measure.span.standard;
    let kinds = standard.accepts.union(measure.substitutes);
    let mut count: u16 = 0;
    let mut last_day = None;
    let to = if planted(Mutant::WindowEndsADayLate) { measure.due.plus_hours(24) } else { measure.due };
    let from = if planted(Mutant::WindowStartsADayEarly) { start.plus_hours(-24) } else { start };
    let records = if planted(Mutant::CreditByRecordedDay) {
        view.records.as_slice()
    } else {
        view.records_between(from, to)
    };
    for record in records {
        if planted(Mutant::CreditByRecordedDay) && !(from..=to).contains(&record.recorded_at) {
            continue;
        }
        let done = record.outcome == Outcome::Done || planted(Mutant::CreditsNotDone);
        if !done || !kinds.contains(record.kind) {
            continue;
        }
        if !standard.accepts.contains(record.kind)
            && !planted(Mutant::SubstituteAlwaysCounts)
            && !is_surplus(view, applied, record)?
        {
            continue;
        }
        if measure.distinct_days && !planted(Mutant::SameDayCountsTwice) {
            let day = view.zone.date_of(record.occurred_at);
            if last_day == Some(day) {
                continue;
            }
            last_day = Some(day);
        }
        count = count.saturating_add(1);
        earns(count, record);
    }
    Ok(count)
}

/// Whether a record is beyond what the subject's other recurring standards require of its kind, and on another day
/// than the records that they need.
fn is_surplus(view: &View<'_>, applied: &Applied, record: &SubjectRecord) -> Result<bool, CalendarError> {
    let day = view.zone.date_of(record.occurred_at);
    for other in view.case.applied.iter().filter(|other| other.code() != applied.code()) {
        for chain in chains(&other.spans) {
            let window = chain.window(day);
            if !window.days.contains(day) {
                continue;
            }
            let end = view.zone.start_of(window.days.end());
            let Some(mut measure) = chain.measure(view, other, &window, end)? else { continue };
            if !measure.span.standard.accepts.contains(record.kind) {
                continue;
            }
            // Only what the other standard accepts of itself; this also ends the recursion.
            measure.substitutes = KindSet::EMPTY;
            let start = view.zone.start_of(window.days.start());
            let mut needed_that_day = false;
            credit(view, other, start, &measure, |count, needed| {
                let same_day = view.zone.date_of(needed.occurred_at) == day;
                needed_that_day |= count <= measure.required && same_day;
            })?;
            if needed_that_day {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

impl Chain<'_> {
    /// The window that holds a day.
    fn window(&self, day: CivilDate) -> Window {
        let full = match self.per {
            Period::EveryDays(length) => {
                let length = i32::from(length.max(1));
                let anchor = self.spans.first().map_or(day, |span| span.anchor);
                let into = (day.days() - anchor.days()).rem_euclid(length);
                DateRange::new(day.plus_days(-into), day.plus_days(length - into))
            }
            Period::Day | Period::Week | Period::Month | Period::Quarter | Period::Year => {
                calendar_window(self.per, day).unwrap_or(DateRange::new(day, day.plus_days(1)))
            }
        };
        let clipped = if planted(Mutant::VersionClipForgotten) { full } else { full.intersect(self.clip) };
        let days = clipped.intersect(DateRange::new(CivilDate::MIN, self.limit));
        Window { full, days, cut: clipped != full }
    }

    /// What a window requires; `None` where there is nothing to owe in it.
    fn measure<'a>(
        &'a self,
        view: &View<'_>,
        applied: &Applied,
        window: &Window,
        end: Instant,
    ) -> Result<Option<Measure<'a>>, CalendarError> {
        let mut governing: Option<&AppliedSpan> = None;
        let mut substitutes = KindSet::EMPTY;
        for span in self.spans {
            if !span.days.intersect(window.days).is_empty() {
                governing.get_or_insert(span);
                substitutes = substitutes.union(span.substitutes);
            }
        }
        let Some(span) = governing else { return Ok(None) };
        let standard = &span.standard;
        let Duty::Recurring { at_least, distinct_days, .. } = standard.duty else { return Ok(None) };
        let runs_on = standard.runs_on;
        let eligible_days = || {
            let in_window = self.spans.iter().map(|span| span.days.intersect(window.days));
            in_window.filter(|days| !days.is_empty()).flat_map(|days| {
                let tenure = view.tenure.iter().map(move |tenure| tenure.intersect(days));
                tenure.filter(|days| !days.is_empty())
            })
        };
        let mut eligible = 0;
        for days in eligible_days() {
            eligible += view.count(runs_on, days)?;
        }
        if eligible == 0 || at_least == 0 {
            return Ok(None);
        }
        let due = Instant::clamped(end.micros() - 1);
        let mut blocked = Blocked::default();
        let mut active = eligible;
        if !view.pauses.is_empty() || !applied.waivers.is_empty() {
            let segments: Vec<DateRange> = eligible_days().collect();
            blocked = view.blocked(&segments, due, standard.pausable, &applied.waivers);
            active -= view.count_blocked(&segments, &blocked.days, runs_on)?;
        }
        let mut required = if standard.prorate || window.cut {
            let all = view.count(runs_on, window.full)?;
            if share(at_least, eligible, all) == 0 {
                return Ok(None);
            }
            let counted = if planted(Mutant::ProratesFullDays) { eligible } else { active };
            let share = share(at_least, counted, all);
            if active >= 2 && !planted(Mutant::NotRaisedToOne) { share.max(1) } else { share }
        } else if active >= 1 {
            at_least
        } else {
            0
        };
        if distinct_days {
            required = required.min(u16::try_from(active).unwrap_or(u16::MAX));
        }
        Ok(Some(Measure { span, distinct_days, substitutes, due, eligible, active, required, blocked }))
    }
}

/// Round-half-up of `n × days / all`.
fn share(n: u16, days: i32, all: i32) -> u16 {
    let (n, days, all) = (i64::from(n), i64::from(days), i64::from(all));
    if all <= 0 {
        return 0;
    }
    let rounded = if planted(Mutant::RoundsDown) {
        n * days / all
    } else if planted(Mutant::RoundsHalfDown) {
        (2 * n * days + all - 1) / (2 * all)
    } else {
        (2 * n * days + all) / (2 * all)
    };
    u16::try_from(rounded).unwrap_or(u16::MAX)
}

/// The first day and the day after the last of days in order.
fn hull(days: &[DateRange]) -> Option<(CivilDate, CivilDate)> {
    days.first().zip(days.last()).map(|(first, last)| (first.start(), last.end()))
}

/// The spans of recurring duties, grouped into grids of windows.
fn chains(spans: &[AppliedSpan]) -> impl Iterator<Item = Chain<'_>> {
    let mut rest = spans;
    std::iter::from_fn(move || {
        loop {
            let head = rest.first()?;
            let Duty::Recurring { per, .. } = head.standard.duty else {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            };
            let anchored = matches!(per, Period::EveryDays(_)) && !planted(Mutant::AnchorDrifts);
            let same_grid = |span: &&AppliedSpan| {
                let same_period = match span.standard.duty {
                    Duty::Recurring { per: other, .. } => other == per,
                    Duty::Triggered { .. } | Duty::Seasonal { .. } => false,
                };
                same_period && span.clip == head.clip && (!anchored || span.anchor == head.anchor)
            };
            let count = rest.iter().take_while(same_grid).count();
            let (spans, after) = rest.split_at_checked(count)?;
            rest = after;
            let limit = if anchored { after.first().map(|next| next.days.start()) } else { None };
            return Some(Chain { spans, per, clip: head.clip, limit: limit.unwrap_or(CivilDate::MAX) });
        }
    })
}
