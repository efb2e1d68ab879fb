//! Who is let in: good tokens of every kind, and every sort of bad one; rights that end while a token lives on; what one caller
//! can learn or take from another.

use linli_proto::v1;
use ring::hmac;
use serde_json::{Value, json};

use crate::harness::client::{Client, Rpc};
use crate::harness::estate::request_id;
use crate::harness::issuer::{AUDIENCE, By, ISSUER, Issuer, b64, by_token, claims, grant, header, now};
use crate::harness::{Refusal, refused};

async fn sites(client: &Client) -> Result<v1::ListSitesResponse, tonic::Status> {
    client.ask(v1::ListSitesRequest::default()).await
}

/// Claims with one of them in place of what it was; null: without it.
fn but(name: &str, value: Value) -> Value {
    let mut claims = claims("wang");
    let map = claims.as_object_mut().unwrap();
    match value {
        Value::Null => drop(map.remove(name)),
        value => drop(map.insert(name.to_owned(), value)),
    }
    claims
}

/// A header of the Ed25519 key with something added or in place of what it was.
fn with(name: &str, value: Value) -> Value {
    let mut header = header("EdDSA", "ed");
    header.as_object_mut().unwrap().insert(name.to_owned(), value);
    header
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn good_tokens_are_taken_and_bad_ones_are_not() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    server.client().site("a").await;
    issuer.enter(&server, "wang", vec![grant(v1::StaffRole::Member, &["a"])]).await;
    let ed = |claims: &Value| issuer.sign(By::Ed25519, &header("EdDSA", "ed"), claims);

    let good = [
        ("Ed25519", issuer.token("wang")),
        ("P-256", issuer.sign(By::P256, &header("ES256", "ec"), &claims("wang"))),
        ("RSA", issuer.sign(By::Rsa, &header("RS256", "rsa"), &claims("wang"))),
        ("one audience of several", ed(&but("aud", json!(["other", AUDIENCE])))),
        ("no type", issuer.sign(By::Ed25519, &json!({ "alg": "EdDSA", "kid": "ed" }), &claims("wang"))),
        ("expired within the leeway", ed(&but("exp", json!(now() - 10)))),
        ("valid within the leeway", ed(&but("nbf", json!(now() + 10)))),
        ("no beginning", ed(&but("nbf", Value::Null))),
        ("fractions of a second", ed(&but("exp", json!(f64::from(i32::MAX) + 0.5)))),
    ];
    for (what, token) in &good {
        // Twice: the second time the signature is remembered.
        for _ in 0..2 {
            let listed = sites(&server.nobody().token(token)).await;
            assert_eq!(listed.unwrap_or_else(|status| panic!("{what}: {status:?}")).sites.len(), 1, "{what}");
        }
    }

    let token = issuer.token("wang");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (head, body) = signed.split_once('.').unwrap();
    let confused = |header: Value| {
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims("wang").to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &issuer.rsa_public());
        format!("{signed}.{}", b64(hmac::sign(&key, signed.as_bytes())))
    };
    let strange = |header: Value| issuer.sign(By::Stranger, &header, &claims("wang"));
    let unsigned = |alg: &str, kid: &str| {
        format!("{}.{}.", b64(header(alg, kid).to_string()), b64(claims("wang").to_string()))
    };
    let flipped = signature.replacen(|_| true, if signature.starts_with('A') { "B" } else { "A" }, 1);
    let es = format!("{}.{}", b64(header("ES256", "ec").to_string()), b64(claims("wang").to_string()));
    let doubled = r#"{"alg":"EdDSA","alg":"none","kid":"ed"}"#;
    let bad: Vec<(&str, String)> = vec![
        ("empty", String::new()),
        ("no token", "wang".into()),
        ("two parts", signed.to_owned()),
        ("four parts", format!("{token}.{signature}")),
        ("padded", format!("{token}=")),
        ("a signature of another byte", format!("{signed}.{flipped}")),
        ("another's signature", strange(header("EdDSA", "ed"))),
        ("claims changed after signing", format!("{head}.{}.{signature}", b64(claims("leader").to_string()))),
        ("a signature of nothing", format!("{signed}.")),
        ("a signature of zeros", format!("{es}.{}", b64([0; 64]))),
        ("alg none", unsigned("none", "ed")),
        ("alg None", unsigned("None", "ed")),
        ("alg none, no key", format!("{}.{body}.", b64(r#"{"alg":"none"}"#))),
        ("no algorithm", issuer.sign(By::Ed25519, &json!({ "kid": "ed" }), &claims("wang"))),
        ("HS256 with the RSA key as secret", confused(header("HS256", "rsa"))),
        ("RS256 said, HS256 done", confused(header("RS256", "rsa"))),
        ("the algorithm of another key", issuer.sign(By::Ed25519, &header("RS256", "ed"), &claims("wang"))),
        ("the key of another algorithm", issuer.sign(By::Ed25519, &header("EdDSA", "ec"), &claims("wang"))),
        ("ES256 for Ed25519", issuer.sign(By::P256, &header("ES256", "ed"), &claims("wang"))),
        ("an unknown key", issuer.sign(By::Ed25519, &header("EdDSA", "old"), &claims("wang"))),
        ("no key", issuer.sign(By::Ed25519, &json!({ "alg": "EdDSA" }), &claims("wang"))),
        ("a path for a key", issuer.sign(By::Ed25519, &header("EdDSA", "../../dev/null"), &claims("wang"))),
        ("its own key embedded", strange(with("jwk", issuer.strange_jwk()))),
        ("its own key by address", strange(with("jku", json!("https://evil.example/keys")))),
        ("its own certificate by address", strange(with("x5u", json!("https://evil.example/cert")))),
        ("its own certificate", strange(with("x5c", json!(["MIIB"])))),
        ("extensions asked for", issuer.sign(By::Ed25519, &with("crit", json!(["b64"])), &claims("wang"))),
        ("another type", issuer.sign(By::Ed25519, &with("typ", json!("logout+jwt")), &claims("wang"))),
        ("a doubled algorithm", issuer.sign_text(By::Ed25519, doubled, &claims("wang").to_string())),
        ("a header that is no JSON", issuer.sign_text(By::Ed25519, "ed", &claims("wang").to_string())),
        (
            "claims that are no JSON",
            issuer.sign_text(By::Ed25519, &header("EdDSA", "ed").to_string(), "wang"),
        ),
        ("expired", ed(&but("exp", json!(now() - 60)))),
        ("no expiry", ed(&but("exp", Value::Null))),
        ("an expiry in words", ed(&but("exp", json!("tomorrow")))),
        ("not valid yet", ed(&but("nbf", json!(now() + 120)))),
        ("another audience", ed(&but("aud", json!("payroll")))),
        ("no audience", ed(&but("aud", Value::Null))),
        ("audiences without this one", ed(&but("aud", json!(["payroll", "linli2"])))),
        ("another issuer", ed(&but("iss", json!("https://id.example.evil")))),
        ("an issuer with a slash", ed(&but("iss", json!(format!("{ISSUER}/"))))),
        ("no issuer", ed(&but("iss", Value::Null))),
        ("no subject", ed(&but("sub", Value::Null))),
        ("an empty subject", ed(&but("sub", json!("")))),
        ("a subject with blanks around", ed(&but("sub", json!(" wang")))),
        ("a subject with NUL", ed(&but("sub", json!("wang\0")))),
        ("a subject of two lines", ed(&but("sub", json!("x\ntoken wang")))),
        ("oversized", ed(&but("padding", json!("x".repeat(9000))))),
    ];
    for (what, token) in &bad {
        for client in [server.nobody().token(token), server.nobody().with("authorization", token)] {
            let refusal = refused(sites(&client).await, "UNAUTHENTICATED");
            assert_eq!(
                refusal.message,
                Refusal::of(&sites(&server.nobody()).await.unwrap_err()).message,
                "{what}"
            );
        }
    }
    // Of all this only the count is kept.
    let counted = format!("linli_unauthenticated_calls_total {}", bad.len() * 4);
    assert!(server.metrics().contains(&counted), "{counted} in\n{}", server.metrics());
    let chain = server.app.store.audit_entries(&linli_store::Scope::System, 0, 1000).await.unwrap();
    assert!(chain.iter().all(|entry| entry.draft.decision == linli_store::Decision::Allowed), "{chain:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_read_again_while_serving() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let wang = issuer.enter(&server, "wang", vec![grant(v1::StaffRole::Leader, &["-"])]).await;
    sites(&wang).await.unwrap();
    let mut keys = issuer.jwks();
    keys["keys"][0]["kid"] = json!("new");
    std::fs::write(server.data.folder().join("keys.json"), keys.to_string()).unwrap();
    let renewed = server.nobody().token(&issuer.sign(By::Ed25519, &header("EdDSA", "new"), &claims("wang")));
    let since = std::time::Instant::now();
    while sites(&renewed).await.is_err() {
        assert!(since.elapsed() < crate::harness::PATIENCE, "the new key is not taken");
        tokio::task::yield_now().await;
    }
    // The signature of the token before was remembered; with its key it is forgotten.
    refused(sites(&wang).await, "UNAUTHENTICATED");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_end_while_the_token_lives() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let leader = server.client();
    let site = leader.site("a").await;
    let wang = issuer.enter(&server, "wang", vec![grant(v1::StaffRole::Member, &["a"])]).await;
    let get = v1::GetSiteRequest { name: site.clone() };
    wang.ask(get.clone()).await.unwrap();
    leader
        .ask(v1::DeactivateStaffRequest { name: "staff/wang".to_owned(), ..Default::default() })
        .await
        .unwrap();
    refused(wang.ask(get.clone()).await, "PERMISSION_DENIED");
    let reactivate = v1::ReactivateStaffRequest { name: "staff/wang".to_owned(), ..Default::default() };
    leader.ask(reactivate).await.unwrap();
    wang.ask(get.clone()).await.unwrap();
    // Until yesterday, or from tomorrow: not today.
    let at = |seconds: i64| Some(prost_types::Timestamp { seconds: now() + seconds, nanos: 0 });
    for (start_time, end_time, holds) in
        [(None, at(-60), false), (at(60), None, false), (at(-60), at(60), true), (None, None, true)]
    {
        let grants = vec![v1::StaffGrant { start_time, end_time, ..grant(v1::StaffRole::Member, &["a"]) }];
        let staff = v1::Staff { name: "staff/wang".to_owned(), grants, ..Default::default() };
        let update_mask = crate::harness::estate::mask(&["grants"]);
        leader
            .ask(v1::UpdateStaffRequest { staff: Some(staff), update_mask, ..Default::default() })
            .await
            .unwrap();
        let answer = wang.ask(get.clone()).await;
        assert_eq!(answer.is_ok(), holds, "{start_time:?} {end_time:?}: {answer:?}");
    }
    // Somebody else's token, by a name that somebody else has now.
    let staff = v1::Staff {
        name: "staff/wang".to_owned(),
        credentials: vec![by_token("wang-2")],
        ..Default::default()
    };
    let update_mask = crate::harness::estate::mask(&["credentials"]);
    leader
        .ask(v1::UpdateStaffRequest { staff: Some(staff), update_mask, ..Default::default() })
        .await
        .unwrap();
    refused(wang.ask(get.clone()).await, "PERMISSION_DENIED");
    server.nobody().token(&issuer.token("wang-2")).ask(get).await.unwrap();
    server.stop().await;
}

/// The same answer, but for the id of the call, to what exists and what does not.
#[track_caller]
fn alike<A: std::fmt::Debug, B: std::fmt::Debug>(
    one: Result<A, tonic::Status>,
    other: Result<B, tonic::Status>,
) {
    let apart = |status: tonic::Status| Refusal { request_id: String::new(), ..Refusal::of(&status) };
    let (one, other) = (apart(one.unwrap_err()), apart(other.unwrap_err()));
    assert_eq!(one, other);
    assert!(matches!(one.reason.as_str(), "PERMISSION_DENIED" | "NOT_FOUND"), "{one:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_what_is_not_theirs() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let (_, _, own) = server.client().estate("a").await;
    let (_, foreign_dwelling, foreign) = server.client().estate("b").await;
    let member = issuer.enter(&server, "wang", vec![grant(v1::StaffRole::Member, &["a"])]).await.purposeful();
    let mut security = grant(v1::StaffRole::Member, &["a"]);
    security.department = v1::Department::Security.into();
    let guard = issuer.enter(&server, "zhao", vec![security]).await.purposeful();
    let get = |name: &str| v1::GetResidentRequest { name: name.to_owned(), view: v1::View::Basic.into() };
    member.ask(get(&own)).await.unwrap();
    // Another site's file, another site's missing file, a file of a site that is not there.
    let missing = "sites/b/residents/00000000-0000-7000-8000-000000000000";
    alike(member.ask(get(&foreign)).await, member.ask(get(missing)).await);
    alike(member.ask(get(&foreign)).await, member.ask(get(&missing.replace("sites/b", "sites/c"))).await);
    // One's own site's files, for somebody who keeps none.
    alike(guard.ask(get(&own)).await, guard.ask(get(&missing.replace("sites/b", "sites/a"))).await);
    // In a list across sites there is nothing of the others.
    let listed = sites(&member).await.unwrap();
    assert_eq!(listed.sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>(), ["sites/a"]);
    let records = member.ask(v1::ListRecordsRequest { parent: "sites/-".to_owned(), ..Default::default() });
    assert!(records.await.unwrap().records.iter().all(|record| record.name.starts_with("sites/a/")));
    let dwellings =
        member.ask(v1::ListDwellingsRequest { parent: "sites/-".to_owned(), ..Default::default() });
    let dwellings = dwellings.await.unwrap().dwellings;
    assert!(
        !dwellings.is_empty() && dwellings.iter().all(|d| d.name.starts_with("sites/a/")),
        "{dwellings:?}"
    );
    let list = |dwelling: &str| v1::ListResidentsRequest {
        parent: "sites/-".to_owned(),
        dwelling: dwelling.to_owned(),
        ..Default::default()
    };
    let residents = member.ask(list("")).await.unwrap().residents;
    assert_eq!(residents.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), [own.as_str()]);
    assert!(member.ask(list(&foreign_dwelling)).await.unwrap().residents.is_empty());
    // Staff of other sites.
    issuer.enter(&server, "lin", vec![grant(v1::StaffRole::Deputy, &["b"])]).await;
    let deputy = issuer.enter(&server, "qian", vec![grant(v1::StaffRole::Deputy, &["a"])]).await;
    let staff = |id: &str| v1::GetStaffRequest { name: format!("staff/{id}") };
    alike(deputy.ask(staff("lin")).await, deputy.ask(staff("nobody")).await);
    let seen = deputy.ask(v1::ListStaffRequest::default()).await.unwrap().staff;
    assert_eq!(
        seen.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
        ["staff/qian", "staff/wang", "staff/zhao"]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_of_another_is_worth_nothing() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    server.client().site("a").await;
    let deputy = vec![grant(v1::StaffRole::Deputy, &["a"])];
    let wang = issuer.enter(&server, "wang", deputy.clone()).await;
    let lin = issuer.enter(&server, "lin", deputy).await;
    let guest = issuer.enter(&server, "guest", vec![grant(v1::StaffRole::Volunteer, &["a"])]).await;
    let post = v1::Post {
        display_name: "管家".to_owned(),
        department: v1::Department::CustomerService.into(),
        ..Default::default()
    };
    let request = v1::CreatePostRequest {
        parent: "sites/a".to_owned(),
        post: Some(post),
        request_id: request_id(1),
        ..Default::default()
    };
    let first = wang.ask(request.clone()).await.unwrap();
    assert_eq!(wang.ask(request.clone()).await.unwrap(), first, "the same caller gets the same answer");
    let other = lin.ask(request.clone()).await.unwrap();
    assert_ne!(other.name, first.name, "another caller's command is another command");
    refused(guest.ask(request.clone()).await, "PERMISSION_DENIED");
    // A right that ended ends the repetition, too.
    let gone = v1::DeactivateStaffRequest { name: "staff/wang".to_owned(), ..Default::default() };
    server.client().ask(gone).await.unwrap();
    refused(wang.ask(request).await, "PERMISSION_DENIED");
    // Nor is a page token.
    let page = v1::ListPostsRequest { parent: "sites/a".to_owned(), page_size: 1, ..Default::default() };
    let token = lin.ask(page.clone()).await.unwrap().next_page_token;
    assert!(!token.is_empty());
    let next = v1::ListPostsRequest { page_token: token, ..page };
    refused(server.client().ask(next.clone()).await, "PAGE_TOKEN_INVALID");
    lin.ask(next).await.unwrap();
    server.stop().await;
}

/// Names are values, in policies too.
#[tokio::test(flavor = "multi_thread")]
async fn policies_are_not_written_by_names() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let site = server.client().site("a").await;
    let injected = [
        "\" } || true || principal == Role::\"leader",
        "Role::\"leader\"",
        "leader",
        "dev",
        "linli",
        "server",
        "*",
        "%' OR '1'='1",
        "wang\u{202e}gnaw",
    ];
    for (at, subject) in injected.iter().enumerate() {
        let client = server.nobody().token(&issuer.token(subject));
        refused(client.ask(v1::GetSiteRequest { name: site.clone() }).await, "PERMISSION_DENIED");
        // Entered under that name, with a role that may not.
        let staff = v1::Staff {
            display_name: (*subject).to_owned(),
            grants: vec![grant(v1::StaffRole::Volunteer, &["a"])],
            credentials: vec![by_token(subject)],
            ..Default::default()
        };
        let request =
            v1::CreateStaffRequest { staff: Some(staff), staff_id: format!("s{at}"), ..Default::default() };
        let entered = server.client().ask(request).await.unwrap();
        assert_eq!(entered.display_name, *subject);
        let client = client.with("x-purpose", "ROUTINE_CARE; \" } || true");
        refused(client.ask(v1::GetSiteRequest { name: site.clone() }).await, "PERMISSION_DENIED");
        let list = v1::ListCareGroupsRequest::default();
        client.ask(list).await.unwrap_or_else(|status| panic!("{subject}: {status:?}"));
    }
    // An id that would leave the name it stands in is none.
    for id in ["a\"", "a/../b", "Site::\"a\"", "-"] {
        let client = server.client();
        let answer = client.bytes(v1::GetSiteRequest::PATH, {
            use prost::Message as _;
            v1::GetSiteRequest { name: format!("sites/{id}") }.encode_to_vec()
        });
        refused(answer.await, "INVALID_FIELD");
    }
    server.stop().await;
}
