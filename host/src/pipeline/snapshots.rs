//! The snapshot thread: what an epoch changed is made durable while the workers and their output go on.

use super::commit::store_failed;
use super::error::{Failure, PipelineError};
use super::sinks::CommitPoint;
use crate::checkpoint::{CheckpointError, Epoch, Meta, Pointer, Store};
use crate::exchange::Wakers;
use crate::failpoint::failpoint;
use crate::state::Delta;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Epochs whose work waits: one is written at a time, and the one before it may still be tidied up.
const WORK_MAX: usize = 4;

enum Work {
    /// Write the epoch. Where its commit is a transaction's, say its pointer as soon as it is known, and when all is written.
    Persist { epoch: u64, deltas: Vec<Delta>, meta: Meta, commit_point: CommitPoint },
    /// Let `CURRENT` name the epoch that was written, which commits it, and answer its pointer.
    Commit,
    /// A transaction has committed the epoch. With `mark`, `CURRENT` is to tell that there is committed state here.
    Committed { pointer: Pointer, mark: bool },
    /// Delete what the epoch has made unnecessary.
    Forget { epoch: u64 },
}

/// How far the epoch that is being written is.
pub(super) enum Snapshot {
    /// Its pointer is known, for a transaction to hold. What it points to is not all durable yet.
    Named(Pointer),
    /// All of it is durable, and where the manifest is the commit point it is committed.
    Written(Pointer),
}

/// The thread that owns the store while an attempt runs.
pub(super) struct Snapshots<'scope> {
    work: SyncSender<Work>,
    heard: Receiver<Result<Snapshot, CheckpointError>>,
    /// The files of the last checkpoint, bytes.
    bytes: Arc<AtomicU64>,
    thread: ScopedJoinHandle<'scope, Option<CheckpointError>>,
}

impl<'scope> Snapshots<'scope> {
    /// Starts the thread. It wakes thread `waker` of `wakers` when an epoch is written.
    pub(super) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        store: &'env mut Store,
        wakers: Arc<Wakers>,
        waker: usize,
    ) -> Result<Self, PipelineError> {
        let (work, received) = sync_channel(WORK_MAX);
        let (told, heard) = sync_channel(2); // All that there is to say of an epoch.
        let span = tracing::Span::current();
        let bytes = Arc::new(AtomicU64::new(store.state_bytes()));
        let size = Arc::clone(&bytes);
        let run = move || {
            let _within = span.entered();
            let tell = move |progress| {
                // Nobody listens any more where the attempt has failed.
                let _ = told.send(progress);
                wakers.wake(waker);
            };
            let mut writer = Writer { store, written: None, failed: None, bytes: size };
            for work in received {
                if let Some(answer) = writer.work(work, &tell) {
                    tell(answer.map(Snapshot::Written));
                }
            }
            writer.failed
        };
        let thread = Builder::new().name("snapshots".to_owned()).spawn_scoped(scope, run);
        let thread =
            thread.map_err(|error| PipelineError::from_error(Failure::Internal, "cannot start a thread", &error))?;
        Ok(Snapshots { work, heard, bytes, thread })
    }

    /// Begins to write an epoch; the answer comes with [`Snapshots::heard`], where the manifest is the commit point after
    /// [`Snapshots::commit`].
    pub(super) fn persist(&self, epoch: u64, deltas: Vec<Delta>, meta: Meta, commit_point: CommitPoint) {
        self.send(Work::Persist { epoch, deltas, meta, commit_point });
    }

    /// Lets the manifest of the epoch that is being written be the committed one.
    pub(super) fn commit(&self) {
        self.send(Work::Commit);
    }

    /// What is new of the epoch that is being written.
    pub(super) fn heard(&self) -> Option<Result<Snapshot, PipelineError>> {
        match self.heard.try_recv() {
            Ok(progress) => Some(progress.map_err(|error| store_failed(&error))),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(ended())),
        }
    }

    /// The files of the checkpoint that was written last, bytes.
    pub(super) fn state_bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// A transaction has committed what `pointer` names.
    pub(super) fn committed(&self, pointer: Pointer, mark: bool) {
        self.send(Work::Committed { pointer, mark });
    }

    /// Deletes what `epoch` has made unnecessary, some time.
    pub(super) fn forget_before(&self, epoch: u64) {
        self.send(Work::Forget { epoch });
    }

    /// Waits until everything is done. The error is one that no answer has told.
    pub(super) fn end(self) -> Result<(), PipelineError> {
        drop(self.work);
        match self.thread.join() {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(store_failed(&error)),
            Err(_) => Err(ended()),
        }
    }

    fn send(&self, work: Work) {
        // A thread that is gone has panicked, which the next look at `heard` or the end tells.
        let _ = self.work.send(work);
    }
}

fn ended() -> PipelineError {
    PipelineError::restart("the snapshot thread ended without a reason; see the log".to_owned())
}

struct Writer<'a> {
    store: &'a mut Store,
    /// What the next [`Work::Commit`] commits.
    written: Option<Pointer>,
    /// A failure after a commit: told with the next epoch, which must not build on it.
    failed: Option<CheckpointError>,
    bytes: Arc<AtomicU64>,
}

impl Writer<'_> {
    fn work(
        &mut self,
        work: Work,
        tell: impl Fn(Result<Snapshot, CheckpointError>),
    ) -> Option<Result<Pointer, CheckpointError>> {
        match work {
            Work::Persist { epoch, deltas, meta, commit_point: CommitPoint::Manifest } => {
                match self.persist(epoch, &deltas, meta, |_| ()) {
                    Ok(pointer) => {
                        self.written = Some(pointer);
                        None
                    }
                    Err(error) => Some(Err(error)),
                }
            }
            Work::Persist { epoch, deltas, meta, commit_point: CommitPoint::Transaction } => {
                Some(self.persist(epoch, &deltas, meta, |it| tell(Ok(Snapshot::Named(it.clone())))))
            }
            Work::Commit => self.written.take().map(|it| self.commit(it)),
            Work::Committed { pointer, mark } => {
                let noted =
                    if mark { self.store.mark_committed(&pointer) } else { self.store.note_committed(&pointer) };
                self.failed = noted.err();
                None
            }
            Work::Forget { epoch } => {
                if let Err(error) = self.store.forget_before(Epoch(epoch)) {
                    tracing::debug!("old snapshots stay for now: {error}");
                }
                None
            }
        }
    }

    fn persist(
        &mut self,
        epoch: u64,
        deltas: &[Delta],
        meta: Meta,
        named: impl FnOnce(&Pointer),
    ) -> Result<Pointer, CheckpointError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let pointer = self.store.persist_named(Epoch(epoch), deltas, meta, named)?;
        self.bytes.store(self.store.state_bytes(), Relaxed);
        failpoint("commit.before-send");
        Ok(pointer)
    }

    fn commit(&mut self, pointer: Pointer) -> Result<Pointer, CheckpointError> {
        self.store.mark_committed(&pointer)?;
        failpoint("commit.after-commit");
        Ok(pointer)
    }
}
