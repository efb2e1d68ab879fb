//! Children under 14: a guardian signs before there is a file, and nobody sees values in clear whom the leader did not approve for it.

use linli_proto::v1;
use linli_proto::v1::FieldClass as Class;

use crate::harness::client::Client;
use crate::harness::estate::{contact, elder, mask};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::Server;
use crate::harness::{invalid, refused};

struct Estate {
    server: Server,
    child: String,
    neighbour: String,
    /// A steward who was approved for children, and one who was not.
    wang: Client,
    li: Client,
    /// A deputy who was approved, and one who was not.
    lin: Client,
    zhou: Client,
    /// The leader, and a guard.
    he: Client,
    wu: Client,
}

/// Fourteen on 20 March 2026, four days from now.
fn child(dwelling: &str) -> v1::Resident {
    v1::Resident {
        birth_date: "2012-03-20".to_owned(),
        phone: "13900004321".to_owned(),
        facts: Vec::new(),
        ..elder(dwelling, "霜降白鹭")
    }
}

fn signed() -> Option<v1::GuardianConsent> {
    Some(v1::GuardianConsent {
        signed_by: "白露,母亲".to_owned(),
        form: "儿童档案监护人同意书 2026-01".to_owned(),
        ..Default::default()
    })
}

fn open(resident: v1::Resident) -> v1::CreateResidentRequest {
    v1::CreateResidentRequest {
        parent: "sites/s1".to_owned(),
        resident: Some(resident),
        confirmed_not_duplicate: true,
        ..Default::default()
    }
}

fn reveal(resident: &str) -> v1::RevealResidentRequest {
    v1::RevealResidentRequest { name: resident.to_owned(), classes: vec![Class::Contact.into()] }
}

impl Estate {
    async fn new() -> Self {
        let issuer = Issuer::new();
        let server = issuer.server().await;
        let client = server.client();
        let (_, dwelling, neighbour) = client.estate("s1").await;
        let with_guardian = v1::Resident { guardian_consent: signed(), ..child(&dwelling) };
        let child = client.ask(open(with_guardian)).await.unwrap().name;
        use v1::StaffRole::{Deputy, Leader, Member};
        let one = |role, children| vec![v1::StaffGrant { children, ..grant(role, &["s1"]) }];
        let guard = v1::StaffGrant { department: v1::Department::Security.into(), ..grant(Member, &["s1"]) };
        let enter = async |id: &str, grants| issuer.enter(&server, id, grants).await.purposeful();
        let wang = enter("wang", one(Member, true)).await;
        let li = enter("li", one(Member, false)).await;
        let lin = enter("lin", one(Deputy, true)).await;
        let zhou = enter("zhou", one(Deputy, false)).await;
        let he = enter("he", one(Leader, false)).await;
        let wu = enter("wu", vec![guard]).await;
        Self { server, child, neighbour, wang, li, lin, zhou, he, wu }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_signs_before_there_is_a_file() {
    let estate = Estate::new().await;
    let client = estate.server.client();
    let alone = v1::Resident { full_name: "墨染青梧".to_owned(), ..child("sites/s1/dwellings/d501") };
    invalid(client.ask(open(alone.clone())).await, &["resident.guardian_consent"]);
    let unsigned = v1::Resident { guardian_consent: Some(v1::GuardianConsent::default()), ..alone };
    invalid(
        client.ask(open(unsigned)).await,
        &["resident.guardian_consent.signed_by", "resident.guardian_consent.form"],
    );
    let list = v1::ListConsentsRequest { parent: estate.child.clone(), ..Default::default() };
    let said = client.ask(list).await.unwrap().consents;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].body(), v1::BodyKind::Company);
    assert_eq!(said[0].signatory(), v1::ConsentSignatory::Guardian);
    assert!(said[0].in_force);

    // Of a child nobody else consents.
    let own = crate::consent::given_by(&estate.child, v1::ConsentSignatory::Resident);
    invalid(client.ask(own).await, &["consent.signatory"]);
    let give = crate::consent::give(&estate.child, v1::DisclosureBasis::Consent, &[Class::Contact]);
    let refusal = refused(client.ask(give.clone()).await, "DISCLOSURE_REFUSED");
    assert_eq!(refusal.metadata, [("missing".to_owned(), "contact=guardian".to_owned())]);
    client.ask(crate::consent::given_by(&estate.child, v1::ConsentSignatory::Guardian)).await.unwrap();
    client.ask(give).await.unwrap();

