//! `AdminService`.

use linli_core::invalid::Invalid;
use linli_proto::v1;
use linli_proto::v1::advance_clock_request::Target;
use prost_types::Duration;
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{instant, timestamp};
use super::convert::{Shows, ToWire};
use super::request::one;
use crate::app::admin::{Advance, ClockReading, ServerInfo};
use crate::app::backup::BackupView;
use crate::app::key_rotation::RotationView;
use crate::error::Result;
use crate::hex::hex;

type Answer<M> = std::result::Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::admin_service_server::AdminService for Face {
    async fn advance_clock(
        &self,
        request: Request<v1::AdvanceClockRequest>,
    ) -> Answer<v1::AdvanceClockResponse> {
        self.write(request, |app, call, repeat, message| async move {
            let advance = advance(&message)?;
            app.advance_clock(&call, repeat, advance).await
        })
        .await
    }

    async fn get_server_info(
        &self,
        request: Request<v1::GetServerInfoRequest>,
    ) -> Answer<v1::GetServerInfoResponse> {
        self.read(
            request,
            |app, call, _| async move { app.server_info(&call).await.map(|info| info.to_wire()) },
        )
        .await
    }

    async fn backup(&self, request: Request<v1::BackupRequest>) -> Answer<v1::Backup> {
        self.write(request, |app, call, repeat, _| async move { app.backup(&call, repeat).await }).await
    }

    async fn rotate_keys(&self, request: Request<v1::RotateKeysRequest>) -> Answer<v1::KeyRotation> {
        self.write(request, |app, call, repeat, message| async move {
            app.rotate_keys(&call, repeat, message.replace_root_key).await
        })
        .await
    }

    async fn get_key_rotation(&self, request: Request<v1::GetKeyRotationRequest>) -> Answer<v1::KeyRotation> {
        self.read(request, |app, call, _| async move {
            app.newest_rotation(&call).await.map(|view| view.to_wire())
        })
        .await
    }
}

impl Shows<BackupView> for v1::Backup {
    fn shows(view: &BackupView) -> Self {
        Self {
            path: view.path.clone(),
            byte_count: i64::try_from(view.length).unwrap_or(i64::MAX),
            sha256: hex(&view.sha256),
            make_time: Some(timestamp(view.made_at)),
        }
    }
}

impl Shows<RotationView> for v1::KeyRotation {
    fn shows(view: &RotationView) -> Self {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            number: count(view.rotation.number),
            start_time: Some(timestamp(view.rotation.started_at)),
            finish_time: view.rotation.finished_at.map(timestamp),
            root_key_version: i32::try_from(view.rotation.root_version).unwrap_or(i32::MAX),
            scopes_finished: count(view.finished),
            scopes_total: count(view.total),
        }
    }
}

impl Shows<ClockReading> for v1::AdvanceClockResponse {
    fn shows(reading: &ClockReading) -> Self {
        Self { care_time: Some(timestamp(reading.care_time)) }
    }
}

impl Shows<ServerInfo> for v1::GetServerInfoResponse {
    fn shows(info: &ServerInfo) -> Self {
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            care_time: Some(timestamp(info.care_time)),
            system_time: Some(timestamp(info.system_time)),
            clock_simulated: info.clock_simulated,
            store_backend: info.backend.to_owned(),
            schema_version: info.schema_version.clone(),
            calendar_years: info.calendar_years.clone(),
            sealed: info.sealed,
            plugins_ready: number(info.plugins_ready),
            plugins_unwell: number(info.plugins_unwell),
        }
    }
}

fn advance(message: &v1::AdvanceClockRequest) -> Result<Advance> {
    match &message.target {
        None => one("target", Err(Invalid::Missing)),
        Some(Target::By(by)) => one("by", micros(by).map(Advance::By)),
        Some(Target::To(to)) => one("to", instant(to).map(Advance::To)),
    }
}

/// A protobuf duration in microseconds.
fn micros(duration: &Duration) -> std::result::Result<i64, Invalid> {
    let whole = duration.seconds.checked_mul(1_000_000).ok_or(Invalid::InstantRange)?;
    whole.checked_add(i64::from(duration.nanos) / 1_000).ok_or(Invalid::InstantRange)
}
