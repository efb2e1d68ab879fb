//! Erasure: nothing of the person is left but an id in records of what the staff did, and no copy of the database opens a value.

use linli_core::consent::Withdrawal;
use linli_core::emergency::EmergencyAccess;
use linli_core::id::{EmergencyAccessId, ReferralId};
use linli_core::referral::ReferralPart;
use linli_core::retention::ErasureCause;

use super::consent::{consent, disclosure};
use super::key_rotation::fill;
use super::*;
use crate::table::Table;
use crate::{Erasure, IndexColumn, ResidentHead, SealError};

on_both!(nothing_of_the_person_is_left, every_step_may_be_repeated, files_that_may_end_are_found);

/// Where the id of somebody who was erased may still stand, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("resident", "the tombstone"),
    ("erasure", "the ledger"),
    ("audit_entry", "who did what, which is never changed"),
    ("outbox_event", "names of resources"),
    ("record", "what the staff did"),
    ("record_version", "what the staff did"),
    ("record_subject", "what the staff did"),
    ("emergency_access", "what the staff did"),
    ("consent", "by whose leave"),
    ("consent_withdrawal", "by whose leave"),
    ("referral", "what was asked of whom, and what went out"),
    ("disclosure", "what went out, which is kept for three years at least"),
];

fn erasure(id: &str, version: u64, deleted: Option<i64>, finished: Option<i64>) -> Erasure {
    Erasure {
        site: site_id("a"),
        resident: resident_id(id),
        by: StaffId::new("leader").unwrap(),
        cause: ErasureCause::Request,
        erased_at: at(0),
        key_deleted_at: deleted.map(at),
        finished_at: finished.map(at),
        version,
    }
}

async fn head(store: &Store, id: &str) -> ResidentHead {
    store.resident_heads(&site_id("a"), &[resident_id(id)]).await.unwrap().remove(0)
}

async fn tombstone(store: &Store, id: &str) {
    let mut head = head(store, id).await;
    head.version += 1;
    change(store, "a", |set| set.erase_resident(head).put_erasure(erasure(id, 1, None, None))).await.unwrap();
}

async fn remove(store: &Store, id: &str) -> usize {
    let mut removed = 0;
    loop {
        let remains = store.remains_of(&site_id("a"), &resident_id(id), 3).await.unwrap();
        if remains.is_empty() {
            return removed;
        }
        removed += remains.len();
        change(store, "a", |set| set.remove_remains(remains)).await.unwrap();
    }
}

