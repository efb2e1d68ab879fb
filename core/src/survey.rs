//! Surveys, 信息摸排: campaigns over the dwelling register, what was found at each door, and how much of the register a
//! campaign covers (regulation, Art. 6: nobody left out, nobody counted twice).
//!
//! A dwelling is covered once somebody learned how it stands: surveyed, vacant, or refused by whoever lives there. That nobody
//! opened is an attempt and no more. Coverage is a pure function of the register and the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::id::{AnswerId, DwellingId, EventId, RecordId, ResidentId, SiteId, StaffId, SurveyId};
use crate::invalid::Invalid;
use crate::kind::{ServiceKind, closed_list};
use crate::record::Outcome;
use crate::resident::{FieldClass, Need, PersonName, Phone};
use crate::staff::Signed;
use crate::text::{Line, Paragraph};
use crate::time::{CivilDate, DateRange, Instant};

/// Largest number of people whom one answer tells of.
pub const SURVEY_PEOPLE_MAX: usize = 30;
/// Largest number of people of one household.
pub const HOUSEHOLD_MAX: u16 = 100;

closed_list! {
    /// Which dwellings a campaign goes to (regulation, Art. 6.3).
    SurveyKind {
        /// Those into which a household moved in its time.
        MoveIn = "move_in", "新入住摸排", "survey after move-ins";
        /// Those in which somebody with a care file lives.
        Review = "review", "季度复核", "quarterly review";
        /// Every one of the register.
        Full = "full", "年度全面摸排", "yearly full survey";
    }
}

impl SurveyKind {
    /// The service that an answer is recorded as: what the standards `survey.move_in`, `survey.review` and `survey.full` accept.
    pub const fn service(self) -> ServiceKind {
        match self {
            Self::MoveIn | Self::Full => ServiceKind::Survey,
            Self::Review => ServiceKind::Review,
        }
    }
}

closed_list! {
    /// How an answer was come by (regulation, Art. 6.1).
    SurveyChannel {
        /// At the door.
        HomeVisit = "home_visit", "上门走访", "home visit";
        /// By telephone.
        Phone = "phone", "电话询问", "telephone";
        /// From the neighbourhood committee and others.
        Community = "community", "社区联动", "community linkage";
        /// The household said so itself.
        SelfDeclared = "self_declared", "业主申报", "self-declaration";
    }
}

closed_list! {
    /// What was learned of a dwelling.
    SurveyOutcome {
        /// Who lives there and how.
        Surveyed = "surveyed", "已摸排", "surveyed";
        /// Nobody lives there.
        Vacant = "vacant", "空置", "vacant";
        /// Whoever lives there does not want to answer.
        Refused = "refused", "拒绝", "refused";
        /// Nothing: nobody was reached.
        NotReached = "not_reached", "未联系上", "not reached";
    }
}

impl SurveyOutcome {
    /// Whether it covers the dwelling.
    pub const fn covers(self) -> bool {
        match self {
            Self::Surveyed | Self::Vacant | Self::Refused => true,
            Self::NotReached => false,
        }
    }

    /// The same as an outcome of a service record. That a dwelling is vacant is a finding like any other.
    pub const fn of_record(self) -> Outcome {
        match self {
            Self::Surveyed | Self::Vacant => Outcome::Done,
            Self::Refused => Outcome::Declined,
            Self::NotReached => Outcome::NotReached,
        }
    }
}

closed_list! {
    /// Who needs particular attention, 重点关怀对象 (regulation, Art. 6.2).
    KeyPersonFlag {
        /// Lives alone.
        LivingAlone = "living_alone", "独居", "living alone";
        /// Cannot care for themselves.
        Disabled = "disabled", "失能", "unable to care for themselves";
        /// Is seriously ill.
        SeriouslyIll = "seriously_ill", "重病", "seriously ill";
    }
}

/// A campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: SurveyId,
    /// Which dwellings it goes to.
    pub kind: SurveyKind,
    /// What people call it.
    pub title: Line,
    /// The days on which answers may be gathered.
    pub days: DateRange,
    /// Who opened it, and when (care clock).
    pub opened: Signed,
    /// Who closed it, and when (care clock).
    pub closed: Option<Signed>,
    /// What it came to when it was closed.
    pub result: Option<Coverage>,
    /// How many answers were ever recorded.
    pub answers: u64,
    /// Counts changes, answers among them, from 1.
    pub version: u64,
}

