//! Residents as every side but the plugins gets them: their facts, each with the number of its field.

use linli_core::resident::FactValue;
use linli_plugin_host::tools::residents::Residents;

use crate::table::NEVER;

/// Age of majority, in years.
const ADULT_YEARS: i32 = 18;
/// The plugin's defaults.
const KEY_GRADE: i32 = 2;
const NOTICE_DAYS: i32 = 90;
/// Codes of the kinds in the order of the manifest.
const KINDS: [&str; 7] = ["sight", "hearing", "speech", "limb", "intellectual", "mental", "multiple"];

/// A field that the rules read.
#[derive(Clone, Copy)]
pub enum Field {
    BirthDate,
    Kind,
    Grade,
    Until,
    Severely,
    Alone,
    Mobility,
    Hearing,
    Sight,
    Guardian,
    Dog,
}

const FIELDS: [(&str, Field); 11] = [
    ("birth_date", Field::BirthDate),
    ("disability_category", Field::Kind),
    ("disability_grade", Field::Grade),
    ("disability_certificate_until", Field::Until),
    ("severely_disabled", Field::Severely),
    ("lives_alone", Field::Alone),
    ("mobility_limited", Field::Mobility),
    ("hearing_impaired", Field::Hearing),
    ("sight_impaired", Field::Sight),
    ("guardian_contact", Field::Guardian),
    ("service_dog", Field::Dog),
];

/// A fact: its field, its value, and from when on it counts.
pub type Fact = (Field, FactValue, i32);

/// Residents with their facts, and the day on which they are asked about.
pub struct People {
    pub rows: Vec<Vec<Fact>>,
    pub today: i32,
}

/// What is known of one resident.
#[derive(Clone, Copy)]
pub struct Person {
    pub today: i32,
    pub key_grade: i32,
    pub notice_days: i32,
    pub kind: i32,
    pub kind_since: i32,
    pub grade: i32,
    pub grade_since: i32,
    pub severely: bool,
    pub severely_since: i32,
    pub until_known: bool,
    pub until: i32,
    pub adult_on: i32,
    pub alone: bool,
    pub mobility: bool,
    pub hearing: bool,
    pub sight: bool,
    pub guardian: bool,
    pub dog: bool,
}

impl People {
    /// The residents of the plugins' own bench.
    pub fn of(residents: &Residents) -> Result<Self, String> {
        let fact = |(code, value, since): (&str, &FactValue, Option<linli_core::time::CivilDate>)| {
            let (_, field) =
                FIELDS.iter().find(|(known, _)| *known == code).ok_or(format!("`{code}` is new"))?;
            Ok((*field, value.clone(), since.map_or(i32::MIN, |since| since.days())))
        };
        let rows = (0..residents.len()).map(|row| residents.facts(row).map(fact).collect());
        Ok(Self { rows: rows.collect::<Result<_, String>>()?, today: residents.today().days() })
    }
}

impl Person {
    /// Of whom nothing is known.
    pub fn blank(today: i32) -> Self {
        Self {
            today,
            key_grade: KEY_GRADE,
            notice_days: NOTICE_DAYS,
            kind: 0,
            kind_since: NEVER,
            grade: 0,
            grade_since: NEVER,
            severely: false,
            severely_since: NEVER,
            until_known: false,
            until: 0,
            adult_on: 0,
            alone: false,
            mobility: false,
            hearing: false,
            sight: false,
            guardian: false,
            dog: false,
        }
    }

    /// From facts.
    #[inline]
    pub fn of(facts: &[Fact], today: i32) -> Self {
        let mut person = Self::blank(today);
        for (field, value, since) in facts {
            person.learn(*field, value, *since);
        }
        person
    }

    #[inline]
    fn learn(&mut self, field: Field, value: &FactValue, since: i32) {
        match field {
            Field::BirthDate => self.adult_on = adult_on(value),
            Field::Kind => (self.kind, self.kind_since) = (kind(value), since),
            Field::Grade => (self.grade, self.grade_since) = (number(value), since),
            Field::Until => (self.until_known, self.until) = (true, day(value)),
            Field::Severely if yes(value) => (self.severely, self.severely_since) = (true, since),
            Field::Severely => {}
            Field::Alone => self.alone = yes(value),
            Field::Mobility => self.mobility = yes(value),
            Field::Hearing => self.hearing = yes(value),
            Field::Sight => self.sight = yes(value),
            Field::Guardian => self.guardian = yes(value),
            Field::Dog => self.dog = yes(value),
        }
    }
}

#[inline]
pub fn yes(value: &FactValue) -> bool {
    matches!(value, FactValue::Bool(true))
}

#[inline]
pub fn number(value: &FactValue) -> i32 {
    if let FactValue::Integer(number) = value { *number as i32 } else { 0 }
}

#[inline]
pub fn day(value: &FactValue) -> i32 {
    if let FactValue::Date(day) = value { day.days() } else { NEVER }
}

/// The ordinal of a kind, from 1.
#[inline]
pub fn kind(value: &FactValue) -> i32 {
    let FactValue::Code(code) = value else { return 0 };
    KINDS.iter().position(|kind| kind == code).map_or(0, |ordinal| ordinal as i32 + 1)
}

/// The day of majority of who was born on a day.
#[inline]
pub fn adult_on(value: &FactValue) -> i32 {
    if let FactValue::Date(birth) = value { birth.plus_months(12 * ADULT_YEARS).days() } else { 0 }
}
