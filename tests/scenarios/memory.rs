//! State that does not fit into `memory`: it goes to the disk and the output stays the same, or the pipeline says what does not fit.

use crate::small_disk::SmallDisk;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::process::Command;
use wasmill_tests::compare::same_records;
use wasmill_tests::daemon::Daemon;
use wasmill_tests::folder::{Folder, RUN_LIMIT};
use wasmill_tests::kafka::Broker;
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::wait::{Deadline, pause, until};

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

/// Huge pages cost a pipeline a third more memory, and time (bench/README.md).
#[test]
fn the_kernel_gives_a_pipeline_and_a_daemon_no_huge_pages() {
    let folder = Folder::new();
    let source = "[sources.in]\nconnector = \"generator\"\nkind = \"transactions\"\nrate = 10\n";
    let sink = "[sinks.out]\nfrom = \"in\"\nconnector = \"file\"\npath = \"out\"\n";
    folder.write("pipeline.toml", format!("name = \"small\"\n{source}{sink}"));
    let run = folder.run("pipeline.toml").start();
    until("its pages are small", RUN_LIMIT, || !run.may_have_huge_pages().expect("it runs"));
    let mut daemon = Daemon::start(&folder);
    assert_eq!(daemon.run().may_have_huge_pages(), Some(false));
}

/// What closes at once may be many times as large as the state that it is of. Nobody reads the output here.
#[test]
fn little_waits_in_memory_for_a_sink_whatever_a_window_writes() {
    const ROWS: u64 = 600_000;
    const WAITING_MAX: u64 = ROWS / 3;
    // Many windows of some keys, and one of many.
    for (window, keys) in [("hopping = \"60s\", slide = \"1s\"", ROWS / 60), ("tumbling = \"60s\"", ROWS)] {
        let folder = Folder::new();
        let record = |key: u64| json!({"key": format!("{key:a>64}"), "at": 60_000});
        folder.write_lines("in.jsonl", &(0..keys).map(record).collect::<Vec<_>>());
        let step = format!(
            "[steps.step]\nfrom = \"in\"\nkey = \"key\"\nwindow = {{ {window} }}\naggregate = {{ count = \"count()\" }}\n"
        );
        let file =
            pipeline("burst", "", &step).replace("connector = \"file\"\npath = \"out\"", "connector = \"stdout\"");
        folder.write("pipeline.toml", file);
        let pipe = folder.path("run-1.out");
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
        let mut reader = File::options().read(true).write(true).open(&pipe).expect("both ends are open");
        let mut run = folder.run("pipeline.toml").args(["--until-end", "--progress-every", "50ms"]).start();
        let mut figures = Vec::new();
        until("all is read, and no more is written", RUN_LIMIT, || {
            let stderr = run.stderr();
            figures = stderr.lines().filter(|it| it.contains("records_in=")).map(figures_of).collect();
            let last = figures.iter().rev().take(4).collect::<BTreeSet<_>>();
            figures.len() > 4 && last.len() == 1 && last.first().is_some_and(|it| it.0 == keys && it.1 > 0)
        });
        let made = figures.last().map_or(0, |it| it.1);
        assert!(made < WAITING_MAX, "{made} of {ROWS} rows were made, and nobody read one");
        let mut lines = 0;
        let mut buffer = vec![0; 1 << 16];
        while lines < ROWS {
            let read = reader.read(&mut buffer).expect("the pipe is open");
            lines += buffer[..read].iter().filter(|it| **it == b'\n').count() as u64;
        }
        assert_eq!(lines, ROWS);
        until("it ends", RUN_LIMIT, || !run.is_running());
        std::fs::write(folder.path("read"), "")
            .and_then(|()| std::fs::rename(folder.path("read"), &pipe))
            .expect("a file");
        let ended = run.wait(RUN_LIMIT).stderr;
        assert_eq!(ended.lines().rev().find_map(|it| it.contains("records_in=").then(|| figures_of(it).1)), Some(ROWS));
    }
}

