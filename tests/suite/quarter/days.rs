//! What happens on the estate, planned beforehand from a seed: who is visited, called and forgotten, who is in hospital, who
//! moves, what is asked for, and when it is written down. Nothing here knows what the server makes of it.

use chrono::{Days, NaiveDate, NaiveDateTime, TimeDelta};
use linli_proto::v1::{RequestKind, ServiceKind};

use super::people::{ELDERS, OF_EACH, SORTS};
use crate::harness::Numbers;

/// Buildings of the estate.
pub const BUILDINGS: u64 = 20;
/// The first day of the walk, a Monday: files are opened in its first hours.
pub const FIRST: NaiveDate = NaiveDate::from_ymd_opt(2026, 3, 30).unwrap();
/// The quarter.
pub const QUARTER: (NaiveDate, NaiveDate) =
    (NaiveDate::from_ymd_opt(2026, 4, 1).unwrap(), NaiveDate::from_ymd_opt(2026, 6, 30).unwrap());
/// Weeks that are walked.
const WEEKS: u64 = 14;

/// Somebody in care.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Of [`SORTS`].
    pub sort: usize,
    pub building: u64,
    pub absences: Vec<Absence>,
    /// The last day before they moved out.
    pub moved_out: Option<NaiveDate>,
}

/// A stay in hospital.
#[derive(Debug, Clone, PartialEq)]
pub struct Absence {
    pub left: NaiveDate,
    pub expected: NaiveDate,
    /// When they came back, and somebody said so.
    pub returned: NaiveDate,
}

/// One contact with one person.
#[derive(Debug, Clone, PartialEq)]
pub struct Contact {
    pub person: usize,
    pub kind: ServiceKind,
    pub reached: bool,
    pub at: NaiveDateTime,
    /// When it was written down.
    pub entered: NaiveDateTime,
}

/// A round, or another piece of work on a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    pub kind: ServiceKind,
    pub place: Place,
    pub at: NaiveDateTime,
}

/// What is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The area of a building.
    Building(u64),
    Passage,
    Gate,
    Facility(u64),
    /// The home of a person.
    Home(usize),
}

/// A household that moves in, and when it is surveyed.
#[derive(Debug, Clone, PartialEq)]
pub struct MoveIn {
    pub day: NaiveDate,
    pub surveyed: Option<NaiveDateTime>,
}

/// A change that somebody reported, and when the file says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub person: usize,
    pub reported: NaiveDateTime,
    pub applied: NaiveDateTime,
}

/// Something that an elder asked for, and when it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub person: usize,
    pub kind: RequestKind,
    pub submitted: NaiveDateTime,
    pub accepted: NaiveDateTime,
    pub dispatched: NaiveDateTime,
    pub arrived: NaiveDateTime,
    pub done: NaiveDateTime,
    pub followed_up: NaiveDateTime,
}

/// An emergency: as a request, and who was told when.
#[derive(Debug, Clone, PartialEq)]
pub struct Emergency {
    pub person: usize,
    pub reported: NaiveDateTime,
    pub arrived: NaiveDateTime,
    pub ambulance: NaiveDateTime,
    pub family: NaiveDateTime,
    pub supervisor: NaiveDateTime,
    pub done: NaiveDateTime,
    pub followed_up: NaiveDateTime,
}

/// The quarter as it will be.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub people: Vec<Person>,
    pub contacts: Vec<Contact>,
    pub work: Vec<Work>,
    pub move_ins: Vec<MoveIn>,
    pub changes: Vec<Change>,
    pub requests: Vec<Request>,
    pub emergency: Emergency,
    /// When the fund's figures were published.
    pub published: NaiveDateTime,
}

pub fn day(number: u64) -> NaiveDate {
    FIRST + Days::new(number)
}

fn at(date: NaiveDate, hour: u32, minute: u32) -> NaiveDateTime {
    date.and_hms_opt(hour, minute, 0).unwrap()
}

fn after(time: NaiveDateTime, minutes: u64) -> NaiveDateTime {
    time + TimeDelta::minutes(i64::try_from(minutes).unwrap())
}

impl Person {
    /// Whether they are at home, and will be for some days.
    pub fn is_there(&self, date: NaiveDate) -> bool {
        self.moved_out.is_none_or(|last| date + Days::new(2) < last)
            && !self.absences.iter().any(|away| (away.left..=away.returned).contains(&date))
    }
}

