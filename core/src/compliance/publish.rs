//! What of a report may be shown: nothing about fewer than [`crate::fund::CELL_MIN_PEOPLE`] people, also not by subtraction.
//!
//! The rows of a table that add up to its total are shown in *blocks*, as publications of the fund are: a row about enough people
//! by itself, all smaller ones as one row, and where those together are still about too few, the smallest of the others joins
//! them. Whatever is left over is in no row and in no total. Figures that do not add up (those of care groups, which overlap) are
//! shown as rates in whole percent, from which no count can be taken.

use super::figures::People;

/// One row, as far as showing it is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Weighed<'a> {
    /// Whom it is about.
    pub people: &'a People,
    /// How much is in it: the least of the larger rows joins those that are too small.
    pub weight: u64,
}

/// Which rows are shown, by their places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blocks {
    /// By themselves.
    pub alone: Vec<usize>,
    /// As one row.
    pub together: Vec<usize>,
    /// Not at all.
    pub withheld: Vec<usize>,
}

/// The blocks of a table.
pub fn blocks(rows: &[Weighed<'_>]) -> Blocks {
    let (mut alone, mut small): (Vec<(usize, &Weighed<'_>)>, Vec<_>) =
        rows.iter().enumerate().partition(|(_, row)| row.people.may_be_shown());
    if small.is_empty() {
        return Blocks { alone: places(&alone), ..Blocks::default() };
    }
    let mut people = People::default();
    small.iter().for_each(|(_, row)| people.merge(row.people));
    while !people.may_be_shown() {
        // A row about nobody hides nobody.
        let about_somebody =
            alone.iter().enumerate().filter(|(_, (_, row))| *row.people != People::default());
        let Some((at, _)) = about_somebody.min_by_key(|(_, (place, row))| (row.weight, *place)) else {
            return Blocks { alone: places(&alone), withheld: places(&small), ..Blocks::default() };
        };
        let joining = alone.remove(at);
        people.merge(joining.1.people);
        small.push(joining);
    }
    small.sort_by_key(|(place, _)| *place);
    Blocks { alone: places(&alone), together: places(&small), withheld: Vec::new() }
}

fn places(rows: &[(usize, &Weighed<'_>)]) -> Vec<usize> {
    rows.iter().map(|(place, _)| *place).collect()
}

/// A share in whole percent, rounded down, so that 100 means all; `None` where there is nothing to divide by.
pub fn percent_shown(part: u64, whole: u64) -> Option<u8> {
    let percent = part.saturating_mul(100).checked_div(whole)?;
    u8::try_from(percent.min(100)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ResidentId, Subject};

    /// People with these numbers.
    fn people(numbers: std::ops::Range<u32>) -> People {
        let mut people = People::default();
        for number in numbers {
            people.add(&Subject::Resident(ResidentId::new(&format!("r{number}")).unwrap()));
        }
        people
    }

    #[test]
    fn rows_become_blocks_about_enough_people() {
        let check = |rows: &[(std::ops::Range<u32>, u64)], expect: (&[usize], &[usize], &[usize])| {
            let people: Vec<People> = rows.iter().map(|(numbers, _)| people(numbers.clone())).collect();
            let rows: Vec<Weighed<'_>> = people
                .iter()
                .zip(rows)
                .map(|(people, (_, weight))| Weighed { people, weight: *weight })
                .collect();
            let found = blocks(&rows);
            assert_eq!((&*found.alone, &*found.together, &*found.withheld), expect);
        };
        check(&[], (&[], &[], &[]));
        check(&[(0..5, 9), (0..0, 3)], (&[0, 1], &[], &[]));
        // Two of three people each: together they are six.
        check(&[(0..9, 9), (0..3, 3), (3..6, 3)], (&[0], &[1, 2], &[]));
        // The same three people twice are three: the smallest other row joins them, and one about nobody does not help.
        check(&[(0..9, 9), (10..20, 5), (0..3, 3), (0..3, 3), (0..0, 1)], (&[0, 4], &[1, 2, 3], &[]));
        // Nobody to hide among.
        check(&[(0..3, 3), (0..0, 4)], (&[1], &[], &[0]));
    }

    #[test]
    fn a_hundred_percent_is_all() {
        assert_eq!(percent_shown(199, 200), Some(99));
        assert_eq!(percent_shown(200, 200), Some(100));
        assert_eq!(percent_shown(0, 0), None);
    }
}
