//! The daemon: `wasmill serve`. Plugins and pipelines arrive over HTTP, are stored, and run until somebody says otherwise.
//!
//! The control plane is here, on two threads of its own; a pipeline runs on its own threads and never waits for a request.
//! What is wanted is on disk before it is done, so that after any death everything comes back by itself. This module knows
//! no record and no state: it starts and stops what [`crate::pipeline`] runs.

pub mod api;
mod catalog;
mod clock;
mod disk;
mod http;
mod logs;
mod notify;
mod operations;
mod pipelines;
mod problem;
mod serve;
mod settings;

pub use catalog::{EXAMINE_COMMAND, Examination, examine_here};
pub use http::openapi;
pub use logs::{LogLayer, Logs};
pub use problem::{FieldError, Problem};
pub use serve::{Ended, Serve, ServeError, serve};
pub use settings::{Connection, Limits, Overrides, Secret, Settings, SettingsError, Tls, UPLOAD_BYTES_MAX};

use api::{Desired, PipelineStatus, State};
use catalog::Catalog;
use http::Tokens;
use pipelines::Pipelines;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// What requests work on.
struct Daemon {
    settings: RwLock<Arc<Settings>>,
    tokens: RwLock<Option<Arc<Tokens>>>,
    catalog: Arc<Catalog>,
    pipelines: Pipelines,
    logs: Arc<Logs>,
    uploads: Mutex<BTreeMap<String, u64>>,
    started: AtomicBool,
    stopping: AtomicBool,
}

impl Daemon {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// None where no token is needed.
    fn tokens(&self) -> Option<Arc<Tokens>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Other settings from now on.
    ///
    /// # Errors
    /// A pipeline would be wrong with them; nothing has changed then.
    fn reload(&self, settings: Arc<Settings>, tokens: Option<Arc<Tokens>>) -> Result<(), String> {
        self.pipelines.reload(&settings)?;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
        Ok(())
    }

    /// True once everything that was deployed has been started.
    fn is_started(&self) -> bool {
        self.started.load(Relaxed)
    }

    /// True once the daemon was asked to stop.
    fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    fn count_upload(&self, outcome: &str) {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        *uploads.entry(outcome.to_owned()).or_default() += 1;
    }

    /// Uploads since the start, by outcome.
    fn uploads(&self) -> BTreeMap<String, u64> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether a pipeline is as was asked.
fn status_ready(status: &PipelineStatus) -> bool {
    match status.desired {
        Desired::Running => matches!(status.state, State::Running | State::Completed),
        Desired::Paused => matches!(status.state, State::Paused | State::Completed),
        Desired::Stopped => status.state == State::Stopped,
    }
}
