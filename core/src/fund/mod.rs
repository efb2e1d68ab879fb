//! The special fund, 专项经费: fund years, budget lines, spending and its ledger (regulation, Art. 5).
//!
//! Money is counted in fen. What a budget line holds lies in three accounts, and each [`LedgerEntry`] moves an amount from one
//! account to another:
//!
//! ```text
//! appropriation ──budgeted──▶ available ──committed──▶ committed ──paid──▶ spent
//!               ◀────cut─────           ◀──released───
//! ```
//!
//! `available`, `committed` and `spent` never fall below zero, so that *available = budget − committed − spent ≥ 0* holds at
//! every entry. Whoever approves a spending neither asked for it nor pays it out.

mod publish;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::id::{ActivityId, LineId, RequestId, ResidentId, SiteId, SpendingId, StaffId};
use crate::invalid::Invalid;
use crate::kind::closed_list;
use crate::text::Line;
use crate::time::{CivilDate, Instant};

pub use publish::{CELL_MIN_PEOPLE, Figure, FundReport, LineTakings, Published, ReportLine, publish};

/// Largest amount that can be entered: ten billion yuan, far beyond any fund and far below where sums overflow.
pub const FEN_MAX: i64 = 1_000_000_000_000;
/// Largest number of budget lines of one fund year.
pub const LINES_MAX: usize = 50;
/// Largest number of people that one spending is for.
pub const PEOPLE_MAX: u32 = 100_000;

closed_list! {
    /// The care purpose that a budget line is earmarked for.
    FundPurpose {
        /// Presents and greetings at festivals.
        Festival = "festival", "节日慰问", "festival greetings";
        /// Help in an emergency or in hardship.
        Relief = "relief", "应急与困难帮扶", "emergency and hardship relief";
        /// Safety and accessibility at home.
        HomeSafety = "home_safety", "居家安全与适老化", "home safety and adaptation";
        /// Accessible facilities of the estate.
        Accessibility = "accessibility", "无障碍设施", "accessible facilities";
        /// Activities.
        Activity = "activity", "关怀活动", "activities";
        /// Health: check-ups, first aid, aids.
        Health = "health", "健康服务与辅具", "health services and aids";
        /// Volunteers: insurance, meals, equipment.
        Volunteers = "volunteers", "志愿服务保障", "volunteers";
        /// Training and publicity.
        Training = "training", "培训与宣传", "training and publicity";
        /// Anything else that care needs.
        Other = "other", "其他关怀支出", "other care";
    }
}

closed_list! {
    /// Where money of a budget line lies.
    Account {
        /// What the company set aside: where every budget comes from.
        Appropriation = "appropriation", "拨款", "appropriation";
        /// Free to be committed.
        Available = "available", "可用额度", "available";
        /// Approved and not paid yet.
        Committed = "committed", "已批未付", "committed";
        /// Paid.
        Spent = "spent", "已支出", "spent";
    }
}

closed_list! {
    /// What an entry of the ledger does.
    Movement {
        /// A budget is set or raised.
        Budgeted = "budgeted", "下达预算", "budgeted";
        /// A budget is lowered.
        Cut = "cut", "调减预算", "cut";
        /// A spending is approved.
        Committed = "committed", "审批占用", "committed";
        /// An approved amount is not needed after all.
        Released = "released", "释放额度", "released";
        /// An approved amount is paid out.
        Paid = "paid", "支付", "paid";
    }
}

impl Movement {
    /// The account that the amount comes to.
    pub const fn debit(self) -> Account {
        match self {
            Self::Budgeted | Self::Released => Account::Available,
            Self::Cut => Account::Appropriation,
            Self::Committed => Account::Committed,
            Self::Paid => Account::Spent,
        }
    }

    /// The account that the amount comes from.
    pub const fn credit(self) -> Account {
        match self {
            Self::Budgeted => Account::Appropriation,
            Self::Cut | Self::Committed => Account::Available,
            Self::Released | Self::Paid => Account::Committed,
        }
    }
}

