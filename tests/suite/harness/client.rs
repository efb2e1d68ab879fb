//! One `ask` for every RPC: the request's type says which.

use linli_proto::v1;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

/// A request that knows its RPC and the type of the answer.
pub trait Rpc: Message + Clone + Default + 'static {
    /// `linli.v1.SiteService/GetSite`.
    const PATH: &'static str;
    /// What it answers.
    type Answer: Message + Default + 'static;
}

macro_rules! rpcs {
    ($($service:ident { $($method:ident $request:ident => $answer:ident,)* })*) => {
        /// Every RPC that this suite knows, in the order of the services.
        pub const RPCS: &[&str] = &[
            $($(concat!("linli.v1.", stringify!($service), "/", stringify!($method)),)*)*
        ];
        $($(
            impl Rpc for v1::$request {
                const PATH: &'static str =
                    concat!("linli.v1.", stringify!($service), "/", stringify!($method));
                type Answer = v1::$answer;
            }
        )*)*
    };
}

rpcs! {
    ActivityService {
        CancelActivity CancelActivityRequest => Activity,
        GetActivity GetActivityRequest => Activity,
        HoldActivity HoldActivityRequest => Activity,
        ListActivities ListActivitiesRequest => ListActivitiesResponse,
        ListAttendances ListAttendancesRequest => ListAttendancesResponse,
        PlanActivity PlanActivityRequest => Activity,
        RecordAttendance RecordAttendanceRequest => Attendance,
        UpdateActivity UpdateActivityRequest => Activity,
    }
    AdminService {
        AdvanceClock AdvanceClockRequest => AdvanceClockResponse,
        Backup BackupRequest => Backup,
        GetKeyRotation GetKeyRotationRequest => KeyRotation,
        GetServerInfo GetServerInfoRequest => GetServerInfoResponse,
        RotateKeys RotateKeysRequest => KeyRotation,
    }
    AuditService {
        GetCheckpoint GetCheckpointRequest => Checkpoint,
        ListAuditEntries ListAuditEntriesRequest => ListAuditEntriesResponse,
        VerifyAudit VerifyAuditRequest => VerifyAuditResponse,
    }
    CarePlanService {
        ApprovePlan ApprovePlanRequest => CarePlan,
        ApproveWaiver ApproveWaiverRequest => Waiver,
        DraftPlan DraftPlanRequest => CarePlan,
        EndWaiver EndWaiverRequest => Waiver,
        GetPlan GetPlanRequest => CarePlan,
        ListPlans ListPlansRequest => ListPlansResponse,
        ListWaivers ListWaiversRequest => ListWaiversResponse,
        RejectPlan RejectPlanRequest => CarePlan,
        SubmitPlan SubmitPlanRequest => CarePlan,
        WaiveStandard WaiveStandardRequest => Waiver,
    }
    CareRecordService {
        ConfirmSafety ConfirmSafetyRequest => CareEvent,
        CorrectRecord CorrectRecordRequest => Record,
        EvaluateRecord EvaluateRecordRequest => Record,
        GetRecord GetRecordRequest => Record,
        ListRecords ListRecordsRequest => ListRecordsResponse,
        RecordRound RecordRoundRequest => Record,
        RecordService RecordServiceRequest => RecordServiceResponse,
    }
    CatalogService {
        ApproveOverride ApproveOverrideRequest => StandardOverride,
        GetCareGroup GetCareGroupRequest => CareGroup,
        GetStandard GetStandardRequest => Standard,
        ListCareGroups ListCareGroupsRequest => ListCareGroupsResponse,
        ListOverrides ListOverridesRequest => ListOverridesResponse,
        ListStandards ListStandardsRequest => ListStandardsResponse,
        OverrideStandard OverrideStandardRequest => StandardOverride,
        RetireOverride RetireOverrideRequest => StandardOverride,
        SimulateStandards SimulateStandardsRequest => SimulateStandardsResponse,
    }
    CommunityService {
        CloseReferral CloseReferralRequest => Referral,
        CreateBody CreateBodyRequest => CommunityBody,
        CreateReferral CreateReferralRequest => Referral,
        GetBody GetBodyRequest => CommunityBody,
        GetDelivery GetDeliveryRequest => Delivery,
        GetReferral GetReferralRequest => Referral,
        ListBodies ListBodiesRequest => ListBodiesResponse,
        ListConsents ListConsentsRequest => ListConsentsResponse,
        ListDeliveryAttempts ListDeliveryAttemptsRequest => ListDeliveryAttemptsResponse,
        ListDisclosures ListDisclosuresRequest => ListDisclosuresResponse,
        ListReferrals ListReferralsRequest => ListReferralsResponse,
        ProbeBody ProbeBodyRequest => ProbeBodyResponse,
        PullRoster PullRosterRequest => PullRosterResponse,
        RecordAcknowledgement RecordAcknowledgementRequest => Referral,
        RecordConsent RecordConsentRequest => Consent,
        RecordDisclosure RecordDisclosureRequest => Disclosure,
        RetryReferral RetryReferralRequest => Referral,
        ReviewReferral ReviewReferralRequest => Referral,
        RevokeReferral RevokeReferralRequest => Referral,
        UpdateBody UpdateBodyRequest => CommunityBody,
        WithdrawConsent WithdrawConsentRequest => Consent,
    }
    ComplianceService {
        ClosePeriod ClosePeriodRequest => ReportPeriod,
        GetComplianceReport GetComplianceReportRequest => ComplianceReport,
        GetPeriod GetPeriodRequest => ReportPeriod,
        GetVisitRate GetVisitRateRequest => VisitRate,
        GetWorkload GetWorkloadRequest => GetWorkloadResponse,
        ListCorrections ListCorrectionsRequest => ListCorrectionsResponse,
        RenderReport RenderReportRequest => RenderReportResponse,
    }
    EventService {
        ListEvents ListEventsRequest => ListEventsResponse,
        Watch WatchRequest => WatchResponse,
    }
    FacilityService {
        CreateFacility CreateFacilityRequest => Facility,
        GetFacility GetFacilityRequest => Facility,
        ListFacilities ListFacilitiesRequest => ListFacilitiesResponse,
        RecordInspection RecordInspectionRequest => Record,
        ReportDefect ReportDefectRequest => Request,
        UpdateFacility UpdateFacilityRequest => Facility,
    }
    FundService {
        AmendBudget AmendBudgetRequest => Fund,
        ApproveSpending ApproveSpendingRequest => Spending,
        GetFund GetFundRequest => Fund,
        GetLedger GetLedgerRequest => GetLedgerResponse,
        GetSpending GetSpendingRequest => Spending,
        ListReports ListReportsRequest => ListReportsResponse,
        ListSpending ListSpendingRequest => ListSpendingResponse,
        OpenFundYear OpenFundYearRequest => Fund,
        PublishReport PublishReportRequest => FundReport,
        RecordDisbursement RecordDisbursementRequest => Spending,
        RejectSpending RejectSpendingRequest => Spending,
        RequestSpending RequestSpendingRequest => Spending,
    }
    ObligationService {
        GetStanding GetStandingRequest => Standing,
        ListObligations ListObligationsRequest => ListObligationsResponse,
        ListWorklist ListWorklistRequest => ListWorklistResponse,
        WatchWorklist WatchWorklistRequest => WatchWorklistResponse,
    }
    PluginService {
        DrainPlugin DrainPluginRequest => Plugin,
        GetPlugin GetPluginRequest => Plugin,
        ListPluginDifferences ListPluginDifferencesRequest => ListPluginDifferencesResponse,
        ListPlugins ListPluginsRequest => ListPluginsResponse,
        LoadPlugin LoadPluginRequest => Plugin,
        PreviewPlugin PreviewPluginRequest => PreviewPluginResponse,
    }
    RequestService {
        AcceptRequest AcceptRequestRequest => Request,
        ArriveRequest ArriveRequestRequest => Request,
        CancelRequest CancelRequestRequest => Request,
        CompleteRequest CompleteRequestRequest => Request,
        DispatchRequest DispatchRequestRequest => Request,
        FollowUpRequest FollowUpRequestRequest => Request,
        GetRequest GetRequestRequest => Request,
        ListRequests ListRequestsRequest => ListRequestsResponse,
        RecordNotice RecordNoticeRequest => Request,
        ReportEmergency ReportEmergencyRequest => Request,
        ReviewRequest ReviewRequestRequest => Request,
        SubmitRequest SubmitRequestRequest => Request,
    }
    ResidentService {
        ApplyChange ApplyChangeRequest => ApplyChangeResponse,
        AssessResident AssessResidentRequest => Assessment,
        BatchGetResidents BatchGetResidentsRequest => BatchGetResidentsResponse,
        ConfirmExit ConfirmExitRequest => Membership,
        ConfirmPause ConfirmPauseRequest => Pause,
        ConfirmTier ConfirmTierRequest => Resident,
        CreateResident CreateResidentRequest => Resident,
        DeclareMembership DeclareMembershipRequest => Membership,
        EndPause EndPauseRequest => Pause,
        EraseFile EraseFileRequest => Resident,
        GetErasureCertificate GetErasureCertificateRequest => ErasureCertificate,
        ExportOwnFile ExportOwnFileRequest => OwnFile,
        ExportResidents ExportResidentsRequest => ExportResidentsResponse,
        FindDuplicates FindDuplicatesRequest => FindDuplicatesResponse,
        GetResident GetResidentRequest => Resident,
        HoldFile HoldFileRequest => Resident,
        ImportResidents ImportResidentsRequest => ImportResidentsResponse,
        ListHistory ListHistoryRequest => ListHistoryResponse,
        ListMemberships ListMembershipsRequest => ListMembershipsResponse,
        ListPauses ListPausesRequest => ListPausesResponse,
        ListResidents ListResidentsRequest => ListResidentsResponse,
        MergeResidents MergeResidentsRequest => Resident,
        Pause PauseRequest => Pause,
        RecordDeath RecordDeathRequest => Resident,
        RecordMoveIn RecordMoveInRequest => RecordMoveInResponse,
        RecordMoveOut RecordMoveOutRequest => Resident,
        ReportChange ReportChangeRequest => CareEvent,
        RevealResident RevealResidentRequest => Resident,
        SealFile SealFileRequest => Resident,
        SetProtected SetProtectedRequest => Resident,
        UnsealFile UnsealFileRequest => Resident,
        UnmergeResidents UnmergeResidentsRequest => UnmergeResidentsResponse,
        UpdateResident UpdateResidentRequest => Resident,
    }
    StaffService {
        CreateStaff CreateStaffRequest => Staff,
        DeactivateStaff DeactivateStaffRequest => Staff,
        GetStaff GetStaffRequest => Staff,
        GrantEmergencyAccess GrantEmergencyAccessRequest => EmergencyAccess,
        ListEmergencyAccesses ListEmergencyAccessesRequest => ListEmergencyAccessesResponse,
        ListStaff ListStaffRequest => ListStaffResponse,
        ReactivateStaff ReactivateStaffRequest => Staff,
        ReviewEmergencyAccess ReviewEmergencyAccessRequest => EmergencyAccess,
        UpdateStaff UpdateStaffRequest => Staff,
    }
    SurveyService {
        CloseSurvey CloseSurveyRequest => Survey,
        GetCoverage GetCoverageRequest => SurveyCoverage,
        GetSurvey GetSurveyRequest => Survey,
        GetSurveyAnswer GetSurveyAnswerRequest => SurveyAnswer,
        ListSurveyAnswers ListSurveyAnswersRequest => ListSurveyAnswersResponse,
        ListSurveys ListSurveysRequest => ListSurveysResponse,
        OpenSurvey OpenSurveyRequest => Survey,
        RecordSurvey RecordSurveyRequest => SurveyAnswer,
        WithdrawSurveyAnswer WithdrawSurveyAnswerRequest => SurveyAnswer,
    }
    SiteService {
        AddPostHolder AddPostHolderRequest => Post,
        CreateArea CreateAreaRequest => Area,
        CreateDwelling CreateDwellingRequest => Dwelling,
        CreatePost CreatePostRequest => Post,
        CreateSite CreateSiteRequest => Site,
        EndPostHolder EndPostHolderRequest => Post,
        GetArea GetAreaRequest => Area,
        GetDwelling GetDwellingRequest => Dwelling,
        GetPluginParameters GetPluginParametersRequest => PluginParameters,
        GetPost GetPostRequest => Post,
        GetSite GetSiteRequest => Site,
        ListAreas ListAreasRequest => ListAreasResponse,
        ListDwellings ListDwellingsRequest => ListDwellingsResponse,
        ListPosts ListPostsRequest => ListPostsResponse,
        ListSites ListSitesRequest => ListSitesResponse,
        ReportWeather ReportWeatherRequest => CareEvent,
        SetPluginParameters SetPluginParametersRequest => PluginParameters,
        UpdateArea UpdateAreaRequest => Area,
        UpdateDwelling UpdateDwellingRequest => Dwelling,
        UpdatePost UpdatePostRequest => Post,
        UpdateSite UpdateSiteRequest => Site,
    }
}

