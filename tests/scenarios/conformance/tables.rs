//! From a case of two tables to a pipeline that joins them by a foreign key, and what it must write.

use super::scenario::{Action, Expected, Order, Record, Row, Scenario, Unsupported};
use serde_json::{Value, json};

/// One scenario for each type of join that the case is of.
pub(super) fn scenarios(case: &Value) -> Result<Vec<Scenario>, Unsupported> {
    if case["fk"] != "text after | in left value" {
        return Err(Unsupported(format!("the foreign key {}", case["fk"])));
    }
    let kinds = case["join_type"].as_str().unwrap_or("inner");
    let kinds = kinds.split_once(' ').map_or(kinds, |it| it.0).split('|');
    kinds.map(|kind| scenario(case, kind)).collect()
}

fn scenario(case: &Value, kind: &str) -> Result<Scenario, Unsupported> {
    let steps = case["steps"].as_array().into_iter().flatten().map(|step| match step.get("record") {
        Some(of) => vec![Action::Records { source: source(of), input: None, records: vec![record(of)] }],
        None => vec![Action::Restart],
    });
    let rows = case["expected"].as_array().into_iter().flatten().map(row).collect::<Result<_, _>>()?;
    let order = if case["order"] == "any" { Order::Any } else { Order::Step };
    Ok(Scenario {
        name: kind.to_owned(),
        pipeline: pipeline(kind),
        partitions: 0,
        sources: 2,
        steps: steps.collect(),
        expected: Expected::Rows { rows, order, more_late_panes: false, late: Some(Vec::new()), dropped: Vec::new() },
        since_1970: false,
        fixed: false,
        notes: Vec::new(),
    })
}

fn pipeline(kind: &str) -> String {
    let source = |name: &str| format!("[sources.{name}]\nconnector = \"generator\"\nkind = \"sensors\"\n");
    format!(
        "name = \"case\"\n{}{}\
         [steps.j]\nfrom = \"l\"\njoin = {{ with = \"r\", on = {{ fk = \"key\" }}, key = \"key\", type = \"{kind}\" }}\n\
         [sinks.out]\nfrom = \"j\"\nconnector = \"stdout\"\n",
        source("l"),
        source("r")
    )
}

/// The left table is 0.
fn source(of: &Value) -> usize {
    usize::from(of["stream"] == "right")
}

fn record(of: &Value) -> Record {
    let foreign = of["value"].as_str().and_then(|it| it.split_once('|')).map(|it| it.1);
    let fields = vec![("key", of["key"].clone()), ("value", of["value"].clone()), ("fk", json!(foreign))];
    Record {
        key: Some(of["key"].clone()),
        fields: (!of["value"].is_null()).then_some(fields),
        timestamp: of["ts"].as_i64().unwrap_or(0),
    }
}

/// `(LEFT,RIGHT)`, or a null for a tombstone.
fn row(of: &Value) -> Result<Row, Unsupported> {
    let after_step = of["after_step"].as_u64().unwrap_or(0) as usize;
    let key = of["key"].clone();
    let Some(text) = of["value"].as_str() else {
        return Ok(Row { after_step, fields: vec![("key".to_owned(), key), ("value".to_owned(), Value::Null)] });
    };
    let pair = text.strip_prefix('(').and_then(|it| it.strip_suffix(')')).and_then(|it| it.split_once(','));
    let Some((left, right)) = pair else { return Err(Unsupported(format!("the value {text:?}"))) };
    let right = if right == "null" { Value::Null } else { json!(right) };
    let fields = [("left.key", key), ("left.value", json!(left)), ("right.value", right)];
    Ok(Row { after_step, fields: fields.map(|(name, value)| (name.to_owned(), value)).into() })
}