impl Survey {
    /// Why an answer cannot have been gathered on a day.
    pub fn outside(&self, day: CivilDate) -> Option<Invalid> {
        (!self.days.contains(day)).then_some(Invalid::OutsidePeriod)
    }
}

/// What was learned of one dwelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyAnswer {
    /// The site.
    pub site: SiteId,
    /// The campaign.
    pub survey: SurveyId,
    /// The id within the campaign.
    pub id: AnswerId,
    /// The dwelling.
    pub dwelling: DwellingId,
    /// How it was come by.
    pub channel: SurveyChannel,
    /// What was learned.
    pub outcome: SurveyOutcome,
    /// How many people live there, where that is known.
    pub household: Option<u16>,
    /// Somebody looked: its people are not those of another dwelling.
    pub distinct: bool,
    /// When it was gathered.
    pub occurred_at: Instant,
    /// When it was recorded (care clock).
    pub recorded_at: Instant,
    /// Recorded after the campaign was closed: it changes nothing of what that came to.
    pub late: bool,
    /// Who gathered it.
    pub performer: StaffId,
    /// The service record that it left.
    pub record: RecordId,
    /// Who withdrew it, and when (care clock).
    pub withdrawn: Option<Signed>,
    /// Counts changes, from 1.
    pub version: u64,
}

/// Stands for a value that may not be stored in clear: equal values have equal marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub [u8; 32]);

/// What is compared of somebody whom an answer tells of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PersonMarks {
    /// Their care file.
    pub resident: Option<ResidentId>,
    /// Of name and birth date.
    pub person: Option<Mark>,
    /// Of the telephone number.
    pub phone: Option<Mark>,
}

/// Somebody whom an answer tells of: a member of a special group, or, as number 0, the household as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyedPerson {
    /// Their number within the answer.
    pub number: u16,
    /// What is compared.
    pub marks: PersonMarks,
    /// The change of their file that was reported with it.
    pub event: Option<EventId>,
    /// What was found, in words.
    pub findings: PersonFindings,
}

/// What was found of somebody (regulation, Art. 6.2). All of it is sealed, class by class.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PersonFindings {
    /// Class `contact`: the name.
    pub name: Option<PersonName>,
    /// Class `contact`: the telephone number.
    pub phone: Option<Phone>,
    /// Class `identity`: the birth date.
    pub birth_date: Option<CivilDate>,
    /// Class `family`: the family's situation.
    pub family: Option<Paragraph>,
    /// Class `health`: the physical condition.
    pub health: Option<Paragraph>,
    /// Class `health`: why they need particular attention.
    pub flags: Vec<KeyPersonFlag>,
    /// Class `status`: what they need.
    pub needs: Vec<Need>,
    /// Class `status`: special difficulties.
    pub difficulties: Option<Paragraph>,
}

impl fmt::Debug for PersonFindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonFindings(…)")
    }
}

impl PersonFindings {
    /// The classes of what may be found.
    pub const CLASSES: [FieldClass; 5] = [
        FieldClass::Contact,
        FieldClass::Identity,
        FieldClass::Health,
        FieldClass::Family,
        FieldClass::Status,
    ];

    /// What of it is of a class; `None` where nothing is.
    pub fn of_class(&self, class: FieldClass) -> Option<Self> {
        let part = match class {
            FieldClass::Contact => {
                Self { name: self.name.clone(), phone: self.phone.clone(), ..Self::default() }
            }
            FieldClass::Identity => Self { birth_date: self.birth_date, ..Self::default() },
            FieldClass::Health => {
                Self { health: self.health.clone(), flags: self.flags.clone(), ..Self::default() }
            }
            FieldClass::Family => Self { family: self.family.clone(), ..Self::default() },
            FieldClass::Status => {
                Self { needs: self.needs.clone(), difficulties: self.difficulties.clone(), ..Self::default() }
            }
            FieldClass::Care => Self::default(),
        };
        (part != Self::default()).then_some(part)
    }

    /// Adds what is of another class.
    pub fn absorb(&mut self, part: Self) {
        self.name = part.name.or(self.name.take());
        self.phone = part.phone.or(self.phone.take());
        self.birth_date = part.birth_date.or(self.birth_date);
        self.family = part.family.or(self.family.take());
        self.health = part.health.or(self.health.take());
        self.flags.extend(part.flags);
        self.needs.extend(part.needs);
        self.difficulties = part.difficulties.or(self.difficulties.take());
    }

