//! Bodies and referrals: what is stored comes back, queues keep their order, and words open for whom they are about alone.

use linli_core::community_body::{Agreement, CommunityBody};
use linli_core::consent::{Basis, BodyKind, DisclosurePurpose};
use linli_core::id::{BodyId, ChannelName, DisclosureId, EventId, ReferralId};
use linli_core::referral::{
    BodyAnswer, Decision, DisclosedField, Referral, ReferralMatter, ReferralPart, ReferralReview,
    ReferralState, ReferralWords,
};
use linli_core::request::RequestUrgency;
use linli_core::time::DateRange;

use super::*;
use crate::{CommitError, Opener, Page, ReferralFilter, Sites};

on_both!(
    bodies_come_back,
    referrals_come_back,
    a_queue_keeps_its_order_over_all_sites,
    failures_are_counted_and_references_found_by_body,
    filters_find_referrals,
    words_of_a_part_are_replaced_and_open_for_their_resident_alone,
);

fn body(id: &str) -> CommunityBody {
    CommunityBody {
        id: BodyId::new(id).unwrap(),
        kind: BodyKind::HealthService,
        title: line("幸福里社区卫生服务站"),
        title_en: Some(line("Xingfuli health station")),
        contacts: vec![line("前台 010-62345678"), line("转介窗口,二楼")],
        sites: vec![site_id("a"), site_id("b")],
        channel: Some(ChannelName::new("clinic").unwrap()),
        agreement: Some(Agreement {
            number: line("协议 2026-7"),
            fields: vec![DisclosedField::Name, DisclosedField::Health],
            purposes: vec![DisclosurePurpose::Referral, DisclosurePurpose::Greeting],
            days: DateRange::new(day("2026-01-01"), day("2027-01-01")),
        }),
        enabled: true,
        created_at: at(0),
        version: 1,
    }
}

/// A referral that waits since a minute.
pub(super) fn referral(site: &str, id: &str, resident: &str, minute: i64) -> Referral {
    Referral {
        site: site_id(site),
        id: ReferralId::new(id).unwrap(),
        resident: resident_id(resident),
        body: BodyId::new("clinic").unwrap(),
        body_kind: BodyKind::HealthService,
        purpose: DisclosurePurpose::Referral,
        basis: Basis::Consent,
        matter: ReferralMatter::MedicalVisit,
        urgency: RequestUrgency::Priority,
        fields: vec![DisclosedField::Name, DisclosedField::Health],
        by_hand: false,
        state: ReferralState::Queued,
        queued_at: Some(at(minute)),
        disclosure: None,
        sent_at: None,
        answer: None,
        ended_at: None,
        external_reference: None,
        clock: None,
        review: None,
        created_by: StaffId::new("steward-1").unwrap(),
        created_at: at(minute),
        version: 1,
    }
}

/// What is said with it.
pub(super) fn words(site: &str, id: &str, resident: &str, part: ReferralPart, version: u64) -> ReferralWords {
    ReferralWords {
        site: site_id(site),
        referral: ReferralId::new(id).unwrap(),
        resident: resident_id(resident),
        part,
        version,
        words: paragraph(&format!("planted-referral-secret-{}-{version}", part.code())),
    }
}

/// Words in every class that a referral has.
pub(super) async fn fill(store: &Store, resident: &str) {
    change(store, "a", |set| {
        set.put_referral(referral("a", "f1", resident, 0));
        for part in [
            ReferralPart::Field(DisclosedField::Name),
            ReferralPart::Field(DisclosedField::Health),
            ReferralPart::Note,
        ] {
            set.put_referral_words(words("a", "f1", resident, part, 1));
        }
        set
    })
    .await
    .unwrap();
}

/// The words of that referral.
pub(super) async fn opened(store: &Store, opener: &Opener<'_>) -> String {
    let found = store.referral_words(&site_id("a"), &ReferralId::new("f1").unwrap()).await.unwrap();
    let words = found.iter().map(|(part, sealed)| (part.code(), opener.open(sealed).unwrap()));
    words.map(|(code, words)| format!("{code}: {}", words.as_str())).collect::<Vec<_>>().join("\n")
}

