//! The end of a file: legal hold, and the ledger of erasures.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, plan_with};

#[derive(DeriveMigrationName)]
pub(crate) struct End;

#[async_trait::async_trait]
impl MigrationTrait for End {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await?;
        plan_with(manager, FIGURES).await
    }
}

/// What SQLite's planner is to expect of the second index: few files of a site have ended.
const FIGURES: &[(&str, &str, &str)] = &[("resident", "resident_ending", "20000 20 1")];

const SCHEMA: &str = r"
ALTER TABLE resident ADD COLUMN held $int NOT NULL DEFAULT 0 CHECK (held IN (0, 1));
CREATE INDEX resident_ending ON resident (site, id) WHERE state IN ('left', 'sealed') AND held = 0;

CREATE TABLE erasure (
    site $text NOT NULL,
    resident $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    staff $text NOT NULL,
    cause $text NOT NULL CHECK (cause IN ('request', 'retention')),
    erased_at $int NOT NULL,
    key_deleted_at $int,
    finished_at $int,
    PRIMARY KEY (site, resident)
) $clustered;
CREATE INDEX erasure_open ON erasure (site, resident) WHERE finished_at IS NULL;
";
