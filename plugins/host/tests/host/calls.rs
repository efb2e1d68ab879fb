//! Calling: answers are checked, faults are contained, figures tell of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use linli_core::assessment::Findings;
use linli_core::invalid::Invalid;
use linli_core::resident::FactValue;
use linli_core::time::CivilDate;
use linli_plugin_host::{Batch, CallError, Health, Limits, Mode, Plugin, Problem, RowFact, Sources};

use crate::build;

const DEADLINE: Duration = Duration::from_secs(20);

fn day(text: &str) -> CivilDate {
    CivilDate::parse(text).unwrap()
}

fn today() -> CivilDate {
    day("2026-03-16")
}

// ---- the liar: every statement a plugin can make, right and wrong ----

fn liar(mode: Mode, name: &str) -> Arc<Plugin> {
    let name = format!("{mode:?}-{name}");
    let library = build::liar(&format!("calls-{name}"), &[], build::LIAR);
    let registry = build::load_in(
        mode,
        build::folder(&format!("calls-{name}"), &[("liar", &std::fs::read(library).unwrap(), build::LIAR)]),
    );
    Arc::clone(registry.plugin("cn.example.liar").expect("the liar loads"))
}

/// A batch with a row for each list of facts.
fn rows(plugin: &Plugin, rows: &[&[(&str, i64)]]) -> Batch {
    let mut batch = plugin.batch();
    for row in rows {
        let facts: Vec<(&str, FactValue)> =
            row.iter().map(|(field, value)| (*field, FactValue::Integer(*value))).collect();
        let facts = facts.iter().map(|(field, value)| RowFact { field, value, since: None });
        batch.push(today(), facts).unwrap();
    }
    batch.finish()
}

