//! What passes: records, log lines, dead letters.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A record that a tap shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TappedRecord {
    /// The topic that it came from, where its source reads several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The partition that it came from, where it is of one.
    pub partition: Option<i32>,
    /// Its offset there.
    pub offset: Option<i64>,
    /// Its event time, ms since the Unix epoch.
    pub time_ms: i64,
    /// Its key.
    pub key: Option<String>,
    /// Its value; a text where it is no JSON, null for a tombstone.
    #[schema(value_type = Object)]
    pub value: serde_json::Value,
}

/// The end of a tap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TapEnd {
    /// Records that were looked at.
    pub seen: u64,
    /// Records that were shown.
    pub sent: u64,
    /// Why it ended before its limit.
    pub reason: Option<String>,
}

/// A line of a pipeline's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// `host`, or `guest` for what a plugin says.
    pub source: String,
    /// What it says, on one line.
    pub message: String,
    /// How many lines before it came too fast and were dropped.
    #[serde(default)]
    pub dropped: u64,
}

/// A record that could not be processed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// Where it is: `PARTITION/OFFSET` of the topic of dead letters, or `FILE:LINE`.
    pub at: String,
    /// Why it is one.
    pub reason: String,
    /// The step that refused it, or the source that could not read it.
    pub step: String,
    /// The step's plugin.
    pub plugin: Option<String>,
    /// The topic or file that it came from.
    pub topic: Option<String>,
    /// The partition there.
    pub partition: Option<i64>,
    /// The offset there.
    pub offset: Option<i64>,
    /// Its key.
    pub key: Option<String>,
    /// Its value.
    pub value: Option<String>,
}

/// Dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterList {
    /// The last ones, the oldest first.
    pub dead_letters: Vec<DeadLetter>,
}
