//! The regulation, row by row: one story for each row of the mission that the product carries out, told over gRPC.
//!
//! The letters are those of the mission's table: A2 is Art. 2, A5.2 what order and security do, A8.1 the care of elders; `beyond`
//! counts the list below the table. What each story leaves out stands with its resource's own tests.

mod chapter_2;
mod chapter_3;

use std::collections::BTreeSet;

use linli_proto::v1::{self, Department, Outcome, ServiceKind, StaffRole};

use crate::harness::client::Client;
use crate::harness::estate::{at, contact, elder, flag, identity_number, line, mask};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

/// An estate with everybody who works in it.
struct Estate {
    server: Server,
    issuer: Issuer,
    site: String,
    /// Somebody who may do everything: who sets the estate up, and moves the clock.
    all: Client,
}

impl Estate {
    async fn start() -> Self {
        let issuer = Issuer::new();
        let server = Server::on(issuer.trusted(Data::sqlite())).await;
        let all = server.client();
        let site = all.site("a").await;
        Self { issuer, site, all, server }
    }

    /// Somebody with a role in the estate.
    async fn enter(&self, id: &str, role: StaffRole) -> Client {
        self.issuer.enter(&self.server, id, vec![grant(role, &["a"])]).await
    }

    /// A member of a department.
    async fn of(&self, department: Department) -> Client {
        let id = department.as_str_name().trim_start_matches("DEPARTMENT_").to_lowercase().replace('_', "-");
        let member = v1::StaffGrant { department: department.into(), ..grant(StaffRole::Member, &["a"]) };
        self.issuer.enter(&self.server, &id, vec![member]).await
    }

    /// An elder of advanced age who lives alone in a room of building 3.
    async fn elder(&self, room: &str, name: &str) -> String {
        let dwelling = self.all.dwelling(&self.site, room).await;
        self.all.resident(elder(&dwelling, name)).await.name
    }

    /// An area of a building, or of the whole estate.
    async fn area(&self, id: &str, kind: v1::AreaKind, building: &str) -> String {
        let area = v1::Area {
            kind: kind.into(),
            display_name: id.to_owned(),
            building: building.to_owned(),
            ..Default::default()
        };
        let request = v1::CreateAreaRequest {
            parent: self.site.clone(),
            area: Some(area),
            area_id: id.to_owned(),
            ..Default::default()
        };
        self.all.ask(request).await.unwrap().name
    }

    /// A post of a department, for some buildings or the whole estate.
    async fn post(&self, id: &str, department: Department, buildings: &[&str]) -> String {
        let post = v1::Post {
            display_name: id.to_owned(),
            department: department.into(),
            buildings: buildings.iter().map(|&building| building.to_owned()).collect(),
            ..Default::default()
        };
        let request = v1::CreatePostRequest {
            parent: self.site.clone(),
            post: Some(post),
            post_id: id.to_owned(),
            ..Default::default()
        };
        self.all.ask(request).await.unwrap().name
    }

    /// What a department owes places on some days: `place day standard status credited/required`, sorted.
    async fn places(&self, department: Department, from: &str, to: &str) -> Vec<String> {
        let mut request = v1::ListObligationsRequest {
            parent: self.site.clone(),
            department: department.into(),
            start_date: from.to_owned(),
            end_date: to.to_owned(),
            page_size: 200,
            ..Default::default()
        };
        let mut found = Vec::new();
        loop {
            let page = self.all.ask(request.clone()).await.unwrap();
            let of_places = page.obligations.iter().filter(|owed| !owed.subject.contains("/residents/"));
            found.extend(of_places.map(|owed| {
                let place = owed.subject.rsplit('/').next().unwrap();
                format!("{place} {} {}", owed.window_start_date, line(owed))
            }));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        found.sort();
        found
    }

    async fn stop(self) {
        self.server.stop().await;
    }
}

/// A round over places, done but for those named as left out.
async fn round(by: &Client, kind: ServiceKind, time: &str, places: &[&str], left_out: &[&str]) {
    let site = places[0].split('/').take(2).collect::<Vec<_>>().join("/");
    let exception = |place: &&str| v1::RecordSubject {
        subject: (*place).to_owned(),
        outcome: Outcome::NotDone.into(),
        note: "无法通行".to_owned(),
        ..Default::default()
    };
    let request = v1::RecordRoundRequest {
        parent: site,
        kind: kind.into(),
        occur_time: Some(at(time)),
        subjects: places.iter().map(|&place| place.to_owned()).collect(),
        exceptions: left_out.iter().map(exception).collect(),
        ..Default::default()
    };
    by.ask(request).await.unwrap();
}

/// The kinds of a post's worklist for one subject, by the end of a day; of the week where none is given.
async fn to_do(by: &Client, post: &str, subject: &str, until: &str) -> BTreeSet<String> {
    let request = v1::ListWorklistRequest {
        parent: post.to_owned(),
        page_size: 200,
        until_date: until.to_owned(),
        ..Default::default()
    };
    let items = by.ask(request).await.unwrap().items;
    let own = items.iter().filter(|item| item.subject == subject);
    own.map(|item| item.kind().as_str_name().trim_start_matches("SERVICE_KIND_").to_lowercase()).collect()
}

/// A2: twelve groups, each with its names, its plugin and its source; one person may be in several.
#[tokio::test(flavor = "multi_thread")]
async fn a2_twelve_groups_and_one_person_in_several() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let groups = steward.ask(v1::ListCareGroupsRequest::default()).await.unwrap().care_groups;
    let titles: BTreeSet<&str> =
        groups.iter().filter_map(|group| group.title.as_ref()).map(|title| title.zh.as_str()).collect();
    let named = [
        "独居老人",
        "空巢老人",
        "高龄老人",
        "残疾人",
        "困境儿童",
        "孕妇",
        "哺乳期妇女",
        "低保对象",
        "低保边缘家庭",
        "残疾军人",
        "退役军人",
        "军人遗属",
    ];
    assert!(named.iter().all(|name| titles.contains(name)), "{titles:?}");
    for group in &groups {
        assert!(group.plugin.starts_with("plugins/") && group.citation.is_some(), "{group:?}");
        assert!(group.title.as_ref().is_some_and(|title| title.en.is_ascii()), "{group:?}");
    }
    let qin = estate.elder("501", "秦安然").await;
    let memberships = v1::ListMembershipsRequest { parent: qin, ..Default::default() };
    let found = steward.ask(memberships).await.unwrap().memberships;
    let codes: BTreeSet<&str> = found.iter().map(|membership| membership.group.as_str()).collect();
    assert!(codes.is_superset(&["careGroups/living_alone", "careGroups/advanced_age"].into()), "{codes:?}");
    estate.stop().await;
}

