//! How late late records are.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds of the buckets of [`Lateness`], ms; what is later is in one more.
pub const LATENESS_MS: [u64; 8] = [10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000];

/// How late records were that came too late, as a histogram. It says how much longer `delay` or `allowed_lateness` would have to be
/// for how many records.
#[derive(Debug, Default)]
pub struct Lateness {
    records: [AtomicU64; LATENESS_MS.len() + 1],
    sum_ms: AtomicU64,
}

impl Lateness {
    /// Records so many ms behind the watermark.
    pub fn add(&self, behind_ms: &[u64]) {
        let mut records = [0; LATENESS_MS.len() + 1];
        for behind_ms in behind_ms {
            records[LATENESS_MS.partition_point(|it| it < behind_ms)] += 1;
        }
        for (total, records) in self.records.iter().zip(records) {
            total.fetch_add(records, Relaxed);
        }
        self.sum_ms.fetch_add(behind_ms.iter().fold(0, |sum, it| sum.saturating_add(*it)), Relaxed);
    }

    /// A reading.
    pub fn read(&self) -> LatenessRead {
        LatenessRead {
            records: std::array::from_fn(|it| self.records[it].load(Relaxed)),
            sum_ms: self.sum_ms.load(Relaxed),
        }
    }
}

/// A reading of [`Lateness`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatenessRead {
    /// Records at most as late as each of [`LATENESS_MS`] and later than the one before; the last: later than all.
    pub records: [u64; LATENESS_MS.len() + 1],
    /// By how much all of them were late, ms.
    pub sum_ms: u64,
}

impl LatenessRead {
    /// The buckets, each with its upper bound in ms, none for the last.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        LATENESS_MS.into_iter().map(Some).chain([None]).zip(self.records)
    }
}

/// For people: `12 by up to 10 s, 1 by more than 1 day`.
impl std::fmt::Display for LatenessRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: [&str; LATENESS_MS.len()] = ["10 ms", "100 ms", "1 s", "10 s", "1 min", "10 min", "1 h", "1 day"];
        let mut comma = "";
        for (bucket, records) in self.records.iter().enumerate().filter(|it| *it.1 > 0) {
            match SHOWN.get(bucket) {
                Some(bound) => write!(f, "{comma}{records} by up to {bound}")?,
                None => write!(f, "{comma}{records} by more than 1 day")?,
            }
            comma = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_counted_by_bounds_that_are_included() {
        let late = Lateness::default();
        assert_eq!(late.read().to_string(), "");
        late.add(&[1, 10, 11, 60_000, 86_400_001]);
        let read = late.read();
        assert_eq!((read.records, read.sum_ms), ([2, 1, 0, 0, 1, 0, 0, 0, 1], 86_460_023));
        assert_eq!(read.to_string(), "2 by up to 10 ms, 1 by up to 100 ms, 1 by up to 1 min, 1 by more than 1 day");
        assert_eq!(read.buckets().last(), Some((None, 1)));
    }
}
