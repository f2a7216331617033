//! Rows of a join that are on the disk: all rows of a key go there together, and come back together.
//!
//! The value of a key on the disk, little-endian:
//!
//! | bytes | field                                                                                      |
//! |-------|--------------------------------------------------------------------------------------------|
//! | 1     | 1 where something is due for it, else 0                                                    |
//! | 8     | when, `i64`                                                                                |
//! | rows  | side `u8`, time `i64`, number `u64`, flags `u8` as in a snapshot and 4 where one may hold it, length `u32`, bytes |

use super::{Copied, DELETES, MATCHED, Row, Slot, Store};
use crate::batch::{self, EventTime};
use crate::join::Side;
use crate::spill::{Cold, Moved, Queue, SpillError};
use crate::state::{Chest, Spills};

const STORED: u8 = 4;
/// Keys brought back at once, at most, where many are due.
const WARMED_MAX: usize = 256;

impl Store {
    /// None where the value is not one that was moved.
    fn put_back(&mut self, at: u32, value: &[u8]) -> Option<()> {
        let (&[is_due, ref due @ ..], mut rest) = value.split_first_chunk::<9>()?;
        if is_due == 1 {
            self.schedule(at, Some(EventTime::from_le_bytes(*due)));
        }
        while let Some((head, after)) = rest.split_first_chunk::<22>() {
            let side = if head[0] == 0 { Side::Left } else { Side::Right };
            let flags = head[17];
            let len = u32::from_le_bytes(std::array::from_fn(|it| head[18 + it]));
            let (bytes, after) = after.split_at_checked(len as usize)?;
            rest = after;
            let row = Row {
                time: EventTime::from_le_bytes(std::array::from_fn(|it| head[1 + it])),
                number: u64::from_le_bytes(std::array::from_fn(|it| head[9 + it])),
                matched: flags & MATCHED != 0,
                deletes: flags & DELETES != 0,
                dirty: false,
                stored: flags & STORED != 0,
                bytes: bytes.into(),
            };
            self.place(at, side, row);
        }
        self.slots[at as usize].copied = Copied::Same;
        rest.is_empty().then_some(())
    }

    /// Brings the keys back that are due by `time`, and before all that are in memory.
    pub(super) fn warm_due(&mut self, time: EventTime) -> Result<(), SpillError> {
        loop {
            let until = self.due.first().map_or(time, |it| it.0.min(time));
            let Some(chest) = &mut self.cold else { return Ok(()) };
            let due = chest.cold.due(Queue::Timers, until, WARMED_MAX)?;
            if due.is_empty() {
                return Ok(());
            }
            for due in &due {
                self.warm_key(batch::hash(&due.key), &due.key)?;
            }
        }
    }
}

impl Spills for Store {
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
        slot.write(chest.table(), &mut chest.value, &mut chest.early);
        if slot.copied == Copied::Same && slot.due.is_none() {
            chest.cold.put_again();
        } else {
            slot.encode(&mut chest.value);
            chest.cold.put(Moved { key: &slot.key, value: &chest.value, due: [slot.due, None] })?;
        }
        self.vacate(chest.hand as u32);
        Ok(())
    }
}

impl Slot {
    fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        out.push(u8::from(self.due.is_some()));
        out.extend_from_slice(&self.due.unwrap_or_default().to_le_bytes());
        for side in [Side::Left, Side::Right] {
            for row in &self.sides[side.index()] {
                out.push(side.index() as u8);
                out.extend_from_slice(&row.time.to_le_bytes());
                out.extend_from_slice(&row.number.to_le_bytes());
                out.push(row.flags() | if row.stored { STORED } else { 0 });
                out.extend_from_slice(&(row.bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(&row.bytes);
            }
        }
    }
}
