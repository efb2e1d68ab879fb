//! A group's result equals committing its change sets one after the other, in queue order: for random groups with
//! failing guards, repeated requests, changing rights and doubled keys in them.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;
use crate::change::{EventDraft, Expect, Prepared, PreparedRequest, Rows};
use crate::table::{Table, Val, dwelling as door, record_content, resident_index};
use crate::writer::{KnownHeads, commit_group};

on_both!(a_group_equals_its_serial_execution);

/// Cases per database; each commits up to 40 change sets twice.
const CASES: u32 = 60;

/// One step of a random change set; keys are drawn from few, so that they meet.
#[derive(Debug, Clone)]
enum Step {
    Guard(u8, Expect),
    PutVersioned(u8, i64),
    Put(u8, u8),
    Delete(u8),
    DeleteVersioned(u8),
    Append(u8),
    Event,
}

#[derive(Debug, Clone)]
struct Spec {
    site: u8,
    epoch: i64,
    bump: bool,
    steps: Vec<Step>,
    request: Option<(u8, u8)>,
    late: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0_u8..4;
    prop_oneof![
        2 => (key.clone(), prop_oneof![Just(Expect::Absent), Just(Expect::Present), (1_i64..4).prop_map(Expect::Version)])
            .prop_map(|(key, expect)| Step::Guard(key, expect)),
        6 => (key.clone(), 1_i64..5).prop_map(|(key, version)| Step::PutVersioned(key, version)),
        2 => (key.clone(), 0_u8..4).prop_map(|(key, value)| Step::Put(key, value)),
        1 => key.clone().prop_map(Step::Delete),
        1 => key.clone().prop_map(Step::DeleteVersioned),
        1 => (0_u8..24).prop_map(Step::Append),
        2 => Just(Step::Event),
    ]
}

fn spec() -> impl Strategy<Value = Spec> {
    let epoch = prop_oneof![12 => Just(0_i64), 2 => Just(1_i64)];
    let request = prop::option::weighted(0.3, (0_u8..4, prop_oneof![5 => Just(1_u8), 1 => Just(2_u8)]));
    (
        0_u8..3,
        epoch,
        prop::bool::weighted(0.03),
        prop::collection::vec(step(), 0..4),
        request,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(site, epoch, bump, steps, request, late)| Spec {
            site,
            epoch,
            bump,
            steps,
            request,
            late,
        })
}

fn prepare(number: usize, spec: &Spec) -> Prepared {
    let site = format!("s{}", spec.site);
    let mut rows = Rows::default();
    let mut events = Vec::new();
    let key = |key: u8| -> Vec<Val> { vec![site.as_str().into(), format!("k{key}").into()] };
    let index_row = |key: u8, version| resident_index::Model {
        site: site.clone(),
        field: "phone".into(),
        hash: vec![key],
        resident: "r".into(),
        version,
        key_version: 1,
    };
    for step in &spec.steps {
        match step {
            Step::Guard(at, expect) => rows.guard(Table::Dwelling, key(*at), *expect, "dwelling"),
            Step::PutVersioned(at, version) => {
                let row = door::Model {
                    site: site.clone(),
                    id: format!("k{at}"),
                    version: *version,
                    building: format!("change set {number}"),
                    unit: number.is_multiple_of(2).then(|| "u".into()),
                    room: "r".into(),
                    created_at: 0,
                };
                rows.put_versioned(Table::Dwelling, row, "dwelling");
            }
            Step::Put(at, value) => rows.put(Table::ResidentIndex, index_row(*at, i64::from(*value) + 1)),
            Step::Delete(at) => {
                let row: Vec<Val> = index_row(*at, 1).into();
                rows.delete(Table::ResidentIndex, row.into_iter().take(4).collect());
            }
            Step::DeleteVersioned(at) => rows.delete(Table::Dwelling, key(*at)),
            Step::Append(at) => {
                let row = record_content::Model {
                    site: site.clone(),
                    record: format!("c{at}"),
                    version: 1,
                    subject_kind: "site".into(),
                    subject: String::new(),
                    cell: number.to_be_bytes().to_vec(),
                };
                rows.append(Table::RecordContent, row);
            }
            Step::Event => {
                events.push(EventDraft { kind: "e", resource: format!("sites/{site}/{number}") });
            }
        }
    }
    let draft = audit(&format!("n{number}"));
    let request = spec.request.map(|(id, hash)| PreparedRequest {
        principal: "p".into(),
        method: "m".into(),
        request_id: format!("q{id}"),
        request_hash: [hash; 32],
        sealed_answer: number.to_be_bytes().to_vec(),
    });
    Prepared {
        scope: site,
        epoch: spec.epoch,
        key_version: 1,
        renews_keys: false,
        bump_epoch: spec.bump,
        bumped: if spec.bump { other_sites(spec.site) } else { Vec::new() },
        audit_tail: draft.tail(&rows.digest()),
        rows,
        events,
        care_time: at(0),
        // A late one finds the stored answers expired.
        system_time: if spec.late { at(20_000) } else { at(0) },
        request,
    }
}

