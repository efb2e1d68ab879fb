//! The cases that the regulation and the domain model name, one test each.

use crate::applied::{AppliedSpan, Standing, Timeline, applied_to_resident};
use crate::group::Citation;
use crate::id::{ResidentId, SiteId, StandardCode, SubjectKind};
use crate::kind::{Confidence, Department, EventKind, ServiceKind};
use crate::obligation::*;
use crate::pause::{PauseEnd, PauseReason};
use crate::record::Outcome;
use crate::standard::{Duty, Origin, Period, RunsOn, Selector, Within};
use crate::text::Label;
use crate::time::SiteZone;

fn day(text: &str) -> CivilDate {
    CivilDate::parse(text).unwrap()
}

/// `2026-03-17 10:30` in Shanghai.
fn at(text: &str) -> Instant {
    let (date, time) = text.split_once(' ').unwrap();
    let (hour, minute) = time.split_once(':').unwrap();
    SiteZone::SHANGHAI.at(day(date), hour.parse().unwrap(), minute.parse().unwrap())
}

fn standard(code: &str, duty: Duty, accepts: &[ServiceKind]) -> Standard {
    Standard {
        code: StandardCode::new(code).unwrap(),
        version: 1,
        title: Label::new("", ""),
        citation: Citation {
            instrument: Label::new("", ""),
            locator: String::new(),
            confidence: Confidence::Verified,
        },
        subject: SubjectKind::Resident,
        applies_to: Selector::default(),
        duty,
        accepts: KindSet::of(accepts),
        substitutes: Vec::new(),
        department: Department::CustomerService,
        priority: 2,
        prorate: true,
        pausable: true,
        runs_on: RunsOn::All,
        ladder: None,
        effective: DateRange::from(CivilDate::MIN),
        origin: Origin::Catalogue,
    }
}

fn per(at_least: u16, per: Period, distinct_days: bool) -> Duty {
    Duty::Recurring { at_least, per, distinct_days }
}

/// The two weekly promises to elders (regulation, Art. 8).
fn elder() -> Vec<Standard> {
    vec![
        standard("elder.visit", per(1, Period::Week, false), &[ServiceKind::HomeVisit]),
        standard("elder.call", per(2, Period::Week, true), &[ServiceKind::PhoneCall, ServiceKind::VideoCall]),
    ]
}

fn built_in(codes: &[&str]) -> Vec<Standard> {
    crate::catalogue::standards().into_iter().filter(|s| codes.contains(&s.code.as_str())).collect()
}

/// One resident, moved in on 2026-01-05, with what happened to them.
struct World {
    standards: Vec<Standard>,
    tenure: DateRange,
    attention: Vec<crate::assessment::Attention>,
    records: Vec<SubjectRecord>,
    events: Vec<CareEvent>,
    pauses: Vec<Pause>,
}

fn world(standards: Vec<Standard>) -> World {
    World {
        standards,
        tenure: DateRange::from(day("2026-01-05")),
        attention: Vec::new(),
        records: Vec::new(),
        events: Vec::new(),
        pauses: Vec::new(),
    }
}

fn subject() -> Subject {
    Subject::Resident(ResidentId::new("wang-1").unwrap())
}

impl World {
    fn tenure(mut self, from: &str, last: Option<&str>) -> Self {
        self.tenure = crate::resident::Tenure { moved_in: day(from), moved_out: last.map(day) }.days();
        self
    }

    fn tier(mut self, tier: crate::kind::Tier) -> Self {
        self.attention.push(crate::assessment::Attention { from: CivilDate::MIN, tier, tags: Vec::new() });
        self
    }

    /// A record made at once.
    fn record(self, kind: ServiceKind, occurred: &str, outcome: Outcome) -> Self {
        self.record_at(kind, occurred, occurred, outcome, &[])
    }

    fn done(self, kind: ServiceKind, occurred: &str) -> Self {
        self.record(kind, occurred, Outcome::Done)
    }

    fn record_at(
        mut self,
        kind: ServiceKind,
        occurred: &str,
        recorded: &str,
        outcome: Outcome,
        answers: &[&str],
    ) -> Self {
        self.records.push(SubjectRecord {
            id: RecordId::new(&format!("r{}", self.records.len() + 1)).unwrap(),
            kind,
            occurred_at: at(occurred),
            recorded_at: at(recorded),
            outcome,
            answers: answers.iter().map(|id| EventId::new(id).unwrap()).collect(),
            voided_at: None,
        });
        self
    }

    fn event(mut self, kind: EventKind, id: &str, occurred: &str) -> Self {
        self.events.push(CareEvent {
            site: SiteId::new("s").unwrap(),
            id: EventId::new(id).unwrap(),
            kind,
            subject: subject(),
            occurred_at: at(occurred),
            recorded_at: at(occurred),
            aspect: None,
            note: None,
        });
        self
    }

