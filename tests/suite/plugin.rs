//! Plugins as the server shows them: well, refused and missing.

use linli_proto::v1;

use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};
use crate::plugin_upgrade::Build;

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_shows_what_it_declares_and_what_it_did() {
    let server = Server::start().await;
    let client = server.client();
    let before = client.ask(v1::GetPluginRequest { name: "plugins/cn.linli.elderly".into() }).await.unwrap();
    assert_eq!((before.state(), before.mode()), (v1::PluginState::Ready, v1::PluginMode::InProcess));
    assert_eq!(before.problem, None);
    assert_eq!(before.trust.as_ref().unwrap().state(), v1::PluginTrustState::Development);
    let stamp = before.stamp.as_ref().unwrap();
    assert_eq!((stamp.plugin.as_str(), stamp.digest.len()), ("plugins/cn.linli.elderly", 64));
    assert_eq!(before.groups, ["living_alone", "empty_nest", "advanced_age"]);
    assert!(before.standards.iter().any(|standard| standard == "elder.visit"));
    assert_eq!(before.interfaces, ["linli.rules/1"]);
    let field =
        |plugin: &v1::Plugin, code: &str| plugin.fields.iter().find(|f| f.field == code).cloned().unwrap();
    assert_eq!(field(&before, "lives_alone").r#type(), v1::ValueType::Flag);
    assert_eq!(field(&before, "ability_score").maximum, Some(90));
    let age = before.parameters.iter().find(|p| p.field == "advanced_age_years").unwrap();
    let years = age.default_value.as_ref().and_then(|value| value.kind.clone());
    assert_eq!(years, Some(v1::value::Kind::Number(80)));

    client.estate("figures").await;
    let after = client.ask(v1::GetPluginRequest { name: before.name.clone() }).await.unwrap();
    let figures = after.figures.unwrap();
    assert!(figures.calls > 0 && figures.residents > 0 && figures.mean_nanos_per_resident > 0, "{figures:?}");
    assert_eq!(
        (figures.failures, figures.panics, figures.hangs, figures.last_error),
        (0, 0, 0, String::new())
    );

    refused(client.ask(v1::GetPluginRequest { name: "plugins/no.such".into() }).await, "NOT_FOUND");
    invalid(client.ask(v1::GetPluginRequest { name: "plugins/".into() }).await, &["name"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_and_missing_plugins_are_listed_with_what_to_do() {
    let data = Data::sqlite();
    let folder = data.folder().join("plugins");
    std::fs::create_dir_all(folder.join("broken")).unwrap();
    std::fs::write(folder.join("broken/plugin.toml"), "this is no manifest").unwrap();
    let data = data.with(&format!(
        "plugins.folders = [\"{}\"]\nplugins.required = [\"cn.linli.elderly\", \"cn.linli.nowhere\"]\n\
         plugins.start_without_required = true",
        folder.display()
    ));
    let server = Server::on(data).await;
    let client = server.client();
    let listed = client.ask(v1::ListPluginsRequest::default()).await.unwrap().plugins;
    let states: Vec<_> = listed.iter().map(|plugin| (plugin.name.as_str(), plugin.state())).collect();
    assert_eq!(
        states,
        [
            ("plugins/broken", v1::PluginState::Refused),
            ("plugins/cn.linli.children", v1::PluginState::Ready),
            ("plugins/cn.linli.disability", v1::PluginState::Ready),
            ("plugins/cn.linli.elderly", v1::PluginState::Ready),
            ("plugins/cn.linli.email", v1::PluginState::Ready),
            ("plugins/cn.linli.file-drop", v1::PluginState::Ready),
            ("plugins/cn.linli.hardship", v1::PluginState::Ready),
            ("plugins/cn.linli.maternity", v1::PluginState::Ready),
            ("plugins/cn.linli.military", v1::PluginState::Ready),
            ("plugins/cn.linli.nowhere", v1::PluginState::Missing),
            ("plugins/cn.linli.webhook", v1::PluginState::Ready),
        ]
    );
    for plugin in listed.iter().filter(|plugin| plugin.state() != v1::PluginState::Ready) {
        let problem = plugin.problem.as_ref().unwrap();
        assert!(!problem.zh.is_empty() && !problem.en.is_empty(), "{plugin:?}");
        assert!(problem.en.chars().count() <= 500 && problem.zh.chars().count() <= 500, "{problem:?}");
        let got = client.ask(v1::GetPluginRequest { name: plugin.name.clone() }).await.unwrap();
        assert_eq!(&got, plugin);
    }
    let info = client.ask(v1::GetServerInfoRequest {}).await.unwrap();
    assert_eq!((info.plugins_ready, info.plugins_unwell), (9, 2));
    // A page at a time.
    let first = client.ask(v1::ListPluginsRequest { page_size: 6, ..Default::default() }).await.unwrap();
    let rest = v1::ListPluginsRequest { page_size: 6, page_token: first.next_page_token };
    let rest = client.ask(rest).await.unwrap();
    assert_eq!([first.plugins, rest.plugins].concat(), listed);
    assert_eq!(rest.next_page_token, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_plugins_that_claim_the_same_one_answers_and_the_other_says_why() {
    let data = Data::sqlite();
    let folder = data.folder().join("plugins");
    let build = Build::bundled("elderly");
    // Another id with the same groups; the same groups under other codes with the same standards; and the same id.
    let other_id = build.with(&[("id = \"cn.linli.elderly\"", "id = \"cn.rival.elderly\"")]);
    let other_groups = other_id.with_each(&[
        ("living_alone", "living_apart"),
        ("empty_nest", "bare_nests"),
        ("advanced_age", "advanced_eld"),
        ("cn.rival.elderly", "cn.third.elderly"),
    ]);
    for (name, build) in
        [("a-first", &build), ("b-second", &other_id), ("c-third", &other_groups), ("d-fourth", &build)]
    {
        build.put_into(&folder.join(name));
    }
    let server = Server::on(data.with(&format!("plugins.folders = [\"{}\"]\nplugins.unsigned = [\"cn.linli.elderly\", \"cn.rival.elderly\", \"cn.third.elderly\"]", folder.display()))).await;
    let client = server.client();
    let get = async |name: &str| {
        client.ask(v1::GetPluginRequest { name: format!("plugins/{name}") }).await.unwrap()
    };
    let first = get("cn.linli.elderly").await;
    assert_eq!(first.state(), v1::PluginState::Ready);
    for (name, claimed) in [
        ("cn.rival.elderly", "`living_alone`"),
        ("cn.third.elderly", "`elder.visit`"),
        ("elderly", "`cn.linli.elderly`"),
    ] {
        let listed = client.ask(v1::ListPluginsRequest::default()).await.unwrap().plugins;
        let refused = listed.iter().find(|plugin| plugin.name == format!("plugins/{name}"));
        let refused = refused.unwrap_or_else(|| panic!("{name} is not among {listed:?}"));
        assert_eq!(refused.state(), v1::PluginState::Refused, "{name}");
        let problem = refused.problem.as_ref().unwrap();
        for words in [&problem.en, &problem.zh] {
            assert!(words.contains(claimed) && words.contains("cn.linli.elderly"), "{name}: {words}");
        }
        assert!(
            problem.zh.contains("请移除其一") && problem.en.contains("remove one of the two"),
            "{problem:?}"
        );
    }
    // Whoever is assessed is assessed by the first.
    let (_, _, resident) = client.estate("s1").await;
    let assessed =
        client.ask(v1::AssessResidentRequest { name: resident, ..Default::default() }).await.unwrap();
    assert!(assessed.plugins.contains(&first.stamp.unwrap()), "{assessed:?}");
}
