//! What plugins log while a case runs, kept to be shown with it.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// Lines of a case that are kept, at most.
const LINES_MAX: usize = 200;

/// The lines logged since they were last taken. Clones are the same lines.
#[derive(Clone, Default)]
pub(super) struct Logs {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Logs {
    /// Keeps what plugins log at level `info` and above from now on, in the whole process.
    pub(super) fn start() -> Logs {
        let logs = Logs::default();
        // Only where a test of this program has set one already: then there is nothing to show.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(logs.clone()));
        logs
    }

    /// Takes them.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Logs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if event.metadata().target() != "plugin" || level > Level::INFO {
            return;
        }
        let mut line = format!("log {}: ", level.as_str().to_lowercase());
        event.record(&mut Message(&mut line));
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_MAX {
            lines.push(line);
        }
    }
}

/// Writes the message of an event, without its other fields.
struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_plugins_log_is_kept_and_taken_once() {
        let logs = Logs::default();
        let subscriber = tracing_subscriber::registry().with(logs.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "plugin", plugin = "p", "hello");
            tracing::debug!(target: "plugin", "too quiet");
            tracing::error!("of the host");
        });
        assert_eq!(logs.take(), ["log info: hello"]);
        assert!(logs.take().is_empty());
    }
}