    fn pause(mut self, left: &str, back: &str, recorded: &str) -> Self {
        self.pauses.push(Pause {
            site: SiteId::new("s").unwrap(),
            resident: ResidentId::new("wang-1").unwrap(),
            id: PauseId::new(&format!("p{}", self.pauses.len() + 1)).unwrap(),
            reason: PauseReason::Hospital,
            remark: None,
            left_on: day(left),
            expected_return: day(back),
            recorded_at: at(recorded),
            ended: None,
            confirmed_at: None,
            version: 1,
        });
        self
    }

    fn returned(mut self, on: &str, recorded: &str) -> Self {
        let end = PauseEnd { returned_on: day(on), recorded_at: at(recorded) };
        self.pauses.last_mut().unwrap().ended = Some(end);
        self
    }

    fn confirmed(mut self, recorded: &str) -> Self {
        self.pauses.last_mut().unwrap().confirmed_at = Some(at(recorded));
        self
    }

    fn obligations(&self, from: &str, to: &str, now: &str) -> Vec<Obligation> {
        let standards: Vec<Arc<Standard>> = self.standards.iter().cloned().map(Arc::new).collect();
        let timelines = Timeline::of_site(&standards, &SiteId::new("s").unwrap());
        let tenure = [self.tenure];
        let standing =
            Standing { memberships: &[], attention: &self.attention, waivers: &[], tenure: &tenure };
        let applied = applied_to_resident(&timelines, &standing, at(now));
        let calendar = SiteCalendar::new(SiteZone::SHANGHAI);
        let subject = subject();
        let case = Case {
            subject: &subject,
            applied: &applied,
            records: &self.records,
            events: &self.events,
            pauses: &self.pauses,
            tenure: &tenure,
            calendar: &calendar,
        };
        obligations(&case, DateRange::new(day(from), day(to)), at(now)).unwrap()
    }

    /// Each obligation as `code first..last credited/required of active/eligible days status [+flags] (credits)`.
    #[track_caller]
    fn check(&self, from: &str, to: &str, now: &str, expect: &[&str]) {
        let found: Vec<String> = self.obligations(from, to, now).iter().map(show).collect();
        assert_eq!(found, expect, "asked on {now}");
    }
}

fn show(o: &Obligation) -> String {
    let mut text = format!(
        "{} {}..{} {}/{} of {}/{} days {}",
        o.standard.code,
        o.window.start(),
        o.last_day(),
        o.credited,
        o.required,
        o.active_days,
        o.eligible_days,
        o.status.code()
    );
    if o.flags.late_entry {
        text.push_str(" +late_entry");
    }
    if o.flags.late_pause {
        text.push_str(" +late_pause");
    }
    for id in &o.credits {
        text.push_str(&format!(" {id}"));
    }
    match &o.excuse {
        Some(Excuse::Pause(id)) => text.push_str(&format!(" by pause {id}")),
        Some(Excuse::Waiver) => text.push_str(" by waiver"),
        Some(Excuse::Ended) => text.push_str(" as care ended"),
        None => {}
    }
    text
}

// 2026-03-16 is a Monday.

#[test]
fn a_full_week() {
    let week = world(elder())
        .done(ServiceKind::HomeVisit, "2026-03-17 10:00")
        .done(ServiceKind::PhoneCall, "2026-03-18 10:00")
        .done(ServiceKind::VideoCall, "2026-03-22 23:59");
    week.check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-23 09:00",
        &[
            "elder.call 2026-03-16..2026-03-22 2/2 of 7/7 days met r2 r3",
            "elder.visit 2026-03-16..2026-03-22 1/1 of 7/7 days met r1",
        ],
    );
    // The same history, asked while it happened.
    week.check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-17 09:00",
        &[
            "elder.call 2026-03-16..2026-03-22 0/2 of 7/7 days open",
            "elder.visit 2026-03-16..2026-03-22 0/1 of 7/7 days open",
        ],
    );
    week.check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-20 08:00",
        &[
            "elder.call 2026-03-16..2026-03-22 1/2 of 7/7 days at_risk r2",
            "elder.visit 2026-03-16..2026-03-22 1/1 of 7/7 days met r1",
        ],
    );
    week.check(
        "2026-03-23",
        "2026-03-30",
        "2026-03-22 23:59",
        &[
            "elder.call 2026-03-23..2026-03-29 0/2 of 7/7 days upcoming",
            "elder.visit 2026-03-23..2026-03-29 0/1 of 7/7 days upcoming",
        ],
    );
}

