//! Survey campaigns, their answers, and what was found of people.

use sea_orm::DbErr;
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, plan_with};

#[derive(DeriveMigrationName)]
pub(crate) struct Survey;

#[async_trait::async_trait]
impl MigrationTrait for Survey {
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
CREATE TABLE survey (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    kind $text NOT NULL CHECK (kind IN ('move_in', 'review', 'full')),
    title $text NOT NULL,
    from_day $int NOT NULL,
    until_day $int NOT NULL CHECK (until_day > from_day),
    opened_by $text NOT NULL,
    opened_at $int NOT NULL,
    closed_by $text,
    closed_at $int,
    answers $int NOT NULL CHECK (answers >= 0),
    result $bytes,
    PRIMARY KEY (site, id),
    CHECK ((closed_by IS NULL) = (closed_at IS NULL)),
    CHECK ((result IS NULL) = (closed_at IS NULL))
) $clustered;

CREATE TABLE survey_answer (
    site $text NOT NULL,
    survey $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    dwelling $text NOT NULL,
    channel $text NOT NULL CHECK (channel IN ('home_visit', 'phone', 'community', 'self_declared')),
    outcome $text NOT NULL CHECK (outcome IN ('surveyed', 'vacant', 'refused', 'not_reached')),
    household $int CHECK (household >= 1),
    distinct_people $int NOT NULL CHECK (distinct_people IN (0, 1)),
    occurred_at $int NOT NULL,
    recorded_at $int NOT NULL,
    late $int NOT NULL CHECK (late IN (0, 1)),
    performer $text NOT NULL,
    record $text NOT NULL,
    withdrawn_by $text,
    withdrawn_at $int,
    PRIMARY KEY (site, survey, id),
    CHECK ((withdrawn_by IS NULL) = (withdrawn_at IS NULL))
) $clustered;

CREATE TABLE survey_person (
    site $text NOT NULL,
    survey $text NOT NULL,
    answer $text NOT NULL,
    person $text NOT NULL,
    subject_kind $text NOT NULL CHECK (subject_kind IN ('resident', 'dwelling')),
    subject $text NOT NULL,
    person_mark $bytes,
    phone_mark $bytes,
    event $text,
    PRIMARY KEY (site, survey, answer, person)
) $clustered;
CREATE INDEX survey_person_subject ON survey_person (site, subject_kind, subject);

CREATE TABLE survey_words (
    site $text NOT NULL,
    survey $text NOT NULL,
    answer $text NOT NULL,
    person $text NOT NULL,
    class $text NOT NULL CHECK (class IN ('contact', 'identity', 'health', 'family', 'status')),
    subject_kind $text NOT NULL CHECK (subject_kind IN ('resident', 'dwelling')),
    subject $text NOT NULL,
    cell $bytes NOT NULL,
    PRIMARY KEY (site, survey, answer, person, class)
) $clustered;
CREATE INDEX survey_words_subject ON survey_words (site, subject_kind, subject)
";

const FIGURES: &[(&str, &str, &str)] = &[
    ("survey", "survey", "50000 50 1"),
    ("survey_answer", "survey_answer", "10000000 10000 1000 1"),
    ("survey_person", "survey_person", "5000000 5000 500 2 1"),
    ("survey_person", "survey_person_subject", "5000000 5000 2500 8"),
    ("survey_words", "survey_words", "20000000 20000 2000 6 4 1"),
    ("survey_words", "survey_words_subject", "20000000 20000 10000 24"),
];
