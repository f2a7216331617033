//! Learning from a record that the scan took: its literals become edges.

use super::super::projection::Node;
use super::super::scan::{JsonFault, Scanner};
use super::graph::{EdgeId, Found, Graph, NONE, PlaceId, ROOT, START, Then};
use std::ops::Range;

/// The edge at the end of a record, whose literal is still to be filled in.
const END: Found<'_> = Found { literal: &[], then: Then::End, to: START, slot: None, clears: 0..0, depth: 0 };

/// Adds the way through `record`, which is JSON, an object, and UTF-8, to `graph`; `root` is what is wanted of it.
pub(super) fn learn(graph: &mut Graph, record: &[u8], root: &Node) {
    let mut scanner = Scanner::within(record, 0);
    let mut learner = Learner { graph, record, literal: 0, place: START, before: Some(NONE), clears: 0..0 };
    let read = scanner.root_object().and_then(|()| learner.object(&mut scanner, Some(root), ROOT, 1));
    debug_assert!(read.is_ok(), "the scan took this record");
    if read.is_ok() {
        learner.add(record.len(), END);
    }
}

struct Learner<'g, 'r> {
    graph: &'g mut Graph,
    record: &'r [u8],
    /// Where the literal starts that is being read.
    literal: usize,
    /// Where that is.
    place: PlaceId,
    /// The edge that was added last; none once something was forgotten: then there is nothing to go on from.
    before: Option<EdgeId>,
    /// The slots of the outermost wanted field that is named in the literal.
    clears: Range<usize>,
}

impl<'r> Learner<'_, 'r> {
    /// Learns the object that starts here; `place` is in it.
    fn object(
        &mut self,
        scanner: &mut Scanner<'r>,
        node: Option<&Node>,
        place: PlaceId,
        depth: u32,
    ) -> Result<(), JsonFault> {
        let mut hint = 0;
        let record = self.record;
        scanner.each_member(|scanner, name, escaped| {
            let name = &record[name];
            let child = node.and_then(|it| it.find(name, escaped, &mut hint));
            if let (Some(child), true) = (child, self.clears.is_empty()) {
                self.clears = child.subtree.clone();
            }
            match self.inside(scanner.at(), child, place, name) {
                Some(inner) if Scanner::within(record, scanner.at() + 1).peek() != b'}' => {
                    self.object(scanner, child, inner, depth + 1)
                }
                Some(_) => {
                    scanner.skip(depth)?;
                    self.add(scanner.at(), Found { then: Then::Empty, to: place, ..END });
                    self.passed(scanner.at(), place);
                    Ok(())
                }
                None => self.value(scanner, child, place, depth),
            }
        })
    }

    /// The place in the value at `at` if that is an object whose names have edges of their own.
    fn inside(&mut self, at: usize, child: Option<&Node>, around: PlaceId, name: &[u8]) -> Option<PlaceId> {
        let is_wanted = child.is_some_and(|it| it.slot.is_some());
        if self.before.is_none() || is_wanted || self.record.get(at) != Some(&b'{') {
            return None;
        }
        let place = self.graph.place(around, name, child.is_some());
        if place.is_none() {
            self.before = None;
        }
        place.filter(|&it| !self.graph.is_whole(it))
    }

    /// Learns the value that starts here, and the literal before it.
    fn value(
        &mut self,
        scanner: &mut Scanner<'r>,
        child: Option<&Node>,
        place: PlaceId,
        depth: u32,
    ) -> Result<(), JsonFault> {
        let slot = child.and_then(|it| it.slot);
        let is_object = self.record.get(scanner.at()) == Some(&b'{');
        let then = if slot.is_some() || is_object { Then::Whole(child.cloned().map(Box::new)) } else { Then::Value };
        self.add(scanner.at(), Found { then, to: place, slot, depth, ..END });
        scanner.skip(depth)?;
        self.passed(scanner.at(), place);
        Ok(())
    }

    /// The next literal starts at `at`, behind a value at `place`.
    fn passed(&mut self, at: usize, place: PlaceId) {
        self.literal = at;
        self.place = place;
    }

    /// Adds an edge whose literal ends at `end`.
    fn add(&mut self, end: usize, found: Found<'_>) {
        let literal = &self.record[self.literal..end];
        let clears = std::mem::take(&mut self.clears);
        let found = Found { literal, clears, ..found };
        self.before = self.before.and_then(|before| self.graph.add(self.place, before, found));
    }
}
