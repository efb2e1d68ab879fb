//! Obligations: what is owed to a subject, and how it stands.
//!
//! There is no job that creates tasks. [`obligations`] is a pure function of what applies, what was recorded and the
//! time at which it is asked; asking again gives the same answer. It reads nothing recorded after `now`.
//!
//! One file per kind of duty: `recurring`, `triggered` (with `ladder`), `seasonal`; `view` holds what they share.

mod ladder;
mod recurring;
mod seasonal;
mod status;
mod triggered;
mod view;

use std::sync::Arc;

use crate::applied::Applied;
use crate::calendar::{CalendarError, SiteCalendar};
use crate::event::CareEvent;
use crate::id::{EventId, PauseId, RecordId, Subject};
use crate::kind::{KindSet, closed_list};
use crate::pause::Pause;
use crate::record::SubjectRecord;
use crate::standard::Standard;
use crate::time::{CivilDate, DateRange, Instant, SiteZone};

use view::View;

/// Everything that decides what one subject is owed. Order is irrelevant in every list.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The subject.
    pub subject: &'a Subject,
    /// The standards that apply to it, one entry per code.
    pub applied: &'a [Applied],
    /// Its service records, each in its latest version.
    pub records: &'a [SubjectRecord],
    /// Its events; those of other subjects are not read.
    pub events: &'a [CareEvent],
    /// Its pauses.
    pub pauses: &'a [Pause],
    /// The days on which it is in care (for places: exists); several where somebody left and returned.
    pub tenure: &'a [DateRange],
    /// The site's calendar.
    pub calendar: &'a SiteCalendar,
}

/// One obligation: a subject, a standard and a window, occasion or event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// To whom or what.
    pub subject: Subject,
    /// The standard, in the version that governs.
    pub standard: Arc<Standard>,
    /// What opened it.
    pub opening: Opening,
    /// The days it spans; the last one decides to which period it belongs.
    pub window: DateRange,
    /// Its first instant.
    pub start: Instant,
    /// The last instant at which care still counts as in time.
    pub due: Instant,
    /// How many contacts are required; 0 where it is excused.
    pub required: u16,
    /// How many were credited; may exceed what is required.
    pub credited: u16,
    /// The records that earned credit, in order of occurrence.
    pub credits: Vec<RecordId>,
    /// The kinds that would earn further credit.
    pub accepts: KindSet,
    /// Days of the window on which the standard applied during the tenure.
    pub eligible_days: u32,
    /// Of these, the days without pause or waiver.
    pub active_days: u32,
    /// Why nothing is required, where it is excused.
    pub excuse: Option<Excuse>,
    /// How it stands.
    pub status: ObligationStatus,
    /// What a deputy should know about the answer.
    pub flags: Flags,
    /// When it was answered, for events; when the required number was reached, for windows.
    pub met_at: Option<Instant>,
    /// The first instant at which the passing of time alone may change this answer.
    pub next_change_at: Option<Instant>,
}

impl Obligation {
    /// The last day, which decides to which period it belongs.
    pub fn last_day(&self) -> CivilDate {
        self.window.end().plus_days(-1)
    }

    /// How many contacts are still wanting.
    pub fn shortfall(&self) -> u16 {
        self.required.saturating_sub(self.credited)
    }

    /// Whether care can and should still be given for it: an open window, or an unanswered event of somebody in care.
    pub fn is_open(&self) -> bool {
        match self.status {
            ObligationStatus::Open | ObligationStatus::AtRisk => true,
            ObligationStatus::Missed => self.opening.stays_open() && !self.flags.care_ended,
            ObligationStatus::Upcoming
            | ObligationStatus::Met
            | ObligationStatus::MetLate
            | ObligationStatus::Excused => false,
        }
    }
}

/// What opens an obligation: its key beside subject and standard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Opening {
    /// A recurring window, known by its first day.
    Window(CivilDate),
    /// An occasion in a Gregorian year.
    Occasion {
        /// The year.
        year: i32,
        /// The day of the occasion.
        day: CivilDate,
    },
    /// An event.
    Event(EventId),
    /// A pause that outlived its expected return.
    PauseOverdue(PauseId),
    /// A record: of a try that did not reach the person, or one whose own recording is due.
    Record(RecordId),
}

impl Opening {
    /// Whether it can be answered after its deadline.
    pub fn stays_open(&self) -> bool {
        match self {
            Self::Window(_) | Self::Occasion { .. } => false,
            Self::Event(_) | Self::PauseOverdue(_) | Self::Record(_) => true,
        }
    }
}

/// Why nothing is required.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Excuse {
    /// A pause; the first of them, where there are several.
    Pause(PauseId),
    /// A waiver: the person declined, or the care plan leaves it out.
    Waiver,
    /// The person died or moved out before it was due.
    Ended,
}

closed_list! {
    /// How an obligation stands.
    ObligationStatus {
        /// Its window has not begun.
        Upcoming = "upcoming", "未开始", "upcoming";
        /// Care is wanting, and there is time.
        Open = "open", "待完成", "open";
        /// Care is wanting, and less than a third of the time or only the last workday is left.
        AtRisk = "at_risk", "即将逾期", "at risk";
        /// Done in time.
        Met = "met", "已完成", "met";
        /// Answered after the deadline.
        MetLate = "met_late", "逾期完成", "met late";
        /// Not done in time.
        Missed = "missed", "未完成", "missed";
        /// Nothing was required.
        Excused = "excused", "免除", "excused";
    }
}

