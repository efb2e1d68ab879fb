//! `[connector]`: what a connector does, whom for, and what it may send where.

use std::collections::BTreeMap;
use std::fmt;

use linli_core::consent::BodyKind;
use linli_core::id::FieldCode;
use linli_core::referral::DisclosedField;
use linli_core::text::Label;
use serde_json::{Map, Value};

use super::parse::{all, code, one_of, words};
use super::reader::{Found, Table};
use crate::exchange::{Method, OperationKind};

/// The host of a manifest that stands for those that the operator's settings name.
pub const ANY_HOST: &str = "*";
/// Largest settings of one recipient, in bytes of JSON.
pub const SETTINGS_BYTES_MAX: usize = 65_536;
/// Longest text or address among settings, in characters.
const SETTING_CHARS_MAX: usize = 2_000;

/// What a connector declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorManifest {
    /// What it can be asked to do.
    pub operations: Vec<OperationKind>,
    /// Whom it is made for; empty: any kind of body.
    pub recipients: Vec<BodyKind>,
    /// What of a care file it may hand over.
    pub fields: Vec<DisclosedField>,
    /// What it may bring of the people on a recipient's list.
    pub roster: Vec<RosterField>,
    /// Which HTTPS requests it makes; `None`: none.
    pub http: Option<HttpUse>,
    /// Whether it sends mail.
    pub mail: bool,
    /// Whether it uses the recipient's exchange folder.
    pub files: bool,
    /// What an operator sets for each recipient.
    pub settings: Vec<Setting>,
}

/// Which HTTPS requests a connector makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUse {
    /// How.
    pub methods: Vec<Method>,
    /// To which hosts; [`ANY_HOST`]: those that the operator's settings name.
    pub hosts: Vec<String>,
}

/// A field of a recipient's list of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RosterField {
    /// One that care files have.
    File(DisclosedField),
    /// The code of a care group.
    Group,
    /// The number of a certificate.
    Certificate,
    /// The last day on which the certificate holds, `YYYY-MM-DD`.
    ValidUntil,
}

impl RosterField {
    /// Its code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::File(field) => field.code(),
            Self::Group => "group",
            Self::Certificate => "certificate",
            Self::ValidUntil => "valid_until",
        }
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        let files = DisclosedField::ALL.iter().map(|field| Self::File(*field));
        files.chain([Self::Group, Self::Certificate, Self::ValidUntil]).collect()
    }
}

/// Something that an operator sets for a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its code: the key in the settings.
    pub code: String,
    /// Its type.
    pub kind: SettingType,
    /// Whether every recipient must have it.
    pub required: bool,
    /// What holds where a recipient has none.
    pub default: Option<SettingValue>,
    /// Smallest and largest accepted number.
    pub range: Option<(i64, i64)>,
    /// Its name.
    pub title: Label,
    /// What to enter.
    pub help: Option<Label>,
}

/// Type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SettingType {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// Yes or no.
    Flag,
    /// An absolute `https` address.
    Url,
}

impl SettingType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Integer, Self::Flag, Self::Url];

    /// Its word in the manifest.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Flag => "flag",
            Self::Url => "url",
        }
    }
}

/// A value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// A text or an address.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Flag(bool),
}

/// One thing wrong with a recipient's settings. It never holds a value: settings may hold people's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting; empty: all of them.
    pub code: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "`{}` {}", self.code, self.message)
        }
    }
}

