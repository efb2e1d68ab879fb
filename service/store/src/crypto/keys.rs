//! The key store: site keys wrapped by the root key, resident keys wrapped by their site's key, in a database of
//! their own.
//!
//! A key is durable before the first value that it seals. Deleting a resident's key erases the person from every
//! copy of the database.
//!
//! Every site has versions of its keys; which one is current, the site's head says, in the same transaction as what it
//! seals. A resident's key bears the number of the site's version that wraps it, and is made when something is first sealed
//! with it. What older versions seal is opened with them until it was sealed anew ([`crate::key_rotation`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use linli_core::id::ResidentId;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement, Value};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::cell::{self, Place};
use super::ring::{Cache, ResidentKeys, SiteKey, SiteKeys};
use super::root::Root;
use super::{CryptoProvider, Key, Random, RootKeys};
use crate::error::{Fault, OpenError, SealError};

/// New keys stored by one statement.
const GROUP_MAX: usize = 256;
/// New keys that wait.
const QUEUE_MAX: usize = 2048;
/// The version that everything begins with.
pub(crate) const FIRST_VERSION: u32 = 1;

struct Wrapped {
    site: String,
    resident: String,
    version: u32,
    bytes: Vec<u8>,
}

struct Creation {
    keys: Vec<Wrapped>,
    /// Whether every key that was waiting was new.
    done: oneshot::Sender<Result<bool, Fault>>,
}

/// Gives out keys; see the module.
pub(crate) struct KeyStore {
    connection: DatabaseConnection,
    prefix: &'static str,
    provider: Arc<dyn CryptoProvider>,
    random: Arc<dyn Random>,
    roots: RootKeys,
    root: RwLock<Root>,
    sites: tokio::sync::RwLock<HashMap<String, Arc<SiteKeys>>>,
    residents: Mutex<Cache>,
    creations: mpsc::Sender<Creation>,
}

impl KeyStore {
    /// Opens the key store with the root key that opens it: the one in use, or the one that is to follow it and did already.
    pub(crate) async fn open(
        connection: DatabaseConnection,
        prefix: &'static str,
        provider: Arc<dyn CryptoProvider>,
        random: Arc<dyn Random>,
        roots: RootKeys,
    ) -> Result<Self, OpenError> {
        let (creations, receiver) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(create(connection.clone(), prefix, receiver));
        let root = RwLock::new(Root { version: FIRST_VERSION, key: roots.current().clone() });
        let store = Self {
            connection,
            prefix,
            provider,
            random,
            roots,
            root,
            sites: tokio::sync::RwLock::default(),
            residents: Mutex::default(),
            creations,
        };
        store.begin_with_root().await?;
        store.find_root().await?;
        Ok(store)
    }

    pub(crate) fn provider(&self) -> &dyn CryptoProvider {
        &*self.provider
    }

    pub(crate) fn random(&self) -> &dyn Random {
        &*self.random
    }

    // ── The root key ────────────────────────────────────────────────────────────────────────────────────────────

    /// The version of the root key in use.
    pub(crate) fn root_version(&self) -> u32 {
        self.root().version
    }

