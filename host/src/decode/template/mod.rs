//! Templates: the parts of a source's records that repeat, learnt from the records, so that only the values are scanned.
//!
//! The records of a stream are written by one program or a few. All that stands between two of their values (braces, commas,
//! names, whitespace) is mostly the same bytes in every record. A [`Graph`] holds these literals and which of them has followed
//! which; a record is read by comparing the literal that is due and scanning the value behind it. Fields that come and go,
//! other kinds of records and another order are other ways through the same graph.
//!
//! A plain record of a kind that was seen before (no escapes, no letters beyond ASCII, no arrays) goes a shorter [way](way) still: a survey
//! of its quotes says where all its literals and values are.
//!
//! A template decides nothing: it takes a record only where every byte was compared or checked, with the very slots that the
//! [scan](super::scan) leaves, and leaves anything else to that. So errors, their texts and places, are the scan's alone. A
//! source that does not repeat itself is left to the scan too, but for a try now and then ([`Pace`]).
//!
//! All of it belongs to one decoder, which belongs to one worker: nothing is shared, and a record that fits allocates nothing.

mod follow;
mod graph;
mod learn;
mod pace;
mod quotes;
mod value;
mod way;

use super::projection::Node;
use graph::Graph;
use pace::Pace;
use way::Ways;

/// What a decoder has learnt of its source's records.
#[derive(Debug)]
pub(super) struct Templates {
    graph: Graph,
    pace: Pace,
    ways: Ways,
}

impl Templates {
    /// Nothing learnt yet.
    pub(super) fn new() -> Self {
        Templates { graph: Graph::new(), pace: Pace::new(), ways: Ways::new() }
    }

    /// Reads a record and leaves the texts of wanted fields in `slots`, which are empty before. False where it fits no
    /// template, or none was tried: then it may be anything, and `slots` hold anything too.
    #[inline]
    pub(super) fn read<'a>(&mut self, record: &'a [u8], slots: &mut [Option<&'a [u8]>]) -> bool {
        if !self.pace.tries() {
            return false;
        }
        if self.ways.read(record, slots) {
            self.pace.tried(Some(true));
            return true;
        }
        let way = self.graph.follow(record, slots);
        self.pace.tried(way);
        if way.is_some() {
            self.ways.learn(&self.graph, record);
        }
        way.is_some()
    }

    /// Learns from a record that the scan took, where that is worth it: `root` is what it was scanned for.
    pub(super) fn learn(&mut self, record: &[u8], root: &Node) {
        if self.pace.learns() {
            learn::learn(&mut self.graph, record, root);
        }
    }
}

#[cfg(test)]
mod tests;
