//! Standards in a manifest: `[[standard]]` with one of `recurring`, `triggered` and `seasonal`.

use linli_core::id::{StandardCode, SubjectKind, TagCode};
use linli_core::kind::{Department, EventKind, KindSet, Occasion, ServiceKind, Tier};
use linli_core::standard::{
    Duty, OccasionRef, Origin, Period, RunsOn, Selector, Standard, Substitute, Within,
};
use linli_core::time::{CivilDate, DateRange};

use super::parse::{Names, Places, citation, code, one_of, words};
use super::reader::{Found, Table};

/// Largest number of contacts that a standard may ask for in one window.
const AT_LEAST_MAX: i64 = 100;

pub(super) fn standard(
    table: &Table<'_>,
    names: &Names<'_>,
    places: &Places<'_>,
    origin: &Origin,
) -> Option<Standard> {
    let code = code(table, "code", StandardCode::new);
    let version = table.optional_integer("version").map_or(Some(1), |found| bounded(found, 1, 10_000));
    let title = table.label();
    let citation = citation(table, places);
    if citation.is_none() && table.optional_table("citation").is_none() {
        table.problem("citation", "is required: a standard says where its number comes from");
    }
    let subject = table
        .optional_text("subject")
        .map_or(Some(SubjectKind::Resident), |found| one_of(found, SubjectKind::ALL, SubjectKind::code));
    let applies_to = selector(table, names);
    let duty = duty(table);
    let accepts = kinds(table.texts("accepts"));
    if accepts.is_some_and(KindSet::is_empty) {
        table.problem("accepts", "is required: at least one kind of service");
    }
    let substitutes = substitutes(table, names);
    let department =
        table.text("department").and_then(|found| one_of(found, Department::ALL, Department::code));
    let priority = table.optional_integer("priority").map_or(Some(3), |found| bounded(found, 1, 5));
    let prorate = table.optional_bool("prorate").is_some_and(|found| found.value);
    let pausable = table.bool("pausable");
    let runs_on = table.optional_text("runs_on").map_or(Some(RunsOn::All), |found| {
        one_of(found, &[RunsOn::All, RunsOn::Workdays, RunsOn::SchoolDays], |runs_on| match runs_on {
            RunsOn::All => "all",
            RunsOn::Workdays => "workdays",
            RunsOn::SchoolDays => "school_days",
        })
    });
    let from = date(table, "effective_from", CivilDate::MIN);
    let to = date(table, "effective_to", CivilDate::MAX);
    table.end();
    if prorate && matches!(duty, Some(Duty::Triggered { .. } | Duty::Seasonal { .. })) {
        table.problem("prorate", "is for recurring standards only");
    }
    Some(Standard {
        code: code?,
        version: version?,
        title: title?,
        citation: citation?,
        subject: subject?,
        applies_to,
        duty: duty?,
        accepts: accepts?,
        substitutes,
        department: department?,
        priority: priority?,
        prorate,
        pausable: pausable?,
        runs_on: runs_on?,
        ladder: None,
        effective: DateRange::new(from?, to?),
        origin: origin.clone(),
    })
}

fn selector(table: &Table<'_>, names: &Names<'_>) -> Selector {
    let Some(who) = table.table("applies_to") else { return Selector::default() };
    let any_group = who.texts("any_group").into_iter().filter_map(|found| names.group(found)).collect();
    let min_tier = who.optional_text("min_tier").and_then(|found| one_of(found, Tier::ALL, Tier::code));
    let max_tier = who.optional_text("max_tier").and_then(|found| one_of(found, Tier::ALL, Tier::code));
    let flagged = who.optional_bool("flagged").is_some_and(|found| found.value);
    let tags = who.texts("tags").into_iter().filter_map(|found| names.tag(found)).collect();
    who.end();
    Selector { any_group, min_tier, max_tier, tags, flagged, ..Selector::default() }
}

