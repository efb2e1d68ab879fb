//! Merging, 并档: what several files of one person come to together.
//!
//! Nothing of a file is moved or rewritten when it is merged: who asks what is owed unites the files each time, and a merge
//! is undone by no longer doing so. Credits, intervals, events and pauses unite; one contact that was entered in two files
//! counts once.

use std::collections::BTreeSet;

use crate::assessment::Attention;
use crate::event::CareEvent;
use crate::id::{GroupCode, MembershipId, StaffId, Subject};
use crate::membership::{Basis, Membership};
use crate::pause::Pause;
use crate::record::SubjectRecord;
use crate::time::{CivilDate, DateRange};

/// Within how many minutes the same kind of service by the same person, entered in two files, is one.
pub const SAME_CONTACT_MINUTES: i64 = 30;
/// Most files that are merged into one: nobody has more, and whoever asks reads all of them.
pub const MERGED_MAX: usize = 20;

/// A record with who performed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Performed {
    /// The record.
    pub record: SubjectRecord,
    /// Who did it; `None` where nobody knows any more: such a record is never taken for another one.
    pub performer: Option<StaffId>,
}

/// One file's part of a person's care.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Share {
    /// Its memberships.
    pub memberships: Vec<Membership>,
    /// Its tiers and tags over time.
    pub attention: Vec<Attention>,
    /// The day from which its tiers and tags no longer count, since the survivor has them; `None` for the survivor.
    pub attention_until: Option<CivilDate>,
    /// Its records.
    pub records: Vec<Performed>,
    /// Its events.
    pub events: Vec<CareEvent>,
    /// Its pauses.
    pub pauses: Vec<Pause>,
    /// Its days in care.
    pub tenure: Vec<DateRange>,
}

/// What several files come to together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct United {
    /// Every membership, by id.
    pub memberships: Vec<Membership>,
    /// Tier and tags by day: the highest tier and all tags of any file.
    pub attention: Vec<Attention>,
    /// Every contact once, by time.
    pub records: Vec<SubjectRecord>,
    /// Every event, by time, of the one subject.
    pub events: Vec<CareEvent>,
    /// Every pause once, by id.
    pub pauses: Vec<Pause>,
    /// The days on which any of the files was in care, neither overlapping nor adjacent.
    pub tenure: Vec<DateRange>,
}

/// Unites the files of one person under `subject`. The order of the files, and within them, is irrelevant.
pub fn unite(subject: &Subject, mut shares: Vec<Share>) -> United {
    let timelines: Vec<_> = shares
        .iter_mut()
        .map(|share| (std::mem::take(&mut share.attention), share.attention_until))
        .collect();
    let mut united = United {
        attention: unite_attention(&timelines),
        tenure: unite_days(shares.iter().flat_map(|share| share.tenure.iter().copied())),
        ..United::default()
    };
    let mut records = Vec::new();
    for (file, share) in shares.into_iter().enumerate() {
        united.memberships.extend(share.memberships);
        let of_subject = |event: CareEvent| CareEvent { subject: subject.clone(), ..event };
        united.events.extend(share.events.into_iter().map(of_subject));
        united.pauses.extend(share.pauses);
        records.extend(share.records.into_iter().map(|performed| (file, performed)));
    }
    united.memberships.sort_by(|a, b| a.id.cmp(&b.id));
    united.events.sort_by(|a, b| (a.occurred_at, &a.id).cmp(&(b.occurred_at, &b.id)));
    united.records = unite_records(records);
    united.pauses.sort_by(|a, b| a.id.cmp(&b.id));
    united.pauses = once(united.pauses);
    united
}

/// A kept record, and the files that it speaks for: at most one record of each.
struct Kept {
    performed: Performed,
    files: BTreeSet<usize>,
}

/// Every contact once. A record speaks for at most one record of each other file, so that no file's own contacts become
/// fewer by a merge.
fn unite_records(mut records: Vec<(usize, Performed)>) -> Vec<SubjectRecord> {
    records.sort_by(|(_, a), (_, b)| {
        (a.record.occurred_at, &a.record.id).cmp(&(b.record.occurred_at, &b.record.id))
    });
    let mut kept: Vec<Kept> = Vec::with_capacity(records.len());
    for (file, performed) in records {
        let recent = kept.iter_mut().rev().take_while(|kept| {
            let last = kept.performed.record.occurred_at.plus_minutes(SAME_CONTACT_MINUTES);
            last >= performed.record.occurred_at
        });
        // The earliest that is free.
        let same =
            recent.filter(|kept| !kept.files.contains(&file) && is_same(&kept.performed, &performed)).last();
        match same {
            Some(kept) => {
                kept.files.insert(file);
                let known = &mut kept.performed.record;
                known.recorded_at = known.recorded_at.min(performed.record.recorded_at);
                for answer in performed.record.answers {
                    if !known.answers.contains(&answer) {
                        known.answers.push(answer);
                    }
                }
                known.answers.sort();
            }
            None => kept.push(Kept { performed, files: BTreeSet::from([file]) }),
        }
    }
    kept.into_iter().map(|kept| kept.performed.record).collect()
}

