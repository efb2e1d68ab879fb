//! Events for others, in commit order per site. (Events that start clocks are in [`crate::event`].)
//!
//! A site's numbers have no gap, and a number is taken under the lock on the site's head, so that whoever has read up to
//! one has read everything before it. They are removed from the beginning alone, so that what remains has no gap either.

use std::collections::HashMap;

use linli_core::time::Instant;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::Scope;
use crate::convert::instant;
use crate::error::StoreError;
use crate::page::{PAGE_MAX, padded};
use crate::store::Store;
use crate::table::{audit_entry, outbox_event};
use crate::wake::{ANY, Listener};

/// Most events that one sweep removes: the statement holds the writer, and calls wait behind it.
pub const EVENT_SWEEP: u64 = 1_000;

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

/// What lies after a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxRead {
    /// The next events, in order and without a gap; none: nothing has happened since.
    Next(Vec<OutboxEvent>),
    /// What came next is not there: it was removed after its time, or the database is an older one than the number is of.
    Gone,
}

impl Store {
    /// The number after which the first event comes that is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_start(&self, scope: &Scope) -> Result<i64, StoreError> {
        match self.outbox_events(scope, 0, 1).await?.first() {
            Some(first) => Ok(first.seq - 1),
            None => Ok(self.site_head(scope).await?.event_seq),
        }
    }

    /// Up to `limit` events of a site right after number `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read_outbox(&self, scope: &Scope, after: i64, limit: u64) -> Result<OutboxRead, StoreError> {
        let mut newest = None;
        loop {
            let events = self.outbox_events(scope, after, limit).await?;
            match (events.first(), newest) {
                (Some(first), _) if first.seq == after + 1 => return Ok(OutboxRead::Next(events)),
                (Some(_), _) => return Ok(OutboxRead::Gone),
                (None, Some(newest)) if newest == after => return Ok(OutboxRead::Next(events)),
                (None, Some(_)) => return Ok(OutboxRead::Gone),
                // The head after the events: what was committed in between is found by a second look.
                (None, None) => newest = Some(self.site_head(scope).await?.event_seq),
            }
        }
    }

    /// The residents whose data each of these changes touched, by the number of its audit entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touched_by(
        &self,
        scope: &Scope,
        entries: &[i64],
    ) -> Result<HashMap<i64, Vec<String>>, StoreError> {
        let mut touched = HashMap::new();
        for chunk in entries.chunks(256) {
            let rows = audit_entry::Entity::find()
                .filter(audit_entry::Column::Site.eq(scope.text()))
                .filter(audit_entry::Column::Seq.is_in(padded(chunk.iter().copied())))
                .all(self.reader())
                .await?;
            for row in rows {
                let entry = crate::audit::AuditEntry::decode(row);
                let entry = entry.ok_or(StoreError::Row { table: "audit_entry" })?;
                touched.insert(entry.seq, entry.draft.subjects);
            }
        }
        Ok(touched)
    }

    /// Removes a site's first events, as far as they were recorded before an instant of the machine's clock and have
    /// numbers up to `last`; [`EVENT_SWEEP`] at most. Returns how many: call it again while it returns as many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep_outbox(&self, scope: &Scope, before: Instant, last: i64) -> Result<u64, StoreError> {
        let oldest = self.outbox_events(scope, 0, EVENT_SWEEP).await?;
        let over = |event: &&OutboxEvent| event.system_time < before && event.seq <= last;
        let Some(end) = oldest.iter().take_while(over).last() else { return Ok(0) };
        let removed = outbox_event::Entity::delete_many()
            .filter(outbox_event::Column::Site.eq(scope.text()))
            .filter(outbox_event::Column::Seq.lte(end.seq))
            .exec(self.first_writer()?)
            .await?;
        Ok(removed.rows_affected)
    }

    /// Hears of what this process commits to a site from now on.
    pub fn listen(&self, scope: &Scope) -> Listener {
        self.wakes().listen(scope.text())
    }

    /// Hears of what this process commits to any site from now on.
    pub fn listen_to_all(&self) -> Listener {
        self.wakes().listen(ANY)
    }

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
