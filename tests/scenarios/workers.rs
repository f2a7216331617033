//! Results depend neither on the number of workers nor on the size of batches.

use serde_json::{Value, json};
use wasmill_tests::compare::{same_in_order_of_key, same_records};
use wasmill_tests::folder::Folder;
use wasmill_tests::random::Random;
use wasmill_tests::reference::{self, FOLD};
use wasmill_tests::settings;
use wasmill_tests::stream::{DELAY_MS, Event, events, of_partition, with_stragglers};

const WORKERS: [usize; 3] = [1, 2, 4];
const BATCHES: [usize; 4] = [1, 7, 1_024, 4_096];

/// Every pair, and so each number of workers with each size of batches.
fn every_way(mut check: impl FnMut(usize, usize)) {
    for workers in WORKERS {
        for batch in BATCHES {
            println!("{workers} workers, batches of {batch}");
            check(workers, batch);
        }
    }
}

fn write_input(folder: &Folder, events: &[Event], partitions: usize) {
    for partition in 0..partitions {
        let lines: Vec<Value> = of_partition(events, partition).map(Event::json).collect();
        folder.write_lines(&format!("in/{partition}.jsonl"), &lines);
    }
}

fn run(folder: &Folder, workers: usize, batch: usize) {
    for path in ["data", "out"] {
        let _ = std::fs::remove_dir_all(folder.path(path));
    }
    folder
        .run("pipeline.toml")
        .args(["--workers".to_owned(), workers.to_string()])
        .set("batch_rows_max", batch)
        .until_end();
}

const SOURCE: &str = r#"
[sources.purchases]
connector = "file"
path = "in"
event_time = { field = "at", delay = "2s", idle_timeout = "never" }
"#;

#[test]
fn windows_of_every_kind_are_the_same_for_any_workers_and_batches() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("workers"));
    let events = events(&mut random, 5_000, 60, 4);
    write_input(&folder, &events, 4);
    folder.write(
        "pipeline.toml",
        format!(
            r#"
name = "windows"
checkpoint_interval = "100ms"
{SOURCE}
[steps.tumbling]
from = "purchases"
key = "user"
window = {{ tumbling = "10s" }}
aggregate = {FOLD}

[steps.hopping]
from = "purchases"
key = "user"
window = {{ hopping = "30s", slide = "10s" }}
aggregate = {FOLD}

[steps.session]
from = "purchases"
key = "user"
window = {{ session = "3s" }}
aggregate = {FOLD}

[steps.rolling]
from = "purchases"
key = "user"
window = {{ rolling = "20s" }}
aggregate = {FOLD}

[sinks.tumbling]
from = "tumbling"
connector = "file"
path = "out/tumbling"

[sinks.hopping]
from = "hopping"
connector = "file"
path = "out/hopping"

[sinks.session]
from = "session"
connector = "file"
path = "out/session"

[sinks.rolling]
from = "rolling"
connector = "file"
path = "out/rolling"
"#
        ),
    );
    let tumbling = reference::windows(&events, 10_000, 10_000);
    let hopping = reference::windows(&events, 30_000, 10_000);
    let session = reference::sessions(&events, 3_000);
    let rolling = reference::rolling(&events, 20_000);
    every_way(|workers, batch| {
        run(&folder, workers, batch);
        same_in_order_of_key("tumbling", "user", &folder.records("out/tumbling"), &tumbling);
        same_in_order_of_key("hopping", "user", &folder.records("out/hopping"), &hopping);
        same_in_order_of_key("session", "user", &folder.records("out/session"), &session);
        same_in_order_of_key("rolling", "user", &folder.records("out/rolling"), &rolling);
    });
}

