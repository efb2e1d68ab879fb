//! A connection that one task reads by.
//!
//! The pool asks a connection whether it is alive each time it comes back, which on SQLite costs as much as a read. A task
//! that reads all the time keeps its connection instead.

use std::sync::Arc;

use sea_orm::sqlx::{self, Connection as _, SqliteConnection};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, RuntimeErr, Statement, Value,
};
use tokio::sync::Mutex;

/// A connection that is kept (SQLite), or one of the pool for each statement (PostgreSQL). Clones share it.
#[derive(Clone)]
pub(crate) struct Reader {
    pool: DatabaseConnection,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    connection: Option<SqliteConnection>,
    /// None is kept from now on.
    closed: bool,
}

impl Reader {
    /// A reader that takes its connection from this pool at the first statement.
    pub(crate) fn new(pool: DatabaseConnection) -> Self {
        Self { pool, kept: Arc::default() }
    }

    /// Which database it is.
    pub(crate) fn kind(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    /// The rows of a statement; on SQLite of several, separated by semicolons, their values one after the other.
    pub(crate) async fn query(&self, text: String, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
        let backend = self.kind();
        if backend != DbBackend::Sqlite {
            let statement = Statement::from_sql_and_values(backend, text, values);
            return self.pool.query_all_raw(statement).await;
        }
        let mut kept = self.kept.lock().await;
        let mut connection = match kept.connection.take() {
            Some(connection) => connection,
            None => self.pool.get_sqlite_connection_pool().acquire().await.map_err(failure)?.detach(),
        };
        let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
        for value in values {
            query = match value {
                Value::String(text) => query.bind(text),
                Value::BigInt(number) => query.bind(number),
                Value::Bytes(bytes) => query.bind(bytes),
                other => return Err(DbErr::Type(format!("a reader binds no {:?}", other.as_null()))),
            };
        }
        let rows = query.fetch_all(&mut connection).await.map_err(failure)?;
        // One that failed, or was given up in the middle of its statement, is not kept.
        if !kept.closed {
            kept.connection = Some(connection);
        }
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }

    /// Closes the connection and keeps none from now on.
    pub(crate) async fn close(&self) -> Result<(), DbErr> {
        let mut kept = self.kept.lock().await;
        kept.closed = true;
        match kept.connection.take() {
            Some(connection) => connection.close().await.map_err(failure),
            None => Ok(()),
        }
    }
}

fn failure(err: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(err.into()))
}
