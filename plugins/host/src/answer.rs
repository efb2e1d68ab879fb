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
///
/// Each step is one pass without a branch that depends on what the records say: what a plugin found of one resident
/// does not foretell what it found of the next.
fn checked(
    manifest: &Manifest,
    kinds: Kinds,
    today: &[i32],
    records: &mut [abi::Finding],
) -> Result<Vec<u32>, CallError> {
    let tables = Tables::of(manifest);
    let mut look = Look::at(&tables, kinds, today, records)?;
    if !look.fit {
        for record in records.iter() {
            let today = today.get(record.resident as usize).copied().unwrap_or(abi::NO_DATE);
            Rules { tables: &tables, kinds, today }.check(record).map_err(|what| CallError::Misbehaved {
                what: format!("resident {}, kind {}: {what}", record.resident, record.kind),
            })?;
        }
    }
    // Plugins answer row by row as a rule.
    if !look.in_rows {
        records.sort_by_key(|record| record.resident);
        look = Look::at(&tables, kinds, today, records)?;
    }
    let Look { starts, in_order, .. } = look;
    if in_order {
        return Ok(starts);
    }
    let mut ordered = None;
    for resident in by_kind(records, &starts) {
        let place = |row: usize| starts.get(row).map_or(0, |place| *place as usize);
        let row = place(resident as usize)..place(resident as usize + 1);
        let (Some(row), true) = (records.get_mut(row), ordered.replace(resident) != Some(resident)) else {
            continue;
        };
        row.sort_unstable_by_key(key);
        if let Some([record, _]) = row.array_windows().find(|[first, second]| say_the_same(first, second)) {
            let (kind, ordinal) = (record.kind, record.ordinal);
            let what = format!("resident {resident}, kind {kind}: said twice (ordinal {ordinal})");
            return Err(CallError::Misbehaved { what });
        }
    }
    Ok(starts)
}

/// What a pass over all records shows.
struct Look {
    /// Where the records of each row begin, and where the last ones end, if they are in rows.
    starts: Vec<u32>,
    /// Whether rows come in ascending order.
    in_rows: bool,
    /// Whether every record comes where it belongs, and none says what another one says.
    in_order: bool,
    /// Whether every record is plainly right.
    fit: bool,
}

impl Look {
    fn at(tables: &Tables, kinds: Kinds, today: &[i32], records: &[abi::Finding]) -> Result<Self, CallError> {
        let mut shapes = Shapes::of(tables, kinds, today.first().copied().unwrap_or(abi::NO_DATE));
        let (mut in_rows, mut in_order, mut fit, mut before) = (true, true, true, 0);
        let mut starts = vec![0; today.len() + 1];
        for (end, record) in (1..).zip(records) {
            let row = record.resident as usize;
            let (Some(today), Some(start)) = (today.get(row), starts.get_mut(row + 1)) else {
                let what = format!("resident {row} is beyond the batch of {}", today.len());
                return Err(CallError::Misbehaved { what });
            };
            *start = end;
            if *today != shapes.today {
                shapes = Shapes::of(tables, kinds, *today);
            }
            fit &= shapes.fit(record);
            let place = place(record);
            in_rows &= before >> ROW_SHIFT <= place >> ROW_SHIFT;
            in_order &= before < place;
            before = place;
        }
        // Where nothing is said of a row, it begins where the one before it ends.
        let mut last = 0;
        for start in &mut starts {
            last = last.max(*start);
            *start = last;
        }
        Ok(Self { starts, in_rows, in_order, fit })
    }
}

