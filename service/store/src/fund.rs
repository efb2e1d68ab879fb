//! The special fund: fund years, budget lines with their ledger, spendings, publications. Nothing of it is sealed: amounts,
//! purposes and resource names, no words about anybody.
//!
//! A budget line is a versioned row: whoever moves its money guards on the version that they read, so that two approvals at the
//! same time cannot both take the same money. Entries of the ledger are only ever added; the schema refuses anything else.

use linli_core::fund::{
    BudgetLine, Cause, Fen, Fund, FundPurpose, FundReport, FundYear, Hand, LedgerEntry, Movement, Payment,
    Progress, Spending, SpendingState,
};
use linli_core::id::{ActivityId, LineId, RecordId, RequestId, ResidentId, SiteId, SpendingId, StaffId};
use linli_core::text::Line;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Rows};
use crate::convert::{date, days, instant, version, version_column};
use crate::error::StoreError;
use crate::form;
use crate::page::{PAGE_MAX, padded};
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Table, fund, fund_entry, fund_line, fund_report, fund_spending};

impl ChangeSet {
    /// Stores a fund year: version 1 is new, a higher one follows the one before it.
    pub fn put_fund(&mut self, fund: Fund) -> &mut Self {
        self.push(Change::Fund(Box::new(fund)))
    }

    /// Stores a budget line: version 1 is new, a higher one follows the one before it, and is refused as
    /// [`crate::CommitError::Stale`] with `budget line` where somebody moved its money meanwhile.
    pub fn put_budget_line(&mut self, line: BudgetLine) -> &mut Self {
        self.push(Change::BudgetLine(Box::new(line)))
    }

    /// Adds an entry to the ledger.
    pub fn add_ledger_entry(&mut self, entry: LedgerEntry) -> &mut Self {
        self.push(Change::LedgerEntry(Box::new(entry)))
    }

    /// Stores a spending: version 1 is new, a higher one follows the one before it.
    pub fn put_spending(&mut self, spending: Spending) -> &mut Self {
        self.push(Change::Spending(Box::new(spending)))
    }

    /// Adds a publication. Its number is the fund's: store that with it.
    pub fn add_fund_report(&mut self, report: FundReport) -> &mut Self {
        self.push(Change::FundReport(Box::new(report)))
    }
}

pub(crate) fn fund_rows(value: &Fund, rows: &mut Rows) {
    let row = fund::Model {
        site: value.site.as_str().to_owned(),
        year: year_column(value.year),
        version: version_column(value.version),
        opened_by: value.opened_by.as_str().to_owned(),
        opened_at: value.opened_at.micros(),
        reports: version_column(value.reports),
    };
    rows.put_versioned(Table::Fund, row, "fund");
}

pub(crate) fn line_rows(value: &BudgetLine, rows: &mut Rows) {
    let row = fund_line::Model {
        site: value.site.as_str().to_owned(),
        year: year_column(value.year),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        title: value.title.as_str().to_owned(),
        purpose: value.purpose.code().to_owned(),
        available: value.available.get(),
        committed: value.committed.get(),
        spent: value.spent.get(),
        entries: version_column(value.entries),
    };
    rows.put_versioned(Table::FundLine, row, "budget line");
}

pub(crate) fn entry_rows(value: &LedgerEntry, rows: &mut Rows) {
    let row = fund_entry::Model {
        site: value.site.as_str().to_owned(),
        year: year_column(value.year),
        line: value.line.as_str().to_owned(),
        number: version_column(value.number),
        movement: value.movement.code().to_owned(),
        amount: value.amount.get(),
        spending: value.spending.as_ref().map(|id| id.as_str().to_owned()),
        resident: value.resident.as_ref().map(|id| id.as_str().to_owned()),
        people: i64::from(value.people),
        note: value.note.as_ref().map(|note| note.as_str().to_owned()),
        booked_by: value.booked.by.as_str().to_owned(),
        booked_at: value.booked.at.micros(),
    };
    rows.append(Table::FundEntry, row);
}

