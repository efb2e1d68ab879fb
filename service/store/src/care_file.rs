//! A care file with what hangs on it, read in [groups](crate::grouped): files that are opened at the same time share
//! one statement a table, and on SQLite one trip to the database.

use std::collections::HashMap;

use linli_core::assessment::Attention;
use linli_core::id::{ResidentId, SiteId};
use linli_core::resident::FieldClass;
use linli_core::site::Dwelling;

use crate::assessment::{StoredAssessment, to_assessment, to_attention};
use crate::audit::FieldClasses;
use crate::backend::reader::Reader;
use crate::error::StoreError;
use crate::fact::{SealedFact, to_fact};
use crate::membership::{StoredMembership, to_membership};
use crate::resident::{SealedResident, sealed_resident};
use crate::site::to_dwelling;
use crate::store::Store;
use crate::table::{Entry, assessment, attention, dwelling, fact, membership, resident, resident_cell};
use crate::writer::sql::Reads;

/// A care file with what is known of it.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// The file, with the cells of the classes that were asked for.
    pub resident: SealedResident,
    /// Where they live; `None` where nobody knows the dwelling.
    pub dwelling: Option<Dwelling>,
    /// Every membership, past and present, by id.
    pub memberships: Vec<StoredMembership>,
    /// Tier and tags over time, by day.
    pub attention: Vec<Attention>,
    /// The last answer of each plugin, by plugin.
    pub assessments: Vec<StoredAssessment>,
    /// Every fact, by field and time of recording, where they were asked for.
    pub facts: Vec<SealedFact>,
}

/// What is asked about one file.
#[derive(Debug, Clone)]
pub(crate) struct FileQuestion {
    site: String,
    resident: String,
    classes: FieldClasses,
    /// Whether dwelling, memberships, attention and assessments are wanted.
    state: bool,
    facts: bool,
}

/// What the database holds of one file.
#[derive(Debug, Clone, Default)]
struct Parts {
    head: Option<resident::Model>,
    cells: Vec<resident_cell::Model>,
    memberships: Vec<membership::Model>,
    attention: Vec<attention::Model>,
    assessments: Vec<assessment::Model>,
    facts: Vec<fact::Model>,
}

type Place = (String, String);

impl Store {
    /// A care file with the cells of these classes, and what is known of it; its facts only where `facts` says so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn file(
        &self,
        site: &SiteId,
        id: &ResidentId,
        classes: FieldClasses,
        facts: bool,
    ) -> Result<Option<StoredFile>, StoreError> {
        self.files().ask(question(site, id, classes, true, facts)).await
    }

    /// A care file with the cells of these classes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resident(
        &self,
        site: &SiteId,
        id: &ResidentId,
        classes: FieldClasses,
    ) -> Result<Option<SealedResident>, StoreError> {
        let found = self.files().ask(question(site, id, classes, false, false)).await?;
        Ok(found.map(|file| file.resident))
    }
}

fn question(site: &SiteId, id: &ResidentId, classes: FieldClasses, state: bool, facts: bool) -> FileQuestion {
    FileQuestion { site: site.as_str().to_owned(), resident: id.as_str().to_owned(), classes, state, facts }
}

/// Answers questions about files, a few statements for all of them.
pub(crate) async fn read(
    reader: Reader,
    questions: Vec<FileQuestion>,
) -> Vec<Result<Option<StoredFile>, StoreError>> {
    match parts(&reader, &questions).await {
        Ok((parts, dwellings)) => {
            questions.iter().map(|question| file(question, &parts, &dwellings)).collect()
        }
        Err(error) => questions.iter().map(|_| Err(error)).collect(),
    }
}

/// The parts of files, as the rows that are read together are numbered.
const HEAD: i32 = 0;
const CELL: i32 = 1;
const MEMBERSHIP: i32 = 2;
const ATTENTION: i32 = 3;
const ASSESSMENT: i32 = 4;
const FACT: i32 = 5;
const DWELLING: i32 = 6;

