//! `PluginService`.

use linli_core::invalid::Invalid;
use linli_plugin_host::manifest::{CodeValue, ConnectorManifest, Field, FieldType, Isolation, Parameter};
use linli_plugin_host::trust::TrustState;
use linli_plugin_host::{Confinement, Figures, LoadCause, Mode};
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::Check;
use super::convert::{Listed, Shows, ToWire, label};
use super::page::Binding;
use super::request::{next, one, wanted};
use crate::app::plugin::{
    Codes, KnownPlugin, Load, PluginState, Preview, ResidentDifference, SiteDifference,
};
use crate::name;

/// Most codes that a load may accept.
const ACCEPT_MAX: usize = 500;

type Answer<M> = std::result::Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::plugin_service_server::PluginService for Face {
    async fn get_plugin(&self, request: Request<v1::GetPluginRequest>) -> Answer<v1::Plugin> {
        self.read(request, |app, call, message| async move {
            let id = one("name", name::parse_plugin(&message.name))?;
            app.plugin(&call, &id).await.map(|plugin| plugin.to_wire())
        })
        .await
    }

    async fn list_plugins(
        &self,
        request: Request<v1::ListPluginsRequest>,
    ) -> Answer<v1::ListPluginsResponse> {
        self.read(request, |app, call, message| async move {
            let binding = Binding::new(&call, &[]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.plugins(&call, wanted).await?;
            Ok(v1::ListPluginsResponse {
                plugins: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn preview_plugin(
        &self,
        request: Request<v1::PreviewPluginRequest>,
    ) -> Answer<v1::PreviewPluginResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let id = check.take("name", name::parse_plugin(&message.name));
            let sites = check.take("parent", parent(&message.parent));
            let (id, sites) = check.finish(id.zip(sites))?;
            app.preview_plugin(&call, &id, &sites).await.map(|preview| preview.to_wire())
        })
        .await
    }

    async fn list_plugin_differences(
        &self,
        request: Request<v1::ListPluginDifferencesRequest>,
    ) -> Answer<v1::ListPluginDifferencesResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let id = check.take("name", name::parse_plugin(&message.name));
            let digest = check.take("digest", digest(&message.digest));
            let sites = check.take("parent", parent(&message.parent));
            let ((id, digest), sites) = check.finish(id.zip(digest).zip(sites))?;
            let query = [message.name.as_bytes(), digest.as_bytes(), message.parent.as_bytes()];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.plugin_differences(&call, (&id, &digest), &sites, wanted).await?;
            Ok(v1::ListPluginDifferencesResponse {
                differences: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn load_plugin(&self, request: Request<v1::LoadPluginRequest>) -> Answer<v1::Plugin> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let id = check.take("name", name::parse_plugin(&message.name));
            let digest = check.take("digest", digest(&message.digest));
            if message.accept.len() > ACCEPT_MAX {
                check.refuse("accept", Invalid::TooMany { max: ACCEPT_MAX });
            }
            let (plugin, digest) = check.finish(id.zip(digest))?;
            let load = Load { plugin, digest, accept: message.accept.into_iter().collect() };
            app.load_plugin(&call, repeat, load).await
        })
        .await
    }

    async fn drain_plugin(&self, request: Request<v1::DrainPluginRequest>) -> Answer<v1::Plugin> {
        self.write(request, |app, call, repeat, message| async move {
            let id = one("name", name::parse_plugin(&message.name))?;
            app.drain_plugin(&call, repeat, &id).await
        })
        .await
    }
}

/// The sites of a comparison; all of them where none is named.
fn parent(text: &str) -> std::result::Result<name::Sites, Invalid> {
    if text.is_empty() { Ok(name::Sites::All) } else { name::parse_sites(text) }
}

/// A digest: 64 hexadecimal digits.
fn digest(text: &str) -> std::result::Result<String, Invalid> {
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text {
        "" => Err(Invalid::Missing),
        _ if is_digest => Ok(text.to_lowercase()),
        _ => Err(Invalid::Code),
    }
}

impl Shows<Preview> for v1::PreviewPluginResponse {
    fn shows(preview: &Preview) -> Self {
        Self {
            loaded: preview.loaded.as_ref().map(ToWire::to_wire),
            candidate: Some(preview.candidate.to_wire()),
            groups: Some(preview.groups.to_wire()),
            standards: Some(preview.standards.to_wire()),
            fields: Some(preview.fields.to_wire()),
            parameters: Some(preview.parameters.to_wire()),
            to_accept: preview.to_accept.clone(),
            sites: preview.sites.iter().map(ToWire::to_wire).collect(),
        }
    }
}

impl Shows<Codes> for v1::PluginCodes {
    fn shows(codes: &Codes) -> Self {
        Self { added: codes.added.clone(), dropped: codes.dropped.clone(), changed: codes.changed.clone() }
    }
}

impl Shows<SiteDifference> for v1::PluginSiteDifference {
    fn shows(count: &SiteDifference) -> Self {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            site: name::site(&count.site),
            files: number(count.files),
            differing: number(count.differing),
            gain_groups: number(count.gain_groups),
            lose_groups: number(count.lose_groups),
            tier_rises: number(count.tier_rises),
            tier_falls: number(count.tier_falls),
            gain_standards: number(count.gain_standards),
            lose_standards: number(count.lose_standards),
            unanswered: number(count.unanswered),
        }
    }
}

impl Shows<ResidentDifference> for v1::PluginDifference {
    fn shows(found: &ResidentDifference) -> Self {
        let ResidentDifference { site, resident, before, after } = found;
        Self {
            resident: name::resident(site, resident),
            gained_groups: after.groups.difference(&before.groups).map(name::care_group).collect(),
            lost_groups: before.groups.difference(&after.groups).map(name::care_group).collect(),
            tier_before: before.tier.number(),
            tier_after: after.tier.number(),
            gained_tags: after.tags.difference(&before.tags).map(|tag| tag.as_str().to_owned()).collect(),
            lost_tags: before.tags.difference(&after.tags).map(|tag| tag.as_str().to_owned()).collect(),
            gained_standards: after.standards.difference(&before.standards).map(name::standard).collect(),
            lost_standards: before.standards.difference(&after.standards).map(name::standard).collect(),
        }
    }
}

impl Shows<KnownPlugin> for v1::Plugin {
    fn shows(known: &KnownPlugin) -> Self {
        let mut message = Self {
            name: format!("plugins/{}", known.id),
            state: state(known.state).into(),
            problem: known.problem.as_ref().and_then(label),
            manual_assessments: i64::try_from(known.manual).unwrap_or(i64::MAX),
            ..Self::default()
        };
        if let Some((plugin, figures)) = &known.loaded {
            let stamp = plugin.stamp();
            let (major, minor) = plugin.abi();
            message.stamp = Some(stamp.to_wire());
            message.abi_version = format!("{major}.{minor}");
            message.mode = mode(plugin.mode()).into();
            message.figures = Some(figures.to_wire());
            message.trust = Some(plugin.trust().to_wire());
            message.isolation = isolation(plugin.manifest().isolation).into();
            message.confinement = plugin.confinement().as_ref().map(ToWire::to_wire);
        }
        let loaded = known.loaded.as_ref().map(|(plugin, _)| plugin.manifest());
        if let Some(manifest) = loaded.or(known.declared.as_ref()) {
            message.title = label(&manifest.name);
            message.vendor = manifest.vendor.clone();
            message.licence = manifest.licence.clone();
            message.interfaces =
                manifest.interfaces.iter().map(|interface| interface.id().to_owned()).collect();
            message.groups = manifest.groups.iter().map(|group| group.code.as_str().to_owned()).collect();
            message.standards =
                manifest.standards.iter().map(|standard| standard.code.as_str().to_owned()).collect();
            let ends_at_once = |item: &Field| manifest.ends_at_once.contains(&item.code);
            message.fields = manifest.fields.iter().map(|item| field(item, ends_at_once(item))).collect();
            message.parameters = manifest.parameters.iter().map(parameter).collect();
            message.connector = manifest.connector.as_ref().map(ToWire::to_wire);
        }
        if let Some(state) = known.cause.and_then(trust_of_refused) {
            message.trust = Some(v1::PluginTrust { state: state.into(), ..Default::default() });
        }
        message
    }
}

impl Shows<ConnectorManifest> for v1::PluginConnector {
    fn shows(connector: &ConnectorManifest) -> Self {
        let (methods, hosts) = connector.http.as_ref().map_or_else(Default::default, |http| {
            let methods = http.methods.iter().map(|method| method.word().to_owned()).collect();
            (methods, http.hosts.clone())
        });
        Self {
            operations: connector.operations.iter().map(|operation| operation.word().to_owned()).collect(),
            recipients: connector.recipients.iter().map(|body| body.code().to_owned()).collect(),
            fields: connector.fields.iter().map(|field| field.code().to_owned()).collect(),
            roster_fields: connector.roster.iter().map(|field| field.code().to_owned()).collect(),
            http_methods: methods,
            http_hosts: hosts,
            sends_mail: connector.mail,
            uses_files: connector.files,
        }
    }
}

impl Shows<TrustState> for v1::PluginTrust {
    fn shows(trust: &TrustState) -> Self {
        use v1::PluginTrustState as State;
        let (state, signed) = match trust {
            TrustState::Signed { key, owner } => (State::Signed, Some((key, owner.as_str()))),
            TrustState::Development => (State::Development, None),
            TrustState::Unsigned => (State::Unsigned, None),
            TrustState::Modified { .. } => (State::Modified, None),
            TrustState::UnknownKey { key } => (State::UnknownKey, Some((key, ""))),
            TrustState::ExpiredKey { key, owner } => (State::ExpiredKey, Some((key, owner.as_str()))),
            TrustState::Revoked { .. } => (State::Revoked, None),
            TrustState::NotGranted { key, owner, .. } => (State::NotGranted, Some((key, owner.as_str()))),
        };
        let (key, owner) =
            signed.map_or_else(Default::default, |(key, owner)| (key.to_string(), owner.to_owned()));
        Self { state: state.into(), key, owner }
    }
}

/// What a refusal says of where the files come from; nothing where it was refused for another reason.
fn trust_of_refused(cause: LoadCause) -> Option<v1::PluginTrustState> {
    use v1::PluginTrustState as State;
    match cause {
        LoadCause::Unsigned => Some(State::Unsigned),
        LoadCause::Modified => Some(State::Modified),
        LoadCause::UnknownKey => Some(State::UnknownKey),
        LoadCause::ExpiredKey => Some(State::ExpiredKey),
        LoadCause::Revoked => Some(State::Revoked),
        LoadCause::NotGranted => Some(State::NotGranted),
        LoadCause::Missing
        | LoadCause::Unreadable
        | LoadCause::Manifest
        | LoadCause::Damaged
        | LoadCause::WrongArchitecture
        | LoadCause::Linker
        | LoadCause::NotAPlugin
        | LoadCause::WrongAbi
        | LoadCause::ManifestMismatch
        | LoadCause::Duplicate
        | LoadCause::TrustStore
        | LoadCause::NoRunner
        | LoadCause::Ended
        | LoadCause::Unsafe
        | LoadCause::Lock => None,
    }
}

impl Shows<Confinement> for v1::PluginConfinement {
    fn shows(confinement: &Confinement) -> Self {
        Self {
            no_new_privs: confinement.no_new_privs,
            landlock_abi: confinement.landlock.and_then(|abi| i32::try_from(abi).ok()).unwrap_or_default(),
            seccomp: confinement.seccomp,
            limits: confinement.limits,
            lacks: confinement.lacks().into_iter().map(str::to_owned).collect(),
        }
    }
}

impl Shows<Figures> for v1::PluginFigures {
    fn shows(figures: &Figures) -> Self {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let mean = figures.busy.as_nanos().checked_div(figures.residents.into()).unwrap_or(0);
        Self {
            calls: number(figures.calls),
            residents: number(figures.residents),
            failures: number(figures.failures),
            mean_nanos_per_resident: i64::try_from(mean).unwrap_or(i64::MAX),
            panics: number(figures.panics),
            hangs: number(figures.hangs),
            last_error: figures.last_error.clone().unwrap_or_default(),
            crashes: number(figures.crashes),
            manual: number(figures.manual),
        }
    }
}

fn state(state: PluginState) -> v1::PluginState {
    match state {
        PluginState::Ready => v1::PluginState::Ready,
        PluginState::Failing => v1::PluginState::Failing,
        PluginState::Refused => v1::PluginState::Refused,
        PluginState::Missing => v1::PluginState::Missing,
        PluginState::Drained => v1::PluginState::Drained,
    }
}

fn isolation(isolation: Isolation) -> v1::PluginMode {
    match isolation {
        Isolation::InProcess => v1::PluginMode::InProcess,
        Isolation::Child => v1::PluginMode::Child,
    }
}

fn mode(mode: Mode) -> v1::PluginMode {
    match mode {
        Mode::InProcess => v1::PluginMode::InProcess,
        Mode::Child => v1::PluginMode::Child,
    }
}

fn value_type(kind: FieldType) -> v1::ValueType {
    match kind {
        FieldType::Bool => v1::ValueType::Flag,
        FieldType::Integer => v1::ValueType::Number,
        FieldType::Date => v1::ValueType::Date,
        FieldType::Code => v1::ValueType::Code,
        FieldType::Text => v1::ValueType::Text,
    }
}

fn field(field: &Field, ends_at_once: bool) -> v1::PluginField {
    v1::PluginField {
        field: field.code.as_str().to_owned(),
        title: label(&field.title),
        r#type: value_type(field.kind).into(),
        options: field.values.iter().map(|value| value.code.clone()).collect(),
        minimum: field.range.map(|(min, _)| min),
        maximum: field.range.map(|(_, max)| max),
        default_value: None,
        ends_at_once,
        option_texts: field.values.iter().map(option).collect(),
    }
}

fn option(value: &CodeValue) -> v1::CodedText {
    v1::CodedText { code: value.code.clone(), text: label(&value.title), plugin: String::new() }
}

fn parameter(parameter: &Parameter) -> v1::PluginField {
    v1::PluginField {
        field: parameter.code.as_str().to_owned(),
        title: label(&parameter.title),
        r#type: value_type(parameter.kind).into(),
        options: parameter.values.iter().map(|value| value.code.clone()).collect(),
        minimum: parameter.range.map(|(min, _)| min),
        maximum: parameter.range.map(|(_, max)| max),
        default_value: Some(parameter.default.to_wire()),
        ends_at_once: false,
        option_texts: parameter.values.iter().map(option).collect(),
    }
}