/// The sites whose decisions end with a change in this one.
fn other_sites(site: u8) -> Vec<String> {
    (0..site).map(|other| format!("s{other}")).collect()
}

async fn a_group_equals_its_serial_execution(env: Env) {
    let serial = env.another().await;
    compare(*b"group commit equals serial order", &env, &serial).await;
}

/// PostgreSQL by groups and SQLite one by one come to the same, row by row.
#[test]
fn both_databases_agree() {
    run(On::Postgres, async |env: Env| {
        let serial = Env::new(On::Sqlite).await.unwrap();
        compare(*b"one contract whatever holds rows", &env, &serial).await;
    });
}

/// Commits the random groups of a seed to the first database as groups, to the second one by one.
async fn compare(seed: [u8; 32], env: &Env, serial: &Env) {
    eprintln!("seed: {}", String::from_utf8_lossy(&seed));
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let strategy = prop::collection::vec(prop::collection::vec(spec(), 1..24), 1..4);
    // Half of the cases begin with empty tables.
    env.store.unguard().await;
    serial.store.unguard().await;
    let grouped = env.store.first_writer().unwrap();
    let one_by_one = serial.store.first_writer().unwrap();
    let (mut done, mut failed, mut repeated, mut kinds) = (0, 0, 0, std::collections::BTreeSet::new());
    for case in 0..CASES {
        let groups = strategy.new_tree(&mut runner).unwrap().current();
        for group in &groups {
            let prepared: Vec<Prepared> =
                group.iter().enumerate().map(|(n, spec)| prepare(n, spec)).collect();
            let together = commit_group(grouped, &prepared, &mut KnownHeads::default()).await;
            let (mut apart, mut known) = (Vec::new(), KnownHeads::default());
            for one in &prepared {
                apart.extend(commit_group(one_by_one, std::slice::from_ref(one), &mut known).await);
            }
            assert_eq!(together, apart, "case {case}: {group:#?}");
            for result in &together {
                match result {
                    Ok(crate::writer::plan::Outcome::Done { .. }) => done += 1,
                    Ok(crate::writer::plan::Outcome::Repeated { .. }) => repeated += 1,
                    Err(err) => {
                        failed += 1;
                        kinds.insert(std::mem::discriminant(err).hash_text());
                    }
                }
            }
        }
        let (left, right) = tokio::join!(env.store.dump(), serial.store.dump());
        assert_same_rows(&left, &right, &format!("case {case}: {groups:#?}"));
        // Half of the cases go on with what is there, the others begin anew.
        if case % 2 == 0 {
            for store in [&env.store, &serial.store] {
                for table in Table::ALL {
                    store.tamper(&format!("DELETE FROM {}", table.meta().name)).await;
                }
            }
        }
    }
    assert!(done > 300 && failed > 300 && repeated > 20, "{done} done, {failed} failed, {repeated} repeated");
    assert!(kinds.len() >= 5, "only {} kinds of failure", kinds.len());
}

/// A text per variant, for counting.
trait HashText {
    fn hash_text(&self) -> String;
}

impl<T> HashText for std::mem::Discriminant<T> {
    fn hash_text(&self) -> String {
        format!("{self:?}")
    }
}
