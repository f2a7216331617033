//! What travels through a pipeline: raw records as a source hands them over, and records in columns between two steps.
//!
//! A batch is moved from stage to stage by value. Nothing in it is per record but plain numbers: bytes stay where the
//! source put them (the arena) and are named by ranges.

use crate::column::{Column, Strings};
use std::sync::Arc;

/// Milliseconds since the Unix epoch, in event time.
pub type EventTime = i64;

/// A range of an arena. A null (a missing key, a tombstone) is not the same as an empty range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Length in bytes; `u32::MAX` is null.
    pub len: u32,
}

impl Span {
    /// No value at all.
    pub const NULL: Span = Span { start: 0, len: u32::MAX };

    /// True for a missing key, a tombstone, or no headers.
    pub fn is_null(self) -> bool {
        self.len == u32::MAX
    }

    /// The bytes in `arena`, or none for a null. Panics when the range is not of this arena.
    pub fn of(self, arena: &[u8]) -> Option<&[u8]> {
        if self.is_null() { None } else { Some(&arena[self.start as usize..self.start as usize + self.len as usize]) }
    }
}

/// One raw record: ranges of its batch's arena, so that it can go on bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// The key; null is legal.
    pub key: Span,
    /// The value; null is a tombstone.
    pub value: Span,
    /// The headers in the form that [`crate::batch::headers`] writes; null for none.
    pub headers: Span,
}

/// Raw records over one arena: what a source reads and what a sink writes.
///
/// The arena is shared: rows that pass unchanged are written from the very bytes that were read.
#[derive(Clone, Debug, Default)]
pub struct RawRows {
    /// The bytes that the records are ranges of; at most 4 GiB.
    pub arena: Arc<Vec<u8>>,
    /// The records, in order.
    pub records: Vec<RawRecord>,
}

impl RawRows {
    /// Memory that the records need, bytes, about: the arena may be others' as well, and is counted from the first of them to the last.
    pub fn bytes(&self) -> usize {
        let spans = |it: &RawRecord| [it.key, it.value, it.headers].into_iter().filter(|it| !it.is_null());
        let start = |it| spans(it).map(|it| it.start).min();
        let end = |it| spans(it).map(|it| it.start + it.len).max();
        let first = self.records.first().and_then(start).unwrap_or(0);
        let last = self.records.last().and_then(end).unwrap_or(first);
        self.records.len() * size_of::<RawRecord>() + last.saturating_sub(first) as usize
    }

    /// The key of `row`.
    pub fn key(&self, row: usize) -> Option<&[u8]> {
        self.records[row].key.of(&self.arena)
    }

    /// The value of `row`.
    pub fn value(&self, row: usize) -> Option<&[u8]> {
        self.records[row].value.of(&self.arena)
    }

    /// The encoded headers of `row`; empty for none.
    pub fn headers(&self, row: usize) -> &[u8] {
        self.records[row].headers.of(&self.arena).unwrap_or_default()
    }

    /// The rows `rows`, in that order, over the same arena.
    pub fn gather(&self, rows: &[u32]) -> RawRows {
        let records = rows.iter().map(|&row| self.records[row as usize]).collect();
        RawRows { arena: Arc::clone(&self.arena), records }
    }
}

