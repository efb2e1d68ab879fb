//! TLS on the listener, and client certificates as credentials.

use linli_proto::v1;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer as Signer, KeyPair, SanType};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic_types::StatusExt as _;

use crate::harness::client::Client;
use crate::harness::issuer::{Issuer, grant};
use crate::harness::refused;
use crate::harness::server::{Data, Server};

/// Signs certificates.
pub struct Authority {
    signer: Signer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { signer: Signer::new(params, key), pem }
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.pem.clone()
    }

    /// Certificate and key of these names, PEM.
    pub fn signs(&self, names: Vec<SanType>, common_name: &str) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names;
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.signer).unwrap().pem(), key.serialize_pem())
    }

    fn client(&self, uri: &str) -> (String, String) {
        self.signs(vec![SanType::URI(uri.try_into().unwrap())], "gateway")
    }

    fn server(&self) -> (String, String) {
        self.signs(vec![SanType::DnsName("localhost".try_into().unwrap())], "linli")
    }
}

/// A file that its owner alone reads.
pub fn write_private(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Data of a server that speaks TLS and knows clients by certificates of `clients`.
fn secured(data: Data, servers: &Authority, clients: &Authority) -> Data {
    let folder = data.folder().to_owned();
    let (certificate, key) = servers.server();
    std::fs::write(folder.join("server.pem"), certificate).unwrap();
    write_private(&folder.join("server.key"), &key);
    std::fs::write(folder.join("clients.pem"), clients.pem()).unwrap();
    let toml = format!(
        "server.tls.cert_file = \"{0}/server.pem\"\nserver.tls.key_file = \"{0}/server.key\"\n\
         server.tls.client_ca_file = \"{0}/clients.pem\"",
        folder.display()
    );
    data.with(&toml)
}

/// A client over TLS that trusts `servers` and shows `identity`.
fn over_tls(server: &Server, servers: &Authority, identity: Option<&(String, String)>) -> Client {
    let trust = Certificate::from_pem(servers.pem());
    let mut tls = ClientTlsConfig::new().ca_certificate(trust).domain_name("localhost");
    if let Some((certificate, key)) = identity {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).unwrap();
    Client::over(endpoint.tls_config(tls).unwrap().connect_lazy())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_credentials() {
    let (servers, clients, strangers, issuer) =
        (Authority::new(), Authority::new(), Authority::new(), Issuer::new());
    let data = issuer.trusted(secured(Data::sqlite(), &servers, &clients));
    let server = Server::on(data).await;
    let dev = over_tls(&server, &servers, None).token(server.member_token());
    dev.site("a").await;
    let enter = async |id: &str, kind: v1::StaffCredentialKind, subjects: &[&str]| {
        let credential =
            |subject: &&str| v1::StaffCredential { kind: kind.into(), subject: (*subject).to_owned() };
        let staff = v1::Staff {
            display_name: id.to_owned(),
            grants: vec![grant(v1::StaffRole::Integration, &["a"])],
            credentials: subjects.iter().map(credential).collect(),
            ..Default::default()
        };
        let request =
            v1::CreateStaffRequest { staff: Some(staff), staff_id: id.to_owned(), ..Default::default() };
        dev.ask(request).await.unwrap();
    };
    let certificate = v1::StaffCredentialKind::Certificate;
    enter("gateway", certificate, &["spiffe://linli/gateway", "gateway.example"]).await;
    enter("other", certificate, &["spiffe://linli/other"]).await;
    enter("wang", v1::StaffCredentialKind::Token, &["wang", "spiffe://linli/nobody"]).await;
    let get = v1::GetSiteRequest { name: "sites/a".to_owned() };

    let gateway = clients.client("spiffe://linli/gateway");
    let by_certificate = over_tls(&server, &servers, Some(&gateway));
    by_certificate.ask(get.clone()).await.unwrap();
    let dns = clients.signs(vec![SanType::DnsName("gateway.example".try_into().unwrap())], "x");
    over_tls(&server, &servers, Some(&dns)).ask(get.clone()).await.unwrap();
    // A token alone is enough; both together must be of one.
    let by_token = over_tls(&server, &servers, None).token(&issuer.token("wang"));
    by_token.ask(get.clone()).await.unwrap();
    refused(by_certificate.token(&issuer.token("wang")).ask(get.clone()).await, "PERMISSION_DENIED");
    refused(by_certificate.token("guessed").ask(get.clone()).await, "UNAUTHENTICATED");
    refused(by_certificate.token(server.member_token()).ask(get.clone()).await, "UNAUTHENTICATED");
    // A name that is nobody's, or a token's; names of two; no name but the common one.
    for uri in ["spiffe://linli/unknown", "spiffe://linli/nobody"] {
        let client = over_tls(&server, &servers, Some(&clients.client(uri)));
        refused(client.ask(get.clone()).await, "PERMISSION_DENIED");
    }
    let uri = |uri: &str| SanType::URI(uri.try_into().unwrap());
    let both = clients.signs(vec![uri("spiffe://linli/gateway"), uri("spiffe://linli/other")], "x");
    refused(over_tls(&server, &servers, Some(&both)).ask(get.clone()).await, "PERMISSION_DENIED");
    let nameless = clients.signs(Vec::new(), "gateway.example");
    refused(over_tls(&server, &servers, Some(&nameless)).ask(get.clone()).await, "UNAUTHENTICATED");
    refused(over_tls(&server, &servers, None).ask(get.clone()).await, "UNAUTHENTICATED");
    // A certificate that others have signed, and a client that speaks no TLS, do not come through the handshake.
    let forged = strangers.client("spiffe://linli/gateway");
    for client in [over_tls(&server, &servers, Some(&forged)), server.nobody().token(&issuer.token("wang"))] {
        let status = client.ask(get.clone()).await.unwrap_err();
        assert!(status.get_error_details().error_info().is_none(), "the server answered: {status:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let (servers, clients, renewed) = (Authority::new(), Authority::new(), Authority::new());
    let server = Server::on(secured(Data::sqlite(), &servers, &clients)).await;
    let token = server.member_token().to_owned();
    over_tls(&server, &servers, None).token(&token).site("a").await;
    let (certificate, key) = renewed.server();
    write_private(&server.data.folder().join("server.key"), &key);
    std::fs::write(server.data.folder().join("server.pem"), certificate).unwrap();
    let since = std::time::Instant::now();
    let list = v1::ListSitesRequest::default();
    while over_tls(&server, &renewed, None).token(&token).ask(list.clone()).await.is_err() {
        assert!(since.elapsed() < crate::harness::PATIENCE, "the new certificate is not served");
    }
    over_tls(&server, &servers, None).token(&token).ask(list).await.unwrap_err();
    server.stop().await;
}
