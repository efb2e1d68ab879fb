//! What an override would have changed: the same history, asked twice.

use std::collections::{BTreeMap, HashMap};

use linli_core::id::{AreaId, DwellingId, OverrideId, PostId, ResidentId, SiteId, StandardCode, Subject};
use linli_core::invalid::Invalid;
use linli_core::kind::Department;
use linli_core::obligation::{Obligation, ObligationStatus};
use linli_core::resident::FieldClass;
use linli_core::site::Post;
use linli_core::staff::Signed;
use linli_core::standard_override::StandardOverride;
use linli_core::stricter::Numbers;
use linli_core::text::Line;
use linli_core::time::{CivilDate, DateRange, Instant};
use linli_store::{FieldClasses, PAGE_MAX, Page as StorePage, Sites as StoreSites};

use super::estate::{Estate, Owed};
use super::file::violation;
use super::site::fresh;
use super::work::{Touches, Work};
use super::{App, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name;

/// Most days that are looked back at: a quarter.
pub const SIMULATION_DAYS_MAX: u32 = 92;

/// What is supposed to have held.
#[derive(Debug, Clone)]
pub struct Supposition {
    /// The site.
    pub site: SiteId,
    /// The standard.
    pub standard: StandardCode,
    /// What the site would have asked for.
    pub numbers: Numbers,
    /// The first day.
    pub from: CivilDate,
    /// The last day.
    pub to: CivilDate,
}

/// What it would have changed.
#[derive(Debug)]
pub struct Simulation {
    /// The site.
    pub site: SiteId,
    /// Whether it is looser than the declared standard.
    pub looser: bool,
    /// Obligations that were missed, and that would have been.
    pub missed: Change,
    /// How many days were looked at.
    pub days: u32,
    /// The posts of the standard's department, by id; at last those whom no post serves.
    pub posts: Vec<PostChange>,
    /// Who would have fallen short more often, by kind and id.
    pub subjects: Page<SubjectChange>,
}

/// A number as it was and as it would have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// As it was.
    pub before: u64,
    /// As it would have been.
    pub after: u64,
}

/// What a post would have had to do.
#[derive(Debug, Clone)]
pub struct PostChange {
    /// The post and its name; `None`: no post serves the subject.
    pub post: Option<(PostId, Line)>,
    /// Services required of it.
    pub required: Change,
}

/// Somebody or something that would have fallen short more often.
#[derive(Debug, Clone)]
pub struct SubjectChange {
    /// Who or what.
    pub subject: Subject,
    /// Masked name of the resident, or what people call the place.
    pub display_name: String,
    /// Obligations missed.
    pub missed: Change,
}

/// One subject, before names are known.
#[derive(Debug, Clone, Default)]
struct Counted {
    title: String,
    building: Option<String>,
    required: Change,
    missed: Change,
}

/// Which of the two histories is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

impl Change {
    fn add(&mut self, side: Side, count: u64) {
        match side {
            Side::Before => self.before += count,
            Side::After => self.after += count,
        }
    }

    fn merge(&mut self, other: Self) {
        self.before += other.before;
        self.after += other.after;
    }
}

