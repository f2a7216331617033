//! `window`, `aggregate`, `emit` and `output` of a step.

use super::document::{Entry, Value};
use super::errors::{Errors, listed, nearest};
use super::model::{Aggregate, Emit, Function, Window};
use super::section::Section;
use std::sync::Arc;

const FUNCTIONS: [(&str, Function); 5] = [
    ("count", Function::Count),
    ("sum", Function::Sum),
    ("min", Function::Min),
    ("max", Function::Max),
    ("avg", Function::Avg),
];

/// Aggregates that are planned: known names, but not of this version.
const FUNCTIONS_LATER: [&str; 4] = ["first", "last", "distinct", "top"];

/// What a user may call them elsewhere.
const FUNCTIONS_ELSEWHERE: [(&str, &str); 5] =
    [("average", "avg"), ("mean", "avg"), ("maximum", "max"), ("minimum", "min"), ("total", "sum")];

/// Reads `window`. None where it is absent or wrong.
pub(super) fn window(step: &Section<'_>, errors: &mut Errors) -> Option<Window> {
    const KINDS: [&str; 4] = ["tumbling", "hopping", "session", "rolling"];
    let section = step.table("window", errors)?;
    section.check_keys(errors);
    let written: Vec<&str> = KINDS.into_iter().filter(|it| section.entry(it).is_some()).collect();
    let length = |name: &str, errors: &mut Errors| section.duration(name, errors).map(|it| it as i64);
    let [kind] = written[..] else {
        let not_yet = ["count", "global"].iter().any(|it| section.entry(it).is_some());
        if !written.is_empty() {
            let problem = format!("found {}, expected only one of {}", listed(written), listed(KINDS));
            step.wrong("window", problem, errors);
        } else if !not_yet {
            let problem =
                format!("no kind of window, expected one of {}; write `{{ tumbling = \"5m\" }}`", listed(KINDS));
            step.wrong("window", problem, errors);
        }
        return None;
    };
    let size_ms = length(kind, errors);
    let slide_ms = length("slide", errors);
    let offset_ms = length("offset", errors)?;
    if kind != "hopping" && section.entry("slide").is_some() {
        section.wrong("slide", format!("goes with `hopping`, found it beside `{kind}`"), errors);
    }
    if !matches!(kind, "tumbling" | "hopping") && section.entry("offset").is_some() {
        section.wrong("offset", format!("goes with `tumbling` and `hopping`, found it beside `{kind}`"), errors);
    }
    if kind == "hopping" && section.entry("slide").is_none() {
        let problem = "missing, expected a duration of at most `hopping`; add `slide = ...`, or use `tumbling` for windows \
                       end to end";
        section.wrong("slide", problem, errors);
    }
    let (size_ms, period) = (size_ms?, if kind == "hopping" { ("slide", slide_ms?) } else { ("tumbling", size_ms?) });
    if kind == "hopping" && period.1 > size_ms {
        let problem = format!(
            "found {} ms, expected at most `hopping` ({size_ms} ms): records between two windows would be lost",
            period.1
        );
        section.wrong("slide", problem, errors);
    }
    if matches!(kind, "tumbling" | "hopping") && offset_ms >= period.1 {
        let problem = format!("found {offset_ms} ms, expected less than `{}` ({} ms)", period.0, period.1);
        section.wrong("offset", problem, errors);
    }
    Some(match kind {
        "tumbling" => Window::Tumbling { size_ms, offset_ms },
        "hopping" => Window::Hopping { size_ms, slide_ms: period.1, offset_ms },
        "session" => Window::Session { gap_ms: size_ms },
        _ => Window::Rolling { size_ms },
    })
}

/// Reads `aggregate`: the aggregates in the order of the file. None where it is absent.
pub(super) fn aggregates(step: &Section<'_>, key: &[Arc<str>], errors: &mut Errors) -> Option<Vec<Aggregate>> {
    let entries = step.map("aggregate", errors)?;
    if entries.is_empty() {
        step.wrong("aggregate", "found no aggregates, expected at least one such as `orders = \"count()\"`", errors);
    }
    Some(entries.iter().filter_map(|entry| aggregate(step, entry, key, errors)).collect())
}

fn aggregate(step: &Section<'_>, entry: &Entry, key: &[Arc<str>], errors: &mut Errors) -> Option<Aggregate> {
    let path = format!("{}.{}", step.path_of("aggregate"), entry.name);
    let taken =
        matches!(entry.name.as_str(), "window_start" | "window_end") || key.iter().any(|it| **it == *entry.name);
    if taken {
        let problem =
            "names a field that the result already has (the key, `window_start`, `window_end`); choose another";
        errors.push(&entry.at, path.clone(), problem);
    }
    let Value::Text(text) = &entry.node.value else {
        let problem = format!("found {}, expected an aggregate such as \"sum(amount)\"", entry.node.shown());
        errors.push(&entry.node.at, path, problem);
        return None;
    };
    match expression(text) {
        Ok((function, field)) => Some(Aggregate { name: entry.name.as_str().into(), function, field }),
        Err((problem, near)) => {
            errors.push_near(&entry.node.at, path, format!("found {text:?}, {problem}"), near);
            None
        }
    }
}

