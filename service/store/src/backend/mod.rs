//! Where the two databases differ: how they are opened and checked. Everything above speaks to both alike.

pub(crate) mod postgres;
pub(crate) mod reader;
pub(crate) mod sqlite;

use std::fs::File;

use sea_orm::{DatabaseConnection, DbBackend};
use sea_orm_migration::MigratorTrait;

use crate::error::{Fault, OpenError};
use crate::migration::Migrator;

/// An open database.
pub(crate) struct Backend {
    /// Connections that write, one per writer.
    pub(crate) writers: Vec<DatabaseConnection>,
    /// The pool that reads.
    pub(crate) reader: DatabaseConnection,
    /// The database of the keys.
    pub(crate) keys: DatabaseConnection,
    /// Prefix of the key store's tables: a schema on PostgreSQL.
    pub(crate) keys_prefix: &'static str,
    /// Held while this process serves the file; none on PostgreSQL.
    pub(crate) _lock: Option<File>,
}

impl Backend {
    /// Which of the two it is.
    pub(crate) fn kind(&self) -> DbBackend {
        self.reader.get_database_backend()
    }

    /// Closes every connection and then lets go of the file. A connection that is merely dropped closes in its own
    /// time, and on SQLite the last one holds the file alone while it does: whoever opens it again then is refused.
    pub(crate) async fn close(&self) {
        for connection in self.writers.iter().chain([&self.reader, &self.keys]) {
            if let Err(err) = connection.clone().close().await {
                tracing::warn!(fault = %Fault::of(&err), "a connection did not close");
            }
        }
    }
}

/// Compares the database's migrations with this binary's.
pub(crate) async fn check_schema(connection: &DatabaseConnection) -> Result<(), OpenError> {
    let expected = Migrator::migrations().len();
    // A database with migrations that this binary lacks makes this call fail: it was migrated by a newer one.
    let pending = Migrator::get_pending_migrations_read_only(connection).await.map_err(|err| match err {
        sea_orm::DbErr::Custom(_) => OpenError::SchemaNew,
        other => other.into(),
    })?;
    if pending.is_empty() {
        Ok(())
    } else {
        Err(OpenError::SchemaOld { found: expected - pending.len(), expected })
    }
}