/// A snapshot that is being written holds up no worker: what it writes meanwhile is held for the next transaction, as far as there is room.
#[test]
fn little_is_held_for_the_next_transaction_whatever_a_snapshot_takes() {
    const WRITTEN_MAX: u64 = 500_000; // Of some 150 bytes.
    let folder = Folder::new();
    let broker = Broker::start();
    let topic = broker.topic("held", 1);
    let source = "[sources.in]\nconnector = \"generator\"\nkind = \"transactions\"\n";
    let sink = format!(
        "[sinks.out]\nfrom = \"in\"\nconnector = \"kafka\"\nbrokers = \"{}\"\ntopic = \"{topic}\"\n",
        broker.address()
    );
    folder.write("pipeline.toml", format!("name = \"held\"\ncheckpoint_interval = \"20ms\"\n{source}{sink}"));
    let run = folder.run("pipeline.toml").args(["--workers", "1", "--progress-every", "50ms"]);
    let run = run.held_at("persist.before-files").start();
    let mut last = 0;
    until("no more is written", RUN_LIMIT, || {
        let stderr = run.stderr();
        let written: Vec<_> =
            stderr.lines().filter(|it| it.contains(" records_in=")).map(|it| figures_of(it).1).collect();
        last = written.last().copied().unwrap_or(0);
        assert!(last < WRITTEN_MAX, "{last} records were written since no snapshot is");
        last > 0 && written.iter().rev().take_while(|it| **it == last).count() > 10
    });
    println!("{last} records were written");
}

