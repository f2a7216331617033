//! The data directory: one daemon at a time, and files that are there whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The folders of a data directory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`, with every folder made and what was under way when the last daemon ended removed.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let layout = Layout { root: root.to_owned() };
        let uploads = layout.uploads();
        match fs::remove_dir_all(&uploads) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(&uploads, error)),
            _ => {}
        }
        for dir in [uploads, layout.components(), layout.versions(), layout.pipelines(), layout.state(), layout.cache()]
        {
            fs::create_dir_all(&dir).map_err(|error| named(&dir, error))?;
        }
        Ok(layout)
    }

    /// Uploads under way. Emptied at the start.
    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Components, by digest.
    pub(super) fn components(&self) -> PathBuf {
        self.root.join("plugins/components")
    }

    /// A folder for each plugin's name, with a file for each version.
    pub(super) fn versions(&self) -> PathBuf {
        self.root.join("plugins/versions")
    }

    /// A file for each pipeline: what was asked for.
    pub(super) fn pipelines(&self) -> PathBuf {
        self.root.join("pipelines")
    }

    /// A folder for each pipeline: checkpoints.
    pub(super) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Compiled plugins. May be removed while no daemon runs.
    pub(super) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The component with this digest.
    pub(super) fn component(&self, digest: &str) -> PathBuf {
        self.components().join(format!("{digest}.wasm"))
    }
}

/// A data directory that is this daemon's alone, until this is dropped or the process dies.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Writes the address down for whoever comes second.
    pub(super) fn note(&self, address: &str) {
        let holder = format!("process {} at {address}\n", std::process::id());
        // A courtesy: a full disk is found out by what needs the disk.
        let _ = self.0.set_len(0).and_then(|()| self.0.write_all_at(holder.as_bytes(), 0));
    }
}

impl Drop for Lock {
    /// Unlocks rather than leave it to closing: a child that is being started holds a copy of the file for a moment.
    fn drop(&mut self) {
        let _ = self.0.unlock(); // Closing does the same a little later.
    }
}

/// Takes the data directory `root`, and makes it where it is missing. `address` is written down for whoever comes second.
///
/// # Errors
/// Another daemon holds it, with its process id and address; or the disk refuses.
pub(super) fn lock(root: &Path, address: &str) -> io::Result<Lock> {
    fs::create_dir_all(root).map_err(|error| named(root, error))?;
    let path = root.join("LOCK");
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.as_mut().map_err(|error| named(&path, io::Error::new(error.kind(), error.to_string())))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // A holder that has not yet written who it is is still a holder.
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { "another daemon" } else { holder.trim() };
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("the data directory {} is held by {holder}; stop it, or set another data_dir", root.display()),
            ));
        }
        Err(TryLockError::Error(error)) => return Err(named(&path, error)),
    }
    let lock = Lock(file.try_clone()?);
    lock.note(address);
    Ok(lock)
}

/// `error` with the path that it is about.
pub(super) fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The folder of a file; `.` for a name alone.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a folder durable.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir).and_then(|it| it.sync_all()).map_err(|error| named(dir, error))
}

/// Writes a file whole or not at all, and durably: beside it, sync, rename, sync of the folder.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = parent(path);
    let aside = path.with_extension("tmp");
    let write = || -> io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    if let Err(error) = write() {
        let _ = fs::remove_file(&aside); // Nothing names it; it is removed at the next start too.
        return Err(named(path, error));
    }
    sync(dir)
}

/// Moves a file that was synced under its final name, durably.
pub(super) fn publish(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to).map_err(|error| named(to, error))?;
    sync(parent(to))
}

/// Removes a file durably; that it is gone already is no error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, error)),
        _ => sync(parent(path)),
    }
}

/// The files of a folder with the extension `extension`, sorted. What was being written when a daemon ended is removed.
pub(super) fn files(dir: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| named(dir, error))? {
        let path = entry?.path();
        match path.extension().and_then(|it| it.to_str()) {
            Some("tmp") => remove(&path)?,
            Some(found) if found == extension => files.push(path),
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_holds_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path(), "127.0.0.1:7878").unwrap();
        let error = lock(dir.path(), "127.0.0.1:1").unwrap_err().to_string();
        assert!(error.contains(&format!("process {} at 127.0.0.1:7878", std::process::id())), "{error}");
        drop(first);
        lock(dir.path(), "127.0.0.1:1").unwrap();
    }

    #[test]
    fn what_was_being_written_is_removed_at_the_next_look() {
        let dir = tempfile::tempdir().unwrap();
        write_atomically(&dir.path().join("a.json"), b"{}").unwrap();
        fs::write(dir.path().join("b.tmp"), b"{").unwrap();
        assert_eq!(files(dir.path(), "json").unwrap(), [dir.path().join("a.json")]);
        assert!(!dir.path().join("b.tmp").exists());
    }
}
