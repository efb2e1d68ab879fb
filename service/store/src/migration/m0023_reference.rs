//! What bodies call referrals is looked for: they answer by it, however many they have.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, plan_with};

#[derive(DeriveMigrationName)]
pub(crate) struct Reference;

#[async_trait::async_trait]
impl MigrationTrait for Reference {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await?;
        plan_with(manager, FIGURES).await
    }
}

const SCHEMA: &str = r"
CREATE INDEX referral_reference ON referral (body, external_reference) WHERE external_reference IS NOT NULL
";

const FIGURES: &[(&str, &str, &str)] = &[("referral", "referral_reference", "900000 1000 1")];
