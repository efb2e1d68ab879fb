//! `AuditService`.

use linli_core::id::SiteId;
use linli_core::invalid::Invalid;
use linli_proto::v1;
use linli_store::{AuditEntry, Decision};
use tonic::{Request, Response, Status};

use super::Face;
use super::check::{Check, instant, timestamp};
use super::convert::{Shows, ToWire};
use super::page::Binding;
use super::request::{next, wanted};
use crate::app::audit::{Checkpoint, EntryFilter, Verification};
use crate::error::Result;
use crate::hex::hex;
use crate::name;

type Answer<M> = std::result::Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::audit_service_server::AuditService for Face {
    async fn list_audit_entries(
        &self,
        request: Request<v1::ListAuditEntriesRequest>,
    ) -> Answer<v1::ListAuditEntriesResponse> {
        self.read(request, |app, call, message| async move {
            let (site, filter) = entry_filter(&message)?;
            let query =
                v1::ListAuditEntriesRequest { page_size: 0, page_token: String::new(), ..message.clone() };
            let binding = Binding::new(&call, &[&prost::Message::encode_to_vec(&query)]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.audit_entries(&call, site.as_ref(), &filter, wanted).await?;
            let site = site.as_ref().map(name::site).unwrap_or_default();
            let shown = |entry| v1::AuditEntry { site: site.clone(), ..ToWire::to_wire(entry) };
            Ok(v1::ListAuditEntriesResponse {
                entries: page.items.iter().map(shown).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn get_checkpoint(&self, request: Request<v1::GetCheckpointRequest>) -> Answer<v1::Checkpoint> {
        self.read(request, |app, call, message| async move {
            let site = log(&message.parent)?;
            app.checkpoint(&call, site).await.map(|checkpoint| checkpoint.to_wire())
        })
        .await
    }

    async fn verify_audit(
        &self,
        request: Request<v1::VerifyAuditRequest>,
    ) -> Answer<v1::VerifyAuditResponse> {
        self.read(request, |app, call, message| async move {
            let site = log(&message.parent)?;
            app.verify_audit(&call, site.as_ref()).await.map(|found| found.to_wire())
        })
        .await
    }
}

impl Shows<AuditEntry> for v1::AuditEntry {
    fn shows(entry: &AuditEntry) -> Self {
        let draft = &entry.draft;
        Self {
            site: String::new(),
            number: entry.seq,
            hash: hex(&entry.hash),
            principal: draft.principal.clone(),
            method: draft.method.clone(),
            resource: draft.resource.clone(),
            residents: draft.subjects.clone(),
            field_classes: draft.classes.iter().map(|class| class.code().to_owned()).collect(),
            purpose: draft.purpose.clone(),
            decision: match draft.decision {
                Decision::Allowed => v1::AuditDecision::Allowed.into(),
                Decision::Denied => v1::AuditDecision::Denied.into(),
            },
            request_id: draft.request_id.clone(),
            occur_time: Some(timestamp(draft.care_time)),
            record_time: Some(timestamp(draft.system_time)),
        }
    }
}

impl Shows<Checkpoint> for v1::Checkpoint {
    fn shows(checkpoint: &Checkpoint) -> Self {
        let Checkpoint { site, anchor, public_key, head, index } = checkpoint;
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            site: site.as_ref().map(name::site).unwrap_or_default(),
            entry_number: head.seq,
            entry_hash: hex(&head.hash),
            anchor_number: i64::try_from(anchor.number).unwrap_or(i64::MAX),
            anchor_time_micros: anchor.time,
            previous: hex(&anchor.previous),
            root: hex(&anchor.root),
            signature: hex(&anchor.signature),
            public_key: hex(public_key),
            leaf_index: count(*index),
            leaf_count: count(anchor.heads.len()),
            proof: anchor.proof(*index).iter().map(|hash| hex(hash)).collect(),
        }
    }
}

impl Shows<Verification> for v1::VerifyAuditResponse {
    fn shows(found: &Verification) -> Self {
        Self {
            intact: found.flaw.is_none(),
            flaw: found.flaw.as_ref().map(ToString::to_string).unwrap_or_default(),
            entry_number: found.seq,
            anchored_number: found.anchored,
        }
    }
}

fn log(parent: &str) -> Result<Option<SiteId>> {
    let mut check = Check::new();
    let site = check.optional("parent", parent, name::parse_site);
    check.finish(site)
}

fn entry_filter(message: &v1::ListAuditEntriesRequest) -> Result<(Option<SiteId>, EntryFilter)> {
    let mut check = Check::new();
    let site = check.optional("parent", &message.parent, name::parse_site);
    let from = check.take("start_time", message.start_time.as_ref().map(instant).transpose());
    let until = check.take("end_time", message.end_time.as_ref().map(instant).transpose());
    let principal = check.optional("principal", &message.principal, name::parse_staff);
    let resident = check.optional("resident", &message.resident, name::parse_resident);
    if let (Some(site), Some(Some(resident))) = (&site, &resident)
        && site.as_ref() != Some(&resident.site)
    {
        check.refuse("resident", Invalid::ForeignSite);
    }
    let parsed = site.zip(from.zip(until)).zip(principal.zip(resident));
    let ((site, (from, until)), (principal, resident)) = check.finish(parsed)?;
    let resident = resident.map(|resident| resident.id);
    Ok((site, EntryFilter { from, until, principal, resident }))
}
