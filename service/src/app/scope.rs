//! The sites that a list runs over: one, or all in the caller's scope, in order.

use linli_core::id::SiteId;
use linli_core::site::Site;
use linli_core::staff::Reach;

use super::App;
use super::work::Work;
use crate::auth::Call;
use crate::error::{Error, Result, Thing};
use crate::name::Sites;

/// Sites one after the other. Each is decided upon by itself, so that a decision always carries that site's epoch.
pub(super) struct InScope<'a> {
    app: &'a App,
    call: &'a Call,
    rest: Rest<'a>,
}

enum Rest<'a> {
    /// This site, then none.
    One(Option<Box<Work<'a>>>),
    /// Every site: `first`, then those after `after`.
    Everywhere { first: Option<SiteId>, after: Option<SiteId> },
    /// These sites.
    These(std::vec::IntoIter<SiteId>),
}

impl<'a> InScope<'a> {
    /// The sites of `sites`, in order, from `from` on.
    pub(super) async fn new(
        app: &'a App,
        call: &'a Call,
        sites: &Sites,
        from: Option<&SiteId>,
    ) -> Result<InScope<'a>> {
        let rest = match sites {
            Sites::One(id) => Rest::One(Some(Box::new(app.begin(call, Some(id)).await?))),
            Sites::All => {
                let work = app.begin(call, None).await?;
                match work.permit().reach() {
                    Reach::Everywhere => Rest::Everywhere { first: from.cloned(), after: from.cloned() },
                    Reach::Sites(ids) => {
                        let rest = ids.iter().filter(|id| from.is_none_or(|from| *id >= from));
                        Rest::These(rest.cloned().collect::<Vec<_>>().into_iter())
                    }
                }
            }
        };
        Ok(Self { app, call, rest })
    }

    /// The next site, with what was decided about it.
    pub(super) async fn next(&mut self) -> Result<Option<(Site, Work<'a>)>> {
        let site = match &mut self.rest {
            Rest::One(work) => {
                return work.take().map(|work| Ok((work.site()?, *work))).transpose();
            }
            Rest::Everywhere { first, after } => {
                let next = match first.take() {
                    Some(first) => self.app.store.site(&first).await?,
                    None => None,
                };
                let next = match next {
                    Some(site) => Some(site),
                    None => self.app.store.sites(after.as_ref().map(SiteId::as_str), 1).await?.pop(),
                };
                if let Some(site) = &next {
                    *after = Some(site.id.clone());
                }
                next
            }
            Rest::These(ids) => loop {
                let Some(id) = ids.next() else { break None };
                match self.app.load_site(&id).await {
                    Ok(site) => break Some(site),
                    Err(Error::NotFound(Thing::Site)) => {}
                    Err(error) => return Err(error),
                }
            },
        };
        match site {
            Some(site) => {
                let work = self.app.begin(self.call, Some(&site.id)).await?;
                Ok(Some((site, work)))
            }
            None => Ok(None),
        }
    }
}