closed_list! {
    /// How far a spending has come.
    SpendingState {
        /// It waits for the leader.
        Requested = "requested", "待审批", "requested";
        /// The leader approved it; finance has not paid.
        Approved = "approved", "已批准", "approved";
        /// The leader refused it, or took the approval back before anything was paid.
        Rejected = "rejected", "已驳回", "rejected";
        /// Finance paid.
        Disbursed = "disbursed", "已支付", "disbursed";
    }
}

/// An amount of money in fen, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Fen(i64);

impl Fen {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount as it is entered: at least one fen, at most [`FEN_MAX`].
    ///
    /// # Errors
    /// [`Invalid::Missing`] for zero, [`Invalid::TooSmall`], [`Invalid::TooLarge`].
    pub fn new(fen: i64) -> Result<Self, Invalid> {
        match fen {
            0 => Err(Invalid::Missing),
            i64::MIN..0 => Err(Invalid::TooSmall { min: 1 }),
            1..=FEN_MAX => Ok(Self(fen)),
            _ => Err(Invalid::TooLarge { max: FEN_MAX }),
        }
    }

    /// A balance or a sum; `None` below zero.
    pub const fn balance(fen: i64) -> Option<Self> {
        if fen < 0 { None } else { Some(Self(fen)) }
    }

    /// The number of fen.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left; `None` where `other` is more.
    pub const fn minus(self, other: Self) -> Option<Self> {
        Self::balance(self.0 - other.0)
    }
}

/// A year of a fund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FundYear(i32);

impl FundYear {
    /// The first year that can be entered.
    pub const FIRST: i32 = 2000;
    /// The last one.
    pub const LAST: i32 = 2199;

    /// A year as the last part of a name: four digits.
    ///
    /// # Errors
    /// [`Invalid::Id`], and as [`FundYear::from_number`].
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse().map_err(|_| Invalid::Id)? } else { return Err(Invalid::Id) };
        Self::from_number(number)
    }

    /// A year.
    ///
    /// # Errors
    /// [`Invalid::TooSmall`] and [`Invalid::TooLarge`] outside of the years 2000 to 2199.
    pub fn from_number(year: i32) -> Result<Self, Invalid> {
        match year {
            ..Self::FIRST => Err(Invalid::TooSmall { min: i64::from(Self::FIRST) }),
            Self::FIRST..=Self::LAST => Ok(Self(year)),
            _ => Err(Invalid::TooLarge { max: i64::from(Self::LAST) }),
        }
    }

    /// The year.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for FundYear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A fund year: what a site set aside for care in one year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fund {
    /// The site.
    pub site: SiteId,
    /// The year.
    pub year: FundYear,
    /// Who opened it.
    pub opened_by: StaffId,
    /// When (care clock).
    pub opened_at: Instant,
    /// How often it was published.
    pub reports: u64,
    /// Counts changes of the budget and publications, from 1.
    pub version: u64,
}

/// Who acts, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hand {
    /// Who.
    pub by: StaffId,
    /// When (care clock).
    pub at: Instant,
}

/// One line of a fund year's budget, earmarked for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetLine {
    /// The site.
    pub site: SiteId,
    /// The year.
    pub year: FundYear,
    /// The id within the fund year.
    pub id: LineId,
    /// What people call it.
    pub title: Line,
    /// What it is earmarked for.
    pub purpose: FundPurpose,
    /// What is free to be committed.
    pub available: Fen,
    /// What was approved and not paid yet.
    pub committed: Fen,
    /// What was paid.
    pub spent: Fen,
    /// How many entries the ledger has of it.
    pub entries: u64,
    /// Counts changes, from 1.
    pub version: u64,
}

