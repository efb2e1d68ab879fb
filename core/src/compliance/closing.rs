//! Closed periods: the figures as they were published, and what corrected them since.
//!
//! Nothing that was closed is ever rewritten. What became known later (a late entry, an amended record, a waiver) changes what
//! the same question answers now, and the difference is a correction.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Tally;
use super::figures::{Cell, Figures};
use super::visit_rate::VisitRate;
use crate::calendar::calendar_window;
use crate::event::CareEvent;
use crate::id::{EventId, PauseId, RecordId, ResidentId, SiteId, StandardCode, WaiverId};
use crate::invalid::Invalid;
use crate::kind::Department;
use crate::obligation::{ENTRY_GRACE_HOURS, Obligation, Opening};
use crate::pause::Pause;
use crate::record::SubjectRecord;
use crate::staff::Signed;
use crate::standard::Period;
use crate::text::Label;
use crate::time::{CivilDate, DateRange, Instant, SiteZone};
use crate::waiver::StandardWaiver;

/// A month or a quarter, as people name it: `2026-03`, `2026-q1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReportPeriod {
    first: CivilDate,
    is_quarter: bool,
}

impl ReportPeriod {
    /// From `2026-03` or `2026-q1`.
    ///
    /// # Errors
    /// [`Invalid::Unknown`] for anything else, [`Invalid::DateRange`] outside the accepted years.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let (year, rest) = text.split_once('-').ok_or(Invalid::Unknown)?;
        let digits = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        let (number, is_quarter) = match rest.strip_prefix('q') {
            Some(quarter) => (quarter, true),
            None => (rest, false),
        };
        if !digits(year, 4) || !digits(number, if is_quarter { 1 } else { 2 }) {
            return Err(Invalid::Unknown);
        }
        let year: i32 = year.parse().map_err(|_| Invalid::Unknown)?;
        let number: u32 = number.parse().map_err(|_| Invalid::Unknown)?;
        let month = match (is_quarter, number) {
            (true, 1..=4) => number * 3 - 2,
            (false, 1..=12) => number,
            (true | false, _) => return Err(Invalid::Unknown),
        };
        Ok(Self { first: CivilDate::from_ymd(year, month, 1)?, is_quarter })
    }

    /// The period of a unit that begins on a day; `None` where there is none.
    pub fn beginning(unit: Period, first: CivilDate) -> Option<Self> {
        let is_quarter = match unit {
            Period::Month => false,
            Period::Quarter => true,
            Period::Day | Period::Week | Period::Year | Period::EveryDays(_) => return None,
        };
        let begins = calendar_window(unit, first).is_some_and(|window| window.start() == first);
        begins.then_some(Self { first, is_quarter })
    }

    /// Month or quarter.
    pub fn unit(self) -> Period {
        if self.is_quarter { Period::Quarter } else { Period::Month }
    }

    /// Its days.
    pub fn days(self) -> DateRange {
        calendar_window(self.unit(), self.first).unwrap_or(DateRange::from(self.first))
    }

    /// The instant from which it may be closed: its end, and as long as a record may be entered without being late.
    pub fn closes_from(self, zone: SiteZone) -> Instant {
        zone.start_of(self.days().end()).plus_hours(ENTRY_GRACE_HOURS)
    }
}

impl fmt::Display for ReportPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = (self.first.year(), self.first.month());
        if self.is_quarter {
            write!(f, "{year:04}-q{}", month.div_ceil(3))
        } else {
            write!(f, "{year:04}-{month:02}")
        }
    }
}

impl fmt::Debug for ReportPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What reports say of a standard beside its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// Its code.
    pub code: StandardCode,
    /// What is promised.
    pub title: Label,
    /// The department that owes it.
    pub department: Department,
}

/// A figure as it was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// The standard.
    pub standard: StandardCode,
    /// Under what it was counted.
    pub cell: Cell,
    /// The counts.
    pub tally: Tally,
}

