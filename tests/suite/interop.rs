//! Clients that know nothing of this repository: grpcurl 1.8.6 by reflection v1alpha, `buf curl` by v1, and a Python
//! client that was written from reflection alone.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::built::Tool;
use crate::harness::client::RPCS;
use crate::harness::server::Child;
use crate::harness::server::Data;

/// What a program says; it must succeed.
fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {arguments:?}\n{out}\n{err}", program.display());
    out.into_owned()
}

/// What a program says that must fail.
fn fail(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(!output.status.success(), "{} {arguments:?}", program.display());
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The services of the suite's list.
fn services() -> Vec<String> {
    let mut services: Vec<String> =
        RPCS.iter().map(|path| path.split('/').next().unwrap().to_owned()).collect();
    services.sort();
    services.dedup();
    services
}

/// One call for each service, in JSON, that succeeds on an empty server in this order.
const CALLS: &[(&str, &str)] = &[
    ("SiteService/CreateSite", r#"{"site": {"display_name": "清河苑"}, "site_id": "tools"}"#),
    ("SiteService/ListSites", "{}"),
    ("ResidentService/ListResidents", r#"{"parent": "sites/tools"}"#),
    ("CareRecordService/ListRecords", r#"{"parent": "sites/tools", "kind": "SERVICE_KIND_HOME_VISIT"}"#),
    ("CatalogService/GetStandard", r#"{"name": "standards/elder.visit"}"#),
    ("ObligationService/ListObligations", r#"{"parent": "sites/tools", "start_date": "2026-03-16"}"#),
    ("ComplianceService/GetComplianceReport", r#"{"parent": "sites/tools", "period": "PERIOD_UNIT_WEEK"}"#),
    ("PluginService/ListPlugins", r#"{"page_size": 5}"#),
    ("AuditService/ListAuditEntries", r#"{"parent": "sites/tools"}"#),
    ("AdminService/AdvanceClock", r#"{"by": "60s"}"#),
    ("AdminService/GetServerInfo", "{}"),
];

#[test]
fn grpcurl_lists_describes_and_calls_by_reflection_v1alpha() {
    let Some(grpcurl) = Tool::Grpcurl.find() else { return };
    let child = Child::start(Data::sqlite());
    let authorization = format!("authorization: Bearer {}", child.token());
    let plain = ["-plaintext", "-H", &authorization];
    let with =
        |rest: &[&str]| [&plain, rest].concat().iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let run = |rest: &[&str]| {
        let arguments = with(rest);
        run(&grpcurl, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let listed = run(&[&child.address, "list"]);
    for service in services() {
        assert!(listed.lines().any(|line| line == service), "{service} in {listed}");
        run(&[&child.address, "describe", &service]);
    }
    for standard in ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"] {
        assert!(listed.contains(standard), "{standard}");
    }
    for path in RPCS {
        let method = path.replace('/', ".");
        let described = run(&[&child.address, "describe", &method]);
        assert!(described.contains("rpc "), "{described}");
    }
    let message = run(&[&child.address, "describe", "linli.v1.Resident"]);
    assert!(message.contains("masked_identity_number"), "{message}");
    for (method, body) in CALLS {
        let answer = run(&["-d", body, &child.address, &format!("linli.v1.{method}")]);
        serde_json::from_str::<Value>(&answer).unwrap_or_else(|error| panic!("{method}: {error}: {answer}"));
    }
    // Without a token even the words of the refusal are readable.
    let refused =
        fail(&grpcurl, &["-plaintext", "-d", "{}", &child.address, "linli.v1.SiteService/ListSites"]);
    assert!(refused.contains("Unauthenticated") && refused.contains("UNAUTHENTICATED"), "{refused}");
    let health = run(&[&child.address, "grpc.health.v1.Health/Check"]);
    assert!(health.contains("SERVING"), "{health}");
}

#[test]
fn buf_curl_lists_describes_and_calls_by_reflection_v1() {
    let Some(buf) = Tool::Buf.find() else { return };
    let child = Child::start(Data::sqlite());
    let authorization = format!("Authorization: Bearer {}", child.token());
    let base = format!("http://{}", child.address);
    let curl = |rest: &[&str]| {
        let plain =
            ["curl", "--protocol", "grpc", "--http2-prior-knowledge", "--reflect-protocol", "grpc-v1"];
        let header = ["--header", authorization.as_str(), "--reflect-header", authorization.as_str()];
        run(&buf, &[&plain[..], &header[..], rest].concat())
    };
    let listed = curl(&["--list-methods", &base]);
    for path in RPCS {
        assert!(listed.lines().any(|line| line.trim() == *path), "{path} in {listed}");
    }
    for (method, body) in CALLS {
        let url = format!("{base}/linli.v1.{method}");
        let answer = curl(&["--data", body, &url]);
        serde_json::from_str::<Value>(&answer).unwrap_or_else(|error| panic!("{method}: {error}: {answer}"));
    }
}

#[test]
fn a_python_client_from_reflection_alone_tells_the_story() {
    let Some(python) = Tool::Python.find() else { return };
    let child = Child::start(Data::sqlite());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reflection_client.py");
    let told = run(&python, &[&script.display().to_string(), &child.address, child.token()]);
    let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let listed: Vec<String> = serde_json::from_value(told["services"].clone()).unwrap();
    for service in services() {
        assert!(listed.contains(&service), "{service}");
    }
    let expected = serde_json::json!({
        "masked": "秦**",
        "groups": ["advanced_age", "empty_nest", "living_alone"],
        "before": {"standards/elder.call": "open", "standards/elder.visit": "open"},
        "after": {"standards/elder.call": "met", "standards/elder.visit": "met"},
        "note": "一切都好",
        "rates": {"standards/elder.call": "1/1", "standards/elder.visit": "1/1"},
        "refused": "NOT_FOUND",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&told[key], value, "{key}");
    }
}
