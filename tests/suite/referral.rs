//! Referrals: only what everything allows goes to a body, once, and what comes back is told truthfully whatever order it comes in.

use linli_core::id::{BodyId, ReferralId, ResidentId, SiteId};
use linli_core::referral::ReferralState;
use linli_proto::v1;
use linli_proto::v1::{
    BodyKind, DisclosedField as Field, DisclosureBasis as Basis, DisclosurePurpose as Purpose,
    FieldClass as Class, ReferralDecision as Decision, ReferralState as State,
};
use linli_store::{AuditDraft, ChangeSet, FieldClasses, Scope};

use crate::community_body::{agreed, enter, station};
use crate::harness::client::Client;
use crate::harness::estate::{at, elder, line, mask, request_id, shown};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

async fn on_both_backends(test: impl AsyncFn(&Server, &Client)) {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        test(&server, &server.client()).await;
        server.stop().await;
    }
}

/// A health station that may be told name and condition.
fn clinic() -> v1::CommunityBody {
    v1::CommunityBody {
        agreement: Some(agreed(&[Field::Name, Field::Health], &[Purpose::Referral])),
        ..station()
    }
}

/// A yes to a kind of body's being told some classes for a purpose.
pub fn yes(resident: &str, body: BodyKind, purpose: Purpose, classes: &[Class]) -> v1::RecordConsentRequest {
    let consent = v1::Consent {
        body: body.into(),
        purpose: purpose.into(),
        classes: classes.iter().map(|class| (*class).into()).collect(),
        decision: v1::ConsentDecision::Granted.into(),
        signatory: v1::ConsentSignatory::Resident.into(),
        signed_by: "秦安然,本人".to_owned(),
        form: "健康转介同意书 2026-01".to_owned(),
        expire_time: Some(at("2027-01-01T00:00:00+08:00")),
        ..Default::default()
    };
    v1::RecordConsentRequest { parent: resident.to_owned(), consent: Some(consent), ..Default::default() }
}

/// A doctor's visit, asked for by hand on the ground of consent.
fn asked(resident: &str, body: &str, fields: &[Field]) -> v1::Referral {
    v1::Referral {
        resident: resident.to_owned(),
        body: body.to_owned(),
        purpose: Purpose::Referral.into(),
        basis: Basis::Consent.into(),
        matter: v1::ReferralMatter::MedicalVisit.into(),
        urgency: v1::RequestUrgency::Routine.into(),
        fields: fields.iter().map(|field| (*field).into()).collect(),
        note: "请上门看一次".to_owned(),
        handed_over: true,
        ..Default::default()
    }
}

/// An ambulance for somebody whom nobody can ask.
fn danger(resident: &str, body: &str) -> v1::Referral {
    v1::Referral {
        purpose: Purpose::Rescue.into(),
        basis: Basis::Danger.into(),
        matter: v1::ReferralMatter::NotReached.into(),
        urgency: v1::RequestUrgency::Emergency.into(),
        reason: "门内有呼救声,无人应门".to_owned(),
        ..asked(resident, body, &[Field::Name, Field::Address])
    }
}

fn hand(referral: &v1::Referral) -> v1::CreateReferralRequest {
    let parent = referral.resident.split('/').take(2).collect::<Vec<_>>().join("/");
    v1::CreateReferralRequest { parent, referral: Some(referral.clone()), ..Default::default() }
}

fn answer(name: &str, decision: Decision) -> v1::RecordAcknowledgementRequest {
    let decision = decision.into();
    v1::RecordAcknowledgementRequest { name: name.to_owned(), decision, ..Default::default() }
}

fn close(name: &str) -> v1::CloseReferralRequest {
    v1::CloseReferralRequest { name: name.to_owned(), ..Default::default() }
}

fn revoke(name: &str) -> v1::RevokeReferralRequest {
    v1::RevokeReferralRequest { name: name.to_owned(), ..Default::default() }
}

fn get(name: &str) -> v1::GetReferralRequest {
    v1::GetReferralRequest { name: name.to_owned(), ..Default::default() }
}

fn full(name: &str) -> v1::GetReferralRequest {
    v1::GetReferralRequest { name: name.to_owned(), view: v1::View::Full.into() }
}

