//! Requests, and what is said of them in words.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, plan_with};

#[derive(DeriveMigrationName)]
pub(crate) struct Request;

#[async_trait::async_trait]
impl MigrationTrait for Request {
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
CREATE TABLE request (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    kind $text NOT NULL,
    urgency $text NOT NULL CHECK (urgency IN ('emergency', 'priority', 'routine')),
    state $text NOT NULL CHECK (state IN
        ('submitted', 'accepted', 'dispatched', 'arrived', 'done', 'followed_up', 'closed', 'cancelled')),
    subject_kind $text NOT NULL CHECK (subject_kind IN ('resident', 'dwelling', 'area', 'facility', 'site')),
    subject $text NOT NULL,
    department $text NOT NULL
        CHECK (department IN ('customer_service', 'security', 'engineering', 'cleaning', 'finance')),
    course $bytes NOT NULL,
    satisfaction $int CHECK (satisfaction BETWEEN 1 AND 5),
    created_at $int NOT NULL,
    settled_at $int NOT NULL,
    PRIMARY KEY (site, id)
) $clustered;
CREATE INDEX request_settled ON request (site, settled_at);

CREATE TABLE request_words (
    site $text NOT NULL,
    request $text NOT NULL,
    part $text NOT NULL CHECK (part IN ('description', 'finding', 'cancellation')),
    subject_kind $text NOT NULL CHECK (subject_kind IN ('resident', 'dwelling', 'area', 'facility', 'site')),
    subject $text NOT NULL,
    cell $bytes NOT NULL,
    PRIMARY KEY (site, request, part)
) $clustered;
CREATE INDEX request_words_subject ON request_words (site, subject_kind, subject)
";

const FIGURES: &[(&str, &str, &str)] = &[
    ("request", "request", "5000000 5000 1"),
    ("request", "request_settled", "5000000 5000 20"),
    ("request_words", "request_words", "6000000 6000 2 1"),
    ("request_words", "request_words_subject", "6000000 6000 1500 6"),
];
