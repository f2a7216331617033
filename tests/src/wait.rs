//! Waiting for something to become true, with a limit.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A moment by which something must have happened.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    limit: Duration,
}

impl Deadline {
    /// `limit` from now on.
    pub fn after(limit: Duration) -> Self {
        Deadline { started: instant(), limit }
    }

    /// True once the limit is over.
    pub fn is_over(&self) -> bool {
        self.elapsed() >= self.limit
    }

    /// Since it was made.
    pub fn elapsed(&self) -> Duration {
        instant() - self.started
    }
}

/// Looks at `done` until it is true. Panics after `limit`, saying what was waited for.
pub fn until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Deadline::after(limit);
    while !done() {
        assert!(!deadline.is_over(), "{what}: not within {limit:?}");
        pause(LOOK_EVERY);
    }
}

/// Sleeps. For pacing what a test does, never for hoping that something has happened.
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The time of day, ms since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "tests own their clock")]
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis() as u64)
}

#[expect(clippy::disallowed_methods, reason = "tests own their clock")]
fn instant() -> Instant {
    Instant::now()
}