pub(crate) fn spending_rows(value: &Spending, rows: &mut Rows) {
    let (decided, reason, payment) = match &value.progress {
        Progress::Requested => (None, None, None),
        Progress::Approved(approved) => (Some(approved), None, None),
        Progress::Rejected { by, reason } => (Some(by), Some(reason), None),
        Progress::Disbursed { approved, payment } => (Some(approved), None, Some(payment)),
    };
    let cause = value.cause.as_ref().map(cause_columns);
    let row = fund_spending::Model {
        site: value.site.as_str().to_owned(),
        year: year_column(value.year),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        line: value.line.as_str().to_owned(),
        title: value.title.as_str().to_owned(),
        amount: value.amount.get(),
        cause_kind: cause.map(|(kind, _)| kind.to_owned()),
        cause: cause.map(|(_, id)| id.to_owned()),
        people: i64::from(value.people),
        requested_by: value.requested.by.as_str().to_owned(),
        requested_at: value.requested.at.micros(),
        state: value.state().code().to_owned(),
        decided_by: decided.map(|hand| hand.by.as_str().to_owned()),
        decided_at: decided.map(|hand| hand.at.micros()),
        reason: reason.map(|reason| reason.as_str().to_owned()),
        paid: payment.map(|payment| payment.amount.get()),
        voucher: payment.map(|payment| payment.voucher.as_str().to_owned()),
        paid_on: payment.map(|payment| days(payment.paid_on)),
        paid_by: payment.map(|payment| payment.booked.by.as_str().to_owned()),
        paid_at: payment.map(|payment| payment.booked.at.micros()),
    };
    rows.put_versioned(Table::FundSpending, row, "spending");
}

pub(crate) fn report_rows(value: &FundReport, rows: &mut Rows) {
    let row = fund_report::Model {
        site: value.site.as_str().to_owned(),
        year: year_column(value.year),
        number: version_column(value.number),
        published_by: value.published.by.as_str().to_owned(),
        published_at: value.published.at.micros(),
        record: value.record.as_str().to_owned(),
        detail: form::encode_published(&value.shown),
    };
    rows.append(Table::FundReport, row);
}

