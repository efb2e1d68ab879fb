//! `CarePlanService`: care plans. Waivers have conversions of their own beside this file.

use linli_core::care_plan::{PLAN_CAUTIONS_MAX, PLAN_ITEMS_MAX, PlanItem, PlanWords};
use linli_core::id::ResidentId;
use linli_core::invalid::Invalid;
use linli_core::text::{Language, Line, Paragraph};
use linli_core::time::CivilDate;
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, date, label, parse_etag, signed};
use super::numbers::numbers;
use super::page::Binding;
use super::request::{is_full, next, one, text, wanted};
use crate::app::care_plan::{Draft, DraftItem, NewPlan, PlanView};
use crate::app::site::Update;
use crate::error::Result;
use crate::name::{self, InSite};

type Answer<M> = std::result::Result<Response<M>, Status>;

/// Characters of a line, of which the words of several reasons may be more.
const REASON_CHARACTERS: usize = 200;

#[tonic::async_trait]
impl v1::care_plan_service_server::CarePlanService for Face {
    async fn draft_plan(&self, request: Request<v1::DraftPlanRequest>) -> Answer<v1::CarePlan> {
        self.read(request, |app, call, message| async move {
            let at = one("parent", name::parse_resident(&message.parent))?;
            app.draft_plan(&call, &at).await.map(|draft| drafted(&draft, call.language))
        })
        .await
    }

    async fn submit_plan(&self, request: Request<v1::SubmitPlanRequest>) -> Answer<v1::CarePlan> {
        self.write(request, |app, call, repeat, message| async move {
            let (at, plan) = new_plan(&message)?;
            app.submit_plan(&call, repeat, at, plan).await
        })
        .await
    }

    async fn approve_plan(&self, request: Request<v1::ApprovePlanRequest>) -> Answer<v1::CarePlan> {
        self.write(request, |app, call, repeat, message| async move {
            let at = one("name", name::parse_plan(&message.name))?;
            app.decide_plan(&call, repeat, at, None).await
        })
        .await
    }

    async fn reject_plan(&self, request: Request<v1::RejectPlanRequest>) -> Answer<v1::CarePlan> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_plan(&message.name));
            let reason = check.take("reason", Line::new(&message.reason));
            let (at, reason) = check.finish(at.zip(reason))?;
            app.decide_plan(&call, repeat, at, Some(reason)).await
        })
        .await
    }

    async fn get_plan(&self, request: Request<v1::GetPlanRequest>) -> Answer<v1::CarePlan> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_plan(&message.name));
            let full = check.take("view", is_full(message.view));
            let (at, full) = check.finish(at.zip(full))?;
            app.plan(&call, &at, full).await.map(|plan| plan.to_wire())
        })
        .await
    }

    async fn list_plans(&self, request: Request<v1::ListPlansRequest>) -> Answer<v1::ListPlansResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let parent = check.take("parent", name::parse_residents(&message.parent));
            let state = check.take("state", Listed::optional(message.state));
            let (parent, state) = check.finish(parent.zip(state))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes(), &message.state.to_be_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.plans(&call, &parent.site, parent.id.as_ref(), state, wanted).await?;
            Ok(v1::ListPlansResponse {
                plans: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn waive_standard(&self, request: Request<v1::WaiveStandardRequest>) -> Answer<v1::Waiver> {
        self.write(request, |app, call, repeat, message| async move {
            let (at, waiver) = super::waiver::new_waiver(&message)?;
            app.waive_standard(&call, repeat, at, waiver).await
        })
        .await
    }

    async fn approve_waiver(&self, request: Request<v1::ApproveWaiverRequest>) -> Answer<v1::Waiver> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_waiver(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let (at, version) = check.finish(at.zip(version))?;
            let update = Update { site: at.site, id: at.id, version, change: () };
            app.approve_waiver(&call, repeat, at.resident, update).await
        })
        .await
    }

    async fn end_waiver(&self, request: Request<v1::EndWaiverRequest>) -> Answer<v1::Waiver> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_waiver(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let (at, version) = check.finish(at.zip(version))?;
            let update = Update { site: at.site, id: at.id, version, change: () };
            app.end_waiver(&call, repeat, at.resident, update).await
        })
        .await
    }

    async fn list_waivers(
        &self,
        request: Request<v1::ListWaiversRequest>,
    ) -> Answer<v1::ListWaiversResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let parent = check.take("parent", name::parse_residents(&message.parent));
            let state = check.take("state", Listed::optional(message.state));
            let (parent, state) = check.finish(parent.zip(state))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes(), &message.state.to_be_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.waivers(&call, &parent.site, parent.id.as_ref(), state, wanted).await?;
            Ok(v1::ListWaiversResponse {
                waivers: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }
}

/// A draft, its reasons in the caller's language.
fn drafted(draft: &Draft, language: Language) -> v1::CarePlan {
    v1::CarePlan {
        items: draft.items.iter().map(|item| drafted_item(item, language)).collect(),
        found_cautions: draft.cautions.iter().map(ToWire::to_wire).collect(),
        ..v1::CarePlan::default()
    }
}

