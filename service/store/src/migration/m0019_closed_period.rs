//! Closed periods. The schema refuses by itself what must never happen to them: that they change or go.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, guard};

#[derive(DeriveMigrationName)]
pub(crate) struct ClosedPeriod;

#[async_trait::async_trait]
impl MigrationTrait for ClosedPeriod {
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
CREATE TABLE closed_period (
    site $text NOT NULL,
    unit $text NOT NULL CHECK (unit IN ('month', 'quarter')),
    first_day $int NOT NULL,
    closed_by $text NOT NULL,
    closed_at $int NOT NULL,
    detail $bytes NOT NULL,
    PRIMARY KEY (site, unit, first_day)
) $clustered;
";

const SQLITE: &[&str] = &[
    "CREATE TRIGGER closed_period_update BEFORE UPDATE ON closed_period \
     BEGIN SELECT RAISE(ABORT, 'what was closed stands'); END",
    "CREATE TRIGGER closed_period_delete BEFORE DELETE ON closed_period \
     BEGIN SELECT RAISE(ABORT, 'what was closed stands'); END",
];

const POSTGRES: &[&str] = &[
    "CREATE FUNCTION linli_closed_period_stands() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN RAISE EXCEPTION ''what was closed stands''; END'",
    "CREATE TRIGGER closed_period_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON closed_period \
     FOR EACH STATEMENT EXECUTE FUNCTION linli_closed_period_stands()",
];
