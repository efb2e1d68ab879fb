//! `SiteService`.

use linli_core::id::{AreaId, DwellingId, FieldCode, PluginId, PostId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::site::{Area, AreaKind, Dwelling, Post, PostHolder, Site};
use linli_core::text::Line;
use linli_core::time::SiteZone;
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, date, etag, fact_value, parse_etag};
use super::page::Binding;
use super::request::{mask, next, one, required_date, text, wanted};
use crate::app::post::{HolderEnd, NewPost, PostUpdate};
use crate::app::site::{
    AreaUpdate, DwellingUpdate, NewArea, NewDwelling, NewSite, ParameterChanges, Parameters, SiteUpdate,
    Update,
};
use crate::error::Result;
use crate::name;

type Answer<M> = std::result::Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::site_service_server::SiteService for Face {
    async fn get_site(&self, request: Request<v1::GetSiteRequest>) -> Answer<v1::Site> {
        self.read(request, |app, call, message| async move {
            let id = one("name", name::parse_site(&message.name))?;
            app.site(&call, &id).await.map(|site| site.to_wire())
        })
        .await
    }

    async fn list_sites(&self, request: Request<v1::ListSitesRequest>) -> Answer<v1::ListSitesResponse> {
        self.read(request, |app, call, message| async move {
            let binding = Binding::new(&call, &[]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.sites(&call, wanted).await?;
            Ok(v1::ListSitesResponse {
                sites: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn create_site(&self, request: Request<v1::CreateSiteRequest>) -> Answer<v1::Site> {
        self.write(request, |app, call, repeat, message| async move {
            let new = new_site(&message)?;
            app.create_site(&call, repeat, new).await
        })
        .await
    }

    async fn report_weather(&self, request: Request<v1::ReportWeatherRequest>) -> Answer<v1::CareEvent> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let site = check.take("name", name::parse_site(&message.name));
            let time = match &message.announce_time {
                Some(_) => check.instant("announce_time", message.announce_time.as_ref()).map(Some),
                None => Some(None),
            };
            let (site, announced_at) = check.finish(site.zip(time))?;
            app.report_weather(&call, repeat, site, announced_at).await
        })
        .await
    }

    async fn update_site(&self, request: Request<v1::UpdateSiteRequest>) -> Answer<v1::Site> {
        self.write(request, |app, call, repeat, message| async move {
            let update = site_update(&message)?;
            app.update_site(&call, repeat, update).await
        })
        .await
    }

    async fn get_dwelling(&self, request: Request<v1::GetDwellingRequest>) -> Answer<v1::Dwelling> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_dwelling(&message.name))?;
            app.dwelling(&call, &at.site, &at.id).await.map(|dwelling| dwelling.to_wire())
        })
        .await
    }

    async fn list_dwellings(
        &self,
        request: Request<v1::ListDwellingsRequest>,
    ) -> Answer<v1::ListDwellingsResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_sites(&message.parent));
            let building = check.take("building", Line::optional(&message.building));
            let (site, building) = check.finish(site.zip(building))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes(), message.building.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.dwellings(&call, &site, building.as_ref(), wanted).await?;
            Ok(v1::ListDwellingsResponse {
                dwellings: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn create_dwelling(&self, request: Request<v1::CreateDwellingRequest>) -> Answer<v1::Dwelling> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = new_dwelling(&message)?;
            app.create_dwelling(&call, repeat, site, new).await
        })
        .await
    }

    async fn update_dwelling(&self, request: Request<v1::UpdateDwellingRequest>) -> Answer<v1::Dwelling> {
        self.write(request, |app, call, repeat, message| async move {
            let update = dwelling_update(&message)?;
            app.update_dwelling(&call, repeat, update).await
        })
        .await
    }

    async fn get_area(&self, request: Request<v1::GetAreaRequest>) -> Answer<v1::Area> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_area(&message.name))?;
            app.area(&call, &at.site, &at.id).await.map(|area| area.to_wire())
        })
        .await
    }

    async fn list_areas(&self, request: Request<v1::ListAreasRequest>) -> Answer<v1::ListAreasResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_sites(&message.parent));
            let kind = check.take("kind", AreaKind::optional(message.kind));
            let (site, kind) = check.finish(site.zip(kind))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes(), &message.kind.to_be_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.areas(&call, &site, kind, wanted).await?;
            Ok(v1::ListAreasResponse {
                areas: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn create_area(&self, request: Request<v1::CreateAreaRequest>) -> Answer<v1::Area> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = new_area(&message)?;
            app.create_area(&call, repeat, site, new).await
        })
        .await
    }

    async fn update_area(&self, request: Request<v1::UpdateAreaRequest>) -> Answer<v1::Area> {
        self.write(request, |app, call, repeat, message| async move {
            let update = area_update(&message)?;
            app.update_area(&call, repeat, update).await
        })
        .await
    }

    async fn get_post(&self, request: Request<v1::GetPostRequest>) -> Answer<v1::Post> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_post(&message.name))?;
            app.post(&call, &at.site, &at.id).await.map(|post| post.to_wire())
        })
        .await
    }

    async fn list_posts(&self, request: Request<v1::ListPostsRequest>) -> Answer<v1::ListPostsResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_sites(&message.parent));
            let department = check.take("department", Listed::optional(message.department));
            let staff = check.optional("staff", &message.staff, name::parse_staff);
            let (site, (department, staff)) = check.finish(site.zip(department.zip(staff)))?;
            let query: [&[u8]; 3] =
                [message.parent.as_bytes(), &message.department.to_be_bytes(), message.staff.as_bytes()];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.posts(&call, &site, department, staff.as_ref(), wanted).await?;
            Ok(v1::ListPostsResponse {
                posts: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn create_post(&self, request: Request<v1::CreatePostRequest>) -> Answer<v1::Post> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = new_post(&message)?;
            app.create_post(&call, repeat, site, new).await
        })
        .await
    }

    async fn update_post(&self, request: Request<v1::UpdatePostRequest>) -> Answer<v1::Post> {
        self.write(request, |app, call, repeat, message| async move {
            let update = post_update(&message)?;
            app.update_post(&call, repeat, update).await
        })
        .await
    }

    async fn add_post_holder(&self, request: Request<v1::AddPostHolderRequest>) -> Answer<v1::Post> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_post(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let holder = match &message.holder {
                Some(holder) => post_holder(&mut check, "holder", holder),
                None => check.take("holder", Err(Invalid::Missing)),
            };
            let ((at, version), change) = check.finish(at.zip(version).zip(holder))?;
            let update = Update { site: at.site, id: at.id, version, change };
            app.add_post_holder(&call, repeat, update).await
        })
        .await
    }

    async fn end_post_holder(&self, request: Request<v1::EndPostHolderRequest>) -> Answer<v1::Post> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_post(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let staff = check.take("staff", name::parse_staff(&message.staff));
            let from = check.take("start_date", required_date(&message.start_date));
            let to = check.take("end_date", required_date(&message.end_date));
            if let (Some(from), Some(to)) = (from, to)
                && to < from
            {
                check.refuse("end_date", Invalid::EndsBeforeStart);
            }
            let parsed = at.zip(version).zip(staff.zip(from).zip(to));
            let ((at, version), ((staff, from), to)) = check.finish(parsed)?;
            let update = Update { site: at.site, id: at.id, version, change: HolderEnd { staff, from, to } };
            app.end_post_holder(&call, repeat, update).await
        })
        .await
    }

    async fn get_plugin_parameters(
        &self,
        request: Request<v1::GetPluginParametersRequest>,
    ) -> Answer<v1::PluginParameters> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_plugin_parameters(&message.name))?;
            app.plugin_parameters(&call, &at.site, &at.id).await.map(|parameters| parameters.to_wire())
        })
        .await
    }

    async fn set_plugin_parameters(
        &self,
        request: Request<v1::SetPluginParametersRequest>,
    ) -> Answer<v1::PluginParameters> {
        self.write(request, |app, call, repeat, message| async move {
            let update = parameter_update(&message)?;
            app.set_plugin_parameters(&call, repeat, update).await
        })
        .await
    }
}

