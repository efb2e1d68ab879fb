//! Random histories of one resident: standards in versions, memberships, tiers, waivers, records, events, pauses.

use std::sync::Arc;

use crate::applied::{Applied, Standing, Timeline, Waiver, WaiverCause, applied_to_resident};
use crate::assessment::Attention;
use crate::calendar::{CalendarError, DayKind, SiteCalendar, SiteOccasion};
use crate::event::CareEvent;
use crate::group::Citation;
use crate::id::{
    EventId, FieldCode, GroupCode, MembershipId, PauseId, RecordId, ResidentId, SiteId, StandardCode,
    Subject, SubjectKind, TagCode,
};
use crate::kind::{Confidence, Department, EventKind, KindSet, Occasion, ServiceKind, Tier};
use crate::membership::{Basis, Membership};
use crate::obligation::{Case, Obligation, obligations};
use crate::pause::{Pause, PauseEnd, PauseReason};
use crate::record::{Outcome, SubjectRecord};
use crate::standard::{
    Duty, LadderStep, OccasionRef, Origin, Period, RunsOn, Selector, Standard, Substitute, Within,
};
use crate::testing::random::Random;
use crate::text::Label;
use crate::time::{CivilDate, DateRange, Instant, SiteZone};

/// How long before its range a history begins, in days.
pub(super) const PAST_DAYS: i32 = 300;

const KINDS: &[ServiceKind] = &[
    ServiceKind::HomeVisit,
    ServiceKind::HomeVisit,
    ServiceKind::PhoneCall,
    ServiceKind::PhoneCall,
    ServiceKind::VideoCall,
    ServiceKind::AnsweredMessage,
    ServiceKind::FileUpdate,
    ServiceKind::DoorCheck,
    ServiceKind::EmergencyContactCall,
    ServiceKind::EmergencyContactCall,
    ServiceKind::AuthorityReport,
];

#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) standards: Vec<Arc<Standard>>,
    pub(super) memberships: Vec<Membership>,
    pub(super) attention: Vec<Attention>,
    pub(super) waivers: Vec<Waiver>,
    pub(super) tenure: Vec<DateRange>,
    pub(super) records: Vec<SubjectRecord>,
    pub(super) events: Vec<CareEvent>,
    pub(super) pauses: Vec<Pause>,
    pub(super) calendar: SiteCalendar,
    pub(super) range: DateRange,
    pub(super) now: Instant,
}

pub(super) fn site() -> SiteId {
    SiteId::new("s").unwrap()
}

pub(super) fn resident() -> ResidentId {
    ResidentId::new("r").unwrap()
}

pub(super) fn subject() -> Subject {
    Subject::Resident(resident())
}

impl History {
    pub(super) fn random(seed: u64) -> Self {
        Generator::new(seed).history()
    }

    pub(super) fn applied(&self, now: Instant) -> Vec<Applied> {
        let timelines = Timeline::of_site(&self.standards, &site());
        let standing = Standing {
            memberships: &self.memberships,
            attention: &self.attention,
            waivers: &self.waivers,
            tenure: &self.tenure,
        };
        applied_to_resident(&timelines, &standing, now)
    }

    /// Runs `work` with the case as the engine sees it at `now`.
    pub(super) fn with_case<T>(&self, now: Instant, work: impl FnOnce(&Case<'_>) -> T) -> T {
        let applied = self.applied(now);
        work(&Case {
            subject: &subject(),
            applied: &applied,
            records: &self.records,
            events: &self.events,
            pauses: &self.pauses,
            tenure: &self.tenure,
            calendar: &self.calendar,
        })
    }

    /// What the engine answers, in one order.
    pub(super) fn engine(&self) -> Result<Vec<Obligation>, CalendarError> {
        self.ask(self.range, self.now)
    }

    pub(super) fn ask(&self, range: DateRange, now: Instant) -> Result<Vec<Obligation>, CalendarError> {
        self.with_case(now, |case| obligations(case, range, now)).map(|mut found| {
            sort(&mut found);
            found
        })
    }
}

pub(super) fn sort(found: &mut [Obligation]) {
    found.sort_by(|a, b| {
        (&a.standard.code, a.start, a.due, &a.opening).cmp(&(&b.standard.code, b.start, b.due, &b.opening))
    });
}

struct Generator {
    random: Random,
    /// The first day of the range.
    base: CivilDate,
    zone: SiteZone,
    codes: Vec<StandardCode>,
}

impl Generator {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let first = CivilDate::from_ymd(2025, 12, 1).unwrap();
        // A third around the turn to the year that some calendars do not know.
        let base =
            first.plus_days(if random.percent(33) { random.days(350, 390) } else { random.days(0, 390) });
        let zone = if random.percent(80) {
            SiteZone::SHANGHAI
        } else {
            // Summer time, with days that lack their midnight and days that have it twice.
            let name = random.pick(&["America/New_York", "America/Santiago", "America/Havana", "Asia/Macau"]);
            SiteZone::parse(name).unwrap()
        };
        Self { random, base, zone, codes: Vec::new() }
    }

