//! What a window computes, apart from when: accumulators in the slots of a slab.
//!
//! Panes, sessions and rolling windows are written once over this trait; the built-in aggregates ([`super::Builtin`]) and
//! an aggregate plugin fill it. The window code decides which slot a row belongs to and which slots are merged, in an
//! order that depends only on the records of a key in their order, never on where a batch ends: floats come out the same.

use super::{Input, StateError};

/// Names one accumulator until it is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId(pub u32);

/// One record to fold into one accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add {
    /// The accumulator.
    pub slot: SlotId,
    /// The row of the [`Input`].
    pub row: u32,
}

/// One accumulator to merge into another one; `from` keeps its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The accumulator that changes: the earlier records.
    pub into: SlotId,
    /// The accumulator that is read: the later records.
    pub from: SlotId,
}

/// A slab of accumulators.
///
/// An *empty* accumulator has seen no record (or only such as it refused): merging from it changes nothing, merging into
/// it copies. An error leaves the operator in an undefined state; the caller throws it away and restores.
pub trait Accumulators {
    /// Finished values, one row a window: columns, or encoded accumulators for a plugin to finish.
    type Output;
    /// Why folding failed as a whole. What single rows failed of is the implementer's business.
    type Error;

    /// No finished values yet, with room for `rows`.
    fn output(&self, rows: usize) -> Self::Output;

    /// An empty accumulator.
    fn create(&mut self) -> SlotId;

    /// Makes an accumulator empty again.
    fn reset(&mut self, slot: SlotId);

    /// Ends an accumulator; its id may come back from [`Accumulators::create`].
    fn free(&mut self, slot: SlotId);

    /// Folds rows into accumulators; rows of one slot in the order given. One call holds as many as the window can
    /// gather, mostly a whole batch's, so that a plugin is called once.
    fn add(&mut self, input: &Input<'_>, adds: &[Add]) -> Result<(), Self::Error>;

    /// Merges, one pair after the other.
    fn merge(&mut self, merges: &[Merge]) -> Result<(), Self::Error>;

    /// Adds the present value of `slot` to the end of `out`: exactly one row, null where there is no value.
    fn collect(&self, slot: SlotId, out: &mut Self::Output);

    /// Writes `slot` to the end of `out`, in a form of its own that is part of the snapshot format.
    fn encode(&self, slot: SlotId, out: &mut Vec<u8>);

    /// A new slot with the value that [`Accumulators::encode`] wrote.
    fn decode(&mut self, bytes: &[u8]) -> Result<SlotId, StateError>;

    /// True where an accumulator may hold each of its records, so that copies of it are to be avoided.
    fn grows(&self) -> bool {
        false
    }

    /// Memory in use, bytes, roughly.
    fn bytes(&self) -> usize;
}
