//! From facts to a batch: typed rows in, the columns of the plugin interface out.
//!
//! A row costs what its facts cost: columns are laid out for many rows at once with every row empty, and a fact is
//! written to its place. Who pushes many rows resolves the fields once ([`Plugin::field_index`]) and pushes by place.
//!
//! [`Plugin::field_index`]: crate::Plugin::field_index

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use linli_core::assessment::PluginStamp;
use linli_core::invalid::Invalid;
use linli_core::resident::FactValue;
use linli_core::time::CivilDate;
use linli_plugin_abi as abi;
use linli_plugin_abi::encode::{self, ColumnRef, Elements};

use crate::manifest::{Element, FieldType, Manifest, Value};

/// Rows that a column has room for at first.
const ROWS_AT_FIRST: usize = 16;

/// Rows of one plugin, ready to be assessed or validated.
#[derive(Debug)]
pub struct Batch {
    pub(crate) encoded: encode::Batch,
    /// The civil date of each row, in days since 1970-01-01.
    pub(crate) today: Vec<i32>,
    /// Per row the first day on which a fact begins to count that does not count yet, or `NO_DATE`.
    pub(crate) upcoming: Vec<i32>,
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

/// The place of a field in the manifest of the plugin that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldIndex(u16);

/// One fact of a row whose field is known by its place.
#[derive(Debug, Clone, Copy)]
pub struct PlacedFact<'a> {
    /// The field.
    pub field: FieldIndex,
    /// The value.
    pub value: Value<'a>,
    /// As in [`RowFact`].
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

/// The places of a manifest's fields.
#[derive(Debug)]
pub(crate) struct Places(HashMap<Box<str>, FieldIndex>);

impl Places {
    pub(crate) fn new(manifest: &Manifest) -> Self {
        let fields = manifest.fields.iter().zip(0_u16..);
        Self(fields.map(|(field, index)| (field.code.as_str().into(), FieldIndex(index))).collect())
    }

    pub(crate) fn find(&self, code: &str) -> Option<FieldIndex> {
        self.0.get(code).copied()
    }
}

/// Collects rows for one plugin. Only declared fields get in.
#[derive(Debug)]
pub struct BatchBuilder<'p> {
    manifest: &'p Manifest,
    places: &'p Places,
    stamp: Arc<PluginStamp>,
    today: Vec<i32>,
    upcoming: Vec<i32>,
    columns: Vec<Rows>,
    /// Rows that the columns have room for.
    room: usize,
    current: Row,
    /// What does not fit in the current row.
    problems: Vec<Problem>,
    /// Sets of parameters, in the order of the manifest, each with the row from which it holds; never empty.
    sites: Vec<(usize, Vec<FactValue>)>,
}

/// The row that was begun last.
#[derive(Debug)]
struct Row {
    /// Days since 1970-01-01.
    today: i32,
    upcoming: i32,
}

/// One column under construction: `room` rows without a value, some of which were given one.
#[derive(Debug)]
struct Rows {
    elements: Elements,
    validity: Vec<u8>,
    since: Vec<i32>,
    dated: bool,
}

impl<'p> BatchBuilder<'p> {
    pub(crate) fn new(manifest: &'p Manifest, places: &'p Places, stamp: Arc<PluginStamp>) -> Self {
        let defaults = manifest.parameters.iter().map(|parameter| parameter.default.clone()).collect();
        Self {
            columns: manifest.fields.iter().map(|field| Rows::new(field.kind)).collect(),
            room: 0,
            current: Row { today: abi::NO_DATE, upcoming: abi::NO_DATE },
            problems: Vec::new(),
            sites: vec![(0, defaults)],
            today: Vec::new(),
            upcoming: Vec::new(),
            manifest,
            places,
            stamp,
        }
    }

