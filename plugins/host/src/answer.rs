//! What a plugin answered: every record is checked first, one wrong record refuses all. Afterwards a row is read where
//! it lies, in the words of the manifest; nothing is copied for residents about whom nothing changed.

use std::fmt;
use std::sync::Arc;

use linli_core::assessment::{FactIssue, Findings, FoundCaution, FoundMembership, FoundTag, FoundTier};
use linli_core::id::{CautionCode, FieldCode, GroupCode, ReasonCode, TagCode};
use linli_core::kind::Tier;
use linli_core::time::CivilDate;
use linli_plugin_abi as abi;

use crate::batch::Batch;
use crate::error::CallError;
use crate::manifest::Manifest;

/// What came back from a plugin, unchecked.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The records, in the order in which they were written.
    pub(crate) records: Vec<abi::Finding>,
    /// Rows about which the plugin could not be asked, in ascending order; no record speaks of them.
    pub(crate) manual: Vec<usize>,
}

/// The findings about every row of a batch, checked. Rows are read without copying: [`Answer::row`].
#[derive(Clone)]
pub struct Answer {
    manifest: Arc<Manifest>,
    /// Ordered by row, kind, ordinal and reason.
    records: Vec<abi::Finding>,
    /// Where the records of each row begin, and where the last ones end.
    starts: Vec<u32>,
    /// Per row the first day on which a fact begins to count that does not count yet, or `NO_DATE`.
    upcoming: Vec<i32>,
    manual: Vec<usize>,
}

impl Answer {
    /// Checks what a plugin said about a batch.
    pub(crate) fn read(manifest: &Arc<Manifest>, batch: Batch, said: Said) -> Result<Self, CallError> {
        let Said { mut records, manual } = said;
        let starts = checked(manifest, Kinds::Findings, &batch.today, &mut records)?;
        Ok(Self { manifest: Arc::clone(manifest), records, starts, upcoming: batch.upcoming, manual })
    }

    /// How many rows it is about.
    pub fn len(&self) -> usize {
        self.upcoming.len()
    }

    /// Whether it is about no row.
    pub fn is_empty(&self) -> bool {
        self.upcoming.is_empty()
    }

    /// The findings about a row; `None` beyond the batch, and for a row of [`Answer::manual`], so that nobody takes
    /// silence for "nothing found".
    pub fn row(&self, row: usize) -> Option<RowFindings<'_>> {
        if self.manual.binary_search(&row).is_ok() {
            return None;
        }
        let (start, end) = (*self.starts.get(row)?, *self.starts.get(row + 1)?);
        let records = self.records.get(start as usize..end as usize)?;
        Some(RowFindings { manifest: &self.manifest, records, upcoming: *self.upcoming.get(row)? })
    }

    /// The findings about every row that was answered, each with the row's number, in row order.
    pub fn rows(&self) -> impl Iterator<Item = (usize, RowFindings<'_>)> {
        (0..self.len()).filter_map(|row| Some((row, self.row(row)?)))
    }

    /// Rows about which the plugin could not be asked and a person must decide, in ascending order.
    pub fn manual(&self) -> &[usize] {
        &self.manual
    }
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        let owned = |answer: &Self| -> Vec<(usize, Findings)> {
            answer.rows().map(|(row, found)| (row, found.to_findings())).collect()
        };
        self.len() == other.len() && owned(self) == owned(other)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.rows()).finish()
    }
}

/// What was found about one row, read where it lies. Every list is in the plugin's order of declaration.
#[derive(Clone, Copy)]
pub struct RowFindings<'a> {
    manifest: &'a Manifest,
    records: &'a [abi::Finding],
    upcoming: i32,
}

/// A membership that a rule found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// The group.
    pub group: &'a GroupCode,
    /// Why.
    pub reason: &'a ReasonCode,
    /// The first day on which the deciding facts count, where the rule knows it.
    pub since: Option<CivilDate>,
    /// The first day that no longer counts, where it is known in advance.
    pub until: Option<CivilDate>,
}

