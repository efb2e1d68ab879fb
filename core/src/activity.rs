//! Activities, 节日慰问与活动组织: planned, held, attended (regulation, Art. 5.1).
//!
//! An activity owes nothing by itself. Whoever attends is recorded as served, and that record earns what the seasonal standards of
//! the occasion ask for.

use crate::calendar::{CalendarError, SiteCalendar};
use crate::fund::{Fen, Progress, Spending};
use crate::id::{ActivityId, GroupCode, RecordId, SiteId, StaffId};
use crate::kind::{Occasion, ServiceKind, closed_list};
use crate::staff::Signed;
use crate::standard::{Duty, OccasionRef, Standard};
use crate::text::Line;
use crate::time::{CivilDate, DateRange, Instant};

/// Largest number of care groups that an activity is for.
pub const ACTIVITY_GROUPS_MAX: usize = 50;
/// Largest number of members of staff who help at once.
pub const ACTIVITY_STAFF_MAX: usize = 100;
/// Largest number of attendances of one activity: each may name as many residents as a record has subjects.
pub const ATTENDANCES_MAX: usize = 200;

closed_list! {
    /// What kind of activity it is.
    ActivityKind {
        /// People are visited at home with a greeting.
        Visit = "visit", "节日慰问", "festival visit";
        /// People come together.
        Event = "event", "集体活动", "event";
    }
}

impl ActivityKind {
    /// The service as which attendance is recorded.
    pub const fn service(self) -> ServiceKind {
        match self {
            Self::Visit => ServiceKind::FestivalVisit,
            Self::Event => ServiceKind::Activity,
        }
    }
}

closed_list! {
    /// Where an activity stands.
    ActivityState {
        /// It is to be held.
        Planned = "planned", "已计划", "planned";
        /// It was held, or has begun.
        Held = "held", "已举办", "held";
        /// It will not be held.
        Cancelled = "cancelled", "已取消", "cancelled";
    }
}

/// An activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: ActivityId,
    /// What kind.
    pub kind: ActivityKind,
    /// What people call it.
    pub title: Line,
    /// The occasion of the year that it is held for.
    pub occasion: Option<Occasion>,
    /// The day for which it is planned.
    pub day: CivilDate,
    /// Where it is held; a visit is paid at home.
    pub place: Option<Line>,
    /// The care groups who are invited; empty: everybody in care.
    pub groups: Vec<GroupCode>,
    /// What it may cost.
    pub budget: Option<Fen>,
    /// Who planned it, and when (care clock).
    pub planned: Signed,
    /// What became of it.
    pub course: ActivityCourse,
    /// Counts changes, from 1.
    pub version: u64,
}

/// What became of an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActivityCourse {
    /// It is to be held.
    Planned,
    /// It was held, or has begun.
    Held {
        /// When it began.
        at: Instant,
        /// Who said so, and when (care clock).
        noted: Signed,
    },
    /// It will not be held.
    Cancelled {
        /// Why.
        reason: Line,
        /// Who said so, and when (care clock).
        noted: Signed,
    },
}

impl Activity {
    /// Where it stands.
    pub fn state(&self) -> ActivityState {
        match self.course {
            ActivityCourse::Planned => ActivityState::Planned,
            ActivityCourse::Held { .. } => ActivityState::Held,
            ActivityCourse::Cancelled { .. } => ActivityState::Cancelled,
        }
    }