async fn nothing_of_the_person_is_left(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    fill(store).await;
    // Somebody beside them, of whom nothing may go.
    change(store, "a", |set| set.create_resident(resident("a", "r2"))).await.unwrap();
    change(store, "a", |set| set.add_record(record("a", "v2", "r2", 0))).await.unwrap();
    let id = "ffffffff-0000-7000-8000-00000000000f";
    let mut gone = with_number(resident("a", id), "110105194912310054");
    gone.contact.phone = Some(Phone::new("13712345678").unwrap());
    change(store, "a", |set| set.create_resident(gone)).await.unwrap();
    change(store, "a", |set| set.add_record(record("a", "v3", id, 0))).await.unwrap();
    super::surveys::tell_of(store, id).await;
    change(store, "a", |set| {
        set.put_referral(super::referrals::referral("a", "f9", id, 0));
        set.put_referral_words(super::referrals::words("a", "f9", id, ReferralPart::Note, 1))
    })
    .await
    .unwrap();
    let stored = store.record(&a, &linli_core::id::RecordId::new("v3").unwrap()).await.unwrap().unwrap();
    let corrected = ServiceRecord {
        version: 2,
        correction_reason: Some(line("planted-correction-secret")),
        ..record("a", "v3", id, 0)
    };
    change(store, "a", |set| set.correct_record(stored, corrected)).await.unwrap();
    let access = EmergencyAccess::taken(
        (a.clone(), EmergencyAccessId::new("x9").unwrap()),
        resident_id(id),
        StaffId::new("guard").unwrap(),
        paragraph("planted-emergency-secret"),
        at(0),
    );
    change(store, "a", |set| set.put_emergency_access(access)).await.unwrap();
    let back = Withdrawal { at: at(5), by: StaffId::new("steward-1").unwrap() };
    change(store, "a", |set| {
        let signed = consent("a", id, "c9");
        let withdrawn = signed.id.clone();
        set.add_consent(signed).withdraw_consent(&a, &resident_id(id), &withdrawn, back);
        set.add_disclosure(disclosure("a", id, "d9"))
    })
    .await
    .unwrap();
    let receipt = disclose(store, "a", &[id], FieldClass::ALL).await;
    let before = store.resident(&a, &resident_id(id), FieldClasses::all()).await.unwrap().unwrap();
    assert!(before.open(&store.opener(&receipt).await.unwrap()).is_ok());

    tombstone(store, id).await;
    assert_eq!(store.find_residents(&a, IndexColumn::Phone, "13712345678").await.unwrap(), []);
    assert!(remove(store, id).await > 5);
    store.delete_keys(&a, &[resident_id(id)]).await.unwrap();
    change(store, "a", |set| set.put_erasure(erasure(id, 2, Some(1), Some(2)))).await.unwrap();

    // A copy of a cell from before, as it lies in a backup, opens nowhere.
    let opened = before.open(&store.opener(&receipt).await.unwrap());
    assert_eq!(opened.map(drop), Err(SealError::NoKey));
    let rows = store.dump().await;
    assert_eq!(rows.len(), Table::ALL.len());
    for (table, lines) in &rows {
        let found = lines.iter().any(|line| line.contains(id) || line.contains(&hex(id)));
        let allowed = ALLOWED.iter().any(|(allowed, _)| allowed == table);
        assert!(!found || allowed, "`{table}` still knows the person: {lines:?}");
    }
    assert!(
        rows["record"].iter().filter(|row| row.contains("v3")).all(|row| row.ends_with("|-")),
        "a correction"
    );
    assert_eq!(
        store
            .key_texts(&format!("SELECT resident FROM {{}}resident_key WHERE resident = '{id}'"))
            .await
            .len(),
        0
    );
    let taken = store.emergency_access(&a, &EmergencyAccessId::new("x9").unwrap()).await.unwrap().unwrap();
    let told = taken.open(&store.opener(&receipt).await.unwrap()).unwrap();
    assert_eq!((told.staff.as_str(), told.reason), ("guard", None), "who looked, and no word of why");
    let said = store.consents(&a, &[resident_id(id)]).await.unwrap();
    let told = said.iter().find(|said| said.consent.id.as_str() == "c9").unwrap();
    let told = told.open(&store.opener(&receipt).await.unwrap()).unwrap();
    assert_eq!((told.granted, told.signed_by), (true, None), "what was said, and no word of who signed");
    let referral = ReferralId::new("f9").unwrap();
    assert!(store.referral(&a, &referral).await.unwrap().is_some(), "that something was handed on");
    assert!(store.referral_words(&a, &referral).await.unwrap().is_empty(), "and no word of what");
    let tombstone = head(store, id).await;
    assert_eq!(tombstone.state, FileState::Erased);
    assert!(tombstone.former_dwellings.is_empty() && tombstone.died_on.is_none());
    // The others are whole, and the number is free.
    let receipt = disclose(store, "a", &["r2"], FieldClass::ALL).await;
    let other = store.resident(&a, &resident_id("r2"), FieldClasses::all()).await.unwrap().unwrap();
    assert!(other.open(&store.opener(&receipt).await.unwrap()).is_ok());
    assert_eq!(store.history(&a, &resident_id("r1"), None, 10).await.unwrap().len(), 1);
    let again = with_number(resident("a", "r9"), "110105194912310054");
    change(store, "a", |set| set.create_resident(again)).await.unwrap();
    store.verify_chain(&Scope::Site(a), None).await.unwrap();
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

async fn every_step_may_be_repeated(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    fill(store).await;
    let stale = head(store, "r1").await;
    tombstone(store, "r1").await;
    let mut late = stale.clone();
    late.version += 1;
    let result = change(store, "a", |set| set.erase_resident(late)).await.map(drop);
    assert!(matches!(result, Err(CommitError::Stale { what: "resident", .. })), "{result:?}");
    let open = store.unfinished_erasures(10).await.unwrap();
    assert_eq!(open, [erasure("r1", 1, None, None)]);
    let env = env.reopen().await;
    let store = &env.store;
    assert_eq!(
        store.unfinished_erasures(10).await.unwrap(),
        open,
        "after a crash it is known what is left to do"
    );
    assert!(remove(store, "r1").await > 0);
    for _ in 0..2 {
        assert_eq!(remove(store, "r1").await, 0);
        store.delete_keys(&a, &[resident_id("r1")]).await.unwrap();
    }
    change(store, "a", |set| set.put_erasure(erasure("r1", 2, Some(1), None))).await.unwrap();
    assert_eq!(store.unfinished_erasures(10).await.unwrap().len(), 1);
    change(store, "a", |set| set.put_erasure(erasure("r1", 3, Some(1), Some(2)))).await.unwrap();
    assert_eq!(store.unfinished_erasures(10).await.unwrap(), []);
    assert_eq!(
        store.erasure(&a, &resident_id("r1")).await.unwrap(),
        Some(erasure("r1", 3, Some(1), Some(2)))
    );
}

async fn files_that_may_end_are_found(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    make_site(store, "a").await;
    for (id, state, held) in [
        ("r1", FileState::Active, false),
        ("r2", FileState::Left, false),
        ("r3", FileState::Left, true),
        ("r4", FileState::Sealed, false),
        ("r5", FileState::Sealed, true),
    ] {
        let file = Resident { state, held, ..resident("a", id) };
        change(store, "a", |set| set.create_resident(file)).await.unwrap();
    }
    let ids = async |after: Option<&str>, limit| {
        let after = after.map(resident_id);
        let found = store.ending_files(&a, after.as_ref(), limit).await.unwrap();
        found.into_iter().map(|head| head.id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 10).await, ["r2", "r4"]);
    assert_eq!(ids(None, 1).await, ["r2"]);
    assert_eq!(ids(Some("r2"), 10).await, ["r4"]);
}
