//! Who calls, what they may do, and the proof of it.
//!
//! The way of a call: [`gate::Gate`] turns metadata into a [`Call`] (who, why, which language) or refuses;
//! the use case asks the [`policy::Policy`] with the facts it loaded and gets a [`policy::Permit`], without
//! which no file can be read and nothing written. [`table`] lists every RPC; one that is not in it is refused.

pub mod gate;
pub mod policy;
pub mod table;

use linli_core::id::{SiteId, StaffId};
use linli_core::text::Language;

/// Somebody or something that was authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The staff id.
    pub staff: StaffId,
    /// Their place in the working group; `None`: authenticated, but not of the working group.
    pub role: Option<Role>,
    /// The sites they may act in.
    pub scope: Scope,
}

/// A role in the working group (regulation, Art. 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// 组长: everything of every site in scope.
    Leader,
    /// The server itself, when it assesses files again; nobody can log in as it.
    Upkeep,
}

/// The sites a principal may act in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// No site.
    Nowhere,
    /// Every site.
    Everywhere,
    /// These sites.
    Sites(Vec<SiteId>),
}

impl Scope {
    /// Whether `site` is in it.
    pub fn holds(&self, site: &SiteId) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Everywhere => true,
            Self::Sites(sites) => sites.contains(site),
        }
    }
}

/// What a use case knows of the call beside its request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub principal: Principal,
    /// The row of the authorisation table: what is called.
    pub method: &'static table::Method,
    /// The id under which logs and answers speak of this call.
    pub request_id: String,
    /// Why sensitive fields are wanted.
    pub purpose: Option<Purpose>,
    /// The language of messages.
    pub language: Language,
}

/// A stated purpose: one of the list, with free text where given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// Which one.
    pub kind: PurposeKind,
    /// In the caller's words; kept with the audit entry as a keyed hash only.
    pub note: Option<String>,
}

/// Why sensitive fields may be wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PurposeKind {
    /// Visits, calls and other care that a standard asks for.
    RoutineCare,
    /// Answering something the resident or the family asked for.
    ServiceRequest,
    /// Danger to life or health.
    Emergency,
    /// Surveys and quarterly reviews.
    Survey,
    /// Keeping the file correct and complete.
    FileMaintenance,
    /// Handing a matter to a community body.
    Referral,
    /// Looking into a complaint.
    Complaint,
    /// The resident asked to see their own file.
    AccessByResident,
    /// Inspection or audit of the care work.
    Audit,
    /// A court, an authority or a law demands it.
    LegalObligation,
}

impl PurposeKind {
    /// Every purpose.
    pub const ALL: &'static [Self] = &[
        Self::RoutineCare,
        Self::ServiceRequest,
        Self::Emergency,
        Self::Survey,
        Self::FileMaintenance,
        Self::Referral,
        Self::Complaint,
        Self::AccessByResident,
        Self::Audit,
        Self::LegalObligation,
    ];

    /// The code, as in the `x-purpose` metadata and the audit.
    pub const fn code(self) -> &'static str {
        match self {
            Self::RoutineCare => "routine_care",
            Self::ServiceRequest => "service_request",
            Self::Emergency => "emergency",
            Self::Survey => "survey",
            Self::FileMaintenance => "file_maintenance",
            Self::Referral => "referral",
            Self::Complaint => "complaint",
            Self::AccessByResident => "access_by_resident",
            Self::Audit => "audit",
            Self::LegalObligation => "legal_obligation",
        }
    }
}
