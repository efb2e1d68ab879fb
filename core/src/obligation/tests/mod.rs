//! The cases that the regulation and the domain model name, one test each: here what they share.

mod events;
mod windows;

use crate::applied::{AppliedSpan, Standing, Timeline, applied_to_resident};
use crate::group::Citation;
use crate::id::{ResidentId, SiteId, StandardCode, SubjectKind};
use crate::kind::{Confidence, Department, EventKind, ServiceKind};
use crate::obligation::*;
use crate::pause::{PauseEnd, PauseReason};
use crate::record::Outcome;
use crate::standard::{Duty, Origin, Period, RunsOn, Selector, Within};
use crate::text::Label;
use crate::time::SiteZone;

fn day(text: &str) -> CivilDate {
    CivilDate::parse(text).unwrap()
}

/// `2026-03-17 10:30` in Shanghai.
fn at(text: &str) -> Instant {
    let (date, time) = text.split_once(' ').unwrap();
    let (hour, minute) = time.split_once(':').unwrap();
    SiteZone::SHANGHAI.at(day(date), hour.parse().unwrap(), minute.parse().unwrap())
}

fn standard(code: &str, duty: Duty, accepts: &[ServiceKind]) -> Standard {
    Standard {
        code: StandardCode::new(code).unwrap(),
        version: 1,
        title: Label::new("", ""),
        citation: Citation {
            instrument: Label::new("", ""),
            locator: String::new(),
            confidence: Confidence::Verified,
        },
        subject: SubjectKind::Resident,
        applies_to: Selector::default(),
        duty,
        accepts: KindSet::of(accepts),
        substitutes: Vec::new(),
        department: Department::CustomerService,
        priority: 2,
        prorate: true,
        pausable: true,
        runs_on: RunsOn::All,
        ladder: None,
        effective: DateRange::from(CivilDate::MIN),
        origin: Origin::Catalogue,
    }
}

fn per(at_least: u16, per: Period, distinct_days: bool) -> Duty {
    Duty::Recurring { at_least, per, distinct_days }
}

/// The two weekly promises to elders (regulation, Art. 8).
fn elder() -> Vec<Standard> {
    vec![
        standard("elder.visit", per(1, Period::Week, false), &[ServiceKind::HomeVisit]),
        standard("elder.call", per(2, Period::Week, true), &[ServiceKind::PhoneCall, ServiceKind::VideoCall]),
    ]
}

fn built_in(codes: &[&str]) -> Vec<Standard> {
    crate::catalogue::standards().into_iter().filter(|s| codes.contains(&s.code.as_str())).collect()
}

/// One resident, moved in on 2026-01-05, with what happened to them.
struct World {
    standards: Vec<Standard>,
    tenure: DateRange,
    attention: Vec<crate::assessment::Attention>,
    records: Vec<SubjectRecord>,
    events: Vec<CareEvent>,
    pauses: Vec<Pause>,
}

fn world(standards: Vec<Standard>) -> World {
    World {
        standards,
        tenure: DateRange::from(day("2026-01-05")),
        attention: Vec::new(),
        records: Vec::new(),
        events: Vec::new(),
        pauses: Vec::new(),
    }
}

fn subject() -> Subject {
    Subject::Resident(ResidentId::new("wang-1").unwrap())
}

impl World {
    fn tenure(mut self, from: &str, last: Option<&str>) -> Self {
        self.tenure = crate::resident::Tenure { moved_in: day(from), moved_out: last.map(day) }.days();
        self
    }

    fn tier(mut self, tier: crate::kind::Tier) -> Self {
        self.attention.push(crate::assessment::Attention { from: CivilDate::MIN, tier, tags: Vec::new() });
        self
    }

    /// A record made at once.
    fn record(self, kind: ServiceKind, occurred: &str, outcome: Outcome) -> Self {
        self.record_at(kind, occurred, occurred, outcome, &[])
    }

    fn done(self, kind: ServiceKind, occurred: &str) -> Self {
        self.record(kind, occurred, Outcome::Done)
    }

