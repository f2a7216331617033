//! The handle by which a running pipeline is watched and stopped.

use super::clock::Clock;
use crate::metrics::{Counters, Progress};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Shared by whoever runs a pipeline and whoever watches it.
#[derive(Debug)]
pub struct Control {
    stopped: AtomicBool,
    aborted: AtomicBool,
    counters: OnceLock<Arc<Counters>>,
    clock: Clock,
}

impl Control {
    /// For one pipeline.
    pub fn new() -> Arc<Self> {
        Arc::new(Control {
            stopped: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            counters: OnceLock::new(),
            clock: Clock::start(),
        })
    }

    /// Asks for a graceful end: a barrier, a commit, and no more.
    pub fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    /// Asks for an end at once: what is not committed is undone.
    pub fn abort(&self) {
        self.aborted.store(true, Relaxed);
    }

    /// True after [`Self::stop`].
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// True after [`Self::abort`].
    pub fn is_aborted(&self) -> bool {
        self.aborted.load(Relaxed)
    }

    /// What the pipeline has done so far; zeroes before it runs.
    pub fn progress(&self) -> Progress {
        self.counters.get().map(|it| it.progress(self.clock.now_ms())).unwrap_or_default()
    }

    /// The pipeline's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Makes the counters visible.
    pub(super) fn watch(&self, counters: Arc<Counters>) {
        // A pipeline starts once under one control.
        let _ = self.counters.set(counters);
    }
}
