//! Accessible facilities: registered, inspected every day, repaired when found wanting.

use linli_proto::v1;
use linli_proto::v1::FacilityKind;

use crate::harness::client::Client;
use crate::harness::estate::{at, line, mask, shown};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

async fn facility(client: &Client, site: &str, id: &str, kind: FacilityKind, building: &str) -> v1::Facility {
    let facility = v1::Facility {
        kind: kind.into(),
        display_name: format!("{id}号"),
        building: building.to_owned(),
        ..Default::default()
    };
    let request = v1::CreateFacilityRequest {
        parent: site.to_owned(),
        facility: Some(facility),
        facility_id: id.to_owned(),
        ..Default::default()
    };
    client.ask(request).await.unwrap()
}

fn inspection(site: &str, ids: &[&str], time: &str) -> v1::RecordInspectionRequest {
    v1::RecordInspectionRequest {
        parent: site.to_owned(),
        facilities: ids.iter().map(|id| format!("{site}/facilities/{id}")).collect(),
        occur_time: Some(at(time)),
        ..Default::default()
    }
}

fn all(site: &str) -> v1::ListFacilitiesRequest {
    v1::ListFacilitiesRequest { parent: site.to_owned(), ..Default::default() }
}

async fn ids(client: &Client, request: v1::ListFacilitiesRequest) -> String {
    let found = client.ask(request).await.unwrap().facilities;
    let ids: Vec<&str> = found.iter().filter_map(|facility| facility.name.rsplit('/').next()).collect();
    ids.join(" ")
}

/// What is owed to facilities on some days, `id standard status credited/required`.
async fn owed(client: &Client, site: &str, from: &str, to: &str) -> Vec<String> {
    let request = v1::ListObligationsRequest {
        parent: site.to_owned(),
        start_date: from.to_owned(),
        end_date: to.to_owned(),
        standard: "standards/facility.inspect".to_owned(),
        page_size: 200,
        ..Default::default()
    };
    let found = client.ask(request).await.unwrap().obligations;
    let shown = |o: &v1::Obligation| format!("{} {}", o.subject.rsplit('/').next().unwrap(), line(o));
    found.iter().map(shown).collect()
}

/// A5.3: ramps, handrails and lift buttons are looked at every day, many at once; what was left out is found.
#[tokio::test(flavor = "multi_thread")]
async fn a5_3_facilities_are_inspected_every_day() {
    inspected_every_day(Data::sqlite()).await;
    if let Some(data) = Data::postgres().await {
        inspected_every_day(data).await;
    }
}

