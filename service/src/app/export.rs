//! Export of care files: page by page, each page behind an audit entry of its own that names everybody on it.
//!
//! Rights, purpose and policy are asked anew for every page: who loses them in the middle gets no further one.

use linli_core::id::{DwellingId, GroupCode, ResidentId, SiteId};
use linli_core::resident::{FieldClass, FileState};
use linli_store::{FieldClasses, ResidentFilter};

use super::App;
use super::resident::{FileView, Shown, View};
use super::work::Touches;
use crate::auth::Call;
use crate::error::Result;
use crate::name;

/// Files on one page: an audit entry names all of them.
const PAGE: u64 = 100;

/// What is exported.
#[derive(Debug, Clone)]
pub struct Export {
    /// The site.
    pub site: SiteId,
    /// The classes, in clear.
    pub classes: Vec<FieldClass>,
    /// Members, today, of this group only.
    pub group: Option<GroupCode>,
    /// Files in this state.
    pub state: FileState,
}

/// A page of an export.
#[derive(Debug)]
pub struct ExportPage {
    /// The files, by id.
    pub files: Vec<FileView>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<ResidentId>,
}

impl App {
    /// The files of an export after `after`; the first page counts as one more export of the caller.
    ///
    /// # Errors
    /// [`crate::error::Error::PurposeRequired`]; [`crate::error::Error::Denied`] where a class is not the caller's;
    /// [`crate::error::Error::RevealLimit`]; [`crate::error::Error::NotFound`] for the site.
    pub async fn export_page(
        &self,
        call: &Call,
        export: &Export,
        after: Option<&ResidentId>,
    ) -> Result<ExportPage> {
        let Export { site, classes, group, state } = export;
        let work = self.begin(call, Some(site)).await?;
        let resource = format!("{}/residents", name::site(site));
        work.reveal(&Touches::files(&resource, Vec::new(), classes)).await?;
        if after.is_none() {
            self.exports.count(&work.permit().principal().staff, self.system_clock.now())?;
        }
        let opened = FieldClasses::of(classes);
        let page = match after {
            Some(after) => linli_store::Page::after(site.as_str(), after.as_str(), PAGE),
            None => linli_store::Page::first(PAGE),
        };
        let (states, group, sight) = (vec![*state], group.clone(), work.sight().clone());
        let filter = ResidentFilter { states, group, sight, ..ResidentFilter::default() };
        let mut sealed =
            self.store.residents(&linli_store::Sites::from(site), &filter, &page, opened).await?;
        let full = u64::try_from(sealed.len()).unwrap_or(u64::MAX) >= PAGE;
        let next = sealed.last().filter(|_| full).map(|last| last.head.id.clone());
        let heads: Vec<_> = sealed.iter().map(|sealed| &sealed.head).collect();
        let mut states = self.file_states(site, &heads).await?;
        let today = work.today();
        if let Some(group) = &export.group {
            sealed.retain(|sealed| {
                states.get(&sealed.head.id).is_some_and(|state| state.is_member(group, today))
            });
        }
        let doors: Vec<DwellingId> = sealed.iter().map(|sealed| sealed.head.dwelling.clone()).collect();
        let ids: Vec<ResidentId> = sealed.iter().flat_map(|sealed| sealed.head.files()).collect();
        let doors = self.store.dwellings_by_id(site, &doors).await?;
        let facts = self.store.facts(site, &ids).await?;
        let subjects = ids.iter().map(|id| id.as_str().to_owned()).collect();
        let receipt = work.disclose(&Touches::files(resource, subjects, classes)).await?;
        let opener = self.store.opener(&receipt).await?;
        let shown = Shown { view: View::Masked, opened, clear: opened };
        let masked = Shown { clear: FieldClasses::NONE, ..shown };
        // Whom the caller was not approved for stays masked.
        let children = match work.sees_children(classes) {
            true => Vec::new(),
            false => {
                let heads: Vec<_> = sealed.iter().map(|sealed| sealed.head.clone()).collect();
                self.children(&work, &heads).await?
            }
        };
        let mut files = Vec::with_capacity(sealed.len());
        for sealed in &sealed {
            let of_person = sealed.head.files();
            let own: Vec<_> =
                facts.iter().filter(|fact| of_person.contains(&fact.resident)).cloned().collect();
            let state = states.remove(&sealed.head.id).unwrap_or_default();
            let door = doors.iter().find(|door| door.id == sealed.head.dwelling);
            let door = door.map(|door| door.display_name()).unwrap_or_default();
            let shown = if children.contains(&sealed.head.id) { masked } else { shown };
            files.push(self.opened_view(&opener, (sealed, &own), &state, door, shown, today)?);
        }
        Ok(ExportPage { files, next })
    }
}
