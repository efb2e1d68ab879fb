//! The audit chains as they lie in the database, for who verifies them: nothing is decoded, nothing is trusted.
//!
//! A server has one over its own connections; a verifier opens one on a file or a database without any key.

use std::collections::BTreeMap;
use std::path::Path;

use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, Statement, Value,
};

use crate::audit::{AUDIT_PAGE_MAX, ChainHead, GENESIS};
use crate::error::{Fault, OpenError, StoreError};
use crate::table::{audit_entry, site_head};

/// An entry as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEntry {
    /// The number that its row bears.
    pub seq: i64,
    /// The hash that its row bears.
    pub hash: Vec<u8>,
    /// Its canonical bytes.
    pub body: Vec<u8>,
}

/// The audit chains of a database.
#[derive(Debug, Clone)]
pub struct Ledger {
    reader: DatabaseConnection,
    writer: Option<DatabaseConnection>,
}

impl Ledger {
    pub(crate) fn of(reader: DatabaseConnection, writer: Option<DatabaseConnection>) -> Self {
        Self { reader, writer }
    }

    /// Opens a SQLite file to read it; a server may have it open.
    ///
    /// # Errors
    /// [`OpenError`] where there is no such file, or it is no database.
    pub async fn sqlite(path: &Path) -> Result<Self, OpenError> {
        std::fs::metadata(path)
            .map_err(|source| OpenError::File { path: path.display().to_string(), source })?;
        let path = path.to_owned();
        let mut options = ConnectOptions::new("sqlite::memory:");
        options.max_connections(1).sqlx_logging(false).record_stmt_in_spans(false).map_sqlx_sqlite_opts(
            move |sqlite| {
                sqlite
                    .filename(&path)
                    .in_memory(false)
                    .shared_cache(false)
                    .create_if_missing(false)
                    .pragma("trusted_schema", "OFF")
                    .pragma("query_only", "ON")
            },
        );
        Ok(Self { reader: Database::connect(options).await?, writer: None })
    }

    /// Opens a PostgreSQL database to read it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn postgres(url: &str) -> Result<Self, OpenError> {
        Ok(Self { reader: crate::backend::postgres::connect(url, 1).await?, writer: None })
    }

    /// Where every chain ends, as its site's head says.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heads(&self) -> Result<BTreeMap<String, ChainHead>, StoreError> {
        let rows = site_head::Entity::find().all(&self.reader).await?;
        let head = |row: site_head::Model| {
            // A hash of another length is nobody's; no entry's hash will be equal to it.
            let hash = row.audit_hash.as_slice().try_into().unwrap_or(GENESIS);
            (row.site, ChainHead { seq: row.audit_seq, hash })
        };
        Ok(rows.into_iter().filter(|row| row.audit_seq > 0).map(head).collect())
    }

    /// Every site that has an entry, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sites(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT site FROM audit_entry";
        let rows = self.reader.query_all_raw(Statement::from_string(self.backend(), sql)).await?;
        let mut sites: Vec<String> =
            rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
        sites.sort_unstable();
        Ok(sites)
    }

    /// Up to `limit` entries of a site after number `after`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entries(&self, site: &str, after: i64, limit: u64) -> Result<Vec<RawEntry>, StoreError> {
        let rows = audit_entry::Entity::find()
            .filter(audit_entry::Column::Site.eq(site))
            .filter(audit_entry::Column::Seq.gt(after))
            .order_by_asc(audit_entry::Column::Seq)
            .limit(limit.clamp(1, AUDIT_PAGE_MAX))
            .all(&self.reader)
            .await?;
        let entry = |row: audit_entry::Model| RawEntry { seq: row.seq, hash: row.hash, body: row.body };
        Ok(rows.into_iter().map(entry).collect())
    }

    /// Number and hash of the newest anchor that was made with a key, as the database remembers it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn anchored(&self, public_key: &str) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
        let sql = match self.backend() {
            DbBackend::Postgres => "SELECT number, hash FROM audit_anchor WHERE public_key = $1",
            _ => "SELECT number, hash FROM audit_anchor WHERE public_key = ?",
        };
        let statement = Statement::from_sql_and_values(self.backend(), sql, [Value::from(public_key)]);
        match self.reader.query_one_raw(statement).await? {
            None => Ok(None),
            Some(row) => Ok(Some((row.try_get_by_index(0)?, row.try_get_by_index(1)?))),
        }
    }

    /// Remembers the newest anchor that was made with a key.
    ///
    /// # Errors
    /// [`StoreError`], also of a ledger that only reads.
    pub async fn remember_anchor(
        &self,
        public_key: &str,
        number: i64,
        hash: &[u8; 32],
    ) -> Result<(), StoreError> {
        let sql = match self.backend() {
            DbBackend::Postgres => {
                "INSERT INTO audit_anchor (public_key, number, hash) VALUES ($1, $2, $3) \
                 ON CONFLICT (public_key) DO UPDATE SET number = excluded.number, hash = excluded.hash"
            }
            _ => {
                "INSERT INTO audit_anchor (public_key, number, hash) VALUES (?, ?, ?) \
                 ON CONFLICT (public_key) DO UPDATE SET number = excluded.number, hash = excluded.hash"
            }
        };
        let values = [Value::from(public_key), Value::from(number), Value::from(hash.to_vec())];
        let writer = self.writer.as_ref().ok_or(StoreError::Database(Fault::Internal))?;
        writer.execute_raw(Statement::from_sql_and_values(self.backend(), sql, values)).await?;
        Ok(())
    }

    /// Closes what it was opened for.
    pub async fn close(self) {
        if let Err(err) = self.reader.close().await {
            tracing::warn!(fault = %Fault::of(&err), "a connection did not close");
        }
    }

    fn backend(&self) -> DbBackend {
        self.reader.get_database_backend()
    }
}
