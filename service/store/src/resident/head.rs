//! The clear part of a care file, and how it is written down.

use linli_core::id::{DwellingId, ResidentId, SiteId, StaffId};
use linli_core::resident::{FileState, FormerDwelling, Identity, Resident, Tenure};
use linli_core::time::{CivilDate, Instant, SiteZone};

use crate::convert::{date, date_opt, instant, version};
use crate::error::StoreError;
use crate::table::resident;

/// The clear part of a care file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResidentHead {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: ResidentId,
    /// Where they live.
    pub dwelling: DwellingId,
    /// State of the file.
    pub state: FileState,
    /// When they live here.
    pub tenure: Tenure,
    /// When they lived here before they left and came back, in order.
    pub earlier_tenures: Vec<Tenure>,
    /// Where they lived before, in order of the moves.
    pub former_dwellings: Vec<FormerDwelling>,
    /// The day of death.
    pub died_on: Option<CivilDate>,
    /// Whether the file is under legal hold.
    pub held: bool,
    /// Who may know of the file, where it is protected.
    pub protected_for: Option<Vec<StaffId>>,
    /// Whether the person may be under 14: so it was when their identity was last written, or that is not known. Who turns
    /// 14 stays among them until then.
    pub may_be_minor: bool,
    /// When the file was opened (care clock).
    pub created_at: Instant,
    /// When it last changed (care clock).
    pub updated_at: Instant,
    /// The file of the same person into which it was merged: its name stands for that one.
    pub merged_into: Option<ResidentId>,
    /// The files that were merged into it, and those that had been merged into these.
    pub merged: Vec<MergedFile>,
    /// Counts changes, from 1.
    pub version: u64,
}

/// A file that was merged into another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedFile {
    /// The file.
    pub id: ResidentId,
    /// The day on which it was.
    pub since: CivilDate,
}

impl ResidentHead {
    /// The clear part of a resident.
    pub fn of(resident: &Resident) -> Self {
        Self {
            site: resident.site.clone(),
            id: resident.id.clone(),
            dwelling: resident.dwelling.clone(),
            state: resident.state,
            tenure: resident.tenure,
            earlier_tenures: Vec::new(),
            former_dwellings: Vec::new(),
            died_on: resident.died_on,
            held: resident.held,
            protected_for: resident.protected_for.clone(),
            may_be_minor: may_be_minor(&resident.identity, resident.updated_at),
            created_at: resident.created_at,
            updated_at: resident.updated_at,
            merged_into: None,
            merged: Vec::new(),
            version: resident.version,
        }
    }

    /// The file and those that were merged into it: where to look for what is known of the person.
    pub fn files(&self) -> Vec<ResidentId> {
        std::iter::once(&self.id).chain(self.merged.iter().map(|merged| &merged.id)).cloned().collect()
    }

    /// Moves to another dwelling on a day, which is the first one there. Moves come in order: one before the last is
    /// taken for one on the same day.
    pub fn move_to(&mut self, dwelling: DwellingId, on: CivilDate) {
        if dwelling == self.dwelling {
            return;
        }
        let until = self.former_dwellings.last().map_or(on, |last| on.max(last.until));
        let dwelling = std::mem::replace(&mut self.dwelling, dwelling);
        self.former_dwellings.push(FormerDwelling { dwelling, until });
    }
}

/// Past tenures as `first/last` in days since 1970-01-01, separated by blanks.
pub(super) fn earlier_column(tenures: &[Tenure]) -> Option<String> {
    let text = |tenure: &Tenure| {
        let last = tenure.moved_out.unwrap_or(tenure.moved_in);
        format!("{}/{}", tenure.moved_in.days(), last.days())
    };
    (!tenures.is_empty()).then(|| tenures.iter().map(text).collect::<Vec<_>>().join(" "))
}

fn earlier(column: &str) -> Option<Vec<Tenure>> {
    let tenure = |text: &str| {
        let (first, last) = text.split_once('/')?;
        Some(Tenure { moved_in: date(first.parse().ok()?)?, moved_out: Some(date(last.parse().ok()?)?) })
    };
    column.split_ascii_whitespace().map(tenure).collect()
}

/// Former dwellings as `dwelling/until` in days since 1970-01-01, separated by blanks.
pub(super) fn former_column(former: &[FormerDwelling]) -> Option<String> {
    let text = |former: &FormerDwelling| format!("{}/{}", former.dwelling, former.until.days());
    (!former.is_empty()).then(|| former.iter().map(text).collect::<Vec<_>>().join(" "))
}

fn former(column: &str) -> Option<Vec<FormerDwelling>> {
    let one = |text: &str| {
        let (dwelling, until) = text.split_once('/')?;
        Some(FormerDwelling { dwelling: DwellingId::new(dwelling).ok()?, until: date(until.parse().ok()?)? })
    };
    column.split_ascii_whitespace().map(one).collect()
}

/// Merged files as `file/since` in days since 1970-01-01, separated by blanks.
pub(super) fn merged_column(merged: &[MergedFile]) -> Option<String> {
    let text = |merged: &MergedFile| format!("{}/{}", merged.id, merged.since.days());
    (!merged.is_empty()).then(|| merged.iter().map(text).collect::<Vec<_>>().join(" "))
}

fn merged(column: &str) -> Option<Vec<MergedFile>> {
    let one = |text: &str| {
        let (id, since) = text.split_once('/')?;
        Some(MergedFile { id: ResidentId::new(id).ok()?, since: date(since.parse().ok()?)? })
    };
    column.split_ascii_whitespace().map(one).collect()
}

/// Ids of staff, separated by blanks, which no id holds.
pub(crate) fn named_column(named: &[StaffId]) -> String {
    named.iter().map(StaffId::as_str).collect::<Vec<_>>().join(" ")
}

fn named(column: &str) -> Option<Vec<StaffId>> {
    column.split_ascii_whitespace().map(|id| StaffId::new(id).ok()).collect()
}

/// Whether somebody may be under 14 at an instant, wherever on earth it is asked: a day too early is no harm.
pub(super) fn may_be_minor(identity: &Identity, at: Instant) -> bool {
    identity.is_minor(SiteZone::SHANGHAI.date_of(at).plus_days(-1))
}

pub(crate) fn to_head(row: resident::Model) -> Result<ResidentHead, StoreError> {
    let build = || {
        Some(ResidentHead {
            site: SiteId::new(&row.site).ok()?,
            id: ResidentId::new(&row.id).ok()?,
            dwelling: DwellingId::new(&row.dwelling).ok()?,
            state: FileState::from_code(&row.state).ok()?,
            tenure: Tenure { moved_in: date(row.moved_in)?, moved_out: date_opt(row.moved_out)? },
            earlier_tenures: earlier(row.earlier_tenures.as_deref().unwrap_or_default())?,
            former_dwellings: former(row.former_dwellings.as_deref().unwrap_or_default())?,
            died_on: date_opt(row.died_on)?,
            held: row.held == 1,
            protected_for: row
                .protected_for
                .as_deref()
                .map(named)
                .map_or(Some(None), |named| named.map(Some))?,
            may_be_minor: row.may_be_minor != 0,
            created_at: instant(row.created_at)?,
            updated_at: instant(row.updated_at)?,
            merged_into: match row.merged_into {
                Some(id) => Some(ResidentId::new(&id).ok()?),
                None => None,
            },
            merged: merged(row.merged_files.as_deref().unwrap_or_default())?,
            version: version(row.version)?,
        })
    };
    build().ok_or(StoreError::Row { table: "resident" })
}