/// One thing that was said about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement<'a> {
    /// The resident belongs to a group.
    Member(Member<'a>),
    /// A tier is asked for; the highest binds.
    Tier(Tier, &'a ReasonCode),
    /// A tag.
    Tag(&'a TagCode, &'a ReasonCode),
    /// A caution for whoever makes contact.
    Caution(&'a CautionCode, &'a ReasonCode),
    /// The first day on which the answer may differ though no fact changed; the earliest counts.
    Expires(CivilDate),
}

impl<'a> RowFindings<'a> {
    /// Everything that was said, in one pass: memberships, tiers, tags, cautions, expiries.
    pub fn statements(&self) -> impl Iterator<Item = Statement<'a>> + use<'a> {
        let Self { manifest, records, .. } = *self;
        // Every ordinal was looked up when the record was checked.
        records.iter().filter_map(move |record| statement(manifest, record))
    }

    /// Groups the resident belongs to.
    pub fn memberships(&self) -> impl Iterator<Item = Member<'a>> + use<'a> {
        self.statements().filter_map(|said| match said {
            Statement::Member(member) => Some(member),
            Statement::Tier(..) | Statement::Tag(..) | Statement::Caution(..) | Statement::Expires(_) => None,
        })
    }

    /// The highest tier that is asked for.
    pub fn tier(&self) -> Option<Tier> {
        let tier = |said| match said {
            Statement::Tier(tier, _) => Some(tier),
            Statement::Member(_) | Statement::Tag(..) | Statement::Caution(..) | Statement::Expires(_) => {
                None
            }
        };
        self.statements().filter_map(tier).max()
    }

    /// The first day on which the answer may differ though no fact changed.
    pub fn valid_until(&self) -> Option<CivilDate> {
        let said = self.records.iter().filter(|record| record.kind == abi::F_EXPIRES);
        let days = said.map(|record| record.until).chain([self.upcoming]);
        days.filter(|days| *days != abi::NO_DATE).min().and_then(date)
    }

    /// Whether it says exactly what these findings say.
    pub fn says(&self, findings: &Findings) -> bool {
        let Findings { memberships, tiers, tags, cautions, valid_until } = findings;
        let expected = memberships
            .iter()
            .map(|FoundMembership { group, reason, since, until }| {
                Statement::Member(Member { group, reason, since: *since, until: *until })
            })
            .chain(tiers.iter().map(|found| Statement::Tier(found.tier, &found.reason)))
            .chain(tags.iter().map(|found| Statement::Tag(&found.tag, &found.reason)))
            .chain(cautions.iter().map(|found| Statement::Caution(&found.caution, &found.reason)));
        let lasting = self.statements().filter(|said| !matches!(said, Statement::Expires(_)));
        self.valid_until() == *valid_until && lasting.eq(expected)
    }

    /// As a value of its own.
    pub fn to_findings(&self) -> Findings {
        let mut findings = Findings { valid_until: self.valid_until(), ..Findings::default() };
        for said in self.statements() {
            match said {
                Statement::Member(Member { group, reason, since, until }) => {
                    let (group, reason) = (group.clone(), reason.clone());
                    findings.memberships.push(FoundMembership { group, reason, since, until });
                }
                Statement::Tier(tier, reason) => {
                    findings.tiers.push(FoundTier { tier, reason: reason.clone() });
                }
                Statement::Tag(tag, reason) => {
                    findings.tags.push(FoundTag { tag: tag.clone(), reason: reason.clone() });
                }
                Statement::Caution(caution, reason) => {
                    findings.cautions.push(FoundCaution { caution: caution.clone(), reason: reason.clone() });
                }
                Statement::Expires(_) => {}
            }
        }
        findings
    }
}

#[inline]
fn statement<'a>(manifest: &'a Manifest, record: &abi::Finding) -> Option<Statement<'a>> {
    if record.kind == abi::F_EXPIRES {
        return date(record.until).map(Statement::Expires);
    }
    let ordinal = usize::from(record.ordinal);
    let reason = &manifest.reasons.get(usize::from(record.reason))?.code;
    match record.kind {
        abi::F_MEMBERSHIP => manifest.groups.get(ordinal).map(|group| {
            let (since, until) = (date(record.since), date(record.until));
            Statement::Member(Member { group: &group.code, reason, since, until })
        }),
        abi::F_TIER => Tier::ALL.get(ordinal).map(|tier| Statement::Tier(*tier, reason)),
        abi::F_TAG => manifest.tags.get(ordinal).map(|tag| Statement::Tag(&tag.code, reason)),
        abi::F_CAUTION => {
            manifest.cautions.get(ordinal).map(|caution| Statement::Caution(&caution.code, reason))
        }
        _ => None,
    }
}

