//! Rules for disabled service members, veterans and survivors of service members.
//!
//! `plugin.toml` holds every class, number and source; this file decides which of them apply. `scenarios.txt` is the
//! table of cases that this crate and the host run.
//!
//! Grades 1 to 10 are those of 残疾军人证, not those of the disability certificate. A disabled service member is a
//! veteran only where that is recorded: some still serve. A sibling is a survivor under 18, or if the deceased
//! supported them; at 18 the membership is no longer found and the host proposes an exit. The other classes of
//! 抚恤条例 62 need no rule of their own: 60+ 农村籍退役士兵 and 复员军人 (before 1954-10-31) are veterans by age, and grown children of
//! martyrs are survivors.

use linli_plugin_sdk::{Date, Fact, Facts, Findings, Issues, Rules, Tier, all_of, export_plugin};

linli_plugin_sdk::manifest!();
use manifest::{
    Caution, Field, Group, MilitaryDisabilityNature, Reason, SurvivorKind, SurvivorRelation, Tag,
};

/// The age of majority, in years (民法典 17).
const MAJORITY_YEARS: i64 = 18;
/// The lightest grade with a nursing allowance (抚恤条例 33, 34); unlike the site's heavy care it is fixed.
const NURSING_GRADE_MAX: i64 = 4;
/// The lightest grade of a disability by illness (抚恤条例 27).
const ILLNESS_GRADE_MAX: i64 = 6;

/// Everything that the rules read.
#[derive(Facts)]
struct Person {
    today: Date,
    birth_date: Fact<Date>,
    veteran: Fact<bool>,
    military_disability_grade: Fact<i64>,
    military_disability_nature: Fact<MilitaryDisabilityNature>,
    survivor_kind: Fact<SurvivorKind>,
    survivor_relation: Fact<SurvivorRelation>,
    supported_by_deceased: Fact<bool>,
    without_supporter: Fact<bool>,
    military_hardship: Fact<bool>,
    war_or_test_veteran: Fact<bool>,
    merit_veteran: Fact<bool>,
    returned_ill: Fact<bool>,
    honour_plaque_damaged: Fact<bool>,
    hearing_impaired: Fact<bool>,
    key_age_years: i64,
    heavy_care_grade: i64,
}

impl Person {
    /// From when on the person has this age; `None` before that, or if the birth date is not known.
    fn aged(&self, years: i64) -> Option<Date> {
        let birthday = self.birth_date.value?.plus_years(years);
        (birthday <= self.today).then(|| birthday.max(self.birth_date.since))
    }

    /// The birthday on which the person will have this age, if it is still ahead.
    fn will_be(&self, years: i64) -> Option<Date> {
        self.birth_date.value.map(|birth| birth.plus_years(years)).filter(|birthday| *birthday > self.today)
    }

    /// From when on the person is known to be under 18.
    fn minor(&self) -> Option<Date> {
        self.will_be(MAJORITY_YEARS).map(|_| self.birth_date.since)
    }

    /// What kind of survivor, and from when on; siblings only under 18 or if they were supported.
    fn survivor(&self) -> Option<(SurvivorKind, Date)> {
        let (kind, since) = (self.survivor_kind.value?, self.survivor_kind.since);
        match self.survivor_relation.value {
            Some(SurvivorRelation::Sibling) => {
                let sibling = self.survivor_relation.known();
                let entitled = self.supported_by_deceased.is(true).or(self.minor());
                all_of([Some(since), sibling, entitled]).map(|since| (kind, since))
            }
            Some(SurvivorRelation::Parent | SurvivorRelation::Spouse | SurvivorRelation::Child) | None => {
                Some((kind, since))
            }
        }
    }
}

struct Military;

impl Rules for Military {
    type Facts = Person;

    fn assess(person: &Person, found: &mut Findings<'_>) {
        let disabled = person.military_disability_grade.known();
        let veteran = person.veteran.is(true);
        let survivor = person.survivor();
        for (since, group, reason) in [
            (disabled, Group::DisabledServiceMember, Reason::DisabledServiceMember),
            (veteran, Group::Veteran, Reason::Veteran),
        ] {
            if let Some(since) = since {
                found.member(group, since, reason);
                found.tier(Tier::General, since, reason);
                found.caution(Caution::NoServiceDetails, reason);
            }
        }
        if let Some((kind, since)) = survivor {
            let reason = family(kind);
            found.member(Group::Survivor, since, reason);
            found.tier(Tier::General, since, reason);
            found.caution(Caution::NoServiceDetails, reason);
            found.caution(Caution::MindTheLoss, reason);
        }
        if disabled.is_some() {
            disability(person, found);
        }
        if veteran.is_some() {
            attention_to_veterans(person, veteran, found);
        }
        if person.survivor_kind.known().is_some() {
            attention_to_survivors(person, found);
        }
        if [disabled, veteran, person.survivor_kind.known()].iter().any(Option::is_some) {
            circumstances(person, found);
        }
    }

    fn validate(person: &Person, found: &mut Issues<'_>) {
        if person.birth_date.value.is_some_and(|birth| birth > person.today) {
            found.issue(Field::BirthDate, Reason::DateInFuture);
        }
        if all_of([person.veteran.is(true), person.minor()]).is_some() {
            found.issue(Field::Veteran, Reason::VeteranUnder18);
        }
        let by_illness = person.military_disability_nature.is(MilitaryDisabilityNature::Illness).is_some();
        match person.military_disability_grade.value {
            Some(grade) if by_illness && grade > ILLNESS_GRADE_MAX => {
                found.issue(Field::MilitaryDisabilityNature, Reason::IllnessAboveSix);
            }
            None if person.military_disability_nature.known().is_some() => {
                found.issue(Field::MilitaryDisabilityGrade, Reason::GradeMissing);
            }
            Some(_) | None => {}
        }
        if person.survivor_relation.known().is_some() && person.survivor_kind.known().is_none() {
            found.issue(Field::SurvivorKind, Reason::KindMissing);
        }
        for (fact, field) in [
            (&person.war_or_test_veteran, Field::WarOrTestVeteran),
            (&person.merit_veteran, Field::MeritVeteran),
            (&person.returned_ill, Field::ReturnedIll),
        ] {
            if fact.is(true).is_some() && person.veteran.is(true).is_none() {
                found.issue(field, Reason::NotAVeteran);
            }
        }
    }
}

