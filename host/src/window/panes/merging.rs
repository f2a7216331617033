//! Merges that are planned for many keys and then done together.

use crate::window::accumulators::{Accumulators, Merge, SlotId};
use std::ops::Range;

/// Merges in chains: those of a chain one after the other, and chains beside each other, so that a plugin does a step of all of
/// them in one call. Within one there is no accumulator that two of them change, or one changes and another reads.
#[derive(Debug, Default)]
pub(super) struct Chains {
    /// Chains of one, which most are.
    alone: Vec<Merge>,
    merges: Vec<Merge>,
    /// What is left of each.
    chains: Vec<Range<usize>>,
    begun: usize,
}

impl Chains {
    #[inline]
    pub(super) fn add(&mut self, into: SlotId, from: SlotId) {
        self.merges.push(Merge { into, from });
    }

    #[inline]
    pub(super) fn end(&mut self) {
        match self.merges.len() - self.begun {
            0 => {}
            1 => self.alone.extend(self.merges.pop()),
            _ => {
                self.chains.push(self.begun..self.merges.len());
                self.begun = self.merges.len();
            }
        }
    }

    fn run<A: Accumulators>(&mut self, folds: &mut A) -> Result<(), A::Error> {
        let mut round = std::mem::take(&mut self.alone);
        while !(round.is_empty() && self.chains.is_empty()) {
            self.chains.retain_mut(|left| {
                round.extend(left.next().map(|it| self.merges[it]));
                left.start < left.end
            });
            folds.merge(&round)?;
            round.clear();
        }
        self.alone = round;
        self.merges.clear();
        self.begun = 0;
        Ok(())
    }
}

/// The merges that rows of a window need, in the order in which they must be done.
#[derive(Debug, Default)]
pub(super) struct Merging {
    /// Cells into totals and into rows.
    pub(super) cells: Chains,
    /// Cells and totals into sums that begin with them, and totals into heads.
    pub(super) copies: Chains,
    /// Later sums into earlier ones.
    pub(super) joins: Chains,
    /// Rests and heads into their sum.
    pub(super) middles: Chains,
    /// Parts into rows.
    pub(super) parts: Chains,
}

impl Merging {
    pub(super) fn run<A: Accumulators>(&mut self, folds: &mut A) -> Result<(), A::Error> {
        let Merging { cells, copies, joins, middles, parts } = self;
        [cells, copies, joins, middles, parts].into_iter().try_for_each(|it| it.run(folds))
    }
}
