//! Cases with a form of their own: a table of small examples each.

use super::joins;
use super::scenario::{Action, Expected, Order, Record, Row, Scenario, Unsupported};
use super::translate::{pipeline, records, session, tumbling};
use serde_json::{Value, json};

const END: Action = Action::Watermark { source: 0, input: None, at: i64::MAX };
const FAR: &str = "36500d";
const COUNT: &str = "aggregate = { n = \"count()\" }\n";

pub(super) fn scenarios(kind: &str, case: &Value) -> Result<Vec<Scenario>, Unsupported> {
    let examples = || case["cases"].as_array().into_iter().flatten();
    match kind {
        "assignment" => Ok(examples().map(assignment).collect()),
        "session-grouping" => Ok(examples().map(grouping).collect()),
        "merge" => Ok(examples().map(merge).collect()),
        "close-rule" => Ok(examples().map(close_rule).collect()),
        "watermark-generator" => Ok(examples().map(generator).collect()),
        "watermark-merge" => Ok(vec![valve(case)]),
        "partition-multiplexer" => Ok(examples().map(multiplexer).collect()),
        "join-window-modes" => joins::modes(case),
        other => Err(Unsupported(format!("a case of kind `{other}`"))),
    }
}

fn scenario(name: String, pipeline: String, steps: Vec<Vec<Action>>, expected: Expected) -> Scenario {
    Scenario {
        name,
        pipeline,
        partitions: 0,
        sources: 1,
        steps,
        expected,
        since_1970: false,
        fixed: false,
        notes: Vec::new(),
    }
}

fn rows(rows: Vec<Row>, order: Order) -> Expected {
    Expected::Rows { rows, order, more_late_panes: false, late: None, dropped: Vec::new() }
}

fn at(ts: &Value) -> Action {
    records(vec![Record::of(vec![("key", json!("k")), ("value", ts.clone()), ("ts", ts.clone())])])
}

fn bounds(window: &Value) -> Vec<(String, Value)> {
    vec![("window_start".to_owned(), window[0].clone()), ("window_end".to_owned(), window[1].clone())]
}

/// Which windows a time is in.
fn assignment(example: &Value) -> Scenario {
    let ms = |name: &str| example[name].as_i64().unwrap_or(0);
    let step = format!("window = {}\n{COUNT}", tumbling(ms("size_ms"), ms("offset_ms")));
    let windows = example["windows"].as_array().into_iter().flatten();
    let mut expected: Vec<Row> = windows.map(|it| Row { after_step: 1, fields: bounds(it) }).collect();
    if let Some(start) = example.get("window_start") {
        expected.push(Row { after_step: 1, fields: vec![("window_start".to_owned(), start.clone())] });
    }
    let steps = vec![vec![at(&example["ts"])], vec![END]];
    scenario(example.to_string(), pipeline(FAR, true, &step), steps, rows(expected, Order::Step))
}

/// Which times are one session.
fn grouping(example: &Value) -> Scenario {
    let gap_ms = example["gap_ms"].as_i64().unwrap_or(0);
    let step = format!("window = {}\n{COUNT}", session(gap_ms, false));
    let mut steps: Vec<Vec<Action>> =
        example["timestamps"].as_array().into_iter().flatten().map(|it| vec![at(it)]).collect();
    steps.push(vec![END]);
    let sessions = example["sessions"].as_array().into_iter().flatten();
    let expected = sessions.map(|it| {
        let mut fields = bounds(&it["window"]);
        fields.push(("n".to_owned(), json!(it["members"].as_array().map_or(0, Vec::len))));
        Row { after_step: steps.len() - 1, fields }
    });
    let expected = expected.collect();
    scenario(example.to_string(), pipeline(FAR, true, &step), steps, rows(expected, Order::Step))
}

/// What comes of sessions of any length, one after the other: each record says its own gap.
fn merge(example: &Value) -> Scenario {
    let step = format!(
        "window = {{ session = \"1ms\", gap = \"gap\", boundary = \"inclusive\" }}\nemit = \"on-update\"\n{COUNT}"
    );
    let add = |window: &Value| {
        let (start, end) = (window[0].as_i64().unwrap_or(0), window[1].as_i64().unwrap_or(0));
        vec![records(vec![Record::of(vec![("key", json!("k")), ("gap", json!(end - start)), ("ts", json!(start))])])]
    };
    let steps = example["add"].as_array().into_iter().flatten().map(add).collect();
    let results = example["results"].as_array().into_iter().flatten().enumerate();
    let expected = results.map(|(after_step, it)| Row { after_step, fields: bounds(it) }).collect();
    scenario(example.to_string(), pipeline(FAR, true, &step), steps, rows(expected, Order::Step))
}

