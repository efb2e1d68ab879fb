//! Three weeks and a bit of care as five stewards give it: most of it on time, some of it late, some of it forgotten.
//! Everything goes through the API, as the stewards' own program would do it.

use std::collections::BTreeSet;

use linli_core::id::{PostId, SiteId, StaffId};
use linli_core::kind::ServiceKind;
use linli_core::pause::PauseReason;
use linli_core::record::Outcome;
use linli_core::time::{CivilDate, Instant, SiteZone};

use super::chance::Chance;
use super::people::BUILDINGS;
use crate::cli::output::Progress;
use crate::grpc::client::{Care, Client, ClientError, Person, Stay};
use crate::roster::place::Place;

/// The zone of the estate.
pub(super) const ZONE: SiteZone = SiteZone::SHANGHAI;
/// Weeks that are walked in full.
pub(super) const WEEKS: i32 = 3;
/// Days of the week after them: the story ends on its Thursday morning.
const DAYS_OF_LAST_WEEK: i32 = 3;
/// Most records in one call.
const RECORDS_PER_CALL: usize = 100;

/// The estate as the walk sees it.
pub(super) struct Walk<'a> {
    /// The server.
    pub(super) client: &'a Client,
    /// The site.
    pub(super) site: &'a SiteId,
    /// The Monday on which care begins.
    pub(super) monday: CivilDate,
    /// Everybody in care.
    pub(super) people: &'a [Person],
}

/// Who holds the post of a building.
pub(super) fn steward(building: u32) -> StaffId {
    let id = ["chen-jing", "liu-yang", "zhao-min", "sun-lei", "wu-fang"]
        .get(usize::try_from(building.saturating_sub(1)).unwrap_or(0))
        .copied()
        .unwrap_or("chen-jing");
    StaffId::new(id).expect("a literal of the accepted shape")
}

/// Who stands in for the steward of building 3 in the second week.
pub(super) fn cover() -> StaffId {
    StaffId::new("zhou-ting").expect("a literal of the accepted shape")
}

/// The post of a building.
pub(super) fn post(building: u32) -> PostId {
    PostId::new(&format!("building-{building}")).expect("a number after a literal of the accepted shape")
}

/// One thing that a steward means to do.
struct Planned {
    day: i32,
    minute: u32,
    kind: ServiceKind,
}

/// Somebody in care, with the building and what makes the story.
struct Subject<'a> {
    person: &'a Person,
    building: u32,
    /// The number within the building.
    number: usize,
}

impl Walk<'_> {
    /// The morning on which the story ends.
    pub(super) fn end(&self) -> Instant {
        ZONE.at(self.day(WEEKS * 7 + DAYS_OF_LAST_WEEK), 9, 30)
    }

    fn day(&self, day: i32) -> CivilDate {
        self.monday.plus_days(day)
    }

    fn at(&self, day: i32, minute: u32) -> Instant {
        ZONE.at(self.day(day), minute / 60, minute % 60)
    }

    /// Walks from the Monday to the end.
    pub(super) async fn run(&self, chance: &mut Chance, label: &str) -> Result<usize, ClientError> {
        let mut subjects: Vec<Subject<'_>> = Vec::new();
        for building in 1..=BUILDINGS {
            let of_building = self.people.iter().filter(|person| {
                Place::parse(&person.dwelling).is_ok_and(|place| place.building == building.to_string())
            });
            subjects.extend(of_building.enumerate().map(|(number, person)| Subject {
                person,
                building,
                number,
            }));
        }
        let mut plans: Vec<(usize, Planned)> = Vec::new();
        for (at, subject) in subjects.iter().enumerate() {
            for week in 0..=WEEKS {
                plans.extend(week_of(chance, subject, week).into_iter().map(|planned| (at, planned)));
            }
        }

        let days = WEEKS * 7 + DAYS_OF_LAST_WEEK;
        let mut progress = Progress::new(label, usize::try_from(days).unwrap_or(0));
        let mut recorded = 0;
        for day in 0..days {
            self.client.advance_clock(self.at(day, 8 * 60 + 30)).await?;
            self.tell(&subjects, day).await?;
            // The records of the day are written in the evening.
            self.client.advance_clock(self.at(day, 18 * 60)).await?;
            for building in 1..=BUILDINGS {
                let care: Vec<Care> = plans
                    .iter()
                    .filter(|(_, planned)| planned.day == day)
                    .filter_map(|(at, planned)| Some((subjects.get(*at)?, planned)))
                    .filter(|(subject, _)| subject.building == building)
                    .map(|(subject, planned)| self.done(subject, planned))
                    .collect();
                for batch in care.chunks(RECORDS_PER_CALL) {
                    recorded += self.client.record(self.site, batch).await?.len();
                }
            }
            progress.advance(1);
        }
        self.client.advance_clock(self.end()).await?;
        progress.finish();
        Ok(recorded)
    }

    fn done(&self, subject: &Subject<'_>, planned: &Planned) -> Care {
        let on_leave = subject.building == 3 && (7..12).contains(&planned.day);
        Care {
            resident: subject.person.name.clone(),
            kind: planned.kind,
            occurred_at: self.at(planned.day, planned.minute),
            performer: if on_leave { cover() } else { steward(subject.building) },
            outcome: Outcome::Done,
            answers: Vec::new(),
            note: String::new(),
        }
    }

    /// What is not routine.
    async fn tell(&self, subjects: &[Subject<'_>], day: i32) -> Result<(), ClientError> {
        let find = |building, number| subjects.iter().find(|s| s.building == building && s.number == number);
        // Somebody of building 1 is in hospital from the second Monday to the Tuesday after, two days less than was thought.
        if let Some(subject) = find(1, HOSPITAL)
            && day == 7
        {
            let stay = Stay {
                resident: subject.person.name.clone(),
                reason: PauseReason::Hospital,
                left_on: self.day(7),
                expected_return: self.day(17),
            };
            self.client.pause(&stay).await?;
        }
        if let Some(subject) = find(1, HOSPITAL)
            && day == 15
        {
            self.client.end_all_pauses(&subject.person.name, self.day(15)).await?;
        }
        // A visit of the first Friday is written down on the Wednesday after.
        if let Some(subject) = find(2, LATE)
            && day == 9
        {
            let visit = Planned { day: 4, minute: 15 * 60, kind: ServiceKind::HomeVisit };
            self.client.record(self.site, &[self.done(subject, &visit)]).await?;
        }
        // Somebody of building 2 does not answer, and the ladder is climbed to the end.
        if let Some(subject) = find(2, UNREACHED)
            && day == 16
        {
            self.climb(subject, day).await?;
        }
        // Somebody of building 4 does not answer, and nobody tries again.
        if let Some(subject) = find(4, UNANSWERED)
            && day == 17
        {
            self.try_to_reach(subject, day, 10 * 60, ServiceKind::PhoneCall, Outcome::NotReached).await?;
        }
        Ok(())
    }

    /// Not reached, a second try, the emergency contact, word from the family.
    async fn climb(&self, subject: &Subject<'_>, day: i32) -> Result<(), ClientError> {
        let nine = 9 * 60;
        self.try_to_reach(subject, day, nine, ServiceKind::PhoneCall, Outcome::NotReached).await?;
        self.try_to_reach(subject, day, nine + 20, ServiceKind::HomeVisit, Outcome::NotReached).await?;
        self.try_to_reach(subject, day, nine + 30, ServiceKind::EmergencyContactCall, Outcome::Done).await?;
        let word = self.at(day, nine + 35);
        self.client.advance_clock(word).await?;
        self.client.family_says_safe(&subject.person.name, word, "在女儿家,周五回来").await
    }

    /// One try, recorded at once; it answers what the worklist says is open.
    async fn try_to_reach(
        &self,
        subject: &Subject<'_>,
        day: i32,
        minute: u32,
        kind: ServiceKind,
        outcome: Outcome,
    ) -> Result<(), ClientError> {
        self.client.advance_clock(self.at(day, minute)).await?;
        let open = self.client.worklist(self.site, &post(subject.building)).await?;
        let answers: BTreeSet<String> = open
            .into_iter()
            .filter(|task| task.subject == subject.person.name)
            .flat_map(|task| task.answers)
            .collect();
        let care = Care {
            resident: subject.person.name.clone(),
            kind,
            occurred_at: self.at(day, minute),
            performer: steward(subject.building),
            outcome,
            answers: answers.into_iter().collect(),
            note: String::new(),
        };
        self.client.record(self.site, &[care]).await.map(drop)
    }
}

