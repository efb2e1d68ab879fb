//! `linli import`: a roster as the estate keeps it, into the care files of a site. A client like any other: it reads
//! the file here, sends the rows and says what became of each. The same file again changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use linli_core::id::{FieldCode, SiteId};
use linli_core::resident::FactValue;
use linli_core::text::Language;
use linli_core::time::{CivilDate, Clock as _};

use super::connect::{Connect, cannot_read, refused};
use super::output::{Lang, Progress};
use super::{ConfigFile, Failure, report, say};
use crate::app::import::IMPORT_ROWS_MAX;
use crate::config::Flags;
use crate::grpc::client::{Candidate, Client, ClientError, FactType, RowOutcome, Taking};
use crate::roster::column::ColumnMap;
use crate::roster::problem::{FileProblem, Problem};
use crate::roster::{self, Options, Roster, RosterRow};
use crate::time::{IdSource, RandomIds, SystemClock};

/// Rows in one call where no configuration says otherwise: enough to share commits, few enough to see progress.
pub const ROWS_PER_CALL: usize = 200;
/// Notes that are printed; the rest is counted.
const NOTES_SHOWN: usize = 20;

/// Read a roster (.xlsx or .csv) into the care files of a site.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Import {
    /// The roster, `.xlsx` or `.csv`, with a row of titles in Chinese or English.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The site, `sites/xingfuli` or `xingfuli`.
    #[arg(long, value_name = "SITE")]
    site: String,
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    config: ConfigFile,
    /// What columns and words mean that are not known by themselves, TOML; see below.
    #[arg(long, value_name = "FILE")]
    column_map: Option<PathBuf>,
    /// Add dwellings that the site does not have; without it their rows are refused.
    #[arg(long)]
    create_dwellings: bool,
    /// Ask the server what would become of each row, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Read the file alone, say what is wrong with it, and call no server.
    #[arg(long, conflicts_with_all = ["dry_run", "not_duplicates"])]
    file_only: bool,
    /// Write what became of each row to a file, `.xlsx` or `.csv`: line, outcome, problems, who may be the same person.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Lines of people who are nobody else, although a file or another line is like them: `5,17`.
    #[arg(long, value_name = "LINES", value_delimiter = ',')]
    not_duplicates: Vec<u32>,
    /// Language of messages; without it that of the environment.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

const EXAMPLES: &str = r#"Examples:
  linli import --site xingfuli --file-only roster.xlsx
  LINLI_TOKEN=... linli import --site xingfuli --dry-run --report what-would-become.xlsx roster.xlsx
  LINLI_TOKEN=... linli import --site xingfuli --endpoint http://127.0.0.1:50051 roster.xlsx
  linli import --site xingfuli --token-file token --column-map map.toml roster.csv

A column map:
  sheet = "2026"                       # which sheet of a workbook
  carry_down = true                    # blank places repeat those above (merged cells, which .csv loses)
  [columns]
  "户主" = "name"                       # place building unit room name sex birth_date identity_number phone
  "评估结论" = "fact.ability_level"      # moved_in surveyed_on health family status needs remark classes living
  "是否信教" = "ignore"                  # emergency.name emergency.phone emergency.relation fact.FIELD[:TYPE] ignore
  [values."fact.ability_level"]
  "半失能" = "2"

Exit code: 0 every row was imported, 1 rows were refused or the server cannot be reached, 2 the file or an option is wrong."#;

