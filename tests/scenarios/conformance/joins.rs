//! From a case of two inputs to a pipeline with a join, and what it must write.
//!
//! Event time is handed in as the case's system has it. There it is one for both inputs:
//!
//! | rules         | event time                                            | a record is late                     |
//! |---------------|-------------------------------------------------------|--------------------------------------|
//! | Flink         | steps of the case, by input                           | before it                            |
//! | Kafka Streams | the largest timestamp so far less the grace           | never: what is still kept is joined  |
//! | Spark         | moves between two micro-batches, least of both inputs | at or before it                      |

use super::scenario::{Action, Expected, Order, Record, Row, Scenario, Unsupported};
use serde_json::{Value, json};

/// What is joined in a case.
struct Join {
    /// `join` of the step, without the inputs and the key.
    options: String,
    /// Event time behind the largest timestamp, ms, where that is what it is.
    grace_ms: Option<i64>,
    /// Whether a record that is late is joined there with what is still kept.
    late_joined: bool,
    /// Whether records wait for event time.
    waits: bool,
}

pub(super) fn scenarios(case: &Value) -> Result<Vec<Scenario>, Unsupported> {
    let join = join(case)?;
    let mut scenario = scenario(case, &join)?;
    if case["order"] != "any" || join.grace_ms.is_some() {
        return Ok(vec![scenario]);
    }
    // What comes of it does not depend on which input is read first.
    let mut other = scenario.clone();
    let of = |step: &Vec<Action>, wanted: usize| matches!(step.first(), Some(Action::Records { source, .. } | Action::Watermark { source, .. }) if *source == wanted);
    other.steps.sort_by_key(|it| of(it, 0));
    scenario.name = "the left input first".to_owned();
    other.name = "the right input first".to_owned();
    Ok(vec![scenario, other])
}

/// Modes of a join within a session: only the one that writes every pair, at the end, is there.
pub(super) fn modes(case: &Value) -> Result<Vec<Scenario>, Unsupported> {
    let gap_ms = case["window"]["gap_ms"].as_i64().unwrap_or(0);
    let options = format!("type = \"inner\", within = {{ session = \"{gap_ms}ms\" }}");
    let is_all = |it: &&Value| it["insert"] == "product" && it["emit"] == "final";
    let all = case["cases"].as_array().into_iter().flatten().filter(is_all);
    let scenarios = all.map(|example| {
        let of_side = |source: usize| {
            let records = example[["left", "right"][source]].as_array().cloned().unwrap_or_default();
            records.into_iter().map(move |it| {
                let of = json!({ "stream": (["left", "right"][source]), "key": "k", "value": it[1], "ts": it[0] });
                vec![Action::Records { source, input: None, records: vec![record(&of)] }]
            })
        };
        // There the input ends, which closes the session.
        let end = [0, 1].map(|source| Action::Watermark { source, input: None, at: 1_000 * gap_ms });
        let steps: Vec<_> = of_side(0).chain(of_side(1)).chain([end.to_vec()]).collect();
        let pairs = example["out"].as_array().into_iter().flatten();
        let pair = |it: &Value| {
            let fields = ["left.value", "right.value"].iter().zip([&it[0], &it[1]]);
            Row { after_step: 0, fields: fields.map(|(name, value)| ((*name).to_owned(), value.clone())).collect() }
        };
        let rows = pairs.map(pair).collect();
        let expected = Expected::Rows {
            rows,
            order: Order::Any,
            more_late_panes: false,
            late: Some(Vec::new()),
            dropped: Vec::new(),
        };
        let notes = vec!["the modes that keep one record of a side".to_owned()];
        let pipeline = pipeline(&options);
        let (name, partitions, sources) = (String::new(), 0, 2);
        Scenario { name, pipeline, partitions, sources, steps, expected, since_1970: false, fixed: false, notes }
    });
    Ok(scenarios.collect())
}

fn join(case: &Value) -> Result<Join, Unsupported> {
    let kafka_streams = case["semantics"] == "kafka-streams";
    let kind = case["join_type"].as_str().unwrap_or("inner");
    let grace_ms = kafka_streams.then(|| case["grace_ms"].as_i64().unwrap_or(0));
    if case["category"] == "join-temporal" || case["table"] == "versioned" {
        let options = format!("type = \"{kind}\", as_of = \"event-time\"");
        return Ok(Join { options, grace_ms, late_joined: kafka_streams, waits: true });
    }
    if case["table"] == "latest-by-offset" {
        let options = format!("type = \"{kind}\", as_of = \"latest\"");
        return Ok(Join { options, grace_ms: None, late_joined: false, waits: false });
    }
    let (before_ms, after_ms) = interval(case)?;
    let options = format!("type = \"{kind}\", within = {{ before = \"{before_ms}ms\", after = \"{after_ms}ms\" }}");
    // Rows are kept there for as long as this; with an inner join nothing shows where event time is but that.
    let kept_ms = if kind == "inner" { before_ms + after_ms } else { 0 };
    let late_joined = kafka_streams && kind != "inner";
    Ok(Join { options, grace_ms: grace_ms.map(|it| it + kept_ms), late_joined, waits: false })
}

