//! Speed of the obligation engine: nanoseconds per obligation, against plain arithmetic over the same windows, and
//! its growth from a thousand to a million residents.
//!
//! `cargo bench -p linli-core` ends with one line per number of residents.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::expect_used, reason = "inputs are literals")]
#![allow(missing_docs, reason = "criterion generates public functions")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant as Stopwatch};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use linli_core::applied::{Applied, Standing, Timeline, applied_to_resident};
use linli_core::calendar::SiteCalendar;
use linli_core::catalogue;
use linli_core::id::{RecordId, ResidentId, SiteId, StandardCode, Subject};
use linli_core::kind::{KindSet, ServiceKind};
use linli_core::obligation::{Case, Obligation, obligations_into};
use linli_core::record::{Outcome, SubjectRecord};
use linli_core::standard::{Duty, Period, Standard};
use linli_core::time::{CivilDate, DateRange, Instant, SiteZone};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const WEEKS: i32 = 4;
const MEASURED_OBLIGATIONS: usize = 4_000_000;
const WEEK_MICROS: i64 = 7 * 86_400_000_000;

/// A site: residents with a month of records each, and the standards that apply to all of them.
struct Site {
    subjects: Vec<Subject>,
    records: Vec<Vec<SubjectRecord>>,
    applied: Vec<Applied>,
    tenure: [DateRange; 1],
    calendar: SiteCalendar,
    range: DateRange,
    now: Instant,
}

fn day(text: &str) -> CivilDate {
    CivilDate::parse(text).expect("a literal date")
}

/// The two weekly promises to elders, prorated and pausable, and the quarterly review of every file.
fn standards() -> Vec<Standard> {
    let review = catalogue::standards().into_iter().find(|s| s.code.as_str() == "survey.review");
    let review = review.expect("is in the catalogue");
    let weekly = |code: &str, at_least, distinct_days, kinds: &[ServiceKind]| Standard {
        code: StandardCode::new(code).expect("a literal code"),
        duty: Duty::Recurring { at_least, per: Period::Week, distinct_days },
        accepts: KindSet::of(kinds),
        prorate: true,
        pausable: true,
        ..review.clone()
    };
    vec![
        weekly("elder.call", 2, true, &[ServiceKind::PhoneCall, ServiceKind::VideoCall]),
        weekly("elder.visit", 1, false, &[ServiceKind::HomeVisit]),
    ]
}

impl Site {
    fn new(residents: usize) -> Self {
        let zone = SiteZone::SHANGHAI;
        let range = DateRange::new(day("2026-03-02"), day("2026-03-02").plus_days(7 * WEEKS));
        let tenure = [DateRange::from(day("2025-01-01"))];
        let from = zone.start_of(range.start()).micros();
        let mut random: u64 = 1;
        let mut next = |below: i64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(random >> 33).unwrap_or(0) % below
        };
        let records = (0..residents).map(|resident| {
            let mut records: Vec<SubjectRecord> = (0..10)
                .map(|number| {
                    let occurred_at = Instant::clamped(from + next(i64::from(WEEKS) * WEEK_MICROS));
                    SubjectRecord {
                        id: RecordId::new(&format!("r{resident}-{number}")).expect("a plain id"),
                        kind: if number < 3 { ServiceKind::HomeVisit } else { ServiceKind::PhoneCall },
                        occurred_at,
                        recorded_at: occurred_at,
                        outcome: Outcome::Done,
                        answers: Vec::new(),
                        voided_at: None,
                    }
                })
                .collect();
            records.sort_by_key(|record| record.occurred_at);
            records
        });
        let subjects =
            (0..residents).map(|n| Subject::Resident(ResidentId::new(&format!("r{n}")).expect("a plain id")));
        Self {
            subjects: subjects.collect(),
            records: records.collect(),
            applied: standards().into_iter().map(|s| Applied::one(Arc::new(s), tenure[0])).collect(),
            tenure,
            calendar: SiteCalendar::new(zone),
            now: zone.start_of(range.end().plus_days(-3)),
            range,
        }
    }

    /// Evaluates everybody, one after the other; the number of obligations and of those that are met.
    fn engine(&self, found: &mut Vec<Obligation>) -> (usize, usize) {
        let (mut count, mut met) = (0, 0);
        for (subject, records) in self.subjects.iter().zip(&self.records) {
            let case = Case {
                subject,
                applied: &self.applied,
                records,
                events: &[],
                pauses: &[],
                tenure: &self.tenure,
                calendar: &self.calendar,
            };
            found.clear();
            obligations_into(&case, self.range, self.now, found).expect("2026 is known");
            count += found.len();
            met += found.iter().filter(|o| o.credited >= o.required).count();
        }
        (count, met)
    }

    /// The same question by plain arithmetic: for each window a count of the records in it, and nothing else.
    fn arithmetic(&self) -> (usize, usize) {
        let start = self.calendar.zone().start_of(self.range.start()).micros();
        let now = self.now;
        let (mut count, mut met) = (0, 0);
        for records in &self.records {
            for (at_least, visits) in [(2, false), (1, true)] {
                for week in 0..i64::from(WEEKS) {
                    let from = start + week * WEEK_MICROS;
                    let (mut credited, mut last_day) = (0, i64::MIN);
                    for record in records {
                        let at = record.occurred_at.micros();
                        let fits = (record.kind == ServiceKind::HomeVisit) == visits;
                        if at < from || at >= from + WEEK_MICROS || !fits || record.recorded_at > now {
                            continue;
                        }
                        let day = (at - from) / 86_400_000_000;
                        if visits || day != last_day {
                            credited += 1;
                            last_day = day;
                        }
                    }
                    count += 1;
                    met += usize::from(credited >= at_least);
                }
            }
        }
        (count, met)
    }
}

