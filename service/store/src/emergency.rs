//! Emergency access: who took it, for whose file and until when stands clear, because rights rest on it; the words are sealed.

use std::marker::PhantomData;

use linli_core::emergency::{EmergencyAccess, EmergencyReview};
use linli_core::id::{EmergencyAccessId, ResidentId, SiteId, StaffId};
use linli_core::resident::FieldClass;
use linli_core::text::{Line, Paragraph};
use linli_core::time::Instant;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Rows};
use crate::convert::{instant, instant_opt, version, version_column};
use crate::error::{SealError, StoreError};
use crate::form::Plain;
use crate::form::sealed::Encode;
use crate::page::PAGE_MAX;
use crate::resource::Change;
use crate::seal::{Holder, Opener, Sealed, Sealer};
use crate::store::Store;
use crate::table::{Table, emergency_access};

/// An emergency access, its words sealed.
#[derive(Debug, Clone)]
pub struct StoredEmergencyAccess {
    /// The access; `reason` and the remark of its review are absent.
    pub access: EmergencyAccess,
    reason: Option<Sealed<Paragraph>>,
    remark: Option<Sealed<Line>>,
}

impl StoredEmergencyAccess {
    /// With its words; those of an erased person are gone.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub fn open(&self, opener: &Opener<'_>) -> Result<EmergencyAccess, SealError> {
        let mut access = self.access.clone();
        access.reason = opener.open_option(self.reason.as_ref())?;
        if let Some(review) = &mut access.review {
            review.remark = opener.open_option(self.remark.as_ref())?;
        }
        Ok(access)
    }
}

impl ChangeSet {
    /// Stores an emergency access: version 1 is new, a higher one follows the one before it.
    pub fn put_emergency_access(&mut self, access: EmergencyAccess) -> &mut Self {
        self.push(Change::EmergencyAccess(Box::new(access)))
    }
}

pub(crate) fn rows(value: &EmergencyAccess, sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    let (resident, id) = (value.resident.as_str(), value.id.as_str());
    let version = version_column(value.version);
    let seal = |column: &'static str, plain: Vec<u8>| {
        let plain = zeroize::Zeroizing::new(plain);
        sealer.resident(resident, TABLE, &[id], column, version, &plain)
    };
    let review = value.review.as_ref();
    let remark = review.and_then(|review| review.remark.as_ref());
    let row = emergency_access::Model {
        site: value.site.as_str().to_owned(),
        id: id.to_owned(),
        version,
        resident: resident.to_owned(),
        staff: value.staff.as_str().to_owned(),
        granted_at: value.granted_at.micros(),
        expires_at: value.expires_at.micros(),
        reason: value.reason.as_ref().map(|reason| seal("reason", Encode::encode(reason))).transpose()?,
        reviewer: review.map(|review| review.staff.as_str().to_owned()),
        reviewed_at: review.map(|review| review.reviewed_at.micros()),
        justified: review.map(|review| i64::from(review.justified)),
        remark: remark.map(|remark| seal("remark", Encode::encode(remark))).transpose()?,
    };
    rows.put_versioned(Table::EmergencyAccess, row, "emergency access");
    Ok(())
}

const TABLE: &str = "emergency_access";

impl Store {
    /// An emergency access.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn emergency_access(
        &self,
        site: &SiteId,
        id: &EmergencyAccessId,
    ) -> Result<Option<StoredEmergencyAccess>, StoreError> {
        let found = emergency_access::Entity::find()
            .filter(emergency_access::Column::Site.eq(site.as_str()))
            .filter(emergency_access::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_access).transpose()
    }

    /// What somebody took for one file and nobody has reviewed yet, or that ends after `now`; oldest first. Never on a replica.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn emergency_accesses_of(
        &self,
        site: &SiteId,
        resident: &ResidentId,
        staff: &StaffId,
        now: Instant,
    ) -> Result<Vec<StoredEmergencyAccess>, StoreError> {
        let open = Condition::any()
            .add(emergency_access::Column::ReviewedAt.is_null())
            .add(emergency_access::Column::ExpiresAt.gt(now.micros()));
        let found = emergency_access::Entity::find()
            .filter(emergency_access::Column::Site.eq(site.as_str()))
            .filter(emergency_access::Column::Resident.eq(resident.as_str()))
            .filter(emergency_access::Column::Staff.eq(staff.as_str()))
            .filter(open)
            .order_by_asc(emergency_access::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_access).collect()
    }

    /// A page of a site's emergency accesses, oldest first, after an id; `waiting`: only those that nobody has reviewed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn emergency_accesses(
        &self,
        site: &SiteId,
        waiting: bool,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<StoredEmergencyAccess>, StoreError> {
        let mut query =
            emergency_access::Entity::find().filter(emergency_access::Column::Site.eq(site.as_str()));
        if waiting {
            query = query.filter(emergency_access::Column::ReviewedAt.is_null());
        }
        if let Some(after) = after {
            query = query.filter(emergency_access::Column::Id.gt(after));
        }
        let query = query.order_by_asc(emergency_access::Column::Id).limit(limit.clamp(1, PAGE_MAX));
        query.all(self.reader()).await?.into_iter().map(to_access).collect()
    }
}

fn to_access(row: emergency_access::Model) -> Result<StoredEmergencyAccess, StoreError> {
    let build = || {
        let review = match (&row.reviewer, instant_opt(row.reviewed_at)?, row.justified) {
            (Some(staff), Some(reviewed_at), Some(justified)) => Some(EmergencyReview {
                staff: StaffId::new(staff).ok()?,
                reviewed_at,
                justified: justified == 1,
                remark: None,
            }),
            (None, None, None) => None,
            (Some(_) | None, Some(_) | None, Some(_) | None) => return None,
        };
        Some(StoredEmergencyAccess {
            access: EmergencyAccess {
                site: SiteId::new(&row.site).ok()?,
                id: EmergencyAccessId::new(&row.id).ok()?,
                resident: ResidentId::new(&row.resident).ok()?,
                staff: StaffId::new(&row.staff).ok()?,
                reason: None,
                granted_at: instant(row.granted_at)?,
                expires_at: instant(row.expires_at)?,
                review,
                version: version(row.version)?,
            },
            reason: row.reason.clone().map(|cell| sealed(&row, "reason", cell)),
            remark: row.remark.clone().map(|cell| sealed(&row, "remark", cell)),
        })
    };
    build().ok_or(StoreError::Row { table: TABLE })
}

fn sealed<T: Plain>(row: &emergency_access::Model, column: &'static str, cell: Vec<u8>) -> Sealed<T> {
    Sealed {
        site: row.site.clone(),
        table: TABLE,
        row: vec![row.id.clone()],
        column,
        version: row.version,
        class: FieldClass::Care,
        holder: Holder::Resident(row.resident.clone()),
        cell,
        value: PhantomData,
    }
}