/// The reason for a kind of survivor.
fn family(kind: SurvivorKind) -> Reason {
    match kind {
        SurvivorKind::Martyr => Reason::MartyrFamily,
        SurvivorKind::Duty => Reason::DutyFamily,
        SurvivorKind::Illness => Reason::IllnessFamily,
    }
}

/// 伤残: every grade is a key contact; 1 to 4 need heavy care.
fn disability(person: &Person, found: &mut Findings<'_>) {
    let grade = &person.military_disability_grade;
    if let Some(since) = grade.fulfils(|grade| *grade <= person.heavy_care_grade) {
        found.tier(Tier::Key, since, Reason::HeavyCare);
        found.tag(Tag::MilitaryHeavyCare, since, Reason::HeavyCare);
        found.caution(Caution::ReferAidDevice, Reason::HeavyCare);
    }
    if let Some(since) = grade.known() {
        found.tag(Tag::MilitaryKeyContact, since, Reason::DisabledServiceMember);
    }
    if grade.fulfils(|grade| *grade <= NURSING_GRADE_MAX).is_some()
        && let Some(nature) = person.military_disability_nature.value
    {
        let reason = match nature {
            MilitaryDisabilityNature::War | MilitaryDisabilityNature::Duty => Reason::NursingWarOrDuty,
            MilitaryDisabilityNature::Illness => Reason::NursingIllness,
        };
        found.caution(Caution::ReferNursingAllowance, reason);
    }
}

/// 参战参试, 功臣, 带病回乡 and the aged need key attention; others are greeted and may be invited to volunteer.
fn attention_to_veterans(person: &Person, veteran: Option<Date>, found: &mut Findings<'_>) {
    let mut general = person.military_hardship.is(true).is_none();
    for (fact, reason) in [
        (person.war_or_test_veteran.is(true), Reason::WarOrTest),
        (person.merit_veteran.is(true), Reason::Merit),
        (person.aged(person.key_age_years), Reason::AgedVeteran),
        (person.returned_ill.is(true), Reason::ReturnedIll),
    ] {
        if let Some(since) = all_of([veteran, fact]) {
            key(found, since, reason);
            general = false;
        }
    }
    if let Some(birthday) = person.will_be(person.key_age_years) {
        found.expires(birthday);
    }
    if general && person.military_disability_grade.known().is_none() {
        found.caution(Caution::InviteVolunteer, Reason::Veteran);
    }
}

/// 烈属 are key contacts; a martyr's minor children and unsupported parents have a liaison person. What the standards
/// select by stays until staff confirm an exit, also where the membership itself is no longer found.
fn attention_to_survivors(person: &Person, found: &mut Findings<'_>) {
    let martyr = person.survivor_kind.is(SurvivorKind::Martyr);
    if let Some(since) = martyr {
        found.tag(Tag::MilitaryKeyContact, since, Reason::MartyrFamily);
    }
    let child = person.survivor_relation.is(SurvivorRelation::Child);
    let parent = person.survivor_relation.is(SurvivorRelation::Parent);
    for (since, reason) in [
        (all_of([martyr, child, person.minor()]), Reason::MinorChildOfMartyr),
        (all_of([martyr, parent, person.without_supporter.is(true)]), Reason::UnsupportedParentOfMartyr),
    ] {
        if let Some(since) = since {
            key(found, since, reason);
            found.tag(Tag::LiaisonPerson, since, reason);
            found.caution(Caution::NameLiaison, reason);
        }
    }
    if person.minor().is_some() {
        found.caution(Caution::WithGuardian, Reason::Minor);
    }
    if let Some(birthday) = person.will_be(MAJORITY_YEARS) {
        found.expires(birthday);
    }
}

/// What matters in each of the groups.
fn circumstances(person: &Person, found: &mut Findings<'_>) {
    if let Some(since) = person.military_hardship.is(true) {
        key(found, since, Reason::Hardship);
        found.caution(Caution::ReferServiceStation, Reason::Hardship);
    }
    if person.honour_plaque_damaged.is(true).is_some() {
        found.caution(Caution::Plaque, Reason::PlaqueDamaged);
    }
    if let Some(since) = person.hearing_impaired.is(true) {
        found.tag(Tag::Hearing, since, Reason::HearingImpaired);
        found.caution(Caution::TextFirst, Reason::HearingImpaired);
    }
}

/// Key attention, with the contacts that come with it.
fn key(found: &mut Findings<'_>, since: Date, reason: Reason) {
    found.tier(Tier::Key, since, reason);
    found.tag(Tag::MilitaryKeyContact, since, reason);
}

export_plugin!(Military);

#[cfg(test)]
mod tests {
    use super::Military;
    use linli_plugin_sdk::testing;

    const SCENARIOS: &str = include_str!("../scenarios.txt");

    #[test]
    fn rules_agree_with_the_scenarios() {
        testing::check::<Military>(SCENARIOS);
    }

    #[test]
    fn every_declared_code_occurs_in_a_scenario() {
        assert_eq!(testing::unused::<Military>(SCENARIOS), Vec::<String>::new());
    }
}
