//! The statements of a commit: one per table and step, with as few texts as possible, because each text is
//! prepared once per connection.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement, Value};

use super::plan::{Row, Swap};
use crate::backend::reader::Reader;
use crate::table::{Entry, Key, Meta, Val};

/// Most rows of one statement: times the widest table it stays far below the bind limits (32,766 on SQLite, 65,535 on
/// PostgreSQL).
const ROWS_MAX: usize = 512;

/// Most rows of each table that go together with those of others in one text.
const TOGETHER_MAX: usize = 64;

/// Columns of a table whose statements are short enough to be kept for every count of rows up to 64.
const NARROW: usize = 5;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The keys are fresh.
    Insert,
    /// A row under the same key is replaced.
    Upsert,
    /// A row under the same key stays.
    InsertOrKeep,
}

/// Rows to write, sent table by table in the order in which they were added.
///
/// On SQLite a group in which every table gets as many rows as the others, or one (as where everybody does the same),
/// goes as one text in one trip. Other groups go statement by statement: each text is prepared once per connection,
/// and there are too many ways to be different.
pub(crate) struct Writes<'a> {
    backend: DbBackend,
    tables: Vec<(&'static Meta, Mode, Vec<Row<'a>>)>,
}

impl<'a> Writes<'a> {
    /// None yet.
    pub(crate) fn new(backend: DbBackend) -> Self {
        Self { backend, tables: Vec::new() }
    }

    /// Adds the rows of a table.
    pub(crate) fn add(&mut self, meta: &'static Meta, mode: Mode, rows: Vec<Row<'a>>) {
        if !rows.is_empty() {
            self.tables.push((meta, mode, rows));
        }
    }

    /// Sends them.
    pub(crate) async fn send(self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        let most = self.tables.iter().map(|(.., rows)| rows.len()).max().unwrap_or_default();
        let alike = self.tables.iter().all(|(.., rows)| rows.len() == most || rows.len() == 1);
        if self.backend == DbBackend::Sqlite && self.tables.len() > 1 && alike && most <= TOGETHER_MAX {
            return self.send_together(transaction).await;
        }
        for (meta, mode, rows) in self.tables {
            write_rows(transaction, meta, mode, rows).await?;
        }
        Ok(())
    }

    async fn send_together(self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        let (mut text, mut values) = (String::new(), Vec::new());
        for (meta, mode, rows) in self.tables {
            let separator = if text.is_empty() { "" } else { "; " };
            text.push_str(separator);
            text.push_str(&insert_text(self.backend, meta, mode, rows.len()));
            rows.into_iter().for_each(|row| push_values(&mut values, row));
        }
        transaction.execute_raw(Statement::from_sql_and_values(self.backend, text, values)).await.map(drop)
    }
}

async fn write_rows(
    transaction: &DatabaseTransaction,
    meta: &Meta,
    mode: Mode,
    rows: Vec<Row<'_>>,
) -> Result<(), DbErr> {
    let backend = transaction.get_database_backend();
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let count = step(rows.len(), meta.columns.len());
        let mut values = Vec::with_capacity(count * meta.columns.len());
        rows.by_ref().take(count).for_each(|row| push_values(&mut values, row));
        let text = insert_text(backend, meta, mode, count);
        transaction.execute_raw(Statement::from_sql_and_values(backend, text, values)).await?;
    }
    Ok(())
}

fn push_values(values: &mut Vec<Value>, row: Row<'_>) {
    match row {
        Cow::Owned(row) => values.extend(row.into_iter().map(Value::from)),
        Cow::Borrowed(row) => values.extend(row.iter().cloned().map(Value::from)),
    }
}