impl App {
    /// What other numbers of a standard would have changed in some past days: for each post, and who would newly have fallen
    /// short by what was recorded. Names are masked, and each page leaves an audit entry.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::PageToken`], [`Error::CalendarYearMissing`],
    /// [`Error::Denied`].
    pub async fn simulate_standards(
        &self,
        call: &Call,
        supposed: &Supposition,
        page: PageRequest,
    ) -> Result<Simulation> {
        let work = self.begin(call, Some(&supposed.site)).await?;
        check_days(supposed, work.today())?;
        let looser = self.is_looser(&work, (&supposed.standard, &supposed.numbers), supposed.from, "")?;
        let range = DateRange::new(supposed.from, supposed.to.plus_days(1));
        let draft = draft(&work, supposed, looser)?;
        let mut counted: BTreeMap<Subject, Counted> = BTreeMap::new();
        let declared = self.declared().into_iter().find(|standard| standard.code == supposed.standard);
        let department = declared.map(|standard| standard.department);
        for (side, draft) in [(Side::Before, None), (Side::After, Some(draft))] {
            let seen = (work.sight().clone(), draft);
            let estate = Estate::supposing(self, work.site()?, work.now, range, seen).await?;
            let mut walk = estate.walk(|standard| standard.code == supposed.standard);
            while let Some(batch) = estate.next(&mut walk).await? {
                for owed in &batch {
                    let own = |owed: &&Obligation| owed.standard.code == supposed.standard;
                    for obligation in owed.obligations.iter().filter(own) {
                        count(counted.entry(owed.subject.clone()).or_default(), owed, obligation, side);
                    }
                }
            }
        }
        self.place(&supposed.site, &mut counted).await?;
        let posts = self.by_post(&supposed.site, department, &counted).await?;
        let mut missed = Change::default();
        counted.values().for_each(|subject| missed.merge(subject.missed));
        let short = counted.into_iter().filter(|(_, counted)| counted.missed.after > counted.missed.before);
        let subjects = self.short_page(&work, &supposed.site, short.collect(), &page).await?;
        let days = range.len().unsigned_abs();
        Ok(Simulation { site: supposed.site.clone(), looser, missed, days, posts, subjects })
    }

    /// Fills in the buildings in which the counted live or lie.
    async fn place(&self, site: &SiteId, counted: &mut BTreeMap<Subject, Counted>) -> Result<()> {
        let residents: Vec<ResidentId> = counted.keys().filter_map(resident).cloned().collect();
        let mut home: HashMap<ResidentId, DwellingId> = HashMap::new();
        for ids in residents.chunks(chunk()) {
            let heads = self.store.resident_heads(site, ids).await?;
            home.extend(heads.into_iter().map(|head| (head.id, head.dwelling)));
        }
        let own = counted.keys().filter_map(dwelling).cloned();
        let dwellings: Vec<DwellingId> = own.chain(home.values().cloned()).collect();
        let mut building: HashMap<DwellingId, String> = HashMap::new();
        for ids in dwellings.chunks(chunk()) {
            let found = self.store.dwellings_by_id(site, ids).await?;
            building.extend(found.into_iter().map(|door| (door.id, door.building.as_str().to_owned())));
        }
        for (subject, counted) in counted.iter_mut() {
            let door = match subject {
                Subject::Resident(id) => home.get(id),
                Subject::Dwelling(id) => Some(id),
                Subject::Area(_) | Subject::Facility(_) | Subject::Request(_) | Subject::Site => None,
            };
            counted.building = match area(subject) {
                Some(id) => {
                    let area = self.store.area(site, id).await?;
                    area.and_then(|area| area.building).map(|building| building.as_str().to_owned())
                }
                None => door.and_then(|door| building.get(door)).cloned(),
            };
        }
        Ok(())
    }

    /// What each post of the department would have had to do.
    async fn by_post(
        &self,
        site: &SiteId,
        department: Option<Department>,
        counted: &BTreeMap<Subject, Counted>,
    ) -> Result<Vec<PostChange>> {
        let mut posts: Vec<Post> = Vec::new();
        let mut page = StorePage::first(PAGE_MAX);
        loop {
            let found = self.store.posts(&StoreSites::from(site), &page).await?;
            let Some(last) = found.last().map(|post| post.id.clone()) else { break };
            page = StorePage::after(site.as_str(), last.as_str(), PAGE_MAX);
            posts.extend(found.into_iter().filter(|post| Some(post.department) == department));
        }
        let mut changes: Vec<PostChange> = posts
            .iter()
            .map(|post| PostChange {
                post: Some((post.id.clone(), post.title.clone())),
                required: Change::default(),
            })
            .collect();
        let mut of_nobody = Change::default();
        for subject in counted.values() {
            let mut is_served = false;
            for (post, change) in posts.iter().zip(&mut changes) {
                let in_building =
                    |building: &String| post.buildings.iter().any(|own| own.as_str() == building.as_str());
                if post.buildings.is_empty() || subject.building.as_ref().is_some_and(in_building) {
                    change.required.merge(subject.required);
                    is_served = true;
                }
            }
            if !is_served {
                of_nobody.merge(subject.required);
            }
        }
        if of_nobody != Change::default() {
            changes.push(PostChange { post: None, required: of_nobody });
        }
        Ok(changes)
    }

