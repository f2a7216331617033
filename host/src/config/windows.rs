//! `window`, `aggregate`, `emit` and `output` of a step.

use super::document::{Entry, Value};
use super::errors::{Errors, listed, nearest};
use super::model::{Accumulate, Aggregate, CalendarUnit, Emit, Firing, Function, LatePanes, Window};
use super::section::{Section, Span};
use std::sync::Arc;

const FUNCTIONS: [(&str, Function); 10] = [
    ("count", Function::Count),
    ("sum", Function::Sum),
    ("min", Function::Min),
    ("max", Function::Max),
    ("avg", Function::Avg),
    ("first", Function::First),
    ("last", Function::Last),
    ("distinct", Function::Distinct),
    ("collect", Function::Collect),
    ("percentile", Function::Percentile { thousandths: 0 }),
];

/// The same as they are written.
const SHOWN: [&str; 10] = [
    "count()",
    "sum(f)",
    "min(f)",
    "max(f)",
    "avg(f)",
    "first(f)",
    "last(f)",
    "distinct(f)",
    "collect(f)",
    "percentile(f, 99)",
];

/// What is no aggregate but a key of its own: it makes rows, and not one value.
const KEYS_OF_STEPS: [&str; 2] = ["top", "topk"];

/// What a user may call them elsewhere.
const FUNCTIONS_ELSEWHERE: [(&str, &str); 9] = [
    ("average", "avg"),
    ("mean", "avg"),
    ("maximum", "max"),
    ("minimum", "min"),
    ("total", "sum"),
    ("array_agg", "collect"),
    ("collect_list", "collect"),
    ("count_distinct", "distinct"),
    ("latest", "last"),
];

const KINDS: [&str; 8] = ["tumbling", "hopping", "session", "rolling", "sliding", "calendar", "count", "global"];

/// Keys of `window` that only go with some kinds of window.
const COMPANIONS: [(&str, &[&str]); 6] = [
    ("slide", &["hopping"]),
    ("offset", &["tumbling", "hopping"]),
    ("boundary", &["session"]),
    ("gap", &["session"]),
    ("timezone", &["calendar"]),
    ("every", &["count"]),
];

/// Reads `window`. None where it is absent or wrong.
pub(super) fn window(step: &Section<'_>, errors: &mut Errors) -> Option<Window> {
    let section = step.table("window", errors)?;
    section.check_keys(errors);
    let written: Vec<&str> = KINDS.into_iter().filter(|it| section.entry(it).is_some()).collect();
    let [kind] = written[..] else {
        if written.is_empty() {
            let problem =
                format!("no kind of window, expected one of {}; write `{{ tumbling = \"5m\" }}`", listed(KINDS));
            step.wrong("window", problem, errors);
        } else {
            let problem = format!("found {}, expected only one of {}", listed(written), listed(KINDS));
            step.wrong("window", problem, errors);
        }
        return None;
    };
    if section.choice("time", &TIMES, errors) == Some(true) {
        check_processing_time(step, &section, kind, errors);
    }
    companions(&section, kind, &COMPANIONS.map(|it| it.0), errors);
    match kind {
        "tumbling" | "hopping" => aligned(&section, kind, errors),
        "session" => session(&section, errors),
        "rolling" => Some(Window::Rolling { size_ms: length(&section, kind, errors)? }),
        "sliding" => Some(Window::Sliding { difference_ms: length(&section, kind, errors)? }),
        "calendar" => calendar(&section, errors),
        "count" => count(&section, errors),
        _ => {
            if !section.boolean("global", errors) {
                section.wrong("global", "found false, expected `true` or another kind of window", errors);
            }
            Some(Window::Global)
        }
    }
}

/// Refuses those of the keys `names` that do not go with windows of this kind.
pub(super) fn companions(section: &Section<'_>, kind: &str, names: &[&str], errors: &mut Errors) {
    for (name, kinds) in COMPANIONS.into_iter().filter(|it| names.contains(&it.0)) {
        if !kinds.contains(&kind) && section.entry(name).is_some() {
            let kinds = kinds.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(" and ");
            section.wrong(name, format!("goes with {kinds}, found it beside `{kind}`"), errors);
        }
    }
}

/// `window.time`: whether it is processing time.
const TIMES: [(&str, bool); 2] = [("event", false), ("processing", true)];

/// True where a step's windows are by processing time.
pub(super) fn is_by_processing_time(step: &Section<'_>) -> bool {
    // Whatever is wrong with it was or will be said by `window`.
    let errors = &mut Errors::default();
    step.entry("window").is_some()
        && step.table("window", errors).and_then(|it| it.choice("time", &TIMES, errors)) == Some(true)
}

