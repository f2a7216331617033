//! What a pipeline has done and how it is at it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a pipeline has done since it was started last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Figures {
    /// Records read.
    pub records_in: u64,
    /// Records written, dead letters apart.
    pub records_out: u64,
    /// Records that came after all their windows had closed.
    pub late: u64,
    /// How late they were, from least to most; bounds that no record fell under are left out.
    #[serde(default)]
    pub lateness: Vec<LateRecords>,
    /// By how much all of them together were late, ms.
    #[serde(default)]
    pub lateness_sum_ms: u64,
    /// Records written to the dead letters.
    pub dead_letters: u64,
    /// Bad records dropped.
    pub dropped: u64,
    /// Records that did not meet the `where` of a step.
    pub filtered: u64,
    /// Records still to read, where the sources know.
    pub lag: Option<u64>,
    /// The lowest watermark of the steps, ms since the Unix epoch.
    pub watermark_ms: Option<i64>,
    /// The last committed epoch; 0 before the first.
    pub epoch: u64,
    /// How long the last checkpoint took, ms.
    pub checkpoint_ms: Option<u64>,
    /// How long ago it was, ms.
    pub checkpoint_age_ms: Option<u64>,
    /// How long commits took, from least to most; bounds that no commit fell under are left out.
    #[serde(default)]
    pub commits: Vec<CommitTimes>,
    /// What all of them together took, µs.
    #[serde(default)]
    pub commits_sum_us: u64,
    /// Keys held in state.
    pub state_keys: u64,
    /// The files of the last checkpoint, bytes: what a restart reads.
    #[serde(default)]
    pub state_bytes: u64,
    /// What state takes on the disk for want of memory, bytes.
    #[serde(default)]
    pub spilled_bytes: u64,
    /// By worker.
    #[serde(default)]
    pub workers: Vec<WorkerFigures>,
    /// By source.
    #[serde(default)]
    pub sources: Vec<SourceFigures>,
    /// By step.
    pub steps: Vec<StepFigures>,
    /// By sink.
    pub sinks: Vec<SinkFigures>,
}

/// Late records of one degree of lateness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LateRecords {
    /// They were at most so many ms behind the watermark, and more than the bound before; none: more than a day.
    pub up_to_ms: Option<u64>,
    /// How many.
    pub records: u64,
}

/// Commits that took about as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitTimes {
    /// They took at most so many µs, and more than the bound before; none: more than a minute.
    pub up_to_us: Option<u64>,
    /// How many.
    pub commits: u64,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkerFigures {
    /// The share of the last seconds in which it worked, 0 to 1.
    pub busy: f64,
    /// The share of the last seconds in which it waited for room in a queue or for a commit, 0 to 1.
    pub backpressured: f64,
}

/// How far a source is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SourceFigures {
    /// The source.
    pub source: String,
    /// Its partitions.
    pub partitions: Vec<PartitionFigures>,
    /// The partition that holds the watermark back: its own is the lowest of those that are neither idle nor read to their end.
    pub held_back_by: Option<i32>,
    /// The topic of that partition, where the source reads several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back_by_topic: Option<String>,
}

/// How far a partition is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartitionFigures {
    /// Its number; of files that of the file.
    pub partition: i32,
    /// Its topic, where the source reads several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Records read since the start.
    pub records_in: u64,
    /// Records a second, of the last seconds.
    pub rate: f64,
    /// Where reading goes on: an offset, of files a byte.
    pub next_offset: i64,
    /// Records left to read, where the source knows.
    pub lag: Option<u64>,
    /// Its own watermark, ms since the Unix epoch; none before its first record.
    pub watermark_ms: Option<i64>,
    /// True while nothing comes and it holds nothing back.
    pub idle: bool,
    /// True when it was read to its end.
    pub ended: bool,
}

impl PartitionFigures {
    /// Its name: the number, after the topic where the source reads several.
    pub fn name(&self) -> String {
        match &self.topic {
            Some(topic) => format!("{topic}/{}", self.partition),
            None => self.partition.to_string(),
        }
    }
}

/// What a step has done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepFigures {
    /// The step.
    pub step: String,
    /// Records in.
    pub records_in: u64,
    /// Records out.
    pub records_out: u64,
    /// Records that it could not process.
    #[serde(default)]
    pub refused: u64,
    /// Records in a second, of the last seconds.
    #[serde(default)]
    pub rate: f64,
    /// The share of the workers' last seconds in which it worked, 0 to 1.
    #[serde(default)]
    pub busy: f64,
    /// The share of the workers' last seconds in which what it made waited for room further on, 0 to 1.
    #[serde(default)]
    pub backpressured: f64,
    /// Its watermark, ms since the Unix epoch; none before the first.
    #[serde(default)]
    pub watermark_ms: Option<i64>,
    /// The partition that holds it back, as `SOURCE/PARTITION`.
    #[serde(default)]
    pub held_back_by: Option<String>,
    /// Keys that it held at the last checkpoint.
    #[serde(default)]
    pub state_keys: u64,
    /// What its state takes of memory, bytes, about.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Keys of it that are on the disk for want of memory.
    #[serde(default)]
    pub spilled_keys: u64,
    /// What the last checkpoint wrote of its state, bytes.
    #[serde(default)]
    pub checkpoint_bytes: u64,
    /// What its plugin did; none for a step that runs none.
    #[serde(default)]
    pub plugin: Option<PluginFigures>,
}

/// What a step's plugin did, over all workers, as of the last checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginFigures {
    /// Calls, those that failed included.
    pub calls: u64,
    /// Time in calls, ns.
    pub busy_ns: u64,
    /// Calls that failed, by kind.
    pub faults: std::collections::BTreeMap<String, u64>,
    /// Linear memory of its instances, bytes.
    pub memory_bytes: u64,
    /// Instances thrown away after a fault or because their memory had grown.
    pub instances_replaced: u64,
}

/// What a sink has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SinkFigures {
    /// The sink.
    pub sink: String,
    /// Records written.
    pub records_out: u64,
}
