//! One commit: what the workers sealed and what the sinks hold become true together.

use super::error::{Failure, PipelineError, chain};
use super::sinks::{CommitPoint, Sinks};
use super::snapshots::Snapshots;
use super::worker::Sealed;
use crate::batch::EventTime;
use crate::checkpoint::{CheckpointError, Meta, PluginState, Pointer, StagedFile};
use crate::failpoint::failpoint;
use crate::sink::kafka::{KafkaSink, OffsetCommit, Outcome};
use crate::state::Delta;
use std::collections::BTreeMap;

/// A partition whose committed offset is written with every epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The source and the name of the position that it says; none where it stands in for a position, and says the epoch.
    pub position: Option<(String, String)>,
}

/// What is the same in every commit of an attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity {
    /// Kafka's name for the pipeline.
    pub group: String,
    /// Source names with their partitions' names, by source and partition number.
    pub partitions: Vec<(String, BTreeMap<i32, String>)>,
    /// Step names, by step.
    pub steps: Vec<String>,
    /// Table names, by table.
    pub tables: Vec<String>,
    /// The plugins whose state is kept, by step name.
    pub plugins: BTreeMap<String, PluginState>,
}

impl Identity {
    /// What the manifest says of `sealed`.
    pub(super) fn meta(&self, sealed: &[Sealed]) -> Meta {
        let mut meta = Meta { tables: self.tables.clone(), plugins: self.plugins.clone(), ..Meta::default() };
        for (origin, position) in sealed.iter().flat_map(|it| &it.positions) {
            let Some((source, names)) = self.partitions.get(origin.source as usize) else { continue };
            let Some(name) = names.get(&origin.partition) else { continue };
            meta.positions.entry(source.clone()).or_default().insert(name.clone(), *position);
        }
        for (step, name) in self.steps.iter().enumerate() {
            let watermarks = sealed.iter().filter_map(|it| it.watermarks.get(step).copied());
            if let Some(watermark) = watermarks.filter(|it| *it != EventTime::MIN).max() {
                meta.watermarks.insert(name.clone(), watermark);
            }
        }
        meta
    }
}

/// Commits epochs, one after the other.
pub(super) struct Committer {
    /// The sinks.
    pub sinks: Sinks,
    /// Where the commit point is.
    pub commit_point: CommitPoint,
    /// Partitions that carry the pointer.
    pub anchors: Vec<Anchor>,
    /// Commits offsets for others to see, where the commit point is the manifest.
    pub advisory: Option<KafkaSink>,
    /// What is the same every time.
    pub identity: Identity,
    /// True when `CURRENT` tells that there is committed state here.
    pub marked: bool,
}

/// An epoch whose snapshot is being written.
#[derive(Debug)]
pub(super) struct Pending {
    /// The epoch.
    pub epoch: u64,
    staged: BTreeMap<String, Vec<StagedFile>>,
    offsets: Vec<OffsetCommit>,
}

/// The order of these lines is the delivery guarantee; see docs/adr/0002-commit-point.md before touching it.
impl Committer {
    /// Begins to commit `epoch`: its output is complete and as durable as it gets before the commit point, and its snapshot
    /// is being written.
    pub(super) fn begin(
        &mut self,
        epoch: u64,
        sealed: Vec<Sealed>,
        snapshots: &Snapshots<'_>,
    ) -> Result<Pending, PipelineError> {
        let mut meta = self.identity.meta(&sealed);
        meta.staged = self.sinks.stage(epoch)?;
        failpoint("stage.done");
        let staged = meta.staged.clone();
        let offsets = self.offsets(epoch, &meta);
        let deltas: Vec<Delta> = sealed.into_iter().map(|it| it.delta).collect();
        // Durable, but nothing points to it yet. Meanwhile the output goes on its way.
        snapshots.persist(epoch, deltas, meta, self.commit_point);
        match self.commit_point {
            CommitPoint::Transaction => {
                self.sinks.begin_commit((!offsets.is_empty()).then_some(self.identity.group.as_str()))?;
            }
            CommitPoint::Manifest => {
                self.sinks.flush()?; // At least once: nothing counted is unwritten.
                snapshots.commit();
            }
        }
        Ok(Pending { epoch, staged, offsets })
    }

    /// Goes on when the pointer of the snapshot is known, while it is still being written: a transaction, which can be aborted, gets
    /// the positions with it.
    pub(super) fn named(&mut self, pending: &mut Pending, pointer: &Pointer) -> Result<(), PipelineError> {
        pending.offsets.iter_mut().for_each(|it| it.metadata = pointer.to_string());
        self.sinks.add_positions(&pending.offsets, &self.identity.group)
    }

    /// Goes on when the snapshot is written, under `pointer`. After the `last` epoch nothing is left under way.
    pub(super) fn finish(
        &mut self,
        pending: Pending,
        pointer: Pointer,
        last: bool,
        snapshots: &Snapshots<'_>,
    ) -> Result<(), PipelineError> {
        let with_pointer = |it: &OffsetCommit| OffsetCommit { metadata: pointer.to_string(), ..it.clone() };
        let offsets: Vec<OffsetCommit> = pending.offsets.iter().map(with_pointer).collect();
        if self.commit_point == CommitPoint::Transaction {
            // The commit point: output, offsets and state become true together.
            self.sinks.commit_transaction(&offsets, &self.identity.group)?;
            failpoint("commit.after-commit");
            snapshots.committed(pointer, !self.marked);
        }
        self.marked = true;
        // From here on everything is done again after a restart, or need not be.
        self.sinks.publish(&pending.staged)?;
        self.advise(&offsets, last);
        snapshots.forget_before(pending.epoch);
        Ok(())
    }

    fn offsets(&self, epoch: u64, meta: &Meta) -> Vec<OffsetCommit> {
        let offset = |anchor: &Anchor| match &anchor.position {
            None => Some(epoch as i64),
            Some((source, name)) => meta.positions.get(source)?.get(name).map(|it| it.next_offset),
        };
        let commit = |anchor: &Anchor| {
            let (topic, partition) = (anchor.topic.clone(), anchor.partition);
            offset(anchor).map(|offset| OffsetCommit { topic, partition, offset, metadata: String::new() })
        };
        self.anchors.iter().filter_map(commit).collect()
    }

    /// Tells the usual tools how far the sources were read. Nothing depends on it.
    fn advise(&mut self, offsets: &[OffsetCommit], last: bool) {
        let Some(advisory) = &mut self.advisory else { return };
        let told = if last {
            match advisory.commit(offsets, &self.identity.group) {
                Outcome::Committed => Ok(()),
                outcome => Err(format!("{outcome:?}")),
            }
        } else {
            advisory.tell_positions(offsets, &self.identity.group).map_err(|error| error.to_string())
        };
        if let Err(reason) = told {
            tracing::debug!("offsets could not be shown to Kafka: {reason}");
        }
    }
}

/// What a failure of the store means for the pipeline.
pub(super) fn store_failed(error: &CheckpointError) -> PipelineError {
    PipelineError::stop(Failure::Internal, format!("checkpoint: {}", chain(error)))
}

impl From<CheckpointError> for PipelineError {
    fn from(error: CheckpointError) -> Self {
        store_failed(&error)
    }
}
