//! `dedupe`, `top` and `state_ttl`, compared with naive computations: for any batches, workers and new starts.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use wasmill::pipeline::rehearsal::{Given, Rehearsal, Written};
use wasmill_tests::compare::same_records;
use wasmill_tests::folder::Folder;
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::stream::{DELAY_MS, Event, events};

const PARTITIONS: usize = 3;
const USERS: u64 = 40;

fn pipeline(step: &str) -> String {
    format!(
        "name = \"builtins\"\n\
         [sources.in]\nconnector = \"generator\"\nkind = \"sensors\"\n\
         event_time = {{ field = \"at\", delay = \"{DELAY_MS}ms\", idle_timeout = \"never\" }}\n\
         [steps.s]\nfrom = \"in\"\n{step}\n\
         [sinks.out]\nfrom = \"s\"\nconnector = \"stdout\"\n"
    )
}

/// Hands `records`, with their partitions, in by batches of any size, with new starts between them.
fn rehearse(random: &mut Random, step: &str, records: &[(usize, Value)]) -> Vec<Written> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = wasmill::config::parse(&pipeline(step), "p.toml", Path::new(""), &[]);
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let workers = random.within(1..4) as usize;
    let mut rehearsal = Rehearsal::new(config, PARTITIONS as i32, workers, folder.path()).expect("it starts");
    let mut rest = records;
    let batch_max = [1, 3, 50, 400][random.within(0..4) as usize];
    while let Some((partition, _)) = rest.first() {
        let same = rest.iter().take_while(|it| it.0 == *partition).count() as u64;
        let rows = same.min(random.within(1..batch_max + 1)) as usize;
        let (batch, later) = rest.split_at(rows);
        rest = later;
        let given = |it: &(usize, Value)| Given { value: Some(it.1.to_string().into_bytes()), ..Given::default() };
        let given: Vec<Given> = batch.iter().map(given).collect();
        rehearsal.records(0, *partition as i32, &given).expect("records are taken");
        if random.one_in(20) {
            rehearsal.restart(random.within(1..4) as usize).expect("it starts again");
        }
    }
    for partition in 0..PARTITIONS {
        rehearsal.watermark(0, partition as i32, i64::MAX).expect("time ends");
    }
    rehearsal.take_written()
}

fn parsed(written: &Written) -> Value {
    serde_json::from_slice(written.value.as_deref().unwrap_or_default()).expect("a JSON object")
}

/// Runs of a partition's records, so that batches have more than one.
fn in_runs(random: &mut Random, count: u64) -> Vec<Event> {
    let mut events = events(random, count, USERS, PARTITIONS);
    // Nothing is late: the order among partitions is free within what is out of order anyway.
    for run in events.chunks_mut(30) {
        run.sort_by_key(|it| it.partition);
    }
    for event in &mut events {
        event.amount %= 50;
    }
    events
}

fn given(events: &[Event]) -> Vec<(usize, Value)> {
    events.iter().map(|it| (it.partition, it.json())).collect()
}

