//! Sources that are read side by side: no partition runs further ahead of the slowest one than its source allows, whichever worker
//! reads it.
//!
//! Each worker tells how far its slowest partition is, and reads what the others told: one number a source and worker, and nobody waits for
//! anybody. What is told may be a turn old; it only ever allows less than what holds by now.

use crate::batch::EventTime;
use crate::config::Source;
use crate::watermark::{Partitions, WATERMARK_END};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// How far the sources are that are aligned, by source and worker.
#[derive(Clone, Debug)]
pub(super) struct Lows(Arc<[AtomicI64]>);

/// One source of one worker, where it is aligned.
#[derive(Debug)]
pub(super) struct Alignment {
    drift_ms_max: i64,
    lows: Lows,
    own: usize,
}

impl Lows {
    /// For so many sources and workers.
    pub(super) fn new(sources: usize, workers: usize) -> Self {
        Lows((0..sources * workers).map(|_| AtomicI64::new(WATERMARK_END)).collect())
    }

    /// The alignment of source `number` in worker `worker` of `workers`, where the source asks for one. `time` is where it is.
    pub(super) fn of(
        &self,
        source: &Source,
        number: usize,
        (worker, workers): (usize, usize),
        time: &Partitions,
    ) -> Option<Alignment> {
        let drift_ms_max = source.event_time.drift_ms_max?;
        let alignment = Alignment { drift_ms_max, lows: self.clone(), own: number * workers + worker };
        alignment.tell(time.low());
        Some(alignment)
    }
}

impl Alignment {
    fn tell(&self, low: EventTime) {
        if let Some(own) = self.lows.0.get(self.own) {
            own.store(low, Relaxed);
        }
    }

    /// Tells how far the source's partitions are, and holds those that are too far ahead of any.
    pub(super) fn align(&self, time: &mut Partitions, now_ms: u64) {
        self.tell(time.low());
        let low = self.lows.0.iter().map(|it| it.load(Relaxed)).min().unwrap_or(WATERMARK_END);
        time.hold(low.saturating_add(self.drift_ms_max), now_ms);
    }
}
