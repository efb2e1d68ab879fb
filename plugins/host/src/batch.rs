//! From facts to a batch: typed rows in, the columns of the plugin interface out.

use std::collections::BTreeMap;
use std::sync::Arc;

use linli_core::assessment::PluginStamp;
use linli_core::invalid::Invalid;
use linli_core::resident::FactValue;
use linli_core::time::CivilDate;
use linli_plugin_abi as abi;
use linli_plugin_abi::encode::{self, ColumnData, Elements};

use crate::manifest::{CodeValue, FieldType, Manifest};

/// Rows of one plugin, ready to be assessed or validated.
#[derive(Debug)]
pub struct Batch {
    pub(crate) encoded: encode::Batch,
    /// The civil date of each row.
    pub(crate) today: Vec<CivilDate>,
    /// Per row the first day on which a fact begins to count that does not count yet.
    pub(crate) upcoming: Vec<Option<CivilDate>>,
    pub(crate) stamp: Arc<PluginStamp>,
}

impl Batch {
    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.today.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.today.is_empty()
    }
}

/// One fact of a row.
#[derive(Debug, Clone, Copy)]
pub struct RowFact<'a> {
    /// The field.
    pub field: &'a str,
    /// The value.
    pub value: &'a FactValue,
    /// The first day on which the fact counts: the later of the day it became true and the day it was recorded;
    /// `None`: it always counted.
    pub since: Option<CivilDate>,
}

/// A fact or a parameter that does not fit what the manifest declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Code of the field or parameter.
    pub code: String,
    /// Why it does not fit.
    pub invalid: Invalid,
}

/// Collects rows for one plugin. Only declared fields get in.
#[derive(Debug)]
pub struct BatchBuilder<'p> {
    manifest: &'p Manifest,
    stamp: Arc<PluginStamp>,
    today: Vec<CivilDate>,
    upcoming: Vec<Option<CivilDate>>,
    columns: Vec<Rows>,
    /// The distinct sets of parameters, in the order of the manifest.
    sites: Vec<Vec<FactValue>>,
    /// For each row the set that holds for it.
    site_of_row: Vec<usize>,
    scratch: Vec<Option<(Element<'p>, i32)>>,
}

/// A value that fits its column.
#[derive(Debug, Clone)]
enum Element<'a> {
    Bool(bool),
    Integer(i64),
    Date(i32),
    Code(u32),
    Text(std::borrow::Cow<'a, str>),
}

/// One column under construction.
#[derive(Debug)]
struct Rows {
    elements: Elements,
    validity: Vec<u8>,
    since: Vec<i32>,
    rows: usize,
    complete: bool,
    dated: bool,
}

impl<'p> BatchBuilder<'p> {
    pub(crate) fn new(manifest: &'p Manifest, stamp: Arc<PluginStamp>) -> Self {
        Self {
            columns: manifest.fields.iter().map(|field| Rows::new(field.kind)).collect(),
            sites: vec![manifest.parameters.iter().map(|parameter| parameter.default.clone()).collect()],
            scratch: vec![None; manifest.fields.len()],
            today: Vec::new(),
            upcoming: Vec::new(),
            site_of_row: Vec::new(),
            manifest,
            stamp,
        }
    }

