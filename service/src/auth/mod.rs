//! Who calls, what they may do, and the proof of it.
//!
//! The way of a call: [`gate::Gate`] turns credentials and metadata into a [`Call`] (who presents what, why, which language)
//! or refuses; the use case finds out whom the credentials belong to, and asks the [`policy::Policy`] with the facts it
//! loaded. It gets a [`policy::Permit`], without which no file can be read and nothing written. [`table`] lists every RPC; one
//! that is not in it is refused. The policies themselves are text: `policy.cedar`, over `schema.cedarschema`, asked by
//! [`rules`].
//!
//! What is cached: signatures of tokens that were verified, until they expire or the keys change. Rights never are.

pub mod gate;
pub mod keys;
pub mod policy;
pub mod rules;
pub mod table;
pub mod token;

use linli_core::id::StaffId;
use linli_core::staff::{Credential, Grant, Reach};
use linli_core::text::Language;
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// Who presents what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Somebody whose rights are fixed: by a development token, or the server itself.
    Fixed(Principal),
    /// Somebody whose credentials were verified. Whom they belong to is looked up when their right is decided.
    Presented {
        /// The subject of a token.
        token: Option<Credential>,
        /// The names in a client certificate.
        certificate: Vec<Credential>,
    },
}

impl Caller {
    /// Tells callers apart, in a form that says nothing about them.
    pub fn key(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        match self {
            Self::Fixed(principal) => hash.update(principal.staff.as_str()),
            Self::Presented { token, certificate } => {
                for credential in token.iter().chain(certificate) {
                    hash.update([0]);
                    hash.update(credential.kind.code());
                    hash.update([0]);
                    hash.update(credential.name.as_str());
                }
            }
        }
        hash.finalize().into()
    }
}

/// Somebody or something that was authenticated, with the rights of this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The staff id; of those who are not staff, one made from their credentials.
    pub staff: StaffId,
    /// What they may claim.
    pub rights: Rights,
}

/// What a principal may claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// What these grants allow, each by itself; without any nothing.
    Grants(Vec<Grant>),
    /// What the server itself may do; nobody can log in as it.
    Server,
}

impl Principal {
    /// Somebody whose credentials belong to nobody, or to several.
    pub fn unknown(caller: &Caller) -> Self {
        let digits = hex(caller.key().get(..8).unwrap_or_default());
        let staff =
            StaffId::new(&format!("unknown-{digits}")).expect("hexadecimal digits have the accepted shape");
        Self { staff, rights: Rights::Grants(Vec::new()) }
    }

    /// Every site that a grant holds for.
    pub fn reach(&self) -> Reach {
        match &self.rights {
            Rights::Server => Reach::Everywhere,
            Rights::Grants(grants) => {
                grants.iter().fold(Reach::nowhere(), |reach, grant| reach.and(&grant.reach))
            }
        }
    }
}

/// What a use case knows of the call beside its request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
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
