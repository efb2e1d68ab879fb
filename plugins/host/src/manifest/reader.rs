//! Reading TOML so that everything wrong is found at once: tables that remember which keys were asked for, and
//! problems with line and key.

use std::cell::RefCell;

use linli_core::text::Label;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ManifestError, ManifestErrors};

/// Reads a text of at most `bytes_max` bytes; problems outside any key are said of `name`, the file's name.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn document<T>(
    text: &str,
    name: &str,
    bytes_max: usize,
    read: impl FnOnce(&Table<'_>) -> Option<T>,
) -> Result<T, ManifestErrors> {
    if text.len() > bytes_max {
        let message = format!("has {} bytes; at most {bytes_max} are read", text.len());
        return Err(ManifestErrors(vec![ManifestError { line: 1, key: name.to_owned(), message }]));
    }
    let document = Document::new(text);
    let (entries, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        for error in &syntax {
            document.problem(error.span().map_or(0, |span| span.start), name, error.message());
        }
        return Err(ManifestErrors(document.into_problems()));
    }
    let parsed = read(&Table::new(&document, "", 0, entries.get_ref()));
    let problems = document.into_problems();
    match parsed {
        Some(value) if problems.is_empty() => Ok(value),
        Some(_) | None => Err(ManifestErrors(problems)),
    }
}

/// The text and the problems found so far.
pub(crate) struct Document<'a> {
    text: &'a str,
    problems: RefCell<Vec<ManifestError>>,
}

impl<'a> Document<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, problems: RefCell::default() }
    }

    pub(crate) fn problem(&self, at: usize, key: &str, message: impl Into<String>) {
        let line = self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        self.problems.borrow_mut().push(ManifestError { line, key: key.to_owned(), message: message.into() });
    }

    pub(crate) fn into_problems(self) -> Vec<ManifestError> {
        let mut problems = self.problems.into_inner();
        problems.sort();
        problems.dedup();
        problems
    }
}

/// One table. Every accessor notes the key as known; [`Table::end`] reports the keys that nobody asked for.
pub(crate) struct Table<'a> {
    document: &'a Document<'a>,
    pub(crate) path: String,
    pub(crate) at: usize,
    entries: &'a DeTable<'a>,
    known: RefCell<Vec<&'static str>>,
}

/// A value with its place.
pub(crate) struct Found<'a, T> {
    pub(crate) value: T,
    pub(crate) at: usize,
    pub(crate) key: String,
    document: &'a Document<'a>,
}

impl<T> Found<'_, T> {
    pub(crate) fn problem(&self, message: impl Into<String>) {
        self.document.problem(self.at, &self.key, message);
    }
}

impl<'a, T> Found<'a, T> {
    /// Turns the value into another one, or notes why not.
    pub(crate) fn convert<U>(self, convert: impl FnOnce(T) -> Result<U, String>) -> Option<U> {
        let Self { value, at, key, document } = self;
        match convert(value) {
            Ok(converted) => Some(converted),
            Err(message) => {
                document.problem(at, &key, message);
                None
            }
        }
    }
}

impl<'a> Table<'a> {
    pub(crate) fn new(document: &'a Document<'a>, path: &str, at: usize, entries: &'a DeTable<'a>) -> Self {
        Self { document, path: path.to_owned(), at, entries, known: RefCell::default() }
    }

    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn raw(&self, name: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(name);
        self.entries.get(name)
    }

    /// Whether there is such a key.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Notes a problem at a key, or at the table where the key is absent.
    pub(crate) fn problem(&self, name: &str, message: impl Into<String>) {
        let at = self.entries.get(name).map_or(self.at, |value| value.span().start);
        self.document.problem(at, &self.key(name), message);
    }

    fn typed<T>(
        &self,
        name: &'static str,
        what: &str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<Found<'a, T>> {
        let value = self.raw(name)?;
        let (at, key) = (value.span().start, self.key(name));
        match read(value.get_ref()) {
            Some(value) => Some(Found { value, at, key, document: self.document }),
            None => {
                self.document.problem(at, &key, format!("must be {what}"));
                None
            }
        }
    }

