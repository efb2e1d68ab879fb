//! Care plans: items clear, because duties are computed from them; words sealed. A revision is appended once, and so is what
//! was decided about it.

use std::collections::HashMap;
use std::marker::PhantomData;

use linli_core::care_plan::{CarePlan, PlanDecision, PlanWords, Revision};
use linli_core::id::{ResidentId, SiteId};
use linli_core::resident::FieldClass;
use linli_core::text::Line;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Expect, Rows};
use crate::convert::{date, days, signed};
use crate::error::{SealError, StoreError};
use crate::form::sealed::Encode;
use crate::form::{decode_items, encode_items};
use crate::page::padded;
use crate::resource::Change;
use crate::seal::{Holder, Sealed, Sealer};
use crate::store::Store;
use crate::table::{Key, Table, care_plan, plan_decision};

/// A revision, its words sealed.
#[derive(Debug, Clone)]
pub struct StoredPlan {
    /// The revision; the reason of its decision is absent.
    pub plan: CarePlan,
    /// What it says in words.
    pub words: Sealed<PlanWords>,
    /// Why it was decided so.
    pub decision_reason: Option<Sealed<Line>>,
}

impl ChangeSet {
    /// Appends a revision without a decision; one of its number is refused as [`crate::CommitError::Exists`].
    pub fn add_plan(&mut self, plan: CarePlan, words: PlanWords) -> &mut Self {
        self.push(Change::CarePlan(Box::new(plan), Box::new(words)))
    }

    /// Decides about a revision; a second decision is refused as [`crate::CommitError::Exists`].
    pub fn decide_plan(
        &mut self,
        site: &SiteId,
        resident: &ResidentId,
        revision: Revision,
        decision: PlanDecision,
    ) -> &mut Self {
        self.push(Change::PlanDecision(site.clone(), resident.clone(), revision, Box::new(decision)))
    }

    /// Asks that no revision follow this one; one that does is refused as [`crate::CommitError::Exists`].
    pub fn require_latest_plan(
        &mut self,
        site: &SiteId,
        resident: &ResidentId,
        revision: Revision,
    ) -> &mut Self {
        self.push(Change::RequireLatestPlan(site.clone(), resident.clone(), revision))
    }
}

pub(crate) fn require_latest(site: &SiteId, resident: &ResidentId, revision: Revision, rows: &mut Rows) {
    rows.guard(Table::CarePlan, key(site, resident, revision.next()), Expect::Absent, "plan");
}

fn key(site: &SiteId, resident: &ResidentId, revision: Revision) -> Key {
    vec![site.as_str().into(), resident.as_str().into(), i64::from(revision.number()).into()]
}

pub(crate) fn rows(
    plan: &CarePlan,
    words: &PlanWords,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let (resident, revision) = (plan.resident.as_str(), i64::from(plan.revision.number()));
    let plain = zeroize::Zeroizing::new(Encode::encode(words));
    let row = care_plan::Model {
        site: plan.site.as_str().to_owned(),
        resident: resident.to_owned(),
        revision,
        items: encode_items(&plan.items),
        from_day: days(plan.from),
        submitted_by: plan.submitted.by.as_str().to_owned(),
        submitted_at: plan.submitted.at.micros(),
        words: sealer.resident(resident, "care_plan", &[resident], "words", revision, &plain)?,
    };
    let key = key(&plan.site, &plan.resident, plan.revision);
    rows.guard(Table::CarePlan, key, Expect::Absent, "plan");
    rows.append(Table::CarePlan, row);
    Ok(())
}

pub(crate) fn decision_rows(
    (site, resident, revision): (&SiteId, &ResidentId, Revision),
    decision: &PlanDecision,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let number = i64::from(revision.number());
    let reason = decision.reason.as_ref().map(|reason| {
        let plain = zeroize::Zeroizing::new(Encode::encode(reason));
        let resident = resident.as_str();
        sealer.resident(resident, "plan_decision", &[resident], "reason", number, &plain)
    });
    let row = plan_decision::Model {
        site: site.as_str().to_owned(),
        resident: resident.as_str().to_owned(),
        revision: number,
        approved: i64::from(decision.approved),
        decided_by: decision.signed.by.as_str().to_owned(),
        decided_at: decision.signed.at.micros(),
        reason: reason.transpose()?,
    };
    rows.guard(Table::CarePlan, key(site, resident, revision), Expect::Present, "plan");
    rows.guard(Table::PlanDecision, key(site, resident, revision), Expect::Absent, "plan");
    rows.append(Table::PlanDecision, row);
    Ok(())
}

impl Store {
    /// Every revision of these residents' plans, by resident and number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plans(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<StoredPlan>, StoreError> {
        let ids = || padded(residents.iter().map(ResidentId::as_str));
        let plans = care_plan::Entity::find()
            .filter(care_plan::Column::Site.eq(site.as_str()))
            .filter(care_plan::Column::Resident.is_in(ids()))
            .order_by_asc(care_plan::Column::Resident)
            .order_by_asc(care_plan::Column::Revision)
            .all(self.reader())
            .await?;
        if plans.is_empty() {
            return Ok(Vec::new());
        }
        let decisions = plan_decision::Entity::find()
            .filter(plan_decision::Column::Site.eq(site.as_str()))
            .filter(plan_decision::Column::Resident.is_in(ids()))
            .all(self.reader())
            .await?;
        let mut decisions: HashMap<(String, i64), plan_decision::Model> =
            decisions.into_iter().map(|row| ((row.resident.clone(), row.revision), row)).collect();
        let decided = plans.into_iter().map(|row| {
            let decision = decisions.remove(&(row.resident.clone(), row.revision));
            to_plan(row, decision)
        });
        decided.collect()
    }
}

fn to_plan(row: care_plan::Model, decided: Option<plan_decision::Model>) -> Result<StoredPlan, StoreError> {
    let build = || {
        let decision = match &decided {
            Some(decided) => Some(PlanDecision {
                approved: decided.approved != 0,
                signed: signed(&decided.decided_by, decided.decided_at)?,
                reason: None,
            }),
            None => None,
        };
        Some(StoredPlan {
            words: Sealed {
                site: row.site.clone(),
                table: "care_plan",
                row: vec![row.resident.clone()],
                column: "words",
                version: row.revision,
                class: FieldClass::Care,
                holder: Holder::Resident(row.resident.clone()),
                cell: row.words.clone(),
                value: PhantomData,
            },
            decision_reason: decided.as_ref().and_then(|decided| decided.reason.as_ref()).map(|cell| {
                Sealed {
                    site: row.site.clone(),
                    table: "plan_decision",
                    row: vec![row.resident.clone()],
                    column: "reason",
                    version: 1,
                    class: FieldClass::Care,
                    holder: Holder::Resident(row.resident.clone()),
                    cell: cell.clone(),
                    value: PhantomData,
                }
            }),
            plan: CarePlan {
                site: SiteId::new(&row.site).ok()?,
                resident: ResidentId::new(&row.resident).ok()?,
                revision: u32::try_from(row.revision).ok().and_then(Revision::from_number)?,
                items: decode_items(&row.items)?,
                from: date(row.from_day)?,
                submitted: signed(&row.submitted_by, row.submitted_at)?,
                decision,
            },
        })
    };
    build().ok_or(StoreError::Row { table: "care_plan" })
}