/// Headers as bytes: for each, its name and its value with their lengths before them (u32, little-endian; a null value
/// has the length `u32::MAX`). Names may repeat, and their order is kept.
pub mod headers {
    /// Adds one header to the end of `out`.
    pub fn push(out: &mut Vec<u8>, name: &[u8], value: Option<&[u8]>) {
        out.extend_from_slice(&(name.len() as u32).to_le_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(&value.map_or(u32::MAX, |it| it.len() as u32).to_le_bytes());
        out.extend_from_slice(value.unwrap_or_default());
    }

    /// Each header's name and value, in order. Stops at the first byte that no [`push`] wrote.
    pub fn iter(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        fn length(bytes: &mut &[u8]) -> Option<u32> {
            let (head, rest) = bytes.split_first_chunk::<4>()?;
            *bytes = rest;
            Some(u32::from_le_bytes(*head))
        }
        fn take<'a>(bytes: &mut &'a [u8], len: u32) -> Option<&'a [u8]> {
            let (head, rest) = bytes.split_at_checked(len as usize)?;
            *bytes = rest;
            Some(head)
        }
        std::iter::from_fn(move || {
            let name = length(&mut bytes)?;
            let name = take(&mut bytes, name)?;
            match length(&mut bytes)? {
                u32::MAX => Some((name, None)),
                len => Some((name, Some(take(&mut bytes, len)?))),
            }
        })
    }
}

/// A source partition: which source of the pipeline file, and which partition of it (a file source has one a file).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Index of the source, in the order of the pipeline file.
    pub source: u32,
    /// The partition; where a source reads several topics, those of all of them are told apart by [`TopicPartition`].
    pub partition: i32,
}

/// Which topic of its source a partition is of, and its number there.
///
/// As one number, a partition of the first topic is its number: most sources read one topic, and files and made records are as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Index into the source's topics, less than [`TopicPartition::TOPICS_MAX`].
    pub topic: usize,
    /// The partition's number in it, less than [`TopicPartition::PARTITIONS_MAX`].
    pub number: i32,
}

impl TopicPartition {
    /// Topics of a source.
    pub const TOPICS_MAX: usize = 256;
    /// Partitions of a topic.
    pub const PARTITIONS_MAX: i32 = 1 << TopicPartition::NUMBER_BITS;

    const NUMBER_BITS: u32 = 23;

    /// The place of a source's partition.
    pub fn of(partition: i32) -> Self {
        TopicPartition {
            topic: (partition >> TopicPartition::NUMBER_BITS) as usize,
            number: partition & (TopicPartition::PARTITIONS_MAX - 1),
        }
    }

    /// The source's partition.
    pub fn partition(self) -> i32 {
        (self.topic as i32) << TopicPartition::NUMBER_BITS | self.number
    }

    /// Which of `workers` reads it.
    pub fn worker(self, workers: usize) -> usize {
        (self.topic + self.number as usize) % workers
    }
}

/// A run of raw records from one partition and the offsets they account for.
///
/// Invariant: `next_offset` accounts for every source record read to build the batch, control records and compacted ones
/// included. The position to commit is `next_offset`, never a count of records.
#[derive(Clone, Debug)]
pub struct RawBatch {
    /// Where the records come from.
    pub origin: Origin,
    /// The records.
    pub rows: RawRows,
    /// Each record's offset, increasing.
    pub offsets: Vec<i64>,
    /// Each record's own timestamp (Kafka's `CreateTime` or `LogAppendTime`), ms; -1 where the source has none.
    pub timestamps: Vec<i64>,
    /// Where reading goes on after this batch.
    pub next_offset: i64,
}

/// What event time is at each row of a batch, without a number a row.
///
/// At row `i` the watermark is the one that held when row `i` arrived, its own time not counted. It matters only to rows
/// that are behind it; those are listed, the others are on time by definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowTimes {
    /// The watermark before the first row.
    pub before: EventTime,
    /// Rows whose own time is at or below the watermark that held when they arrived, with that watermark; by row.
    pub stragglers: Vec<(u32, EventTime)>,
    /// The watermark after the last row.
    pub after: EventTime,
}