async fn inspected_every_day(data: Data) {
    let server = Server::on(data).await;
    let client = server.client();
    let site = client.site("s1").await;
    for (id, kind, building) in [
        ("f1", FacilityKind::Ramp, "3"),
        ("f2", FacilityKind::Handrail, "9"),
        ("f3", FacilityKind::LiftButtons, ""),
    ] {
        facility(&client, &site, id, kind, building).await;
    }
    let record = client.ask(inspection(&site, &["f1", "f2"], "2026-03-16T09:00:00+08:00")).await.unwrap();
    assert_eq!(
        (record.kind(), record.department()),
        (v1::ServiceKind::Inspection, v1::Department::Engineering)
    );
    assert_eq!(
        owed(&client, &site, "2026-03-16", "2026-03-16").await,
        ["f1 facility.inspect met 1/1", "f2 facility.inspect met 1/1", "f3 facility.inspect at_risk 0/1"]
    );
    assert_eq!(ids(&client, v1::ListFacilitiesRequest { overdue: true, ..all(&site) }).await, "");

    client.advance("2026-03-17T09:00:00+08:00").await;
    assert_eq!(
        owed(&client, &site, "2026-03-16", "2026-03-16").await[2..],
        ["f3 facility.inspect missed 0/1"]
    );
    assert_eq!(ids(&client, v1::ListFacilitiesRequest { overdue: true, ..all(&site) }).await, "f3");
    // A round does the same, and what is made up for is overdue no longer.
    let round = v1::RecordRoundRequest {
        parent: site.clone(),
        kind: v1::ServiceKind::Inspection.into(),
        occur_time: Some(at("2026-03-17T08:00:00+08:00")),
        subjects: vec![format!("{site}/facilities/f3")],
        ..Default::default()
    };
    client.ask(round).await.unwrap();
    assert_eq!(ids(&client, v1::ListFacilitiesRequest { overdue: true, ..all(&site) }).await, "");
    let seen = client.ask(v1::GetFacilityRequest { name: format!("{site}/facilities/f3") }).await.unwrap();
    assert_eq!(shown(seen.last_inspection_time.as_ref()), "2026-03-17T08:00");

    // On the worklists of engineers: those of the post's buildings, and of none in particular.
    let post = v1::Post {
        display_name: "9栋维修岗".to_owned(),
        department: v1::Department::Engineering.into(),
        buildings: vec!["9".to_owned()],
        ..Default::default()
    };
    let post = v1::CreatePostRequest { parent: site.clone(), post: Some(post), ..Default::default() };
    let parent = client.ask(post).await.unwrap().name;
    client.advance("2026-03-18T09:00:00+08:00").await;
    let worklist = async |parent: String| -> Vec<String> {
        let today = "2026-03-18".to_owned();
        let list = v1::ListWorklistRequest { parent, until_date: today, ..Default::default() };
        let items = client.ask(list).await.unwrap().items;
        let own = items.into_iter().filter(|item| item.subject.contains("/facilities/"));
        own.map(|item| format!("{} {}", item.display_name, item.kind().as_str_name())).collect()
    };
    assert_eq!(worklist(parent).await, ["f2号 SERVICE_KIND_INSPECTION", "f3号 SERVICE_KIND_INSPECTION"]);
    assert_eq!(worklist(format!("{site}/posts/-")).await.len(), 3);

    // And in the figures: Monday two of three, Tuesday one, Wednesday none so far.
    let report = v1::GetComplianceReportRequest {
        parent: site.clone(),
        period: v1::PeriodUnit::Week.into(),
        standards: vec!["standards/facility.inspect".to_owned()],
        ..Default::default()
    };
    let rows = client.ask(report).await.unwrap().rows;
    assert_eq!((rows[0].numerator, rows[0].missed), (3, 3), "{rows:?}");
    server.stop().await;
}

