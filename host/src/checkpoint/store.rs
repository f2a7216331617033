//! The checkpoints of one pipeline in one folder.
//!
//! | file                             | what it is                                                            |
//! |----------------------------------|-----------------------------------------------------------------------|
//! | `LOCK`                           | held by the process that runs the pipeline; holds its process id      |
//! | `CURRENT`                        | pointer to the newest committed manifest, as far as this folder knows |
//! | `manifest-EPOCH-RUN-SERIAL.json` | one checkpoint                                                        |
//! | `KIND-EPOCH-RUN-SERIAL.snap`     | state: `delta`, `run` or `base`                                       |
//!
//! No name is ever used twice: `RUN` is a token of this run of the process, `SERIAL` counts within it. So a pointer that was
//! committed keeps meaning what it meant, whatever happens to epochs that were given up.

use super::compaction::{CompactionLimits, Compactor};
use super::format::{self, Writer};
use super::manifest::{FileKind, Manifest, Meta, Parent, SnapshotFile};
use super::merge::Merged;
use super::pointer::{Pointer, manifest_epoch};
use super::{CheckpointError, Epoch, folder};
use crate::failpoint::failpoint;
use crate::state::{Delta, Entry};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Writes checkpoints, remembers what the next one builds on, and forgets old ones.
///
/// Invariant: `files` is the state at the end of the epoch persisted or restored last. Every method that fails leaves it, and
/// every checkpoint on disk, as they were.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    pipeline: String,
    run: String,
    serial: u64,
    files: Vec<SnapshotFile>,
    tables: Vec<String>,
    /// The manifest that lists `files`; none for the empty state.
    newest: Option<Parent>,
    /// Epochs from which on checkpoints are kept: that of the newest committed one, and that of its parent.
    committed: Option<(Epoch, Epoch)>,
    compactor: Compactor,
    /// Held as long as the store lives.
    _lock: folder::Lock,
}

/// A checkpoint whose files have been checked. It can be read by several threads at once.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the checkpoint says.
    pub manifest: Manifest,
    dir: PathBuf,
}

const CURRENT: &str = "CURRENT";

impl Store {
    /// Takes the folder `dir` for the checkpoints of `pipeline`, and makes it where it is not there.
    ///
    /// `run` makes file names unique: 1 to 32 ASCII letters or digits that no other run of any process uses (a random
    /// number, say). The store begins with the empty state; [`Store::restore`] loads another.
    ///
    /// Errors: [`CheckpointError::InUse`] when another process holds the folder.
    pub fn open(dir: &Path, pipeline: &str, run: &str, limits: CompactionLimits) -> Result<Store, CheckpointError> {
        if run.is_empty() || run.len() > 32 || !run.bytes().all(|it| it.is_ascii_alphanumeric()) {
            return Err(CheckpointError::RunToken(run.to_owned()));
        }
        let lock = folder::lock(dir)?;
        for name in folder::names(dir)?.iter().filter(|it| it.ends_with(".tmp")) {
            folder::remove(dir, name)?; // Left by a process that died before a rename.
        }
        Ok(Store {
            dir: dir.to_owned(),
            pipeline: pipeline.to_owned(),
            run: run.to_owned(),
            serial: 0,
            files: Vec::new(),
            tables: Vec::new(),
            newest: None,
            committed: None,
            compactor: Compactor::new(limits),
            _lock: lock,
        })
    }

    /// Makes the state at the end of `epoch` durable: the state before it, then `deltas` in their order (one a worker; the
    /// workers' keys do not overlap). When it returns, every byte and every name is on disk, and nothing points to it.
    ///
    /// Errors: a full disk or any other failure; the epoch has then left nothing that counts, and `deltas` may be handed in
    /// again. [`CheckpointError::Tables`] when `meta.tables` does not begin with those of the state before.
    ///
    pub fn persist(&mut self, epoch: Epoch, deltas: &[Delta], meta: Meta) -> Result<Pointer, CheckpointError> {
        self.persist_named(epoch, deltas, meta, |_| ())
    }

