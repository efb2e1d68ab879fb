//! `linli import`: rosters as estates keep them, into a server that runs.

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
    // Nothing is sent in a dry run, not even to a server that is not there.
    let dry = import(&server, "", &first, &["--dry-run", "--endpoint", "http://127.0.0.1:1"]);
    check(&dry, 2, &["cannot be used multiple times"]);
    let mut dry = Command::new(built::program("linli"));
    dry.args(["import", "--lang", "en", "--site", "xingfuli", "--dry-run"]).arg(&first);
    check(&dry.output().unwrap(), 1, &["4 rows: 3 fit, 1 do not"]);

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
