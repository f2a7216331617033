//! A plugin that does what no plugin should, in each of its ways: the pipeline ends with the right output and the right dead
//! letters, and the host keeps its memory.

use crate::dead_letter;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use wasmill_tests::compare::same_records;
use wasmill_tests::folder::{Folder, RUN_LIMIT};
use wasmill_tests::json::int;
use wasmill_tests::settings;
use wasmill_tests::wait::{Deadline, pause};

/// Records of a run.
const RECORDS: i64 = 2_000;
/// The plugin misbehaves on ids that are multiples of this.
const EVERY: i64 = 700;
/// What the host's memory may grow by while a plugin leaks, on top of one instance's limit.
const SLACK_BYTES: u64 = 96 << 20;
/// The limit of an instance's memory in the tests of memory.
const MEMORY_BYTES: u64 = 64 << 20;

/// A folder with `records` records in `in.jsonl` and a pipeline that sends them through the plugin.
fn folder(records: i64, config: &str, limits: &str) -> Folder {
    let folder = Folder::new();
    let records: Vec<Value> = (1..=records).map(|id| json!({"id": id, "at": id, "note": "x"})).collect();
    folder.write_lines("in.jsonl", &records);
    folder.write(
        "pipeline.toml",
        format!(
            r#"
name = "misbehaving"
checkpoint_interval = "100ms"
batch_rows_max = 256

[sources.records]
connector = "file"
path = "in.jsonl"
event_time = {{ field = "at" }}

[steps.plugin]
from = "records"
plugin = "{plugin}"
config = {config}
limits = {limits}

[sinks.passed]
from = "plugin"
connector = "file"
path = "passed"

[sinks.made]
from = "plugin.made"
connector = "file"
path = "made"

[dead_letters]
connector = "file"
path = "dead"
"#,
            plugin = settings::plugin("misbehaving").display(),
        ),
    );
    folder
}

fn ids(records: &[Value]) -> Vec<Value> {
    records.iter().map(|it| json!(int(it, "id"))).collect()
}

