//! What the server does by itself: files are assessed again when a plugin's answer has expired, when a plugin was
//! not there, is new or answers by other parameters; files end when their time is over; erasures that were broken off are
//! carried on; kept answers, and events that were told for long enough, are forgotten after their time.
//!
//! Nothing is lost when it does not run: a membership begins when its facts began to count, not when somebody
//! looked. But nobody should have to look.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use linli_core::id::{ResidentId, SiteId};
use linli_core::resident::FileState as FileStage;
use linli_store::{FieldClasses, ResidentFilter};
use tokio::sync::Notify;

use super::assessment::FileState;
use super::{App, Repeat};
use crate::auth::table;
use crate::error::{Error, Result};

/// How often a round begins by itself; one begins at once when the simulated clock moves or parameters change.
const EVERY: Duration = Duration::from_secs(60);
/// Files looked at together.
pub(super) const BATCH: u64 = 200;
/// Expired answers of one site in one round; the rest waits for the next one, so that no site starves another.
const DUE_MAX: u64 = 500;
/// Kept answers forgotten by one statement; see the store.
const SWEEP: u64 = 1_000;

/// What upkeep has to look at beyond what time brings.
#[derive(Debug)]
pub struct Upkeep {
    /// Sites whose every file is compared with the plugins as they are; `None`: all of them, as after a start.
    marked: Mutex<Option<HashSet<SiteId>>>,
    wake: Notify,
    /// Held by the one round that runs.
    round: tokio::sync::Mutex<()>,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { marked: Mutex::new(None), wake: Notify::new(), round: tokio::sync::Mutex::default() }
    }
}

impl Upkeep {
    /// A site's parameters changed: its files are to be compared.
    pub(super) fn mark(&self, site: &SiteId) {
        let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(marked) = marked.as_mut() {
            marked.insert(site.clone());
        }
        self.wake.notify_one();
    }

    /// The plugins changed: every file is to be compared.
    pub(super) fn mark_all(&self) {
        *self.marked.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.wake.notify_one();
    }

    /// Time has moved: a round is due now.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    fn take(&self) -> Option<HashSet<SiteId>> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner).replace(HashSet::new())
    }
}

impl App {
    /// Rounds of upkeep until the task is dropped. A round that fails is logged and tried again with the next.
    pub async fn keep_up(&self) {
        loop {
            if let Err(error) = self.upkeep_round().await {
                tracing::warn!(?error, "a round of upkeep was not finished; the next one goes on");
            }
            let _ = tokio::time::timeout(EVERY, self.upkeep.wake.notified()).await;
        }
    }

    /// One round: how many files were assessed. Rounds follow each other, so whoever waited for one finds finished
    /// what another one had begun.
    ///
    /// # Errors
    /// As the store fails.
    pub async fn upkeep_round(&self) -> Result<u64> {
        let _alone = self.upkeep.round.lock().await;
        self.finish_erasures().await?;
        self.remove_old_backups();
        let marked = self.upkeep.take();
        let mut assessed = 0;
        let mut after: Option<String> = None;
        loop {
            let sites = self.store.sites(after.as_deref(), BATCH).await?;
            let Some(last) = sites.last() else { break };
            after = Some(last.id.as_str().to_owned());
            for site in &sites {
                let compare = marked.as_ref().is_none_or(|marked| marked.contains(&site.id));
                assessed += self.upkeep_site(&site.id, compare).await?;
                self.end_files(&site.id).await?;
                self.sweep_events(&site.id).await?;
            }
        }
        while self.store.sweep_answers(self.system_clock.now()).await? == SWEEP {}
        Ok(assessed)
    }

    async fn upkeep_site(&self, site: &SiteId, compare: bool) -> Result<u64> {
        let today = self.today(site, self.now()).await?;
        let due = self.store.assessments_due(site, today, DUE_MAX).await?;
        let mut ids: Vec<ResidentId> = due.into_iter().map(|stored| stored.assessment.resident).collect();
        ids.sort();
        ids.dedup();
        let mut assessed = 0;
        for id in ids {
            if !self.assess_again(site, &id).await? {
                return Ok(assessed); // a plugin does not answer: the others would only wait for it too
            }
            assessed += 1;
        }
        if compare && self.deployed().registry.rules().next().is_some() {
            assessed += self.compare_site(site).await?;
        }
        Ok(assessed)
    }

    /// Assesses the files of a site whose answers are not those of the plugins and parameters of now.
    async fn compare_site(&self, site: &SiteId) -> Result<u64> {
        let parameters = self.store.plugin_parameters(site).await?;
        let sites = linli_store::Sites::One(site.clone());
        let sight = linli_store::Sight::All;
        let active = ResidentFilter { states: vec![FileStage::Active], sight, ..ResidentFilter::default() };
        let mut page = linli_store::Page::first(BATCH);
        let mut assessed = 0;
        loop {
            let files = self.store.residents(&sites, &active, &page, FieldClasses::NONE).await?;
            let heads: Vec<_> = files.iter().map(|file| &file.head).collect();
            let Some(last) = heads.last() else { return Ok(assessed) };
            page = linli_store::Page::after(site.as_str(), last.id.as_str(), BATCH);
            let mut states = self.file_states(site, &heads).await?;
            for id in heads.into_iter().map(|head| head.id.clone()) {
                let state = states.remove(&id).unwrap_or_default();
                if self.is_current(&state, &parameters) {
                    continue;
                }
                if !self.assess_again(site, &id).await? {
                    return Ok(assessed);
                }
                assessed += 1;
            }
        }
    }

    /// Whether every plugin with rules has answered by the parameters of now.
    fn is_current(&self, state: &FileState, parameters: &[linli_store::PluginParameters]) -> bool {
        self.deployed().registry.rules().all(|plugin| {
            let stamp = plugin.stamp();
            let set = parameters.iter().find(|set| set.plugin == stamp.id);
            state.assessments.iter().any(|stored| {
                stored.assessment.plugin == *stamp
                    && set.is_none_or(|set| set.updated_at <= stored.assessment.assessed_at)
            })
        })
    }

    /// Assesses a file in the server's own name; `false` where a plugin did not answer.
    async fn assess_again(&self, site: &SiteId, id: &ResidentId) -> Result<bool> {
        let call = self.own_call(table::ASSESS)?;
        let repeat = Repeat { id: None, hash: [0; 32], encode: |_| Vec::new() };
        match self.assess_resident(&call, repeat, site.clone(), id.clone()).await {
            Ok(super::Answer::Fresh(view)) => Ok(view.missing.is_empty()),
            Ok(super::Answer::Repeated(_)) => Ok(true),
            // Somebody changed the file meanwhile, which assessed it; or it left.
            Err(Error::EtagMismatch | Error::State(_) | Error::NotFound(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
