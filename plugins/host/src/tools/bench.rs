//! What a plugin costs: nanoseconds for each resident, in three shares. *Encode* is from facts to the bytes of a batch,
//! *call* from the bytes to the plugin's records, its rules and the way there and back included, *read* checks the
//! records and reads every row. The mode is the one in which the plugin was loaded.
//!
//! Residents are taken batch by batch, each once a round: with a million of them nothing that is read lies in a cache. Of
//! each batch the round counts in which it took least, so that neighbours on the machine count little.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::batch::{Batch, BatchBuilder};
use crate::error::CallError;
use crate::plugin::{Mode, Plugin};
use crate::tools::residents::{Residents, Routes};

/// Residents in a batch: enough that the call costs nothing, few enough that the batch stays in the processor's cache.
pub const BATCH_ROWS: usize = 4_096;
/// Seed of the residents of [`bench()`].
pub const SEED: u64 = 20_260_316;
const DEADLINE: Duration = Duration::from_secs(60);

/// What a plugin costs for one resident.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The plugin.
    pub plugin: String,
    /// Where it runs.
    pub mode: Mode,
    /// Facts that it read of a resident, on average.
    pub facts: f64,
    /// Statements that it made about a resident, on average.
    pub statements: f64,
    /// From facts to bytes, in nanoseconds.
    pub encode_ns: f64,
    /// From bytes to records, in nanoseconds.
    pub call_ns: f64,
    /// Checking and reading the records, in nanoseconds.
    pub read_ns: f64,
}

impl Figures {
    /// All three shares, in nanoseconds.
    pub fn total_ns(&self) -> f64 {
        self.encode_ns + self.call_ns + self.read_ns
    }
}

/// Measures one plugin over so many residents made for it.
///
/// # Errors
/// [`CallError`], where the plugin does not answer.
pub fn bench(plugin: &Plugin, rows: usize, rounds: usize) -> Result<Figures, CallError> {
    let residents = Residents::new(&[plugin.manifest()], rows, SEED);
    let run = measure(&[plugin], &residents, rounds)?;
    Ok(Figures {
        plugin: plugin.manifest().id.as_str().to_owned(),
        mode: plugin.mode(),
        facts: residents.facts_read(plugin),
        statements: run.statements,
        encode_ns: run.encode_ns,
        call_ns: run.call_ns,
        read_ns: run.read_ns,
    })
}

/// What all plugins together cost for one resident.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Residents in a round.
    pub residents: usize,
    /// Statements that the plugins made about a resident, on average.
    pub statements: f64,
    /// From facts to bytes, in nanoseconds: one pass over the facts serves all plugins.
    pub encode_ns: f64,
    /// From bytes to records, in nanoseconds.
    pub call_ns: f64,
    /// Checking and reading the records, in nanoseconds.
    pub read_ns: f64,
    /// Seconds for all residents through all plugins.
    pub seconds: f64,
}

/// Measures plugins over the same residents: every batch is encoded for all of them, then one after the other is asked
/// and its answer read.
///
/// # Errors
/// [`CallError`], where a plugin does not answer.
pub fn measure(plugins: &[&Plugin], residents: &Residents, rounds: usize) -> Result<Run, CallError> {
    let routes = residents.routes(plugins);
    // Threads, instances and memory are made beforehand.
    batch(plugins, residents, &routes, 0)?;
    let firsts = || (0..residents.len()).step_by(BATCH_ROWS);
    let mut least = vec![Shares::NEVER; firsts().count()];
    for _ in 0..rounds.max(1) {
        for (first, least) in firsts().zip(&mut least) {
            least.lower(&batch(plugins, residents, &routes, first)?);
        }
    }
    let rows = residents.len().max(1) as f64;
    let sum = |of: fn(&Shares) -> Duration| least.iter().map(of).sum::<Duration>().as_secs_f64();
    Ok(Run {
        residents: residents.len(),
        statements: least.iter().map(|batch| batch.statements).sum::<usize>() as f64 / rows,
        encode_ns: sum(|batch| batch.encode) * 1e9 / rows,
        call_ns: sum(|batch| batch.call) * 1e9 / rows,
        read_ns: sum(|batch| batch.read) * 1e9 / rows,
        seconds: sum(|batch| batch.whole),
    })
}

/// What a batch took.
#[derive(Clone)]
struct Shares {
    encode: Duration,
    call: Duration,
    read: Duration,
    whole: Duration,
    statements: usize,
}

impl Shares {
    const NEVER: Self = Self {
        encode: Duration::MAX,
        call: Duration::MAX,
        read: Duration::MAX,
        whole: Duration::MAX,
        statements: 0,
    };

    /// Takes over what took less in another round.
    fn lower(&mut self, other: &Self) {
        self.encode = self.encode.min(other.encode);
        self.call = self.call.min(other.call);
        self.read = self.read.min(other.read);
        self.whole = self.whole.min(other.whole);
        self.statements = other.statements;
    }
}

fn batch(
    plugins: &[&Plugin],
    residents: &Residents,
    routes: &Routes,
    first: usize,
) -> Result<Shares, CallError> {
    let begun = Instant::now();
    let mut batches: Vec<BatchBuilder<'_>> = plugins.iter().map(|plugin| plugin.batch()).collect();
    if residents.push(&mut batches, routes, first, BATCH_ROWS).is_err() {
        return Err(CallError::WrongPlugin);
    }
    let batches: Vec<Batch> = batches.into_iter().map(BatchBuilder::finish).collect();
    let encode = begun.elapsed();
    let (mut call, mut read, mut statements) = (Duration::ZERO, Duration::ZERO, 0);
    for (plugin, batch) in plugins.iter().zip(batches) {
        let started = Instant::now();
        let (batch, said) = plugin.said(batch, DEADLINE)?;
        let called = Instant::now();
        let answer = plugin.read(batch, said)?;
        for (_, row) in answer.rows() {
            statements += row.statements().map(black_box).count();
        }
        drop(answer);
        call += called - started;
        read += called.elapsed();
    }
    Ok(Shares { encode, call, read, whole: begun.elapsed(), statements })
}
