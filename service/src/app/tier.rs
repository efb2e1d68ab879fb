//! Tiers fall by a person's word alone.
//!
//! Rules raise a tier and add tags by themselves. What they no longer find stays in force until somebody who answers for it has
//! said why it may go: standards that select by either would end unseen.

use linli_core::assessment::{AttentionChange, confirm_attention, merge_attention};
use linli_core::id::ResidentId;
use linli_core::kind::Tier;
use linli_core::resident::FieldClass;
use linli_core::text::{Line, Paragraph};
use linli_store::CellChanges;

use super::file::{OpenedFile, require_active, touches_files, with_head};
use super::history::Field;
use super::resident::{FileView, View};
use super::site::{Update, next_version};
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict};
use crate::name;

/// A lower tier, as staff confirm it.
#[derive(Debug, Clone)]
pub struct LowerTier {
    /// The tier that the rules find now.
    pub tier: Tier,
    /// Why it may fall.
    pub reason: Line,
}

impl App {
    /// Puts the tier into force, from today on, that the rules find, and ends the tags that they no longer find. What they find must
    /// be what whoever confirms it has seen.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::State`] where nothing lower is proposed, or another tier; [`Error::EtagMismatch`],
    /// [`Error::Denied`].
    pub async fn confirm_tier(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        update: Update<ResidentId, LowerTier>,
    ) -> Result<Answer<FileView>> {
        let Update { site, id, version, change } = update;
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let OpenedFile { mut head, resident, mut state, .. } = self.open_file(&work, &site, &id).await?;
        require_active(&head)?;
        let id = head.id.clone();
        let today = work.today();
        let none = Error::State(StateConflict::NoLowerTier);
        let Some(current) = state.attention_on(today).cloned() else { return Err(none) };
        let found = state.assessments.iter().map(|stored| &stored.assessment.findings);
        let AttentionChange { proposed_tier, dropped_tags, .. } =
            merge_attention(Some(&current), found, today);
        if change.tier != proposed_tier.unwrap_or(current.tier) {
            return Err(none);
        }
        let next = confirm_attention(&current, proposed_tier, &dropped_tags, today).ok_or(none)?;
        head.version = next_version(head.version, version)?;
        head.updated_at = work.now;
        let words = |text: &str| Paragraph::new(text).ok();
        let field = |path: &str, old: Option<&str>, new: &str| Field {
            path: path.to_owned(),
            class: FieldClass::Care,
            old: old.and_then(words),
            new: words(new),
        };
        let fields = [
            field("tier", Some(current.tier.code()), next.tier.code()),
            field("tier_reason", None, change.reason.as_str()),
        ];
        let mut changes = work.changes(&touches_files(&head, &[FieldClass::Care]));
        self.note(&work, &mut changes, &head, &fields);
        let resident = with_head(&resident, &head);
        changes.update_resident(head, CellChanges::default());
        changes.put_attention(&site, &id, next.clone());
        changes.event("resident.tier_confirmed", name::resident(&site, &id));
        state.attention.retain(|attention| attention.from != next.from);
        state.attention.push(next);
        let dwelling = self.dwelling_name(&site, &resident.dwelling).await?;
        let view = self.view(resident, Vec::new(), &state, dwelling, View::Masked, today);
        work.commit("resident.confirm_tier", changes, &repeat, view).await
    }
}
