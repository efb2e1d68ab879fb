//! Properties of the engine, for arbitrary histories and arbitrary input.

use std::sync::Arc;

use crate::applied::{Applied, AppliedSpan};
use crate::calendar::SiteCalendar;
use crate::compliance::{Tally, compliance};
use crate::id::{PauseId, RecordId};
use crate::kind::KindSet;
use crate::obligation::{Case, Obligation, ObligationStatus, next_change_at, obligations};
use crate::pause::{Pause, PauseEnd, PauseReason};
use crate::record::{Outcome, SubjectRecord};
use crate::standard::{Duty, Period, Within};
use crate::testing::history::{History, resident, site, sort, subject};
use crate::testing::random::Random;
use crate::time::{CivilDate, DateRange, Instant, SiteZone};
use crate::worklist::plan;

const SEED: u64 = 7_040_000;
const HISTORIES: u64 = 8_000;

/// Runs `check` on random histories that the calendar can answer, and requires that it did `least` of its own kind of
/// work, as it counts itself.
fn for_histories(least: u64, mut check: impl FnMut(&History, &[Obligation], &mut Random) -> u64) {
    println!("seed {SEED}, histories {HISTORIES}");
    let mut work = 0;
    for seed in SEED..SEED + HISTORIES {
        let history = History::random(seed);
        if let Ok(found) = history.engine() {
            work += check(&history, &found, &mut Random::new(seed));
        }
    }
    assert!(work >= least, "only {work} cases");
}

#[test]
fn order_of_input_is_irrelevant_and_asking_twice_is_the_same() {
    for_histories(2_000, |history, found, random| {
        let mut shuffled = history.clone();
        random.shuffle(&mut shuffled.standards);
        random.shuffle(&mut shuffled.memberships);
        random.shuffle(&mut shuffled.attention);
        random.shuffle(&mut shuffled.waivers);
        random.shuffle(&mut shuffled.tenure);
        random.shuffle(&mut shuffled.records);
        random.shuffle(&mut shuffled.events);
        random.shuffle(&mut shuffled.pauses);
        assert_eq!(shuffled.engine().as_deref(), Ok(found));
        assert_eq!(history.engine().as_deref(), Ok(found));
        history.with_case(history.now, |case| {
            let mut applied = case.applied.to_vec();
            random.shuffle(&mut applied);
            let mut again =
                obligations(&Case { applied: &applied, ..*case }, history.range, history.now).unwrap();
            sort(&mut again);
            assert_eq!(again, found);
        });
        1
    });
}

#[test]
fn a_done_record_never_makes_a_met_recurring_obligation_unmet() {
    for_histories(500, |history, found, random| {
        let met: Vec<&Obligation> = found.iter().filter(|o| is_recurring(o) && is_met(o)).collect();
        let Some(one) = met.first() else { return 0 };
        let mut more = history.clone();
        let length = one.due.micros() - one.start.micros();
        let occurred_at = Instant::clamped(one.start.micros() + random.between(0, length));
        more.records.push(SubjectRecord {
            id: RecordId::new("added").unwrap(),
            kind: random.pick(crate::kind::ServiceKind::ALL),
            occurred_at,
            recorded_at: history.now,
            outcome: Outcome::Done,
            answers: Vec::new(),
            voided_at: None,
        });
        let after = more.engine().unwrap();
        for before in &met {
            let now = after.iter().find(|o| same(o, before)).unwrap();
            assert!(is_met(now), "{:?}", before.opening);
            assert!(now.credited >= before.credited);
        }
        u64::try_from(met.len()).unwrap()
    });
}

#[test]
fn recurring_windows_tile() {
    for_histories(10_000, |_, found, _| {
        let mut checked = 0;
        for pair in found.windows(2) {
            let [a, b] = pair else { continue };
            if a.standard.code == b.standard.code && is_recurring(a) && is_recurring(b) {
                assert!(a.window.end() <= b.window.start(), "{:?} {:?}", a.window, b.window);
                checked += 1;
            }
        }
        checked
    });
}

