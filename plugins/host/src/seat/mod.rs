//! Where a plugin runs. Every seat of rules takes the same question and gives the same answer, batch bytes in and records
//! out; every place of a connector takes the same messages and gives the same steps.

mod child;
mod hunt;
mod pool;
mod runs;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) use child::Children;
pub(crate) use pool::Pool;
pub(crate) use runs::{Runs, Session, Turn};

use crate::answer::Said;
use crate::batch::Batch;
use crate::child::Home;
use crate::error::CallError;
use crate::instance::Question;
use crate::plugin::{Limits, Mode};

/// Where a plugin runs.
pub(crate) enum Seat {
    /// On threads of this process.
    InProcess {
        pool: Pool,
        /// Where it goes once a call does not return; `None`: nowhere.
        refuge: Option<Home>,
        /// Where it went. There is no way back.
        moved: OnceLock<Children>,
    },
    /// In processes of its own.
    Child(Children),
    /// A connector, wherever it runs.
    Connector(Arc<Runs>),
}

/// What came of a call, unchecked.
pub(crate) struct Answered {
    pub(crate) batch: Batch,
    pub(crate) said: Said,
    /// How often the plugin's process ended on the way.
    pub(crate) ends: u32,
}

impl Seat {
    pub(crate) fn ask(
        &self,
        question: Question,
        batch: Batch,
        deadline: Duration,
    ) -> Result<Answered, CallError> {
        match (self, self.children()) {
            (_, Some(children)) => children.ask(question, batch, deadline),
            (Self::InProcess { pool, .. }, None) => {
                let (batch, records) = pool.ask(question, batch, deadline)?;
                Ok(Answered { batch, said: Said { records, manual: Vec::new() }, ends: 0 })
            }
            (Self::Child(children), None) => children.ask(question, batch, deadline),
            (Self::Connector(_), None) => {
                let what = "it is a connector: it decides nothing about residents".to_owned();
                Err(CallError::Unfit { what })
            }
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Connector(runs) => runs.mode(),
            Self::InProcess { .. } | Self::Child(_) if self.children().is_some() => Mode::Child,
            Self::InProcess { .. } | Self::Child(_) => Mode::InProcess,
        }
    }

    /// Moves a plugin whose call did not return into processes of its own. Says whether it is there.
    pub(crate) fn move_out(&self, limits: &Limits) -> bool {
        match self {
            Self::InProcess { refuge: Some(home), moved, .. } => {
                moved.get_or_init(|| Children::new(home.clone(), limits, None));
                true
            }
            Self::InProcess { refuge: None, .. } => false,
            Self::Child(_) => true,
            Self::Connector(runs) => runs.move_out(),
        }
    }

    /// Threads of this process that are lost at present to calls that did not return.
    pub(crate) fn lost(&self) -> usize {
        match self {
            Self::InProcess { pool, .. } => pool.lost(),
            Self::Child(_) => 0,
            Self::Connector(runs) => runs.lost(),
        }
    }

    /// As many of them as keep the plugin from being called: none once it has moved.
    pub(crate) fn in_the_way(&self) -> usize {
        if self.mode() == Mode::Child { 0 } else { self.lost() }
    }

    /// Where the runs of a connector live; `None`: it has rules.
    pub(crate) fn runs(&self) -> Option<&Arc<Runs>> {
        match self {
            Self::Connector(runs) => Some(runs),
            Self::InProcess { .. } | Self::Child(_) => None,
        }
    }

    fn children(&self) -> Option<&Children> {
        match self {
            Self::InProcess { moved, .. } => moved.get(),
            Self::Child(children) => Some(children),
            Self::Connector(_) => None,
        }
    }
}
