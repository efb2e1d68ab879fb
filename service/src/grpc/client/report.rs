//! What managers ask: worklists, what was missed, how well standards are kept.

use linli_core::compliance::ReportPeriod;
use linli_core::id::{PostId, SiteId};
use linli_core::kind::{ServiceKind, Tier};
use linli_core::obligation::ObligationStatus;
use linli_core::record::Outcome;
use linli_core::text::{Label, Language};
use linli_core::time::{CivilDate, Instant};
use linli_proto::v1;
use v1::care_record_service_client::CareRecordServiceClient;
use v1::compliance_service_client::ComplianceServiceClient;
use v1::obligation_service_client::ObligationServiceClient;

use super::{Client, ClientError, Result, patiently};
use crate::grpc::check::instant;
use crate::grpc::convert::Listed;

/// One thing to do.
#[derive(Debug, Clone)]
pub struct Task {
    /// For whom, as a resource name.
    pub subject: String,
    /// For whom, masked.
    pub shown: String,
    /// Where.
    pub dwelling: String,
    /// What to do.
    pub kind: ServiceKind,
    /// How often.
    pub times: u32,
    /// By when.
    pub due: Option<Instant>,
    /// How pressing it is.
    pub state: ObligationStatus,
    /// Tier of the resident.
    pub tier: Option<Tier>,
    /// What whoever goes must know.
    pub cautions: Vec<Label>,
    /// Events that the record should answer.
    pub answers: Vec<String>,
}

/// One obligation.
#[derive(Debug, Clone)]
pub struct Owed {
    /// To whom, as a resource name.
    pub subject: String,
    /// To whom, masked.
    pub shown: String,
    /// Code of the standard.
    pub standard: String,
    /// What is promised.
    pub title: Label,
    /// Where it stands.
    pub state: ObligationStatus,
    /// How often it was required.
    pub required: u32,
    /// How often it was credited.
    pub credited: u32,
    /// First day of the window.
    pub from: String,
    /// Last day of the window.
    pub to: String,
    /// Whether something that happened opened it, rather than the calendar.
    pub triggered: bool,
    /// Whether credit rests on a late entry.
    pub late_entry: bool,
    /// Days of the window that counted.
    pub active_days: u32,
    /// The instant by which it must be done.
    pub due: Option<Instant>,
}

/// One contact as reports see it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What was done.
    pub kind: ServiceKind,
    /// When.
    pub occurred_at: Instant,
    /// How it went for the resident that was asked about.
    pub outcome: Outcome,
}

/// One standard in one period.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Code of the standard.
    pub standard: String,
    /// What is promised.
    pub title: Label,
    /// First day of the period.
    pub from: String,
    /// Obligations met in time.
    pub numerator: u32,
    /// Obligations that were required, pending ones included.
    pub denominator: u32,
    /// Events that were answered after their deadline.
    pub met_late: u32,
    /// Obligations that were not met.
    pub missed: u32,
    /// Obligations excused.
    pub excused: u32,
    /// Obligations not yet decided.
    pub pending: u32,
    /// Obligations met on a late entry.
    pub late: u32,
    /// Percent, one decimal.
    pub percent: Option<f64>,
}