/// The best of several runs, in nanoseconds of processor time per obligation.
fn per_obligation(mut run: impl FnMut() -> (usize, usize)) -> f64 {
    let started = Stopwatch::now();
    let best = (0..5).map(|_| {
        let before = processor_nanoseconds(started);
        let mut total = 0;
        // The kernel counts in ticks of milliseconds: enough work for a hundred of them.
        while total < MEASURED_OBLIGATIONS {
            let (count, met) = black_box(run());
            assert!(met > 0 && met < count, "some are met and some are not");
            total += count;
        }
        (processor_nanoseconds(started) - before) / total as f64
    });
    best.fold(f64::INFINITY, f64::min)
}

/// What this thread has used of a processor, so that neighbours do not count; on systems that do not say, the time.
fn processor_nanoseconds(started: Stopwatch) -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let used = schedule.and_then(|text| text.split(' ').next().and_then(|first| first.parse().ok()));
    used.unwrap_or_else(|| started.elapsed().as_secs_f64() * 1e9)
}

fn benches(criterion: &mut Criterion) {
    let mut lines = Vec::new();
    let mut smallest = None;
    for size in SIZES {
        let site = Site::new(size);
        let mut found = Vec::new();
        let (count, met) = site.engine(&mut found);
        assert_eq!((count, met), site.arithmetic(), "both ways agree");
        if size <= 10_000 {
            let mut group = criterion.benchmark_group("obligations");
            group.throughput(Throughput::Elements(u64::try_from(count).unwrap_or(u64::MAX)));
            group.sample_size(20).measurement_time(Duration::from_secs(3));
            group.bench_function(BenchmarkId::new("engine", size), |b| b.iter(|| site.engine(&mut found)));
            group.bench_function(BenchmarkId::new("arithmetic", size), |b| b.iter(|| site.arithmetic()));
            group.finish();
        }
        let engine = per_obligation(|| site.engine(&mut found));
        let plain = per_obligation(|| site.arithmetic());
        let first = *smallest.get_or_insert(engine);
        lines.push(format!(
            "{size:>9} residents: {engine:6.1} ns per obligation, plain arithmetic {plain:5.1} ns, \
             {:.2} × of {} residents",
            engine / first,
            SIZES[0]
        ));
    }
    lines.push(resolution());
    for line in lines {
        println!("{line}");
    }
}

/// What it costs to find the standards of a resident among all of the catalogue.
fn resolution() -> String {
    let site = SiteId::new("s").expect("a plain id");
    let standards: Vec<Arc<Standard>> = catalogue::standards().into_iter().map(Arc::new).collect();
    let timelines = Timeline::of_site(&standards, &site);
    let tenure = [DateRange::from(day("2025-01-01"))];
    let standing = Standing { memberships: &[], attention: &[], waivers: &[], tenure: &tenure };
    let found = applied_to_resident(&timelines, &standing, Instant::MAX).len();
    let each = per_obligation(|| {
        let applied = (0..10_000).map(|_| applied_to_resident(&timelines, &standing, Instant::MAX).len());
        (applied.sum(), 1)
    });
    let resident = each * found as f64;
    format!("{found} of {} standards found for a resident in {resident:.0} ns", standards.len())
}

criterion_group!(obligations, benches);
criterion_main!(obligations);
