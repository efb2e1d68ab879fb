//! Memberships: declared ones, exits that staff confirm, lists.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use linli_core::id::{GroupCode, MembershipId, ResidentId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::membership::{Basis, Membership};
use linli_core::resident::{FieldClass, FileState};
use linli_core::text::{Line, Paragraph};
use linli_core::time::CivilDate;
use linli_store::ResidentHead;

use super::assessment::Coded;
use super::file::{require_active, violation};
use super::history::Field;
use super::site::{Update, fresh, invalid, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, BATCHES_MAX, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name;

/// A membership that somebody declares or proves.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// The group.
    pub group: GroupCode,
    /// Declared, or by certificate.
    pub basis: Basis,
    /// The day from which it is true; `None`: today.
    pub true_from: Option<CivilDate>,
    /// The first day on which it no longer holds.
    pub end: Option<CivilDate>,
    /// What was seen or said.
    pub evidence: Line,
}

/// The end of a membership, as staff confirm it.
#[derive(Debug, Clone)]
pub struct Exit {
    /// The first day on which it no longer holds; `None`: today.
    pub on: Option<CivilDate>,
    /// Why.
    pub reason: Line,
}

/// Where a membership stands today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipState {
    /// Begins later.
    Planned,
    /// In force.
    Active,
    /// In force; a rule no longer finds the person in the group.
    ExitProposed,
    /// Over.
    Ended,
}

impl MembershipState {
    /// Where a membership stands on a day.
    pub(super) fn of(membership: &Membership, today: CivilDate) -> Self {
        if membership.end.is_some_and(|end| end <= today) {
            Self::Ended
        } else if membership.start > today {
            Self::Planned
        } else if membership.proposed_exit.is_some() {
            Self::ExitProposed
        } else {
            Self::Active
        }
    }
}

/// A membership as an answer shows it.
#[derive(Debug, Clone)]
pub struct MembershipView {
    /// The membership; `evidence` only in answers to commands.
    pub membership: Membership,
    /// Where it stands.
    pub state: MembershipState,
    /// The rule's reason in words.
    pub reason: Option<Coded>,
}

impl App {
    /// Makes a resident a member of a group because somebody declared it or showed a certificate.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::Denied`].
    pub async fn declare_membership(
        &self,
        call: &Call,
        repeat: Repeat<MembershipView>,
        site: SiteId,
        id: ResidentId,
        declaration: Declaration,
    ) -> Result<Answer<MembershipView>> {
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &site, &id).await?;
        require_active(&head)?;
        let id = head.id.clone();
        let today = work.today();
        let true_from = declaration.true_from.unwrap_or(today);
        // Nobody gets missed weeks for what nobody knew: it begins no earlier than it is recorded.
        let start = true_from.max(today);
        let mut violations = Vec::new();
        if self.deployed().catalogue.group(&declaration.group).is_none() {
            violations.push(violation("group", Invalid::Unknown));
        }
        if true_from > today {
            violations.push(violation("true_from_date", Invalid::Future));
        }
        if declaration.end.is_some_and(|end| end <= start) {
            violations.push(violation("end_date", Invalid::EndsBeforeStart));
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let state = self.file_state(&head).await?;
        if state.is_member(&declaration.group, today) {
            return Err(Error::State(StateConflict::AlreadyMember));
        }
        let membership = Membership {
            id: fresh(MembershipId::new(&work.new_id()))?,
            group: declaration.group,
            basis: declaration.basis,
            reason: None,
            evidence: Some(declaration.evidence),
            start,
            end: declaration.end,
            proposed_exit: None,
            recorded_at: work.now,
            version: 1,
            site,
            resident: id,
        };
        let mut changes = work.changes(&touches(&membership.site, &membership.resident));
        // The file's version moves with it: two declarations at once, or one beside a move-out, do not both pass.
        let mut touched = head.clone();
        touched.version = next_version(head.version, None)?;
        touched.updated_at = work.now;
        let field = Field {
            path: format!("memberships.{}", membership.group),
            class: FieldClass::Status,
            old: None,
            new: membership.evidence.as_ref().and_then(|text| Paragraph::new(text.as_str()).ok()),
        };
        self.note(&work, &mut changes, &touched, &[field]);
        changes.update_resident(touched, linli_store::CellChanges::default());
        changes.put_membership(membership.clone());
        changes.event(
            "membership.declared",
            name::membership(&membership.site, &membership.resident, &membership.id),
        );
        let view = self.membership_view(membership, today);
        work.commit("membership.declare", changes, &repeat, view).await
    }