/// Records in columns, between two steps.
///
/// Invariant: every list that is not empty has `rows` entries, and entry `i` of each belongs to the same record.
#[derive(Clone, Debug)]
pub struct Batch {
    /// How many records there are.
    pub rows: usize,
    /// Where the records come from; none for rows that a window made.
    pub origin: Option<Origin>,
    /// Source offset of each row; empty where `origin` is none.
    pub offsets: Vec<i64>,
    /// Event time of each row, ms since the Unix epoch.
    pub times: Vec<EventTime>,
    /// The record that each row was read from: what goes on where nothing replaces it. None for rows made by a step.
    pub raw: Option<RawRows>,
    /// The rows' record keys (`text` or `bytes`), where a step set them; otherwise the raw record's key holds.
    pub key: Option<Column>,
    /// The rows' whole values (`bytes`, null is a tombstone), where a plugin set them.
    pub value: Option<Column>,
    /// Headers that a plugin set, by name (`bytes`, null sets none); they replace the raw record's of that name.
    pub headers: Vec<(Arc<str>, Column)>,
    /// The columns that the stream's shape lists, in its order.
    pub columns: Vec<Column>,
}

impl Batch {
    /// The rows `rows`, in that order.
    pub fn gather(&self, rows: &[u32]) -> Batch {
        let pick = |values: &[i64]| -> Vec<i64> {
            if values.is_empty() { Vec::new() } else { rows.iter().map(|&row| values[row as usize]).collect() }
        };
        Batch {
            rows: rows.len(),
            origin: self.origin,
            offsets: pick(&self.offsets),
            times: pick(&self.times),
            raw: self.raw.as_ref().map(|it| it.gather(rows)),
            key: self.key.as_ref().map(|it| it.gather(rows)),
            value: self.value.as_ref().map(|it| it.gather(rows)),
            headers: self.headers.iter().map(|(name, column)| (Arc::clone(name), column.gather(rows))).collect(),
            columns: self.columns.iter().map(|it| it.gather(rows)).collect(),
        }
    }
}

/// Keys of a keyed step, one a row, in canonical form, with the hash that key groups and tables use.
///
/// Canonical: the JSON text of the key's field, or a JSON array of the fields' texts where there are several; strings
/// with the shortest escapes, integers in decimal, other numbers in the shortest form that reads back the same.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The canonical texts.
    pub texts: Strings,
    /// [`hash`] of each.
    pub hashes: Vec<u64>,
}

/// How many key groups there are: the unit in which keyed state is owned and moved.
pub const KEY_GROUPS: u64 = 128;

/// The stable hash of a canonical key. Snapshots depend on it: it never changes.
pub fn hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(key, 0x7761_736d_696c_6c31)
}

/// The key group of a hash.
pub fn key_group(hash: u64) -> u16 {
    (hash % KEY_GROUPS) as u16
}

/// A record refused, by row, with the reason that its dead letter carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The row in the batch that was handed in.
    pub row: u32,
    /// What was found and what was expected.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_order_repeats_and_nulls() {
        let mut bytes = Vec::new();
        headers::push(&mut bytes, b"trace", Some(b"1"));
        headers::push(&mut bytes, b"trace", None);
        headers::push(&mut bytes, b"", Some(b""));
        let read: Vec<_> = headers::iter(&bytes).collect();
        assert_eq!(read, [(&b"trace"[..], Some(&b"1"[..])), (b"trace", None), (b"", Some(b""))]);
        assert_eq!(headers::iter(&bytes[..bytes.len() - 1]).count(), 2);
    }

    #[test]
    fn a_partition_of_the_first_topic_is_its_number_and_all_are_told_apart() {
        for (topic, number, partition) in [(0, 0, 0), (0, 7, 7), (1, 0, 1 << 23), (255, (1 << 23) - 1, i32::MAX)] {
            let place = TopicPartition { topic, number };
            assert_eq!((place.partition(), TopicPartition::of(partition)), (partition, place));
        }
        // Topics of one partition each are spread over the workers too.
        let workers = (0..4).map(|topic| TopicPartition { topic, number: 0 }.worker(4));
        assert_eq!(workers.collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn the_hash_of_a_key_never_changes() {
        assert_eq!(format!("{:016x}", hash(b"\"ann\"")), "fa763d12b1d4905c");
    }
}
