//! `compare-rules`: what the rules of one group cost for a resident: as a plugin in the host's process and in a process
//! of its own, as plain Rust over columns (the limit), in CEL and in ZEN. All sides are asked about the same residents in
//! the same run, one after the other in rounds, and every one of them must give the same answers.

mod in_cel;
mod in_zen;
mod people;
mod plain;
mod plugins;
mod table;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use linli_plugin_host::Mode;
use linli_plugin_host::tools::bench::{self, BATCH_ROWS};
use linli_plugin_host::tools::residents::Residents;

use people::{People, Person};
use table::{ROWS, Said};

const HELP: &str = "\
usage: compare-rules [--key value]...
  --build FOLDER    the release build of Linli: its plugin and its `linli-runner` (../../target/release)
  --residents N     (40960)
  --rounds N        (5)
";

/// What a side took for one resident, in nanoseconds, one figure a round.
#[derive(Default)]
struct Side {
    name: &'static str,
    /// From facts to what it takes.
    prepare: Vec<f64>,
    /// From that to statements that can be read.
    decide: Vec<f64>,
}

impl Side {
    fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    fn note(&mut self, prepare: f64, decide: f64) {
        self.prepare.push(prepare);
        self.decide.push(decide);
    }

    /// The medians.
    fn figures(&self) -> (f64, f64) {
        (median(&self.prepare), median(&self.decide))
    }
}

fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("compare-rules: {message}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    build: String,
    residents: usize,
    rounds: usize,
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { build: "../../target/release".to_owned(), residents: 10 * BATCH_ROWS, rounds: 5 };
    let mut arguments = std::env::args().skip(1);
    while let Some(key) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("`{key}` needs a value\n{HELP}"));
        let number = |text: String| text.parse().map_err(|_| format!("`{text}` is no number"));
        match key.as_str() {
            "--build" => options.build = value()?,
            "--residents" => options.residents = number(value()?)?,
            "--rounds" => options.rounds = number(value()?)?,
            _ => return Err(format!("unknown option `{key}`\n{HELP}")),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let [here, apart] = plugins::load(options.build.as_ref())?;
    let (here, apart) =
        (here.plugin(plugins::ID).ok_or("not loaded")?, apart.plugin(plugins::ID).ok_or("not loaded")?);
    if (here.mode(), apart.mode()) != (Mode::InProcess, Mode::Child) {
        return Err("the plugin does not run where it should".into());
    }
    let residents = Residents::new(&[here.manifest()], options.residents, bench::SEED);
    let people = People::of(&residents)?;
    let (in_cel, in_zen) = (in_cel::Rules::compile()?, in_zen::Rules::compile()?);

    let expected = plugins::answers(here, &residents)?;
    let same = |name: &str, found: &[Vec<String>]| -> Result<(), String> {
        match expected.iter().zip(found).position(|(expected, found)| expected != found) {
            None if expected.len() == found.len() => Ok(()),
            None => Err(format!("{name}: answers about {} residents", found.len())),
            Some(row) => {
                Err(format!("{name}: resident {row}: {:?}\nexpected {:?}", found[row], expected[row]))
            }
        }
    };
    same("in a process of its own", &plugins::answers(apart, &residents)?)?;

    let mut sides =
        ["plugin, in the host's process", "plugin, in a process of its own", "plain Rust", "CEL", "ZEN"]
            .map(Side::new);
    let [in_process, in_child, limit, cel, zen] = &mut sides;
    let mut columns = plain::Columns::default();
    for round in 0..options.rounds.max(1) {
        for (plugin, side) in [(here, &mut *in_process), (apart, &mut *in_child)] {
            let run = bench::measure(&[plugin], &residents, 1)?;
            side.note(run.encode_ns, run.call_ns + run.read_ns);
        }
        let (times, said) = rounds(&people, |rows, said| {
            let begun = Instant::now();
            columns.fill(&people, rows);
            let prepared = begun.elapsed();
            columns.decide(said);
            Ok((prepared, begun.elapsed() - prepared))
        })?;
        limit.note(times.0, times.1);
        check(round, &said, &people, |found| same("plain Rust", found))?;
        let (times, said) = rounds(&people, |rows, said| {
            let begun = Instant::now();
            let mut variables: Vec<_> =
                rows.iter().map(|facts| in_cel::Variables::of(&Person::of(facts, people.today))).collect();
            let prepared = begun.elapsed();
            for (row, variables) in variables.iter_mut().enumerate() {
                in_cel.decide(row, variables, said)?;
            }
            Ok((prepared, begun.elapsed() - prepared))
        })?;
        cel.note(times.0, times.1);
        check(round, &said, &people, |found| same("CEL", found))?;
        let (times, said) = rounds(&people, |rows, said| {
            let begun = Instant::now();
            let variables: Vec<_> =
                rows.iter().map(|facts| in_zen::variables(&Person::of(facts, people.today))).collect();
            let prepared = begun.elapsed();
            for (row, variables) in variables.into_iter().enumerate() {
                in_zen.decide(row, variables, said)?;
            }
            Ok((prepared, begun.elapsed() - prepared))
        })?;
        zen.note(times.0, times.1);
        check(round, &said, &people, |found| same("ZEN", found))?;
    }
    print(options, &sides, expected.iter().map(Vec::len).sum());
    Ok(())
}

