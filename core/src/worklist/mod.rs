//! Worklists: the fewest contacts that satisfy what is open, and the order in which a post does them.
//!
//! One visit may satisfy several duties. [`plan`] chooses kinds and days so that as few contacts as possible credit
//! everything open of one subject; the number is exact, by iterative deepening over the contacts that can credit the
//! obligation with the fewest choices.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::calendar::SiteCalendar;
use crate::id::Subject;
use crate::kind::{KindSet, ServiceKind};
use crate::obligation::{Obligation, ObligationStatus, Opening};
use crate::record::SubjectRecord;
use crate::standard::{Duty, Standard};
use crate::time::{CivilDate, DateRange, Instant};

/// Largest number of contacts that one plan proposes: a contact a day for a year.
pub const PLAN_CONTACTS_MAX: usize = 366;
/// Steps of the exact search before a plan settles for few instead of fewest; plans of real residents take tens.
pub const PLAN_STEPS_MAX: usize = 50_000;

/// The contacts that satisfy what is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The contacts, by day.
    pub contacts: Vec<Contact>,
    /// Whether no smaller number would do; `false` where the search hit [`PLAN_STEPS_MAX`] or
    /// [`PLAN_CONTACTS_MAX`].
    pub exact: bool,
}

/// A contact or service to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// For whom or what.
    pub subject: Subject,
    /// What to do.
    pub kind: ServiceKind,
    /// The first day on which it satisfies all that it is meant to.
    pub day: CivilDate,
    /// The last instant at which it does so in time; already past for unanswered events.
    pub due: Instant,
    /// The most pressing status among what it credits.
    pub urgency: Urgency,
    /// The most pressing priority among what it credits, 1 (first) to 5.
    pub priority: u8,
    /// What it credits.
    pub credits: Vec<Credited>,
}

/// What a contact of a worklist would credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credited {
    /// The standard.
    pub standard: Arc<Standard>,
    /// The window, occasion or event.
    pub opening: Opening,
}

/// How pressing a contact is, most pressing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Urgency {
    /// An event was not answered in time.
    Overdue,
    /// Little time is left.
    AtRisk,
    /// There is time.
    Open,
}

/// The fewest contacts that satisfy the open obligations of one subject. `records` are the subject's, for the days on
/// which duties with distinct days are already credited. Kinds that only substitute for others are proposed where no
/// other recurring duty of the subject requires them.
pub fn plan(
    obligations: &[Obligation],
    records: &[SubjectRecord],
    calendar: &SiteCalendar,
    now: Instant,
) -> Plan {
    let problem = Problem::new(obligations, records, calendar, now);
    let (steps, exact) = problem.solve();
    let mut contacts: Vec<Contact> = steps.iter().filter_map(|step| problem.contact(step)).collect();
    contacts.sort_by_key(|contact| (contact.day, contact.due, contact.kind));
    Plan { contacts, exact }
}

/// Orders the contacts of a post: most pressing first, then by the last instant, priority and subject.
pub fn sort_contacts(contacts: &mut [Contact]) {
    contacts.sort_by(|a, b| {
        (a.urgency, a.due, a.priority, &a.subject, a.day, a.kind)
            .cmp(&(b.urgency, b.due, b.priority, &b.subject, b.day, b.kind))
    });
}

/// An open obligation.
struct Item<'a> {
    obligation: &'a Obligation,
    kinds: KindSet,
    preferred: KindSet,
    days: DateRange,
    /// Whether only one contact a day counts.
    distinct: bool,
    /// Days on which it is already credited, for duties with distinct days.
    taken: Vec<CivilDate>,
}

impl Item<'_> {
    fn wants(&self, day: CivilDate) -> bool {
        self.days.contains(day) && !self.taken.contains(&day)
    }
}

/// One contact of a solution.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    kind: ServiceKind,
    day: CivilDate,
    credits: Vec<usize>,
}

/// What is still wanting, and which duties with distinct days are credited on which day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    wanting: Vec<u16>,
    credited: Vec<(CivilDate, usize)>,
}