#[test]
fn a_range_only_selects() {
    for_histories(15_000, |history, found, random| {
        let cut = history.range.start().plus_days(random.days(0, history.range.len()));
        let (head, tail) =
            (DateRange::new(history.range.start(), cut), DateRange::new(cut, history.range.end()));
        let (Ok(head), Ok(tail)) = (history.ask(head, history.now), history.ask(tail, history.now)) else {
            return 0;
        };
        let mut both = head;
        for obligation in tail {
            if !both.contains(&obligation) {
                both.push(obligation);
            }
        }
        sort(&mut both);
        assert_eq!(both, found);
        u64::try_from(found.len()).unwrap()
    });
}

#[test]
fn standards_are_judged_alone() {
    // But for substitutes, which look at what the others need.
    for_histories(500, |history, found, _| {
        if history.standards.iter().any(|s| !s.substitutes.is_empty()) {
            return 0;
        }
        let mut union = Vec::new();
        history.with_case(history.now, |case| {
            for applied in case.applied {
                let alone = Case { applied: std::slice::from_ref(applied), ..*case };
                union.extend(obligations(&alone, history.range, history.now).unwrap());
            }
        });
        sort(&mut union);
        assert_eq!(union, found);
        1
    });
}

#[test]
fn the_answer_does_not_depend_on_having_been_asked_before_and_changes_when_it_says() {
    for_histories(1_000, |history, found, random| {
        // What is recorded after now does not exist yet: leave it out to see time alone at work.
        let mut still = history.clone();
        still.records.retain(|r| r.recorded_at <= history.now);
        for record in &mut still.records {
            record.voided_at = record.voided_at.filter(|at| *at <= history.now);
        }
        still.events.retain(|e| e.recorded_at <= history.now);
        still.pauses.retain(|p| p.recorded_at <= history.now);
        for pause in &mut still.pauses {
            pause.ended = pause.ended.filter(|end| end.recorded_at <= history.now);
            pause.confirmed_at = pause.confirmed_at.filter(|at| *at <= history.now);
        }
        still.waivers.retain(|w| w.recorded_at <= history.now);
        still.memberships.retain(|m| m.recorded_at <= history.now);
        assert_eq!(still.engine().as_deref(), Ok(found), "the future is not known");
        let next = still.with_case(still.now, |case| next_change_at(case, still.range, still.now)).unwrap();
        let until = next.unwrap_or(Instant::clamped(still.now.micros() + 86_400_000_000 * 30));
        assert!(until > still.now);
        let between = random.between(still.now.micros(), until.micros() - 1);
        let statuses = |found: &[Obligation]| -> Vec<_> {
            found.iter().map(|o| (o.opening.clone(), o.status, o.required)).collect()
        };
        for at in [between, until.micros() - 1] {
            let later = still.ask(still.range, Instant::clamped(at)).unwrap();
            assert_eq!(statuses(&later), statuses(found), "before {until}");
        }
        match next.map(|next| still.ask(still.range, next)) {
            Some(Ok(after)) => {
                // A missing year may make it ask too early, never too late.
                u64::from(statuses(&after) != statuses(found))
            }
            Some(Err(_)) | None => 0,
        }
    });
}

#[test]
fn a_pause_over_the_whole_window_excuses_it() {
    for_histories(1_000, |history, found, _| {
        let mut checked = 0;
        for one in found.iter().filter(|o| is_recurring(o) && o.standard.pausable).take(2) {
            let mut away = history.clone();
            away.pauses.push(Pause {
                site: site(),
                resident: resident(),
                id: PauseId::new("away").unwrap(),
                reason: PauseReason::Travel,
                remark: None,
                left_on: one.window.start().plus_days(-1),
                expected_return: one.window.end(),
                recorded_at: Instant::MIN,
                ended: None,
                confirmed_at: None,
                version: 1,
            });
            let after = away.engine().unwrap();
            let now = after.iter().find(|o| same(o, one)).unwrap();
            assert_eq!((now.status, now.required, now.active_days), (ObligationStatus::Excused, 0, 0));
            checked += 1;
        }
        checked
    });
}

