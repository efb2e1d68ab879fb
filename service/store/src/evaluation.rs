//! Evaluations of records by those who received the service; the comment sealed.

use std::marker::PhantomData;

use linli_core::id::{RecordId, SiteId};
use linli_core::record::Evaluation;
use linli_core::resident::FieldClass;
use linli_core::text::Paragraph;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::change::{ChangeSet, Rows};
use crate::convert::{instant, subject, version, version_column};
use crate::error::{SealError, StoreError};
use crate::form::{sealed::Encode, subject_columns};
use crate::resource::Change;
use crate::seal::{Holder, Sealed, Sealer, holder};
use crate::store::Store;
use crate::table::{Table, evaluation};

/// An evaluation, its comment sealed.
#[derive(Debug, Clone)]
pub struct StoredEvaluation {
    /// The evaluation; `comment` is absent.
    pub evaluation: Evaluation,
    /// The comment.
    pub comment: Option<Sealed<Paragraph>>,
    /// Counts changes, from 1.
    pub version: u64,
}

impl ChangeSet {
    /// Stores an evaluation: version 1 is new, a higher one follows the one before it.
    pub fn put_evaluation(&mut self, site: &SiteId, evaluation: Evaluation, version: u64) -> &mut Self {
        self.push(Change::Evaluation(site.clone(), Box::new(evaluation), version))
    }
}

pub(crate) fn rows(
    site: &SiteId,
    value: &Evaluation,
    version: u64,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let version = version_column(version);
    let (subject_kind, subject) = subject_columns(&value.subject);
    let place = [value.record.as_str(), subject_kind.as_str(), subject.as_str()];
    let comment = value.comment.as_ref().map(|comment| {
        let plain = zeroize::Zeroizing::new(Encode::encode(comment));
        match holder(&value.subject) {
            Holder::Resident(id) => sealer.resident(&id, "evaluation", &place, "comment", version, &plain),
            Holder::Site => sealer.site("evaluation", &place, "comment", version, &plain),
        }
    });
    let row = evaluation::Model {
        site: site.as_str().to_owned(),
        record: value.record.as_str().to_owned(),
        comment: comment.transpose()?,
        subject_kind,
        subject,
        version,
        satisfaction: i64::from(value.satisfaction),
        recorded_at: value.recorded_at.micros(),
    };
    rows.put_versioned(Table::Evaluation, row, "evaluation");
    Ok(())
}

impl Store {
    /// The evaluations of a record, by subject.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn evaluations(
        &self,
        site: &SiteId,
        id: &RecordId,
    ) -> Result<Vec<StoredEvaluation>, StoreError> {
        let found = evaluation::Entity::find()
            .filter(evaluation::Column::Site.eq(site.as_str()))
            .filter(evaluation::Column::Record.eq(id.as_str()))
            .order_by_asc(evaluation::Column::SubjectKind)
            .order_by_asc(evaluation::Column::Subject)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_evaluation).collect()
    }
}

fn to_evaluation(row: evaluation::Model) -> Result<StoredEvaluation, StoreError> {
    let build = || {
        let about = subject(&row.subject_kind, &row.subject)?;
        let comment = row.comment.as_ref().map(|cell| Sealed {
            site: row.site.clone(),
            table: "evaluation",
            row: vec![row.record.clone(), row.subject_kind.clone(), row.subject.clone()],
            column: "comment",
            version: row.version,
            class: FieldClass::Care,
            holder: holder(&about),
            cell: cell.clone(),
            value: PhantomData,
        });
        Some(StoredEvaluation {
            comment,
            version: version(row.version)?,
            evaluation: Evaluation {
                record: RecordId::new(&row.record).ok()?,
                subject: about,
                satisfaction: u8::try_from(row.satisfaction).ok()?,
                comment: None,
                recorded_at: instant(row.recorded_at)?,
            },
        })
    };
    build().ok_or(StoreError::Row { table: "evaluation" })
}
