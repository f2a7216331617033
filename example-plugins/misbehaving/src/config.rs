//! What the plugin is told to do.

use serde::Deserialize;

/// The step's `config`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What to do.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// On which rows.
    #[serde(default)]
    pub(crate) when: When,
}

/// What to do; see `mode.rs`.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Pass every row.
    #[default]
    None,
    Trap,
    Loop,
    Recurse,
    Grow,
    Leak,
    Err,
    Panic,
    Reject,
    RejectTwice,
    BadOrigin,
    BadPort,
    BadUtf8,
    BadOffsets,
    BadLength,
    BadJson,
    WrongKind,
    TooManyRows,
    TooManyBytes,
    LogFlood,
    Count,
    FailOpen,
}

/// Rows whose `field` (an s64) is a multiple of `every`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    #[serde(default = "id")]
    pub(crate) field: String,
    #[serde(default = "one")]
    pub(crate) every: i64,
}

impl Default for When {
    fn default() -> Self {
        When { field: id(), every: one() }
    }
}

fn id() -> String {
    "id".into()
}

fn one() -> i64 {
    1
}
