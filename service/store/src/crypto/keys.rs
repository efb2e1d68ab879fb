//! The key store: site keys wrapped by the root key, resident keys wrapped by their site's key, in a database of
//! their own.
//!
//! A key is durable before the first value that it seals. Deleting a resident's key erases the person from every
//! copy of the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, Value};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::cell::{self, Place};
use super::{CryptoProvider, Key, Random, RootKey};
use crate::error::{Fault, OpenError, SealError};

/// Resident keys kept unwrapped in memory, per generation (two of them): 65,536 × about 150 bytes.
const CACHE_MAX: usize = 65_536;
/// New keys stored by one statement.
const GROUP_MAX: usize = 256;
/// New keys that wait.
const QUEUE_MAX: usize = 2048;
/// The only version there is until keys are rotated.
const FIRST_VERSION: u32 = 1;

/// The keys of a site.
pub(crate) struct SiteKeys {
    version: u32,
    seal: Key,
    wrap: Key,
    index: Key,
}

impl SiteKeys {
    /// The key of the site's blind indexes.
    pub(crate) fn index(&self) -> &Key {
        &self.index
    }

    /// Current version and key for values that belong to no resident.
    pub(crate) fn current(&self) -> (u32, &Key) {
        (self.version, &self.seal)
    }
}

/// The keys of a resident, oldest first.
#[derive(Clone)]
pub(crate) struct ResidentKeys(Arc<Vec<(u32, Key)>>);

impl ResidentKeys {
    /// Newest version and key.
    pub(crate) fn current(&self) -> Option<(u32, &Key)> {
        self.0.last().map(|(version, key)| (*version, key))
    }

    /// The key of a version.
    pub(crate) fn version(&self, version: u32) -> Option<&Key> {
        self.0.iter().find(|(v, _)| *v == version).map(|(_, key)| key)
    }
}

struct Wrapped {
    site: String,
    resident: String,
    bytes: Vec<u8>,
}

struct Creation {
    keys: Vec<Wrapped>,
    /// Whether every key that was waiting was new.
    done: oneshot::Sender<Result<bool, Fault>>,
}

#[derive(Default)]
struct Cache {
    young: HashMap<(String, String), ResidentKeys>,
    old: HashMap<(String, String), ResidentKeys>,
}

impl Cache {
    fn get(&mut self, place: &(String, String)) -> Option<ResidentKeys> {
        if let Some(keys) = self.young.get(place) {
            return Some(keys.clone());
        }
        let keys = self.old.remove(place)?;
        self.put(place.clone(), keys.clone());
        Some(keys)
    }

    fn put(&mut self, place: (String, String), keys: ResidentKeys) {
        if self.young.len() >= CACHE_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(place, keys);
    }
}

/// Gives out keys; see the module.
pub(crate) struct KeyStore {
    connection: DatabaseConnection,
    prefix: &'static str,
    provider: Arc<dyn CryptoProvider>,
    random: Arc<dyn Random>,
    root: RootKey,
    sites: tokio::sync::RwLock<HashMap<String, Arc<SiteKeys>>>,
    residents: Mutex<Cache>,
    creations: mpsc::Sender<Creation>,
}

impl KeyStore {
    /// Opens the key store and checks that the root key is the right one.
    pub(crate) async fn open(
        connection: DatabaseConnection,
        prefix: &'static str,
        provider: Arc<dyn CryptoProvider>,
        random: Arc<dyn Random>,
        root: RootKey,
    ) -> Result<Self, OpenError> {
        let (creations, receiver) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(create(connection.clone(), prefix, receiver));
        let store = Self {
            connection,
            prefix,
            provider,
            random,
            root,
            sites: tokio::sync::RwLock::default(),
            residents: Mutex::default(),
            creations,
        };
        store.check_root().await?;
        Ok(store)
    }

    pub(crate) fn provider(&self) -> &dyn CryptoProvider {
        &*self.provider
    }

    pub(crate) fn random(&self) -> &dyn Random {
        &*self.random
    }

    async fn check_root(&self) -> Result<(), OpenError> {
        let place = Place { site: "", table: "root_check", row: &[], column: "cell", version: 1 };
        let cell =
            cell::seal(self.provider(), self.random(), self.root.key(), FIRST_VERSION, &place, b"linli");
        let cell = cell.map_err(|_| OpenError::NoRandomness)?;
        let sql = format!(
            "INSERT INTO {}root_check (id, cell) VALUES (1, #) ON CONFLICT (id) DO NOTHING",
            self.prefix
        );
        self.execute(&sql, vec![Value::Bytes(Some(cell))]).await?;
        let rows =
            self.query(&format!("SELECT cell FROM {}root_check WHERE id = 1", self.prefix), vec![]).await?;
        let stored: Vec<u8> = rows.first().ok_or(Fault::Internal)?.try_get_by_index(0)?;
        let opened = cell::open(self.provider(), self.root.key(), &place, &stored);
        opened.map(drop).map_err(|_| OpenError::WrongRootKey)
    }

    /// The keys of a site, made at the first use.
    pub(crate) async fn site(&self, site: &str) -> Result<Arc<SiteKeys>, SealError> {
        if let Some(keys) = self.sites.read().await.get(site) {
            return Ok(Arc::clone(keys));
        }
        let mut sites = self.sites.write().await;
        if let Some(keys) = sites.get(site) {
            return Ok(Arc::clone(keys));
        }
        let keys = match self.load_site(site).await? {
            Some(keys) => keys,
            None => {
                self.make_site(site).await?;
                self.load_site(site).await?.ok_or(SealError::NoKey)?
            }
        };
        let keys = Arc::new(keys);
        sites.insert(site.to_owned(), Arc::clone(&keys));
        Ok(keys)
    }

