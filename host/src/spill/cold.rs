//! The keys of one operator that are not in memory.
//!
//! In the tree, with the operator's table before each, so that the operators of a worker share one:
//!
//! | key                                                      | value                          |
//! |----------------------------------------------------------|--------------------------------|
//! | table `u16`, 0, the key                                  | what is due, the operator's bytes |
//! | table `u16`, 1 or 2, time `i64` with its sign flipped, the key | nothing: the key is due then |
//!
//! Big-endian, so that they sort by time. Before the operator's bytes: for each of the two queues a byte, 1 where the key is in
//! it, and then its time.

use super::{Scratch, SpillError};
use crate::batch::EventTime;
use std::ops::Bound;
use std::sync::Arc;

const ENTRY: u8 = 0;
const SIGN: u64 = 1 << 63;
const PREFIX_BYTES: usize = 3;
const TIME_BYTES: usize = 8;
/// What keys are due for: each has an order of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// A timer, a row whose time is over.
    Timers,
    /// State that expires.
    Expiries,
}

impl Queue {
    const ALL: [Queue; 2] = [Queue::Timers, Queue::Expiries];

    fn kind(self) -> u8 {
        match self {
            Queue::Timers => 1,
            Queue::Expiries => 2,
        }
    }
}

/// A key on its way to the disk.
#[derive(Clone, Copy, Debug)]
pub struct Moved<'a> {
    /// Its canonical text.
    pub key: &'a [u8],
    /// All that is known of it.
    pub value: &'a [u8],
    /// When it is next due, by queue.
    pub due: [Option<EventTime>; 2],
}

/// What the disk has of a key that is in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copied {
    /// Nothing.
    #[default]
    Not,
    /// All that there is in memory.
    Same,
    /// What there was in memory once.
    Old,
}

impl Copied {
    /// What is in memory is another from now on.
    pub fn changed(&mut self) {
        if *self == Copied::Same {
            *self = Copied::Old;
        }
    }
}

/// A key that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: EventTime,
    /// Its canonical text.
    pub key: Box<[u8]>,
}

/// Keys that are not in memory.
///
/// A key that was taken back leaves a copy behind, so that it need not be written again where it has not changed; who changes or forgets it
/// says so. A copy is no key: [`Cold::take`] must not be called for a key that is in memory.
#[derive(Debug)]
pub struct Cold {
    scratch: Arc<Scratch>,
    table: u16,
    keys: usize,
    queues: [Waiting; 2],
    /// Scratch for keys and values of the tree.
    place: Vec<u8>,
    value: Vec<u8>,
}

/// The keys of one queue.
#[derive(Debug)]
struct Waiting {
    count: usize,
    /// None is due earlier, and none then that comes before this key: what was taken is not looked at again, however many are due at once.
    low: EventTime,
    low_key: Vec<u8>,
}

impl Waiting {
    fn none() -> Self {
        Waiting { count: 0, low: EventTime::MAX, low_key: Vec::new() }
    }

    /// None is due before `key` is, at `at`.
    fn begin_with(&mut self, at: EventTime, key: &[u8]) {
        self.low = at;
        self.low_key.clear();
        self.low_key.extend_from_slice(key);
    }
}

impl Cold {
    /// Bytes of a key, at most: the tree takes 65,535 with what is put before it. Longer ones stay in memory.
    pub const KEY_BYTES_MAX: usize = 65_000;

    /// None yet. `table` is the operator's, and no other's in this scratch space.
    pub fn new(scratch: Arc<Scratch>, table: u16) -> Self {
        let queues = [Waiting::none(), Waiting::none()];
        Cold { scratch, table, keys: 0, queues, place: Vec::new(), value: Vec::new() }
    }

