//! Who may see whom: protected files and their index, children's files, emergency access.

use linli_core::emergency::{EmergencyAccess, EmergencyReview};
use linli_core::id::EmergencyAccessId;

use super::*;
use crate::{CareRange, CellChanges, IndexColumn, Page, ResidentFilter, ResidentHead, Sight, Sites};

on_both!(
    protected_files_are_read_by_who_sees_them,
    a_protected_number_is_found_and_taken_apart,
    a_childs_file_is_known_as_such_until_written_again,
    emergency_access_opens_with_its_file,
);

fn staff(id: &str) -> StaffId {
    StaffId::new(id).unwrap()
}

/// Protects a file for these people; nobody: lifts it.
async fn protect(store: &Store, value: &mut Resident, named: &[&str]) -> Result<Receipt, CommitError> {
    value.version += 1;
    value.protected_for = (!named.is_empty()).then(|| named.iter().copied().map(staff).collect());
    let cells = CellChanges {
        contact: Some(value.contact.clone()),
        identity: Some(value.identity.clone()),
        ..CellChanges::default()
    };
    let head = ResidentHead::of(value);
    let scope = Scope::Site(value.site.clone());
    let epoch = store.authz_epoch(&scope).await.unwrap().unwrap();
    let mut set = ChangeSet::new(scope, epoch, audit("Protect"));
    set.update_resident(head, cells).bump_epoch();
    store.disclose("test", set).await
}

async fn protected_files_are_read_by_who_sees_them(env: Env) {
    let store = &env.store;
    let mut values = Vec::new();
    for site in ["a", "b"] {
        make_site(store, site).await;
        for id in ["r1", "r2", "r3"] {
            let value = resident(site, id);
            change(store, site, |set| set.create_resident(value.clone())).await.unwrap();
            values.push(value);
        }
    }
    // Asked before, so that what is remembered has to be forgotten.
    assert!(store.protected_files(&site_id("a")).await.unwrap().is_empty());
    protect(store, &mut values[1], &["lin", "wang"]).await.unwrap();
    protect(store, &mut values[3], &["he"]).await.unwrap();
    let text = |file: &crate::ProtectedFile| {
        let named: Vec<&str> = file.named.iter().map(StaffId::as_str).collect();
        format!("{}/{} {}", file.site, file.resident, named.join(" "))
    };
    let of_a = store.protected_files(&site_id("a")).await.unwrap();
    assert_eq!(of_a.iter().map(text).collect::<Vec<_>>(), ["a/r2 lin wang"]);
    let all = store.protected_files_in(&Sites::All).await.unwrap();
    assert_eq!(all.iter().map(text).collect::<Vec<_>>(), ["a/r2 lin wang", "b/r1 he"]);
    let of_b = store.protected_files_in(&Sites::Among(vec![site_id("b")])).await.unwrap();
    assert_eq!(of_b.iter().map(text).collect::<Vec<_>>(), ["b/r1 he"]);

    let listed = async |sight: Sight| {
        let filter = ResidentFilter { sight: sight.clone(), ..ResidentFilter::default() };
        let found =
            store.residents(&Sites::All, &filter, &Page::first(10), FieldClasses::NONE).await.unwrap();
        let range = CareRange { from: at(0), to: at(1) };
        let care = store.care_page(&site_id("a"), None, 10, range, &sight).await.unwrap();
        let heads: Vec<String> = found.iter().map(|f| format!("{}/{}", f.head.site, f.head.id)).collect();
        let care: Vec<String> = care.iter().map(|care| care.head.id.as_str().to_owned()).collect();
        (heads.join(" "), care.join(" "))
    };
    let split = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(listed(Sight::All).await, split("a/r1 a/r2 a/r3 b/r1 b/r2 b/r3", "r1 r2 r3"));
    assert_eq!(listed(Sight::default()).await, split("a/r1 a/r3 b/r2 b/r3", "r1 r3"));
    let one = Sight::Named(vec![resident_id("r2")]);
    assert_eq!(listed(one).await, split("a/r1 a/r2 a/r3 b/r2 b/r3", "r1 r2 r3"));

    protect(store, &mut values[1], &[]).await.unwrap();
    assert!(store.protected_files(&site_id("a")).await.unwrap().is_empty());
}

