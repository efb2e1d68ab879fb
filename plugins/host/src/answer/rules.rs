//! Which records a plugin may write: a quick look that lets nothing wrong pass ([`Shapes`]), and the rules with their words ([`Rules`]).

use linli_core::kind::Tier;
use linli_core::time::CivilDate;
use linli_plugin_abi as abi;

use crate::manifest::Manifest;

/// Which records belong into an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    Findings,
    Issues,
}

/// How many entries each table of a manifest has.
pub(super) struct Tables {
    groups: usize,
    tags: usize,
    cautions: usize,
    fields: usize,
    reasons: usize,
}

impl Tables {
    pub(super) fn of(manifest: &Manifest) -> Self {
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
pub(super) const KINDS: usize = 8;

/// The bounds of plain records by kind, for a look without a branch: what fits them is right, what does not fit is
/// checked by [`Rules`], which knows every exception and the words.
pub(super) struct Shapes {
    shapes: [Shape; KINDS],
    /// The day for which they are, in days since 1970-01-01.
    pub(super) today: i32,
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
    pub(super) fn of(tables: &Tables, kinds: Kinds, today: i32) -> Self {
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
    pub(super) fn fit(&self, record: &abi::Finding) -> bool {
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
pub(super) struct Rules<'a> {
    pub(super) tables: &'a Tables,
    pub(super) kinds: Kinds,
    /// Days since 1970-01-01.
    pub(super) today: i32,
}

impl Rules<'_> {
    pub(super) fn check(&self, record: &abi::Finding) -> Result<(), String> {
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