impl ConnectorManifest {
    /// Checks a recipient's settings, a JSON object by the codes of the manifest, and fills in defaults. Empty: an
    /// object without members.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn settings(&self, json: &str) -> Result<String, Vec<SettingProblem>> {
        let whole = |message: String| vec![SettingProblem { code: String::new(), message }];
        if json.len() > SETTINGS_BYTES_MAX {
            return Err(whole(format!("have {} bytes; at most {SETTINGS_BYTES_MAX} are read", json.len())));
        }
        let given: Map<String, Value> = match json.trim() {
            "" => Map::new(),
            // The parser's own message may quote a value.
            text => serde_json::from_str(text).map_err(|error| {
                whole(format!("are no JSON object: line {}, column {}", error.line(), error.column()))
            })?,
        };
        let mut problems = Vec::new();
        let mut problem = |code: &str, message: String| {
            problems.push(SettingProblem { code: code.to_owned(), message });
        };
        let known: Vec<&str> = self.settings.iter().map(|setting| setting.code.as_str()).collect();
        for code in given.keys().filter(|code| !known.contains(&code.as_str())) {
            let message = match super::reader::nearest(code, &known) {
                Some(near) => format!("is not a setting; did you mean `{near}`?"),
                None => format!("is not a setting; there is {}", words(&known)),
            };
            problem(code, message);
        }
        let mut all = BTreeMap::new();
        for setting in &self.settings {
            match given.get(&setting.code).filter(|value| !value.is_null()) {
                Some(value) => match setting.check(value) {
                    Ok(()) => drop(all.insert(setting.code.clone(), value.clone())),
                    Err(message) => problem(&setting.code, message),
                },
                None if setting.required => problem(&setting.code, "is required".to_owned()),
                None => {
                    let default = setting.default.as_ref().map(SettingValue::to_json);
                    all.extend(default.map(|value| (setting.code.clone(), value)));
                }
            }
        }
        if problems.is_empty() { Ok(Value::from_iter(all).to_string()) } else { Err(problems) }
    }
}

impl Setting {
    fn check(&self, value: &Value) -> Result<(), String> {
        match (self.kind, value) {
            (SettingType::Flag, Value::Bool(_)) => Ok(()),
            (SettingType::Integer, Value::Number(number)) => {
                let number = number.as_i64().ok_or("must be a whole number")?;
                match self.range {
                    Some((min, _)) if number < min => Err(format!("must be at least {min}")),
                    Some((_, max)) if number > max => Err(format!("must be at most {max}")),
                    Some(_) | None => Ok(()),
                }
            }
            (SettingType::Text | SettingType::Url, Value::String(text)) => {
                if text.is_empty() {
                    return Err("is empty".to_owned());
                }
                if text.chars().count() > SETTING_CHARS_MAX {
                    return Err(format!("must have at most {SETTING_CHARS_MAX} characters"));
                }
                if self.kind == SettingType::Url { https_host(text).map(drop) } else { Ok(()) }
            }
            (SettingType::Flag, _) => Err("must be true or false".to_owned()),
            (SettingType::Integer, _) => Err("must be a whole number".to_owned()),
            (SettingType::Text, _) => Err("must be a text".to_owned()),
            (SettingType::Url, _) => Err("must be an address".to_owned()),
        }
    }
}

impl SettingValue {
    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Integer(number) => Value::from(*number),
            Self::Flag(yes) => Value::from(*yes),
        }
    }
}

/// The host of an absolute `https` address, in lower case and without the port.
pub(crate) fn https_host(url: &str) -> Result<String, String> {
    let wrong = || "must be an absolute `https` address".to_owned();
    let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
    // What two readers of addresses could read differently is not accepted.
    if !rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte)) {
        return Err("must be written in ASCII without spaces; encode the rest with `%`".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not hold credentials".to_owned());
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest),
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    let is_port = |port: &str| port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    if host.is_empty() || !host.chars().all(is_name) || !(port.is_empty() || is_port(port)) {
        return Err(wrong());
    }
    Ok(host.to_ascii_lowercase())
}

/// Reads `[connector]`.
pub(super) fn connector(table: &Table<'_>) -> Option<ConnectorManifest> {
    let operations = closed(table, "operations", &OperationKind::ALL, OperationKind::word);
    if operations.is_empty() {
        table.problem("operations", "is required: at least one of what a connector can do");
    }
    let recipients = closed(table, "recipients", BodyKind::ALL, BodyKind::code);
    let fields = closed(table, "fields", DisclosedField::ALL, DisclosedField::code);
    let roster = closed(table, "roster", &RosterField::all(), RosterField::code);
    let pulls = operations.contains(&OperationKind::PullRoster);
    if pulls && roster.is_empty() {
        table.problem("roster", "is required for `pull_roster`: the fields that lists may hold");
    }
    if !pulls && !roster.is_empty() {
        table.problem("roster", "is for the operation `pull_roster`, which is not declared");
    }
    if !operations.contains(&OperationKind::Deliver) && !fields.is_empty() {
        table.problem("fields", "is for the operation `deliver`, which is not declared");
    }
    let http = table.optional_table("http").and_then(|table| {
        let http = http(&table);
        table.end();
        http
    });
    let flag = |name| table.optional_bool(name).is_some_and(|found| found.value);
    let (mail, files) = (flag("mail"), flag("files"));
    if http.is_none() && table.optional_table("http").is_none() && !mail && !files {
        table.problem("http", "is required, or `mail` or `files`: without one of them it reaches nobody");
    }
    let settings = all(&table.tables("setting"), "setting", setting);
    Some(ConnectorManifest { operations, recipients, fields, roster, http, mail, files, settings })
}

