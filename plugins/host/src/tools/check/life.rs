//! Rules about instances, threads and what stays behind.

use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use linli_plugin_abi as abi;

use super::answers::{QUESTIONS, difference};
use super::batches::ok;
use super::people::{self, Style, Values};
use super::raw::Subject;
use super::watch::{self, Held};
use super::{Case, Stop, failed};
use crate::instance::Question;
use crate::tools::numbers::Numbers;

/// Memory that a process may gain over many calls for reasons of its own.
const GROWTH_KIB_MAX: u64 = 8 * 1024;
/// How long a thread may take to end after `destroy` has joined it, for the system to notice.
pub(super) const GONE_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn other_thread(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let mut live = subject.create()?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 100, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    let here = live.ask(Question::Assess, &batch);
    for _ in 0..4 {
        let there = thread::scope(|scope| {
            let batch = &batch;
            let worker = scope.spawn(move || {
                let answer = live.ask(Question::Assess, batch);
                (live, answer)
            });
            worker.join()
        });
        let Ok((back, answer)) = there else { return failed("a thread of the check ended".to_owned()) };
        live = back;
        let answer = ok("assess on another thread than `create`", answer)?;
        if let Some(difference) = difference(&here.records, &answer.records) {
            return failed(format!("assess on another thread than `create` answers otherwise: {difference}"));
        }
    }
    // It may end on another thread, too.
    thread::scope(|scope| scope.spawn(move || drop(live)).join())
        .map_err(|_| Stop::Failed("`destroy` on another thread than `create` fails".to_owned()))
}

pub(super) fn concurrent(case: &Case) -> Result<(), Stop> {
    const THREADS: usize = 8;
    let subject = Subject::of_rules(case)?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 4_096, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    let (together, one_by_one, rounds) = (&Barrier::new(THREADS), &Mutex::new(()), case.rounds(16));
    let (subject, batch) = (&subject, &batch);
    let work = move || {
        // Each instance is made and asked for the first time by itself.
        let first = {
            let _turn = one_by_one.lock().unwrap_or_else(PoisonError::into_inner);
            subject.create().map(|live| {
                let answer = live.ask(Question::Assess, batch);
                (live, answer)
            })
        };
        let mut outcome = Ok(());
        for _ in 0..rounds {
            together.wait();
            if let (Ok((live, first)), Ok(())) = (&first, &outcome) {
                let answer = live.ask(Question::Assess, batch);
                outcome =
                    ok("assess of eight instances at once", answer).and_then(|answer| {
                        match difference(&first.records, &answer.records) {
                            None => Ok(()),
                            Some(difference) => failed(format!("eight instances at once: {difference}")),
                        }
                    });
            }
        }
        first.map(drop).map_err(Stop::Failed).and(outcome)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| failed("a thread of the check ended".to_owned()))
        })
    })
}

pub(super) fn memory(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let live = subject.create()?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 200, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    let calls = case.rounds(2_000);
    grows(&format!("over {} calls", 2 * calls), calls, || {
        for (question, _) in QUESTIONS {
            drop(live.ask(question, &batch));
        }
        Ok(())
    })
}

pub(super) fn instances(case: &Case) -> Result<(), Stop> {
    let subject = Subject::link(&case.library)?;
    let count = case.rounds(1_000);
    grows(&format!("over {count} instances"), count, || subject.create().map(drop).map_err(Stop::Failed))
}

/// Whether memory grows while something is done again and again, after it has settled.
pub(super) fn grows(
    what: &str,
    times: usize,
    mut once: impl FnMut() -> Result<(), Stop>,
) -> Result<(), Stop> {
    for _ in 0..times / 4 + 8 {
        once()?;
    }
    let before = watch::resident_kib();
    for _ in 0..times {
        once()?;
    }
    let grown = watch::resident_kib().saturating_sub(before);
    if grown > GROWTH_KIB_MAX {
        return failed(format!(
            "memory grows by {grown} KiB {what}; up to {GROWTH_KIB_MAX} KiB are nobody's"
        ));
    }
    Ok(())
}

