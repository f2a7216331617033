//! Files as a sink: `part-<epoch>-<writer>.jsonl` under a folder, each there whole or not at all.
//!
//! Lines go to a hidden staged file. A barrier seals it (on disk, and named in the manifest), and once the manifest is
//! the committed one the file is renamed to its final name. So the manifest is the commit point and the rename can be
//! repeated:
//!
//! | staged | final | [`FileSink::publish`]                                     |
//! |--------|-------|-----------------------------------------------------------|
//! | there  | -     | renames                                                   |
//! | -      | there | done before; its length is checked                        |
//! | there  | there | error: another pipeline, or an earlier life, wrote it     |
//! | -      | -     | error: someone removed it                                 |
//!
//! At a start ([`FileSink::publish_again`]) what is no longer staged was published before, and is its reader's: it may have
//! been moved away or changed since, which is told and no error.

use super::LineBreak;
use super::lines;
use crate::batch::RawRows;
use crate::config::Format;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Lines are kept up to here before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// A file that is sealed and not yet, or no longer, hidden. A manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Its hidden name in the folder, which is never used again.
    pub staged: String,
    /// The name that it is published under.
    pub published: String,
    /// Its length.
    pub bytes: u64,
    /// CRC-32C of its bytes.
    pub crc: u32,
}

/// Why files cannot be written or published.
#[derive(Debug, thiserror::Error)]
pub enum FileSinkError {
    /// The disk, or a quota, is full.
    #[error(
        "{path}: the disk is full ({cause}); free some space and start the pipeline again: it goes on from its last \
         checkpoint, and nothing is lost"
    )]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        cause: std::io::Error,
    },
    /// The operating system refused.
    #[error("{path}: cannot {action}: {cause}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// Someone else writes there.
    #[error(
        "{path}: there is such a file already, and it is not of this commit; give each pipeline an output folder of \
         its own, and a new one where it starts from nothing"
    )]
    Taken {
        /// The final name.
        path: PathBuf,
    },
    /// A committed file is gone, or is not what was committed.
    #[error(
        "{path}: {found}, expected {expected} bytes that were committed; restore the file, or replay from an earlier \
         checkpoint"
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// The committed length.
        expected: u64,
    },
    /// A file could not be written to the end before, and nothing more may follow.
    #[error("{path}: an earlier write failed; the epoch must be aborted")]
    Broken {
        /// The staged file.
        path: PathBuf,
    },
    /// See [`LineBreak`].
    #[error(transparent)]
    LineBreak(#[from] LineBreak),
}

impl FileSinkError {
    fn io(path: &Path, action: &'static str) -> impl Fn(std::io::Error) -> FileSinkError {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        move |cause| match cause.kind() {
            StorageFull | QuotaExceeded => FileSinkError::DiskFull { path: path.to_owned(), cause },
            _ => FileSinkError::Io { path: path.to_owned(), action, cause },
        }
    }
}

/// Writes one worker's rows of one sink.
#[derive(Debug)]
pub struct FileSink {
    folder: PathBuf,
    pipeline: String,
    writer: u32,
    format: Format,
    /// Where the search for an unused staged name starts.
    next: u64,
    open: Option<Stage>,
}

/// The staged file of the open epoch.
#[derive(Debug)]
struct Stage {
    name: String,
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    bytes: u64,
    crc: u32,
    broken: bool,
}

