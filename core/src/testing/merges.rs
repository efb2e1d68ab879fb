//! Properties of merging, for arbitrary histories: what is owed to two halves of a file together is what was owed to the
//! whole; what was entered twice counts once; nobody's contacts become fewer.

use crate::id::{PauseId, RecordId, ResidentId, StaffId};
use crate::kind::{ServiceKind, Tier};
use crate::merge::{Performed, SAME_CONTACT_MINUTES, Share, United, continued, unite, unite_days};
use crate::pause::Pause;
use crate::record::{Outcome, SubjectRecord};
use crate::testing::history::{History, resident, subject};
use crate::testing::random::Random;
use crate::time::{CivilDate, DateRange, Instant};

const SEED: u64 = 11_000_000;
const HISTORIES: u64 = 3_000;

fn staff(id: &str) -> Option<StaffId> {
    Some(StaffId::new(id).unwrap())
}

/// A history as two files: each thing in one of them, by chance. Every record has a performer of its own.
fn halves(history: &History, random: &mut Random) -> Vec<Share> {
    let mut shares = vec![Share::default(), Share::default()];
    for (at, record) in history.records.iter().enumerate() {
        let performed = Performed { record: record.clone(), performer: staff(&format!("s{at}")) };
        shares[usize::from(random.percent(50))].records.push(performed);
    }
    for event in &history.events {
        shares[usize::from(random.percent(50))].events.push(event.clone());
    }
    for pause in &history.pauses {
        shares[usize::from(random.percent(50))].pauses.push(pause.clone());
    }
    for membership in &history.memberships {
        shares[usize::from(random.percent(50))].memberships.push(membership.clone());
    }
    for days in &history.tenure {
        shares[usize::from(random.percent(50))].tenure.push(*days);
    }
    shares[0].attention.clone_from(&history.attention);
    shares
}

/// A history without what is not of the subject, and with days that do not touch: as a file is read.
fn own(mut history: History) -> History {
    history.tenure = unite_days(history.tenure);
    history.events.retain(|event| event.subject == subject());
    history
}

fn of(history: &History, united: United) -> History {
    History {
        memberships: united.memberships,
        attention: united.attention,
        records: united.records,
        events: united.events,
        pauses: united.pauses,
        tenure: united.tenure,
        ..history.clone()
    }
}

#[test]
fn two_halves_are_owed_what_the_whole_is_owed() {
    println!("seed {SEED}, histories {HISTORIES}");
    let mut owed = 0;
    for seed in SEED..SEED + HISTORIES {
        let history = History::random(seed);
        let history = own(history);
        let mut shares = halves(&history, &mut Random::new(seed));
        let united = unite(&subject(), shares.clone());
        shares.reverse();
        assert_eq!(unite(&subject(), shares), united, "the order of the files is irrelevant");
        let (whole, together) = (history.engine(), of(&history, united).engine());
        assert_eq!(together, whole, "seed {seed}");
        owed += whole.map_or(0, |found| found.len());
    }
    assert!(owed > 5_000, "only {owed} obligations");
}

#[test]
fn what_was_entered_in_both_files_counts_once() {
    println!("seed {SEED}, histories {HISTORIES}");
    let mut copies = 0;
    for seed in SEED..SEED + HISTORIES {
        let history = History::random(seed);
        let history = own(history);
        let whole = Share {
            records: history
                .records
                .iter()
                .enumerate()
                .map(|(at, record)| Performed { record: record.clone(), performer: staff(&format!("s{at}")) })
                .collect(),
            memberships: history.memberships.clone(),
            attention: history.attention.clone(),
            events: history.events.clone(),
            pauses: history.pauses.clone(),
            tenure: history.tenure.clone(),
            ..Share::default()
        };
        // The second file says of some contacts and of every pause the same, under ids of its own.
        let mut random = Random::new(seed);
        let other = ResidentId::new("other").unwrap();
        let mut copied = Share::default();
        for performed in &whole.records {
            if performed.record.voided_at.is_none() && random.percent(60) {
                let id = RecordId::new(&format!("z-{}", performed.record.id)).unwrap();
                copied.records.push(Performed {
                    record: SubjectRecord { id, ..performed.record.clone() },
                    performer: performed.performer.clone(),
                });
                copies += 1;
            }
        }
        copied.pauses.extend(whole.pauses.iter().map(|pause| Pause {
            id: PauseId::new(&format!("z-{}", pause.id)).unwrap(),
            resident: other.clone(),
            ..pause.clone()
        }));
        let together = of(&history, unite(&subject(), vec![copied, whole])).engine();
        assert_eq!(together, history.engine(), "seed {seed}");
    }
    assert!(copies > 5_000, "only {copies} copies");
}

