//! The file as written: TOML values with the place of each, and the overrides of `--set` laid over them.

use super::errors::{Errors, Place, listed, nearest};
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: Place,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A date or time, as TOML writes it.
    Datetime(String),
    List(Vec<Node>),
    Table(Table),
}

/// A TOML table, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Where the key was written: for a `[table]`, its header.
    pub(super) at: Place,
    pub(super) node: Node,
}

impl Table {
    /// The entry of the key `name`.
    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|it| it.name == name)
    }
}

impl Node {
    /// The value as a message shows it: short, on one line.
    pub(super) fn shown(&self) -> String {
        const SHOWN_MAX: usize = 60;
        match &self.value {
            Value::Text(text) if text.chars().count() > SHOWN_MAX => {
                format!("{:?}", text.chars().take(SHOWN_MAX).chain("...".chars()).collect::<String>())
            }
            Value::Text(text) => format!("{text:?}"),
            Value::Integer(it) => it.to_string(),
            Value::Float(it) => format!("{it:?}"),
            Value::Boolean(it) => it.to_string(),
            Value::Datetime(it) => format!("the date {it}"),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

/// Parses the file. None where its syntax is broken; a key written twice is reported and the rest is still checked.
pub(super) fn read(text: &str, file: &Arc<str>, errors: &mut Errors) -> Option<Table> {
    const DUPLICATE: &str = "duplicate key";
    let places = Places::of(text, file);
    let (root, problems) = DeTable::parse_recoverable(text);
    let sound = problems.iter().all(|it| it.message() == DUPLICATE);
    for problem in problems {
        let span = problem.span();
        let place = span.clone().map_or(Place::Whole { file: Arc::clone(file) }, |it| places.at(it.start));
        match span.and_then(|it| text.get(it)) {
            Some(key) if problem.message() == DUPLICATE => {
                errors.push(&place, key.trim(), "written twice, expected once; rename or remove one of the two");
            }
            _ => errors.push(&place, "", format!("not TOML: {}", problem.message().replace('\n', " "))),
        }
    }
    sound.then(|| table(root.get_ref(), "", &|offset| places.at(offset), errors))
}

/// Lays `--set KEY=VALUE` over the file: `value` is TOML or, where it is not, a text.
pub(super) fn set(root: &mut Table, key: &str, value: &str, errors: &mut Errors) {
    // One line, whatever was given.
    let setting: String = format!("{key}={value}").chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    let at = Place::Flag { setting: setting.into() };
    let Some(path) = split_path(key) else {
        return errors.push(&at, "", format!("found the key {key:?}, expected a path such as sources.orders.topic"));
    };
    let node = match DeValue::parse(value) {
        Ok(parsed) => node(parsed.get_ref(), key, at.clone(), &|_| at.clone(), errors),
        Err(_) => Node { value: Value::Text(value.to_owned()), at: at.clone() },
    };
    if let Some((index, known)) = unknown_name(root, &path) {
        let group = &path[0];
        let problem =
            format!("the file has no `{group}` of this name, expected one of {}", listed(known.iter().copied()));
        return errors.push_near(&at, path[..=index].join("."), problem, nearest(&path[index], known.iter().copied()));
    }
    put(root, &path, 0, node, &at, errors);
}

/// `sources.NAME.KEY` of a NAME that the file does not have: a slip, since one key alone cannot make a source.
fn unknown_name<'a>(root: &'a Table, path: &[String]) -> Option<(usize, Vec<&'a str>)> {
    let [group, name, _, ..] = path else { return None };
    if !matches!(group.as_str(), "sources" | "steps" | "sinks") {
        return None;
    }
    let Value::Table(group) = &root.get(group)?.node.value else { return None };
    let known: Vec<&str> = group.entries.iter().map(|it| it.name.as_str()).collect();
    (!known.contains(&name.as_str())).then_some((1, known))
}

fn put(table: &mut Table, path: &[String], depth: usize, node: Node, at: &Place, errors: &mut Errors) {
    let name = &path[depth];
    let index = table.entries.iter().position(|it| it.name == *name).unwrap_or_else(|| {
        let empty = Node { value: Value::Table(Table::default()), at: at.clone() };
        table.entries.push(Entry { name: name.clone(), at: at.clone(), node: empty });
        table.entries.len() - 1
    });
    let entry = &mut table.entries[index];
    if depth + 1 == path.len() {
        entry.at = at.clone();
        entry.node = node;
        return;
    }
    match &mut entry.node.value {
        Value::Table(inner) => put(inner, path, depth + 1, node, at, errors),
        _ => {
            let problem = format!("found {}, expected a table; only a table has keys to set", entry.node.shown());
            errors.push(at, path[..=depth].join("."), problem);
        }
    }
}

/// The parts of a dotted key, quotes as in TOML.
fn split_path(key: &str) -> Option<Vec<String>> {
    let text = format!("{key} = 0");
    let root = DeTable::parse(&text).ok()?;
    let mut path = Vec::new();
    let mut table = root.get_ref();
    loop {
        let mut entries = table.iter();
        let (name, value) = entries.next()?;
        if entries.next().is_some() {
            return None;
        }
        path.push(name.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(path),
        }
    }
}

fn table(from: &DeTable<'_>, path: &str, place: &dyn Fn(usize) -> Place, errors: &mut Errors) -> Table {
    let mut keys: Vec<_> = from.iter().collect();
    keys.sort_by_key(|(name, _)| name.span().start);
    let entries = keys.into_iter().map(|(name, value)| {
        let path = if path.is_empty() { name.get_ref().to_string() } else { format!("{path}.{}", name.get_ref()) };
        Entry {
            name: name.get_ref().to_string(),
            at: place(name.span().start),
            node: node(value.get_ref(), &path, place(value.span().start), place, errors),
        }
    });
    Table { entries: entries.collect() }
}

fn node(from: &DeValue<'_>, path: &str, at: Place, place: &dyn Fn(usize) -> Place, errors: &mut Errors) -> Node {
    let value = match from {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(it) => Value::Integer(i64::from_str_radix(it.as_str(), it.radix()).unwrap_or_else(|_| {
            errors.push(&at, path, format!("found {it}, expected an integer that fits 64 bits"));
            0
        })),
        DeValue::Float(it) => Value::Float(it.as_str().parse().unwrap_or_else(|_| {
            errors.push(&at, path, format!("found {it}, expected a number"));
            0.0
        })),
        DeValue::Boolean(it) => Value::Boolean(*it),
        DeValue::Datetime(it) => Value::Datetime(it.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().map(|it| node(it.get_ref(), path, place(it.span().start), place, errors));
            Value::List(items.collect())
        }
        DeValue::Table(inner) => Value::Table(table(inner, path, place, errors)),
    };
    Node { value, at }
}

/// Lines and columns of byte offsets.
struct Places<'a> {
    text: &'a str,
    file: &'a Arc<str>,
    /// Byte offset of each line's first character.
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    fn of(text: &'a str, file: &'a Arc<str>) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Places { text, file, starts }
    }

    fn at(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |it| it.chars().count()) + 1;
        Place::Line { file: Arc::clone(self.file), line, column }
    }
}