impl Store {
    /// A fund year.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fund(&self, site: &SiteId, year: FundYear) -> Result<Option<Fund>, StoreError> {
        let found = fund::Entity::find()
            .filter(fund::Column::Site.eq(site.as_str()))
            .filter(fund::Column::Year.eq(year_column(year)))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_fund).transpose()
    }

    /// The budget lines of a fund year, by id: few enough to be read at once
    /// ([`linli_core::fund::LINES_MAX`]).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn budget_lines(&self, site: &SiteId, year: FundYear) -> Result<Vec<BudgetLine>, StoreError> {
        let found = fund_line::Entity::find()
            .filter(fund_line::Column::Site.eq(site.as_str()))
            .filter(fund_line::Column::Year.eq(year_column(year)))
            .order_by_asc(fund_line::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_line).collect()
    }

    /// One budget line.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn budget_line(
        &self,
        site: &SiteId,
        year: FundYear,
        id: &LineId,
    ) -> Result<Option<BudgetLine>, StoreError> {
        let found = fund_line::Entity::find()
            .filter(fund_line::Column::Site.eq(site.as_str()))
            .filter(fund_line::Column::Year.eq(year_column(year)))
            .filter(fund_line::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_line).transpose()
    }

    /// Entries of the ledger by line and number, after an entry; of one line where `line` says so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ledger_entries(
        &self,
        site: &SiteId,
        year: FundYear,
        line: Option<&LineId>,
        after: Option<(&LineId, u64)>,
        limit: u64,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        let mut query = fund_entry::Entity::find()
            .filter(fund_entry::Column::Site.eq(site.as_str()))
            .filter(fund_entry::Column::Year.eq(year_column(year)));
        if let Some(line) = line {
            query = query.filter(fund_entry::Column::Line.eq(line.as_str()));
        }
        if let Some((seen, number)) = after {
            let later = fund_entry::Column::Number.gt(version_column(number));
            query = query.filter(if line == Some(seen) {
                Condition::all().add(later)
            } else {
                let same = Condition::all().add(fund_entry::Column::Line.eq(seen.as_str())).add(later);
                Condition::any().add(fund_entry::Column::Line.gt(seen.as_str())).add(same)
            });
        }
        let found = query
            .order_by_asc(fund_entry::Column::Line)
            .order_by_asc(fund_entry::Column::Number)
            .limit(limit.clamp(1, PAGE_MAX))
            .all(self.reader())
            .await?;
        found.into_iter().map(to_entry).collect()
    }

    /// A spending.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn spending(
        &self,
        site: &SiteId,
        year: FundYear,
        id: &SpendingId,
    ) -> Result<Option<Spending>, StoreError> {
        let found = fund_spending::Entity::find()
            .filter(fund_spending::Column::Site.eq(site.as_str()))
            .filter(fund_spending::Column::Year.eq(year_column(year)))
            .filter(fund_spending::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_spending).transpose()
    }

    /// A page of the spendings of a fund year, by id, which is the order in which they were asked for; `after` is the last id seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn spendings(
        &self,
        site: &SiteId,
        year: FundYear,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Spending>, StoreError> {
        let mut query = fund_spending::Entity::find()
            .filter(fund_spending::Column::Site.eq(site.as_str()))
            .filter(fund_spending::Column::Year.eq(year_column(year)));
        if let Some(after) = after {
            query = query.filter(fund_spending::Column::Id.gt(after));
        }
        let limit = limit.clamp(1, PAGE_MAX);
        let found = query.order_by_asc(fund_spending::Column::Id).limit(limit).all(self.reader()).await?;
        found.into_iter().map(to_spending).collect()
    }

    /// The spendings of every fund year that are for these activities, by year and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn spendings_for(
        &self,
        site: &SiteId,
        activities: &[ActivityId],
    ) -> Result<Vec<Spending>, StoreError> {
        if activities.is_empty() {
            return Ok(Vec::new());
        }
        let found = fund_spending::Entity::find()
            .filter(fund_spending::Column::Site.eq(site.as_str()))
            .filter(fund_spending::Column::CauseKind.eq("activity"))
            .filter(fund_spending::Column::Cause.is_in(padded(activities.iter().map(ActivityId::as_str))))
            .order_by_asc(fund_spending::Column::Year)
            .order_by_asc(fund_spending::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_spending).collect()
    }

    /// A page of the publications of a fund year, by number; `after` is the last number seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fund_reports(
        &self,
        site: &SiteId,
        year: FundYear,
        after: u64,
        limit: u64,
    ) -> Result<Vec<FundReport>, StoreError> {
        let found = fund_report::Entity::find()
            .filter(fund_report::Column::Site.eq(site.as_str()))
            .filter(fund_report::Column::Year.eq(year_column(year)))
            .filter(fund_report::Column::Number.gt(version_column(after)))
            .order_by_asc(fund_report::Column::Number)
            .limit(limit.clamp(1, PAGE_MAX))
            .all(self.reader())
            .await?;
        found.into_iter().map(to_report).collect()
    }
}

fn year_column(year: FundYear) -> i64 {
    i64::from(year.number())
}

fn to_year(year: i64) -> Option<FundYear> {
    FundYear::from_number(i32::try_from(year).ok()?).ok()
}

fn hand(by: &str, at: i64) -> Option<Hand> {
    Some(Hand { by: StaffId::new(by).ok()?, at: instant(at)? })
}

fn cause_columns(cause: &Cause) -> (&'static str, &str) {
    match cause {
        Cause::Resident(id) => ("resident", id.as_str()),
        Cause::Activity(id) => ("activity", id.as_str()),
        Cause::Request(id) => ("request", id.as_str()),
    }
}

fn to_cause(kind: &str, id: &str) -> Option<Cause> {
    match kind {
        "resident" => ResidentId::new(id).ok().map(Cause::Resident),
        "activity" => ActivityId::new(id).ok().map(Cause::Activity),
        "request" => RequestId::new(id).ok().map(Cause::Request),
        _ => None,
    }
}

