//! A pipeline as a graph: as JSON, and as Mermaid for a page or a terminal.

use crate::config::{
    Emit, Fold, Input, JoinKind, JoinWindow, Operation, Pipeline, PluginOptions, SinkConnector, SourceConnector, Step,
    Tables, TablesPart, Window,
};
use crate::daemon::api::{Edge, Node, Pin, Plan};
use std::fmt::Write;

/// The graph of a pipeline.
pub(super) fn plan(pipeline: &Pipeline, pins: &[Pin]) -> Plan {
    let mut nodes = Vec::new();
    let mut edges = Vec::new();
    let name_of = |input: &Input| match input {
        Input::Source(index) => (pipeline.sources.get(*index).map(|it| it.name.clone()), None),
        Input::Step(index, port) => (pipeline.steps.get(*index).map(|it| it.name.clone()), port.clone()),
    };
    let mut edge = |from: &Input, to: &str, role: &str| {
        let (from, port) = name_of(from);
        edges.extend(from.map(|from| Edge { from, to: to.to_owned(), role: role.to_owned(), port }));
    };
    let node =
        |name: &str, role: &str, does: String| Node { name: name.to_owned(), role: role.to_owned(), does, key: vec![] };
    for source in &pipeline.sources {
        nodes.push(node(&source.name, "source", describe_source(&source.connector)));
    }
    for step in &pipeline.steps {
        let key = match &step.operation {
            Operation::Join(join) | Operation::Tables(Tables { part: TablesPart::Matches, join, .. }) => {
                join.on.iter().map(|(left, _)| left.to_string()).collect()
            }
            Operation::Tables(tables) => tables.join.key.iter().map(ToString::to_string).collect(),
            _ => step.key.iter().map(ToString::to_string).collect(),
        };
        nodes.push(Node { key, ..node(&step.name, "step", describe_step(step, pins)) });
        edge(&step.from, &step.name, "step");
        if let Some(with) = step.with() {
            edge(with, &step.name, "step");
        }
    }
    for sink in &pipeline.sinks {
        nodes.push(node(&sink.name, "sink", describe_sink(&sink.connector)));
        edge(&sink.from, &sink.name, "sink");
    }
    if let Some(letters) = &pipeline.dead_letters {
        nodes.push(node(&letters.name, "sink", describe_sink(&letters.connector)));
    }
    Plan { nodes, edges }
}