    /// Ends a membership whose exit is proposed, or that was declared.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn confirm_exit(
        &self,
        call: &Call,
        repeat: Repeat<MembershipView>,
        resident: ResidentId,
        update: Update<MembershipId, Exit>,
    ) -> Result<Answer<MembershipView>> {
        let Update { site, id, version, change } = update;
        let work = self.begin_file(call, &site, &resident).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let head = self.load_head(&work, &site, &resident).await?;
        let stored = self.store.memberships(&site, std::slice::from_ref(&resident)).await?;
        let stored = stored.into_iter().find(|stored| stored.membership.id == id);
        let stored = stored.ok_or(Error::NotFound(Thing::Membership))?;
        let today = work.today();
        let mut membership = stored.membership;
        if membership.end.is_some_and(|end| end <= today) {
            return Err(Error::State(StateConflict::MembershipEnded));
        }
        if membership.basis == Basis::Rule && membership.proposed_exit.is_none() {
            // The rule still finds the person in the group: a fact has to change first.
            return Err(Error::State(StateConflict::NoProposedExit));
        }
        let on = change.on.unwrap_or(today);
        if on > today {
            return Err(invalid("end_date", Invalid::Future));
        }
        // Duties run until staff confirm: an exit that a rule proposed reaches back to the proposal at most.
        let earliest = match &membership.proposed_exit {
            Some(exit) => exit.on.max(membership.start),
            None => membership.start.plus_days(1),
        };
        if on < earliest {
            return Err(invalid("end_date", Invalid::EndsBeforeStart));
        }
        membership.version = next_version(membership.version, version)?;
        membership.end = Some(on);
        membership.proposed_exit = None;
        if let Some(evidence) = &stored.evidence {
            let receipt = work.disclose(&touches(&site, &resident)).await?;
            membership.evidence = Some(self.store.opener(&receipt).await?.open(evidence)?);
        }
        let mut changes = work.changes(&touches(&site, &resident));
        // A change of the file, which has a version of its own: its history is told by version.
        let field = Field {
            path: format!("memberships.{}", membership.group),
            class: FieldClass::Status,
            old: None,
            new: Paragraph::new(change.reason.as_str()).ok(),
        };
        let mut touched = head.clone();
        touched.version = next_version(head.version, None)?;
        touched.updated_at = work.now;
        self.note(&work, &mut changes, &touched, &[field]);
        changes.update_resident(touched, linli_store::CellChanges::default());
        changes.put_membership(membership.clone());
        changes.event("membership.ended", name::membership(&site, &resident, &membership.id));
        let view = self.membership_view(membership, today);
        work.commit("membership.confirm_exit", changes, &repeat, view).await
    }

    /// Memberships of a resident, newest first; or those of all residents of a site, by resident.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn memberships(
        &self,
        call: &Call,
        site: &SiteId,
        resident: Option<&ResidentId>,
        state: Option<MembershipState>,
        page: PageRequest,
    ) -> Result<Page<MembershipView>> {
        let work = self.begin_of(call, site, resident).await?;
        let today = work.today();
        let fits = |view: &MembershipView| state.is_none_or(|state| view.state == state);
        self.of_residents(&work, site, resident, page, |ids: Vec<ResidentId>| {
            async move {
                let stored = self.store.memberships(site, &ids).await?;
                let mut views: Vec<MembershipView> = stored
                    .into_iter()
                    .map(|stored| self.membership_view(stored.membership, today))
                    .filter(fits)
                    .collect();
                views.sort_by(|a, b| {
                    let key = |view: &MembershipView| (view.membership.start, view.membership.id.clone());
                    a.membership.resident.cmp(&b.membership.resident).then_with(|| key(b).cmp(&key(a)))
                });
                Ok(views
                    .into_iter()
                    .map(|view| {
                        (view.membership.resident.clone(), view.membership.id.as_str().to_owned(), view)
                    })
                    .collect())
            }
            .boxed()
        })
        .await
    }

    /// As every call begins that is about what belongs to one resident, or to those of a site.
    pub(super) async fn begin_of<'a>(
        &'a self,
        call: &'a Call,
        site: &SiteId,
        resident: Option<&ResidentId>,
    ) -> Result<Work<'a>> {
        match resident {
            Some(resident) => self.begin_file(call, site, resident).await,
            None => self.begin(call, Some(site)).await,
        }
    }

    /// A page of things that belong to residents: those of one, or resident by resident of a whole site. The cursor
    /// is `resident/id`, or `resident/` after everything of that resident.
    pub(super) async fn of_residents<'f, T>(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        resident: Option<&ResidentId>,
        page: PageRequest,
        load: impl Fn(Vec<ResidentId>) -> BoxFuture<'f, Result<Vec<(ResidentId, String, T)>>>,
    ) -> Result<Page<T>> {
        // Residents looked at together: as many as the page holds, so that a call is as long as its page.
        let batch_size = u64::from(page.size) + 1;
        let seen = match page.after.as_deref() {
            None => None,
            Some(cursor) => Some(cursor.split_once('/').ok_or(Error::PageToken)?),
        };
        let mut found: Vec<(ResidentId, String, T)> = Vec::new();
        let mut looked_to: Option<ResidentId> = None;
        let wanted = usize::try_from(page.size).unwrap_or(usize::MAX).saturating_add(1);
        // What stands before the cursor within its resident was on the page before.
        let skip = |items: Vec<(ResidentId, String, T)>| {
            let at = seen.and_then(|(resident, id)| {
                items.iter().position(|(r, i, _)| r.as_str() == resident && i == id)
            });
            items.into_iter().skip(at.map_or(0, |at| at + 1)).collect::<Vec<_>>()
        };
        match resident {
            Some(id) => {
                let head = self.load_head(work, site, id).await?;
                if head.state == FileState::Sealed {
                    return Err(Error::State(StateConflict::FileSealed));
                }
                found = skip(of_files(&[head], &load).await?);
            }
            None => {
                let mut after = match seen {
                    Some((resident, id)) => {
                        let first = ResidentId::new(resident).map_err(|_| Error::PageToken)?;
                        if !id.is_empty() {
                            // Whoever was hidden meanwhile is no longer on any page.
                            let head = self.find_head(site, &first).await?;
                            let head = head.filter(|head| !work.hides(&head.id));
                            found = skip(of_files(head.as_slice(), &load).await?);
                        }
                        Some(first)
                    }
                    None => None,
                };
                for batches in 0.. {
                    if found.len() >= wanted {
                        break;
                    }
                    if batches == BATCHES_MAX {
                        looked_to = after;
                        break;
                    }
                    let next = match &after {
                        Some(id) => linli_store::Page::after(site.as_str(), id.as_str(), batch_size),
                        None => linli_store::Page::first(batch_size),
                    };
                    let sites = linli_store::Sites::One(site.clone());
                    let none = linli_store::FieldClasses::NONE;
                    let filter = linli_store::ResidentFilter {
                        sight: work.sight().clone(),
                        ..linli_store::ResidentFilter::default()
                    };
                    let batch = self.store.residents(&sites, &filter, &next, none).await?;
                    let heads: Vec<ResidentHead> = batch.into_iter().map(|sealed| sealed.head).collect();
                    let Some(last) = heads.last() else { break };
                    after = Some(last.id.clone());
                    found.extend(of_files(&heads, &load).await?);
                }
            }
        }
        let cut = Page::cut(found, page.size, |(resident, id, _)| format!("{resident}/{id}"));
        // Which group somebody is in, or that they are in hospital, is personal: no audit, no answer.
        let mut subjects: Vec<String> = cut.items.iter().map(|(id, ..)| id.as_str().to_owned()).collect();
        subjects.dedup();
        let name = resident.map_or_else(|| format!("sites/{site}/residents"), |id| name::resident(site, id));
        work.disclose(&Touches::files(name, subjects, &[FieldClass::Status, FieldClass::Care])).await?;
        let next = cut.next.or_else(|| looked_to.map(|resident| format!("{resident}/")));
        Ok(Page { items: cut.items.into_iter().map(|(_, _, item)| item).collect(), next })
    }

    fn membership_view(&self, membership: Membership, today: CivilDate) -> MembershipView {
        let state = MembershipState::of(&membership, today);
        let reason =
            membership.reason.as_ref().and_then(|reason| self.coded_reason(&membership.group, reason));
        MembershipView { membership, state, reason }
    }
}

/// What belongs to files and to those that were merged into them, file by file: their own come first.
async fn of_files<'f, T>(
    heads: &[ResidentHead],
    load: impl Fn(Vec<ResidentId>) -> BoxFuture<'f, Result<Vec<(ResidentId, String, T)>>>,
) -> Result<Vec<(ResidentId, String, T)>> {
    let ids = heads.iter().flat_map(ResidentHead::files).collect();
    let mut items = load(ids).await?;
    if heads.iter().all(|head| head.merged.is_empty()) {
        return Ok(items);
    }
    for (resident, ..) in &mut items {
        let survivor = heads.iter().find(|head| head.merged.iter().any(|merged| merged.id == *resident));
        if let Some(head) = survivor {
            *resident = head.id.clone();
        }
    }
    items.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    Ok(items)
}

/// A membership touches what it says of a person, and the group.
fn touches<'a>(site: &SiteId, resident: &ResidentId) -> Touches<'a> {
    Touches::files(name::resident(site, resident), vec![resident.as_str().to_owned()], &[FieldClass::Status])
}
