//! Memberships: clear, because obligations are found by them; the evidence sealed.

use std::marker::PhantomData;

use linli_core::id::{GroupCode, MembershipId, ReasonCode, ResidentId, SiteId};
use linli_core::membership::{Basis, ExitCause, Membership, ProposedExit};
use linli_core::resident::FieldClass;
use linli_core::text::Line;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Rows};
use crate::convert::{date, date_opt, days, instant, version, version_column};
use crate::error::{SealError, StoreError};
use crate::form::sealed::Encode;
use crate::page::padded;
use crate::resource::Change;
use crate::seal::{Holder, Sealed, Sealer};
use crate::store::Store;
use crate::table::{Table, membership};

/// A membership, its evidence sealed.
#[derive(Debug, Clone)]
pub struct StoredMembership {
    /// The membership; `evidence` is absent.
    pub membership: Membership,
    /// What was seen or said.
    pub evidence: Option<Sealed<Line>>,
}

impl ChangeSet {
    /// Stores a membership: version 1 is new, a higher one follows the one before it. The evidence is the new one: to
    /// keep it, open it and give it again.
    pub fn put_membership(&mut self, membership: Membership) -> &mut Self {
        self.push(Change::Membership(membership))
    }
}

pub(crate) fn rows(value: &Membership, sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    let version = version_column(value.version);
    let resident = value.resident.as_str();
    let evidence = value.evidence.as_ref().map(|evidence| {
        let plain = zeroize::Zeroizing::new(Encode::encode(evidence));
        sealer.resident(resident, "membership", &[resident, value.id.as_str()], "evidence", version, &plain)
    });
    let exit = value.proposed_exit.as_ref();
    let row = membership::Model {
        site: value.site.as_str().to_owned(),
        resident: resident.to_owned(),
        id: value.id.as_str().to_owned(),
        version,
        care_group: value.group.as_str().to_owned(),
        basis: value.basis.code().to_owned(),
        reason: value.reason.as_ref().map(|reason| reason.as_str().to_owned()),
        start_day: days(value.start),
        end_day: value.end.map(days),
        exit_on: exit.map(|exit| days(exit.on)),
        exit_cause: exit.map(|exit| exit.why.code().to_owned()),
        exit_proposed_at: exit.map(|exit| exit.proposed_at.micros()),
        recorded_at: value.recorded_at.micros(),
        evidence: evidence.transpose()?,
    };
    rows.put_versioned(Table::Membership, row, "membership");
    Ok(())
}

impl Store {
    /// Every membership, past and present, of these residents, by resident and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn memberships(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<StoredMembership>, StoreError> {
        let found = membership::Entity::find()
            .filter(membership::Column::Site.eq(site.as_str()))
            .filter(membership::Column::Resident.is_in(padded(residents.iter().map(ResidentId::as_str))))
            .order_by_asc(membership::Column::Resident)
            .order_by_asc(membership::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_membership).collect()
    }
}

pub(crate) fn to_membership(row: membership::Model) -> Result<StoredMembership, StoreError> {
    let build = || {
        let proposed_exit = match (row.exit_on, &row.exit_cause, row.exit_proposed_at) {
            (Some(on), Some(why), Some(at)) => {
                let why = ExitCause::from_code(why).ok()?;
                Some(ProposedExit { on: date(on)?, why, proposed_at: instant(at)? })
            }
            (None, None, None) => None,
            (_, _, _) => return None, // half a proposal
        };
        Some(StoredMembership {
            evidence: row.evidence.as_ref().map(|cell| Sealed {
                site: row.site.clone(),
                table: "membership",
                row: vec![row.resident.clone(), row.id.clone()],
                column: "evidence",
                version: row.version,
                class: FieldClass::Status,
                holder: Holder::Resident(row.resident.clone()),
                cell: cell.clone(),
                value: PhantomData,
            }),
            membership: Membership {
                site: SiteId::new(&row.site).ok()?,
                resident: ResidentId::new(&row.resident).ok()?,
                id: MembershipId::new(&row.id).ok()?,
                group: GroupCode::new(&row.care_group).ok()?,
                basis: Basis::from_code(&row.basis).ok()?,
                reason: row.reason.as_deref().map(ReasonCode::new).transpose().ok()?,
                evidence: None,
                start: date(row.start_day)?,
                end: date_opt(row.end_day)?,
                proposed_exit,
                recorded_at: instant(row.recorded_at)?,
                version: version(row.version)?,
            },
        })
    };
    build().ok_or(StoreError::Row { table: "membership" })
}
