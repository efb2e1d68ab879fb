//! Migrations. Published ones are frozen; a change is a further file, registered at the end of [`Migrator`].
//!
//! Schemas are written as SQL with five words that differ between the databases (see [`dialect`]), because the reader of a
//! schema wants to see it.

mod m0001_first;
mod m0002_staff;
mod m0003_audit;
mod m0004_keys;
mod m0005_end;
mod m0008_merge;
mod m0010_promises;
mod m0012_fund;
mod m0013_facility;
mod m0013_request;
mod m0014_access;
mod m0015_consent;
mod m0016_disclosure;
mod m0017_survey;
mod m0018_activity;
mod m0019_closed_period;
mod m0020_referral;
mod m0021_delivery;
mod m0022_sink;
mod m0023_reference;

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait, SchemaManager, async_trait};

/// Every migration, oldest first.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first::First),
            Box::new(m0002_staff::Staff),
            Box::new(m0003_audit::Audit),
            Box::new(m0004_keys::Keys),
            Box::new(m0005_end::End),
            Box::new(m0008_merge::Merge),
            Box::new(m0010_promises::Promises),
            Box::new(m0012_fund::Fund),
            Box::new(m0013_request::Request),
            Box::new(m0013_facility::Facility),
            Box::new(m0014_access::Access),
            Box::new(m0015_consent::Consent),
            Box::new(m0016_disclosure::Disclosure),
            Box::new(m0017_survey::Survey),
            Box::new(m0018_activity::Activity),
            Box::new(m0019_closed_period::ClosedPeriod),
            Box::new(m0020_referral::Referral),
            Box::new(m0021_delivery::Delivery),
            Box::new(m0022_sink::Sink),
            Box::new(m0023_reference::Reference),
        ]
    }
}

/// The name of the newest migration.
pub(crate) fn newest_migration() -> String {
    Migrator::migrations().last().map(|migration| migration.name().to_owned()).unwrap_or_default()
}

/// Carries out the statements of a schema, which are parted by semicolons.
async fn create(manager: &SchemaManager<'_>, schema: &str) -> Result<(), DbErr> {
    for statement in schema.split(';').map(str::trim).filter(|s| !s.is_empty()) {
        let statement = dialect(manager.get_database_backend(), statement);
        manager.get_connection().execute_unprepared(&statement).await?;
    }
    Ok(())
}

/// Carries out what makes the database itself refuse something, each in its own words.
async fn guard(manager: &SchemaManager<'_>, sqlite: &[&str], postgres: &[&str]) -> Result<(), DbErr> {
    let statements = match manager.get_database_backend() {
        DbBackend::Postgres => postgres,
        _ => sqlite, // a foreign enum; the other one the store opens is SQLite
    };
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

/// Tells SQLite's planner of further indexes: table, index, and how many rows there are in all, then how many share the first
/// column, the first two, and so on. PostgreSQL counts for itself.
async fn plan_with(manager: &SchemaManager<'_>, figures: &[(&str, &str, &str)]) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Sqlite {
        return Ok(());
    }
    let connection = manager.get_connection();
    for (table, index, figures) in figures {
        let row =
            format!("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('{table}', '{index}', '{figures}')");
        connection.execute_unprepared(&row).await?;
    }
    connection.execute_unprepared("ANALYZE sqlite_schema").await?; // reads the figures, counts nothing
    Ok(())
}

fn dialect(backend: DbBackend, statement: &str) -> String {
    let (text, int, bytes, clustered, heap) = match backend {
        DbBackend::Sqlite => ("TEXT", "INTEGER", "BLOB", "STRICT, WITHOUT ROWID", "STRICT"),
        _ => ("TEXT COLLATE \"C\"", "BIGINT", "BYTEA", "", ""), // a foreign enum; the store opens two of its values
    };
    statement
        .replace("$text", text)
        .replace("$int", int)
        .replace("$bytes", bytes)
        .replace("$clustered", clustered)
        .replace("$heap", heap)
}
