//! The ledgers of consents and of what went out. Their rows are never changed; who signed a consent is sealed, and goes with the
//! person.

use std::collections::HashMap;
use std::marker::PhantomData;

use linli_core::consent::{Basis, BodyKind, Consent, Disclosure, DisclosurePurpose, Signatory, Withdrawal};
use linli_core::id::{ConsentId, DisclosureId, ResidentId, SiteId, StaffId};
use linli_core::resident::FieldClass;
use linli_core::text::Line;
use linli_core::time::Instant;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Expect, Rows};
use crate::convert::{instant, instant_opt};
use crate::error::{SealError, StoreError};
use crate::form::sealed::Encode;
use crate::page::padded;
use crate::resource::Change;
use crate::seal::{Holder, Opener, Sealed, Sealer};
use crate::store::Store;
use crate::table::{Table, consent, consent_withdrawal, disclosure};

/// A consent, who signed it sealed.
#[derive(Debug, Clone)]
pub struct StoredConsent {
    /// The consent; `signed_by` is absent.
    pub consent: Consent,
    signed_by: Option<Sealed<Line>>,
}

impl StoredConsent {
    /// With who signed it; of an erased person nobody knows any more.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub fn open(&self, opener: &Opener<'_>) -> Result<Consent, SealError> {
        let signed_by = opener.open_option(self.signed_by.as_ref())?;
        Ok(Consent { signed_by, ..self.consent.clone() })
    }
}

impl ChangeSet {
    /// Records a consent or a refusal.
    pub fn add_consent(&mut self, consent: Consent) -> &mut Self {
        self.push(Change::Consent(Box::new(consent)))
    }

    /// Records that a consent was taken back, which happens once.
    pub fn withdraw_consent(
        &mut self,
        site: &SiteId,
        resident: &ResidentId,
        id: &ConsentId,
        withdrawal: Withdrawal,
    ) -> &mut Self {
        let of = (site.clone(), resident.clone(), id.clone());
        self.push(Change::ConsentWithdrawal(of.0, of.1, of.2, withdrawal))
    }

    /// Records what went out.
    pub fn add_disclosure(&mut self, disclosure: Disclosure) -> &mut Self {
        self.push(Change::Disclosure(Box::new(disclosure)))
    }
}

const TABLE: &str = "consent";
const COLUMN: &str = "signed_by";

pub(crate) fn rows(value: &Consent, sealer: &Sealer<'_>, rows: &mut Rows) -> Result<(), SealError> {
    let (resident, id) = (value.resident.as_str(), value.id.as_str());
    let signed_by = value.signed_by.as_ref().map(|line| {
        let plain = zeroize::Zeroizing::new(Encode::encode(line));
        sealer.resident(resident, TABLE, &[resident, id], COLUMN, 1, &plain)
    });
    let row = consent::Model {
        site: value.site.as_str().to_owned(),
        resident: resident.to_owned(),
        id: id.to_owned(),
        body: value.body.code().to_owned(),
        purpose: value.purpose.code().to_owned(),
        classes: classes_column(&value.classes),
        granted: i64::from(value.granted),
        signatory: value.signatory.code().to_owned(),
        form: value.form.as_str().to_owned(),
        given_at: value.given_at.micros(),
        expires_at: value.expires_at.map(Instant::micros),
        recorded_by: value.recorded_by.as_str().to_owned(),
        recorded_at: value.recorded_at.micros(),
        signed_by: signed_by.transpose()?,
    };
    rows.append(Table::Consent, row);
    Ok(())
}

pub(crate) fn withdrawal_rows(
    (site, resident, id): (&SiteId, &ResidentId, &ConsentId),
    withdrawal: &Withdrawal,
    rows: &mut Rows,
) {
    let row = consent_withdrawal::Model {
        site: site.as_str().to_owned(),
        resident: resident.as_str().to_owned(),
        consent: id.as_str().to_owned(),
        withdrawn_at: withdrawal.at.micros(),
        recorded_by: withdrawal.by.as_str().to_owned(),
    };
    let key = vec![site.as_str().into(), resident.as_str().into(), id.as_str().into()];
    rows.guard(Table::ConsentWithdrawal, key, Expect::Absent, "withdrawal");
    rows.append(Table::ConsentWithdrawal, row);
}

pub(crate) fn disclosure_rows(value: &Disclosure, rows: &mut Rows) {
    let consents: Vec<&str> = value.consents.iter().map(ConsentId::as_str).collect();
    let row = disclosure::Model {
        site: value.site.as_str().to_owned(),
        resident: value.resident.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        body: value.body.code().to_owned(),
        recipient: value.recipient.as_str().to_owned(),
        purpose: value.purpose.code().to_owned(),
        basis: value.basis.code().to_owned(),
        classes: classes_column(&value.classes),
        consents: consents.join(" "),
        agreement: value.agreement.as_ref().map(|line| line.as_str().to_owned()),
        disclosed_at: value.disclosed_at.micros(),
        disclosed_by: value.disclosed_by.as_str().to_owned(),
        recorded_at: value.recorded_at.micros(),
    };
    rows.append(Table::Disclosure, row);
}

