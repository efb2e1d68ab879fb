//! Records, corrections, evaluations, care events, and what obligations read of them.

use linli_core::event::{CareEvent, EventAspect};
use linli_core::id::{AreaId, EventId, RecordId};
use linli_core::kind::{EventKind, ServiceKind};
use linli_core::record::Evaluation;

use super::*;
use crate::{CareRange, Page, RecordFilter, SealError, Sites};

on_both!(
    a_record_and_its_corrections,
    a_correction_backdates_no_credit,
    care_is_read_by_subject_and_time,
    records_page,
    places_and_who_lives_there
);

fn id(text: &str) -> RecordId {
    RecordId::new(text).unwrap()
}

async fn make_residents(store: &Store) {
    make_site(store, "a").await;
    for resident_number in ["r1", "r2"] {
        change(store, "a", |set| set.create_resident(resident("a", resident_number))).await.unwrap();
    }
}

async fn a_record_and_its_corrections(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    make_residents(store).await;
    let mut first = record("a", "v1", "r1", 0);
    first.subjects.push(SubjectOutcome {
        subject: Subject::Area(AreaId::new("gate").unwrap()),
        outcome: Outcome::NotDone,
        answers: vec![EventId::new("e1").unwrap(), EventId::new("e2").unwrap()],
        content: Some(paragraph("锁坏了")),
    });
    change(store, "a", |set| set.add_record(first.clone())).await.unwrap();
    let again = change(store, "a", |set| set.add_record(first.clone())).await.map(drop);
    assert_eq!(again, Err(CommitError::Database(crate::Fault::Duplicate)));

    let receipt = disclose(store, "a", &["r1"], &[FieldClass::Care]).await;
    let opener = store.opener(&receipt).await.unwrap();
    let stored = store.record(&a, &first.id).await.unwrap().unwrap();
    assert_eq!(stored.open(&opener).unwrap(), first);
    assert_eq!((stored.first_recorded_at, stored.voided_at), (first.recorded_at, None));
    let other = disclose(store, "a", &["r2"], &[FieldClass::Care]).await;
    let failed = stored.open(&store.opener(&other).await.unwrap());
    assert_eq!(failed.map(drop), Err(SealError::NotCovered));

    // Version 2 moves it to another resident and an hour earlier; version 3 voids it.
    let second = ServiceRecord {
        version: 2,
        occurred_at: at(-60),
        recorded_at: at(100),
        correction_reason: Some(line("planted-correction-secret")),
        ..record("a", "v1", "r2", 0)
    };
    change(store, "a", |set| set.correct_record(stored.clone(), second.clone())).await.unwrap();
    let stale = change(store, "a", |set| set.correct_record(stored.clone(), second.clone())).await.map(drop);
    assert_eq!(stale, Err(CommitError::Stale { what: "record", current: 2 }));
    let range = CareRange { from: at(-1000), to: at(1000) };
    let care = store.care_of(&a, &["r1", "r2"].map(resident_id), range).await.unwrap();
    assert_eq!(care[0].records, vec![], "r1 has lost it");
    assert_eq!(care[1].records.len(), 1);
    assert_eq!((care[1].records[0].occurred_at, care[1].records[0].recorded_at), (at(-60), at(100)));

    let receipt = disclose(store, "a", &["r2"], &[FieldClass::Care]).await;
    let opener = store.opener(&receipt).await.unwrap();
    let stored = store.record(&a, &first.id).await.unwrap().unwrap();
    assert_eq!(stored.open(&opener).unwrap(), second);
    let third = ServiceRecord { version: 3, recorded_at: at(200), voided: true, ..second.clone() };
    change(store, "a", |set| set.correct_record(stored, third.clone())).await.unwrap();
    let care = store.care_of(&a, &[resident_id("r2")], range).await.unwrap();
    assert_eq!(care[0].records[0].voided_at, Some(at(200)));
    let versions = store.record_versions(&a, &first.id).await.unwrap();
    assert_eq!(versions.iter().map(|v| v.record.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(opener.open_option(versions[1].correction_reason.as_ref()).unwrap(), second.correction_reason);

    let evaluation = Evaluation {
        record: first.id.clone(),
        subject: Subject::Resident(resident_id("r2")),
        satisfaction: 4,
        comment: Some(paragraph("planted-comment-secret")),
        recorded_at: at(300),
    };
    change(store, "a", |set| set.put_evaluation(&a, evaluation.clone(), 1).require_record(&a, &first.id))
        .await
        .unwrap();
    let stored = store.evaluations(&a, &first.id).await.unwrap().pop().unwrap();
    let comment = opener.open_option(stored.comment.as_ref()).unwrap();
    assert_eq!((Evaluation { comment, ..stored.evaluation }, stored.version), (evaluation, 1));
}

async fn a_correction_backdates_no_credit(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    make_residents(store).await;
    let first = record("a", "v1", "r1", 0);
    change(store, "a", |set| set.add_record(first.clone())).await.unwrap();
    let subject = |resident: &str, outcome: Outcome, answers: &[&str]| SubjectOutcome {
        subject: Subject::Resident(resident_id(resident)),
        outcome,
        answers: answers.iter().map(|event| EventId::new(event).unwrap()).collect(),
        content: None,
    };
    let mut last = first.clone();
    // Each correction is recorded 100 minutes after the one before it; `expect` is when r1 and r2 count as recorded.
    let mut corrections: Vec<(ServiceRecord, Vec<Instant>)> = Vec::new();
    let mut correct = |edit: &dyn Fn(&mut ServiceRecord), expect: &[Instant]| {
        last.version += 1;
        last.recorded_at = at(100 * i64::try_from(last.version).unwrap());
        edit(&mut last);
        corrections.push((last.clone(), expect.to_vec()));
    };
    let (not_reached, done) = (Outcome::NotReached, Outcome::Done);
    let recorded = first.recorded_at;
    // Words only: nothing is earned.
    correct(&|r| r.subjects = vec![subject("r1", done, &[])], &[recorded]);
    correct(&|r| r.subjects.push(subject("r2", not_reached, &[])), &[recorded, at(300)]);
    correct(&|r| r.subjects[1] = subject("r2", done, &[]), &[recorded, at(400)]);
    correct(&|r| r.subjects[0] = subject("r1", not_reached, &[]), &[recorded, at(400)]);
    correct(&|r| r.subjects[0] = subject("r1", done, &[]), &[at(600), at(400)]);
    correct(&|r| r.subjects[1] = subject("r2", done, &["e1"]), &[at(600), at(700)]);
    correct(&|r| r.voided = true, &[at(600), at(700)]);
    correct(&|r| r.voided = false, &[at(600), at(700)]);
    correct(&|r| r.kind = ServiceKind::VideoCall, &[at(1000), at(1000)]);
    correct(&|r| r.occurred_at = at(-60), &[at(1100), at(1100)]);
    for (new, expect) in corrections {
        let stored = store.record(&a, &first.id).await.unwrap().unwrap();
        change(store, "a", |set| set.correct_record(stored, new.clone())).await.unwrap();
        let range = CareRange { from: at(-1000), to: at(10_000) };
        let care = store.care_of(&a, &["r1", "r2"].map(resident_id), range).await.unwrap();
        let found: Vec<Instant> = care.iter().flat_map(|c| &c.records).map(|r| r.recorded_at).collect();
        assert_eq!(found, expect, "version {}", new.version);
        let stored = store.record(&a, &first.id).await.unwrap().unwrap();
        assert_eq!((stored.subject_recorded_at, stored.first_recorded_at), (expect, recorded));
    }
}

async fn care_is_read_by_subject_and_time(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    make_residents(store).await;
    let event = |id: &str, subject: Subject, minutes| CareEvent {
        site: site_id("a"),
        id: EventId::new(id).unwrap(),
        kind: EventKind::ChangeReported,
        subject,
        occurred_at: at(minutes),
        recorded_at: at(minutes),
        aspect: Some(EventAspect::Health),
        note: Some(paragraph("planted-note-secret")),
    };
    let r1 = || Subject::Resident(resident_id("r1"));
    let gate = || Subject::Area(AreaId::new("gate").unwrap());
    let bare = |event: CareEvent| CareEvent { note: None, ..event };
    change(store, "a", |set| {
        set.add_care_event(event("e1", r1(), 0)).add_care_event(event("e2", r1(), 60));
        set.add_care_event(event("e3", gate(), 5));
        for (number, minutes) in [(1, -10), (2, 0), (3, 59), (4, 60)] {
            set.add_record(record("a", &format!("v{number}"), "r1", minutes));
        }
        set
    })
    .await
    .unwrap();
    let doubled = change(store, "a", |set| set.add_care_event(event("e1", gate(), 7))).await.map(drop);
    assert_eq!(doubled, Err(CommitError::Database(crate::Fault::Duplicate)));
    let known = change(store, "a", |set| set.require_care_event(&event("e1", r1(), 0))).await;
    assert!(known.is_ok());
    let unknown = change(store, "a", |set| set.require_care_event(&event("e9", r1(), 0))).await.map(drop);
    assert_eq!(unknown, Err(CommitError::Missing { what: "event" }));

    let range = CareRange { from: at(0), to: at(60) };
    let page = store.care_page(&a, None, 10, range, &crate::Sight::All).await.unwrap();
    assert_eq!(page.iter().map(|care| care.head.id.as_str()).collect::<Vec<_>>(), ["r1", "r2"]);
    assert_eq!(page[0].records.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["v2", "v3"]);
    assert_eq!(page[0].events, vec![bare(event("e1", r1(), 0))]);
    assert!(page[1].records.is_empty() && page[1].events.is_empty());
    let rest = store.care_page(&a, Some(&resident_id("r1")), 10, range, &crate::Sight::All).await.unwrap();
    assert_eq!(rest.len(), 1);
    let care = store.care_of_subjects(&a, &[gate(), Subject::Site], range).await.unwrap();
    assert_eq!(care.len(), 1);
    assert_eq!(care[&gate()].events, vec![bare(event("e3", gate(), 5))]);

    let ids = ["e1", "e3", "e9"].map(|id| EventId::new(id).unwrap());
    let stored = store.care_events_by_id(&a, &ids).await.unwrap();
    assert_eq!(stored.len(), 2);
    let receipt = disclose(store, "a", &["r1"], &[FieldClass::Care]).await;
    let opener = store.opener(&receipt).await.unwrap();
    for stored in stored {
        assert_eq!(opener.open_option(stored.note.as_ref()).unwrap(), Some(paragraph("planted-note-secret")));
    }
}

async fn records_page(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    make_residents(store).await;
    for number in 0..9 {
        // Pairs at the same instant: the id decides.
        let value =
            record("a", &format!("v{number}"), if number == 4 { "r2" } else { "r1" }, i64::from(number / 2));
        change(store, "a", |set| set.add_record(value)).await.unwrap();
    }
    let ids = |records: &[crate::StoredRecord]| {
        records.iter().map(|r| r.record.id.as_str().to_owned()).collect::<Vec<_>>()
    };
    let page = store.records(&Sites::One(a.clone()), &Page::after("a", "v6", 5)).await.unwrap();
    assert_eq!(ids(&page), ["v7", "v8"]);
    assert!(page.iter().all(|stored| stored.content[0].is_some()));
    let r1 = Subject::Resident(resident_id("r1"));
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let after = before.as_ref().map(|(at, id)| (*at, id));
        let page = store.records_of(&a, &r1, at(0), at(4), after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some((last.record.occurred_at, last.record.id.clone()));
        seen.extend(ids(&page));
    }
    assert_eq!(seen, ["v7", "v6", "v5", "v3", "v2", "v1", "v0"]);
    assert_eq!(store.records_by_id(&a, &[id("v4"), id("v99")]).await.unwrap().len(), 1);
    let filter = RecordFilter { kind: None, from: at(1), to: at(4) };
    let newest = store.records_newest(&a, &filter, Some(&id("v7")), 3).await.unwrap();
    assert_eq!(ids(&newest), ["v6", "v5", "v4"]);
    assert!(newest.iter().flat_map(|stored| &stored.content).all(Option::is_none), "without words");
    let rest = store.records_newest(&a, &filter, Some(&id("v4")), 3).await.unwrap();
    assert_eq!(ids(&rest), ["v3", "v2"]);
    let kind = Some(ServiceKind::Patrol);
    assert!(store.records_newest(&a, &RecordFilter { kind, ..filter }, None, 3).await.unwrap().is_empty());
}

async fn places_and_who_lives_there(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    make_site(store, "a").await;
    for (number, building) in ["7", "9", "7", "5", "7"].into_iter().enumerate() {
        let value = Dwelling { building: line(building), ..dwelling("a", &format!("e{number}")) };
        change(store, "a", |set| set.put_dwelling(value)).await.unwrap();
    }
    for (number, door) in [(1, "e0"), (2, "e1"), (3, "e0"), (4, "e4")] {
        let mut value = resident("a", &format!("r{number}"));
        value.dwelling = DwellingId::new(door).unwrap();
        change(store, "a", |set| set.create_resident(value)).await.unwrap();
    }
    let door = |text: &str| DwellingId::new(text).unwrap();
    let heads = store.residents_of_dwellings(&a, &[door("e4"), door("e0"), door("e3")]).await.unwrap();
    assert_eq!(heads.iter().map(|head| head.id.as_str()).collect::<Vec<_>>(), ["r1", "r3", "r4"]);
    let buildings = async |names: &[&str], after: Option<&DwellingId>, limit| -> Vec<String> {
        let found = store.dwellings_of_buildings(&a, names, after, limit).await.unwrap();
        found.iter().map(|dwelling| dwelling.id.as_str().to_owned()).collect()
    };
    assert_eq!(buildings(&["7"], None, 2).await, ["e0", "e2"]);
    assert_eq!(buildings(&["7"], Some(&door("e2")), 2).await, ["e4"]);
    assert_eq!(buildings(&["9", "5"], None, 9).await, ["e1", "e3"]);
    assert!(buildings(&["8"], None, 9).await.is_empty());
}