/// Whatever was recorded by whom and when: no file's contacts become fewer, no answer is lost, nothing is there twice.
#[test]
fn nobodys_contacts_become_fewer() {
    println!("seed {SEED}");
    let mut random = Random::new(SEED);
    let start = Instant::from_micros(1_770_000_000_000_000).unwrap();
    let kinds = [ServiceKind::HomeVisit, ServiceKind::PhoneCall];
    let outcomes = [Outcome::Done, Outcome::Done, Outcome::NotReached];
    let (mut merged, mut alone) = (0, 0);
    for _ in 0..4_000 {
        let files = usize::try_from(random.between(1, 3)).unwrap();
        let mut shares: Vec<Share> = vec![Share::default(); files];
        for at in 0..random.between(0, 8) {
            let file = usize::try_from(random.between(0, i64::try_from(files).unwrap() - 1)).unwrap();
            let occurred_at = start.plus_minutes(random.between(0, 90));
            let record = SubjectRecord {
                id: RecordId::new(&format!("r{at}")).unwrap(),
                kind: random.pick(&kinds),
                occurred_at,
                recorded_at: occurred_at,
                outcome: random.pick(&outcomes),
                answers: vec![crate::id::EventId::new(&format!("e{at}")).unwrap()],
                voided_at: random.percent(10).then_some(occurred_at),
            };
            let performer = staff(random.pick(&["wang", "lin"])).filter(|_| !random.percent(10));
            shares[file].records.push(Performed { record, performer });
        }
        let all: Vec<&Performed> = shares.iter().flat_map(|share| &share.records).collect();
        let united = unite(&subject(), shares.clone()).records;
        let counts = |records: &mut dyn Iterator<Item = &SubjectRecord>, kind, outcome| {
            records.filter(|r| r.kind == kind && r.outcome == outcome && r.voided_at.is_none()).count()
        };
        for kind in kinds {
            for outcome in [Outcome::Done, Outcome::NotReached] {
                let together = counts(&mut united.iter(), kind, outcome);
                let sum = counts(&mut all.iter().map(|performed| &performed.record), kind, outcome);
                assert!(together <= sum);
                for share in &shares {
                    let own =
                        counts(&mut share.records.iter().map(|performed| &performed.record), kind, outcome);
                    assert!(together >= own, "{together} of {own}: {shares:?}");
                }
                (merged, alone) = (merged + sum - together, alone + together);
            }
        }
        let mut answers: Vec<_> = united.iter().flat_map(|record| record.answers.iter().cloned()).collect();
        answers.sort();
        let mut expected: Vec<_> = all.iter().flat_map(|p| p.record.answers.iter().cloned()).collect();
        expected.sort();
        assert_eq!(answers, expected, "every answer once");
    }
    assert!(merged > 500 && alone > 5_000, "{merged} {alone}");
}

fn day(text: &str) -> CivilDate {
    CivilDate::parse(text).unwrap()
}

