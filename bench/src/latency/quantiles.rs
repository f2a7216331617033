//! Latencies and their quantiles.

use std::time::Duration;

/// Latencies of single records.
#[derive(Debug, Default)]
pub struct Quantiles {
    micros: Vec<u32>,
    sorted: bool,
}

impl Quantiles {
    /// Counts one in.
    pub fn add(&mut self, latency: Duration) {
        self.sorted = false;
        self.micros.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.micros.len()
    }

    /// The latency that `share` of all do not exceed (nearest rank); zero where there are none. `share` is in 0 to 1.
    pub fn at(&mut self, share: f64) -> Duration {
        if !self.sorted {
            self.micros.sort_unstable();
            self.sorted = true;
        }
        let rank = (self.micros.len() as f64 * share).ceil() as usize;
        Duration::from_micros(self.micros.get(rank.saturating_sub(1)).copied().unwrap_or(0).into())
    }
}
