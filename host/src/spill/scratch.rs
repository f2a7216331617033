//! The tree of one worker: opened when the first key is moved, written in memory, and put on the disk by a thread of its own.
//!
//! Its memory is bounded: two write buffers, of which one is being written out, and a cache of blocks. A worker that moves
//! keys faster than the thread writes them writes them itself.

use super::SpillError;
use lsm_tree::compaction::Leveled;
use lsm_tree::config::PinningPolicy;
use lsm_tree::{AbstractTree, AnyTree, Cache, Config, Guard, SeqNo, SequenceNumberCounter};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{Builder, JoinHandle};

/// The newest value of everything.
const NEWEST: SeqNo = SeqNo::MAX;
/// Merges after one buffer was written out, at most; what is left is done after the next one.
const MERGES_MAX: usize = 8;
/// Files that overlap, before a worker that moves keys helps to merge them.
const OVERLAPPING_MAX: usize = 16;
/// Bytes of a file in the tree, about.
const FILE_BYTES: u64 = 16 << 20;

/// The memory that a scratch space takes, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Of one write buffer.
    pub buffer: u64,
    /// Of the cache.
    pub cache: u64,
}

/// A worker's scratch space in a folder of its own, which is gone when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    sizes: Sizes,
    /// None until something is moved.
    open: OnceLock<Open>,
}

struct Open {
    tree: AnyTree,
    seqno: SequenceNumberCounter,
    shared: Arc<Shared>,
    /// Tells the thread that a buffer is full; none once it is to end.
    full: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the worker and the thread tell each other.
#[derive(Debug, Default)]
struct Shared {
    ending: AtomicBool,
    has_failed: AtomicBool,
    failure: Mutex<Option<SpillError>>,
}

impl Shared {
    /// The first failure is kept.
    fn fail(&self, error: SpillError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.has_failed.store(true, Relaxed);
    }
}

impl std::fmt::Debug for Open {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Open").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Scratch {
    /// A scratch space in `dir`, which nobody else uses. Nothing is done yet.
    pub fn new(dir: PathBuf, sizes: Sizes) -> Self {
        Scratch { dir, sizes, open: OnceLock::new() }
    }

    /// Whether everything that was moved so far is well. To be asked from time to time: what fails while keys are moved is
    /// told here.
    pub fn check(&self) -> Result<(), SpillError> {
        match self.open.get() {
            Some(open) if open.shared.has_failed.load(Relaxed) => {
                let failure = open.shared.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.clone().map_or(Ok(()), Err)
            }
            _ => Ok(()),
        }
    }

    /// Bytes on the disk.
    pub fn disk_bytes(&self) -> u64 {
        self.open.get().map_or(0, |it| it.tree.disk_space())
    }

    /// Sets a key. Errors: the folder cannot be made; what fails later is told by [`Scratch::check`].
    pub(super) fn put(&self, key: &[u8], value: &[u8]) -> Result<(), SpillError> {
        let open = self.opened()?;
        let (_, bytes) = open.tree.insert(key, value, open.seqno.next());
        self.wrote(open, bytes);
        Ok(())
    }

    /// Removes a key.
    pub(super) fn remove(&self, key: &[u8]) {
        if let Some(open) = self.open.get() {
            let (_, bytes) = open.tree.remove(key, open.seqno.next());
            self.wrote(open, bytes);
        }
    }

    /// Reads a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<lsm_tree::Slice>, SpillError> {
        let Some(open) = self.open.get() else { return Ok(None) };
        open.tree.get(key, NEWEST).map_err(|error| SpillError::of_tree(&self.dir, &error))
    }

    /// The first keys of a range, at most `max`.
    pub(super) fn keys(&self, from: Bound<&[u8]>, to: &[u8], max: usize) -> Result<Vec<lsm_tree::Slice>, SpillError> {
        let Some(open) = self.open.get() else { return Ok(Vec::new()) };
        let range = open.tree.range::<&[u8], _>((from, Bound::Excluded(to)), NEWEST, None);
        let keys = range.take(max).map(Guard::key).collect::<Result<_, _>>();
        keys.map_err(|error| SpillError::of_tree(&self.dir, &error))
    }

    /// What [`SpillError`] says of bytes that nobody here wrote.
    pub(super) fn damaged(&self) -> SpillError {
        SpillError::damaged(&self.dir)
    }

