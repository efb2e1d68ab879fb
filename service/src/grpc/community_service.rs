//! `CommunityService`: consents and disclosures, bodies, referrals.

use linli_proto::v1;
use tonic::{Request, Response, Status};

use super::check::Check;
use super::convert::ToWire;
use super::page::Binding;
use super::request::{is_full, next, one, wanted};
use super::{Answers, Face, community_body, community_roster, referral};
use crate::name;

type Answer<M> = std::result::Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::community_service_server::CommunityService for Face {
    async fn record_consent(&self, request: Request<v1::RecordConsentRequest>) -> Answer<v1::Consent> {
        self.write(request, |app, call, repeat, message| async move {
            let (at, new) = super::consent::new_consent(&message)?;
            app.record_consent(&call, repeat, at, new).await
        })
        .await
    }

    async fn withdraw_consent(&self, request: Request<v1::WithdrawConsentRequest>) -> Answer<v1::Consent> {
        self.write(request, |app, call, repeat, message| async move {
            let of = one("name", name::parse_consent(&message.name))?;
            app.withdraw_consent(&call, repeat, of).await
        })
        .await
    }

    async fn list_consents(
        &self,
        request: Request<v1::ListConsentsRequest>,
    ) -> Answer<v1::ListConsentsResponse> {
        self.read(request, |app, call, message| async move {
            let parent = one("parent", name::parse_residents(&message.parent))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.consents(&call, &parent.site, parent.id.as_ref(), wanted).await?;
            Ok(v1::ListConsentsResponse {
                consents: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn record_disclosure(
        &self,
        request: Request<v1::RecordDisclosureRequest>,
    ) -> Answer<v1::Disclosure> {
        self.write(request, |app, call, repeat, message| async move {
            let (at, new) = super::consent::new_disclosure(&message)?;
            app.record_disclosure(&call, repeat, at, new).await
        })
        .await
    }

    async fn list_disclosures(
        &self,
        request: Request<v1::ListDisclosuresRequest>,
    ) -> Answer<v1::ListDisclosuresResponse> {
        self.read(request, |app, call, message| async move {
            let parent = one("parent", name::parse_residents(&message.parent))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.disclosures(&call, &parent.site, parent.id.as_ref(), wanted).await?;
            Ok(v1::ListDisclosuresResponse {
                disclosures: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn create_body(&self, request: Request<v1::CreateBodyRequest>) -> Answer<v1::CommunityBody> {
        self.write(request, |app, call, repeat, message| async move {
            let new = community_body::new_body(&message)?;
            app.create_body(&call, repeat, new).await
        })
        .await
    }

    async fn get_body(&self, request: Request<v1::GetBodyRequest>) -> Answer<v1::CommunityBody> {
        self.read(request, |app, call, message| async move {
            let id = one("name", name::parse_body(&message.name))?;
            app.body(&call, &id).await.map(|view| view.to_wire())
        })
        .await
    }

    async fn list_bodies(&self, request: Request<v1::ListBodiesRequest>) -> Answer<v1::ListBodiesResponse> {
        self.read(request, |app, call, message| async move {
            let filter = community_body::body_filter(&message)?;
            let binding = Binding::new(&call, &[message.site.as_bytes(), &message.kind.to_be_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.bodies(&call, &filter, wanted).await?;
            Ok(v1::ListBodiesResponse {
                bodies: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn update_body(&self, request: Request<v1::UpdateBodyRequest>) -> Answer<v1::CommunityBody> {
        self.write(request, |app, call, repeat, message| async move {
            let (target, update) = community_body::body_update(&message)?;
            app.update_body(&call, repeat, target, update).await
        })
        .await
    }

    async fn create_referral(&self, request: Request<v1::CreateReferralRequest>) -> Answer<v1::Referral> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, new) = referral::new_referral(&message)?;
            app.create_referral(&call, repeat, site, new).await
        })
        .await
    }

    async fn get_referral(&self, request: Request<v1::GetReferralRequest>) -> Answer<v1::Referral> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_referral(&message.name));
            let full = check.take("view", is_full(message.view));
            let (at, full) = check.finish(at.zip(full))?;
            app.referral(&call, &at, full).await.map(|view| view.to_wire())
        })
        .await
    }

    async fn list_referrals(
        &self,
        request: Request<v1::ListReferralsRequest>,
    ) -> Answer<v1::ListReferralsResponse> {
        self.read(request, |app, call, message| async move {
            let (sites, filter) = referral::filter(&message)?;
            let states: Vec<u8> = message.states.iter().flat_map(|state| state.to_be_bytes()).collect();
            let waiting = [u8::from(message.awaiting_review)];
            let named = [&message.parent, &message.body, &message.resident].map(|name| name.as_bytes());
            let [parent, body, resident] = named;
            let binding = Binding::new(&call, &[parent, &states, body, resident, &waiting]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.referrals(&call, &sites, &filter, wanted).await?;
            Ok(v1::ListReferralsResponse {
                referrals: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn revoke_referral(&self, request: Request<v1::RevokeReferralRequest>) -> Answer<v1::Referral> {
        self.write(request, |app, call, repeat, message| async move {
            let update = referral::step(&message.name, &message.etag)?;
            app.revoke_referral(&call, repeat, update).await
        })
        .await
    }

    async fn record_acknowledgement(
        &self,
        request: Request<v1::RecordAcknowledgementRequest>,
    ) -> Answer<v1::Referral> {
        self.write(request, |app, call, repeat, message| async move {
            let (at, answer) = referral::acknowledgement(&message)?;
            app.record_acknowledgement(&call, repeat, at, answer).await
        })
        .await
    }

    async fn close_referral(&self, request: Request<v1::CloseReferralRequest>) -> Answer<v1::Referral> {
        self.write(request, |app, call, repeat, message| async move {
            let update = referral::step(&message.name, &message.etag)?;
            app.close_referral(&call, repeat, update).await
        })
        .await
    }

    async fn review_referral(&self, request: Request<v1::ReviewReferralRequest>) -> Answer<v1::Referral> {
        self.write(request, |app, call, repeat, message| async move {
            let update = referral::review(&message)?;
            app.review_referral(&call, repeat, update).await
        })
        .await
    }

    async fn retry_referral(&self, request: Request<v1::RetryReferralRequest>) -> Answer<v1::Referral> {
        self.write(request, |app, call, repeat, message| async move {
            let update = referral::step(&message.name, &message.etag)?;
            app.retry_referral(&call, repeat, update).await
        })
        .await
    }

    async fn list_delivery_attempts(
        &self,
        request: Request<v1::ListDeliveryAttemptsRequest>,
    ) -> Answer<v1::ListDeliveryAttemptsResponse> {
        self.read(request, |app, call, message| async move {
            let at = one("parent", name::parse_referral(&message.parent))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.delivery_attempts(&call, &at, wanted).await?;
            Ok(v1::ListDeliveryAttemptsResponse {
                attempts: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn get_delivery(&self, request: Request<v1::GetDeliveryRequest>) -> Answer<v1::Delivery> {
        self.read(request, |app, call, message| async move {
            let id = one("name", name::parse_body(&message.name))?;
            app.delivery_to(&call, &id).await.map(|view| view.to_wire())
        })
        .await
    }

    async fn probe_body(&self, request: Request<v1::ProbeBodyRequest>) -> Answer<v1::ProbeBodyResponse> {
        self.read(request, |app, call, message| async move {
            let id = one("name", name::parse_body(&message.name))?;
            let trouble = app.probe_body(&call, &id).await?;
            let trouble = trouble.map(|line| line.as_str().to_owned()).unwrap_or_default();
            Ok(v1::ProbeBodyResponse { well: trouble.is_empty(), trouble })
        })
        .await
    }

    type PullRosterStream = Answers<v1::PullRosterResponse>;

    async fn pull_roster(&self, request: Request<v1::PullRosterRequest>) -> Answer<Self::PullRosterStream> {
        self.stream(request, |app, call, message| {
            let pull = community_roster::pull(&message)?;
            Ok(app.pull_roster(call, pull))
        })
        .await
    }
}
