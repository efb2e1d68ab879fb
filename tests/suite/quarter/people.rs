//! Who lives there: 25 people of each of the twelve groups, each kind with what a care manager knows follows from its facts.

use linli_proto::v1;
use linli_proto::v1::value::Kind as Value;

use crate::harness::estate::{fact, flag};

/// People of one kind.
pub const OF_EACH: usize = 25;

/// A kind of person: what is recorded of them, and what follows by the rules of their group.
pub struct Sort {
    pub birth_date: &'static str,
    facts: fn() -> Vec<v1::Fact>,
    pub groups: &'static [&'static str],
    pub tags: &'static [&'static str],
}

impl Sort {
    pub fn is_in(&self, groups: &[&str]) -> bool {
        groups.is_empty() || self.groups.iter().any(|group| groups.contains(group))
    }

    pub fn facts(&self) -> Vec<v1::Fact> {
        (self.facts)()
    }
}

/// The elders: whom stewards visit every week.
pub const ELDERS: &[&str] = &["living_alone", "empty_nest", "advanced_age"];

/// The twelve groups of the regulation's second article, each by somebody who is in it.
pub const SORTS: [Sort; 12] = [
    Sort {
        birth_date: "1950-02-01",
        facts: || vec![flag("lives_alone", true)],
        groups: &["empty_nest", "living_alone"],
        tags: &["special_difficulty"],
    },
    Sort {
        birth_date: "1955-01-01",
        facts: || vec![flag("empty_nest", true)],
        groups: &["empty_nest"],
        tags: &["special_difficulty"],
    },
    Sort { birth_date: "1942-06-01", facts: Vec::new, groups: &["advanced_age"], tags: &[] },
    Sort {
        birth_date: "1980-03-01",
        facts: || vec![code("disability_category", "limb"), number("disability_grade", 4)],
        groups: &["disabled"],
        tags: &[],
    },
    Sort {
        birth_date: "2014-05-20",
        facts: || vec![flag("family_in_poverty", true)],
        groups: &["child_in_difficulty"],
        tags: &["child_difficulty"],
    },
    Sort {
        birth_date: "1996-08-01",
        facts: || vec![date("expected_due_date", "2026-12-10")],
        groups: &["pregnant"],
        tags: &["maternity_early"],
    },
    Sort {
        birth_date: "1995-09-01",
        facts: || vec![date("child_born_on", "2025-11-20")],
        groups: &["nursing"],
        tags: &[],
    },
    Sort {
        birth_date: "1978-01-01",
        facts: || hardship("subsistence_allowance"),
        groups: &["subsistence_allowance"],
        tags: &[],
    },
    Sort {
        birth_date: "1979-01-01",
        facts: || hardship("near_threshold"),
        groups: &["near_threshold"],
        tags: &[],
    },
    Sort {
        birth_date: "1985-01-01",
        facts: || vec![number("military_disability_grade", 8), code("military_disability_nature", "duty")],
        groups: &["disabled_service_member"],
        tags: &["military_key_contact"],
    },
    Sort { birth_date: "1991-01-01", facts: || vec![flag("veteran", true)], groups: &["veteran"], tags: &[] },
    Sort {
        birth_date: "1975-01-01",
        facts: || vec![code("survivor_kind", "martyr"), code("survivor_relation", "spouse")],
        groups: &["survivor"],
        tags: &["military_key_contact"],
    },
];

fn code(field: &str, value: &str) -> v1::Fact {
    fact(field, Some(Value::Code(value.to_owned())))
}

fn number(field: &str, value: i64) -> v1::Fact {
    fact(field, Some(Value::Number(value)))
}

fn date(field: &str, value: &str) -> v1::Fact {
    fact(field, Some(Value::Date(value.to_owned())))
}

fn hardship(class: &str) -> Vec<v1::Fact> {
    vec![
        code("hardship_class", class),
        flag("hardship_certificate_seen", true),
        date("hardship_checked_on", "2026-03-30"),
    ]
}
