//! Figures of one period: per standard, and within each by care group, tier and post.

use std::collections::{BTreeMap, BTreeSet};

use super::Tally;
use crate::assessment::{Attention, tier_on};
use crate::fund::CELL_MIN_PEOPLE;
use crate::id::{GroupCode, PostId, StandardCode, Subject, SubjectKind};
use crate::kind::Tier;
use crate::membership::Membership;
use crate::obligation::Obligation;
use crate::site::Post;

/// Under what an obligation is counted, beside its standard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cell {
    /// Everything that is owed.
    All,
    /// What is owed to members of a care group. Who is in several groups is counted in each of them.
    Group(GroupCode),
    /// What is owed to residents of a tier.
    Tier(Tier),
    /// What a post has to do. Where several posts of a department serve a building, it is counted for each of them.
    Post(PostId),
}

/// The people behind a figure, counted no further than it takes to know that they are enough to be shown.
///
/// A dwelling or a request stands for whoever lives there or asked; areas, facilities and the site stand for nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct People(BTreeSet<Subject>);

impl People {
    /// Counts the people behind a subject.
    pub fn add(&mut self, subject: &Subject) {
        let stands_for_somebody = match subject.kind() {
            SubjectKind::Resident | SubjectKind::Dwelling | SubjectKind::Request => true,
            SubjectKind::Area | SubjectKind::Facility | SubjectKind::Site => false,
        };
        if stands_for_somebody && self.0.len() < CELL_MIN_PEOPLE && !self.0.contains(subject) {
            self.0.insert(subject.clone());
        }
    }

    /// Counts those of another figure.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|subject| self.add(subject));
    }

    /// Whether a figure about them may be shown: they are none at all, or [`CELL_MIN_PEOPLE`] at least.
    pub fn may_be_shown(&self) -> bool {
        self.0.is_empty() || self.0.len() >= CELL_MIN_PEOPLE
    }
}

/// One standard under one cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figure {
    /// The counts.
    pub tally: Tally,
    /// Whom they are about.
    pub people: People,
}

/// The figures of a period.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures(BTreeMap<StandardCode, BTreeMap<Cell, Figure>>);

/// What decides where the obligations of one subject are counted.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// The memberships of a resident; empty for places.
    pub memberships: &'a [Membership],
    /// Tier and tags of a resident over time; `None` for places, which have none.
    pub attention: Option<&'a [Attention]>,
    /// The posts that serve where it is, of every department.
    pub posts: &'a [&'a Post],
}

impl Counted<'_> {
    /// The cells of an obligation: everything, the groups of which its resident was a member on a day of its window, the tier
    /// on its last day, the posts of its department.
    pub fn cells_of(&self, obligation: &Obligation) -> Vec<Cell> {
        let mut cells = vec![Cell::All];
        let (first, end) = (obligation.window.start(), obligation.window.end());
        let held = self
            .memberships
            .iter()
            .filter(|held| held.start < end && held.end.is_none_or(|until| until > first.max(held.start)));
        for membership in held {
            let cell = Cell::Group(membership.group.clone());
            if !cells.contains(&cell) {
                cells.push(cell);
            }
        }
        cells.extend(self.attention.map(|attention| Cell::Tier(tier_on(attention, obligation.last_day()))));
        let own = self.posts.iter().filter(|post| post.department == obligation.standard.department);
        cells.extend(own.map(|post| Cell::Post(post.id.clone())));
        cells
    }
}

impl Figures {
    /// Counts an obligation under everything.
    pub fn add(&mut self, obligation: &Obligation) {
        self.count(obligation, &Cell::All);
    }

    /// Counts an obligation under everything, and under its cells.
    pub fn add_by_cell(&mut self, obligation: &Obligation, counted: &Counted<'_>) {
        counted.cells_of(obligation).iter().for_each(|cell| self.count(obligation, cell));
    }

    fn count(&mut self, obligation: &Obligation, cell: &Cell) {
        let code = &obligation.standard.code;
        if !self.0.contains_key(code) {
            self.0.insert(code.clone(), BTreeMap::new());
        }
        let Some(cells) = self.0.get_mut(code) else { return };
        if !cells.contains_key(cell) {
            cells.insert(cell.clone(), Figure::default());
        }
        let Some(figure) = cells.get_mut(cell) else { return };
        figure.tally.add(obligation);
        figure.people.add(&obligation.subject);
    }

    /// Adds the figures of another period.
    pub fn merge(&mut self, other: &Self) {
        for (code, cell, figure) in other.iter() {
            let sum = self.0.entry(code.clone()).or_default().entry(cell.clone()).or_default();
            sum.tally.merge(&figure.tally);
            sum.people.merge(&figure.people);
        }
    }

    /// One figure.
    pub fn get(&self, standard: &StandardCode, cell: &Cell) -> Option<&Figure> {
        self.0.get(standard)?.get(cell)
    }

    /// Every figure, by standard, then by cell.
    pub fn iter(&self) -> impl Iterator<Item = (&StandardCode, &Cell, &Figure)> {
        self.0.iter().flat_map(|(code, cells)| cells.iter().map(move |(cell, figure)| (code, cell, figure)))
    }

    /// The counts of some standards together, under one cell, and whom they are about.
    pub fn sum(&self, cell: &Cell, counts: impl Fn(&StandardCode) -> bool) -> Figure {
        let mut sum = Figure::default();
        for (_, _, figure) in self.iter().filter(|(code, under, _)| *under == cell && counts(code)) {
            sum.tally.merge(&figure.tally);
            sum.people.merge(&figure.people);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{AreaId, DwellingId, ResidentId};

    #[test]
    fn people_are_counted_once_and_places_stand_for_nobody() {
        let mut people = People::default();
        assert!(people.may_be_shown(), "nobody");
        people.add(&Subject::Area(AreaId::new("gate").unwrap()));
        people.add(&Subject::Site);
        assert!(people.may_be_shown(), "places alone");
        for number in 0..4 {
            let resident = Subject::Resident(ResidentId::new(&format!("r{number}")).unwrap());
            people.add(&resident);
            people.add(&resident);
            assert!(!people.may_be_shown(), "{number}");
        }
        let mut dwelling = People::default();
        dwelling.add(&Subject::Dwelling(DwellingId::new("d1").unwrap()));
        people.merge(&dwelling);
        assert!(people.may_be_shown(), "five");
    }
}
