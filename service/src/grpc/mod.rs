//! The gRPC face: handlers that convert, call and convert. The only module that names generated types.
//!
//! A handler is a line or two: `Face::read` and `Face::write` take the call out of the request, run the use case and
//! turn errors into statuses. A command runs in a task of its own: a caller who goes away or runs out of time never
//! cuts it or its audit entry in half.

pub mod check;
pub mod client;
mod convert;
pub mod page;
mod request;
mod request_service;
pub mod status;

mod activity;
mod admin;
mod audit;
mod care_plan;
mod catalog;
mod change_event;
mod community_body;
mod community_roster;
mod community_service;
mod compliance;
mod consent;
mod delivery;
mod duplicate;
mod emergency;
mod erasure;
mod event;
mod export;
mod facility;
mod fund;
mod import;
mod membership;
mod merge;
mod numbers;
mod obligation;
mod pause;
mod plugin;
mod record;
mod referral;
mod resident;
mod sealed;
mod simulation;
mod site;
mod staff;
mod standard_override;
mod survey;
mod waiver;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream;
use linli_core::text::Language;
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use self::convert::Shows;
use crate::app::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result};
use linli_core::invalid::Invalid;
use linli_proto::v1;

pub use linli_proto::FILE_DESCRIPTOR_SET;
pub use sealed::sealed_routes;

/// Largest message a client may send, in bytes; see `server::limits` for the other limits.
pub const MESSAGE_MAX_BYTES: usize = 1024 * 1024;