    fn history(&mut self) -> History {
        let calendar = self.calendar();
        let mut standards = Vec::new();
        for code in 0..self.random.days(1, 3) {
            let code = StandardCode::new(&format!("code{code}")).unwrap();
            self.codes.push(code.clone());
            self.versions(&code, &mut standards);
        }
        let tenure = self.tenure();
        let events = self.events(&tenure);
        let range = DateRange::new(self.base, self.day(1, 45));
        let mut history = History {
            memberships: self.memberships(),
            attention: self.attention(),
            waivers: self.waivers(),
            records: self.records(&events),
            pauses: self.pauses(),
            now: self.instant(-10, 80),
            standards,
            tenure,
            events,
            calendar,
            range,
        };
        if self.random.percent(20) {
            // Somebody reports exactly at a moment that a rule names.
            let start = self.zone.start_of(self.day(-5, 45));
            history.now = Instant::clamped(start.micros() + self.random.pick(&[-1, 0, 8 * 3_600_000_000]));
        }
        self.random.shuffle(&mut history.records);
        self.random.shuffle(&mut history.standards);
        self.random.shuffle(&mut history.events);
        self.random.shuffle(&mut history.pauses);
        self.random.shuffle(&mut history.memberships);
        history
    }

    fn day(&mut self, low: i32, high: i32) -> CivilDate {
        let days = self.random.days(low, high);
        self.base.plus_days(days)
    }

    /// An instant, often at the edge of a day.
    fn instant(&mut self, low: i32, high: i32) -> Instant {
        let day = self.day(low, high);
        let start = self.zone.start_of(day).micros();
        let micros = match self.random.days(0, 9) {
            0 => start,
            1 => start - 1,
            _ => start + self.random.between(0, 23 * 60) * 60_000_000,
        };
        Instant::clamped(micros)
    }

    fn calendar(&mut self) -> SiteCalendar {
        let mut calendar = SiteCalendar::new(self.zone);
        for _ in 0..self.random.days(0, 3) {
            let kind = self.random.pick(&[DayKind::Work, DayKind::Rest]);
            calendar = calendar.with_day(self.day(-5, 60), kind);
        }
        if self.random.percent(75) {
            // Most histories know 2027; the others meet the missing year.
            let year = DateRange::new(
                CivilDate::from_ymd(2027, 1, 1).unwrap(),
                CivilDate::from_ymd(2028, 1, 1).unwrap(),
            );
            for day in year.days() {
                let kind = if self.random.percent(30) { DayKind::Rest } else { DayKind::Work };
                calendar = calendar.with_day(day, kind);
            }
            calendar = calendar.with_school_terms(2027, vec![year]);
        }
        // Years before the notices: only annual windows reach them.
        let own = SiteOccasion::Days((2024..=2028).filter_map(|year| self.occasion_in(year)).collect());
        calendar.with_occasion(FieldCode::new("own").unwrap(), own).unwrap()
    }

    /// Near the range in its year, anywhere in others.
    fn occasion_in(&mut self, year: i32) -> Option<CivilDate> {
        let near = self.day(-10, 55);
        if near.year() == year { Some(near) } else { CivilDate::from_ymd(year, 7, 1).ok() }
    }