/// A5.3: a defect is a request to engineering with clocks of its own, linked to the facility, and the law is cited.
#[tokio::test(flavor = "multi_thread")]
async fn a5_3_a_defect_until_it_is_repaired() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let ramp = facility(&client, &site, "f1", FacilityKind::Ramp, "3").await;
    facility(&client, &site, "f2", FacilityKind::TactilePaving, "").await;
    let (citation, liability) = (ramp.citation.unwrap(), ramp.liability.unwrap());
    assert!(citation.locator.contains("第六十五条") && citation.confidence() == v1::Confidence::Verified);
    assert!(liability.zh.contains("3万元") && liability.en.contains("30,000"));
    let standard = v1::GetStandardRequest { name: "standards/request.finish.defect".to_owned() };
    let standard = client.ask(standard).await.unwrap();
    assert_eq!(standard.citation.unwrap().locator, citation.locator);

    let defect = |dangerous| v1::ReportDefectRequest {
        name: ramp.name.clone(),
        description: "路面开裂".to_owned(),
        dangerous,
        ..Default::default()
    };
    let request = client.ask(defect(false)).await.unwrap();
    assert_eq!(
        (request.kind(), request.urgency()),
        (v1::RequestKind::FacilityDefect, v1::RequestUrgency::Routine)
    );
    assert_eq!((request.subject.as_str(), request.place.as_str()), (ramp.name.as_str(), "f1号"));
    assert_eq!(request.department(), v1::Department::Engineering);
    let dangerous = client.ask(defect(true)).await.unwrap();
    assert_eq!(dangerous.urgency(), v1::RequestUrgency::Priority);
    client
        .ask(v1::CancelRequestRequest {
            name: dangerous.name,
            reason: "重复上报".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(ids(&client, v1::ListFacilitiesRequest { defective: true, ..all(&site) }).await, "f1");
    let seen = client.ask(v1::GetFacilityRequest { name: ramp.name.clone() }).await.unwrap();
    assert_eq!(seen.open_defects, std::slice::from_ref(&request.name));

    let name = request.name;
    client.ask(v1::AcceptRequestRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    let post = v1::Post {
        display_name: "维修岗".to_owned(),
        department: v1::Department::Engineering.into(),
        ..Default::default()
    };
    let post = v1::CreatePostRequest { parent: site.clone(), post: Some(post), ..Default::default() };
    let assignee = client.ask(post).await.unwrap().name;
    client
        .ask(v1::DispatchRequestRequest { name: name.clone(), assignee, ..Default::default() })
        .await
        .unwrap();
    // Two days and more: the repair is late.
    client.advance("2026-03-18T10:00:00+08:00").await;
    client.ask(v1::ArriveRequestRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    client.ask(v1::CompleteRequestRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    let report = v1::GetComplianceReportRequest {
        parent: site.clone(),
        period: v1::PeriodUnit::Week.into(),
        standards: vec!["standards/request.finish.defect".to_owned()],
        ..Default::default()
    };
    let rows = client.ask(report).await.unwrap().rows;
    assert_eq!((rows[0].met_late, rows[0].denominator), (1, 1));
    // The facility's own record of it.
    let repairs = v1::ListRecordsRequest {
        parent: site.clone(),
        subject: ramp.name.clone(),
        kind: v1::ServiceKind::Repair.into(),
        ..Default::default()
    };
    assert_eq!(client.ask(repairs).await.unwrap().records.len(), 1);
    client.ask(v1::FollowUpRequestRequest { name, satisfaction: 4, ..Default::default() }).await.unwrap();
    assert_eq!(ids(&client, v1::ListFacilitiesRequest { defective: true, ..all(&site) }).await, "");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_retired_is_owed_nothing_from_that_day_on() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    let ramp = facility(&client, &site, "f1", FacilityKind::Ramp, "3").await;
    facility(&client, &site, "f2", FacilityKind::Ramp, "").await;
    let update = |date: &str, etag: &str| v1::UpdateFacilityRequest {
        facility: Some(v1::Facility {
            name: ramp.name.clone(),
            etag: etag.to_owned(),
            retire_date: date.to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["retire_date"]),
        ..Default::default()
    };
    invalid(client.ask(update("2026-03-15", "")).await, &["facility.retire_date"]);
    let retired = client.ask(update("2026-03-18", &ramp.etag)).await.unwrap();
    assert_eq!((retired.retire_date.as_str(), retired.display_name.as_str()), ("2026-03-18", "f1号"));
    refused(client.ask(update("2026-03-19", &ramp.etag)).await, "ETAG_MISMATCH");
    client.advance("2026-03-19T09:00:00+08:00").await;
    let of_ramp = async |from: &str, to: &str| -> usize {
        owed(&client, &site, from, to).await.iter().filter(|line| line.starts_with("f1 ")).count()
    };
    assert_eq!(
        (of_ramp("2026-03-16", "2026-03-17").await, of_ramp("2026-03-18", "2026-03-19").await),
        (2, 0)
    );
    assert_eq!(ids(&client, all(&site)).await, "f2");
    assert_eq!(ids(&client, v1::ListFacilitiesRequest { show_retired: true, ..all(&site) }).await, "f1 f2");
    let late = inspection(&site, &["f2", "f1"], "2026-03-19T08:00:00+08:00");
    invalid(client.ask(late).await, &["facilities[1]"]);
    client.ask(inspection(&site, &["f1"], "2026-03-17T08:00:00+08:00")).await.unwrap();
    let defect = v1::ReportDefectRequest {
        name: ramp.name.clone(),
        description: "开裂".to_owned(),
        ..Default::default()
    };
    refused(client.ask(defect).await, "FACILITY_STATE");
    // It was a mistake.
    assert_eq!(client.ask(update("", "")).await.unwrap().retire_date, "");
    assert_eq!(of_ramp("2026-03-18", "2026-03-19").await, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_bad_input() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("s1").await;
    for (id, kind) in [
        ("a", FacilityKind::Ramp),
        ("b", FacilityKind::Handrail),
        ("c", FacilityKind::Ramp),
        ("d", FacilityKind::Ramp),
    ] {
        facility(&client, &site, id, kind, "").await;
    }
    let ramps = v1::ListFacilitiesRequest { kind: FacilityKind::Ramp.into(), page_size: 2, ..all(&site) };
    let first = client.ask(ramps.clone()).await.unwrap();
    assert_eq!(ids(&client, ramps.clone()).await, "a c");
    let second = v1::ListFacilitiesRequest { page_token: first.next_page_token.clone(), ..ramps };
    assert_eq!(ids(&client, second).await, "d");
    let other = v1::ListFacilitiesRequest { page_token: first.next_page_token, ..all(&site) };
    refused(client.ask(other).await, "PAGE_TOKEN_INVALID");

    invalid(
        client
            .ask(v1::CreateFacilityRequest {
                parent: "sites/".to_owned(),
                facility: Some(v1::Facility { kind: 99, building: "x".repeat(201), ..Default::default() }),
                facility_id: "F 1".to_owned(),
                ..Default::default()
            })
            .await,
        &["parent", "facility_id", "facility.kind", "facility.display_name", "facility.building"],
    );
    let again = v1::CreateFacilityRequest {
        parent: site.clone(),
        facility: Some(v1::Facility {
            kind: FacilityKind::Ramp.into(),
            display_name: "甲".to_owned(),
            ..Default::default()
        }),
        facility_id: "a".to_owned(),
        ..Default::default()
    };
    refused(client.ask(again).await, "ALREADY_EXISTS");
    let nothing = v1::UpdateFacilityRequest {
        facility: Some(v1::Facility { name: format!("{site}/facilities/a"), ..Default::default() }),
        update_mask: mask(&["open_defects", "retire_date", "kind"]),
        ..Default::default()
    };
    invalid(client.ask(nothing).await, &["update_mask.paths[0]", "facility.kind"]);
    invalid(
        client.ask(v1::RecordInspectionRequest { parent: site.clone(), ..Default::default() }).await,
        &["facilities", "occur_time"],
    );
    let strange = v1::RecordInspectionRequest {
        facilities: vec![
            format!("{site}/facilities/a"),
            format!("{site}/facilities/a"),
            "sites/s2/facilities/a".to_owned(),
            "x".to_owned(),
        ],
        ..inspection(&site, &[], "2026-03-16T08:00:00+08:00")
    };
    invalid(client.ask(strange).await, &["facilities[1]", "facilities[2]", "facilities[3]"]);
    invalid(
        client.ask(inspection(&site, &["a", "z"], "2026-03-16T08:00:00+08:00")).await,
        &["facilities[1]"],
    );
    invalid(client.ask(inspection(&site, &["a"], "2026-03-16T09:00:01+08:00")).await, &["occur_time"]);
    invalid(client.ask(v1::ReportDefectRequest::default()).await, &["name", "description"]);
    let none = v1::GetFacilityRequest { name: format!("{site}/facilities/none") };
    refused(client.ask(none).await, "NOT_FOUND");
    server.stop().await;
}
