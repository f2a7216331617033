//! Foreign keys that are on the disk: the right row and all left rows go there together, and come back together.
//!
//! The value of a key on the disk is its rows, little-endian:
//!
//! | bytes | field                                                            |
//! |-------|------------------------------------------------------------------|
//! | 1     | side: 0 left, 1 right                                            |
//! | 1     | 1 where a snapshot may hold it, else 0                           |
//! | 8     | time: `i64`                                                      |
//! | 8     | version: `i64`                                                   |
//! | 4, .. | length of the own key: `u32`, and the key; empty for the right row |
//! | 4, .. | length of the row: `u32`, and the row                            |

use super::{Matches, Row, Slot};
use crate::join::Side;
use crate::spill::{Cold, Copied, Moved, SpillError};
use crate::state::{Chest, Spills};

const HEAD_BYTES: usize = 18;

impl Matches {
    /// None where the value is not one that was moved.
    fn put_back(&mut self, at: u32, mut value: &[u8]) -> Option<()> {
        let slot = &mut self.slots[at as usize];
        while let Some((head, rest)) = value.split_first_chunk::<HEAD_BYTES>() {
            let (own, rest) = text(rest)?;
            let (bytes, rest) = text(rest)?;
            value = rest;
            let number = |from: usize| i64::from_le_bytes(std::array::from_fn(|it| head[from + it]));
            let (time, version) = (number(2), number(10));
            let row = Row { time, version, bytes: bytes.into(), dirty: false, stored: head[1] == 1 };
            self.held += row.cost();
            match head[0] {
                0 => drop(slot.left.insert(own.into(), row)),
                _ => slot.right = Some(row),
            }
        }
        slot.copied = Copied::Same;
        value.is_empty().then_some(())
    }
}

/// A text behind its length, and what follows.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

impl Slot {
    fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        let left = self.left.iter().map(|(own, row)| (Side::Left, &**own, row));
        for (side, own, row) in left.chain(self.right.iter().map(|it| (Side::Right, &[][..], it))) {
            out.push(side.index() as u8);
            out.push(u8::from(row.stored));
            out.extend_from_slice(&row.time.to_le_bytes());
            out.extend_from_slice(&row.version.to_le_bytes());
            for text in [own, &row.bytes] {
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text);
            }
        }
    }
}

impl Spills for Matches {
    fn chest(&self) -> Option<&Chest> {
        self.cold.as_deref()
    }

    fn chest_mut(&mut self) -> &mut Option<Box<Chest>> {
        &mut self.cold
    }

    fn bytes(&self) -> usize {
        self.held
    }

    fn changed_bytes(&self) -> usize {
        self.changed
    }

    fn slots(&self) -> usize {
        self.slots.len()
    }

    fn touch(&mut self, hash: u64, key: &[u8]) -> Option<u32> {
        let at = self.find(hash, key)?;
        self.slots[at as usize].hot = true;
        Some(at)
    }

    fn take_back(&mut self, chest: &mut Chest, hash: u64, key: &[u8]) -> Result<Option<u32>, SpillError> {
        if !chest.cold.take(key, &mut chest.value)? {
            return Ok(None);
        }
        let at = self.find_or_add(hash, key);
        self.put_back(at, &chest.value).ok_or_else(|| chest.cold.damaged())?;
        Ok(Some(at))
    }

    fn pass(&mut self, chest: &mut Chest) -> Result<(), SpillError> {
        let slot = &mut self.slots[chest.hand];
        if std::mem::take(&mut slot.hot) || slot.is_empty() || slot.key.len() > Cold::KEY_BYTES_MAX {
            return Ok(());
        }
        let table = chest.table();
        // A row that went and came again is written after its end.
        for (group, key) in self.deleted.drain(..) {
            chest.early.delete(table, group, &key);
        }
        for (own, row) in &mut slot.left {
            row.write((table, slot.hash), (&slot.key, Some(own)), &mut chest.value, &mut chest.early);
        }
        if let Some(row) = &mut slot.right {
            row.write((table, slot.hash), (&slot.key, None), &mut chest.value, &mut chest.early);
        }
        if slot.copied == Copied::Same {
            chest.cold.put_again();
        } else {
            slot.encode(&mut chest.value);
            chest.cold.put(Moved { key: &slot.key, value: &chest.value, due: [None; 2] })?;
        }
        self.vacate(chest.hand as u32);
        Ok(())
    }
}
