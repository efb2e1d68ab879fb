//! The working group: who belongs to it, and whose the credentials of a call are.
//!
//! Two rules stand beside the policies, because they compare grants with grants: nobody gives or takes rights in sites that
//! they do not lead themselves, and nobody changes their own.

use std::collections::BTreeSet;

use linli_core::id::{SiteId, StaffId};
use linli_core::invalid::Invalid;
use linli_core::staff::{CREDENTIALS_MAX, Credential, GRANTS_MAX, Grant, Reach, Role, Staff};
use linli_core::text::Line;
use linli_core::time::Instant;
use linli_store::{AuditDraft, ChangeSet, Committed, Decision, FieldClasses, Scope, Store};

use super::site::{fresh, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::{Call, Caller, Principal, Rights};
use crate::error::{Error, Result, StateConflict, Thing, Violation};
use crate::name;

/// Sites read together.
const SITES_PAGE: u64 = 1000;
/// The id of the first leader.
const FIRST_LEADER: &str = "leader";

/// A member of staff to be entered.
#[derive(Debug, Clone)]
pub struct NewStaff {
    /// The id, where the caller chooses it.
    pub id: Option<StaffId>,
    /// What people call them.
    pub title: Line,
    /// Their roles.
    pub grants: Vec<Grant>,
    /// How they prove who they are.
    pub credentials: Vec<Credential>,
}

/// What may change about a member of staff; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct StaffUpdate {
    /// What people call them.
    pub title: Option<Line>,
    /// Their roles.
    pub grants: Option<Vec<Grant>>,
    /// How they prove who they are.
    pub credentials: Option<Vec<Credential>>,
}

/// Which staff a list holds.
#[derive(Debug, Clone, Default)]
pub struct StaffFilter {
    /// With a grant for this site.
    pub site: Option<SiteId>,
    /// With a grant of this role.
    pub role: Option<Role>,
}

impl App {
    /// Whom the credentials of a call belong to, with the rights of this moment. Credentials that belong to nobody, to several, or
    /// not all to the same one, give no rights.
    pub(super) async fn principal(&self, call: &Call) -> Result<Principal> {
        let (token, certificate) = match &call.caller {
            Caller::Fixed(principal) => return Ok(principal.clone()),
            Caller::Presented { token, certificate } => (token, certificate),
        };
        let presented: Vec<Credential> = token.iter().chain(certificate).cloned().collect();
        let mut found = self.store.staff_by_credentials(&presented).await?;
        let unknown = || Ok(Principal::unknown(&call.caller));
        let (Some(staff), true) = (found.pop(), found.is_empty()) else { return unknown() };
        let owns = |credential: &Credential| staff.credentials.contains(credential);
        let agree =
            token.as_ref().is_none_or(owns) && (certificate.is_empty() || certificate.iter().any(owns));
        if !agree {
            return unknown();
        }
        let grants = staff.grants_at(self.system_clock.now()).cloned().collect();
        Ok(Principal { staff: staff.id, rights: Rights::Grants(grants) })
    }

    /// One member of staff.
    ///
    /// # Errors
    /// [`Error::NotFound`], also where the caller shares no site with them; [`Error::Denied`].
    pub async fn staff(&self, call: &Call, id: &StaffId) -> Result<Staff> {
        let work = self.begin(call, None).await?;
        let staff = self.store.staff(id).await?;
        staff.filter(|staff| is_visible(&work, staff)).ok_or(Error::NotFound(Thing::Staff))
    }