/// Every service of the API over `app`.
pub fn routes(app: &Arc<App>) -> Routes {
    let face = Face { app: Arc::clone(app) };
    let mut routes = Routes::builder();
    routes.add_service(
        v1::site_service_server::SiteServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::resident_service_server::ResidentServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::catalog_service_server::CatalogServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::care_plan_service_server::CarePlanServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::plugin_service_server::PluginServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::admin_service_server::AdminServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::care_record_service_server::CareRecordServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::obligation_service_server::ObligationServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::compliance_service_server::ComplianceServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::staff_service_server::StaffServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::audit_service_server::AuditServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::fund_service_server::FundServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::request_service_server::RequestServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::community_service_server::CommunityServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::facility_service_server::FacilityServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::activity_service_server::ActivityServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::survey_service_server::SurveyServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.add_service(
        v1::event_service_server::EventServiceServer::new(face.clone())
            .max_decoding_message_size(MESSAGE_MAX_BYTES),
    );
    routes.routes()
}

/// The services' shared state.
#[derive(Clone)]
pub(crate) struct Face {
    app: Arc<App>,
}

impl Face {
    /// Runs a use case that only reads. A caller who goes away or runs out of time ends it; an audit entry that is on
    /// its way is written all the same.
    async fn read<Q, M, F, W>(&self, request: Request<Q>, work: W) -> std::result::Result<Response<M>, Status>
    where
        F: Future<Output = Result<M>>,
        W: FnOnce(Arc<App>, Call, Q) -> F,
    {
        let (call, message) = take(request)?;
        let (language, request_id) = (call.language, call.request_id.clone());
        match work(Arc::clone(&self.app), call, message).await {
            Ok(message) => Ok(Response::new(message)),
            Err(error) => Err(status::status(&error, language, &request_id)),
        }
    }

    /// Runs a use case that answers again and again, until it has no more to say. A refusal ends it; one before the first answer is
    /// the answer.
    async fn stream<Q, M, F>(
        &self,
        request: Request<Q>,
        open: impl FnOnce(Arc<App>, Call, Q) -> Result<F>,
    ) -> std::result::Result<Response<Answers<M>>, Status>
    where
        M: Send + 'static,
        F: Tells<M> + Send + 'static,
    {
        let (call, message) = take(request)?;
        let (language, request_id) = (call.language, call.request_id.clone());
        let refuse = move |error: Error| status::status(&error, language, &request_id);
        let mut source = open(Arc::clone(&self.app), call, message).map_err(&refuse)?;
        let first = source.tell().await.map_err(&refuse)?;
        let answers = stream::unfold((source, Some(first)), move |(mut source, first)| {
            let refuse = refuse.clone();
            async move {
                let told = match first {
                    Some(first) => Ok(first),
                    None => source.tell().await,
                };
                match told {
                    Ok(told) => told.map(|message| (Ok(message), (source, None))),
                    Err(error) => Some((Err(refuse(error)), (source, Some(None)))),
                }
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    /// Runs a command that answers with a message of its own making.
    async fn carry_out<Q, M, F, W>(
        &self,
        request: Request<Q>,
        work: W,
    ) -> std::result::Result<Response<M>, Status>
    where
        Q: Send + 'static,
        M: Send + 'static,
        F: Future<Output = Result<M>> + Send + 'static,
        W: FnOnce(Arc<App>, Call, Q) -> F + Send + 'static,
    {
        let (call, message) = take(request)?;
        let (language, request_id) = (call.language, call.request_id.clone());
        let task = tokio::spawn(work(Arc::clone(&self.app), call, message));
        answer(task.await, language, &request_id)
    }

    /// Runs a command. The answer to a repeated request is the one that was given first.
    async fn write<Q, T, M, F, W>(
        &self,
        request: Request<Q>,
        work: W,
    ) -> std::result::Result<Response<M>, Status>
    where
        Q: Repeatable + Send + 'static,
        T: Send + 'static,
        M: Message + Default + Shows<T> + Send + 'static,
        F: Future<Output = Result<Answer<T>>> + Send + 'static,
        W: FnOnce(Arc<App>, Call, Repeat<T>, Q) -> F + Send + 'static,
    {
        let (call, message) = take(request)?;
        let (language, request_id) = (call.language, call.request_id.clone());
        let repeat = match message.repeat(encode::<T, M>) {
            Ok(repeat) => repeat,
            Err(error) => return Err(status::status(&error, language, &request_id)),
        };
        let work = work(Arc::clone(&self.app), call, repeat, message);
        let task = tokio::spawn(async move {
            match work.await? {
                Answer::Fresh(value) => Ok(M::shows(&value)),
                Answer::Repeated(bytes) => M::decode(bytes.as_slice())
                    .map_err(|_| Error::Internal("a kept answer does not decode".into())),
            }
        });
        answer(task.await, language, &request_id)
    }
}

/// The answers of a stream.
type Answers<M> = Pin<Box<dyn Stream<Item = std::result::Result<M, Status>> + Send>>;

/// What a stream tells from.
trait Tells<M> {
    /// The next message; `None` after the last.
    fn tell(&mut self) -> impl Future<Output = Result<Option<M>>> + Send;
}

/// A request that may be sent again under its request id.
trait Repeatable: Message + Clone {
    /// The request id as sent.
    fn request_id(&self) -> &str;
    /// The request without its id: what a repetition must equal.
    fn without_id(&self) -> Self;

    /// What makes the command repeatable.
    fn repeat<T>(&self, encode: fn(&T) -> Vec<u8>) -> Result<Repeat<T>> {
        let mut check = check::Check::new();
        let id = check.optional("request_id", self.request_id(), request_id);
        let id = check.finish(id)?;
        Ok(Repeat { id, hash: Sha256::digest(self.without_id().encode_to_vec()).into(), encode })
    }
}

/// A request id in one spelling.
fn request_id(text: &str) -> std::result::Result<String, Invalid> {
    uuid::Uuid::parse_str(text).map(|id| id.hyphenated().to_string()).map_err(|_| Invalid::Uuid)
}

macro_rules! repeatable {
    ($($message:ident)*) => {$(
        impl Repeatable for v1::$message {
            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn without_id(&self) -> Self {
                let mut message = self.clone();
                message.request_id.clear();
                message
            }
        }
    )*};
}

repeatable! {
    AcceptRequestRequest AddPostHolderRequest AdvanceClockRequest AmendBudgetRequest ApplyChangeRequest
    ApproveOverrideRequest ApprovePlanRequest ApproveSpendingRequest ApproveWaiverRequest
    ArriveRequestRequest AssessResidentRequest BackupRequest CancelActivityRequest CancelRequestRequest
    ClosePeriodRequest CloseReferralRequest CloseSurveyRequest CompleteRequestRequest ConfirmExitRequest
    ConfirmPauseRequest ConfirmSafetyRequest ConfirmTierRequest CorrectRecordRequest CreateAreaRequest CreateBodyRequest
    CreateDwellingRequest CreateFacilityRequest CreatePostRequest CreateReferralRequest
    CreateResidentRequest CreateSiteRequest CreateStaffRequest DeactivateStaffRequest
    DeclareMembershipRequest DispatchRequestRequest DrainPluginRequest EndPauseRequest EndPostHolderRequest
    EndWaiverRequest EraseFileRequest EvaluateRecordRequest FollowUpRequestRequest
    GrantEmergencyAccessRequest HoldActivityRequest HoldFileRequest LoadPluginRequest MergeResidentsRequest
    OpenFundYearRequest OpenSurveyRequest OverrideStandardRequest PauseRequest PlanActivityRequest
    PublishReportRequest ReactivateStaffRequest RecordAcknowledgementRequest RecordAttendanceRequest
    RecordConsentRequest RecordDeathRequest RecordDisbursementRequest RecordDisclosureRequest
    RecordInspectionRequest RecordMoveInRequest RecordMoveOutRequest RecordNoticeRequest RecordRoundRequest
    RecordServiceRequest RecordSurveyRequest RejectPlanRequest RejectSpendingRequest ReportChangeRequest
    ReportDefectRequest ReportEmergencyRequest ReportWeatherRequest RequestSpendingRequest
    RetireOverrideRequest RetryReferralRequest ReviewEmergencyAccessRequest ReviewReferralRequest ReviewRequestRequest
    RevokeReferralRequest RotateKeysRequest SealFileRequest SetPluginParametersRequest SetProtectedRequest
    SubmitPlanRequest SubmitRequestRequest UnmergeResidentsRequest UnsealFileRequest UpdateActivityRequest
    UpdateAreaRequest UpdateBodyRequest UpdateDwellingRequest UpdateFacilityRequest UpdatePostRequest
    UpdateResidentRequest UpdateSiteRequest UpdateStaffRequest WaiveStandardRequest WithdrawConsentRequest
    WithdrawSurveyAnswerRequest
}

fn encode<T, M: Message + Shows<T>>(value: &T) -> Vec<u8> {
    M::shows(value).encode_to_vec()
}

/// The call that the gate put into the request, and its message.
fn take<Q>(request: Request<Q>) -> std::result::Result<(Call, Q), Status> {
    let (_, extensions, message) = request.into_parts();
    match extensions.get::<Call>() {
        Some(call) => Ok((call.clone(), message)),
        // Without the gate's layer nothing is served.
        None => Err(status::status(&Error::Unauthenticated, Language::En, "")),
    }
}

fn answer<M>(
    done: std::result::Result<Result<M>, tokio::task::JoinError>,
    language: Language,
    request_id: &str,
) -> std::result::Result<Response<M>, Status> {
    match done {
        Ok(Ok(message)) => Ok(Response::new(message)),
        Ok(Err(error)) => Err(status::status(&error, language, request_id)),
        // The panic hook has logged where; the payload may quote values.
        Err(_) => Err(status::status(&Error::Internal("a use case panicked".into()), language, request_id)),
    }
}
