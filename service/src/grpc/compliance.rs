//! `ComplianceService`.

use linli_core::compliance::{Cell, ReportPeriod, Tally};
use linli_core::id::SiteId;
use linli_core::invalid::Invalid;
use linli_core::kind::Department;
use linli_core::standard::Period;
use linli_core::text::Language;
use linli_core::time::DateRange;
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, label, signed};
use super::numbers::period;
use super::page::Binding;
use super::request::{next, one, wanted};
use crate::app::compliance::{
    Breakdown, CorrectionView, PeriodView, REPORT_STANDARDS_MAX, Report, ReportFormat, ReportRequest,
    ReportRow, VisitRateView, WorkloadRequest, WorkloadRow,
};
use crate::error::Result;
use crate::name::{self, InSite};
use crate::report::tenths;

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

    async fn close_period(&self, request: Request<v1::ClosePeriodRequest>) -> Answer<v1::ReportPeriod> {
        self.write(request, |app, call, repeat, message| async move {
            let at = named("name", &message.name)?;
            app.close_period(&call, repeat, at).await
        })
        .await
    }

    async fn get_period(&self, request: Request<v1::GetPeriodRequest>) -> Answer<v1::ReportPeriod> {
        self.read(request, |app, call, message| async move {
            let at = named("name", &message.name)?;
            app.period(&call, at).await.map(|period| period.to_wire())
        })
        .await
    }

    async fn list_corrections(
        &self,
        request: Request<v1::ListCorrectionsRequest>,
    ) -> Answer<v1::ListCorrectionsResponse> {
        self.read(request, |app, call, message| async move {
            let at = named("parent", &message.parent)?;
            let binding = Binding::new(&call, &[message.parent.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.corrections(&call, &at, wanted).await?;
            Ok(v1::ListCorrectionsResponse {
                corrections: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn get_visit_rate(&self, request: Request<v1::GetVisitRateRequest>) -> Answer<v1::VisitRate> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let date = check.date("date", &message.date);
            let (site, date) = check.finish(site.zip(date))?;
            let view = app.visit_rate(&call, &site, date).await?;
            Ok(if message.published { published(&view) } else { view.to_wire() })
        })
        .await
    }

    async fn get_workload(
        &self,
        request: Request<v1::GetWorkloadRequest>,
    ) -> Answer<v1::GetWorkloadResponse> {
        self.read(request, |app, call, message| async move {
            let wanted = workload_request(&message)?;
            let rows = app.workload(&call, &wanted).await?;
            Ok(v1::GetWorkloadResponse { rows: rows.iter().map(ToWire::to_wire).collect() })
        })
        .await
    }

    async fn render_report(
        &self,
        request: Request<v1::RenderReportRequest>,
    ) -> Answer<v1::RenderReportResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_period(&message.name));
            let format = check.take("format", parse_format(message.format));
            let language = check.optional("language", &message.language, parse_language);
            let ((at, format), language) = check.finish(at.zip(format).zip(language))?;
            let language = language.unwrap_or(call.language);
            let rendered = app.render_report(&call, &at, format, language).await?;
            Ok(v1::RenderReportResponse {
                content: rendered.content,
                media_type: rendered.media_type.to_owned(),
                file_name: rendered.file_name,
            })
        })
        .await
    }
}

/// The name of a period.
fn named(field: &str, name: &str) -> Result<InSite<ReportPeriod>> {
    one(field, name::parse_period(name))
}

fn parse_format(number: i32) -> std::result::Result<ReportFormat, Invalid> {
    match v1::ReportFormat::try_from(number) {
        Ok(v1::ReportFormat::Unspecified | v1::ReportFormat::Html) => Ok(ReportFormat::Html),
        Ok(v1::ReportFormat::Xlsx) => Ok(ReportFormat::Xlsx),
        Err(_) => Err(Invalid::Unknown),
    }
}

