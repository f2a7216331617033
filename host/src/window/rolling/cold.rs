//! Keys of rolling windows that are on the disk, due when the first of their buckets is to be evicted: by its number. The value of a key there, for each bucket,
//! little-endian:
//!
//! | bytes | field                                                                |
//! |-------|----------------------------------------------------------------------|
//! | 8     | its number: `i64`                                                    |
//! | 1     | 1 where a snapshot may hold it, else 0                               |
//! | rest  | length of its records: `varint`, and they, as they are in a snapshot |
//!
//! What is evicted writes nothing, so keys come back for it in any order.

use super::sealing::encode;
use super::{Bucket, Buckets, Element, Rolling};
use crate::spill::SpillError;
use crate::state::Chest;
use crate::window::StateError;
use crate::window::accumulators::Accumulators;
use crate::window::cold::{self, ColdWindows};
use crate::window::entry::{self, Scratch};
use crate::window::keys::{KeyId, KeyTable};

/// What a key takes besides what the table of keys has of it, bytes, about: room for four buckets.
const KEY_BYTES: usize = 4 * size_of::<Bucket>() + 16;
/// What a bucket takes: itself, room for four records, and its places in lists of keys by bucket and of what changed.
const BUCKET_BYTES: usize = size_of::<Bucket>() + 4 * size_of::<Element>() + 16 + 24;

impl<A: Accumulators> Rolling<A> {
    /// Brings some of the keys back that `watermark` evicts from. See [`crate::window::Operator::warm_due`].
    ///
    /// # Errors
    /// The disk's.
    pub fn warm_due(&mut self, watermark: i64) -> Result<(), SpillError> {
        let last = (self.floor(watermark) - 1).min(i64::MAX.into());
        self.next = match i64::try_from(last) {
            Ok(last) => cold::warm_due(self, last)?,
            Err(_) => None, // Before all time.
        };
        Ok(())
    }
}

impl<A: Accumulators> ColdWindows for Rolling<A> {
    type Kept = Buckets;

    fn chest(&self) -> Option<&Chest> {
        self.cold.as_deref()
    }

    fn chest_mut(&mut self) -> &mut Option<Box<Chest>> {
        &mut self.cold
    }

    fn table(&self) -> &KeyTable<Buckets> {
        &self.keys
    }

    fn table_mut(&mut self) -> &mut KeyTable<Buckets> {
        &mut self.keys
    }

    fn bytes(&self) -> usize {
        let kept = self.keys.len() * KEY_BYTES + self.buckets * BUCKET_BYTES + self.elements * size_of::<Element>();
        self.keys.live_bytes() + kept + self.folds.bytes()
    }

    fn unsealed_bytes(&self) -> usize {
        self.removed.bytes() + self.dirty.len() * (self.bytes() / self.buckets.max(1))
    }

    fn may_go(&self, id: KeyId) -> bool {
        !self.keys[id].state.by_number.is_empty()
    }

    fn due(&self, id: KeyId) -> Option<i64> {
        self.keys[id].state.by_number.front().map(|it| it.number)
    }

    fn pack(&mut self, id: KeyId, chest: &mut Chest) {
        let table = chest.table();
        self.removed.seal(table, &mut chest.early);
        for at in 0..self.keys[id].state.by_number.len() {
            self.seal_bucket(id, at, table, &mut chest.early);
        }
        chest.value.clear();
        let Scratch { value, accumulator, .. } = &mut self.scratch;
        for bucket in &self.keys[id].state.by_number {
            chest.value.extend_from_slice(&bucket.number.to_le_bytes());
            chest.value.push(u8::from(bucket.sealed));
            value.clear();
            encode(&self.folds, &bucket.elements, value, accumulator);
            entry::put_bytes(&mut chest.value, value);
        }
    }

    fn free(&mut self, id: KeyId) {
        for bucket in std::mem::take(&mut self.keys[id].state).by_number {
            self.free_bucket(&bucket);
        }
    }

    fn unpack(&mut self, hash: u64, text: &[u8], mut value: &[u8]) -> Result<KeyId, StateError> {
        let id = self.keys.intern(hash, text);
        while !value.is_empty() {
            let number = i64::from_le_bytes(entry::take(&mut value, "number of a bucket")?);
            let [sealed] = entry::take(&mut value, "flags of a bucket")?;
            let bucket = self.decode(number, entry::take_bytes(&mut value, "records of a bucket")?, sealed == 1)?;
            self.keys[id].state.by_number.push_back(bucket);
            self.by_number.entry(number).or_default().push(id);
        }
        self.keys[id].state.unmerged = true;
        Ok(id)
    }

    fn unlist(&mut self) {
        let keys = &self.keys;
        self.by_number.retain(|_, ids| {
            ids.retain(|id| !keys[*id].state.by_number.is_empty());
            !ids.is_empty()
        });
    }
}
