//! Processing time: the one clock of a pipeline. Everything below is handed its readings.

use std::time::{Duration, Instant, SystemTime};

/// Milliseconds since the pipeline was started; never back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    /// What the system's clock said then, ms since the Unix epoch.
    started_unix_ms: i64,
}

impl Clock {
    /// Starts at 0.
    #[expect(clippy::disallowed_methods, reason = "the owner of processing time")]
    pub fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Clock { started: Instant::now(), started_unix_ms: since_1970.as_millis() as i64 }
    }

    /// When it was started, ms since the Unix epoch, as the system's clock had it. With [`Clock::now_ms`] on top that is the time of day, and never
    /// goes back, even where the system's clock is set.
    pub fn started_unix_ms(&self) -> i64 {
        self.started_unix_ms
    }

    /// Now, in ms.
    pub fn now_ms(&self) -> u64 {
        self.elapsed().as_millis() as u64
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