fn every_statement_is_checked(mode: Mode) {
    let plugin = liar(mode, "checked");
    let (yesterday, tomorrow) = (i64::from(today().days()) - 1, i64::from(today().days()) + 1);
    let check = |facts: &[(&str, i64)], words: &str| {
        let answer = plugin.assess(rows(&plugin, &[&[], facts]), DEADLINE);
        match answer {
            Err(CallError::Misbehaved { what }) => assert!(what.contains(words), "`{words}` in: {what}"),
            other => panic!("{facts:?}: {other:?}"),
        }
        plugin.reset();
    };
    let member: &[(&str, i64)] = &[("kind", 1), ("reason", 0)];
    let with = |extra: &[(&'static str, i64)]| [member, extra].concat();

    check(&with(&[("ordinal", 2)]), "group 2 of a table of 2");
    check(&with(&[("ordinal", 65_535)]), "group 65535 of a table of 2");
    check(&[("kind", 1), ("reason", 2)], "reason 2 of a table of 2");
    check(&[("kind", 1)], "a reason is required");
    check(&with(&[("shift", 1)]), "resident 2 is beyond the batch of 2");
    check(&with(&[("shift", -2)]), "resident 4294967295 is beyond the batch of 2");
    check(&with(&[("since", tomorrow)]), "`since` lies after today");
    check(&with(&[("since", -1_000_000)]), "`since` is no date of our time");
    check(&with(&[("until", tomorrow - 1)]), "`until` does not lie after today");
    check(&with(&[("until", 1_000_000)]), "`until` is no date of our time");
    check(&with(&[("basis", 3)]), "unknown basis");
    check(&with(&[("reserved", 1)]), "reserved members are not zero");
    check(&[("kind", 2), ("ordinal", 3), ("reason", 0)], "tier 3 of a table of 3");
    check(&[("kind", 2), ("reason", 0), ("until", tomorrow)], "has no `until`");
    check(&[("kind", 2), ("reason", 0), ("basis", 1)], "only a membership has a basis");
    check(&[("kind", 3), ("ordinal", 1), ("reason", 0)], "tag 1 of a table of 1");
    check(&[("kind", 4), ("ordinal", 1), ("reason", 0)], "caution 1 of a table of 1");
    check(&[("kind", 4), ("reason", 0), ("since", yesterday)], "has no `since`");
    check(&[("kind", 5)], "an expiry needs its date");
    check(&[("kind", 5), ("until", yesterday)], "`expiry` does not lie after today");
    check(&[("kind", 6), ("reason", 0)], "issues belong to validation");
    check(&[("kind", 7)], "unknown kind");
    check(&[("kind", 200)], "it wrote beyond the sink");
    check(&[("kind", 201)], "it wrote beyond the sink");
    check(&[("kind", 202)], "it wrote beyond the sink");
    // The first of two rows speaks about the second, which speaks about itself.
    // Another reason does not make it another membership.
    for reason in [0, 1] {
        let again: &[(&str, i64)] = &[("kind", 1), ("reason", reason)];
        let twice = plugin.assess(rows(&plugin, &[&with(&[("shift", 1)]), again]), DEADLINE);
        assert!(
            matches!(&twice, Err(CallError::Misbehaved { what }) if what.contains("said twice")),
            "{twice:?}"
        );
        plugin.reset();
    }
}

fn right_statements_become_findings_in_the_words_of_the_manifest(mode: Mode) {
    let plugin = liar(mode, "right");
    let tomorrow = i64::from(today().days()) + 1;
    let answer = plugin
        .assess(
            rows(
                &plugin,
                &[
                    &[
                        ("kind", 1),
                        ("ordinal", 1),
                        ("reason", 1),
                        ("since", tomorrow - 1),
                        ("until", tomorrow),
                    ],
                    &[],
                    &[("kind", 2), ("ordinal", 2), ("reason", 0)],
                    &[("kind", 3), ("reason", 0), ("since", tomorrow - 400)],
                    &[("kind", 4), ("reason", 1)],
                    &[("kind", 5), ("until", tomorrow)],
                ],
            ),
            DEADLINE,
        )
        .unwrap();
    let answer = build::findings(&answer);
    let [member, nothing, tier, tag, caution, expires] = answer.as_slice() else {
        panic!("one answer per row")
    };
    assert_eq!(member.memberships.len(), 1);
    assert_eq!(member.memberships[0].group.as_str(), "second");
    assert_eq!(member.memberships[0].reason.as_str(), "why_not");
    assert_eq!(member.memberships[0].since, Some(today()));
    assert_eq!(member.memberships[0].until, Some(day("2026-03-17")));
    assert_eq!(nothing, &Findings::default());
    assert_eq!(tier.tiers[0].tier.code(), "high");
    assert_eq!(tag.tags[0].tag.as_str(), "label");
    assert_eq!(caution.cautions[0].caution.as_str(), "careful");
    assert_eq!(expires.valid_until, Some(day("2026-03-17")));

    let issues = plugin
        .validate(rows(&plugin, &[&[], &[("kind", 6), ("ordinal", 3), ("reason", 0)]]), DEADLINE)
        .unwrap();
    assert_eq!(issues[0], []);
    assert_eq!((issues[1][0].field.as_str(), issues[1][0].reason.as_str()), ("shift", "why"));
    let wrong = plugin.validate(rows(&plugin, &[&[("kind", 1), ("reason", 0)]]), DEADLINE);
    assert!(matches!(wrong, Err(CallError::Misbehaved { .. })), "{wrong:?}");
}

fn a_failure_is_told_in_the_plugins_words(mode: Mode) {
    let plugin = liar(mode, "failure");
    let ask = |kind| plugin.assess(rows(&plugin, &[&[("kind", kind)]]), DEADLINE).unwrap_err();
    assert_eq!(ask(204), CallError::Failed { status: 100, message: "the table is empty".into() });
    assert_eq!(ask(203), CallError::Failed { status: 100, message: "it gave no message".into() });
    assert_eq!(plugin.figures().last_error.unwrap(), "the plugin failed with status 100: it gave no message");
    assert_eq!((plugin.figures().calls, plugin.figures().failures, plugin.figures().residents), (2, 2, 0));
}

fn an_instance_that_cannot_be_made_fails_the_call(mode: Mode) {
    let check = |name: &str, definition: &str, words: &str| {
        let name = &format!("{mode:?}-{name}");
        let library = std::fs::read(build::liar(name, &[definition], build::LIAR)).unwrap();
        let registry = build::load_in(mode, build::folder(name, &[("liar", &library, build::LIAR)]));
        let plugin = registry.plugin("cn.example.liar").unwrap();
        let error = plugin.assess(rows(plugin, &[&[]]), DEADLINE).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    check("create-fails", "-DCREATE_FAILS", "status 7: no licence key");
    check("no-rules", "-DNO_RULES", "does not implement `linli.rules/1`");
}

fn one_batch_serves_sites_with_different_parameters(mode: Mode) {
    let plugin = liar(mode, "sites");
    let facts = [("kind", FactValue::Integer(1)), ("reason", FactValue::Integer(0))];
    let mut batch = plugin.batch();
    for offset in [0, 1, 0] {
        let site = BTreeMap::from([("offset".to_owned(), FactValue::Integer(offset))]);
        batch.parameters(&site).unwrap();
        batch
            .push(today(), facts.iter().map(|(field, value)| RowFact { field, value, since: None }))
            .unwrap();
    }
    let answer = plugin.assess(batch.finish(), DEADLINE).unwrap();
    let groups: Vec<&str> =
        answer.rows().filter_map(|(_, row)| Some(row.memberships().next()?.group.as_str())).collect();
    assert_eq!(groups, ["first", "second", "first"]);
}

fn an_empty_batch_has_an_empty_answer(mode: Mode) {
    let plugin = liar(mode, "empty");
    let answer = plugin.assess(plugin.batch().finish(), DEADLINE).unwrap();
    assert!(answer.is_empty() && answer.row(0).is_none());
}

fn a_batch_is_for_the_plugin_that_made_it(mode: Mode) {
    let (first, second) =
        (liar(mode, "first"), build::loaded_in(mode, &format!("{mode:?}-second"), build::faulty()));
    let batch = rows(&first, &[&[]]);
    assert_eq!(second.plugins()[0].assess(batch, DEADLINE), Err(CallError::WrongPlugin));
}

// ---- facts on the way in ----

fn only_declared_facts_that_count_get_in(mode: Mode) {
    let registry = build::loaded_in(mode, &format!("{mode:?}-facts"), build::elderly());
    let plugin = registry.plugin("cn.linli.elderly").unwrap();
    let birth = FactValue::Date(day("1940-01-01"));
    let (yes, name) = (FactValue::Bool(true), FactValue::Text("someone".into()));
    let mut batch = plugin.batch();
    let facts = [
        RowFact { field: "birth_date", value: &birth, since: None },
        RowFact { field: "favourite_colour", value: &name, since: None },
        RowFact { field: "lives_alone", value: &yes, since: Some(day("2026-04-01")) },
    ];
    assert_eq!(batch.push(today(), facts), Ok(0));
    let answer = build::findings(&plugin.assess(batch.finish(), DEADLINE).unwrap());
    // Alone from April on: not yet, and the answer says when it will be different.
    assert_eq!(answer[0].memberships.len(), 1);
    assert_eq!(answer[0].memberships[0].group.as_str(), "advanced_age");
    assert_eq!(answer[0].valid_until, Some(day("2026-04-01")));
}

#[test]
fn facts_and_parameters_that_do_not_fit_are_all_named() {
    let registry = build::loaded("misfits", build::elderly());
    let plugin = registry.plugin("cn.linli.elderly").unwrap();
    let problem = |code: &str, invalid| Problem { code: code.to_owned(), invalid };
    let (number, yes) = (FactValue::Integer(91), FactValue::Bool(true));
    let facts = [
        RowFact { field: "birth_date", value: &number, since: None },
        RowFact { field: "ability_score", value: &number, since: None },
        RowFact { field: "coma", value: &yes, since: None },
    ];
    let mut batch = plugin.batch();
    assert_eq!(
        batch.push(today(), facts),
        Err(vec![
            problem("birth_date", Invalid::FactType),
            problem("ability_score", Invalid::TooLarge { max: 90 })
        ])
    );
    let given = [("advanced_age_years", FactValue::Integer(20)), ("nonsense", FactValue::Bool(true))];
    let given: BTreeMap<String, FactValue> =
        given.into_iter().map(|(code, value)| (code.to_owned(), value)).collect();
    assert_eq!(
        batch.parameters(&given),
        Err(vec![
            problem("advanced_age_years", Invalid::TooSmall { min: 65 }),
            problem("nonsense", Invalid::Unknown)
        ])
    );
    assert!(batch.finish().is_empty(), "a refused row is not added");
}

// ---- the faulty plugin: panics and hangs ----

fn faulty(mode: Mode, name: &str) -> Arc<Plugin> {
    Arc::clone(&build::loaded_in(mode, &format!("{mode:?}-{name}"), build::faulty()).plugins()[0])
}

fn acts(plugin: &Plugin, acts: &[&str]) -> Batch {
    let note = FactValue::Text("a private note".into());
    let mut batch = plugin.batch();
    for act in acts {
        let (value, chinese) = (FactValue::Code((*act).to_owned()), FactValue::Text("纳入".into()));
        let note = if *act == "member" { &chinese } else { &note };
        let facts = [
            RowFact { field: "act", value: &value, since: Some(day("2026-02-01")) },
            RowFact { field: "note", value: note, since: None },
        ];
        batch.push(today(), facts).unwrap();
    }
    batch.finish()
}

fn works(plugin: &Plugin) {
    let answer = build::findings(&plugin.assess(acts(plugin, &["member"]), DEADLINE).unwrap());
    assert_eq!(answer[0].memberships[0].since, Some(day("2026-02-01")));
}

fn a_panic_fails_its_batch_and_nothing_else(mode: Mode) {
    let plugin = faulty(mode, "panic");
    works(&plugin);
    for _ in 0..3 {
        let error = plugin.assess(acts(&plugin, &["member", "panic", "member"]), DEADLINE).unwrap_err();
        let CallError::Panicked { message } = &error else { panic!("{error}") };
        assert!(message.contains("faulty.rs:"), "{message}");
        assert!(
            !format!("{error:?}").contains("private"),
            "a panic's own text may hold personal data: {error:?}"
        );
        works(&plugin);
    }
    let figures = plugin.figures();
    assert_eq!((figures.calls, figures.failures, figures.panics, figures.residents), (7, 3, 3, 4));
    assert_eq!(figures.health, Health::Ready);
}

fn five_panics_let_the_plugin_rest_until_it_is_reset(mode: Mode) {
    let plugin = faulty(mode, "rest");
    for _ in 0..5 {
        plugin.assess(acts(&plugin, &["panic"]), DEADLINE).unwrap_err();
    }
    let refused = plugin.assess(acts(&plugin, &["member"]), DEADLINE);
    assert!(matches!(refused, Err(CallError::Resting { .. })), "{refused:?}");
    assert!(matches!(plugin.figures().health, Health::Resting { .. }));
    plugin.reset();
    works(&plugin);
}

#[test]
fn a_hang_fails_at_the_deadline_and_costs_one_thread() {
    let registry = build::loaded_within("hang", build::faulty(), Limits::default());
    let plugin = &registry.plugins()[0];
    let mut least = Duration::MAX;
    for lost in 1..=3 {
        let (deadline, started) = (Duration::from_millis(100), Instant::now());
        let hung = plugin.assess(acts(plugin, &["hang"]), deadline);
        least = least.min(started.elapsed().saturating_sub(deadline));
        assert_eq!(hung, Err(CallError::Hung { deadline }));
        assert_eq!((plugin.figures().hangs, plugin.figures().lost_threads), (lost, lost as usize));
        let next = plugin.assess(acts(plugin, &["member"]), DEADLINE);
        assert!(matches!(next, Err(CallError::Resting { .. })), "{next:?}");
        if lost < 3 {
            plugin.reset();
            works(plugin);
        }
    }
    // Of three tries the least: what else runs on the machine only ever adds.
    assert!(least <= Duration::from_millis(50), "{least:?} past the deadline");
}

#[test]
fn three_threads_lost_at_one_time_stop_the_plugin_until_it_is_reset() {
    let limits = Limits { workers: 3, ..Limits::default() };
    let registry = build::loaded_within("stopped", build::faulty(), limits);
    let (plugin, deadline) = (&registry.plugins()[0], Duration::from_secs(2));
    // All at once, because a plugin that rests is not called.
    let start = Barrier::new(3);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let batch = acts(plugin, &["hang"]);
                start.wait();
                assert_eq!(plugin.assess(batch, deadline), Err(CallError::Hung { deadline }));
            });
        }
    });
    assert_eq!((plugin.figures().lost_threads, plugin.figures().health), (3, Health::Stopped));
    assert_eq!(plugin.assess(acts(plugin, &["member"]), DEADLINE), Err(CallError::Stopped));
    plugin.reset();
    works(plugin);
}

