//! What `open` answered, checked: a plugin may declare only what the host can do.

use super::bindings::{columns, lifecycle};
use super::component::PluginKind;
use crate::column::Kind;
use crate::schema::{Field, Port, Slot, Spec};
use std::collections::HashSet;
use std::fmt;

/// Fields read, fields of one port, and ports of a plugin, at most.
const FIELDS_MAX: usize = 1_024;
const PORTS_MAX: usize = 64;

/// Length of a name, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Errors that one message names; a report for a person has all of them.
const SHOWN_MAX: usize = 20;

/// What is wrong with the answer of `open`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No ports.
    #[error("declares no port, expected at least one; the first is the default output")]
    NoPort,
    /// Too many of something.
    #[error("declares {found} {what}, at most {max} are possible")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A name that cannot be written in a pipeline file, or no name.
    #[error("declares the {what} `{name}`, expected 1 to {NAME_BYTES_MAX} bytes {rule}", name = name.escape_debug())]
    BadName {
        /// Of what.
        what: &'static str,
        /// The name.
        name: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// The same name twice.
    #[error("declares {what} twice; once is enough")]
    Duplicate {
        /// What.
        what: String,
    },
    /// A slot that holds another kind than the field says.
    #[error("{place} declares {slot} as {found}, it is always {expected}")]
    Contradiction {
        /// Where: `reads`, or a port.
        place: String,
        /// The slot.
        slot: String,
        /// The declared kind.
        found: &'static str,
        /// The slot's kinds.
        expected: &'static str,
    },
    /// A port writes what can only be read.
    #[error("{place} writes {slot}, which is read only; remove the field")]
    ReadOnly {
        /// The port.
        place: String,
        /// The slot.
        slot: String,
    },
    /// A plugin that has no windows reads their bounds.
    #[error("reads {slot}, which only an aggregate plugin has; this one is a {kind} plugin")]
    NoWindow {
        /// The slot.
        slot: String,
        /// What it is.
        kind: PluginKind,
    },
    /// A port writes two things at one place of the value.
    #[error("{place} writes {one} and {other}, and one is part of the other; keep one of them")]
    Overlap {
        /// The port.
        place: String,
        /// One.
        one: String,
        /// The other.
        other: String,
    },
}

/// All that is wrong with the answer of `open`: at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecErrors(Vec<SpecError>);

impl SpecErrors {
    /// One after the other, in the order in which they are declared.
    pub fn iter(&self) -> impl Iterator<Item = &SpecError> {
        self.0.iter()
    }
}

impl std::error::Error for SpecErrors {}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().take(SHOWN_MAX).enumerate() {
            write!(f, "{}{error}", if at == 0 { "" } else { "; " })?;
        }
        match self.0.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Checks what a plugin of `kind` declared.
pub(super) fn check(kind: PluginKind, raw: lifecycle::Spec) -> Result<Spec, SpecErrors> {
    let mut wrong = Vec::new();
    if raw.ports.is_empty() {
        wrong.push(SpecError::NoPort);
    }
    if raw.ports.len() > PORTS_MAX {
        wrong.push(SpecError::TooMany { what: "ports", found: raw.ports.len(), max: PORTS_MAX });
    }
    let reads = fields("reads", raw.reads, &mut wrong);
    let of_window = reads.iter().filter(|it| matches!(it.slot, Slot::WindowStart | Slot::WindowEnd));
    if kind != PluginKind::Aggregate {
        wrong.extend(of_window.map(|it| SpecError::NoWindow { slot: describe(&it.slot), kind }));
    }
    let mut names = HashSet::new();
    let mut ports = Vec::new();
    for port in raw.ports.into_iter().take(PORTS_MAX) {
        wrong.extend(name("port", &port.name, "without a dot", |it| !it.contains('.')));
        if !names.insert(port.name.clone()) {
            wrong.push(SpecError::Duplicate { what: format!("the port `{}`", clip(&port.name)) });
        }
        let place = format!("port `{}`", clip(&port.name));
        let fields = fields(&place, port.fields, &mut wrong);
        check_writes(&place, &fields, &mut wrong);
        ports.push(Port { name: port.name, fields });
    }
    if wrong.is_empty() { Ok(Spec { reads, ports, state_version: raw.state_version }) } else { Err(SpecErrors(wrong)) }
}

