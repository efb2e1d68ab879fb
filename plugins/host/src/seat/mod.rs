//! Where a plugin runs. Every seat takes the same question and gives the same answer: batch bytes in, records out.

mod pool;

use std::time::Duration;

use linli_plugin_abi as abi;

pub(crate) use pool::Pool;

use crate::batch::Batch;
use crate::error::CallError;
use crate::instance::Question;

/// Where a plugin runs.
pub(crate) enum Seat {
    /// On threads of this process.
    InProcess(Pool),
}

impl Seat {
    pub(crate) fn ask(
        &self,
        question: Question,
        batch: Batch,
        deadline: Duration,
    ) -> Result<(Batch, Vec<abi::Finding>), CallError> {
        match self {
            Self::InProcess(pool) => pool.ask(question, batch, deadline),
        }
    }

    /// Threads that are lost at present to calls that did not return.
    pub(crate) fn lost(&self) -> usize {
        match self {
            Self::InProcess(pool) => pool.lost(),
        }
    }
}
