//! Personal values in clear: class by class, for a purpose, where the policies allow it, audited, and not without end.
//!
//! Every answer that shows a value in clear comes through `App::may_reveal`: a fuller view of a file or a record as well as
//! `RevealResident`. Whoever may call an RPC may not therefore see every class: the policies are asked about each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use linli_core::id::{ResidentId, SiteId, StaffId};
use linli_core::resident::FieldClass;
use linli_core::time::Instant;
use linli_store::FieldClasses;

use super::App;
use super::resident::{FileView, Shown, View};
use super::work::{Touches, Work};
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name;

/// Most times that one person sees values in clear within [`REVEALS_WINDOW`]: a full day's visits of a steward, each looked at
/// several times, in one hour. Who copies an estate meets it after the first staircase.
pub const REVEALS_MAX: usize = 120;

/// The time over which [`REVEALS_MAX`] counts, by the machine's clock.
pub const REVEALS_WINDOW: Duration = Duration::from_hours(1);

/// Most exports that one person begins within [`REVEALS_WINDOW`]: one for each list that an office keeps. Each is a whole
/// site, so that more than these is copying.
pub const EXPORTS_MAX: usize = 6;

/// Who saw values in clear lately.
pub type Reveals = Lately<REVEALS_MAX>;
/// Who exported files lately.
pub type Exports = Lately<EXPORTS_MAX>;

/// Who did something at most `MAX` times within [`REVEALS_WINDOW`], in this process: a restart forgets it, and every replica
/// counts for itself.
#[derive(Debug, Default)]
pub struct Lately<const MAX: usize>(Mutex<HashMap<StaffId, VecDeque<Instant>>>);

impl<const MAX: usize> Lately<MAX> {
    /// Counts one more.
    ///
    /// # Errors
    /// [`Error::RevealLimit`] with the time until the next is free.
    pub(super) fn count(&self, who: &StaffId, now: Instant) -> Result<()> {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = i64::try_from(REVEALS_WINDOW.as_micros()).unwrap_or(i64::MAX);
        let since = |seen: &Instant| now.micros().saturating_sub(seen.micros());
        let seen = lately.entry(who.clone()).or_default();
        while seen.front().is_some_and(|first| since(first) >= window) {
            seen.pop_front();
        }
        match seen.front() {
            Some(first) if seen.len() >= MAX => {
                let wait = window.saturating_sub(since(first));
                Err(Error::RevealLimit(Duration::from_micros(wait.unsigned_abs())))
            }
            Some(_) | None => {
                seen.push_back(now);
                Ok(())
            }
        }
    }
}

impl App {
    /// The asked classes of one file, in clear.
    ///
    /// # Errors
    /// [`Error::PurposeRequired`]; [`Error::Denied`] where one class is not the caller's; [`Error::RevealLimit`];
    /// [`Error::NotFound`].
    pub async fn reveal_resident(
        &self,
        call: &Call,
        site: &SiteId,
        id: &ResidentId,
        classes: &[FieldClass],
    ) -> Result<FileView> {
        let work = self.begin_file(call, site, id).await?;
        let touches = Touches::files(name::resident(site, id), vec![id.as_str().to_owned()], classes);
        self.may_reveal(&work, &touches).await?;
        let classes = FieldClasses::of(classes);
        self.show(&work, (site, id), Shown { view: View::Masked, opened: classes, clear: classes }, &touches)
            .await
    }

    /// Whether the caller may see the classes of `touches` in clear, now. What the policies refuse is audited.
    ///
    /// # Errors
    /// [`Error::PurposeRequired`], [`Error::Denied`], [`Error::RevealLimit`].
    pub(super) async fn may_reveal(&self, work: &Work<'_>, touches: &Touches<'_>) -> Result<()> {
        work.reveal(touches).await?;
        work.reveal_children(touches).await?;
        self.reveals.count(&work.permit().principal().staff, self.system_clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_person_has_a_limit_of_their_own_that_time_frees() {
        let reveals = Reveals::default();
        let (wang, lin) = (StaffId::new("wang").unwrap(), StaffId::new("lin").unwrap());
        let second = |n: i64| Instant::from_micros(1_700_000_000_000_000 + n * 1_000_000).unwrap();
        for at in 0..i64::try_from(REVEALS_MAX).unwrap() {
            reveals.count(&wang, second(at)).unwrap();
        }
        let wait = |answer: Result<()>| match answer {
            Err(Error::RevealLimit(wait)) => Some(wait.as_secs()),
            Ok(()) | Err(_) => None,
        };
        assert_eq!(wait(reveals.count(&wang, second(130))), Some(3600 - 130));
        assert_eq!(wait(reveals.count(&wang, second(3599))), Some(1), "a refusal costs nothing");
        reveals.count(&lin, second(130)).unwrap();
        reveals.count(&wang, second(3600)).unwrap();
        assert_eq!(wait(reveals.count(&wang, second(3600))), Some(1));
    }
}
