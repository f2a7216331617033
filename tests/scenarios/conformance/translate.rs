//! From a case in the words of the system that it comes from to a pipeline file and what it must write.

use super::scenario::{Action, Expected, Order, Record, Row, Scenario, Unsupported};
use super::{joins, special, tables};
use serde_json::{Value, json};
use std::fmt::Write;

/// Longer than between any two times of a case: the watermark moves only where the case says so.
const FAR: &str = "36500d";
/// The interval of a trigger that stands for the end of a micro-batch, ms.
const MICRO_BATCH_MS: u64 = 1_000;

/// The scenarios of a case: one, unless it has several parts.
pub(super) fn scenarios(case: &Value) -> Result<Vec<Scenario>, Unsupported> {
    if let Some(kind) = case["kind_of_vector"].as_str() {
        return special::scenarios(kind, case);
    }
    if case["category"] == "join-table-table-fk" {
        return tables::scenarios(case);
    }
    if case["aggregation"] == "join" || case["category"].as_str().is_some_and(|it| it.starts_with("join")) {
        return joins::scenarios(case);
    }
    let Some(variants) = case["variants"].as_array() else { return emissions(case) };
    let each = variants.iter().enumerate().map(|(number, variant)| {
        let mut whole = case.clone();
        for part in ["steps", "expected", "expected_late"] {
            whole[part] = variant[part].clone();
        }
        let mut scenarios = emissions(&whole)?;
        scenarios.iter_mut().for_each(|it| it.name = format!("variant {number}"));
        Ok(scenarios)
    });
    each.collect::<Result<Vec<_>, _>>().map(|it| it.into_iter().flatten().collect())
}

/// A case that shows results as they change and final ones is two.
fn emissions(case: &Value) -> Result<Vec<Scenario>, Unsupported> {
    if case["emit"] != "both" {
        return Ok(vec![windowed(case)?]);
    }
    let (mut updates, mut finals) = (case.clone(), case.clone());
    updates["emit"] = json!("on_update");
    finals["emit"] = json!("on_window_close");
    finals["expected"] = case["expected_final"].clone();
    let (mut updates, mut finals) = (windowed(&updates)?, windowed(&finals)?);
    updates.name = "as they change".to_owned();
    finals.name = "final".to_owned();
    Ok(vec![updates, finals])
}

/// Which rules a case is by.
#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    /// Watermarks are steps of the case.
    Flink,
    /// Time is the largest timestamp so far.
    KafkaStreams,
    /// Watermarks move between two micro-batches.
    Spark,
}

fn windowed(case: &Value) -> Result<Scenario, Unsupported> {
    let dialect = match case["semantics"].as_str() {
        Some("kafka-streams") => Dialect::KafkaStreams,
        Some("spark") => Dialect::Spark,
        _ => Dialect::Flink,
    };
    let mut notes = Vec::new();
    let keyed = keyed(case);
    let mut step = String::new();
    let mut window = window(case, dialect)?;
    if by_clock(case) {
        window = window.replace(" }", ", time = \"processing\" }");
    }
    let _ = writeln!(step, "window = {window}");
    step.push_str(&emit(case, dialect)?);
    let tombstones = rows_of(case).iter().any(|it| it["value"].is_null() && it.get("window_start").is_some());
    if tombstones {
        step.push_str("upsert = true\n");
    }
    if rows_of(case).iter().any(|it| it.get("pane").is_some()) {
        step.push_str("panes = true\n");
    }
    let (aggregates, listed) = aggregates(case)?;
    let _ = writeln!(step, "aggregate = {{ {aggregates} }}");
    let delay = match dialect {
        Dialect::KafkaStreams => format!("{}ms", case["grace_ms"].as_i64().unwrap_or(0)),
        _ => FAR.to_owned(),
    };
    let steps = steps(case, dialect);
    let expected = expected(case, dialect, listed, &mut notes);
    Ok(Scenario {
        name: String::new(),
        pipeline: if by_clock(case) { pipeline_by_clock(keyed, &step) } else { pipeline(&delay, keyed, &step) },
        // Kafka Streams' time is that of all records: they come from one partition.
        partitions: i32::from(dialect == Dialect::KafkaStreams),
        sources: 1,
        steps,
        expected,
        since_1970: dialect == Dialect::KafkaStreams,
        fixed: false,
        notes,
    })
}

