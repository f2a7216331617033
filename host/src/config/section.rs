//! One table of the file, read by the list of its keys.

use super::document::{Entry, Node, Table, Value};
use super::errors::{Errors, Place, listed, nearest};
use super::keys::{ALL, Absent, Expects, Key, Keys};
use super::units::{duration_ms, size_bytes};
use std::ops::Deref;
use std::sync::Arc;

/// A table of the file with the keys that it may have.
///
/// What an accessor answers: the value, or the default where the key is absent. None where it is absent without a
/// default, and where what was found is wrong; the latter is in `errors` then, and so is the lack of a required key.
pub(super) struct Section<'a> {
    table: &'a Table,
    /// Where the table is named.
    pub(super) at: &'a Place,
    /// The path of the table's key; empty for the top level.
    pub(super) path: String,
    keys: Vec<&'static Keys>,
}

/// What a duration key holds.
pub(super) enum Span {
    Ms(u64),
    Never,
}

/// A value, written or from the default.
enum Found<'a> {
    Written(&'a Node),
    Default(Node),
}

impl Deref for Found<'_> {
    type Target = Node;

    fn deref(&self) -> &Node {
        match self {
            Found::Written(node) => node,
            Found::Default(node) => node,
        }
    }
}

impl<'a> Section<'a> {
    /// The top level of a file.
    pub(super) fn root(table: &'a Table, at: &'a Place, keys: &'static Keys) -> Self {
        Section { table, at, path: String::new(), keys: vec![keys] }
    }

    /// The table that `entry` holds, its key being `path`; an error where it holds something else.
    pub(super) fn open(entry: &'a Entry, path: String, keys: &'static Keys, errors: &mut Errors) -> Option<Self> {
        match &entry.node.value {
            Value::Table(table) => Some(Section { table, at: &entry.at, path, keys: vec![keys] }),
            _ => {
                let expected = listed(keys.usable());
                let problem = format!("found {}, expected a table with {expected}", entry.node.shown());
                errors.push(&entry.node.at, path, problem);
                None
            }
        }
    }