/// Windows by processing time close by the clock, and nothing comes too late for them.
fn check_processing_time(step: &Section<'_>, window: &Section<'_>, kind: &str, errors: &mut Errors) {
    const KINDS: [&str; 4] = ["tumbling", "hopping", "session", "calendar"];
    if !KINDS.contains(&kind) {
        let problem = format!("\"processing\" goes with one of {}, found it beside `{kind}`", listed(KINDS));
        window.wrong("time", problem, errors);
    }
    for name in ["allowed_lateness", "late"].into_iter().filter(|it| step.entry(it).is_some()) {
        step.wrong(name, format!("nothing is late for windows by processing time; drop `{name}`"), errors);
    }
    let emit = match step.entry("emit").map(|it| &it.node.value) {
        Some(Value::Table(_)) => step.table("emit", &mut Errors::default()),
        _ => None,
    };
    if let Some(emit) = emit.filter(|it| it.entry("event_time").is_some()) {
        emit.wrong("event_time", "the windows are by processing time; write `every` in its place", errors);
    }
}

fn length(section: &Section<'_>, name: &str, errors: &mut Errors) -> Option<i64> {
    section.duration(name, errors).map(|it| it as i64)
}

/// Tumbling and hopping windows.
pub(super) fn aligned(section: &Section<'_>, kind: &str, errors: &mut Errors) -> Option<Window> {
    let size_ms = length(section, kind, errors);
    let slide_ms = length(section, "slide", errors);
    let offset_ms = length(section, "offset", errors)?;
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
    if offset_ms >= period.1 {
        let problem = format!("found {offset_ms} ms, expected less than `{}` ({} ms)", period.0, period.1);
        section.wrong("offset", problem, errors);
    }
    Some(match kind {
        "tumbling" => Window::Tumbling { size_ms, offset_ms },
        _ => Window::Hopping { size_ms, slide_ms: period.1, offset_ms },
    })
}

fn session(section: &Section<'_>, errors: &mut Errors) -> Option<Window> {
    let touching = section.choice("boundary", &[("exclusive", false), ("inclusive", true)], errors).unwrap_or(false);
    let gap_field = section.text("gap", errors).map(Into::into);
    Some(Window::Session { gap_ms: length(section, "session", errors)?, touching, gap_field })
}

fn calendar(section: &Section<'_>, errors: &mut Errors) -> Option<Window> {
    let units = [
        ("day", CalendarUnit::Day),
        ("week", CalendarUnit::Week),
        ("month", CalendarUnit::Month),
        ("year", CalendarUnit::Year),
    ];
    let unit = section.choice("calendar", &units, errors);
    let zone = section.text("timezone", errors).unwrap_or_else(|| "UTC".to_owned());
    if jiff::tz::TimeZone::get(&zone).is_err() {
        let known: Vec<String> = jiff::tz::db().available().map(|it| it.to_string()).collect();
        let near = known.iter().map(|it| (strsim::jaro_winkler(&it.to_lowercase(), &zone.to_lowercase()), it));
        let near = near.filter(|it| it.0 > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|it| it.1);
        let hint = near.map(|it| format!("; did you mean \"{it}\"?")).unwrap_or_default();
        let problem =
            format!("found {zone:?}, expected a time zone of the IANA database such as \"Europe/Paris\"{hint}");
        section.wrong("timezone", problem, errors);
    }
    Some(Window::Calendar { unit: unit?, zone: zone.into() })
}

