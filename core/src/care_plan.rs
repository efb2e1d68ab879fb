//! Care plans 关怀方案: what one resident is promised beyond the standards, with a reason for everything, and what whoever goes
//! must know. A revision never changes; a leader approves or rejects it.

use std::fmt;

use crate::id::{ResidentId, SiteId, StandardCode};
use crate::invalid::Invalid;
use crate::kind::closed_list;
use crate::staff::Signed;
use crate::stricter::Numbers;
use crate::text::{Line, Paragraph};
use crate::time::{CivilDate, DateRange, Instant, SiteZone};

/// Most items of a plan.
pub const PLAN_ITEMS_MAX: usize = 50;
/// Most cautions of a plan.
pub const PLAN_CAUTIONS_MAX: usize = 20;

/// The number of a plan among those of its resident, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(u32);

impl Revision {
    /// The first.
    pub const FIRST: Self = Self(1);

    /// From decimal digits without leading zeros.
    ///
    /// # Errors
    /// [`Invalid::Id`].
    pub fn new(text: &str) -> Result<Self, Invalid> {
        match text.parse() {
            Ok(number) if text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0') => {
                Ok(Self(number))
            }
            Ok(_) | Err(_) => Err(Invalid::Id),
        }
    }

    /// From a number; `None` for 0.
    pub const fn from_number(number: u32) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A revision of a resident's plan, without its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarePlan {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// Its number.
    pub revision: Revision,
    /// What it promises, each standard once.
    pub items: Vec<PlanItem>,
    /// The first day for which it is meant.
    pub from: CivilDate,
    /// Who submitted it.
    pub submitted: Signed,
    /// What was decided.
    pub decision: Option<PlanDecision>,
}

/// What a plan promises of one standard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanItem {
    /// The standard.
    pub standard: StandardCode,
    /// How often, or how fast.
    pub numbers: Numbers,
}

/// The words of a revision: class `care`, sealed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PlanWords {
    /// Why, for each item, in their order.
    pub reasons: Vec<Line>,
    /// What whoever goes must know.
    pub cautions: Vec<Line>,
    /// A remark.
    pub note: Option<Paragraph>,
}

impl fmt::Debug for PlanWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanWords({} reasons, {} cautions)", self.reasons.len(), self.cautions.len())
    }
}

/// What a leader decided about a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanDecision {
    /// Whether it was approved.
    pub approved: bool,
    /// Who decided; never who submitted it.
    pub signed: Signed,
    /// Why, in words: class `care`, sealed.
    pub reason: Option<Line>,
}

closed_list! {
    /// Where a revision stands.
    PlanState {
        /// Waits for a leader.
        Submitted = "submitted", "待批准", "submitted";
        /// Approved, and holds from a later day on.
        Planned = "planned", "待生效", "planned";
        /// Holds.
        InForce = "in_force", "生效中", "in force";
        /// A later revision was submitted before it was decided, or holds in its place.
        Superseded = "superseded", "已被替代", "superseded";
        /// A leader rejected it.
        Rejected = "rejected", "已退回", "rejected";
    }
}

impl CarePlan {
    /// The first day on which it holds, once approved: not before that.
    pub fn starts(&self, zone: SiteZone) -> Option<CivilDate> {
        let decision = self.decision.as_ref().filter(|decision| decision.approved)?;
        Some(self.from.max(zone.date_of(decision.signed.at)))
    }
}

/// The days on which each of a resident's plans holds, in order of the plans: from its start until a later revision's.
pub fn plan_days(plans: &[CarePlan], zone: SiteZone) -> Vec<Option<DateRange>> {
    plans
        .iter()
        .map(|plan| {
            let start = plan.starts(zone)?;
            let later = plans.iter().filter(|other| other.revision > plan.revision);
            let end = later.filter_map(|other| other.starts(zone)).min();
            Some(DateRange::new(start, end.unwrap_or(CivilDate::MAX)))
        })
        .collect()
}

/// Where a revision stands among those of its resident.
pub fn plan_state(plans: &[CarePlan], plan: &CarePlan, zone: SiteZone, now: Instant) -> PlanState {
    let today = zone.date_of(now);
    let later = || plans.iter().filter(|other| other.revision > plan.revision);
    match &plan.decision {
        Some(decision) if !decision.approved => PlanState::Rejected,
        Some(_) => {
            let starts = plan.starts(zone).unwrap_or(plan.from);
            let replaced = later().filter_map(|other| other.starts(zone)).any(|day| day <= starts.max(today));
            if replaced {
                PlanState::Superseded
            } else if starts > today {
                PlanState::Planned
            } else {
                PlanState::InForce
            }
        }
        None if later().next().is_some() => PlanState::Superseded,
        None => PlanState::Submitted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StaffId;

    const ZONE: SiteZone = SiteZone::SHANGHAI;

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    fn plan(revision: u32, from: &str, decided: Option<(bool, &str)>) -> CarePlan {
        let signed =
            |by: &str, on: &str| Signed { by: StaffId::new(by).unwrap(), at: ZONE.at(day(on), 9, 0) };
        CarePlan {
            site: SiteId::new("s").unwrap(),
            resident: ResidentId::new("r").unwrap(),
            revision: Revision(revision),
            items: Vec::new(),
            from: day(from),
            submitted: signed("lin", "2026-03-01"),
            decision: decided.map(|(approved, on)| PlanDecision {
                approved,
                signed: signed("wang", on),
                reason: None,
            }),
        }
    }

    #[test]
    fn one_plan_holds_at_a_time() {
        let plans = [
            plan(1, "2026-03-01", Some((true, "2026-03-04"))),
            plan(2, "2026-03-10", Some((false, "2026-03-10"))),
            plan(3, "2026-04-01", Some((true, "2026-03-20"))),
            plan(4, "2026-03-25", None),
        ];
        let days: Vec<_> = plan_days(&plans, ZONE);
        let range =
            |from: &str, to: Option<&str>| Some(DateRange::new(day(from), to.map_or(CivilDate::MAX, day)));
        assert_eq!(days, [range("2026-03-04", Some("2026-04-01")), None, range("2026-04-01", None), None]);
        let check = |on: &str, expect: [PlanState; 4]| {
            let now = ZONE.at(day(on), 12, 0);
            let found: Vec<_> = plans.iter().map(|plan| plan_state(&plans, plan, ZONE, now)).collect();
            assert_eq!(found, expect, "{on}");
        };
        use PlanState::{InForce, Planned, Rejected, Submitted, Superseded};
        check("2026-03-21", [InForce, Rejected, Planned, Submitted]);
        check("2026-04-01", [Superseded, Rejected, InForce, Submitted]);
        let alone = [plan(1, "2026-03-01", None), plan(2, "2026-03-01", None)];
        let now = ZONE.at(day("2026-03-02"), 9, 0);
        assert_eq!(plan_state(&alone, &alone[0], ZONE, now), Superseded);
        assert_eq!(plan_state(&alone, &alone[1], ZONE, now), Submitted);
    }

    #[test]
    fn revisions_are_numbers() {
        assert_eq!(Revision::new("12").unwrap().next().to_string(), "13");
        for bad in ["", "0", "01", "+1", "-1", "1.0", "99999999999"] {
            assert_eq!(Revision::new(bad), Err(Invalid::Id), "{bad}");
        }
    }
}
