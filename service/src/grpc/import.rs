//! `ImportResidents`: a roster as a stream of rows.

use std::sync::Arc;

use linli_core::id::{GroupCode, SiteId};
use linli_core::invalid::Invalid;
use linli_core::text::{Language, Line};
use linli_core::time::CivilDate;
use linli_proto::v1;
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Streaming;

use super::check::Check;
use super::convert::{Shows, ToWire};
use super::request::required_date;
use super::{resident, status};
use crate::app::import::{
    FileOrLine, IMPORT_ROWS_MAX, ImportOptions, ImportRow, Imported, Place, RowCandidate, RowOutcome,
    RowResult,
};
use crate::app::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, Violation};
use crate::name;

/// Most groups that a row declares.
const GROUPS_MAX: usize = 20;
/// Largest roster of one call: 10,000 rows of 3 KiB, several times what an honest row has; it is held in memory.
const ROSTER_MAX_BYTES: usize = 32 * 1024 * 1024;

pub(super) async fn import(
    app: Arc<App>,
    call: Call,
    mut stream: Streaming<v1::ImportResidentsRequest>,
) -> Result<v1::ImportResidentsResponse> {
    use v1::import_residents_request::Part;
    let header = match next(&mut stream).await? {
        Some(Part::Header(header)) => header,
        Some(Part::Row(_)) | None => return Err(refused("header", Invalid::Missing)),
    };
    let mut check = Check::new();
    let site = check.take("header.parent", name::parse_site(&header.parent));
    let id = check.optional("header.request_id", &header.request_id, super::request_id);
    let (site, id) = check.finish(site.zip(id))?;
    app.may_import(&call, &site).await?;
    let mut bytes = 0;
    let mut hash = Sha256::new();
    let unnamed = v1::ImportHeader { request_id: String::new(), ..header.clone() };
    hash.update(unnamed.encode_length_delimited_to_vec());
    let mut rows = Vec::new();
    let mut lines = std::collections::HashSet::new();
    while let Some(part) = next(&mut stream).await? {
        let Part::Row(message) = part else { return Err(refused("header", Invalid::Duplicate)) };
        if rows.len() == IMPORT_ROWS_MAX {
            return Err(refused("row", Invalid::TooMany { max: IMPORT_ROWS_MAX }));
        }
        let encoded = message.encode_length_delimited_to_vec();
        bytes += encoded.len();
        if bytes > ROSTER_MAX_BYTES {
            return Err(Error::MessageTooLarge);
        }
        hash.update(encoded);
        let line = message.line;
        let mut parsed = row(&site, &message);
        if line < 1 {
            parsed = Err(vec![violation("line", Invalid::TooSmall { min: 1 })]);
        } else if !lines.insert(line) {
            parsed = Err(vec![violation("line", Invalid::Duplicate)]);
        }
        rows.push(parsed.map_err(|violations| (line, violations)));
    }
    let repeat =
        Repeat { id, hash: hash.finalize().into(), encode: super::encode::<_, v1::ImportResidentsResponse> };
    let options =
        ImportOptions { create_dwellings: header.create_dwellings, validate_only: header.validate_only };
    match app.import_residents(&call, repeat, &site, options, rows).await? {
        Answer::Fresh(imported) => Ok(v1::ImportResidentsResponse::shows(&imported)),
        Answer::Repeated(bytes) => v1::ImportResidentsResponse::decode(bytes.as_slice())
            .map_err(|_| Error::Internal("a kept answer does not decode".into())),
    }
}

impl Shows<Imported> for v1::ImportResidentsResponse {
    fn shows(imported: &Imported) -> Self {
        let mut response = Self::default();
        for result in &imported.results {
            match &result.outcome {
                Ok(RowOutcome::Created(_)) => response.created_count += 1,
                Ok(RowOutcome::Updated(_)) => response.updated_count += 1,
                Ok(RowOutcome::Unchanged(_)) => response.unchanged_count += 1,
                Err(_) => response.failed_count += 1,
            }
            response.results.push(row_result(&imported.site, result, imported.language));
        }
        response
    }
}

