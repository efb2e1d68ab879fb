//! The channels file: by which ways bodies are reached. What a user of the API can never name stands here: addresses, folders,
//! relays and secrets.
//!
//! ```toml
//! format = 1
//!
//! [channel.health-centre]                  # lower-case letters, digits and hyphens; bodies name it
//! connector = "cn.linli.webhook"           # id of the connector plugin
//! settings = { url = "https://health.example.cn/linli" }
//! poll_minutes = 15                        # how often it is asked what became of referrals; 0: never
//! run_s = 60                               # how long one delivery may take
//! hosts = ["health.example.cn"]            # hosts it may send to, with a port where that is not 443
//! private_addresses = false                # whether they may lie in a private network, or on this machine
//! ca_file = ""                             # who signs their certificates, PEM; empty: whom the machine trusts
//! bearer_file = ""                         # a token that is sent along, mode 0600
//! signing_secret_file = ""                 # the secret that requests are signed with, mode 0600
//!
//! [channel.health-centre.mail]             # for connectors that send mail
//! relay = "smtp.example.cn:465"
//! tls = "implicit"                         # or "starttls"
//! ca_file = ""
//! user = "linli"
//! password_file = "smtp.password"          # mode 0600
//! sender = "邻里 <care@example.cn>"
//! domains = ["example.cn"]                 # domains that mail may go to
//!
//! [channel.health-centre.folder]           # for connectors that exchange files
//! outgoing = "exchange/out"
//! incoming = "exchange/in"                 # read files go to `archive` and `quarantine` in it
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use linli_core::id::{ChannelName, PluginId};
use secrecy::SecretString;
use serde::Deserialize;

use super::folder::Folder;
use super::http::Web;
use super::mail::Post;
use super::{Channel, Channels};
use crate::config::SecretRef;

/// Largest channels file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Channels at most: a company's bodies, many times over.
const CHANNELS_MAX: usize = 10_000;
/// Longest settings of a channel, in bytes of JSON, as the connector interface takes them.
const SETTINGS_BYTES_MAX: usize = 65_536;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    #[serde(default)]
    channel: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    connector: String,
    #[serde(default)]
    settings: toml::Table,
    #[serde(default = "poll_minutes")]
    poll_minutes: u32,
    #[serde(default = "run_s")]
    run_s: u32,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    private_addresses: bool,
    #[serde(default)]
    ca_file: String,
    #[serde(default)]
    bearer_file: String,
    #[serde(default)]
    signing_secret_file: String,
    mail: Option<Mail>,
    folder: Option<Folders>,
}

fn poll_minutes() -> u32 {
    15
}

fn run_s() -> u32 {
    60
}

/// The mail of a channel.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mail {
    pub(super) relay: String,
    #[serde(default)]
    pub(super) tls: MailTls,
    #[serde(default)]
    pub(super) ca_file: String,
    #[serde(default)]
    pub(super) user: String,
    #[serde(default)]
    pub(super) password_file: String,
    pub(super) sender: String,
    pub(super) domains: Vec<String>,
}

/// How the relay is reached. Never in the clear.
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
pub(super) enum MailTls {
    /// TLS from the first byte.
    #[default]
    Implicit,
    /// TLS before anything else is said.
    Starttls,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Folders {
    outgoing: PathBuf,
    incoming: PathBuf,
}

/// Reads a channels file. Paths in it are relative to its own folder.
///
/// # Errors
/// Everything that is wrong with it, one a line.
pub(super) fn read(path: &Path) -> Result<Channels, Vec<String>> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|err| vec![format!("`{shown}`: {err}")])?.len();
    if size > FILE_BYTES_MAX {
        return Err(vec![format!("`{shown}` has {size} bytes; {FILE_BYTES_MAX} are allowed")]);
    }
    let text = std::fs::read_to_string(path).map_err(|err| vec![format!("`{shown}`: {err}")])?;
    let file: File = toml::from_str(&text).map_err(|err| {
        let line = 1 + err
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(0, |before| before.matches('\n').count());
        vec![format!("{shown}:{line}: {}", err.message())]
    })?;
    if file.format != 1 {
        return Err(vec![format!(
            "{shown}: format {} is not known; this program reads format 1",
            file.format
        )]);
    }
    if file.channel.len() > CHANNELS_MAX {
        return Err(vec![format!("{shown}: {} channels; {CHANNELS_MAX} are allowed", file.channel.len())]);
    }
    let beside = path.parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    let mut channels = BTreeMap::new();
    for (name, entry) in file.channel {
        match channel(&name, entry, beside) {
            Ok(channel) => {
                channels.insert(name, Arc::new(channel));
            }
            Err(wrong) => {
                problems.extend(wrong.into_iter().map(|what| format!("{shown}: channel `{name}`: {what}")));
            }
        }
    }
    if problems.is_empty() { Ok(Channels { channels }) } else { Err(problems) }
}

