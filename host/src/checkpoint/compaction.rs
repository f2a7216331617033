//! When snapshot files are merged, which ones, and the thread that does it.
//!
//! Deltas are small and many; merged files are few and each larger than all that are newer (the rule of a size-tiered
//! log-structured merge tree): an entry is rewritten once for each doubling of the state, and a restore reads at most about
//! twice the live state plus the deltas.

use super::manifest::{FileKind, SnapshotFile};
use super::merge::merge;
use super::{CheckpointError, Epoch};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// When snapshot files are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionLimits {
    /// So many deltas are merged.
    pub delta_files_max: usize,
    /// Deltas of so many bytes together are merged.
    pub delta_bytes_max: u64,
    /// Bytes of deltas that one merge takes into memory; one that alone is larger is taken alone.
    pub merge_bytes_max: u64,
}

impl Default for CompactionLimits {
    fn default() -> Self {
        CompactionLimits { delta_files_max: 16, delta_bytes_max: 64 << 20, merge_bytes_max: 256 << 20 }
    }
}

impl CompactionLimits {
    /// Which of `files`, oldest first, to merge now.
    fn pick(&self, files: &[SnapshotFile]) -> Option<Range<usize>> {
        let first_delta = files.iter().position(|it| it.kind == FileKind::Delta)?;
        let deltas = &files[first_delta..];
        if deltas.len() < self.delta_files_max && sum(deltas) < self.delta_bytes_max {
            return None;
        }
        let mut end = first_delta + 1;
        while end < files.len() && sum(&files[first_delta..=end]) <= self.merge_bytes_max {
            end += 1;
        }
        let mut start = first_delta;
        while start > 0 && files[start - 1].bytes <= sum(&files[start..end]) {
            start -= 1;
        }
        Some(start..end)
    }
}

fn sum(files: &[SnapshotFile]) -> u64 {
    files.iter().map(|it| it.bytes).sum()
}

/// At most one merge at a time, in a thread of its own, which is joined when this is dropped.
#[derive(Debug)]
pub(super) struct Compactor {
    limits: CompactionLimits,
    running: Option<Running>,
    /// After a merge that failed: how many files there must be before the next is tried.
    files_min: usize,
}

#[derive(Debug)]
struct Running {
    inputs: Vec<SnapshotFile>,
    output: String,
    cancelled: Arc<AtomicBool>,
    thread: JoinHandle<Result<Option<SnapshotFile>, CheckpointError>>,
}

impl Compactor {
    pub(super) fn new(limits: CompactionLimits) -> Compactor {
        Compactor { limits, running: None, files_min: 0 }
    }

    /// Begins a merge of some of `files` into a file of the name that `name` makes for its kind, where one is due.
    pub(super) fn start_if_due(
        &mut self,
        dir: &Path,
        files: &[SnapshotFile],
        epoch: Epoch,
        name: impl FnOnce(FileKind) -> String,
    ) {
        if self.running.is_some() || files.len() < self.files_min {
            return;
        }
        let Some(range) = self.limits.pick(files) else { return };
        let kind = if range.start == 0 { FileKind::Base } else { FileKind::Run };
        let output = name(kind);
        let inputs = files[range].to_vec();
        let cancelled = Arc::new(AtomicBool::new(false));
        let work = {
            let (dir, inputs, output, cancelled) =
                (dir.to_owned(), inputs.clone(), output.clone(), Arc::clone(&cancelled));
            move || merge(&dir, &inputs, &output, epoch, kind, &cancelled)
        };
        match Builder::new().name("snapshot-merge".to_owned()).spawn(work) {
            Ok(thread) => self.running = Some(Running { inputs, output, cancelled, thread }),
            // The snapshots stay as they are, longer to restore but right.
            Err(error) => self.give_up(files.len(), &error),
        }
    }

    /// Puts a finished merge's file in the place of its inputs in `files`. Returns the name of a file that nothing needs:
    /// one merged from files that are no longer there, since the epoch that they were of was given up.
    pub(super) fn finish_into(&mut self, files: &mut Vec<SnapshotFile>) -> Option<String> {
        let running = self.running.take_if(|it| it.thread.is_finished())?;
        let output = running.output;
        match running.thread.join() {
            Ok(Ok(Some(merged))) => {
                self.files_min = 0;
                let count = running.inputs.len();
                match files.windows(count).position(|it| it == running.inputs) {
                    Some(at) => drop(files.splice(at..at + count, [merged])),
                    None => return Some(output),
                }
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => self.give_up(files.len(), &error),
            Err(_) => self.give_up(files.len(), &"the merging thread panicked"),
        }
        None
    }

    fn give_up(&mut self, files: usize, error: &dyn std::fmt::Display) {
        tracing::warn!(%error, "merging snapshot files failed; it is tried again after some more checkpoints");
        self.files_min = files + self.limits.delta_files_max;
    }

    /// The files that a running merge reads, and the one that it writes.
    pub(super) fn in_use(&self) -> impl Iterator<Item = &str> {
        self.running
            .iter()
            .flat_map(|it| it.inputs.iter().map(|it| it.name.as_str()).chain(std::iter::once(it.output.as_str())))
    }

    /// Waits until no merge is running, without taking its result.
    #[cfg(test)]
    pub(super) fn wait(&self) {
        while self.running.as_ref().is_some_and(|it| !it.thread.is_finished()) {
            std::thread::yield_now();
        }
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.cancelled.store(true, Ordering::Relaxed);
            let _ = running.thread.join(); // A panic has been reported by the panic hook.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds and sizes, as in `b100 r40 d1 d1`.
    fn pick(files: &str) -> Option<Range<usize>> {
        let limits = CompactionLimits { delta_files_max: 3, delta_bytes_max: 50, merge_bytes_max: 80 };
        let file = |text: &str| SnapshotFile {
            name: text.to_owned(),
            kind: match &text[..1] {
                "b" => FileKind::Base,
                "r" => FileKind::Run,
                _ => FileKind::Delta,
            },
            bytes: text[1..].parse().unwrap(),
            entries: 1,
            crc32c: 0,
        };
        limits.pick(&files.split_whitespace().map(file).collect::<Vec<_>>())
    }

    #[test]
    fn files_are_merged_when_deltas_are_many_or_large_together_with_older_ones_that_are_not_larger() {
        assert_eq!(pick(""), None);
        assert_eq!(pick("b100"), None);
        assert_eq!(pick("d1 d1"), None);
        assert_eq!(pick("d1 d1 d1"), Some(0..3));
        assert_eq!(pick("b100 d1 d1 d1"), Some(1..4));
        assert_eq!(pick("b100 r3 d1 d1 d1"), Some(1..5));
        assert_eq!(pick("b100 r4 d1 d1 d1"), Some(2..5));
        assert_eq!(pick("b50 d50"), Some(0..2));
        assert_eq!(pick("d40 d40 d40"), Some(0..2), "memory: the third would be past 80");
        assert_eq!(pick("b200 d90 d1 d1"), Some(1..2), "memory: one that is too large goes alone");
    }
}
