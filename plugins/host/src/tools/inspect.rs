//! `inspect`: what a plugin is and may say, read from its files. Nothing of it runs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use linli_core::group::Citation;
use linli_core::text::{Label, Language};
use linli_plugin_abi as abi;

use super::place::Place;
use crate::elf;
use crate::exchange::OperationKind;
use crate::library::digest_of;
use crate::manifest::{
    ANY_HOST, ConnectorManifest, Field, HttpUse, Isolation, Manifest, RosterField, SettingValue,
};

/// Describes a plugin's files in a language of the reader.
///
/// # Errors
/// What cannot be read, or everything that is wrong with the manifest.
pub fn inspect(place: &Place, language: Language) -> Result<String, String> {
    let mut text = String::new();
    if let Some(path) = &place.manifest {
        let toml = fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        let manifest = Manifest::parse(&toml).map_err(|errors| format!("`{}`: {errors}", path.display()))?;
        declared(&mut text, &manifest, language);
    }
    let heading = |zh: &'static str, en: &'static str| match language {
        Language::Zh => zh,
        Language::En => en,
    };
    let _ = writeln!(text, "{}", heading("文件", "files"));
    if let Some(path) = &place.manifest {
        let _ = writeln!(text, "  {}", digest(path)?);
    } else {
        let _ =
            writeln!(text, "  {}", heading("库旁没有 plugin.toml", "no plugin.toml lies beside the library"));
    }
    let _ = writeln!(text, "  {}", digest(&place.library)?);
    let library =
        fs::read(&place.library).map_err(|error| format!("`{}`: {error}", place.library.display()))?;
    match elf::check(&library) {
        Err(refusal) => {
            let _ = writeln!(text, "    {}; {}", refusal.reason, refusal.help);
        }
        Ok(()) => {
            let symbols = elf::symbols(&library);
            let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
            let _ = writeln!(text, "    {} {target}", heading("平台", "for"));
            let entry = symbols.exported.iter().any(|name| name == abi::ENTRY_SYMBOL);
            let entry = match entry {
                true => symbols.exported.join(", "),
                false => format!("{}: {}", heading("没有入口", "no entry"), symbols.exported.join(", ")),
            };
            let _ = writeln!(text, "    {} {entry}", heading("导出", "exports"));
            let _ = writeln!(text, "    {} {}", heading("依赖", "needs"), symbols.needed.join(", "));
        }
    }
    Ok(text)
}

/// What the manifest declares, in the order in which a reader asks.
fn declared(text: &mut String, manifest: &Manifest, language: Language) {
    let heading = |text: &mut String, zh: &str, en: &str, count: usize| {
        let word = match language {
            Language::Zh => zh,
            Language::En => en,
        };
        let _ = writeln!(text, "{word} ({count})");
    };
    let say = |label: &Label| label.get(language).to_owned();
    let name = say(&manifest.name);
    let _ = writeln!(text, "{} {}  {name}", manifest.id, manifest.version);
    let (major, minor) = manifest.abi;
    let isolation = match manifest.isolation {
        Isolation::InProcess => "in_process",
        Isolation::Child => "child",
    };
    let interfaces: Vec<&str> = manifest.interfaces.iter().map(|interface| interface.id()).collect();
    let (vendor, licence, interfaces) = (&manifest.vendor, &manifest.licence, interfaces.join(", "));
    let _ = writeln!(text, "  {vendor} · {licence} · ABI {major}.{minor} · {interfaces} · {isolation}");
    if let Some(connector) = &manifest.connector {
        return connects(text, connector, language);
    }
    heading(text, "群体", "groups", manifest.groups.len());
    for group in &manifest.groups {
        let (title, who) = (say(&group.title), say(&group.eligibility));
        let cited = cited(Some(&group.citation), language);
        let _ = writeln!(text, "  {:<28} {title}: {who}{cited}", group.code.as_str());
    }
    heading(text, "读取的信息", "reads, and nothing else", manifest.fields.len());
    for field in &manifest.fields {
        let _ =
            writeln!(text, "  {:<28} {}: {}", field.code.as_str(), say(&field.title), kind(field, language));
    }
    heading(text, "项目可设", "a site may set", manifest.parameters.len());
    for parameter in &manifest.parameters {
        let cited = cited(parameter.citation.as_ref(), language);
        let (title, default) = (say(&parameter.title), &parameter.default);
        let _ = writeln!(text, "  {:<28} {title} = {}{cited}", parameter.code.as_str(), value(default));
    }
    heading(text, "可给出的理由", "reasons that it may give", manifest.reasons.len());
    for reason in &manifest.reasons {
        let cited = cited(reason.citation.as_ref(), language);
        let _ = writeln!(text, "  {:<28} {}{cited}", reason.code.as_str(), say(&reason.text));
    }
    heading(text, "可给出的标签", "tags that it may give", manifest.tags.len());
    for tag in &manifest.tags {
        let _ = writeln!(text, "  {:<28} {}", tag.code.as_str(), say(&tag.title));
    }
    heading(text, "可给出的注意事项", "cautions that it may give", manifest.cautions.len());
    for caution in &manifest.cautions {
        let _ = writeln!(text, "  {:<28} {}", caution.code.as_str(), say(&caution.text));
    }
    heading(text, "服务标准", "standards", manifest.standards.len());
    for standard in &manifest.standards {
        let cited = cited(Some(&standard.citation), language);
        let _ = writeln!(text, "  {:<28} {}{cited}", standard.code.as_str(), say(&standard.title));
    }
}

