//! How long commits took.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets of [`Commits`], µs; what took longer is in one more.
pub const COMMIT_US: [u64; 24] = [
    500, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 7_000, 10_000, 15_000, 20_000, 30_000, 40_000, 50_000, 70_000,
    100_000, 150_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 60_000_000,
];

/// How long commits took, as a histogram: from when every worker had sealed its state until output, positions and state were
/// committed together. Workers go on meanwhile.
#[derive(Debug, Default)]
pub struct Commits {
    buckets: [AtomicU64; COMMIT_US.len() + 1],
    sum_us: AtomicU64,
}

impl Commits {
    /// Counts one in.
    pub fn add(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[COMMIT_US.partition_point(|it| *it < took_us)].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(took_us, Relaxed);
    }

    /// A reading.
    pub fn read(&self) -> CommitsRead {
        CommitsRead {
            buckets: std::array::from_fn(|it| self.buckets[it].load(Relaxed)),
            sum_us: self.sum_us.load(Relaxed),
        }
    }
}

/// A reading of [`Commits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitsRead {
    /// Commits that took at most as long as each of [`COMMIT_US`] and longer than the one before; the last: longer than all.
    pub buckets: [u64; COMMIT_US.len() + 1],
    /// What all of them took, µs.
    pub sum_us: u64,
}

impl CommitsRead {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The buckets, each with its upper bound in µs, none for the last.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        COMMIT_US.into_iter().map(Some).chain([None]).zip(self.buckets)
    }

    /// The lowest of [`COMMIT_US`], ms, that `percent` of a hundred commits did not exceed; none where that is longer than all of them, or
    /// there was no commit.
    pub fn within_ms(&self, percent: u64) -> Option<f64> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|it| {
            seen += it;
            seen >= rank
        })?;
        COMMIT_US.get(bucket).map(|us| *us as f64 / 1e3)
    }
}

/// For people: `half of them within 4 ms, 99 in 100 within 30 ms`.
impl std::fmt::Display for CommitsRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let within =
            |percent| self.within_ms(percent).map_or_else(|| "more than a minute".to_owned(), |ms| format!("{ms} ms"));
        write!(f, "half of them within {}, 99 in 100 within {}", within(50), within(99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_counted_by_bounds_that_are_included() {
        let commits = Commits::default();
        assert_eq!((commits.read().count(), commits.read().within_ms(50)), (0, None));
        for us in [1, 500, 501, 60_000_000, 60_000_001] {
            commits.add(Duration::from_micros(us));
        }
        let read = commits.read();
        let some: Vec<_> = read.buckets().filter(|it| it.1 > 0).collect();
        assert_eq!(some, [(Some(500), 2), (Some(1_000), 1), (Some(60_000_000), 1), (None, 1)]);
        assert_eq!((read.count(), read.sum_us), (5, 120_001_003));
    }

    #[test]
    fn a_share_of_commits_is_told_by_the_bound_that_it_is_under() {
        let commits = Commits::default();
        let add = |count: u64, ms: u64| (0..count).for_each(|_| commits.add(Duration::from_millis(ms)));
        add(49, 1);
        add(50, 4);
        assert_eq!(commits.read().to_string(), "half of them within 4 ms, 99 in 100 within 4 ms");
        add(1, 25);
        assert_eq!(commits.read().within_ms(99), Some(4.0));
        add(1, 33);
        assert_eq!(commits.read().to_string(), "half of them within 4 ms, 99 in 100 within 30 ms");
        add(200, 90_000);
        assert_eq!(
            commits.read().to_string(),
            "half of them within more than a minute, 99 in 100 within more than a minute"
        );
    }

    #[test]
    fn bounds_grow() {
        assert!(COMMIT_US.is_sorted_by(|a, b| a < b), "{COMMIT_US:?}");
    }
}