/// How much earlier and how much later than a left record the right one may be, ms.
fn interval(case: &Value) -> Result<(i64, i64), Unsupported> {
    let window = &case["window"];
    let ms = |name: &str| window[name].as_i64().unwrap_or(0);
    let exclusive = |name: &str| i64::from(window[name] == false);
    match window["type"].as_str() {
        Some("join") => Ok((ms("before_ms"), ms("after_ms"))),
        Some("interval_join") => {
            Ok((-ms("lower_ms") - exclusive("lower_inclusive"), ms("upper_ms") - exclusive("upper_inclusive")))
        }
        // The left input's time is between the right one's less the first and plus the second.
        _ => match case["condition"].as_str().map(seconds).as_deref() {
            Some([less, plus]) => Ok((plus * 1_000, less * 1_000)),
            _ => Err(Unsupported("a join of two streams that is not bounded in time".to_owned())),
        },
    }
}

/// The numbers before an `s` in a condition.
fn seconds(condition: &str) -> Vec<i64> {
    condition.split_whitespace().filter_map(|it| it.strip_suffix('s')?.parse().ok()).collect()
}

fn pipeline(options: &str) -> String {
    let source = |name: &str| {
        format!(
            "[sources.{name}]\nconnector = \"generator\"\nkind = \"sensors\"\n\
             event_time = {{ delay = \"36500d\", idle_timeout = \"never\" }}\n"
        )
    };
    format!(
        "name = \"case\"\n{}{}\
         [steps.j]\nfrom = \"l\"\nlate = \"dead-letter\"\njoin = {{ with = \"r\", on = \"key\", {options} }}\n\
         [sinks.out]\nfrom = \"j\"\nconnector = \"stdout\"\n\
         [dead_letters]\nconnector = \"stdout\"\n",
        source("l"),
        source("r")
    )
}

/// The left input is 0.
fn source(of: &Value) -> usize {
    usize::from(matches!(of["stream"].as_str(), Some("right" | "table")))
}

fn record(of: &Value) -> Record {
    let deletes = of["value"].is_null() && of.get("op").is_none() && of["stream"] != "left" && of["stream"] != "right";
    let gone = deletes || of["op"] == "delete";
    let fields = vec![("key", of["key"].clone()), ("value", of["value"].clone()), ("ts", of["ts"].clone())];
    Record {
        key: Some(of["key"].clone()),
        fields: (!gone).then_some(fields),
        timestamp: of["ts"].as_i64().unwrap_or(0),
    }
}

