//! Worklists: named cases, and the fewest contacts against trying everything.

use std::collections::BTreeSet;

use super::*;
use crate::id::{RecordId, ResidentId, StandardCode};
use crate::obligation::{Flags, ObligationStatus};
use crate::record::Outcome;
use crate::standard::{Period, Within};
use crate::testing::random::Random;
use crate::time::SiteZone;

const SEED: u64 = 71_000;
const PROBLEMS: u64 = 4_000;

fn day(number: i32) -> CivilDate {
    // Day 0 is Monday, 16 March 2026.
    CivilDate::from_ymd(2026, 3, 16).unwrap().plus_days(number)
}

fn calendar() -> SiteCalendar {
    SiteCalendar::new(SiteZone::SHANGHAI)
}

fn now() -> Instant {
    SiteZone::SHANGHAI.at(day(0), 9, 0)
}

/// An open obligation from day `from` to before day `to`.
fn open(code: &str, n: u16, kinds: &[ServiceKind], from: i32, to: i32, distinct_days: bool) -> Obligation {
    let mut standard = crate::catalogue::standards().into_iter().next().unwrap();
    standard.code = StandardCode::new(code).unwrap();
    standard.duty = Duty::Recurring { at_least: n, per: Period::Week, distinct_days };
    standard.accepts = KindSet::of(kinds);
    standard.priority = 3;
    let zone = SiteZone::SHANGHAI;
    Obligation {
        subject: Subject::Resident(ResidentId::new("r").unwrap()),
        accepts: standard.accepts,
        standard: Arc::new(standard),
        opening: Opening::Window(day(from)),
        window: DateRange::new(day(from), day(to)),
        start: zone.start_of(day(from)),
        due: Instant::clamped(zone.start_of(day(to)).micros() - 1),
        required: n,
        credited: 0,
        credits: Vec::new(),
        eligible_days: 7,
        active_days: 7,
        excuse: None,
        status: ObligationStatus::Open,
        flags: Flags::default(),
        met_at: None,
        next_change_at: None,
    }
}

/// Contacts as `day kind code+code`.
fn check(obligations: &[Obligation], records: &[SubjectRecord], expect: &[&str]) {
    let plan = plan(obligations, records, &calendar(), now());
    let shown: Vec<String> = plan
        .contacts
        .iter()
        .map(|contact| {
            let codes: Vec<&str> = contact.credits.iter().map(|c| c.standard.code.as_str()).collect();
            format!("{} {} {}", contact.day.days() - day(0).days(), contact.kind.code(), codes.join("+"))
        })
        .collect();
    assert_eq!(shown, expect);
    assert!(plan.exact);
}

#[test]
fn one_contact_credits_many() {
    use ServiceKind::{AnsweredMessage, HomeVisit, PhoneCall, Review, Survey};
    let visit = || open("visit", 1, &[HomeVisit], 0, 7, false);
    let call = || open("call", 2, &[PhoneCall], 0, 7, true);
    check(&[], &[], &[]);
    check(&[visit()], &[], &["0 home_visit visit"]);
    check(&[call()], &[], &["0 phone_call call", "1 phone_call call"]);
    check(&[visit(), call()], &[], &["0 home_visit visit", "0 phone_call call", "1 phone_call call"]);
    // One survey for both, on a day that both want.
    let review = open("review", 1, &[Review, Survey], 0, 7, false);
    let survey = open("survey", 1, &[Survey], 3, 10, false);
    check(&[review, survey], &[], &["3 survey review+survey"]);
    // A visit that serves three weeks' overlapping duties at once.
    let festival = open("festival", 1, &[ServiceKind::FestivalVisit, HomeVisit], 2, 4, false);
    check(&[visit(), festival], &[], &["2 home_visit visit+festival"]);
    // Met, excused and upcoming ones want nothing.
    let settled = |status| Obligation { status, ..visit() };
    check(
        &[
            settled(ObligationStatus::Met),
            settled(ObligationStatus::Excused),
            settled(ObligationStatus::Upcoming),
        ],
        &[],
        &[],
    );
    // A missed window is past; an unanswered event still wants its answer, today.
    check(&[settled(ObligationStatus::Missed)], &[], &[]);
    let event = Opening::Event(crate::id::EventId::new("e").unwrap());
    let unanswered = Obligation { opening: event, status: ObligationStatus::Missed, ..visit() };
    let contacts = plan(&[unanswered], &[], &calendar(), now()).contacts;
    assert_eq!(contacts.first().map(|c| (c.day, c.urgency)), Some((day(0), Urgency::Overdue)));
    // "Text, do not phone": what stands in for somebody is what is proposed.
    let mut text = call();
    text.accepts = KindSet::of(&[PhoneCall, AnsweredMessage]);
    check(&[text], &[], &["0 answered_message call", "1 answered_message call"]);
}