/// A3.1: people are shown masked, and in clear only to whom it concerns, for a purpose.
#[tokio::test(flavor = "multi_thread")]
async fn a3_1_people_are_masked_unless_somebody_has_a_purpose() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let guard = estate.of(Department::Security).await;
    let qin = estate.elder("501", "秦安然").await;
    let get = |view: v1::View| v1::GetResidentRequest { name: qin.clone(), view: view.into() };
    let masked = steward.ask(get(v1::View::Masked)).await.unwrap();
    assert_eq!((masked.display_name.as_str(), masked.full_name.as_str()), ("秦**", ""));
    // Class by class: what care needs, and not why somebody is poor.
    let reveal =
        |class: v1::FieldClass| v1::RevealResidentRequest { name: qin.clone(), classes: vec![class.into()] };
    refused(steward.ask(reveal(v1::FieldClass::Contact)).await, "PURPOSE_REQUIRED");
    let purposeful = steward.purposeful();
    assert_eq!(purposeful.ask(reveal(v1::FieldClass::Contact)).await.unwrap().full_name, "秦安然");
    refused(purposeful.ask(reveal(v1::FieldClass::Status)).await, "PERMISSION_DENIED");
    refused(purposeful.ask(get(v1::View::Full)).await, "PERMISSION_DENIED");
    let deputy = estate.enter("lin", StaffRole::Deputy).await.purposeful();
    assert_eq!(deputy.ask(get(v1::View::Full)).await.unwrap().full_name, "秦安然");
    refused(guard.purposeful().ask(reveal(v1::FieldClass::Contact)).await, "PERMISSION_DENIED");
    estate.stop().await;
}

/// A3.2: one file per person, and a plan from their own facts with a reason for every item.
#[tokio::test(flavor = "multi_thread")]
async fn a3_2_one_file_and_a_plan_with_a_reason_for_everything() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let leader = estate.enter("wang", StaffRole::Leader).await;
    let dwelling = estate.all.dwelling(&estate.site, "501").await;
    let numbered = || v1::Resident {
        identity_number: identity_number("19400501", 7),
        birth_date: String::new(),
        ..elder(&dwelling, "秦安然")
    };
    let open = v1::CreateResidentRequest {
        parent: estate.site.clone(),
        resident: Some(numbered()),
        ..Default::default()
    };
    let qin = steward.ask(open.clone()).await.unwrap().name;
    refused(steward.ask(open).await, "IDENTITY_TAKEN");
    let plan = steward.ask(v1::DraftPlanRequest { parent: qin.clone() }).await.unwrap();
    assert!(plan.items.len() > 3, "{plan:?}");
    assert!(plan.items.iter().all(|item| !item.reason.is_empty() && !item.reasons.is_empty()), "{plan:?}");
    let alone = plan.items.iter().filter(|item| item.standard == "standards/elder.visit");
    let alone = alone.flat_map(|item| &item.reasons);
    assert!(alone.clone().any(|reason| reason.plugin == "plugins/cn.linli.elderly"), "{plan:?}");
    let submit = v1::SubmitPlanRequest { parent: qin, plan: Some(plan), ..Default::default() };
    let submitted = steward.ask(submit).await.unwrap().name;
    let approved =
        leader.ask(v1::ApprovePlanRequest { name: submitted, ..Default::default() }).await.unwrap();
    assert_eq!(approved.state(), v1::CarePlanState::InForce);
    estate.stop().await;
}