/// Puts the records of each row in the order of their kinds, those of a kind as they came. Gives the rows with records
/// that are not in order even then, or that may say the same; a row may be there more than once.
fn by_kind(records: &mut [abi::Finding], starts: &[u32]) -> Vec<u32> {
    /// Rows at a time: what is moved stays in the fastest cache.
    const ROWS: usize = 64;
    let (mut suspects, mut found, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    let rows = starts.len().saturating_sub(1);
    for first in (0..rows).step_by(ROWS) {
        let starts = starts.get(first..=rows.min(first + ROWS)).unwrap_or_default();
        let (Some(start), Some(end)) = (starts.first(), starts.last()) else { break };
        let Some(records) = records.get_mut(*start as usize..*end as usize) else { break };
        let few = starts.array_windows().all(|[start, end]| end - start <= u32::from(u8::MAX));
        // How many records of each kind a row has, a byte for each kind, if they are as few; from that to where the first
        // one belongs.
        let mut counts = [0_u64; ROWS];
        for record in records.iter() {
            if let Some(counts) = counts.get_mut(record.resident as usize - first) {
                *counts = counts.wrapping_add(1 << byte(record));
            }
        }
        counts.iter_mut().for_each(|counts| *counts = counts.wrapping_mul(0x0101_0101_0101_0100));
        copies.clear();
        copies.extend_from_slice(records);
        found.resize(records.len(), 0);
        let (mut count, mut last) = (0, [0_u32; ROWS * KINDS]);
        for record in &copies {
            let (row, byte) = (record.resident as usize - first, byte(record));
            let (Some(row_start), Some(places)) = (starts.get(row), counts.get_mut(row)) else { continue };
            let place = (row_start - start) as usize + (*places >> byte & 0xFF) as usize;
            if let (Some(place), true) = (records.get_mut(place), few) {
                *place = *record;
            }
            *places = places.wrapping_add(1 << byte);
            // From 1, so that the first one comes after nothing. Only a membership has one reason, so that another one does
            // not make it another.
            let (ordinal, reason) = (u32::from(record.ordinal) + 1, u32::from(record.reason));
            let entry = if record.kind == abi::F_MEMBERSHIP { ordinal } else { ordinal << 16 | reason };
            let Some(before) = last.get_mut(row * KINDS + usize::from(record.kind) % KINDS) else { continue };
            if let Some(suspect) = found.get_mut(count) {
                *suspect = record.resident;
            }
            count += usize::from(!few | (entry <= *before));
            *before = entry;
        }
        suspects.extend(found.iter().take(count));
    }
    suspects
}

/// The lowest bit of the byte that counts records of a kind.
#[inline]
fn byte(record: &abi::Finding) -> u32 {
    u32::from(record.kind) % KINDS as u32 * 8
}

/// Where a record belongs among all: by row, kind and what it says. Only a membership has one reason, so that another one
/// does not make it another. From 1; a batch of more rows than there is room for does not fit into memory.
#[inline]
fn place(record: &abi::Finding) -> u64 {
    let reason = if record.kind == abi::F_MEMBERSHIP { 0 } else { record.reason };
    let said = u64::from(record.kind) << 32 | u64::from(record.ordinal) << 16 | u64::from(reason);
    (u64::from(record.resident) << ROW_SHIFT).wrapping_add(said)
}

/// Bits below the row: three for the kind, for which records of other kinds are refused, and what it says.
const ROW_SHIFT: u32 = 35;

/// Kind, ordinal and reason in one number.
fn key(record: &abi::Finding) -> u64 {
    u64::from(record.kind) << 32 | u64::from(record.ordinal) << 16 | u64::from(record.reason)
}

/// Whether two records of a row say the same: another reason for the same does, where only one is given.
fn say_the_same(first: &abi::Finding, second: &abi::Finding) -> bool {
    match key(first) ^ key(second) {
        0 => first.kind != abi::F_EXPIRES,
        1..=0xFFFF => first.kind == abi::F_MEMBERSHIP,
        _ => false,
    }
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

/// Kinds of records and then some: a power of two.
const KINDS: usize = 8;

/// The bounds of plain records by kind, for a look without a branch: what fits them is right, what does not fit is
/// checked by [`Rules`], which knows every exception and the words.
struct Shapes {
    shapes: [Shape; KINDS],
    /// The day for which they are, in days since 1970-01-01.
    today: i32,
}

/// The bounds of records of one kind. Four members are compared at once: the reason with what lies beside it, the first
/// day, the first day no longer, and what is reserved.
#[derive(Clone, Copy, Default)]
struct Shape {
    /// Entries of the table; 0 where the kind does not belong into the answer.
    ordinals: u16,
    /// Largest basis.
    basis: u8,
    above: [i32; 4],
    below: [i32; 4],
    /// What it may be besides.
    or: [i32; 4],
}

impl Shapes {
    fn of(tables: &Tables, kinds: Kinds, today: i32) -> Self {
        let few = |entries: usize| u16::try_from(entries).unwrap_or(u16::MAX);
        let none = i32::from(abi::NO_REASON);
        let reasons = (-1, i32::from(few(tables.reasons)).min(none), -1);
        let never = (0, 0, abi::NO_DATE);
        let past = (CivilDate::MIN.days() - 1, today.saturating_add(1), abi::NO_DATE);
        let ahead = (today, CivilDate::MAX.days() + 1, abi::NO_DATE);
        let shape = |entries, basis, members: [(i32, i32, i32); 3]| {
            let [reason, since, until] = members;
            let members = [reason, since, until, (0, 0, 0)];
            Shape {
                ordinals: few(entries),
                basis,
                above: members.map(|(above, _, _)| above),
                below: members.map(|(_, below, _)| below),
                or: members.map(|(_, _, or)| or),
            }
        };
        let mut shapes = [Shape::default(); KINDS];
        let mut put = |kind: u8, shape| {
            if let Some(place) = shapes.get_mut(usize::from(kind)) {
                *place = shape;
            }
        };
        match kinds {
            Kinds::Findings => {
                put(abi::F_MEMBERSHIP, shape(tables.groups, abi::BASIS_CERTIFICATE, [reasons, past, ahead]));
                put(abi::F_TIER, shape(Tier::ALL.len(), 0, [reasons, past, never]));
                put(abi::F_TAG, shape(tables.tags, 0, [reasons, past, never]));
                put(abi::F_CAUTION, shape(tables.cautions, 0, [reasons, never, never]));
                // Without a reason, as a rule; never without its day.
                let (above, below, _) = ahead;
                put(abi::F_EXPIRES, shape(1, 0, [(0, 0, none), never, (above, below, below - 1)]));
            }
            Kinds::Issues => put(abi::F_ISSUE, shape(tables.fields, 0, [reasons, never, never])),
        }
        Self { shapes, today }
    }

    #[inline]
    fn fit(&self, record: &abi::Finding) -> bool {
        let Some(shape) = self.shapes.get(usize::from(record.kind)) else { return false };
        let reason = (u32::from(record.reserved_a) << 16 | u32::from(record.reason)).cast_signed();
        let members = [reason, record.since, record.until, record.reserved_b.cast_signed()];
        let mut fit = (record.ordinal < shape.ordinals) & (record.basis <= shape.basis);
        for (((member, above), below), or) in
            members.iter().zip(&shape.above).zip(&shape.below).zip(&shape.or)
        {
            fit &= ((above < member) & (member < below)) | (member == or);
        }
        fit
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
        let (first, last) = (CivilDate::MIN.days(), CivilDate::MAX.days());
        let dates = [abi::NO_DATE, i32::MAX, first - 1, first, today, today + 1, last, last + 1];
        let mut plain = 0;
        for kinds in [Kinds::Findings, Kinds::Issues] {
            let shapes = Shapes::of(&tables, kinds, today);
            let rules = Rules { tables: &tables, kinds, today };
            // Every combination of the edges of every member.
            for number in 0..9 * 4 * 5 * 4 * 8 * 8 * 3 {
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
                    since: dates[digit(8)],
                    until: dates[digit(8)],
                    reserved_a: u16::from(digit(3) == 1),
                    reserved_b: 0,
                };
                if shapes.fit(&record) {
                    plain += 1;
                    assert_eq!(rules.check(&record), Ok(()), "{record:?}");
                }
            }
        }
        assert!(plain > 100, "{plain}");
    }
}
