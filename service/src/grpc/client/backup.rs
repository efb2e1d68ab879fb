//! Backups.

use linli_proto::v1;
use v1::admin_service_client::AdminServiceClient;

use super::{Client, Result, patiently};

/// A backup that a server made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeBackup {
    /// The file on the server's machine.
    pub path: String,
    /// Its length in bytes.
    pub bytes: i64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl Client {
    /// Has the server make a backup.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn backup(&self, request_id: &str) -> Result<MadeBackup> {
        let made = patiently(|| {
            let request = self.request(v1::BackupRequest { request_id: request_id.to_owned() });
            let mut service = AdminServiceClient::new(self.channel.clone());
            async move { service.backup(request).await }
        })
        .await?;
        Ok(MadeBackup { path: made.path, bytes: made.byte_count, sha256: made.sha256 })
    }
}
