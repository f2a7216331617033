//! Rolling windows: each record is answered on arrival over the records of its key seen so far in `(t - size, t]`.
//!
//! A key's records lie in buckets of about `size / 64` of event time, aligned to the time line, each with its records by
//! (time, arrival) and the merge of all of them. An answer merges whole buckets, and single records only in the two buckets
//! that the interval cuts. The order of merging depends on the records of the key alone, so floats come out the same for
//! any batch size and after a restore; to keep it so, a bucket is evicted whole, never in part.
//!
//! Each record is an accumulator of its own until it is evicted. A record behind others of its own bucket makes that bucket
//! be merged anew. Keys that do not fit into memory are on the disk until a record of theirs comes or the first of their buckets is
//! to be evicted: `cold`.

mod cold;
mod sealing;

use super::Input;
use super::accumulators::{Accumulators, Add, Merge, SlotId};
use super::cold::Place;
use super::entry::{Removed, Scratch};
use super::fired::Processed;
use super::keys::{KeyId, KeyTable};
use crate::state::{Chest, Spills};
use std::collections::{BTreeMap, VecDeque};

/// One record.
#[derive(Clone, Copy, Debug)]
struct Element {
    time: i64,
    slot: SlotId,
}

/// The records of a key in `[number * length, (number + 1) * length)`.
#[derive(Debug)]
struct Bucket {
    number: i64,
    /// By time, then arrival; at least one.
    elements: Vec<Element>,
    /// The elements merged in order.
    total: SlotId,
    /// Changed since the last seal.
    dirty: bool,
    /// In a snapshot.
    sealed: bool,
}

/// The buckets of a key.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    by_number: VecDeque<Bucket>,
    /// True where the totals are still to be merged.
    unmerged: bool,
}

/// Rolling windows.
#[derive(Debug)]
pub struct Rolling<A> {
    size: i64,
    /// Length of a bucket.
    length: i64,
    folds: A,
    keys: KeyTable<Buckets>,
    /// The keys of each bucket number, for eviction.
    by_number: BTreeMap<i64, Vec<KeyId>>,
    watermark: i64,
    /// The accumulator that answers are merged in.
    answer: SlotId,
    merges: Vec<Merge>,
    dirty: Vec<(KeyId, i64)>,
    removed: Removed,
    /// Buckets and records there are.
    buckets: usize,
    elements: usize,
    /// The keys that are not in memory; none where all are.
    cold: Option<Box<Chest>>,
    /// The first key on the disk that is to be evicted from, as far as the watermark has come.
    next: Option<Box<Place>>,
    scratch: Scratch,
}

/// Buckets in a window, about: an answer costs at most so many merges and the records of two buckets.
const BUCKETS: i64 = 64;

impl<A: Accumulators> Rolling<A> {
    /// Windows of the last `size_ms`; at least 1.
    pub fn new(size_ms: i64, mut folds: A) -> Self {
        let answer = folds.create();
        Rolling {
            size: size_ms,
            length: (size_ms / BUCKETS).max(1),
            folds,
            keys: KeyTable::new(),
            by_number: BTreeMap::new(),
            watermark: i64::MIN,
            answer,
            merges: Vec::new(),
            dirty: Vec::new(),
            removed: Removed::default(),
            buckets: 0,
            elements: 0,
            cold: None,
            next: None,
            scratch: Scratch::default(),
        }
    }

    /// Answers a batch: `answers` has a row for each of the input's. A record is late when it is not after the watermark;
    /// late rows are listed, are in no answer, and have an answer over no records.
    pub fn process(&mut self, input: &Input<'_>) -> Result<Processed<A::Output>, A::Error> {
        let rows = input.times.len();
        let mut out = Processed::new(&self.folds);
        let mut answers = self.folds.output(rows);
        out.late = self.late(input);
        let adds = self.elements(input, &out.late)?;
        let mut next = 0;
        for row in 0..rows as u32 {
            match adds.get(next).filter(|it| it.row == row) {
                Some(add) => {
                    let (hash, text) = (input.keys.hashes[row as usize], input.keys.texts.get(row as usize));
                    let key = self.keys.intern(hash, text);
                    self.merge_totals(key)?;
                    let element = Element { time: input.times[row as usize], slot: add.slot };
                    self.insert(key, element)?;
                    self.answer(key, element.time)?;
                    next += 1;
                }
                None => self.folds.reset(self.answer),
            }
            self.folds.collect(self.answer, &mut answers);
        }
        out.answers = Some(answers);
        Ok(out)
    }

    /// Rows that are not after the watermark that held when they arrived.
    fn late(&self, input: &Input<'_>) -> Vec<u32> {
        let mut stragglers = input.clock.stragglers.iter().peekable();
        let is_late = |&row: &u32| {
            let straggler = stragglers.next_if(|it| it.0 == row);
            input.times[row as usize] <= straggler.map_or(self.watermark, |it| it.1.max(self.watermark))
        };
        (0..input.times.len() as u32).filter(is_late).collect()
    }

    /// An accumulator for each row that is on time, filled by one call for the whole batch.
    fn elements(&mut self, input: &Input<'_>, late: &[u32]) -> Result<Vec<Add>, A::Error> {
        let mut late = late.iter().peekable();
        let on_time = (0..input.times.len() as u32).filter(|row| late.next_if(|it| *it == row).is_none());
        let adds: Vec<Add> = on_time.map(|row| Add { slot: self.folds.create(), row }).collect();
        if !adds.is_empty() {
            self.folds.add(input, &adds)?;
        }
        Ok(adds)
    }

