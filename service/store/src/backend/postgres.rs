//! PostgreSQL 15 or newer: several servers may share it; site heads are locked row by row.

use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use sea_orm_migration::MigratorTrait;
use secrecy::{ExposeSecret, SecretString};

use super::{Backend, check_schema};
use crate::crypto::keys::make_tables;
use crate::error::{Fault, OpenError};
use crate::migration::Migrator;

/// The oldest server that is tested.
const OLDEST: i64 = 150_000;
/// Identifies the migration lock among a database's advisory locks.
const MIGRATION_LOCK: i64 = 0x6c69_6e6c_6900;
/// The schema of the key store.
const KEYS_PREFIX: &str = "linli_keys.";
/// Writers of one server. Each has a connection; a site always goes to the same one.
const WRITERS: usize = 2;
/// Statements kept prepared per connection: tables times row counts, with room.
const STATEMENT_CACHE: usize = 600;
/// How long a serving connection waits: for a statement, for a lock (the loser tries again), for the next statement of a
/// transaction that its server has forgotten.
const SERVING: [(&str, &str); 3] =
    [("statement_timeout", "10s"), ("lock_timeout", "1s"), ("idle_in_transaction_session_timeout", "15s")];
/// A migration, and whoever waits for another server's, takes its time.
const MIGRATING: [(&str, &str); 3] =
    [("statement_timeout", "0"), ("lock_timeout", "0"), ("idle_in_transaction_session_timeout", "0")];
/// A connection that lay idle longer is asked for a sign of life before it is used: busy ones never pay for it, and a
/// restart of the server is noticed within this time.
const PING_AFTER: Duration = Duration::from_secs(1);

/// Opens the database at `url`; the keys live at `keys_url`, or in the schema `linli_keys` of the same database.
pub(crate) async fn open(
    url: &str,
    keys_url: Option<&str>,
    readers: u32,
    migrate: bool,
) -> Result<Backend, OpenError> {
    let keys_url = keys_url.unwrap_or(url);
    if migrate {
        migrate_locked(url, keys_url).await?;
    }
    let reader = connect(url, readers).await?;
    check_server(&reader).await?;
    check_schema(&reader).await?;
    let mut writers = Vec::with_capacity(WRITERS);
    for _ in 0..WRITERS {
        writers.push(connect(url, 1).await?);
    }
    let keys = connect(keys_url, 2).await?;
    Ok(Backend { writers, reader, keys, keys_prefix: KEYS_PREFIX, _lock: None })
}

/// Migrates, and makes the key store's tables, under an advisory lock: on one connection, because the lock belongs
/// to it.
async fn migrate_locked(url: &str, keys_url: &str) -> Result<(), OpenError> {
    let connection = connect_with(url, 1, &MIGRATING).await?;
    connection.execute_unprepared(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})")).await?;
    let migrated = match Migrator::up(&connection, None).await {
        Ok(()) => make_key_store(keys_url).await,
        Err(err) => Err(err.into()),
    };
    connection.execute_unprepared(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})")).await?;
    connection.close().await?;
    migrated
}

async fn make_key_store(url: &str) -> Result<(), OpenError> {
    let connection = connect_with(url, 1, &MIGRATING).await?;
    connection.execute_unprepared("CREATE SCHEMA IF NOT EXISTS linli_keys").await?;
    make_tables(&connection, KEYS_PREFIX).await?;
    Ok(connection.close().await?)
}

pub(crate) async fn connect(url: &str, connections: u32) -> Result<DatabaseConnection, OpenError> {
    connect_with(url, connections, &SERVING).await
}

async fn connect_with(
    url: &str,
    connections: u32,
    patience: &'static [(&'static str, &'static str); 3],
) -> Result<DatabaseConnection, OpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(OpenError::Setting { setting: "url" });
    }
    // Options are printed by a library's trace; the password goes another way.
    let (url, password) = split_password(url).ok_or(OpenError::Setting { setting: "url" })?;
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire_if_idle_for(PING_AFTER)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_postgres_opts(move |postgres| {
            let postgres = match &password {
                Some(password) => postgres.password(password.expose_secret()),
                None => postgres,
            };
            let always =
                [("default_transaction_isolation", "read committed"), ("client_min_messages", "warning")];
            let options = patience.iter().copied().chain(always);
            postgres.statement_cache_capacity(STATEMENT_CACHE).application_name("linli").options(options)
        });
    Ok(Database::connect(options).await?)
}

/// The URL without its password, and the password; `None` where the URL is not of the form `scheme://authority…`.
fn split_password(url: &str) -> Option<(String, Option<SecretString>)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let Some((user, host)) = authority.rsplit_once('@') else { return Some((url.to_owned(), None)) };
    let Some((user, password)) = user.split_once(':') else { return Some((url.to_owned(), None)) };
    let password = percent_decoded(password)?;
    Some((format!("{scheme}://{user}@{host}{tail}"), Some(SecretString::from(password))))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

async fn check_server(connection: &DatabaseConnection) -> Result<(), OpenError> {
    let sql = "SELECT current_setting('server_version_num')::bigint, current_setting('server_version')";
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    let row = row.ok_or(Fault::Internal)?;
    let number: i64 = row.try_get_by_index(0)?;
    if number < OLDEST {
        return Err(OpenError::PostgresVersion { found: row.try_get_by_index(1)? });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_leave_the_url() {
        let check = |url: &str, expect: Option<(&str, Option<&str>)>| {
            let found = split_password(url);
            let found =
                found.as_ref().map(|(url, p)| (url.as_str(), p.as_ref().map(ExposeSecret::expose_secret)));
            assert_eq!(found, expect, "{url}");
        };
        check("postgres://u:p%40%2f@h:1/d?x=y", Some(("postgres://u@h:1/d?x=y", Some("p@/"))));
        check("postgres://u:a@b@h/d", Some(("postgres://u@h/d", Some("a@b"))));
        check("postgres://u@h/d?password=x:y@z", Some(("postgres://u@h/d?password=x:y@z", None)));
        check("postgres://h", Some(("postgres://h", None)));
        check("postgres://u:%zz@h", None);
        check("nonsense", None);
    }
}