/// A case on its way to a scenario.
struct Translation<'a> {
    case: &'a Value,
    join: &'a Join,
    steps: Vec<Vec<Action>>,
    /// Late records: the step, and what it was.
    late: Vec<(usize, &'a Value)>,
    /// Records exactly at event time that wait for the next that moves it: the step, the step that moves it, and what it was.
    waiting: Vec<(usize, usize, &'a Value)>,
    /// Event time of each input, and the largest timestamp.
    inputs: [i64; 2],
    latest: i64,
}

fn scenario(case: &Value, join: &Join) -> Result<Scenario, Unsupported> {
    let mut translation = Translation {
        case,
        join,
        steps: Vec::new(),
        late: Vec::new(),
        waiting: Vec::new(),
        inputs: [i64::MIN; 2],
        latest: i64::MIN,
    };
    for step in case["steps"].as_array().into_iter().flatten() {
        translation.step(step);
    }
    let mut notes = Vec::new();
    let expected = translation.expected(&mut notes)?;
    Ok(Scenario {
        name: String::new(),
        pipeline: pipeline(&join.options),
        partitions: 0,
        sources: 2,
        steps: translation.steps,
        expected,
        since_1970: false,
        fixed: false,
        notes,
    })
}

impl<'a> Translation<'a> {
    fn step(&mut self, step: &'a Value) {
        let mut actions = Vec::new();
        if let Some(of) = step.get("record") {
            self.record(of, &mut actions);
            if let Some(grace_ms) = self.join.grace_ms {
                self.move_to([self.latest - grace_ms; 2], &mut actions);
            }
        } else if let Some(batch) = step["micro_batch"].as_array() {
            batch.iter().for_each(|it| self.record(it, &mut actions));
            let mut inputs = self.inputs;
            for of in batch {
                let input = source(of);
                let delay_ms = self.case["watermark_delay_ms"][["left", "right"][input]].as_i64().unwrap_or(0);
                // A record at Spark's watermark is late, and so before the one that stands for it here.
                let watermark = of["ts"].as_i64().unwrap_or(0) - delay_ms + 1;
                inputs[input] = inputs[input].max(watermark);
            }
            self.move_to(inputs, &mut actions);
        } else if let (Some(at), Some(input)) = (step["watermark"].as_i64(), step["input"].as_u64()) {
            let mut inputs = self.inputs;
            inputs[input as usize] = at;
            self.move_to(inputs, &mut actions);
        } else {
            actions.push(Action::Restart);
        }
        self.steps.push(actions);
    }

    fn event_time(&self) -> i64 {
        self.inputs[0].min(self.inputs[1])
    }

    fn record(&mut self, of: &'a Value, actions: &mut Vec<Action>) {
        // A change stream of rows has no rows as they were.
        if of["op"] == "update_before" {
            return;
        }
        let (time, number) = (of["ts"].as_i64().unwrap_or(0), self.steps.len());
        self.latest = self.latest.max(time);
        let table = self.join.waits && source(of) == 1;
        if time < self.event_time() && !table {
            self.late.push((number, of));
        } else if time == self.event_time() && self.join.waits && !table {
            self.waiting.push((number, usize::MAX, of));
        }
        actions.push(Action::Records { source: source(of), input: None, records: vec![record(of)] });
    }

    fn move_to(&mut self, inputs: [i64; 2], actions: &mut Vec<Action>) {
        let before = self.event_time();
        for source in [0, 1] {
            if inputs[source] > self.inputs[source] {
                actions.push(Action::Watermark { source, input: None, at: inputs[source] });
            }
        }
        self.inputs = inputs;
        if self.event_time() > before {
            let number = self.steps.len();
            self.waiting.iter_mut().filter(|it| it.1 == usize::MAX).for_each(|it| it.1 = number);
        }
    }

    fn expected(&self, notes: &mut Vec<String>) -> Result<Expected, Unsupported> {
        let mut note = |text: &str| {
            if !notes.iter().any(|it| it == text) {
                notes.push(text.to_owned());
            }
        };
        let (mut rows, mut dropped) = (Vec::new(), Vec::new());
        let mut total = 0;
        for of in self.case["expected"].as_array().into_iter().flatten() {
            let mut after_step = of["after_step"].as_u64().map_or(self.steps.len() - 1, |it| it as usize);
            if of.get("state_rows").is_some() {
                note("how many rows are held");
                total += of["dropped_in_batch"].as_u64().unwrap_or(0);
                dropped.push((after_step, total as usize));
                continue;
            }
            let fields = fields(of)?;
            let is_of = |record: &Value| {
                let name = ["left.value", "right.value"][source(record)];
                fields.iter().any(|(field, value)| field == name && *value == record["value"])
            };
            if self.join.late_joined && self.late.iter().any(|it| it.0 <= after_step && is_of(it.1)) {
                note("records that are late, which are not joined");
                continue;
            }
            if let Some(it) = self.waiting.iter().find(|it| it.0 <= after_step && after_step < it.1 && is_of(it.2)) {
                note("a record at the watermark is answered when that next moves");
                after_step = it.1;
            }
            rows.push(Row { after_step, fields });
        }
        let order = match self.case["order"].as_str() {
            Some("any") => Order::Any,
            Some("block") => Order::Block,
            _ => Order::Step,
        };
        let late =
            |(step, of): &(usize, &Value)| (*step, json!({ "key": of["key"], "value": of["value"], "ts": of["ts"] }));
        let late: Vec<_> = self.late.iter().map(late).collect();
        if let Some(given) = self.case["expected_late"].as_array() {
            let same = given.len() == late.len()
                && given
                    .iter()
                    .zip(&late)
                    .all(|(of, it)| of["after_step"] == json!(it.0) && of["value"] == it.1["value"]);
            assert!(same, "the case's late records are others: {late:?}");
        }
        // A table has late versions of its own.
        let late = (!self.join.waits).then_some(late);
        Ok(Expected::Rows { rows, order, more_late_panes: false, late, dropped })
    }
}

/// The fields of an expected row that count.
fn fields(of: &Value) -> Result<Vec<(String, Value)>, Unsupported> {
    let mut fields = Vec::new();
    let mut add = |name: String, value: &Value| fields.push((name, value.clone()));
    let mut sides = [true, true];
    for (name, value) in of.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("after_step" | "key", _) => {}
            ("ts", value) => add("ts".to_owned(), value),
            ("left_ts", value) => add("left.ts".to_owned(), value),
            ("right_ts", value) => add("right.ts".to_owned(), value),
            ("left" | "right", Value::Array(parts)) => {
                ["ts", "key", "value"].iter().zip(parts).for_each(|(part, it)| add(format!("{name}.{part}"), it));
            }
            ("value", Value::String(text)) => {
                // The separator is the last that there is: values have dashes of their own.
                let parts = text.split_once('+').or_else(|| text.rsplit_once('-'));
                let Some((left, right)) = parts else { return Err(Unsupported(format!("the value {text:?}"))) };
                for (at, (side, value)) in [("left", left), ("right", right)].into_iter().enumerate() {
                    sides[at] = value != "null";
                    let value = if sides[at] { json!(value) } else { Value::Null };
                    add(format!("{side}.value"), &value);
                }
            }
            (other, _) => return Err(Unsupported(format!("an expected `{other}` of a join"))),
        }
    }
    if let Some(key) = of.get("key") {
        let there = ["left", "right"].iter().zip(sides).filter(|it| it.1);
        there.for_each(|(side, _)| fields.push((format!("{side}.key"), key.clone())));
    }
    Ok(fields)
}