impl Import {
    /// Imports, and says what became of the rows.
    ///
    /// # Errors
    /// An option or a file that is wrong, a server that refuses, or rows that were refused.
    pub async fn run(self) -> Result<(), Failure> {
        let language = Lang::or_of_environment(self.lang);
        let site = SiteId::new(self.site.strip_prefix("sites/").unwrap_or(&self.site))
            .map_err(|why| Failure::Usage(format!("`--site` {}", why.message(language))))?;
        let (columns, rows_per_call) = self.columns(language)?;
        let bytes = std::fs::read(&self.file).map_err(|err| cannot_read(&self.file, &err))?;
        let report = self
            .report
            .as_deref()
            .map(report::Kind::of)
            .transpose()
            .map_err(|()| Failure::Usage("`--report` must end in `.xlsx` or `.csv`".into()))?;
        let client = if self.file_only { None } else { Some(self.connect.client(language).await?) };
        let today = match &client {
            Some(client) => Some(client.site_date(&site).await.map_err(|err| refused(&err, language))?),
            None => None,
        };
        let columns = match &client {
            Some(client) => {
                columns.with_fields(client.fact_columns().await.map_err(|err| refused(&err, language))?)
            }
            None => columns,
        };
        let roster = roster::read(&bytes, &Options { columns, today })
            .map_err(|problem| unreadable(&self.file, &problem, language))?;
        let summary = match client {
            None => Summary::of_file(&roster, language),
            Some(client) => {
                let taking = Taking {
                    create_dwellings: self.create_dwellings,
                    validate_only: self.dry_run,
                    not_duplicates: self.not_duplicates.iter().copied().collect(),
                };
                import(&client, &site, &roster, rows_per_call, &taking)
                    .await
                    .map_err(|err| refused(&err, language))?
            }
        };
        summary.print(language);
        if let (Some(path), Some(kind)) = (&self.report, report) {
            let bytes = kind.write(&summary, language).map_err(Failure::Failed)?;
            std::fs::write(path, bytes)
                .map_err(|err| Failure::Failed(format!("`{}` cannot be written: {err}", path.display())))?;
        }
        summary.verdict(language)
    }

    /// The column map, that of the configuration before that of the file, and the rows of one call.
    fn columns(&self, language: Language) -> Result<(ColumnMap, usize), Failure> {
        let wrong = |problem: FileProblem| Failure::Usage(problem.message(language));
        let map = match &self.column_map {
            None => ColumnMap::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|err| cannot_read(path, &err))?;
                ColumnMap::parse(&text).map_err(wrong)?
            }
        };
        if self.config.config.is_none() {
            return Ok((map, ROWS_PER_CALL));
        }
        let settings = self.config.load(&Flags::default())?.import;
        let rows_per_call = usize::try_from(settings.batch).unwrap_or(ROWS_PER_CALL);
        Ok((map.with_columns(&settings.columns).map_err(wrong)?, rows_per_call))
    }
}

fn unreadable(path: &std::path::Path, problem: &FileProblem, language: Language) -> Failure {
    Failure::Usage(format!("`{}`: {}", path.display(), problem.message(language)))
}

/// Sends the good rows of a roster and says what became of every row. Facts that no plugin of the server reads are
/// left out, and counted.
///
/// # Errors
/// What the server refused as a whole. Rows of earlier calls are kept; the same import again changes nothing there.
pub async fn import(
    client: &Client,
    site: &SiteId,
    roster: &Roster,
    rows_per_call: usize,
    taking: &Taking,
) -> Result<Summary, ClientError> {
    let language = client.language();
    let mut summary = Summary::of_file(roster, language);
    let types = client.fact_types().await?;
    let rows: Vec<RosterRow> = roster.good().map(|row| summary.fitted(row, &types, language)).collect();
    let ids = RandomIds::new();
    summary.preview = taking.validate_only;
    let label = match (taking.validate_only, language) {
        (false, Language::Zh) => "导入",
        (false, Language::En) => "importing",
        (true, Language::Zh) => "预览",
        (true, Language::En) => "looking",
    };
    // What a preview does not write, the next call would not know: it sees the whole roster, or as much as one call takes.
    let rows_per_call = if taking.validate_only { IMPORT_ROWS_MAX } else { rows_per_call };
    let mut progress = Progress::new(label, rows.len());
    for chunk in rows.chunks(rows_per_call.max(1)) {
        // One id per call: a call that broke off after its commit gets its answer again.
        let request_id = ids.next(SystemClock.now());
        let outcomes = client.import(site, chunk, taking, &request_id).await?;
        for (row, outcome) in chunk.iter().zip(outcomes) {
            summary.count(row.line, with_hint(outcome, taking.create_dwellings, language), language);
        }
        progress.advance(chunk.len());
    }
    progress.finish();
    summary.refused.sort_by_key(|(line, _)| *line);
    summary.lines.sort_by_key(|line| line.line);
    Ok(summary)
}

