//! What every kind of state that can be moved to the disk does alike: which keys go, and when they come back.

use super::{Delta, TableId};
use crate::batch::Keys;
use crate::column::Strings;
use crate::spill::{Cold, SpillError};

/// Where the keys of some state go that are not in memory.
#[derive(Debug)]
pub struct Chest {
    /// The keys.
    pub cold: Cold,
    /// What the next snapshot must hold of keys that went: before all else.
    pub early: Delta,
    /// Scratch for a value.
    pub value: Vec<u8>,
    /// The slot that is looked at next.
    pub hand: usize,
    /// Memory that the keys that stay may take, bytes.
    limit: usize,
}

impl Chest {
    /// The operator's table.
    pub fn table(&self) -> TableId {
        TableId(self.cold.table())
    }
}

/// State in slots, a key in each, that can be moved to the disk key by key.
///
/// A key goes when it was not used since its slot was last looked at; slots are looked at in turn (second chance). What the next snapshot must
/// hold of it is written for that snapshot at once.
pub trait Spills {
    /// Where keys go; none where all stay in memory.
    fn chest(&self) -> Option<&Chest>;

    /// The same, to be taken out while the state is changed.
    fn chest_mut(&mut self) -> &mut Option<Box<Chest>>;

    /// Memory in use, bytes, about.
    fn bytes(&self) -> usize;

    /// What the next snapshot will hold, bytes, about.
    fn changed_bytes(&self) -> usize;

    /// How many slots there are.
    fn slots(&self) -> usize;

    /// The slot of a key that is in memory, which is then one that was used.
    fn touch(&mut self, hash: u64, key: &[u8]) -> Option<u32>;

    /// Brings a key back, if it is in `chest`.
    ///
    /// # Errors
    /// The disk's, and a value that cannot be read.
    fn take_back(&mut self, chest: &mut Chest, hash: u64, key: &[u8]) -> Result<Option<u32>, SpillError>;

    /// Looks at the slot `chest.hand`, and moves its key if that was not used since the last look.
    ///
    /// # Errors
    /// The disk's.
    fn pass(&mut self, chest: &mut Chest) -> Result<(), SpillError>;

    /// Some keys may have been moved, and nothing else was done yet: for who names slots elsewhere.
    fn moved(&mut self) {}

    /// From now on keys may be moved to `cold`: as many as it takes for those in memory to be within `limit` bytes, at any time.
    fn spill_to(&mut self, cold: Cold, limit: usize) {
        let (early, value, hand) = (Delta::default(), Vec::new(), 0);
        *self.chest_mut() = Some(Box::new(Chest { cold, early, value, hand, limit }));
    }

    /// Keys that are not in memory.
    fn cold_keys(&self) -> usize {
        self.chest().map_or(0, |it| it.cold.len())
    }

    /// Brings those of `keys` into memory that are not there. To be called before keys are used by name; costs nothing while all are there.
    ///
    /// # Errors
    /// The disk's.
    fn warm(&mut self, keys: &Keys) -> Result<(), SpillError> {
        self.warm_texts(&keys.texts, &keys.hashes)
    }

    /// The same of keys whose texts and hashes are apart.
    ///
    /// # Errors
    /// The disk's.
    fn warm_texts(&mut self, texts: &Strings, hashes: &[u64]) -> Result<(), SpillError> {
        if self.cold_keys() == 0 {
            return Ok(());
        }
        for (row, &hash) in hashes.iter().enumerate() {
            self.warm_key(hash, texts.get(row))?;
        }
        Ok(())
    }

    /// The slot of a key, wherever it was.
    ///
    /// # Errors
    /// The disk's.
    fn warm_key(&mut self, hash: u64, key: &[u8]) -> Result<Option<u32>, SpillError> {
        if let Some(at) = self.touch(hash, key) {
            return Ok(Some(at));
        }
        let Some(mut chest) = self.chest_mut().take_if(|it| !it.cold.is_empty()) else { return Ok(None) };
        let warmed = self.take_back(&mut chest, hash, key);
        *self.chest_mut() = Some(chest);
        warmed
    }

    /// Moves keys to the disk until those in memory take at most `bytes`, or no more can be moved.
    ///
    /// # Errors
    /// The disk's.
    fn shrink(&mut self, bytes: usize) -> Result<(), SpillError> {
        let Some(mut chest) = self.chest_mut().take() else { return Ok(()) };
        let mut looks = 2 * self.slots();
        let mut moved = Ok(());
        while moved.is_ok() && self.bytes() > bytes && looks > 0 {
            looks -= 1;
            chest.hand = (chest.hand + 1) % self.slots();
            moved = self.pass(&mut chest);
        }
        *self.chest_mut() = Some(chest);
        self.moved();
        moved
    }

    /// As [`Spills::shrink`] to what was said at first, with some room for those that come next.
    ///
    /// # Errors
    /// The disk's.
    fn settle(&mut self) -> Result<(), SpillError> {
        match self.chest() {
            Some(chest) if self.bytes() > chest.limit => self.shrink(chest.limit - chest.limit / 8),
            _ => Ok(()),
        }
    }
}