    // Nor does a file become a child's by a correction.
    let younger = v1::UpdateResidentRequest {
        resident: Some(v1::Resident {
            name: estate.neighbour.clone(),
            birth_date: "2015-01-01".to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["birth_date"]),
        ..Default::default()
    };
    invalid(client.ask(younger.clone()).await, &["resident.birth_date"]);
    let keep = crate::consent::given_by(&estate.neighbour, v1::ConsentSignatory::Guardian);
    let mut consent = keep.consent.clone().unwrap();
    consent.body = v1::BodyKind::Company.into();
    consent.purpose = v1::DisclosurePurpose::CareFile.into();
    client.ask(v1::RecordConsentRequest { consent: Some(consent), ..keep }).await.unwrap();
    client.ask(younger).await.unwrap();
    refused(estate.li.ask(reveal(&estate.neighbour)).await, "PERMISSION_DENIED");
    estate.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_in_clear_take_the_leaders_approval_until_the_fourteenth_birthday() {
    let estate = Estate::new().await;
    let get = |view: v1::View| v1::GetResidentRequest { name: estate.child.clone(), view: view.into() };
    for (client, sees) in [
        (&estate.wang, true),
        (&estate.li, false),
        (&estate.lin, true),
        (&estate.zhou, false),
        (&estate.he, true),
    ] {
        // What is masked everybody sees who reads files.
        assert_eq!(client.ask(get(v1::View::Masked)).await.unwrap().full_name, "");
        if sees {
            assert_eq!(client.ask(reveal(&estate.child)).await.unwrap().full_name, "霜降白鹭");
            assert_eq!(client.ask(get(v1::View::Basic)).await.unwrap().full_name, "霜降白鹭");
        } else {
            refused(client.ask(reveal(&estate.child)).await, "PERMISSION_DENIED");
            refused(client.ask(get(v1::View::Basic)).await, "PERMISSION_DENIED");
        }
        client.ask(reveal(&estate.neighbour)).await.unwrap();
    }
    let batch = v1::BatchGetResidentsRequest {
        parent: "sites/s1".to_owned(),
        names: vec![estate.neighbour.clone(), estate.child.clone()],
        view: v1::View::Basic.into(),
    };
    refused(estate.li.ask(batch.clone()).await, "PERMISSION_DENIED");
    assert_eq!(estate.wang.ask(batch).await.unwrap().residents.len(), 2);
    let own = v1::ExportOwnFileRequest { name: estate.child.clone() };
    refused(estate.zhou.ask(own.clone()).await, "PERMISSION_DENIED");
    estate.lin.ask(own).await.unwrap();
    // Whoever finds the child in danger sees how to reach somebody.
    let take = v1::GrantEmergencyAccessRequest {
        resident: estate.child.clone(),
        reason: "门内有呼救声".to_owned(),
        ..Default::default()
    };
    estate.wu.ask(take).await.unwrap();
    assert_eq!(estate.wu.ask(reveal(&estate.child)).await.unwrap().full_name, "霜降白鹭");

    estate.server.client().advance("2026-03-19T23:59:00+08:00").await;
    refused(estate.li.ask(reveal(&estate.child)).await, "PERMISSION_DENIED");
    estate.server.client().advance("2026-03-20T00:00:00+08:00").await;
    estate.li.ask(reveal(&estate.child)).await.unwrap();
    estate.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_records_requests_and_exports_say_of_a_child_takes_it_too() {
    let estate = Estate::new().await;
    let client = estate.server.client();
    let mut visit = contact(
        &estate.neighbour,
        v1::ServiceKind::HomeVisit,
        "2026-03-16T08:00:00+08:00",
        v1::Outcome::Done,
    );
    let mut of_child = visit.subjects[0].clone();
    of_child.subject.clone_from(&estate.child);
    of_child.note = "独自在家".to_owned();
    visit.subjects.push(of_child);
    let record = client.record(visit).await.name;
    let get = v1::GetRecordRequest { name: record, view: v1::View::Full.into() };
    refused(estate.li.ask(get.clone()).await, "PERMISSION_DENIED");
    assert!(format!("{:?}", estate.wang.ask(get).await.unwrap()).contains("独自在家"));

    let request = v1::Request {
        kind: v1::RequestKind::DoorHelp.into(),
        subject: estate.child.clone(),
        description: "放学无人接".to_owned(),
        ..Default::default()
    };
    let submit = v1::SubmitRequestRequest {
        parent: "sites/s1".to_owned(),
        request: Some(request),
        ..Default::default()
    };
    let request = client.ask(submit).await.unwrap().name;
    let get = v1::GetRequestRequest { name: request, view: v1::View::Full.into() };
    refused(estate.li.ask(get.clone()).await, "PERMISSION_DENIED");
    assert_eq!(estate.wang.ask(get).await.unwrap().description, "放学无人接");

    let survey = crate::survey::opening("sites/s1", v1::SurveyKind::Full);
    let survey = client.ask(survey).await.unwrap().name;
    let found = v1::SurveyedPerson {
        resident: estate.child.clone(),
        health_note: "近视".to_owned(),
        ..Default::default()
    };
    let answer = crate::survey::answering(
        &survey,
        "sites/s1/dwellings/d501",
        v1::SurveyOutcome::Surveyed,
        "2026-03-16T08:00:00+08:00",
        vec![found],
    );
    let answer = client.ask(answer).await.unwrap().name;
    let get = v1::GetSurveyAnswerRequest { name: answer, view: v1::View::Full.into() };
    refused(estate.li.ask(get.clone()).await, "PERMISSION_DENIED");
    assert_eq!(estate.wang.ask(get).await.unwrap().people[0].health_note, "近视");

    let export = v1::ExportResidentsRequest {
        parent: "sites/s1".to_owned(),
        classes: vec![Class::Contact.into()],
        ..Default::default()
    };
    let clear = async |client: &Client| {
        let (pages, end) = client.export(export.clone()).await;
        assert!(end.is_none(), "{end:?}");
        let files = pages.iter().flat_map(|page| &page.residents);
        let mut names: Vec<String> = files.map(|file| file.full_name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(clear(&estate.zhou).await, ["", "秦安然"], "a child stays masked");
    assert_eq!(clear(&estate.lin).await, ["秦安然", "霜降白鹭"]);
    estate.server.stop().await;
}
