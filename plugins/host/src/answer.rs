//! From the records of a plugin to findings: every record is checked first, one wrong record refuses all.

use linli_core::assessment::{FactIssue, Findings, FoundCaution, FoundMembership, FoundTag, FoundTier};
use linli_core::id::ReasonCode;
use linli_core::kind::Tier;
use linli_core::time::CivilDate;
use linli_plugin_abi as abi;

use crate::batch::Batch;
use crate::error::CallError;
use crate::manifest::Manifest;

/// The findings of every row, in row order.
pub(crate) fn findings(
    manifest: &Manifest,
    batch: &Batch,
    records: Vec<abi::Finding>,
) -> Result<Vec<Findings>, CallError> {
    let mut rows = vec![Findings::default(); batch.len()];
    for record in sorted(records)? {
        let reader = Reader { manifest, record: &record, today: today(batch, &record)? };
        let Some(row) = rows.get_mut(record.resident as usize) else {
            return Err(reader.wrong("no such resident"));
        };
        reader.add(row)?;
    }
    for (row, upcoming) in rows.iter_mut().zip(&batch.upcoming) {
        row.valid_until = earlier(row.valid_until, *upcoming);
    }
    Ok(rows)
}

/// The issues of every row, in row order.
pub(crate) fn issues(
    manifest: &Manifest,
    batch: &Batch,
    records: Vec<abi::Finding>,
) -> Result<Vec<Vec<FactIssue>>, CallError> {
    let mut rows = vec![Vec::new(); batch.len()];
    for record in sorted(records)? {
        let reader = Reader { manifest, record: &record, today: today(batch, &record)? };
        let Some(row) = rows.get_mut(record.resident as usize) else {
            return Err(reader.wrong("no such resident"));
        };
        if record.kind != abi::F_ISSUE {
            return Err(reader.wrong("validation answers with issues only"));
        }
        let field = reader.entry(&manifest.fields, "field")?;
        reader.without_dates()?;
        row.push(FactIssue { field: field.code.clone(), reason: reader.reason()? });
    }
    Ok(rows)
}

/// In the order resident, kind, ordinal, reason, which is the order of declaration; doubles are refused.
fn sorted(mut records: Vec<abi::Finding>) -> Result<Vec<abi::Finding>, CallError> {
    // Plugins answer row by row as a rule; then only the few records of each row are out of order.
    if !records.is_sorted_by_key(|record| record.resident) {
        records.sort_by_key(|record| record.resident);
    }
    for row in records.chunk_by_mut(|a, b| a.resident == b.resident) {
        row.sort_unstable_by_key(|record| {
            (record.kind, record.ordinal, record.reason, record.since, record.until)
        });
    }
    for pair in records.windows(2) {
        let [a, b] = pair else { continue };
        let same_entry = (a.resident, a.kind, a.ordinal) == (b.resident, b.kind, b.ordinal);
        let same_group = same_entry && a.kind == abi::F_MEMBERSHIP;
        if same_group || (same_entry && a.reason == b.reason && a.kind != abi::F_EXPIRES) {
            let what =
                format!("resident {}, kind {}: said twice (ordinal {})", a.resident, a.kind, a.ordinal);
            return Err(CallError::Misbehaved { what });
        }
    }
    Ok(records)
}

fn today(batch: &Batch, record: &abi::Finding) -> Result<CivilDate, CallError> {
    batch.today.get(record.resident as usize).copied().ok_or_else(|| CallError::Misbehaved {
        what: format!("resident {} is beyond the batch of {}", record.resident, batch.len()),
    })
}

struct Reader<'a> {
    manifest: &'a Manifest,
    record: &'a abi::Finding,
    today: CivilDate,
}

