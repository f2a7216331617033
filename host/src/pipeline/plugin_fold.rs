//! Accumulators that an aggregate plugin keeps: the window operators say which row goes where, the plugin is called once
//! for many.

use super::plan::PluginPlan;
use crate::column::{Column, Kind, Strings, Values};
use crate::plugin::{AggregateRunner, Call, PluginError, Produced, Rejected, Vitals};
use crate::window::{Accumulators, Add, Input, Merge, SlotId, StateError};
use std::collections::BTreeMap;

/// A slab of accumulators as the plugin encodes them.
pub(super) struct PluginFold {
    runner: AggregateRunner,
    /// None: no record yet.
    slots: Vec<Option<Vec<u8>>>,
    free: Vec<SlotId>,
    rejects: Vec<Rejected>,
    bytes: usize,
}

/// Accumulators for the plugin to finish.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoded {
    /// One a window; empty where there is none.
    pub accumulators: Strings,
    /// False where every record of the window was refused.
    pub present: Vec<bool>,
}

impl PluginFold {
    /// An instance without accumulators.
    pub(super) fn start(plugin: &PluginPlan) -> Result<Self, PluginError> {
        let (runner, _) = AggregateRunner::start(&plugin.plugin, &plugin.options.config, &plugin.options.limits)?;
        Ok(PluginFold { runner, slots: Vec::new(), free: Vec::new(), rejects: Vec::new(), bytes: 0 })
    }

    /// Exchanges plugin instances with `other`.
    pub(super) fn exchange(&mut self, other: &mut PluginFold) {
        std::mem::swap(&mut self.runner, &mut other.runner);
    }

    /// The rows of the last batch that the plugin refused or failed on.
    pub(super) fn take_rejects(&mut self) -> Vec<Rejected> {
        let mut rejects = std::mem::take(&mut self.rejects);
        rejects.sort_by_key(|it| it.row);
        rejects
    }

    /// How the instance is, and what the plugin counted.
    pub(super) fn health(&self) -> (Vitals, &BTreeMap<String, u64>) {
        (self.runner.vitals(), self.runner.counters())
    }

    /// Turns accumulators into rows.
    pub(super) fn finish(&mut self, windows: &Call<'_>, accumulators: &Strings) -> Result<Produced, PluginError> {
        self.runner.finish(windows, accumulators)
    }

    fn slot(&self, slot: SlotId) -> Option<&[u8]> {
        self.slots[slot.0 as usize].as_deref()
    }

    fn set(&mut self, slot: SlotId, value: Option<Vec<u8>>) {
        self.bytes += value.as_ref().map_or(0, Vec::len);
        let old = std::mem::replace(&mut self.slots[slot.0 as usize], value);
        self.bytes -= old.map_or(0, |it| it.len());
    }
}

/// Rows by the slot that they go to, slots in the order of their first row.
fn by_slot(adds: &[Add]) -> (Vec<SlotId>, Vec<u32>, Vec<u32>) {
    let mut order: Vec<usize> = (0..adds.len()).collect();
    let mut first = hashbrown::HashMap::<u32, usize, foldhash::fast::FixedState>::default();
    for (at, add) in adds.iter().enumerate() {
        first.entry(add.slot.0).or_insert(at);
    }
    order.sort_by_key(|&at| first[&adds[at].slot.0]);
    let (mut slots, mut rows, mut bounds) = (Vec::new(), Vec::with_capacity(adds.len()), Vec::new());
    for at in order {
        let add = adds[at];
        if slots.last() != Some(&add.slot) {
            slots.push(add.slot);
            bounds.push(rows.len() as u32);
        }
        rows.push(add.row);
    }
    bounds.push(rows.len() as u32);
    (slots, rows, bounds)
}

impl Accumulators for PluginFold {
    type Output = Encoded;
    type Error = PluginError;

    fn output(&self, _rows: usize) -> Encoded {
        Encoded::default()
    }

