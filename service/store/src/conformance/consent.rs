//! The ledgers of consents and disclosures: what is in them comes back, and nobody changes it.

use linli_core::consent::{Basis, BodyKind, Consent, Disclosure, DisclosurePurpose, Signatory, Withdrawal};
use linli_core::id::{ConsentId, DisclosureId};

use super::*;
use crate::CommitError;

on_both!(
    what_was_said_and_what_went_out_comes_back,
    nobody_changes_the_ledgers,
    a_consent_is_taken_back_once
);

/// A consent of a resident of a site.
pub(super) fn consent(site: &str, resident: &str, id: &str) -> Consent {
    Consent {
        site: site_id(site),
        resident: resident_id(resident),
        id: ConsentId::new(id).unwrap(),
        body: BodyKind::HealthService,
        purpose: DisclosurePurpose::Referral,
        classes: vec![FieldClass::Contact, FieldClass::Health],
        granted: true,
        signatory: Signatory::Guardian,
        signed_by: Some(line("planted-signatory-secret")),
        form: line("同意书 2026-01"),
        given_at: at(0),
        expires_at: Some(at(900)),
        recorded_by: StaffId::new("steward-1").unwrap(),
        recorded_at: at(1),
        withdrawn: None,
    }
}

/// What went out of a resident of a site.
pub(super) fn disclosure(site: &str, resident: &str, id: &str) -> Disclosure {
    Disclosure {
        site: site_id(site),
        resident: resident_id(resident),
        id: DisclosureId::new(id).unwrap(),
        body: BodyKind::HealthService,
        recipient: line("社区卫生服务站"),
        purpose: DisclosurePurpose::Referral,
        basis: Basis::Consent,
        classes: vec![FieldClass::Health],
        consents: vec![ConsentId::new("c1").unwrap()],
        agreement: Some(line("协议 2026-7")),
        disclosed_at: at(10),
        disclosed_by: StaffId::new("steward-1").unwrap(),
        recorded_at: at(11),
    }
}

async fn what_was_said_and_what_went_out_comes_back(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    for id in ["r1", "r2"] {
        change(store, "a", |set| set.create_resident(resident("a", id))).await.unwrap();
    }
    let refused = Consent { granted: false, expires_at: None, signed_by: None, ..consent("a", "r1", "c2") };
    change(store, "a", |set| set.add_consent(consent("a", "r1", "c1")).add_consent(refused.clone()))
        .await
        .unwrap();
    let withdrawal = Withdrawal { at: at(20), by: StaffId::new("steward-2").unwrap() };
    let (site, r1) = (site_id("a"), resident_id("r1"));
    let c1 = ConsentId::new("c1").unwrap();
    change(store, "a", |set| set.withdraw_consent(&site, &r1, &c1, withdrawal.clone())).await.unwrap();
    let legal = Disclosure {
        basis: Basis::LegalDuty,
        consents: vec![],
        agreement: None,
        ..disclosure("a", "r2", "d2")
    };
    change(store, "a", |set| set.add_disclosure(disclosure("a", "r1", "d1")).add_disclosure(legal.clone()))
        .await
        .unwrap();

    let found = store.consents(&site, &[r1.clone(), resident_id("r2")]).await.unwrap();
    let receipt = disclose(store, "a", &["r1"], FieldClass::ALL).await;
    let opener = store.opener(&receipt).await.unwrap();
    let opened: Vec<Consent> = found.iter().map(|stored| stored.open(&opener).unwrap()).collect();
    assert_eq!(opened, [Consent { withdrawn: Some(withdrawal), ..consent("a", "r1", "c1") }, refused]);
    assert_eq!(found[0].consent.signed_by, None);
    assert_eq!(store.disclosures(&site, &[r1]).await.unwrap(), [disclosure("a", "r1", "d1")]);
    assert_eq!(store.disclosures(&site, &[resident_id("r2")]).await.unwrap(), [legal]);
}

async fn nobody_changes_the_ledgers(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
    change(store, "a", |set| set.add_consent(consent("a", "r1", "c1"))).await.unwrap();
    let withdrawal = Withdrawal { at: at(20), by: StaffId::new("steward-2").unwrap() };
    let c1 = ConsentId::new("c1").unwrap();
    change(store, "a", |set| {
        set.withdraw_consent(&site_id("a"), &resident_id("r1"), &c1, withdrawal)
            .add_disclosure(disclosure("a", "r1", "d1"))
    })
    .await
    .unwrap();
    for statement in [
        "UPDATE consent SET granted = 0",
        "UPDATE consent SET expires_at = 9000000000000000",
        "DELETE FROM consent",
        "UPDATE consent_withdrawal SET withdrawn_at = 0",
        "DELETE FROM consent_withdrawal",
        "UPDATE disclosure SET recipient = 'nobody'",
        "DELETE FROM disclosure",
    ] {
        assert!(!store.try_tamper(statement).await, "{statement}");
    }
}

async fn a_consent_is_taken_back_once(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
    change(store, "a", |set| set.add_consent(consent("a", "r1", "c1"))).await.unwrap();
    let back = async |minute| {
        let withdrawal = Withdrawal { at: at(minute), by: StaffId::new("steward-2").unwrap() };
        let c1 = ConsentId::new("c1").unwrap();
        change(store, "a", |set| set.withdraw_consent(&site_id("a"), &resident_id("r1"), &c1, withdrawal))
            .await
            .map(drop)
    };
    back(5).await.unwrap();
    assert_eq!(back(6).await, Err(CommitError::Exists { what: "withdrawal" }));
}
