//! Sums of a key's cells, so that a row costs a few merges however many cells its window has.
//!
//! The idea is van Herk's (1992) and Gil and Werman's (1993): time is cut into *blocks* as long as a window, so a window is the end of one
//! block and the beginning of the next, and both can be had from sums that grow by one part at a time. Blocks are cut into *chunks* of two to
//! four times the square root of their panes, and sums are over whole chunks but at the ends of a window, so there are few of them:
//!
//! ```text
//! block   |------------------------------|------------------------------|
//! chunk   |      |      |      |      |  |      |      |      |      |  |
//! window                [==============================)
//! row              tail [===|    rest    |    head     |===) total
//! ```
//!
//! | part  | over                                                     | made                                                         |
//! |-------|----------------------------------------------------------|--------------------------------------------------------------|
//! | total | the cells of a chunk                                     | from the earliest on, as they come to be in a window         |
//! | tail  | the cells of the first chunk from the window's first on  | from the latest back, for all windows that begin there at once |
//! | rest  | the totals of the first block's chunks after that        | likewise, when windows come to begin in the block            |
//! | head  | the totals of the next block's chunks before the last    | from the earliest on                                         |
//!
//! Rest and head change once a chunk, and their sum is kept as well: the *middle*. So a row is two merges, and its cells cost three or four each.
//!
//! Blocks and chunks lie at fixed panes, so which cells are added in which order follows from the cells of the window alone: sums of floats
//! are the same to the last bit with any batches and after a restore, which makes sums anew. A record in a cell that sums were made of voids
//! those that it is in, at most a chunk's and a block's worth of them.

use super::groups::Groups;
use crate::window::accumulators::{Accumulators, SlotId};
use std::collections::VecDeque;

/// The sum of the cells of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Total {
    pub(super) chunk: i64,
    /// The last pane of the chunk.
    pub(super) last: Option<i64>,
    pub(super) slot: SlotId,
    /// To be made anew: a record came late.
    pub(super) stale: bool,
}

/// A sum that begins, or for a head ends, with a cell or a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    pub(super) at: i64,
    pub(super) slot: SlotId,
}

/// The sums of one key, as far as a window has asked for them.
///
/// Invariant: they are over cells up to `Cells::summed`, which is the last pane of the window that asked last.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// By chunk; of every chunk with cells, but for those that were freed with their cells.
    pub(super) totals: VecDeque<Total>,
    /// Some total is stale.
    pub(super) stale: bool,
    /// By pane, the earliest at the end; of the chunk `tails_of`.
    pub(super) tails: Vec<Sum>,
    pub(super) tails_of: Option<i64>,
    /// By chunk, the earliest at the end; of the block whose last chunk is `block`.
    pub(super) rest: Vec<Sum>,
    pub(super) block: Option<i64>,
    /// Of the block after that.
    pub(super) head: Option<Sum>,
    /// The sum of rest and head, where there is any, for windows from the one chunk to the other.
    pub(super) middle: Option<SlotId>,
    pub(super) middle_of: Option<(i64, i64)>,
}

impl Sums {
    /// A record has come for a cell that sums may have been made of.
    pub(super) fn void<A: Accumulators>(&mut self, pane: i64, groups: &Groups, folds: &mut A) {
        let chunk = groups.chunk(pane);
        if self.tails_of == Some(chunk) {
            drop_until(&mut self.tails, pane, folds);
        }
        if self.block.is_none_or(|it| chunk <= it) {
            drop_until(&mut self.rest, chunk, folds);
        } else if let Some(head) = self.head.take_if(|it| chunk <= it.at) {
            folds.free(head.slot);
        }
        if self.middle_of.is_some_and(|it| it.0 < chunk) {
            self.leave_middle(folds);
        }
        self.stale = true;
        match self.totals.binary_search_by_key(&chunk, |it| it.chunk) {
            Ok(at) => self.totals[at].stale = true,
            Err(at) => {
                let total = Total { chunk, last: groups.last_pane(chunk), slot: folds.create(), stale: true };
                self.totals.insert(at, total);
            }
        }
    }

    /// Frees the totals of chunks before `chunk`, in which no window begins any more.
    pub(super) fn release<A: Accumulators>(&mut self, chunk: i64, folds: &mut A) {
        while let Some(total) = self.totals.pop_front_if(|it| it.chunk < chunk) {
            folds.free(total.slot);
        }
    }

    /// Frees all.
    pub(super) fn free<A: Accumulators>(mut self, folds: &mut A) {
        self.leave_middle(folds);
        self.leave_block(folds);
        drop_until(&mut self.tails, i64::MAX, folds);
        self.totals.iter().for_each(|it| folds.free(it.slot));
    }

    pub(super) fn leave_middle<A: Accumulators>(&mut self, folds: &mut A) {
        self.middle_of = None;
        self.middle.take().into_iter().for_each(|it| folds.free(it));
    }

    pub(super) fn leave_block<A: Accumulators>(&mut self, folds: &mut A) {
        drop_until(&mut self.rest, i64::MAX, folds);
        if let Some(head) = self.head.take() {
            folds.free(head.slot);
        }
    }
}

/// Frees the sums that begin at `last` or before; the earliest is at the end.
pub(super) fn drop_until<A: Accumulators>(sums: &mut Vec<Sum>, last: i64, folds: &mut A) {
    while let Some(sum) = sums.pop_if(|it| it.at <= last) {
        folds.free(sum.slot);
    }
}