/// A3.3: one visit is recorded once and satisfies every duty that it serves.
#[tokio::test(flavor = "multi_thread")]
async fn a3_3_one_visit_satisfies_several_duties() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let dwelling = estate.all.dwelling(&estate.site, "501").await;
    let mut ill = elder(&dwelling, "秦安然");
    ill.facts.push(flag("dementia", true));
    let qin = estate.all.resident(ill).await.name;
    let change = v1::ReportChangeRequest {
        name: qin.clone(),
        kind: v1::ChangeKind::Health.into(),
        event_kind: v1::EventKind::MajorChange.into(),
        ..Default::default()
    };
    steward.ask(change).await.unwrap();
    let post = estate.post("building-3", Department::CustomerService, &["3"]).await;
    let list = v1::ListWorklistRequest { parent: post, ..Default::default() };
    let items = steward.ask(list).await.unwrap().items;
    let visit = items.iter().find(|item| item.kind() == ServiceKind::HomeVisit).unwrap();
    let served: BTreeSet<&str> = visit.obligations.iter().map(|owed| owed.standard.as_str()).collect();
    assert!(
        served.is_superset(&["standards/elder.visit", "standards/elder.major_change"].into()),
        "{served:?}"
    );
    estate.all.advance("2026-03-16T12:00:00+08:00").await;
    let record = steward.done(&qin, ServiceKind::HomeVisit, "2026-03-16T11:00:00+08:00").await.name;
    let credited: BTreeSet<String> = steward
        .obligations(&qin, "", "")
        .await
        .into_iter()
        .filter(|owed| owed.credited_records == [record.as_str()])
        .map(|owed| owed.standard.trim_start_matches("standards/").to_owned())
        .collect();
    assert!(credited.contains("elder.visit") && credited.contains("elder.major_change"), "{credited:?}");
    let list = v1::ListRecordsRequest { parent: estate.site.clone(), ..Default::default() };
    assert_eq!(steward.ask(list).await.unwrap().records.len(), 1, "recorded once");
    estate.stop().await;
}

/// A3.4: a server that stood still for two weeks has forgotten neither week.
#[tokio::test(flavor = "multi_thread")]
async fn a3_4_two_weeks_of_downtime_lose_no_duty() {
    let server = Server::start().await;
    let (_, _, qin) = server.client().estate("a").await;
    let data = server.stop().await.at("2026-03-30T09:00:00+08:00");
    let server = Server::on(data).await;
    let found = server.client().obligations(&qin, "2026-03-16", "2026-04-05").await;
    let visits: Vec<String> = found
        .iter()
        .filter(|owed| owed.standard == "standards/elder.visit")
        .map(|owed| format!("{} {}", owed.window_start_date, line(owed)))
        .collect();
    assert_eq!(
        visits,
        [
            "2026-03-16 elder.visit missed 0/1",
            "2026-03-23 elder.visit missed 0/1",
            "2026-03-30 elder.visit open 0/1"
        ]
    );
    server.stop().await;
}

/// A3.5: bodies outside take part: what they may be told is agreed and consented to, what they were told is on record, and whether they
/// answered is asked after.
#[tokio::test(flavor = "multi_thread")]
async fn a3_5_bodies_outside_take_part() {
    let estate = Estate::start().await;
    let qin = estate.elder("501", "秦安然").await;
    let deputy = estate.enter("lin", StaffRole::Deputy).await;
    let steward = estate.of(Department::CustomerService).await;
    let clinic = v1::CommunityBody {
        sites: vec![estate.site.clone()],
        agreement: Some(crate::community_body::agreed(
            &[v1::DisclosedField::Name, v1::DisclosedField::Address],
            &[v1::DisclosurePurpose::Referral],
        )),
        ..crate::community_body::station()
    };
    let body = crate::community_body::enter(&deputy, "clinic", clinic).await;
    let referral = v1::Referral {
        resident: qin.clone(),
        body,
        purpose: v1::DisclosurePurpose::Referral.into(),
        basis: v1::DisclosureBasis::Consent.into(),
        matter: v1::ReferralMatter::AbilityAssessment.into(),
        urgency: v1::RequestUrgency::Routine.into(),
        fields: vec![v1::DisclosedField::Name.into(), v1::DisclosedField::Address.into()],
        handed_over: true,
        ..Default::default()
    };
    let hand = v1::CreateReferralRequest {
        parent: estate.site.clone(),
        referral: Some(referral),
        ..Default::default()
    };
    refused(steward.ask(hand.clone()).await, "DISCLOSURE_REFUSED");
    steward.ask(crate::consent::given_by(&qin, v1::ConsentSignatory::Resident)).await.unwrap();
    let sent = steward.ask(hand).await.unwrap();
    let asked_after = async || {
        let found = steward.obligations(&qin, "2026-03-16", "2026-04-30").await;
        let own = found.iter().filter(|owed| owed.standard.starts_with("standards/referral."));
        own.map(line).collect::<Vec<_>>()
    };
    assert_eq!(asked_after().await, ["referral.acknowledge open 0/1"]);
    let answer = v1::RecordAcknowledgementRequest {
        name: sent.name,
        decision: v1::ReferralDecision::Accepted.into(),
        ..Default::default()
    };
    steward.ask(answer).await.unwrap();
    assert_eq!(asked_after().await, ["referral.acknowledge met 1/1", "referral.close open 0/1"]);
    let ledger = v1::ListDisclosuresRequest { parent: qin, ..Default::default() };
    let told = steward.ask(ledger).await.unwrap().disclosures;
    assert_eq!(told.iter().map(|told| told.agreement.as_str()).collect::<Vec<_>>(), ["协议 2026-7"]);
    estate.stop().await;
}

