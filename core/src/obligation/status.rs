//! How an unmet obligation stands in time.

use crate::mutant::{Mutant, planted};
use crate::obligation::view::View;
use crate::obligation::{MORNING_HOUR, ObligationStatus};
use crate::time::{DateRange, Instant};

/// The status of an obligation that nobody has met, over `days` from `start` to `due` (the last instant that counts),
/// and the instant at which time alone may change it.
pub(super) fn unmet(
    view: &View<'_>,
    days: DateRange,
    start: Instant,
    due: Instant,
) -> (ObligationStatus, Option<Instant>) {
    let now = view.now;
    let after = Instant::clamped(due.micros().saturating_add(1));
    if now > due {
        return (ObligationStatus::Missed, None);
    }
    if now < start {
        return (ObligationStatus::Upcoming, Some(start));
    }
    // Less than a third is left: (after − now) × 3 < after − start.
    let length = after.micros().saturating_sub(start.micros());
    let third = if planted(Mutant::RiskFromHalfway) { length / 2 } else { (length - 1) / 3 };
    let last_third = Instant::clamped(after.micros().saturating_sub(third));
    if now >= last_third {
        return (ObligationStatus::AtRisk, Some(after));
    }
    let last_third = last_third.min(after);
    match last_morning(view, days) {
        Some(morning) if now >= morning => (ObligationStatus::AtRisk, Some(after)),
        Some(morning) => (ObligationStatus::Open, Some(morning.min(last_third))),
        None => (ObligationStatus::Open, Some(last_third)),
    }
}

/// When the morning of the last workday begins. It only decides whether an open obligation is shown as at risk, never
/// what is owed, met or missed: in a year without data it is therefore taken to be Monday to Friday rather than
/// reported as missing, so that the turn of a year leaves every worklist standing.
fn last_morning(view: &View<'_>, days: DateRange) -> Option<Instant> {
    let mut day = days.end();
    while day > days.start() {
        day = day.plus_days(-1);
        let works = if planted(Mutant::UnknownYearIsAllWork) {
            view.calendar.is_workday(day).unwrap_or(true)
        } else {
            view.calendar.is_likely_workday(day)
        };
        if works {
            return Some(view.zone.at(day, MORNING_HOUR, 0));
        }
    }
    None
}
