//! Emergency access: what it opens and for how long, that it is told and reviewed, and what it is not.

use linli_core::emergency::EmergencyAccess;
use linli_core::id::{EmergencyAccessId, ResidentId, SiteId, StaffId};
use linli_core::text::Paragraph;
use linli_core::time::{Clock, Instant};
use linli_proto::v1;
use linli_proto::v1::FieldClass as Class;
use linli_service::time::SystemClock;
use linli_store::{AuditDraft, ChangeSet, Decision, FieldClasses, Scope};

use crate::harness::client::{Client, Rpc};
use crate::harness::estate::{elder, identity_number, request_id};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::Server;
use crate::harness::{invalid, refused};

fn reveal(resident: &str, class: Class) -> v1::RevealResidentRequest {
    v1::RevealResidentRequest { name: resident.to_owned(), classes: vec![class.into()] }
}

fn take(resident: &str) -> v1::GrantEmergencyAccessRequest {
    v1::GrantEmergencyAccessRequest {
        resident: resident.to_owned(),
        reason: "门内有呼救声".to_owned(),
        ..Default::default()
    }
}

fn review(access: &str, verdict: v1::EmergencyVerdict) -> v1::ReviewEmergencyAccessRequest {
    v1::ReviewEmergencyAccessRequest {
        name: access.to_owned(),
        verdict: verdict.into(),
        note: "已核实".to_owned(),
        ..Default::default()
    }
}

fn waiting() -> v1::ListEmergencyAccessesRequest {
    let parent = "sites/s1".to_owned();
    v1::ListEmergencyAccessesRequest { parent, awaiting_review: true, ..Default::default() }
}

async fn guard(issuer: &Issuer, server: &Server, id: &str) -> Client {
    let mut guard = grant(v1::StaffRole::Member, &["s1"]);
    guard.department = v1::Department::Security.into();
    issuer.enter(server, id, vec![guard]).await.with("x-purpose", "EMERGENCY; 夜间呼救")
}

async fn file(server: &Server) -> String {
    let client = server.client();
    let (_, dwelling, _) = client.estate("s1").await;
    let resident = v1::Resident {
        phone: "13900004321".to_owned(),
        identity_number: identity_number("19400501", 41),
        health_note: "左膝旧伤".to_owned(),
        family_note: "家中暗语".to_owned(),
        emergency_contacts: vec![v1::EmergencyContact {
            full_name: "秦小雨".to_owned(),
            phone: "13900004322".to_owned(),
            relation: "女儿".to_owned(),
        }],
        ..elder(&dwelling, "霜降白鹭")
    };
    client.resident(resident).await.name
}

