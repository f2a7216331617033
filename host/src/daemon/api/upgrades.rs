//! Versions that take over: what is asked for, what would happen, how far it is, what came of it, and two versions side by side.

use super::Change;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is asked for with an upgrade: another version of a step's plugin, or another configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpgradeRequest {
    /// The step.
    pub step: String,
    /// `NAME@VERSION`, `NAME@latest` or `sha256:DIGEST`.
    pub plugin: String,
    /// Its configuration; without it the step's stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub config: Option<serde_json::Map<String, serde_json::Value>>,
    /// Why, for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is asked for with a rollback.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackRequest {
    /// The step; without it the one that was changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why, for the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What an upgrade would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpgradePreview {
    /// The step.
    pub step: String,
    /// What it runs.
    pub from: StepPlugin,
    /// What it would run.
    pub to: StepPlugin,
    /// Whether the workers replace it as the barrier passes. Otherwise the pipeline is planned anew around it, which takes longer.
    pub in_place: bool,
    /// What becomes of the step's state, in words.
    pub state: String,
    /// The keys of the pipeline file that would change.
    pub changes: Vec<Change>,
    /// Some of the records of the next moment through both versions.
    pub sample: Option<Comparison>,
    /// Why there is no sample.
    pub no_sample: Option<String>,
}

/// Two versions over the same records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// Batches compared; each begins from the state that the pipeline had before it.
    pub batches: u64,
    /// Records compared.
    pub records: u64,
    /// Records of which both made the same.
    pub same: u64,
    /// Records of which they did not.
    pub different: u64,
    /// The first ones of these.
    pub differences: Vec<Differing>,
    /// What the other version failed with.
    pub faults: Vec<Faulty>,
    /// How long the running version took, in a call by itself; none before the first batch.
    pub before: Option<Spent>,
    /// How long the other version took.
    pub after: Option<Spent>,
    /// Why there is no more to come; none while there may be.
    pub ended: Option<String>,
}

/// A record of which two versions made different things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Differing {
    /// Its offset, or its number in its batch where it is of no source.
    pub offset: i64,
    /// What the running version made of it: `PORT: RECORD` or `refused: REASON`.
    pub before: Vec<String>,
    /// What the other one made.
    pub after: Vec<String>,
}

/// A fault of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Faulty {
    /// What it failed with.
    pub fault: String,
    /// On how many records.
    pub records: u64,
}

/// Time of a version, a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Spent {
    /// In the median batch, ns.
    pub median_ns: u64,
    /// In 99 of 100, ns.
    pub p99_ns: u64,
}

/// A version beside the one that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShadowStatus {
    /// The pipeline.
    pub pipeline: String,
    /// The step.
    pub step: String,
    /// What it runs.
    pub from: StepPlugin,
    /// What it is compared with.
    pub to: StepPlugin,
    /// Who began it.
    pub by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// What was found so far.
    pub found: Comparison,
}

/// A plugin as a step runs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepPlugin {
    /// `NAME@VERSION`.
    pub plugin: String,
    /// The sha256 of the component.
    pub digest: String,
    /// Its configuration.
    #[schema(value_type = Object)]
    pub config: serde_json::Value,
}

/// What was done to a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A definition was applied.
    Deploy,
    /// A step got another version of its plugin, or another configuration.
    Upgrade,
    /// A step got back the version before.
    Rollback,
    /// Dead letters had another try.
    Replay,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is under way.
    UnderWay,
    /// It is what runs, or ran until the next entry.
    Accepted,
    /// It failed on probation, and the version before went on.
    RolledBack,
    /// Another definition was applied before it was known.
    Superseded,
}

/// An entry of a pipeline's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// Counts from 1.
    pub number: u64,
    /// What was done.
    pub action: Action,
    /// What came of it.
    pub outcome: Outcome,
    /// The revision that ran afterwards.
    pub revision: u64,
    /// The step; none for a deployment, which may change all.
    pub step: Option<String>,
    /// What the step ran.
    pub from: Option<StepPlugin>,
    /// What it was to run.
    pub to: Option<StepPlugin>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why, as they said.
    pub reason: Option<String>,
    /// What happened: which keys changed, or why it was rolled back.
    pub detail: Option<String>,
}

/// What was done to a pipeline, the latest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// The entries that are kept.
    pub history: Vec<HistoryEntry>,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// For the next checkpoint.
    Waiting,
    /// The new version has the records, and must not fail in its first epoch.
    Probation,
    /// The new version's first epoch is committed.
    Accepted,
    /// The version before goes on, as if there had been no upgrade.
    RolledBack,
    /// The pipeline ended before it was known; what was committed decides when it starts again.
    Undecided,
    /// It is being done: what is no upgrade.
    Running,
    /// It came to its end.
    Done,
    /// It did not.
    Failed,
}

/// Something that takes longer than a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its name in addresses.
    pub id: String,
    /// The pipeline.
    pub pipeline: String,
    /// What is done.
    pub action: Action,
    /// To which step.
    pub step: Option<String>,
    /// What the step ran.
    pub from: Option<StepPlugin>,
    /// What it is to run.
    pub to: Option<StepPlugin>,
    /// By whom.
    pub by: String,
    /// How far it is.
    pub state: OperationState,
    /// Whether it is over.
    pub done: bool,
    /// Why it ended so.
    pub detail: Option<String>,
    /// The last epoch of the version before.
    pub epoch: Option<u64>,
    /// How long the step processed no record at most, ms.
    pub switch_ms: Option<u64>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it last went on.
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
}