/// One entry of the ledger: an amount that moved from one account of a line to another. Never changed, never removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The site.
    pub site: SiteId,
    /// The year.
    pub year: FundYear,
    /// The budget line.
    pub line: LineId,
    /// Its number within the line, from 1, without gaps.
    pub number: u64,
    /// From which account to which.
    pub movement: Movement,
    /// How much; more than zero.
    pub amount: Fen,
    /// The spending that caused it; `None` for changes of the budget.
    pub spending: Option<SpendingId>,
    /// The resident whom a payment was for.
    pub resident: Option<ResidentId>,
    /// How many people a payment was for; 0: for nobody in particular, and for every other movement.
    pub people: u32,
    /// Why, or under which voucher.
    pub note: Option<Line>,
    /// Who booked it, and when.
    pub booked: Hand,
}

/// What a spending is for, where it is for something in particular.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A resident.
    Resident(ResidentId),
    /// An activity.
    Activity(ActivityId),
    /// A service request.
    Request(RequestId),
}

/// Something to be paid from a budget line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spending {
    /// The site.
    pub site: SiteId,
    /// The fund year.
    pub year: FundYear,
    /// The id.
    pub id: SpendingId,
    /// The budget line.
    pub line: LineId,
    /// What is to be paid, without names.
    pub title: Line,
    /// How much at most.
    pub amount: Fen,
    /// What it is for; `None`: for nobody and nothing in particular.
    pub cause: Option<Cause>,
    /// How many people it is for; 0: for nobody in particular.
    pub people: u32,
    /// Who asked for it, and when.
    pub requested: Hand,
    /// What became of it.
    pub progress: Progress,
    /// Counts changes, from 1.
    pub version: u64,
}

/// What became of a spending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Nothing yet.
    Requested,
    /// It was approved.
    Approved(Hand),
    /// It was refused.
    Rejected {
        /// By whom.
        by: Hand,
        /// Why.
        reason: Line,
    },
    /// It was paid.
    Disbursed {
        /// Who approved it.
        approved: Hand,
        /// The payment.
        payment: Payment,
    },
}

/// A payment as finance records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// How much.
    pub amount: Fen,
    /// The number of the voucher.
    pub voucher: Line,
    /// The day of the payment.
    pub paid_on: CivilDate,
    /// Who recorded it, and when.
    pub booked: Hand,
}

/// Why money does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FundConflict {
    /// The line does not hold as much.
    Overdrawn,
    /// The budget would be less than what is committed and spent.
    BelowUse,
    /// More was paid than was approved.
    OverApproved,
    /// The spending does not wait for a decision.
    NotRequested,
    /// The spending is not approved, or was paid already.
    NotApproved,
    /// Whoever approves may neither have asked nor pay.
    SameHands,
}

/// What an entry says beside line, movement and amount.
struct About<'a> {
    spending: Option<&'a Spending>,
    note: Option<&'a Line>,
    hand: &'a Hand,
}

impl BudgetLine {
    /// The budget: what is available, committed and spent.
    pub const fn budget(&self) -> Fen {
        self.available.plus(self.committed).plus(self.spent)
    }

    /// Sets the budget of a new line, or another one; no entry where it is as large already.
    ///
    /// # Errors
    /// [`FundConflict::BelowUse`].
    pub fn set_budget(
        &mut self,
        budget: Fen,
        note: Option<&Line>,
        hand: &Hand,
    ) -> Result<Option<LedgerEntry>, FundConflict> {
        let about = About { spending: None, note, hand };
        let moved = if let Some(more) = budget.minus(self.budget()) {
            if more == Fen::ZERO {
                return Ok(None);
            }
            self.post(Movement::Budgeted, more, &about)
        } else {
            let less = self.budget().minus(budget).unwrap_or_default();
            self.post(Movement::Cut, less, &about)
        };
        moved.map(Some).map_err(|_| FundConflict::BelowUse)
    }

