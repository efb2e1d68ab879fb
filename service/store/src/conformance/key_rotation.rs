//! The replacement of keys: nothing fails meanwhile, and afterwards the old keys open nothing.

use std::sync::atomic::{AtomicBool, AtomicU32};

use linli_core::emergency::{EmergencyAccess, EmergencyReview};
use linli_core::event::{CareEvent, EventAspect};
use linli_core::id::{
    EmergencyAccessId, EventId, FieldCode, GroupCode, MembershipId, PauseId, RecordId, RequestId,
};
use linli_core::kind::EventKind;
use linli_core::membership::{Basis, Membership};
use linli_core::pause::{Pause, PauseReason};
use linli_core::record::Evaluation;
use linli_core::request::{RequestPart, RequestWords};
use linli_core::resident::{Fact, FactValue};
use secrecy::{ExposeSecret, SecretSlice};

use super::*;
use crate::sealed_column::SEALED;
use crate::table::Table;
use crate::{
    CellChanges, CellCursor, HistoryDraft, IndexColumn, OpenError, RequestDraft, ResidentHead, RootKeys,
};

on_both!(
    every_cell_is_sealed_anew_and_opens,
    readers_and_writers_notice_nothing,
    the_old_root_key_opens_nothing,
    an_identity_number_stays_one_persons,
    another_server_follows,
    every_sealed_column_is_known,
);

const NEXT: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// One cell, at least, in every sealed column.
pub(super) async fn fill(store: &Store) {
    let (a, r1) = (site_id("a"), resident_id("r1"));
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(with_number(resident("a", "r1"), NUMBER))).await.unwrap();
    let fact = Fact {
        field: FieldCode::new("illness").unwrap(),
        value: Some(FactValue::Text("planted-fact-secret".into())),
        true_from: day("2026-03-01"),
        recorded_at: at(0),
    };
    let membership = Membership {
        site: a.clone(),
        resident: r1.clone(),
        id: MembershipId::new("m1").unwrap(),
        group: GroupCode::new("living_alone").unwrap(),
        basis: Basis::Declared,
        reason: None,
        evidence: Some(line("planted-evidence-secret")),
        start: day("2026-01-01"),
        end: None,
        proposed_exit: None,
        recorded_at: at(0),
        version: 1,
    };
    let pause = Pause {
        site: a.clone(),
        resident: r1.clone(),
        id: PauseId::new("p1").unwrap(),
        reason: PauseReason::Hospital,
        remark: Some(line("planted-remark-secret")),
        left_on: day("2026-03-17"),
        expected_return: day("2026-03-27"),
        recorded_at: at(0),
        ended: None,
        confirmed_at: None,
        version: 1,
    };
    let history = HistoryDraft {
        site: a.clone(),
        resident: r1.clone(),
        id: "0001".into(),
        field: "contact.phone".into(),
        class: FieldClass::Contact,
        author: "steward-1".into(),
        recorded_at: at(0),
        old: Some(paragraph("13800000000")),
        new: Some(paragraph(PHONE)),
    };
    let event = CareEvent {
        site: a.clone(),
        id: EventId::new("e1").unwrap(),
        kind: EventKind::ChangeReported,
        subject: Subject::Resident(r1.clone()),
        occurred_at: at(0),
        recorded_at: at(0),
        aspect: Some(EventAspect::Health),
        note: Some(paragraph("planted-note-secret")),
    };
    let evaluation = Evaluation {
        record: RecordId::new("v1").unwrap(),
        subject: Subject::Resident(r1.clone()),
        satisfaction: 4,
        comment: Some(paragraph("planted-comment-secret")),
        recorded_at: at(300),
    };
    let access = EmergencyAccess::taken(
        (a.clone(), EmergencyAccessId::new("x1").unwrap()),
        r1.clone(),
        StaffId::new("guard").unwrap(),
        paragraph("planted-emergency-secret"),
        at(0),
    );
    let access = access.reviewed(EmergencyReview {
        staff: StaffId::new("deputy").unwrap(),
        reviewed_at: at(30),
        justified: true,
        remark: Some(line("planted-verdict-secret")),
    });
    let mut set = set("a");
    set.put_emergency_access(access).add_consent(super::consent::consent("a", "r1", "c1"));
    set.add_fact(&a, &r1, FieldClass::Health, fact).put_membership(membership).put_pause(pause);
    set.add_history(history).add_care_event(event).add_record(record("a", "v1", "r1", 0));
    set.put_evaluation(&a, evaluation, 1).request(answered("q1"));
    set.add_request_words(RequestWords {
        site: a.clone(),
        request: RequestId::new("q1").unwrap(),
        subject: Subject::Resident(r1.clone()),
        part: RequestPart::Description,
        words: paragraph("planted-request-secret"),
    });
    store.commit("test", set).await.unwrap();
    for version in [2, 3] {
        let stored = store.record(&a, &RecordId::new("v1").unwrap()).await.unwrap().unwrap();
        let corrected = ServiceRecord {
            version,
            correction_reason: Some(line("planted-correction-secret")),
            ..record("a", "v1", "r1", 0)
        };
        change(store, "a", |set| set.correct_record(stored, corrected)).await.unwrap();
    }
    promises::fill(store).await;
    referrals::fill(store, "r1").await;
    surveys::fill(store).await;
}