pub(super) fn descriptors(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 50, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    let before = Held::now();
    for _ in 0..50 {
        let live = subject.create()?;
        for (question, _) in QUESTIONS {
            drop(live.ask(question, &batch));
        }
    }
    let after = Held::now();
    if let Some(new) = after.descriptors.iter().find(|open| !before.descriptors.contains(open)) {
        let count = after.descriptors.len().saturating_sub(before.descriptors.len());
        return failed(format!("{count} descriptors stay open after `destroy`, such as `{new}`"));
    }
    Ok(())
}

pub(super) fn threads(case: &Case) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    let may = subject.library.plugin.flags & abi::P_THREADS != 0;
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 50, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    let before = Held::now().threads;
    for _ in 0..8 {
        let live = subject.create()?;
        for (question, _) in QUESTIONS {
            drop(live.ask(question, &batch));
        }
        let running = Held::now().threads;
        if running > before && !may {
            return failed(format!(
                "{} threads of its own, and the flag LINLI_P_THREADS is not set",
                running - before
            ));
        }
    }
    let since = Instant::now();
    while Held::now().threads > before {
        if since.elapsed() > GONE_WITHIN {
            return failed(format!("{} threads run on after `destroy`", Held::now().threads - before));
        }
        thread::yield_now();
    }
    Ok(())
}

pub(super) fn system(case: &Case) -> Result<(), Stop> {
    // For the rest of the process: the thread that is watched may stand still for ever.
    let subject: &'static Subject = Box::leak(Box::new(Subject::of_rules(case)?));
    let start_threads = subject.library.plugin.flags & abi::P_THREADS != 0;
    let may = watch::May { start_threads, seed: false };
    let people = people::people(&subject.manifest, &mut Numbers::new(case.seed), 500, Values::Ordinary);
    let batch = people::batch(&subject.manifest, &people, Style::default());
    let live = subject.create()?;
    let calls = watch::system_calls(may, move || {
        for _ in 0..5 {
            for (question, _) in QUESTIONS {
                drop(live.ask(question, &batch));
            }
        }
        // `destroy` may join threads and close files; it is not looked at here.
        std::mem::forget(live);
        watch::flush_output();
    })?;
    match calls {
        None => Ok(()),
        Some(call) => failed(format!("assess or validate makes the system call `{call}`")),
    }
}

pub(super) fn text(case: &Case) -> Result<(), Stop> {
    said(case, |what, level, bytes| {
        if std::str::from_utf8(bytes).is_err() {
            return failed(format!("{what}: a text is not UTF-8: `{}`", String::from_utf8_lossy(bytes)));
        }
        if !(abi::LOG_DEBUG..=abi::LOG_ERROR).contains(&level) {
            return failed(format!("{what}: there is no log level {level}"));
        }
        Ok(())
    })
}

/// Texts of people have a mark that must turn up nowhere.
pub(super) fn private(case: &Case) -> Result<(), Stop> {
    said(case, |what, _, bytes| {
        let text = String::from_utf8_lossy(bytes);
        if text.contains("canary-") {
            return failed(format!("{what}: a text holds a resident's data: `{text}`"));
        }
        Ok(())
    })
}

/// Looks at everything that the plugin says beside its answers: level and bytes.
fn said(case: &Case, look: impl Fn(&str, u32, &[u8]) -> Result<(), Stop>) -> Result<(), Stop> {
    let subject = Subject::of_rules(case)?;
    look("`build_info`", abi::LOG_INFO, &subject.build_info()?)?;
    let live = subject.create()?;
    let mut numbers = Numbers::new(case.seed);
    for _ in 0..case.rounds(8) {
        let people = people::people(&subject.manifest, &mut numbers, 200, Values::Ordinary);
        let mut batch = people::batch(&subject.manifest, &people, Style::default()).as_bytes().to_vec();
        for wrong in [false, true] {
            if wrong {
                people::put(&mut batch, 4, 0x0020_0002); // another version
            }
            let words = people::words(&batch);
            for (question, name) in QUESTIONS {
                let answer = live.ask_at(
                    question,
                    words.as_ptr().cast(),
                    people.len() as u32,
                    &super::raw::Ask::default(),
                );
                for text in &answer.errors {
                    look(&format!("`error` of {name}"), abi::LOG_INFO, text)?;
                }
            }
        }
    }
    for (level, text) in live.log() {
        look("`log`", level, &text)?;
    }
    Ok(())
}
