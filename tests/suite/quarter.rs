//! One quarter of an estate of 2,000 dwellings: 300 files of all twelve groups, 20 stewards with their leave, forgotten weeks,
//! stays in hospital, households that move in and people who move out, requests, an emergency and a fund year. It is planned
//! from a seed ([`days`]), walked through over gRPC, and the server's figures are compared with a spreadsheet of the plan
//! ([`sheet`]).

mod days;
mod people;
mod sheet;

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, NaiveDateTime};
use linli_proto::v1;
use linli_proto::v1::{Department, NoticeParty, Outcome, ServiceKind};

use self::days::{BUILDINGS, Contact, Person, Place, Plan, QUARTER, Request};
use self::people::SORTS;
use self::sheet::{Row, Sheet};
use crate::harness::Numbers;
use crate::harness::client::Client;
use crate::harness::estate::{at, mask};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};

/// Rooms of one building.
const ROOMS: u64 = 100;
/// The steward of this building is on leave in May, and another one covers.
const ON_LEAVE: u64 = 7;
const COVERING: u64 = 8;
/// Most records in one call.
const AT_ONCE: usize = 100;

#[test]
fn a_seed_gives_one_quarter() {
    assert_eq!(Plan::of(&mut Numbers::from(7)), Plan::of(&mut Numbers::from(7)));
    assert_ne!(Plan::of(&mut Numbers::from(7)).contacts, Plan::of(&mut Numbers::from(8)).contacts);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_quarter_are_those_of_a_spreadsheet() {
    let plan = Plan::of(&mut Numbers::seeded("a quarter"));
    let issuer = Issuer::new();
    let server = Server::on(issuer.trusted(Data::sqlite().at("2026-03-30T07:00:00+08:00"))).await;
    let client = server.client();
    let estate = Estate::open(&client, &plan).await;
    let leader = issuer.enter(&server, "leader", vec![grant(v1::StaffRole::Leader, &["quarter"])]).await;
    Walk::new(&estate, &plan, leader).run().await;
    client.advance("2026-07-13T09:00:00+08:00").await;

    let months = [(4, 30), (5, 31), (6, 30)];
    let mut periods = vec![(v1::PeriodUnit::Quarter, QUARTER)];
    for (month, last) in months {
        let day = |day| NaiveDate::from_ymd_opt(2026, month, day).unwrap();
        periods.push((v1::PeriodUnit::Month, (day(1), day(last))));
    }
    for (unit, (from, to)) in periods {
        let expected = Sheet::of(&plan, from, to);
        let found = estate.figures(unit, from).await;
        let all = expected.keys().chain(found.keys());
        let different: BTreeMap<_, _> = all
            .map(|standard| (standard, (expected.get(standard), found.get(standard))))
            .filter(|(_, (expected, found))| expected != found)
            .collect();
        assert!(different.is_empty(), "{from} to {to}: standard, (spreadsheet, server)\n{different:#?}");
        assert_eq!(estate.figures(unit, from).await, found, "asked again");
    }
    estate.is_told_apart(&plan).await;
    server.stop().await;
}

/// The estate on its server.
struct Estate<'a> {
    client: &'a Client,
    site: String,
    residents: Vec<String>,
    homes: Vec<String>,
    /// Dwellings that stand empty until somebody moves in.
    empty: Vec<String>,
}

/// The room in which somebody lives: every 15 people of a building have one each, on the first floors.
fn room(number: usize) -> u64 {
    u64::try_from(number).unwrap() / BUILDINGS + 1
}

fn instant(time: NaiveDateTime) -> prost_types::Timestamp {
    at(&format!("{}+08:00", time.format("%Y-%m-%dT%H:%M:%S")))
}

