//! Windows by processing time: by a clock that is handed in against a naive computation, and by the real one.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use wasmill::pipeline::rehearsal::{Given, Rehearsal};
use wasmill_tests::folder::{Folder, RUN_LIMIT};
use wasmill_tests::json::int;
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::wait::{Deadline, pause};

const PARTITIONS: i32 = 3;
const KEYS: u64 = 4;

fn pipeline(window: &str) -> wasmill::config::Pipeline {
    let text = format!(
        "name = \"w\"\n[sources.in]\nconnector = \"generator\"\nkind = \"sensors\"\n\
         [steps.w]\nfrom = \"in\"\nkey = \"key\"\nwindow = {{ {window}, time = \"processing\" }}\n\
         aggregate = {{ n = \"count()\", sum = \"sum(v)\" }}\n\
         [sinks.out]\nfrom = \"w\"\nconnector = \"stdout\"\n"
    );
    wasmill::config::parse(&text, "w.toml", Path::new(""), &[]).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// A record that came: when, its key and its value.
type Came = (i64, u64, i64);

/// Runs `steps` records, with time going on between them, and new starts. Answers what came and what was written.
fn run(window: &str, random: &mut Random, workers: usize, restarts: bool) -> (Vec<Came>, Vec<Value>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rehearsal = Rehearsal::new(pipeline(window), PARTITIONS, workers, folder.path()).expect("it starts");
    let (mut now, mut came) = (0, Vec::new());
    for value in 0..120 {
        if random.one_in(2) {
            now += random.within(1..60);
            rehearsal.now(now).expect("time goes on");
        }
        let key = random.within(0..KEYS);
        let record = json!({ "key": key, "v": value });
        let given = Given { key: None, value: Some(record.to_string().into_bytes()), timestamp: 0 };
        let partition = random.within(0..PARTITIONS as u64) as i32;
        rehearsal.records(0, partition, &[given]).expect("records are taken");
        came.push((now as i64, key, value));
        if restarts && random.one_in(6) {
            rehearsal.restart(1 + random.within(0..3) as usize).expect("it starts again");
        }
    }
    for partition in 0..PARTITIONS {
        rehearsal.watermark(0, partition, i64::MAX).expect("the input ends");
    }
    let written = rehearsal.take_written();
    assert_eq!(
        (rehearsal.progress().late, rehearsal.progress().dead_letters),
        (0, 0),
        "nothing is late or without a time"
    );
    let rows = written.iter().map(|it| serde_json::from_slice(it.value.as_deref().unwrap_or_default()).expect("JSON"));
    (came, rows.collect())
}

/// Count and sum by key and bounds.
type Windows = BTreeMap<(u64, i64, i64), (i64, i64)>;

fn found(rows: &[Value]) -> Windows {
    let row = |it: &Value| {
        let bounds = (int(it, "key") as u64, int(it, "window_start"), int(it, "window_end"));
        (bounds, (int(it, "n"), int(it, "sum")))
    };
    let windows: Windows = rows.iter().map(row).collect();
    assert_eq!(windows.len(), rows.len(), "each window is written once");
    windows
}

fn aligned(came: &[Came], size: i64, slide: i64) -> Windows {
    let mut windows = Windows::new();
    for (at, key, value) in came {
        let last = at.div_euclid(slide) * slide;
        for start in (0..size / slide).map(|it| last - it * slide) {
            let window = windows.entry((*key, start, start + size)).or_default();
            *window = (window.0 + 1, window.1 + value);
        }
    }
    windows
}

fn sessions(came: &[Came], gap: i64) -> Windows {
    let mut windows = Windows::new();
    for key in 0..KEYS {
        let mut session: Option<(i64, i64, i64, i64)> = None;
        let own = came.iter().filter(|it| it.1 == key).map(|it| Some((it.0, it.2)));
        for next in own.chain([None]) {
            if let Some((first, last, n, sum)) = session.filter(|it| next.is_none_or(|next| next.0 - it.1 >= gap)) {
                windows.insert((key, first, last + gap), (n, sum));
                session = None;
            }
            let Some((at, value)) = next else { break };
            let (first, _, n, sum) = session.unwrap_or((at, at, 0, 0));
            session = Some((first, at, n + 1, sum + value));
        }
    }
    windows
}

#[test]
fn records_are_in_the_windows_of_when_they_came_whatever_the_workers_and_new_starts() {
    let mut random = Random::new(settings::seed("processing time"));
    type Expected = fn(&[Came]) -> Windows;
    let windows: [(&str, Expected); 3] = [
        ("tumbling = \"50ms\"", |it| aligned(it, 50, 50)),
        ("hopping = \"90ms\", slide = \"30ms\"", |it| aligned(it, 90, 30)),
        ("session = \"40ms\"", |it| sessions(it, 40)),
    ];
    for (window, expected) in windows {
        for (workers, restarts) in [(1, false), (1, true), (2, false), (2, true), (3, true)] {
            let (came, rows) = run(window, &mut random, workers, restarts);
            assert_eq!(found(&rows), expected(&came), "{window}, {workers} workers, new starts: {restarts}");
        }
    }
}

const RECORDS: i64 = 60_000;
const SIZE_MS: i64 = 50;

/// Made records, counted by the clock, in files.
fn counted(folder: &Folder) {
    let text = format!(
        "name = \"counted\"\ncheckpoint_interval = \"20ms\"\n\
         [sources.in]\nconnector = \"generator\"\nkind = \"orders\"\npartitions = 3\nrate = 20000\ncount = {RECORDS}\n\
         [steps.w]\nfrom = \"in\"\nwindow = {{ tumbling = \"{SIZE_MS}ms\", time = \"processing\" }}\naggregate = {{ n = \"count()\" }}\n\
         [sinks.out]\nfrom = \"w\"\nconnector = \"file\"\npath = \"out\"\n"
    );
    folder.write("pipeline.toml", text);
}

#[test]
fn windows_of_the_real_clock_close_and_count_each_record_once_whenever_the_process_is_killed() {
    let mut random = Random::new(settings::seed("processing time, killed"));
    for workers in ["1", "2"] {
        let folder = Folder::new();
        counted(&folder);
        let run = || folder.run("pipeline.toml").args(["--workers", workers]);
        for _ in 0..6 {
            let before = folder.lines("out").len();
            let mut life = run().start();
            let limit = Deadline::after(RUN_LIMIT);
            while life.is_running() && folder.lines("out").len() <= before && !limit.is_over() {
                pause(Duration::from_millis(2));
            }
            assert!(folder.lines("out").len() > before, "windows close while records come\n{}", life.stderr());
            pause(Duration::from_millis(random.within(0..60)));
            life.kill();
        }
        run().until_end();
        let rows = folder.records("out");
        assert_eq!(rows.iter().map(|it| int(it, "n")).sum::<i64>(), RECORDS, "{workers} workers");
        let starts: Vec<i64> = rows.iter().map(|it| int(it, "window_start")).collect();
        assert!(starts.iter().all(|it| it % SIZE_MS == 0) && starts.is_sorted_by(|a, b| a < b), "{starts:?}");
    }
}

#[test]
fn windows_that_are_open_when_what_is_there_has_been_read_close_in_the_next_run() {
    let folder = Folder::new();
    counted(&folder);
    let run = || folder.run("pipeline.toml").set("sources.in.rate", 10_000_000).set("steps.w.window.tumbling", "1h");
    run().args(["--available-now"]).end().expect_code(0);
    let sum = |rows: &[Value]| rows.iter().map(|it| int(it, "n")).sum::<i64>();
    assert!(sum(&folder.records("out")) < RECORDS, "the last window is open");
    run().until_end();
    assert_eq!(sum(&folder.records("out")), RECORDS);
}