    /// Moves an amount between two accounts of the line, where the first holds as much.
    fn post(
        &mut self,
        movement: Movement,
        amount: Fen,
        about: &About<'_>,
    ) -> Result<LedgerEntry, FundConflict> {
        if let Some(from) = self.account(movement.credit()) {
            *from = from.minus(amount).ok_or(FundConflict::Overdrawn)?;
        }
        if let Some(to) = self.account(movement.debit()) {
            *to = to.plus(amount);
        }
        self.entries = self.entries.saturating_add(1);
        let paid = about.spending.filter(|_| movement == Movement::Paid);
        let resident = paid.and_then(|spending| match &spending.cause {
            Some(Cause::Resident(id)) => Some(id.clone()),
            Some(Cause::Activity(_) | Cause::Request(_)) | None => None,
        });
        Ok(LedgerEntry {
            site: self.site.clone(),
            year: self.year,
            line: self.id.clone(),
            number: self.entries,
            movement,
            amount,
            spending: about.spending.map(|spending| spending.id.clone()),
            resident,
            people: paid.map_or(0, |spending| spending.people),
            note: about.note.cloned(),
            booked: about.hand.clone(),
        })
    }

    /// The balance of an account; `None` for the appropriation, which is no account of a line.
    fn account(&mut self, account: Account) -> Option<&mut Fen> {
        match account {
            Account::Appropriation => None,
            Account::Available => Some(&mut self.available),
            Account::Committed => Some(&mut self.committed),
            Account::Spent => Some(&mut self.spent),
        }
    }
}

impl Spending {
    /// How far it has come.
    pub const fn state(&self) -> SpendingState {
        match self.progress {
            Progress::Requested => SpendingState::Requested,
            Progress::Approved(_) => SpendingState::Approved,
            Progress::Rejected { .. } => SpendingState::Rejected,
            Progress::Disbursed { .. } => SpendingState::Disbursed,
        }
    }

    /// Approves it and commits its amount.
    ///
    /// # Errors
    /// [`FundConflict::NotRequested`], [`FundConflict::SameHands`], [`FundConflict::Overdrawn`].
    pub fn approve(&mut self, line: &mut BudgetLine, hand: Hand) -> Result<LedgerEntry, FundConflict> {
        if self.progress != Progress::Requested {
            return Err(FundConflict::NotRequested);
        }
        if self.requested.by == hand.by {
            return Err(FundConflict::SameHands);
        }
        let about = About { spending: Some(self), note: None, hand: &hand };
        let entry = line.post(Movement::Committed, self.amount, &about)?;
        self.progress = Progress::Approved(hand);
        Ok(entry)
    }

    /// Refuses it, or takes an approval back: what was committed is available again.
    ///
    /// # Errors
    /// [`FundConflict::NotRequested`] for one that was refused or paid already.
    pub fn reject(
        &mut self,
        line: &mut BudgetLine,
        reason: Line,
        hand: Hand,
    ) -> Result<Option<LedgerEntry>, FundConflict> {
        let entry = match &self.progress {
            Progress::Requested => None,
            Progress::Approved(_) => {
                let about = About { spending: Some(self), note: Some(&reason), hand: &hand };
                Some(line.post(Movement::Released, self.amount, &about)?)
            }
            Progress::Rejected { .. } | Progress::Disbursed { .. } => return Err(FundConflict::NotRequested),
        };
        self.progress = Progress::Rejected { by: hand, reason };
        Ok(entry)
    }

    /// Records the payment, which ends it: what it cost less than was approved is available again.
    ///
    /// # Errors
    /// [`FundConflict::NotApproved`], [`FundConflict::SameHands`], [`FundConflict::OverApproved`].
    pub fn disburse(
        &mut self,
        line: &mut BudgetLine,
        payment: Payment,
    ) -> Result<Vec<LedgerEntry>, FundConflict> {
        let Progress::Approved(approved) = &self.progress else { return Err(FundConflict::NotApproved) };
        if approved.by == payment.booked.by {
            return Err(FundConflict::SameHands);
        }
        let rest = self.amount.minus(payment.amount).ok_or(FundConflict::OverApproved)?;
        let about = About { spending: Some(self), note: Some(&payment.voucher), hand: &payment.booked };
        let mut entries = vec![line.post(Movement::Paid, payment.amount, &about)?];
        if rest > Fen::ZERO {
            entries.push(line.post(Movement::Released, rest, &about)?);
        }
        self.progress = Progress::Disbursed { approved: approved.clone(), payment };
        Ok(entries)
    }
}
