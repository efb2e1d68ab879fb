//! Sites, dwellings, areas and posts: where care happens and who answers for it.

use crate::id::{AreaId, DwellingId, PostId, SiteId, StaffId};
use crate::kind::{Department, closed_list};
use crate::text::Line;
use crate::time::{CivilDate, Instant, SiteZone};

/// A managed estate, 项目.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The id.
    pub id: SiteId,
    /// Its name.
    pub title: Line,
    /// Its time zone.
    pub zone: SiteZone,
    /// When it was registered (care clock).
    pub created_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

/// A dwelling, 房屋.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dwelling {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: DwellingId,
    /// The building, such as `3` or `3号楼`.
    pub building: Line,
    /// The unit or stairwell, where there is one.
    pub unit: Option<Line>,
    /// The room.
    pub room: Line,
    /// When it was registered (care clock).
    pub created_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

impl Dwelling {
    /// Building, unit and room in one line, as people say it: `3栋2单元501`.
    pub fn display_name(&self) -> String {
        let numbered = |text: &Line, counter: &str| {
            let text = text.as_str();
            if text.ends_with(|c: char| c.is_ascii_alphanumeric()) {
                format!("{text}{counter}")
            } else {
                text.to_owned()
            }
        };
        let unit = self.unit.as_ref().map(|unit| numbered(unit, "单元")).unwrap_or_default();
        format!("{}{unit}{}", numbered(&self.building, "栋"), self.room.as_str())
    }
}

closed_list! {
    /// Kinds of area.
    AreaKind {
        /// A building.
        Building = "building", "楼栋", "building";
        /// A stairwell.
        Stairwell = "stairwell", "楼道", "stairwell";
        /// An accessible passage.
        Passage = "passage", "无障碍通道", "passage";
        /// A gate.
        Gate = "gate", "出入口", "gate";
    }
}

/// A building, stairwell, passage or gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: AreaId,
    /// What it is.
    pub kind: AreaKind,
    /// Its name.
    pub title: Line,
    /// The building it lies in or leads to, as dwellings spell it.
    pub building: Option<Line>,
    /// When it was registered (care clock).
    pub created_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

/// A post, 岗位: a role in a department covering some buildings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// The site.
    pub site: SiteId,
    /// The id.
    pub id: PostId,
    /// Its name.
    pub title: Line,
    /// The department.
    pub department: Department,
    /// The buildings it covers, as dwellings spell them; empty: the whole site.
    pub buildings: Vec<Line>,
    /// Who holds it.
    pub holders: Vec<PostHolder>,
    /// When it was registered (care clock).
    pub created_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

/// Largest number of buildings of one post.
pub const POST_BUILDINGS_MAX: usize = 200;
/// Largest number of holders of one post, past ones included.
pub const POST_HOLDERS_MAX: usize = 200;

/// Somebody who holds a post for an interval; cover during leave is a second holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostHolder {
    /// Who.
    pub staff: StaffId,
    /// Whether they stand in for somebody else.
    pub cover: bool,
    /// The first day.
    pub from: CivilDate,
    /// The last day, where it is known.
    pub to: Option<CivilDate>,
}
