//! What two versions of a plugin say about one resident: who belongs where, how attentively, and what is owed.

use std::collections::BTreeSet;

use linli_core::assessment::Findings;
use linli_core::id::{GroupCode, PluginId, ResidentId, SiteId, StandardCode, SubjectKind, TagCode};
use linli_core::kind::Tier;
use linli_core::membership::Basis;
use linli_core::standard::Standard;
use linli_core::time::CivilDate;

use crate::app::assessment::FileState;
use crate::app::catalog::Catalogue;

/// A resident as a version of a plugin sees them, beside what the other plugins and staff said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The groups.
    pub groups: BTreeSet<GroupCode>,
    /// The tier that the rules ask for.
    pub tier: Tier,
    /// The tags that the rules find.
    pub tags: BTreeSet<TagCode>,
    /// The standards that follow.
    pub standards: BTreeSet<StandardCode>,
}

/// A resident about whom two versions differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResidentDifference {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// By the version in force.
    pub before: Picture,
    /// By the other one.
    pub after: Picture,
}

/// One version: what it declares about groups, the catalogue with it, and what it finds.
pub(super) struct Version<'a> {
    pub(super) groups: &'a [GroupCode],
    pub(super) catalogue: &'a Catalogue,
    pub(super) findings: &'a Findings,
}

/// A resident of `site` on a day, by one version of `plugin`; `decided` are the groups that either version decides.
pub(super) fn picture(
    (site, plugin): (&SiteId, &PluginId),
    state: &FileState,
    version: &Version<'_>,
    decided: &[&GroupCode],
    today: CivilDate,
) -> Picture {
    let by_others = state.memberships.iter().filter(|membership| {
        membership.holds_on(today)
            && (membership.basis != Basis::Rule || !decided.contains(&&membership.group))
    });
    let holds = |since: Option<CivilDate>, until: Option<CivilDate>| {
        since.is_none_or(|since| since <= today) && until.is_none_or(|until| until > today)
    };
    let found = version.findings.memberships.iter().filter(|found| holds(found.since, found.until));
    let found = found.filter(|found| version.groups.contains(&found.group));
    let groups = by_others.map(|m| m.group.clone()).chain(found.map(|found| found.group.clone())).collect();
    let others = state.assessments.iter().map(|stored| &stored.assessment);
    let others = others.filter(|assessment| assessment.plugin.id != *plugin).map(|a| &a.findings);
    let (mut tier, mut tags) = (Tier::General, BTreeSet::new());
    for findings in others.chain([version.findings]) {
        tier = findings.tiers.iter().map(|asked| asked.tier).fold(tier, Tier::max);
        tags.extend(findings.tags.iter().map(|asked| asked.tag.clone()));
    }
    let in_force = version.catalogue.in_force(today).into_iter();
    let owed = in_force.filter(|standard| is_owed(standard, site, &groups, tier, &tags));
    let standards = owed.map(|standard| standard.code.clone()).collect();
    Picture { groups, tier, tags, standards }
}

/// Whether a standard is owed to a resident who is so.
fn is_owed(
    standard: &Standard,
    site: &SiteId,
    groups: &BTreeSet<GroupCode>,
    tier: Tier,
    tags: &BTreeSet<TagCode>,
) -> bool {
    let selector = &standard.applies_to;
    standard.subject == SubjectKind::Resident
        && (selector.any_group.is_empty() || selector.any_group.iter().any(|group| groups.contains(group)))
        && selector.min_tier.is_none_or(|least| tier >= least)
        && selector.max_tier.is_none_or(|most| tier <= most)
        && selector.tags.iter().all(|tag| tags.contains(tag))
        && selector.site.as_ref().is_none_or(|only| only == site)
}
