//! The limit of a commit: the rows that Linli wrote, written again by grouped bare rusqlite.
//!
//! The rows are read from the database that Linli left behind, so both sides write the same ones into
//! the same schema, on the same SQLite with the same settings. One thread owns the connection, takes
//! whatever waits (at most [`GROUP`]) into one transaction, one prepared statement a row.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, mpsc};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use tokio::sync::oneshot;

/// Most requests in one transaction.
const GROUP: usize = 256;

/// Tables in which a recorded service leaves rows, and the column that holds the record's id (in an
/// event the id ends the resource's name; an audit entry is found through its event).
const TABLES: &[(&str, &str)] = &[
    ("record", "id"),
    ("record_subject", "record"),
    ("record_content", "record"),
    ("idempotency", "request_id"),
    ("outbox_event", "resource"),
];

/// What Linli wrote.
pub struct Captured {
    schema: Vec<String>,
    inserts: Vec<String>,
    /// One per recorded service, in the order of their audit entries.
    pub requests: Vec<Request>,
}

/// The rows of one request.
#[derive(Default)]
pub struct Request {
    site: String,
    audit_seq: i64,
    event_seq: i64,
    hash: Vec<u8>,
    /// Index of the insert, and the row.
    rows: Vec<(usize, Vec<Value>)>,
}

/// Reads what the recording of services left in a database.
pub fn capture(path: &Path) -> Result<Captured, Box<dyn Error>> {
    let connection = open(path)?;
    let schema = texts(
        &connection,
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'seaql_%'",
    )?;
    let mut inserts = Vec::new();
    let mut requests: BTreeMap<String, Request> = BTreeMap::new();
    for (index, (table, column)) in TABLES.iter().enumerate() {
        let (columns, rows) = rows(&connection, table)?;
        inserts.push(insert(table, columns.len()));
        let at =
            |name: &str| columns.iter().position(|column| column == name).ok_or(format!("{table}.{name}"));
        let id_at = at(column)?;
        for row in rows {
            let Value::Text(id) = &row[id_at] else {
                return Err(format!("{table}.{column} is no text").into());
            };
            let request = requests.entry(id.rsplit('/').next().unwrap_or_default().to_owned()).or_default();
            if *table == "outbox_event" {
                request.site = text(&row[at("site")?]);
                request.audit_seq = integer(&row[at("audit_seq")?]);
                request.event_seq = integer(&row[at("seq")?]);
            }
            request.rows.push((index, row));
        }
    }
    let mut requests: Vec<Request> = requests.into_values().filter(|request| request.audit_seq > 0).collect();
    let (columns, rows) = rows(&connection, "audit_entry")?;
    inserts.push(insert("audit_entry", columns.len()));
    let mut entries: HashMap<(String, i64), Vec<Value>> = HashMap::new();
    for row in rows {
        entries.insert((text(&row[0]), integer(&row[1])), row);
    }
    for request in &mut requests {
        let entry =
            entries.remove(&(request.site.clone(), request.audit_seq)).ok_or("an audit entry is missing")?;
        if let Value::Blob(hash) = &entry[2] {
            request.hash.clone_from(hash);
        }
        request.rows.push((TABLES.len(), entry));
    }
    requests.sort_by_key(|request| request.audit_seq);
    Ok(Captured { schema, inserts, requests })
}

/// Rows per table, to see that a run left its rows where [`capture`] looks for them.
pub fn counts(path: &Path) -> Result<BTreeMap<String, i64>, Box<dyn Error>> {
    let connection = open(path)?;
    let mut counts = BTreeMap::new();
    for table in texts(&connection, "SELECT name FROM sqlite_master WHERE type = 'table'")? {
        let count = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        counts.insert(table, count);
    }
    Ok(counts)
}

/// Whether [`capture`] knows the table.
pub fn is_known(table: &str) -> bool {
    ["audit_entry", "site_head"].contains(&table) || TABLES.iter().any(|known| known.0 == table)
}

