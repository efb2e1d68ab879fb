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

impl OutboxEvent {
    /// Where to go on after it.
    pub fn place(&self) -> OutboxPlace {
        OutboxPlace { seq: self.seq, recorded: Some(self.system_time) }
    }
}

/// A place among the events of a site: right after one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxPlace {
    /// The number of the event before it; 0: before the first one.
    pub seq: i64,
    /// When that event was recorded, where it is known: a database that was put back by an older one counts on from there, and
    /// gives the same numbers to other events.
    pub recorded: Option<Instant>,
}

impl OutboxPlace {
    /// The place after a number of this very database.
    pub fn after(seq: i64) -> Self {
        Self { seq, recorded: None }
    }
}

/// What lies after a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxRead {
    /// The next events, in order and without a gap; none: nothing has happened since.
    Next(Vec<OutboxEvent>),
    /// What came next is not there: it was removed after its time, or the place is of a database that was put back by an older one.
    Gone,
}

impl Store {
    /// The place before the first event that is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_start(&self, scope: &Scope) -> Result<OutboxPlace, StoreError> {
        let mut newest = None;
        loop {
            match (self.outbox_events(scope, 0, 1).await?.first(), newest) {
                (Some(first), _) => return Ok(OutboxPlace::after(first.seq - 1)),
                // Looked at after the head was: of those up to there none is kept.
                (None, Some(newest)) => return Ok(OutboxPlace::after(newest)),
                (None, None) => newest = Some(self.site_head(scope).await?.event_seq),
            }
        }
    }

    /// The place after the newest event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_end(&self, scope: &Scope) -> Result<OutboxPlace, StoreError> {
        let newest = self.site_head(scope).await?.event_seq;
        let event = self.outbox_events(scope, newest - 1, 1).await?.into_iter().next();
        let event = event.filter(|event| event.seq == newest);
        Ok(event.map_or(OutboxPlace::after(newest), |event| event.place()))
    }

    /// Up to `limit` events of a site right after a place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read_outbox(
        &self,
        scope: &Scope,
        place: OutboxPlace,
        limit: u64,
    ) -> Result<OutboxRead, StoreError> {
        let OutboxPlace { seq: after, recorded } = place;
        let mut newest = None;
        loop {
            // With the event of the place itself, where it is still there.
            let mut events = self.outbox_events(scope, after - 1, limit.saturating_add(1)).await?;
            match (events.first(), newest) {
                (Some(own), _) if own.seq == after => {
                    if recorded.is_some_and(|recorded| recorded != own.system_time) {
                        return Ok(OutboxRead::Gone);
                    }
                    events.remove(0);
                    return Ok(OutboxRead::Next(events));
                }
                (Some(first), _) if first.seq - 1 == after => {
                    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                    return Ok(OutboxRead::Next(events));
                }
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