    /// Name and birth date in one spelling, where both are known: what two answers about the same person share. Personal.
    pub fn person_text(&self) -> Option<String> {
        let (name, born) = (self.name.as_ref()?, self.birth_date?);
        let is_letter = |c: &char| !c.is_whitespace() && !matches!(c, '·' | '•' | '・' | '.');
        let name: String = name.reveal().chars().filter(is_letter).flat_map(char::to_lowercase).collect();
        Some(format!("{name} {born}"))
    }
}

/// A dwelling that a campaign goes to, and its door as people say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The dwelling.
    pub dwelling: DwellingId,
    /// Building, unit and room in one line.
    pub title: String,
}

/// An answer as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedAnswer {
    /// The id.
    pub id: AnswerId,
    /// The dwelling.
    pub dwelling: DwellingId,
    /// What was learned.
    pub outcome: SurveyOutcome,
    /// When it was gathered.
    pub occurred_at: Instant,
    /// Somebody looked: its people are not those of another dwelling.
    pub distinct: bool,
    /// Whom it tells of.
    pub people: Vec<PersonMarks>,
}

closed_list! {
    /// Why something may have been counted twice.
    DuplicateSign {
        /// One dwelling has several answers.
        SameDwelling = "same_dwelling", "同一房屋重复摸排", "one dwelling has several answers";
        /// Two dwellings of the register have the same building, unit and room.
        SameDoor = "same_door", "同一门牌重复登记", "two dwellings are registered at one door";
        /// One care file was found in two dwellings.
        SameFile = "same_file", "同一档案见于多处房屋", "one care file in several dwellings";
        /// Somebody of one name and birth date was found in two dwellings.
        SamePerson = "same_person", "同名同生日见于多处房屋", "one name and birth date in several dwellings";
        /// One telephone number was given for two dwellings.
        SamePhone = "same_phone", "同一电话见于多处房屋", "one telephone number in several dwellings";
    }
}

/// A dwelling of which nothing was learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omission {
    /// The dwelling.
    pub dwelling: DwellingId,
    /// How often nobody was reached there.
    pub attempts: u32,
}

/// What may have been counted twice: a question to a person, never a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspectedDuplicate {
    /// Why, in the order of [`DuplicateSign`].
    pub signs: Vec<DuplicateSign>,
    /// The dwellings, by id.
    pub dwellings: Vec<DwellingId>,
    /// The answers, by id; none where the register itself has a door twice and nobody answered.
    pub answers: Vec<AnswerId>,
}

/// How much of the register a campaign covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Dwellings that it goes to.
    pub registered: u32,
    /// Of them: surveyed.
    pub surveyed: u32,
    /// Of them: vacant.
    pub vacant: u32,
    /// Of them: refused.
    pub refused: u32,
    /// Of them: those of which nothing was learned, by id.
    pub omissions: Vec<Omission>,
    /// What may have been counted twice, by dwelling.
    pub duplicates: Vec<SuspectedDuplicate>,
    /// Dwellings with answers to which the campaign does not go.
    pub beyond: u32,
}

impl Coverage {
    /// Nobody left out, nobody counted twice, 不遗漏、不重复.
    pub fn is_complete(&self) -> bool {
        self.omissions.is_empty() && self.duplicates.is_empty()
    }
}

/// How much of a register some answers cover. Neither's order matters. Where a dwelling has several answers, the one gathered last
/// counts, and it counts once.
pub fn coverage(register: &[Door], answers: &[CountedAnswer]) -> Coverage {
    let mut by_dwelling: BTreeMap<&DwellingId, Vec<&CountedAnswer>> = BTreeMap::new();
    for answer in answers {
        by_dwelling.entry(&answer.dwelling).or_default().push(answer);
    }
    let registered: BTreeSet<&DwellingId> = register.iter().map(|door| &door.dwelling).collect();
    let mut found = Coverage {
        registered: count(registered.len()),
        beyond: count(by_dwelling.keys().filter(|dwelling| !registered.contains(**dwelling)).count()),
        ..Coverage::default()
    };
    for &dwelling in &registered {
        let answers = by_dwelling.get(dwelling).map(Vec::as_slice).unwrap_or_default();
        let learned = answers.iter().filter(|answer| answer.outcome.covers());
        match learned.max_by_key(|answer| (answer.occurred_at, &answer.id)).map(|answer| answer.outcome) {
            Some(SurveyOutcome::Surveyed) => found.surveyed += 1,
            Some(SurveyOutcome::Vacant) => found.vacant += 1,
            Some(SurveyOutcome::Refused) => found.refused += 1,
            Some(SurveyOutcome::NotReached) | None => {
                found.omissions.push(Omission { dwelling: dwelling.clone(), attempts: count(answers.len()) });
            }
        }
    }
    found.duplicates = duplicates(register, answers);
    found
}

