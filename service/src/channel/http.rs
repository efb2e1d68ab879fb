//! HTTPS for connectors: to hosts that the operator named, no redirect followed, no proxy, everything bounded.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use linli_plugin_host::exchange::{
    Bytes, FailureKind, HttpRequest, HttpResponse, Method, Outcome, is_host_header,
};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::address::{Inside, Resolver, may_reach};
use super::sign::{SIGNATURE, TIMESTAMP, sign};
use super::{failure, forbidden};

/// Longest time until a connection stands: a host that is away is known to be so after it.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Longest time between two pieces of an answer.
const PIECE_MAX: Duration = Duration::from_secs(15);
/// Longest time of one request with its answer.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// Largest answer, as the connector interface takes it.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Headers of an answer that a connector sees, and their bytes.
const HEADERS_MAX: usize = 50;
const HEADER_BYTES_MAX: usize = 1024;
/// Idle connections are kept for the next delivery of a series.
const IDLE: Duration = Duration::from_secs(30);

/// Where a channel's requests may go, and what is sent along.
pub(super) struct Web {
    hosts: Vec<Host>,
    private: bool,
    bearer: Option<HeaderValue>,
    secret: Option<SecretString>,
    /// None where no host is permitted: no request leaves.
    client: Option<Client>,
}

#[derive(Debug, PartialEq, Eq)]
struct Host {
    name: String,
    port: u16,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Web({:?})", self.hosts)
    }
}

impl Web {
    pub(super) fn new(
        hosts: &[String],
        private: bool,
        ca_file: Option<&Path>,
        bearer: Option<SecretString>,
        secret: Option<SecretString>,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let hosts: Vec<Host> =
            hosts.iter().filter_map(|text| host(text).map_err(|why| problems.push(why)).ok()).collect();
        let bearer = bearer.map(|token| {
            let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
            value.map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        let bearer = bearer.transpose().map_err(|_| problems.push("`bearer_file` holds no token".into()));
        let client = match hosts.is_empty() {
            true => None,
            false => client(private, ca_file).map_err(|why| problems.push(why)).ok(),
        };
        match bearer {
            Ok(bearer) if problems.is_empty() => Ok(Self { hosts, private, bearer, secret, client }),
            _ => Err(problems),
        }
    }

    /// Sends a request.
    pub(super) async fn send(&self, request: &HttpRequest, now_seconds: i64) -> Outcome {
        let Some(client) = &self.client else { return forbidden("this channel permits no `hosts`") };
        let url = match self.permitted(&request.url) {
            Ok(url) => url,
            Err(why) => return forbidden(why),
        };
        let headers = match self.headers(request, now_seconds) {
            Ok(headers) => headers,
            Err(why) => return forbidden(why),
        };
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let asked = client.request(method, url).headers(headers).body(request.body.0.clone());
        match asked.send().await {
            Ok(response) => read(response).await,
            Err(error) => refused(&error),
        }
    }

    /// The address, where it may be reached.
    fn permitted(&self, url: &str) -> Result<Url, String> {
        let url = Url::parse(url).map_err(|_| "the address cannot be read".to_owned())?;
        if url.scheme() != "https" {
            return Err("the address must begin with `https:`".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the address may hold no user and no password".to_owned());
        }
        let name = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        if !self.hosts.iter().any(|host| host.name == name && host.port == port) {
            return Err(format!("`{name}:{port}` is not among the `hosts` of this channel"));
        }
        let literal: Option<IpAddr> = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
        if literal.is_some_and(|address| !may_reach(address, self.private)) {
            return Err(format!("`{name}` {Inside}"));
        }
        Ok(url)
    }

    fn headers(&self, request: &HttpRequest, now_seconds: i64) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            if is_host_header(name.as_str()) {
                return Err(format!("the header `{name}` is the host's to set"));
            }
            let name = HeaderName::try_from(name).map_err(|_| "a header's name cannot be sent".to_owned())?;
            let value =
                HeaderValue::try_from(value).map_err(|_| format!("the header `{name}` cannot be sent"))?;
            headers.append(name, value);
        }
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        if request.sign {
            let secret = self.secret.as_ref().ok_or("this channel has no `signing_secret_file`")?;
            let signature = sign(secret, now_seconds, &request.body.0);
            let signature = HeaderValue::try_from(signature).map_err(|_| "no signature".to_owned())?;
            headers.insert(TIMESTAMP, HeaderValue::from(now_seconds));
            headers.insert(SIGNATURE, signature);
        }
        Ok(headers)
    }
}

/// A host with its port, `health.example.cn` or `10.1.2.3:8443`.
fn host(text: &str) -> Result<Host, String> {
    let wrong =
        || format!("`hosts`: `{text}` is not a host such as `health.example.cn` or `health.example.cn:8443`");
    let url = Url::parse(&format!("https://{text}/")).map_err(|_| wrong())?;
    let plain =
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let name = url.host_str().filter(|_| plain && !text.contains(['/', '*'])).ok_or_else(wrong)?;
    Ok(Host { name: name.to_owned(), port: url.port_or_known_default().unwrap_or(443) })
}

fn client(private: bool, ca_file: Option<&Path>) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(tls(ca_file)?)
        .https_only(true)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .dns_resolver(Resolver { private })
        .connect_timeout(CONNECT_MAX)
        .read_timeout(PIECE_MAX)
        .timeout(REQUEST_MAX)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(4)
        .user_agent(concat!("linli/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("no HTTPS: {error}"))
}

/// Which certificates are believed: those of the file, or those of the machine.
fn tls(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let shown = path.display();
            let pem = std::fs::read(path).map_err(|err| format!("`ca_file`: `{shown}`: {err}"))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|err| format!("`ca_file`: `{shown}`: {err}"))?;
                roots.add(certificate).map_err(|err| format!("`ca_file`: `{shown}`: {err}"))?;
            }
            if roots.is_empty() {
                return Err(format!("`ca_file`: `{shown}` holds no certificate"));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("no TLS: {error}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Reads an answer to its end, or to the bound.
async fn read(mut response: reqwest::Response) -> Outcome {
    let status = response.status().as_u16();
    let shown = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = value.to_str().ok().filter(|value| value.len() <= HEADER_BYTES_MAX)?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    let headers = response.headers().iter().filter_map(shown).take(HEADERS_MAX).collect();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) if body.len() + piece.len() > ANSWER_BYTES_MAX => {
                let detail = format!("status {status}, and an answer of more than {ANSWER_BYTES_MAX} bytes");
                return failure(FailureKind::Unknown, detail);
            }
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => return Outcome::Http(HttpResponse { status, headers, body: Bytes(body) }),
            Err(error) => {
                let detail = format!("status {status}, and the answer broke off: {}", cause(&error));
                return failure(FailureKind::Unknown, detail);
            }
        }
    }
}