fn answered(id: &str) -> RequestDraft {
    RequestDraft {
        method: "m".into(),
        request_id: id.into(),
        request_hash: [1; 32],
        answer: SecretSlice::from(NAME.as_bytes().to_vec()),
    }
}

/// Everything that is sealed, opened.
async fn everything(store: &Store) -> String {
    let (a, r1) = (site_id("a"), resident_id("r1"));
    let receipt = disclose(store, "a", &["r1"], FieldClass::ALL).await;
    let file = store.file(&a, &r1, FieldClasses::all(), true).await.unwrap().unwrap();
    let opener = store.opener(&receipt).await.unwrap();
    let mut found = vec![format!("{:?}", Plainly(&file.resident.open(&opener).unwrap()))];
    found.push(promises::opened(store, &opener).await);
    found.push(surveys::opened(store, &opener).await);
    found.push(referrals::opened(store, &opener).await);
    for fact in &file.facts {
        let Some(FactValue::Text(text)) = fact.open(&opener).unwrap().value else { panic!("a text") };
        found.push(text);
    }
    for membership in &file.memberships {
        found.extend(
            opener.open_option(membership.evidence.as_ref()).unwrap().map(|line| line.as_str().to_owned()),
        );
    }
    for pause in store.pauses(&a, std::slice::from_ref(&r1)).await.unwrap() {
        found.extend(opener.open_option(pause.remark.as_ref()).unwrap().map(|line| line.as_str().to_owned()));
    }
    for change in store.history(&a, &r1, None, 10).await.unwrap() {
        found.extend(opener.open_option(change.old.as_ref()).unwrap().map(words));
        found.extend(opener.open_option(change.new.as_ref()).unwrap().map(words));
    }
    let id = RecordId::new("v1").unwrap();
    let mut records = store.record_versions(&a, &id).await.unwrap();
    records.extend(store.record(&a, &id).await.unwrap());
    for record in records {
        let record = record.open(&opener).unwrap();
        found.extend(record.correction_reason.map(|line| line.as_str().to_owned()));
        found.extend(record.subjects[0].content.clone().map(words));
    }
    for evaluation in store.evaluations(&a, &id).await.unwrap() {
        found.extend(opener.open_option(evaluation.comment.as_ref()).unwrap().map(words));
    }
    for event in store.care_events_by_id(&a, &[EventId::new("e1").unwrap()]).await.unwrap() {
        found.extend(opener.open_option(event.note.as_ref()).unwrap().map(words));
    }
    for stored in store.consents(&a, &[resident_id("r1")]).await.unwrap() {
        let signed_by = stored.open(&opener).unwrap().signed_by;
        found.extend(signed_by.map(|line| line.as_str().to_owned()));
    }
    for stored in store.emergency_accesses(&a, false, None, 10).await.unwrap() {
        let access = stored.open(&opener).unwrap();
        found.extend(access.reason.map(words));
        found.extend(access.review.and_then(|review| review.remark).map(|line| line.as_str().to_owned()));
    }
    let scope = Scope::Site(a);
    let kept = store.kept_answer(&scope, "steward-1", ("m", "q1"), &[1; 32], at(2)).await.unwrap().unwrap();
    found.push(String::from_utf8(kept.expose_secret().to_vec()).unwrap());
    found.join("\n")
}

fn words(text: Paragraph) -> String {
    text.as_str().to_owned()
}

/// What redacted types hold, for comparison.
struct Plainly<'a>(&'a Resident);

