//! `AdminService` of a server without its root key. Everything else is refused before it comes here.

use linli_proto::v1;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::convert::ToWire as _;
use super::{status, take};
use crate::app::sealed::Sealed;
use crate::error::Error;

/// The one service of a sealed server.
pub fn sealed_routes(sealed: Sealed) -> Routes {
    Routes::new(v1::admin_service_server::AdminServiceServer::new(Face { sealed }))
}

struct Face {
    sealed: Sealed,
}

#[tonic::async_trait]
impl v1::admin_service_server::AdminService for Face {
    async fn advance_clock(
        &self,
        request: Request<v1::AdvanceClockRequest>,
    ) -> Result<Response<v1::AdvanceClockResponse>, Status> {
        let (call, _) = take(request)?;
        Err(status::status(&Error::Sealed, call.language, &call.request_id))
    }

    async fn backup(&self, request: Request<v1::BackupRequest>) -> Result<Response<v1::Backup>, Status> {
        let (call, _) = take(request)?;
        Err(status::status(&Error::Sealed, call.language, &call.request_id))
    }

    async fn rotate_keys(
        &self,
        request: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<v1::KeyRotation>, Status> {
        let (call, _) = take(request)?;
        Err(status::status(&Error::Sealed, call.language, &call.request_id))
    }

    async fn get_key_rotation(
        &self,
        request: Request<v1::GetKeyRotationRequest>,
    ) -> Result<Response<v1::KeyRotation>, Status> {
        let (call, _) = take(request)?;
        Err(status::status(&Error::Sealed, call.language, &call.request_id))
    }

    async fn get_server_info(
        &self,
        request: Request<v1::GetServerInfoRequest>,
    ) -> Result<Response<v1::GetServerInfoResponse>, Status> {
        let (call, _) = take(request)?;
        match self.sealed.server_info(&call) {
            Ok(info) => Ok(Response::new(info.to_wire())),
            Err(error) => Err(status::status(&error, call.language, &call.request_id)),
        }
    }
}
