//! Joins of two streams and of a stream with a table, compared with naive computations: for any workers and batches, and whenever
//! the process is killed.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use wasmill_tests::compare::same_records;
use wasmill_tests::folder::Folder;
use wasmill_tests::random::Random;
use wasmill_tests::settings;
use wasmill_tests::stream::{DELAY_MS, Event, events, of_partition};

const PARTITIONS: usize = 3;
const USERS: u64 = 40;
const BEFORE_MS: i64 = 1_500;
const AFTER_MS: i64 = 4_000;

/// One input: its records, some of them without a user.
fn stream(random: &mut Random, count: u64) -> Vec<(Event, bool)> {
    let events = events(random, count, USERS, PARTITIONS);
    events.into_iter().map(|it| (it, random.one_in(50))).collect()
}

fn record((event, nobody): &(Event, bool)) -> Value {
    let mut record = event.json();
    if *nobody {
        record["user"] = Value::Null;
    }
    record
}

fn write(folder: &Folder, name: &str, stream: &[(Event, bool)]) {
    for partition in 0..PARTITIONS {
        let lines: Vec<Value> = stream.iter().filter(|it| it.0.partition == partition).map(record).collect();
        folder.write_lines(&format!("{name}/{partition}.jsonl"), &lines);
    }
}

/// The rows of a join of two streams, whole.
fn joined(left: &[(Event, bool)], right: &[(Event, bool)], keeps: [bool; 2]) -> Vec<Value> {
    let near = |left: &Event, right: &Event| {
        left.user == right.user && left.at - BEFORE_MS <= right.at && right.at <= left.at + AFTER_MS
    };
    let mut rows = Vec::new();
    let mut matched = vec![false; right.len()];
    for from in left {
        let mut any = false;
        for (with, matched) in right.iter().zip(&mut matched) {
            if !from.1 && !with.1 && near(&from.0, &with.0) {
                rows.push(json!({"left": record(from), "right": record(with)}));
                (any, *matched) = (true, true);
            }
        }
        if !any && keeps[0] {
            rows.push(json!({"left": record(from), "right": null}));
        }
    }
    let alone = right.iter().zip(&matched).filter(|it| !it.1 && keeps[1]);
    rows.extend(alone.map(|it| json!({"left": null, "right": record(it.0)})));
    rows
}

fn pipeline() -> String {
    let mut text = String::from("name = \"joins\"\ncheckpoint_interval = \"20ms\"\n");
    for source in ["orders", "clicks"] {
        let _ = write!(
            text,
            "\n[sources.{source}]\nconnector = \"file\"\npath = \"{source}\"\nevent_time = {{ field = \"at\", delay = \
             \"{DELAY_MS}ms\", idle_timeout = \"never\" }}\n"
        );
    }
    for kind in ["inner", "left", "outer"] {
        let _ = write!(
            text,
            "\n[steps.{kind}]\nfrom = \"orders\"\njoin = {{ with = \"clicks\", on = \"user\", type = \"{kind}\", within = {{ before = \
             \"{BEFORE_MS}ms\", after = \"{AFTER_MS}ms\" }} }}\n\n[sinks.{kind}]\nfrom = \"{kind}\"\nconnector = \"file\"\npath = \
             \"out/{kind}\"\n"
        );
    }
    text
}

fn check(folder: &Folder, left: &[(Event, bool)], right: &[(Event, bool)]) {
    for (kind, keeps) in [("inner", [false, false]), ("left", [true, false]), ("outer", [true, true])] {
        same_records(kind, &folder.records(&format!("out/{kind}")), &joined(left, right, keeps));
    }
}

#[test]
fn two_streams_are_joined_the_same_for_any_workers_and_batches() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("joins"));
    let (left, right) = (stream(&mut random, 1_500), stream(&mut random, 1_500));
    write(&folder, "orders", &left);
    write(&folder, "clicks", &right);
    folder.write("pipeline.toml", pipeline());
    for workers in [1, 2, 4] {
        for batch in [1, 64, 4_096] {
            println!("{workers} workers, batches of {batch}");
            for path in ["data", "out"] {
                let _ = std::fs::remove_dir_all(folder.path(path));
            }
            folder
                .run("pipeline.toml")
                .args(["--workers".to_owned(), workers.to_string()])
                .set("batch_rows_max", batch)
                .until_end();
            check(&folder, &left, &right);
        }
    }
}