async fn a_protected_number_is_found_and_taken_apart(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let mut first = with_number(resident("a", "r1"), NUMBER);
    change(store, "a", |set| set.create_resident(first.clone())).await.unwrap();
    let second = with_number(resident("a", "r2"), NUMBER);
    let open = async |value: &Resident| {
        let scope = Scope::Site(site_id("a"));
        let epoch = store.authz_epoch(&scope).await.unwrap().unwrap();
        let mut set = ChangeSet::new(scope, epoch, audit("Create"));
        set.create_resident(value.clone());
        store.disclose("test", set).await
    };
    assert_eq!(open(&second).await.map(drop), Err(CommitError::Exists { what: "identity number" }));
    protect(store, &mut first, &["lin"]).await.unwrap();
    let number = IdentityNumber::new(NUMBER).unwrap();
    let find = async || {
        let by_number = store.find_by_identity(&site_id("a"), &number).await.unwrap();
        let by_phone = store.find_residents(&site_id("a"), IndexColumn::Phone, PHONE).await.unwrap();
        let by_name = store.find_residents(&site_id("a"), IndexColumn::Name, NAME).await.unwrap();
        [by_number, by_phone, by_name].map(|mut found| {
            found.sort();
            found.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(find().await, ["r1", "r1", "r1"]);
    open(&second).await.unwrap();
    assert_eq!(find().await, ["r1 r2", "r1 r2", "r1 r2"]);
    // Two protected files have not one number either, and the protection is not lifted over another file's.
    let taken = CommitError::Exists { what: "identity number" };
    assert_eq!(protect(store, &mut first.clone(), &[]).await.map(drop), Err(taken));
    let mut second = second;
    assert_eq!(
        protect(store, &mut second, &["lin"]).await.map(drop),
        Err(CommitError::Exists { what: "identity number" })
    );
}

async fn a_childs_file_is_known_as_such_until_written_again(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let mut value = resident("a", "r1");
    // 14 on the day after the clock's.
    value.identity.birth_date = Some(day("2012-03-17"));
    change(store, "a", |set| set.create_resident(value.clone())).await.unwrap();
    let head = async || store.resident_heads(&site_id("a"), &[resident_id("r1")]).await.unwrap().remove(0);
    assert!(head().await.may_be_minor);
    // A change that leaves the identity leaves the mark, whatever day it is.
    let later = ResidentHead { version: 2, updated_at: at(60 * 24 * 400), ..head().await };
    change(store, "a", |set| set.update_resident(later, CellChanges::default())).await.unwrap();
    assert!(head().await.may_be_minor);
    let later = ResidentHead { version: 3, ..head().await };
    let cells = CellChanges { identity: Some(value.identity.clone()), ..CellChanges::default() };
    change(store, "a", |set| set.update_resident(later, cells)).await.unwrap();
    assert!(!head().await.may_be_minor);
}

async fn emergency_access_opens_with_its_file(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    make_site(store, "a").await;
    for id in ["r1", "r2"] {
        change(store, "a", |set| set.create_resident(resident("a", id))).await.unwrap();
    }
    let access = |id: &str, who: &str| {
        EmergencyAccess::taken(
            (site_id("a"), EmergencyAccessId::new(id).unwrap()),
            resident_id("r1"),
            staff(who),
            paragraph("planted-emergency-secret"),
            at(0),
        )
    };
    for access in [access("e1", "wu"), access("e2", "zhao")] {
        change(store, "a", |set| set.put_emergency_access(access)).await.unwrap();
    }
    let again = change(store, "a", |set| set.put_emergency_access(access("e1", "wu"))).await;
    assert_eq!(again.map(drop), Err(CommitError::Exists { what: "emergency access" }));
    let of = async |who: &str, resident: &str, minutes: i64| {
        let found =
            store.emergency_accesses_of(&a, &resident_id(resident), &staff(who), at(minutes)).await.unwrap();
        found.iter().map(|stored| stored.access.id.as_str().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!([of("wu", "r1", 0).await, of("wu", "r2", 0).await, of("lin", "r1", 0).await], ["e1", "", ""]);
    assert_eq!(of("wu", "r1", 500).await, "e1", "over, and not reviewed");

    let stored = store.emergency_access(&a, &EmergencyAccessId::new("e1").unwrap()).await.unwrap().unwrap();
    let receipt = disclose(store, "a", &["r1"], &[FieldClass::Care]).await;
    assert_eq!(stored.open(&store.opener(&receipt).await.unwrap()).unwrap(), access("e1", "wu"));
    let other = disclose(store, "a", &["r2"], &[FieldClass::Care]).await;
    assert!(stored.open(&store.opener(&other).await.unwrap()).is_err());

    let review = EmergencyReview {
        staff: staff("lin"),
        reviewed_at: at(30),
        justified: false,
        remark: Some(line("planted-verdict-secret")),
    };
    let reviewed = EmergencyAccess { version: 2, ..access("e1", "wu").reviewed(review) };
    change(store, "a", |set| set.put_emergency_access(reviewed.clone())).await.unwrap();
    let twice = change(store, "a", |set| set.put_emergency_access(reviewed.clone())).await;
    assert_eq!(twice.map(drop), Err(CommitError::Stale { what: "emergency access", current: 2 }));
    let stored = store.emergency_access(&a, &reviewed.id).await.unwrap().unwrap();
    assert_eq!(stored.open(&store.opener(&receipt).await.unwrap()).unwrap(), reviewed);
    assert_eq!([of("wu", "r1", 29).await, of("wu", "r1", 30).await], ["e1", ""]);
    let list = async |waiting: bool, after: Option<&str>| {
        let found = store.emergency_accesses(&a, waiting, after, 10).await.unwrap();
        found.iter().map(|stored| stored.access.id.as_str().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        [list(false, None).await, list(true, None).await, list(false, Some("e1")).await],
        ["e1 e2", "e2", "e2"]
    );
    for (table, lines) in store.dump().await {
        assert!(lines.iter().all(|line| !line.contains("planted-emergency")), "{table}");
    }
}
