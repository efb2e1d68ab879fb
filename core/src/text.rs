//! Text that people read: languages, bilingual labels and bounded free text.

use std::fmt;

use crate::invalid::Invalid;

/// A language of the people who use Linli.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// Chinese, simplified.
    Zh,
    /// English.
    En,
}

/// A label in Chinese and English.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Label {
    /// A label of two texts.
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }

    /// The text in one language.
    pub fn get(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }
}

/// Free text of at most `MAX` characters without control characters (line feed and tab are accepted), trimmed,
/// never empty. `Debug` shows the length only: free text about people is personal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const MAX: usize>(String);

/// One line: names, titles, addresses.
pub type Line = Text<200>;
/// A paragraph: content of a record, reasons, remarks.
pub type Paragraph = Text<4000>;

impl<const MAX: usize> Text<MAX> {
    /// Accepts trimmed, non-empty text.
    ///
    /// # Errors
    /// [`Invalid::Missing`], [`Invalid::TooLong`] or [`Invalid::ControlCharacter`].
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Invalid::Missing);
        }
        if text.chars().count() > MAX {
            return Err(Invalid::TooLong { max: MAX });
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(Invalid::ControlCharacter);
        }
        Ok(Self(text.to_owned()))
    }

    /// As [`Text::new`], with empty text as `None`.
    ///
    /// # Errors
    /// As [`Text::new`], but never [`Invalid::Missing`].
    pub fn optional(text: &str) -> Result<Option<Self>, Invalid> {
        match Self::new(text) {
            Ok(text) => Ok(Some(text)),
            Err(Invalid::Missing) => Ok(None),
            Err(invalid) => Err(invalid),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}
