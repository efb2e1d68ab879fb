//! Lists of care files: masked, with what finds them.

use linli_core::id::{DwellingId, GroupCode, ResidentId, SiteId};
use linli_core::identity::IdentityNumber;
use linli_core::kind::Tier;
use linli_core::resident::{FieldClass, FileState, Phone, Resident};
use linli_core::staff::Reach;
use linli_core::time::CivilDate;
use linli_store::{FieldClasses, IndexColumn, ResidentFilter, ResidentHead, Sight, Status};

use super::{AT_REST, FileView, View, bare, may_open};
use crate::app::assessment::FileState as AssessedState;
use crate::app::work::{Touches, Work};
use crate::app::{App, BATCHES_MAX, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result, Thing};
use crate::name::Sites;

/// Which files a list holds.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Of one site or all in scope.
    pub sites: Sites,
    /// Members, today, of this group.
    pub group: Option<GroupCode>,
    /// At least this tier.
    pub min_tier: Option<Tier>,
    /// In this state.
    pub state: FileState,
    /// Of this dwelling.
    pub dwelling: Option<(SiteId, DwellingId)>,
    /// With this identity number.
    pub number: Option<IdentityNumber>,
    /// With this phone number.
    pub phone: Option<Phone>,
    /// Only those about whom a person must decide instead of a plugin.
    pub manual: bool,
}

impl App {
    /// The care files of one or more sites, masked, by name.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::PageToken`].
    pub async fn residents(&self, call: &Call, filter: &Filter, page: PageRequest) -> Result<Page<FileView>> {
        let site = match &filter.sites {
            Sites::One(site) => Some(site),
            Sites::All => None,
        };
        let work = self.begin(call, site).await?;
        let mut after = page.after.as_deref().map(parse_cursor).transpose()?;
        let wanted = usize::try_from(page.size).unwrap_or(usize::MAX).saturating_add(1);
        let mut found = Vec::new();
        let mut last_site: Option<(SiteId, CivilDate)> = None;
        let mut batches = 0;
        // Conditions on the assessment and on indexes are checked page by page: bounded work for each round.
        let sight = self.sight_of(&work, call, filter).await?;
        let exhausted = loop {
            let (batch, exhausted) =
                self.resident_batch((&work, &sight), filter, after.as_ref(), page.size).await?;
            after =
                batch.last().map(|(sealed, _)| (sealed.head.site.clone(), sealed.head.id.clone())).or(after);
            for (sealed, state) in batch {
                let today = match last_site.as_ref().filter(|(site, _)| *site == sealed.head.site) {
                    Some((_, today)) => *today,
                    None => {
                        let today = self.today(&sealed.head.site, work.now).await?;
                        last_site = Some((sealed.head.site.clone(), today));
                        today
                    }
                };
                let fits = filter.group.as_ref().is_none_or(|group| state.is_member(group, today))
                    && filter.min_tier.is_none_or(|tier| state.tier(today) >= Some(tier));
                if fits {
                    found.push((sealed, state, today));
                }
            }
            batches += 1;
            if exhausted || found.len() >= wanted || batches == BATCHES_MAX {
                break exhausted;
            }
        };
        self.note_search(&work, filter).await?;
        let cursor = |(sealed, ..): &(linli_store::SealedResident, AssessedState, CivilDate)| {
            format!("{}/{}", sealed.head.site, sealed.head.id)
        };
        let cut = Page::cut(found, page.size, cursor);
        let mut items = Vec::with_capacity(cut.items.len());
        let mut rest = cut.items.as_slice();
        while let [(first, ..), ..] = rest {
            let site = &first.head.site;
            let count = rest.iter().take_while(|(sealed, ..)| sealed.head.site == *site).count();
            let (of_site, others) = rest.split_at(count);
            items.extend(self.disclose_page(&work, site, of_site).await?);
            rest = others;
        }
        // Looked through to there, without a page's worth of what fits.
        let looked_to = after.filter(|_| !exhausted).map(|(site, id)| format!("{site}/{id}"));
        Ok(Page { items, next: cut.next.or(looked_to) })
    }

