//! What each worker last said of its partitions and steps.

use std::sync::{Mutex, PoisonError};

/// A partition of a source, as the worker that reads it has it.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionView {
    /// The source's index.
    pub source: usize,
    /// The partition; of files the file's number.
    pub partition: i32,
    /// Records read since the start.
    pub records: u64,
    /// Records a second, of the last seconds.
    pub rate: f64,
    /// Where reading goes on: an offset, of files a byte.
    pub next_offset: i64,
    /// Records left to read, where the source knows.
    pub lag: Option<u64>,
    /// Its own watermark, ms since the Unix epoch; [`crate::watermark::WATERMARK_NONE`] before its first record.
    pub watermark: i64,
    /// True while nothing comes and it holds nothing back.
    pub idle: bool,
    /// True when it was read to its end.
    pub ended: bool,
}

/// A step, as one worker runs it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepView {
    /// Records into it a second, of the last seconds.
    pub rate: f64,
    /// The share of the last seconds in which it worked, 0 to 1.
    pub busy: f64,
    /// The share of the last seconds in which what it made waited for room further on, 0 to 1.
    pub backpressured: f64,
    /// Its watermark, ms since the Unix epoch.
    pub watermark: i64,
    /// Keys that it held at the last checkpoint.
    pub state_keys: u64,
    /// What its state takes of memory, bytes, about.
    pub memory_bytes: u64,
    /// Keys of it that are not in memory but on the disk.
    pub spilled_keys: u64,
    /// What the last checkpoint wrote of its state, bytes.
    pub checkpoint_bytes: u64,
}

/// A worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerView {
    /// The share of the last seconds in which it worked, 0 to 1.
    pub busy: f64,
    /// The share of the last seconds in which it waited for room in a queue or for a commit, 0 to 1.
    pub backpressured: f64,
    /// The partitions that it reads.
    pub partitions: Vec<PartitionView>,
    /// Its part of each step, by index.
    pub steps: Vec<StepView>,
    /// What its state takes on the disk, for want of memory, bytes.
    pub spilled_bytes: u64,
}

/// What the workers of a pipeline last said, by worker. Each writes its own, a few times a second.
#[derive(Debug, Default)]
pub struct Views(Vec<Mutex<WorkerView>>);

impl Views {
    /// For so many workers.
    pub fn new(workers: usize) -> Self {
        Views((0..workers).map(|_| Mutex::default()).collect())
    }

    /// What a worker says now.
    pub fn set(&self, worker: usize, view: WorkerView) {
        if let Some(place) = self.0.get(worker) {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = view;
        }
    }

    /// A reading.
    pub fn read(&self) -> View {
        View { workers: self.0.iter().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect() }
    }
}

/// A reading of [`Views`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// By worker.
    pub workers: Vec<WorkerView>,
}

impl View {
    /// The partitions, by source and number.
    pub fn partitions(&self) -> Vec<&PartitionView> {
        let mut partitions: Vec<_> = self.workers.iter().flat_map(|it| &it.partitions).collect();
        partitions.sort_by_key(|it| (it.source, it.partition));
        partitions
    }

    /// What state takes on the disk, for want of memory, bytes.
    pub fn spilled_bytes(&self) -> u64 {
        self.workers.iter().map(|it| it.spilled_bytes).sum()
    }

    /// Records left to read; none where no source knows.
    pub fn lag(&self) -> Option<u64> {
        let known = self.workers.iter().flat_map(|it| &it.partitions).filter_map(|it| it.lag);
        known.fold(None, |sum, lag| Some(sum.unwrap_or(0) + lag))
    }

    /// A step over all workers: sums, the mean share, the lowest watermark.
    pub fn step(&self, index: usize) -> StepView {
        let parts: Vec<_> = self.workers.iter().filter_map(|it| it.steps.get(index)).collect();
        let mean = |of: fn(&StepView) -> f64| parts.iter().map(|it| of(it)).sum::<f64>() / parts.len().max(1) as f64;
        StepView {
            rate: parts.iter().map(|it| it.rate).sum(),
            busy: mean(|it| it.busy),
            backpressured: mean(|it| it.backpressured),
            watermark: parts.iter().map(|it| it.watermark).min().unwrap_or(i64::MIN),
            state_keys: parts.iter().map(|it| it.state_keys).sum(),
            memory_bytes: parts.iter().map(|it| it.memory_bytes).sum(),
            spilled_keys: parts.iter().map(|it| it.spilled_keys).sum(),
            checkpoint_bytes: parts.iter().map(|it| it.checkpoint_bytes).sum(),
        }
    }

    /// The partition of these sources that holds their watermark back: the one whose own is lowest, of those that are neither idle nor
    /// at their end. None where there is none.
    pub fn held_back_by(&self, sources: &[usize]) -> Option<&PartitionView> {
        let mut holding: Vec<_> = self.partitions();
        holding.retain(|it| sources.contains(&it.source) && !it.idle && !it.ended);
        holding.into_iter().min_by_key(|it| it.watermark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(partition: i32, lag: Option<u64>, watermark: i64, idle: bool) -> PartitionView {
        let (source, records, rate, next_offset, ended) = (0, 0, 0.0, 0, false);
        PartitionView { source, partition, records, rate, next_offset, lag, watermark, idle, ended }
    }

    #[test]
    fn a_reading_is_over_all_workers() {
        let views = Views::new(2);
        let step = |rate, busy, watermark| StepView { rate, busy, watermark, state_keys: 2, ..StepView::default() };
        let first = vec![partition(0, Some(5), 100, false), partition(2, Some(7), 10, true)];
        views.set(0, WorkerView { partitions: first, steps: vec![step(3.0, 0.5, 40)], ..WorkerView::default() });
        let second = vec![partition(1, None, 50, false)];
        views.set(1, WorkerView { partitions: second, steps: vec![step(1.0, 1.0, 30)], ..WorkerView::default() });
        let view = views.read();
        assert_eq!(view.lag(), Some(12));
        assert_eq!(view.partitions().iter().map(|it| it.partition).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(view.held_back_by(&[0]).map(|it| it.partition), Some(1), "2 is idle");
        assert_eq!(view.held_back_by(&[1]), None);
        assert_eq!(view.step(0), StepView { state_keys: 4, ..step(4.0, 0.75, 30) });
        assert_eq!(Views::new(1).read().lag(), None);
    }
}
