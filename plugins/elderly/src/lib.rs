//! Rules for elders who live alone, in empty nests or at an advanced age.
//!
//! `plugin.toml` holds every class, number and source; this file decides which of them apply. `scenarios.txt` is the
//! table of cases that this crate, the host and the suite run.
//!
//! Ages are reached *on* the birthday; who was born on 29 February reaches them on 28 February of a common year
//! (民法典 200, 202). 独居 is always 空巢 too. Someone below the age of an elder, or of unknown age, is none of these
//! groups; other plugins may find more.

mod ability;

use linli_plugin_sdk::{Date, Fact, Facts, Findings, Issues, Rules, Tier, all_of, any_of, export_plugin};

linli_plugin_sdk::manifest!();
use manifest::{Caution, Field, Group, Reason, Tag};

/// Oldest age that is believed, in years.
const AGE_YEARS_MAX: i64 = 130;

/// Everything that the rules read.
#[derive(Facts)]
struct Elder {
    today: Date,
    birth_date: Fact<Date>,
    lives_alone: Fact<bool>,
    empty_nest: Fact<bool>,
    left_behind: Fact<bool>,
    ability_score: Fact<i64>,
    ability_level: Fact<i64>,
    coma: Fact<bool>,
    dementia: Fact<bool>,
    mental_disorder: Fact<bool>,
    care_risk_event_last: Fact<Date>,
    care_risk_event_before: Fact<Date>,
    seriously_ill: Fact<bool>,
    severely_disabled: Fact<bool>,
    family_planning_special: Fact<bool>,
    dispersed_support: Fact<bool>,
    mobility_limited: Fact<bool>,
    hearing_impaired: Fact<bool>,
    sight_impaired: Fact<bool>,
    elder_age_years: i64,
    advanced_age_years: i64,
    high_risk_age_years: i64,
    disabled_level: i64,
    risk_event_days: i64,
    two_day_check: bool,
}

impl Elder {
    /// From when on the person has the age of a birthday; `None` before that.
    fn reached(&self, birthday: Date) -> Option<Date> {
        (birthday <= self.today).then(|| birthday.max(self.birth_date.since))
    }
}

struct Elderly;

impl Rules for Elderly {
    type Facts = Elder;

    fn assess(elder: &Elder, found: &mut Findings<'_>) {
        let Some(birth) = elder.birth_date.value else { return };
        // The first of all: the manifest lets no site put another age before it.
        let old_enough = birth.plus_years(elder.elder_age_years);
        if old_enough > elder.today {
            return found.expires(old_enough);
        }
        let birthdays = birth.birthdays([elder.advanced_age_years, elder.high_risk_age_years]);
        if let Some(next) = any_of(birthdays.map(|day| (day > elder.today).then_some(day))) {
            found.expires(next);
        }
        let old_enough = old_enough.max(elder.birth_date.since);
        let [advanced, high_risk] = birthdays.map(|birthday| elder.reached(birthday));
        let from = |fact: Option<Date>| all_of([Some(old_enough), fact]);

        let alone = from(elder.lives_alone.is(true));
        let nest = from(any_of([elder.lives_alone.is(true), elder.empty_nest.is(true)]));
        let left_behind = from(elder.left_behind.is(true));
        let disabled = from(ability::disabled_from(elder));

        members(found, alone, nest, advanced);
        let old_alone = all_of([high_risk, any_of([alone, nest, left_behind])]);
        attention(elder, found, from, any_of([alone, nest, advanced]), old_alone, disabled);

        let severely = from(elder.severely_disabled.is(true));
        let special = from(elder.family_planning_special.is(true));
        let mut in_difficulty = |since, reason| tag(found, Tag::SpecialDifficulty, since, reason);
        in_difficulty(alone, Reason::ClassAlone);
        in_difficulty(nest, Reason::ClassEmptyNest);
        in_difficulty(left_behind, Reason::ClassLeftBehind);
        in_difficulty(disabled, Reason::ClassDisabled);
        in_difficulty(severely, Reason::ClassSeverelyDisabled);
        in_difficulty(special, Reason::ClassFamilyPlanning);

        let limited = from(elder.mobility_limited.is(true));
        let (hearing, sight) = (from(elder.hearing_impaired.is(true)), from(elder.sight_impaired.is(true)));
        tag(found, Tag::Mobility, disabled, Reason::Disabled);
        tag(found, Tag::Mobility, limited, Reason::MobilityLimited);
        tag(found, Tag::Hearing, hearing, Reason::HearingImpaired);
        tag(found, Tag::Sight, sight, Reason::SightImpaired);
        tag(found, Tag::DualContact, special, Reason::FamilyPlanningSpecial);
        if elder.two_day_check {
            tag(found, Tag::TwoDayCheck, all_of([advanced, alone]), Reason::TwoDayCheck);
        }
        manners(elder, found, Manners { limited, hearing, sight, old_alone });
        if let Some(last_day) = ability::risk_events_count_until(elder) {
            found.expires(last_day.plus_days(1));
        }
    }