#[test]
fn a_week_with_a_hospital_stay() {
    // Taken in on Tuesday, back on Friday: Wednesday and Thursday are excused.
    let stay = world(elder())
        .pause("2026-03-17", "2026-03-20", "2026-03-17 15:00")
        .returned("2026-03-20", "2026-03-20 11:00");
    stay.check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-23 09:00",
        &[
            "elder.call 2026-03-16..2026-03-22 0/1 of 5/7 days missed",
            "elder.visit 2026-03-16..2026-03-22 0/1 of 5/7 days missed",
        ],
    );
    // Away for the whole week.
    world(elder()).pause("2026-03-15", "2026-03-23", "2026-03-15 09:00").check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-23 09:00",
        &[
            "elder.call 2026-03-16..2026-03-22 0/0 of 0/7 days excused by pause p1",
            "elder.visit 2026-03-16..2026-03-22 0/0 of 0/7 days excused by pause p1",
        ],
    );
    // Left on Monday, back the next Monday: one active day rounds to nothing.
    world(elder()).pause("2026-03-16", "2026-03-23", "2026-03-16 09:00").check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-23 09:00",
        &[
            "elder.call 2026-03-16..2026-03-22 0/0 of 1/7 days excused by pause p1",
            "elder.visit 2026-03-16..2026-03-22 0/0 of 1/7 days excused by pause p1",
        ],
    );
    // Two active days raise it to one.
    world(elder()).pause("2026-03-17", "2026-03-23", "2026-03-16 09:00").check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-23 09:00",
        &[
            "elder.call 2026-03-16..2026-03-22 0/1 of 2/7 days missed",
            "elder.visit 2026-03-16..2026-03-22 0/1 of 2/7 days missed",
        ],
    );
}

#[test]
fn an_enrolment_on_a_thursday() {
    world(elder()).tenure("2026-03-19", None).check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-19 09:00",
        &[
            "elder.call 2026-03-16..2026-03-22 0/1 of 4/4 days open",
            "elder.visit 2026-03-16..2026-03-22 0/1 of 4/4 days open",
        ],
    );
}

#[test]
fn an_enrolment_on_a_friday() {
    world(elder()).tenure("2026-03-20", None).check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-20 07:00",
        &["elder.call 2026-03-16..2026-03-22 0/1 of 3/3 days open"],
    );
}

#[test]
fn two_calls_on_one_day() {
    world(elder())
        .done(ServiceKind::PhoneCall, "2026-03-18 10:00")
        .done(ServiceKind::VideoCall, "2026-03-18 19:00")
        .check(
            "2026-03-16",
            "2026-03-23",
            "2026-03-23 00:00",
            &[
                "elder.call 2026-03-16..2026-03-22 1/2 of 7/7 days missed r1",
                "elder.visit 2026-03-16..2026-03-22 0/1 of 7/7 days missed",
            ],
        );
}

#[test]
fn a_visit_entered_five_days_late() {
    let late = world(elder()).record_at(
        ServiceKind::HomeVisit,
        "2026-03-20 10:00",
        "2026-03-25 10:00",
        Outcome::Done,
        &[],
    );
    let visit = |now: &str| -> String {
        let found = late.obligations("2026-03-16", "2026-03-23", now);
        show(found.iter().find(|o| o.standard.code.as_str() == "elder.visit").unwrap())
    };
    assert_eq!(visit("2026-03-25 09:59"), "elder.visit 2026-03-16..2026-03-22 0/1 of 7/7 days missed");
    assert_eq!(
        visit("2026-03-25 10:00"),
        "elder.visit 2026-03-16..2026-03-22 1/1 of 7/7 days met +late_entry r1"
    );
    // It earns nothing in the week in which it was entered.
    let next = late.obligations("2026-03-23", "2026-03-30", "2026-03-30 09:00");
    assert!(next.iter().all(|o| o.status == ObligationStatus::Missed));
    // Entered within the grace: no flag.
    let within = world(elder()).record_at(
        ServiceKind::HomeVisit,
        "2026-03-20 10:00",
        "2026-03-23 23:59",
        Outcome::Done,
        &[],
    );
    let found = within.obligations("2026-03-16", "2026-03-23", "2026-03-25 09:00");
    assert!(found.iter().all(|o| !o.flags.late_entry));
}

#[test]
fn a_visit_during_a_pause() {
    world(elder())
        .pause("2026-03-16", "2026-03-21", "2026-03-16 09:00")
        .done(ServiceKind::HomeVisit, "2026-03-18 10:00")
        .check(
            "2026-03-16",
            "2026-03-23",
            "2026-03-23 09:00",
            &[
                "elder.call 2026-03-16..2026-03-22 0/1 of 3/7 days missed",
                "elder.visit 2026-03-16..2026-03-22 1/1 of 3/7 days met r1",
            ],
        );
}

