//! Bodies that matters are handed to, the matters, and what is said with them.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, plan_with};

#[derive(DeriveMigrationName)]
pub(crate) struct Referral;

#[async_trait::async_trait]
impl MigrationTrait for Referral {
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
CREATE TABLE community_body (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    kind $text NOT NULL CHECK (kind <> 'company'),
    title $text NOT NULL,
    title_en $text,
    contacts $text NOT NULL,
    sites $text NOT NULL,
    channel $text,
    agreement $text,
    fields $text,
    purposes $text,
    from_day $int,
    until_day $int,
    enabled $int NOT NULL CHECK (enabled IN (0, 1)),
    created_at $int NOT NULL,
    CHECK ((agreement IS NULL) = (fields IS NULL)),
    CHECK ((agreement IS NULL) = (purposes IS NULL)),
    CHECK ((agreement IS NULL) = (from_day IS NULL)),
    CHECK (until_day IS NULL OR agreement IS NOT NULL),
    PRIMARY KEY (site, id)
) $clustered;

CREATE TABLE referral (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    resident $text NOT NULL,
    body $text NOT NULL,
    body_kind $text NOT NULL,
    purpose $text NOT NULL,
    basis $text NOT NULL CHECK (basis IN ('consent', 'legal_duty', 'danger')),
    matter $text NOT NULL,
    urgency $text NOT NULL CHECK (urgency IN ('emergency', 'priority', 'routine')),
    fields $text NOT NULL,
    by_hand $int NOT NULL CHECK (by_hand IN (0, 1)),
    state $text NOT NULL CHECK (state IN
        ('queued', 'sent', 'accepted', 'rejected', 'closed', 'failed', 'revoked')),
    queued_at $int,
    disclosure $text,
    sent_at $int,
    decision $text CHECK (decision IN ('accepted', 'rejected', 'closed')),
    decided_at $int,
    decision_by $text,
    decision_recorded_at $int,
    ended_at $int,
    external_reference $text,
    clock $text,
    reviewed_by $text,
    reviewed_at $int,
    justified $int CHECK (justified IN (0, 1)),
    created_by $text NOT NULL,
    created_at $int NOT NULL,
    CHECK ((state = 'queued') = (queued_at IS NOT NULL)),
    PRIMARY KEY (site, id)
) $clustered;
CREATE INDEX referral_queue ON referral (body, queued_at, site, id) WHERE queued_at IS NOT NULL;
CREATE INDEX referral_resident ON referral (site, resident, id);
CREATE INDEX referral_state ON referral (site, state, id);

CREATE TABLE referral_words (
    site $text NOT NULL,
    referral $text NOT NULL,
    part $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    resident $text NOT NULL,
    cell $bytes NOT NULL,
    PRIMARY KEY (site, referral, part)
) $clustered;
CREATE INDEX referral_words_resident ON referral_words (site, resident)
";

const FIGURES: &[(&str, &str, &str)] = &[
    ("community_body", "community_body", "1000 1000 1"),
    ("referral", "referral", "1000000 1000 1"),
    ("referral", "referral_queue", "1000 50 1 1 1"),
    ("referral", "referral_resident", "1000000 1000 4 1"),
    ("referral", "referral_state", "1000000 1000 150 1"),
    ("referral_words", "referral_words", "5000000 5000 5 1"),
    ("referral_words", "referral_words_resident", "5000000 5000 20"),
];