    fn record_at(
        mut self,
        kind: ServiceKind,
        occurred: &str,
        recorded: &str,
        outcome: Outcome,
        answers: &[&str],
    ) -> Self {
        self.records.push(SubjectRecord {
            id: RecordId::new(&format!("r{}", self.records.len() + 1)).unwrap(),
            kind,
            occurred_at: at(occurred),
            recorded_at: at(recorded),
            outcome,
            answers: answers.iter().map(|id| EventId::new(id).unwrap()).collect(),
            voided_at: None,
        });
        self
    }

    fn event(mut self, kind: EventKind, id: &str, occurred: &str) -> Self {
        self.events.push(CareEvent {
            site: SiteId::new("s").unwrap(),
            id: EventId::new(id).unwrap(),
            kind,
            subject: subject(),
            occurred_at: at(occurred),
            recorded_at: at(occurred),
            aspect: None,
            note: None,
        });
        self
    }

    fn pause(mut self, left: &str, back: &str, recorded: &str) -> Self {
        self.pauses.push(Pause {
            site: SiteId::new("s").unwrap(),
            resident: ResidentId::new("wang-1").unwrap(),
            id: PauseId::new(&format!("p{}", self.pauses.len() + 1)).unwrap(),
            reason: PauseReason::Hospital,
            remark: None,
            left_on: day(left),
            expected_return: day(back),
            recorded_at: at(recorded),
            ended: None,
            confirmed_at: None,
            version: 1,
        });
        self
    }

    fn returned(mut self, on: &str, recorded: &str) -> Self {
        let end = PauseEnd { returned_on: day(on), recorded_at: at(recorded) };
        self.pauses.last_mut().unwrap().ended = Some(end);
        self
    }

    fn confirmed(mut self, recorded: &str) -> Self {
        self.pauses.last_mut().unwrap().confirmed_at = Some(at(recorded));
        self
    }

    fn obligations(&self, from: &str, to: &str, now: &str) -> Vec<Obligation> {
        self.ask(from, to, now).unwrap()
    }

    fn ask(&self, from: &str, to: &str, now: &str) -> Result<Vec<Obligation>, CalendarError> {
        let standards: Vec<Arc<Standard>> = self.standards.iter().cloned().map(Arc::new).collect();
        let timelines = Timeline::of_site(&standards, &SiteId::new("s").unwrap());
        let tenure = [self.tenure];
        let standing =
            Standing { memberships: &[], attention: &self.attention, waivers: &[], tenure: &tenure };
        let applied = applied_to_resident(&timelines, &standing, at(now));
        let calendar = SiteCalendar::new(SiteZone::SHANGHAI);
        let subject = subject();
        let case = Case {
            subject: &subject,
            applied: &applied,
            records: &self.records,
            events: &self.events,
            pauses: &self.pauses,
            tenure: &tenure,
            calendar: &calendar,
        };
        obligations(&case, DateRange::new(day(from), day(to)), at(now))
    }

    /// Each obligation as `code first..last credited/required of active/eligible days status [+flags] (credits)`.
    #[track_caller]
    fn check(&self, from: &str, to: &str, now: &str, expect: &[&str]) {
        let found: Vec<String> = self.obligations(from, to, now).iter().map(show).collect();
        assert_eq!(found, expect, "asked on {now}");
    }
}

fn show(o: &Obligation) -> String {
    let mut text = format!(
        "{} {}..{} {}/{} of {}/{} days {}",
        o.standard.code,
        o.window.start(),
        o.last_day(),
        o.credited,
        o.required,
        o.active_days,
        o.eligible_days,
        o.status.code()
    );
    if o.flags.late_entry {
        text.push_str(" +late_entry");
    }
    if o.flags.late_pause {
        text.push_str(" +late_pause");
    }
    for id in &o.credits {
        text.push_str(&format!(" {id}"));
    }
    match &o.excuse {
        Some(Excuse::Pause(id)) => text.push_str(&format!(" by pause {id}")),
        Some(Excuse::Waiver) => text.push_str(" by waiver"),
        Some(Excuse::Ended) => text.push_str(" as care ended"),
        None => {}
    }
    text
}