/// A period that somebody closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedPeriod {
    /// The site.
    pub site: SiteId,
    /// Which one.
    pub period: ReportPeriod,
    /// Who closed it, and when.
    pub closed: Signed,
    /// The standards, as they were called.
    pub promises: Vec<Promise>,
    /// Every figure, by standard and cell.
    pub figures: Vec<Frozen>,
    /// For months: how many were visited.
    pub visits: Option<VisitRate>,
}

impl ClosedPeriod {
    /// One figure.
    pub fn get(&self, standard: &StandardCode, cell: &Cell) -> Option<&Tally> {
        let found = self.figures.iter().find(|frozen| frozen.standard == *standard && frozen.cell == *cell);
        found.map(|frozen| &frozen.tally)
    }
}

/// A figure that is no longer what it was when its period was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The standard.
    pub standard: StandardCode,
    /// Under what it is counted.
    pub cell: Cell,
    /// As it was closed.
    pub closed: Tally,
    /// As of now.
    pub current: Tally,
}

/// What changed since a period was closed, by standard and cell.
pub fn corrections(closed: &ClosedPeriod, current: &Figures) -> Vec<Correction> {
    let mut both: BTreeMap<(&StandardCode, &Cell), (Tally, Tally)> = BTreeMap::new();
    for frozen in &closed.figures {
        both.entry((&frozen.standard, &frozen.cell)).or_default().0 = frozen.tally;
    }
    for (standard, cell, figure) in current.iter() {
        both.entry((standard, cell)).or_default().1 = figure.tally;
    }
    let changed = both.into_iter().filter(|(_, (closed, current))| closed != current);
    let correction = |((standard, cell), (closed, current)): ((&StandardCode, &Cell), _)| Correction {
        standard: standard.clone(),
        cell: cell.clone(),
        closed,
        current,
    };
    changed.map(correction).collect()
}

/// What became known after the closing and bears upon an obligation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A record that was entered late, amended or voided.
    Record(RecordId),
    /// A pause that was entered, ended or confirmed.
    Pause(ResidentId, PauseId),
    /// A waiver that was approved or ended.
    Waiver(ResidentId, WaiverId),
    /// An event that was entered late.
    Event(EventId),
}

/// What is known of a subject, to be searched for what came after an instant.
#[derive(Debug, Clone, Copy)]
pub struct Since<'a> {
    /// When the period was closed.
    pub closed_at: Instant,
    /// The site's zone.
    pub zone: SiteZone,
    /// The subject's records.
    pub records: &'a [SubjectRecord],
    /// Its events.
    pub events: &'a [CareEvent],
    /// Its pauses.
    pub pauses: &'a [Pause],
    /// Its waivers.
    pub waivers: &'a [StandardWaiver],
    /// Records whose present version was written after the closing.
    pub amended: &'a BTreeSet<RecordId>,
}