struct Problem<'a> {
    items: Vec<Item<'a>>,
    /// Kinds that are not outdone by another, the preferred of equals.
    kinds: Vec<ServiceKind>,
    /// Days in groups that the same items want; few of each suffice.
    days: Vec<Vec<CivilDate>>,
}

impl<'a> Problem<'a> {
    fn new(
        obligations: &'a [Obligation],
        records: &[SubjectRecord],
        calendar: &SiteCalendar,
        now: Instant,
    ) -> Self {
        let zone = calendar.zone();
        let today = zone.date_of(now);
        let open = obligations.iter().filter(|o| o.is_open() && o.shortfall() > 0);
        let items = open.map(|obligation| {
            let standard = &obligation.standard;
            let distinct = is_distinct(standard);
            let credited = records.iter().filter(|r| distinct && obligation.credits.contains(&r.id));
            let end = if obligation.status == ObligationStatus::Missed {
                today.plus_days(1)
            } else {
                obligation.window.end()
            };
            let substitutes = obligation.accepts.iter().filter(|kind| {
                !standard.accepts.contains(*kind) && !required_elsewhere(obligations, obligation, *kind)
            });
            let preferred: KindSet = substitutes.collect();
            Item {
                obligation,
                kinds: standard.accepts.union(preferred),
                preferred,
                days: DateRange::new(today.max(obligation.window.start()), end),
                distinct,
                taken: credited.map(|record| zone.date_of(record.occurred_at)).collect(),
            }
        });
        let items: Vec<Item<'a>> =
            items.filter(|item| !item.kinds.is_empty() && !item.days.is_empty()).collect();
        let (kinds, days) = (useful_kinds(&items), day_groups(&items));
        Self { items, kinds, days }
    }

    fn start(&self) -> State {
        State {
            wanting: self.items.iter().map(|item| item.obligation.shortfall()).collect(),
            credited: Vec::new(),
        }
    }

    /// What a contact would credit.
    fn credits(&self, state: &State, kind: ServiceKind, day: CivilDate) -> Vec<usize> {
        let items = self.items.iter().zip(&state.wanting).enumerate();
        let credited = items.filter(|(index, (item, wanting))| {
            **wanting > 0
                && item.kinds.contains(kind)
                && item.wants(day)
                && !(item.distinct && state.credited.contains(&(day, *index)))
        });
        credited.map(|(index, _)| index).collect()
    }

