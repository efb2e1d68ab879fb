//! Delivery of referrals: when a body is tried again, and when it is given up. One body's troubles are its own: each has a lane in
//! which referrals wait in order.

use crate::id::{BodyId, ReferralId, SiteId};
use crate::kind::closed_list;
use crate::text::Line;
use crate::time::Instant;

/// After the first failure a body rests this long; after each further one twice as long.
pub const FIRST_REST_SECONDS: i64 = 15;
/// The longest rest: a body that is well again waits an hour at most.
const REST_SECONDS_MAX: i64 = 3_600;
/// The longest rest that a body may ask for: a day.
const ASKED_SECONDS_MAX: i64 = 24 * 3_600;

closed_list! {
    /// What came of an attempt.
    AttemptOutcome {
        /// The body has it.
        Delivered = "delivered", "已送达", "delivered";
        /// Not now: it is tried again.
        Later = "later", "稍后重试", "to be tried again";
        /// The body, its connector or its channel refused it for good.
        Refused = "refused", "被拒收", "refused";
        /// What may go out had changed meanwhile: nothing went.
        Withheld = "withheld", "不再允许提供", "withheld";
        /// The body was not reached for so long that nobody tries any more.
        GivenUp = "given_up", "已放弃", "given up";
    }
}

impl AttemptOutcome {
    /// Whether the referral has failed with it, so that a person decides.
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Refused | Self::Withheld | Self::GivenUp => true,
            Self::Delivered | Self::Later => false,
        }
    }
}

/// One attempt to hand a referral over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The site.
    pub site: SiteId,
    /// The referral.
    pub referral: ReferralId,
    /// Counts the referral's attempts, from 1.
    pub number: u32,
    /// To whom.
    pub body: BodyId,
    /// When it began.
    pub began_at: Instant,
    /// What came of it; `None`: it is under way, or the server ended meanwhile and nobody knows.
    pub end: Option<AttemptEnd>,
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// When.
    pub at: Instant,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// For the operator, without personal data.
    pub detail: Option<Line>,
}

/// How a body's lane stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The body.
    pub body: BodyId,
    /// Failures since it was last reached.
    pub failures: u32,
    /// Not tried before.
    pub next_at: Instant,
    /// When it was last reached.
    pub reached_at: Option<Instant>,
    /// What went wrong last, since then.
    pub trouble: Option<Line>,
    /// When it is next asked what became of referrals.
    pub poll_at: Instant,
    /// Where the last such question ended, in its connector's words.
    pub poll_cursor: String,
}

impl Lane {
    /// The lane of a body that was never tried.
    pub fn new(body: BodyId) -> Self {
        let start = Instant::MIN;
        Self {
            body,
            failures: 0,
            next_at: start,
            reached_at: None,
            trouble: None,
            poll_at: start,
            poll_cursor: String::new(),
        }
    }

    /// The lane after the body was reached.
    #[must_use]
    pub fn reached(self, at: Instant) -> Self {
        Self { failures: 0, next_at: at, reached_at: Some(at), trouble: None, ..self }
    }

    /// The lane as it is to be believed at an instant. No rest is longer than a day: one that ends later was written down by a clock
    /// that was ahead, and is over.
    #[must_use]
    pub fn as_of(self, now: Instant) -> Self {
        let latest = now.plus_seconds(ASKED_SECONDS_MAX);
        let believed = |at: Instant| if at > latest { now } else { at };
        Self { next_at: believed(self.next_at), poll_at: believed(self.poll_at), ..self }
    }

    /// The lane after a question that was not answered: asking rests, as after [`Lane::failed`]. What waits for the body does not: a
    /// system that tells nothing may well take something in.
    #[must_use]
    pub fn unanswered(self, at: Instant, trouble: Line, asked_seconds: Option<i64>, chance: u32) -> Self {
        let next_at = self.next_at;
        let rested = self.failed(at, trouble, asked_seconds, chance);
        Self { next_at, poll_at: rested.next_at, ..rested }
    }