#[test]
fn days_that_are_credited_are_not_proposed_again() {
    let record = SubjectRecord {
        id: RecordId::new("r1").unwrap(),
        kind: ServiceKind::PhoneCall,
        occurred_at: SiteZone::SHANGHAI.at(day(0), 8, 0),
        recorded_at: now(),
        outcome: Outcome::Done,
        answers: Vec::new(),
        voided_at: None,
    };
    let mut call = open("call", 2, &[ServiceKind::PhoneCall], 0, 7, true);
    call.credited = 1;
    call.credits = vec![record.id.clone()];
    check(&[call], &[record], &["1 phone_call call"]);
}

#[test]
fn what_cannot_be_reached_any_more_is_left_out() {
    // Seven calls on different days, but only two days are left.
    let call = open("call", 7, &[ServiceKind::PhoneCall], -5, 2, true);
    check(&[call], &[], &["0 phone_call call", "1 phone_call call"]);
}

#[test]
fn the_most_pressing_come_first() {
    let at = |status, code: &str, to| Obligation {
        status,
        opening: Opening::Event(crate::id::EventId::new("e").unwrap()),
        ..open(code, 1, &[ServiceKind::HomeVisit], 0, to, false)
    };
    let mut contacts = Vec::new();
    for obligation in [
        at(ObligationStatus::Open, "later", 5),
        at(ObligationStatus::Open, "sooner", 3),
        at(ObligationStatus::AtRisk, "risk", 6),
        at(ObligationStatus::Missed, "overdue", 7),
    ] {
        contacts.extend(plan(&[obligation], &[], &calendar(), now()).contacts);
    }
    sort_contacts(&mut contacts);
    let codes: Vec<&str> = contacts.iter().map(|c| c.credits[0].standard.code.as_str()).collect();
    assert_eq!(codes, ["overdue", "risk", "sooner", "later"]);
}

/// The fewest contacts by trying every kind on every day, level by level.
fn brute_force(obligations: &[Obligation]) -> usize {
    type Tried = (Vec<u16>, Vec<(CivilDate, usize)>);
    // More days than this of the same kind are never needed by what the test makes.
    let days: Vec<CivilDate> = (0..5).map(day).collect();
    // What can be reached at all: with distinct days one credit a day.
    let wanting = obligations.iter().map(|o| {
        let possible = days.iter().filter(|d| o.window.contains(**d)).count();
        let distinct = is_distinct(&o.standard);
        if possible == 0 {
            0
        } else if distinct {
            o.required.min(u16::try_from(possible).unwrap())
        } else {
            o.required
        }
    });
    let mut level: BTreeSet<Tried> = [(wanting.collect(), Vec::new())].into();
    for count in 0.. {
        if level.iter().any(|(wanting, _)| wanting.iter().all(|w| *w == 0)) {
            return count;
        }
        let mut next = BTreeSet::new();
        for (wanting, taken) in &level {
            for kind in ServiceKind::ALL {
                for day in &days {
                    let (mut wanting, mut taken) = (wanting.clone(), taken.clone());
                    for (index, o) in obligations.iter().enumerate() {
                        let fits = o.standard.accepts.contains(*kind) && o.window.contains(*day);
                        let distinct = is_distinct(&o.standard);
                        if fits && wanting[index] > 0 && !(distinct && taken.contains(&(*day, index))) {
                            wanting[index] -= 1;
                            if distinct {
                                taken.push((*day, index));
                            }
                        }
                    }
                    taken.sort_unstable();
                    next.insert((wanting, taken));
                }
            }
        }
        level = next;
    }
    unreachable!("the loop has no end")
}

