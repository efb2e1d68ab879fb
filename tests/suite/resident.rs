//! The life of a care file: opened, corrected, changed, moved, paused, left; its groups and its history.

use linli_proto::v1;

use crate::harness::client::Client;
use crate::harness::estate::{elder, fact, flag, identity_number, mask, request_id, shown};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, MONDAY, Server};
use crate::harness::{invalid, refused};

/// `group basis state start..end`, newest first.
async fn memberships(client: &Client, resident: &str) -> Vec<String> {
    let request = v1::ListMembershipsRequest { parent: resident.to_owned(), ..Default::default() };
    let short = |name: &str| name.rsplit('_').next().unwrap_or_default().to_lowercase();
    let mut lines: Vec<String> = client
        .ask(request)
        .await
        .unwrap()
        .memberships
        .iter()
        .map(|m| {
            assert!(m.evidence.is_empty(), "evidence is not shown in lists");
            let group = m.group.trim_start_matches("careGroups/");
            let (basis, state) = (short(m.basis().as_str_name()), short(m.state().as_str_name()));
            format!("{group} {basis} {state} {}..{}", m.start_date, m.end_date)
        })
        .collect();
    lines.sort();
    lines
}

async fn get(client: &Client, resident: &str) -> v1::Resident {
    client.ask(v1::GetResidentRequest { name: resident.to_owned(), ..Default::default() }).await.unwrap()
}