    /// As [`Store::persist`]. `named` hears the pointer as soon as it is known, before what it points to is durable: whoever hands it on
    /// must be able to take it back until this returns.
    ///
    /// The order of these lines is the guarantee: files before the manifest that names them.
    pub fn persist_named(
        &mut self,
        epoch: Epoch,
        deltas: &[Delta],
        meta: Meta,
        named: impl FnOnce(&Pointer),
    ) -> Result<Pointer, CheckpointError> {
        if !meta.tables.starts_with(&self.tables) {
            return Err(CheckpointError::Tables { found: meta.tables, expected: self.tables.clone() });
        }
        let mut files = self.files.clone();
        let unneeded = self.compactor.finish_into(&mut files);
        failpoint("persist.before-files");
        let (delta, written) = self.write_delta(epoch, deltas)?.unzip();
        files.extend(written.clone());
        let manifest = Manifest::new(&self.pipeline, epoch, self.newest.clone(), files, meta);
        let name = self.name("manifest", epoch, "json");
        let (bytes, pointer) = manifest.encode(&self.dir, &name)?;
        named(&pointer);
        delta.map_or(Ok(()), Writer::sync)?;
        failpoint("persist.after-files");
        let done = folder::write_atomically(&self.dir, &name, &bytes, || failpoint("persist.before-manifest-rename"));
        failpoint("persist.after-manifest-rename");
        if let Err(error) = done {
            // On a full disk every byte counts. Best effort: `forget_before` removes what no manifest names.
            for name in written.iter().map(|it| &it.name).chain([&name]) {
                let _ = folder::remove(&self.dir, name);
            }
            return Err(error);
        }
        // Nothing below can fail.
        self.files = manifest.files;
        self.tables = manifest.meta.tables;
        self.newest = Some(Parent { epoch, manifest: name });
        if let Some(name) = unneeded {
            let _ = folder::remove(&self.dir, &name);
        }
        self.merge_if_due(epoch);
        failpoint("persist.done");
        Ok(pointer)
    }

    /// Says that `pointer` is committed, durably: an atomic rename of `CURRENT`.
    ///
    /// Where nothing else is the commit point, this is it. Where a Kafka transaction is, it is a copy that only tells that
    /// there is committed state here.
    pub fn mark_committed(&mut self, pointer: &Pointer) -> Result<(), CheckpointError> {
        let text = format!("{pointer}\n");
        folder::write_atomically(&self.dir, CURRENT, text.as_bytes(), || failpoint("current.before-rename"))?;
        failpoint("current.after-rename");
        self.note_committed(pointer)
    }

    /// Says that `pointer` is committed elsewhere, in memory alone: from now on [`Store::forget_before`] may forget what is
    /// older than its parent.
    pub fn note_committed(&mut self, pointer: &Pointer) -> Result<(), CheckpointError> {
        let manifest = Manifest::load(&self.dir, pointer)?;
        self.committed = Some((pointer.epoch, manifest.parent.map_or(pointer.epoch, |it| it.epoch)));
        Ok(())
    }

