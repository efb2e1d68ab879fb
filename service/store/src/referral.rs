//! Referrals: where they stand clear, because delivery and clocks rest on it; what is said with them sealed, in a table of its
//! own, a cell for each value and each text.

use std::marker::PhantomData;

use linli_core::consent::{Basis, BodyKind, DisclosurePurpose};
use linli_core::id::{BodyId, DisclosureId, EventId, ReferralId, ResidentId, SiteId, StaffId};
use linli_core::referral::{
    BodyAnswer, Decision, Referral, ReferralMatter, ReferralPart, ReferralReview, ReferralState,
    ReferralWords,
};
use linli_core::request::RequestUrgency;
use linli_core::text::{Line, Paragraph};
use linli_core::time::Instant;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Rows, Scope};
use crate::community_body::{fields, words};
use crate::convert::{instant, instant_opt, version, version_column};
use crate::error::{SealError, StoreError};
use crate::form::sealed::Encode;
use crate::page::{PAGE_MAX, Page, Sites, keyset, padded};
use crate::resource::Change;
use crate::seal::{Holder, Sealed, Sealer};
use crate::store::Store;
use crate::table::{Table, community_body, referral, referral_words};

/// Which referrals are read; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct ReferralFilter {
    /// In one of these states; empty: any.
    pub states: Vec<ReferralState>,
    /// To this body.
    pub body: Option<BodyId>,
    /// About one of these residents; `None`: about anybody.
    pub residents: Option<Vec<ResidentId>>,
    /// Only those that wait for a deputy's review.
    pub awaiting_review: bool,
}

impl ChangeSet {
    /// Stores a referral without its words: version 1 is new, a higher one follows the one before it.
    pub fn put_referral(&mut self, referral: Referral) -> &mut Self {
        self.push(Change::Referral(Box::new(referral)))
    }

    /// Adds words of a referral, or replaces those of the same part.
    pub fn put_referral_words(&mut self, words: ReferralWords) -> &mut Self {
        self.push(Change::ReferralWords(Box::new(words)))
    }
}

const WORDS: &str = "referral_words";

pub(crate) fn rows(value: &Referral, rows: &mut Rows) {
    let (answer, review) = (value.answer.as_ref(), value.review.as_ref());
    let row = referral::Model {
        site: value.site.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        resident: value.resident.as_str().to_owned(),
        body: value.body.as_str().to_owned(),
        body_kind: value.body_kind.code().to_owned(),
        purpose: value.purpose.code().to_owned(),
        basis: value.basis.code().to_owned(),
        matter: value.matter.code().to_owned(),
        urgency: value.urgency.code().to_owned(),
        fields: words(value.fields.iter().map(|field| field.code())),
        by_hand: i64::from(value.by_hand),
        state: value.state.code().to_owned(),
        queued_at: value.queued_at.map(Instant::micros),
        disclosure: value.disclosure.as_ref().map(|id| id.as_str().to_owned()),
        sent_at: value.sent_at.map(Instant::micros),
        decision: answer.map(|answer| answer.decision.code().to_owned()),
        decided_at: answer.map(|answer| answer.at.micros()),
        decision_by: answer.map(|answer| answer.recorded_by.as_str().to_owned()),
        decision_recorded_at: answer.map(|answer| answer.recorded_at.micros()),
        ended_at: value.ended_at.map(Instant::micros),
        external_reference: value.external_reference.as_ref().map(|line| line.as_str().to_owned()),
        clock: value.clock.as_ref().map(|event| event.as_str().to_owned()),
        reviewed_by: review.map(|review| review.by.as_str().to_owned()),
        reviewed_at: review.map(|review| review.at.micros()),
        justified: review.map(|review| i64::from(review.justified)),
        created_by: value.created_by.as_str().to_owned(),
        created_at: value.created_at.micros(),
    };
    rows.put_versioned(Table::Referral, row, "referral");
}

pub(crate) fn words_rows(
    value: &ReferralWords,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let plain = zeroize::Zeroizing::new(Encode::encode(&value.words));
    let (place, part, version) =
        ([value.referral.as_str()], value.part.code(), version_column(value.version));
    let row = referral_words::Model {
        site: value.site.as_str().to_owned(),
        referral: value.referral.as_str().to_owned(),
        part: part.to_owned(),
        version,
        resident: value.resident.as_str().to_owned(),
        cell: sealer.resident(value.resident.as_str(), WORDS, &place, part, version, &plain)?,
    };
    rows.put(Table::ReferralWords, row);
    Ok(())
}

