//! Why a pipeline stopped, and what that means for whoever started it.

use std::error::Error;
use std::fmt;

/// What kind of failure ended a pipeline. The command line turns it into an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The pipeline file, a plugin or the state does not fit: exit 78.
    Config,
    /// A record that cannot be processed, and `bad_records = "stop"`: exit 65.
    BadData,
    /// The broker was not reachable within the wait: exit 69.
    Unreachable,
    /// Anything else: exit 70.
    Internal,
}

/// What the runner may do about a failure. Callers branch on this and never on message text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Go back to the last commit and start again from there.
    Restart,
    /// Starting again would end the same way.
    Stop,
}

/// A pipeline's end by failure. Its text is one message with all its causes; several lines only for several errors.
#[derive(Debug)]
pub struct PipelineError {
    failure: Failure,
    recovery: Recovery,
    message: String,
}

impl PipelineError {
    /// Several things that are wrong with the pipeline, a line each.
    pub fn config(errors: Vec<String>) -> Self {
        PipelineError { failure: Failure::Config, recovery: Recovery::Stop, message: errors.join("\n") }
    }

    /// A failure that a new attempt would meet again.
    pub fn stop(failure: Failure, message: impl Into<String>) -> Self {
        PipelineError { failure, recovery: Recovery::Stop, message: message.into() }
    }

    /// A failure that a new attempt from the last commit may not meet.
    pub fn restart(message: impl Into<String>) -> Self {
        PipelineError { failure: Failure::Internal, recovery: Recovery::Restart, message: message.into() }
    }

    /// Nobody reads the output any more.
    pub fn closed() -> Self {
        PipelineError::stop(Failure::Internal, "standard output was closed by its reader")
    }

    /// `error` with what was being done, and all its causes.
    pub fn from_error(failure: Failure, doing: &str, error: &(dyn Error + 'static)) -> Self {
        PipelineError::stop(failure, format!("{doing}: {}", chain(error)))
    }

    /// What kind of failure it is.
    pub fn failure(&self) -> Failure {
        self.failure
    }

    /// What may be done about it.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }
}

impl fmt::Display for PipelineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Error for PipelineError {}

/// An error and its causes on one line; a cause that its error's text already holds is not said twice.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
