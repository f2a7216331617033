//! `wasmill run` as a command: run modes, stopping and going on, exit codes, logs.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;
use wasmill_tests::compare::{same_in_order_of_key, same_records};
use wasmill_tests::folder::{Folder, RUN_LIMIT};
use wasmill_tests::json::parse;
use wasmill_tests::process::Signal;
use wasmill_tests::random::Random;
use wasmill_tests::reference::{self, FOLD};
use wasmill_tests::settings;
use wasmill_tests::stream::{Event, events};
use wasmill_tests::wait::until;

/// How long the first output may take.
const FIRST_LIMIT: Duration = Duration::from_secs(60);

/// A generator of `count` records that go on as they are.
fn generated(count: u64, rate: Option<u64>, sink: &str) -> String {
    let rate = rate.map(|it| format!("rate = {it}")).unwrap_or_default();
    format!(
        r#"
name = "generated"
checkpoint_interval = "50ms"

[sources.transactions]
connector = "generator"
kind = "transactions"
seed = 7
count = {count}
partitions = 3
{rate}

[sinks.out]
from = "transactions"
{sink}
"#
    )
}

const FILE_SINK: &str = "connector = \"file\"\npath = \"out\"";
const STDOUT_SINK: &str = "connector = \"stdout\"";

#[test]
fn the_same_seed_makes_the_same_records_on_standard_output() {
    let folder = Folder::new();
    folder.write("pipeline.toml", generated(1_000, None, STDOUT_SINK));
    let first = folder.run_in("pipeline.toml", "data-1").until_end();
    let second = folder.run_in("pipeline.toml", "data-2").args(["--workers", "1"]).until_end();
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let lines = sorted(&first.stdout);
    assert_eq!(lines.len(), 1_000, "{}", first.tails());
    assert_eq!(lines, sorted(&second.stdout));
    for line in &lines {
        assert!(parse(line).is_object(), "{line}");
    }
}

#[test]
fn a_graceful_stop_commits_and_the_next_run_goes_on() {
    let folder = Folder::new();
    folder.write("pipeline.toml", generated(6_000, Some(3_000), FILE_SINK));
    for signal in [Signal::Terminate, Signal::Interrupt] {
        let before = folder.lines("out").len();
        let mut run = folder.run("pipeline.toml").start();
        until("output", FIRST_LIMIT, || folder.lines("out").len() > before || !run.is_running());
        run.signal(signal);
        run.wait(RUN_LIMIT).expect_code(0);
        let after = folder.lines("out").len();
        assert!(before < after && after < 6_000, "{after} of 6000 records after {signal:?}, {before} before");
    }
    folder.run("pipeline.toml").until_end();

    folder.write("whole.toml", generated(6_000, None, STDOUT_SINK));
    let whole = folder.run_in("whole.toml", "data-whole").until_end();
    let expected: Vec<Value> = whole.stdout.lines().map(parse).collect();
    same_records("stopped and gone on", &folder.records("out"), &expected);
}

#[test]
fn running_what_is_there_again_and_again_gives_the_same_as_one_run() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("available-now"));
    let events = events(&mut random, 3_000, 30, 1);
    folder.write(
        "pipeline.toml",
        format!(
            r#"
name = "resumed"

[sources.purchases]
connector = "file"
path = "in.jsonl"
event_time = {{ field = "at", delay = "2s", idle_timeout = "never" }}

[steps.windows]
from = "purchases"
key = "user"
window = {{ tumbling = "10s" }}
aggregate = {FOLD}

[sinks.out]
from = "windows"
connector = "file"
path = "out"
"#
        ),
    );
    folder.write("in.jsonl", "");
    let mut open_after = Vec::new();
    for part in events.chunks(1_000) {
        let mut text = String::new();
        for event in part {
            let _ = writeln!(text, "{}", event.json());
        }
        let mut file = OpenOptions::new().append(true).open(folder.path("in.jsonl")).expect("the input is there");
        file.write_all(text.as_bytes()).expect("the input can grow");
        folder.run("pipeline.toml").args(["--available-now"]).end().expect_code(0);
        open_after.push(folder.lines("out").len());
    }
    let expected = reference::windows(&events, 10_000, 10_000);
    assert!(
        open_after.is_sorted() && open_after[2] < expected.len(),
        "windows stay open: {open_after:?} of {}",
        expected.len()
    );
    folder.run("pipeline.toml").until_end();
    same_in_order_of_key("windows", "user", &folder.records("out"), &expected);

    // A run without anything new changes nothing.
    folder.run("pipeline.toml").until_end();
    same_in_order_of_key("windows after nothing new", "user", &folder.records("out"), &expected);
}

#[test]
fn a_second_run_to_the_end_of_what_grew_adds_only_what_is_new() {
    let folder = Folder::new();
    let line = |id: i64| Event { id, user: "ann".into(), at: id, amount: 1, partition: 0 }.json();
    folder.write(
        "pipeline.toml",
        "name = \"grown\"\n[sources.in]\nconnector = \"file\"\npath = \"in\"\n[sinks.out]\nfrom = \"in\"\nconnector = \"file\"\npath = \"out\"\n",
    );
    let all: Vec<Value> = (1..=30).map(line).collect();
    folder.write_lines("in/a.jsonl", &all[..10]);
    folder.run("pipeline.toml").args(["--available-now"]).end().expect_code(0);
    same_records("the first file", &folder.records("out"), &all[..10]);
    folder.write_lines("in/a.jsonl", &all[..20]);
    folder.write_lines("in/b.jsonl", &all[20..]);
    folder.run("pipeline.toml").args(["--available-now"]).end().expect_code(0);
    same_records("a longer file and a new one", &folder.records("out"), &all);
}