impl Store {
    /// A referral.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn referral(&self, site: &SiteId, id: &ReferralId) -> Result<Option<Referral>, StoreError> {
        let found = referral::Entity::find()
            .filter(referral::Column::Site.eq(site.as_str()))
            .filter(referral::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_referral).transpose()
    }

    /// What is said with a referral, by part; nothing of an erased person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn referral_words(
        &self,
        site: &SiteId,
        id: &ReferralId,
    ) -> Result<Vec<(ReferralPart, Sealed<Paragraph>)>, StoreError> {
        let found = referral_words::Entity::find()
            .filter(referral_words::Column::Site.eq(site.as_str()))
            .filter(referral_words::Column::Referral.eq(id.as_str()))
            .order_by_asc(referral_words::Column::Part)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_words).collect()
    }

    /// A page of the referrals that fit, by site and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn referrals(
        &self,
        sites: &Sites,
        filter: &ReferralFilter,
        page: &Page,
    ) -> Result<Vec<Referral>, StoreError> {
        use referral::Column as C;
        let mut query = keyset(referral::Entity::find(), sites, page, C::Site, C::Id);
        if !filter.states.is_empty() {
            query = query.filter(C::State.is_in(padded(filter.states.iter().map(|state| state.code()))));
        }
        if let Some(body) = &filter.body {
            query = query.filter(C::Body.eq(body.as_str()));
        }
        if let Some(residents) = &filter.residents {
            query = query.filter(C::Resident.is_in(padded(residents.iter().map(ResidentId::as_str))));
        }
        if filter.awaiting_review {
            query = query.filter(C::Basis.eq(Basis::Danger.code())).filter(C::ReviewedAt.is_null());
        }
        query.all(self.reader()).await?.into_iter().map(to_referral).collect()
    }

    /// Those of these bodies for which something waits, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn queued_bodies(&self, among: &[BodyId]) -> Result<Vec<BodyId>, StoreError> {
        use community_body::Column as B;
        use referral::Column as C;
        // One look into the queue of each, however long it is.
        let waits = Query::select()
            .expr(Expr::val(1))
            .from(referral::Entity)
            .and_where(Expr::col((referral::Entity, C::Body)).equals((community_body::Entity, B::Id)))
            .and_where(Expr::col((referral::Entity, C::QueuedAt)).is_not_null())
            .to_owned();
        let found: Vec<String> = community_body::Entity::find()
            .select_only()
            .column(B::Id)
            .filter(B::Site.eq(Scope::System.text()))
            .filter(B::Id.is_in(padded(among.iter().map(BodyId::as_str))))
            .filter(Expr::exists(waits))
            .order_by_asc(B::Id)
            .into_tuple()
            .all(self.reader())
            .await?;
        found.iter().map(|text| body_id(text)).collect()
    }

    /// How many referrals to each of these bodies have failed and wait for a person; none: it is not among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn failed_referrals(&self, bodies: &[BodyId]) -> Result<Vec<(BodyId, u64)>, StoreError> {
        use referral::Column as C;
        let found: Vec<(String, i64)> = referral::Entity::find()
            .select_only()
            .column(C::Body)
            .column_as(C::Id.count(), "failed")
            .filter(C::Body.is_in(padded(bodies.iter().map(BodyId::as_str))))
            .filter(C::State.eq(ReferralState::Failed.code()))
            .group_by(C::Body)
            .order_by_asc(C::Body)
            .into_tuple()
            .all(self.reader())
            .await?;
        found.iter().map(|(text, count)| Ok((body_id(text)?, count.unsigned_abs()))).collect()
    }

    /// The referral that a body calls by a reference; `None`: it calls none so, or several.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn referral_called(
        &self,
        body: &BodyId,
        reference: &Line,
    ) -> Result<Option<Referral>, StoreError> {
        let mut found = referral::Entity::find()
            .filter(referral::Column::Body.eq(body.as_str()))
            .filter(referral::Column::ExternalReference.eq(reference.as_str()))
            .limit(2)
            .all(self.reader())
            .await?;
        match (found.pop(), found.pop()) {
            (Some(one), None) => to_referral(one).map(Some),
            (Some(_) | None, Some(_)) | (None, None) => Ok(None),
        }
    }

    /// What waits for a body, of all sites, first come first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn queued_referrals(&self, body: &BodyId, limit: u64) -> Result<Vec<Referral>, StoreError> {
        let found = referral::Entity::find()
            .filter(referral::Column::Body.eq(body.as_str()))
            .filter(referral::Column::QueuedAt.is_not_null())
            .order_by_asc(referral::Column::QueuedAt)
            .order_by_asc(referral::Column::Site)
            .order_by_asc(referral::Column::Id)
            .limit(limit.clamp(1, PAGE_MAX))
            .all(self.reader())
            .await?;
        found.into_iter().map(to_referral).collect()
    }
}

