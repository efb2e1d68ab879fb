//! How referrals are handed over: each body's lane, and every attempt.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, plan_with};

#[derive(DeriveMigrationName)]
pub(crate) struct Delivery;

#[async_trait::async_trait]
impl MigrationTrait for Delivery {
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
CREATE TABLE delivery_lane (
    site $text NOT NULL,
    body $text NOT NULL,
    owner $text,
    lease_until $int NOT NULL,
    failures $int NOT NULL CHECK (failures >= 0),
    next_at $int NOT NULL,
    reached_at $int,
    trouble $text,
    poll_at $int NOT NULL,
    poll_cursor $text NOT NULL,
    PRIMARY KEY (site, body)
) $clustered;

CREATE TABLE delivery_attempt (
    site $text NOT NULL,
    referral $text NOT NULL,
    number $int NOT NULL CHECK (number >= 1),
    version $int NOT NULL CHECK (version IN (1, 2)),
    body $text NOT NULL,
    began_at $int NOT NULL,
    ended_at $int,
    outcome $text CHECK (outcome IN ('delivered', 'later', 'refused', 'withheld', 'given_up')),
    detail $text,
    CHECK ((version = 2) = (ended_at IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (outcome IS NULL)),
    PRIMARY KEY (site, referral, number)
) $clustered;
CREATE INDEX referral_body ON referral (body, state, sent_at, site, id)
";

const FIGURES: &[(&str, &str, &str)] = &[
    ("delivery_lane", "delivery_lane", "1000 1000 1"),
    ("delivery_attempt", "delivery_attempt", "2000000 2000 2 1"),
    ("referral", "referral_body", "1000000 1000 150 1 1 1"),
];
