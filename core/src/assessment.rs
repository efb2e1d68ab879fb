//! Assessments: what rule plugins find in the facts of one resident, stamped with who found it.

use crate::id::{CautionCode, FieldCode, GroupCode, PluginId, ReasonCode, ResidentId, SiteId, TagCode};
use crate::kind::Tier;
use crate::time::{CivilDate, Instant};

/// The answer of one plugin about one resident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// Who answered.
    pub plugin: PluginStamp,
    /// When (care clock).
    pub assessed_at: Instant,
    /// What was found.
    pub findings: Findings,
}

/// The code that made a decision about a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginStamp {
    /// The plugin's id.
    pub id: PluginId,
    /// Its version (SemVer).
    pub version: String,
    /// SHA-256 of its library, lower-case hexadecimal.
    pub digest: String,
}

/// What one plugin found about one resident. Every list is in the plugin's order of declaration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// Groups the resident belongs to.
    pub memberships: Vec<FoundMembership>,
    /// Tiers asked for; the highest binds.
    pub tiers: Vec<FoundTier>,
    /// Tags.
    pub tags: Vec<FoundTag>,
    /// Cautions for whoever makes contact.
    pub cautions: Vec<FoundCaution>,
    /// The first day on which the answer may differ though no fact changed; passing it only makes the
    /// assessment stale.
    pub valid_until: Option<CivilDate>,
}

/// A membership that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMembership {
    /// The group.
    pub group: GroupCode,
    /// Why.
    pub reason: ReasonCode,
    /// The first day on which the deciding facts count, where the rule knows it: of each fact the later of the day it
    /// became true and the day it was recorded.
    pub since: Option<CivilDate>,
    /// The first day that no longer counts, where it is known in advance.
    pub until: Option<CivilDate>,
}

/// A tier that a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTier {
    /// The tier.
    pub tier: Tier,
    /// Why.
    pub reason: ReasonCode,
}

/// A tag that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTag {
    /// The tag.
    pub tag: TagCode,
    /// Why.
    pub reason: ReasonCode,
}

/// A caution that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCaution {
    /// The caution.
    pub caution: CautionCode,
    /// Why.
    pub reason: ReasonCode,
}

impl Assessment {
    /// Whether its answer may differ by now though no fact changed. A stale assessment stays in force.
    pub fn is_stale(&self, today: CivilDate) -> bool {
        self.findings.valid_until.is_some_and(|until| until <= today)
    }
}

/// Something wrong with a fact, found by a plugin's validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactIssue {
    /// The field.
    pub field: FieldCode,
    /// Why, from the plugin's table of reasons.
    pub reason: ReasonCode,
}

/// A resident's tier and tags from a day on, until the next entry: what standards select by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    /// The first day.
    pub from: CivilDate,
    /// The tier.
    pub tier: Tier,
    /// The tags, sorted.
    pub tags: Vec<TagCode>,
}

/// The tier on a day; [`Tier::General`] before the first entry of the timeline.
pub fn tier_on(attention: &[Attention], day: CivilDate) -> Tier {
    let before = attention.iter().filter(|entry| entry.from <= day);
    before.max_by_key(|entry| entry.from).map_or(Tier::General, |entry| entry.tier)
}

/// What new findings do to a resident's tier and tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttentionChange {
    /// The next entry of the timeline, where anything changes.
    pub next: Option<Attention>,
    /// A lower tier that the rules find: it takes effect once a person confirms it.
    pub proposed_tier: Option<Tier>,
    /// Tags that hold although the rules no longer find them, sorted: they end once a person confirms it.
    pub dropped_tags: Vec<TagCode>,
}

/// Merges the findings of all plugins' assessments in force into the attention that held so far. The highest tier
/// binds. Raising it and adding tags takes effect on `from`; lowering it and dropping tags is proposed, for standards that
/// select by either may not end unseen.
pub fn merge_attention<'a>(
    current: Option<&Attention>,
    in_force: impl IntoIterator<Item = &'a Findings>,
    from: CivilDate,
) -> AttentionChange {
    let (mut found, mut tags) = (Tier::General, Vec::new());
    for findings in in_force {
        found = findings.tiers.iter().map(|asked| asked.tier).fold(found, Tier::max);
        tags.extend(findings.tags.iter().map(|asked| asked.tag.clone()));
    }
    let (held, held_tags) = current.map_or((Tier::General, [].as_slice()), |a| (a.tier, a.tags.as_slice()));
    let dropped_tags = held_tags.iter().filter(|tag| !tags.contains(tag)).cloned().collect();
    tags.extend(held_tags.iter().cloned());
    tags.sort_unstable();
    tags.dedup();
    let tier = held.max(found);
    let changed = tier != held || tags != held_tags;
    AttentionChange {
        next: changed.then_some(Attention { from, tier, tags }),
        proposed_tier: (found < held).then_some(found),
        dropped_tags,
    }
}

