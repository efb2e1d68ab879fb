//! Duplicates: files that may be of one person, shown before another one is made.
//!
//! The store finds by blind index who shares a name, a birth date, a telephone number or a dwelling; only these are opened,
//! under an audit entry that names them, and compared by core. The answer is a question to a person.

use std::collections::{BTreeSet, HashMap};

use linli_core::duplicate::{Likeness, Person, likeness};
use linli_core::id::{DwellingId, ResidentId, SiteId};
use linli_core::identity::IdentityNumber;
use linli_core::resident::{Contact, FieldClass, FileState, Identity, PersonName, Phone};
use linli_core::time::CivilDate;
use linli_store::{FieldClasses, ResidentFilter, SealedResident};

use super::file::NewFile;
use super::resident::{FileView, may_open};
use super::work::{Touches, Work};
use super::{App, BATCHES_MAX, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name;

/// What is opened to compare.
const COMPARED: &[FieldClass] = &[FieldClass::Contact, FieldClass::Identity];
/// Files that are compared with the rest of their site at a time.
const BATCH: u64 = 100;
/// Files opened under one audit entry: bounds the entry.
const OPENED: usize = 500;

/// Whom duplicates are looked for of.
#[derive(Debug, Clone)]
pub enum About {
    /// Any two files of the site.
    Everybody,
    /// A file.
    File(ResidentId),
    /// Somebody whose file is to be opened.
    Somebody(Box<NewFile>),
}

/// Two files, or a description and a file, that may be of one person.
#[derive(Debug, Clone)]
pub struct Duplicate {
    /// The file, masked.
    pub file: FileView,
    /// The file that it is like, masked; `None` where there is only a description.
    pub other: Option<FileView>,
    /// How much they are alike.
    pub likeness: Likeness,
}

/// A file that may be somebody's.
#[derive(Debug, Clone)]
pub struct Suspect {
    /// The file.
    pub id: ResidentId,
    /// How much it is alike.
    pub likeness: Likeness,
}

/// The part of a file that is compared, opened.
struct Known {
    /// The file that was opened.
    opened: ResidentId,
    /// The file that it stands for: the survivor, where it was merged.
    id: ResidentId,
    dwelling: DwellingId,
    contact: Contact,
    identity: Identity,
}

impl Known {
    fn person(&self) -> Person<'_> {
        Person {
            name: Some(&self.contact.name),
            number: self.identity.number.as_ref(),
            birth_date: birth_date(&self.identity),
            phone: self.contact.phone.as_ref(),
            dwelling: Some(&self.dwelling),
        }
    }
}

/// A file to be opened, as it is compared.
pub(super) fn described(new: &NewFile) -> Person<'_> {
    Person {
        name: Some(&new.contact.name),
        number: new.identity.number.as_ref(),
        birth_date: birth_date(&new.identity),
        phone: new.contact.phone.as_ref(),
        dwelling: Some(&new.dwelling),
    }
}

fn birth_date(identity: &Identity) -> Option<CivilDate> {
    identity.number.as_ref().map(IdentityNumber::birth_date).or(identity.birth_date)
}