    fn versions(&mut self, code: &StandardCode, standards: &mut Vec<Arc<Standard>>) {
        let first = self.standard(code);
        let count = self.random.pick(&[1, 1, 1, 2, 2, 3]);
        let mut from = self.day(-PAST_DAYS, -20);
        let mut version = first;
        for number in 1..=count {
            let to = if number == count {
                if self.random.percent(80) { CivilDate::MAX } else { self.day(-10, 60) }
            } else {
                self.day(-15, 40)
            };
            version.version = number;
            version.effective = DateRange::new(from, to);
            standards.push(Arc::new(version.clone()));
            from = if self.random.percent(85) { to } else { to.plus_days(self.random.days(-4, 6)) };
            if from >= self.base.plus_days(70) {
                break;
            }
            let next = self.standard(code);
            if self.random.percent(50) {
                // The same window with other numbers.
                if let (Duty::Recurring { per, .. }, Duty::Recurring { at_least, distinct_days, .. }) =
                    (&version.duty, &next.duty)
                {
                    let duty =
                        Duty::Recurring { at_least: *at_least, per: *per, distinct_days: *distinct_days };
                    version = Standard { duty, ..next };
                    continue;
                }
            }
            version = next;
        }
        if self.random.percent(8) {
            let mut own = self.standard(code);
            own.origin = Origin::SiteOverride;
            own.applies_to.site =
                Some(if self.random.percent(80) { site() } else { SiteId::new("t").unwrap() });
            own.effective = DateRange::new(self.day(-20, 10), self.day(10, 40));
            standards.push(Arc::new(own));
        }
    }

    fn standard(&mut self, code: &StandardCode) -> Standard {
        let random = &mut self.random;
        let (duty, ladder) = match random.days(0, 9) {
            0..=4 => (recurring(random), None),
            5..=8 => triggered(random),
            _ => (seasonal(random), None),
        };
        let group = |name: &str| GroupCode::new(name).unwrap();
        let applies_to = Selector {
            any_group: match random.days(0, 5) {
                0..=3 => Vec::new(),
                4 => vec![group("a")],
                _ => vec![group("a"), group("b")],
            },
            min_tier: random.percent(10).then(|| random.pick(&[Tier::Key, Tier::High])),
            max_tier: random.percent(10).then(|| random.pick(&[Tier::General, Tier::Key])),
            tags: if random.percent(8) { vec![TagCode::new("deaf").unwrap()] } else { Vec::new() },
            ..Selector::default()
        };
        let mut accepts: KindSet = (0..random.days(1, 3)).map(|_| random.pick(KINDS)).collect();
        if random.percent(3) {
            accepts = KindSet::EMPTY;
        }
        let substitutes = if random.percent(25) {
            let kinds = (0..2).map(|_| random.pick(KINDS)).collect();
            vec![Substitute { tag: TagCode::new(random.pick(&["deaf", "blind"])).unwrap(), kinds }]
        } else {
            Vec::new()
        };
        Standard {
            code: code.clone(),
            version: 1,
            title: Label::new("", ""),
            citation: Citation {
                instrument: Label::new("", ""),
                locator: String::new(),
                confidence: Confidence::Inferred,
            },
            subject: if random.percent(97) { SubjectKind::Resident } else { SubjectKind::Dwelling },
            applies_to,
            duty,
            accepts,
            substitutes,
            department: Department::CustomerService,
            priority: 3,
            prorate: random.percent(60),
            pausable: random.percent(75),
            runs_on: match random.days(0, 9) {
                0 => RunsOn::Workdays,
                1 => RunsOn::SchoolDays,
                _ => RunsOn::All,
            },
            ladder,
            effective: DateRange::from(CivilDate::MIN),
            origin: Origin::Catalogue,
        }
    }

    fn tenure(&mut self) -> Vec<DateRange> {
        let first = self.day(-120, 20);
        match self.random.days(0, 9) {
            0..=4 => vec![DateRange::from(first)],
            5..=7 => vec![DateRange::new(first, self.day(0, 30))],
            _ => {
                let back = self.day(5, 30);
                vec![DateRange::from(back), DateRange::new(first, self.day(-20, 25))]
            }
        }
    }

