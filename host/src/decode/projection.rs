//! What is read of a source's records, planned once.

use super::text;
use crate::column::Kind;
use crate::config::{EventTimeOptions, Format, TimeFormat};
use std::ops::Range;
use std::sync::Arc;

/// The fields that are read of each record of a source, and where its event time comes from.
#[derive(Clone, Debug)]
pub struct Projection {
    pub(super) columns: Vec<Wanted>,
    pub(super) time: Option<TimeField>,
    pub(super) root: Node,
    /// How many slots the tree's fields have: one a path, however many kinds it is wanted in.
    pub(super) slots: usize,
    /// True where a record needs no time: nobody asks for it.
    pub(super) timeless: bool,
}

/// One column of the result.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) path: Arc<str>,
    pub(super) kind: Kind,
    pub(super) slot: usize,
}

/// The field that holds event time.
#[derive(Clone, Debug)]
pub(super) struct TimeField {
    pub(super) path: Arc<str>,
    pub(super) format: TimeFormat,
    pub(super) slot: usize,
}

/// Why a projection cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// Raw bytes have no fields.
    #[error(
        "field `{0}` cannot be read of a source with format = \"raw\": raw values have no fields; use format = \"json\""
    )]
    RawHasNoFields(Arc<str>),
}

impl Projection {
    /// Plans to read `columns`, in that order: a field's path (nested fields are joined by dots) and the kind to read
    /// it as. The same path may be wanted in several kinds.
    ///
    /// # Errors
    /// Where a field of a raw value is wanted.
    pub fn plan(
        columns: &[(Arc<str>, Kind)],
        event_time: &EventTimeOptions,
        format: Format,
    ) -> Result<Self, ProjectionError> {
        let paths = || columns.iter().map(|(path, _)| path).chain(&event_time.field);
        if let (Format::Raw, Some(path)) = (format, paths().next()) {
            return Err(ProjectionError::RawHasNoFields(Arc::clone(path)));
        }
        let mut root = Node::default();
        paths().for_each(|path| root.insert(path));
        let slots = root.number(0);
        let columns = columns
            .iter()
            .map(|(path, kind)| Wanted { path: Arc::clone(path), kind: *kind, slot: root.slot_of(path) })
            .collect();
        let time = event_time.field.as_ref().map(|path| TimeField {
            path: Arc::clone(path),
            format: event_time.format,
            slot: root.slot_of(path),
        });
        Ok(Projection { columns, time, root, slots, timeless: false })
    }

    /// The same where nobody asks for event time: a record without a time of its own is as good as another, and keeps
    /// the time -1, which says that there is none.
    #[must_use]
    pub fn without_time(self) -> Self {
        Projection { timeless: true, ..self }
    }

    /// The path and the kind of each column, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&Arc<str>, Kind)> {
        self.columns.iter().map(|it| (&it.path, it.kind))
    }

    /// False where nothing of a record's value is looked at: then it is not checked to be JSON either.
    pub fn parses(&self) -> bool {
        self.slots > 0
    }
}

/// A name on the way to a wanted field, with the wanted names in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// The name as JSON with the shortest escapes, in quotes: compared with the record's bytes as they are.
    quoted: Box<[u8]>,
    pub(super) children: Vec<Node>,
    wanted: bool,
    /// Where the text of this very field goes.
    pub(super) slot: Option<usize>,
    /// The slots of this field and of all in it.
    pub(super) subtree: Range<usize>,
}

impl Node {
    fn insert(&mut self, path: &str) {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let quoted = quote(name);
        let at = self.children.iter().position(|it| it.quoted == quoted).unwrap_or_else(|| {
            self.children.push(Node { quoted, ..Node::default() });
            self.children.len() - 1
        });
        match rest {
            None => self.children[at].wanted = true,
            Some(rest) => self.children[at].insert(rest),
        }
    }

    /// Numbers the slots from `next`, depth first, so that those of a subtree lie side by side; answers the next free
    /// one.
    fn number(&mut self, next: usize) -> usize {
        let mut end = next;
        if self.wanted {
            self.slot = Some(end);
            end += 1;
        }
        for child in &mut self.children {
            end = child.number(end);
        }
        self.subtree = next..end;
        end
    }

    /// The slot of a path that was inserted.
    fn slot_of(&self, path: &str) -> usize {
        let found = path.split('.').try_fold(self, |node, name| {
            let quoted = quote(name);
            node.children.iter().find(|it| it.quoted == quoted)
        });
        found.and_then(|it| it.slot).unwrap_or_default() // Each path asked for was inserted.
    }

    /// The child of that quoted name. Records of a stream mostly have their fields in one order, so `hint` says which
    /// child is likely to be next.
    #[inline(always)]
    pub(super) fn find(&self, quoted: &[u8], escaped: bool, hint: &mut usize) -> Option<&Node> {
        if escaped {
            let mut plain = Vec::new();
            text::unescape(quoted, &mut plain).ok()?;
            let mut quoted = Vec::new();
            text::write_string(&mut quoted, &plain);
            return self.children.iter().find(|it| *it.quoted == *quoted);
        }
        let count = self.children.len();
        if let Some(child) = self.children.get(*hint).filter(|it| *it.quoted == *quoted) {
            *hint += 1;
            return Some(child);
        }
        let at = (0..count).find(|&at| *self.children[at].quoted == *quoted)?;
        *hint = at + 1;
        Some(&self.children[at])
    }
}

fn quote(name: &str) -> Box<[u8]> {
    let mut quoted = Vec::with_capacity(name.len() + 2);
    text::write_string(&mut quoted, name.as_bytes());
    quoted.into_boxed_slice()
}