impl App {
    /// Files that may be of one person: by score for one file or description, by name for a whole site.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn duplicates(
        &self,
        call: &Call,
        site: &SiteId,
        about: About,
        page: PageRequest,
    ) -> Result<Page<Duplicate>> {
        let work = match &about {
            About::File(id) => self.begin_file(call, site, id).await?,
            About::Everybody | About::Somebody(_) => self.begin(call, Some(site)).await?,
        };
        let pairs = match &about {
            About::Everybody => self.pairs_of_site(&work, site, &page).await?,
            About::Somebody(new) => {
                let found = self.suspects(&work, site, &[described(new)]).await?;
                by_score(found.into_iter().flatten().map(|suspect| (suspect, None)), &page)
            }
            About::File(id) => {
                let own = self
                    .opened_to_compare(&work, site, std::slice::from_ref(id), &residents_of(site))
                    .await?;
                let Some(own) = own.first() else { return Err(work.absent(id).await) };
                let found = self.suspects(&work, site, &[own.person()]).await?;
                let others = found.into_iter().flatten().filter(|suspect| suspect.id != own.id);
                by_score(others.map(|suspect| (suspect, Some(own.id.clone()))), &page)
            }
        };
        let ids: BTreeSet<&ResidentId> = pairs
            .items
            .iter()
            .flat_map(|(suspect, other)| [Some(&suspect.id), other.as_ref()])
            .flatten()
            .collect();
        let ids: Vec<ResidentId> = ids.into_iter().cloned().collect();
        let views = self.masked(&work, site, &ids).await?;
        let view = |id: &ResidentId| views.iter().find(|view| view.resident.id == *id).cloned();
        let shown = pairs.items.into_iter().filter_map(|(suspect, other)| {
            let other = other.map(|other| view(&other).ok_or(()));
            // A file that went meanwhile is nobody's duplicate.
            Some(Duplicate {
                file: view(&suspect.id)?,
                other: other.transpose().ok()?,
                likeness: suspect.likeness,
            })
        });
        Ok(Page { items: shown.collect(), next: pairs.next })
    }

    /// For each of these people the files of the site that may be theirs, the most alike first. Whoever is compared
    /// leaves an audit entry.
    ///
    /// A protected file is compared for those who may know of it, and so are two files of one such person prevented. For
    /// everybody else it is not there, and a second file may come to be: a question that names nobody would still say that
    /// somebody is hidden here. Whoever is named finds the pair by `FindDuplicates`, protects both and merges them.
    pub(super) async fn suspects(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        people: &[Person<'_>],
    ) -> Result<Vec<Vec<Suspect>>> {
        self.suspects_for(work, site, people, &residents_of(site)).await
    }

    /// As [`App::suspects`], under audit entries of a resource on whose behalf they are compared.
    pub(super) async fn suspects_for(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        people: &[Person<'_>],
        resource: &str,
    ) -> Result<Vec<Vec<Suspect>>> {
        let sharing = self.store.residents_sharing(site, people).await?;
        let ids: BTreeSet<&ResidentId> = sharing.iter().map(|(_, id)| id).collect();
        let ids: Vec<ResidentId> = ids.into_iter().cloned().collect();
        let known = self.opened_to_compare(work, site, &ids, resource).await?;
        let known: HashMap<&ResidentId, &Known> = known.iter().map(|known| (&known.opened, known)).collect();
        let mut found: Vec<Vec<Suspect>> = people.iter().map(|_| Vec::new()).collect();
        for (at, id) in &sharing {
            let (Some(person), Some(known)) = (people.get(*at), known.get(id)) else { continue };
            if let (Some(likeness), Some(found)) = (likeness(person, &known.person()), found.get_mut(*at)) {
                found.push(Suspect { id: known.id.clone(), likeness });
            }
        }
        for found in &mut found {
            found.sort_by(|a, b| (b.likeness.score, &a.id).cmp(&(a.likeness.score, &b.id)));
            let mut seen = BTreeSet::new();
            found.retain(|suspect| seen.insert(suspect.id.clone()));
        }
        Ok(found)
    }

    /// What is compared of these files, under audit entries that name them. Sealed files are storage only.
    async fn opened_to_compare(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        ids: &[ResidentId],
        resource: &str,
    ) -> Result<Vec<Known>> {
        let mut known = Vec::with_capacity(ids.len());
        for ids in ids.chunks(OPENED) {
            let sealed = self.store.residents_by_id(site, ids, FieldClasses::of(COMPARED)).await?;
            let mut opening: Vec<(ResidentId, SealedResident)> = Vec::with_capacity(sealed.len());
            for sealed in sealed.into_iter().filter(|sealed| !work.hides(&sealed.head.id)) {
                // What a merged file says is known of the survivor.
                let of = match sealed.head.merged_into {
                    Some(_) => self.find_head(site, &sealed.head.id).await?,
                    None => Some(sealed.head.clone()),
                };
                let Some(of) = of else { continue };
                if may_open(&of).is_ok() && may_open(&sealed.head).is_ok() {
                    opening.push((of.id, sealed));
                }
            }
            if opening.is_empty() {
                continue;
            }
            let subjects = opening.iter().map(|(_, sealed)| sealed.head.id.as_str().to_owned()).collect();
            let touches = Touches::files(resource, subjects, COMPARED);
            let receipt = work.disclose(&touches).await?;
            let opener = self.store.opener(&receipt).await?;
            for (id, sealed) in opening {
                let Some(contact) = opener.open_option(sealed.contact.as_ref())? else { continue };
                let identity = opener.open_option(sealed.identity.as_ref())?.unwrap_or_default();
                let (opened, dwelling) = (sealed.head.id, sealed.head.dwelling);
                known.push(Known { opened, id, dwelling, contact, identity });
            }
        }
        Ok(known)
    }

    /// Files of a site, masked, by id.
    async fn masked(&self, work: &Work<'_>, site: &SiteId, ids: &[ResidentId]) -> Result<Vec<FileView>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sealed = self.store.residents_by_id(site, ids, FieldClasses::of(&[FieldClass::Contact])).await?;
        let heads: Vec<_> = sealed.iter().map(|sealed| &sealed.head).collect();
        let mut states = self.file_states(site, &heads).await?;
        let today = work.today();
        let files: Vec<_> = sealed
            .into_iter()
            .map(|sealed| {
                let state = states.remove(&sealed.head.id).unwrap_or_default();
                (sealed, state, today)
            })
            .collect();
        self.disclose_page(work, site, &files).await
    }

    /// Every two files of a site that may be of one person, each pair once, by their ids.
    async fn pairs_of_site(&self, work: &Work<'_>, site: &SiteId, page: &PageRequest) -> Result<Page<Pair>> {
        let seen = page.after.as_deref().map(parse_cursor).transpose()?;
        let wanted = usize::try_from(page.size).unwrap_or(usize::MAX).saturating_add(1);
        let mut pairs: Vec<Pair> = Vec::new();
        let mut after = seen.as_ref().map(|(id, _)| id.clone());
        if let Some((id, Some(other))) = &seen {
            // The page before ended within this file.
            pairs = self.pairs_of(work, site, std::slice::from_ref(id)).await?;
            pairs.retain(|(suspect, _)| suspect.id > *other);
        }
        let mut looked_to = None;
        for batches in 0.. {
            if pairs.len() >= wanted {
                break;
            }
            if batches == BATCHES_MAX {
                looked_to = after;
                break;
            }
            let next = match &after {
                Some(id) => linli_store::Page::after(site.as_str(), id.as_str(), BATCH),
                None => linli_store::Page::first(BATCH),
            };
            let sites = linli_store::Sites::One(site.clone());
            let filter = ResidentFilter {
                states: vec![FileState::Active, FileState::Left],
                sight: work.sight().clone(),
                ..ResidentFilter::default()
            };
            let files = self.store.residents(&sites, &filter, &next, FieldClasses::NONE).await?;
            let ids: Vec<ResidentId> = files.into_iter().map(|file| file.head.id).collect();
            let Some(last) = ids.last() else { break };
            after = Some(last.clone());
            pairs.extend(self.pairs_of(work, site, &ids).await?);
        }
        let cut = Page::cut(pairs, page.size, |(suspect, other)| {
            let id = other.as_ref().map(ResidentId::as_str).unwrap_or_default();
            format!("{id}/{}", suspect.id)
        });
        Ok(Page { items: cut.items, next: cut.next.or_else(|| looked_to.map(|id| format!("{id}/"))) })
    }

    /// The pairs of these files with files of a higher id, by both ids.
    async fn pairs_of(&self, work: &Work<'_>, site: &SiteId, ids: &[ResidentId]) -> Result<Vec<Pair>> {
        let known = self.opened_to_compare(work, site, ids, &residents_of(site)).await?;
        let people: Vec<Person<'_>> = known.iter().map(Known::person).collect();
        let found = self.suspects(work, site, &people).await?;
        let mut pairs = Vec::new();
        for (own, found) in known.iter().zip(found) {
            let higher = found.into_iter().filter(|suspect| suspect.id > own.id);
            pairs.extend(higher.map(|suspect| (suspect, Some(own.id.clone()))));
        }
        pairs.sort_by(|(a, own_a), (b, own_b)| (own_a, &a.id).cmp(&(own_b, &b.id)));
        Ok(pairs)
    }
}

/// What is named where files of a site are compared for their own sake.
fn residents_of(site: &SiteId) -> String {
    format!("{}/residents", name::site(site))
}

/// A file, and the one that it is like.
type Pair = (Suspect, Option<ResidentId>);

/// A page of what is alike to one person.
fn by_score(pairs: impl Iterator<Item = Pair>, page: &PageRequest) -> Page<Pair> {
    let keyed = pairs.map(|pair| (format!("{:03}/{}", 100 - pair.0.likeness.score, pair.0.id), pair));
    let page = Page::of_sorted(keyed, page, |(key, _)| key);
    Page { items: page.items.into_iter().map(|(_, pair)| pair).collect(), next: page.next }
}

/// `file/other`, or `file/` after everything of that file.
fn parse_cursor(cursor: &str) -> Result<(ResidentId, Option<ResidentId>)> {
    let (id, other) = cursor.split_once('/').ok_or(Error::PageToken)?;
    let parse = |id: &str| ResidentId::new(id).map_err(|_| Error::PageToken);
    Ok((parse(id)?, Some(other).filter(|other| !other.is_empty()).map(parse).transpose()?))
}

/// The people of one roster, by what they would share: a roster may name somebody twice.
pub(super) struct Lines {
    people: Vec<Line>,
    sharing: HashMap<Shared, Vec<usize>>,
    /// With how many that share one thing each is compared.
    most: usize,
}

impl Default for Lines {
    /// Compares with everybody who shares something.
    fn default() -> Self {
        Self { people: Vec::new(), sharing: HashMap::new(), most: usize::MAX }
    }
}

struct Line {
    line: i64,
    name: Option<PersonName>,
    number: Option<IdentityNumber>,
    birth_date: Option<CivilDate>,
    phone: Option<Phone>,
    dwelling: Option<DwellingId>,
}

#[derive(PartialEq, Eq, Hash)]
enum Shared {
    Name(PersonName),
    BirthDate(CivilDate),
    Phone(Phone),
    Dwelling(DwellingId),
}

impl Lines {
    /// Compares each with so many who share one thing at most: of a roster that somebody else made, who may have written the same
    /// name everywhere.
    pub(super) fn bounded(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Adds a line, and gives those before it that may be of the same person, the most alike first.
    pub(super) fn add(&mut self, line: i64, person: &Person<'_>) -> Vec<(i64, Likeness)> {
        let shared: Vec<Shared> = [
            person.name.cloned().map(Shared::Name),
            person.birth_date.map(Shared::BirthDate),
            person.phone.cloned().map(Shared::Phone),
            person.dwelling.cloned().map(Shared::Dwelling),
        ]
        .into_iter()
        .flatten()
        .collect();
        let sharing = shared.iter().filter_map(|key| self.sharing.get(key));
        let before: BTreeSet<usize> =
            sharing.flat_map(|lines| lines.iter().take(self.most)).copied().collect();
        let alike = |at: usize| {
            let other = self.people.get(at)?;
            let likeness = likeness(person, &other.person())?;
            Some((other.line, likeness))
        };
        let mut found: Vec<(i64, Likeness)> = before.into_iter().filter_map(alike).collect();
        found.sort_by(|(line_a, a), (line_b, b)| (b.score, line_a).cmp(&(a.score, line_b)));
        for key in shared {
            self.sharing.entry(key).or_default().push(self.people.len());
        }
        self.people.push(Line {
            line,
            name: person.name.cloned(),
            number: person.number.cloned(),
            birth_date: person.birth_date,
            phone: person.phone.cloned(),
            dwelling: person.dwelling.cloned(),
        });
        found
    }
}

impl Line {
    fn person(&self) -> Person<'_> {
        Person {
            name: self.name.as_ref(),
            number: self.number.as_ref(),
            birth_date: self.birth_date,
            phone: self.phone.as_ref(),
            dwelling: self.dwelling.as_ref(),
        }
    }
}