fn a_slow_batch_stops_when_told_and_costs_nothing(mode: Mode) {
    // 64 residents take 320 ms or more before the flag is looked at again; the grace is far longer.
    let limits = Limits { stop_grace: Duration::from_secs(60), ..Limits::default() };
    let name = format!("{mode:?}-slow");
    let registry =
        build::loaded_as(&name, build::faulty(), |folder| Sources { limits, ..build::sources(folder, mode) });
    let (plugin, deadline) = (&registry.plugins()[0], Duration::from_millis(30));
    let error = plugin.assess(acts(plugin, &vec!["wait"; 2_000]), deadline).unwrap_err();
    assert_eq!(error, CallError::TimedOut { deadline });
    assert_eq!((plugin.figures().hangs, plugin.figures().health), (0, Health::Ready));
    works(plugin);
}

#[test]
fn a_call_that_returns_late_gives_its_thread_back() {
    let limits = Limits { stop_grace: Duration::ZERO, ..Limits::default() };
    let registry = build::loaded_within("late", build::faulty(), limits);
    let (plugin, deadline) = (&registry.plugins()[0], Duration::from_millis(20));
    // 64 residents take 320 ms or more before the flag is looked at again.
    let error = plugin.assess(acts(plugin, &["wait"; 64]), deadline).unwrap_err();
    assert_eq!(error, CallError::Hung { deadline });
    assert_eq!(plugin.figures().lost_threads, 1);
    let started = Instant::now();
    while plugin.figures().lost_threads > 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "the thread comes back");
        thread::yield_now();
    }
    assert_eq!(plugin.figures().hangs, 1);
    plugin.reset();
    works(plugin);
}