/// What a connector does, whom for, and what it may send where.
fn connects(text: &mut String, connector: &ConnectorManifest, language: Language) {
    let word = |zh: &'static str, en: &'static str| match language {
        Language::Zh => zh,
        Language::En => en,
    };
    let line = |text: &mut String, code: &str, said: &str| {
        let _ = writeln!(text, "  {code:<28} {said}");
    };
    let heading = |text: &mut String, zh, en, count: usize| {
        let _ = writeln!(text, "{} ({count})", word(zh, en));
    };
    heading(text, "操作", "operations", connector.operations.len());
    for operation in &connector.operations {
        let said = match operation {
            OperationKind::Deliver => word("转交事项", "hands a matter over"),
            OperationKind::Poll => word("查询转介结果", "asks what became of referrals"),
            OperationKind::PullRoster => word("获取对方名单", "fetches the body's list of people"),
            OperationKind::Probe => word("测试连通", "sees whether the body can be reached"),
        };
        line(text, operation.word(), said);
    }
    heading(text, "对接对象", "made for", connector.recipients.len());
    for body in &connector.recipients {
        line(text, body.code(), word(body.zh(), body.en()));
    }
    if connector.recipients.is_empty() {
        line(text, "*", word("任何机构", "any kind of body"));
    }
    heading(text, "可披露", "may disclose", connector.fields.len());
    for field in &connector.fields {
        let class = field.class();
        let said = format!("{} ({})", word(field.zh(), field.en()), word(class.zh(), class.en()));
        line(text, field.code(), &said);
    }
    heading(text, "名单可含", "a list may hold", connector.roster.len());
    for field in &connector.roster {
        let said = match field {
            RosterField::File(field) => word(field.zh(), field.en()),
            RosterField::Group => word("关怀群体", "care group"),
            RosterField::Certificate => word("证件号码", "number of a certificate"),
            RosterField::ValidUntil => word("证件有效期至", "last day of the certificate"),
        };
        line(text, field.code(), said);
    }
    let ways = [connector.http.is_some(), connector.mail, connector.files];
    heading(text, "途径", "by way of", ways.iter().filter(|used| **used).count());
    if let Some(HttpUse { methods, hosts }) = &connector.http {
        let methods: Vec<&str> = methods.iter().map(|method| method.word()).collect();
        let of_channel = word("通道配置的主机", "hosts of the channel's settings");
        let hosts: Vec<&str> =
            hosts.iter().map(|host| if host == ANY_HOST { of_channel } else { host }).collect();
        line(text, "https", &format!("`{}` → {}", methods.join("` `"), hosts.join(", ")));
    }
    if connector.mail {
        line(text, "mail", word("经运营方的邮件中继", "by the operator's relay"));
    }
    if connector.files {
        line(text, "files", word("对接文件夹", "the body's exchange folder"));
    }
    heading(text, "通道设置", "settings of a channel", connector.settings.len());
    for setting in &connector.settings {
        let mut said = format!("{}: {}", setting.title.get(language), setting.kind.word());
        if let Some((low, high)) = setting.range {
            let _ = write!(said, " {low}–{high}");
        }
        match &setting.default {
            Some(SettingValue::Text(default)) => said.push_str(&format!(" = {default}")),
            Some(SettingValue::Integer(default)) => said.push_str(&format!(" = {default}")),
            Some(SettingValue::Flag(default)) => said.push_str(&format!(" = {default}")),
            None if setting.required => said.push_str(word("，必填", ", required")),
            None => {}
        }
        if let Some(help) = &setting.help {
            said.push_str(&match language {
                Language::Zh => format!("（{}）", help.zh),
                Language::En => format!(" ({})", help.en),
            });
        }
        line(text, &setting.code, &said);
    }
}

fn kind(field: &Field, language: Language) -> String {
    let mut kind = field.kind.word().to_owned();
    if !field.values.is_empty() {
        let values: Vec<&str> = field.values.iter().map(|value| value.code.as_str()).collect();
        let _ = write!(kind, " {}", values.join(" | "));
    }
    if let Some((low, high)) = field.range {
        let _ = write!(kind, " {low}–{high}");
    }
    let _ = write!(kind, ", {}", field.class.code());
    if field.sensitive {
        kind.push_str(match language {
            Language::Zh => "，敏感个人信息",
            Language::En => ", sensitive personal information",
        });
    }
    kind
}

fn value(value: &linli_core::resident::FactValue) -> String {
    use linli_core::resident::FactValue;
    match value {
        FactValue::Bool(yes) => yes.to_string(),
        FactValue::Integer(number) => number.to_string(),
        FactValue::Date(date) => date.to_string(),
        FactValue::Code(text) | FactValue::Text(text) => text.clone(),
    }
}

fn cited(citation: Option<&Citation>, language: Language) -> String {
    let Some(citation) = citation else { return String::new() };
    let instrument = citation.instrument.get(language);
    let place = if citation.locator.is_empty() { String::new() } else { format!(" {}", citation.locator) };
    format!(" [{instrument}{place}, {}]", citation.confidence.code())
}

fn digest(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    Ok(format!("{}  {} B  sha256 {}", path.display(), bytes.len(), digest_of(&bytes)))
}
