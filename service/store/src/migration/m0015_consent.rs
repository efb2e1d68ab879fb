//! The ledger of consents, refusals and what was taken back. It is never changed, whatever program writes; who signed goes with the
//! person.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, guard};

#[derive(DeriveMigrationName)]
pub(crate) struct Consent;

#[async_trait::async_trait]
impl MigrationTrait for Consent {
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
CREATE TABLE consent (
    site $text NOT NULL,
    resident $text NOT NULL,
    id $text NOT NULL,
    body $text NOT NULL,
    purpose $text NOT NULL,
    classes $text NOT NULL,
    granted $int NOT NULL CHECK (granted IN (0, 1)),
    signatory $text NOT NULL,
    form $text NOT NULL,
    given_at $int NOT NULL,
    expires_at $int,
    recorded_by $text NOT NULL,
    recorded_at $int NOT NULL,
    signed_by $bytes,
    CHECK ((granted = 1) = (expires_at IS NOT NULL)),
    PRIMARY KEY (site, resident, id)
) $clustered;

CREATE TABLE consent_withdrawal (
    site $text NOT NULL,
    resident $text NOT NULL,
    consent $text NOT NULL,
    withdrawn_at $int NOT NULL,
    recorded_by $text NOT NULL,
    PRIMARY KEY (site, resident, consent)
) $clustered;
";

const SQLITE: &[&str] = &[
    "CREATE TRIGGER consent_update BEFORE UPDATE OF site, resident, id, body, purpose, classes, granted, signatory, form, \
     given_at, expires_at, recorded_by, recorded_at ON consent \
     BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER consent_delete BEFORE DELETE ON consent \
     BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER consent_withdrawal_update BEFORE UPDATE ON consent_withdrawal \
     BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER consent_withdrawal_delete BEFORE DELETE ON consent_withdrawal \
     BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
];

/// The function came with the fund's ledger.
const POSTGRES: &[&str] = &[
    "CREATE TRIGGER consent_append_only BEFORE UPDATE OF site, resident, id, body, purpose, classes, granted, signatory, form, \
     given_at, expires_at, recorded_by, recorded_at OR DELETE OR TRUNCATE ON consent \
     FOR EACH STATEMENT EXECUTE FUNCTION linli_ledger_append_only()",
    "CREATE TRIGGER consent_withdrawal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON consent_withdrawal \
     FOR EACH STATEMENT EXECUTE FUNCTION linli_ledger_append_only()",
];