#[test]
fn a_join_counts_every_record_once_whenever_the_process_is_killed() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("joins killed"));
    let (left, right) = (stream(&mut random, 4_000), stream(&mut random, 4_000));
    folder.write("pipeline.toml", pipeline());
    let points = [
        "persist.in-file",
        "persist.after-manifest-rename",
        "current.before-rename",
        "current.after-rename",
        "publish.done",
        "stage.done",
    ];
    for (life, point) in points.iter().enumerate() {
        // The input grows from life to life.
        let part = |stream: &[(Event, bool)]| stream[..stream.len() * (life + 1) / points.len()].to_vec();
        write(&folder, "orders", &part(&left));
        write(&folder, "clicks", &part(&right));
        let workers = random.within(1..4).to_string();
        let run =
            folder.run("pipeline.toml").args(["--available-now", "--workers", &workers]).set("batch_rows_max", 16);
        let ended = run.dying_at(&format!("{point}:{}", random.within(1..4))).end();
        println!("{point} with {workers} workers: killed {}", ended.was_killed());
    }
    folder.run("pipeline.toml").args(["--workers", "2"]).until_end();
    check(&folder, &left, &right);
}

#[test]
fn a_stream_is_joined_with_what_another_step_keyed() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("joins keyed"));
    let (left, right) = (stream(&mut random, 2_000), stream(&mut random, 2_000));
    write(&folder, "orders", &left);
    write(&folder, "clicks", &right);
    // By an id of their own, so that the clicks take another way than the orders and their barriers another time.
    let counted = "[steps.counted]\nfrom = \"clicks\"\nkey = \"id\"\nwindow = { rolling = \"1s\" }\naggregate = { n = \"count()\" }\n";
    let text = pipeline().replace("with = \"clicks\"", "with = \"counted\"");
    folder.write("pipeline.toml", format!("{text}\n{counted}").replace("20ms", "1ms"));
    for workers in ["1", "4"] {
        for path in ["data", "out"] {
            let _ = std::fs::remove_dir_all(folder.path(path));
        }
        folder.run("pipeline.toml").args(["--workers", workers]).set("batch_rows_max", 3).until_end();
        for (kind, keeps) in [("inner", [false, false]), ("left", [true, false]), ("outer", [true, true])] {
            let mut expected = joined(&left, &right, keeps);
            for row in expected.iter_mut().filter(|it| !it["right"].is_null()) {
                row["right"]["n"] = json!(1);
            }
            same_records(kind, &folder.records(&format!("out/{kind}")), &expected);
        }
    }
}

/// A record and which input it is of.
type OfSide<'a> = (usize, &'a (Event, bool));

/// Which records of two streams share a window.
#[derive(Clone, Copy)]
enum Within {
    Hopping { size: i64, slide: i64 },
    Session { gap: i64 },
}

/// The rows of a join of two streams within windows.
fn windowed(left: &[(Event, bool)], right: &[(Event, bool)], within: Within, keeps: [bool; 2]) -> Vec<Value> {
    // By key; a record without one is alone, and so has a key of its own.
    let mut by_key: BTreeMap<String, Vec<OfSide<'_>>> = BTreeMap::new();
    for (side, stream) in [left, right].into_iter().enumerate() {
        for it in stream {
            let key = if it.1 { format!("nobody {side} {}", it.0.id) } else { it.0.user.clone() };
            by_key.entry(key).or_default().push((side, it));
        }
    }
    let mut rows = Vec::new();
    for mut records in by_key.into_values() {
        records.sort_by_key(|it| it.1.0.at);
        for (start, end) in windows(&records, within) {
            let in_it = |it: &&OfSide<'_>| start <= it.1.0.at && it.1.0.at < end;
            let [lefts, rights] =
                [0, 1].map(|side| records.iter().filter(in_it).filter(|it| it.0 == side).collect::<Vec<_>>());
            let mut push = |left: Value, right: Value| {
                rows.push(json!({"left": left, "right": right, "window_start": start, "window_end": end}));
            };
            for left in &lefts {
                rights.iter().for_each(|right| push(record(left.1), record(right.1)));
            }
            if rights.is_empty() && keeps[0] {
                lefts.iter().for_each(|it| push(record(it.1), Value::Null));
            }
            if lefts.is_empty() && keeps[1] {
                rights.iter().for_each(|it| push(Value::Null, record(it.1)));
            }
        }
    }
    rows
}

