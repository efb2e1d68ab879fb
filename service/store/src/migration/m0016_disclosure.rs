//! The ledger of what went out. It is never changed, whatever program writes, and stays when a file is erased.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, guard};

#[derive(DeriveMigrationName)]
pub(crate) struct Disclosure;

#[async_trait::async_trait]
impl MigrationTrait for Disclosure {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await?;
        guard(manager, SQLITE, POSTGRES).await
    }
}

const SCHEMA: &str = r"
CREATE TABLE disclosure (
    site $text NOT NULL,
    resident $text NOT NULL,
    id $text NOT NULL,
    body $text NOT NULL,
    recipient $text NOT NULL,
    purpose $text NOT NULL,
    basis $text NOT NULL,
    classes $text NOT NULL,
    consents $text NOT NULL,
    agreement $text,
    disclosed_at $int NOT NULL,
    disclosed_by $text NOT NULL,
    recorded_at $int NOT NULL,
    CHECK ((basis = 'consent') = (consents <> '')),
    PRIMARY KEY (site, resident, id)
) $clustered;
";

const SQLITE: &[&str] = &[
    "CREATE TRIGGER disclosure_update BEFORE UPDATE ON disclosure \
     BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER disclosure_delete BEFORE DELETE ON disclosure \
     BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
];

/// The function came with the fund's ledger.
const POSTGRES: &[&str] =
    &["CREATE TRIGGER disclosure_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON disclosure \
     FOR EACH STATEMENT EXECUTE FUNCTION linli_ledger_append_only()"];