    /// Whether somebody with a number or phone has a file is an answer even where it is no: the search is audited with
    /// the keyed hash of what was looked for.
    async fn note_search(&self, work: &Work<'_>, filter: &Filter) -> Result<()> {
        let Sites::One(site) = &filter.sites else { return Ok(()) };
        let terms = [
            ("identity_number", filter.number.as_ref().map(IdentityNumber::reveal)),
            ("phone", filter.phone.as_ref().map(Phone::reveal)),
        ];
        for (field, term) in terms {
            let Some(term) = term else { continue };
            let hash = self.store.audit_hash(&linli_store::Scope::from(site), field, term).await?;
            let searched = format!("sites/{site}/residents?{field}={}", crate::hex::hex(&hash));
            work.disclose(&Touches::files(searched, Vec::new(), &[FieldClass::Identity])).await?;
        }
        Ok(())
    }

    /// Which protected files a list shows.
    async fn sight_of(&self, work: &Work<'_>, call: &Call, filter: &Filter) -> Result<Sight> {
        let sites = match (&filter.sites, work.permit().reach()) {
            (Sites::One(_), _) => return Ok(work.sight().clone()),
            (Sites::All, Reach::Everywhere) => linli_store::Sites::All,
            (Sites::All, Reach::Sites(sites)) => linli_store::Sites::Among(sites.clone()),
        };
        let protected = self.store.protected_files_in(&sites).await?;
        Ok(self.sight(call, work.permit(), &protected).0)
    }

