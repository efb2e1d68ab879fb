//! What plugins declared when they were last loaded, so that their standards stand while they are away.

use linli_core::id::PluginId;
use linli_core::time::Instant;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Rows, Scope};
use crate::convert::instant;
use crate::error::StoreError;
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Table, plugin_manifest};

/// The manifest of a plugin as it was last loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginManifest {
    /// The plugin.
    pub plugin: PluginId,
    /// SHA-256 of its library, in hexadecimal.
    pub digest: String,
    /// The text of its manifest.
    pub manifest: String,
    /// When it was recorded.
    pub recorded_at: Instant,
}

impl ChangeSet {
    /// Remembers a plugin's manifest in place of the one before. The scope must be [`Scope::System`].
    pub fn put_plugin_manifest(&mut self, manifest: PluginManifest) -> &mut Self {
        self.push(Change::PluginManifest(manifest))
    }
}

pub(crate) fn rows(value: &PluginManifest, rows: &mut Rows) {
    let row = plugin_manifest::Model {
        site: Scope::System.text().to_owned(),
        plugin: value.plugin.as_str().to_owned(),
        digest: value.digest.clone(),
        manifest: value.manifest.clone(),
        recorded_at: value.recorded_at.micros(),
    };
    rows.put(Table::PluginManifest, row);
}

impl Store {
    /// The manifests of all plugins that were ever loaded, by plugin; there are as many as plugins.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plugin_manifests(&self) -> Result<Vec<PluginManifest>, StoreError> {
        let found = plugin_manifest::Entity::find()
            .filter(plugin_manifest::Column::Site.eq(Scope::System.text()))
            .order_by_asc(plugin_manifest::Column::Plugin)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_manifest).collect()
    }
}

fn to_manifest(row: plugin_manifest::Model) -> Result<PluginManifest, StoreError> {
    let build = || {
        Some(PluginManifest {
            plugin: PluginId::new(&row.plugin).ok()?,
            digest: row.digest.clone(),
            manifest: row.manifest.clone(),
            recorded_at: instant(row.recorded_at)?,
        })
    };
    build().ok_or(StoreError::Row { table: "plugin_manifest" })
}
