//! The contract of the store, run on both databases. A case is one function over an [`Env`]; the macro at the end
//! makes a test of it per database.

mod access;
mod activities;
mod chain;
mod closed_periods;
mod commit;
mod consent;
mod erasure;
mod facilities;
mod files;
mod fund;
mod group;
mod key_rotation;
mod operation;
mod outbox;
mod plans;
mod privacy;
mod promises;
mod records;
mod referrals;
mod requests;
mod sink;
mod sites;
mod staff;
mod surveys;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use linli_core::id::{DwellingId, ResidentId, SiteId, StaffId, Subject};
use linli_core::identity::IdentityNumber;
use linli_core::kind::{Department, ServiceKind};
use linli_core::record::{Outcome, ServiceRecord, SubjectOutcome};
use linli_core::resident::{
    Contact, EmergencyContact, FieldClass, FileState, Identity, Need, PersonName, Phone, Resident, Sex,
    Tenure,
};
use linli_core::site::{Dwelling, Site};
use linli_core::text::{Line, Paragraph};
use linli_core::time::{CivilDate, Instant, SiteZone};
use secrecy::SecretString;

use crate::testing::{Postgres, ScratchDir, SeededRandom};
use crate::{
    AuditDraft, ChangeSet, CommitError, Committed, Decision, FieldClasses, Receipt, RootKey, Scope, Store,
    StoreConfig,
};

/// Which database a case runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// A fresh database, and how to open it.
pub(crate) struct Env {
    pub(crate) on: On,
    pub(crate) store: Store,
    pub(crate) directory: ScratchDir,
    cluster: Option<Arc<Postgres>>,
    url: Option<String>,
    seed: u64,
}

pub(crate) const ROOT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

impl Env {
    async fn new(on: On) -> Option<Self> {
        let cluster = match on {
            On::Sqlite => None,
            On::Postgres => Some(Postgres::shared()?),
        };
        Some(Self::on(on, cluster).await)
    }

    async fn on(on: On, cluster: Option<Arc<Postgres>>) -> Self {
        static SEEDS: AtomicU64 = AtomicU64::new(1);
        let seed = SEEDS.fetch_add(1, Ordering::Relaxed);
        let directory = ScratchDir::new();
        let url = match &cluster {
            Some(cluster) => Some(cluster.database().await),
            None => None,
        };
        let config = config(&directory, url.as_deref());
        let store = open(config, ROOT, seed).await.unwrap();
        Self { on, store, directory, cluster, url, seed }
    }

    /// A second, empty database of the same kind.
    pub(crate) async fn another(&self) -> Self {
        Self::on(self.on, self.cluster.clone()).await
    }

    pub(crate) fn config(&self) -> StoreConfig {
        config(&self.directory, self.url.as_deref())
    }

    /// An empty database of the same cluster, not opened yet.
    pub(crate) async fn another_url(&self) -> StoreConfig {
        let cluster = self.cluster.as_ref().expect("a case for PostgreSQL");
        config(&self.directory, Some(&cluster.database().await))
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("linli.db")
    }

    /// Closes the store and opens it again.
    pub(crate) async fn reopen(self) -> Self {
        let Self { on, store, directory, cluster, url, seed } = self;
        close(store).await;
        let config = config(&directory, url.as_deref());
        let store = open(config, ROOT, seed + 1_000_000).await.unwrap();
        Self { on, store, directory, cluster, url, seed }
    }
}

pub(crate) async fn close(store: Store) {
    store.close().await;
}

fn config(directory: &ScratchDir, url: Option<&str>) -> StoreConfig {
    match url {
        Some(url) => {
            StoreConfig::Postgres { url: SecretString::from(url), keys_url: None, readers: 4, migrate: true }
        }
        None => StoreConfig::sqlite(directory.path().join("linli.db")),
    }
}

pub(crate) async fn open(config: StoreConfig, root: &str, seed: u64) -> Result<Store, crate::OpenError> {
    Store::open(config, RootKey::from_hex(root).unwrap(), Arc::new(SeededRandom::new(seed))).await
}

/// Runs a case on one database.
pub(crate) fn run<F: Future<Output = ()>>(on: On, case: impl FnOnce(Env) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        if let Some(env) = Env::new(on).await {
            let cluster = env.cluster.clone();
            case(env).await;
            drop(cluster); // held to the end, so that the next case finds it
        }
    });
}

// ── Values ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// 2026-03-16T09:00:00+08:00, a Monday, and minutes after it.
pub(crate) fn at(minutes: i64) -> Instant {
    Instant::from_micros(1_773_622_800_000_000).unwrap().plus_minutes(minutes)
}

pub(crate) fn day(text: &str) -> CivilDate {
    CivilDate::parse(text).unwrap()
}

pub(crate) fn site_id(text: &str) -> SiteId {
    SiteId::new(text).unwrap()
}

pub(crate) fn resident_id(text: &str) -> ResidentId {
    ResidentId::new(text).unwrap()
}

pub(crate) fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

pub(crate) fn paragraph(text: &str) -> Paragraph {
    Paragraph::new(text).unwrap()
}

pub(crate) fn site(id: &str) -> Site {
    let zone = SiteZone::SHANGHAI;
    Site { id: site_id(id), title: line("翠湖花园"), zone, created_at: at(0), version: 1 }
}

pub(crate) fn dwelling(site: &str, id: &str) -> Dwelling {
    Dwelling {
        site: site_id(site),
        id: DwellingId::new(id).unwrap(),
        building: line("3"),
        unit: Some(line("2")),
        room: line(id),
        created_at: at(0),
        version: 1,
    }
}

