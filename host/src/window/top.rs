//! The best rows of a window, by one field: accumulators that keep at most so many rows.
//!
//! The input has three columns: the field that ranks (a number or a text; a null is not ranked), the record's key, and the whole row as
//! bytes that mean nothing here. Of two rows of one rank the earlier one is better, then the one whose key is first, then the one whose bytes
//! are: so the rows are the same in whichever order they came.
//!
//! An accumulator is encoded as the number of its rows and, for each from the best on: the rank (a text, or a number as extremes have it),
//! the time as a signed `varint`, the key and the row with their lengths.

use super::Input;
use super::accumulators::{Accumulators, Add, Merge, SlotId};
use super::builtin::extreme;
use super::entry::{StateError, put_bytes, put_varint, take_bytes, take_varint, unzigzag, zigzag};
use crate::batch::EventTime;
use crate::column::{Column, Number, Strings, Values};
use std::cmp::Ordering;
use std::convert::Infallible;

/// The best rows of each window of one step.
#[derive(Debug)]
pub struct Top {
    /// How many rows a window has at most.
    rows_max: usize,
    /// Whether larger is better.
    largest: bool,
    /// Whether texts rank, and not numbers.
    texts: bool,
    /// From the best on.
    slots: Vec<Vec<Best>>,
    free: Vec<SlotId>,
    bytes: usize,
}

/// The rows of windows, from the best on.
#[derive(Clone, Debug, Default)]
pub struct Ranked {
    /// How many rows each window has.
    pub counts: Vec<usize>,
    /// The rows of all windows.
    pub rows: Strings,
}

#[derive(Clone, Debug, PartialEq)]
enum Rank {
    Number(Number),
    Text(Box<[u8]>),
}

#[derive(Clone, Debug)]
struct Best {
    rank: Rank,
    time: EventTime,
    key: Box<[u8]>,
    row: Box<[u8]>,
}

/// A row that is not kept yet.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    rank: RankRef<'a>,
    time: EventTime,
    key: &'a [u8],
    row: &'a [u8],
}

#[derive(Clone, Copy)]
enum RankRef<'a> {
    Number(Number),
    Text(&'a [u8]),
}

impl Best {
    fn as_ref(&self) -> Candidate<'_> {
        let rank = match &self.rank {
            Rank::Number(number) => RankRef::Number(*number),
            Rank::Text(text) => RankRef::Text(text),
        };
        Candidate { rank, time: self.time, key: &self.key, row: &self.row }
    }

    fn bytes(&self) -> usize {
        size_of::<Best>() + self.key.len() + self.row.len()
    }
}

impl Candidate<'_> {
    /// The better one is less.
    fn cmp(&self, other: &Candidate<'_>, largest: bool) -> Ordering {
        let rank = match (self.rank, other.rank) {
            (RankRef::Number(a), RankRef::Number(b)) => extreme::compare(a, b),
            (RankRef::Text(a), RankRef::Text(b)) => a.cmp(b),
            // One step ranks one kind.
            (RankRef::Number(_), RankRef::Text(_)) => Ordering::Less,
            (RankRef::Text(_), RankRef::Number(_)) => Ordering::Greater,
        };
        let rank = if largest { rank.reverse() } else { rank };
        let others = || (self.time, self.key, self.row).cmp(&(other.time, other.key, other.row));
        rank.then_with(others)
    }

    fn keep(&self) -> Best {
        let rank = match self.rank {
            RankRef::Number(number) => Rank::Number(number),
            RankRef::Text(text) => Rank::Text(text.into()),
        };
        Best { rank, time: self.time, key: self.key.into(), row: self.row.into() }
    }
}

impl Top {
    /// The `rows_max` (at least 1) best rows: those whose field is largest, or smallest. `texts` says whether the field is a text.
    pub fn new(rows_max: usize, largest: bool, texts: bool) -> Self {
        Top { rows_max, largest, texts, slots: Vec::new(), free: Vec::new(), bytes: 0 }
    }

