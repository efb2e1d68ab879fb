//! Personal values in clear: who sees which class for which purpose, what the audit keeps of it, where it ends, and that nothing
//! else shows them.

use linli_proto::v1;
use linli_proto::v1::FieldClass as Class;
use prost::Message;
use tonic::{Code, Status};

use crate::harness::client::{Client, Rpc};
use crate::harness::estate::{elder, flag, identity_number, mask};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::Server;
use crate::harness::{Refusal, holds, refused};

const CLASSES: [Class; 6] =
    [Class::Contact, Class::Identity, Class::Health, Class::Family, Class::Status, Class::Care];

/// Who sees which class: `y` in clear, `-` PERMISSION_DENIED. Without a purpose nobody sees any.
const TABLE: &str = "
                          contact  identity  health  family  status  care
leader                    y        y         y       y       y       y
deputy                    y        y         y       y       y       y
member.customer_service   y        y         y       y       -       y
member.security           -        -         -       -       -       -
member.engineering        -        -         -       -       -       -
member.cleaning           -        -         -       -       -       -
member.finance            -        -         -       -       -       -
finance                   -        -         -       -       -       -
volunteer                 -        -         -       -       -       -
auditor                   -        -         -       -       -       -
integration               -        -         -       -       -       -
";

fn reveal(resident: &str, classes: &[Class]) -> v1::RevealResidentRequest {
    let classes = classes.iter().map(|class| (*class).into()).collect();
    v1::RevealResidentRequest { name: resident.to_owned(), classes }
}

/// A file with a value of every class.
async fn file(server: &Server) -> String {
    let client = server.client();
    let (site, dwelling, _) = client.estate("s1").await;
    let resident = v1::Resident {
        phone: "13900004321".to_owned(),
        identity_number: identity_number("19400501", 31),
        emergency_contacts: vec![v1::EmergencyContact {
            full_name: "秦小雨".to_owned(),
            phone: "13900004322".to_owned(),
            relation: "女儿".to_owned(),
        }],
        family_note: "家中暗语".to_owned(),
        health_note: "左膝旧伤".to_owned(),
        status_note: "欠债缘由".to_owned(),
        needs: vec![v1::Need::Companionship.into()],
        facts: vec![flag("lives_alone", true)],
        ..elder(&dwelling, "霜降白鹭")
    };
    let create = v1::CreateResidentRequest { parent: site, resident: Some(resident), ..Default::default() };
    client.ask(create).await.unwrap().name
}

/// The classes of which an answer holds a value in clear.
fn shown(resident: &v1::Resident) -> Vec<Class> {
    let holds = |class: Class| match class {
        Class::Unspecified => false,
        Class::Contact => {
            !resident.full_name.is_empty()
                || !resident.phone.is_empty()
                || !resident.emergency_contacts.is_empty()
        }
        Class::Identity => {
            !resident.identity_number.is_empty() || !resident.birth_date.is_empty() || resident.sex != 0
        }
        Class::Health => !resident.health_note.is_empty(),
        Class::Family => !resident.family_note.is_empty(),
        Class::Status => !resident.status_note.is_empty() || !resident.needs.is_empty(),
        // Nothing of this file is of it.
        Class::Care => resident.revealed_classes.contains(&Class::Care.into()),
    };
    CLASSES.into_iter().filter(|class| holds(*class)).collect()
}

