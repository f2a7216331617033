//! Keys of counted records that are on the disk. Nothing of them is due. The value of a key there is a byte, 1 where a snapshot may hold it and else 0, and
//! then what a snapshot has of it.

use super::{Counted, Part, Parts};
use crate::state::Chest;
use crate::window::StateError;
use crate::window::accumulators::Accumulators;
use crate::window::cold::ColdWindows;
use crate::window::entry;
use crate::window::keys::{KeyId, KeyTable};

/// What a key takes besides what the table of keys has of it, bytes, about: room for four parts, and its place in the list of what changed.
const PARTS_BYTES: usize = 4 * size_of::<Part>() + 16 + size_of::<KeyId>();

impl<A: Accumulators> ColdWindows for Counted<A> {
    type Kept = Parts;

    fn chest(&self) -> Option<&Chest> {
        self.cold.as_deref()
    }

    fn chest_mut(&mut self) -> &mut Option<Box<Chest>> {
        &mut self.cold
    }

    fn table(&self) -> &KeyTable<Parts> {
        &self.keys
    }

    fn table_mut(&mut self) -> &mut KeyTable<Parts> {
        &mut self.keys
    }

    fn bytes(&self) -> usize {
        let parts = self.keys.len() * PARTS_BYTES + self.parts * size_of::<Part>();
        self.keys.live_bytes() + parts + self.folds.bytes()
    }

    fn unsealed_bytes(&self) -> usize {
        self.dirty.len() * (self.bytes() / self.keys.len().max(1))
    }

    fn may_go(&self, id: KeyId) -> bool {
        // A key without parts waits for its deletion to be written.
        let state = &self.keys[id].state;
        state.dirty || !state.parts.is_empty()
    }

    fn due(&self, _: KeyId) -> Option<i64> {
        None
    }

    fn pack(&mut self, id: KeyId, chest: &mut Chest) {
        let table = chest.table();
        self.seal_key(id, table, &mut chest.early);
        chest.value.clear();
        let state = &self.keys[id].state;
        if !state.parts.is_empty() {
            chest.value.push(u8::from(state.sealed));
            state.encode(&self.folds, &mut chest.value, &mut self.scratch.accumulator);
        }
    }

    fn free(&mut self, id: KeyId) {
        for part in std::mem::take(&mut self.keys[id].state.parts) {
            self.folds.free(part.slot);
            self.parts -= 1;
        }
    }

    fn unpack(&mut self, hash: u64, text: &[u8], mut value: &[u8]) -> Result<KeyId, StateError> {
        let [sealed] = entry::take(&mut value, "flags of a key")?;
        let parts = Parts::decode(&mut self.folds, value)?;
        self.parts += parts.parts.len();
        let id = self.keys.intern(hash, text);
        self.keys[id].state = Parts { sealed: sealed == 1, ..parts };
        Ok(id)
    }

    /// The one list, of what changed, is checked.
    fn unlist(&mut self) {}
}
