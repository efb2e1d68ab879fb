//! The special fund: budget, spending, ledger, publication.
//!
//! Whoever moves the money of a line guards on the line as they read it. Who loses against somebody else on the same line
//! decides again on what is left, up to a number of times: two approvals at the same time never take the same money, and
//! neither is refused while there is enough for both.
//!
//! Nothing here is personal: reads need a permit but leave no audit entry of their own.

mod budget;
mod report;

use futures_util::FutureExt;
use linli_core::activity::ActivityState;
use linli_core::fund::{
    BudgetLine, Cause, Fen, Fund, FundConflict, FundPurpose, FundYear, Hand, LedgerEntry, Payment, Progress,
    Spending, SpendingState,
};
use linli_core::id::{LineId, ResidentId, SpendingId};
use linli_core::invalid::Invalid;
use linli_core::text::Line;
use linli_core::time::CivilDate;
use linli_store::Sites;

pub use self::budget::NewLine;
use super::contest::{contended, won};
use super::record::exists;
use super::site::{filtered, fresh, invalid, next_version};
use super::work::{Touches, Work};
use super::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, StateConflict, Thing, Violation};
use crate::name::{self, InFund, InSite};

/// A fund year as answers show it.
#[derive(Debug, Clone)]
pub struct FundView {
    /// The fund year.
    pub fund: Fund,
    /// Its budget lines, by id.
    pub lines: Vec<BudgetLine>,
}

/// A spending to be asked for.
#[derive(Debug, Clone)]
pub struct NewSpending {
    /// The budget line.
    pub line: LineId,
    /// What is to be paid.
    pub title: Line,
    /// How much at most.
    pub amount: Fen,
    /// What it is for.
    pub cause: Option<Cause>,
    /// How many people it is for.
    pub people: u32,
}

/// A payment to be recorded.
#[derive(Debug, Clone)]
pub struct NewPayment {
    /// How much; `None`: what was approved.
    pub amount: Option<Fen>,
    /// The number of the voucher.
    pub voucher: Line,
    /// The day of the payment; `None`: today.
    pub paid_on: Option<CivilDate>,
}

/// A spending as answers show it.
#[derive(Debug, Clone)]
pub struct SpendingView {
    /// The spending.
    pub spending: Spending,
    /// What its line is earmarked for.
    pub purpose: FundPurpose,
}

/// Which spendings a list holds; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct SpendingFilter {
    /// In this state.
    pub state: Option<SpendingState>,
    /// Of this budget line.
    pub line: Option<LineId>,
}

/// A spending that was read before, to be moved on.
#[derive(Debug, Clone)]
pub struct SpendingTarget {
    /// Which one.
    pub at: InFund<SpendingId>,
    /// The version that the caller read; `None`: whatever it is now.
    pub version: Option<u64>,
}