/// What became of a roster.
#[derive(Debug, Default)]
pub struct Summary {
    /// Rows with a person.
    pub rows: usize,
    /// Rows that opened a file.
    pub created: usize,
    /// Rows that changed a file.
    pub updated: usize,
    /// Rows that said what the file says already.
    pub unchanged: usize,
    /// Rows that were not imported, by line, with everything that is wrong.
    pub refused: Vec<(u32, Vec<String>)>,
    /// What became of each row, by line.
    pub lines: Vec<ReportLine>,
    /// What else an operator should know.
    pub notes: Vec<String>,
    /// Values of facts that no plugin reads, by field.
    unread: BTreeMap<FieldCode, usize>,
    sent: bool,
    /// Whether nothing was written.
    preview: bool,
}

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportLine {
    /// The line of the file, from 1.
    pub line: u32,
    /// What became of it.
    pub outcome: LineOutcome,
    /// Everything that is wrong with it.
    pub problems: Vec<String>,
    /// Who may be the same person.
    pub candidates: Vec<String>,
}

/// What became of a row, as a report says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOutcome {
    /// A file was opened, or would be.
    Created,
    /// A file was changed, or would be.
    Updated,
    /// The file says so already.
    Unchanged,
    /// Nothing of it was or would be written.
    Refused,
    /// It can be read; nobody was asked.
    Readable,
}

impl Summary {
    /// What the file alone says.
    pub fn of_file(roster: &Roster, language: Language) -> Self {
        let mut summary = Self { rows: roster.rows.len(), ..Self::default() };
        for row in &roster.rows {
            let problems: Vec<String> = row
                .person
                .as_ref()
                .err()
                .into_iter()
                .flatten()
                .map(|p: &Problem| p.message(language))
                .collect();
            let outcome = if row.person.is_ok() { LineOutcome::Readable } else { LineOutcome::Refused };
            if row.person.is_err() {
                summary.refused.push((row.line, problems.clone()));
            }
            summary.lines.push(ReportLine { line: row.line, outcome, problems, candidates: Vec::new() });
        }
        if !roster.other_sheets.is_empty() {
            let names = roster.other_sheets.join(", ");
            summary.notes.push(match language {
                Language::Zh => format!("只读取了工作表 `{}`;未读取:{names}", roster.sheet),
                Language::En => format!("only the sheet `{}` was read; not read: {names}", roster.sheet),
            });
        }
        if !roster.unknown_columns.is_empty() {
            let titles: Vec<String> =
                roster.unknown_columns.iter().map(|title| format!("`{title}`")).collect();
            summary.notes.push(match language {
                Language::Zh => format!("未识别的列,未导入:{}", titles.join(" ")),
                Language::En => format!("columns that are not known and were not read: {}", titles.join(" ")),
            });
        }
        for row in &roster.rows {
            for note in &row.notes {
                summary.notes.push(at_line(row.line, &note.message(language), language));
            }
        }
        summary
    }

    /// The row with its facts in the types that the server's plugins declare.
    fn fitted(
        &mut self,
        row: &RosterRow,
        types: &BTreeMap<FieldCode, FactType>,
        language: Language,
    ) -> RosterRow {
        let mut row = row.clone();
        let mut misfits = BTreeSet::new();
        row.facts = std::mem::take(&mut row.facts)
            .into_iter()
            .filter_map(|(field, value)| match types.get(&field) {
                None => {
                    *self.unread.entry(field).or_default() += 1;
                    None
                }
                Some(fact_type) => match fit(value, fact_type) {
                    Some(value) => Some((field, value)),
                    None => {
                        misfits.insert(field);
                        None
                    }
                },
            })
            .collect();
        for field in misfits {
            let what = match language {
                Language::Zh => format!("`{field}` 的取值不符合插件的要求,未导入"),
                Language::En => {
                    format!("the value of `{field}` does not fit what the plugin declares; it was not read")
                }
            };
            self.notes.push(at_line(row.line, &what, language));
        }
        row
    }

    fn count(&mut self, line: u32, outcome: RowOutcome, language: Language) {
        self.sent = true;
        let (outcome, problems, candidates) = match outcome {
            RowOutcome::Created => {
                self.created += 1;
                (LineOutcome::Created, Vec::new(), Vec::new())
            }
            RowOutcome::Updated => {
                self.updated += 1;
                (LineOutcome::Updated, Vec::new(), Vec::new())
            }
            RowOutcome::Unchanged => {
                self.unchanged += 1;
                (LineOutcome::Unchanged, Vec::new(), Vec::new())
            }
            RowOutcome::Refused { why, candidates } => {
                let candidates: Vec<String> =
                    candidates.iter().map(|candidate| alike(candidate, language)).collect();
                let all = if candidates.is_empty() {
                    why.clone()
                } else {
                    vec![may_be_same(&candidates, language)]
                };
                self.refused.push((line, all));
                (LineOutcome::Refused, why, candidates)
            }
        };
        if let Some(told) = self.lines.iter_mut().find(|told| told.line == line) {
            (told.outcome, told.problems, told.candidates) = (outcome, problems, candidates);
        }
    }