    fn root(&self) -> Root {
        self.root.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn use_root(&self, root: Root) {
        *self.root.write().unwrap_or_else(PoisonError::into_inner) = root;
    }

    /// Seals a key by the root key.
    pub(crate) fn seal_by_root(&self, place: &Place<'_>, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let root = self.root();
        cell::seal(self.provider(), self.random(), root.key.key(), root.version, place, bytes)
    }

    /// In a new key store, notes by which root key it is opened.
    async fn begin_with_root(&self) -> Result<(), OpenError> {
        let cell = self.root_cell(&self.root()).map_err(|_| OpenError::NoRandomness)?;
        let sql = format!(
            "INSERT INTO {}root_check (id, cell) VALUES (1, #) ON CONFLICT (id) DO NOTHING",
            self.prefix
        );
        self.execute(&sql, vec![Value::Bytes(Some(cell))]).await?;
        Ok(())
    }

    fn root_cell(&self, root: &Root) -> Result<Vec<u8>, SealError> {
        cell::seal(self.provider(), self.random(), root.key.key(), root.version, &ROOT_PLACE, b"linli")
    }

    /// Takes the root key that opens the key store as it is now.
    async fn find_root(&self) -> Result<(), OpenError> {
        let stored = self.stored_root().await?;
        let version = cell::key_version(&stored).map_err(|_| OpenError::WrongRootKey)?;
        let opens = |key: &super::RootKey| {
            cell::open(self.provider(), key.key(), &ROOT_PLACE, &stored).is_ok().then(|| key.clone())
        };
        let found = match [&self.root().key, self.roots.current()].into_iter().find_map(opens) {
            Some(key) => Some(key),
            None => self.roots.next()?.as_ref().and_then(opens),
        };
        let key = found.ok_or(OpenError::WrongRootKey)?;
        if !key.is(self.roots.current()) {
            tracing::warn!(
                "the next root key is the one in use: put it in the place of the old one, which opens nothing any more"
            );
        }
        self.use_root(Root { version, key });
        Ok(())
    }

    async fn stored_root(&self) -> Result<Vec<u8>, DbErr> {
        let rows =
            self.query(&format!("SELECT cell FROM {}root_check WHERE id = 1", self.prefix), vec![]).await?;
        rows.first().ok_or(DbErr::RecordNotFound("root_check".into()))?.try_get_by_index(0)
    }

    /// The root key that is to follow the one in use, where there is one that differs from it.
    pub(crate) fn next_root(&self) -> Result<Option<super::RootKey>, OpenError> {
        let root = self.root();
        Ok(self.roots.next()?.filter(|next| !next.is(&root.key)))
    }

    /// Wraps everything that the root key wraps by another one, all at once; from then on the old one opens nothing. Returns
    /// whether this call did it: another server may have.
    pub(crate) async fn replace_root(&self, key: super::RootKey) -> Result<bool, SealError> {
        let old = self.root();
        let new = Root { version: old.version.saturating_add(1), key };
        let stored = self.stored_root().await.map_err(fault)?;
        let transaction = self.begin().await.map_err(fault)?;
        let on = |sql: &str, values: Vec<Value>| self.statement(sql, values);
        // First of all: who makes keys of a site meanwhile waits for this row, and then knows that the root key changed.
        let taken = on(
            &format!("UPDATE {}root_check SET cell = # WHERE id = 1 AND cell = #", self.prefix),
            vec![Value::Bytes(Some(self.root_cell(&new)?)), Value::Bytes(Some(stored.clone()))],
        );
        let taken = transaction.execute_raw(taken).await.map_err(fault)?.rows_affected();
        if taken == 0 || cell::key_version(&stored)? != old.version {
            transaction.rollback().await.map_err(fault)?;
            self.find_root().await.map_err(|_| SealError::NoKey)?;
            return Ok(false);
        }
        let rows = on(&format!("SELECT site, version, seal, find FROM {}site_key", self.prefix), vec![]);
        for row in transaction.query_all_raw(rows).await.map_err(fault)? {
            let site: String = row.try_get_by_index(0).map_err(fault)?;
            let number: i64 = row.try_get_by_index(1).map_err(fault)?;
            let mut values = Vec::with_capacity(4);
            for (index, column) in [(2, "seal"), (3, "find")] {
                let cell: Vec<u8> = row.try_get_by_index(index).map_err(fault)?;
                let cell = self.rewrapped(&old, &new, &site_place(&site, column, number), &cell)?;
                values.push(Value::Bytes(Some(cell)));
            }
            values.extend([Value::String(Some(site)), Value::BigInt(Some(number))]);
            let sql = format!(
                "UPDATE {}site_key SET seal = #, find = # WHERE site = # AND version = #",
                self.prefix
            );
            transaction.execute_raw(on(&sql, values)).await.map_err(fault)?;
        }
        let rows = on(&format!("SELECT site, cell FROM {}audit_key", self.prefix), vec![]);
        for row in transaction.query_all_raw(rows).await.map_err(fault)? {
            let site: String = row.try_get_by_index(0).map_err(fault)?;
            let cell: Vec<u8> = row.try_get_by_index(1).map_err(fault)?;
            let cell = self.rewrapped(&old, &new, &audit_place(&site), &cell)?;
            let sql = format!("UPDATE {}audit_key SET cell = # WHERE site = #", self.prefix);
            let values = vec![Value::Bytes(Some(cell)), Value::String(Some(site))];
            transaction.execute_raw(on(&sql, values)).await.map_err(fault)?;
        }
        transaction.commit().await.map_err(fault)?;
        self.use_root(new);
        self.overwrite().await;
        Ok(true)
    }

    #[allow(clippy::disallowed_methods, reason = "the key store has no change sets; see `replace_root`")]
    async fn begin(&self) -> Result<sea_orm::DatabaseTransaction, DbErr> {
        sea_orm::TransactionTrait::begin(&self.connection).await
    }

    fn rewrapped(
        &self,
        old: &Root,
        new: &Root,
        place: &Place<'_>,
        cell: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let plain = cell::open(self.provider(), old.key.key(), place, cell)?;
        cell::seal(self.provider(), self.random(), new.key.key(), new.version, place, &plain)
    }

    /// Opens what the root key wraps, also where another server replaced it meanwhile.
    async fn open_wrapped(&self, place: &Place<'_>, cell: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let root = self.root();
        if cell::key_version(cell)? == root.version {
            return cell::open(self.provider(), root.key.key(), place, cell);
        }
        self.find_root().await.map_err(|_| SealError::NoKey)?;
        cell::open(self.provider(), self.root().key.key(), place, cell)
    }

    // ── The keys of sites ───────────────────────────────────────────────────────────────────────────────────────

    /// The keys of a site, where they are at hand.
    pub(crate) async fn known_site(&self, site: &str) -> Option<Arc<SiteKeys>> {
        self.sites.read().await.get(site).map(Arc::clone)
    }

    /// The keys of a site whose head names `current` as their version. The first version is made at the first use; later
    /// ones were made before a head named them.
    pub(crate) async fn load_site(&self, site: &str, current: u32) -> Result<Arc<SiteKeys>, SealError> {
        let mut sites = self.sites.write().await;
        if let Some(keys) = sites.get(site)
            && keys.version() >= current
        {
            return Ok(Arc::clone(keys));
        }
        let mut found = self.stored_site(site).await?;
        if found.is_empty() && current == FIRST_VERSION {
            self.make_version(site, FIRST_VERSION).await?;
            found = self.stored_site(site).await?;
        }
        let oldest = found.first().ok_or(SealError::NoKey)?.find.clone();
        let audit = self.audit_key(site, &oldest).await?;
        // A version above the current one was made and is named by no head yet.
        found.retain(|key| key.version <= current);
        let newest = found.pop().filter(|key| key.version == current).ok_or(SealError::NoKey)?;
        let keys = Arc::new(SiteKeys::new(newest, found, audit));
        sites.insert(site.to_owned(), Arc::clone(&keys));
        Ok(keys)
    }

    /// Forgets the keys of a site, so that they are loaded again.
    pub(crate) async fn forget_site(&self, site: &str) {
        self.sites.write().await.remove(site);
    }

    /// Makes a version of a site's keys, where there is none yet; durable when it returns.
    pub(crate) async fn make_version(&self, site: &str, version: u32) -> Result<(), SealError> {
        for _ in 0..2 {
            let root = self.root();
            let number = i64::from(version);
            let mut values = vec![Value::String(Some(site.to_owned())), Value::BigInt(Some(number))];
            for column in ["seal", "find"] {
                let key = Key::draw(self.random())?;
                let place = site_place(site, column, number);
                let (root, bytes) = (&root, key.bytes());
                let cell =
                    cell::seal(self.provider(), self.random(), root.key.key(), root.version, &place, bytes)?;
                values.push(Value::Bytes(Some(cell)));
            }
            let into = "site_key (site, version, seal, find)";
            self.insert_wrapped(into, "(site, version)", values, root.version).await?;
            if self.stored_site(site).await?.iter().any(|key| key.version == version) {
                return Ok(());
            }
            self.find_root().await.map_err(|_| SealError::NoKey)?; // it changed meanwhile
        }
        Err(SealError::NoKey)
    }

    /// Stores what the root key wraps, unless the root key is another one by now.
    async fn insert_wrapped(
        &self,
        into: &str,
        key: &str,
        mut values: Vec<Value>,
        root_version: u32,
    ) -> Result<(), SealError> {
        let share = match self.connection.get_database_backend() {
            DbBackend::Postgres => " FOR SHARE",
            _ => "", // a foreign enum; on SQLite nobody else writes
        };
        let types = values.iter().map(|value| match (self.connection.get_database_backend(), value) {
            (DbBackend::Postgres, Value::Bytes(_)) => "#::bytea",
            (DbBackend::Postgres, Value::BigInt(_)) => "#::bigint",
            (DbBackend::Postgres, _) => "#::text",
            _ => "#", // SQLite takes a value as what it is
        });
        let marks = types.collect::<Vec<_>>().join(", ");
        let prefix = self.prefix;
        let sql = format!(
            "INSERT INTO {prefix}{into} SELECT {marks} FROM {prefix}root_check WHERE id = 1 AND substr(cell, 3, 4) = #{share} \
             ON CONFLICT {key} DO NOTHING"
        );
        values.push(Value::Bytes(Some(root_version.to_be_bytes().to_vec())));
        self.execute(&sql, values).await.map_err(fault)
    }

    /// The versions of a site's keys, oldest first.
    async fn stored_site(&self, site: &str) -> Result<Vec<SiteKey>, SealError> {
        let sql = format!(
            "SELECT version, seal, find FROM {}site_key WHERE site = # ORDER BY version",
            self.prefix
        );
        let mut found = Vec::new();
        for row in self.query(&sql, vec![Value::String(Some(site.to_owned()))]).await.map_err(fault)? {
            let number: i64 = row.try_get_by_index(0).map_err(fault)?;
            let version = u32::try_from(number).map_err(|_| SealError::Format)?;
            let seal = self.site_cell(&row, 1, &site_place(site, "seal", number)).await?;
            let find = self.site_cell(&row, 2, &site_place(site, "find", number)).await?;
            let wrap = Key::new(self.provider.mac(&seal, &[b"linli.wrap.v1"]));
            found.push(SiteKey { version, seal, wrap, find });
        }
        Ok(found)
    }

    async fn site_cell(&self, row: &QueryResult, index: usize, place: &Place<'_>) -> Result<Key, SealError> {
        let cell: Vec<u8> = row.try_get_by_index(index).map_err(fault)?;
        key_of(&self.open_wrapped(place, &cell).await?)
    }

    /// The key of the hashes in a site's audit entries: the oldest key of its blind indexes there was.
    async fn audit_key(&self, site: &str, oldest: &Key) -> Result<Key, SealError> {
        let sql = format!("SELECT cell FROM {}audit_key WHERE site = #", self.prefix);
        for _ in 0..2 {
            let rows = self.query(&sql, vec![Value::String(Some(site.to_owned()))]).await.map_err(fault)?;
            if let Some(row) = rows.first() {
                return self.site_cell(row, 0, &audit_place(site)).await;
            }
            let (root, place) = (self.root(), audit_place(site));
            let cell = cell::seal(
                self.provider(),
                self.random(),
                root.key.key(),
                root.version,
                &place,
                oldest.bytes(),
            )?;
            let values = vec![Value::String(Some(site.to_owned())), Value::Bytes(Some(cell))];
            self.insert_wrapped("audit_key (site, cell)", "(site)", values, root.version).await?;
        }
        Err(SealError::NoKey)
    }

    // ── The keys of residents ───────────────────────────────────────────────────────────────────────────────────

    /// The keys of these residents. One that has none (never made, or erased) is absent from the answer.
    pub(crate) async fn residents(
        &self,
        site: &str,
        site_keys: &SiteKeys,
        residents: &[String],
    ) -> Result<HashMap<String, ResidentKeys>, SealError> {
        let mut found = HashMap::with_capacity(residents.len());
        let mut missing = Vec::new();
        {
            let mut cache = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
            for resident in residents {
                match cache.get(&(site.to_owned(), resident.clone()), site_keys.version()) {
                    Some(keys) => drop(found.insert(resident.clone(), keys)),
                    None => missing.push(resident.clone()),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let mut loaded: HashMap<String, Vec<(u32, Key)>> = HashMap::new();
        for chunk in missing.chunks(256) {
            let padded = chunk.iter().chain(chunk.last().into_iter().cycle());
            let padded: Vec<_> = padded.take(chunk.len().next_power_of_two()).cloned().collect();
            let marks = vec!["#"; padded.len()].join(", ");
            let sql = format!(
                "SELECT resident, version, wrapped FROM {}resident_key WHERE site = # AND resident IN ({marks}) \
                 ORDER BY resident, version",
                self.prefix
            );
            let mut values = vec![Value::String(Some(site.to_owned()))];
            values.extend(padded.into_iter().map(|resident| Value::String(Some(resident))));
            for row in self.query(&sql, values).await.map_err(fault)? {
                let resident: String = row.try_get_by_index(0).map_err(fault)?;
                let version: i64 = row.try_get_by_index(1).map_err(fault)?;
                let cell: Vec<u8> = row.try_get_by_index(2).map_err(fault)?;
                let version = u32::try_from(version).map_err(|_| SealError::Format)?;
                // One of a version that is newer than the current one seals nothing that was committed.
                let Some(site_key) = site_keys.of(cell::key_version(&cell)?) else { continue };
                let place = resident_place(site, std::slice::from_ref(&resident), version);
                let plain = place.with(|place| cell::open(self.provider(), &site_key.wrap, place, &cell))?;
                loaded.entry(resident).or_default().push((version, key_of(&plain)?));
            }
        }
        let mut cache = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
        for (resident, keys) in loaded {
            let keys = ResidentKeys::new(keys);
            cache.put((site.to_owned(), resident.clone()), keys.clone());
            found.insert(resident, keys);
        }
        Ok(found)
    }

    /// Makes keys of the current version for residents that have none of it, in addition to those that they have; durable
    /// when it returns.
    pub(crate) async fn create(
        &self,
        site: &str,
        site_keys: &SiteKeys,
        residents: &[(String, Option<ResidentKeys>)],
    ) -> Result<(), SealError> {
        let version = site_keys.version();
        let (mut keys, mut made) = (Vec::new(), Vec::new());
        for (resident, older) in residents.iter().filter(|(id, _)| !self.caches(site, id, version)) {
            let key = Key::draw(self.random())?;
            let place = resident_place(site, std::slice::from_ref(resident), version);
            let bytes = place.with(|place| {
                let wrap = &site_keys.current().wrap;
                cell::seal(self.provider(), self.random(), wrap, version, place, key.bytes())
            })?;
            keys.push(Wrapped { site: site.to_owned(), resident: resident.clone(), version, bytes });
            let of_resident = match older {
                Some(older) => older.and(version, key),
                None => ResidentKeys::new(vec![(version, key)]),
            };
            made.push(((site.to_owned(), resident.clone()), of_resident));
        }
        if keys.is_empty() {
            return Ok(());
        }
        let (done, finished) = oneshot::channel();
        let gone = SealError::KeyStore(Fault::Unavailable);
        self.creations.send(Creation { keys, done }).await.map_err(|_| gone)?;
        // A resident may have a key already (a repeated command, another server): then what counts is what is stored.
        if finished.await.map_err(|_| gone)?.map_err(SealError::KeyStore)? {
            let mut cache = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
            made.into_iter().for_each(|(place, keys)| cache.put(place, keys));
        }
        Ok(())
    }

    fn caches(&self, site: &str, resident: &str, version: u32) -> bool {
        let mut cache = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(&(site.to_owned(), resident.to_owned()), version).is_some()
    }

    // ── Deleting keys ───────────────────────────────────────────────────────────────────────────────────────────

    /// Deletes every version of a site's keys below `version`, and those of its residents.
    pub(crate) async fn retire(&self, site: &str, version: u32) -> Result<(), SealError> {
        for table in ["resident_key", "site_key"] {
            let sql = format!("DELETE FROM {}{table} WHERE site = # AND version < #", self.prefix);
            let values = vec![Value::String(Some(site.to_owned())), Value::BigInt(Some(i64::from(version)))];
            self.execute(&sql, values).await.map_err(fault)?;
        }
        self.overwrite().await;
        self.residents.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.forget_site(site).await;
        Ok(())
    }

    /// Deletes every version of the keys of residents.
    pub(crate) async fn erase(&self, site: &str, residents: &[ResidentId]) -> Result<(), SealError> {
        for resident in residents {
            let sql = format!("DELETE FROM {}resident_key WHERE site = # AND resident = #", self.prefix);
            let values = [site, resident.as_str()].map(|text| Value::String(Some(text.to_owned())));
            self.execute(&sql, values.to_vec()).await.map_err(fault)?;
            let mut cache = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
            cache.forget(&(site.to_owned(), resident.as_str().to_owned()));
        }
        self.overwrite().await;
        Ok(())
    }

    /// On SQLite deleted keys are overwritten with zeros, but remain in the log until it is checkpointed.
    async fn overwrite(&self) {
        if self.connection.get_database_backend() != DbBackend::Sqlite {
            return;
        }
        if let Err(err) = self.connection.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await {
            tracing::warn!(fault = %Fault::of(&err), "deleted keys stay in the key store's log until its next checkpoint");
        }
    }

    // ── Statements ──────────────────────────────────────────────────────────────────────────────────────────────

    fn statement(&self, sql: &str, values: Vec<Value>) -> Statement {
        let backend = self.connection.get_database_backend();
        Statement::from_sql_and_values(backend, marked(backend, sql), values)
    }

    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<(), DbErr> {
        self.connection.execute_raw(self.statement(sql, values)).await.map(drop)
    }

    async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
        self.connection.query_all_raw(self.statement(sql, values)).await
    }
}

/// Makes the tables where they are missing.
pub(crate) async fn make_tables(connection: &DatabaseConnection, prefix: &str) -> Result<(), OpenError> {
    let (text, int, bytes) = match connection.get_database_backend() {
        DbBackend::Postgres => ("TEXT COLLATE \"C\"", "BIGINT", "BYTEA"),
        _ => ("TEXT", "INTEGER", "BLOB"), // a foreign enum; the other one the store opens is SQLite
    };
    for table in [
        format!("root_check (id {int} NOT NULL PRIMARY KEY, cell {bytes} NOT NULL)"),
        format!(
            "site_key (site {text} NOT NULL, version {int} NOT NULL, seal {bytes} NOT NULL, \
             find {bytes} NOT NULL, PRIMARY KEY (site, version))"
        ),
        format!("audit_key (site {text} NOT NULL PRIMARY KEY, cell {bytes} NOT NULL)"),
        format!(
            "resident_key (site {text} NOT NULL, resident {text} NOT NULL, version {int} NOT NULL, \
             wrapped {bytes} NOT NULL, PRIMARY KEY (site, resident, version))"
        ),
    ] {
        connection.execute_unprepared(&format!("CREATE TABLE IF NOT EXISTS {prefix}{table}")).await?;
    }
    Ok(())
}

/// Stores new keys, as many as wait by one statement.
async fn create(
    connection: DatabaseConnection,
    prefix: &'static str,
    mut receiver: mpsc::Receiver<Creation>,
) {
    let backend = connection.get_database_backend();
    let mut waiting = Vec::with_capacity(GROUP_MAX);
    while receiver.recv_many(&mut waiting, GROUP_MAX).await > 0 {
        let mut values = Vec::new();
        let mut tuples = Vec::new();
        for key in waiting.iter_mut().flat_map(|creation: &mut Creation| creation.keys.drain(..)) {
            tuples.push("(#, #, #, #)");
            values.push(Value::String(Some(key.site)));
            values.push(Value::String(Some(key.resident)));
            values.push(Value::BigInt(Some(i64::from(key.version))));
            values.push(Value::Bytes(Some(key.bytes)));
        }
        let (count, mut written, mut result) = (tuples.len(), 0, Ok(()));
        for (tuples, values) in tuples.chunks(1024).zip(values.chunks(4 * 1024)) {
            let sql = format!(
                "INSERT INTO {prefix}resident_key (site, resident, version, wrapped) VALUES {} \
                 ON CONFLICT (site, resident, version) DO NOTHING",
                tuples.join(", ")
            );
            let statement = Statement::from_sql_and_values(backend, marked(backend, &sql), values.to_vec());
            match connection.execute_raw(statement).await {
                Ok(done) => written += done.rows_affected(),
                Err(err) => result = Err(Fault::of(&err)),
            }
        }
        let result = result.map(|()| written == count as u64);
        for creation in waiting.drain(..) {
            let _ = creation.done.send(result); // a caller that went away does not need it
        }
    }
}

/// Replaces each `#` by the database's placeholder.
fn marked(backend: DbBackend, sql: &str) -> String {
    if backend != DbBackend::Postgres {
        return sql.replace('#', "?");
    }
    let mut out = String::with_capacity(sql.len() + 16);
    for (index, part) in sql.split('#').enumerate() {
        if index > 0 {
            out.push('$');
            out.push_str(&index.to_string());
        }
        out.push_str(part);
    }
    out
}

const ROOT_PLACE: Place<'static> =
    Place { site: "", table: "root_check", row: &[], column: "cell", version: 1 };

fn site_place<'a>(site: &'a str, column: &'a str, version: i64) -> Place<'a> {
    Place { site, table: "site_key", row: &[], column, version }
}

fn audit_place(site: &str) -> Place<'_> {
    Place { site, table: "audit_key", row: &[], column: "cell", version: 1 }
}

struct ResidentPlace<'a> {
    site: &'a str,
    resident: &'a [String],
    version: u32,
}

fn resident_place<'a>(site: &'a str, resident: &'a [String], version: u32) -> ResidentPlace<'a> {
    ResidentPlace { site, resident, version }
}

impl ResidentPlace<'_> {
    fn with<T>(&self, then: impl FnOnce(&Place<'_>) -> T) -> T {
        let row: Vec<&str> = self.resident.iter().map(String::as_str).collect();
        let version = i64::from(self.version);
        then(&Place { site: self.site, table: "resident_key", row: &row, column: "wrapped", version })
    }
}

fn key_of(plain: &Zeroizing<Vec<u8>>) -> Result<Key, SealError> {
    plain.as_slice().try_into().map(Key::new).map_err(|_| SealError::Format)
}

fn fault(err: DbErr) -> SealError {
    SealError::KeyStore(Fault::of(&err))
}
