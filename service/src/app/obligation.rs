//! What is owed to whom: computed from standards, records, pauses and events at the moment of asking.

mod list;
mod standing;
mod task;
mod watch;
mod worklist;

use linli_core::assessment::tier_on;
use linli_core::id::{PauseId, SiteId, StandardCode, Subject, SubjectKind};
use linli_core::kind::Department;
use linli_core::obligation::{Excuse, Obligation, ObligationStatus, Opening};
use linli_core::standard::{Duty, Standard};
use linli_core::text::Label;
use linli_core::time::{CivilDate, Instant};
use linli_store::ResidentCare;

use super::App;
use super::assessment::Coded;
use super::estate::{Estate, calendar_error};
use crate::error::Result;

pub use list::ObligationFilter;
pub(super) use standing::span_on;
pub use standing::{StandardStanding, StandingView};
pub use watch::{WATCH_UPDATES_MAX, Watched, Watches, WorklistWatch};
pub use worklist::{WorklistItem, WorklistRequest};

/// Most days that a list of obligations covers.
pub const LIST_DAYS_MAX: i32 = 366;
/// Furthest day of a worklist, in days from today.
pub const WORKLIST_DAYS_MAX: i32 = 31;

/// An obligation as answers show it.
#[derive(Debug, Clone, PartialEq)]
pub struct ObligationView {
    /// The site.
    pub site: SiteId,
    /// The obligation.
    pub obligation: Obligation,
    /// What people call the place, or the masked name of the resident where it may be shown; else empty.
    pub display_name: String,
    /// The first instant after its window.
    pub window_end: Instant,
    /// Days of the window that the standard counts; 0 for events.
    pub window_days: u32,
    /// Why it is owed, and why in this number.
    pub reasons: Vec<Coded>,
}

impl ObligationView {
    /// What it is called: the same for the same subject, standard and opening.
    pub fn key(&self) -> String {
        let Obligation { subject, standard, opening, .. } = &self.obligation;
        let subject_key = match subject {
            Subject::Site => subject.kind().code().to_owned(),
            Subject::Resident(_)
            | Subject::Dwelling(_)
            | Subject::Area(_)
            | Subject::Facility(_)
            | Subject::Request(_) => format!("{}/{}", subject.kind().code(), subject.id_text()),
        };
        format!("{}/{subject_key}/{}/{}", self.site, standard.code, opening_key(opening))
    }
}

/// What opened an obligation, as text without blanks.
fn opening_key(opening: &Opening) -> String {
    match opening {
        Opening::Window(day) => day.to_string(),
        Opening::Occasion { year, .. } => format!("occasion:{year}"),
        Opening::Event(id) => format!("event:{id}"),
        Opening::PauseOverdue(id) => format!("pause:{id}"),
        Opening::Record(id) => format!("record:{id}"),
    }
}

impl App {
    /// An obligation with its reasons. `care` is the file of the resident it is owed to.
    fn obligation_view(
        &self,
        estate: &Estate<'_>,
        care: Option<&ResidentCare>,
        display_name: String,
        obligation: Obligation,
    ) -> Result<ObligationView> {
        let days = match obligation.standard.duty {
            Duty::Recurring { .. } | Duty::Seasonal { .. } => {
                let counted = estate.calendar.count(obligation.standard.runs_on, obligation.window);
                counted.map_err(calendar_error)?.unsigned_abs()
            }
            Duty::Triggered { .. } => 0,
        };
        let mut reasons =
            self.reasons(&obligation.standard, care, obligation.window.start(), obligation.last_day());
        reasons.extend(number_reasons(&obligation, care, days));
        Ok(ObligationView {
            site: estate.site.id.clone(),
            display_name,
            window_end: estate.site.zone.start_of(obligation.window.end()),
            window_days: days,
            reasons,
            obligation,
        })
    }

