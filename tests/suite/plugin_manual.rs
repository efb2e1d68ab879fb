//! A plugin whose process ends over one resident: that one is marked for a person, everybody else is assessed.

use std::path::Path;
use std::process::Command;

use linli_proto::v1;

use crate::harness::client::Client;
use crate::harness::estate::{elder, fact, mask};
use crate::harness::server::{Data, Server};

const PLUGIN: &str = "plugins/cn.example.liar";
/// What its fact `kind` makes the plugin do: say that somebody is a member, or end its process.
const MEMBER: i64 = 1;
const ABORT: i64 = 210;

/// The C plugin of the host's tests, which does what its facts tell it to, in a folder of its own.
fn put_liar(folder: &Path) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let manifest = std::fs::read_to_string(sources.join("host/tests/host/liar.toml")).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    let bytes: Vec<String> = manifest.bytes().map(|byte| byte.to_string()).collect();
    let embedded = format!("static const unsigned char MANIFEST[] = {{{}}};\n", bytes.join(","));
    std::fs::write(folder.join("manifest.h"), embedded).unwrap();
    std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
    let compiled = Command::new("cc")
        .args(["-std=c11", "-O1", "-shared", "-fPIC", "-pthread", "-w", "-I"])
        .arg(folder)
        .arg("-I")
        .arg(sources.join("abi/include"))
        .arg("-o")
        .arg(folder.join("libliar.so"))
        .arg(sources.join("host/tests/host/liar.c"))
        .status();
    assert!(compiled.expect("`cc` runs: a C compiler is needed for the tests").success());
}

fn does(kind: i64) -> Vec<v1::Fact> {
    let number = |field: &str, number| fact(field, Some(v1::value::Kind::Number(number)));
    vec![number("kind", kind), number("reason", 0)]
}

async fn now_does(client: &Client, resident: &str, kind: i64) -> v1::Resident {
    let resident = v1::Resident { name: resident.to_owned(), facts: does(kind), ..Default::default() };
    let request = v1::UpdateResidentRequest {
        resident: Some(resident),
        update_mask: mask(&["facts"]),
        ..Default::default()
    };
    client.ask(request).await.unwrap()
}

/// Names of the residents about whom a person must decide, and how many the plugin says there are.
async fn undecided(client: &Client, site: &str) -> (Vec<String>, i64) {
    let request = v1::ListResidentsRequest {
        parent: site.to_owned(),
        needs_manual_assessment: true,
        ..Default::default()
    };
    let residents = client.ask(request).await.unwrap().residents;
    assert!(residents.iter().all(|resident| resident.needs_manual_assessment && resident.assessment_stale));
    let plugin = client.ask(v1::GetPluginRequest { name: PLUGIN.to_owned() }).await.unwrap();
    (residents.into_iter().map(|resident| resident.name).collect(), plugin.manual_assessments)
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_plugin_ends_over_is_left_to_a_person() {
    let data = Data::sqlite();
    let folder = data.folder().join("plugins");
    put_liar(&folder.join("liar"));
    let server = Server::on(data.with(&format!(
        "plugins.folders = [\"{}\"]\nplugins.unsigned = [\"cn.example.liar\"]",
        folder.display()
    )))
    .await;
    let client = server.client();
    let plugin = client.ask(v1::GetPluginRequest { name: PLUGIN.to_owned() }).await.unwrap();
    assert_eq!((plugin.mode(), plugin.isolation()), (v1::PluginMode::Child, v1::PluginMode::InProcess));
    assert_eq!(plugin.trust.as_ref().unwrap().state(), v1::PluginTrustState::Unsigned);
    let confinement = plugin.confinement.unwrap();
    assert!(confinement.no_new_privs && confinement.limits, "{confinement:?}");
    let lacks = [(confinement.landlock_abi == 0, "Landlock"), (!confinement.seccomp, "seccomp")];
    for (lacks, what) in lacks {
        assert_eq!(confinement.lacks.iter().any(|word| word == what), lacks, "{confinement:?}");
    }

    let (site, dwelling, other) = client.estate("s1").await;
    let member = v1::Resident { facts: does(MEMBER), ..elder(&dwelling, "甲乙") };
    let resident = client.resident(member).await;
    assert!(resident.groups.contains(&"first".to_owned()), "{resident:?}");
    assert_eq!(undecided(&client, &site).await, (vec![], 0));

    // The facts change, and the plugin's process ends over them: what it said stays in force, and somebody must look.
    let poisoned = now_does(&client, &resident.name, ABORT).await;
    assert_eq!(poisoned.groups, resident.groups);
    assert!(poisoned.needs_manual_assessment && poisoned.assessment_stale);
    assert_eq!(undecided(&client, &site).await, (vec![resident.name.clone()], 1));
    let plugin = client.ask(v1::GetPluginRequest { name: PLUGIN.to_owned() }).await.unwrap();
    let figures = plugin.figures.clone().unwrap();
    assert!(figures.crashes > 0 && figures.manual == 1, "{figures:?}");
    assert_eq!(plugin.state(), v1::PluginState::Ready);
    // Everybody else is assessed, also by it.
    let assess = v1::AssessResidentRequest { name: other.clone(), ..Default::default() };
    let assessed = client.ask(assess).await.unwrap();
    assert!(assessed.missing_plugins.is_empty() && assessed.manual_plugins.is_empty(), "{assessed:?}");
    assert!(assessed.plugins.contains(&plugin.stamp.unwrap()), "{assessed:?}");
    // A restart does not ask again about whom nothing changed, and the mark stays.
    let server = Server::on(server.stop().await).await;
    let client = server.client();
    assert_eq!(undecided(&client, &site).await, (vec![resident.name.clone()], 1));

    // The facts change again, and it answers: nobody has to look any more.
    let healed = now_does(&client, &resident.name, MEMBER).await;
    assert_eq!((healed.needs_manual_assessment, &healed.groups), (false, &resident.groups));
    assert_eq!(undecided(&client, &site).await, (vec![], 0));
}
