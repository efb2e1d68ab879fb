//! Care plans: drafted from what is known of a resident, submitted, decided. A revision never changes.

use std::sync::Arc;

use futures_util::FutureExt;
use linli_core::care_plan::{
    CarePlan, PlanDecision, PlanItem, PlanState, PlanWords, Revision, plan_days, plan_state,
};
use linli_core::id::{ResidentId, SiteId, StandardCode};
use linli_core::invalid::Invalid;
use linli_core::resident::FieldClass;
use linli_core::standard::Standard;
use linli_core::stricter::{Numbers, Strictness, strictness};
use linli_core::text::{Label, Line};
use linli_core::time::{CivilDate, DateRange};
use linli_core::waiver::{StandardWaiver, WaiverState};
use linli_store::StoredPlan;

use super::assessment::Coded;
use super::estate::Estate;
use super::file::{require_active, violation};
use super::obligation::span_on;
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing, Violation};
use crate::name::{self, InResident, InSite};

/// A plan to be submitted.
#[derive(Debug, Clone)]
pub struct NewPlan {
    /// What it promises.
    pub items: Vec<PlanItem>,
    /// Why, what to know, a remark.
    pub words: PlanWords,
    /// The first day; `None`: today.
    pub from: Option<CivilDate>,
}

/// A plan that nobody submitted.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Every standard that applies, by code.
    pub items: Vec<DraftItem>,
    /// What whoever goes must know, as the rules find it.
    pub cautions: Vec<Coded>,
}

/// One standard in a draft.
#[derive(Debug, Clone)]
pub struct DraftItem {
    /// The standard, with the numbers that hold today.
    pub standard: Arc<Standard>,
    /// Why it applies.
    pub reasons: Vec<Coded>,
}

/// A revision as answers show it.
#[derive(Debug, Clone)]
pub struct PlanView {
    /// The revision.
    pub plan: CarePlan,
    /// What its standards are called, in the order of its items.
    pub titles: Vec<Label>,
    /// Its words, where they are shown.
    pub words: Option<PlanWords>,
    /// Where it stands.
    pub state: PlanState,
    /// The days on which it holds.
    pub days: Option<DateRange>,
}

impl App {
    /// Every standard that applies to a resident today, with its numbers and the reasons, and the cautions.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`], [`Error::Denied`].
    pub async fn draft_plan(&self, call: &Call, at: &InSite<ResidentId>) -> Result<Draft> {
        let work = self.begin_file(call, &at.site, &at.id).await?;
        let head = self.load_head(&work, &at.site, &at.id).await?;
        require_active(&head)?;
        let at = &InSite { site: at.site.clone(), id: head.id.clone() };
        let state = self.file_state(&head).await?;
        let today = work.today();
        let estate = estate(self, &work).await?;
        let Some(care) = estate.care(&at.id).await? else { return Err(work.absent(&at.id).await) };
        work.disclose(&touches(&at.site, &at.id)).await?;
        let applied = estate.applied(&care);
        let standards = applied.iter().filter_map(|applied| span_on(applied, today));
        // Steps of the ladder and derived duties follow from others: there is nothing to plan about them.
        let planned = standards.filter(|standard| standard.ladder.is_none() && !standard.accepts.is_empty());
        let items = planned.map(|standard| DraftItem {
            standard: Arc::clone(standard),
            reasons: self.reasons(standard, Some(&care), today, today),
        });
        Ok(Draft { items: items.collect(), cautions: self.coded_cautions(&state) })
    }

    /// Stores a revision, which waits for a leader.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::EtagMismatch`] where somebody else submitted
    /// one meanwhile, [`Error::Denied`].
    pub async fn submit_plan(
        &self,
        call: &Call,
        repeat: Repeat<PlanView>,
        at: InSite<ResidentId>,
        new: NewPlan,
    ) -> Result<Answer<PlanView>> {
        let InSite { site, id } = at;
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &site, &id).await?;
        require_active(&head)?;
        let id = head.id.clone();
        let from = new.from.unwrap_or_else(|| work.today());
        let promised = self.promised(&work, &site, &id).await?;
        let waivers = self.store.waivers(&site, &head.files()).await?;
        let waivers: Vec<StandardWaiver> = waivers.into_iter().map(|stored| stored.waiver).collect();
        let mut violations = check_items(&work, &new.items, &promised, &waivers);
        if from < work.today() {
            violations.push(violation("plan.start_date", Invalid::Past));
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let earlier = self.plans_of(&site, &id).await?;
        let plan = CarePlan {
            revision: earlier.last().map_or(Revision::FIRST, |last| last.revision.next()),
            items: new.items,
            from,
            submitted: work.signed(),
            decision: None,
            site,
            resident: id,
        };
        let mut changes = work.changes(&touches(&plan.site, &plan.resident));
        changes.require_resident(&plan.site, &plan.resident, None);
        changes.add_plan(plan.clone(), new.words.clone());
        changes.event("plan.submitted", name::plan(&plan.site, &plan.resident, &plan.revision));
        let mut view = self.plan_view(&work, &[earlier, vec![plan.clone()]].concat(), plan);
        view.words = Some(new.words);
        work.commit("plan.submit", changes, &repeat, view).await
    }

