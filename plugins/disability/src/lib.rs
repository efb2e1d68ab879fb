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
        let minor = self.birth_date.fulfils(|birth| birth.plus_years(ADULT_YEARS) > self.today);
        all_of([mild, kind, minor])
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
        if certificate_counts(person, found) {
            found.member(Group::Disabled, since, reason);
        }
        attention(person, found, since);
        ways_of_contact(person, found);
        ways_out(person, found);
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

/// Whether the certificate, if there is one, has not run out; says when that changes.
fn certificate_counts(person: &Person, found: &mut Findings<'_>) -> bool {
    let Some(last_day) = person.disability_certificate_until.value else { return true };
    if last_day < person.today {
        found.caution(Caution::RenewCertificate, Reason::CertificateEnded);
        return false;
    }
    found.expires(last_day.plus_days(1));
    let notice = last_day.plus_days(-person.renewal_notice_days);
    if notice > person.today {
        found.expires(notice);
    } else {
        found.caution(Caution::RenewCertificate, Reason::CertificateEnds);
    }
    true
}

/// Tiers and the tags of severity: every reason is given, the highest tier counts.
fn attention(person: &Person, found: &mut Findings<'_>, since: Date) {
    found.tier(Tier::General, since, Reason::Disabled);
    let severe = any_of([person.graded(SEVERE_GRADE), person.severely_disabled.is(true)]);
    let child = person.severe_child();
    if let (Some(_), Some(birth)) = (child, person.birth_date.value) {
        found.expires(birth.plus_years(ADULT_YEARS));
    }
    // What the site adds beyond severe grades.
    let added = if severe.is_none() { person.graded(person.key_grade) } else { None };
    let alone = all_of([Some(since), person.lives_alone.is(true)]);
    for (since, reason) in [
        (severe, Reason::Severe),
        (child, Reason::SevereChild),
        (added, Reason::KeyGrade),
        (alone, Reason::LivesAlone),
    ] {
        if let Some(since) = since {
            found.tier(Tier::Key, since, reason);
        }
        tag(found, Tag::DisabilityKey, since, reason);
    }
    tag(found, Tag::SevereDisability, severe, Reason::Severe);
    tag(found, Tag::SevereDisability, child, Reason::SevereChild);
    if severe.is_some() {
        found.caution(Caution::CareSubsidy, Reason::Severe);
    }
}

/// Tags that change what counts as a contact, with the caution that says so.
fn ways_of_contact(person: &Person, found: &mut Findings<'_>) {
    for (since, way, caution, reason) in [
        (person.kind(Kind::Hearing), Tag::Hearing, Caution::TextFirst, Reason::KindHearing),
        (person.kind(Kind::Speech), Tag::Hearing, Caution::TextFirst, Reason::KindSpeech),
        (person.hearing_impaired.is(true), Tag::Hearing, Caution::TextFirst, Reason::HearingImpaired),
        (person.kind(Kind::Sight), Tag::Sight, Caution::SpeakFirst, Reason::KindSight),
        (person.sight_impaired.is(true), Tag::Sight, Caution::SpeakFirst, Reason::SightImpaired),
        (
            person.kind(Kind::Intellectual),
            Tag::GuardianContact,
            Caution::GuardianFirst,
            Reason::KindIntellectual,
        ),
        (person.kind(Kind::Mental), Tag::GuardianContact, Caution::GuardianFirst, Reason::KindMental),
        (
            person.guardian_contact.is(true),
            Tag::GuardianContact,
            Caution::GuardianFirst,
            Reason::GuardianContact,
        ),
        (severe_of(person, Kind::Limb), Tag::Mobility, Caution::GiveTime, Reason::SevereLimb),
        (severe_of(person, Kind::Sight), Tag::Mobility, Caution::GiveTime, Reason::SevereSight),
        (person.mobility_limited.is(true), Tag::Mobility, Caution::GiveTime, Reason::MobilityLimited),
    ] {
        mark(found, way, caution, since, reason);
    }
    if person.kind(Kind::Mental).is_some() {
        found.caution(Caution::Crisis, Reason::KindMental);
    }
    if person.service_dog.is(true).is_some() {
        found.caution(Caution::AdmitServiceDog, Reason::ServiceDog);
    }
}

/// Who is escorted, and who gets a named helper in an evacuation: those too who would not hear or see an alarm.
fn ways_out(person: &Person, found: &mut Findings<'_>) {
    let severe = any_of([person.graded(SEVERE_GRADE), person.severely_disabled.is(true)]);
    let escorted = [
        (person.kind(Kind::Intellectual), Reason::KindIntellectual),
        (person.kind(Kind::Mental), Reason::KindMental),
        (severe_of(person, Kind::Limb), Reason::SevereLimb),
        (severe_of(person, Kind::Sight), Reason::SevereSight),
        (person.mobility_limited.is(true), Reason::MobilityLimited),
    ];
    let alone_in_danger = [
        (severe, Reason::Severe),
        (person.kind(Kind::Sight), Reason::KindSight),
        (person.kind(Kind::Hearing), Reason::KindHearing),
        (person.hearing_impaired.is(true), Reason::HearingImpaired),
        (person.sight_impaired.is(true), Reason::SightImpaired),
    ];
    for (since, reason) in escorted {
        mark(found, Tag::Escort, Caution::Escort, since, reason);
    }
    for (since, reason) in escorted.into_iter().chain(alone_in_danger) {
        mark(found, Tag::EvacuationHelper, Caution::EvacuateFirst, since, reason);
    }
}

/// From when on somebody has a severe disability of this kind.
fn severe_of(person: &Person, kind: Kind) -> Option<Date> {
    all_of([person.kind(kind), person.graded(SEVERE_GRADE)])
}

/// A tag, and the caution that says what it means.
fn mark(found: &mut Findings<'_>, tag: Tag, caution: Caution, since: Option<Date>, reason: Reason) {
    if let Some(since) = since {
        found.tag(tag, since, reason);
        found.caution(caution, reason);
    }
}

fn tag(found: &mut Findings<'_>, tag: Tag, since: Option<Date>, reason: Reason) {
    if let Some(since) = since {
        found.tag(tag, since, reason);
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