/// What a deputy should know about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// A credited record was recorded more than 24 hours after the window.
    pub late_entry: bool,
    /// A pause was recorded after the window; it excuses only once a deputy confirms it.
    pub late_pause: bool,
    /// An event that nobody answered before the person died or moved out, its deadline already past: it stays missed,
    /// and nobody is asked to answer it any more.
    pub care_ended: bool,
}

/// How long after its window a record may be recorded without `late_entry`, in hours; also the delay from which a
/// failed try counts as entered late.
pub const ENTRY_GRACE_HOURS: i64 = 24;
/// When a workday's morning begins, in hours after midnight.
pub const MORNING_HOUR: u32 = 8;
/// When the evening begins from which tries wait for the morning, in hours after midnight.
pub const EVENING_HOUR: u32 = 21;

/// The obligations of a subject that touch `range`, as known at `now`, in order of standard and time. Windows and
/// occasions touch by their days; events from their day on until they are answered or care ends.
///
/// # Errors
/// [`CalendarError`] where yearly data is missing that would change the answer.
///
/// ```
/// use linli_core::{applied::Applied, calendar::SiteCalendar, catalogue, id::{ResidentId, Subject}};
/// use linli_core::{obligation::{Case, ObligationStatus, obligations}, time::{CivilDate, DateRange, SiteZone}};
///
/// let day = |text| CivilDate::parse(text).unwrap();
/// let calendar = SiteCalendar::new(SiteZone::SHANGHAI);
/// let review = catalogue::standards().into_iter().find(|s| s.code.as_str() == "survey.review").unwrap();
/// let subject = Subject::Resident(ResidentId::new("wang-1").unwrap());
/// let tenure = [DateRange::from(day("2026-01-01"))];
/// let applied = [Applied::one(review.into(), tenure[0])];
/// let case = Case { subject: &subject, applied: &applied, records: &[], events: &[], pauses: &[], tenure: &tenure, calendar: &calendar };
/// let range = DateRange::new(day("2026-01-01"), day("2026-07-01"));
/// let found = obligations(&case, range, calendar.zone().at(day("2026-05-04"), 9, 0)).unwrap();
/// assert_eq!(found.iter().map(|o| o.status).collect::<Vec<_>>(), [ObligationStatus::Missed, ObligationStatus::Open]);
/// ```
pub fn obligations(
    case: &Case<'_>,
    range: DateRange,
    now: Instant,
) -> Result<Vec<Obligation>, CalendarError> {
    let mut found = Vec::new();
    obligations_into(case, range, now, &mut found)?;
    Ok(found)
}

/// As [`obligations`], appended to a list of the caller: for many subjects in a row.
///
/// # Errors
/// As [`obligations`]; what was appended before the error stays.
pub fn obligations_into(
    case: &Case<'_>,
    range: DateRange,
    now: Instant,
    found: &mut Vec<Obligation>,
) -> Result<(), CalendarError> {
    if range.is_empty() {
        return Ok(());
    }
    let view = View::new(case, now);
    let in_order = case.applied.is_sorted_by(|a, b| a.code() <= b.code());
    if in_order {
        for applied in case.applied {
            of_standard(&view, applied, range, found)?;
        }
    } else {
        let mut sorted: Vec<&Applied> = case.applied.iter().collect();
        sorted.sort_by_key(|applied| applied.code());
        for applied in sorted {
            of_standard(&view, applied, range, found)?;
        }
    }
    Ok(())
}

/// The obligations of a subject that came to its end at an instant rather than with a day: a request that was closed or
/// cancelled. What nobody had answered by then is missed for good where its time was over, and excused where it was not; what
/// was settled before `range` is left out, as [`obligations`] does.
pub fn ended_at(found: Vec<Obligation>, end: Instant, zone: SiteZone, range: DateRange) -> Vec<Obligation> {
    let ended = found.into_iter().map(|obligation| {
        let is_settled = obligation.credited > 0 || obligation.excuse.is_some();
        if is_settled {
            return (None, obligation);
        }
        if obligation.due < end {
            let flags = Flags { care_ended: true, ..obligation.flags };
            let settled = obligation.last_day().max(zone.date_of(end));
            let status = ObligationStatus::Missed;
            return (Some(settled), Obligation { status, flags, next_change_at: None, ..obligation });
        }
        let excused = Obligation {
            status: ObligationStatus::Excused,
            excuse: Some(Excuse::Ended),
            required: 0,
            next_change_at: None,
            ..obligation
        };
        (Some(excused.last_day()), excused)
    });
    ended.filter(|(settled, _)| settled.is_none_or(|day| day >= range.start())).map(|(_, o)| o).collect()
}

fn of_standard(
    view: &View<'_>,
    applied: &Applied,
    range: DateRange,
    found: &mut Vec<Obligation>,
) -> Result<(), CalendarError> {
    recurring::collect(view, applied, range, found)?;
    triggered::collect(view, applied, range, found)?;
    seasonal::collect(view, applied, range, found)
}

/// The first instant after `now` at which [`obligations`] may answer differently though nothing was recorded:
/// when to ask again. `None` where nothing changes by itself.
///
/// # Errors
/// As [`obligations`].
pub fn next_change_at(
    case: &Case<'_>,
    range: DateRange,
    now: Instant,
) -> Result<Option<Instant>, CalendarError> {
    let found = obligations(case, range, now)?;
    let of_obligations = found.iter().filter_map(|obligation| obligation.next_change_at).min();
    let of_pauses = triggered::next_overdue(&View::new(case, now));
    Ok(of_obligations.into_iter().chain(of_pauses).min())
}

#[cfg(test)]
mod tests;