    /// Why a standard applies within some days, both inclusive.
    pub(super) fn reasons(
        &self,
        standard: &Standard,
        care: Option<&ResidentCare>,
        first: CivilDate,
        last: CivilDate,
    ) -> Vec<Coded> {
        let selector = &standard.applies_to;
        let Some(care) = care else {
            if standard.subject == SubjectKind::Request {
                return vec![own("request", "按工单的类别和紧急程度", "by the request's kind and urgency")];
            }
            // Staff see that a place is flagged, never by whom or why.
            return vec![if selector.flagged {
                own("flagged", "有住户需要重点关注", "a resident here needs attention")
            } else {
                own("every_place", "适用于每处", "it applies to every place of this kind")
            }];
        };
        let mut reasons: Vec<Coded> = Vec::new();
        let held = care.memberships.iter().filter(|membership| {
            selector.any_group.contains(&membership.group)
                && membership.start <= last
                && membership.end.is_none_or(|end| end > first)
        });
        for membership in held {
            let coded =
                membership.reason.as_ref().and_then(|reason| self.coded_reason(&membership.group, reason));
            let coded = coded.unwrap_or_else(|| {
                let title =
                    self.deployed().catalogue.group(&membership.group).map(|group| group.title.clone());
                let group = membership.group.as_str();
                let title = title.unwrap_or_else(|| Label::new(group, group));
                let basis = membership.basis;
                own(
                    &format!("{group}.{}", basis.code()),
                    &format!("{}({})", title.zh, basis.zh()),
                    &format!("{} ({})", title.en, basis.en()),
                )
            });
            if !reasons.iter().any(|known| known.code == coded.code) {
                reasons.push(coded);
            }
        }
        if selector.any_group.is_empty() {
            reasons.push(own("every_file", "适用于每份关怀档案", "it applies to every care file"));
        }
        if selector.min_tier.is_some() || selector.max_tier.is_some() {
            let tier = tier_on(&care.attention, last);
            let code = format!("tier.{}", tier.code());
            reasons.push(own(&code, &format!("关注等级:{}", tier.zh()), &format!("tier: {}", tier.en())));
        }
        reasons
    }
}

/// Why an obligation asks for the number it asks for.
fn number_reasons(obligation: &Obligation, care: Option<&ResidentCare>, window_days: u32) -> Vec<Coded> {
    let pause = |id: &PauseId| care.and_then(|care| care.pauses.iter().find(|pause| pause.id == *id));
    match &obligation.excuse {
        Some(Excuse::Pause(id)) => {
            let reason = pause(id).map(|pause| pause.reason);
            let (code, zh, en) = reason.map_or(("other", "暂停", "paused"), |r| (r.code(), r.zh(), r.en()));
            vec![own(&format!("pause.{code}"), &format!("暂停:{zh}"), &format!("paused: {en}"))]
        }
        Some(Excuse::Waiver) => vec![own("waived", "已豁免", "waived")],
        Some(Excuse::Ended) => vec![own("ended", "已迁离或身故", "moved out or died before it was due")],
        None if obligation.standard.prorate && obligation.active_days < window_days => {
            let (active, all) = (obligation.active_days, window_days);
            vec![own(
                "prorated",
                &format!("按 {all} 天中的 {active} 天折算"),
                &format!("in proportion to {active} of {all} days"),
            )]
        }
        None => Vec::new(),
    }
}

/// A reason of the server's own.
fn own(code: &str, zh: &str, en: &str) -> Coded {
    Coded { code: code.to_owned(), text: Label::new(zh, en), plugin: None }
}

/// Which standards a question is about.
#[derive(Debug, Clone, Default)]
struct Wanted<'a> {
    department: Option<Department>,
    standard: Option<&'a StandardCode>,
}

impl Wanted<'_> {
    fn holds(&self, standard: &Standard) -> bool {
        super::estate::of_department(standard, self.department)
            && self.standard.is_none_or(|code| standard.code == *code)
    }
}

/// Whether something is still to be done for it.
fn is_due(obligation: &Obligation) -> bool {
    match obligation.status {
        ObligationStatus::Open | ObligationStatus::AtRisk | ObligationStatus::Missed => {
            obligation.is_open() && obligation.shortfall() > 0
        }
        ObligationStatus::Upcoming
        | ObligationStatus::Met
        | ObligationStatus::MetLate
        | ObligationStatus::Excused => false,
    }
}
