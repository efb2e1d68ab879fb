//! Sites, dwellings, posts and the simulated clock.

use linli_core::id::{PostId, SiteId, StaffId};
use linli_core::kind::Department;
use linli_core::time::{CivilDate, Instant, SiteZone};
use linli_proto::v1;
use v1::admin_service_client::AdminServiceClient;
use v1::site_service_client::SiteServiceClient;

use super::{Client, ClientError, Result, patiently};
use crate::grpc::check::{instant, timestamp};
use crate::grpc::convert::Listed;
use crate::roster::place::Place;

impl Client {
    /// Adds a site in the default time zone.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn create_site(&self, site: &SiteId, title: &str) -> Result<()> {
        let message = v1::CreateSiteRequest {
            site: Some(v1::Site { display_name: title.to_owned(), ..v1::Site::default() }),
            site_id: site.as_str().to_owned(),
            request_id: String::new(),
        };
        patiently(|| {
            let request = self.request(message.clone());
            let mut service = SiteServiceClient::new(self.channel.clone());
            async move { service.create_site(request).await }
        })
        .await
        .map(drop)
    }

    /// Today in a site's zone, by the server's care clock.
    ///
    /// # Errors
    /// What the server refused: the site is not there, or not for this caller.
    pub async fn site_date(&self, site: &SiteId) -> Result<CivilDate> {
        let answer = patiently(|| {
            let request = self.request(v1::GetSiteRequest { name: format!("sites/{site}") });
            let mut service = SiteServiceClient::new(self.channel.clone());
            async move { service.get_site(request).await }
        })
        .await?;
        let zone = SiteZone::parse(&answer.time_zone).map_err(|_| ClientError::Answer)?;
        Ok(zone.date_of(self.care_time().await?))
    }

    /// Adds a dwelling.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn create_dwelling(&self, site: &SiteId, place: &Place) -> Result<()> {
        let message = v1::CreateDwellingRequest {
            parent: format!("sites/{site}"),
            dwelling: Some(v1::Dwelling {
                building: place.building.clone(),
                unit: place.unit.clone(),
                room: place.room.clone(),
                ..v1::Dwelling::default()
            }),
            ..v1::CreateDwellingRequest::default()
        };
        patiently(|| {
            let request = self.request(message.clone());
            let mut service = SiteServiceClient::new(self.channel.clone());
            async move { service.create_dwelling(request).await }
        })
        .await
        .map(drop)
    }

    /// Adds a post of the customer service department that covers these buildings.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn create_post(
        &self,
        site: &SiteId,
        post: &PostId,
        title: &str,
        buildings: &[&str],
    ) -> Result<()> {
        let message = v1::CreatePostRequest {
            parent: format!("sites/{site}"),
            post: Some(v1::Post {
                display_name: title.to_owned(),
                department: Department::CustomerService.number(),
                buildings: buildings.iter().map(|building| (*building).to_owned()).collect(),
                ..v1::Post::default()
            }),
            post_id: post.as_str().to_owned(),
            request_id: String::new(),
        };
        patiently(|| {
            let request = self.request(message.clone());
            let mut service = SiteServiceClient::new(self.channel.clone());
            async move { service.create_post(request).await }
        })
        .await
        .map(drop)
    }

    /// Gives a post to somebody from a day on, or as cover for some days.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn add_holder(
        &self,
        site: &SiteId,
        post: &PostId,
        staff: &StaffId,
        from: CivilDate,
        cover_until: Option<CivilDate>,
    ) -> Result<()> {
        let message = v1::AddPostHolderRequest {
            name: format!("sites/{site}/posts/{post}"),
            holder: Some(v1::PostHolder {
                staff: format!("staff/{staff}"),
                cover: cover_until.is_some(),
                start_date: from.to_string(),
                end_date: cover_until.map(|day| day.to_string()).unwrap_or_default(),
            }),
            ..v1::AddPostHolderRequest::default()
        };
        patiently(|| {
            let request = self.request(message.clone());
            let mut service = SiteServiceClient::new(self.channel.clone());
            async move { service.add_post_holder(request).await }
        })
        .await
        .map(drop)
    }

    /// Moves the simulated clock to an instant.
    ///
    /// # Errors
    /// What the server refused: the clock is not simulated, or stands later already.
    pub async fn advance_clock(&self, to: Instant) -> Result<Instant> {
        let target = v1::advance_clock_request::Target::To(timestamp(to));
        let message = v1::AdvanceClockRequest { target: Some(target), request_id: String::new() };
        let answer = patiently(|| {
            let request = self.request(message.clone());
            let mut service = AdminServiceClient::new(self.channel.clone());
            async move { service.advance_clock(request).await }
        })
        .await?;
        answer.care_time.as_ref().and_then(|time| instant(time).ok()).ok_or(ClientError::Answer)
    }

    /// Where the server's care clock stands.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn care_time(&self) -> Result<Instant> {
        let answer = patiently(|| {
            let request = self.request(v1::GetServerInfoRequest {});
            let mut service = AdminServiceClient::new(self.channel.clone());
            async move { service.get_server_info(request).await }
        })
        .await?;
        answer.care_time.as_ref().and_then(|time| instant(time).ok()).ok_or(ClientError::Answer)
    }
}
