//! What can go wrong in the store: closed lists, so that no database text (which may quote values) gets out.
//!
//! A database error is mapped once, by [`Fault::of`]; its text is dropped there.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// What a failing database said, reduced to what a caller can act on. Never carries the database's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The database cannot be reached, or the connection broke.
    #[error("the database is not reachable")]
    Unavailable,
    /// A lock or a statement took too long, or the transaction lost against another; trying again helps.
    #[error("the database is busy")]
    Busy,
    /// A row with this key exists.
    #[error("a row with this key exists")]
    Duplicate,
    /// A value was refused by a constraint of the schema: a defect of this program.
    #[error("a constraint of the schema refused a row")]
    Constraint,
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// The disk failed, or the database file is damaged.
    #[error("the disk failed or the database is damaged")]
    Disk,
    /// Anything else: a defect of this program or an unexpected schema.
    #[error("the database refused a statement")]
    Internal,
}

impl Fault {
    /// Reduces a database error to a fault; its text is dropped.
    pub(crate) fn of(err: &DbErr) -> Self {
        match err.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => return Self::Duplicate,
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => return Self::Constraint,
            Some(_) | None => {}
        }
        match err {
            DbErr::Conn(RuntimeErr::SqlxError(err))
            | DbErr::Exec(RuntimeErr::SqlxError(err))
            | DbErr::Query(RuntimeErr::SqlxError(err)) => match err.as_database_error() {
                Some(database) => Self::of_code(database.code().as_deref().unwrap_or_default()),
                None => Self::Unavailable,
            },
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Unavailable,
            _ => Self::Internal, // a foreign, non-exhaustive enum
        }
    }

    /// By SQLSTATE (five characters) or SQLite's (extended) result code.
    fn of_code(code: &str) -> Self {
        if code.len() == 5 {
            return match code {
                "40001" | "40P01" | "55P03" | "57014" => Self::Busy,
                "57P01" | "57P02" | "57P03" | "53300" => Self::Unavailable,
                "53100" => Self::Full,
                "XX001" | "XX002" | "58030" => Self::Disk,
                _ if code.starts_with("08") => Self::Unavailable,
                _ if code.starts_with("23") => Self::Constraint,
                _ => Self::Internal,
            };
        }
        match code.parse::<u32>().unwrap_or_default() & 0xff {
            5 | 6 => Self::Busy,
            10 | 11 | 26 => Self::Disk,
            13 => Self::Full,
            14 => Self::Unavailable,
            19 => Self::Constraint,
            _ => Self::Internal,
        }
    }
}

/// Why a read failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Fault),
    /// A stored row does not convert to a domain value: the database was changed by other hands, or by a newer version.
    #[error("a row of `{table}` does not hold a valid value")]
    Row {
        /// The table.
        table: &'static str,
    },
    /// A sealed value could not be opened.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl From<DbErr> for StoreError {
    fn from(err: DbErr) -> Self {
        Self::Database(Fault::of(&err))
    }
}

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes are not a cell of a known format and suite.
    #[error("not a sealed cell of a known format")]
    Format,
    /// The tag does not fit: the cell was changed, moved to another place, or another key sealed it.
    #[error("a sealed cell does not open")]
    Tag,
    /// The key is not in the key store: it was erased, or the key store is older than the database.
    #[error("the key of a sealed cell is not in the key store")]
    NoKey,
    /// The receipt does not cover what it was to open.
    #[error("the receipt does not cover this value")]
    NotCovered,
    /// The operating system gave no randomness.
    #[error("no randomness")]
    NoRandomness,
    /// The key store's database failed.
    #[error("the key store failed: {0}")]
    KeyStore(Fault),
}

/// Why a change set was not committed. Nothing of it is stored, except where it says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Rights, consent or protection changed since the decision: decide again.
    #[error("rights changed since the decision")]
    EpochChanged {
        /// The site's epoch now.
        current: i64,
    },
    /// Other keys seal by now: it is to be sealed again. [`crate::Store::commit`] does so by itself.
    #[error("other keys seal by now")]
    KeysChanged {
        /// The version of the scope's keys now.
        current: i64,
    },
    /// What was to be created exists.
    #[error("`{what}` exists")]
    Exists {
        /// What kind of thing.
        what: &'static str,
    },
    /// What was to be changed does not exist.
    #[error("`{what}` does not exist")]
    Missing {
        /// What kind of thing.
        what: &'static str,
    },
    /// What was to be changed has been changed by somebody else.
    #[error("`{what}` has changed")]
    Stale {
        /// What kind of thing.
        what: &'static str,
        /// Its version now.
        current: i64,
    },
    /// The request id was used by this principal and method for a different request.
    #[error("the request id was used for a different request")]
    RequestIdReused,
    /// Too many change sets wait. Nothing was done.
    #[error("too many writes are waiting")]
    Overloaded,
    /// The database failed. Nothing of the change set is stored.
    #[error(transparent)]
    Database(#[from] Fault),
    /// The connection broke during COMMIT: whether it is stored is not known. Repeat with the same request id.
    #[error("the outcome of the commit is not known")]
    Unknown,
    /// A value could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store has stopped, or stopped writing after a disk failure.
    #[error("the store has stopped writing")]
    Stopped,
}

/// Why a store could not be opened. Read by operators: names files and settings, never secrets.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process serves this file.
    #[error("`{path}` is in use by another server")]
    InUse {
        /// The lock file.
        path: String,
    },
    /// A file could not be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The SQLite library is too old to be trusted with two connections in WAL mode.
    #[error("SQLite {found} is too old: 3.51.3 or newer is required")]
    SqliteVersion {
        /// The version found.
        found: String,
    },
    /// The SQLite library was built without `SQLITE_ENABLE_QPSG`.
    #[error(
        "SQLite was built without ENABLE_QPSG: set LIBSQLITE3_FLAGS=-DSQLITE_ENABLE_QPSG and build again"
    )]
    SqliteBuild,
    /// The PostgreSQL server is too old.
    #[error("PostgreSQL {found} is too old: 15 or newer is required")]
    PostgresVersion {
        /// The version found.
        found: String,
    },
    /// The database lacks migrations of this binary.
    #[error("the database is at schema {found} of {expected}: run `linli migrate`")]
    SchemaOld {
        /// Migrations applied.
        found: usize,
        /// Migrations this binary expects.
        expected: usize,
    },
    /// The database was migrated by a newer binary.
    #[error("the database was migrated by a newer version of linli")]
    SchemaNew,
    /// The root key file can be read by others.
    #[error("`{path}` must be readable by its owner only (mode 0600)")]
    KeyFileMode {
        /// The file.
        path: String,
    },
    /// The root key is not 64 hexadecimal digits.
    #[error("the root key must be 64 hexadecimal digits")]
    KeyFormat,
    /// The root key is not the one that the key store was made with.
    #[error("the root key does not open the key store")]
    WrongRootKey,
    /// A setting has no meaning.
    #[error("the database setting `{setting}` is not usable")]
    Setting {
        /// The setting's name.
        setting: &'static str,
    },
    /// The operating system gave no randomness.
    #[error("no randomness")]
    NoRandomness,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Fault),
}

impl From<DbErr> for OpenError {
    fn from(err: DbErr) -> Self {
        Self::Database(Fault::of(&err))
    }
}
