//! Care plans and waivers: what one resident is promised beyond the standards, or does without for a time.

use linli_proto::v1::{self, CarePlanState, PeriodUnit, ServiceKind, WaiverState};

use crate::harness::client::Client;
use crate::harness::estate::line;
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

fn submit(resident: &str, plan: v1::CarePlan) -> v1::SubmitPlanRequest {
    v1::SubmitPlanRequest { parent: resident.to_owned(), plan: Some(plan), ..Default::default() }
}

fn approve(name: &str) -> v1::ApprovePlanRequest {
    v1::ApprovePlanRequest { name: name.to_owned(), ..Default::default() }
}

/// So many times a week, with a reason.
fn item(standard: &str, at_least: i32) -> v1::CarePlanItem {
    let duty = v1::RecurringDuty { at_least, per: PeriodUnit::Week.into(), ..Default::default() };
    v1::CarePlanItem {
        standard: format!("standards/{standard}"),
        numbers: Some(v1::StandardNumbers {
            duty: Some(v1::standard_numbers::Duty::Recurring(duty)),
            ..Default::default()
        }),
        reason: "刚出院,子女在外地".to_owned(),
        ..Default::default()
    }
}

fn waive(resident: &str, standard: &str, end_date: &str) -> v1::WaiveStandardRequest {
    let waiver = v1::Waiver {
        standard: format!("standards/{standard}"),
        cause: v1::WaiverCause::Refused.into(),
        reason: "本人婉拒电话".to_owned(),
        end_date: end_date.to_owned(),
        ..Default::default()
    };
    v1::WaiveStandardRequest { parent: resident.to_owned(), waiver: Some(waiver), ..Default::default() }
}

fn approve_waiver(waiver: &v1::Waiver) -> v1::ApproveWaiverRequest {
    v1::ApproveWaiverRequest { name: waiver.name.clone(), etag: waiver.etag.clone(), ..Default::default() }
}

fn end(waiver: &v1::Waiver) -> v1::EndWaiverRequest {
    v1::EndWaiverRequest { name: waiver.name.clone(), etag: waiver.etag.clone(), ..Default::default() }
}

/// A server with an estate, a steward and two leaders.
struct Case {
    server: Server,
    site: String,
    elder: String,
    steward: Client,
    leader: Client,
    other: Client,
}

impl Case {
    async fn on(data: Data) -> Self {
        let issuer = Issuer::new();
        let server = Server::on(issuer.trusted(data)).await;
        let (site, _, elder) = server.client().estate("a").await;
        let enter = async |id: &str, role| issuer.enter(&server, id, vec![grant(role, &["a"])]).await;
        let steward = enter("chen", v1::StaffRole::Member).await;
        let leader = enter("wang", v1::StaffRole::Leader).await;
        let other = enter("zhao", v1::StaffRole::Leader).await;
        Self { site, elder, steward, leader, other, server }
    }

    async fn start() -> Self {
        Self::on(Data::sqlite()).await
    }

