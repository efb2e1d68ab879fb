//! Memberships, 纳入: a resident in a care group for an interval, with basis, evidence and reason.

use crate::id::{GroupCode, MembershipId, ReasonCode, ResidentId, SiteId};
use crate::kind::closed_list;
use crate::text::Line;
use crate::time::{CivilDate, Instant};

closed_list! {
    /// Why somebody is a member.
    Basis {
        /// A plugin's rule over the facts.
        Rule = "rule", "规则判定", "rule";
        /// The resident or a member of staff declared it.
        Declared = "declared", "本人申报", "declared";
        /// A certificate was seen.
        Certificate = "certificate", "证件核验", "certificate";
    }
}

/// A resident's membership in one care group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// Its id.
    pub id: MembershipId,
    /// The group.
    pub group: GroupCode,
    /// Why.
    pub basis: Basis,
    /// The reason of the plugin's table, for memberships by rule.
    pub reason: Option<ReasonCode>,
    /// What was seen or said, for the others.
    pub evidence: Option<Line>,
    /// The first day: the later of the day the fact became true and the day it was recorded.
    pub start: CivilDate,
    /// The first day that no longer counts; an end known in advance takes effect by itself.
    pub end: Option<CivilDate>,
    /// A rule no longer finds the person in the group: duties run until staff confirm.
    pub proposed_exit: Option<ProposedExit>,
    /// When it was recorded.
    pub recorded_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

/// A proposal to end a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedExit {
    /// The first day that would no longer count.
    pub on: CivilDate,
    /// Why the rule no longer finds the person in the group.
    pub why: ExitCause,
    /// When it was proposed.
    pub proposed_at: Instant,
}

closed_list! {
    /// Why a membership may have ended.
    ExitCause {
        /// A fact changed.
        FactChanged = "fact_changed", "信息变更", "a fact changed";
        /// A certificate expired.
        CertificateExpired = "certificate_expired", "证件到期", "a certificate expired";
        /// A new version of the plugin decides otherwise.
        RuleChanged = "rule_changed", "规则更新", "the rule changed";
    }
}