fn duty(table: &Table<'_>) -> Option<Duty> {
    let recurring = table.optional_table("recurring");
    let triggered = table.optional_table("triggered");
    let seasonal = table.optional_table("seasonal");
    match (recurring, triggered, seasonal) {
        (Some(recurring), None, None) => {
            let at_least = recurring.integer("at_least").and_then(|found| bounded(found, 1, AT_LEAST_MAX));
            let per = recurring.text("per").and_then(|found| found.convert(period));
            let distinct_days = recurring.optional_bool("distinct_days").is_some_and(|found| found.value);
            recurring.end();
            Some(Duty::Recurring { at_least: at_least?, per: per?, distinct_days })
        }
        (None, Some(triggered), None) => {
            let on = triggered.text("on").and_then(|found| one_of(found, EventKind::ALL, EventKind::code));
            let within = triggered.text("within").and_then(|found| found.convert(within));
            let any_match = triggered.optional_bool("any_match").is_some_and(|found| found.value);
            triggered.end();
            Some(Duty::Triggered { on: on?, within: within?, any_match })
        }
        (None, None, Some(seasonal)) => {
            let occasion =
                seasonal.text("occasion").and_then(|found| one_of(found, Occasion::ALL, Occasion::code));
            let lead = seasonal.optional_integer("lead_days").map_or(Some(0), |found| bounded(found, 0, 90));
            let tail = seasonal.optional_integer("tail_days").map_or(Some(0), |found| bounded(found, 0, 90));
            seasonal.end();
            Some(Duty::Seasonal {
                occasion: OccasionRef::BuiltIn(occasion?),
                lead_days: lead?,
                tail_days: tail?,
            })
        }
        (None, None, None) => {
            table.problem("recurring", "is required, or `triggered`, or `seasonal`");
            None
        }
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            table.problem("recurring", "excludes `triggered` and `seasonal`: a standard has one duty");
            None
        }
    }
}

fn substitutes(table: &Table<'_>, names: &Names<'_>) -> Vec<Substitute> {
    let Some(list) = table.optional_table("substitutes") else { return Vec::new() };
    let mut substitutes = Vec::new();
    for (name, value) in list.entries() {
        let texts = list.entry_texts(name.value, value);
        let tag: Option<TagCode> = names.tag(name);
        if let (Some(tag), Some(kinds)) = (tag, kinds(texts)) {
            substitutes.push(Substitute { tag, kinds });
        }
    }
    substitutes
}

fn kinds(texts: Vec<Found<'_, &str>>) -> Option<KindSet> {
    texts.into_iter().map(|found| one_of(found, ServiceKind::ALL, ServiceKind::code)).collect()
}

/// `day`, `week`, `month`, `quarter`, `year` or `<n> days`.
fn period(text: &str) -> Result<Period, String> {
    match text {
        "day" => Ok(Period::Day),
        "week" => Ok(Period::Week),
        "month" => Ok(Period::Month),
        "quarter" => Ok(Period::Quarter),
        "year" => Ok(Period::Year),
        other => match other.strip_suffix(" days").and_then(|n| n.parse().ok()) {
            Some(n) if n >= 1 => Ok(Period::EveryDays(n)),
            Some(_) | None => Err(format!(
                "must be {}, not `{other}`",
                words(&["day", "week", "month", "quarter", "year", "<n> days"])
            )),
        },
    }
}

/// `<n> minutes`, `<n> hours` or `<n> days`.
fn within(text: &str) -> Result<Within, String> {
    let parsed =
        text.split_once(' ').and_then(|(n, unit)| Some((n.parse::<u32>().ok().filter(|n| *n >= 1)?, unit)));
    match parsed {
        Some((n, "minutes")) => Ok(Within::Minutes(n)),
        Some((n, "hours")) => Ok(Within::Hours(n)),
        Some((n, "days")) => Ok(Within::Days(n)),
        Some(_) | None => Err(format!("must be `<n> minutes`, `<n> hours` or `<n> days`, not `{text}`")),
    }
}

fn date(table: &Table<'_>, name: &'static str, default: CivilDate) -> Option<CivilDate> {
    match table.optional_text(name) {
        None => Some(default),
        Some(found) => found.convert(|text| {
            CivilDate::parse(text).map_err(|_| format!("must be a date such as `2026-01-01`, not `{text}`"))
        }),
    }
}

fn bounded<N: TryFrom<i64>>(found: Found<'_, i64>, min: i64, max: i64) -> Option<N> {
    found.convert(|number| {
        let inside = (min..=max).contains(&number);
        let converted = N::try_from(number).ok().filter(|_| inside);
        converted.ok_or_else(|| format!("must lie between {min} and {max}, not {number}"))
    })
}
