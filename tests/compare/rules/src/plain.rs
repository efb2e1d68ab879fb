//! The limit: the rules written out in Rust, over columns of their own, called directly. It checks nothing, speaks to
//! nobody and can be changed by building the program again.

use crate::people::{Fact, Field, People, adult_on, day, kind, number, yes};
use crate::table::{At, NEVER, Said, say};

/// Mildest grade of a severe disability.
const SEVERE_GRADE: i32 = 2;
const KEY_GRADE: i32 = 2;
const NOTICE_DAYS: i32 = 90;

/// What is known of some residents, field by field.
#[derive(Default)]
pub struct Columns {
    today: i32,
    kind: Vec<i32>,
    kind_since: Vec<i32>,
    grade: Vec<i32>,
    grade_since: Vec<i32>,
    severely_since: Vec<i32>,
    until: Vec<i32>,
    adult_on: Vec<i32>,
    alone: Vec<bool>,
    mobility: Vec<bool>,
    hearing: Vec<bool>,
    sight: Vec<bool>,
    guardian: Vec<bool>,
    dog: Vec<bool>,
}

impl Columns {
    /// Fills them with the facts of some residents.
    pub fn fill(&mut self, people: &People, rows: &[Vec<Fact>]) {
        self.today = people.today;
        let len = rows.len();
        for (column, unknown) in [
            (&mut self.kind, 0),
            (&mut self.kind_since, NEVER),
            (&mut self.grade, 0),
            (&mut self.grade_since, NEVER),
            (&mut self.severely_since, NEVER),
            (&mut self.until, NEVER),
            (&mut self.adult_on, 0),
        ] {
            column.clear();
            column.resize(len, unknown);
        }
        for column in [
            &mut self.alone,
            &mut self.mobility,
            &mut self.hearing,
            &mut self.sight,
            &mut self.guardian,
            &mut self.dog,
        ] {
            column.clear();
            column.resize(len, false);
        }
        for (row, facts) in rows.iter().enumerate() {
            for (field, value, since) in facts {
                self.put(row, *field, (value, *since));
            }
        }
    }

    #[inline]
    fn put(&mut self, row: usize, field: Field, (value, since): (&linli_core::resident::FactValue, i32)) {
        match field {
            Field::BirthDate => self.adult_on[row] = adult_on(value),
            Field::Kind => (self.kind[row], self.kind_since[row]) = (kind(value), since),
            Field::Grade => (self.grade[row], self.grade_since[row]) = (number(value), since),
            Field::Until => self.until[row] = day(value),
            Field::Severely => self.severely_since[row] = if yes(value) { since } else { NEVER },
            Field::Alone => self.alone[row] = yes(value),
            Field::Mobility => self.mobility[row] = yes(value),
            Field::Hearing => self.hearing[row] = yes(value),
            Field::Sight => self.sight[row] = yes(value),
            Field::Guardian => self.guardian[row] = yes(value),
            Field::Dog => self.dog[row] = yes(value),
        }
    }

    /// Decides about every resident.
    pub fn decide(&self, said: &mut Vec<Said>) {
        for row in 0..self.kind.len() {
            self.decide_one(row, said);
        }
    }

    #[inline]
    fn decide_one(&self, row: usize, said: &mut Vec<Said>) {
        let (kind, grade) = (self.kind[row], self.grade[row]);
        let severely = self.severely_since[row] < NEVER;
        if kind == 0 && grade == 0 && !severely {
            return;
        }
        let mut say = |at: At, date: i32| say(said, row, at as usize, date);
        let until = self.until[row];
        if until < self.today {
            say(At::Ended, 0);
        } else {
            let since = self.kind_since[row].min(self.grade_since[row]).min(self.severely_since[row]);
            say(
                match (kind, grade) {
                    (0, 0) => At::BySurvey,
                    (0, _) => At::GradeKnown,
                    (_, 0) => At::KindKnown,
                    (_, _) => At::KindAndGrade,
                },
                since,
            );
            if until < NEVER {
                say(At::Ends, until + 1);
                let notice = until - NOTICE_DAYS;
                say(if notice > self.today { At::Notice } else { At::EndsSoon }, notice);
            }
        }
        say(At::General, 0);
        let graded_severe = grade >= 1 && grade <= SEVERE_GRADE;
        if graded_severe || severely {
            say(At::Severe, 0);
        } else if grade >= 1 && grade <= KEY_GRADE {
            say(At::KeyGrade, 0);
        }
        if grade > SEVERE_GRADE && (kind == 5 || kind == 6) && self.adult_on[row] > self.today {
            say(At::Child, self.adult_on[row]);
        }
        match kind {
            1 => say(At::Sight, 0),
            2 => say(At::Hearing, 0),
            3 => say(At::Speech, 0),
            5 => say(At::Intellectual, 0),
            6 => say(At::Mental, 0),
            _ => {}
        }
        if graded_severe && kind == 4 {
            say(At::SevereLimb, 0);
        }
        if graded_severe && kind == 1 {
            say(At::SevereSight, 0);
        }
        for (known, at) in [
            (self.alone[row], At::Alone),
            (self.hearing[row], At::HearingImpaired),
            (self.sight[row], At::SightImpaired),
            (self.guardian[row], At::Guardian),
            (self.mobility[row], At::Mobility),
            (self.dog[row], At::ServiceDog),
        ] {
            if known {
                say(at, 0);
            }
        }
    }
}