    fn memberships(&mut self) -> Vec<Membership> {
        let count = self.random.days(0, 4);
        let mut memberships = Vec::new();
        for number in 0..count {
            let start = self.day(-60, 40);
            memberships.push(Membership {
                site: site(),
                resident: resident(),
                id: MembershipId::new(&format!("m{number}")).unwrap(),
                group: GroupCode::new(self.random.pick(&["a", "b"])).unwrap(),
                basis: Basis::Rule,
                reason: None,
                evidence: None,
                start,
                end: self.random.percent(50).then(|| start.plus_days(self.random.days(0, 60))),
                proposed_exit: None,
                recorded_at: if self.random.percent(85) {
                    self.zone.start_of(start)
                } else {
                    self.instant(-10, 60)
                },
                version: 1,
            });
        }
        memberships
    }

    fn attention(&mut self) -> Vec<Attention> {
        let mut attention: Vec<Attention> = Vec::new();
        for _ in 0..self.random.days(0, 3) {
            let from = self.day(-40, 40);
            if attention.iter().any(|known| known.from == from) {
                continue;
            }
            let tags = ["blind", "deaf"].into_iter().filter(|_| self.random.percent(50));
            let tags = tags.map(|tag| TagCode::new(tag).unwrap()).collect();
            attention.push(Attention { from, tier: self.random.pick(Tier::ALL), tags });
        }
        attention
    }

    fn waivers(&mut self) -> Vec<Waiver> {
        let mut waivers = Vec::new();
        for _ in 0..self.random.pick(&[0, 0, 0, 1, 2]) {
            let start = self.day(-10, 40);
            waivers.push(Waiver {
                standard: self.codes[(self.random.next() % self.codes.len() as u64) as usize].clone(),
                days: DateRange::new(start, start.plus_days(self.random.days(0, 40))),
                cause: WaiverCause::Refused,
                recorded_at: self.instant(-20, 60),
            });
        }
        waivers
    }

    fn events(&mut self, tenure: &[DateRange]) -> Vec<CareEvent> {
        let mut events = Vec::new();
        for number in 0..self.random.days(0, 4) {
            let kind = self.random.pick(&[
                EventKind::ChangeReported,
                EventKind::ChangeReported,
                EventKind::Discharged,
                EventKind::SafetyConfirmed,
                EventKind::ContactNotReached,
            ]);
            let occurred_at = match tenure.last() {
                // Shortly before care ends.
                Some(days) if days.end() < CivilDate::MAX && self.random.percent(75) => {
                    let minutes = self.random.between(1, 60 * 48);
                    self.zone.start_of(days.end()).plus_minutes(-minutes)
                }
                Some(_) | None => self.instant(-8, 45),
            };
            let subject = if self.random.percent(95) {
                subject()
            } else {
                Subject::Resident(ResidentId::new("q").unwrap())
            };
            events.push(CareEvent {
                site: site(),
                id: EventId::new(&format!("e{number}")).unwrap(),
                kind,
                subject,
                occurred_at,
                recorded_at: self.later(occurred_at),
                aspect: None,
                note: None,
            });
        }
        events
    }

    /// When something that happened at `occurred` was recorded: at once, at the edge of the grace, or days later.
    fn later(&mut self, occurred: Instant) -> Instant {
        let hour = 3_600_000_000;
        let delay = match self.random.days(0, 9) {
            0..=5 => self.random.between(0, 90) * 60_000_000,
            6 => 24 * hour,
            7 => 24 * hour + 1,
            8 => self.random.between(1, 240) * hour,
            _ => 0,
        };
        Instant::clamped(occurred.micros() + delay)
    }