/// The windows of a key's records, which are in order of time.
fn windows(records: &[OfSide<'_>], within: Within) -> Vec<(i64, i64)> {
    let mut windows: Vec<(i64, i64)> = Vec::new();
    for at in records.iter().map(|it| it.1.0.at) {
        match (within, windows.last_mut()) {
            (Within::Hopping { size, slide }, _) => {
                let last = at.div_euclid(slide) * slide;
                windows.extend((0..size / slide).map(|it| (last - it * slide, last - it * slide + size)));
            }
            (Within::Session { gap }, Some(last)) if at < last.1 => last.1 = at + gap,
            (Within::Session { gap }, _) => windows.push((at, at + gap)),
        }
    }
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// Joins within windows, by the name of the step: how they are written, what they are, and which sides go on alone.
const WINDOWED: [(&str, &str, Within, [bool; 2]); 3] = [
    ("inner", "tumbling = \"5s\"", Within::Hopping { size: 5_000, slide: 5_000 }, [false, false]),
    ("left", "hopping = \"6s\", slide = \"2s\"", Within::Hopping { size: 6_000, slide: 2_000 }, [true, false]),
    ("outer", "session = \"900ms\"", Within::Session { gap: 900 }, [true, true]),
];

fn windowed_pipeline() -> String {
    let mut text = pipeline();
    for (kind, within, ..) in WINDOWED {
        let interval =
            format!("type = \"{kind}\", within = {{ before = \"{BEFORE_MS}ms\", after = \"{AFTER_MS}ms\" }}");
        let replaced = text.replace(&interval, &format!("type = \"{kind}\", within = {{ {within} }}"));
        assert_ne!(replaced, text);
        text = replaced;
    }
    text
}

#[test]
fn two_streams_are_joined_within_windows_the_same_for_any_workers_and_batches() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("joins windows"));
    let (left, right) = (stream(&mut random, 1_000), stream(&mut random, 1_000));
    write(&folder, "orders", &left);
    write(&folder, "clicks", &right);
    folder.write("pipeline.toml", windowed_pipeline());
    for (workers, batch) in [(1, 1), (1, 4_096), (2, 1), (2, 64), (4, 7), (4, 4_096)] {
        println!("{workers} workers, batches of {batch}");
        for path in ["data", "out"] {
            let _ = std::fs::remove_dir_all(folder.path(path));
        }
        folder
            .run("pipeline.toml")
            .args(["--workers".to_owned(), workers.to_string()])
            .set("batch_rows_max", batch)
            .until_end();
        for (kind, _, within, keeps) in WINDOWED {
            same_records(kind, &folder.records(&format!("out/{kind}")), &windowed(&left, &right, within, keeps));
        }
    }
}

#[test]
fn a_window_of_a_join_is_written_once_whenever_the_process_is_killed() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("joins windows killed"));
    let (left, right) = (stream(&mut random, 2_000), stream(&mut random, 2_000));
    folder.write("pipeline.toml", windowed_pipeline());
    let points = ["persist.in-file", "persist.after-manifest-rename", "current.after-rename", "stage.done"];
    for (life, point) in points.iter().enumerate() {
        let part = |stream: &[(Event, bool)]| stream[..stream.len() * (life + 1) / points.len()].to_vec();
        write(&folder, "orders", &part(&left));
        write(&folder, "clicks", &part(&right));
        let workers = random.within(1..4).to_string();
        let run =
            folder.run("pipeline.toml").args(["--available-now", "--workers", &workers]).set("batch_rows_max", 16);
        let ended = run.dying_at(&format!("{point}:{}", random.within(1..4))).end();
        println!("{point} with {workers} workers: killed {}", ended.was_killed());
    }
    folder.run("pipeline.toml").args(["--workers", "2"]).until_end();
    for (kind, _, within, keeps) in WINDOWED {
        same_records(kind, &folder.records(&format!("out/{kind}")), &windowed(&left, &right, within, keeps));
    }
}