fn drafted_item(item: &DraftItem, language: Language) -> v1::CarePlanItem {
    let between = match language {
        Language::Zh => ";",
        Language::En => "; ",
    };
    let words: Vec<&str> = item.reasons.iter().map(|reason| reason.text.get(language)).collect();
    v1::CarePlanItem {
        standard: name::standard(&item.standard.code),
        title: label(&item.standard.title),
        numbers: Some(v1::StandardNumbers {
            duty: Some(super::numbers::duty(&item.standard.duty)),
            accepts: super::numbers::kinds(item.standard.accepts),
        }),
        reason: words.join(between).chars().take(REASON_CHARACTERS).collect(),
        reasons: item.reasons.iter().map(ToWire::to_wire).collect(),
    }
}

fn new_plan(message: &v1::SubmitPlanRequest) -> Result<(InSite<ResidentId>, NewPlan)> {
    let mut check = Check::new();
    let at = check.take("parent", name::parse_resident(&message.parent));
    let plan = message.plan.clone().unwrap_or_default();
    if message.plan.is_none() {
        check.refuse("plan", Invalid::Missing);
    }
    if plan.items.len() > PLAN_ITEMS_MAX {
        check.refuse("plan.items", Invalid::TooMany { max: PLAN_ITEMS_MAX });
    }
    let items = plan.items.iter().take(PLAN_ITEMS_MAX).enumerate();
    let items: Vec<_> =
        items.map(|(at, item)| new_item(&mut check, &format!("plan.items[{at}]"), item)).collect();
    let items = items.into_iter().collect::<Option<Vec<_>>>();
    if plan.cautions.len() > PLAN_CAUTIONS_MAX {
        check.refuse("plan.cautions", Invalid::TooMany { max: PLAN_CAUTIONS_MAX });
    }
    let cautions = plan.cautions.iter().take(PLAN_CAUTIONS_MAX).enumerate();
    let cautions: Vec<_> = cautions
        .map(|(at, caution)| check.take(format!("plan.cautions[{at}]"), Line::new(caution)))
        .collect();
    let cautions = cautions.into_iter().collect::<Option<Vec<_>>>();
    let note = check.take("plan.note", Paragraph::optional(&plan.note));
    let from = check.optional("plan.start_date", &plan.start_date, CivilDate::parse);
    let parsed = at.zip(items).zip(cautions.zip(note)).zip(from);
    let (((at, items), (cautions, note)), from) = check.finish(parsed)?;
    let (items, reasons) = items.into_iter().unzip();
    Ok((at, NewPlan { items, words: PlanWords { reasons, cautions, note }, from }))
}

fn new_item(check: &mut Check, path: &str, item: &v1::CarePlanItem) -> Option<(PlanItem, Line)> {
    let standard = check.take(format!("{path}.standard"), name::parse_standard(&item.standard));
    let numbers = numbers(check, &format!("{path}.numbers"), item.numbers.as_ref());
    let reason = check.take(format!("{path}.reason"), Line::new(&item.reason));
    let (standard, (numbers, reason)) = standard.zip(numbers.zip(reason))?;
    Some((PlanItem { standard, numbers }, reason))
}

impl Shows<PlanView> for v1::CarePlan {
    fn shows(view: &PlanView) -> Self {
        let plan = &view.plan;
        let lines = |lines: &[Line]| lines.iter().map(|line| line.as_str().to_owned()).collect();
        let words = view.words.as_ref();
        let reason = |at: usize| words.and_then(|words| words.reasons.get(at));
        let items = plan.items.iter().zip(&view.titles).enumerate();
        let items = items.map(|(at, (item, title))| v1::CarePlanItem {
            standard: name::standard(&item.standard),
            title: label(title),
            numbers: Some(item.numbers.to_wire()),
            reason: text(reason(at)),
            reasons: Vec::new(),
        });
        let decision = plan.decision.as_ref();
        let (decider, decide_time) = signed(decision.map(|decision| &decision.signed));
        let last = view.days.map(|days| days.end()).filter(|end| *end < CivilDate::MAX);
        Self {
            name: name::plan(&plan.site, &plan.resident, &plan.revision),
            revision: i32::try_from(plan.revision.number()).unwrap_or(i32::MAX),
            items: items.collect(),
            cautions: words.map(|words| lines(&words.cautions)).unwrap_or_default(),
            note: text(words.and_then(|words| words.note.as_ref())),
            start_date: date(Some(plan.from)),
            state: view.state.number(),
            take_effect_date: date(view.days.map(|days| days.start())),
            last_date: date(last.map(|end| end.plus_days(-1))),
            submitter: name::staff(&plan.submitted.by),
            submit_time: Some(timestamp(plan.submitted.at)),
            decider,
            decide_time,
            decision_reason: text(decision.and_then(|decision| decision.reason.as_ref())),
            found_cautions: Vec::new(),
        }
    }
}