#[test]
fn the_number_of_contacts_equals_brute_force() {
    println!("seed {SEED}, problems {PROBLEMS}");
    let kinds = &ServiceKind::ALL[..4];
    let mut largest = 0;
    let mut ten = 0;
    for seed in SEED..SEED + PROBLEMS {
        let mut random = Random::new(seed);
        let count = if random.percent(10) { 10 } else { random.days(1, 6) };
        let mut obligations = Vec::new();
        let mut total = 0;
        for number in 0..count {
            let from = random.days(-1, 3);
            let n = if total < 4 { random.pick(&[1, 1, 1, 2]) } else { 1 };
            let accepted: Vec<ServiceKind> = (0..random.days(1, 3)).map(|_| random.pick(kinds)).collect();
            // Wide windows overlap more, so that ten stay within reach of trying everything.
            let to = if count > 4 { 5 } else { from + random.days(1, 4) };
            total += n;
            obligations.push(open(
                &format!("c{number}"),
                n,
                &accepted,
                from,
                to.min(5),
                n > 1 && random.percent(60),
            ));
        }
        let plan = plan(&obligations, &[], &calendar(), now());
        let fewest = brute_force(&obligations);
        assert!(plan.exact, "seed {seed}");
        assert_eq!(plan.contacts.len(), fewest, "seed {seed}: {:?}", plan.contacts);
        satisfies(&obligations, &plan, seed);
        largest = largest.max(fewest);
        ten += u64::from(count == 10);
    }
    assert!(largest >= 4, "the largest problem took {largest} contacts");
    assert!(ten >= 200, "only {ten} problems of ten obligations");
}

/// Recording the plan's contacts as done satisfies what can be satisfied, by the engine's own rule of credit.
fn satisfies(obligations: &[Obligation], plan: &Plan, seed: u64) {
    for o in obligations {
        let mut days: Vec<CivilDate> = plan
            .contacts
            .iter()
            .filter(|c| o.standard.accepts.contains(c.kind) && o.window.contains(c.day))
            .map(|c| c.day)
            .collect();
        let mut reachable = usize::from(o.required);
        let left = DateRange::new(day(0).max(o.window.start()), o.window.end());
        if is_distinct(&o.standard) {
            days.sort_unstable();
            days.dedup();
            reachable = reachable.min(usize::try_from(left.len()).unwrap());
        }
        let reachable = if left.is_empty() { 0 } else { reachable };
        assert!(
            days.len() >= reachable,
            "seed {seed}: {} of {reachable} for {}",
            days.len(),
            o.standard.code
        );
    }
}

#[test]
fn huge_numbers_end_in_a_bounded_plan() {
    let many = open("many", u16::MAX, &[ServiceKind::PhoneCall], 0, 7, false);
    let bounded = plan(&[many], &[], &calendar(), now());
    assert_eq!((bounded.contacts.len(), bounded.exact), (PLAN_CONTACTS_MAX, false));
    let within = Within::Days(1);
    let mut standard = (*open("event", 1, &[ServiceKind::HomeVisit], 0, 2, false).standard).clone();
    standard.duty = Duty::Triggered { on: crate::kind::EventKind::Discharged, within, any_match: true };
    let standard = Arc::new(standard);
    let events: Vec<Obligation> = (0..300)
        .map(|number| Obligation {
            standard: Arc::clone(&standard),
            opening: Opening::Event(crate::id::EventId::new(&format!("e{number}")).unwrap()),
            ..open("event", 1, &[ServiceKind::HomeVisit], 0, 2, false)
        })
        .collect();
    let one = plan(&events, &[], &calendar(), now());
    assert_eq!((one.contacts.len(), one.exact), (1, true));
    assert_eq!(one.contacts[0].credits.len(), 300);
}
