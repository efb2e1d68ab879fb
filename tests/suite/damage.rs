//! Plugin files that are missing, damaged, foreign or of another time: the server says which and why, starts where it
//! is allowed to, and drops no duty that an earlier assessment established.

use std::path::Path;

use linli_proto::v1;

use crate::harness::client::Client;
use crate::harness::estate::{elder, mask};
use crate::harness::server::{Child, Data};

/// One way in which a plugin's folder is not what it should be.
struct Damage {
    name: &'static str,
    /// What the server says of it.
    says: &'static str,
    /// Does it to the folder.
    does: fn(&Path),
}

fn library(folder: &Path) -> std::path::PathBuf {
    folder.join("elderly.so")
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    // A new file: the old one may be mapped.
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

const DAMAGES: &[Damage] = &[
    Damage {
        name: "no folder",
        says: "is not loaded",
        does: |folder| std::fs::remove_dir_all(folder).unwrap(),
    },
    Damage {
        name: "no library",
        says: "`elderly.so` is not there",
        does: |folder| std::fs::remove_file(library(folder)).unwrap(),
    },
    Damage {
        name: "no manifest",
        says: "plugin.toml",
        does: |folder| std::fs::remove_file(folder.join("plugin.toml")).unwrap(),
    },
    Damage {
        name: "an empty library",
        says: "elderly.so",
        does: |folder| change(&library(folder), Vec::clear),
    },
    Damage {
        name: "half a library",
        says: "elderly.so",
        does: |folder| change(&library(folder), |bytes| bytes.truncate(bytes.len() / 2)),
    },
    Damage {
        name: "noise",
        says: "elderly.so",
        does: |folder| change(&library(folder), |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0xa5)),
    },
    Damage {
        name: "a library for another machine",
        says: "elderly.so",
        // `e_machine` of the ELF header: 8 is MIPS, on which nobody runs this suite.
        does: |folder| change(&library(folder), |bytes| bytes[18..20].copy_from_slice(&[8, 0])),
    },
    Damage {
        name: "a plugin for another interface",
        says: "ABI 7.0",
        // The manifest stands in the library too.
        does: |folder| {
            for path in [library(folder), folder.join("plugin.toml")] {
                change(&path, |bytes| {
                    let (old, new) = (b"abi = \"1.0\"", b"abi = \"7.0\"");
                    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
                    bytes[at..at + new.len()].copy_from_slice(new);
                });
            }
        },
    },
    Damage {
        name: "a manifest of another build",
        says: "differs",
        does: |folder| {
            change(&folder.join("plugin.toml"), |bytes| {
                let text = String::from_utf8(bytes.clone()).unwrap();
                *bytes = text.replace("每周上门走访", "每日上门走访").into_bytes();
            });
        },
    },
];

/// Everything that is owed in the week of the clock's start, whatever it stands at.
async fn owed(client: &Client, resident: &str) -> Vec<String> {
    let found = client.obligations(resident, "2026-03-16", "2026-03-22").await;
    found.iter().map(crate::harness::estate::line).collect()
}

