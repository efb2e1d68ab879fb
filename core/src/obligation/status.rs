//! How an unmet obligation stands in time.

use crate::calendar::CalendarError;
use crate::mutant::{Mutant, planted};
use crate::obligation::view::View;
use crate::obligation::{MORNING_HOUR, ObligationStatus};
use crate::time::{CivilDate, DateRange, Instant};

/// The status of an obligation that nobody has met, over `days` from `start` to `due` (the last instant that counts),
/// and the instant at which time alone may change it.
pub(super) fn unmet(
    view: &View<'_>,
    days: DateRange,
    start: Instant,
    due: Instant,
) -> Result<(ObligationStatus, Option<Instant>), CalendarError> {
    let now = view.now;
    let after = Instant::clamped(due.micros().saturating_add(1));
    if now > due {
        return Ok((ObligationStatus::Missed, None));
    }
    if now < start {
        return Ok((ObligationStatus::Upcoming, Some(start)));
    }
    // Less than a third is left: (after − now) × 3 < after − start.
    let length = after.micros().saturating_sub(start.micros());
    let third = if planted(Mutant::RiskFromHalfway) { length / 2 } else { (length - 1) / 3 };
    let last_third = Instant::clamped(after.micros().saturating_sub(third));
    if now >= last_third {
        return Ok((ObligationStatus::AtRisk, Some(after)));
    }
    let last_third = last_third.min(after);
    Ok(match last_morning(view, days)? {
        Some(morning) if now >= morning => (ObligationStatus::AtRisk, Some(after)),
        Some(morning) => (ObligationStatus::Open, Some(morning.min(last_third))),
        None => (ObligationStatus::Open, Some(last_third)),
    })
}

/// When the morning of the last workday begins. Where the calendar does not know all of the days: the earliest
/// morning that it might be if that lies ahead, so that the answer holds whatever those days are; else an error.
fn last_morning(view: &View<'_>, days: DateRange) -> Result<Option<Instant>, CalendarError> {
    let morning = |day: CivilDate| view.zone.at(day, MORNING_HOUR, 0);
    let mut unknown: Option<(CivilDate, CalendarError)> = None;
    let mut day = days.end();
    while day > days.start() {
        day = day.plus_days(-1);
        match view.calendar.is_workday(day) {
            Ok(false) => {}
            Ok(true) => {
                let earliest = morning(day);
                return match unknown {
                    Some((_, error)) if view.now >= earliest => Err(error),
                    Some(_) | None => Ok(Some(earliest)),
                };
            }
            Err(error) => unknown = Some((day, error)),
        }
    }
    match unknown {
        None => Ok(None),
        Some((first, error)) => {
            let earliest = morning(first);
            if view.now >= earliest { Err(error) } else { Ok(Some(earliest)) }
        }
    }
}