    /// Prints the refused rows, the notes and the totals.
    pub fn print(&self, language: Language) {
        for (line, problems) in &self.refused {
            say(format_args!("  {}", at_line(*line, &problems.join("; "), language)));
        }
        for note in self.notes.iter().take(NOTES_SHOWN) {
            match language {
                Language::Zh => say(format_args!("  提示:{note}")),
                Language::En => say(format_args!("  note: {note}")),
            }
        }
        if let Some(more) = self.notes.len().checked_sub(NOTES_SHOWN).filter(|more| *more > 0) {
            match language {
                Language::Zh => say(format_args!("  另有 {more} 条提示")),
                Language::En => say(format_args!("  and {more} more notes")),
            }
        }
        for (field, count) in &self.unread {
            match language {
                Language::Zh => say(format_args!("  提示:没有插件使用 `{field}`,{count} 个取值未导入")),
                Language::En => {
                    say(format_args!("  note: no plugin reads `{field}`; {count} values were not imported"))
                }
            }
        }
        say(format_args!("  {}", self.totals(language)));
    }

    /// One line of totals.
    pub fn totals(&self, language: Language) -> String {
        let Self { rows, created, updated, unchanged, refused, .. } = self;
        let refused = refused.len();
        match (self.sent, language) {
            (true, Language::Zh) if self.preview => format!(
                "{rows} 行(预览,未写入):将新建 {created},将更新 {updated},无变化 {unchanged},不会导入 {refused}"
            ),
            (true, Language::En) if self.preview => format!(
                "{rows} rows, nothing written: {created} would be created, {updated} updated, {unchanged} unchanged, \
                 {refused} refused"
            ),
            (true, Language::Zh) => {
                format!("{rows} 行:新建 {created},更新 {updated},无变化 {unchanged},未导入 {refused}")
            }
            (true, Language::En) => {
                format!(
                    "{rows} rows: {created} created, {updated} updated, {unchanged} unchanged, {refused} refused"
                )
            }
            (false, Language::Zh) => format!("{rows} 行:可导入 {},有误 {refused}", rows - refused),
            (false, Language::En) => format!("{rows} rows: {} fit, {refused} do not", rows - refused),
        }
    }

    /// A failure where rows were refused.
    fn verdict(&self, language: Language) -> Result<(), Failure> {
        match (self.refused.len(), language) {
            (0, _) => Ok(()),
            (refused, Language::Zh) => Err(Failure::Failed(format!("{refused} 行未导入;改正后重新导入即可"))),
            (refused, Language::En) => {
                Err(Failure::Failed(format!("{refused} rows were refused; correct them and import again")))
            }
        }
    }
}

/// A dwelling that the site does not have is the commonest refusal, and has a remedy.
fn with_hint(outcome: RowOutcome, create_dwellings: bool, language: Language) -> RowOutcome {
    match outcome {
        RowOutcome::Refused { mut why, candidates }
            if !create_dwellings && why.iter().any(|w| w.starts_with("`dwelling`")) =>
        {
            why.push(
                match language {
                    Language::Zh => "房屋未登记时可加 `--create-dwellings`",
                    Language::En => "where the site lacks the dwelling, `--create-dwellings` adds it",
                }
                .to_owned(),
            );
            RowOutcome::Refused { why, candidates }
        }
        other => other,
    }
}

/// A candidate in words: who, and what is alike.
fn alike(candidate: &Candidate, language: Language) -> String {
    let Candidate { resident, line, score, signs } = candidate;
    match (resident, language) {
        (Some(resident), Language::Zh) => format!("{resident}({score}:{})", signs.join("、")),
        (Some(resident), Language::En) => format!("{resident} ({score}: {})", signs.join(", ")),
        (None, Language::Zh) => format!("第 {line} 行({score}:{})", signs.join("、")),
        (None, Language::En) => format!("line {line} ({score}: {})", signs.join(", ")),
    }
}

fn may_be_same(candidates: &[String], language: Language) -> String {
    let who = candidates.join("; ");
    match language {
        Language::Zh => format!("可能与此人重复:{who};核对后确属另一人时可加 `--not-duplicates`"),
        Language::En => format!("may be the same person as {who}; if not, `--not-duplicates` says so"),
    }
}