/// A site with an elder who consented to a clinic's being told, and the clinic: names of resident and body.
async fn estate(client: &Client) -> (String, String) {
    let (site, dwelling, _) = client.estate("s1").await;
    let person = v1::Resident {
        phone: "13900004321".to_owned(),
        health_note: "左膝旧伤".to_owned(),
        ..elder(&dwelling, "霜降白鹭")
    };
    let resident = client.resident(person).await.name;
    let body = enter(client, "clinic", v1::CommunityBody { sites: vec![site], ..clinic() }).await;
    let classes = [Class::Contact, Class::Health];
    client.ask(yes(&resident, BodyKind::HealthService, Purpose::Referral, &classes)).await.unwrap();
    (resident, body)
}

/// A referral that was taken back; for whoever needs one that is over.
pub async fn revoked(client: &Client, resident: &str) -> String {
    let body =
        enter(client, "rescuers", v1::CommunityBody { kind: BodyKind::Rescue.into(), ..station() }).await;
    let name = client.ask(hand(&danger(resident, &body))).await.unwrap().name;
    client.ask(revoke(&name)).await.unwrap().name
}

#[track_caller]
fn lacks(answer: Result<v1::Referral, tonic::Status>, missing: &str) {
    let refusal = refused(answer, "DISCLOSURE_REFUSED");
    assert_eq!(refusal.metadata, [("missing".to_owned(), missing.to_owned())]);
}

async fn disclosures(client: &Client, resident: &str) -> Vec<v1::Disclosure> {
    let list = v1::ListDisclosuresRequest { parent: resident.to_owned(), ..Default::default() };
    client.ask(list).await.unwrap().disclosures
}

async fn listed(client: &Client, list: v1::ListReferralsRequest) -> Vec<String> {
    client.ask(list).await.unwrap().referrals.into_iter().map(|referral| referral.name).collect()
}