    fn insert(&mut self, key: KeyId, element: Element) -> Result<(), A::Error> {
        let number = element.time.div_euclid(self.length);
        let at = self.bucket(key, number);
        self.elements += 1;
        let bucket = &mut self.keys[key].state.by_number[at];
        if !std::mem::replace(&mut bucket.dirty, true) {
            self.dirty.push((key, number));
        }
        let behind = bucket.elements.iter().rev().take_while(|it| it.time > element.time).count();
        bucket.elements.insert(bucket.elements.len() - behind, element);
        if behind == 0 {
            return self.folds.merge(&[Merge { into: bucket.total, from: element.slot }]);
        }
        total(&mut self.folds, &mut self.merges, bucket)
    }

    /// Merges the totals of a key that was restored or brought back: the elements of each of its buckets.
    fn merge_totals(&mut self, key: KeyId) -> Result<(), A::Error> {
        let buckets = &mut self.keys[key].state;
        if std::mem::take(&mut buckets.unmerged) {
            for bucket in &buckets.by_number {
                total(&mut self.folds, &mut self.merges, bucket)?;
            }
        }
        Ok(())
    }

    /// Where the bucket `number` of `key` is; made where it is not there.
    fn bucket(&mut self, key: KeyId, number: i64) -> usize {
        let buckets = &mut self.keys[key].state.by_number;
        if buckets.back().is_some_and(|it| it.number == number) {
            return buckets.len() - 1;
        }
        let at = buckets.partition_point(|it| it.number < number);
        if buckets.get(at).is_none_or(|it| it.number != number) {
            let total = self.folds.create();
            buckets.insert(at, Bucket { number, elements: Vec::new(), total, dirty: false, sealed: false });
            self.by_number.entry(number).or_default().push(key);
            self.buckets += 1;
        }
        at
    }

    /// Merges what `key` has in `(time - size, time]` into `self.answer`.
    fn answer(&mut self, key: KeyId, time: i64) -> Result<(), A::Error> {
        let first = time.saturating_sub(self.size - 1);
        let buckets = &self.keys[key].state.by_number;
        let (from, to) = (first.div_euclid(self.length), time.div_euclid(self.length));
        let into = self.answer;
        self.merges.clear();
        let start = buckets.partition_point(|it| it.number < from);
        for bucket in buckets.range(start..).take_while(|it| it.number <= to) {
            let elements = &bucket.elements;
            let low = elements.partition_point(|it| it.time < first);
            let high = elements.partition_point(|it| it.time <= time);
            if low == 0 && high == elements.len() {
                self.merges.push(Merge { into, from: bucket.total });
            } else {
                self.merges.extend(elements[low..high].iter().map(|it| Merge { into, from: it.slot }));
            }
        }
        self.folds.reset(into);
        self.folds.merge(&self.merges)
    }

    /// Evicts the buckets that no record after `watermark` reaches. A lower watermark than before changes nothing. False where keys on
    /// the disk are needed that [`Rolling::warm_due`] did not yet bring: then the call is to be repeated.
    pub fn advance(&mut self, watermark: i64) -> bool {
        if watermark <= self.watermark {
            return true;
        }
        let floor = self.floor(watermark);
        while let Some(entry) = self.by_number.first_entry().filter(|it| i128::from(*it.key()) < floor) {
            for id in entry.remove() {
                self.evict(id);
            }
        }
        let done = self.next.is_none();
        if done {
            self.watermark = watermark;
        }
        done
    }

    /// The first bucket that a record after `watermark` reaches.
    fn floor(&self, watermark: i64) -> i128 {
        // The last record of bucket b is at (b + 1) * length - 1 at most; it is needed while that is > watermark - size.
        // After the watermark `i64::MAX` every record is late.
        match watermark {
            i64::MAX => i128::MAX,
            _ => (i128::from(watermark) - i128::from(self.size) + 1).div_euclid(i128::from(self.length)),
        }
    }

    /// Evicts the first bucket of a key.
    fn evict(&mut self, id: KeyId) {
        let key = &mut self.keys[id];
        let Some(bucket) = key.state.by_number.pop_front() else { return };
        if bucket.sealed {
            self.removed.push(key.hash, &key.text, bucket.number);
        }
        let is_last = key.state.by_number.is_empty();
        self.free_bucket(&bucket);
        if is_last {
            self.keys.remove(id);
        }
    }

    /// Frees what a bucket holds that is gone.
    fn free_bucket(&mut self, bucket: &Bucket) {
        bucket.elements.iter().for_each(|it| self.folds.free(it.slot));
        self.folds.free(bucket.total);
        self.buckets -= 1;
        self.elements -= bucket.elements.len();
    }

    /// How many keys have records.
    pub fn keys(&self) -> usize {
        self.keys.len() + self.cold_keys()
    }

    /// What the windows compute.
    pub fn accumulators(&mut self) -> &mut A {
        &mut self.folds
    }
}

/// Merges the elements of `bucket` anew.
fn total<A: Accumulators>(folds: &mut A, merges: &mut Vec<Merge>, bucket: &Bucket) -> Result<(), A::Error> {
    folds.reset(bucket.total);
    merges.clear();
    merges.extend(bucket.elements.iter().map(|it| Merge { into: bucket.total, from: it.slot }));
    folds.merge(merges)
}
