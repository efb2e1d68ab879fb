//! The usual way: one transaction a request, entity by entity, each insert returning its row.
//!
//! The rows are those that Linli wrote. What a textbook handler would look up first (the idempotency
//! row, the head of the chain) is looked up.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectOptions, Database, DatabaseConnection, DbErr, EntityTrait,
    IntoActiveModel, TransactionTrait,
};

macro_rules! entities {
    ($($name:ident = $table:literal ($($key:ident: $ktype:ty),*) { $($column:ident: $type:ty),* $(,)? })*) => {$(
        pub mod $name {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                $(#[sea_orm(primary_key, auto_increment = false)] pub $key: $ktype,)*
                $(pub $column: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    )*};
}

entities! {
    site_head = "site_head" (site: String) {
        audit_seq: i64, audit_hash: Vec<u8>, event_seq: i64, authz_epoch: i64,
    }
    record = "record" (site: String, id: String) {
        version: i64, kind: String, occurred_at: i64, recorded_at: i64, first_recorded_at: i64, performer: String,
        department: String, voided_at: Option<i64>, subjects: Vec<u8>,
    }
    record_subject = "record_subject"
        (site: String, subject_kind: String, subject: String, occurred_at: i64, record: String) {
        kind: String, outcome: String, recorded_at: i64, voided_at: Option<i64>, answers: Option<String>,
    }
    record_content = "record_content"
        (site: String, record: String, version: i64, subject_kind: String, subject: String) {
        cell: Vec<u8>,
    }
    audit_entry = "audit_entry" (site: String, seq: i64) {
        hash: Vec<u8>, body: Vec<u8>,
    }
    outbox_event = "outbox_event" (site: String, seq: i64) {
        kind: String, resource: String, care_time: i64, system_time: i64, audit_seq: i64,
    }
    idempotency = "idempotency" (site: String, principal: String, method: String, request_id: String) {
        request_hash: Vec<u8>, answer: Vec<u8>, expires_at: i64,
    }
}

/// The rows of one request.
pub struct Request {
    record: record::Model,
    subjects: Vec<record_subject::Model>,
    contents: Vec<record_content::Model>,
    audit: audit_entry::Model,
    event: outbox_event::Model,
    idempotency: Option<idempotency::Model>,
}

/// The first `count` requests that a database holds.
pub async fn capture(path: &Path, count: usize) -> Result<Vec<Request>, Box<dyn Error>> {
    let connection = open(path).await?;
    let mut subjects: HashMap<String, Vec<_>> = HashMap::new();
    for row in record_subject::Entity::find().all(&connection).await? {
        subjects.entry(row.record.clone()).or_default().push(row);
    }
    let mut contents: HashMap<String, Vec<_>> = HashMap::new();
    for row in record_content::Entity::find().all(&connection).await? {
        contents.entry(row.record.clone()).or_default().push(row);
    }
    let mut audits = HashMap::new();
    for row in audit_entry::Entity::find().all(&connection).await? {
        audits.insert((row.site.clone(), row.seq), row);
    }
    let mut events = HashMap::new();
    for row in outbox_event::Entity::find().all(&connection).await? {
        events.insert(row.resource.rsplit('/').next().unwrap_or_default().to_owned(), row);
    }
    let mut repeatable = HashMap::new();
    for row in idempotency::Entity::find().all(&connection).await? {
        repeatable.insert(row.request_id.clone(), row);
    }
    let mut requests = Vec::new();
    for record in record::Entity::find().all(&connection).await? {
        let event = events.remove(&record.id).ok_or("an event is missing")?;
        let audit =
            audits.remove(&(event.site.clone(), event.audit_seq)).ok_or("an audit entry is missing")?;
        requests.push(Request {
            subjects: subjects.remove(&record.id).unwrap_or_default(),
            contents: contents.remove(&record.id).unwrap_or_default(),
            idempotency: repeatable.remove(&record.id),
            record,
            audit,
            event,
        });
    }
    requests.sort_by_key(|request| request.audit.seq);
    requests.truncate(count);
    Ok(requests)
}

/// One connection with the settings of Linli's writer: with more of them the writers fight for the lock.
pub async fn open(path: &Path) -> Result<DatabaseConnection, DbErr> {
    let path = path.to_owned();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .filename(&path)
            .in_memory(false)
            .shared_cache(false)
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "FULL")
            .pragma("secure_delete", "ON")
            .pragma("cache_size", "-32768")
    });
    Database::connect(options).await
}

/// Writes one request.
#[allow(clippy::disallowed_methods, reason = "this is the way that Linli does not go")]
pub async fn write(connection: &DatabaseConnection, request: &Request) -> Result<(), DbErr> {
    let transaction = connection.begin().await?;
    if let Some(row) = &request.idempotency {
        let key = (row.site.clone(), row.principal.clone(), row.method.clone(), row.request_id.clone());
        if idempotency::Entity::find_by_id(key).one(&transaction).await?.is_some() {
            return Ok(());
        }
        row.clone().into_active_model().reset_all().insert(&transaction).await?;
    }
    let head = site_head::Entity::find_by_id(request.audit.site.clone()).one(&transaction).await?;
    let next = site_head::ActiveModel {
        site: ActiveValue::Set(request.audit.site.clone()),
        audit_seq: ActiveValue::Set(request.audit.seq),
        audit_hash: ActiveValue::Set(request.audit.hash.clone()),
        event_seq: ActiveValue::Set(request.event.seq),
        authz_epoch: ActiveValue::Set(0),
    };
    match head {
        Some(_) => drop(next.update(&transaction).await?),
        None => drop(next.insert(&transaction).await?),
    }
    request.record.clone().into_active_model().reset_all().insert(&transaction).await?;
    for row in &request.subjects {
        row.clone().into_active_model().reset_all().insert(&transaction).await?;
    }
    for row in &request.contents {
        row.clone().into_active_model().reset_all().insert(&transaction).await?;
    }
    request.audit.clone().into_active_model().reset_all().insert(&transaction).await?;
    request.event.clone().into_active_model().reset_all().insert(&transaction).await?;
    transaction.commit().await
}