    /// The contacts worth trying: per kind and group of days, one of each day in use and the first day that is not;
    /// those that credit most come first.
    fn candidates(&self, state: &State) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for &kind in &self.kinds {
            for group in &self.days {
                for &day in group {
                    let used = state.credited.iter().any(|(used, _)| *used == day);
                    let credits = self.credits(state, kind, day);
                    if !credits.is_empty() {
                        steps.push(Step { kind, day, credits });
                    }
                    if !used {
                        break;
                    }
                }
            }
        }
        steps.sort_by_key(|step| (std::cmp::Reverse(step.credits.len()), step.day));
        steps
    }

    fn apply(&self, state: &State, step: &Step) -> State {
        let mut next = state.clone();
        for &index in &step.credits {
            if let Some(wanting) = next.wanting.get_mut(index) {
                *wanting = wanting.saturating_sub(1);
            }
            if self.items.get(index).is_some_and(|item| item.distinct) {
                next.credited.push((step.day, index));
            }
        }
        next.credited.sort_unstable();
        next
    }

    /// The fewest contacts, and whether that was proven. What no contact can credit any more is left out.
    fn solve(&self) -> (Vec<Step>, bool) {
        let (few, complete) = self.greedy();
        if !complete {
            return (few, false);
        }
        let possible = self.achievable(&few);
        let least = possible.iter().copied().max().map_or(0, usize::from);
        let mut budget = PLAN_STEPS_MAX;
        let start = State { wanting: possible, credited: Vec::new() };
        for depth in least..few.len() {
            let mut failed = HashMap::new();
            let mut steps = Vec::new();
            match self.search(&start, depth, &mut budget, &mut failed, &mut steps) {
                Some(true) => {
                    steps.reverse();
                    return (steps, true);
                }
                Some(false) => {}
                None => return (few, false),
            }
        }
        (few, true)
    }

    /// Takes the contact that credits most until nothing can be credited.
    fn greedy(&self) -> (Vec<Step>, bool) {
        let mut state = self.start();
        let mut steps = Vec::new();
        while let Some(step) = self.candidates(&state).into_iter().next() {
            if steps.len() == PLAN_CONTACTS_MAX {
                return (steps, false);
            }
            state = self.apply(&state, &step);
            steps.push(step);
        }
        (steps, true)
    }

    /// How many credits each item can get at all: too few days may be left for a duty with distinct days. Items do not
    /// take anything from each other, so a plan that goes on until nothing can be credited reaches it.
    fn achievable(&self, plan: &[Step]) -> Vec<u16> {
        let mut counts: Vec<u16> = vec![0; self.items.len()];
        for index in plan.iter().flat_map(|step| &step.credits) {
            if let Some(count) = counts.get_mut(*index) {
                *count = count.saturating_add(1);
            }
        }
        counts
    }

    /// Whether `depth` more contacts suffice; `None` where the budget is spent. On success `steps` holds them, last
    /// first.
    fn search(
        &self,
        state: &State,
        depth: usize,
        budget: &mut usize,
        failed: &mut HashMap<State, usize>,
        steps: &mut Vec<Step>,
    ) -> Option<bool> {
        let most = state.wanting.iter().copied().max().map_or(0, usize::from);
        if most == 0 {
            return Some(true);
        }
        if most > depth || failed.get(state).is_some_and(|known| *known >= depth) {
            return Some(false);
        }
        *budget = budget.checked_sub(1)?;
        let candidates = self.candidates(state);
        // Some contact must credit this item: only those are tried.
        let wanting = (0..self.items.len()).filter(|i| state.wanting.get(*i).is_some_and(|w| *w > 0));
        let tightest = wanting.min_by_key(|i| candidates.iter().filter(|c| c.credits.contains(i)).count());
        let mut tried = HashSet::new();
        for step in candidates.iter().filter(|c| tightest.is_some_and(|i| c.credits.contains(&i))) {
            let next = self.apply(state, step);
            if !tried.insert(next.clone()) {
                continue;
            }
            if self.search(&next, depth - 1, budget, failed, steps)? {
                steps.push(step.clone());
                return Some(true);
            }
        }
        failed.insert(state.clone(), depth);
        Some(false)
    }

    fn contact(&self, step: &Step) -> Option<Contact> {
        let credited: Vec<&Obligation> =
            step.credits.iter().filter_map(|index| self.items.get(*index)).map(|i| i.obligation).collect();
        Some(Contact {
            subject: credited.first()?.subject.clone(),
            kind: step.kind,
            day: step.day,
            due: credited.iter().map(|o| o.due).min()?,
            urgency: credited.iter().map(|o| urgency(o.status)).min()?,
            priority: credited.iter().map(|o| o.standard.priority).min()?,
            credits: credited
                .iter()
                .map(|o| Credited { standard: Arc::clone(&o.standard), opening: o.opening.clone() })
                .collect(),
        })
    }
}

fn urgency(status: ObligationStatus) -> Urgency {
    match status {
        ObligationStatus::Missed => Urgency::Overdue,
        ObligationStatus::AtRisk => Urgency::AtRisk,
        ObligationStatus::Upcoming
        | ObligationStatus::Open
        | ObligationStatus::Met
        | ObligationStatus::MetLate
        | ObligationStatus::Excused => Urgency::Open,
    }
}

fn is_distinct(standard: &Standard) -> bool {
    match standard.duty {
        Duty::Recurring { distinct_days, .. } => distinct_days,
        Duty::Triggered { .. } | Duty::Seasonal { .. } => false,
    }
}

/// Whether another recurring duty of the subject requires a kind: then it would count there first.
fn required_elsewhere(obligations: &[Obligation], this: &Obligation, kind: ServiceKind) -> bool {
    obligations.iter().any(|other| {
        other.standard.code != this.standard.code
            && matches!(other.standard.duty, Duty::Recurring { .. })
            && other.standard.accepts.contains(kind)
    })
}