impl Shows<Site> for v1::Site {
    fn shows(site: &Site) -> Self {
        Self {
            name: name::site(&site.id),
            etag: etag(site.version),
            display_name: site.title.as_str().to_owned(),
            time_zone: site.zone.name().to_owned(),
            create_time: Some(timestamp(site.created_at)),
        }
    }
}

impl Shows<Dwelling> for v1::Dwelling {
    fn shows(dwelling: &Dwelling) -> Self {
        Self {
            name: name::dwelling(&dwelling.site, &dwelling.id),
            etag: etag(dwelling.version),
            building: dwelling.building.as_str().to_owned(),
            unit: text(dwelling.unit.as_ref()),
            room: dwelling.room.as_str().to_owned(),
            display_name: dwelling.display_name(),
            create_time: Some(timestamp(dwelling.created_at)),
        }
    }
}

impl Shows<Area> for v1::Area {
    fn shows(area: &Area) -> Self {
        Self {
            name: name::area(&area.site, &area.id),
            etag: etag(area.version),
            kind: area.kind.number(),
            display_name: area.title.as_str().to_owned(),
            building: text(area.building.as_ref()),
            create_time: Some(timestamp(area.created_at)),
        }
    }
}

impl Shows<Post> for v1::Post {
    fn shows(post: &Post) -> Self {
        Self {
            name: name::post(&post.site, &post.id),
            etag: etag(post.version),
            display_name: post.title.as_str().to_owned(),
            department: post.department.number(),
            buildings: post.buildings.iter().map(|building| building.as_str().to_owned()).collect(),
            holders: post.holders.iter().map(ToWire::to_wire).collect(),
            create_time: Some(timestamp(post.created_at)),
        }
    }
}

