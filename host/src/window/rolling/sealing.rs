//! Rolling windows in a snapshot and back.

use super::{Bucket, Element, Rolling};
use crate::batch;
use crate::state::{Delta, Entry, TableId};
use crate::window::accumulators::Accumulators;
use crate::window::entry::{self, Scratch, StateError};
use crate::window::keys::KeyId;

impl<A: Accumulators> Rolling<A> {
    /// Writes what changed since the last seal: the buckets that records came to.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        if let Some(chest) = &mut self.cold {
            delta.append(&mut chest.early);
        }
        self.removed.seal(table, delta);
        for (id, number) in std::mem::take(&mut self.dirty) {
            if let Ok(at) = self.keys[id].state.by_number.binary_search_by_key(&number, |it| it.number) {
                self.seal_bucket(id, at, table, delta);
            }
        }
    }

    /// Writes a bucket where it has changed.
    pub(super) fn seal_bucket(&mut self, id: KeyId, at: usize, table: TableId, delta: &mut Delta) {
        let key = &mut self.keys[id];
        let bucket = &mut key.state.by_number[at];
        if !std::mem::take(&mut bucket.dirty) {
            return;
        }
        bucket.sealed = true;
        let Scratch { name, value, accumulator } = &mut self.scratch;
        value.clear();
        encode(&self.folds, &bucket.elements, value, accumulator);
        entry::key(name, &key.text, bucket.number);
        delta.put(table, batch::key_group(key.hash), name, value);
    }

    /// Takes back an entry that [`Rolling::seal`] wrote; a later one of the same key holds. After the last,
    /// [`Rolling::resume`].
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), StateError> {
        let (text, number) = entry::split(entry.key)?;
        let id = self.keys.intern(batch::hash(text), text);
        let buckets = &mut self.keys[id].state.by_number;
        let at = buckets.partition_point(|it| it.number < number);
        if buckets.get(at).is_some_and(|it| it.number == number)
            && let Some(replaced) = buckets.remove(at)
        {
            self.free_bucket(&replaced);
        }
        if let Some(value) = entry.value {
            let bucket = self.decode(number, value, true)?;
            let buckets = &mut self.keys[id].state;
            buckets.by_number.insert(at, bucket);
            buckets.unmerged = true;
        }
        if self.keys[id].state.by_number.is_empty() {
            self.keys.remove(id);
        }
        Ok(())
    }

    /// A bucket of the records that [`encode`] wrote, whose total is to be merged.
    pub(super) fn decode(&mut self, number: i64, value: &[u8], sealed: bool) -> Result<Bucket, StateError> {
        let elements = decode(&mut self.folds, value)?;
        let total = self.folds.create();
        self.buckets += 1;
        self.elements += elements.len();
        Ok(Bucket { number, elements, total, dirty: false, sealed })
    }

    /// Ends a restore: records up to `watermark` are late.
    pub fn resume(&mut self, watermark: i64) {
        self.by_number.clear(); // Of keys that were on the disk meanwhile.
        for id in self.keys.ids() {
            for bucket in &self.keys[id].state.by_number {
                self.by_number.entry(bucket.number).or_default().push(id);
            }
        }
        self.watermark = watermark;
    }
}

/// Writes the records of a bucket to the end of `out`, as they are in a snapshot. `scratch` is overwritten.
pub(super) fn encode<A: Accumulators>(folds: &A, elements: &[Element], out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
    for element in elements {
        out.extend_from_slice(&element.time.to_le_bytes());
        entry::put_accumulator(out, folds, element.slot, scratch);
    }
}

/// The records that [`encode`] wrote.
fn decode<A: Accumulators>(folds: &mut A, mut value: &[u8]) -> Result<Vec<Element>, StateError> {
    let mut elements = Vec::new();
    while !value.is_empty() {
        let time = i64::from_le_bytes(entry::take(&mut value, "time of a record")?);
        let bytes = entry::take_bytes(&mut value, "an accumulator")?;
        elements.push(Element { time, slot: folds.decode(bytes)? });
    }
    Ok(elements)
}
