//! `FundService`.

use std::collections::BTreeSet;

use linli_core::fund::{
    Account, BudgetLine, Cause, Fen, FundPurpose, FundReport, FundYear, LINES_MAX, LedgerEntry, Movement,
    PEOPLE_MAX, Progress, ReportLine, SpendingState,
};
use linli_core::id::LineId;
use linli_core::invalid::Invalid;
use linli_core::text::{Label, Line};
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, date, etag, label, parse_etag};
use super::page::Binding;
use super::request::{next, one, text, wanted};
use crate::app::fund::{
    FundView, NewLine, NewPayment, NewSpending, SpendingFilter, SpendingTarget, SpendingView,
};
use crate::error::Result;
use crate::name::{self, InSite};

type Answer<M> = std::result::Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::fund_service_server::FundService for Face {
    async fn get_fund(&self, request: Request<v1::GetFundRequest>) -> Answer<v1::Fund> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_fund(&message.name))?;
            app.fund(&call, &at).await.map(|fund| fund.to_wire())
        })
        .await
    }

    async fn open_fund_year(&self, request: Request<v1::OpenFundYearRequest>) -> Answer<v1::Fund> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let year = check.take("year", FundYear::from_number(message.year));
            let lines = new_lines(&mut check, &message.lines);
            let ((site, id), lines) = check.finish(site.zip(year).zip(lines))?;
            app.open_fund_year(&call, repeat, InSite { site, id }, lines).await
        })
        .await
    }

    async fn amend_budget(&self, request: Request<v1::AmendBudgetRequest>) -> Answer<v1::Fund> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_fund(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let lines = new_lines(&mut check, &message.lines);
            let reason = check.take("reason", Line::new(&message.reason));
            let ((at, version), (lines, reason)) = check.finish(at.zip(version).zip(lines.zip(reason)))?;
            app.amend_budget(&call, repeat, at, version, lines, reason).await
        })
        .await
    }

    async fn get_spending(&self, request: Request<v1::GetSpendingRequest>) -> Answer<v1::Spending> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_spending(&message.name))?;
            app.spending(&call, &at).await.map(|spending| spending.to_wire())
        })
        .await
    }

    async fn list_spending(
        &self,
        request: Request<v1::ListSpendingRequest>,
    ) -> Answer<v1::ListSpendingResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("parent", name::parse_fund(&message.parent));
            let state = check.take("state", SpendingState::optional(message.state));
            let line = check.optional("line", &message.line, LineId::new);
            let (at, (state, line)) = check.finish(at.zip(state.zip(line)))?;
            let query: [&[u8]; 3] =
                [message.parent.as_bytes(), &message.state.to_be_bytes(), message.line.as_bytes()];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.spendings(&call, &at, &SpendingFilter { state, line }, wanted).await?;
            Ok(v1::ListSpendingResponse {
                spendings: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn request_spending(&self, request: Request<v1::RequestSpendingRequest>) -> Answer<v1::Spending> {
        self.write(request, |app, call, repeat, message| async move {
            let (at, new) = new_spending(&message)?;
            app.request_spending(&call, repeat, at, new).await
        })
        .await
    }

    async fn approve_spending(&self, request: Request<v1::ApproveSpendingRequest>) -> Answer<v1::Spending> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let target = target(&mut check, &message.name, &message.etag);
            let target = check.finish(target)?;
            app.approve_spending(&call, repeat, target).await
        })
        .await
    }

    async fn reject_spending(&self, request: Request<v1::RejectSpendingRequest>) -> Answer<v1::Spending> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let target = target(&mut check, &message.name, &message.etag);
            let reason = check.take("reason", Line::new(&message.reason));
            let (target, reason) = check.finish(target.zip(reason))?;
            app.reject_spending(&call, repeat, target, reason).await
        })
        .await
    }

    async fn record_disbursement(
        &self,
        request: Request<v1::RecordDisbursementRequest>,
    ) -> Answer<v1::Spending> {
        self.write(request, |app, call, repeat, message| async move {
            let (target, payment) = new_payment(&message)?;
            app.record_disbursement(&call, repeat, target, payment).await
        })
        .await
    }

    async fn get_ledger(&self, request: Request<v1::GetLedgerRequest>) -> Answer<v1::GetLedgerResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_fund(&message.name));
            let line = check.optional("line", &message.line, LineId::new);
            let (at, line) = check.finish(at.zip(line))?;
            let binding = Binding::new(&call, &[message.name.as_bytes(), message.line.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.ledger(&call, &at, line.as_ref(), wanted).await?;
            Ok(v1::GetLedgerResponse {
                entries: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn publish_report(&self, request: Request<v1::PublishReportRequest>) -> Answer<v1::FundReport> {
        self.write(request, |app, call, repeat, message| async move {
            let at = one("name", name::parse_fund(&message.name))?;
            app.publish_report(&call, repeat, at).await
        })
        .await
    }

    async fn list_reports(
        &self,
        request: Request<v1::ListReportsRequest>,
    ) -> Answer<v1::ListReportsResponse> {
        self.read(request, |app, call, message| async move {
            let at = one("parent", name::parse_fund(&message.parent))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.fund_reports(&call, &at, wanted).await?;
            Ok(v1::ListReportsResponse {
                reports: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }
}

fn new_lines(check: &mut Check, lines: &[v1::BudgetLine]) -> Option<Vec<NewLine>> {
    if lines.is_empty() {
        check.refuse("lines", Invalid::Missing);
    }
    if lines.len() > LINES_MAX {
        check.refuse("lines", Invalid::TooMany { max: LINES_MAX });
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut parsed = Vec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        let field = |name: &str| format!("lines[{at}].{name}");
        let id = if line.line.is_empty() { Err(Invalid::Missing) } else { LineId::new(&line.line) };
        let id = check.take(field("line"), id);
        if let Some(id) = &id
            && !seen.insert(id.clone())
        {
            check.refuse(field("line"), Invalid::Duplicate);
        }
        let title = check.take(field("display_name"), Line::optional(&line.display_name));
        let purpose = check.take(field("purpose"), FundPurpose::optional(line.purpose));
        let budget = check.take(field("budget_fen"), Fen::new(line.budget_fen));
        if let (Some((id, budget)), Some((title, purpose))) = (id.zip(budget), title.zip(purpose)) {
            parsed.push(NewLine { id, title, purpose, budget });
        }
    }
    (parsed.len() == lines.len()).then_some(parsed)
}

fn new_spending(message: &v1::RequestSpendingRequest) -> Result<(InSite<FundYear>, NewSpending)> {
    let mut check = Check::new();
    let at = check.take("parent", name::parse_fund(&message.parent));
    let spending = message.spending.clone().unwrap_or_default();
    let line = if spending.line.is_empty() { Err(Invalid::Missing) } else { LineId::new(&spending.line) };
    let line = check.take("spending.line", line);
    let title = check.take("spending.display_name", Line::new(&spending.display_name));
    let amount = check.take("spending.amount_fen", Fen::new(spending.amount_fen));
    let about = check.optional("spending.about", &spending.about, name::parse_cause);
    if let (Some(at), Some(Some(about))) = (&at, &about) {
        check.same_site("spending.about", &at.site, &about.site);
    }
    let cause = about.map(|about| about.map(|about| about.id));
    let people = check.take("spending.people_count", people(spending.people_count, cause.as_ref()));
    let parsed = at.zip(line.zip(title)).zip(amount.zip(cause.zip(people)));
    let ((at, (line, title)), (amount, (cause, people))) = check.finish(parsed)?;
    Ok((at, NewSpending { line, title, amount, cause, people }))
}

/// How many people a spending is for: one, where it is for a resident.
fn people(count: i32, cause: Option<&Option<Cause>>) -> std::result::Result<u32, Invalid> {
    let count = u32::try_from(count).map_err(|_| Invalid::TooSmall { min: 0 })?;
    let (count, max) = match cause {
        Some(Some(Cause::Resident(_))) => (count.max(1), 1),
        Some(Some(Cause::Activity(_) | Cause::Request(_)) | None) | None => (count, PEOPLE_MAX),
    };
    if count > max { Err(Invalid::TooLarge { max: i64::from(max) }) } else { Ok(count) }
}

fn target(check: &mut Check, name: &str, etag: &str) -> Option<SpendingTarget> {
    let at = check.take("name", name::parse_spending(name));
    let version = check.take("etag", parse_etag(etag));
    at.zip(version).map(|(at, version)| SpendingTarget { at, version })
}

fn new_payment(message: &v1::RecordDisbursementRequest) -> Result<(SpendingTarget, NewPayment)> {
    let mut check = Check::new();
    let target = target(&mut check, &message.name, &message.etag);
    let amount = match Fen::new(message.amount_fen) {
        Err(Invalid::Missing) => Some(None),
        amount => check.take("amount_fen", amount).map(Some),
    };
    let voucher = check.take("voucher", Line::new(&message.voucher));
    let paid_on = check.date("pay_date", &message.pay_date);
    let ((target, amount), (voucher, paid_on)) =
        check.finish(target.zip(amount).zip(voucher.zip(paid_on)))?;
    Ok((target, NewPayment { amount, voucher, paid_on }))
}

/// A number of something that is never near the end of its type.
fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The names of a value of a closed list.
fn words(zh: &str, en: &str) -> Option<v1::LocalizedText> {
    label(&Label::new(zh, en))
}

impl Shows<FundView> for v1::Fund {
    fn shows(view: &FundView) -> Self {
        let fund = &view.fund;
        Self {
            name: name::fund(&fund.site, &fund.year),
            etag: etag(fund.version),
            year: fund.year.number(),
            lines: view.lines.iter().map(ToWire::to_wire).collect(),
            opener: name::staff(&fund.opened_by),
            open_time: Some(timestamp(fund.opened_at)),
            report_count: i32::try_from(fund.reports).unwrap_or(i32::MAX),
        }
    }
}

impl Shows<BudgetLine> for v1::BudgetLine {
    fn shows(line: &BudgetLine) -> Self {
        Self {
            line: line.id.as_str().to_owned(),
            display_name: line.title.as_str().to_owned(),
            purpose: line.purpose.number(),
            purpose_name: words(line.purpose.zh(), line.purpose.en()),
            budget_fen: line.budget().get(),
            committed_fen: line.committed.get(),
            spent_fen: line.spent.get(),
            available_fen: line.available.get(),
        }
    }
}

impl Shows<SpendingView> for v1::Spending {
    fn shows(view: &SpendingView) -> Self {
        let spending = &view.spending;
        let (decided, reason, payment) = match &spending.progress {
            Progress::Requested => (None, None, None),
            Progress::Approved(approved) => (Some(approved), None, None),
            Progress::Rejected { by, reason } => (Some(by), Some(reason), None),
            Progress::Disbursed { approved, payment } => (Some(approved), None, Some(payment)),
        };
        let about = spending.cause.as_ref().map(|cause| name::cause(&spending.site, cause));
        let state = spending.state();
        Self {
            name: name::spending(&spending.site, spending.year, &spending.id),
            etag: etag(spending.version),
            line: spending.line.as_str().to_owned(),
            display_name: spending.title.as_str().to_owned(),
            amount_fen: spending.amount.get(),
            about: about.unwrap_or_default(),
            people_count: i32::try_from(spending.people).unwrap_or(i32::MAX),
            purpose: view.purpose.number(),
            purpose_name: words(view.purpose.zh(), view.purpose.en()),
            state: state.number(),
            state_name: words(state.zh(), state.en()),
            requester: name::staff(&spending.requested.by),
            request_time: Some(timestamp(spending.requested.at)),
            decider: decided.map(|hand| name::staff(&hand.by)).unwrap_or_default(),
            decide_time: decided.map(|hand| timestamp(hand.at)),
            reject_reason: text(reason),
            paid_fen: payment.map_or(0, |payment| payment.amount.get()),
            voucher: text(payment.map(|payment| &payment.voucher)),
            pay_date: date(payment.map(|payment| payment.paid_on)),
            payer: payment.map(|payment| name::staff(&payment.booked.by)).unwrap_or_default(),
            pay_record_time: payment.map(|payment| timestamp(payment.booked.at)),
        }
    }
}

impl Shows<LedgerEntry> for v1::LedgerEntry {
    fn shows(entry: &LedgerEntry) -> Self {
        let spending = entry.spending.as_ref().map(|id| name::spending(&entry.site, entry.year, id));
        let movement: Movement = entry.movement;
        let (debit, credit): (Account, Account) = (movement.debit(), movement.credit());
        Self {
            line: entry.line.as_str().to_owned(),
            number: count(entry.number),
            movement: movement.number(),
            movement_name: words(movement.zh(), movement.en()),
            debit: debit.number(),
            credit: credit.number(),
            amount_fen: entry.amount.get(),
            spending: spending.unwrap_or_default(),
            note: text(entry.note.as_ref()),
            booker: name::staff(&entry.booked.by),
            book_time: Some(timestamp(entry.booked.at)),
        }
    }
}

impl Shows<FundReport> for v1::FundReport {
    fn shows(report: &FundReport) -> Self {
        let (together, total) = (report.shown.together, report.shown.total());
        Self {
            name: name::fund_report(&report.site, report.year, report.number),
            lines: report.shown.lines.iter().map(ToWire::to_wire).collect(),
            together_fen: together.amount.get(),
            together_helped_count: count(together.helped),
            total_fen: total.amount.get(),
            total_helped_count: count(total.helped),
            record: name::record(&report.site, &report.record),
            publisher: name::staff(&report.published.by),
            publish_time: Some(timestamp(report.published.at)),
        }
    }
}

impl Shows<ReportLine> for v1::FundReportLine {
    fn shows(line: &ReportLine) -> Self {
        Self {
            line: line.line.as_str().to_owned(),
            display_name: line.title.as_str().to_owned(),
            purpose: line.purpose.number(),
            purpose_name: words(line.purpose.zh(), line.purpose.en()),
            budget_fen: line.budget.get(),
            paid_fen: line.paid.amount.get(),
            helped_count: count(line.paid.helped),
            withheld: line.withheld,
        }
    }
}