/// How readily a kind is proposed where others would do as well.
fn effort(kind: ServiceKind) -> u8 {
    match kind {
        ServiceKind::PhoneCall => 0,
        ServiceKind::VideoCall | ServiceKind::AnsweredMessage => 1,
        ServiceKind::HomeVisit => 2,
        ServiceKind::EmergencyContactCall => 4,
        ServiceKind::DoorCheck => 5,
        ServiceKind::AuthorityReport => 6,
        ServiceKind::FestivalVisit
        | ServiceKind::Survey
        | ServiceKind::Review
        | ServiceKind::FileUpdate
        | ServiceKind::SafetyCheck
        | ServiceKind::Patrol
        | ServiceKind::PassageCheck
        | ServiceKind::Post
        | ServiceKind::Escort
        | ServiceKind::Inspection
        | ServiceKind::Repair
        | ServiceKind::Cleaning
        | ServiceKind::Disinfection
        | ServiceKind::IndoorHelp
        | ServiceKind::ErrandShopping
        | ServiceKind::ErrandParcel
        | ServiceKind::ErrandBill
        | ServiceKind::ErrandMedicine
        | ServiceKind::Activity
        | ServiceKind::FollowUp
        | ServiceKind::RequestAccepted
        | ServiceKind::RequestArrived
        | ServiceKind::RequestFinished
        | ServiceKind::Publication
        | ServiceKind::Referral
        | ServiceKind::SupervisorReport
        | ServiceKind::RequestReviewed
        | ServiceKind::ReferralAnswered
        | ServiceKind::ReferralClosed => 3,
    }
}

/// Kinds by preference: a substitute ("text, do not phone") before the usual, little effort before much. A kind that
/// credits no more than one before it is left out.
fn useful_kinds(items: &[Item<'_>]) -> Vec<ServiceKind> {
    let all = items.iter().fold(KindSet::EMPTY, |all, item| all.union(item.kinds));
    let serves = |kind: ServiceKind| -> Vec<bool> { items.iter().map(|i| i.kinds.contains(kind)).collect() };
    let mut kinds: Vec<ServiceKind> = all.iter().collect();
    kinds.sort_by_key(|kind| (!items.iter().any(|i| i.preferred.contains(*kind)), effort(*kind)));
    let outdone = |kind: ServiceKind, position: usize| {
        let own = serves(kind);
        kinds.iter().enumerate().any(|(other_position, other)| {
            let others = serves(*other);
            let covers = own.iter().zip(&others).all(|(own, other)| !own || *other);
            *other != kind && covers && (own != others || other_position < position)
        })
    };
    let useful = kinds.iter().enumerate().filter(|(position, kind)| !outdone(**kind, *position));
    useful.map(|(_, kind)| *kind).collect()
}

/// Days on which something is wanted, grouped by what is wanted; of each group as many as the largest shortfall.
fn day_groups(items: &[Item<'_>]) -> Vec<Vec<CivilDate>> {
    let mut cuts: Vec<CivilDate> = Vec::new();
    for item in items {
        cuts.extend([item.days.start(), item.days.end()]);
        cuts.extend(item.taken.iter().flat_map(|day| [*day, day.plus_days(1)]));
    }
    cuts.sort_unstable();
    cuts.dedup();
    let distinct = items.iter().filter(|item| item.distinct).map(|item| item.obligation.shortfall()).max();
    let enough = usize::from(distinct.unwrap_or(1)).clamp(1, PLAN_CONTACTS_MAX);
    let mut groups: Vec<(Vec<bool>, Vec<CivilDate>)> = Vec::new();
    for (start, end) in cuts.iter().zip(cuts.iter().skip(1)) {
        let wanted: Vec<bool> = items.iter().map(|item| item.wants(*start)).collect();
        if !wanted.contains(&true) {
            continue;
        }
        let days = DateRange::new(*start, *end).days().take(enough);
        match groups.iter_mut().find(|(known, _)| *known == wanted) {
            Some((_, known)) => {
                known.extend(days);
                known.truncate(enough);
            }
            None => groups.push((wanted, days.collect())),
        }
    }
    groups.into_iter().map(|(_, days)| days).collect()
}

#[cfg(test)]
mod tests;
