//! Accessible facilities.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::create;

#[derive(DeriveMigrationName)]
pub(crate) struct Facility;

#[async_trait::async_trait]
impl MigrationTrait for Facility {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await
    }
}

const SCHEMA: &str = r"
CREATE TABLE facility (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    kind $text NOT NULL,
    title $text NOT NULL,
    building $text,
    retired_on $int,
    created_at $int NOT NULL,
    PRIMARY KEY (site, id)
) $clustered
";