async fn next(
    stream: &mut Streaming<v1::ImportResidentsRequest>,
) -> Result<Option<v1::import_residents_request::Part>> {
    match stream.message().await {
        Ok(None) => Ok(None),
        Ok(Some(message)) => message.part.map(Some).ok_or_else(|| refused("part", Invalid::Missing)),
        Err(status) if status.code() == tonic::Code::OutOfRange => Err(Error::MessageTooLarge),
        // The caller went away in the middle of its roster.
        Err(_) => Err(refused("row", Invalid::Missing)),
    }
}

fn row(site: &SiteId, message: &v1::ImportRow) -> std::result::Result<ImportRow, Vec<Violation>> {
    let mut check = Check::new();
    let resident = message.resident.clone().unwrap_or_default();
    let place = match &message.dwelling {
        Some(dwelling) => {
            let building = check.take("dwelling.building", Line::new(&dwelling.building));
            let unit = check.take("dwelling.unit", Line::optional(&dwelling.unit));
            let room = check.take("dwelling.room", Line::new(&dwelling.room));
            building.zip(unit.zip(room)).map(|(building, (unit, room))| Place::Door { building, unit, room })
        }
        None => {
            let named = check.take("resident.dwelling", name::parse_dwelling(&resident.dwelling));
            if let Some(named) = &named {
                check.same_site("resident.dwelling", site, &named.site);
            }
            named.map(|named| Place::Known(named.id))
        }
    };
    let moved_in_known = !resident.move_in_date.is_empty();
    let moved_in = if moved_in_known {
        check.take("resident.move_in_date", required_date(&resident.move_in_date))
    } else {
        Some(CivilDate::MIN)
    };
    let mut groups: Vec<GroupCode> = Vec::new();
    if message.care_groups.len() > GROUPS_MAX {
        check.refuse("care_groups", Invalid::TooMany { max: GROUPS_MAX });
    }
    for (at, group) in message.care_groups.iter().enumerate() {
        groups.extend(check.take(format!("care_groups[{at}]"), name::parse_care_group(group)));
    }
    let file = resident::personal(&mut check, "resident", &resident);
    let parsed = place.zip(file.zip(moved_in)).map(|(place, (mut file, moved_in))| {
        file.moved_in = moved_in;
        let confirmed = message.confirmed_not_duplicate;
        ImportRow { line: message.line, place, file, moved_in_known, groups, confirmed }
    });
    match check.finish(parsed) {
        Ok(row) => Ok(row),
        Err(Error::Invalid(violations)) => Err(violations),
        Err(_) => Err(vec![violation("row", Invalid::Missing)]),
    }
}

fn row_result(site: &SiteId, result: &RowResult, language: Language) -> v1::ImportRowResult {
    use v1::ImportOutcome as Outcome;
    let (outcome, id) = match &result.outcome {
        Ok(RowOutcome::Created(id)) => (Outcome::Created, Some(id)),
        Ok(RowOutcome::Updated(id)) => (Outcome::Updated, Some(id)),
        Ok(RowOutcome::Unchanged(id)) => (Outcome::Unchanged, Some(id)),
        Err(_) => (Outcome::Failed, None),
    };
    let violations = match &result.outcome {
        Err(Error::Invalid(violations)) => violations.as_slice(),
        Ok(_) | Err(_) => &[],
    };
    v1::ImportRowResult {
        line: result.line,
        outcome: outcome.into(),
        resident: id.map(|id| name::resident(site, id)).unwrap_or_default(),
        reason: result.outcome.as_ref().err().map(|error| status::reason(error).into()).unwrap_or_default(),
        violations: violations
            .iter()
            .map(|violation| v1::FieldViolation {
                field: violation.field.clone(),
                description: violation.why.message(language),
            })
            .collect(),
        candidates: result.candidates.iter().map(|found| candidate(site, found)).collect(),
    }
}

fn candidate(site: &SiteId, found: &RowCandidate) -> v1::ImportCandidate {
    let (resident, line) = match &found.who {
        FileOrLine::File(id) => (name::resident(site, id), 0),
        FileOrLine::Line(line) => (String::new(), *line),
    };
    v1::ImportCandidate {
        resident,
        line,
        score: found.likeness.score.into(),
        signs: found.likeness.signs.iter().map(ToWire::to_wire).collect(),
    }
}

fn violation(field: &str, why: Invalid) -> Violation {
    Violation { field: field.to_owned(), why }
}

fn refused(field: &str, why: Invalid) -> Error {
    Error::Invalid(vec![violation(field, why)])
}
