//! A small estate, and how tests write times, facts and identity numbers.

use linli_proto::v1;
use prost_types::{FieldMask, Timestamp};

use super::client::Client;

/// `2026-03-16T09:00:00+08:00` as on the wire.
#[track_caller]
pub fn at(text: &str) -> Timestamp {
    let instant = chrono::DateTime::parse_from_rfc3339(text).expect("a time of a test is RFC 3339");
    Timestamp {
        seconds: instant.timestamp(),
        nanos: i32::try_from(instant.timestamp_subsec_nanos()).unwrap(),
    }
}

/// As RFC 3339 in Shanghai: what tests compare.
pub fn shown(time: Option<&Timestamp>) -> String {
    let Some(time) = time else { return String::new() };
    let utc = chrono::DateTime::from_timestamp(time.seconds, 0).unwrap();
    let zone = chrono::FixedOffset::east_opt(8 * 3600).unwrap();
    utc.with_timezone(&zone).format("%Y-%m-%dT%H:%M").to_string()
}

/// An update mask.
pub fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() })
}

/// A fact that is so or not.
pub fn flag(field: &str, value: bool) -> v1::Fact {
    fact(field, Some(v1::value::Kind::Flag(value)))
}

/// A fact.
pub fn fact(field: &str, kind: Option<v1::value::Kind>) -> v1::Fact {
    v1::Fact {
        field: field.to_owned(),
        value: kind.map(|kind| v1::Value { kind: Some(kind) }),
        ..v1::Fact::default()
    }
}

/// A UUID that `number` determines.
pub fn request_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// An identity number with an impossible region and a right check digit: `birth` as `19400501`.
pub fn identity_number(birth: &str, sequence: u32) -> String {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let body = format!("990000{birth}{sequence:03}");
    let sum: u32 = body.bytes().zip(WEIGHTS).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum();
    format!("{body}{}", char::from(b"10X98765432"[sum as usize % 11]))
}

/// The person of a test: born on 1 May 1940 (of advanced age), living alone since before the clock's start.
pub fn elder(dwelling: &str, full_name: &str) -> v1::Resident {
    v1::Resident {
        full_name: full_name.to_owned(),
        dwelling: dwelling.to_owned(),
        move_in_date: "2020-01-01".to_owned(),
        birth_date: "1940-05-01".to_owned(),
        facts: vec![flag("lives_alone", true)],
        ..v1::Resident::default()
    }
}

/// One contact with one subject.
pub fn contact(subject: &str, kind: v1::ServiceKind, time: &str, outcome: v1::Outcome) -> v1::Record {
    v1::Record {
        kind: kind.into(),
        occur_time: Some(at(time)),
        subjects: vec![v1::RecordSubject {
            subject: subject.to_owned(),
            outcome: outcome.into(),
            ..v1::RecordSubject::default()
        }],
        ..v1::Record::default()
    }
}

impl Client {
    /// A site; returns its name.
    pub async fn site(&self, id: &str) -> String {
        let site = v1::Site { display_name: "清河苑".to_owned(), ..v1::Site::default() };
        let request = v1::CreateSiteRequest {
            site: Some(site),
            site_id: id.to_owned(),
            ..v1::CreateSiteRequest::default()
        };
        self.ask(request).await.unwrap().name
    }

    /// A dwelling of building 3, unit 2; returns its name.
    pub async fn dwelling(&self, site: &str, room: &str) -> String {
        let dwelling = v1::Dwelling {
            building: "3".to_owned(),
            unit: "2".to_owned(),
            room: room.to_owned(),
            ..v1::Dwelling::default()
        };
        let request = v1::CreateDwellingRequest {
            parent: site.to_owned(),
            dwelling: Some(dwelling),
            dwelling_id: format!("d{room}"),
            ..v1::CreateDwellingRequest::default()
        };
        self.ask(request).await.unwrap().name
    }

    /// A care file, of somebody who is known to have none, however alike they look.
    pub async fn resident(&self, resident: v1::Resident) -> v1::Resident {
        let (site, _) = resident.dwelling.split_once("/dwellings/").expect("a dwelling's name");
        let request = v1::CreateResidentRequest {
            parent: site.to_owned(),
            resident: Some(resident),
            confirmed_not_duplicate: true,
            ..v1::CreateResidentRequest::default()
        };
        self.ask(request).await.unwrap()
    }

    /// A site with one dwelling and an elder who lives there alone: names of site, dwelling and resident.
    pub async fn estate(&self, id: &str) -> (String, String, String) {
        let site = self.site(id).await;
        let dwelling = self.dwelling(&site, "501").await;
        let resident = self.resident(elder(&dwelling, "秦安然")).await;
        (site, dwelling, resident.name)
    }

    /// Records one contact of a resident, done.
    pub async fn done(&self, resident: &str, kind: v1::ServiceKind, time: &str) -> v1::Record {
        self.record(contact(resident, kind, time, v1::Outcome::Done)).await
    }

    /// Records.
    pub async fn record(&self, record: v1::Record) -> v1::Record {
        let site = record.subjects[0].subject.split('/').take(2).collect::<Vec<_>>().join("/");
        let request = v1::RecordServiceRequest {
            parent: site,
            records: vec![record],
            ..v1::RecordServiceRequest::default()
        };
        self.ask(request).await.unwrap().records.remove(0)
    }

    /// Moves the care clock there.
    pub async fn advance(&self, to: &str) {
        let target = v1::advance_clock_request::Target::To(at(to));
        let request = v1::AdvanceClockRequest { target: Some(target), ..v1::AdvanceClockRequest::default() };
        self.ask(request).await.unwrap();
    }

    /// A file in clear.
    pub async fn full(&self, resident: &str) -> v1::Resident {
        let request = v1::GetResidentRequest { name: resident.to_owned(), view: v1::View::Full.into() };
        self.purposeful().ask(request).await.unwrap()
    }

    /// What is owed to a resident in the present week, as `standard status credited/required`, sorted.
    pub async fn owed(&self, resident: &str) -> Vec<String> {
        let found = self.obligations(resident, "", "").await;
        found.iter().map(line).collect()
    }

    /// What is owed of two standards in the present week.
    pub async fn calls_and_visits(&self, resident: &str) -> Vec<String> {
        let mut owed = self.owed(resident).await;
        owed.retain(|line| line.starts_with("elder.call") || line.starts_with("elder.visit"));
        owed
    }

    /// What is owed to a resident in some time, by key; every page of it.
    pub async fn obligations(&self, resident: &str, from: &str, to: &str) -> Vec<v1::Obligation> {
        let site = resident.split('/').take(2).collect::<Vec<_>>().join("/");
        let mut request = v1::ListObligationsRequest {
            parent: site,
            resident: resident.to_owned(),
            start_date: from.to_owned(),
            end_date: to.to_owned(),
            page_size: 200,
            ..v1::ListObligationsRequest::default()
        };
        let mut found = Vec::new();
        loop {
            let page = self.ask(request.clone()).await.unwrap();
            found.extend(page.obligations);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }
}

/// `standard status credited/required`.
pub fn line(obligation: &v1::Obligation) -> String {
    let status = obligation.status().as_str_name().trim_start_matches("OBLIGATION_STATUS_").to_lowercase();
    let standard = obligation.standard.trim_start_matches("standards/");
    format!("{standard} {status} {}/{}", obligation.credited, obligation.required)
}
