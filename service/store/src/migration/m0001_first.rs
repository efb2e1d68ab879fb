//! The first schema.
//!
//! Text is compared byte by byte on both. Tables that are read along their key are stored
//! along it (`WITHOUT ROWID`) on SQLite.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::prelude::{DeriveMigrationName, MigrationTrait, SchemaManager, async_trait};

use super::{create, plan_with};

#[derive(DeriveMigrationName)]
pub(crate) struct First;

#[async_trait::async_trait]
impl MigrationTrait for First {
    /// All of it or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, SCHEMA).await?;
        if manager.get_database_backend() == DbBackend::Sqlite {
            plan_for_many_sites(manager).await?;
        }
        Ok(())
    }
}

/// Tells SQLite's planner what the tables will look like. Without figures it takes a site for ten rows and reads
/// the whole of it rather than use a second index.
async fn plan_for_many_sites(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    connection.execute_unprepared("ANALYZE").await?;
    connection.execute_unprepared("DELETE FROM sqlite_stat1").await?;
    plan_with(manager, FIGURES).await
}

/// Per index: rows in all, then rows that share its first column, its first two, and so on, for a thousand sites. The
/// index that is the table itself bears the table's name.
const FIGURES: &[(&str, &str, &str)] = &[
    ("dwelling", "dwelling", "1000000 1000 1"),
    ("dwelling", "dwelling_door", "1000000 1000 50 10 1"),
    ("resident", "resident", "1000000 1000 1"),
    ("resident", "resident_dwelling", "1000000 1000 2 1"),
    ("resident_identity", "resident_identity", "1000000 1000 1"),
    ("resident_identity", "resident_identity_resident", "1000000 1000 1"),
    ("resident_index", "resident_index", "3000000 3000 1000 2 1"),
    ("resident_index", "resident_index_resident", "3000000 3000 3"),
    ("membership", "membership", "1500000 1500 2 1"),
    ("membership", "membership_group", "1500000 1500 300 1"),
    ("assessment", "assessment", "1000000 1000 1 1"),
    ("assessment", "assessment_due", "1000000 1000 20"),
    ("care_event", "care_event", "3000000 3000 3000 3 2 1"),
    ("care_event", "care_event_id", "3000000 3000 1"),
    ("idempotency", "idempotency", "1000000 1000 100 50 1"),
    ("idempotency", "idempotency_expiry", "1000000 2"),
];

const SCHEMA: &str = r"
CREATE TABLE site_head (
    site $text NOT NULL PRIMARY KEY,
    audit_seq $int NOT NULL CHECK (audit_seq >= 0),
    audit_hash $bytes NOT NULL,
    event_seq $int NOT NULL CHECK (event_seq >= 0),
    authz_epoch $int NOT NULL CHECK (authz_epoch >= 0)
) $clustered;

CREATE TABLE site (
    site $text NOT NULL PRIMARY KEY,
    version $int NOT NULL CHECK (version >= 1),
    title $text NOT NULL,
    zone $text NOT NULL,
    created_at $int NOT NULL
) $clustered;

CREATE TABLE dwelling (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    building $text NOT NULL,
    unit $text,
    room $text NOT NULL,
    created_at $int NOT NULL,
    PRIMARY KEY (site, id)
) $clustered;
CREATE INDEX dwelling_door ON dwelling (site, building, unit, room);

CREATE TABLE area (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    kind $text NOT NULL CHECK (kind IN ('building', 'stairwell', 'passage', 'gate')),
    title $text NOT NULL,
    building $text,
    created_at $int NOT NULL,
    PRIMARY KEY (site, id)
) $clustered;

CREATE TABLE post (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    title $text NOT NULL,
    department $text NOT NULL
        CHECK (department IN ('customer_service', 'security', 'engineering', 'cleaning', 'finance')),
    detail $bytes NOT NULL,
    created_at $int NOT NULL,
    PRIMARY KEY (site, id)
) $clustered;

CREATE TABLE plugin_parameter (
    site $text NOT NULL,
    plugin $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    detail $bytes NOT NULL,
    updated_at $int NOT NULL,
    PRIMARY KEY (site, plugin)
) $clustered;

CREATE TABLE plugin_manifest (
    site $text NOT NULL,
    plugin $text NOT NULL,
    digest $text NOT NULL,
    manifest $text NOT NULL,
    recorded_at $int NOT NULL,
    PRIMARY KEY (site, plugin)
) $clustered;

