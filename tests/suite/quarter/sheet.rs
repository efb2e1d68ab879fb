//! The quarter's figures as a spreadsheet would have them: one formula per standard over the plan's rows, with the numbers
//! written out as the regulation and the groups' rules say them. It shares nothing with the server.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Weekday};
use linli_proto::v1::{RequestKind, ServiceKind as Kind};

use super::days::{BUILDINGS, Contact, FIRST, Person, Place, Plan};
use super::people::{ELDERS, SORTS, Sort};

/// The counts of one standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Row {
    pub met: i32,
    pub met_late: i32,
    pub missed: i32,
    pub excused: i32,
    /// Met by something that was written down after its window and a day of grace.
    pub late_entries: i32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Per {
    Day,
    Week,
    Month,
    Quarter,
}

/// So many contacts of these kinds to everybody of these groups who has the tag, in every period.
struct Quota {
    standard: &'static str,
    groups: &'static [&'static str],
    tag: Option<&'static str>,
    times: i64,
    per: Per,
    kinds: &'static [Kind],
    /// Counted once a day.
    by_day: bool,
    /// The share of the days in care is owed, without days in hospital.
    by_share: bool,
}

const CALLS: &[Kind] = &[Kind::PhoneCall, Kind::VideoCall];
const VISITS: &[Kind] = &[Kind::HomeVisit];
const ANY: &[Kind] = &[Kind::PhoneCall, Kind::VideoCall, Kind::HomeVisit];
const GREETING: &[Kind] = &[Kind::FestivalVisit, Kind::HomeVisit];
/// What says that somebody is well, or that others were asked to look.
const SEEN: &[Kind] = &[
    Kind::PhoneCall,
    Kind::VideoCall,
    Kind::HomeVisit,
    Kind::FestivalVisit,
    Kind::Review,
    Kind::Escort,
    Kind::IndoorHelp,
    Kind::FollowUp,
    Kind::DoorCheck,
    Kind::EmergencyContactCall,
    Kind::AuthorityReport,
];
const DISABLED_AND_SURVIVORS: &[&str] = &["disabled_service_member", "survivor"];
const MOTHERS: &[&str] = &["pregnant", "nursing"];

const QUOTAS: &[Quota] = &[
    Quota { by_day: true, ..quota("elder.call", ELDERS, 2, Per::Week, CALLS) },
    quota("elder.visit", ELDERS, 1, Per::Week, VISITS),
    Quota { tag: Some("special_difficulty"), ..quota("elder.floor", &[], 1, Per::Month, ANY) },
    quota("disability.call", &["disabled"], 1, Per::Month, CALLS),
    quota("disability.visit", &["disabled"], 1, Per::Quarter, VISITS),
    quota("child.contact", &["child_in_difficulty"], 1, Per::Quarter, ANY),
    Quota { tag: Some("child_difficulty"), ..quota("child.visit", &[], 1, Per::Month, VISITS) },
    quota("maternity.call", MOTHERS, 1, Per::Month, CALLS),
    quota("hardship.call", &["subsistence_allowance"], 1, Per::Month, CALLS),
    quota("hardship.visit", &["subsistence_allowance"], 1, Per::Quarter, VISITS),
    quota("hardship.edge_call", &["near_threshold"], 1, Per::Quarter, CALLS),
    Quota { tag: Some("military_key_contact"), ..quota("military.key_contact", &[], 1, Per::Quarter, ANY) },
    quota("military.call", DISABLED_AND_SURVIVORS, 1, Per::Month, CALLS),
    quota("military.visit", DISABLED_AND_SURVIVORS, 1, Per::Quarter, VISITS),
    Quota { by_share: false, ..quota("survey.review", &[], 1, Per::Quarter, &[Kind::Review, Kind::Survey]) },
];

const fn quota(
    standard: &'static str,
    groups: &'static [&'static str],
    times: i64,
    per: Per,
    kinds: &'static [Kind],
) -> Quota {
    Quota { standard, groups, tag: None, times, per, kinds, by_day: false, by_share: true }
}

