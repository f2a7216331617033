//! What the interface answers, as JSON. The daemon writes these and the command line reads them.

mod figures;
mod upgrades;
mod watching;

pub use figures::*;
pub use upgrades::*;
pub use watching::*;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A version of a plugin, as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginVersion {
    /// The plugin's name.
    pub name: String,
    /// Its version, after semver.org.
    pub version: String,
    /// The sha256 of what was uploaded, in lower-case hexadecimal.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
    /// `transform`, `keyed` or `aggregate`.
    pub kind: String,
    /// What it calls itself.
    pub describes_itself: Description,
    /// The fields that it reads when it is opened with an empty config; none where it refuses that.
    pub reads: Vec<PluginField>,
    /// Its outputs, likewise; the first is the default one.
    pub ports: Vec<PluginPort>,
    /// Version of the state that it keeps, likewise.
    pub state_version: Option<u32>,
    /// Whether it can bring state of the version before to its own, likewise.
    pub migrates: Option<bool>,
    /// JSON Schema of its config, where it has one.
    #[schema(value_type = Option<Object>)]
    pub config_schema: Option<serde_json::Value>,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// How long compiling it took, ms.
    pub compile_ms: u64,
    /// When it was uploaded.
    #[schema(value_type = String, format = DateTime)]
    pub pushed_at: Timestamp,
    /// By whom.
    pub pushed_by: String,
    /// What whoever pushed it should know, such as that it calls itself otherwise.
    pub notes: Vec<String>,
    /// The pipelines that use it.
    #[serde(default)]
    pub used_by: Vec<String>,
}

/// What a plugin says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, in a sentence.
    pub description: String,
}

/// A field that a plugin reads or writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginField {
    /// The field, header or part of the record, in words.
    pub slot: String,
    /// `s64`, `f64`, `boolean`, `text`, `bytes` or `json`.
    pub kind: String,
    /// Whether a record without it is refused.
    pub required: bool,
}

/// An output of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginPort {
    /// Its name.
    pub name: String,
    /// What its records have; none where it passes on what it read.
    pub fields: Vec<PluginField>,
}

/// The versions of all plugins, or of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginList {
    /// By name and version.
    pub plugins: Vec<PluginVersion>,
}

/// What whoever asked wants of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// It runs, and comes back whatever happens.
    Running,
    /// It holds its place, and reads nothing.
    Paused,
    /// It does not run.
    Stopped,
}

/// How a pipeline or a part of it is, the better before the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its input ended, and all of it is committed.
    Completed,
    /// It runs.
    Running,
    /// It reads nothing, as was asked.
    Paused,
    /// It does not run, as was asked.
    Stopped,
    /// It is being started.
    Starting,
    /// It takes its last checkpoint.
    Stopping,
    /// It runs, and something is not as it should be.
    Degraded,
    /// It does not run and should; it is tried again.
    Failed,
}

impl State {
    /// All, the better before the worse.
    pub const ALL: [State; 8] = [
        State::Completed,
        State::Running,
        State::Paused,
        State::Stopped,
        State::Starting,
        State::Stopping,
        State::Degraded,
        State::Failed,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            State::Completed => "completed",
            State::Running => "running",
            State::Paused => "paused",
            State::Stopped => "stopped",
            State::Starting => "starting",
            State::Stopping => "stopping",
            State::Degraded => "degraded",
            State::Failed => "failed",
        }
    }
}

/// A pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// The worst of its parts.
    pub state: State,
    /// Why it is so, where that is not plain.
    pub reason: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// What was asked for.
    pub desired: Desired,
    /// Counts what was deployed under this name, from 1.
    pub revision: u64,
    /// When that was.
    #[schema(value_type = String, format = DateTime)]
    pub deployed_at: Timestamp,
    /// By whom.
    pub deployed_by: String,
    /// The plugins that it uses, pinned by digest.
    pub plugins: Vec<Pin>,
    /// Its parts.
    pub parts: Vec<Part>,
    /// What it has done since it was started last.
    pub figures: Figures,
    /// Starts after a failure since it last went well.
    pub restarts: u64,
    /// When it is tried again, where it failed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_start_at: Option<Timestamp>,
    /// The upgrade that is under way, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrading: Option<HistoryEntry>,
    /// The pipeline file. Not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

/// A part of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// `engine`, `checkpoints`, `records`.
    pub part: String,
    /// How it is.
    pub state: State,
    /// Why.
    pub reason: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
}

/// A plugin as a pipeline uses it, whatever `latest` means later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pin {
    /// As the pipeline file has it: `fraud-rules@latest`.
    pub reference: String,
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The sha256 of the component.
    pub digest: String,
}

/// All pipelines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PipelineList {
    /// By name.
    pub pipelines: Vec<PipelineStatus>,
}

/// What a deployment changed, or would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Whether it was only asked what would change.
    pub dry_run: bool,
    /// `created`, `changed` or `unchanged`.
    pub outcome: String,
    /// What differs from what was deployed before.
    pub changes: Vec<Change>,
    /// What is allowed and may not be meant.
    pub warnings: Vec<String>,
    /// What the pipeline is then, a line each step.
    pub plan: Vec<String>,
    /// The pipeline; none where it was only asked.
    pub pipeline: Option<PipelineStatus>,
}

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Its path: `steps.rules.config.max_amount`, or `plugins.NAME@latest` for what a reference stands for.
    pub key: String,
    /// What it was; none for a key that is new.
    #[schema(value_type = Option<Object>)]
    pub from: Option<serde_json::Value>,
    /// What it is; none for a key that is gone.
    #[schema(value_type = Option<Object>)]
    pub to: Option<serde_json::Value>,
}

/// The graph of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Sources, steps and sinks.
    pub nodes: Vec<Node>,
    /// Who reads whom.
    pub edges: Vec<Edge>,
}

/// A source, a step or a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `source`, `step` or `sink`.
    pub role: String,
    /// What it does, in a few words.
    pub does: String,
    /// The fields by which its input is shared out; empty where it is not.
    pub key: Vec<String>,
}

/// One reads another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Edge {
    /// Where records come from.
    pub from: String,
    /// Where they go.
    pub to: String,
    /// What that is: `step` or `sink`.
    pub role: String,
    /// The plugin's side output; none for the default one.
    pub port: Option<String>,
}

/// The checkpoints of a pipeline that are on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointList {
    /// The newest first.
    pub checkpoints: Vec<Checkpoint>,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// The epoch at whose end it holds.
    pub epoch: u64,
    /// Its manifest's file name.
    pub manifest: String,
    /// Whether this folder knows that it was committed.
    pub committed: bool,
    /// Files of state.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
    /// Entries in them.
    pub entries: u64,
    /// Where reading goes on: `SOURCE/PARTITION` and the offset.
    pub positions: Vec<Position>,
    /// When it was written.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub written_at: Option<Timestamp>,
}

/// Where reading goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Position {
    /// The source.
    pub source: String,
    /// The partition.
    pub partition: String,
    /// The next offset.
    pub next_offset: i64,
}

/// Whether all is as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// True where every pipeline is as was asked.
    pub ready: bool,
    /// Those that are not.
    pub not_ready: Vec<NotReady>,
}

/// A pipeline that is not as was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotReady {
    /// Its name.
    pub pipeline: String,
    /// How it is.
    pub state: State,
    /// Why.
    pub reason: Option<String>,
}
