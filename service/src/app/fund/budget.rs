//! The budget of a fund year: opened with it, and amended.

use linli_core::fund::{BudgetLine, Fen, Fund, FundPurpose, FundYear, Hand, LINES_MAX};
use linli_core::id::LineId;
use linli_core::invalid::Invalid;
use linli_core::text::Line;
use linli_store::ChangeSet;

use super::{FundView, hand};
use crate::app::contest::{contended, won};
use crate::app::site::{invalid, next_version};
use crate::app::work::Touches;
use crate::app::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, Violation};
use crate::name::{self, InSite};

/// A budget line to be opened, or another budget for one that is there.
#[derive(Debug, Clone)]
pub struct NewLine {
    /// The id.
    pub id: LineId,
    /// What people call it: for a new line only.
    pub title: Option<Line>,
    /// What it is earmarked for: for a new line only.
    pub purpose: Option<FundPurpose>,
    /// The budget.
    pub budget: Fen,
}

impl App {
    /// Opens a fund year with its budget.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Invalid`], [`Error::Denied`].
    pub async fn open_fund_year(
        &self,
        call: &Call,
        repeat: Repeat<FundView>,
        at: InSite<FundYear>,
        new: Vec<NewLine>,
    ) -> Result<Answer<FundView>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let next_year = work.today().year() + 1;
        if at.id.number() > next_year {
            return Err(invalid("year", Invalid::TooLarge { max: i64::from(next_year) }));
        }
        let hand = hand(&work);
        let fund = Fund {
            site: at.site.clone(),
            year: at.id,
            opened_by: hand.by.clone(),
            opened_at: hand.at,
            reports: 0,
            version: 1,
        };
        let resource = name::fund(&at.site, &at.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_fund(fund.clone()).event("fund.opened", resource);
        let lines = set_budgets(&fund, Vec::new(), new, None, &hand, &mut changes)?;
        work.commit("fund.open", changes, &repeat, FundView { fund, lines }).await
    }

    /// Changes budgets, and opens further lines. No budget falls below what its line has committed and spent.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::Invalid`], [`Error::Denied`].
    pub async fn amend_budget(
        &self,
        call: &Call,
        repeat: Repeat<FundView>,
        at: InSite<FundYear>,
        version: Option<u64>,
        new: Vec<NewLine>,
        reason: Line,
    ) -> Result<Answer<FundView>> {
        contended(|| self.try_amend(call, &repeat, &at, version, &new, &reason)).await
    }

    async fn try_amend(
        &self,
        call: &Call,
        repeat: &Repeat<FundView>,
        at: &InSite<FundYear>,
        version: Option<u64>,
        new: &[NewLine],
        reason: &Line,
    ) -> Result<Option<Answer<FundView>>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(answer) = work.repeated(repeat).await? {
            return Ok(Some(Answer::Repeated(answer)));
        }
        let mut fund = self.load_fund(at).await?;
        fund.version = next_version(fund.version, version)?;
        let lines = self.store.budget_lines(&at.site, at.id).await?;
        let resource = name::fund(&at.site, &at.id);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.put_fund(fund.clone()).event("fund.amended", resource);
        let lines = set_budgets(&fund, lines, new.to_vec(), Some(reason), &hand(&work), &mut changes)?;
        won(work.commit("fund.amend", changes, repeat, FundView { fund, lines }).await)
    }
}

/// Sets the budget of each line; those that are not there are opened. Returns all lines, by id.
fn set_budgets(
    fund: &Fund,
    mut lines: Vec<BudgetLine>,
    new: Vec<NewLine>,
    reason: Option<&Line>,
    hand: &Hand,
    changes: &mut ChangeSet,
) -> Result<Vec<BudgetLine>> {
    let mut violations = Vec::new();
    let mut refuse = |place: usize, field: &str, why: Invalid| {
        violations.push(Violation { field: format!("lines[{place}].{field}"), why });
    };
    for (place, new) in new.into_iter().enumerate() {
        let line = match lines.iter_mut().find(|line| line.id == new.id) {
            Some(line) => {
                // What a line is for stays: what was paid from it was paid for that.
                if new.title.is_some_and(|title| title != line.title) {
                    refuse(place, "display_name", Invalid::NotAllowed);
                }
                if new.purpose.is_some_and(|purpose| purpose != line.purpose) {
                    refuse(place, "purpose", Invalid::NotAllowed);
                }
                line.version = next_version(line.version, None)?;
                line
            }
            None => {
                let (Some(title), Some(purpose)) = (&new.title, new.purpose) else {
                    if new.title.is_none() {
                        refuse(place, "display_name", Invalid::Missing);
                    }
                    if new.purpose.is_none() {
                        refuse(place, "purpose", Invalid::Missing);
                    }
                    continue;
                };
                lines.push(BudgetLine {
                    site: fund.site.clone(),
                    year: fund.year,
                    id: new.id,
                    title: title.clone(),
                    purpose,
                    available: Fen::ZERO,
                    committed: Fen::ZERO,
                    spent: Fen::ZERO,
                    entries: 0,
                    version: 1,
                });
                let Some(line) = lines.last_mut() else { continue };
                line
            }
        };
        match line.set_budget(new.budget, reason, hand) {
            Ok(Some(entry)) => {
                changes.put_budget_line(line.clone()).add_ledger_entry(entry);
            }
            Ok(None) => line.version = line.version.saturating_sub(1),
            Err(_) => {
                let min = line.committed.plus(line.spent).get();
                refuse(place, "budget_fen", Invalid::TooSmall { min });
            }
        }
    }
    if lines.len() > LINES_MAX {
        violations.push(Violation { field: "lines".into(), why: Invalid::TooMany { max: LINES_MAX } });
    }
    if !violations.is_empty() {
        return Err(Error::Invalid(violations));
    }
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(lines)
}