/// Asks about all residents batch by batch: nanoseconds for each, and what was said in each batch.
#[allow(clippy::type_complexity)]
fn rounds(
    people: &People,
    mut ask: impl FnMut(&[Vec<people::Fact>], &mut Vec<Said>) -> Result<(Duration, Duration), String>,
) -> Result<((f64, f64), Vec<Vec<Said>>), String> {
    let (mut prepare, mut decide, mut batches) = (Duration::ZERO, Duration::ZERO, Vec::new());
    for rows in people.rows.chunks(BATCH_ROWS) {
        // Room as the plugin's host has it beforehand.
        let mut said = Vec::with_capacity(rows.len() * 64);
        let (prepared, decided) = ask(rows, &mut said)?;
        black_box(&said);
        prepare += prepared;
        decide += decided;
        batches.push(said);
    }
    let each = |time: Duration| time.as_secs_f64() * 1e9 / people.rows.len().max(1) as f64;
    Ok(((each(prepare), each(decide)), batches))
}

/// In the first round what a side said is put into words and compared.
fn check(
    round: usize,
    batches: &[Vec<Said>],
    people: &People,
    same: impl Fn(&[Vec<String>]) -> Result<(), String>,
) -> Result<(), String> {
    if round > 0 {
        return Ok(());
    }
    let mut words: Vec<Vec<String>> = vec![Vec::new(); people.rows.len()];
    let mut expires: Vec<Option<i32>> = vec![None; people.rows.len()];
    for (batch, said) in batches.iter().enumerate() {
        for one in said {
            let resident = batch * BATCH_ROWS + one.resident as usize;
            let text = ROWS[one.row as usize].says[one.statement as usize];
            if text.starts_with("expires") {
                let earliest = expires[resident].map_or(one.date, |day| day.min(one.date));
                expires[resident] = Some(earliest);
            } else {
                words[resident].push(text.replace("{}", &plugins::date(one.date)?));
            }
        }
    }
    for (words, expires) in words.iter_mut().zip(expires) {
        if let Some(day) = expires {
            words.push(format!("expires {}", plugins::date(day)?));
        }
        words.sort();
    }
    same(&words)
}

fn print(options: &Options, sides: &[Side], statements: usize) {
    let Some(limit) = sides.iter().find(|side| side.name == "plain Rust") else { return };
    let (limit_prepare, limit_decide) = limit.figures();
    println!(
        "{}: {} residents, {:.1} statements about each, the same from every side; nanoseconds for each resident, median of {} rounds",
        plugins::ID,
        options.residents,
        statements as f64 / options.residents.max(1) as f64,
        options.rounds
    );
    println!(
        "{:<34} {:>9} {:>9} {:>9}   {:>12} {:>12}",
        "", "prepare", "decide", "total", "decide: x", "total: x"
    );
    for side in sides {
        let (prepare, decide) = side.figures();
        println!(
            "{:<34} {prepare:>9.1} {decide:>9.1} {:>9.1}   {:>12.2} {:>12.2}",
            side.name,
            prepare + decide,
            decide / limit_decide,
            (prepare + decide) / (limit_prepare + limit_decide)
        );
    }
}