    fn create(&mut self) -> SlotId {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            SlotId(self.slots.len() as u32 - 1)
        })
    }

    fn reset(&mut self, slot: SlotId) {
        self.set(slot, None);
    }

    fn free(&mut self, slot: SlotId) {
        self.set(slot, None);
        self.free.push(slot);
    }

    fn add(&mut self, input: &Input<'_>, adds: &[Add]) -> Result<(), PluginError> {
        if adds.is_empty() {
            return Ok(());
        }
        let (slots, rows, bounds) = by_slot(adds);
        let columns: Vec<Column> = input.columns.iter().map(|it| it.gather(&rows)).collect();
        let columns: Vec<&Column> = columns.iter().collect();
        let mut accumulators = Column::empty(Kind::Bytes, slots.len());
        for &slot in &slots {
            match self.slot(slot) {
                Some(bytes) => {
                    if let Values::Bytes(strings) = &mut accumulators.values {
                        strings.push(bytes);
                    }
                    accumulators.pushed();
                }
                None => accumulators.push_null(),
            }
        }
        let call = Call { rows: rows.len(), columns: &columns, watermark: input.clock.before };
        let added = self.runner.add(&call, &bounds, &accumulators)?;
        for reject in added.rejects {
            self.rejects.push(Rejected { row: rows[reject.row as usize], ..reject });
        }
        if let Values::Bytes(new) = &added.accumulators.values {
            for (group, &slot) in slots.iter().enumerate() {
                let value = (!added.accumulators.is_null(group)).then(|| new.get(group).to_vec());
                self.set(slot, value);
            }
        }
        Ok(())
    }

    fn merge(&mut self, merges: &[Merge]) -> Result<(), PluginError> {
        let mut rest = merges;
        while !rest.is_empty() {
            // As many as do not depend on each other go in one call.
            let mut touched = hashbrown::HashSet::<u32, foldhash::fast::FixedState>::default();
            let mut together = 0;
            while together < rest.len() && !depends_on(&touched, &rest[together]) {
                touched.insert(rest[together].into.0);
                touched.insert(rest[together].from.0);
                together += 1;
            }
            let (now, later) = rest.split_at(together);
            self.merge_together(now)?;
            rest = later;
        }
        Ok(())
    }

    fn collect(&self, slot: SlotId, out: &mut Encoded) {
        let value = self.slot(slot);
        out.accumulators.push(value.unwrap_or_default());
        out.present.push(value.is_some());
    }

    fn encode(&self, slot: SlotId, out: &mut Vec<u8>) {
        match self.slot(slot) {
            None => out.push(0),
            Some(bytes) => {
                out.push(1);
                out.extend_from_slice(bytes);
            }
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<SlotId, StateError> {
        let value = match bytes.split_first() {
            Some((0, [])) => None,
            Some((1, value)) => Some(value.to_vec()),
            _ => {
                return Err(StateError {
                    what: "a plugin's accumulator",
                    found: bytes.len(),
                    expected: "0 alone, or 1 and the accumulator",
                });
            }
        };
        let slot = self.create();
        self.set(slot, value);
        Ok(slot)
    }

    fn bytes(&self) -> usize {
        self.bytes + self.slots.len() * size_of::<Option<Vec<u8>>>()
    }
}

fn depends_on(touched: &hashbrown::HashSet<u32, foldhash::fast::FixedState>, merge: &Merge) -> bool {
    touched.contains(&merge.into.0) || touched.contains(&merge.from.0)
}

impl PluginFold {
    fn merge_together(&mut self, merges: &[Merge]) -> Result<(), PluginError> {
        let (mut left, mut right) = (Strings::default(), Strings::default());
        let mut called = Vec::new();
        for merge in merges {
            match (self.slot(merge.into), self.slot(merge.from)) {
                (_, None) => {}
                (None, Some(from)) => {
                    let from = from.to_vec();
                    self.set(merge.into, Some(from));
                }
                (Some(into), Some(from)) => {
                    left.push(into);
                    right.push(from);
                    called.push(merge.into);
                }
            }
        }
        if called.is_empty() {
            return Ok(());
        }
        let merged = self.runner.merge(&left, &right)?;
        for (row, slot) in called.into_iter().enumerate() {
            self.set(slot, Some(merged.get(row).to_vec()));
        }
        Ok(())
    }
}
