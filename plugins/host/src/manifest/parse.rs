//! From the text of `plugin.toml` to a [`Manifest`], or to all of its problems.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::group::{CareGroup, Citation};
use linli_core::id::{CautionCode, FieldCode, GroupCode, PluginId, ReasonCode, TagCode};
use linli_core::invalid::Invalid;
use linli_core::kind::Confidence;
use linli_core::resident::{FactValue, FieldClass};
use linli_core::standard::Origin;
use linli_core::text::Label;
use linli_core::time::CivilDate;

use super::connector::connector;
use super::reader::{Found, Table, document, nearest};
use super::standard::standard;
use super::{
    Caution, CodeValue, FILE_FIELDS, Field, FieldSource, FieldType, Interface, Isolation, MANIFEST_BYTES_MAX,
    Manifest, ManifestErrors, Parameter, Reason, Tag,
};

/// Largest number of entries of one table: ordinals are 16 bits, and nobody reads more.
const ENTRIES_MAX: usize = 1_000;

/// Tables that only rules have.
const RULES_TABLES: [&str; 7] = ["group", "field", "parameter", "reason", "tag", "caution", "standard"];

/// What is cited, by short name.
pub(super) type Places<'a> = BTreeMap<&'a str, Label>;

/// Groups and tags that standards may refer to.
pub(super) struct Names<'a> {
    groups: BTreeSet<&'a str>,
    tags: BTreeSet<&'a str>,
}

impl Names<'_> {
    pub(super) fn group(&self, found: Found<'_, &str>) -> Option<GroupCode> {
        let known = self.groups.iter().copied().collect::<Vec<_>>();
        declared(found, &known, "group", GroupCode::new)
    }

    pub(super) fn tag(&self, found: Found<'_, &str>) -> Option<TagCode> {
        let known = self.tags.iter().copied().collect::<Vec<_>>();
        declared(found, &known, "tag", TagCode::new)
    }
}

pub(super) fn manifest(text: &str) -> Result<Manifest, ManifestErrors> {
    document(text, "plugin.toml", MANIFEST_BYTES_MAX, |root| read(root, text))
}

