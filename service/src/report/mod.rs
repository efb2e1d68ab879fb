//! The report of a month or a quarter, as a page and as a workbook. What it shows is in [`ReportData`], which holds nothing that
//! may not be shown: no name, and no figure about fewer than five people. Rendering decides nothing but how it looks.

mod chart;
mod html;
mod sheets;
mod words;

use linli_core::compliance::{PublishedRate, ReportPeriod, Tally};
use linli_core::id::StandardCode;
use linli_core::kind::Department;
use linli_core::request::RequestUrgency;
use linli_core::text::Label;
use linli_core::time::{DateRange, Instant, SiteZone};

pub(crate) use html::page;
pub(crate) use sheets::sheets;

/// What a report shows.
#[derive(Debug, Clone)]
pub(crate) struct ReportData {
    /// What people call the site.
    pub(crate) title: String,
    pub(crate) zone: SiteZone,
    pub(crate) period: ReportPeriod,
    /// The instant for which the figures hold.
    pub(crate) as_of: Instant,
    /// When the period was closed.
    pub(crate) closed_at: Option<Instant>,
    /// Everything that is shown: the standards and what they have together.
    pub(crate) total: Tally,
    pub(crate) standards: Vec<StandardRow>,
    /// What several standards have together, each about too few people to be shown by itself; how many they are.
    pub(crate) together: Option<(usize, Tally)>,
    /// How many standards are in no figure, because even together they are about too few people.
    pub(crate) withheld: usize,
    pub(crate) departments: Vec<(Department, Tally)>,
    pub(crate) weeks: Vec<WeekRow>,
    pub(crate) posts: Vec<PostRow>,
    /// How many posts serve too few people to be shown.
    pub(crate) posts_withheld: usize,
    /// The groups with enough people in them.
    pub(crate) groups: Vec<GroupRow>,
    pub(crate) visits: Vec<VisitsRow>,
    pub(crate) requests: RequestsPart,
    /// `None` where the period was not closed.
    pub(crate) corrections: Option<Vec<CorrectionRow>>,
}

/// One standard.
#[derive(Debug, Clone)]
pub(crate) struct StandardRow {
    pub(crate) code: StandardCode,
    pub(crate) title: Label,
    pub(crate) department: Department,
    pub(crate) tally: Tally,
}

/// One week, as far as it lies in the period.
#[derive(Debug, Clone)]
pub(crate) struct WeekRow {
    pub(crate) days: DateRange,
    /// `None`: it is about too few people.
    pub(crate) tally: Option<Tally>,
}

/// One post.
#[derive(Debug, Clone)]
pub(crate) struct PostRow {
    pub(crate) title: String,
    pub(crate) department: Department,
    /// The share that was met in time, in whole percent: of the period.
    pub(crate) percent: Option<u8>,
    /// Of each week; `None`: nothing was owed, or it is about too few people.
    pub(crate) weeks: Vec<Option<u8>>,
    /// Services that were required.
    pub(crate) required: u64,
    /// Contacts that earned credit.
    pub(crate) contacts: u64,
    /// Services that are still wanting.
    pub(crate) wanting: u64,
}

/// One care group.
#[derive(Debug, Clone)]
pub(crate) struct GroupRow {
    pub(crate) title: Label,
    /// The share that was met in time, in whole percent.
    pub(crate) percent: u8,
}

/// The visit rate of a month.
#[derive(Debug, Clone)]
pub(crate) struct VisitsRow {
    pub(crate) days: DateRange,
    /// `None`: it is about too few people.
    pub(crate) rate: Option<PublishedRate>,
}

/// What became of requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestsPart {
    /// By urgency; several together where each is about too few people.
    pub(crate) rows: Vec<RequestRow>,
    /// How long it took until they were taken up, as shares of all of them in whole percent.
    pub(crate) waits: Vec<(Wait, u8)>,
    /// Whether some are in no figure, because they are about too few people.
    pub(crate) withheld: bool,
}

/// Requests of some urgencies.
#[derive(Debug, Clone)]
pub(crate) struct RequestRow {
    pub(crate) urgencies: Vec<RequestUrgency>,
    pub(crate) submitted: u64,
    pub(crate) done: u64,
    /// Minutes until half of those that were taken up were.
    pub(crate) accept_minutes: Option<i64>,
    /// Minutes until half of those that were done were.
    pub(crate) finish_minutes: Option<i64>,
}

/// How long something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    QuarterHour,
    Hour,
    FourHours,
    Day,
    Longer,
    /// Nobody has taken it up.
    Open,
}

impl Wait {
    pub(crate) const ALL: [Self; 6] =
        [Self::QuarterHour, Self::Hour, Self::FourHours, Self::Day, Self::Longer, Self::Open];

    /// The class of a time in minutes; `None`: it goes on.
    pub(crate) fn of(minutes: Option<i64>) -> Self {
        match minutes {
            None => Self::Open,
            Some(..=15) => Self::QuarterHour,
            Some(16..=60) => Self::Hour,
            Some(61..=240) => Self::FourHours,
            Some(241..=1_440) => Self::Day,
            Some(_) => Self::Longer,
        }
    }
}

/// A standard whose figure is no longer what it was when the period was closed.
#[derive(Debug, Clone)]
pub(crate) struct CorrectionRow {
    pub(crate) code: StandardCode,
    pub(crate) title: Label,
    pub(crate) closed: Tally,
    pub(crate) current: Tally,
    /// How many records, pauses, waivers and events caused it.
    pub(crate) causes: usize,
}

/// A share in percent, rounded half up to one decimal: in answers as on pages.
pub(crate) fn tenths(part: u64, whole: u64) -> Option<f64> {
    let tenths = (part.saturating_mul(2_000).saturating_add(whole)).checked_div(whole.saturating_mul(2))?;
    u32::try_from(tenths).ok().map(|tenths| f64::from(tenths) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_to_a_tenth() {
        let check = |part, whole, expect| assert_eq!(tenths(part, whole), expect, "{part}/{whole}");
        check(0, 0, None);
        check(0, 5, Some(0.0));
        check(1, 3, Some(33.3));
        check(2, 3, Some(66.7));
        check(1, 16, Some(6.3)); // 6.25
        check(7, 7, Some(100.0));
    }

    #[test]
    fn times_fall_into_classes() {
        for (minutes, expect) in [
            (None, Wait::Open),
            (Some(0), Wait::QuarterHour),
            (Some(15), Wait::QuarterHour),
            (Some(16), Wait::Hour),
            (Some(240), Wait::FourHours),
            (Some(1_440), Wait::Day),
            (Some(1_441), Wait::Longer),
        ] {
            assert_eq!(Wait::of(minutes), expect, "{minutes:?}");
        }
    }
}