impl<'a> Estate<'a> {
    async fn open(client: &'a Client, plan: &Plan) -> Self {
        let site = client.site("quarter").await;
        for building in 1..=BUILDINGS {
            // Together, so that the server writes them in a few commits.
            let mut calls = tokio::task::JoinSet::new();
            for room in 1..=ROOMS {
                let dwelling = v1::Dwelling {
                    building: building.to_string(),
                    unit: "1".to_owned(),
                    room: format!("{room:03}"),
                    ..Default::default()
                };
                let request = v1::CreateDwellingRequest {
                    parent: site.clone(),
                    dwelling: Some(dwelling),
                    dwelling_id: format!("b{building}-{room}"),
                    ..Default::default()
                };
                let client = client.clone();
                calls.spawn(async move { client.ask(request).await.unwrap() });
            }
            calls.join_all().await;
        }
        let mut estate = Self { client, site, residents: Vec::new(), homes: Vec::new(), empty: Vec::new() };
        for household in 0..plan.move_ins.len() {
            estate.empty.push(format!("{}/dwellings/b{}-{ROOMS}", estate.site, household + 1));
        }
        estate.places().await;
        estate.staff().await;
        for (number, person) in plan.people.iter().enumerate() {
            estate.file(number, person).await;
        }
        estate
    }

    async fn places(&self) {
        let mut areas = vec![
            ("passage".to_owned(), v1::AreaKind::Passage, String::new()),
            ("gate".to_owned(), v1::AreaKind::Gate, String::new()),
        ];
        for building in 1..=BUILDINGS {
            areas.push((format!("building-{building}"), v1::AreaKind::Building, building.to_string()));
        }
        for (id, kind, building) in areas {
            let display_name = format!("区域 {id}");
            let area = v1::Area { kind: kind.into(), display_name, building, ..Default::default() };
            let request = v1::CreateAreaRequest {
                parent: self.site.clone(),
                area: Some(area),
                area_id: id,
                ..Default::default()
            };
            self.client.ask(request).await.unwrap();
        }
        for number in 0..4 {
            let facility = v1::Facility {
                kind: v1::FacilityKind::Ramp.into(),
                display_name: format!("{number}号坡道"),
                ..Default::default()
            };
            let request = v1::CreateFacilityRequest {
                parent: self.site.clone(),
                facility: Some(facility),
                facility_id: format!("f{number}"),
                ..Default::default()
            };
            self.client.ask(request).await.unwrap();
        }
    }

    /// A steward for every building; one of them is on leave in May.
    async fn staff(&self) {
        for building in 1..=BUILDINGS {
            let post = v1::Post {
                display_name: format!("{building}栋管家"),
                department: Department::CustomerService.into(),
                buildings: vec![building.to_string()],
                ..Default::default()
            };
            let request = v1::CreatePostRequest {
                parent: self.site.clone(),
                post: Some(post),
                post_id: format!("steward-{building}"),
                ..Default::default()
            };
            let post = self.client.ask(request).await.unwrap().name;
            let mut holders = vec![v1::PostHolder {
                staff: steward(building),
                start_date: "2026-03-30".to_owned(),
                ..Default::default()
            }];
            if building == ON_LEAVE {
                holders.push(v1::PostHolder {
                    staff: steward(COVERING),
                    cover: true,
                    start_date: "2026-05-01".to_owned(),
                    end_date: "2026-05-31".to_owned(),
                });
            }
            for holder in holders {
                let name = post.clone();
                let request = v1::AddPostHolderRequest { name, holder: Some(holder), ..Default::default() };
                self.client.ask(request).await.unwrap();
            }
        }
        let engineers = v1::Post {
            display_name: "维修岗".to_owned(),
            department: Department::Engineering.into(),
            ..Default::default()
        };
        let request = v1::CreatePostRequest {
            parent: self.site.clone(),
            post: Some(engineers),
            post_id: "engineers".to_owned(),
            ..Default::default()
        };
        self.client.ask(request).await.unwrap();
    }

