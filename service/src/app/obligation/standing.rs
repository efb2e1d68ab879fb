//! The standing of one resident: every standard now, with the reasons and the records that earned credit.

use linli_core::applied::Applied;
use linli_core::assessment::tier_on;
use linli_core::care_plan::{Revision, plan_days};
use linli_core::id::{GroupCode, OverrideId, ResidentId, SiteId, StandardCode, Subject, WaiverId};
use linli_core::kind::Tier;
use linli_core::obligation::{self, Opening};
use linli_core::resident::FieldClass;
use linli_core::standard::{Duty, Standard};
use linli_core::time::{CivilDate, DateRange, Instant};
use linli_store::{FieldClasses, ResidentCare};

use super::ObligationView;
use crate::app::App;
use crate::app::assessment::Coded;
use crate::app::estate::{Estate, calendar_error, days_in_care};
use crate::app::work::Touches;
use crate::auth::Call;
use crate::error::Result;
use crate::name::{self, InSite};

/// How far ahead the next occasion is looked for, in days: a year and a leap month, so that every lunar occasion
/// comes once.
const OCCASION_DAYS: i32 = 400;

/// Everything that is owed to one resident now.
#[derive(Debug, Clone)]
pub struct StandingView {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// The masked name.
    pub display_name: String,
    /// The instant for which it holds.
    pub as_of: Instant,
    /// The tier in force.
    pub tier: Tier,
    /// One entry for every standard, by code.
    pub standards: Vec<StandardStanding>,
    /// When any of it changes if nothing is recorded.
    pub next_change_at: Option<Instant>,
    /// Whether the last assessment has outlived its validity, or lacks an answer of a plugin.
    pub assessment_stale: bool,
}

/// Where a resident stands with one standard.
#[derive(Debug, Clone)]
pub struct StandardStanding {
    /// The standard, in the version that governs.
    pub standard: std::sync::Arc<Standard>,
    /// The groups through which it applies.
    pub groups: Vec<GroupCode>,
    /// Why it applies.
    pub reasons: Vec<Coded>,
    /// Of the present window, of every open event, and of the next occasion.
    pub obligations: Vec<ObligationView>,
    /// Whether an approved override asks for less today.
    pub loosened: bool,
    /// The site's overrides that are meant for today.
    pub overrides: Vec<OverrideId>,
    /// The plan that asks for something of it today.
    pub plan: Option<Revision>,
    /// The waivers that excuse from it today.
    pub waivers: Vec<WaiverId>,
}

impl App {
    /// Everything that is owed to one resident now, with the reasons and the records that earned credit.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::CalendarYearMissing`](crate::error::Error::CalendarYearMissing),
    /// [`Error::Denied`](crate::error::Error::Denied).
    pub async fn standing(&self, call: &Call, at: &InSite<ResidentId>) -> Result<StandingView> {
        let work = self.begin_file(call, &at.site, &at.id).await?;
        let site = work.site()?;
        let today = site.zone.date_of(work.now);
        let days = DateRange::new(today, today.plus_days(1));
        let sight = work.sight().clone();
        let estate = Estate::open(self, site, work.now, days, sight).await?.with_whole_history();
        let Some(care) = estate.care(&at.id).await? else { return Err(work.absent(&at.id).await) };
        let at = &InSite { site: at.site.clone(), id: care.head.id.clone() };
        let classes = FieldClasses::of(&[FieldClass::Contact]);
        let file = self.store.resident(&at.site, &at.id, classes).await?;
        let Some(file) = file else { return Err(work.absent(&at.id).await) };
        let assessments = self.store.assessments(&at.site, std::slice::from_ref(&at.id)).await?;
        let standards = self.standards_of(&estate, &care, days)?;
        let subject = Subject::Resident(at.id.clone());
        let (applied, tenure) = (estate.applied(&care), days_in_care(&care, estate.site.zone));
        let case = estate.case(&subject, &care, &applied, &tenure);
        let next_change_at = obligation::next_change_at(&case, days, work.now).map_err(calendar_error)?;

        let touched = vec![at.id.as_str().to_owned()];
        let resource = name::resident(&at.site, &at.id);
        let touches = Touches::files(resource, touched, &[FieldClass::Contact, FieldClass::Care]);
        let receipt = work.disclose(&touches).await?;
        let opener = self.store.opener(&receipt).await?;
        let contact = opener.open_option(file.contact.as_ref())?;
        let stale = assessments.iter().any(|stored| stored.stale || stored.assessment.is_stale(today));
        let unanswered =
            self.deployed().registry.rules().any(|plugin| {
                !assessments.iter().any(|stored| stored.assessment.plugin.id == plugin.stamp().id)
            });
        Ok(StandingView {
            site: at.site.clone(),
            resident: at.id.clone(),
            display_name: contact.map(|contact| contact.name.masked()).unwrap_or_default(),
            as_of: work.now,
            tier: tier_on(&care.attention, today),
            standards,
            next_change_at,
            assessment_stale: stale || unanswered,
        })
    }