#[test]
fn parts_that_a_reader_took_away_stop_no_later_run() {
    let folder = Folder::new();
    folder.write(
        "pipeline.toml",
        "name = \"taken\"\n[sources.in]\nconnector = \"file\"\npath = \"in\"\n[sinks.out]\nfrom = \"in\"\nconnector = \"file\"\npath = \"out\"\n",
    );
    folder.write_lines("in/a.jsonl", &[json!({"id": 1})]);
    folder.run("pipeline.toml").until_end();
    std::fs::rename(folder.path("out"), folder.path("read")).expect("there is output");
    folder.write_lines("in/b.jsonl", &[json!({"id": 2})]);
    let ended = folder.run("pipeline.toml").until_end();
    assert!(ended.stderr.contains("gone or changed since"), "{}", ended.tails());
    same_records("out", &folder.records("out"), &[json!({"id": 2})]);
}

#[test]
fn records_that_no_step_changed_are_written_byte_for_byte() {
    let folder = Folder::new();
    let lines = ["{ \"b\" : 1.50 ,\"a\":\"\\u00e9\" }", "{\"a\":1e2, \"a\":2}", "{}"];
    folder.write("in.jsonl", lines.join("\n") + "\n");
    folder.write(
        "pipeline.toml",
        "name = \"bytes\"\n[sources.in]\nconnector = \"file\"\npath = \"in.jsonl\"\n[sinks.out]\nfrom = \"in\"\nconnector = \"file\"\npath = \"out\"\n",
    );
    folder.run("pipeline.toml").until_end();
    assert_eq!(folder.lines("out"), lines);
}

#[test]
fn selected_fields_are_written_under_their_names_and_in_their_order() {
    let folder = Folder::new();
    folder.write_lines("in.jsonl", &[json!({"user": "ann", "amount": 5, "card": {"country": "FR"}})]);
    folder.write(
        "pipeline.toml",
        "name = \"select\"\n[sources.in]\nconnector = \"file\"\npath = \"in.jsonl\"\n[sinks.out]\nfrom = \"in\"\nconnector = \"stdout\"\nselect = { where = \"card.country\", who = \"user\", sum = \"amount\" }\n",
    );
    let ended = folder.run("pipeline.toml").until_end();
    assert_eq!(ended.stdout, "{\"where\":\"FR\",\"who\":\"ann\",\"sum\":5}\n", "{}", ended.tails());
}

#[test]
fn json_logs_are_one_object_a_line() {
    let folder = Folder::new();
    folder.write("pipeline.toml", generated(100, None, FILE_SINK));
    let ended = folder.run("pipeline.toml").args(["--log-format", "json"]).until_end();
    assert!(!ended.stderr.trim().is_empty(), "a run says something");
    for line in ended.stderr.lines() {
        assert!(parse(line).is_object(), "{line}");
    }
    folder.write("wrong.toml", generated(100, None, "connector = \"file\""));
    let ended = folder.run("wrong.toml").args(["--log-format", "json"]).end().expect_code(78);
    for line in ended.stderr.lines() {
        assert!(parse(line).is_object(), "{line}");
    }
}

#[test]
fn wrong_usage_exits_with_64() {
    let folder = Folder::new();
    folder.write("pipeline.toml", generated(1, None, FILE_SINK));
    let wrong: [&[&str]; 6] = [
        &["run"],
        &["walk", "pipeline.toml"],
        &["run", "pipeline.toml", "--until-the-end"],
        &["run", "pipeline.toml", "--workers", "none"],
        &["run", "pipeline.toml", "--log-format", "xml"],
        &["run", "pipeline.toml", "--until-end", "--available-now"],
    ];
    for arguments in wrong {
        let ended = folder.wasmill(arguments).end();
        assert_eq!(ended.code, Some(64), "{arguments:?}\n{}", ended.tails());
        assert!(!ended.stderr.is_empty(), "{arguments:?} says what is wrong");
    }
    assert!(folder.wasmill(["--help"]).end().expect_code(0).stdout.contains("run"));
}

#[test]
fn check_reads_the_file_and_runs_nothing() {
    let folder = Folder::new();
    folder.write("pipeline.toml", generated(100, None, FILE_SINK));
    folder.wasmill(["check", "pipeline.toml"]).end().expect_code(0);
    assert!(!folder.path("out").exists() && !folder.path(".wasmill").exists(), "checking leaves nothing behind");
    folder.write("wrong.toml", generated(100, None, "connector = \"file\""));
    folder.wasmill(["check", "wrong.toml"]).end().expect_code(78).expect_error(&["wrong.toml", "path"]);
}

#[test]
fn state_is_kept_beside_the_pipeline_file_unless_told_otherwise() {
    let folder = Folder::new();
    folder.write("inner/pipeline.toml", generated(100, None, FILE_SINK));
    folder.wasmill(["run", "inner/pipeline.toml", "--until-end"]).end().expect_code(0);
    assert!(folder.path("inner/.wasmill").is_dir());
    assert_eq!(folder.lines("inner/out").len(), 100, "paths are relative to the pipeline file");
}

#[test]
fn a_setting_on_the_command_line_overrides_the_file() {
    let folder = Folder::new();
    folder.write("pipeline.toml", generated(100, None, FILE_SINK));
    folder.run("pipeline.toml").set("sources.transactions.count", 5).set("sinks.out.path", "elsewhere").until_end();
    assert_eq!((folder.lines("out").len(), folder.lines("elsewhere").len()), (0, 5));
    let ended = folder.run("pipeline.toml").set("sources.transactions.cuont", 5).end();
    ended.expect_code(78).expect_error(&["cuont", "`count`"]);
}