impl Client {
    /// What the holders of a post should do by the end of the week.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn worklist(&self, site: &SiteId, post: &PostId) -> Result<Vec<Task>> {
        let mut tasks = Vec::new();
        let mut page_token = String::new();
        loop {
            let message = v1::ListWorklistRequest {
                parent: format!("sites/{site}/posts/{post}"),
                page_size: 200,
                page_token,
                until_date: String::new(),
            };
            let page = patiently(|| {
                let request = self.request(message.clone());
                let mut service = ObligationServiceClient::new(self.channel.clone());
                async move { service.list_worklist(request).await }
            })
            .await?;
            for item in page.items {
                tasks.push(task(item)?);
            }
            if page.next_page_token.is_empty() {
                return Ok(tasks);
            }
            page_token = page.next_page_token;
        }
    }

    /// The obligations of a site with windows between two days, in these states (none: all), of one resident or of
    /// everybody.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn obligations(
        &self,
        site: &SiteId,
        days: (CivilDate, CivilDate),
        states: &[ObligationStatus],
        resident: Option<&str>,
    ) -> Result<Vec<Owed>> {
        let mut owed = Vec::new();
        let mut page_token = String::new();
        loop {
            let message = v1::ListObligationsRequest {
                parent: format!("sites/{site}"),
                page_size: 200,
                page_token,
                statuses: states.iter().map(|state| state.number()).collect(),
                start_date: days.0.to_string(),
                end_date: days.1.to_string(),
                resident: resident.unwrap_or_default().to_owned(),
                ..v1::ListObligationsRequest::default()
            };
            let page = patiently(|| {
                let request = self.request(message.clone());
                let mut service = ObligationServiceClient::new(self.channel.clone());
                async move { service.list_obligations(request).await }
            })
            .await?;
            for obligation in page.obligations {
                owed.push(obligation_of(obligation)?);
            }
            if page.next_page_token.is_empty() {
                return Ok(owed);
            }
            page_token = page.next_page_token;
        }
    }

    /// What was recorded for a resident between two days, oldest first.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn records(&self, site: &SiteId, resident: &str, from: &str, to: &str) -> Result<Vec<Seen>> {
        let message = v1::ListRecordsRequest {
            parent: format!("sites/{site}"),
            page_size: 200,
            subject: resident.to_owned(),
            start_date: from.to_owned(),
            end_date: to.to_owned(),
            ..v1::ListRecordsRequest::default()
        };
        let page = patiently(|| {
            let request = self.request(message.clone());
            let mut service = CareRecordServiceClient::new(self.channel.clone());
            async move { service.list_records(request).await }
        })
        .await?;
        let mut seen = Vec::new();
        for record in page.records {
            let subject = record.subjects.iter().find(|subject| subject.subject == resident);
            seen.push(Seen {
                kind: ServiceKind::listed(record.kind).map_err(|_| ClientError::Answer)?,
                occurred_at: record
                    .occur_time
                    .as_ref()
                    .and_then(|time| instant(time).ok())
                    .ok_or(ClientError::Answer)?,
                outcome: subject
                    .and_then(|subject| Outcome::listed(subject.outcome).ok())
                    .ok_or(ClientError::Answer)?,
            });
        }
        seen.sort_by_key(|seen| seen.occurred_at);
        Ok(seen)
    }

    /// The report of a month or a quarter, in one language: its bytes.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn report(
        &self,
        site: &SiteId,
        period: ReportPeriod,
        is_workbook: bool,
        language: Language,
    ) -> Result<Vec<u8>> {
        let format = if is_workbook { v1::ReportFormat::Xlsx } else { v1::ReportFormat::Html };
        let message = v1::RenderReportRequest {
            name: crate::name::period(site, &period),
            format: format.into(),
            language: match language {
                Language::Zh => "zh".to_owned(),
                Language::En => "en".to_owned(),
            },
        };
        let report = patiently(|| {
            let request = self.request(message.clone());
            let mut service = ComplianceServiceClient::new(self.channel.clone());
            async move { service.render_report(request).await }
        })
        .await?;
        Ok(report.content)
    }

    /// The weekly figures of a site, by week, then by standard.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn weekly_figures(&self, site: &SiteId, days: (CivilDate, CivilDate)) -> Result<Vec<Figure>> {
        let message = v1::GetComplianceReportRequest {
            parent: format!("sites/{site}"),
            period: v1::PeriodUnit::Week.into(),
            start_date: days.0.to_string(),
            end_date: days.1.to_string(),
            ..v1::GetComplianceReportRequest::default()
        };
        let report = patiently(|| {
            let request = self.request(message.clone());
            let mut service = ComplianceServiceClient::new(self.channel.clone());
            async move { service.get_compliance_report(request).await }
        })
        .await?;
        Ok(report.rows.into_iter().map(figure).collect())
    }
}

fn task(item: v1::WorklistItem) -> Result<Task> {
    Ok(Task {
        kind: ServiceKind::listed(item.kind).map_err(|_| ClientError::Answer)?,
        state: state(item.status)?,
        tier: Tier::optional(item.tier).ok().flatten(),
        due: item.due_time.as_ref().and_then(|time| instant(time).ok()),
        subject: item.subject,
        shown: item.display_name,
        dwelling: item.dwelling_display_name,
        times: count(item.times),
        cautions: item.cautions.into_iter().map(|caution| label(caution.text)).collect(),
        answers: item.answers,
    })
}

fn obligation_of(obligation: v1::Obligation) -> Result<Owed> {
    Ok(Owed {
        state: state(obligation.status)?,
        late_entry: obligation.flags().any(|flag| flag == v1::ObligationFlag::LateEntry),
        due: obligation.due_time.as_ref().and_then(|time| instant(time).ok()),
        subject: obligation.subject,
        shown: obligation.display_name,
        standard: code(&obligation.standard),
        title: label(obligation.title),
        required: count(obligation.required),
        credited: count(obligation.credited),
        from: obligation.window_start_date,
        to: obligation.window_end_date,
        triggered: obligation.window_days == 0,
        active_days: count(obligation.active_days),
    })
}

fn figure(row: v1::ComplianceRow) -> Figure {
    Figure {
        standard: code(&row.standard),
        title: label(row.title),
        from: row.period_start_date,
        numerator: count(row.numerator),
        denominator: count(row.denominator),
        met_late: count(row.met_late),
        missed: count(row.missed),
        excused: count(row.excused),
        pending: count(row.pending),
        late: count(row.late_entries),
        percent: row.rate_percent,
    }
}

fn state(status: i32) -> Result<ObligationStatus> {
    ObligationStatus::listed(status).map_err(|_| ClientError::Answer)
}

fn label(text: Option<v1::LocalizedText>) -> Label {
    let text = text.unwrap_or_default();
    Label::new(text.zh, text.en)
}

/// `standards/elder.visit` → `elder.visit`.
fn code(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
