//! The manifest of a plugin, `plugin.toml`: everything it declares and everything it can ever say.
//!
//! Ordinals in the plugin interface count these tables from 0 in the order of the file. [`Manifest::parse`] reads
//! the text and reports *all* problems at once, each with its line.

mod connector;
pub(crate) mod parse;
pub(crate) mod reader;
mod standard;

use std::fmt;

pub(crate) use connector::https_host;
pub use connector::{
    ANY_HOST, ConnectorManifest, HttpUse, RosterField, SETTINGS_BYTES_MAX, Setting, SettingProblem,
    SettingType, SettingValue,
};
use linli_core::group::{CareGroup, Citation};
use linli_core::id::{CautionCode, FieldCode, GroupCode, PluginId, ReasonCode, TagCode};
use linli_core::invalid::Invalid;
use linli_core::resident::{FactValue, FieldClass};
use linli_core::standard::Standard;
use linli_core::text::Label;
use linli_plugin_abi as abi;
use linli_plugin_abi::encode::{Element, Elements, Fixed};

/// Largest manifest, in bytes: the bundled ones take a tenth of it.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;
/// Longest text fact of a field, in characters: longer prose is not for rules.
pub const TEXT_FACT_CHARS_MAX: usize = 200;

/// A parsed and checked manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Reverse-domain id, such as `cn.linli.elderly`.
    pub id: PluginId,
    /// SemVer version of the plugin.
    pub version: String,
    /// Its name.
    pub name: Label,
    /// Who makes it.
    pub vendor: String,
    /// SPDX licence expression.
    pub licence: String,
    /// The ABI it needs: major and lowest minor.
    pub abi: (u32, u32),
    /// The interface it implements: one, because rules and connectors run in different places.
    pub interfaces: Vec<Interface>,
    /// Where it wants to run.
    pub isolation: Isolation,
    /// The care groups whose members it finds; standards, fields and reasons refer to them.
    pub groups: Vec<CareGroup>,
    /// The standards of its groups; their origin names the plugin, with an empty digest until it is loaded.
    pub standards: Vec<Standard>,
    /// The facts it reads; nothing else reaches it.
    pub fields: Vec<Field>,
    /// What a site may set.
    pub parameters: Vec<Parameter>,
    /// What it may give as a reason.
    pub reasons: Vec<Reason>,
    /// The tags it may give.
    pub tags: Vec<Tag>,
    /// The cautions it may give.
    pub cautions: Vec<Caution>,
    /// What it declares as a connector; `None`: it has rules.
    pub connector: Option<ConnectorManifest>,
    /// Fields whose facts end memberships as soon as they are recorded, without a confirmation.
    pub ends_at_once: Vec<FieldCode>,
    /// The text it was read from.
    pub text: String,
}

/// An interface that a plugin may implement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interface {
    /// `linli.rules/1`.
    Rules,
    /// `linli.connector/1`.
    Connector,
}

impl Interface {
    /// Its id in the plugin interface.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Rules => abi::IF_RULES,
            Self::Connector => abi::IF_CONNECTOR,
        }
    }
}

/// Where a plugin wants to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// In the host's process where the operator trusts it for that.
    InProcess,
    /// Only in a process of its own.
    Child,
}

/// Type of a field or a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Yes or no.
    Bool,
    /// A whole number.
    Integer,
    /// A civil date.
    Date,
    /// One of the field's values.
    Code,
    /// A short text.
    Text,
}

impl FieldType {
    /// Its word in the manifest.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Integer => "integer",
            Self::Date => "date",
            Self::Code => "code",
            Self::Text => "text",
        }
    }

    /// Its number in the plugin interface.
    pub(crate) const fn number(self) -> u16 {
        match self {
            Self::Bool => abi::T_BOOL,
            Self::Integer => abi::T_INTEGER,
            Self::Date => abi::T_DATE,
            Self::Code => abi::T_CODE,
            Self::Text => abi::T_TEXT,
        }
    }

    /// A column of its type without an element.
    pub(crate) fn elements(self) -> Elements {
        match self {
            Self::Bool => Elements::Bool(Vec::new()),
            Self::Integer => Elements::Integer(Vec::new()),
            Self::Date => Elements::Date(Vec::new()),
            Self::Code => Elements::Code(Vec::new()),
            Self::Text => Elements::Text { offsets: vec![0], bytes: Vec::new() },
        }
    }
}

/// Where the value of a field comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldSource {
    /// From the care file itself: one of [`FILE_FIELDS`].
    File,
    /// From the resident's facts.
    Attribute,
}

/// Fields that every care file has, by code and type; a plugin that reads one declares it with `source = "file"`.
pub const FILE_FIELDS: &[(&str, FieldType)] = &[("birth_date", FieldType::Date), ("sex", FieldType::Code)];

/// A field that a plugin reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its code; fields of one code in several plugins are one field and have one type.
    pub code: FieldCode,
    /// Its type.
    pub kind: FieldType,
    /// Where its value comes from.
    pub source: FieldSource,
    /// Its name.
    pub title: Label,
    /// What to enter.
    pub help: Option<Label>,
    /// The class with which it is shown, sealed and audited.
    pub class: FieldClass,
    /// Sensitive personal information (个人信息保护法 28).
    pub sensitive: bool,
    /// The groups whose members' files show it; empty: all.
    pub groups: Vec<GroupCode>,
    /// Whether the rules cannot decide without it.
    pub required: bool,
    /// Smallest and largest accepted number.
    pub range: Option<(i64, i64)>,
    /// The accepted codes, in ordinal order.
    pub values: Vec<CodeValue>,
}

