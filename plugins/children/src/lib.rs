//! Rules for children in difficulty, left behind or on the move.
//!
//! `plugin.toml` holds every class, number and source; this file decides which of them apply. `parents.rs` reads the
//! parents' situations. `scenarios.txt` is the table of cases that this crate, the host and the suite run.
//!
//! Ages are reached *on* the birthday. The classes end at 18, being left behind or on the move at 16, and the membership
//! says so in advance. Without a birth date the rules decide nothing; of age, nobody is a child whatever the facts.

mod parents;

use linli_plugin_sdk::{
    Basis, Date, Fact, Facts, Findings, Issues, Membership, Rules, Tier, all_of, any_of, export_plugin,
};

linli_plugin_sdk::manifest!();
use manifest::{
    Caution, ChildRisk, DisabilityCategory, FatherSituation, Field, Group, MotherSituation, Reason, Tag,
};

/// Age from which nobody is a child, in years (未成年人保护法 2).
const ADULT_YEARS: i64 = 18;
/// Age from which nobody is left behind or on the move, and somebody may live alone (未成年人保护法 21).
const YOUTH_YEARS: i64 = 16;
/// Age from which somebody consents to the use of their data (个人信息保护法 31).
const CONSENT_YEARS: i64 = 14;
/// Age from which a child may be without somebody looking after (未成年人保护法 21).
const ATTENDED_YEARS: i64 = 8;
/// Mildest grade of a severe disability of any kind.
const SEVERE_GRADE: i64 = 2;

/// Everything that the rules read.
#[derive(Facts)]
struct Child {
    today: Date,
    birth_date: Fact<Date>,
    orphan: Fact<bool>,
    father_situation: Fact<FatherSituation>,
    mother_situation: Fact<MotherSituation>,
    family_in_poverty: Fact<bool>,
    guardianship_failing: Fact<bool>,
    state_guardianship: Fact<bool>,
    other_difficulty: Fact<bool>,
    disability_category: Fact<DisabilityCategory>,
    disability_grade: Fact<i64>,
    severely_disabled: Fact<bool>,
    lives_alone: Fact<bool>,
    left_registered_county_on: Fact<Date>,
    child_risk: Fact<ChildRisk>,
    needs_special_care: Fact<bool>,
    left_unattended: Fact<bool>,
    count_left_behind_and_migrant: bool,
    migrant_months: i64,
}

/// A class that somebody belongs to, from when on, and why.
type Class = (Option<Date>, Reason);

impl Child {
    /// The birthday of this age.
    fn birthday(&self, years: i64) -> Option<Date> {
        self.birth_date.value.map(|birth| birth.plus_years(years))
    }

    /// The classes of 国发〔2016〕36号, the weightiest first.
    fn difficulties(&self) -> [Class; 8] {
        [
            (any_of([self.orphan.is(true), parents::both_dead(self)]), Reason::Orphan),
            (parents::without_support(self), Reason::WithoutSupport),
            (self.state_guardianship.is(true), Reason::StateGuardianship),
            (self.guardianship_failing.is(true), Reason::Guardianship),
            (self.severe_disability(), Reason::SevereDisability),
            (self.disability_category.known(), Reason::OwnDisability),
            (self.family_in_poverty.is(true), Reason::Poverty),
            (self.other_difficulty.is(true), Reason::OtherDifficulty),
        ]
    }

    fn severe_disability(&self) -> Option<Date> {
        let of_the_mind = any_of([
            self.disability_category.is(DisabilityCategory::Intellectual),
            self.disability_category.is(DisabilityCategory::Mental),
        ]);
        any_of([
            self.disability_grade.fulfils(|grade| *grade <= SEVERE_GRADE),
            self.severely_disabled.is(true),
            all_of([of_the_mind, self.disability_grade.known()]),
        ])
    }

    /// What the law forbids guardians, as far as it was found.
    fn breaches(&self, ages: &Ages) -> [Class; 2] {
        let to_be_attended = any_of([ages.attended, all_of([ages.minor, self.needs_special_care.is(true)])]);
        [
            (all_of([to_be_attended, self.left_unattended.is(true)]), Reason::Unattended),
            (all_of([ages.youth, self.lives_alone.is(true)]), Reason::Under16Alone),
        ]
    }

