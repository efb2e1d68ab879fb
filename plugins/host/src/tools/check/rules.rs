//! The rules of `linli_plugin.h`, each with the check that looks whether a plugin keeps it. In this order they are
//! looked at; what depends on a rule that is broken is not looked at.

use std::fs;

use super::{Case, Stop, answers, batches, hosted, life, load, runs, sinks};
use crate::Mode;
use crate::manifest::Manifest;
use crate::tools::place::Place;

/// A rule and its check.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// A stable word for it.
    pub id: &'static str,
    /// What the header asks.
    pub asks: &'static str,
    /// What to do where a plugin does not keep it.
    pub help: &'static str,
    /// Rules without which it cannot be looked at.
    pub needs: &'static [&'static str],
    pub(super) check: fn(&Case) -> Result<(), Stop>,
    /// Whether the check only reads files, so that it needs no process of its own.
    pub(super) reads_only: bool,
}

type Check = fn(&Case) -> Result<(), Stop>;

const fn file(
    id: &'static str,
    check: Check,
    needs: &'static [&'static str],
    asks: &'static str,
    help: &'static str,
) -> Rule {
    Rule { reads_only: true, ..code(id, check, needs, asks, help) }
}

const fn code(
    id: &'static str,
    check: Check,
    needs: &'static [&'static str],
    asks: &'static str,
    help: &'static str,
) -> Rule {
    Rule { id, asks, help, needs, check, reads_only: false }
}

const FILE: &[&str] = &["library"];
const ENTRY: &[&str] = &["entry"];
const LOADED: &[&str] = &["abi"];
const RULES: &[&str] = &["interfaces"];
const ANSWERS: &[&str] = &["wild"];
const ACCEPTABLE: &[&str] =
    &["wild", "rows", "kinds", "ordinals", "reasons", "since", "until", "members", "twice"];

/// The rules for the plugin in a place, by what its manifest says: where that cannot be read, those for rules.
pub fn of(place: &Place) -> Vec<&'static Rule> {
    let beside = place.manifest.as_ref().and_then(|path| fs::read_to_string(path).ok());
    let inside = || place.open(Mode::Child).ok().map(|plugin| plugin.manifest().text.clone());
    let connects = |text: &String| Manifest::parse(text).is_ok_and(|manifest| manifest.connector.is_some());
    if beside.or_else(inside).as_ref().is_some_and(connects) {
        let common = ALL.iter().take_while(|rule| rule.id != FIRST_OF_RULES);
        let instances = ALL.iter().filter(|rule| rule.id == "instances");
        common.chain(instances).chain(CONNECTOR).collect()
    } else {
        ALL.iter().collect()
    }
}

/// Where those begin that only a plugin with rules must keep.
const FIRST_OF_RULES: &str = "larger_structs";

const RUNS: &[&str] = &["steps"];
const ENDS: &[&str] = &["steps", "ends"];
const SAME: &[&str] = &["steps", "ends", "same_steps"];