impl fmt::Debug for RowFindings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_findings().fmt(f)
    }
}

/// The issues of every row, in row order.
pub(crate) fn issues(
    manifest: &Arc<Manifest>,
    batch: Batch,
    said: Said,
) -> Result<Vec<Vec<FactIssue>>, CallError> {
    let mut records = said.records;
    checked(manifest, Kinds::Issues, &batch.today, &mut records)?;
    let mut rows = vec![Vec::new(); batch.len()];
    for record in &records {
        let field = manifest.fields.get(usize::from(record.ordinal)).map(|field| &field.code);
        let reason = manifest.reasons.get(usize::from(record.reason)).map(|reason| &reason.code);
        if let (Some(row), Some(field), Some(reason)) =
            (rows.get_mut(record.resident as usize), field, reason)
        {
            let (field, reason): (FieldCode, ReasonCode) = (field.clone(), reason.clone());
            row.push(FactIssue { field, reason });
        }
    }
    Ok(rows)
}

/// Which records belong into an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    Findings,
    Issues,
}

/// Checks every record, orders them by row, kind, ordinal and reason, which is the order of declaration, and refuses
/// what is said twice. Gives the place where the records of each row begin, and where the last ones end.
fn checked(
    manifest: &Manifest,
    kinds: Kinds,
    today: &[i32],
    records: &mut [abi::Finding],
) -> Result<Vec<u32>, CallError> {
    // Plugins answer row by row as a rule; then only the few records of each row are out of order.
    if !records.is_sorted_by_key(|record| record.resident) {
        records.sort_by_key(|record| record.resident);
    }
    let tables = Tables::of(manifest);
    let shapes = Shapes::of(&tables, kinds);
    let mut starts = Vec::with_capacity(today.len() + 1);
    let mut place = 0_u32;
    for row in records.chunk_by_mut(|a, b| a.resident == b.resident) {
        let resident = row.first().map_or(0, |record| record.resident);
        let Some(today) = today.get(resident as usize) else {
            let rows = today.len();
            let what = format!("resident {resident} is beyond the batch of {rows}");
            return Err(CallError::Misbehaved { what });
        };
        let rules = Rules { tables: &tables, kinds, today: *today };
        let (mut fits, mut in_order, mut before) = (true, true, 0);
        for record in row.iter() {
            // Kind and ordinal, so that another reason for the same is looked at too.
            let entry = key(record) >> 16;
            fits &= shapes.fit(record, *today);
            in_order &= before < entry;
            before = entry;
        }
        if !fits {
            for record in row.iter() {
                rules.check(record).map_err(|what| CallError::Misbehaved {
                    what: format!("resident {resident}, kind {}: {what}", record.kind),
                })?;
            }
        }
        if !in_order {
            order(row);
            if let Some(record) = said_twice(row) {
                let (kind, ordinal) = (record.kind, record.ordinal);
                let what = format!("resident {resident}, kind {kind}: said twice (ordinal {ordinal})");
                return Err(CallError::Misbehaved { what });
            }
        }
        starts.resize(resident as usize + 1, place);
        place += row.len() as u32;
    }
    starts.resize(today.len() + 1, place);
    Ok(starts)
}

/// Kind, ordinal and reason in one number.
fn key(record: &abi::Finding) -> u64 {
    u64::from(record.kind) << 32 | u64::from(record.ordinal) << 16 | u64::from(record.reason)
}

/// Orders the records of a row by their key. There are few, and they come almost in order.
fn order(row: &mut [abi::Finding]) {
    const FEW: usize = 24;
    if row.len() > FEW {
        row.sort_unstable_by_key(key);
        return;
    }
    for end in 1..row.len() {
        let mut at = end;
        while let Some([a, b]) = row.get_mut(at - 1..=at)
            && key(a) > key(b)
        {
            std::mem::swap(a, b);
            at -= 1;
            if at == 0 {
                break;
            }
        }
    }
}

