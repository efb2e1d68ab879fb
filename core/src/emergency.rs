//! Emergency access: a look at one person's file that nobody else approved beforehand, and that a deputy reviews afterwards.

use crate::id::{EmergencyAccessId, ResidentId, SiteId, StaffId};
use crate::text::{Line, Paragraph};
use crate::time::Instant;

/// How long it lasts, in hours: until help has come or the morning shift has.
pub const EMERGENCY_ACCESS_HOURS: i64 = 2;

/// Within how many hours a deputy reviews it.
pub const EMERGENCY_REVIEW_HOURS: i64 = 24;

/// Access to one file for a short time, taken by whoever needs it. Its instants are the machine's clock's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyAccess {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: EmergencyAccessId,
    /// Whose file.
    pub resident: ResidentId,
    /// Who took it.
    pub staff: StaffId,
    /// Why, in their words; absent where they are not shown.
    pub reason: Option<Paragraph>,
    /// From when.
    pub granted_at: Instant,
    /// Until when, exclusive.
    pub expires_at: Instant,
    /// What a deputy said of it.
    pub review: Option<EmergencyReview>,
    /// Counts changes, from 1.
    pub version: u64,
}

/// What a deputy found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyReview {
    /// Who reviewed it.
    pub staff: StaffId,
    /// When.
    pub reviewed_at: Instant,
    /// Whether it was justified.
    pub justified: bool,
    /// In their words.
    pub remark: Option<Line>,
}

impl EmergencyAccess {
    /// Taken now, by whom, for whose file and why.
    pub fn taken(
        (site, id): (SiteId, EmergencyAccessId),
        resident: ResidentId,
        staff: StaffId,
        reason: Paragraph,
        now: Instant,
    ) -> Self {
        let expires_at = now.plus_hours(EMERGENCY_ACCESS_HOURS);
        let reason = Some(reason);
        Self { site, id, resident, staff, reason, granted_at: now, expires_at, review: None, version: 1 }
    }

    /// Reviewed; what is left of its time ends with it.
    #[must_use]
    pub fn reviewed(self, review: EmergencyReview) -> Self {
        let expires_at = self.expires_at.min(review.reviewed_at);
        Self { expires_at, review: Some(review), ..self }
    }

    /// Whether it opens the file at `now`. A clock that was set back before its beginning opens nothing.
    pub fn in_force(&self, now: Instant) -> bool {
        self.granted_at <= now && now < self.expires_at
    }

    /// When a deputy should have reviewed it.
    pub fn review_due(&self) -> Instant {
        self.granted_at.plus_hours(EMERGENCY_REVIEW_HOURS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Instant {
        Instant::from_micros(1_773_622_800_000_000).unwrap().plus_minutes(minutes)
    }

    #[test]
    fn it_lasts_two_hours_or_until_it_is_reviewed() {
        let id = EmergencyAccessId::new("e1").unwrap();
        let access = EmergencyAccess::taken(
            (SiteId::new("s").unwrap(), id),
            ResidentId::new("r").unwrap(),
            StaffId::new("guard").unwrap(),
            Paragraph::new("门内有呼救声").unwrap(),
            at(0),
        );
        for (minutes, expect) in [(-1, false), (0, true), (119, true), (120, false), (600, false)] {
            assert_eq!(access.in_force(at(minutes)), expect, "{minutes}");
        }
        let review = |minutes| EmergencyReview {
            staff: StaffId::new("deputy").unwrap(),
            reviewed_at: at(minutes),
            justified: true,
            remark: None,
        };
        let early = access.clone().reviewed(review(30));
        assert!(early.in_force(at(29)) && !early.in_force(at(30)));
        assert_eq!(access.clone().reviewed(review(300)).expires_at, at(120), "a review lengthens nothing");
        assert_eq!(access.review_due(), at(24 * 60));
    }
}
