//! Runs on a folder in memory: what goes out, what comes in, and what becomes of the files.

mod files;
mod outgoing;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use linli_plugin_sdk::connector::testing::{End, Operation, Outcome, Step, drive};
use linli_plugin_sdk::connector::{
    Acknowledgement, Acknowledgements, Decision, Delivery, FailureKind, Field, Poll, PullRoster, Roster,
    RunError, Shelf,
};

use super::FileDrop;

const REFERRAL: &str = "sites/gardens/referrals/0193-a";
/// What no message may repeat.
const PERSONAL: &str = "王秀英330102194803051234";

/// A pair of folders, as the host has them.
#[derive(Default, Clone)]
struct Folders {
    incoming: BTreeMap<String, Vec<u8>>,
    outgoing: BTreeMap<String, Vec<u8>>,
    archive: Vec<String>,
    quarantine: Vec<String>,
    /// What the host does not hand out.
    refused: BTreeSet<String>,
    /// What cannot be read now.
    unreadable: BTreeSet<String>,
    steps: Vec<Step>,
}

impl Folders {
    fn put(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.incoming.insert(name.into(), content.into());
    }

    fn answer(&mut self, step: &Step) -> Outcome {
        self.steps.push(step.clone());
        match step {
            Step::ListFiles => Outcome::Files(self.incoming.keys().cloned().collect()),
            Step::ReadFile { name } if self.refused.contains(name) => {
                Outcome::failure(FailureKind::Forbidden, "the file has more than 4 MiB")
            }
            Step::ReadFile { name } if self.unreadable.contains(name) => {
                Outcome::failure(FailureKind::NotDone, "the exchange folder: permission denied")
            }
            Step::ReadFile { name } => match self.incoming.get(name) {
                Some(content) => Outcome::File(content.clone()),
                None => Outcome::failure(FailureKind::NotDone, "the exchange folder: not found"),
            },
            Step::MoveFile { name, to } => {
                if self.incoming.remove(name).is_none() {
                    return Outcome::failure(FailureKind::NotDone, "the exchange folder: not found");
                }
                match to {
                    Shelf::Archive => self.archive.push(name.clone()),
                    Shelf::Quarantine => self.quarantine.push(name.clone()),
                }
                Outcome::Done
            }
            Step::WriteFile { name, content } => {
                match self.outgoing.get(name) {
                    Some(there) if there != content => {
                        return Outcome::failure(
                            FailureKind::Forbidden,
                            "a file of this name is there already",
                        );
                    }
                    _ => self.outgoing.insert(name.clone(), content.clone()),
                };
                Outcome::Done
            }
            Step::Http(_) | Step::Mail(_) | Step::Sleep(_) => panic!("{step:?}"),
        }
    }

    fn run(&mut self, operation: Operation, settings: &str) -> Result<End, RunError> {
        let result = drive::<FileDrop>(operation, settings, |step| self.answer(step));
        if let Err(error) = &result {
            assert!(
                !error.message().contains("王秀英") && !error.message().contains("33010219"),
                "{error:?}"
            );
        }
        result
    }

    fn deliver(&mut self, delivery: &Delivery, settings: &str) -> Result<End, RunError> {
        self.run(Operation::Deliver(delivery.clone()), settings)
    }

    fn poll(&mut self, cursor: &str) -> Result<Acknowledgements, RunError> {
        let poll = Poll { external_references: vec![], cursor: cursor.into() };
        match self.run(Operation::Poll(poll), "{}")? {
            End::Acknowledgements(found) => {
                assert!(found.cursor.len() <= 1_024);
                Ok(found)
            }
            other => panic!("{other:?}"),
        }
    }

    fn pull(&mut self, cursor: &str, settings: &str) -> Result<Roster, RunError> {
        match self.run(Operation::PullRoster(PullRoster { cursor: cursor.into() }), settings)? {
            End::Roster(found) => Ok(found),
            other => panic!("{other:?}"),
        }
    }
}

fn delivery(fields: &[(&str, &str)]) -> Delivery {
    Delivery {
        referral: REFERRAL.into(),
        fields: fields.iter().map(|(code, value)| Field::new(*code, *value)).collect(),
        answer_url: "https://answers.example.cn/a/x.y".into(),
    }
}

fn acknowledgement(id: &str, decision: Decision) -> Acknowledgement {
    Acknowledgement {
        external_reference: format!("referral-{id}"),
        referral: String::new(),
        decision,
        remark: String::new(),
        decided_at_micros: None,
    }
}
