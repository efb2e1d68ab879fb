//! Lists of requests: overdue first, then by urgency, due time and age.

use linli_core::id::{RequestId, SiteId, Subject};
use linli_core::kind::Department;
use linli_core::request::{Request, RequestKind, RequestState, RequestUrgency};
use linli_core::time::{DateRange, Instant};
use linli_store::RequestFilter as StoredFilter;

use super::{RequestView, Words, standing};
use crate::app::estate::{BATCH, Estate};
use crate::app::record::is_hidden;
use crate::app::{App, BATCHES_MAX, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result};

/// Which requests a list holds; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct RequestFilter {
    /// In one of these states; empty: all that are not settled.
    pub states: Vec<RequestState>,
    /// Of this urgency.
    pub urgency: Option<RequestUrgency>,
    /// Of this kind.
    pub kind: Option<RequestKind>,
    /// That this department answers.
    pub department: Option<Department>,
    /// About this.
    pub subject: Option<Subject>,
}

impl RequestFilter {
    fn stored(&self) -> StoredFilter {
        let is_open = !self.states.iter().any(|state| state.is_settled());
        let base = if is_open { StoredFilter::open() } else { StoredFilter::default() };
        StoredFilter {
            states: self.states.clone(),
            urgency: self.urgency,
            kind: self.kind,
            department: self.department,
            subject: self.subject.clone(),
            ..base
        }
    }
}

impl App {
    /// The requests of a site that fit, without words. More of them than one call computes come in stretches, each in order.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the site, [`Error::PageToken`], [`Error::Denied`].
    pub async fn requests(
        &self,
        call: &Call,
        site: &SiteId,
        filter: &RequestFilter,
        page: PageRequest,
    ) -> Result<Page<RequestView>> {
        let work = self.begin(call, Some(site)).await?;
        let today = work.today();
        let days = DateRange::new(today, today.plus_days(1));
        let estate = Estate::open(self, work.site()?, work.now, days, work.sight().clone()).await?;
        let Cursor { stretch, place: after } =
            page.after.as_deref().map(Cursor::parse).transpose()?.unwrap_or_default();
        let stored = filter.stored();
        let (mut found, mut last) = (Vec::new(), stretch.clone());
        let mut next_stretch = None;
        for batches in 1.. {
            let requests = self.store.requests(site, &stored, last.as_ref(), BATCH).await?;
            let exhausted = u64::try_from(requests.len()).is_ok_and(|count| count < BATCH);
            last = requests.last().map(|request| request.id.clone()).or(last);
            let seen = |request: &Request| !is_hidden(&work, &request.subject);
            let requests: Vec<Request> = requests.into_iter().filter(seen).collect();
            let owed = estate.of_requests(&requests).await?;
            let items = requests.into_iter().zip(owed.iter().map(standing));
            found.extend(items.map(|(request, (due, late))| Item::new(request, due, late)));
            if exhausted {
                break;
            }
            if batches >= BATCHES_MAX {
                next_stretch.clone_from(&last);
                break;
            }
        }
        found.sort_by(|a, b| a.place.cmp(&b.place));
        let rest = found.into_iter().filter(|item| after.as_ref().is_none_or(|after| item.place > *after));
        let mut shown = Page::cut(rest.collect(), page.size, |item: &Item| {
            Cursor { stretch: stretch.clone(), place: Some(item.place.clone()) }.text()
        });
        if shown.next.is_none() {
            shown.next = next_stretch.map(|last| Cursor { stretch: Some(last), place: None }.text());
        }
        let about = shown.items.iter().map(|item| &item.request.subject).collect();
        let doors = self.doors(&estate.site, about).await?;
        let items = shown.items.into_iter().map(|item| RequestView {
            place: doors.get(&item.request.subject).map(|door| door.title.clone()).unwrap_or_default(),
            due: item.due,
            overdue: item.place.in_time == 0,
            words: Words::default(),
            request: item.request,
        });
        Ok(Page { items: items.collect(), next: shown.next })
    }
}

/// A request of a list, and its place.
struct Item {
    request: Request,
    due: Option<Instant>,
    place: Place,
}

impl Item {
    fn new(request: Request, due: Option<Instant>, late: bool) -> Self {
        let urgency = match request.urgency {
            RequestUrgency::Emergency => 0,
            RequestUrgency::Priority => 1,
            RequestUrgency::Routine => 2,
        };
        let due_at = due.unwrap_or(Instant::MAX);
        let place = Place { in_time: u8::from(!late), urgency, due: due_at, id: request.id.clone() };
        Self { request, due, place }
    }
}

/// The place of a request in the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// 0 where a step is late.
    in_time: u8,
    urgency: u8,
    due: Instant,
    id: RequestId,
}

/// How far a list has come: behind a place in the stretch that begins after a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Cursor {
    stretch: Option<RequestId>,
    place: Option<Place>,
}

impl Cursor {
    fn text(&self) -> String {
        let stretch = self.stretch.as_ref().map(RequestId::as_str).unwrap_or_default();
        match &self.place {
            Some(Place { in_time, urgency, due, id }) => {
                format!("{stretch};{in_time} {urgency} {} {id}", due.micros())
            }
            None => stretch.to_owned(),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or(Error::PageToken)
    }

    fn read(text: &str) -> Option<Self> {
        let (stretch, place) = match text.split_once(';') {
            Some((stretch, place)) => (stretch, Some(Place::read(place)?)),
            None => (text, None),
        };
        let stretch = match stretch {
            "" if place.is_some() => None,
            id => Some(RequestId::new(id).ok()?),
        };
        Some(Self { stretch, place })
    }
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let place = Self {
            in_time: parts.next()?.parse().ok()?,
            urgency: parts.next()?.parse().ok()?,
            due: Instant::from_micros(parts.next()?.parse().ok()?).ok()?,
            id: RequestId::new(parts.next()?).ok()?,
        };
        parts.next().is_none().then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_list_survives_the_token_in_order() {
        let id = |id: &str| RequestId::new(id).unwrap();
        let place = |in_time, urgency, due, of: &str| Place {
            in_time,
            urgency,
            due: Instant::clamped(due),
            id: id(of),
        };
        let places = [place(0, 2, 9, "a"), place(1, 0, 5, "c"), place(1, 1, -5, "b"), place(1, 1, 7, "a")];
        assert!(places.is_sorted());
        for place in places {
            for stretch in [None, Some(id("q"))] {
                let cursor = Cursor { stretch, place: Some(place.clone()) };
                assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
            }
        }
        let stretch = Cursor { stretch: Some(id("q")), place: None };
        assert_eq!(Cursor::parse(&stretch.text()).unwrap(), stretch);
        for bad in ["", ";", "Q", ";0 1 2", ";0 1 x a", ";0 1 2 A", ";0 1 2 a b", "q;"] {
            assert!(matches!(Cursor::parse(bad), Err(Error::PageToken)), "{bad}");
        }
    }
}
