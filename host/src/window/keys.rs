//! Keys with what a window keeps of each: a table by hash and canonical text, without a hash of its own.

use hashbrown::HashTable;
use std::cmp::Ordering;

/// Names a key of one table as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct KeyId(u32);

/// What an allocation takes besides what is asked for, bytes, about.
const ALLOCATION_BYTES: usize = 16;

impl KeyId {
    /// The id of slot `at`.
    pub(super) fn of(at: usize) -> Self {
        KeyId(at as u32)
    }

    /// Its slot.
    pub(super) fn slot(self) -> u32 {
        self.0
    }
}

/// A key and what is kept of it.
#[derive(Debug, Default)]
pub(super) struct Key<T> {
    pub(super) hash: u64,
    pub(super) text: Box<[u8]>,
    pub(super) state: T,
}

/// The keys of one operator.
///
/// The id of a removed key is used again. Lists of ids elsewhere may therefore name another key than they meant to: who
/// reads such a list checks the state that it finds.
#[derive(Debug)]
pub(super) struct KeyTable<T> {
    index: HashTable<KeyId>,
    keys: Vec<Key<T>>,
    free: Vec<KeyId>,
    text_bytes: usize,
    /// By id: used since it was last looked at for a key to move to the disk. Shorter or empty where nobody asked yet.
    hot: Vec<bool>,
    /// Ids of keys that went to the disk, until no list names them any more.
    left: Vec<KeyId>,
}

/// Where the table looks for a hash. Its low bits are the key group, and a worker owns few groups: as they are they would
/// crowd the table.
fn spread(hash: u64) -> u64 {
    hash.rotate_left(32)
}

impl<T: Default> KeyTable<T> {
    pub(super) fn new() -> Self {
        let (index, keys, free) = (HashTable::new(), Vec::new(), Vec::new());
        KeyTable { index, keys, free, text_bytes: 0, hot: Vec::new(), left: Vec::new() }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Memory that the keys there are need, bytes, about; without room for more.
    pub(super) fn live_bytes(&self) -> usize {
        self.text_bytes + self.len() * (size_of::<Key<T>>() + size_of::<KeyId>() + ALLOCATION_BYTES)
    }

    /// How many ids there are, of free ones too. They are those of `0..slots()`.
    pub(super) fn slots(&self) -> usize {
        self.keys.len()
    }

    /// Notes that a key is used.
    pub(super) fn touch(&mut self, id: KeyId) {
        let at = id.0 as usize;
        if self.hot.len() <= at {
            self.hot.resize(self.keys.len(), false);
        }
        self.hot[at] = true;
    }

    /// True where a key was used since the last call.
    pub(super) fn cool(&mut self, id: KeyId) -> bool {
        self.hot.get_mut(id.0 as usize).is_some_and(std::mem::take)
    }

    /// The keys there are, in no particular order.
    pub(super) fn ids(&self) -> Vec<KeyId> {
        self.index.iter().copied().collect()
    }

    /// The key, where it is there.
    pub(super) fn find(&self, hash: u64, text: &[u8]) -> Option<KeyId> {
        let same = |id: &KeyId| self.keys[id.0 as usize].hash == hash && *self.keys[id.0 as usize].text == *text;
        self.index.find(spread(hash), same).copied()
    }

    /// The key, made with a default state where it is not there.
    pub(super) fn intern(&mut self, hash: u64, text: &[u8]) -> KeyId {
        match self.find(hash, text) {
            Some(id) => id,
            None => self.insert(hash, text),
        }
    }

    #[cold]
    fn insert(&mut self, hash: u64, text: &[u8]) -> KeyId {
        let key = Key { hash, text: text.into(), state: T::default() };
        self.text_bytes += text.len();
        let id = match self.free.pop() {
            Some(id) => {
                self.keys[id.0 as usize] = key;
                id
            }
            None => {
                self.keys.push(key);
                KeyId(self.keys.len() as u32 - 1)
            }
        };
        if let Some(hot) = self.hot.get_mut(id.0 as usize) {
            *hot = true;
        }
        let keys = &self.keys;
        self.index.insert_unique(spread(hash), id, |it| spread(keys[it.0 as usize].hash));
        id
    }

    /// Removes a key that is there.
    pub(super) fn remove(&mut self, id: KeyId) {
        if self.take(id) {
            self.free.push(id);
        }
    }

    /// Removes a key that is there, for it goes to the disk: its id names no other key before [`KeyTable::reuse`].
    pub(super) fn leave(&mut self, id: KeyId) {
        if self.take(id) {
            self.left.push(id);
        }
    }

    /// True where keys have gone to the disk whose ids may be in lists.
    pub(super) fn left(&self) -> bool {
        !self.left.is_empty()
    }

    /// The ids of keys that went to the disk are in no list any more.
    pub(super) fn reuse(&mut self) {
        self.free.append(&mut self.left);
    }

    fn take(&mut self, id: KeyId) -> bool {
        let Ok(found) = self.index.find_entry(spread(self[id].hash), |it| *it == id) else { return false };
        found.remove();
        let key = std::mem::take(&mut self.keys[id.0 as usize]);
        self.text_bytes -= key.text.len();
        true
    }

    /// The order of rows that end together: by hash, then by text. It is cheap, and the same for any number of workers,
    /// any batch size and after a restore.
    pub(super) fn compare(&self, left: KeyId, right: KeyId) -> Ordering {
        let (a, b) = (&self[left], &self[right]);
        a.hash.cmp(&b.hash).then_with(|| a.text.cmp(&b.text))
    }

    /// True where a key is before that of `hash` and `text` in the order of rows.
    pub(super) fn is_before(&self, id: KeyId, (hash, text): (u64, &[u8])) -> bool {
        let key = &self[id];
        key.hash.cmp(&hash).then_with(|| (*key.text).cmp(text)).is_lt()
    }
}

impl<T> std::ops::Index<KeyId> for KeyTable<T> {
    type Output = Key<T>;

    fn index(&self, id: KeyId) -> &Key<T> {
        &self.keys[id.0 as usize]
    }
}

impl<T> std::ops::IndexMut<KeyId> for KeyTable<T> {
    fn index_mut(&mut self, id: KeyId) -> &mut Key<T> {
        &mut self.keys[id.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_hash_stay_apart_and_ids_are_used_again() {
        let mut table = KeyTable::<u8>::new();
        let (ann, bob) = (table.intern(7, b"ann"), table.intern(7, b"bob"));
        assert_ne!(ann, bob);
        assert_eq!(table.intern(7, b"ann"), ann);
        table[ann].state = 1;
        table.remove(ann);
        assert_eq!((table.find(7, b"ann"), table.find(7, b"bob"), table.len()), (None, Some(bob), 1));
        assert_eq!(table.intern(7, b"cyd"), ann);
        assert_eq!(table[ann].state, 0, "a reused id starts with a default state");
    }
}
