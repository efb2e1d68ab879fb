//! Delivery of referrals: every attempt, and the lane of each body, in which one server at a time works.
//!
//! Attempts are changes like all others. A lane is no promise and nothing about a person: how long a body rests, and who works in its
//! lane until when, is written by single statements and not audited.

use linli_core::delivery::{Attempt, AttemptEnd, AttemptOutcome, Lane};
use linli_core::id::{BodyId, ReferralId, SiteId};
use linli_core::referral::{Referral, ReferralState};
use linli_core::text::Line;
use linli_core::time::Instant;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, ExprTrait as _, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};

use crate::change::{ChangeSet, Expect, Rows, Scope};
use crate::convert::{instant, instant_opt, version_column};
use crate::error::StoreError;
use crate::page::PAGE_MAX;
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Table, delivery_attempt, delivery_lane, referral};

impl ChangeSet {
    /// Stores an attempt: once when it begins, once more with its end.
    pub fn put_attempt(&mut self, attempt: Attempt) -> &mut Self {
        self.push(Change::Attempt(Box::new(attempt)))
    }

    /// Stored only while the referral is in the version that it has here.
    pub fn require_referral(&mut self, referral: &Referral) -> &mut Self {
        let (site, id) = (referral.site.clone(), referral.id.clone());
        self.push(Change::RequireReferral(site, id, referral.version))
    }
}

pub(crate) fn rows(value: &Attempt, rows: &mut Rows) {
    let end = value.end.as_ref();
    let row = delivery_attempt::Model {
        site: value.site.as_str().to_owned(),
        referral: value.referral.as_str().to_owned(),
        number: i64::from(value.number),
        version: if end.is_some() { 2 } else { 1 },
        body: value.body.as_str().to_owned(),
        began_at: value.began_at.micros(),
        ended_at: end.map(|end| end.at.micros()),
        outcome: end.map(|end| end.outcome.code().to_owned()),
        detail: end.and_then(|end| end.detail.as_ref()).map(|detail| detail.as_str().to_owned()),
    };
    rows.put_versioned(Table::DeliveryAttempt, row, "attempt");
}

pub(crate) fn require_referral(site: &SiteId, id: &ReferralId, version: u64, rows: &mut Rows) {
    let key = vec![site.as_str().into(), id.as_str().into()];
    rows.guard(Table::Referral, key, Expect::Version(version_column(version)), "referral");
}

