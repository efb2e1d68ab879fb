//! How many parts a step has, counted before it is read: two bytes of a message can make a field of fifty, so that the largest step would
//! take hundreds of megabytes before any bound of `connector.proto` is looked at.

use super::{Heard, ROSTER_ENTRIES_MAX, holds};

/// Most parts of a step: the longest list of people has an entry and thirteen fields for each. Parts that stand twice are read as one, so
/// that no bound of a single list would do.
const PARTS_MAX: usize = 20 * ROSTER_ENTRIES_MAX;

/// Whether a step has no more parts than any that it may be.
pub(super) fn counted(step: &[u8]) -> Heard<()> {
    let mut left = PARTS_MAX;
    count(step, Level::Step, &mut left)
}

/// Where a message stands in a step, as far as its parts can be many.
#[derive(Clone, Copy)]
enum Level {
    Step,
    /// What it asks for, with headers or recipients.
    Kind,
    End,
    /// What a run brought, with answers.
    Result,
    Roster,
    Entry,
}

impl Level {
    /// Where a part stands, by its number; `None`: in it nothing is counted.
    fn of(self, number: usize) -> Option<Self> {
        match (self, number) {
            (Self::Step, 7) => Some(Self::End),
            (Self::Step, _) => Some(Self::Kind),
            (Self::End, 3) => Some(Self::Roster),
            (Self::End, _) => Some(Self::Result),
            (Self::Roster, 1) => Some(Self::Entry),
            (Self::Kind | Self::Result | Self::Roster | Self::Entry, _) => None,
        }
    }
}

fn count(mut message: &[u8], level: Level, left: &mut usize) -> Heard<()> {
    const NONE: &str = "its step is not a message of `linli.plugin.v1`";
    while !message.is_empty() {
        holds(*left > 0, "its step has more parts than a step may have")?;
        *left -= 1;
        let key = prost::decode_length_delimiter(&mut message).map_err(|_| NONE)?;
        // How a part is written, by the three lowest bits of its key: a number, eight bytes, a length and as many bytes, four bytes.
        let length = match key & 7 {
            0 => prost::decode_length_delimiter(&mut message).map(|_| 0).map_err(|_| NONE)?,
            1 => 8,
            2 => prost::decode_length_delimiter(&mut message).map_err(|_| NONE)?,
            5 => 4,
            _ => return Err(NONE.to_owned()),
        };
        let (part, rest) = message.split_at_checked(length).ok_or(NONE)?;
        if let (2, Some(level)) = (key & 7, level.of(key >> 3)) {
            count(part, level, left)?;
        }
        message = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use linli_proto::plugin_v1 as pb;
    use prost::Message as _;

    use super::*;

    fn step(kind: pb::step::Kind) -> Vec<u8> {
        pb::Step { kind: Some(kind) }.encode_to_vec()
    }

    fn end(result: pb::end::Result) -> Vec<u8> {
        step(pb::step::Kind::End(pb::End { result: Some(result) }))
    }

    #[test]
    fn every_step_within_the_bounds_is_counted_and_passes() {
        let field = || pb::Field { code: "name".into(), value: "王".into() };
        let entry = pb::RosterEntry { fields: vec![field(); 13] };
        let item = pb::Acknowledgement { decided_at_micros: -1, state: 3, ..Default::default() };
        let header = pb::Header { name: "a".into(), value: "b".into() };
        for step in [
            Vec::new(),
            step(pb::step::Kind::Http(pb::HttpRequest { headers: vec![header; 50], ..Default::default() })),
            step(pb::step::Kind::Mail(pb::Mail { to: vec![String::new(); 10], ..Default::default() })),
            step(pb::step::Kind::WriteFile(pb::WriteFile { name: "a".into(), content: vec![8; 4 << 20] })),
            step(pb::step::Kind::Sleep(pb::Sleep { millis: -1 })),
            end(pb::end::Result::Roster(pb::Roster { entries: vec![entry; 10_000], cursor: "c".into() })),
            end(pb::end::Result::Acknowledgements(pb::Acknowledgements {
                items: vec![item; 1_000],
                cursor: "c".into(),
            })),
        ] {
            assert_eq!(counted(&step), Ok(()), "{} bytes", step.len());
        }
    }

    #[test]
    fn what_would_grow_when_it_is_read_is_not_read() {
        const MANY: usize = PARTS_MAX + 1;
        let roster = |entries| end(pb::end::Result::Roster(pb::Roster { entries, ..Default::default() }));
        let person = pb::RosterEntry { fields: vec![pb::Field::default(); 100] };
        let http = pb::HttpRequest { headers: vec![pb::Header::default(); 100], ..Default::default() };
        let items = vec![pb::Acknowledgement::default(); MANY];
        for crowded in [
            step(pb::step::Kind::Mail(pb::Mail { to: vec![String::new(); MANY], ..Default::default() })),
            end(pb::end::Result::Acknowledgements(pb::Acknowledgements { items, ..Default::default() })),
            roster(vec![pb::RosterEntry { fields: vec![pb::Field::default(); MANY] }]),
            roster(vec![pb::RosterEntry::default(); MANY]),
            // Each of them has few; read as one they are as many.
            roster(vec![person; 10]).repeat(MANY / 1_000 + 1),
            step(pb::step::Kind::Http(http)).repeat(MANY / 100 + 1),
        ] {
            let said = "its step has more parts than a step may have";
            assert!(crowded.len() < crate::connector::STEP_BYTES_MAX);
            assert_eq!(counted(&crowded), Err(said.to_owned()), "{} bytes", crowded.len());
        }
    }

    #[test]
    fn what_is_no_message_is_said_to_be_none() {
        for wrong in [&[0x0a][..], &[0x0a, 5, 0], &[0x0b], &[0x09, 1], &[0x0d], &[0xff; 11], &[0x80]] {
            assert_eq!(
                counted(wrong),
                Err("its step is not a message of `linli.plugin.v1`".to_owned()),
                "{wrong:?}"
            );
        }
    }
}
