//! A second engine, day by day: slow, obvious, and without any of the engine's code for windows, deadlines and credit.
//!
//! It asks of every single day which version holds, whether it applies, whether the person is away, and builds
//! windows by walking from a day to its neighbours while they belong together.

mod events;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{Datelike, TimeZone};

use crate::calendar::CalendarError;
use crate::id::{StandardCode, SubjectKind};
use crate::kind::{KindSet, Tier};
use crate::obligation::{Excuse, Flags, Obligation, ObligationStatus, Opening};
use crate::pause::Pause;
use crate::record::{Outcome, SubjectRecord};
use crate::standard::{Duty, Origin, Period, RunsOn, Standard};
use crate::testing::history::{History, PAST_DAYS, site, sort, subject};
use crate::time::{CivilDate, DateRange, Instant};

const HOUR: i64 = 3_600_000_000;
/// How far after its range a history is looked at, in days: two years of windows.
const FUTURE_DAYS: i32 = 420;

pub(super) fn oracle(history: &History) -> Result<Vec<Obligation>, CalendarError> {
    let mut found = Vec::new();
    let codes: BTreeSet<&StandardCode> = history.standards.iter().map(|s| &s.code).collect();
    let lines: Vec<Line<'_>> = codes.into_iter().map(|code| Line::new(history, code)).collect();
    for line in &lines {
        for window in windows(line) {
            let overlaps = window.days.iter().any(|day| history.range.contains(*day));
            if overlaps {
                found.extend(recurring(history, &lines, line, &window)?);
            }
        }
        found.extend(events::triggered(history, line)?);
        found.extend(events::seasonal(history, line)?);
    }
    sort(&mut found);
    Ok(found)
}

/// One standard, day by day.
struct Line<'a> {
    code: StandardCode,
    first: CivilDate,
    days: Vec<LineDay<'a>>,
    /// Days on which the window changed.
    cuts: Vec<CivilDate>,
}

#[derive(Clone)]
struct LineDay<'a> {
    /// The version that applies to the resident on this day.
    standard: Option<&'a Arc<Standard>>,
    /// What their tags add.
    substitutes: KindSet,
}

impl<'a> Line<'a> {
    fn new(history: &'a History, code: &StandardCode) -> Self {
        let first = history.range.start().plus_days(-PAST_DAYS - 10);
        let last = history.range.end().plus_days(FUTURE_DAYS);
        let mut line = Line { code: code.clone(), first, days: Vec::new(), cuts: Vec::new() };
        let mut in_force: Option<&Arc<Standard>> = None;
        let mut before: Option<&Arc<Standard>> = None;
        for day in DateRange::new(first, last).days() {
            let declared = declared(history, code, day);
            let changes = match (in_force, declared) {
                (Some(old), Some(new)) if old != new => {
                    let same_window = period(old).is_some() && period(old) == period(new);
                    !same_window || starts_window(period(new).unwrap(), day)
                }
                (Some(_), Some(_)) => false,
                (None, _) | (_, None) => true,
            };
            if changes {
                in_force = declared;
            }
            if let (Some(old), Some(new)) = (before, in_force)
                && period(old) != period(new)
            {
                line.cuts.push(day);
            }
            before = in_force.or(before);
            line.days.push(line_day(history, in_force, day));
        }
        line
    }

    fn at(&self, day: CivilDate) -> Option<&'a Arc<Standard>> {
        self.day(day)?.standard
    }

    fn day(&self, day: CivilDate) -> Option<&LineDay<'a>> {
        self.days.get(usize::try_from(day.days() - self.first.days()).ok()?)
    }

    fn all_days(&self) -> Vec<CivilDate> {
        (0..i32::try_from(self.days.len()).unwrap()).map(|n| self.first.plus_days(n)).collect()
    }

    /// How many changes of window lie up to and with a day.
    fn cuts_until(&self, day: CivilDate) -> usize {
        self.cuts.iter().filter(|cut| **cut <= day).count()
    }
}

fn period(standard: &Arc<Standard>) -> Option<Period> {
    match standard.duty {
        Duty::Recurring { per, .. } => Some(per),
        Duty::Triggered { .. } | Duty::Seasonal { .. } => None,
    }
}

