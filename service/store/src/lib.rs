//! Persistence of Linli on SQLite and PostgreSQL.