    async fn make_site(&self, site: &str) -> Result<(), SealError> {
        let mut values =
            vec![Value::String(Some(site.to_owned())), Value::BigInt(Some(i64::from(FIRST_VERSION)))];
        for column in ["seal", "find"] {
            let key = Key::draw(self.random())?;
            let place = site_place(site, column);
            let root = self.root.key();
            let cell = cell::seal(self.provider(), self.random(), root, FIRST_VERSION, &place, key.bytes())?;
            values.push(Value::Bytes(Some(cell)));
        }
        let sql = format!(
            "INSERT INTO {}site_key (site, version, seal, find) VALUES (#, #, #, #) \
             ON CONFLICT (site, version) DO NOTHING",
            self.prefix
        );
        self.execute(&sql, values).await.map_err(|err| SealError::KeyStore(Fault::of(&err)))
    }

    async fn load_site(&self, site: &str) -> Result<Option<SiteKeys>, SealError> {
        let sql = format!("SELECT seal, find FROM {}site_key WHERE site = # AND version = 1", self.prefix);
        let fault = |err: DbErr| SealError::KeyStore(Fault::of(&err));
        let rows = self.query(&sql, vec![Value::String(Some(site.to_owned()))]).await.map_err(fault)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut keys = Vec::with_capacity(2);
        for (index, column) in ["seal", "find"].into_iter().enumerate() {
            let cell: Vec<u8> = row.try_get_by_index(index).map_err(fault)?;
            let plain = cell::open(self.provider(), self.root.key(), &site_place(site, column), &cell)?;
            keys.push(key_of(&plain)?);
        }
        let (Some(index), Some(seal)) = (keys.pop(), keys.pop()) else { return Ok(None) };
        let wrap = Key::new(self.provider.mac(&seal, &[b"linli.wrap.v1"]));
        Ok(Some(SiteKeys { version: FIRST_VERSION, seal, wrap, index }))
    }

    /// The keys of these residents. One that has none (never made, or erased) is absent from the answer.
    pub(crate) async fn residents(
        &self,
        site: &str,
        residents: &[String],
    ) -> Result<HashMap<String, ResidentKeys>, SealError> {
        let mut found = HashMap::with_capacity(residents.len());
        let mut missing = Vec::new();
        {
            let mut cache = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
            for resident in residents {
                match cache.get(&(site.to_owned(), resident.clone())) {
                    Some(keys) => drop(found.insert(resident.clone(), keys)),
                    None => missing.push(resident.clone()),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let site_keys = self.site(site).await?;
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
            let fault = |err: DbErr| SealError::KeyStore(Fault::of(&err));
            for row in self.query(&sql, values).await.map_err(fault)? {
                let resident: String = row.try_get_by_index(0).map_err(fault)?;
                let version: i64 = row.try_get_by_index(1).map_err(fault)?;
                let cell: Vec<u8> = row.try_get_by_index(2).map_err(fault)?;
                let version = u32::try_from(version).map_err(|_| SealError::Format)?;
                let place = resident_place(site, std::slice::from_ref(&resident), version);
                let plain = place.with(|place| cell::open(self.provider(), &site_keys.wrap, place, &cell))?;
                loaded.entry(resident).or_default().push((version, key_of(&plain)?));
            }
        }
        let mut cache = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
        for (resident, keys) in loaded {
            let keys = ResidentKeys(Arc::new(keys));
            cache.put((site.to_owned(), resident.clone()), keys.clone());
            found.insert(resident, keys);
        }
        Ok(found)
    }

    /// Makes keys for residents that have none; durable when it returns.
    pub(crate) async fn create(&self, site: &str, residents: &[String]) -> Result<(), SealError> {
        let site_keys = self.site(site).await?;
        let (mut keys, mut made) = (Vec::new(), Vec::new());
        for resident in residents.iter().filter(|resident| !self.caches(site, resident)) {
            let key = Key::draw(self.random())?;
            let place = resident_place(site, std::slice::from_ref(resident), FIRST_VERSION);
            let bytes = place.with(|place| {
                let wrap = &site_keys.wrap;
                cell::seal(self.provider(), self.random(), wrap, site_keys.version, place, key.bytes())
            })?;
            keys.push(Wrapped { site: site.to_owned(), resident: resident.clone(), bytes });
            made.push((
                (site.to_owned(), resident.clone()),
                ResidentKeys(Arc::new(vec![(FIRST_VERSION, key)])),
            ));
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

    fn caches(&self, site: &str, resident: &str) -> bool {
        let mut cache = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(&(site.to_owned(), resident.to_owned())).is_some()
    }

    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<(), DbErr> {
        let backend = self.connection.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, marked(backend, sql), values);
        self.connection.execute_raw(statement).await.map(drop)
    }

    async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
        let backend = self.connection.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, marked(backend, sql), values);
        self.connection.query_all_raw(statement).await
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
            tuples.push("(#, #, 1, #)");
            values.push(Value::String(Some(key.site)));
            values.push(Value::String(Some(key.resident)));
            values.push(Value::Bytes(Some(key.bytes)));
        }
        let (count, mut written, mut result) = (tuples.len(), 0, Ok(()));
        for (tuples, values) in tuples.chunks(1024).zip(values.chunks(3 * 1024)) {
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

fn site_place<'a>(site: &'a str, column: &'a str) -> Place<'a> {
    Place { site, table: "site_key", row: &[], column, version: i64::from(FIRST_VERSION) }
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