    async fn file(&mut self, number: usize, person: &Person) {
        let sort = &SORTS[person.sort];
        let home = format!("{}/dwellings/b{}-{}", self.site, person.building, room(number));
        let resident = v1::Resident {
            full_name: format!("居民{number}"),
            dwelling: home.clone(),
            move_in_date: "2020-01-01".to_owned(),
            birth_date: sort.birth_date.to_owned(),
            facts: sort.facts(),
            // Some are children.
            guardian_consent: Some(v1::GuardianConsent {
                signed_by: "监护人".to_owned(),
                form: "监护人同意书".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let opened = self.client.resident(resident).await;
        let found: Vec<&str> =
            opened.groups.iter().map(|group| group.trim_start_matches("careGroups/")).collect();
        assert_eq!(found, sort.groups, "{opened:?}");
        self.residents.push(opened.name);
        self.homes.push(home);
    }

    fn place(&self, place: Place) -> String {
        match place {
            Place::Building(building) => format!("{}/areas/building-{building}", self.site),
            Place::Passage => format!("{}/areas/passage", self.site),
            Place::Gate => format!("{}/areas/gate", self.site),
            Place::Facility(number) => format!("{}/facilities/f{number}", self.site),
            Place::Home(number) => self.homes[number].clone(),
        }
    }

    /// The server's figures of one period, by standard.
    async fn figures(&self, unit: v1::PeriodUnit, day: NaiveDate) -> BTreeMap<String, Row> {
        let request = v1::GetComplianceReportRequest {
            parent: self.site.clone(),
            period: unit.into(),
            start_date: day.to_string(),
            ..Default::default()
        };
        let report = self.client.ask(request).await.unwrap();
        let row = |row: v1::ComplianceRow| {
            assert_eq!((row.pending, row.late_pauses), (0, 0), "{row:?}");
            assert_eq!(row.denominator, row.numerator + row.met_late + row.missed, "{row:?}");
            let found = Row {
                met: row.numerator,
                met_late: row.met_late,
                missed: row.missed,
                excused: row.excused,
                late_entries: row.late_entries,
            };
            (row.standard.trim_start_matches("standards/").to_owned(), found)
        };
        report.rows.into_iter().map(row).collect()
    }

    /// What the figures say of all, the standing says of one: somebody in hospital was excused, and nothing was owed after a
    /// move.
    async fn is_told_apart(&self, plan: &Plan) {
        let moved = plan.people.iter().position(|person| person.moved_out.is_some());
        if let Some(number) = moved {
            let last = plan.people[number].moved_out.unwrap();
            let owed = self.client.obligations(&self.residents[number], "2026-04-01", "2026-06-30").await;
            assert!(owed.iter().all(|owed| owed.window_start_date <= last.to_string()), "{owed:?}");
        }
    }
}

fn steward(building: u64) -> String {
    format!("staff/steward-{building}")
}

/// Something that happens at a time.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The contacts that are written down now.
    Enter,
    /// The rounds and checks of now.
    Work,
    Leave {
        person: usize,
    },
    Return {
        person: usize,
    },
    MoveOut {
        person: usize,
    },
    MoveIn {
        household: usize,
    },
    Survey {
        household: usize,
    },
    Report {
        change: usize,
    },
    Apply {
        change: usize,
    },
    Request {
        request: usize,
        step: RequestStep,
    },
    Emergency {
        step: EmergencyStep,
    },
    Publish,
}

#[derive(Debug, Clone, Copy)]
enum RequestStep {
    Submit,
    Accept,
    Dispatch,
    Arrive,
    Complete,
    FollowUp,
}

#[derive(Debug, Clone, Copy)]
enum EmergencyStep {
    Report,
    Arrive,
    Tell(NoticeParty),
    Complete,
    FollowUp,
}

/// Everything that happens, in order.
fn steps(plan: &Plan) -> BTreeMap<NaiveDateTime, Vec<Step>> {
    let morning = |date: NaiveDate| date.and_hms_opt(9, 0, 0).unwrap();
    let mut steps: BTreeMap<NaiveDateTime, Vec<Step>> = BTreeMap::new();
    let mut then = |at: NaiveDateTime, step| steps.entry(at).or_default().push(step);
    let mut entered: Vec<_> = plan.contacts.iter().map(|contact| contact.entered).collect();
    entered.sort_unstable();
    entered.dedup();
    let mut worked: Vec<_> = plan.work.iter().map(|work| work.at).collect();
    worked.sort_unstable();
    worked.dedup();
    for (person, of) in plan.people.iter().enumerate() {
        for away in &of.absences {
            then(morning(away.left), Step::Leave { person });
            then(morning(away.returned), Step::Return { person });
        }
        if let Some(last) = of.moved_out {
            then(morning(last), Step::MoveOut { person });
        }
    }
    for (household, of) in plan.move_ins.iter().enumerate() {
        then(morning(of.day), Step::MoveIn { household });
        if let Some(at) = of.surveyed {
            then(at, Step::Survey { household });
        }
    }
    for (change, of) in plan.changes.iter().enumerate() {
        then(of.reported, Step::Report { change });
        then(of.applied, Step::Apply { change });
    }
    for (request, of) in plan.requests.iter().enumerate() {
        for (at, step) in [
            (of.submitted, RequestStep::Submit),
            (of.accepted, RequestStep::Accept),
            (of.dispatched, RequestStep::Dispatch),
            (of.arrived, RequestStep::Arrive),
            (of.done, RequestStep::Complete),
            (of.followed_up, RequestStep::FollowUp),
        ] {
            then(at, Step::Request { request, step });
        }
    }
    let of = &plan.emergency;
    for (at, step) in [
        (of.reported, EmergencyStep::Report),
        (of.ambulance, EmergencyStep::Tell(NoticeParty::Ambulance)),
        (of.arrived, EmergencyStep::Arrive),
        (of.supervisor, EmergencyStep::Tell(NoticeParty::Supervisor)),
        (of.family, EmergencyStep::Tell(NoticeParty::Family)),
        (of.done, EmergencyStep::Complete),
        (of.followed_up, EmergencyStep::FollowUp),
    ] {
        then(at, Step::Emergency { step });
    }
    then(plan.published, Step::Publish);
    for at in entered {
        then(at, Step::Enter);
    }
    for at in worked {
        then(at, Step::Work);
    }
    steps
}

struct Walk<'a> {
    estate: &'a Estate<'a>,
    plan: &'a Plan,
    /// The leader who approves what the other one asks for.
    leader: Client,
    /// Names that the server gave: of pauses by person, of events by change, of requests.
    pauses: BTreeMap<usize, String>,
    events: BTreeMap<usize, String>,
    requests: BTreeMap<usize, String>,
    emergency: String,
}

impl<'a> Walk<'a> {
    fn new(estate: &'a Estate<'a>, plan: &'a Plan, leader: Client) -> Self {
        let (pauses, events, requests) = Default::default();
        Self { estate, plan, leader, pauses, events, requests, emergency: String::new() }
    }

