//! Another version of a plugin, without a restart: what would differ, moving over, taking away.
//!
//! ```text
//! folder ─▶ find (as a start would) ─▶ preview: both versions about every file ─▶ load: remember, replace, drain
//! ```
//!
//! Nothing is decided here that a start would not decide: what is loaded is what lies in the configured folders, so
//! that a restart at any moment finds the same. A version that cannot be loaded leaves the old one in place. Duties
//! end by it only where the request names them, memberships as proposed exits that staff confirm.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use linli_core::assessment::{Findings, PluginStamp};
use linli_core::id::{GroupCode, PluginId, ResidentId, SiteId};
use linli_core::resident::FileState as FileStage;
use linli_core::site::Site;
use linli_core::standard::Standard;
use linli_core::stricter::{Strictness, strictness};
use linli_core::time::SiteZone;
use linli_plugin_host::{LoadCause, Manifest, Plugin};
use linli_store::{FieldClasses, PluginManifest, ResidentFilter};

use super::difference::{Version, picture};
use super::{Deployed, KnownPlugin, ResidentDifference, problem_of};
use crate::app::assessment::{FileState, PluginAnswer, ask_one};
use crate::app::catalog::Catalogue;
use crate::app::resident::FILE;
use crate::app::scope::InScope;
use crate::app::work::{Touches, Work};
use crate::app::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, Thing};
use crate::name::{self, Sites};

/// Files looked at together.
const BATCH: u64 = 200;
/// How long a load waits for the calls that began with the version before.
const DRAIN: Duration = Duration::from_secs(5);
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// What loading a version would change.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The version in force; `None`: none is loaded.
    pub loaded: Option<PluginStamp>,
    /// The version that lies in the configured folders.
    pub candidate: PluginStamp,
    /// Care groups.
    pub groups: Codes,
    /// Standards; changed are those with other numbers.
    pub standards: Codes,
    /// Facts it reads.
    pub fields: Codes,
    /// Parameters of sites; changed are those with another default.
    pub parameters: Codes,
    /// Groups and standards that a load must name, because less or something else would be owed, sorted.
    pub to_accept: Vec<String>,
    /// The sites asked about, by id.
    pub sites: Vec<SiteDifference>,
}

/// Codes that one version declares and the other does not, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Codes {
    /// Only by the new version.
    pub added: Vec<String>,
    /// Only by the version in force.
    pub dropped: Vec<String>,
    /// By both, and otherwise.
    pub changed: Vec<String>,
}

/// How many residents of a site the versions differ about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteDifference {
    /// The site.
    pub site: SiteId,
    /// Active files.
    pub files: u64,
    /// Files about which the versions differ.
    pub differing: u64,
    /// Files that gain a group.
    pub gain_groups: u64,
    /// Files for which an exit would be proposed.
    pub lose_groups: u64,
    /// Files whose tier rises.
    pub tier_rises: u64,
    /// Files for which a lower tier would be proposed.
    pub tier_falls: u64,
    /// Files to which more is owed.
    pub gain_standards: u64,
    /// Files to which less would be owed once staff confirm.
    pub lose_standards: u64,
    /// Files about which the new version gives no answer: what was said before would stay in force.
    pub unanswered: u64,
}

/// A wish to load what lies in the configured folders.
#[derive(Debug, Clone)]
pub struct Load {
    /// The plugin.
    pub plugin: PluginId,
    /// SHA-256 of the library that was previewed.
    pub digest: String,
    /// Groups and standards of which less or something else may be owed from now on.
    pub accept: BTreeSet<String>,
}

/// Both versions and what is promised with each.
struct Versions {
    old: Option<Arc<Plugin>>,
    new: Arc<Plugin>,
    before: Arc<Catalogue>,
    after: Arc<Catalogue>,
}

/// A batch of one site's files, compared.
struct Compared {
    last: ResidentId,
    files: u64,
    unanswered: u64,
    differences: Vec<ResidentDifference>,
}

