//! What bad input gets, RPC by RPC: every wrong field at once, and nothing written.

use std::collections::BTreeSet;

use linli_proto::v1;

use crate::harness::estate::{at, contact, elder, fact, flag, mask};
use crate::harness::server::Server;
use crate::harness::{invalid, refused};

/// What bad input gets: a line per request, with every field that is wrong in it, in order.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn bad_input_is_refused_field_by_field_and_nothing_is_written() {
    let server = Server::start().await;
    let client = server.client();
    let (site, dwelling, resident) = client.estate("s1").await;
    let (_, foreign_dwelling, foreign) = client.estate("s2").await;
    let record = client.done(&resident, v1::ServiceKind::PhoneCall, "2026-03-16T08:00:00+08:00").await.name;
    let before = server.app.store.dump().await;
    let s = |text: &str| text.to_owned();

    // Sites, dwellings, areas, posts.
    let site_of = |title: &str, zone: &str| {
        Some(v1::Site { display_name: s(title), time_zone: s(zone), ..Default::default() })
    };
    invalid(
        client
            .ask(v1::CreateSiteRequest {
                site: site_of("", "Mars/Olympus"),
                site_id: s("S 1"),
                request_id: s("7"),
            })
            .await,
        &["request_id"],
    );
    invalid(
        client
            .ask(v1::CreateSiteRequest {
                site: site_of("", "Mars/Olympus"),
                site_id: s("S 1"),
                ..Default::default()
            })
            .await,
        &["site_id", "site.display_name", "site.time_zone"],
    );
    for title in ["a\0b", "a\u{7}b", &"长".repeat(201)] {
        let request = v1::CreateSiteRequest { site: site_of(title, ""), ..Default::default() };
        invalid(client.ask(request).await, &["site.display_name"]);
    }
    invalid(
        client
            .ask(v1::UpdateSiteRequest {
                site: Some(v1::Site { name: site.clone(), etag: s("%"), ..Default::default() }),
                update_mask: mask(&["*", "name", "display_name"]),
                ..Default::default()
            })
            .await,
        &["site.etag", "update_mask.paths[0]", "update_mask.paths[1]", "site.display_name"],
    );
    invalid(
        client
            .ask(v1::UpdateSiteRequest {
                site: Some(v1::Site { name: site.clone(), ..Default::default() }),
                ..Default::default()
            })
            .await,
        &["update_mask"],
    );
    invalid(
        client.ask(v1::CreateDwellingRequest { parent: s("sites/"), ..Default::default() }).await,
        &["parent", "dwelling.building", "dwelling.room"],
    );
    invalid(
        client
            .ask(v1::CreateAreaRequest {
                parent: site.clone(),
                area: Some(v1::Area { kind: 99, ..Default::default() }),
                ..Default::default()
            })
            .await,
        &["area.kind", "area.display_name"],
    );
    invalid(
        client
            .ask(v1::CreatePostRequest {
                parent: site.clone(),
                post: Some(v1::Post { department: 42, ..Default::default() }),
                ..Default::default()
            })
            .await,
        &["post.display_name", "post.department"],
    );
    invalid(
        client
            .ask(v1::ListDwellingsRequest { parent: site.clone(), page_size: -1, ..Default::default() })
            .await,
        &["page_size"],
    );
    let parameter = |field: &str, number: i64| v1::PluginParameter {
        field: s(field),
        value: Some(v1::Value { kind: Some(v1::value::Kind::Number(number)) }),
        ..Default::default()
    };
    invalid(
        client
            .ask(v1::SetPluginParametersRequest {
                name: format!("{site}/pluginParameters/cn.linli.elderly"),
                parameters: vec![parameter("advanced_age_years", 12), parameter("shoe_size", 42)],
                ..Default::default()
            })
            .await,
        &["parameters[0].value", "parameters[1].field"],
    );

    // Care files: everything wrong at once.
    let wrong = v1::Resident {
        full_name: s("名\u{0}"),
        phone: s("12"),
        identity_number: s("110105194912310021"),
        birth_date: s("1949-13-01"),
        sex: 9,
        dwelling: foreign_dwelling.clone(),
        move_in_date: String::new(),
        emergency_contacts: vec![v1::EmergencyContact { relation: s("女儿"), ..Default::default() }],
        needs: vec![77],
        family_note: "字".repeat(4_001),
        facts: vec![v1::Fact { field: s("Lives Alone"), ..Default::default() }],
        ..Default::default()
    };
    let found = refused(
        client
            .ask(v1::CreateResidentRequest {
                parent: site.clone(),
                resident: Some(wrong),
                ..Default::default()
            })
            .await,
        "INVALID_FIELD",
    );
    let fields: BTreeSet<&str> = found.fields().into_iter().collect();
    let expected: BTreeSet<&str> = [
        "resident.full_name",
        "resident.phone",
        "resident.identity_number",
        "resident.birth_date",
        "resident.sex",
        "resident.dwelling",
        "resident.move_in_date",
        "resident.emergency_contacts[0].full_name",
        "resident.emergency_contacts[0].phone",
        "resident.needs[0]",
        "resident.family_note",
        "resident.facts[0].field",
    ]
    .into();
    assert_eq!(fields, expected);
    let open = |change: v1::Resident| v1::CreateResidentRequest {
        parent: site.clone(),
        resident: Some(change),
        ..Default::default()
    };
    let person = || elder(&dwelling, "戊己");
    for (change, field) in [
        (v1::Resident { birth_date: s("1899-12-31"), ..person() }, "resident.birth_date"),
        (v1::Resident { birth_date: s("2026-03-17"), ..person() }, "resident.birth_date"),
        (v1::Resident { move_in_date: s("2026-03-17"), ..person() }, "resident.move_in_date"),
        (v1::Resident { identity_number: s("11010519491231002X"), ..person() }, "resident.birth_date"),
        (v1::Resident { dwelling: format!("{site}/dwellings/none"), ..person() }, "resident.dwelling"),
        (v1::Resident { facts: vec![flag("owns_a_cat", true)], ..person() }, "resident.facts[0].field"),
        (
            v1::Resident {
                facts: vec![fact("ability_score", Some(v1::value::Kind::Number(91)))],
                ..person()
            },
            "resident.facts[0].value",
        ),
        (
            v1::Resident {
                facts: vec![fact("lives_alone", Some(v1::value::Kind::Text(s("yes"))))],
                ..person()
            },
            "resident.facts[0].value",
        ),
        (
            v1::Resident {
                facts: vec![v1::Fact { true_from_date: s("2026-03-17"), ..flag("lives_alone", true) }],
                ..person()
            },
            "resident.facts[0].true_from_date",
        ),
    ] {
        invalid(client.ask(open(change)).await, &[field]);
    }
    invalid(
        client
            .ask(v1::ReportChangeRequest {
                name: resident.clone(),
                kind: 0,
                description: "字".repeat(4_001),
                report_time: Some(prost_types::Timestamp { seconds: -99_999_999_999, nanos: 0 }),
                ..Default::default()
            })
            .await,
        &["kind", "description", "report_time"],
    );
    invalid(
        client
            .ask(v1::ReportChangeRequest {
                name: resident.clone(),
                kind: v1::ChangeKind::Health.into(),
                report_time: Some(at("2026-03-16T09:00:01+08:00")),
                ..Default::default()
            })
            .await,
        &["report_time"],
    );
    invalid(
        client
            .ask(v1::ApplyChangeRequest {
                resident: Some(v1::Resident { name: resident.clone(), ..Default::default() }),
                ..Default::default()
            })
            .await,
        &["answers"],
    );
    invalid(
        client
            .ask(v1::RecordMoveInRequest {
                parent: site.clone(),
                dwelling: foreign_dwelling.clone(),
                move_in_date: s("2026-02-30"),
                resident: foreign.clone(),
                ..Default::default()
            })
            .await,
        &["move_in_date", "dwelling", "resident"],
    );
    invalid(
        client.ask(v1::RecordMoveOutRequest { name: resident.clone(), ..Default::default() }).await,
        &["move_out_date"],
    );
    for (date, _why) in [("2026-03-17", "future"), ("2019-12-31", "before the tenure")] {
        let request =
            v1::RecordDeathRequest { name: resident.clone(), death_date: s(date), ..Default::default() };
        invalid(client.ask(request).await, &["death_date"]);
    }
    invalid(
        client.ask(v1::DeclareMembershipRequest { parent: resident.clone(), ..Default::default() }).await,
        &["group", "basis", "evidence"],
    );
    invalid(
        client
            .ask(v1::DeclareMembershipRequest {
                parent: resident.clone(),
                group: s("careGroups/astronauts"),
                basis: v1::MembershipBasis::Certificate.into(),
                true_from_date: s("2026-03-17"),
                end_date: s("2026-03-16"),
                evidence: s("证件"),
                ..Default::default()
            })
            .await,
        &["group", "true_from_date", "end_date"],
    );
    let pause = |reason: v1::PauseReason, leave: &str, back: &str| v1::PauseRequest {
        parent: resident.clone(),
        pause: Some(v1::Pause {
            reason: reason.into(),
            leave_date: s(leave),
            expected_return_date: s(back),
            ..Default::default()
        }),
        ..Default::default()
    };
    for (request, fields) in [
        (
            v1::PauseRequest { parent: resident.clone(), ..Default::default() },
            &["pause.reason", "pause.leave_date", "pause.expected_return_date"][..],
        ),
        (pause(v1::PauseReason::Travel, "2026-03-16", "2026-03-15"), &["pause.expected_return_date"]),
        (pause(v1::PauseReason::Travel, "2026-03-16", "2026-03-16"), &["pause.expected_return_date"]),
        (pause(v1::PauseReason::Travel, "2026-03-16", "2026-06-15"), &["pause.expected_return_date"]),
        (pause(v1::PauseReason::Travel, "2019-12-01", "2019-12-15"), &["pause.leave_date"]),
        (pause(v1::PauseReason::Other, "2026-03-16", "2026-03-20"), &["pause.note"]),
    ] {
        invalid(client.ask(request).await, fields);
    }

    // Records.
    let visit = |time: &str| contact(&resident, v1::ServiceKind::HomeVisit, time, v1::Outcome::Done);
    let keep = |records: Vec<v1::Record>| v1::RecordServiceRequest {
        parent: site.clone(),
        records,
        ..Default::default()
    };
    let noon = "2026-03-16T08:30:00+08:00";
    invalid(client.ask(keep(Vec::new())).await, &["records"]);
    invalid(
        client.ask(keep(vec![visit(noon), v1::Record::default()])).await,
        &["records[1].kind", "records[1].occur_time", "records[1].subjects"],
    );
    invalid(
        client.ask(keep(vec![visit("2026-03-16T09:00:01+08:00"), visit("2019-06-01T09:00:00+08:00")])).await,
        &["records[0].occur_time", "records[1].occur_time"],
    );
    invalid(
        client.ask(keep(vec![contact(&foreign, v1::ServiceKind::HomeVisit, noon, v1::Outcome::Done)])).await,
        &["records[0].subjects[0].subject"],
    );
    let unknown = format!("{site}/residents/nobody");
    let twice = v1::Record {
        subjects: [&resident, &resident, &unknown]
            .map(|subject| v1::RecordSubject {
                subject: subject.clone(),
                outcome: v1::Outcome::Done.into(),
                answers: vec![format!("{site}/events/none")],
                ..Default::default()
            })
            .into(),
        ..visit(noon)
    };
    invalid(
        client.ask(keep(vec![twice])).await,
        &[
            "records[0].subjects[0].answers[0]",
            "records[0].subjects[1].subject",
            "records[0].subjects[2].subject",
            "records[0].subjects[2].answers[0]",
        ],
    );
    invalid(client.ask(keep(vec![visit(noon); 101])).await, &["records"]);
    invalid(
        client.ask(v1::RecordRoundRequest { parent: site.clone(), ..Default::default() }).await,
        &["kind", "occur_time", "subjects"],
    );
    invalid(
        client
            .ask(v1::RecordRoundRequest {
                parent: site.clone(),
                kind: v1::ServiceKind::Patrol.into(),
                occur_time: Some(at(noon)),
                subjects: vec![resident.clone()],
                ..Default::default()
            })
            .await,
        &["subjects[0]"],
    );
    invalid(
        client.ask(v1::CorrectRecordRequest { name: record.clone(), ..Default::default() }).await,
        &["correction", "reason"],
    );
    for satisfaction in [-1, 0, 6] {
        invalid(
            client
                .ask(v1::EvaluateRecordRequest {
                    name: record.clone(),
                    subject: resident.clone(),
                    satisfaction,
                    ..Default::default()
                })
                .await,
            &["satisfaction"],
        );
    }
    invalid(
        client
            .ask(v1::ConfirmSafetyRequest {
                name: resident.clone(),
                source: 9,
                occur_time: Some(at("2026-03-17T00:00:00+08:00")),
                ..Default::default()
            })
            .await,
        &["source"],
    );
    invalid(
        client
            .ask(v1::ListRecordsRequest {
                parent: site.clone(),
                subject: foreign.clone(),
                kind: 99,
                start_date: s("2026-03-16"),
                end_date: s("2026-03-15"),
                ..Default::default()
            })
            .await,
        &["kind", "end_date", "subject"],
    );

    // What is asked of them.
    invalid(
        client
            .ask(v1::ListObligationsRequest {
                parent: site.clone(),
                statuses: vec![0, 42],
                start_date: s("2026-03-16"),
                end_date: s("2026-03-15"),
                resident: foreign.clone(),
                standard: s("elder.visit"),
                ..Default::default()
            })
            .await,
        &["statuses[0]", "statuses[1]", "standard", "end_date", "resident"],
    );
    invalid(
        client
            .ask(v1::ListObligationsRequest {
                parent: site.clone(),
                start_date: s("2026-01-01"),
                end_date: s("2027-01-03"),
                ..Default::default()
            })
            .await,
        &["end_date"],
    );
    invalid(
        client
            .ask(v1::ListWorklistRequest {
                parent: format!("{site}/post/p1"),
                until_date: s("soon"),
                ..Default::default()
            })
            .await,
        &["parent", "until_date"],
    );
    invalid(
        client
            .ask(v1::GetComplianceReportRequest {
                parent: site.clone(),
                standards: vec![s("x")],
                ..Default::default()
            })
            .await,
        &["period", "standards[0]"],
    );
    for target in [None, Some(v1::advance_clock_request::Target::To(at("2026-03-16T09:00:00+08:00")))] {
        let request = v1::AdvanceClockRequest { target, ..Default::default() };
        refused(client.ask(request).await, "INVALID_FIELD");
    }

    // Not one row is new, but for the audit of what was looked at.
    let mut after = server.app.store.dump().await;
    let mut before = before;
    for dump in [&mut before, &mut after] {
        for table in ["audit_entry", "site_head"] {
            dump.remove(table);
        }
    }
    assert_eq!(before, after);
}
