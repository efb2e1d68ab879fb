//! Closed periods: written once, never changed. Codes and counts, nothing sealed.

use linli_core::compliance::{ClosedPeriod, ReportPeriod};
use linli_core::id::{SiteId, StaffId};
use linli_core::staff::Signed;
use linli_core::standard::Period;
use linli_core::time::DateRange;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Expect, Rows};
use crate::convert::{date, days, instant};
use crate::error::StoreError;
use crate::form;
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Table, closed_period};

impl ChangeSet {
    /// Closes a period: once. A second time is refused as [`crate::CommitError::Exists`] with `period`.
    pub fn close_period(&mut self, closed: ClosedPeriod) -> &mut Self {
        self.push(Change::ClosedPeriod(Box::new(closed)))
    }
}

pub(crate) fn rows(value: &ClosedPeriod, rows: &mut Rows) {
    let (site, unit) = (value.site.as_str().to_owned(), unit_column(value.period.unit()).to_owned());
    let first_day = days(value.period.days().start());
    let key = vec![site.as_str().into(), unit.as_str().into(), first_day.into()];
    rows.guard(Table::ClosedPeriod, key, Expect::Absent, "period");
    let row = closed_period::Model {
        site,
        unit,
        first_day,
        closed_by: value.closed.by.as_str().to_owned(),
        closed_at: value.closed.at.micros(),
        detail: form::encode_closing(value),
    };
    rows.append(Table::ClosedPeriod, row);
}

impl Store {
    /// A closed period; `None` where nobody closed it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn closed_period(
        &self,
        site: &SiteId,
        period: ReportPeriod,
    ) -> Result<Option<ClosedPeriod>, StoreError> {
        let found = self.closed_periods(site, period.unit(), period.days()).await?;
        Ok(found.into_iter().next())
    }

    /// The closed periods of a unit that begin within some days, in order; none for other units than month and quarter.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn closed_periods(
        &self,
        site: &SiteId,
        unit: Period,
        begin: DateRange,
    ) -> Result<Vec<ClosedPeriod>, StoreError> {
        let found = closed_period::Entity::find()
            .filter(closed_period::Column::Site.eq(site.as_str()))
            .filter(closed_period::Column::Unit.eq(unit_column(unit)))
            .filter(closed_period::Column::FirstDay.gte(days(begin.start())))
            .filter(closed_period::Column::FirstDay.lt(days(begin.end())))
            .order_by_asc(closed_period::Column::FirstDay)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_closed).collect()
    }
}

/// The schema knows months and quarters; nothing is stored under the other names.
fn unit_column(unit: Period) -> &'static str {
    match unit {
        Period::Month => "month",
        Period::Quarter => "quarter",
        Period::Day | Period::Week | Period::Year | Period::EveryDays(_) => "other",
    }
}

fn to_closed(row: closed_period::Model) -> Result<ClosedPeriod, StoreError> {
    let build = || {
        let unit = if row.unit == "quarter" { Period::Quarter } else { Period::Month };
        let form::Closing { promises, figures, visits } = form::decode_closing(&row.detail)?;
        Some(ClosedPeriod {
            site: SiteId::new(&row.site).ok()?,
            period: ReportPeriod::beginning(unit, date(row.first_day)?)?,
            closed: Signed { by: StaffId::new(&row.closed_by).ok()?, at: instant(row.closed_at)? },
            promises,
            figures,
            visits,
        })
    };
    build().ok_or(StoreError::Row { table: "closed_period" })
}
