//! Migrations. Published ones are frozen; a change is a further file, registered at the end of [`Migrator`].

mod m0001_first;
mod m0002_staff;
mod m0003_audit;

use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait, async_trait};

/// Every migration, oldest first.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_first::First), Box::new(m0002_staff::Staff), Box::new(m0003_audit::Audit)]
    }
}

/// The name of the newest migration.
pub(crate) fn newest_migration() -> String {
    Migrator::migrations().last().map(|migration| migration.name().to_owned()).unwrap_or_default()
}