#[test]
fn a_pause_that_outlives_its_expected_return() {
    let mut standards = elder();
    standards.extend(built_in(&["pause.check"]));
    let away = world(standards).pause("2026-03-13", "2026-03-18", "2026-03-13 09:00");
    // Expected on Wednesday: duties run again from that day, and a check is due by the end of Thursday.
    away.check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-19 23:59",
        &[
            "elder.call 2026-03-16..2026-03-22 0/1 of 5/7 days open",
            "elder.visit 2026-03-16..2026-03-22 0/1 of 5/7 days open",
            "pause.check 2026-03-18..2026-03-19 0/1 of 2/2 days at_risk",
        ],
    );
    away.check(
        "2026-03-23",
        "2026-03-30",
        "2026-03-23 00:00",
        &[
            "elder.call 2026-03-23..2026-03-29 0/2 of 7/7 days open",
            "elder.visit 2026-03-23..2026-03-29 0/1 of 7/7 days open",
            "pause.check 2026-03-18..2026-03-19 0/1 of 2/2 days missed",
        ],
    );
    // Before the expected return nobody has to ask, and a return in time leaves nothing to ask.
    let check = |world: World, now: &str, expect: Option<ObligationStatus>| {
        let found = world.obligations("2026-03-16", "2026-03-23", now);
        let check = found.iter().find(|o| o.standard.code.as_str() == "pause.check");
        assert_eq!(check.map(|o| o.status), expect, "{now}");
    };
    let pause = || world(built_in(&["pause.check"])).pause("2026-03-13", "2026-03-18", "2026-03-13 09:00");
    check(pause(), "2026-03-17 23:59", None);
    check(pause(), "2026-03-18 00:00", Some(ObligationStatus::Open));
    check(pause().returned("2026-03-17", "2026-03-17 18:00"), "2026-03-20 09:00", None);
    check(
        pause().returned("2026-03-18", "2026-03-18 18:00"),
        "2026-03-20 09:00",
        Some(ObligationStatus::Met),
    );
    check(
        pause().done(ServiceKind::PhoneCall, "2026-03-20 10:00"),
        "2026-03-20 11:00",
        Some(ObligationStatus::MetLate),
    );
}

#[test]
fn a_pause_recorded_after_the_window_excuses_once_confirmed() {
    let late = || world(elder()).pause("2026-03-13", "2026-03-25", "2026-03-24 09:00");
    let status = |world: World| {
        let found = world.obligations("2026-03-16", "2026-03-23", "2026-03-27 09:00");
        found.iter().map(|o| (o.status, o.flags.late_pause)).collect::<Vec<_>>()
    };
    assert_eq!(status(late()), [(ObligationStatus::Missed, true), (ObligationStatus::Missed, true)]);
    let confirmed = late().confirmed("2026-03-26 09:00");
    assert_eq!(status(confirmed), [(ObligationStatus::Excused, true), (ObligationStatus::Excused, true)]);
}

#[test]
fn a_move_out_in_the_middle_of_the_week() {
    // The last day is Wednesday: three of seven days owe no visit and one call.
    world(elder()).tenure("2026-01-05", Some("2026-03-18")).check(
        "2026-03-16",
        "2026-03-30",
        "2026-03-23 09:00",
        &["elder.call 2026-03-16..2026-03-22 0/1 of 3/3 days missed"],
    );
    world(elder()).tenure("2026-01-05", Some("2026-03-19")).check(
        "2026-03-16",
        "2026-03-30",
        "2026-03-19 07:00",
        &[
            "elder.call 2026-03-16..2026-03-22 0/1 of 4/4 days open",
            "elder.visit 2026-03-16..2026-03-22 0/1 of 4/4 days open",
        ],
    );
}

#[test]
fn a_leap_day() {
    let leap = world(vec![
        standard("month", per(29, Period::Month, true), &[ServiceKind::PhoneCall]),
        standard("week", per(7, Period::Week, true), &[ServiceKind::PhoneCall]),
    ])
    .tenure("2024-01-01", None)
    .done(ServiceKind::PhoneCall, "2024-02-29 12:00");
    leap.check(
        "2024-02-29",
        "2024-03-01",
        "2024-03-05 09:00",
        &[
            "month 2024-02-01..2024-02-29 1/29 of 29/29 days missed r1",
            "week 2024-02-26..2024-03-03 1/7 of 7/7 days missed r1",
        ],
    );
}

