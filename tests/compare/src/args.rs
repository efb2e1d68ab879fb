//! Options of the form `--key value`.

use std::collections::BTreeMap;

/// The options after the command.
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// Reads `--key value` pairs.
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = BTreeMap::new();
        while let Some(argument) = arguments.next() {
            let key = argument.strip_prefix("--").ok_or_else(|| format!("`{argument}` is no option"))?;
            let value = arguments.next().ok_or_else(|| format!("`{argument}` needs a value"))?;
            options.insert(key.to_owned(), value);
        }
        Ok(Self(options))
    }

    /// A whole number, or the default.
    pub fn number(&self, key: &str, default: usize) -> Result<usize, String> {
        match self.0.get(key) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| format!("`--{key} {value}` is no number")),
        }
    }

    /// A text, where given.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}