/// Whether two records within the time are of one contact. One that was withdrawn is nobody's.
fn is_same(a: &Performed, b: &Performed) -> bool {
    a.performer.is_some()
        && a.performer == b.performer
        && (a.record.kind, a.record.outcome) == (b.record.kind, b.record.outcome)
        && a.record.voided_at.is_none()
        && b.record.voided_at.is_none()
}

/// Pauses without those that say the same of other days' worth: the same absence, entered in two files.
fn once(pauses: Vec<Pause>) -> Vec<Pause> {
    let mut kept: Vec<Pause> = Vec::with_capacity(pauses.len());
    for pause in pauses {
        let same = |known: &Pause| {
            let returned = |pause: &Pause| pause.ended.map(|end| end.returned_on);
            known.resident != pause.resident
                && (known.left_on, known.expected_return) == (pause.left_on, pause.expected_return)
                && returned(known) == returned(&pause)
                && known.confirmed_at.is_some() == pause.confirmed_at.is_some()
        };
        match kept.iter_mut().find(|known| same(known)) {
            Some(known) => known.recorded_at = known.recorded_at.min(pause.recorded_at),
            None => kept.push(pause),
        }
    }
    kept
}

/// The highest tier and all tags of any file, day by day: of timelines that each may count up to a day only.
pub fn unite_attention(timelines: &[(Vec<Attention>, Option<CivilDate>)]) -> Vec<Attention> {
    let begins = timelines.iter().flat_map(|(timeline, _)| timeline.iter().map(|attention| attention.from));
    let ends = timelines.iter().filter_map(|(_, until)| *until);
    let days: BTreeSet<CivilDate> = begins.chain(ends).collect();
    let mut united: Vec<Attention> = Vec::new();
    for day in days {
        let counting = timelines.iter().filter(|(_, until)| until.is_none_or(|until| day < until));
        let in_force: Vec<&Attention> = counting
            .filter_map(|(timeline, _)| timeline.iter().filter(|a| a.from <= day).max_by_key(|a| a.from))
            .collect();
        let Some(tier) = in_force.iter().map(|attention| attention.tier).max() else { continue };
        let tags: BTreeSet<_> =
            in_force.iter().flat_map(|attention| attention.tags.iter().cloned()).collect();
        let next = Attention { from: day, tier, tags: tags.into_iter().collect() };
        if united.last().is_none_or(|last| (last.tier, &last.tags) != (next.tier, &next.tags)) {
            united.push(next);
        }
    }
    united
}

/// Days as intervals that neither overlap nor touch, in order.
pub fn unite_days(days: impl IntoIterator<Item = DateRange>) -> Vec<DateRange> {
    let mut days: Vec<DateRange> = days.into_iter().filter(|days| !days.is_empty()).collect();
    days.sort_by_key(|days| (days.start(), days.end()));
    let mut united: Vec<DateRange> = Vec::new();
    for next in days {
        match united.last_mut().filter(|last| next.start() <= last.end()) {
            Some(last) => *last = DateRange::new(last.start(), last.end().max(next.end())),
            None => united.push(next),
        }
    }
    united
}

/// The memberships by rule that a merge ends today because another one of the same group goes on: of several that run, the
/// latest is what rules decide about from then on. No day of the group is lost.
pub fn continued(memberships: &[Membership], today: CivilDate) -> Vec<MembershipId> {
    let running = |membership: &&Membership| {
        membership.basis == Basis::Rule && membership.end.is_none_or(|end| end > today)
    };
    let groups: BTreeSet<&GroupCode> = memberships.iter().filter(running).map(|m| &m.group).collect();
    let mut ended = Vec::new();
    for group in groups {
        let mut of_group: Vec<&Membership> =
            memberships.iter().filter(running).filter(|membership| membership.group == *group).collect();
        of_group.sort_by_key(|membership| (membership.start, membership.recorded_at, &membership.id));
        of_group.pop();
        ended.extend(of_group.into_iter().map(|membership| membership.id.clone()));
    }
    ended
}
