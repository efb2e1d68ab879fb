//! What a site promises instead of the declared standards: declaring, approving, taking back.

use linli_core::id::{OverrideId, SiteId, StandardCode};
use linli_core::invalid::Invalid;
use linli_core::standard_override::{
    LOOSER_MAX_DAYS, OVERRIDES_MAX, OverrideState, StandardOverride, takes_effect,
};
use linli_core::stricter::{Numbers, Strictness, strictness};
use linli_core::text::Line;
use linli_core::time::CivilDate;

use super::file::violation;
use super::site::{Update, fresh, invalid, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing};
use crate::name;

/// An override to be declared.
#[derive(Debug, Clone)]
pub struct NewOverride {
    /// The standard.
    pub standard: StandardCode,
    /// What the site asks for.
    pub numbers: Numbers,
    /// Why.
    pub reason: Line,
    /// The first day; `None`: today.
    pub from: Option<CivilDate>,
    /// The last day; `None`: until retired.
    pub to: Option<CivilDate>,
}

/// An override as answers show it.
#[derive(Debug, Clone)]
pub struct OverrideView {
    /// The override.
    pub value: StandardOverride,
    /// Where it stands.
    pub state: OverrideState,
    /// The first day on which it makes a difference.
    pub takes_effect: Option<CivilDate>,
}

/// Which overrides a list holds; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct OverrideFilter {
    /// Of this standard.
    pub standard: Option<StandardCode>,
    /// That stand so.
    pub state: Option<OverrideState>,
}

