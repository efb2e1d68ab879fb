//! What happened beside what is read anyway: events that nobody answered, however old, and those of the site that
//! concern every resident.

use std::collections::HashMap;

use linli_core::event::CareEvent;
use linli_core::id::{ResidentId, Subject};
use linli_core::kind::EventKind;
use linli_core::time::Instant;
use linli_store::{CareRange, ResidentCare, SubjectCare};

use super::{Estate, resident_id};
use crate::error::Result;

impl Estate<'_> {
    /// The care of residents with everything since the oldest event that nothing answers, for those who have such a
    /// one, and with what was announced for the site.
    pub(super) async fn complete(&self, mut care: Vec<ResidentCare>) -> Result<Vec<ResidentCare>> {
        let subjects: Vec<Subject> =
            care.iter().map(|care| Subject::Resident(care.head.id.clone())).collect();
        if let Some((residents, range)) = self.old_events(&subjects).await? {
            let ids: Vec<ResidentId> =
                residents.iter().filter_map(|subject| resident_id(Some(subject))).cloned().collect();
            for since in self.app.store.care_of(&self.site.id, &ids, range).await? {
                if let Some(known) = care.iter_mut().find(|known| known.head.id == since.head.id) {
                    *known = since;
                }
            }
        }
        // Of somebody whose files were merged, all of them count, with everything since the first.
        let range = CareRange { from: Instant::MIN, ..self.care };
        let mut care = self.united(care, range).await?;
        let announced = self.announced.get_or_try_init(|| self.announcements()).await?;
        for (care, subject) in care.iter_mut().zip(subjects) {
            let of_resident = |event: &CareEvent| CareEvent { subject: subject.clone(), ..event.clone() };
            care.events.extend(announced.iter().map(of_resident));
        }
        Ok(care)
    }

    /// What was announced for the site and starts a clock for each resident.
    async fn announcements(&self) -> Result<Vec<CareEvent>> {
        let mut care = self.app.store.care_of_subjects(&self.site.id, &[Subject::Site], self.care).await?;
        let mut events = care.remove(&Subject::Site).unwrap_or_default().events;
        events.retain(|event| event.kind == EventKind::ExtremeWeather);
        Ok(events)
    }

    /// Events and records of places, as [`Estate::complete`] reads those of residents.
    pub(super) async fn care_of_places(&self, places: &[Subject]) -> Result<HashMap<Subject, SubjectCare>> {
        let mut care = self.app.store.care_of_subjects(&self.site.id, places, self.care).await?;
        if let Some((places, range)) = self.old_events(places).await? {
            care.extend(self.app.store.care_of_subjects(&self.site.id, &places, range).await?);
        }
        Ok(care)
    }

    /// The subjects with an event before what is read that nothing answers, and the time since the first of these.
    async fn old_events(&self, subjects: &[Subject]) -> Result<Option<(Vec<Subject>, CareRange)>> {
        if subjects.is_empty() || self.care.from == Instant::MIN {
            return Ok(None);
        }
        let old = self.app.store.unanswered_before(&self.site.id, subjects, self.care.from).await?;
        let from = old.values().copied().min();
        Ok(from.map(|from| (old.into_keys().collect(), CareRange { from, ..self.care })))
    }
}