    /// One entry for every standard that applies today, or that something open asks for, by code.
    fn standards_of(
        &self,
        estate: &Estate<'_>,
        care: &ResidentCare,
        days: DateRange,
    ) -> Result<Vec<StandardStanding>> {
        let subject = Subject::Resident(care.head.id.clone());
        let (applied, tenure) = (estate.applied(care), days_in_care(care, estate.site.zone));
        let case = estate.case(&subject, care, &applied, &tenure);
        let mut owed = obligation::obligations(&case, days, estate.now).map_err(calendar_error)?;
        owed.extend(next_occasions(estate, care, &applied, days)?);
        let mut standards = Vec::new();
        for applied in &applied {
            let Some(code) = applied.code() else { continue };
            let mut obligations = Vec::new();
            for obligation in owed.iter().filter(|obligation| obligation.standard.code == *code) {
                obligations.push(self.obligation_view(
                    estate,
                    Some(care),
                    String::new(),
                    obligation.clone(),
                )?);
            }
            let in_force = span_on(applied, estate.today);
            let of_open = obligations.first().map(|view| &view.obligation.standard);
            let Some(standard) = in_force.or(of_open) else { continue };
            let in_care = tenure.iter().any(|days| days.contains(estate.today));
            if obligations.is_empty() && !(in_force.is_some() && in_care) {
                continue;
            }
            let overrides: Vec<_> = estate.overrides_of(code, days).collect();
            let excusing = care.waivers.iter().filter(|waiver| {
                waiver.standard == *code && waiver.days(estate.site.zone).contains(estate.today)
            });
            standards.push(StandardStanding {
                loosened: overrides.iter().any(|known| known.looser),
                overrides: overrides.iter().map(|known| known.id.clone()).collect(),
                plan: planned_by(care, code, estate),
                waivers: excusing.map(|waiver| waiver.id.clone()).collect(),
                groups: groups_through(standard, care, estate.today),
                reasons: self.reasons(standard, Some(care), estate.today, estate.today),
                standard: std::sync::Arc::clone(standard),
                obligations,
            });
        }
        Ok(standards)
    }
}

/// The plan in force that asks for something of a standard.
fn planned_by(care: &ResidentCare, code: &StandardCode, estate: &Estate<'_>) -> Option<Revision> {
    let days = plan_days(&care.plans, estate.site.zone);
    let mut in_force = care.plans.iter().zip(days).filter(|(plan, days)| {
        days.is_some_and(|days| days.contains(estate.today))
            && plan.items.iter().any(|item| item.standard == *code)
    });
    in_force.next().map(|(plan, _)| plan.revision)
}

/// The next obligation of every seasonal standard that has none today.
fn next_occasions(
    estate: &Estate<'_>,
    care: &ResidentCare,
    applied: &[Applied],
    days: DateRange,
) -> Result<Vec<obligation::Obligation>> {
    let seasonal = |applied: &&Applied| {
        applied.spans().iter().any(|span| match span.standard.duty {
            Duty::Seasonal { .. } => true,
            Duty::Recurring { .. } | Duty::Triggered { .. } => false,
        })
    };
    let seasonal: Vec<Applied> = applied.iter().filter(seasonal).cloned().collect();
    if seasonal.is_empty() {
        return Ok(Vec::new());
    }
    let subject = Subject::Resident(care.head.id.clone());
    let tenure = days_in_care(care, estate.site.zone);
    let case = estate.case(&subject, care, &seasonal, &tenure);
    let ahead = DateRange::new(days.start(), days.start().plus_days(OCCASION_DAYS));
    let mut found = obligation::obligations(&case, ahead, estate.now).map_err(calendar_error)?;
    // In order of standard and time: the first of each is the next; those of today are known already.
    found.retain(|obligation| matches!(obligation.opening, Opening::Occasion { .. }));
    found.dedup_by(|later, first| later.standard.code == first.standard.code);
    found.retain(|obligation| obligation.window.intersect(days).is_empty());
    Ok(found)
}

/// The version of a standard that applies on a day.
pub(in crate::app) fn span_on(applied: &Applied, day: CivilDate) -> Option<&std::sync::Arc<Standard>> {
    applied.spans().iter().find(|span| span.days.contains(day)).map(|span| &span.standard)
}

/// The resident's groups through which a standard applies on a day.
fn groups_through(standard: &Standard, care: &ResidentCare, day: CivilDate) -> Vec<GroupCode> {
    let held = care.memberships.iter().filter(|membership| membership.holds_on(day));
    let mut groups: Vec<GroupCode> = held
        .map(|membership| membership.group.clone())
        .filter(|group| standard.applies_to.any_group.contains(group))
        .collect();
    groups.sort();
    groups.dedup();
    groups
}