/// The fields of a place; what is wrong with them goes to `wrong`.
fn fields(place: &str, raw: Vec<columns::Field>, wrong: &mut Vec<SpecError>) -> Vec<Field> {
    if raw.len() > FIELDS_MAX {
        wrong.push(SpecError::TooMany { what: "fields", found: raw.len(), max: FIELDS_MAX });
    }
    let mut slots = HashSet::new();
    let mut fields = Vec::new();
    for field in raw.into_iter().take(FIELDS_MAX) {
        wrong.extend(bad_name(&field.slot));
        let field = Field { slot: slot(field.slot), kind: kind(field.kind), required: field.required };
        let expected = match field.slot {
            Slot::Field(_) => None,
            Slot::Value | Slot::Header(_) => Some(("bytes", field.kind == Kind::Bytes)),
            Slot::Key => Some(("text or bytes", matches!(field.kind, Kind::Text | Kind::Bytes))),
            Slot::Topic => Some(("text", field.kind == Kind::Text)),
            Slot::Time | Slot::Partition | Slot::Offset | Slot::WindowStart | Slot::WindowEnd => {
                Some(("s64", field.kind == Kind::S64))
            }
        };
        if let Some((expected, false)) = expected {
            let (place, slot) = (place.to_owned(), describe(&field.slot));
            wrong.push(SpecError::Contradiction { place, slot, found: field.kind.name(), expected });
        }
        if slots.insert(field.slot.clone()) {
            fields.push(field);
        } else {
            wrong.push(SpecError::Duplicate { what: format!("{} in {place}", describe(&field.slot)) });
        }
    }
    fields
}

/// What a port writes must be writable, and must not be written twice.
fn check_writes(place: &str, fields: &[Field], wrong: &mut Vec<SpecError>) {
    let place = || place.to_owned();
    let mut names: Vec<&str> = Vec::new();
    for field in fields {
        match &field.slot {
            Slot::Field(name) => names.push(name),
            Slot::Value | Slot::Key | Slot::Time | Slot::Header(_) => {}
            Slot::Topic | Slot::Partition | Slot::Offset | Slot::WindowStart | Slot::WindowEnd => {
                wrong.push(SpecError::ReadOnly { place: place(), slot: describe(&field.slot) });
            }
        }
    }
    if let (Some(name), true) = (names.first(), fields.iter().any(|it| it.slot == Slot::Value)) {
        let one = describe(&Slot::Field((*name).into()));
        wrong.push(SpecError::Overlap { place: place(), one, other: "the whole value".to_owned() });
    }
    names.sort_unstable_by(|a, b| a.split('.').cmp(b.split('.'))); // A parent comes right before its first child.
    for pair in names.windows(2) {
        if pair[1].strip_prefix(pair[0]).is_some_and(|it| it.starts_with('.')) {
            let field = |it: &str| describe(&Slot::Field(it.into()));
            wrong.push(SpecError::Overlap { place: place(), one: field(pair[0]), other: field(pair[1]) });
        }
    }
}

fn slot(raw: columns::Slot) -> Slot {
    match raw {
        columns::Slot::Field(it) => Slot::Field(it.into()),
        columns::Slot::Header(it) => Slot::Header(it.into()),
        columns::Slot::Value => Slot::Value,
        columns::Slot::Key => Slot::Key,
        columns::Slot::Time => Slot::Time,
        columns::Slot::Topic => Slot::Topic,
        columns::Slot::Partition => Slot::Partition,
        columns::Slot::Offset => Slot::Offset,
        columns::Slot::WindowStart => Slot::WindowStart,
        columns::Slot::WindowEnd => Slot::WindowEnd,
    }
}

