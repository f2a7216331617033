//! Reading a record along the edges of a [`Graph`].

use super::super::scan::Scanner;
use super::graph::{Edge, EdgeId, Graph, NONE, PlaceId, START, Then};
use super::value;
use std::ops::Range;

/// How many literals are compared where the one that was due is not there.
const PROBES_MAX: usize = 64;

impl Graph {
    /// Reads a record along the edges and leaves the texts of wanted fields in `slots`; none where it leaves them. True
    /// where most edges were those that were due, so that it took less time than a scan.
    #[inline]
    pub(super) fn follow<'a>(&mut self, record: &'a [u8], slots: &mut [Option<&'a [u8]>]) -> Option<bool> {
        let (mut at, mut place, mut before) = (0, START, NONE);
        let (mut taken, mut searches) = (0, 0);
        loop {
            let mut edge = self.edges[usize::from(before)].next;
            let due = if edge == NONE { None } else { self.take(edge, record, at, slots) };
            match due {
                Some(end) => at = end,
                None => {
                    (edge, at) = self.search(place, edge, record, at, slots)?;
                    searches += 1;
                    self.edges[usize::from(before)].next = edge;
                }
            }
            let Edge { then, to, .. } = &self.edges[usize::from(edge)];
            if let Then::End = then {
                return Some(searches * 2 <= taken);
            }
            taken += 1;
            place = *to;
            before = edge;
        }
    }

    /// Goes along an edge, its literal and its value, and answers where that ends; none where the record has others there.
    #[inline(always)]
    fn take<'a>(&self, edge: EdgeId, record: &'a [u8], at: usize, slots: &mut [Option<&'a [u8]>]) -> Option<usize> {
        let edge = &self.edges[usize::from(edge)];
        let start = at + edge.literal.len();
        if !same(record.get(at..start)?, &self.literals[edge.literal.clone()]) {
            return None;
        }
        match edge.then {
            Then::End => return (start == record.len()).then_some(start),
            Then::Empty => {
                edge.clear(slots);
                return Some(start);
            }
            Then::Value | Then::Whole(_) => {}
        }
        let Some(end) = value::scalar_end(record, start) else { return edge.take_compound(record, start, slots) };
        edge.keep(record, start..end, slots);
        Some(end)
    }

    /// The edge of `place` that goes on at `at`, and where it ends. They are tried from behind the one that was due: that a
    /// field was left out is the common reason.
    #[inline(never)]
    fn search<'a>(
        &self,
        place: PlaceId,
        due: EdgeId,
        record: &'a [u8],
        at: usize,
        slots: &mut [Option<&'a [u8]>],
    ) -> Option<(EdgeId, usize)> {
        let edges = &self.places[usize::from(place)].edges;
        let rank = if due == NONE { 0 } else { usize::from(self.edges[usize::from(due)].rank) + 1 };
        let (behind, ahead) = edges.split_at_checked(rank)?;
        let found = ahead.iter().chain(behind).take(PROBES_MAX).copied().find(|&it| self.goes_on(it, record, at))?;
        Some((found, self.take(found, record, at, slots)?))
    }

    /// Whether the record has the edge's literal at `at`, and behind it the start of a value as the edge takes them.
    fn goes_on(&self, edge: EdgeId, record: &[u8], at: usize) -> bool {
        let edge = &self.edges[usize::from(edge)];
        let literal = &self.literals[edge.literal.clone()];
        if !record.get(at..at + literal.len()).is_some_and(|it| same(it, literal)) {
            return false;
        }
        match (record.get(at + literal.len()), &edge.then) {
            (next, Then::End) => next.is_none(),
            (_, Then::Empty) => true,
            (None, _) => false,
            (Some(b'{'), then) => matches!(then, Then::Whole(_)),
            (Some(next), _) => !matches!(next, b' ' | b'\n' | b'\r' | b'\t'),
        }
    }
}

impl Edge {
    /// Puts the text of the value into its slot.
    #[inline]
    fn keep<'a>(&self, record: &'a [u8], value: Range<usize>, slots: &mut [Option<&'a [u8]>]) {
        self.clear(slots);
        if let Some(slot) = self.slot {
            slots[slot as usize] = Some(&record[value]);
        }
    }

    /// The last of a repeated name wins, with all that is in it.
    #[inline]
    fn clear(&self, slots: &mut [Option<&[u8]>]) {
        if !self.clears.is_empty() {
            slots[self.clears.start as usize..self.clears.end as usize].fill(None);
        }
    }

    /// Goes past an array, or an object that is taken whole.
    #[inline(never)]
    fn take_compound<'a>(&self, record: &'a [u8], at: usize, slots: &mut [Option<&'a [u8]>]) -> Option<usize> {
        let mut scanner = Scanner::within(record, at);
        let child = match (record.get(at)?, &self.then) {
            (b'[', _) => None,
            (b'{', Then::Whole(child)) => child.as_ref(),
            _ => return None,
        };
        let Some(child) = child else {
            scanner.skip(self.depth).ok()?;
            let end = value::utf8_end(record, at, &scanner)?;
            self.keep(record, at..end, slots);
            return Some(end);
        };
        self.clear(slots);
        scanner.wanted(child, slots, self.depth).ok()?;
        value::utf8_end(record, at, &scanner)
    }
}

/// Whether two texts of one length are the same: mostly 8 to 32 bytes, for which a call of the library takes longer.
#[inline]
pub(super) fn same(found: &[u8], literal: &[u8]) -> bool {
    fn ends<const N: usize>(found: &[u8], literal: &[u8]) -> bool {
        found.first_chunk::<N>() == literal.first_chunk::<N>() && found.last_chunk::<N>() == literal.last_chunk::<N>()
    }
    match literal.len() {
        0..4 => found.iter().eq(literal),
        4..8 => ends::<4>(found, literal),
        8..=16 => ends::<8>(found, literal),
        17..=32 => ends::<16>(found, literal),
        _ => found == literal,
    }
}
