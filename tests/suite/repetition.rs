//! Calls that come again: page tokens, request ids, etags; and names of another site.

use std::sync::Arc;

use linli_core::id::StaffId;
use linli_core::staff::{Grant, Reach, Role};
use linli_core::text::Language;
use linli_proto::v1;
use linli_service::app::{Answer, Repeat};
use linli_service::auth::{Call, Caller, Principal, Rights, table};
use linli_service::grpc::page::Binding;

use crate::harness::estate::{contact, elder, mask, request_id};
use crate::harness::refused;
use crate::harness::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn page_tokens_belong_to_one_query_of_one_caller() {
    let server = Server::start().await;
    let client = server.client();
    for id in ["s1", "s2"] {
        let site = client.site(id).await;
        for room in ["101", "102", "103"] {
            client.dwelling(&site, room).await;
        }
    }
    let list = |parent: &str, building: &str, token: &str| v1::ListDwellingsRequest {
        parent: parent.to_owned(),
        building: building.to_owned(),
        page_size: 2,
        page_token: token.to_owned(),
    };
    let first = client.ask(list("sites/s1", "", "")).await.unwrap();
    let token = first.next_page_token;
    assert!(!token.is_empty() && first.dwellings.len() == 2);
    let second = client.ask(list("sites/s1", "", &token)).await.unwrap();
    assert!(second.next_page_token.is_empty() && second.dwellings.len() == 1);
    // Another page size is the same query.
    let sized = v1::ListDwellingsRequest { page_size: 200, ..list("sites/s1", "", &token) };
    assert_eq!(client.ask(sized).await.unwrap().dwellings, second.dwellings);

    let mut flipped = token.clone().into_bytes();
    flipped[3] = if flipped[3] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for request in [
        list("sites/s2", "", &token),
        list("sites/s1", "3", &token),
        list("sites/s1", "", "no token"),
        list("sites/s1", "", &token[..8]),
        list("sites/s1", "", &flipped),
        list("sites/s1", "", &"A".repeat(2_000)),
    ] {
        refused(client.ask(request).await, "PAGE_TOKEN_INVALID");
    }
    let areas =
        v1::ListAreasRequest { parent: "sites/s1".to_owned(), page_token: token, ..Default::default() };
    refused(client.ask(areas).await, "PAGE_TOKEN_INVALID");

    // There is one member in development; the token of somebody else is held at the function that binds it.
    let (wang, li) = (call("wang", v1_list_sites()), call("li", v1_list_sites()));
    let of_wang = Binding::new(&wang, &[b"q"]).token("cursor");
    assert_eq!(Binding::new(&wang, &[b"q"]).cursor(&of_wang).unwrap().as_deref(), Some("cursor"));
    assert!(Binding::new(&li, &[b"q"]).cursor(&of_wang).is_err());
    assert!(Binding::new(&wang, &[b"r"]).cursor(&of_wang).is_err());
}

fn v1_list_sites() -> &'static table::Method {
    table::find("linli.v1.SiteService/ListSites").unwrap()
}

