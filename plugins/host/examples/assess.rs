//! Linli as a library, without the service: load the plugins, assess one person, print what is owed this week.
//! The README shows the lines between the marks. `cargo build --workspace` first: it builds the plugins.

use std::error::Error;
use std::time::Duration;

use linli_core::applied::Applied;
use linli_core::calendar::SiteCalendar;
use linli_core::id::{ResidentId, Subject};
use linli_core::obligation::{Case, obligations};
use linli_core::resident::FactValue::{Bool, Date};
use linli_core::standard::Standard;
use linli_core::time::{CivilDate, DateRange, SiteZone};
use linli_plugin_host::{Registry, RowFact, Sources};

#[allow(clippy::print_stdout, reason = "an example prints")]
fn main() -> Result<(), Box<dyn Error>> {
    // [shown]
    let plugins = Registry::load(&Sources { development: true, ..Sources::default() });
    let elderly = plugins.plugin("cn.linli.elderly").ok_or("the plugin is not built")?;
    let today = CivilDate::parse("2026-03-16")?;
    let facts = [("birth_date", Date(CivilDate::parse("1940-05-01")?)), ("lives_alone", Bool(true))];
    let mut batch = elderly.batch();
    batch.push(today, facts.iter().map(|(field, value)| RowFact { field, value, since: None })).ok();
    let answer = elderly.assess(batch.finish(), Duration::from_secs(1))?;
    let found = answer.row(0).ok_or("a person has to assess this file")?;

    let is_owed = |s: &&Standard| found.memberships().any(|m| s.applies_to.any_group.contains(m.group));
    let (days, calendar) = ([DateRange::from(today)], &SiteCalendar::new(SiteZone::SHANGHAI));
    let standards = plugins.standards().filter(is_owed).cloned();
    let applied: &Vec<_> = &standards.map(|s| Applied::one(s.into(), days[0])).collect();
    let subject = &Subject::Resident(ResidentId::new("wang-1")?);
    let (tenure, records, events, pauses) = (&days, &[], &[], &[]);
    let case = Case { subject, applied, records, events, pauses, tenure, calendar };
    let (week, now) = (DateRange::new(today, today.plus_days(7)), calendar.zone().at(today, 9, 0));
    for owed in obligations(&case, week, now)? {
        println!("{}: {} by {}", owed.standard.title.en, owed.required, owed.last_day());
    }
    // [end]
    Ok(())
}