fn bad_name(slot: &columns::Slot) -> Option<SpecError> {
    match slot {
        columns::Slot::Field(it) => {
            let rule = "without an empty part between dots";
            name("field", it, rule, |it| it.split('.').all(|part| !part.is_empty()))
        }
        columns::Slot::Header(it) => name("header", it, "of any kind", |_| true),
        _ => None,
    }
}

/// What is wrong with a name.
fn name(what: &'static str, name: &str, rule: &'static str, fits: impl Fn(&str) -> bool) -> Option<SpecError> {
    let good = !name.is_empty() && name.len() <= NAME_BYTES_MAX && fits(name);
    (!good).then(|| SpecError::BadName { what, name: clip(name), rule })
}

/// A name that may be of any length, for a message.
fn clip(name: &str) -> String {
    super::produced::clip(name.to_owned(), NAME_BYTES_MAX)
}

fn kind(raw: columns::Kind) -> Kind {
    match raw {
        columns::Kind::S64 => Kind::S64,
        columns::Kind::F64 => Kind::F64,
        columns::Kind::Boolean => Kind::Boolean,
        columns::Kind::Text => Kind::Text,
        columns::Kind::Bytes => Kind::Bytes,
        columns::Kind::Json => Kind::Json,
    }
}

/// A slot in words.
pub(super) fn describe(slot: &Slot) -> String {
    match slot {
        Slot::Field(name) => format!("the field `{}`", clip(name)),
        Slot::Header(name) => format!("the header `{}`", clip(name)),
        Slot::Value => "the whole value".to_owned(),
        Slot::Key => "the key".to_owned(),
        Slot::Time => "the event time".to_owned(),
        Slot::Topic => "the topic".to_owned(),
        Slot::Partition => "the partition".to_owned(),
        Slot::Offset => "the offset".to_owned(),
        Slot::WindowStart => "the window's start".to_owned(),
        Slot::WindowEnd => "the window's end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn named(name: &str) -> columns::Slot {
        columns::Slot::Field(name.to_owned())
    }

    fn raw(slot: columns::Slot, kind: columns::Kind) -> columns::Field {
        columns::Field { slot, kind, required: true }
    }

    fn port(name: &str, fields: Vec<columns::Field>) -> lifecycle::Port {
        lifecycle::Port { name: name.to_owned(), fields }
    }

    fn refuse(kind: PluginKind, reads: Vec<columns::Field>, ports: Vec<lifecycle::Port>, expected: Expect) {
        expected.assert_eq(&match check(kind, lifecycle::Spec { reads, ports, state_version: 0 }) {
            Ok(_) => "fits".to_owned(),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn a_spec_that_fits_keeps_its_order() {
        let reads = vec![raw(columns::Slot::Key, columns::Kind::Text), raw(named("card.country"), columns::Kind::Json)];
        let ports = vec![port("out", vec![]), port("audit", vec![raw(columns::Slot::Time, columns::Kind::S64)])];
        let spec = check(PluginKind::Keyed, lifecycle::Spec { reads, ports, state_version: 3 }).unwrap();
        assert_eq!((&spec.reads[0].slot, &spec.reads[1].slot), (&Slot::Key, &Slot::Field("card.country".into())));
        assert_eq!((spec.ports[1].name.as_str(), spec.state_version), ("audit", 3));
    }

    #[test]
    fn a_slot_is_never_of_another_kind() {
        use columns::Kind::{F64, Text};
        let out = || vec![port("out", vec![])];
        let transform = PluginKind::Transform;
        refuse(
            transform,
            vec![raw(columns::Slot::Time, F64)],
            out(),
            expect!["reads declares the event time as f64, it is always s64"],
        );
        refuse(
            transform,
            vec![raw(columns::Slot::Key, F64)],
            out(),
            expect!["reads declares the key as f64, it is always text or bytes"],
        );
        refuse(
            transform,
            vec![],
            vec![port("out", vec![raw(columns::Slot::Header("h".into()), Text)])],
            expect!["port `out` declares the header `h` as text, it is always bytes"],
        );
    }

    #[test]
    fn a_port_writes_only_what_can_be_written_and_once() {
        use columns::Kind::{Bytes, S64, Text};
        let refuse = |fields, expected| refuse(PluginKind::Aggregate, vec![], vec![port("out", fields)], expected);
        refuse(
            vec![raw(columns::Slot::Topic, Text)],
            expect!["port `out` writes the topic, which is read only; remove the field"],
        );
        refuse(
            vec![raw(columns::Slot::WindowEnd, S64)],
            expect!["port `out` writes the window's end, which is read only; remove the field"],
        );
        refuse(
            vec![raw(named("a"), S64), raw(named("a"), Text)],
            expect!["declares the field `a` in port `out` twice; once is enough"],
        );
        refuse(
            vec![raw(named("a.b"), S64), raw(named("a!"), S64), raw(named("a"), S64)],
            expect![
                "port `out` writes the field `a` and the field `a.b`, and one is part of the other; keep one of them"
            ],
        );
        refuse(
            vec![raw(named("a"), S64), raw(columns::Slot::Value, Bytes)],
            expect![
                "port `out` writes the field `a` and the whole value, and one is part of the other; keep one of them"
            ],
        );
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        use columns::Kind::{F64, S64, Text};
        refuse(
            PluginKind::Keyed,
            vec![raw(columns::Slot::Time, F64), raw(columns::Slot::WindowEnd, S64), raw(named(""), S64)],
            vec![
                port("out", vec![raw(named("a"), S64), raw(named("a"), S64), raw(columns::Slot::Topic, Text)]),
                port("out", vec![raw(named("b.c"), S64), raw(named("b"), S64)]),
            ],
            expect![
                "reads declares the event time as f64, it is always s64; declares the field ``, expected 1 to 256 bytes without an empty part between dots; reads the window's end, which only an aggregate plugin has; this one is a keyed plugin; declares the field `a` in port `out` twice; once is enough; port `out` writes the topic, which is read only; remove the field; declares the port `out` twice; once is enough; port `out` writes the field `b` and the field `b.c`, and one is part of the other; keep one of them"
            ],
        );
        let many = (0..30).map(|at| port(&format!("{at}."), vec![])).collect();
        let error =
            check(PluginKind::Keyed, lifecycle::Spec { reads: vec![], ports: many, state_version: 0 }).unwrap_err();
        assert!(error.to_string().ends_with("; and 10 more"), "{error}");
        assert_eq!(error.iter().count(), 30);
    }

    #[test]
    fn names_and_windows_are_checked() {
        use columns::Kind::S64;
        let out = || vec![port("out", vec![])];
        refuse(
            PluginKind::Keyed,
            vec![],
            vec![],
            expect!["declares no port, expected at least one; the first is the default output"],
        );
        refuse(
            PluginKind::Keyed,
            vec![raw(columns::Slot::WindowStart, S64)],
            out(),
            expect!["reads the window's start, which only an aggregate plugin has; this one is a keyed plugin"],
        );
        refuse(PluginKind::Aggregate, vec![raw(columns::Slot::WindowStart, S64)], out(), expect!["fits"]);
        refuse(
            PluginKind::Keyed,
            vec![],
            vec![port("a.b", vec![])],
            expect!["declares the port `a.b`, expected 1 to 256 bytes without a dot"],
        );
        refuse(
            PluginKind::Keyed,
            vec![raw(named("a..b"), S64)],
            out(),
            expect!["declares the field `a..b`, expected 1 to 256 bytes without an empty part between dots"],
        );
        refuse(
            PluginKind::Keyed,
            vec![],
            vec![port("out", vec![]), port("out", vec![])],
            expect!["declares the port `out` twice; once is enough"],
        );
    }
}