fn channel(name: &str, entry: Entry, beside: &Path) -> Result<Channel, Vec<String>> {
    let mut problems = Vec::new();
    if ChannelName::new(name).is_err() {
        problems.push(
            "its name may have 1 to 63 lower-case letters, digits and, between them, hyphens".to_owned(),
        );
    }
    let connector = PluginId::new(&entry.connector)
        .map_err(|why| problems.push(format!("`connector`: `{}` {why}", entry.connector)))
        .ok();
    let settings = serde_json::to_string(&entry.settings).unwrap_or_default();
    if settings.len() > SETTINGS_BYTES_MAX {
        problems.push(format!(
            "`settings` has {} bytes as JSON; {SETTINGS_BYTES_MAX} are allowed",
            settings.len()
        ));
    }
    if !(5..=600).contains(&entry.run_s) {
        problems.push("`run_s` must be from 5 to 600".to_owned());
    }
    if entry.poll_minutes > 24 * 60 {
        problems.push("`poll_minutes` must be from 0 to 1440".to_owned());
    }
    let ca = optional(beside, &entry.ca_file);
    let bearer = secret(beside, &entry.bearer_file, "bearer_file", &mut problems);
    let signing = secret(beside, &entry.signing_secret_file, "signing_secret_file", &mut problems);
    let web = Web::new(&entry.hosts, entry.private_addresses, ca.as_deref(), bearer, signing);
    let web = web.map_err(|wrong| problems.extend(wrong)).ok();
    let post = entry.mail.map(|mail| {
        let password = secret(beside, &mail.password_file, "mail.password_file", &mut problems);
        let ca = optional(beside, &mail.ca_file);
        Post::new(&mail, ca.as_deref(), password).map_err(|wrong| problems.extend(wrong)).ok()
    });
    let folder = entry.folder.map(|folders| {
        let folder = Folder::new(beside.join(folders.outgoing), beside.join(folders.incoming));
        folder.map_err(|wrong| problems.extend(wrong)).ok()
    });
    match (connector, web, post, folder) {
        (Some(connector), Some(web), post, folder) if problems.is_empty() => Ok(Channel {
            name: name.to_owned(),
            connector,
            settings,
            poll_every: Some(Duration::from_secs(u64::from(entry.poll_minutes) * 60))
                .filter(|every| !every.is_zero()),
            run_limit: Duration::from_secs(u64::from(entry.run_s)),
            web,
            post: post.flatten(),
            folder: folder.flatten(),
        }),
        _ => Err(problems),
    }
}

fn optional(beside: &Path, file: &str) -> Option<PathBuf> {
    (!file.is_empty()).then(|| beside.join(file))
}

fn secret(beside: &Path, file: &str, key: &str, problems: &mut Vec<String>) -> Option<SecretString> {
    let path = optional(beside, file)?;
    SecretRef::File(path).read().map_err(|why| problems.push(format!("`{key}`: {why}"))).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A folder that is removed with it.
    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("linli-channel-{}-{number}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn file(text: &str) -> (Scratch, PathBuf) {
        let folder = Scratch::new();
        let path = folder.path().join("channels.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_channel_is_read_with_its_secrets() {
        let (folder, path) = file(
            "format = 1\n[channel.health]\nconnector = \"cn.linli.webhook\"\nhosts = [\"health.example\"]\n\
             settings = { url = \"https://health.example/linli\" }\nsigning_secret_file = \"secret\"\n",
        );
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "s3cret-value\n").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        let channels = read(&path).unwrap();
        let channel = channels.find("health").unwrap();
        assert_eq!(channel.connector.as_str(), "cn.linli.webhook");
        assert_eq!(channel.settings, r#"{"url":"https://health.example/linli"}"#);
        assert_eq!(channel.poll_every, Some(Duration::from_secs(900)));
        assert!(!format!("{channel:?}").contains("s3cret-value"));
        assert!(channels.find("committee").is_none());
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let (_folder, path) = file(
            "format = 1\n[channel.Health]\nconnector = \"web hook\"\nrun_s = 1\nbearer_file = \"nowhere\"\n\
             hosts = [\"https://health.example\"]\n",
        );
        let problems = read(&path).unwrap_err().join("\n");
        for part in
            ["its name may have", "`connector`", "`run_s`", "`bearer_file`", "`https://health.example`"]
        {
            assert!(problems.contains(part), "{part} is not in\n{problems}");
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let (_folder, path) =
            file("format = 1\n[channel.health]\nconnector = \"cn.linli.webhook\"\nhost = []\n");
        let problems = read(&path).unwrap_err().join("\n");
        assert!(problems.contains("channels.toml:4") && problems.contains("`host`"), "{problems}");
    }
}