/// The entry that a person's confirmation of a lower tier makes; `None` where the tier is not lower.
pub fn confirm_tier(current: &Attention, tier: Tier, from: CivilDate) -> Option<Attention> {
    (tier < current.tier).then(|| Attention { from, tier, tags: current.tags.clone() })
}

/// The entry that a person's confirmation makes: a lower tier where one is given, without the tags that they drop; `None`
/// where that changes nothing.
pub fn confirm_attention(
    current: &Attention,
    tier: Option<Tier>,
    dropped: &[TagCode],
    from: CivilDate,
) -> Option<Attention> {
    let tier = tier.map_or(current.tier, |tier| tier.min(current.tier));
    let tags: Vec<TagCode> = current.tags.iter().filter(|tag| !dropped.contains(tag)).cloned().collect();
    (tier != current.tier || tags != current.tags).then_some(Attention { from, tier, tags })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> CivilDate {
        CivilDate::parse(text).unwrap()
    }

    #[test]
    fn tiers_rise_by_rule_and_fall_by_confirmation() {
        let reason = ReasonCode::new("r").unwrap();
        let findings = |tiers: &[Tier], tags: &[&str]| Findings {
            tiers: tiers.iter().map(|tier| FoundTier { tier: *tier, reason: reason.clone() }).collect(),
            tags: tags
                .iter()
                .map(|tag| FoundTag { tag: TagCode::new(tag).unwrap(), reason: reason.clone() })
                .collect(),
            ..Findings::default()
        };
        let attention = |from: &str, tier, tags: &[&str]| Attention {
            from: day(from),
            tier,
            tags: tags.iter().map(|tag| TagCode::new(tag).unwrap()).collect(),
        };
        let check = |current: Option<&Attention>,
                     found: &[Findings],
                     expect: Option<Attention>,
                     lower: Option<Tier>,
                     dropped: &[&str]| {
            let dropped_tags = dropped.iter().map(|tag| TagCode::new(tag).unwrap()).collect();
            let change = merge_attention(current, found, day("2026-03-16"));
            assert_eq!(change, AttentionChange { next: expect, proposed_tier: lower, dropped_tags });
        };
        let key = attention("2026-01-01", Tier::Key, &["hearing"]);
        check(None, &[], None, None, &[]);
        check(
            None,
            &[findings(&[Tier::Key], &["hearing"]), findings(&[Tier::High], &["hearing", "alone"])],
            Some(attention("2026-03-16", Tier::High, &["alone", "hearing"])),
            None,
            &[],
        );
        check(Some(&key), &[findings(&[Tier::Key], &["hearing"])], None, None, &[]);
        check(Some(&key), &[findings(&[], &["hearing"])], None, Some(Tier::General), &[]);
        // Tags that are no longer found stay until a person drops them.
        check(Some(&key), &[], None, Some(Tier::General), &["hearing"]);
        check(
            Some(&key),
            &[findings(&[Tier::Key], &["alone"])],
            Some(attention("2026-03-16", Tier::Key, &["alone", "hearing"])),
            None,
            &["hearing"],
        );
        let hearing = [TagCode::new("hearing").unwrap()];
        let from = day("2026-03-16");
        let confirmed = confirm_attention(&key, Some(Tier::General), &hearing, from);
        assert_eq!(confirmed, Some(attention("2026-03-16", Tier::General, &[])));
        let only_tags = confirm_attention(&key, None, &hearing, from);
        assert_eq!(only_tags, Some(attention("2026-03-16", Tier::Key, &[])));
        assert_eq!(confirm_attention(&key, Some(Tier::High), &[], from), None);
        let lowered = confirm_tier(&key, Tier::General, day("2026-03-16"));
        assert_eq!(lowered, Some(attention("2026-03-16", Tier::General, &["hearing"])));
        assert_eq!(confirm_tier(&key, Tier::High, day("2026-03-16")), None);
    }
}