async fn file(client: &Client, resident: &str) -> v1::Resident {
    let request = v1::GetResidentRequest { name: resident.to_owned(), ..Default::default() };
    client.ask(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damage_to_a_plugin_drops_a_duty() {
    let installed = Data::installed();
    let child = Child::start(installed);
    let client = child.client();
    let (site, dwelling, resident) = client.estate("s1").await;
    client.done(&resident, v1::ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00").await;
    let expected = owed(&client, &resident).await;
    for line in ["elder.call open 1/2", "elder.visit open 0/1"] {
        assert!(expected.contains(&line.to_owned()), "{expected:?}");
    }
    let groups = file(&client, &resident).await.groups;
    let (data, _) = child.stop();
    let healthy: Vec<(String, Vec<u8>)> = ["plugin.toml", "elderly.so", "plugin.lock", "plugin.lock.sig"]
        .map(|name| (name.to_owned(), std::fs::read(data.plugin().join(name)).unwrap()))
        .into();

    for Damage { name, says, does } in DAMAGES {
        does(&data.plugin());
        // Whoever damages the files of a signed plugin makes it a modified one; here it is signed as it is.
        data.sign();
        // Required and not there: it does not start, and says which plugin and why.
        let refusal = Child::try_start(data.clone()).err().unwrap_or_else(|| panic!("{name}: it starts"));
        assert!(refusal.contains("`cn.linli.elderly` is not loaded"), "{name}: {refusal}");
        assert!(
            refusal.contains(says) && refusal.contains("plugins.start_without_required"),
            "{name}: {refusal}"
        );

        // Where that is allowed it starts, and everything found before stays in force.
        let child = Child::start(data.clone().with("plugins.start_without_required = true"));
        let client = child.client();
        assert_eq!(owed(&client, &resident).await, expected, "{name}");
        assert_eq!(file(&client, &resident).await.groups, groups, "{name}");
        let listed = client.ask(v1::ListPluginsRequest::default()).await.unwrap().plugins;
        let problems: Vec<String> = listed
            .iter()
            .filter(|plugin| plugin.state() != v1::PluginState::Ready)
            .filter_map(|plugin| plugin.problem.clone())
            .map(|problem| problem.en)
            .collect();
        assert!(!problems.is_empty(), "{name}: {listed:?}");
        let info = client.ask(v1::GetServerInfoRequest::default()).await.unwrap();
        assert!(info.plugins_ready == 0 && info.plugins_unwell > 0, "{name}: {info:?}");
        child.stop();

        let _ = std::fs::remove_dir_all(data.plugin());
        std::fs::create_dir_all(data.plugin()).unwrap();
        for (file, bytes) in &healthy {
            std::fs::write(data.plugin().join(file), bytes).unwrap();
        }
    }

    // A change of the file while the plugin is away: its groups and duties stay, and the assessment is stale until the
    // plugin is back. A new file has the standards that hold for everybody.
    std::fs::remove_file(library(&data.plugin())).unwrap();
    let child = Child::start(data.clone().with("plugins.start_without_required = true"));
    let client = child.client();
    let changed = v1::UpdateResidentRequest {
        resident: Some(v1::Resident {
            name: resident.clone(),
            phone: "13900001234".to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["phone"]),
        ..Default::default()
    };
    let updated = client.ask(changed).await.unwrap();
    assert_eq!(updated.groups, groups);
    let assessed =
        client.ask(v1::AssessResidentRequest { name: resident.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(assessed.missing_plugins, ["plugins/cn.linli.elderly"]);
    assert!(file(&client, &resident).await.assessment_stale);
    assert_eq!(owed(&client, &resident).await, expected);
    let new = client.resident(elder(&dwelling, "新来")).await;
    assert!(new.groups.is_empty());
    assert!(owed(&client, &new.name).await.iter().any(|line| line.starts_with("survey.review")));
    let standing = client.ask(v1::GetStandingRequest { name: resident.clone() }).await.unwrap();
    assert!(standing.assessment_stale);
    let (data, _) = child.stop();

    // It comes back: the new file is assessed as soon as somebody asks, from then on and not backwards.
    std::fs::write(library(&data.plugin()), &healthy[1].1).unwrap();
    let child = Child::start(data);
    let client = child.client();
    for name in [&resident, &new.name] {
        let request = v1::AssessResidentRequest { name: name.clone(), ..Default::default() };
        let assessed = client.ask(request).await.unwrap();
        assert!(assessed.missing_plugins.is_empty(), "{assessed:?}");
        assert!(!file(&client, name).await.assessment_stale);
        assert_eq!(file(&client, name).await.groups, groups);
    }
    assert_eq!(owed(&client, &resident).await, expected);
    assert!(client.ask(v1::GetSiteRequest { name: site }).await.is_ok());
}
