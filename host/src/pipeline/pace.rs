//! How long an attempt's epochs are.

/// The first epoch is so many times shorter than the interval.
const FIRST: u64 = 8;

/// The lengths of epochs: an eighth of the interval at first, then twice as long as the one before, up to the interval. What came while nothing
/// ran, and the output of a pipeline that was just started, is committed so much sooner, for three commits more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    interval_ms: u64,
    next_ms: u64,
}

impl Pace {
    /// For an attempt that begins now.
    pub(super) fn new(interval_ms: u64) -> Pace {
        Pace { interval_ms, next_ms: interval_ms.div_ceil(FIRST) }
    }

    /// How long the next epoch is, ms.
    pub(super) fn next(&mut self) -> u64 {
        let now_ms = self.next_ms.min(self.interval_ms);
        self.next_ms = now_ms.saturating_mul(2);
        now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_become_as_long_as_the_interval() {
        for (interval_ms, expected) in [
            (1_000, [125, 250, 500, 1_000, 1_000]),
            (10, [2, 4, 8, 10, 10]),
            (1, [1, 1, 1, 1, 1]),
            (u64::MAX, [1 << 61, 1 << 62, 1 << 63, u64::MAX, u64::MAX]),
        ] {
            let mut pace = Pace::new(interval_ms);
            assert_eq!([(); 5].map(|()| pace.next()), expected, "{interval_ms}");
        }
    }
}