async fn system(
    store: &Store,
    build: impl FnOnce(&mut ChangeSet) -> &mut ChangeSet,
) -> Result<(), CommitError> {
    let epoch = store.authz_epoch(&Scope::System).await.unwrap().unwrap_or_default();
    let mut set = ChangeSet::new(Scope::System, epoch, audit("Body"));
    build(&mut set);
    store.commit("test", set).await.map(drop)
}

async fn bodies_come_back(env: Env) {
    let store = &env.store;
    let plain = CommunityBody {
        title_en: None,
        contacts: vec![],
        sites: vec![],
        channel: None,
        agreement: None,
        enabled: false,
        ..body("aid")
    };
    let mut endless = body("clinic");
    endless.agreement.as_mut().unwrap().days = DateRange::from(day("2026-01-01"));
    for body in [&plain, &endless] {
        system(store, |set| set.put_body(body.clone())).await.unwrap();
    }
    assert_eq!(store.bodies(None, 10).await.unwrap(), [plain.clone(), endless.clone()]);
    assert_eq!(store.bodies(Some("aid"), 10).await.unwrap(), [endless.clone()]);
    assert_eq!(store.body(&plain.id).await.unwrap(), Some(plain.clone()));
    assert_eq!(store.body(&BodyId::new("nobody").unwrap()).await.unwrap(), None);
    let found = store.bodies_by_id(&[endless.id.clone(), plain.id.clone()]).await.unwrap();
    assert_eq!(found, [plain, endless]);
    let next = CommunityBody { version: 2, ..body("clinic") };
    system(store, |set| set.put_body(next.clone())).await.unwrap();
    assert_eq!(store.body(&next.id).await.unwrap(), Some(next.clone()));
    let again = system(store, |set| set.put_body(next)).await;
    assert!(matches!(again, Err(CommitError::Stale { what: "body", .. })), "{again:?}");
    assert_eq!(
        system(store, |set| set.put_body(body("clinic"))).await,
        Err(CommitError::Exists { what: "body" })
    );
}

async fn referrals_come_back(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
    let queued = referral("a", "f1", "r1", 0);
    change(store, "a", |set| set.put_referral(queued.clone())).await.unwrap();
    assert_eq!(store.referral(&queued.site, &queued.id).await.unwrap(), Some(queued.clone()));
    let answered = Referral {
        basis: Basis::Danger,
        purpose: DisclosurePurpose::Rescue,
        state: ReferralState::Accepted,
        by_hand: true,
        queued_at: None,
        disclosure: Some(DisclosureId::new("d1").unwrap()),
        sent_at: Some(at(5)),
        answer: Some(BodyAnswer {
            decision: Decision::Accepted,
            at: at(9),
            recorded_by: StaffId::new("clinic-system").unwrap(),
            recorded_at: at(10),
        }),
        ended_at: Some(at(20)),
        external_reference: Some(line("HX-2026-17")),
        clock: Some(EventId::new("e1").unwrap()),
        review: Some(ReferralReview { by: StaffId::new("deputy").unwrap(), at: at(30), justified: false }),
        version: 2,
        ..queued.clone()
    };
    change(store, "a", |set| set.put_referral(answered.clone())).await.unwrap();
    assert_eq!(store.referral(&queued.site, &queued.id).await.unwrap(), Some(answered.clone()));
    let stale = change(store, "a", |set| set.put_referral(answered)).await.map(drop);
    assert!(matches!(stale, Err(CommitError::Stale { what: "referral", .. })), "{stale:?}");
    // The schema itself holds that what waits is in a queue, and nothing else.
    assert!(!store.try_tamper("UPDATE referral SET queued_at = 1").await);
    assert!(!store.try_tamper("UPDATE referral SET state = 'queued'").await);
}