    /// A page of those who would have fallen short more often, with their names.
    async fn short_page(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        short: Vec<(Subject, Counted)>,
        page: &PageRequest,
    ) -> Result<Page<SubjectChange>> {
        let mut keyed: Vec<(String, Subject, Counted)> = short
            .into_iter()
            .map(|(subject, counted)| (name::subject(site, &subject), subject, counted))
            .collect();
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        let cut = Page::of_sorted(keyed, page, |(key, ..)| key);
        let residents: Vec<ResidentId> =
            cut.items.iter().filter_map(|(_, subject, _)| resident(subject)).cloned().collect();
        let mut names: HashMap<ResidentId, String> = HashMap::new();
        if !residents.is_empty() {
            let contact = FieldClasses::of(&[FieldClass::Contact]);
            let files = self.store.residents_by_id(site, &residents, contact).await?;
            let touched = residents.iter().map(|id| id.as_str().to_owned()).collect();
            let touches = Touches::files(name::site(site), touched, &[FieldClass::Contact]);
            let receipt = work.disclose(&touches).await?;
            let opener = self.store.opener(&receipt).await?;
            for file in files {
                let contact = opener.open_option(file.contact.as_ref())?;
                names.extend(contact.map(|contact| (file.head.id, contact.name.masked())));
            }
        }
        let items = cut.items.into_iter().map(|(_, subject, counted)| SubjectChange {
            display_name: match resident(&subject) {
                Some(id) => names.remove(id).unwrap_or_default(),
                None => counted.title,
            },
            missed: counted.missed,
            subject,
        });
        Ok(Page { items: items.collect(), next: cut.next })
    }
}

fn check_days(supposed: &Supposition, today: CivilDate) -> Result<()> {
    let mut violations = Vec::new();
    if supposed.to >= today {
        violations.push(violation("end_date", Invalid::Future));
    }
    if supposed.to < supposed.from {
        violations.push(violation("end_date", Invalid::EndsBeforeStart));
    } else if supposed.to.days() - supposed.from.days() > SIMULATION_DAYS_MAX.cast_signed() {
        let why = Invalid::TooFarAhead { max_days: SIMULATION_DAYS_MAX };
        violations.push(violation("end_date", why));
    }
    if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
}

/// An override that has held for ever and lies above every other.
fn draft(work: &Work<'_>, supposed: &Supposition, looser: bool) -> Result<StandardOverride> {
    let since_ever = Signed { at: Instant::MIN, ..work.signed() };
    Ok(StandardOverride {
        site: supposed.site.clone(),
        id: fresh(OverrideId::new(&work.new_id()))?,
        standard: supposed.standard.clone(),
        numbers: supposed.numbers.clone(),
        looser,
        reason: fresh(Line::new("supposed"))?,
        from: CivilDate::MIN,
        until: None,
        proposed: work.signed(),
        approved: Some(since_ever),
        retired: None,
        version: 1,
    })
}

fn count(counted: &mut Counted, owed: &Owed, obligation: &Obligation, side: Side) {
    if counted.title.is_empty() {
        counted.title.clone_from(&owed.title);
    }
    counted.required.add(side, obligation.required.into());
    counted.missed.add(side, u64::from(obligation.status == ObligationStatus::Missed));
}

fn chunk() -> usize {
    usize::try_from(PAGE_MAX).unwrap_or(usize::MAX)
}

fn resident(subject: &Subject) -> Option<&ResidentId> {
    if let Subject::Resident(id) = subject { Some(id) } else { None }
}

fn dwelling(subject: &Subject) -> Option<&DwellingId> {
    if let Subject::Dwelling(id) = subject { Some(id) } else { None }
}

fn area(subject: &Subject) -> Option<&AreaId> {
    if let Subject::Area(id) = subject { Some(id) } else { None }
}
