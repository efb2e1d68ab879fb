//! `ComplianceService`.

use linli_core::id::SiteId;
use linli_core::invalid::Invalid;
use linli_core::standard::Period;
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, label};
use super::numbers::period;
use crate::app::compliance::{REPORT_STANDARDS_MAX, Report, ReportRequest, ReportRow};
use crate::error::Result;
use crate::name;

type Answer<M> = std::result::Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::compliance_service_server::ComplianceService for Face {
    async fn get_compliance_report(
        &self,
        request: Request<v1::GetComplianceReportRequest>,
    ) -> Answer<v1::ComplianceReport> {
        self.read(request, |app, call, message| async move {
            let wanted = report_request(&message)?;
            app.compliance_report(&call, &wanted).await.map(|report| report.to_wire())
        })
        .await
    }
}

impl Shows<Report> for v1::ComplianceReport {
    fn shows(report: &Report) -> Self {
        Self {
            site: name::site(&report.site),
            as_of_time: Some(timestamp(report.as_of)),
            period: period(report.period).0.into(),
            rows: report.rows.iter().map(|row| shown(&report.site, row)).collect(),
        }
    }
}

fn shown(site: &SiteId, row: &ReportRow) -> v1::ComplianceRow {
    let overrides = row.overrides.iter().map(|id| name::standard_override(site, id)).collect();
    v1::ComplianceRow { overrides, ..row.to_wire() }
}

impl Shows<ReportRow> for v1::ComplianceRow {
    fn shows(row: &ReportRow) -> Self {
        let number = |count: u64| i32::try_from(count).unwrap_or(i32::MAX);
        let (numerator, denominator) = (row.tally.numerator(), row.tally.denominator());
        Self {
            standard: name::standard(&row.standard.code),
            title: label(&row.standard.title),
            department: row.standard.department.number(),
            period_start_date: row.days.start().to_string(),
            period_end_date: row.days.end().plus_days(-1).to_string(),
            numerator: number(numerator),
            denominator: number(denominator),
            excused: number(row.tally.excused),
            pending: number(row.tally.pending),
            late_entries: number(row.tally.late_entries),
            rate_percent: rate_percent(numerator, denominator),
            missed: number(row.tally.missed),
            met_late: number(row.tally.met_late),
            late_pauses: number(row.tally.late_pauses),
            loosened: row.loosened,
            overrides: Vec::new(),
        }
    }
}

/// A share in percent, rounded half up to one decimal.
fn rate_percent(part: u64, whole: u64) -> Option<f64> {
    let tenths = (part.saturating_mul(2_000).saturating_add(whole)).checked_div(whole.saturating_mul(2))?;
    u32::try_from(tenths).ok().map(|tenths| f64::from(tenths) / 10.0)
}

fn report_request(message: &v1::GetComplianceReportRequest) -> Result<ReportRequest> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let period = check.take("period", parse_period(message.period));
    let from = check.date("start_date", &message.start_date);
    let to = check.date("end_date", &message.end_date);
    let department = check.take("department", Listed::optional(message.department));
    if message.standards.len() > REPORT_STANDARDS_MAX {
        check.refuse("standards", Invalid::TooMany { max: REPORT_STANDARDS_MAX });
    }
    let standards: Vec<_> = message
        .standards
        .iter()
        .take(REPORT_STANDARDS_MAX)
        .enumerate()
        .map(|(at, standard)| check.take(format!("standards[{at}]"), name::parse_standard(standard)))
        .collect();
    let standards = standards.into_iter().collect::<Option<Vec<_>>>();
    let parsed = site.zip(period).zip(from.zip(to)).zip(department.zip(standards));
    let (((site, period), (from, to)), (department, standards)) = check.finish(parsed)?;
    Ok(ReportRequest { site, period, from, to, department, standards })
}

/// A period by which reports are made.
fn parse_period(number: i32) -> std::result::Result<Period, Invalid> {
    use v1::PeriodUnit as Unit;
    match Unit::try_from(number) {
        Ok(Unit::Unspecified) => Err(Invalid::Missing),
        Ok(Unit::Week) => Ok(Period::Week),
        Ok(Unit::Month) => Ok(Period::Month),
        Ok(Unit::Quarter) => Ok(Period::Quarter),
        Ok(Unit::Year) => Ok(Period::Year),
        Ok(Unit::Day | Unit::EveryDays) => Err(Invalid::NotAllowed),
        Err(_) => Err(Invalid::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_to_a_tenth() {
        let check = |part, whole, expect| assert_eq!(rate_percent(part, whole), expect, "{part}/{whole}");
        check(0, 0, None);
        check(0, 5, Some(0.0));
        check(1, 3, Some(33.3));
        check(2, 3, Some(66.7));
        check(1, 16, Some(6.3)); // 6.25
        check(7, 7, Some(100.0));
    }
}
