//! Residents who do not exist: facts that fit the fields of manifests, the same for the same seed.
//!
//! Birth date and sex are always known, of the other fields one in [`KNOWN_ONE_IN`]. Two in five residents are elders.
//! Facts are dated within the last years; each resident's lie in memory of their own, as facts do that come from
//! somewhere.

use linli_core::resident::FactValue;
use linli_core::time::CivilDate;

use crate::batch::{BatchBuilder, FieldIndex, PlacedFact, Problem};
use crate::manifest::{Field, FieldSource, FieldType, Manifest};
use crate::plugin::Plugin;
use crate::tools::numbers::Numbers;

/// Of so many fields that are not in every file, one is known.
pub const KNOWN_ONE_IN: u64 = 5;
/// The day on which they are assessed: 2026-03-16.
const TODAY_DAYS: i32 = 20_528;
const YEAR_DAYS: u64 = 365;
const TEXTS: [&str; 4] = ["无", "需要翻译", "每周三透析", "轮椅，上下楼需两人"];

/// Residents with facts of the fields of some manifests.
#[derive(Debug)]
pub struct Residents {
    /// Codes of the fields, each once.
    codes: Vec<String>,
    rows: Vec<Vec<Fact>>,
}

/// A fact of a resident.
#[derive(Debug)]
struct Fact {
    /// Place in the codes.
    field: usize,
    value: FactValue,
    since: Option<CivilDate>,
}

/// For each field of residents the plugins that read it, by number, with its place there; resolved once.
#[derive(Debug)]
pub struct Routes(Vec<Vec<(usize, FieldIndex)>>);

impl Residents {
    /// So many residents with facts for all of these manifests.
    pub fn new(manifests: &[&Manifest], rows: usize, seed: u64) -> Self {
        let mut fields: Vec<&Field> = Vec::new();
        for field in manifests.iter().flat_map(|manifest| &manifest.fields) {
            if !fields.iter().any(|known| known.code == field.code) {
                fields.push(field);
            }
        }
        let mut numbers = Numbers::new(seed);
        let rows = (0..rows).map(|_| row(&fields, &mut numbers)).collect();
        Self { codes: fields.iter().map(|field| field.code.as_str().to_owned()).collect(), rows }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The day on which they are assessed.
    pub fn today(&self) -> CivilDate {
        CivilDate::from_days(TODAY_DAYS).unwrap_or(CivilDate::MAX)
    }

    /// The facts of a resident: the code of each field, the value, and from when on it counts.
    pub fn facts(&self, row: usize) -> impl Iterator<Item = (&str, &FactValue, Option<CivilDate>)> {
        let facts = self.rows.get(row).map(Vec::as_slice).unwrap_or_default();
        facts.iter().filter_map(|fact| Some((self.codes.get(fact.field)?.as_str(), &fact.value, fact.since)))
    }

    /// Where their fields lie in plugins.
    pub fn routes(&self, plugins: &[&Plugin]) -> Routes {
        let route = |code: &String| {
            let places = plugins.iter().map(|plugin| plugin.field_index(code)).enumerate();
            places.filter_map(|(number, place)| Some((number, place?))).collect()
        };
        Routes(self.codes.iter().map(route).collect())
    }

    /// Adds the residents from `first` on, as many as there are up to `rows`, to a batch for each plugin of the routes,
    /// in one pass over their facts.
    ///
    /// # Errors
    /// Facts that do not fit, where manifests have different fields of the same code.
    pub fn push(
        &self,
        batches: &mut [BatchBuilder<'_>],
        routes: &Routes,
        first: usize,
        rows: usize,
    ) -> Result<(), Vec<Problem>> {
        let today = self.today();
        batches.iter_mut().for_each(|batch| batch.reserve(rows));
        for row in self.rows.iter().skip(first).take(rows) {
            batches.iter_mut().for_each(|batch| batch.begin(today));
            for Fact { field, value, since } in row {
                for (number, place) in routes.0.get(*field).map(Vec::as_slice).unwrap_or_default() {
                    if let Some(batch) = batches.get_mut(*number) {
                        batch.add(PlacedFact { field: *place, value, since: *since });
                    }
                }
            }
            for batch in batches.iter_mut() {
                batch.end()?;
            }
        }
        Ok(())
    }

    /// How many facts a plugin reads of a resident, on average.
    pub fn facts_read(&self, plugin: &Plugin) -> f64 {
        let reads: Vec<bool> = self.codes.iter().map(|code| plugin.field_index(code).is_some()).collect();
        let read = |fact: &&Fact| reads.get(fact.field).copied().unwrap_or_default();
        let facts: usize = self.rows.iter().map(|row| row.iter().filter(read).count()).sum();
        facts as f64 / self.rows.len().max(1) as f64
    }
}

fn row(fields: &[&Field], numbers: &mut Numbers) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let in_file = match field.source {
            FieldSource::File => true,
            FieldSource::Attribute => false,
        };
        if in_file || numbers.below(KNOWN_ONE_IN) == 0 {
            let since = (!in_file).then(|| days_ago(numbers.below(5 * YEAR_DAYS)));
            facts.push(Fact { field: index, value: value(field, in_file, numbers), since });
        }
    }
    facts
}

fn value(field: &Field, in_file: bool, numbers: &mut Numbers) -> FactValue {
    match field.kind {
        FieldType::Bool => FactValue::Bool(numbers.below(10) < 6),
        FieldType::Integer => {
            let (min, max) = field.range.unwrap_or((0, 100));
            let span = max.saturating_sub(min).clamp(0, 1_000_000);
            FactValue::Integer(min.saturating_add(numbers.below(span as u64 + 1) as i64))
        }
        // Born in the last sixty years, or before.
        FieldType::Date if in_file && numbers.below(5) < 2 => {
            FactValue::Date(days_ago(60 * YEAR_DAYS + numbers.below(36 * YEAR_DAYS)))
        }
        FieldType::Date if in_file => FactValue::Date(days_ago(numbers.below(60 * YEAR_DAYS))),
        FieldType::Date if numbers.below(4) == 0 => {
            FactValue::Date(days_ago(0).plus_days(numbers.below(280) as i32))
        }
        FieldType::Date => FactValue::Date(days_ago(numbers.below(2 * YEAR_DAYS))),
        FieldType::Code => {
            let ordinal = numbers.below(field.values.len().max(1) as u64) as usize;
            FactValue::Code(field.values.get(ordinal).map(|known| known.code.clone()).unwrap_or_default())
        }
        FieldType::Text => {
            let place = numbers.below(TEXTS.len() as u64) as usize;
            FactValue::Text(TEXTS.get(place).copied().unwrap_or_default().to_owned())
        }
    }
}

fn days_ago(days: u64) -> CivilDate {
    CivilDate::from_days(TODAY_DAYS - days as i32).unwrap_or(CivilDate::MIN)
}
