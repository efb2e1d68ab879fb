//! Events that go out by themselves: how far they are, and which server takes them out.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::create;

#[derive(DeriveMigrationName)]
pub(crate) struct Sink;

#[async_trait::async_trait]
impl MigrationTrait for Sink {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await
    }
}

const SCHEMA: &str = r"
CREATE TABLE sink_position (
    site $text NOT NULL,
    sink $text NOT NULL,
    seq $int NOT NULL CHECK (seq >= 0),
    PRIMARY KEY (site, sink)
) $clustered;

CREATE TABLE sink_lease (
    site $text NOT NULL,
    sink $text NOT NULL,
    holder $text NOT NULL,
    held_until $int NOT NULL,
    PRIMARY KEY (site, sink)
) $clustered;
";