impl App {
    /// What loading the version that now lies in the configured folders would change.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PluginRefused`], [`Error::Denied`].
    pub async fn preview_plugin(&self, call: &Call, id: &PluginId, sites: &Sites) -> Result<Preview> {
        self.begin(call, None).await?;
        let candidate = self.candidate(id).await?;
        let versions = self.versions(candidate);
        let mut counted = Vec::new();
        let mut sites = InScope::new(self, call, sites, None).await?;
        while let Some((site, work)) = sites.next().await? {
            let mut count = SiteDifference::none(&site.id);
            let mut after: Option<ResidentId> = None;
            while let Some(batch) = self.compared(&work, &site, after.as_ref(), &versions).await? {
                count.add(&batch);
                after = Some(batch.last);
            }
            counted.push(count);
        }
        Ok(versions.preview(counted))
    }

    /// The residents about whom a previewed version differs from the one in force, by site and id.
    ///
    /// # Errors
    /// [`Error::PluginChanged`] where another library than `digest` lies in the folder now, and as
    /// [`App::preview_plugin`].
    pub async fn plugin_differences(
        &self,
        call: &Call,
        (id, digest): (&PluginId, &str),
        sites: &Sites,
        page: PageRequest,
    ) -> Result<Page<ResidentDifference>> {
        self.begin(call, None).await?;
        let candidate = self.candidate(id).await?;
        if candidate.stamp().digest != digest {
            return Err(Error::PluginChanged);
        }
        let versions = self.versions(candidate);
        let seen = match page.after.as_deref().map(|cursor| cursor.split_once('/').ok_or(Error::PageToken)) {
            None => None,
            Some(cursor) => {
                let (site, resident) = cursor?;
                let site = SiteId::new(site).map_err(|_| Error::PageToken)?;
                Some((site, ResidentId::new(resident).map_err(|_| Error::PageToken)?))
            }
        };
        let wanted = usize::try_from(page.size).unwrap_or(usize::MAX).saturating_add(1);
        let mut found = Vec::new();
        let mut sites = InScope::new(self, call, sites, seen.as_ref().map(|(site, _)| site)).await?;
        while let Some((site, work)) = sites.next().await? {
            let mut after = seen.as_ref().filter(|(first, _)| *first == site.id).map(|(_, id)| id.clone());
            while found.len() < wanted
                && let Some(batch) = self.compared(&work, &site, after.as_ref(), &versions).await?
            {
                found.extend(batch.differences);
                after = Some(batch.last);
            }
            if found.len() >= wanted {
                break;
            }
        }
        Ok(Page::cut(found, page.size, |found| format!("{}/{}", found.site, found.resident)))
    }

    /// Loads the version that lies in the configured folders beside the one in force, moves all calls over and waits
    /// for those that began before. Files are assessed again in the background.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PluginRefused`], [`Error::PluginChanged`], [`Error::PluginDropsDuties`],
    /// [`Error::Denied`]; the version before stays.
    pub async fn load_plugin(
        &self,
        call: &Call,
        repeat: Repeat<KnownPlugin>,
        load: Load,
    ) -> Result<Answer<KnownPlugin>> {
        let work = self.begin(call, None).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let _turn = self.plugins.turn.lock().await;
        let new = self.candidate(&load.plugin).await?;
        if new.stamp().digest != load.digest {
            return Err(Error::PluginChanged);
        }
        let versions = self.versions(Arc::clone(&new));
        let missing: Vec<String> =
            versions.to_accept().into_iter().filter(|code| !load.accept.contains(code)).collect();
        if !missing.is_empty() {
            return Err(Error::PluginDropsDuties(missing));
        }
        let mut changes = work.changes(&Touches::resource(name::plugin(&load.plugin)));
        changes.put_plugin_manifest(PluginManifest {
            plugin: load.plugin.clone(),
            digest: new.stamp().digest.clone(),
            manifest: new.manifest().text.clone(),
            recorded_at: work.now,
        });
        let view = super::loaded(&new);
        let answer = work.commit("plugin.load", changes, &repeat, view).await?;
        // An operator who loads what is loaded already wants it called again.
        new.reset();
        let next = self.deployed().with(&new);
        self.move_over(next, &load.plugin, "a plugin was loaded: calls go to it from now on").await;
        Ok(answer)
    }

