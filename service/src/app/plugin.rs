//! The plugins of this server: those that were loaded, those that could not be, and those that should be there.
//!
//! | module | what |
//! |---|---|
//! | `deployed` | the plugins as they are now, replaced as a whole |
//! | `upgrade` | another version beside the loaded one: what would differ, moving over, taking away |
//! | `difference` | what two versions say about one resident |

mod deployed;
mod difference;
mod upgrade;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use linli_core::id::PluginId;
use linli_core::text::Label;
use linli_core::time::Instant;
use linli_plugin_host::{Figures, Health, LoadCause, LoadFailure, Manifest, Plugin, Registry};
use linli_store::{AuditDraft, ChangeSet, Decision, FieldClasses, PluginManifest, Scope, Store};

pub use deployed::{Deployed, Live};
pub use difference::{Picture, ResidentDifference};
pub use upgrade::{Codes, Load, Preview, SiteDifference};

use super::{App, Page, PageRequest};
use crate::auth::Call;
use crate::error::{Error, Result, Thing};

/// A plugin as the server knows it.
#[derive(Clone)]
pub struct KnownPlugin {
    /// Its id; where a file could not be read so far, a name made of the file's or folder's.
    pub id: String,
    /// How it is.
    pub state: PluginState,
    /// What is wrong and what to do about it; `None`: it is well.
    pub problem: Option<Label>,
    /// The plugin and its figures, where it was loaded.
    pub loaded: Option<(Arc<Plugin>, Figures)>,
    /// What it declared when it was last loaded, where it is away.
    pub declared: Option<Manifest>,
    /// Residents about whom a person must decide instead of it.
    pub manual: u64,
    /// Why it was refused, where it was.
    pub cause: Option<LoadCause>,
}

/// How a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginState {
    /// Loaded and answering.
    Ready,
    /// Loaded, and not called for now because it failed.
    Failing,
    /// Found and not loaded.
    Refused,
    /// Required by the configuration, or loaded before, and not found.
    Missing,
    /// Taken away since the start: its standards stay in force, nobody is assessed by it anew.
    Drained,
}

impl App {
    /// One plugin.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn plugin(&self, call: &Call, id: &PluginId) -> Result<KnownPlugin> {
        self.begin(call, None).await?;
        self.counted_plugins()
            .await?
            .into_iter()
            .find(|plugin| plugin.id == id.as_str())
            .ok_or(Error::NotFound(Thing::Plugin))
    }

    /// The plugins, the refused and missing ones included, by id.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn plugins(&self, call: &Call, page: PageRequest) -> Result<Page<KnownPlugin>> {
        self.begin(call, None).await?;
        Ok(Page::of_sorted(self.counted_plugins().await?, &page, |plugin| plugin.id.as_str()))
    }

    /// The plugins, with how many residents a person must decide about instead of each.
    async fn counted_plugins(&self) -> Result<Vec<KnownPlugin>> {
        let manual = self.store.manual_assessments().await?;
        let mut known = self.known_plugins();
        for plugin in &mut known {
            plugin.manual = manual.get(&plugin.id).copied().unwrap_or_default();
        }
        Ok(known)
    }

    pub(super) fn known_plugins(&self) -> Vec<KnownPlugin> {
        known(&self.deployed(), &self.plugins.required)
    }
}

/// Remembers what the loaded plugins declare, and returns what those declared that were loaded once and are not now.
///
/// # Errors
/// As the store.
pub async fn remember(
    store: &Store,
    plugins: &Registry,
    (now, system_time): (Instant, Instant),
) -> Result<Vec<Manifest>> {
    let known = store.plugin_manifests().await?;
    let is_kept = |plugin: &Plugin| {
        known.iter().any(|kept| {
            kept.plugin == plugin.stamp().id
                && kept.digest == plugin.stamp().digest
                && kept.manifest == plugin.manifest().text
        })
    };
    for plugin in plugins.plugins().iter().filter(|plugin| !is_kept(plugin)) {
        let id = plugin.stamp().id.clone();
        let draft = AuditDraft {
            principal: "server".into(),
            method: "start".into(),
            resource: crate::name::plugin(&id),
            subjects: Vec::new(),
            classes: FieldClasses::NONE,
            purpose: String::new(),
            decision: Decision::Allowed,
            request_id: String::new(),
            care_time: now,
            system_time,
        };
        let epoch = store.authz_epoch(&Scope::System).await?.unwrap_or_default();
        let mut changes = ChangeSet::new(Scope::System, epoch, draft);
        let (digest, manifest) = (plugin.stamp().digest.clone(), plugin.manifest().text.clone());
        changes.put_plugin_manifest(PluginManifest { plugin: id, digest, manifest, recorded_at: now });
        store.commit("plugin.remember", changes).await?;
    }
    let away = known.iter().filter(|kept| plugins.plugin(kept.plugin.as_str()).is_none());
    Ok(away.filter_map(as_declared).collect())
}

