//! Assessments: the last answer of each plugin about each resident, and the tier and tags that follow from them.

use std::collections::BTreeMap;

use linli_core::assessment::{Assessment, Attention, PluginStamp};
use linli_core::id::{PluginId, ResidentId, SiteId, TagCode};
use linli_core::kind::Tier;
use linli_core::resident::FileState;
use linli_core::time::CivilDate;
use sea_orm::sea_query::{Query, SelectStatement};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Rows};
use crate::convert::{date, days, instant, version, version_column};
use crate::error::StoreError;
use crate::form;
use crate::page::{PAGE_MAX, padded};
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Table, assessment, attention, resident};

/// The day on which answers are due that only a person can give.
const NEVER_DUE: CivilDate = CivilDate::MAX;

/// An assessment as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAssessment {
    /// The assessment.
    pub assessment: Assessment,
    /// The plugin could not be asked since a fact changed, or `valid_until` has passed: it stays in force.
    pub stale: bool,
    /// The plugin cannot be asked about this resident, because it ends over their facts: a person must decide. It is
    /// not asked again by itself. Stored as stale without a day on which it would be due.
    pub manual: bool,
    /// Counts changes, from 1.
    pub version: u64,
}

impl ChangeSet {
    /// Stores a plugin's answer: version 1 is the first of this plugin about this resident.
    pub fn put_assessment(&mut self, assessment: StoredAssessment) -> &mut Self {
        self.push(Change::Assessment(Box::new(assessment)))
    }

    /// Sets tier and tags from a day on, up to the next entry.
    pub fn put_attention(&mut self, site: &SiteId, resident: &ResidentId, attention: Attention) -> &mut Self {
        self.push(Change::Attention(site.clone(), resident.clone(), attention))
    }

    /// Removes the entry that begins on this day, if there is one.
    pub fn drop_attention(&mut self, site: &SiteId, resident: &ResidentId, from: CivilDate) -> &mut Self {
        self.push(Change::DropAttention(site.clone(), resident.clone(), from))
    }
}

pub(crate) fn rows(value: &StoredAssessment, rows: &mut Rows) {
    let StoredAssessment { assessment: found, stale, manual, version } = value;
    let valid_until = if *manual { Some(NEVER_DUE) } else { found.findings.valid_until };
    let row = assessment::Model {
        site: found.site.as_str().to_owned(),
        resident: found.resident.as_str().to_owned(),
        plugin: found.plugin.id.as_str().to_owned(),
        version: version_column(*version),
        plugin_version: found.plugin.version.clone(),
        digest: found.plugin.digest.clone(),
        assessed_at: found.assessed_at.micros(),
        stale: i64::from(*stale || *manual),
        valid_until: valid_until.map(days),
        findings: form::encode_findings(&found.findings),
    };
    rows.put_versioned(Table::Assessment, row, "assessment");
}

pub(crate) fn attention_rows(site: &SiteId, resident: &ResidentId, value: &Attention, rows: &mut Rows) {
    let tags: Vec<&str> = value.tags.iter().map(TagCode::as_str).collect();
    let row = attention::Model {
        site: site.as_str().to_owned(),
        resident: resident.as_str().to_owned(),
        from_day: days(value.from),
        tier: value.tier.code().to_owned(),
        tags: tags.join(" "),
    };
    rows.put(Table::Attention, row);
}

pub(crate) fn drop_attention(site: &SiteId, resident: &ResidentId, from: CivilDate, rows: &mut Rows) {
    rows.delete(Table::Attention, vec![site.as_str().into(), resident.as_str().into(), days(from).into()]);
}

