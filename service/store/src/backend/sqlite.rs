//! SQLite: one file, one writer connection, a pool of readers, one server.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use sea_orm_migration::MigratorTrait;

use super::{Backend, check_schema};
use crate::crypto::keys::make_tables;
use crate::error::{Fault, OpenError};
use crate::migration::Migrator;

/// The oldest SQLite without the WAL-reset bug, which could lose commits with two connections.
const OLDEST: (u32, u32, u32) = (3, 51, 3);
/// How long a statement waits for a lock. Only a start, a recovery or a checkpoint can hold one, for there is one writer; on a disk
/// that others keep busy each may take seconds, and waiting is better than not starting.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a start waits for the lock of a server that has just ended: a process that it was starting holds a copy until it has become
/// the other program.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// How often it looks meanwhile.
const LOCK_AGAIN: Duration = Duration::from_millis(20);
/// How long a call waits for a connection, which may first have to be made.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(40);
/// Statements kept prepared per connection: tables times row counts, with room.
const STATEMENT_CACHE: usize = 600;

/// Rows that a connection may hand over before they are taken: a page of a list and a group of files fit, so that its
/// thread need not wait for the reader in between.
const ROWS_AHEAD: usize = 2048;

/// Opens (and makes, where it does not exist) the database at `path`, with its keys in `path` + `.keys`.
pub(crate) async fn open(path: &Path, readers: u32, migrate: bool) -> Result<Backend, OpenError> {
    let lock = lock(path).await?;
    // The writer first: it makes the file what it is.
    let writer = connect(path, 1, false).await?;
    let reader = connect(path, readers, true).await?;
    let keys = connect(&beside(path, ".keys"), 2, false).await?;
    let backend = Backend { writers: vec![writer.clone()], reader, keys, keys_prefix: "", _lock: Some(lock) };
    match prepare(&writer, &backend.keys, migrate).await {
        Ok(()) => Ok(backend),
        Err(err) => {
            backend.close().await;
            Err(err)
        }
    }
}

/// Checks the library and the schema, after migrating where asked: the lock file is the migration lock.
async fn prepare(
    writer: &DatabaseConnection,
    keys: &DatabaseConnection,
    migrate: bool,
) -> Result<(), OpenError> {
    check_library(writer).await?;
    if migrate {
        Migrator::up(writer, None).await?;
    }
    check_schema(writer).await?;
    make_tables(keys, "").await
}

/// Refuses a second server on the same file.
async fn lock(path: &Path) -> Result<File, OpenError> {
    let path = beside(path, ".lock");
    let text = path.display().to_string();
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(|source| OpenError::File { path: text.clone(), source })?;
    let locked = async {
        loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_AGAIN).await,
                locked => break locked,
            }
        }
    };
    match tokio::time::timeout(LOCK_TIMEOUT, locked).await {
        Ok(Ok(())) => Ok(file),
        Ok(Err(TryLockError::WouldBlock)) | Err(_) => Err(OpenError::InUse { path: text }),
        Ok(Err(TryLockError::Error(source))) => Err(OpenError::File { path: text, source }),
    }
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A connection to the database of another one that may copy it.
pub(crate) async fn to_copy(connection: &DatabaseConnection) -> Result<DatabaseConnection, Fault> {
    let sql = "SELECT file FROM pragma_database_list WHERE name = 'main'";
    let found = query(connection, sql).await.map_err(|_| Fault::Internal)?;
    let path = found.first().ok_or(Fault::Internal)?;
    connect(Path::new(path), 1, false).await.map_err(|err| match err {
        OpenError::Database(fault) => fault,
        _ => Fault::Unavailable, // the file could not be opened once more
    })
}

async fn connect(path: &Path, connections: u32, read_only: bool) -> Result<DatabaseConnection, OpenError> {
    // SQLite would make the file readable by all; whoever makes it first decides.
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    made.map_err(|source| OpenError::File { path: path.display().to_string(), source })?;
    let path = path.to_owned();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(connections)
        // None but those that are asked for: the pool would see to a minimum in a task of its own while it is connected, and two
        // that make one new file at once are in each other's way, whatever the timeout.
        .min_connections(0)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&path)
                .in_memory(false)
                .shared_cache(false)
                .busy_timeout(BUSY_TIMEOUT)
                .statement_cache_capacity(STATEMENT_CACHE)
                .row_buffer_size(ROWS_AHEAD)
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "FULL") // fixed: NORMAL loses acknowledged commits at a power cut
                .pragma("foreign_keys", "ON")
                .pragma("secure_delete", "ON")
                .pragma("trusted_schema", "OFF")
                .pragma("cell_size_check", "ON")
                .pragma("journal_size_limit", "67108864")
                // 32 MiB of log between checkpoints: commits over many sites touch many pages, and the same ones again.
                .pragma("wal_autocheckpoint", "8192")
                .pragma("temp_store", "MEMORY")
                .pragma("cache_size", if read_only { "-8192" } else { "-32768" })
                .pragma("query_only", if read_only { "ON" } else { "OFF" })
        });
    Ok(Database::connect(options).await?)
}

async fn check_library(connection: &DatabaseConnection) -> Result<(), OpenError> {
    let rows = query(connection, "SELECT sqlite_version()").await?;
    let found = rows.first().cloned().unwrap_or_default();
    let mut parts = found.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let mut part = || parts.next().unwrap_or_default();
    if (part(), part(), part()) < OLDEST {
        return Err(OpenError::SqliteVersion { found });
    }
    if !query(connection, "PRAGMA compile_options").await?.iter().any(|option| option == "ENABLE_QPSG") {
        return Err(OpenError::SqliteBuild);
    }
    Ok(())
}

async fn query(connection: &DatabaseConnection, sql: &str) -> Result<Vec<String>, OpenError> {
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    rows.iter().map(|row| row.try_get_by_index(0).map_err(|_| Fault::Internal.into())).collect()
}