/// A4: the leader approves, a deputy supervises, members carry out, volunteers see tasks; posts have people, and cover during
/// leave.
#[tokio::test(flavor = "multi_thread")]
async fn a4_posts_have_people_and_cover_during_leave() {
    let estate = Estate::start().await;
    let qin = estate.elder("501", "秦安然").await;
    let deputy = estate.enter("lin", StaffRole::Deputy).await;
    let volunteer = estate.enter("wu", StaffRole::Volunteer).await;
    let leader = estate.enter("wang", StaffRole::Leader).await;
    let post = estate.post("building-3", Department::CustomerService, &["3"]).await;
    let hold = |staff: &str, from: &str, to: &str, cover: bool| v1::AddPostHolderRequest {
        name: post.clone(),
        holder: Some(v1::PostHolder {
            staff: format!("staff/{staff}"),
            cover,
            start_date: from.to_owned(),
            end_date: to.to_owned(),
        }),
        ..Default::default()
    };
    deputy.ask(hold("chen", "2026-03-01", "", false)).await.unwrap();
    // Chen is away for two days; Wu, a volunteer, stands in and sees tasks, no files.
    deputy.ask(hold("wu", "2026-03-17", "2026-03-18", true)).await.unwrap();
    refused(deputy.ask(hold("zhao", "2026-03-20", "", false)).await, "POST_HOLDER_STATE");
    let list = v1::ListWorklistRequest { parent: post.clone(), ..Default::default() };
    let whose = |staff: &str| v1::ListPostsRequest {
        parent: estate.site.clone(),
        staff: format!("staff/{staff}"),
        ..Default::default()
    };
    let held = async |staff: &str| deputy.ask(whose(staff)).await.unwrap().posts.len();
    for (day, covers) in [(16, false), (17, true), (18, true), (19, false)] {
        estate.all.advance(&format!("2026-03-{day}T10:00:00+08:00")).await;
        assert_eq!((held("chen").await, held("wu").await), (1, usize::from(covers)), "{day}");
        let answer = volunteer.ask(list.clone()).await;
        if covers {
            let items = answer.unwrap().items;
            let visit = items.iter().find(|item| item.kind() == ServiceKind::HomeVisit).unwrap();
            assert_eq!((visit.display_name.as_str(), visit.subject.as_str()), ("安然", ""));
            assert_eq!(visit.dwelling_display_name, "3栋2单元501");
        } else {
            refused(answer, "PERMISSION_DENIED");
        }
    }
    refused(
        volunteer.ask(v1::GetResidentRequest { name: qin.clone(), ..Default::default() }).await,
        "PERMISSION_DENIED",
    );
    // What asks less of everybody is the leader's to approve.
    let less = crate::standard_override::monthly(&estate.site, "elder.visit", "2026-05-31");
    let asked = deputy.ask(less).await.unwrap().name;
    let approve = v1::ApproveOverrideRequest { name: asked, ..Default::default() };
    refused(deputy.ask(approve.clone()).await, "PERMISSION_DENIED");
    leader.ask(approve).await.unwrap();
    estate.stop().await;
}