impl Store {
    /// The assessments of these residents, by resident and plugin.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn assessments(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<StoredAssessment>, StoreError> {
        let found = assessment::Entity::find()
            .filter(assessment::Column::Site.eq(site.as_str()))
            .filter(assessment::Column::Resident.is_in(padded(residents.iter().map(ResidentId::as_str))))
            .order_by_asc(assessment::Column::Resident)
            .order_by_asc(assessment::Column::Plugin)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_assessment).collect()
    }

    /// Tier and tags over time of these residents, by resident and day.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attentions(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<(ResidentId, Attention)>, StoreError> {
        let found = attention::Entity::find()
            .filter(attention::Column::Site.eq(site.as_str()))
            .filter(attention::Column::Resident.is_in(padded(residents.iter().map(ResidentId::as_str))))
            .order_by_asc(attention::Column::Resident)
            .order_by_asc(attention::Column::FromDay)
            .all(self.reader())
            .await?;
        let row = StoreError::Row { table: "attention" };
        found
            .into_iter()
            .map(|found| Ok((ResidentId::new(&found.resident).map_err(|_| row)?, to_attention(found)?)))
            .collect()
    }

    /// The assessments of a site's active files whose `valid_until` is not after `day`, the longest expired first, up
    /// to `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn assessments_due(
        &self,
        site: &SiteId,
        day: CivilDate,
        limit: u64,
    ) -> Result<Vec<StoredAssessment>, StoreError> {
        let found = assessment::Entity::find()
            .filter(assessment::Column::Site.eq(site.as_str()))
            .filter(assessment::Column::ValidUntil.lte(days(day)))
            .filter(assessment::Column::Resident.in_subquery(active(site)))
            .order_by_asc(assessment::Column::ValidUntil)
            .limit(limit.clamp(1, PAGE_MAX))
            .all(self.reader())
            .await?;
        found.into_iter().map(to_assessment).collect()
    }
}

impl Store {
    /// For each plugin, of how many files a person must decide instead of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn manual_assessments(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let found: Vec<String> = assessment::Entity::find()
            .select_only()
            .column(assessment::Column::Plugin)
            .filter(assessment::Column::ValidUntil.eq(days(NEVER_DUE)))
            .filter(assessment::Column::Stale.ne(0))
            .into_tuple()
            .all(self.reader())
            .await?;
        let mut counts = BTreeMap::new();
        for plugin in found {
            *counts.entry(plugin).or_default() += 1;
        }
        Ok(counts)
    }
}

/// The residents about whom a person must decide instead of a plugin.
pub(crate) fn undecided() -> SelectStatement {
    let mut residents = Query::select();
    residents
        .column(assessment::Column::Resident)
        .from(assessment::Entity)
        .and_where(assessment::Column::ValidUntil.eq(days(NEVER_DUE)))
        .and_where(assessment::Column::Stale.ne(0));
    residents
}

/// The ids of a site's active files.
fn active(site: &SiteId) -> SelectStatement {
    let mut files = Query::select();
    files
        .column(resident::Column::Id)
        .from(resident::Entity)
        .and_where(resident::Column::Site.eq(site.as_str()))
        .and_where(resident::Column::MergedInto.is_null())
        .and_where(resident::Column::State.eq(FileState::Active.code()));
    files
}

pub(crate) fn to_assessment(row: assessment::Model) -> Result<StoredAssessment, StoreError> {
    let manual = row.stale != 0 && row.valid_until == Some(days(NEVER_DUE));
    let valid_until = row.valid_until.filter(|_| !manual);
    let build = || {
        Some(StoredAssessment {
            assessment: Assessment {
                site: SiteId::new(&row.site).ok()?,
                resident: ResidentId::new(&row.resident).ok()?,
                plugin: PluginStamp {
                    id: PluginId::new(&row.plugin).ok()?,
                    version: row.plugin_version.clone(),
                    digest: row.digest.clone(),
                },
                assessed_at: instant(row.assessed_at)?,
                findings: form::decode_findings(&row.findings, valid_until)?,
            },
            stale: row.stale != 0,
            manual,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "assessment" })
}

pub(crate) fn to_attention(row: attention::Model) -> Result<Attention, StoreError> {
    let build = || {
        let tags = row.tags.split_ascii_whitespace().map(|tag| TagCode::new(tag).ok());
        Some(Attention {
            from: date(row.from_day)?,
            tier: Tier::from_code(&row.tier).ok()?,
            tags: tags.collect::<Option<_>>()?,
        })
    };
    build().ok_or(StoreError::Row { table: "attention" })
}
