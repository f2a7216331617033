//! The daemon's wall clock: when something was stored, and since when a state lasts. No record is processed by it.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Now, to the millisecond.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// So much later; the end of time where that is past it.
pub(super) fn after(from: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    from.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// The clock that systemd compares reloads by, in microseconds; 0 where it cannot be read.
pub(super) fn monotonic_us() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call, which writes nothing else.
    #[expect(unsafe_code, reason = "the standard library does not give this clock's reading as a number")]
    let read = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    if read == 0 { time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000 } else { 0 }
}
