//! Example: rules for a thirteenth group, the chronically ill.
//!
//! `plugin.toml` holds every code, number and text; this file decides which of them apply. `scenarios.txt` is the table of
//! cases that this crate and the host run. Members are those with a diagnosis whose confirmation holds, its last day included; without
//! a last day it holds until further notice. When it ends, the membership is no longer found and the host proposes an exit.

use linli_plugin_sdk::{Date, Fact, Facts, Findings, Issues, Rules, Tier, all_of, export_plugin};

linli_plugin_sdk::manifest!();
use manifest::{Caution, ChronicCourse, Field, Group, Reason, Tag};

/// Everything that the rules read.
#[derive(Facts)]
struct Person {
    today: Date,
    chronic_diagnosed: Fact<bool>,
    chronic_course: Fact<ChronicCourse>,
    chronic_confirmed_until: Fact<Date>,
    medicine_errand_wanted: Fact<bool>,
    renew_days: i64,
}

struct ChronicIllness;

impl Rules for ChronicIllness {
    type Facts = Person;

    fn assess(person: &Person, found: &mut Findings<'_>) {
        let Some(diagnosed) = person.chronic_diagnosed.is(true) else { return };
        // Tags hold as long as the diagnosis: what the standards select by must not vanish before staff confirm an exit.
        let unstable = all_of([Some(diagnosed), person.chronic_course.is(ChronicCourse::Unstable)]);
        if let Some(since) = unstable {
            found.tier(Tier::Key, since, Reason::Unstable);
            found.tag(Tag::ChronicUnstable, since, Reason::Unstable);
        }
        if let Some(since) = all_of([Some(diagnosed), person.medicine_errand_wanted.is(true)]) {
            found.tag(Tag::ChronicMedicine, since, Reason::MedicineWanted);
        }
        if person.chronic_confirmed_until.value.is_some_and(|last_day| last_day < person.today) {
            return found.caution(Caution::AskForRenewal, Reason::ConfirmationEnded);
        }
        found.member(Group::ChronicIllness, diagnosed, Reason::Diagnosed);
        found.tier(Tier::General, diagnosed, Reason::Diagnosed);
        found.caution(Caution::NoMedicalAdvice, Reason::Diagnosed);
        if let Some(last_day) = person.chronic_confirmed_until.value {
            let remind = last_day.plus_days(-person.renew_days);
            if remind <= person.today {
                found.caution(Caution::AskForRenewal, Reason::ConfirmationEndsSoon);
            } else {
                found.expires(remind);
            }
            found.expires(last_day.plus_days(1));
        }
    }

    fn validate(person: &Person, found: &mut Issues<'_>) {
        if person.chronic_course.known().is_some() && person.chronic_diagnosed.known().is_none() {
            found.issue(Field::ChronicDiagnosed, Reason::DiagnosisMissing);
        }
    }
}

export_plugin!(ChronicIllness);

#[cfg(test)]
mod tests {
    use super::ChronicIllness;
    use linli_plugin_sdk::testing;

    const SCENARIOS: &str = include_str!("../scenarios.txt");

    #[test]
    fn rules_agree_with_the_scenarios() {
        testing::check::<ChronicIllness>(SCENARIOS);
    }

    #[test]
    fn every_declared_code_occurs_in_a_scenario() {
        assert_eq!(testing::unused::<ChronicIllness>(SCENARIOS), Vec::<String>::new());
    }
}
