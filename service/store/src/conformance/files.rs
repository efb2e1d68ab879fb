//! Care files: sealed cells, receipts, blind indexes, lists, facts, memberships, assessments, pauses, history.

use linli_core::assessment::{
    Assessment, Attention, Findings, FoundCaution, FoundMembership, FoundTag, FoundTier, PluginStamp,
};
use linli_core::duplicate::Person;
use linli_core::id::{
    CautionCode, FieldCode, GroupCode, MembershipId, PauseId, PluginId, ReasonCode, TagCode,
};
use linli_core::kind::Tier;
use linli_core::membership::{Basis, ExitCause, Membership, ProposedExit};
use linli_core::pause::{Pause, PauseEnd, PauseReason};
use linli_core::resident::{Fact, FactValue};

use super::*;
use crate::{
    CellChanges, HistoryDraft, IndexColumn, MergedFile, Page, ResidentFilter, ResidentHead, SealError, Sight,
    Sites, StoredAssessment,
};

on_both!(
    a_file_opens_under_its_receipt_only,
    updates_replace_what_they_name,
    identity_numbers_are_unique_per_site,
    lists_filter_and_page,
    a_change_of_room_is_known_at_both_doors,
    who_shares_something_is_found,
    a_merged_file_is_left_out_of_lists_and_keeps_its_place,
    facts_memberships_and_the_rest,
    files_read_together_equal_files_read_alone,
    an_erased_key_opens_nothing,
);

const ALL: &[FieldClass] = FieldClass::ALL;

async fn a_file_opens_under_its_receipt_only(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    make_site(store, "b").await;
    let value = with_number(resident("a", "r1"), NUMBER);
    change(store, "a", |set| set.create_resident(value.clone())).await.unwrap();
    change(store, "a", |set| set.create_resident(resident("a", "r2"))).await.unwrap();
    change(store, "b", |set| set.create_resident(resident("b", "r1"))).await.unwrap();
    let read = async || {
        store.resident(&site_id("a"), &resident_id("r1"), FieldClasses::all()).await.unwrap().unwrap()
    };
    let sealed = read().await;
    assert_eq!(sealed.head, ResidentHead::of(&value));

    let receipt = disclose(store, "a", &["r1"], ALL).await;
    let opener = store.opener(&receipt).await.unwrap();
    assert_eq!(sealed.open(&opener).unwrap(), value);

    // Another class, another person, another site, a denial: nothing opens.
    let contact = sealed.contact.as_ref().unwrap();
    for receipt in [
        disclose(store, "a", &["r1"], &[FieldClass::Health]).await,
        disclose(store, "a", &["r2"], ALL).await,
        disclose(store, "a", &[], ALL).await,
        disclose(store, "b", &["r1"], ALL).await,
    ] {
        let opener = store.opener(&receipt).await.unwrap();
        assert_eq!(opener.open(contact), Err(SealError::NotCovered), "{receipt:?}");
    }
    let denied = AuditDraft {
        subjects: vec!["r1".into()],
        classes: FieldClasses::all(),
        decision: Decision::Denied,
        ..audit("Read")
    };
    let set = ChangeSet::new(Scope::Site(site_id("a")), 0, denied);
    let receipt = store.disclose("test", set).await.unwrap();
    let opener = store.opener(&receipt).await.unwrap();
    assert_eq!(opener.open(contact), Err(SealError::NotCovered));

    // A cell moved to another person's row does not open there.
    let mut moved = contact.clone();
    moved.row = vec!["r2".into()];
    moved.holder = crate::seal::Holder::Resident("r2".into());
    let receipt = disclose(store, "a", &["r1", "r2"], ALL).await;
    let opener = store.opener(&receipt).await.unwrap();
    assert_eq!(opener.open(&moved), Err(SealError::Tag));

    let env = env.reopen().await;
    let receipt = disclose(&env.store, "a", &["r1"], ALL).await;
    let opener = env.store.opener(&receipt).await.unwrap();
    assert_eq!(sealed.open(&opener).unwrap(), value, "after a restart");
}