    /// Lets the table have the keys of its `connector` too, or those of every connector where that one is wrong.
    pub(super) fn connector(
        &mut self,
        connectors: &[(&'static str, &'static Keys)],
        errors: &mut Errors,
    ) -> Option<&'static str> {
        let names: Vec<_> = connectors.iter().map(|it| (it.0, *it)).collect();
        let chosen = self.choice("connector", &names, errors);
        match chosen {
            Some((name, keys)) => {
                self.keys.push(keys);
                Some(name)
            }
            None => {
                self.keys.extend(connectors.iter().map(|(_, keys)| *keys));
                None
            }
        }
    }

    /// The path of the key `name` of this table.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The entry of the key `name`, where it is written.
    pub(super) fn entry(&self, name: &str) -> Option<&'a Entry> {
        self.key(name);
        self.table.get(name)
    }

    /// True when nothing is written in the table.
    pub(super) fn is_empty(&self) -> bool {
        self.table.entries.is_empty()
    }

    /// Where the key `name` was written, or the table where it was not.
    pub(super) fn place(&self, name: &str) -> &'a Place {
        self.table.get(name).map_or(self.at, |it| &it.node.at)
    }

    /// Adds an error about the key `name`.
    pub(super) fn wrong(&self, name: &str, problem: impl Into<String>, errors: &mut Errors) {
        errors.push(self.place(name), self.path_of(name), problem);
    }

    /// Reports the keys that the table cannot have. Call once, when its connector is known.
    pub(super) fn check_keys(&self, errors: &mut Errors) {
        for entry in &self.table.entries {
            match self.find(&entry.name) {
                Some(Key { expects: Expects::NotYet(instead), name, .. }) => {
                    let problem = format!("`{name}` is not supported by this version of wasmill; {instead}");
                    errors.push(&entry.at, self.path_of(name), problem);
                }
                Some(_) => {}
                None => self.unknown(entry, errors),
            }
        }
    }

    fn unknown(&self, entry: &Entry, errors: &mut Errors) {
        let usable = || self.keys.iter().flat_map(|it| it.usable());
        let mut problem = format!("unknown key, expected one of {}", listed(usable()));
        let near = nearest(&entry.name, usable());
        let home = ALL.iter().find(|it| it.get(&entry.name).is_some());
        if let (None, Some(home)) = (near, home) {
            problem.push_str(&format!("; `{}` is a key of {}", entry.name, home.name));
        }
        errors.push_near(&entry.at, self.path_of(&entry.name), problem, near);
    }

    fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find_map(|it| it.get(name))
    }

    /// The description of a key that the code reads.
    fn key(&self, name: &str) -> &'static Key {
        self.find(name).unwrap_or_else(|| panic!("`{name}` is not in the list of keys of {}", self.path))
    }

    fn found(&self, key: &'static Key, errors: &mut Errors) -> Option<Found<'a>> {
        if let Some(entry) = self.table.get(key.name) {
            return Some(Found::Written(&entry.node));
        }
        let value = match key.absent {
            Absent::Text(text) => Value::Text(text.to_owned()),
            Absent::Integer(it) => Value::Integer(it),
            Absent::Means(_) => return None,
            Absent::Required => {
                let add = match key.expects {
                    Expects::Map(_) => format!("a table [{}.NAME]", key.name),
                    _ => format!("`{} = ...`", key.name),
                };
                let problem = format!("missing, expected {}; add {add}", key.expects.described());
                errors.push(self.at, self.path_of(key.name), problem);
                return None;
            }
        };
        Some(Found::Default(Node { value, at: self.at.clone() }))
    }

    /// `found`, `expected` in one message.
    fn mismatch(&self, key: &Key, found: &Node, expected: &str, errors: &mut Errors) {
        let hint = match (&key.expects, &found.value) {
            (Expects::Text, Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_)) => {
                "; put it in quotes"
            }
            (Expects::Boolean, Value::Text(text)) if matches!(text.as_str(), "true" | "false") => {
                "; leave out the quotes"
            }
            (Expects::Integer { .. }, Value::Text(text)) if text.parse::<i64>().is_ok() => "; leave out the quotes",
            (Expects::Text, Value::List(_)) if key.name == "from" => "; this version reads one input a step or sink",
            _ => "",
        };
        let problem = format!("found {}, expected {expected}{hint}", found.shown());
        errors.push(&found.at, self.path_of(key.name), problem);
    }

    /// A text key.
    pub(super) fn text(&self, name: &str, errors: &mut Errors) -> Option<String> {
        let key = self.key(name);
        let found = self.found(key, errors)?;
        match &found.value {
            Value::Text(text) if text.trim().is_empty() => {
                self.mismatch(key, &found, "a text that is not empty", errors);
                None
            }
            Value::Text(text) => Some(text.clone()),
            _ => {
                self.mismatch(key, &found, &key.expects.described(), errors);
                None
            }
        }
    }

    /// An integer key.
    pub(super) fn integer(&self, name: &str, errors: &mut Errors) -> Option<i64> {
        let key = self.key(name);
        let Expects::Integer { min, max } = key.expects else { panic!("`{name}` is not an integer key") };
        let found = self.found(key, errors)?;
        match found.value {
            Value::Integer(it) if (min..=max).contains(&it) => Some(it),
            _ => {
                self.mismatch(key, &found, &key.expects.described(), errors);
                None
            }
        }
    }

    /// A duration key, in ms. One that may be `never` is read by [`Self::span`].
    pub(super) fn duration(&self, name: &str, errors: &mut Errors) -> Option<u64> {
        match self.span(name, errors)? {
            Span::Ms(ms) => Some(ms),
            Span::Never => None,
        }
    }

    /// A duration key that may be `never`.
    pub(super) fn span(&self, name: &str, errors: &mut Errors) -> Option<Span> {
        let key = self.key(name);
        let Expects::Duration { min_ms, never } = key.expects else { panic!("`{name}` is not a duration key") };
        let found = self.found(key, errors)?;
        let expected = match &found.value {
            Value::Text(text) if never && text == "never" => return Some(Span::Never),
            Value::Text(text) => match duration_ms(text) {
                Ok(ms) if ms >= min_ms => return Some(Span::Ms(ms)),
                Ok(_) => format!("at least {min_ms}ms"),
                Err(expected) if never => format!("{expected}, or \"never\""),
                Err(expected) => expected,
            },
            Value::Integer(it) => format!("{}; write \"{it}s\" if seconds are meant", key.expects.described()),
            _ => key.expects.described(),
        };
        self.mismatch(key, &found, &expected, errors);
        None
    }

    /// A duration key that may be a word instead, which is [`Span::Never`].
    pub(super) fn duration_or(&self, name: &str, errors: &mut Errors) -> Option<Span> {
        let key = self.key(name);
        let Expects::DurationOr(word) = key.expects else { panic!("`{name}` is not a key of a duration or a word") };
        let found = self.found(key, errors)?;
        let expected = match &found.value {
            Value::Text(text) if text == word => return Some(Span::Never),
            Value::Text(text) => match duration_ms(text) {
                Ok(ms) => return Some(Span::Ms(ms)),
                Err(expected) => format!("{expected}, or \"{word}\""),
            },
            Value::Integer(it) => format!("{}; write \"{it}s\" if seconds are meant", key.expects.described()),
            _ => key.expects.described(),
        };
        self.mismatch(key, &found, &expected, errors);
        None
    }

    /// A duration key that may be negative, in ms.
    pub(super) fn signed_duration(&self, name: &str, errors: &mut Errors) -> Option<i64> {
        let key = self.key(name);
        let found = self.found(key, errors)?;
        let expected = match &found.value {
            Value::Text(text) => match duration_ms(text.strip_prefix('-').unwrap_or(text)) {
                Ok(ms) => return Some(if text.starts_with('-') { -(ms as i64) } else { ms as i64 }),
                Err(expected) => expected,
            },
            Value::Integer(it) => format!("{}; write \"{it}s\" if seconds are meant", key.expects.described()),
            _ => key.expects.described(),
        };
        self.mismatch(key, &found, &expected, errors);
        None
    }

    /// A key that is true or false; false where it is absent.
    pub(super) fn boolean(&self, name: &str, errors: &mut Errors) -> bool {
        let key = self.key(name);
        match self.found(key, errors).map(|it| (it.value.clone(), it)) {
            None => false,
            Some((Value::Boolean(it), _)) => it,
            Some((_, found)) => {
                self.mismatch(key, &found, &key.expects.described(), errors);
                false
            }
        }
    }

    /// A size key, in bytes.
    pub(super) fn size(&self, name: &str, errors: &mut Errors) -> Option<u64> {
        let key = self.key(name);
        let Expects::Size { min } = key.expects else { panic!("`{name}` is not a size key") };
        let found = self.found(key, errors)?;
        let expected = match &found.value {
            Value::Text(text) => match size_bytes(text) {
                Ok(bytes) if bytes >= min => return Some(bytes),
                Ok(_) => format!("at least {min}B"),
                Err(expected) => expected,
            },
            _ => key.expects.described(),
        };
        self.mismatch(key, &found, &expected, errors);
        None
    }

    /// A key that is one of some names; `values` says what each means, and has the names of the list of keys.
    pub(super) fn choice<T: Copy>(&self, name: &str, values: &[(&str, T)], errors: &mut Errors) -> Option<T> {
        let key = self.key(name);
        let (now, later) = match key.expects {
            Expects::Choice { now, later } => (now, later),
            Expects::ChoiceOr { now, .. } => (now, &[][..]),
            _ => panic!("`{name}` is not a key of names"),
        };
        debug_assert!(values.iter().map(|it| it.0).eq(now.iter().copied()), "`{name}` has {now:?}");
        let found = self.found(key, errors)?;
        let Value::Text(text) = &found.value else {
            self.mismatch(key, &found, &key.expects.described(), errors);
            return None;
        };
        if let Some((_, value)) = values.iter().find(|(name, _)| name == text) {
            return Some(*value);
        }
        let problem = if later.contains(&text.as_str()) {
            format!("\"{text}\" is not supported by this version of wasmill; use {}", key.expects.described())
        } else {
            format!("found {}, expected {}", found.shown(), key.expects.described())
        };
        errors.push_near(&found.at, self.path_of(name), problem, nearest(text, now.iter().copied()));
        None
    }

    /// A key that is a field or a list of fields, at least one, none twice. Empty where it is absent.
    pub(super) fn fields(&self, name: &str, errors: &mut Errors) -> Vec<Arc<str>> {
        let key = self.key(name);
        let Some(found) = self.found(key, errors) else { return Vec::new() };
        let items = match &found.value {
            Value::List(items) => items.as_slice(),
            Value::Text(_) => std::slice::from_ref(&*found),
            _ => &[],
        };
        if items.is_empty() {
            self.mismatch(key, &found, "a field or a list of at least one field", errors);
        }
        let mut fields: Vec<Arc<str>> = Vec::with_capacity(items.len());
        for item in items {
            match &item.value {
                Value::Text(field) if fields.iter().any(|it| **it == **field) => {
                    errors.push(
                        &item.at,
                        self.path_of(name),
                        format!("found {field:?} twice, expected each field once"),
                    );
                }
                Value::Text(field) if !field.trim().is_empty() => fields.push(field.as_str().into()),
                _ => self.mismatch(key, item, "the name of a field", errors),
            }
        }
        fields
    }

    /// The table of known keys that the key `name` holds.
    pub(super) fn table(&self, name: &str, errors: &mut Errors) -> Option<Section<'a>> {
        let key = self.key(name);
        let (Expects::Table(keys) | Expects::ChoiceOr { table: keys, .. }) = key.expects else {
            panic!("`{name}` is not a key of a table")
        };
        let section = Section::open(self.entry(name)?, self.path_of(name), keys, errors)?;
        Some(section)
    }

    /// The entries of the table that the key `name` holds, whose keys the user names. None where it is absent.
    pub(super) fn map(&self, name: &str, errors: &mut Errors) -> Option<&'a [Entry]> {
        let key = self.key(name);
        match self.found(key, errors)? {
            Found::Written(Node { value: Value::Table(table), .. }) => Some(&table.entries),
            found => {
                self.mismatch(key, &found, &key.expects.described(), errors);
                None
            }
        }
    }
}
