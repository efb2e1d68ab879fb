//! Events, the ladder, occasions. 2026-03-16 is a Monday.

use super::*;

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
fn what_ends_at_an_instant_is_missed_or_excused_for_good() {
    let found = world(built_in(&["file.update"]))
        .event(EventKind::ChangeReported, "c1", "2026-03-17 10:00")
        .event(EventKind::ChangeReported, "c2", "2026-03-17 11:00")
        .event(EventKind::ChangeReported, "c3", "2026-03-17 11:30")
        .record_at(ServiceKind::FileUpdate, "2026-03-17 15:00", "2026-03-17 15:00", Outcome::Done, &["c3"])
        .obligations("2026-03-16", "2026-03-23", "2026-03-18 12:00");
    let end = at("2026-03-18 10:30");
    let shown = |from: &str| -> Vec<(ObligationStatus, bool, bool)> {
        let range = DateRange::new(day(from), day("2026-03-23"));
        let ended = ended_at(found.clone(), end, SiteZone::SHANGHAI, range);
        ended.iter().map(|o| (o.status, o.is_open(), o.excuse == Some(Excuse::Ended))).collect()
    };
    let (missed, excused) =
        ((ObligationStatus::Missed, false, false), (ObligationStatus::Excused, false, true));
    assert_eq!(shown("2026-03-16"), [missed, excused, (ObligationStatus::Met, false, false)]);
    // Later nobody asks for it any more.
    assert_eq!(shown("2026-03-19"), [(ObligationStatus::Met, false, false)]);
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
            ("contact.ladder.authority", "21 13:05", "open"),
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
    // A call to the emergency contact that was made does not say that the person is safe: somebody has to look.
    let called = || twice().done(ServiceKind::EmergencyContactCall, "2026-03-21 11:20");
    check(
        called(),
        "2026-03-21 11:30",
        &[
            ("contact.ladder.door", "21 12:20", "open"),
            ("contact.ladder.emergency_contact", "21 12:00", "met"),
            ("contact.ladder.retry", "21 12:00", "met"),
        ],
    );
    let unseen = called().record(ServiceKind::DoorCheck, "2026-03-21 12:00", missed);
    // A report that reached nobody is no report.
    let unheard = unseen.record(ServiceKind::AuthorityReport, "2026-03-21 12:02", missed);
    let authority = |world: &World| {
        let found = world.obligations("2026-03-16", "2026-03-23", "2026-03-21 12:04");
        found.iter().find(|o| o.standard.code.as_str() == "contact.ladder.authority").map(|o| o.status)
    };
    assert_eq!(authority(&unheard), Some(ObligationStatus::AtRisk));
    let reported = unheard.done(ServiceKind::AuthorityReport, "2026-03-21 12:03");
    assert_eq!(authority(&reported), Some(ObligationStatus::Met));
    // Where nobody is missing, a call to the emergency contact opens nothing.
    check(ladder().done(ServiceKind::EmergencyContactCall, "2026-03-21 11:20"), "2026-03-21 11:30", &[]);
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
fn who_is_hard_of_hearing_is_not_called_again() {
    let retry =
        |tags: &[&str]| {
            let mut world = world(built_in(&["contact.ladder.retry"]))
                .tier(crate::kind::Tier::General)
                .record(ServiceKind::PhoneCall, "2026-03-21 10:00", Outcome::NotReached);
            for attention in &mut world.attention {
                attention.tags = tags.iter().map(|tag| crate::id::TagCode::new(tag).unwrap()).collect();
            }
            let found = world.obligations("2026-03-16", "2026-03-23", "2026-03-21 10:10");
            let calendar = SiteCalendar::new(SiteZone::SHANGHAI);
            let plan = crate::worklist::plan(&found, &world.records, &calendar, at("2026-03-21 10:10"));
            plan.contacts.iter().map(|contact| contact.kind).collect::<Vec<_>>()
        };
    assert_eq!(retry(&[]), [ServiceKind::PhoneCall]);
    assert_eq!(retry(&[crate::catalogue::HEARING_TAG]), [ServiceKind::AnsweredMessage]);
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

#[test]
fn what_was_missed_closes_with_care() {
    let left = world(built_in(&["file.update"])).tenure("2026-01-05", Some("2026-03-20")).event(
        EventKind::ChangeReported,
        "c1",
        "2026-03-17 10:00",
    );
    let check = |range: (&str, &str), now: &str, open: &[bool]| {
        let found = left.obligations(range.0, range.1, now);
        assert!(found.iter().all(|o| o.status == ObligationStatus::Missed), "{now}");
        assert_eq!(found.iter().map(Obligation::is_open).collect::<Vec<_>>(), open, "{now}");
    };
    let (then, later) = (("2026-03-16", "2026-03-23"), ("2026-06-01", "2026-06-08"));
    check(then, "2026-03-20 23:59", &[true]);
    check(then, "2026-03-21 00:00", &[false]);
    check(later, "2026-06-01 09:00", &[]);
    let found = left.obligations(then.0, then.1, "2026-03-20 12:00");
    assert_eq!(found.first().unwrap().next_change_at, Some(at("2026-03-21 00:00")));
}
