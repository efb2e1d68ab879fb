//! Residents as their lists show them, and what stewards record.

use linli_core::id::{SiteId, StaffId};
use linli_core::kind::{ServiceKind, Tier};
use linli_core::pause::PauseReason;
use linli_core::record::Outcome;
use linli_core::time::{CivilDate, Instant};
use linli_proto::v1;
use v1::care_record_service_client::CareRecordServiceClient;
use v1::resident_service_client::ResidentServiceClient;

use super::{Client, Result, patiently};
use crate::grpc::check::timestamp;
use crate::grpc::convert::Listed;

/// A resident as lists show them: masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Resource name, `sites/{site}/residents/{resident}`.
    pub name: String,
    /// Masked name.
    pub shown: String,
    /// The dwelling in one line.
    pub dwelling: String,
    /// Tier in force.
    pub tier: Option<Tier>,
    /// Codes of the groups, sorted.
    pub groups: Vec<String>,
    /// Codes of the tags.
    pub tags: Vec<String>,
}

/// One contact with one resident, to be recorded.
#[derive(Debug, Clone)]
pub struct Care {
    /// The resident's resource name.
    pub resident: String,
    /// What was done.
    pub kind: ServiceKind,
    /// When.
    pub occurred_at: Instant,
    /// By whom.
    pub performer: StaffId,
    /// How it went.
    pub outcome: Outcome,
    /// Names of the events it answers.
    pub answers: Vec<String>,
    /// What was done, seen or said.
    pub note: String,
}

/// Days away from home, to be recorded as a pause.
#[derive(Debug, Clone)]
pub struct Stay {
    /// The resident's resource name.
    pub resident: String,
    /// Why.
    pub reason: PauseReason,
    /// The day of leaving.
    pub left_on: CivilDate,
    /// The day of the expected return.
    pub expected_return: CivilDate,
}

impl Client {
    /// Every active resident of a site, by name.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn residents(&self, site: &SiteId) -> Result<Vec<Person>> {
        let mut people = Vec::new();
        let mut page_token = String::new();
        loop {
            let message = v1::ListResidentsRequest {
                parent: format!("sites/{site}"),
                page_size: 500,
                page_token,
                ..v1::ListResidentsRequest::default()
            };
            let page = patiently(|| {
                let request = self.request(message.clone());
                let mut service = ResidentServiceClient::new(self.channel.clone());
                async move { service.list_residents(request).await }
            })
            .await?;
            people.extend(page.residents.into_iter().map(person));
            if page.next_page_token.is_empty() {
                return Ok(people);
            }
            page_token = page.next_page_token;
        }
    }

    /// Records contacts, all or none; at most 100. Returns the records' names.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn record(&self, site: &SiteId, care: &[Care]) -> Result<Vec<String>> {
        let records = care.iter().map(record).collect();
        let message =
            v1::RecordServiceRequest { parent: format!("sites/{site}"), records, request_id: String::new() };
        let answer = patiently(|| {
            let request = self.request(message.clone());
            let mut service = CareRecordServiceClient::new(self.channel.clone());
            async move { service.record_service(request).await }
        })
        .await?;
        Ok(answer.records.into_iter().map(|record| record.name).collect())
    }

    /// Begins a pause and returns its name.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn pause(&self, stay: &Stay) -> Result<String> {
        let message = v1::PauseRequest {
            parent: stay.resident.clone(),
            pause: Some(v1::Pause {
                reason: stay.reason.number(),
                leave_date: stay.left_on.to_string(),
                expected_return_date: stay.expected_return.to_string(),
                ..v1::Pause::default()
            }),
            request_id: String::new(),
        };
        let answer = patiently(|| {
            let request = self.request(message.clone());
            let mut service = ResidentServiceClient::new(self.channel.clone());
            async move { service.pause(request).await }
        })
        .await?;
        Ok(answer.name)
    }

    /// Records that somebody is back, in every pause of theirs that runs.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn end_all_pauses(&self, resident: &str, returned_on: CivilDate) -> Result<()> {
        let message =
            v1::ListPausesRequest { parent: resident.to_owned(), ..v1::ListPausesRequest::default() };
        let page = patiently(|| {
            let request = self.request(message.clone());
            let mut service = ResidentServiceClient::new(self.channel.clone());
            async move { service.list_pauses(request).await }
        })
        .await?;
        for pause in page.pauses.into_iter().filter(|pause| pause.return_date.is_empty()) {
            let message = v1::EndPauseRequest {
                name: pause.name,
                return_date: returned_on.to_string(),
                ..v1::EndPauseRequest::default()
            };
            patiently(|| {
                let request = self.request(message.clone());
                let mut service = ResidentServiceClient::new(self.channel.clone());
                async move { service.end_pause(request).await }
            })
            .await?;
        }
        Ok(())
    }

    /// Notes that family gave word that a resident is safe.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn family_says_safe(&self, resident: &str, at: Instant, note: &str) -> Result<()> {
        let message = v1::ConfirmSafetyRequest {
            name: resident.to_owned(),
            source: v1::SafetySource::Family.into(),
            occur_time: Some(timestamp(at)),
            note: note.to_owned(),
            request_id: String::new(),
        };
        patiently(|| {
            let request = self.request(message.clone());
            let mut service = CareRecordServiceClient::new(self.channel.clone());
            async move { service.confirm_safety(request).await }
        })
        .await
        .map(drop)
    }
}

fn person(resident: v1::Resident) -> Person {
    Person {
        tier: Tier::optional(resident.tier).ok().flatten(),
        name: resident.name,
        shown: resident.display_name,
        dwelling: resident.dwelling_display_name,
        groups: resident.groups,
        tags: resident.tags.into_iter().map(|tag| tag.code).collect(),
    }
}

fn record(care: &Care) -> v1::Record {
    v1::Record {
        kind: care.kind.number(),
        occur_time: Some(timestamp(care.occurred_at)),
        performer: format!("staff/{}", care.performer),
        subjects: vec![v1::RecordSubject {
            subject: care.resident.clone(),
            outcome: care.outcome.number(),
            answers: care.answers.clone(),
            note: care.note.clone(),
        }],
        ..v1::Record::default()
    }
}
