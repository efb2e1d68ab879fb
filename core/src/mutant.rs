//! Planted faults of the engine: the differential tests must catch every one of them.
//!
//! Outside tests [`planted`] is a constant `false`, and the compiler removes every fault.

/// The faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    WindowEndsADayLate,
    WindowStartsADayEarly,
    RoundsDown,
    RoundsHalfDown,
    ProratesFullDays,
    NotRaisedToOne,
    PauseIgnored,
    PauseTakesDayOfLeaving,
    PauseOutlivesExpectedReturn,
    LatePauseExcuses,
    WaiverIgnored,
    SameDayCountsTwice,
    CreditsNotDone,
    VoidedRecordCounts,
    FutureRecordCounts,
    CreditByRecordedDay,
    StartDayCounts,
    DeadlineIsExclusive,
    AnswersNotRead,
    AnswersEarlierRecord,
    PausedDaysDoNotMoveDeadline,
    LeadDaysForgotten,
    SeasonalProrated,
    AnchorDrifts,
    VersionClipForgotten,
    SubstituteAlwaysCounts,
    LadderForgetsProof,
    QuietHoursIgnored,
    LateEntryUnflagged,
    RiskFromHalfway,
    NonRunningDaysCount,
    TenureIgnored,
    UnknownYearIsAllWork,
    EndedStaysOpen,
    EmergencyCallEndsLadder,
    UnmadeReportAnswers,
}

#[cfg(not(test))]
pub(crate) const fn planted(_: Mutant) -> bool {
    false
}

#[cfg(test)]
pub(crate) use testing::{ALL, planted, with};

#[cfg(test)]
mod testing {
    use std::cell::Cell;

    use super::Mutant;

    /// Every fault.
    pub(crate) const ALL: &[Mutant] = &[
        Mutant::WindowEndsADayLate,
        Mutant::WindowStartsADayEarly,
        Mutant::RoundsDown,
        Mutant::RoundsHalfDown,
        Mutant::ProratesFullDays,
        Mutant::NotRaisedToOne,
        Mutant::PauseIgnored,
        Mutant::PauseTakesDayOfLeaving,
        Mutant::PauseOutlivesExpectedReturn,
        Mutant::LatePauseExcuses,
        Mutant::WaiverIgnored,
        Mutant::SameDayCountsTwice,
        Mutant::CreditsNotDone,
        Mutant::VoidedRecordCounts,
        Mutant::FutureRecordCounts,
        Mutant::CreditByRecordedDay,
        Mutant::StartDayCounts,
        Mutant::DeadlineIsExclusive,
        Mutant::AnswersNotRead,
        Mutant::AnswersEarlierRecord,
        Mutant::PausedDaysDoNotMoveDeadline,
        Mutant::LeadDaysForgotten,
        Mutant::SeasonalProrated,
        Mutant::AnchorDrifts,
        Mutant::VersionClipForgotten,
        Mutant::SubstituteAlwaysCounts,
        Mutant::LadderForgetsProof,
        Mutant::QuietHoursIgnored,
        Mutant::LateEntryUnflagged,
        Mutant::RiskFromHalfway,
        Mutant::NonRunningDaysCount,
        Mutant::TenureIgnored,
        Mutant::UnknownYearIsAllWork,
        Mutant::EndedStaysOpen,
        Mutant::EmergencyCallEndsLadder,
        Mutant::UnmadeReportAnswers,
    ];

    thread_local! {
        static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Whether a fault is planted in this thread.
    pub(crate) fn planted(mutant: Mutant) -> bool {
        PLANTED.get() == Some(mutant)
    }

    /// Runs `work` with a fault planted in this thread.
    pub(crate) fn with<T>(mutant: Mutant, work: impl FnOnce() -> T) -> T {
        struct Remove;
        impl Drop for Remove {
            fn drop(&mut self) {
                PLANTED.set(None);
            }
        }
        let _remove = Remove;
        PLANTED.set(Some(mutant));
        work()
    }
}
