//! Policies as an operator meets them: printed, checked, explained, and one's own in place of the built-in ones.

use std::process::Command;

use linli_proto::v1;

use crate::built;
use crate::harness::issuer::{Issuer, grant};
use crate::harness::refused;
use crate::harness::server::{Child, Data, Server};

/// `linli policy …`: its exit code and what it said.
fn policy(args: &[&str]) -> (i32, String) {
    let output = Command::new(built::program("linli")).arg("policy").args(args).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap(), text)
}

#[test]
fn calls_are_explained_by_the_policy_that_decides() {
    let check = |args: &str, code: i32, expect: &[&str]| {
        let args: Vec<&str> = ["explain"].into_iter().chain(args.split(' ')).collect();
        let (found, said) = policy(&args);
        assert_eq!(found, code, "{args:?}\n{said}");
        for part in expect {
            assert!(said.contains(part), "{args:?}: no `{part}` in\n{said}");
        }
    };
    check("--as deputy --rpc GetResident", 0, &["allowed", "ResidentService/GetResident", "`deputy`"]);
    check(
        "--as member.security --rpc GetResident",
        0,
        &["denied", "as member.security: no policy permits it"],
    );
    let elsewhere = "--as leader --of a --rpc GetResident --site b";
    check(elsewhere, 0, &["denied", "in sites/b", "forbidden by `own-sites`"]);
    check("--as leader --of a --rpc GetResident --site a", 0, &["allowed"]);
    check("--as leader --of a --rpc CreateSite", 0, &["denied", "forbidden by `whole-server`"]);
    check(
        "--as leader --rpc GetResident --given protected",
        0,
        &["denied", "forbidden by `protected-files`"],
    );
    check("--as leader --rpc GetResident --given protected --given named", 0, &["allowed"]);
    check("--as member.security --rpc RevealResident", 0, &["denied"]);
    let at_night = "--as member.security --rpc RevealResident --class contact --given emergency";
    check(at_night, 0, &["allowed", "permitted by `emergency-access`"]);
    check("--as member.security --rpc RevealResident --class health --given emergency", 0, &["denied"]);
    check("--as deputy --rpc GetResident --given secret", 2, &["`secret` is none of"]);
    check("--as king --rpc GetResident", 2, &["`king` is none of", "member.cleaning"]);
    check("--as deputy --rpc Get", 2, &["there is no `Get`"]);
    // Without an RPC: all of them, a line each.
    let (code, said) = policy(&["explain", "--as", "volunteer"]);
    assert_eq!((code, said.lines().count()), (0, crate::harness::client::RPCS.len()));
    assert!(said.contains("allowed  volunteer: CatalogService/GetStandard"), "{said}");
    assert!(said.contains("denied   volunteer: ResidentService/GetResident"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_policies_are_checked_and_hold() {
    let data = Data::sqlite();
    let file = data.folder().join("mine.cedar");
    let shown = file.display().to_string();
    let (code, built_in) = policy(&["show"]);
    assert_eq!(code, 0);
    std::fs::write(&file, &built_in).unwrap();
    assert_eq!(policy(&["check"]).0, 0);
    assert_eq!(policy(&["check", &shown]).0, 0, "what is printed is usable");

    let wrong =
        "\n\n@id(\"mine\")\npermit (principal == Role::\"boss\", action == Action::\"GetSite\", resource);\n";
    std::fs::write(&file, wrong).unwrap();
    let (code, said) = policy(&["check", &shown]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("mine.cedar:4:"), "{said}");
    // A server does not start with them, and says so.
    let issuer = Issuer::new();
    let data = issuer.trusted(data).with(&format!("auth.policy_file = \"{shown}\""));
    let said = Child::try_start(data.clone()).err().unwrap();
    assert!(said.contains("mine.cedar:4:"), "{said}");

    // Stricter ones: deputies may do nothing here, and nobody reads posts.
    let stricter = built_in.replace("principal == Role::\"deputy\"", "principal == Role::\"nobody\"")
        + "\n@id(\"posts\") forbid (principal, action == Action::\"SiteService/GetPost\", resource);\n";
    assert_ne!(stricter, built_in);
    std::fs::write(&file, stricter).unwrap();
    let server = Server::on(data).await;
    server.client().site("a").await;
    let get = v1::GetSiteRequest { name: "sites/a".to_owned() };
    server.client().ask(get.clone()).await.unwrap();
    let deputy = issuer.enter(&server, "lin", vec![grant(v1::StaffRole::Deputy, &["a"])]).await;
    refused(deputy.ask(get).await, "PERMISSION_DENIED");
    let post = v1::GetPostRequest { name: "sites/a/posts/p".to_owned() };
    refused(server.client().ask(post).await, "PERMISSION_DENIED");
    server.stop().await;
}
