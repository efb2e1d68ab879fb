//! Asking a plugin about files of a site: their facts become a batch, its answer is kept by place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use linli_core::assessment::Findings;
use linli_core::id::FieldCode;
use linli_core::resident::FactValue;
use linli_core::time::{CivilDate, Instant};
use linli_plugin_host::{Answer as Answered, Plugin, RowFact};

/// How long a plugin may take over a batch; beyond it its last answers stay in force.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);

/// One file as the plugins see it.
pub(in crate::app) struct Row {
    pub(super) facts: Vec<(FieldCode, FactValue, Option<CivilDate>)>,
}

/// What one plugin answered about a batch of files; `None`: it did not.
pub(in crate::app) struct PluginAnswer {
    pub(super) plugin: Arc<Plugin>,
    /// When the site last set the plugin's parameters.
    pub(super) parameters_at: Option<Instant>,
    findings: Option<Answered>,
}

impl PluginAnswer {
    /// Whether it cannot be asked about the file at a place of the batch.
    pub(super) fn is_manual(&self, at: usize) -> bool {
        self.findings.as_ref().is_some_and(|answer| answer.manual().contains(&at))
    }

    /// What it says about the file at a place of the batch; `None`: nothing.
    pub(in crate::app) fn about(&self, at: usize) -> Option<Findings> {
        let row = self.findings.as_ref().and_then(|findings| findings.row(at))?;
        Some(row.to_findings())
    }
}

/// Asks one plugin about files of a site, by what the site has set.
pub(in crate::app) async fn ask_one(
    plugin: &Arc<Plugin>,
    parameters: &[linli_store::PluginParameters],
    today: CivilDate,
    rows: &[Row],
) -> PluginAnswer {
    let set = parameters.iter().find(|set| set.plugin == plugin.stamp().id);
    let values: BTreeMap<String, FactValue> = set
        .iter()
        .flat_map(|set| set.values.iter().map(|(code, value)| (code.as_str().to_owned(), value.clone())))
        // A parameter that a newer version of the plugin no longer accepts falls back to its default.
        .filter(|(code, value)| {
            plugin.manifest().parameter(code).is_some_and(|known| known.check(value).is_ok())
        })
        .collect();
    PluginAnswer {
        plugin: Arc::clone(plugin),
        parameters_at: set.map(|set| set.updated_at),
        findings: call(plugin, &values, today, rows).await,
    }
}

impl Row {
    pub(super) fn facts(&self) -> impl Iterator<Item = RowFact<'_>> {
        self.facts.iter().map(|(field, value, since)| RowFact { field: field.as_str(), value, since: *since })
    }
}

/// One plugin's answer about a batch; `None` and a line in the log where it gives none.
async fn call(
    plugin: &Arc<Plugin>,
    parameters: &BTreeMap<String, FactValue>,
    today: CivilDate,
    rows: &[Row],
) -> Option<Answered> {
    let mut batch = plugin.batch();
    batch.reserve(rows.len());
    let id = plugin.stamp().id.as_str();
    if let Err(problems) = batch.parameters(parameters) {
        tracing::error!(
            plugin = id,
            count = problems.len(),
            "stored parameters do not fit the plugin's manifest"
        );
        return None;
    }
    for row in rows {
        // A fact that no longer fits a newer schema is left out; the others decide.
        let pushed = batch.push(today, row.facts()).or_else(|problems| {
            let fits = |fact: &RowFact<'_>| !problems.iter().any(|problem| problem.code == fact.field);
            batch.push(today, row.facts().filter(fits))
        });
        if pushed.is_err() {
            return None;
        }
    }
    let (batch, asked) = (batch.finish(), Arc::clone(plugin));
    match tokio::task::spawn_blocking(move || asked.assess(batch, DEADLINE)).await {
        Ok(Ok(findings)) if findings.len() == rows.len() => Some(findings),
        Ok(Ok(_)) | Err(_) => {
            tracing::error!(plugin = id, "the plugin did not answer for every file");
            None
        }
        Ok(Err(error)) => {
            tracing::error!(plugin = id, %error, "the plugin did not answer; its last answers stay in force");
            None
        }
    }
}
