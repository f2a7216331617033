//! From the text of a pipeline file to a checked [`Pipeline`]: all errors, or none.

use super::deployment::connect;
use super::document::{self, Entry, Value};
use super::errors::{ConfigErrors, Errors, Place};
use super::graph::{Names, check_distinct, group, order};
use super::joins;
use super::keys;
use super::model::{BadRecords, Delivery, Input, Late, Operation, Pipeline, Sink, Source, Step};
use super::section::Section;
use super::sinks::{Placed, check_together, dead_letters, sink};
use super::sources::source;
use super::steps::{Draft, Plugins, step};
use std::sync::Arc;

/// Parses and checks `text`.
pub(super) fn check(
    text: &str,
    file: &Arc<str>,
    overrides: &[(String, String)],
    plugins: &Plugins<'_>,
) -> Result<Pipeline, ConfigErrors> {
    let mut errors = Errors::default();
    let Some(mut root) = document::read(text, file, &mut errors) else { return Err(errors.into_all()) };
    for (key, value) in overrides {
        document::set(&mut root, key, value, &mut errors);
    }
    let connected = plugins.deployment.map(|it| connect(&mut root, it.connections, &mut errors));
    let at = Place::Whole { file: Arc::clone(file) };
    let root = Section::root(&root, &at, &keys::PIPELINE);
    let mut pipeline = pipeline(&root, plugins, &mut errors);
    if let Some(connected) = connected {
        connected.apply(&mut pipeline);
    }
    if errors.is_empty() { Ok(pipeline) } else { Err(errors.into_all()) }
}

/// Reads the whole file. What it answers is complete only where nothing was added to `errors`.
fn pipeline(root: &Section<'_>, plugins: &Plugins<'_>, errors: &mut Errors) -> Pipeline {
    root.check_keys(errors);
    let deliveries = [("exactly-once", Delivery::ExactlyOnce), ("at-least-once", Delivery::AtLeastOnce)];
    let delivery = root.choice("delivery", &deliveries, errors).unwrap_or(Delivery::ExactlyOnce);
    let checkpoint_interval_ms = root.duration("checkpoint_interval", errors).unwrap_or(1_000);

    let (source_entries, step_entries) = (group(root, "sources", errors), group(root, "steps", errors));
    let sink_entries = group(root, "sinks", errors);
    check_distinct(source_entries, step_entries, errors);
    let sources: Vec<Source> = source_entries.iter().filter_map(|it| source(it, plugins.base, errors)).collect();
    let drafts = step_entries.iter().filter_map(|it| step(it, plugins, errors));
    let drafts: Vec<Draft> = drafts.flat_map(joins::parts).collect();
    let names = Names::new(sources.iter().map(|it| it.name.clone()).collect(), &drafts);
    let (steps, positions) = steps(drafts, &names, &sources, errors);
    let sinks: Vec<(Sink, &Entry)> = sink_entries
        .iter()
        .filter_map(|it| Some((sink(it, plugins.base, &names, errors)?, it)))
        .map(|(sink, entry)| (Sink { from: renumbered(sink.from, &positions), ..sink }, entry))
        .collect();
    let letters_entry = root.entry("dead_letters");
    let letters = letters_entry.and_then(|it| dead_letters(it, plugins.base, errors));
    let placed = sinks.iter().map(|(sink, entry)| Placed { sink, entry, path: format!("sinks.{}", sink.name) });
    let placed_letters = letters.iter().zip(letters_entry);
    let placed_letters = placed_letters.map(|(sink, entry)| Placed { sink, entry, path: sink.name.clone() });
    check_together(&placed.chain(placed_letters).collect::<Vec<_>>(), delivery, checkpoint_interval_ms, errors);
    if let (Some(_), Some((_, entry))) = (letters_entry, sinks.iter().find(|it| it.0.name == "dead_letters")) {
        let problem = "found the name of the table [dead_letters], expected another; rename the sink";
        errors.push(&entry.at, "sinks.dead_letters", problem);
    }
    if letters_entry.is_none() {
        need_dead_letters(source_entries, step_entries, errors);
    }

    Pipeline {
        name: name(root, errors),
        delivery,
        checkpoint_interval_ms,
        batch_rows_max: root.integer("batch_rows_max", errors).unwrap_or(1) as usize,
        memory: root.size("memory", errors),
        bad_records: bad_records(root, letters_entry.is_some(), errors),
        sources,
        steps,
        sinks: sinks.into_iter().map(|(sink, _)| sink).collect(),
        dead_letters: letters,
    }
}