#[test]
fn the_window_of_a_joined_row_is_a_field_like_any_other() {
    let folder = Folder::new();
    let of_user = |id: i64, at: i64| json!({"id": id, "user": "ann", "at": at});
    folder.write_lines("orders.jsonl", &[of_user(1, 10), of_user(2, 70_000)]);
    folder.write_lines("clicks.jsonl", &[of_user(7, 12), of_user(8, 130_000)]);
    let source = |name: &str| {
        format!("[sources.{name}]\nconnector = \"file\"\npath = \"{name}.jsonl\"\nevent_time = {{ field = \"at\" }}\n")
    };
    let text = format!(
        r#"
name = "windows"
{}{}
[steps.visits]
from = "orders"
join = {{ with = "clicks", on = "user", type = "outer", within = {{ tumbling = "1m" }} }}
where = "window_start > 0"
select = {{ until = "window_end", order = "left.id", click = "right.id" }}
[steps.counted]
from = "visits"
window = {{ tumbling = "10m" }}
aggregate = {{ last = "max(until)", n = "count()" }}
[sinks.counted]
from = "counted"
connector = "file"
path = "out/counted"
[sinks.visits]
from = "visits"
connector = "file"
path = "out/visits"
"#,
        source("orders"),
        source("clicks")
    );
    folder.write("pipeline.toml", text);
    folder.run("pipeline.toml").until_end();
    let visits =
        [json!({"until": 120_000, "order": 2, "click": null}), json!({"until": 180_000, "order": null, "click": 8})];
    same_records("visits", &folder.records("out/visits"), &visits);
    let counted = json!({"window_start": 0, "window_end": 600_000, "last": 180_000, "n": 2});
    same_records("counted", &folder.records("out/counted"), &[counted]);
}

/// The versions of some customers, by time; `None` deletes.
fn versions(random: &mut Random, events: &[Event]) -> Vec<(Event, bool)> {
    events.iter().cloned().map(|it| (it, random.one_in(8))).collect()
}

#[test]
fn a_record_meets_the_customer_of_its_time_for_any_workers_and_batches() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("as of"));
    let orders = events(&mut random, 2_000, USERS, PARTITIONS);
    let changes = events(&mut random, 800, USERS, PARTITIONS);
    let customers = versions(&mut random, &changes);
    for partition in 0..PARTITIONS {
        let lines: Vec<Value> = of_partition(&orders, partition).map(Event::json).collect();
        folder.write_lines(&format!("orders/{partition}.jsonl"), &lines);
        let lines: Vec<Value> =
            customers.iter().filter(|it| it.0.partition == partition).map(|it| change(&it.0, it.1)).collect();
        folder.write_lines(&format!("customers/{partition}.jsonl"), &lines);
    }
    folder.write(
        "pipeline.toml",
        format!(
            r#"
name = "as-of"
checkpoint_interval = "20ms"

[sources.orders]
connector = "file"
path = "orders"
event_time = {{ field = "at", delay = "{DELAY_MS}ms", idle_timeout = "never" }}

[sources.customers]
connector = "file"
path = "customers"
format = "debezium"
event_time = {{ delay = "{DELAY_MS}ms", idle_timeout = "never" }}

[steps.enriched]
from = "orders"
join = {{ with = "customers", on = {{ user = "name" }}, type = "left", as_of = "event-time" }}
where = "left.amount >= 10 and (right.level <> 13 or right.level is null)"
select = {{ id = "left.id", level = "right.level" }}

[sinks.out]
from = "enriched"
connector = "file"
path = "out"
"#
        ),
    );
    let level = |order: &Event| {
        let of_user = customers.iter().filter(|it| it.0.user == order.user && it.0.at <= order.at);
        // Of two versions of one time the later one in the file counts.
        let newest = of_user.max_by_key(|it| (it.0.at, it.0.id))?;
        (!newest.1).then_some(newest.0.amount)
    };
    let expected: Vec<Value> = orders
        .iter()
        .map(|it| (it, level(it)))
        .filter(|(order, level)| order.amount >= 10 && *level != Some(13))
        .map(|(order, level)| json!({"id": order.id, "level": level}))
        .collect();
    for workers in [1, 2, 4] {
        for batch in [1, 4_096] {
            println!("{workers} workers, batches of {batch}");
            for path in ["data", "out"] {
                let _ = std::fs::remove_dir_all(folder.path(path));
            }
            folder
                .run("pipeline.toml")
                .args(["--workers".to_owned(), workers.to_string()])
                .set("batch_rows_max", batch)
                .until_end();
            same_records("enriched", &folder.records("out"), &expected);
        }
    }
}