impl Reader<'_> {
    fn add(&self, row: &mut Findings) -> Result<(), CallError> {
        let record = self.record;
        if record.reserved_a != 0 || record.reserved_b != 0 {
            return Err(self.wrong("reserved members are not zero"));
        }
        if record.kind != abi::F_MEMBERSHIP && record.basis != 0 {
            return Err(self.wrong("only a membership has a basis"));
        }
        match record.kind {
            abi::F_MEMBERSHIP => {
                let group = self.entry(&self.manifest.groups, "group")?;
                if record.basis > abi::BASIS_CERTIFICATE {
                    return Err(self.wrong("unknown basis"));
                }
                let (since, until) = (self.since()?, self.future(record.until, "until")?);
                row.memberships.push(FoundMembership {
                    group: group.code.clone(),
                    reason: self.reason()?,
                    since,
                    until,
                });
            }
            abi::F_TIER => {
                let tier = *self.entry(Tier::ALL, "tier")?;
                self.since()?;
                self.without_until()?;
                row.tiers.push(FoundTier { tier, reason: self.reason()? });
            }
            abi::F_TAG => {
                let tag = self.entry(&self.manifest.tags, "tag")?;
                self.since()?;
                self.without_until()?;
                row.tags.push(FoundTag { tag: tag.code.clone(), reason: self.reason()? });
            }
            abi::F_CAUTION => {
                let caution = self.entry(&self.manifest.cautions, "caution")?;
                self.without_dates()?;
                row.cautions.push(FoundCaution { caution: caution.code.clone(), reason: self.reason()? });
            }
            abi::F_EXPIRES => {
                if record.reason != abi::NO_REASON {
                    self.reason()?;
                }
                if record.ordinal != 0 || record.since != abi::NO_DATE {
                    return Err(self.wrong("an expiry has a date and at most a reason"));
                }
                let day = self
                    .future(record.until, "expiry")?
                    .ok_or_else(|| self.wrong("an expiry needs its date"))?;
                row.valid_until = earlier(row.valid_until, Some(day));
            }
            abi::F_ISSUE => return Err(self.wrong("issues belong to validation")),
            _ => return Err(self.wrong("unknown kind")),
        }
        Ok(())
    }

    fn entry<'t, T>(&self, table: &'t [T], what: &str) -> Result<&'t T, CallError> {
        table.get(usize::from(self.record.ordinal)).ok_or_else(|| {
            self.wrong(&format!("{what} {} of a table of {}", self.record.ordinal, table.len()))
        })
    }

    fn reason(&self) -> Result<ReasonCode, CallError> {
        let reasons = &self.manifest.reasons;
        if self.record.reason == abi::NO_REASON {
            return Err(self.wrong("a reason is required"));
        }
        let reason = reasons.get(usize::from(self.record.reason));
        let reason = reason.ok_or_else(|| {
            self.wrong(&format!("reason {} of a table of {}", self.record.reason, reasons.len()))
        })?;
        Ok(reason.code.clone())
    }

    fn since(&self) -> Result<Option<CivilDate>, CallError> {
        match self.date(self.record.since, "since")? {
            Some(day) if day > self.today => Err(self.wrong("`since` lies after today")),
            day => Ok(day),
        }
    }

    fn future(&self, days: i32, what: &str) -> Result<Option<CivilDate>, CallError> {
        match self.date(days, what)? {
            Some(day) if day <= self.today => Err(self.wrong(&format!("`{what}` does not lie after today"))),
            day => Ok(day),
        }
    }

    fn date(&self, days: i32, what: &str) -> Result<Option<CivilDate>, CallError> {
        if days == abi::NO_DATE {
            return Ok(None);
        }
        CivilDate::from_days(days)
            .map(Some)
            .map_err(|_| self.wrong(&format!("`{what}` is no date of our time")))
    }

    fn without_until(&self) -> Result<(), CallError> {
        if self.record.until == abi::NO_DATE { Ok(()) } else { Err(self.wrong("has no `until`")) }
    }

    fn without_dates(&self) -> Result<(), CallError> {
        if self.record.since == abi::NO_DATE {
            self.without_until()
        } else {
            Err(self.wrong("has no `since`"))
        }
    }

    fn wrong(&self, what: &str) -> CallError {
        let (resident, kind) = (self.record.resident, self.record.kind);
        CallError::Misbehaved { what: format!("resident {resident}, kind {kind}: {what}") }
    }
}

fn earlier(a: Option<CivilDate>, b: Option<CivilDate>) -> Option<CivilDate> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