fn name(root: &Section<'_>, errors: &mut Errors) -> String {
    const NAME_LEN_MAX: usize = 100;
    let Some(name) = root.text("name", errors) else { return String::new() };
    let legal = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    if name.len() > NAME_LEN_MAX || !name.chars().all(legal) || name.starts_with('.') {
        let problem = format!(
            "found {name:?}, expected at most {NAME_LEN_MAX} letters, digits, `_`, `-` and `.`, the first no `.`: it names \
             a folder and a consumer group"
        );
        root.wrong("name", problem, errors);
    }
    name
}

fn bad_records(root: &Section<'_>, dead_letters: bool, errors: &mut Errors) -> BadRecords {
    let policies = [("dead-letter", BadRecords::DeadLetter), ("stop", BadRecords::Stop), ("drop", BadRecords::Drop)];
    let written = root.choice("bad_records", &policies, errors);
    if written == Some(BadRecords::DeadLetter) && !dead_letters {
        root.wrong("bad_records", NO_DEAD_LETTERS, errors);
    }
    written.unwrap_or(if dead_letters { BadRecords::DeadLetter } else { BadRecords::Stop })
}

const NO_DEAD_LETTERS: &str = "found \"dead-letter\", but the file has no [dead_letters]; add that table with a \
                               `connector`, or write another value";

/// Resolves the steps' inputs. Answers the steps in order, and for each draft its place in that order.
fn steps(drafts: Vec<Draft>, names: &Names, sources: &[Source], errors: &mut Errors) -> (Vec<Step>, Vec<usize>) {
    let inputs: Vec<Option<Input>> =
        drafts.iter().map(|it| it.from.as_ref().and_then(|from| names.resolve(from, errors))).collect();
    let with: Vec<Option<Input>> =
        drafts.iter().map(|it| it.with.as_ref().and_then(|with| names.resolve(with, errors))).collect();
    let both: Vec<Vec<Input>> =
        inputs.iter().zip(&with).map(|(from, with)| from.iter().chain(with).cloned().collect()).collect();
    let order = order(&drafts, &both, errors);
    let mut positions = vec![0; drafts.len()];
    for (position, &draft) in order.iter().enumerate() {
        positions[draft] = position;
    }
    let mut by_draft: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    let mut steps: Vec<Step> = Vec::with_capacity(order.len());
    let mut source_late: Vec<Late> = Vec::with_capacity(order.len());
    for &index in &order {
        let Some(mut draft) = by_draft[index].take() else { continue };
        let from = renumbered(inputs[index].clone().unwrap_or(Input::Source(0)), &positions);
        let with = with[index].clone().map(|it| renumbered(it, &positions));
        match (&mut draft.operation, with) {
            (Operation::Join(join), Some(with)) => join.with = with,
            (Operation::Tables(tables), with) => joins::resolve_part(tables, &from, with, &steps),
            _ => {}
        }
        let inherited = match &from {
            Input::Source(source) => sources.get(*source).map(|it| it.event_time.late),
            Input::Step(step, _) => source_late.get(*step).copied(), // It came before, but for a cycle's.
        };
        source_late.push(inherited.unwrap_or(Late::Drop));
        let late = draft.late.or(inherited).unwrap_or(Late::Drop);
        if late == Late::SideOutput && matches!(draft.operation, Operation::Join(_)) {
            let problem = "is \"side-output\", which is for windows: a join's late records are of two inputs; write \
                           `late = \"drop\"` or `late = \"dead-letter\"`";
            errors.push(&draft.at, format!("steps.{}.late", draft.name), problem);
        }
        steps.push(Step {
            name: draft.name,
            from,
            key: draft.key,
            condition: draft.condition,
            operation: draft.operation,
            select: draft.select,
            late,
            state_ttl_ms: draft.state_ttl_ms,
            processing_time: draft.processing_time,
        });
    }
    (steps, positions)
}

/// The input with a step's index in the order of the file replaced by that in the order of reading.
fn renumbered(input: Input, positions: &[usize]) -> Input {
    match input {
        Input::Step(draft, port) => Input::Step(positions.get(draft).copied().unwrap_or_default(), port),
        source => source,
    }
}

/// `late = "dead-letter"` without `[dead_letters]`, in sources and steps.
fn need_dead_letters(sources: &[Entry], steps: &[Entry], errors: &mut Errors) {
    let inner = |entry: &'_ Entry, name: &str| match &entry.node.value {
        Value::Table(table) => table.get(name).cloned(),
        _ => None,
    };
    let times =
        sources.iter().filter_map(|it| Some((format!("sources.{}.event_time", it.name), inner(it, "event_time")?)));
    let steps = steps.iter().map(|it| (format!("steps.{}", it.name), it.clone()));
    for (path, entry) in times.chain(steps) {
        let Some(late) = inner(&entry, "late") else { continue };
        if matches!(&late.node.value, Value::Text(it) if it == "dead-letter") {
            errors.push(&late.node.at, format!("{path}.late"), NO_DEAD_LETTERS);
        }
    }
}
