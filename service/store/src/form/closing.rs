//! The figures of a closed period, as one column: codes and counts, nothing about anybody.

use linli_core::compliance::{Cell, ClosedPeriod, Frozen, Promise, Tally, VisitRate};
use linli_core::id::{GroupCode, PostId, StandardCode};
use linli_core::kind::{Department, Tier};
use linli_core::text::Label;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct ClosingForm {
    #[prost(message, repeated, tag = "1")]
    standards: Vec<StandardForm>,
    #[prost(message, optional, tag = "2")]
    visits: Option<VisitsForm>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct StandardForm {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(string, tag = "2")]
    zh: String,
    #[prost(string, tag = "3")]
    en: String,
    #[prost(string, tag = "4")]
    department: String,
    #[prost(message, repeated, tag = "5")]
    cells: Vec<CellForm>,
}

/// One cell: none of group, tier and post means everything.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct CellForm {
    #[prost(string, optional, tag = "1")]
    group: Option<String>,
    #[prost(string, optional, tag = "2")]
    tier: Option<String>,
    #[prost(string, optional, tag = "3")]
    post: Option<String>,
    #[prost(uint64, tag = "4")]
    met: u64,
    #[prost(uint64, tag = "5")]
    met_late: u64,
    #[prost(uint64, tag = "6")]
    missed: u64,
    #[prost(uint64, tag = "7")]
    pending: u64,
    #[prost(uint64, tag = "8")]
    excused: u64,
    #[prost(uint64, tag = "9")]
    late_entries: u64,
    #[prost(uint64, tag = "10")]
    late_pauses: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
#[prost(skip_debug)]
struct VisitsForm {
    #[prost(uint64, tag = "1")]
    residents: u64,
    #[prost(uint64, tag = "2")]
    visited: u64,
    #[prost(uint64, tag = "3")]
    away: u64,
}

/// What a closed period holds, beside what it is called.
pub(crate) struct Closing {
    pub(crate) promises: Vec<Promise>,
    pub(crate) figures: Vec<Frozen>,
    pub(crate) visits: Option<VisitRate>,
}

pub(crate) fn encode_closing(closed: &ClosedPeriod) -> Vec<u8> {
    let standards = closed.promises.iter().map(|promise| StandardForm {
        code: promise.code.as_str().to_owned(),
        zh: promise.title.zh.clone(),
        en: promise.title.en.clone(),
        department: promise.department.code().to_owned(),
        cells: closed
            .figures
            .iter()
            .filter(|frozen| frozen.standard == promise.code)
            .map(cell_form)
            .collect(),
    });
    let visits =
        closed.visits.map(|VisitRate { residents, visited, away }| VisitsForm { residents, visited, away });
    ClosingForm { standards: standards.collect(), visits }.encode_to_vec()
}

fn cell_form(frozen: &Frozen) -> CellForm {
    let (group, tier, post) = match &frozen.cell {
        Cell::All => (None, None, None),
        Cell::Group(group) => (Some(group.as_str().to_owned()), None, None),
        Cell::Tier(tier) => (None, Some(tier.code().to_owned()), None),
        Cell::Post(post) => (None, None, Some(post.as_str().to_owned())),
    };
    let Tally { met, met_late, missed, pending, excused, late_entries, late_pauses } = frozen.tally;
    CellForm { group, tier, post, met, met_late, missed, pending, excused, late_entries, late_pauses }
}

pub(crate) fn decode_closing(bytes: &[u8]) -> Option<Closing> {
    let form = ClosingForm::decode(bytes).ok()?;
    let (mut promises, mut figures) = (Vec::with_capacity(form.standards.len()), Vec::new());
    for standard in form.standards {
        let code = StandardCode::new(&standard.code).ok()?;
        for cell in standard.cells {
            figures.push(frozen(&code, &cell)?);
        }
        let department = Department::from_code(&standard.department).ok()?;
        promises.push(Promise { code, title: Label::new(standard.zh, standard.en), department });
    }
    let visits = form.visits.map(|form| VisitRate {
        residents: form.residents,
        visited: form.visited,
        away: form.away,
    });
    Some(Closing { promises, figures, visits })
}

fn frozen(standard: &StandardCode, form: &CellForm) -> Option<Frozen> {
    let cell = match (&form.group, &form.tier, &form.post) {
        (None, None, None) => Cell::All,
        (Some(group), None, None) => Cell::Group(GroupCode::new(group).ok()?),
        (None, Some(tier), None) => Cell::Tier(Tier::from_code(tier).ok()?),
        (None, None, Some(post)) => Cell::Post(PostId::new(post).ok()?),
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => return None,
    };
    let CellForm { met, met_late, missed, pending, excused, late_entries, late_pauses, .. } = *form;
    let tally = Tally { met, met_late, missed, pending, excused, late_entries, late_pauses };
    Some(Frozen { standard: standard.clone(), cell, tally })
}
