//! The working group: staff, and whose a credential is.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::create;

#[derive(DeriveMigrationName)]
pub(crate) struct Staff;

#[async_trait::async_trait]
impl MigrationTrait for Staff {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await
    }
}

const SCHEMA: &str = r"
CREATE TABLE staff (
    site $text NOT NULL CHECK (site = '*system'),
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    title $text NOT NULL,
    detail $bytes NOT NULL,
    credentials $text NOT NULL,
    deactivated_at $int,
    created_at $int NOT NULL,
    PRIMARY KEY (site, id)
) $clustered;

CREATE TABLE staff_credential (
    site $text NOT NULL CHECK (site = '*system'),
    kind $text NOT NULL CHECK (kind IN ('token', 'certificate')),
    name $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    staff $text NOT NULL,
    PRIMARY KEY (site, kind, name)
) $clustered;
";