#[test]
fn a_rolling_window_adds_to_what_a_window_made() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("rolling over windows"));
    write_input(&folder, &events(&mut random, 2_000, 20, 2), 2);
    folder.write(
        "pipeline.toml",
        format!(
            r#"
name = "rolling-over-windows"
{SOURCE}
[steps.windows]
from = "purchases"
key = "user"
window = {{ tumbling = "5s" }}
aggregate = {{ n = "count()" }}

[steps.rolling]
from = "windows"
key = "user"
window = {{ rolling = "20s" }}
aggregate = {{ n = "sum(n)" }}

[sinks.windows]
from = "windows"
connector = "file"
path = "out/windows"

[sinks.rolling]
from = "rolling"
connector = "file"
path = "out/rolling"
"#
        ),
    );
    for workers in WORKERS {
        run(&folder, workers, 64);
        let windows = folder.records("out/windows");
        let at = |it: &Value| it["window_end"].as_i64().expect("a time");
        let expected = windows.iter().map(|row| {
            let near =
                windows.iter().filter(|it| it["user"] == row["user"] && at(row) - 20_000 < at(it) && at(it) <= at(row));
            let n: i64 = near.filter_map(|it| it["n"].as_i64()).sum();
            json!({"user": row["user"], "window_start": row["window_start"], "window_end": row["window_end"], "n": n})
        });
        same_records("rolling", &folder.records("out/rolling"), &expected.collect::<Vec<_>>());
    }
}

#[test]
fn what_is_written_on_update_and_what_is_late_is_the_same_for_any_workers_and_batches() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("updates"));
    let events = events(&mut random, 4_000, 20, 1);
    let events = with_stragglers(&mut random, events, 60_000);
    write_input(&folder, &events, 1);
    folder.write(
        "pipeline.toml",
        format!(
            r#"
name = "updates"
checkpoint_interval = "100ms"
{SOURCE}
[steps.updates]
from = "purchases"
key = "user"
window = {{ hopping = "20s", slide = "10s" }}
aggregate = {FOLD}
emit = "on-update"
late = "dead-letter"

[steps.closed]
from = "purchases"
key = "user"
window = {{ hopping = "20s", slide = "10s" }}
aggregate = {FOLD}

[sinks.updates]
from = "updates"
connector = "file"
path = "out/updates"

[sinks.closed]
from = "closed"
connector = "file"
path = "out/closed"

[dead_letters]
connector = "file"
path = "out/late"
"#
        ),
    );
    let expected = reference::updates(&events, 20_000, 10_000, DELAY_MS);
    assert!(expected.late.len() > 50, "the input has late records");
    every_way(|workers, batch| {
        run(&folder, workers, batch);
        same_records("updates", &folder.records("out/updates"), &expected.updates);
        same_records("closed", &folder.records("out/closed"), &expected.closed);
        let late: Vec<Value> =
            folder.records("out/late").iter().map(crate::dead_letter::id).map(|it| json!(it)).collect();
        same_records("late", &late, &expected.late.iter().map(|it| json!(it)).collect::<Vec<_>>());
    });
}

#[test]
fn plugins_answer_the_same_for_any_workers_and_batches() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("plugins"));
    let events = events(&mut random, 5_000, 60, 4);
    write_input(&folder, &events, 4);
    folder.write(
        "pipeline.toml",
        format!(
            r#"
name = "plugins"
checkpoint_interval = "100ms"
{SOURCE}
[steps.checked]
from = "purchases"
plugin = "{transform}"
config = {{ mode = "reject", when = {{ every = 100 }} }}

[steps.counted]
from = "checked"
key = "user"
plugin = "{keyed}"

[sinks.checked]
from = "checked"
connector = "file"
path = "out/checked"

[sinks.counted]
from = "counted"
connector = "file"
path = "out/counted"

[dead_letters]
connector = "file"
path = "out/dead"
"#,
            transform = settings::plugin("misbehaving").display(),
            keyed = settings::plugin("misbehaving-keyed").display(),
        ),
    );
    let (rejected, passed): (Vec<Event>, Vec<Event>) = events.into_iter().partition(|it| it.id % 100 == 0);
    let checked: Vec<Value> = passed.iter().map(Event::json).collect();
    let counted: Vec<Value> = reference::counts(&passed).into_iter().map(|it| json!({"count": it.1})).collect();
    let dead: Vec<Value> = rejected.iter().map(|it| json!(it.id)).collect();
    every_way(|workers, batch| {
        run(&folder, workers, batch);
        same_in_order_of_key("checked", "user", &folder.records("out/checked"), &checked);
        same_records("counted", &folder.records("out/counted"), &counted);
        let found: Vec<Value> =
            folder.records("out/dead").iter().map(crate::dead_letter::id).map(|it| json!(it)).collect();
        same_records("dead letters", &found, &dead);
    });
}
