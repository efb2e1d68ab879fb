//! Everything a use case can answer with instead of a result, free of transport.
//!
//! A variant exists where a caller would do something different. `grpc::status` maps each to a code and a
//! reason of the public enum; the internal half of [`Error::Internal`] never leaves the process.

use std::time::Duration;

use linli_core::consent::Missing;
use linli_core::invalid::Invalid;
use linli_core::referral::ReferralState;
use linli_core::request::{RequestState, RequestUrgency};
use linli_core::text::{Label, Line};

/// One field of a request that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request, such as `resident.contact.phone` or `subjects[2].outcome`.
    pub field: String,
    /// Why it was refused.
    pub why: Invalid,
}

/// What a name may refer to, for messages that reveal nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A site.
    Site,
    /// A dwelling.
    Dwelling,
    /// An area.
    Area,
    /// A post.
    Post,
    /// A resident's file.
    Resident,
    /// A membership.
    Membership,
    /// A pause.
    Pause,
    /// A service record.
    Record,
    /// An event.
    Event,
    /// A request.
    Request,
    /// A facility.
    Facility,
    /// An activity.
    Activity,
    /// A survey.
    Survey,
    /// An answer to a survey.
    SurveyAnswer,
    /// A care group.
    CareGroup,
    /// A service standard.
    Standard,
    /// A plugin.
    Plugin,
    /// A member of staff.
    Staff,
    /// A credential of a member of staff.
    Credential,
    /// A replacement of keys.
    KeyRotation,
    /// An erasure.
    Erasure,
    /// A site's override of a standard.
    Override,
    /// A revision of a care plan.
    Plan,
    /// A waiver.
    Waiver,
    /// A fund year.
    Fund,
    /// A line of a fund year's budget.
    BudgetLine,
    /// A spending of the special fund.
    Spending,
    /// An emergency access.
    EmergencyAccess,
    /// A consent.
    Consent,
    /// A community body.
    Body,
    /// A referral.
    Referral,
}

