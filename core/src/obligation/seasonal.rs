//! Seasonal duties: one contact around an occasion of the year.

use std::sync::Arc;

use crate::applied::Applied;
use crate::calendar::CalendarError;
use crate::mutant::{Mutant, planted};
use crate::obligation::view::View;
use crate::obligation::{ENTRY_GRACE_HOURS, Flags, Obligation, ObligationStatus, Opening, status};
use crate::record::{Outcome, SubjectRecord};
use crate::standard::Duty;
use crate::time::DateRange;

pub(super) fn collect(
    view: &View<'_>,
    applied: &Applied,
    range: DateRange,
    found: &mut Vec<Obligation>,
) -> Result<(), CalendarError> {
    for span in &applied.spans {
        let Duty::Seasonal { occasion, lead_days, tail_days } = &span.standard.duty else { continue };
        let (lead, tail) = (i32::from(*lead_days), i32::from(*tail_days));
        // The occasion itself lies on a day of the span in care; its window touches the range.
        let near = DateRange::new(range.start().plus_days(-tail), range.end().plus_days(lead));
        for in_care in view.tenure.iter() {
            let candidates = span.days.intersect(near).intersect(*in_care);
            if candidates.is_empty() {
                continue;
            }
            for year in candidates.start().year()..=candidates.end().plus_days(-1).year() {
                let day = view.calendar.occasion(occasion, year)?;
                if !candidates.contains(day) {
                    continue;
                }
                let lead = if planted(Mutant::LeadDaysForgotten) { 0 } else { lead };
                let window = DateRange::new(day.plus_days(-lead), day.plus_days(tail + 1));
                let opening = Opening::Occasion { year, day };
                if let Some(obligation) = obligation(view, applied, span, window, opening)? {
                    found.push(obligation);
                }
            }
        }
    }
    Ok(())
}

fn obligation(
    view: &View<'_>,
    applied: &Applied,
    span: &crate::applied::AppliedSpan,
    window: DateRange,
    opening: Opening,
) -> Result<Option<Obligation>, CalendarError> {
    let standard = &span.standard;
    let start = view.zone.start_of(window.start());
    let due = view.end_of(window.end().plus_days(-1));
    let mut eligible_days = Vec::new();
    for other in &applied.spans {
        for tenure in view.tenure.iter() {
            let days = other.days.intersect(*tenure).intersect(window);
            if !days.is_empty() {
                eligible_days.push(days);
            }
        }
    }
    let mut eligible = 0;
    for days in &eligible_days {
        eligible += view.count(standard.runs_on, *days)?;
    }
    if eligible == 0 {
        return Ok(None);
    }
    let blocked = view.blocked(&eligible_days, due, standard.pausable, &applied.waivers);
    let active = eligible - view.count_blocked(&eligible_days, &blocked.days, standard.runs_on)?;
    let enough = if planted(Mutant::SeasonalProrated) { window.len() / 2 + 1 } else { 1 };
    let required = u16::from(active >= enough);
    let accepts = standard.accepts.union(span.substitutes);
    let in_window = view.records_between(start, due).iter();
    let credited: Vec<&SubjectRecord> = in_window
        .copied()
        .filter(|record| record.outcome == Outcome::Done && accepts.contains(record.kind))
        .collect();
    let grace = due.plus_hours(ENTRY_GRACE_HOURS);
    let late_entry = credited.iter().any(|record| record.recorded_at > grace);
    let (status, next_change_at) = if required == 0 {
        (ObligationStatus::Excused, None)
    } else if credited.is_empty() {
        status::unmet(view, window, start, due)
    } else {
        (ObligationStatus::Met, None)
    };
    Ok(Some(Obligation {
        subject: view.case.subject.clone(),
        standard: Arc::clone(standard),
        opening,
        window,
        start,
        due,
        required,
        credited: u16::try_from(credited.len()).unwrap_or(u16::MAX),
        met_at: credited.first().filter(|_| required > 0).map(|record| record.occurred_at),
        credits: credited.iter().map(|record| record.id.clone()).collect(),
        accepts,
        eligible_days: eligible.unsigned_abs(),
        active_days: active.unsigned_abs(),
        excuse: if required == 0 { blocked.excuse } else { None },
        status,
        flags: Flags { late_entry, late_pause: blocked.late_pause, care_ended: false },
        next_change_at,
    }))
}