fn read(root: &Table<'_>, text: &str) -> Option<Manifest> {
    let head = root.table("plugin");
    let places = places(root);
    let group_tables = root.tables("group");
    let tag_tables = root.tables("tag");
    let names = Names { groups: codes(&group_tables), tags: codes(&tag_tables) };

    let id = head.as_ref().and_then(plugin_id);
    let version = head.as_ref().and_then(plugin_version);
    let origin_id = id.clone().unwrap_or_else(|| PluginId::new("unknown").expect("a well-formed code"));
    let origin = Origin::Plugin {
        id: origin_id.clone(),
        version: version.clone().unwrap_or_default(),
        digest: String::new(),
    };

    let groups = all(&group_tables, "group", |table| group(table, &places, &origin_id));
    let tags = all(&tag_tables, "tag", |table| {
        let parts = (code(table, "code", TagCode::new), table.label(), citation(table, &places));
        Some(Tag { code: parts.0?, title: parts.1?, citation: parts.2 })
    });
    let reasons = all(&root.tables("reason"), "reason", |table| {
        let parts = (code(table, "code", ReasonCode::new), table.label(), citation(table, &places));
        Some(Reason { code: parts.0?, text: parts.1?, citation: parts.2 })
    });
    let cautions = all(&root.tables("caution"), "caution", |table| {
        let parts = (code(table, "code", CautionCode::new), table.label(), citation(table, &places));
        Some(Caution { code: parts.0?, text: parts.1?, citation: parts.2 })
    });
    let fields = all(&root.tables("field"), "field", |table| field(table, &names));
    let parameters = all(&root.tables("parameter"), "parameter", |table| parameter(table, &places));
    let standard_tables = root.tables("standard");
    let standards: Vec<_> =
        standard_tables.iter().filter_map(|table| standard(table, &names, &places, &origin)).collect();
    unique(&standard_tables, "standard");
    let connector_table = root.optional_table("connector");
    let connector = connector_table.as_ref().and_then(|table| {
        let connector = connector(table);
        table.end();
        connector
    });
    root.end();

    let head = head?;
    let field_codes: Vec<&str> = fields.iter().map(|field| field.code.as_str()).collect();
    let ends_at_once = head
        .texts("ends_at_once")
        .into_iter()
        .filter_map(|found| declared(found, &field_codes, "field", FieldCode::new))
        .collect();
    let name = head.label();
    let vendor = head.text("vendor");
    let licence = head.text("licence");
    let abi = head.text("abi").and_then(|found| {
        found.convert(|text| {
            let parts = text.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            parts.ok_or_else(|| {
                format!("must be `major.minor` of the plugin interface, such as `1.0`, not `{text}`")
            })
        })
    });
    let interface_texts = head.texts("interfaces");
    if interface_texts.is_empty() {
        head.problem("interfaces", "is required: at least one interface");
    }
    let interfaces = interface_texts
        .into_iter()
        .filter_map(|found| one_of(found, &[Interface::Rules, Interface::Connector], Interface::id))
        .collect::<Vec<_>>();
    let isolation = head.optional_text("isolation").map_or(Some(Isolation::Child), |found| {
        one_of(found, &[Isolation::InProcess, Isolation::Child], |isolation| match isolation {
            Isolation::InProcess => "in_process",
            Isolation::Child => "child",
        })
    });
    head.end();
    match interfaces.as_slice() {
        [Interface::Rules] => {
            if groups.is_empty() && group_tables.is_empty() {
                root.problem("group", "is required: rules need at least one group");
            }
            if connector_table.is_some() {
                let text = format!("is for the interface `{}` only", Interface::Connector.id());
                root.problem("connector", text);
            }
        }
        [Interface::Connector] => {
            if connector_table.is_none() {
                root.problem("connector", "is required: what the connector does, and what it may send where");
            }
            for name in RULES_TABLES.into_iter().filter(|name| root.has(name)) {
                root.problem(name, "is for rules: a connector has none");
            }
            if isolation == Some(Isolation::InProcess) {
                head.problem("isolation", "must be `child`: connectors run in processes of their own");
            }
        }
        [] => {}
        [_, _, ..] => {
            let text = "must be one: rules and connectors run in different places, make two plugins of them";
            head.problem("interfaces", text);
        }
    }
    Some(Manifest {
        id: id?,
        version: version?,
        name: name?,
        vendor: vendor?.value.to_owned(),
        licence: licence?.value.to_owned(),
        abi: abi?,
        interfaces,
        isolation: isolation?,
        groups,
        standards,
        fields,
        parameters,
        reasons,
        tags,
        cautions,
        connector,
        ends_at_once,
        text: text.to_owned(),
    })
}

/// `[instrument.<short name>]`: what citations refer to.
fn places<'a>(root: &Table<'a>) -> Places<'a> {
    let Some(list) = root.optional_table("instrument") else { return Places::new() };
    let mut places = Places::new();
    for (name, value) in list.entries() {
        if let Some(table) = list.entry_table(name.value, value) {
            let label = table.label();
            table.end();
            places.extend(label.map(|label| (name.value, label)));
        }
    }
    places
}

fn group(table: &Table<'_>, places: &Places<'_>, plugin: &PluginId) -> Option<CareGroup> {
    let (code, title) = (code(table, "code", GroupCode::new), table.label());
    let eligibility = table.optional_label("eligibility");
    if eligibility.is_none() && table.optional_table("eligibility").is_none() {
        table.problem("eligibility", "is required: who belongs to the group, in words");
    }
    let citation = citation(table, places);
    if citation.is_none() && table.optional_table("citation").is_none() {
        table.problem("citation", "is required: where the group is defined");
    }
    Some(CareGroup {
        code: code?,
        title: title?,
        eligibility: eligibility?,
        plugin: plugin.clone(),
        citation: citation?,
    })
}