/// Whether a window of the civil calendar begins on a day; windows of so many days may begin on any.
fn starts_window(period: Period, day: CivilDate) -> bool {
    match period {
        Period::EveryDays(_) => true,
        Period::Day | Period::Week | Period::Month | Period::Quarter | Period::Year => {
            window_name(period, day) != window_name(period, day.plus_days(-1))
        }
    }
}

/// A name that all days of a calendar window share.
fn window_name(period: Period, day: CivilDate) -> String {
    let date = day.to_naive();
    match period {
        Period::Day => date.to_string(),
        Period::Week => format!("{}-W{}", date.iso_week().year(), date.iso_week().week()),
        Period::Month => format!("{}-{}", date.year(), date.month()),
        Period::Quarter => {
            let quarter = ["Q1", "Q1", "Q1", "Q2", "Q2", "Q2", "Q3", "Q3", "Q3", "Q4", "Q4", "Q4"];
            format!("{}-{}", date.year(), quarter[date.month0() as usize])
        }
        Period::Year => date.year().to_string(),
        Period::EveryDays(_) => unreachable!("has no calendar window"),
    }
}

/// The version that is declared for a day: an override of the site, else the highest.
fn declared<'a>(history: &'a History, code: &StandardCode, day: CivilDate) -> Option<&'a Arc<Standard>> {
    let here = |s: &&Arc<Standard>| {
        s.code == *code
            && s.effective.start() <= day
            && day < s.effective.end()
            && s.applies_to.site.as_ref().is_none_or(|only| *only == site())
    };
    let own = history.standards.iter().filter(here).find(|s| s.origin == Origin::SiteOverride);
    own.or_else(|| history.standards.iter().filter(here).max_by_key(|s| s.version))
}

/// Whether and how the version in force applies to the resident on a day.
fn line_day<'a>(history: &History, in_force: Option<&'a Arc<Standard>>, day: CivilDate) -> LineDay<'a> {
    let none = LineDay { standard: None, substitutes: KindSet::EMPTY };
    let Some(standard) = in_force else { return none };
    let selector = &standard.applies_to;
    let member = selector.any_group.is_empty()
        || history.memberships.iter().any(|m| {
            m.recorded_at <= history.now
                && selector.any_group.contains(&m.group)
                && m.start <= day
                && m.end.is_none_or(|end| day < end)
        });
    let attention = history.attention.iter().filter(|a| a.from <= day).max_by_key(|a| a.from);
    let tier = attention.map_or(Tier::General, |a| a.tier);
    let has = |tag| attention.is_some_and(|a| a.tags.contains(tag));
    let fits = standard.subject == SubjectKind::Resident
        && member
        && selector.min_tier.is_none_or(|min| tier >= min)
        && selector.max_tier.is_none_or(|max| tier <= max)
        && selector.tags.iter().all(has);
    if !fits {
        return none;
    }
    let mut substitutes = KindSet::EMPTY;
    for substitute in &standard.substitutes {
        if has(&substitute.tag) {
            substitutes = substitutes.union(substitute.kinds);
        }
    }
    LineDay { standard: Some(standard), substitutes }
}

/// A window of a recurring duty.
struct OracleWindow<'a> {
    /// The version that governs it.
    standard: &'a Arc<Standard>,
    days: Vec<CivilDate>,
    /// The days of the whole window, before a change cut it.
    whole: Vec<CivilDate>,
    cut: bool,
}

/// Every window in which the standard applies on some day.
fn windows<'a>(line: &Line<'a>) -> Vec<OracleWindow<'a>> {
    let mut found: Vec<OracleWindow<'a>> = Vec::new();
    for day in line.all_days() {
        let Some(standard) = line.at(day) else { continue };
        let Some(per) = period(standard) else { continue };
        if found.last().is_some_and(|last| last.days.contains(&day)) {
            continue;
        }
        let cuts = line.cuts_until(day);
        let (whole, days) = match per {
            Period::EveryDays(length) => every_days(line, day, i32::from(length)),
            Period::Day | Period::Week | Period::Month | Period::Quarter | Period::Year => {
                let name = window_name(per, day);
                let mut whole = vec![day];
                while window_name(per, whole[0].plus_days(-1)) == name {
                    whole.insert(0, whole[0].plus_days(-1));
                }
                while window_name(per, whole[whole.len() - 1].plus_days(1)) == name {
                    whole.push(whole[whole.len() - 1].plus_days(1));
                }
                (whole.clone(), whole)
            }
        };
        let same_side = |other: &CivilDate| line.cuts_until(*other) == cuts;
        found.push(OracleWindow {
            standard,
            cut: !whole.iter().all(same_side),
            days: days.into_iter().filter(same_side).collect(),
            whole,
        });
    }
    found
}

