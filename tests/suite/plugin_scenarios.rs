//! The scenario tables of the group plugins over gRPC: every case is a care file on a server with that plugin alone,
//! opened on the case's day, and what the server then says is what the table says.
//!
//! | of the table | compared with |
//! |---|---|
//! | `member … until …` | the memberships, each from the day the file was opened: nobody knew before |
//! | `tier`, with its reasons | the assessment, and the tier in force |
//! | `tag`, `caution`, `issue`, `expires` | the assessment |
//! | all of it | the standards of the standing: those, and only those, whose selector it fits |
//!
//! `since` is the business of the tables through the SDK and the host.

mod classification;

use std::collections::{BTreeMap, BTreeSet};

use linli_plugin_abi::scenario::{self, Case, CaseFact};
use linli_proto::v1;
use tonic::Code;

use crate::built;
use crate::harness::client::{Client, Rpc};
use crate::harness::estate::{fact, mask};
use crate::harness::invalid;
use crate::harness::server::{Child, Data};

/// Cases of maternity that the days of recording decide: a file that is opened today has all facts recorded today. Here
/// each is recorded on the day from which it counts, on one server, while the years go by.
const RECORDED_ONE_BY_ONE: &[&str] = &[
    "a new pregnancy after an end",
    "an end stays when the due date is recorded again",
    "a new pregnancy whose first weeks lie before the recorded end waits for a word",
    "no longer wanted it for the child before",
];

/// Cases that each group's table has at least.
const AT_LEAST: usize = 25;

