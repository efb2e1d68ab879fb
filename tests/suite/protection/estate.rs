//! A site with one protected file, who is named for it and who is not, and everything that can be asked about it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use linli_proto::v1;
use prost::Message;

use super::NOBODY;
use crate::harness::client::{Client, Rpc};
use crate::harness::estate::{contact, elder, flag, identity_number, mask};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::Server;

pub(super) struct Estate {
    pub(super) server: Server,
    /// The protected file.
    pub(super) resident: String,
    /// A neighbour's.
    pub(super) neighbour: String,
    /// A record of the protected resident alone.
    pub(super) record: String,
    /// A record of both.
    pub(super) shared: String,
    /// A pause, a membership, an event, a plan and a waiver of the protected resident.
    pub(super) parts: [String; 5],
    /// Named for it: a deputy and a steward.
    pub(super) lin: Client,
    pub(super) wang: Client,
    /// Not named: a steward, a deputy, the leader, a guard.
    pub(super) li: Client,
    pub(super) zhou: Client,
    pub(super) he: Client,
    pub(super) wu: Client,
}

impl Estate {
    pub(super) async fn new() -> Self {
        let issuer = Issuer::new();
        let server = issuer.server().await;
        let client = server.client();
        let (_, dwelling, neighbour) = client.estate("s1").await;
        client.site("s2").await;
        let person = v1::Resident {
            phone: "13900004321".to_owned(),
            identity_number: identity_number("19400501", 51),
            facts: vec![flag("lives_alone", true)],
            ..elder(&dwelling, "霜降白鹭")
        };
        let resident = client.resident(person).await.name;
        let mut record =
            contact(&resident, v1::ServiceKind::HomeVisit, "2026-03-16T08:00:00+08:00", v1::Outcome::Done);
        let alone = client.record(record.clone()).await.name;
        let mut other = record.subjects[0].clone();
        other.subject.clone_from(&neighbour);
        record.subjects.push(other);
        let shared = client.record(record).await.name;
        let pause = v1::Pause {
            reason: v1::PauseReason::Hospital.into(),
            leave_date: "2026-03-02".to_owned(),
            expected_return_date: "2026-03-11".to_owned(),
            ..Default::default()
        };
        let pause = v1::PauseRequest { parent: resident.clone(), pause: Some(pause), ..Default::default() };
        let pause = client.ask(pause).await.unwrap().name;
        let members = v1::ListMembershipsRequest { parent: resident.clone(), ..Default::default() };
        let membership = client.ask(members).await.unwrap().memberships[0].name.clone();
        let report = v1::ReportChangeRequest {
            name: resident.clone(),
            kind: v1::ChangeKind::Health.into(),
            ..Default::default()
        };
        let event = client.ask(report).await.unwrap().name;
        let mut plan = client.ask(v1::DraftPlanRequest { parent: resident.clone() }).await.unwrap();
        plan.note = "先敲门".to_owned();
        let plan = v1::SubmitPlanRequest { parent: resident.clone(), plan: Some(plan), ..Default::default() };
        let plan = client.ask(plan).await.unwrap().name;
        let waiver = client.ask(waive(&resident)).await.unwrap().name;
        let one = |role| vec![grant(role, &["s1"])];
        let guard = v1::StaffGrant {
            department: v1::Department::Security.into(),
            ..grant(v1::StaffRole::Member, &["s1"])
        };
        use v1::StaffRole::{Deputy, Leader, Member};
        let purposeful = async |id: &str, grants| issuer.enter(&server, id, grants).await.purposeful();
        let lin = purposeful("lin", one(Deputy)).await;
        let wang = purposeful("wang", one(Member)).await;
        let li = purposeful("li", one(Member)).await;
        let zhou = purposeful("zhou", one(Deputy)).await;
        let he = purposeful("he", one(Leader)).await;
        let wu = purposeful("wu", vec![guard]).await;
        purposeful("far", vec![grant(Deputy, &["s2"])]).await;
        let parts = [pause, membership, event, plan, waiver];
        Self { server, resident, neighbour, record: alone, shared, parts, lin, wang, li, zhou, he, wu }
    }

    pub(super) async fn protect(&self) -> v1::Resident {
        self.he.ask(protect(&self.resident, &["staff/wang", "staff/lin"])).await.unwrap()
    }

    pub(super) fn id(&self) -> &str {
        self.resident.rsplit('/').next().unwrap()
    }

