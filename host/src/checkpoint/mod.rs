//! What makes a record count: snapshots of the state, the manifest that lists them, and the pointer that names one manifest.
//!
//! An epoch's state is made durable first ([`Store::persist`]); nothing points to it yet. Then the commit point decides: a
//! Kafka transaction that carries the [`Pointer`] in its offsets' metadata, or the atomic rename of `CURRENT`
//! ([`Store::mark_committed`]). Only a snapshot that a commit point names is ever restored. `docs/adr/0003-snapshot-format.md`
//! says why it is so.
//!
//! Nothing here knows what is in an entry, what a source is, Kafka, or the time: names, positions and the token that makes
//! file names unique are handed in.

mod compaction;
mod error;
mod folder;
mod format;
mod manifest;
mod merge;
mod pointer;
mod store;

pub use compaction::CompactionLimits;
pub use error::CheckpointError;
pub use manifest::{FileKind, Manifest, Meta, Parent, PluginState, Position, SnapshotFile, StagedFile, extend_tables};
pub use pointer::Pointer;
pub use store::{Restored, Store};

/// The work between two barriers, counted from 1 over the life of a pipeline; 0 is the empty state before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
