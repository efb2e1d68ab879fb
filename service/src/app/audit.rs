//! The audit log, for those who read it: entries, anchors, verification. Reading it leaves an entry.

use linli_core::id::{ResidentId, SiteId, StaffId};
use linli_core::time::Instant;
use linli_store::{AUDIT_PAGE_MAX, AuditEntry, Scope};

use super::work::{Touches, Work};
use super::{App, BATCHES_MAX, Page, PageRequest};
use crate::audit::anchor::{Anchor, Head};
use crate::audit::{AuditError, Flaw};
use crate::auth::Call;
use crate::error::{Error, Result};
use linli_core::staff::Reach;

/// Which entries a list holds.
#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    /// Recorded at or after this instant of the machine's clock.
    pub from: Option<Instant>,
    /// Recorded before it.
    pub until: Option<Instant>,
    /// Of this member of staff.
    pub principal: Option<StaffId>,
    /// That touch this resident.
    pub resident: Option<ResidentId>,
}

impl EntryFilter {
    fn holds(&self, entry: &AuditEntry) -> bool {
        let draft = &entry.draft;
        self.from.is_none_or(|from| draft.system_time >= from)
            && self.until.is_none_or(|until| draft.system_time < until)
            && self.principal.as_ref().is_none_or(|principal| draft.principal == principal.as_str())
            && self
                .resident
                .as_ref()
                .is_none_or(|resident| draft.subjects.iter().any(|subject| subject == resident.as_str()))
    }
}

/// An anchor, and where a site's log is under it.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The site; `None`: the server's own log.
    pub site: Option<SiteId>,
    /// The anchor.
    pub anchor: std::sync::Arc<Anchor>,
    /// The key that it was made with.
    pub public_key: [u8; 32],
    /// Where the log ends, as the anchor says.
    pub head: Head,
    /// The place of that end among the anchor's.
    pub index: usize,
}

/// What a verification found.
#[derive(Debug, Clone)]
pub struct Verification {
    /// The first flaw.
    pub flaw: Option<Flaw>,
    /// The last entry that was verified.
    pub seq: i64,
    /// The last entry that an anchor holds.
    pub anchored: i64,
}

impl App {
    /// Entries of a site's log, or of the server's own, by number.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::PageToken`].
    pub async fn audit_entries(
        &self,
        call: &Call,
        site: Option<&SiteId>,
        filter: &EntryFilter,
        page: PageRequest,
    ) -> Result<Page<AuditEntry>> {
        let work = self.begin_log(call, site).await?;
        let mut after: i64 = match &page.after {
            Some(cursor) => cursor.parse().map_err(|_| Error::PageToken)?,
            None => 0,
        };
        let scope = site.map_or(Scope::System, Scope::from);
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        let mut next = None;
        'batches: for batch in 0..BATCHES_MAX {
            let entries = self.store.audit_entries(&scope, after, AUDIT_PAGE_MAX).await?;
            let exhausted = u64::try_from(entries.len()).is_ok_and(|count| count < AUDIT_PAGE_MAX);
            for entry in entries {
                if items.len() == size {
                    next = Some(after.to_string());
                    break 'batches;
                }
                after = entry.seq;
                if filter.holds(&entry) {
                    items.push(entry);
                }
            }
            if exhausted {
                break;
            }
            if batch + 1 == BATCHES_MAX {
                next = Some(after.to_string());
            }
        }
        work.disclose(&Touches::resource(log_name(site))).await?;
        Ok(Page { items, next })
    }

    /// The newest anchor that holds a log.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`]; [`Error::Internal`] where the log is not what it was.
    pub async fn checkpoint(&self, call: &Call, site: Option<SiteId>) -> Result<Checkpoint> {
        let work = self.begin_log(call, site.as_ref()).await?;
        work.disclose(&Touches::resource(log_name(site.as_ref()))).await?;
        let scope = site.as_ref().map_or(Scope::System, Scope::from);
        let none = || Error::Internal("a log that has an entry has no anchor".into());
        let anchor = self.audit.newest(scope.text()).await.map_err(failed)?.ok_or_else(none)?;
        let (index, head) = anchor.head(scope.text()).ok_or_else(none)?;
        let (head, public_key) = (head.clone(), self.audit.public().to_bytes());
        Ok(Checkpoint { site, anchor, public_key, head, index })
    }

    /// Verifies a log from its beginning.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`]. A flaw is no error.
    pub async fn verify_audit(&self, call: &Call, site: Option<&SiteId>) -> Result<Verification> {
        let work = self.begin_log(call, site).await?;
        work.disclose(&Touches::resource(log_name(site))).await?;
        let scope = site.map_or(Scope::System, Scope::from);
        match self.audit.verify_site(scope.text()).await {
            Ok((end, anchored)) => Ok(Verification { flaw: None, seq: end.seq, anchored }),
            Err(AuditError::Flaw(flaw)) => Ok(Verification { flaw: Some(flaw), seq: 0, anchored: 0 }),
            Err(error) => Err(failed(error)),
        }
    }

    /// As every call begins. The server's own log tells of every site.
    async fn begin_log<'a>(&'a self, call: &'a Call, site: Option<&SiteId>) -> Result<Work<'a>> {
        let work = self.begin(call, site).await?;
        if site.is_none() && *work.permit().reach() != Reach::Everywhere {
            return Err(Error::Denied);
        }
        Ok(work)
    }
}

fn log_name(site: Option<&SiteId>) -> String {
    site.map_or_else(|| "auditEntries".to_owned(), |site| format!("{}/auditEntries", crate::name::site(site)))
}

fn failed(error: AuditError) -> Error {
    match error {
        AuditError::Store(error) => error.into(),
        AuditError::Flaw(_) | AuditError::File { .. } => Error::Internal(error.to_string()),
    }
}
