//! Reading a record along a way that is known as a whole.
//!
//! Along the edges of a graph each step waits for the one before: where a literal is due is known when the value before it was read
//! byte by byte. A way says what all the steps are, and the record's quotes where: a text ends at the next one, and any other
//! value where the next literal's first quote says. So the processor looks at many literals and values at the same time.

use super::super::number;
use super::follow::same;
use super::graph::{EdgeId, Graph, NONE, Then};
use super::pace::Pace;
use super::quotes::Quotes;
use super::value;
use std::ops::Range;

/// How many ways are kept: there is one for each kind of record.
const WAYS_MAX: usize = 8;
/// How many steps a way may have.
const STEPS_MAX: usize = 128;

/// The ways of a source's records.
#[derive(Debug)]
pub(super) struct Ways {
    /// Those that many records go before those that few do: a way changes places with the one before it whenever a record goes it.
    ways: Vec<Way>,
    quotes: Quotes,
    pace: Pace,
}

impl Ways {
    /// None known.
    pub(super) fn new() -> Self {
        Ways { ways: Vec::new(), quotes: Quotes::new(), pace: Pace::new() }
    }

    /// Reads a record whose texts are all plain along one of the ways, and leaves the texts of wanted fields in `slots`, which are
    /// empty before, and again after a record that goes none of them: that is false.
    #[inline]
    pub(super) fn read<'a>(&mut self, record: &'a [u8], slots: &mut [Option<&'a [u8]>]) -> bool {
        if !self.pace.tries() {
            return false;
        }
        let is_plain = self.quotes.find(record);
        let found = if is_plain { self.find(record, slots) } else { None };
        if let Some(number @ 1..) = found {
            self.ways.swap(number - 1, number);
        }
        self.pace.tried(found.map(|_| true));
        found.is_some()
    }

    /// The first way that a record goes.
    #[inline(always)]
    fn find<'a>(&self, record: &'a [u8], slots: &mut [Option<&'a [u8]>]) -> Option<usize> {
        self.ways.iter().position(|way| {
            let read = way.read(record, &self.quotes, slots).is_some();
            if !read {
                slots.fill(None);
            }
            read
        })
    }

    /// Learns the way of a record that goes none that is known and that was just read along the edges of `graph`.
    pub(super) fn learn(&mut self, graph: &Graph, record: &[u8]) {
        if !self.pace.learns() || !self.quotes.find(record) {
            return;
        }
        let Some(way) = Way::of(graph, record) else { return };
        // Few records go the last one.
        self.ways.truncate(WAYS_MAX - 1);
        self.ways.push(way);
    }
}

/// The edges of a record without arrays and without objects that are taken whole, one behind the other.
#[derive(Debug)]
pub(super) struct Way {
    steps: Vec<Step>,
    /// The literal at the end, which has no quote.
    end: Box<[u8]>,
}

/// An edge.
#[derive(Debug)]
struct Step {
    literal: Box<[u8]>,
    /// Where the literal's first quote is.
    quote: usize,
    value: Value,
    slot: Option<u32>,
    clears: Range<u32>,
}

/// What is behind a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Text,
    /// A number, `true`, `false` or `null`; any scalar at the record's end.
    Bare,
    Nothing,
}

impl Way {
    /// The way of a record that was just read along the edges of `graph`; none where it is not one that these are for.
    pub(super) fn of(graph: &Graph, record: &[u8]) -> Option<Self> {
        let (mut steps, mut at, mut before) = (Vec::new(), 0, NONE);
        while steps.len() < STEPS_MAX {
            let edge = graph.edges[usize::from(before)].next;
            let (step, end) = Step::of(graph, edge, record, at)?;
            if let Then::End = graph.edges[usize::from(edge)].then {
                let end = step.literal;
                return (!end.contains(&b'"')).then_some(Way { steps, end });
            }
            (at, before) = (end, edge);
            steps.push(step);
        }
        None
    }

    /// Reads a record whose texts are all plain, with `quotes`; none where it goes another way, and then `slots` hold anything.
    #[inline(always)]
    pub(super) fn read<'a>(&self, record: &'a [u8], quotes: &Quotes, slots: &mut [Option<&'a [u8]>]) -> Option<()> {
        let end = record.len().checked_sub(self.end.len())?;
        if !same(&record[end..], &self.end) {
            return None;
        }
        let mut at = 0;
        for (number, step) in self.steps.iter().enumerate() {
            let start = at + step.literal.len();
            if !same(record.get(at..start)?, &step.literal) {
                return None;
            }
            at = match (step.value, self.steps.get(number + 1)) {
                (Value::Text, _) if record.get(start) == Some(&b'"') => quotes.next(start + 1)? + 1,
                (Value::Text, _) => return None,
                (Value::Bare, Some(next)) => bare(record, start, quotes.next(start)?.checked_sub(next.quote)?)?,
                (Value::Bare, None) => bare(record, start, end)?,
                (Value::Nothing, _) => start,
            };
            step.keep(record.get(start..at)?, slots);
        }
        (at == end).then_some(())
    }
}

/// `end` where a number, `true`, `false` or `null` goes from `start` to it.
#[inline(always)]
fn bare(record: &[u8], start: usize, end: usize) -> Option<usize> {
    let is_bare = number::is_short(record, start, end) || value::scalar_end(record, start) == Some(end);
    is_bare.then_some(end)
}

impl Step {
    /// The step along an edge from `at` on, and where it ends; none where it is not the one that the record went, or does not count as a
    /// step.
    fn of(graph: &Graph, edge: EdgeId, record: &[u8], at: usize) -> Option<(Self, usize)> {
        let edge = graph.edges.get(usize::from(edge)).filter(|_| edge != NONE)?;
        let literal = &graph.literals[edge.literal.clone()];
        let start = at + literal.len();
        if record.get(at..start)? != literal {
            return None;
        }
        let (value, end) = match (&edge.then, record.get(start)) {
            (Then::End, next) if next.is_none() => (Value::Nothing, start),
            (Then::End, _) => return None,
            (Then::Empty, _) => (Value::Nothing, start),
            (_, Some(b'"')) => (Value::Text, value::scalar_end(record, start)?),
            _ => (Value::Bare, value::scalar_end(record, start)?),
        };
        let quote = literal.iter().position(|it| *it == b'"').unwrap_or_default();
        let (slot, clears) = (edge.slot, edge.clears.clone());
        Some((Step { literal: literal.into(), quote, value, slot, clears }, end))
    }

    /// As along an edge.
    #[inline(always)]
    fn keep<'a>(&self, text: &'a [u8], slots: &mut [Option<&'a [u8]>]) {
        if !self.clears.is_empty() {
            slots[self.clears.start as usize..self.clears.end as usize].fill(None);
        }
        if let Some(slot) = self.slot {
            slots[slot as usize] = Some(text);
        }
    }
}