CREATE TABLE calendar_override (
    site $text NOT NULL,
    day $int NOT NULL,
    kind $text NOT NULL CHECK (kind IN ('work', 'rest')),
    PRIMARY KEY (site, day)
) $clustered;

CREATE TABLE resident (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    dwelling $text NOT NULL,
    state $text NOT NULL CHECK (state IN ('active', 'left', 'sealed', 'erased')),
    moved_in $int NOT NULL,
    moved_out $int,
    earlier_tenures $text,
    former_dwellings $text,
    died_on $int,
    created_at $int NOT NULL,
    updated_at $int NOT NULL,
    PRIMARY KEY (site, id)
) $clustered;
CREATE INDEX resident_dwelling ON resident (site, dwelling, id);

CREATE TABLE former_resident (
    site $text NOT NULL,
    dwelling $text NOT NULL,
    until_day $int NOT NULL,
    resident $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    PRIMARY KEY (site, dwelling, until_day, resident)
) $clustered;

CREATE TABLE resident_cell (
    site $text NOT NULL,
    resident $text NOT NULL,
    class $text NOT NULL CHECK (class IN ('contact', 'identity', 'health', 'family', 'status', 'care')),
    version $int NOT NULL CHECK (version >= 1),
    cell $bytes NOT NULL,
    PRIMARY KEY (site, resident, class)
) $heap;

CREATE TABLE resident_identity (
    site $text NOT NULL,
    hash $bytes NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    resident $text NOT NULL,
    PRIMARY KEY (site, hash)
) $clustered;
CREATE INDEX resident_identity_resident ON resident_identity (site, resident);

CREATE TABLE resident_index (
    site $text NOT NULL,
    field $text NOT NULL CHECK (field IN ('phone', 'birth_date', 'name')),
    hash $bytes NOT NULL,
    resident $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    PRIMARY KEY (site, field, hash, resident)
) $clustered;
CREATE INDEX resident_index_resident ON resident_index (site, resident);

CREATE TABLE fact (
    site $text NOT NULL,
    resident $text NOT NULL,
    field $text NOT NULL,
    recorded_at $int NOT NULL,
    class $text NOT NULL CHECK (class IN ('contact', 'identity', 'health', 'family', 'status', 'care')),
    true_from $int NOT NULL,
    cell $bytes NOT NULL,
    PRIMARY KEY (site, resident, field, recorded_at, true_from)
) $clustered;

CREATE TABLE membership (
    site $text NOT NULL,
    resident $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    care_group $text NOT NULL,
    basis $text NOT NULL CHECK (basis IN ('rule', 'declared', 'certificate')),
    reason $text,
    start_day $int NOT NULL,
    end_day $int,
    exit_on $int,
    exit_cause $text CHECK (exit_cause IN ('fact_changed', 'certificate_expired', 'rule_changed')),
    exit_proposed_at $int,
    recorded_at $int NOT NULL,
    evidence $bytes,
    PRIMARY KEY (site, resident, id)
) $clustered;
CREATE INDEX membership_group ON membership (site, care_group, resident);

CREATE TABLE attention (
    site $text NOT NULL,
    resident $text NOT NULL,
    from_day $int NOT NULL,
    tier $text NOT NULL CHECK (tier IN ('general', 'key', 'high')),
    tags $text NOT NULL,
    PRIMARY KEY (site, resident, from_day)
) $clustered;

CREATE TABLE assessment (
    site $text NOT NULL,
    resident $text NOT NULL,
    plugin $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    plugin_version $text NOT NULL,
    digest $text NOT NULL,
    assessed_at $int NOT NULL,
    stale $int NOT NULL CHECK (stale IN (0, 1)),
    valid_until $int,
    findings $bytes NOT NULL,
    PRIMARY KEY (site, resident, plugin)
) $clustered;
CREATE INDEX assessment_due ON assessment (site, valid_until);

CREATE TABLE record (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    kind $text NOT NULL,
    occurred_at $int NOT NULL,
    recorded_at $int NOT NULL,
    first_recorded_at $int NOT NULL,
    performer $text NOT NULL,
    department $text NOT NULL
        CHECK (department IN ('customer_service', 'security', 'engineering', 'cleaning', 'finance')),
    voided_at $int,
    subjects $bytes NOT NULL,
    correction $bytes,
    PRIMARY KEY (site, id)
) $clustered;