fn to_fund(row: fund::Model) -> Result<Fund, StoreError> {
    let build = || {
        Some(Fund {
            site: SiteId::new(&row.site).ok()?,
            year: to_year(row.year)?,
            opened_by: StaffId::new(&row.opened_by).ok()?,
            opened_at: instant(row.opened_at)?,
            reports: version(row.reports)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "fund" })
}

fn to_line(row: fund_line::Model) -> Result<BudgetLine, StoreError> {
    let build = || {
        Some(BudgetLine {
            site: SiteId::new(&row.site).ok()?,
            year: to_year(row.year)?,
            id: LineId::new(&row.id).ok()?,
            title: Line::new(&row.title).ok()?,
            purpose: FundPurpose::from_code(&row.purpose).ok()?,
            available: Fen::balance(row.available)?,
            committed: Fen::balance(row.committed)?,
            spent: Fen::balance(row.spent)?,
            entries: version(row.entries)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "fund_line" })
}

fn to_entry(row: fund_entry::Model) -> Result<LedgerEntry, StoreError> {
    let build = || {
        Some(LedgerEntry {
            site: SiteId::new(&row.site).ok()?,
            year: to_year(row.year)?,
            line: LineId::new(&row.line).ok()?,
            number: version(row.number)?,
            movement: Movement::from_code(&row.movement).ok()?,
            amount: Fen::new(row.amount).ok()?,
            spending: row.spending.as_deref().map(SpendingId::new).transpose().ok()?,
            resident: row.resident.as_deref().map(ResidentId::new).transpose().ok()?,
            people: u32::try_from(row.people).ok()?,
            note: row.note.as_deref().map(Line::new).transpose().ok()?,
            booked: hand(&row.booked_by, row.booked_at)?,
        })
    };
    build().ok_or(StoreError::Row { table: "fund_entry" })
}

fn to_spending(row: fund_spending::Model) -> Result<Spending, StoreError> {
    let build = || {
        let decided = || hand(row.decided_by.as_deref()?, row.decided_at?);
        let progress = match SpendingState::from_code(&row.state).ok()? {
            SpendingState::Requested => Progress::Requested,
            SpendingState::Approved => Progress::Approved(decided()?),
            SpendingState::Rejected => {
                Progress::Rejected { by: decided()?, reason: Line::new(row.reason.as_deref()?).ok()? }
            }
            SpendingState::Disbursed => Progress::Disbursed {
                approved: decided()?,
                payment: Payment {
                    amount: Fen::new(row.paid?).ok()?,
                    voucher: Line::new(row.voucher.as_deref()?).ok()?,
                    paid_on: date(row.paid_on?)?,
                    booked: hand(row.paid_by.as_deref()?, row.paid_at?)?,
                },
            },
        };
        let cause = match (&row.cause_kind, &row.cause) {
            (Some(kind), Some(id)) => Some(to_cause(kind, id)?),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return None,
        };
        Some(Spending {
            site: SiteId::new(&row.site).ok()?,
            year: to_year(row.year)?,
            id: SpendingId::new(&row.id).ok()?,
            line: LineId::new(&row.line).ok()?,
            title: Line::new(&row.title).ok()?,
            amount: Fen::new(row.amount).ok()?,
            cause,
            people: u32::try_from(row.people).ok()?,
            requested: hand(&row.requested_by, row.requested_at)?,
            progress,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "fund_spending" })
}

fn to_report(row: fund_report::Model) -> Result<FundReport, StoreError> {
    let build = || {
        Some(FundReport {
            site: SiteId::new(&row.site).ok()?,
            year: to_year(row.year)?,
            number: version(row.number)?,
            published: hand(&row.published_by, row.published_at)?,
            record: RecordId::new(&row.record).ok()?,
            shown: form::decode_published(&row.detail)?,
        })
    };
    build().ok_or(StoreError::Row { table: "fund_report" })
}
