//! Closed lists, dates and labels between the wire and the domain.

use linli_core::activity::{ActivityKind, ActivityState};
use linli_core::applied::WaiverCause;
use linli_core::care_plan::PlanState;
use linli_core::community_roster::RosterProposal;
use linli_core::consent::{Basis as Ground, BodyKind, DisclosurePurpose, Signatory};
use linli_core::delivery::AttemptOutcome;
use linli_core::facility::FacilityKind;
use linli_core::fund::{Account, FundPurpose, Movement, SpendingState};
use linli_core::id::SubjectKind;
use linli_core::invalid::Invalid;
use linli_core::kind::{Confidence, Department, EventKind, ServiceKind, Tier};
use linli_core::membership::{Basis, ExitCause};
use linli_core::obligation::ObligationStatus;
use linli_core::pause::PauseReason;
use linli_core::record::Outcome;
use linli_core::referral::{Decision, DisclosedField, ReferralMatter, ReferralState};
use linli_core::request::{NoticeParty, RequestKind, RequestState, RequestUrgency};
use linli_core::resident::{FactValue, FieldClass, FileState, Need, Sex};
use linli_core::retention::ErasureCause;
use linli_core::site::AreaKind;
use linli_core::staff::{CredentialKind, Role, Signed};
use linli_core::standard_override::OverrideState;
use linli_core::survey::{DuplicateSign, KeyPersonFlag, SurveyChannel, SurveyKind, SurveyOutcome};
use linli_core::text::{Label, Line};
use linli_core::time::CivilDate;
use linli_core::waiver::WaiverState;
use linli_proto::v1;

/// A message that shows a domain value. (`From` cannot say so: neither side is of this crate.)
pub(super) trait Shows<T>: Sized {
    /// The message.
    fn shows(value: &T) -> Self;
}

/// [`Shows`] from the value's side.
pub(super) trait ToWire: Sized {
    /// The message that shows this value.
    fn to_wire<M: Shows<Self>>(&self) -> M {
        M::shows(self)
    }
}

impl<T> ToWire for T {}

/// A closed list with a twin on the wire.
pub(super) trait Listed: Sized + Copy {
    /// From the number on the wire: 0 is absent, a number that the list lacks is unknown.
    fn listed(number: i32) -> Result<Self, Invalid>;
    /// The number on the wire.
    fn number(self) -> i32;

    /// As [`Listed::listed`], with 0 as `None`.
    fn optional(number: i32) -> Result<Option<Self>, Invalid> {
        match Self::listed(number) {
            Ok(value) => Ok(Some(value)),
            Err(Invalid::Missing) => Ok(None),
            Err(why) => Err(why),
        }
    }
}

macro_rules! listed {
    ($($domain:ident = $wire:ident { $($variant:ident)* })*) => {$(
        impl Listed for $domain {
            fn listed(number: i32) -> Result<Self, Invalid> {
                match v1::$wire::try_from(number) {
                    Ok(v1::$wire::Unspecified) => Err(Invalid::Missing),
                    $(Ok(v1::$wire::$variant) => Ok(Self::$variant),)*
                    Err(_) => Err(Invalid::Unknown),
                }
            }

            fn number(self) -> i32 {
                match self { $(Self::$variant => v1::$wire::$variant.into(),)* }
            }
        }
    )*};
}