    /// Keeps a row where it is among the best: one comparison for most of those that are not.
    fn offer(&mut self, slot: SlotId, candidate: Candidate<'_>) {
        let best = &mut self.slots[slot.0 as usize];
        let better = |it: &Best| it.as_ref().cmp(&candidate, self.largest) != Ordering::Greater;
        if best.len() == self.rows_max && best.last().is_some_and(better) {
            return;
        }
        let place = best.partition_point(better);
        if best.len() == self.rows_max {
            self.bytes -= best.pop().map_or(0, |it| it.bytes());
        }
        let new = candidate.keep();
        self.bytes += new.bytes();
        best.insert(place, new);
    }
}

impl Accumulators for Top {
    type Output = Ranked;
    type Error = Infallible;

    fn output(&self, _rows: usize) -> Ranked {
        Ranked::default()
    }

    fn create(&mut self) -> SlotId {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(Vec::new());
            SlotId(self.slots.len() as u32 - 1)
        })
    }

    fn reset(&mut self, slot: SlotId) {
        let rows = std::mem::take(&mut self.slots[slot.0 as usize]);
        self.bytes -= rows.iter().map(Best::bytes).sum::<usize>();
    }

    fn free(&mut self, slot: SlotId) {
        self.reset(slot);
        self.free.push(slot);
    }

    fn add(&mut self, input: &Input<'_>, adds: &[Add]) -> Result<(), Infallible> {
        let [ranks, keys, rows] = input.columns else { return Ok(()) };
        let (Values::Bytes(keys), Values::Bytes(rows)) = (&keys.values, &rows.values) else { return Ok(()) };
        for add in adds {
            let row = add.row as usize;
            if let Some(rank) = rank(ranks, row) {
                let time = input.times[row];
                self.offer(add.slot, Candidate { rank, time, key: keys.get(row), row: rows.get(row) });
            }
        }
        Ok(())
    }

    fn merge(&mut self, merges: &[Merge]) -> Result<(), Infallible> {
        for merge in merges {
            let from = std::mem::take(&mut self.slots[merge.from.0 as usize]);
            from.iter().for_each(|it| self.offer(merge.into, it.as_ref()));
            self.slots[merge.from.0 as usize] = from;
        }
        Ok(())
    }

    fn collect(&self, slot: SlotId, out: &mut Ranked) {
        let best = &self.slots[slot.0 as usize];
        out.counts.push(best.len());
        best.iter().for_each(|it| out.rows.push(&it.row));
    }

    fn encode(&self, slot: SlotId, out: &mut Vec<u8>) {
        let best = &self.slots[slot.0 as usize];
        put_varint(out, best.len() as u128);
        for Best { rank, time, key, row } in best {
            match rank {
                Rank::Number(number) => extreme::encode(Some(*number), out),
                Rank::Text(text) => put_bytes(out, text),
            }
            put_varint(out, zigzag((*time).into()));
            put_bytes(out, key);
            put_bytes(out, row);
        }
    }

    fn decode(&mut self, mut bytes: &[u8]) -> Result<SlotId, StateError> {
        let bytes = &mut bytes;
        let slot = self.create();
        for _ in 0..take_varint(bytes, "rows of a top")? {
            let text = if self.texts { Some(take_bytes(bytes, "a rank")?) } else { None };
            let rank = match text {
                Some(text) => Some(RankRef::Text(text)),
                None => extreme::decode(bytes)?.map(RankRef::Number),
            };
            let time = unzigzag(take_varint(bytes, "a time")?) as EventTime;
            let (key, row) = (take_bytes(bytes, "a record's key")?, take_bytes(bytes, "a row")?);
            let missing = StateError { what: "a rank", found: 0, expected: "more" };
            self.offer(slot, Candidate { rank: rank.ok_or(missing)?, time, key, row });
        }
        if !bytes.is_empty() {
            return Err(StateError { what: "rest of a top", found: bytes.len(), expected: "0: was `by` changed" });
        }
        Ok(slot)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What ranks a row; none for a null.
fn rank(column: &Column, row: usize) -> Option<RankRef<'_>> {
    if column.is_null(row) {
        return None;
    }
    match &column.values {
        Values::S64(values) => Some(RankRef::Number(Number::Int(values[row]))),
        Values::F64(values) => Some(RankRef::Number(Number::Float(values[row]))),
        Values::Number(values) => Some(RankRef::Number(values[row])),
        Values::Text(texts) => Some(RankRef::Text(texts.get(row))),
        Values::Boolean(_) | Values::Bytes(_) | Values::Json(_) => None,
    }
}
