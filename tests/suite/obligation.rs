//! What is owed: lists, one resident's standing, worklists.

use linli_proto::v1::{self, ObligationStatus, Outcome, ServiceKind};
use tonic::Code;

use crate::harness::client::Client;
use crate::harness::estate::{at, contact, elder, flag, line, shown};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{invalid, refused};

/// Every page of a list, as `subject-kind standard status credited/required`.
async fn lines(client: &Client, request: &v1::ListObligationsRequest) -> Vec<String> {
    all(client, request).await.iter().map(line).collect()
}

async fn all(client: &Client, request: &v1::ListObligationsRequest) -> Vec<v1::Obligation> {
    let mut request = request.clone();
    let mut found = Vec::new();
    loop {
        let page = client.ask(request.clone()).await.unwrap();
        found.extend(page.obligations);
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

fn week(parent: &str) -> v1::ListObligationsRequest {
    v1::ListObligationsRequest { parent: parent.to_owned(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_week_asks_for_one_visit_and_two_calls_on_two_days() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, elder) = client.estate("a").await;
    assert_eq!(client.calls_and_visits(&elder).await, ["elder.call open 0/2", "elder.visit open 0/1"]);
    client.advance("2026-03-18T21:00:00+08:00").await;
    client.done(&elder, ServiceKind::PhoneCall, "2026-03-17T09:00:00+08:00").await;
    client.done(&elder, ServiceKind::PhoneCall, "2026-03-17T20:00:00+08:00").await;
    assert_eq!(client.calls_and_visits(&elder).await, ["elder.call open 1/2", "elder.visit open 0/1"]);
    client.done(&elder, ServiceKind::VideoCall, "2026-03-18T20:00:00+08:00").await;
    client
        .record(contact(&elder, ServiceKind::HomeVisit, "2026-03-18T20:30:00+08:00", Outcome::Declined))
        .await;
    assert_eq!(client.calls_and_visits(&elder).await, ["elder.call met 2/2", "elder.visit open 0/1"]);
    client.advance("2026-03-23T00:00:00+08:00").await;
    let last = client.obligations(&elder, "2026-03-16", "2026-03-22").await;
    let visit = last.iter().find(|o| o.standard == "standards/elder.visit").unwrap();
    assert_eq!(visit.status(), ObligationStatus::Missed);
    // A late entry still credits the week in which the visit took place, and shows.
    client.advance("2026-03-28T12:00:00+08:00").await;
    client.done(&elder, ServiceKind::HomeVisit, "2026-03-22T10:00:00+08:00").await;
    let last = client.obligations(&elder, "2026-03-16", "2026-03-22").await;
    let visit = last.iter().find(|o| o.standard == "standards/elder.visit").unwrap();
    assert_eq!(
        (line(visit).as_str(), visit.flags.as_slice()),
        ("elder.visit met 1/1", [i32::from(v1::ObligationFlag::LateEntry)].as_slice())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_obligation_says_what_why_and_until_when() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, elder) = client.estate("a").await;
    let call = client.done(&elder, ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00").await;
    let found = client.obligations(&elder, "", "").await;
    let owed = found.iter().find(|o| o.standard == "standards/elder.call").unwrap();
    assert_eq!((owed.subject.as_str(), owed.subject_kind()), (elder.as_str(), v1::SubjectKind::Resident));
    assert_eq!(
        (owed.window_start_date.as_str(), owed.window_end_date.as_str()),
        ("2026-03-16", "2026-03-22")
    );
    assert_eq!(shown(owed.window_start_time.as_ref()), "2026-03-16T00:00");
    assert_eq!(shown(owed.window_end_time.as_ref()), "2026-03-23T00:00");
    assert_eq!(shown(owed.due_time.as_ref()), "2026-03-22T23:59");
    assert_eq!((owed.window_days, owed.eligible_days, owed.active_days), (7, 7, 7));
    assert_eq!(owed.credited_records, [call.name]);
    assert_eq!(owed.display_name, "", "a list without names needs no audit entry");
    let reasons: Vec<_> = owed.reasons.iter().map(|reason| reason.plugin.as_str()).collect();
    assert!(
        !reasons.is_empty() && reasons.iter().all(|plugin| *plugin == "plugins/cn.linli.elderly"),
        "{owed:?}"
    );
    assert!(owed.key.starts_with("a/resident/"), "{}", owed.key);
    assert!(owed.next_change_time.is_some());
    assert_eq!(week(&site).parent, site);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_hold_people_and_places_and_page_without_loss() {
    people_and_places(Data::sqlite()).await;
    if let Some(data) = Data::postgres().await {
        people_and_places(data).await;
    }
}

async fn people_and_places(data: Data) {
    let server = Server::on(data).await;
    let client = server.client();
    let (site, _, elder_name) = client.estate("a").await;
    client.estate("b").await;
    let empty = client.dwelling(&site, "502").await;
    for (id, kind, building) in [
        ("b3", v1::AreaKind::Building, "3"),
        ("b9", v1::AreaKind::Building, "9"),
        ("p1", v1::AreaKind::Passage, ""),
    ] {
        let area = v1::Area {
            kind: kind.into(),
            display_name: format!("area {id}"),
            building: building.to_owned(),
            ..Default::default()
        };
        let request = v1::CreateAreaRequest {
            parent: site.clone(),
            area: Some(area),
            area_id: id.to_owned(),
            ..Default::default()
        };
        client.ask(request).await.unwrap();
    }
    let whole = all(&client, &week(&site)).await;
    for page_size in [1, 3, 200] {
        let paged = all(&client, &v1::ListObligationsRequest { page_size, ..week(&site) }).await;
        assert_eq!(paged, whole, "pages of {page_size}");
    }
    let keys: std::collections::BTreeSet<&str> = whole.iter().map(|o| o.key.as_str()).collect();
    assert_eq!(keys.len(), whole.len(), "no obligation twice");
    let across = all(&client, &v1::ListObligationsRequest { page_size: 7, ..week("sites/-") }).await;
    let of_site: Vec<_> = across.iter().filter(|o| o.subject.starts_with(&site)).cloned().collect();
    assert_eq!(of_site, whole);
    assert!(across.iter().any(|o| o.subject.starts_with("sites/b/")));

    let owed_to = |subject: &str| -> Vec<&str> {
        whole
            .iter()
            .filter(|o| o.subject == subject)
            .map(|o| o.standard.trim_start_matches("standards/"))
            .collect()
    };
    assert!(owed_to(&elder_name).contains(&"survey.review"));
    // A dwelling without anybody in care wants its survey and nothing else.
    assert_eq!(owed_to(&empty), ["survey.full"]);
    let patrols = |area: &str| {
        owed_to(&format!("{site}/areas/{area}")).iter().filter(|s| **s == "patrol.night").count()
    };
    // From Monday, the day of registration, to Sunday: only where somebody in care lives, or the area serves all.
    assert_eq!((patrols("b3"), patrols("b9"), patrols("p1")), (7, 0, 7));
    assert_eq!(owed_to(&format!("{site}/areas/p1")).iter().filter(|s| **s == "passage.check").count(), 7);
    assert_eq!(owed_to(&site), ["fund.publish"]);
    let place = whole.iter().find(|o| o.subject.ends_with("/areas/b3")).unwrap();
    assert_eq!(place.display_name, "area b3");
    assert!(
        whole
            .iter()
            .filter(|o| o.standard == "standards/patrol.night")
            .all(|o| { o.reasons.iter().all(|reason| reason.code == "flagged") })
    );

    // Conditions.
    let security = v1::ListObligationsRequest { department: v1::Department::Security.into(), ..week(&site) };
    let found = all(&client, &security).await;
    let expect: Vec<_> =
        whole.iter().filter(|o| o.department() == v1::Department::Security).cloned().collect();
    assert_eq!(found, expect);
    let statuses = vec![ObligationStatus::Upcoming.into()];
    let found = all(&client, &v1::ListObligationsRequest { statuses, ..week(&site) }).await;
    let expect: Vec<_> = whole.iter().filter(|o| o.status() == ObligationStatus::Upcoming).cloned().collect();
    assert!(!expect.is_empty());
    assert_eq!(found, expect);
    let visits = v1::ListObligationsRequest { standard: "standards/elder.visit".into(), ..week("sites/-") };
    assert_eq!(lines(&client, &visits).await, ["elder.visit open 0/1", "elder.visit open 0/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_listed_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, elder) = client.estate("a").await;
    let ask = |request: v1::ListObligationsRequest| client.ask(request);
    let wrong = v1::ListObligationsRequest {
        parent: "site".into(),
        statuses: vec![1, 88],
        start_date: "2026-02-30".into(),
        department: 77,
        resident: "r".into(),
        standard: "elder.visit".into(),
        ..Default::default()
    };
    invalid(ask(wrong).await, &["parent", "statuses[1]", "start_date", "department", "resident", "standard"]);
    invalid(ask(v1::ListObligationsRequest { page_size: -3, ..week(&site) }).await, &["page_size"]);
    invalid(
        ask(v1::ListObligationsRequest { standard: "standards/no.such".into(), ..week(&site) }).await,
        &["standard"],
    );
    for (start, end) in [("2026-03-17", "2026-03-16"), ("2026-01-01", "2027-01-03")] {
        let dates =
            v1::ListObligationsRequest { start_date: start.into(), end_date: end.into(), ..week(&site) };
        invalid(ask(dates).await, &["end_date"]);
    }
    let foreign = v1::ListObligationsRequest { resident: "sites/b/residents/r".into(), ..week(&site) };
    invalid(ask(foreign).await, &["resident"]);
    let nobody = v1::ListObligationsRequest { resident: format!("{site}/residents/nobody"), ..week(&site) };
    refused(ask(nobody).await, "NOT_FOUND");
    refused(ask(week("sites/nowhere")).await, "NOT_FOUND");
    let first = ask(v1::ListObligationsRequest { page_size: 1, ..week(&site) }).await.unwrap();
    let other = v1::ListObligationsRequest {
        page_token: first.next_page_token.clone(),
        resident: elder.clone(),
        ..week(&site)
    };
    refused(ask(other).await, "PAGE_TOKEN_INVALID");
    let stranger = server.outsider();
    let token = v1::ListObligationsRequest { page_size: 1, page_token: first.next_page_token, ..week(&site) };
    assert!(stranger.ask(token).await.is_err());
    refused(
        client.ask(v1::GetStandingRequest { name: format!("{site}/residents/nobody") }).await,
        "NOT_FOUND",
    );
    let worklist = |parent: &str, until: &str| {
        let (client, parent, until_date) = (client.clone(), parent.to_owned(), until.to_owned());
        async move { client.ask(v1::ListWorklistRequest { parent, until_date, ..Default::default() }).await }
    };
    refused(worklist("sites/a/posts/none", "").await, "NOT_FOUND");
    invalid(worklist("sites/a", "x").await, &["parent", "until_date"]);
    invalid(worklist("sites/a/posts/-", "2026-03-15").await, &["until_date"]);
    invalid(worklist("sites/a/posts/-", "2026-04-17").await, &["until_date"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_without_holidays_is_said_where_it_matters() {
    let server = Server::on(Data::sqlite().at("2027-03-16T09:00:00+08:00")).await;
    let client = server.client();
    let (site, _, _) = client.estate("a").await;
    // What only hints at how pressing a duty is does not need the year's holidays; a duty of school days does.
    let found = client.ask(week(&site)).await.unwrap().obligations;
    assert!(
        found.iter().any(|o| o.standard == "standards/elder.visit" && o.status() == ObligationStatus::Open)
    );
    let gate =
        v1::Area { display_name: "东门".into(), kind: v1::AreaKind::Gate.into(), ..Default::default() };
    let request = v1::CreateAreaRequest { parent: site.clone(), area: Some(gate), ..Default::default() };
    client.ask(request).await.unwrap();
    let refusal = refused(client.ask(week(&site)).await, "CALENDAR_YEAR_MISSING");
    assert_eq!(refusal.code, Code::FailedPrecondition);
    assert_eq!(refusal.metadata, [("year".to_owned(), "2027".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_shows_every_standard_with_reasons_and_credits() {
    let server = Server::start().await;
    let client = server.client();
    let (_, _, elder) = client.estate("a").await;
    let visit = client.done(&elder, ServiceKind::HomeVisit, "2026-03-16T08:00:00+08:00").await;
    let standing = client.ask(v1::GetStandingRequest { name: elder.clone() }).await.unwrap();
    assert_eq!((standing.resident.as_str(), standing.display_name.as_str()), (elder.as_str(), "秦**"));
    assert_eq!(shown(standing.as_of_time.as_ref()), "2026-03-16T09:00");
    assert!(!standing.assessment_stale);
    assert!(standing.next_change_time.is_some());
    let codes: Vec<&str> = standing.standards.iter().map(|s| s.standard.as_str()).collect();
    assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
    let find =
        |code: &str| standing.standards.iter().find(|s| s.standard == format!("standards/{code}")).unwrap();
    let visits = find("elder.visit");
    assert!(visits.groups.contains(&"living_alone".to_owned()) && !visits.reasons.is_empty(), "{visits:?}");
    assert_eq!(visits.obligations.iter().map(line).collect::<Vec<_>>(), ["elder.visit met 1/1"]);
    assert_eq!(visits.obligations[0].credited_records, std::slice::from_ref(&visit.name));
    // Applies to every file, though nothing was reported.
    assert!(find("file.update").obligations.is_empty() && !find("file.update").reasons.is_empty());
    // The next occasion: Double Ninth 2026 is 18 October.
    let ninth = &find("festival.visit.double_ninth").obligations[0];
    assert_eq!((ninth.occasion.as_str(), ninth.status()), ("double_ninth-2026", ObligationStatus::Upcoming));
    assert_eq!(ninth.window_end_date, "2026-10-18");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worklist_is_short_masked_and_ordered() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, first) = client.estate("a").await;
    let dwelling = client.dwelling(&site, "502").await;
    let second = client.resident(elder(&dwelling, "陶静好")).await.name;
    let far = v1::Dwelling { building: "9".into(), room: "101".into(), ..Default::default() };
    let far = v1::CreateDwellingRequest { parent: site.clone(), dwelling: Some(far), ..Default::default() };
    let far = client.ask(far).await.unwrap().name;
    let third = client.resident(elder(&far, "谢知秋")).await.name;
    let post = v1::Post {
        display_name: "3栋管家".into(),
        department: v1::Department::CustomerService.into(),
        buildings: vec!["3".into()],
        ..Default::default()
    };
    let post = v1::CreatePostRequest { parent: site.clone(), post: Some(post), ..Default::default() };
    let post = client.ask(post).await.unwrap().name;
    // One call of the first is done already; a try to reach the second failed.
    client.done(&first, ServiceKind::PhoneCall, "2026-03-16T08:30:00+08:00").await;
    client
        .record(contact(&second, ServiceKind::PhoneCall, "2026-03-16T08:45:00+08:00", Outcome::NotReached))
        .await;
    let list = |parent: &str, page_size: i32| {
        let request = v1::ListWorklistRequest { parent: parent.to_owned(), page_size, ..Default::default() };
        let client = client.clone();
        async move {
            let mut request = request;
            let mut items = Vec::new();
            loop {
                let page = client.ask(request.clone()).await.unwrap();
                items.extend(page.items);
                if page.next_page_token.is_empty() {
                    break items;
                }
                request.page_token = page.next_page_token;
            }
        }
    };
    let items = list(&post, 0).await;
    assert_eq!(items, list(&post, 1).await);
    let mut people: Vec<&str> = items.iter().map(|item| item.subject.as_str()).collect();
    people.sort_unstable();
    people.dedup();
    let mut expect = [first.as_str(), second.as_str()];
    expect.sort_unstable();
    assert_eq!(people, expect, "building 9 has another post");
    let of = |subject: &str, kind: ServiceKind| {
        items
            .iter()
            .find(|item| item.subject == subject && item.kind() == kind)
            .unwrap_or_else(|| panic!("no {kind:?} of {subject} in {items:?}"))
    };
    let visit = of(&first, ServiceKind::HomeVisit);
    assert_eq!((visit.times, visit.display_name.as_str()), (1, "秦**"));
    assert_eq!(visit.dwelling_display_name, "3栋2单元501");
    assert_eq!(shown(visit.due_time.as_ref()), "2026-03-22T23:59");
    assert!(visit.obligations.iter().any(|o| o.standard == "standards/elder.visit"));
    assert_eq!(of(&first, ServiceKind::PhoneCall).times, 1);
    // The second try is due within hours: it leads the list, and counts as one of the two calls.
    assert_eq!(items[0].subject, second);
    assert!(
        items[0].obligations.iter().any(|o| o.standard.starts_with("standards/contact.ladder")),
        "{:?}",
        items[0]
    );
    assert!(items.iter().all(|item| item.kind() != ServiceKind::Unspecified && item.times > 0));

    let everybody = list(&format!("{site}/posts/-"), 0).await;
    assert!(everybody.iter().any(|item| item.subject == third));
    assert!(everybody.len() > items.len());
}

/// A resident of building 3 moves to building 5 after two weeks. Guards walk the passages of flagged homes each night.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_room_leaves_what_was_missed_with_the_building_of_those_days() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        let client = server.client();
        let (site, _, resident) = client.estate("a").await;
        let five = v1::Dwelling { building: "5".to_owned(), room: "101".to_owned(), ..Default::default() };
        let five =
            v1::CreateDwellingRequest { parent: site.clone(), dwelling: Some(five), ..Default::default() };
        let five = client.ask(five).await.unwrap().name;
        let mut posts = Vec::new();
        for building in ["3", "5"] {
            let area = v1::Area {
                kind: v1::AreaKind::Building.into(),
                display_name: format!("{building}栋"),
                building: building.to_owned(),
                ..Default::default()
            };
            let area_id = format!("b{building}");
            let area = v1::CreateAreaRequest {
                parent: site.clone(),
                area: Some(area),
                area_id,
                ..Default::default()
            };
            client.ask(area).await.unwrap();
            let post = v1::Post {
                display_name: format!("{building}栋保安"),
                department: v1::Department::Security.into(),
                buildings: vec![building.to_owned()],
                ..Default::default()
            };
            let post = v1::CreatePostRequest { parent: site.clone(), post: Some(post), ..Default::default() };
            posts.push(client.ask(post).await.unwrap().name);
        }
        client.advance("2026-03-30T09:00:00+08:00").await;
        let to_five = v1::RecordMoveInRequest {
            parent: site.clone(),
            dwelling: five,
            move_in_date: "2026-03-30".to_owned(),
            resident: resident.clone(),
            ..Default::default()
        };
        client.ask(to_five).await.unwrap();
        client.advance("2026-04-01T09:00:00+08:00").await;

        let patrols = v1::ListObligationsRequest {
            start_date: "2026-03-16".to_owned(),
            end_date: "2026-04-02".to_owned(),
            standard: "standards/patrol.night".to_owned(),
            page_size: 7,
            ..week(&site)
        };
        let mut found: Vec<String> = Vec::new();
        for owed in all(&client, &patrols).await {
            let area = owed.subject.rsplit('/').next().unwrap();
            found.push(format!("{area} {} {}", owed.window_start_date, line(&owed)));
        }
        found.sort();
        let missed = |area: &str, day: String| format!("{area} {day} patrol.night missed 0/1");
        let mut expect: Vec<String> = (16..30).map(|day| missed("b3", format!("2026-03-{day}"))).collect();
        expect.extend(["2026-03-30", "2026-03-31"].map(|day| missed("b5", day.to_owned())));
        expect.push("b5 2026-04-01 patrol.night at_risk 0/1".to_owned());
        expect.push("b5 2026-04-02 patrol.night upcoming 0/1".to_owned());
        assert_eq!(found, expect);

        for (post, expect) in posts.iter().zip([&[][..], &["sites/a/areas/b5"][..]]) {
            let list = v1::ListWorklistRequest { parent: post.clone(), ..Default::default() };
            let items = client.ask(list).await.unwrap().items;
            let patrols = items.iter().filter(|item| item.kind() == ServiceKind::Patrol);
            assert_eq!(patrols.map(|item| item.subject.as_str()).collect::<Vec<_>>(), expect, "{post}");
        }
        // Moves come in order, and none before the tenure.
        for date in ["2026-03-29", "2019-12-31"] {
            let back = v1::RecordMoveInRequest {
                parent: site.clone(),
                dwelling: format!("{site}/dwellings/d501"),
                move_in_date: date.to_owned(),
                resident: resident.clone(),
                ..Default::default()
            };
            invalid(client.ask(back).await, &["move_in_date"]);
        }
    }
}

/// What nobody answered stays on the lists, however old it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nobody_answers_stays_for_years() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        let client = server.client();
        let (site, _, resident) = client.estate("a").await;
        let report = v1::ReportChangeRequest {
            name: resident.clone(),
            kind: v1::ChangeKind::Contact.into(),
            ..Default::default()
        };
        let answered = client.ask(report.clone()).await.unwrap().name;
        let open = client.ask(report).await.unwrap().name;
        let answer = |event: &str, time: &str| v1::Record {
            subjects: vec![v1::RecordSubject {
                subject: resident.clone(),
                outcome: Outcome::Done.into(),
                answers: vec![event.to_owned()],
                ..Default::default()
            }],
            ..contact(&resident, ServiceKind::FileUpdate, time, Outcome::Done)
        };
        client.advance("2026-03-16T12:00:00+08:00").await;
        client.record(answer(&answered, "2026-03-16T10:00:00+08:00")).await;
        client.advance("2028-05-10T09:00:00+08:00").await;
        let list = v1::ListObligationsRequest { standard: "standards/file.update".to_owned(), ..week(&site) };
        let found: Vec<(String, String)> =
            all(&client, &list).await.iter().map(|owed| (owed.event.clone(), line(owed))).collect();
        assert_eq!(found, [(open.clone(), "file.update missed 0/1".to_owned())]);
        client.record(answer(&open, "2028-05-10T08:00:00+08:00")).await;
        assert_eq!(lines(&client, &list).await, ["file.update met_late 1/1"]);
        client.advance("2028-05-24T09:00:00+08:00").await;
        assert_eq!(lines(&client, &list).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_major_change_asks_for_a_visit_within_a_day() {
    let server = Server::start().await;
    let client = server.client();
    let site = client.site("a").await;
    let dwelling = client.dwelling(&site, "501").await;
    let mut ill = elder(&dwelling, "秦安然");
    ill.facts.push(flag("dementia", true));
    let resident = client.resident(ill).await.name;
    let report = |kind: v1::EventKind| v1::ReportChangeRequest {
        name: resident.clone(),
        kind: v1::ChangeKind::Health.into(),
        event_kind: kind.into(),
        ..Default::default()
    };
    let event = client.ask(report(v1::EventKind::MajorChange)).await.unwrap();
    assert_eq!((event.kind(), event.change_kind()), (v1::EventKind::MajorChange, v1::ChangeKind::Health));
    let asked = async |standard: &str| {
        let owed = client.owed(&resident).await;
        owed.into_iter().filter(|line| line.starts_with(standard)).collect::<Vec<_>>()
    };
    assert_eq!(asked("elder.major_change").await, ["elder.major_change open 0/1"]);
    // The file itself is due after a report of its own.
    assert_eq!(asked("file.update").await, [""; 0]);
    client.advance("2026-03-17T08:00:00+08:00").await;
    client.done(&resident, ServiceKind::HomeVisit, "2026-03-17T07:00:00+08:00").await;
    assert_eq!(asked("elder.major_change").await, ["elder.major_change met 1/1"]);
    assert_eq!(
        client.ask(report(v1::EventKind::Discharged)).await.unwrap().kind(),
        v1::EventKind::Discharged
    );
    assert_eq!(
        client.ask(report(v1::EventKind::Unspecified)).await.unwrap().kind(),
        v1::EventKind::ChangeReported
    );
    assert_eq!(asked("file.update").await, ["file.update open 0/1"]);
    for kind in [v1::EventKind::ExtremeWeather, v1::EventKind::ServiceDone, v1::EventKind::HouseholdMovedIn] {
        invalid(client.ask(report(kind)).await, &["event_kind"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extreme_weather_asks_for_a_check_on_everybody_it_concerns() {
    let server = Server::start().await;
    let client = server.client();
    let (site, dwelling, first) = client.estate("a").await;
    let second = client.resident(elder(&dwelling, "华静好")).await.name;
    let young = v1::Resident { birth_date: "1990-01-01".to_owned(), ..elder(&dwelling, "严如玉") };
    let young = client.resident(young).await.name;
    let weather = |time: &str| v1::ReportWeatherRequest {
        name: site.clone(),
        announce_time: Some(at(time)),
        ..Default::default()
    };
    let event = client.ask(weather("2026-03-16T07:00:00+08:00")).await.unwrap();
    assert_eq!((event.kind(), event.subject.as_str()), (v1::EventKind::ExtremeWeather, site.as_str()));
    let checks = async |resident: &str| {
        let owed = client.owed(resident).await;
        owed.into_iter().filter(|line| line.starts_with("elder.weather")).collect::<Vec<_>>()
    };
    assert_eq!(checks(&first).await, ["elder.weather open 0/1"]);
    assert_eq!(checks(&second).await, ["elder.weather open 0/1"]);
    assert_eq!(checks(&young).await, [""; 0]);
    // The record may name what was announced for the site.
    let mut call = contact(&first, ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00", Outcome::Done);
    call.subjects[0].answers = vec![event.name.clone()];
    client.record(call).await;
    assert_eq!(checks(&first).await, ["elder.weather met 1/1"]);
    client.advance("2026-03-17T08:00:00+08:00").await;
    assert_eq!(checks(&second).await, ["elder.weather missed 0/1"]);
    let standing = client.ask(v1::GetStandingRequest { name: second.clone() }).await.unwrap();
    assert!(standing.standards.iter().any(|s| s.obligations.iter().any(|o| o.event == event.name)));
    // Who moves in afterwards is not asked about it.
    let late = client.resident(elder(&dwelling, "金玉言")).await.name;
    assert_eq!(checks(&late).await, [""; 0]);
    invalid(client.ask(weather("2026-03-18T07:00:00+08:00")).await, &["announce_time"]);
    refused(
        client.ask(v1::ReportWeatherRequest { name: "sites/none".to_owned(), ..Default::default() }).await,
        "NOT_FOUND",
    );
}

/// Second try, emergency contact, door, authorities: each step is owed by whom it concerns, with its clock, until somebody knows.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_reached_is_looked_for_step_by_step() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, elder) = client.estate("a").await;
    let mut posts = Vec::new();
    for (id, department) in
        [("steward", v1::Department::CustomerService), ("guard", v1::Department::Security)]
    {
        let post = v1::Post {
            display_name: id.to_owned(),
            department: department.into(),
            buildings: vec!["3".to_owned()],
            ..Default::default()
        };
        let request = v1::CreatePostRequest {
            parent: site.clone(),
            post: Some(post),
            post_id: id.to_owned(),
            ..Default::default()
        };
        posts.push(client.ask(request).await.unwrap().name);
    }
    // The steps with their status, and which posts are asked to do something about them.
    let ladder = async || {
        let mut steps: Vec<String> = client
            .owed(&elder)
            .await
            .iter()
            .filter_map(|line| line.strip_prefix("contact.ladder."))
            .map(|line| line.replace(".high", ""))
            .collect();
        steps.sort();
        steps
    };
    let asked = async |post: &str| {
        let list = v1::ListWorklistRequest { parent: post.to_owned(), ..Default::default() };
        let items = client.ask(list).await.unwrap().items;
        let of_ladder = |item: &&v1::WorklistItem| {
            item.obligations.iter().any(|owed| owed.standard.starts_with("standards/contact.ladder"))
        };
        items.iter().filter(of_ladder).map(|item| item.kind()).collect::<Vec<_>>()
    };
    let not_reached = async |kind: ServiceKind, time: &str| {
        client.record(contact(&elder, kind, time, Outcome::NotReached)).await;
    };
    not_reached(ServiceKind::PhoneCall, "2026-03-16T08:55:00+08:00").await;
    // Due today: its day has begun.
    assert_eq!(ladder().await, ["retry at_risk 0/1"]);
    assert!(asked(&posts[1]).await.is_empty());
    client.advance("2026-03-16T09:10:00+08:00").await;
    not_reached(ServiceKind::HomeVisit, "2026-03-16T09:05:00+08:00").await;
    let steps = ladder().await;
    assert_eq!(steps[1], "retry met 1/1", "a second try was made");
    assert!(steps[0].starts_with("emergency_contact "), "{steps:?}");
    not_reached(ServiceKind::EmergencyContactCall, "2026-03-16T09:08:00+08:00").await;
    assert_eq!(asked(&posts[1]).await, [ServiceKind::DoorCheck], "the guards are asked to look");
    client.advance("2026-03-16T09:20:00+08:00").await;
    not_reached(ServiceKind::DoorCheck, "2026-03-16T09:15:00+08:00").await;
    // Five minutes for the report, whoever it is.
    client.advance("2026-03-16T09:21:00+08:00").await;
    let steps = ladder().await;
    assert_eq!(steps, ["authority missed 0/1", "door met 1/1", "emergency_contact met 1/1", "retry met 1/1"]);
    assert_eq!(asked(&posts[0]).await, [ServiceKind::AuthorityReport]);
    client.advance("2026-03-16T09:40:00+08:00").await;
    client.done(&elder, ServiceKind::AuthorityReport, "2026-03-16T09:25:00+08:00").await;
    assert_eq!(ladder().await[0], "authority met_late 1/1");
    // A neighbour knows: she is at her daughter's. That is no visit.
    let word = v1::ConfirmSafetyRequest {
        name: elder.clone(),
        source: v1::SafetySource::Neighbour.into(),
        ..Default::default()
    };
    client.ask(word).await.unwrap();
    assert_eq!((asked(&posts[0]).await, asked(&posts[1]).await), (vec![], vec![]));
    assert_eq!(client.calls_and_visits(&elder).await, ["elder.call open 0/2", "elder.visit open 0/1"]);
    // The next try that fails begins again at the bottom.
    client.advance("2026-03-17T10:00:00+08:00").await;
    not_reached(ServiceKind::PhoneCall, "2026-03-17T09:55:00+08:00").await;
    assert!(ladder().await.contains(&"retry at_risk 0/1".to_owned()));
    assert!(asked(&posts[1]).await.is_empty());
}

/// A stream that wakes when something is recorded and when time changes something, and says nothing meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_worklist_is_watched() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        let client = server.client();
        let (site, _, elder) = client.estate("a").await;
        let watch = |update_limit: i32| v1::WatchWorklistRequest {
            parent: format!("{site}/posts/-"),
            update_limit,
            ..Default::default()
        };
        let kinds = |list: &v1::WatchWorklistResponse| -> Vec<ServiceKind> {
            list.items.iter().filter(|item| item.subject == elder).map(v1::WorklistItem::kind).collect()
        };
        let mut stream = client.watch(watch(0)).await.unwrap();
        let first = stream.message().await.unwrap().unwrap();
        let listed = client
            .ask(v1::ListWorklistRequest { parent: format!("{site}/posts/-"), ..Default::default() })
            .await
            .unwrap();
        assert_eq!((first.items.clone(), first.more), (listed.items, false));
        assert_eq!(shown(first.as_of_time.as_ref()), "2026-03-16T09:00");
        assert!(kinds(&first).contains(&ServiceKind::HomeVisit) && first.next_change_time.is_some());
        // A visit: the list is shorter at once.
        client.done(&elder, ServiceKind::HomeVisit, "2026-03-16T08:00:00+08:00").await;
        let second = stream.message().await.unwrap().unwrap();
        assert!(!kinds(&second).contains(&ServiceKind::HomeVisit), "{second:?}");
        // Time alone: on Monday the visit is owed again.
        client.advance("2026-03-23T09:00:00+08:00").await;
        let third = stream.message().await.unwrap().unwrap();
        assert!(kinds(&third).contains(&ServiceKind::HomeVisit), "{third:?}");
        assert_eq!(shown(third.as_of_time.as_ref()), "2026-03-23T09:00");
        drop(stream);
        // As many answers as were asked for, then the end.
        let mut once = client.watch(watch(1)).await.unwrap();
        assert_eq!(once.message().await.unwrap().unwrap(), third);
        assert!(once.message().await.unwrap().is_none());
        invalid(client.watch(watch(-1)).await.map(drop), &["update_limit"]);
        let nowhere = v1::WatchWorklistRequest { parent: "sites/b/posts/-".to_owned(), ..Default::default() };
        refused(client.watch(nowhere).await.map(drop), "NOT_FOUND");
        refused(server.outsider().watch(watch(0)).await.map(drop), "PERMISSION_DENIED");
        // A server that ends takes nobody's time: who watches is told to call again.
        let mut open = client.watch(watch(0)).await.unwrap();
        open.message().await.unwrap().unwrap();
        let stopped = tokio::spawn(server.stop());
        assert!(open.message().await.unwrap().is_none());
        stopped.await.unwrap();
    }
}

/// Rights that end meanwhile end the stream.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_no_longer_see_a_worklist_is_no_longer_told() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let (site, _, _) = client.estate("a").await;
    let guard = issuer.enter(&server, "zhao", vec![grant(v1::StaffRole::Member, &["a"])]).await;
    let request = v1::WatchWorklistRequest { parent: format!("{site}/posts/-"), ..Default::default() };
    let mut stream = guard.watch(request).await.unwrap();
    stream.message().await.unwrap().unwrap();
    let gone = v1::DeactivateStaffRequest { name: "staff/zhao".to_owned(), ..Default::default() };
    client.ask(gone).await.unwrap();
    let end = stream.message().await.map(drop);
    refused(end, "PERMISSION_DENIED");
    server.stop().await;
}
