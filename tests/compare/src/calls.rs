//! Calls to a running `linli` as a steward's device makes them: authenticated by a signed token, with a purpose.

use std::error::Error;

use linli_proto::v1::care_record_service_client::CareRecordServiceClient;
use linli_proto::v1::resident_service_client::ResidentServiceClient;
use linli_proto::v1::site_service_client::SiteServiceClient;
use linli_proto::v1::staff_service_client::StaffServiceClient;
use linli_proto::v1::{
    CreateDwellingRequest, CreateResidentRequest, CreateSiteRequest, CreateStaffRequest, Department,
    Dwelling, GetResidentRequest, Outcome, Record, RecordServiceRequest, RecordSubject, Resident,
    ServiceKind, Site, Staff, StaffCredential, StaffCredentialKind, StaffGrant, StaffRole, View,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::process::Server;
use crate::token;

/// Residents among whom the calls are spread.
const RESIDENTS: usize = 40;

/// The steward who calls.
const STEWARD: &str = "steward";

/// An estate on a running server, and the right to call it.
#[derive(Clone)]
pub struct Estate {
    token: String,
    site: String,
    residents: Vec<String>,
}

impl Estate {
    /// Registers a site with one dwelling and its residents, and enters a steward. With `signed` the calls are the steward's,
    /// with a signed token; without they bring the server's development token.
    pub async fn make(server: &Server, signed: bool) -> Result<Self, Box<dyn Error>> {
        let token = server.token.clone().ok_or("the server printed no token")?;
        let channel = Endpoint::from_shared(format!("http://{}", server.address))?.connect().await?;
        let mut estate = Self { token, site: String::new(), residents: Vec::new() };
        let mut sites = SiteServiceClient::new(channel.clone());
        let site = Site { display_name: "阳光花园".into(), ..Site::default() };
        let request = CreateSiteRequest { site: Some(site), ..CreateSiteRequest::default() };
        estate.site = sites.create_site(estate.request(request)?).await?.into_inner().name;
        let dwelling =
            Dwelling { building: "3".into(), unit: "2".into(), room: "501".into(), ..Dwelling::default() };
        let request = CreateDwellingRequest {
            parent: estate.site.clone(),
            dwelling: Some(dwelling),
            ..CreateDwellingRequest::default()
        };
        let dwelling = sites.create_dwelling(estate.request(request)?).await?.into_inner().name;
        let mut residents = ResidentServiceClient::new(channel.clone());
        for number in 0..RESIDENTS {
            let resident = Resident {
                full_name: "张三".into(),
                phone: format!("138{number:08}"),
                birth_date: "1942-03-16".into(),
                dwelling: dwelling.clone(),
                move_in_date: "2020-05-01".into(),
                ..Resident::default()
            };
            let request = CreateResidentRequest {
                parent: estate.site.clone(),
                resident: Some(resident),
                confirmed_not_duplicate: true,
                ..CreateResidentRequest::default()
            };
            let made = residents.create_resident(estate.request(request)?).await?.into_inner();
            estate.residents.push(made.name);
        }
        let steward = Staff {
            display_name: "王管家".into(),
            grants: vec![StaffGrant {
                role: StaffRole::Member.into(),
                department: Department::CustomerService.into(),
                sites: vec![estate.site.clone()],
                ..StaffGrant::default()
            }],
            credentials: vec![StaffCredential {
                kind: StaffCredentialKind::Token.into(),
                subject: STEWARD.into(),
            }],
            ..Staff::default()
        };
        let request = CreateStaffRequest {
            staff: Some(steward),
            staff_id: STEWARD.into(),
            ..CreateStaffRequest::default()
        };
        StaffServiceClient::new(channel).create_staff(estate.request(request)?).await?;
        if signed {
            estate.token = token::sign(STEWARD)?;
        }
        Ok(estate)
    }

    /// Reads one resident's file, masked: its name and telephone number are opened under an audit entry.
    pub async fn get_resident(self, channel: Channel, number: u64) -> Result<(), Status> {
        let request = GetResidentRequest { name: self.resident(number), view: View::Masked.into() };
        let answer =
            ResidentServiceClient::new(channel).get_resident(self.request(request)?).await?.into_inner();
        if answer.display_name.is_empty() { Err(Status::internal("the name is not shown")) } else { Ok(()) }
    }

    /// Records one visit.
    pub async fn record_service(self, channel: Channel, number: u64) -> Result<(), Status> {
        let subject = RecordSubject {
            subject: self.resident(number),
            outcome: Outcome::Done.into(),
            note: "上门走访，老人精神很好，血压正常，已提醒按时服药；女儿周末回来。".into(),
            ..RecordSubject::default()
        };
        let occurred = token::now() - 60;
        let record = Record {
            kind: ServiceKind::HomeVisit.into(),
            occur_time: Some(prost_types::Timestamp { seconds: occurred, nanos: 0 }),
            subjects: vec![subject],
            ..Record::default()
        };
        // A run has each number once; the second half of the id is that of the run.
        let request_id = format!("00000000-{:04x}-7000-8000-{number:012x}", std::process::id() & 0xffff);
        let request = RecordServiceRequest { parent: self.site.clone(), records: vec![record], request_id };
        CareRecordServiceClient::new(channel).record_service(self.request(request)?).await?;
        Ok(())
    }

    fn resident(&self, number: u64) -> String {
        usize::try_from(number)
            .ok()
            .and_then(|number| self.residents.get(number % RESIDENTS))
            .cloned()
            .unwrap_or_default()
    }

    fn request<T>(&self, message: T) -> Result<Request<T>, Status> {
        let mut request = Request::new(message);
        let token =
            format!("Bearer {}", self.token).parse().map_err(|_| Status::internal("the token is no text"))?;
        request.metadata_mut().insert("authorization", token);
        request
            .metadata_mut()
            .insert("x-purpose", tonic::metadata::MetadataValue::from_static("ROUTINE_CARE"));
        Ok(request)
    }
}