#[test]
fn the_same_kind_and_performer_within_thirty_minutes_counts_once() {
    let check = |a: &[(&str, &str, i64)], b: &[(&str, &str, i64)], expect: &str| {
        let start = Instant::from_micros(1_770_000_000_000_000).unwrap();
        let share = |file: &str, records: &[(&str, &str, i64)]| Share {
            records: records
                .iter()
                .enumerate()
                .map(|(at, (kind, who, minute))| Performed {
                    record: SubjectRecord {
                        id: RecordId::new(&format!("{file}{at}")).unwrap(),
                        kind: ServiceKind::from_code(kind).unwrap(),
                        occurred_at: start.plus_minutes(*minute),
                        recorded_at: start.plus_minutes(*minute),
                        outcome: Outcome::Done,
                        answers: Vec::new(),
                        voided_at: None,
                    },
                    performer: staff(who),
                })
                .collect(),
            ..Share::default()
        };
        let united = unite(&subject(), vec![share("a", a), share("b", b)]);
        let ids: Vec<&str> = united.records.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids.join(" "), expect);
    };
    let visit = "home_visit";
    check(&[(visit, "wang", 0)], &[(visit, "wang", SAME_CONTACT_MINUTES)], "a0");
    check(&[(visit, "wang", 0)], &[(visit, "wang", SAME_CONTACT_MINUTES + 1)], "a0 b0");
    check(&[(visit, "wang", 0)], &[(visit, "lin", 0)], "a0 b0");
    check(&[(visit, "wang", 0)], &[("phone_call", "wang", 0)], "a0 b0");
    // Two visits of one file are two, and take two of the other.
    check(&[(visit, "wang", 0), (visit, "wang", 10)], &[], "a0 a1");
    check(&[(visit, "wang", 0), (visit, "wang", 10)], &[(visit, "wang", 5)], "a0 a1");
    check(&[(visit, "wang", 5), (visit, "wang", 10)], &[(visit, "wang", 0)], "b0 a1");
}

#[test]
fn tiers_and_days_of_either_file() {
    use crate::assessment::Attention;
    use crate::id::TagCode;
    let entry = |from: &str, tier: Tier, tags: &[&str]| Attention {
        from: day(from),
        tier,
        tags: tags.iter().map(|tag| TagCode::new(tag).unwrap()).collect(),
    };
    let own = vec![entry("2026-01-01", Tier::Key, &["mobility"])];
    let other = vec![entry("2026-01-10", Tier::High, &["hearing"]), entry("2026-03-01", Tier::General, &[])];
    let shares = vec![
        Share { attention: own, ..Share::default() },
        Share { attention: other, attention_until: Some(day("2026-02-01")), ..Share::default() },
    ];
    let united = unite(&subject(), shares).attention;
    assert_eq!(
        united,
        [
            entry("2026-01-01", Tier::Key, &["mobility"]),
            entry("2026-01-10", Tier::High, &["hearing", "mobility"]),
            entry("2026-02-01", Tier::Key, &["mobility"]),
        ]
    );
    let range = |a: &str, b: &str| DateRange::new(day(a), day(b));
    let days = [
        range("2026-03-01", "2026-04-01"),
        range("2026-01-01", "2026-02-01"),
        range("2026-02-01", "2026-02-10"),
    ];
    assert_eq!(unite_days(days), [range("2026-01-01", "2026-02-10"), range("2026-03-01", "2026-04-01")]);
}

#[test]
fn of_two_memberships_by_rule_the_latest_goes_on() {
    use crate::id::{GroupCode, MembershipId};
    use crate::membership::{Basis, Membership};
    let membership = |id: &str, group: &str, basis: Basis, start: &str, end: Option<&str>| Membership {
        site: crate::testing::history::site(),
        resident: resident(),
        id: MembershipId::new(id).unwrap(),
        group: GroupCode::new(group).unwrap(),
        basis,
        reason: None,
        evidence: None,
        start: day(start),
        end: end.map(day),
        proposed_exit: None,
        recorded_at: Instant::clamped(0),
        version: 1,
    };
    let held = [
        membership("a", "living_alone", Basis::Rule, "2026-01-01", None),
        membership("b", "living_alone", Basis::Rule, "2026-02-01", None),
        membership("c", "living_alone", Basis::Rule, "2026-02-20", Some("2026-03-01")),
        membership("d", "living_alone", Basis::Declared, "2026-01-01", None),
        membership("e", "disabled", Basis::Rule, "2026-01-01", None),
    ];
    let ended: Vec<String> =
        continued(&held, day("2026-03-16")).iter().map(|id| id.as_str().to_owned()).collect();
    assert_eq!(ended, ["a"]);
}