    /// The operator's table.
    pub fn table(&self) -> u16 {
        self.table
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// Moves a key here, of at most [`Cold::KEY_BYTES_MAX`].
    pub fn put(&mut self, moved: Moved<'_>) -> Result<(), SpillError> {
        debug_assert!(moved.key.len() <= Cold::KEY_BYTES_MAX, "a key too long for the tree stays in memory");
        self.value.clear();
        for (queue, at) in Queue::ALL.into_iter().zip(moved.due) {
            self.value.push(u8::from(at.is_some()));
            let Some(at) = at else { continue };
            self.value.extend_from_slice(&at.to_le_bytes());
            let waiting = &mut self.queues[queue as usize];
            waiting.count += 1;
            if (at, moved.key) < (waiting.low, &waiting.low_key) {
                waiting.begin_with(at, moved.key);
            }
            self.place_in(queue, at, moved.key);
            self.scratch.put(&self.place, &[])?;
        }
        self.value.extend_from_slice(moved.value);
        self.place_of(moved.key);
        self.scratch.put(&self.place, &self.value)?;
        self.keys += 1;
        Ok(())
    }

    /// Moves a key back here that was taken, is not due and has not changed.
    pub fn put_again(&mut self) {
        self.keys += 1;
    }

    /// Takes a key back that is not in memory: its bytes are written over `out`. False where there is none.
    pub fn take(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool, SpillError> {
        if self.keys == 0 {
            return Ok(false);
        }
        self.place_of(key);
        let Some(value) = self.scratch.get(&self.place)? else { return Ok(false) };
        let mut rest: &[u8] = &value;
        for queue in Queue::ALL {
            let (&is_due, after) = rest.split_first().ok_or_else(|| self.scratch.damaged())?;
            rest = after;
            if is_due == 0 {
                continue;
            }
            let (at, after) = rest.split_first_chunk::<TIME_BYTES>().ok_or_else(|| self.scratch.damaged())?;
            rest = after;
            let waiting = &mut self.queues[queue as usize];
            waiting.count -= 1;
            if waiting.count == 0 {
                *waiting = Waiting::none();
            }
            self.place_in(queue, EventTime::from_le_bytes(*at), key);
            self.scratch.remove(&self.place);
        }
        out.clear();
        out.extend_from_slice(rest);
        self.keys -= 1;
        Ok(true)
    }

    /// Forgets the copy of a key that was taken.
    pub fn forget(&mut self, key: &[u8]) {
        self.place_of(key);
        self.scratch.remove(&self.place);
    }

    /// True where a key may be due by `until`.
    pub fn may_be_due(&self, queue: Queue, until: EventTime) -> bool {
        let waiting = &self.queues[queue as usize];
        waiting.count > 0 && waiting.low <= until
    }

    /// The next keys that are due by `until`, at most `max`, by time and key. They stay here until they are taken.
    pub fn due(&mut self, queue: Queue, until: EventTime, max: usize) -> Result<Vec<Due>, SpillError> {
        if !self.may_be_due(queue, until) {
            return Ok(Vec::new());
        }
        // From the earliest on, so that nothing is read of those that were taken.
        let waiting = &mut self.queues[queue as usize];
        let (low, low_key) = (waiting.low, std::mem::take(&mut waiting.low_key));
        self.place_in(queue, low, &low_key);
        self.queues[queue as usize].low_key = low_key;
        let end = [&self.table.to_be_bytes()[..], &[queue.kind() + 1]].concat();
        let found = self.scratch.keys(Bound::Included(&self.place), &end, max)?;
        let mut due = Vec::with_capacity(found.len());
        for place in &found {
            let time = place.get(PREFIX_BYTES..).and_then(|it| it.split_first_chunk::<TIME_BYTES>());
            let (time, key) = time.ok_or_else(|| self.scratch.damaged())?;
            due.push(Due { at: (u64::from_be_bytes(*time) ^ SIGN) as EventTime, key: key.into() });
        }
        if let Some(first) = due.first() {
            self.queues[queue as usize].begin_with(first.at, &first.key);
        }
        due.retain(|it| it.at <= until);
        Ok(due)
    }

    /// The keys after `after` in their order, copies of those in memory among them, at most `max`.
    pub fn page(&mut self, after: Option<&[u8]>, max: usize) -> Result<Vec<Box<[u8]>>, SpillError> {
        self.place_of(after.unwrap_or_default());
        let from = if after.is_some() { Bound::Excluded(&self.place[..]) } else { Bound::Included(&self.place[..]) };
        let end = [&self.table.to_be_bytes()[..], &[ENTRY + 1]].concat();
        let found = self.scratch.keys(from, &end, max)?;
        Ok(found.iter().map(|it| it.get(PREFIX_BYTES..).unwrap_or_default().into()).collect())
    }

    /// The error about bytes that the operator did not write.
    pub fn damaged(&self) -> SpillError {
        self.scratch.damaged()
    }

    fn place_of(&mut self, key: &[u8]) {
        self.place.clear();
        self.place.extend_from_slice(&self.table.to_be_bytes());
        self.place.push(ENTRY);
        self.place.extend_from_slice(key);
    }

    fn place_in(&mut self, queue: Queue, at: EventTime, key: &[u8]) {
        self.place.clear();
        self.place.extend_from_slice(&self.table.to_be_bytes());
        self.place.push(queue.kind());
        self.place.extend_from_slice(&((at as u64) ^ SIGN).to_be_bytes());
        self.place.extend_from_slice(key);
    }
}

#[cfg(test)]
#[path = "cold_tests.rs"]
mod tests;
