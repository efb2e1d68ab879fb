//! Recurring duties. 2026-03-16 is a Monday.

use super::*;

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
    // Which of the week's days is the last workday depends on the year that is not known: the hint takes the ordinary
    // week, whose Friday is 1 January; what is owed does not depend on it.
    assert_eq!(ask("2026-12-30 09:00"), Ok(ObligationStatus::Open));
    assert_eq!(ask("2026-12-31 07:59"), Ok(ObligationStatus::Open));
    assert_eq!(ask("2026-12-31 08:00"), Ok(ObligationStatus::Open));
    assert_eq!(ask("2027-01-01 07:59"), Ok(ObligationStatus::Open));
    assert_eq!(ask("2027-01-01 08:00"), Ok(ObligationStatus::AtRisk));
    assert_eq!(ask("2027-01-02 09:00"), Ok(ObligationStatus::AtRisk));
    assert_eq!(ask("2027-01-04 00:00"), Ok(ObligationStatus::Missed));
    // On which days a duty runs decides what is owed: the year is wanting.
    let workdays = elder().into_iter().map(|s| Standard { runs_on: RunsOn::Workdays, ..s }).collect();
    let missing = Err(CalendarError::MissingYear { year: 2027 });
    assert_eq!(world(workdays).ask("2026-12-28", "2027-01-04", "2026-12-31 09:00"), missing);
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