/// A record of an ordered row that says what the one before it said.
fn said_twice(row: &[abi::Finding]) -> Option<&abi::Finding> {
    let twice = |a: &abi::Finding, b: &abi::Finding| match key(a) ^ key(b) {
        0 => a.kind != abi::F_EXPIRES,
        // Another reason for the same: only a membership has one reason.
        1..=0xFFFF => a.kind == abi::F_MEMBERSHIP,
        _ => false,
    };
    row.windows(2).find_map(|pair| match pair {
        [a, b] if twice(a, b) => Some(a),
        _ => None,
    })
}

/// How many entries each table of a manifest has.
struct Tables {
    groups: usize,
    tags: usize,
    cautions: usize,
    fields: usize,
    reasons: usize,
}

impl Tables {
    fn of(manifest: &Manifest) -> Self {
        Self {
            groups: manifest.groups.len(),
            tags: manifest.tags.len(),
            cautions: manifest.cautions.len(),
            fields: manifest.fields.len(),
            reasons: manifest.reasons.len(),
        }
    }
}

/// The bounds of plain records by kind, for a look without a branch: what fits them is right, what does not fit is
/// checked by [`Rules`], which knows every exception and the words.
struct Shapes([Shape; 8]);

#[derive(Clone, Copy, Default)]
struct Shape {
    /// Entries of the tables; 0 where the kind does not belong into the answer.
    ordinals: u32,
    reasons: u32,
    /// Largest basis.
    basis: u8,
    since: bool,
    until: bool,
}

impl Shapes {
    fn of(tables: &Tables, kinds: Kinds) -> Self {
        let table = |entries: usize, since, until| Shape {
            ordinals: entries as u32,
            reasons: tables.reasons as u32,
            basis: 0,
            since,
            until,
        };
        let nothing = Shape::default();
        Self(match kinds {
            Kinds::Findings => [
                nothing,
                Shape { basis: abi::BASIS_CERTIFICATE, ..table(tables.groups, true, true) },
                table(Tier::ALL.len(), true, false),
                table(tables.tags, true, false),
                table(tables.cautions, false, false),
                // Without a reason, as a rule.
                Shape { reasons: u32::MAX, ..table(1, false, true) },
                nothing,
                nothing,
            ],
            Kinds::Issues => {
                let issue = table(tables.fields, false, false);
                [nothing, nothing, nothing, nothing, nothing, nothing, issue, nothing]
            }
        })
    }

    #[inline]
    fn fit(&self, record: &abi::Finding, today: i32) -> bool {
        let Some(shape) = self.0.get(usize::from(record.kind)) else { return false };
        let (min, max) = (CivilDate::MIN.days(), CivilDate::MAX.days());
        let expires = record.kind == abi::F_EXPIRES;
        let since =
            (record.since == abi::NO_DATE) | (shape.since & (record.since >= min) & (record.since <= today));
        let until = ((record.until == abi::NO_DATE) & !expires)
            | (shape.until & (record.until > today) & (record.until >= min) & (record.until <= max));
        let reason =
            (u32::from(record.reason) < shape.reasons) & (!expires | (record.reason == abi::NO_REASON));
        (u32::from(record.ordinal) < shape.ordinals)
            & reason
            & (record.basis <= shape.basis)
            & since
            & until
            & (record.reserved_a == 0)
            & (record.reserved_b == 0)
    }
}

/// What holds for the records of a row.
struct Rules<'a> {
    tables: &'a Tables,
    kinds: Kinds,
    /// Days since 1970-01-01.
    today: i32,
}