fn count(section: &Section<'_>, errors: &mut Errors) -> Option<Window> {
    let records = section.integer("count", errors)?;
    let every = section.integer("every", errors).unwrap_or(records);
    if every > records {
        let problem =
            format!("found {every}, expected at most `count` ({records}): records between two windows would be lost");
        section.wrong("every", problem, errors);
    }
    Some(Window::Count { records: records as u64, every: every as u64 })
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
    let taken = matches!(entry.name.as_str(), "window_start" | "window_end" | "pane" | "pane_index" | "retraction")
        || key.iter().any(|it| **it == *entry.name);
    if taken {
        let problem = "names a field that a result may already have (the key, `window_start`, `window_end`, `pane`, `pane_index`, `retraction`); \
             choose another";
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
    let expected = || format!("expected one of {}", listed(SHOWN));
    let trimmed = text.trim();
    let name = trimmed.split('(').next().unwrap_or_default().trim_end();
    let Some((_, function)) = FUNCTIONS.iter().find(|it| it.0 == name) else {
        if KEYS_OF_STEPS.contains(&name) {
            let instead = "a step of its own has `top = { k = 10, by = \"FIELD\" }` in the place of `aggregate`";
            return Err((format!("{}; {instead}", expected()), None));
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
        (Function::Percentile { .. }, argument) => percentile(argument),
        (_, "") => Err((format!("expected a field in the brackets: `{name}(FIELD)`"), None)),
        (_, field) if is_computed(field) => {
            Err((format!("expected the name of one field in the brackets; compute {field:?} in a plugin before"), None))
        }
        (function, field) => Ok((*function, Some(field.into()))),
    }
}

/// Reads `FIELD, PERCENT`.
fn percentile(argument: &str) -> Result<Expression, (String, Option<&'static str>)> {
    let wrong = || {
        let expected = "expected `percentile(FIELD, PERCENT)` with a percentage from 0 to 100 of at most three decimals, as in \
                        `percentile(latency_ms, 99.9)`";
        (expected.to_owned(), None)
    };
    let (field, percent) = argument.rsplit_once(',').ok_or_else(wrong)?;
    let (field, percent) = (field.trim(), percent.trim().parse::<f64>().map_err(|_| wrong())?);
    let thousandths = (percent * 1_000.0).round();
    let whole = (thousandths - percent * 1_000.0).abs() < 1e-6;
    if field.is_empty() || is_computed(field) || !whole || !(0.0..=100_000.0).contains(&thousandths) {
        return Err(wrong());
    }
    Ok((Function::Percentile { thousandths: thousandths as u32 }, Some(field.into())))
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
    Complete,
}

/// Reads `emit` and what goes with it, none of which may contradict another nor the window.
pub(super) fn emit(step: &Section<'_>, window: Option<&Window>, plugin: bool, errors: &mut Errors) -> Emit {
    let outputs = [("append", Output::Append), ("update", Output::Update), ("complete", Output::Complete)];
    let output = step.choice("output", &outputs, errors);
    if let Some(emit) = on_arrival(step, window, output, errors) {
        return emit;
    }
    if matches!(window, Some(Window::Sliding { .. })) {
        refuse_memory(step, errors);
    }
    let written = match step.entry("emit").map(|it| &it.node.value) {
        Some(Value::Table(_)) => step.table("emit", errors).map(|section| emit_table(&section, errors)),
        _ => step.choice("emit", &[("on-close", Emit::OnClose), ("on-update", Emit::OnUpdate)], errors),
    };
    let default = if output == Some(Output::Update) { Emit::OnUpdate } else { Emit::OnClose };
    let emit = written.unwrap_or(default);
    let mut firing = firing(emit);
    let plain = firing;
    repeats(step, &mut firing, errors);
    firing.complete = output == Some(Output::Complete);
    check_output(step, output, &firing, errors);
    if plugin {
        for (name, asked) in [("panes", firing.panes), ("upsert", firing.upsert)] {
            if asked {
                let problem =
                    "goes with `aggregate`: what a plugin makes of a window has the fields and the key that it says";
                step.wrong(name, problem, errors);
            }
        }
        if firing.accumulate == Accumulate::Retracting {
            step.wrong(
                "accumulate",
                "\"retracting\" goes with `aggregate`: a plugin's rows cannot be taken back",
                errors,
            );
        }
    }
    // Each of these windows is kept by itself whatever `emit` says.
    let apart = match window {
        Some(Window::Session { touching, gap_field, .. }) => *touching || gap_field.is_some(),
        Some(Window::Calendar { .. } | Window::Global) => true,
        _ => false,
    };
    if firing == plain && !apart && !matches!(emit, Emit::Repeatedly(_)) { emit } else { Emit::Repeatedly(firing) }
}

/// Rolling and count windows answer as records arrive: nothing else can be said of them.
fn on_arrival(
    step: &Section<'_>,
    window: Option<&Window>,
    output: Option<Output>,
    errors: &mut Errors,
) -> Option<Emit> {
    let (what, emit) = match window? {
        Window::Rolling { .. } => ("a rolling window answers every record as it arrives", Emit::OnUpdate),
        Window::Count { .. } => ("a window of a count is written when it is full", Emit::OnClose),
        _ => return None,
    };
    for name in ["emit", "allowed_lateness", "accumulate", "panes", "upsert"] {
        if step.entry(name).is_some() {
            step.wrong(name, format!("{what}; drop `{name}`"), errors);
        }
    }
    if let Some(output) = output.filter(|it| *it != Output::Append) {
        let found = if output == Output::Update { "update" } else { "complete" };
        let problem = format!("found \"{found}\", but {what}, and that is final; drop it or write \"append\"");
        step.wrong("output", problem, errors);
    }
    Some(emit)
}

/// Sliding windows are written when they close or when a record changes them, and remember nothing of it.
fn refuse_memory(step: &Section<'_>, errors: &mut Errors) {
    for name in ["allowed_lateness", "accumulate", "panes", "upsert"] {
        if step.entry(name).is_some() {
            let problem = format!("a sliding window does not remember what it wrote; drop `{name}`");
            step.wrong(name, problem, errors);
        }
    }
    if step.entry("emit").is_some_and(|it| matches!(it.node.value, Value::Table(_))) {
        let problem = "found a table, but a sliding window is written when it closes or after every record; write \"on-close\" or \
                       \"on-update\"";
        step.wrong("emit", problem, errors);
    }
}

/// The table form of `emit`.
fn emit_table(section: &Section<'_>, errors: &mut Errors) -> Emit {
    section.check_keys(errors);
    let every_ms = section.duration("every", errors);
    let late =
        section.choice("late", &[("per-record", LatePanes::PerRecord), ("at-expiry", LatePanes::AtExpiry)], errors);
    let firing = Firing {
        records: section.integer("records", errors).map(|it| it as u64),
        event_time_ms: section.duration("event_time", errors).map(|it| it as i64),
        every_ms,
        late: late.unwrap_or(LatePanes::PerRecord),
        unchanged: section.boolean("unchanged", errors),
        ..Firing::ON_CLOSE
    };
    if firing == Firing::ON_CLOSE && section.is_empty() {
        let problem =
            "says nothing, expected at least one of `every`, `event_time` and `records`; or write \"on-close\"";
        errors.push(section.at, section.path.clone(), problem);
    }
    match every_ms {
        Some(interval_ms) if firing == (Firing { every_ms, ..Firing::ON_CLOSE }) => Emit::Every { interval_ms },
        _ => Emit::Repeatedly(firing),
    }
}

/// What an `emit` means for windows that remember what they wrote.
fn firing(emit: Emit) -> Firing {
    match emit {
        Emit::OnClose => Firing::ON_CLOSE,
        Emit::OnUpdate => Firing { records: Some(1), ..Firing::ON_CLOSE },
        Emit::Every { interval_ms } => Firing { every_ms: Some(interval_ms), ..Firing::ON_CLOSE },
        Emit::Repeatedly(firing) => firing,
    }
}

/// Reads the keys beside `emit` that let a window write more than one result, or say more of it.
fn repeats(step: &Section<'_>, firing: &mut Firing, errors: &mut Errors) {
    firing.lateness_ms = match step.duration_or("allowed_lateness", errors) {
        Some(Span::Ms(ms)) => ms as i64,
        Some(Span::Never) => i64::MAX,
        None => 0,
    };
    if firing.lateness_ms == 0 && firing.late == LatePanes::AtExpiry {
        let problem = "\"at-expiry\" goes with `allowed_lateness`: without it no window is held when it has closed";
        step.wrong("emit", problem, errors);
    }
    let accumulate = [
        ("accumulating", Accumulate::Accumulating),
        ("discarding", Accumulate::Discarding),
        ("retracting", Accumulate::Retracting),
    ];
    firing.accumulate = step.choice("accumulate", &accumulate, errors).unwrap_or(Accumulate::Accumulating);
    firing.panes = step.boolean("panes", errors);
    firing.upsert = step.boolean("upsert", errors);
    if firing.upsert && firing.accumulate != Accumulate::Accumulating {
        let problem = "found it beside `upsert`, whose rows replace each other; drop one of the two";
        step.wrong("accumulate", problem, errors);
    }
}

/// `output` says what `emit` and its companions come to.
fn check_output(step: &Section<'_>, output: Option<Output>, firing: &Firing, errors: &mut Errors) {
    let early = firing.records.is_some() || firing.event_time_ms.is_some() || firing.every_ms.is_some();
    let again = early || firing.lateness_ms > 0;
    match output {
        Some(Output::Update) if !again => {
            let problem = "found \"update\", but emit = \"on-close\" writes each result once; write \"append\", or emit = \
                           \"on-update\" or { every = \"30s\" }";
            step.wrong("output", problem, errors);
        }
        Some(Output::Append) if again => {
            let problem = "found \"append\", but this `emit` writes a result again when it changes; write \"update\", or emit \
                           = \"on-close\"";
            step.wrong("output", problem, errors);
        }
        Some(Output::Complete) => {
            let only = Firing { every_ms: firing.every_ms, ..Firing::ON_CLOSE };
            let other = Firing { lateness_ms: 0, complete: false, unchanged: false, ..*firing } != only;
            if firing.every_ms.is_none() || other {
                let problem = "found \"complete\", which writes all windows every so often; it goes with emit = { every = \"30s\" } \
                               and `allowed_lateness` alone";
                step.wrong("output", problem, errors);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregate_is_a_function_of_one_field() {
        assert_eq!(expression("count()"), Ok((Function::Count, None)));
        let p99_9 = (Function::Percentile { thousandths: 99_900 }, Some("ms".into()));
        assert_eq!(expression("percentile(ms, 99.9)"), Ok(p99_9));
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
            "top(a)",
            "sum(a) b",
            "(a)",
            "percentile(a)",
            "percentile(a, 101)",
            "percentile(a, x)",
            "percentile(, 50)",
            "percentile(a, 99.9999)",
        ] {
            assert!(expression(wrong).is_err(), "{wrong:?} is not an aggregate");
        }
    }
}