impl FileSink {
    /// A sink into `folder`, which is made where it is not there. `writer` tells the writers of one pipeline into one
    /// folder apart; `pipeline` keeps the staged files of several pipelines apart.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn open(folder: &Path, pipeline: &str, writer: u32, format: Format) -> Result<Self, FileSinkError> {
        std::fs::create_dir_all(folder).map_err(FileSinkError::io(folder, "make the folder"))?;
        let pipeline = pipeline.replace(['/', '\0'], "_");
        Ok(FileSink { folder: folder.to_owned(), pipeline, writer, format, next: 0, open: None })
    }

    /// Stages under other names than these, which the committed manifest holds, from now on. Call it at start: were a name
    /// taken again for what is not committed, [`FileSink::publish`] could not tell what lies under it.
    pub fn skip_names_of(&mut self, committed: &[Staged]) {
        let sequence = |it: &Staged| it.staged.rsplit('-').next()?.parse::<u64>().ok();
        self.next = committed.iter().filter_map(sequence).map(|it| it + 1).fold(self.next, u64::max);
    }

    /// Adds the rows' values as lines to the open epoch.
    ///
    /// # Errors
    /// Where the file cannot be written, after which the epoch can only be aborted; or a raw value is no line, in which
    /// case nothing of the rows was added.
    pub fn append(&mut self, rows: &RawRows) -> Result<(), FileSinkError> {
        if rows.records.is_empty() {
            return Ok(());
        }
        let stage = match &mut self.open {
            Some(stage) => stage,
            None => {
                let stage = Stage::create(&self.folder, &self.pipeline, self.writer, &mut self.next)?;
                self.open.insert(stage)
            }
        };
        lines::write(&mut stage.buffer, rows, self.format)?;
        if stage.buffer.len() >= BUFFER_BYTES { stage.flush() } else { Ok(()) }
    }

    /// Ends the epoch: its lines are on disk when this returns, under the name that is answered. None where there are
    /// none.
    ///
    /// # Errors
    /// Where the file cannot be written; the epoch can then only be aborted.
    pub fn seal(&mut self, epoch: u64) -> Result<Option<Staged>, FileSinkError> {
        let Some(stage) = &mut self.open else { return Ok(None) };
        stage.flush()?;
        stage.file.sync_all().map_err(FileSinkError::io(&stage.path, "sync it"))?;
        sync_folder(&self.folder)?; // The name has to outlive a crash as the bytes do.
        let sealed = Staged {
            staged: stage.name.clone(),
            published: format!("part-{epoch:012}-{}.jsonl", self.writer),
            bytes: stage.bytes,
            crc: stage.crc,
        };
        self.open = None;
        Ok(Some(sealed))
    }

    /// Throws the open epoch's lines away.
    pub fn abort(&mut self) {
        if let Some(stage) = self.open.take() {
            drop(std::fs::remove_file(&stage.path)); // What stays is removed by `discard_unknown` at the next start.
        }
    }

    /// [`FileSink::publish`] at a start, for the committed manifest. Answers the files that were published before and are
    /// no longer there as they were.
    ///
    /// # Errors
    /// Where a file that is still staged cannot be published.
    pub fn publish_again(folder: &Path, committed: &[Staged]) -> Result<Vec<PathBuf>, FileSinkError> {
        let mut taken = Vec::new();
        for file in committed {
            let published = folder.join(&file.published);
            if len(&folder.join(&file.staged))?.is_some() {
                FileSink::publish(folder, std::slice::from_ref(file))?;
            } else if len(&published)? != Some(file.bytes) {
                taken.push(published);
            }
        }
        Ok(taken)
    }

    /// Gives committed files their final names; what was published before is left as it is. Call it once the manifest
    /// that names them is committed.
    ///
    /// # Errors
    /// See the module's table. Calling it again is safe after any error.
    pub fn publish(folder: &Path, committed: &[Staged]) -> Result<(), FileSinkError> {
        for file in committed {
            let (staged, published) = (folder.join(&file.staged), folder.join(&file.published));
            match (len(&staged)?, len(&published)?) {
                (Some(bytes), None) if bytes == file.bytes => {
                    std::fs::rename(&staged, &published).map_err(FileSinkError::io(&published, "rename to it"))?;
                }
                (None, Some(bytes)) if bytes == file.bytes => {}
                (Some(_), Some(_)) => return Err(FileSinkError::Taken { path: published }),
                (Some(bytes), None) => return Err(lost(staged, Some(bytes), file.bytes)),
                (None, found) => return Err(lost(published, found, file.bytes)),
            }
        }
        if committed.is_empty() { Ok(()) } else { sync_folder(folder) }
    }

    /// Removes the staged files of `pipeline` that the committed manifest does not name. Call it at start, before any
    /// writer appends. Answers how many there were.
    ///
    /// # Errors
    /// Where the folder cannot be read or a file cannot be removed.
    pub fn discard_unknown(folder: &Path, pipeline: &str, committed: &[Staged]) -> Result<usize, FileSinkError> {
        let pipeline = pipeline.replace(['/', '\0'], "_");
        let entries = match std::fs::read_dir(folder) {
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(FileSinkError::io(folder, "list it"))?,
        };
        let mut removed = 0;
        for entry in entries {
            let name = entry.map_err(FileSinkError::io(folder, "list it"))?.file_name();
            let Some(name) = name.to_str() else { continue };
            if staged_by(name) == Some(&pipeline) && committed.iter().all(|it| it.staged != name) {
                let path = folder.join(name);
                std::fs::remove_file(&path).map_err(FileSinkError::io(&path, "remove it"))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        self.abort();
    }
}

impl Stage {
    /// A new staged file under a name that is not there: one that a committed manifest may still name is never written
    /// over.
    fn create(folder: &Path, pipeline: &str, writer: u32, next: &mut u64) -> Result<Self, FileSinkError> {
        loop {
            let name = format!(".stage-{pipeline}-{writer}-{next}");
            *next += 1;
            let path = folder.join(&name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Stage { name, path, file, buffer: Vec::new(), bytes: 0, crc: 0, broken: false }),
                Err(fault) if fault.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(fault) => return Err(FileSinkError::io(&path, "make it")(fault)),
            }
        }
    }

    fn flush(&mut self) -> Result<(), FileSinkError> {
        if self.broken {
            return Err(FileSinkError::Broken { path: self.path.clone() });
        }
        self.broken = true; // Part of a failed write may be in the file.
        self.file.write_all(&self.buffer).map_err(FileSinkError::io(&self.path, "write to it"))?;
        self.broken = false;
        self.crc = crc32c::crc32c_append(self.crc, &self.buffer);
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// The pipeline that a staged file's name says; none for other files.
fn staged_by(name: &str) -> Option<&str> {
    let mut parts = name.strip_prefix(".stage-")?.rsplitn(3, '-');
    let number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    let (sequence, writer, pipeline) = (parts.next()?, parts.next()?, parts.next()?);
    (number(sequence) && number(writer)).then_some(pipeline)
}

/// The length of a file; none where there is no such file.
fn len(path: &Path) -> Result<Option<u64>, FileSinkError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(FileSinkError::io(path, "look at it")(fault)),
    }
}

fn lost(path: PathBuf, found: Option<u64>, expected: u64) -> FileSinkError {
    let found = found.map_or("the file is gone".to_owned(), |bytes| format!("the file is {bytes} bytes long"));
    FileSinkError::Lost { path, found, expected }
}

fn sync_folder(folder: &Path) -> Result<(), FileSinkError> {
    File::open(folder).and_then(|it| it.sync_all()).map_err(FileSinkError::io(folder, "sync the folder"))
}

#[cfg(test)]
mod tests;
