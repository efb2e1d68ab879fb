//! `FacilityService`.

use linli_core::facility::{self, FacilityKind};
use linli_core::id::{FacilityId, SiteId};
use linli_core::invalid::Invalid;
use linli_core::kind::Confidence;
use linli_core::record::RECORD_SUBJECTS_MAX;
use linli_core::text::{Line, Paragraph};
use linli_core::time::CivilDate;
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, date, etag, label, parse_etag};
use super::page::Binding;
use super::request::{mask, next, one, text, wanted};
use crate::app::facility::{
    FacilityFilter, FacilityUpdate, FacilityView, NewDefect, NewFacility, NewInspection,
};
use crate::app::site::Update;
use crate::error::Result;
use crate::name;

type Answer<M> = std::result::Result<Response<M>, Status>;

/// The fields of a facility that an update may change.
const UPDATABLE: &[&str] = &["kind", "display_name", "building", "retire_date"];

#[tonic::async_trait]
impl v1::facility_service_server::FacilityService for Face {
    async fn get_facility(&self, request: Request<v1::GetFacilityRequest>) -> Answer<v1::Facility> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_facility(&message.name))?;
            app.facility(&call, &at.site, &at.id).await.map(|facility| facility.to_wire())
        })
        .await
    }

    async fn list_facilities(
        &self,
        request: Request<v1::ListFacilitiesRequest>,
    ) -> Answer<v1::ListFacilitiesResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let kind = check.take("kind", FacilityKind::optional(message.kind));
            let (site, kind) = check.finish(site.zip(kind))?;
            let v1::ListFacilitiesRequest { overdue, defective, show_retired: retired, .. } = message;
            let flags = [u8::from(overdue), u8::from(defective), u8::from(retired)];
            let query: [&[u8]; 3] = [message.parent.as_bytes(), &message.kind.to_be_bytes(), &flags];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let filter = FacilityFilter { kind, overdue, defective, retired };
            let page = app.facilities(&call, &site, filter, wanted).await?;
            Ok(v1::ListFacilitiesResponse {
                facilities: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn create_facility(&self, request: Request<v1::CreateFacilityRequest>) -> Answer<v1::Facility> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = new_facility(&message)?;
            app.create_facility(&call, repeat, site, new).await
        })
        .await
    }

    async fn update_facility(&self, request: Request<v1::UpdateFacilityRequest>) -> Answer<v1::Facility> {
        self.write(request, |app, call, repeat, message| async move {
            let update = facility_update(&message)?;
            app.update_facility(&call, repeat, update).await
        })
        .await
    }

    async fn record_inspection(&self, request: Request<v1::RecordInspectionRequest>) -> Answer<v1::Record> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = new_inspection(&message)?;
            app.record_inspection(&call, repeat, site, new).await
        })
        .await
    }

    async fn report_defect(&self, request: Request<v1::ReportDefectRequest>) -> Answer<v1::Request> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_facility(&message.name));
            let description = check.take("description", Paragraph::new(&message.description));
            let found_at = match &message.occur_time {
                Some(_) => check.instant("occur_time", message.occur_time.as_ref()).map(Some),
                None => Some(None),
            };
            let (at, (description, found_at)) = check.finish(at.zip(description.zip(found_at)))?;
            let defect = NewDefect { description, dangerous: message.dangerous, found_at };
            app.report_defect(&call, repeat, at.site, at.id, defect).await
        })
        .await
    }
}

impl Shows<FacilityView> for v1::Facility {
    fn shows(view: &FacilityView) -> Self {
        let facility = &view.facility;
        Self {
            name: name::facility(&facility.site, &facility.id),
            etag: etag(facility.version),
            kind: facility.kind.number(),
            display_name: facility.title.as_str().to_owned(),
            building: text(facility.building.as_ref()),
            retire_date: date(facility.retired_on),
            create_time: Some(timestamp(facility.created_at)),
            last_inspection_time: view.inspected_at.map(timestamp),
            inspection_overdue: view.overdue,
            open_defects: view.defects.iter().map(|id| name::request(&facility.site, id)).collect(),
            citation: Some(facility::REPAIR.citation(Confidence::Verified).to_wire()),
            liability: label(&facility::liability()),
        }
    }
}

fn new_facility(message: &v1::CreateFacilityRequest) -> Result<(SiteId, NewFacility)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let id = check.optional("facility_id", &message.facility_id, FacilityId::new);
    let facility = message.facility.clone().unwrap_or_default();
    let kind = check.take("facility.kind", Listed::listed(facility.kind));
    let title = check.take("facility.display_name", Line::new(&facility.display_name));
    let building = check.take("facility.building", Line::optional(&facility.building));
    let parsed = site.zip(id).zip(kind.zip(title).zip(building));
    let ((site, id), ((kind, title), building)) = check.finish(parsed)?;
    Ok((site, NewFacility { id, kind, title, building }))
}

fn facility_update(message: &v1::UpdateFacilityRequest) -> Result<Update<FacilityId, FacilityUpdate>> {
    let mut check = Check::new();
    let facility = message.facility.clone().unwrap_or_default();
    let at = check.take("facility.name", name::parse_facility(&facility.name));
    let version = check.take("facility.etag", parse_etag(&facility.etag));
    let mask = mask(&mut check, message.update_mask.as_ref(), UPDATABLE, "facility");
    let kind = mask.taken(&mut check, "kind", "facility", || Listed::listed(facility.kind));
    let title = mask.taken(&mut check, "display_name", "facility", || Line::new(&facility.display_name));
    let building = mask.taken(&mut check, "building", "facility", || Line::optional(&facility.building));
    let retired_on = mask.taken(&mut check, "retire_date", "facility", || {
        let date = facility.retire_date.as_str();
        if date.is_empty() { Ok(None) } else { CivilDate::parse(date).map(Some) }
    });
    let parsed = at.zip(version).zip(kind.zip(title).zip(building.zip(retired_on)));
    let ((at, version), ((kind, title), (building, retired_on))) = check.finish(parsed)?;
    let change = FacilityUpdate { kind, title, building, retired_on };
    Ok(Update { site: at.site, id: at.id, version, change })
}

fn new_inspection(message: &v1::RecordInspectionRequest) -> Result<(SiteId, NewInspection)> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let occurred_at = check.instant("occur_time", message.occur_time.as_ref());
    let performer = check.optional("performer", &message.performer, name::parse_staff);
    if message.facilities.is_empty() {
        check.refuse("facilities", Invalid::Missing);
    }
    if message.facilities.len() > RECORD_SUBJECTS_MAX {
        check.refuse("facilities", Invalid::TooMany { max: RECORD_SUBJECTS_MAX });
    }
    let mut facilities: Vec<FacilityId> = Vec::new();
    for (at, text) in message.facilities.iter().take(RECORD_SUBJECTS_MAX).enumerate() {
        let field = format!("facilities[{at}]");
        let Some(facility) = check.take(field.clone(), name::parse_facility(text)) else { continue };
        if site.as_ref().is_some_and(|site| *site != facility.site) {
            check.refuse(field, Invalid::ForeignSite);
        } else if facilities.contains(&facility.id) {
            check.refuse(field, Invalid::Duplicate);
        } else {
            facilities.push(facility.id);
        }
    }
    let (site, (occurred_at, performer)) = check.finish(site.zip(occurred_at.zip(performer)))?;
    Ok((site, NewInspection { facilities, occurred_at, performer }))
}
