//! What the server does in its own name: calls that nobody made, and commits that belong to no call. Both are audited like
//! every other.

use std::time::Duration;

use linli_core::id::StaffId;
use linli_core::text::Language;
use linli_core::time::Instant;
use linli_store::{AuditDraft, ChangeSet, CommitError, Decision, Fault, FieldClasses, Scope, Store};

use super::App;
use crate::auth::{Call, Caller, Principal, Rights, table};
use crate::error::{Error, Result};

/// Who it is.
const OWN_NAME: &str = "linli";
/// How often a commit is tried that lost against others.
const TRIES: u32 = 8;
/// How long it waits before it tries again.
const REST: Duration = Duration::from_millis(100);

/// What an audit entry of its own says.
pub(super) struct Own {
    /// In whose chain.
    pub(super) scope: Scope,
    /// The RPC that began it.
    pub(super) method: &'static str,
    /// The resource's name.
    pub(super) resource: String,
    /// The residents whose data it touches.
    pub(super) subjects: Vec<String>,
}

impl App {
    /// A call in the server's own name.
    pub(super) fn own_call(&self, path: &str) -> Result<Call> {
        let method = table::find(path).ok_or_else(|| Error::Internal(format!("no row for {path}")))?;
        let staff = StaffId::new(OWN_NAME).map_err(|why| Error::Internal(why.to_string()))?;
        let caller = Caller::Fixed(Principal { staff, rights: Rights::Server });
        let request_id = self.ids.next(self.now());
        Ok(Call { caller, method, request_id, purpose: None, language: Language::En })
    }

    /// As [`commit_own`], now.
    pub(super) async fn commit_own(&self, own: &Own, build: impl Fn(&mut ChangeSet)) -> Result<()> {
        commit_own(&self.store, own, self.times(), build).await
    }

    /// The care clock and the system clock.
    pub(super) fn times(&self) -> Times {
        (self.now(), self.system_clock.now())
    }
}

/// What the care clock and the system clock say.
pub(super) type Times = (Instant, Instant);

/// Commits what `build` puts into a change set; again where rights changed meanwhile or too much waits.
pub(super) async fn commit_own(
    store: &Store,
    own: &Own,
    (care_time, system_time): Times,
    build: impl Fn(&mut ChangeSet),
) -> Result<()> {
    let mut tries = 0;
    loop {
        let epoch = store.authz_epoch(&own.scope).await?.unwrap_or_default();
        let draft = AuditDraft {
            principal: OWN_NAME.to_owned(),
            method: own.method.to_owned(),
            resource: own.resource.clone(),
            subjects: own.subjects.clone(),
            classes: FieldClasses::NONE,
            purpose: String::new(),
            decision: Decision::Allowed,
            request_id: String::new(),
            care_time,
            system_time,
        };
        let mut changes = ChangeSet::new(own.scope.clone(), epoch, draft);
        build(&mut changes);
        tries += 1;
        match store.commit(own.method, changes).await {
            Ok(_) => return Ok(()),
            Err(
                CommitError::EpochChanged { .. }
                | CommitError::KeysChanged { .. }
                | CommitError::Overloaded
                | CommitError::Database(Fault::Busy),
            ) if tries < TRIES => tokio::time::sleep(REST).await,
            Err(error) => return Err(error.into()),
        }
    }
}