/// A call of another leader than the development principal.
fn call(staff: &str, method: &'static table::Method) -> Call {
    let everywhere = Grant::new(Role::Leader, None, Reach::Everywhere, None, None).unwrap();
    Call {
        caller: Caller::Fixed(Principal {
            staff: StaffId::new(staff).unwrap(),
            rights: Rights::Grants(vec![everywhere]),
        }),
        method,
        request_id: "r1".to_owned(),
        purpose: None,
        language: Language::En,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_gives_the_same_answer_also_after_a_restart() {
    let server = Server::start().await;
    let client = server.client();
    let (site, dwelling, resident) = client.estate("s1").await;
    let open = v1::CreateResidentRequest {
        parent: site.clone(),
        resident: Some(elder(&dwelling, "庚辛")),
        request_id: request_id(7),
        ..Default::default()
    };
    let visit =
        contact(&resident, v1::ServiceKind::HomeVisit, "2026-03-16T08:00:00+08:00", v1::Outcome::Done);
    let record =
        v1::RecordServiceRequest { parent: site.clone(), records: vec![visit], request_id: request_id(8) };
    let (opened, recorded) =
        (client.ask(open.clone()).await.unwrap(), client.ask(record.clone()).await.unwrap());
    assert_eq!(client.ask(open.clone()).await.unwrap(), opened);
    // What the answer says stays what it was, whatever happened since.
    let phone =
        v1::Resident { name: opened.name.clone(), phone: "13900000000".to_owned(), ..Default::default() };
    client
        .ask(v1::UpdateResidentRequest {
            resident: Some(phone),
            update_mask: mask(&["phone"]),
            ..Default::default()
        })
        .await
        .unwrap();

    let server = Server::on(server.stop().await).await;
    let client = server.client();
    assert_eq!(client.ask(open.clone()).await.unwrap(), opened);
    assert_eq!(client.ask(record.clone()).await.unwrap(), recorded);
    // An id in capitals is the same id; another method has ids of its own.
    let loud = v1::CreateResidentRequest { request_id: request_id(7).to_uppercase(), ..open.clone() };
    assert_eq!(client.ask(loud).await.unwrap(), opened);
    let list = v1::ListResidentsRequest { parent: site.clone(), ..Default::default() };
    assert_eq!(client.ask(list).await.unwrap().residents.len(), 2, "nothing was done twice");

    let other = v1::CreateResidentRequest { resident: Some(elder(&dwelling, "壬癸")), ..open };
    refused(client.ask(other).await, "REQUEST_ID_REUSED");
    let mut other = record;
    other.records[0].kind = v1::ServiceKind::PhoneCall.into();
    refused(client.ask(other).await, "REQUEST_ID_REUSED");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_principals_request_id_is_another_id() {
    let server = Server::start().await;
    let create = |staff: &'static str, id: &'static str| {
        let app = Arc::clone(&server.app);
        async move {
            let method = table::find("linli.v1.SiteService/CreateSite").unwrap();
            let new = linli_service::app::site::NewSite {
                id: Some(linli_core::id::SiteId::new(id).unwrap()),
                title: linli_core::text::Line::new("清河苑").unwrap(),
                zone: linli_core::time::SiteZone::SHANGHAI,
            };
            let encode = |site: &linli_core::site::Site| site.id.as_str().as_bytes().to_vec();
            // The hash of the request is the same for all: only the caller differs.
            let repeat = Repeat { id: Some(request_id(9)), hash: [7; 32], encode };
            match app.create_site(&call(staff, method), repeat, new).await.unwrap() {
                Answer::Fresh(site) => format!("new {}", site.id.as_str()),
                Answer::Repeated(bytes) => format!("kept {}", String::from_utf8(bytes).unwrap()),
            }
        }
    };
    assert_eq!(create("wang", "s1").await, "new s1");
    assert_eq!(create("li", "s2").await, "new s2");
    assert_eq!(create("wang", "s3").await, "kept s1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_another_site_are_not_found_and_etags_hold() {
    let server = Server::start().await;
    let client = server.client();
    let (_, dwelling, resident) = client.estate("s1").await;
    client.site("s2").await;
    let moved = |name: &str| name.replace("sites/s1", "sites/s2");
    refused(client.ask(v1::GetDwellingRequest { name: moved(&dwelling) }).await, "NOT_FOUND");
    refused(
        client.ask(v1::GetResidentRequest { name: moved(&resident), ..Default::default() }).await,
        "NOT_FOUND",
    );
    refused(client.ask(v1::GetStandingRequest { name: moved(&resident) }).await, "NOT_FOUND");

    let read =
        client.ask(v1::GetResidentRequest { name: resident.clone(), ..Default::default() }).await.unwrap();
    let update = |etag: &str, note: &str| v1::UpdateResidentRequest {
        resident: Some(v1::Resident {
            name: resident.clone(),
            etag: etag.to_owned(),
            family_note: note.to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["family_note"]),
        ..Default::default()
    };
    let first = client.ask(update(&read.etag, "一")).await.unwrap();
    assert_ne!(first.etag, read.etag);
    refused(client.ask(update(&read.etag, "二")).await, "ETAG_MISMATCH");
    assert_eq!(client.full(&resident).await.family_note, "一", "nothing was written");
    // Of several at once with the same etag exactly one wins.
    let texts: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    let tries: Vec<_> = texts
        .iter()
        .map(|text| {
            let (client, request) = (client.clone(), update(&first.etag, text));
            tokio::spawn(async move { client.ask(request).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for one in tries {
        won += usize::from(one.await.unwrap());
    }
    assert_eq!(won, 1);
    client.ask(update("", "三")).await.unwrap();
    server.stop().await;
}