    async fn week(&self, standard: &str, from: &str, to: &str) -> Vec<String> {
        let mut found = self.steward.obligations(&self.elder, from, to).await;
        found.retain(|owed| owed.standard == format!("standards/{standard}"));
        found.sort_by(|a, b| a.window_start_date.cmp(&b.window_start_date));
        let shown = |owed: &v1::Obligation| {
            format!("{} {}", owed.window_start_date, line(owed).split_once(' ').unwrap().1)
        };
        found.iter().map(shown).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_goes_from_the_assessment_to_what_is_owed() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let case = Case::on(data).await;
        let Case { server, elder, steward, leader, .. } = &case;
        let draft = steward.ask(v1::DraftPlanRequest { parent: elder.clone() }).await.unwrap();
        let codes: Vec<&str> = draft.items.iter().map(|item| item.standard.as_str()).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        for code in ["standards/elder.visit", "standards/elder.call", "standards/survey.review"] {
            assert!(codes.contains(&code), "{code} in {codes:?}");
        }
        assert!(!codes.iter().any(|code| code.contains("ladder")), "{codes:?}");
        for item in &draft.items {
            assert!(!item.reason.is_empty() && !item.reasons.is_empty() && item.title.is_some(), "{item:?}");
        }
        assert_eq!((draft.name.as_str(), draft.revision, draft.state()), ("", 0, CarePlanState::Unspecified));
        let chinese = steward.with("accept-language", "zh");
        let chinese = chinese.ask(v1::DraftPlanRequest { parent: elder.clone() }).await.unwrap();
        assert!(chinese.items.iter().all(|item| !item.reason.is_ascii()), "{chinese:?}");
        // Nothing was stored.
        let list = v1::ListPlansRequest { parent: elder.clone(), ..Default::default() };
        assert!(steward.ask(list.clone()).await.unwrap().plans.is_empty());

        // As drafted, but for a second visit: approved on Wednesday, it counts from Monday on.
        let mut plan = draft.clone();
        plan.items.retain(|item| item.standard != "standards/elder.visit");
        plan.items.push(item("elder.visit", 2));
        plan.cautions = vec!["家有大型犬".to_owned()];
        plan.note = "女儿每月回来一次".to_owned();
        let submitted = steward.ask(submit(elder, plan.clone())).await.unwrap();
        assert_eq!((submitted.revision, submitted.state()), (1, CarePlanState::Submitted));
        assert_eq!(
            (submitted.cautions.as_slice(), submitted.note.as_str()),
            (plan.cautions.as_slice(), plan.note.as_str())
        );
        assert_eq!(submitted.name, format!("{elder}/plans/1"));
        let range = ("2026-03-16", "2026-03-29");
        assert_eq!(case.week("elder.visit", range.0, range.1).await[1], "2026-03-23 upcoming 0/1");
        server.client().advance("2026-03-18T09:00:00+08:00").await;
        refused(steward.ask(approve(&submitted.name)).await, "PERMISSION_DENIED");
        let approved = leader.ask(approve(&submitted.name)).await.unwrap();
        assert_eq!((approved.state(), approved.decider.as_str()), (CarePlanState::InForce, "staff/wang"));
        assert_eq!((approved.take_effect_date.as_str(), approved.last_date.as_str()), ("2026-03-18", ""));
        assert!(approved.cautions.is_empty() && approved.items.iter().all(|item| item.reason.is_empty()));
        let visits = case.week("elder.visit", range.0, range.1).await;
        assert_eq!(visits, ["2026-03-16 open 0/1", "2026-03-23 upcoming 0/2"]);
        assert_eq!(case.week("elder.call", range.0, range.1).await[1], "2026-03-23 upcoming 0/2");
        let standing = steward.ask(v1::GetStandingRequest { name: elder.clone() }).await.unwrap();
        let visit = standing.standards.iter().find(|s| s.standard == "standards/elder.visit").unwrap();
        assert_eq!(visit.plan, submitted.name);

        // Words are sealed, and shown for a purpose.
        let get = |view: v1::View| v1::GetPlanRequest { name: submitted.name.clone(), view: view.into() };
        let masked = steward.ask(get(v1::View::Masked)).await.unwrap();
        assert!(
            masked.note.is_empty() && masked.items.iter().all(|item| item.reason.is_empty()),
            "{masked:?}"
        );
        refused(steward.ask(get(v1::View::Full)).await, "PURPOSE_REQUIRED");
        let full = steward.purposeful().ask(get(v1::View::Full)).await.unwrap();
        assert_eq!((full.cautions, full.note), (plan.cautions, plan.note));
        assert_eq!(full.items.last().unwrap().reason, "刚出院,子女在外地");

        // A later revision takes its place.
        let empty = steward.ask(submit(elder, v1::CarePlan::default())).await.unwrap();
        leader.ask(approve(&empty.name)).await.unwrap();
        assert_eq!(case.week("elder.visit", range.0, range.1).await[1], "2026-03-23 upcoming 0/1");
        let states: Vec<_> =
            steward.ask(list).await.unwrap().plans.iter().map(|p| (p.revision, p.state())).collect();
        assert_eq!(states, [(2, CarePlanState::InForce), (1, CarePlanState::Superseded)]);
        case.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_decided_once_and_by_somebody_else() {
    let case = Case::start().await;
    let Case { elder, steward, leader, other, .. } = &case;
    let plan = || v1::CarePlan { items: vec![item("elder.visit", 2)], ..Default::default() };
    let own = leader.ask(submit(elder, plan())).await.unwrap();
    refused(leader.ask(approve(&own.name)).await, "FOUR_EYES");
    let reject = |name: &str, reason: &str| v1::RejectPlanRequest {
        name: name.to_owned(),
        reason: reason.to_owned(),
        ..Default::default()
    };
    refused(leader.ask(reject(&own.name, "再议")).await, "FOUR_EYES");
    invalid(other.ask(reject(&own.name, "")).await, &["reason"]);
    let rejected = other.ask(reject(&own.name, "人手不足")).await.unwrap();
    assert_eq!((rejected.state(), rejected.decision_reason.as_str()), (CarePlanState::Rejected, "人手不足"));
    refused(other.ask(approve(&own.name)).await, "PROPOSAL_STATE");
    // A revision that waits is superseded by the next.
    let first = steward.ask(submit(elder, plan())).await.unwrap();
    let second = steward.ask(submit(elder, plan())).await.unwrap();
    assert_eq!((first.revision, second.revision), (2, 3));
    refused(leader.ask(approve(&first.name)).await, "PROPOSAL_STATE");
    leader.ask(approve(&second.name)).await.unwrap();
    refused(other.ask(approve(&second.name)).await, "PROPOSAL_STATE");
    refused(leader.ask(approve(&format!("{elder}/plans/9"))).await, "NOT_FOUND");
    let list = |state: CarePlanState| {
        let request = v1::ListPlansRequest {
            parent: format!("{}/residents/-", case.site),
            state: state.into(),
            page_size: 1,
            ..Default::default()
        };
        let client = steward.clone();
        async move {
            let mut request = request;
            let mut found = Vec::new();
            loop {
                let page = client.ask(request.clone()).await.unwrap();
                found.extend(page.plans.into_iter().map(|plan| plan.revision));
                if page.next_page_token.is_empty() {
                    break found;
                }
                request.page_token = page.next_page_token;
            }
        }
    };
    assert_eq!(list(CarePlanState::Unspecified).await, [3, 2, 1]);
    assert_eq!(list(CarePlanState::Superseded).await, [2]);
    assert_eq!(list(CarePlanState::InForce).await, [3]);
    case.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_never_falls_below_the_standards_without_a_waiver() {
    let case = Case::start().await;
    let Case { server, elder, steward, leader, .. } = &case;
    let plan = |items: Vec<v1::CarePlanItem>| v1::CarePlan { items, ..Default::default() };
    let once = || plan(vec![item("elder.visit", 2), item("elder.call", 1)]);
    let refusal = invalid(steward.ask(submit(elder, once())).await, &["plan.items[1].numbers"]);
    assert!(refusal.violations[0].1.contains("approved waiver"), "{refusal:?}");
    let waiver = steward.ask(waive(elder, "elder.call", "2026-04-05")).await.unwrap();
    invalid(steward.ask(submit(elder, once())).await, &["plan.items[1].numbers"]);
    leader.ask(approve_waiver(&waiver)).await.unwrap();
    let submitted = steward.ask(submit(elder, once())).await.unwrap();
    leader.ask(approve(&submitted.name)).await.unwrap();
    // While it is waived nothing is owed; afterwards the standard is, not the plan.
    assert_eq!(
        case.week("elder.call", "2026-03-16", "2026-04-12").await,
        [
            "2026-03-16 excused 0/0",
            "2026-03-23 excused 0/0",
            "2026-03-30 excused 0/0",
            "2026-04-06 upcoming 0/2"
        ]
    );

    let two = |first: &str, second: &str| plan(vec![item(first, 2), item(second, 2)]);
    let check = async |plan: v1::CarePlan, fields: &[&str]| {
        invalid(steward.ask(submit(elder, plan)).await, fields);
    };
    check(two("elder.visit", "elder.visit"), &["plan.items[1].standard"]).await;
    // What does not apply cannot be planned, nor can another kind of duty.
    check(two("no.such", "clean.area"), &["plan.items[0].standard", "plan.items[1].standard"]).await;
    check(plan(vec![item("file.update", 2)]), &["plan.items[0].numbers.duty"]).await;
    check(
        plan(vec![v1::CarePlanItem::default()]),
        &["plan.items[0].standard", "plan.items[0].numbers", "plan.items[0].reason"],
    )
    .await;
    check(plan(vec![item("elder.visit", 2); 51]), &["plan.items"]).await;
    let past = v1::CarePlan { start_date: "2026-03-15".to_owned(), ..Default::default() };
    check(past, &["plan.start_date"]).await;
    let cautions = v1::CarePlan { cautions: vec![String::new(); 21], ..Default::default() };
    let refusal = steward.ask(submit(elder, cautions)).await.unwrap_err();
    assert_eq!(crate::harness::Refusal::of(&refusal).fields().len(), 21, "{refusal:?}");
    let missing = v1::SubmitPlanRequest { parent: elder.clone(), ..Default::default() };
    invalid(steward.ask(missing).await, &["plan"]);
    refused(steward.ask(submit(&format!("{}/residents/none", case.site), plan(vec![]))).await, "NOT_FOUND");

    // What the site asks of everybody by then binds before what the plan asked for.
    let client = server.client();
    let stricter = v1::OverrideStandardRequest {
        parent: case.site.clone(),
        standard_override: Some(crate::standard_override::weekly("elder.visit", 3, "")),
        ..Default::default()
    };
    client.ask(stricter).await.unwrap();
    assert_eq!(case.week("elder.visit", "2026-03-23", "2026-03-29").await, ["2026-03-23 upcoming 0/3"]);
    case.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_waiver_with_a_reason_and_an_end() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let case = Case::on(data).await;
        let Case { server, elder, steward, leader, other, site } = &case;
        let asked = steward.ask(waive(elder, "elder.visit", "2026-04-05")).await.unwrap();
        assert_eq!((asked.state(), asked.requester.as_str()), (WaiverState::Requested, "staff/chen"));
        assert_eq!(asked.reason, "本人婉拒电话");
        assert_eq!(case.week("elder.visit", "2026-03-16", "2026-03-22").await, ["2026-03-16 open 0/1"]);
        refused(steward.ask(approve_waiver(&asked)).await, "PERMISSION_DENIED");
        let approved = leader.ask(approve_waiver(&asked)).await.unwrap();
        assert_eq!((approved.state(), approved.approver.as_str()), (WaiverState::InForce, "staff/wang"));
        refused(other.ask(approve_waiver(&asked)).await, "ETAG_MISMATCH");
        refused(other.ask(approve_waiver(&approved)).await, "PROPOSAL_STATE");
        let own = leader.ask(waive(elder, "elder.call", "2026-04-05")).await.unwrap();
        refused(leader.ask(approve_waiver(&own)).await, "FOUR_EYES");
        // Taken back before anybody approved it.
        assert_eq!(steward.ask(end(&own)).await.unwrap().state(), WaiverState::Ended);

        let owed = async || case.week("elder.visit", "2026-03-16", "2026-04-12").await;
        assert_eq!(
            owed().await,
            [
                "2026-03-16 excused 0/0",
                "2026-03-23 excused 0/0",
                "2026-03-30 excused 0/0",
                "2026-04-06 upcoming 0/1"
            ]
        );
        let why = |owed: &[v1::Obligation]| {
            let visit = owed.iter().find(|owed| owed.standard == "standards/elder.visit").unwrap();
            visit.reasons.iter().any(|reason| reason.code == "waived")
        };
        assert!(why(&steward.obligations(elder, "", "").await));
        let standing = steward.ask(v1::GetStandingRequest { name: elder.clone() }).await.unwrap();
        let visit = standing.standards.iter().find(|s| s.standard == "standards/elder.visit").unwrap();
        assert_eq!(visit.waivers, [approved.name.as_str()]);
        // The worklist asks for calls, and for no visit that nobody wants.
        let list = v1::ListWorklistRequest { parent: format!("{site}/posts/-"), ..Default::default() };
        let items = steward.ask(list).await.unwrap().items;
        let kinds: Vec<ServiceKind> =
            items.iter().filter(|item| item.subject == *elder).map(v1::WorklistItem::kind).collect();
        assert!(
            kinds.contains(&ServiceKind::PhoneCall) && !kinds.contains(&ServiceKind::HomeVisit),
            "{kinds:?}"
        );
        // They change their mind: the day counts again.
        server.client().advance("2026-03-25T09:00:00+08:00").await;
        let ended = steward.ask(end(&approved)).await.unwrap();
        assert_eq!((ended.state(), ended.ender.as_str()), (WaiverState::Ended, "staff/chen"));
        refused(steward.ask(end(&ended)).await, "PROPOSAL_STATE");
        assert_eq!(owed().await[..2], ["2026-03-16 excused 0/0", "2026-03-23 open 0/1"]);

        let list = |state: WaiverState| v1::ListWaiversRequest {
            parent: format!("{site}/residents/-"),
            state: state.into(),
            ..Default::default()
        };
        let found = steward.ask(list(WaiverState::Unspecified)).await.unwrap().waivers;
        let shown: Vec<_> = found.iter().map(|w| (w.standard.as_str(), w.reason.as_str())).collect();
        assert_eq!(shown, [("standards/elder.call", ""), ("standards/elder.visit", "")]);
        assert!(steward.ask(list(WaiverState::InForce)).await.unwrap().waivers.is_empty());
        case.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_waived_is_refused() {
    let case = Case::start().await;
    let Case { elder, steward, .. } = &case;
    let check = async |request: v1::WaiveStandardRequest, fields: &[&str]| {
        invalid(steward.ask(request).await, fields);
    };
    let nothing = v1::WaiveStandardRequest { parent: elder.clone(), ..Default::default() };
    check(nothing, &["waiver.standard", "waiver.cause", "waiver.reason", "waiver.end_date"]).await;
    check(waive(elder, "no.such", "2026-04-01"), &["waiver.standard"]).await;
    check(waive(elder, "patrol.night", "2026-04-01"), &["waiver.standard"]).await;
    // Whoever does not answer is looked for, whatever was agreed; and records are made of what was done.
    check(waive(elder, "contact.ladder.door.high", "2026-04-01"), &["waiver.standard"]).await;
    check(waive(elder, "contact.ladder.authority", "2026-04-01"), &["waiver.standard"]).await;
    check(waive(elder, "file.record", "2026-04-01"), &["waiver.standard"]).await;
    check(waive(elder, "elder.call", "2026-03-15"), &["waiver.end_date"]).await;
    check(waive(elder, "elder.call", "2027-03-18"), &["waiver.end_date"]).await;
    let mut past = waive(elder, "elder.call", "2026-04-01");
    past.waiver.as_mut().unwrap().start_date = "2026-03-01".to_owned();
    check(past, &["waiver.start_date"]).await;
    let nobody = waive(&format!("{}/residents/none", case.site), "elder.call", "2026-04-01");
    refused(steward.ask(nobody).await, "NOT_FOUND");
    let absent = v1::EndWaiverRequest { name: format!("{elder}/waivers/none"), ..Default::default() };
    refused(steward.ask(absent).await, "NOT_FOUND");
    case.server.stop().await;
}
