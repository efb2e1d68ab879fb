//! Community bodies: entered and changed by leader and deputies, read by the working group; what was agreed with one is checked where
//! it is written down.

use linli_core::id::SiteId;
use linli_proto::v1;
use linli_proto::v1::{BodyKind, DisclosedField as Field, DisclosurePurpose as Purpose};
use linli_store::Scope;

use crate::harness::client::Client;
use crate::harness::estate::{mask, request_id};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

/// What was agreed with a body, from the start of the year.
pub fn agreed(fields: &[Field], purposes: &[Purpose]) -> v1::BodyAgreement {
    v1::BodyAgreement {
        number: "协议 2026-7".to_owned(),
        fields: fields.iter().map(|field| (*field).into()).collect(),
        purposes: purposes.iter().map(|purpose| (*purpose).into()).collect(),
        start_date: "2026-01-01".to_owned(),
        end_date: "2027-01-01".to_owned(),
    }
}

/// A health station without an agreement.
pub fn station() -> v1::CommunityBody {
    v1::CommunityBody {
        kind: BodyKind::HealthService.into(),
        display_name: "幸福里社区卫生服务站".to_owned(),
        display_name_en: "Xingfuli health station".to_owned(),
        contacts: vec!["前台 010-62345678".to_owned(), "转介窗口,二楼".to_owned()],
        enabled: true,
        ..Default::default()
    }
}