fn of(site: &str) -> v1::ListReferralsRequest {
    v1::ListReferralsRequest { parent: site.to_owned(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_everything_allows_goes_and_the_refusal_says_what_it_takes() {
    on_both_backends(async |_, client| {
        let (site, dwelling, _) = client.estate("s1").await;
        let person =
            v1::Resident { health_note: "左膝旧伤".to_owned(), ..elder(&dwelling, "霜降白鹭") };
        let resident = client.resident(person).await.name;
        let body = enter(client, "clinic", station()).await;
        let tell = |fields: &[Field]| hand(&asked(&resident, &body, fields));
        let all = [Field::Name, Field::Health, Field::Family];
        lacks(client.ask(tell(&all)).await, "name=consent,health=consent,family=need+consent");
        let classes = [Class::Contact];
        client.ask(yes(&resident, BodyKind::HealthService, Purpose::Referral, &classes)).await.unwrap();
        lacks(client.ask(tell(&[Field::Name, Field::Health])).await, "health=consent");
        // What was signed with the body binds it, although a law does already.
        let sign = async |agreement: Option<v1::BodyAgreement>| {
            let body = v1::CommunityBody { name: body.clone(), agreement, ..Default::default() };
            let change = v1::UpdateBodyRequest {
                body: Some(body),
                update_mask: mask(&["agreement"]),
                ..Default::default()
            };
            client.ask(change).await.unwrap();
        };
        sign(Some(agreed(&[Field::Health], &[Purpose::Greeting]))).await;
        lacks(
            client.ask(tell(&[Field::Name, Field::Health])).await,
            "name=agreement_field+agreement_purpose,health=consent+agreement_purpose",
        );
        let over = v1::BodyAgreement {
            end_date: "2026-03-16".to_owned(),
            ..agreed(&[Field::Name], &[Purpose::Referral])
        };
        sign(Some(over)).await;
        lacks(client.ask(tell(&[Field::Name])).await, "name=agreement_term");
        // A body that no law binds is told nothing without one.
        let carers = v1::CommunityBody { kind: BodyKind::CareProvider.into(), ..station() };
        let carers = enter(client, "carers", carers).await;
        client.ask(yes(&resident, BodyKind::CareProvider, Purpose::Referral, &classes)).await.unwrap();
        lacks(client.ask(hand(&asked(&resident, &carers, &[Field::Name]))).await, "name=agreement");
        // Nothing of all this left a trace in the ledger, or a referral.
        assert_eq!(disclosures(client, &resident).await.len(), 0);
        assert_eq!(listed(client, of(&site)).await.len(), 0);
        sign(Some(agreed(&[Field::Name], &[Purpose::Referral]))).await;
        let sent = client.ask(tell(&[Field::Name])).await.unwrap();
        assert_eq!((sent.state(), sent.matter_name.unwrap().zh.as_str()), (State::Sent, "上门诊疗"));
        // Consents are not all: what was consented to ends with them.
        client.ask(crate::consent::refused_by(&resident, v1::ConsentSignatory::Resident)).await.unwrap();
        lacks(client.ask(tell(&[Field::Name])).await, "name=refused");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_is_on_record_and_seen_for_a_purpose_alone() {
    on_both_backends(async |_, client| {
        let (resident, body) = estate(client).await;
        let new = v1::CreateReferralRequest {
            request_id: request_id(1),
            ..hand(&asked(&resident, &body, &[Field::Health, Field::Name]))
        };
        let sent = client.ask(new.clone()).await.unwrap();
        assert_eq!(client.ask(new).await.unwrap(), sent, "a repetition hands nothing over again");
        assert!(sent.values.is_empty() && sent.note.is_empty() && sent.handed_over, "{sent:?}");
        let [out] = disclosures(client, &resident).await.try_into().unwrap();
        assert_eq!(
            (out.name.as_str(), out.recipient.as_str()),
            (sent.disclosure.as_str(), "幸福里社区卫生服务站")
        );
        assert_eq!((out.agreement.as_str(), out.consents.len()), ("协议 2026-7", 1));
        assert_eq!(out.classes, [Class::Contact, Class::Health].map(i32::from));

        refused(client.ask(full(&sent.name)).await, "PURPOSE_REQUIRED");
        assert_eq!(client.ask(get(&sent.name)).await.unwrap(), sent);
        let seen = client.purposeful().ask(full(&sent.name)).await.unwrap();
        let values: Vec<_> = seen.values.iter().map(|value| (value.field(), value.value.as_str())).collect();
        assert_eq!(values, [(Field::Health, "左膝旧伤"), (Field::Name, "霜降白鹭")]);
        assert_eq!(seen.note, "请上门看一次");
        // Values are those of the day, whatever the file says later.
        let change = v1::UpdateResidentRequest {
            resident: Some(v1::Resident {
                name: resident.clone(),
                health_note: "已痊愈".to_owned(),
                ..Default::default()
            }),
            update_mask: mask(&["health_note"]),
            ..Default::default()
        };
        client.ask(change).await.unwrap();
        assert_eq!(client.purposeful().ask(full(&sent.name)).await.unwrap().values, seen.values);
        // What the file does not hold cannot go.
        let carers = v1::CommunityBody { kind: BodyKind::NeighbourhoodCommittee.into(), ..station() };
        let committee = enter(client, "committee", carers).await;
        let classes = [Class::Contact, Class::Family];
        let consent = yes(&resident, BodyKind::NeighbourhoodCommittee, Purpose::Referral, &classes);
        client.ask(consent).await.unwrap();
        let family = asked(&resident, &committee, &[Field::Name, Field::Family]);
        invalid(client.ask(hand(&family)).await, &["referral.fields[1]"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_any_order_and_are_told_truthfully() {
    on_both_backends(async |_, client| {
        let (resident, body) = estate(client).await;
        let new = async || client.ask(hand(&asked(&resident, &body, &[Field::Name]))).await.unwrap().name;
        let name = new().await;
        refused(client.ask(close(&name)).await, "REFERRAL_STATE");
        let accepted = v1::RecordAcknowledgementRequest {
            remark: "周三上午".to_owned(),
            external_reference: "HX-17".to_owned(),
            ..answer(&name, Decision::Accepted)
        };
        let first = client.ask(accepted.clone()).await.unwrap();
        assert_eq!((first.state(), first.external_reference.as_str()), (State::Accepted, "HX-17"));
        assert_eq!(client.ask(accepted).await.unwrap(), first, "the same answer again changes nothing");
        let seen = client.purposeful().ask(full(&name)).await.unwrap();
        assert_eq!(seen.answer.unwrap().remark, "周三上午");
        // An older answer that comes late changes nothing; a later one does.
        client.advance("2026-03-16T10:00:00+08:00").await;
        let late = v1::RecordAcknowledgementRequest {
            decide_time: Some(at("2026-03-16T09:30:00+08:00")),
            ..answer(&name, Decision::Rejected)
        };
        let now = client.ask(answer(&name, Decision::Rejected)).await.unwrap();
        assert_eq!(now.state(), State::Rejected);
        let older = v1::RecordAcknowledgementRequest {
            decide_time: late.decide_time,
            ..answer(&name, Decision::Accepted)
        };
        assert_eq!(client.ask(older).await.unwrap(), now);
        let closed = client.ask(close(&name)).await.unwrap();
        assert!(closed.state() == State::Closed && closed.end_time.is_some(), "{closed:?}");
        let noted = client.ask(answer(&name, Decision::Accepted)).await.unwrap();
        assert_eq!(noted.state(), State::Closed, "what is over stays so");
        assert_eq!(noted.answer.unwrap().decision(), Decision::Accepted, "and the answer is known");
        refused(client.ask(revoke(&name)).await, "REFERRAL_STATE");

        let name = new().await;
        let taken_back = client.ask(revoke(&name)).await.unwrap();
        assert!(taken_back.tell_body && taken_back.state() == State::Revoked, "{taken_back:?}");
        let noted = client.ask(answer(&name, Decision::Accepted)).await.unwrap();
        assert_eq!((noted.state(), noted.answer.is_some()), (State::Revoked, true));
        assert_eq!(client.ask(answer(&name, Decision::Accepted)).await.unwrap(), noted);

        let name = new().await;
        assert_eq!(client.ask(answer(&name, Decision::Closed)).await.unwrap().state(), State::Closed);
        let tomorrow = v1::RecordAcknowledgementRequest {
            decide_time: Some(at("2026-03-17T09:00:00+08:00")),
            ..answer(&name, Decision::Closed)
        };
        invalid(client.ask(tomorrow).await, &["decide_time"]);
        let before = v1::RecordAcknowledgementRequest {
            decide_time: Some(at("2026-03-16T09:59:00+08:00")),
            ..answer(&name, Decision::Closed)
        };
        invalid(client.ask(before).await, &["decide_time"]);
        let stale = v1::RevokeReferralRequest { etag: "v9".to_owned(), ..revoke(&new().await) };
        refused(client.ask(stale).await, "ETAG_MISMATCH");
    })
    .await;
}

/// Puts a referral back into the queue of its body, as if nothing of it had gone yet.
async fn queue(server: &Server, name: &str) {
    let (site, id) = name.trim_start_matches("sites/").split_once("/referrals/").unwrap();
    let (site, id) = (SiteId::new(site).unwrap(), ReferralId::new(id).unwrap());
    let store = &server.app.store;
    let mut referral = store.referral(&site, &id).await.unwrap().unwrap();
    referral.state = ReferralState::Queued;
    referral.queued_at = Some(referral.created_at);
    (referral.disclosure, referral.sent_at, referral.by_hand) = (None, None, false);
    referral.version += 1;
    let scope = Scope::from(&site);
    let draft = AuditDraft {
        principal: "test".into(),
        method: "test".into(),
        resource: name.to_owned(),
        subjects: Vec::new(),
        classes: FieldClasses::NONE,
        purpose: String::new(),
        decision: linli_store::Decision::Allowed,
        request_id: String::new(),
        care_time: referral.created_at,
        system_time: referral.created_at,
    };
    let mut changes = ChangeSet::new(scope.clone(), store.authz_epoch(&scope).await.unwrap().unwrap(), draft);
    changes.put_referral(referral);
    store.commit("test", changes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_is_taken_back_never_goes() {
    on_both_backends(async |server, client| {
        let (resident, body) = estate(client).await;
        let name = client.ask(hand(&asked(&resident, &body, &[Field::Name]))).await.unwrap().name;
        queue(server, &name).await;
        let store = &server.app.store;
        let clinic = [BodyId::new("clinic").unwrap()];
        assert_eq!(store.queued_bodies(&clinic).await.unwrap(), clinic);
        refused(client.ask(answer(&name, Decision::Accepted)).await, "REFERRAL_STATE");
        let over = client.ask(revoke(&name)).await.unwrap();
        assert!(over.state() == State::Revoked && !over.tell_body, "{over:?}");
        assert_eq!(store.queued_bodies(&clinic).await.unwrap(), []);
        assert_eq!(store.queued_referrals(&clinic[0], 10).await.unwrap(), []);
        refused(client.ask(answer(&name, Decision::Accepted)).await, "REFERRAL_STATE");
        // A body whose channel the configuration does not know is served by hand.
        let by_channel = v1::Referral { handed_over: false, ..asked(&resident, &body, &[Field::Name]) };
        invalid(client.ask(hand(&by_channel)).await, &["referral.handed_over"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_asked_after_when_they_do_not_answer() {
    on_both_backends(async |_, client| {
        let (resident, body) = estate(client).await;
        let owed = async || {
            let found = client.obligations(&resident, "2026-03-01", "2026-06-01").await;
            let own = found.iter().filter(|owed| owed.standard.starts_with("standards/referral."));
            own.map(|owed| format!("{} {}", line(owed), shown(owed.due_time.as_ref()))).collect::<Vec<_>>()
        };
        let new = async || client.ask(hand(&asked(&resident, &body, &[Field::Name]))).await.unwrap().name;
        let (first, second) = (new().await, new().await);
        let open = "referral.acknowledge open 0/1 2026-03-19T23:59".to_owned();
        assert_eq!(owed().await, [open.clone(), open]);
        client.advance("2026-03-17T09:00:00+08:00").await;
        client.ask(answer(&first, Decision::Accepted)).await.unwrap();
        let found = owed().await;
        let met: Vec<_> = found.iter().filter(|line| line.contains(" met 1/1")).collect();
        assert_eq!(met, ["referral.acknowledge met 1/1 2026-03-19T23:59"], "{found:?}");
        assert!(
            found.iter().any(|line| line.starts_with("referral.close ") && line.contains("2026-04-16")),
            "{found:?}"
        );
        client.advance("2026-03-20T09:00:00+08:00").await;
        let found = owed().await;
        assert!(found.contains(&"referral.acknowledge missed 0/1 2026-03-19T23:59".to_owned()), "{found:?}");
        // Whoever takes it back asks no longer; whoever closes it has it met.
        client.ask(revoke(&second)).await.unwrap();
        client.ask(close(&first)).await.unwrap();
        let found = owed().await;
        assert!(found.iter().any(|line| line.starts_with("referral.acknowledge met_late")), "{found:?}");
        assert!(found.iter().any(|line| line.starts_with("referral.close met 1/1")), "{found:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_danger_needs_a_reason_and_a_second_person() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let (resident, _) = estate(&client).await;
    let deputy = issuer.enter(&server, "lin", vec![grant(v1::StaffRole::Deputy, &["s1"])]).await;
    let body =
        enter(&client, "rescuers", v1::CommunityBody { kind: BodyKind::Rescue.into(), ..station() }).await;
    let unexplained = v1::Referral { reason: String::new(), ..danger(&resident, &body) };
    invalid(client.ask(hand(&unexplained)).await, &["referral.reason"]);
    let needless = v1::Referral { reason: "x".to_owned(), ..asked(&resident, &body, &[Field::Name]) };
    invalid(client.ask(hand(&needless)).await, &["referral.reason"]);
    // Not even a danger lets go what nobody needs, or carries another purpose.
    let number = v1::Referral { fields: vec![Field::BirthDate.into()], ..danger(&resident, &body) };
    lacks(client.ask(hand(&number)).await, "birth_date=need");
    let day_by_day = v1::Referral { purpose: Purpose::Referral.into(), ..danger(&resident, "bodies/clinic") };
    lacks(client.ask(hand(&day_by_day)).await, "name=basis,address=basis");

    let taken = client.ask(hand(&danger(&resident, &body))).await.unwrap();
    let waiting = v1::ListReferralsRequest { awaiting_review: true, ..of("sites/s1") };
    assert_eq!(listed(&client, waiting.clone()).await, std::slice::from_ref(&taken.name));
    assert_eq!(listed(&deputy, waiting.clone()).await, std::slice::from_ref(&taken.name));
    let [out] = disclosures(&client, &resident).await.try_into().unwrap();
    assert_eq!((out.basis(), out.consents.len()), (Basis::Danger, 0));
    let review = v1::ReviewReferralRequest {
        name: taken.name.clone(),
        justified: true,
        finding: "确有呼救,处置得当".to_owned(),
        ..Default::default()
    };
    refused(client.ask(review.clone()).await, "FOUR_EYES");
    invalid(
        deputy.ask(v1::ReviewReferralRequest { finding: String::new(), ..review.clone() }).await,
        &["finding"],
    );
    let reviewed = deputy.ask(review.clone()).await.unwrap().review.unwrap();
    assert!(reviewed.justified && reviewed.staff == "staff/lin", "{reviewed:?}");
    refused(deputy.ask(review).await, "REFERRAL_STATE");
    assert_eq!(listed(&client, waiting).await.len(), 0);
    let seen = deputy.purposeful().ask(full(&taken.name)).await.unwrap();
    assert_eq!(seen.reason, "门内有呼救声,无人应门");
    assert_eq!(seen.review.unwrap().finding, "确有呼救,处置得当");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn referrals_of_protected_files_are_not_there_and_other_systems_answer_without_seeing() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let (resident, body) = estate(&client).await;
    let name = client.ask(hand(&asked(&resident, &body, &[Field::Name]))).await.unwrap().name;
    let steward = issuer.enter(&server, "li", vec![grant(v1::StaffRole::Member, &["s1"])]).await;
    issuer.enter(&server, "lin", vec![grant(v1::StaffRole::Deputy, &["s1"])]).await;
    let system = issuer.enter(&server, "his", vec![grant(v1::StaffRole::Integration, &["s1"])]).await;
    refused(system.ask(get(&name)).await, "PERMISSION_DENIED");
    let told = system.ask(answer(&name, Decision::Accepted)).await.unwrap();
    assert_eq!(told.answer.unwrap().recorder, "staff/his");
    assert_eq!(listed(&steward, of("sites/s1")).await, std::slice::from_ref(&name));

    let protect = v1::SetProtectedRequest {
        name: resident.clone(),
        protected_for: vec!["staff/lin".to_owned()],
        ..Default::default()
    };
    client.ask(protect).await.unwrap();
    let absent = "sites/s1/referrals/00000000-0000-7000-8000-000000000000";
    for caller in [&steward, &system] {
        let hidden = refused(caller.ask(answer(&name, Decision::Closed)).await, "NOT_FOUND");
        let none = refused(caller.ask(answer(absent, Decision::Closed)).await, "NOT_FOUND");
        assert_eq!(hidden.message, none.message);
    }
    refused(steward.ask(get(&name)).await, "NOT_FOUND");
    refused(steward.ask(revoke(&name)).await, "NOT_FOUND");
    assert_eq!(listed(&steward, of("sites/s1")).await.len(), 0);
    let about = v1::ListReferralsRequest { resident: resident.clone(), ..of("sites/s1") };
    refused(steward.ask(about).await, "NOT_FOUND");
    refused(steward.ask(hand(&asked(&resident, &body, &[Field::Name]))).await, "NOT_FOUND");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_run_over_sites_and_find_what_is_asked_for() {
    on_both_backends(async |_, client| {
        let (resident, body) = estate(client).await;
        let (_, _, other) = client.estate("s2").await;
        let rescuers =
            enter(client, "rescuers", v1::CommunityBody { kind: BodyKind::Rescue.into(), ..station() }).await;
        let mut names = Vec::new();
        for _ in 0..3 {
            names.push(client.ask(hand(&asked(&resident, &body, &[Field::Name]))).await.unwrap().name);
        }
        client.ask(revoke(&names[1])).await.unwrap();
        names.push(client.ask(hand(&danger(&other, &rescuers))).await.unwrap().name);
        let mut found = Vec::new();
        let mut list = v1::ListReferralsRequest { page_size: 1, ..of("sites/-") };
        loop {
            let page = client.ask(list.clone()).await.unwrap();
            found.extend(page.referrals.into_iter().map(|referral| referral.name));
            if page.next_page_token.is_empty() {
                break;
            }
            list.page_token = page.next_page_token;
        }
        assert_eq!(found, names);
        let states = vec![State::Revoked.into()];
        assert_eq!(listed(client, v1::ListReferralsRequest { states, ..of("sites/-") }).await, names[1..2]);
        let to = v1::ListReferralsRequest { body: rescuers, ..of("sites/-") };
        assert_eq!(listed(client, to).await, names[3..]);
        let about = v1::ListReferralsRequest { resident: resident.clone(), ..of("sites/s1") };
        assert_eq!(listed(client, about.clone()).await, names[..3]);
        let parent = "sites/-".to_owned();
        invalid(client.ask(v1::ListReferralsRequest { parent, ..about.clone() }).await, &["resident"]);
        let parent = "sites/s2".to_owned();
        invalid(client.ask(v1::ListReferralsRequest { parent, ..about }).await, &["resident"]);
        // A body that serves another site, or none any more, is handed nothing.
        invalid(client.ask(hand(&asked(&other, &body, &[Field::Name]))).await, &["referral.body"]);
        invalid(client.ask(hand(&asked(&other, "bodies/nobody", &[Field::Name]))).await, &["referral.body"]);
        invalid(client.ask(v1::CreateReferralRequest::default()).await, &["parent", "referral"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_on_is_the_persons_and_its_words_go_with_them() {
    on_both_backends(async |server, client| {
        let (resident, body) = estate(client).await;
        let dwelling = "sites/s1/dwellings/d501";
        let name =
            client.ask(hand(&asked(&resident, &body, &[Field::Name, Field::Health]))).await.unwrap().name;
        let survivor = client.resident(elder(dwelling, "霜降白鹭")).await.name;
        let merge = v1::MergeResidentsRequest {
            name: survivor.clone(),
            duplicate: resident.clone(),
            reason: "同一人".to_owned(),
            ..Default::default()
        };
        client.ask(merge).await.unwrap();
        let about = v1::ListReferralsRequest { resident: survivor.clone(), ..of("sites/s1") };
        assert_eq!(
            listed(client, about).await,
            std::slice::from_ref(&name),
            "either name stands for the one person"
        );
        client.ask(answer(&name, Decision::Accepted)).await.unwrap();
        let own = client.purposeful().ask(v1::ExportOwnFileRequest { name: survivor.clone() }).await.unwrap();
        let section = own.sections.iter().find(|section| section.code == "referrals").unwrap();
        let told = format!("{section:?}");
        assert_eq!(section.entries.len(), 1, "{told}");
        for word in ["幸福里社区卫生服务站", "上门诊疗", "左膝旧伤", "请上门看一次", "受理"]
        {
            assert!(told.contains(word), "{word} in {told}");
        }
        client.ask(v1::EraseFileRequest { name: survivor.clone(), ..Default::default() }).await.unwrap();
        refused(client.ask(hand(&asked(&survivor, &body, &[Field::Name]))).await, "FILE_STATE");
        // That something was handed on is still known, and what the body says of it; no word of what.
        let seen = client.purposeful().ask(full(&name)).await.unwrap();
        assert!(seen.values.is_empty() && seen.note.is_empty(), "{seen:?}");
        let said = v1::RecordAcknowledgementRequest {
            remark: "已办结".to_owned(),
            ..answer(&name, Decision::Closed)
        };
        assert_eq!(client.ask(said).await.unwrap().state(), State::Closed);
        assert_eq!(client.purposeful().ask(full(&name)).await.unwrap().answer.unwrap().remark, "");
        let (_, id) = resident.split_once("/residents/").unwrap();
        let (site, id) = (SiteId::new("s1").unwrap(), ResidentId::new(id).unwrap());
        assert_eq!(server.app.store.disclosures(&site, &[id]).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_child_the_guardian_speaks() {
    let server = Server::start().await;
    let client = server.client();
    let (_, dwelling, _) = client.estate("s1").await;
    let body = enter(&client, "clinic", clinic()).await;
    let child = v1::CreateResidentRequest {
        parent: "sites/s1".to_owned(),
        resident: Some(v1::Resident {
            birth_date: "2016-03-20".to_owned(),
            facts: Vec::new(),
            guardian_consent: Some(v1::GuardianConsent {
                signed_by: "白露,母亲".to_owned(),
                form: "儿童档案监护人同意书 2026-01".to_owned(),
                ..Default::default()
            }),
            ..elder(&dwelling, "墨染青梧")
        }),
        confirmed_not_duplicate: true,
        ..Default::default()
    };
    let child = client.ask(child).await.unwrap().name;
    let tell = || hand(&asked(&child, &body, &[Field::Name]));
    lacks(client.ask(tell()).await, "name=guardian");
    let own = yes(&child, BodyKind::HealthService, Purpose::Referral, &[Class::Contact]);
    invalid(client.ask(own.clone()).await, &["consent.signatory"]);
    let mut guardian = own;
    guardian.consent.as_mut().unwrap().signatory = v1::ConsentSignatory::Guardian.into();
    client.ask(guardian).await.unwrap();
    let sent = client.ask(tell()).await.unwrap();
    // The values are a child's, also here: the leader sees them.
    assert_eq!(client.purposeful().ask(full(&sent.name)).await.unwrap().values[0].value, "墨染青梧");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_a_registered_body_by_word_rests_on_what_was_signed() {
    let server = Server::start().await;
    let client = server.client();
    let (resident, _) = estate(&client).await;
    let aid = v1::CommunityBody { kind: BodyKind::Charity.into(), ..station() };
    let aid = enter(&client, "aid", aid).await;
    client.ask(yes(&resident, BodyKind::Charity, Purpose::Greeting, &[Class::Contact])).await.unwrap();
    let told = v1::RecordDisclosureRequest {
        parent: resident.clone(),
        disclosure: Some(v1::Disclosure {
            purpose: Purpose::Greeting.into(),
            basis: Basis::Consent.into(),
            classes: vec![Class::Contact.into()],
            ..Default::default()
        }),
        community_body: aid.clone(),
        ..Default::default()
    };
    let refusal = refused(client.ask(told.clone()).await, "DISCLOSURE_REFUSED");
    assert_eq!(refusal.metadata[0].1, "contact=agreement");
    let sign = |fields: &[Field]| v1::UpdateBodyRequest {
        body: Some(v1::CommunityBody {
            name: aid.clone(),
            agreement: Some(agreed(fields, &[Purpose::Greeting])),
            ..Default::default()
        }),
        update_mask: mask(&["agreement"]),
        ..Default::default()
    };
    client.ask(sign(&[Field::Health])).await.unwrap();
    let refusal = refused(client.ask(told.clone()).await, "DISCLOSURE_REFUSED");
    assert_eq!(refusal.metadata[0].1, "contact=agreement_field");
    client.ask(sign(&[Field::Phone])).await.unwrap();
    let out = client.ask(told.clone()).await.unwrap();
    assert_eq!((out.agreement.as_str(), out.body()), ("协议 2026-7", BodyKind::Charity));
    assert_eq!(out.recipient, "幸福里社区卫生服务站");
    // Its agreement is no longer what somebody says it is.
    let mut twice = told.clone();
    let out = twice.disclosure.as_mut().unwrap();
    (out.body, out.recipient, out.agreement) =
        (BodyKind::Charity.into(), "别处".to_owned(), "协议 9".to_owned());
    invalid(client.ask(twice).await, &["disclosure.body", "disclosure.recipient", "disclosure.agreement"]);
    let nobody = v1::RecordDisclosureRequest { community_body: "bodies/nobody".to_owned(), ..told };
    invalid(client.ask(nobody).await, &["community_body"]);
    server.stop().await;
}
