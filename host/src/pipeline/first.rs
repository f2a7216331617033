//! Sources that are read first: at each start no other source is read until they have come to the end that they had then, and a barrier has
//! passed after that.
//!
//! The barrier is what makes it sure: a record of another source may take another way to a worker than the table's last one, but a step has
//! taken all that came before a barrier when it takes the first that came after it.

use super::recover::{self, Found, Recovered};
use crate::batch::TopicPartition;
use crate::config::Pipeline;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What all workers together still have to read.
#[derive(Debug, Default)]
pub(super) struct Left {
    partitions: AtomicUsize,
    /// The latest epoch that has a record of theirs.
    epoch: AtomicU64,
}

impl Left {
    /// True when all has been read: the next barrier lets the others go.
    pub(super) fn is_read(&self) -> bool {
        self.partitions.load(Ordering::Acquire) == 0
    }
}

/// What one worker still has to read.
#[derive(Debug)]
pub(super) struct Firsts {
    left: Arc<Left>,
    /// Source, partition, and the offset before which it is not done.
    own: Vec<(usize, i32, i64)>,
    /// The latest epoch in which this worker read a record of theirs.
    epoch: u64,
}

impl Firsts {
    /// For each of `workers` what it has to read first; empty where no source is to be.
    pub(super) fn of(pipeline: &Pipeline, found: &[Found], recovered: &Recovered, workers: usize) -> Vec<Firsts> {
        if !pipeline.sources.iter().any(|it| it.first) {
            return Vec::new();
        }
        let mut own = vec![Vec::new(); workers];
        for (number, found) in found.iter().enumerate().filter(|it| pipeline.sources[it.0].first) {
            for it in &found.partitions {
                let end = it.high.unwrap_or(it.low);
                if recover::start_of(pipeline, number, it, recovered) < end {
                    own[TopicPartition::of(it.id).worker(workers)].push((number, it.id, end));
                }
            }
        }
        let left = Arc::new(Left::default());
        left.partitions.store(own.iter().map(Vec::len).sum(), Ordering::Release);
        own.into_iter().map(|own| Firsts { left: Arc::clone(&left), own, epoch: 0 }).collect()
    }

    /// What all workers together still have to read.
    pub(super) fn left(&self) -> Arc<Left> {
        Arc::clone(&self.left)
    }

    /// A partition was read up to `next_offset` in `epoch`; `records` says whether it had any.
    pub(super) fn read(&mut self, (source, partition): (usize, i32), next_offset: i64, records: bool, epoch: u64) {
        let Some(at) = self.own.iter().position(|it| (it.0, it.1) == (source, partition)) else { return };
        if records {
            self.epoch = epoch;
        }
        if next_offset >= self.own[at].2 {
            self.own.swap_remove(at);
            self.left.epoch.fetch_max(self.epoch, Ordering::AcqRel);
            self.left.partitions.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// True where the other sources may be read in `epoch`.
    pub(super) fn are_in_place(&self, epoch: u64) -> bool {
        self.left.is_read() && epoch > self.left.epoch.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_read_when_all_have_been_read_and_an_epoch_later() {
        let left = Arc::new(Left::default());
        left.partitions.store(3, Ordering::Release);
        let of = |own: &[(usize, i32, i64)]| Firsts { left: Arc::clone(&left), own: own.to_vec(), epoch: 0 };
        let (mut one, mut two) = (of(&[(0, 0, 10), (0, 2, 5)]), of(&[(0, 1, 7)]));
        one.read((0, 0), 10, true, 4);
        one.read((1, 2), 99, true, 5);
        two.read((0, 1), 7, true, 5);
        assert!(!one.are_in_place(9), "one partition is left");
        // Its last offsets hold no records: no epoch has anything of them.
        one.read((0, 2), 5, false, 7);
        assert!(!one.are_in_place(5) && one.are_in_place(6) && two.are_in_place(6));
    }
}
