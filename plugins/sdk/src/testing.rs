//! Tables of cases that run through the real entry of a plugin, without a host.
//!
//! The format is that of [`crate::abi::scenario`]:
//!
//! ```text
//! case alone at 82
//!   today 2026-03-16
//!   living alone since 2025-06-01
//!   => member living_alone since 2025-06-01: lives_alone
//! ```

use std::ffi::c_void;
use std::fmt::Write as _;
use std::ptr;

use crate::Rules;
use crate::abi::encode::{self, ColumnData, Elements};
use crate::abi::{self, Bytes, Call, Finding, Sink, Status, Str, scenario};
use crate::date::Date;
use crate::export::Exported;
use crate::facts::{Declared, Facts, Manifest};

pub use crate::abi::scenario::{Case, CaseFact};

/// Runs every case of a table through the plugin: each alone, and all in one batch. Panics with everything that
/// differs.
///
/// # Panics
/// If a case is not well-formed or finds something else than it expects.
pub fn check<R: Rules>(table: &str) {
    let cases = parse(table);
    assert!(!cases.is_empty(), "the table has no case");
    let mut wrong = String::new();
    let together = run::<R>(&cases);
    for (case, in_batch) in cases.iter().zip(together) {
        let alone = run::<R>(std::slice::from_ref(case)).remove(0);
        assert_eq!(alone, in_batch, "`{}` finds other things in a batch than alone", case.name);
        for line in alone.iter().filter(|line| !case.expected.contains(line)) {
            let _ = write!(wrong, "\n  line {}, `{}`: found, not expected: {line}", case.line, case.name);
        }
        for line in case.expected.iter().filter(|line| !alone.contains(line)) {
            let _ = write!(wrong, "\n  line {}, `{}`: expected, not found: {line}", case.line, case.name);
        }
    }
    assert!(wrong.is_empty(), "the rules differ from the table:{wrong}");
}

/// Codes of the manifest that no case of a table expects: groups, tags, cautions and reasons, as `table code`.
pub fn unused<R: Rules>(table: &str) -> Vec<String> {
    let manifest = <R::Facts as Facts>::MANIFEST;
    let expected: Vec<String> = parse(table).into_iter().flat_map(|case| case.expected).collect();
    let mut unused = Vec::new();
    for (kind, codes) in [("member", manifest.groups), ("tag", manifest.tags), ("caution", manifest.cautions)]
    {
        for code in codes {
            let used = |line: &String| {
                line.strip_prefix(kind)
                    .and_then(|rest| rest.trim_start().strip_prefix(code))
                    .is_some_and(|rest| rest.starts_with([' ', ':']))
            };
            if !expected.iter().any(used) {
                unused.push(format!("{kind} {code}"));
            }
        }
    }
    for code in manifest.reasons {
        if !expected.iter().any(|line| line.ends_with(&format!(": {code}"))) {
            unused.push(format!("reason {code}"));
        }
    }
    unused
}