impl Shows<PostHolder> for v1::PostHolder {
    fn shows(holder: &PostHolder) -> Self {
        Self {
            staff: name::staff(&holder.staff),
            cover: holder.cover,
            start_date: date(Some(holder.from)),
            end_date: date(holder.to),
        }
    }
}

impl Shows<Parameters> for v1::PluginParameters {
    fn shows(parameters: &Parameters) -> Self {
        let parameter = |value: &crate::app::site::ParameterValue| v1::PluginParameter {
            field: value.code.as_str().to_owned(),
            value: Some(value.value.to_wire()),
            is_default: value.is_default,
        };
        Self {
            name: name::plugin_parameters(&parameters.site, &parameters.plugin),
            etag: etag(parameters.version),
            parameters: parameters.values.iter().map(parameter).collect(),
            update_time: parameters.updated_at.map(timestamp),
        }
    }
}

fn new_site(message: &v1::CreateSiteRequest) -> Result<NewSite> {
    let mut check = Check::new();
    let id = check.optional("site_id", &message.site_id, SiteId::new);
    let site = message.site.clone().unwrap_or_default();
    let title = check.take("site.display_name", Line::new(&site.display_name));
    let zone = check.optional("site.time_zone", &site.time_zone, SiteZone::parse);
    let parsed = id.zip(title.zip(zone));
    let (id, (title, zone)) = check.finish(parsed)?;
    Ok(NewSite { id, title, zone: zone.unwrap_or(SiteZone::SHANGHAI) })
}

