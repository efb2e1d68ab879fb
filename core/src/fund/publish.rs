//! What is published of a fund year: totals, without names, and nothing about fewer than [`CELL_MIN_PEOPLE`] people.
//!
//! Figures that are harmless one by one may give somebody away by subtraction: the total less the lines that are shown, or
//! this quarter's figure less the last one's. Therefore payments are published in *blocks*. A block is
//!
//! * what one line paid for nobody in particular, or
//! * what one line paid for at least five people since its last such block, or
//! * what several lines paid, each for too few, where together they make five: shown as one figure of them all.
//!
//! Every payment belongs to one block at most, and every figure ever published is a sum of whole blocks. Whatever anybody adds and
//! subtracts, they get sums and differences of whole blocks, and never a part of one. What makes no block yet waits, and the line
//! says that something does. Beside payments a publication shows budgets: they are plans, and bound what was paid without telling it.

use std::collections::BTreeSet;

use super::{BudgetLine, Fen, FundPurpose, FundYear, Hand, LedgerEntry, Movement};
use crate::id::{LineId, RecordId, ResidentId, SiteId};
use crate::text::Line;

/// Fewest people that a published figure is about, where it is about people at all.
pub const CELL_MIN_PEOPLE: usize = 5;

/// A published amount, and how often it helped somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figure {
    /// How much was paid.
    pub amount: Fen,
    /// How often somebody was helped, 人次: the same person in two payments counts twice.
    pub helped: u64,
}

impl Figure {
    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { amount: self.amount.plus(other.amount), helped: self.helped.saturating_add(other.helped) }
    }
}

/// A publication: what was paid since the beginning of the fund year, as far as it can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundReport {
    /// The site.
    pub site: SiteId,
    /// The fund year.
    pub year: FundYear,
    /// Which publication of the year, from 1.
    pub number: u64,
    /// Who published it, and when.
    pub published: Hand,
    /// The service record that says so.
    pub record: RecordId,
    /// What is shown.
    pub shown: Published,
}

/// What a publication shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// Line by line, in order of their ids.
    pub lines: Vec<ReportLine>,
    /// What several lines paid together, in no line's own figure.
    pub together: Figure,
}

impl Published {
    /// The total of everything that is shown.
    pub fn total(&self) -> Figure {
        self.lines.iter().fold(self.together, |sum, line| sum.plus(line.paid))
    }
}

/// A line of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportLine {
    /// The budget line.
    pub line: LineId,
    /// What people call it.
    pub title: Line,
    /// What it is earmarked for.
    pub purpose: FundPurpose,
    /// Its budget.
    pub budget: Fen,
    /// What it paid, as far as it can be shown.
    pub paid: Figure,
    /// Whether it paid something that cannot be shown yet.
    pub withheld: bool,
    /// The last entry of the ledger that was looked at.
    pub read_to: u64,
    /// The last entry such that every payment to people up to it is in a block.
    pub people_to: u64,
}

/// Payments that wait for their block.
#[derive(Debug, Clone, Default)]
struct Pool {
    figure: Figure,
    /// Residents by name; no more than are needed to count to [`CELL_MIN_PEOPLE`].
    residents: BTreeSet<ResidentId>,
    /// The most people that one payment was for.
    largest: usize,
}

impl Pool {
    fn add(&mut self, entry: &LedgerEntry) {
        let paid = Figure { amount: entry.amount, helped: u64::from(entry.people) };
        self.figure = self.figure.plus(paid);
        self.largest = self.largest.max(usize::try_from(entry.people).unwrap_or(usize::MAX));
        self.count(entry.resident.iter());
    }

    fn merge(&mut self, other: &Self) {
        self.figure = self.figure.plus(other.figure);
        self.largest = self.largest.max(other.largest);
        self.count(other.residents.iter());
    }

    fn count<'a>(&mut self, residents: impl Iterator<Item = &'a ResidentId>) {
        for resident in residents {
            if self.residents.len() < CELL_MIN_PEOPLE {
                self.residents.insert(resident.clone());
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.figure.amount == Fen::ZERO
    }

    /// Whether it is about enough people for certain: whom two payments have in common is not known, so that only named
    /// residents, and the people of one payment, are counted as different.
    fn is_large_enough(&self) -> bool {
        self.residents.len().max(self.largest) >= CELL_MIN_PEOPLE
    }
}

/// What a line paid since the publication before.
#[derive(Debug, Clone)]
pub struct LineTakings {
    shown: ReportLine,
    read_before: u64,
    impersonal: Pool,
    people: Pool,
}

impl LineTakings {
    /// Of a line as it stands, after the publication `before`.
    pub fn new(line: &BudgetLine, before: Option<&Published>) -> Self {
        let before = before.and_then(|before| before.lines.iter().find(|known| known.line == line.id));
        let read_before = before.map_or(0, |before| before.read_to);
        Self {
            shown: ReportLine {
                line: line.id.clone(),
                title: line.title.clone(),
                purpose: line.purpose,
                budget: line.budget(),
                paid: before.map_or(Figure::default(), |before| before.paid),
                withheld: false,
                read_to: line.entries,
                people_to: before.map_or(0, |before| before.people_to),
            },
            read_before,
            impersonal: Pool::default(),
            people: Pool::default(),
        }
    }

    /// The line.
    pub fn line(&self) -> &LineId {
        &self.shown.line
    }

    /// The numbers of the entries that must be added: after the first, up to and with the second.
    pub fn wanted(&self) -> (u64, u64) {
        (self.shown.people_to, self.shown.read_to)
    }

    /// Takes an entry of the line into account; others than it wants make no difference.
    pub fn add(&mut self, entry: &LedgerEntry) {
        let (after, to) = self.wanted();
        let is_wanted = entry.line == self.shown.line && entry.number > after && entry.number <= to;
        match entry.movement {
            Movement::Paid if is_wanted => {
                if entry.people > 0 {
                    self.people.add(entry);
                } else if entry.number > self.read_before {
                    self.impersonal.add(entry);
                }
            }
            Movement::Paid
            | Movement::Budgeted
            | Movement::Cut
            | Movement::Committed
            | Movement::Released => {}
        }
    }
}

/// What is published: everything that was shown `before`, and the blocks that what was paid since makes.
pub fn publish(before: Option<&Published>, takings: Vec<LineTakings>) -> Published {
    let mut together = Pool::default();
    let mut lines = Vec::with_capacity(takings.len());
    for LineTakings { mut shown, impersonal, people, .. } in takings {
        shown.paid = shown.paid.plus(impersonal.figure);
        if people.is_empty() || people.is_large_enough() {
            shown.paid = shown.paid.plus(people.figure);
            shown.people_to = shown.read_to;
        } else {
            shown.withheld = true;
            together.merge(&people);
        }
        lines.push(shown);
    }
    let mut shown_together = before.map_or(Figure::default(), |before| before.together);
    if together.is_large_enough() {
        shown_together = shown_together.plus(together.figure);
        for line in &mut lines {
            line.withheld = false;
            line.people_to = line.read_to;
        }
    }
    lines.sort_by(|a, b| a.line.cmp(&b.line));
    Published { lines, together: shown_together }
}