/// A change of a customer in Debezium's envelope.
fn change(event: &Event, deleted: bool) -> Value {
    let row = json!({"name": event.user, "level": event.amount});
    let (op, before, after) = if deleted { ("d", row, Value::Null) } else { ("u", Value::Null, row) };
    json!({"before": before, "after": after, "op": op, "ts_ms": event.at, "source": {"table": "customers"}})
}

#[test]
fn the_conditions_of_steps_drop_what_they_are_not_true_for() {
    let folder = Folder::new();
    let records = [
        json!({"id": 1, "amount": 150, "country": "FR", "note": "x"}),
        json!({"id": 2, "amount": 100, "country": "FR", "note": "x"}),
        json!({"id": 3, "amount": 150.5, "country": "IT", "note": "x"}),
        json!({"id": 4, "amount": 101, "country": "DE"}),
        json!({"id": 5, "country": "DE", "note": "x"}),
        json!({"id": 6, "amount": 1e3, "country": "DE", "note": ""}),
        json!({"id": 7, "amount": "200", "country": "DE", "note": ""}),
    ];
    folder.write_lines("in.jsonl", &records);
    folder.write(
        "pipeline.toml",
        r#"
name = "where"
[sources.in]
connector = "file"
path = "in.jsonl"
[steps.large]
from = "in"
where = "amount > 100 and country in ('FR', 'DE') and note is not null"
[sinks.out]
from = "large"
connector = "stdout"
"#,
    );
    let ended = folder.run("pipeline.toml").until_end();
    let found: Vec<Value> = ended.stdout.lines().map(wasmill_tests::json::parse).collect();
    same_records("where", &found, &[records[0].clone(), records[5].clone()]);
    assert!(ended.stderr.contains("filtered=5"), "{}", ended.tails());
}

