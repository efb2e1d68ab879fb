//! Events for others, in commit order per site. (Events that start clocks are in [`crate::event`].)

use linli_core::time::Instant;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::Scope;
use crate::convert::instant;
use crate::error::StoreError;
use crate::page::PAGE_MAX;
use crate::store::Store;
use crate::table::outbox_event;

/// An event as stored: names and kinds, no personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEvent {
    /// The site, or `*system`.
    pub site: String,
    /// Its number within the site, from 1 without a gap: the cursor, and with the site its identity.
    pub seq: i64,
    /// What happened, such as `record.created`.
    pub kind: String,
    /// The resource's name.
    pub resource: String,
    /// The care clock at the change.
    pub care_time: Instant,
    /// The system clock at the change.
    pub system_time: Instant,
    /// The audit entry of the change.
    pub audit_seq: i64,
}

impl Store {
    /// Up to `limit` events of a site after number `after`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_events(
        &self,
        scope: &Scope,
        after: i64,
        limit: u64,
    ) -> Result<Vec<OutboxEvent>, StoreError> {
        let found = outbox_event::Entity::find()
            .filter(outbox_event::Column::Site.eq(scope.text()))
            .filter(outbox_event::Column::Seq.gt(after))
            .order_by_asc(outbox_event::Column::Seq)
            .limit(limit.clamp(1, PAGE_MAX))
            .all(self.reader())
            .await?;
        found.into_iter().map(to_event).collect()
    }
}

fn to_event(row: outbox_event::Model) -> Result<OutboxEvent, StoreError> {
    let times = instant(row.care_time).zip(instant(row.system_time));
    let (care_time, system_time) = times.ok_or(StoreError::Row { table: "outbox_event" })?;
    let outbox_event::Model { site, seq, kind, resource, audit_seq, .. } = row;
    Ok(OutboxEvent { site, seq, kind, resource, care_time, system_time, audit_seq })
}