fn field(table: &Table<'_>, names: &Names<'_>) -> Option<Field> {
    let code = code(table, "code", FieldCode::new);
    let kind = field_type(table);
    let source = table.optional_text("source").map_or(Some(FieldSource::Attribute), |found| {
        one_of(found, &[FieldSource::File, FieldSource::Attribute], |source| match source {
            FieldSource::File => "file",
            FieldSource::Attribute => "attribute",
        })
    });
    let title = table.label();
    let help = table.optional_label("help");
    let class = table.text("class").and_then(|found| one_of(found, FieldClass::ALL, FieldClass::code));
    let sensitive = table.bool("sensitive");
    let groups = table.texts("groups").into_iter().filter_map(|found| names.group(found)).collect();
    let required = table.optional_bool("required").is_some_and(|found| found.value);
    let range = range(table, kind);
    let values = values(table, kind);
    let (code, kind, source) = (code?, kind?, source?);
    let of_file = FILE_FIELDS.iter().find(|(name, _)| *name == code.as_str());
    match (source, of_file) {
        (FieldSource::File, Some((_, expected))) if *expected != kind => {
            table.problem("type", format!("must be `{}`: so every care file has it", expected.word()));
        }
        (FieldSource::File, None) => {
            let known: Vec<&str> = FILE_FIELDS.iter().map(|(name, _)| *name).collect();
            table.problem("source", format!("is `file`, but a care file only has {}", words(&known)));
        }
        (FieldSource::Attribute, Some(_)) => {
            table.problem("source", format!("must be `file`: every care file has `{code}`"));
        }
        (FieldSource::File, Some(_)) | (FieldSource::Attribute, None) => {}
    }
    Some(Field {
        code,
        kind,
        source,
        title: title?,
        help,
        class: class?,
        sensitive: sensitive?,
        groups,
        required,
        range,
        values,
    })
}

/// The plugin's id at `id`.
pub(crate) fn plugin_id(table: &Table<'_>) -> Option<PluginId> {
    table.text("id")?.convert(|text| match PluginId::new(text) {
        Ok(id) if text.contains('.') => Ok(id),
        Ok(_) | Err(_) => {
            Err(format!("must be a reverse-domain id such as `cn.example.chronic`, not `{text}`"))
        }
    })
}

/// The plugin's version at `version`.
pub(crate) fn plugin_version(table: &Table<'_>) -> Option<String> {
    table.text("version")?.convert(|text| match semver::Version::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("is not a SemVer version: {error}")),
    })
}

fn parameter(table: &Table<'_>, places: &Places<'_>) -> Option<Parameter> {
    let code = code(table, "code", FieldCode::new);
    let kind = field_type(table);
    let title = table.label();
    let help = table.optional_label("help");
    let citation = citation(table, places);
    let range = range(table, kind);
    let values = values(table, kind);
    let default = default_value(table, kind?)?;
    let parameter =
        Parameter { code: code?, kind: kind?, default, range, values, title: title?, help, citation };
    if let Err(invalid) = parameter.check(&parameter.default) {
        table.problem("default", invalid.message(linli_core::text::Language::En));
    }
    Some(parameter)
}

fn field_type(table: &Table<'_>) -> Option<FieldType> {
    let all = [FieldType::Bool, FieldType::Integer, FieldType::Date, FieldType::Code, FieldType::Text];
    table.text("type").and_then(|found| one_of(found, &all, FieldType::word))
}

fn default_value(table: &Table<'_>, kind: FieldType) -> Option<FactValue> {
    match kind {
        FieldType::Bool => table.bool("default").map(FactValue::Bool),
        FieldType::Integer => table.integer("default").map(|found| FactValue::Integer(found.value)),
        FieldType::Date => table.text("default").and_then(|found| {
            found.convert(|text| {
                CivilDate::parse(text).map(FactValue::Date).map_err(|_| "must be a date".to_owned())
            })
        }),
        FieldType::Code => table.text("default").map(|found| FactValue::Code(found.value.to_owned())),
        FieldType::Text => table.text("default").map(|found| FactValue::Text(found.value.to_owned())),
    }
}

fn range(table: &Table<'_>, kind: Option<FieldType>) -> Option<(i64, i64)> {
    let (min, max) = (table.optional_integer("min"), table.optional_integer("max"));
    if (min.is_some() || max.is_some()) && kind.is_some_and(|kind| kind != FieldType::Integer) {
        table.problem("min", "and `max` are for whole numbers only");
        return None;
    }
    let range = match (min, max) {
        (None, None) => return None,
        (min, max) => (min.map_or(i64::MIN, |found| found.value), max.map_or(i64::MAX, |found| found.value)),
    };
    if range.0 > range.1 {
        table.problem("min", "is above `max`");
    }
    Some(range)
}

