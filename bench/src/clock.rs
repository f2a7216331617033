//! The benchmarks' clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The time now.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day, ms since the Unix epoch: to be compared with a broker's.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(crate) fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}
