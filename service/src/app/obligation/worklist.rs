//! The worklist of a post: the fewest contacts that satisfy what is open, the most pressing first.

use std::collections::HashMap;

use linli_core::assessment::tier_on;
use linli_core::calendar::calendar_window;
use linli_core::id::{
    AreaId, DwellingId, EventId, FacilityId, PostId, RequestId, ResidentId, SiteId, Subject, SubjectKind,
};
use linli_core::invalid::Invalid;
use linli_core::kind::{Department, ServiceKind, Tier};
use linli_core::obligation::{Obligation, Opening};
use linli_core::resident::FieldClass;
use linli_core::standard::Period;
use linli_core::time::{CivilDate, DateRange, Instant};
use linli_core::worklist::{self, Contact, Urgency};
use linli_store::FieldClasses;

use super::task::first_name;
use super::{ObligationView, WORKLIST_DAYS_MAX, Wanted, is_due};
use crate::app::assessment::{Coded, FileState};
use crate::app::estate::{Estate, Owed};
use crate::app::site::invalid;
use crate::app::work::{Touches, Work};
use crate::app::{App, BATCHES_MAX, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name;

/// Which worklist is wanted.
#[derive(Debug, Clone)]
pub struct WorklistRequest {
    /// The site.
    pub site: SiteId,
    /// The post; `None`: the whole site, every department.
    pub post: Option<PostId>,
    /// Only what is due by the end of this day; `None`: by the end of the present week.
    pub until: Option<CivilDate>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub struct WorklistItem {
    /// The site.
    pub site: SiteId,
    /// For whom or what; `None` where only the task is shown.
    pub subject: Option<Subject>,
    /// Masked name of the resident, the first name where only the task is shown, or what people call the place.
    pub display_name: String,
    /// Where a resident lives, in one line; empty for places.
    pub dwelling: String,
    /// What to do.
    pub kind: ServiceKind,
    /// How often.
    pub times: u32,
    /// The first instant by which some of it is due.
    pub due: Instant,
    /// How pressing it is.
    pub urgency: Urgency,
    /// The tier of a resident.
    pub tier: Option<Tier>,
    /// What whoever goes must know.
    pub cautions: Vec<Coded>,
    /// Events that the record should name.
    pub answers: Vec<EventId>,
    /// What it serves.
    pub obligations: Vec<ObligationView>,
}

impl App {
    /// What the holders of a post should do: the fewest contacts, the most pressing first. Names are masked, and each
    /// page leaves an audit entry. Volunteers see the tasks of a post that they hold: first name, door, what to do and by
    /// when, and what they must know.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::PageToken`], [`Error::CalendarYearMissing`],
    /// [`Error::Denied`].
    pub async fn worklist(
        &self,
        call: &Call,
        wanted: &WorklistRequest,
        page: PageRequest,
    ) -> Result<Page<WorklistItem>> {
        self.worklist_now(call, wanted, page).await.map(|list| list.page)
    }

    /// As [`App::worklist`], with the instant for which it holds and the next one at which the time may change it.
    pub(super) async fn worklist_now(
        &self,
        call: &Call,
        wanted: &WorklistRequest,
        page: PageRequest,
    ) -> Result<WorklistNow> {
        let work = self.begin_at_post(call, &wanted.site, wanted.post.as_ref()).await?;
        let site = work.site()?;
        let post = match &wanted.post {
            Some(id) => Some(self.load_post(&wanted.site, id).await?),
            None => None,
        };
        let today = site.zone.date_of(work.now);
        let until = last_day(today, wanted.until)?;
        let days = DateRange::new(today, until.plus_days(1));
        let estate = Estate::open(self, site, work.now, days, work.sight().clone()).await?;
        let department = post.as_ref().map(|post| post.department);
        let buildings: Vec<&str> =
            post.iter().flat_map(|post| &post.buildings).map(|building| building.as_str()).collect();
        let Cursor { stretch, place: after } =
            page.after.as_deref().map(Cursor::parse).transpose()?.unwrap_or_default();
        let Stretch { mut drafts, next: next_stretch, next_change_at } =
            self.drafts(&estate, department, &buildings, until, stretch.as_ref()).await?;
        drafts.sort_by(|a, b| a.place.cmp(&b.place));
        let rest = drafts.into_iter().filter(|draft| after.as_ref().is_none_or(|after| draft.place > *after));
        let mut shown = Page::cut(rest.collect(), page.size, |draft: &Draft| {
            Cursor { stretch: stretch.clone(), place: Some(draft.place.clone()) }.text()
        });
        if shown.next.is_none() {
            shown.next = next_stretch.map(|last| Cursor { stretch: Some(last), place: None }.text());
        }
        let resource = match &wanted.post {
            Some(post) => name::post(&wanted.site, post),
            None => name::site(&wanted.site),
        };
        let mut items = self.items(&work, &estate, resource, shown.items).await?;
        if work.permit().is_task_only() {
            items = items.into_iter().map(WorklistItem::task).collect();
        }
        Ok(WorklistNow { page: Page { items, next: shown.next }, as_of: estate.now, next_change_at })
    }

    /// What is to be done for a post, of one stretch of its subjects: those after `stretch`, as many as one call computes.
    /// What is kept of each subject is its contacts.
    async fn drafts(
        &self,
        estate: &Estate<'_>,
        department: Option<Department>,
        buildings: &[&str],
        until: CivilDate,
        stretch: Option<&Subject>,
    ) -> Result<Stretch> {
        let wanted = Wanted { department, standard: None };
        let mut drafts = Vec::new();
        // Days decide about memberships, pauses and plans.
        let mut next_change_at = estate.site.zone.start_of(estate.today.plus_days(1));
        let mut add = |batch: Vec<Owed>| {
            for owed in batch {
                let changes = owed.obligations.iter().filter_map(|obligation| obligation.next_change_at);
                next_change_at = changes.fold(next_change_at, Instant::min);
                drafts.extend(contacts_of(estate, owed, &wanted, until));
            }
        };
        if buildings.is_empty() {
            let mut walk = estate.walk(|standard| wanted.holds(standard));
            if let Some(last) = stretch {
                Estate::skip_to(&mut walk, last.clone());
            }
            for batches in 1.. {
                let Some(batch) = estate.next(&mut walk).await? else { break };
                add(batch);
                if let Some(last) = walk.last().filter(|_| batches == BATCHES_MAX) {
                    return Ok(Stretch { drafts, next: Some(last), next_change_at });
                }
            }
        } else {
            let mut after = match stretch {
                Some(Subject::Dwelling(id)) => Some(id.clone()),
                Some(
                    Subject::Resident(_)
                    | Subject::Area(_)
                    | Subject::Facility(_)
                    | Subject::Request(_)
                    | Subject::Site,
                ) => return Err(Error::PageToken),
                None => None,
            };
            for batches in 1.. {
                let (batch, last) = estate.of_buildings(buildings, after.as_ref()).await?;
                add(batch);
                let Some(last) = last else { break };
                if batches == BATCHES_MAX {
                    let next = Some(Subject::Dwelling(last));
                    return Ok(Stretch { drafts, next, next_change_at });
                }
                after = Some(last);
            }
            add(estate.areas_of_buildings(buildings).await?);
            add(estate.facilities_of_buildings(buildings).await?);
            add(estate.requests_of_buildings(buildings).await?);
        }
        Ok(Stretch { drafts, next: None, next_change_at })
    }

    /// The items of one page, with names, doors and cautions.
    async fn items(
        &self,
        work: &Work<'_>,
        estate: &Estate<'_>,
        resource: String,
        drafts: Vec<Draft>,
    ) -> Result<Vec<WorklistItem>> {
        let site = &estate.site.id;
        let residents = residents_of(&drafts);
        let mut people: HashMap<ResidentId, Person> = HashMap::new();
        if !residents.is_empty() {
            let contact = FieldClasses::of(&[FieldClass::Contact]);
            let files = self.store.residents_by_id(site, &residents, contact).await?;
            let doors: Vec<DwellingId> = files.iter().map(|file| file.head.dwelling.clone()).collect();
            let (doors, assessments) = tokio::join!(
                self.store.dwellings_by_id(site, &doors),
                self.store.assessments(site, &residents),
            );
            let doors: HashMap<DwellingId, String> =
                doors?.into_iter().map(|door| (door.id.clone(), door.display_name())).collect();
            let mut assessments = assessments?;
            let touched = residents.iter().map(|id| id.as_str().to_owned()).collect();
            let receipt = work.disclose(&Touches::files(resource, touched, &[FieldClass::Contact])).await?;
            let opener = self.store.opener(&receipt).await?;
            for file in files {
                let own = |id: &ResidentId| *id == file.head.id;
                let of_person =
                    assessments.extract_if(.., |stored| own(&stored.assessment.resident)).collect();
                let state = FileState { assessments: of_person, ..FileState::default() };
                let contact = opener.open_option(file.contact.as_ref())?;
                let person = Person {
                    name: contact
                        .map(|contact| {
                            if work.permit().is_task_only() {
                                first_name(contact.name.reveal())
                            } else {
                                contact.name.masked()
                            }
                        })
                        .unwrap_or_default(),
                    door: doors.get(&file.head.dwelling).cloned().unwrap_or_default(),
                    cautions: self.coded_cautions(&state),
                };
                people.insert(file.head.id, person);
            }
        }
        let mut items = Vec::with_capacity(drafts.len());
        for draft in drafts {
            items.push(self.item(estate, draft, &people)?);
        }
        Ok(items)
    }

    fn item(
        &self,
        estate: &Estate<'_>,
        draft: Draft,
        people: &HashMap<ResidentId, Person>,
    ) -> Result<WorklistItem> {
        let person = resident(&draft.subject).and_then(|id| people.get(id));
        let mut obligations = Vec::with_capacity(draft.obligations.len());
        for obligation in draft.obligations {
            // A place has a name of its own; that of a resident stands on the item, under the page's audit entry.
            let title = draft.title.clone();
            obligations.push(self.obligation_view(estate, draft.care.as_ref(), title, obligation)?);
        }
        let answers =
            obligations.iter().filter_map(|view| event(&view.obligation.opening)).cloned().collect();
        let today = estate.today;
        Ok(WorklistItem {
            site: estate.site.id.clone(),
            display_name: person.map_or(draft.title, |person| person.name.clone()),
            dwelling: person.map(|person| person.door.clone()).unwrap_or_default(),
            kind: draft.place.kind,
            times: draft.times,
            due: draft.place.due,
            urgency: draft.place.urgency,
            tier: draft.care.as_ref().map(|care| tier_on(&care.attention, today)),
            cautions: person.map(|person| person.cautions.clone()).unwrap_or_default(),
            answers,
            subject: Some(draft.subject),
            obligations,
        })
    }
}

/// A page of a worklist, and how long it holds.
pub(super) struct WorklistNow {
    pub(super) page: Page<WorklistItem>,
    /// The instant for which it holds.
    pub(super) as_of: Instant,
    /// The next instant at which the time alone may change it.
    pub(super) next_change_at: Instant,
}

/// What is to be done for the subjects of one stretch.
struct Stretch {
    drafts: Vec<Draft>,
    /// The last of them, where others follow.
    next: Option<Subject>,
    next_change_at: Instant,
}

/// What is shown of a resident beside their duties.
struct Person {
    name: String,
    door: String,
    cautions: Vec<Coded>,
}

/// A thing to do before names are known.
struct Draft {
    place: Place,
    subject: Subject,
    title: String,
    care: Option<linli_store::ResidentCare>,
    times: u32,
    obligations: Vec<Obligation>,
}

/// How far a list has come: behind a place in the stretch that begins after a subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Cursor {
    stretch: Option<Subject>,
    place: Option<Place>,
}

impl Cursor {
    fn text(&self) -> String {
        let stretch = self.stretch.as_ref().map(subject_text).unwrap_or_default();
        match &self.place {
            Some(place) => format!("{stretch};{}", place.text()),
            None => stretch,
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let (stretch, place) = match text.split_once(';') {
            Some((stretch, place)) => (stretch, Some(Place::parse(place)?)),
            None => (text, None),
        };
        let stretch = match stretch.split_once('/') {
            Some((kind, id)) => Some(subject_of(kind, id).ok_or(Error::PageToken)?),
            None if stretch.is_empty() && place.is_some() => None,
            None => return Err(Error::PageToken),
        };
        Ok(Self { stretch, place })
    }
}

fn subject_text(subject: &Subject) -> String {
    format!("{}/{}", subject.kind().code(), subject.id_text())
}

fn subject_of(kind: &str, id: &str) -> Option<Subject> {
    match SubjectKind::from_code(kind).ok()? {
        SubjectKind::Resident => Some(Subject::Resident(ResidentId::new(id).ok()?)),
        SubjectKind::Dwelling => Some(Subject::Dwelling(DwellingId::new(id).ok()?)),
        SubjectKind::Area => Some(Subject::Area(AreaId::new(id).ok()?)),
        SubjectKind::Request => Some(Subject::Request(RequestId::new(id).ok()?)),
        SubjectKind::Site => Some(Subject::Site),
        SubjectKind::Facility => Some(Subject::Facility(FacilityId::new(id).ok()?)),
    }
}

/// The place of an item in the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    urgency: Urgency,
    due: Instant,
    priority: u8,
    subject: String,
    kind: ServiceKind,
}

impl Place {
    fn of(contact: &Contact) -> Self {
        Self {
            urgency: contact.urgency,
            due: contact.due,
            priority: contact.priority,
            subject: subject_text(&contact.subject),
            kind: contact.kind,
        }
    }

    fn text(&self) -> String {
        let urgency = match self.urgency {
            Urgency::Overdue => 0,
            Urgency::AtRisk => 1,
            Urgency::Open => 2,
        };
        let Self { due, priority, subject, kind, .. } = self;
        format!("{urgency} {} {priority} {subject} {}", due.micros(), kind.code())
    }

    fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or(Error::PageToken)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let urgency = match parts.next()? {
            "0" => Urgency::Overdue,
            "1" => Urgency::AtRisk,
            "2" => Urgency::Open,
            _ => return None,
        };
        Some(Self {
            urgency,
            due: Instant::from_micros(parts.next()?.parse().ok()?).ok()?,
            priority: parts.next()?.parse().ok()?,
            subject: parts.next()?.to_owned(),
            kind: ServiceKind::from_code(parts.next()?).ok()?,
        })
    }
}

