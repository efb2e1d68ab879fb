//! Lists of records, without their words.

use linli_core::id::{RecordId, SiteId, Subject};
use linli_core::kind::ServiceKind;
use linli_core::record::ServiceRecord;
use linli_core::time::{CivilDate, Instant, SiteZone};
use linli_store::{PAGE_MAX, RecordFilter as StoredFilter, StoredRecord};

use super::RecordView;
use crate::app::scope::InScope;
use crate::app::work::Work;
use crate::app::{App, BATCHES_MAX, Page, PageRequest};
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
        let mut found = Found { records: Vec::new(), wanted, batches: 0, looked_to: None };
        while let Some((site, work)) = in_scope.next().await? {
            let place = match cursor.take().filter(|cursor| cursor.site == site.id) {
                Some(Cursor { place: None, .. }) => continue,
                Some(Cursor { place, .. }) => place,
                None => None,
            };
            let range = TimeRange::of(site.zone, filter);
            self.newest(&work, &site.id, (filter, range), place, &mut found).await?;
            if found.is_full() || found.looked_to.is_some() {
                break;
            }
            if found.batches >= BATCHES_MAX {
                found.looked_to = Some(Cursor { site: site.id, place: None });
                break;
            }
        }
        let Found { records, looked_to, .. } = found;
        let page = Page::cut(records, page.size, |stored| Cursor::of(&stored.record).text());
        let items = page.items.into_iter();
        let items = items.map(|stored| RecordView::masked(stored.record, stored.first_recorded_at)).collect();
        Ok(Page { items, next: page.next.or_else(|| looked_to.map(|cursor| cursor.text())) })
    }

    /// Adds records of one site, the newest first, until the page is full or the call has looked through enough.
    async fn newest(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        (filter, range): (&RecordFilter, TimeRange),
        mut place: Option<(Instant, RecordId)>,
        found: &mut Found,
    ) -> Result<()> {
        let rows = u64::try_from(found.wanted).unwrap_or(PAGE_MAX);
        let Some(subject) = &filter.subject else {
            let stored = StoredFilter { kind: filter.kind, from: range.from, to: range.to };
            loop {
                let before = place.as_ref().map(|(_, record)| record);
                let batch = self.store.records_newest(site, &stored, before, rows).await?;
                let exhausted = batch.len() < found.wanted;
                place = batch.last().map(|stored| (stored.record.occurred_at, stored.record.id.clone()));
                found.batches += 1;
                found.add(self.known_records(work, site, batch).await?);
                if exhausted || found.is_full() {
                    return Ok(());
                }
                if found.batches >= BATCHES_MAX {
                    found.looked_to = Some(Cursor { site: site.clone(), place });
                    return Ok(());
                }
            }
        };
        // Those of a file that was merged are those of the survivor.
        let subjects = match subject {
            Subject::Resident(id) => match self.find_head(site, id).await? {
                Some(head) if !work.hides(&head.id) => {
                    head.files().into_iter().map(Subject::Resident).collect()
                }
                Some(_) | None => Vec::new(),
            },
            Subject::Dwelling(_)
            | Subject::Area(_)
            | Subject::Facility(_)
            | Subject::Request(_)
            | Subject::Site => vec![subject.clone()],
        };
        // Kinds are not indexed.
        loop {
            let before = place.as_ref().map(|(at, id)| (*at, id));
            let mut batch = Vec::new();
            for subject in &subjects {
                batch.extend(self.store.records_of(site, subject, range.from, range.to, before, rows).await?);
            }
            if subjects.len() > 1 {
                let key = |stored: &StoredRecord| (stored.record.occurred_at, stored.record.id.clone());
                batch.sort_by_key(|stored| std::cmp::Reverse(key(stored)));
                batch.dedup_by(|later, first| later.record.id == first.record.id);
                batch.truncate(found.wanted);
            }
            let exhausted = batch.len() < found.wanted;
            place = batch.last().map(|stored| (stored.record.occurred_at, stored.record.id.clone()));
            found.batches += 1;
            let fits = |stored: &StoredRecord| filter.kind.is_none_or(|kind| stored.record.kind == kind);
            found.add(self.known_records(work, site, batch.into_iter().filter(fits).collect()).await?);
            if exhausted || found.is_full() {
                return Ok(());
            }
            if found.batches >= BATCHES_MAX {
                found.looked_to = Some(Cursor { site: site.clone(), place });
                return Ok(());
            }
        }
    }
}

/// The page that is being filled: one record more than it shows, where there is one.
struct Found {
    records: Vec<StoredRecord>,
    wanted: usize,
    batches: usize,
    looked_to: Option<Cursor>,
}

impl Found {
    fn add(&mut self, records: impl IntoIterator<Item = StoredRecord>) {
        let room = self.wanted.saturating_sub(self.records.len());
        self.records.extend(records.into_iter().take(room));
    }

    fn is_full(&self) -> bool {
        self.records.len() >= self.wanted
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

/// How far a page has come: to a record, or to the end of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    site: SiteId,
    place: Option<(Instant, RecordId)>,
}

impl Cursor {
    fn of(record: &ServiceRecord) -> Self {
        Self { site: record.site.clone(), place: Some((record.occurred_at, record.id.clone())) }
    }

    fn text(&self) -> String {
        match &self.place {
            Some((occurred_at, record)) => format!("{} {} {record}", self.site, occurred_at.micros()),
            None => self.site.to_string(),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let (site, place) = match text.split_once(' ') {
            Some((site, place)) => (site, Some(place)),
            None => (text, None),
        };
        let site = SiteId::new(site).map_err(|_| Error::PageToken)?;
        let Some(place) = place else { return Ok(Self { site, place: None }) };
        let (micros, record) = place.split_once(' ').ok_or(Error::PageToken)?;
        let micros: i64 = micros.parse().map_err(|_| Error::PageToken)?;
        let occurred_at = Instant::from_micros(micros).map_err(|_| Error::PageToken)?;
        let record = RecordId::new(record).map_err(|_| Error::PageToken)?;
        Ok(Self { site, place: Some((occurred_at, record)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_list_survives_the_token() {
        for place in [None, Some((Instant::clamped(-5), RecordId::new("r").unwrap()))] {
            let cursor = Cursor { site: SiteId::new("s").unwrap(), place };
            assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
        }
        for bad in ["", "S", "s x r", "s 1", "S 1 r", "s "] {
            assert!(matches!(Cursor::parse(bad), Err(Error::PageToken)), "{bad}");
        }
    }
}