listed! {
    ServiceKind = ServiceKind {
        HomeVisit PhoneCall VideoCall AnsweredMessage FestivalVisit Survey Review FileUpdate SafetyCheck DoorCheck
        EmergencyContactCall AuthorityReport Patrol PassageCheck Post Escort Inspection Repair Cleaning Disinfection
        IndoorHelp ErrandShopping ErrandParcel ErrandBill ErrandMedicine Activity FollowUp RequestAccepted
        RequestArrived RequestFinished Publication Referral SupervisorReport RequestReviewed ReferralAnswered ReferralClosed
    }
    EventKind = EventKind {
        HouseholdMovedIn ChangeReported ContactNotReached SafetyConfirmed PauseOverdue Discharged MajorChange
        ExtremeWeather RequestSubmitted RequestAccepted RequestDispatched RequestDone RequestReviewDue ServiceDone
        ReferralSent ReferralAccepted
    }
    AttemptOutcome = AttemptOutcome { Delivered Later Refused Withheld GivenUp }
    Department = Department { CustomerService Security Engineering Cleaning Finance }
    Confidence = Confidence { Verified Secondary Known Uncertain Inferred }
    SubjectKind = SubjectKind { Resident Dwelling Area Facility Request Site }
    Tier = Tier { General Key High }
    Sex = Sex { Female Male }
    Need = Need { LivingCare Medical Companionship Convenience }
    FieldClass = FieldClass { Contact Identity Health Family Status Care }
    FileState = FileState { Active Left Sealed Erased }
    ErasureCause = ErasureCause { Request Retention }
    PauseReason = PauseReason { Hospital Travel WithFamily Institution Other }
    ObligationStatus = ObligationStatus { Upcoming Open AtRisk Met MetLate Missed Excused }
    Outcome = Outcome { Done NotReached Declined NotDone }
    Role = StaffRole { Leader Deputy Member Finance Volunteer Auditor Integration }
    CredentialKind = StaffCredentialKind { Token Certificate }
    AreaKind = AreaKind { Building Stairwell Passage Gate }
    FacilityKind = FacilityKind {
        Ramp Handrail LiftButtons TactilePaving Entrance LiftingPlatform Toilet ParkingPlace CallButton Signage Other
    }
    RequestKind = RequestKind {
        ErrandShopping ErrandParcel ErrandBill ErrandMedicine Repair FacilityDefect DoorHelp Escort IndoorHelp Complaint
        Emergency Other
    }
    RequestUrgency = RequestUrgency { Emergency Priority Routine }
    RequestState = RequestState { Submitted Accepted Dispatched Arrived Done FollowedUp Closed Cancelled }
    NoticeParty = NoticeParty { Police FireBrigade Ambulance Committee Family Supervisor }
    ActivityKind = ActivityKind { Visit Event }
    ActivityState = ActivityState { Planned Held Cancelled }
    SurveyKind = SurveyKind { MoveIn Review Full }
    SurveyChannel = SurveyChannel { HomeVisit Phone Community SelfDeclared }
    SurveyOutcome = SurveyOutcome { Surveyed Vacant Refused NotReached }
    KeyPersonFlag = KeyPersonFlag { LivingAlone Disabled SeriouslyIll }
    DuplicateSign = SurveyDuplicateSign { SameDwelling SameDoor SameFile SamePerson SamePhone }
    Basis = MembershipBasis { Rule Declared Certificate }
    OverrideState = StandardOverrideState { Proposed Planned InForce Ended Retired }
    PlanState = CarePlanState { Submitted Planned InForce Superseded Rejected }
    WaiverCause = WaiverCause { Refused Plan }
    WaiverState = WaiverState { Requested Planned InForce Expired Ended }
    ExitCause = ExitCause { FactChanged CertificateExpired RuleChanged }
    BodyKind = BodyKind {
        Company NeighbourhoodCommittee StreetOffice CivilAffairs HealthService DisabledFederation WomensFederation
        VeteransService Police Rescue School CareProvider Charity
    }
    DisclosurePurpose = DisclosurePurpose { CareFile Referral Greeting Report Rescue }
    Ground = DisclosureBasis { Consent LegalDuty Danger }
    DisclosedField = DisclosedField {
        Name Phone Address EmergencyContacts IdentityNumber BirthDate Sex Health Family Status
    }
    ReferralMatter = ReferralMatter {
        AbilityAssessment MedicalVisit HomeCare Meals Company SubsistenceAllowance DisabilityCertificate LegalHelp
        ChildProtection NotReached Other
    }
    RosterProposal = RosterProposal { AlreadyMember AddMembership Compare OpenFile AskBody Repeated }
    ReferralState = ReferralState { Queued Sent Accepted Rejected Closed Failed Revoked }
    Decision = ReferralDecision { Accepted Rejected Closed }
    Signatory = ConsentSignatory { Resident Guardian Agent }
    FundPurpose = FundPurpose {
        Festival Relief HomeSafety Accessibility Activity Health Volunteers Training Other
    }
    SpendingState = SpendingState { Requested Approved Rejected Disbursed }
    Movement = LedgerMovement { Budgeted Cut Committed Released Paid }
    Account = LedgerAccount { Appropriation Available Committed Spent }
}

/// A label on the wire.
pub(super) fn label(label: &Label) -> Option<v1::LocalizedText> {
    Some(v1::LocalizedText { zh: label.zh.clone(), en: label.en.clone() })
}

/// A date on the wire; empty where there is none.
pub(super) fn date(date: Option<CivilDate>) -> String {
    date.map(|date| date.to_string()).unwrap_or_default()
}

/// Who and when on the wire; empty and absent where nobody did.
pub(super) fn signed(signed: Option<&Signed>) -> (String, Option<prost_types::Timestamp>) {
    signed.map_or_else(Default::default, |signed| {
        (crate::name::staff(&signed.by), Some(super::check::timestamp(signed.at)))
    })
}

/// A version as an etag.
pub(super) fn etag(version: u64) -> String {
    format!("v{version}")
}

/// The version that an etag asks for; `None` for the empty etag, which asks for none.
pub(super) fn parse_etag(etag: &str) -> Result<Option<u64>, Invalid> {
    match etag.strip_prefix('v') {
        _ if etag.is_empty() => Ok(None),
        Some(version) => version.parse().map(Some).map_err(|_| Invalid::Unknown),
        None => Err(Invalid::Unknown),
    }
}

impl Shows<FactValue> for v1::Value {
    fn shows(value: &FactValue) -> Self {
        use v1::value::Kind;
        let kind = match value {
            FactValue::Bool(flag) => Kind::Flag(*flag),
            FactValue::Integer(number) => Kind::Number(*number),
            FactValue::Date(date) => Kind::Date(date.to_string()),
            FactValue::Code(code) => Kind::Code(code.clone()),
            FactValue::Text(text) => Kind::Text(text.clone()),
        };
        Self { kind: Some(kind) }
    }
}

/// The value of a fact or a parameter.
pub(super) fn fact_value(value: &v1::Value) -> Result<FactValue, Invalid> {
    use v1::value::Kind;
    match value.kind.as_ref().ok_or(Invalid::Missing)? {
        Kind::Flag(flag) => Ok(FactValue::Bool(*flag)),
        Kind::Number(number) => Ok(FactValue::Integer(*number)),
        Kind::Date(date) => CivilDate::parse(date).map(FactValue::Date),
        Kind::Code(code) => Line::new(code).map(|code| FactValue::Code(code.as_str().to_owned())),
        Kind::Text(text) => Line::new(text).map(|text| FactValue::Text(text.as_str().to_owned())),
    }
}