/// Makes an empty database of the same schema.
pub fn create(path: &Path, captured: &Captured) -> Result<(), Box<dyn Error>> {
    let connection = open(path)?;
    for statement in &captured.schema {
        connection.execute_batch(statement)?;
    }
    Ok(())
}

/// The way to the writer: a request's index, and whom to tell.
pub type Queue = mpsc::Sender<(usize, oneshot::Sender<()>)>;

/// Starts the writer; it ends when the last sender is dropped.
pub fn start(path: &Path, captured: Arc<Captured>) -> Result<Queue, Box<dyn Error>> {
    let connection = open(path)?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        if let Err(error) = write(&connection, &captured, &receiver) {
            eprintln!("compare: the bare writer failed: {error}");
        }
    });
    Ok(sender)
}

fn write(
    connection: &Connection,
    captured: &Captured,
    receiver: &mpsc::Receiver<(usize, oneshot::Sender<()>)>,
) -> Result<(), rusqlite::Error> {
    const HEAD: &str = "INSERT INTO site_head (site, audit_seq, audit_hash, event_seq, authz_epoch) \
        VALUES (?, ?, ?, ?, 0) ON CONFLICT (site) DO UPDATE SET audit_seq = excluded.audit_seq, \
        audit_hash = excluded.audit_hash, event_seq = excluded.event_seq";
    connection.set_prepared_statement_cache_capacity(64);
    while let Ok(first) = receiver.recv() {
        let mut group = vec![first];
        group.extend(receiver.try_iter().take(GROUP - 1));
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut heads: BTreeMap<&str, &Request> = BTreeMap::new();
        for (index, _) in &group {
            let request = &captured.requests[*index];
            for (insert, row) in &request.rows {
                connection.prepare_cached(&captured.inserts[*insert])?.execute(params_from_iter(row))?;
            }
            heads.insert(&request.site, request);
        }
        for (site, request) in heads {
            connection.prepare_cached(HEAD)?.execute((
                site,
                request.audit_seq,
                &request.hash,
                request.event_seq,
            ))?;
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
        for (_, answer) in group {
            // Nobody waits any more when a run has ended early.
            let _ = answer.send(());
        }
    }
    Ok(())
}

/// A connection with the settings of Linli's writer.
fn open(path: &Path) -> Result<Connection, Box<dyn Error>> {
    let connection = Connection::open(path)?;
    for (pragma, value) in [
        ("journal_mode", "WAL"),
        ("synchronous", "FULL"),
        ("foreign_keys", "ON"),
        ("secure_delete", "ON"),
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
        ("journal_size_limit", "67108864"),
        ("wal_autocheckpoint", "8192"),
        ("temp_store", "MEMORY"),
        ("cache_size", "-32768"),
    ] {
        connection.query_row(&format!("PRAGMA {pragma} = {value}"), [], |_| Ok(())).or_else(no_row)?;
    }
    Ok(connection)
}

/// Some pragmas answer with a row and some do not.
fn no_row(error: rusqlite::Error) -> Result<(), rusqlite::Error> {
    if error == rusqlite::Error::QueryReturnedNoRows { Ok(()) } else { Err(error) }
}

fn insert(table: &str, width: usize) -> String {
    format!("INSERT INTO {table} VALUES ({})", vec!["?"; width].join(", "))
}

fn texts(connection: &Connection, statement: &str) -> Result<Vec<String>, rusqlite::Error> {
    connection.prepare(statement)?.query_map([], |row| row.get(0))?.collect()
}

type Rows = (Vec<String>, Vec<Vec<Value>>);

fn rows(connection: &Connection, table: &str) -> Result<Rows, rusqlite::Error> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
    let columns: Vec<String> = statement.column_names().into_iter().map(String::from).collect();
    let width = columns.len();
    let rows = statement.query_map([], |row| (0..width).map(|index| row.get(index)).collect())?;
    Ok((columns, rows.collect::<Result<_, _>>()?))
}

fn text(value: &Value) -> String {
    if let Value::Text(text) = value { text.clone() } else { String::new() }
}

fn integer(value: &Value) -> i64 {
    if let Value::Integer(number) = value { *number } else { 0 }
}
