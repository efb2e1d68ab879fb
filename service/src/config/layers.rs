//! The layers of the configuration: embedded default, `--dev`, file, environment, command line; later ones win.
//!
//! The embedded default holds every key, so it is the schema: what it lacks is unknown, and a value has the kind of
//! its default. Every value remembers where it was set, so that a complaint can name the line.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeTable, DeValue};

/// Tables whose keys are the operator's own words.
const OPEN: &[&str] = &["import.columns", "plugins.isolation"];

/// What every variable of ours begins with.
const ENV_PREFIX: &str = "LINLI__";

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The embedded default.
    Default,
    /// A line of the file, counted from 1.
    File {
        /// The file, as it was named.
        path: String,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// An option of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Something wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was set.
    pub origin: Origin,
    /// What is wrong, and with which key.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

/// A value of one of the kinds that the configuration knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<String>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list of texts",
        }
    }
}

/// A value and where it was set.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// Every key with its value in force, and everything found wrong on the way.
#[derive(Debug)]
pub(super) struct Layers {
    defaults: BTreeMap<String, Value>,
    entries: BTreeMap<String, Entry>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    /// The embedded default alone.
    pub(super) fn new(default: &str) -> Self {
        let mut layers = Self { defaults: BTreeMap::new(), entries: BTreeMap::new(), problems: Vec::new() };
        for (key, value, _) in layers.parse(default, "default.toml") {
            layers.defaults.insert(key.clone(), value.clone());
            layers.entries.insert(key, Entry { value, origin: Origin::Default });
        }
        layers
    }

    /// Lays a file over what is there.
    pub(super) fn file(&mut self, text: &str, path: &str) {
        for (key, value, line) in self.parse(text, path) {
            self.set(key, value, Origin::File { path: path.to_owned(), line });
        }
    }

    /// Lays the environment over what is there; variables of other programs are passed over.
    pub(super) fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
            let key = rest.split("__").collect::<Vec<_>>().join(".").to_ascii_lowercase();
            let origin = Origin::Environment(name.clone());
            let value = match self.defaults.get(&key) {
                Some(Value::Text(_)) | None => Value::Text(text),
                Some(Value::Integer(_) | Value::Flag(_) | Value::List(_)) => {
                    match DeValue::parse(&text).ok().as_ref().and_then(|value| known(value.get_ref())) {
                        Some(value) => value,
                        None => Value::Text(text),
                    }
                }
            };
            self.set(key, value, origin);
        }
    }

    /// Sets one key from the command line.
    pub(super) fn flag(&mut self, flag: &'static str, key: &str, value: Value) {
        self.set(key.to_owned(), value, Origin::Flag(flag));
    }

    /// The value in force; the default where the one that was set is of the wrong kind.
    pub(super) fn get(&self, key: &str) -> &Entry {
        self.entries
            .get(key)
            .expect("the embedded default holds every key that is read; a test reads them all")
    }

    /// The default.
    pub(super) fn default(&self, key: &str) -> &Value {
        self.defaults
            .get(key)
            .expect("the embedded default holds every key that is read; a test reads them all")
    }

    /// The entries of an open table, with their own names.
    pub(super) fn open(&self, table: &str) -> impl Iterator<Item = (&str, &Entry)> {
        let prefix = format!("{table}.");
        self.entries.iter().filter_map(move |(key, entry)| Some((key.strip_prefix(&prefix)?, entry)))
    }

    /// Every key that the embedded default holds.
    #[cfg(test)]
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.defaults.keys().map(String::as_str)
    }

    fn set(&mut self, key: String, value: Value, origin: Origin) {
        let open = OPEN.iter().any(|table| key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')));
        match self.defaults.get(&key) {
            Some(default) if std::mem::discriminant(default) == std::mem::discriminant(&value) => {
                self.entries.insert(key, Entry { value, origin });
            }
            Some(default) => {
                let message = format!("`{key}` takes {}, not {}", default.kind(), value.kind());
                self.problems.push(Problem { origin, message });
            }
            None if open && matches!(origin, Origin::File { .. }) => {
                self.entries.insert(key, Entry { value, origin });
            }
            None => {
                let message = match self.nearest(&key) {
                    Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
                    None => format!("unknown key `{key}`"),
                };
                self.problems.push(Problem { origin, message });
            }
        }
    }

    /// Keys, values and lines of a document; what cannot be read becomes a problem.
    fn parse(&mut self, text: &str, path: &str) -> Vec<(String, Value, usize)> {
        let line_of = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = line_of(error.span().map_or(0, |span| span.start));
            let message = error.message().to_owned();
            self.problems.push(Problem { origin: Origin::File { path: path.to_owned(), line }, message });
        }
        let mut found = Vec::new();
        if !errors.is_empty() {
            // What a broken text seems to say is not worth judging.
            return found;
        }
        let mut tables = vec![(String::new(), table.get_ref())];
        while let Some((prefix, table)) = tables.pop() {
            for (name, value) in table {
                let key = if prefix.is_empty() {
                    name.get_ref().to_string()
                } else {
                    format!("{prefix}.{}", name.get_ref())
                };
                let line = line_of(name.span().start);
                match value.get_ref() {
                    DeValue::Table(inner) => tables.push((key, inner)),
                    other => match known(other) {
                        Some(value) => found.push((key, value, line)),
                        None => {
                            let message = format!("`{key}` cannot be of the kind {}", other.type_str());
                            let origin = Origin::File { path: path.to_owned(), line };
                            self.problems.push(Problem { origin, message });
                        }
                    },
                }
            }
        }
        found.sort_by_key(|(_, _, line)| *line);
        found
    }

    /// The known key that looks most like `key`, if any looks like it.
    fn nearest(&self, key: &str) -> Option<&str> {
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let distance = |known: &str| {
            let whole = edits(key, known);
            // A right name in the wrong table is near, too.
            if last(key) == last(known) { whole.min(2) } else { whole }
        };
        let (near, distance) =
            self.defaults.keys().map(|known| (known.as_str(), distance(known))).min_by_key(|(_, d)| *d)?;
        (distance <= 2 + key.len() / 8).then_some(near)
    }
}

/// A TOML value of a kind that the configuration knows.
fn known(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::Text(text.to_string())),
        DeValue::Boolean(flag) => Some(Value::Flag(*flag)),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Integer)
        }
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map(Value::List)
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// Insertions, deletions and substitutions between two texts (Levenshtein).
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(&right) {
            let here = (before + 1).min(*cell + 1).min(diagonal + usize::from(from != *to));
            diagonal = *cell;
            *cell = here;
            before = here;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance() {
        let check =
            |left: &str, right: &str, expect: usize| assert_eq!(edits(left, right), expect, "{left} {right}");
        check("", "", 0);
        check("", "abc", 3);
        check("listen", "lisen", 1);
        check("kitten", "sitting", 3);
        check("数据", "数", 1);
    }
}
