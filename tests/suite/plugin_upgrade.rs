//! Another version of a plugin on a running server: seen first, loaded beside the old one, taken away.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use linli_plugin_host::trust;
use linli_proto::v1;
use tonic::Code;

use crate::built;
use crate::harness::client::Client;
use crate::harness::estate::{elder, flag};
use crate::harness::server::{Child, Data};
use crate::harness::{PATIENCE, invalid, refused};

const PLUGIN: &str = "plugins/cn.linli.elderly";

/// The installed plugin with other words in its manifest, in the folder and inside the library. Both texts of a pair
/// have one length, so that nothing else moves.
#[derive(Clone)]
pub(crate) struct Build {
    manifest: String,
    library: Vec<u8>,
}

impl Build {
    /// As it was built.
    pub(crate) fn bundled(name: &str) -> Self {
        let manifest = std::fs::read_to_string(built::plugin_source(name).join("plugin.toml")).unwrap();
        Self { manifest, library: std::fs::read(built::plugin(name)).unwrap() }
    }

    /// With other words, each of which stands there once.
    #[track_caller]
    pub(crate) fn with(&self, pairs: &[(&str, &str)]) -> Self {
        for (old, _) in pairs {
            assert_eq!(self.manifest.matches(old).count(), 1, "{old}");
        }
        self.with_each(pairs)
    }

    /// With other words wherever they stand.
    #[track_caller]
    pub(crate) fn with_each(&self, pairs: &[(&str, &str)]) -> Self {
        let mut changed = self.clone();
        for (old, new) in pairs {
            assert_eq!((old.len(), self.manifest.contains(old)), (new.len(), true), "{old}");
            changed.manifest = changed.manifest.replace(old, new);
        }
        let (old, new) = (self.manifest.as_bytes(), changed.manifest.as_bytes());
        let at = self.library.windows(old.len()).position(|window| window == old);
        let at = at.expect("the library carries its manifest");
        changed.library[at..at + new.len()].copy_from_slice(new);
        changed
    }

    /// The thresholds and calls of another version.
    #[track_caller]
    pub(crate) fn version(&self, version: &str, years: &str, calls: &str) -> Self {
        self.with(&[
            (
                "cn.linli.elderly\"\nversion = \"0.1.0\"",
                &format!("cn.linli.elderly\"\nversion = \"{version}\""),
            ),
            (
                "code = \"advanced_age_years\"\ntype = \"integer\"\ndefault = 80",
                &format!("code = \"advanced_age_years\"\ntype = \"integer\"\ndefault = {years}"),
            ),
            (
                "recurring = { at_least = 2, per = \"week\", distinct_days = true }",
                &format!("recurring = {{ at_least = {calls}, per = \"week\", distinct_days = true }}"),
            ),
        ])
    }

    /// Puts it where the server looks.
    pub(crate) fn put(&self, data: &Data) {
        self.put_into(&data.plugin());
        data.sign();
    }

    /// Puts it into a folder of its own.
    pub(crate) fn put_into(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("elderly.so"), &self.library).unwrap();
        std::fs::write(folder.join("plugin.toml"), &self.manifest).unwrap();
    }
}

async fn preview(client: &Client) -> v1::PreviewPluginResponse {
    client.ask(v1::PreviewPluginRequest { name: PLUGIN.to_owned(), ..Default::default() }).await.unwrap()
}

fn load(digest: &str, accept: &[&str]) -> v1::LoadPluginRequest {
    v1::LoadPluginRequest {
        name: PLUGIN.to_owned(),
        digest: digest.to_owned(),
        accept: accept.iter().map(|&code| code.to_owned()).collect(),
        ..Default::default()
    }
}

async fn version(client: &Client) -> (v1::PluginState, String) {
    let plugin = client.ask(v1::GetPluginRequest { name: PLUGIN.to_owned() }).await.unwrap();
    (plugin.state(), plugin.stamp.map(|stamp| stamp.version).unwrap_or_default())
}

