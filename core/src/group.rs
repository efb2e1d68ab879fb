//! Care groups: named classes of people, declared by plugins.

use crate::id::{GroupCode, PluginId};
use crate::kind::Confidence;
use crate::text::Label;

/// Where a number or a class comes from, and how sure that is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Citation {
    /// The law, notice, standard or regulation.
    pub instrument: Label,
    /// Article, section or page within it; empty where the whole is meant.
    pub locator: String,
    /// How sure it is.
    pub confidence: Confidence,
}

/// A care group, 群体.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CareGroup {
    /// Its code, unique over all plugins.
    pub code: GroupCode,
    /// Its name.
    pub title: Label,
    /// Who belongs to it, in words.
    pub eligibility: Label,
    /// The plugin that decides membership.
    pub plugin: PluginId,
    /// Where the class is defined.
    pub citation: Citation,
}
