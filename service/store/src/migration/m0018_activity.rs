//! Activities, and who helped at them; spendings are found by what they are for.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, plan_with};

#[derive(DeriveMigrationName)]
pub(crate) struct Activity;

#[async_trait::async_trait]
impl MigrationTrait for Activity {
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
CREATE TABLE activity (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    kind $text NOT NULL CHECK (kind IN ('visit', 'event')),
    title $text NOT NULL,
    occasion $text,
    day $int NOT NULL,
    place $text,
    care_groups $text NOT NULL,
    budget $int CHECK (budget > 0),
    planned_by $text NOT NULL,
    planned_at $int NOT NULL,
    state $text NOT NULL CHECK (state IN ('planned', 'held', 'cancelled')),
    held_at $int,
    reason $text,
    noted_by $text,
    noted_at $int,
    PRIMARY KEY (site, id),
    CHECK ((state = 'held') = (held_at IS NOT NULL)),
    CHECK ((state = 'cancelled') = (reason IS NOT NULL)),
    CHECK ((state = 'planned') = (noted_by IS NULL)),
    CHECK ((noted_by IS NULL) = (noted_at IS NULL))
) $clustered;

CREATE TABLE activity_attendance (
    site $text NOT NULL,
    activity $text NOT NULL,
    record $text NOT NULL,
    staff $text NOT NULL,
    recorded_at $int NOT NULL,
    PRIMARY KEY (site, activity, record)
) $clustered;

CREATE INDEX fund_spending_cause ON fund_spending (site, cause_kind, cause)
";

const FIGURES: &[(&str, &str, &str)] = &[
    ("activity", "activity", "100000 100 1"),
    ("activity_attendance", "activity_attendance", "500000 500 5 1"),
    ("fund_spending", "fund_spending", "500000 500 50 1"),
    ("fund_spending", "fund_spending_cause", "500000 500 200 4"),
];
