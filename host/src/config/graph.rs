//! Who reads whom: names, `from`, cycles and the order of steps.

use super::document::{Entry, Value};
use super::errors::{Errors, Place, listed, nearest};
use super::model::{Input, Operation};
use super::section::Section;
use super::steps::Draft;

/// `from` or `with` as written.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    /// The source or step.
    pub(super) name: String,
    /// The plugin's side output, after the dot.
    pub(super) port: Option<String>,
    /// Where it was written.
    pub(super) at: Place,
    /// The path of the key.
    pub(super) path: String,
}

impl Reference {
    /// Reads the key `key`: `from`, or `with` of a join.
    pub(super) fn read(section: &Section<'_>, key: &str, errors: &mut Errors) -> Option<Self> {
        let written = section.text(key, errors)?;
        let (name, port) = match written.split_once('.') {
            Some((name, port)) => (name.to_owned(), Some(port.to_owned())),
            None => (written, None),
        };
        Some(Reference { name, port, at: section.place(key).clone(), path: section.path_of(key) })
    }
}

/// The names that `from` may have.
pub(super) struct Names {
    sources: Vec<String>,
    /// Names of the steps, and whether each has a plugin (and so may have side outputs), and whether its late records may pass on (by `late`).
    steps: Vec<(String, bool, bool)>,
}

impl Names {
    pub(super) fn new(sources: Vec<String>, steps: &[Draft]) -> Self {
        let steps = steps.iter().map(|it| {
            use super::model::Fold;
            let folds = matches!(&it.operation, Operation::Window { fold: Fold::Plugin(_), .. });
            let windows = matches!(it.operation, Operation::Window { .. } | Operation::Dedupe { .. });
            (it.name.clone(), folds || matches!(it.operation, Operation::Plugin(_)), windows)
        });
        Names { sources, steps: steps.collect() }
    }

    /// What `from` names, with the step's index in the order given to [`Names::new`].
    pub(super) fn resolve(&self, from: &Reference, errors: &mut Errors) -> Option<Input> {
        if let Some(index) = self.sources.iter().position(|it| *it == from.name) {
            if let Some(port) = &from.port {
                let problem =
                    format!("found the side output `{port}` of `{}`, which is a source and has none", from.name);
                errors.push(&from.at, &from.path, format!("{problem}; write \"{}\"", from.name));
            }
            return Some(Input::Source(index));
        }
        if let Some(index) = self.steps.iter().position(|it| it.0 == from.name) {
            let late = from.port.as_deref() == Some("late") && self.steps[index].2;
            if let (Some(port), false, false) = (&from.port, self.steps[index].1, late) {
                let problem = format!(
                    "found the side output `{port}` of `{}`, which has no plugin and so only one output",
                    from.name
                );
                errors.push(&from.at, &from.path, format!("{problem}; write \"{}\"", from.name));
            }
            return Some(Input::Step(index, from.port.clone()));
        }
        // A name with a dot is a part of a step.
        let steps = || self.steps.iter().map(|it| it.0.as_str()).filter(|it| !it.contains('.'));
        let known = || self.sources.iter().map(String::as_str).chain(steps());
        let expected = listed(known());
        let problem = format!("found {:?}, expected the name of a source or step: one of {expected}", from.name);
        errors.push_near(&from.at, &from.path, problem, nearest(&from.name, known()));
        None
    }
}

/// The name of a source, step or sink: no dots, which `from` gives a meaning.
pub(super) fn check_name(entry: &Entry, group: &str, errors: &mut Errors) {
    const NAME_LEN_MAX: usize = 100;
    let legal = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    let name = &entry.name;
    if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(legal) {
        // A table under the name is the likely cause: `[steps.a.b]` is not a step called `a.b`.
        let problem = format!("found the name {name:?}, expected at most {NAME_LEN_MAX} letters, digits, `_` and `-`");
        errors.push(&entry.at, format!("{group}.{name}"), problem);
    }
}

/// Sources and steps share one set of names, since `from` may mean either.
pub(super) fn check_distinct(sources: &[Entry], steps: &[Entry], errors: &mut Errors) {
    for step in steps {
        if let Some(source) = sources.iter().find(|it| it.name == step.name) {
            let place = match &source.at {
                Place::Line { line, .. } => format!(" in line {line}"),
                _ => String::new(),
            };
            let problem =
                format!("found the name of a source{place}, expected another: `from` could mean either; rename one");
            errors.push(&step.at, format!("steps.{}", step.name), problem);
        }
    }
}

/// The steps' indexes in an order in which each comes after what it reads, otherwise in that of the file. Steps of a
/// cycle are reported, once a cycle, and come last. `inputs` are those that each step reads.
pub(super) fn order(steps: &[Draft], inputs: &[Vec<Input>], errors: &mut Errors) -> Vec<usize> {
    let reads = |step: usize| {
        inputs[step].iter().filter_map(|it| match it {
            Input::Step(index, _) => Some(*index),
            Input::Source(_) => None,
        })
    };
    let mut order: Vec<usize> = Vec::with_capacity(steps.len());
    let mut placed = vec![false; steps.len()];
    while let Some(next) = (0..steps.len()).find(|&it| !placed[it] && reads(it).all(|from| placed[from])) {
        placed[next] = true;
        order.push(next);
    }
    // What is left reads a cycle or is part of one: following an input that has no place either leads into it.
    let mut reported = placed.clone();
    for start in (0..steps.len()).filter(|&it| !placed[it]) {
        let mut trail = vec![start];
        let mut at = start;
        while let Some(from) = reads(at).find(|&it| !placed[it]) {
            if let Some(begin) = trail.iter().position(|&it| it == from) {
                report(&trail[begin..], steps, &mut reported, errors);
                break;
            }
            trail.push(from);
            at = from;
        }
    }
    order.extend((0..steps.len()).filter(|&it| !placed[it]));
    order
}

fn report(cycle: &[usize], steps: &[Draft], reported: &mut [bool], errors: &mut Errors) {
    if cycle.iter().any(|&it| reported[it]) {
        return;
    }
    cycle.iter().for_each(|&it| reported[it] = true);
    let first = &steps[*cycle.iter().min().unwrap_or(&cycle[0])];
    let start = cycle.iter().position(|&it| steps[it].name == first.name).unwrap_or_default();
    let names = cycle[start..].iter().chain(&cycle[..=start]).map(|&it| steps[it].name.as_str());
    let problem = format!(
        "found a cycle ({}), expected a way from a source to each step; let one of them read something else",
        names.collect::<Vec<_>>().join(" reads ")
    );
    let (at, path) = first.from.as_ref().map_or((&first.at, ""), |it| (&it.at, it.path.as_str()));
    errors.push(at, path, problem);
}

/// The entries of a group of named tables.
pub(super) fn group<'a>(root: &Section<'a>, name: &str, errors: &mut Errors) -> &'a [Entry] {
    let entries = root.map(name, errors).unwrap_or_default();
    for entry in entries {
        if matches!(entry.node.value, Value::Table(_)) {
            check_name(entry, name, errors);
        }
    }
    let written = root.entry(name).is_some_and(|it| matches!(it.node.value, Value::Table(_)));
    if entries.is_empty() && written && name != "steps" {
        root.wrong(name, format!("found none, expected at least one table [{name}.NAME]"), errors);
    }
    entries
}