/// Numbers within their buildings of those to whom something happens.
const HOSPITAL: usize = 5;
const LATE: usize = 3;
const UNREACHED: usize = 8;
const UNANSWERED: usize = 11;
const FORGOTTEN: usize = 7;

/// What the steward of a building means to do for somebody in a week: a visit, and two calls on other days.
fn week_of(chance: &mut Chance, subject: &Subject<'_>, week: i32) -> Vec<Planned> {
    // Drawn in any case, so that one person's story changes nobody else's.
    let visit_day = i32::try_from(chance.below(5)).unwrap_or(0);
    let first = (visit_day + 1 + i32::try_from(chance.below(2)).unwrap_or(0)) % 6;
    let second = (first + 2 + i32::try_from(chance.below(2)).unwrap_or(0)) % 6;
    let minute = || 9 * 60;
    let visit_minute = minute() + 10 * chance.below(40);
    let call_minutes = (minute() + 5 * chance.below(90), minute() + 5 * chance.below(90));
    let (skips_visit, skips_call, doubles_call) = (chance.below(100), chance.below(100), chance.below(100));

    let (mut visits, mut calls, mut one_day) = match (subject.building, week) {
        // Nobody in charge: whoever stands in calls, and goes to every second door.
        (3, 1) => (skips_visit < 55, skips_call < 90, false),
        // Two calls in one go look like two calls.
        (4, _) => (skips_visit < 93, skips_call < 95, doubles_call < 14),
        (5, _) => (skips_visit < 98, skips_call < 97, false),
        _ => (true, true, false),
    };
    match (subject.building, subject.number, week) {
        (1, HOSPITAL, 1) | (4, FORGOTTEN, 1 | 2) => (visits, calls) = (false, false),
        (2, LATE, 0) => visits = false,
        // The try of the story stands for the calls of that week; the visit comes when the person is back.
        (2, UNREACHED, 2) | (4, UNANSWERED, 2) => (calls, one_day) = (true, false),
        _ => {}
    }
    let call = if subject.person.tags.iter().any(|tag| tag == "hearing") {
        ServiceKind::AnsweredMessage
    } else {
        ServiceKind::PhoneCall
    };
    let (visit_day, first, second) = match (subject.building, subject.number, week) {
        // In hospital until Tuesday; with the daughter until Friday.
        (1, HOSPITAL, 2) => (2, 3, 5),
        (2, UNREACHED, 2) => (4, 0, 5),
        _ => (visit_day, first, second),
    };
    let second = if one_day { first } else { second };
    let mut planned = Vec::new();
    if visits {
        planned.push(Planned {
            day: week * 7 + visit_day,
            minute: visit_minute,
            kind: ServiceKind::HomeVisit,
        });
    }
    if calls {
        let (one, other) = call_minutes;
        planned.push(Planned { day: week * 7 + first, minute: one, kind: call });
        planned.push(Planned { day: week * 7 + second, minute: other, kind: call });
    }
    planned
}