    /// Being left behind and being on the move, where the site cares for them.
    fn youths(&self, ages: &Ages) -> [Class; 2] {
        let counts = ages.youth.filter(|_| self.count_left_behind_and_migrant);
        let moved = self.migrant_from().filter(|from| *from <= self.today);
        let migrant = moved.map(|from| from.max(self.left_registered_county_on.since));
        [
            (all_of([counts, parents::left_behind(self)]), Reason::LeftBehind),
            (all_of([counts, migrant]), Reason::Migrant),
        ]
    }

    /// The day on which the months in another county are full; they run from the birth at the earliest.
    fn migrant_from(&self) -> Option<Date> {
        let left = self.left_registered_county_on.value?.max(self.birth_date.value?);
        Some(left.plus_months(self.migrant_months))
    }

    /// The risk by colour; a green one alone brings nobody into care.
    fn risk(&self) -> Option<(ChildRisk, Class)> {
        let colour = self.child_risk.value?;
        let reason = match colour {
            ChildRisk::Red => Reason::RiskRed,
            ChildRisk::Yellow => Reason::RiskYellow,
            ChildRisk::Blue => Reason::RiskBlue,
            ChildRisk::Green => Reason::RiskGreen,
        };
        Some((colour, (self.child_risk.known(), reason)))
    }
}

/// From when on the child is known to be below each age of the law; `None` if it is not.
struct Ages {
    minor: Option<Date>,
    youth: Option<Date>,
    consent: Option<Date>,
    attended: Option<Date>,
}

impl Ages {
    /// By the birthdays on which the child is 8, 14, 16 and 18.
    fn of(child: &Child, [attended, consent, youth, adult]: [Date; 4]) -> Self {
        let below = |birthday: Date| (birthday > child.today).then_some(child.birth_date.since);
        Self { minor: below(adult), youth: below(youth), consent: below(consent), attended: below(attended) }
    }
}

/// Everything that is said of a child, found once.
struct Situation {
    ages: Ages,
    difficulties: [Class; 8],
    breaches: [Class; 2],
    youths: [Class; 2],
    risk: Option<(ChildRisk, Class)>,
}

struct Children;

impl Rules for Children {
    type Facts = Child;

    fn assess(child: &Child, found: &mut Findings<'_>) {
        let born = child.birth_date.value.filter(|birth| *birth <= child.today);
        let adult = child.birthday(ADULT_YEARS).filter(|birthday| *birthday > child.today);
        let (Some(birth), Some(_)) = (born, adult) else { return };
        let birthdays = birth.birthdays([ATTENDED_YEARS, CONSENT_YEARS, YOUTH_YEARS, ADULT_YEARS]);
        for birthday in birthdays.into_iter().filter(|birthday| *birthday > child.today) {
            found.expires(birthday);
        }
        if let Some(day) = child.migrant_from().filter(|day| *day > child.today) {
            found.expires(day);
        }
        let ages = Ages::of(child, birthdays);
        let situation = Situation {
            difficulties: child.difficulties(),
            breaches: child.breaches(&ages),
            youths: child.youths(&ages),
            risk: child.risk(),
            ages,
        };
        let minor = child.birth_date.since;
        if member(child, &situation, found, minor) {
            attention(&situation, found, minor);
            manners(child, &situation, found);
        }
    }

    fn validate(child: &Child, found: &mut Issues<'_>) {
        if child.birth_date.value.is_some_and(|birth| birth > child.today) {
            found.issue(Field::BirthDate, Reason::DateInFuture);
        }
        if let Some(left) = child.left_registered_county_on.value {
            if left > child.today {
                found.issue(Field::LeftRegisteredCountyOn, Reason::DateInFuture);
            } else if child.birth_date.value.is_some_and(|birth| left < birth) {
                found.issue(Field::LeftRegisteredCountyOn, Reason::BeforeBirth);
            }
        }
        if child.orphan.value == Some(true) && parents::one_is_there(child) {
            found.issue(Field::Orphan, Reason::OrphanContradictsParents);
        }
    }
}

