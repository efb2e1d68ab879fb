//! The bare echo: what tonic costs with nothing behind it. It answers `GetResident`'s request with a
//! fixed resident of the usual size, in the messages of the real API.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use linli_proto::v1::{GetResidentRequest, Resident};
use tonic::body::Body;
use tonic::codegen::http::{self, uri::PathAndQuery};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

const PATH: &str = "/bare.Echo/Get";

/// Serves on a free port of the loopback interface and prints the address, and that it asks for no token.
pub async fn serve() -> Result<(), Box<dyn Error>> {
    // `serve_with_incoming` leaves Nagle's algorithm on by itself, at 44 ms a call.
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
    println!("{}\n", incoming.local_addr()?);
    Server::builder().add_service(Echo).serve_with_incoming(incoming).await?;
    Ok(())
}

/// One call.
pub async fn get(channel: Channel, _number: u64) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = GetResidentRequest { name: "sites/a/residents/b".into(), ..GetResidentRequest::default() };
    let codec: ProstCodec<GetResidentRequest, Resident> = ProstCodec::default();
    client.unary(Request::new(request), PathAndQuery::from_static(PATH), codec).await?;
    Ok(())
}

#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "bare.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec: ProstCodec<Resident, GetResidentRequest> = ProstCodec::default();
            Ok(tonic::server::Grpc::new(codec).unary(Get, request).await)
        })
    }
}

struct Get;

impl UnaryService<GetResidentRequest> for Get {
    type Response = Resident;
    type Future = Ready<Result<Response<Resident>, Status>>;

    fn call(&mut self, request: Request<GetResidentRequest>) -> Self::Future {
        ready(Ok(Response::new(Resident {
            name: request.into_inner().name,
            etag: "W/\"0123456789abcdef\"".into(),
            display_name: "张**".into(),
            masked_phone: "138****1234".into(),
            masked_identity_number: "110***********002X".into(),
            full_name: "张三".into(),
            phone: "+8613800001234".into(),
            identity_number: "11010519491231002X".into(),
            birth_date: "1949-12-31".into(),
            ..Resident::default()
        })))
    }
}
