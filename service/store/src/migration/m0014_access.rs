//! Who may see whom: protected files, children's files, emergency access.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, plan_with};

#[derive(DeriveMigrationName)]
pub(crate) struct Access;

#[async_trait::async_trait]
impl MigrationTrait for Access {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await?;
        plan_with(manager, FIGURES).await
    }
}

const FIGURES: &[(&str, &str, &str)] = &[
    ("resident", "resident_protected", "2000 2 1"),
    ("emergency_access", "emergency_access", "100000 100 1"),
    ("emergency_access", "emergency_access_resident", "100000 100 2 1"),
    ("emergency_access", "emergency_access_waiting", "1000 1 1"),
];

const SCHEMA: &str = r"
ALTER TABLE resident ADD COLUMN protected_for $text;
ALTER TABLE resident ADD COLUMN may_be_minor $int NOT NULL DEFAULT 1;
CREATE INDEX resident_protected ON resident (site, id) WHERE protected_for IS NOT NULL;

CREATE TABLE emergency_access (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    resident $text NOT NULL,
    staff $text NOT NULL,
    granted_at $int NOT NULL,
    expires_at $int NOT NULL,
    reason $bytes,
    reviewer $text,
    reviewed_at $int,
    justified $int CHECK (justified IN (0, 1)),
    remark $bytes,
    PRIMARY KEY (site, id)
) $clustered;
CREATE INDEX emergency_access_resident ON emergency_access (site, resident, staff);
CREATE INDEX emergency_access_waiting ON emergency_access (site, id) WHERE reviewed_at IS NULL
";
