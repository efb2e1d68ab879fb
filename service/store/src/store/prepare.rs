//! What a change set needs before the writer gives it its place: keys, seals, rows and hashes.

use std::collections::HashMap;

use secrecy::ExposeSecret;

use super::Store;
use crate::change::{ChangeSet, EventDraft, Prepared, PreparedRequest, Rows, Scope, Write};
use crate::crypto::cell::{self, Place};
use crate::crypto::ring::{ResidentKeys, SiteKeys};
use crate::error::{CommitError, Fault, SealError, StoreError};
use crate::seal::Sealer;
use crate::table::Val;

impl Store {
    /// Seals, converts and hashes whatever can be before the writer gives the change set its place.
    pub(crate) async fn prepare(&self, set: &ChangeSet) -> Result<Prepared, CommitError> {
        let scope = set.scope.text();
        let keys = self.keys();
        let site = self.site_keys(scope).await?;
        if set.renews_keys {
            // Key first: the head names it in the commit that this prepares.
            keys.make_version(scope, site.version().saturating_add(1)).await?;
        }
        let mut sealed_for = Vec::new();
        set.changes.iter().for_each(|change| change.sealed_for(&mut sealed_for));
        let mut residents: Vec<String> = sealed_for.iter().map(|id| id.as_str().to_owned()).collect();
        residents.sort_unstable();
        residents.dedup();
        let created = set.changes.iter().filter_map(|change| change.creates());
        let created: Vec<_> = created.map(|id| (id.as_str().to_owned(), None)).collect();
        if !created.is_empty() {
            keys.create(scope, &site, &created).await?;
        }
        let residents = self.current_keys(scope, &site, &residents).await?;
        let key_version = i64::from(site.version());
        let sealer = Sealer { keys, site_text: scope, site, residents };
        let reindexed: Vec<&str> =
            set.changes.iter().filter_map(|change| change.reindexes()).map(|id| id.as_str()).collect();
        let index = self.index_rows(scope, &reindexed).await.map_err(|err| match err {
            StoreError::Database(fault) => CommitError::Database(fault),
            StoreError::Row { .. } => CommitError::Database(Fault::Internal),
            StoreError::Seal(err) => CommitError::Seal(err),
        })?;
        let mut rows = Rows::default();
        for change in &set.changes {
            change.rows(&sealer, &index, &mut rows)?;
        }
        check_site(&set.scope, &rows)?;
        if !set.events.iter().all(EventDraft::is_name) {
            return Err(CommitError::Database(Fault::Constraint));
        }
        let request = match &set.request {
            Some(request) => Some(PreparedRequest {
                principal: set.audit.principal.clone(),
                method: request.method.clone(),
                request_id: request.request_id.clone(),
                request_hash: request.request_hash,
                sealed_answer: seal_answer(&sealer, scope, request.answer.expose_secret())?,
            }),
            None => None,
        };
        Ok(Prepared {
            scope: scope.to_owned(),
            epoch: set.epoch,
            key_version,
            renews_keys: set.renews_keys,
            bump_epoch: set.bump_epoch,
            bumped: set.bumped.clone(),
            audit_tail: set.audit.tail(&rows.digest()),
            rows,
            events: set.events.clone(),
            care_time: set.audit.care_time,
            system_time: set.audit.system_time,
            request,
        })
    }

    /// The keys of these residents, as far as there are any, each with one of the site's current version.
    async fn current_keys(
        &self,
        scope: &str,
        site: &SiteKeys,
        residents: &[String],
    ) -> Result<HashMap<String, ResidentKeys>, SealError> {
        if residents.is_empty() {
            return Ok(HashMap::new());
        }
        let mut found = self.keys().residents(scope, site, residents).await?;
        let is_old = |keys: &ResidentKeys| keys.newest() != Some(site.version());
        let old: Vec<_> = found.iter().filter(|(_, keys)| is_old(keys)).collect();
        if !old.is_empty() {
            let old: Vec<_> = old.into_iter().map(|(id, keys)| (id.clone(), Some(keys.clone()))).collect();
            self.keys().create(scope, site, &old).await?;
            let ids: Vec<String> = old.into_iter().map(|(id, _)| id).collect();
            found.extend(self.keys().residents(scope, site, &ids).await?);
        }
        Ok(found)
    }
}

/// Every row of a site's change set belongs to the site.
fn check_site(scope: &Scope, rows: &Rows) -> Result<(), CommitError> {
    let Scope::Site(site) = scope else { return Ok(()) };
    let own = Val::Text(site.as_str().to_owned());
    let guards = rows.guards.iter().map(|guard: &crate::change::Guard| guard.key.first());
    let writes = rows.writes.iter().map(|write| match write {
        Write::Append { row, .. } | Write::Put { row, .. } => row.first(),
        Write::Delete { key, .. } | Write::Swap { key, .. } => key.first(),
    });
    if guards.chain(writes).all(|first| first == Some(&own)) {
        Ok(())
    } else {
        Err(CommitError::Database(Fault::Constraint))
    }
}

pub(super) fn answer_place(scope: &str) -> Place<'_> {
    Place { site: scope, table: "idempotency", row: &[], column: "answer", version: 1 }
}

fn seal_answer(sealer: &Sealer<'_>, scope: &str, answer: &[u8]) -> Result<Vec<u8>, SealError> {
    let key = sealer.site.current();
    let (provider, random) = (sealer.keys.provider(), sealer.keys.random());
    cell::seal(provider, random, &key.seal, key.version, &answer_place(scope), answer)
}