fn rows_of(case: &Value) -> &[Value] {
    case["expected"].as_array().map_or(&[], Vec::as_slice)
}

/// True where records have keys.
fn keyed(case: &Value) -> bool {
    let mut records = case["steps"].as_array().into_iter().flatten().flat_map(|step| {
        let batch = step["micro_batch"].as_array().into_iter().flatten();
        batch.chain(step.get("record"))
    });
    records.any(|it| !it["key"].is_null())
}

/// True for windows by processing time.
fn by_clock(case: &Value) -> bool {
    case["window"]["time"] == "processing"
}

/// The same for windows for which nothing is late, of records whose time nobody reads.
fn pipeline_by_clock(keyed: bool, step: &str) -> String {
    let parts =
        ["field = \"ts\", ", "late = \"side-output\"\n", "[sinks.late]\nfrom = \"w.late\"\nconnector = \"stdout\"\n"];
    parts.iter().fold(pipeline(FAR, keyed, step), |text, it| text.replace(it, ""))
}

/// A pipeline of one source, the step `w` and the sinks `out` and `late`.
pub(super) fn pipeline(delay: &str, keyed: bool, step: &str) -> String {
    let key = if keyed { "key = \"key\"\n" } else { "" };
    format!(
        "name = \"case\"\n\
         [sources.in]\nconnector = \"generator\"\nkind = \"sensors\"\n\
         event_time = {{ field = \"ts\", delay = \"{delay}\", idle_timeout = \"never\" }}\n\
         [steps.w]\nfrom = \"in\"\n{key}late = \"side-output\"\n{step}\n\
         [sinks.out]\nfrom = \"w\"\nconnector = \"stdout\"\n\
         [sinks.late]\nfrom = \"w.late\"\nconnector = \"stdout\"\n"
    )
}

fn window(case: &Value, dialect: Dialect) -> Result<String, Unsupported> {
    let window = &case["window"];
    let ms = |name: &str| window[name].as_i64().unwrap_or(0);
    match window["type"].as_str().unwrap_or_default() {
        "tumbling" => Ok(tumbling(ms("size_ms"), ms("offset_ms"))),
        "hopping" => Ok(format!("{{ hopping = \"{}ms\", slide = \"{}ms\" }}", ms("size_ms"), ms("slide_ms"))),
        // Its sessions are [first, last] and those a gap apart are one: the same as those less than a gap and 1 ms apart.
        "session" if dialect == Dialect::KafkaStreams => Ok(format!("{{ session = \"{}ms\" }}", ms("gap_ms") + 1)),
        "session" => {
            let touching = window["touching_sessions_merge"] == true;
            Ok(session(ms("gap_ms"), touching))
        }
        "global" => Ok("{ global = true }".to_owned()),
        // Kafka Streams' sliding windows.
        "rolling" if dialect == Dialect::KafkaStreams => {
            Ok(format!("{{ sliding = \"{}ms\" }}", ms("time_difference_ms")))
        }
        "rolling" => Err(Unsupported("a rolling window answers each record as it arrives".to_owned())),
        other => Err(Unsupported(format!("windows of type {other}"))),
    }
}

/// An offset of either sign names the same windows as one from 0 to the size.
pub(super) fn tumbling(size_ms: i64, offset_ms: i64) -> String {
    format!("{{ tumbling = \"{size_ms}ms\", offset = \"{}ms\" }}", offset_ms.rem_euclid(size_ms))
}

