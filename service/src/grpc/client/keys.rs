//! Replacing the keys.

use linli_proto::v1;
use v1::admin_service_client::AdminServiceClient;

use super::{Client, Result, patiently};

/// How far a replacement of keys is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyProgress {
    /// Which one it is.
    pub number: i64,
    /// Whether the older keys are gone.
    pub finished: bool,
    /// Scopes whose keys are replaced.
    pub scopes_finished: usize,
    /// Scopes that there are.
    pub scopes_total: usize,
}

impl Client {
    /// Begins to replace the keys, and the root key where that is asked for.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn rotate_keys(&self, replace_root_key: bool, request_id: &str) -> Result<KeyProgress> {
        let answer = patiently(|| {
            let request_id = request_id.to_owned();
            let request = self.request(v1::RotateKeysRequest { replace_root_key, request_id });
            let mut service = AdminServiceClient::new(self.channel.clone());
            async move { service.rotate_keys(request).await }
        });
        answer.await.map(|rotation| progress(&rotation))
    }

    /// How far the newest replacement of keys is.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn key_progress(&self) -> Result<KeyProgress> {
        let answer = patiently(|| {
            let request = self.request(v1::GetKeyRotationRequest {});
            let mut service = AdminServiceClient::new(self.channel.clone());
            async move { service.get_key_rotation(request).await }
        });
        answer.await.map(|rotation| progress(&rotation))
    }
}

fn progress(rotation: &v1::KeyRotation) -> KeyProgress {
    let count = |count: i64| usize::try_from(count).unwrap_or_default();
    KeyProgress {
        number: rotation.number,
        finished: rotation.finish_time.is_some(),
        scopes_finished: count(rotation.scopes_finished),
        scopes_total: count(rotation.scopes_total),
    }
}