async fn a_queue_keeps_its_order_over_all_sites(env: Env) {
    let store = &env.store;
    for site in ["a", "b"] {
        make_site(store, site).await;
        change(store, site, |set| set.create_resident(resident(site, "r1"))).await.unwrap();
    }
    // Later ids first: the order is that of time.
    for (site, id, minute) in [("a", "f9", 1), ("b", "f5", 2), ("a", "f1", 3), ("b", "f2", 3)] {
        change(store, site, |set| set.put_referral(referral(site, id, "r1", minute))).await.unwrap();
    }
    let other = Referral { body: BodyId::new("aid").unwrap(), ..referral("a", "f3", "r1", 0) };
    change(store, "a", |set| set.put_referral(other)).await.unwrap();
    let gone = Referral { state: ReferralState::Sent, queued_at: None, ..referral("a", "f4", "r1", 0) };
    let nobody = Referral { body: BodyId::new("nobody").unwrap(), ..gone.clone() };
    change(store, "a", |set| {
        set.put_referral(gone).put_referral(Referral { id: ReferralId::new("f6").unwrap(), ..nobody })
    })
    .await
    .unwrap();

    let ids = ["aid", "clinic", "nobody"].map(|id| BodyId::new(id).unwrap());
    for id in &ids {
        system(store, |set| set.put_body(body(id.as_str()))).await.unwrap();
    }
    let bodies = store.queued_bodies(&ids).await.unwrap();
    assert_eq!(bodies.iter().map(BodyId::as_str).collect::<Vec<_>>(), ["aid", "clinic"]);
    assert_eq!(store.queued_bodies(&ids[1..]).await.unwrap(), ids[1..2]);
    assert_eq!(store.queued_bodies(&[]).await.unwrap(), []);
    let clinic = BodyId::new("clinic").unwrap();
    let ids = async |limit| {
        let found = store.queued_referrals(&clinic, limit).await.unwrap();
        found.iter().map(|found| format!("{}/{}", found.site, found.id)).collect::<Vec<_>>()
    };
    assert_eq!(ids(10).await, ["a/f9", "b/f5", "a/f1", "b/f2"]);
    assert_eq!(ids(2).await, ["a/f9", "b/f5"]);
    // What leaves the queue makes room for the next.
    let sent =
        Referral { state: ReferralState::Sent, queued_at: None, version: 2, ..referral("a", "f9", "r1", 1) };
    change(store, "a", |set| set.put_referral(sent)).await.unwrap();
    assert_eq!(ids(2).await, ["b/f5", "a/f1"]);
}

async fn failures_are_counted_and_references_found_by_body(env: Env) {
    let store = &env.store;
    for site in ["a", "b"] {
        make_site(store, site).await;
        change(store, site, |set| set.create_resident(resident(site, "r1"))).await.unwrap();
    }
    let failed =
        |site, id| Referral { state: ReferralState::Failed, queued_at: None, ..referral(site, id, "r1", 1) };
    let called = |site, id, body: &str, reference| Referral {
        state: ReferralState::Sent,
        queued_at: None,
        sent_at: Some(at(5)),
        body: BodyId::new(body).unwrap(),
        external_reference: Some(line(reference)),
        ..referral(site, id, "r1", 1)
    };
    change(store, "a", |set| {
        set.put_referral(failed("a", "f1"))
            .put_referral(failed("a", "f2"))
            .put_referral(called("a", "f3", "clinic", "K-1"))
            .put_referral(called("a", "f4", "aid", "K-1"))
    })
    .await
    .unwrap();
    change(store, "b", |set| {
        set.put_referral(failed("b", "f5")).put_referral(called("b", "f6", "aid", "K-2"))
    })
    .await
    .unwrap();
    let [aid, clinic] = ["aid", "clinic"].map(|id| BodyId::new(id).unwrap());
    let both = [aid.clone(), clinic.clone()];
    assert_eq!(store.failed_referrals(&both).await.unwrap(), [(clinic.clone(), 3)]);
    assert_eq!(store.failed_referrals(&both[..1]).await.unwrap(), []);
    let found = async |body, reference| {
        let found = store.referral_called(body, &line(reference)).await.unwrap();
        found.map(|found| format!("{}/{}", found.site, found.id))
    };
    assert_eq!(found(&clinic, "K-1").await.as_deref(), Some("a/f3"));
    assert_eq!(found(&aid, "K-1").await.as_deref(), Some("a/f4"));
    assert_eq!(found(&clinic, "K-2").await, None);
    // Two of one name are none: nobody knows which is meant.
    change(store, "a", |set| set.put_referral(called("a", "f7", "aid", "K-2"))).await.unwrap();
    assert_eq!(found(&aid, "K-2").await, None);
}