fn parse_language(text: &str) -> std::result::Result<Language, Invalid> {
    match text {
        "zh" => Ok(Language::Zh),
        "en" => Ok(Language::En),
        _ => Err(Invalid::Unknown),
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
    let post = match &row.cell {
        Cell::Post(post) => name::post(site, post),
        Cell::All | Cell::Group(_) | Cell::Tier(_) => String::new(),
    };
    v1::ComplianceRow { overrides, post, ..row.to_wire() }
}

impl Shows<ReportRow> for v1::ComplianceRow {
    fn shows(row: &ReportRow) -> Self {
        let (first, last) = ends(row.days);
        let figures: v1::ComplianceFigures = row.tally.to_wire();
        let tier = match &row.cell {
            Cell::Tier(tier) => tier.number(),
            Cell::All | Cell::Group(_) | Cell::Post(_) => v1::Tier::Unspecified.into(),
        };
        Self {
            standard: name::standard(&row.promise.code),
            title: label(&row.promise.title),
            department: row.promise.department.number(),
            period_start_date: first,
            period_end_date: last,
            numerator: figures.numerator,
            denominator: figures.denominator,
            excused: figures.excused,
            pending: figures.pending,
            late_entries: figures.late_entries,
            rate_percent: tenths(row.tally.numerator(), row.tally.denominator()),
            missed: figures.missed,
            met_late: figures.met_late,
            late_pauses: figures.late_pauses,
            loosened: row.loosened,
            overrides: Vec::new(),
            care_group: group_name(&row.cell),
            tier,
            post: String::new(),
            close_time: row.closed_at.map(timestamp),
            current: row.current.map(|tally| tally.to_wire()),
        }
    }
}

impl Shows<Tally> for v1::ComplianceFigures {
    fn shows(tally: &Tally) -> Self {
        Self {
            numerator: number(tally.numerator()),
            denominator: number(tally.denominator()),
            excused: number(tally.excused),
            pending: number(tally.pending),
            missed: number(tally.missed),
            met_late: number(tally.met_late),
            late_entries: number(tally.late_entries),
            late_pauses: number(tally.late_pauses),
        }
    }
}

impl Shows<PeriodView> for v1::ReportPeriod {
    fn shows(view: &PeriodView) -> Self {
        let (start_date, end_date) = ends(view.at.id.days());
        let (closer, close_time) = signed(view.closed.as_ref());
        let state = match (&view.closed, view.is_over) {
            (Some(_), _) => v1::ReportPeriodState::Closed,
            (None, true) => v1::ReportPeriodState::Closable,
            (None, false) => v1::ReportPeriodState::Open,
        };
        Self {
            name: name::period(&view.at.site, &view.at.id),
            start_date,
            end_date,
            state: state.into(),
            closable_time: Some(timestamp(view.closes_from)),
            close_time,
            closer,
        }
    }
}

impl Shows<CorrectionView> for v1::Correction {
    fn shows(view: &CorrectionView) -> Self {
        Self {
            standard: name::standard(&view.promise.code),
            title: label(&view.promise.title),
            care_group: group_name(&view.correction.cell),
            closed: Some(view.correction.closed.to_wire()),
            current: Some(view.correction.current.to_wire()),
            causes: view.causes.clone(),
            further_causes_count: i32::try_from(view.further_causes).unwrap_or(i32::MAX),
        }
    }
}

impl Shows<VisitRateView> for v1::VisitRate {
    fn shows(view: &VisitRateView) -> Self {
        let rate = view.rate;
        let current = view.current.filter(|current| *current != rate);
        Self {
            residents: Some(number(rate.residents)),
            visited: Some(number(rate.visited)),
            away: Some(number(rate.away)),
            rate_percent: tenths(rate.visited, rate.residents),
            current_visited: current.map(|current| number(current.visited)),
            current_residents: current.map(|current| number(current.residents)),
            ..month(view)
        }
    }
}

/// A visit rate as others may see it.
fn published(view: &VisitRateView) -> v1::VisitRate {
    match view.rate.published() {
        Some(rate) => v1::VisitRate {
            residents_at_least: Some(number(rate.residents_at_least)),
            rate_percent: Some(rate.percent.into()),
            ..month(view)
        },
        None => v1::VisitRate { withheld: true, ..month(view) },
    }
}

fn month(view: &VisitRateView) -> v1::VisitRate {
    let (start_date, end_date) = ends(view.days);
    v1::VisitRate {
        site: name::site(&view.site),
        start_date,
        end_date,
        as_of_time: Some(timestamp(view.as_of)),
        closed: view.current.is_some(),
        ..v1::VisitRate::default()
    }
}

impl Shows<WorkloadRow> for v1::PostWorkload {
    fn shows(row: &WorkloadRow) -> Self {
        let (period_start_date, period_end_date) = ends(row.days);
        let (post, display_name) = row
            .post
            .as_ref()
            .map_or_else(Default::default, |(id, title)| (name::post(&row.site, id), title.clone()));
        Self {
            post,
            display_name,
            department: row.department.number(),
            period_start_date,
            period_end_date,
            subjects_count: number(row.work.subjects()),
            required: number(row.work.required),
            contacts: number(row.work.contacts()),
            wanting: number(row.work.wanting),
        }
    }
}

fn group_name(cell: &Cell) -> String {
    match cell {
        Cell::Group(group) => name::care_group(group),
        Cell::All | Cell::Tier(_) | Cell::Post(_) => String::new(),
    }
}

/// The first and the last day.
fn ends(days: DateRange) -> (String, String) {
    (days.start().to_string(), days.end().plus_days(-1).to_string())
}

fn number(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
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
    let breakdown = check.take("breakdown", parse_breakdown(message.breakdown));
    let parsed = site.zip(period).zip(from.zip(to)).zip(department.zip(standards)).zip(breakdown);
    let ((((site, period), (from, to)), (department, standards)), breakdown) = check.finish(parsed)?;
    Ok(ReportRequest { site, period, from, to, department, standards, breakdown })
}

fn parse_breakdown(number: i32) -> std::result::Result<Breakdown, Invalid> {
    match v1::ComplianceBreakdown::try_from(number) {
        Ok(v1::ComplianceBreakdown::Unspecified) => Ok(Breakdown::Whole),
        Ok(v1::ComplianceBreakdown::Group) => Ok(Breakdown::Group),
        Ok(v1::ComplianceBreakdown::Tier) => Ok(Breakdown::Tier),
        Ok(v1::ComplianceBreakdown::Post) => Ok(Breakdown::Post),
        Err(_) => Err(Invalid::Unknown),
    }
}

fn workload_request(message: &v1::GetWorkloadRequest) -> Result<WorkloadRequest> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let period = check.take("period", parse_period(message.period));
    let from = check.date("start_date", &message.start_date);
    let to = check.date("end_date", &message.end_date);
    let department = check.take("department", Department::optional(message.department));
    let parsed = site.zip(period).zip(from.zip(to)).zip(department);
    let (((site, period), (from, to)), department) = check.finish(parsed)?;
    Ok(WorkloadRequest { site, period, from, to, department })
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
