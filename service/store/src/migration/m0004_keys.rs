//! Keys have versions: which one seals in a site, which one a blind index stands under, and how far their replacement is.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::create;

#[derive(DeriveMigrationName)]
pub(crate) struct Keys;

#[async_trait::async_trait]
impl MigrationTrait for Keys {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await
    }
}

const SCHEMA: &str = r"
ALTER TABLE site_head ADD COLUMN key_version $int NOT NULL DEFAULT 1 CHECK (key_version >= 1);
ALTER TABLE resident_identity ADD COLUMN key_version $int NOT NULL DEFAULT 1 CHECK (key_version >= 1);
ALTER TABLE resident_index ADD COLUMN key_version $int NOT NULL DEFAULT 1 CHECK (key_version >= 1);

CREATE TABLE key_rotation (
    site $text NOT NULL PRIMARY KEY,
    version $int NOT NULL CHECK (version >= 1),
    number $int NOT NULL CHECK (number >= 1),
    root_version $int NOT NULL CHECK (root_version >= 1),
    started_at $int NOT NULL,
    finished_at $int
) $clustered;
";