/// Reads a table of cases.
///
/// # Panics
/// If it is not well-formed; the message names the line.
pub fn parse(table: &str) -> Vec<Case> {
    scenario::parse(table).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// What the plugin finds in each case, as sorted lines like those of the table.
///
/// # Panics
/// If a case names what the manifest does not declare, or if the plugin fails.
pub fn run<R: Rules>(cases: &[Case]) -> Vec<Vec<String>> {
    let manifest = <R::Facts as Facts>::MANIFEST;
    let batch = batch(manifest, cases);
    let mut lines = vec![Vec::new(); cases.len()];
    for record in call::<R>(&batch) {
        let line = line(manifest, &record);
        let Some(case) = lines.get_mut(record.resident as usize) else {
            panic!("the plugin speaks of resident {} of {}", record.resident, cases.len())
        };
        case.push(line);
    }
    // Of several expiries the earliest counts, as in the host.
    for case in &mut lines {
        case.sort();
        let mut seen = false;
        case.retain(|line| !line.starts_with("expires ") || !std::mem::replace(&mut seen, true));
    }
    lines
}

fn batch(manifest: &Manifest, cases: &[Case]) -> encode::Batch {
    let today = cases.iter().map(|case| date(&case.today, &case.name).days()).collect();
    let mut columns = vec![ColumnData::complete(Elements::Date(today))];
    for case in cases {
        let unknown = |code: &str, known: &[Declared]| !known.iter().any(|declared| declared.code == code);
        if let Some(fact) = case.facts.iter().find(|fact| unknown(&fact.field, manifest.fields)) {
            panic!("case `{}` has the fact `{}`, which the manifest does not declare", case.name, fact.field);
        }
        if let Some((code, _)) = case.parameters.iter().find(|(code, _)| unknown(code, manifest.parameters)) {
            panic!("case `{}` has the parameter `{code}`, which the manifest does not declare", case.name);
        }
    }
    for declared in manifest.fields {
        let facts =
            cases.iter().map(|case| (case, case.facts.iter().rfind(|fact| fact.field == declared.code)));
        let cells = facts.map(|(case, fact)| {
            fact.map(|fact| {
                let since = fact.since.as_deref().map_or(Date::ALWAYS, |since| date(since, &case.name));
                (fact.value.as_str(), since)
            })
        });
        columns.push(column(declared, cells.collect()));
    }
    for declared in manifest.parameters {
        let values = cases.iter().map(|case| {
            let set = case.parameters.iter().rfind(|(code, _)| code == declared.code);
            Some((set.map_or(declared.default, |(_, value)| value.as_str()), Date::ALWAYS))
        });
        columns.push(column(declared, values.collect()));
    }
    let (fields, parameters) = (manifest.fields.len() as u32, manifest.parameters.len() as u32);
    encode::encode(cases.len() as u32, fields, parameters, &columns)
        .expect("one element per case in every column")
}

fn column(declared: &Declared, cells: Vec<Option<(&str, Date)>>) -> ColumnData {
    let mut elements = Elements::empty(declared.kind).expect("the derive knows the types of the interface");
    let mut validity = vec![0_u8; cells.len().div_ceil(8)];
    let mut since = Vec::new();
    for (index, cell) in cells.into_iter().enumerate() {
        let Some((value, from)) = cell else {
            elements.push_absent();
            since.push(abi::NO_DATE);
            continue;
        };
        if let Some(byte) = validity.get_mut(index / 8) {
            *byte |= 1 << (index % 8);
        }
        since.push(from.days());
        let wrong = || -> ! { panic!("`{value}` does not fit `{}`", declared.code) };
        match &mut elements {
            Elements::Bool(values) => values.push(match value {
                "yes" | "true" => 1,
                "no" | "false" => 0,
                _ => wrong(),
            }),
            Elements::Integer(values) => values.push(value.parse().unwrap_or_else(|_| wrong())),
            Elements::Date(values) => values.push(date(value, declared.code).days()),
            Elements::Code(values) => {
                values
                    .push(declared.values.iter().position(|code| *code == value).unwrap_or_else(|| wrong())
                        as u32);
            }
            Elements::Text { offsets, bytes } => {
                bytes.extend_from_slice(value.as_bytes());
                offsets.push(bytes.len() as u32);
            }
        }
    }
    ColumnData { elements, validity: Some(validity), since: Some(since), constant: false }
}

fn call<R: Rules>(batch: &encode::Batch) -> Vec<Finding> {
    let plugin = Exported::<R>::PLUGIN;
    let mut message = String::new();
    let call = Call {
        struct_size: size_of::<Call>() as u32,
        budget_ms: 0,
        cancel: ptr::null(),
        ctx: (&raw mut message).cast(),
        error: Some(keep_message),
    };
    // One record of room at first, so that growing is always tried.
    let mut records: Vec<Finding> = Vec::with_capacity(1);
    let mut sink = Sink {
        struct_size: size_of::<Sink>() as u32,
        item_size: size_of::<Finding>() as u32,
        ctx: (&raw mut records).cast::<c_void>(),
        items: records.as_mut_ptr(),
        cap: records.capacity() as u32,
        len: 0,
        grow: Some(grow),
    };
    let (Some(create), Some(destroy), Some(get_interface)) =
        (plugin.create, plugin.destroy, plugin.get_interface)
    else {
        panic!("the SDK fills every function")
    };
    let mut instance = ptr::null_mut();
    // SAFETY: every argument is as the interface describes, and lives until the calls have returned.
    let statuses = unsafe {
        let created = create(ptr::null(), &raw const call, Bytes::new(&[]), &raw mut instance);
        let rules = &*get_interface(instance, Str::new(abi::IF_RULES)).cast::<abi::Rules>();
        let (Some(assess), Some(validate)) = (rules.assess, rules.validate) else {
            panic!("the SDK fills every function")
        };
        let assessed = assess(instance, &raw const call, batch.as_ptr(), &raw mut sink);
        let validated = validate(instance, &raw const call, batch.as_ptr(), &raw mut sink);
        records.set_len(sink.len as usize);
        destroy(instance);
        [created, assessed, validated]
    };
    assert_eq!(statuses, [abi::OK; 3], "the plugin failed: {message}");
    records
}

unsafe extern "C" fn keep_message(call: *const Call, message: Str) {
    // SAFETY: called during `call` with its own context.
    unsafe {
        let bytes = std::slice::from_raw_parts(message.ptr, message.len);
        *(*call).ctx.cast::<String>() = String::from_utf8_lossy(bytes).into_owned();
    }
}

unsafe extern "C" fn grow(sink: *mut Sink, at_least: u32) -> Status {
    // SAFETY: called during `call` with its own sink.
    unsafe {
        let records = &mut *(*sink).ctx.cast::<Vec<Finding>>();
        records.set_len((*sink).len as usize);
        records.reserve((at_least as usize).saturating_sub(records.len()));
        (*sink).items = records.as_mut_ptr();
        (*sink).cap = records.capacity() as u32;
    }
    abi::OK
}

fn line(manifest: &Manifest, record: &Finding) -> String {
    let name = |table: &[&'static str], ordinal: u16| -> &'static str {
        table.get(usize::from(ordinal)).copied().unwrap_or("<no such ordinal>")
    };
    let reason = name(manifest.reasons, record.reason);
    match record.kind {
        abi::F_MEMBERSHIP => {
            let mut line = format!("member {}", name(manifest.groups, record.ordinal));
            for (word, days) in [("since", record.since), ("until", record.until)] {
                if days != abi::NO_DATE {
                    let _ = write!(line, " {word} {}", Date::from_days(days));
                }
            }
            format!("{line}: {reason}")
        }
        abi::F_TIER => format!("tier {}: {reason}", name(&["general", "key", "high"], record.ordinal)),
        abi::F_TAG => format!("tag {}: {reason}", name(manifest.tags, record.ordinal)),
        abi::F_CAUTION => format!("caution {}: {reason}", name(manifest.cautions, record.ordinal)),
        abi::F_EXPIRES => format!("expires {}", Date::from_days(record.until)),
        abi::F_ISSUE => {
            let field =
                manifest.fields.get(usize::from(record.ordinal)).map_or("<no such field>", |f| f.code);
            format!("issue {field}: {reason}")
        }
        other => format!("a finding of unknown kind {other}"),
    }
}

fn date(text: &str, context: &str) -> Date {
    Date::parse(text).unwrap_or_else(|| panic!("`{context}`: `{text}` is not a date `YYYY-MM-DD`"))
}
