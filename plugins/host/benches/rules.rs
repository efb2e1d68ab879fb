//! What the rule plugins cost: nanoseconds for each resident with the shares of encoding, calling and reading, a
//! million residents through all of them, and the time to load ten plugins.
//!
//! `cargo build --release --workspace && cargo bench -p linli-plugin-host` takes the plugins from the target folder. It
//! ends with one line for each plugin; `BENCH_ROWS` in the environment sets the number of residents.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::expect_used, reason = "a bench cannot go on without its plugins")]
#![allow(missing_docs, reason = "criterion generates public functions")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use linli_plugin_host::manifest::Isolation;
use linli_plugin_host::tools::bench::{self, BATCH_ROWS, Figures};
use linli_plugin_host::tools::residents::Residents;
use linli_plugin_host::{Manifest, Plugin, Registry, Sources};

/// Residents of the last lines: so many that none of what is read lies in a cache.
const ROWS: usize = 1_000_000;
const ROUNDS: usize = 5;
/// Plugins of the folder that is loaded.
const PLUGINS: usize = 10;

fn rows() -> usize {
    std::env::var("BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(ROWS)
}

/// The bundled plugins of the target folder, in this process or in processes of their own.
fn load(isolation: Isolation) -> Registry {
    let target = std::env::current_exe().expect("a bench is a program");
    let runner = target.ancestors().nth(2).map(|folder| folder.join("linli-runner"));
    let sources =
        |isolation| Sources { development: true, runner: runner.clone(), isolation, ..Sources::default() };
    let first = Registry::load(&sources(BTreeMap::new()));
    let ids = first.plugins().iter().map(|plugin| plugin.stamp().id.as_str().to_owned());
    let registry = Registry::load(&sources(ids.map(|id| (id, isolation)).collect()));
    assert!(!registry.plugins().is_empty(), "no plugin is built: cargo build --release --workspace");
    registry
}

fn bundled(registry: &Registry) -> Vec<&Plugin> {
    let all = registry.plugins().iter().map(|plugin| &**plugin);
    all.filter(|plugin| plugin.stamp().id.as_str().starts_with("cn.linli.")).collect()
}

fn benches(criterion: &mut Criterion) {
    let registry = load(Isolation::InProcess);
    let mut group = criterion.benchmark_group("rules");
    group.throughput(Throughput::Elements(BATCH_ROWS as u64)).sample_size(20);
    for plugin in bundled(&registry) {
        let residents = Residents::new(&[plugin.manifest()], BATCH_ROWS, bench::SEED);
        group.bench_function(BenchmarkId::new("hot", plugin.stamp().id.as_str()), |b| {
            b.iter(|| black_box(bench::measure(&[plugin], &residents, 1).expect("it answers")));
        });
    }
    group.finish();

    println!("\n{} residents in batches of {BATCH_ROWS}, nanoseconds for each, least of {ROUNDS}:", rows());
    for registry in [registry, load(Isolation::Child)] {
        let plugins = bundled(&registry);
        for plugin in &plugins {
            print(&bench::bench(plugin, rows(), ROUNDS).expect("it answers"));
        }
        let manifests: Vec<&Manifest> = plugins.iter().map(|plugin| plugin.manifest()).collect();
        let residents = Residents::new(&manifests, rows(), bench::SEED);
        let run = bench::measure(&plugins, &residents, ROUNDS).expect("they answer");
        println!(
            "{} residents through {} plugins, {:.1} statements about each: {:.2} s \
             (encode {:.0}, call {:.0}, read {:.0} ns for each)",
            run.residents,
            plugins.len(),
            run.statements,
            run.seconds,
            run.encode_ns,
            run.call_ns,
            run.read_ns
        );
    }
    println!("{PLUGINS} plugins loaded in {:.0} ms", loaded().as_secs_f64() * 1e3);
}

fn print(figures: &Figures) {
    println!(
        "{:<24} {:<9} {:4.1} facts, {:4.1} statements: encode {:5.1} + call {:5.1} + read {:5.1} = {:5.1}",
        figures.plugin,
        format!("{:?}", figures.mode),
        figures.facts,
        figures.statements,
        figures.encode_ns,
        figures.call_ns,
        figures.read_ns,
        figures.total_ns()
    );
}

/// How long ten plugins take to be found and loaded: in proportion to those that there are.
fn loaded() -> Duration {
    let sources = Sources { development: true, ..Sources::default() };
    let time = |_| {
        let started = Instant::now();
        let registry = black_box(Registry::load(&sources));
        started.elapsed() * PLUGINS as u32 / registry.plugins().len().max(1) as u32
    };
    (0..3).map(time).min().unwrap_or_default()
}

criterion_group!(rules, benches);
criterion_main!(rules);
