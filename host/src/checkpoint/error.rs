//! Why a checkpoint could not be written or read, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the checkpoint store. An epoch that fails leaves every earlier checkpoint as it was.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Another process, or another store of this one, holds the folder.
    #[error(
        "data directory {} is in use by {}; stop it, or choose another --data-dir",
        dir.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// The holder, where it has written its id.
        pid: Option<u32>,
    },
    /// The file system is full, or a quota or a file size limit is reached.
    #[error("no room to {action} {}; earlier checkpoints stay usable: free some space and start again", path.display())]
    Full {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Any other failure of the file system.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what was written to it.
    #[error(
        "{} is damaged: {found}; bring the file back from a copy of the data directory, or start without its state",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        found: String,
    },
    /// A file that a manifest or a pointer names is not there.
    #[error(
        "{} is missing, but {named_by} names it; bring the data directory back from a copy, or start without its state",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// What names it.
        named_by: String,
    },
    /// A file of another version of the format.
    #[error("{} is of format {found}, this wasmill reads format {expected}; use the version that wrote it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that is read.
        expected: u32,
    },
    /// A pointer that no wasmill of this version wrote.
    #[error(
        "`{text}` is not a pointer to a checkpoint: {found}; expected `wasmill/1 epoch=N manifest=NAME sha256=HEX`"
    )]
    Pointer {
        /// The text.
        text: String,
        /// What is wrong with it.
        found: String,
    },
    /// A manifest of another pipeline.
    #[error("{} belongs to pipeline `{found}`, not to `{expected}`; each pipeline needs a data directory of its own", path.display())]
    OtherPipeline {
        /// The manifest.
        path: PathBuf,
        /// The pipeline that wrote it.
        found: String,
        /// The pipeline that reads it.
        expected: String,
    },
    /// An epoch numbers its tables otherwise than the state that it builds on.
    #[error("tables are [{}], but the restored state begins with [{}]: new ones go to the end", found.join(", "), expected.join(", "))]
    Tables {
        /// The names handed in.
        found: Vec<String>,
        /// The names in the manifest before.
        expected: Vec<String>,
    },
    /// A token for file names that would not make a file name.
    #[error("run token `{0}` must be 1 to 32 ASCII letters or digits")]
    RunToken(String),
}

impl CheckpointError {
    /// Wraps what the system said about `action` on `path`.
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                CheckpointError::Full { action, path, source }
            }
            _ => CheckpointError::Io { action, path, source },
        }
    }

    /// Says that `path` does not hold what was written to it.
    pub(super) fn damaged(path: &Path, found: impl Into<String>) -> Self {
        CheckpointError::Damaged { path: path.to_owned(), found: found.into() }
    }
}