fn site_update(message: &v1::UpdateSiteRequest) -> Result<Update<(), SiteUpdate>> {
    let mut check = Check::new();
    let site = message.site.clone().unwrap_or_default();
    let id = check.take("site.name", name::parse_site(&site.name));
    let version = check.take("site.etag", parse_etag(&site.etag));
    let mask = mask(&mut check, message.update_mask.as_ref(), &["display_name", "time_zone"], "site");
    let title = mask.taken(&mut check, "display_name", "site", || Line::new(&site.display_name));
    let zone = mask.taken(&mut check, "time_zone", "site", || SiteZone::parse(&site.time_zone));
    let parsed = id.zip(version).zip(title.zip(zone));
    let ((id, version), (title, zone)) = check.finish(parsed)?;
    Ok(Update { site: id, id: (), version, change: SiteUpdate { title, zone } })
}

fn new_dwelling(message: &v1::CreateDwellingRequest) -> Result<(SiteId, NewDwelling)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let id = check.optional("dwelling_id", &message.dwelling_id, DwellingId::new);
    let dwelling = message.dwelling.clone().unwrap_or_default();
    let building = check.take("dwelling.building", Line::new(&dwelling.building));
    let unit = check.take("dwelling.unit", Line::optional(&dwelling.unit));
    let room = check.take("dwelling.room", Line::new(&dwelling.room));
    let parsed = site.zip(id).zip(building.zip(unit).zip(room));
    let ((site, id), ((building, unit), room)) = check.finish(parsed)?;
    Ok((site, NewDwelling { id, building, unit, room }))
}

fn dwelling_update(message: &v1::UpdateDwellingRequest) -> Result<Update<DwellingId, DwellingUpdate>> {
    let mut check = Check::new();
    let dwelling = message.dwelling.clone().unwrap_or_default();
    let at = check.take("dwelling.name", name::parse_dwelling(&dwelling.name));
    let version = check.take("dwelling.etag", parse_etag(&dwelling.etag));
    let mask = mask(&mut check, message.update_mask.as_ref(), &["building", "unit", "room"], "dwelling");
    let building = mask.taken(&mut check, "building", "dwelling", || Line::new(&dwelling.building));
    let unit = mask.taken(&mut check, "unit", "dwelling", || Line::optional(&dwelling.unit));
    let room = mask.taken(&mut check, "room", "dwelling", || Line::new(&dwelling.room));
    let parsed = at.zip(version).zip(building.zip(unit).zip(room));
    let ((at, version), ((building, unit), room)) = check.finish(parsed)?;
    Ok(Update { site: at.site, id: at.id, version, change: DwellingUpdate { building, unit, room } })
}

fn new_area(message: &v1::CreateAreaRequest) -> Result<(SiteId, NewArea)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let id = check.optional("area_id", &message.area_id, AreaId::new);
    let area = message.area.clone().unwrap_or_default();
    let kind = check.take("area.kind", Listed::listed(area.kind));
    let title = check.take("area.display_name", Line::new(&area.display_name));
    let building = check.take("area.building", Line::optional(&area.building));
    let parsed = site.zip(id).zip(kind.zip(title).zip(building));
    let ((site, id), ((kind, title), building)) = check.finish(parsed)?;
    Ok((site, NewArea { id, kind, title, building }))
}

fn area_update(message: &v1::UpdateAreaRequest) -> Result<Update<AreaId, AreaUpdate>> {
    let mut check = Check::new();
    let area = message.area.clone().unwrap_or_default();
    let at = check.take("area.name", name::parse_area(&area.name));
    let version = check.take("area.etag", parse_etag(&area.etag));
    let mask = mask(&mut check, message.update_mask.as_ref(), &["kind", "display_name", "building"], "area");
    let kind = mask.taken(&mut check, "kind", "area", || Listed::listed(area.kind));
    let title = mask.taken(&mut check, "display_name", "area", || Line::new(&area.display_name));
    let building = mask.taken(&mut check, "building", "area", || Line::optional(&area.building));
    let parsed = at.zip(version).zip(kind.zip(title).zip(building));
    let ((at, version), ((kind, title), building)) = check.finish(parsed)?;
    Ok(Update { site: at.site, id: at.id, version, change: AreaUpdate { kind, title, building } })
}

