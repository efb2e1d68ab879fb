//! Consents and disclosures: nothing goes out without a ground, a no is respected, and both ledgers keep what happened.

use linli_proto::v1;
use linli_proto::v1::{ConsentSignatory as Signatory, DisclosureBasis as Basis, FieldClass as Class};

use crate::harness::client::Client;
use crate::harness::estate::{at, elder, request_id};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

async fn on_both_backends(test: impl AsyncFn(&Client)) {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        test(&server.client()).await;
        server.stop().await;
    }
}

fn said(resident: &str, signatory: Signatory, granted: bool) -> v1::RecordConsentRequest {
    let decision = if granted { v1::ConsentDecision::Granted } else { v1::ConsentDecision::Refused };
    let consent = v1::Consent {
        body: v1::BodyKind::HealthService.into(),
        purpose: v1::DisclosurePurpose::Referral.into(),
        classes: vec![Class::Contact.into()],
        decision: decision.into(),
        signatory: signatory.into(),
        signed_by: "秦安然,本人".to_owned(),
        form: "健康转介同意书 2026-01".to_owned(),
        expire_time: granted.then(|| at("2027-01-01T00:00:00+08:00")),
        ..Default::default()
    };
    v1::RecordConsentRequest { parent: resident.to_owned(), consent: Some(consent), ..Default::default() }
}

/// A yes to a health service's being told how to reach somebody.
pub fn given_by(resident: &str, signatory: Signatory) -> v1::RecordConsentRequest {
    said(resident, signatory, true)
}

/// A no to the same.
pub fn refused_by(resident: &str, signatory: Signatory) -> v1::RecordConsentRequest {
    said(resident, signatory, false)
}

/// Telling a health service some classes, for a referral.
pub fn give(resident: &str, basis: Basis, classes: &[Class]) -> v1::RecordDisclosureRequest {
    let disclosure = v1::Disclosure {
        body: v1::BodyKind::HealthService.into(),
        recipient: "幸福里社区卫生服务站".to_owned(),
        purpose: v1::DisclosurePurpose::Referral.into(),
        basis: basis.into(),
        classes: classes.iter().map(|class| (*class).into()).collect(),
        ..Default::default()
    };
    v1::RecordDisclosureRequest {
        parent: resident.to_owned(),
        disclosure: Some(disclosure),
        ..Default::default()
    }
}

fn changed<T: Default>(message: Option<T>, change: impl FnOnce(&mut T)) -> Option<T> {
    let mut message = message.unwrap_or_default();
    change(&mut message);
    Some(message)
}

async fn consents(client: &Client, parent: &str) -> Vec<v1::Consent> {
    let list = v1::ListConsentsRequest { parent: parent.to_owned(), ..Default::default() };
    client.ask(list).await.unwrap().consents
}

async fn disclosures(client: &Client, parent: &str) -> Vec<v1::Disclosure> {
    let list = v1::ListDisclosuresRequest { parent: parent.to_owned(), ..Default::default() };
    client.ask(list).await.unwrap().disclosures
}