#[test]
fn a_whole_side_of_a_joined_row_is_an_object_to_the_steps_after_it() {
    let folder = Folder::new();
    let of_user = |id: i64, at: i64| json!({"id": id, "user": "ann", "at": at});
    folder.write_lines("orders.jsonl", &[of_user(1, 10), of_user(2, 20)]);
    folder.write_lines("clicks.jsonl", &[of_user(7, 12), of_user(8, 5_000)]);
    let text = pipeline()
        .replace("\"orders\"\nevent", "\"orders.jsonl\"\nevent")
        .replace("\"clicks\"\nevent", "\"clicks.jsonl\"\nevent");
    let counted = "[steps.counted]\nfrom = \"left\"\nkey = \"left.user\"\nwindow = { tumbling = \"1m\" }\n\
                   aggregate = { orders = \"collect(left)\", click = \"last(right)\", n = \"distinct(left)\" }\n\
                   [sinks.counted]\nfrom = \"counted\"\nconnector = \"file\"\npath = \"out/counted\"\n";
    folder.write("pipeline.toml", format!("{text}\n{counted}"));
    folder.run("pipeline.toml").until_end();
    let expected = json!({
        "left": {"user": "ann"}, "window_start": 0, "window_end": 60_000, "orders": [of_user(1, 10), of_user(2, 20)],
        "click": of_user(7, 12), "n": 2,
    });
    same_records("counted", &folder.records("out/counted"), &[expected]);

    let misbehaving = settings::plugin("misbehaving");
    let rule = format!(
        "[steps.rule]\nfrom = \"left\"\nplugin = \"{}\"\nconfig = {{ mode = \"none\", when = {{ field = \"left\", every = 2 }} }}\n\
         [sinks.rule]\nfrom = \"rule\"\nconnector = \"stdout\"\n",
        misbehaving.display()
    );
    folder.write("refused.toml", format!("{text}\n{rule}"));
    let ended = folder.run("refused.toml").args(["--until-end"]).end().expect_code(78);
    let said = "step `rule`: its plugin reads `left` as s64, but that is a whole record: read it as json, or its fields as \
                `left.FIELD`";
    assert!(ended.stderr.contains(said), "{}", ended.tails());
}

#[test]
fn a_table_that_is_read_first_is_there_for_every_record_whatever_the_workers_and_batches() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("read first"));
    let orders = events(&mut random, 1_000, USERS, PARTITIONS);
    for partition in 0..PARTITIONS {
        let lines: Vec<Value> = of_partition(&orders, partition).map(Event::json).collect();
        folder.write_lines(&format!("orders/{partition}.jsonl"), &lines);
    }
    // Many more than the orders, without a time, each user's last one last.
    let levels: Vec<Value> =
        (0..20_000).map(|it| json!({"name": format!("user-{}", it % USERS), "level": it / 2})).collect();
    folder.write_lines("levels.jsonl", &levels);
    let pipeline = |first: bool| {
        format!(
            r#"
name = "lookup"
checkpoint_interval = "20ms"
[sources.orders]
connector = "file"
path = "orders"
event_time = {{ field = "at", delay = "{DELAY_MS}ms", idle_timeout = "never" }}
[sources.levels]
connector = "file"
path = "levels.jsonl"
read_first = {first}
[steps.named]
from = "orders"
join = {{ with = "levels", on = {{ user = "name" }}, type = "left", as_of = "latest" }}
[steps.counted]
from = "named"
key = "left.user"
window = {{ tumbling = "5s" }}
aggregate = {{ n = "count()", level = "max(right.level)" }}
[sinks.out]
from = "named"
connector = "file"
path = "out"
select = {{ id = "left.id", level = "right.level" }}
[sinks.counted]
from = "counted"
connector = "file"
path = "counted"
"#
        )
    };
    let level =
        |levels: &[Value], user: &str| levels.iter().rev().find(|it| it["name"] == user).map(|it| it["level"].clone());
    let expected: Vec<Value> =
        orders.iter().map(|it| json!({"id": it.id, "level": level(&levels, &it.user)})).collect();
    for workers in ["1", "2", "4"] {
        for batch in [7, 4_096] {
            println!("{workers} workers, batches of {batch}");
            for path in ["data", "out", "counted"] {
                let _ = std::fs::remove_dir_all(folder.path(path));
            }
            folder.write("pipeline.toml", pipeline(true));
            let run = folder.run("pipeline.toml").args(["--available-now", "--workers", workers]);
            run.set("batch_rows_max", batch).end().expect_code(0);
            same_records("looked up", &folder.records("out"), &expected);
            let closed = folder.records("counted").len();
            assert!(closed > 40, "the table holds no time back: {closed} windows have closed");
        }
    }
    // Without it, the first orders are read beside the first levels.
    for path in ["data", "out", "counted"] {
        let _ = std::fs::remove_dir_all(folder.path(path));
    }
    folder.write("pipeline.toml", pipeline(false));
    folder.run("pipeline.toml").args(["--workers", "1"]).set("batch_rows_max", 7).until_end();
    assert_ne!(folder.records("out"), expected);
}