#[test]
fn of_records_close_to_each_other_the_first_goes_on_as_it_was() {
    let mut random = Random::new(settings::seed("dedupe"));
    for _ in 0..12 {
        let events = in_runs(&mut random, 900);
        let mut went_on: Vec<&Event> = Vec::new();
        for event in &events {
            let near = |it: &&Event| it.user == event.user && (it.at - event.at).abs() < 1_500;
            if !went_on.iter().any(near) {
                went_on.push(event);
            }
        }
        assert!(went_on.len() < events.len() * 3 / 4, "some are duplicates: {}", went_on.len());
        let step = "key = \"user\"\ndedupe = { within = \"1500ms\" }";
        let found = rehearse(&mut random, step, &given(&events));
        let text = |it: &Written| String::from_utf8(it.value.clone().unwrap_or_default()).expect("a text");
        let mut found: Vec<String> = found.iter().map(text).collect();
        let mut expected: Vec<String> = went_on.iter().map(|it| it.json().to_string()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}

/// The best of each window of `size_ms` every `slide_ms`, by key, from the best on.
fn best(events: &[Event], (size_ms, slide_ms): (i64, i64), k: usize, key: impl Fn(&Event) -> String) -> Vec<Value> {
    let mut windows: BTreeMap<(i64, String), Vec<&Event>> = BTreeMap::new();
    for event in events {
        let last = event.at.div_euclid(slide_ms) * slide_ms;
        for start in (0..size_ms / slide_ms).map(|it| last - it * slide_ms) {
            windows.entry((start, key(event))).or_default().push(event);
        }
    }
    let mut rows = Vec::new();
    for ((start, _), mut of_window) in windows {
        of_window.sort_by_key(|it| (-it.amount, it.at));
        for (rank, event) in of_window.iter().take(k).enumerate() {
            let mut row = event.json();
            row["rank"] = json!(rank + 1);
            (row["window_start"], row["window_end"]) = (json!(start), json!(start + size_ms));
            rows.push(row);
        }
    }
    rows
}

#[test]
fn the_best_records_of_each_window_go_on_with_their_rank() {
    let mut random = Random::new(settings::seed("top"));
    for _ in 0..10 {
        let mut events = in_runs(&mut random, 900);
        let mut seen = std::collections::HashSet::new();
        // Of equal ones the earlier is better; which is better of two of one time is another test's.
        events.retain(|it| seen.insert((it.amount, it.at)));
        for (window, bounds) in
            [("tumbling = \"5s\"", (5_000, 5_000)), ("hopping = \"6s\", slide = \"2s\"", (6_000, 2_000))]
        {
            let top = format!("window = {{ {window} }}\ntop = {{ k = 4, by = \"amount\" }}");
            let found: Vec<Value> = rehearse(&mut random, &top, &given(&events)).iter().map(parsed).collect();
            same_records("top", &found, &best(&events, bounds, 4, |_| String::new()));
            assert!(found.is_sorted_by_key(|it| (it["window_end"].as_i64(), it["rank"].as_i64())), "from the best on");
            let of_user = format!("key = \"user\"\n{top}");
            let found: Vec<Value> = rehearse(&mut random, &of_user, &given(&events)).iter().map(parsed).collect();
            same_records("top by user", &found, &best(&events, bounds, 4, |it| it.user.clone()));
        }
    }
}

fn counting(ttl: &str, config: &str) -> String {
    let plugin = settings::plugin("misbehaving-keyed");
    format!("key = \"user\"\nplugin = \"{}\"\nconfig = {{ {config} }}\nstate_ttl = \"{ttl}\"", plugin.display())
}

/// The counts that a plugin wrote, with the key and time of each.
fn counts(written: &[Written]) -> Vec<(String, i64, i64)> {
    let count = |it: &Written| {
        let key = String::from_utf8(it.key.clone().unwrap_or_default()).expect("a text");
        (key, it.time, parsed(it)["count"].as_i64().expect("a count"))
    };
    let mut counts: Vec<_> = written.iter().map(count).collect();
    counts.sort();
    counts
}

#[test]
fn a_record_finds_no_state_of_a_key_that_was_not_used_for_long() {
    const TTL_MS: i64 = 2_000;
    let mut random = Random::new(settings::seed("state ttl"));
    for _ in 0..8 {
        let events = in_runs(&mut random, 900);
        let mut states: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        let mut expected = Vec::new();
        for event in &events {
            let (count, used) = states.entry(&event.user).or_insert((0, event.at));
            *count = if *used + TTL_MS <= event.at { 1 } else { *count + 1 };
            *used = event.at.max(*used);
            expected.push((event.user.clone(), event.at, *count));
        }
        expected.sort();
        assert!(expected.iter().filter(|it| it.2 == 1).count() > 2 * USERS as usize, "some state has expired");
        let found = rehearse(&mut random, &counting("2s", ""), &given(&events));
        assert_eq!(counts(&found), expected);
    }
}

#[test]
fn a_timer_fires_after_its_keys_state_has_expired_and_finds_none() {
    let mut random = Random::new(settings::seed("timers of expired state"));
    let record = |user: &str, at: i64| (0, json!({"id": 1, "user": user, "at": at}));
    let records = [record("ann", 0), record("ann", 500), record("bob", 20_000)];
    for (ttl, at_timer) in [("1s", 0), ("1m", 2)] {
        let found = rehearse(&mut random, &counting(ttl, "timer_ms = 5000"), &records);
        let of = |user: &str, at: i64, count: i64| (user.to_owned(), at, count);
        let expected = [
            of("ann", 0, 1),
            of("ann", 500, 2),
            of("ann", 5_500, at_timer),
            of("bob", 20_000, 1),
            of("bob", 25_000, i64::from(ttl == "1m")),
        ];
        assert_eq!(counts(&found), expected, "state_ttl = {ttl}");
    }
}

/// Purchases, a third of them written twice; spent by user and window without the repeats, and the three who spent most.
fn trending() -> String {
    format!(
        r#"
name = "trending"
checkpoint_interval = "20ms"

[sources.purchases]
connector = "file"
path = "in"
event_time = {{ field = "at", delay = "{DELAY_MS}ms", idle_timeout = "never" }}

[steps.once]
from = "purchases"
key = "id"
dedupe = {{ within = "1m" }}

[steps.spent]
from = "once"
key = "user"
window = {{ tumbling = "5s" }}
aggregate = {{ spent = "sum(amount)" }}

[steps.most]
from = "spent"
window = {{ tumbling = "5s" }}
top = {{ k = 3, by = "spent" }}

[sinks.out]
from = "most"
connector = "file"
path = "out"
"#
    )
}

fn most(events: &[Event]) -> Vec<Value> {
    let mut spent: BTreeMap<(i64, &str), i64> = BTreeMap::new();
    for event in events {
        *spent.entry((event.at.div_euclid(5_000) * 5_000, &event.user)).or_default() += event.amount;
    }
    let starts: std::collections::BTreeSet<i64> = spent.keys().map(|it| it.0).collect();
    let mut rows = Vec::new();
    for start in starts {
        let mut of_window: Vec<_> = spent.iter().filter(|it| it.0.0 == start).map(|it| (-it.1, it.0.1)).collect();
        of_window.sort_unstable(); // Of equal ones the one whose key is first.
        for (rank, (spent, user)) in of_window.into_iter().take(3).enumerate() {
            rows.push(json!({
                "user": user, "spent": -spent, "rank": rank + 1, "window_start": start, "window_end": start + 5_000,
            }));
        }
    }
    rows
}

fn write(folder: &Folder, events: &[Event], again: &[bool]) {
    for partition in 0..PARTITIONS {
        let mut lines: Vec<Value> = Vec::new();
        for (event, again) in events.iter().zip(again).filter(|it| it.0.partition == partition) {
            lines.push(event.json());
            if *again {
                lines.push(event.json());
            }
        }
        folder.write_lines(&format!("in/{partition}.jsonl"), &lines);
    }
}

#[test]
fn repeats_are_not_counted_and_the_best_are_the_same_for_any_workers_and_batches_and_whenever_it_is_killed() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("trending"));
    let events = events(&mut random, 4_000, USERS, PARTITIONS);
    let again: Vec<bool> = events.iter().map(|_| random.one_in(3)).collect();
    folder.write("pipeline.toml", trending());
    let points =
        ["persist.in-file", "persist.after-manifest-rename", "current.after-rename", "publish.done", "stage.done"];
    for (life, point) in points.iter().enumerate() {
        // The input grows from life to life.
        let part = events.len() * (life + 1) / points.len();
        write(&folder, &events[..part], &again);
        let workers = random.within(1..4).to_string();
        let run =
            folder.run("pipeline.toml").args(["--available-now", "--workers", &workers]).set("batch_rows_max", 16);
        let ended = run.dying_at(&format!("{point}:{}", random.within(1..4))).end();
        println!("{point} with {workers} workers: killed {}", ended.was_killed());
    }
    folder.run("pipeline.toml").args(["--workers", "2"]).until_end();
    same_records("killed", &folder.records("out"), &most(&events));
    for workers in [1, 4] {
        for batch in [1, 4_096] {
            for path in ["data", "out"] {
                let _ = std::fs::remove_dir_all(folder.path(path));
            }
            let run = folder.run("pipeline.toml").args(["--workers".to_owned(), workers.to_string()]);
            let ended = run.set("batch_rows_max", batch).until_end();
            same_records(&format!("{workers} workers, batches of {batch}"), &folder.records("out"), &most(&events));
            let repeats = again.iter().filter(|it| **it).count();
            assert!(ended.stderr.contains(&format!("filtered={repeats}")), "{repeats}: {}", ended.tails());
        }
    }
}