impl Store {
    /// What a body has and was not closed, newest first: also what was taken back, for the body may answer it all the same.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_referrals(&self, body: &BodyId, limit: u64) -> Result<Vec<Referral>, StoreError> {
        let states = [ReferralState::Sent, ReferralState::Accepted, ReferralState::Revoked];
        let found = referral::Entity::find()
            .filter(referral::Column::Body.eq(body.as_str()))
            .filter(referral::Column::State.is_in(states.map(ReferralState::code)))
            .filter(referral::Column::SentAt.is_not_null())
            .order_by_desc(referral::Column::SentAt)
            .limit(limit.clamp(1, PAGE_MAX))
            .all(self.reader())
            .await?;
        found.into_iter().map(crate::referral::to_referral).collect()
    }

    /// Attempts of a referral after a number, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempts(
        &self,
        site: &SiteId,
        referral: &ReferralId,
        after: u32,
        limit: u64,
    ) -> Result<Vec<Attempt>, StoreError> {
        let found = delivery_attempt::Entity::find()
            .filter(delivery_attempt::Column::Site.eq(site.as_str()))
            .filter(delivery_attempt::Column::Referral.eq(referral.as_str()))
            .filter(delivery_attempt::Column::Number.gt(i64::from(after)))
            .order_by_asc(delivery_attempt::Column::Number)
            .limit(limit.clamp(1, PAGE_MAX))
            .all(self.reader())
            .await?;
        found.into_iter().map(to_attempt).collect()
    }

    /// The last attempt of a referral.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_attempt(
        &self,
        site: &SiteId,
        referral: &ReferralId,
    ) -> Result<Option<Attempt>, StoreError> {
        let found = delivery_attempt::Entity::find()
            .filter(delivery_attempt::Column::Site.eq(site.as_str()))
            .filter(delivery_attempt::Column::Referral.eq(referral.as_str()))
            .order_by_desc(delivery_attempt::Column::Number)
            .limit(1)
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_attempt).transpose()
    }

    /// How the lanes of these bodies stand; those of bodies that were never tried are not among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lanes(&self, bodies: &[BodyId]) -> Result<Vec<Lane>, StoreError> {
        let found = delivery_lane::Entity::find()
            .filter(delivery_lane::Column::Site.eq(Scope::System.text()))
            .filter(delivery_lane::Column::Body.is_in(crate::page::padded(bodies.iter().map(BodyId::as_str))))
            .order_by_asc(delivery_lane::Column::Body)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_lane).collect()
    }

    /// Takes a body's lane for `owner` until an instant of the system clock, or keeps it longer. `false`: somebody else has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_lane(
        &self,
        body: &BodyId,
        owner: &str,
        (now, until): (Instant, Instant),
    ) -> Result<bool, StoreError> {
        use delivery_lane::Column as C;
        let fresh = Lane::new(body.clone());
        let row = delivery_lane::ActiveModel {
            site: Set(Scope::System.text().to_owned()),
            body: Set(body.as_str().to_owned()),
            owner: Set(Some(owner.to_owned())),
            lease_until: Set(until.micros()),
            failures: Set(0),
            next_at: Set(fresh.next_at.micros()),
            reached_at: Set(None),
            trouble: Set(None),
            poll_at: Set(fresh.poll_at.micros()),
            poll_cursor: Set(fresh.poll_cursor),
        };
        let column = |column: C| Expr::col((delivery_lane::Entity, column));
        let free = Condition::any()
            .add(column(C::Owner).is_null())
            .add(column(C::Owner).eq(owner))
            .add(column(C::LeaseUntil).lte(now.micros()));
        let mut taken = OnConflict::columns([C::Site, C::Body]);
        taken.update_columns([C::Owner, C::LeaseUntil]).action_cond_where(free);
        let writer = self.first_writer()?;
        let rows =
            delivery_lane::Entity::insert(row).on_conflict(taken).exec_without_returning(writer).await?;
        Ok(rows > 0)
    }

    /// Writes down how a lane stands that `owner` has, and gives it back. `false`: somebody else took it meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn leave_lane(&self, lane: &Lane, owner: &str) -> Result<bool, StoreError> {
        use delivery_lane::Column as C;
        let written = delivery_lane::Entity::update_many()
            .col_expr(C::Owner, Expr::value(None::<String>))
            .col_expr(C::LeaseUntil, Expr::value(0_i64))
            .col_expr(C::Failures, Expr::value(i64::from(lane.failures)))
            .col_expr(C::NextAt, Expr::value(lane.next_at.micros()))
            .col_expr(C::ReachedAt, Expr::value(lane.reached_at.map(Instant::micros)))
            .col_expr(C::Trouble, Expr::value(lane.trouble.as_ref().map(|line| line.as_str().to_owned())))
            .col_expr(C::PollAt, Expr::value(lane.poll_at.micros()))
            .col_expr(C::PollCursor, Expr::value(lane.poll_cursor.clone()))
            .filter(C::Site.eq(Scope::System.text()))
            .filter(C::Body.eq(lane.body.as_str()))
            .filter(C::Owner.eq(owner))
            .exec(self.first_writer()?)
            .await?;
        Ok(written.rows_affected > 0)
    }

    /// Ends a body's rest: it is tried at once. Whoever works in the lane now rests it anew where it must.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_rest(&self, body: &BodyId, now: Instant) -> Result<(), StoreError> {
        delivery_lane::Entity::update_many()
            .col_expr(delivery_lane::Column::NextAt, Expr::value(now.micros()))
            .filter(delivery_lane::Column::Site.eq(Scope::System.text()))
            .filter(delivery_lane::Column::Body.eq(body.as_str()))
            .filter(delivery_lane::Column::NextAt.gt(now.micros()))
            .exec(self.first_writer()?)
            .await?;
        Ok(())
    }

    /// Gives back every lane, where no other server can have one: a database that one process at a time may open. Whoever had them
    /// ended without doing so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn free_lanes(&self) -> Result<(), StoreError> {
        if self.shared() {
            return Ok(());
        }
        delivery_lane::Entity::update_many()
            .col_expr(delivery_lane::Column::Owner, Expr::value(None::<String>))
            .filter(delivery_lane::Column::Site.eq(Scope::System.text()))
            .filter(delivery_lane::Column::Owner.is_not_null())
            .exec(self.first_writer()?)
            .await?;
        Ok(())
    }
}

fn to_attempt(row: delivery_attempt::Model) -> Result<Attempt, StoreError> {
    let build = || {
        let end = match (instant_opt(row.ended_at)?, &row.outcome) {
            (Some(at), Some(outcome)) => Some(AttemptEnd {
                at,
                outcome: AttemptOutcome::from_code(outcome).ok()?,
                detail: row.detail.as_deref().map(Line::new).transpose().ok()?,
            }),
            (None, None) => None,
            (Some(_) | None, Some(_) | None) => return None,
        };
        Some(Attempt {
            site: SiteId::new(&row.site).ok()?,
            referral: ReferralId::new(&row.referral).ok()?,
            number: u32::try_from(row.number).ok()?,
            body: BodyId::new(&row.body).ok()?,
            began_at: instant(row.began_at)?,
            end,
        })
    };
    build().ok_or(StoreError::Row { table: "delivery_attempt" })
}

fn to_lane(row: delivery_lane::Model) -> Result<Lane, StoreError> {
    let build = || {
        Some(Lane {
            body: BodyId::new(&row.body).ok()?,
            failures: u32::try_from(row.failures).ok()?,
            next_at: instant(row.next_at)?,
            reached_at: instant_opt(row.reached_at)?,
            trouble: row.trouble.as_deref().map(Line::new).transpose().ok()?,
            poll_at: instant(row.poll_at)?,
            poll_cursor: row.poll_cursor.clone(),
        })
    };
    build().ok_or(StoreError::Row { table: Table::DeliveryLane.meta().name })
}