/// Why a use case refused or failed.
#[derive(Debug, Clone)]
pub enum Error {
    /// The request holds values that cannot be accepted; all of them.
    Invalid(Vec<Violation>),
    /// The page token belongs to another query or another caller.
    PageToken,
    /// Nothing of this name, or nothing that the caller may know of.
    NotFound(Thing),
    /// Something of this name exists already.
    AlreadyExists(Thing),
    /// Another file of the site has this identity number; its name, where the caller may know it.
    IdentityTaken,
    /// No credentials, or none that are valid.
    Unauthenticated,
    /// The caller may not do this.
    Denied,
    /// Sensitive fields need a stated purpose.
    PurposeRequired,
    /// The caller saw personal values in clear too often; the time until the next is free.
    RevealLimit(Duration),
    /// The site has files that may be of the same person, by name, and nobody confirmed that they are not.
    PossibleDuplicate(Vec<String>),
    /// Values may not go out: for each class or field, by its code, everything that is missing.
    DisclosureRefused(Vec<(&'static str, Vec<Missing>)>),
    /// The resource changed since the caller read it.
    EtagMismatch,
    /// The request id was used for a different request.
    RequestIdReused,
    /// The state of the thing does not allow it.
    State(StateConflict),
    /// The calendar lacks a year that would change the answer.
    CalendarYearMissing(i32),
    /// A plugin that the answer needs cannot be called now.
    PluginUnavailable(String),
    /// What lies in a plugin's folder cannot be loaded: why, and what to do.
    PluginRefused(Label),
    /// Another library lies in the plugin's folder than the one that was previewed.
    PluginChanged,
    /// By this version of a plugin less or something else would be owed: the groups and standards that the request
    /// must name.
    PluginDropsDuties(Vec<String>),
    /// Time can only be moved on a simulated clock.
    ClockNotSimulated,
    /// The message is larger than the server takes.
    MessageTooLarge,
    /// The events after a cursor were removed, or it is of a database that was put back by an older one.
    EventsGone,
    /// Whoever watched did not read what they were told.
    WatcherSlow,
    /// A body was not reached now.
    BodyUnreachable {
        /// What went wrong, for the operator, without personal data.
        trouble: Line,
        /// When to try again.
        retry_after: Duration,
    },
    /// A body refused, or what it answers cannot be used: why, for the operator, without personal data.
    BodyRefused(Line),
    /// Too much is waiting; trying again later helps.
    Overloaded,
    /// The deadline passed before the answer.
    DeadlineExceeded,
    /// The store cannot be reached or cannot write; trying again later helps.
    StoreUnavailable,
    /// The keys are not there: the process runs sealed.
    Sealed,
    /// A defect; the text is for the log, never for the caller.
    Internal(String),
}

/// Why the state of a thing does not allow a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateConflict {
    /// The file is not active.
    FileNotActive,
    /// The file is active.
    FileActive,
    /// The file is sealed.
    FileSealed,
    /// The file is not sealed.
    FileNotSealed,
    /// The file is under legal hold.
    FileHeld,
    /// The file is under no legal hold.
    FileNotHeld,
    /// The file was erased.
    FileErased,
    /// The key of an erased file is still there.
    ErasureUnderWay,
    /// The file has a tenure that has not ended.
    AlreadyLivesHere,
    /// The resident has died.
    Died,
    /// The membership has ended.
    MembershipEnded,
    /// The resident is a member of the group already.
    AlreadyMember,
    /// No lower tier is proposed, or another one.
    NoLowerTier,
    /// The membership has no proposed exit.
    NoProposedExit,
    /// The pause has ended.
    PauseEnded,
    /// The pause needs no confirmation, or has one.
    PauseNotAwaiting,
    /// The pause overlaps another one.
    PauseOverlaps,
    /// The record was voided.
    RecordVoided,
    /// The facility is no longer there.
    FacilityRetired,
    /// The activity was held or cancelled already.
    ActivityNotPlanned,
    /// The activity was not held.
    ActivityNotHeld,
    /// The survey was closed.
    SurveyClosed,
    /// The answer was withdrawn.
    AnswerWithdrawn,
    /// The request cannot take this step now.
    RequestStep {
        /// Where it stands.
        state: RequestState,
        /// How pressing it is.
        urgency: RequestUrgency,
    },
    /// The holder's time has ended, or there is no such holder.
    HolderEnded,
    /// Somebody else holds the post in that time.
    HolderOverlaps,
    /// Nobody changes their own rights.
    OwnRights,
    /// The member of staff is deactivated.
    StaffInactive,
    /// The member of staff is active.
    StaffActive,
    /// The database makes its own backups.
    BackupElsewhere,
    /// The file was merged into another one already.
    AlreadyMerged,
    /// The files are in different states.
    StatesDiffer,
    /// Both files have an identity number: they are of two people.
    NumbersDiffer,
    /// The file that would go has the identity number, the one that would stay has none.
    NumberWouldGo,
    /// More files than one person has.
    TooManyMerged,
    /// The file was not merged.
    NotMerged,
    /// The file into which it was merged was itself merged.
    SurvivorMerged,
    /// One of the files is protected, or for other people.
    ProtectionDiffers,
    /// Keys are being replaced.
    RotationUnderWay,
    /// There is no root key to follow the one in use, or it cannot be read.
    NoNextRootKey,
    /// The override does not wait for an approval.
    OverrideNotAwaiting,
    /// The override has ended or was retired.
    OverrideOver,
    /// The revision was decided, or a later one waits in its place.
    PlanNotAwaiting,
    /// The waiver does not wait for an approval.
    WaiverNotAwaiting,
    /// The waiver has ended.
    WaiverOver,
    /// Nobody approves what they asked for.
    OwnProposal,
    /// The budget line does not hold as much.
    LineOverdrawn,
    /// The spending was decided upon already.
    SpendingDecided,
    /// The spending is not approved, or was paid already.
    SpendingNotApproved,
    /// Whoever approves a spending may neither have asked for it nor pay it.
    SameHands,
    /// The emergency access was reviewed already.
    AccessReviewed,
    /// The caller's last emergency access to the file waits for its review.
    AccessNotReviewed,
    /// Nobody reviews their own emergency access.
    OwnAccess,
    /// The period has not ended, or records of it may still be entered in time.
    PeriodNotOver,
    /// The period was closed already.
    PeriodClosed,
    /// The period was not closed.
    PeriodOpen,
    /// Whoever said no less than six months ago did not come to say yes by themselves.
    AskedTooSoon,
    /// It was refused, or taken back already.
    NothingToWithdraw,
    /// The referral cannot take this step now.
    ReferralStep {
        /// Where it stands.
        state: ReferralState,
    },
    /// Nothing of the referral went to the body yet.
    ReferralNotSent,
    /// The referral waits for no review.
    ReferralNotAwaiting,
    /// Nobody reviews a referral that they asked for.
    OwnReferral,
    /// The body's channel is not in the server's configuration any more.
    ChannelGone,
    /// Nothing is done with the body now.
    BodyDisabled,
    /// The body does not serve the site.
    BodyElsewhere,
    /// The body has no channel.
    BodyWithoutChannel,
    /// The body's channel fetches no lists, or is not there.
    ChannelCannotPull,
}

/// What a use case returns.
pub type Result<T> = std::result::Result<T, Error>;