async fn parts(
    reader: &Reader,
    questions: &[FileQuestion],
) -> Result<(HashMap<Place, Parts>, HashMap<Place, dwelling::Model>), StoreError> {
    let with_state = keys(questions, |question| question.state);
    let mut reads = Reads::new(reader.kind());
    reads.add::<resident::Model>(HEAD, &keys(questions, |_| true), "");
    let with_cells = keys(questions, |question| question.classes != FieldClasses::NONE);
    reads.add::<resident_cell::Model>(CELL, &with_cells, &of_classes(questions));
    reads.add::<membership::Model>(MEMBERSHIP, &with_state, "");
    reads.add::<attention::Model>(ATTENTION, &with_state, "");
    reads.add::<assessment::Model>(ASSESSMENT, &with_state, "");
    reads.add::<fact::Model>(FACT, &keys(questions, |question| question.facts), "");
    reads.add_named_by::<dwelling::Model, resident::Model>(DWELLING, "dwelling", &with_state);
    let mut found: HashMap<Place, Parts> = HashMap::with_capacity(questions.len());
    let mut dwellings = HashMap::new();
    for row in reads.send(reader).await? {
        match row.try_get_by_index::<i32>(0)? {
            HEAD => {
                let row = resident::Model::read(&row, 1)?;
                let place = (row.site.clone(), row.id.clone());
                found.entry(place).or_default().head = Some(row);
            }
            CELL => {
                let row = resident_cell::Model::read(&row, 1)?;
                of(&mut found, &row.site, &row.resident).cells.push(row);
            }
            MEMBERSHIP => {
                let row = membership::Model::read(&row, 1)?;
                of(&mut found, &row.site, &row.resident).memberships.push(row);
            }
            ATTENTION => {
                let row = attention::Model::read(&row, 1)?;
                of(&mut found, &row.site, &row.resident).attention.push(row);
            }
            ASSESSMENT => {
                let row = assessment::Model::read(&row, 1)?;
                of(&mut found, &row.site, &row.resident).assessments.push(row);
            }
            FACT => {
                let row = fact::Model::read(&row, 1)?;
                of(&mut found, &row.site, &row.resident).facts.push(row);
            }
            DWELLING => {
                let row = dwelling::Model::read(&row, 1)?;
                dwellings.insert((row.site.clone(), row.id.clone()), row);
            }
            _ => {} // no statement has another number
        }
    }
    Ok((found, dwellings))
}

fn of<'a>(found: &'a mut HashMap<Place, Parts>, site: &str, resident: &str) -> &'a mut Parts {
    found.entry((site.to_owned(), resident.to_owned())).or_default()
}

/// Leaves the cells of classes unread that none of them asks for.
fn of_classes(questions: &[FileQuestion]) -> String {
    let wanted = |class: &FieldClass| questions.iter().any(|question| question.classes.contains(*class));
    let codes = FieldClass::ALL.iter().filter(|class| wanted(class)).map(|class| class.code());
    format!(" AND t.class IN ('{}')", codes.collect::<Vec<_>>().join("', '"))
}

fn place(question: &FileQuestion) -> Place {
    (question.site.clone(), question.resident.clone())
}

/// Site and id of the files of which something is wanted, each once, in order: neighbours lie on the same pages.
fn keys(questions: &[FileQuestion], wanted: impl Fn(&FileQuestion) -> bool) -> Vec<[&str; 2]> {
    let asked = questions.iter().filter(|question| wanted(question));
    let mut keys: Vec<_> =
        asked.map(|question| [question.site.as_str(), question.resident.as_str()]).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// What one of them asked for; a row that holds no valid value fails those alone who asked for it.
fn file(
    question: &FileQuestion,
    parts: &HashMap<Place, Parts>,
    dwellings: &HashMap<Place, dwelling::Model>,
) -> Result<Option<StoredFile>, StoreError> {
    let Some(parts) = parts.get(&place(question)) else { return Ok(None) };
    let Some(head) = parts.head.clone() else { return Ok(None) };
    let dwelling = dwellings.get(&(head.site.clone(), head.dwelling.clone())).filter(|_| question.state);
    let mut file = StoredFile {
        dwelling: dwelling.cloned().map(to_dwelling).transpose()?,
        resident: sealed_resident(head, &parts.cells, question.classes)?,
        memberships: Vec::new(),
        attention: Vec::new(),
        assessments: Vec::new(),
        facts: Vec::new(),
    };
    if question.state {
        file.memberships = converted(&parts.memberships, to_membership)?;
        file.attention = converted(&parts.attention, to_attention)?;
        file.assessments = converted(&parts.assessments, to_assessment)?;
        file.memberships.sort_by(|a, b| a.membership.id.cmp(&b.membership.id));
        file.attention.sort_by_key(|attention| attention.from);
        file.assessments.sort_by(|a, b| a.assessment.plugin.id.cmp(&b.assessment.plugin.id));
    }
    if question.facts {
        file.facts = converted(&parts.facts, to_fact)?;
        file.facts.sort_by(|a, b| {
            (&a.field, a.recorded_at, a.true_from).cmp(&(&b.field, b.recorded_at, b.true_from))
        });
    }
    Ok(Some(file))
}

fn converted<R: Clone, V>(
    rows: &[R],
    convert: impl Fn(R) -> Result<V, StoreError>,
) -> Result<Vec<V>, StoreError> {
    rows.iter().cloned().map(convert).collect()
}