/// One accepted code of a field or a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeValue {
    /// The code.
    pub code: String,
    /// Its name.
    pub title: Label,
}

/// Something that a site may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its code.
    pub code: FieldCode,
    /// Its type.
    pub kind: FieldType,
    /// The value where a site sets none.
    pub default: FactValue,
    /// Smallest and largest accepted number.
    pub range: Option<(i64, i64)>,
    /// The accepted codes, in ordinal order.
    pub values: Vec<CodeValue>,
    /// Its name.
    pub title: Label,
    /// What it does.
    pub help: Option<Label>,
    /// Where the default comes from.
    pub citation: Option<Citation>,
}

/// A reason that a plugin may give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Its code.
    pub code: ReasonCode,
    /// What it says.
    pub text: Label,
    /// Where it comes from.
    pub citation: Option<Citation>,
}

/// A tag that a plugin may give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its code.
    pub code: TagCode,
    /// Its name.
    pub title: Label,
    /// Where it comes from.
    pub citation: Option<Citation>,
}

/// A caution that a plugin may give to whoever makes contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caution {
    /// Its code.
    pub code: CautionCode,
    /// What it says.
    pub text: Label,
    /// Where it comes from.
    pub citation: Option<Citation>,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ManifestErrors> {
        parse::manifest(text)
    }

    /// The field with this code.
    pub fn field(&self, code: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.code.as_str() == code)
    }

    /// The parameter with this code.
    pub fn parameter(&self, code: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.code.as_str() == code)
    }

    /// The group with this code.
    pub fn group(&self, code: &str) -> Option<&CareGroup> {
        self.groups.iter().find(|group| group.code.as_str() == code)
    }

    /// The reason with this code.
    pub fn reason(&self, code: &str) -> Option<&Reason> {
        self.reasons.iter().find(|reason| reason.code.as_str() == code)
    }

    /// The tag with this code.
    pub fn tag(&self, code: &str) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.code.as_str() == code)
    }

    /// The caution with this code.
    pub fn caution(&self, code: &str) -> Option<&Caution> {
        self.cautions.iter().find(|caution| caution.code.as_str() == code)
    }
}

impl Field {
    /// Whether a fact fits the field: type, code, range, length. Whether it makes sense together with the others is
    /// for the plugin's `validate`.
    ///
    /// # Errors
    /// Why it does not fit.
    pub fn check(&self, value: &FactValue) -> Result<(), Invalid> {
        self.element(value).map(drop)
    }

    /// A fact as an element of the field's column.
    pub(crate) fn element<'v>(&self, value: &'v FactValue) -> Result<Element<'v>, Invalid> {
        element(self.kind, self.range, &self.values, value)
    }
}

impl Parameter {
    /// Whether a value fits the parameter: type, code, range, length.
    ///
    /// # Errors
    /// Why it does not fit.
    pub fn check(&self, value: &FactValue) -> Result<(), Invalid> {
        self.element(value).map(drop)
    }

    /// A value as an element of the parameter's column.
    pub(crate) fn element<'v>(&self, value: &'v FactValue) -> Result<Element<'v>, Invalid> {
        element(self.kind, self.range, &self.values, value)
    }
}

fn element<'v>(
    kind: FieldType,
    range: Option<(i64, i64)>,
    values: &[CodeValue],
    value: &'v FactValue,
) -> Result<Element<'v>, Invalid> {
    match (kind, value) {
        (FieldType::Bool, FactValue::Bool(yes)) => Ok(Element::Fixed(Fixed::bool(*yes))),
        (FieldType::Date, FactValue::Date(date)) => Ok(Element::Fixed(Fixed::date(date.days()))),
        (FieldType::Integer, FactValue::Integer(number)) => match range {
            Some((min, _)) if *number < min => Err(Invalid::TooSmall { min }),
            Some((_, max)) if *number > max => Err(Invalid::TooLarge { max }),
            Some(_) | None => Ok(Element::Fixed(Fixed::integer(*number))),
        },
        (FieldType::Code, FactValue::Code(code)) => values
            .iter()
            .position(|known| known.code == *code)
            .map(|ordinal| Element::Fixed(Fixed::code(ordinal as u32)))
            .ok_or(Invalid::Unknown),
        // A text of no more bytes has no more characters.
        (FieldType::Text, FactValue::Text(text))
            if text.len() > TEXT_FACT_CHARS_MAX && text.chars().count() > TEXT_FACT_CHARS_MAX =>
        {
            Err(Invalid::TooLong { max: TEXT_FACT_CHARS_MAX })
        }
        (FieldType::Text, FactValue::Text(text)) => Ok(Element::Text(text)),
        (FieldType::Bool | FieldType::Integer | FieldType::Date | FieldType::Code | FieldType::Text, _) => {
            Err(Invalid::FactType)
        }
    }
}

/// Everything that is wrong with a manifest, or another TOML file of a plugin, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestErrors(pub Vec<ManifestError>);

/// One thing wrong with such a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestError {
    /// Line, from 1.
    pub line: usize,
    /// Key within the file, such as `standard[2].recurring.per`.
    pub key: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}` {}", self.line, self.key, self.message)
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestErrors {}
