//! Rules for people with disabilities: kind and grade, how to reach somebody, who needs help on the way out.
//!
//! `plugin.toml` holds every class, number and source; this file decides which of them apply. `scenarios.txt` is the
//! table of cases that this crate, the host and the suite run.
//!
//! Grades run from 1, the most severe, to 4. Severe is grade 1 or 2; under 18 also grade 3 or 4 of intellect or mind. A
//! certificate counts on its last day; afterwards the rules no longer find the membership, which staff then confirm. What
//! selects standards stays until then, because the disability has not gone. How to reach somebody follows from the kind or
//! from what the survey found; it is said of people with a recorded disability only.

use linli_plugin_sdk::{Date, Fact, Facts, Findings, Issues, Rules, Tier, all_of, any_of, export_plugin};

linli_plugin_sdk::manifest!();
use manifest::{Caution, DisabilityCategory as Kind, Field, Group, Reason, Tag};

/// Mildest grade of a severe disability.
const SEVERE_GRADE: i64 = 2;
/// Age from which the rules of child welfare no longer hold, in years.
const ADULT_YEARS: i64 = 18;

/// Everything that the rules read.
#[derive(Facts)]
struct Person {
    today: Date,
    birth_date: Fact<Date>,
    disability_category: Fact<Kind>,
    disability_grade: Fact<i64>,
    disability_certificate_until: Fact<Date>,
    severely_disabled: Fact<bool>,
    lives_alone: Fact<bool>,
    mobility_limited: Fact<bool>,
    hearing_impaired: Fact<bool>,
    sight_impaired: Fact<bool>,
    guardian_contact: Fact<bool>,
    service_dog: Fact<bool>,
    key_grade: i64,
    renewal_notice_days: i64,
}

impl Person {
    /// From when on the grade is known to be this one or a more severe one.
    fn graded(&self, mildest: i64) -> Option<Date> {
        self.disability_grade.fulfils(|grade| *grade <= mildest)
    }

    /// From when on the kind is known to be this one.
    fn kind(&self, kind: Kind) -> Option<Date> {
        self.disability_category.is(kind)
    }

    /// From when on this is a child with a disability of intellect or mind of a milder grade.
    fn severe_child(&self) -> Option<Date> {
        let mild = self.disability_grade.fulfils(|grade| *grade > SEVERE_GRADE);
        let kind = any_of([self.kind(Kind::Intellectual), self.kind(Kind::Mental)]);
        let severe_under_18 = all_of([mild, kind])?;
        let minor = self.birth_date.fulfils(|birth| birth.plus_years(ADULT_YEARS) > self.today)?;
        Some(severe_under_18.max(minor))
    }

    /// From when on somebody is a member, and why.
    fn membership(&self) -> Option<(Date, Reason)> {
        let (kind, grade) = (self.disability_category.known(), self.disability_grade.known());
        let severe = self.severely_disabled.is(true);
        let since = any_of([kind, grade, severe])?;
        let reason = match (kind, grade) {
            (Some(_), Some(_)) => Reason::KindAndGrade,
            (Some(_), None) => Reason::KindKnown,
            (None, Some(_)) => Reason::GradeKnown,
            (None, None) => Reason::SevereBySurvey,
        };
        Some((since, reason))
    }
}

struct Disability;

impl Rules for Disability {
    type Facts = Person;

    fn assess(person: &Person, found: &mut Findings<'_>) {
        let Some((since, reason)) = person.membership() else { return };
        let renewal = renewal(person, found);
        if renewal != Some(Reason::CertificateEnded) {
            found.member(Group::Disabled, since, reason);
        }
        let (key, severe) = severity(person, found, since);
        let ways = Ways::of(person, severe);

        found.tier(Tier::General, since, Reason::Disabled);
        for (since, reason) in key {
            if let Some(since) = since {
                found.tier(Tier::Key, since, reason);
            }
        }
        tag(found, Tag::DisabilityKey, key);
        tag(found, Tag::SevereDisability, severe);
        tag(found, Tag::Hearing, ways.hearing);
        tag(found, Tag::Sight, ways.sight);
        tag(found, Tag::GuardianContact, ways.guardian);
        tag(found, Tag::Mobility, ways.mobility);
        tag(found, Tag::Escort, ways.escort);
        tag(found, Tag::EvacuationHelper, ways.evacuation);

        if let Some(reason) = renewal {
            found.caution(Caution::RenewCertificate, reason);
        }
        let [by_grade, _] = severe;
        mind(found, Caution::CareSubsidy, [by_grade]);
        mind(found, Caution::TextFirst, ways.hearing);
        mind(found, Caution::SpeakFirst, ways.sight);
        mind(found, Caution::GuardianFirst, ways.guardian);
        mind(found, Caution::GiveTime, ways.mobility);
        mind(found, Caution::Crisis, [(person.kind(Kind::Mental), Reason::KindMental)]);
        mind(found, Caution::AdmitServiceDog, [(person.service_dog.is(true), Reason::ServiceDog)]);
        mind(found, Caution::Escort, ways.escort);
        mind(found, Caution::EvacuateFirst, ways.evacuation);
    }

