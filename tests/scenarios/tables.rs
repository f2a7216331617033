//! Two tables joined by a foreign key, compared with the join of what the two hold at the end: for any workers and batches, whenever the
//! process is killed, and whichever side changes.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use wasmill::pipeline::rehearsal::{Given, Rehearsal};
use wasmill_tests::folder::Folder;
use wasmill_tests::random::Random;
use wasmill_tests::settings;

const PARTITIONS: u64 = 3;
const ORDERS: u64 = 60;
const CUSTOMERS: u64 = 12;

/// Changes of orders, which name a customer or none, and of customers, some of which are deleted. Each order has a note of so many bytes.
fn changes(random: &mut Random, count: u64, note: usize) -> (Vec<Value>, Vec<Value>) {
    let (mut orders, mut customers) = (Vec::new(), Vec::new());
    for number in 0..count {
        let customer = random.within(0..CUSTOMERS + 1);
        let named = if customer == CUSTOMERS { Value::Null } else { json!(format!("c{customer}")) };
        orders.push(json!({"id": random.within(0..ORDERS), "customer": named, "n": number, "note": format!("{number:-<note$}")}));
        if number % 3 == 0 {
            let row = json!({"name": format!("c{}", random.within(0..CUSTOMERS)), "level": number});
            let (op, before, after) = if random.one_in(4) { ("d", row, Value::Null) } else { ("u", Value::Null, row) };
            customers
                .push(json!({"op": op, "before": before, "after": after, "ts_ms": number, "source": {"table": "c"}}));
        }
    }
    (orders, customers)
}

/// The name of the customer that a change is of.
fn name(change: &Value) -> &str {
    let row = if change["op"] == "d" { &change["before"] } else { &change["after"] };
    row["name"].as_str().expect("a customer has a name")
}

fn write(folder: &Folder, orders: &[Value], customers: &[Value]) {
    for partition in 0..PARTITIONS {
        let of = |number: u64| number % PARTITIONS == partition;
        let mine = orders.iter().filter(|it| of(it["id"].as_u64().expect("a number")));
        folder.write_lines(&format!("orders/{partition}.jsonl"), mine);
        let mine = customers.iter().filter(|it| of(u64::from(name(it).as_bytes()[1])));
        folder.write_lines(&format!("customers/{partition}.jsonl"), mine);
    }
}

const PIPELINE: &str = r#"
name = "tables"
checkpoint_interval = "20ms"
[sources.orders]
connector = "file"
path = "orders"
[sources.customers]
connector = "file"
path = "customers"
format = "debezium"
[steps.enriched]
from = "orders"
join = { with = "customers", on = { customer = "name" }, key = "id", type = "left" }
select = { id = "left.id", n = "left.n", note = "left.note", level = "right.level" }
[sinks.out]
from = "enriched"
connector = "file"
path = "out"
"#;

/// The last row of each order, and the level of the customer that it names.
fn joined(orders: &[Value], customers: &[Value]) -> BTreeMap<u64, Value> {
    let levels: BTreeMap<&str, &Value> = customers.iter().map(|it| (name(it), &it["after"]["level"])).collect();
    let level = |order: &Value| order["customer"].as_str().and_then(|it| levels.get(it).copied()).cloned();
    let row =
        |it: &Value| json!({"id": it["id"], "n": it["n"], "note": it["note"], "level": level(it).unwrap_or_default()});
    orders.iter().map(|it| (it["id"].as_u64().expect("a number"), row(it))).collect()
}

/// What a reader of the output has at its end.
fn held(folder: &Folder) -> BTreeMap<u64, Value> {
    folder.records("out").into_iter().map(|it| (it["id"].as_u64().expect("a number"), it)).collect()
}

#[test]
fn the_result_is_the_join_of_the_two_tables_for_any_workers_and_batches() {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("tables"));
    let (orders, customers) = changes(&mut random, 3_000, 8);
    write(&folder, &orders, &customers);
    folder.write("pipeline.toml", PIPELINE);
    for (workers, batch) in [(1, 1), (1, 4_096), (2, 1), (2, 64), (4, 3), (4, 4_096)] {
        println!("{workers} workers, batches of {batch}");
        for path in ["data", "out"] {
            let _ = std::fs::remove_dir_all(folder.path(path));
        }
        folder
            .run("pipeline.toml")
            .args(["--workers".to_owned(), workers.to_string()])
            .set("batch_rows_max", batch)
            .until_end();
        assert_eq!(held(&folder), joined(&orders, &customers));
    }
}

#[test]
fn the_result_is_right_whenever_the_process_is_killed() {
    killed("", 8);
}

/// Orders alone are more than twice of what may be in memory.
#[test]
fn the_result_is_right_where_the_tables_are_larger_than_memory() {
    killed("memory = \"192KiB\"\n", 4_000);
}