    /// The lane after a failure that a later attempt may mend: it rests, twice as long each time, by up to a half less so that lanes
    /// that failed together are not tried together, and no shorter than the body asked for. `chance` is any number, drawn anew.
    #[must_use]
    pub fn failed(self, at: Instant, trouble: Line, asked_seconds: Option<i64>, chance: u32) -> Self {
        let failures = self.failures.saturating_add(1);
        let doubled = FIRST_REST_SECONDS << (failures - 1).min(16);
        let longest = doubled.min(REST_SECONDS_MAX);
        let rest = longest - (longest / 2) * i64::from(chance % 1000) / 1000;
        let rest = rest.max(asked_seconds.unwrap_or(0).clamp(0, ASKED_SECONDS_MAX));
        Self { failures, next_at: at.plus_seconds(rest), trouble: Some(trouble), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(1_770_000_000_000_000).unwrap().plus_seconds(seconds)
    }

    fn rests(failures: u32, asked: Option<i64>, chance: u32) -> i64 {
        let lane = Lane { failures: failures - 1, ..Lane::new(BodyId::new("b").unwrap()) };
        let lane = lane.failed(at(0), Line::new("no connection").unwrap(), asked, chance);
        assert_eq!(lane.failures, failures);
        (lane.next_at.micros() - at(0).micros()) / 1_000_000
    }

    #[test]
    fn a_body_rests_longer_each_time_and_never_longer_than_an_hour() {
        let longest: Vec<i64> = (1..=10).map(|failures| rests(failures, None, 0)).collect();
        assert_eq!(longest, [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(rests(u32::MAX, None, 0), 3600);
        for failures in 1..=12 {
            for chance in [1, 499, 999, u32::MAX] {
                let (rest, longest) = (rests(failures, None, chance), rests(failures, None, 0));
                assert!(longest / 2 <= rest && rest <= longest, "{failures} {chance}: {rest} of {longest}");
            }
        }
    }

    #[test]
    fn a_body_may_ask_for_more_rest_up_to_a_day() {
        assert_eq!(rests(1, Some(120), 0), 120);
        assert_eq!(rests(5, Some(1), 0), 240);
        assert_eq!(rests(1, Some(i64::MAX), 0), 24 * 3600);
        assert_eq!(rests(1, Some(-5), 0), 15);
    }

    #[test]
    fn a_question_that_is_not_answered_delays_the_next_question_alone() {
        let lane = Lane { next_at: at(-5), ..Lane::new(BodyId::new("b").unwrap()) };
        let rests = |lane: &Lane| (lane.poll_at.micros() - at(0).micros()) / 1_000_000;
        let once = lane.unanswered(at(0), Line::new("status 500").unwrap(), None, 0);
        assert_eq!((once.next_at, rests(&once), once.failures), (at(-5), 15, 1));
        assert!(once.trouble.is_some());
        let twice = once.unanswered(at(0), Line::new("status 503").unwrap(), Some(90), 0);
        assert_eq!((twice.next_at, rests(&twice), twice.failures), (at(-5), 90, 2));
    }

    #[test]
    fn a_rest_that_a_wrong_clock_wrote_down_is_over() {
        let years = 20 * 365 * 24 * 3600;
        let ahead = Lane { next_at: at(years), poll_at: at(years), ..Lane::new(BodyId::new("b").unwrap()) };
        let believed = ahead.as_of(at(0));
        assert_eq!((believed.next_at, believed.poll_at), (at(0), at(0)));
        let day = Lane { next_at: at(24 * 3600), poll_at: at(60), ..believed };
        assert_eq!(day.clone().as_of(at(0)), day);
    }

    #[test]
    fn being_reached_ends_the_rest() {
        let lane = Lane::new(BodyId::new("b").unwrap());
        let tired = lane.failed(at(0), Line::new("no connection").unwrap(), None, 0);
        let well = tired.reached(at(60));
        assert_eq!((well.failures, well.next_at, well.trouble), (0, at(60), None));
    }
}