/// Values that must not be found anywhere in clear.
pub(crate) const NAME: &str = "欧阳绝密";
pub(crate) const PHONE: &str = "13987654321";
pub(crate) const HEALTH: &str = "planted-health-secret";
pub(crate) const NUMBER: &str = "11010519491231002X";

pub(crate) fn resident(site: &str, id: &str) -> Resident {
    Resident {
        site: site_id(site),
        id: resident_id(id),
        dwelling: DwellingId::new("d1").unwrap(),
        state: FileState::Active,
        tenure: Tenure { moved_in: day("2020-05-01"), moved_out: None },
        died_on: None,
        held: false,
        protected_for: None,
        contact: Contact {
            name: PersonName::new(NAME).unwrap(),
            phone: Some(Phone::new(PHONE).unwrap()),
            emergency: vec![EmergencyContact {
                name: PersonName::new("绝密女儿").unwrap(),
                phone: Phone::new("13800001234").unwrap(),
                relation: Some(line("女儿")),
            }],
        },
        identity: Identity { number: None, birth_date: Some(day("1940-02-29")), sex: Some(Sex::Female) },
        health: Some(paragraph(HEALTH)),
        family: None,
        status: Some(paragraph("planted-status-secret")),
        needs: vec![Need::LivingCare, Need::Companionship],
        created_at: at(0),
        updated_at: at(0),
        version: 1,
    }
}

pub(crate) fn with_number(mut resident: Resident, number: &str) -> Resident {
    let number = IdentityNumber::new(number).unwrap();
    resident.identity =
        Identity { birth_date: Some(number.birth_date()), sex: Some(number.sex()), number: Some(number) };
    resident
}

pub(crate) fn record(site: &str, id: &str, resident: &str, minutes: i64) -> ServiceRecord {
    ServiceRecord {
        site: site_id(site),
        id: linli_core::id::RecordId::new(id).unwrap(),
        version: 1,
        kind: ServiceKind::HomeVisit,
        occurred_at: at(minutes),
        recorded_at: at(minutes + 10),
        performer: StaffId::new("steward-1").unwrap(),
        department: Department::CustomerService,
        subjects: vec![SubjectOutcome {
            subject: Subject::Resident(resident_id(resident)),
            outcome: Outcome::Done,
            answers: Vec::new(),
            content: Some(paragraph("planted-content-secret")),
        }],
        voided: false,
        correction_reason: None,
    }
}

// ── Commits ─────────────────────────────────────────────────────────────────────────────────────────────────────

pub(crate) fn audit(method: &str) -> AuditDraft {
    AuditDraft {
        principal: "steward-1".into(),
        method: format!("linli.v1.Test/{method}"),
        resource: "sites/a".into(),
        subjects: Vec::new(),
        classes: FieldClasses::NONE,
        purpose: String::new(),
        decision: Decision::Allowed,
        request_id: String::new(),
        care_time: at(0),
        system_time: at(1),
    }
}

pub(crate) fn set(scope: &str) -> ChangeSet {
    ChangeSet::new(Scope::Site(site_id(scope)), 0, audit("Change"))
}

pub(crate) fn system_set() -> ChangeSet {
    ChangeSet::new(Scope::System, 0, audit("Change"))
}

/// Commits a change set made by `build` in the scope of a site.
pub(crate) async fn change(
    store: &Store,
    scope: &str,
    build: impl FnOnce(&mut ChangeSet) -> &mut ChangeSet,
) -> Result<Receipt, CommitError> {
    let mut set = set(scope);
    build(&mut set);
    store.commit("test", set).await.map(|committed| match committed {
        Committed::Done(receipt) => receipt,
        Committed::Repeated(_) => panic!("no request id was given"),
    })
}

/// A site with a dwelling.
pub(crate) async fn make_site(store: &Store, id: &str) {
    let mut set = system_set();
    set.put_site(site(id));
    store.commit("test", set).await.unwrap();
    change(store, id, |set| set.put_dwelling(dwelling(id, "d1"))).await.unwrap();
}

/// A receipt for these residents and classes.
pub(crate) async fn disclose(
    store: &Store,
    scope: &str,
    residents: &[&str],
    classes: &[FieldClass],
) -> Receipt {
    let draft = AuditDraft {
        subjects: residents.iter().map(|id| (*id).to_owned()).collect(),
        classes: FieldClasses::of(classes),
        ..audit("Read")
    };
    let epoch = store.authz_epoch(&Scope::Site(site_id(scope))).await.unwrap().unwrap();
    store.disclose("test", ChangeSet::new(Scope::Site(site_id(scope)), epoch, draft)).await.unwrap()
}

/// Dumps of two stores differ in nothing, or the first difference is shown.
pub(crate) fn assert_same_rows(
    left: &BTreeMap<&'static str, Vec<String>>,
    right: &BTreeMap<&'static str, Vec<String>>,
    what: &str,
) {
    for (table, rows) in left {
        assert_eq!(Some(rows), right.get(table), "{what}: table `{table}`");
    }
    assert_eq!(left.len(), right.len());
}

macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $case() { $crate::conformance::run($crate::conformance::On::Sqlite, super::$case); })*
        }
        mod postgres {
            $(#[test] fn $case() { $crate::conformance::run($crate::conformance::On::Postgres, super::$case); })*
        }
    };
}
pub(crate) use on_both;
