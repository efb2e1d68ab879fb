//! Simulations on the wire.

use linli_core::time::CivilDate;
use linli_proto::v1;

use super::check::Check;
use super::convert::Listed;
use super::numbers::numbers;
use super::request::required_date;
use crate::app::simulation::{PostChange, Simulation, SubjectChange, Supposition};
use crate::error::Result;
use crate::name;

pub(super) fn supposition(message: &v1::SimulateStandardsRequest) -> Result<Supposition> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let standard = check.take("standard", name::parse_standard(&message.standard));
    let numbers = numbers(&mut check, "numbers", message.numbers.as_ref());
    let from = check.take("start_date", required_date(&message.start_date));
    let to = check.take("end_date", required_date(&message.end_date));
    let parsed = site.zip(standard).zip(numbers).zip(from.zip(to));
    let (((site, standard), numbers), (from, to)): (_, (CivilDate, CivilDate)) = check.finish(parsed)?;
    Ok(Supposition { site, standard, numbers, from, to })
}

pub(super) fn response(simulation: &Simulation, next_page_token: String) -> v1::SimulateStandardsResponse {
    v1::SimulateStandardsResponse {
        looser: simulation.looser,
        missed_before: number(simulation.missed.before),
        missed_after: number(simulation.missed.after),
        posts: simulation.posts.iter().map(|post| shown_post(simulation, post)).collect(),
        subjects: simulation.subjects.items.iter().map(|s| shown_subject(simulation, s)).collect(),
        next_page_token,
    }
}

fn shown_post(simulation: &Simulation, change: &PostChange) -> v1::SimulatedPost {
    let (post, title) = match &change.post {
        Some((id, title)) => (name::post(&simulation.site, id), title.as_str().to_owned()),
        None => (String::new(), String::new()),
    };
    let (before, after) = (number(change.required.before), number(change.required.after));
    let weeks = f64::from(simulation.days.max(1)) / 7.0;
    let more = (f64::from(after) - f64::from(before)) / weeks;
    v1::SimulatedPost {
        post,
        display_name: title,
        required_before: before,
        required_after: after,
        more_per_week: (more * 10.0).round() / 10.0,
    }
}

fn shown_subject(simulation: &Simulation, change: &SubjectChange) -> v1::SimulatedSubject {
    v1::SimulatedSubject {
        subject: name::subject(&simulation.site, &change.subject),
        subject_kind: change.subject.kind().number(),
        display_name: change.display_name.clone(),
        missed_before: number(change.missed.before),
        missed_after: number(change.missed.after),
    }
}

fn number(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
