//! Processing time: the one clock of a pipeline. Everything below is handed its readings.

use std::time::{Duration, Instant};

/// Milliseconds since the pipeline was started; never back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts at 0.
    #[expect(clippy::disallowed_methods, reason = "the owner of processing time")]
    pub fn start() -> Self {
        Clock { started: Instant::now() }
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
