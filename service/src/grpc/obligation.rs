//! `ObligationService`.

use linli_core::id::{PostId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::obligation::{Flags, ObligationStatus, Opening};
use linli_core::worklist::Urgency;
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, label};
use super::page::Binding;
use super::request::{next, one, wanted};
use super::{Answers, Face, Tells, page};
use crate::app::obligation::{
    ObligationFilter, ObligationView, StandardStanding, StandingView, WATCH_UPDATES_MAX, Watched,
    WorklistItem, WorklistRequest, WorklistWatch,
};
use crate::error::Result;
use crate::name::{self, Sites};

type Answer<M> = std::result::Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::obligation_service_server::ObligationService for Face {
    async fn list_obligations(
        &self,
        request: Request<v1::ListObligationsRequest>,
    ) -> Answer<v1::ListObligationsResponse> {
        self.read(request, |app, call, message| async move {
            let (sites, filter) = obligation_filter(&message)?;
            let statuses: Vec<u8> = message.statuses.iter().flat_map(|status| status.to_be_bytes()).collect();
            let binding = Binding::new(
                &call,
                &[
                    message.parent.as_bytes(),
                    &statuses,
                    message.start_date.as_bytes(),
                    message.end_date.as_bytes(),
                    &message.department.to_be_bytes(),
                    message.resident.as_bytes(),
                    message.standard.as_bytes(),
                ],
            );
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = Box::pin(app.obligations(&call, &sites, &filter, wanted)).await?;
            Ok(v1::ListObligationsResponse {
                obligations: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn get_standing(&self, request: Request<v1::GetStandingRequest>) -> Answer<v1::Standing> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_resident(&message.name))?;
            Box::pin(app.standing(&call, &at)).await.map(|standing| standing.to_wire())
        })
        .await
    }

    type WatchWorklistStream = Answers<v1::WatchWorklistResponse>;

    async fn watch_worklist(
        &self,
        request: Request<v1::WatchWorklistRequest>,
    ) -> Answer<Self::WatchWorklistStream> {
        self.stream(request, |app, call, message| {
            let mut check = Check::new();
            let at = check.take("parent", site_and_post(&message.parent));
            let until = check.date("until_date", &message.until_date);
            let updates =
                check.take("update_limit", page::answer_limit(message.update_limit, WATCH_UPDATES_MAX));
            let size = page::size(message.page_size);
            let ((site, post), (until, updates)) = check.finish(at.zip(until.zip(updates)))?;
            app.watch_worklist(call, WorklistRequest { site, post, until }, size?, updates)
        })
        .await
    }

    async fn list_worklist(
        &self,
        request: Request<v1::ListWorklistRequest>,
    ) -> Answer<v1::ListWorklistResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("parent", site_and_post(&message.parent));
            let until = check.date("until_date", &message.until_date);
            let ((site, post), until) = check.finish(at.zip(until))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes(), message.until_date.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.worklist(&call, &WorklistRequest { site, post, until }, wanted).await?;
            Ok(v1::ListWorklistResponse {
                items: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }
}

impl Tells<v1::WatchWorklistResponse> for WorklistWatch {
    async fn tell(&mut self) -> Result<Option<v1::WatchWorklistResponse>> {
        Ok(self.next().await?.map(|watched| watched.to_wire()))
    }
}

impl Shows<Watched> for v1::WatchWorklistResponse {
    fn shows(watched: &Watched) -> Self {
        Self {
            items: watched.items.iter().map(ToWire::to_wire).collect(),
            more: watched.more,
            as_of_time: Some(timestamp(watched.as_of)),
            next_change_time: Some(timestamp(watched.next_change_at)),
        }
    }
}

impl Shows<ObligationView> for v1::Obligation {
    fn shows(view: &ObligationView) -> Self {
        let obligation = &view.obligation;
        let standard = &obligation.standard;
        let (event, occasion) = match &obligation.opening {
            Opening::Event(id) => (name::event(&view.site, id), String::new()),
            Opening::Occasion { year, .. } => (String::new(), format!("{}-{year}", occasion(standard))),
            Opening::Window(_) | Opening::PauseOverdue(_) | Opening::Record(_) => Default::default(),
        };
        let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            key: view.key(),
            subject: name::subject(&view.site, &obligation.subject),
            subject_kind: obligation.subject.kind().number(),
            display_name: view.display_name.clone(),
            standard: name::standard(&standard.code),
            standard_version: number(standard.version),
            title: label(&standard.title),
            department: standard.department.number(),
            status: obligation.status.number(),
            flags: flags(obligation.flags),
            required: obligation.required.into(),
            credited: obligation.credited.into(),
            credited_records: obligation.credits.iter().map(|id| name::record(&view.site, id)).collect(),
            window_start_time: Some(timestamp(obligation.start)),
            window_end_time: Some(timestamp(view.window_end)),
            window_start_date: obligation.window.start().to_string(),
            window_end_date: obligation.last_day().to_string(),
            due_time: Some(timestamp(obligation.due)),
            event,
            occasion,
            window_days: number(view.window_days),
            eligible_days: number(obligation.eligible_days),
            active_days: number(obligation.active_days),
            reasons: view.reasons.iter().map(ToWire::to_wire).collect(),
            next_change_time: obligation.next_change_at.map(timestamp),
        }
    }
}

impl Shows<StandingView> for v1::Standing {
    fn shows(standing: &StandingView) -> Self {
        Self {
            resident: name::resident(&standing.site, &standing.resident),
            display_name: standing.display_name.clone(),
            as_of_time: Some(timestamp(standing.as_of)),
            tier: standing.tier.number(),
            standards: standing.standards.iter().map(|standard| of_standard(standing, standard)).collect(),
            next_change_time: standing.next_change_at.map(timestamp),
            assessment_stale: standing.assessment_stale,
        }
    }
}

fn of_standard(of: &StandingView, standing: &StandardStanding) -> v1::StandardStanding {
    let (site, resident) = (&of.site, &of.resident);
    v1::StandardStanding {
        standard: name::standard(&standing.standard.code),
        title: label(&standing.standard.title),
        groups: standing.groups.iter().map(|group| group.as_str().to_owned()).collect(),
        reasons: standing.reasons.iter().map(ToWire::to_wire).collect(),
        obligations: standing.obligations.iter().map(ToWire::to_wire).collect(),
        loosened: standing.loosened,
        overrides: standing.overrides.iter().map(|id| name::standard_override(site, id)).collect(),
        plan: standing.plan.map(|revision| name::plan(site, resident, &revision)).unwrap_or_default(),
        waivers: standing.waivers.iter().map(|id| name::waiver(site, resident, id)).collect(),
    }
}

impl Shows<WorklistItem> for v1::WorklistItem {
    fn shows(item: &WorklistItem) -> Self {
        let status = match item.urgency {
            Urgency::Overdue => ObligationStatus::Missed,
            Urgency::AtRisk => ObligationStatus::AtRisk,
            Urgency::Open => ObligationStatus::Open,
        };
        Self {
            subject: item
                .subject
                .as_ref()
                .map(|subject| name::subject(&item.site, subject))
                .unwrap_or_default(),
            display_name: item.display_name.clone(),
            dwelling_display_name: item.dwelling.clone(),
            kind: item.kind.number(),
            times: i32::try_from(item.times).unwrap_or(i32::MAX),
            due_time: Some(timestamp(item.due)),
            status: status.number(),
            tier: item.tier.map_or(0, Listed::number),
            cautions: item.cautions.iter().map(ToWire::to_wire).collect(),
            answers: item.answers.iter().map(|event| name::event(&item.site, event)).collect(),
            obligations: item.obligations.iter().map(ToWire::to_wire).collect(),
        }
    }
}

fn obligation_filter(message: &v1::ListObligationsRequest) -> Result<(Sites, ObligationFilter)> {
    let mut check = Check::new();
    let sites = check.take("parent", name::parse_sites(&message.parent));
    let mut statuses: Vec<ObligationStatus> = Vec::with_capacity(message.statuses.len());
    for (at, status) in message.statuses.iter().enumerate() {
        statuses.extend(check.take(format!("statuses[{at}]"), ObligationStatus::listed(*status)));
    }
    let from = check.date("start_date", &message.start_date);
    let to = check.date("end_date", &message.end_date);
    let department = check.take("department", Listed::optional(message.department));
    let resident = check.optional("resident", &message.resident, name::parse_resident);
    let standard = check.optional("standard", &message.standard, name::parse_standard);
    if let (Some(Some(from)), Some(Some(to))) = (from, to)
        && to < from
    {
        check.refuse("end_date", Invalid::EndsBeforeStart);
    }
    if let (Some(Sites::One(site)), Some(Some(resident))) = (&sites, &resident) {
        check.same_site("resident", site, &resident.site);
    }
    let parsed = sites.zip(from.zip(to)).zip(department.zip(resident).zip(standard));
    let ((sites, (from, to)), ((department, resident), standard)) = check.finish(parsed)?;
    // A resident belongs to one site: the others need not be asked.
    let sites = match &resident {
        Some(resident) => Sites::One(resident.site.clone()),
        None => sites,
    };
    let resident = resident.map(|resident| resident.id);
    Ok((sites, ObligationFilter { statuses, from, to, department, resident, standard }))
}

/// `sites/{site}/posts/{post}`, or `sites/{site}/posts/-` for the whole site.
fn site_and_post(text: &str) -> std::result::Result<(SiteId, Option<PostId>), Invalid> {
    match text.strip_suffix("/posts/-") {
        Some(site) => name::parse_site(site).map(|site| (site, None)),
        None => name::parse_post(text).map(|at| (at.site, Some(at.id))),
    }
}

fn occasion(standard: &linli_core::standard::Standard) -> String {
    use linli_core::standard::{Duty, OccasionRef};
    match &standard.duty {
        Duty::Seasonal { occasion: OccasionRef::BuiltIn(occasion), .. } => occasion.code().to_owned(),
        Duty::Seasonal { occasion: OccasionRef::Site(code), .. } => code.as_str().to_owned(),
        Duty::Recurring { .. } | Duty::Triggered { .. } => String::new(),
    }
}

fn flags(flags: Flags) -> Vec<i32> {
    let late_entry = flags.late_entry.then_some(v1::ObligationFlag::LateEntry);
    let late_pause = flags.late_pause.then_some(v1::ObligationFlag::LatePause);
    late_entry.into_iter().chain(late_pause).map(Into::into).collect()
}