    fn required<T>(&self, name: &'static str, found: Option<Found<'a, T>>) -> Option<Found<'a, T>> {
        if found.is_none() && !self.entries.contains_key(name) {
            self.problem(name, "is required");
        }
        found
    }

    pub(crate) fn optional_text(&self, name: &'static str) -> Option<Found<'a, &'a str>> {
        let found = self.typed(name, "a text", DeValue::as_str)?;
        if found.value.trim().is_empty() {
            found.problem("is empty");
            return None;
        }
        Some(found)
    }

    pub(crate) fn text(&self, name: &'static str) -> Option<Found<'a, &'a str>> {
        self.required(name, self.optional_text(name))
    }

    pub(crate) fn optional_integer(&self, name: &'static str) -> Option<Found<'a, i64>> {
        self.typed(name, "a whole number", |value| {
            value.as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok())
        })
    }

    pub(crate) fn integer(&self, name: &'static str) -> Option<Found<'a, i64>> {
        self.required(name, self.optional_integer(name))
    }

    pub(crate) fn optional_bool(&self, name: &'static str) -> Option<Found<'a, bool>> {
        self.typed(name, "true or false", DeValue::as_bool)
    }

    pub(crate) fn bool(&self, name: &'static str) -> Option<bool> {
        self.required(name, self.optional_bool(name)).map(|found| found.value)
    }

    /// A list of texts; absent: empty.
    pub(crate) fn texts(&self, name: &'static str) -> Vec<Found<'a, &'a str>> {
        let Some(list) = self.typed(name, "a list of texts", DeValue::as_array) else { return Vec::new() };
        let mut texts = Vec::new();
        for (index, item) in list.value.iter().enumerate() {
            let (at, key) = (item.span().start, format!("{}[{index}]", self.key(name)));
            match item.get_ref().as_str() {
                Some(value) => texts.push(Found { value, at, key, document: self.document }),
                None => self.document.problem(at, &key, "must be a text"),
            }
        }
        texts
    }

    pub(crate) fn optional_table(&self, name: &'static str) -> Option<Self> {
        let found = self.typed(name, "a table", DeValue::as_table)?;
        Some(Self::new(self.document, &found.key, found.at, found.value))
    }

    pub(crate) fn table(&self, name: &'static str) -> Option<Self> {
        let table = self.optional_table(name);
        if table.is_none() && !self.entries.contains_key(name) {
            self.problem(name, "is required");
        }
        table
    }

    /// A list of tables; absent: empty.
    pub(crate) fn tables(&self, name: &'static str) -> Vec<Self> {
        let Some(list) = self.typed(name, "a list of tables", DeValue::as_array) else { return Vec::new() };
        let mut tables = Vec::new();
        for (index, item) in list.value.iter().enumerate() {
            let (at, key) = (item.span().start, format!("{}[{index}]", self.key(name)));
            match item.get_ref().as_table() {
                Some(entries) => tables.push(Self::new(self.document, &key, at, entries)),
                None => self.document.problem(at, &key, "must be a table"),
            }
        }
        tables
    }

    /// Every entry of this table, whose keys are free: name, place and value. All keys count as known.
    pub(crate) fn entries(&self) -> Vec<(Found<'a, &'a str>, &'a Spanned<DeValue<'a>>)> {
        self.entries
            .iter()
            .map(|(key, value)| {
                let name: &'a str = key.get_ref();
                let found =
                    Found { value: name, at: key.span().start, key: self.key(name), document: self.document };
                (found, value)
            })
            .collect()
    }

    /// A table that is the value of a free key.
    pub(crate) fn entry_table(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<Self> {
        match value.get_ref().as_table() {
            Some(entries) => Some(Self::new(self.document, &self.key(key), value.span().start, entries)),
            None => {
                self.document.problem(value.span().start, &self.key(key), "must be a table");
                None
            }
        }
    }

    /// A list of texts that is the value of a free key.
    pub(crate) fn entry_texts(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Vec<Found<'a, &'a str>> {
        let at = value.span().start;
        let key = self.key(key);
        let texts: Option<Vec<&'a str>> = value
            .get_ref()
            .as_array()
            .and_then(|list| list.iter().map(|item| item.get_ref().as_str()).collect());
        match texts {
            Some(texts) => texts
                .into_iter()
                .map(|value| Found { value, at, key: key.clone(), document: self.document })
                .collect(),
            None => {
                self.document.problem(at, &key, "must be a list of texts");
                Vec::new()
            }
        }
    }

    /// The label made of this table's own `zh` and `en`.
    pub(crate) fn label(&self) -> Option<Label> {
        let (zh, en) = (self.text("zh"), self.text("en"));
        Some(Label::new(zh?.value.trim(), en?.value.trim()))
    }

    /// A label in a table of its own, `{ zh = "…", en = "…" }`.
    pub(crate) fn optional_label(&self, name: &'static str) -> Option<Label> {
        let table = self.optional_table(name)?;
        let label = table.label();
        table.end();
        label
    }

    /// Reports keys that nobody asked for.
    pub(crate) fn end(&self) {
        let known = self.known.borrow();
        for (key, _) in self.entries {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let message = match nearest(name, &known) {
                Some(near) => format!("is not a known key; did you mean `{near}`?"),
                None => "is not a known key".to_owned(),
            };
            self.document.problem(key.span().start, &self.key(name), message);
        }
    }
}

/// The known word that differs least from `word`, if it is close.
pub(crate) fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (above, cb) in row.iter().skip(1).zip(&b) {
            let cost = (diagonal + usize::from(ca != *cb)).min(left + 1).min(above + 1);
            diagonal = *above;
            left = cost;
            next.push(cost);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