/// The last day of a worklist.
fn last_day(today: CivilDate, asked: Option<CivilDate>) -> Result<CivilDate> {
    let sunday = calendar_window(Period::Week, today).map_or(today, |week| week.end().plus_days(-1));
    let until = asked.unwrap_or(sunday);
    if until < today {
        return Err(invalid("until_date", Invalid::EndsBeforeStart));
    }
    if until > today.plus_days(WORKLIST_DAYS_MAX) {
        return Err(invalid(
            "until_date",
            Invalid::TooFarAhead { max_days: WORKLIST_DAYS_MAX.unsigned_abs() },
        ));
    }
    Ok(until)
}

/// What is to be done for one subject, one entry for each kind of contact.
fn contacts_of(estate: &Estate<'_>, owed: Owed, wanted: &Wanted<'_>, until: CivilDate) -> Vec<Draft> {
    let Owed { subject, title, care, records, obligations } = owed;
    let end = estate.site.zone.start_of(until.plus_days(1));
    let due: Vec<Obligation> = obligations
        .into_iter()
        .filter(|obligation| is_due(obligation) && obligation.due < end && wanted.holds(&obligation.standard))
        .collect();
    if due.is_empty() {
        return Vec::new();
    }
    let mut contacts = worklist::plan(&due, &records, &estate.calendar, estate.now).contacts;
    worklist::sort_contacts(&mut contacts);
    let mut drafts: Vec<Draft> = Vec::new();
    for contact in contacts {
        let credited = |obligation: &&Obligation| {
            contact.credits.iter().any(|credit| {
                credit.standard.code == obligation.standard.code && credit.opening == obligation.opening
            })
        };
        let served: Vec<Obligation> = due.iter().filter(credited).cloned().collect();
        match drafts.iter_mut().find(|draft| draft.place.kind == contact.kind) {
            Some(draft) => {
                draft.times += 1;
                let new = served.into_iter().filter(|obligation| !draft.obligations.contains(obligation));
                let new: Vec<Obligation> = new.collect();
                draft.obligations.extend(new);
            }
            None => drafts.push(Draft {
                place: Place::of(&contact),
                subject: subject.clone(),
                title: title.clone(),
                care: care.clone(),
                times: 1,
                obligations: served,
            }),
        }
    }
    drafts
}

