//! `join` of a step.

use super::document::{Node, Value};
use super::errors::{Errors, listed};
use super::graph::Reference;
use super::model::{Input, Join, JoinKind, JoinWindow, Operation, Step, Tables, TablesPart, Window};
use super::section::Section;
use super::steps::Draft;
use super::windows;
use std::sync::Arc;

/// Reads `join`: what is joined, its other input not yet resolved. None where it is absent or wrong.
pub(super) fn join(step: &Section<'_>, errors: &mut Errors) -> Option<(Join, Option<Reference>)> {
    let section = step.table("join", errors)?;
    section.check_keys(errors);
    let with = Reference::read(&section, "with", errors);
    let on = on(&section, errors);
    let kinds = [("inner", [false, false]), ("left", [true, false]), ("outer", [true, true])];
    let keeps = section.choice("type", &kinds, errors);
    let as_of = section.choice("as_of", &[("event-time", JoinKind::AsOf), ("latest", JoinKind::Latest)], errors);
    let has = |name: &str| section.entry(name).is_some();
    let within = within(&section, errors);
    let key = section.fields("key", errors);
    match (has("within"), has("as_of"), has("key")) {
        (true, true, _) => {
            let problem = "found it beside `within`, expected one of the two: `within` joins two streams, `as_of` a stream \
                           with a table";
            section.wrong("as_of", problem, errors);
        }
        (within, as_of, true) if within || as_of => {
            let other =
                if within { "`within`, which joins two streams" } else { "`as_of`, which joins a stream with a table" };
            let problem =
                format!("found it beside {other}, expected one of the two: with `key` both inputs are tables");
            section.wrong("key", problem, errors);
        }
        (false, false, false) => {
            let problem = "missing, expected how far apart in time records match, as in `within = { before = \"5m\", after = \
                           \"5m\" }`; where the other input is a table, write `as_of = \"event-time\"` instead, and where \
                           both are, `key = \"FIELD\"` with the left one's own key";
            section.wrong("within", problem, errors);
        }
        _ => {}
    }
    if has("key") && step.entry("late").is_some() {
        step.wrong("late", "found it beside a join of two tables, for which no record is late; drop it", errors);
    }
    if (has("as_of") || has("key")) && keeps.is_some_and(|it| it[1]) {
        let problem = "found \"outer\", but a table's rows wait for no record; write \"inner\" or \"left\"";
        section.wrong("type", problem, errors);
    }
    let kind = within.or(as_of).or((!key.is_empty()).then_some(JoinKind::Tables))?;
    // An input that is wrong was reported; this one never leaves `check`.
    Some((Join { with: Input::Source(0), on, keeps: keeps?, kind, key }, with))
}

/// A join of two tables as its parts, each of which reads the one before; any other step as it is. Their names have a dot, so that no
/// other step can have them.
pub(super) fn parts(mut draft: Draft) -> Vec<Draft> {
    let Operation::Join(join) = &draft.operation else { return vec![draft] };
    if join.kind != JoinKind::Tables {
        return vec![draft];
    }
    let path = format!("steps.{}.join", draft.name);
    let part = |part: TablesPart, suffix: &str, from: Option<Reference>, with: Option<Reference>| Draft {
        name: format!("{}{suffix}", draft.name),
        at: draft.at.clone(),
        from,
        with,
        key: Vec::new(),
        condition: None,
        operation: Operation::Tables(Tables { part, left: Input::Source(0), join: join.clone() }),
        select: None,
        late: None,
        state_ttl_ms: None,
        processing_time: false,
    };
    let reads = |before: &Draft| {
        Some(Reference { name: before.name.clone(), port: None, at: draft.at.clone(), path: path.clone() })
    };
    let changes = part(TablesPart::Changes, ".changes", draft.from.clone(), None);
    let matches = part(TablesPart::Matches, ".matches", reads(&changes), draft.with.clone());
    let results = part(TablesPart::Results, "", reads(&matches), None);
    (draft.from, draft.with, draft.operation) = (results.from, None, results.operation);
    vec![changes, matches, draft]
}

/// Tells a part of a join of two tables, which reads `from` and `with`, what the join's inputs are; `before` are the steps before it.
pub(super) fn resolve_part(tables: &mut Tables, from: &Input, with: Option<Input>, before: &[Step]) {
    let part_before = match from {
        Input::Step(step, _) => before.get(*step).map(|it| &it.operation),
        Input::Source(_) => None,
    };
    match (tables.part, part_before) {
        (TablesPart::Changes, _) => tables.left = from.clone(),
        (_, Some(Operation::Tables(part))) => {
            tables.left = part.left.clone();
            tables.join.with = with.unwrap_or_else(|| part.join.with.clone());
        }
        // Of a cycle, which was reported.
        _ => {}
    }
}