/// A greeting within the seven days before an occasion and on the day.
type Occasion =
    (&'static str, (i32, u32, u32), &'static [&'static str], Option<&'static str>, &'static [Kind]);

const OCCASIONS: &[Occasion] = &[
    ("festival.visit.qingming", (2026, 4, 5), &["survivor"], None, GREETING),
    ("festival.visit.mothers_day", (2026, 5, 10), MOTHERS, None, GREETING),
    ("festival.visit.help_disabled_day", (2026, 5, 17), &["disabled"], None, GREETING),
    ("festival.visit.childrens_day", (2026, 6, 1), &["child_in_difficulty"], None, GREETING),
    ("festival.visit.dragon_boat", (2026, 6, 19), &[], None, GREETING),
    (
        "elder.festival.dragon_boat",
        (2026, 6, 19),
        &[],
        Some("special_difficulty"),
        &[Kind::PhoneCall, Kind::VideoCall, Kind::HomeVisit, Kind::FestivalVisit],
    ),
];

type MonthDay = (u32, u32);

/// Days without school from April to June 2026: Qingming, Labour Day and the Dragon Boat Festival; and the Saturday that
/// makes up for a day of May.
const NO_SCHOOL: &[(MonthDay, MonthDay)] = &[((4, 4), (4, 6)), ((5, 1), (5, 5)), ((6, 19), (6, 21))];
const MADE_UP: &[MonthDay] = &[(5, 9)];

/// What is done for a request of a group's member, and the minutes for it: arrival after it was given out, completion after it
/// was taken up.
type Clocks = (RequestKind, &'static str, Kind, i64, i64);

const CLOCKS: &[Clocks] = &[
    (RequestKind::Repair, "repair", Kind::Repair, 30, 12 * 60),
    (RequestKind::DoorHelp, "help", Kind::Escort, 10, 2 * 60),
    (RequestKind::IndoorHelp, "cleaning", Kind::IndoorHelp, 2 * 60, 12 * 60),
];

fn clocks(kind: RequestKind) -> &'static Clocks {
    CLOCKS.iter().find(|(known, ..)| *known == kind).expect("a kind that is planned")
}

/// Something that was done, and, where a record of it was written, when.
#[derive(Debug, Clone, Copy)]
struct Done {
    at: NaiveDateTime,
    written: Option<NaiveDateTime>,
}

impl Done {
    fn written(at: NaiveDateTime, written: NaiveDateTime) -> Self {
        Self { at, written: Some(written) }
    }

    fn at_once(at: NaiveDateTime) -> Self {
        Self::written(at, at)
    }
}

/// The figures of the days from `from` to `to`: what is due on each of them.
pub struct Sheet<'a> {
    plan: &'a Plan,
    from: NaiveDate,
    to: NaiveDate,
    rows: BTreeMap<String, Row>,
}

impl<'a> Sheet<'a> {
    pub fn of(plan: &'a Plan, from: NaiveDate, to: NaiveDate) -> BTreeMap<String, Row> {
        let mut sheet = Self { plan, from, to, rows: BTreeMap::new() };
        for (number, person) in plan.people.iter().enumerate() {
            sheet.person(number, person);
        }
        sheet.places();
        sheet.requests();
        sheet.fund();
        sheet.rows
    }

    fn row(&mut self, standard: &str) -> &mut Row {
        self.rows.entry(standard.to_owned()).or_default()
    }

    fn holds(&self, date: NaiveDate) -> bool {
        (self.from..=self.to).contains(&date)
    }

    fn person(&mut self, number: usize, person: &Person) {
        let sort = &SORTS[person.sort];
        let contacts: Vec<&Contact> =
            self.plan.contacts.iter().filter(|contact| contact.person == number).collect();
        for quota in QUOTAS.iter().filter(|quota| sort.is_in(quota.groups) && has(sort, quota.tag)) {
            self.quota(quota, person, &contacts);
        }
        for (standard, (year, month, day), groups, tag, kinds) in OCCASIONS {
            let day = NaiveDate::from_ymd_opt(*year, *month, *day).unwrap();
            let is_meant = sort.is_in(groups) && has(sort, *tag) && in_care(person, day);
            if is_meant && self.holds(day) {
                let window = (day - Days::new(7), day);
                let row =
                    recurring(person, window, &contacts, kinds, false, |_, active| i64::from(active >= 1));
                self.add(standard, row);
            }
        }
        for away in &person.absences {
            self.overdue(away, &contacts);
        }
        // What was done for somebody stands in their file within a day.
        let others = self.done_at_once(number);
        let written = contacts.iter().map(|contact| Done::written(contact.at, contact.entered));
        for done in written.chain(others.iter().map(|(at, _)| Done::at_once(*at))) {
            let recorded = Done { at: done.written.unwrap(), written: None };
            self.clock("file.record", done.at, 24 * 60, Some(recorded));
        }
        // Whoever did not answer is tried again within two hours.
        for tried in contacts.iter().filter(|contact| !contact.reached) {
            let seen = contacts.iter().filter(|other| other.reached && SEEN.contains(&other.kind));
            let seen = seen.map(|contact| Done::written(contact.at, contact.entered));
            let served = others.iter().filter(|(_, kind)| SEEN.contains(kind));
            let later =
                seen.chain(served.map(|(at, _)| Done::at_once(*at))).filter(|done| done.at > tried.at);
            let first = later.min_by_key(|done| done.at);
            self.clock("contact.ladder.retry", tried.at, 2 * 60, first);
        }
        for change in self.plan.changes.iter().filter(|change| change.person == number) {
            self.clock("file.update", change.reported, 24 * 60, Some(Done::at_once(change.applied)));
        }
    }

    /// What else stands in somebody's file, written down when it was done: changes, what they asked for, an emergency.
    fn done_at_once(&self, person: usize) -> Vec<(NaiveDateTime, Kind)> {
        let Plan { changes, requests, emergency, .. } = self.plan;
        let mut done = Vec::new();
        for change in changes.iter().filter(|change| change.person == person) {
            done.push((change.applied, Kind::FileUpdate));
        }
        for request in requests.iter().filter(|request| request.person == person) {
            let (_, _, kind, ..) = clocks(request.kind);
            done.extend([(request.done, *kind), (request.followed_up, Kind::FollowUp)]);
        }
        if emergency.person == person {
            done.extend([
                (emergency.ambulance, Kind::AuthorityReport),
                (emergency.family, Kind::EmergencyContactCall),
                (emergency.done, Kind::DoorCheck),
                (emergency.followed_up, Kind::FollowUp),
            ]);
        }
        done
    }

    fn quota(&mut self, quota: &Quota, person: &Person, contacts: &[&Contact]) {
        for (first, last) in windows(quota.per, self.from, self.to) {
            let all = (last - first).num_days() + 1;
            let row = if quota.by_share {
                let share = |days: i64| (2 * quota.times * days + all) / (2 * all);
                recurring(person, (first, last), contacts, quota.kinds, quota.by_day, |eligible, active| {
                    if share(eligible) == 0 {
                        return -1;
                    }
                    let owed = share(active).max(i64::from(active >= 2));
                    if quota.by_day { owed.min(active) } else { owed }
                })
            } else {
                // Whether somebody is at home or not.
                let always = Person { absences: Vec::new(), ..person.clone() };
                recurring(&always, (first, last), contacts, quota.kinds, quota.by_day, |_, _| quota.times)
            };
            self.add(quota.standard, row);
        }
    }

    fn add(&mut self, standard: &str, more: Option<Row>) {
        let Some(more) = more else { return };
        let row = self.row(standard);
        row.met += more.met;
        row.met_late += more.met_late;
        row.missed += more.missed;
        row.excused += more.excused;
        row.late_entries += more.late_entries;
    }

    /// Something that was due so many minutes after it began, and when it was done.
    fn clock(&mut self, standard: &str, began: NaiveDateTime, minutes: i64, done: Option<Done>) {
        self.due(standard, began + TimeDelta::minutes(minutes), done);
    }

    fn due(&mut self, standard: &str, due: NaiveDateTime, done: Option<Done>) {
        if self.holds(due.date()) {
            let row = self.row(standard);
            match done {
                Some(done) if done.at <= due => row.met += 1,
                Some(_) => row.met_late += 1,
                None => row.missed += 1,
            }
            let written = done.and_then(|done| done.written);
            row.late_entries += i32::from(written.is_some_and(|written| written > due + TimeDelta::days(1)));
        }
    }

    /// Whoever does not come back on the day is looked for until the end of the next one.
    fn overdue(&mut self, away: &super::days::Absence, contacts: &[&Contact]) {
        let began = away.expected.and_hms_opt(0, 0, 0).unwrap();
        let came_back = away.returned.and_hms_opt(9, 0, 0).unwrap();
        let seen = contacts.iter().filter(|contact| contact.reached && ANY.contains(&contact.kind));
        let seen = seen.map(|contact| Done::written(contact.at, contact.entered));
        let came_back = Done { at: came_back, written: None };
        let answers = seen.chain([came_back]).filter(|done| done.at >= began);
        self.due("pause.check", end_of(away.expected + Days::new(1)), answers.min_by_key(|done| done.at));
    }

    fn places(&mut self) {
        // Somebody of a group lives in every building, and near what serves all of them.
        let shared = [Place::Passage, Place::Gate];
        for place in (1..=BUILDINGS).map(Place::Building).chain(shared) {
            self.rounds("patrol.night", place, Kind::Patrol, Per::Day, 1, |_| true);
            self.rounds("clean.area", place, Kind::Cleaning, Per::Week, 2, |_| true);
            self.rounds("disinfect.area", place, Kind::Disinfection, Per::Week, 1, |_| true);
        }
        self.rounds("passage.check", Place::Passage, Kind::PassageCheck, Per::Day, 1, |_| true);
        self.rounds("schoolrun.post", Place::Gate, Kind::Post, Per::Day, 2, is_school_day);
        for facility in 0..4 {
            self.rounds("facility.inspect", Place::Facility(facility), Kind::Inspection, Per::Day, 1, |_| {
                true
            });
        }
        // A home is looked at in every quarter of which a member of a group lives there for the better half.
        for (number, person) in self.plan.people.iter().enumerate() {
            let windows = windows(Per::Quarter, self.from, self.to);
            for (first, last) in windows {
                let all = (last - first).num_days() + 1;
                if 2 * days(first, last).filter(|date| in_care(person, *date)).count() as i64 >= all {
                    let place = Place::Home(number);
                    self.rounds("home.safety", place, Kind::SafetyCheck, Per::Quarter, 1, |_| true);
                }
            }
        }
        for household in &self.plan.move_ins {
            let surveyed = household.surveyed.map(Done::at_once);
            self.due("survey.move_in", end_of(household.day + Days::new(15)), surveyed);
        }
    }

    fn rounds(
        &mut self,
        standard: &str,
        place: Place,
        kind: Kind,
        per: Per,
        times: usize,
        runs: impl Fn(NaiveDate) -> bool,
    ) {
        for (first, last) in windows(per, self.from, self.to) {
            if !days(first, last).any(&runs) {
                continue;
            }
            let done = self.plan.work.iter().filter(|work| work.place == place && work.kind == kind);
            let done = done.filter(|work| (first..=last).contains(&work.at.date())).count();
            let row = self.row(standard);
            if done >= times { row.met += 1 } else { row.missed += 1 }
        }
    }

    fn requests(&mut self) {
        let done = |at| Some(Done::at_once(at));
        for request in &self.plan.requests {
            let (_, code, _, arrive, finish) = clocks(request.kind);
            let steps = [
                ("accept.priority".to_owned(), request.submitted, 15, request.accepted),
                (format!("arrive.{code}.priority"), request.dispatched, *arrive, request.arrived),
                (format!("finish.{code}.priority"), request.accepted, *finish, request.done),
                ("follow_up.priority".to_owned(), request.done, 24 * 60, request.followed_up),
            ];
            for (standard, began, minutes, at) in steps {
                self.clock(&format!("request.{standard}"), began, minutes, done(at));
            }
        }
        let emergency = &self.plan.emergency;
        let began = emergency.reported;
        for (standard, minutes, at) in [
            ("accept.emergency", 1, emergency.arrived),
            ("arrive.emergency", 5, emergency.arrived),
            ("finish.emergency", 4 * 60, emergency.done),
            ("told.authority", 5, emergency.ambulance),
            ("told.family", 10, emergency.family),
            ("told.supervisor", 30, emergency.supervisor),
        ] {
            self.clock(&format!("request.{standard}"), began, minutes, done(at));
        }
        let last = emergency.followed_up;
        self.clock("request.follow_up.emergency", emergency.done, 24 * 60, done(last));
        // A deputy looks at it within three days, here at once.
        self.due("request.review", end_of(last.date() + Days::new(3)), done(last));
    }

    fn fund(&mut self) {
        for (first, last) in windows(Per::Quarter, self.from, self.to) {
            let published = (first..=last).contains(&self.plan.published.date());
            let row = self.row("fund.publish");
            if published { row.met += 1 } else { row.missed += 1 }
        }
    }
}

fn has(sort: &Sort, tag: Option<&str>) -> bool {
    tag.is_none_or(|tag| sort.tags.contains(&tag))
}

fn in_care(person: &Person, date: NaiveDate) -> bool {
    date >= FIRST && person.moved_out.is_none_or(|last| date <= last)
}

/// Whether a stay in hospital takes the day: neither the day of leaving nor that of coming back, nor any after the expected one.
fn is_away(person: &Person, date: NaiveDate) -> bool {
    person.absences.iter().any(|away| away.left < date && date < away.expected.min(away.returned))
}

fn days(first: NaiveDate, last: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    first.iter_days().take_while(move |date| *date <= last)
}

fn end_of(date: NaiveDate) -> NaiveDateTime {
    date.and_hms_opt(23, 59, 59).unwrap()
}

/// The periods whose last day lies between two days.
fn windows(per: Per, from: NaiveDate, to: NaiveDate) -> Vec<(NaiveDate, NaiveDate)> {
    let ends = days(from, to).filter(|date| match per {
        Per::Day => true,
        Per::Week => date.weekday() == Weekday::Sun,
        Per::Month => date.succ_opt().unwrap().day() == 1,
        Per::Quarter => date.succ_opt().unwrap().day() == 1 && date.month() % 3 == 0,
    });
    let first = |last: NaiveDate| match per {
        Per::Day => last,
        Per::Week => last - Days::new(6),
        Per::Month => last.with_day(1).unwrap(),
        Per::Quarter => last.with_day(1).unwrap() - Months::new(2),
    };
    ends.map(|last| (first(last), last)).collect()
}

/// What a window comes to for one person: `owed` says how much of `(days in care, days at home)`, less than 0 for not at all.
fn recurring(
    person: &Person,
    (first, last): (NaiveDate, NaiveDate),
    contacts: &[&Contact],
    kinds: &[Kind],
    by_day: bool,
    owed: impl Fn(i64, i64) -> i64,
) -> Option<Row> {
    let eligible: Vec<NaiveDate> = days(first, last).filter(|date| in_care(person, *date)).collect();
    let active = eligible.iter().filter(|date| !is_away(person, **date)).count() as i64;
    let owed = if eligible.is_empty() { -1 } else { owed(eligible.len() as i64, active) };
    if owed < 0 {
        return None;
    }
    let mut earned: Vec<&&Contact> = contacts
        .iter()
        .filter(|contact| contact.reached && kinds.contains(&contact.kind))
        .filter(|contact| (first..=last).contains(&contact.at.date()))
        .collect();
    earned.sort_by_key(|contact| contact.at);
    if by_day {
        earned.dedup_by_key(|contact| contact.at.date());
    }
    let grace = end_of(last) + TimeDelta::days(1);
    let mut row = Row::default();
    if owed == 0 {
        row.excused = 1;
    } else if earned.len() as i64 >= owed {
        row.met = 1;
    } else {
        row.missed = 1;
    }
    row.late_entries = i32::from(earned.iter().any(|contact| contact.entered > grace));
    Some(row)
}

fn is_school_day(date: NaiveDate) -> bool {
    let day = (date.month(), date.day());
    let is_weekend = matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
    !NO_SCHOOL.iter().any(|(first, last)| (*first..=*last).contains(&day))
        && (!is_weekend || MADE_UP.contains(&day))
}
