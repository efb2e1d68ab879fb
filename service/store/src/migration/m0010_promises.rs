//! What sites and residents are promised beside the catalogue: overrides, waivers, care plans.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::create;

#[derive(DeriveMigrationName)]
pub(crate) struct Promises;

#[async_trait::async_trait]
impl MigrationTrait for Promises {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await
    }
}

const SCHEMA: &str = r"
CREATE TABLE standard_override (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    standard $text NOT NULL,
    numbers $bytes NOT NULL,
    looser $int NOT NULL CHECK (looser IN (0, 1)),
    reason $text NOT NULL,
    from_day $int NOT NULL,
    until_day $int,
    proposed_by $text NOT NULL,
    proposed_at $int NOT NULL,
    approved_by $text CHECK (approved_by <> proposed_by),
    approved_at $int,
    retired_by $text,
    retired_at $int,
    PRIMARY KEY (site, id)
) $clustered;

CREATE TABLE waiver (
    site $text NOT NULL,
    resident $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    standard $text NOT NULL,
    cause $text NOT NULL CHECK (cause IN ('refused', 'plan')),
    from_day $int NOT NULL,
    until_day $int NOT NULL,
    requested_by $text NOT NULL,
    requested_at $int NOT NULL,
    approved_by $text CHECK (approved_by <> requested_by),
    approved_at $int,
    ended_by $text,
    ended_at $int,
    reason $bytes,
    PRIMARY KEY (site, resident, id)
) $clustered;

CREATE TABLE care_plan (
    site $text NOT NULL,
    resident $text NOT NULL,
    revision $int NOT NULL CHECK (revision >= 1),
    items $bytes NOT NULL,
    from_day $int NOT NULL,
    submitted_by $text NOT NULL,
    submitted_at $int NOT NULL,
    words $bytes NOT NULL,
    PRIMARY KEY (site, resident, revision)
) $heap;

CREATE TABLE plan_decision (
    site $text NOT NULL,
    resident $text NOT NULL,
    revision $int NOT NULL CHECK (revision >= 1),
    approved $int NOT NULL CHECK (approved IN (0, 1)),
    decided_by $text NOT NULL,
    decided_at $int NOT NULL,
    reason $bytes,
    PRIMARY KEY (site, resident, revision)
) $clustered
";
