//! Every column that holds sealed cells: where a cell of it stands, and whose key seals it.
//!
//! Whoever seals or opens one value says so in its resource's module. This is for whoever handles the cells of all of them:
//! the replacement of keys, erasure. A test holds that every column of bytes is here or is known to be clear.

use linli_core::id::{ResidentId, SubjectKind};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};

use crate::crypto::cell::Place;
use crate::seal::Holder;
use crate::store::Store;
use crate::table::{Key, Table, Val};
use crate::writer::sql::{key_of_row, placeholder};

/// A column that holds sealed cells. The names are those of columns of the table.
pub(crate) struct SealedColumn {
    /// Its table.
    pub(crate) table: Table,
    /// Its name.
    pub(crate) column: &'static str,
    /// The table that the place names, where it is another one.
    pub(crate) place_table: &'static str,
    /// The columns that make the place's row.
    pub(crate) row: &'static [&'static str],
    /// The column that the place names.
    pub(crate) place_column: PlaceColumn,
    /// The version that the place names.
    pub(crate) version: PlaceVersion,
    /// Whose key seals it.
    pub(crate) holder: HeldBy,
}

/// The column that a place names.
pub(crate) enum PlaceColumn {
    /// This one.
    Named(&'static str),
    /// The one that this column names.
    In(&'static str),
}

/// The version that a place names.
pub(crate) enum PlaceVersion {
    /// Such rows have one version.
    One,
    /// The one in this column.
    In(&'static str),
}

/// Whose key seals a cell.
pub(crate) enum HeldBy {
    /// The site.
    Site,
    /// The resident in this column.
    Resident(&'static str),
    /// The subject of `subject_kind` and `subject`: a resident, or else the site.
    Subject,
}

macro_rules! sealed {
    ($($table:ident.$column:literal = $place:literal $row:tt $of:expr, $version:expr, $holder:expr;)*) => {
        /// Every one of them.
        pub(crate) const SEALED: &[SealedColumn] = &[$(SealedColumn {
            table: Table::$table,
            column: $column,
            place_table: $place,
            row: &$row,
            place_column: $of,
            version: $version,
            holder: $holder,
        },)*];
    };
}

use HeldBy::{Resident, Site, Subject};
use PlaceColumn::{In as Of, Named};
use PlaceVersion::{In, One};

sealed! {
    ResidentCell."cell" = "resident_cell" ["resident"] Of("class"), In("version"), Resident("resident");
    Fact."cell" = "fact" ["resident", "field"] Of("class"), In("recorded_at"), Resident("resident");
    Membership."evidence" = "membership" ["resident", "id"] Named("evidence"), In("version"), Resident("resident");
    Record."correction" = "record" ["id"] Named("correction"), In("version"), Site;
    RecordVersion."correction" = "record" ["id"] Named("correction"), In("version"), Site;
    RecordContent."cell" =
        "record_content" ["record", "subject_kind", "subject"] Named("content"), In("version"), Subject;
    Evaluation."comment" =
        "evaluation" ["record", "subject_kind", "subject"] Named("comment"), In("version"), Subject;
    Pause."remark" = "pause" ["resident", "id"] Named("remark"), In("version"), Resident("resident");
    Waiver."reason" = "waiver" ["resident", "id"] Named("reason"), In("version"), Resident("resident");
    CarePlan."words" = "care_plan" ["resident"] Named("words"), In("revision"), Resident("resident");
    PlanDecision."reason" = "plan_decision" ["resident"] Named("reason"), In("revision"), Resident("resident");
    EmergencyAccess."reason" = "emergency_access" ["id"] Named("reason"), In("version"), Resident("resident");
    EmergencyAccess."remark" = "emergency_access" ["id"] Named("remark"), In("version"), Resident("resident");
    Consent."signed_by" = "consent" ["resident", "id"] Named("signed_by"), One, Resident("resident");
    CareEvent."note" = "care_event" ["subject_kind", "subject", "id"] Named("note"), One, Subject;
    RequestWords."cell" = "request_words" ["request"] Of("part"), One, Subject;
    ReferralWords."cell" = "referral_words" ["referral"] Of("part"), In("version"), Resident("resident");
    SurveyWords."cell" = "survey_words" ["survey", "answer", "person"] Of("class"), One, Subject;
    History."old_cell" = "history" ["resident", "id"] Named("old"), One, Resident("resident");
    History."new_cell" = "history" ["resident", "id"] Named("new"), One, Resident("resident");
    Idempotency."answer" = "idempotency" [] Named("answer"), One, Site;
}

/// A cell as it lies in the database, and where.
#[derive(Debug, Clone)]
pub(crate) struct StoredCell {
    pub(crate) table: Table,
    pub(crate) column: &'static str,
    pub(crate) key: Key,
    pub(crate) holder: Holder,
    pub(crate) resident: Option<ResidentId>,
    pub(crate) bytes: Vec<u8>,
    site: String,
    place_table: &'static str,
    row: Vec<String>,
    place_column: String,
    version: i64,
}

impl StoredCell {
    /// Calls `then` with its place.
    pub(crate) fn at_its_place<T>(&self, then: impl FnOnce(&Place<'_>) -> T) -> T {
        let row: Vec<&str> = self.row.iter().map(String::as_str).collect();
        let (site, table, column) = (self.site.as_str(), self.place_table, self.place_column.as_str());
        then(&Place { site, table, row: &row, column, version: self.version })
    }
}

/// What is selected of a column's cells: the key, the cell, and what the place and the holder need beside the key.
fn selected(sealed: &SealedColumn) -> Vec<&'static str> {
    let meta = sealed.table.meta();
    let mut columns: Vec<&'static str> = meta.columns.iter().take(meta.key).copied().collect();
    columns.push(sealed.column);
    columns.extend(sealed.row);
    if let Of(column) = sealed.place_column {
        columns.push(column);
    }
    if let In(column) = sealed.version {
        columns.push(column);
    }
    match sealed.holder {
        Site => {}
        Resident(column) => columns.push(column),
        Subject => columns.extend(["subject_kind", "subject"]),
    }
    columns
}

impl Store {
    /// The cells of a column that keys below `key_version` sealed, in key order after a key.
    pub(crate) async fn cells_below(
        &self,
        site: &str,
        sealed: &'static SealedColumn,
        after: Option<&Key>,
        key_version: u32,
        limit: u64,
    ) -> Result<Vec<StoredCell>, DbErr> {
        let backend = self.reader().get_database_backend();
        let (meta, column) = (sealed.table.meta(), sealed.column);
        let mut values = vec![Value::from(site), Value::from(key_version.to_be_bytes().to_vec())];
        let mark = |index: usize| placeholder(backend, index);
        let key: Vec<&str> = meta.columns.iter().take(meta.key).copied().collect();
        let later = match after {
            None => String::new(),
            Some(after) => {
                // The site is fixed: the rest of the key decides.
                let rest = after.iter().skip(1).cloned().map(Value::from);
                values.extend(rest);
                let marks: Vec<String> = (2..values.len()).map(mark).collect();
                format!(" AND ({}) > ({})", key.get(1..).unwrap_or_default().join(", "), marks.join(", "))
            }
        };
        let text = format!(
            "SELECT {} FROM {} WHERE site = {} AND substr({column}, 3, 4) < {}{later} ORDER BY {} LIMIT {limit}",
            selected(sealed).join(", "),
            meta.name,
            mark(0),
            mark(1),
            key.join(", "),
        );
        let rows = self.reader().query_all_raw(Statement::from_sql_and_values(backend, text, values)).await?;
        rows.iter().map(|row| stored_cell(row, sealed)).collect()
    }
}

fn stored_cell(row: &QueryResult, sealed: &SealedColumn) -> Result<StoredCell, DbErr> {
    let key = key_of_row(row, &like(sealed.table))?;
    let site: String = row.try_get_by_index(0)?;
    let mut next = sealed.table.meta().key..;
    let mut at = || next.next().unwrap_or_default();
    let bytes: Vec<u8> = row.try_get_by_index(at())?;
    let mut texts = Vec::with_capacity(sealed.row.len());
    for _ in sealed.row {
        texts.push(row.try_get_by_index(at())?);
    }
    let place_column = match sealed.place_column {
        Named(column) => column.to_owned(),
        Of(_) => row.try_get_by_index(at())?,
    };
    let version = match sealed.version {
        One => 1,
        In(_) => row.try_get_by_index(at())?,
    };
    let resident = match sealed.holder {
        Site => None,
        Resident(_) => Some(row.try_get_by_index::<String>(at())?),
        Subject => {
            let kind: String = row.try_get_by_index(at())?;
            let subject: String = row.try_get_by_index(at())?;
            (kind == SubjectKind::Resident.code()).then_some(subject)
        }
    };
    let resident = resident.map(|id| ResidentId::new(&id)).transpose();
    let resident = resident.map_err(|_| DbErr::Type("a resident's id".into()))?;
    let holder = resident.as_ref().map_or(Holder::Site, |id| Holder::Resident(id.as_str().to_owned()));
    Ok(StoredCell {
        table: sealed.table,
        column: sealed.column,
        key,
        holder,
        resident,
        bytes,
        site,
        place_table: sealed.place_table,
        row: texts,
        place_column,
        version,
    })
}

/// Values of the types of a table's key: text but for numbers, which these tables count by.
pub(crate) fn like(table: Table) -> Key {
    let meta = table.meta();
    let typed = |column: &&str| match *column {
        "recorded_at" | "true_from" | "version" | "occurred_at" | "from_day" | "until_day" | "seq"
        | "revision" => Val::Int(0),
        _ => Val::Text(String::new()), // names of columns, not an enum of ours
    };
    meta.columns.iter().take(meta.key).map(typed).collect()
}
