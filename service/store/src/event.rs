//! Care events: what starts clocks. (Events for others are in [`crate::outbox`].)

use std::marker::PhantomData;

use linli_core::event::{CareEvent, EventAspect};
use linli_core::id::{EventId, SiteId, Subject};
use linli_core::kind::EventKind;
use linli_core::resident::FieldClass;
use linli_core::text::Paragraph;
use linli_core::time::Instant;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::change::{ChangeSet, Expect, Rows};
use crate::convert::{instant, subject};
use crate::error::{SealError, StoreError};
use crate::form::{sealed::Encode, subject_columns};
use crate::page::padded;
use crate::resource::Change;
use crate::seal::{Holder, Sealed, Sealer, holder};
use crate::store::Store;
use crate::table::{Table, care_event};

/// A care event, its note sealed.
#[derive(Debug, Clone)]
pub struct StoredCareEvent {
    /// The event; `note` is absent.
    pub event: CareEvent,
    /// What was reported, in words.
    pub note: Option<Sealed<Paragraph>>,
}

impl ChangeSet {
    /// Records a care event. Its id must be fresh.
    pub fn add_care_event(&mut self, event: CareEvent) -> &mut Self {
        self.push(Change::CareEvent(event))
    }

    /// Asks that this care event exist.
    pub fn require_care_event(&mut self, event: &CareEvent) -> &mut Self {
        self.push(Change::RequireCareEvent(
            event.site.clone(),
            event.subject.clone(),
            event.occurred_at,
            event.id.clone(),
        ))
    }
}

pub(crate) fn rows(value: &CareEvent, sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    let (subject_kind, subject) = subject_columns(&value.subject);
    let note = value.note.as_ref().map(|note| {
        let plain = zeroize::Zeroizing::new(Encode::encode(note));
        let place = [subject_kind.as_str(), subject.as_str(), value.id.as_str()];
        match holder(&value.subject) {
            Holder::Resident(id) => sealer.resident(&id, "care_event", &place, "note", 1, &plain),
            Holder::Site => sealer.site("care_event", &place, "note", 1, &plain),
        }
    });
    let note = note.transpose()?;
    let row = care_event::Model {
        site: value.site.as_str().to_owned(),
        subject_kind,
        subject,
        occurred_at: value.occurred_at.micros(),
        id: value.id.as_str().to_owned(),
        kind: value.kind.code().to_owned(),
        recorded_at: value.recorded_at.micros(),
        aspect: value.aspect.map(|aspect| aspect.code().to_owned()),
        note,
    };
    rows.append(Table::CareEvent, row);
    Ok(())
}

pub(crate) fn require(site: &SiteId, subject: &Subject, occurred_at: Instant, id: &EventId, rows: &mut Rows) {
    let (kind, subject) = subject_columns(subject);
    let key = vec![
        site.as_str().into(),
        kind.into(),
        subject.into(),
        occurred_at.micros().into(),
        id.as_str().into(),
    ];
    rows.guard(Table::CareEvent, key, Expect::Present, "event");
}

impl Store {
    /// The care events among `ids` that exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn care_events_by_id(
        &self,
        site: &SiteId,
        ids: &[EventId],
    ) -> Result<Vec<StoredCareEvent>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = care_event::Entity::find()
            .filter(care_event::Column::Site.eq(site.as_str()))
            .filter(care_event::Column::Id.is_in(padded(ids.iter().map(EventId::as_str))))
            .all(self.reader())
            .await?;
        found.into_iter().map(to_event).collect()
    }
}

pub(crate) fn to_event(row: care_event::Model) -> Result<StoredCareEvent, StoreError> {
    let build = || {
        let about = subject(&row.subject_kind, &row.subject)?;
        Some(StoredCareEvent {
            note: row.note.as_ref().map(|cell| Sealed {
                site: row.site.clone(),
                table: "care_event",
                row: vec![row.subject_kind.clone(), row.subject.clone(), row.id.clone()],
                column: "note",
                version: 1,
                class: FieldClass::Care,
                holder: holder(&about),
                cell: cell.clone(),
                value: PhantomData,
            }),
            event: CareEvent {
                site: SiteId::new(&row.site).ok()?,
                id: EventId::new(&row.id).ok()?,
                kind: EventKind::from_code(&row.kind).ok()?,
                subject: about,
                occurred_at: instant(row.occurred_at)?,
                recorded_at: instant(row.recorded_at)?,
                aspect: row.aspect.as_deref().map(EventAspect::from_code).transpose().ok()?,
                note: None,
            },
        })
    };
    build().ok_or(StoreError::Row { table: "care_event" })
}
