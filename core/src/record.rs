//! Service records, 服务记录: one contact or service for one or more subjects. Append-only; a correction is a
//! new version.

use std::fmt;

use crate::id::{EventId, RecordId, SiteId, StaffId, Subject};
use crate::kind::{Department, ServiceKind, closed_list};
use crate::text::{Line, Paragraph};
use crate::time::Instant;

/// One contact or service.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceRecord {
    /// The site.
    pub site: SiteId,
    /// The id, the same in every version.
    pub id: RecordId,
    /// Version, from 1; the highest counts.
    pub version: u64,
    /// What was done.
    pub kind: ServiceKind,
    /// When the care happened.
    pub occurred_at: Instant,
    /// When this version was recorded (care clock).
    pub recorded_at: Instant,
    /// Who did it.
    pub performer: StaffId,
    /// Their department.
    pub department: Department,
    /// For whom, with the outcome for each; at least one.
    pub subjects: Vec<SubjectOutcome>,
    /// The record was made in error and earns nothing.
    pub voided: bool,
    /// Why this version replaces the one before it.
    pub correction_reason: Option<Line>,
}

impl fmt::Debug for ServiceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceRecord({} v{} {})", self.id, self.version, self.kind.code())
    }
}

/// Largest number of subjects of one record: a round over a large estate.
pub const RECORD_SUBJECTS_MAX: usize = 500;

/// What a record says of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectOutcome {
    /// The subject.
    pub subject: Subject,
    /// How it went.
    pub outcome: Outcome,
    /// The events this record answers.
    pub answers: Vec<EventId>,
    /// What was done, seen or said: class `care`, sealed per subject.
    pub content: Option<Paragraph>,
}

closed_list! {
    /// How a contact or service went for one subject.
    Outcome {
        /// Done.
        Done = "done", "已完成", "done";
        /// The person was not reached.
        NotReached = "not_reached", "未联系上", "not reached";
        /// The person declined.
        Declined = "declined", "婉拒", "declined";
        /// Could not be done.
        NotDone = "not_done", "未完成", "not done";
    }
}

/// A service record as one subject sees it: what the obligation engine reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRecord {
    /// The record.
    pub id: RecordId,
    /// What was done.
    pub kind: ServiceKind,
    /// When the care happened.
    pub occurred_at: Instant,
    /// When it was first recorded (care clock).
    pub recorded_at: Instant,
    /// How it went for this subject.
    pub outcome: Outcome,
    /// The events it answers.
    pub answers: Vec<EventId>,
    /// When it was voided, if it was; from then on it earns nothing.
    pub voided_at: Option<Instant>,
}

/// An evaluation of a service by the person who received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The record.
    pub record: RecordId,
    /// For which of its subjects.
    pub subject: Subject,
    /// 1 (bad) to 5 (good).
    pub satisfaction: u8,
    /// In their words: class `care`.
    pub comment: Option<Paragraph>,
    /// When it was given (care clock).
    pub recorded_at: Instant,
}