/// Runs the plugin in `mode` and asserts that what it misbehaved on is in the dead letters, with a reason that says one of
/// `reasons`, and everything else passed.
fn dead_letters_what_fails(mode: &str, reasons: &[&str]) {
    // Only the loop is to meet the deadline, however slow the machine is.
    let limits = if mode == "loop" { r#"{ call = "500ms" }"# } else { r#"{ call = "30s", memory = "48MiB" }"# };
    let folder = folder(RECORDS, &format!(r#"{{ mode = "{mode}", when = {{ every = {EVERY} }} }}"#), limits);
    folder.run("pipeline.toml").until_end();
    let (bad, good): (Vec<i64>, Vec<i64>) = (1..=RECORDS).partition(|it| it % EVERY == 0);
    let values = |ids: &[i64]| ids.iter().map(|it| json!(it)).collect::<Vec<_>>();
    same_records("passed", &ids(&folder.records("passed")), &values(&good));
    same_records("made", &folder.records("made"), &[]);
    let dead = folder.records("dead");
    let found: Vec<Value> = dead.iter().map(|it| json!(dead_letter::id(it))).collect();
    same_records("dead letters", &found, &values(&bad));
    for letter in &dead {
        let reason = dead_letter::reason(letter);
        assert!(reasons.iter().any(|it| reason.contains(it)), "{mode}: `{reason}` says none of {reasons:?}");
    }
}

/// Runs the plugin in `mode` and asserts that everything passed.
fn passes_everything(mode: &str) -> Folder {
    let folder = folder(RECORDS, &format!(r#"{{ mode = "{mode}", when = {{ every = {EVERY} }} }}"#), "{}");
    folder.run("pipeline.toml").until_end();
    let all: Vec<Value> = (1..=RECORDS).map(|it| json!(it)).collect();
    same_records("passed", &ids(&folder.records("passed")), &all);
    same_records("dead letters", &folder.records("dead"), &[]);
    folder
}

/// One test for each mode, so that each shows by name.
macro_rules! dead_letters {
    ($($name:ident: $mode:literal, $reasons:expr;)*) => {
        $(#[test]
        fn $name() {
            dead_letters_what_fails($mode, &$reasons);
        })*
        /// Modes that dead-letter the rows that they are for.
        const DEAD_LETTERED: &[&str] = &[$($mode),*];
    };
}

dead_letters! {
    a_trap_costs_only_the_records_that_trap: "trap", ["unreachable"];
    an_endless_loop_ends_at_its_deadline: "loop", ["500 ms", "500ms", "deadline"];
    an_endless_recursion_costs_only_its_record: "recurse", ["stack"];
    a_guest_that_takes_all_memory_is_refused_it: "grow", ["memory", "unreachable", "alloc"];
    an_error_is_the_reason_of_its_dead_letter: "err", ["cannot take id"];
    a_panic_message_is_the_reason_of_its_dead_letter: "panic", ["cannot stand id"];
    a_rejected_record_has_the_plugins_reason: "reject", ["not wanted"];
    rejecting_a_record_twice_is_a_wrong_answer: "reject-twice", ["reject"];
    an_origin_that_is_no_row_is_a_wrong_answer: "bad-origin", ["origin"];
    a_port_that_was_not_declared_is_a_wrong_answer: "bad-port", ["port"];
    text_that_is_not_utf8_is_a_wrong_answer: "bad-utf8", ["UTF-8"];
    offsets_that_do_not_begin_at_0_are_a_wrong_answer: "bad-offsets", ["offset"];
    a_column_of_another_length_is_a_wrong_answer: "bad-length", ["row"];
    json_that_ends_too_early_is_a_wrong_answer: "bad-json", ["JSON"];
    a_column_of_another_kind_is_a_wrong_answer: "wrong-kind", ["kind", "text", "json"];
    more_rows_than_allowed_are_a_wrong_answer: "too-many-rows", ["rows"];
    more_bytes_than_allowed_are_a_wrong_answer: "too-many-bytes", ["bytes", "memory", "MiB"];
}

#[test]
fn a_plugin_without_a_mode_passes_everything() {
    passes_everything("none");
}

#[test]
fn counting_a_metric_passes_everything() {
    passes_everything("count");
}

#[test]
fn a_flood_of_log_lines_is_cut_and_costs_no_record() {
    let folder =
        folder(RECORDS, &format!(r#"{{ mode = "log-flood", when = {{ every = {EVERY} }} }}"#), "{ log_lines = 10 }");
    let ended = folder.run("pipeline.toml").until_end();
    let all: Vec<Value> = (1..=RECORDS).map(|it| json!(it)).collect();
    same_records("passed", &ids(&folder.records("passed")), &all);
    let lines = ended.stderr.lines().count();
    assert!(lines < 200, "{lines} lines in the log");
}

#[test]
fn a_plugin_that_does_not_open_is_refused_with_its_reason() {
    let folder = folder(1, r#"{ mode = "fail-open" }"#, "{}");
    let ended = folder.run("pipeline.toml").args(["--until-end"]).end();
    ended.expect_code(78).expect_error(&["plugin", "this plugin was told not to open"]);
    assert_eq!(folder.lines("passed"), [""; 0]);
}

#[test]
fn a_plugin_that_fails_on_every_record_stops_the_pipeline() {
    let folder = folder(20_000, r#"{ mode = "panic" }"#, "{}");
    let ended = folder.run("pipeline.toml").args(["--until-end"]).end();
    assert_ne!(ended.code, Some(0), "{}", ended.tails());
    let dead = folder.lines("dead").len();
    assert!(dead < 10_000, "{dead} dead letters of a plugin that never works\n{}", ended.tails());
    let ended = ended.expect_error(&["plugin", "cannot stand id"]);
    println!("exit code {:?} after {dead} dead letters", ended.code);

    // Nothing is lost: with a plugin that works the rest comes out.
    folder.run("pipeline.toml").set("steps.plugin.config.mode", "none").until_end();
    let passed = ids(&folder.records("passed")).into_iter();
    let dead = folder.records("dead");
    let all: Vec<Value> = passed.chain(dead.iter().map(|it| json!(dead_letter::id(it)))).collect();
    same_records("all", &all, &(1..=20_000).map(|it| json!(it)).collect::<Vec<_>>());
}

/// Runs to the end while looking at the host's memory; returns the most that it had, bytes.
fn peak_of(folder: &Folder) -> u64 {
    let mut run = folder.run("pipeline.toml").args(["--until-end", "--workers", "1"]).start();
    let limit = Deadline::after(RUN_LIMIT);
    let mut peak = 0;
    while run.is_running() && !limit.is_over() {
        peak = peak.max(run.resident_bytes().unwrap_or(0));
        pause(Duration::from_millis(2));
    }
    run.wait(Duration::from_secs(1)).expect_code(0);
    peak
}

#[test]
fn memory_stays_flat_while_a_plugin_leaks() {
    let limits = r#"{ memory = "64MiB" }"#;
    let small = |config: &str| {
        let folder = folder(12_000, config, limits);
        let text = std::fs::read_to_string(folder.path("pipeline.toml")).expect("the pipeline was written");
        folder.write("pipeline.toml", text.replace("batch_rows_max = 256", "batch_rows_max = 16"));
        folder
    };
    let calm = peak_of(&small(r#"{ mode = "none" }"#));
    // A MiB in each of 750 calls, which is ten times what one instance may have.
    let leaking = small(r#"{ mode = "leak" }"#);
    let peak = peak_of(&leaking);
    println!("peak {} MiB, and {} MiB without the leak", peak >> 20, calm >> 20);
    assert!(peak < calm + MEMORY_BYTES + SLACK_BYTES, "{} MiB, and {} MiB without the leak", peak >> 20, calm >> 20);
    let passed: BTreeSet<i64> = leaking.records("passed").iter().map(|it| int(it, "id")).collect();
    assert_eq!(passed.len(), 12_000, "a leak costs no record");
    same_records("dead letters", &leaking.records("dead"), &[]);
}

#[test]
fn memory_stays_flat_while_a_plugin_takes_all_it_can_get() {
    let limits = r#"{ memory = "64MiB" }"#;
    let calm = peak_of(&folder(RECORDS, r#"{ mode = "none" }"#, limits));
    let growing = folder(RECORDS, r#"{ mode = "grow", when = { every = 100 } }"#, limits);
    let peak = peak_of(&growing);
    println!("peak {} MiB, and {} MiB without growing", peak >> 20, calm >> 20);
    assert!(peak < calm + MEMORY_BYTES + SLACK_BYTES, "{} MiB, and {} MiB without growing", peak >> 20, calm >> 20);
    assert_eq!(growing.lines("dead").len() as i64, RECORDS / 100);
}

#[test]
fn each_mode_of_the_plugin_has_a_test() {
    let schema = settings::repository().join("example-plugins/misbehaving/src/config.schema.json");
    let schema = std::fs::read_to_string(&schema).unwrap_or_else(|error| panic!("{}: {error}", schema.display()));
    let schema: Value = wasmill_tests::json::parse(&schema);
    let modes = schema["properties"]["mode"]["enum"].as_array().expect("the schema lists the modes");
    let tested = ["none", "leak", "log-flood", "count", "fail-open"];
    for mode in modes {
        let mode = mode.as_str().expect("a mode is a text");
        assert!(DEAD_LETTERED.contains(&mode) || tested.contains(&mode), "no test of mode `{mode}`");
    }
}