impl Plan {
    /// A quarter that the seed determines.
    pub fn of(numbers: &mut Numbers) -> Self {
        let people: Vec<Person> = (0..SORTS.len() * OF_EACH).map(|number| person(numbers, number)).collect();
        let mut contacts = Vec::new();
        for (number, person) in people.iter().enumerate() {
            let mut own = Vec::new();
            for week in 0..WEEKS {
                own.extend(week_of(numbers, number, person, week));
            }
            own.extend(unanswered(numbers, number, person, &own));
            contacts.extend(own);
        }
        let requests = requests(numbers, &people);
        Self {
            contacts,
            work: work(numbers, &people),
            move_ins: (0..12).map(|_| move_in(numbers)).collect(),
            changes: changes(numbers, &people),
            requests,
            emergency: emergency(&people),
            published: at(day(numbers.between(60, 80)), 15, 30),
            people,
        }
    }
}

/// One in twenty goes to hospital, of whom some come back later than they thought; one in fifty moves out.
fn person(numbers: &mut Numbers, number: usize) -> Person {
    let mut absences = Vec::new();
    if numbers.between(1, 20) == 1 {
        let left = numbers.between(10, 60);
        let (expected, late) = (left + numbers.between(3, 16), numbers.between(0, 3));
        absences.push(Absence { left: day(left), expected: day(expected), returned: day(expected + late) });
    }
    let moves = absences.is_empty() && numbers.between(1, 50) == 1;
    let moved_out = moves.then(|| day(numbers.between(25, 90)));
    let building = 1 + u64::try_from(number).unwrap() % BUILDINGS;
    Person { sort: number % SORTS.len(), building, absences, moved_out }
}

/// What is meant for somebody in one week, and what becomes of it. One week in sixteen they are forgotten.
fn week_of(numbers: &mut Numbers, number: usize, person: &Person, week: u64) -> Vec<Contact> {
    use ServiceKind::{FestivalVisit, HomeVisit, PhoneCall, Review, VideoCall};
    let is_elder = SORTS[person.sort].is_in(ELDERS);
    let mut meant = Vec::new();
    if is_elder {
        let visits = if numbers.between(1, 12) == 1 { 0 } else { 1 };
        let calls = [2, 2, 2, 2, 2, 3, 1, 0][usize::try_from(numbers.between(0, 7)).unwrap()];
        meant.extend((0..visits).map(|_| HomeVisit));
        meant.extend((0..calls).map(|_| if numbers.between(1, 6) == 1 { VideoCall } else { PhoneCall }));
    } else {
        meant.extend((numbers.between(1, 4) == 1).then_some(PhoneCall));
        meant.extend((numbers.between(1, 5) == 1).then_some(HomeVisit));
    }
    meant.extend((numbers.between(1, 9) == 1).then_some(Review));
    meant.extend((numbers.between(1, 12) == 1).then_some(FestivalVisit));
    if numbers.between(1, 16) == 1 {
        return Vec::new();
    }
    let mut contacts: Vec<Contact> = Vec::new();
    for kind in meant {
        let date = day(week * 7 + numbers.between(0, 6));
        let time = at(
            date,
            9 + u32::try_from(numbers.between(0, 7)).unwrap(),
            u32::try_from(numbers.between(0, 59)).unwrap(),
        );
        // Who is away is not called on; nobody is asked twice in the same minute.
        if !person.is_there(date) || contacts.iter().any(|other| other.at == time) {
            continue;
        }
        // Written down in the evening, now and then days later.
        let late = if numbers.between(1, 30) == 1 { numbers.between(1, 6) } else { 0 };
        let entered = at(date + Days::new(late), 18, 0);
        contacts.push(Contact { person: number, kind, reached: true, at: time, entered });
    }
    contacts
}

/// Some day one elder in four does not answer, and it is tried again: soon, late, or not before the next contact.
fn unanswered(numbers: &mut Numbers, number: usize, person: &Person, contacts: &[Contact]) -> Vec<Contact> {
    let date = day(numbers.between(3, 85));
    let stays = person.moved_out.is_none() && person.is_there(date);
    let is_free = contacts.iter().all(|contact| contact.at.date() != date);
    if !(SORTS[person.sort].is_in(ELDERS) && stays && is_free && numbers.between(1, 4) == 1) {
        return Vec::new();
    }
    let tried = at(date, 9, 30);
    let contact = |kind, reached, at| Contact { person: number, kind, reached, at, entered: at };
    let again = [20, 100, 200, 0][usize::try_from(numbers.between(0, 3)).unwrap()];
    let second = (again > 0).then(|| contact(ServiceKind::HomeVisit, true, after(tried, again)));
    std::iter::once(contact(ServiceKind::PhoneCall, false, tried)).chain(second).collect()
}

