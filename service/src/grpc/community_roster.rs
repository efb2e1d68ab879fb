//! `PullRoster`: a body's list of people as a stream.

use linli_core::duplicate::Likeness;
use linli_core::id::BodyId;
use linli_core::identity::IdentityNumber;
use linli_core::resident::{PersonName, Phone};
use linli_core::text::Label;
use linli_proto::v1;

use super::Tells;
use super::check::Check;
use super::convert::{Listed, ToWire, date, label};
use super::membership::stands;
use super::page::Binding;
use super::request::{is_full, text};
use crate::app::community_roster::{
    Pull, RosterCandidate, RosterLine, RosterPage, RosterPull, RosterSummary,
};
use crate::error::Result;
use crate::name;
use linli_core::community_roster::RosterProposal;

/// Longest cursor, in bytes: a connector's has 1,024, and is bound to its body.
const CURSOR_BYTES_MAX: usize = 2_048;

/// What is asked for.
pub(super) fn pull(message: &v1::PullRosterRequest) -> Result<Pull> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let body = check.take("body", name::parse_body(&message.body));
    let full = check.take("view", is_full(message.view));
    let ((site, body), full) = check.finish(site.zip(body).zip(full))?;
    let cursor = binding(&body).cursor_within(&message.cursor, CURSOR_BYTES_MAX)?;
    Ok(Pull { site, body, cursor: cursor.unwrap_or_default(), full })
}

/// A cursor is the body's: it is kept for weeks, and outlives whoever was told it.
fn binding(body: &BodyId) -> Binding {
    Binding::of_all("linli.v1.CommunityService/PullRoster", &[body.as_str().as_bytes()])
}

impl Tells<v1::PullRosterResponse> for RosterPull {
    async fn tell(&mut self) -> Result<Option<v1::PullRosterResponse>> {
        let page = self.next().await?;
        Ok(page.map(|page| v1::PullRosterResponse {
            entries: page.lines.iter().map(|line| entry(&page, line)).collect(),
            summary: page.summary.as_ref().map(|summary| shown(&page.body, summary)),
        }))
    }
}

fn shown(body: &BodyId, summary: &RosterSummary) -> v1::RosterSummary {
    let count = |(proposal, count): &(RosterProposal, i64)| v1::RosterCount {
        proposal: proposal.number(),
        proposal_name: words(*proposal),
        count: *count,
    };
    v1::RosterSummary {
        entry_count: summary.entries,
        counts: summary.counts.iter().map(count).collect(),
        next_cursor: match summary.cursor.as_str() {
            "" => String::new(),
            cursor => binding(body).token(cursor),
        },
    }
}

fn entry(page: &RosterPage, line: &RosterLine) -> v1::RosterEntry {
    let RosterLine { entry, dwelling, .. } = line;
    let clear = |value: &str| if line.in_clear { value.to_owned() } else { String::new() };
    let (number, phone) = (entry.number.as_ref(), entry.phone.as_ref());
    v1::RosterEntry {
        line: line.line,
        proposal: line.proposal.number(),
        proposal_name: words(line.proposal),
        display_name: entry.name.as_ref().map(PersonName::masked).unwrap_or_default(),
        masked_identity_number: number.map(IdentityNumber::masked).unwrap_or_default(),
        masked_phone: phone.map(Phone::masked).unwrap_or_default(),
        dwelling: dwelling.as_ref().map(|(id, _)| name::dwelling(&page.site, id)).unwrap_or_default(),
        dwelling_display_name: dwelling.as_ref().map(|(_, shown)| shown.clone()).unwrap_or_default(),
        care_group: entry.group.as_ref().map(name::care_group).unwrap_or_default(),
        care_group_name: line.group_title.as_ref().and_then(label),
        valid_until_date: date(entry.valid_until),
        in_clear: line.in_clear,
        full_name: clear(entry.name.as_ref().map(PersonName::reveal).unwrap_or_default()),
        identity_number: clear(number.map(IdentityNumber::reveal).unwrap_or_default()),
        birth_date: clear(&date(entry.birth_date)),
        phone: clear(phone.map(Phone::reveal).unwrap_or_default()),
        address: clear(&text(entry.address.as_ref())),
        certificate: clear(&text(entry.certificate.as_ref())),
        violations: entry
            .wrong
            .iter()
            .map(|(field, why)| v1::FieldViolation {
                field: (*field).to_owned(),
                description: why.message(page.language),
            })
            .collect(),
        candidates: line.candidates.iter().map(|found| candidate(page, found)).collect(),
        repetitions: line.repetitions.iter().map(repetition).collect(),
    }
}

fn candidate(page: &RosterPage, found: &RosterCandidate) -> v1::RosterCandidate {
    v1::RosterCandidate {
        resident: name::resident(&page.site, &found.resident),
        display_name: found.name.masked(),
        state: found.state.number(),
        score: found.likeness.score.into(),
        signs: found.likeness.signs.iter().map(ToWire::to_wire).collect(),
        membership_state: found.membership.map(stands).unwrap_or_default(),
    }
}

fn repetition((line, likeness): &(i64, Likeness)) -> v1::RosterRepetition {
    v1::RosterRepetition {
        line: *line,
        score: likeness.score.into(),
        signs: likeness.signs.iter().map(ToWire::to_wire).collect(),
    }
}

fn words(proposal: RosterProposal) -> Option<v1::LocalizedText> {
    label(&Label::new(proposal.zh(), proposal.en()))
}
