//! The store: one type for both databases. Opening, committing, readiness.

mod prepare;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::PathBuf;
use std::sync::Arc;

use linli_core::site::Site;
use linli_core::staff::Staff;
use linli_core::time::Instant;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, QueryFilter, Statement,
};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use self::prepare::answer_place;
use crate::backend::reader::Reader;
use crate::backend::{Backend, check_schema, postgres, sqlite};
use crate::care_file::{self, FileQuestion, StoredFile};
use crate::change::{ChangeSet, Scope};
use crate::crypto::cell;
use crate::crypto::keys::KeyStore;
use crate::crypto::ring::SiteKeys;
use crate::crypto::{Chacha, CryptoProvider, Random, RootKeys};
use crate::error::{CommitError, Fault, OpenError, SealError, StoreError};
use crate::grouped::Grouped;
use crate::known::Known;
use crate::migration::newest_migration;
use crate::resident::ProtectedFile;
use crate::resource::Change;
use crate::seal::Receipt;
use crate::search::INDEX_ROW;
use crate::table::{idempotency, site_head};
use crate::wake::Wakes;
use crate::writer::Queue;
use crate::writer::plan::Outcome;

/// Where the data live.
#[derive(Debug, Clone)]
pub enum StoreConfig {
    /// A SQLite file; its keys in a second file beside it, `….keys`.
    Sqlite {
        /// The file; made where it does not exist.
        path: PathBuf,
        /// Reading connections, 4 to 8.
        readers: u32,
        /// Whether to bring the schema up to date.
        migrate: bool,
    },
    /// A PostgreSQL database, version 15 or newer.
    Postgres {
        /// `postgres://user:password@host/database?sslmode=verify-full`.
        url: SecretString,
        /// The database of the keys; `None`: the schema `linli_keys` of the same one.
        keys_url: Option<SecretString>,
        /// Reading connections.
        readers: u32,
        /// Whether to bring the schema up to date.
        migrate: bool,
    },
}

impl StoreConfig {
    /// A SQLite file with the usual settings: six readers, migrated at start.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self::Sqlite { path: path.into(), readers: 6, migrate: true }
    }

    /// A PostgreSQL database with the usual settings: sixteen readers, migrated where asked.
    pub fn postgres(url: SecretString, migrate: bool) -> Self {
        Self::Postgres { url, keys_url: None, readers: 16, migrate }
    }
}

/// Groups of files read at a time on SQLite: the processor is what they wait for, and one large group costs less than
/// two of half its size.
const FILE_READERS: usize = 1;
/// The same where the database is another machine, perhaps a distant one.
const SHARED_FILE_READERS: usize = 4;

/// How often a change set is sealed for keys that are being replaced: they are replaced once in months, and an index is moved
/// file by file.
const SEAL_TRIES: u32 = 8;

/// What a committed change set came to.
#[derive(Debug)]
pub enum Committed {
    /// It is durable.
    Done(Receipt),
    /// The same request was answered before: nothing was written; this is the answer that was given then.
    Repeated(SecretSlice<u8>),
}

impl Committed {
    /// The answer given before, if the request is a repetition.
    pub fn into_repeated(self) -> Option<SecretSlice<u8>> {
        match self {
            Self::Done(_) => None,
            Self::Repeated(answer) => Some(answer),
        }
    }
}

struct Inner {
    backend: Backend,
    queues: Vec<Queue>,
    wakes: Wakes,
    keys: KeyStore,
    epochs: Known<i64>,
    sites: Known<Site>,
    holders: Known<Vec<Staff>>,
    protected: Known<Arc<[ProtectedFile]>>,
    files: Grouped<FileQuestion, Option<StoredFile>>,
    file_reader: Reader,
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({:?})", self.inner.backend.kind())
    }
}

impl Store {
    /// Opens the store with the default algorithms. Must be called within a tokio runtime: the writers live on it.
    ///
    /// # Errors
    /// [`OpenError`] says what an operator can do.
    pub async fn open(
        config: StoreConfig,
        root: impl Into<RootKeys>,
        random: Arc<dyn Random>,
    ) -> Result<Self, OpenError> {
        Self::open_with(config, root.into(), random, Arc::new(Chacha)).await
    }

