//! Tables in a pair of folders, for bodies without a system: referrals go out, answers and lists of people come in. `README.md` says how the
//! tables look.
//!
//! `outgoing.rs` writes a table; `table.rs` reads one, whatever it is, and `incoming.rs` understands it; `shelf.rs` sees to it that no file is
//! put away before what it says is stored.

mod column;
mod entered;
mod incoming;
mod outgoing;
mod shelf;
mod table;
mod value;

use linli_plugin_sdk::connector::text::referral_id;
use linli_plugin_sdk::connector::{
    Acknowledgements, Connector, Delivered, Delivery, Io, Poll, PullRoster, Roster, RunError, Settings,
};

use incoming::{Answers, Beside, People};
use outgoing::Format;

struct FileDrop;

linli_plugin_sdk::export_connector!(FileDrop);

impl Connector for FileDrop {
    fn check(settings: &Settings) -> Result<(), String> {
        format(settings)?;
        beside(settings, 0).map(|_| ())
    }

    async fn deliver(io: &Io, delivery: Delivery) -> Result<Delivered, RunError> {
        let format = format(io.settings()).map_err(RunError::never)?;
        let id = referral_id(&delivery.referral)
            .ok_or_else(|| RunError::never("the referral's name is not `sites/…/referrals/…`"))?;
        let external_reference = outgoing::reference(id);
        let name = format!("{external_reference}.{}", format.ending());
        let content = outgoing::table(&delivery, format).map_err(RunError::never)?;
        io.write_file(name.as_str(), content).await.map_err(|mut failure| {
            failure.detail = format!("writing `{name}`: {}", failure.detail);
            failure
        })?;
        Ok(Delivered { external_reference })
    }

    async fn poll(io: &Io, poll: Poll) -> Result<Acknowledgements, RunError> {
        let beside = beside(io.settings(), io.now()).map_err(RunError::never)?;
        let (items, cursor) = shelf::take(io, &Answers(beside), &poll.cursor).await?;
        Ok(Acknowledgements { items, cursor })
    }

    async fn pull_roster(io: &Io, pull: PullRoster) -> Result<Roster, RunError> {
        let beside = beside(io.settings(), io.now()).map_err(RunError::never)?;
        let (entries, cursor) = shelf::take(io, &People(beside), &pull.cursor).await?;
        Ok(Roster { entries, cursor })
    }

    async fn probe(io: &Io) -> Result<(), RunError> {
        io.list_files().await?;
        Ok(())
    }
}

fn format(settings: &Settings) -> Result<Format, String> {
    match settings.text("format").unwrap_or("csv") {
        "csv" => Ok(Format::Csv),
        "xlsx" => Ok(Format::Xlsx),
        _ => Err("`format` must be `csv` or `xlsx`".to_owned()),
    }
}

fn beside(settings: &Settings, now_micros: i64) -> Result<Beside, String> {
    let offset = settings.integer("utc_offset_minutes").unwrap_or(480);
    let offset_minutes = i32::try_from(offset).ok().filter(|minutes| (-720..=840).contains(minutes));
    let offset_minutes = offset_minutes.ok_or("`utc_offset_minutes` must be from -720 to 840")?;
    let group = settings.text("group").filter(|group| !group.is_empty());
    if group.is_some_and(|group| !column::is_code(group)) {
        return Err("`group` must be a care group's code, such as `subsistence_allowance`".to_owned());
    }
    Ok(Beside { now_micros, offset_minutes, group: group.map(str::to_owned) })
}

#[cfg(test)]
mod tests;