    /// The staff of the sites that the caller may see, by id.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn staff_list(
        &self,
        call: &Call,
        filter: &StaffFilter,
        page: PageRequest,
    ) -> Result<Page<Staff>> {
        let work = self.begin(call, None).await?;
        let fits = |staff: &Staff| {
            let grant = |grant: &Grant| {
                filter.site.as_ref().is_none_or(|site| grant.reach.holds(site))
                    && filter.role.is_none_or(|role| grant.role == role)
            };
            let filtered = filter.site.is_some() || filter.role.is_some();
            is_visible(&work, staff) && (!filtered || staff.grants.iter().any(grant))
        };
        let limit = u64::from(page.size) + 1;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut after = page.after.clone();
        let mut found = Vec::new();
        loop {
            let rows = self.store.staff_page(after.as_deref(), limit).await?;
            let exhausted = rows.len() < wanted;
            after = rows.last().map(|staff| staff.id.as_str().to_owned()).or(after);
            found.extend(rows.into_iter().filter(fits));
            if exhausted || found.len() >= wanted {
                return Ok(Page::cut(found, page.size, |staff| staff.id.as_str().to_owned()));
            }
        }
    }

    /// Enters a member of staff.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NotFound`] for a site, [`Error::Invalid`], [`Error::Denied`] for grants in sites that
    /// the caller does not lead.
    pub async fn create_staff(
        &self,
        call: &Call,
        repeat: Repeat<Staff>,
        new: NewStaff,
    ) -> Result<Answer<Staff>> {
        let work = self.begin(call, None).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let id = match new.id {
            Some(id) => id,
            None => fresh(StaffId::new(&work.new_id()))?,
        };
        let NewStaff { title, grants, credentials, .. } = new;
        let staff =
            Staff { id, title, grants, credentials, deactivated_at: None, created_at: work.now, version: 1 };
        self.put_staff(work, repeat, "staff.create", "staff.created", None, staff).await
    }

    /// Changes a member of staff.
    ///
    /// # Errors
    /// As [`App::create_staff`]; [`Error::EtagMismatch`]; [`Error::State`] for the caller's own rights.
    pub async fn update_staff(
        &self,
        call: &Call,
        repeat: Repeat<Staff>,
        (id, version): (StaffId, Option<u64>),
        update: StaffUpdate,
    ) -> Result<Answer<Staff>> {
        self.change_staff(call, repeat, (id, version), ("staff.update", "staff.updated"), |staff, _| {
            let StaffUpdate { title, grants, credentials } = update;
            staff.title = title.unwrap_or_else(|| staff.title.clone());
            staff.grants = grants.unwrap_or_else(|| staff.grants.clone());
            staff.credentials = credentials.unwrap_or_else(|| staff.credentials.clone());
            Ok(())
        })
        .await
    }

    /// Ends all rights of a member of staff.
    ///
    /// # Errors
    /// As [`App::update_staff`]; [`Error::State`] where they are deactivated already.
    pub async fn deactivate_staff(
        &self,
        call: &Call,
        repeat: Repeat<Staff>,
        target: (StaffId, Option<u64>),
    ) -> Result<Answer<Staff>> {
        self.change_staff(call, repeat, target, ("staff.deactivate", "staff.deactivated"), |staff, now| {
            match staff.deactivated_at.replace(now) {
                None => Ok(()),
                Some(_) => Err(Error::State(StateConflict::StaffInactive)),
            }
        })
        .await
    }

    /// Gives a member of staff who was deactivated their rights back.
    ///
    /// # Errors
    /// As [`App::update_staff`]; [`Error::State`] where they are active.
    pub async fn reactivate_staff(
        &self,
        call: &Call,
        repeat: Repeat<Staff>,
        target: (StaffId, Option<u64>),
    ) -> Result<Answer<Staff>> {
        self.change_staff(call, repeat, target, ("staff.reactivate", "staff.reactivated"), |staff, _| {
            match staff.deactivated_at.take() {
                Some(_) => Ok(()),
                None => Err(Error::State(StateConflict::StaffActive)),
            }
        })
        .await
    }

    async fn change_staff(
        &self,
        call: &Call,
        repeat: Repeat<Staff>,
        (id, version): (StaffId, Option<u64>),
        (action, event): (&'static str, &'static str),
        change: impl FnOnce(&mut Staff, Instant) -> Result<()> + Send,
    ) -> Result<Answer<Staff>> {
        let work = self.begin(call, None).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let before = self.store.staff(&id).await?.filter(|staff| is_visible(&work, staff));
        let before = before.ok_or(Error::NotFound(Thing::Staff))?;
        let mut staff = before.clone();
        staff.version = next_version(staff.version, version)?;
        change(&mut staff, self.system_clock.now())?;
        self.put_staff(work, repeat, action, event, Some(before), staff).await
    }

    /// Stores a member of staff and ends every decision that rested on what they were.
    async fn put_staff(
        &self,
        work: Work<'_>,
        repeat: Repeat<Staff>,
        action: &'static str,
        event: &'static str,
        before: Option<Staff>,
        staff: Staff,
    ) -> Result<Answer<Staff>> {
        check(&staff)?;
        let rights = |staff: &Staff| (staff.grants.clone(), staff.credentials.clone(), staff.deactivated_at);
        let changes_rights = before.as_ref().map(rights) != Some(rights(&staff));
        if changes_rights && staff.id == work.permit().principal().staff {
            return Err(Error::State(StateConflict::OwnRights));
        }
        let concerned = before.as_ref().map_or(Reach::nowhere(), Staff::reach).and(&staff.reach());
        if !work.permit().reach().covers(&concerned) {
            return Err(Error::Denied);
        }
        if let Reach::Sites(sites) = staff.reach() {
            for site in &sites {
                self.load_site(site).await?;
            }
        }
        let resource = name::staff(&staff.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        let credentials = before.map(|before| before.credentials).unwrap_or_default();
        changes.put_staff(staff.clone(), credentials).event(event, resource);
        let mut ended = BTreeSet::new();
        if changes_rights {
            ended = self.concerned_sites(&concerned).await?;
            changes.bump_epochs(&ended);
        }
        let answer = work.commit(action, changes, &repeat, staff).await?;
        if changes_rights && concerned == Reach::Everywhere {
            self.end_in_new_sites(&work, &ended).await?;
        }
        Ok(answer)
    }

    /// Sites that came to be between the look and the commit: no decision there may outlast the change either.
    async fn end_in_new_sites(&self, work: &Work<'_>, ended: &BTreeSet<SiteId>) -> Result<()> {
        let now = self.concerned_sites(&Reach::Everywhere).await?;
        let new: Vec<&SiteId> = now.difference(ended).collect();
        if new.is_empty() {
            return Ok(());
        }
        let epoch = self.store.authz_epoch(&Scope::System).await?.unwrap_or_default();
        let mut changes = work.changes_at(epoch, &Touches::resource("sites/-"));
        changes.bump_epochs(new);
        self.store.commit("staff.end_decisions", changes).await?;
        Ok(())
    }

    /// The sites of a reach, as they are now.
    pub(super) async fn concerned_sites(&self, reach: &Reach) -> Result<BTreeSet<SiteId>> {
        match reach {
            Reach::Sites(sites) => Ok(sites.iter().cloned().collect()),
            Reach::Everywhere => {
                let mut all = BTreeSet::new();
                let mut after: Option<String> = None;
                loop {
                    let page = self.store.sites(after.as_deref(), SITES_PAGE).await?;
                    let Some(last) = page.last() else { return Ok(all) };
                    after = Some(last.id.as_str().to_owned());
                    all.extend(page.into_iter().map(|site| site.id));
                }
            }
        }
    }
}