fn at_line(line: u32, what: &str, language: Language) -> String {
    match language {
        Language::Zh => format!("第 {line} 行:{what}"),
        Language::En => format!("line {line}: {what}"),
    }
}

/// The value in the type that the field asks for; `None` where it cannot be.
fn fit(value: FactValue, fact_type: &FactType) -> Option<FactValue> {
    match (fact_type, value) {
        (FactType::Flag, value @ FactValue::Bool(_))
        | (FactType::Number, value @ FactValue::Integer(_))
        | (FactType::Date, value @ FactValue::Date(_))
        | (FactType::Text, value @ FactValue::Text(_)) => Some(value),
        (FactType::Number, FactValue::Code(text) | FactValue::Text(text)) => {
            text.parse().ok().map(FactValue::Integer)
        }
        (FactType::Date, FactValue::Code(text) | FactValue::Text(text)) => {
            CivilDate::parse(&text).ok().map(FactValue::Date)
        }
        (FactType::Text, FactValue::Code(text)) => Some(FactValue::Text(text)),
        (FactType::Text, FactValue::Integer(number)) => Some(FactValue::Text(number.to_string())),
        (FactType::Code(codes), value) => {
            let wanted = match value {
                FactValue::Code(text) | FactValue::Text(text) => text,
                FactValue::Integer(number) => number.to_string(),
                FactValue::Bool(flag) => if flag { "yes" } else { "no" }.to_owned(),
                FactValue::Date(_) => return None,
            };
            codes.contains(&wanted).then_some(FactValue::Code(wanted))
        }
        (
            FactType::Flag,
            FactValue::Integer(_) | FactValue::Date(_) | FactValue::Code(_) | FactValue::Text(_),
        )
        | (FactType::Number, FactValue::Bool(_) | FactValue::Date(_))
        | (FactType::Date, FactValue::Bool(_) | FactValue::Integer(_))
        | (FactType::Text, FactValue::Bool(_) | FactValue::Date(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_in_the_types_of_their_fields() {
        let check = |value: FactValue, fact_type: FactType, expect: Option<FactValue>| {
            let found = fit(value.clone(), &fact_type);
            assert!(found == expect, "{value:?} as {fact_type:?}: {found:?}");
        };
        let day = CivilDate::from_ymd(2026, 3, 16).expect("a day");
        let codes = || FactType::Code(vec!["2".into(), "yes".into()]);
        check(FactValue::Bool(true), FactType::Flag, Some(FactValue::Bool(true)));
        check(FactValue::Bool(true), codes(), Some(FactValue::Code("yes".into())));
        check(FactValue::Bool(false), codes(), None);
        check(FactValue::Bool(true), FactType::Number, None);
        check(FactValue::Integer(2), FactType::Number, Some(FactValue::Integer(2)));
        check(FactValue::Integer(2), codes(), Some(FactValue::Code("2".into())));
        check(FactValue::Integer(3), codes(), None);
        check(FactValue::Integer(2), FactType::Text, Some(FactValue::Text("2".into())));
        check(FactValue::Integer(1), FactType::Flag, None);
        check(FactValue::Code("2".into()), FactType::Number, Some(FactValue::Integer(2)));
        check(FactValue::Code("two".into()), FactType::Number, None);
        check(FactValue::Text("2026-03-16".into()), FactType::Date, Some(FactValue::Date(day)));
        check(FactValue::Date(day), FactType::Date, Some(FactValue::Date(day)));
        check(FactValue::Date(day), FactType::Text, None);
    }

    #[test]
    fn what_is_said_of_a_file() {
        let csv = "姓名,住址,身份证号,籍贯\n张某,3-2-501,1,某地\n李某,3-2-502,,某地";
        let roster = roster::read(csv.as_bytes(), &Options::default()).expect("a roster");
        let check = |language: Language, totals: &str, first: &str| {
            let summary = Summary::of_file(&roster, language);
            assert_eq!(summary.totals(language), totals);
            assert_eq!(summary.notes.first().map(String::as_str), Some(first));
            assert_eq!(summary.refused.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2]);
            assert!(summary.verdict(language).is_err(), "a refused row is a failure");
        };
        check(Language::Zh, "2 行:可导入 1,有误 1", "未识别的列,未导入:`籍贯`");
        check(
            Language::En,
            "2 rows: 1 fit, 1 do not",
            "columns that are not known and were not read: `籍贯`",
        );
    }
}