/// A5.2: guards check passages, patrol flagged homes at night and stand at the school gate, and know no group.
#[tokio::test(flavor = "multi_thread")]
async fn a5_2_guards_patrol_check_passages_and_stand_at_the_gate() {
    let estate = Estate::start().await;
    let guard = estate.of(Department::Security).await;
    let qin = estate.elder("501", "秦安然").await;
    let home = estate.area("b3", v1::AreaKind::Building, "3").await;
    let empty = estate.area("b9", v1::AreaKind::Building, "9").await;
    let passage = estate.area("ramp", v1::AreaKind::Passage, "9").await;
    let gate = estate.area("gate", v1::AreaKind::Gate, "9").await;
    let monday = ("2026-03-16", "2026-03-16");
    let owed = async |(from, to): (&str, &str)| estate.places(Department::Security, from, to).await;
    let found = owed(monday).await;
    let without_status: Vec<String> = found
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            format!("{} {} {}", words[0], words[2], words[4])
        })
        .collect();
    assert_eq!(without_status, ["b3 patrol.night 0/1", "gate schoolrun.post 0/2", "ramp passage.check 0/1"]);
    let post = estate.post("gatehouse", Department::Security, &[]).await;
    assert_eq!(to_do(&guard, &post, &home, "").await, ["patrol".to_owned()].into());
    assert_eq!(to_do(&guard, &post, &gate, "").await, ["post".to_owned()].into());
    assert!(to_do(&guard, &post, &empty, "").await.is_empty());

    estate.all.advance("2026-03-16T23:00:00+08:00").await;
    round(&guard, ServiceKind::Post, "2026-03-16T07:40:00+08:00", &[&gate], &[]).await;
    round(&guard, ServiceKind::Post, "2026-03-16T16:30:00+08:00", &[&gate], &[]).await;
    round(&guard, ServiceKind::PassageCheck, "2026-03-16T10:00:00+08:00", &[&passage], &[&passage]).await;
    round(&guard, ServiceKind::Patrol, "2026-03-16T22:30:00+08:00", &[&home, &empty], &[]).await;
    assert_eq!(
        owed(monday).await,
        [
            "b3 2026-03-16 patrol.night met 1/1",
            "gate 2026-03-16 schoolrun.post met 2/2",
            // The ramp was blocked: seen, and not done.
            "ramp 2026-03-16 passage.check at_risk 0/1"
        ]
    );
    // No school on Saturday; the patrol goes on.
    let saturday = owed(("2026-03-21", "2026-03-21")).await;
    let upcoming = ["b3 2026-03-21 patrol.night upcoming 0/1", "ramp 2026-03-21 passage.check upcoming 0/1"];
    assert_eq!(saturday, upcoming);
    // Guards see that a home is flagged, neither by whom nor why.
    let list = v1::ListObligationsRequest {
        parent: estate.site.clone(),
        standard: "standards/patrol.night".to_owned(),
        ..Default::default()
    };
    for owed in guard.ask(list).await.unwrap().obligations {
        let codes: Vec<&str> = owed.reasons.iter().map(|reason| reason.code.as_str()).collect();
        assert_eq!(codes, ["flagged"]);
    }
    refused(
        guard.ask(v1::GetResidentRequest { name: qin.clone(), ..Default::default() }).await,
        "PERMISSION_DENIED",
    );
    // When nobody lives there any more, nobody patrols.
    estate.all.advance("2026-03-18T09:00:00+08:00").await;
    let leave =
        v1::RecordMoveOutRequest { name: qin, move_out_date: "2026-03-18".to_owned(), ..Default::default() };
    estate.all.ask(leave).await.unwrap();
    let after = owed(("2026-03-20", "2026-03-20")).await;
    assert!(!after.iter().any(|line| line.contains("patrol.night")), "{after:?}");
    estate.stop().await;
}

/// A5.3: engineers check the homes of people in care each quarter, those of high attention each month; one check serves both.
#[tokio::test(flavor = "multi_thread")]
async fn a5_3_engineers_check_flagged_homes() {
    let estate = Estate::start().await;
    let engineer = estate.of(Department::Engineering).await;
    estate.elder("501", "秦安然").await;
    let second = estate.all.dwelling(&estate.site, "502").await;
    let mut ill = elder(&second, "陶静好");
    ill.facts.push(flag("dementia", true));
    estate.all.resident(ill).await;
    estate.all.dwelling(&estate.site, "503").await;
    estate.all.advance("2026-04-02T09:00:00+08:00").await;
    let owed = async || estate.places(Department::Engineering, "2026-04-02", "2026-04-02").await;
    let quarter = ["d501 2026-04-01 home.safety open 0/1", "d502 2026-04-01 home.safety open 0/1"];
    let found = owed().await;
    let high: Vec<&String> = found.iter().filter(|line| line.contains("home.safety.high")).collect();
    let usual: Vec<&String> = found.iter().filter(|line| !line.contains("home.safety.high")).collect();
    assert_eq!(usual, quarter, "{found:?}");
    assert!(high.contains(&&"d502 2026-04-01 home.safety.high open 0/1".to_owned()), "{found:?}");
    assert!(!found.iter().any(|line| line.starts_with("d503")), "{found:?}");
    let post = estate.post("workshop", Department::Engineering, &["3"]).await;
    assert_eq!(to_do(&engineer, &post, &second, "2026-04-30").await, ["safety_check".to_owned()].into());
    let homes = [format!("{}/dwellings/d501", estate.site), second];
    let homes: Vec<&str> = homes.iter().map(String::as_str).collect();
    // Nobody opened at 502; the next day somebody did.
    round(&engineer, ServiceKind::SafetyCheck, "2026-04-02T08:30:00+08:00", &homes, &homes[1..]).await;
    assert!(owed().await.contains(&"d501 2026-04-01 home.safety met 1/1".to_owned()));
    estate.all.advance("2026-04-03T12:00:00+08:00").await;
    round(&engineer, ServiceKind::SafetyCheck, "2026-04-03T10:00:00+08:00", &homes[1..], &[]).await;
    let found = owed().await;
    for line in ["d502 2026-04-01 home.safety met 1/1", "d502 2026-04-01 home.safety.high met 1/1"] {
        assert!(found.contains(&line.to_owned()), "{line}: {found:?}");
    }
    estate.stop().await;
}

