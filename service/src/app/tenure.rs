//! Moving in, moving out, coming back, dying: when somebody lives in the site.

use linli_core::event::CareEvent;
use linli_core::id::{DwellingId, EventId, ResidentId, SiteId, Subject};
use linli_core::invalid::Invalid;
use linli_core::kind::EventKind;
use linli_core::resident::{FieldClass, FileState, Resident, Tenure};
use linli_core::text::{Line, Paragraph};
use linli_core::time::CivilDate;
use linli_store::{CellChanges, ResidentHead};

use super::file::{require_active, touches_file, violation, with_head};
use super::history::Field;
use super::resident::{FileView, View};
use super::site::{Update, fresh, invalid, next_version};
use super::work::Touches;
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict};
use crate::name;

/// A move-in.
#[derive(Debug, Clone)]
pub struct MoveIn {
    /// Where to.
    pub dwelling: DwellingId,
    /// The first day.
    pub on: CivilDate,
    /// Who, where a resident with a file moved.
    pub resident: Option<ResidentId>,
    /// Whether the household is new to the dwelling, which has to be surveyed then.
    pub new_household: bool,
    /// The version of the file that the caller read.
    pub version: Option<u64>,
}

/// What a move-in did.
#[derive(Debug, Clone)]
pub struct MovedIn {
    /// The file, where one was named.
    pub file: Option<FileView>,
    /// The event that opens the survey of the dwelling.
    pub event: Option<CareEvent>,
}

/// The field of the day of death.
const DEATH: &str = "death_date";

