//! The end of files on the wire.

use linli_core::id::ResidentId;
use linli_core::text::Paragraph;
use linli_proto::v1;

use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, label, parse_etag};
use crate::app::erasure::Certificate;
use crate::app::site::Update;
use crate::error::Result;
use crate::hex::hex;
use crate::name;

/// A file and the version of it that the caller read.
pub(super) fn file(name: &str, etag: &str) -> Result<Update<ResidentId, ()>> {
    let mut check = Check::new();
    let at = check.take("name", name::parse_resident(name));
    let version = check.take("etag", parse_etag(etag));
    let (at, version) = check.finish(at.zip(version))?;
    Ok(Update { site: at.site, id: at.id, version, change: () })
}

/// The same with the reason for what is done to it.
pub(super) fn reasoned(name: &str, etag: &str, reason: &str) -> Result<Update<ResidentId, Paragraph>> {
    let mut check = Check::new();
    let at = check.take("name", name::parse_resident(name));
    let version = check.take("etag", parse_etag(etag));
    let reason = check.take("reason", Paragraph::new(reason));
    let ((at, version), change) = check.finish(at.zip(version).zip(reason))?;
    Ok(Update { site: at.site, id: at.id, version, change })
}

impl Shows<Certificate> for v1::ErasureCertificate {
    fn shows(certificate: &Certificate) -> Self {
        let erasure = &certificate.erasure;
        Self {
            name: certificate.name.clone(),
            erase_time: Some(timestamp(erasure.erased_at)),
            author: name::staff(&erasure.by),
            cause: erasure.cause.number(),
            key_delete_time: erasure.key_deleted_at.map(timestamp),
            key_backup_end_date: certificate.backups_until.to_string(),
            text: label(&certificate.text),
            sha256: hex(&certificate.digest),
        }
    }
}