    /// Approves the revision that waits, or rejects it with a reason; whoever submitted it cannot.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`], [`Error::EtagMismatch`] where somebody else decided meanwhile,
    /// [`Error::Denied`].
    pub async fn decide_plan(
        &self,
        call: &Call,
        repeat: Repeat<PlanView>,
        at: InResident<Revision>,
        rejected: Option<Line>,
    ) -> Result<Answer<PlanView>> {
        let InResident { site, resident, id: revision } = at;
        let work = self.begin_file(call, &site, &resident).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        self.load_head(&work, &site, &resident).await?;
        let mut plans = self.plans_of(&site, &resident).await?;
        let found = plans.iter().find(|plan| plan.revision == revision);
        let plan = found.ok_or(Error::NotFound(Thing::Plan))?;
        match plan_state(&plans, plan, work.zone(), work.now) {
            PlanState::Submitted => {}
            PlanState::Planned | PlanState::InForce | PlanState::Superseded | PlanState::Rejected => {
                return Err(Error::State(StateConflict::PlanNotAwaiting));
            }
        }
        let signed = work.countersigned(&plan.submitted)?;
        let decision = PlanDecision { approved: rejected.is_none(), signed, reason: rejected };
        let (commit, event) = if decision.approved {
            ("plan.approve", "plan.approved")
        } else {
            ("plan.reject", "plan.rejected")
        };
        let mut changes = work.changes(&touches(&site, &resident));
        // A revision that was submitted at this moment takes its place.
        changes.require_latest_plan(&site, &resident, revision);
        changes.decide_plan(&site, &resident, revision, decision.clone());
        changes.event(event, name::plan(&site, &resident, &revision));
        let decided = CarePlan { decision: Some(decision), ..plan.clone() };
        plans.retain(|plan| plan.revision != revision);
        plans.push(decided.clone());
        let view = self.plan_view(&work, &plans, decided);
        work.commit(commit, changes, &repeat, view).await
    }

    /// One revision; its words where `full`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PurposeRequired`], [`Error::RevealLimit`], [`Error::Denied`].
    pub async fn plan(&self, call: &Call, at: &InResident<Revision>, full: bool) -> Result<PlanView> {
        let InResident { site, resident, id: revision } = at;
        let work = self.begin_file(call, site, resident).await?;
        let touches = touches(site, resident);
        if full {
            self.may_reveal(&work, &touches).await?;
        }
        self.load_head(&work, site, resident).await?;
        let stored = self.store.plans(site, std::slice::from_ref(resident)).await?;
        let plans: Vec<CarePlan> = stored.iter().map(|stored| stored.plan.clone()).collect();
        let found = stored.into_iter().find(|stored| stored.plan.revision == *revision);
        let StoredPlan { plan, words, decision_reason } = found.ok_or(Error::NotFound(Thing::Plan))?;
        let mut view = self.plan_view(&work, &plans, plan);
        let receipt = work.disclose(&touches).await?;
        if full {
            let opener = self.store.opener(&receipt).await?;
            view.words = Some(opener.open(&words)?);
            if let Some(decision) = &mut view.plan.decision {
                decision.reason = opener.open_option(decision_reason.as_ref())?;
            }
        }
        Ok(view)
    }

