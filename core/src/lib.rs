//! The domain of Linli: care groups, service standards and obligations.
//!
//! Pure and synchronous: no I/O, no clock, no randomness, no panic on any input. Whoever needs the time or an
//! id passes it in. The service, the store and the plugin host build on this crate; it knows none of them.
//!
//! The thought that carries it: *there is no job that creates tasks*. A [`standard::Standard`] is a quota; what
//! is owed is a function of facts, records, pauses, calendar and time (see [`obligation`]).
//!
//! ```
//! use linli_core::{applied::*, calendar::SiteCalendar, catalogue, id::*, obligation::*, time::*};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let calendar = SiteCalendar::new(SiteZone::SHANGHAI);
//! let since = [DateRange::from(CivilDate::parse("2026-01-05")?)];
//! let promised: Vec<_> = catalogue::standards().into_iter().map(Into::into).collect();
//! let standing = Standing { memberships: &[], attention: &[], waivers: &[], tenure: &since };
//! let now = calendar.zone().at(CivilDate::parse("2026-03-30")?, 9, 0);
//! let applied = applied_to_resident(&Timeline::of_site(&promised, &SiteId::new("garden")?), &standing, now);
//! let wang = Subject::Resident(ResidentId::new("wang-1")?);
//! let case = Case { subject: &wang, applied: &applied, tenure: &since, calendar: &calendar, records: &[], events: &[], pauses: &[] };
//! let march = DateRange::new(CivilDate::parse("2026-03-01")?, CivilDate::parse("2026-04-01")?);
//! let owed = obligations(&case, march, now)?;
//! # let owed: Vec<_> = owed.iter().map(|o| (o.standard.code.as_str(), o.status, o.last_day().to_string())).collect();
//! assert_eq!(owed, [("survey.review", ObligationStatus::AtRisk, "2026-03-31".to_owned())]);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod activity;
pub mod applied;
pub mod assessment;
pub mod calendar;
pub mod care_plan;
pub mod catalogue;
pub mod community_body;
pub mod community_roster;
pub mod compliance;
pub mod consent;
pub mod delivery;
pub mod duplicate;
pub mod emergency;
pub mod event;
pub mod facility;
pub mod fund;
pub mod group;
pub mod id;
pub mod identity;
pub mod invalid;
pub mod kind;
pub mod membership;
pub mod merge;
mod mutant;
pub mod obligation;
pub mod pause;
pub mod record;
pub mod referral;
pub mod request;
pub mod resident;
pub mod retention;
pub mod site;
pub mod staff;
pub mod standard;
pub mod standard_override;
pub mod stricter;
pub mod survey;
#[cfg(test)]
mod testing;
pub mod text;
pub mod time;
pub mod waiver;
pub mod worklist;
