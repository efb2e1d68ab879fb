//! Community bodies: whom matters are handed to, and what was agreed with each.
//!
//! What was agreed decides what may go out: whoever changes it ends every decision in the sites that the body serves, so that nothing
//! goes by what was true a moment ago.

use linli_core::community_body::{Agreement, CONTACTS_MAX, CommunityBody, SITES_MAX};
use linli_core::consent::{BodyKind, DisclosurePurpose};
use linli_core::id::{BodyId, ChannelName, SiteId};
use linli_core::invalid::Invalid;
use linli_core::referral::DisclosedField;
use linli_core::staff::Reach;
use linli_core::text::Line;

use super::file::violation;
use super::site::{fresh, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, Thing};
use crate::name;

/// A channel, as far as it decides what goes through it.
#[derive(Debug, Clone)]
pub struct ChannelInfo {
    /// What it may carry.
    pub fields: Vec<DisclosedField>,
    /// The kinds of bodies that it is meant for; empty: any.
    pub recipients: Vec<BodyKind>,
    /// Whether it hands referrals over.
    pub can_deliver: bool,
    /// Whether it asks for answers.
    pub can_poll: bool,
    /// Whether it fetches rosters.
    pub can_pull: bool,
}

impl ChannelInfo {
    /// Whether it is meant for a kind of body.
    fn takes(&self, kind: BodyKind) -> bool {
        self.recipients.is_empty() || self.recipients.contains(&kind)
    }
}

/// A body to be entered.
#[derive(Debug, Clone)]
pub struct NewBody {
    /// The id, where the caller chooses it.
    pub id: Option<BodyId>,
    /// What it is.
    pub kind: BodyKind,
    /// Its name in Chinese.
    pub title: Line,
    /// Its name in English.
    pub title_en: Option<Line>,
    /// How its offices are reached.
    pub contacts: Vec<Line>,
    /// The sites that it serves; empty: all.
    pub sites: Vec<SiteId>,
    /// The channel by which referrals reach it.
    pub channel: Option<ChannelName>,
    /// What was agreed with it.
    pub agreement: Option<Agreement>,
    /// Whether matters are handed to it.
    pub enabled: bool,
}

/// What may change about a body; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct BodyUpdate {
    /// What it is.
    pub kind: Option<BodyKind>,
    /// Its name in Chinese.
    pub title: Option<Line>,
    /// Its name in English; `Some(None)` removes it.
    pub title_en: Option<Option<Line>>,
    /// How its offices are reached.
    pub contacts: Option<Vec<Line>>,
    /// The sites that it serves.
    pub sites: Option<Vec<SiteId>>,
    /// The channel; `Some(None)`: by hand.
    pub channel: Option<Option<ChannelName>>,
    /// What was agreed with it; `Some(None)`: nothing any more.
    pub agreement: Option<Option<Agreement>>,
    /// Whether matters are handed to it.
    pub enabled: Option<bool>,
}

/// Which bodies a list holds; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct BodyFilter {
    /// That serve this site.
    pub site: Option<SiteId>,
    /// Of this kind.
    pub kind: Option<BodyKind>,
}

/// A body as an answer shows it.
#[derive(Debug, Clone)]
pub struct BodyView {
    /// The body.
    pub body: CommunityBody,
    /// Whether what was agreed with it holds now.
    pub agreement_holds: bool,
}

impl BodyView {
    fn of(body: CommunityBody, work: &Work<'_>) -> Self {
        let agreement_holds = body.agreement.as_ref().is_some_and(|agreement| agreement.holds(work.now));
        Self { body, agreement_holds }
    }
}

