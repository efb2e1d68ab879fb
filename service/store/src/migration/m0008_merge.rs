//! Merged files: where a file went, and which ones came to it. Nothing else of a file moves.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::create;

#[derive(DeriveMigrationName)]
pub(crate) struct Merge;

#[async_trait::async_trait]
impl MigrationTrait for Merge {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await
    }
}

const SCHEMA: &str = r"
ALTER TABLE resident ADD COLUMN merged_into $text;
ALTER TABLE resident ADD COLUMN merged_files $text;
";