pub(super) fn session(gap_ms: i64, touching: bool) -> String {
    let boundary = if touching { ", boundary = \"inclusive\"" } else { "" };
    format!("{{ session = \"{gap_ms}ms\"{boundary} }}")
}

/// `emit` and what goes with it.
fn emit(case: &Value, dialect: Dialect) -> Result<String, Unsupported> {
    let mut out = String::new();
    let lateness = case["allowed_lateness_ms"].as_i64().unwrap_or(0);
    if lateness > 0 {
        let _ = writeln!(out, "allowed_lateness = \"{lateness}ms\"");
    }
    if case["accumulation"].as_str().is_some_and(|it| it.starts_with("discarding")) {
        out.push_str("accumulate = \"discarding\"\n");
    }
    if case["accumulation"].as_str().is_some_and(|it| it.starts_with("retracting")) {
        out.push_str("accumulate = \"retracting\"\n");
    }
    match case["output_mode"].as_str() {
        Some("update") => {
            let _ = writeln!(out, "emit = {{ every = \"{MICRO_BATCH_MS}ms\" }}");
        }
        Some("complete") => {
            let _ = writeln!(out, "emit = {{ every = \"{MICRO_BATCH_MS}ms\" }}");
            out.push_str("output = \"complete\"\nallowed_lateness = \"unlimited\"\n");
        }
        _ => {}
    }
    if dialect == Dialect::KafkaStreams {
        if case["emit"] == "on_update" || case["emit"].is_null() {
            out.push_str("emit = \"on-update\"\n");
        }
        return Ok(out);
    }
    let mut parts = trigger(&case["trigger"])?;
    if case["closing"] == "fire_always" || case["trigger"]["type"] == "continuous_event_time" {
        parts.push("unchanged = true".to_owned());
    }
    if !parts.is_empty() {
        let _ = writeln!(out, "emit = {{ {} }}", parts.join(", "));
    }
    Ok(out)
}

/// The keys of `emit` that a trigger stands for.
fn trigger(trigger: &Value) -> Result<Vec<String>, Unsupported> {
    let number = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let mut parts = Vec::new();
    match trigger["type"].as_str().unwrap_or("default") {
        "default" | "event_time" | "processing_time" => {}
        "count" => parts.push(format!("records = {}", trigger["count"])),
        "continuous_event_time" => parts.push(format!("event_time = \"{}ms\"", trigger["interval_ms"])),
        "repeatedly(after_first(count 2, past_end_of_window))" => parts.push("records = 2".to_owned()),
        "after_watermark" => {
            let early = trigger["early"].as_str().unwrap_or_default();
            if early.starts_with("element_count") {
                parts.push(format!("records = {}", number(early)));
            } else if early.starts_with("processing_time_delay") {
                parts.push(format!("every = \"{}ms\"", number(early)));
            }
            if trigger["late"] == "never" {
                parts.push("late = \"at-expiry\"".to_owned());
            }
        }
        other => return Err(Unsupported(format!("a trigger `{other}`"))),
    }
    Ok(parts)
}