impl App {
    /// Records that a household, or one resident, moved in, came back or changed dwelling.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn record_move_in(
        &self,
        call: &Call,
        repeat: Repeat<MovedIn>,
        site: SiteId,
        move_in: MoveIn,
    ) -> Result<Answer<MovedIn>> {
        let work = self.begin_of(call, &site, move_in.resident.as_ref()).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let today = work.today();
        let dwelling = self.store.dwelling(&site, &move_in.dwelling).await?;
        let mut violations = Vec::new();
        if dwelling.is_none() {
            violations.push(violation("dwelling", Invalid::Unknown));
        }
        if move_in.on > today {
            violations.push(violation("move_in_date", Invalid::Future));
        }
        let Some(dwelling) = dwelling.filter(|_| violations.is_empty()) else {
            return Err(Error::Invalid(violations));
        };
        let event = if move_in.new_household {
            Some(CareEvent {
                site: site.clone(),
                id: fresh(EventId::new(&work.new_id()))?,
                kind: EventKind::HouseholdMovedIn,
                subject: Subject::Dwelling(dwelling.id.clone()),
                occurred_at: work.zone().start_of(move_in.on).min(work.now),
                recorded_at: work.now,
                aspect: None,
                note: None,
            })
        } else {
            None
        };
        let (mut changes, file) = match &move_in.resident {
            Some(id) => {
                let opened = self.open_file(&work, &site, id).await?;
                let (id, mut head) = (&opened.head.id, opened.head.clone());
                if head.died_on.is_some() {
                    return Err(Error::State(StateConflict::Died));
                }
                match head.state {
                    FileState::Active if head.dwelling == dwelling.id => {
                        return Err(Error::State(StateConflict::AlreadyLivesHere));
                    }
                    FileState::Active => {
                        // Moves come in order, within the tenure.
                        let last = head.former_dwellings.last().map(|former| former.until);
                        if move_in.on < last.unwrap_or(head.tenure.moved_in).max(head.tenure.moved_in) {
                            return Err(invalid("move_in_date", Invalid::BeforeTenure));
                        }
                    }
                    FileState::Left => {
                        // A return reopens the file with a tenure of its own.
                        if head.tenure.moved_out.is_some_and(|out| move_in.on <= out) {
                            return Err(invalid("move_in_date", Invalid::EndsBeforeStart));
                        }
                        head.state = FileState::Active;
                        head.earlier_tenures.push(head.tenure);
                        head.tenure = Tenure { moved_in: move_in.on, moved_out: None };
                    }
                    FileState::Sealed | FileState::Erased => {
                        return Err(Error::State(StateConflict::FileNotActive));
                    }
                }
                head.version = next_version(head.version, move_in.version)?;
                head.move_to(dwelling.id.clone(), move_in.on);
                head.updated_at = work.now;
                let mut changes = work.changes(&touches_file(&site, id));
                self.note(&work, &mut changes, &head, &[Field::clear("dwelling", FieldClass::Contact)]);
                let resident = Resident { ..with_head(&opened.resident, &head) };
                let state =
                    self.reassess(&work, &mut changes, &resident, &opened.facts, opened.state, None).await?;
                changes.update_resident(head, CellChanges::default());
                let view =
                    self.view(resident, Vec::new(), &state, dwelling.display_name(), View::Masked, today);
                (changes, Some(view))
            }
            None => (work.changes(&Touches::resource(name::dwelling(&site, &dwelling.id))), None),
        };
        changes.require_dwelling(&site, &dwelling.id);
        if let Some(event) = &event {
            changes.add_care_event(event.clone()).event("dwelling.moved_in", name::event(&site, &event.id));
        }
        if let Some(file) = &file {
            changes.event("resident.moved_in", name::resident(&site, &file.resident.id));
        }
        work.commit("resident.move_in", changes, &repeat, MovedIn { file, event }).await
    }

    /// Records that a resident moved away; duties end after that day.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn record_move_out(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        update: Update<ResidentId, (CivilDate, Option<Line>)>,
    ) -> Result<Answer<FileView>> {
        let (on, reason) = update.change;
        let target = Update { site: update.site, id: update.id, version: update.version, change: () };
        self.end_tenure(call, repeat, target, ("move_out_date", on, reason), |head| {
            head.tenure.moved_out = Some(on);
            head.state = FileState::Left;
        })
        .await
    }

    /// Records a death; all duties and greetings end with it, and nothing more is asked.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::State`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn record_death(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        update: Update<ResidentId, CivilDate>,
    ) -> Result<Answer<FileView>> {
        let on = update.change;
        let target = Update { site: update.site, id: update.id, version: update.version, change: () };
        self.end_tenure(call, repeat, target, (DEATH, on, None), |head| {
            head.died_on = Some(on);
            head.tenure.moved_out = Some(head.tenure.moved_out.map_or(on, |out| out.min(on)));
            head.state = FileState::Left;
        })
        .await
    }

    async fn end_tenure(
        &self,
        call: &Call,
        repeat: Repeat<FileView>,
        target: Update<ResidentId, ()>,
        (field, on, reason): (&'static str, CivilDate, Option<Line>),
        end: impl FnOnce(&mut ResidentHead) + Send,
    ) -> Result<Answer<FileView>> {
        let Update { site, id, version, .. } = target;
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let opened = self.open_file(&work, &site, &id).await?;
        let (id, mut head) = (opened.head.id.clone(), opened.head.clone());
        // That somebody died after leaving may be learned later.
        if !(field == DEATH && head.state == FileState::Left && head.died_on.is_none()) {
            require_active(&head)?;
        }
        let today = work.today();
        if on > today {
            return Err(invalid(field, Invalid::Future));
        }
        if on < head.tenure.moved_in {
            return Err(invalid(field, Invalid::BeforeTenure));
        }
        head.version = next_version(head.version, version)?;
        head.updated_at = work.now;
        end(&mut head);
        let mut changes = work.changes(&touches_file(&site, &id));
        // The day stands in the clear part of the file; why somebody left does not.
        let new = reason.and_then(|reason| Paragraph::new(reason.as_str()).ok());
        let noted = Field { new, ..Field::clear(field, FieldClass::Status) };
        self.note(&work, &mut changes, &head, &[noted]);
        let resident = with_head(&opened.resident, &head);
        changes.update_resident(head, CellChanges::default());
        changes.event("resident.left", name::resident(&site, &id));
        let dwelling_name = self.dwelling_name(&site, &resident.dwelling).await?;
        let view = self.view(resident, Vec::new(), &opened.state, dwelling_name, View::Masked, today);
        work.commit("resident.leave", changes, &repeat, view).await
    }
}
