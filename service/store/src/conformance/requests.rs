//! Requests: what is put is read, versions guard, filters find, and words open for whom they are about.

use linli_core::id::{EventId, PostId, RecordId, RequestId};
use linli_core::request::{
    Assignee, Notice, NoticeParty, Request, RequestKind, RequestPart, RequestState, RequestUrgency,
    RequestWords, StepTaken,
};

use super::*;
use crate::{RequestFilter, SealError};

on_both!(round_trip, filters_find, words_open_for_whom_they_are_about);

fn request(id: &str, subject: Subject) -> Request {
    Request {
        site: site_id("a"),
        id: RequestId::new(id).unwrap(),
        kind: RequestKind::Repair,
        urgency: RequestUrgency::Priority,
        state: RequestState::Dispatched,
        subject,
        department: Department::Engineering,
        assignee: Some(Assignee::Post(PostId::new("p1").unwrap())),
        steps: vec![StepTaken {
            state: RequestState::Submitted,
            at: at(-5),
            recorded_at: at(0),
            by: StaffId::new("steward-1").unwrap(),
            event: Some(EventId::new("e1").unwrap()),
            record: Some(RecordId::new("r1").unwrap()),
        }],
        notices: vec![Notice {
            party: NoticeParty::Ambulance,
            at: at(1),
            by: StaffId::new("guard-1").unwrap(),
        }],
        satisfaction: None,
        created_at: at(0),
        settled_at: None,
        version: 1,
    }
}

async fn round_trip(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let (a, mut first) = (site_id("a"), request("q1", Subject::Site));
    change(store, "a", |set| set.put_request(first.clone())).await.unwrap();
    assert_eq!(store.request(&a, &first.id).await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.request(&site_id("b"), &first.id).await.unwrap(), None);
    let again = change(store, "a", |set| set.put_request(first.clone())).await;
    assert!(matches!(again, Err(CommitError::Exists { what: "request" })), "{again:?}");
    first.version = 2;
    first.state = RequestState::Closed;
    first.assignee = Some(Assignee::Staff(StaffId::new("lin").unwrap()));
    first.satisfaction = Some(2);
    first.settled_at = Some(at(60));
    change(store, "a", |set| set.put_request(first.clone())).await.unwrap();
    assert_eq!(store.request(&a, &first.id).await.unwrap().as_ref(), Some(&first));
    let stale = change(store, "a", |set| set.put_request(first.clone())).await;
    assert!(matches!(stale, Err(CommitError::Stale { what: "request", current: 2 })), "{stale:?}");
}

async fn filters_find(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    let resident = Subject::Resident(resident_id("r1"));
    let open = request("q1", resident.clone());
    let closed = Request {
        kind: RequestKind::Escort,
        urgency: RequestUrgency::Routine,
        department: Department::Security,
        state: RequestState::Closed,
        settled_at: Some(at(60)),
        ..request("q2", Subject::Site)
    };
    let third = Request { state: RequestState::Submitted, ..request("q3", Subject::Site) };
    change(store, "a", |set| {
        set.put_request(open.clone()).put_request(closed.clone()).put_request(third.clone())
    })
    .await
    .unwrap();
    let found = async |filter: RequestFilter, after: Option<&str>, limit: u64| -> String {
        let after = after.map(|id| RequestId::new(id).unwrap());
        let found = store.requests(&site_id("a"), &filter, after.as_ref(), limit).await.unwrap();
        found.iter().map(|request| request.id.as_str()).collect::<Vec<_>>().join(" ")
    };
    let any = RequestFilter::default;
    assert_eq!(found(any(), None, 10).await, "q1 q2 q3");
    assert_eq!(found(any(), None, 2).await, "q1 q2");
    assert_eq!(found(any(), Some("q1"), 10).await, "q2 q3");
    assert_eq!(found(RequestFilter::open(), None, 10).await, "q1 q3");
    let since = |at| RequestFilter { settled_since: Some(at), ..any() };
    assert_eq!(found(since(at(60)), None, 10).await, "q1 q2 q3");
    assert_eq!(found(since(at(61)), None, 10).await, "q1 q3");
    let states = vec![RequestState::Submitted, RequestState::Closed];
    assert_eq!(found(RequestFilter { states, ..any() }, None, 10).await, "q2 q3");
    let urgency = Some(RequestUrgency::Routine);
    assert_eq!(found(RequestFilter { urgency, ..any() }, None, 10).await, "q2");
    let kind = Some(RequestKind::Repair);
    assert_eq!(found(RequestFilter { kind, ..any() }, None, 10).await, "q1 q3");
    let department = Some(Department::Security);
    assert_eq!(found(RequestFilter { department, ..any() }, None, 10).await, "q2");
    let about = async |subjects: &[Subject]| -> String {
        let found = store.open_requests_about(&site_id("a"), subjects).await.unwrap();
        found.iter().map(|request| request.id.as_str()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(about(&[resident.clone(), Subject::Site]).await, "q1 q3");
    assert_eq!(about(&[Subject::Dwelling(DwellingId::new("r1").unwrap())]).await, "");
    assert_eq!(about(&[]).await, "");
    assert_eq!(found(RequestFilter { subject: Some(resident), ..any() }, None, 10).await, "q1");
}

async fn words_open_for_whom_they_are_about(env: Env) {
    let store = &env.store;
    make_site(store, "a").await;
    change(store, "a", |set| set.create_resident(resident("a", "r1"))).await.unwrap();
    let words = |request: &str, subject: Subject, part, words: &str| RequestWords {
        site: site_id("a"),
        request: RequestId::new(request).unwrap(),
        subject,
        part,
        words: paragraph(words),
    };
    let about = Subject::Resident(resident_id("r1"));
    change(store, "a", |set| {
        set.add_request_words(words("q1", about.clone(), RequestPart::Description, "planted-leak"))
            .add_request_words(words("q1", about, RequestPart::Finding, "planted-finding"))
            .add_request_words(words("q2", Subject::Site, RequestPart::Description, "planted-lamp"))
    })
    .await
    .unwrap();
    let opened = async |request: &str, residents: &[&str]| -> Result<Vec<(RequestPart, String)>, SealError> {
        let receipt = disclose(store, "a", residents, &[FieldClass::Care]).await;
        let opener = store.opener(&receipt).await.unwrap();
        let sealed = store.request_words(&site_id("a"), &RequestId::new(request).unwrap()).await.unwrap();
        let open = |(part, sealed): &(RequestPart, crate::Sealed<Paragraph>)| {
            opener.open(sealed).map(|words| (*part, words.as_str().to_owned()))
        };
        sealed.iter().map(open).collect()
    };
    let expect = [(RequestPart::Description, "planted-leak"), (RequestPart::Finding, "planted-finding")];
    let expect: Vec<_> = expect.into_iter().map(|(part, words)| (part, words.to_owned())).collect();
    assert_eq!(opened("q1", &["r1"]).await.unwrap(), expect);
    assert!(matches!(opened("q1", &["r2"]).await, Err(SealError::NotCovered)));
    assert_eq!(opened("q2", &[]).await.unwrap().len(), 1);
    for (table, lines) in store.dump().await {
        assert!(!lines.iter().any(|line| line.contains("planted-")), "{table}");
    }
}