/// The window of so many days that holds a day: counted from the first day of the unbroken run of days on which the
/// standard applies, and ended by the next run.
fn every_days(line: &Line<'_>, day: CivilDate, length: i32) -> (Vec<CivilDate>, Vec<CivilDate>) {
    let mut anchor = day;
    while line.at(anchor.plus_days(-1)).is_some() {
        anchor = anchor.plus_days(-1);
    }
    let mut start = anchor;
    while start.plus_days(length) <= day {
        start = start.plus_days(length);
    }
    let whole: Vec<CivilDate> = (0..length).map(|n| start.plus_days(n)).collect();
    let mut days = Vec::new();
    for candidate in &whole {
        let new_run =
            *candidate > day && line.at(*candidate).is_some() && line.at(candidate.plus_days(-1)).is_none();
        if new_run {
            break;
        }
        days.push(*candidate);
    }
    (whole, days)
}

fn recurring(
    history: &History,
    lines: &[Line<'_>],
    line: &Line<'_>,
    window: &OracleWindow<'_>,
) -> Result<Option<Obligation>, CalendarError> {
    let Some(need) = need(history, line, window)? else { return Ok(None) };
    let standard = window.standard;
    let distinct = is_distinct(standard);
    let mut substitutes = KindSet::EMPTY;
    for day in &window.days {
        substitutes = substitutes.union(line.day(*day).map_or(KindSet::EMPTY, |d| d.substitutes));
    }
    let mut credited: Vec<&SubjectRecord> = Vec::new();
    for record in earning(history, window, standard.accepts.union(substitutes)) {
        let day = day_of(history, record.occurred_at);
        if !standard.accepts.contains(record.kind) && !surplus(history, lines, line, record)? {
            continue;
        }
        let taken = credited.iter().any(|other| day_of(history, other.occurred_at) == day);
        if !(distinct && taken) {
            credited.push(record);
        }
    }
    let start = first_instant(history, window.days[0]);
    let due = last_instant(history, window.days[window.days.len() - 1]);
    let met = need.required > 0 && credited.len() >= usize::from(need.required);
    let (status, next_change_at) = if need.required == 0 {
        (ObligationStatus::Excused, None)
    } else if met {
        (ObligationStatus::Met, None)
    } else {
        unmet(history, &window.days, start, due)
    };
    Ok(Some(Obligation {
        subject: subject(),
        standard: Arc::clone(standard),
        opening: Opening::Window(window.days[0]),
        window: DateRange::new(window.days[0], window.days[window.days.len() - 1].plus_days(1)),
        start,
        due,
        required: need.required,
        credited: u16::try_from(credited.len()).unwrap(),
        credits: credited.iter().map(|r| r.id.clone()).collect(),
        accepts: standard.accepts.union(substitutes),
        eligible_days: need.eligible,
        active_days: need.active,
        excuse: need.excuse.filter(|_| need.required == 0),
        status,
        flags: Flags {
            late_entry: credited.iter().any(|r| r.recorded_at.micros() > due.micros() + 24 * HOUR),
            late_pause: need.late_pause,
            care_ended: false,
        },
        met_at: if met { Some(credited[usize::from(need.required) - 1].occurred_at) } else { None },
        next_change_at,
    }))
}

fn is_distinct(standard: &Standard) -> bool {
    matches!(standard.duty, Duty::Recurring { distinct_days: true, .. })
}

/// What a window requires.
struct Need {
    eligible: u32,
    active: u32,
    required: u16,
    excuse: Option<Excuse>,
    late_pause: bool,
}

fn need(
    history: &History,
    line: &Line<'_>,
    window: &OracleWindow<'_>,
) -> Result<Option<Need>, CalendarError> {
    let standard = window.standard;
    let Duty::Recurring { at_least, distinct_days, .. } = standard.duty else { return Ok(None) };
    let applies = |day: &&CivilDate| {
        line.at(**day).is_some_and(|s| period(s) == period(standard)) && in_care(history, **day)
    };
    let eligible: Vec<CivilDate> = window.days.iter().filter(applies).copied().collect();
    let due = last_instant(history, window.days[window.days.len() - 1]);
    let (mut eligible_days, mut active_days) = (0, 0);
    for day in &eligible {
        if runs(history, standard.runs_on, *day)? {
            eligible_days += 1;
            let away = standard.pausable && pause_on(history, *day, due).is_some();
            if !away && !waived(history, &line.code, *day) {
                active_days += 1;
            }
        }
    }
    if eligible_days == 0 {
        return Ok(None);
    }
    let mut required: u32;
    if standard.prorate || window.cut {
        let mut all = 0;
        for day in &window.whole {
            if runs(history, standard.runs_on, *day)? {
                all += 1;
            }
        }
        if share(at_least, eligible_days, all) == 0 {
            return Ok(None);
        }
        required = share(at_least, active_days, all);
        if active_days >= 2 && required == 0 {
            required = 1;
        }
    } else {
        required = if active_days >= 1 { u32::from(at_least) } else { 0 };
    }
    if distinct_days && required > active_days {
        required = active_days;
    }
    let mut touching: Vec<&Pause> =
        history.pauses.iter().filter(|p| eligible.iter().any(|day| away_on(history, p, *day))).collect();
    touching.retain(|_| standard.pausable);
    touching.sort_by_key(|p| (p.left_on, &p.id));
    let holding = touching.iter().find(|p| excuses(history, p, due));
    let waiver = eligible.iter().any(|day| waived(history, &line.code, *day));
    let excuse = match holding {
        Some(pause) => Some(Excuse::Pause(pause.id.clone())),
        None => waiver.then_some(Excuse::Waiver),
    };
    let late_pause = touching.iter().any(|p| p.recorded_at > due);
    Ok(Some(Need {
        eligible: eligible_days,
        active: active_days,
        required: u16::try_from(required).unwrap(),
        excuse,
        late_pause,
    }))
}

/// The whole number nearest to `n × days / all`, halves up, by counting.
fn share(n: u16, days: u32, all: u32) -> u32 {
    let mut result = 0;
    // result + 1 is at most half above the true value.
    while 2 * (result + 1) * all <= 2 * u32::from(n) * days + all {
        result += 1;
    }
    result
}

/// Records known by now that were done in a window, of these kinds, in order.
fn earning<'a>(history: &'a History, window: &OracleWindow<'_>, kinds: KindSet) -> Vec<&'a SubjectRecord> {
    let mut records = known_records(history);
    records.retain(|r| {
        r.outcome == Outcome::Done
            && kinds.contains(r.kind)
            && window.days.contains(&day_of(history, r.occurred_at))
    });
    records
}

fn known_records(history: &History) -> Vec<&SubjectRecord> {
    let mut records: Vec<&SubjectRecord> = history
        .records
        .iter()
        .filter(|r| r.recorded_at <= history.now && r.voided_at.is_none_or(|at| at > history.now))
        .collect();
    records.sort_by_key(|r| (r.occurred_at, &r.id));
    records
}

/// Whether no other recurring standard needs what was done on that day.
fn surplus(
    history: &History,
    lines: &[Line<'_>],
    this: &Line<'_>,
    record: &SubjectRecord,
) -> Result<bool, CalendarError> {
    let day = day_of(history, record.occurred_at);
    for other in lines.iter().filter(|other| other.code != this.code) {
        for window in windows(other).iter().filter(|w| w.days.contains(&day)) {
            let Some(need) = need(history, other, window)? else { continue };
            if !window.standard.accepts.contains(record.kind) {
                continue;
            }
            let mut needed: Vec<CivilDate> = Vec::new();
            for candidate in earning(history, window, window.standard.accepts) {
                let on = day_of(history, candidate.occurred_at);
                if needed.len() < usize::from(need.required)
                    && !(is_distinct(window.standard) && needed.contains(&on))
                {
                    needed.push(on);
                }
            }
            if needed.contains(&day) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn in_care(history: &History, day: CivilDate) -> bool {
    history.tenure.iter().any(|t| t.start() <= day && day < t.end())
}

fn waived(history: &History, code: &StandardCode, day: CivilDate) -> bool {
    history.waivers.iter().any(|w| {
        w.standard == *code && w.recorded_at <= history.now && w.days.start() <= day && day < w.days.end()
    })
}

/// Whether, by what is known now, somebody is away on a day: after the day of leaving, before that of return.
fn away_on(history: &History, pause: &Pause, day: CivilDate) -> bool {
    let returned = pause.ended.filter(|e| e.recorded_at <= history.now).map(|e| e.returned_on);
    pause.recorded_at <= history.now
        && pause.left_on < day
        && day < pause.expected_return
        && returned.is_none_or(|returned| day < returned)
}

/// Whether a pause counts for something that was due at an instant.
fn excuses(history: &History, pause: &Pause, due: Instant) -> bool {
    pause.recorded_at <= due || pause.confirmed_at.is_some_and(|at| at <= history.now)
}

fn pause_on(history: &History, day: CivilDate, due: Instant) -> Option<&Pause> {
    history.pauses.iter().find(|p| away_on(history, p, day) && excuses(history, p, due))
}

fn runs(history: &History, runs_on: RunsOn, day: CivilDate) -> Result<bool, CalendarError> {
    match runs_on {
        RunsOn::All => Ok(true),
        RunsOn::Workdays => history.calendar.is_workday(day),
        RunsOn::SchoolDays => history.calendar.is_school_day(day),
    }
}

/// The status of what nobody has met. Where workdays are not known, the week is the ordinary one: it only hints.
fn unmet(
    history: &History,
    days: &[CivilDate],
    start: Instant,
    due: Instant,
) -> (ObligationStatus, Option<Instant>) {
    let works = |day: &&CivilDate| {
        let ordinary = day.to_naive().weekday().number_from_monday() <= 5;
        history.calendar.is_workday(**day).ok().unwrap_or(ordinary)
    };
    let last_workday = days.iter().filter(works).max().copied();
    let status_at = |at: Instant| {
        let left = due.micros() + 1 - at.micros();
        let all = due.micros() + 1 - start.micros();
        let morning = last_workday.map(|day| local(history, day, 8));
        if at < start {
            ObligationStatus::Upcoming
        } else if left <= 0 {
            ObligationStatus::Missed
        } else if left * 3 < all || morning.is_some_and(|morning| at >= morning) {
            ObligationStatus::AtRisk
        } else {
            ObligationStatus::Open
        }
    };
    let status = status_at(history.now);
    // When may it change? At one of these moments.
    let all = due.micros() + 1 - start.micros();
    let third = (due.micros() + 1 - all / 3 - 2..=due.micros() + 1 - all / 3 + 2).map(Instant::clamped);
    let mut moments: Vec<Instant> = third.collect();
    moments.extend([start, Instant::clamped(due.micros() + 1)]);
    moments.extend(last_workday.map(|day| local(history, day, 8)));
    moments.retain(|at| *at > history.now);
    moments.sort_unstable();
    let next = moments.into_iter().find(|at| status_at(*at) != status);
    (status, next)
}

fn zone(history: &History) -> chrono_tz::Tz {
    history.calendar.zone().name().parse().unwrap()
}

fn day_of(history: &History, instant: Instant) -> CivilDate {
    let local = zone(history).from_utc_datetime(&instant.to_utc().naive_utc());
    CivilDate::from_ymd(local.year(), local.month(), local.day()).unwrap()
}

/// The first instant at or after an hour of a day that its clocks show.
fn local(history: &History, day: CivilDate, hour: u32) -> Instant {
    let mut time = day.to_naive().and_hms_opt(hour, 0, 0).unwrap();
    loop {
        if let Some(found) = zone(history).from_local_datetime(&time).earliest() {
            return Instant::clamped(found.timestamp_micros());
        }
        time += chrono::TimeDelta::minutes(1);
    }
}

fn first_instant(history: &History, day: CivilDate) -> Instant {
    local(history, day, 0)
}

fn last_instant(history: &History, day: CivilDate) -> Instant {
    Instant::clamped(local(history, day.plus_days(1), 0).micros() - 1)
}