/// A5.4: cleaners come more often near the homes of people in care.
#[tokio::test(flavor = "multi_thread")]
async fn a5_4_cleaners_come_more_often_near_flagged_homes() {
    let estate = Estate::start().await;
    let cleaner = estate.of(Department::Cleaning).await;
    estate.elder("501", "秦安然").await;
    let stairs = estate.area("stairs", v1::AreaKind::Stairwell, "3").await;
    let elsewhere = estate.area("other", v1::AreaKind::Stairwell, "9").await;
    let week = async || estate.places(Department::Cleaning, "2026-03-16", "2026-03-22").await;
    assert_eq!(
        week().await,
        ["stairs 2026-03-16 clean.area open 0/2", "stairs 2026-03-16 disinfect.area open 0/1"]
    );
    let post = estate.post("cleaners", Department::Cleaning, &["3"]).await;
    let both: BTreeSet<String> = ["cleaning", "disinfection"].map(str::to_owned).into();
    assert_eq!(to_do(&cleaner, &post, &stairs, "").await, both);
    let places = [stairs.as_str(), elsewhere.as_str()];
    estate.all.advance("2026-03-18T18:00:00+08:00").await;
    round(&cleaner, ServiceKind::Cleaning, "2026-03-16T08:00:00+08:00", &places, &[]).await;
    round(&cleaner, ServiceKind::Disinfection, "2026-03-17T08:00:00+08:00", &places, &[]).await;
    round(&cleaner, ServiceKind::Cleaning, "2026-03-18T08:00:00+08:00", &places, &[]).await;
    assert_eq!(
        week().await,
        ["stairs 2026-03-16 clean.area met 2/2", "stairs 2026-03-16 disinfect.area met 1/1"]
    );
    estate.stop().await;
}

/// A6.3: a newcomer's home is surveyed within 15 days, every file reviewed each quarter, every dwelling surveyed each year.
#[tokio::test(flavor = "multi_thread")]
async fn a6_3_surveys_after_a_move_in_each_quarter_and_each_year() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let qin = estate.elder("501", "秦安然").await;
    let empty = estate.all.dwelling(&estate.site, "502").await;
    let move_in = v1::RecordMoveInRequest {
        parent: estate.site.clone(),
        dwelling: empty.clone(),
        move_in_date: "2026-03-16".to_owned(),
        ..Default::default()
    };
    steward.ask(move_in).await.unwrap();
    let surveys = async || {
        let mut found = estate.places(Department::CustomerService, "2026-03-16", "2026-04-05").await;
        found.retain(|line| line.contains(" survey."));
        found
    };
    let open = [
        "d501 2026-01-01 survey.full open 0/1",
        "d502 2026-01-01 survey.full open 0/1",
        "d502 2026-03-16 survey.move_in open 0/1",
    ];
    assert_eq!(surveys().await, open);
    // The day of the move-in does not count: the last of the 15 is 31 March.
    estate.all.advance("2026-03-31T20:00:00+08:00").await;
    round(&steward, ServiceKind::Survey, "2026-03-31T18:00:00+08:00", &[&empty], &[]).await;
    let done = ["d502 2026-01-01 survey.full met 1/1", "d502 2026-03-16 survey.move_in met 1/1"];
    assert_eq!(surveys().await[1..], done);
    estate.all.advance("2026-04-02T09:00:00+08:00").await;
    let reviews = async || {
        let found = steward.obligations(&qin, "2026-03-16", "2026-04-05").await;
        let reviews = found.iter().filter(|owed| owed.standard == "standards/survey.review");
        let mut shown: Vec<String> =
            reviews.map(|owed| format!("{} {}", owed.window_start_date, line(owed))).collect();
        shown.sort();
        shown
    };
    assert_eq!(reviews().await, ["2026-01-01 survey.review missed 0/1", "2026-04-01 survey.review open 0/1"]);
    steward.done(&qin, ServiceKind::Review, "2026-04-02T08:30:00+08:00").await;
    assert_eq!(reviews().await[1], "2026-04-01 survey.review met 1/1");
    estate.stop().await;
}

