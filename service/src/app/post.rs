//! Posts: who covers which buildings, and in whose place.
//!
//! Nothing here is personal: reads need a permit but leave no audit entry of their own.

use futures_util::FutureExt;
use linli_core::id::{PostId, SiteId, StaffId};
use linli_core::invalid::Invalid;
use linli_core::kind::Department;
use linli_core::site::{POST_BUILDINGS_MAX, POST_HOLDERS_MAX, Post, PostHolder};
use linli_core::text::Line;
use linli_core::time::CivilDate;

use super::site::{Update, filtered, fresh, invalid, next_version};
use super::work::Touches;
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing, Violation};
use crate::name;

/// A post to be registered.
#[derive(Debug, Clone)]
pub struct NewPost {
    /// The id, where the caller chooses it.
    pub id: Option<PostId>,
    /// Its name.
    pub title: Line,
    /// The department.
    pub department: Department,
    /// The buildings it covers; empty: the whole site.
    pub buildings: Vec<Line>,
    /// Who holds it.
    pub holders: Vec<PostHolder>,
}

/// What may change about a post; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct PostUpdate {
    /// Its name.
    pub title: Option<Line>,
    /// The department.
    pub department: Option<Department>,
    /// The buildings it covers.
    pub buildings: Option<Vec<Line>>,
}

/// The end of a holder's time.
#[derive(Debug, Clone)]
pub struct HolderEnd {
    /// Who.
    pub staff: StaffId,
    /// Which of their times, by its first day.
    pub from: CivilDate,
    /// The last day.
    pub to: CivilDate,
}