    fn opened(&self) -> Result<&Open, SpillError> {
        if let Some(open) = self.open.get() {
            return Ok(open);
        }
        let open = Open::start(&self.dir, self.sizes)?;
        Ok(self.open.get_or_init(|| open))
    }

    /// `bytes` are in the write buffer now.
    fn wrote(&self, open: &Open, bytes: u64) {
        if bytes < self.sizes.buffer || open.shared.has_failed.load(Relaxed) {
            return;
        }
        // The thread is behind: help it, so that no more than two buffers are in memory.
        let mut helped = Ok(());
        if open.tree.sealed_memtable_count() > 0 {
            helped = flush(&open.tree, &open.seqno);
        }
        if open.tree.l0_run_count() > OVERLAPPING_MAX {
            helped = helped.and_then(|()| merge(&open.tree, &open.seqno, &open.shared));
        }
        if let Err(error) = helped {
            open.shared.fail(SpillError::of_tree(&self.dir, &error));
        }
        open.tree.rotate_memtable();
        // Where one is waiting already it stands for this one too.
        let _ = open.full.as_ref().map(|it| it.try_send(()));
    }
}

impl Open {
    fn start(dir: &Path, sizes: Sizes) -> Result<Open, SpillError> {
        std::fs::create_dir_all(dir).map_err(|error| SpillError::of_io(dir, &error))?;
        let seqno = SequenceNumberCounter::default();
        let config = Config::new(dir, seqno.clone(), SequenceNumberCounter::default());
        let config = config.use_cache(Arc::new(Cache::with_capacity_bytes(sizes.cache)));
        // A key that is not there must cost no read: ten bits a key of the upper levels stay in memory.
        let config = config.filter_block_pinning_policy(PinningPolicy::all(true));
        let tree = config.index_block_pinning_policy(PinningPolicy::all(true)).open();
        let tree = tree.map_err(|error| SpillError::of_tree(dir, &error))?;
        let shared = Arc::new(Shared::default());
        let (full, heard) = sync_channel(1);
        let keeper =
            Keeper { dir: dir.to_owned(), tree: tree.clone(), seqno: seqno.clone(), shared: Arc::clone(&shared) };
        let thread = Builder::new().name("scratch".to_owned()).spawn(move || keeper.run(&heard));
        let thread = thread.map_err(|error| SpillError::of_io(dir, &error))?;
        Ok(Open { tree, seqno, shared, full: Some(full), thread: Some(thread) })
    }
}

/// The thread that puts full buffers on the disk and keeps the tree in order.
struct Keeper {
    dir: PathBuf,
    tree: AnyTree,
    seqno: SequenceNumberCounter,
    shared: Arc<Shared>,
}

impl Keeper {
    fn run(&self, full: &Receiver<()>) {
        while full.recv().is_ok() && !self.shared.ending.load(Relaxed) {
            let done = flush(&self.tree, &self.seqno).and_then(|()| merge(&self.tree, &self.seqno, &self.shared));
            if let Err(error) = done {
                self.shared.fail(SpillError::of_tree(&self.dir, &error));
                return;
            }
        }
    }
}

/// Writes out the buffers that are full.
fn flush(tree: &AnyTree, seqno: &SequenceNumberCounter) -> lsm_tree::Result<()> {
    let lock = tree.get_flush_lock();
    // Nobody reads anything but the newest values, so no older ones are kept.
    tree.flush(&lock, seqno.get()).map(|_| ())
}

/// Merges files, as long as there is something to merge and it does not take too long.
fn merge(tree: &AnyTree, seqno: &SequenceNumberCounter, shared: &Shared) -> lsm_tree::Result<()> {
    let strategy = Arc::new(Leveled::default().with_table_target_size(FILE_BYTES));
    for _ in 0..MERGES_MAX {
        let before = tree.get_next_table_id();
        tree.compact(Arc::clone(&strategy) as _, seqno.get())?;
        if tree.get_next_table_id() == before || shared.ending.load(Relaxed) {
            break;
        }
    }
    Ok(())
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let Some(open) = self.open.get_mut() else { return };
        open.shared.ending.store(true, Relaxed);
        drop(open.full.take());
        if let Some(thread) = open.thread.take() {
            let _ = thread.join(); // One that panicked has left nothing that counts.
        }
        // Best effort: the next start empties what is left.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