fn new_post(message: &v1::CreatePostRequest) -> Result<(SiteId, NewPost)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let id = check.optional("post_id", &message.post_id, PostId::new);
    let post = message.post.clone().unwrap_or_default();
    let title = check.take("post.display_name", Line::new(&post.display_name));
    let department = check.take("post.department", Listed::listed(post.department));
    let buildings = lines(&mut check, "post.buildings", &post.buildings);
    let holders: Vec<_> = post
        .holders
        .iter()
        .enumerate()
        .map(|(at, holder)| post_holder(&mut check, &format!("post.holders[{at}]"), holder))
        .collect();
    let holders = holders.into_iter().collect::<Option<Vec<_>>>();
    let parsed = site.zip(id).zip(title.zip(department)).zip(buildings.zip(holders));
    let (((site, id), (title, department)), (buildings, holders)) = check.finish(parsed)?;
    Ok((site, NewPost { id, title, department, buildings, holders }))
}

fn post_update(message: &v1::UpdatePostRequest) -> Result<Update<PostId, PostUpdate>> {
    let mut check = Check::new();
    let post = message.post.clone().unwrap_or_default();
    let at = check.take("post.name", name::parse_post(&post.name));
    let version = check.take("post.etag", parse_etag(&post.etag));
    let mask =
        mask(&mut check, message.update_mask.as_ref(), &["display_name", "department", "buildings"], "post");
    let title = mask.taken(&mut check, "display_name", "post", || Line::new(&post.display_name));
    let department = mask.taken(&mut check, "department", "post", || Listed::listed(post.department));
    let buildings = if mask.holds("buildings") {
        lines(&mut check, "post.buildings", &post.buildings).map(Some)
    } else {
        Some(None)
    };
    let parsed = at.zip(version).zip(title.zip(department).zip(buildings));
    let ((at, version), ((title, department), buildings)) = check.finish(parsed)?;
    Ok(Update { site: at.site, id: at.id, version, change: PostUpdate { title, department, buildings } })
}

fn post_holder(check: &mut Check, path: &str, holder: &v1::PostHolder) -> Option<PostHolder> {
    let staff = check.take(format!("{path}.staff"), name::parse_staff(&holder.staff));
    let from = check.take(format!("{path}.start_date"), required_date(&holder.start_date));
    let to = check.date(&format!("{path}.end_date"), &holder.end_date);
    let (staff, (from, to)) = staff.zip(from.zip(to))?;
    if to.is_some_and(|to| to < from) {
        check.refuse(format!("{path}.end_date"), Invalid::EndsBeforeStart);
        return None;
    }
    Some(PostHolder { staff, cover: holder.cover, from, to })
}

fn parameter_update(message: &v1::SetPluginParametersRequest) -> Result<Update<PluginId, ParameterChanges>> {
    let mut check = Check::new();
    let at = check.take("name", name::parse_plugin_parameters(&message.name));
    let version = check.take("etag", parse_etag(&message.etag));
    let mut change = ParameterChanges::new();
    if message.parameters.is_empty() {
        check.refuse("parameters", Invalid::Missing);
    }
    for (at, parameter) in message.parameters.iter().enumerate() {
        let value = match parameter.value.as_ref().filter(|value| value.kind.is_some()) {
            Some(value) => check.take(format!("parameters[{at}].value"), fact_value(value)).map(Some),
            None => Some(None),
        };
        let code = check.take(format!("parameters[{at}].field"), FieldCode::new(&parameter.field));
        if let Some((code, value)) = code.zip(value)
            && change.insert(code, value).is_some()
        {
            check.refuse(format!("parameters[{at}].field"), Invalid::Duplicate);
        }
    }
    let (at, version) = check.finish(at.zip(version))?;
    Ok(Update { site: at.site, id: at.id, version, change })
}

fn lines(check: &mut Check, field: &str, texts: &[String]) -> Option<Vec<Line>> {
    let parsed: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| check.take(format!("{field}[{at}]"), Line::new(text)))
        .collect();
    parsed.into_iter().collect()
}