fn killed(memory: &str, note: usize) {
    let folder = Folder::new();
    let mut random = Random::new(settings::seed("tables killed"));
    let (orders, customers) = changes(&mut random, 4_000, note);
    folder.write("pipeline.toml", PIPELINE.replace("checkpoint_interval", &format!("{memory}checkpoint_interval")));
    let points = ["persist.in-file", "persist.after-manifest-rename", "current.after-rename", "stage.done"];
    for (life, point) in points.iter().enumerate() {
        let part = |all: &[Value]| all[..all.len() * (life + 1) / points.len()].to_vec();
        write(&folder, &part(&orders), &part(&customers));
        let workers = random.within(1..5).to_string();
        let run =
            folder.run("pipeline.toml").args(["--available-now", "--workers", &workers]).set("batch_rows_max", 16);
        let ended = run.dying_at(&format!("{point}:{}", random.within(1..4))).end();
        println!("{point} with {workers} workers: killed {}", ended.was_killed());
    }
    folder.run("pipeline.toml").args(["--workers", "3"]).until_end();
    assert_eq!(held(&folder), joined(&orders, &customers));
}

/// A pipeline of two tables whose records are handed in.
fn handed_in(kind: &str, condition: &str) -> String {
    let source = |name: &str| format!("[sources.{name}]\nconnector = \"generator\"\nkind = \"sensors\"\n");
    format!(
        "name = \"tables\"\n{}{}[steps.j]\nfrom = \"l\"\n\
         join = {{ with = \"r\", on = {{ a = \"x\", b = \"y\" }}, key = [\"id\", \"part\"], type = \"{kind}\" }}\n{condition}\
         select = {{ n = \"left.n\", level = \"right.level\" }}\n[sinks.out]\nfrom = \"j\"\nconnector = \"stdout\"\n",
        source("l"),
        source("r")
    )
}

#[test]
fn rows_that_are_no_more_end_with_tombstones_of_their_keys() {
    let mut random = Random::new(settings::seed("tables ends"));
    let conditions = ["", "where = \"left.n >= 30 or right.level < 100\"\n"];
    for (kind, condition) in [("inner", 0), ("left", 0), ("inner", 1), ("left", 1)] {
        let folder = tempfile::tempdir().expect("a folder");
        let text = handed_in(kind, conditions[condition]);
        let pipeline = wasmill::config::parse(&text, "tables.toml", Path::new(""), &[]).expect("a pipeline");
        let mut rehearsal = Rehearsal::new(pipeline, 2, 2, folder.path()).expect("it starts");
        let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
        let mut out: BTreeMap<String, Value> = BTreeMap::new();
        for number in 0..600 {
            let (id, end) = (random.within(0..8), random.one_in(4));
            let part = if id % 2 == 0 { "p" } else { "q" };
            let (a, b) = (random.within(0..3), random.within(0..2));
            let (source, key, value) = if random.one_in(3) {
                let row = json!({"x": a, "y": b, "level": number});
                if end {
                    right.remove(&(a, b))
                } else {
                    right.insert((a, b), row.clone())
                };
                (1, json!({"x": a, "y": b}), row)
            } else {
                let row = json!({"id": id, "part": part, "a": a, "b": b, "n": number % 60});
                let key = json!([id, part]).to_string();
                if end {
                    left.remove(&key)
                } else {
                    left.insert(key, ((a, b), row.clone()))
                };
                (0, json!({"id": id, "part": part}), row)
            };
            let partition = if source == 0 { id as i32 % 2 } else { a as i32 % 2 };
            let value = (!end).then(|| value.to_string().into_bytes());
            let given = Given { key: Some(key.to_string().into_bytes()), value, timestamp: number };
            rehearsal.records(source, partition, &[given]).expect("it runs");
            if random.one_in(60) {
                rehearsal.restart(random.within(1..5) as usize).expect("it starts again");
            }
            for written in rehearsal.take_written() {
                let key = String::from_utf8(written.key.expect("a key")).expect("text");
                match written.value {
                    Some(value) => drop(out.insert(key, wasmill_tests::json::parse(&String::from_utf8_lossy(&value)))),
                    None => assert!(out.remove(&key).is_some(), "{key} ended, and was not there"),
                }
            }
            let row = |(names, row): &((u64, u64), Value)| {
                let level = right.get(names).map_or(Value::Null, |it| it["level"].clone());
                let shown =
                    condition == 0 || row["n"].as_i64() >= Some(30) || level.as_i64().is_some_and(|it| it < 100);
                (shown && (kind == "left" || !level.is_null())).then(|| json!({"n": row["n"], "level": level}))
            };
            let expected: BTreeMap<_, _> = left.iter().filter_map(|(key, it)| Some((key.clone(), row(it)?))).collect();
            assert_eq!(out, expected, "{kind}, after {number}\n{text}");
        }
    }
}

#[test]
fn what_reads_a_join_of_two_tables_is_a_sink() {
    let folder = Folder::new();
    write(&folder, &[], &[]);
    let counted = "[steps.counted]\nfrom = \"enriched\"\nwindow = { tumbling = \"1m\" }\naggregate = { n = \"count()\" }\n\
                   [sinks.counted]\nfrom = \"counted\"\nconnector = \"stdout\"\n";
    folder.write("pipeline.toml", format!("{PIPELINE}{counted}"));
    let ended = folder.run("pipeline.toml").args(["--until-end"]).end().expect_code(78);
    let said = "step `counted` reads `enriched`, whose results replace each other: they go to sinks only";
    assert!(ended.stderr.contains(said), "{}", ended.tails());
}