/// Rounds and checks, of which some are left out.
fn work(numbers: &mut Numbers, people: &[Person]) -> Vec<Work> {
    use ServiceKind as Kind;
    let mut work = Vec::new();
    let mut often = |numbers: &mut Numbers, kind, place, time, misses| {
        if numbers.between(1, 100) > misses {
            work.push(Work { kind, place, at: time });
        }
    };
    for number in 0..WEEKS * 7 {
        let date = day(number);
        for hour in [7, 16] {
            often(numbers, Kind::Post, Place::Gate, at(date, hour, 30), 4);
        }
        often(numbers, Kind::PassageCheck, Place::Passage, at(date, 10, 0), 5);
        for facility in 0..4 {
            often(numbers, Kind::Inspection, Place::Facility(facility), at(date, 8, 45), 6);
        }
        for building in 1..=BUILDINGS {
            often(numbers, Kind::Patrol, Place::Building(building), at(date, 22, 0), 3);
            if number % 3 == 0 {
                often(numbers, Kind::Cleaning, Place::Building(building), at(date, 14, 0), 10);
            }
            if number % 7 == 2 {
                often(numbers, Kind::Disinfection, Place::Building(building), at(date, 14, 30), 8);
            }
        }
    }
    for (number, person) in people.iter().enumerate() {
        let date = day(numbers.between(3, 90));
        if person.moved_out.is_none_or(|last| date <= last) {
            often(numbers, Kind::SafetyCheck, Place::Home(number), at(date, 11, 0), 15);
        }
    }
    work
}

fn move_in(numbers: &mut Numbers) -> MoveIn {
    let number = numbers.between(2, 70);
    let surveyed = (numbers.between(1, 6) > 1).then(|| at(day(number + numbers.between(1, 19)), 10, 30));
    MoveIn { day: day(number), surveyed }
}

/// Somebody who stays.
fn someone(numbers: &mut Numbers, people: &[Person], fits: impl Fn(&Person) -> bool) -> usize {
    loop {
        let number = usize::try_from(numbers.between(0, people.len() as u64 - 1)).unwrap();
        if people[number].moved_out.is_none() && fits(&people[number]) {
            return number;
        }
    }
}

fn changes(numbers: &mut Numbers, people: &[Person]) -> Vec<Change> {
    let change = |number: u64| {
        let date = day(3 + number * 4);
        let reported = at(date, 13, u32::try_from(number).unwrap());
        let hours = [2, 7, 20, 29, 50][usize::try_from(numbers.between(0, 4)).unwrap()];
        let person = someone(numbers, people, |_| true);
        Change { person, reported, applied: after(reported, hours * 60) }
    };
    (0..20).map(change).collect()
}

fn requests(numbers: &mut Numbers, people: &[Person]) -> Vec<Request> {
    let kinds = [RequestKind::Repair, RequestKind::DoorHelp, RequestKind::IndoorHelp];
    let request = |number: u64| {
        let date = day(4 + number * 2);
        let submitted = at(date, 8, 1 + u32::try_from(number).unwrap());
        let mut then = submitted;
        let mut step = |choice: [u64; 4]| {
            then = after(then, choice[usize::try_from(numbers.between(0, 3)).unwrap()]);
            then
        };
        let accepted = step([3, 8, 14, 25]);
        let dispatched = step([1, 2, 3, 4]);
        let arrived = step([6, 20, 45, 150]);
        let done = step([20, 60, 200, 700]);
        let followed_up = step([200, 700, 1300, 1700]);
        let kind = kinds[usize::try_from(number % 3).unwrap()];
        let person = someone(numbers, people, |person| SORTS[person.sort].is_in(ELDERS));
        Request { person, kind, submitted, accepted, dispatched, arrived, done, followed_up }
    };
    (0..36).map(request).collect()
}

/// An elder falls on a Friday in May: the ambulance is called at once, the family later than it should be.
fn emergency(people: &[Person]) -> Emergency {
    let stays = |person: &Person| {
        SORTS[person.sort].is_in(ELDERS) && person.moved_out.is_none() && person.absences.is_empty()
    };
    let reported = at(NaiveDate::from_ymd_opt(2026, 5, 15).unwrap(), 20, 10);
    Emergency {
        person: people.iter().position(stays).unwrap(),
        reported,
        ambulance: after(reported, 2),
        arrived: after(reported, 4),
        supervisor: after(reported, 12),
        family: after(reported, 16),
        done: after(reported, 50),
        followed_up: after(reported, 16 * 60),
    }
}