#[track_caller]
fn lacks(answer: Result<v1::Disclosure, tonic::Status>, missing: &str) {
    let refusal = refused(answer, "DISCLOSURE_REFUSED");
    assert_eq!(refusal.metadata, [("missing".to_owned(), missing.to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_out_has_a_ground_and_is_on_record() {
    on_both_backends(async |client| {
        let (site, _, resident) = client.estate("s1").await;
        let tell = |classes: &[Class]| give(&resident, Basis::Consent, classes);
        lacks(
            client.ask(tell(&[Class::Contact, Class::Health, Class::Family])).await,
            "contact=consent,health=consent,family=need",
        );
        let yes = v1::RecordConsentRequest {
            request_id: request_id(1),
            ..given_by(&resident, Signatory::Resident)
        };
        let consent = client.ask(yes.clone()).await.unwrap();
        assert_eq!(client.ask(yes).await.unwrap(), consent, "a repetition records nothing more");
        assert!(consent.in_force && consent.signed_by.starts_with("秦安然"), "{consent:?}");
        lacks(client.ask(tell(&[Class::Contact, Class::Health])).await, "health=consent");
        let out = client.ask(tell(&[Class::Contact])).await.unwrap();
        assert_eq!(out.consents, std::slice::from_ref(&consent.name));
        assert_eq!(out.body_name.unwrap().zh, "社区卫生服务机构");

        // What was taken back opens nothing more; what went out stays.
        let back = v1::WithdrawConsentRequest { name: consent.name.clone(), ..Default::default() };
        let over = client.ask(back.clone()).await.unwrap();
        assert!(!over.in_force && over.withdraw_time.is_some() && over.ask_again_time.is_some());
        refused(client.ask(back).await, "CONSENT_STATE");
        lacks(client.ask(tell(&[Class::Contact])).await, "contact=refused");
        // A life in danger needs no consent, but a body that helps.
        let rescue = |body: v1::BodyKind| v1::RecordDisclosureRequest {
            disclosure: changed(give(&resident, Basis::Danger, &[Class::Contact]).disclosure, |out| {
                out.body = body.into();
                out.purpose = v1::DisclosurePurpose::Rescue.into();
            }),
            ..give(&resident, Basis::Danger, &[])
        };
        lacks(client.ask(rescue(v1::BodyKind::Charity)).await, "contact=need");
        let danger = client.ask(rescue(v1::BodyKind::Rescue)).await.unwrap();
        lacks(client.ask(give(&resident, Basis::Danger, &[Class::Contact])).await, "contact=basis");

        let names = |all: Vec<v1::Disclosure>| all.into_iter().map(|out| out.name).collect::<Vec<_>>();
        let went_out = names(disclosures(client, &resident).await);
        assert_eq!(went_out, [out.name, danger.name]);
        assert_eq!(names(disclosures(client, &format!("{site}/residents/-")).await), went_out);
        let listed = consents(client, &format!("{site}/residents/-")).await;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].signed_by, "", "who signed is in no list");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_said_no_is_not_asked_again_for_six_months() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, resident) = client.estate("s1").await;
    let no = client.ask(refused_by(&resident, Signatory::Resident)).await.unwrap();
    assert!(!no.in_force && no.ask_again_time.is_some());
    let yes = || given_by(&resident, Signatory::Resident);
    refused(client.ask(yes()).await, "CONSENT_STATE");
    refused(
        client.ask(v1::WithdrawConsentRequest { name: no.name, ..Default::default() }).await,
        "CONSENT_STATE",
    );
    lacks(client.ask(give(&resident, Basis::Consent, &[Class::Contact])).await, "contact=refused");
    let unasked = client.ask(v1::RecordConsentRequest { volunteered: true, ..yes() }).await.unwrap();
    assert!(unasked.in_force, "the last word counts");
    client.ask(give(&resident, Basis::Consent, &[Class::Contact])).await.unwrap();
    client.ask(refused_by(&resident, Signatory::Resident)).await.unwrap();
    client.advance("2026-09-14T09:00:00+08:00").await;
    refused(client.ask(yes()).await, "CONSENT_STATE");
    client.advance("2026-09-15T09:01:00+08:00").await;
    client.ask(yes()).await.unwrap();
    client.advance("2027-01-01T00:00:00+08:00").await;
    lacks(client.ask(give(&resident, Basis::Consent, &[Class::Contact])).await, "contact=consent");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_no_law_binds_needs_an_agreement() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, resident) = client.estate("s1").await;
    let yes = given_by(&resident, Signatory::Agent);
    let consent = changed(yes.consent.clone(), |consent| {
        consent.body = v1::BodyKind::Charity.into();
        consent.purpose = v1::DisclosurePurpose::Greeting.into();
    });
    client.ask(v1::RecordConsentRequest { consent, ..yes }).await.unwrap();
    let tell = |agreement: &str| v1::RecordDisclosureRequest {
        disclosure: changed(give(&resident, Basis::Consent, &[Class::Contact]).disclosure, |out| {
            out.body = v1::BodyKind::Charity.into();
            out.purpose = v1::DisclosurePurpose::Greeting.into();
            out.agreement = agreement.to_owned();
        }),
        ..give(&resident, Basis::Consent, &[])
    };
    lacks(client.ask(tell("")).await, "contact=agreement");
    assert_eq!(client.ask(tell("协议 2026-7")).await.unwrap().agreement, "协议 2026-7");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_whole() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, resident) = client.estate("s1").await;
    let yes = given_by(&resident, Signatory::Resident);
    let with = |change: fn(&mut v1::Consent)| v1::RecordConsentRequest {
        consent: changed(yes.consent.clone(), change),
        ..yes.clone()
    };
    let empty = v1::RecordConsentRequest { parent: resident.clone(), ..Default::default() };
    invalid(
        client.ask(empty).await,
        &[
            "consent.body",
            "consent.purpose",
            "consent.classes",
            "consent.decision",
            "consent.signatory",
            "consent.signed_by",
            "consent.form",
        ],
    );
    for (request, field) in [
        (with(|consent| consent.classes = vec![Class::Family.into()]), "consent.classes[0]"),
        (with(|consent| consent.classes = vec![Class::Contact.into(); 2]), "consent.classes[1]"),
        (with(|consent| consent.expire_time = None), "consent.expire_time"),
        (with(|consent| consent.decision = v1::ConsentDecision::Refused.into()), "consent.expire_time"),
        (with(|consent| consent.expire_time = Some(at("2030-01-01T00:00:00+08:00"))), "consent.expire_time"),
        (with(|consent| consent.expire_time = Some(at("2026-01-01T00:00:00+08:00"))), "consent.expire_time"),
        (with(|consent| consent.sign_time = Some(at("2026-03-16T09:00:01+08:00"))), "consent.sign_time"),
        (with(|consent| consent.body = 99), "consent.body"),
    ] {
        invalid(client.ask(request).await, &[field]);
    }
    let give = give(&resident, Basis::Danger, &[Class::Contact]);
    let company = changed(give.disclosure.clone(), |out| out.body = v1::BodyKind::Company.into());
    invalid(
        client.ask(v1::RecordDisclosureRequest { disclosure: company, ..give.clone() }).await,
        &["disclosure.body"],
    );
    let ahead =
        changed(give.disclosure.clone(), |out| out.disclose_time = Some(at("2026-03-16T09:00:01+08:00")));
    invalid(
        client.ask(v1::RecordDisclosureRequest { disclosure: ahead, ..give }).await,
        &["disclosure.disclose_time"],
    );
    let nobody = "sites/s1/residents/nobody";
    refused(client.ask(given_by(nobody, Signatory::Resident)).await, "NOT_FOUND");
    let unknown =
        v1::WithdrawConsentRequest { name: format!("{resident}/consents/none"), ..Default::default() };
    refused(client.ask(unknown).await, "NOT_FOUND");
    assert_eq!(consents(&client, &resident).await.len(), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ledgers_are_the_persons_and_outlive_the_file() {
    on_both_backends(async |client| {
        let (site, dwelling, resident) = client.estate("s1").await;
        let twin = v1::CreateResidentRequest {
            parent: site.clone(),
            resident: Some(elder(&dwelling, "秦安然")),
            confirmed_not_duplicate: true,
            ..Default::default()
        };
        let twin = client.ask(twin).await.unwrap().name;
        client.ask(given_by(&twin, Signatory::Resident)).await.unwrap();
        let merge = v1::MergeResidentsRequest {
            name: resident.clone(),
            duplicate: twin.clone(),
            reason: "同一人".to_owned(),
            ..Default::default()
        };
        client.ask(merge).await.unwrap();
        // What was said under either name was said by the one person.
        client.ask(give(&resident, Basis::Consent, &[Class::Contact])).await.unwrap();
        assert_eq!(consents(client, &resident).await.len(), 1);
        let own = v1::ExportOwnFileRequest { name: resident.clone() };
        let own = client.purposeful().ask(own).await.unwrap();
        let section = |code: &str| own.sections.iter().find(|section| section.code == code).unwrap().clone();
        assert_eq!((section("consents").entries.len(), section("disclosures").entries.len()), (1, 1));
        assert!(format!("{:?}", section("consents")).contains("秦安然,本人"), "{own:?}");
        client.ask(v1::EraseFileRequest { name: resident.clone(), ..Default::default() }).await.unwrap();
        refused(client.ask(given_by(&resident, Signatory::Resident)).await, "FILE_STATE");
        assert_eq!(disclosures(client, &resident).await.len(), 1);
    })
    .await;
}
