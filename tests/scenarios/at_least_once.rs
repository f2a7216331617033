//! At least once: whatever the process dies of, no record that was read is missing from the output.

use serde_json::json;
use std::collections::BTreeSet;
use wasmill_tests::folder::Folder;
use wasmill_tests::json::{int, parse};
use wasmill_tests::kafka::{Isolation, shared, unique};
use wasmill_tests::random::Random;
use wasmill_tests::settings;

const RECORDS: u64 = 200_000;
const PARTITIONS: i32 = 3;
/// Lives that end early. What is read after the last of them is written by one that nothing disturbs.
const LIVES: u64 = 6;
/// The state of an epoch is on the disk, and then committed: what it counts must be written by then, and by then only.
const FAILPOINTS: [&str; 4] = ["stage.done", "commit.before-send", "current.after-rename", "commit.after-commit"];

fn nothing_is_missing(produce: &str) {
    let mut random = Random::new(settings::seed(produce));
    let (broker, folder) = (shared(), Folder::new());
    let topic = broker.topic("at-least-once", PARTITIONS);
    let records: Vec<_> = (0..RECORDS).map(|it| json!({ "id": it, "fill": "x".repeat(100) })).collect();
    folder.write_lines("in/a.jsonl", &records);
    let (name, brokers) = (unique("at-least-once"), broker.address());
    folder.write(
        "pipeline.toml",
        format!(
            r#"
name = "{name}"
delivery = "at-least-once"
checkpoint_interval = "5ms"
batch_rows_max = 200

[sources.in]
connector = "file"
path = "in"

[sinks.out]
connector = "kafka"
from = "in"
brokers = "{brokers}"
topic = "{topic}"
produce = "{produce}"
"#
        ),
    );
    let mut kills = 0;
    for _ in 0..LIVES {
        let point = FAILPOINTS[random.within(0..FAILPOINTS.len() as u64) as usize];
        let spec = format!("{point}:{}", random.within(1..4));
        println!("to die at {spec}");
        let ended = folder.run("pipeline.toml").args(["--until-end"]).dying_at(&spec).end();
        if !ended.was_killed() {
            ended.expect_code(0);
            break;
        }
        kills += 1;
    }
    assert!(kills >= 3, "the input is too small: only {kills} processes were killed");
    folder.run("pipeline.toml").until_end();
    let written = broker.read(&topic, Isolation::Committed);
    let ids: BTreeSet<i64> = written.iter().map(|it| int(&parse(it.text()), "id")).collect();
    let missing: Vec<i64> = (0..RECORDS as i64).filter(|it| !ids.contains(it)).take(5).collect();
    assert!(missing.is_empty(), "of {RECORDS} records {} are there; missing: {missing:?}, ...", ids.len());
}

#[test]
fn no_record_is_missing_whenever_the_process_is_killed() {
    nothing_is_missing("native");
}

#[test]
fn by_librdkafka_too_no_record_is_missing_whenever_the_process_is_killed() {
    nothing_is_missing("librdkafka");
}