    async fn run(mut self) {
        self.open_fund().await;
        for (at, steps) in steps(self.plan) {
            self.estate.client.advance(&format!("{}+08:00", at.format("%Y-%m-%dT%H:%M:%S"))).await;
            for step in steps {
                self.take(at, step).await;
            }
        }
    }

    async fn take(&mut self, at: NaiveDateTime, step: Step) {
        let Estate { client, site, residents, empty, .. } = self.estate;
        let plan = self.plan;
        match step {
            Step::Enter => self.enter(at).await,
            Step::Work => self.work(at).await,
            Step::Leave { person } => {
                let away = &plan.people[person].absences[0];
                let pause = v1::Pause {
                    reason: v1::PauseReason::Hospital.into(),
                    leave_date: away.left.to_string(),
                    expected_return_date: away.expected.to_string(),
                    ..Default::default()
                };
                let parent = residents[person].clone();
                let request = v1::PauseRequest { parent, pause: Some(pause), ..Default::default() };
                self.pauses.insert(person, client.ask(request).await.unwrap().name);
            }
            Step::Return { person } => {
                let name = self.pauses[&person].clone();
                let return_date = at.date().to_string();
                client.ask(v1::EndPauseRequest { name, return_date, ..Default::default() }).await.unwrap();
            }
            Step::MoveOut { person } => {
                let name = residents[person].clone();
                let move_out_date = at.date().to_string();
                let request = v1::RecordMoveOutRequest { name, move_out_date, ..Default::default() };
                client.ask(request).await.unwrap();
            }
            Step::MoveIn { household } => {
                let request = v1::RecordMoveInRequest {
                    parent: site.clone(),
                    dwelling: empty[household].clone(),
                    move_in_date: at.date().to_string(),
                    ..Default::default()
                };
                client.ask(request).await.unwrap();
            }
            Step::Survey { household } => {
                self.record(at, ServiceKind::Survey, empty[household].clone()).await;
            }
            Step::Report { change } => {
                let request = v1::ReportChangeRequest {
                    name: residents[plan.changes[change].person].clone(),
                    kind: v1::ChangeKind::Health.into(),
                    ..Default::default()
                };
                self.events.insert(change, client.ask(request).await.unwrap().name);
            }
            Step::Apply { change } => {
                let resident = v1::Resident {
                    name: residents[plan.changes[change].person].clone(),
                    status_note: format!("变更{change}"),
                    ..Default::default()
                };
                let request = v1::ApplyChangeRequest {
                    resident: Some(resident),
                    update_mask: mask(&["status_note"]),
                    answers: vec![self.events[&change].clone()],
                    ..Default::default()
                };
                client.ask(request).await.unwrap();
            }
            Step::Request { request, step } => self.request(request, step).await,
            Step::Emergency { step } => self.emergency(step).await,
            Step::Publish => {
                let name = format!("{site}/funds/2026");
                client.ask(v1::PublishReportRequest { name, ..Default::default() }).await.unwrap();
            }
        }
    }