async fn list(client: &Client, change: v1::ListResidentsRequest) -> Vec<String> {
    let parent = if change.parent.is_empty() { "sites/s1".to_owned() } else { change.parent.clone() };
    let answer = client.ask(v1::ListResidentsRequest { parent, ..change }).await.unwrap();
    let mut names: Vec<String> = answer.residents.into_iter().map(|file| file.display_name).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_masked_unless_a_purpose_is_given() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let dwelling = client.dwelling(&site, "501").await;
    let number = identity_number("19400501", 12);
    let opened = client
        .resident(v1::Resident {
            phone: "139-0000 1234".to_owned(),
            identity_number: number.clone(),
            birth_date: String::new(),
            emergency_contacts: vec![v1::EmergencyContact {
                full_name: "秦小雨".to_owned(),
                phone: "13900004321".to_owned(),
                relation: "女儿".to_owned(),
            }],
            family_note: "女儿每周日来".to_owned(),
            health_note: "高血压".to_owned(),
            ..elder(&dwelling, "秦安然")
        })
        .await;
    // Every answer but a fuller view is masked: of a command, of a read, of a list.
    let read = get(&client, &opened.name).await;
    assert_eq!(read, opened, "what creating answers is what reading answers");
    let clear = |r: &v1::Resident| {
        [&r.full_name, &r.phone, &r.identity_number, &r.birth_date, &r.family_note, &r.health_note]
            .iter()
            .all(|text| text.is_empty())
            && r.emergency_contacts.is_empty()
            && r.facts.is_empty()
    };
    assert!(clear(&opened), "{opened:?}");
    assert_eq!((opened.display_name.as_str(), opened.masked_phone.as_str()), ("秦**", "139****1234"));
    assert_eq!(opened.dwelling_display_name, "3栋2单元501");
    assert_eq!(opened.state(), v1::FileState::Active);
    assert_eq!(opened.groups, ["advanced_age", "empty_nest", "living_alone"]);
    assert_eq!(shown(opened.assess_time.as_ref()), "2026-03-16T09:00");
    assert!(!opened.assessment_stale);

    let view = |view: v1::View| v1::GetResidentRequest { name: opened.name.clone(), view: view.into() };
    for asked in [v1::View::Basic, v1::View::Full] {
        refused(client.ask(view(asked)).await, "PURPOSE_REQUIRED");
    }
    let client = client.purposeful();
    let basic = client.ask(view(v1::View::Basic)).await.unwrap();
    assert_eq!((basic.full_name.as_str(), basic.phone.as_str()), ("秦安然", "13900001234"));
    assert_eq!(basic.emergency_contacts[0].full_name, "秦小雨");
    assert_eq!(basic.family_note, "女儿每周日来");
    assert!(basic.identity_number.is_empty() && basic.health_note.is_empty() && basic.facts.is_empty());
    let full = client.ask(view(v1::View::Full)).await.unwrap();
    assert_eq!((&full.identity_number, full.birth_date.as_str()), (&number, "1940-05-01"));
    assert_eq!((full.health_note.as_str(), full.sex()), ("高血压", v1::Sex::Female));
    assert_eq!(full.facts.len(), 1);
    refused(client.with("x-purpose", "CURIOSITY").ask(view(v1::View::Full)).await, "INVALID_FIELD");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_look_leaves_an_entry_before_the_answer() {
    let server = Server::start().await;
    let client = server.client().purposeful();
    let (_, _, resident) = client.estate("s1").await;
    client.full(&resident).await;
    list(&client, v1::ListResidentsRequest::default()).await;
    let id = resident.rsplit('/').next().unwrap().to_owned();
    let scope = linli_store::Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
    let entries = server.app.store.audit_entries(&scope, 0, 100).await.unwrap();
    let looks: Vec<_> = entries
        .iter()
        .filter(|entry| entry.draft.subjects.contains(&id))
        .map(|entry| {
            let method = entry.draft.method.rsplit('/').next().unwrap();
            // The words that came with it are kept as a keyed hash.
            let purpose = entry.draft.purpose.split(';').next().unwrap();
            format!("{method} {purpose} {}", entry.draft.classes.iter().count())
        })
        .collect();
    assert_eq!(
        looks,
        ["CreateResident routine_care 6", "GetResident routine_care 6", "ListResidents routine_care 1"]
    );
    server.app.store.verify_chain(&scope, None).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_found_by_what_is_asked_and_paged() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let (first, second) = (client.dwelling(&site, "501").await, client.dwelling(&site, "502").await);
    let number = identity_number("19400501", 3);
    let numbered = v1::Resident {
        identity_number: number.clone(),
        phone: "13900001111".to_owned(),
        ..elder(&first, "赵一")
    };
    client.resident(numbered).await;
    let younger = v1::Resident { birth_date: "1980-01-01".to_owned(), ..elder(&second, "钱二") };
    client.resident(younger).await;
    let ill = v1::Resident {
        facts: vec![flag("coma", true), flag("lives_alone", true)],
        ..elder(&second, "孙三")
    };
    client.resident(ill).await;
    let all = ["孙**", "赵**", "钱**"];
    let ask = |change: v1::ListResidentsRequest| list(&client, change);
    let none = v1::ListResidentsRequest::default;
    assert_eq!(ask(none()).await, all);
    assert_eq!(ask(v1::ListResidentsRequest { parent: "sites/-".to_owned(), ..none() }).await, all);
    let s = |text: &str| text.to_owned();
    assert_eq!(
        ask(v1::ListResidentsRequest { care_group: s("careGroups/living_alone"), ..none() }).await,
        ["孙**", "赵**"]
    );
    assert_eq!(ask(v1::ListResidentsRequest { dwelling: second, ..none() }).await, ["孙**", "钱**"]);
    assert_eq!(ask(v1::ListResidentsRequest { identity_number: number, ..none() }).await, ["赵**"]);
    assert_eq!(ask(v1::ListResidentsRequest { phone: s("139 0000 1111"), ..none() }).await, ["赵**"]);
    assert_eq!(ask(v1::ListResidentsRequest { phone: s("13900002222"), ..none() }).await, [""; 0]);
    assert_eq!(
        ask(v1::ListResidentsRequest { min_tier: v1::Tier::High.into(), ..none() }).await,
        ["孙**", "赵**"]
    );
    assert_eq!(ask(v1::ListResidentsRequest { state: v1::FileState::Left.into(), ..none() }).await, [""; 0]);

    // Page by page, nobody twice, nobody missed.
    let mut request = v1::ListResidentsRequest { parent: site, page_size: 1, ..none() };
    let mut seen = Vec::new();
    loop {
        let page = client.ask(request.clone()).await.unwrap();
        assert_eq!(page.residents.len(), 1);
        seen.extend(page.residents.into_iter().map(|file| file.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (3, &sorted));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_change_groups_and_an_exit_waits_for_staff() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, resident) = client.estate("s1").await;
    let rule = "rule active 2026-03-16..";
    assert_eq!(
        memberships(&client, &resident).await,
        [format!("advanced_age {rule}"), format!("empty_nest {rule}"), format!("living_alone {rule}")]
    );
    let lives_alone = |value: bool| v1::UpdateResidentRequest {
        resident: Some(v1::Resident {
            name: resident.clone(),
            facts: vec![flag("lives_alone", value)],
            ..Default::default()
        }),
        update_mask: mask(&["facts"]),
        ..Default::default()
    };
    client.advance("2026-03-18T10:00:00+08:00").await;
    client.ask(lives_alone(false)).await.unwrap();
    // The duties run on until somebody confirms.
    let proposed = memberships(&client, &resident).await;
    assert_eq!(
        proposed,
        [
            format!("advanced_age {rule}"),
            "empty_nest rule proposed 2026-03-16..".to_owned(),
            "living_alone rule proposed 2026-03-16..".to_owned(),
        ]
    );
    assert_eq!(get(&client, &resident).await.groups.len(), 3);
    // And back again: nothing is proposed any more.
    client.advance("2026-03-18T11:00:00+08:00").await;
    client.ask(lives_alone(true)).await.unwrap();
    assert_eq!(memberships(&client, &resident).await[2], format!("living_alone {rule}"));
    client.advance("2026-03-18T12:00:00+08:00").await;
    client.ask(lives_alone(false)).await.unwrap();

    let all = v1::ListMembershipsRequest { parent: resident.clone(), ..Default::default() };
    let of = |answer: &v1::ListMembershipsResponse, group: &str| {
        answer.memberships.iter().find(|m| m.group == group).unwrap().clone()
    };
    let answer = client.ask(all).await.unwrap();
    let alone = of(&answer, "careGroups/living_alone");
    assert_eq!(alone.exit_cause(), v1::ExitCause::FactChanged);
    assert_eq!(alone.proposed_end_date, "2026-03-18");
    let exit = |membership: &v1::Membership| v1::ConfirmExitRequest {
        name: membership.name.clone(),
        etag: membership.etag.clone(),
        reason: "女儿搬来同住".to_owned(),
        ..Default::default()
    };
    refused(client.ask(exit(&of(&answer, "careGroups/advanced_age"))).await, "MEMBERSHIP_STATE");
    let ended = client.ask(exit(&alone)).await.unwrap();
    assert_eq!((ended.state(), ended.end_date.as_str()), (v1::MembershipState::Ended, "2026-03-18"));
    refused(
        client.ask(v1::ConfirmExitRequest { etag: String::new(), ..exit(&alone) }).await,
        "MEMBERSHIP_STATE",
    );
    assert_eq!(get(&client, &resident).await.groups, ["advanced_age", "empty_nest"]);
    server.stop().await;
}

/// A tier rises by rule and falls by somebody's word: until then what it asks for goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_tier_falls_by_confirmation_alone() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let site = client.site("s1").await;
    let dwelling = client.dwelling(&site, "501").await;
    let ill = v1::Resident { facts: vec![flag("seriously_ill", true)], ..elder(&dwelling, "秦安然") };
    let resident = client.resident(ill).await.name;
    let deputy = issuer.enter(&server, "lin", vec![grant(v1::StaffRole::Deputy, &["s1"])]).await;
    let steward = issuer.enter(&server, "wang", vec![grant(v1::StaffRole::Member, &["s1"])]).await;
    use v1::Tier::{General, High, Key, Unspecified};
    let tiers = async || {
        let file = get(&client, &resident).await;
        let standing = client.ask(v1::GetStandingRequest { name: resident.clone() }).await.unwrap();
        (file.tier(), file.proposed_tier(), standing.tier())
    };
    assert_eq!(tiers().await, (High, Unspecified, High));
    let confirm = |tier: v1::Tier| v1::ConfirmTierRequest {
        name: resident.clone(),
        tier: tier.into(),
        reason: "出院后病情稳定".to_owned(),
        ..Default::default()
    };
    for tier in [General, Key, High] {
        refused(deputy.ask(confirm(tier)).await, "PROPOSAL_STATE");
    }
    client.advance("2026-03-18T09:00:00+08:00").await;
    let well = v1::Resident {
        name: resident.clone(),
        facts: vec![flag("seriously_ill", false)],
        ..Default::default()
    };
    let well = v1::UpdateResidentRequest {
        resident: Some(well),
        update_mask: mask(&["facts"]),
        ..Default::default()
    };
    let etag = client.ask(well).await.unwrap().etag;
    assert_eq!(tiers().await, (High, General, High), "proposed, and not in force");
    let report = |kind| v1::ReportChangeRequest { name: resident.clone(), kind, ..Default::default() };
    let major = v1::ReportChangeRequest {
        event_kind: v1::EventKind::MajorChange.into(),
        ..report(v1::ChangeKind::Health.into())
    };
    client.ask(major.clone()).await.unwrap();
    let of_tier = async || {
        let owed = client.obligations(&resident, "", "").await;
        owed.iter().filter(|obligation| obligation.standard == "standards/elder.major_change").count()
    };
    assert_eq!(of_tier().await, 1, "owed to who is of the high tier");
    client.advance("2026-03-19T08:00:00+08:00").await;

    refused(steward.ask(confirm(General)).await, "PERMISSION_DENIED");
    refused(deputy.ask(confirm(Key)).await, "PROPOSAL_STATE");
    invalid(
        deputy.ask(v1::ConfirmTierRequest { reason: String::new(), ..confirm(Unspecified) }).await,
        &["reason", "tier"],
    );
    refused(
        deputy.ask(v1::ConfirmTierRequest { etag: "v1".to_owned(), ..confirm(General) }).await,
        "ETAG_MISMATCH",
    );
    let once = v1::ConfirmTierRequest { etag, request_id: request_id(5), ..confirm(General) };
    let file = deputy.ask(once.clone()).await.unwrap();
    assert_eq!((file.tier(), file.proposed_tier()), (General, Unspecified));
    assert_eq!(deputy.ask(once).await.unwrap(), file, "the same answer");
    assert_eq!(tiers().await, (General, Unspecified, General));
    refused(deputy.ask(confirm(General)).await, "PROPOSAL_STATE");
    client.ask(major).await.unwrap();
    assert_eq!(of_tier().await, 1, "what was owed before is owed still, and nothing new is");
    let history = v1::ListHistoryRequest { parent: resident.clone(), ..Default::default() };
    let history = client.ask(history).await.unwrap();
    let told = history.entries.iter().find(|entry| entry.fields.iter().any(|field| field == "tier")).unwrap();
    assert_eq!((told.fields.join(" ").as_str(), told.principal.as_str()), ("tier tier_reason", "staff/lin"));
    // Assessed again it stays, and rises by itself when a rule finds more.
    client.ask(v1::AssessResidentRequest { name: resident.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(tiers().await, (General, Unspecified, General));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memberships_are_declared_once_and_never_backdated() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let dwelling = client.dwelling(&site, "501").await;
    let young =
        v1::Resident { birth_date: "1950-01-01".to_owned(), facts: Vec::new(), ..elder(&dwelling, "周五") };
    let resident = client.resident(young).await.name;
    assert!(memberships(&client, &resident).await.is_empty());
    let declare = v1::DeclareMembershipRequest {
        parent: resident.clone(),
        group: "careGroups/living_alone".to_owned(),
        basis: v1::MembershipBasis::Declared.into(),
        true_from_date: "2026-01-01".to_owned(),
        end_date: "2026-06-01".to_owned(),
        evidence: "邻居所述".to_owned(),
        ..Default::default()
    };
    let declared = client.ask(declare.clone()).await.unwrap();
    assert_eq!((declared.start_date.as_str(), declared.end_date.as_str()), ("2026-03-16", "2026-06-01"));
    assert_eq!(declared.evidence, "邻居所述");
    refused(client.ask(declare.clone()).await, "MEMBERSHIP_STATE");
    assert_eq!(
        memberships(&client, &resident).await,
        ["living_alone declared active 2026-03-16..2026-06-01"]
    );
    assert!(client.owed(&resident).await.contains(&"elder.visit open 0/1".to_owned()));
    // The end takes effect by itself.
    client.advance("2026-06-02T09:00:00+08:00").await;
    assert_eq!(memberships(&client, &resident).await, ["living_alone declared ended 2026-03-16..2026-06-01"]);
    client.ask(v1::DeclareMembershipRequest { end_date: String::new(), ..declare }).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_reports_and_one_update_that_answers_one_of_them() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, resident) = client.estate("s1").await;
    let report = |kind: v1::ChangeKind| v1::ReportChangeRequest {
        name: resident.clone(),
        kind: kind.into(),
        description: "换了号码".to_owned(),
        ..Default::default()
    };
    let first = client.ask(report(v1::ChangeKind::Contact)).await.unwrap();
    assert_eq!((first.kind(), first.change_kind()), (v1::EventKind::ChangeReported, v1::ChangeKind::Contact));
    client.advance("2026-03-16T10:00:00+08:00").await;
    let second = client.ask(report(v1::ChangeKind::Health)).await.unwrap();
    let updates = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().filter(|line| line.starts_with("file.update")).collect()
    };
    assert_eq!(updates(client.owed(&resident).await), ["file.update open 0/1"; 2]);
    client.advance("2026-03-16T11:00:00+08:00").await;
    let apply = v1::ApplyChangeRequest {
        resident: Some(v1::Resident {
            name: resident.clone(),
            phone: "13900007777".to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["phone"]),
        answers: vec![first.name.clone()],
        ..Default::default()
    };
    let applied = client.ask(apply.clone()).await.unwrap();
    assert_eq!(applied.resident.unwrap().masked_phone, "139****7777");
    let record = applied.record.unwrap();
    assert_eq!(record.kind(), v1::ServiceKind::FileUpdate);
    assert_eq!(record.subjects[0].answers, [first.name]);
    let mut after = updates(client.owed(&resident).await);
    after.sort();
    assert_eq!(after, ["file.update met 1/1", "file.update open 0/1"]);
    // A plain correction answers nothing; a day later the second is missed, and stays open to be met late.
    client.advance("2026-03-17T10:00:01+08:00").await;
    let mut missed = updates(client.owed(&resident).await);
    missed.sort();
    assert_eq!(missed, ["file.update met 1/1", "file.update missed 0/1"]);
    client.ask(v1::ApplyChangeRequest { answers: vec![second.name], ..apply.clone() }).await.unwrap();
    let mut late = updates(client.owed(&resident).await);
    late.sort();
    assert_eq!(late, ["file.update met 1/1", "file.update met_late 1/1"]);
    // What is not a reported change of this resident cannot be answered.
    let unknown = vec!["sites/s1/events/none".to_owned()];
    let found =
        refused(client.ask(v1::ApplyChangeRequest { answers: unknown, ..apply }).await, "INVALID_FIELD");
    assert_eq!(found.fields(), ["answers[0]"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_in_opens_a_survey_until_the_sixteenth() {
    let server = Server::on(Data::sqlite().at("2026-03-01T08:00:00+08:00")).await;
    let client = server.client();
    let site = client.site("s1").await;
    let dwelling = client.dwelling(&site, "501").await;
    let moved = client
        .ask(v1::RecordMoveInRequest {
            parent: site.clone(),
            dwelling: dwelling.clone(),
            move_in_date: "2026-03-01".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    client.advance(MONDAY).await;
    let event = moved.event.unwrap();
    assert!(moved.resident.is_none());
    assert_eq!((event.kind(), &event.subject), (v1::EventKind::HouseholdMovedIn, &dwelling));
    let surveys = v1::ListObligationsRequest {
        parent: site.clone(),
        standard: "standards/survey.move_in".to_owned(),
        ..Default::default()
    };
    let owed = client.ask(surveys.clone()).await.unwrap().obligations;
    assert_eq!(owed.len(), 1);
    assert_eq!((owed[0].window_end_date.as_str(), &owed[0].event), ("2026-03-16", &event.name));
    assert_eq!(shown(owed[0].due_time.as_ref()), "2026-03-16T23:59");
    let survey = v1::Record {
        subjects: vec![v1::RecordSubject {
            subject: dwelling,
            outcome: v1::Outcome::Done.into(),
            answers: vec![event.name],
            ..Default::default()
        }],
        ..crate::harness::estate::contact(
            "",
            v1::ServiceKind::Survey,
            "2026-03-16T08:50:00+08:00",
            v1::Outcome::Done,
        )
    };
    client.record(survey).await;
    let owed = client.ask(surveys).await.unwrap().obligations;
    assert_eq!(owed[0].status(), v1::ObligationStatus::Met);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resident_moves_within_leaves_returns_and_dies() {
    let server = Server::start().await;
    let client = server.client();
    let (site, first, resident) = client.estate("s1").await;
    let second = client.dwelling(&site, "502").await;
    let move_in = |dwelling: &str, date: &str| v1::RecordMoveInRequest {
        parent: site.clone(),
        dwelling: dwelling.to_owned(),
        move_in_date: date.to_owned(),
        resident: resident.clone(),
        ..Default::default()
    };
    // Another room: the tenure goes on, no new household.
    let moved = client.ask(move_in(&second, "2026-03-16")).await.unwrap();
    let file = moved.resident.unwrap();
    assert!(moved.event.is_none());
    assert_eq!((file.dwelling.as_str(), file.move_in_date.as_str()), (second.as_str(), "2020-01-01"));
    refused(client.ask(move_in(&second, "2026-03-16")).await, "FILE_STATE");

    let leave = v1::RecordMoveOutRequest {
        name: resident.clone(),
        move_out_date: "2026-03-18".to_owned(),
        reason: "随女儿迁居".to_owned(),
        ..Default::default()
    };
    client.advance("2026-03-18T10:00:00+08:00").await;
    let left = client.ask(leave.clone()).await.unwrap();
    assert_eq!((left.state(), left.move_out_date.as_str()), (v1::FileState::Left, "2026-03-18"));
    refused(client.ask(leave).await, "FILE_STATE");
    // Monday to Wednesday is three days of seven: no full visit less, one call of two.
    let owed = client.owed(&resident).await;
    assert!(owed.iter().any(|line| line.starts_with("elder.call") && line.ends_with("0/1")), "{owed:?}");
    client.advance("2026-03-23T09:00:00+08:00").await;
    let owed = client.owed(&resident).await;
    assert!(!owed.iter().any(|line| line.starts_with("elder.")), "{owed:?}");
    let update = v1::UpdateResidentRequest {
        resident: Some(v1::Resident { name: resident.clone(), ..Default::default() }),
        update_mask: mask(&["phone"]),
        ..Default::default()
    };
    refused(client.ask(update).await, "FILE_STATE");

    // The return opens the file again, with a tenure of its own.
    let back = client.ask(move_in(&first, "2026-03-23")).await.unwrap().resident.unwrap();
    assert_eq!((back.state(), back.move_in_date.as_str()), (v1::FileState::Active, "2026-03-23"));
    assert!(back.move_out_date.is_empty());
    let owed = client.owed(&resident).await;
    assert!(owed.contains(&"elder.visit open 0/1".to_owned()), "{owed:?}");

    let die = v1::RecordDeathRequest {
        name: resident.clone(),
        death_date: "2026-03-23".to_owned(),
        ..Default::default()
    };
    let dead = client.ask(die.clone()).await.unwrap();
    assert_eq!((dead.state(), dead.death_date.as_str()), (v1::FileState::Left, "2026-03-23"));
    refused(client.ask(die).await, "FILE_STATE");
    refused(client.ask(move_in(&first, "2026-03-23")).await, "FILE_STATE");
    client.advance("2026-03-30T09:00:00+08:00").await;
    let owed = client.owed(&resident).await;
    assert!(!owed.iter().any(|line| line.starts_with("elder.")), "{owed:?}");

    // The history names who, when and what, newest first, and no value.
    let request = v1::ListHistoryRequest { parent: resident.clone(), ..Default::default() };
    let history = client.ask(request).await.unwrap().entries;
    let lines: Vec<String> =
        history.iter().map(|entry| format!("{} {}", entry.principal, entry.fields.join(","))).collect();
    assert_eq!(
        lines,
        ["staff/dev death_date", "staff/dev dwelling", "staff/dev move_out_date", "staff/dev dwelling"]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pauses_excuse_end_and_wait_for_a_deputy() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, resident) = client.estate("s1").await;
    let pause = |leave: &str, back: &str| v1::PauseRequest {
        parent: resident.clone(),
        pause: Some(v1::Pause {
            reason: v1::PauseReason::Hospital.into(),
            leave_date: leave.to_owned(),
            expected_return_date: back.to_owned(),
            note: "市一院".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let elder_lines = |lines: Vec<String>| -> Vec<String> {
        let wanted = |line: &String| line.starts_with("elder.call") || line.starts_with("elder.visit");
        lines.into_iter().filter(wanted).collect()
    };
    // Away from Sunday, back the Monday after next: not one active day in the coming week.
    let begun = client.ask(pause("2026-03-22", "2026-03-30")).await.unwrap();
    assert_eq!((begun.state(), begun.needs_confirmation), (v1::PauseState::Planned, false));
    refused(client.ask(pause("2026-03-29", "2026-04-02")).await, "PAUSE_STATE");
    client.advance("2026-03-25T09:00:00+08:00").await;
    let mut excused = elder_lines(client.owed(&resident).await);
    excused.sort();
    assert_eq!(excused, ["elder.call excused 0/0", "elder.visit excused 0/0"]);
    // It outlives the expected return: duties run again, and somebody has to check.
    client.advance("2026-03-31T09:00:00+08:00").await;
    let listed = |awaiting: bool| v1::ListPausesRequest {
        parent: resident.clone(),
        awaiting_confirmation: awaiting,
        ..Default::default()
    };
    let pauses = client.ask(listed(false)).await.unwrap().pauses;
    assert_eq!((pauses[0].state(), pauses[0].note.as_str()), (v1::PauseState::Overdue, ""));
    let owed = client.owed(&resident).await;
    assert!(owed.contains(&"elder.visit open 0/1".to_owned()), "{owed:?}");
    assert!(owed.iter().any(|line| line.contains("pause")), "a check of the overdue pause: {owed:?}");
    let end = v1::EndPauseRequest {
        name: begun.name.clone(),
        return_date: "2026-03-31".to_owned(),
        ..Default::default()
    };
    refused(client.ask(v1::EndPauseRequest { etag: "v9".to_owned(), ..end.clone() }).await, "ETAG_MISMATCH");
    let ended = client.ask(end.clone()).await.unwrap();
    assert_eq!((ended.state(), ended.return_date.as_str()), (v1::PauseState::Ended, "2026-03-31"));
    refused(client.ask(end).await, "PAUSE_STATE");
    refused(
        client.ask(v1::ConfirmPauseRequest { name: begun.name, ..Default::default() }).await,
        "PAUSE_STATE",
    );

    // Recorded after the week it would have excused: that week stays missed until a deputy confirms.
    let of_past = || client.obligations(&resident, "2026-03-16", "2026-03-22");
    let visits = |found: Vec<v1::Obligation>| {
        let visit = found.into_iter().find(|o| o.standard == "standards/elder.visit").unwrap();
        (visit.status(), visit.flags)
    };
    assert_eq!(visits(of_past().await).0, v1::ObligationStatus::Missed);
    let late = client.ask(pause("2026-03-15", "2026-03-22")).await.unwrap();
    assert!(late.needs_confirmation);
    assert_eq!(visits(of_past().await).0, v1::ObligationStatus::Missed);
    assert_eq!(client.ask(listed(true)).await.unwrap().pauses.len(), 1);
    let confirmed =
        client.ask(v1::ConfirmPauseRequest { name: late.name, ..Default::default() }).await.unwrap();
    assert_eq!(shown(confirmed.confirm_time.as_ref()), "2026-03-31T09:00");
    assert!(client.ask(listed(true)).await.unwrap().pauses.is_empty());
    let (status, flags) = visits(of_past().await);
    assert_ne!(status, v1::ObligationStatus::Missed);
    assert!(status != v1::ObligationStatus::Excused || flags == [i32::from(v1::ObligationFlag::LatePause)]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_changed_one_by_one_and_cleared() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let dwelling = client.dwelling(&site, "501").await;
    let person = v1::Resident {
        phone: "13900001234".to_owned(),
        health_note: "高血压".to_owned(),
        needs: vec![v1::Need::Medical.into()],
        ..elder(&dwelling, "秦安然")
    };
    let resident = client.resident(person).await.name;
    let update = |paths: &[&str], change: v1::Resident| v1::UpdateResidentRequest {
        resident: Some(v1::Resident { name: resident.clone(), ..change }),
        update_mask: mask(paths),
        ..Default::default()
    };
    // What the mask does not name stays, whatever the message holds; what it names and is absent is cleared.
    let ignored = v1::Resident { health_note: "改".to_owned(), ..Default::default() };
    client.ask(update(&["phone"], ignored)).await.unwrap();
    let full = client.full(&resident).await;
    assert_eq!((full.phone.as_str(), full.health_note.as_str()), ("", "高血压"));
    assert_eq!(full.needs, [i32::from(v1::Need::Medical)]);
    // An identity number brings birth date and sex, and must agree with what is said.
    let number = identity_number("19400501", 13);
    let numbered = v1::Resident { identity_number: number.clone(), ..Default::default() };
    client.ask(update(&["identity_number"], numbered)).await.unwrap();
    assert_eq!(client.full(&resident).await.sex(), v1::Sex::Male);
    let other = v1::Resident { birth_date: "1940-05-02".to_owned(), ..Default::default() };
    let found = refused(client.ask(update(&["birth_date"], other)).await, "INVALID_FIELD");
    assert_eq!(found.fields(), ["resident.birth_date"]);
    // Facts are added; a fact without a value is no longer known.
    let score = v1::Resident {
        facts: vec![fact("ability_score", Some(v1::value::Kind::Number(70)))],
        ..Default::default()
    };
    client.ask(update(&["facts"], score)).await.unwrap();
    assert_eq!(client.full(&resident).await.facts.len(), 2);
    let gone = v1::Resident { facts: vec![fact("ability_score", None)], ..Default::default() };
    client.ask(update(&["facts"], gone)).await.unwrap();
    let facts = client.full(&resident).await.facts;
    let known: Vec<&str> = facts.iter().filter(|f| f.value.is_some()).map(|f| f.field.as_str()).collect();
    assert_eq!(known, ["lives_alone"]);
    server.stop().await;
}
