//! The plugin's log and its counters, which the host writes and exports. In a native test they go to [`testing`](crate::testing)'s run,
//! and without one to standard error.

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For following single records.
    Trace,
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
    /// The plugin cannot go on.
    Critical,
}

/// Logs a line. The macros [`trace!`](crate::trace) to [`error!`](crate::error) are shorter. The host bounds how much is logged a call.
pub fn log(level: Level, context: &str, message: &str) {
    sink::log(level, context, message);
}

/// Adds to a counter, which the host exports as `wasmill_plugin_NAME_total`.
pub fn count(name: &str, amount: u64) {
    sink::count(name, amount);
}

/// Logs at level trace, formatted as by `format!`.
#[macro_export]
macro_rules! trace { ($($arg:tt)+) => { $crate::log($crate::Level::Trace, module_path!(), &format!($($arg)+)) } }

/// Logs at level debug, formatted as by `format!`.
#[macro_export]
macro_rules! debug { ($($arg:tt)+) => { $crate::log($crate::Level::Debug, module_path!(), &format!($($arg)+)) } }

/// Logs at level info, formatted as by `format!`.
#[macro_export]
macro_rules! info { ($($arg:tt)+) => { $crate::log($crate::Level::Info, module_path!(), &format!($($arg)+)) } }

/// Logs at level warn, formatted as by `format!`.
#[macro_export]
macro_rules! warn { ($($arg:tt)+) => { $crate::log($crate::Level::Warn, module_path!(), &format!($($arg)+)) } }

/// Logs at level error, formatted as by `format!`.
#[macro_export]
macro_rules! error { ($($arg:tt)+) => { $crate::log($crate::Level::Error, module_path!(), &format!($($arg)+)) } }

/// Logs a panic's message and place, once: a trap says neither, and the host adds what was logged to the dead letter.
#[cfg(target_arch = "wasm32")]
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = crate::capability::named(panic.payload_as_str().unwrap_or("no message").to_owned());
        let place = panic.location().map(|it| format!(" at {it}")).unwrap_or_default();
        log(Level::Critical, "panic", &format!("{message}{place}"));
    }));
}

/// Natively a panic is the test's.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn log_panics() {}

#[cfg(target_arch = "wasm32")]
mod sink {
    use super::Level;
    use crate::bindings::lifecycle::wasmill::plugin::{logging, metrics};

    pub(super) fn log(level: Level, context: &str, message: &str) {
        let level = match level {
            Level::Trace => logging::Level::Trace,
            Level::Debug => logging::Level::Debug,
            Level::Info => logging::Level::Info,
            Level::Warn => logging::Level::Warn,
            Level::Error => logging::Level::Error,
            Level::Critical => logging::Level::Critical,
        };
        logging::log(level, context, message);
    }

    pub(super) fn count(name: &str, amount: u64) {
        metrics::count(name, amount);
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod sink {
    use super::Level;
    use crate::testing::capture;

    pub(super) fn log(level: Level, context: &str, message: &str) {
        if !capture::log(level, message) {
            eprintln!("{level:?} {context}: {message}");
        }
    }

    pub(super) fn count(name: &str, amount: u64) {
        capture::count(name, amount);
    }
}
