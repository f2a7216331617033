//! What workers and the coordinator count, and a reading of it.

use super::{Commits, CommitsRead, Lateness, LatenessRead, View, Views};
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
    /// How far behind the watermark they were.
    pub lateness: Lateness,
    /// Records written to the dead letters.
    pub dead_letters: AtomicU64,
    /// Records dropped as `bad_records = "drop"` says.
    pub dropped: AtomicU64,
    /// Records that no condition of a step let pass.
    pub filtered: AtomicU64,
    /// The lowest watermark of the steps, by worker, ms since the Unix epoch; `i64::MIN` before the first.
    pub watermarks: Vec<AtomicI64>,
    /// The last committed epoch.
    pub epoch: AtomicU64,
    /// How long the last checkpoint took from barrier to commit, ms.
    pub checkpoint_ms: AtomicU64,
    /// When the last checkpoint committed, ms since the process's start; 0 before the first.
    pub checkpoint_at_ms: AtomicU64,
    /// How long commits took.
    pub commits: Commits,
    /// Keys held in state, over all steps and workers.
    pub state_keys: AtomicU64,
    /// The files of the last checkpoint, bytes.
    pub state_bytes: AtomicU64,
    /// What each worker last said.
    pub views: Views,
    /// Records in and out of each step, by step.
    pub per_step: Vec<(AtomicU64, AtomicU64)>,
    /// Records that each step could not process, by step.
    pub per_step_refused: Vec<AtomicU64>,
    /// What the plugin of each step did, by step.
    pub per_plugin: Vec<PluginCounters>,
    /// Records written to each sink, by sink.
    pub per_sink: Vec<AtomicU64>,
    /// What the pipeline is doing or waiting for, where that is not plain running.
    pub status: Mutex<Option<String>>,
}

/// What a step's plugin did, over all workers. Written once a checkpoint.
#[derive(Debug, Default)]
pub struct PluginCounters {
    /// Calls.
    pub calls: AtomicU64,
    /// Time in calls, ns.
    pub busy_ns: AtomicU64,
    /// Calls that failed, in the order of [`FAULTS`].
    pub faults: [AtomicU64; FAULTS.len()],
    /// Linear memory, bytes.
    pub memory_bytes: AtomicU64,
    /// Instances thrown away.
    pub replaced: AtomicU64,
}

/// Kinds of faults of a plugin, as the label `kind` says them.
pub const FAULTS: [&str; 6] = ["deadline", "memory", "output", "trap", "refused", "answer"];

/// What one instance did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginWork {
    /// Calls.
    pub calls: u64,
    /// Time in calls.
    pub busy: Duration,
    /// Calls that failed, in the order of [`FAULTS`].
    pub faults: [u64; FAULTS.len()],
    /// Linear memory, bytes.
    pub memory_bytes: u64,
    /// Instances thrown away.
    pub replaced: u64,
}

impl PluginCounters {
    /// Adds what one worker's instance has done since `last`.
    pub fn add(&self, last: &PluginWork, now: &PluginWork) {
        self.calls.fetch_add(now.calls - last.calls, Relaxed);
        self.busy_ns.fetch_add((now.busy - last.busy).as_nanos() as u64, Relaxed);
        self.replaced.fetch_add(now.replaced - last.replaced, Relaxed);
        for (count, (now, last)) in self.faults.iter().zip(now.faults.iter().zip(&last.faults)) {
            count.fetch_add(now - last, Relaxed);
        }
        // Less is more of the rest of the ring.
        self.memory_bytes.fetch_add(now.memory_bytes.wrapping_sub(last.memory_bytes), Relaxed);
    }
}

impl Counters {
    /// Zeroes for so many steps, sinks and workers.
    pub fn new(steps: usize, sinks: usize, workers: usize) -> Self {
        Counters {
            per_step: (0..steps).map(|_| Default::default()).collect(),
            per_plugin: (0..steps).map(|_| Default::default()).collect(),
            per_sink: (0..sinks).map(|_| Default::default()).collect(),
            per_step_refused: (0..steps).map(|_| Default::default()).collect(),
            watermarks: (0..workers).map(|_| AtomicI64::new(i64::MIN)).collect(),
            views: Views::new(workers),
            ..Counters::default()
        }
    }

    /// Says what the pipeline is doing; none for plain running.
    pub fn set_status(&self, status: Option<String>) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// A reading, `now_ms` after the process's start.
    pub fn progress(&self, now_ms: u64) -> Progress {
        let checkpoint_at_ms = self.checkpoint_at_ms.load(Relaxed);
        let done = checkpoint_at_ms > 0;
        let view = self.views.read();
        Progress {
            records_in: self.records_in.load(Relaxed),
            records_out: self.records_out.load(Relaxed),
            late: self.late.load(Relaxed),
            lateness: self.lateness.read(),
            dead_letters: self.dead_letters.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            filtered: self.filtered.load(Relaxed),
            lag: view.lag(),
            watermark: self.watermarks.iter().map(|it| it.load(Relaxed)).filter(|it| *it != i64::MIN).min(),
            epoch: self.epoch.load(Relaxed),
            checkpoint_ms: done.then(|| self.checkpoint_ms.load(Relaxed)),
            commits: self.commits.read(),
            checkpoint_age_ms: done.then(|| now_ms.saturating_sub(checkpoint_at_ms)),
            state_keys: self.state_keys.load(Relaxed),
            state_bytes: self.state_bytes.load(Relaxed),
            view,
            status: self.status.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// A reading of the counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Records read.
    pub records_in: u64,
    /// Records written to sinks, dead letters apart.
    pub records_out: u64,
    /// Records that came after all their windows had closed.
    pub late: u64,
    /// How late they were.
    pub lateness: LatenessRead,
    /// Records written to the dead letters.
    pub dead_letters: u64,
    /// Bad records dropped.
    pub dropped: u64,
    /// Records that the conditions of steps dropped.
    pub filtered: u64,
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
    /// How long commits took.
    pub commits: CommitsRead,
    /// Keys held in state.
    pub state_keys: u64,
    /// The files of the last checkpoint, bytes.
    pub state_bytes: u64,
    /// How workers, partitions and steps are.
    pub view: View,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_is_the_least_of_the_workers_that_have_one() {
        let counters = Counters::new(1, 1, 3);
        assert_eq!(counters.progress(0).watermark, None);
        counters.watermarks[2].store(-5_000, Relaxed);
        assert_eq!(counters.progress(0).watermark, Some(-5_000));
        counters.watermarks[0].store(7_000, Relaxed);
        counters.watermarks[2].store(9_000, Relaxed);
        assert_eq!(counters.progress(0).watermark, Some(7_000));
    }
}