/// The audit entries of the site's log, as `principal method decision purpose`.
async fn log(server: &Server, path: &str) -> Vec<String> {
    let scope = Scope::from(&SiteId::new("s1").unwrap());
    let entries = server.app.store.audit_entries(&scope, 0, 1000).await.unwrap();
    let of_path = entries.iter().filter(|entry| entry.draft.method == path);
    of_path.map(|e| format!("{} {:?} {}", e.draft.principal, e.draft.decision, e.draft.purpose)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_sees_how_to_help_one_person_and_every_look_names_the_access() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let resident = file(&server).await;
    let (wu, zhao) = (guard(&issuer, &server, "wu").await, guard(&issuer, &server, "zhao").await);
    refused(wu.ask(reveal(&resident, Class::Contact)).await, "PERMISSION_DENIED");

    let access = wu.ask(take(&resident)).await.unwrap();
    let seconds = |time: &Option<prost_types::Timestamp>| time.as_ref().unwrap().seconds;
    assert_eq!(seconds(&access.expire_time) - seconds(&access.grant_time), 2 * 3600);
    assert_eq!(seconds(&access.review_due_time) - seconds(&access.grant_time), 24 * 3600);
    assert_eq!((access.staff.as_str(), access.resident.as_str()), ("staff/wu", resident.as_str()));

    let shown = wu.ask(reveal(&resident, Class::Contact)).await.unwrap();
    assert_eq!((shown.full_name.as_str(), shown.phone.as_str()), ("霜降白鹭", "13900004321"));
    assert_eq!(shown.emergency_contacts[0].phone, "13900004322");
    assert!(!shown.dwelling_display_name.is_empty());
    // Nothing of what the file is about.
    let blank =
        (shown.tier, shown.groups.len(), shown.tags.len(), shown.facts.len(), shown.health_note.len());
    assert_eq!(blank, (0, 0, 0, 0, 0), "{shown:?}");
    assert!(shown.identity_number.is_empty() && shown.birth_date.is_empty() && shown.family_note.is_empty());

    // Not another class, another file, another call, another guard.
    for class in [Class::Identity, Class::Health, Class::Family, Class::Status, Class::Care] {
        refused(wu.ask(reveal(&resident, class)).await, "PERMISSION_DENIED");
    }
    let other = server.client().resident(elder("sites/s1/dwellings/d501", "邻居")).await.name;
    refused(wu.ask(reveal(&other, Class::Contact)).await, "PERMISSION_DENIED");
    let get = |view: v1::View| v1::GetResidentRequest { name: resident.clone(), view: view.into() };
    refused(wu.ask(get(v1::View::Masked)).await, "PERMISSION_DENIED");
    refused(wu.ask(get(v1::View::Full)).await, "PERMISSION_DENIED");
    let history = v1::ListHistoryRequest { parent: resident.clone(), ..Default::default() };
    refused(wu.ask(history).await, "PERMISSION_DENIED");
    refused(zhao.ask(reveal(&resident, Class::Contact)).await, "PERMISSION_DENIED");

    let id = access.name.rsplit('/').next().unwrap();
    let looks = log(&server, v1::RevealResidentRequest::PATH).await;
    let allowed: Vec<&String> = looks.iter().filter(|line| line.contains("Allowed")).collect();
    assert_eq!(allowed.len(), 1, "{looks:?}");
    assert!(
        allowed[0].starts_with("wu Allowed emergency;") && allowed[0].ends_with(&format!(";access={id}"))
    );
    // What was refused under it names it too.
    let refusals = looks.iter().filter(|line| line.starts_with("wu Denied") && line.contains(id)).count();
    assert_eq!(refusals, 5, "{looks:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_review_waits_from_the_first_moment_and_is_somebody_elses() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let resident = file(&server).await;
    let wu = guard(&issuer, &server, "wu").await;
    let lin = issuer.enter(&server, "lin", vec![grant(v1::StaffRole::Deputy, &["s1"])]).await;
    let both = vec![grant(v1::StaffRole::Leader, &["s1"])];
    let he = issuer.enter(&server, "he", both).await;
    let epoch = async || {
        let scope = Scope::from(&SiteId::new("s1").unwrap());
        server.app.store.authz_epoch(&scope).await.unwrap().unwrap()
    };

    let once = v1::GrantEmergencyAccessRequest { request_id: request_id(7), ..take(&resident) };
    let access = wu.ask(once.clone()).await.unwrap();
    assert_eq!(wu.ask(once).await.unwrap(), access, "a repetition takes nothing more");
    let listed = lin.purposeful().ask(waiting()).await.unwrap().emergency_accesses;
    assert_eq!(listed, std::slice::from_ref(&access));
    let wordless = lin.ask(waiting()).await.unwrap().emergency_accesses;
    assert_eq!(wordless, [v1::EmergencyAccess { reason: String::new(), ..access.clone() }]);
    // With the access came the task, in one commit: the event has the number of the access's own audit entry.
    let scope = Scope::from(&SiteId::new("s1").unwrap());
    let events = server.app.store.outbox_events(&scope, 0, 1000).await.unwrap();
    let told: Vec<_> = events.iter().filter(|event| event.resource == access.name).collect();
    assert_eq!(
        told.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(),
        ["emergency_access.review_due"]
    );

    // Nobody lengthens or repeats their own before it was looked at.
    refused(wu.ask(take(&resident)).await, "EMERGENCY_ACCESS_STATE");
    let own = he.ask(take(&resident)).await.unwrap();
    refused(he.ask(review(&own.name, v1::EmergencyVerdict::Justified)).await, "FOUR_EYES");
    refused(wu.ask(review(&access.name, v1::EmergencyVerdict::Justified)).await, "PERMISSION_DENIED");
    refused(wu.ask(waiting()).await, "PERMISSION_DENIED");

    wu.ask(reveal(&resident, Class::Contact)).await.unwrap();
    let before = epoch().await;
    let unjustified = review(&access.name, v1::EmergencyVerdict::Unjustified);
    let stale = v1::ReviewEmergencyAccessRequest { etag: "v9".to_owned(), ..unjustified.clone() };
    refused(lin.ask(stale).await, "ETAG_MISMATCH");
    let wordless = v1::ReviewEmergencyAccessRequest { note: String::new(), ..unjustified.clone() };
    invalid(lin.ask(wordless).await, &["note"]);
    let reviewed = lin.ask(unjustified.clone()).await.unwrap();
    let said = reviewed.review.unwrap();
    assert_eq!((said.staff.as_str(), said.note.as_str()), ("staff/lin", "已核实"));
    assert_eq!(said.verdict(), v1::EmergencyVerdict::Unjustified);
    assert!(epoch().await > before, "what rests on the right is decided again");
    refused(wu.ask(reveal(&resident, Class::Contact)).await, "PERMISSION_DENIED");
    // Once.
    refused(lin.ask(unjustified).await, "EMERGENCY_ACCESS_STATE");
    refused(he.ask(review(&access.name, v1::EmergencyVerdict::Justified)).await, "EMERGENCY_ACCESS_STATE");
    let left = lin.ask(waiting()).await.unwrap().emergency_accesses;
    assert_eq!(left.iter().map(|left| &left.name).collect::<Vec<_>>(), [&own.name]);
    let all = v1::ListEmergencyAccessesRequest { awaiting_review: false, page_size: 1, ..waiting() };
    let first = lin.ask(all.clone()).await.unwrap();
    assert_eq!(first.emergency_accesses[0].name, access.name);
    let second = v1::ListEmergencyAccessesRequest { page_token: first.next_page_token, ..all };
    let second = lin.ask(second).await.unwrap();
    assert_eq!(
        (second.emergency_accesses[0].name.as_str(), second.next_page_token.as_str()),
        (&*own.name, "")
    );
    // Now it may be taken again.
    wu.ask(take(&resident)).await.unwrap();
    server.stop().await;
}

/// As if it had been taken at another time.
async fn taken_at(server: &Server, resident: &str, id: &str, granted_at: Instant) {
    let site = SiteId::new("s1").unwrap();
    let resident = ResidentId::new(resident.rsplit('/').next().unwrap()).unwrap();
    let draft = AuditDraft {
        principal: "test".into(),
        method: "test".into(),
        resource: String::new(),
        subjects: vec![resident.as_str().to_owned()],
        classes: FieldClasses::NONE,
        purpose: String::new(),
        decision: Decision::Allowed,
        request_id: String::new(),
        care_time: granted_at,
        system_time: granted_at,
    };
    let scope = Scope::from(&site);
    let epoch = server.app.store.authz_epoch(&scope).await.unwrap().unwrap();
    let access = EmergencyAccess::taken(
        (site, EmergencyAccessId::new(id).unwrap()),
        resident,
        StaffId::new("wu").unwrap(),
        Paragraph::new("门内有呼救声").unwrap(),
        granted_at,
    );
    let mut set = ChangeSet::new(scope, epoch, draft);
    set.put_emergency_access(access);
    server.app.store.commit("test", set).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_by_the_machines_clock_whatever_the_care_clock_says() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let resident = file(&server).await;
    let wu = guard(&issuer, &server, "wu").await;
    let now = SystemClock.now();
    taken_at(&server, &resident, "over", now.plus_hours(-2)).await;
    refused(wu.ask(reveal(&resident, Class::Contact)).await, "PERMISSION_DENIED");
    // Taken by a clock that was an hour ahead: until then it opens nothing.
    taken_at(&server, &resident, "ahead", now.plus_hours(1)).await;
    refused(wu.ask(reveal(&resident, Class::Contact)).await, "PERMISSION_DENIED");
    taken_at(&server, &resident, "running", now.plus_minutes(-110)).await;
    wu.ask(reveal(&resident, Class::Contact)).await.unwrap();
    server.client().advance("2026-03-20T09:00:00+08:00").await;
    wu.ask(reveal(&resident, Class::Contact)).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_badly_is_refused() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let resident = file(&server).await;
    let wu = guard(&issuer, &server, "wu").await;
    let silent = v1::GrantEmergencyAccessRequest { reason: " ".to_owned(), ..take(&resident) };
    invalid(wu.ask(silent).await, &["reason"]);
    invalid(wu.ask(take("sites/s1")).await, &["resident"]);
    refused(wu.ask(take("sites/s1/residents/nobody")).await, "NOT_FOUND");
    refused(wu.ask(take("sites/s2/residents/nobody")).await, "PERMISSION_DENIED");
    let client = server.client();
    let unstated = review("sites/s1/emergencyAccesses/e", v1::EmergencyVerdict::Unspecified);
    invalid(client.ask(unstated).await, &["verdict"]);
    let unknown =
        v1::ReviewEmergencyAccessRequest { verdict: 9, ..review("x", v1::EmergencyVerdict::Justified) };
    invalid(client.ask(unknown).await, &["name", "verdict"]);
    let nowhere = review("sites/s1/emergencyAccesses/e", v1::EmergencyVerdict::Justified);
    refused(client.ask(nowhere).await, "NOT_FOUND");
    server.stop().await;
}
