//! What a window writes does not depend on how its records come together: on batches, workers, or the order of partitions.
//!
//! Runs the real planner and workers with records handed in; see `wasmill::pipeline::rehearsal`.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use wasmill::pipeline::rehearsal::{Given, Rehearsal};
use wasmill_tests::random::Random;

/// How far records of a partition are out of order, ms, and the delay that allows it.
const DELAY_MS: i64 = 400;
const PARTITIONS: i32 = 3;

fn pipeline(step: &str) -> wasmill::config::Pipeline {
    let text = format!(
        "name = \"w\"\n[sources.in]\nconnector = \"generator\"\nkind = \"sensors\"\n\
         event_time = {{ field = \"ts\", delay = \"{DELAY_MS}ms\", idle_timeout = \"never\" }}\n\
         [steps.w]\nfrom = \"in\"\nkey = \"key\"\n{step}\n\
         aggregate = {{ n = \"count()\", sum = \"sum(v)\", last = \"last(v)\", kinds = \"distinct(v)\" }}\n\
         [sinks.out]\nfrom = \"w\"\nconnector = \"stdout\"\n"
    );
    wasmill::config::parse(&text, "w.toml", Path::new(""), &[]).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// Records of each partition, in its order. No two of a key are at the same time: which is the last would be open.
fn records(random: &mut Random) -> Vec<Vec<Value>> {
    let record = |random: &mut Random, partition: i64, at: i64| {
        let time = 1_000_000 + (at * 7 - random.within(0..DELAY_MS as u64 / 10 - 8) as i64) * 10 + partition;
        json!({ "key": format!("k{}", random.within(0..5)), "v": random.within(0..20), "ts": time / 10 * 10 + partition })
    };
    let partition = |random: &mut Random, it: i64| (0..30).map(|at| record(random, it, at)).collect();
    (0..i64::from(PARTITIONS)).map(|it| partition(random, it)).collect()
}

/// What a run writes, as objects, in order.
fn run(step: &str, records: &[Vec<Value>], random: &mut Random, workers: usize, restarts: bool) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rehearsal = Rehearsal::new(pipeline(step), PARTITIONS, workers, folder.path()).expect("it starts");
    let mut next = vec![0; records.len()];
    let open = |next: &[usize]| (0..records.len()).filter(|&it| next[it] < records[it].len()).collect::<Vec<_>>();
    while let partitions @ [_, ..] = &open(&next)[..] {
        let partition = partitions[random.within(0..partitions.len() as u64) as usize];
        let rest = &records[partition][next[partition]..];
        let batch = &rest[..(1 + random.within(0..8) as usize).min(rest.len())];
        next[partition] += batch.len();
        let given = |it: &Value| Given { key: None, value: Some(it.to_string().into_bytes()), timestamp: 0 };
        let given: Vec<Given> = batch.iter().map(given).collect();
        rehearsal.records(0, partition as i32, &given).expect("records are taken");
        if restarts && random.one_in(6) {
            rehearsal.restart(1 + random.within(0..3) as usize).expect("it starts again");
        }
    }
    for partition in 0..PARTITIONS {
        rehearsal.watermark(0, partition, i64::MAX).expect("time ends");
    }
    let written = rehearsal.take_written();
    assert_eq!(rehearsal.progress().late, 0, "no record is further behind than the delay");
    written.iter().map(|it| serde_json::from_slice(it.value.as_deref().unwrap_or_default()).expect("JSON")).collect()
}

fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(Value::to_string);
    rows
}

/// The last row of each window.
fn last_of_each(rows: Vec<Value>) -> Vec<Value> {
    let window = |row: &Value| ["key", "window_start"].map(|it| row[it].to_string());
    let last: BTreeMap<_, _> = rows.into_iter().map(|it| (window(&it), it)).collect();
    sorted(last.into_values().collect())
}

const WINDOWS: [&str; 5] = [
    "window = { tumbling = \"500ms\" }",
    "window = { hopping = \"600ms\", slide = \"250ms\" }",
    "window = { session = \"170ms\" }",
    "window = { tumbling = \"500ms\", offset = \"70ms\" }\nallowed_lateness = \"1s\"",
    "window = { calendar = \"day\", timezone = \"Asia/Kolkata\" }",
];

#[test]
fn results_on_close_are_the_same_for_any_interleaving_batches_workers_and_restarts() {
    for seed in 0..12 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let records = records(&mut random);
        let window = WINDOWS[seed as usize % WINDOWS.len()];
        let expected = sorted(run(window, &records, &mut random, 1, false));
        assert!(!expected.is_empty());
        for (workers, restarts) in [(1, false), (2, false), (3, true), (1, true)] {
            let found = sorted(run(window, &records, &mut random, workers, restarts));
            assert_eq!(found, expected, "{window}, {workers} workers, restarts: {restarts}");
        }
    }
}

#[test]
fn the_last_update_of_a_window_is_what_it_closes_with() {
    for seed in 0..6 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let records = records(&mut random);
        let window = WINDOWS[seed as usize % 2];
        let closed = last_of_each(run(window, &records, &mut random, 2, false));
        let updates = run(&format!("{window}\nemit = \"on-update\""), &records, &mut random, 2, true);
        assert!(updates.len() > closed.len());
        assert_eq!(last_of_each(updates), closed, "{window}");
    }
}

#[test]
fn parts_that_are_discarded_add_up_to_the_whole_and_what_is_retracted_was_written() {
    for seed in 0..6 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let records = records(&mut random);
        let window = WINDOWS[seed as usize % 3];
        let whole = last_of_each(run(window, &records, &mut random, 2, false));
        let sums = |rows: &[Value], sign: fn(&Value) -> i64| {
            let mut sums: BTreeMap<String, [i64; 2]> = BTreeMap::new();
            for row in rows {
                let sum = sums.entry(format!("{} {}", row["key"], row["window_end"])).or_default();
                let value = |name: &str| row[name].as_i64().unwrap_or(0) * sign(row);
                *sum = [sum[0] + value("n"), sum[1] + value("sum")];
            }
            sums.retain(|_, it| *it != [0, 0]);
            sums
        };
        let expected = sums(&whole, |_| 1);
        let retracting = format!("{window}\nemit = {{ records = 3 }}\naccumulate = \"retracting\"");
        let rows = run(&retracting, &records, &mut random, 2, true);
        assert_eq!(sums(&rows, |it| if it["retraction"] == true { -1 } else { 1 }), expected, "{retracting}");
        if !window.contains("session") {
            let discarding = format!("{window}\nemit = {{ records = 3 }}\naccumulate = \"discarding\"");
            let rows = run(&discarding, &records, &mut random, 2, true);
            assert_eq!(sums(&rows, |_| 1), expected, "{discarding}");
        }
    }
}
