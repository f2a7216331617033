//! What a running pipeline counts. Workers and the coordinator add once a batch; whoever watches reads when it likes.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The counters of one pipeline, shared by its threads. Plain atomics, written once a batch.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records read.
    pub records_in: AtomicU64,
    /// Records written to sinks, dead letters apart.
    pub records_out: AtomicU64,
    /// Records that came after all their windows had closed.
    pub late: AtomicU64,
    /// Records written to the dead letters.
    pub dead_letters: AtomicU64,
    /// Records dropped as `bad_records = "drop"` says.
    pub dropped: AtomicU64,
    /// Records between what was read and the end of the sources; -1 where unknown.
    pub lag: AtomicI64,
    /// The lowest watermark of the steps, ms since the Unix epoch; `i64::MIN` before the first.
    pub watermark: AtomicI64,
    /// The last committed epoch.
    pub epoch: AtomicU64,
    /// How long the last checkpoint took from barrier to commit, ms.
    pub checkpoint_ms: AtomicU64,
    /// When the last checkpoint committed, ms since the process's start; 0 before the first.
    pub checkpoint_at_ms: AtomicU64,
    /// Keys held in state, over all steps and workers.
    pub state_keys: AtomicU64,
    /// Records in and out of each step, by step.
    pub per_step: Vec<(AtomicU64, AtomicU64)>,
    /// Records written to each sink, by sink.
    pub per_sink: Vec<AtomicU64>,
    /// What the pipeline is doing or waiting for, where that is not plain running.
    pub status: Mutex<Option<String>>,
}

impl Counters {
    /// Zeroes for so many steps and sinks.
    pub fn new(steps: usize, sinks: usize) -> Self {
        let counters = Counters {
            per_step: (0..steps).map(|_| Default::default()).collect(),
            per_sink: (0..sinks).map(|_| Default::default()).collect(),
            ..Counters::default()
        };
        counters.watermark.store(i64::MIN, Relaxed);
        counters
    }

    /// Says what the pipeline is doing; none for plain running.
    pub fn set_status(&self, status: Option<String>) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// A reading, `now_ms` after the process's start.
    pub fn progress(&self, now_ms: u64) -> Progress {
        let checkpoint_at_ms = self.checkpoint_at_ms.load(Relaxed);
        let done = checkpoint_at_ms > 0;
        Progress {
            records_in: self.records_in.load(Relaxed),
            records_out: self.records_out.load(Relaxed),
            late: self.late.load(Relaxed),
            dead_letters: self.dead_letters.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            lag: u64::try_from(self.lag.load(Relaxed)).ok(),
            watermark: Some(self.watermark.load(Relaxed)).filter(|it| *it != i64::MIN),
            epoch: self.epoch.load(Relaxed),
            checkpoint_ms: done.then(|| self.checkpoint_ms.load(Relaxed)),
            checkpoint_age_ms: done.then(|| now_ms.saturating_sub(checkpoint_at_ms)),
            state_keys: self.state_keys.load(Relaxed),
            status: self.status.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// A reading of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records read.
    pub records_in: u64,
    /// Records written to sinks, dead letters apart.
    pub records_out: u64,
    /// Records that came after all their windows had closed.
    pub late: u64,
    /// Records written to the dead letters.
    pub dead_letters: u64,
    /// Bad records dropped.
    pub dropped: u64,
    /// Records still to read, where the sources know.
    pub lag: Option<u64>,
    /// The lowest watermark of the steps, ms since the Unix epoch; none before the first.
    pub watermark: Option<i64>,
    /// The last committed epoch; 0 before the first.
    pub epoch: u64,
    /// How long the last checkpoint took, ms.
    pub checkpoint_ms: Option<u64>,
    /// How long ago it was, ms.
    pub checkpoint_age_ms: Option<u64>,
    /// Keys held in state.
    pub state_keys: u64,
    /// What the pipeline is doing or waiting for, where that is not plain running.
    pub status: Option<String>,
}

/// What a pipeline did, when it has ended well.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The last reading.
    pub progress: Progress,
    /// From start to end.
    pub elapsed: Duration,
    /// Records written, by sink.
    pub per_sink: Vec<(String, u64)>,
    /// Records in and out, by step.
    pub per_step: Vec<(String, u64, u64)>,
    /// Why it ended: `end of input`, `stopped`.
    pub reason: String,
}
