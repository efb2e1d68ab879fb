//! Reading in groups: what many callers ask for at once is read together.
//!
//! A statement costs more by its way to the database and back than by the row it finds. A few tasks take whatever
//! questions wait, read the answers in one go and hand each caller its own. Nobody waits for a group to fill: a
//! question that comes alone is read alone, and while one group is read the next one gathers.
//!
//! What a caller gets is what a read of its own would have given: the read begins after the question was asked, so
//! it sees every commit that the caller knows of.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::error::{Fault, StoreError};

/// Most questions of one group: bounds the statement, and how long the first one waits for the last.
pub(crate) const GROUP_MAX: usize = 128;
/// Questions that wait in the channel; further callers wait to get in.
const QUEUE_MAX: usize = 1024;

struct Waiting<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

/// The way to tasks that read in groups.
pub(crate) struct Grouped<Q, A> {
    sender: mpsc::Sender<Waiting<Q, A>>,
}

impl<Q: Send + 'static, A: Send + 'static> Grouped<Q, A> {
    /// Starts as many tasks as groups may be read at a time. `read` is given up to [`GROUP_MAX`] questions and gives as many answers, in their order.
    pub(crate) fn start<R, F>(readers: usize, read: R) -> Self
    where
        R: Fn(Vec<Q>) -> F + Clone + Send + 'static,
        F: Future<Output = Vec<Result<A, StoreError>>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..readers {
            tokio::spawn(serve(Arc::clone(&receiver), read.clone()));
        }
        Self { sender }
    }

    /// The answer to one question.
    pub(crate) async fn ask(&self, question: Q) -> Result<A, StoreError> {
        let (answer, answered) = oneshot::channel();
        let gone = StoreError::Database(Fault::Unavailable);
        self.sender.send(Waiting { question, answer }).await.map_err(|_| gone)?;
        answered.await.map_err(|_| gone)?
    }
}

async fn serve<Q, A, R, F>(receiver: Arc<Mutex<mpsc::Receiver<Waiting<Q, A>>>>, read: R)
where
    R: Fn(Vec<Q>) -> F,
    F: Future<Output = Vec<Result<A, StoreError>>>,
{
    let mut waiting: Vec<Waiting<Q, A>> = Vec::with_capacity(GROUP_MAX);
    loop {
        if !gather(&mut *receiver.lock().await, &mut waiting, GROUP_MAX).await {
            return;
        }
        // Whoever has gone away meanwhile is not read for.
        let asked = waiting.drain(..).filter(|waiting| !waiting.answer.is_closed());
        let (questions, answers): (Vec<Q>, Vec<_>) =
            asked.map(|waiting| (waiting.question, waiting.answer)).unzip();
        if questions.is_empty() {
            continue;
        }
        for (answer, found) in answers.into_iter().zip(read(questions).await) {
            drop(answer.send(found)); // a caller that went away does not need it
        }
    }
}

/// Takes what waits, up to `max`; `false` where the channel is closed and empty.
///
/// Those who are just being answered, or have just arrived, are let run until the channel stays empty: they come with
/// their next, and one group of all is cheaper than two of half of them. Nobody is waited for who does something
/// else meanwhile.
pub(crate) async fn gather<T>(receiver: &mut mpsc::Receiver<T>, waiting: &mut Vec<T>, max: usize) -> bool {
    if receiver.recv_many(waiting, max).await == 0 {
        return false;
    }
    loop {
        let before = waiting.len();
        tokio::task::yield_now().await;
        while waiting.len() < max
            && let Ok(next) = receiver.try_recv()
        {
            waiting.push(next);
        }
        if waiting.len() == before || waiting.len() >= max {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_gets_its_own_answer_and_few_reads_serve_many() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let reads = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&reads);
            let grouped = Arc::new(Grouped::start(2, move |questions: Vec<usize>| {
                counter.fetch_add(1, Ordering::Relaxed);
                async move {
                    assert!(!questions.is_empty() && questions.len() <= GROUP_MAX);
                    tokio::task::yield_now().await;
                    let answer = |question: usize| match question % 7 {
                        0 => Err(StoreError::Row { table: "x" }),
                        _ => Ok(question * 2),
                    };
                    questions.into_iter().map(answer).collect()
                }
            }));
            let asks: Vec<_> = (0..1000)
                .map(|question| {
                    let grouped = Arc::clone(&grouped);
                    tokio::spawn(async move { (question, grouped.ask(question).await) })
                })
                .collect();
            for ask in asks {
                let (question, found) = ask.await.unwrap();
                match question % 7 {
                    0 => assert_eq!(found, Err(StoreError::Row { table: "x" })),
                    _ => assert_eq!(found, Ok(question * 2)),
                }
            }
            let reads = reads.load(Ordering::Relaxed);
            assert!((8..500).contains(&reads), "{reads} reads of 1000 questions");
        });
    }

    #[test]
    fn a_read_that_forgets_somebody_is_told_to_them() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let grouped = Grouped::start(1, async |_: Vec<u8>| Vec::<Result<u8, StoreError>>::new());
            assert_eq!(grouped.ask(1).await, Err(StoreError::Database(Fault::Unavailable)));
            assert_eq!(grouped.ask(2).await, Err(StoreError::Database(Fault::Unavailable)), "it still reads");
        });
    }
}