fn residents_of(drafts: &[Draft]) -> Vec<ResidentId> {
    let mut residents: Vec<ResidentId> =
        drafts.iter().filter_map(|draft| resident(&draft.subject)).cloned().collect();
    residents.sort();
    residents.dedup();
    residents
}

fn resident(subject: &Subject) -> Option<&ResidentId> {
    if let Subject::Resident(id) = subject { Some(id) } else { None }
}

fn event(opening: &Opening) -> Option<&EventId> {
    if let Opening::Event(id) = opening { Some(id) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_list_survives_the_token_in_order() {
        let place = |urgency, due, subject: &str| Place {
            urgency,
            due: Instant::clamped(due),
            priority: 3,
            subject: subject.to_owned(),
            kind: ServiceKind::HomeVisit,
        };
        let places = [
            place(Urgency::Overdue, 9, "resident/b"),
            place(Urgency::AtRisk, 5, "area/a"),
            place(Urgency::Open, -5, "site/"),
            place(Urgency::Open, 5, "resident/a"),
        ];
        assert!(places.is_sorted());
        let stretches = [
            None,
            Some(Subject::Dwelling(DwellingId::new("d").unwrap())),
            Some(Subject::Request(RequestId::new("q").unwrap())),
            Some(Subject::Site),
        ];
        for place in places {
            for stretch in stretches.clone() {
                let cursor = Cursor { stretch, place: Some(place.clone()) };
                assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
            }
        }
        for stretch in stretches.into_iter().flatten() {
            let cursor = Cursor { stretch: Some(stretch), place: None };
            assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
        }
        for bad in [
            "",
            ";",
            "x",
            "facility/F",
            ";3 1 1 resident/a home_visit",
            ";0 1 1 resident/a",
            ";0 x 1 resident/a home_visit",
        ] {
            assert!(matches!(Cursor::parse(bad), Err(Error::PageToken)), "{bad}");
        }
    }

    #[test]
    fn the_days_of_a_worklist() {
        let day = |text: &str| CivilDate::parse(text).unwrap();
        let today = day("2026-03-19");
        let check = |asked: Option<&str>, expect: Option<&str>| {
            assert_eq!(last_day(today, asked.map(day)).ok(), expect.map(day), "{asked:?}");
        };
        check(None, Some("2026-03-22"));
        check(Some("2026-03-19"), Some("2026-03-19"));
        check(Some("2026-04-19"), Some("2026-04-19"));
        check(Some("2026-04-20"), None);
        check(Some("2026-03-18"), None);
    }
}
