//! How panes are grouped for sums: into blocks as long as a window, and those into chunks.

use super::sums::{Sums, Total};
use crate::window::layout::Layout;

/// Windows of at most so many cells are merged from these: sums would cost as much.
pub(super) const DIRECT_CELLS_MAX: usize = 8;
/// Windows that share less than this with each other are merged from their cells: sums would be used too rarely.
const OVERLAP_MIN: i64 = 4;

/// How panes are cut into blocks and chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups {
    /// Panes of a window, and of a block.
    span: i64,
    /// Panes of a chunk, as a power of two; the last one of a block may have fewer.
    chunk_bits: u32,
    /// Chunks of a block, at least 2.
    chunks: i64,
}

/// A window in panes and chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) groups: Groups,
    pub(super) last: i64,
    /// The first pane of the next window.
    pub(super) next: i64,
    pub(super) first_chunk: i64,
    /// The last pane of that.
    pub(super) first_chunk_last: Option<i64>,
    /// The last chunk of the block that the window begins in.
    pub(super) block: i64,
    pub(super) last_chunk: i64,
}

impl Groups {
    /// None where windows are merged from their cells.
    pub(super) fn new(layout: &Layout) -> Option<Self> {
        let span = layout.span();
        let worth = span > DIRECT_CELLS_MAX as i64 && span / layout.stride() >= OVERLAP_MIN;
        // Longer than there are many: what is done once a chunk costs more than what is done once a cell.
        let chunk_bits = (span.ilog2() / 2 + 2).min((span - 1).max(1).ilog2());
        worth.then(|| Groups { span, chunk_bits, chunks: ((span - 1) >> chunk_bits) + 1 })
    }

    /// Chunks are numbered in order of time; fits, as they are fewer than panes.
    pub(super) fn chunk(&self, pane: i64) -> i64 {
        pane.div_euclid(self.span) * self.chunks + (pane.rem_euclid(self.span) >> self.chunk_bits)
    }

    /// The chunk of a pane that may be beyond time.
    pub(super) fn chunk_of(&self, pane: i128) -> i64 {
        let (span, chunks) = (i128::from(self.span), i128::from(self.chunks));
        (pane.div_euclid(span) * chunks + (pane.rem_euclid(span) >> self.chunk_bits)) as i64
    }

    /// The last pane of a chunk, as far as time goes; none where it is before all time.
    pub(super) fn last_pane(&self, chunk: i64) -> Option<i64> {
        let (block, at) = (chunk.div_euclid(self.chunks), chunk.rem_euclid(self.chunks));
        let end = i128::from(block) * i128::from(self.span) + i128::from(((at + 1) << self.chunk_bits).min(self.span));
        i64::try_from((end - 1).min(i64::MAX.into())).ok()
    }

    pub(super) fn reach(self, layout: &Layout, window: i64) -> Reach {
        let first = layout.floor(window.into());
        let first_chunk = self.chunk_of(first);
        Reach {
            groups: self,
            last: layout.last_pane(window),
            next: layout.floor(i128::from(window) + 1).min(i64::MAX.into()) as i64,
            first_chunk,
            first_chunk_last: self.last_pane(first_chunk),
            block: (first_chunk.div_euclid(self.chunks) + 1) * self.chunks - 1,
            last_chunk: self.chunk_of(first + i128::from(self.span) - 1),
        }
    }

    /// Memory of a key's sums without their accumulators, bytes, about.
    pub(super) fn bytes(&self) -> usize {
        let entries = 2 * self.chunks as usize + (1 << self.chunk_bits);
        size_of::<Sums>() + entries * size_of::<Total>()
    }
}