async fn filters_find_referrals(env: Env) {
    let store = &env.store;
    for site in ["a", "b"] {
        make_site(store, site).await;
        for id in ["r1", "r2"] {
            change(store, site, |set| set.create_resident(resident(site, id))).await.unwrap();
        }
    }
    let failed = Referral { state: ReferralState::Failed, queued_at: None, ..referral("a", "f2", "r2", 1) };
    let danger = Referral {
        basis: Basis::Danger,
        purpose: DisclosurePurpose::Rescue,
        body: BodyId::new("aid").unwrap(),
        ..referral("b", "f3", "r1", 1)
    };
    change(store, "a", |set| set.put_referral(referral("a", "f1", "r1", 0)).put_referral(failed))
        .await
        .unwrap();
    change(store, "b", |set| set.put_referral(danger)).await.unwrap();
    let ids = async |sites: Sites, filter: ReferralFilter, page: Page| {
        let found = store.referrals(&sites, &filter, &page).await.unwrap();
        found.iter().map(|found| format!("{}/{}", found.site, found.id)).collect::<Vec<_>>()
    };
    let first = Page::first(10);
    let all = ReferralFilter::default;
    assert_eq!(ids(Sites::All, all(), first.clone()).await, ["a/f1", "a/f2", "b/f3"]);
    assert_eq!(ids(Sites::All, all(), Page::after("a", "f1", 1)).await, ["a/f2"]);
    assert_eq!(ids(Sites::One(site_id("b")), all(), first.clone()).await, ["b/f3"]);
    let failed = ReferralFilter { states: vec![ReferralState::Failed], ..all() };
    assert_eq!(ids(Sites::All, failed, first.clone()).await, ["a/f2"]);
    let to_aid = ReferralFilter { body: Some(BodyId::new("aid").unwrap()), ..all() };
    assert_eq!(ids(Sites::All, to_aid, first.clone()).await, ["b/f3"]);
    let about = ReferralFilter { residents: Some(vec![resident_id("r1")]), ..all() };
    assert_eq!(ids(Sites::All, about, first.clone()).await, ["a/f1", "b/f3"]);
    let nobody = ReferralFilter { residents: Some(vec![]), ..all() };
    assert_eq!(ids(Sites::All, nobody, first.clone()).await, Vec::<String>::new());
    let waiting = ReferralFilter { awaiting_review: true, ..all() };
    assert_eq!(ids(Sites::All, waiting, first).await, ["b/f3"]);
}

async fn words_of_a_part_are_replaced_and_open_for_their_resident_alone(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    for id in ["r1", "r2"] {
        change(store, "a", |set| set.create_resident(resident("a", id))).await.unwrap();
    }
    fill(store, "r1").await;
    change(store, "a", |set| set.put_referral_words(words("a", "f1", "r1", ReferralPart::Remark, 2)))
        .await
        .unwrap();
    change(store, "a", |set| set.put_referral_words(words("a", "f1", "r1", ReferralPart::Remark, 3)))
        .await
        .unwrap();
    let receipt = disclose(store, "a", &["r1"], FieldClass::ALL).await;
    let told = opened(store, &store.opener(&receipt).await.unwrap()).await;
    let expected = "health: planted-referral-secret-health-1\nname: planted-referral-secret-name-1\n\
                    note: planted-referral-secret-note-1\nremark: planted-referral-secret-remark-3";
    assert_eq!(told, expected);
    // Who has a receipt for somebody else, or for another class, opens nothing.
    let found = store.referral_words(&site_id("a"), &ReferralId::new("f1").unwrap()).await.unwrap();
    let other = disclose(store, "a", &["r2"], FieldClass::ALL).await;
    let other = store.opener(&other).await.unwrap();
    let contact = disclose(store, "a", &["r1"], &[FieldClass::Contact]).await;
    let contact = store.opener(&contact).await.unwrap();
    for (part, sealed) in &found {
        assert_eq!(other.open(sealed).map(drop), Err(crate::SealError::NotCovered), "{part:?}");
        assert_eq!(contact.open(sealed).is_ok(), part.class() == FieldClass::Contact, "{part:?}");
    }
}
