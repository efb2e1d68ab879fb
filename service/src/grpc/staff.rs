//! `StaffService`.

use linli_core::id::StaffId;
use linli_core::invalid::Invalid;
use linli_core::staff::{Credential, Grant, Reach, Staff};
use linli_core::text::Line;
use linli_core::time::Instant;
use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, instant, timestamp};
use super::convert::{Listed, Shows, ToWire, etag, parse_etag};
use super::page::Binding;
use super::request::{mask, next, one, wanted};
use crate::app::staff::{NewStaff, StaffFilter, StaffUpdate};
use crate::error::Result;
use crate::name;

type Answer<M> = std::result::Result<Response<M>, Status>;

/// Every site, also those to come.
const EVERY_SITE: &str = "sites/-";

#[tonic::async_trait]
impl v1::staff_service_server::StaffService for Face {
    async fn get_staff(&self, request: Request<v1::GetStaffRequest>) -> Answer<v1::Staff> {
        self.read(request, |app, call, message| async move {
            let id = one("name", name::parse_staff(&message.name))?;
            app.staff(&call, &id).await.map(|staff| staff.to_wire())
        })
        .await
    }

    async fn list_staff(&self, request: Request<v1::ListStaffRequest>) -> Answer<v1::ListStaffResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let site = check.optional("site", &message.site, name::parse_site);
            let role = check.take("role", Listed::optional(message.role));
            let (site, role) = check.finish(site.zip(role))?;
            let binding = Binding::new(&call, &[message.site.as_bytes(), &message.role.to_be_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.staff_list(&call, &StaffFilter { site, role }, wanted).await?;
            Ok(v1::ListStaffResponse {
                staff: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn create_staff(&self, request: Request<v1::CreateStaffRequest>) -> Answer<v1::Staff> {
        self.write(request, |app, call, repeat, message| async move {
            let new = new_staff(&message)?;
            app.create_staff(&call, repeat, new).await
        })
        .await
    }

    async fn update_staff(&self, request: Request<v1::UpdateStaffRequest>) -> Answer<v1::Staff> {
        self.write(request, |app, call, repeat, message| async move {
            let (target, update) = staff_update(&message)?;
            app.update_staff(&call, repeat, target, update).await
        })
        .await
    }

    async fn deactivate_staff(&self, request: Request<v1::DeactivateStaffRequest>) -> Answer<v1::Staff> {
        self.write(request, |app, call, repeat, message| async move {
            let target = target(&message.name, &message.etag)?;
            app.deactivate_staff(&call, repeat, target).await
        })
        .await
    }

    async fn reactivate_staff(&self, request: Request<v1::ReactivateStaffRequest>) -> Answer<v1::Staff> {
        self.write(request, |app, call, repeat, message| async move {
            let target = target(&message.name, &message.etag)?;
            app.reactivate_staff(&call, repeat, target).await
        })
        .await
    }

    async fn grant_emergency_access(
        &self,
        request: Request<v1::GrantEmergencyAccessRequest>,
    ) -> Answer<v1::EmergencyAccess> {
        self.write(request, |app, call, repeat, message| async move {
            let (at, reason) = super::emergency::taken(&message)?;
            app.grant_emergency_access(&call, repeat, at, reason).await
        })
        .await
    }

    async fn review_emergency_access(
        &self,
        request: Request<v1::ReviewEmergencyAccessRequest>,
    ) -> Answer<v1::EmergencyAccess> {
        self.write(request, |app, call, repeat, message| async move {
            let update = super::emergency::review(&message)?;
            app.review_emergency_access(&call, repeat, update).await
        })
        .await
    }

    async fn list_emergency_accesses(
        &self,
        request: Request<v1::ListEmergencyAccessesRequest>,
    ) -> Answer<v1::ListEmergencyAccessesResponse> {
        self.read(request, |app, call, message| async move {
            let (site, binding) = super::emergency::list(&call, &message)?;
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.emergency_accesses(&call, &site, message.awaiting_review, wanted).await?;
            Ok(v1::ListEmergencyAccessesResponse {
                emergency_accesses: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }
}

impl Shows<Staff> for v1::Staff {
    fn shows(staff: &Staff) -> Self {
        Self {
            name: name::staff(&staff.id),
            etag: etag(staff.version),
            display_name: staff.title.as_str().to_owned(),
            grants: staff.grants.iter().map(ToWire::to_wire).collect(),
            credentials: staff.credentials.iter().map(ToWire::to_wire).collect(),
            deactivate_time: staff.deactivated_at.map(timestamp),
            create_time: Some(timestamp(staff.created_at)),
        }
    }
}

impl Shows<Grant> for v1::StaffGrant {
    fn shows(grant: &Grant) -> Self {
        let sites = match &grant.reach {
            Reach::Everywhere => vec![EVERY_SITE.to_owned()],
            Reach::Sites(sites) => sites.iter().map(name::site).collect(),
        };
        Self {
            role: grant.role.number(),
            department: grant.department.map_or(0, Listed::number),
            sites,
            start_time: grant.from.map(timestamp),
            end_time: grant.until.map(timestamp),
            children: grant.children,
        }
    }
}

impl Shows<Credential> for v1::StaffCredential {
    fn shows(credential: &Credential) -> Self {
        Self { kind: credential.kind.number(), subject: credential.name.as_str().to_owned() }
    }
}

fn target(name: &str, etag: &str) -> Result<(StaffId, Option<u64>)> {
    let mut check = Check::new();
    let id = check.take("name", name::parse_staff(name));
    let version = check.take("etag", parse_etag(etag));
    check.finish(id.zip(version))
}

fn new_staff(message: &v1::CreateStaffRequest) -> Result<NewStaff> {
    let mut check = Check::new();
    let id = check.optional("staff_id", &message.staff_id, StaffId::new);
    let Some(staff) = &message.staff else {
        check.refuse("staff", Invalid::Missing);
        return check.finish(None);
    };
    let title = check.take("staff.display_name", Line::new(&staff.display_name));
    let grants = grants(&mut check, &staff.grants);
    let credentials = credentials(&mut check, &staff.credentials);
    let parsed = id.zip(title).zip(grants.zip(credentials));
    let ((id, title), (grants, credentials)) = check.finish(parsed)?;
    Ok(NewStaff { id, title, grants, credentials })
}

fn staff_update(message: &v1::UpdateStaffRequest) -> Result<((StaffId, Option<u64>), StaffUpdate)> {
    let mut check = Check::new();
    let allowed = ["display_name", "grants", "credentials"];
    let mask = mask(&mut check, message.update_mask.as_ref(), &allowed, "staff");
    let Some(staff) = &message.staff else {
        check.refuse("staff", Invalid::Missing);
        return check.finish(None);
    };
    let id = check.take("staff.name", name::parse_staff(&staff.name));
    let version = check.take("staff.etag", parse_etag(&staff.etag));
    let title = mask.taken(&mut check, "display_name", "staff", || Line::new(&staff.display_name));
    let grants = if mask.holds("grants") { grants(&mut check, &staff.grants).map(Some) } else { Some(None) };
    let credentials = if mask.holds("credentials") {
        credentials(&mut check, &staff.credentials).map(Some)
    } else {
        Some(None)
    };
    let parsed = id.zip(version).zip(title.zip(grants.zip(credentials)));
    let (target, (title, (grants, credentials))) = check.finish(parsed)?;
    Ok((target, StaffUpdate { title, grants, credentials }))
}

fn grants(check: &mut Check, grants: &[v1::StaffGrant]) -> Option<Vec<Grant>> {
    let parsed: Vec<Option<Grant>> = grants
        .iter()
        .enumerate()
        .map(|(at, sent)| grant(check, &format!("staff.grants[{at}]"), sent))
        .collect();
    parsed.into_iter().collect()
}

fn grant(check: &mut Check, at: &str, grant: &v1::StaffGrant) -> Option<Grant> {
    let role = check.take(format!("{at}.role"), Listed::listed(grant.role));
    let department = check.take(format!("{at}.department"), Listed::optional(grant.department));
    let reach =
        if grant.sites == [EVERY_SITE] { Some(Reach::Everywhere) } else { reach(check, at, &grant.sites) };
    let mut time = |field: &str, time: Option<&prost_types::Timestamp>| -> Option<Option<Instant>> {
        check.take(format!("{at}.{field}"), time.map(instant).transpose())
    };
    let from = time("start_time", grant.start_time.as_ref());
    let until = time("end_time", grant.end_time.as_ref());
    let made = Grant::new(role?, department?, reach?, from?, until?);
    let made = made.map(|made| made.for_children(grant.children));
    made.map_err(|(field, why)| check.refuse(format!("{at}.{field}"), why)).ok()
}

fn reach(check: &mut Check, at: &str, sites: &[String]) -> Option<Reach> {
    let mut parsed = Vec::new();
    for (place, site) in sites.iter().enumerate() {
        parsed.push(check.take(format!("{at}.sites[{place}]"), name::parse_site(site)));
    }
    let sites = parsed.into_iter().collect::<Option<Vec<_>>>()?;
    check.take(format!("{at}.sites"), Reach::sites(sites))
}

fn credentials(check: &mut Check, credentials: &[v1::StaffCredential]) -> Option<Vec<Credential>> {
    let mut parsed = Vec::new();
    for (at, credential) in credentials.iter().enumerate() {
        let kind = check.take(format!("staff.credentials[{at}].kind"), Listed::listed(credential.kind));
        let subject = format!("staff.credentials[{at}].subject");
        let Some(kind) = kind else { continue };
        let fits = Line::new(&credential.subject).and_then(|_| {
            // A name that were changed on the way in would be another one.
            Credential::presented(kind, &credential.subject).ok_or(Invalid::ControlCharacter)
        });
        parsed.push(check.take(subject, fits));
    }
    parsed.into_iter().collect()
}
