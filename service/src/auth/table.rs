//! The authorisation table: every RPC, with what it reaches and how it is audited.
//!
//! A test compares it with the descriptor set; at run time an RPC that is not listed is refused.

use linli_core::resident::FieldClass;

/// The RPC that assesses a file: the one that the server calls in its own name.
pub const ASSESS: &str = "linli.v1.ResidentService/AssessResident";

/// The RPC that says what the server is: the one that a sealed server answers, too.
pub const SERVER_INFO: &str = "linli.v1.AdminService/GetServerInfo";

/// The RPC that replaces keys: what the server does of it afterwards, it notes under the same name.
pub const ROTATE_KEYS: &str = "linli.v1.AdminService/RotateKeys";

/// The RPC that seals a file: the one that the server calls in its own name, too.
pub const SEAL_FILE: &str = "linli.v1.ResidentService/SealFile";

/// The RPC that erases a file: the one that the server calls in its own name, too.
pub const ERASE_FILE: &str = "linli.v1.ResidentService/EraseFile";

/// The RPC that makes a referral: what the server does to deliver it, it notes under the same name.
pub const CREATE_REFERRAL: &str = "linli.v1.CommunityService/CreateReferral";

/// The RPC that records a body's answer: the one that the server calls for a body that answers by itself.
pub const RECORD_ACKNOWLEDGEMENT: &str = "linli.v1.CommunityService/RecordAcknowledgement";

/// The package of every RPC.
pub const PACKAGE: &str = "linli.v1.";

/// One RPC.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// Its path, `linli.v1.ResidentService/GetResident`.
    pub path: &'static str,
    /// What it reaches.
    pub access: Access,
    /// Whether it changes anything.
    pub effect: Effect,
    /// The classes of personal fields that its answer may hold; empty: none.
    pub discloses: &'static [FieldClass],
}

/// What an RPC reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// One site, or all sites in the caller's scope.
    Site,
    /// The server: catalogue, plugins, clock.
    Server,
}

/// Whether an RPC changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only reads.
    Read,
    /// It writes.
    Write,
}

use Access::{Server, Site};
use Effect::{Read, Write};
use FieldClass::{Care, Contact, Family, Health, Identity, Status};

const NOTHING: &[FieldClass] = &[];
const MASKED: &[FieldClass] = &[Contact];
const LISTED: &[FieldClass] = &[Contact, Identity];
const FILE: &[FieldClass] = &[Contact, Identity, Health, Family, Status, Care];
const RECORDS: &[FieldClass] = &[Care];
const FOUND: &[FieldClass] = &[Contact, Identity, Health, Family, Status];
const WORK: &[FieldClass] = &[Contact, Care];