#[test]
fn what_is_required_grows_with_the_active_days() {
    // A longer pause leaves fewer active days of the same eligible ones.
    for_histories(2_000, |history, found, random| {
        let Some(one) = found.iter().find(|o| is_recurring(o) && o.standard.pausable) else { return 0 };
        let mut last = one.required;
        let from = random.days(0, one.window.len().max(1) - 1);
        for length in 0..=one.window.len().min(40) {
            let mut away = history.clone();
            let left_on = one.window.start().plus_days(from - 1);
            away.pauses.push(Pause {
                site: site(),
                resident: resident(),
                id: PauseId::new("away").unwrap(),
                reason: PauseReason::Travel,
                remark: None,
                left_on,
                expected_return: left_on.plus_days(1 + length),
                recorded_at: Instant::MIN,
                ended: Some(PauseEnd {
                    returned_on: left_on.plus_days(1 + length),
                    recorded_at: Instant::MIN,
                }),
                confirmed_at: None,
                version: 1,
            });
            let after = away.engine().unwrap();
            let now = after.iter().find(|o| same(o, one)).unwrap();
            assert_eq!(now.eligible_days, one.eligible_days);
            assert!(now.required <= last, "{} after {last}", now.required);
            last = now.required;
        }
        1
    });
}

#[test]
fn every_obligation_belongs_to_one_period() {
    for_histories(15_000, |history, found, _| {
        let mut sum: u64 = 0;
        let first = found.iter().map(Obligation::last_day).min().unwrap_or(history.range.start());
        let last = found.iter().map(Obligation::last_day).max().unwrap_or(history.range.start());
        let mut from = first;
        while from <= last {
            let period = DateRange::new(from, from.plus_days(7));
            for tally in compliance(found, period).values() {
                let Tally { met, met_late, missed, pending, excused, .. } = *tally;
                assert_eq!(tally.denominator() + excused, met + met_late + missed + pending + excused);
                assert!(tally.numerator() <= tally.denominator());
                sum += tally.denominator() + excused;
            }
            from = period.end();
        }
        assert_eq!(sum, u64::try_from(found.len()).unwrap());
        sum
    });
}

/// Extreme dates, empty and reversed intervals, the largest counts: nothing panics, and everything comes to an end.
#[test]
fn no_input_panics() {
    println!("seed {SEED}, histories {HISTORIES}");
    let mut answers: u64 = 0;
    for seed in SEED..SEED + HISTORIES {
        let mut random = Random::new(seed);
        let mut history = History::random(seed);
        wild(&mut history, &mut random);
        let applied = wild_applied(&history, &mut random);
        let calendar =
            SiteCalendar::new(random.pick(&[SiteZone::SHANGHAI, SiteZone::parse("Pacific/Apia").unwrap()]));
        let case = Case {
            subject: &subject(),
            applied: &applied,
            records: &history.records,
            events: &history.events,
            pauses: &history.pauses,
            tenure: &history.tenure,
            calendar: if random.percent(50) { &calendar } else { &history.calendar },
        };
        if let Ok(found) = obligations(&case, history.range, history.now) {
            answers += u64::from(!found.is_empty());
            let few: Vec<Obligation> = found.into_iter().take(12).collect();
            plan(&few, &history.records, case.calendar, history.now);
        }
        let _ = next_change_at(&case, history.range, history.now);
        let _ = history.engine();
    }
    assert!(answers > 500, "only {answers} answers");
}

fn extreme_day(random: &mut Random) -> CivilDate {
    match random.days(0, 9) {
        0 => CivilDate::MIN,
        1 => CivilDate::MAX,
        2 => CivilDate::MAX.plus_days(-random.days(0, 400)),
        3 => CivilDate::MIN.plus_days(random.days(0, 400)),
        _ => CivilDate::from_ymd(2026, 1, 1).unwrap().plus_days(random.days(-200, 500)),
    }
}

fn extreme_instant(random: &mut Random) -> Instant {
    match random.days(0, 7) {
        0 => Instant::MIN,
        1 => Instant::MAX,
        _ => Instant::clamped(random.between(1_750_000_000, 1_800_000_000) * 1_000_000),
    }
}