    /// Takes a plugin away: its groups and standards stay in force, its answers too, and nobody is assessed by it
    /// anew. What is away already stays away.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn drain_plugin(
        &self,
        call: &Call,
        repeat: Repeat<KnownPlugin>,
        id: &PluginId,
    ) -> Result<Answer<KnownPlugin>> {
        let work = self.begin(call, None).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let _turn = self.plugins.turn.lock().await;
        let deployed = self.deployed();
        let next = deployed.registry.plugin(id.as_str()).map(|plugin| deployed.without(plugin));
        let shown = super::known(next.as_ref().unwrap_or(&deployed), &self.plugins.required);
        let view = shown.into_iter().find(|known| known.id == id.as_str());
        let view = view.ok_or(Error::NotFound(Thing::Plugin))?;
        let changes = work.changes(&Touches::resource(name::plugin(id)));
        let answer = work.commit("plugin.drain", changes, &repeat, view).await?;
        drop(deployed);
        if let Some(next) = next {
            self.move_over(next, id, "a plugin was taken away: its standards stay in force").await;
        }
        Ok(answer)
    }

    /// Lets everybody see `next`, and waits for whom saw what was before.
    async fn move_over(&self, next: Deployed, plugin: &PluginId, what: &str) {
        let old = Arc::downgrade(&self.plugins.replace(next));
        tracing::info!(%plugin, "{what}");
        self.upkeep.mark_all();
        // This call itself began with the old ones.
        let drained = async {
            while old.strong_count() > 1 {
                tokio::time::sleep(DRAIN_STEP).await;
            }
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(%plugin, "calls that began before still run; what they assess is compared later");
        }
        // What they committed meanwhile is compared too.
        self.upkeep.mark_all();
    }

    /// The plugin that a start would load now under this id, by what the operator trusts now.
    async fn candidate(&self, id: &PluginId) -> Result<Arc<Plugin>> {
        let today = SiteZone::SHANGHAI.date_of(self.system_clock.now());
        let (deployed, sources) = (self.deployed(), self.plugins.sources.clone());
        let (linked, wanted) = (self.plugins.linked(), id.as_str().to_owned());
        let is_known = super::known(&deployed, &self.plugins.required).iter().any(|known| known.id == wanted);
        let found = tokio::task::spawn_blocking(move || {
            deployed.registry.find(&wanted, &sources.on(today)?, &linked)
        });
        match found.await {
            Ok(Ok(plugin)) => {
                self.plugins.link(&plugin);
                Ok(plugin)
            }
            Ok(Err(failure)) if failure.cause == LoadCause::Missing && !is_known => {
                Err(Error::NotFound(Thing::Plugin))
            }
            Ok(Err(failure)) => {
                tracing::warn!("{failure}");
                Err(Error::PluginRefused(problem_of(&failure)))
            }
            Err(_) => Err(Error::Internal("loading a plugin panicked".into())),
        }
    }

    fn versions(&self, new: Arc<Plugin>) -> Versions {
        let deployed = self.deployed();
        Versions {
            old: deployed.registry.plugin(new.stamp().id.as_str()).cloned(),
            before: Arc::clone(&deployed.catalogue),
            after: Arc::clone(&deployed.with(&new).catalogue),
            new,
        }
    }

    /// The next batch of a site's active files, asked about by both versions; `None` after the last.
    async fn compared(
        &self,
        work: &Work<'_>,
        site: &Site,
        after: Option<&ResidentId>,
        versions: &Versions,
    ) -> Result<Option<Compared>> {
        if versions.new.manifest().connector.is_some() {
            return Ok(None); // it decides nothing about residents
        }
        let page = match after {
            Some(id) => linli_store::Page::after(site.id.as_str(), id.as_str(), BATCH),
            None => linli_store::Page::first(BATCH),
        };
        let sight = work.sight().clone();
        let active = ResidentFilter { states: vec![FileStage::Active], sight, ..ResidentFilter::default() };
        let one = linli_store::Sites::One(site.id.clone());
        let sealed = self.store.residents(&one, &active, &page, FieldClasses::of(FILE)).await?;
        let ids: Vec<ResidentId> = sealed.iter().map(|file| file.head.id.clone()).collect();
        let Some(last) = ids.last().cloned() else { return Ok(None) };
        let heads: Vec<_> = sealed.iter().map(|file| &file.head).collect();
        let all: Vec<ResidentId> = heads.iter().flat_map(|head| head.files()).collect();
        let facts = self.store.facts(&site.id, &all).await?;
        let mut states = self.file_states(&site.id, &heads).await?;
        let today = work.today();
        let subjects = all.iter().map(|id| id.as_str().to_owned()).collect();
        let touches = Touches::files(format!("sites/{}/residents", site.id), subjects, FILE);
        let receipt = work.disclose(&touches).await?;
        let (mut rows, mut files) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for file in &sealed {
            let of_person = file.head.files();
            let own: Vec<_> =
                facts.iter().filter(|fact| of_person.contains(&fact.resident)).cloned().collect();
            let state = states.remove(&file.head.id).unwrap_or_default();
            let opened = self.opened_file(file, &own, state, &receipt).await?;
            rows.push(self.row(&opened.resident, &opened.facts, work, (today, None)));
            files.push((file.head.id.clone(), opened.state));
        }
        let parameters = self.store.plugin_parameters(&site.id).await?;
        let by_new = ask_one(&versions.new, &parameters, today, &rows).await;
        let by_old = match &versions.old {
            Some(old) => Some(ask_one(old, &parameters, today, &rows).await),
            None => None,
        };
        let mut compared = Compared { last, files: 0, unanswered: 0, differences: Vec::new() };
        for (at, (resident, state)) in files.into_iter().enumerate() {
            compared.files += 1;
            match versions.difference(work, &site.id, (resident, &state), (by_old.as_ref(), &by_new), at) {
                None => compared.unanswered += 1,
                Some(difference) if difference.before != difference.after => {
                    compared.differences.push(difference);
                }
                Some(_) => {}
            }
        }
        Ok(Some(compared))
    }
}