impl App {
    /// One post.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn post(&self, call: &Call, site: &SiteId, id: &PostId) -> Result<Post> {
        self.begin(call, Some(site)).await?;
        self.load_post(site, id).await
    }

    /// The posts of a site, by id.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::PageToken`].
    pub async fn posts(
        &self,
        call: &Call,
        sites: &name::Sites,
        department: Option<Department>,
        staff: Option<&StaffId>,
        page: PageRequest,
    ) -> Result<Page<Post>> {
        let (sites, zone) = self.listed(call, sites).await?;
        let today = zone.date_of(self.now());
        let fits = |post: &Post| {
            department.is_none_or(|department| post.department == department)
                && staff.is_none_or(|staff| {
                    post.holders.iter().any(|holder| holder.staff == *staff && holds_on(holder, today))
                })
        };
        let id = |post: &Post| (post.site.clone(), post.id.as_str().to_owned());
        filtered(sites, &page, fits, id, |sites, next| {
            async move { Ok(self.store.posts(&sites, &next).await?) }.boxed()
        })
        .await
    }

    /// Registers a post.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Denied`], [`Error::Invalid`] for holders whose time ends before it begins.
    pub async fn create_post(
        &self,
        call: &Call,
        repeat: Repeat<Post>,
        site: SiteId,
        new: NewPost,
    ) -> Result<Answer<Post>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let id = match new.id {
            Some(id) => id,
            None => fresh(PostId::new(&work.new_id()))?,
        };
        let NewPost { title, department, buildings, holders, .. } = new;
        let post = Post { site, id, title, department, buildings, holders, created_at: work.now, version: 1 };
        check_post(&post)?;
        let resource = name::post(&post.site, &post.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_post(post.clone()).event("post.created", resource);
        work.commit("post.create", changes, &repeat, post).await
    }

    /// Changes a post.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn update_post(
        &self,
        call: &Call,
        repeat: Repeat<Post>,
        update: Update<PostId, PostUpdate>,
    ) -> Result<Answer<Post>> {
        let PostUpdate { title, department, buildings } = update.change;
        let target = (update.site, update.id, update.version);
        self.change_post(call, repeat, target, "post.update", |post| {
            post.title = title.unwrap_or_else(|| post.title.clone());
            post.department = department.unwrap_or(post.department);
            post.buildings = buildings.unwrap_or_else(|| post.buildings.clone());
            Ok(())
        })
        .await
    }

    /// Gives a post a holder, or somebody who stands in.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::Denied`], [`Error::Invalid`].
    pub async fn add_post_holder(
        &self,
        call: &Call,
        repeat: Repeat<Post>,
        update: Update<PostId, PostHolder>,
    ) -> Result<Answer<Post>> {
        let holder = update.change;
        let target = (update.site, update.id, update.version);
        self.change_post(call, repeat, target, "post.add_holder", |post| {
            let twice =
                post.holders.iter().any(|held| held.staff == holder.staff && held.from == holder.from);
            if twice {
                return Err(invalid("holder", Invalid::Duplicate));
            }
            if !holder.cover && post.holders.iter().any(|held| !held.cover && overlap(held, &holder)) {
                return Err(Error::State(StateConflict::HolderOverlaps));
            }
            post.holders.push(holder);
            post.holders.sort_by_key(|holder| std::cmp::Reverse(holder.from));
            Ok(())
        })
        .await
    }

    /// Ends a holder's time on a post.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::Denied`], [`Error::State`], [`Error::Invalid`].
    pub async fn end_post_holder(
        &self,
        call: &Call,
        repeat: Repeat<Post>,
        update: Update<PostId, HolderEnd>,
    ) -> Result<Answer<Post>> {
        let end = update.change;
        let target = (update.site, update.id, update.version);
        self.change_post(call, repeat, target, "post.end_holder", |post| {
            let running = post.holders.iter_mut().find(|holder| {
                holder.staff == end.staff && end.from == holder.from && holder.to.is_none_or(|to| to > end.to)
            });
            running.ok_or(Error::State(StateConflict::HolderEnded))?.to = Some(end.to);
            Ok(())
        })
        .await
    }

    /// A post that must exist.
    pub(super) async fn load_post(&self, site: &SiteId, id: &PostId) -> Result<Post> {
        self.store.post(site, id).await?.ok_or(Error::NotFound(Thing::Post))
    }

    async fn change_post(
        &self,
        call: &Call,
        repeat: Repeat<Post>,
        (site, id, version): (SiteId, PostId, Option<u64>),
        action: &'static str,
        change: impl FnOnce(&mut Post) -> Result<()> + Send,
    ) -> Result<Answer<Post>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let mut post = self.load_post(&site, &id).await?;
        let holders = post.holders.clone();
        post.version = next_version(post.version, version)?;
        change(&mut post)?;
        check_post(&post)?;
        let resource = name::post(&post.site, &post.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_post(post.clone()).event("post.updated", resource);
        if post.holders != holders {
            // Who holds a post may see what it has to do: what was decided before must not be written after.
            changes.bump_epoch();
        }
        work.commit(action, changes, &repeat, post).await
    }
}

/// Whether a holder's time holds `day`.
pub(super) fn holds_on(holder: &PostHolder, day: CivilDate) -> bool {
    holder.from <= day && holder.to.is_none_or(|to| day <= to)
}

/// Whether two times on a post share a day.
fn overlap(a: &PostHolder, b: &PostHolder) -> bool {
    a.to.is_none_or(|to| b.from <= to) && b.to.is_none_or(|to| a.from <= to)
}

fn check_post(post: &Post) -> Result<()> {
    let mut violations = Vec::new();
    if post.buildings.len() > POST_BUILDINGS_MAX {
        violations
            .push(Violation { field: "buildings".into(), why: Invalid::TooMany { max: POST_BUILDINGS_MAX } });
    }
    if post.holders.len() > POST_HOLDERS_MAX {
        violations
            .push(Violation { field: "holders".into(), why: Invalid::TooMany { max: POST_HOLDERS_MAX } });
    }
    for (at, holder) in post.holders.iter().enumerate() {
        if holder.to.is_some_and(|to| to < holder.from) {
            violations
                .push(Violation { field: format!("holders[{at}].end_date"), why: Invalid::EndsBeforeStart });
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
}
