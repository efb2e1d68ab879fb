//! Linli's store as the service uses it: sealed content, an audit entry, an event and an answer that can
//! be repeated, in one change set a record.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use linli_core::id::{RecordId, ResidentId, SiteId, StaffId, Subject};
use linli_core::kind::{Department, ServiceKind};
use linli_core::record::{Outcome, ServiceRecord, SubjectOutcome};
use linli_core::resident::{Contact, FieldClass, FileState, Identity, PersonName, Resident, Tenure};
use linli_core::site::Site;
use linli_core::text::{Line, Paragraph};
use linli_core::time::{CivilDate, Instant, SiteZone};
use linli_store::{
    AuditDraft, ChangeSet, Committed, Decision, FieldClasses, NoRandomness, Random, RequestDraft, RootKey,
    Scope, Store, StoreConfig,
};
use secrecy::SecretSlice;

/// Residents of each site, among whom the records are spread: a steward's part of an estate.
const RESIDENTS: usize = 40;
/// The first record happens here, each next one a millisecond later: Monday, 16 March 2026, 9:00 in China.
const BEGIN_MICROS: i64 = 1_773_622_800_000_000;

/// A store with its sites and residents.
pub struct Side {
    store: Store,
    sites: Vec<SiteId>,
    residents: Vec<ResidentId>,
    performer: StaffId,
    content: Paragraph,
}

impl Side {
    /// Opens a new store at `path` and registers sites and residents.
    pub async fn open(path: &Path, sites: usize) -> Result<Self, Box<dyn Error>> {
        let root = RootKey::from_hex(&"5a".repeat(32))?;
        let store = Store::open(StoreConfig::sqlite(path), root, Arc::new(System)).await?;
        let side = Self {
            store,
            sites: (0..sites).map(|index| SiteId::new(&format!("site-{index}"))).collect::<Result<_, _>>()?,
            residents: (0..RESIDENTS)
                .map(|index| ResidentId::new(&format!("00000000-0000-7000-9000-{index:012x}")))
                .collect::<Result<_, _>>()?,
            performer: StaffId::new("steward-1")?,
            content: Paragraph::new("上门走访，老人精神很好，血压正常，已提醒按时服药；女儿周末回来。")?,
        };
        for site in &side.sites {
            let mut set = ChangeSet::new(Scope::System, 0, audit("CreateSite", site, &[], instant(0)));
            let zone = SiteZone::parse("Asia/Shanghai")?;
            set.put_site(Site {
                id: site.clone(),
                title: Line::new("阳光花园")?,
                zone,
                created_at: instant(0),
                version: 1,
            });
            side.store.commit("site.create", set).await?;
            for resident in &side.residents {
                let subjects = [resident.as_str().to_owned()];
                let mut set =
                    ChangeSet::new(site.into(), 0, audit("CreateResident", site, &subjects, instant(0)));
                set.create_resident(person(site, resident)?);
                side.store.commit("resident.create", set).await?;
            }
        }
        Ok(side)
    }

    /// Records one service.
    pub async fn record(&self, index: usize) -> Result<(), String> {
        let set = self.change_set(index).map_err(|error| error.to_string())?;
        match self.store.commit("service_record.create", set).await {
            Ok(Committed::Done(_)) => Ok(()),
            Ok(Committed::Repeated(_)) => Err("a new request was taken for a repetition".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn change_set(&self, index: usize) -> Result<ChangeSet, Box<dyn Error>> {
        let site = self.sites.get(index % self.sites.len()).ok_or("no site")?;
        let resident = self.residents.get(index / self.sites.len() % RESIDENTS).ok_or("no resident")?;
        let id = format!("00000000-0000-7000-8000-{index:012x}");
        let now = instant(index);
        let subjects = [resident.as_str().to_owned()];
        let mut set = ChangeSet::new(site.into(), 0, audit("RecordService", site, &subjects, now));
        set.require_resident(site, resident, None);
        set.add_record(ServiceRecord {
            site: site.clone(),
            id: RecordId::new(&id)?,
            version: 1,
            kind: ServiceKind::HomeVisit,
            occurred_at: now,
            recorded_at: now,
            performer: self.performer.clone(),
            department: Department::CustomerService,
            subjects: vec![SubjectOutcome {
                subject: Subject::Resident(resident.clone()),
                outcome: Outcome::Done,
                answers: Vec::new(),
                content: Some(self.content.clone()),
            }],
            voided: false,
            correction_reason: None,
        });
        set.event("record.created", format!("sites/{}/records/{id}", site.as_str()));
        set.request(RequestDraft {
            method: "linli.v1.CareRecordService/RecordService".into(),
            request_id: id,
            request_hash: [7; 32],
            answer: SecretSlice::from(vec![b'a'; 200]),
        });
        Ok(set)
    }
}

/// Randomness of the operating system.
struct System;

impl Random for System {
    #[allow(clippy::disallowed_methods, reason = "this is the source that is injected")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(|_| NoRandomness)
    }
}

fn instant(index: usize) -> Instant {
    Instant::clamped(BEGIN_MICROS + i64::try_from(index).unwrap_or_default() * 1_000)
}

fn audit(method: &str, site: &SiteId, subjects: &[String], now: Instant) -> AuditDraft {
    AuditDraft {
        principal: "staff/steward-1".into(),
        method: format!("linli.v1/{method}"),
        resource: format!("sites/{}", site.as_str()),
        subjects: subjects.to_vec(),
        classes: FieldClasses::of(&[FieldClass::Care]),
        purpose: String::new(),
        decision: Decision::Allowed,
        request_id: String::new(),
        care_time: now,
        system_time: now,
    }
}

fn person(site: &SiteId, id: &ResidentId) -> Result<Resident, Box<dyn Error>> {
    Ok(Resident {
        site: site.clone(),
        id: id.clone(),
        dwelling: linli_core::id::DwellingId::new("d-1")?,
        state: FileState::Active,
        tenure: Tenure { moved_in: CivilDate::parse("2020-05-01")?, moved_out: None },
        died_on: None,
        held: false,
        protected_for: None,
        contact: Contact { name: PersonName::new("张三")?, phone: None, emergency: Vec::new() },
        identity: Identity::default(),
        health: None,
        family: None,
        status: None,
        needs: Vec::new(),
        created_at: instant(0),
        updated_at: instant(0),
        version: 1,
    })
}
