//! Reading `plugin.toml` as far as the macros need it. The host checks the rest.

use std::path::{Path, PathBuf};

use proc_macro2::{Ident, Span};
use syn::Error;

/// The tables of a manifest that code refers to.
pub(crate) struct Source {
    /// Where the text is, for `include_str!`.
    pub(crate) path: String,
    pub(crate) groups: Vec<Entry>,
    pub(crate) tags: Vec<Entry>,
    pub(crate) cautions: Vec<Entry>,
    pub(crate) reasons: Vec<Entry>,
    pub(crate) fields: Vec<Column>,
    pub(crate) parameters: Vec<Column>,
}

/// A code and what it means.
pub(crate) struct Entry {
    pub(crate) code: String,
    pub(crate) doc: String,
}

/// A field or parameter.
pub(crate) struct Column {
    pub(crate) entry: Entry,
    pub(crate) kind: String,
    pub(crate) values: Vec<Entry>,
    /// For parameters, as text.
    pub(crate) default: String,
}

impl Source {
    pub(crate) fn read(relative: &str, span: Span) -> Result<Self, Error> {
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        let path = folder.join(Path::new(relative));
        let wrong = |message: String| Error::new(span, format!("`{relative}`: {message}"));
        let text =
            std::fs::read_to_string(&path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let root: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
        let entries =
            |table: &str| list(&root, table).map(entry).collect::<Result<Vec<_>, _>>().map_err(wrong);
        let columns =
            |table: &str| list(&root, table).map(column).collect::<Result<Vec<_>, _>>().map_err(wrong);
        let source = Self {
            path: path.to_str().ok_or_else(|| wrong("its path is not UTF-8".into()))?.to_owned(),
            groups: entries("group")?,
            tags: entries("tag")?,
            cautions: entries("caution")?,
            reasons: entries("reason")?,
            fields: columns("field")?,
            parameters: columns("parameter")?,
        };
        if let Some(shared) =
            source.parameters.iter().find(|p| source.fields.iter().any(|f| f.entry.code == p.entry.code))
        {
            return Err(wrong(format!("`{}` is both a field and a parameter", shared.entry.code)));
        }
        Ok(source)
    }
}

fn list<'a>(table: &'a toml::Table, key: &str) -> impl Iterator<Item = &'a toml::Value> {
    table.get(key).and_then(toml::Value::as_array).into_iter().flatten()
}

fn entry(value: &toml::Value) -> Result<Entry, String> {
    let text = |key: &str| value.get(key).and_then(toml::Value::as_str);
    let code = text("code").ok_or("an entry has no `code`")?;
    let fits = code.starts_with(|c: char| c.is_ascii_lowercase())
        && code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-'));
    if !fits {
        return Err(format!("`{code}` is not a code of `a-z`, `0-9`, `_` and `.`"));
    }
    let doc = text("en").unwrap_or(code);
    Ok(Entry { code: code.to_owned(), doc: doc.to_owned() })
}

fn column(value: &toml::Value) -> Result<Column, String> {
    let entry = entry(value)?;
    let kind = value.get("type").and_then(toml::Value::as_str).unwrap_or_default();
    if !["bool", "integer", "date", "code", "text"].contains(&kind) {
        return Err(format!("`{}` has no known `type`", entry.code));
    }
    let values = value.get("values").and_then(toml::Value::as_array).into_iter().flatten();
    let values = values.map(self::entry).collect::<Result<Vec<_>, _>>()?;
    let default = match value.get("default") {
        Some(toml::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    Ok(Column { kind: kind.to_owned(), values, default, entry })
}

/// `living_alone` becomes `LivingAlone`.
pub(crate) fn camel(code: &str) -> Ident {
    let mut name = String::new();
    for word in code.split(['_', '.', '-']) {
        let mut letters = word.chars();
        name.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    Ident::new(&name, Span::call_site())
}
