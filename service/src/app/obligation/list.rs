//! Lists of obligations: subject by subject, without computing the whole estate.

use linli_core::calendar::calendar_window;
use linli_core::id::{
    AreaId, DwellingId, FacilityId, RequestId, ResidentId, SiteId, StandardCode, Subject, SubjectKind,
};
use linli_core::invalid::Invalid;
use linli_core::kind::Department;
use linli_core::obligation::{Obligation, ObligationStatus};
use linli_core::site::Site;
use linli_core::standard::Period;
use linli_core::time::{CivilDate, DateRange, Instant, SiteZone};

use super::{LIST_DAYS_MAX, ObligationView, Wanted, opening_key};
use crate::app::estate::{Estate, Owed};
use crate::app::scope::InScope;
use crate::app::site::invalid;
use crate::app::work::Work;
use crate::app::{App, BATCHES_MAX, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name::Sites;

/// Which obligations a list holds; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct ObligationFilter {
    /// With one of these statuses; empty: any.
    pub statuses: Vec<ObligationStatus>,
    /// Whose window ends on this day or later; `None`: Monday of the present week.
    pub from: Option<CivilDate>,
    /// Whose window begins on this day or earlier; `None`: six days after `from`.
    pub to: Option<CivilDate>,
    /// That this department owes.
    pub department: Option<Department>,
    /// That are owed to this resident.
    pub resident: Option<ResidentId>,
    /// Of this standard.
    pub standard: Option<StandardCode>,
}

impl ObligationFilter {
    /// The days in question, in the zone of a site.
    fn range(&self, zone: SiteZone, now: Instant) -> Result<DateRange> {
        let monday = || {
            let today = zone.date_of(now);
            calendar_window(Period::Week, today).map_or(today, DateRange::start)
        };
        let from = self.from.unwrap_or_else(monday);
        let to = self.to.unwrap_or(from.plus_days(6));
        if to < from {
            return Err(invalid("end_date", Invalid::EndsBeforeStart));
        }
        if to > from.plus_days(LIST_DAYS_MAX) {
            return Err(invalid("end_date", Invalid::TooFarAhead { max_days: LIST_DAYS_MAX.unsigned_abs() }));
        }
        Ok(DateRange::new(from, to.plus_days(1)))
    }

    fn holds(&self, obligation: &Obligation, wanted: &Wanted<'_>) -> bool {
        wanted.holds(&obligation.standard)
            && (self.statuses.is_empty() || self.statuses.contains(&obligation.status))
    }
}

impl App {
    /// Obligations by site, subject, standard and time. A page may be shorter than asked, and even empty, while
    /// another follows: what a call computes is bounded.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the site or a resident without a file, [`Error::Invalid`], [`Error::PageToken`],
    /// [`Error::CalendarYearMissing`], [`Error::Denied`].
    pub async fn obligations(
        &self,
        call: &Call,
        sites: &Sites,
        filter: &ObligationFilter,
        page: PageRequest,
    ) -> Result<Page<ObligationView>> {
        let mut cursor = page.after.as_deref().map(Cursor::parse).transpose()?;
        let mut in_scope =
            InScope::new(self, call, sites, cursor.as_ref().map(|cursor| &cursor.site)).await?;
        if filter.standard.as_ref().is_some_and(|code| !self.deployed().catalogue.knows(code)) {
            return Err(invalid("standard", Invalid::Unknown));
        }
        let mut found = Found { views: Vec::new(), size: page.size, batches: 0, last: None };
        let now = self.now();
        while let Some((site, work)) = in_scope.next().await? {
            let id = site.id.clone();
            let cursor = cursor.take().filter(|cursor| cursor.site == id);
            if self.of_site(&work, (site, now), filter, cursor, &mut found).await? {
                return Ok(found.page());
            }
            found.batches += 1;
            if found.batches >= BATCHES_MAX {
                found.last = Some(Cursor { site: id, subject: Subject::Site, place: None });
                return Ok(found.page());
            }
        }
        Ok(Page { items: found.views, next: None })
    }