#[test]
fn iso_weeks_across_new_year() {
    let year_end = world(elder())
        .done(ServiceKind::HomeVisit, "2027-01-01 10:00")
        .done(ServiceKind::PhoneCall, "2026-12-28 10:00")
        .done(ServiceKind::PhoneCall, "2027-01-03 10:00");
    let expect = [
        "elder.call 2026-12-28..2027-01-03 2/2 of 7/7 days met r2 r3",
        "elder.visit 2026-12-28..2027-01-03 1/1 of 7/7 days met r1",
    ];
    year_end.check("2026-12-31", "2027-01-01", "2027-01-10 09:00", &expect);
    year_end.check("2027-01-01", "2027-01-02", "2027-01-10 09:00", &expect);
}

#[test]
fn a_year_without_data_is_an_error_only_where_it_matters() {
    let ask = |now: &str| {
        let world = world(elder());
        let standard = Arc::new(world.standards.first().cloned().unwrap());
        let applied = [Applied::one(standard, world.tenure)];
        let calendar = SiteCalendar::new(SiteZone::SHANGHAI);
        let case = Case {
            subject: &subject(),
            applied: &applied,
            records: &[],
            events: &[],
            pauses: &[],
            tenure: &[world.tenure],
            calendar: &calendar,
        };
        let range = DateRange::new(day("2026-12-28"), day("2027-01-04"));
        obligations(&case, range, at(now)).map(|found| found.first().unwrap().status)
    };
    let missing = Err(CalendarError::MissingYear { year: 2027 });
    // Which of the week's days is the last workday depends on the year that is not known.
    assert_eq!(ask("2026-12-30 09:00"), Ok(ObligationStatus::Open));
    assert_eq!(ask("2026-12-31 07:59"), Ok(ObligationStatus::Open));
    assert_eq!(ask("2026-12-31 08:00"), missing);
    assert_eq!(ask("2027-01-02 09:00"), Ok(ObligationStatus::AtRisk));
    assert_eq!(ask("2027-01-04 00:00"), Ok(ObligationStatus::Missed));
}

#[test]
fn a_weekly_standard_becomes_monthly_on_a_wednesday() {
    let weekly = |n| Standard {
        effective: DateRange::new(CivilDate::MIN, day("2026-03-18")),
        ..standard("visit", per(n, Period::Week, false), &[ServiceKind::HomeVisit])
    };
    let monthly = |n| Standard {
        version: 2,
        effective: DateRange::from(day("2026-03-18")),
        ..standard("visit", per(n, Period::Month, false), &[ServiceKind::HomeVisit])
    };
    // Monday and Tuesday are 2 of 7 days, the rest of March 14 of 31.
    let change = world(vec![weekly(2), monthly(3)])
        .done(ServiceKind::HomeVisit, "2026-03-17 10:00")
        .done(ServiceKind::HomeVisit, "2026-03-18 10:00");
    change.check(
        "2026-03-16",
        "2026-04-01",
        "2026-04-01 00:00",
        &[
            "visit 2026-03-16..2026-03-17 1/1 of 2/2 days met r1",
            "visit 2026-03-18..2026-03-31 1/1 of 14/14 days met r2",
        ],
    );
    // One a week and one a month: neither part rounds up.
    world(vec![weekly(1), monthly(1)]).check("2026-03-16", "2026-04-01", "2026-04-01 00:00", &[]);
    // Parts of windows are prorated even where the standard itself does not prorate.
    let whole = |standard: Standard| Standard { prorate: false, ..standard };
    world(vec![whole(weekly(2)), whole(monthly(3))]).check(
        "2026-03-16",
        "2026-04-01",
        "2026-04-01 00:00",
        &[
            "visit 2026-03-16..2026-03-17 0/1 of 2/2 days missed",
            "visit 2026-03-18..2026-03-31 0/1 of 14/14 days missed",
        ],
    );
}

#[test]
fn a_new_version_with_the_same_window_begins_with_a_window() {
    let version = |version, n, from: CivilDate, to: CivilDate| Standard {
        version,
        effective: DateRange::new(from, to),
        ..standard("visit", per(n, Period::Week, false), &[ServiceKind::HomeVisit])
    };
    let change = day("2026-03-18");
    let standards = vec![version(1, 1, CivilDate::MIN, change), version(2, 3, change, CivilDate::MAX)];
    let shared: Vec<Arc<Standard>> = standards.iter().cloned().map(Arc::new).collect();
    let timelines = Timeline::of_site(&shared, &SiteId::new("s").unwrap());
    assert_eq!(timelines.first().unwrap().takes_effect(2), Some(day("2026-03-23")));
    // Also for somebody who is enrolled after the change, in the same week.
    world(standards).tenure("2026-03-19", None).check(
        "2026-03-16",
        "2026-03-30",
        "2026-03-30 00:00",
        &[
            "visit 2026-03-16..2026-03-22 0/1 of 4/4 days missed",
            "visit 2026-03-23..2026-03-29 0/3 of 7/7 days missed",
        ],
    );
}