/// What is the same in several answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shared<'a> {
    Dwelling(&'a DwellingId),
    Door(&'a str),
    File(&'a ResidentId),
    Person(Mark),
    Phone(Mark),
}

impl Shared<'_> {
    fn sign(self) -> DuplicateSign {
        match self {
            Self::Dwelling(_) => DuplicateSign::SameDwelling,
            Self::Door(_) => DuplicateSign::SameDoor,
            Self::File(_) => DuplicateSign::SameFile,
            Self::Person(_) => DuplicateSign::SamePerson,
            Self::Phone(_) => DuplicateSign::SamePhone,
        }
    }
}

fn duplicates(register: &[Door], answers: &[CountedAnswer]) -> Vec<SuspectedDuplicate> {
    type Where<'a> = (BTreeSet<&'a DwellingId>, BTreeSet<&'a AnswerId>);
    let doors: BTreeMap<&DwellingId, &str> =
        register.iter().map(|door| (&door.dwelling, door.title.as_str())).collect();
    let mut shared: BTreeMap<Shared<'_>, Where<'_>> = BTreeMap::new();
    for (dwelling, title) in &doors {
        shared.entry(Shared::Door(title)).or_default().0.insert(dwelling);
    }
    for answer in answers.iter().filter(|answer| answer.outcome.covers()) {
        let mut keys = vec![Shared::Dwelling(&answer.dwelling)];
        keys.extend(doors.get(&answer.dwelling).map(|title| Shared::Door(title)));
        for person in answer.people.iter().filter(|_| !answer.distinct) {
            keys.extend(person.resident.as_ref().map(Shared::File));
            keys.extend(person.person.map(Shared::Person));
            keys.extend(person.phone.map(Shared::Phone));
        }
        for key in keys {
            let (dwellings, answers) = shared.entry(key).or_default();
            dwellings.insert(&answer.dwelling);
            answers.insert(&answer.id);
        }
    }
    // What several things say of the same dwellings is one suspicion.
    let mut suspected: BTreeMap<Vec<&DwellingId>, (BTreeSet<DuplicateSign>, BTreeSet<&AnswerId>)> =
        BTreeMap::new();
    for (key, (dwellings, answers)) in shared {
        let is_twice = match key {
            Shared::Dwelling(_) => answers.len() > 1,
            Shared::Door(_) | Shared::File(_) | Shared::Person(_) | Shared::Phone(_) => dwellings.len() > 1,
        };
        if is_twice {
            let (signs, all) = suspected.entry(dwellings.into_iter().collect()).or_default();
            signs.insert(key.sign());
            all.extend(answers);
        }
    }
    let suspicion =
        |(dwellings, (signs, answers)): (Vec<&DwellingId>, (BTreeSet<_>, BTreeSet<&AnswerId>))| {
            SuspectedDuplicate {
                signs: signs.into_iter().collect(),
                dwellings: dwellings.into_iter().cloned().collect(),
                answers: answers.into_iter().cloned().collect(),
            }
        };
    suspected.into_iter().map(suspicion).collect()
}

fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(id: &str, title: &str) -> Door {
        Door { dwelling: DwellingId::new(id).unwrap(), title: title.to_owned() }
    }

    fn answer(id: &str, dwelling: &str, outcome: SurveyOutcome, at: i64) -> CountedAnswer {
        CountedAnswer {
            id: AnswerId::new(id).unwrap(),
            dwelling: DwellingId::new(dwelling).unwrap(),
            outcome,
            occurred_at: Instant::clamped(at),
            distinct: false,
            people: Vec::new(),
        }
    }

    fn shown(coverage: &Coverage) -> Vec<String> {
        let Coverage { registered, surveyed, vacant, refused, beyond, .. } = coverage;
        let mut lines = vec![format!("{registered} = {surveyed} + {vacant} + {refused}, {beyond} beyond")];
        lines.extend(coverage.omissions.iter().map(|o| format!("{} after {}", o.dwelling, o.attempts)));
        lines.extend(coverage.duplicates.iter().map(|suspected| {
            let signs: Vec<&str> = suspected.signs.iter().map(|sign| sign.code()).collect();
            let dwellings: Vec<&str> = suspected.dwellings.iter().map(DwellingId::as_str).collect();
            let answers: Vec<&str> = suspected.answers.iter().map(AnswerId::as_str).collect();
            format!("{}: {} by {}", signs.join(" "), dwellings.join(" "), answers.join(" "))
        }));
        lines
    }

    #[test]
    fn whoever_was_left_out_or_counted_twice_is_named_in_any_order() {
        use SurveyOutcome::{NotReached, Refused, Surveyed, Vacant};
        let register =
            [door("d1", "101"), door("d2", "102"), door("d3", "103"), door("d4", "104"), door("d5", "105")];
        let mut answers = vec![
            answer("a1", "d1", Surveyed, 1),
            answer("a2", "d2", NotReached, 2),
            answer("a3", "d2", NotReached, 3),
            answer("a4", "d3", Vacant, 4),
            answer("a5", "d3", Surveyed, 5),
            answer("a6", "d4", Refused, 6),
            answer("a7", "d4", NotReached, 7),
            answer("a8", "d9", Surveyed, 8),
        ];
        let expect = ["5 = 2 + 0 + 1, 1 beyond", "d2 after 2", "d5 after 0", "same_dwelling: d3 by a4 a5"];
        for _ in 0..answers.len() {
            assert_eq!(shown(&coverage(&register, &answers)), expect);
            answers.rotate_left(1);
        }
        answers.retain(|answer| answer.id.as_str() != "a4");
        answers.extend([answer("a10", "d2", Vacant, 9), answer("a11", "d5", Surveyed, 9)]);
        let whole = coverage(&register, &answers);
        assert!(whole.is_complete(), "{whole:?}");
        assert_eq!(whole.registered, whole.surveyed + whole.vacant + whole.refused);
        assert!(coverage(&[], &[]).is_complete());
    }

    #[test]
    fn a_household_under_two_dwellings_is_suspected_until_somebody_looked() {
        let mark = |byte: u8| Some(Mark([byte; 32]));
        let with = |answer: CountedAnswer, people: Vec<PersonMarks>| CountedAnswer { people, ..answer };
        let person =
            |name: Option<Mark>, phone: Option<Mark>| PersonMarks { resident: None, person: name, phone };
        let file =
            |id: &str| PersonMarks { resident: Some(ResidentId::new(id).unwrap()), ..PersonMarks::default() };
        let register = [door("d1", "101"), door("d2", "102"), door("d3", "103"), door("d4", "101")];
        let surveyed = |id: &str, dwelling: &str| answer(id, dwelling, SurveyOutcome::Surveyed, 1);
        let mut answers = vec![
            // The same household within one answer is nothing to look at.
            with(surveyed("a1", "d1"), vec![person(mark(1), mark(9)), person(mark(1), mark(9)), file("r1")]),
            with(surveyed("a2", "d2"), vec![person(mark(1), mark(9))]),
            with(surveyed("a3", "d3"), vec![person(None, mark(9)), file("r1")]),
        ];
        let expect = [
            "4 = 3 + 0 + 0, 0 beyond",
            "d4 after 0",
            "same_person: d1 d2 by a1 a2",
            "same_phone: d1 d2 d3 by a1 a2 a3",
            "same_file: d1 d3 by a1 a3",
            "same_door: d1 d4 by a1",
        ];
        assert_eq!(shown(&coverage(&register, &answers)), expect);
        for answer in &mut answers {
            answer.distinct = true;
        }
        let looked_at = shown(&coverage(&register[..3], &answers));
        assert_eq!(looked_at, ["3 = 3 + 0 + 0, 0 beyond"]);
    }

    #[test]
    fn findings_part_by_class_and_come_together_again() {
        let text = |text: &str| Some(Paragraph::new(text).unwrap());
        let all = PersonFindings {
            name: Some(PersonName::new("欧阳·娜 Anna").unwrap()),
            phone: Some(Phone::new("13812345678").unwrap()),
            birth_date: Some(CivilDate::parse("1940-05-01").unwrap()),
            family: text("独女在外地"),
            health: text("卧床"),
            flags: KeyPersonFlag::ALL.to_vec(),
            needs: vec![Need::Medical],
            difficulties: text("低保"),
        };
        assert_eq!(all.person_text().as_deref(), Some("欧阳娜anna 1940-05-01"));
        let mut united = PersonFindings::default();
        for class in PersonFindings::CLASSES {
            united.absorb(all.of_class(class).unwrap());
        }
        assert_eq!(united, all);
        assert_eq!(all.of_class(FieldClass::Care), None);
        assert!(!format!("{all:?}").contains("Anna"));
        assert_eq!(PersonFindings::default().of_class(FieldClass::Contact), None);
    }
}
