//! Pauses, 暂停: intervals in which recurring duties do not run.

use crate::id::{PauseId, ResidentId, SiteId};
use crate::kind::closed_list;
use crate::text::Line;
use crate::time::{CivilDate, DateRange, Instant};

closed_list! {
    /// Why duties pause. Refusing a service is a waiver, not a pause.
    PauseReason {
        /// In hospital.
        Hospital = "hospital", "住院", "hospital";
        /// Travelling.
        Travel = "travel", "外出", "travel";
        /// Staying with family.
        WithFamily = "with_family", "投亲居住", "with family";
        /// In an institution for a time.
        Institution = "institution", "短期入住机构", "institution";
        /// Anything else, with a remark.
        Other = "other", "其他", "other";
    }
}

/// How far ahead the expected return may lie, in days; renewable with a reason.
pub const EXPECTED_RETURN_MAX_DAYS: u32 = 90;

/// A pause of a resident's duties. The days of leaving and of return are active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// The id.
    pub id: PauseId,
    /// Why.
    pub reason: PauseReason,
    /// A remark.
    pub remark: Option<Line>,
    /// The day of leaving, still active.
    pub left_on: CivilDate,
    /// The day on which the person is expected back, active again whether they come or not.
    pub expected_return: CivilDate,
    /// When it was recorded (care clock).
    pub recorded_at: Instant,
    /// The actual return.
    pub ended: Option<PauseEnd>,
    /// When a deputy confirmed a pause that was recorded after the fact.
    pub confirmed_at: Option<Instant>,
    /// Counts changes, from 1.
    pub version: u64,
}

/// The end of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PauseEnd {
    /// The day of return, active.
    pub returned_on: CivilDate,
    /// When it was recorded (care clock).
    pub recorded_at: Instant,
}

impl Pause {
    /// The days that it excuses, as known at `now`: strictly between leaving and the earlier of the expected and
    /// the recorded return. A pause excuses only up to its expected return.
    pub fn days(&self, now: Instant) -> DateRange {
        if self.recorded_at > now {
            return DateRange::new(self.left_on, self.left_on);
        }
        let back = match self.ended {
            Some(end) if end.recorded_at <= now => end.returned_on.min(self.expected_return),
            Some(_) | None => self.expected_return,
        };
        DateRange::new(self.left_on.plus_days(1), back)
    }
}