#[test]
fn every_class_and_every_expiry_has_a_case() {
    for (name, classes) in classification::CLASSIFICATION {
        let table = std::fs::read_to_string(built::plugin_source(name).join("scenarios.txt")).unwrap();
        let cases = scenario::parse(&table).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        for (class, wanted) in *classes {
            let is_there = cases.iter().any(|case| case.name == *wanted);
            assert!(is_there, "{name}: `{class}` lacks its case `{wanted}`");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn elders() {
    holds("elderly").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disabled() {
    holds("disability").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn children() {
    holds("children").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mothers() {
    holds("maternity").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn households_in_hardship() {
    holds("hardship").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soldiers_and_survivors() {
    holds("military").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mothers_whose_facts_were_recorded_one_by_one() {
    let table = std::fs::read_to_string(built::plugin_source("maternity").join("scenarios.txt")).unwrap();
    let mut cases = scenario::parse(&table).unwrap();
    cases.retain(|case| RECORDED_ONE_BY_ONE.contains(&case.name.as_str()));
    assert_eq!(cases.len(), RECORDED_ONE_BY_ONE.len());
    let mut recorded: Vec<(&str, usize, &CaseFact)> = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let facts = case.facts.iter();
        recorded.extend(facts.map(|fact| (fact.since.as_deref().expect("it has a day"), number, fact)));
    }
    recorded.sort_by_key(|(day, _, _)| *day);
    let mut today = recorded[0].0;
    let child = Child::start(Data::installed_with("maternity").at(&format!("{today}T08:00:00+08:00")));
    let client = child.client();
    let request = v1::GetPluginRequest { name: "plugins/cn.linli.maternity".to_owned() };
    let plugin = client.ask(request).await.unwrap();
    let standards = own_standards(&client, &plugin).await;
    let dwelling = site(&client, &plugin, 0, &[]).await;
    let mut files: Vec<Option<v1::Resident>> = vec![None; cases.len()];
    for (day, number, fact) in recorded {
        if day != today {
            client.advance(&format!("{day}T08:00:00+08:00")).await;
            today = day;
        }
        let alone = Case { facts: vec![fact.clone()], ..cases[number].clone() };
        let new = file(&plugin, &alone, &dwelling);
        files[number] = Some(match files[number].take() {
            None => client.ask(new).await.unwrap(),
            Some(mut resident) => {
                resident.facts.extend(new.resident.unwrap().facts);
                let update_mask = mask(&["facts"]);
                let resident = Some(resident);
                patiently(
                    &child,
                    &client,
                    v1::UpdateResidentRequest { resident, update_mask, ..Default::default() },
                )
                .await
            }
        });
    }
    for (case, file) in cases.iter().zip(files) {
        assert_eq!(case.today, today, "{}", case.name);
        let found = said(&child, &client, &plugin, &file.expect("each has a file")).await;
        let mut expected = expected(case, &standards);
        // Somebody knew on the day on which the last fact was recorded.
        for line in &case.expected {
            if let ["member", group, "since", since, ..] = line.split([' ', ':']).collect::<Vec<_>>()[..] {
                let days = expected.groups.get_mut(&format!("careGroups/{group}")).expect("it is there");
                since.clone_into(&mut days.0);
            }
        }
        assert_eq!(found, expected, "line {}, {}", case.line, case.name);
    }
}

/// What a table expects of a case, or what a server says of a file.
#[derive(Debug, Default, PartialEq)]
struct Found {
    /// Groups, with the first day and the first day that no longer counts, where one is known.
    groups: BTreeMap<String, (String, String)>,
    tier: i32,
    tier_reasons: BTreeSet<String>,
    tags: BTreeSet<String>,
    cautions: BTreeSet<String>,
    issues: BTreeSet<String>,
    expires: String,
    standards: BTreeSet<String>,
}

async fn holds(name: &str) {
    let table = std::fs::read_to_string(built::plugin_source(name).join("scenarios.txt")).unwrap();
    let mut cases = scenario::parse(&table).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    assert!(cases.len() >= AT_LEAST, "{name} has {} cases", cases.len());
    cases.retain(|case| !RECORDED_ONE_BY_ONE.contains(&case.name.as_str()));
    // Time only goes forward.
    cases.sort_by(|a, b| a.today.cmp(&b.today));
    let first = cases[0].today.clone();
    let child = Child::start(Data::installed_with(name).at(&format!("{first}T08:00:00+08:00")));
    let client = child.client();
    let request = v1::GetPluginRequest { name: format!("plugins/cn.linli.{name}") };
    let plugin = client.ask(request).await.unwrap();
    let standards = own_standards(&client, &plugin).await;
    assert_eq!(standards.len(), plugin.standards.len());
    let mut sites: BTreeMap<Vec<(String, String)>, String> = BTreeMap::new();
    let (mut today, mut wrong, mut refused) = (first, Vec::new(), 0);
    for case in &cases {
        if case.today != today {
            client.advance(&format!("{}T08:00:00+08:00", case.today)).await;
            today.clone_from(&case.today);
        }
        let number = sites.len();
        let dwelling = match sites.get(&case.parameters) {
            Some(dwelling) => dwelling.clone(),
            None => {
                let dwelling = site(&client, &plugin, number, &case.parameters).await;
                sites.insert(case.parameters.clone(), dwelling.clone());
                dwelling
            }
        };
        let opened = client.ask(file(&plugin, case, &dwelling)).await;
        // Who is not born yet has no file, nor who was born before the dates that a file takes.
        let born = case.facts.iter().find(|fact| fact.field == "birth_date");
        if born.is_some_and(|born| born.value > case.today || born.value.as_str() < "1900-01-01") {
            invalid(opened, &["resident.birth_date"]);
            refused += 1;
            continue;
        }
        let resident = opened.unwrap_or_else(|status| panic!("{name}: {}: {status:?}", case.name));
        let found = said(&child, &client, &plugin, &resident).await;
        let expected = expected(case, &standards);
        if found != expected {
            wrong.push(format!(
                "line {}, {}:\n   found {found:?}\nexpected {expected:?}",
                case.line, case.name
            ));
        }
    }
    assert!(wrong.is_empty(), "{name}: {} cases differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused <= 2, "{refused} cases were refused");
}

/// The standards of the plugin, by name.
async fn own_standards(client: &Client, plugin: &v1::Plugin) -> Vec<v1::Standard> {
    let mut request = v1::ListStandardsRequest { page_size: 200, ..Default::default() };
    let mut found = Vec::new();
    loop {
        let page = client.ask(request.clone()).await.unwrap();
        found.extend(page.standards.into_iter().filter(|one| plugin.standards.contains(&one.code)));
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

/// A site with these parameters; its one dwelling.
async fn site(
    client: &Client,
    plugin: &v1::Plugin,
    number: usize,
    parameters: &[(String, String)],
) -> String {
    let site = client.site(&format!("s{number}")).await;
    let parameters: Vec<v1::PluginParameter> = parameters
        .iter()
        .map(|(code, text)| {
            let declared = plugin.parameters.iter().find(|known| known.field == *code);
            let declared = declared.unwrap_or_else(|| panic!("the parameter `{code}` is declared"));
            v1::PluginParameter {
                field: code.clone(),
                value: Some(v1::Value { kind: Some(value(declared, text)) }),
                is_default: false,
            }
        })
        .collect();
    if !parameters.is_empty() {
        let id = plugin.name.trim_start_matches("plugins/");
        let name = format!("{site}/pluginParameters/{id}");
        client.ask(v1::SetPluginParametersRequest { name, parameters, ..Default::default() }).await.unwrap();
    }
    client.dwelling(&site, "501").await
}

/// The file of a case; each fact is true since the day the table gives.
fn file(plugin: &v1::Plugin, case: &Case, dwelling: &str) -> v1::CreateResidentRequest {
    let mut resident = v1::Resident {
        full_name: "案例".to_owned(),
        dwelling: dwelling.to_owned(),
        move_in_date: "2019-01-01".to_owned(),
        // Some are children.
        guardian_consent: Some(v1::GuardianConsent {
            signed_by: "监护人".to_owned(),
            form: "监护人同意书".to_owned(),
            ..Default::default()
        }),
        ..v1::Resident::default()
    };
    for given in &case.facts {
        match given.field.as_str() {
            "birth_date" => resident.birth_date.clone_from(&given.value),
            "sex" => {
                let sex = if given.value == "female" { v1::Sex::Female } else { v1::Sex::Male };
                resident.set_sex(sex);
            }
            field => {
                let declared = plugin.fields.iter().find(|known| known.field == field);
                let declared = declared.unwrap_or_else(|| panic!("the field `{field}` is declared"));
                resident.facts.push(v1::Fact {
                    true_from_date: given.since.clone().unwrap_or_default(),
                    ..fact(field, Some(value(declared, &given.value)))
                });
            }
        }
    }
    let (parent, _) = dwelling.split_once("/dwellings/").unwrap();
    v1::CreateResidentRequest {
        parent: parent.to_owned(),
        resident: Some(resident),
        confirmed_not_duplicate: true, // every case is the same made-up person
        ..Default::default()
    }
}

fn value(declared: &v1::PluginField, text: &str) -> v1::value::Kind {
    match declared.r#type() {
        v1::ValueType::Flag => v1::value::Kind::Flag(matches!(text, "yes" | "true")),
        v1::ValueType::Number => v1::value::Kind::Number(text.parse().unwrap()),
        v1::ValueType::Date => v1::value::Kind::Date(text.to_owned()),
        v1::ValueType::Code => v1::value::Kind::Code(text.to_owned()),
        v1::ValueType::Text => v1::value::Kind::Text(text.to_owned()),
        v1::ValueType::Unspecified => panic!("`{}` has a type", declared.field),
    }
}

/// What the table says, as the server should say it.
fn expected(case: &Case, standards: &[v1::Standard]) -> Found {
    let mut found = Found { tier: v1::Tier::General.into(), ..Found::default() };
    let mut tiers: Vec<(i32, String)> = Vec::new();
    for line in &case.expected {
        let (what, reason) = line.split_once(": ").unwrap_or((line, ""));
        let words: Vec<&str> = what.split(' ').collect();
        match words.as_slice() {
            ["member", group, dates @ ..] => {
                let until = dates.iter().position(|word| *word == "until").map_or("", |at| dates[at + 1]);
                let found = found.groups.entry(format!("careGroups/{group}"));
                let days = found.or_insert_with(|| (case.today.clone(), until.to_owned()));
                // Of several ends the latest counts, and none at all beyond every other.
                if days.1.is_empty() || until.is_empty() {
                    days.1.clear();
                } else if days.1.as_str() < until {
                    until.clone_into(&mut days.1);
                }
            }
            ["tier", tier] => {
                let tier = match *tier {
                    "general" => v1::Tier::General,
                    "key" => v1::Tier::Key,
                    "high" => v1::Tier::High,
                    other => panic!("`{other}` is no tier"),
                };
                tiers.push((tier.into(), reason.to_owned()));
            }
            ["tag", tag] => drop(found.tags.insert((*tag).to_owned())),
            ["caution", caution] => drop(found.cautions.insert((*caution).to_owned())),
            ["expires", day] => (*day).clone_into(&mut found.expires),
            ["issue", field] => drop(found.issues.insert(format!("{field}: {reason}"))),
            _ => panic!("`{line}` is understood"),
        }
    }
    found.tier = tiers.iter().map(|(tier, _)| *tier).fold(found.tier, i32::max);
    let highest = tiers.into_iter().filter(|(tier, _)| *tier == found.tier);
    found.tier_reasons = highest.map(|(_, reason)| reason).collect();
    let owed = standards.iter().filter(|standard| fits(standard, &found));
    found.standards = owed.map(|standard| standard.name.clone()).collect();
    found
}

/// Whether a standard's selector fits who is found so.
fn fits(standard: &v1::Standard, found: &Found) -> bool {
    let nobody = v1::Selector::default();
    let selector = standard.applies_to.as_ref().unwrap_or(&nobody);
    let member = |group: &String| found.groups.contains_key(&format!("careGroups/{group}"));
    standard.subject_kind() == v1::SubjectKind::Resident
        && (selector.any_group.is_empty() || selector.any_group.iter().any(member))
        && (selector.min_tier == 0 || found.tier >= selector.min_tier)
        && (selector.max_tier == 0 || found.tier <= selector.max_tier)
        && selector.tags.iter().all(|tag| found.tags.contains(tag))
}

/// What the server says of a file.
async fn said(child: &Child, client: &Client, plugin: &v1::Plugin, resident: &v1::Resident) -> Found {
    let name = resident.name.clone();
    let assess = v1::AssessResidentRequest { name: name.clone(), ..Default::default() };
    let assessed = patiently(child, client, assess).await;
    assert_eq!(assessed.plugins, [plugin.stamp.clone().unwrap()], "each answer says which build gave it");
    let list = v1::ListMembershipsRequest { parent: name.clone(), page_size: 200, ..Default::default() };
    let memberships = client.ask(list).await.unwrap().memberships;
    let standing = client.ask(v1::GetStandingRequest { name }).await.unwrap();
    assert_eq!(standing.tier, assessed.tier);
    let codes = |texts: &[v1::CodedText]| texts.iter().map(|text| text.code.clone()).collect();
    let own = |name: &&String| plugin.standards.iter().any(|code| name.ends_with(&format!("/{code}")));
    Found {
        groups: memberships
            .into_iter()
            .inspect(|membership| assert_eq!(membership.state(), v1::MembershipState::Active))
            .map(|membership| (membership.group, (membership.start_date, membership.end_date)))
            .collect(),
        tier: assessed.tier,
        tier_reasons: codes(&assessed.tier_reasons),
        tags: codes(&assessed.tags),
        cautions: codes(&assessed.cautions),
        issues: assessed
            .issues
            .iter()
            .map(|issue| format!("{}: {}", issue.field, issue.reason.as_ref().unwrap().code))
            .collect(),
        expires: assessed.valid_until_date,
        standards: standing.standards.iter().map(|one| &one.standard).filter(own).cloned().collect(),
    }
}

/// Asks again where the server's own upkeep wrote the same file in between.
async fn patiently<Q: Rpc>(child: &Child, client: &Client, request: Q) -> Q::Answer {
    loop {
        match client.ask(request.clone()).await {
            Err(status) if status.code() == Code::Aborted => {}
            answer => return answer.unwrap_or_else(|status| panic!("{status:?}\n{}", child.said())),
        }
    }
}