/// What a request that got no answer came to.
fn refused(error: &reqwest::Error) -> Outcome {
    let kind = if error.is_connect() { FailureKind::NotDone } else { FailureKind::Unknown };
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if inner.is::<Inside>() {
            return forbidden(Inside.to_string());
        }
        source = inner.source();
    }
    failure(kind, cause(error))
}

/// The innermost reason, which names no address and no content.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return if error.is_connect() { "no connection in time" } else { "no answer in time" }.to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(hosts: &[&str], private: bool) -> Web {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        Web::new(&hosts, private, None, None, None).unwrap()
    }

    fn request(url: &str) -> HttpRequest {
        let (headers, body) = (Vec::new(), Bytes::default());
        HttpRequest { method: Method::Post, url: url.to_owned(), headers, body, sign: false }
    }

    #[test]
    fn hosts_are_named_as_such() {
        for (text, name, port) in [
            ("health.example.cn", "health.example.cn", 443),
            ("health.example.cn:8443", "health.example.cn", 8443),
            ("10.1.2.3:8443", "10.1.2.3", 8443),
            ("[::1]:9000", "[::1]", 9000),
            ("卫生.example", "xn--rlr479e.example", 443),
        ] {
            assert_eq!(host(text), Ok(Host { name: name.into(), port }), "{text}");
        }
        for text in
            ["", "https://health.example.cn", "health.example.cn/path", "user@health.example.cn", "a b", "*"]
        {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_goes_only_where_the_operator_permits() {
        let web = web(&["health.example.cn", "127.0.0.1:8443", "169.254.169.254"], false);
        assert!(web.permitted("https://health.example.cn/referrals?x=1").is_ok());
        for wrong in [
            "http://health.example.cn/",
            "https://health.example.cn:8443/",
            "https://health.example.cn.evil.example/",
            "https://evil.example/health.example.cn",
            "https://user:secret@health.example.cn/",
            "https://health.example.cn@evil.example/",
            "https://127.0.0.1:8443/",
            "https://2130706433:8443/",
            "https://0x7f.1:8443/",
            "https://[::ffff:127.0.0.1]:8443/",
            "https://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            "nonsense",
        ] {
            assert!(web.permitted(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn private_addresses_are_for_the_operator_to_permit() {
        let web = web(&["127.0.0.1:8443", "169.254.169.254"], true);
        assert!(web.permitted("https://127.0.0.1:8443/").is_ok());
        assert!(web.permitted("https://169.254.169.254/").is_err());
    }

    #[test]
    fn credentials_are_the_hosts() {
        let web = web(&["health.example.cn"], false);
        for name in ["authorization", "host", "cookie", "linli-signature", "content-length"] {
            let headers = vec![(name.to_owned(), "x".to_owned())];
            let request = HttpRequest { headers, ..request("https://health.example.cn/") };
            assert!(web.headers(&request, 0).is_err(), "{name}");
        }
        let signed = HttpRequest { sign: true, ..request("https://health.example.cn/") };
        assert!(web.headers(&signed, 0).unwrap_err().contains("signing_secret_file"));
    }
}