    /// As [`Store::open`], with other algorithms.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_with(
        config: StoreConfig,
        root: RootKeys,
        random: Arc<dyn Random>,
        provider: Arc<dyn CryptoProvider>,
    ) -> Result<Self, OpenError> {
        let backend = match config {
            StoreConfig::Sqlite { path, readers, migrate } => {
                let readers = readers.clamp(1, 64);
                sqlite::open(&path, readers, migrate).await?
            }
            StoreConfig::Postgres { url, keys_url, readers, migrate } => {
                let keys_url = keys_url.as_ref().map(ExposeSecret::expose_secret);
                postgres::open(url.expose_secret(), keys_url, readers.clamp(1, 1000), migrate).await?
            }
        };
        let keys = KeyStore::open(backend.keys.clone(), backend.keys_prefix, provider, random, root).await;
        let keys = match keys {
            Ok(keys) => keys,
            Err(err) => {
                backend.close().await;
                return Err(err);
            }
        };
        let wakes = Wakes::default();
        let queues =
            backend.writers.iter().cloned().map(|writer| Queue::start(writer, wakes.clone())).collect();
        let alone = backend.kind() == DbBackend::Sqlite;
        let (epochs, sites, holders) = (Known::new(alone), Known::new(alone), Known::new(alone));
        let protected = Known::new(alone);
        let reader = Reader::new(backend.reader.clone());
        let file_reader = reader.clone();
        let readers = if alone { FILE_READERS } else { SHARED_FILE_READERS };
        let files = Grouped::start(readers, move |questions| care_file::read(reader.clone(), questions));
        Ok(Self {
            inner: Arc::new(Inner {
                backend,
                queues,
                wakes,
                keys,
                epochs,
                sites,
                holders,
                protected,
                files,
                file_reader,
            }),
        })
    }

    /// Whether the database answers, its schema is the one this binary expects, and writes are taken.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn ready(&self) -> Result<(), OpenError> {
        if self.failed() {
            return Err(OpenError::Database(Fault::Disk));
        }
        check_schema(self.reader()).await
    }

    /// Whether the store has stopped writing after a disk failure; the process should end, so that a restart recovers.
    pub fn failed(&self) -> bool {
        self.inner.queues.iter().any(Queue::failed)
    }

    /// How many change sets wait for their commit: a gauge of load.
    pub fn waiting(&self) -> usize {
        self.inner.queues.iter().map(Queue::waiting).sum()
    }

    /// Commits what waits, takes no more writes and closes every connection. Clones of this store answer
    /// [`CommitError::Stopped`] from then on.
    pub async fn close(&self) {
        for queue in &self.inner.queues {
            queue.stop().await;
        }
        if let Err(err) = self.inner.file_reader.close().await {
            tracing::warn!(fault = %Fault::of(&err), "a connection did not close");
        }
        self.inner.backend.close().await;
    }

    /// Whether a process of another machine may write to the same database.
    pub fn shared(&self) -> bool {
        self.inner.backend.kind() == DbBackend::Postgres
    }

    /// The database's name: `sqlite` or `postgresql`.
    pub fn backend_name(&self) -> &'static str {
        if self.shared() { "postgresql" } else { "sqlite" }
    }

    /// The name of the newest migration, which the database has.
    pub fn schema_version(&self) -> String {
        newest_migration()
    }

    /// Commits a change set: all of it, with its audit entry, events and stored answer, or nothing. `name` names the
    /// command in traces. Returns when it is durable.
    ///
    /// A caller that is dropped meanwhile does not take the commit back.
    ///
    /// # Errors
    /// [`CommitError`]; after any but [`CommitError::Unknown`], nothing of it is stored.
    pub async fn commit(&self, name: &'static str, set: ChangeSet) -> Result<Committed, CommitError> {
        let outcome = self.sealed_and_committed(&set).await;
        let ChangeSet { scope, audit, changes, bump_epoch, bumped, .. } = set;
        // Rights before epochs: whoever reads the new epoch finds the new rights.
        if changes.iter().any(|change| matches!(change, Change::Staff(..))) {
            self.inner.holders.forget_all();
        }
        if bump_epoch || matches!(outcome, Err(CommitError::EpochChanged { .. })) {
            self.forget_rights(scope.text());
        }
        for site in &bumped {
            self.forget_rights(site);
        }
        for change in &changes {
            if let Change::Site(site) = change {
                self.inner.epochs.forget(site.id.as_str());
                self.inner.sites.forget(site.id.as_str());
            }
        }
        match &outcome {
            Ok(_) => tracing::trace!(name, "committed"),
            Err(err) => tracing::debug!(name, %err, "not committed"),
        }
        match outcome? {
            Outcome::Done { audit_seq, audit_hash, event_seq } => {
                Ok(Committed::Done(Receipt::of(&scope, &audit, audit_seq, audit_hash, event_seq)))
            }
            Outcome::Repeated { answer } => Ok(Committed::Repeated(self.open_answer(&scope, &answer).await?)),
        }
    }

    /// Seals a change set and commits it; both again where other keys came to seal, or an index was moved to another key,
    /// in between.
    async fn sealed_and_committed(&self, set: &ChangeSet) -> Result<Outcome, CommitError> {
        let mut tries = 0;
        loop {
            let outcome = self.queue(&set.scope).commit(self.prepare(set).await?).await;
            tries += 1;
            match outcome {
                Err(CommitError::KeysChanged { current }) if tries < SEAL_TRIES => {
                    self.newer_site_keys(set.scope.text(), current).await?;
                }
                Err(CommitError::Missing { what: INDEX_ROW }) if tries < SEAL_TRIES => {}
                outcome => {
                    if set.renews_keys && outcome.is_ok() {
                        self.keys().forget_site(set.scope.text()).await;
                    }
                    return outcome;
                }
            }
        }
    }

    /// The keys of a scope, in the version that its head named when they were last looked for.
    pub(crate) async fn site_keys(&self, scope: &str) -> Result<Arc<SiteKeys>, SealError> {
        if let Some(keys) = self.keys().known_site(scope).await {
            return Ok(keys);
        }
        let head = site_head::Entity::find()
            .filter(site_head::Column::Site.eq(scope))
            .all(self.reader())
            .await
            .map_err(|err| SealError::KeyStore(Fault::of(&err)))?;
        let current = head.first().map_or(1, |head| head.key_version);
        self.newer_site_keys(scope, current).await
    }

    /// The keys of a scope whose head names this version.
    pub(crate) async fn newer_site_keys(
        &self,
        scope: &str,
        current: i64,
    ) -> Result<Arc<SiteKeys>, SealError> {
        let current = u32::try_from(current).map_err(|_| SealError::NoKey)?;
        self.keys().load_site(scope, current).await
    }

    /// The answer that was given to this request before, so that a repetition needs no second look at the state of
    /// things. [`Store::commit`] decides the same once more for requests that overlap.
    ///
    /// # Errors
    /// [`CommitError::RequestIdReused`] where the id was used for another request, or as the database fails.
    pub async fn kept_answer(
        &self,
        scope: &Scope,
        principal: &str,
        (method, request_id): (&str, &str),
        request_hash: &[u8; 32],
        system_time: Instant,
    ) -> Result<Option<SecretSlice<u8>>, CommitError> {
        let rows = idempotency::Entity::find()
            .filter(idempotency::Column::Site.eq(scope.text()))
            .filter(idempotency::Column::Principal.eq(principal))
            .filter(idempotency::Column::Method.eq(method))
            .filter(idempotency::Column::RequestId.eq(request_id))
            .all(self.reader())
            .await
            .map_err(|err| CommitError::Database(Fault::of(&err)))?;
        match rows.into_iter().find(|row| row.expires_at > system_time.micros()) {
            None => Ok(None),
            Some(row) if row.request_hash != request_hash => Err(CommitError::RequestIdReused),
            Some(row) => self.open_answer(scope, &row.answer).await.map(Some),
        }
    }

    async fn open_answer(&self, scope: &Scope, answer: &[u8]) -> Result<SecretSlice<u8>, CommitError> {
        let version = cell::key_version(answer)?;
        let mut keys = self.site_keys(scope.text()).await?;
        if keys.of(version).is_none() {
            let current = self.site_head(scope).await.map_err(seal_fault)?.key_version;
            keys = self.newer_site_keys(scope.text(), current).await?;
        }
        let key = &keys.of(version).ok_or(SealError::NoKey)?.seal;
        let plain = cell::open(self.keys().provider(), key, &answer_place(scope.text()), answer)?;
        Ok(SecretSlice::from(plain.to_vec()))
    }

    /// Commits the audit entry of a read; the receipt opens what the entry names.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn disclose(&self, name: &'static str, mut set: ChangeSet) -> Result<Receipt, CommitError> {
        set.request = None; // a read is not answered from memory: it is authorised, and noted, each time
        match self.commit(name, set).await? {
            Committed::Done(receipt) => Ok(receipt),
            Committed::Repeated(_) => Err(CommitError::RequestIdReused),
        }
    }

    /// The writer of a site: always the same one, so that its change sets meet in one group.
    fn queue(&self, scope: &Scope) -> &Queue {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(scope.text());
        let count = self.inner.queues.len().max(1);
        let index = usize::try_from(hash % (count as u64)).unwrap_or_default();
        #[allow(
            clippy::indexing_slicing,
            reason = "a backend opens at least one writer; the index is below their number"
        )]
        &self.inner.queues[index]
    }

    /// The authorisation epoch that a decision about this scope must carry into its change set; `None`: there is no such
    /// site. (The system's own epoch is 0 before its first entry.) One statement, never on a replica.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn authz_epoch(&self, scope: &Scope) -> Result<Option<i64>, StoreError> {
        let generation = match self.inner.epochs.get(scope.text()) {
            Ok(epoch) => return Ok(Some(epoch)),
            Err(generation) => generation,
        };
        let found = self.stored_head(scope).await?;
        let epoch = match scope {
            Scope::Site(_) => found.map(|head| head.authz_epoch),
            Scope::System => Some(found.map_or(0, |head| head.authz_epoch)),
        };
        if let Some(epoch) = &epoch {
            self.inner.epochs.remember(scope.text(), epoch, generation);
        }
        Ok(epoch)
    }

    /// What rests on the epoch goes before it: who then reads the new epoch reads what belongs to it.
    fn forget_rights(&self, scope: &str) {
        self.inner.protected.forget(scope);
        self.inner.epochs.forget(scope);
    }

    pub(crate) fn known_protected(&self) -> &Known<Arc<[ProtectedFile]>> {
        &self.inner.protected
    }

    /// The numbers of the newest audit entry and event of a scope, `(0, 0)` before the first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sequences(&self, scope: &Scope) -> Result<(i64, i64), StoreError> {
        let head = self.site_head(scope).await?;
        Ok((head.audit_seq, head.event_seq))
    }

    /// The number of the newest event and the epoch of rights of a scope: where neither moved, nothing that was told has
    /// changed but by the time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pulse(&self, scope: &Scope) -> Result<(i64, i64), StoreError> {
        let head = self.site_head(scope).await?;
        Ok((head.event_seq, head.authz_epoch))
    }

    pub(crate) async fn site_head(&self, scope: &Scope) -> Result<site_head::Model, StoreError> {
        Ok(self.stored_head(scope).await?.unwrap_or_else(|| site_head::Model {
            site: scope.text().to_owned(),
            audit_seq: 0,
            audit_hash: crate::audit::GENESIS.to_vec(),
            event_seq: 0,
            authz_epoch: 0,
            key_version: 1,
        }))
    }

    async fn stored_head(&self, scope: &Scope) -> Result<Option<site_head::Model>, StoreError> {
        let query = site_head::Entity::find().filter(site_head::Column::Site.eq(scope.text()));
        Ok(query.all(self.reader()).await?.into_iter().next())
    }

    /// Removes stored answers that have expired, up to 1,000; returns how many. Call it again while it returns
    /// 1,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep_answers(&self, system_time: Instant) -> Result<u64, StoreError> {
        let backend = self.inner.backend.kind();
        let mark = if backend == DbBackend::Postgres { "$1" } else { "?" };
        let sql = format!(
            "DELETE FROM idempotency WHERE (site, principal, method, request_id) IN (SELECT site, principal, \
             method, request_id FROM idempotency WHERE expires_at <= {mark} ORDER BY expires_at LIMIT 1000)"
        );
        let values = [sea_orm::Value::BigInt(Some(system_time.micros()))];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let writer = self.first_writer()?;
        Ok(writer.execute_raw(statement).await?.rows_affected())
    }

    /// The audit chains as they lie in the database.
    pub fn ledger(&self) -> crate::ledger::Ledger {
        crate::ledger::Ledger::of(self.reader().clone(), self.inner.backend.writers.first().cloned())
    }

    /// Sites that this process knows without asking.
    pub(crate) fn known_sites(&self) -> &Known<Site> {
        &self.inner.sites
    }

    pub(crate) fn holders(&self) -> &Known<Vec<Staff>> {
        &self.inner.holders
    }

    /// The pool that reads.
    pub(crate) fn reader(&self) -> &DatabaseConnection {
        &self.inner.backend.reader
    }

    /// Where care files are read in groups.
    pub(crate) fn files(&self) -> &Grouped<FileQuestion, Option<StoredFile>> {
        &self.inner.files
    }

    pub(crate) fn keys(&self) -> &KeyStore {
        &self.inner.keys
    }

    /// The key store's database, and what its tables' names begin with.
    pub(crate) fn keys_connection(&self) -> (&DatabaseConnection, &'static str) {
        (&self.inner.backend.keys, self.inner.backend.keys_prefix)
    }

    /// Who waits for commits.
    pub(crate) fn wakes(&self) -> &Wakes {
        &self.inner.wakes
    }

    /// A connection that writes, for what is no change set: sweeping what has had its time.
    pub(crate) fn first_writer(&self) -> Result<&DatabaseConnection, StoreError> {
        self.inner.backend.writers.first().ok_or(StoreError::Database(Fault::Internal))
    }
}

/// Why a head that is needed for keys was not read.
fn seal_fault(error: StoreError) -> SealError {
    match error {
        StoreError::Database(fault) => SealError::KeyStore(fault),
        StoreError::Row { .. } => SealError::KeyStore(Fault::Internal),
        StoreError::Seal(error) => error,
    }
}