    /// Makes room for this many rows in all, so that pushing them moves nothing.
    pub fn reserve(&mut self, rows: usize) {
        if rows > self.room {
            self.room = rows;
            self.today.reserve(rows.saturating_sub(self.today.len()));
            self.upcoming.reserve(rows.saturating_sub(self.upcoming.len()));
            for column in &mut self.columns {
                column.make_room(rows);
            }
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
        let row = self.today.len();
        match self.sites.last_mut() {
            Some((_, last)) if *last == set => {}
            Some((from, last)) if *from == row => *last = set,
            Some(_) | None => self.sites.push((row, set)),
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
        let places = self.places;
        let placed = facts.into_iter().filter_map(|RowFact { field, value, since }| {
            Some(PlacedFact { field: places.find(field)?, value: value.into(), since })
        });
        self.push_placed(today, placed)
    }

    /// As [`BatchBuilder::push`], with fields that were resolved before.
    ///
    /// # Errors
    /// Every fact that does not fit its field; then no row is added.
    pub fn push_placed<'f>(
        &mut self,
        today: CivilDate,
        facts: impl IntoIterator<Item = PlacedFact<'f>>,
    ) -> Result<usize, Vec<Problem>> {
        self.begin(today);
        facts.into_iter().for_each(|fact| self.add(fact));
        self.end()
    }

    /// Begins a row by itself, for who gives the facts of a resident to several batches in one pass: then comes
    /// [`BatchBuilder::add`] for each fact and [`BatchBuilder::end`].
    pub fn begin(&mut self, today: CivilDate) {
        let row = self.today.len();
        if row >= self.room {
            self.reserve((self.room * 2).max(ROWS_AT_FIRST));
        }
        self.current = Row { today: today.days(), upcoming: abi::NO_DATE };
    }

    /// Adds a fact to the row that was begun.
    #[inline]
    pub fn add(&mut self, PlacedFact { field: FieldIndex(index), value, since }: PlacedFact<'_>) {
        let index = usize::from(index);
        let (Some(field), Some(column)) = (self.manifest.fields.get(index), self.columns.get_mut(index))
        else {
            return;
        };
        let since = since.map_or(abi::NO_DATE, CivilDate::days);
        if since > self.current.today {
            let upcoming = self.current.upcoming;
            self.current.upcoming = if upcoming == abi::NO_DATE { since } else { upcoming.min(since) };
            return;
        }
        match field.element(value) {
            Ok(element) => column.set(self.today.len(), element, since),
            Err(invalid) => {
                self.problems.push(Problem { code: field.code.as_str().to_owned(), invalid });
            }
        }
    }

    /// Ends the row that was begun; as [`BatchBuilder::push`].
    ///
    /// # Errors
    /// Every fact that does not fit its field; then no row is added.
    pub fn end(&mut self) -> Result<usize, Vec<Problem>> {
        let row = self.today.len();
        if !self.problems.is_empty() {
            self.columns.iter_mut().for_each(|column| column.unset(row));
            return Err(std::mem::take(&mut self.problems));
        }
        self.today.push(self.current.today);
        self.upcoming.push(self.current.upcoming);
        Ok(row)
    }

    /// The batch.
    pub fn finish(mut self) -> Batch {
        let rows = self.today.len();
        self.columns.iter_mut().for_each(|column| column.close(rows));
        let today = Elements::Date(self.today);
        let parameters = parameters(self.manifest, &self.sites, rows);
        let one_site = self.sites.len() == 1;
        let mut columns = Vec::with_capacity(1 + self.columns.len() + parameters.len());
        columns.push(ColumnRef { elements: &today, validity: None, since: None, constant: false });
        columns.extend(self.columns.iter().map(|column| column.borrowed(rows, false)));
        let elements = if one_site { 1 } else { rows };
        columns.extend(parameters.iter().map(|column| column.borrowed(elements, one_site)));
        let (fields, parameters) = (self.manifest.fields.len() as u32, self.manifest.parameters.len() as u32);
        let encoded = encode::encode_borrowed(rows as u32, fields, parameters, &columns)
            .expect("one element per row in every column, and far below 4 GiB: texts are bounded");
        let today = if let Elements::Date(today) = today { today } else { Vec::new() };
        Batch { encoded, today, upcoming: self.upcoming, stamp: self.stamp }
    }
}

/// The columns of the parameters: one element each for a single set, else one for each row.
fn parameters(manifest: &Manifest, sites: &[(usize, Vec<FactValue>)], rows: usize) -> Vec<Rows> {
    let elements = if sites.len() == 1 { 1 } else { rows };
    let mut columns = Vec::with_capacity(manifest.parameters.len());
    for (index, parameter) in manifest.parameters.iter().enumerate() {
        let mut column = Rows::new(parameter.kind);
        column.make_room(elements);
        let ends = sites.iter().skip(1).map(|(from, _)| *from).chain([elements]);
        for ((from, set), end) in sites.iter().zip(ends) {
            let value = set.get(index).unwrap_or(&parameter.default);
            // INVARIANT: values of parameters were checked when they were set, defaults when the manifest was read.
            if let Ok(element) = parameter.element(value) {
                (*from..end).for_each(|row| column.set(row, element, abi::NO_DATE));
            }
        }
        column.close(elements);
        columns.push(column);
    }
    columns
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
        Self { elements, validity: Vec::new(), since: Vec::new(), dated: false }
    }

