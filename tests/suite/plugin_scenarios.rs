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

use std::collections::{BTreeMap, BTreeSet};

use linli_plugin_abi::scenario::{self, Case};
use linli_proto::v1;
use tonic::Code;

use crate::built;
use crate::harness::client::{Client, Rpc};
use crate::harness::estate::fact;
use crate::harness::invalid;
use crate::harness::server::{Child, Data};

/// Cases of maternity that the days of recording decide, one fact after the other: a file that is opened today has all
/// of them recorded today. The tables through the SDK and the host have them.
const RECORDED_ONE_BY_ONE: &[&str] = &[
    "a new pregnancy after an end",
    "an end stays when the due date is recorded again",
    "a new pregnancy whose first weeks lie before the recorded end waits for a word",
    "no longer wanted it for the child before",
];

/// Cases that each group's table has at least.
const AT_LEAST: usize = 25;

/// What the classification of each group knows, and the case that shows it.
const CLASSIFICATION: &[(&str, &[(&str, &str)])] = &[
    (
        "elderly",
        &[
            ("sixty and over, not a day less", "too young, alone"),
            ("sixty on the birthday", "sixty on the birthday itself, alone since long ago"),
            (
                "living alone 独居, which is an empty nest too",
                "alone is an empty nest also where the survey says otherwise",
            ),
            ("empty nest 空巢: with the spouse only", "with the spouse only"),
            ("advanced age 高龄: 80 and over", "the 80th birthday"),
            ("advanced age: 70 and over where that is the rule", "advanced age at 70 where the site says so"),
            (
                "left behind 留守",
                "65 and left behind is in no group of this plugin but in special difficulty",
            ),
            ("disabled 失能 by score, the border of mild and moderate", "a score of 65 is moderate"),
            ("disabled by score, mild", "a score of 66 is mild"),
            ("a concluded level", "a concluded level of 3"),
            ("coma is level 4", "a coma is a complete loss whatever the score"),
            (
                "dementia raises one level",
                "dementia raises a mild score by one level and needs high attention",
            ),
            ("another mental disorder raises one level", "another mental disorder raises it too"),
            (
                "two care-risk events in 30 days raise one level, which ends",
                "two falls within 30 days raise it until the 31st day",
            ),
            ("severely disabled 重残", "severely disabled"),
            ("special family-planning family 计生特殊家庭, two contacts", "a special family-planning family"),
            ("high attention: 80 and alone", "82 and alone needs high attention"),
            ("high attention: 80 and left behind", "85 and left behind with a spouse of the same age"),
            ("high attention: heart disease, severe hypertension", "seriously ill"),
            ("every two days where the site asks for it", "every two days where the site asks for it"),
            ("key attention: destitute, supported at home", "destitute and supported at home"),
            ("limited mobility: errands, escort", "walks badly, hears badly, sees badly"),
            ("expiry at the 80th birthday", "the day before the 80th birthday"),
            (
                "expiry of a birthday on 29 February",
                "born on 29 February, the day before 28 February of a common year",
            ),
        ],
    ),
    (
        "disability",
        &[
            ("kind 1 sight, grade 1: severe, escorted, spoken to", "11 no sight"),
            ("kind 1, grade 2", "12 hardly any sight"),
            ("kind 1, grades 3 and 4", "14 sight, grade 4"),
            ("kind 2 hearing: no telephone", "21 no hearing"),
            ("kind 2, grade 4", "24 hearing, grade 4 is not telephoned either"),
            ("kind 3 speech: no telephone", "31 no speech"),
            ("kind 4 limbs, grade 1: escorted", "41 limbs, grade 1"),
            ("kind 4, grade 3", "43 limbs, grade 3"),
            ("kind 4, grade 4", "44 limbs, grade 4"),
            ("kind 5 intellect: by the guardian", "52 intellect, grade 2"),
            ("kind 6 mind: by the guardian, crises", "61 mind, grade 1"),
            ("kind 7 several", "71 several, the survey says which"),
            (
                "severe by child-welfare rules: intellect and mind, grades 3 and 4",
                "63 mind, grade 3, ten years old",
            ),
            (
                "severe by child-welfare rules ends with coming of age",
                "54 intellect, grade 4, the day before coming of age",
            ),
            ("key attention: severe", "alone and severe"),
            ("key attention: alone", "alone with grade 4"),
            ("service dog", "with a service dog"),
            ("expiry: the certificate is mentioned", "the day before the renewal is mentioned"),
            ("expiry: the last day of the certificate", "the last day of the certificate"),
            ("expiry: the certificate ran out", "the certificate ran out yesterday"),
        ],
    ),
    (
        "children",
        &[
            ("of age is nobody of these groups", "of age, whatever the facts"),
            ("under 14: consent of the guardian", "the day before the 14th birthday"),
            ("orphan", "both dead is an orphan"),
            ("difficulty by poverty", "poverty"),
            ("difficulty by an own disability", "an own disability, not severe"),
            ("severely disabled", "severely disabled, grade 2"),
            (
                "severely disabled, intellect and mind, grades 3 and 4",
                "severely disabled, intellect of grade 4",
            ),
            ("guardianship fails", "the guardians fail"),
            ("guardianship of the state", "under the guardianship of the state"),
            ("without support: prison, out of contact", "one in prison, the other out of contact"),
            (
                "without support: severely disabled, seriously ill",
                "one severely disabled, the other seriously ill",
            ),
            (
                "without support: drug rehabilitation, confined",
                "one in drug rehabilitation, the other otherwise confined",
            ),
            (
                "without support: guardianship revoked, deported",
                "one without guardianship, the other deported",
            ),
            (
                "without support: one dead, the other in such a situation",
                "one dead, the other out of contact",
            ),
            ("without support: one declared missing", "one declared missing, the other in prison"),
            ("left behind: both away", "both parents work away"),
            (
                "left behind: one away, the other cannot be a guardian",
                "one works away, the other cannot be a guardian",
            ),
            ("left behind ends at 16", "left behind the day before the 16th birthday"),
            ("migrant: six months", "on the move for six months"),
            ("migrant ends at 16", "on the move at 16"),
            ("risk red", "red"),
            ("risk yellow", "yellow"),
            ("risk blue", "blue"),
            ("risk green", "green with a class"),
            ("under 8 and unattended", "seven years old and found unattended"),
            ("special care and unattended", "ten years old, needs special care and found unattended"),
            ("under 16 and living alone", "fifteen and living alone"),
            ("expiry at 18", "an orphan the day before the 18th birthday"),
            ("18", "an orphan on the 18th birthday"),
        ],
    ),
    (
        "maternity",
        &[
            ("declared pregnant", "declared today"),
            ("early to 12 weeks and 6 days", "12+6 is early"),
            ("middle from 13 weeks", "13+0 is the middle"),
            ("middle to 27 weeks and 6 days", "27+6 is the middle"),
            ("late from 28 weeks: emergency card", "28+0 is late"),
            ("priority from 37 weeks", "37+0 has priority"),
            ("priority by her own word", "asks for priority at ten weeks"),
            ("first window of the checks", "reminders before 13 weeks"),
            ("second window", "reminders at 16+0"),
            ("third window", "reminders at 21+0"),
            ("fourth window", "reminders at 28+0"),
            ("fifth window", "reminders at 37+0"),
            ("check of the 42nd day", "reminders on the 28th day"),
            ("childbed: 42 days", "the 42nd day"),
            ("childbed is over", "the 43rd day"),
            ("nursing to the first birthday", "the day before the first birthday"),
            ("expiry at the first birthday", "the first birthday"),
            ("expiry without a recorded birth", "42 days after the due date it ends by itself"),
            ("a pregnancy that ended: nothing further is asked", "ended at 20 weeks"),
        ],
    ),
    (
        "hardship",
        &[
            ("subsistence allowance 低保", "a certificate of the subsistence allowance"),
            ("near the threshold 低保边缘", "near the threshold"),
            ("rigid expenses 刚性支出", "rigid expenses belong to the edge group"),
            ("destitute 特困: key attention", "destitute is key attention"),
            ("destitute, supported at home", "destitute known as supported at home, without a class"),
            ("only with a certificate seen", "a class without a certificate is no membership"),
            ("the quarterly re-check", "a quarter after the check it is due again"),
            (
                "expiry: twelve months without confirmation",
                "the day after twelve months the membership is not found, and the caution says why",
            ),
            ("expiry: the certificate is about to end", "thirty days before its end"),
            ("expiry: the certificate has ended", "the day after its last day"),
            ("allowance and disability: subsidies", "severely disabled too: a hint to the subsidies"),
        ],
    ),
    (
        "military",
        &[
            ("grade 1 of the card: heavy care", "grade 1, in war"),
            (
                "grade 4 of the card is the lightest of heavy care",
                "grade 4, on duty, is the lightest of heavy care",
            ),
            ("by illness, grade 4", "grade 4, by illness"),
            ("grade 5", "grade 5 is in contact, without heavy care"),
            ("grade 10, another scale than the disability certificate", "grade 10 is the lightest"),
            ("by illness only to grade 6", "grade 7 by illness"),
            ("veteran", "a veteran of 35"),
            ("veteran of 60", "the 60th birthday"),
            ("veteran in hardship", "a veteran in hardship"),
            ("took part in a war or in tests", "took part in a war or in tests"),
            ("decorated", "decorated for merit"),
            ("discharged with an illness", "discharged with an illness"),
            ("family of a martyr", "the widow of a martyr"),
            (
                "family of who died on duty",
                "family of a service member who died on duty, the relation is not known",
            ),
            ("family of who died of illness", "family of a service member who died of illness"),
            ("liaison: a martyr's child under age", "a martyr's child of 12 has a liaison person until 18"),
            (
                "liaison: a martyr's parent without support",
                "a martyr's parent whom nobody supports has a liaison person",
            ),
            ("siblings under age", "a sibling of 17"),
            ("grown siblings whom the deceased supported", "a grown sibling whom the deceased supported"),
            ("plaque of honour", "the plaque of honour is loose"),
            ("expiry at the 60th birthday", "the day before the 60th birthday"),
            ("expiry at 18", "a martyr's child on the 18th birthday"),
        ],
    ),
];

#[test]
fn every_class_and_every_expiry_has_a_case() {
    for (name, classes) in CLASSIFICATION {
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