/// Enters the first leader, with a grant for every site, where nobody was entered yet: then there is nobody who could. Returns
/// whether it did. `times` are the readings of the care clock and of the machine's.
///
/// # Errors
/// As the store fails.
pub async fn enter_first_leader(
    store: &Store,
    credential: Credential,
    (care_time, system_time): (Instant, Instant),
) -> Result<bool> {
    if !store.staff_page(None, 1).await?.is_empty() {
        return Ok(false);
    }
    let literal = |why: Invalid| Error::Internal(why.to_string());
    let id = StaffId::new(FIRST_LEADER).map_err(literal)?;
    let draft = AuditDraft {
        principal: "server".into(),
        method: "bootstrap".into(),
        resource: name::staff(&id),
        subjects: Vec::new(),
        classes: FieldClasses::NONE,
        purpose: String::new(),
        decision: Decision::Allowed,
        request_id: String::new(),
        care_time,
        system_time,
    };
    let grant = Grant {
        role: Role::Leader,
        department: None,
        reach: Reach::Everywhere,
        from: None,
        until: None,
        children: true,
    };
    let staff = Staff {
        title: Line::new("组长").map_err(literal)?,
        grants: vec![grant],
        credentials: vec![credential],
        deactivated_at: None,
        created_at: care_time,
        version: 1,
        id,
    };
    let epoch = store.authz_epoch(&Scope::System).await?.unwrap_or_default();
    let mut changes = ChangeSet::new(Scope::System, epoch, draft);
    changes.event("staff.created", name::staff(&staff.id)).put_staff(staff, Vec::new()).bump_epoch();
    match store.commit("staff.bootstrap", changes).await {
        Ok(Committed::Done(_) | Committed::Repeated(_)) => Ok(true),
        // Another replica was faster.
        Err(linli_store::CommitError::Exists { .. } | linli_store::CommitError::EpochChanged { .. }) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a caller may know of somebody: they share a site, or the one who asks has all of them.
fn is_visible(work: &Work<'_>, staff: &Staff) -> bool {
    let reach = work.permit().reach();
    *reach == Reach::Everywhere || reach.meets(&staff.reach())
}

fn check(staff: &Staff) -> Result<()> {
    let mut violations = Vec::new();
    let mut refuse = |field: &str, why| violations.push(Violation { field: format!("staff.{field}"), why });
    if staff.grants.len() > GRANTS_MAX {
        refuse("grants", Invalid::TooMany { max: GRANTS_MAX });
    }
    if staff.credentials.len() > CREDENTIALS_MAX {
        refuse("credentials", Invalid::TooMany { max: CREDENTIALS_MAX });
    }
    let unique: BTreeSet<&Credential> = staff.credentials.iter().collect();
    if unique.len() < staff.credentials.len() {
        refuse("credentials", Invalid::Duplicate);
    }
    if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
}