impl Versions {
    /// Both pictures of a resident; `None` where the new version gives no answer.
    fn difference(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        (resident, state): (ResidentId, &FileState),
        (by_old, by_new): (Option<&PluginAnswer>, &PluginAnswer),
        at: usize,
    ) -> Option<ResidentDifference> {
        let id = &self.new.stamp().id;
        let after = by_new.about(at)?;
        // Where the version in force does not answer, its last answer is in force.
        let said = state.assessments.iter().find(|stored| stored.assessment.plugin.id == *id);
        let before = by_old
            .and_then(|old| old.about(at))
            .or_else(|| said.map(|stored| stored.assessment.findings.clone()))
            .unwrap_or_default();
        let groups = |plugin: &Plugin| -> Vec<GroupCode> {
            plugin.manifest().groups.iter().map(|group| group.code.clone()).collect()
        };
        let new = groups(&self.new);
        let old = self.old.as_ref().map_or_else(|| new.clone(), |old| groups(old));
        let decided: Vec<&GroupCode> = old.iter().chain(&new).collect();
        let today = work.today();
        let seen = |groups: &[GroupCode], catalogue: &Catalogue, findings: &Findings| {
            picture((site, id), state, &Version { groups, catalogue, findings }, &decided, today)
        };
        Some(ResidentDifference {
            site: site.clone(),
            resident,
            before: seen(&old, &self.before, &before),
            after: seen(&new, &self.after, &after),
        })
    }

    /// Groups and standards of which less or something else would be owed, sorted.
    fn to_accept(&self) -> Vec<String> {
        let Some(old) = &self.old else { return Vec::new() };
        let (groups, standards) = (self.groups(), self.standards());
        let looser = standards.changed.into_iter().filter(|code| {
            let new: Vec<&Standard> = versions_of(self.new.manifest(), code);
            versions_of(old.manifest(), code).into_iter().any(|old| {
                let same = new.iter().find(|new| new.version == old.version);
                // Other numbers under the same version would also count for the past.
                same.is_none_or(|new| !is_same(new, old))
                    || new.iter().any(|new| strictness(new, old) == Strictness::Looser)
            })
        });
        let mut codes: Vec<String> =
            groups.dropped.into_iter().chain(standards.dropped).chain(looser).collect();
        codes.sort();
        codes
    }

    fn groups(&self) -> Codes {
        let codes = |manifest: &Manifest| -> BTreeSet<String> {
            manifest.groups.iter().map(|group| group.code.as_str().to_owned()).collect()
        };
        self.codes(codes, |_| false)
    }

