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
    /// The birthday on which the person will have this age, if it is still ahead.
    fn will_be(&self, years: i64) -> Option<Date> {
        self.birth_date.value.map(|birth| birth.plus_years(years)).filter(|birthday| *birthday > self.today)
    }

    /// From when on the person is known to be under 18.
    fn minor(&self) -> Option<Date> {
        self.will_be(MAJORITY_YEARS).map(|_| self.birth_date.since)
    }

    /// From when on somebody is a survivor, and of whom; siblings only under 18 or if they were supported.
    fn survivor(&self) -> Cause {
        let since = self.survivor_kind.known();
        let reason = match self.survivor_kind.value {
            Some(SurvivorKind::Martyr) | None => Reason::MartyrFamily,
            Some(SurvivorKind::Duty) => Reason::DutyFamily,
            Some(SurvivorKind::Illness) => Reason::IllnessFamily,
        };
        match self.survivor_relation.value {
            Some(SurvivorRelation::Sibling) => {
                let sibling = self.survivor_relation.known();
                let entitled = self.supported_by_deceased.is(true).or(self.minor());
                (all_of([since, sibling, entitled]), reason)
            }
            Some(SurvivorRelation::Parent | SurvivorRelation::Spouse | SurvivorRelation::Child) | None => {
                (since, reason)
            }
        }
    }
}

/// From when on something holds, if it does, and the reason to give.
type Cause = (Option<Date>, Reason);

struct Military;

impl Rules for Military {
    type Facts = Person;

