//! `[steps.NAME]`.

use super::condition::{self, Condition};
use super::deployment::Deployment;
use super::document::{Entry, Node, Value};
use super::errors::{Errors, Place};
use super::graph::Reference;
use super::joins;
use super::keys;
use super::model::{Fold, Late, Operation, PluginLimits, PluginOptions, Top, Window};
use super::ranking;
use super::ranking::{dedupe, top};
use super::section::Section;
use super::sinks::select;
use super::sources::late;
use super::windows::{aggregates, emit, is_by_processing_time, window};
use std::path::Path;
use std::sync::Arc;

/// A step as read, its input not yet resolved.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) at: Place,
    pub(super) from: Option<Reference>,
    /// The other input of a join.
    pub(super) with: Option<Reference>,
    pub(super) key: Vec<Arc<str>>,
    pub(super) condition: Option<Condition>,
    pub(super) operation: Operation,
    pub(super) select: Option<Vec<(Arc<str>, Arc<str>)>>,
    /// None where it is as the source says.
    pub(super) late: Option<Late>,
    pub(super) state_ttl_ms: Option<i64>,
    pub(super) processing_time: bool,
}

/// Where plugins are looked for: the pipeline file's folder, and whether a file is there.
pub(super) struct Plugins<'a> {
    pub(super) base: &'a Path,
    pub(super) exists: &'a dyn Fn(&Path) -> bool,
    /// Where the pipeline is deployed: plugins are those of the catalog then.
    pub(super) deployment: Option<&'a Deployment<'a>>,
}

/// Reads one step. None only where it is not a table.
pub(super) fn step(entry: &Entry, plugins: &Plugins<'_>, errors: &mut Errors) -> Option<Draft> {
    let section = Section::open(entry, format!("steps.{}", entry.name), &keys::STEP, errors)?;
    section.check_keys(errors);
    let key = section.fields("key", errors);
    check_company(&section, errors);
    let (operation, with) = match joins::join(&section, errors) {
        Some((join, with)) => (Operation::Join(join), with),
        None => (operation(&section, &key, plugins, errors), None),
    };
    Some(Draft {
        name: entry.name.clone(),
        at: entry.at.clone(),
        from: Reference::read(&section, "from", errors),
        with,
        condition: condition(&section, errors),
        operation,
        select: select(&section, errors),
        late: late(&section, errors),
        state_ttl_ms: section.duration("state_ttl", errors).map(|it| it as i64),
        processing_time: is_by_processing_time(&section),
        key,
    })
}

/// Keys that say nothing without another one.
fn check_company(section: &Section<'_>, errors: &mut Errors) {
    let has = |name: &str| section.entry(name).is_some();
    if has("join") {
        joins::check_company(section, errors);
    }
    for name in ["aggregate", "emit", "output", "late", "allowed_lateness", "accumulate", "panes", "upsert"] {
        if has(name) && !has("window") && !(name == "late" && (has("join") || has("dedupe"))) {
            section.wrong(
                name,
                "goes with a `window`, which is missing; add `window = { tumbling = \"5m\" }` or drop it",
                errors,
            );
        }
    }
    ranking::check_company(section, errors);
    for name in ["config", "limits", "state_ttl"] {
        if has(name) && !has("plugin") {
            section.wrong(
                name,
                "goes with a `plugin`, which is missing; add `plugin = \"./NAME.wasm\"` or drop it",
                errors,
            );
        }
    }
    if has("key") && !["window", "plugin", "join", "dedupe"].into_iter().any(has) {
        section.wrong("key", "goes with a `window` or a `plugin`, both are missing; add one or drop it", errors);
    }
}

/// Reads `where`.
fn condition(section: &Section<'_>, errors: &mut Errors) -> Option<Condition> {
    let text = section.text("where", errors)?;
    match condition::parse(&text) {
        Ok(condition) => Some(condition),
        Err(fault) => {
            let place = section.place("where");
            errors.push_near(place, section.path_of("where"), fault.problem, fault.nearest);
            None
        }
    }
}

fn operation(section: &Section<'_>, key: &[Arc<str>], plugins: &Plugins<'_>, errors: &mut Errors) -> Operation {
    let has = |name: &str| section.entry(name).is_some();
    let plugin = plugin(section, plugins, errors);
    let top = top(section, errors);
    let reported = ["join", "dedupe", "top"].into_iter().any(has);
    if let (false, Some(within_ms)) = (has("window") || has("plugin"), dedupe(section, errors)) {
        return Operation::Dedupe { within_ms };
    }
    match (has("window"), has("plugin")) {
        (false, true) => plugin.map_or(Operation::Select, Operation::Plugin),
        (false, false) => {
            if !has("select") && !has("where") && !has("aggregate") && !reported {
                let problem = "does nothing, expected a `plugin`, a `window` with an `aggregate`, a `join`, a `dedupe`, a `where` or a `select`; add one";
                errors.push(section.at, section.path.clone(), problem);
            }
            Operation::Select
        }
        (true, _) => windowed(section, key, (plugin, top), errors),
    }
}