/// A7.2: what was done is recorded with time, staff and evaluation; a reported change is in the file within 24 hours, and being
/// late shows.
#[tokio::test(flavor = "multi_thread")]
async fn a7_2_changes_are_applied_within_a_day_and_lateness_shows() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let qin = estate.elder("501", "秦安然").await;
    let report = v1::ReportChangeRequest {
        name: qin.clone(),
        kind: v1::ChangeKind::Health.into(),
        description: "跌倒后行动不便".to_owned(),
        ..Default::default()
    };
    let apply = async |event: String| {
        let change = v1::Resident {
            name: qin.clone(),
            health_note: "行动不便,使用助行器".to_owned(),
            ..Default::default()
        };
        let request = v1::ApplyChangeRequest {
            resident: Some(change),
            update_mask: mask(&["health_note"]),
            answers: vec![event],
            ..Default::default()
        };
        steward.ask(request).await.unwrap();
    };
    let standing = async || {
        let found = steward.obligations(&qin, "", "").await;
        let updates = found.iter().filter(|owed| owed.standard == "standards/file.update");
        updates.map(line).collect::<Vec<_>>()
    };
    let first = steward.ask(report.clone()).await.unwrap().name;
    estate.all.advance("2026-03-17T08:59:00+08:00").await;
    apply(first).await;
    assert_eq!(standing().await, ["file.update met 1/1"]);
    let second = steward.ask(report).await.unwrap().name;
    estate.all.advance("2026-03-18T10:00:00+08:00").await;
    assert_eq!(standing().await[1], "file.update missed 0/1");
    apply(second).await;
    assert_eq!(standing().await[1], "file.update met_late 1/1");

    let visit = steward.done(&qin, ServiceKind::HomeVisit, "2026-03-18T09:30:00+08:00").await;
    assert_eq!(visit.performer, "staff/customer-service");
    let evaluate = v1::EvaluateRecordRequest {
        name: visit.name.clone(),
        subject: qin.clone(),
        satisfaction: 5,
        comment: "很满意".to_owned(),
        ..Default::default()
    };
    steward.ask(evaluate).await.unwrap();
    let get = v1::GetRecordRequest { name: visit.name, view: v1::View::Full.into() };
    let full = steward.purposeful().ask(get).await.unwrap();
    assert_eq!(full.evaluations[0].comment, "很满意");
    estate.stop().await;
}

/// A7.3: only the working group sees files, for a care purpose; every look leaves an entry that nobody can take away.
#[tokio::test(flavor = "multi_thread")]
async fn a7_3_every_look_at_a_file_leaves_an_entry() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let auditor = estate.enter("sun", StaffRole::Auditor).await;
    let qin = estate.elder("501", "秦安然").await;
    let reveal = v1::RevealResidentRequest {
        name: qin.clone(),
        classes: vec![v1::FieldClass::Contact.into(), v1::FieldClass::Identity.into()],
    };
    refused(estate.server.outsider().purposeful().ask(reveal.clone()).await, "PERMISSION_DENIED");
    refused(auditor.purposeful().ask(reveal.clone()).await, "PERMISSION_DENIED");
    refused(steward.ask(reveal.clone()).await, "PURPOSE_REQUIRED");
    steward.purposeful().ask(reveal).await.unwrap();
    let list =
        v1::ListAuditEntriesRequest { parent: estate.site.clone(), page_size: 200, ..Default::default() };
    let entries = auditor.ask(list).await.unwrap().entries;
    let looks: Vec<_> = entries.iter().filter(|entry| entry.method.ends_with("/RevealResident")).collect();
    let by: Vec<&str> = looks.iter().map(|entry| entry.principal.as_str()).collect();
    assert!(by.contains(&"customer-service"), "{looks:?}");
    let verified = auditor.ask(v1::VerifyAuditRequest { parent: estate.site.clone() }).await.unwrap();
    assert!(verified.intact, "{verified:?}");
    estate.stop().await;
}

/// A8.1: elders are visited once and called twice a week, on two days; who is not reached is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn a8_1_elders_are_visited_weekly_and_called_twice() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let qin = estate.elder("501", "秦安然").await;
    let post = estate.post("building-3", Department::CustomerService, &["3"]).await;
    let list = v1::ListWorklistRequest { parent: post, ..Default::default() };
    let times = async |kind: ServiceKind| {
        let items = steward.ask(list.clone()).await.unwrap().items;
        items.iter().filter(|item| item.kind() == kind).map(|item| item.times).sum::<i32>()
    };
    assert_eq!((times(ServiceKind::HomeVisit).await, times(ServiceKind::PhoneCall).await), (1, 2));
    estate.all.advance("2026-03-18T12:00:00+08:00").await;
    steward.done(&qin, ServiceKind::PhoneCall, "2026-03-16T09:00:00+08:00").await;
    steward.done(&qin, ServiceKind::PhoneCall, "2026-03-16T17:00:00+08:00").await;
    assert_eq!(steward.calls_and_visits(&qin).await[0], "elder.call open 1/2");
    steward
        .record(contact(&qin, ServiceKind::PhoneCall, "2026-03-18T09:00:00+08:00", Outcome::NotReached))
        .await;
    assert_eq!(steward.calls_and_visits(&qin).await[0], "elder.call open 1/2");
    let ladder = steward.owed(&qin).await;
    assert!(ladder.iter().any(|line| line.starts_with("contact.ladder.retry")), "{ladder:?}");
    steward.done(&qin, ServiceKind::HomeVisit, "2026-03-18T11:00:00+08:00").await;
    steward.done(&qin, ServiceKind::PhoneCall, "2026-03-18T11:30:00+08:00").await;
    assert_eq!(steward.calls_and_visits(&qin).await, ["elder.call met 2/2", "elder.visit met 1/1"]);
    // Every regulation's number says where it comes from.
    for code in ["elder.visit", "elder.call"] {
        let standard =
            steward.ask(v1::GetStandardRequest { name: format!("standards/{code}") }).await.unwrap();
        assert_eq!(standard.citation.unwrap().confidence(), v1::Confidence::Verified, "{code}");
    }
    estate.stop().await;
}