impl Since<'_> {
    /// What came after the closing and may have changed what an obligation counts as.
    pub fn causes(&self, obligation: &Obligation) -> Vec<Cause> {
        let records = self.records.iter().filter(|record| self.bears(record, obligation));
        let mut causes: Vec<Cause> = records.map(|record| Cause::Record(record.id.clone())).collect();
        causes.extend(self.opening(&obligation.opening));
        let window = obligation.window;
        let is_later = |at: Option<Instant>| at.is_some_and(|at| at > self.closed_at);
        let pauses = self.pauses.iter().filter(|pause| {
            let later = is_later(Some(pause.recorded_at))
                || is_later(pause.confirmed_at)
                || is_later(pause.ended.map(|end| end.recorded_at));
            obligation.standard.pausable
                && later
                && !DateRange::new(pause.left_on, pause.expected_return).intersect(window).is_empty()
        });
        causes.extend(pauses.map(|pause| Cause::Pause(pause.resident.clone(), pause.id.clone())));
        let waivers = self.waivers.iter().filter(|waiver| {
            let decided = [&waiver.approved, &waiver.ended];
            waiver.standard == obligation.standard.code
                && decided.into_iter().any(|signed| is_later(signed.as_ref().map(|signed| signed.at)))
                && !DateRange::new(waiver.from, waiver.until).intersect(window).is_empty()
        });
        causes.extend(waivers.map(|waiver| Cause::Waiver(waiver.resident.clone(), waiver.id.clone())));
        causes
    }

    /// Whether a record earns credit since the closing, or no longer.
    fn bears(&self, record: &SubjectRecord, obligation: &Obligation) -> bool {
        let amended =
            self.amended.contains(&record.id) || record.voided_at.is_some_and(|at| at > self.closed_at);
        if obligation.credits.contains(&record.id) {
            return amended || (record.recorded_at > self.closed_at && !self.was_met(obligation));
        }
        let within = match obligation.opening {
            Opening::Window(_) | Opening::Occasion { .. } => {
                obligation.window.contains(self.zone.date_of(record.occurred_at))
            }
            Opening::Event(_) | Opening::PauseOverdue(_) | Opening::Record(_) => {
                record.occurred_at >= obligation.start
            }
        };
        amended && within && obligation.standard.accepts.contains(record.kind)
    }

    /// Whether what was known at the closing met it already: what came later then changed nothing.
    fn was_met(&self, obligation: &Obligation) -> bool {
        let known = |id: &&RecordId| {
            self.records.iter().any(|record| record.id == **id && record.recorded_at <= self.closed_at)
        };
        obligation.required > 0
            && obligation.credits.iter().filter(known).count() >= usize::from(obligation.required)
    }

    /// What opened it, where that was entered after the closing.
    fn opening(&self, opening: &Opening) -> Option<Cause> {
        match opening {
            Opening::Event(id) => {
                let event = self.events.iter().find(|event| event.id == *id)?;
                (event.recorded_at > self.closed_at).then(|| Cause::Event(id.clone()))
            }
            Opening::Record(id) => {
                let record = self.records.iter().find(|record| record.id == *id)?;
                (record.recorded_at > self.closed_at).then(|| Cause::Record(id.clone()))
            }
            Opening::Window(_) | Opening::Occasion { .. } | Opening::PauseOverdue(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StaffId;

    #[test]
    fn periods_have_names() {
        let check = |text: &str, expect: Option<(&str, &str)>| {
            let found = ReportPeriod::new(text).ok().map(|period| {
                assert_eq!(period.to_string(), text);
                assert_eq!(ReportPeriod::beginning(period.unit(), period.days().start()), Some(period));
                (period.days().start().to_string(), period.days().end().to_string())
            });
            assert_eq!(found, expect.map(|(start, end)| (start.to_owned(), end.to_owned())), "{text}");
        };
        check("2026-03", Some(("2026-03-01", "2026-04-01")));
        check("2026-12", Some(("2026-12-01", "2027-01-01")));
        check("2026-q1", Some(("2026-01-01", "2026-04-01")));
        check("2026-q4", Some(("2026-10-01", "2027-01-01")));
        for bad in [
            "", "2026", "2026-3", "2026-13", "2026-00", "2026-q0", "2026-q5", "2026-Q1", "26-03", "1800-01",
            "2026-+1",
        ] {
            check(bad, None);
        }
        let day = |text| CivilDate::parse(text).unwrap();
        assert_eq!(ReportPeriod::beginning(Period::Month, day("2026-03-02")), None);
        assert_eq!(ReportPeriod::beginning(Period::Week, day("2026-03-02")), None);
        let closes = ReportPeriod::new("2026-03").unwrap().closes_from(SiteZone::SHANGHAI);
        assert_eq!(closes, SiteZone::SHANGHAI.at(day("2026-04-02"), 0, 0));
    }

    #[test]
    fn what_differs_is_a_correction() {
        let code = |text: &str| StandardCode::new(text).unwrap();
        let frozen = |standard: &str, met| Frozen {
            standard: code(standard),
            cell: Cell::All,
            tally: Tally { met, ..Tally::default() },
        };
        let closed = ClosedPeriod {
            site: SiteId::new("s").unwrap(),
            period: ReportPeriod::new("2026-03").unwrap(),
            closed: Signed { by: StaffId::new("deputy").unwrap(), at: Instant::MIN },
            promises: Vec::new(),
            figures: vec![frozen("a.gone", 2), frozen("b.empty", 0)],
            visits: None,
        };
        let found = corrections(&closed, &Figures::default());
        let found: Vec<_> =
            found.iter().map(|c| (c.standard.as_str(), c.closed.met, c.current.met)).collect();
        assert_eq!(found, [("a.gone", 2, 0)], "nothing and no row are the same");
    }

    #[test]
    fn causes_are_what_came_after_the_closing_and_changed_something() {
        use crate::calendar::SiteCalendar;
        use crate::id::{FacilityId, Subject};
        use crate::kind::ServiceKind;
        use crate::obligation::{Case, obligations};
        use crate::record::Outcome;

        let day = |text: &str| CivilDate::parse(text).unwrap();
        let at = |text: &str| SiteZone::SHANGHAI.at(day(text), 10, 0);
        let inspect =
            crate::catalogue::standards().into_iter().find(|s| s.code.as_str() == "facility.inspect");
        let tenure = [DateRange::from(day("2026-03-28"))];
        let applied = [crate::applied::Applied::one(inspect.unwrap().into(), tenure[0])];
        let record = |id: &str, on: &str, recorded: &str, voided: Option<&str>| SubjectRecord {
            id: RecordId::new(id).unwrap(),
            kind: ServiceKind::Inspection,
            occurred_at: at(on),
            recorded_at: at(recorded),
            outcome: Outcome::Done,
            answers: Vec::new(),
            voided_at: voided.map(at),
        };
        let records = [
            record("known", "2026-03-28", "2026-03-28", None),
            record("late", "2026-03-29", "2026-04-05", None),
            record("voided", "2026-03-30", "2026-03-30", Some("2026-04-06")),
            record("enough", "2026-03-31", "2026-03-31", None),
            record("needless", "2026-03-31", "2026-04-05", None),
        ];
        let case = Case {
            subject: &Subject::Facility(FacilityId::new("f").unwrap()),
            applied: &applied,
            records: &records,
            events: &[],
            pauses: &[],
            tenure: &tenure,
            calendar: &SiteCalendar::new(SiteZone::SHANGHAI),
        };
        let march = DateRange::new(day("2026-03-28"), day("2026-04-01"));
        let found = obligations(&case, march, at("2026-04-10")).unwrap();
        let check = |amended: &[&str], expect: [&str; 4]| {
            let amended: BTreeSet<RecordId> = amended.iter().map(|id| RecordId::new(id).unwrap()).collect();
            let since = Since {
                closed_at: at("2026-04-02"),
                zone: SiteZone::SHANGHAI,
                records: &records,
                events: &[],
                pauses: &[],
                waivers: &[],
                amended: &amended,
            };
            let named = |obligation: &Obligation| {
                let causes = since.causes(obligation).into_iter().map(|cause| match cause {
                    Cause::Record(id) => id.as_str().to_owned(),
                    Cause::Pause(..) | Cause::Waiver(..) | Cause::Event(_) => "other".to_owned(),
                });
                causes.collect::<Vec<_>>().join(" ")
            };
            assert_eq!(found.iter().map(named).collect::<Vec<_>>(), expect, "{amended:?}");
        };
        check(&[], ["", "late", "voided", ""]);
        check(&["known", "elsewhere"], ["known", "late", "voided", ""]);
    }
}