    /// Sets the site parameters of the rows that follow; one batch may hold rows of several sites. Where a
    /// parameter is not given, the manifest's default holds.
    ///
    /// # Errors
    /// Every parameter that is unknown or does not fit; then nothing changes.
    pub fn parameters(&mut self, given: &BTreeMap<String, FactValue>) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        for (code, value) in given {
            let checked =
                self.manifest.parameter(code).map_or(Err(Invalid::Unknown), |known| known.check(value));
            if let Err(invalid) = checked {
                problems.push(Problem { code: code.clone(), invalid });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let set: Vec<FactValue> = self
            .manifest
            .parameters
            .iter()
            .map(|parameter| given.get(parameter.code.as_str()).unwrap_or(&parameter.default).clone())
            .collect();
        if self.sites.last() != Some(&set) {
            self.sites.push(set);
        }
        Ok(())
    }

    /// Adds a resident: the civil date of their site and their facts. Facts of fields that the plugin does not
    /// declare are left out. A fact that begins to count after `today` is left out too, and bounds the answer's
    /// `valid_until`. The last of several facts of one field holds.
    ///
    /// Returns the row's number, which is the place of its findings in the answer.
    ///
    /// # Errors
    /// Every fact that does not fit its field; then no row is added.
    pub fn push<'f>(
        &mut self,
        today: CivilDate,
        facts: impl IntoIterator<Item = RowFact<'f>>,
    ) -> Result<usize, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut upcoming: Option<CivilDate> = None;
        self.scratch.fill(None);
        for fact in facts {
            let declared = self.manifest.fields.iter().position(|field| field.code.as_str() == fact.field);
            let Some((index, field)) =
                declared.and_then(|index| Some((index, self.manifest.fields.get(index)?)))
            else {
                continue;
            };
            if let Some(since) = fact.since.filter(|since| *since > today) {
                upcoming = Some(upcoming.map_or(since, |earlier| earlier.min(since)));
                continue;
            }
            let since = fact.since.map_or(abi::NO_DATE, CivilDate::days);
            match (field.check(fact.value), self.scratch.get_mut(index)) {
                (Ok(()), Some(slot)) => *slot = Some((element(fact.value, &field.values), since)),
                (Err(invalid), _) => problems.push(Problem { code: fact.field.to_owned(), invalid }),
                (Ok(()), None) => {}
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for (column, slot) in self.columns.iter_mut().zip(&mut self.scratch) {
            column.push(slot.take());
        }
        self.today.push(today);
        self.upcoming.push(upcoming);
        self.site_of_row.push(self.sites.len() - 1);
        Ok(self.today.len() - 1)
    }

    /// The batch.
    pub fn finish(self) -> Batch {
        let rows = self.today.len();
        let mut columns = Vec::with_capacity(1 + self.columns.len() + self.manifest.parameters.len());
        columns.push(ColumnData::complete(Elements::Date(self.today.iter().map(|day| day.days()).collect())));
        columns.extend(self.columns.into_iter().map(Rows::finish));
        let first = self.site_of_row.first().copied().unwrap_or(self.sites.len() - 1);
        let one_site = self.site_of_row.iter().all(|site| *site == first);
        for (index, parameter) in self.manifest.parameters.iter().enumerate() {
            let mut column = Rows::new(parameter.kind);
            let wanted: &[usize] = if one_site { &[first] } else { &self.site_of_row };
            for site in wanted {
                let value =
                    self.sites.get(*site).and_then(|set| set.get(index)).unwrap_or(&parameter.default);
                column.push(Some((element(value, &parameter.values), abi::NO_DATE)));
            }
            columns.push(ColumnData { constant: one_site, ..column.finish() });
        }
        let (fields, parameters) = (self.manifest.fields.len() as u32, self.manifest.parameters.len() as u32);
        let encoded = encode::encode(rows as u32, fields, parameters, &columns)
            .expect("one element per row in every column, and far below 4 GiB: texts are bounded");
        Batch { encoded, today: self.today, upcoming: self.upcoming, stamp: self.stamp }
    }
}

/// A checked value as an element; the code list gives the ordinal.
fn element<'a>(value: &FactValue, values: &[CodeValue]) -> Element<'a> {
    match value {
        FactValue::Bool(yes) => Element::Bool(*yes),
        FactValue::Integer(number) => Element::Integer(*number),
        FactValue::Date(date) => Element::Date(date.days()),
        FactValue::Code(code) => {
            Element::Code(values.iter().position(|known| known.code == *code).unwrap_or_default() as u32)
        }
        FactValue::Text(text) => Element::Text(text.clone().into()),
    }
}

impl Rows {
    fn new(kind: FieldType) -> Self {
        let elements = match kind {
            FieldType::Bool => Elements::Bool(Vec::new()),
            FieldType::Integer => Elements::Integer(Vec::new()),
            FieldType::Date => Elements::Date(Vec::new()),
            FieldType::Code => Elements::Code(Vec::new()),
            FieldType::Text => Elements::Text { offsets: vec![0], bytes: Vec::new() },
        };
        Self { elements, validity: Vec::new(), since: Vec::new(), rows: 0, complete: true, dated: false }
    }

    fn push(&mut self, value: Option<(Element<'_>, i32)>) {
        let bit = 1_u8 << (self.rows % 8);
        if self.rows.is_multiple_of(8) {
            self.validity.push(0);
        }
        self.rows += 1;
        let Some((element, since)) = value else {
            self.elements.push_absent();
            self.since.push(abi::NO_DATE);
            self.complete = false;
            return;
        };
        if let Some(byte) = self.validity.last_mut() {
            *byte |= bit;
        }
        self.since.push(since);
        self.dated |= since != abi::NO_DATE;
        match (&mut self.elements, element) {
            (Elements::Bool(values), Element::Bool(value)) => values.push(u8::from(value)),
            (Elements::Integer(values), Element::Integer(value)) => values.push(value),
            (Elements::Date(values), Element::Date(value)) => values.push(value),
            (Elements::Code(values), Element::Code(value)) => values.push(value),
            (Elements::Text { offsets, bytes }, Element::Text(value)) => {
                bytes.extend_from_slice(value.as_bytes());
                offsets.push(bytes.len() as u32);
            }
            // INVARIANT: values are checked against the type of their field before they get here.
            (elements, _) => elements.push_absent(),
        }
    }

    fn finish(self) -> ColumnData {
        ColumnData {
            elements: self.elements,
            validity: (!self.complete).then_some(self.validity),
            since: self.dated.then_some(self.since),
            constant: false,
        }
    }
}