CREATE TABLE record_version (
    site $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    kind $text NOT NULL,
    occurred_at $int NOT NULL,
    recorded_at $int NOT NULL,
    first_recorded_at $int NOT NULL,
    performer $text NOT NULL,
    department $text NOT NULL,
    voided_at $int,
    subjects $bytes NOT NULL,
    correction $bytes,
    PRIMARY KEY (site, id, version)
) $clustered;

CREATE TABLE record_subject (
    site $text NOT NULL,
    subject_kind $text NOT NULL
        CHECK (subject_kind IN ('resident', 'dwelling', 'area', 'facility', 'request', 'site')),
    subject $text NOT NULL,
    occurred_at $int NOT NULL,
    record $text NOT NULL,
    kind $text NOT NULL,
    outcome $text NOT NULL CHECK (outcome IN ('done', 'not_reached', 'declined', 'not_done')),
    recorded_at $int NOT NULL,
    voided_at $int,
    answers $text,
    PRIMARY KEY (site, subject_kind, subject, occurred_at, record)
) $clustered;

CREATE TABLE record_content (
    site $text NOT NULL,
    record $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    subject_kind $text NOT NULL,
    subject $text NOT NULL,
    cell $bytes NOT NULL,
    PRIMARY KEY (site, record, version, subject_kind, subject)
) $clustered;

CREATE TABLE evaluation (
    site $text NOT NULL,
    record $text NOT NULL,
    subject_kind $text NOT NULL,
    subject $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    satisfaction $int NOT NULL CHECK (satisfaction BETWEEN 1 AND 5),
    recorded_at $int NOT NULL,
    comment $bytes,
    PRIMARY KEY (site, record, subject_kind, subject)
) $clustered;

CREATE TABLE pause (
    site $text NOT NULL,
    resident $text NOT NULL,
    id $text NOT NULL,
    version $int NOT NULL CHECK (version >= 1),
    reason $text NOT NULL,
    left_on $int NOT NULL,
    expected_return $int NOT NULL,
    recorded_at $int NOT NULL,
    returned_on $int,
    end_recorded_at $int,
    confirmed_at $int,
    remark $bytes,
    PRIMARY KEY (site, resident, id)
) $clustered;

CREATE TABLE care_event (
    site $text NOT NULL,
    subject_kind $text NOT NULL
        CHECK (subject_kind IN ('resident', 'dwelling', 'area', 'facility', 'request', 'site')),
    subject $text NOT NULL,
    occurred_at $int NOT NULL,
    id $text NOT NULL,
    kind $text NOT NULL,
    recorded_at $int NOT NULL,
    aspect $text,
    note $bytes,
    PRIMARY KEY (site, subject_kind, subject, occurred_at, id)
) $clustered;
CREATE UNIQUE INDEX care_event_id ON care_event (site, id);

CREATE TABLE history (
    site $text NOT NULL,
    resident $text NOT NULL,
    id $text NOT NULL,
    field $text NOT NULL,
    class $text NOT NULL CHECK (class IN ('contact', 'identity', 'health', 'family', 'status', 'care')),
    author $text NOT NULL,
    recorded_at $int NOT NULL,
    old_cell $bytes,
    new_cell $bytes,
    PRIMARY KEY (site, resident, id)
) $clustered;

CREATE TABLE audit_entry (
    site $text NOT NULL,
    seq $int NOT NULL CHECK (seq >= 1),
    hash $bytes NOT NULL,
    body $bytes NOT NULL,
    PRIMARY KEY (site, seq)
) $clustered;

CREATE TABLE outbox_event (
    site $text NOT NULL,
    seq $int NOT NULL CHECK (seq >= 1),
    kind $text NOT NULL,
    resource $text NOT NULL,
    care_time $int NOT NULL,
    system_time $int NOT NULL,
    audit_seq $int NOT NULL,
    PRIMARY KEY (site, seq)
) $clustered;

CREATE TABLE idempotency (
    site $text NOT NULL,
    principal $text NOT NULL,
    method $text NOT NULL,
    request_id $text NOT NULL,
    request_hash $bytes NOT NULL,
    answer $bytes NOT NULL,
    expires_at $int NOT NULL,
    PRIMARY KEY (site, principal, method, request_id)
) $clustered;
CREATE INDEX idempotency_expiry ON idempotency (expires_at)
";