#[test]
fn every_days_is_anchored_where_it_began_to_apply() {
    let every = Standard {
        prorate: false,
        ..standard("every", per(1, Period::EveryDays(3), false), &[ServiceKind::HomeVisit])
    };
    let shared = Arc::new(every);
    let span = |from: &str, to: &str| AppliedSpan {
        days: DateRange::new(day(from), day(to)),
        standard: Arc::clone(&shared),
        substitutes: KindSet::EMPTY,
        clip: DateRange::new(CivilDate::MIN, CivilDate::MAX),
        anchor: CivilDate::MIN,
    };
    let windows = |spans: Vec<AppliedSpan>| {
        let applied = [Applied::new(spans)];
        let calendar = SiteCalendar::new(SiteZone::SHANGHAI);
        let case = Case {
            subject: &subject(),
            applied: &applied,
            records: &[],
            events: &[],
            pauses: &[],
            tenure: &[DateRange::from(CivilDate::MIN)],
            calendar: &calendar,
        };
        let range = DateRange::new(day("2026-03-01"), day("2026-03-20"));
        let found = obligations(&case, range, at("2026-04-01 00:00")).unwrap();
        found.iter().map(|o| format!("{}..{}", o.window.start(), o.last_day())).collect::<Vec<_>>()
    };
    // A change of tier or group inside the interval does not move the anchor.
    assert_eq!(
        windows(vec![span("2026-03-02", "2026-03-06"), span("2026-03-06", "2026-03-09")]),
        ["2026-03-02..2026-03-04", "2026-03-05..2026-03-07", "2026-03-08..2026-03-10"]
    );
    // A gap begins anew, and the windows still do not overlap.
    assert_eq!(
        windows(vec![span("2026-03-02", "2026-03-06"), span("2026-03-07", "2026-03-09")]),
        ["2026-03-02..2026-03-04", "2026-03-05..2026-03-06", "2026-03-07..2026-03-09"]
    );
}

#[test]
fn survey_after_a_move_in_on_the_first_of_march() {
    let moved_in = || {
        world(
            built_in(&["survey.move_in"])
                .into_iter()
                .map(|s| Standard { subject: SubjectKind::Resident, ..s })
                .collect(),
        )
        .event(EventKind::HouseholdMovedIn, "e1", "2026-03-01 00:00")
    };
    let check =
        |world: World, now: &str, expect: &str| world.check("2026-03-01", "2026-04-01", now, &[expect]);
    check(moved_in(), "2026-03-02 09:00", "survey.move_in 2026-03-01..2026-03-16 0/1 of 16/16 days open");
    check(moved_in(), "2026-03-16 23:59", "survey.move_in 2026-03-01..2026-03-16 0/1 of 16/16 days at_risk");
    check(moved_in(), "2026-03-17 00:00", "survey.move_in 2026-03-01..2026-03-16 0/1 of 16/16 days missed");
    check(
        moved_in().done(ServiceKind::Survey, "2026-03-16 23:59"),
        "2026-03-17 00:00",
        "survey.move_in 2026-03-01..2026-03-16 1/1 of 16/16 days met r1",
    );
    check(
        moved_in().done(ServiceKind::Survey, "2026-03-17 00:00"),
        "2026-03-18 00:00",
        "survey.move_in 2026-03-01..2026-03-16 1/1 of 16/16 days met_late r1",
    );
    // Before the move-in it does not count.
    check(
        moved_in().done(ServiceKind::Survey, "2026-02-28 10:00"),
        "2026-03-02 09:00",
        "survey.move_in 2026-03-01..2026-03-16 0/1 of 16/16 days open",
    );
}

#[test]
fn two_changes_an_hour_apart_and_an_update_that_answers_one() {
    let changes = world(built_in(&["file.update"]))
        .event(EventKind::ChangeReported, "c1", "2026-03-17 10:00")
        .event(EventKind::ChangeReported, "c2", "2026-03-17 11:00")
        .record_at(ServiceKind::FileUpdate, "2026-03-17 15:00", "2026-03-17 15:00", Outcome::Done, &["c2"]);
    changes.check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-18 10:00",
        &[
            "file.update 2026-03-17..2026-03-18 0/1 of 2/2 days at_risk",
            "file.update 2026-03-17..2026-03-18 1/1 of 2/2 days met r1",
        ],
    );
    let found = changes.obligations("2026-03-16", "2026-03-23", "2026-03-18 10:01");
    let openings: Vec<_> = found.iter().map(|o| (o.opening.clone(), o.status)).collect();
    let event = |id| Opening::Event(EventId::new(id).unwrap());
    assert_eq!(openings, [(event("c1"), ObligationStatus::Missed), (event("c2"), ObligationStatus::Met)]);
    // It stays open until it is answered, also in later ranges.
    let later = changes.obligations("2026-06-01", "2026-06-08", "2026-06-02 09:00");
    assert_eq!(later.len(), 1);
    assert!(later.first().unwrap().is_open());
}