    fn records(&mut self, events: &[CareEvent]) -> Vec<SubjectRecord> {
        let mut records: Vec<SubjectRecord> = Vec::new();
        for number in 0..self.random.pick(&[0, 2, 5, 10, 20]) {
            let occurred_at = match (events.is_empty(), records.last()) {
                (false, _) if self.random.percent(25) => {
                    // On the dot of a deadline, or a microsecond beside it.
                    let event = &events[(self.random.next() % events.len() as u64) as usize];
                    let minutes = self.random.pick(&[0, 30, 120, 1440, 2880, 4320]);
                    let beside = self.random.pick(&[-1, 0, 0, 1]);
                    Instant::clamped(event.occurred_at.micros() + minutes * 60_000_000 + beside)
                }
                (_, Some(last)) if self.random.percent(20) => {
                    last.occurred_at.plus_minutes(self.random.between(0, 180))
                }
                (_, _) => self.instant(-12, 50),
            };
            let outcome = match self.random.days(0, 9) {
                0..=5 => Outcome::Done,
                6..=8 => Outcome::NotReached,
                _ => self.random.pick(&[Outcome::Declined, Outcome::NotDone]),
            };
            let answers = events.iter().filter(|_| self.random.percent(15)).map(|e| e.id.clone()).collect();
            records.push(SubjectRecord {
                id: RecordId::new(&format!("r{number}")).unwrap(),
                kind: self.random.pick(KINDS),
                occurred_at,
                recorded_at: self.later(occurred_at),
                outcome,
                answers,
                voided_at: self.random.percent(6).then(|| self.instant(-5, 60)),
            });
        }
        records
    }

    fn pauses(&mut self) -> Vec<Pause> {
        let mut pauses = Vec::new();
        for number in 0..self.random.pick(&[0, 0, 1, 1, 2, 3]) {
            let left_on = self.day(-25, 40);
            let expected_return = left_on.plus_days(self.random.pick(&[0, 1, 2, 3, 5, 8, 14, 30, 60]));
            let recorded_at = match self.random.days(0, 3) {
                0 | 1 => self.zone.at(left_on, 12, 0),
                2 => self.later(self.zone.at(left_on, 12, 0)),
                _ => self.instant(-10, 70),
            };
            let ended = self.random.percent(50).then(|| {
                let returned_on = left_on.plus_days(self.random.days(0, 40));
                let recorded_at = self.later(self.zone.at(returned_on, 12, 0));
                PauseEnd { returned_on, recorded_at }
            });
            pauses.push(Pause {
                site: site(),
                resident: resident(),
                id: PauseId::new(&format!("p{number}")).unwrap(),
                reason: PauseReason::Hospital,
                remark: None,
                left_on,
                expected_return,
                recorded_at,
                ended,
                confirmed_at: self.random.percent(60).then(|| self.instant(0, 70)),
                version: 1,
            });
        }
        pauses
    }
}

fn recurring(random: &mut Random) -> Duty {
    let per = match random.days(0, 19) {
        0..=10 => Period::Week,
        11 => Period::Day,
        12..=14 => Period::Month,
        15 => Period::Quarter,
        16 => Period::Year,
        _ => Period::EveryDays(random.pick(&[1, 2, 3, 5, 10])),
    };
    let at_least = random.pick(&[1, 1, 1, 2, 2, 3, 7, 20]);
    Duty::Recurring { at_least, per, distinct_days: random.percent(40) }
}

fn triggered(random: &mut Random) -> (Duty, Option<LadderStep>) {
    let on = random.pick(&[
        EventKind::ChangeReported,
        EventKind::ChangeReported,
        EventKind::Discharged,
        EventKind::Discharged,
        EventKind::PauseOverdue,
        EventKind::ServiceDone,
        EventKind::ContactNotReached,
        EventKind::ContactNotReached,
    ]);
    let within = match random.days(0, 5) {
        0 => Within::Minutes(random.pick(&[0, 30])),
        1 | 2 => Within::Hours(random.pick(&[1, 2, 24, 48])),
        _ => Within::Days(random.pick(&[0, 1, 2, 3, 15])),
    };
    let step = LadderStep { attempt: random.pick(&[2, 3, 4]), quiet_hours: random.percent(60) };
    let ladder = (on == EventKind::ContactNotReached && random.percent(80)).then_some(step);
    (Duty::Triggered { on, within, any_match: random.percent(60) }, ladder)
}

fn seasonal(random: &mut Random) -> Duty {
    let occasion = if random.percent(60) {
        OccasionRef::Site(FieldCode::new("own").unwrap())
    } else {
        OccasionRef::BuiltIn(random.pick(Occasion::ALL))
    };
    Duty::Seasonal { occasion, lead_days: random.pick(&[0, 1, 7, 14]), tail_days: random.pick(&[0, 0, 1, 5]) }
}
