//! State that does not fit into `memory`: it goes to the disk and the output stays the same, or the pipeline says what does not fit.

use crate::small_disk::SmallDisk;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wasmill_tests::compare::same_records;
use wasmill_tests::folder::{Folder, RUN_LIMIT};
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::wait::{Deadline, pause};

/// What a process takes without any state, and what the allocator and a debug build add, bytes.
const OVERHEAD_BYTES: u64 = 220 << 20;

/// A pipeline from `in.jsonl` through one step to `out`.
fn pipeline(name: &str, memory: &str, step: &str) -> String {
    format!(
        "name = \"{name}\"\ncheckpoint_interval = \"200ms\"\n{memory}\n[sources.in]\nconnector = \"file\"\npath = \"in.jsonl\"\n\
         event_time = {{ field = \"at\" }}\n{step}\n[sinks.out]\nfrom = \"step\"\nconnector = \"file\"\npath = \"out\"\n"
    )
}

fn scratch_is_empty(folder: &Folder, name: &str) -> bool {
    let scratch = folder.path("data").join(name).join("scratch");
    std::fs::read_dir(scratch).is_ok_and(|mut it| it.next().is_none())
}

#[test]
fn duplicates_are_found_among_keys_on_the_disk_and_after_a_restart() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("duplicates on the disk"));
    let mut event = |at: i64| json!({"id": random.within(0..30_000), "at": at});
    let first: Vec<Value> = (0..60_000).map(&mut event).collect();
    let second: Vec<Value> = (60_000..90_000).map(&mut event).collect();
    folder.write_lines("in.jsonl", &first);
    let step = "[steps.step]\nfrom = \"in\"\nkey = \"id\"\ndedupe = { within = \"1h\" }\n";
    folder.write("pipeline.toml", pipeline("once", "memory = \"1MiB\"", step));
    folder.run("pipeline.toml").args(["--available-now"]).end().expect_code(0);
    assert!(scratch_is_empty(&folder, "once"), "scratch space is given back at the end");
    let all: Vec<Value> = first.into_iter().chain(second).collect();
    folder.write_lines("in.jsonl", &all);
    folder.run("pipeline.toml").until_end();
    let mut seen = BTreeSet::new();
    let expected: Vec<Value> = all.into_iter().filter(|it| seen.insert(it["id"].as_u64())).collect();
    same_records("out", &folder.records("out"), &expected);
}

#[test]
fn a_table_that_is_larger_than_memory_answers_from_the_disk_within_the_budget() {
    const ROWS: u64 = 250_000;
    const BUDGET_BYTES: u64 = 16 << 20;
    let folder = Folder::alone();
    let mut random = Random::new(settings::seed("a large table"));
    let note = |id: u64| format!("{id:-<300}");
    let table: Vec<Value> = (0..ROWS).map(|id| json!({"id": id, "note": note(id)})).collect();
    folder.write_lines("table.jsonl", &table);
    let events: Vec<Value> = (0..40_000).map(|at| json!({"id": random.within(0..ROWS * 5 / 4), "at": at})).collect();
    folder.write_lines("in.jsonl", &events);
    let step = "[sources.table]\nconnector = \"file\"\npath = \"table.jsonl\"\nread_first = true\n\
                [steps.step]\nfrom = \"in\"\njoin = { with = \"table\", on = \"id\", type = \"left\", as_of = \"latest\" }\n\
                select = { id = \"left.id\", note = \"right.note\" }\n";
    let memory = format!("memory = \"{BUDGET_BYTES}B\"");
    folder.write("pipeline.toml", pipeline("table", &memory, step));
    let mut run = folder.run("pipeline.toml").args(["--until-end"]).start();
    let (deadline, mut most) = (Deadline::after(RUN_LIMIT), 0);
    while run.is_running() && !deadline.is_over() {
        most = most.max(run.resident_bytes().unwrap_or(0));
        pause(std::time::Duration::from_millis(5));
    }
    run.wait(std::time::Duration::ZERO).expect_code(0);
    println!("{} MiB at most", most >> 20);
    let expected: Vec<Value> = events
        .iter()
        .map(|it| it["id"].as_u64().expect("a number"))
        .map(|id| json!({"id": id, "note": (id < ROWS).then(|| note(id))}))
        .collect();
    same_records("out", &folder.records("out"), &expected);
    assert!(most < BUDGET_BYTES + OVERHEAD_BYTES, "{} MiB", most >> 20);
}

#[test]
fn windows_that_do_not_fit_end_the_pipeline_with_the_step_and_what_to_do() {
    let folder = Folder::new();
    let events: Vec<Value> = (0..20_000).map(|id| json!({"id": id, "at": id})).collect();
    folder.write_lines("in.jsonl", &events);
    let step =
        "[steps.step]\nfrom = \"in\"\nkey = \"id\"\nwindow = { rolling = \"1h\" }\naggregate = { n = \"count()\" }\n";
    folder.write("pipeline.toml", pipeline("wide", "memory = \"256KiB\"", step));
    let ended = folder.run("pipeline.toml").args(["--until-end"]).end().expect_code(70);
    let ended = ended.expect_error(&["step `step`", "windows", "`memory` = 256.0 KiB", "raise `memory`"]);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.tails());
    assert!(folder.lines("out").len() < events.len(), "it ended early");
    // Nothing is lost: with more memory it goes on.
    folder.run("pipeline.toml").set("memory", "64MiB").until_end();
    let expected: Vec<Value> = events
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
fn a_full_disk_of_scratch_space_ends_the_pipeline_and_loses_nothing() {
    let folder = Folder::new();
    let Some(disk) = SmallDisk::mount(folder.path("data/full/scratch"), "1m") else { return };
    let events: Vec<Value> =
        (0..60_000).map(|id| json!({"id": id % 40_000, "at": id, "note": "x".repeat(20)})).collect();
    folder.write_lines("in.jsonl", &events);
    let step = "[steps.step]\nfrom = \"in\"\nkey = \"id\"\ndedupe = { within = \"1h\" }\n";
    folder.write("pipeline.toml", pipeline("full", "memory = \"1MiB\"", step));
    let ended = folder.run("pipeline.toml").args(["--available-now"]).end().expect_code(70);
    ended.expect_error(&["no room in", "scratch", "free some space"]);
    disk.grow("256m");
    folder.run("pipeline.toml").until_end();
    same_records("out", &folder.records("out"), &events[..40_000]);
}
