//! How the audit entry of a read becomes durable, before anything of the read leaves.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use linli_store::{ChangeSet, CommitError, Receipt, Store};

/// Makes entries of reads durable. There is one way, [`Durable`]; the bench that measures what it costs puts another in its
/// place, which no configuration can.
pub trait Entries: Send + Sync {
    /// Commits the entry of a read of `method`; the receipt opens what the entry names.
    ///
    /// # Errors
    /// [`CommitError`]: then nothing may leave.
    fn enter<'a>(
        &'a self,
        store: &'a Store,
        method: &'static str,
        entry: ChangeSet,
    ) -> BoxFuture<'a, Result<Receipt, CommitError>>;
}

/// In the site's chain, in one commit with whatever else waits for the writer: under load a read pays for no fsync of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Durable;

impl Entries for Durable {
    fn enter<'a>(
        &'a self,
        store: &'a Store,
        method: &'static str,
        entry: ChangeSet,
    ) -> BoxFuture<'a, Result<Receipt, CommitError>> {
        store.disclose(method, entry).boxed()
    }
}