    fn validate(person: &Person, found: &mut Issues<'_>) {
        if person.birth_date.value.is_some_and(|date| date > person.today) {
            found.issue(Field::BirthDate, Reason::DateInFuture);
        }
        match (person.disability_category.value, person.disability_grade.value) {
            (Some(_), None) => found.issue(Field::DisabilityGrade, Reason::KindWithoutGrade),
            (None, Some(_)) => found.issue(Field::DisabilityCategory, Reason::GradeWithoutKind),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if let (Some(severe), Some(grade)) = (person.severely_disabled.value, person.disability_grade.value)
            && severe != (grade <= SEVERE_GRADE)
        {
            found.issue(Field::SeverelyDisabled, Reason::SevereContradictsGrade);
        }
    }
}

/// Why to speak of the certificate, if there is one and its end has come or is near; says when that changes.
fn renewal(person: &Person, found: &mut Findings<'_>) -> Option<Reason> {
    let last_day = person.disability_certificate_until.value?;
    if last_day < person.today {
        return Some(Reason::CertificateEnded);
    }
    found.expires(last_day.plus_days(1));
    let notice = last_day.plus_days(-person.renewal_notice_days);
    if notice > person.today {
        found.expires(notice);
        return None;
    }
    Some(Reason::CertificateEnds)
}

/// From when on something holds, if it does, and the reason to give.
type Cause = (Option<Date>, Reason);

/// What asks for key attention, and what is severe: by grade or survey, or as a child. Says when a child comes of age.
fn severity(person: &Person, found: &mut Findings<'_>, since: Date) -> ([Cause; 4], [Cause; 2]) {
    let severe = any_of([person.graded(SEVERE_GRADE), person.severely_disabled.is(true)]);
    let child = person.severe_child();
    if let (Some(_), Some(birth)) = (child, person.birth_date.value) {
        found.expires(birth.plus_years(ADULT_YEARS));
    }
    // What the site adds beyond severe grades.
    let added = if severe.is_none() { person.graded(person.key_grade) } else { None };
    let alone = all_of([Some(since), person.lives_alone.is(true)]);
    let severe = [(severe, Reason::Severe), (child, Reason::SevereChild)];
    let [by_grade, as_child] = severe;
    ([by_grade, as_child, (added, Reason::KeyGrade), (alone, Reason::LivesAlone)], severe)
}

/// How to reach somebody, and who is helped on the way: each with what asks for it, in the order of the manifest.
struct Ways {
    /// Written, not by telephone.
    hearing: [Cause; 3],
    /// Spoken.
    sight: [Cause; 2],
    /// By the guardian.
    guardian: [Cause; 3],
    /// With time and a hand.
    mobility: [Cause; 3],
    /// Escorted.
    escort: [Cause; 5],
    /// Gets a named helper in an evacuation: those too who would not hear or see an alarm.
    evacuation: [Cause; 10],
}

impl Ways {
    fn of(person: &Person, [severe, _]: [Cause; 2]) -> Self {
        let kind = |kind, reason| (person.kind(kind), reason);
        let severe_of = |kind, reason| (all_of([person.kind(kind), person.graded(SEVERE_GRADE)]), reason);
        let (no_sight, no_hearing) =
            (kind(Kind::Sight, Reason::KindSight), kind(Kind::Hearing, Reason::KindHearing));
        let intellectual = kind(Kind::Intellectual, Reason::KindIntellectual);
        let mental = kind(Kind::Mental, Reason::KindMental);
        let limb = severe_of(Kind::Limb, Reason::SevereLimb);
        let blind = severe_of(Kind::Sight, Reason::SevereSight);
        let limited = (person.mobility_limited.is(true), Reason::MobilityLimited);
        let hearing = (person.hearing_impaired.is(true), Reason::HearingImpaired);
        let sight = (person.sight_impaired.is(true), Reason::SightImpaired);
        let guardian = (person.guardian_contact.is(true), Reason::GuardianContact);
        Self {
            hearing: [no_hearing, kind(Kind::Speech, Reason::KindSpeech), hearing],
            sight: [no_sight, sight],
            guardian: [intellectual, mental, guardian],
            mobility: [limb, blind, limited],
            escort: [intellectual, mental, limb, blind, limited],
            evacuation: [
                severe,
                no_sight,
                no_hearing,
                intellectual,
                mental,
                limb,
                blind,
                limited,
                hearing,
                sight,
            ],
        }
    }
}

fn tag<const N: usize>(found: &mut Findings<'_>, tag: Tag, causes: [Cause; N]) {
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

export_plugin!(Disability);

#[cfg(test)]
mod tests {
    use super::Disability;
    use linli_plugin_sdk::testing;

    const SCENARIOS: &str = include_str!("../scenarios.txt");

    #[test]
    fn rules_agree_with_the_scenarios() {
        testing::check::<Disability>(SCENARIOS);
    }

    #[test]
    fn every_declared_code_occurs_in_a_scenario() {
        assert_eq!(testing::unused::<Disability>(SCENARIOS), Vec::<String>::new());
    }
}