async fn enter(issuer: &Issuer, server: &Server, who: &str) -> Client {
    let (role, department) = who.split_once('.').unwrap_or((who, ""));
    let role = v1::StaffRole::from_str_name(&format!("STAFF_ROLE_{}", role.to_uppercase())).unwrap();
    let mut grant = grant(role, &["s1"]);
    if !department.is_empty() {
        let department = format!("DEPARTMENT_{}", department.to_uppercase());
        grant.department = v1::Department::from_str_name(&department).unwrap().into();
    }
    issuer.enter(server, &who.replace(['.', '_'], "-"), vec![grant]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_sees_the_classes_that_the_table_says() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let resident = file(&server).await;
    let mut rows = TABLE.lines().filter(|line| !line.trim().is_empty());
    assert_eq!(rows.next().unwrap().split_whitespace().count(), CLASSES.len());
    let mut asked = 0;
    for row in rows {
        let mut cells = row.split_whitespace();
        let who = cells.next().unwrap();
        let client = enter(&issuer, &server, who).await;
        let cells: Vec<&str> = cells.collect();
        let all = cells.iter().all(|cell| *cell == "y");
        for (class, cell) in CLASSES.into_iter().zip(&cells) {
            let unspoken = client.ask(reveal(&resident, &[class])).await.unwrap_err();
            let answer = client.purposeful().ask(reveal(&resident, &[class])).await;
            match (*cell, answer) {
                ("y", Ok(answer)) => {
                    assert_eq!(shown(&answer), [class], "{who} {class:?}: {answer:?}");
                    assert_eq!(answer.revealed_classes, [i32::from(class)]);
                    assert_eq!(answer.display_name.is_empty(), class != Class::Contact);
                    assert_eq!(answer.masked_identity_number.is_empty(), class != Class::Identity);
                    assert_eq!(Refusal::of(&unspoken).reason, "PURPOSE_REQUIRED", "{who} {class:?}");
                }
                ("-", Err(status)) => assert_eq!(status.code(), Code::PermissionDenied, "{who} {class:?}"),
                (cell, answer) => panic!("{who} {class:?}: {answer:?}, not {cell}"),
            }
            asked += 1;
        }
        // One class that is not theirs refuses them all, however it is asked.
        let together = client.purposeful().ask(reveal(&resident, &CLASSES)).await;
        let full = v1::GetResidentRequest { name: resident.clone(), view: v1::View::Full.into() };
        let full = client.purposeful().ask(full).await;
        for answer in [together, full] {
            match answer {
                Ok(answer) => assert!(all && shown(&answer) == CLASSES, "{who}: {answer:?}"),
                Err(status) => assert!(!all && status.code() == Code::PermissionDenied, "{who}: {status:?}"),
            }
        }
        let basic = v1::GetResidentRequest { name: resident.clone(), view: v1::View::Basic.into() };
        let basic = client.purposeful().ask(basic).await;
        let sees = cells[0] == "y" && cells[1] == "y" && cells[3] == "y";
        assert_eq!(
            basic.as_ref().map(shown).ok(),
            sees.then_some(vec![Class::Contact, Class::Family]),
            "{who}"
        );
    }
    assert_eq!(asked, 11 * CLASSES.len());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_or_refused_is_in_the_audit_with_its_classes_and_purpose() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let resident = file(&server).await;
    let id = resident.rsplit('/').next().unwrap().to_owned();
    let member = enter(&issuer, &server, "member.customer_service").await.with("x-purpose", "SURVEY; 摸排");
    member.ask(reveal(&resident, &[Class::Health, Class::Contact])).await.unwrap();
    refused(member.ask(reveal(&resident, &[Class::Contact, Class::Status])).await, "PERMISSION_DENIED");
    let scope = linli_store::Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
    let entries = server.app.store.audit_entries(&scope, 0, 100).await.unwrap();
    let looks: Vec<String> = entries
        .iter()
        .filter(|entry| entry.draft.method == v1::RevealResidentRequest::PATH)
        .map(|entry| {
            let draft = &entry.draft;
            assert_eq!(
                (draft.subjects.as_slice(), draft.resource.as_str()),
                ([id.clone()].as_slice(), &*resident)
            );
            let classes: Vec<&str> = draft.classes.iter().map(|class| class.code()).collect();
            let purpose = draft.purpose.split(';').next().unwrap();
            format!("{} {:?} {purpose} {}", draft.principal, draft.decision, classes.join("+"))
        })
        .collect();
    let who = "member-customer-service";
    assert_eq!(
        looks,
        [format!("{who} Allowed survey contact+health"), format!("{who} Denied survey contact+status")]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_badly_is_refused_and_names_the_field() {
    let server = Server::start().await;
    let resident = file(&server).await;
    let client = server.client().purposeful();
    for (classes, field) in [
        (vec![], "classes"),
        (vec![0], "classes[0]"),
        (vec![1, 9], "classes[1]"),
        (vec![1, 2, 1], "classes[2]"),
    ] {
        let asked = v1::RevealResidentRequest { name: resident.clone(), classes };
        let refusal = refused(client.ask(asked).await, "INVALID_FIELD");
        let fields: Vec<&str> = refusal.violations.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, [field]);
    }
    let missing = "sites/s1/residents/00000000-0000-7000-8000-000000000000";
    refused(client.ask(reveal(missing, &[Class::Contact])).await, "NOT_FOUND");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_sees_so_much_within_an_hour_however_they_ask() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let resident = file(&server).await;
    let (eager, calm) = (
        enter(&issuer, &server, "deputy").await.purposeful(),
        enter(&issuer, &server, "member.customer_service").await.purposeful(),
    );
    let max = linli_service::app::reveal::REVEALS_MAX;
    let view = |view: v1::View| v1::GetResidentRequest { name: resident.clone(), view: view.into() };
    for at in 0..max {
        let answer = match at % 3 {
            0 => eager.ask(view(v1::View::Basic)).await,
            1 => eager.ask(view(v1::View::Full)).await,
            _ => eager.ask(reveal(&resident, &[Class::Contact])).await,
        };
        answer.unwrap_or_else(|status| panic!("{at}: {status:?}"));
    }
    for answer in [
        eager.ask(view(v1::View::Basic)).await,
        eager.ask(view(v1::View::Full)).await,
        eager.ask(reveal(&resident, &[Class::Contact])).await,
    ] {
        let refusal = refused(answer, "REVEAL_LIMIT");
        assert_eq!((refusal.code, refusal.retry), (Code::ResourceExhausted, true));
    }
    // Masked work goes on, and others are not concerned.
    eager.ask(view(v1::View::Masked)).await.unwrap();
    calm.ask(reveal(&resident, &[Class::Contact])).await.unwrap();
    server.stop().await;
}

/// Whoever may see a file masked learns no value of it by other ways, without a purpose and so without an entry that says why.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_shows_what_is_masked() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let resident = file(&server).await;
    let member = enter(&issuer, &server, "member.customer_service").await;
    let number = identity_number("19400501", 31);
    let masked = member.ask(v1::GetResidentRequest { name: resident.clone(), view: 0 }).await.unwrap();
    let dwelling = masked.dwelling.clone();
    let values = [
        "霜降白鹭",
        "13900004321",
        "13900004322",
        "秦小雨",
        "家中暗语",
        "左膝旧伤",
        "欠债缘由",
        number.as_str(),
    ];
    let mut seen = Vec::new();
    note(&mut seen, "masked", Ok(masked));
    let list = |change: fn(&mut v1::ListResidentsRequest)| {
        let mut request = v1::ListResidentsRequest { parent: "sites/s1".to_owned(), ..Default::default() };
        change(&mut request);
        request
    };
    note(&mut seen, "list", member.ask(list(|_| ())).await);
    note(&mut seen, "one a page", member.ask(list(|request| request.page_size = 1)).await);
    let by_phone = v1::ListResidentsRequest { phone: values[1].to_owned(), ..list(|_| ()) };
    note(&mut seen, "by telephone", member.ask(by_phone).await);
    let by_number = v1::ListResidentsRequest { identity_number: number.clone(), ..list(|_| ()) };
    note(&mut seen, "by number", member.ask(by_number).await);
    // A part of a value finds nothing: the search is for the whole one.
    let part = v1::ListResidentsRequest { identity_number: number[..10].to_owned(), ..list(|_| ()) };
    refused(member.ask(part.clone()).await, "INVALID_FIELD");
    note(&mut seen, "by part", member.ask(part).await);
    let part = v1::ListResidentsRequest { phone: "1390000".to_owned(), ..list(|_| ()) };
    note(&mut seen, "by part of a telephone", member.ask(part).await);
    let update = |paths: &[&str], etag: &str| v1::UpdateResidentRequest {
        resident: Some(v1::Resident { name: resident.clone(), etag: etag.to_owned(), ..Default::default() }),
        update_mask: mask(paths),
        ..Default::default()
    };
    note(&mut seen, "stale", member.ask(update(&["sex"], "v9")).await);
    for path in ["masked_phone", "display_name", "revealed_classes", "view", "*", "facts.lives_alone"] {
        refused(member.ask(update(&[path], "")).await, "INVALID_FIELD");
        note(&mut seen, path, member.ask(update(&[path], "")).await);
    }
    note(&mut seen, "update", member.ask(update(&["sex"], "")).await);
    note(
        &mut seen,
        "taken",
        member
            .ask(v1::CreateResidentRequest {
                parent: "sites/s1".to_owned(),
                resident: Some(v1::Resident {
                    identity_number: number.clone(),
                    ..elder(&dwelling, "另一位")
                }),
                ..Default::default()
            })
            .await,
    );
    let history = v1::ListHistoryRequest { parent: resident.clone(), ..Default::default() };
    note(&mut seen, "history", member.ask(history).await);
    let standing = v1::GetStandingRequest { name: resident.clone() };
    note(&mut seen, "standing", member.ask(standing).await);
    let worklist = v1::ListWorklistRequest { parent: "sites/s1/posts/-".to_owned(), ..Default::default() };
    note(&mut seen, "worklist", member.ask(worklist).await);
    assert!(seen.iter().filter(|(_, answered, _)| *answered).count() >= 8, "{seen:?}");
    for (what, _, bytes) in &seen {
        for value in values {
            assert!(!holds(bytes, value), "{what} shows `{value}`");
        }
    }
    // The looking finds what is there.
    let clear = member.purposeful().ask(reveal(&resident, &[Class::Contact])).await.unwrap().encode_to_vec();
    assert!(holds(&clear, values[0]));
    server.stop().await;
}

/// Everything that an answer or a refusal says.
fn note<M: Message>(seen: &mut Vec<(String, bool, Vec<u8>)>, what: &str, answer: Result<M, Status>) {
    let entry = match answer {
        Ok(message) => (what.to_owned(), true, message.encode_to_vec()),
        Err(status) => {
            let mut said = status.message().as_bytes().to_vec();
            said.extend_from_slice(status.details());
            said.extend_from_slice(format!("{:?}", status.metadata()).as_bytes());
            (what.to_owned(), false, said)
        }
    };
    seen.push(entry);
}

/// Volunteers see what is to be done for whom at which door, of the post that they hold, while they hold it.
#[tokio::test(flavor = "multi_thread")]
async fn volunteers_see_the_task_and_no_file() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let resident = file(&server).await;
    let volunteer = enter(&issuer, &server, "volunteer").await;
    let mut posts = Vec::new();
    for title in ["一号岗", "二号岗"] {
        let post = v1::Post {
            display_name: title.to_owned(),
            department: v1::Department::CustomerService.into(),
            ..Default::default()
        };
        let create =
            v1::CreatePostRequest { parent: "sites/s1".to_owned(), post: Some(post), ..Default::default() };
        posts.push(client.ask(create).await.unwrap().name);
    }
    let worklist = |post: &str| v1::ListWorklistRequest { parent: post.to_owned(), ..Default::default() };
    refused(volunteer.ask(worklist(&posts[0])).await, "PERMISSION_DENIED");
    let holder = v1::PostHolder {
        staff: "staff/volunteer".to_owned(),
        cover: true,
        start_date: "2026-03-16".to_owned(),
        end_date: "2026-03-17".to_owned(),
    };
    let add = v1::AddPostHolderRequest { name: posts[0].clone(), holder: Some(holder), ..Default::default() };
    client.ask(add).await.unwrap();
    let seen = volunteer.ask(worklist(&posts[0])).await.unwrap().items;
    let all = client.ask(worklist(&posts[0])).await.unwrap().items;
    assert!(
        all.iter().any(|item| item.subject == resident && item.tier != 0 && !item.obligations.is_empty())
    );
    assert_eq!(seen.len(), all.len());
    for (task, item) in seen.iter().zip(&all) {
        let expect = v1::WorklistItem {
            display_name: task.display_name.clone(),
            subject: String::new(),
            tier: 0,
            answers: Vec::new(),
            obligations: Vec::new(),
            ..item.clone()
        };
        assert_eq!(task, &expect);
        if item.subject == resident {
            assert_eq!((item.display_name.as_str(), task.display_name.as_str()), ("霜**", "降白鹭"));
            assert!(!task.dwelling_display_name.is_empty());
        }
    }
    // Another post, the whole site, a post that is not there: all the same. And when the time is over, this one too.
    for post in [posts[1].as_str(), "sites/s1/posts/-", "sites/s1/posts/none"] {
        refused(volunteer.ask(worklist(post)).await, "PERMISSION_DENIED");
    }
    client.advance("2026-03-18T09:00:00+08:00").await;
    refused(volunteer.ask(worklist(&posts[0])).await, "PERMISSION_DENIED");
    server.stop().await;
}