/// The membership in a group, once it is in this state; its first day.
async fn member(client: &Client, resident: &str, group: &str, state: v1::MembershipState) -> String {
    let begun = Instant::now();
    loop {
        let request = v1::ListMembershipsRequest { parent: resident.to_owned(), ..Default::default() };
        let found = client.ask(request).await.unwrap().memberships;
        let of_group = |m: &&v1::Membership| m.group == format!("careGroups/{group}") && m.state() == state;
        if let Some(membership) = found.iter().find(of_group) {
            return membership.start_date.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "no membership in {group} came to {state:?}: {found:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Assesses a file again and again until told to stop; every answer must come from the plugin.
fn always_asking(
    client: &Client,
    resident: &str,
) -> (Arc<AtomicBool>, Arc<AtomicU64>, tokio::task::JoinHandle<()>) {
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (client, resident) = (client.clone(), resident.to_owned());
    let (told, count) = (Arc::clone(&stop), Arc::clone(&asked));
    let task = tokio::spawn(async move {
        while !told.load(Ordering::Relaxed) {
            let request = v1::AssessResidentRequest { name: resident.clone(), ..Default::default() };
            match client.ask(request).await {
                Ok(answer) => {
                    assert_eq!(answer.missing_plugins, [] as [String; 0]);
                    assert_eq!(answer.plugins.len(), 1, "{answer:?}");
                    count.fetch_add(1, Ordering::Relaxed);
                }
                // The upkeep wrote the same file between reading and writing.
                Err(status) => assert_eq!(status.code(), Code::Aborted, "{status:?}"),
            }
        }
    });
    (stop, asked, task)
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one version after the other on one running server")]
async fn a_plugin_is_upgraded_without_a_restart() {
    let data = Data::installed();
    let first = Build::bundled("elderly");
    let (lower, higher) = (first.version("0.2.0", "70", "2"), first.version("0.3.0", "90", "1"));
    let child = Child::start(data.clone());
    let client = child.client();
    let (_, dwelling, alone) = client.estate("s1").await;
    let seventies = v1::Resident {
        birth_date: "1952-02-02".to_owned(),
        facts: vec![flag("lives_alone", false), flag("empty_nest", false)],
        ..elder(&dwelling, "不独居")
    };
    let seventies = client.resident(seventies).await.name;
    client.done(&alone, v1::ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00").await;
    let owed = client.owed(&alone).await;
    assert!(owed.contains(&"elder.call open 1/2".to_owned()), "{owed:?}");

    // Nothing new lies there.
    let seen = preview(&client).await;
    assert_eq!(seen.loaded, seen.candidate);
    assert_eq!((seen.sites[0].files, seen.sites[0].differing), (2, 0));
    assert_eq!((seen.standards.unwrap(), seen.to_accept), (v1::PluginCodes::default(), vec![]));

    // A lower threshold: somebody joins. Seen first, then loaded while others go on asking.
    let (stop, asked, task) = always_asking(&client, &alone);
    lower.put(&data);
    let seen = preview(&client).await;
    let digest = seen.candidate.as_ref().unwrap().digest.clone();
    assert_eq!(seen.loaded.unwrap().version, "0.1.0");
    assert_eq!(seen.candidate.unwrap().version, "0.2.0");
    assert_eq!(seen.parameters.unwrap().changed, ["advanced_age_years"]);
    assert_eq!(seen.to_accept, [] as [String; 0]);
    let count = &seen.sites[0];
    assert_eq!(
        (count.files, count.differing, count.gain_groups, count.lose_groups, count.unanswered),
        (2, 1, 1, 0, 0)
    );
    assert_eq!((count.gain_standards, count.lose_standards), (1, 0));
    let listed = v1::ListPluginDifferencesRequest {
        name: PLUGIN.to_owned(),
        digest: digest.clone(),
        parent: "sites/s1".to_owned(),
        ..Default::default()
    };
    let listed = client.ask(listed).await.unwrap().differences;
    let [joins] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!(
        (&joins.resident, joins.gained_groups.as_slice()),
        (&seventies, &["careGroups/advanced_age".to_owned()][..])
    );
    for standard in ["standards/elder.visit", "standards/elder.call"] {
        assert!(joins.gained_standards.contains(&standard.to_owned()), "{joins:?}");
    }
    assert_eq!((joins.lost_groups.len(), joins.lost_standards.len()), (0, 0));
    assert_eq!(version(&client).await, (v1::PluginState::Ready, "0.1.0".to_owned()));

    let other = "0".repeat(64);
    assert_eq!(refused(client.ask(load(&other, &[])).await, "PLUGIN_CHANGED").code, Code::Aborted);
    invalid(client.ask(load("", &[])).await, &["digest"]);
    let loaded = client.ask(load(&digest, &[])).await.unwrap();
    assert_eq!(loaded.stamp.unwrap().version, "0.2.0");
    assert_eq!(version(&client).await, (v1::PluginState::Ready, "0.2.0".to_owned()));
    // From this version on and not backwards; nobody had to ask.
    let since = member(&client, &seventies, "advanced_age", v1::MembershipState::Active).await;
    assert_eq!(since, "2026-03-16");
    assert!(client.owed(&seventies).await.contains(&"elder.visit open 0/1".to_owned()));
    assert_eq!(client.owed(&alone).await, owed);

    // A higher threshold and fewer calls: that has to be accepted by name, and exits wait for staff.
    higher.put(&data);
    let seen = preview(&client).await;
    let digest = seen.candidate.unwrap().digest;
    assert_eq!(
        (seen.to_accept, seen.standards.unwrap().changed),
        (vec!["elder.call".to_owned()], vec!["elder.call".to_owned()])
    );
    assert_eq!((seen.sites[0].lose_groups, seen.sites[0].gain_groups), (2, 0));
    let refusal = refused(client.ask(load(&digest, &[])).await, "PLUGIN_DROPS_DUTIES");
    assert_eq!(refusal.metadata, [("codes".to_owned(), "elder.call".to_owned())]);
    assert_eq!(version(&client).await.1, "0.2.0");
    client.ask(load(&digest, &["elder.call"])).await.unwrap();
    member(&client, &seventies, "advanced_age", v1::MembershipState::ExitProposed).await;
    assert!(client.owed(&seventies).await.contains(&"elder.visit open 0/1".to_owned()));
    assert!(client.owed(&alone).await.contains(&"elder.call met 1/1".to_owned()));

    // Half of a version: refused, the one in force goes on.
    std::fs::write(data.plugin().join("plugin.toml"), &first.manifest).unwrap();
    data.sign();
    let mismatch = refused(
        client.ask(v1::PreviewPluginRequest { name: PLUGIN.to_owned(), ..Default::default() }).await,
        "PLUGIN_REFUSED",
    );
    assert!(mismatch.message.contains("plugin.toml"), "{mismatch:?}");
    refused(client.ask(load(&digest, &[])).await, "PLUGIN_REFUSED");
    assert_eq!(version(&client).await, (v1::PluginState::Ready, "0.3.0".to_owned()));

    stop.store(true, Ordering::Relaxed);
    task.await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > 10, "{asked:?}");

    // A plugin that is not there, and one that nobody knows.
    std::fs::rename(data.plugin(), data.folder().join("aside")).unwrap();
    refused(client.ask(load(&digest, &[])).await, "PLUGIN_REFUSED");
    let unknown = v1::PreviewPluginRequest { name: "plugins/no.such".to_owned(), ..Default::default() };
    refused(client.ask(unknown).await, "NOT_FOUND");
    let drain = v1::DrainPluginRequest { name: "plugins/no.such".to_owned(), ..Default::default() };
    refused(client.ask(drain).await, "NOT_FOUND");
    std::fs::rename(data.folder().join("aside"), data.plugin()).unwrap();

    // Killed while it loads: the next start has what lies there, and every duty.
    let before = client.owed(&seventies).await;
    first.put(&data);
    let digest = preview(&client).await.candidate.unwrap().digest;
    let loading = tokio::spawn({
        let client = client.clone();
        async move { client.ask(load(&digest, &["elder.call"])).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let data = child.kill();
    let _ = loading.await;
    let child = Child::start(data);
    let client = child.client();
    assert_eq!(version(&client).await, (v1::PluginState::Ready, "0.1.0".to_owned()));
    let after = client.owed(&seventies).await;
    let standards = |owed: &[String]| -> Vec<String> {
        owed.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(standards(&after), standards(&before));
    assert_eq!(client.owed(&alone).await, owed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_taken_away_leaves_its_duties() {
    let data = Data::installed();
    let child = Child::start(data.clone());
    let client = child.client();
    let (_, dwelling, alone) = client.estate("s1").await;
    let owed = client.owed(&alone).await;
    let drain = v1::DrainPluginRequest { name: PLUGIN.to_owned(), ..Default::default() };
    for _ in 0..2 {
        let drained = client.ask(drain.clone()).await.unwrap();
        assert_eq!(
            (drained.state(), drained.mode()),
            (v1::PluginState::Drained, v1::PluginMode::Unspecified)
        );
        assert!(drained.standards.contains(&"elder.visit".to_owned()), "{drained:?}");
        assert!(!drained.problem.unwrap().zh.is_empty());
        assert_eq!(version(&client).await.0, v1::PluginState::Drained);
    }
    // Its standards and what it said stay; a new file is not assessed by it.
    assert_eq!(client.owed(&alone).await, owed);
    let found =
        client.ask(v1::GetStandardRequest { name: "standards/elder.visit".to_owned() }).await.unwrap();
    assert_eq!(found.name, "standards/elder.visit");
    let assess = v1::AssessResidentRequest { name: alone.clone(), ..Default::default() };
    let assessed = client.ask(assess.clone()).await.unwrap();
    assert_eq!((assessed.plugins.len(), assessed.missing_plugins.as_slice()), (0, &[PLUGIN.to_owned()][..]));
    let new = client.resident(elder(&dwelling, "新来")).await;
    assert_eq!(new.groups, [] as [String; 0]);
    assert_eq!(client.owed(&alone).await, owed);
    let info = client.ask(v1::GetServerInfoRequest::default()).await.unwrap();
    assert_eq!(info.plugins_ready, 0);

    // Loaded again, it answers from then on.
    let digest = preview(&client).await.candidate.unwrap().digest;
    let loaded = client.ask(load(&digest, &[])).await.unwrap();
    assert_eq!(loaded.state(), v1::PluginState::Ready);
    let since = member(&client, &new.name, "living_alone", v1::MembershipState::Active).await;
    assert_eq!(since, "2026-03-16");
    let assessed = client.ask(assess).await.unwrap();
    assert_eq!(assessed.plugins, [loaded.stamp.unwrap()]);
    assert_eq!(client.owed(&alone).await, owed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_trusted_and_a_build_revoked_without_a_restart() {
    let data = Data::installed();
    let child = Child::start(data.clone());
    let client = child.client();
    let preview = || client.ask(v1::PreviewPluginRequest { name: PLUGIN.to_owned(), ..Default::default() });
    let store = std::fs::read_to_string(data.trust_store()).unwrap();
    let trusts = |more: &str| std::fs::write(data.trust_store(), format!("{store}{more}")).unwrap();

    // Another vendor's build: nobody trusts the key, then somebody does.
    let vendor = trust::generate([12; 32]);
    Build::bundled("elderly").version("0.2.0", "70", "2").put(&data);
    data.sign_with(&vendor);
    let refusal = refused(preview().await, "PLUGIN_REFUSED");
    assert!(refusal.message.contains("not in the trust store"), "{refusal:?}");
    let key = format!(
        "[[key]]\nowner = \"Vendor\"\npublic = \"{}\"\nplugins = [\"cn.linli.*\"]\ninterfaces = [\"linli.rules/1\"]\n",
        vendor.public().to_base64()
    );
    trusts(&key);
    let digest = preview().await.unwrap().candidate.unwrap().digest;
    let loaded = client.ask(load(&digest, &[])).await.unwrap();
    assert_eq!(loaded.trust.unwrap().owner, "Vendor");
    assert_eq!(version(&client).await, (v1::PluginState::Ready, "0.2.0".to_owned()));

    // That build is revoked: it is not loaded again, and what runs goes on until it is taken away.
    trusts(&format!("{key}[revoked]\ndigests = [\"{digest}\"]\n"));
    let refusal = refused(client.ask(load(&digest, &[])).await, "PLUGIN_REFUSED");
    assert!(refusal.message.contains("revoked"), "{refusal:?}");
    assert_eq!(version(&client).await, (v1::PluginState::Ready, "0.2.0".to_owned()));
    client.ask(v1::DrainPluginRequest { name: PLUGIN.to_owned(), ..Default::default() }).await.unwrap();
    refused(client.ask(load(&digest, &[])).await, "PLUGIN_REFUSED");
    assert_eq!(version(&client).await.0, v1::PluginState::Drained);

    // A trust store that cannot be read: nothing is loaded by what it said before.
    trusts("[[key]]\n");
    let refusal = refused(preview().await, "PLUGIN_REFUSED");
    assert!(refusal.message.contains("trust store"), "{refusal:?}");
    trusts(&key);
    client.ask(load(&digest, &[])).await.unwrap();
    assert_eq!(version(&client).await, (v1::PluginState::Ready, "0.2.0".to_owned()));
}
