//! The special fund: years, budget lines, ledger, spendings, publications.
//!
//! What must never happen to money the schema refuses by itself, whatever program writes: a balance below zero, an approval
//! by who asked or by who pays, a payment above what was approved, a ledger that changes.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, guard};

#[derive(DeriveMigrationName)]
pub(crate) struct Fund;

#[async_trait::async_trait]
impl MigrationTrait for Fund {
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
CREATE TABLE fund (
    site $text NOT NULL,
    year $int NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    opened_by $text NOT NULL,
    opened_at $int NOT NULL,
    reports $int NOT NULL CHECK (reports >= 0),
    PRIMARY KEY (site, year)
) $clustered;

CREATE TABLE fund_line (
    site $text NOT NULL,
    year $int NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    title $text NOT NULL,
    purpose $text NOT NULL,
    available $int NOT NULL CHECK (available >= 0),
    committed $int NOT NULL CHECK (committed >= 0),
    spent $int NOT NULL CHECK (spent >= 0),
    entries $int NOT NULL CHECK (entries >= 1),
    PRIMARY KEY (site, year, id)
) $clustered;

CREATE TABLE fund_entry (
    site $text NOT NULL,
    year $int NOT NULL,
    line $text NOT NULL,
    number $int NOT NULL CHECK (number >= 1),
    movement $text NOT NULL CHECK (movement IN ('budgeted', 'cut', 'committed', 'released', 'paid')),
    amount $int NOT NULL CHECK (amount > 0),
    spending $text,
    resident $text,
    people $int NOT NULL CHECK (people >= 0),
    note $text,
    booked_by $text NOT NULL,
    booked_at $int NOT NULL,
    PRIMARY KEY (site, year, line, number)
) $clustered;

CREATE TABLE fund_spending (
    site $text NOT NULL,
    year $int NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    line $text NOT NULL,
    title $text NOT NULL,
    amount $int NOT NULL CHECK (amount > 0),
    cause_kind $text CHECK (cause_kind IN ('resident', 'activity', 'request')),
    cause $text,
    people $int NOT NULL CHECK (people >= 0),
    requested_by $text NOT NULL,
    requested_at $int NOT NULL,
    state $text NOT NULL CHECK (state IN ('requested', 'approved', 'rejected', 'disbursed')),
    decided_by $text,
    decided_at $int,
    reason $text,
    paid $int CHECK (paid > 0),
    voucher $text,
    paid_on $int,
    paid_by $text,
    paid_at $int,
    CHECK (paid <= amount),
    CHECK (state IN ('requested', 'rejected') OR decided_by <> requested_by),
    CHECK (paid_by <> decided_by),
    PRIMARY KEY (site, year, id)
) $clustered;

CREATE TABLE fund_report (
    site $text NOT NULL,
    year $int NOT NULL,
    number $int NOT NULL CHECK (number >= 1),
    published_by $text NOT NULL,
    published_at $int NOT NULL,
    record $text NOT NULL,
    detail $bytes NOT NULL,
    PRIMARY KEY (site, year, number)
) $clustered;
";

const SQLITE: &[&str] = &[
    "CREATE TRIGGER fund_entry_update BEFORE UPDATE ON fund_entry \
     BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER fund_entry_delete BEFORE DELETE ON fund_entry \
     BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
];

const POSTGRES: &[&str] = &[
    "CREATE FUNCTION linli_ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN RAISE EXCEPTION ''the ledger is append-only''; END'",
    "CREATE TRIGGER fund_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fund_entry \
     FOR EACH STATEMENT EXECUTE FUNCTION linli_ledger_append_only()",
];
