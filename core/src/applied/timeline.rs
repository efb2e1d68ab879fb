//! The versions of a standard in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::calendar::calendar_window;
use crate::id::{SiteId, StandardCode};
use crate::standard::{Duty, Origin, Period, Standard};
use crate::time::{CivilDate, DateRange};

/// The versions of one standard over time, as one site sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    spans: Vec<VersionSpan>,
}

/// A version in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSpan {
    /// The days on which it is in force: a version that keeps the window of its predecessor begins with a window.
    pub days: DateRange,
    /// The days within which its windows lie: cut where the window of the standard changes.
    pub clip: DateRange,
    /// The version.
    pub standard: Arc<Standard>,
}

impl Timeline {
    /// One timeline per code, in order of code, from the standards that concern `site`: its own overrides hold before
    /// the declared versions, later versions before earlier ones. Order of input is irrelevant.
    pub fn of_site(standards: &[Arc<Standard>], site: &SiteId) -> Vec<Self> {
        let mut by_code: BTreeMap<&StandardCode, Vec<&Arc<Standard>>> = BTreeMap::new();
        for standard in standards {
            if standard.applies_to.site.as_ref().is_none_or(|only| only == site) {
                by_code.entry(&standard.code).or_default().push(standard);
            }
        }
        by_code.into_values().map(|versions| Self::new(&versions)).collect()
    }

    /// The timeline of the versions of one code.
    fn new(versions: &[&Arc<Standard>]) -> Self {
        let mut cuts: Vec<CivilDate> =
            versions.iter().flat_map(|v| [v.effective.start(), v.effective.end()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut spans: Vec<VersionSpan> = Vec::new();
        for (start, end) in cuts.iter().zip(cuts.iter().skip(1)) {
            let holds = versions
                .iter()
                .filter(|v| v.effective.contains(*start))
                .max_by_key(|v| (v.origin == Origin::SiteOverride, v.version));
            let Some(standard) = holds else { continue };
            match spans.last_mut().filter(|last| last.days.end() == *start) {
                Some(last) if Arc::ptr_eq(&last.standard, standard) => {
                    last.days = DateRange::new(last.days.start(), *end);
                }
                Some(_) | None => spans.push(VersionSpan {
                    days: DateRange::new(*start, *end),
                    clip: DateRange::new(CivilDate::MIN, CivilDate::MAX),
                    standard: Arc::clone(standard),
                }),
            }
        }
        Self { spans: clip_changed_windows(begin_with_windows(spans)) }
    }

    /// The versions in force, in order of time, without overlap.
    pub fn spans(&self) -> &[VersionSpan] {
        &self.spans
    }

    /// The version in force on a day.
    pub fn on(&self, day: CivilDate) -> Option<&Arc<Standard>> {
        self.spans.iter().find(|span| span.days.contains(day)).map(|span| &span.standard)
    }

    /// The standard's code; `None` where no version is ever in force.
    pub fn code(&self) -> Option<&StandardCode> {
        self.spans.first().map(|span| &span.standard.code)
    }

    /// The first day on which a version counts: what an answer to "from when?" says. `None` where a later version
    /// holds before it ever begins. Windows of `EveryDays` begin later for subjects that are inside one.
    pub fn takes_effect(&self, version: u32) -> Option<CivilDate> {
        self.spans.iter().find(|span| span.standard.version == version).map(|span| span.days.start())
    }
}

/// A version that keeps its predecessor's calendar window takes effect at the next start of a window.
fn begin_with_windows(raw: Vec<VersionSpan>) -> Vec<VersionSpan> {
    let mut spans: Vec<VersionSpan> = Vec::with_capacity(raw.len());
    for mut span in raw {
        if let Some(last) = spans.last_mut().filter(|last| last.days.end() >= span.days.start()) {
            let change = span.days.start().max(last.days.start());
            let period =
                period_of(&span.standard).filter(|period| Some(*period) == period_of(&last.standard));
            let from = match period.and_then(|period| calendar_window(period, change)) {
                Some(window) if window.start() < change => window.end(),
                Some(_) | None => change,
            };
            last.days = DateRange::new(last.days.start(), from.min(span.days.end()));
            if span.days.end() <= from {
                // Replaced before its first window: its predecessor holds on, the next version decides how long.
                continue;
            }
            span.days = DateRange::new(from, span.days.end());
        }
        spans.push(span);
    }
    spans.retain(|span| !span.days.is_empty());
    spans
}

/// Where the window changes from one version to the next, the windows of both end and begin at the change, so that
/// they tile the time line.
fn clip_changed_windows(mut spans: Vec<VersionSpan>) -> Vec<VersionSpan> {
    let mut from = CivilDate::MIN;
    let mut last: Option<Option<Period>> = None;
    for span in &mut spans {
        let period = period_of(&span.standard);
        if last.is_some_and(|last| last != period) {
            from = span.days.start();
        }
        span.clip = DateRange::from(from);
        last = Some(period);
    }
    let mut to = CivilDate::MAX;
    let mut next: Option<(CivilDate, Option<Period>)> = None;
    for span in spans.iter_mut().rev() {
        let period = period_of(&span.standard);
        if let Some((start, _)) = next.filter(|(_, next)| *next != period) {
            to = start;
        }
        span.clip = DateRange::new(span.clip.start(), to);
        next = Some((span.days.start(), period));
    }
    spans
}

fn period_of(standard: &Standard) -> Option<Period> {
    match standard.duty {
        Duty::Recurring { per, .. } => Some(per),
        Duty::Triggered { .. } | Duty::Seasonal { .. } => None,
    }
}
