//! The sites that a list runs over: one, or all in the caller's scope, in order.

use linli_core::id::SiteId;
use linli_core::site::Site;
use linli_core::staff::Reach;

use super::App;
use crate::auth::Call;
use crate::error::{Error, Result, Thing};
use crate::name::Sites;

/// Sites one after the other. Each is decided upon by itself, so that a decision always carries that site's epoch.
pub(super) struct InScope<'a> {
    app: &'a App,
    call: &'a Call,
    rest: Rest,
}

enum Rest {
    /// This site, then none.
    One(Option<Box<Site>>),
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
            Sites::One(id) => {
                let site = app.begin(call, Some(id)).await?.site()?;
                Rest::One(Some(Box::new(site)))
            }
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

    /// The next site.
    pub(super) async fn next(&mut self) -> Result<Option<Site>> {
        let site = match &mut self.rest {
            Rest::One(site) => return Ok(site.take().map(|site| *site)),
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
        if let Some(site) = &site {
            self.app.begin(self.call, Some(&site.id)).await?;
        }
        Ok(site)
    }
}