    /// Revisions of a resident, newest first; or those of all residents of a site, by resident. Without words.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn plans(
        &self,
        call: &Call,
        site: &SiteId,
        resident: Option<&ResidentId>,
        state: Option<PlanState>,
        page: PageRequest,
    ) -> Result<Page<PlanView>> {
        let work = &self.begin_of(call, site, resident).await?;
        self.of_residents(work, site, resident, page, |ids: Vec<ResidentId>| {
            async move {
                let stored = self.store.plans(site, &ids).await?;
                let plans: Vec<CarePlan> = stored.into_iter().map(|stored| stored.plan).collect();
                let mut views = Vec::new();
                for own in plans.chunk_by(|a, b| a.resident == b.resident) {
                    let newest_first = own.iter().rev();
                    let shown = newest_first.map(|plan| self.plan_view(work, own, plan.clone()));
                    let shown = shown.filter(|view| state.is_none_or(|state| view.state == state));
                    views.extend(
                        shown.map(|view| (view.plan.resident.clone(), view.plan.revision.to_string(), view)),
                    );
                }
                Ok(views)
            }
            .boxed()
        })
        .await
    }

    /// The standards that apply to a resident today as the site promises them, by code: what a plan starts from.
    pub(super) async fn promised(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        resident: &ResidentId,
    ) -> Result<Vec<Arc<Standard>>> {
        let estate = estate(self, work).await?;
        let care = estate.care(resident).await?.filter(|care| care.head.site == *site);
        let care = care.ok_or(Error::NotFound(Thing::Resident))?;
        let applied = estate.unplanned(&care);
        Ok(applied.iter().filter_map(|applied| span_on(applied, estate.today)).cloned().collect())
    }

    async fn plans_of(&self, site: &SiteId, resident: &ResidentId) -> Result<Vec<CarePlan>> {
        let stored = self.store.plans(site, std::slice::from_ref(resident)).await?;
        Ok(stored.into_iter().map(|stored| stored.plan).collect())
    }

    fn plan_view(&self, work: &Work<'_>, plans: &[CarePlan], plan: CarePlan) -> PlanView {
        let days = plans.iter().zip(plan_days(plans, work.zone()));
        let days = days.into_iter().find(|(other, _)| other.revision == plan.revision);
        PlanView {
            titles: plan.items.iter().map(|item| self.title_of(&item.standard)).collect(),
            words: None,
            state: plan_state(plans, &plan, work.zone(), work.now),
            days: days.and_then(|(_, days)| days),
            plan,
        }
    }

    /// What a standard is called; its code where nobody declares it any more.
    fn title_of(&self, code: &StandardCode) -> Label {
        let deployed = self.deployed();
        let mut versions = deployed.catalogue.standards().iter().rev();
        let latest = versions.find(|standard| standard.code == *code);
        latest.map_or_else(|| Label::new(code.as_str(), code.as_str()), |standard| standard.title.clone())
    }
}

/// The site of a call today.
async fn estate<'a>(app: &'a App, work: &Work<'_>) -> Result<Estate<'a>> {
    let today = work.today();
    let days = DateRange::new(today, today.plus_days(1));
    Estate::open(app, work.site()?, work.now, days, work.sight().clone()).await
}

/// What is wrong with the items of a plan: standards that do not apply or stand twice, numbers of another kind, and less than
/// the standard where no approved waiver covers it.
fn check_items(
    work: &Work<'_>,
    items: &[PlanItem],
    promised: &[Arc<Standard>],
    waivers: &[StandardWaiver],
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let is_waived = |code: &StandardCode| {
        waivers.iter().filter(|waiver| waiver.standard == *code).any(|waiver| {
            match waiver.state(work.zone(), work.now) {
                WaiverState::Planned | WaiverState::InForce => true,
                WaiverState::Requested | WaiverState::Expired | WaiverState::Ended => false,
            }
        })
    };
    for (at, PlanItem { standard, numbers }) in items.iter().enumerate() {
        let mut refuse = |field: &str, why| {
            violations.push(violation(format!("plan.items[{at}].{field}"), why));
        };
        if items.iter().take(at).any(|other| other.standard == *standard) {
            refuse("standard", Invalid::Duplicate);
            continue;
        }
        let Some(base) = promised.iter().find(|base| base.code == *standard) else {
            refuse("standard", Invalid::Unknown);
            continue;
        };
        if let Err((field, why)) = numbers.check(base) {
            refuse(&format!("numbers.{field}"), why);
        } else if is_looser(numbers, base) && !is_waived(standard) {
            refuse("numbers", Invalid::BelowStandard);
        }
    }
    violations
}

fn is_looser(numbers: &Numbers, base: &Standard) -> bool {
    strictness(&numbers.instead(base), base) == Strictness::Looser
}

fn touches<'a>(site: &SiteId, resident: &ResidentId) -> Touches<'a> {
    Touches::files(name::resident(site, resident), vec![resident.as_str().to_owned()], &[FieldClass::Care])
}
