//! TLS on the listener, and the names in clients' certificates.
//!
//! The files are read again when they change: a renewed certificate needs no restart, and broken files leave what is served.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use linli_core::staff::{Credential, CredentialKind};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::auth::keys::Stamp;
use crate::config;

/// The protocol that clients must agree on: HTTP/2.
const ALPN: &[u8] = b"h2";
/// Most names of one certificate that are looked at.
const NAMES_MAX: usize = 16;

/// The TLS of a listener.
pub(super) struct Tls {
    settings: config::Tls,
    config: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Vec<Option<Stamp>>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file is wrong, and how.
    pub(super) fn open(settings: &config::Tls) -> Result<Self, String> {
        let seen = stamps(settings);
        let config = read(settings)?;
        Ok(Self { settings: settings.clone(), config: RwLock::new(Arc::new(config)), seen: Mutex::new(seen) })
    }

    /// What takes a handshake now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Reads the files again where one has changed. Broken ones change nothing and are complained about once.
    pub(super) fn refresh(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.settings);
        if now == *seen {
            return;
        }
        *seen = now;
        match read(&self.settings) {
            Ok(config) => {
                tracing::info!("the certificate was read again");
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
            }
            Err(why) => tracing::error!(why, "the certificate is broken; the one from before is served on"),
        }
    }
}

fn stamps(settings: &config::Tls) -> Vec<Option<Stamp>> {
    let files = [Some(&settings.cert_file), Some(&settings.key_file), settings.client_ca_file.as_ref()];
    files.into_iter().flatten().map(|file| Stamp::of(file)).collect()
}

fn read(settings: &config::Tls) -> Result<ServerConfig, String> {
    let chain = certificates(&settings.cert_file)?;
    let key = private_key(&settings.key_file)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?;
    let builder = match &settings.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(file)? {
                roots.add(root).map_err(|error| format!("`{}`: {error}", file.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if settings.require_client_certificate {
                verifier.build()
            } else {
                verifier.allow_unauthenticated().build()
            };
            builder.with_client_cert_verifier(
                verifier.map_err(|error| format!("`{}`: {error}", file.display()))?,
            )
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("`{}`: {error}", settings.cert_file.display()))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("`{shown}`: {error}"))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("`{shown}`: there is no certificate in it")),
        Err(error) => Err(format!("`{shown}`: {error}")),
    }
}

/// The private key, from a file that is its owner's alone. What is wrong inside is not repeated.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    use secrecy::ExposeSecret as _;
    let pem = config::SecretRef::File(path.to_owned()).read()?;
    PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
        .map_err(|_| format!("`{}`: there is no private key in it", path.display()))
}

/// The URI and DNS names of a client's certificate, which the handshake has verified: under these names it may be somebody's.
/// The common name is none of them (RFC 9525).
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<Credential> {
    let Ok(parsed) = webpki::EndEntityCert::try_from(certificate) else { return Vec::new() };
    let names = parsed.valid_uri_names().chain(parsed.valid_dns_names());
    names
        .take(NAMES_MAX)
        .filter_map(|name| Credential::presented(CredentialKind::Certificate, name))
        .collect()
}