    async fn resident_batch(
        &self,
        (work, sight): (&Work<'_>, &Sight),
        filter: &Filter,
        after: Option<&(SiteId, ResidentId)>,
        size: u32,
    ) -> Result<(Vec<(linli_store::SealedResident, AssessedState)>, bool)> {
        let classes = FieldClasses::of(&[FieldClass::Contact]);
        let limit = u64::from(size) + 1;
        let indexed = match (&filter.sites, &filter.number, &filter.phone) {
            (Sites::One(site), Some(number), phone) => {
                let mut found = self.store.find_by_identity(site, number).await?;
                if let Some(phone) = phone {
                    let also = self.store.find_residents(site, IndexColumn::Phone, phone.reveal()).await?;
                    found.retain(|id| also.contains(id));
                }
                Some((site, found))
            }
            (Sites::One(site), None, Some(phone)) => {
                Some((site, self.store.find_residents(site, IndexColumn::Phone, phone.reveal()).await?))
            }
            (Sites::One(_), None, None) | (Sites::All, _, _) => None,
        };
        let (sealed, exhausted) = match indexed {
            Some((site, ids)) => {
                let mut found = self.store.residents_by_id(site, &ids, classes).await?;
                if found.iter().any(|sealed| sealed.head.merged_into.is_some()) {
                    // The number of a merged file finds the survivor.
                    let mut ids = std::collections::BTreeSet::new();
                    for sealed in &found {
                        ids.extend(self.find_head(site, &sealed.head.id).await?.map(|head| head.id));
                    }
                    let ids: Vec<ResidentId> = ids.into_iter().collect();
                    found = self.store.residents_by_id(site, &ids, classes).await?;
                }
                let fits = |head: &ResidentHead| {
                    sight.sees(head)
                        && head.state == filter.state
                        && filter.dwelling.as_ref().is_none_or(|(_, dwelling)| head.dwelling == *dwelling)
                        && after.is_none_or(|(_, seen)| head.id > *seen)
                };
                (found.into_iter().filter(|sealed| fits(&sealed.head)).collect::<Vec<_>>(), true)
            }
            None => {
                // A dwelling's name says of which site it is; ids alone repeat across sites.
                let narrowed = filter.dwelling.as_ref().map(|(site, _)| site);
                let sites = match (&filter.sites, work.permit().reach()) {
                    (Sites::One(site), _) => linli_store::Sites::One(site.clone()),
                    (Sites::All, reach) => match (narrowed, reach) {
                        (Some(site), reach) if reach.holds(site) => linli_store::Sites::One(site.clone()),
                        (Some(_), _) => linli_store::Sites::Among(Vec::new()),
                        (None, Reach::Everywhere) => linli_store::Sites::All,
                        (None, Reach::Sites(sites)) => linli_store::Sites::Among(sites.clone()),
                    },
                };
                let stored = ResidentFilter {
                    states: vec![filter.state],
                    dwelling: filter.dwelling.as_ref().map(|(_, dwelling)| dwelling.clone()),
                    group: filter.group.clone(),
                    manual: filter.manual,
                    sight: sight.clone(),
                };
                let page = match after {
                    Some((site, id)) => linli_store::Page::after(site.as_str(), id.as_str(), limit),
                    None => linli_store::Page::first(limit),
                };
                let found = self.store.residents(&sites, &stored, &page, classes).await?;
                let exhausted = u64::try_from(found.len()).unwrap_or(u64::MAX) < limit;
                (found, exhausted)
            }
        };
        let mut batch = Vec::with_capacity(sealed.len());
        let mut rest = sealed.into_iter().peekable();
        while let Some(first) = rest.next() {
            let site = first.head.site.clone();
            let mut of_site = vec![first];
            while let Some(next) = rest.next_if(|next| next.head.site == site) {
                of_site.push(next);
            }
            let heads: Vec<_> = of_site.iter().map(|sealed| &sealed.head).collect();
            let mut states = self.file_states(&site, &heads).await?;
            batch.extend(of_site.into_iter().map(|sealed| {
                let state = states.remove(&sealed.head.id).unwrap_or_default();
                (sealed, state)
            }));
        }
        Ok((batch, exhausted))
    }

    /// Opens the names of a page of one site, under one audit entry.
    pub(in crate::app) async fn disclose_page(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        files: &[(linli_store::SealedResident, AssessedState, CivilDate)],
    ) -> Result<Vec<FileView>> {
        let subjects = files.iter().map(|(sealed, ..)| sealed.head.id.as_str().to_owned()).collect();
        let touches = Touches::files(format!("sites/{site}/residents"), subjects, &[FieldClass::Contact]);
        let receipt = work.disclose_in(site, &touches).await?;
        let opener = self.store.opener(&receipt).await?;
        let dwellings: Vec<DwellingId> =
            files.iter().map(|(sealed, ..)| sealed.head.dwelling.clone()).collect();
        let dwellings = self.store.dwellings_by_id(site, &dwellings).await?;
        let mut views = Vec::with_capacity(files.len());
        for (sealed, state, today) in files {
            if may_open(&sealed.head).is_err() {
                let (blank, state) = (bare(&sealed.head, Status::default()), AssessedState::default());
                views.push(self.view(blank, Vec::new(), &state, String::new(), AT_REST, *today));
                continue;
            }
            let contact = sealed.contact.as_ref().ok_or(Error::NotFound(Thing::Resident))?;
            let resident =
                Resident { contact: opener.open(contact)?, ..bare(&sealed.head, Status::default()) };
            let dwelling = dwellings.iter().find(|dwelling| dwelling.id == sealed.head.dwelling);
            let dwelling_name = dwelling.map(|dwelling| dwelling.display_name()).unwrap_or_default();
            views.push(self.view(resident, Vec::new(), state, dwelling_name, View::Masked, *today));
        }
        Ok(views)
    }
}

fn parse_cursor(cursor: &str) -> Result<(SiteId, ResidentId)> {
    let (site, id) = cursor.split_once('/').ok_or(Error::PageToken)?;
    Ok((SiteId::new(site).map_err(|_| Error::PageToken)?, ResidentId::new(id).map_err(|_| Error::PageToken)?))
}
