//! Protected files 受保护档案 (domestic violence, shelter): known to those who are named for them, and for nobody else there.

use std::collections::BTreeSet;

use linli_core::id::{ResidentId, SiteId, StaffId};
use linli_core::invalid::Invalid;
use linli_core::resident::{FieldClass, PROTECTED_FOR_MAX};
use linli_core::staff::Role;
use linli_store::{CellChanges, ChangeSet, FieldClasses, ResidentHead};

use super::file::{touches_files, violation, with_head};
use super::history::Field;
use super::resident::{FileView, View};
use super::site::{Update, next_version};
use super::work::Work;
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name;

/// The classes of which values lie in an index.
const INDEXED: &[FieldClass] = &[FieldClass::Contact, FieldClass::Identity];

impl App {
    /// Says who alone may know of a file; nobody: it is protected no longer. Ends every decision that was taken before.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for people who may not act in the site, or where none of them could lift the
    /// protection; [`Error::IdentityTaken`] where it is lifted and another file has the number; [`Error::EtagMismatch`],
    /// [`Error::Denied`].
    pub async fn set_protected(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        update: Update<ResidentId, Vec<StaffId>>,
    ) -> Result<Answer<FileView>> {
        let Update { site, id, version, change: named } = update;
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        self.check_named(&site, &named).await?;
        let opened = self.open_file(&work, &site, &id).await?;
        let id = opened.head.id.clone();
        let named: Vec<StaffId> = named.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let named = (!named.is_empty()).then_some(named);
        let mut head = opened.head.clone();
        head.version = next_version(head.version, version)?;
        head.updated_at = work.now;
        head.protected_for.clone_from(&named);
        let resident = with_head(&opened.resident, &head);
        let mut changes = work.changes(&touches_files(&head, &[]));
        self.protect_merged(&work, &mut changes, &head).await?;
        self.note(&work, &mut changes, &head, &[Field::clear("protected_for", FieldClass::Status)]);
        // Sealed anew, so that the file moves to the other index.
        let cells = CellChanges {
            contact: Some(resident.contact.clone()),
            identity: Some(resident.identity.clone()),
            ..CellChanges::default()
        };
        changes.update_resident(head, cells);
        changes.event("resident.protection_changed", name::resident(&site, &id)).bump_epoch();
        let dwelling = self.dwelling_name(&site, &resident.dwelling).await?;
        let view = self.view(resident, Vec::new(), &opened.state, dwelling, View::Masked, work.today());
        work.commit("resident.set_protected", changes, &repeat, view).await
    }

    /// What was merged into a file is known to whom it is known, and stays so where the files are parted again.
    async fn protect_merged(
        &self,
        work: &Work<'_>,
        changes: &mut ChangeSet,
        survivor: &ResidentHead,
    ) -> Result<()> {
        let merged: Vec<ResidentId> = survivor.merged.iter().map(|merged| merged.id.clone()).collect();
        if merged.is_empty() {
            return Ok(());
        }
        let sealed = self.store.residents_by_id(&survivor.site, &merged, FieldClasses::of(INDEXED)).await?;
        let receipt = work.disclose(&touches_files(survivor, INDEXED)).await?;
        let opener = self.store.opener(&receipt).await?;
        for sealed in sealed {
            let cells = CellChanges {
                contact: opener.open_option(sealed.contact.as_ref())?,
                identity: opener.open_option(sealed.identity.as_ref())?,
                ..CellChanges::default()
            };
            let mut head = sealed.head;
            head.version = next_version(head.version, None)?;
            head.updated_at = work.now;
            head.protected_for.clone_from(&survivor.protected_for);
            changes.update_resident(head, cells);
        }
        Ok(())
    }

    /// Everybody who is named may act in the site now, and one of them could lift the protection.
    async fn check_named(&self, site: &SiteId, named: &[StaffId]) -> Result<()> {
        if named.len() > PROTECTED_FOR_MAX {
            let why = Invalid::TooMany { max: PROTECTED_FOR_MAX };
            return Err(Error::Invalid(vec![violation("protected_for", why)]));
        }
        let mut violations = Vec::new();
        let mut can_lift = named.is_empty();
        for (at, id) in named.iter().enumerate() {
            let staff = self.store.staff(id).await?;
            let mut roles = Vec::new();
            if let Some(staff) = &staff {
                let grants = staff.grants_at(self.system_clock.now());
                roles.extend(grants.filter(|grant| grant.reach.holds(site)).map(|grant| grant.role));
            }
            if roles.is_empty() {
                violations.push(violation(format!("protected_for[{at}]"), Invalid::Unknown));
            }
            can_lift |= roles.iter().any(|role| matches!(role, Role::Leader | Role::Deputy));
        }
        if violations.is_empty() && !can_lift {
            violations.push(violation("protected_for", Invalid::NoSupervisor));
        }
        if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
    }
}
