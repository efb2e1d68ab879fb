//! The audit chain is append-only in the database too, and remembers how far it was anchored.
//!
//! The triggers stop mistakes and whoever may write rows but not change the schema; who may do that is found out by the
//! anchors, which lie outside the database.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, guard};

#[derive(DeriveMigrationName)]
pub(crate) struct Audit;

#[async_trait::async_trait]
impl MigrationTrait for Audit {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, ANCHOR).await?;
        guard(manager, SQLITE, POSTGRES).await
    }
}

const ANCHOR: &str = r"
CREATE TABLE audit_anchor (
    public_key $text NOT NULL PRIMARY KEY,
    number $int NOT NULL CHECK (number >= 1),
    hash $bytes NOT NULL
) $clustered";

const SQLITE: &[&str] = &[
    "CREATE TRIGGER audit_entry_update BEFORE UPDATE ON audit_entry \
     BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END",
    "CREATE TRIGGER audit_entry_delete BEFORE DELETE ON audit_entry \
     BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END",
];

const POSTGRES: &[&str] = &[
    "CREATE FUNCTION linli_append_only() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN RAISE EXCEPTION ''audit entries are append-only''; END'",
    "CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry \
     FOR EACH STATEMENT EXECUTE FUNCTION linli_append_only()",
];
