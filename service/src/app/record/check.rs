//! What a record must agree with: the present, the tenures, the subjects and events that the site knows.

use std::collections::{BTreeSet, HashMap, HashSet};

use linli_core::id::{AreaId, DwellingId, EventId, FacilityId, ResidentId, SiteId, Subject};
use linli_core::invalid::Invalid;
use linli_core::kind::ServiceKind;
use linli_core::record::RECORD_SUBJECTS_MAX;
use linli_core::resident::FileState;
use linli_core::time::{CivilDate, Instant, SiteZone};
use linli_store::{PAGE_MAX, Page as StorePage, ResidentHead, Sites as StoreSites};

use super::{NewRecord, RECORD_ANSWERS_MAX};
use crate::app::App;
use crate::app::work::Work;
use crate::error::{Error, Result, StateConflict, Violation};

impl App {
    /// Checks records against what the site knows: time, tenure, subjects, events. Reports all violations at once.
    pub(super) async fn check(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        records: &mut [NewRecord],
        paths: &[String],
    ) -> Result<()> {
        let mut known = self.known(work, site, &Asked::of(records)).await?;
        if known.heads.values().any(|head| head.merged_into.is_some()) {
            // What is recorded for a file that was merged is recorded for the survivor.
            for subject in records.iter_mut().flat_map(|record| &mut record.subjects) {
                if let Subject::Resident(id) = &subject.subject
                    && known.heads.get(id).is_some_and(|head| head.merged_into.is_some())
                {
                    subject.subject = Subject::Resident(self.load_head(work, site, id).await?.id);
                }
            }
            known = self.known(work, site, &Asked::of(records)).await?;
        }
        let mut violations = Vec::new();
        let mut sealed = false;
        for (record, path) in records.iter_mut().zip(paths) {
            let record = &*record;
            sealed |= check_record(record, path, &known, work.now, &mut violations);
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        if sealed { Err(Error::State(StateConflict::FileNotActive)) } else { Ok(()) }
    }

    /// The files that care of a day names, in their order, by the path of their field: of those that were merged, the survivor. What
    /// is not known to the caller, named twice, or not in its tenure is a violation.
    pub(in crate::app) async fn named_files(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        day: CivilDate,
        named: Vec<(String, &ResidentId)>,
        violations: &mut Vec<Violation>,
    ) -> Result<Vec<Option<ResidentHead>>> {
        let ids: Vec<ResidentId> = named.iter().map(|(_, id)| (*id).clone()).collect();
        let known = if ids.is_empty() { Vec::new() } else { self.store.resident_heads(site, &ids).await? };
        let (mut found, mut sealed) = (Vec::with_capacity(named.len()), false);
        for (field, id) in named {
            let head = match known.iter().find(|head| head.id == *id && exists(head)) {
                Some(head) if head.merged_into.is_some() => self.find_head(site, id).await?,
                other => other.cloned(),
            };
            let head = head.filter(|head| !work.hides(id) && !work.hides(&head.id));
            let is_named =
                |head: &ResidentHead| found.iter().flatten().any(|known: &ResidentHead| known.id == head.id);
            let why = match &head {
                None => Some(Invalid::Unknown),
                Some(head) if is_named(head) => Some(Invalid::Duplicate),
                Some(head) => outside_tenure(head, day),
            };
            sealed |= head.as_ref().is_some_and(|head| head.state == FileState::Sealed);
            violations.extend(why.map(|why| Violation { field, why }));
            found.push(head);
        }
        if sealed && violations.is_empty() {
            return Err(Error::State(StateConflict::FileNotActive));
        }
        Ok(found)
    }

    /// What the site knows of the things that records name: one statement for each kind of thing.
    async fn known(&self, work: &Work<'_>, site: &SiteId, asked: &Asked) -> Result<Known> {
        let residents: Vec<ResidentId> = asked.residents.iter().cloned().collect();
        let dwellings: Vec<DwellingId> = asked.dwellings.iter().cloned().collect();
        let events: Vec<EventId> = asked.events.iter().cloned().collect();
        let heads = async {
            if residents.is_empty() {
                Ok(Vec::new())
            } else {
                self.store.resident_heads(site, &residents).await
            }
        };
        let dwellings = async {
            if dwellings.is_empty() {
                Ok(Vec::new())
            } else {
                self.store.dwellings_by_id(site, &dwellings).await
            }
        };
        let facilities: Vec<FacilityId> = asked.facilities.iter().cloned().collect();
        let (of_site, heads, dwellings, events, areas, facilities) = tokio::join!(
            self.load_site(site),
            heads,
            dwellings,
            self.store.care_events_by_id(site, &events),
            self.known_areas(site, &asked.areas),
            self.store.facilities_by_id(site, &facilities),
        );
        Ok(Known {
            zone: of_site?.zone,
            heads: heads?
                .into_iter()
                .filter(|head| !work.hides(&head.id))
                .map(|head| (head.id.clone(), head))
                .collect(),
            dwellings: dwellings?.into_iter().map(|dwelling| dwelling.id).collect(),
            areas: areas?,
            facilities: facilities?.into_iter().map(|facility| facility.id).collect(),
            events: events?.into_iter().map(|stored| (stored.event.id, stored.event.subject)).collect(),
        })
    }

    /// Those of `asked` that exist: a site's areas are few, and one page of them is one statement.
    async fn known_areas(&self, site: &SiteId, asked: &BTreeSet<AreaId>) -> Result<HashSet<AreaId>> {
        let mut known = HashSet::new();
        let mut page = StorePage::first(PAGE_MAX);
        while known.len() < asked.len() {
            let areas = self.store.areas(&StoreSites::from(site), &page).await?;
            let Some(last) = areas.last().map(|area| area.id.clone()) else { break };
            page = StorePage::after(site.as_str(), last.as_str(), PAGE_MAX);
            known.extend(areas.into_iter().map(|area| area.id).filter(|id| asked.contains(id)));
        }
        Ok(known)
    }
}

/// The things that records name.
#[derive(Default)]
struct Asked {
    residents: BTreeSet<ResidentId>,
    dwellings: BTreeSet<DwellingId>,
    areas: BTreeSet<AreaId>,
    facilities: BTreeSet<FacilityId>,
    events: BTreeSet<EventId>,
}

impl Asked {
    fn of(records: &[NewRecord]) -> Self {
        let mut asked = Self::default();
        for subject in records.iter().flat_map(|record| &record.subjects) {
            match &subject.subject {
                Subject::Resident(id) => drop(asked.residents.insert(id.clone())),
                Subject::Dwelling(id) => drop(asked.dwellings.insert(id.clone())),
                Subject::Area(id) => drop(asked.areas.insert(id.clone())),
                Subject::Facility(id) => drop(asked.facilities.insert(id.clone())),
                // What happens to a request is recorded by its own steps.
                Subject::Request(_) | Subject::Site => {}
            }
            asked.events.extend(subject.answers.iter().cloned());
        }
        asked
    }
}

/// What a site knows of them.
struct Known {
    zone: SiteZone,
    heads: HashMap<ResidentId, ResidentHead>,
    dwellings: HashSet<DwellingId>,
    areas: HashSet<AreaId>,
    facilities: HashSet<FacilityId>,
    events: HashMap<EventId, Subject>,
}

/// Checks one record; returns whether a file is sealed, which no field of the record can mend.
fn check_record(
    record: &NewRecord,
    path: &str,
    known: &Known,
    now: Instant,
    violations: &mut Vec<Violation>,
) -> bool {
    let dot = if path.is_empty() { "" } else { "." };
    let mut refuse = |field: String, why: Invalid| {
        violations.push(Violation { field: format!("{path}{dot}{field}"), why });
    };
    if record.occurred_at > now {
        refuse("occur_time".into(), Invalid::Future);
    }
    // Figures are published by the fund, which suppresses what gives somebody away; saying so is not doing it.
    if record.kind == ServiceKind::Publication {
        refuse("kind".into(), Invalid::NotAllowed);
    }
    if record.subjects.len() > RECORD_SUBJECTS_MAX {
        refuse("subjects".into(), Invalid::TooMany { max: RECORD_SUBJECTS_MAX });
    }
    let day = known.zone.date_of(record.occurred_at);
    let several = record.subjects.len() > 1;
    let mut sealed = false;
    let mut seen: HashSet<&Subject> = HashSet::new();
    for (at, subject) in record.subjects.iter().enumerate() {
        if !seen.insert(&subject.subject) {
            refuse(format!("subjects[{at}].subject"), Invalid::Duplicate);
            continue;
        }
        let is_known = match &subject.subject {
            Subject::Resident(id) => match known.heads.get(id).filter(|head| exists(head)) {
                Some(head) => {
                    sealed |= head.state == FileState::Sealed;
                    if let Some(why) = outside_tenure(head, day) {
                        // Of several subjects the time may fit all but one.
                        let field =
                            if several { format!("subjects[{at}].subject") } else { "occur_time".into() };
                        refuse(field, why);
                    }
                    true
                }
                None => false,
            },
            Subject::Dwelling(id) => known.dwellings.contains(id),
            Subject::Area(id) => known.areas.contains(id),
            Subject::Facility(id) => known.facilities.contains(id),
            Subject::Request(_) => false,
            Subject::Site => true,
        };
        if !is_known {
            refuse(format!("subjects[{at}].subject"), Invalid::Unknown);
        }
        if subject.answers.len() > RECORD_ANSWERS_MAX {
            refuse(format!("subjects[{at}].answers"), Invalid::TooMany { max: RECORD_ANSWERS_MAX });
        }
        for (place, answer) in subject.answers.iter().enumerate() {
            // What was announced for the site is answered for each whom it concerns; what was reported of a file that was
            // merged, for the survivor.
            let fits = |of: &Subject| {
                *of == subject.subject || *of == Subject::Site || is_merged(of, &subject.subject, known)
            };
            if !known.events.get(answer).is_some_and(fits) {
                refuse(format!("subjects[{at}].answers[{place}]"), Invalid::Unknown);
            }
        }
    }
    sealed
}

/// Whether `of` is a file that was merged into that of `subject`.
fn is_merged(of: &Subject, subject: &Subject, known: &Known) -> bool {
    match (of, subject) {
        (Subject::Resident(of), Subject::Resident(id)) => {
            known.heads.get(id).is_some_and(|head| head.merged.iter().any(|merged| merged.id == *of))
        }
        _ => false, // only files are merged
    }
}

/// Whether anything but a tombstone remains of a file.
pub(in crate::app) fn exists(head: &ResidentHead) -> bool {
    match head.state {
        FileState::Active | FileState::Left | FileState::Sealed => true,
        FileState::Erased => false,
    }
}

/// Why care on a day cannot belong to a resident's tenure. A file that was left still takes what happened before.
pub(in crate::app) fn outside_tenure(head: &ResidentHead, day: CivilDate) -> Option<Invalid> {
    let last = [head.tenure.moved_out, head.died_on].into_iter().flatten().min();
    if head.earlier_tenures.iter().any(|tenure| tenure.days().contains(day)) {
        None
    } else if day < head.tenure.moved_in {
        Some(Invalid::BeforeTenure)
    } else if last.is_some_and(|last| day > last) {
        Some(Invalid::AfterTenure)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use linli_core::id::FacilityId;
    use linli_core::kind::ServiceKind;
    use linli_core::record::{Outcome, SubjectOutcome};
    use linli_core::resident::Tenure;

    use super::*;

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    fn resident(id: &str) -> Subject {
        Subject::Resident(ResidentId::new(id).unwrap())
    }

    fn outcome(subject: Subject, answers: &[&str]) -> SubjectOutcome {
        let answers = answers.iter().map(|id| EventId::new(id).unwrap()).collect();
        SubjectOutcome { subject, outcome: Outcome::Done, answers, content: None }
    }

    /// Ann moved in on 1 March 2026; Ben left on 10 March; Cai died on 12 March; Dan's file is sealed, Eve's erased.
    fn known() -> Known {
        let head = |id: &str, state: FileState, moved_out: Option<&str>, died_on: Option<&str>| {
            let id = ResidentId::new(id).unwrap();
            let head = ResidentHead {
                site: SiteId::new("s").unwrap(),
                id: id.clone(),
                dwelling: DwellingId::new("d").unwrap(),
                state,
                tenure: Tenure { moved_in: day("2026-03-01"), moved_out: moved_out.map(day) },
                earlier_tenures: Vec::new(),
                protected_for: None,
                may_be_minor: false,
                former_dwellings: Vec::new(),
                died_on: died_on.map(day),
                held: false,
                created_at: Instant::clamped(0),
                updated_at: Instant::clamped(0),
                merged_into: None,
                merged: Vec::new(),
                version: 1,
            };
            (id, head)
        };
        Known {
            zone: SiteZone::SHANGHAI,
            heads: [
                head("ann", FileState::Active, None, None),
                head("ben", FileState::Left, Some("2026-03-10"), None),
                head("cai", FileState::Left, None, Some("2026-03-12")),
                head("dan", FileState::Sealed, None, None),
                head("eve", FileState::Erased, None, None),
            ]
            .into(),
            dwellings: [DwellingId::new("d").unwrap()].into(),
            areas: [AreaId::new("a").unwrap()].into(),
            facilities: [FacilityId::new("f").unwrap()].into(),
            events: [(EventId::new("e").unwrap(), resident("ann"))].into(),
        }
    }

    #[test]
    fn every_violation_of_a_record_is_found_at_once() {
        let now = SiteZone::SHANGHAI.at(day("2026-03-20"), 12, 0);
        let check = |on: &str, subjects: Vec<SubjectOutcome>, expect: &[&str]| {
            let record = NewRecord {
                kind: ServiceKind::HomeVisit,
                occurred_at: SiteZone::SHANGHAI.at(day(on), 9, 0),
                performer: None,
                department: None,
                subjects,
            };
            let mut violations = Vec::new();
            let sealed = check_record(&record, "records[0]", &known(), now, &mut violations);
            let mut found: Vec<String> =
                violations.iter().map(|found| format!("{} {}", found.field, found.why)).collect();
            if sealed {
                found.push("sealed".into());
            }
            assert_eq!(found, expect, "{on}");
        };
        let one = |id: &str| vec![outcome(resident(id), &[])];
        check("2026-03-16", one("ann"), &[]);
        check("2026-03-01", one("ann"), &[]);
        check("2026-02-28", one("ann"), &["records[0].occur_time lies before the move-in"]);
        check("2026-03-21", one("ann"), &["records[0].occur_time lies in the future"]);
        check("2026-03-10", one("ben"), &[]);
        check("2026-03-11", one("ben"), &["records[0].occur_time lies after the move-out"]);
        check("2026-03-12", one("cai"), &[]);
        check("2026-03-13", one("cai"), &["records[0].occur_time lies after the move-out"]);
        check("2026-03-16", one("dan"), &["sealed"]);
        check("2026-03-16", one("eve"), &["records[0].subjects[0].subject is not a known value"]);
        let places = [
            Subject::Dwelling(DwellingId::new("d").unwrap()),
            Subject::Area(AreaId::new("a").unwrap()),
            Subject::Site,
            Subject::Area(AreaId::new("b").unwrap()),
            Subject::Facility(FacilityId::new("g").unwrap()),
        ];
        let places = places.into_iter().map(|place| outcome(place, &[])).collect();
        check(
            "2026-01-01",
            places,
            &[
                "records[0].subjects[3].subject is not a known value",
                "records[0].subjects[4].subject is not a known value",
            ],
        );
        let several = vec![
            outcome(resident("ann"), &["e"]),
            outcome(resident("ben"), &["e"]),
            outcome(resident("ann"), &[]),
            outcome(resident("zoe"), &["x"]),
        ];
        check(
            "2026-03-16",
            several,
            &[
                "records[0].subjects[1].subject lies after the move-out",
                "records[0].subjects[1].answers[0] is not a known value",
                "records[0].subjects[2].subject is given twice",
                "records[0].subjects[3].subject is not a known value",
                "records[0].subjects[3].answers[0] is not a known value",
            ],
        );
    }
}