    /// The day of its occasion and the days on which attendance counts for the standards around it; `None` without an occasion.
    ///
    /// # Errors
    /// [`CalendarError`] where the calendar does not know the occasion in that year.
    pub fn season<'a>(
        &self,
        calendar: &SiteCalendar,
        standards: impl Iterator<Item = &'a Standard>,
    ) -> Result<Option<Season>, CalendarError> {
        let Some(occasion) = self.occasion else { return Ok(None) };
        let around = OccasionRef::BuiltIn(occasion);
        let day = calendar.occasion(&around, self.day.year())?;
        let mut days = DateRange::new(day, day.plus_days(1));
        let kind = self.kind.service();
        for standard in standards.filter(|standard| standard.accepts.contains(kind)) {
            if let Duty::Seasonal { occasion, lead_days, tail_days } = &standard.duty
                && *occasion == around
            {
                let first = day.plus_days(-i32::from(*lead_days)).min(days.start());
                let end = day.plus_days(i32::from(*tail_days) + 1).max(days.end());
                days = DateRange::new(first, end);
            }
        }
        Ok(Some(Season { day, days }))
    }
}

/// An occasion in a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Season {
    /// Its day.
    pub day: CivilDate,
    /// The days on which attendance counts for the standards around it.
    pub days: DateRange,
}

/// Who came, or was visited, at one time: the residents are the subjects of its service record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendance {
    /// The site.
    pub site: SiteId,
    /// The activity.
    pub activity: ActivityId,
    /// The service record.
    pub record: RecordId,
    /// The members of staff and volunteers who helped.
    pub staff: Vec<StaffId>,
    /// When it was recorded (care clock).
    pub recorded_at: Instant,
}

/// What an activity costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ActivityCost {
    /// What was paid.
    pub paid: Fen,
    /// What was approved and not paid yet.
    pub approved: Fen,
}

impl ActivityCost {
    /// What spendings for an activity come to.
    pub fn of<'a>(spendings: impl Iterator<Item = &'a Spending>) -> Self {
        spendings.fold(Self::default(), |cost, spending| match &spending.progress {
            Progress::Disbursed { payment, .. } => Self { paid: cost.paid.plus(payment.amount), ..cost },
            Progress::Approved(_) => Self { approved: cost.approved.plus(spending.amount), ..cost },
            Progress::Requested | Progress::Rejected { .. } => cost,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SiteZone;

    fn activity(kind: ActivityKind, occasion: Option<Occasion>, day: &str) -> Activity {
        Activity {
            site: SiteId::new("s").unwrap(),
            id: ActivityId::new("a").unwrap(),
            kind,
            title: Line::new("慰问").unwrap(),
            occasion,
            day: CivilDate::parse(day).unwrap(),
            place: None,
            groups: Vec::new(),
            budget: None,
            planned: Signed { by: StaffId::new("lin").unwrap(), at: Instant::clamped(0) },
            course: ActivityCourse::Planned,
            version: 1,
        }
    }

    #[test]
    fn the_season_of_an_occasion_is_that_of_the_standards_around_it() {
        let calendar = SiteCalendar::new(SiteZone::SHANGHAI);
        let standards = crate::catalogue::standards();
        let check = |kind, occasion, on: &str, expect: Option<(&str, &str, &str)>| {
            let season = activity(kind, occasion, on).season(&calendar, standards.iter()).unwrap();
            let shown = season.map(|season| {
                let last = season.days.end().plus_days(-1);
                (season.day.to_string(), season.days.start().to_string(), last.to_string())
            });
            let expect = expect.map(|(day, first, last)| (day.to_owned(), first.to_owned(), last.to_owned()));
            assert_eq!(shown, expect, "{on}");
        };
        use ActivityKind::{Event, Visit};
        check(Visit, None, "2026-10-18", None);
        let nine = Some(Occasion::DoubleNinth);
        check(Visit, nine, "2026-10-15", Some(("2026-10-18", "2026-10-11", "2026-10-18")));
        let spring = Some(Occasion::SpringFestival);
        check(Visit, spring, "2026-02-12", Some(("2026-02-17", "2026-02-10", "2026-02-17")));
        let army = Some(Occasion::ArmyDay);
        check(Visit, army, "2026-07-30", Some(("2026-08-01", "2026-07-25", "2026-08-01")));
        // No standard around the day accepts an event: the day itself is left.
        check(Event, nine, "2026-10-18", Some(("2026-10-18", "2026-10-18", "2026-10-18")));
    }
}