/// A manifest as it was; one that this version no longer reads is left out, and the log says so.
fn as_declared(kept: &PluginManifest) -> Option<Manifest> {
    match Manifest::parse(&kept.manifest) {
        Ok(manifest) => {
            tracing::warn!(plugin = %kept.plugin, "not loaded: its groups and standards stay, nobody is assessed by it");
            Some(deployed::declared(manifest, &kept.digest))
        }
        Err(_) => {
            tracing::error!(plugin = %kept.plugin, "not loaded, and its remembered manifest cannot be read: its standards are gone");
            None
        }
    }
}

/// The plugins that are there, those that could not be loaded, those that are away and those that are required, by id,
/// each id once.
fn known(deployed: &Deployed, required: &[String]) -> Vec<KnownPlugin> {
    let mut known: BTreeMap<String, KnownPlugin> = BTreeMap::new();
    for plugin in deployed.registry.plugins() {
        let entry = loaded(plugin);
        known.insert(entry.id.clone(), entry);
    }
    for failure in deployed.registry.failures() {
        let entry = refused(failure, |id| known.contains_key(id));
        known.insert(entry.id.clone(), entry);
    }
    for manifest in &deployed.absent {
        let entry = away(manifest, deployed.drained.contains(&manifest.id));
        known
            .entry(entry.id.clone())
            .and_modify(|known| known.declared.clone_from(&entry.declared))
            .or_insert(entry);
    }
    for id in required {
        known.entry(id.clone()).or_insert_with(|| KnownPlugin {
            id: id.clone(),
            state: PluginState::Missing,
            problem: Some(Label::new(
                "配置要求此插件,但未找到。请将插件放入配置的插件目录,再用 LoadPlugin 加载或重新启动",
                "the configuration requires it and no such plugin was found; put it into a configured folder of \
                 plugins, then load it with LoadPlugin or restart",
            )),
            loaded: None,
            declared: None,
            manual: 0,
            cause: None,
        });
    }
    known.into_values().collect()
}

fn away(manifest: &Manifest, is_drained: bool) -> KnownPlugin {
    let (state, problem) = if is_drained {
        let text = Label::new(
            "已撤下:其服务标准继续有效,不再用它评估。LoadPlugin 可重新加载;若不移走其目录,重新启动后会再次加载",
            "taken away: its standards stay in force and nobody is assessed by it; LoadPlugin loads it again, and so \
             does a restart unless its folder is removed",
        );
        (PluginState::Drained, text)
    } else {
        let text = Label::new(
            "曾经加载,现未找到:其服务标准继续有效,不再用它评估。请放回插件目录,再用 LoadPlugin 加载或重新启动",
            "it was loaded before and is not found: its standards stay in force and nobody is assessed by it; put it \
             back into a configured folder, then load it with LoadPlugin or restart",
        );
        (PluginState::Missing, text)
    };
    let id = manifest.id.as_str().to_owned();
    KnownPlugin {
        id,
        state,
        problem: Some(problem),
        loaded: None,
        declared: Some(manifest.clone()),
        manual: 0,
        cause: None,
    }
}

fn loaded(plugin: &Arc<Plugin>) -> KnownPlugin {
    let figures = plugin.figures();
    let last = figures.last_error.clone().unwrap_or_default();
    let (state, problem) = match figures.health {
        Health::Ready => (PluginState::Ready, None),
        Health::Resting { retry_in } => {
            let seconds = retry_in.as_secs().saturating_add(1);
            let zh = format!("多次出错,{seconds} 秒后重试;原评估继续有效。最近的错误:{last}");
            let en = format!(
                "it failed too often and is tried again in {seconds} s; earlier assessments stay in force; last error: {last}"
            );
            (PluginState::Failing, Some(Label::new(zh, en)))
        }
        Health::Stopped => {
            let zh = format!(
                "多次调用未返回,已停用;原评估继续有效。请更换插件后用 LoadPlugin 加载。最近的错误:{last}"
            );
            let en = format!(
                "calls never returned and it was given up; earlier assessments stay in force; replace it and load it with LoadPlugin; last error: {last}"
            );
            (PluginState::Failing, Some(Label::new(zh, en)))
        }
    };
    let id = plugin.stamp().id.as_str().to_owned();
    KnownPlugin {
        id,
        state,
        problem: problem.map(shortened),
        loaded: Some((Arc::clone(plugin), figures)),
        declared: None,
        manual: 0,
        cause: None,
    }
}

fn refused(failure: &LoadFailure, taken: impl Fn(&str) -> bool) -> KnownPlugin {
    let id = failure.plugin.clone().filter(|id| !taken(id)).unwrap_or_else(|| {
        let base = name_of(&failure.path);
        // Two files of one name in different folders are two entries.
        let mut names = std::iter::once(base.clone()).chain((2..).map(|n: u32| format!("{base}-{n}")));
        names.find(|name| !taken(name)).unwrap_or(base)
    });
    let problem = Some(problem_of(failure));
    KnownPlugin {
        id,
        state: PluginState::Refused,
        problem,
        loaded: None,
        declared: None,
        manual: 0,
        cause: Some(failure.cause),
    }
}