/// Codes, separated by blanks.
fn classes_column(classes: &[FieldClass]) -> String {
    classes.iter().map(|class| class.code()).collect::<Vec<_>>().join(" ")
}

fn classes(column: &str) -> Option<Vec<FieldClass>> {
    column.split_ascii_whitespace().map(|code| FieldClass::from_code(code).ok()).collect()
}

impl Store {
    /// Every consent and refusal of these residents, by resident and id, with what was taken back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consents(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<StoredConsent>, StoreError> {
        let among = || padded(residents.iter().map(ResidentId::as_str));
        let withdrawn = consent_withdrawal::Entity::find()
            .filter(consent_withdrawal::Column::Site.eq(site.as_str()))
            .filter(consent_withdrawal::Column::Resident.is_in(among()))
            .all(self.reader())
            .await?;
        let mut withdrawals = HashMap::with_capacity(withdrawn.len());
        for row in withdrawn {
            let build = || {
                Some(Withdrawal { at: instant(row.withdrawn_at)?, by: StaffId::new(&row.recorded_by).ok()? })
            };
            let withdrawal = build().ok_or(StoreError::Row { table: "consent_withdrawal" })?;
            withdrawals.insert((row.resident, row.consent), withdrawal);
        }
        let found = consent::Entity::find()
            .filter(consent::Column::Site.eq(site.as_str()))
            .filter(consent::Column::Resident.is_in(among()))
            .order_by_asc(consent::Column::Resident)
            .order_by_asc(consent::Column::Id)
            .all(self.reader())
            .await?;
        let with = |row: consent::Model| {
            let withdrawn = withdrawals.remove(&(row.resident.clone(), row.id.clone()));
            let mut stored = to_consent(row)?;
            stored.consent.withdrawn = withdrawn;
            Ok(stored)
        };
        found.into_iter().map(with).collect()
    }

    /// Everything of these residents that went out, by resident and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn disclosures(
        &self,
        site: &SiteId,
        residents: &[ResidentId],
    ) -> Result<Vec<Disclosure>, StoreError> {
        let found = disclosure::Entity::find()
            .filter(disclosure::Column::Site.eq(site.as_str()))
            .filter(disclosure::Column::Resident.is_in(padded(residents.iter().map(ResidentId::as_str))))
            .order_by_asc(disclosure::Column::Resident)
            .order_by_asc(disclosure::Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_disclosure).collect()
    }
}

fn to_consent(row: consent::Model) -> Result<StoredConsent, StoreError> {
    let build = || {
        Some(StoredConsent {
            consent: Consent {
                site: SiteId::new(&row.site).ok()?,
                resident: ResidentId::new(&row.resident).ok()?,
                id: ConsentId::new(&row.id).ok()?,
                body: BodyKind::from_code(&row.body).ok()?,
                purpose: DisclosurePurpose::from_code(&row.purpose).ok()?,
                classes: classes(&row.classes)?,
                granted: row.granted == 1,
                signatory: Signatory::from_code(&row.signatory).ok()?,
                signed_by: None,
                form: Line::new(&row.form).ok()?,
                given_at: instant(row.given_at)?,
                expires_at: instant_opt(row.expires_at)?,
                recorded_by: StaffId::new(&row.recorded_by).ok()?,
                recorded_at: instant(row.recorded_at)?,
                withdrawn: None,
            },
            signed_by: row.signed_by.clone().map(|cell| Sealed {
                site: row.site.clone(),
                table: TABLE,
                row: vec![row.resident.clone(), row.id.clone()],
                column: COLUMN,
                version: 1,
                class: FieldClass::Family,
                holder: Holder::Resident(row.resident.clone()),
                cell,
                value: PhantomData,
            }),
        })
    };
    build().ok_or(StoreError::Row { table: TABLE })
}

fn to_disclosure(row: disclosure::Model) -> Result<Disclosure, StoreError> {
    let build = || {
        let agreement = match &row.agreement {
            Some(line) => Some(Line::new(line).ok()?),
            None => None,
        };
        let consents = row.consents.split_ascii_whitespace().map(|id| ConsentId::new(id).ok());
        Some(Disclosure {
            site: SiteId::new(&row.site).ok()?,
            resident: ResidentId::new(&row.resident).ok()?,
            id: DisclosureId::new(&row.id).ok()?,
            body: BodyKind::from_code(&row.body).ok()?,
            recipient: Line::new(&row.recipient).ok()?,
            purpose: DisclosurePurpose::from_code(&row.purpose).ok()?,
            basis: Basis::from_code(&row.basis).ok()?,
            classes: classes(&row.classes)?,
            consents: consents.collect::<Option<_>>()?,
            agreement,
            disclosed_at: instant(row.disclosed_at)?,
            disclosed_by: StaffId::new(&row.disclosed_by).ok()?,
            recorded_at: instant(row.recorded_at)?,
        })
    };
    build().ok_or(StoreError::Row { table: "disclosure" })
}
