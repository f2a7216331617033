//! How long to wait before a pipeline that failed is started again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(60);

/// The wait after the `failures`th failure in a row, from 1: twice the last one each time, at most a minute, and up to a
/// quarter of it less or more so that pipelines that failed together do not start together. `random` is any number.
pub(super) fn wait(failures: u64, random: u64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let whole_ms = doubled.min(MAX).as_millis() as u64;
    Duration::from_millis(whole_ms * 3 / 4 + random % (whole_ms / 2 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_stay_within_a_quarter() {
        let range = |failures| (wait(failures, 0).as_millis(), wait(failures, 500 * 60 * 1_000).as_millis());
        assert_eq!(range(1).0, 750);
        assert_eq!(range(3).0, 3_000);
        assert_eq!(range(7).0, 45_000);
        assert_eq!(range(u64::MAX).0, 45_000);
        for random in 0..10_000 {
            let ms = wait(1, random * 7_919).as_millis();
            assert!((750..=1_250).contains(&ms), "{ms}");
        }
    }
}