    /// What [`Store::mark_committed`] wrote last, by this process or one before.
    pub fn current(&self) -> Result<Option<Pointer>, CheckpointError> {
        let path = self.dir.join(CURRENT);
        match std::fs::read_to_string(&path) {
            Ok(text) => text.trim_end().parse().map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CheckpointError::io("read", &path, error)),
        }
    }

    /// Goes back to the committed checkpoint `pointer`: checks every byte that it names, and lets the next epoch build on it.
    /// What was persisted after it no longer counts.
    ///
    /// Errors: a file that is missing, damaged or of another version, or a manifest of another pipeline.
    pub fn restore(&mut self, pointer: &Pointer) -> Result<Restored, CheckpointError> {
        let manifest = Manifest::load(&self.dir, pointer)?;
        if manifest.pipeline != self.pipeline {
            return Err(CheckpointError::OtherPipeline {
                path: self.dir.join(&pointer.manifest),
                found: manifest.pipeline,
                expected: self.pipeline.clone(),
            });
        }
        for file in &manifest.files {
            format::check(&self.dir, file)?;
        }
        // Nothing below can fail.
        self.files = manifest.files.clone();
        self.tables = manifest.meta.tables.clone();
        self.newest = Some(Parent { epoch: pointer.epoch, manifest: pointer.manifest.clone() });
        let parent = manifest.parent.as_ref().map_or(pointer.epoch, |it| it.epoch);
        self.committed = Some((pointer.epoch, parent));
        Ok(Restored { manifest, dir: self.dir.clone() })
    }

    /// Goes back to the empty state: where no epoch was ever committed.
    pub fn restore_nothing(&mut self) {
        self.files.clear();
        self.tables.clear();
        self.newest = None;
    }

    /// Deletes checkpoints older than `epoch`, and every file that no kept one names. Returns how many files went.
    ///
    /// The newest committed checkpoint, its parent and everything persisted since are kept, whatever `epoch` says; nothing
    /// is deleted before something is committed. Errors are of no consequence: the files are found again at the next call.
    pub fn forget_before(&mut self, epoch: Epoch) -> Result<usize, CheckpointError> {
        let Some((_, parent)) = self.committed else { return Ok(0) };
        let keep_from = epoch.min(parent);
        let names = folder::names(&self.dir)?;
        let mut needed: HashSet<String> = self.files.iter().map(|it| it.name.clone()).collect();
        needed.extend(self.compactor.in_use().map(str::to_owned));
        let mut old = Vec::new();
        for (name, epoch) in names.iter().filter_map(|it| Some((it, manifest_epoch(it)?))) {
            if epoch < keep_from {
                old.push(name);
            } else {
                needed.extend(Manifest::peek(&self.dir, name)?.files.into_iter().map(|it| it.name));
            }
        }
        // Manifests first: a manifest whose files are gone must never be found.
        for name in &old {
            folder::remove(&self.dir, name)?;
        }
        failpoint("forget.after-manifests");
        let unneeded: Vec<_> = names.iter().filter(|it| it.ends_with(".snap") && !needed.contains(*it)).collect();
        for name in &unneeded {
            folder::remove(&self.dir, name)?;
        }
        Ok(old.len() + unneeded.len())
    }

    /// Bytes of the state's files: what a restore would read now.
    pub fn state_bytes(&self) -> u64 {
        self.files.iter().map(|it| it.bytes).sum()
    }

    /// One file for all workers: a sync costs more than the bytes of a small delta, and an epoch waits for each.
    fn write_delta(
        &mut self,
        epoch: Epoch,
        deltas: &[Delta],
    ) -> Result<Option<(Writer, SnapshotFile)>, CheckpointError> {
        if deltas.iter().all(Delta::is_empty) {
            return Ok(None);
        }
        let name = self.name("delta", epoch, "snap");
        let mut writer = Writer::create(self.dir.join(name), epoch)?;
        for delta in deltas {
            writer.append(delta.bytes(), delta.len())?;
        }
        let file = writer.complete(FileKind::Delta)?;
        Ok(Some((writer, file)))
    }

    fn merge_if_due(&mut self, epoch: Epoch) {
        self.serial += 1;
        let (run, serial) = (&self.run, self.serial);
        self.compactor.start_if_due(&self.dir, &self.files, epoch, |kind| {
            let kind = if kind == FileKind::Base { "base" } else { "run" };
            file_name(kind, epoch, run, serial, "snap")
        });
    }

    fn name(&mut self, kind: &str, epoch: Epoch, extension: &str) -> String {
        self.serial += 1;
        file_name(kind, epoch, &self.run, self.serial, extension)
    }
}

/// Zeros before the epoch, so that names sort by it.
fn file_name(kind: &str, epoch: Epoch, run: &str, serial: u64, extension: &str) -> String {
    format!("{kind}-{:012}-{run}-{serial}.{extension}", epoch.0)
}

impl Restored {
    /// Hands over the entries that count, one a key, without those that are deleted, by table, group and key. No more of them
    /// is in memory than the deltas that wait to be merged.
    ///
    /// Errors: those of `apply`, and of reading.
    pub fn visit<E: From<CheckpointError>>(&self, mut apply: impl FnMut(Entry<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut merged = Merged::open(&self.dir, &self.manifest.files)?;
        while let Some(entry) = merged.peek().map_err(|found| CheckpointError::damaged(&self.dir, found))? {
            if entry.value.is_some() {
                apply(entry)?;
            }
            merged.advance()?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
