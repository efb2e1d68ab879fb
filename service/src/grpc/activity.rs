//! `ActivityService`.

use linli_core::activity::{
    ACTIVITY_GROUPS_MAX, ACTIVITY_STAFF_MAX, ActivityCourse, ActivityKind, ActivityState,
};
use linli_core::fund::Fen;
use linli_core::id::{ActivityId, GroupCode, ResidentId, SiteId, StaffId};
use linli_core::invalid::Invalid;
use linli_core::kind::Occasion;
use linli_core::record::RECORD_SUBJECTS_MAX;
use linli_core::text::Line;
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, date, etag, parse_etag, signed};
use super::page::Binding;
use super::request::{mask, next, one, required_date, text, wanted};
use crate::app::activity::{
    ActivityFilter, ActivityUpdate, ActivityView, AttendanceView, NewActivity, NewAttendance, Outlook,
};
use crate::app::site::Update;
use crate::error::Result;
use crate::name::{self, InSite};

type Answer<M> = std::result::Result<Response<M>, Status>;

/// The fields of an activity that an update may change.
const UPDATABLE: &[&str] = &["display_name", "occasion", "date", "place", "care_groups", "budget_fen"];

#[tonic::async_trait]
impl v1::activity_service_server::ActivityService for Face {
    async fn plan_activity(&self, request: Request<v1::PlanActivityRequest>) -> Answer<v1::Activity> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = new_activity(&message)?;
            app.plan_activity(&call, repeat, site, new).await
        })
        .await
    }

    async fn get_activity(&self, request: Request<v1::GetActivityRequest>) -> Answer<v1::Activity> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_activity(&message.name))?;
            app.activity(&call, &at).await.map(|view| view.to_wire())
        })
        .await
    }

    async fn list_activities(
        &self,
        request: Request<v1::ListActivitiesRequest>,
    ) -> Answer<v1::ListActivitiesResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let kind = check.take("kind", ActivityKind::optional(message.kind));
            let state = check.take("state", ActivityState::optional(message.state));
            let occasion = check.optional("occasion", &message.occasion, Occasion::from_code);
            let (site, ((kind, state), occasion)) = check.finish(site.zip(kind.zip(state).zip(occasion)))?;
            let query: [&[u8]; 4] = [
                message.parent.as_bytes(),
                &message.kind.to_be_bytes(),
                &message.state.to_be_bytes(),
                message.occasion.as_bytes(),
            ];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let filter = ActivityFilter { kind, state, occasion };
            let page = app.activities(&call, &site, filter, wanted).await?;
            Ok(v1::ListActivitiesResponse {
                activities: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn update_activity(&self, request: Request<v1::UpdateActivityRequest>) -> Answer<v1::Activity> {
        self.write(request, |app, call, repeat, message| async move {
            let update = activity_update(&message)?;
            app.update_activity(&call, repeat, update).await
        })
        .await
    }

    async fn hold_activity(&self, request: Request<v1::HoldActivityRequest>) -> Answer<v1::Activity> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_activity(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let since = match &message.hold_time {
                Some(_) => check.instant("hold_time", message.hold_time.as_ref()).map(Some),
                None => Some(None),
            };
            let ((at, version), since) = check.finish(at.zip(version).zip(since))?;
            let update = Update { site: at.site, id: at.id, version, change: Outlook::Held(since) };
            app.settle_activity(&call, repeat, update).await
        })
        .await
    }

    async fn cancel_activity(&self, request: Request<v1::CancelActivityRequest>) -> Answer<v1::Activity> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_activity(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let reason = check.take("reason", Line::new(&message.reason));
            let ((at, version), reason) = check.finish(at.zip(version).zip(reason))?;
            let update = Update { site: at.site, id: at.id, version, change: Outlook::Cancelled(reason) };
            app.settle_activity(&call, repeat, update).await
        })
        .await
    }

    async fn record_attendance(
        &self,
        request: Request<v1::RecordAttendanceRequest>,
    ) -> Answer<v1::Attendance> {
        self.write(request, |app, call, repeat, message| async move {
            let (at, new) = new_attendance(&message)?;
            app.record_attendance(&call, repeat, at, new).await
        })
        .await
    }

    async fn list_attendances(
        &self,
        request: Request<v1::ListAttendancesRequest>,
    ) -> Answer<v1::ListAttendancesResponse> {
        self.read(request, |app, call, message| async move {
            let at = one("parent", name::parse_activity(&message.parent))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.attendances(&call, &at, wanted).await?;
            Ok(v1::ListAttendancesResponse {
                attendances: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }
}

impl Shows<ActivityView> for v1::Activity {
    fn shows(view: &ActivityView) -> Self {
        let activity = &view.activity;
        let (planner, plan_time) = signed(Some(&activity.planned));
        let (hold_time, cancel_reason) = match &activity.course {
            ActivityCourse::Planned => (None, String::new()),
            ActivityCourse::Held { at, .. } => (Some(timestamp(*at)), String::new()),
            ActivityCourse::Cancelled { reason, .. } => (None, reason.as_str().to_owned()),
        };
        let number = |people: u32| i32::try_from(people).unwrap_or(i32::MAX);
        Self {
            name: name::activity(&activity.site, &activity.id),
            etag: etag(activity.version),
            kind: activity.kind.number(),
            display_name: activity.title.as_str().to_owned(),
            occasion: activity.occasion.map(|occasion| occasion.code().to_owned()).unwrap_or_default(),
            date: activity.day.to_string(),
            place: text(activity.place.as_ref()),
            care_groups: activity.groups.iter().map(name::care_group).collect(),
            budget_fen: activity.budget.map_or(0, Fen::get),
            state: activity.state().number(),
            planner,
            plan_time,
            hold_time,
            cancel_reason,
            occasion_date: date(view.season.map(|season| season.day)),
            season_start_date: date(view.season.map(|season| season.days.start())),
            season_end_date: date(view.season.map(|season| season.days.end().plus_days(-1))),
            paid_fen: view.cost.paid.get(),
            approved_fen: view.cost.approved.get(),
            resident_count: number(view.residents),
            staff_count: number(view.staff),
        }
    }
}

impl Shows<AttendanceView> for v1::Attendance {
    fn shows(view: &AttendanceView) -> Self {
        let attendance = &view.attendance;
        Self {
            record: name::record(&attendance.site, &attendance.record),
            occur_time: Some(timestamp(view.occurred_at)),
            residents: view.residents.iter().map(|id| name::resident(&attendance.site, id)).collect(),
            staff: attendance.staff.iter().map(name::staff).collect(),
            record_time: Some(timestamp(attendance.recorded_at)),
        }
    }
}

fn new_activity(message: &v1::PlanActivityRequest) -> Result<(SiteId, NewActivity)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let id = check.optional("activity_id", &message.activity_id, ActivityId::new);
    let activity = message.activity.clone().unwrap_or_default();
    let kind = check.take("activity.kind", Listed::listed(activity.kind));
    let title = check.take("activity.display_name", Line::new(&activity.display_name));
    let occasion = check.optional("activity.occasion", &activity.occasion, Occasion::from_code);
    let day = check.take("activity.date", required_date(&activity.date));
    let place = check.take("activity.place", Line::optional(&activity.place));
    let groups = groups(&mut check, &activity.care_groups);
    let budget = check.take("activity.budget_fen", budget(activity.budget_fen));
    let what = kind.zip(title).zip(occasion.zip(day));
    let parsed = site.zip(id).zip(what).zip(place.zip(groups).zip(budget));
    let (((site, id), ((kind, title), (occasion, day))), ((place, groups), budget)) = check.finish(parsed)?;
    Ok((site, NewActivity { id, kind, title, occasion, day, place, groups, budget }))
}

fn activity_update(message: &v1::UpdateActivityRequest) -> Result<Update<ActivityId, ActivityUpdate>> {
    let mut check = Check::new();
    let activity = message.activity.clone().unwrap_or_default();
    let at = check.take("activity.name", name::parse_activity(&activity.name));
    let version = check.take("activity.etag", parse_etag(&activity.etag));
    let mask = mask(&mut check, message.update_mask.as_ref(), UPDATABLE, "activity");
    let title = mask.taken(&mut check, "display_name", "activity", || Line::new(&activity.display_name));
    let occasion = mask.taken(&mut check, "occasion", "activity", || {
        let code = activity.occasion.as_str();
        if code.is_empty() { Ok(None) } else { Occasion::from_code(code).map(Some) }
    });
    let day = mask.taken(&mut check, "date", "activity", || required_date(&activity.date));
    let place = mask.taken(&mut check, "place", "activity", || Line::optional(&activity.place));
    let groups = if mask.holds("care_groups") {
        groups(&mut check, &activity.care_groups).map(Some)
    } else {
        Some(None)
    };
    let budget = mask.taken(&mut check, "budget_fen", "activity", || budget(activity.budget_fen));
    let parsed = at.zip(version).zip(title.zip(occasion).zip(day)).zip(place.zip(groups).zip(budget));
    let (((at, version), ((title, occasion), day)), ((place, groups), budget)) = check.finish(parsed)?;
    let change = ActivityUpdate { title, occasion, day, place, groups, budget };
    Ok(Update { site: at.site, id: at.id, version, change })
}

/// What is set aside; 0: nothing.
fn budget(fen: i64) -> std::result::Result<Option<Fen>, Invalid> {
    if fen == 0 { Ok(None) } else { Fen::new(fen).map(Some) }
}

/// Care groups, each once.
fn groups(check: &mut Check, names: &[String]) -> Option<Vec<GroupCode>> {
    if names.len() > ACTIVITY_GROUPS_MAX {
        check.refuse("activity.care_groups", Invalid::TooMany { max: ACTIVITY_GROUPS_MAX });
    }
    each_once(check, "activity.care_groups", names.iter().take(ACTIVITY_GROUPS_MAX), |check, field, text| {
        check.take(field, name::parse_care_group(text))
    })
}

fn new_attendance(message: &v1::RecordAttendanceRequest) -> Result<(InSite<ActivityId>, NewAttendance)> {
    let mut check = Check::new();
    let at = check.take("name", name::parse_activity(&message.name));
    if message.residents.is_empty() {
        check.refuse("residents", Invalid::Missing);
    }
    if message.residents.len() > RECORD_SUBJECTS_MAX {
        check.refuse("residents", Invalid::TooMany { max: RECORD_SUBJECTS_MAX });
    }
    if message.staff.len() > ACTIVITY_STAFF_MAX {
        check.refuse("staff", Invalid::TooMany { max: ACTIVITY_STAFF_MAX });
    }
    let site = at.as_ref().map(|at| at.site.clone());
    let residents = message.residents.iter().take(RECORD_SUBJECTS_MAX);
    let residents: Option<Vec<ResidentId>> =
        each_once(&mut check, "residents", residents, |check, field, text| {
            let InSite { site: of, id } = check.take(field, name::parse_resident(text))?;
            if let Some(site) = &site {
                check.same_site(field, site, &of);
            }
            Some(id)
        });
    let staff = message.staff.iter().take(ACTIVITY_STAFF_MAX);
    let staff: Option<Vec<StaffId>> = each_once(&mut check, "staff", staff, |check, field, text| {
        check.take(field, name::parse_staff(text))
    });
    let occurred_at = match &message.occur_time {
        Some(_) => check.instant("occur_time", message.occur_time.as_ref()).map(Some),
        None => Some(None),
    };
    let (at, ((residents, staff), occurred_at)) =
        check.finish(at.zip(residents.zip(staff).zip(occurred_at)))?;
    Ok((at, NewAttendance { residents, staff, occurred_at }))
}

/// The things that a list names, none of them twice; `None` where one is refused.
fn each_once<'m, T: PartialEq>(
    check: &mut Check,
    list: &str,
    names: impl Iterator<Item = &'m String>,
    parse: impl Fn(&mut Check, &str, &str) -> Option<T>,
) -> Option<Vec<T>> {
    let mut found: Vec<T> = Vec::new();
    let mut whole = true;
    for (at, text) in names.enumerate() {
        let field = format!("{list}[{at}]");
        match parse(check, &field, text) {
            Some(item) if found.contains(&item) => check.refuse(field, Invalid::Duplicate),
            Some(item) => found.push(item),
            None => whole = false,
        }
    }
    whole.then_some(found)
}
