//! A plugin that misbehaves as its facts tell it to; the host's tests load it. `plugins/elderly` shows how a plugin is
//! really written.

use std::time::Duration;

use linli_plugin_sdk::{Date, Fact, Facts, Findings, Rules, Tier, export_plugin};

linli_plugin_sdk::manifest!("examples/faulty.toml");
use manifest::{Act, Group, Reason};

/// What to do.
#[derive(Facts)]
#[facts(manifest = "examples/faulty.toml")]
struct Wish {
    act: Fact<Act>,
    note: Fact<String>,
}

struct Faulty;

impl Rules for Faulty {
    type Facts = Wish;

    fn assess(wish: &Wish, found: &mut Findings<'_>) {
        match wish.act.value {
            Some(Act::Member) if wish.note.fulfils(|note| note != "纳入").is_some() => {}
            Some(Act::Member) => found.member(Group::Faulty, wish.act.since, Reason::Asked),
            Some(Act::Panic) => panic!("the note says {:?}", wish.note.value),
            Some(Act::Hang) => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            // Longer than a deadline, shorter than a hang: the flag is looked at between residents.
            Some(Act::Wait) => std::thread::sleep(Duration::from_millis(5)),
            Some(Act::Flood) => {
                for _ in 0..100_000 {
                    found.tier(Tier::General, Date::ALWAYS, Reason::Asked);
                }
            }
            Some(Act::Twice) => {
                for _ in 0..2 {
                    found.member(Group::Faulty, Date::ALWAYS, Reason::Asked);
                }
            }
            None => {}
        }
    }
}

export_plugin!(Faulty);