/// Whether somebody is a member; the weightiest class is the reason, and the end is known in advance.
fn member(child: &Child, situation: &Situation, found: &mut Findings<'_>, minor: Date) -> bool {
    let Situation { difficulties, breaches, youths, risk, .. } = situation;
    let risk = risk.filter(|(colour, _)| *colour != ChildRisk::Green).map(|(_, class)| class);
    let lasting = difficulties.iter().chain(breaches).chain(&risk).map(|class| (class, ADULT_YEARS));
    let all = lasting
        .chain(youths.iter().map(|class| (class, YOUTH_YEARS)))
        .filter_map(|((since, reason), years)| Some(((*since)?.max(minor), *reason, years)));
    let weightiest = all.reduce(|(since, reason, years), (other, _, other_years)| {
        (since.min(other), reason, years.max(other_years))
    });
    let Some((since, reason, years)) = weightiest else { return false };
    let until = child.birthday(years);
    found.membership(Membership {
        group: Group::ChildInDifficulty,
        basis: Basis::Rule,
        since,
        until,
        reason,
    });
    found.tier(Tier::General, since, Reason::Child);
    true
}

/// Tiers and the tags that standards select by: every reason is given, the highest tier counts.
fn attention(situation: &Situation, found: &mut Findings<'_>, minor: Date) {
    let as_minor = |(since, reason): Class| (since.map(|since| since.max(minor)), reason);
    let difficulties = situation.difficulties.map(as_minor);
    let risk = situation.risk.map(|(colour, class)| (colour, as_minor(class)));
    let risk_of = |wanted| risk.filter(|(colour, _)| *colour == wanted).map(|(_, class)| class);

    tiers(found, Tier::Key, difficulties);
    tiers(found, Tier::Key, risk_of(ChildRisk::Yellow));
    tiers(found, Tier::High, situation.breaches);
    tiers(found, Tier::High, risk_of(ChildRisk::Red));

    tags(found, Tag::ChildDifficulty, difficulties);
    tags(found, Tag::GuardianBreach, situation.breaches);
    if let Some((colour, class)) = risk {
        let tag = match colour {
            ChildRisk::Red => Tag::ChildRiskRed,
            ChildRisk::Yellow => Tag::ChildRiskYellow,
            ChildRisk::Blue => Tag::ChildRiskBlue,
            ChildRisk::Green => Tag::ChildRiskGreen,
        };
        tags(found, tag, [class]);
    }
    let [left_behind, migrant] = situation.youths;
    tags(found, Tag::ChildLeftBehind, [left_behind]);
    tags(found, Tag::ChildMigrant, [migrant]);
}

/// What staff must and must not do.
fn manners(child: &Child, situation: &Situation, found: &mut Findings<'_>) {
    let [(orphan, _), (without_support, _), ..] = situation.difficulties;
    let [(unattended, _), (alone, _)] = situation.breaches;
    let [(left_behind, _), _] = situation.youths;
    let Ages { minor, consent, attended, .. } = situation.ages;
    for (applies, caution, reason) in [
        (minor, Caution::NeverAlone, Reason::Minor),
        (minor, Caution::ReportAtOnce, Reason::Minor),
        (consent, Caution::GuardianConsent, Reason::Under14),
        (minor, Caution::FileAccess, Reason::Minor),
        (attended, Caution::NeverUnattended, Reason::Under8),
        (child.needs_special_care.is(true), Caution::NeverUnattended, Reason::SpecialCare),
        (unattended, Caution::StayAndCall, Reason::Unattended),
        (alone, Caution::TellCommittee, Reason::Under16Alone),
        (left_behind, Caution::NoteCarer, Reason::LeftBehind),
        (orphan, Caution::Tactful, Reason::Orphan),
        (without_support, Caution::Tactful, Reason::WithoutSupport),
    ] {
        if applies.is_some() {
            found.caution(caution, reason);
        }
    }
}

fn tiers(found: &mut Findings<'_>, tier: Tier, classes: impl IntoIterator<Item = Class>) {
    for (since, reason) in classes {
        if let Some(since) = since {
            found.tier(tier, since, reason);
        }
    }
}

fn tags(found: &mut Findings<'_>, tag: Tag, classes: impl IntoIterator<Item = Class>) {
    for (since, reason) in classes {
        if let Some(since) = since {
            found.tag(tag, since, reason);
        }
    }
}

export_plugin!(Children);

#[cfg(test)]
mod tests {
    use super::Children;
    use linli_plugin_sdk::testing;

    const SCENARIOS: &str = include_str!("../scenarios.txt");

    #[test]
    fn rules_agree_with_the_scenarios() {
        testing::check::<Children>(SCENARIOS);
    }

    #[test]
    fn every_declared_code_occurs_in_a_scenario() {
        assert_eq!(testing::unused::<Children>(SCENARIOS), Vec::<String>::new());
    }
}