fn within(join: &Section<'_>, errors: &mut Errors) -> Option<JoinKind> {
    let section = join.table("within", errors)?;
    section.check_keys(errors);
    let is_written = |name: &&str| section.entry(name).is_some();
    let kinds: Vec<&str> = ["tumbling", "hopping", "session"].into_iter().filter(is_written).collect();
    match kinds[..] {
        [] => interval(join, &section, errors),
        [kind] => {
            let misplaced = ["before", "after"].into_iter().filter(is_written);
            for name in misplaced.collect::<Vec<_>>() {
                let problem = format!(
                    "found it beside `{kind}`, expected one of the two: records match that are in the same window, or that \
                     are within `before` and `after` of each other"
                );
                section.wrong(name, problem, errors);
            }
            windows::companions(&section, kind, &["slide", "offset"], errors);
            window(&section, kind, errors).map(JoinKind::Window)
        }
        _ => {
            join.wrong("within", format!("found {}, expected only one of them", listed(kinds)), errors);
            None
        }
    }
}

/// How far apart in time records match.
fn interval(join: &Section<'_>, section: &Section<'_>, errors: &mut Errors) -> Option<JoinKind> {
    for name in ["slide", "offset"] {
        if section.entry(name).is_some() {
            let problem =
                "goes with a window, which is missing; add `hopping = \"5m\"` or `tumbling = \"5m\"`, or drop it";
            section.wrong(name, problem, errors);
        }
    }
    let before_ms = section.signed_duration("before", errors)?;
    let after_ms = section.signed_duration("after", errors)?;
    if before_ms.saturating_add(after_ms) < 0 {
        let problem = format!(
            "found nothing between {before_ms} ms before and {after_ms} ms after a record, expected `before` and `after` to \
             be at least 0 ms together"
        );
        join.wrong("within", problem, errors);
    }
    Some(JoinKind::Within { before_ms, after_ms })
}

/// The window that records must share.
fn window(section: &Section<'_>, kind: &str, errors: &mut Errors) -> Option<JoinWindow> {
    if kind == "session" {
        let gap_ms = section.duration("session", errors)? as i64;
        return Some(JoinWindow::Session { gap_ms });
    }
    match windows::aligned(section, kind, errors)? {
        Window::Tumbling { size_ms, offset_ms } => Some(JoinWindow::Aligned { size_ms, slide_ms: size_ms, offset_ms }),
        Window::Hopping { size_ms, slide_ms, offset_ms } => Some(JoinWindow::Aligned { size_ms, slide_ms, offset_ms }),
        _ => None,
    }
}

/// Reads `on`: the fields of the left and the right input that must be equal.
fn on(join: &Section<'_>, errors: &mut Errors) -> Vec<(Arc<str>, Arc<str>)> {
    let Some(entry) = join.entry("on") else {
        let problem = "missing, expected the field or fields that must be equal; add `on = \"FIELD\"`, or `on = { LEFT = \
                       \"RIGHT\" }` where they have two names";
        join.wrong("on", problem, errors);
        return Vec::new();
    };
    let mut pairs: Vec<(Arc<str>, Arc<str>)> = Vec::new();
    let mut add = |left: &str, right: &Node, errors: &mut Errors| match &right.value {
        Value::Text(right) if !right.trim().is_empty() && !left.trim().is_empty() => {
            let pair = (Arc::from(left), Arc::from(right.as_str()));
            if pairs.contains(&pair) {
                join.wrong("on", format!("found {left:?} twice, expected each field once"), errors);
            }
            pairs.push(pair);
        }
        _ => {
            let problem = format!("found {}, expected the name of a field", right.shown());
            errors.push(&right.at, join.path_of("on"), problem);
        }
    };
    match &entry.node.value {
        Value::Text(field) => add(field, &entry.node, errors),
        Value::List(fields) => {
            for field in fields {
                let name = if let Value::Text(name) = &field.value { name } else { "" };
                add(name, field, errors);
            }
        }
        Value::Table(table) => {
            for pair in &table.entries {
                add(&pair.name, &pair.node, errors);
            }
        }
        _ => add("", &entry.node, errors),
    }
    let empty = match &entry.node.value {
        Value::List(fields) => fields.is_empty(),
        Value::Table(table) => table.entries.is_empty(),
        _ => false,
    };
    if empty {
        join.wrong("on", "found no fields, expected at least one", errors);
    }
    pairs
}

/// What a step with a `join` cannot have beside it.
pub(super) fn check_company(step: &Section<'_>, errors: &mut Errors) {
    let others = ["plugin", "window"];
    let found: Vec<&str> = others.into_iter().filter(|it| step.entry(it).is_some()).collect();
    if !found.is_empty() {
        let problem =
            format!("found it beside {}, expected a step of its own; add one that reads from this one", listed(found));
        step.wrong("join", problem, errors);
    }
    if step.entry("key").is_some() {
        step.wrong("key", "found it beside `join`, whose key is `on`; drop it", errors);
    }
}
