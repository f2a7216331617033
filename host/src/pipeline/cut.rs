//! Batches in which windows close whose keys are on the disk.
//!
//! What closes before a row must not see it, and what a window writes must not all be in memory where its keys did not fit there. So such a batch is
//! processed up to that row, then the windows close in parts as they do when the watermark moves, and then the rest is processed. Nobody can tell:
//! what windows write does not depend on where a batch ends.

use super::error::PipelineError;
use super::plan::Plan;
use super::step::gather_keys;
use super::worker::Worker;
use crate::batch::{Batch, EventTime, Keys, RowTimes};
use crate::exchange::gather_times;
use crate::join::Side;

impl Worker {
    /// Processes a batch whose first `cut` is before that row, where event time is that watermark.
    pub(super) fn process_in_parts(
        &mut self,
        plan: &Plan,
        place: (usize, Side),
        (mut batch, mut keys, mut clock): (Batch, Keys, RowTimes),
        cut: (u32, EventTime),
        topic: &str,
    ) -> Result<(), PipelineError> {
        let mut cut = Some(cut);
        while let Some((row, watermark)) = cut {
            let (head, tail): (Vec<u32>, Vec<u32>) = (0..batch.rows as u32).partition(|it| *it < row);
            if !head.is_empty() {
                let clock = gather_times(&clock, &head);
                let part = (batch.gather(&head), Some(gather_keys(&keys, &head)), &clock);
                self.process_at_once(plan, place, part, topic)?;
            }
            let before = self.steps[place.0].watermark;
            self.fire(plan, place.0, (before, watermark))?;
            (batch, keys, clock) = (batch.gather(&tail), gather_keys(&keys, &tail), gather_times(&clock, &tail));
            cut = self.steps[place.0].step.cut(&clock);
        }
        self.process_at_once(plan, place, (batch, Some(keys), &clock), topic)
    }
}