    fn standards(&self) -> Codes {
        let codes = |manifest: &Manifest| -> BTreeSet<String> {
            manifest.standards.iter().map(|standard| standard.code.as_str().to_owned()).collect()
        };
        self.codes(codes, |code| {
            let old = self.old.as_ref().map(|old| versions_of(old.manifest(), code)).unwrap_or_default();
            let new = versions_of(self.new.manifest(), code);
            old.len() != new.len() || old.iter().zip(&new).any(|(old, new)| !is_same(new, old))
        })
    }

    fn fields(&self) -> Codes {
        let codes = |manifest: &Manifest| -> BTreeSet<String> {
            manifest.fields.iter().map(|field| field.code.as_str().to_owned()).collect()
        };
        self.codes(codes, |code| {
            let kind = |plugin: &Plugin| plugin.manifest().field(code).map(|f| (f.kind, f.values.clone()));
            self.old.as_ref().is_some_and(|old| kind(old) != kind(&self.new))
        })
    }

    fn parameters(&self) -> Codes {
        let codes = |manifest: &Manifest| -> BTreeSet<String> {
            manifest.parameters.iter().map(|parameter| parameter.code.as_str().to_owned()).collect()
        };
        self.codes(codes, |code| {
            let default = |plugin: &Plugin| plugin.manifest().parameter(code).map(|p| p.default.clone());
            self.old.as_ref().is_some_and(|old| default(old) != default(&self.new))
        })
    }

    fn codes(&self, of: impl Fn(&Manifest) -> BTreeSet<String>, is_changed: impl Fn(&str) -> bool) -> Codes {
        let old = self.old.as_ref().map(|old| of(old.manifest())).unwrap_or_default();
        let new = of(self.new.manifest());
        Codes {
            added: new.difference(&old).cloned().collect(),
            dropped: old.difference(&new).cloned().collect(),
            changed: old.intersection(&new).filter(|code| is_changed(code)).cloned().collect(),
        }
    }

    fn preview(&self, sites: Vec<SiteDifference>) -> Preview {
        Preview {
            loaded: self.old.as_ref().map(|old| old.stamp().clone()),
            candidate: self.new.stamp().clone(),
            groups: self.groups(),
            standards: self.standards(),
            fields: self.fields(),
            parameters: self.parameters(),
            to_accept: self.to_accept(),
            sites,
        }
    }
}

/// The versions of a standard, oldest first.
fn versions_of<'m>(manifest: &'m Manifest, code: &str) -> Vec<&'m Standard> {
    let mut versions: Vec<&Standard> =
        manifest.standards.iter().filter(|standard| standard.code.as_str() == code).collect();
    versions.sort_by_key(|standard| standard.version);
    versions
}

/// Whether two declarations of a version owe the same to the same.
fn is_same(new: &Standard, old: &Standard) -> bool {
    new.version == old.version
        && new.subject == old.subject
        && new.department == old.department
        && new.effective == old.effective
        && strictness(new, old) == Strictness::Same
}

impl SiteDifference {
    fn none(site: &SiteId) -> Self {
        Self {
            site: site.clone(),
            files: 0,
            differing: 0,
            gain_groups: 0,
            lose_groups: 0,
            tier_rises: 0,
            tier_falls: 0,
            gain_standards: 0,
            lose_standards: 0,
            unanswered: 0,
        }
    }

    fn add(&mut self, batch: &Compared) {
        let count = |is: &dyn Fn(&ResidentDifference) -> bool| {
            batch.differences.iter().filter(|difference| is(difference)).count() as u64
        };
        self.files += batch.files;
        self.unanswered += batch.unanswered;
        self.differing += batch.differences.len() as u64;
        self.gain_groups += count(&|d| !d.after.groups.is_subset(&d.before.groups));
        self.lose_groups += count(&|d| !d.before.groups.is_subset(&d.after.groups));
        self.tier_rises += count(&|d| d.after.tier > d.before.tier);
        self.tier_falls += count(&|d| d.after.tier < d.before.tier);
        self.gain_standards += count(&|d| !d.after.standards.is_subset(&d.before.standards));
        self.lose_standards += count(&|d| !d.before.standards.is_subset(&d.after.standards));
    }
}
