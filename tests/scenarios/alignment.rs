//! Partitions and sources that are read side by side in event time, however fast each of them is.

use serde_json::{Value, json};
use wasmill_tests::compare::same_records;
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse, text};

const DRIFT_MS: i64 = 5_000;
const BATCH: i64 = 20;
const FAST_STEP_MS: i64 = 1_000;
const SLOW_END_MS: i64 = 20_000;

/// 20 seconds in 2,000 records, and 200 in 200.
fn records() -> [Vec<Value>; 2] {
    let record = |name: &str, at: i64| json!({"name": name, "at": at});
    [
        (0..SLOW_END_MS / 10).map(|it| record("slow", it * 10)).collect(),
        (0..200).map(|it| record("fast", it * FAST_STEP_MS)).collect(),
    ]
}

fn source(name: &str, path: &str, drift: &str) -> String {
    format!(
        "[sources.{name}]\nconnector = \"file\"\npath = \"{path}\"\n\
         event_time = {{ field = \"at\", idle_timeout = \"never\"{drift} }}\n\
         [sinks.{name}]\nfrom = \"{name}\"\nconnector = \"stdout\"\n"
    )
}

/// How far the fast records were read ahead of the slow ones, at most, while there were any left.
fn drift(lines: &[Value]) -> i64 {
    let (mut slow, mut ahead) = (0, 0);
    for line in lines {
        match text(line, "name") {
            "slow" => slow = int(line, "at"),
            _ if slow + 10 < SLOW_END_MS => ahead = ahead.max(int(line, "at") - slow),
            _ => {}
        }
    }
    ahead
}

#[test]
fn a_fast_partition_is_read_no_further_ahead_of_a_slow_one_than_it_may() {
    let folder = Folder::new();
    let [slow, fast] = records();
    folder.write_lines("in/0.jsonl", &slow);
    folder.write_lines("in/1.jsonl", &fast);
    let written: Vec<Value> = slow.into_iter().chain(fast).collect();
    let with_drift = format!(", max_drift = \"{DRIFT_MS}ms\"");
    let one = |drift: &str| source("both", "in", drift);
    let two = |drift: &str| source("slow", "in/0.jsonl", drift) + &source("fast", "in/1.jsonl", drift);
    for sources in [&one as &dyn Fn(&str) -> String, &two] {
        for (bound, workers) in [("", "1"), (&with_drift, "1"), (&with_drift, "2")] {
            let _ = std::fs::remove_dir_all(folder.path("data"));
            folder.write("pipeline.toml", format!("name = \"drift\"\n{}", sources(bound)));
            let run = folder.run("pipeline.toml").args(["--workers", workers]).set("batch_rows_max", BATCH);
            let found: Vec<Value> = run.until_end().stdout.lines().map(parse).collect();
            same_records("all", &found, &written);
            let ahead = drift(&found);
            println!("{workers} workers{bound}: {ahead} ms ahead");
            if workers == "1" {
                // A batch may go past it.
                assert_eq!(ahead <= DRIFT_MS + BATCH * FAST_STEP_MS, !bound.is_empty(), "{ahead} ms ahead");
            }
        }
    }
}
