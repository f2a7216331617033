//! Catches what a plugin logs and counts while a test runs it.

use super::Run;
use crate::Level;
use std::cell::RefCell;

thread_local! {
    /// The run at hand on this thread.
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// Runs `call`, and adds to `run` what it logged and counted.
pub(super) fn during<T>(run: &mut Run, call: impl FnOnce() -> T) -> T {
    RUN.set(Some(Run::default()));
    let answer = call();
    let caught = RUN.take().unwrap_or_default();
    run.logs.extend(caught.logs);
    run.counts.extend(caught.counts);
    answer
}

/// Keeps a line; false when no test runs a plugin on this thread.
pub(crate) fn log(level: Level, message: &str) -> bool {
    RUN.with_borrow_mut(|run| {
        let Some(run) = run else { return false };
        run.logs.push((level, message.to_string()));
        true
    })
}

/// Keeps a count, if a test runs a plugin on this thread.
pub(crate) fn count(name: &str, amount: u64) {
    RUN.with_borrow_mut(|run| {
        let Some(run) = run else { return };
        match run.counts.iter_mut().find(|(it, _)| it == name) {
            Some((_, sum)) => *sum += amount,
            None => run.counts.push((name.to_string(), amount)),
        }
    });
}
