//! `linli import`: rosters as estates keep them, into a server that runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use linli_proto::v1;

use crate::built;
use crate::harness::server::{Child, Data};

fn import(server: &Child, token: &str, file: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(built::program("linli"));
    command.args(["import", "--lang", "en", "--site", "xingfuli", "--endpoint"]);
    command.arg(format!("http://{}", server.address)).args(options).arg(file);
    command.env("LINLI_TOKEN", token).output().unwrap()
}

/// Exit code, and what was said without blanks at the ends.
#[track_caller]
fn check(output: &Output, code: i32, expect: &[&str]) {
    let said =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for expect in expect {
        assert!(said.contains(expect), "lacks `{expect}`:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_is_imported_once_and_bad_rows_are_named() {
    let server = Child::start(Data::sqlite());
    let client = server.client();
    client.site("xingfuli").await;
    let token = server.token().to_owned();
    let write = |name: &str, text: &str| {
        let path = server.data.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };

    let roster = "某小区老人台账,,,,,\n\
                  姓名,住址,身份证号,居住状况,入住日期,体重\n\
                  甲某,3号楼2单元501,11010519491231002X,独居,2019年5月1日,50\n\
                  乙某,3-2-502,,与老伴同住,,\n\
                  ,3-2-503,123,也许,2019/2/30,\n\
                  丁某,9-9-909,,独居,,\n";
    let first = write("roster.csv", roster);
    // The file alone: no server is called, not even one that is not there.
    let alone = import(&server, "", &first, &["--file-only", "--endpoint", "http://127.0.0.1:1"]);
    check(&alone, 2, &["cannot be used multiple times"]);
    let mut alone = Command::new(built::program("linli"));
    alone.args(["import", "--lang", "en", "--site", "xingfuli", "--file-only"]).arg(&first);
    check(&alone.output().unwrap(), 1, &["4 rows: 3 fit, 1 do not"]);

    // The dwellings are not there.
    let refused = import(&server, &token, &first, &[]);
    check(&refused, 1, &["0 created", "4 refused", "line 3: `dwelling`", "--create-dwellings"]);
    let created = import(&server, &token, &first, &["--create-dwellings"]);

    check(&created, 1, &["4 rows: 3 created, 0 updated, 0 unchanged, 1 refused", "`体重`"]);
    let said = String::from_utf8_lossy(&created.stdout).into_owned();
    assert!(said.contains("line 5: ") && said.contains("is a day that does not exist"), "{said}");
    // Again: nothing changes.
    check(
        &import(&server, &token, &first, &["--create-dwellings"]),
        1,
        &["0 created, 0 updated, 3 unchanged"],
    );
    // Somebody has moved on: one file changes.
    let later = write("later.csv", &roster.replace("与老伴同住", "独居"));
    check(&import(&server, &token, &later, &[]), 1, &["0 created, 1 updated, 2 unchanged, 1 refused"]);

    let members = v1::ListResidentsRequest {
        parent: "sites/xingfuli".into(),
        care_group: "careGroups/living_alone".into(),
        ..v1::ListResidentsRequest::default()
    };
    let people = client.ask(members).await.unwrap().residents;
    // The first is 76; of the two others nobody knows the age.
    let shown: Vec<_> = people.iter().map(|person| person.display_name.as_str()).collect();
    assert_eq!(shown, ["甲**"]);

    // What is wrong before any row.
    let check_file = |name: &str, text: &str, expect: &str| {
        check(&import(&server, &token, &write(name, text), &[]), 2, &[expect]);
    };
    check_file("empty.csv", "", "hold no header");
    check_file("old.xls", "\u{1}", "hold no header");
    check_file("torn.xlsx", "PK\u{3}\u{4}", "cut off or damaged");
    check(&import(&server, "wrong", &first, &[]), 1, &["no valid credentials"]);
    let map = write("map.toml", "[columns]\n\"a\" = \"nmae\"\n");
    let map = map.display().to_string();
    check(
        &import(&server, &token, &first, &["--column-map", &map]),
        2,
        &["`nmae` is not a meaning of a column"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_writes_a_report_and_nothing_else() {
    let server = Child::start(Data::sqlite());
    let client = server.client();
    client.site("xingfuli").await;
    let token = server.token().to_owned();
    let path = |name: &str| server.data.folder().join(name);
    let roster = "姓名,住址,出生日期,备注\n\
                  甲某,3-2-501,1940-05-01,\"=cmd|' /C calc'!A0\"\n\
                  张三,3-2-502,1941-06-02,\n\
                  章三,3-2-503,1941-06-02,\n\
                  ,3-2-504,1942-07-03,\n";
    std::fs::write(path("roster.csv"), roster).unwrap();
    let (report, read) = (path("report.csv"), path("report.xlsx"));
    let options = |report: &std::path::Path| {
        ["--create-dwellings", "--dry-run", "--report"]
            .map(str::to_owned)
            .into_iter()
            .chain([report.display().to_string()])
            .collect::<Vec<_>>()
    };
    let preview = |report: &std::path::Path| {
        let options = options(report);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        import(&server, &token, &path("roster.csv"), &options)
    };
    let expect =
        ["4 rows, nothing written: 2 would be created", "line 4: may be the same person as line 3 (70:"];
    check(&preview(&report), 1, &expect);
    check(&preview(&read), 1, &expect);
    let list = v1::ListResidentsRequest { parent: "sites/xingfuli".into(), ..Default::default() };
    assert_eq!(client.ask(list.clone()).await.unwrap().residents.len(), 0);
    let text = std::fs::read_to_string(&report).unwrap();
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines[..3], ["line,outcome,problems,may be the same person as", "2,created,,", "3,created,,"]);
    assert!(lines[3].starts_with("4,refused,POSSIBLE_DUPLICATE,\"line 3 (70: "), "{}", lines[3]);
    assert!(lines[4].starts_with("5,refused,"), "{}", lines[4]);
    assert!(std::fs::read(&read).unwrap().starts_with(b"PK"));

    // Somebody looked: the fourth line is another person.
    let confirmed = ["--create-dwellings", "--not-duplicates", "4"];
    check(&import(&server, &token, &path("roster.csv"), &confirmed), 1, &["3 created", "1 refused"]);
    assert_eq!(client.ask(list).await.unwrap().residents.len(), 3);
    let wrong = ["--dry-run", "--report", "report.txt"];
    check(&import(&server, &token, &path("roster.csv"), &wrong), 2, &["must end in `.xlsx` or `.csv`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_that_a_plugin_declares_is_a_column() {
    let server = Child::start(Data::sqlite());
    let client = server.client();
    client.site("xingfuli").await;
    let plugins = client.ask(v1::ListPluginsRequest::default()).await.unwrap().plugins;
    let mut fields: BTreeMap<String, v1::PluginField> = BTreeMap::new();
    for field in plugins.into_iter().flat_map(|plugin| plugin.fields) {
        // The file has these itself.
        if !["birth_date", "sex"].contains(&field.field.as_str()) {
            fields.insert(field.field.clone(), field);
        }
    }
    assert!(fields.len() > 40, "{}", fields.len());
    let cell = |field: &v1::PluginField, word: &str, yes: &str| match field.r#type() {
        v1::ValueType::Flag => yes.to_owned(),
        v1::ValueType::Number => field.minimum.unwrap_or(1).max(1).to_string(),
        v1::ValueType::Date => "2026-03-01".to_owned(),
        v1::ValueType::Code => word.to_owned(),
        v1::ValueType::Text | v1::ValueType::Unspecified => "words".to_owned(),
    };
    let value = |field: &v1::PluginField| match field.r#type() {
        v1::ValueType::Flag => v1::value::Kind::Flag(true),
        v1::ValueType::Number => v1::value::Kind::Number(field.minimum.unwrap_or(1).max(1)),
        v1::ValueType::Date => v1::value::Kind::Date("2026-03-01".to_owned()),
        v1::ValueType::Code => v1::value::Kind::Code(field.options[0].clone()),
        v1::ValueType::Text | v1::ValueType::Unspecified => v1::value::Kind::Text("words".to_owned()),
    };
    let expect: BTreeMap<String, v1::value::Kind> =
        fields.values().map(|field| (field.field.clone(), value(field))).collect();
    let text = |text: Option<&v1::LocalizedText>, zh: bool| {
        let text = text.expect("every field has a title");
        if zh { text.zh.clone() } else { text.en.clone() }
    };
    // By the Chinese title, by the English one, by the code.
    for (name, zh, by_code) in [("甲某", true, false), ("乙某", false, false), ("丙某", true, true)] {
        let (mut titles, mut cells) = (vec!["姓名".to_owned(), "住址".to_owned()], vec![name.to_owned()]);
        cells.push(format!("3-2-50{}", titles.len() + usize::from(zh) + 2 * usize::from(by_code)));
        for field in fields.values() {
            titles.push(if by_code { field.field.clone() } else { text(field.title.as_ref(), zh) });
            let word = field.option_texts.first().map(|option| text(option.text.as_ref(), zh));
            cells.push(cell(field, &word.unwrap_or_default(), if zh { "是" } else { "yes" }));
        }
        let quoted =
            |cells: &[String]| cells.iter().map(|cell| format!("\"{cell}\"")).collect::<Vec<_>>().join(",");
        let path = server.data.folder().join("fields.csv");
        std::fs::write(&path, format!("{}\n{}\n", quoted(&titles), quoted(&cells))).unwrap();
        let imported = import(&server, server.token(), &path, &["--create-dwellings"]);
        check(&imported, 0, &["1 rows: 1 created, 0 updated, 0 unchanged, 0 refused"]);
    }
    let list = v1::ListResidentsRequest { parent: "sites/xingfuli".into(), ..Default::default() };
    let people = client.ask(list).await.unwrap().residents;
    assert_eq!(people.len(), 3);
    for person in people {
        let facts = client.full(&person.name).await.facts;
        let found: BTreeMap<String, v1::value::Kind> =
            facts.into_iter().map(|fact| (fact.field, fact.value.unwrap().kind.unwrap())).collect();
        let differ: Vec<_> = expect.iter().filter(|(code, value)| found.get(*code) != Some(value)).collect();
        assert!(differ.is_empty(), "{}: expected {differ:?}\nfound {found:?}", person.display_name);
    }
}
