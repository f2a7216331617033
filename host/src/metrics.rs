//! STAND-IN: the types that the command line needs, until the engine is there.

use std::time::Duration;

/// How far a pipeline is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records read.
    pub records_in: u64,
    /// Records written.
    pub records_out: u64,
    /// Late records.
    pub late: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Bad records dropped.
    pub dropped: u64,
    /// Records not yet read.
    pub lag: Option<u64>,
    /// The watermark, ms.
    pub watermark: Option<i64>,
    /// The last committed epoch.
    pub epoch: u64,
    /// How long the last checkpoint took, ms.
    pub checkpoint_ms: Option<u64>,
    /// How long ago it was, ms.
    pub checkpoint_age_ms: Option<u64>,
    /// Keys with state.
    pub state_keys: u64,
    /// What the pipeline is busy with, where it is not processing.
    pub status: Option<String>,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The last figures.
    pub progress: Progress,
    /// How long it took.
    pub elapsed: Duration,
    /// Records written, by sink.
    pub per_sink: Vec<(String, u64)>,
    /// Records in and out, by step.
    pub per_step: Vec<(String, u64, u64)>,
    /// Why it ended.
    pub reason: String,
}
