//! Compliance: how many obligations of a period were met, per standard, and within each by care group, tier and post; what
//! was closed, and what corrected it since; how many were visited; how much work a post had; and which of these figures
//! may be shown to others.

mod closing;
mod figures;
mod publish;
mod visit_rate;
mod workload;

use std::collections::BTreeMap;

pub use closing::{Cause, ClosedPeriod, Correction, Frozen, Promise, ReportPeriod, Since, corrections};
pub use figures::{Cell, Counted, Figure, Figures, People};
pub use publish::{Blocks, Weighed, blocks, percent_shown};
pub use visit_rate::{Person, PublishedRate, VISIT_KINDS, VISIT_TAG, VisitRate};
pub use workload::Workload;

use crate::id::StandardCode;
use crate::obligation::{Obligation, ObligationStatus};
use crate::time::DateRange;

/// Counts of obligations. Every obligation is in exactly one of `met`, `met_late`, `missed`, `pending`, `excused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Met in time.
    pub met: u64,
    /// Events answered after the deadline.
    pub met_late: u64,
    /// Not met in time.
    pub missed: u64,
    /// Still open or not begun.
    pub pending: u64,
    /// Nothing was required.
    pub excused: u64,
    /// Of all, those with a credited record that was entered late.
    pub late_entries: u64,
    /// Of all, those with a pause that was recorded after the window.
    pub late_pauses: u64,
}

impl Tally {
    /// Obligations met in time.
    pub fn numerator(&self) -> u64 {
        self.met
    }

    /// Obligations that were required: all but the excused ones.
    pub fn denominator(&self) -> u64 {
        self.met + self.met_late + self.missed + self.pending
    }

    /// Counts one more obligation.
    pub fn add(&mut self, obligation: &Obligation) {
        let count = match obligation.status {
            ObligationStatus::Upcoming | ObligationStatus::Open | ObligationStatus::AtRisk => {
                &mut self.pending
            }
            ObligationStatus::Met => &mut self.met,
            ObligationStatus::MetLate => &mut self.met_late,
            ObligationStatus::Missed => &mut self.missed,
            ObligationStatus::Excused => &mut self.excused,
        };
        *count += 1;
        self.late_entries += u64::from(obligation.flags.late_entry);
        self.late_pauses += u64::from(obligation.flags.late_pause);
    }

    /// Adds the counts of another part: of another post or site.
    pub fn merge(&mut self, other: &Self) {
        self.met += other.met;
        self.met_late += other.met_late;
        self.missed += other.missed;
        self.pending += other.pending;
        self.excused += other.excused;
        self.late_entries += other.late_entries;
        self.late_pauses += other.late_pauses;
    }
}

/// Tallies per standard the obligations whose last day lies in `period`: each obligation belongs to exactly one of
/// the periods that tile the time line.
pub fn compliance<'a>(
    obligations: impl IntoIterator<Item = &'a Obligation>,
    period: DateRange,
) -> BTreeMap<StandardCode, Tally> {
    let mut tallies: BTreeMap<StandardCode, Tally> = BTreeMap::new();
    for obligation in obligations {
        if !period.contains(obligation.last_day()) {
            continue;
        }
        match tallies.get_mut(&obligation.standard.code) {
            Some(tally) => tally.add(obligation),
            None => {
                let mut tally = Tally::default();
                tally.add(obligation);
                tallies.insert(obligation.standard.code.clone(), tally);
            }
        }
    }
    tallies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::SiteCalendar;
    use crate::id::{RecordId, ResidentId, Subject};
    use crate::kind::ServiceKind;
    use crate::obligation::{Case, obligations};
    use crate::record::{Outcome, SubjectRecord};
    use crate::time::{CivilDate, Instant, SiteZone};

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    fn at(text: &str, hour: u32) -> Instant {
        SiteZone::SHANGHAI.at(day(text), hour, 0)
    }

    /// Daily inspections, 28 March to 3 April 2026, asked on 2 April at noon.
    fn found() -> Vec<Obligation> {
        let inspect = crate::catalogue::standards()
            .into_iter()
            .find(|s| s.code.as_str() == "facility.inspect")
            .unwrap();
        let tenure = [DateRange::from(day("2026-03-28"))];
        let applied = [crate::applied::Applied::one(inspect.into(), tenure[0])];
        let record = |id: &str, date: &str, recorded: Instant| SubjectRecord {
            id: RecordId::new(id).unwrap(),
            kind: ServiceKind::Inspection,
            occurred_at: at(date, 10),
            recorded_at: recorded,
            outcome: Outcome::Done,
            answers: Vec::new(),
            voided_at: None,
        };
        let records = [
            record("r1", "2026-03-28", at("2026-03-28", 10)),
            record("r2", "2026-03-29", at("2026-04-01", 10)),
            record("r3", "2026-04-01", at("2026-04-01", 10)),
        ];
        let case = Case {
            subject: &Subject::Resident(ResidentId::new("r").unwrap()),
            applied: &applied,
            records: &records,
            events: &[],
            pauses: &[],
            tenure: &tenure,
            calendar: &SiteCalendar::new(SiteZone::SHANGHAI),
        };
        obligations(&case, DateRange::new(day("2026-03-01"), day("2026-04-04")), at("2026-04-02", 12))
            .unwrap()
    }

    #[test]
    fn tallies() {
        let check = |from: &str, to: &str, expect: Tally| {
            let tallies = compliance(&found(), DateRange::new(day(from), day(to)));
            let tally = tallies.values().next().copied().unwrap_or_default();
            assert_eq!(tally, expect, "{from}..{to}");
        };
        check("2026-03-01", "2026-04-01", Tally { met: 2, missed: 2, late_entries: 1, ..Tally::default() });
        check("2026-04-01", "2026-05-01", Tally { met: 1, pending: 2, ..Tally::default() });
        check("2026-01-01", "2026-02-01", Tally::default());
        // Parts add up.
        let march = compliance(&found(), DateRange::new(day("2026-03-01"), day("2026-04-01")));
        let april = compliance(&found(), DateRange::new(day("2026-04-01"), day("2026-05-01")));
        let mut sum = Tally::default();
        march.values().chain(april.values()).for_each(|tally| sum.merge(tally));
        assert_eq!((sum.numerator(), sum.denominator(), sum.excused), (3, 7, 0));
    }
}
