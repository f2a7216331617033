//! Why state could not be moved or brought back.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the scratch space. What was committed is not touched by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpillError {
    /// The file system is full, or a quota or a file size limit is reached.
    #[error(
        "no room in {} for state that does not fit into `memory`: {cause}; what was committed is kept: free some space or \
         raise `memory`, and start again",
        dir.display()
    )]
    Full {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Anything else.
    #[error(
        "state that was moved to {} cannot be written or read: {cause}; what was committed is kept: start again, and if it \
         comes again look at that disk",
        dir.display()
    )]
    Failed {
        /// The folder.
        dir: PathBuf,
        /// What went wrong.
        cause: String,
    },
}

impl SpillError {
    /// What the tree in `dir` said.
    pub(super) fn of_tree(dir: &Path, error: &lsm_tree::Error) -> Self {
        match error {
            lsm_tree::Error::Io(error) => SpillError::of_io(dir, error),
            other => SpillError::Failed { dir: dir.to_owned(), cause: format!("{other:?}") },
        }
    }

    /// What the system said of `dir`.
    pub(super) fn of_io(dir: &Path, error: &io::Error) -> Self {
        let (dir, cause) = (dir.to_owned(), error.to_string());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                SpillError::Full { dir, cause }
            }
            _ => SpillError::Failed { dir, cause },
        }
    }

    /// Bytes in `dir` that nobody here wrote.
    pub(super) fn damaged(dir: &Path) -> Self {
        SpillError::Failed { dir: dir.to_owned(), cause: "an entry is not what was written".to_owned() }
    }
}
