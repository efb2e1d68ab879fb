//! Files that were merged: the care of one person out of all of them.

use linli_core::id::{RecordId, ResidentId, Subject};
use linli_core::merge::{Performed, Share, United, unite};
use linli_store::{CareRange, ResidentCare};

use super::Estate;
use crate::error::Result;

impl Estate<'_> {
    /// The care of residents, each with that of the files that were merged into theirs, as far as `range` reaches. Who has
    /// one file costs nothing.
    pub(super) async fn united(
        &self,
        mut care: Vec<ResidentCare>,
        range: CareRange,
    ) -> Result<Vec<ResidentCare>> {
        for care in care.iter_mut().filter(|care| !care.head.merged.is_empty()) {
            let store = &self.app.store;
            let site = &self.site.id;
            let ids: Vec<ResidentId> = care.head.merged.iter().map(|merged| merged.id.clone()).collect();
            let merged = store.care_of(site, &ids, range).await?;
            let records = merged.iter().flat_map(|care| &care.records).chain(&care.records);
            let records: Vec<RecordId> = records.map(|record| record.id.clone()).collect();
            let performers = store.performers(site, &records).await?;
            let share = |care: &mut ResidentCare, until| Share {
                memberships: std::mem::take(&mut care.memberships),
                attention: std::mem::take(&mut care.attention),
                attention_until: until,
                records: std::mem::take(&mut care.records)
                    .into_iter()
                    .map(|record| Performed { performer: performers.get(&record.id).cloned(), record })
                    .collect(),
                events: std::mem::take(&mut care.events),
                pauses: std::mem::take(&mut care.pauses),
                tenure: Vec::new(),
            };
            let mut shares = vec![share(care, None)];
            for mut file in merged {
                // What the person declined they declined; and what was planned for them in either file is promised.
                care.waivers.append(&mut file.waivers);
                care.plans.append(&mut file.plans);
                let since = care.head.merged.iter().find(|merged| merged.id == file.head.id);
                shares.push(share(&mut file, since.map(|merged| merged.since)));
                care.merged.push(file.head);
            }
            let subject = Subject::Resident(care.head.id.clone());
            let United { memberships, attention, records, events, pauses, .. } = unite(&subject, shares);
            (care.memberships, care.attention, care.records) = (memberships, attention, records);
            (care.events, care.pauses) = (events, pauses);
        }
        Ok(care)
    }
}