impl std::fmt::Debug for Plainly<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Contact { name, phone, .. } = &self.0.contact;
        let phone = phone.as_ref().map(Phone::reveal);
        let number = self.0.identity.number.as_ref().map(IdentityNumber::reveal);
        let text = |text: &Option<Paragraph>| text.as_ref().map(|text| text.as_str().to_owned());
        let (health, status) = (text(&self.0.health), text(&self.0.status));
        write!(f, "{} {phone:?} {number:?} {health:?} {status:?}", name.reveal())
    }
}

async fn fresh(store: &Store, scope: &Scope) -> ChangeSet {
    let epoch = store.authz_epoch(scope).await.unwrap().unwrap_or_default();
    ChangeSet::new(scope.clone(), epoch, audit("Rotate"))
}

/// The next version of a scope's keys seals.
async fn renew(store: &Store, scope: &Scope) {
    let mut set = fresh(store, scope).await;
    store
        .commit("test", {
            set.renew_keys();
            set
        })
        .await
        .unwrap();
}

/// Seals anew what older keys sealed, a few at a time; how much that was.
async fn reseal(store: &Store, scope: &Scope) -> usize {
    let (mut moved, mut cursor) = (0, CellCursor::default());
    loop {
        let cells = store.old_cells(scope, &mut cursor, 3).await.unwrap();
        if cells.is_empty() {
            break;
        }
        moved += cells.len();
        let mut set = fresh(store, scope).await;
        store
            .commit("test", {
                set.reseal(cells);
                set
            })
            .await
            .unwrap();
    }
    let Scope::Site(site) = scope else { return moved };
    let classes = FieldClasses::of(&[FieldClass::Contact, FieldClass::Identity]);
    let mut after = None;
    loop {
        let ids = store.old_index(site, after.as_ref(), 2).await.unwrap();
        let Some(last) = ids.last() else { return moved };
        after = Some(last.clone());
        for file in store.residents_by_id(site, &ids, classes).await.unwrap() {
            let mut set = fresh(store, scope).await;
            match store
                .commit("test", {
                    set.reindex(file);
                    set
                })
                .await
            {
                // Somebody changed it meanwhile: the next round finds what is left.
                Ok(_) | Err(CommitError::Stale { .. }) => moved += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

async fn rotate(store: &Store, scope: &Scope) {
    renew(store, scope).await;
    while reseal(store, scope).await > 0 {}
    store.retire_keys(scope).await.unwrap();
}

/// The versions that sealed the cells of every column.
async fn versions(store: &Store) -> BTreeMap<(&'static str, &'static str), Vec<String>> {
    let mut found = BTreeMap::new();
    for sealed in SEALED {
        let (table, column) = (sealed.table.meta().name, sealed.column);
        let sql = format!("SELECT DISTINCT substr({column}, 3, 4) FROM {table} WHERE {column} IS NOT NULL");
        found.insert((table, column), store.texts(&sql).await);
    }
    found
}

async fn every_cell_is_sealed_anew_and_opens(env: Env) {
    let store = &env.store;
    fill(store).await;
    let before = everything(store).await;
    for planted in [
        "fact",
        "evidence",
        "remark",
        "note",
        "comment",
        "correction",
        "content",
        "status",
        "waiver",
        "reason",
        "caution",
        "plan",
        "decision",
        "survey-name",
        "survey-health",
    ] {
        assert!(before.contains(&format!("planted-{planted}-secret")), "{planted}: {before}");
    }
    assert!(before.contains(NAME) && before.contains(PHONE) && before.contains(NUMBER));
    for round in 2..5 {
        renew(store, &Scope::Site(site_id("a"))).await;
        assert_eq!(everything(store).await, before, "both versions are read");
        assert!(reseal(store, &Scope::Site(site_id("a"))).await >= SEALED.len());
        assert_eq!(reseal(store, &Scope::Site(site_id("a"))).await, 0, "nothing is left");
        let only = format!("\\x{round:08x}");
        for (column, found) in versions(store).await {
            assert_eq!(found, [only.as_str()], "{column:?}");
        }
        store.retire_keys(&Scope::Site(site_id("a"))).await.unwrap();
        assert_eq!(everything(store).await, before, "without the old keys");
        let found = store.find_residents(&site_id("a"), IndexColumn::Phone, PHONE).await.unwrap();
        assert_eq!(found, [resident_id("r1")]);
        let left = store.key_texts("SELECT DISTINCT version FROM {}resident_key").await;
        assert_eq!(left, [round.to_string()], "no older key of a resident");
        let left = store.key_texts("SELECT DISTINCT version FROM {}site_key WHERE site = 'a'").await;
        assert_eq!(left, [round.to_string()], "no older key of the site");
    }
    let hash = store.audit_hash(&Scope::Site(site_id("a")), "term", "x").await.unwrap();
    let env = env.reopen().await;
    assert_eq!(everything(&env.store).await, before, "after a restart");
    assert_eq!(env.store.audit_hash(&Scope::Site(site_id("a")), "term", "x").await.unwrap(), hash);
    env.store.verify_chain(&Scope::Site(site_id("a")), None).await.unwrap();
}

async fn readers_and_writers_notice_nothing(env: Env) {
    let store = &env.store;
    fill(store).await;
    for number in 2..12 {
        change(store, "a", |set| set.create_resident(resident("a", &format!("r{number}")))).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for worker in 0..4_u32 {
        let (store, stop, done) = (store.clone(), Arc::clone(&stop), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let id = format!("r{}", 2 + (worker * 2 + number % 2));
                let receipt = disclose(&store, "a", &[&id, "r1"], FieldClass::ALL).await;
                let files = [resident_id(&id), resident_id("r1")];
                let found = store.residents_by_id(&site_id("a"), &files, FieldClasses::all()).await.unwrap();
                let opener = store.opener(&receipt).await.unwrap();
                let opened: Vec<Resident> = found.iter().map(|file| file.open(&opener).unwrap()).collect();
                assert_eq!(opened.len(), 2);
                let (mut head, contact) = found
                    .iter()
                    .zip(&opened)
                    .find(|(file, _)| file.head.id == resident_id(&id))
                    .map(|(file, opened)| (ResidentHead::clone(&file.head), opened.contact.clone()))
                    .unwrap();
                head.version += 1;
                let phone = format!("139{worker:04}{:04}", number % 10_000);
                let contact = Contact { phone: Some(Phone::new(&phone).unwrap()), ..contact };
                let cells = CellChanges { contact: Some(contact), ..CellChanges::default() };
                let record = record("a", &format!("w{worker}-{number}"), &id, 0);
                change(&store, "a", |set| set.update_resident(head, cells).add_record(record)).await.unwrap();
                let now = store.find_residents(&site_id("a"), IndexColumn::Phone, &phone).await.unwrap();
                assert_eq!(now, [resident_id(&id)]);
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let scope = Scope::Site(site_id("a"));
    for _ in 0..3 {
        renew(store, &scope).await;
        let target = done.load(Ordering::Relaxed) + 20;
        let mut quiet = 0;
        while quiet < 2 {
            let moved = reseal(store, &scope).await;
            quiet = if moved == 0 && done.load(Ordering::Relaxed) > target { quiet + 1 } else { 0 };
            // Whoever holds an older cell in hand has opened it by then.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        store.retire_keys(&scope).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    assert!(done.load(Ordering::Relaxed) > 60);
    assert!(versions(store).await.values().all(|found| found == &["\\x00000004"]), "no older cell");
    assert_eq!(store.texts("SELECT DISTINCT key_version FROM resident_index").await, ["4"]);
    assert_eq!(store.texts("SELECT COUNT(*) FROM resident_index WHERE field = 'phone'").await, ["11"]);
    store.verify_chain(&scope, None).await.unwrap();
}

async fn the_old_root_key_opens_nothing(env: Env) {
    let config = env.config();
    fill(&env.store).await;
    let before = everything(&env.store).await;
    assert!(!env.store.has_next_root().unwrap());
    assert!(env.store.replace_root_key().await.is_err(), "there is none");
    close(env.store.clone()).await;
    drop(env.store);

    let key = |text: &str| RootKey::from_hex(text).unwrap();
    let both = || RootKeys::new(key(ROOT), || Ok(Some(RootKey::from_hex(NEXT).unwrap())));
    let open_with =
        async |keys: RootKeys| Store::open(config.clone(), keys, Arc::new(SeededRandom::new(77))).await;
    let store = open_with(both()).await.unwrap();
    assert!(store.has_next_root().unwrap());
    store.replace_root_key().await.unwrap();
    assert_eq!((store.root_version(), store.has_next_root().unwrap()), (2, false));
    assert_eq!(everything(&store).await, before);
    make_site(&store, "b").await;
    change(&store, "b", |set| set.create_resident(resident("b", "r1"))).await.unwrap();
    let roots = store.key_texts("SELECT DISTINCT substr(seal, 3, 4) FROM {}site_key").await;
    assert_eq!(roots, ["\\x00000002"], "nothing is wrapped by the old one");
    close(store.clone()).await;
    drop(store);

    let old = open_with(key(ROOT).into()).await;
    assert!(matches!(old, Err(OpenError::WrongRootKey)), "{old:?}");
    let store = open_with(both()).await.unwrap();
    assert_eq!(everything(&store).await, before, "the one that opens is taken, whatever its place");
    assert!(!store.has_next_root().unwrap());
    close(store.clone()).await;
    drop(store);
    let store = open_with(key(NEXT).into()).await.unwrap();
    assert_eq!(everything(&store).await, before);
}

async fn an_identity_number_stays_one_persons(env: Env) {
    let store = &env.store;
    fill(store).await;
    let scope = Scope::Site(site_id("a"));
    let twin = async |id: &str| {
        let twin = with_number(resident("a", id), NUMBER);
        change(store, "a", |set| set.create_resident(twin)).await.map(drop)
    };
    let taken = Err(CommitError::Exists { what: "identity number" });
    assert_eq!(twin("r2").await, taken);
    renew(store, &scope).await;
    assert_eq!(twin("r3").await, taken, "while it stands under the old key");
    reseal(store, &scope).await;
    assert_eq!(twin("r4").await, taken);
    store.retire_keys(&scope).await.unwrap();
    assert_eq!(twin("r5").await, taken);
    let number = IdentityNumber::new(NUMBER).unwrap();
    assert_eq!(store.find_by_identity(&site_id("a"), &number).await.unwrap(), [resident_id("r1")]);
}

/// On PostgreSQL a second server, which knows the keys of before, reads and writes on; on SQLite there is none.
async fn another_server_follows(env: Env) {
    if env.on == On::Sqlite {
        let second = open(env.config(), ROOT, 5).await;
        assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
        return;
    }
    let (one, scope) = (&env.store, Scope::Site(site_id("a")));
    let two = open(env.config(), ROOT, 5).await.unwrap();
    fill(one).await;
    let before = everything(&two).await;
    renew(one, &scope).await;
    let found = two.find_residents(&site_id("a"), IndexColumn::Phone, PHONE).await.unwrap();
    assert_eq!(found, [resident_id("r1")]);
    reseal(one, &scope).await;
    let found = two.find_residents(&site_id("a"), IndexColumn::Phone, PHONE).await.unwrap();
    assert_eq!(found, [resident_id("r1")], "under a key that it has to learn of");
    assert_eq!(everything(&two).await, before);
    rotate(one, &scope).await;
    change(&two, "a", |set| set.add_record(record("a", "v9", "r1", 0))).await.unwrap();
    assert_eq!(reseal(one, &scope).await, 0, "it seals with the new keys");
    rotate(&two, &scope).await;
    assert_eq!(everything(one).await, before);
    change(one, "a", |set| set.create_resident(resident("a", "r9"))).await.unwrap();
    assert_eq!(everything(&two).await, before);
}

/// A column of bytes holds cells, or is one of those that are known to hold none.
async fn every_sealed_column_is_known(env: Env) {
    const CLEAR: &[(&str, &str)] = &[
        ("assessment", "findings"),
        ("audit_entry", "body"),
        ("audit_entry", "hash"),
        ("care_plan", "items"),
        ("closed_period", "detail"),
        ("fund_report", "detail"),
        ("idempotency", "request_hash"),
        ("plugin_parameter", "detail"),
        ("post", "detail"),
        ("record", "subjects"),
        ("record_version", "subjects"),
        ("request", "course"),
        ("resident_identity", "hash"),
        ("resident_index", "hash"),
        ("site_head", "audit_hash"),
        ("staff", "detail"),
        ("standard_override", "numbers"),
        ("survey", "result"),
        ("survey_person", "person_mark"),
        ("survey_person", "phone_mark"),
    ];
    let mut found = Vec::new();
    for table in Table::ALL {
        let name = table.meta().name;
        let sql = match env.on {
            On::Sqlite => format!("SELECT name FROM pragma_table_info('{name}') WHERE type = 'BLOB'"),
            On::Postgres => format!(
                "SELECT column_name::text FROM information_schema.columns \
                 WHERE table_name = '{name}' AND data_type = 'bytea'"
            ),
        };
        found.extend(env.store.texts(&sql).await.into_iter().map(|column| (name.to_owned(), column)));
    }
    let sealed = SEALED.iter().map(|sealed| (sealed.table.meta().name, sealed.column));
    let mut known: Vec<_> =
        sealed.chain(CLEAR.iter().copied()).map(|(t, c)| (t.to_owned(), c.to_owned())).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}