/// Enters a body; its name.
pub async fn enter(client: &Client, id: &str, body: v1::CommunityBody) -> String {
    let new = v1::CreateBodyRequest { body: Some(body), body_id: id.to_owned(), ..Default::default() };
    client.ask(new).await.unwrap().name
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_entered_changed_and_found() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        let client = server.client();
        let site = client.site("s1").await;
        client.site("s2").await;
        let agreement = agreed(&[Field::Name, Field::Health], &[Purpose::Referral]);
        let mut clinic =
            v1::CommunityBody { sites: vec![site.clone()], agreement: Some(agreement.clone()), ..station() };
        let new = v1::CreateBodyRequest {
            body: Some(clinic.clone()),
            body_id: "clinic".to_owned(),
            request_id: request_id(1),
        };
        let entered = client.ask(new.clone()).await.unwrap();
        assert_eq!(client.ask(new.clone()).await.unwrap(), entered, "a repetition enters nothing more");
        refused(
            client.ask(v1::CreateBodyRequest { request_id: String::new(), ..new }).await,
            "ALREADY_EXISTS",
        );
        assert!(entered.agreement_in_force && entered.create_time.is_some(), "{entered:?}");
        assert_eq!(entered.kind_name.clone().unwrap().zh, "社区卫生服务机构");
        clinic.name = "bodies/clinic".to_owned();
        let told = v1::CommunityBody {
            etag: String::new(),
            kind_name: None,
            create_time: None,
            agreement_in_force: false,
            ..entered.clone()
        };
        assert_eq!(told, clinic);
        let get = v1::GetBodyRequest { name: clinic.name.clone() };
        assert_eq!(client.ask(get.clone()).await.unwrap(), entered);
        refused(client.ask(v1::GetBodyRequest { name: "bodies/nobody".to_owned() }).await, "NOT_FOUND");

        let aid = v1::CommunityBody { kind: BodyKind::Charity.into(), ..station() };
        enter(&client, "aid", aid).await;
        let list = async |list: v1::ListBodiesRequest| {
            let page = client.ask(list).await.unwrap();
            let names: Vec<_> = page.bodies.into_iter().map(|body| body.name).collect();
            (names.join(" "), page.next_page_token)
        };
        let all = v1::ListBodiesRequest::default();
        assert_eq!(list(all.clone()).await.0, "bodies/aid bodies/clinic");
        let (first, page_token) = list(v1::ListBodiesRequest { page_size: 1, ..all.clone() }).await;
        assert_eq!(first, "bodies/aid");
        let second = v1::ListBodiesRequest { page_size: 1, page_token, ..all.clone() };
        assert_eq!(list(second).await, ("bodies/clinic".to_owned(), String::new()));
        let elsewhere = v1::ListBodiesRequest { site: "sites/s2".to_owned(), ..all.clone() };
        assert_eq!(list(elsewhere).await.0, "bodies/aid", "who serves all serves this one");
        let health = v1::ListBodiesRequest { kind: BodyKind::HealthService.into(), ..all };
        assert_eq!(list(health).await.0, "bodies/clinic");

        let change = |etag: &str| v1::UpdateBodyRequest {
            body: Some(v1::CommunityBody {
                name: "bodies/clinic".to_owned(),
                etag: etag.to_owned(),
                display_name: "unnamed fields stay".to_owned(),
                ..Default::default()
            }),
            update_mask: mask(&["agreement", "enabled", "sites"]),
            ..Default::default()
        };
        let changed = client.ask(change(&entered.etag)).await.unwrap();
        assert_eq!(changed.display_name, entered.display_name);
        assert!(changed.agreement.is_none() && !changed.enabled && changed.sites.is_empty(), "{changed:?}");
        refused(client.ask(change(&entered.etag)).await, "ETAG_MISMATCH");
        client.advance("2027-01-01T00:00:00+08:00").await;
        let over = v1::UpdateBodyRequest {
            body: Some(v1::CommunityBody {
                name: "bodies/clinic".to_owned(),
                agreement: Some(agreement),
                ..Default::default()
            }),
            update_mask: mask(&["agreement"]),
            ..Default::default()
        };
        assert!(!client.ask(over).await.unwrap().agreement_in_force, "its last day has passed");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_of_a_body_is_refused_whole() {
    let server = Server::start().await;
    let client = server.client();
    let empty = v1::CreateBodyRequest { body: Some(v1::CommunityBody::default()), ..Default::default() };
    invalid(client.ask(empty).await, &["body.kind", "body.display_name"]);
    let agreement = || agreed(&[Field::Name], &[Purpose::Referral]);
    let cases: Vec<(v1::CommunityBody, &[&str])> = vec![
        (v1::CommunityBody { kind: BodyKind::Company.into(), ..station() }, &["body.kind"]),
        (v1::CommunityBody { channel: "nowhere".to_owned(), ..station() }, &["body.channel"]),
        (v1::CommunityBody { channel: "https://evil.example".to_owned(), ..station() }, &["body.channel"]),
        (v1::CommunityBody { contacts: vec!["一行\n两行".to_owned()], ..station() }, &["body.contacts[0]"]),
        (v1::CommunityBody { contacts: vec!["窗口".to_owned(); 11], ..station() }, &["body.contacts"]),
        (v1::CommunityBody { sites: vec!["sites/s1".to_owned(); 2], ..station() }, &["body.sites[1]"]),
        (v1::CommunityBody { sites: vec!["site".to_owned()], ..station() }, &["body.sites[0]"]),
        (
            v1::CommunityBody { agreement: Some(v1::BodyAgreement::default()), ..station() },
            &[
                "body.agreement.number",
                "body.agreement.fields",
                "body.agreement.purposes",
                "body.agreement.start_date",
            ],
        ),
        (
            v1::CommunityBody {
                agreement: Some(v1::BodyAgreement { end_date: "2026-01-01".to_owned(), ..agreement() }),
                ..station()
            },
            &["body.agreement.end_date"],
        ),
        (
            v1::CommunityBody {
                agreement: Some(agreed(&[Field::Name], &[Purpose::Referral, Purpose::CareFile])),
                ..station()
            },
            &["body.agreement.purposes[1]"],
        ),
        (
            v1::CommunityBody {
                agreement: Some(agreed(&[Field::Name, Field::Name], &[Purpose::Referral])),
                ..station()
            },
            &["body.agreement.fields[1]"],
        ),
    ];
    for (body, fields) in cases {
        let new =
            v1::CreateBodyRequest { body: Some(body), body_id: "clinic".to_owned(), ..Default::default() };
        invalid(client.ask(new).await, fields);
    }
    let nowhere = v1::CommunityBody { sites: vec!["sites/none".to_owned()], ..station() };
    let nowhere = v1::CreateBodyRequest { body: Some(nowhere), ..Default::default() };
    refused(client.ask(nowhere).await, "NOT_FOUND");
    enter(&client, "clinic", station()).await;
    let change = |paths: &[&str]| v1::UpdateBodyRequest {
        body: Some(v1::CommunityBody { name: "bodies/clinic".to_owned(), ..station() }),
        update_mask: mask(paths),
        ..Default::default()
    };
    invalid(client.ask(change(&["*"])).await, &["update_mask.paths[0]"]);
    invalid(client.ask(change(&["create_time"])).await, &["update_mask.paths[0]"]);
    invalid(client.ask(change(&[])).await, &["update_mask"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_binds_sites_that_are_not_theirs_and_a_change_ends_what_was_decided() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let (s1, s2) = (client.site("s1").await, client.site("s2").await);
    let deputy = issuer.enter(&server, "lin", vec![grant(v1::StaffRole::Deputy, &["s1"])]).await;
    let serving = |sites: &[&String]| v1::CommunityBody {
        sites: sites.iter().map(|site| (*site).clone()).collect(),
        ..station()
    };
    let create = |id: &str, body| v1::CreateBodyRequest {
        body: Some(body),
        body_id: id.to_owned(),
        ..Default::default()
    };
    deputy.ask(create("mine", serving(&[&s1]))).await.unwrap();
    refused(deputy.ask(create("both", serving(&[&s1, &s2]))).await, "PERMISSION_DENIED");
    refused(deputy.ask(create("all", serving(&[]))).await, "PERMISSION_DENIED");
    let widen = |body: v1::CommunityBody| v1::UpdateBodyRequest {
        body: Some(v1::CommunityBody { name: "bodies/mine".to_owned(), ..body }),
        update_mask: mask(&["sites"]),
        ..Default::default()
    };
    refused(deputy.ask(widen(serving(&[]))).await, "PERMISSION_DENIED");
    client.ask(widen(serving(&[&s1, &s2]))).await.unwrap();
    refused(deputy.ask(widen(serving(&[&s1]))).await, "PERMISSION_DENIED");

    let epoch = async |site: &str| {
        let scope = Scope::from(&SiteId::new(site).unwrap());
        server.app.store.authz_epoch(&scope).await.unwrap().unwrap()
    };
    let before = (epoch("s1").await, epoch("s2").await);
    client.ask(widen(serving(&[&s1]))).await.unwrap();
    let after = (epoch("s1").await, epoch("s2").await);
    assert!(before.0 < after.0 && before.1 < after.1, "{before:?} {after:?}");
    server.stop().await;
}
