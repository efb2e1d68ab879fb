//! What a plugin answered: every record is checked first (`rules.rs`) and put in its place (`order.rs`), one wrong record refuses all.
//! Afterwards a row is read where it lies, in the words of the manifest; nothing is copied for residents about whom nothing changed.

mod order;
mod rules;

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
use order::ordered;
use rules::Kinds;

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
        let starts = ordered(manifest, Kinds::Findings, &batch.today, &mut records)?;
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
        let mut manual = self.manual.iter().peekable();
        let rows = self.starts.array_windows().zip(&self.upcoming).enumerate();
        rows.filter_map(move |(row, ([start, end], upcoming))| {
            let records = self.records.get(*start as usize..*end as usize)?;
            let found = RowFindings { manifest: &self.manifest, records, upcoming: *upcoming };
            manual.next_if(|manual| **manual == row).is_none().then_some((row, found))
        })
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
    ordered(manifest, Kinds::Issues, &batch.today, &mut records)?;
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

fn date(days: i32) -> Option<CivilDate> {
    if days == abi::NO_DATE { None } else { CivilDate::from_days(days).ok() }
}