impl App {
    /// A fund year with its budget lines.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn fund(&self, call: &Call, at: &InSite<FundYear>) -> Result<FundView> {
        self.begin(call, Some(&at.site)).await?;
        let fund = self.load_fund(at).await?;
        Ok(FundView { fund, lines: self.store.budget_lines(&at.site, at.id).await? })
    }

    /// Asks for money of a line. Nothing is committed before the leader approves it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the fund year, [`Error::Invalid`], [`Error::Denied`].
    pub async fn request_spending(
        &self,
        call: &Call,
        repeat: Repeat<SpendingView>,
        at: InSite<FundYear>,
        new: NewSpending,
    ) -> Result<Answer<SpendingView>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        self.load_fund(&at).await?;
        let line = self.store.budget_line(&at.site, at.id, &new.line).await?;
        let resident = resident_of(new.cause.as_ref());
        let mut violations = Vec::new();
        if line.is_none() {
            violations.push(Violation { field: "spending.line".into(), why: Invalid::Unknown });
        }
        if let Some(resident) = resident {
            let head = self.store.resident_heads(&at.site, std::slice::from_ref(resident)).await?.pop();
            if work.hides(resident) || !head.as_ref().is_some_and(exists) {
                violations.push(Violation { field: "spending.about".into(), why: Invalid::Unknown });
            }
        }
        if let Some(Cause::Activity(id)) = &new.cause {
            let activity = self.store.activity(&at.site, id).await?;
            match activity.map(|activity| activity.state()) {
                Some(ActivityState::Planned | ActivityState::Held) => {}
                Some(ActivityState::Cancelled) => {
                    violations.push(Violation { field: "spending.about".into(), why: Invalid::NotAllowed });
                }
                None => {
                    violations.push(Violation { field: "spending.about".into(), why: Invalid::Unknown });
                }
            }
        }
        let (Some(line), true) = (line, violations.is_empty()) else {
            return Err(Error::Invalid(violations));
        };
        let spending = Spending {
            id: fresh(SpendingId::new(&work.new_id()))?,
            line: new.line,
            title: new.title,
            amount: new.amount,
            cause: new.cause,
            people: new.people,
            requested: hand(&work),
            progress: Progress::Requested,
            version: 1,
            site: at.site,
            year: at.id,
        };
        let mut changes = work.changes(&touches(&spending));
        if let Some(resident) = resident_of(spending.cause.as_ref()) {
            changes.require_resident(&spending.site, resident, None);
        }
        if let Some(Cause::Activity(id)) = &spending.cause {
            changes.require_activity(&spending.site, id);
        }
        changes.put_spending(spending.clone()).event("spending.requested", name_of(&spending));
        let view = SpendingView { spending, purpose: line.purpose };
        work.commit("spending.request", changes, &repeat, view).await
    }

    /// Approves a spending and commits its amount.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::State`] where the line does not hold as much, where it does not wait
    /// for approval, and for who asked for it; [`Error::Denied`].
    pub async fn approve_spending(
        &self,
        call: &Call,
        repeat: Repeat<SpendingView>,
        target: SpendingTarget,
    ) -> Result<Answer<SpendingView>> {
        contended(|| {
            self.try_move(call, &repeat, &target, "spending.approve", |work, spending, line| {
                let entry = spending.approve(line, hand(work)).map_err(refusal)?;
                Ok(Moved { event: "spending.approved", entries: vec![entry] })
            })
        })
        .await
    }

    /// Refuses a spending, or takes an approval back before anything was paid.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::State`], [`Error::Denied`].
    pub async fn reject_spending(
        &self,
        call: &Call,
        repeat: Repeat<SpendingView>,
        target: SpendingTarget,
        reason: Line,
    ) -> Result<Answer<SpendingView>> {
        contended(|| {
            self.try_move(call, &repeat, &target, "spending.reject", |work, spending, line| {
                let entry = spending.reject(line, reason.clone(), hand(work)).map_err(refusal)?;
                Ok(Moved { event: "spending.rejected", entries: entry.into_iter().collect() })
            })
        })
        .await
    }

    /// Records the payment of an approved spending.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::Invalid`] for more than was approved and for a day before the
    /// approval or in the future, [`Error::State`] where it is not approved and for who approved it; [`Error::Denied`].
    pub async fn record_disbursement(
        &self,
        call: &Call,
        repeat: Repeat<SpendingView>,
        target: SpendingTarget,
        new: NewPayment,
    ) -> Result<Answer<SpendingView>> {
        contended(|| {
            self.try_move(call, &repeat, &target, "spending.disburse", |work, spending, line| {
                let payment = payment(work, spending, &new)?;
                let entries = spending.disburse(line, payment).map_err(refusal)?;
                Ok(Moved { event: "spending.disbursed", entries })
            })
        })
        .await
    }

    /// Moves a spending on, and the money of its line with it; `None` where somebody else moved either meanwhile.
    async fn try_move(
        &self,
        call: &Call,
        repeat: &Repeat<SpendingView>,
        target: &SpendingTarget,
        action: &'static str,
        act: impl FnOnce(&Work<'_>, &mut Spending, &mut BudgetLine) -> Result<Moved> + Send,
    ) -> Result<Option<Answer<SpendingView>>> {
        let InFund { site, year, id } = &target.at;
        let work = self.begin(call, Some(site)).await?;
        if let Some(answer) = work.repeated(repeat).await? {
            return Ok(Some(Answer::Repeated(answer)));
        }
        let found = self.store.spending(site, *year, id).await?;
        let mut spending = found.ok_or(Error::NotFound(Thing::Spending))?;
        let line = self.store.budget_line(site, *year, &spending.line).await?;
        let mut line = line.ok_or_else(|| Error::Internal("a spending without its budget line".into()))?;
        spending.version = next_version(spending.version, target.version)?;
        let Moved { event, entries } = act(&work, &mut spending, &mut line)?;
        let mut changes = work.changes(&touches(&spending));
        changes.put_spending(spending.clone()).event(event, name_of(&spending));
        let purpose = line.purpose;
        if !entries.is_empty() {
            line.version = next_version(line.version, None)?;
            changes.put_budget_line(line);
        }
        for entry in entries {
            changes.add_ledger_entry(entry);
        }
        let view = shown(&work, spending, purpose);
        won(work.commit(action, changes, repeat, view).await)
    }

    /// One spending.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn spending(&self, call: &Call, at: &InFund<SpendingId>) -> Result<SpendingView> {
        let work = self.begin(call, Some(&at.site)).await?;
        let found = self.store.spending(&at.site, at.year, &at.id).await?;
        let spending = found.ok_or(Error::NotFound(Thing::Spending))?;
        let line = self.store.budget_line(&at.site, at.year, &spending.line).await?;
        let line = line.ok_or_else(|| Error::Internal("a spending without its budget line".into()))?;
        Ok(shown(&work, spending, line.purpose))
    }

    /// The spendings of a fund year, in the order in which they were asked for.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn spendings(
        &self,
        call: &Call,
        at: &InSite<FundYear>,
        filter: &SpendingFilter,
        page: PageRequest,
    ) -> Result<Page<SpendingView>> {
        let work = self.begin(call, Some(&at.site)).await?;
        self.load_fund(at).await?;
        let fits = |spending: &Spending| {
            filter.state.is_none_or(|state| spending.state() == state)
                && filter.line.as_ref().is_none_or(|line| spending.line == *line)
        };
        let id = |spending: &Spending| (spending.site.clone(), spending.id.as_str().to_owned());
        let found = filtered(Sites::from(&at.site), &page, fits, id, |_, next| {
            async move {
                let after = next.after.as_ref().map(|after| after.id.as_str());
                Ok(self.store.spendings(&at.site, at.id, after, next.limit).await?)
            }
            .boxed()
        })
        .await?;
        // After the spendings: a line that one of them names is there.
        let lines = self.store.budget_lines(&at.site, at.id).await?;
        let view = |spending: Spending| -> Result<SpendingView> {
            let line = lines.iter().find(|line| line.id == spending.line);
            let line = line.ok_or_else(|| Error::Internal("a spending without its budget line".into()))?;
            Ok(shown(&work, spending, line.purpose))
        };
        let items = found.items.into_iter().map(view).collect::<Result<_>>()?;
        Ok(Page { items, next: found.next })
    }

    /// The ledger of a fund year, by line and number.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn ledger(
        &self,
        call: &Call,
        at: &InSite<FundYear>,
        line: Option<&LineId>,
        page: PageRequest,
    ) -> Result<Page<LedgerEntry>> {
        self.begin(call, Some(&at.site)).await?;
        self.load_fund(at).await?;
        let place = |cursor: &str| -> Result<(LineId, u64)> {
            let (line, number) = cursor.split_once('/').ok_or(Error::PageToken)?;
            let line = LineId::new(line).map_err(|_| Error::PageToken)?;
            Ok((line, number.parse().map_err(|_| Error::PageToken)?))
        };
        let after = page.after.as_deref().map(place).transpose()?;
        let after = after.as_ref().map(|(line, number)| (line, *number));
        let limit = u64::from(page.size) + 1;
        let found = self.store.ledger_entries(&at.site, at.id, line, after, limit).await?;
        Ok(Page::cut(found, page.size, |entry| format!("{}/{}", entry.line, entry.number)))
    }

    async fn load_fund(&self, at: &InSite<FundYear>) -> Result<Fund> {
        self.store.fund(&at.site, at.id).await?.ok_or(Error::NotFound(Thing::Fund))
    }
}

