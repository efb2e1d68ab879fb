//! `CatalogService`.

use linli_core::group::{CareGroup, Citation};
use linli_core::standard::{Duty, LadderStep, Origin, RunsOn, Selector, Standard, Substitute};
use linli_core::time::CivilDate;
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::Check;
use super::convert::{Listed, Shows, ToWire, date, label, parse_etag};
use super::numbers::kinds;
use super::page::Binding;
use super::request::{next, one, wanted};
use crate::app::catalog::StandardFilter;
use crate::app::site::Update;
use crate::app::standard_override::OverrideFilter;
use crate::name;

type Answer<M> = std::result::Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::catalog_service_server::CatalogService for Face {
    async fn get_care_group(&self, request: Request<v1::GetCareGroupRequest>) -> Answer<v1::CareGroup> {
        self.read(request, |app, call, message| async move {
            let code = one("name", name::parse_care_group(&message.name))?;
            app.care_group(&call, &code).await.map(|group| group.as_ref().to_wire())
        })
        .await
    }

    async fn list_care_groups(
        &self,
        request: Request<v1::ListCareGroupsRequest>,
    ) -> Answer<v1::ListCareGroupsResponse> {
        self.read(request, |app, call, message| async move {
            let binding = Binding::new(&call, &[]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.care_groups(&call, wanted).await?;
            Ok(v1::ListCareGroupsResponse {
                care_groups: page.items.iter().map(|group| group.as_ref().to_wire()).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn get_standard(&self, request: Request<v1::GetStandardRequest>) -> Answer<v1::Standard> {
        self.read(request, |app, call, message| async move {
            let code = one("name", name::parse_standard(&message.name))?;
            app.standard(&call, &code).await.map(|standard| standard.as_ref().to_wire())
        })
        .await
    }

    async fn list_standards(
        &self,
        request: Request<v1::ListStandardsRequest>,
    ) -> Answer<v1::ListStandardsResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let group = check.optional("care_group", &message.care_group, name::parse_care_group);
            let department = check.take("department", Listed::optional(message.department));
            let (group, department) = check.finish(group.zip(department))?;
            let query: [&[u8]; 2] = [message.care_group.as_bytes(), &message.department.to_be_bytes()];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.standards(&call, &StandardFilter { group, department }, wanted).await?;
            Ok(v1::ListStandardsResponse {
                standards: page.items.iter().map(|standard| standard.as_ref().to_wire()).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn override_standard(
        &self,
        request: Request<v1::OverrideStandardRequest>,
    ) -> Answer<v1::StandardOverride> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = super::standard_override::new_override(&message)?;
            app.override_standard(&call, repeat, site, new).await
        })
        .await
    }

    async fn approve_override(
        &self,
        request: Request<v1::ApproveOverrideRequest>,
    ) -> Answer<v1::StandardOverride> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_override(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let (at, version) = check.finish(at.zip(version))?;
            let update = Update { site: at.site, id: at.id, version, change: () };
            app.approve_override(&call, repeat, update).await
        })
        .await
    }

    async fn retire_override(
        &self,
        request: Request<v1::RetireOverrideRequest>,
    ) -> Answer<v1::StandardOverride> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_override(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let (at, version) = check.finish(at.zip(version))?;
            let update = Update { site: at.site, id: at.id, version, change: () };
            app.retire_override(&call, repeat, update).await
        })
        .await
    }

    async fn list_overrides(
        &self,
        request: Request<v1::ListOverridesRequest>,
    ) -> Answer<v1::ListOverridesResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let standard = check.optional("standard", &message.standard, name::parse_standard);
            let state = check.take("state", Listed::optional(message.state));
            let (site, (standard, state)) = check.finish(site.zip(standard.zip(state)))?;
            let query: [&[u8]; 3] =
                [message.parent.as_bytes(), message.standard.as_bytes(), &message.state.to_be_bytes()];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.overrides(&call, &site, &OverrideFilter { standard, state }, wanted).await?;
            Ok(v1::ListOverridesResponse {
                overrides: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn simulate_standards(
        &self,
        request: Request<v1::SimulateStandardsRequest>,
    ) -> Answer<v1::SimulateStandardsResponse> {
        self.read(request, |app, call, message| async move {
            let supposed = super::simulation::supposition(&message)?;
            let numbers = message.numbers.as_ref().map(prost::Message::encode_to_vec).unwrap_or_default();
            let query: [&[u8]; 5] = [
                message.parent.as_bytes(),
                message.standard.as_bytes(),
                &numbers,
                message.start_date.as_bytes(),
                message.end_date.as_bytes(),
            ];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let simulation = app.simulate_standards(&call, &supposed, wanted).await?;
            let token = next(&binding, simulation.subjects.next.clone());
            Ok(super::simulation::response(&simulation, token))
        })
        .await
    }
}

impl Shows<CareGroup> for v1::CareGroup {
    fn shows(group: &CareGroup) -> Self {
        Self {
            name: name::care_group(&group.code),
            code: group.code.as_str().to_owned(),
            title: label(&group.title),
            eligibility: label(&group.eligibility),
            citation: Some(group.citation.to_wire()),
            plugin: name::plugin(&group.plugin),
        }
    }
}

impl Shows<Citation> for v1::Citation {
    fn shows(citation: &Citation) -> Self {
        Self {
            instrument: label(&citation.instrument),
            locator: citation.locator.clone(),
            confidence: citation.confidence.number(),
        }
    }
}

impl Shows<Standard> for v1::Standard {
    fn shows(standard: &Standard) -> Self {
        let (origin, plugin) = origin(&standard.origin);
        Self {
            name: name::standard(&standard.code),
            code: standard.code.as_str().to_owned(),
            version: i32::try_from(standard.version).unwrap_or(i32::MAX),
            title: label(&standard.title),
            citation: Some(standard.citation.to_wire()),
            subject_kind: standard.subject.number(),
            applies_to: Some(standard.applies_to.to_wire()),
            duty: Some(duty(&standard.duty)),
            accepts: kinds(standard.accepts),
            substitutes: standard.substitutes.iter().map(substitute).collect(),
            department: standard.department.number(),
            priority: standard.priority.into(),
            prorate: standard.prorate,
            pausable: standard.pausable,
            runs_on: runs_on(standard.runs_on).into(),
            effective_from_date: date(
                Some(standard.effective.start()).filter(|day| *day >= CivilDate::FIRST_ENTERED),
            ),
            effective_until_date: date(Some(standard.effective.end()).filter(|day| *day < CivilDate::MAX)),
            origin: origin.into(),
            plugin,
            ladder: standard.ladder.map(ladder),
        }
    }
}

impl Shows<Selector> for v1::Selector {
    fn shows(selector: &Selector) -> Self {
        Self {
            any_group: selector.any_group.iter().map(|group| group.as_str().to_owned()).collect(),
            min_tier: selector.min_tier.map_or(0, Listed::number),
            max_tier: selector.max_tier.map_or(0, Listed::number),
            tags: selector.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            site: selector.site.as_ref().map(name::site).unwrap_or_default(),
            flagged: selector.flagged,
            area_kinds: selector.area_kinds.iter().map(|kind| kind.number()).collect(),
            request_kinds: selector.request_kinds.iter().map(|kind| kind.number()).collect(),
            request_urgencies: selector.request_urgencies.iter().map(|urgency| urgency.number()).collect(),
        }
    }
}

fn duty(duty: &Duty) -> v1::standard::Duty {
    use v1::standard_numbers::Duty as Wire;
    match super::numbers::duty(duty) {
        Wire::Recurring(duty) => v1::standard::Duty::Recurring(duty),
        Wire::Triggered(duty) => v1::standard::Duty::Triggered(duty),
        Wire::Seasonal(duty) => v1::standard::Duty::Seasonal(duty),
    }
}

fn substitute(substitute: &Substitute) -> v1::Substitute {
    v1::Substitute { tag: substitute.tag.as_str().to_owned(), accepts: kinds(substitute.kinds) }
}

fn runs_on(runs_on: RunsOn) -> v1::RunsOn {
    match runs_on {
        RunsOn::All => v1::RunsOn::AllDays,
        RunsOn::Workdays => v1::RunsOn::Workdays,
        RunsOn::SchoolDays => v1::RunsOn::SchoolDays,
    }
}

fn ladder(step: LadderStep) -> v1::LadderStep {
    v1::LadderStep { attempt: step.attempt.into(), quiet_hours: step.quiet_hours }
}

fn origin(origin: &Origin) -> (v1::StandardOrigin, Option<v1::PluginStamp>) {
    match origin {
        Origin::Catalogue => (v1::StandardOrigin::Catalogue, None),
        Origin::SiteOverride => (v1::StandardOrigin::SiteOverride, None),
        Origin::Plugin { id, version, digest } => {
            let stamp = v1::PluginStamp {
                plugin: name::plugin(id),
                version: version.clone(),
                digest: digest.clone(),
            };
            (v1::StandardOrigin::Plugin, Some(stamp))
        }
    }
}