/// Writes the rows whose keys are not there yet and returns the first column of those it wrote. One statement: for few
/// rows.
pub(crate) async fn insert_missing(
    transaction: &DatabaseTransaction,
    meta: &Meta,
    rows: Vec<Vec<Val>>,
) -> Result<BTreeSet<String>, DbErr> {
    let backend = transaction.get_database_backend();
    let mut text = insert_text(backend, meta, Mode::InsertOrKeep, rows.len());
    text.push_str(" RETURNING site");
    let values: Vec<Value> = rows.into_iter().flatten().map(Value::from).collect();
    let written = transaction.query_all_raw(Statement::from_sql_and_values(backend, text, values)).await?;
    written.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Deletes rows by key.
pub(crate) async fn delete_rows(
    transaction: &DatabaseTransaction,
    meta: &Meta,
    keys: Vec<Key>,
) -> Result<(), DbErr> {
    let backend = transaction.get_database_backend();
    for chunk in keys.chunks(256) {
        let mut text = format!("DELETE FROM {} WHERE ", meta.name);
        let values = push_key_condition(&mut text, backend, meta, chunk);
        transaction.execute_raw(Statement::from_sql_and_values(backend, text, values)).await?;
    }
    Ok(())
}

/// Exchanges a column's value, row by row, where it is still the old one.
pub(crate) async fn swap_values(
    transaction: &DatabaseTransaction,
    meta: &Meta,
    column: &str,
    swaps: &[Swap<'_>],
) -> Result<(), DbErr> {
    let backend = transaction.get_database_backend();
    let name = meta.name;
    for chunk in swaps.chunks(TOGETHER_MAX) {
        let mut keys = String::new();
        push_tuples(&mut keys, backend, chunk.len(), meta.key + 2);
        let of_key = meta.columns.iter().take(meta.key).enumerate();
        let equal = of_key.map(|(index, key)| format!("{name}.{key} = k.column{}", index + 1));
        let (old, new) = (meta.key + 1, meta.key + 2);
        let text = format!(
            "UPDATE {name} SET {column} = k.column{new} FROM (VALUES {keys}) AS k WHERE {} AND {name}.{column} = k.column{old}",
            equal.collect::<Vec<_>>().join(" AND ")
        );
        let mut values = Vec::with_capacity(chunk.len() * new);
        for (key, old, new) in chunk {
            values.extend(key.iter().cloned().map(Value::from));
            values.extend([Value::Bytes(Some(old.to_vec())), Value::Bytes(new.map(<[u8]>::to_vec))]);
        }
        transaction.execute_raw(Statement::from_sql_and_values(backend, text, values)).await?;
    }
    Ok(())
}

/// The rows of these keys: the given columns, in any order.
pub(crate) async fn select_by_keys(
    connection: &impl ConnectionTrait,
    meta: &Meta,
    columns: &str,
    keys: &[Key],
    suffix: &str,
) -> Result<Vec<QueryResult>, DbErr> {
    let backend = connection.get_database_backend();
    let mut found = Vec::new();
    for chunk in keys.chunks(256) {
        let (mut text, values) = select_text(backend, meta, columns, chunk);
        text.push_str(suffix);
        found.extend(connection.query_all_raw(Statement::from_sql_and_values(backend, text, values)).await?);
    }
    Ok(found)
}

/// The text that reads the rows of these keys, and what is bound to it.
pub(crate) fn select_text(
    backend: DbBackend,
    meta: &Meta,
    columns: &str,
    keys: &[Key],
) -> (String, Vec<Value>) {
    let mut text = format!("SELECT {columns} FROM {} WHERE ", meta.name);
    let values = push_key_condition(&mut text, backend, meta, keys);
    (text, values)
}

/// Statements that read, sent together: on SQLite as one text in one trip, on PostgreSQL one after the other.
///
/// The keys come first and the table is searched once for each of them (`CROSS JOIN` keeps that order): by a list of
/// pairs after `IN`, SQLite may read the whole table.
pub(crate) struct Reads {
    backend: DbBackend,
    statements: Vec<(String, Vec<Value>)>,
}

impl Reads {
    /// None yet.
    pub(crate) fn new(backend: DbBackend) -> Self {
        Self { backend, statements: Vec::new() }
    }

    /// The rows whose keys begin with these pairs, no pair twice; `also` narrows them further. The rows of the
    /// statement begin with `part`.
    pub(crate) fn add<E: Entry>(&mut self, part: i32, pairs: &[[&str; 2]], also: &str) {
        let (columns, on) = (columns_of(E::META, "t"), pair_condition(E::META, "t"));
        self.push(pairs, |keys| {
            format!("SELECT {part}, {columns} FROM {keys} CROSS JOIN {} AS t WHERE {on}{also}", E::META.name)
        });
    }

    /// The rows of `E` whose site and id the rows of `F` with these keys hold in `site` and the column `named`; one that
    /// is named twice comes twice.
    pub(crate) fn add_named_by<E: Entry, F: Entry>(&mut self, part: i32, named: &str, pairs: &[[&str; 2]]) {
        let (columns, on) = (columns_of(E::META, "t"), pair_condition(F::META, "f"));
        self.push(pairs, |keys| {
            format!(
                "SELECT {part}, {columns} FROM {keys} CROSS JOIN {} AS f CROSS JOIN {} AS t \
                 WHERE {on} AND t.site = f.site AND t.id = f.{named}",
                F::META.name,
                E::META.name
            )
        });
    }

    /// Adds a statement for every 256 pairs; their number is filled up with nothing to a power of two, so that there
    /// are few texts.
    fn push(&mut self, pairs: &[[&str; 2]], text: impl Fn(&str) -> String) {
        for chunk in pairs.chunks(256) {
            let count = chunk.len().next_power_of_two();
            let mut keys = String::from("(VALUES ");
            push_tuples(&mut keys, self.backend, count, 2);
            keys.push_str(") AS k");
            let values = chunk.iter().flatten().map(|key| Some((*key).to_owned()));
            let filled = values.chain(std::iter::repeat(None)).take(count * 2);
            self.statements.push((text(&keys), filled.map(Value::String).collect()));
        }
    }

    /// Sends them; the first column of a row tells its part, the next ones are those of its table in order.
    pub(crate) async fn send(self, reader: &Reader) -> Result<Vec<QueryResult>, DbErr> {
        if self.backend == DbBackend::Sqlite && !self.statements.is_empty() {
            let (texts, values): (Vec<String>, Vec<Vec<Value>>) = self.statements.into_iter().unzip();
            return reader.query(texts.join("; "), values.into_iter().flatten().collect()).await;
        }
        let mut found = Vec::new();
        for (text, values) in self.statements {
            found.extend(reader.query(text, values).await?);
        }
        Ok(found)
    }
}

fn columns_of(meta: &Meta, alias: &str) -> String {
    meta.columns.iter().map(|column| format!("{alias}.{column}")).collect::<Vec<_>>().join(", ")
}

/// The first two columns of the key are those of the pair `k`.
fn pair_condition(meta: &Meta, alias: &str) -> String {
    let pair = meta.columns.iter().take(2).enumerate();
    let equal = pair.map(|(index, column)| format!("{alias}.{column} = k.column{}", index + 1));
    equal.collect::<Vec<_>>().join(" AND ")
}

/// Reads the key of a row selected with the key columns first. `like` is any key of the table: it tells the types.
pub(crate) fn key_of_row(row: &QueryResult, like: &Key) -> Result<Key, DbErr> {
    like.iter()
        .enumerate()
        .map(|(index, val)| {
            Ok(match val {
                Val::Text(_) | Val::NoText => Val::from(row.try_get_by_index::<Option<String>>(index)?),
                Val::Int(_) | Val::NoInt => Val::from(row.try_get_by_index::<Option<i64>>(index)?),
                Val::Bytes(_) | Val::NoBytes => Val::from(row.try_get_by_index::<Option<Vec<u8>>>(index)?),
            })
        })
        .collect()
}

/// How many of `rows` go into the next statement. Each text is prepared once per connection, each statement is a trip to
/// it: with these steps two statements hold nearly every group, and there are some fifty texts per table.
/// Narrow tables, such as the audit entries and heads that a read leaves, take one.
fn step(rows: usize, columns: usize) -> usize {
    match rows {
        17..=64 if columns <= NARROW => rows,
        0..=16 => rows,
        17..=32 => rows - rows % 2,
        33..=64 => rows - rows % 4,
        65..=256 => rows - rows % 16,
        _ => (rows - rows % 128).min(ROWS_MAX),
    }
}

fn insert_text(backend: DbBackend, meta: &Meta, mode: Mode, rows: usize) -> String {
    let width = meta.columns.len();
    let mut text = String::with_capacity(64 + width * 16 + rows * width * 6);
    let _ = write!(text, "INSERT INTO {} ({}) VALUES ", meta.name, meta.columns.join(", "));
    push_tuples(&mut text, backend, rows, width);
    let key = || meta.columns.iter().take(meta.key).copied().collect::<Vec<_>>().join(", ");
    match mode {
        Mode::Insert => {}
        Mode::InsertOrKeep => {
            let _ = write!(text, " ON CONFLICT ({}) DO NOTHING", key());
        }
        Mode::Upsert if width == meta.key => {
            let _ = write!(text, " ON CONFLICT ({}) DO NOTHING", key());
        }
        Mode::Upsert => {
            let _ = write!(text, " ON CONFLICT ({}) DO UPDATE SET ", key());
            for (index, column) in meta.columns.iter().skip(meta.key).enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                let _ = write!(text, "{comma}{column} = excluded.{column}");
            }
        }
    }
    text
}

/// `(a, b) IN (VALUES (?, ?), …)`, with the last key repeated up to a power of two so that there are few texts.
fn push_key_condition(text: &mut String, backend: DbBackend, meta: &Meta, keys: &[Key]) -> Vec<Value> {
    let count = keys.len().next_power_of_two();
    let columns = meta.columns.iter().take(meta.key).copied().collect::<Vec<_>>().join(", ");
    if meta.key == 1 {
        let _ = write!(text, "{columns} IN (");
        for index in 0..count {
            text.push_str(if index == 0 { "" } else { ", " });
            push_placeholder(text, backend, index);
        }
    } else {
        let _ = write!(text, "({columns}) IN (VALUES ");
        push_tuples(text, backend, count, meta.key);
    }
    text.push(')');
    let last = keys.last().into_iter().cycle().take(count - keys.len());
    keys.iter().chain(last).flatten().cloned().map(Value::from).collect()
}

fn push_tuples(text: &mut String, backend: DbBackend, rows: usize, width: usize) {
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..width {
            text.push_str(if column == 0 { "" } else { ", " });
            push_placeholder(text, backend, row * width + column);
        }
        text.push(')');
    }
}

/// The placeholder of the value at an index.
pub(crate) fn placeholder(backend: DbBackend, index: usize) -> String {
    let mut text = String::new();
    push_placeholder(&mut text, backend, index);
    text
}

fn push_placeholder(text: &mut String, backend: DbBackend, index: usize) {
    match backend {
        DbBackend::Postgres => {
            let _ = write!(text, "${}", index + 1);
        }
        _ => text.push('?'), // a foreign enum; the other one the store opens is SQLite
    }
}