/// Every RPC of `linli.v1`, sorted by path.
pub const METHODS: &[Method] = &[
    method("linli.v1.ActivityService/CancelActivity", Site, Write, NOTHING),
    method("linli.v1.ActivityService/GetActivity", Site, Read, NOTHING),
    method("linli.v1.ActivityService/HoldActivity", Site, Write, NOTHING),
    method("linli.v1.ActivityService/ListActivities", Site, Read, NOTHING),
    method("linli.v1.ActivityService/ListAttendances", Site, Read, NOTHING),
    method("linli.v1.ActivityService/PlanActivity", Site, Write, NOTHING),
    method("linli.v1.ActivityService/RecordAttendance", Site, Write, NOTHING),
    method("linli.v1.ActivityService/UpdateActivity", Site, Write, NOTHING),
    method("linli.v1.AdminService/AdvanceClock", Server, Write, NOTHING),
    method("linli.v1.AdminService/Backup", Server, Write, NOTHING),
    method("linli.v1.AdminService/GetKeyRotation", Server, Read, NOTHING),
    method(SERVER_INFO, Server, Read, NOTHING),
    method(ROTATE_KEYS, Server, Write, NOTHING),
    method("linli.v1.AuditService/GetCheckpoint", Site, Read, NOTHING),
    method("linli.v1.AuditService/ListAuditEntries", Site, Read, NOTHING),
    method("linli.v1.AuditService/VerifyAudit", Site, Read, NOTHING),
    method("linli.v1.CarePlanService/ApprovePlan", Site, Write, NOTHING),
    method("linli.v1.CarePlanService/ApproveWaiver", Site, Write, RECORDS),
    method("linli.v1.CarePlanService/DraftPlan", Site, Read, RECORDS),
    method("linli.v1.CarePlanService/EndWaiver", Site, Write, RECORDS),
    method("linli.v1.CarePlanService/GetPlan", Site, Read, RECORDS),
    method("linli.v1.CarePlanService/ListPlans", Site, Read, NOTHING),
    method("linli.v1.CarePlanService/ListWaivers", Site, Read, NOTHING),
    method("linli.v1.CarePlanService/RejectPlan", Site, Write, RECORDS),
    method("linli.v1.CarePlanService/SubmitPlan", Site, Write, RECORDS),
    method("linli.v1.CarePlanService/WaiveStandard", Site, Write, RECORDS),
    method("linli.v1.CareRecordService/ConfirmSafety", Site, Write, NOTHING),
    method("linli.v1.CareRecordService/CorrectRecord", Site, Write, RECORDS),
    method("linli.v1.CareRecordService/EvaluateRecord", Site, Write, RECORDS),
    method("linli.v1.CareRecordService/GetRecord", Site, Read, RECORDS),
    method("linli.v1.CareRecordService/ListRecords", Site, Read, NOTHING),
    method("linli.v1.CareRecordService/RecordRound", Site, Write, RECORDS),
    method("linli.v1.CareRecordService/RecordService", Site, Write, RECORDS),
    method("linli.v1.CatalogService/ApproveOverride", Site, Write, NOTHING),
    method("linli.v1.CatalogService/GetCareGroup", Server, Read, NOTHING),
    method("linli.v1.CatalogService/GetStandard", Server, Read, NOTHING),
    method("linli.v1.CatalogService/ListCareGroups", Server, Read, NOTHING),
    method("linli.v1.CatalogService/ListOverrides", Site, Read, NOTHING),
    method("linli.v1.CatalogService/ListStandards", Server, Read, NOTHING),
    method("linli.v1.CatalogService/OverrideStandard", Site, Write, NOTHING),
    method("linli.v1.CatalogService/RetireOverride", Site, Write, NOTHING),
    method("linli.v1.CatalogService/SimulateStandards", Site, Read, MASKED),
    method("linli.v1.CommunityService/CloseReferral", Site, Write, RECORDS),
    method("linli.v1.CommunityService/CreateBody", Server, Write, NOTHING),
    method("linli.v1.CommunityService/CreateReferral", Site, Write, FILE),
    method("linli.v1.CommunityService/GetBody", Server, Read, NOTHING),
    method("linli.v1.CommunityService/GetDelivery", Server, Read, NOTHING),
    method("linli.v1.CommunityService/GetReferral", Site, Read, FILE),
    method("linli.v1.CommunityService/ListBodies", Server, Read, NOTHING),
    method("linli.v1.CommunityService/ListConsents", Site, Read, NOTHING),
    method("linli.v1.CommunityService/ListDeliveryAttempts", Site, Read, NOTHING),
    method("linli.v1.CommunityService/ListDisclosures", Site, Read, NOTHING),
    method("linli.v1.CommunityService/ListReferrals", Site, Read, NOTHING),
    method("linli.v1.CommunityService/ProbeBody", Server, Read, NOTHING),
    method("linli.v1.CommunityService/PullRoster", Site, Read, LISTED),
    method("linli.v1.CommunityService/RecordAcknowledgement", Site, Write, RECORDS),
    method("linli.v1.CommunityService/RecordConsent", Site, Write, FILE),
    method("linli.v1.CommunityService/RecordDisclosure", Site, Write, FILE),
    method("linli.v1.CommunityService/RetryReferral", Site, Write, RECORDS),
    method("linli.v1.CommunityService/ReviewReferral", Site, Write, RECORDS),
    method("linli.v1.CommunityService/RevokeReferral", Site, Write, RECORDS),
    method("linli.v1.CommunityService/UpdateBody", Server, Write, NOTHING),
    method("linli.v1.CommunityService/WithdrawConsent", Site, Write, NOTHING),
    method("linli.v1.ComplianceService/ClosePeriod", Site, Write, NOTHING),
    method("linli.v1.ComplianceService/GetComplianceReport", Site, Read, NOTHING),
    method("linli.v1.ComplianceService/GetPeriod", Site, Read, NOTHING),
    method("linli.v1.ComplianceService/GetVisitRate", Site, Read, NOTHING),
    method("linli.v1.ComplianceService/GetWorkload", Site, Read, NOTHING),
    method("linli.v1.ComplianceService/ListCorrections", Site, Read, NOTHING),
    method("linli.v1.ComplianceService/RenderReport", Site, Read, NOTHING),
    method("linli.v1.EventService/ListEvents", Site, Read, NOTHING),
    method("linli.v1.EventService/Watch", Site, Read, NOTHING),
    method("linli.v1.FacilityService/CreateFacility", Site, Write, NOTHING),
    method("linli.v1.FacilityService/GetFacility", Site, Read, NOTHING),
    method("linli.v1.FacilityService/ListFacilities", Site, Read, NOTHING),
    method("linli.v1.FacilityService/RecordInspection", Site, Write, NOTHING),
    method("linli.v1.FacilityService/ReportDefect", Site, Write, NOTHING),
    method("linli.v1.FacilityService/UpdateFacility", Site, Write, NOTHING),
    method("linli.v1.FundService/AmendBudget", Site, Write, NOTHING),
    method("linli.v1.FundService/ApproveSpending", Site, Write, NOTHING),
    method("linli.v1.FundService/GetFund", Site, Read, NOTHING),
    method("linli.v1.FundService/GetLedger", Site, Read, NOTHING),
    method("linli.v1.FundService/GetSpending", Site, Read, NOTHING),
    method("linli.v1.FundService/ListReports", Site, Read, NOTHING),
    method("linli.v1.FundService/ListSpending", Site, Read, NOTHING),
    method("linli.v1.FundService/OpenFundYear", Site, Write, NOTHING),
    method("linli.v1.FundService/PublishReport", Site, Write, NOTHING),
    method("linli.v1.FundService/RecordDisbursement", Site, Write, NOTHING),
    method("linli.v1.FundService/RejectSpending", Site, Write, NOTHING),
    method("linli.v1.FundService/RequestSpending", Site, Write, NOTHING),
    method("linli.v1.ObligationService/GetStanding", Site, Read, WORK),
    method("linli.v1.ObligationService/ListObligations", Site, Read, NOTHING),
    method("linli.v1.ObligationService/ListWorklist", Site, Read, MASKED),
    method("linli.v1.ObligationService/WatchWorklist", Site, Read, MASKED),
    method("linli.v1.PluginService/DrainPlugin", Server, Write, NOTHING),
    method("linli.v1.PluginService/GetPlugin", Server, Read, NOTHING),
    method("linli.v1.PluginService/ListPluginDifferences", Site, Read, NOTHING),
    method("linli.v1.PluginService/ListPlugins", Server, Read, NOTHING),
    method("linli.v1.PluginService/LoadPlugin", Server, Write, NOTHING),
    method("linli.v1.PluginService/PreviewPlugin", Site, Read, NOTHING),
    method("linli.v1.RequestService/AcceptRequest", Site, Write, NOTHING),
    method("linli.v1.RequestService/ArriveRequest", Site, Write, NOTHING),
    method("linli.v1.RequestService/CancelRequest", Site, Write, NOTHING),
    method("linli.v1.RequestService/CompleteRequest", Site, Write, NOTHING),
    method("linli.v1.RequestService/DispatchRequest", Site, Write, NOTHING),
    method("linli.v1.RequestService/FollowUpRequest", Site, Write, NOTHING),
    method("linli.v1.RequestService/GetRequest", Site, Read, RECORDS),
    method("linli.v1.RequestService/ListRequests", Site, Read, NOTHING),
    method("linli.v1.RequestService/RecordNotice", Site, Write, NOTHING),
    method("linli.v1.RequestService/ReportEmergency", Site, Write, NOTHING),
    method("linli.v1.RequestService/ReviewRequest", Site, Write, NOTHING),
    method("linli.v1.RequestService/SubmitRequest", Site, Write, NOTHING),
    method("linli.v1.ResidentService/ApplyChange", Site, Write, FILE),
    method("linli.v1.ResidentService/AssessResident", Site, Write, NOTHING),
    method("linli.v1.ResidentService/BatchGetResidents", Site, Read, FILE),
    method("linli.v1.ResidentService/ConfirmExit", Site, Write, NOTHING),
    method("linli.v1.ResidentService/ConfirmPause", Site, Write, NOTHING),
    method("linli.v1.ResidentService/ConfirmTier", Site, Write, NOTHING),
    method("linli.v1.ResidentService/CreateResident", Site, Write, FILE),
    method("linli.v1.ResidentService/DeclareMembership", Site, Write, NOTHING),
    method("linli.v1.ResidentService/EndPause", Site, Write, NOTHING),
    method(ERASE_FILE, Site, Write, NOTHING),
    method("linli.v1.ResidentService/ExportOwnFile", Site, Read, FILE),
    method("linli.v1.ResidentService/ExportResidents", Site, Read, FILE),
    method("linli.v1.ResidentService/FindDuplicates", Site, Read, MASKED),
    method("linli.v1.ResidentService/GetErasureCertificate", Site, Read, NOTHING),
    method("linli.v1.ResidentService/GetResident", Site, Read, FILE),
    method("linli.v1.ResidentService/HoldFile", Site, Write, NOTHING),
    method("linli.v1.ResidentService/ImportResidents", Site, Write, NOTHING),
    method("linli.v1.ResidentService/ListHistory", Site, Read, NOTHING),
    method("linli.v1.ResidentService/ListMemberships", Site, Read, NOTHING),
    method("linli.v1.ResidentService/ListPauses", Site, Read, NOTHING),
    method("linli.v1.ResidentService/ListResidents", Site, Read, MASKED),
    method("linli.v1.ResidentService/MergeResidents", Site, Write, FILE),
    method("linli.v1.ResidentService/Pause", Site, Write, NOTHING),
    method("linli.v1.ResidentService/RecordDeath", Site, Write, NOTHING),
    method("linli.v1.ResidentService/RecordMoveIn", Site, Write, NOTHING),
    method("linli.v1.ResidentService/RecordMoveOut", Site, Write, NOTHING),
    method("linli.v1.ResidentService/ReportChange", Site, Write, NOTHING),
    method("linli.v1.ResidentService/RevealResident", Site, Read, FILE),
    method(SEAL_FILE, Site, Write, NOTHING),
    method("linli.v1.ResidentService/SetProtected", Site, Write, MASKED),
    method("linli.v1.ResidentService/UnmergeResidents", Site, Write, FILE),
    method("linli.v1.ResidentService/UnsealFile", Site, Write, NOTHING),
    method("linli.v1.ResidentService/UpdateResident", Site, Write, FILE),
    method("linli.v1.SiteService/AddPostHolder", Site, Write, NOTHING),
    method("linli.v1.SiteService/CreateArea", Site, Write, NOTHING),
    method("linli.v1.SiteService/CreateDwelling", Site, Write, NOTHING),
    method("linli.v1.SiteService/CreatePost", Site, Write, NOTHING),
    method("linli.v1.SiteService/CreateSite", Site, Write, NOTHING),
    method("linli.v1.SiteService/EndPostHolder", Site, Write, NOTHING),
    method("linli.v1.SiteService/GetArea", Site, Read, NOTHING),
    method("linli.v1.SiteService/GetDwelling", Site, Read, NOTHING),
    method("linli.v1.SiteService/GetPluginParameters", Site, Read, NOTHING),
    method("linli.v1.SiteService/GetPost", Site, Read, NOTHING),
    method("linli.v1.SiteService/GetSite", Site, Read, NOTHING),
    method("linli.v1.SiteService/ListAreas", Site, Read, NOTHING),
    method("linli.v1.SiteService/ListDwellings", Site, Read, NOTHING),
    method("linli.v1.SiteService/ListPosts", Site, Read, NOTHING),
    method("linli.v1.SiteService/ListSites", Site, Read, NOTHING),
    method("linli.v1.SiteService/ReportWeather", Site, Write, NOTHING),
    method("linli.v1.SiteService/SetPluginParameters", Site, Write, NOTHING),
    method("linli.v1.SiteService/UpdateArea", Site, Write, NOTHING),
    method("linli.v1.SiteService/UpdateDwelling", Site, Write, NOTHING),
    method("linli.v1.SiteService/UpdatePost", Site, Write, NOTHING),
    method("linli.v1.SiteService/UpdateSite", Site, Write, NOTHING),
    method("linli.v1.StaffService/CreateStaff", Server, Write, NOTHING),
    method("linli.v1.StaffService/DeactivateStaff", Server, Write, NOTHING),
    method("linli.v1.StaffService/GetStaff", Server, Read, NOTHING),
    method("linli.v1.StaffService/GrantEmergencyAccess", Site, Write, NOTHING),
    method("linli.v1.StaffService/ListEmergencyAccesses", Site, Read, RECORDS),
    method("linli.v1.StaffService/ListStaff", Server, Read, NOTHING),
    method("linli.v1.StaffService/ReactivateStaff", Server, Write, NOTHING),
    method("linli.v1.StaffService/ReviewEmergencyAccess", Site, Write, RECORDS),
    method("linli.v1.StaffService/UpdateStaff", Server, Write, NOTHING),
    method("linli.v1.SurveyService/CloseSurvey", Site, Write, NOTHING),
    method("linli.v1.SurveyService/GetCoverage", Site, Read, NOTHING),
    method("linli.v1.SurveyService/GetSurvey", Site, Read, NOTHING),
    method("linli.v1.SurveyService/GetSurveyAnswer", Site, Read, FOUND),
    method("linli.v1.SurveyService/ListSurveyAnswers", Site, Read, NOTHING),
    method("linli.v1.SurveyService/ListSurveys", Site, Read, NOTHING),
    method("linli.v1.SurveyService/OpenSurvey", Site, Write, NOTHING),
    method("linli.v1.SurveyService/RecordSurvey", Site, Write, NOTHING),
    method("linli.v1.SurveyService/WithdrawSurveyAnswer", Site, Write, NOTHING),
];

/// The row of an RPC by its path, with or without the leading slash.
pub fn find(path: &str) -> Option<&'static Method> {
    let path = path.strip_prefix('/').unwrap_or(path);
    METHODS.binary_search_by(|method| method.path.cmp(path)).ok().and_then(|at| METHODS.get(at))
}

const fn method(
    path: &'static str,
    access: Access,
    effect: Effect,
    discloses: &'static [FieldClass],
) -> Method {
    Method { path, access, effect, discloses }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_by_path_so_that_every_row_is_found() {
        for method in METHODS {
            assert_eq!(find(method.path), Some(method));
        }
        assert_eq!(
            find("/linli.v1.SiteService/GetSite").map(|m| m.path),
            Some("linli.v1.SiteService/GetSite")
        );
        assert_eq!(find("linli.v1.SiteService/DropSite"), None);
    }
}
