//! A closed loop of calls: each of `in_flight` tasks sends its next call when the last is answered.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::figures::Figures;
use crate::process::Server;

/// How much load, and for how long.
pub struct Load {
    /// Connections, over which the calls are spread evenly.
    pub connections: usize,
    /// Calls that wait for their answer at any time.
    pub in_flight: usize,
    /// How long to measure, after a tenth of that to warm up.
    pub seconds: usize,
}

impl Load {
    /// Calls the server in a loop. `call` is given a channel and a number that no other call of the
    /// run has; its first error ends the run.
    pub async fn run<C, F>(&self, server: &Server, call: C) -> Result<Figures, Box<dyn Error>>
    where
        C: Fn(Channel, u64) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<(), Status>> + Send,
    {
        let mut channels = Vec::new();
        for _ in 0..self.connections.max(1) {
            let endpoint = Endpoint::from_shared(format!("http://{}", server.address))?.tcp_nodelay(true);
            channels.push(endpoint.connect().await?);
        }
        let length = Duration::from_secs(self.seconds as u64);
        let begin = Instant::now() + length / 10;
        let end = begin + length;
        let number = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..self.in_flight)
            .map(|index| {
                let channel = channels[index % channels.len()].clone();
                let (call, number) = (call.clone(), number.clone());
                tokio::spawn(async move {
                    let mut micros = Vec::new();
                    loop {
                        let sent = Instant::now();
                        if sent >= end {
                            return Ok::<_, Status>(micros);
                        }
                        call(channel.clone(), number.fetch_add(1, Ordering::Relaxed)).await?;
                        if sent >= begin {
                            micros.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                        }
                    }
                })
            })
            .collect();
        tokio::time::sleep_until(begin.into()).await;
        let cpu = server.cpu();
        tokio::time::sleep_until(end.into()).await;
        let cpu = server.cpu().zip(cpu).map(|(after, before)| after - before);
        let mut micros = Vec::new();
        for task in tasks {
            micros.extend(task.await??);
        }
        Ok(Figures::new(micros, length, cpu))
    }
}