fn windowed(
    section: &Section<'_>,
    key: &[Arc<str>],
    (plugin, top): (Option<PluginOptions>, Option<Top>),
    errors: &mut Errors,
) -> Operation {
    let has = |name: &str| section.entry(name).is_some();
    let window = window(section, errors);
    let aggregates = aggregates(section, key, errors);
    if has("plugin") && has("aggregate") {
        section.wrong(
            "aggregate",
            "found it beside `plugin`: the plugin is what folds the windows; drop one of the two",
            errors,
        );
    }
    if !has("plugin") && !has("aggregate") && !has("top") {
        let problem = "nothing to compute, expected `aggregate`, `top` or `plugin` beside it; add `aggregate = { n = \"count()\" }`";
        section.wrong("window", problem, errors);
    }
    if has("plugin") && matches!(window, Some(Window::Rolling { .. })) {
        let problem = "a plugin on a rolling window is not supported by this version of wasmill; use `aggregate`, or a keyed \
                       plugin without `window`";
        section.wrong("plugin", problem, errors);
    }
    let emit = emit(section, window.as_ref(), has("plugin"), errors);
    let fold = match (plugin, top) {
        (Some(plugin), _) => Fold::Plugin(plugin),
        (None, Some(top)) => Fold::Top(top),
        (None, None) => Fold::Builtin(aggregates.unwrap_or_default()),
    };
    // A window that is wrong was reported; this one never leaves `check`.
    Operation::Window { window: window.unwrap_or(Window::Rolling { size_ms: 1 }), fold, emit }
}

fn plugin(section: &Section<'_>, plugins: &Plugins<'_>, errors: &mut Errors) -> Option<PluginOptions> {
    let limits = limits(section, errors);
    let config = config(section, errors);
    let written = section.text("plugin", errors)?;
    if let Some(Deployment { catalog, .. }) = plugins.deployment {
        let path = catalog(&written).map_err(|problem| section.wrong("plugin", problem, errors)).ok()?;
        return Some(PluginOptions { path, config, limits });
    }
    let a_path = written.contains(['/', '\\']) || written.ends_with(".wasm");
    if !a_path || written.starts_with("sha256:") {
        let problem = format!(
            "found {written:?}, expected a path such as \"./{}.wasm\"; plugins by name or digest are for pipelines of the \
             daemon (`wasmill serve`)",
            written.split(['@', ':']).next().filter(|it| *it != "sha256").unwrap_or("NAME")
        );
        section.wrong("plugin", problem, errors);
        return None;
    }
    let path = plugins.base.join(&written);
    if !(plugins.exists)(&path) {
        let problem = format!(
            "found {written:?}, expected a component, but there is no file {}; build the plugin or correct the path",
            path.display()
        );
        section.wrong("plugin", problem, errors);
    }
    Some(PluginOptions { path, config, limits })
}

fn limits(step: &Section<'_>, errors: &mut Errors) -> PluginLimits {
    let defaults = PluginLimits::default();
    let Some(section) = step.table("limits", errors) else { return defaults };
    section.check_keys(errors);
    let size = |it: u64| usize::try_from(it).unwrap_or(usize::MAX);
    PluginLimits {
        call_ms_max: section.duration("call", errors).unwrap_or(defaults.call_ms_max),
        memory_bytes_max: section.size("memory", errors).map_or(defaults.memory_bytes_max, size),
        output_rows_per_row_max: section
            .integer("output_rows_per_row", errors)
            .map_or(defaults.output_rows_per_row_max, |it| size(it as u64)),
        output_bytes_max: section.size("output_bytes", errors).map_or(defaults.output_bytes_max, size),
        log_lines_max: section.integer("log_lines", errors).map_or(defaults.log_lines_max, |it| it as u32),
    }
}

/// `config` as JSON with sorted keys: the same settings are the same text, however the file orders them.
fn config(section: &Section<'_>, errors: &mut Errors) -> String {
    let mut object = serde_json::Map::new();
    for entry in section.map("config", errors).unwrap_or_default() {
        object.insert(entry.name.clone(), json(&entry.node, &section.path_of("config"), errors));
    }
    serde_json::Value::Object(object).to_string()
}

fn json(node: &Node, path: &str, errors: &mut Errors) -> serde_json::Value {
    match &node.value {
        Value::Text(text) | Value::Datetime(text) => text.as_str().into(),
        Value::Integer(it) => (*it).into(),
        Value::Boolean(it) => (*it).into(),
        Value::Float(it) => serde_json::Number::from_f64(*it).map(serde_json::Value::Number).unwrap_or_else(|| {
            errors.push(&node.at, path, format!("found {}, expected a number that JSON has", node.shown()));
            serde_json::Value::Null
        }),
        Value::List(items) => items.iter().map(|it| json(it, path, errors)).collect::<Vec<_>>().into(),
        Value::Table(table) => {
            let entries = table.entries.iter().map(|it| (it.name.clone(), json(&it.node, path, errors)));
            serde_json::Value::Object(entries.collect())
        }
    }
}