/// A list of words of a closed list, each once.
fn closed<T: Copy + PartialEq>(
    table: &Table<'_>,
    name: &'static str,
    known: &[T],
    word: fn(T) -> &'static str,
) -> Vec<T> {
    let mut values = Vec::new();
    for found in table.texts(name) {
        let place = (found.value, found.key.clone());
        if let Some(value) = one_of(found, known, word) {
            if values.contains(&value) {
                table.problem(name, format!("has `{}` twice, at `{}`", place.0, place.1));
            } else {
                values.push(value);
            }
        }
    }
    values
}

fn http(table: &Table<'_>) -> Option<HttpUse> {
    let methods = closed(table, "methods", &Method::ALL, Method::word);
    if methods.is_empty() {
        table.problem("methods", "is required: at least one method");
    }
    let named = table.texts("hosts");
    if named.is_empty() {
        table.problem(
            "hosts",
            "is required: names of hosts, or `*` for those that the operator's settings name",
        );
    }
    let hosts: Vec<String> = named.into_iter().filter_map(host).collect();
    (!methods.is_empty() && !hosts.is_empty()).then_some(HttpUse { methods, hosts })
}

fn host(found: Found<'_, &str>) -> Option<String> {
    found.convert(|text| {
        let is_name = https_host(&format!("https://{text}")).is_ok_and(|host| host == text);
        if text == ANY_HOST || is_name {
            Ok(text.to_owned())
        } else {
            Err(format!("must be the name of a host in lower case, or `{ANY_HOST}`, not `{text}`"))
        }
    })
}

fn setting(table: &Table<'_>) -> Option<Setting> {
    let code = code(table, "code", FieldCode::new);
    let kind = table.text("type").and_then(|found| one_of(found, &SettingType::ALL, SettingType::word));
    let required = table.optional_bool("required").is_some_and(|found| found.value);
    let (title, help) = (table.label(), table.optional_label("help"));
    let (min, max) = (table.optional_integer("min"), table.optional_integer("max"));
    let has_range = min.is_some() || max.is_some();
    let range = has_range
        .then(|| (min.map_or(i64::MIN, |found| found.value), max.map_or(i64::MAX, |found| found.value)));
    if has_range && kind.is_some_and(|kind| kind != SettingType::Integer) {
        table.problem("min", "and `max` are for whole numbers only");
    }
    if range.is_some_and(|(min, max)| min > max) {
        table.problem("min", "is above `max`");
    }
    let kind = kind?;
    let default = match kind {
        SettingType::Text | SettingType::Url => {
            table.optional_text("default").map(|found| SettingValue::Text(found.value.to_owned()))
        }
        SettingType::Integer => {
            table.optional_integer("default").map(|found| SettingValue::Integer(found.value))
        }
        SettingType::Flag => table.optional_bool("default").map(|found| SettingValue::Flag(found.value)),
    };
    if required && default.is_some() {
        table.problem("default", "is never used: the setting is required");
    }
    let code = code?.as_str().to_owned();
    let setting = Setting { code, kind, required, default, range, title: title?, help };
    if let Some(Err(message)) = setting.default.as_ref().map(|default| setting.check(&default.to_json())) {
        table.problem("default", message);
    }
    Some(setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_is_read_in_one_way() {
        for (url, host) in [
            ("https://body.example", "body.example"),
            ("https://Body.Example:8443/a?b#c", "body.example"),
            ("https://10.0.0.1/", "10.0.0.1"),
            ("https://[fd00::1]:8443/", "fd00::1"),
        ] {
            assert_eq!(https_host(url).as_deref(), Ok(host), "{url}");
        }
        for url in [
            "http://body.example",
            "https://",
            "https:///path",
            "https://user@body.example/",
            "https://body.example\\@other.example/",
            "https://body.example:port/",
            "https://body.example:99999/",
            "https://body example/",
            "https://街道.example/",
            "HTTPS://body.example/",
            "//body.example/",
        ] {
            assert!(https_host(url).is_err(), "{url}");
        }
    }
}
