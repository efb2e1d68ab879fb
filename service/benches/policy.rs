//! Time of a decision: what every call pays to be allowed or refused.
//!
//! `cargo bench -p linli-service --bench policy`

#![allow(clippy::expect_used, reason = "inputs are literals")]
#![allow(missing_docs, reason = "criterion generates public functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use linli_core::kind::Department;
use linli_core::staff::Role;
use linli_service::auth::PurposeKind;
use linli_service::auth::rules::{Acting, FileFacts, Question, Rules};
use linli_service::auth::table;

fn decisions(criterion: &mut Criterion) {
    let rules = Rules::built_in().expect("the built-in policies fit");
    let method = table::find("linli.v1.ResidentService/GetResident").expect("in the table");
    let question = Question {
        acting: Acting::Member(Department::CustomerService),
        method,
        class: None,
        site: Some("xingfuli"),
        in_scope: true,
        everywhere: false,
        purpose: Some(PurposeKind::RoutineCare),
        file: FileFacts { assigned: true, ..FileFacts::default() },
    };
    let mut group = criterion.benchmark_group("decision");
    group.bench_function("allowed", |bench| bench.iter(|| rules.allow(black_box(&question))));
    group.bench_function("allowed, by asking the policies", |bench| {
        bench.iter(|| rules.ask(black_box(&question)));
    });
    let refused = Question { acting: Acting::Role(Role::Volunteer), ..question };
    group.bench_function("no policy permits", |bench| bench.iter(|| rules.allow(black_box(&refused))));
    let foreign = Question { in_scope: false, ..question };
    group.bench_function("forbidden", |bench| bench.iter(|| rules.allow(black_box(&foreign))));
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