/// Why a plugin could not be loaded, and what to do.
fn problem_of(failure: &LoadFailure) -> Label {
    let zh = format!("{}({})", cause_zh(failure.cause), failure.reason);
    shortened(Label::new(zh, format!("{}; {}", failure.reason, failure.help)))
}

/// A name of a plugin's shape for a file whose plugin is not known: the library's name, or that of its folder.
fn name_of(path: &Path) -> String {
    let is_manifest = path.extension().is_some_and(|extension| extension == "toml");
    let part = if is_manifest { path.parent().and_then(Path::file_name) } else { path.file_stem() };
    let text = part.map(|part| part.to_string_lossy().to_lowercase()).unwrap_or_default();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let text: String = text.chars().map(|c| if fits(c) { c } else { '-' }).take(50).collect();
    if text.starts_with(|c: char| c.is_ascii_lowercase()) { text } else { format!("file-{text}") }
}

fn cause_zh(cause: LoadCause) -> &'static str {
    match cause {
        LoadCause::Missing => "缺少插件目录、清单或库文件,请补齐后重新启动",
        LoadCause::Unreadable => "文件无法读取,请检查权限",
        LoadCause::Manifest => "插件清单有误,请更正所列各处",
        LoadCause::Damaged => "库文件已损坏或不完整,请重新安装",
        LoadCause::WrongArchitecture => "库文件不适用于本机架构,请安装对应版本",
        LoadCause::Linker => "系统链接器拒绝加载,请检查其依赖库",
        LoadCause::NotAPlugin => "不是邻里插件",
        LoadCause::WrongAbi => "插件接口版本不符,请安装与服务器相配的版本",
        LoadCause::ManifestMismatch => "清单与库文件不是同一次构建,请一并重新安装",
        LoadCause::Duplicate => "编号、群体、标准或字段与已加载的插件重复,请移除其一",
        LoadCause::NoRunner => "插件须在独立进程中运行,但无法启动 linli-runner,请将其与服务程序安装在一起",
        LoadCause::Ended => "插件在加载时异常退出或无响应,请更换插件",
        LoadCause::Unsafe => "文件可能被他人改动或为符号链接,请改正属主与权限",
        LoadCause::Lock => "锁定文件有误,请重新签名",
        LoadCause::Unsigned => "插件没有签名,请用受信任的密钥签名",
        LoadCause::Modified => "文件与签名时不同,请重新获取整个插件目录",
        LoadCause::TrustStore => "信任清单无法使用,请更正该文件及其属主与权限",
        LoadCause::UnknownKey => "签名密钥不在信任清单中,请向供应方核实公钥后加入",
        LoadCause::ExpiredKey => "签名密钥今日不在有效期内,请用现行密钥重新签名",
        LoadCause::Revoked => "该文件已被吊销,请安装其他版本",
        LoadCause::NotGranted => "签名密钥未获准签署此插件或其接口,请在信任清单中授权或移除插件",
    }
}

/// At most 500 characters, the limit of localized texts.
fn shortened(label: Label) -> Label {
    let cut = |text: String| {
        if text.chars().count() <= 500 { text } else { text.chars().take(499).chain(['…']).collect() }
    };
    Label { zh: cut(label.zh), en: cut(label.en) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_a_known_plugin_get_a_name_that_can_be_asked_for() {
        let check = |path: &str, expect: &str| {
            assert_eq!(name_of(Path::new(path)), expect, "{path}");
            assert!(PluginId::new(expect).is_ok(), "{expect}");
        };
        check("/opt/plugins/elderly/plugin.toml", "elderly");
        check("/opt/plugins/Old People/plugin.toml", "old-people");
        check("/opt/plugins/elderly/libelderly.so", "libelderly");
        check("/opt/plugins/老人", "file---");
        check("/", "file-");
    }

    #[test]
    fn refused_and_missing_plugins_are_listed_once_each() {
        let failure = |path: &str, plugin: Option<&str>| LoadFailure {
            path: path.into(),
            plugin: plugin.map(str::to_owned),
            cause: LoadCause::Damaged,
            reason: "cut off".into(),
            help: "install it again".into(),
        };
        let mut ids: Vec<String> = Vec::new();
        for failure in [
            failure("/a/x/plugin.toml", None),
            failure("/b/x/plugin.toml", None),
            failure("/a/y/liby.so", Some("cn.y")),
            failure("/b/y/liby.so", Some("cn.y")),
        ] {
            let entry = refused(&failure, |id| ids.iter().any(|known| known == id));
            assert_eq!(entry.state, PluginState::Refused);
            let problem = entry.problem.unwrap();
            assert!(problem.en == "cut off; install it again" && problem.zh.contains("cut off"));
            ids.push(entry.id);
        }
        assert_eq!(ids, ["x", "x-2", "cn.y", "liby"]);
        let missing = known(
            &Deployed::new(Registry::default(), Vec::new(), Vec::new()),
            &["cn.linli.elderly".to_owned()],
        );
        let states: Vec<_> = missing.iter().map(|plugin| (plugin.id.as_str(), plugin.state)).collect();
        assert_eq!(states, [("cn.linli.elderly", PluginState::Missing)]);
    }
}