/// The rules that only a connector must keep, behind those of every plugin.
pub const CONNECTOR: &[Rule] = &[
    code(
        "steps",
        runs::steps,
        RULES,
        "every step is one that its manifest declares, within the bounds of `connector.proto`",
        "declare it, or do not ask for it; refuse settings that lead there",
    ),
    code(
        "ends",
        runs::ends,
        RUNS,
        "every run ends, and no call fails, whatever comes of its steps: failures, nothing, anything",
        "treat every outcome; end with an error where you do not understand it, and try again in another run",
    ),
    code(
        "wrong_request",
        runs::wrong_request,
        RUNS,
        "a request that is no message, or for another operation than `op`, is refused with LINLI_E_INVALID",
        "decode it whole, and compare its operation with `op`",
    ),
    code(
        "wrong_input",
        runs::wrong_input,
        RUNS,
        "an input that is no message, or does not answer the last step, is refused with LINLI_E_INVALID",
        "decode it whole, and compare its kind with what you asked for",
    ),
    code(
        "failure_says_why",
        runs::says_why,
        RUNS,
        "a call that fails says why through `error` first",
        "call `call->error` before you return a status",
    ),
    code(
        "same_steps",
        runs::repeat,
        ENDS,
        "same inputs, same steps, whichever instance and whatever other runs there are",
        "keep what a run must remember in its exchange, and nothing elsewhere",
    ),
    code(
        "idempotency_key",
        runs::key,
        SAME,
        "the other side can tell a repetition: a request carries the idempotency key, a file that or its referral",
        "put the key into a header or the body, and key or referral into the name of the file",
    ),
    code(
        "discreet",
        runs::private,
        ENDS,
        "no line of the log, no text about an error and no message of an ended run holds a field's value or what came back",
        "say which field and which status, not which value and not the body",
    ),
    code(
        "stops",
        runs::cancel,
        RUNS,
        "a call that is told to stop returns LINLI_E_CANCELLED",
        "read `*call->cancel` before you go on",
    ),
    code(
        "larger_call",
        runs::larger,
        RUNS,
        "structs of a newer host have more members at their end",
        "compare `struct_size` with >=, not with ==",
    ),
    code(
        "wandering",
        runs::other_thread,
        SAME,
        "calls of one run come from different threads",
        "keep nothing of a run in thread-local variables",
    ),
    code(
        "run_memory",
        runs::memory,
        ENDS,
        "runs leave no memory behind, wherever they are ended",
        "free the exchange in `end`, and the bytes of a step in `release`",
    ),
    code(
        "left_behind",
        runs::left_behind,
        ENDS,
        "no thread runs on and nothing stays open after a run",
        "connectors need neither threads nor files",
    ),
    code(
        "no_io",
        runs::system,
        &["steps", "ends", "left_behind"],
        "connectors do no I/O: no file, network, output, environment, process",
        "ask the host for the exchange; write to the log through `host->log`",
    ),
    code(
        "hosted",
        runs::in_process,
        &["steps", "ends", "discreet"],
        "the host accepts every step, with a deadline, in its own process",
        "see the message: the host names what is wrong",
    ),
    code(
        "hosted_apart",
        runs::child,
        &["hosted", "same_steps", "no_io", "left_behind"],
        "in a process of its own, without environment, files and network, it takes the same steps",
        "compute from request and inputs alone",
    ),
];