    fn assess(person: &Person, found: &mut Findings<'_>) {
        let (disabled, veteran) = (person.military_disability_grade.known(), person.veteran.is(true));
        let bereaved = person.survivor_kind.known();
        if disabled.is_none() && veteran.is_none() && bereaved.is_none() {
            return;
        }
        let as_disabled = (disabled, Reason::DisabledServiceMember);
        let as_veteran = (veteran, Reason::Veteran);
        let as_survivor = person.survivor();
        member(found, Group::DisabledServiceMember, as_disabled);
        member(found, Group::Veteran, as_veteran);
        member(found, Group::Survivor, as_survivor);

        // Everything that is said follows in the order of the manifest.
        let groups = [as_disabled, as_veteran, as_survivor];
        let heavy = person.military_disability_grade.fulfils(|grade| *grade <= person.heavy_care_grade);
        let heavy = [(heavy, Reason::HeavyCare)];
        let merits = merits(person, veteran, found);
        let martyr = person.survivor_kind.is(SurvivorKind::Martyr);
        let minor = bereaved.and_then(|_| minor(person, found));
        let liaison = liaison(person, martyr, minor);
        let hardship = [(person.military_hardship.is(true), Reason::Hardship)];
        let hearing = [(person.hearing_impaired.is(true), Reason::HearingImpaired)];

        tiers(found, Tier::General, groups);
        tiers(found, Tier::Key, heavy);
        tiers(found, Tier::Key, merits);
        tiers(found, Tier::Key, liaison);
        tiers(found, Tier::Key, hardship);

        tags(found, Tag::MilitaryHeavyCare, heavy);
        tags(found, Tag::MilitaryKeyContact, [as_disabled, (martyr, Reason::MartyrFamily)]);
        tags(found, Tag::MilitaryKeyContact, merits);
        tags(found, Tag::MilitaryKeyContact, liaison);
        tags(found, Tag::MilitaryKeyContact, hardship);
        tags(found, Tag::LiaisonPerson, liaison);
        tags(found, Tag::Hearing, hearing);

        mind(found, Caution::NoServiceDetails, groups);
        mind(found, Caution::MindTheLoss, [as_survivor]);
        mind(found, Caution::ReferAidDevice, heavy);
        mind(found, Caution::ReferNursingAllowance, [nursing(person)]);
        // Others than those with a claim on attention are greeted and may be invited to volunteer.
        let claims = merits.iter().chain(&hardship).chain(&[as_disabled]).any(|(since, _)| since.is_some());
        mind(found, Caution::InviteVolunteer, [(veteran.filter(|_| !claims), Reason::Veteran)]);
        mind(found, Caution::NameLiaison, liaison);
        mind(found, Caution::WithGuardian, [(minor, Reason::Minor)]);
        mind(found, Caution::ReferServiceStation, hardship);
        mind(found, Caution::Plaque, [(person.honour_plaque_damaged.is(true), Reason::PlaqueDamaged)]);
        mind(found, Caution::TextFirst, hearing);
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

/// 参战参试, 功臣, 带病回乡 and the aged need key attention. Says when a veteran will be aged.
fn merits(person: &Person, veteran: Option<Date>, found: &mut Findings<'_>) -> [Cause; 4] {
    let birthday = veteran.and(person.birth_date.value).map(|birth| birth.plus_years(person.key_age_years));
    let (aged, ahead) = match birthday {
        Some(birthday) if birthday <= person.today => (Some(birthday.max(person.birth_date.since)), None),
        later => (None, later),
    };
    if let Some(birthday) = ahead {
        found.expires(birthday);
    }
    [
        (person.war_or_test_veteran.is(true), Reason::WarOrTest),
        (person.merit_veteran.is(true), Reason::Merit),
        (aged, Reason::AgedVeteran),
        (person.returned_ill.is(true), Reason::ReturnedIll),
    ]
    .map(|(since, reason)| (all_of([veteran, since]), reason))
}

/// From when on a survivor is known to be under 18; says when that ends.
fn minor(person: &Person, found: &mut Findings<'_>) -> Option<Date> {
    found.expires(person.will_be(MAJORITY_YEARS)?);
    Some(person.birth_date.since)
}

/// A martyr's minor children and unsupported parents have a liaison person. What the standards select by stays until staff
/// confirm an exit, also where the membership itself is no longer found.
fn liaison(person: &Person, martyr: Option<Date>, minor: Option<Date>) -> [Cause; 2] {
    let child = person.survivor_relation.is(SurvivorRelation::Child);
    let parent = person.survivor_relation.is(SurvivorRelation::Parent);
    [
        (all_of([martyr, child, minor]), Reason::MinorChildOfMartyr),
        (all_of([martyr, parent, person.without_supporter.is(true)]), Reason::UnsupportedParentOfMartyr),
    ]
}

/// 伤残 1 to 4 may have a nursing allowance, which depends on how they came by it.
fn nursing(person: &Person) -> Cause {
    let since = person.military_disability_grade.fulfils(|grade| *grade <= NURSING_GRADE_MAX);
    let nature = person.military_disability_nature.known();
    let reason = match person.military_disability_nature.value {
        Some(MilitaryDisabilityNature::Illness) => Reason::NursingIllness,
        Some(MilitaryDisabilityNature::War | MilitaryDisabilityNature::Duty) | None => {
            Reason::NursingWarOrDuty
        }
    };
    (all_of([since, nature]), reason)
}

fn member(found: &mut Findings<'_>, group: Group, (since, reason): Cause) {
    if let Some(since) = since {
        found.member(group, since, reason);
    }
}

fn tiers<const N: usize>(found: &mut Findings<'_>, tier: Tier, causes: [Cause; N]) {
    for (since, reason) in causes {
        if let Some(since) = since {
            found.tier(tier, since, reason);
        }
    }
}

fn tags<const N: usize>(found: &mut Findings<'_>, tag: Tag, causes: [Cause; N]) {
    for (since, reason) in causes {
        if let Some(since) = since {
            found.tag(tag, since, reason);
        }
    }
}

fn mind<const N: usize>(found: &mut Findings<'_>, caution: Caution, causes: [Cause; N]) {
    for (since, reason) in causes {
        if since.is_some() {
            found.caution(caution, reason);
        }
    }
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
