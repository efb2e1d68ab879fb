//! Requests: where they stand clear, because clocks are computed from it; their words sealed, in a table of their own, so that no
//! step has to open them.

use std::marker::PhantomData;

use linli_core::id::{RequestId, SiteId, Subject};
use linli_core::kind::Department;
use linli_core::request::{Request, RequestKind, RequestPart, RequestState, RequestUrgency, RequestWords};
use linli_core::resident::FieldClass;
use linli_core::text::Paragraph;
use linli_core::time::Instant;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Rows};
use crate::convert::{instant, subject, version, version_column};
use crate::error::{SealError, StoreError};
use crate::form::{self, sealed::Encode, subject_columns};
use crate::page::{PAGE_MAX, padded};
use crate::resource::Change;
use crate::seal::{Holder, Sealed, Sealer, holder};
use crate::store::Store;
use crate::table::{Table, request, request_words};

/// What stands for "not settled": later than every instant that is asked for, so that one range finds what is open and what was
/// settled lately.
const OPEN: Instant = Instant::MAX;

/// Which requests are read; all given conditions hold.
#[derive(Debug, Clone, Default)]
pub struct RequestFilter {
    /// That are open, or were settled at this instant or later; `None`: at any time.
    pub settled_since: Option<Instant>,
    /// In one of these states; empty: any.
    pub states: Vec<RequestState>,
    /// Of this urgency.
    pub urgency: Option<RequestUrgency>,
    /// Of this kind.
    pub kind: Option<RequestKind>,
    /// That this department answers.
    pub department: Option<Department>,
    /// About this.
    pub subject: Option<Subject>,
}

impl RequestFilter {
    /// Those that are open.
    pub fn open() -> Self {
        Self { settled_since: Some(OPEN), ..Self::default() }
    }
}

impl ChangeSet {
    /// Stores a request without its words: version 1 is new, a higher one follows the one before it.
    pub fn put_request(&mut self, request: Request) -> &mut Self {
        self.push(Change::Request(Box::new(request)))
    }

    /// Adds words of a request: each part once.
    pub fn add_request_words(&mut self, words: RequestWords) -> &mut Self {
        self.push(Change::RequestWords(Box::new(words)))
    }
}

pub(crate) fn rows(value: &Request, rows: &mut Rows) {
    let (subject_kind, subject) = subject_columns(&value.subject);
    let row = request::Model {
        site: value.site.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        kind: value.kind.code().to_owned(),
        urgency: value.urgency.code().to_owned(),
        state: value.state.code().to_owned(),
        subject_kind,
        subject,
        department: value.department.code().to_owned(),
        course: form::encode_course(value),
        satisfaction: value.satisfaction.map(i64::from),
        created_at: value.created_at.micros(),
        settled_at: value.settled_at.unwrap_or(OPEN).micros(),
    };
    rows.put_versioned(Table::Request, row, "request");
}

pub(crate) fn words_rows(
    value: &RequestWords,
    sealer: &Sealer<'_>,
    rows: &mut Rows,
) -> Result<(), SealError> {
    let (subject_kind, subject) = subject_columns(&value.subject);
    let plain = zeroize::Zeroizing::new(Encode::encode(&value.words));
    let (place, part) = ([value.request.as_str()], value.part.code());
    let cell = match holder(&value.subject) {
        Holder::Resident(id) => sealer.resident(&id, "request_words", &place, part, 1, &plain),
        Holder::Site => sealer.site("request_words", &place, part, 1, &plain),
    };
    let row = request_words::Model {
        site: value.site.as_str().to_owned(),
        request: value.request.as_str().to_owned(),
        part: part.to_owned(),
        subject_kind,
        subject,
        cell: cell?,
    };
    rows.append(Table::RequestWords, row);
    Ok(())
}

