//! Tables of cases through a loaded plugin: the whole way from facts to findings, as a service goes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use linli_core::assessment::{FactIssue, Findings};
use linli_core::resident::FactValue;
use linli_core::time::CivilDate;
use linli_plugin_abi::scenario::{self, Case};

use crate::manifest::FieldType;
use crate::{Answer, Batch, Plugin, RowFact};

/// Runs every case of a table; the number of cases.
///
/// # Errors
/// What cannot be read, what the plugin refuses, or every line that is found and not expected or expected and not found.
pub fn run(plugin: &Plugin, table: &str, deadline: Duration) -> Result<usize, String> {
    let cases = scenario::parse(table).map_err(|wrong| wrong.to_string())?;
    if cases.is_empty() {
        return Err("the table has no case".to_owned());
    }
    let answer = plugin.assess(batch(plugin, &cases)?, deadline).map_err(|error| error.to_string())?;
    let findings = findings(&answer)?;
    let issues = plugin.validate(batch(plugin, &cases)?, deadline).map_err(|error| error.to_string())?;
    let mut wrong = String::new();
    for ((case, findings), issues) in cases.iter().zip(&findings).zip(&issues) {
        let found = lines(findings, issues);
        for line in found.iter().filter(|line| !case.expected.contains(line)) {
            let _ = write!(wrong, "\nline {}, `{}`: found, not expected: {line}", case.line, case.name);
        }
        for line in case.expected.iter().filter(|line| !found.contains(line)) {
            let _ = write!(wrong, "\nline {}, `{}`: expected, not found: {line}", case.line, case.name);
        }
    }
    if wrong.is_empty() { Ok(cases.len()) } else { Err(format!("the rules differ from the table:{wrong}")) }
}

/// The batch of the cases of a table.
///
/// # Errors
/// The case and what does not fit the manifest.
pub fn batch(plugin: &Plugin, cases: &[Case]) -> Result<Batch, String> {
    let manifest = plugin.manifest();
    let mut batch = plugin.batch();
    for case in cases {
        let wrong = |what: String| format!("line {}, `{}`: {what}", case.line, case.name);
        let mut parameters = BTreeMap::new();
        for (code, text) in &case.parameters {
            let known = manifest.parameter(code);
            let known = known.ok_or_else(|| wrong(format!("the manifest has no parameter `{code}`")))?;
            parameters.insert(code.clone(), value(known.kind, text).map_err(wrong)?);
        }
        batch.parameters(&parameters).map_err(|problems| wrong(told(&problems)))?;
        let mut facts: Vec<(&str, FactValue, Option<CivilDate>)> = Vec::new();
        for fact in &case.facts {
            let known = manifest.field(&fact.field);
            let known = known.ok_or_else(|| wrong(format!("the manifest has no field `{}`", fact.field)))?;
            let since = fact.since.as_deref().map(date).transpose().map_err(wrong)?;
            facts.push((&fact.field, value(known.kind, &fact.value).map_err(wrong)?, since));
        }
        let rows = facts.iter().map(|(field, value, since)| RowFact { field, value, since: *since });
        batch.push(date(&case.today).map_err(wrong)?, rows).map_err(|problems| wrong(told(&problems)))?;
    }
    Ok(batch.finish())
}

fn told(problems: &[crate::Problem]) -> String {
    let texts: Vec<String> = problems
        .iter()
        .map(|problem| {
            format!("`{}` {}", problem.code, problem.invalid.message(linli_core::text::Language::En))
        })
        .collect();
    texts.join("; ")
}

/// The findings about every row of an answer.
///
/// # Errors
/// Where the plugin could not be asked about a row.
pub fn findings(answer: &Answer) -> Result<Vec<Findings>, String> {
    if let Some(row) = answer.manual().first() {
        let others = answer.manual().len() - 1;
        return Err(format!("it ends its process over resident {row}, and over {others} others"));
    }
    Ok(answer.rows().map(|(_, row)| row.to_findings()).collect())
}

/// What was found about one resident, as sorted lines like those of a table.
pub fn lines(findings: &Findings, issues: &[FactIssue]) -> Vec<String> {
    let mut lines = Vec::new();
    for found in &findings.memberships {
        let day =
            |word: &str, day: Option<CivilDate>| day.map(|day| format!(" {word} {day}")).unwrap_or_default();
        let (since, until) = (day("since", found.since), day("until", found.until));
        lines.push(format!("member {}{since}{until}: {}", found.group, found.reason));
    }
    lines.extend(findings.tiers.iter().map(|found| format!("tier {}: {}", found.tier.code(), found.reason)));
    lines.extend(findings.tags.iter().map(|found| format!("tag {}: {}", found.tag, found.reason)));
    lines
        .extend(findings.cautions.iter().map(|found| format!("caution {}: {}", found.caution, found.reason)));
    lines.extend(findings.valid_until.map(|day| format!("expires {day}")));
    lines.extend(issues.iter().map(|issue| format!("issue {}: {}", issue.field, issue.reason)));
    lines.sort();
    lines
}

fn value(kind: FieldType, text: &str) -> Result<FactValue, String> {
    Ok(match kind {
        FieldType::Bool => match text {
            "yes" | "true" => FactValue::Bool(true),
            "no" | "false" => FactValue::Bool(false),
            _ => return Err(format!("`{text}` is neither `yes` nor `no`")),
        },
        FieldType::Integer => {
            FactValue::Integer(text.parse().map_err(|_| format!("`{text}` is no whole number"))?)
        }
        FieldType::Date => FactValue::Date(date(text)?),
        FieldType::Code => FactValue::Code(text.to_owned()),
        FieldType::Text => FactValue::Text(text.to_owned()),
    })
}

/// A date of the interface: also one that nobody may enter, such as a birth date that an identity number holds.
fn date(text: &str) -> Result<CivilDate, String> {
    let wrong = || format!("`{text}` is not a date `YYYY-MM-DD`");
    let mut parts = text.splitn(3, '-').map(str::parse);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) if text.len() == 10 => {
            CivilDate::from_ymd(year, month as u32, day as u32).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}