/// How what a list aggregate wrote is shown.
#[derive(Clone, Copy, PartialEq)]
enum Listed {
    No,
    /// As the list.
    List,
    /// Joined by `+`, with what stands before.
    Text(&'static str),
}

fn aggregates(case: &Value) -> Result<(String, Listed), Unsupported> {
    let name = case["aggregation"].as_str().unwrap_or_default();
    Ok(match name {
        "sum" => ("value = \"sum(value)\"".to_owned(), Listed::No),
        "count" if rows_of(case).iter().any(|it| it.get("count").is_some()) => {
            ("count = \"count()\"".to_owned(), Listed::No)
        }
        "count" => ("value = \"count()\"".to_owned(), Listed::No),
        "collect" => ("value = \"collect(value)\"".to_owned(), Listed::List),
        "concat" => ("value = \"collect(value)\"".to_owned(), Listed::Text("")),
        "concat0" => ("value = \"collect(value)\"".to_owned(), Listed::Text("0")),
        several if several.contains(',') => {
            let each = several.split(',').map(|it| {
                let field = if it == "count" { "" } else { "value" };
                format!("{it} = \"{it}({field})\"")
            });
            (each.collect::<Vec<_>>().join(", "), Listed::No)
        }
        other => return Err(Unsupported(format!("the aggregate `{other}`"))),
    })
}

fn record(of: &Value) -> Record {
    Record::of(vec![("key", of["key"].clone()), ("value", of["value"].clone()), ("ts", of["ts"].clone())])
}

pub(super) fn records(of: Vec<Record>) -> Action {
    Action::Records { source: 0, input: None, records: of }
}

fn steps(case: &Value, dialect: Dialect) -> Vec<Vec<Action>> {
    if let Some(generator) = case["input"].get("generator") {
        return generated(generator);
    }
    let mut now_ms = MICRO_BATCH_MS;
    let (mut latest, delay_ms) = (i64::MIN, case["watermark_delay_ms"].as_i64().unwrap_or(0));
    let input = |of: &Value| of["input"].as_i64().map(|it| it as i32);
    let each = case["steps"].as_array().into_iter().flatten().map(|step| {
        if let Some(of) = step.get("record") {
            return vec![records(vec![record(of)])];
        }
        if let Some(of) = step.get("micro_batch").and_then(Value::as_array) {
            let times = of.iter().filter_map(|it| it["ts"].as_i64());
            latest = times.fold(latest, i64::max);
            now_ms += MICRO_BATCH_MS;
            let batch = records(of.iter().map(record).collect());
            let watermark = Action::Watermark { source: 0, input: None, at: latest - delay_ms - 1 };
            return vec![batch, Action::Now(now_ms), watermark];
        }
        if let Some(at) = step["watermark"].as_i64() {
            return vec![Action::Watermark { source: 0, input: input(step), at }];
        }
        if let Some(ms) = step["processing_time"].as_u64() {
            return vec![Action::Now(ms)];
        }
        vec![Action::Restart]
    });
    let mut steps: Vec<_> = each.collect();
    if let (Dialect::Spark, Some(first)) = (dialect, steps.first_mut()) {
        first.insert(0, Action::Now(MICRO_BATCH_MS)); // The first interval begins.
    }
    steps
}

fn generated(generator: &Value) -> Vec<Vec<Action>> {
    let count = generator["count"].as_i64().unwrap_or(0);
    let rows = |from: i64, to: i64| {
        let row = |it: i64| {
            Record::of(vec![
                ("key", Value::Null),
                ("value", json!(it)),
                ("ts", json!(1_696_871_600_000_i64 + 200 * it)),
            ])
        };
        vec![records((from..to).map(row).collect())]
    };
    // In a few batches, so that a new start can come between two.
    let part = (count / 4).max(1);
    let mut steps: Vec<_> = (0..count).step_by(part as usize).map(|it| rows(it, count.min(it + part))).collect();
    steps.push(vec![Action::Watermark { source: 0, input: None, at: i64::MAX }]);
    steps
}

fn expected(case: &Value, dialect: Dialect, listed: Listed, notes: &mut Vec<String>) -> Expected {
    let mut note = |text: &str| {
        if !notes.iter().any(|it| it == text) {
            notes.push(text.to_owned());
        }
    };
    let (mut rows, mut dropped) = (Vec::new(), Vec::new());
    let given = case["expected"].as_array().cloned().unwrap_or_default();
    let last = if case["input"].is_object() { 4 } else { 0 };
    for (at, of) in given.iter().enumerate() {
        let after_step = of["after_step"].as_u64().unwrap_or(last) as usize;
        if let Some(count) = of["dropped_total"].as_u64() {
            dropped.push((after_step, count as usize));
            continue;
        }
        if is_replaced(&given, at) {
            note("a tombstone for a window that the next row replaces");
            continue;
        }
        let mut fields = Vec::new();
        for (name, value) in of.as_object().into_iter().flatten() {
            match name.as_str() {
                "after_step" | "is_first" | "is_last" => {}
                "ts" if dialect == Dialect::KafkaStreams || case["window"]["type"] == "global" => {
                    note("a result's time, which is the last millisecond of its window");
                }
                "window_end" if case["window"]["end_inclusive"] == true => {
                    let gap = case["window"]["gap_ms"].as_i64().unwrap_or(0);
                    fields.push((name.clone(), json!(value.as_i64().unwrap_or(0) + gap + 1)));
                }
                "window_end" if case["window"]["both_ends_inclusive"] == true => {
                    fields.push((name.clone(), json!(value.as_i64().unwrap_or(0) + 1)));
                }
                "pane" => fields.push((name.clone(), json!(pane(value.as_str().unwrap_or_default())))),
                "value" => fields.push((name.clone(), shown(value, listed))),
                _ => fields.push((name.clone(), value.clone())),
            }
        }
        rows.push(Row { after_step, fields });
    }
    let order = match case["order"].as_str() {
        Some("in_order") => Order::Sequence,
        Some("block") => Order::Block,
        Some("any") => Order::Any,
        _ => Order::Step,
    };
    let late = case["expected_late"].as_array().map(|late| {
        let one = |it: &Value| {
            (
                it["after_step"].as_u64().unwrap_or(0) as usize,
                json!({ "key": it["key"], "value": it["value"], "ts": it["ts"] }),
            )
        };
        late.iter().map(one).collect::<Vec<_>>()
    });
    // There a record counts as dropped once for each window that it comes too late for.
    let partly = |step: usize| rows.iter().any(|it: &Row| it.after_step == step);
    let late = late.map(|mut late| {
        let all = late.len();
        late.retain(|it| dialect != Dialect::KafkaStreams || !partly(it.0));
        if late.len() < all {
            note("records that are late for some of their windows, which are not late");
        }
        late
    });
    if dialect == Dialect::KafkaStreams && case["window"]["type"] == "hopping" {
        note("windows that begin before 1970, which are there");
    }
    let more_late_panes = case["note"].as_str().is_some_and(|it| it.contains("assertions are per pane"));
    if more_late_panes {
        note("the late panes before the last one");
    }
    if let (true, Some(late)) = (rows.is_empty(), &late) {
        // Only what is late is shown.
        let last = case["steps"].as_array().map_or(0, Vec::len).saturating_sub(1);
        return Expected::Late(vec![(last, late.len())]);
    }
    Expected::Rows { rows, order, more_late_panes, late, dropped }
}

/// True for a tombstone of a window that is written again right after it.
fn is_replaced(given: &[Value], at: usize) -> bool {
    let (of, rest) = (&given[at], &given[at + 1..]);
    let identity = |it: &Value| ["after_step", "key", "window_start", "window_end"].map(|name| it[name].clone());
    of["value"].is_null() && !of["window_start"].is_null() && rest.iter().any(|it| identity(it) == identity(of))
}

/// The last pane of a window is late, or it would be the one on time.
fn pane(of: &str) -> &str {
    match of {
        "on_time" => "on-time",
        "final" => "late",
        other => other,
    }
}

/// What a list aggregate writes where the case has `0+1+2`.
fn shown(value: &Value, listed: Listed) -> Value {
    match (listed, value.as_str()) {
        (Listed::Text(first), Some(text)) => {
            let rest = text.strip_prefix(first).unwrap_or(text);
            let parts = rest.split('+').filter(|it| !it.is_empty()).map(|it| json!(it));
            Value::Array(parts.collect())
        }
        _ => value.clone(),
    }
}