impl App {
    /// One body.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn body(&self, call: &Call, id: &BodyId) -> Result<BodyView> {
        let work = self.begin(call, None).await?;
        let body = self.store.body(id).await?.ok_or(Error::NotFound(Thing::Body))?;
        Ok(BodyView::of(body, &work))
    }

    /// The bodies that fit, by id.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn bodies(
        &self,
        call: &Call,
        filter: &BodyFilter,
        page: PageRequest,
    ) -> Result<Page<BodyView>> {
        let work = self.begin(call, None).await?;
        let fits = |body: &CommunityBody| {
            filter.site.as_ref().is_none_or(|site| body.serves(site))
                && filter.kind.is_none_or(|kind| body.kind == kind)
        };
        let limit = u64::from(page.size) + 1;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut after = page.after.clone();
        let mut found = Vec::new();
        loop {
            let rows = self.store.bodies(after.as_deref(), limit).await?;
            let exhausted = rows.len() < wanted;
            after = rows.last().map(|body| body.id.as_str().to_owned()).or(after);
            found.extend(rows.into_iter().filter(fits));
            if exhausted || found.len() >= wanted {
                let cut = Page::cut(found, page.size, |body| body.id.as_str().to_owned());
                let items = cut.items.into_iter().map(|body| BodyView::of(body, &work)).collect();
                return Ok(Page { items, next: cut.next });
            }
        }
    }

    /// Enters a body.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Invalid`], [`Error::NotFound`] for a site; [`Error::Denied`], also for a body of sites that
    /// are not the caller's.
    pub async fn create_body(
        &self,
        call: &Call,
        repeat: Repeat<BodyView>,
        new: NewBody,
    ) -> Result<Answer<BodyView>> {
        let work = self.begin(call, None).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let id = match new.id {
            Some(id) => id,
            None => fresh(BodyId::new(&work.new_id()))?,
        };
        let NewBody { kind, title, title_en, contacts, sites, channel, agreement, enabled, .. } = new;
        let created_at = work.now;
        let body = CommunityBody {
            id,
            kind,
            title,
            title_en,
            contacts,
            sites,
            channel,
            agreement,
            enabled,
            created_at,
            version: 1,
        };
        self.put_body(work, repeat, ("body.create", "body.created"), None, body).await
    }

    /// Changes a body.
    ///
    /// # Errors
    /// As [`App::create_body`]; [`Error::NotFound`], [`Error::EtagMismatch`].
    pub async fn update_body(
        &self,
        call: &Call,
        repeat: Repeat<BodyView>,
        (id, version): (BodyId, Option<u64>),
        update: BodyUpdate,
    ) -> Result<Answer<BodyView>> {
        let work = self.begin(call, None).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let before = self.store.body(&id).await?.ok_or(Error::NotFound(Thing::Body))?;
        let mut body = before.clone();
        body.version = next_version(body.version, version)?;
        let BodyUpdate { kind, title, title_en, contacts, sites, channel, agreement, enabled } = update;
        body.kind = kind.unwrap_or(body.kind);
        body.title = title.unwrap_or(body.title);
        body.title_en = title_en.unwrap_or(body.title_en);
        body.contacts = contacts.unwrap_or(body.contacts);
        body.sites = sites.unwrap_or(body.sites);
        body.channel = channel.unwrap_or(body.channel);
        body.agreement = agreement.unwrap_or(body.agreement);
        body.enabled = enabled.unwrap_or(body.enabled);
        self.put_body(work, repeat, ("body.update", "body.updated"), Some(before), body).await
    }

    async fn put_body(
        &self,
        work: Work<'_>,
        repeat: Repeat<BodyView>,
        (action, event): (&'static str, &'static str),
        before: Option<CommunityBody>,
        body: CommunityBody,
    ) -> Result<Answer<BodyView>> {
        self.check_body(&body, before.as_ref())?;
        let concerned = before.as_ref().map_or_else(Reach::nowhere, reach).and(&reach(&body));
        if !work.permit().reach().covers(&concerned) {
            return Err(Error::Denied);
        }
        for site in &body.sites {
            self.load_site(site).await?;
        }
        let resource = name::body(&body.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_body(body.clone()).event(event, resource);
        if before.is_some() {
            changes.bump_epochs(&self.concerned_sites(&concerned).await?);
        }
        let view = BodyView::of(body, &work);
        work.commit(action, changes, &repeat, view).await
    }

    /// Everything about a body that its own words do not show to be possible. A channel that has gone from the configuration since
    /// keeps nobody from changing the rest.
    fn check_body(&self, body: &CommunityBody, before: Option<&CommunityBody>) -> Result<()> {
        let mut violations = Vec::new();
        let mut refuse = |field: &str, why| violations.push(violation(format!("body.{field}"), why));
        if body.kind == BodyKind::Company {
            refuse("kind", Invalid::NotAllowed);
        }
        if body.contacts.len() > CONTACTS_MAX {
            refuse("contacts", Invalid::TooMany { max: CONTACTS_MAX });
        }
        if body.sites.len() > SITES_MAX {
            refuse("sites", Invalid::TooMany { max: SITES_MAX });
        }
        let bound = |body: &CommunityBody| (body.kind, body.channel.clone());
        let rebound = before.map(bound).as_ref() != Some(&bound(body));
        let channel = body.channel.as_ref().filter(|_| rebound);
        match channel.map(|channel| self.channel(channel)) {
            Some(None) => refuse("channel", Invalid::Unknown),
            Some(Some(channel)) if !channel.takes(body.kind) => refuse("channel", Invalid::NotAllowed),
            Some(Some(_)) | None => {}
        }
        if let Some(agreement) = &body.agreement {
            if agreement.days.is_empty() {
                refuse("agreement.end_date", Invalid::EndsBeforeStart);
            }
            if let Some(at) = agreement.purposes.iter().position(|p| *p == DisclosurePurpose::CareFile) {
                refuse(&format!("agreement.purposes[{at}]"), Invalid::NotAllowed);
            }
        }
        if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
    }
}

/// The sites that a body serves.
fn reach(body: &CommunityBody) -> Reach {
    if body.sites.is_empty() { Reach::Everywhere } else { Reach::Sites(body.sites.clone()) }
}
