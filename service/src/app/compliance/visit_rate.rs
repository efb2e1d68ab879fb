//! The authority's monthly visit rate.

use linli_core::calendar::calendar_window;
use linli_core::compliance::{Person, ReportPeriod, VisitRate};
use linli_core::id::{SiteId, SubjectKind};
use linli_core::invalid::Invalid;
use linli_core::standard::Period;
use linli_core::time::{CivilDate, DateRange, Instant};
use linli_store::Sight;

use crate::app::App;
use crate::app::estate::{Estate, Owed, days_in_care};
use crate::app::site::invalid;
use crate::auth::Call;
use crate::error::Result;

/// The visit rate of a month as answers show it.
#[derive(Debug, Clone)]
pub struct VisitRateView {
    /// The site.
    pub site: SiteId,
    /// The days of the month.
    pub days: DateRange,
    /// The instant for which it holds.
    pub as_of: Instant,
    /// The rate: as it was closed, where the month was.
    pub rate: VisitRate,
    /// Where the month was closed: the rate as of now.
    pub current: Option<VisitRate>,
}

impl App {
    /// Of the elders in special difficulty, how many were visited in the month that holds a day; `None`: the present one.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFound`], [`crate::error::Error::Invalid`], [`crate::error::Error::CalendarYearMissing`],
    /// [`crate::error::Error::Denied`].
    pub async fn visit_rate(
        &self,
        call: &Call,
        site: &SiteId,
        day: Option<CivilDate>,
    ) -> Result<VisitRateView> {
        let work = self.begin(call, Some(site)).await?;
        let days = calendar_window(Period::Month, day.unwrap_or(work.today()))
            .ok_or_else(|| invalid("date", Invalid::DateRange))?;
        let estate = Estate::open(self, work.site()?, work.now, days, Sight::All).await?;
        let mut now = VisitRate::default();
        let mut walk = estate.walk(|standard| standard.subject == SubjectKind::Resident);
        while let Some(batch) = estate.next(&mut walk).await? {
            batch.iter().for_each(|owed| add_visit(&mut now, &estate, owed, days));
        }
        let closed = match ReportPeriod::beginning(Period::Month, days.start()) {
            Some(period) => self.store.closed_period(site, period).await?,
            None => None,
        };
        let frozen = closed.and_then(|closed| Some((closed.closed.at, closed.visits?)));
        let (as_of, rate) = frozen.unwrap_or((work.now, now));
        let current = frozen.map(|_| now);
        Ok(VisitRateView { site: site.clone(), days, as_of, rate, current })
    }
}

/// Counts a subject, where it is a resident.
pub(super) fn add_visit(rate: &mut VisitRate, estate: &Estate<'_>, owed: &Owed, month: DateRange) {
    let Some(care) = &owed.care else { return };
    let tenure = days_in_care(care, estate.site.zone);
    let person =
        Person { attention: &care.attention, tenure: &tenure, records: &owed.records, pauses: &care.pauses };
    rate.add(&person, month, estate.site.zone, estate.now);
}