/// What moving a spending on comes to.
struct Moved {
    event: &'static str,
    entries: Vec<LedgerEntry>,
}

/// Who calls, and when.
fn hand(work: &Work<'_>) -> Hand {
    Hand { by: work.permit().principal().staff.clone(), at: work.now }
}

/// The payment as it is booked.
fn payment(work: &Work<'_>, spending: &Spending, new: &NewPayment) -> Result<Payment> {
    let today = work.today();
    let paid_on = new.paid_on.unwrap_or(today);
    if paid_on > today {
        return Err(invalid("pay_date", Invalid::Future));
    }
    if let Progress::Approved(approved) = &spending.progress
        && paid_on < work.zone().date_of(approved.at)
    {
        return Err(invalid("pay_date", Invalid::EndsBeforeStart));
    }
    let amount = new.amount.unwrap_or(spending.amount);
    if amount > spending.amount {
        return Err(invalid("amount_fen", Invalid::TooLarge { max: spending.amount.get() }));
    }
    Ok(Payment { amount, voucher: new.voucher.clone(), paid_on, booked: hand(work) })
}

fn refusal(conflict: FundConflict) -> Error {
    match conflict {
        FundConflict::Overdrawn => Error::State(StateConflict::LineOverdrawn),
        FundConflict::NotRequested => Error::State(StateConflict::SpendingDecided),
        FundConflict::NotApproved => Error::State(StateConflict::SpendingNotApproved),
        FundConflict::SameHands => Error::State(StateConflict::SameHands),
        // Both are found by their fields before.
        FundConflict::BelowUse | FundConflict::OverApproved => {
            Error::Internal(format!("{conflict:?} was not found by its field"))
        }
    }
}

/// A spending as the caller may know of it: for whom it is says nothing of whom they may not know of.
fn shown(work: &Work<'_>, mut spending: Spending, purpose: FundPurpose) -> SpendingView {
    if resident_of(spending.cause.as_ref()).is_some_and(|resident| work.hides(resident)) {
        spending.cause = None;
    }
    SpendingView { spending, purpose }
}

fn resident_of(cause: Option<&Cause>) -> Option<&ResidentId> {
    match cause {
        Some(Cause::Resident(id)) => Some(id),
        Some(Cause::Activity(_) | Cause::Request(_)) | None => None,
    }
}

fn name_of(spending: &Spending) -> String {
    name::spending(&spending.site, spending.year, &spending.id)
}

fn touches<'a>(spending: &Spending) -> Touches<'a> {
    let resident = resident_of(spending.cause.as_ref()).map(|id| id.as_str().to_owned());
    Touches::files(name_of(spending), resident.into_iter().collect(), &[])
}