#[test]
fn records_are_due_within_24_hours() {
    world(built_in(&["file.record"]))
        .done(ServiceKind::HomeVisit, "2026-03-17 10:00")
        .record_at(ServiceKind::PhoneCall, "2026-03-18 10:00", "2026-03-19 10:00", Outcome::Done, &[])
        .record_at(ServiceKind::PhoneCall, "2026-03-20 10:00", "2026-03-21 10:01", Outcome::NotReached, &[])
        .check(
            "2026-03-16",
            "2026-03-23",
            "2026-03-23 00:00",
            &[
                "file.record 2026-03-17..2026-03-18 1/1 of 2/2 days met",
                "file.record 2026-03-18..2026-03-19 1/1 of 2/2 days met",
                "file.record 2026-03-20..2026-03-21 1/1 of 2/2 days met_late",
            ],
        );
}

#[test]
fn the_ladder() {
    let ladder = || {
        world(
            crate::catalogue::standards()
                .into_iter()
                .filter(|s| s.code.as_str().starts_with("contact.ladder."))
                .collect(),
        )
    };
    let check = |world: World, now: &str, expect: &[(&str, &str, &str)]| {
        let found = world.obligations("2026-03-16", "2026-03-23", now);
        let due = |o: &Obligation| o.due.plus_hours(8).to_utc().format("%d %H:%M").to_string();
        let shown: Vec<(String, String, &str)> =
            found.iter().map(|o| (o.standard.code.to_string(), due(o), o.status.code())).collect();
        let shown: Vec<(&str, &str, &str)> =
            shown.iter().map(|(code, due, status)| (code.as_str(), due.as_str(), *status)).collect();
        assert_eq!(shown, expect, "{now}");
    };
    let call = ServiceKind::PhoneCall;
    let missed = Outcome::NotReached;
    // 2026-03-21 is a Saturday.
    let once = || ladder().record(call, "2026-03-21 10:00", missed);
    check(once(), "2026-03-21 10:10", &[("contact.ladder.retry", "21 12:00", "open")]);
    check(once(), "2026-03-21 12:01", &[("contact.ladder.retry", "21 12:00", "missed")]);
    check(
        once().tier(crate::kind::Tier::High),
        "2026-03-21 10:10",
        &[("contact.ladder.retry.high", "21 10:30", "open")],
    );
    // A second failed try answers the first step and opens the next, and so on up to the authorities.
    let twice = || once().record(call, "2026-03-21 11:00", missed);
    check(
        twice(),
        "2026-03-21 11:10",
        &[
            ("contact.ladder.emergency_contact", "21 12:00", "open"),
            ("contact.ladder.retry", "21 12:00", "met"),
        ],
    );
    let thrice = || twice().record(ServiceKind::EmergencyContactCall, "2026-03-21 12:30", missed);
    let door = || thrice().record(ServiceKind::DoorCheck, "2026-03-21 13:00", missed);
    check(
        door(),
        "2026-03-21 13:00",
        &[
            ("contact.ladder.authority", "21 13:00", "open"),
            ("contact.ladder.door", "21 13:30", "met"),
            ("contact.ladder.emergency_contact", "21 12:00", "met_late"),
            ("contact.ladder.retry", "21 12:00", "met"),
        ],
    );
    // A contact closes it; the count begins again.
    let reached = || twice().done(call, "2026-03-21 11:30");
    check(
        reached().record(call, "2026-03-22 10:00", missed),
        "2026-03-22 10:10",
        &[
            ("contact.ladder.emergency_contact", "21 12:00", "met"),
            ("contact.ladder.retry", "21 12:00", "met"),
            ("contact.ladder.retry", "22 12:00", "open"),
        ],
    );
    // So does the word of a neighbour, which credits no visit.
    let safe = twice().event(EventKind::SafetyConfirmed, "s1", "2026-03-21 11:20");
    let found = safe.obligations("2026-03-16", "2026-03-23", "2026-03-21 13:00");
    assert!(found.iter().all(|o| o.status == ObligationStatus::Met));
    assert!(found.first().unwrap().credits.is_empty());
    // A try due at night waits for the morning, except at high tier.
    let evening = || ladder().record(call, "2026-03-21 19:00", missed);
    check(evening(), "2026-03-21 19:10", &[("contact.ladder.retry", "22 08:00", "open")]);
    check(
        evening().tier(crate::kind::Tier::High),
        "2026-03-21 19:10",
        &[("contact.ladder.retry.high", "21 19:30", "open")],
    );
    let night = ladder().record(call, "2026-03-22 03:00", missed);
    check(night, "2026-03-22 03:10", &[("contact.ladder.retry", "22 08:00", "open")]);
    // Entered two days late: the clock runs from the entry.
    let late = ladder().record_at(call, "2026-03-19 10:00", "2026-03-21 14:00", missed, &[]);
    check(late, "2026-03-21 14:10", &[("contact.ladder.retry", "21 16:00", "open")]);
}

