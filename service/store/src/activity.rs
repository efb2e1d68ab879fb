//! Activities, and who helped at them. Nothing of it is sealed: the residents who came stand in the service records, and titles and
//! reasons say nothing about anybody.

use linli_core::activity::{Activity, ActivityCourse, ActivityKind, ActivityState, Attendance};
use linli_core::fund::Fen;
use linli_core::id::{ActivityId, GroupCode, RecordId, SiteId, StaffId};
use linli_core::kind::Occasion;
use linli_core::text::Line;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::change::{ChangeSet, Expect, Rows};
use crate::convert::{date, days, instant, signed, signed_columns, version, version_column};
use crate::error::StoreError;
use crate::page::{PAGE_MAX, Page, Sites, keyset};
use crate::resource::Change;
use crate::store::Store;
use crate::table::{Table, activity, activity_attendance};

impl ChangeSet {
    /// Stores an activity: version 1 is new, a higher one follows the one before it.
    pub fn put_activity(&mut self, activity: Activity) -> &mut Self {
        self.push(Change::Activity(Box::new(activity)))
    }

    /// Asks that the activity exist.
    pub fn require_activity(&mut self, site: &SiteId, id: &ActivityId) -> &mut Self {
        self.push(Change::RequireActivity(site.clone(), id.clone()))
    }

    /// Adds an attendance of a new service record.
    pub fn add_attendance(&mut self, attendance: Attendance) -> &mut Self {
        self.push(Change::Attendance(Box::new(attendance)))
    }
}

pub(crate) fn rows(value: &Activity, rows: &mut Rows) {
    let (held_at, reason, noted) = match &value.course {
        ActivityCourse::Planned => (None, None, None),
        ActivityCourse::Held { at, noted } => (Some(at.micros()), None, Some(noted)),
        ActivityCourse::Cancelled { reason, noted } => (None, Some(reason.as_str().to_owned()), Some(noted)),
    };
    let (noted_by, noted_at) = signed_columns(noted);
    let groups: Vec<&str> = value.groups.iter().map(GroupCode::as_str).collect();
    let row = activity::Model {
        site: value.site.as_str().to_owned(),
        id: value.id.as_str().to_owned(),
        version: version_column(value.version),
        kind: value.kind.code().to_owned(),
        title: value.title.as_str().to_owned(),
        occasion: value.occasion.map(|occasion| occasion.code().to_owned()),
        day: days(value.day),
        place: value.place.as_ref().map(|place| place.as_str().to_owned()),
        care_groups: groups.join(" "),
        budget: value.budget.map(Fen::get),
        planned_by: value.planned.by.as_str().to_owned(),
        planned_at: value.planned.at.micros(),
        state: value.state().code().to_owned(),
        held_at,
        reason,
        noted_by,
        noted_at,
    };
    rows.put_versioned(Table::Activity, row, "activity");
}

pub(crate) fn require(site: &SiteId, id: &ActivityId, rows: &mut Rows) {
    rows.guard(Table::Activity, vec![site.as_str().into(), id.as_str().into()], Expect::Present, "activity");
}

pub(crate) fn attendance_rows(value: &Attendance, rows: &mut Rows) {
    let staff: Vec<&str> = value.staff.iter().map(StaffId::as_str).collect();
    let row = activity_attendance::Model {
        site: value.site.as_str().to_owned(),
        activity: value.activity.as_str().to_owned(),
        record: value.record.as_str().to_owned(),
        staff: staff.join(" "),
        recorded_at: value.recorded_at.micros(),
    };
    rows.append(Table::ActivityAttendance, row);
}

impl Store {
    /// An activity.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn activity(&self, site: &SiteId, id: &ActivityId) -> Result<Option<Activity>, StoreError> {
        let found = activity::Entity::find()
            .filter(activity::Column::Site.eq(site.as_str()))
            .filter(activity::Column::Id.eq(id.as_str()))
            .all(self.reader())
            .await?;
        found.into_iter().next().map(to_activity).transpose()
    }

    /// A page of activities, by site and id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn activities(&self, sites: &Sites, page: &Page) -> Result<Vec<Activity>, StoreError> {
        let query =
            keyset(activity::Entity::find(), sites, page, activity::Column::Site, activity::Column::Id);
        query.all(self.reader()).await?.into_iter().map(to_activity).collect()
    }

    /// A page of the attendances of an activity, by record.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attendances(
        &self,
        site: &SiteId,
        id: &ActivityId,
        after: Option<&RecordId>,
        limit: u64,
    ) -> Result<Vec<Attendance>, StoreError> {
        let mut query = activity_attendance::Entity::find()
            .filter(activity_attendance::Column::Site.eq(site.as_str()))
            .filter(activity_attendance::Column::Activity.eq(id.as_str()));
        if let Some(after) = after {
            query = query.filter(activity_attendance::Column::Record.gt(after.as_str()));
        }
        let query = query.order_by_asc(activity_attendance::Column::Record).limit(limit.clamp(1, PAGE_MAX));
        query.all(self.reader()).await?.into_iter().map(to_attendance).collect()
    }
}

fn to_activity(row: activity::Model) -> Result<Activity, StoreError> {
    let build = || {
        let noted = || signed(row.noted_by.as_deref()?, row.noted_at?);
        let course = match ActivityState::from_code(&row.state).ok()? {
            ActivityState::Planned => ActivityCourse::Planned,
            ActivityState::Held => ActivityCourse::Held { at: instant(row.held_at?)?, noted: noted()? },
            ActivityState::Cancelled => {
                ActivityCourse::Cancelled { reason: Line::new(row.reason.as_deref()?).ok()?, noted: noted()? }
            }
        };
        let groups = row.care_groups.split_ascii_whitespace().map(|code| GroupCode::new(code).ok());
        Some(Activity {
            site: SiteId::new(&row.site).ok()?,
            id: ActivityId::new(&row.id).ok()?,
            kind: ActivityKind::from_code(&row.kind).ok()?,
            title: Line::new(&row.title).ok()?,
            occasion: row.occasion.as_deref().map(Occasion::from_code).transpose().ok()?,
            day: date(row.day)?,
            place: row.place.as_deref().map(Line::new).transpose().ok()?,
            groups: groups.collect::<Option<_>>()?,
            budget: row.budget.map(Fen::new).transpose().ok()?,
            planned: signed(&row.planned_by, row.planned_at)?,
            course,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "activity" })
}

fn to_attendance(row: activity_attendance::Model) -> Result<Attendance, StoreError> {
    let build = || {
        let staff = row.staff.split_ascii_whitespace().map(|id| StaffId::new(id).ok());
        Some(Attendance {
            site: SiteId::new(&row.site).ok()?,
            activity: ActivityId::new(&row.activity).ok()?,
            record: RecordId::new(&row.record).ok()?,
            staff: staff.collect::<Option<_>>()?,
            recorded_at: instant(row.recorded_at)?,
        })
    };
    build().ok_or(StoreError::Row { table: "activity_attendance" })
}