fn body_id(text: &str) -> Result<BodyId, StoreError> {
    BodyId::new(text).map_err(|_| StoreError::Row { table: "referral" })
}

pub(crate) fn to_referral(row: referral::Model) -> Result<Referral, StoreError> {
    let build = || {
        Some(Referral {
            site: SiteId::new(&row.site).ok()?,
            id: ReferralId::new(&row.id).ok()?,
            resident: ResidentId::new(&row.resident).ok()?,
            body: BodyId::new(&row.body).ok()?,
            body_kind: BodyKind::from_code(&row.body_kind).ok()?,
            purpose: DisclosurePurpose::from_code(&row.purpose).ok()?,
            basis: Basis::from_code(&row.basis).ok()?,
            matter: ReferralMatter::from_code(&row.matter).ok()?,
            urgency: RequestUrgency::from_code(&row.urgency).ok()?,
            fields: fields(&row.fields)?,
            by_hand: row.by_hand == 1,
            state: ReferralState::from_code(&row.state).ok()?,
            queued_at: instant_opt(row.queued_at)?,
            disclosure: row.disclosure.as_deref().map(DisclosureId::new).transpose().ok()?,
            sent_at: instant_opt(row.sent_at)?,
            answer: answer(&row)?,
            ended_at: instant_opt(row.ended_at)?,
            external_reference: row.external_reference.as_deref().map(Line::new).transpose().ok()?,
            clock: row.clock.as_deref().map(EventId::new).transpose().ok()?,
            review: review(&row)?,
            created_by: StaffId::new(&row.created_by).ok()?,
            created_at: instant(row.created_at)?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "referral" })
}

fn answer(row: &referral::Model) -> Option<Option<BodyAnswer>> {
    let (at, recorded_at) = (instant_opt(row.decided_at)?, instant_opt(row.decision_recorded_at)?);
    match (&row.decision, at, &row.decision_by, recorded_at) {
        (Some(decision), Some(at), Some(by), Some(recorded_at)) => Some(Some(BodyAnswer {
            decision: Decision::from_code(decision).ok()?,
            at,
            recorded_by: StaffId::new(by).ok()?,
            recorded_at,
        })),
        (None, None, None, None) => Some(None),
        (Some(_) | None, Some(_) | None, Some(_) | None, Some(_) | None) => None,
    }
}

fn review(row: &referral::Model) -> Option<Option<ReferralReview>> {
    match (&row.reviewed_by, instant_opt(row.reviewed_at)?, row.justified) {
        (Some(by), Some(at), Some(justified)) => {
            Some(Some(ReferralReview { by: StaffId::new(by).ok()?, at, justified: justified == 1 }))
        }
        (None, None, None) => Some(None),
        (Some(_) | None, Some(_) | None, Some(_) | None) => None,
    }
}

fn to_words(row: referral_words::Model) -> Result<(ReferralPart, Sealed<Paragraph>), StoreError> {
    let part = ReferralPart::from_code(&row.part).map_err(|_| StoreError::Row { table: WORDS })?;
    let sealed = Sealed {
        site: row.site,
        table: WORDS,
        row: vec![row.referral],
        column: part.code(),
        version: row.version,
        class: part.class(),
        holder: Holder::Resident(row.resident),
        cell: row.cell,
        value: PhantomData,
    };
    Ok((part, sealed))
}