/// A function and its field.
type Expression = (Function, Option<Arc<str>>);

/// Reads `count()`, `sum(amount)` and so on.
///
/// # Errors
/// What was expected, for the end of a message, and the nearest function.
fn expression(text: &str) -> Result<Expression, (String, Option<&'static str>)> {
    let known = || FUNCTIONS.iter().map(|it| it.0);
    let expected = || format!("expected one of {}", listed(["count()", "sum(f)", "min(f)", "max(f)", "avg(f)"]));
    let trimmed = text.trim();
    let name = trimmed.split('(').next().unwrap_or_default().trim_end();
    let Some((_, function)) = FUNCTIONS.iter().find(|it| it.0 == name) else {
        if FUNCTIONS_LATER.contains(&name) {
            return Err((format!("`{name}` is not supported by this version of wasmill; {}", expected()), None));
        }
        let alias = FUNCTIONS_ELSEWHERE.iter().find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1);
        return Err((expected(), alias.or_else(|| nearest(name, known()))));
    };
    let argument = trimmed[name.len()..].trim_start().strip_prefix('(').and_then(|it| it.strip_suffix(')'));
    let Some(field) = argument.map(str::trim) else {
        let wanted = if *function == Function::Count { "count()".to_owned() } else { format!("{name}(FIELD)") };
        return Err((format!("expected `{wanted}`, with both brackets"), None));
    };
    match (function, field) {
        (Function::Count, "") => Ok((Function::Count, None)),
        (Function::Count, _) => {
            Err(("expected `count()`: it counts records, whatever their fields hold".to_owned(), None))
        }
        (_, "") => Err((format!("expected a field in the brackets: `{name}(FIELD)`"), None)),
        (_, field) if is_computed(field) => {
            Err((format!("expected the name of one field in the brackets; compute {field:?} in a plugin before"), None))
        }
        (function, field) => Ok((*function, Some(field.into()))),
    }
}

/// True for what is more than the name of a field, which may hold blanks and signs itself.
fn is_computed(field: &str) -> bool {
    field.contains(['(', ')', ',']) || field.split_whitespace().any(|it| ["+", "-", "*", "/", "%"].contains(&it))
}

/// `output`.
#[derive(Clone, Copy, PartialEq)]
enum Output {
    Append,
    Update,
}

/// Reads `emit` and `output`, which must not contradict each other nor the window.
pub(super) fn emit(step: &Section<'_>, window: Option<Window>, errors: &mut Errors) -> Emit {
    let outputs = [("append", Output::Append), ("update", Output::Update)];
    let output = step.choice("output", &outputs, errors);
    let written = step.entry("emit");
    let emit = match written.map(|it| &it.node.value) {
        Some(Value::Table(_)) => step.table("emit", errors).and_then(|section| {
            section.check_keys(errors);
            Some(Emit::Every { interval_ms: section.duration("every", errors)? })
        }),
        _ => step.choice("emit", &[("on-close", Emit::OnClose), ("on-update", Emit::OnUpdate)], errors),
    };
    if matches!(window, Some(Window::Rolling { .. })) {
        if written.is_some() {
            step.wrong("emit", "a rolling window answers every record as it arrives; drop `emit`", errors);
        }
        if output == Some(Output::Update) {
            step.wrong(
                "output",
                "found \"update\", but what a rolling window writes is final; drop it or write \"append\"",
                errors,
            );
        }
        return Emit::OnUpdate;
    }
    match (emit, output) {
        (Some(Emit::OnClose), Some(Output::Update)) => {
            let problem = "found \"update\", but emit = \"on-close\" writes each result once; write \"append\", or emit = \
                           \"on-update\" or { every = \"30s\" }";
            step.wrong("output", problem, errors);
        }
        (Some(Emit::OnUpdate | Emit::Every { .. }), Some(Output::Append)) => {
            let problem = "found \"append\", but this `emit` writes a result again when it changes; write \"update\", or emit \
                           = \"on-close\"";
            step.wrong("output", problem, errors);
        }
        _ => {}
    }
    let default = if output == Some(Output::Update) { Emit::OnUpdate } else { Emit::OnClose };
    emit.unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregate_is_a_function_of_one_field() {
        assert_eq!(expression("count()"), Ok((Function::Count, None)));
        assert_eq!(expression(" sum( card.amount ) "), Ok((Function::Sum, Some("card.amount".into()))));
        for wrong in [
            "",
            "sum",
            "sum()",
            "sum(a",
            "sum a)",
            "sum(a, b)",
            "sum(max(a))",
            "sum(a + b)",
            "count(a)",
            "first(a)",
            "sum(a) b",
            "(a)",
        ] {
            assert!(expression(wrong).is_err(), "{wrong:?} is not an aggregate");
        }
    }
}