/// The graph in Mermaid's words.
pub(in crate::daemon) fn mermaid(plan: &Plan) -> String {
    let mut text = String::from("flowchart LR\n");
    // A sink may have the name of a step: nodes go by number.
    let id = |name: &str, sink: bool| plan.nodes.iter().position(|it| it.name == name && (it.role == "sink") == sink);
    for (index, node) in plan.nodes.iter().enumerate() {
        let key = if node.key.is_empty() { String::new() } else { format!("<br/>by {}", node.key.join(", ")) };
        let label = escape(&format!("{}<br/>{}{key}", node.name, node.does));
        let (open, close) = match node.role.as_str() {
            "source" => ("([", "])"),
            "sink" => ("[(", ")]"),
            _ => ("[", "]"),
        };
        let _ = writeln!(text, "  n{index}{open}\"{label}\"{close}");
    }
    for edge in &plan.edges {
        let (Some(from), Some(to)) = (id(&edge.from, false), id(&edge.to, edge.role == "sink")) else { continue };
        let port = edge.port.as_ref().map(|it| format!("|\"{}\"|", escape(it))).unwrap_or_default();
        let _ = writeln!(text, "  n{from} -->{port} n{to}");
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('"', "#quot;")
}

fn describe_source(connector: &SourceConnector) -> String {
    match connector {
        SourceConnector::Kafka(options) if options.more_topics.is_empty() => format!("kafka topic {}", options.topic),
        SourceConnector::Kafka(options) => format!("kafka topics {}", options.topics().collect::<Vec<_>>().join(", ")),
        SourceConnector::File { path } => format!("files {path}"),
        SourceConnector::Generator { partitions, .. } => format!("generator, {partitions} partitions"),
    }
}

fn describe_sink(connector: &SinkConnector) -> String {
    match connector {
        SinkConnector::Kafka(options) => format!("kafka topic {}", options.topic),
        SinkConnector::File { path } => format!("files in {}", path.display()),
        SinkConnector::Stdout => "standard output".to_owned(),
    }
}

fn describe_step(step: &Step, pins: &[Pin]) -> String {
    let mut does = describe_operation(&step.operation, pins);
    if step.processing_time {
        does.push_str(", by processing time");
    }
    match (&step.condition, &step.operation) {
        (None, _) => does,
        (Some(_), Operation::Select) if step.select.is_none() => "where".to_owned(),
        (Some(_), Operation::Join(_) | Operation::Tables(_)) => format!("{does}, where"),
        (Some(_), _) => format!("where, {does}"),
    }
}

fn describe_operation(operation: &Operation, pins: &[Pin]) -> String {
    let plugin = |options: &PluginOptions| {
        let digest = options.path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        let pin = pins.iter().find(|it| it.digest == digest);
        pin.map_or_else(|| "plugin".to_owned(), |it| format!("plugin {}@{}", it.name, it.version))
    };
    match operation {
        Operation::Plugin(options) => plugin(options),
        Operation::Select => "select".to_owned(),
        Operation::Dedupe { within_ms } => format!("dedupe within {within_ms} ms"),
        Operation::Join(join) => match join.kind {
            JoinKind::Within { before_ms, after_ms } => {
                format!("join within {before_ms} ms before, {after_ms} ms after")
            }
            JoinKind::Window(JoinWindow::Aligned { size_ms, slide_ms, .. }) if size_ms == slide_ms => {
                format!("join within tumbling {size_ms} ms")
            }
            JoinKind::Window(JoinWindow::Aligned { size_ms, slide_ms, .. }) => {
                format!("join within hopping {size_ms} ms every {slide_ms} ms")
            }
            JoinKind::Window(JoinWindow::Session { gap_ms }) => {
                format!("join within sessions with a gap of {gap_ms} ms")
            }
            JoinKind::AsOf => "join as of event time".to_owned(),
            JoinKind::Latest => "join with the latest".to_owned(),
            JoinKind::Tables => "join of two tables".to_owned(),
        },
        Operation::Tables(tables) => match tables.part {
            TablesPart::Changes => "changes of a table".to_owned(),
            TablesPart::Matches => "rows of two tables that match".to_owned(),
            TablesPart::Results => "join of two tables".to_owned(),
        },
        Operation::Window { window, fold, emit } => {
            let window = describe_window(window);
            let fold = match fold {
                Fold::Builtin(aggregates) => {
                    aggregates.iter().map(|it| it.name.to_string()).collect::<Vec<_>>().join(", ")
                }
                Fold::Plugin(options) => plugin(options),
                Fold::Top(top) => format!("top {} by {}", top.k, top.by),
            };
            let emit = describe_emit(emit);
            format!("{window}: {fold}, {emit}")
        }
    }
}

fn describe_window(window: &Window) -> String {
    match window {
        Window::Tumbling { size_ms, .. } => format!("tumbling {size_ms} ms"),
        Window::Hopping { size_ms, slide_ms, .. } => format!("hopping {size_ms} ms every {slide_ms} ms"),
        Window::Session { gap_ms, gap_field: None, .. } => format!("sessions with a gap of {gap_ms} ms"),
        Window::Session { gap_ms, gap_field: Some(field), .. } => {
            format!("sessions with a gap of {field} ms, or {gap_ms} ms")
        }
        Window::Calendar { unit, zone } => format!("a {} of {zone}", format!("{unit:?}").to_lowercase()),
        Window::Count { records, every } if records == every => format!("{records} records"),
        Window::Count { records, every } => format!("{records} records every {every}"),
        Window::Global => "all time".to_owned(),
        Window::Rolling { size_ms } => format!("rolling {size_ms} ms"),
        Window::Sliding { difference_ms } => format!("sliding, at most {difference_ms} ms apart"),
    }
}

fn describe_emit(emit: &Emit) -> String {
    match emit {
        Emit::OnClose => "on close".to_owned(),
        Emit::OnUpdate => "on update".to_owned(),
        Emit::Every { interval_ms } => format!("every {interval_ms} ms"),
        Emit::Repeatedly(firing) => {
            let early = [
                firing.records.map(|it| format!("every {it} records")),
                firing.event_time_ms.map(|it| format!("every {it} ms of event time")),
                firing.every_ms.map(|it| format!("every {it} ms")),
            ];
            early.into_iter().flatten().chain(["on close".to_owned()]).collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::path::Path;

    #[test]
    fn a_graph_is_drawn_with_its_ports_and_keys() {
        let text = r#"
name = "p"
sources.orders = { connector = "generator", kind = "orders" }
[steps.rules]
from = "orders"
key = "id"
plugin = "rules@latest"
[sinks.rules]
from = "rules.audit"
connector = "file"
path = "out"
"#;
        let file = |_: &str| Ok("/data/00ff.wasm".into());
        let none = |_: &str| Err(String::new());
        let deployment = crate::config::Deployment { catalog: &file, connections: &none };
        let pipeline = crate::config::parse_deployment(text, "p", Path::new("/files"), &deployment).unwrap();
        let pin = Pin {
            reference: "rules@latest".into(),
            name: "rules".into(),
            version: "1.0.0".into(),
            digest: "00ff".into(),
        };
        expect![[r#"
            flowchart LR
              n0(["orders<br/>generator, 1 partitions"])
              n1["rules<br/>plugin rules@1.0.0<br/>by id"]
              n2[("rules<br/>files in /files/out")]
              n0 --> n1
              n1 -->|"audit"| n2
        "#]]
        .assert_eq(&mermaid(&plan(&pipeline, &[pin])));
    }

    #[test]
    fn a_join_is_drawn_with_both_its_inputs_and_a_condition_is_told() {
        let text = r#"
name = "p"
sources.orders = { connector = "generator", kind = "orders" }
sources.customers = { connector = "file", path = "customers", format = "debezium" }
[steps.large]
from = "orders"
where = "amount > 100"
[steps.known]
from = "large"
join = { with = "customers", on = { customer_id = "id" }, as_of = "event-time" }
where = "right.level = 'gold'"
[sinks.out]
from = "known"
connector = "stdout"
"#;
        let pipeline = crate::config::parse(text, "p", Path::new("/files"), &[]).unwrap();
        expect![[r#"
            flowchart LR
              n0(["orders<br/>generator, 1 partitions"])
              n1(["customers<br/>files /files/customers"])
              n2["large<br/>where"]
              n3["known<br/>join as of event time, where<br/>by customer_id"]
              n4[("out<br/>standard output")]
              n0 --> n2
              n2 --> n3
              n1 --> n3
              n3 --> n4
        "#]]
        .assert_eq(&mermaid(&plan(&pipeline, &[])));
    }
}
