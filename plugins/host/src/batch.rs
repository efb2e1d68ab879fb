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
use linli_plugin_abi::encode::{self, ColumnData, Draft, Fixed};

use crate::manifest::{Field, Manifest};

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
    pub value: &'a FactValue,
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

/// The fields of a manifest, by place: what fits their columns.
#[derive(Debug)]
pub(crate) struct Places {
    by_code: HashMap<Box<str>, FieldIndex>,
    fits: Vec<Fit>,
    /// Types of the columns.
    kinds: Vec<u16>,
}

/// What fits a column, for a quick look: what does not seem to fit is looked at again by [`Field::element`], which has the
/// words for it.
///
/// [`Field::element`]: crate::manifest::Field::element
#[derive(Debug)]
struct Fit {
    /// Of numbers.
    range: (i64, i64),
    /// By ordinal, each with its key.
    codes: Box<[(u64, Box<str>)]>,
}

impl Places {
    pub(crate) fn new(manifest: &Manifest) -> Self {
        let fields = manifest.fields.iter();
        let places = fields.clone().zip((0..).map(FieldIndex));
        Self {
            by_code: places.map(|(field, index)| (field.code.as_str().into(), index)).collect(),
            fits: fields.clone().map(Fit::of).collect(),
            kinds: fields.map(|field| field.kind.number()).collect(),
        }
    }

    pub(crate) fn find(&self, code: &str) -> Option<FieldIndex> {
        self.by_code.get(code).copied()
    }
}

impl Fit {
    fn of(field: &Field) -> Self {
        let codes = field.values.iter().map(|known| known.code.as_str());
        Self {
            range: field.range.unwrap_or((i64::MIN, i64::MAX)),
            codes: codes.map(|code| (key(code), code.into())).collect(),
        }
    }

    /// A value that has the column's type, if it is one of fixed width; the column itself knows its type.
    #[inline]
    fn element(&self, value: &FactValue) -> Option<Fixed> {
        match value {
            FactValue::Bool(yes) => Some(Fixed::bool(*yes)),
            FactValue::Date(date) => Some(Fixed::date(date.days())),
            FactValue::Integer(number) => {
                let (least, most) = self.range;
                (least <= *number && *number <= most).then(|| Fixed::integer(*number))
            }
            FactValue::Code(code) => {
                let wanted = key(code);
                let found = self.codes.iter().position(|(key, known)| *key == wanted && **known == **code);
                found.map(|ordinal| Fixed::code(ordinal as u32))
            }
            FactValue::Text(_) => None,
        }
    }
}

/// The length of a code and its first and last bytes: what tells the codes of a field apart, as a rule.
#[inline]
fn key(code: &str) -> u64 {
    let bytes = code.as_bytes();
    let word = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    (word(bytes.first_chunk()) | word(bytes.last_chunk()) << 32) ^ (bytes.len() as u64) << 24
}

/// Collects rows for one plugin. Only declared fields get in.
#[derive(Debug)]
pub struct BatchBuilder<'p> {
    manifest: &'p Manifest,
    places: &'p Places,
    stamp: Arc<PluginStamp>,
    today: Vec<i32>,
    upcoming: Vec<i32>,
    draft: Draft,
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

impl<'p> BatchBuilder<'p> {
    pub(crate) fn new(manifest: &'p Manifest, places: &'p Places, stamp: Arc<PluginStamp>) -> Self {
        let defaults = manifest.parameters.iter().map(|parameter| parameter.default.clone()).collect();
        Self {
            draft: Draft::new(&places.kinds, manifest.parameters.len(), 0),
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
        if rows > self.draft.room() {
            self.today.reserve(rows.saturating_sub(self.today.len()));
            self.upcoming.reserve(rows.saturating_sub(self.upcoming.len()));
            self.draft.grow(rows);
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
            Some(PlacedFact { field: places.find(field)?, value, since })
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
        if self.today.len() >= self.draft.room() {
            self.reserve((self.draft.room() * 2).max(ROWS_AT_FIRST));
        }
        self.current = Row { today: today.days(), upcoming: abi::NO_DATE };
    }

    /// Adds a fact to the row that was begun.
    #[inline]
    pub fn add(&mut self, PlacedFact { field: FieldIndex(index), value, since }: PlacedFact<'_>) {
        let Some(fit) = self.places.fits.get(usize::from(index)) else { return };
        let since = since.map_or(abi::NO_DATE, CivilDate::days);
        if since > self.current.today {
            let upcoming = self.current.upcoming;
            self.current.upcoming = if upcoming == abi::NO_DATE { since } else { upcoming.min(since) };
            return;
        }
        let place = usize::from(index);
        let row = self.today.len();
        let done = fit.element(value).is_some_and(|element| self.draft.set_fixed(place, row, element, since));
        if !done {
            self.look_again(place, value, since);
        }
    }

    #[inline(never)]
    fn look_again(&mut self, index: usize, value: &FactValue, since: i32) {
        let Some(field) = self.manifest.fields.get(index) else { return };
        match field.element(value) {
            Ok(element) => {
                self.draft.set(index, self.today.len(), element, since);
            }
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
            self.draft.unset(row);
            return Err(std::mem::take(&mut self.problems));
        }
        self.today.push(self.current.today);
        self.upcoming.push(self.current.upcoming);
        Ok(row)
    }

    /// The batch.
    pub fn finish(self) -> Batch {
        let parameters = parameters(self.manifest, &self.sites, self.today.len());
        let encoded = self
            .draft
            .finish(&self.today, &parameters)
            .expect("one element per row in every column, and far below 4 GiB: texts are bounded");
        Batch { encoded, today: self.today, upcoming: self.upcoming, stamp: self.stamp }
    }
}

/// The columns of the parameters: one element each for a single set, else one for each row.
fn parameters(manifest: &Manifest, sites: &[(usize, Vec<FactValue>)], rows: usize) -> Vec<ColumnData> {
    let constant = sites.len() == 1;
    let ends = || sites.iter().skip(1).map(|(from, _)| *from).chain([rows]);
    let columns = manifest.parameters.iter().enumerate().map(|(index, parameter)| {
        let mut elements = parameter.kind.elements();
        for ((from, set), end) in sites.iter().zip(ends()) {
            let value = set.get(index).unwrap_or(&parameter.default);
            // INVARIANT: values of parameters were checked when they were set, defaults when the manifest was read.
            if let Ok(element) = parameter.element(value) {
                elements.push(element, if constant { 1 } else { end - from });
            }
        }
        ColumnData { constant, ..ColumnData::complete(elements) }
    });
    columns.collect()
}