impl App {
    /// Declares that a site promises other numbers of a standard. Stricter ones hold by themselves; looser ones wait for
    /// [`App::approve_override`].
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Denied`].
    pub async fn override_standard(
        &self,
        call: &Call,
        repeat: Repeat<OverrideView>,
        site: SiteId,
        new: NewOverride,
    ) -> Result<Answer<OverrideView>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let others = self.store.overrides(&site).await?;
        if others.len() >= OVERRIDES_MAX {
            return Err(invalid("parent", Invalid::TooMany { max: OVERRIDES_MAX }));
        }
        let looser = self.check_override(&work, &new)?;
        let value = StandardOverride {
            id: fresh(OverrideId::new(&work.new_id()))?,
            site,
            standard: new.standard,
            numbers: new.numbers,
            looser,
            reason: new.reason,
            from: new.from.unwrap_or_else(|| work.today()),
            until: new.to.map(|day| day.plus_days(1)),
            proposed: work.signed(),
            approved: None,
            retired: None,
            version: 1,
        };
        let kind = if looser { "override.proposed" } else { "override.declared" };
        self.store_override(&work, &repeat, &others, value, ("override.declare", kind)).await
    }

    /// Approves a looser override; whoever declared it cannot.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn approve_override(
        &self,
        call: &Call,
        repeat: Repeat<OverrideView>,
        update: Update<OverrideId, ()>,
    ) -> Result<Answer<OverrideView>> {
        self.change_override(
            call,
            repeat,
            update,
            ("override.approve", "override.approved"),
            |work, value| {
                match value.state(work.zone(), work.now) {
                    OverrideState::Proposed => {}
                    OverrideState::Planned
                    | OverrideState::InForce
                    | OverrideState::Ended
                    | OverrideState::Retired => return Err(Error::State(StateConflict::OverrideNotAwaiting)),
                }
                value.approved = Some(work.countersigned(&value.proposed)?);
                Ok(())
            },
        )
        .await
    }

    /// Takes an override back.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn retire_override(
        &self,
        call: &Call,
        repeat: Repeat<OverrideView>,
        update: Update<OverrideId, ()>,
    ) -> Result<Answer<OverrideView>> {
        self.change_override(call, repeat, update, ("override.retire", "override.retired"), |work, value| {
            match value.state(work.zone(), work.now) {
                OverrideState::Proposed | OverrideState::Planned | OverrideState::InForce => {}
                OverrideState::Ended | OverrideState::Retired => {
                    return Err(Error::State(StateConflict::OverrideOver));
                }
            }
            value.retired = Some(work.signed());
            Ok(())
        })
        .await
    }

    /// A site's overrides, past ones included, in the order in which they were declared.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn overrides(
        &self,
        call: &Call,
        site: &SiteId,
        filter: &OverrideFilter,
        page: PageRequest,
    ) -> Result<Page<OverrideView>> {
        let work = self.begin(call, Some(site)).await?;
        let known = self.store.overrides(site).await?;
        let views: Vec<OverrideView> = known
            .iter()
            .filter(|value| filter.standard.as_ref().is_none_or(|code| value.standard == *code))
            .map(|value| self.override_view(&work, &known, value.clone()))
            .filter(|view| filter.state.is_none_or(|state| view.state == state))
            .collect();
        Ok(Page::of_sorted(views, &page, |view| view.value.id.as_str()))
    }

    /// Whether what is to be declared is looser than the declared standard.
    fn check_override(&self, work: &Work<'_>, new: &NewOverride) -> Result<bool> {
        let today = work.today();
        let from = new.from.unwrap_or(today);
        let looser = self.is_looser(work, (&new.standard, &new.numbers), from, "standard_override.")?;
        let mut violations = Vec::new();
        if from < today {
            violations.push(violation("standard_override.start_date", Invalid::Past));
        }
        let end = "standard_override.end_date";
        match new.to {
            None if looser => violations.push(violation(end, Invalid::Missing)),
            None => {}
            Some(to) if to < from => violations.push(violation(end, Invalid::EndsBeforeStart)),
            Some(to) if looser && to.days() - today.days() > LOOSER_MAX_DAYS.cast_signed() => {
                violations.push(violation(end, Invalid::TooFarAhead { max_days: LOOSER_MAX_DAYS }));
            }
            Some(_) => {}
        }
        if violations.is_empty() { Ok(looser) } else { Err(Error::Invalid(violations)) }
    }

    /// Whether numbers ask for less than the standard as it is declared for the site on a day. `path` leads to the fields
    /// `standard` and `numbers`.
    pub(super) fn is_looser(
        &self,
        work: &Work<'_>,
        (code, numbers): (&StandardCode, &Numbers),
        day: CivilDate,
        path: &str,
    ) -> Result<bool> {
        let site = work.site()?;
        let declared = self.declared().into_iter().filter(|standard| {
            standard.code == *code
                && standard.effective.contains(day)
                && standard.applies_to.site.as_ref().is_none_or(|only| *only == site.id)
        });
        let Some(base) = declared.max_by_key(|standard| standard.version) else {
            return Err(invalid(&format!("{path}standard"), Invalid::Unknown));
        };
        if let Err((field, why)) = numbers.check(&base) {
            return Err(invalid(&format!("{path}numbers.{field}"), why));
        }
        Ok(strictness(&numbers.instead(&base), &base) == Strictness::Looser)
    }

    async fn change_override(
        &self,
        call: &Call,
        repeat: Repeat<OverrideView>,
        update: Update<OverrideId, ()>,
        names: (&'static str, &'static str),
        change: impl FnOnce(&Work<'_>, &mut StandardOverride) -> Result<()> + Send,
    ) -> Result<Answer<OverrideView>> {
        let Update { site, id, version, .. } = update;
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let known = self.store.overrides(&site).await?;
        let found = known.iter().find(|value| value.id == id).cloned();
        let mut value = found.ok_or(Error::NotFound(Thing::Override))?;
        value.version = next_version(value.version, version)?;
        change(&work, &mut value)?;
        self.store_override(&work, &repeat, &known, value, names).await
    }

    async fn store_override(
        &self,
        work: &Work<'_>,
        repeat: &Repeat<OverrideView>,
        others: &[StandardOverride],
        value: StandardOverride,
        (commit, event): (&'static str, &'static str),
    ) -> Result<Answer<OverrideView>> {
        let resource = name::standard_override(&value.site, &value.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_override(value.clone()).event(event, resource);
        let view = self.override_view(work, others, value);
        work.commit(commit, changes, repeat, view).await
    }

    fn override_view(
        &self,
        work: &Work<'_>,
        others: &[StandardOverride],
        value: StandardOverride,
    ) -> OverrideView {
        let takes_effect = takes_effect(&self.declared(), others, &value, work.zone(), work.now);
        OverrideView { state: value.state(work.zone(), work.now), takes_effect, value }
    }
}
