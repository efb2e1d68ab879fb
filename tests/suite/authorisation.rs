//! Who may call what: the descriptor set, the authorisation table and this suite's list agree; every RPC answers every role as
//! [`MATRIX`] says, and refuses who has no token and who is not of the working group, without telling what exists.

use std::collections::{BTreeMap, BTreeSet};

use linli_proto::v1;
use linli_service::auth::table;
use prost::Message;
use tonic::{Code, Status};

use crate::harness::client::{Client, RPCS, Rpc};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Data, Server};
use crate::harness::story::{self, Words};
use crate::harness::{Refusal, refused};

#[test]
fn the_descriptors_the_table_and_the_suite_know_the_same_rpcs() {
    let described = described();
    let listed: BTreeSet<String> = table::METHODS.iter().map(|method| method.path.to_owned()).collect();
    let tested: BTreeSet<String> = RPCS.iter().map(|&path| path.to_owned()).collect();
    assert!(described.len() > 50, "{}", described.len());
    assert_eq!(described, listed, "the authorisation table");
    assert_eq!(described, tested, "the suite's list, `rpcs!` in harness/client.rs");
    assert_eq!((table::METHODS.len(), RPCS.len()), (listed.len(), tested.len()), "no path twice");
}

/// Every RPC of the package, out of the descriptor set that reflection serves.
fn described() -> BTreeSet<String> {
    let set = prost_types::FileDescriptorSet::decode(linli_proto::FILE_DESCRIPTOR_SET).unwrap();
    let files = set.file.iter().filter(|file| file.package() == "linli.v1");
    let services = files.flat_map(|file| &file.service);
    services
        .flat_map(|service| {
            service.method.iter().map(|method| format!("linli.v1.{}/{}", service.name(), method.name()))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_refuses_who_may_not_call_it_and_answers_who_may() {
    let (data, second) = story::staged(Data::sqlite());
    let server = Server::on(data).await;
    // The member: every call of the story succeeds.
    let steps = story::tell(&server.client(), &second, &Words::planted()).await;
    let told: BTreeSet<&str> = steps.iter().map(|step| step.path).collect();
    assert_eq!(told, RPCS.iter().copied().collect(), "the story calls every RPC");

    let (nobody, outsider) = (server.nobody(), server.outsider().purposeful());
    let stranger = nobody.token("guessed");
    for step in &steps {
        let path = step.path;
        for nobody in [&nobody, &stranger] {
            let refusal = of(path, nobody.bytes(path, step.request.clone()).await);
            assert_eq!(
                (refusal.code, refusal.reason.as_str()),
                (Code::Unauthenticated, "UNAUTHENTICATED"),
                "{path}"
            );
        }
        let existing = of(path, outsider.bytes(path, step.request.clone()).await);
        assert_eq!(
            (existing.code, existing.reason.as_str()),
            (Code::PermissionDenied, "PERMISSION_DENIED"),
            "{path}: {existing:?}"
        );
        // Not even the request's form is judged before the caller's rights are, where the name is well formed.
        let absent = of(path, outsider.bytes(path, step.elsewhere()).await);
        let apart = |refusal: Refusal| Refusal { request_id: String::new(), ..refusal };
        assert_eq!(apart(existing), apart(absent), "{path}: an outsider learns what exists");
    }
    // A second time the member meets state conflicts and taken names, never a question of rights.
    let member = server.client().purposeful();
    for step in &steps {
        if let Err(status) = member.bytes(step.path, step.request.clone()).await {
            let code = status.code();
            assert!(
                !matches!(
                    code,
                    Code::Unauthenticated | Code::PermissionDenied | Code::Internal | Code::Unknown
                ),
                "{}: {status:?}",
                step.path
            );
        }
        if let Err(status) = member.bytes(step.path, step.elsewhere()).await {
            let code = status.code();
            assert!(
                matches!(
                    code,
                    Code::NotFound | Code::InvalidArgument | Code::AlreadyExists | Code::FailedPrecondition
                ),
                "{}: {status:?}",
                step.path
            );
        }
    }
}

#[track_caller]
fn of(path: &str, answer: Result<Vec<u8>, Status>) -> Refusal {
    match answer {
        Ok(_) => panic!("{path} answers"),
        Err(status) => Refusal::of(&status),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_are_audited_and_paths_outside_the_table_refused() {
    let server = Server::start().await;
    let member = server.client();
    let site = member.site("s1").await;
    refused(server.outsider().ask(v1::GetSiteRequest { name: site.clone() }).await, "PERMISSION_DENIED");
    let scope = linli_store::Scope::from(&linli_core::id::SiteId::new("s1").unwrap());
    let entries = server.app.store.audit_entries(&scope, 0, 100).await.unwrap();
    let denied = entries.iter().filter(|entry| entry.draft.decision == linli_store::Decision::Denied);
    let denied: Vec<_> = denied.map(|entry| (&*entry.draft.principal, &*entry.draft.method)).collect();
    assert_eq!(denied, [("outsider", v1::GetSiteRequest::PATH)]);

    for path in
        ["linli.v1.SiteService/DropSite", "linli.v1.SecretService/Open", "linli.v2.SiteService/GetSite"]
    {
        let answer = member.path::<_, v1::Site>(path, v1::GetSiteRequest { name: site.clone() }).await;
        let refusal = Refusal::of(&answer.unwrap_err());
        assert_eq!(refusal.reason, "PERMISSION_DENIED", "{path}");
        let answer = server.nobody().path::<_, v1::Site>(path, v1::GetSiteRequest::default()).await;
        assert_eq!(Refusal::of(&answer.unwrap_err()).reason, "UNAUTHENTICATED", "{path}");
    }
    server.stop().await;
}

/// Every RPC and what it answers to whom, on the story's requests: `y` it is carried out, `-` PERMISSION_DENIED,
/// `u` UNAUTHENTICATED.
///
/// Columns: somebody without a token; with a token and no staff; a volunteer; a member of another site; a member (customer
/// service); a guard (member, security); a deputy; a leader; a leader of every site; finance; an auditor; another system. All but
/// the first two, the fourth and the ninth hold their role in the story's site.
const MATRIX: &str = "
                                          nobody
                                          | outsider
                                          | | volunteer
                                          | | | elsewhere
                                          | | | | member
                                          | | | | | guard
                                          | | | | | | deputy
                                          | | | | | | | leader
                                          | | | | | | | | everywhere
                                          | | | | | | | | | finance
                                          | | | | | | | | | | auditor
                                          | | | | | | | | | | | integration
ActivityService/CancelActivity            u - - - y y y y y - - -
ActivityService/GetActivity               u - - - y y y y y y y y
ActivityService/HoldActivity              u - - - y y y y y - - -
ActivityService/ListActivities            u - - - y y y y y y y y
ActivityService/ListAttendances           u - - - y - y y y - - -
ActivityService/PlanActivity              u - - - y y y y y - - -
ActivityService/RecordAttendance          u - - - y y y y y - - -
ActivityService/UpdateActivity            u - - - y y y y y - - -
AdminService/AdvanceClock                 u - - - - - - - y - - -
AdminService/Backup                       u - - - - - - - y - - -
AdminService/GetKeyRotation               u - - - - - - - y - - -
AdminService/GetServerInfo                u - y y y y y y y y y y
AdminService/RotateKeys                   u - - - - - - - y - - -
AuditService/GetCheckpoint                u - - - - - - y y - y -
AuditService/ListAuditEntries             u - - - - - - y y - y -
AuditService/VerifyAudit                  u - - - - - - y y - y -
CarePlanService/ApprovePlan               u - - - - - - y y - - -
CarePlanService/ApproveWaiver             u - - - - - - y y - - -
CarePlanService/DraftPlan                 u - - - y - y y y - - -
CarePlanService/EndWaiver                 u - - - y - y y y - - -
CarePlanService/GetPlan                   u - - - y - y y y - - -
CarePlanService/ListPlans                 u - - - y - y y y - - -
CarePlanService/ListWaivers               u - - - y - y y y - - -
CarePlanService/RejectPlan                u - - - - - - y y - - -
CarePlanService/SubmitPlan                u - - - y - y y y - - -
CarePlanService/WaiveStandard             u - - - y - y y y - - -
CareRecordService/ConfirmSafety           u - - - y y y y y - - -
CareRecordService/CorrectRecord           u - - - y y y y y - - -
CareRecordService/EvaluateRecord          u - - - y y y y y - - -
CareRecordService/GetRecord               u - - - y - y y y - - -
CareRecordService/ListRecords             u - - - y - y y y - - -
CareRecordService/RecordRound             u - - - y y y y y - - -
CareRecordService/RecordService           u - - - y y y y y - - -
CatalogService/ApproveOverride            u - - - - - - y y - - -
CatalogService/GetCareGroup               u - y y y y y y y y y y
CatalogService/GetStandard                u - y y y y y y y y y y
CatalogService/ListCareGroups             u - y y y y y y y y y y
CatalogService/ListOverrides              u - - - y y y y y y y y
CatalogService/ListStandards              u - y y y y y y y y y y
CatalogService/OverrideStandard           u - - - - - y y y - - -
CatalogService/RetireOverride             u - - - - - y y y - - -
CatalogService/SimulateStandards          u - - - - - y y y - - -
CommunityService/CloseReferral            u - - - y - y y y - - -
CommunityService/CreateBody               u - - - - - y y y - - -
CommunityService/CreateReferral           u - - - y - y y y - - -
CommunityService/GetBody                  u - - y y y y y y - - -
CommunityService/GetDelivery              u - - y y y y y y - - -
CommunityService/GetReferral              u - - - y - y y y - - -
CommunityService/ListBodies               u - - y y y y y y - - -
CommunityService/ListConsents             u - - - y - y y y - - -
CommunityService/ListDeliveryAttempts     u - - - y - y y y - - -
CommunityService/ListDisclosures          u - - - y - y y y - - -
CommunityService/ListReferrals            u - - - y - y y y - - -
CommunityService/ProbeBody                u - - - - - y y y - - -
CommunityService/PullRoster               u - - - y - y y y - - -
CommunityService/RecordAcknowledgement    u - - - y - y y y - - y
CommunityService/RecordConsent            u - - - y - y y y - - -
CommunityService/RecordDisclosure         u - - - y - y y y - - -
CommunityService/RetryReferral            u - - - - - y y y - - -
CommunityService/ReviewReferral           u - - - - - y y y - - -
CommunityService/RevokeReferral           u - - - y - y y y - - -
CommunityService/UpdateBody               u - - - - - y y y - - -
CommunityService/WithdrawConsent          u - - - y - y y y - - -
ComplianceService/ClosePeriod             u - - - - - y y y - - -
ComplianceService/GetComplianceReport     u - - - y y y y y y y y
ComplianceService/GetPeriod               u - - - y y y y y y y y
ComplianceService/GetVisitRate            u - - - y y y y y y y y
ComplianceService/GetWorkload             u - - - y y y y y y y y
ComplianceService/ListCorrections         u - - - y y y y y y y y
ComplianceService/RenderReport            u - - - y y y y y y y y
EventService/ListEvents                   u - - - - - - y y - y y
EventService/Watch                        u - - - - - - y y - y y
FacilityService/CreateFacility            u - - - - - y y y - - -
FacilityService/GetFacility               u - - - y y y y y y y y
FacilityService/ListFacilities            u - - - y y y y y y y y
FacilityService/RecordInspection          u - - - y y y y y - - -
FacilityService/ReportDefect              u - - - y y y y y - - -
FacilityService/UpdateFacility            u - - - - - y y y - - -
FundService/AmendBudget                   u - - - - - - y y - - -
FundService/ApproveSpending               u - - - - - - y y - - -
FundService/GetFund                       u - - - y y y y y y y -
FundService/GetLedger                     u - - - y y y y y y y -
FundService/GetSpending                   u - - - y y y y y y y -
FundService/ListReports                   u - - - y y y y y y y -
FundService/ListSpending                  u - - - y y y y y y y -
FundService/OpenFundYear                  u - - - - - - y y - - -
FundService/PublishReport                 u - - - - - - y y y - -
FundService/RecordDisbursement            u - - - - - - y y y - -
FundService/RejectSpending                u - - - - - - y y - - -
FundService/RequestSpending               u - - - y y y y y - - -
ObligationService/GetStanding             u - - - y - y y y - - -
ObligationService/ListObligations         u - - - y y y y y y y y
ObligationService/ListWorklist            u - - - y y y y y - - -
ObligationService/WatchWorklist           u - - - y y y y y - - -
PluginService/DrainPlugin                 u - - - - - - - y - - -
PluginService/GetPlugin                   u - y y y y y y y y y y
PluginService/ListPluginDifferences       u - - - - - - y y - - -
PluginService/ListPlugins                 u - y y y y y y y y y y
PluginService/LoadPlugin                  u - - - - - - - y - - -
PluginService/PreviewPlugin               u - - - - - - y y - - -
RequestService/AcceptRequest              u - - - y y y y y - - -
RequestService/ArriveRequest              u - - - y y y y y - - -
RequestService/CancelRequest              u - - - y y y y y - - -
RequestService/CompleteRequest            u - - - y y y y y - - -
RequestService/DispatchRequest            u - - - y y y y y - - -
RequestService/FollowUpRequest            u - - - y y y y y - - -
RequestService/GetRequest                 u - - - y y y y y - - -
RequestService/ListRequests               u - - - y y y y y - - -
RequestService/RecordNotice               u - - - y y y y y - - -
RequestService/ReportEmergency            u - - - y y y y y - - -
RequestService/ReviewRequest              u - - - - - y y y - - -
RequestService/SubmitRequest              u - - - y y y y y - - -
ResidentService/ApplyChange               u - - - y - y y y - - -
ResidentService/AssessResident            u - - - y - y y y - - -
ResidentService/BatchGetResidents         u - - - y - y y y - - -
ResidentService/ConfirmExit               u - - - - - y y y - - -
ResidentService/ConfirmPause              u - - - - - y y y - - -
ResidentService/ConfirmTier               u - - - - - y y y - - -
ResidentService/CreateResident            u - - - y - y y y - - -
ResidentService/DeclareMembership         u - - - y - y y y - - -
ResidentService/EndPause                  u - - - y - y y y - - -
ResidentService/EraseFile                 u - - - - - - y y - - -
ResidentService/GetErasureCertificate     u - - - - - - y y - y -
ResidentService/ExportOwnFile             u - - - - - y y y - - -
ResidentService/ExportResidents           u - - - - - y y y - - -
ResidentService/FindDuplicates            u - - - y - y y y - - -
ResidentService/GetResident               u - - - y - y y y - - -
ResidentService/HoldFile                  u - - - - - y y y - - -
ResidentService/ImportResidents           u - - - y - y y y - - -
ResidentService/ListHistory               u - - - y - y y y - - -
ResidentService/ListMemberships           u - - - y - y y y - - -
ResidentService/ListPauses                u - - - y - y y y - - -
ResidentService/ListResidents             u - - - y - y y y - - -
ResidentService/MergeResidents            u - - - - - y y y - - -
ResidentService/Pause                     u - - - y - y y y - - -
ResidentService/RecordDeath               u - - - y - y y y - - -
ResidentService/RecordMoveIn              u - - - y - y y y - - -
ResidentService/RecordMoveOut             u - - - y - y y y - - -
ResidentService/ReportChange              u - - - y y y y y - - -
ResidentService/RevealResident            u - - - y - y y y - - -
ResidentService/SealFile                  u - - - - - y y y - - -
ResidentService/SetProtected              u - - - - - y y y - - -
ResidentService/UnsealFile                u - - - - - y y y - - -
ResidentService/UnmergeResidents          u - - - - - y y y - - -
ResidentService/UpdateResident            u - - - y - y y y - - -
SiteService/AddPostHolder                 u - - - - - y y y - - -
SiteService/CreateArea                    u - - - - - y y y - - -
SiteService/CreateDwelling                u - - - - - y y y - - -
SiteService/CreatePost                    u - - - - - y y y - - -
SiteService/CreateSite                    u - - - - - - - y - - -
SiteService/EndPostHolder                 u - - - - - y y y - - -
SiteService/GetArea                       u - - - y y y y y y y y
SiteService/GetDwelling                   u - - - y y y y y y y y
SiteService/GetPluginParameters           u - - - y y y y y y y y
SiteService/GetPost                       u - - - y y y y y y y y
SiteService/GetSite                       u - - - y y y y y y y y
SiteService/ListAreas                     u - - - y y y y y y y y
SiteService/ListDwellings                 u - - - y y y y y y y y
SiteService/ListPosts                     u - - - y y y y y y y y
SiteService/ListSites                     u - - y y y y y y y y y
SiteService/ReportWeather                 u - - - - - y y y - - -
SiteService/SetPluginParameters           u - - - - - - y y - - -
SiteService/UpdateArea                    u - - - - - y y y - - -
SiteService/UpdateDwelling                u - - - - - y y y - - -
SiteService/UpdatePost                    u - - - - - y y y - - -
SiteService/UpdateSite                    u - - - - - - y y - - -
StaffService/CreateStaff                  u - - - - - - y y - - -
StaffService/DeactivateStaff              u - - - - - - y y - - -
StaffService/GetStaff                     u - - - - - y y y - y -
StaffService/GrantEmergencyAccess         u - - - y y - y y - - -
StaffService/ListEmergencyAccesses        u - - - - - y y y - - -
StaffService/ListStaff                    u - - - - - y y y - y -
StaffService/ReactivateStaff              u - - - - - - y y - - -
StaffService/ReviewEmergencyAccess        u - - - - - y y y - - -
StaffService/UpdateStaff                  u - - - - - - y y - - -
SurveyService/CloseSurvey                 u - - - - - y y y - - -
SurveyService/GetCoverage                 u - - - y y y y y y y y
SurveyService/GetSurvey                   u - - - y y y y y y y y
SurveyService/GetSurveyAnswer             u - - - y - y y y - - -
SurveyService/ListSurveyAnswers           u - - - y - y y y - - -
SurveyService/ListSurveys                 u - - - y y y y y y y y
SurveyService/OpenSurvey                  u - - - - - y y y - - -
SurveyService/RecordSurvey                u - - - y y y y y - - -
SurveyService/WithdrawSurveyAnswer        u - - - y y y y y - - -
";

/// The matrix: its columns, and a row of answers per RPC.
fn matrix() -> (Vec<&'static str>, BTreeMap<String, Vec<char>>) {
    let mut columns = Vec::new();
    let mut rows = BTreeMap::new();
    for line in MATRIX.lines().filter(|line| !line.trim().is_empty()) {
        match line.trim_start_matches([' ', '|']) {
            column if line.starts_with(' ') => columns.push(column),
            row => {
                let mut cells = row.split_whitespace();
                let path = format!("linli.v1.{}", cells.next().unwrap());
                let cells: Vec<char> = cells.map(|cell| cell.parse().unwrap()).collect();
                assert_eq!(cells.len(), columns.len(), "{path}");
                assert!(rows.insert(path, cells).is_none(), "twice: {line}");
            }
        }
    }
    (columns, rows)
}

/// A client per column of the matrix.
async fn callers(issuer: &Issuer, server: &Server) -> Vec<Client> {
    use v1::StaffRole as Role;
    let enter = async |id: &str, role, site: &str| {
        let mut grant = grant(role, &[site]);
        if id == "guard" {
            grant.department = v1::Department::Security.into();
        }
        issuer.enter(server, id, vec![grant]).await
    };
    server.client().site("elsewhere").await;
    vec![
        server.nobody(),
        server.nobody().token(&issuer.token("stranger")),
        enter("volunteer", Role::Volunteer, story::SITE).await,
        enter("elsewhere", Role::Member, "elsewhere").await,
        enter("member", Role::Member, story::SITE).await,
        enter("guard", Role::Member, story::SITE).await,
        enter("deputy", Role::Deputy, story::SITE).await,
        enter("leader", Role::Leader, story::SITE).await,
        enter("everywhere", Role::Leader, "-").await,
        enter("finance", Role::Finance, story::SITE).await,
        enter("auditor", Role::Auditor, story::SITE).await,
        enter("integration", Role::Integration, story::SITE).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_answers_every_role_as_the_matrix_says() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let steps = story::tell(&server.client(), &issuer.token("second"), &Words::planted()).await;
    let (columns, rows) = matrix();
    assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), described(), "a row per RPC");
    let callers = callers(&issuer, &server).await;
    assert_eq!((columns.len(), callers.len()), (12, 12));
    let mut called = BTreeSet::new();
    let mut wrong = Vec::new();
    for step in &steps {
        let row = &rows[step.path];
        for ((column, client), expect) in columns.iter().zip(&callers).zip(row) {
            let answer = client.purposeful().bytes(step.path, step.request.clone()).await;
            let found = match answer.as_ref().map_err(Status::code) {
                Err(Code::Unauthenticated) => 'u',
                Err(Code::PermissionDenied) => '-',
                Ok(_) => 'y',
                // Carried out as far as the state of things allows, which the calls before have changed.
                Err(
                    Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted | Code::InvalidArgument,
                ) => 'y',
                Err(code) => panic!("{} as {column}: {code:?} {answer:?}", step.path),
            };
            called.insert((step.path, *column));
            if found != *expect {
                wrong.push(format!("{} as {column}: {found}, not {expect}", step.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(called.len(), rows.len() * columns.len(), "every cell was called");
    server.stop().await;
}