    /// Every call that can be about one file, with its path.
    pub(super) fn calls(&self) -> Vec<(&'static str, Vec<u8>)> {
        fn call<Q: Rpc>(request: Q) -> (&'static str, Vec<u8>) {
            (Q::PATH, request.encode_to_vec())
        }
        let name = || self.resident.clone();
        let [pause, membership, event, plan, waiver] = self.parts.clone();
        let changed = v1::Resident { name: name(), health_note: "好转".to_owned(), ..Default::default() };
        let visit = contact(
            &self.resident,
            v1::ServiceKind::PhoneCall,
            "2026-03-16T08:30:00+08:00",
            v1::Outcome::Done,
        );
        vec![
            call(v1::GetResidentRequest { name: name(), view: v1::View::Masked.into() }),
            call(v1::GetResidentRequest { name: name(), view: v1::View::Full.into() }),
            call(v1::RevealResidentRequest { name: name(), classes: vec![v1::FieldClass::Contact.into()] }),
            call(v1::UpdateResidentRequest {
                resident: Some(changed.clone()),
                update_mask: mask(&["health_note"]),
                ..Default::default()
            }),
            call(v1::UpdateResidentRequest {
                resident: Some(v1::Resident { etag: "v99".to_owned(), ..changed.clone() }),
                update_mask: mask(&["health_note"]),
                ..Default::default()
            }),
            call(v1::ApplyChangeRequest {
                resident: Some(changed),
                answers: vec![event],
                ..Default::default()
            }),
            call(v1::ReportChangeRequest {
                name: name(),
                kind: v1::ChangeKind::Health.into(),
                ..Default::default()
            }),
            call(v1::RecordMoveInRequest {
                parent: "sites/s1".to_owned(),
                dwelling: "sites/s1/dwellings/d501".to_owned(),
                move_in_date: "2026-03-16".to_owned(),
                resident: name(),
                ..Default::default()
            }),
            call(v1::RecordMoveOutRequest {
                name: name(),
                move_out_date: "2026-03-15".to_owned(),
                ..Default::default()
            }),
            call(v1::RecordDeathRequest {
                name: name(),
                death_date: "2026-03-15".to_owned(),
                ..Default::default()
            }),
            call(v1::AssessResidentRequest { name: name(), ..Default::default() }),
            call(v1::DeclareMembershipRequest {
                parent: name(),
                group: "careGroups/living_alone".to_owned(),
                basis: v1::MembershipBasis::Declared.into(),
                evidence: "本人所述".to_owned(),
                ..Default::default()
            }),
            call(v1::ConfirmExitRequest {
                name: membership,
                reason: "已核实".to_owned(),
                ..Default::default()
            }),
            call(v1::ListMembershipsRequest { parent: name(), ..Default::default() }),
            call(v1::PauseRequest {
                parent: name(),
                pause: Some(v1::Pause {
                    reason: v1::PauseReason::Travel.into(),
                    leave_date: "2026-03-16".to_owned(),
                    expected_return_date: "2026-03-20".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            call(v1::EndPauseRequest {
                name: pause.clone(),
                return_date: "2026-03-10".to_owned(),
                ..Default::default()
            }),
            call(v1::ConfirmTierRequest {
                name: name(),
                tier: v1::Tier::General.into(),
                reason: "好转".to_owned(),
                ..Default::default()
            }),
            call(v1::ConfirmPauseRequest { name: pause, ..Default::default() }),
            call(v1::ListPausesRequest { parent: name(), ..Default::default() }),
            call(v1::ListHistoryRequest { parent: name(), ..Default::default() }),
            call(v1::DraftPlanRequest { parent: name() }),
            call(v1::SubmitPlanRequest {
                parent: name(),
                plan: Some(v1::CarePlan::default()),
                ..Default::default()
            }),
            call(v1::ApprovePlanRequest { name: plan.clone(), ..Default::default() }),
            call(v1::RejectPlanRequest {
                name: plan.clone(),
                reason: "重做".to_owned(),
                ..Default::default()
            }),
            call(v1::GetPlanRequest { name: plan.clone(), view: v1::View::Masked.into() }),
            call(v1::GetPlanRequest { name: plan, view: v1::View::Full.into() }),
            call(v1::ListPlansRequest { parent: name(), ..Default::default() }),
            call(waive(&self.resident)),
            call(v1::ApproveWaiverRequest { name: waiver.clone(), ..Default::default() }),
            call(v1::EndWaiverRequest { name: waiver, ..Default::default() }),
            call(v1::ListWaiversRequest { parent: name(), ..Default::default() }),
            call(v1::HoldFileRequest {
                name: name(),
                hold: true,
                reason: "诉讼".to_owned(),
                ..Default::default()
            }),
            call(v1::SealFileRequest { name: name(), ..Default::default() }),
            call(v1::UnsealFileRequest { name: name(), reason: "复查".to_owned(), ..Default::default() }),
            call(v1::EraseFileRequest { name: name(), ..Default::default() }),
            call(protect(&self.resident, &["staff/zhou"])),
            call(v1::ConfirmSafetyRequest {
                name: name(),
                source: v1::SafetySource::Family.into(),
                ..Default::default()
            }),
            call(v1::GetStandingRequest { name: name() }),
            call(v1::ListObligationsRequest {
                parent: "sites/s1".to_owned(),
                resident: name(),
                ..Default::default()
            }),
            call(v1::RecordServiceRequest {
                parent: "sites/s1".to_owned(),
                records: vec![visit],
                ..Default::default()
            }),
            call(v1::BatchGetResidentsRequest {
                parent: "sites/s1".to_owned(),
                names: vec![name()],
                ..Default::default()
            }),
            call(v1::ExportOwnFileRequest { name: name() }),
            call(v1::GetErasureCertificateRequest { name: name() }),
            call(v1::FindDuplicatesRequest {
                parent: "sites/s1".to_owned(),
                about: Some(v1::find_duplicates_request::About::Name(name())),
                ..Default::default()
            }),
            call(merge(&self.resident, &self.neighbour)),
            call(merge(&self.neighbour, &self.resident)),
            call(v1::UnmergeResidentsRequest {
                name: name(),
                reason: "两位同名老人".to_owned(),
                ..Default::default()
            }),
            call(ask_for(&self.resident)),
            call(v1::ReportEmergencyRequest {
                parent: "sites/s1".to_owned(),
                subject: name(),
                description: "有人呼救".to_owned(),
                ..Default::default()
            }),
            call(v1::ListRequestsRequest {
                parent: "sites/s1".to_owned(),
                subject: name(),
                ..Default::default()
            }),
            call(v1::GrantEmergencyAccessRequest {
                resident: name(),
                reason: "门内有呼救声".to_owned(),
                ..Default::default()
            }),
        ]
    }

    /// Every list and figure in which the file could show.
    pub(super) async fn lists(&self, client: &Client) -> Vec<(&'static str, Vec<u8>)> {
        let mut seen = Vec::new();
        let site = || "sites/s1".to_owned();
        for parent in ["sites/s1", "sites/-"] {
            for size in [1, 2, 200] {
                let all =
                    v1::ListResidentsRequest { parent: parent.into(), page_size: size, ..Default::default() };
                let mut token = String::new();
                loop {
                    let request = v1::ListResidentsRequest { page_token: token, ..all.clone() };
                    let page = client.ask(request).await.unwrap();
                    token = page.next_page_token.clone();
                    let cursor = URL_SAFE_NO_PAD.decode(&token).unwrap();
                    seen.push(("residents", [page.encode_to_vec(), cursor].concat()));
                    if token.is_empty() {
                        break;
                    }
                }
            }
        }
        let narrowed = |change: fn(&mut v1::ListResidentsRequest)| {
            let mut request =
                v1::ListResidentsRequest { parent: "sites/s1".to_owned(), ..Default::default() };
            change(&mut request);
            request
        };
        for request in [
            narrowed(|request| request.phone = "13900004321".to_owned()),
            narrowed(|request| request.identity_number = identity_number("19400501", 51)),
            narrowed(|request| request.dwelling = "sites/s1/dwellings/d501".to_owned()),
            narrowed(|request| request.care_group = "careGroups/living_alone".to_owned()),
            narrowed(|request| request.min_tier = v1::Tier::Key.into()),
        ] {
            seen.push(("narrowed", client.ask(request).await.unwrap().encode_to_vec()));
        }
        for parent in ["sites/s1/residents/-"] {
            let parent = parent.to_owned();
            let members =
                v1::ListMembershipsRequest { parent: parent.clone(), page_size: 1, ..Default::default() };
            seen.push(("memberships", client.ask(members).await.unwrap().encode_to_vec()));
            let plans = v1::ListPlansRequest { parent: parent.clone(), ..Default::default() };
            seen.push(("plans", client.ask(plans).await.unwrap().encode_to_vec()));
            let waivers = v1::ListWaiversRequest { parent: parent.clone(), ..Default::default() };
            seen.push(("waivers", client.ask(waivers).await.unwrap().encode_to_vec()));
            let pauses = v1::ListPausesRequest { parent, ..Default::default() };
            seen.push(("pauses", client.ask(pauses).await.unwrap().encode_to_vec()));
        }
        for subject in ["", &self.resident, &self.neighbour] {
            let mut token = String::new();
            loop {
                let records = v1::ListRecordsRequest {
                    parent: site(),
                    subject: subject.to_owned(),
                    page_size: 1,
                    page_token: token,
                    ..Default::default()
                };
                let page = client.ask(records).await.unwrap();
                token = page.next_page_token.clone();
                let cursor = URL_SAFE_NO_PAD.decode(&token).unwrap();
                seen.push(("records", [page.encode_to_vec(), cursor].concat()));
                if token.is_empty() {
                    break;
                }
            }
        }
        let requests = v1::ListRequestsRequest { parent: site(), ..Default::default() };
        seen.push(("requests", client.ask(requests).await.unwrap().encode_to_vec()));
        let somebody = v1::Resident {
            identity_number: identity_number("19400501", 51),
            ..elder("sites/s1/dwellings/d501", "霜降白鹭")
        };
        for about in [None, Some(v1::find_duplicates_request::About::Resident(somebody))] {
            let alike = v1::FindDuplicatesRequest { parent: site(), about, ..Default::default() };
            seen.push(("duplicates", client.ask(alike).await.unwrap().encode_to_vec()));
        }
        let obligations = v1::ListObligationsRequest { parent: site(), page_size: 200, ..Default::default() };
        seen.push(("obligations", client.ask(obligations).await.unwrap().encode_to_vec()));
        let worklist =
            v1::ListWorklistRequest { parent: "sites/s1/posts/-".to_owned(), ..Default::default() };
        seen.push(("worklist", client.ask(worklist).await.unwrap().encode_to_vec()));
        seen
    }
}

pub(super) fn waive(resident: &str) -> v1::WaiveStandardRequest {
    let waiver = v1::Waiver {
        standard: "standards/elder.visit".to_owned(),
        cause: v1::WaiverCause::Refused.into(),
        reason: "本人谢绝".to_owned(),
        end_date: "2026-04-30".to_owned(),
        ..Default::default()
    };
    v1::WaiveStandardRequest { parent: resident.to_owned(), waiver: Some(waiver), ..Default::default() }
}

pub(super) fn merge(survivor: &str, duplicate: &str) -> v1::MergeResidentsRequest {
    v1::MergeResidentsRequest {
        name: survivor.to_owned(),
        duplicate: duplicate.to_owned(),
        reason: "同一人".to_owned(),
        ..Default::default()
    }
}

pub(super) fn ask_for(subject: &str) -> v1::SubmitRequestRequest {
    let request = v1::Request {
        kind: v1::RequestKind::Repair.into(),
        subject: subject.to_owned(),
        description: "水管漏水".to_owned(),
        ..Default::default()
    };
    v1::SubmitRequestRequest { parent: "sites/s1".to_owned(), request: Some(request), ..Default::default() }
}

pub(super) fn protect(resident: &str, named: &[&str]) -> v1::SetProtectedRequest {
    v1::SetProtectedRequest {
        name: resident.to_owned(),
        protected_for: named.iter().map(|&staff| staff.to_owned()).collect(),
        ..Default::default()
    }
}

/// The same request about nobody.
pub(super) fn about_nobody(request: &[u8], id: &str) -> Vec<u8> {
    let mut bytes = request.to_vec();
    let places: Vec<usize> = (0..bytes.len().saturating_sub(id.len()))
        .filter(|at| bytes[*at..].starts_with(id.as_bytes()))
        .collect();
    let end = bytes.len().checked_sub(id.len()).filter(|at| bytes[*at..] == *id.as_bytes());
    assert!(!places.is_empty() || end.is_some());
    for place in places.into_iter().chain(end) {
        bytes[place..place + id.len()].copy_from_slice(NOBODY.as_bytes());
    }
    bytes
}
