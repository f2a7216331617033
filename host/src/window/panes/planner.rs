//! What is to be merged for the rows of a window: from its cells, or from sums of them.

use super::cells::{Cell, Cells};
use super::groups::{DIRECT_CELLS_MAX, Reach};
use super::merging::Merging;
use super::sums::{Sum, Sums, Total, drop_until};
use crate::window::accumulators::{Accumulators, SlotId};
use std::collections::VecDeque;
use std::ops::Range;

/// What a row says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) slot: SlotId,
    /// The accumulator is the row's own, and goes with it.
    pub(super) own: bool,
}

/// Finds out what is to be merged for the rows of one window.
pub(super) struct Planner<'a, A> {
    /// None where windows are merged from their cells.
    pub(super) reach: Option<Reach>,
    pub(super) folds: &'a mut A,
    pub(super) merging: &'a mut Merging,
}

impl<A: Accumulators> Planner<'_, A> {
    /// The row over the cells `inside`, at least one, once what is planned has been merged. True where the key has sums for the first time.
    pub(super) fn row(&mut self, key: &mut Cells, inside: Range<usize>) -> (Row, bool) {
        match self.reach {
            _ if inside.len() == 1 => (Row { slot: key.cells[inside.start].slot, own: false }, false),
            Some(reach) if inside.len() > DIRECT_CELLS_MAX => {
                let first = key.sums.is_none();
                (self.summed(reach, key, inside), first)
            }
            _ => {
                let slot = self.folds.create();
                key.cells.range(inside).for_each(|it| self.merging.cells.add(slot, it.slot));
                self.merging.cells.end();
                (Row { slot, own: true }, false)
            }
        }
    }

    fn summed(&mut self, reach: Reach, key: &mut Cells, inside: Range<usize>) -> Row {
        let Cells { cells, sums, summed, .. } = key;
        let sums = sums.get_or_insert_default();
        self.total(reach, sums, cells, *summed, inside.end);
        *summed = Some(reach.last);
        let tail = self.tail(reach, sums, cells, inside);
        if sums.middle_of != Some((reach.first_chunk, reach.last_chunk)) {
            self.middle(reach, sums);
        }
        // Where the window is a block, its last chunk is in the rest.
        let total = sums.totals.back().filter(|it| it.chunk == reach.last_chunk && it.chunk > reach.block);
        self.add_up(tail, sums.middle, total.map(|it| it.slot))
    }

    /// Makes the sum of the chunks between the window's first and last.
    fn middle(&mut self, reach: Reach, sums: &mut Sums) {
        sums.leave_middle(self.folds);
        sums.middle_of = Some((reach.first_chunk, reach.last_chunk));
        if sums.block.replace(reach.block) != Some(reach.block) {
            sums.leave_block(self.folds);
        }
        let parts = [self.rest(reach, sums), self.head(reach, sums)];
        for part in parts.into_iter().flatten() {
            let slot = *sums.middle.get_or_insert_with(|| self.folds.create());
            self.merging.middles.add(slot, part);
        }
        self.merging.middles.end();
    }

    /// Brings totals to hold the cells before number `end`, which are those up to the window's last.
    fn total(&mut self, reach: Reach, sums: &mut Sums, cells: &VecDeque<Cell>, summed: Option<i64>, end: usize) {
        let mut summed = summed;
        if summed > Some(reach.last) {
            // A later window was asked for before this one.
            while let Some(total) = sums.totals.pop_back_if(|it| it.chunk >= reach.last_chunk) {
                self.folds.free(total.slot);
            }
            summed = reach.groups.last_pane(reach.last_chunk - 1);
        }
        let mut at = end;
        while at > 0 && Some(cells[at - 1].pane) > summed {
            at -= 1;
        }
        if std::mem::take(&mut sums.stale) {
            for total in sums.totals.iter_mut().filter(|it| it.stale) {
                if total.chunk <= reach.first_chunk {
                    sums.stale = true; // Of no use to this window.
                    continue;
                }
                let before = reach.groups.last_pane(total.chunk - 1);
                let from = cells.partition_point(|it| Some(it.pane) <= before);
                self.folds.reset(total.slot);
                let to = self.chunk_total(*total, cells, from..end);
                total.stale = false;
                at = at.max(to);
            }
        }
        while at < end {
            let pane = cells[at].pane;
            let total = match sums.totals.back() {
                Some(it) if Some(pane) <= it.last => *it,
                _ => {
                    let chunk = reach.groups.chunk(pane);
                    let last = reach.groups.last_pane(chunk);
                    let total = Total { chunk, last, slot: self.folds.create(), stale: false };
                    sums.totals.push_back(total);
                    total
                }
            };
            at = self.chunk_total(total, cells, at..end);
        }
    }

    /// Adds the first of the cells `range`, those of the total's chunk. Answers where they end.
    fn chunk_total(&mut self, total: Total, cells: &VecDeque<Cell>, range: Range<usize>) -> usize {
        let mut at = range.start;
        for cell in cells.range(range).take_while(|it| Some(it.pane) <= total.last) {
            self.merging.cells.add(total.slot, cell.slot);
            at += 1;
        }
        self.merging.cells.end();
        at
    }

    /// What the window has of its first chunk. True where that is the row's own.
    fn tail(
        &mut self,
        reach: Reach,
        sums: &mut Sums,
        cells: &VecDeque<Cell>,
        inside: Range<usize>,
    ) -> Option<(SlotId, bool)> {
        if sums.tails_of.replace(reach.first_chunk) != Some(reach.first_chunk) {
            drop_until(&mut sums.tails, i64::MAX, self.folds);
        }
        let first = cells[inside.start].pane;
        if Some(first) > reach.first_chunk_last {
            return None;
        }
        while let Some(sum) = sums.tails.pop_if(|it| it.at < first) {
            self.folds.free(sum.slot);
        }
        let next = sums.tails.last().map(|it| it.at);
        if next != Some(first) {
            let last = next.map_or(reach.first_chunk_last, |it| it.checked_sub(1));
            let new = cells.range(inside.clone()).take_while(|it| Some(it.pane) <= last).count();
            let new = cells.range(inside.start..inside.start + new);
            self.sum_back(new.map(|it| (it.pane, it.slot)), &mut sums.tails);
        }
        let tail = *sums.tails.last()?;
        let own = first < reach.next;
        if own {
            sums.tails.pop(); // No later window begins with it.
        }
        Some((tail.slot, own))
    }

    /// What the window has of the first block's other chunks.
    fn rest(&mut self, reach: Reach, sums: &mut Sums) -> Option<SlotId> {
        let Sums { totals, rest, .. } = sums;
        let at = totals.partition_point(|it| it.chunk <= reach.first_chunk);
        let first = totals.get(at).filter(|it| it.chunk <= reach.block)?.chunk;
        drop_until(rest, first - 1, self.folds);
        let next = rest.last().map_or(reach.block + 1, |it| it.at);
        let new = totals.partition_point(|it| it.chunk < next).max(at);
        self.sum_back(totals.range(at..new).map(|it| (it.chunk, it.slot)), rest);
        Some(rest.last()?.slot)
    }

    /// What the window has of the next block's chunks but the last one.
    fn head(&mut self, reach: Reach, sums: &mut Sums) -> Option<SlotId> {
        if let Some(head) = sums.head.take_if(|it| it.at >= reach.last_chunk) {
            self.folds.free(head.slot);
        }
        let before = sums.head.map_or(reach.block, |it| it.at);
        let whole = sums.totals.iter().rev().skip_while(|it| it.chunk >= reach.last_chunk);
        let new = whole.take_while(|it| it.chunk > before).count();
        if new > 0 {
            let to = sums.totals.partition_point(|it| it.chunk < reach.last_chunk);
            let slot = sums.head.map_or_else(|| self.folds.create(), |it| it.slot);
            for total in sums.totals.range(to - new..to) {
                self.merging.copies.add(slot, total.slot);
                sums.head = Some(Sum { at: total.chunk, slot });
            }
            self.merging.copies.end();
        }
        sums.head.map(|it| it.slot)
    }

    /// Adds sums that begin with each of `parts`, in order, to those that begin later.
    fn sum_back(&mut self, parts: impl DoubleEndedIterator<Item = (i64, SlotId)>, sums: &mut Vec<Sum>) {
        for (at, part) in parts.rev() {
            let slot = self.folds.create();
            self.merging.copies.add(slot, part);
            self.merging.copies.end();
            if let Some(later) = sums.last() {
                self.merging.joins.add(slot, later.slot);
            }
            sums.push(Sum { at, slot });
        }
        self.merging.joins.end();
    }

    /// The row of all parts, the earliest first.
    fn add_up(&mut self, tail: Option<(SlotId, bool)>, middle: Option<SlotId>, total: Option<SlotId>) -> Row {
        let (row, first) = match (tail, middle, total) {
            (Some((slot, true)), ..) => (Row { slot, own: true }, None),
            (Some((slot, false)), None, None) | (None, Some(slot), None) | (None, None, Some(slot)) => {
                return Row { slot, own: false };
            }
            (tail, ..) => (Row { slot: self.folds.create(), own: true }, tail.map(|it| it.0)),
        };
        [first, middle, total].into_iter().flatten().for_each(|it| self.merging.parts.add(row.slot, it));
        self.merging.parts.end();
        row
    }
}