async fn updates_replace_what_they_name(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let mut value = resident("a", "r1");
    change(store, "a", |set| set.create_resident(value.clone())).await.unwrap();
    let find = async |column, text: &str| {
        let found = store.find_residents(&site_id("a"), column, text).await.unwrap();
        found.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(find(IndexColumn::Phone, PHONE).await, ["r1"]);
    assert_eq!(find(IndexColumn::Name, NAME).await, ["r1"]);
    assert_eq!(find(IndexColumn::BirthDate, "1940-02-29").await, ["r1"]);

    value.version = 2;
    value.updated_at = at(5);
    value.contact.phone = Some(Phone::new("13511112222").unwrap());
    value.health = None;
    let cells =
        CellChanges { contact: Some(value.contact.clone()), health: Some(None), ..CellChanges::default() };
    let update = |version| {
        let head = ResidentHead { version, ..ResidentHead::of(&value) };
        change(store, "a", |set| set.update_resident(head, cells.clone()))
    };
    update(2).await.unwrap();
    assert_eq!(update(2).await.map(drop), Err(CommitError::Stale { what: "resident", current: 2 }));
    assert_eq!(find(IndexColumn::Phone, PHONE).await, Vec::<String>::new());
    assert_eq!(find(IndexColumn::Phone, "13511112222").await, ["r1"]);
    assert_eq!(find(IndexColumn::Name, NAME).await, ["r1"]);
    assert_eq!(find(IndexColumn::BirthDate, "1940-02-29").await, ["r1"]);

    // A change of the head alone touches no cell.
    value.version = 3;
    value.tenure.moved_out = Some(day("2026-03-01"));
    value.state = FileState::Left;
    let head = ResidentHead::of(&value);
    change(store, "a", |set| set.update_resident(head, CellChanges::default())).await.unwrap();
    let sealed =
        store.resident(&site_id("a"), &resident_id("r1"), FieldClasses::all()).await.unwrap().unwrap();
    let receipt = disclose(store, "a", &["r1"], ALL).await;
    assert_eq!(sealed.open(&store.opener(&receipt).await.unwrap()).unwrap(), value);
}

async fn a_change_of_room_is_known_at_both_doors(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    make_site(store, "b").await;
    for (site, id) in [("a", "r1"), ("a", "r2"), ("b", "r1")] {
        change(store, site, |set| set.create_resident(resident(site, id))).await.unwrap();
    }
    let read = async || {
        let heads = store.resident_heads(&site_id("a"), &[resident_id("r1")]).await.unwrap();
        heads.into_iter().next().unwrap()
    };
    let mut head = read().await;
    let first = head.dwelling.clone();
    let door = |id: &str| linli_core::id::DwellingId::new(id).unwrap();
    for (to, on) in [("d8", "2026-03-16"), ("d9", "2026-04-01"), (first.as_str(), "2026-04-01")] {
        head.move_to(door(to), day(on));
        head.version += 1;
        change(store, "a", |set| set.update_resident(head.clone(), CellChanges::default())).await.unwrap();
    }
    assert_eq!(read().await, head);
    assert_eq!((head.dwelling.clone(), head.former_dwellings.len()), (first.clone(), 3));

    let check = async |doors: &[&str], since: &str, expect: &[&str]| {
        let doors: Vec<_> = doors.iter().map(|id| door(id)).collect();
        let found = store.former_residents(&site_id("a"), &doors, day(since)).await.unwrap();
        let found: Vec<&str> = found.iter().map(linli_core::id::ResidentId::as_str).collect();
        assert_eq!(found, expect, "{doors:?} {since}");
    };
    check(&["d8"], "2026-03-31", &["r1"]).await;
    // On the day of the move they live elsewhere.
    check(&["d8"], "2026-04-01", &[]).await;
    check(&[first.as_str()], "2026-03-15", &["r1"]).await;
    check(&[first.as_str()], "2026-03-16", &[]).await;
    check(&["d8", "d9", first.as_str(), "d7"], "2026-01-01", &["r1"]).await;
    check(&[], "2026-01-01", &[]).await;
}

async fn who_shares_something_is_found(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    make_site(store, "b").await;
    let value = resident("a", "r1");
    change(store, "a", |set| set.create_resident(value.clone())).await.unwrap();
    change(store, "b", |set| set.create_resident(resident("b", "r9"))).await.unwrap();
    let (stranger, elsewhere) = (PersonName::new("无名氏").unwrap(), DwellingId::new("elsewhere").unwrap());
    let nobody = Person { name: None, number: None, birth_date: None, phone: None, dwelling: None };
    let people = [
        Person { name: Some(&stranger), dwelling: Some(&elsewhere), ..nobody },
        Person { name: Some(&value.contact.name), ..nobody },
        Person { birth_date: value.identity.birth_date, ..nobody },
        Person { phone: value.contact.phone.as_ref(), ..nobody },
        Person { dwelling: Some(&value.dwelling), ..nobody },
        Person { name: Some(&value.contact.name), dwelling: Some(&value.dwelling), ..nobody },
        nobody,
    ];
    let found = store.residents_sharing(&site_id("a"), &people).await.unwrap();
    assert_eq!(found, [1, 2, 3, 4, 5].map(|at| (at, resident_id("r1"))));
    assert_eq!(store.residents_sharing(&site_id("a"), &[]).await.unwrap(), []);
}

async fn a_merged_file_is_left_out_of_lists_and_keeps_its_place(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    for id in ["r1", "r2", "r3"] {
        change(store, "a", |set| set.create_resident(resident("a", id))).await.unwrap();
    }
    let read = async |id: &str| {
        let heads = store.resident_heads(&site_id("a"), &[resident_id(id)]).await.unwrap();
        heads.into_iter().next().unwrap()
    };
    let (mut stays, mut goes) = (read("r1").await, read("r2").await);
    let home = stays.dwelling.clone();
    stays.merged = vec![MergedFile { id: resident_id("r2"), since: day("2026-03-16") }];
    stays.version += 1;
    goes.merged_into = Some(resident_id("r1"));
    goes.version += 1;
    let both = |stays: ResidentHead, goes: ResidentHead| {
        change(store, "a", |set| {
            set.update_resident(stays, CellChanges::default()).update_resident(goes, CellChanges::default())
        })
    };
    both(stays.clone(), goes.clone()).await.unwrap();
    assert_eq!((read("r1").await, read("r2").await), (stays.clone(), goes.clone()));
    assert_eq!(stays.files(), [resident_id("r1"), resident_id("r2")]);
    // The same again stands on versions that are no longer there: two merges at once do not both pass.
    assert_eq!(both(stays, goes).await.map(drop), Err(CommitError::Stale { what: "resident", current: 2 }));

    let site = Sites::One(site_id("a"));
    let found = store
        .residents(&site, &ResidentFilter::default(), &Page::first(10), FieldClasses::NONE)
        .await
        .unwrap();
    let ids: Vec<&str> = found.iter().map(|sealed| sealed.head.id.as_str()).collect();
    assert_eq!(ids, ["r1", "r3"]);
    let range = crate::CareRange { from: at(0), to: at(9) };
    let care = store.care_page(&site_id("a"), None, 10, range, &Sight::default()).await.unwrap();
    assert_eq!(care.iter().map(|care| care.head.id.as_str()).collect::<Vec<_>>(), ["r1", "r3"]);
    let there = store.residents_of_dwellings(&site_id("a"), &[home]).await.unwrap();
    assert_eq!(there.iter().map(|head| head.id.as_str()).collect::<Vec<_>>(), ["r1", "r3"]);
}

async fn identity_numbers_are_unique_per_site(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    make_site(store, "b").await;
    let create = async |site: &str, id: &str, number: &str| {
        let value = with_number(resident(site, id), number);
        change(store, site, |set| set.create_resident(value)).await.map(drop)
    };
    assert_eq!(create("a", "r1", NUMBER).await, Ok(()));
    assert_eq!(create("a", "r2", NUMBER).await, Err(CommitError::Exists { what: "identity number" }));
    assert_eq!(create("a", "r1", "440524188001010014").await, Err(CommitError::Exists { what: "resident" }));
    assert_eq!(create("b", "r1", NUMBER).await, Ok(()));
    let number = IdentityNumber::new(NUMBER).unwrap();
    assert_eq!(store.find_by_identity(&site_id("a"), &number).await.unwrap(), [resident_id("r1")]);

    // A corrected number frees the old one.
    let value = with_number(resident("a", "r1"), "440524188001010014");
    let head = ResidentHead { version: 2, ..ResidentHead::of(&value) };
    let cells = CellChanges { identity: Some(value.identity.clone()), ..CellChanges::default() };
    change(store, "a", |set| set.update_resident(head, cells)).await.unwrap();
    assert_eq!(store.find_by_identity(&site_id("a"), &number).await.unwrap(), []);
    assert_eq!(create("a", "r2", NUMBER).await, Ok(()));
    assert_eq!(store.find_by_identity(&site_id("a"), &number).await.unwrap(), [resident_id("r2")]);
}

async fn lists_filter_and_page(env: Env) {
    let store = &env.store;
    for site in ["a", "b"] {
        make_site(store, site).await;
        for number in 0..5 {
            let mut value = resident(site, &format!("r{number}"));
            if number % 2 == 1 {
                value.state = FileState::Left;
                value.dwelling = DwellingId::new("d2").unwrap();
            }
            change(store, site, |set| set.create_resident(value)).await.unwrap();
        }
    }
    let group = GroupCode::new("living_alone").unwrap();
    for id in ["r1", "r4"] {
        change(store, "a", |set| set.put_membership(membership(id, "m1"))).await.unwrap();
    }
    let list = async |sites: &Sites, filter: ResidentFilter, page: Page| {
        let classes = FieldClasses::of(&[FieldClass::Contact]);
        let found = store.residents(sites, &filter, &page, classes).await.unwrap();
        assert!(found.iter().all(|sealed| sealed.contact.is_some() && sealed.health.is_none()));
        found.iter().map(|s| format!("{}/{}", s.head.site, s.head.id)).collect::<Vec<_>>()
    };
    let a = Sites::One(site_id("a"));
    let any = ResidentFilter::default;
    assert_eq!(list(&a, any(), Page::first(3)).await, ["a/r0", "a/r1", "a/r2"]);
    assert_eq!(list(&a, any(), Page::after("a", "r2", 3)).await, ["a/r3", "a/r4"]);
    assert_eq!(list(&Sites::All, any(), Page::after("a", "r3", 3)).await, ["a/r4", "b/r0", "b/r1"]);
    let left = ResidentFilter { states: vec![FileState::Left], ..any() };
    assert_eq!(list(&a, left, Page::first(9)).await, ["a/r1", "a/r3"]);
    let of_dwelling = ResidentFilter { dwelling: Some(DwellingId::new("d2").unwrap()), ..any() };
    assert_eq!(list(&Sites::All, of_dwelling, Page::first(9)).await, ["a/r1", "a/r3", "b/r1", "b/r3"]);
    let of_group = ResidentFilter { group: Some(group), ..any() };
    assert_eq!(list(&a, of_group, Page::first(9)).await, ["a/r1", "a/r4"]);
    let heads = store.resident_heads(&site_id("a"), &["r4", "r9", "r0"].map(resident_id)).await.unwrap();
    assert_eq!(heads.iter().map(|head| head.id.as_str()).collect::<Vec<_>>(), ["r0", "r4"]);
}

fn membership(resident: &str, id: &str) -> Membership {
    Membership {
        site: site_id("a"),
        resident: resident_id(resident),
        id: MembershipId::new(id).unwrap(),
        group: GroupCode::new("living_alone").unwrap(),
        basis: Basis::Declared,
        reason: Some(ReasonCode::new("declared").unwrap()),
        evidence: Some(line("planted-evidence-secret")),
        start: day("2026-01-01"),
        end: None,
        proposed_exit: None,
        recorded_at: at(0),
        version: 1,
    }
}

/// Many files at once, of two sites, with absent ones and a damaged one among them: each asker gets what reading its
/// parts one by one gives, and nothing of its neighbours.
async fn files_read_together_equal_files_read_alone(env: Env) {
    let store = &env.store;
    let ids: Vec<ResidentId> = (0..12).map(|number| resident_id(&format!("r{number}"))).collect();
    for site in ["a", "b"] {
        make_site(store, site).await;
        for (number, id) in ids.iter().enumerate() {
            // Two of them have no file in the second site.
            if site == "b" && number < 2 {
                continue;
            }
            change(store, site, |set| set.create_resident(resident(site, id.as_str()))).await.unwrap();
            for count in 0..number % 3 {
                let from = day(["2026-03-16", "2026-01-02"][count]);
                let attention = Attention { from, tier: Tier::Key, tags: Vec::new() };
                let fact = Fact {
                    field: FieldCode::new("lives_alone").unwrap(),
                    value: Some(FactValue::Bool(count == 0)),
                    true_from: from,
                    recorded_at: at(i64::try_from(number).unwrap()),
                };
                change(store, site, |set| {
                    set.put_attention(&site_id(site), id, attention);
                    set.add_fact(&site_id(site), id, FieldClass::Health, fact)
                })
                .await
                .unwrap();
            }
        }
    }
    store.tamper("UPDATE resident SET moved_in = 9000000000 WHERE site = 'a' AND id = 'r3'").await;

    let views = [
        FieldClasses::NONE,
        FieldClasses::of(&[FieldClass::Contact]),
        FieldClasses::of(&[FieldClass::Contact, FieldClass::Identity, FieldClass::Family]),
        FieldClasses::all(),
    ];
    let mut asks = Vec::new();
    for (number, classes) in views.into_iter().cycle().take(400).enumerate() {
        let (store, site) = (store.clone(), site_id(["a", "b"][number / 4 % 2]));
        let id = ids[number / 8 % ids.len()].clone();
        asks.push(tokio::spawn(async move {
            let with_facts = number % 5 == 0;
            let found = store.file(&site, &id, classes, with_facts).await;
            (site, id, classes, with_facts, found)
        }));
    }
    let (mut damaged, mut absent, mut whole) = (0, 0, 0);
    for ask in asks {
        let (site, id, classes, with_facts, found) = ask.await.unwrap();
        let alone = store.residents_by_id(&site, std::slice::from_ref(&id), classes).await;
        let found = match (found, alone) {
            (Err(error), Err(expect)) => {
                assert_eq!((error, id.as_str()), (expect, "r3"));
                damaged += 1;
                continue;
            }
            (found, alone) => (found.unwrap(), alone.unwrap().pop()),
        };
        let (file, alone) = match found {
            (Some(file), Some(alone)) => (file, alone),
            (file, alone) => {
                assert!(file.is_none() && alone.is_none() && site.as_str() == "b", "{id:?}");
                absent += 1;
                continue;
            }
        };
        whole += 1;
        let one = std::slice::from_ref(&id);
        let cells = |file: &crate::SealedResident| {
            [
                file.contact.as_ref().map(|sealed| sealed.cell.clone()),
                file.identity.as_ref().map(|sealed| sealed.cell.clone()),
                file.health.as_ref().map(|sealed| sealed.cell.clone()),
                file.family.as_ref().map(|sealed| sealed.cell.clone()),
                file.status.as_ref().map(|sealed| sealed.cell.clone()),
            ]
        };
        assert_eq!(file.resident.head, alone.head);
        assert_eq!(cells(&file.resident), cells(&alone), "{classes:?}");
        let dwelling = store.dwelling(&site, &alone.head.dwelling).await.unwrap();
        assert!(dwelling.is_some() && file.dwelling == dwelling);
        let attention = store.attentions(&site, one).await.unwrap();
        assert_eq!(file.attention, attention.into_iter().map(|(_, of)| of).collect::<Vec<_>>());
        let facts = if with_facts { store.facts(&site, one).await.unwrap() } else { Vec::new() };
        assert_eq!(format!("{:?}", file.facts), format!("{facts:?}"));
        assert!(file.memberships.is_empty() && file.assessments.is_empty());
    }
    assert!(damaged > 10 && absent > 10 && whole > 300, "{damaged} {absent} {whole}");
}

async fn facts_memberships_and_the_rest(env: Env) {
    let store = &env.store;
    let a = site_id("a");
    let r1 = resident_id("r1");
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();

    let fact = |value, minutes| Fact {
        field: FieldCode::new("lives_alone").unwrap(),
        value,
        true_from: day("2026-03-01"),
        recorded_at: at(minutes),
    };
    let first = fact(Some(FactValue::Bool(true)), 0);
    let second = fact(None, 1);
    let attention = Attention {
        from: day("2026-03-16"),
        tier: Tier::High,
        tags: vec![TagCode::new("hearing").unwrap(), TagCode::new("mobility").unwrap()],
    };
    let found = |code: &str| ReasonCode::new(code).unwrap();
    let assessment = StoredAssessment {
        assessment: Assessment {
            site: a.clone(),
            resident: r1.clone(),
            plugin: PluginStamp {
                id: PluginId::new("cn.linli.elderly").unwrap(),
                version: "1.2.3".into(),
                digest: "ab".repeat(32),
            },
            assessed_at: at(0),
            findings: Findings {
                memberships: vec![FoundMembership {
                    group: GroupCode::new("living_alone").unwrap(),
                    reason: found("alone"),
                    since: Some(day("2026-03-01")),
                    until: None,
                }],
                tiers: vec![FoundTier { tier: Tier::Key, reason: found("age") }],
                tags: vec![FoundTag { tag: TagCode::new("hearing").unwrap(), reason: found("aid") }],
                cautions: vec![FoundCaution {
                    caution: CautionCode::new("text").unwrap(),
                    reason: found("aid"),
                }],
                valid_until: Some(day("2026-06-01")),
            },
        },
        stale: false,
        manual: false,
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
        old: None,
        new: Some(paragraph(PHONE)),
    };
    change(store, "a", |set| {
        set.add_fact(&a, &r1, FieldClass::Health, first.clone())
            .add_fact(&a, &r1, FieldClass::Health, second.clone())
            .put_membership(membership("r1", "m1"))
            .put_attention(&a, &r1, Attention { from: day("2026-01-01"), ..attention.clone() })
            .put_attention(&a, &r1, attention.clone())
            .put_assessment(assessment.clone())
            .put_pause(pause.clone())
            .add_history(history.clone())
            .require_resident(&a, &r1, Some(1))
    })
    .await
    .unwrap();
    change(store, "a", |set| set.drop_attention(&a, &r1, day("2026-01-01"))).await.unwrap();
    let ended = Pause {
        ended: Some(PauseEnd { returned_on: day("2026-03-20"), recorded_at: at(9) }),
        confirmed_at: Some(at(10)),
        version: 2,
        ..pause.clone()
    };
    let exit = ProposedExit { on: day("2026-04-01"), why: ExitCause::FactChanged, proposed_at: at(9) };
    let leaving = Membership { proposed_exit: Some(exit), version: 2, ..membership("r1", "m1") };
    let stale = StoredAssessment { stale: true, version: 2, ..assessment.clone() };
    change(store, "a", |set| {
        set.put_pause(ended.clone()).put_membership(leaving.clone()).put_assessment(stale.clone())
    })
    .await
    .unwrap();

    let ids = std::slice::from_ref(&r1);
    let receipt = disclose(store, "a", &["r1"], ALL).await;
    let opener = store.opener(&receipt).await.unwrap();
    let facts = store.facts(&a, ids).await.unwrap();
    assert_eq!(facts.iter().map(|f| f.open(&opener).unwrap()).collect::<Vec<_>>(), [first, second]);
    let found = store.memberships(&a, ids).await.unwrap().pop().unwrap();
    let evidence = opener.open_option(found.evidence.as_ref()).unwrap();
    assert_eq!(Membership { evidence, ..found.membership }, leaving);
    let found = store.pause(&a, &r1, &pause.id).await.unwrap().unwrap();
    let remark = opener.open_option(found.remark.as_ref()).unwrap();
    assert_eq!(Pause { remark, ..found.pause }, ended);
    assert_eq!(store.assessments(&a, ids).await.unwrap(), vec![stale.clone()]);
    let file = store.file(&a, &r1, FieldClasses::NONE, true).await.unwrap().unwrap();
    assert_eq!(format!("{:?}", file.memberships), format!("{:?}", store.memberships(&a, ids).await.unwrap()));
    assert_eq!(format!("{:?}", file.facts), format!("{:?}", store.facts(&a, ids).await.unwrap()));
    assert_eq!(
        (file.attention.as_slice(), file.assessments),
        (&[attention.clone()][..], vec![stale.clone()])
    );
    assert_eq!(store.assessments_due(&a, day("2026-06-01"), 5).await.unwrap(), vec![stale]);
    assert_eq!(store.assessments_due(&a, day("2026-05-31"), 5).await.unwrap(), vec![]);
    let found = store.history(&a, &r1, None, 10).await.unwrap().pop().unwrap();
    assert_eq!((found.field.as_str(), found.old.is_none()), ("contact.phone", true));
    assert_eq!(opener.open_option(found.new.as_ref()).unwrap(), history.new);
    assert!(store.history(&a, &r1, Some("0001"), 10).await.unwrap().is_empty());
    let range = crate::CareRange { from: at(-1000), to: at(1000) };
    let care = store.care_of(&a, ids, range).await.unwrap().pop().unwrap();
    assert_eq!(care.attention, vec![attention]);
    assert_eq!(care.pauses.len() + care.memberships.len(), 2);
}

async fn an_erased_key_opens_nothing(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
    store.tamper_keys("DELETE FROM {}resident_key WHERE resident = 'r1'").await;
    let env = env.reopen().await;
    let store = &env.store;
    let sealed =
        store.resident(&site_id("a"), &resident_id("r1"), FieldClasses::all()).await.unwrap().unwrap();
    let receipt = disclose(store, "a", &["r1"], ALL).await;
    let opener = store.opener(&receipt).await.unwrap();
    assert_eq!(sealed.open(&opener).map(drop), Err(SealError::NoKey));
}