    /// Who is at work in a building on a day.
    fn on_duty(building: u64, date: NaiveDate) -> String {
        steward(if building == ON_LEAVE && date.month() == 5 { COVERING } else { building })
    }

    async fn enter(&self, now: NaiveDateTime) {
        let due: Vec<&Contact> = self.plan.contacts.iter().filter(|contact| contact.entered == now).collect();
        for batch in due.chunks(AT_ONCE) {
            let record = |contact: &&Contact| v1::Record {
                kind: contact.kind.into(),
                occur_time: Some(instant(contact.at)),
                performer: Self::on_duty(self.plan.people[contact.person].building, contact.at.date()),
                subjects: vec![v1::RecordSubject {
                    subject: self.estate.residents[contact.person].clone(),
                    outcome: if contact.reached { Outcome::Done } else { Outcome::NotReached }.into(),
                    ..Default::default()
                }],
                ..Default::default()
            };
            let request = v1::RecordServiceRequest {
                parent: self.estate.site.clone(),
                records: batch.iter().map(record).collect(),
                ..Default::default()
            };
            self.estate.client.ask(request).await.unwrap();
        }
    }

    async fn record(&self, at: NaiveDateTime, kind: ServiceKind, subject: String) {
        let record = v1::Record {
            kind: kind.into(),
            occur_time: Some(instant(at)),
            subjects: vec![v1::RecordSubject {
                subject,
                outcome: Outcome::Done.into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        self.estate.client.record(record).await;
    }

    async fn work(&self, now: NaiveDateTime) {
        let mut kinds: BTreeMap<ServiceKind, Vec<Place>> = BTreeMap::new();
        for work in self.plan.work.iter().filter(|work| work.at == now) {
            kinds.entry(work.kind).or_default().push(work.place);
        }
        let (parent, occur_time) = (self.estate.site.clone(), Some(instant(now)));
        for (kind, places) in kinds {
            let subjects: Vec<String> = places.into_iter().map(|place| self.estate.place(place)).collect();
            match kind {
                ServiceKind::Inspection => {
                    let (parent, facilities) = (parent.clone(), subjects);
                    let request =
                        v1::RecordInspectionRequest { parent, facilities, occur_time, ..Default::default() };
                    self.estate.client.ask(request).await.unwrap();
                }
                ServiceKind::SafetyCheck => {
                    for home in subjects {
                        self.record(now, kind, home).await;
                    }
                }
                _ => {
                    let (parent, kind) = (parent.clone(), kind.into());
                    let request =
                        v1::RecordRoundRequest { parent, kind, subjects, occur_time, ..Default::default() };
                    self.estate.client.ask(request).await.unwrap();
                }
            }
        }
    }

    async fn request(&mut self, request: usize, step: RequestStep) {
        let Estate { client, site, residents, .. } = self.estate;
        let Request { person, kind, .. } = &self.plan.requests[request];
        if matches!(step, RequestStep::Submit) {
            let asked = v1::Request {
                kind: (*kind).into(),
                subject: residents[*person].clone(),
                description: "请帮忙".to_owned(),
                ..Default::default()
            };
            let parent = site.clone();
            let submit = v1::SubmitRequestRequest { parent, request: Some(asked), ..Default::default() };
            self.requests.insert(request, client.ask(submit).await.unwrap().name);
        } else {
            let name = self.requests[&request].clone();
            let post = format!("{site}/posts/engineers");
            take_step(client, name, step, post).await;
        }
    }

    async fn emergency(&mut self, step: EmergencyStep) {
        let Estate { client, site, residents, .. } = self.estate;
        let name = self.emergency.clone();
        match step {
            EmergencyStep::Report => {
                let report = v1::ReportEmergencyRequest {
                    parent: site.clone(),
                    subject: residents[self.plan.emergency.person].clone(),
                    description: "在浴室跌倒".to_owned(),
                    ..Default::default()
                };
                self.emergency = client.ask(report).await.unwrap().name;
            }
            EmergencyStep::Tell(party) => {
                let notice = Some(v1::EmergencyNotice { party: party.into(), ..Default::default() });
                client.ask(v1::RecordNoticeRequest { name, notice, ..Default::default() }).await.unwrap();
            }
            EmergencyStep::Arrive => take_step(client, name, RequestStep::Arrive, String::new()).await,
            EmergencyStep::Complete => take_step(client, name, RequestStep::Complete, String::new()).await,
            EmergencyStep::FollowUp => {
                take_step(client, name.clone(), RequestStep::FollowUp, String::new()).await;
                let finding = "处置及时".to_owned();
                client.ask(v1::ReviewRequestRequest { name, finding, ..Default::default() }).await.unwrap();
            }
        }
    }

    /// A budget, and a purchase that another leader approves.
    async fn open_fund(&self) {
        let Estate { client, site, .. } = self.estate;
        let line = v1::BudgetLine {
            line: "gifts".to_owned(),
            display_name: "节日慰问".to_owned(),
            purpose: v1::FundPurpose::Festival.into(),
            budget_fen: 500_000,
            ..Default::default()
        };
        let parent = site.clone();
        let open = v1::OpenFundYearRequest { parent, year: 2026, lines: vec![line], ..Default::default() };
        let fund = client.ask(open).await.unwrap().name;
        let spending = v1::Spending {
            line: "gifts".to_owned(),
            display_name: "端午慰问品 300 份".to_owned(),
            amount_fen: 450_000,
            people_count: 300,
            ..Default::default()
        };
        let request = v1::RequestSpendingRequest {
            parent: fund.clone(),
            spending: Some(spending),
            ..Default::default()
        };
        let name = client.ask(request).await.unwrap().name;
        self.leader
            .ask(v1::ApproveSpendingRequest { name: name.clone(), ..Default::default() })
            .await
            .unwrap();
        let voucher = "2026-001".to_owned();
        client.ask(v1::RecordDisbursementRequest { name, voucher, ..Default::default() }).await.unwrap();
        let line = client.ask(v1::GetFundRequest { name: fund }).await.unwrap().lines.remove(0);
        assert_eq!((line.spent_fen, line.available_fen), (450_000, 50_000));
    }
}

async fn take_step(client: &Client, name: String, step: RequestStep, assignee: String) {
    match step {
        RequestStep::Submit => unreachable!("a request has no name before"),
        RequestStep::Accept => {
            drop(client.ask(v1::AcceptRequestRequest { name, ..Default::default() }).await.unwrap());
        }
        RequestStep::Dispatch => {
            let request = v1::DispatchRequestRequest { name, assignee, ..Default::default() };
            drop(client.ask(request).await.unwrap());
        }
        RequestStep::Arrive => {
            drop(client.ask(v1::ArriveRequestRequest { name, ..Default::default() }).await.unwrap());
        }
        RequestStep::Complete => {
            let note = "已处理".to_owned();
            drop(client.ask(v1::CompleteRequestRequest { name, note, ..Default::default() }).await.unwrap());
        }
        RequestStep::FollowUp => {
            let request = v1::FollowUpRequestRequest { name, satisfaction: 5, ..Default::default() };
            drop(client.ask(request).await.unwrap());
        }
    }
}