impl Store {
    /// A request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn request(&self, site: &SiteId, id: &RequestId) -> Result<Option<Request>, StoreError> {
        let found = request::Entity::find()
            .filter(request::Column::Site.eq(site.as_str()))
            .filter(request::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_request).transpose()
    }

    /// The words of a request, by part.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn request_words(
        &self,
        site: &SiteId,
        id: &RequestId,
    ) -> Result<Vec<(RequestPart, Sealed<Paragraph>)>, StoreError> {
        let found = request_words::Entity::find()
            .filter(request_words::Column::Site.eq(site.as_str()))
            .filter(request_words::Column::Request.eq(id.as_str()))
            .order_by_asc(request_words::Column::Part)
            .all(self.reader())
            .await?;
        found.into_iter().map(to_words).collect()
    }

    /// The open requests about these, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_requests_about(
        &self,
        site: &SiteId,
        subjects: &[Subject],
    ) -> Result<Vec<Request>, StoreError> {
        if subjects.is_empty() {
            return Ok(Vec::new());
        }
        let found = request::Entity::find()
            .filter(request::Column::Site.eq(site.as_str()))
            .filter(request::Column::SettledAt.gte(OPEN.micros()))
            .filter(request::Column::Subject.is_in(padded(subjects.iter().map(Subject::id_text))))
            .order_by_asc(request::Column::Id)
            .all(self.reader())
            .await?;
        let found = found.into_iter().map(to_request).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().filter(|request| subjects.contains(&request.subject)).collect())
    }

    /// A page of the requests of a site that fit, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn requests(
        &self,
        site: &SiteId,
        filter: &RequestFilter,
        after: Option<&RequestId>,
        limit: u64,
    ) -> Result<Vec<Request>, StoreError> {
        let mut query = request::Entity::find().filter(request::Column::Site.eq(site.as_str()));
        if let Some(since) = filter.settled_since {
            query = query.filter(request::Column::SettledAt.gte(since.micros()));
        }
        if !filter.states.is_empty() {
            let states = filter.states.iter().map(|state| state.code());
            query = query.filter(request::Column::State.is_in(padded(states)));
        }
        if let Some(urgency) = filter.urgency {
            query = query.filter(request::Column::Urgency.eq(urgency.code()));
        }
        if let Some(kind) = filter.kind {
            query = query.filter(request::Column::Kind.eq(kind.code()));
        }
        if let Some(department) = filter.department {
            query = query.filter(request::Column::Department.eq(department.code()));
        }
        if let Some(about) = &filter.subject {
            let (kind, id) = subject_columns(about);
            query =
                query.filter(request::Column::SubjectKind.eq(kind)).filter(request::Column::Subject.eq(id));
        }
        if let Some(after) = after {
            query = query.filter(request::Column::Id.gt(after.as_str()));
        }
        let query = match filter.settled_since {
            // Few are open among all that were ever put: they are found by when they were settled, and sorted then. By the
            // column itself SQLite would walk all of them in order.
            Some(_) => query.order_by_asc(Expr::cust("id || ''")),
            None => query.order_by_asc(request::Column::Id),
        };
        let found = query.limit(limit.clamp(1, PAGE_MAX)).all(self.reader()).await?;
        found.into_iter().map(to_request).collect()
    }
}

fn to_request(row: request::Model) -> Result<Request, StoreError> {
    let build = || {
        let course = form::decode_course(&row.course)?;
        Some(Request {
            site: SiteId::new(&row.site).ok()?,
            id: RequestId::new(&row.id).ok()?,
            kind: RequestKind::from_code(&row.kind).ok()?,
            urgency: RequestUrgency::from_code(&row.urgency).ok()?,
            state: RequestState::from_code(&row.state).ok()?,
            subject: subject(&row.subject_kind, &row.subject)?,
            department: Department::from_code(&row.department).ok()?,
            assignee: course.assignee,
            steps: course.steps,
            notices: course.notices,
            satisfaction: row.satisfaction.map(u8::try_from).transpose().ok()?,
            created_at: instant(row.created_at)?,
            settled_at: Some(instant(row.settled_at)?).filter(|at| *at < OPEN),
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "request" })
}

fn to_words(row: request_words::Model) -> Result<(RequestPart, Sealed<Paragraph>), StoreError> {
    let build = || {
        let about = subject(&row.subject_kind, &row.subject)?;
        let part = RequestPart::from_code(&row.part).ok()?;
        let sealed = Sealed {
            site: row.site.clone(),
            table: "request_words",
            row: vec![row.request.clone()],
            column: part.code(),
            version: 1,
            class: FieldClass::Care,
            holder: holder(&about),
            cell: row.cell.clone(),
            value: PhantomData,
        };
        Some((part, sealed))
    };
    build().ok_or(StoreError::Row { table: "request_words" })
}
