//! Keyed state: what operators keep between batches, by table, key group and key.
//!
//! An operator keeps its state in its own form and writes what changed since the last barrier into a [`Delta`]; it gets
//! the same entries back at a restore. `checkpoint` stores deltas and knows nothing of what is in them.

mod chest;
mod delta;
mod keyed;

pub use chest::{Chest, Spills};
pub use delta::{Delta, Entries, Entry};
pub use keyed::{Due, EntryError, KeyedState};

/// Names an operator's table within a pipeline: index into the list of names that the manifest holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u16);
