//! `PluginService`.

use linli_plugin_host::manifest::{Field, FieldType, Parameter};
use linli_plugin_host::{Figures, Mode};
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::convert::{Shows, ToWire, label};
use super::page::Binding;
use super::request::{next, one, wanted};
use crate::app::plugin::{KnownPlugin, PluginState};
use crate::name;

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
}

impl Shows<KnownPlugin> for v1::Plugin {
    fn shows(known: &KnownPlugin) -> Self {
        let mut message = Self {
            name: format!("plugins/{}", known.id),
            state: state(known.state).into(),
            problem: known.problem.as_ref().and_then(label),
            ..Self::default()
        };
        if let Some((plugin, figures)) = &known.loaded {
            let (manifest, stamp) = (plugin.manifest(), plugin.stamp());
            let (major, minor) = plugin.abi();
            message.title = label(&manifest.name);
            message.stamp = Some(v1::PluginStamp {
                plugin: name::plugin(&stamp.id),
                version: stamp.version.clone(),
                digest: stamp.digest.clone(),
            });
            message.vendor = manifest.vendor.clone();
            message.licence = manifest.licence.clone();
            message.abi_version = format!("{major}.{minor}");
            message.interfaces =
                manifest.interfaces.iter().map(|interface| interface.id().to_owned()).collect();
            message.mode = mode(plugin.mode()).into();
            message.groups = manifest.groups.iter().map(|group| group.code.as_str().to_owned()).collect();
            message.standards =
                manifest.standards.iter().map(|standard| standard.code.as_str().to_owned()).collect();
            let ends_at_once = |item: &Field| manifest.ends_at_once.contains(&item.code);
            message.fields = manifest.fields.iter().map(|item| field(item, ends_at_once(item))).collect();
            message.parameters = manifest.parameters.iter().map(parameter).collect();
            message.figures = Some(figures.to_wire());
        }
        message
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
        }
    }
}

fn state(state: PluginState) -> v1::PluginState {
    match state {
        PluginState::Ready => v1::PluginState::Ready,
        PluginState::Failing => v1::PluginState::Failing,
        PluginState::Refused => v1::PluginState::Refused,
        PluginState::Missing => v1::PluginState::Missing,
    }
}

fn mode(mode: Mode) -> v1::PluginMode {
    match mode {
        Mode::InProcess => v1::PluginMode::InProcess,
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
    }
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
    }
}