    /// Collects one site's obligations after `cursor`; `true`: the page is full, or the call has done enough.
    async fn of_site(
        &self,
        work: &Work<'_>,
        (site, now): (Site, Instant),
        filter: &ObligationFilter,
        cursor: Option<Cursor>,
        found: &mut Found,
    ) -> Result<bool> {
        let range = filter.range(site.zone, now)?;
        let estate = Estate::open(self, site, now, range, work.sight().clone()).await?;
        let wanted = Wanted { department: filter.department, standard: filter.standard.as_ref() };
        if let Some(resident) = &filter.resident {
            let owed = estate.one(&Subject::Resident(resident.clone())).await?;
            let Some(owed) = owed else { return Err(work.absent(resident).await) };
            return self.collect(&estate, owed, filter, &wanted, cursor.as_ref(), found);
        }
        let mut walk = estate.walk(|standard| wanted.holds(standard));
        if let Some(cursor) = cursor {
            // The page before may have ended within a subject.
            if cursor.place.is_some()
                && let Some(owed) = estate.one(&cursor.subject).await?
                && self.collect(&estate, owed, filter, &wanted, Some(&cursor), found)?
            {
                return Ok(true);
            }
            Estate::skip_to(&mut walk, cursor.subject);
        }
        while let Some(batch) = estate.next(&mut walk).await? {
            let last = batch.last().map(|owed| owed.subject.clone());
            for owed in batch {
                if self.collect(&estate, owed, filter, &wanted, None, found)? {
                    return Ok(true);
                }
            }
            found.batches += 1;
            if let Some(last) = last.filter(|_| found.batches >= BATCHES_MAX) {
                found.last = Some(Cursor { site: estate.site.id.clone(), subject: last, place: None });
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds what is wanted of one subject; `true`: the page is full.
    fn collect(
        &self,
        estate: &Estate<'_>,
        owed: Owed,
        filter: &ObligationFilter,
        wanted: &Wanted<'_>,
        after: Option<&Cursor>,
        found: &mut Found,
    ) -> Result<bool> {
        let Owed { care, title, obligations, .. } = owed;
        let mut placed: Vec<(Place, Obligation)> = obligations
            .into_iter()
            .filter(|obligation| filter.holds(obligation, wanted))
            .map(|obligation| (Place::of(&obligation), obligation))
            .collect();
        placed.sort_by(|a, b| a.0.cmp(&b.0));
        let after = after.and_then(|cursor| cursor.place.as_ref());
        for (place, obligation) in
            placed.into_iter().filter(|(place, _)| after.is_none_or(|after| place > after))
        {
            if found.is_full() {
                return Ok(true);
            }
            found.last = Some(Cursor {
                site: estate.site.id.clone(),
                subject: obligation.subject.clone(),
                place: Some(place),
            });
            found.views.push(self.obligation_view(estate, care.as_ref(), title.clone(), obligation)?);
        }
        Ok(false)
    }
}

/// The page that is being filled.
struct Found {
    views: Vec<ObligationView>,
    size: u32,
    batches: usize,
    last: Option<Cursor>,
}

impl Found {
    fn is_full(&self) -> bool {
        self.views.len() >= usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    fn page(self) -> Page<ObligationView> {
        Page { next: self.last.map(|last| last.text()), items: self.views }
    }
}

/// An obligation's place among those of its subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    standard: String,
    start: Instant,
    opening: String,
}

impl Place {
    fn of(obligation: &Obligation) -> Self {
        Self {
            standard: obligation.standard.code.as_str().to_owned(),
            start: obligation.start,
            opening: opening_key(&obligation.opening),
        }
    }
}

/// Where the next page begins: after a place within a subject, or after the whole subject.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    site: SiteId,
    subject: Subject,
    place: Option<Place>,
}

impl Cursor {
    fn text(&self) -> String {
        let id = match &self.subject {
            Subject::Site => "-",
            Subject::Resident(_)
            | Subject::Dwelling(_)
            | Subject::Area(_)
            | Subject::Facility(_)
            | Subject::Request(_) => self.subject.id_text(),
        };
        let subject = format!("{} {} {id}", self.site, self.subject.kind().code());
        match &self.place {
            Some(place) => format!("{subject} {} {} {}", place.standard, place.start.micros(), place.opening),
            None => subject,
        }
    }

    fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or(Error::PageToken)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let site = SiteId::new(parts.next()?).ok()?;
        let kind = SubjectKind::from_code(parts.next()?).ok()?;
        let id = parts.next()?;
        let subject = match kind {
            SubjectKind::Resident => Subject::Resident(ResidentId::new(id).ok()?),
            SubjectKind::Dwelling => Subject::Dwelling(DwellingId::new(id).ok()?),
            SubjectKind::Area => Subject::Area(AreaId::new(id).ok()?),
            SubjectKind::Site => Subject::Site,
            SubjectKind::Request => Subject::Request(RequestId::new(id).ok()?),
            SubjectKind::Facility => Subject::Facility(FacilityId::new(id).ok()?),
        };
        let place = match parts.next() {
            None => None,
            Some(standard) => Some(Place {
                standard: standard.to_owned(),
                start: Instant::from_micros(parts.next()?.parse().ok()?).ok()?,
                opening: parts.next()?.to_owned(),
            }),
        };
        Some(Self { site, subject, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    #[test]
    fn the_days_of_a_list() {
        let now = SiteZone::SHANGHAI.at(day("2026-03-19"), 9, 0);
        let check =
            |from: Option<&str>, to: Option<&str>, expect: std::result::Result<(&str, &str), &str>| {
                let filter = ObligationFilter { from: from.map(day), to: to.map(day), ..Default::default() };
                let found = filter.range(SiteZone::SHANGHAI, now);
                match (found, expect) {
                    (Ok(range), Ok((first, end))) => assert_eq!(range, DateRange::new(day(first), day(end))),
                    (Err(Error::Invalid(found)), Err(why)) => {
                        assert_eq!(found.iter().map(|v| v.why.to_string()).collect::<Vec<_>>(), [why]);
                    }
                    (found, expect) => panic!("{found:?} instead of {expect:?}"),
                }
            };
        check(None, None, Ok(("2026-03-16", "2026-03-23")));
        check(Some("2026-03-18"), None, Ok(("2026-03-18", "2026-03-25")));
        check(None, Some("2026-03-16"), Ok(("2026-03-16", "2026-03-17")));
        check(None, Some("2026-03-15"), Err("ends before it begins"));
        check(Some("2026-01-01"), Some("2027-01-02"), Ok(("2026-01-01", "2027-01-03")));
        check(Some("2026-01-01"), Some("2027-01-03"), Err("is more than 366 days ahead"));
    }

    #[test]
    fn a_place_in_a_list_survives_the_token() {
        let site = SiteId::new("s").unwrap();
        let place =
            Place { standard: "elder.visit".into(), start: Instant::clamped(-1), opening: "event:e".into() };
        for subject in [
            Subject::Resident(ResidentId::new("r").unwrap()),
            Subject::Area(AreaId::new("a").unwrap()),
            Subject::Facility(FacilityId::new("f").unwrap()),
            Subject::Request(RequestId::new("q").unwrap()),
            Subject::Site,
        ] {
            for place in [None, Some(place.clone())] {
                let cursor = Cursor { site: site.clone(), subject: subject.clone(), place };
                assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
            }
        }
        for bad in
            ["", "s", "s resident", "s person r", "s facility F", "s resident r c", "s resident r c x e"]
        {
            assert!(matches!(Cursor::parse(bad), Err(Error::PageToken)), "{bad}");
        }
    }
}