/// A window `[0, 10)` is closed for the next record, or is not.
fn close_rule(example: &Value) -> Scenario {
    let ms = |name: &str| example[name].as_i64().unwrap_or(0);
    let lateness = match ms("L") {
        0 => String::new(),
        ms => format!("allowed_lateness = \"{ms}ms\"\n"),
    };
    let step = format!("window = {{ tumbling = \"10ms\" }}\n{lateness}{COUNT}");
    let steps = vec![vec![at(&json!(5))], vec![at(&example["max_ts"])], vec![at(&json!(6))]];
    let closed = usize::from(example["closed"] == true);
    let expected = Expected::Late(vec![(2, closed)]);
    let pipeline = pipeline(&format!("{}ms", ms("D")), true, &step);
    let mut scenario = scenario(example.to_string(), pipeline, steps, expected);
    scenario.partitions = 1;
    scenario
}

const TUMBLING: &str = "window = { tumbling = \"1s\" }\naggregate = { n = \"count()\" }\n";

/// The watermark after some times.
fn generator(example: &Value) -> Scenario {
    let events = example["events"].as_array().into_iter().flatten();
    let mut steps: Vec<Vec<Action>> = events.map(|it| vec![at(it)]).collect();
    steps.push(Vec::new());
    let times = vec![(steps.len() - 1, example["watermark"].as_i64(), None)];
    let delay = format!("{}ms", example["delay_ms"]);
    let mut scenario = scenario(example.to_string(), pipeline(&delay, true, TUMBLING), steps, Expected::Times(times));
    scenario.partitions = 1;
    scenario
}

/// The watermarks of several inputs joined into one.
fn valve(case: &Value) -> Scenario {
    let input = |of: &Value| of["input"].as_i64().unwrap_or(0) as i32;
    let number = |of: &Value| of.as_i64().map(|it| it as i32);
    let each = case["steps"].as_array().into_iter().flatten().map(|step| {
        vec![if let Some(at) = step["watermark"].as_i64() {
            Action::Watermark { source: 0, input: Some(input(step)), at }
        } else if let Some(input) = number(&step["idle"]) {
            Action::Idle { input, idle: true }
        } else {
            Action::Idle { input: number(&step["active"]).unwrap_or(0), idle: false }
        }]
    });
    let steps: Vec<_> = each.collect();
    // What is expected is said where it changes, and holds until then.
    let (mut watermark, mut idle) = (i64::MIN, false);
    let mut times = Vec::new();
    for step in 0..steps.len() {
        for of in case["expected"].as_array().into_iter().flatten().filter(|it| it["after_step"] == json!(step)) {
            watermark = of["watermark"].as_i64().unwrap_or(watermark);
            idle = of["status"].as_str().map_or(idle, |it| it == "idle");
        }
        times.push((step, Some(watermark), Some(idle)));
    }
    let mut scenario = scenario(String::new(), pipeline(FAR, true, TUMBLING), steps, Expected::Times(times));
    scenario.partitions = case["inputs"].as_i64().unwrap_or(1) as i32;
    scenario.fixed = true;
    scenario
}

/// Partitions of one source that come, go, rest and move time.
fn multiplexer(example: &Value) -> Scenario {
    let mut names: Vec<&str> = Vec::new();
    let mut steps = Vec::new();
    for op in example["ops"].as_array().into_iter().flatten() {
        let name = op[1].as_str().unwrap_or_default();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
        let input = names.iter().position(|it| *it == name).unwrap_or(0) as i32;
        steps.push(match op[0].as_str().unwrap_or_default() {
            "reg" => vec![Action::Assign { input, there: true }],
            "unreg" => vec![Action::Assign { input, there: false }],
            "idle" => vec![Action::Idle { input, idle: true }],
            "wm" => vec![Action::Watermark { source: 0, input: Some(input), at: op[2].as_i64().unwrap_or(0) }],
            _ => Vec::new(),
        });
    }
    let last = steps.len() - 1;
    let mut watermark = example["last_watermark"].as_i64().or(Some(i64::MIN));
    let mut notes = Vec::new();
    if example["ops"][last][0] == "unreg" {
        watermark = None;
        notes.push(
            "the watermark right after a partition has gone: it moves at once, not with the next record".to_owned(),
        );
    }
    let mut idle = example["idle"].as_bool();
    if names.is_empty() {
        idle = None;
        notes.push("a source without partitions, which is idle".to_owned());
    }
    let times = vec![(last, watermark, idle)];
    // No partition is there before it comes.
    let everything = (0..names.len().max(1) as i32).map(|input| Action::Assign { input, there: false });
    steps[0].splice(0..0, everything);
    let name = example["name"].as_str().unwrap_or_default().to_owned();
    let mut scenario = scenario(name, pipeline(FAR, true, TUMBLING), steps, Expected::Times(times));
    scenario.partitions = names.len().max(1) as i32;
    scenario.notes = notes;
    scenario.fixed = true;
    scenario
}