    fn validate(elder: &Elder, found: &mut Issues<'_>) {
        let after_today = |fact: &Fact<Date>| fact.value.is_some_and(|date| date > elder.today);
        if after_today(&elder.birth_date) {
            found.issue(Field::BirthDate, Reason::DateInFuture);
        }
        let oldest = elder.birth_date.value.map(|birth| birth.plus_years(AGE_YEARS_MAX));
        if oldest.is_some_and(|birthday| elder.reached(birthday).is_some()) {
            found.issue(Field::BirthDate, Reason::OlderThan130);
        }
        if after_today(&elder.care_risk_event_last) {
            found.issue(Field::CareRiskEventLast, Reason::DateInFuture);
        }
        if let Some(before) = elder.care_risk_event_before.value
            && elder.care_risk_event_last.value.is_none_or(|last| last < before)
        {
            found.issue(Field::CareRiskEventBefore, Reason::EventsOutOfOrder);
        }
        if let (Some(score), Some(level)) = (elder.ability_score.value, elder.ability_level.value)
            && level < ability::level_of_score(score)
        {
            found.issue(Field::AbilityLevel, Reason::LevelContradictsScore);
        }
    }
}

fn members(found: &mut Findings<'_>, alone: Option<Date>, nest: Option<Date>, advanced: Option<Date>) {
    if let Some(since) = alone {
        found.member(Group::LivingAlone, since, Reason::LivesAlone);
    }
    if let Some(since) = nest {
        let reason = if alone.is_some() { Reason::AloneIsEmptyNest } else { Reason::EmptyNest };
        found.member(Group::EmptyNest, since, reason);
    }
    if let Some(since) = advanced {
        found.member(Group::AdvancedAge, since, Reason::AdvancedAge);
    }
}

/// The tiers: every reason is given, the highest counts.
fn attention(
    elder: &Elder,
    found: &mut Findings<'_>,
    from: impl Fn(Option<Date>) -> Option<Date>,
    member: Option<Date>,
    old_alone: Option<Date>,
    disabled: Option<Date>,
) {
    let mut needs = |tier, since: Option<Date>, reason| {
        if let Some(since) = since {
            found.tier(tier, since, reason);
        }
    };
    needs(Tier::General, member, Reason::Elder);
    needs(Tier::Key, disabled, Reason::Disabled);
    needs(Tier::Key, from(elder.dispersed_support.is(true)), Reason::DispersedSupport);
    needs(Tier::Key, from(elder.family_planning_special.is(true)), Reason::FamilyPlanningSpecial);
    needs(Tier::High, old_alone, Reason::OldAndWithoutChildren);
    needs(Tier::High, from(elder.dementia.is(true)), Reason::Dementia);
    needs(Tier::High, from(elder.seriously_ill.is(true)), Reason::SeriouslyIll);
}

/// What changes how to approach somebody, and from when on.
struct Manners {
    limited: Option<Date>,
    hearing: Option<Date>,
    sight: Option<Date>,
    old_alone: Option<Date>,
}

/// How to approach the person.
fn manners(elder: &Elder, found: &mut Findings<'_>, Manners { limited, hearing, sight, old_alone }: Manners) {
    let mut mind = |applies: Option<Date>, caution, reason| {
        if applies.is_some() {
            found.caution(caution, reason);
        }
    };
    mind(hearing, Caution::TextFirst, Reason::HearingImpaired);
    mind(sight, Caution::SpeakFirst, Reason::SightImpaired);
    mind(elder.dementia.is(true), Caution::FamiliarFace, Reason::Dementia);
    mind(limited, Caution::GiveTime, Reason::MobilityLimited);
    mind(old_alone, Caution::ActOnSilence, Reason::OldAndWithoutChildren);
    mind(elder.coma.is(true), Caution::SpeakToCarer, Reason::Coma);
    mind(elder.family_planning_special.is(true), Caution::Tactful, Reason::FamilyPlanningSpecial);
}

fn tag(found: &mut Findings<'_>, tag: Tag, since: Option<Date>, reason: Reason) {
    if let Some(since) = since {
        found.tag(tag, since, reason);
    }
}

export_plugin!(Elderly);

#[cfg(test)]
mod tests {
    use super::Elderly;
    use linli_plugin_sdk::testing;

    const SCENARIOS: &str = include_str!("../scenarios.txt");

    #[test]
    fn rules_agree_with_the_scenarios() {
        testing::check::<Elderly>(SCENARIOS);
    }

    const MANIFEST: &str = include_str!("../plugin.toml");

    /// The tables `[[kind]]` of the manifest, as text.
    fn tables(kind: &str) -> Vec<&'static str> {
        MANIFEST.split("\n[[").filter_map(|table| table.strip_prefix(&format!("{kind}]]\n"))).collect()
    }

    #[test]
    fn a_site_cannot_loosen_what_sources_fix() {
        let check = |code: &str, default: u32, max: u32| {
            let head = format!("code = \"{code}\"\n");
            let table = tables("parameter").into_iter().find(|table| table.starts_with(&head)).unwrap();
            for line in [format!("default = {default}"), format!("max = {max}")] {
                assert!(table.lines().any(|found| found == line), "{code}: {line}");
            }
        };
        check("elder_age_years", 60, 60);
        check("high_risk_age_years", 80, 80);
        check("disabled_level", 2, 2);
    }

    #[test]
    fn texts_print_no_number_that_a_site_sets() {
        let texts = tables("reason").into_iter().chain(tables("caution"));
        let lines: Vec<&str> =
            texts.flat_map(str::lines).filter(|l| l.starts_with("zh =") || l.starts_with("en =")).collect();
        assert!(lines.len() > 50, "reasons and cautions were found");
        for line in lines {
            assert!(!line.contains("60") && !line.contains("80"), "{line}");
        }
    }

    #[test]
    fn every_declared_code_occurs_in_a_scenario() {
        assert_eq!(testing::unused::<Elderly>(SCENARIOS), Vec::<String>::new());
    }
}
