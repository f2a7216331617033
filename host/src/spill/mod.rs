//! State that does not fit into memory: keys that were not used of late, in a log-structured tree on the disk.
//!
//! This is scratch space and nothing else. It is empty when a pipeline starts, it is never synced by us, and it is removed at the end: what is
//! durable is what [`crate::checkpoint`] has stored, and a restart never looks here. So a key may be moved at any moment, and
//! what is written here need not survive anything.
//!
//! An operator hands over a key that it has not used, in bytes of its own ([`Cold::put`]), and takes it back whole before
//! it uses it ([`Cold::take`]). Between the two it knows nothing of the key: what is due for one in event time is known
//! here ([`Cold::due`]).
//!
//! Nothing here knows what is in a value, what an epoch is, a plugin or a window.

mod cold;
mod error;
mod scratch;

pub use cold::{Cold, Copied, Due, Moved, Queue};
pub use error::SpillError;
pub use scratch::{Scratch, Sizes};
