//! Lists of referrals.

use linli_core::id::{BodyId, ResidentId, SiteId};
use linli_core::referral::{Referral, ReferralState};
use linli_store::{Page as StorePage, ReferralFilter as StoredFilter, Sites as StoreSites};

use super::ReferralView;
use crate::app::scope::InScope;
use crate::app::work::Work;
use crate::app::{App, BATCHES_MAX, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name;

/// Which referrals a list holds; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct ReferralFilter {
    /// In one of these states; empty: any.
    pub states: Vec<ReferralState>,
    /// To this body.
    pub body: Option<BodyId>,
    /// About this resident.
    pub resident: Option<ResidentId>,
    /// Only those that wait for a deputy's review.
    pub awaiting_review: bool,
}

/// Where a list goes on: behind a referral of a site, or at its beginning.
type Place = (SiteId, String);

impl App {
    /// The referrals of sites that fit, without words, by site and id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a site or a resident, [`Error::PageToken`], [`Error::Denied`].
    pub async fn referrals(
        &self,
        call: &Call,
        sites: &name::Sites,
        filter: &ReferralFilter,
        page: PageRequest,
    ) -> Result<Page<ReferralView>> {
        let mut after = page.after.as_deref().map(place).transpose()?;
        let first = after.as_ref().map(|(site, _)| site.clone());
        let mut scope = InScope::new(self, call, sites, first.as_ref()).await?;
        let limit = u64::from(page.size) + 1;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found: Vec<Referral> = Vec::new();
        let (mut looked_to, mut batches) = (None, 0);
        'sites: while let Some((site, work)) = scope.next().await? {
            let stored = self.stored_filter(&work, &site.id, filter).await?;
            let begin = after.take().filter(|(known, _)| *known == site.id);
            let mut last = begin.map(|(_, id)| id).unwrap_or_default();
            loop {
                if batches == BATCHES_MAX {
                    looked_to = Some(cursor(&site.id, &last));
                    break 'sites;
                }
                batches += 1;
                let next = StorePage::after(site.id.as_str(), last.as_str(), limit);
                let rows = self.store.referrals(&StoreSites::One(site.id.clone()), &stored, &next).await?;
                let exhausted = rows.len() < wanted;
                last = rows.last().map(|row| row.id.as_str().to_owned()).unwrap_or(last);
                found.extend(self.seen(&work, rows).await?);
                if found.len() >= wanted {
                    break 'sites;
                }
                if exhausted {
                    break;
                }
            }
        }
        let cut = Page::cut(found, page.size, |row| cursor(&row.site, row.id.as_str()));
        let items = cut.items.into_iter().map(ReferralView::from).collect();
        Ok(Page { items, next: cut.next.or(looked_to) })
    }

    /// The filter of one site: a resident is looked for in all their files.
    async fn stored_filter(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        filter: &ReferralFilter,
    ) -> Result<StoredFilter> {
        let residents = match &filter.resident {
            Some(id) => Some(self.load_head(work, site, id).await?.files()),
            None => None,
        };
        let ReferralFilter { states, body, awaiting_review, .. } = filter.clone();
        Ok(StoredFilter { states, body, residents, awaiting_review })
    }

    /// Those of whom the caller may know: also by the file into which theirs was merged.
    async fn seen(&self, work: &Work<'_>, rows: Vec<Referral>) -> Result<Vec<Referral>> {
        if !work.hides_somebody() {
            return Ok(rows);
        }
        let mut seen = Vec::with_capacity(rows.len());
        for row in rows {
            let head = self.find_head(&row.site, &row.resident).await?;
            if !work.hides(&row.resident) && head.is_none_or(|head| !work.hides(&head.id)) {
                seen.push(row);
            }
        }
        Ok(seen)
    }
}

fn cursor(site: &SiteId, id: &str) -> String {
    format!("{site}/{id}")
}

fn place(cursor: &str) -> Result<Place> {
    let (site, id) = cursor.split_once('/').ok_or(Error::PageToken)?;
    Ok((SiteId::new(site).map_err(|_| Error::PageToken)?, id.to_owned()))
}
