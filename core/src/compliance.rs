//! Compliance: how many obligations of a period were met, per standard.

use std::collections::BTreeMap;

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