/// How many records a line of the log says were read, and were written.
fn figures_of(line: &str) -> (u64, u64) {
    let figure = |name: &str| {
        let rest = line.split_once(name).unwrap_or_else(|| panic!("{name} in {line}")).1;
        rest.split_whitespace().next().and_then(|it| it.parse().ok()).expect("a number")
    };
    (figure("records_in="), figure("records_out="))
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

/// Records of many keys, most of them in order and a few behind; one in two thousand is a minute ahead, so that it closes all that is open.
fn visits(random: &mut Random, count: usize) -> Vec<Value> {
    let mut now = 0;
    let mut visit = |number: usize| {
        now += if random.one_in(2_000) { 60_000 } else { random.within(0..4) as i64 };
        let back = if random.one_in(20) { random.within(0..20_000) as i64 } else { 0 };
        json!({"id": random.within(0..KEYS), "at": now - back, "n": number})
    };
    (0..count).map(&mut visit).collect()
}

const KEYS: u64 = 3_000;
const GAP_MS: i64 = 15_000;
const SIZE_MS: i64 = 20_000;
const LATENESS_MS: i64 = 10_000;

/// What tumbling (a `slide` of the size) and hopping windows of 20 s write: key, start and sum of each.
fn sums(visits: &[Value], slide_ms: i64) -> Vec<Value> {
    let (mut windows, mut watermark) = (BTreeMap::<(u64, i64), u64>::new(), i64::MIN);
    for (id, at, n) in visits.iter().map(parts) {
        let last = at.div_euclid(slide_ms) * slide_ms;
        let starts = (0..SIZE_MS / slide_ms).map(|it| last - it * slide_ms);
        for start in starts.filter(|it| it + SIZE_MS - 1 > watermark) {
            *windows.entry((id, start)).or_default() += n;
        }
        watermark = watermark.max(at - 1);
    }
    windows.into_iter().map(|((id, start), sum)| json!({"id": id, "window_start": start, "sum": sum})).collect()
}

/// What sessions write: key, first time and sum of each.
fn sessions(visits: &[Value]) -> Vec<Value> {
    let (mut all, mut watermark) = (BTreeMap::<u64, Vec<(i64, i64, u64)>>::new(), i64::MIN);
    for (id, at, n) in visits.iter().map(parts) {
        let of_key = all.entry(id).or_default();
        let is_open = |last: i64| last + GAP_MS - 1 > watermark;
        let joins = |it: &(i64, i64, u64)| is_open(it.1) && at < it.1 + GAP_MS && it.0 < at + GAP_MS;
        let (joined, mut others): (Vec<_>, Vec<_>) = of_key.drain(..).partition(joins);
        if is_open(at) || !joined.is_empty() {
            let first = joined.iter().map(|it| it.0).fold(at, i64::min);
            let last = joined.iter().map(|it| it.1).fold(at, i64::max);
            others.push((first, last, n + joined.iter().map(|it| it.2).sum::<u64>()));
        }
        *of_key = others;
        watermark = watermark.max(at - 1);
    }
    let row = |id: u64, it: &(i64, i64, u64)| json!({"id": id, "window_start": it.0, "sum": it.2});
    all.iter().flat_map(|(id, sessions)| sessions.iter().map(move |it| row(*id, it))).collect()
}

/// What tumbling windows of 20 s write that are held for 10 s more, and written again for each record that comes meanwhile.
fn results(visits: &[Value]) -> Vec<Value> {
    let (mut held, mut rows, mut watermark) = (BTreeMap::<(i64, u64), (u64, bool)>::new(), Vec::new(), i64::MIN);
    let row = |start: i64, id: u64, sum: u64| json!({"id": id, "window_start": start, "sum": sum});
    for (id, at, n) in visits.iter().map(parts) {
        let start = at.div_euclid(SIZE_MS) * SIZE_MS;
        let last = start + SIZE_MS - 1;
        if last + LATENESS_MS > watermark {
            let (sum, is_closed) = held.entry((start, id)).or_insert((0, last <= watermark));
            *sum += n;
            rows.extend(is_closed.then(|| row(start, id, *sum)));
        }
        watermark = watermark.max(at - 1);
        for ((start, id), (sum, is_closed)) in held.iter_mut().take_while(|it| it.0.0 + SIZE_MS - 1 <= watermark) {
            rows.extend((!std::mem::replace(is_closed, true)).then(|| row(*start, *id, *sum)));
        }
        held.retain(|it, _| it.0 + SIZE_MS - 1 + LATENESS_MS > watermark);
    }
    let open = held.iter().filter(|it| !it.1.1);
    rows.extend(open.map(|((start, id), (sum, _))| row(*start, *id, *sum)));
    rows
}

/// What rolling windows of 20 s answer: each record that is not late, with the sum of its key's.
fn answers(visits: &[Value]) -> Vec<Value> {
    let (mut seen, mut watermark) = (BTreeMap::<u64, Vec<(i64, u64)>>::new(), i64::MIN);
    let mut answer = |visit: &Value| {
        let (id, at, n) = parts(visit);
        let is_late = at <= watermark;
        watermark = watermark.max(at - 1);
        if is_late {
            return None;
        }
        let of_key = seen.entry(id).or_default();
        of_key.push((at, n));
        let inside = of_key.iter().filter(|it| at - SIZE_MS < it.0 && it.0 <= at);
        Some(json!({"id": id, "at": at, "n": n, "sum": inside.map(|it| it.1).sum::<u64>()}))
    };
    visits.iter().filter_map(&mut answer).collect()
}

/// What sliding windows of 5 s write, as Kafka Streams has them: one that ends with each record and one that begins right after it where there is any in it, of
/// those that came before it closed.
fn slides(visits: &[Value]) -> Vec<Value> {
    const DIFFERENCE_MS: i64 = 5_000;
    let (mut all, mut watermarks) = (BTreeMap::<u64, Vec<(usize, i64, u64)>>::new(), Vec::new());
    for (number, (id, at, n)) in visits.iter().map(parts).enumerate() {
        let watermark = watermarks.last().copied().unwrap_or(i64::MIN);
        if at + DIFFERENCE_MS > watermark {
            all.entry(id).or_default().push((number, at, n));
        }
        watermarks.push(watermark.max(at - 1));
    }
    let mut rows = Vec::new();
    for (id, of_key) in all {
        let mut windows = BTreeMap::new();
        for &(number, at, _) in &of_key {
            let starts = if (0..DIFFERENCE_MS).contains(&at) { 0 } else { at - DIFFERENCE_MS };
            for first in [starts, at + 1] {
                let last = first + DIFFERENCE_MS;
                let closes = watermarks.partition_point(|it| *it < last);
                let came = of_key.iter().filter(|it| it.0 <= closes && (first..=last).contains(&it.1));
                let inside: Vec<u64> = came.map(|it| it.2).collect();
                if number <= closes && !inside.is_empty() {
                    windows.insert(first, inside.iter().sum::<u64>());
                }
            }
        }
        rows.extend(windows.iter().map(|it| json!({"id": id, "window_start": it.0, "sum": it.1})));
    }
    rows
}

/// What windows of the last three records of a key write after every two: key, start and sum of each.
fn counts(visits: &[Value]) -> Vec<Value> {
    let mut seen = BTreeMap::<u64, Vec<(i64, u64)>>::new();
    let mut count = |visit: &Value| {
        let (id, at, n) = parts(visit);
        let of_key = seen.entry(id).or_default();
        of_key.push((at, n));
        let last = &of_key[of_key.len().saturating_sub(3)..];
        let (start, sum) = (last.iter().map(|it| it.0).min(), last.iter().map(|it| it.1).sum::<u64>());
        of_key.len().is_multiple_of(2).then(|| json!({"id": id, "window_start": start, "sum": sum}))
    };
    visits.iter().filter_map(&mut count).collect()
}

fn parts(visit: &Value) -> (u64, i64, u64) {
    let number = |name: &str| visit[name].as_i64().expect("a number");
    (number("id") as u64, number("at"), number("n") as u64)
}

/// Windows of a few hundred keys fit, and there are thousands; some close in the middle of a batch, before records that are late for them.
#[test]
fn windows_larger_than_memory_are_right_whenever_the_process_is_killed() {
    let mut random = Random::new(settings::seed("windows on the disk"));
    let visits = visits(&mut random, 12_000);
    let points = ["persist.in-file", "persist.after-manifest-rename", "current.after-rename", "stage.done"];
    let rows = "select = { id = \"id\", window_start = \"window_start\", sum = \"sum\" }\n";
    let windows = [
        ("{ tumbling = \"20s\" }", rows, sums(&visits, SIZE_MS)),
        ("{ hopping = \"20s\", slide = \"5s\" }", rows, sums(&visits, 5_000)),
        ("{ session = \"15s\" }", rows, sessions(&visits)),
        ("{ tumbling = \"20s\" }\nallowed_lateness = \"10s\"", rows, results(&visits)),
        ("{ rolling = \"20s\" }", "", answers(&visits)),
        ("{ count = 3, every = 2 }", rows, counts(&visits)),
        ("{ sliding = \"5s\" }", rows, slides(&visits)),
    ];
    for (window, select, expected) in windows {
        let folder = Folder::new();
        let step = format!(
            "[steps.step]\nfrom = \"in\"\nkey = \"id\"\nwindow = {window}\naggregate = {{ sum = \"sum(n)\" }}\n{select}"
        );
        let (mut killed, mut spilled) = (0, false);
        folder.write("pipeline.toml", pipeline("windows", "memory = \"192KiB\"", &step).replace("200ms", "20ms"));
        for (life, point) in points.iter().enumerate() {
            folder.write_lines("in.jsonl", &visits[..visits.len() * (life + 1) / points.len()]);
            let workers = random.within(1..4).to_string();
            let run =
                folder.run("pipeline.toml").args(["--available-now", "--workers", &workers]).set("batch_rows_max", 256);
            let ended = run.dying_at(&format!("{point}:{}", random.within(1..4))).end();
            println!("{window}: {point} with {workers} workers: killed {}", ended.was_killed());
            killed += usize::from(ended.was_killed());
            spilled |= folder.path("data/windows/scratch").read_dir().is_ok_and(|mut it| it.next().is_some());
        }
        assert!(killed > 0 && spilled, "{killed} lives were killed, and state was on the disk: {spilled}");
        folder.run("pipeline.toml").args(["--workers", "2"]).until_end();
        same_records(window, &folder.records("out"), &expected);
        assert!(scratch_is_empty(&folder, "windows"), "scratch space is given back at the end");
    }
}

#[test]
fn windows_that_do_not_fit_end_the_pipeline_with_the_step_and_what_to_do() {
    let folder = Folder::new();
    let events: Vec<Value> = (0..20_000).map(|id| json!({"id": id, "at": id})).collect();
    folder.write_lines("in.jsonl", &events);
    // All of its windows may have to be written at any moment, so they stay in memory.
    let step = "[steps.step]\nfrom = \"in\"\nkey = \"id\"\nwindow = { tumbling = \"1h\" }\naggregate = { n = \"count()\" }\n\
                emit = { every = \"1h\", unchanged = true }\n";
    folder.write("pipeline.toml", pipeline("wide", "memory = \"256KiB\"", step));
    let ended = folder.run("pipeline.toml").args(["--until-end"]).end().expect_code(70);
    let ended = ended.expect_error(&["step `step`", "windows", "`memory` = 256.0 KiB", "raise `memory`"]);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.tails());
    assert!(folder.lines("out").is_empty(), "it ended early");
    // Nothing is lost: with more memory it goes on.
    folder.run("pipeline.toml").set("memory", "64MiB").until_end();
    let expected: Vec<Value> =
        (0..20_000).map(|id| json!({"id": id, "window_start": 0, "window_end": 3_600_000, "n": 1})).collect();
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