fn too_much_and_the_same_twice_are_refused(mode: Mode) {
    let plugin = faulty(mode, "much");
    let check = |act: &str, words: &str| {
        let error = plugin.assess(acts(&plugin, &["member", act]), DEADLINE).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        works(&plugin);
    };
    check("flood", "says more about its residents than the host takes");
    check("twice", "said twice");
}

fn many_threads_may_call_at_once(mode: Mode) {
    let plugin = faulty(mode, "many");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| works(&plugin)));
        }
    });
    assert_eq!(plugin.figures().residents, 400);
}

#[test]
fn callers_wait_for_a_thread_no_longer_than_their_deadline() {
    let registry = build::loaded_within("busy", build::faulty(), Limits::default());
    let plugin = &registry.plugins()[0];
    let deadline = Duration::from_millis(400);
    thread::scope(|scope| {
        // Both threads of the plugin hang; a third call with a short deadline finds none.
        let hung: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| plugin.assess(acts(plugin, &["hang"]), deadline).unwrap_err()))
            .collect();
        thread::sleep(Duration::from_millis(100));
        let short = Duration::from_millis(20);
        assert_eq!(plugin.assess(acts(plugin, &["member"]), short), Err(CallError::Busy { deadline: short }));
        for call in hung {
            assert_eq!(call.join().unwrap(), CallError::Hung { deadline });
        }
    });
    plugin.reset();
    works(plugin);
}

build::in_both_modes!(
    every_statement_is_checked,
    right_statements_become_findings_in_the_words_of_the_manifest,
    a_failure_is_told_in_the_plugins_words,
    an_instance_that_cannot_be_made_fails_the_call,
    one_batch_serves_sites_with_different_parameters,
    an_empty_batch_has_an_empty_answer,
    a_batch_is_for_the_plugin_that_made_it,
    only_declared_facts_that_count_get_in,
    a_panic_fails_its_batch_and_nothing_else,
    five_panics_let_the_plugin_rest_until_it_is_reset,
    a_slow_batch_stops_when_told_and_costs_nothing,
    too_much_and_the_same_twice_are_refused,
    many_threads_may_call_at_once,
);