fn values(table: &Table<'_>, kind: Option<FieldType>) -> Vec<CodeValue> {
    let tables = table.tables("values");
    let values: Vec<CodeValue> = tables
        .iter()
        .filter_map(|value| {
            let (code, title) = (code(value, "code", FieldCode::new), value.label());
            value.end();
            Some(CodeValue { code: code?.as_str().to_owned(), title: title? })
        })
        .collect();
    unique(&tables, "value");
    match kind {
        Some(FieldType::Code) if tables.is_empty() => table.problem("values", "is required for type `code`"),
        Some(FieldType::Bool | FieldType::Integer | FieldType::Date | FieldType::Text)
            if !tables.is_empty() =>
        {
            table.problem("values", "is for type `code` only");
        }
        Some(_) | None => {}
    }
    values
}

/// `citation = { in = "<short name>", at = "<article>", confidence = "V" }`; absent: none.
pub(super) fn citation(table: &Table<'_>, places: &Places<'_>) -> Option<Citation> {
    let cited = table.optional_table("citation")?;
    let instrument = cited.text("in").and_then(|found| {
        let known: Vec<&str> = places.keys().copied().collect();
        found.convert(|name| match places.get(name) {
            Some(label) => Ok(label.clone()),
            None => Err(unknown("instrument", name, &known)),
        })
    });
    let locator = cited.optional_text("at").map(|found| found.value.to_owned()).unwrap_or_default();
    let confidence =
        cited.text("confidence").and_then(|found| one_of(found, Confidence::ALL, Confidence::code));
    cited.end();
    Some(Citation { instrument: instrument?, locator, confidence: confidence? })
}

/// The code of an entry, of a checked shape.
pub(super) fn code<T>(
    table: &Table<'_>,
    name: &'static str,
    new: impl Fn(&str) -> Result<T, Invalid>,
) -> Option<T> {
    table.text(name)?.convert(|text| {
        new(text)
            .map_err(|invalid| format!("{}, not `{text}`", invalid.message(linli_core::text::Language::En)))
    })
}

/// One word of a closed list.
pub(crate) fn one_of<T: Copy>(
    found: Found<'_, &str>,
    all: &[T],
    word: impl Fn(T) -> &'static str,
) -> Option<T> {
    found.convert(|text| {
        let known: Vec<&str> = all.iter().map(|value| word(*value)).collect();
        let value = all.iter().copied().find(|value| word(*value) == text);
        value.ok_or_else(|| match nearest(text, &known) {
            Some(near) => format!("is `{text}`, which is unknown; did you mean `{near}`?"),
            None => format!("must be {}, not `{text}`", words(&known)),
        })
    })
}

/// A list of words for people: `a`, `b` or `c`.
pub(crate) fn words(known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

fn declared<T>(
    found: Found<'_, &str>,
    known: &[&str],
    what: &str,
    new: impl Fn(&str) -> Result<T, Invalid>,
) -> Option<T> {
    found.convert(|text| {
        let code = new(text).ok().filter(|_| known.contains(&text));
        code.ok_or_else(|| unknown(what, text, known))
    })
}

fn unknown(what: &str, text: &str, known: &[&str]) -> String {
    match nearest(text, known) {
        Some(near) => format!("names the {what} `{text}`, which is not declared; did you mean `{near}`?"),
        None => format!("names the {what} `{text}`, which is not declared; declared: {}", words(known)),
    }
}

pub(super) fn all<'a, T>(tables: &[Table<'a>], what: &str, read: impl Fn(&Table<'a>) -> Option<T>) -> Vec<T> {
    let entries = tables
        .iter()
        .filter_map(|table| {
            let entry = read(table);
            table.end();
            entry
        })
        .collect();
    unique(tables, what);
    entries
}

fn unique(tables: &[Table<'_>], what: &str) {
    let mut seen = BTreeSet::new();
    for table in tables {
        if let Some(found) = table.optional_text("code")
            && !seen.insert(found.value)
        {
            found.problem(format!("is `{}`, a code that another {what} has already", found.value));
        }
    }
    if let Some(beyond) = tables.get(ENTRIES_MAX) {
        beyond.problem("code", format!("is beyond the {ENTRIES_MAX}th {what}; more are not read"));
    }
}

fn codes<'a>(tables: &[Table<'a>]) -> BTreeSet<&'a str> {
    tables.iter().filter_map(|table| table.optional_text("code").map(|found| found.value)).collect()
}