impl Rules<'_> {
    fn check(&self, record: &abi::Finding) -> Result<(), String> {
        let tables = self.tables;
        if record.reserved_a != 0 || record.reserved_b != 0 {
            return wrong("reserved members are not zero");
        }
        if record.kind != abi::F_MEMBERSHIP && record.basis != 0 {
            return wrong("only a membership has a basis");
        }
        if self.kinds == Kinds::Issues && record.kind != abi::F_ISSUE {
            return wrong("validation answers with issues only");
        }
        match record.kind {
            abi::F_MEMBERSHIP => {
                within(record.ordinal, tables.groups, "group")?;
                if record.basis > abi::BASIS_CERTIFICATE {
                    return wrong("unknown basis");
                }
                self.past(record.since)?;
                self.future(record.until, "until")?;
                self.reason(record)
            }
            abi::F_TIER => {
                within(record.ordinal, Tier::ALL.len(), "tier")?;
                self.past(record.since)?;
                without(record.until, "until")?;
                self.reason(record)
            }
            abi::F_TAG => {
                within(record.ordinal, tables.tags, "tag")?;
                self.past(record.since)?;
                without(record.until, "until")?;
                self.reason(record)
            }
            abi::F_CAUTION => {
                within(record.ordinal, tables.cautions, "caution")?;
                self.reason(record)?;
                without(record.since, "since")?;
                without(record.until, "until")
            }
            abi::F_EXPIRES => {
                if record.reason != abi::NO_REASON {
                    self.reason(record)?;
                }
                if record.ordinal != 0 || record.since != abi::NO_DATE {
                    return wrong("an expiry has a date and at most a reason");
                }
                if record.until == abi::NO_DATE {
                    return wrong("an expiry needs its date");
                }
                self.future(record.until, "expiry")
            }
            abi::F_ISSUE if self.kinds == Kinds::Findings => wrong("issues belong to validation"),
            abi::F_ISSUE => {
                within(record.ordinal, tables.fields, "field")?;
                self.reason(record)?;
                without(record.since, "since")?;
                without(record.until, "until")
            }
            _ => wrong("unknown kind"),
        }
    }

    fn reason(&self, record: &abi::Finding) -> Result<(), String> {
        if record.reason == abi::NO_REASON {
            return wrong("a reason is required");
        }
        within(record.reason, self.tables.reasons, "reason")
    }

    fn past(&self, since: i32) -> Result<(), String> {
        in_our_time(since, "since")?;
        if since > self.today { wrong("`since` lies after today") } else { Ok(()) }
    }

    fn future(&self, days: i32, what: &str) -> Result<(), String> {
        in_our_time(days, what)?;
        if days != abi::NO_DATE && days <= self.today {
            Err(format!("`{what}` does not lie after today"))
        } else {
            Ok(())
        }
    }
}

fn within(ordinal: u16, table: usize, what: &str) -> Result<(), String> {
    if usize::from(ordinal) < table { Ok(()) } else { Err(format!("{what} {ordinal} of a table of {table}")) }
}

fn in_our_time(days: i32, what: &str) -> Result<(), String> {
    if days == abi::NO_DATE || (CivilDate::MIN.days()..=CivilDate::MAX.days()).contains(&days) {
        Ok(())
    } else {
        Err(format!("`{what}` is no date of our time"))
    }
}

fn without(days: i32, what: &str) -> Result<(), String> {
    if days == abi::NO_DATE { Ok(()) } else { Err(format!("has no `{what}`")) }
}

#[cold]
fn wrong(what: &str) -> Result<(), String> {
    Err(what.to_owned())
}

fn date(days: i32) -> Option<CivilDate> {
    if days == abi::NO_DATE { None } else { CivilDate::from_days(days).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_plain_is_right() {
        let tables = Tables { groups: 2, tags: 1, cautions: 3, fields: 2, reasons: 2 };
        let today = 20_528;
        let dates = [abi::NO_DATE, -1_000_000, today - 1, today, today + 1, 1_000_000];
        let mut plain = 0;
        for kinds in [Kinds::Findings, Kinds::Issues] {
            let shapes = Shapes::of(&tables, kinds);
            let rules = Rules { tables: &tables, kinds, today };
            // Every combination of the edges of every member.
            for number in 0..9 * 4 * 5 * 4 * 6 * 6 * 3 {
                let mut rest = number;
                let mut digit = |base: usize| {
                    let digit = rest % base;
                    rest /= base;
                    digit
                };
                let record = abi::Finding {
                    resident: 0,
                    kind: digit(9) as u8,
                    basis: digit(4) as u8,
                    ordinal: [0, 1, 2, 3, u16::MAX][digit(5)],
                    reason: [0, 1, 2, abi::NO_REASON][digit(4)],
                    since: dates[digit(6)],
                    until: dates[digit(6)],
                    reserved_a: u16::from(digit(3) == 1),
                    reserved_b: 0,
                };
                if shapes.fit(&record, today) {
                    plain += 1;
                    assert_eq!(rules.check(&record), Ok(()), "{record:?}");
                }
            }
        }
        assert!(plain > 100, "{plain}");
    }
}