#[test]
fn a_festival_visit() {
    let festival = || world(built_in(&["festival.visit.mid_autumn"]));
    let range = ("2026-09-01", "2026-10-01");
    festival().check(
        range.0,
        range.1,
        "2026-09-01 09:00",
        &["festival.visit.mid_autumn 2026-09-18..2026-09-25 0/1 of 8/8 days upcoming"],
    );
    festival().done(ServiceKind::FestivalVisit, "2026-09-18 09:00").check(
        range.0,
        range.1,
        "2026-09-26 00:00",
        &["festival.visit.mid_autumn 2026-09-18..2026-09-25 1/1 of 8/8 days met r1"],
    );
    // Never prorated: one day in care, and that the day itself, owes the visit.
    festival().tenure("2026-09-25", None).check(
        range.0,
        range.1,
        "2026-09-26 00:00",
        &["festival.visit.mid_autumn 2026-09-18..2026-09-25 0/1 of 1/1 days missed"],
    );
    festival().tenure("2026-01-05", Some("2026-09-24")).check(range.0, range.1, "2026-09-26 00:00", &[]);
}

#[test]
fn an_answered_message_and_a_second_visit_stand_in_for_calls() {
    let hearing = crate::id::TagCode::new("hearing").unwrap();
    let mut standards = elder();
    standards.last_mut().unwrap().substitutes = vec![crate::standard::Substitute {
        tag: hearing.clone(),
        kinds: KindSet::of(&[ServiceKind::AnsweredMessage, ServiceKind::HomeVisit]),
    }];
    let deaf = || {
        let mut world = world(standards.clone());
        let tags = vec![hearing.clone()];
        let attention =
            crate::assessment::Attention { from: CivilDate::MIN, tier: crate::kind::Tier::Key, tags };
        world.attention.push(attention);
        world
    };
    let calls = |world: World, expect: &[&str]| {
        let found = world.obligations("2026-03-16", "2026-03-23", "2026-03-23 00:00");
        let call = found.iter().find(|o| o.standard.code.as_str() == "elder.call").unwrap();
        assert_eq!(call.credits.iter().map(RecordId::as_str).collect::<Vec<_>>(), expect);
    };
    calls(deaf().done(ServiceKind::AnsweredMessage, "2026-03-17 10:00"), &["r1"]);
    // Without the tag a message earns nothing.
    calls(world(standards.clone()).done(ServiceKind::AnsweredMessage, "2026-03-17 10:00"), &[]);
    // The first visit is the one that the week owes; a second one that day is no other day; Thursday's counts.
    calls(
        deaf()
            .done(ServiceKind::HomeVisit, "2026-03-17 10:00")
            .done(ServiceKind::HomeVisit, "2026-03-17 15:00")
            .done(ServiceKind::HomeVisit, "2026-03-19 10:00"),
        &["r3"],
    );
}

#[test]
fn pauses_move_deadlines_in_days() {
    let review = Standard {
        pausable: true,
        ..standard(
            "after",
            Duty::Triggered { on: EventKind::Discharged, within: Within::Days(3), any_match: true },
            &[ServiceKind::HomeVisit],
        )
    };
    // Discharged on the 16th, away from the 17th to the 20th: the 18th and 19th do not count.
    world(vec![review])
        .event(EventKind::Discharged, "d1", "2026-03-16 10:00")
        .pause("2026-03-17", "2026-03-20", "2026-03-16 11:00")
        .check(
            "2026-03-16",
            "2026-03-23",
            "2026-03-16 12:00",
            &["after 2026-03-16..2026-03-21 0/1 of 6/6 days open"],
        );
}

#[test]
fn what_is_open_ends_with_care() {
    let left = world(built_in(&["file.update"])).tenure("2026-01-05", Some("2026-03-17")).event(
        EventKind::ChangeReported,
        "c1",
        "2026-03-17 10:00",
    );
    left.check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-17 23:59",
        &["file.update 2026-03-17..2026-03-18 0/1 of 1/1 days open"],
    );
    left.check(
        "2026-03-16",
        "2026-03-23",
        "2026-03-18 00:00",
        &["file.update 2026-03-17..2026-03-18 0/0 of 1/1 days excused as care ended"],
    );
}
