//! Refusing a record.

use crate::capability;
use std::fmt;

/// Why a record is refused: it goes to the dead letters with this reason, and the batch goes on.
///
/// What the rule emitted for the record before it returned the error, and the timers that it set, are taken back. What it did to
/// its state stays: look first, change then. Any error becomes one with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject(String);

impl Reject {
    /// A refusal for this reason: lower-case, no full stop.
    pub fn new(reason: impl Into<String>) -> Self {
        Reject(reason.into())
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_reason(self) -> String {
        self.0
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// `Reject` is no `std::error::Error` itself, or this would overlap with `From<T> for T`.
impl<E: std::error::Error> From<E> for Reject {
    fn from(error: E) -> Self {
        Reject(capability::named(error.to_string()))
    }
}

/// What a rule may return: nothing, or a `Result` whose error refuses the record.
#[diagnostic::on_unimplemented(
    message = "a rule cannot return `{Self}`",
    label = "not what a rule returns",
    note = "return nothing, or `Result<(), Reject>`"
)]
pub trait Outcome {
    /// The outcome as a result.
    fn into_result(self) -> Result<(), Reject>;
}

impl Outcome for () {
    #[inline(always)]
    fn into_result(self) -> Result<(), Reject> {
        Ok(())
    }
}

impl<E: Into<Reject>> Outcome for Result<(), E> {
    #[inline(always)]
    fn into_result(self) -> Result<(), Reject> {
        self.map_err(Into::into)
    }
}
