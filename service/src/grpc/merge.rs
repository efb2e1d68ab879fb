//! `MergeResidents` and `UnmergeResidents`.

use linli_core::invalid::Invalid;
use linli_core::text::Line;
use linli_proto::v1;

use super::check::Check;
use super::convert::{Shows, ToWire, parse_etag};
use crate::app::merge::{Merge, Part, Parted};
use crate::error::Result;
use crate::name;

/// Most records that are assigned at once: bounds the commit that holds them.
const RECORDS_MAX: usize = 100;

/// Which files are to become one.
pub(super) fn merge(message: &v1::MergeResidentsRequest) -> Result<Merge> {
    let mut check = Check::new();
    let survivor = check.take("name", name::parse_resident(&message.name));
    let duplicate = check.take("duplicate", name::parse_resident(&message.duplicate));
    let reason = check.take("reason", Line::new(&message.reason));
    let survivor_version = check.take("etag", parse_etag(&message.etag));
    let duplicate_version = check.take("duplicate_etag", parse_etag(&message.duplicate_etag));
    if let (Some(survivor), Some(duplicate)) = (&survivor, &duplicate) {
        check.same_site("duplicate", &survivor.site, &duplicate.site);
        if survivor == duplicate {
            check.refuse("duplicate", Invalid::Duplicate);
        }
    }
    let parsed = survivor.zip(duplicate).zip(reason.zip(survivor_version.zip(duplicate_version)));
    let ((survivor, duplicate), (reason, (survivor_version, duplicate_version))) = check.finish(parsed)?;
    Ok(Merge {
        site: survivor.site,
        survivor: survivor.id,
        duplicate: duplicate.id,
        reason,
        survivor_version,
        duplicate_version,
    })
}

/// Which file is to stand for itself again.
pub(super) fn part(message: &v1::UnmergeResidentsRequest) -> Result<Part> {
    let mut check = Check::new();
    let at = check.take("name", name::parse_resident(&message.name));
    let reason = check.take("reason", Line::new(&message.reason));
    if message.records.len() > RECORDS_MAX {
        check.refuse("records", Invalid::TooMany { max: RECORDS_MAX });
    }
    let mut records = Vec::new();
    for (index, text) in message.records.iter().take(RECORDS_MAX).enumerate() {
        let Some(record) = check.take(format!("records[{index}]"), name::parse_record(text)) else {
            continue;
        };
        if let Some(at) = &at {
            check.same_site(format!("records[{index}]"), &at.site, &record.site);
        }
        if records.contains(&record.id) {
            check.refuse(format!("records[{index}]"), Invalid::Duplicate);
        }
        records.push(record.id);
    }
    let (at, reason) = check.finish(at.zip(reason))?;
    Ok(Part { site: at.site, id: at.id, reason, records })
}

impl Shows<Parted> for v1::UnmergeResidentsResponse {
    fn shows(parted: &Parted) -> Self {
        Self { resident: Some(parted.file.to_wire()), survivor: Some(parted.survivor.to_wire()) }
    }
}