/// A9+: the groups of the part that the source cuts off have standards too, each saying where its number comes from; a site may
/// edit what is a default.
#[tokio::test(flavor = "multi_thread")]
async fn a9_every_group_has_standards_that_a_site_may_edit() {
    let estate = Estate::start().await;
    let deputy = estate.enter("lin", StaffRole::Deputy).await;
    let groups = deputy.ask(v1::ListCareGroupsRequest::default()).await.unwrap().care_groups;
    for group in groups {
        let request =
            v1::ListStandardsRequest { care_group: group.name.clone(), page_size: 200, ..Default::default() };
        let standards = deputy.ask(request).await.unwrap().standards;
        let own = standards.iter().filter(|standard| {
            standard.applies_to.as_ref().is_some_and(|selector| selector.any_group.contains(&group.code))
        });
        let own: Vec<&v1::Standard> = own.collect();
        assert!(!own.is_empty(), "{} has no standard of its own", group.code);
        for standard in own {
            let citation = standard.citation.as_ref().unwrap();
            assert_ne!(citation.confidence(), v1::Confidence::Unspecified, "{}", standard.code);
            assert!(citation.instrument.is_some(), "{}", standard.code);
        }
    }
    let weekly = v1::OverrideStandardRequest {
        parent: estate.site.clone(),
        standard_override: Some(crate::standard_override::weekly("elder.visit", 2, "")),
        ..Default::default()
    };
    assert!(!deputy.ask(weekly).await.unwrap().looser);
    let nothing = v1::OverrideStandardRequest { parent: estate.site.clone(), ..Default::default() };
    let fields = ["standard", "numbers", "reason"].map(|field| format!("standard_override.{field}"));
    invalid(deputy.ask(nothing).await, &fields.each_ref().map(String::as_str));
    estate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_16_what_is_recorded_once_is_reported_everywhere() {
    let estate = Estate::start().await;
    let deputy = estate.enter("deputy", StaffRole::Deputy).await;
    let steward = estate.of(Department::CustomerService).await;
    let mut elders = Vec::new();
    for number in 1..=6 {
        elders.push(estate.elder(&format!("50{number}"), &format!("林{number}")).await);
    }
    // Five of six are reached once, in whatever way: the steward writes it down, and nothing more.
    estate.all.advance("2026-03-18T12:00:00+08:00").await;
    for (at, elder) in elders.iter().take(5).enumerate() {
        let kind = [ServiceKind::HomeVisit, ServiceKind::PhoneCall, ServiceKind::VideoCall][at % 3];
        steward.done(elder, kind, "2026-03-17T09:00:00+08:00").await;
    }
    estate.all.advance("2026-04-02T09:00:00+08:00").await;
    let period = format!("{}/periods/2026-03", estate.site);
    deputy.ask(v1::ClosePeriodRequest { name: period.clone(), ..Default::default() }).await.unwrap();

    // The figure of the standard, the authority's rate and the report for managers say the same.
    let report = v1::GetComplianceReportRequest {
        parent: estate.site.clone(),
        period: v1::PeriodUnit::Month.into(),
        start_date: "2026-03-01".to_owned(),
        standards: vec!["standards/elder.floor".to_owned()],
        ..Default::default()
    };
    let floor = deputy.ask(report).await.unwrap().rows.remove(0);
    assert_eq!((floor.numerator, floor.denominator), (5, 6));
    let rate = v1::GetVisitRateRequest {
        parent: estate.site.clone(),
        date: "2026-03-01".to_owned(),
        ..Default::default()
    };
    let exact = deputy.ask(rate.clone()).await.unwrap();
    assert_eq!((exact.visited, exact.residents), (Some(5), Some(6)));
    assert_eq!(exact.rate_percent, floor.rate_percent);
    let public = deputy.ask(v1::GetVisitRateRequest { published: true, ..rate }).await.unwrap();
    assert_eq!((public.residents_at_least, public.rate_percent, public.visited), (Some(5), Some(83.0), None));
    let page = deputy.ask(v1::RenderReportRequest { name: period, ..Default::default() }).await.unwrap();
    let page = String::from_utf8(page.content).unwrap();
    assert!(page.contains("data-key=\"elder.floor\"") && page.contains("83%"));
    assert!((1..=6).all(|number| !page.contains(&format!("林{number}"))));
    estate.stop().await;
}
