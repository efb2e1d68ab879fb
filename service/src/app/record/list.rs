//! Lists of records, without their words.

use linli_core::id::{RecordId, SiteId, Subject};
use linli_core::kind::ServiceKind;
use linli_core::record::ServiceRecord;
use linli_core::time::{CivilDate, Instant, SiteZone};
use linli_store::{PAGE_MAX, RecordFilter as StoredFilter, StoredRecord};

use super::RecordView;
use crate::app::scope::InScope;
use crate::app::{App, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name::Sites;

/// Which records a list holds; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    /// With this subject.
    pub subject: Option<Subject>,
    /// Of this kind.
    pub kind: Option<ServiceKind>,
    /// That occurred on this day or later.
    pub from: Option<CivilDate>,
    /// That occurred on this day or earlier.
    pub to: Option<CivilDate>,
}

impl App {
    /// Records without their words: newest occurrence first for one subject, else the last recorded first, site by
    /// site.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::PageToken`].
    pub async fn records(
        &self,
        call: &Call,
        sites: &Sites,
        filter: &RecordFilter,
        page: PageRequest,
    ) -> Result<Page<RecordView>> {
        let mut cursor = page.after.as_deref().map(Cursor::parse).transpose()?;
        let mut in_scope =
            InScope::new(self, call, sites, cursor.as_ref().map(|cursor| &cursor.site)).await?;
        let wanted = usize::try_from(page.size).unwrap_or(usize::MAX).saturating_add(1);
        let mut found: Vec<StoredRecord> = Vec::new();
        while let Some(site) = in_scope.next().await? {
            let place = cursor.take().filter(|cursor| cursor.site == site.id);
            let range = TimeRange::of(site.zone, filter);
            let rest = wanted.saturating_sub(found.len());
            found.extend(self.newest(&site.id, filter, range, place, rest).await?);
            if found.len() >= wanted {
                break;
            }
        }
        let page = Page::cut(found, page.size, |stored| Cursor::of(&stored.record).text());
        let items = page.items.into_iter();
        let items = items.map(|stored| RecordView::masked(stored.record, stored.first_recorded_at)).collect();
        Ok(Page { items, next: page.next })
    }

    /// Up to `limit` records of one site, the newest first.
    async fn newest(
        &self,
        site: &SiteId,
        filter: &RecordFilter,
        range: TimeRange,
        place: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>> {
        let rows = u64::try_from(limit).unwrap_or(PAGE_MAX);
        let Some(subject) = &filter.subject else {
            let stored = StoredFilter { kind: filter.kind, from: range.from, to: range.to };
            let before = place.as_ref().map(|place| &place.record);
            return Ok(self.store.records_newest(site, &stored, before, rows).await?);
        };
        let mut place = place.map(|place| (place.occurred_at, place.record));
        let mut found = Vec::new();
        // Kinds are not indexed: a subject has a few hundred records a year, which are read until the page is full.
        loop {
            let before = place.as_ref().map(|(at, id)| (*at, id));
            let batch = self.store.records_of(site, subject, range.from, range.to, before, rows).await?;
            let exhausted = batch.len() < limit;
            place = batch.last().map(|stored| (stored.record.occurred_at, stored.record.id.clone()));
            found.extend(
                batch.into_iter().filter(|stored| filter.kind.is_none_or(|kind| stored.record.kind == kind)),
            );
            if exhausted || found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }
}

/// When the records of a list occurred: from an instant up to but without another.
#[derive(Debug, Clone, Copy)]
struct TimeRange {
    from: Instant,
    to: Instant,
}

impl TimeRange {
    fn of(zone: SiteZone, filter: &RecordFilter) -> Self {
        Self {
            from: filter.from.map_or(Instant::MIN, |day| zone.start_of(day)),
            to: filter.to.map_or(Instant::MAX, |day| zone.start_of(day.plus_days(1))),
        }
    }
}

/// The last record of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    site: SiteId,
    occurred_at: Instant,
    record: RecordId,
}

impl Cursor {
    fn of(record: &ServiceRecord) -> Self {
        Self { site: record.site.clone(), occurred_at: record.occurred_at, record: record.id.clone() }
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.site, self.occurred_at.micros(), self.record)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split(' ');
        let mut part = || parts.next().ok_or(Error::PageToken);
        let site = SiteId::new(part()?).map_err(|_| Error::PageToken)?;
        let micros: i64 = part()?.parse().map_err(|_| Error::PageToken)?;
        let occurred_at = Instant::from_micros(micros).map_err(|_| Error::PageToken)?;
        let record = RecordId::new(part()?).map_err(|_| Error::PageToken)?;
        Ok(Self { site, occurred_at, record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_list_survives_the_token() {
        let cursor = Cursor {
            site: SiteId::new("s").unwrap(),
            occurred_at: Instant::clamped(-5),
            record: RecordId::new("r").unwrap(),
        };
        assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
        for bad in ["", "s", "s x r", "s 1", "S 1 r"] {
            assert!(matches!(Cursor::parse(bad), Err(Error::PageToken)), "{bad}");
        }
    }
}
