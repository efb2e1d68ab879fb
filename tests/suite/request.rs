//! Requests and emergencies: their way, their clocks, who is served first, and who may read what was asked for.

use linli_proto::v1;
use linli_proto::v1::{NoticeParty, RequestKind, RequestState, RequestUrgency};
use tonic::Status;

use crate::harness::client::Client;
use crate::harness::estate::{at, elder, shown};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::{Refusal, invalid, refused};

fn asked(site: &str, subject: &str, kind: RequestKind) -> v1::SubmitRequestRequest {
    v1::SubmitRequestRequest {
        parent: site.to_owned(),
        request: Some(v1::Request {
            kind: kind.into(),
            subject: subject.to_owned(),
            description: "厨房水龙头漏水".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn told(party: NoticeParty) -> v1::EmergencyNotice {
    v1::EmergencyNotice { party: party.into(), ..Default::default() }
}

fn emergency(site: &str, subject: &str) -> v1::ReportEmergencyRequest {
    v1::ReportEmergencyRequest {
        parent: site.to_owned(),
        subject: subject.to_owned(),
        description: "在浴室跌倒".to_owned(),
        ..Default::default()
    }
}

/// The steps of a request by name, each taken now.
async fn take(client: &Client, name: &str, step: &str) -> Result<v1::Request, Status> {
    let name = name.to_owned();
    match step {
        "accept" => client.ask(v1::AcceptRequestRequest { name, ..Default::default() }).await,
        "dispatch" => {
            let assignee = format!("{}/posts/eng", name.split("/requests/").next().unwrap());
            client.ask(v1::DispatchRequestRequest { name, assignee, ..Default::default() }).await
        }
        "arrive" => client.ask(v1::ArriveRequestRequest { name, ..Default::default() }).await,
        "complete" => {
            let note = "换了垫圈".to_owned();
            client.ask(v1::CompleteRequestRequest { name, note, ..Default::default() }).await
        }
        "follow_up" => {
            client.ask(v1::FollowUpRequestRequest { name, satisfaction: 2, ..Default::default() }).await
        }
        "review" => {
            let finding = "已向住户致歉并返工".to_owned();
            client.ask(v1::ReviewRequestRequest { name, finding, ..Default::default() }).await
        }
        "cancel" => {
            let reason = "住户自行解决".to_owned();
            client.ask(v1::CancelRequestRequest { name, reason, ..Default::default() }).await
        }
        _ => panic!("no step {step}"),
    }
}

const STEPS: [&str; 7] = ["accept", "dispatch", "arrive", "complete", "follow_up", "review", "cancel"];

/// An engineering post for building 3.
async fn engineers(client: &Client, site: &str) -> String {
    let post = v1::Post {
        display_name: "3栋维修岗".to_owned(),
        department: v1::Department::Engineering.into(),
        buildings: vec!["3".to_owned()],
        ..Default::default()
    };
    let request = v1::CreatePostRequest {
        parent: site.to_owned(),
        post: Some(post),
        post_id: "eng".to_owned(),
        ..Default::default()
    };
    client.ask(request).await.unwrap().name
}

/// The clocks of a request as `standard status due`, those that are excused too, in order of standard.
async fn clocks(client: &Client, request: &str) -> Vec<String> {
    let parent = request.split("/requests/").next().unwrap().to_owned();
    let mut list = v1::ListObligationsRequest { parent, page_size: 200, ..Default::default() };
    let mut found = Vec::new();
    loop {
        let page = client.ask(list.clone()).await.unwrap();
        let own = page.obligations.into_iter().filter(|obligation| obligation.subject == request);
        found.extend(own.map(|obligation| {
            let status = obligation.status().as_str_name().trim_start_matches("OBLIGATION_STATUS_");
            let standard = obligation.standard.trim_start_matches("standards/request.");
            let due = shown(obligation.due_time.as_ref());
            format!("{standard} {} {}", status.to_lowercase(), due.get(8..).unwrap_or_default())
        }));
        if page.next_page_token.is_empty() {
            return found;
        }
        list.page_token = page.next_page_token;
    }
}

async fn list(client: &Client, request: v1::ListRequestsRequest) -> Vec<v1::Request> {
    client.ask(request).await.unwrap().requests
}

fn open(site: &str) -> v1::ListRequestsRequest {
    v1::ListRequestsRequest { parent: site.to_owned(), ..Default::default() }
}

/// A5.3: a home repair for a member of a care group is served before others, and every step answers the clock before it.
#[tokio::test(flavor = "multi_thread")]
async fn a5_3_a_repair_from_the_call_to_the_follow_up() {
    a_repair(Data::sqlite()).await;
    if let Some(data) = Data::postgres().await {
        a_repair(data).await;
    }
}

async fn a_repair(data: Data) {
    let server = Server::on(data).await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    engineers(&client, &site).await;
    let request = client.ask(asked(&site, &resident, RequestKind::Repair)).await.unwrap();
    let name = request.name.clone();
    assert_eq!((request.state(), request.urgency()), (RequestState::Submitted, RequestUrgency::Priority));
    assert_eq!(request.department(), v1::Department::Engineering);
    assert_eq!((request.place.as_str(), request.description.as_str()), ("3栋2单元501", ""));
    assert_eq!(clocks(&client, &name).await, ["accept.priority at_risk 16T09:15"]);

    // Taken up in time, reached too late, done in time.
    client.advance("2026-03-16T09:10:00+08:00").await;
    take(&client, &name, "accept").await.unwrap();
    take(&client, &name, "dispatch").await.unwrap();
    client.advance("2026-03-16T09:45:00+08:00").await;
    assert_eq!(
        clocks(&client, &name).await,
        [
            "accept.priority met 16T09:15",
            "arrive.repair.priority missed 16T09:40",
            "finish.repair.priority at_risk 16T21:10",
        ]
    );
    let late = list(&client, open(&site)).await;
    assert_eq!(
        (late.len(), late[0].overdue, shown(late[0].due_time.as_ref())),
        (1, true, "2026-03-16T09:40".into())
    );
    take(&client, &name, "arrive").await.unwrap();
    client.advance("2026-03-16T10:00:00+08:00").await;
    let done = take(&client, &name, "complete").await.unwrap();
    client.advance("2026-03-17T09:00:00+08:00").await;
    let record = done.steps.last().unwrap().record.clone();
    let follow_up = v1::FollowUpRequestRequest {
        name: name.clone(),
        satisfaction: 5,
        comment: "师傅很耐心".to_owned(),
        ..Default::default()
    };
    let closed = client.ask(follow_up).await.unwrap();
    assert_eq!((closed.state(), closed.satisfaction), (RequestState::Closed, 5));
    assert_eq!(
        clocks(&client, &name).await,
        [
            "accept.priority met 16T09:15",
            "arrive.repair.priority met_late 16T09:40",
            "finish.repair.priority met 16T21:10",
            "follow_up.priority met 17T10:00",
        ]
    );
    assert!(list(&client, open(&site)).await.is_empty());
    // The file says what was done for whom, and what they thought of it.
    let service = v1::GetRecordRequest { name: record, view: v1::View::Full.into() };
    let service = client.purposeful().ask(service).await.unwrap();
    assert_eq!((service.kind(), service.subjects[0].subject.as_str()), (v1::ServiceKind::Repair, &*resident));
    assert_eq!((service.subjects[0].note.as_str(), service.evaluations[0].satisfaction), ("换了垫圈", 5));
    let full = v1::GetRequestRequest { name, view: v1::View::Full.into() };
    let full = client.purposeful().ask(full).await.unwrap();
    assert_eq!((full.description.as_str(), full.comment.as_str()), ("厨房水龙头漏水", "师傅很耐心"));
    let states: Vec<RequestState> = full.steps.iter().map(v1::RequestStep::state).collect();
    use RequestState as S;
    assert_eq!(states, [S::Submitted, S::Accepted, S::Dispatched, S::Arrived, S::Done, S::Closed]);
    server.stop().await;
}

/// A3.3: whoever is a member of a care group is served before others, and what is late before everything.
#[tokio::test(flavor = "multi_thread")]
async fn a3_3_members_first_and_what_is_late_before_all() {
    let server = Server::start().await;
    let client = server.client();
    let (site, dwelling, resident) = client.estate("s1").await;
    let empty = client.dwelling(&site, "502").await;
    let stranger = client
        .resident(v1::Resident {
            birth_date: "1990-01-01".to_owned(),
            facts: Vec::new(),
            ..elder(&empty, "丙丁")
        })
        .await
        .name;
    let mut names = Vec::new();
    for (subject, asked_for, expect) in [
        (site.as_str(), RequestUrgency::Unspecified, RequestUrgency::Routine),
        (stranger.as_str(), RequestUrgency::Unspecified, RequestUrgency::Routine),
        (stranger.as_str(), RequestUrgency::Priority, RequestUrgency::Priority),
        (resident.as_str(), RequestUrgency::Routine, RequestUrgency::Priority),
        (dwelling.as_str(), RequestUrgency::Unspecified, RequestUrgency::Priority),
        (empty.as_str(), RequestUrgency::Unspecified, RequestUrgency::Routine),
    ] {
        let mut request = asked(&site, subject, RequestKind::Escort);
        request.request.as_mut().unwrap().urgency = asked_for.into();
        let request = client.ask(request).await.unwrap();
        assert_eq!(request.urgency(), expect, "{subject} {asked_for:?}");
        names.push(request.name);
    }
    let order = async |filter: v1::ListRequestsRequest| -> Vec<usize> {
        let found = list(&client, filter).await;
        found.iter().map(|found| names.iter().position(|name| *name == found.name).unwrap()).collect()
    };
    assert_eq!(order(open(&site)).await, [2, 3, 4, 0, 1, 5]);
    // Taken up at 9:14, all but the first; that one is late at 9:31 and comes before the members.
    client.advance("2026-03-16T09:14:00+08:00").await;
    for name in &names[1..] {
        take(&client, name, "accept").await.unwrap();
    }
    client.advance("2026-03-16T09:31:00+08:00").await;
    assert_eq!(order(open(&site)).await[0], 0);
    // Page by page it is the same list.
    let whole = order(open(&site)).await;
    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let page = v1::ListRequestsRequest { page_size: 2, page_token: token, ..open(&site) };
        let page = client.ask(page).await.unwrap();
        paged.extend(page.requests.iter().map(|r| names.iter().position(|n| *n == r.name).unwrap()));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, whole);
    let only = |change: fn(&mut v1::ListRequestsRequest)| {
        let mut filter = open(&site);
        change(&mut filter);
        filter
    };
    assert_eq!(order(only(|f| f.set_urgency(RequestUrgency::Priority))).await.len(), 3);
    assert_eq!(order(only(|f| f.set_kind(RequestKind::Repair))).await, [0; 0]);
    assert_eq!(order(only(|f| f.set_department(v1::Department::Security))).await.len(), 6);
    assert_eq!(order(only(|f| f.set_department(v1::Department::Cleaning))).await, [0; 0]);
    assert_eq!(order(only(|f| f.states = vec![RequestState::Submitted.into()])).await, [0]);
    assert_eq!(order(v1::ListRequestsRequest { subject: resident, ..open(&site) }).await, [3]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_does_not_fit_is_refused_with_those_that_do() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    engineers(&client, &site).await;
    for (is_emergency, way) in [
        (
            false,
            [
                ("accept", "accept,cancel"),
                ("dispatch", "dispatch,cancel"),
                ("arrive", "dispatch,arrive,cancel"),
                ("complete", "complete,cancel"),
                ("follow_up", "follow_up"),
                ("review", "review"),
                ("", ""),
            ]
            .as_slice(),
        ),
        (
            true,
            [
                ("arrive", "accept,arrive,cancel"),
                ("complete", "complete,cancel"),
                ("follow_up", "follow_up"),
                ("review", "review"),
                ("", ""),
            ]
            .as_slice(),
        ),
        (false, [("cancel", "accept,cancel"), ("", "")].as_slice()),
    ] {
        let name = if is_emergency {
            client.ask(emergency(&site, &resident)).await.unwrap().name
        } else {
            client.ask(asked(&site, &resident, RequestKind::Repair)).await.unwrap().name
        };
        for (step, possible) in way {
            for wrong in STEPS.iter().filter(|step| !possible.split(',').any(|fits| fits == **step)) {
                let refusal = refused(take(&client, &name, wrong).await, "REQUEST_STATE");
                let expect = [("possible".to_owned(), (*possible).to_owned())];
                assert_eq!(refusal.metadata, expect, "{wrong} before {step}");
            }
            if !step.is_empty() {
                take(&client, &name, step).await.unwrap_or_else(|status| panic!("{step}: {status:?}"));
            }
        }
    }
    // What it says to people.
    let name = client.ask(asked(&site, &resident, RequestKind::Repair)).await.unwrap().name;
    let said = |language| {
        let client = client.with("accept-language", language);
        let name = name.clone();
        async move { Refusal::of(&take(&client, &name, "complete").await.unwrap_err()).message }
    };
    assert_eq!(said("en").await, "the request is submitted; what is possible now: accept, cancel");
    assert_eq!(said("zh").await, "工单状态为“已提交”,目前可以:受理、取消");
    // Two who take the same step: one of them is told that it changed.
    let etag =
        client.ask(v1::GetRequestRequest { name: name.clone(), ..Default::default() }).await.unwrap().etag;
    let accept = v1::AcceptRequestRequest { name, etag, ..Default::default() };
    client.ask(accept.clone()).await.unwrap();
    refused(client.ask(accept).await, "ETAG_MISMATCH");
    server.stop().await;
}

/// A8.1: the errands of those who cannot go themselves, each recorded as what it was.
#[tokio::test(flavor = "multi_thread")]
async fn a8_1_errands_are_requests_and_stand_in_the_file() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    engineers(&client, &site).await;
    for (kind, service) in [
        (RequestKind::ErrandShopping, v1::ServiceKind::ErrandShopping),
        (RequestKind::ErrandParcel, v1::ServiceKind::ErrandParcel),
        (RequestKind::ErrandBill, v1::ServiceKind::ErrandBill),
        (RequestKind::ErrandMedicine, v1::ServiceKind::ErrandMedicine),
    ] {
        let name = client.ask(asked(&site, &resident, kind)).await.unwrap().name;
        for step in ["accept", "dispatch", "arrive", "complete"] {
            take(&client, &name, step).await.unwrap();
        }
        assert!(clocks(&client, &name).await.contains(&"finish.errand.priority met 16T21:00".to_owned()));
        let records = v1::ListRecordsRequest {
            parent: site.clone(),
            subject: resident.clone(),
            kind: service.into(),
            ..Default::default()
        };
        let records = client.ask(records).await.unwrap().records;
        assert_eq!((records.len(), records[0].department()), (1, v1::Department::CustomerService));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_mark_goes_to_a_deputy() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    engineers(&client, &site).await;
    for (satisfaction, state) in
        [(1, RequestState::FollowedUp), (2, RequestState::FollowedUp), (3, RequestState::Closed)]
    {
        let name = client.ask(asked(&site, &resident, RequestKind::IndoorHelp)).await.unwrap().name;
        for step in ["accept", "dispatch", "arrive", "complete"] {
            take(&client, &name, step).await.unwrap();
        }
        let follow_up = v1::FollowUpRequestRequest { name: name.clone(), satisfaction, ..Default::default() };
        assert_eq!(client.ask(follow_up).await.unwrap().state(), state, "{satisfaction}");
        if state == RequestState::FollowedUp {
            assert_eq!(clocks(&client, &name).await.last().unwrap(), "review open 19T23:59");
            let closed = take(&client, &name, "review").await.unwrap();
            assert_eq!((closed.state(), closed.finding.as_str()), (RequestState::Closed, ""));
            assert_eq!(clocks(&client, &name).await.last().unwrap(), "review met 19T23:59");
            let full = v1::GetRequestRequest { name, view: v1::View::Full.into() };
            assert_eq!(client.purposeful().ask(full).await.unwrap().finding, "已向住户致歉并返工");
        }
    }
    server.stop().await;
}

/// A5.2: an emergency has clocks of its own, and says who was told when.
#[tokio::test(flavor = "multi_thread")]
async fn a5_2_an_emergency_and_who_was_told() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    let report = v1::ReportEmergencyRequest {
        notices: vec![told(NoticeParty::Ambulance)],
        ..emergency(&site, &resident)
    };
    let reported = client.ask(report).await.unwrap();
    let name = reported.name.clone();
    assert_eq!((reported.kind(), reported.urgency()), (RequestKind::Emergency, RequestUrgency::Emergency));
    assert_eq!(reported.department(), v1::Department::Security);
    client.advance("2026-03-16T09:04:00+08:00").await;
    assert_eq!(
        clocks(&client, &name).await,
        [
            "accept.emergency missed 16T09:01",
            "arrive.emergency at_risk 16T09:05",
            "finish.emergency at_risk 16T13:00",
            "told.authority met 16T09:05",
            "told.family at_risk 16T09:10",
            "told.supervisor at_risk 16T09:30",
        ]
    );
    // The guard is there; nobody waited for papers.
    take(&client, &name, "arrive").await.unwrap();
    let notice = |party, time: &str| v1::RecordNoticeRequest {
        name: name.clone(),
        notice: Some(v1::EmergencyNotice { occur_time: Some(at(time)), ..told(party) }),
        ..Default::default()
    };
    client.advance("2026-03-16T09:40:00+08:00").await;
    client.ask(notice(NoticeParty::Family, "2026-03-16T09:08:00+08:00")).await.unwrap();
    let known = client.ask(notice(NoticeParty::Supervisor, "2026-03-16T09:35:00+08:00")).await.unwrap();
    let parties: Vec<(NoticeParty, String)> =
        known.notices.iter().map(|told| (told.party(), shown(told.occur_time.as_ref()))).collect();
    assert_eq!(
        parties,
        [
            (NoticeParty::Ambulance, "2026-03-16T09:00".to_owned()),
            (NoticeParty::Family, "2026-03-16T09:08".to_owned()),
            (NoticeParty::Supervisor, "2026-03-16T09:35".to_owned()),
        ]
    );
    take(&client, &name, "complete").await.unwrap();
    // However well it went, a deputy looks at it.
    let follow_up = v1::FollowUpRequestRequest { name: name.clone(), satisfaction: 5, ..Default::default() };
    assert_eq!(client.ask(follow_up).await.unwrap().state(), RequestState::FollowedUp);
    take(&client, &name, "review").await.unwrap();
    assert_eq!(
        clocks(&client, &name).await,
        [
            "accept.emergency met_late 16T09:01",
            "arrive.emergency met 16T09:05",
            "finish.emergency met 16T13:00",
            "follow_up.emergency met 17T09:40",
            "review met 19T23:59",
            "told.authority met 16T09:05",
            "told.family met 16T09:10",
            "told.supervisor met_late 16T09:30",
        ]
    );
    // About nobody there is no family to be told; a gas leak brings the engineer.
    let gas = v1::ReportEmergencyRequest { kind: RequestKind::Repair.into(), ..emergency(&site, &site) };
    let gas = client.ask(gas).await.unwrap();
    assert_eq!(
        clocks(&client, &gas.name).await,
        [
            "accept.emergency at_risk 16T09:41",
            "arrive.repair.emergency at_risk 16T09:55",
            "finish.repair.emergency at_risk 16T13:40",
            "told.authority at_risk 16T09:45",
            "told.supervisor at_risk 16T10:10",
        ]
    );
    // It comes first.
    client.ask(asked(&site, &resident, RequestKind::Escort)).await.unwrap();
    assert_eq!(list(&client, open(&site)).await[0].name, gas.name);
    // Others than emergencies are nobody's news.
    let escort = client.ask(asked(&site, &resident, RequestKind::Escort)).await.unwrap().name;
    let wrong = v1::RecordNoticeRequest {
        name: escort,
        notice: Some(told(NoticeParty::Family)),
        ..Default::default()
    };
    refused(client.ask(wrong).await, "REQUEST_STATE");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_is_owed_no_longer_and_what_was_late_stays_so() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    engineers(&client, &site).await;
    let cancelled = async |steps: &[&str], at: &str| {
        let name = client.ask(asked(&site, &resident, RequestKind::Repair)).await.unwrap().name;
        for step in steps {
            take(&client, &name, step).await.unwrap();
        }
        client.advance(at).await;
        take(&client, &name, "cancel").await.unwrap();
        name
    };
    let soon = cancelled(&[], "2026-03-16T09:05:00+08:00").await;
    assert_eq!(clocks(&client, &soon).await, ["accept.priority excused 16T09:15"]);
    let late = cancelled(&["accept", "dispatch"], "2026-03-16T10:00:00+08:00").await;
    let expect = [
        "accept.priority met 16T09:20",
        "arrive.repair.priority missed 16T09:35",
        "finish.repair.priority excused 16T21:05",
    ];
    assert_eq!(clocks(&client, &late).await, expect);
    // Nobody is asked for it any more.
    let worklist = v1::ListWorklistRequest { parent: format!("{site}/posts/-"), ..Default::default() };
    let items = client.ask(worklist).await.unwrap().items;
    assert!(!items.iter().any(|item| item.subject.contains("/requests/")), "{items:?}");
    client.advance("2026-03-24T10:00:00+08:00").await;
    assert_eq!(clocks(&client, &late).await, [""; 0]);
    let full = v1::GetRequestRequest { name: late, view: v1::View::Full.into() };
    assert_eq!(client.purposeful().ask(full).await.unwrap().cancel_reason, "住户自行解决");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn departments_find_their_requests_on_worklists_and_in_reports() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    let post = engineers(&client, &site).await;
    let name = client.ask(asked(&site, &resident, RequestKind::Repair)).await.unwrap().name;
    for step in ["accept", "dispatch"] {
        take(&client, &name, step).await.unwrap();
    }
    let worklist = |post: &str| v1::ListWorklistRequest { parent: post.to_owned(), ..Default::default() };
    let items = client.ask(worklist(&post)).await.unwrap().items;
    let own: Vec<(v1::ServiceKind, &str)> = items
        .iter()
        .filter(|item| item.subject == name)
        .map(|item| (item.kind(), item.display_name.as_str()))
        .collect();
    assert_eq!(
        own,
        [
            (v1::ServiceKind::RequestArrived, "上门维修 3栋2单元501"),
            (v1::ServiceKind::RequestFinished, "上门维修 3栋2单元501"),
        ]
    );
    // Of another building it is not the post's.
    let elsewhere = v1::Dwelling { building: "9".to_owned(), room: "1".to_owned(), ..Default::default() };
    let elsewhere =
        v1::CreateDwellingRequest { parent: site.clone(), dwelling: Some(elsewhere), ..Default::default() };
    let elsewhere = client.ask(elsewhere).await.unwrap().name;
    let other = client.ask(asked(&site, &elsewhere, RequestKind::Repair)).await.unwrap().name;
    for step in ["accept", "dispatch"] {
        take(&client, &other, step).await.unwrap();
    }
    let items = client.ask(worklist(&post)).await.unwrap().items;
    assert!(!items.iter().any(|item| item.subject == other));
    let everything = client.ask(worklist(&format!("{site}/posts/-"))).await.unwrap().items;
    assert!(everything.iter().any(|item| item.subject == other));

    client.advance("2026-03-16T09:31:00+08:00").await;
    take(&client, &name, "arrive").await.unwrap();
    let report = v1::GetComplianceReportRequest {
        parent: site.clone(),
        period: v1::PeriodUnit::Week.into(),
        department: v1::Department::Engineering.into(),
        standards: vec!["standards/request.arrive.repair.priority".to_owned()],
        ..Default::default()
    };
    let rows = client.ask(report).await.unwrap().rows;
    assert_eq!((rows.len(), rows[0].met_late, rows[0].denominator), (1, 1, 1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_read_by_whom_they_concern() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    let post = engineers(&client, &site).await;
    let enter = async |id: &str, department: v1::Department| {
        let grant = v1::StaffGrant { department: department.into(), ..grant(v1::StaffRole::Member, &["s1"]) };
        issuer.enter(&server, id, vec![grant]).await
    };
    let steward = enter("gao", v1::Department::CustomerService).await;
    let engineer = enter("ding", v1::Department::Engineering).await;
    let guard = enter("bao", v1::Department::Security).await;
    let name = steward.ask(asked(&site, &resident, RequestKind::Repair)).await.unwrap().name;
    let full = || v1::GetRequestRequest { name: name.clone(), view: v1::View::Full.into() };
    let with = |client: &Client, purpose: &str| client.with("x-purpose", purpose);

    // Everybody who works there sees that there is something to do, and nothing of what was said.
    for client in [&steward, &engineer, &guard] {
        let masked = v1::GetRequestRequest { name: name.clone(), ..Default::default() };
        let seen = client.ask(masked).await.unwrap();
        assert_eq!((seen.place.as_str(), seen.description.as_str()), ("3栋2单元501", ""));
        refused(client.ask(full()).await, "PURPOSE_REQUIRED");
    }
    with(&steward, "ROUTINE_CARE").ask(full()).await.unwrap();
    for client in [&engineer, &guard] {
        refused(with(client, "SERVICE_REQUEST").ask(full()).await, "PERMISSION_DENIED");
    }
    // It is given to the post that the engineer holds: now they may read it, in order to answer it.
    let holder = v1::PostHolder {
        staff: "staff/ding".to_owned(),
        start_date: "2026-03-01".to_owned(),
        ..Default::default()
    };
    client
        .ask(v1::AddPostHolderRequest { name: post, holder: Some(holder), ..Default::default() })
        .await
        .unwrap();
    for step in ["accept", "dispatch"] {
        take(&steward, &name, step).await.unwrap();
    }
    refused(with(&engineer, "ROUTINE_CARE").ask(full()).await, "PERMISSION_DENIED");
    refused(with(&guard, "SERVICE_REQUEST").ask(full()).await, "PERMISSION_DENIED");
    let seen = with(&engineer, "SERVICE_REQUEST").ask(full()).await.unwrap();
    assert_eq!(seen.description, "厨房水龙头漏水");
    // Given to somebody else, it is theirs.
    let to_guard = v1::DispatchRequestRequest {
        name: name.clone(),
        assignee: "staff/bao".to_owned(),
        ..Default::default()
    };
    steward.ask(to_guard).await.unwrap();
    refused(with(&engineer, "SERVICE_REQUEST").ask(full()).await, "PERMISSION_DENIED");
    with(&guard, "EMERGENCY").ask(full()).await.unwrap();
    // Whoever looked is on record.
    let entries = v1::ListAuditEntriesRequest { parent: site, page_size: 200, ..Default::default() };
    let entries = client.ask(entries).await.unwrap().entries;
    let looks = entries.iter().filter(|entry| entry.method.ends_with("/GetRequest"));
    let readers: Vec<&str> =
        looks.filter(|entry| !entry.residents.is_empty()).map(|entry| entry.principal.as_str()).collect();
    assert_eq!(readers.len(), 3, "{entries:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    let (_, _, foreign) = client.estate("s2").await;
    let before = server.app.store.dump().await;
    invalid(
        client.ask(v1::SubmitRequestRequest::default()).await,
        &["parent", "request.kind", "request.subject", "request.description"],
    );
    let of = |change: fn(&mut v1::Request)| {
        let mut request = asked(&site, &resident, RequestKind::Repair);
        change(request.request.as_mut().unwrap());
        client.ask(request)
    };
    invalid(of(|request| request.kind = 99).await, &["request.kind"]);
    for kind in [RequestKind::Emergency, RequestKind::FacilityDefect] {
        invalid(client.ask(asked(&site, &resident, kind)).await, &["request.kind"]);
    }
    invalid(of(|request| request.set_urgency(RequestUrgency::Emergency)).await, &["request.urgency"]);
    invalid(of(|request| request.description = "a\0b".to_owned()).await, &["request.description"]);
    let later = Some(at("2026-03-16T09:00:01+08:00"));
    let tomorrow =
        v1::Request { submit_time: later, ..asked(&site, &resident, RequestKind::Repair).request.unwrap() };
    let tomorrow =
        v1::SubmitRequestRequest { parent: site.clone(), request: Some(tomorrow), ..Default::default() };
    invalid(client.ask(tomorrow).await, &["request.submit_time"]);
    invalid(client.ask(asked(&site, &foreign, RequestKind::Repair)).await, &["request.subject"]);
    // Who is not there, and who may not be seen, look the same.
    for nobody in ["residents/nobody", "dwellings/none", "areas/none"] {
        let request = asked(&site, &format!("{site}/{nobody}"), RequestKind::Repair);
        invalid(client.ask(request).await, &["request.subject"]);
    }
    let request = asked(&site, &format!("{site}/requests/r1"), RequestKind::Repair);
    invalid(client.ask(request).await, &["request.subject"]);
    let wrong = v1::ReportEmergencyRequest {
        kind: RequestKind::Complaint.into(),
        occur_time: Some(at("2026-03-16T08:00:00+08:00")),
        notices: vec![v1::EmergencyNotice::default()],
        ..emergency(&site, &resident)
    };
    invalid(client.ask(wrong).await, &["kind", "notices[0].party"]);
    let before_it_happened = v1::ReportEmergencyRequest {
        occur_time: Some(at("2026-03-16T08:00:00+08:00")),
        notices: vec![v1::EmergencyNotice {
            occur_time: Some(at("2026-03-16T07:59:00+08:00")),
            ..told(NoticeParty::Police)
        }],
        ..emergency(&site, &resident)
    };
    invalid(client.ask(before_it_happened).await, &["notices[0].occur_time"]);
    assert_eq!(server.app.store.dump().await["request"], before["request"], "nothing was written");

    let name = client.ask(asked(&site, &resident, RequestKind::Repair)).await.unwrap().name;
    invalid(
        client.ask(v1::AcceptRequestRequest { performer: "gao".to_owned(), ..Default::default() }).await,
        &["name", "performer"],
    );
    let early = v1::AcceptRequestRequest {
        name: name.clone(),
        occur_time: Some(at("2026-03-16T08:59:59+08:00")),
        ..Default::default()
    };
    invalid(client.ask(early).await, &["occur_time"]);
    take(&client, &name, "accept").await.unwrap();
    for assignee in ["", "sites/s2/posts/eng", "gao"] {
        let dispatch = v1::DispatchRequestRequest {
            name: name.clone(),
            assignee: assignee.to_owned(),
            ..Default::default()
        };
        invalid(client.ask(dispatch).await, &["assignee"]);
    }
    for assignee in ["staff/nobody".to_owned(), format!("{site}/posts/none")] {
        let dispatch = v1::DispatchRequestRequest { name: name.clone(), assignee, ..Default::default() };
        invalid(client.ask(dispatch).await, &["assignee"]);
    }
    let mark = v1::FollowUpRequestRequest { name: name.clone(), satisfaction: 6, ..Default::default() };
    invalid(client.ask(mark).await, &["satisfaction"]);
    let silent = v1::CancelRequestRequest { name: name.clone(), ..Default::default() };
    invalid(client.ask(silent).await, &["reason"]);
    let unknown = v1::ListRequestsRequest {
        states: vec![99],
        urgency: 99,
        kind: 99,
        department: 99,
        subject: "x".to_owned(),
        ..open(&site)
    };
    invalid(client.ask(unknown).await, &["states[0]", "urgency", "kind", "department", "subject"]);
    invalid(client.ask(open("sites/-")).await, &["parent"]);
    let none = v1::GetRequestRequest { name: format!("{site}/requests/none"), ..Default::default() };
    refused(client.ask(none).await, "NOT_FOUND");
    // A record cannot stand in for a step.
    let record = crate::harness::estate::contact(
        &name,
        v1::ServiceKind::RequestFinished,
        "2026-03-16T09:00:00+08:00",
        v1::Outcome::Done,
    );
    let record = v1::RecordServiceRequest { parent: site, records: vec![record], ..Default::default() };
    invalid(client.ask(record).await, &["records[0].subjects[0].subject"]);
    server.stop().await;
}