/// Every rule of a plugin with rules; up to `unknown_interface` they are those of every plugin.
pub const ALL: &[Rule] = &[
    file(
        "library",
        load::library,
        &[],
        "the file is a whole shared library for this machine",
        "build it for this machine, or copy it again",
    ),
    file(
        "entry",
        load::entry,
        FILE,
        "the library exports `linli_plugin_entry_v1`",
        "mark the entry with LINLI_EXPORT, or call `export_plugin!`",
    ),
    file(
        "symbols",
        load::symbols,
        ENTRY,
        "the entry is the only symbol that it exports",
        "make everything else `static`, or build with -fvisibility=hidden",
    ),
    file(
        "static_tls",
        load::static_tls,
        FILE,
        "thread-local variables are not static ones: a process has little room for those",
        "build with -ftls-model=global-dynamic, and use the system's allocator",
    ),
    file(
        "clock",
        load::clock,
        FILE,
        "plugins see no clock and no randomness",
        "use `today` of the batch, or a connector's `now`; a hash map of Rust is random, use a `BTreeMap`",
    ),
    file(
        "manifest",
        load::manifest,
        FILE,
        "`plugin.toml` is well-formed",
        "correct the lines that are named",
    ),
    code(
        "abi",
        load::abi,
        ENTRY,
        "the entry returns magic number, size, version, flags and functions of this ABI, and `describe` a manifest",
        "build against the `linli_plugin.h` of this version, or the SDK of its major",
    ),
    code(
        "embedded",
        load::embedded,
        &["abi", "manifest"],
        "the library carries `plugin.toml` byte for byte",
        "build again, and install manifest and library of one build",
    ),
    code(
        "newer_host",
        load::newer_host,
        LOADED,
        "a host of a later minor version of the ABI is served like this one",
        "refuse another major only",
    ),
    code(
        "constant",
        load::constant,
        LOADED,
        "entry and `describe` return the same constant data each time",
        "return the address of one `static const` struct",
    ),
    code(
        "reserved",
        load::reserved,
        LOADED,
        "`reserved` members are zero",
        "write zero: they will get a meaning",
    ),
    code(
        "describe_time",
        load::describe_time,
        LOADED,
        "entry and `describe` take less than 100 ms together",
        "do nothing there; make what is needed in `create`",
    ),
    code(
        "quiet_load",
        load::quiet_load,
        LOADED,
        "loading starts no thread and opens nothing",
        "leave out constructors; make what is needed in `create`",
    ),
    code(
        "create",
        load::create,
        LOADED,
        "`create` with the default configuration gives an instance",
        "set `*out`, also where there is no state; say through `error` why it fails",
    ),
    code(
        "interfaces",
        load::interfaces,
        &["create"],
        "`get_interface` gives every interface that the manifest lists, complete",
        "return the address of a static struct with its `struct_size`, or take it from the manifest",
    ),
    code(
        "unknown_interface",
        load::unknown_interface,
        &["create"],
        "`get_interface` gives NULL for any other id",
        "compare the length and then every byte: ids are not NUL-terminated",
    ),
    code(
        "larger_structs",
        batches::larger_structs,
        RULES,
        "structs of a newer host have more members at their end",
        "compare `struct_size` with >=, not with ==",
    ),
    code(
        "empty",
        batches::empty,
        RULES,
        "a batch of no residents is answered with nothing",
        "allow `rows` to be 0",
    ),
    code(
        "large",
        batches::large,
        RULES,
        "a batch may have 65,536 residents",
        "keep no tables of a fixed size by row",
    ),
    code(
        "wild",
        answers::wild,
        RULES,
        "every batch of the right shape is answered, whatever the facts: limits of dates and numbers, empty and long texts",
        "check before you add or divide; declare `min` and `max` of numbers",
    ),
    code(
        "rows",
        answers::rows,
        ANSWERS,
        "a record names a resident of the batch",
        "`resident` is the row, counted from 0",
    ),
    code(
        "kinds",
        answers::kinds,
        ANSWERS,
        "`assess` answers with every kind but ISSUE, `validate` with ISSUE only",
        "put each statement into the function to which it belongs",
    ),
    code(
        "ordinals",
        answers::ordinals,
        ANSWERS,
        "an ordinal lies inside the table of its kind in the manifest",
        "count from 0 in the order of the manifest",
    ),
    code(
        "reasons",
        answers::reasons,
        ANSWERS,
        "every statement but EXPIRES gives a reason of the manifest",
        "count reasons from 0 in the order of the manifest",
    ),
    code(
        "since",
        answers::since,
        ANSWERS,
        "`since` is a date that is not after today",
        "take the latest `since` of the facts that decide; LINLI_NO_DATE where nobody knows a day",
    ),
    code(
        "until",
        answers::until,
        ANSWERS,
        "`until` is a date after today, and an EXPIRES has one",
        "leave out what is over; nothing is said beyond LINLI_DATE_LAST",
    ),
    code(
        "members",
        answers::members,
        ANSWERS,
        "members that a kind does not use are LINLI_NO_DATE or 0",
        "begin every record from one with nothing in it",
    ),
    code(
        "twice",
        answers::twice,
        ANSWERS,
        "at most one MEMBERSHIP per group and no two equal statements about one resident",
        "decide first, then say it once",
    ),
    code(
        "absent",
        batches::absent,
        RULES,
        "where the bitmap says that a row has no value, its element may be anything",
        "look at the bitmap before the value and before `since`",
    ),
    code(
        "encodings",
        batches::encodings,
        RULES,
        "a column may have one element for all rows, and no bitmap or dates where there is nothing to say",
        "heed LINLI_COL_CONSTANT, and offsets that are 0, for every column",
    ),
    code(
        "larger_batch",
        batches::larger_batch,
        RULES,
        "header and columns of a batch may be larger than this version's",
        "step by `column_size` from `columns_off`",
    ),
    code(
        "wrong_batch",
        batches::wrong_batch,
        RULES,
        "a batch that breaks the interface is refused with LINLI_E_INVALID",
        "check magic, version, counts, types and offsets once per call",
    ),
    code(
        "says_why",
        batches::says_why,
        RULES,
        "a call that fails says why through `error` first",
        "call `call->error` before you return a status",
    ),
    code(
        "read_only",
        batches::read_only,
        RULES,
        "the plugin only reads the batch",
        "copy what you want to change",
    ),
    code(
        "in_bounds",
        batches::in_bounds,
        RULES,
        "the plugin reads nothing beyond `total_size`",
        "the last offset of texts is `offsets[rows]`; a bitmap has (rows + 7) / 8 bytes",
    ),
    code(
        "repeat",
        batches::repeat,
        RULES,
        "same bytes in, same bytes out, however often an instance is asked",
        "keep no state between calls",
    ),
    code(
        "instances_agree",
        batches::instances_agree,
        RULES,
        "same bytes in, same bytes out, whichever instance is asked",
        "keep no global state",
    ),
    code(
        "alone",
        batches::alone,
        RULES,
        "the answer about a resident depends on that resident's row alone",
        "carry nothing over from one row to the next",
    ),
    code(
        "sink",
        sinks::sink,
        RULES,
        "the plugin writes `items[len]` below `cap`, and calls `grow` when it is full",
        "compare `len` with `cap` before every record",
    ),
    code(
        "grow",
        sinks::grow,
        RULES,
        "`items` may have moved after `grow`",
        "read `items` from the sink for every record",
    ),
    code(
        "full",
        sinks::full,
        RULES,
        "where `grow` returns LINLI_E_FULL the call does, too",
        "return the status of `grow`",
    ),
    code(
        "item_size",
        sinks::item_size,
        RULES,
        "records lie `item_size` apart",
        "refuse another `item_size` with LINLI_E_INVALID, or step by it",
    ),
    code(
        "cancel",
        sinks::cancel,
        RULES,
        "a call that is told to stop returns LINLI_E_CANCELLED soon",
        "read `*call->cancel` every 64 residents",
    ),
    code(
        "other_thread",
        life::other_thread,
        RULES,
        "calls of one instance come from different threads",
        "keep nothing of an instance in thread-local variables",
    ),
    code(
        "concurrent",
        life::concurrent,
        RULES,
        "several instances are called at the same time",
        "keep no global state, and no lock that a call waits for",
    ),
    code(
        "memory",
        life::memory,
        RULES,
        "calls leave no memory behind",
        "free what a call allocates before it returns",
    ),
    code(
        "instances",
        life::instances,
        &["create"],
        "`destroy` frees everything that `create` made",
        "free it there",
    ),
    code(
        "descriptors",
        life::descriptors,
        RULES,
        "nothing stays open after `destroy`",
        "rules need no files; close what `create` opened",
    ),
    code(
        "threads",
        life::threads,
        RULES,
        "no thread runs on after `destroy`, and none runs without LINLI_P_THREADS",
        "join every thread in `destroy`",
    ),
    code(
        "system",
        life::system,
        RULES,
        "rules do no I/O: no file, network, output, environment, process",
        "compute from the batch alone; write to the log through `host->log`",
    ),
    code(
        "text",
        life::text,
        RULES,
        "texts are UTF-8, and log levels LINLI_LOG_DEBUG to LINLI_LOG_ERROR",
        "give texts with their length, without a part of a character",
    ),
    code(
        "private",
        life::private,
        RULES,
        "no text to the log or about an error holds a resident's data",
        "say which rule, not which value",
    ),
    code(
        "in_process",
        hosted::in_process,
        ACCEPTABLE,
        "the host accepts every answer, with a deadline, in its own process",
        "see the message: the host names the record",
    ),
    code(
        "scenarios",
        hosted::scenarios,
        &["in_process"],
        "the rules agree with `scenarios.txt`",
        "correct the rules or the table",
    ),
    code(
        "child",
        hosted::child,
        &["in_process", "read_only", "system", "descriptors", "threads"],
        "in a process of its own, without environment, files and network, it answers as in this one",
        "compute from the batch alone",
    ),
];
