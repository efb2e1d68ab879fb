//! The working group: entering, changing, ending; who may give which rights.

use linli_proto::v1;

use crate::harness::estate::mask;
use crate::harness::issuer::{Issuer, by_token, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

fn staff(
    id: &str,
    grants: Vec<v1::StaffGrant>,
    credentials: Vec<v1::StaffCredential>,
) -> v1::CreateStaffRequest {
    let staff = v1::Staff { display_name: format!("{id} 先生"), grants, credentials, ..Default::default() };
    v1::CreateStaffRequest { staff: Some(staff), staff_id: id.to_owned(), ..Default::default() }
}

fn named(id: &str) -> String {
    format!("staff/{id}")
}

fn update(id: &str, grants: Vec<v1::StaffGrant>) -> v1::UpdateStaffRequest {
    let staff = v1::Staff { name: named(id), grants, ..Default::default() };
    v1::UpdateStaffRequest { staff: Some(staff), update_mask: mask(&["grants"]), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_are_entered_listed_and_changed() {
    let server = Server::start().await;
    let client = server.client();
    client.site("a").await;
    client.site("b").await;
    let member = grant(v1::StaffRole::Member, &["b", "a"]);
    let wang = client.ask(staff("wang", vec![member.clone()], vec![by_token("w@example")])).await.unwrap();
    assert_eq!(wang.name, "staff/wang");
    assert_eq!(wang.grants[0].sites, ["sites/a", "sites/b"], "in order");
    assert_eq!(wang.credentials, [by_token("w@example")]);
    let lin = client.ask(staff("lin", vec![grant(v1::StaffRole::Deputy, &["-"])], Vec::new())).await.unwrap();
    assert_eq!(lin.grants[0].sites, ["sites/-"]);
    assert_eq!(client.ask(v1::GetStaffRequest { name: named("wang") }).await.unwrap(), wang);

    let list = |site: &str, role: v1::StaffRole| v1::ListStaffRequest {
        site: site.to_owned(),
        role: role.into(),
        ..Default::default()
    };
    let check = async |request: v1::ListStaffRequest, expect: &[&str]| {
        let names: Vec<_> = client.ask(request).await.unwrap().staff.into_iter().map(|s| s.name).collect();
        assert_eq!(names, expect);
    };
    check(list("", v1::StaffRole::Unspecified), &["staff/lin", "staff/wang"]).await;
    check(list("sites/b", v1::StaffRole::Member), &["staff/wang"]).await;
    check(list("sites/c", v1::StaffRole::Unspecified), &["staff/lin"]).await;
    let mut page = v1::ListStaffRequest { page_size: 1, ..Default::default() };
    let first = client.ask(page.clone()).await.unwrap();
    page.page_token = first.next_page_token;
    assert_eq!(client.ask(page).await.unwrap().staff[0].name, "staff/wang");

    // A stale etag, a credential of somebody else, an id that is taken.
    let changed = v1::Staff { display_name: "王管家".to_owned(), ..wang.clone() };
    let rename = v1::UpdateStaffRequest {
        staff: Some(changed),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    };
    assert_eq!(client.ask(rename.clone()).await.unwrap().display_name, "王管家");
    refused(client.ask(rename).await, "ETAG_MISMATCH");
    refused(client.ask(staff("wang", Vec::new(), Vec::new())).await, "ALREADY_EXISTS");
    refused(client.ask(staff("zhou", Vec::new(), vec![by_token("w@example")])).await, "ALREADY_EXISTS");
    // A credential that was given up is free.
    let without = v1::UpdateStaffRequest {
        staff: Some(v1::Staff { name: named("wang"), ..Default::default() }),
        update_mask: mask(&["credentials"]),
        ..Default::default()
    };
    assert!(client.ask(without).await.unwrap().credentials.is_empty());
    client.ask(staff("zhou", Vec::new(), vec![by_token("w@example")])).await.unwrap();

    // Deactivated once, and back once.
    let gone = v1::DeactivateStaffRequest { name: named("wang"), ..Default::default() };
    assert!(client.ask(gone.clone()).await.unwrap().deactivate_time.is_some());
    refused(client.ask(gone).await, "STAFF_STATE");
    let back = v1::ReactivateStaffRequest { name: named("wang"), ..Default::default() };
    assert_eq!(client.ask(back.clone()).await.unwrap().deactivate_time, None);
    refused(client.ask(back).await, "STAFF_STATE");
    refused(client.ask(v1::GetStaffRequest { name: named("none") }).await, "NOT_FOUND");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_staff_are_refused_field_by_field() {
    let server = Server::start().await;
    let client = server.client();
    client.site("a").await;
    let department = |department: v1::Department, role| v1::StaffGrant {
        department: department.into(),
        ..grant(role, &["a"])
    };
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let check =
        async |grants: Vec<v1::StaffGrant>, credentials: Vec<v1::StaffCredential>, fields: &[&str]| {
            invalid(client.ask(staff("x", grants, credentials)).await, fields);
        };
    let member = v1::StaffRole::Member;
    check(vec![grant(v1::StaffRole::Unspecified, &["a"])], Vec::new(), &["staff.grants[0].role"]).await;
    check(vec![grant(v1::StaffRole::Leader, &[])], Vec::new(), &["staff.grants[0].sites"]).await;
    check(vec![grant(v1::StaffRole::Leader, &["a", "a"])], Vec::new(), &["staff.grants[0].sites"]).await;
    check(vec![grant(v1::StaffRole::Leader, &["a", "-"])], Vec::new(), &["staff.grants[0].sites[1]"]).await;
    let none = department(v1::Department::Unspecified, member);
    check(vec![none], Vec::new(), &["staff.grants[0].department"]).await;
    let leader = department(v1::Department::Security, v1::StaffRole::Leader);
    check(vec![leader], Vec::new(), &["staff.grants[0].department"]).await;
    let backwards = v1::StaffGrant { start_time: at(20), end_time: at(10), ..grant(member, &["a"]) };
    check(vec![backwards], Vec::new(), &["staff.grants[0].end_time"]).await;
    check(vec![grant(member, &["a"]); 51], Vec::new(), &["staff.grants"]).await;
    check(Vec::new(), vec![by_token("a"), by_token("a")], &["staff.credentials"]).await;
    check(Vec::new(), vec![by_token("")], &["staff.credentials[0].subject"]).await;
    check(Vec::new(), vec![by_token(" a")], &["staff.credentials[0].subject"]).await;
    check(Vec::new(), vec![by_token("a\nb")], &["staff.credentials[0].subject"]).await;
    let unknown = v1::StaffCredential { kind: 9, subject: "a".to_owned() };
    check(Vec::new(), vec![unknown], &["staff.credentials[0].kind"]).await;
    refused(client.ask(staff("x", vec![grant(member, &["none"])], Vec::new())).await, "NOT_FOUND");
    refused(client.ask(v1::GetStaffRequest { name: named("x") }).await, "NOT_FOUND");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_what_they_have_not_or_to_themselves() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let all = server.client();
    all.site("a").await;
    all.site("b").await;
    let leads = |sites: &[&str]| vec![grant(v1::StaffRole::Leader, sites)];
    let leader = issuer.enter(&server, "leader-a", leads(&["a"])).await;
    // In the sites they lead, and in no other.
    leader.ask(staff("x", vec![grant(v1::StaffRole::Member, &["a"])], Vec::new())).await.unwrap();
    for sites in [&["b"][..], &["a", "b"], &["-"]] {
        let asked = leader.ask(staff("y", vec![grant(v1::StaffRole::Volunteer, sites)], Vec::new())).await;
        refused(asked, "PERMISSION_DENIED");
        refused(leader.ask(update("x", leads(sites))).await, "PERMISSION_DENIED");
    }
    // Nor are rights elsewhere theirs to take, or the clock theirs to move, or sites theirs to add.
    all.ask(staff("z", leads(&["a", "b"]), Vec::new())).await.unwrap();
    refused(leader.ask(update("z", leads(&["a"]))).await, "PERMISSION_DENIED");
    let gone = v1::DeactivateStaffRequest { name: named("z"), ..Default::default() };
    refused(leader.ask(gone).await, "PERMISSION_DENIED");
    let site = v1::Site { display_name: "新".to_owned(), ..Default::default() };
    refused(
        leader.ask(v1::CreateSiteRequest { site: Some(site), ..Default::default() }).await,
        "PERMISSION_DENIED",
    );
    let minute = v1::advance_clock_request::Target::By(prost_types::Duration { seconds: 60, nanos: 0 });
    refused(
        leader.ask(v1::AdvanceClockRequest { target: Some(minute), ..Default::default() }).await,
        "PERMISSION_DENIED",
    );
    // Their own rights are not theirs to change; their name is.
    refused(leader.ask(update("leader-a", [leads(&["a"]), leads(&["a"])].concat())).await, "STAFF_STATE");
    let own = v1::DeactivateStaffRequest { name: named("leader-a"), ..Default::default() };
    refused(leader.ask(own).await, "STAFF_STATE");
    let renamed =
        v1::Staff { name: named("leader-a"), display_name: "组长".to_owned(), ..Default::default() };
    let rename = v1::UpdateStaffRequest {
        staff: Some(renamed),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    };
    leader.ask(rename).await.unwrap();
    server.stop().await;
}

/// Every change of rights ends the decisions of the sites that it concerns, and of no other.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_rights_end_decisions_where_they_hold() {
    let server = Server::start().await;
    let client = server.client();
    client.site("a").await;
    client.site("b").await;
    let epochs = async || {
        let of = async |site: &str| {
            let site = linli_core::id::SiteId::new(site).unwrap();
            server.app.store.authz_epoch(&linli_store::Scope::from(&site)).await.unwrap().unwrap()
        };
        (of("a").await, of("b").await)
    };
    let (a, b) = epochs().await;
    client.ask(staff("x", vec![grant(v1::StaffRole::Deputy, &["a"])], Vec::new())).await.unwrap();
    assert_eq!(epochs().await, (a + 1, b));
    client.ask(update("x", vec![grant(v1::StaffRole::Deputy, &["b"])])).await.unwrap();
    assert_eq!(epochs().await, (a + 2, b + 1), "where it held, and where it holds");
    client.ask(update("x", vec![grant(v1::StaffRole::Deputy, &["-"])])).await.unwrap();
    assert_eq!(epochs().await, (a + 3, b + 2), "everywhere");
    let renamed = v1::Staff { name: named("x"), display_name: "林".to_owned(), ..Default::default() };
    let rename = v1::UpdateStaffRequest {
        staff: Some(renamed),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    };
    client.ask(rename).await.unwrap();
    assert_eq!(epochs().await, (a + 3, b + 2), "a name is no right");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_leader_is_entered_once() {
    let issuer = Issuer::new();
    let data = issuer.trusted(Data::sqlite()).with("auth.bootstrap_leader = \"wang\"");
    let server = Server::on(data).await;
    let wang = server.nobody().token(&issuer.token("wang"));
    wang.site("a").await;
    wang.ask(staff("lin", vec![grant(v1::StaffRole::Leader, &["-"])], vec![by_token("lin")])).await.unwrap();
    let lin = server.nobody().token(&issuer.token("lin"));
    lin.ask(v1::DeactivateStaffRequest { name: named("leader"), ..Default::default() }).await.unwrap();
    refused(wang.ask(v1::ListSitesRequest::default()).await, "PERMISSION_DENIED");
    // A restart gives nothing back.
    let server = Server::on(server.stop().await).await;
    let wang = server.nobody().token(&issuer.token("wang"));
    refused(wang.ask(v1::ListSitesRequest::default()).await, "PERMISSION_DENIED");
    server.stop().await;
}
