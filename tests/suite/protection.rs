//! Protected files: for whoever is not named there is no such file, however they ask.

mod estate;

use std::collections::BTreeSet;

use linli_proto::v1;
use prost::Message;

use self::estate::{Estate, about_nobody, ask_for, merge, protect};
use crate::harness::client::{Client, RPCS};
use crate::harness::estate::{at, elder, identity_number, mask};
use crate::harness::{Refusal, holds, invalid, refused};

/// An id of the same length that nobody has.
const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn for_who_is_not_named_it_does_not_exist_in_any_call() {
    let estate = Estate::new().await;
    estate.protect().await;
    assert_eq!(estate.id().len(), NOBODY.len());
    // No call about a file is forgotten here.
    let called: BTreeSet<&str> = estate.calls().into_iter().map(|(path, _)| path).collect();
    let of_files =
        RPCS.iter().filter(|path| path.contains("ResidentService") || path.contains("CarePlanService"));
    let left: Vec<&str> = of_files.filter(|path| !called.contains(**path)).copied().collect();
    let others = ["CreateResident", "ExportResidents", "ImportResidents", "ListResidents"];
    assert_eq!(left, others.map(|method| format!("linli.v1.ResidentService/{method}")));
    let apart = |answer: Result<Vec<u8>, tonic::Status>| match answer {
        Ok(answer) => Ok(answer),
        Err(status) => Err(Refusal { request_id: String::new(), ..Refusal::of(&status) }),
    };
    for (who, client) in [("li", &estate.li), ("zhou", &estate.zhou), ("he", &estate.he), ("wu", &estate.wu)]
    {
        let mut absent = 0;
        for (path, request) in estate.calls() {
            let found = apart(client.bytes(path, request.clone()).await);
            let nobody = apart(client.bytes(path, about_nobody(&request, estate.id())).await);
            assert_eq!(found, nobody, "{path} as {who}");
            // Nothing but a list that holds nothing answers.
            assert!(found.is_err() || found == Ok(Vec::new()), "{path} as {who}");
            absent += usize::from(found.is_err_and(|refusal| refusal.reason == "NOT_FOUND"));
        }
        let of = if who == "wu" { 2 } else { 18 };
        assert!(absent >= of, "{who} came as far as to look in {absent} calls");
    }
    // Both leave an entry, and of both the same.
    let scope = linli_store::Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
    let entries = estate.server.app.store.audit_entries(&scope, 0, 1000).await.unwrap();
    let told = |id: &str| {
        let of =
            entries.iter().filter(|e| e.draft.principal == "li" && e.draft.subjects.iter().any(|s| s == id));
        of.map(|e| (e.draft.method.clone(), e.draft.decision, e.draft.classes)).collect::<Vec<_>>()
    };
    assert!(told(estate.id()).len() > 10);
    assert_eq!(told(estate.id()), told(NOBODY));
    estate.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_who_is_not_named_it_is_in_no_list_and_no_search() {
    let estate = Estate::new().await;
    let before = estate.lists(&estate.li).await;
    assert!(before.iter().filter(|(_, bytes)| holds(bytes, estate.id())).count() > 10, "the looking finds");
    estate.protect().await;
    for client in [&estate.li, &estate.zhou, &estate.he] {
        for (what, bytes) in estate.lists(client).await {
            assert!(!holds(&bytes, estate.id()), "{what} shows it");
        }
    }
    let named: Vec<_> = estate.lists(&estate.wang).await;
    let shown =
        |lists: &[(&str, Vec<u8>)]| lists.iter().filter(|(_, bytes)| holds(bytes, estate.id())).count();
    assert_eq!(shown(&named), shown(&before), "whoever is named sees what everybody saw");
    // The figures without names count it for everybody.
    let report = v1::GetComplianceReportRequest {
        parent: "sites/s1".to_owned(),
        period: v1::PeriodUnit::Week.into(),
        ..Default::default()
    };
    let all = estate.lin.ask(report.clone()).await.unwrap();
    assert_eq!(estate.he.ask(report).await.unwrap(), all);

    // A number that is taken says so to nobody else: neither a new file nor a roster finds it.
    let again = v1::Resident {
        identity_number: identity_number("19400501", 51),
        ..elder("sites/s1/dwellings/d501", "霜降白鹭")
    };
    let create = v1::CreateResidentRequest {
        parent: "sites/s1".to_owned(),
        resident: Some(again.clone()),
        ..Default::default()
    };
    refused(estate.wang.ask(create.clone()).await, "IDENTITY_TAKEN");
    let made = estate.li.ask(create.clone()).await.unwrap().name;
    assert_ne!(made, estate.resident);
    refused(estate.li.ask(create).await, "IDENTITY_TAKEN");
    // To lift the protection now would give two files one number: the two are shown to who is named.
    refused(estate.lin.ask(protect(&estate.resident, &[])).await, "IDENTITY_TAKEN");
    estate.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_several_show_the_others_and_keep_who_is_hidden() {
    let estate = Estate::new().await;
    estate.protect().await;
    let get = |name: &str, view: v1::View| v1::GetRecordRequest { name: name.to_owned(), view: view.into() };
    refused(estate.li.ask(get(&estate.record, v1::View::Masked)).await, "NOT_FOUND");
    refused(estate.li.ask(get("sites/s1/records/none", v1::View::Masked)).await, "NOT_FOUND");
    let subjects = async |client: &Client| {
        let record = client.ask(get(&estate.shared, v1::View::Full)).await.unwrap();
        record.subjects.into_iter().map(|subject| subject.subject).collect::<Vec<_>>()
    };
    assert_eq!(subjects(&estate.li).await, std::slice::from_ref(&estate.neighbour));
    assert_eq!(subjects(&estate.lin).await, [estate.resident.clone(), estate.neighbour.clone()]);

    // Whoever corrects what they see takes nothing from whom they do not see.
    let corrected = v1::Record {
        occur_time: Some(at("2026-03-16T07:00:00+08:00")),
        subjects: vec![v1::RecordSubject {
            subject: estate.neighbour.clone(),
            outcome: v1::Outcome::Declined.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let correct = v1::CorrectRecordRequest {
        name: estate.shared.clone(),
        correction: Some(v1::correct_record_request::Correction::Record(corrected)),
        update_mask: mask(&["occur_time", "subjects"]),
        reason: "时间有误".to_owned(),
        ..Default::default()
    };
    let answer = estate.li.ask(correct).await.unwrap();
    assert!(!holds(&answer.encode_to_vec(), estate.id()), "{answer:?}");
    assert_eq!(subjects(&estate.li).await, std::slice::from_ref(&estate.neighbour));
    let mut both = subjects(&estate.lin).await;
    both.sort();
    let mut expect = vec![estate.resident.clone(), estate.neighbour.clone()];
    expect.sort();
    assert_eq!(both, expect);
    let judge = v1::EvaluateRecordRequest {
        name: estate.shared.clone(),
        subject: estate.resident.clone(),
        satisfaction: 5,
        ..Default::default()
    };
    invalid(estate.li.ask(judge.clone()).await, &["subject"]);
    estate.lin.ask(judge).await.unwrap();
    let seen = estate.li.ask(get(&estate.shared, v1::View::Full)).await.unwrap();
    assert!(!holds(&seen.encode_to_vec(), estate.id()), "{seen:?}");
    estate.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_and_spent_on_somebody_hidden_is_shown_to_who_is_named() {
    let estate = Estate::new().await;
    let admin = estate.server.client();
    let request = admin.ask(ask_for(&estate.resident)).await.unwrap().name;
    let next = |name: &str| v1::AcceptRequestRequest { name: name.to_owned(), ..Default::default() };
    admin.ask(next(&request)).await.unwrap();
    let line = v1::BudgetLine {
        line: "relief".to_owned(),
        display_name: "助老".to_owned(),
        purpose: v1::FundPurpose::Relief.into(),
        budget_fen: 100_000,
        ..Default::default()
    };
    let fund = v1::OpenFundYearRequest {
        parent: "sites/s1".to_owned(),
        year: 2026,
        lines: vec![line],
        ..Default::default()
    };
    let fund = admin.ask(fund).await.unwrap();
    let spending = v1::Spending {
        line: "relief".to_owned(),
        display_name: "助浴".to_owned(),
        amount_fen: 10_000,
        about: estate.resident.clone(),
        ..Default::default()
    };
    let spending = v1::RequestSpendingRequest {
        parent: fund.name.clone(),
        spending: Some(spending),
        ..Default::default()
    };
    let spent = admin.ask(spending.clone()).await.unwrap().name;
    estate.protect().await;

    let get = |name: &str| v1::GetRequestRequest { name: name.to_owned(), ..Default::default() };
    let spendings = v1::ListSpendingRequest { parent: fund.name.clone(), ..Default::default() };
    for client in [&estate.li, &estate.zhou, &estate.wu] {
        refused(client.ask(get(&request)).await, "NOT_FOUND");
        refused(client.ask(next(&request)).await, "NOT_FOUND");
        let seen = client.ask(v1::GetSpendingRequest { name: spent.clone() }).await.unwrap();
        assert_eq!(seen.about, "");
        let listed = client.ask(spendings.clone()).await.unwrap();
        assert!(!holds(&listed.encode_to_vec(), estate.id()));
        invalid(client.ask(spending.clone()).await, &["spending.about"]);
    }
    assert_eq!(estate.lin.ask(get(&request)).await.unwrap().subject, estate.resident);
    let seen = estate.lin.ask(v1::GetSpendingRequest { name: spent }).await.unwrap();
    assert_eq!(seen.about, estate.resident);
    // A record of the request alone says what was asked for, and goes with it.
    let arrive = v1::ArriveRequestRequest { name: request.clone(), ..Default::default() };
    let dispatch = v1::DispatchRequestRequest {
        name: request.clone(),
        assignee: "staff/lin".to_owned(),
        ..Default::default()
    };
    estate.lin.ask(dispatch).await.unwrap();
    estate.lin.ask(arrive).await.unwrap();
    let records = v1::ListRecordsRequest { parent: "sites/s1".to_owned(), ..Default::default() };
    let of_request = async |client: &Client| {
        let id = request.rsplit('/').next().unwrap();
        holds(&client.ask(records.clone()).await.unwrap().encode_to_vec(), id)
    };
    assert!(of_request(&estate.lin).await);
    assert!(!of_request(&estate.zhou).await);
    estate.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_file_is_prevented_for_who_is_named_and_merged_under_the_same_protection() {
    let estate = Estate::new().await;
    estate.protect().await;
    let alike = v1::CreateResidentRequest {
        parent: "sites/s1".to_owned(),
        resident: Some(v1::Resident {
            birth_date: "1940-05-01".to_owned(),
            ..elder("sites/s1/dwellings/d501", "霜降白鹭")
        }),
        ..Default::default()
    };
    refused(estate.wang.ask(alike.clone()).await, "POSSIBLE_DUPLICATE");
    let second = estate.li.ask(alike).await.unwrap().name;
    let pairs = v1::FindDuplicatesRequest { parent: "sites/s1".to_owned(), ..Default::default() };
    let found = async |client: &Client| client.ask(pairs.clone()).await.unwrap().duplicates.len();
    assert_eq!((found(&estate.lin).await, found(&estate.zhou).await), (1, 0));
    // The pair is merged by who sees both, and only where no protection goes.
    refused(estate.lin.ask(merge(&estate.resident, &second)).await, "MERGE_STATE");
    refused(estate.zhou.ask(merge(&estate.resident, &second)).await, "NOT_FOUND");
    estate.lin.ask(protect(&second, &["staff/lin", "staff/wang"])).await.unwrap();
    estate.lin.ask(merge(&estate.resident, &second)).await.unwrap();
    let get = |name: &str| v1::GetResidentRequest { name: name.to_owned(), ..Default::default() };
    refused(estate.zhou.ask(get(&second)).await, "NOT_FOUND");
    assert_eq!(estate.lin.ask(get(&second)).await.unwrap().name, estate.resident);
    // What is merged follows the survivor's protection, and keeps it when it is parted.
    estate.lin.ask(protect(&second, &["staff/lin", "staff/zhou"])).await.unwrap();
    refused(estate.wang.ask(get(&second)).await, "NOT_FOUND");
    let part = v1::UnmergeResidentsRequest {
        name: second.clone(),
        reason: "两位同名老人".to_owned(),
        ..Default::default()
    };
    estate.zhou.ask(part).await.unwrap();
    for name in [&second, &estate.resident] {
        refused(estate.wang.ask(get(name)).await, "NOT_FOUND");
        let shown = estate.zhou.ask(get(name)).await.unwrap();
        assert_eq!(shown.protected_for, ["staff/lin", "staff/zhou"]);
    }
    estate.lin.ask(protect(&second, &[])).await.unwrap();
    assert_eq!(estate.wang.ask(get(&second)).await.unwrap().name, second);
    estate.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_export_simulation_or_certificate_tells_of_it() {
    let estate = Estate::new().await;
    estate.he.ask(protect(&estate.resident, &["staff/he", "staff/lin"])).await.unwrap();
    let export = v1::ExportResidentsRequest {
        parent: "sites/s1".to_owned(),
        classes: vec![v1::FieldClass::Contact.into()],
        ..Default::default()
    };
    let exported = async |client: &Client| {
        let (pages, end) = client.export(export.clone()).await;
        assert!(end.is_none(), "{end:?}");
        pages.iter().any(|page| holds(&page.encode_to_vec(), estate.id()))
    };
    assert!(exported(&estate.lin).await);
    assert!(!exported(&estate.zhou).await);
    let three = v1::RecurringDuty { at_least: 3, per: v1::PeriodUnit::Week.into(), ..Default::default() };
    let stricter = v1::SimulateStandardsRequest {
        parent: "sites/s1".to_owned(),
        standard: "standards/elder.visit".to_owned(),
        numbers: Some(v1::StandardNumbers {
            duty: Some(v1::standard_numbers::Duty::Recurring(three)),
            ..Default::default()
        }),
        start_date: "2026-03-16".to_owned(),
        end_date: "2026-03-22".to_owned(),
        ..Default::default()
    };
    estate.server.client().advance("2026-03-23T09:00:00+08:00").await;
    let short = async |client: &Client| {
        holds(&client.ask(stricter.clone()).await.unwrap().encode_to_vec(), estate.id())
    };
    assert!(short(&estate.lin).await);
    assert!(!short(&estate.zhou).await);
    let erase = v1::EraseFileRequest { name: estate.resident.clone(), ..Default::default() };
    estate.he.ask(erase).await.unwrap();
    let certificate = v1::GetErasureCertificateRequest { name: estate.resident.clone() };
    assert_eq!(estate.he.ask(certificate.clone()).await.unwrap().name, estate.resident);
    refused(estate.server.client().ask(certificate).await, "NOT_FOUND");
    estate.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_set_and_lifted_by_those_who_supervise_and_ends_what_was_decided() {
    let estate = Estate::new().await;
    let scope = linli_store::Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
    let epoch = async || estate.server.app.store.authz_epoch(&scope).await.unwrap().unwrap();
    let set = |named: &[&str]| protect(&estate.resident, named);
    refused(estate.wang.ask(set(&["staff/lin"])).await, "PERMISSION_DENIED");
    invalid(
        estate.zhou.ask(set(&["staff/lin", "staff/nobody", "staff/far"])).await,
        &["protected_for[1]", "protected_for[2]"],
    );
    invalid(estate.zhou.ask(set(&["staff/wang"])).await, &["protected_for"]);
    invalid(estate.zhou.ask(set(&["wang"])).await, &["protected_for[0]"]);
    let many: Vec<String> = (0..21).map(|at| format!("staff/s{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    invalid(estate.zhou.ask(set(&many)).await, &["protected_for"]);

    let before = epoch().await;
    let file = estate.protect().await;
    assert_eq!(file.protected_for, ["staff/lin", "staff/wang"]);
    assert!(epoch().await > before);
    let get = v1::GetResidentRequest { name: estate.resident.clone(), view: v1::View::Full.into() };
    refused(estate.he.ask(get.clone()).await, "NOT_FOUND");
    // Named is not allowed: a guard who is named still sees no file.
    let stale = v1::SetProtectedRequest { etag: "v1".to_owned(), ..set(&["staff/lin", "staff/wu"]) };
    refused(estate.lin.ask(stale).await, "ETAG_MISMATCH");
    estate.lin.ask(set(&["staff/lin", "staff/wu"])).await.unwrap();
    refused(estate.wu.ask(get.clone()).await, "PERMISSION_DENIED");
    let masked = v1::GetResidentRequest { view: v1::View::Masked.into(), ..get.clone() };
    refused(estate.wang.ask(masked.clone()).await, "NOT_FOUND");
    estate
        .wu
        .ask(v1::GrantEmergencyAccessRequest {
            resident: estate.resident.clone(),
            reason: "门内有呼救声".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    let waiting = v1::ListEmergencyAccessesRequest { parent: "sites/s1".to_owned(), ..Default::default() };
    assert_eq!(estate.lin.ask(waiting.clone()).await.unwrap().emergency_accesses.len(), 1);
    assert_eq!(estate.zhou.ask(waiting).await.unwrap().emergency_accesses.len(), 0);
    let history = v1::ListHistoryRequest { parent: estate.resident.clone(), ..Default::default() };
    let history = estate.lin.ask(history).await.unwrap();
    assert_eq!(history.entries[0].fields, ["protected_for"]);

    estate.lin.ask(set(&[])).await.unwrap();
    let seen = estate.li.ask(get).await;
    refused(seen, "PERMISSION_DENIED"); // poverty and status are not a steward's
    assert!(estate.li.ask(masked).await.unwrap().protected_for.is_empty());
    let by_number = v1::ListResidentsRequest {
        parent: "sites/s1".to_owned(),
        identity_number: identity_number("19400501", 51),
        ..Default::default()
    };
    assert_eq!(estate.li.ask(by_number).await.unwrap().residents.len(), 1);
    estate.server.stop().await;
}
