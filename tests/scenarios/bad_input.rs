//! Bad input: each thing that can be wrong gives a clear error or a dead letter, and nothing is lost: after the cause is
//! gone, a run gives the whole output.

use crate::dead_letter;
use crate::small_disk::SmallDisk;
use serde_json::{Value, json};
use std::time::Duration;
use wasmill_tests::compare::same_records;
use wasmill_tests::components;
use wasmill_tests::folder::{Folder, RUN_LIMIT};
use wasmill_tests::process::Signal;
use wasmill_tests::settings;
use wasmill_tests::wait::until;

/// How long the first output may take.
const FIRST_LIMIT: Duration = Duration::from_secs(60);

/// A pipeline from `in.jsonl` to `out`; `more` are further tables.
fn pipeline(source: &str, from: &str, more: &str) -> String {
    format!(
        r#"name = "bad-input"
checkpoint_interval = "50ms"

[sources.in]
connector = "file"
path = "in.jsonl"
{source}

[sinks.out]
from = "{from}"
connector = "file"
path = "out"

{more}
"#
    )
}

const DEAD_LETTERS: &str = "[dead_letters]\nconnector = \"file\"\npath = \"dead\"\n";

fn good(ids: impl IntoIterator<Item = i64>) -> Vec<Value> {
    ids.into_iter().map(|id| json!({"id": id, "at": id * 1_000, "amount": 1})).collect()
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
    let folder = Folder::new();
    folder.write("pipeline.toml", pipeline("formt = \"json\"", "in", "[steps.a]\nform = \"in\"\n"));
    let ended = folder.run("pipeline.toml").args(["--until-end"]).end().expect_code(78);
    let ended = ended.expect_error(&["pipeline.toml:7", "formt", "`format`", "form", "`from`"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_cycle_is_refused_with_the_steps_in_it() {
    let folder = Folder::new();
    let steps = "[steps.a]\nfrom = \"b\"\nselect = { x = \"x\" }\n[steps.b]\nfrom = \"a\"\nselect = { x = \"x\" }\n";
    folder.write("pipeline.toml", pipeline("", "b", steps));
    folder.run("pipeline.toml").end().expect_code(78).expect_error(&["cycle", "a reads b reads a"]);
}

#[test]
fn a_join_of_what_is_not_there_or_never_equal_is_refused() {
    let folder = Folder::new();
    let sources = "[sources.people]\nconnector = \"file\"\npath = \"people.jsonl\"\nformat = \"debezium\"\nschema = { id = \"text\" }\n";
    let join = |join: &str| {
        format!("{sources}[steps.a]\nfrom = \"in\"\n{join}\n[steps.b]\nfrom = \"a\"\nselect = {{ x = \"lefd.x\" }}\n")
    };
    let check = |steps: &str, expected: &[&str]| {
        folder.write("pipeline.toml", pipeline("schema = { id = \"s64\" }", "b", steps));
        folder.wasmill(["check", "pipeline.toml"]).end().expect_code(78).expect_error(expected);
    };
    check(&join("join = { with = \"poeple\", on = \"id\", as_of = \"latest\" }"), &["`people`", "steps.a.join.with"]);
    check(
        &join("join = { with = \"people\", on = \"id\", as_of = \"latest\" }"),
        &["step `b` reads the field `lefd.x`", "`left.lefd.x` or `right.lefd.x`"],
    );
    let steps = join("join = { with = \"people\", on = \"id\", as_of = \"latest\" }").replace("lefd.x", "left.x");
    check(&steps, &["step `a`", "`id` of the left input is s64", "`id` of the right one is text", "never equal"]);
    let steps = steps.replace("on = \"id\"", "on = \"name\"").replace("as_of", "type = \"left\", as_of");
    check(
        &steps.replace("[steps.b]", "where = \"left.id = 'x'\"\n[steps.b]"),
        &["`left.id` is s64, and is compared with 'x'"],
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let folder = Folder::new();
    let steps = "[steps.a]\nfrom = \"nowhere\"\nplugin = \"./missing.wasm\"\nwindow = { tumbling = \"5\" }\n";
    folder.write("pipeline.toml", pipeline("event_time = { delay = 5 }", "ni", steps));
    let ended = folder.wasmill(["check", "pipeline.toml"]).end().expect_code(78);
    ended.expect_error(&["nowhere", "missing.wasm", "tumbling", "delay", "`in`"]);
}

#[test]
fn a_pipeline_file_that_is_not_there_is_named() {
    let folder = Folder::new();
    let ended = folder.run("nowhere.toml").end().expect_error(&["nowhere.toml"]);
    assert!(matches!(ended.code, Some(64 | 78)), "{}", ended.tails());
}

#[test]
fn an_input_file_that_is_not_there_is_named() {
    let folder = Folder::new();
    folder.write("pipeline.toml", pipeline("", "in", ""));
    let ended = folder.run("pipeline.toml").args(["--until-end"]).end().expect_error(&["in.jsonl"]);
    assert_ne!(ended.code, Some(0), "{}", ended.tails());
    folder.write_lines("in.jsonl", &good(1..=10));
    folder.run("pipeline.toml").until_end();
    same_records("out", &folder.records("out"), &good(1..=10));
}

/// Runs with a plugin file that is not one, sees it refused, and then with one that is.
fn a_wrong_plugin(content: Option<&[u8]>, texts: &[&str]) {
    let folder = Folder::new();
    folder.write_lines("in.jsonl", &good(1..=10));
    folder.write("pipeline.toml", pipeline("", "step", "[steps.step]\nfrom = \"in\"\nplugin = \"./plugin.wasm\"\n"));
    if let Some(content) = content {
        folder.write("plugin.wasm", content);
    }
    for arguments in [["check", "pipeline.toml"], ["run", "pipeline.toml"]] {
        let ended = folder.wasmill(arguments).end().expect_code(78).expect_error(&["plugin.wasm"]).expect_error(texts);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.tails());
    }
    std::fs::copy(settings::plugin("misbehaving"), folder.path("plugin.wasm")).expect("a plugin can be copied");
    folder.run("pipeline.toml").until_end();
    same_records("out", &folder.records("out"), &good(1..=10));
}

#[test]
fn a_missing_plugin_is_named() {
    a_wrong_plugin(None, &["no file", "build"]);
}

#[test]
fn a_component_of_another_world_is_refused_with_what_it_exports_and_what_is_missing() {
    a_wrong_plugin(Some(&components::of_another_world()), &["wasi:cli/run@0.2.0", "wasmill:plugin/lifecycle"]);
}

#[test]
fn a_core_module_without_a_wit_section_is_refused_with_what_to_do() {
    a_wrong_plugin(Some(&components::core_module()), &["component"]);
}

#[test]
fn a_truncated_component_is_refused() {
    let whole = std::fs::read(settings::plugin("misbehaving")).expect("the plugin is built");
    a_wrong_plugin(Some(&whole[..whole.len() / 2]), &[]);
}

#[test]
fn a_file_that_is_no_webassembly_is_refused() {
    a_wrong_plugin(Some(b"#!/bin/sh\necho hello\n"), &[]);
}

#[test]
fn a_step_that_needs_event_time_refuses_a_file_without_any_before_it_reads_a_line() {
    let folder = Folder::new();
    folder.write("in.jsonl", "");
    let step =
        "[steps.step]\nfrom = \"in\"\nkey = \"id\"\nwindow = { rolling = \"10s\" }\naggregate = { n = \"count()\" }";
    folder.write("pipeline.toml", pipeline("", "step", step));
    let ended = folder.wasmill(["check", "pipeline.toml"]).end().expect_code(78);
    ended.expect_error(&["`in`", "`step`", "event_time"]);
}

/// Input with one bad line in the middle: it goes to the dead letters with a reason that holds `texts`; without dead
/// letters the pipeline stops before it with exit code 65, and a later run that may drop it gives the rest.
fn a_bad_record(source: &str, step: &str, bad: &str, texts: &[&str]) {
    let folder = Folder::new();
    let mut lines: Vec<String> = good(1..=300).iter().map(Value::to_string).collect();
    lines.insert(200, bad.to_owned());
    folder.write("in.jsonl", lines.join("\n") + "\n");
    let (from, step) = if step.is_empty() {
        ("in", String::new())
    } else {
        ("step", format!("[steps.step]\nfrom = \"in\"\n{step}\n"))
    };
    folder.write("apart.toml", pipeline(source, from, &format!("{step}{DEAD_LETTERS}")));
    folder.run_in("apart.toml", "data-apart").until_end();
    let all = folder.records("out");
    assert_eq!(folder.lines("dead").len(), 1);
    let letter = &folder.records("dead")[0];
    assert_eq!(dead_letter::value(letter), bad);
    for text in texts {
        assert!(dead_letter::reason(letter).contains(text), "`{}` does not say `{text}`", dead_letter::reason(letter));
    }

    std::fs::remove_dir_all(folder.path("out")).expect("there was output");
    folder.write("stop.toml", pipeline(source, from, &step));
    let ended = folder.run("stop.toml").args(["--until-end"]).end().expect_code(65);
    let byte: usize = lines[..200].iter().map(|it| it.len() + 1).sum();
    ended.expect_error(texts).expect_error(&["in.jsonl", &format!("byte {byte}"), "dead_letters"]);
    let before = folder.lines("out").len();
    println!("{before} records came out before the stop");
    let ended = folder.run("stop.toml").args(["--until-end"]).end().expect_code(65);
    ended.expect_error(texts);
    folder.run("stop.toml").set("bad_records", "drop").until_end();
    same_records("out", &folder.records("out"), &all);
}

#[test]
fn a_line_that_is_not_json_is_kept_apart_or_stops_the_pipeline() {
    a_bad_record("event_time = { field = \"at\" }", "", "{\"id\": 7, \"at\":", &["JSON"]);
}

#[test]
fn a_line_that_is_no_object_is_kept_apart_or_stops_the_pipeline() {
    a_bad_record("event_time = { field = \"at\" }", "", "[1, 2]", &["object"]);
}

#[test]
fn a_field_of_another_kind_is_kept_apart_or_stops_the_pipeline() {
    let step = "key = \"id\"\nwindow = { rolling = \"10s\" }\naggregate = { spent = \"sum(amount)\" }";
    let bad = "{\"id\": 1, \"at\": 200000, \"amount\": \"much\"}";
    a_bad_record(
        "event_time = { field = \"at\" }\nschema = { amount = \"s64\" }",
        step,
        bad,
        &["amount", "much", "s64"],
    );
}

#[test]
fn a_record_without_its_key_is_kept_apart_or_stops_the_pipeline() {
    let step = "key = \"id\"\nwindow = { rolling = \"10s\" }\naggregate = { n = \"count()\" }";
    a_bad_record("event_time = { field = \"at\" }", step, "{\"at\": 200000, \"amount\": 1}", &["id"]);
}

#[test]
fn a_record_that_lacks_what_a_plugin_requires_is_kept_apart_or_stops_the_pipeline() {
    let step = format!("plugin = \"{}\"", settings::plugin("misbehaving").display());
    a_bad_record(
        "event_time = { field = \"at\" }",
        &step,
        "{\"id\": \"seven\", \"at\": 200000}",
        &["id", "seven", "s64"],
    );
}

/// The year 300,000,000 does not fit 64 bits of milliseconds, and 292,000,000 would leave no room for a window's end.
#[test]
fn a_time_of_the_year_300_000_000_is_kept_apart_and_moves_no_watermark() {
    let step = "key = \"id\"\nwindow = { tumbling = \"1h\" }\naggregate = { n = \"count()\" }";
    for at in ["9467077996800000000", "9200000000000000000", "9223372036854775807", "-9223372036854775808"] {
        let bad = format!("{{\"id\": 1, \"at\": {at}, \"amount\": 1}}");
        a_bad_record("event_time = { field = \"at\" }", step, &bad, &["at"]);
    }
}

#[test]
fn a_data_directory_in_use_is_refused_with_its_holder_and_free_after_it() {
    let folder = Folder::new();
    folder.write(
        "pipeline.toml",
        "name = \"held\"\ncheckpoint_interval = \"50ms\"\n[sources.in]\nconnector = \"generator\"\nkind = \"orders\"\nrate = 500\ncount = 100000000\n[sinks.out]\nfrom = \"in\"\nconnector = \"file\"\npath = \"out\"\n",
    );
    let mut first = folder.run("pipeline.toml").start();
    until("output", FIRST_LIMIT, || !folder.lines("out").is_empty() || !first.is_running());
    let ended = folder.run("pipeline.toml").end();
    let holder = format!("process {}", first.pid());
    let ended = ended.expect_error(&["data", "in use", &holder, "--data-dir"]);
    assert!(matches!(ended.code, Some(70 | 78)), "{}", ended.tails());
    assert!(first.is_running(), "the holder goes on");
    first.signal(Signal::Terminate);
    first.wait(RUN_LIMIT).expect_code(0);
    let before = folder.lines("out");
    let count = before.len() as i64 + 100;
    folder.run("pipeline.toml").set("sources.in.count", count).until_end();
    let after = folder.lines("out");
    assert_eq!(after.len() as i64, count, "the next one goes on where the first ended");
    assert_eq!(after.iter().collect::<std::collections::BTreeSet<_>>().len(), after.len(), "and repeats nothing");
}

/// A pipeline with some hundred KiB of state and some MiB of output; `small` of the two folders is on a disk of `size`.
fn a_full_disk(small: &str, size: &str) {
    let folder = Folder::new();
    let Some(disk) = SmallDisk::mount(folder.path(small), size) else { return };
    let records: Vec<Value> = (1..=20_000).map(|id| json!({"id": id, "at": id, "note": "x".repeat(100)})).collect();
    folder.write_lines("in.jsonl", &records);
    let step =
        "[steps.step]\nfrom = \"in\"\nkey = \"id\"\nwindow = { rolling = \"1h\" }\naggregate = { n = \"count()\" }\n";
    folder.write("pipeline.toml", pipeline("event_time = { field = \"at\" }", "step", step));
    // At the end of time the windows would close, and there would be no state to store.
    let ended = folder.run("pipeline.toml").args(["--available-now"]).end().expect_code(70);
    let stderr = ended.stderr.to_lowercase();
    assert!(stderr.contains("no room") || stderr.contains("no space"), "{}", ended.tails());
    assert!(
        ended.stderr.contains(&folder.path(small).display().to_string()) || ended.stderr.contains(&format!("{small}/")),
        "{}",
        ended.tails()
    );
    let before = folder.lines("out").len();
    assert!(before < records.len(), "the disk was too large for the test");
    disk.grow("256m");
    folder.run("pipeline.toml").until_end();
    let expected: Vec<Value> = records
        .iter()
        .map(|it| {
            let mut row = it.clone();
            row["n"] = json!(1);
            row
        })
        .collect();
    same_records("out", &folder.records("out"), &expected);
}

#[test]
fn a_full_disk_under_the_state_stops_the_pipeline_and_loses_nothing() {
    a_full_disk("data", "128k");
}

#[test]
fn a_full_disk_under_the_output_stops_the_pipeline_and_loses_nothing() {
    a_full_disk("out", "1m");
}