    /// Appends rows without a value, up to this many. Texts lie one after the other, so their column follows the rows
    /// as they come.
    fn make_room(&mut self, rows: usize) {
        match &mut self.elements {
            Elements::Text { offsets, .. } => offsets.reserve((rows + 1).saturating_sub(offsets.len())),
            elements @ (Elements::Bool(_) | Elements::Integer(_) | Elements::Date(_) | Elements::Code(_)) => {
                elements.resize(rows);
            }
        }
        self.validity.resize(rows.div_ceil(8), 0);
        self.since.resize(rows, abi::NO_DATE);
    }

    /// Exactly this many rows.
    fn close(&mut self, rows: usize) {
        self.elements.resize(rows);
        self.validity.resize(rows.div_ceil(8), 0);
        self.since.resize(rows, abi::NO_DATE);
    }

    #[inline]
    fn set(&mut self, row: usize, element: Element<'_>, since: i32) {
        match (&mut self.elements, element) {
            (Elements::Bool(values), Element::Bool(value)) => put(values, row, u8::from(value)),
            (Elements::Integer(values), Element::Integer(value)) => put(values, row, value),
            (Elements::Date(values), Element::Date(value)) => put(values, row, value),
            (Elements::Code(values), Element::Code(value)) => put(values, row, value),
            (elements @ Elements::Text { .. }, Element::Text(value)) => {
                elements.resize(row);
                if let Elements::Text { offsets, bytes } = elements {
                    bytes.extend_from_slice(value.as_bytes());
                    offsets.push(bytes.len() as u32);
                }
            }
            // INVARIANT: values are checked against the type of their field before they get here.
            (Elements::Bool(_), _)
            | (Elements::Integer(_), _)
            | (Elements::Date(_), _)
            | (Elements::Code(_), _)
            | (Elements::Text { .. }, _) => return,
        }
        if let Some(byte) = self.validity.get_mut(row / 8) {
            *byte |= 1 << (row % 8);
        }
        put(&mut self.since, row, since);
        self.dated |= since != abi::NO_DATE;
    }

    fn unset(&mut self, row: usize) {
        match &mut self.elements {
            Elements::Bool(values) => put(values, row, 0),
            Elements::Integer(values) => put(values, row, 0),
            Elements::Date(values) => put(values, row, 0),
            Elements::Code(values) => put(values, row, 0),
            elements @ Elements::Text { .. } => elements.resize(row),
        }
        if let Some(byte) = self.validity.get_mut(row / 8) {
            *byte &= !(1 << (row % 8));
        }
        put(&mut self.since, row, abi::NO_DATE);
    }

    fn borrowed(&self, rows: usize, constant: bool) -> ColumnRef<'_> {
        let values: usize = self.validity.iter().map(|byte| byte.count_ones() as usize).sum();
        ColumnRef {
            elements: &self.elements,
            validity: (values != rows).then_some(self.validity.as_slice()),
            since: self.dated.then_some(self.since.as_slice()),
            constant,
        }
    }
}

#[inline]
fn put<T>(values: &mut [T], row: usize, value: T) {
    if let Some(slot) = values.get_mut(row) {
        *slot = value;
    }
}
