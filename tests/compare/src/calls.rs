//! Calls to a running `linli` as a steward's device makes them: authenticated, with a purpose.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use linli_proto::v1::care_record_service_client::CareRecordServiceClient;
use linli_proto::v1::resident_service_client::ResidentServiceClient;
use linli_proto::v1::site_service_client::SiteServiceClient;
use linli_proto::v1::{
    CreateDwellingRequest, CreateResidentRequest, CreateSiteRequest, Dwelling, GetResidentRequest, Outcome,
    Record, RecordServiceRequest, RecordSubject, Resident, ServiceKind, Site, View,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::process::Server;

/// Residents among whom the calls are spread.
const RESIDENTS: usize = 40;

/// An estate on a running server, and the right to call it.
#[derive(Clone)]
pub struct Estate {
    token: String,
    site: String,
    residents: Vec<String>,
}

impl Estate {
    /// Registers a site with one dwelling and its residents.
    pub async fn make(server: &Server) -> Result<Self, Box<dyn Error>> {
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
        let mut residents = ResidentServiceClient::new(channel);
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
                ..CreateResidentRequest::default()
            };
            let made = residents.create_resident(estate.request(request)?).await?.into_inner();
            estate.residents.push(made.name);
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
        let occurred = now() - 60;
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

/// Seconds since 1970.
#[allow(clippy::disallowed_methods, reason = "the client's own clock: what it records has just happened")]
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().try_into().unwrap_or_default())
}