/// Somebody who calls a server. Every `with` gives another one on the same connection.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    headers: Vec<(&'static str, String)>,
}

impl Client {
    /// On `127.0.0.1:PORT`, in English, without credentials.
    pub fn new(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self { channel: endpoint.connect_lazy(), headers: vec![("accept-language", "en".into())] }
    }

    /// On a channel of one's own making, in English, without credentials.
    pub fn over(channel: Channel) -> Self {
        Self { channel, headers: vec![("accept-language", "en".into())] }
    }

    /// As [`Client::new`], with the windows that HTTP/2 has at least: who does not read holds little.
    pub fn narrow(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
        Self::over(endpoint.connect_lazy())
    }

    /// With a header in place of the one of that name; empty: without it.
    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            other.headers.push((name, value.to_owned()));
        }
        other
    }

    /// With this bearer token.
    pub fn token(&self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// With a purpose, so that fuller views are shown.
    pub fn purposeful(&self) -> Self {
        self.with("x-purpose", "ROUTINE_CARE; weekly visit")
    }

    /// Calls the RPC of the request's type.
    pub async fn ask<Q: Rpc>(&self, request: Q) -> Result<Q::Answer, Status> {
        self.response(request).await.map(Response::into_inner)
    }

    /// As [`Client::ask`], with the answer's metadata.
    pub async fn response<Q: Rpc>(&self, request: Q) -> Result<Response<Q::Answer>, Status> {
        self.path(Q::PATH, request).await
    }

    /// A worklist, told again and again.
    pub async fn watch(
        &self,
        request: v1::WatchWorklistRequest,
    ) -> Result<Streaming<v1::WatchWorklistResponse>, Status> {
        let mut grpc = self.grpc().await?;
        let path = path_of(v1::WatchWorklistRequest::PATH);
        grpc.server_streaming(self.request(request), path, Prost::default()).await.map(Response::into_inner)
    }

    /// The events of a site, as they happen.
    pub async fn events(&self, request: v1::WatchRequest) -> Result<Streaming<v1::WatchResponse>, Status> {
        let mut grpc = self.grpc().await?;
        let path = path_of(v1::WatchRequest::PATH);
        grpc.server_streaming(self.request(request), path, Prost::default()).await.map(Response::into_inner)
    }

    /// Any message to any path.
    pub async fn path<Q, A>(&self, path: &str, message: Q) -> Result<Response<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.grpc().await?;
        let path = path_of(path);
        grpc.unary(self.request(message), path, Prost::<Q, A>::default()).await
    }

    /// Bytes that need not be a message, to any path; the answer's bytes.
    pub async fn bytes(&self, path: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut grpc = self.grpc().await?;
        grpc.unary(self.request(bytes), path_of(path), Bytes).await.map(Response::into_inner)
    }

    /// A roster.
    pub async fn import(
        &self,
        parts: Vec<v1::ImportResidentsRequest>,
    ) -> Result<v1::ImportResidentsResponse, Status> {
        let mut grpc = self.grpc().await?;
        let stream = tonic::codegen::tokio_stream::iter(parts);
        let path = path_of(v1::ImportResidentsRequest::PATH);
        grpc.client_streaming(self.request(stream), path, Prost::default()).await.map(Response::into_inner)
    }

    /// Everything that a stream tells, up to the end or the refusal that ends it.
    pub async fn told<Q: Rpc>(&self, request: Q) -> (Vec<Q::Answer>, Option<Status>) {
        let mut told = Vec::new();
        let mut grpc = match self.grpc().await {
            Ok(grpc) => grpc,
            Err(status) => return (told, Some(status)),
        };
        let codec = Prost::<Q, Q::Answer>::default();
        let mut stream = match grpc.server_streaming(self.request(request), path_of(Q::PATH), codec).await {
            Ok(response) => response.into_inner(),
            Err(status) => return (told, Some(status)),
        };
        loop {
            match stream.message().await {
                Ok(Some(message)) => told.push(message),
                Ok(None) => return (told, None),
                Err(status) => return (told, Some(status)),
            }
        }
    }

    /// Every page of an export, up to the end or the refusal that ends it.
    pub async fn export(
        &self,
        request: v1::ExportResidentsRequest,
    ) -> (Vec<v1::ExportResidentsResponse>, Option<Status>) {
        self.told(request).await
    }

    /// A roster of a header and no end.
    pub async fn endless_import(&self, site: &str) -> Result<v1::ImportResidentsResponse, Status> {
        use tonic::codegen::tokio_stream::{StreamExt, iter, pending};
        let header = v1::ImportHeader { parent: site.to_owned(), ..Default::default() };
        let part = v1::import_residents_request::Part::Header(header);
        let stream = iter([v1::ImportResidentsRequest { part: Some(part) }]).chain(pending());
        let mut grpc = self.grpc().await?;
        let path = path_of(v1::ImportResidentsRequest::PATH);
        grpc.client_streaming(self.request(stream), path, Prost::default()).await.map(Response::into_inner)
    }

    async fn grpc(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(grpc)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata: &mut MetadataMap = request.metadata_mut();
        for (name, value) in &self.headers {
            let value = tonic::metadata::AsciiMetadataValue::try_from(value.as_bytes());
            metadata.insert(*name, value.expect("a header of a test is valid"));
        }
        request
    }
}

fn path_of(path: &str) -> PathAndQuery {
    PathAndQuery::try_from(format!("/{path}")).expect("a path of a test is valid")
}

/// Protobuf messages of two types.
struct Prost<Q, A>(std::marker::PhantomData<(Q, A)>);

impl<Q, A> Default for Prost<Q, A> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<Q: Message + 'static, A: Message + Default + 'static> Codec for Prost<Q, A> {
    type Encode = Q;
    type Decode = A;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<Q: Message, A> Encoder for Prost<Q, A> {
    type Item = Q;
    type Error = Status;

    fn encode(&mut self, item: Q, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<Q, A: Message + Default> Decoder for Prost<Q, A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        A::decode(from).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// Bytes as they are.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(to, &item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use prost::bytes::Buf;
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
