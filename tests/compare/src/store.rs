//! The commit of a recorded service: Linli's store, the same rows by grouped bare rusqlite, and the same
//! rows entity by entity. Every side has the same number of callers waiting, each in a closed loop.

use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::figures::{self, Figures};
use crate::{entity, linli, raw};

/// How much to do.
pub struct Plan {
    /// Services recorded by Linli and by the bare side in each round; the entities do a tenth.
    pub count: usize,
    /// Callers that wait.
    pub waiting: usize,
    /// Rounds, each side once per round.
    pub rounds: usize,
}

/// Compares the three ways with the records spread over as many sites.
pub async fn run(plan: &Plan, sites: usize) -> Result<(), Box<dyn Error>> {
    let (mut ours, mut bare, mut entities) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let folder = Folder::make("store")?;
        let source = folder.file("linli.db");
        ours.push(ours_on(&source, plan, sites).await?);

        let captured = Arc::new(raw::capture(&source)?);
        bare.push(bare_on(&folder.file("bare.db"), plan, &captured).await?);

        let target = folder.file("entities.db");
        raw::create(&target, &captured)?;
        drop(captured);
        let requests = Arc::new(entity::capture(&source, plan.count / 10).await?);
        let connection = entity::open(&target).await?;
        let count = requests.len();
        let write = move |index: usize| {
            let (connection, requests) = (connection.clone(), Arc::clone(&requests));
            async move { entity::write(&connection, &requests[index]).await.map_err(|error| error.to_string()) }
        };
        entities.push(closed_loop(count, plan.waiting, write).await?);
    }
    println!("\ncommit of a recorded service, {} waiting, {sites} site(s), SQLite", plan.waiting);
    figures::print("  linli-store", &ours);
    figures::print("  grouped rusqlite, same rows", &bare);
    figures::print("  sea-orm, entity by entity", &entities);
    figures::ratio("  linli-store / grouped rusqlite", &ours, &bare, 0.50);
    figures::ratio("  linli-store / entity by entity", &ours, &entities, 7.0);
    Ok(())
}

/// The limit alone: grouped rusqlite on one site, with the rows that Linli writes.
pub async fn limit(plan: &Plan) -> Result<Figures, Box<dyn Error>> {
    let folder = Folder::make("limit")?;
    let source = folder.file("linli.db");
    ours_on(&source, plan, 1).await?;
    bare_on(&folder.file("bare.db"), plan, &Arc::new(raw::capture(&source)?)).await
}

/// Writes the same rows by grouped rusqlite, in a new database at `path`.
async fn bare_on(path: &Path, plan: &Plan, captured: &Arc<raw::Captured>) -> Result<Figures, Box<dyn Error>> {
    if captured.requests.len() != plan.count {
        return Err(
            format!("{} of {} records have all their rows", captured.requests.len(), plan.count).into()
        );
    }
    raw::create(path, captured)?;
    let queue = raw::start(path, Arc::clone(captured))?;
    let write = move |index| {
        let (answer, answered) = oneshot::channel();
        let sent = queue.send((index, answer));
        async move {
            sent.map_err(|error| error.to_string())?;
            answered.await.map_err(|error| error.to_string())
        }
    };
    closed_loop(plan.count, plan.waiting, write).await
}

/// Records services through Linli's store, in a new database at `path`.
async fn ours_on(path: &Path, plan: &Plan, sites: usize) -> Result<Figures, Box<dyn Error>> {
    let side = Arc::new(linli::Side::open(path, sites).await?);
    let before = raw::counts(path)?;
    let record = move |index| {
        let side = Arc::clone(&side);
        async move { side.record(index).await }
    };
    let figures = closed_loop(plan.count, plan.waiting, record).await?;
    for (table, count) in raw::counts(path)? {
        if count != before.get(&table).copied().unwrap_or_default() && !raw::is_known(&table) {
            return Err(
                format!("recording a service leaves rows in `{table}` that the others do not write").into()
            );
        }
    }
    Ok(figures)
}

/// Calls `write` with 0 to `count` − 1, `waiting` of them at a time.
async fn closed_loop<W, F>(count: usize, waiting: usize, write: W) -> Result<Figures, Box<dyn Error>>
where
    W: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let tasks: Vec<_> = (0..waiting)
        .map(|_| {
            let (next, write) = (Arc::clone(&next), write.clone());
            tokio::spawn(async move {
                let mut micros = Vec::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return Ok::<_, String>(micros);
                    }
                    let sent = Instant::now();
                    write(index).await?;
                    micros.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                }
            })
        })
        .collect();
    drop(write);
    let mut micros = Vec::new();
    for task in tasks {
        micros.extend(task.await??);
    }
    Ok(Figures::new(micros, begin.elapsed(), None))
}

/// A folder for the databases of one round, removed when dropped. It lies in the build folder, which is
/// on a disk where the folder for temporary files may be in memory.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it, empty.
    pub fn make(name: &str) -> Result<Self, Box<dyn Error>> {
        let program = std::env::current_exe()?;
        let parent = program.parent().ok_or("the program lies in no folder")?;
        let folder = parent.join(format!("compare-{name}-{}", std::process::id()));
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// A path in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The next round or run removes what stays.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
