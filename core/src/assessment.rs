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
    /// The day on which the deciding facts became true, where the rule knows it.
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
