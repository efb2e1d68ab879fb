//! Which server a command speaks to, and as whom.

use std::path::PathBuf;

use clap::Args;
use linli_core::text::Language;
use secrecy::SecretString;

use super::Failure;
use crate::grpc::client::{Client, ClientError, Target};

/// Which server, and as whom.
#[derive(Debug, Args)]
pub struct Connect {
    /// The server: `http://host:port`, `https://host:port` or `unix:/path`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50051")]
    endpoint: String,
    /// A file that holds the bearer token; without it the variable `LINLI_TOKEN` is read.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// For `https`: the certificate authority of the server, PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Connect {
    /// Connects.
    ///
    /// # Errors
    /// A file or an option that is wrong, a server that cannot be reached.
    pub(super) async fn client(&self, language: Language) -> Result<Client, Failure> {
        let token = match &self.token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|err| cannot_read(path, &err))?;
                SecretString::from(text.trim().to_owned())
            }
            None => SecretString::from(std::env::var("LINLI_TOKEN").map_err(|_| {
                Failure::Usage("no token: give `--token-file`, or set the variable `LINLI_TOKEN`".into())
            })?),
        };
        let ca_pem = match &self.ca {
            Some(path) => Some(std::fs::read(path).map_err(|err| cannot_read(path, &err))?),
            None => None,
        };
        let target = Target { endpoint: self.endpoint.clone(), token, language, ca_pem };
        Client::connect(&target).await.map_err(|err| refused(&err, language))
    }
}

/// A file that cannot be read.
pub(super) fn cannot_read(path: &std::path::Path, err: &std::io::Error) -> Failure {
    Failure::Usage(format!("`{}` cannot be read: {err}", path.display()))
}

/// What a server refused, or why there is none.
pub(super) fn refused(err: &ClientError, language: Language) -> Failure {
    match err {
        ClientError::Endpoint(_) | ClientError::Token | ClientError::Purpose => {
            Failure::Usage(err.message(language))
        }
        ClientError::Unreachable(_) | ClientError::Refused { .. } | ClientError::Answer => {
            Failure::Failed(err.message(language))
        }
    }
}