fn extreme_days(random: &mut Random) -> DateRange {
    let start = extreme_day(random);
    // Long ranges of short windows are many obligations; a few hundred days reach every edge as well.
    if random.percent(80) {
        DateRange::new(start, start.plus_days(random.days(-3, 300)))
    } else {
        DateRange::new(start, extreme_day(random))
    }
}

fn wild(history: &mut History, random: &mut Random) {
    for standard in &mut history.standards {
        let standard = Arc::make_mut(standard);
        if random.percent(30) {
            standard.effective = extreme_days(random);
        }
        if random.percent(50) {
            continue;
        }
        match &mut standard.duty {
            Duty::Recurring { at_least, per, .. } => {
                *at_least = random.pick(&[0, 1, 7, u16::MAX]);
                if random.percent(50) {
                    *per = Period::EveryDays(random.pick(&[0, 1, 2, u16::MAX]));
                }
            }
            Duty::Triggered { within, .. } => {
                *within = random.pick(&[
                    Within::Minutes(u32::MAX),
                    Within::Hours(u32::MAX),
                    Within::Days(u32::MAX),
                    Within::Days(0),
                    Within::Minutes(0),
                ]);
            }
            Duty::Seasonal { lead_days, tail_days, .. } => {
                *lead_days = random.pick(&[0, 400, u16::MAX]);
                *tail_days = random.pick(&[0, 400, u16::MAX]);
            }
        }
    }
    for record in &mut history.records {
        record.occurred_at = extreme_instant(random);
        record.recorded_at = extreme_instant(random);
        record.voided_at = random.percent(20).then(|| extreme_instant(random));
    }
    for event in &mut history.events {
        event.occurred_at = extreme_instant(random);
        event.recorded_at = extreme_instant(random);
    }
    for pause in &mut history.pauses {
        pause.left_on = extreme_day(random);
        pause.expected_return = extreme_day(random);
        pause.recorded_at = extreme_instant(random);
        pause.ended = random
            .percent(50)
            .then(|| PauseEnd { returned_on: extreme_day(random), recorded_at: extreme_instant(random) });
    }
    for waiver in &mut history.waivers {
        waiver.days = extreme_days(random);
    }
    if random.percent(60) {
        history.tenure = (0..random.days(0, 3)).map(|_| extreme_days(random)).collect();
    }
    if random.percent(60) {
        history.now = extreme_instant(random);
    }
    // Rarely all of time.
    history.range = if random.percent(2) {
        DateRange::new(CivilDate::MIN, CivilDate::MAX)
    } else if random.percent(60) {
        extreme_days(random)
    } else {
        history.range
    };
}

fn wild_applied(history: &History, random: &mut Random) -> Vec<Applied> {
    let mut applied = Vec::new();
    for standard in &history.standards {
        let spans = (0..random.days(0, 3)).map(|_| AppliedSpan {
            days: if random.percent(50) { DateRange::from(CivilDate::MIN) } else { extreme_days(random) },
            standard: Arc::clone(standard),
            substitutes: KindSet::of(&[random.pick(crate::kind::ServiceKind::ALL)]),
            clip: if random.percent(50) { DateRange::from(CivilDate::MIN) } else { extreme_days(random) },
            anchor: extreme_day(random),
        });
        applied.push(Applied::new(spans.collect()).with_waivers(history.waivers.clone()));
    }
    applied
}

fn is_recurring(o: &Obligation) -> bool {
    matches!(o.standard.duty, Duty::Recurring { .. })
}

fn is_met(o: &Obligation) -> bool {
    match o.status {
        ObligationStatus::Met | ObligationStatus::MetLate => true,
        ObligationStatus::Upcoming
        | ObligationStatus::Open
        | ObligationStatus::AtRisk
        | ObligationStatus::Missed
        | ObligationStatus::Excused => false,
    }
}

fn same(a: &Obligation, b: &Obligation) -> bool {
    a.standard.code == b.standard.code && a.opening == b.opening && a.window == b.window
}
