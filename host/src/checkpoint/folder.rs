//! A folder whose changes are durable when a call returns, held by one process at a time.

use super::CheckpointError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// A folder that is this process's alone, until this is dropped or the process dies, however that happens.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Unlocks rather than leave it to closing: a child process that is being started at this moment holds a copy of the
    /// file until it runs its own program, and would keep the lock that long.
    fn drop(&mut self) {
        let _ = self.0.unlock(); // Closing does the same a little later.
    }
}

/// Takes the folder for this process, and makes it where it is not there.
pub(super) fn lock(dir: &Path) -> Result<Lock, CheckpointError> {
    fs::create_dir_all(dir).map_err(|it| CheckpointError::io("create", dir, it))?;
    let path = dir.join("LOCK");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|it| CheckpointError::io("open", &path, it))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The id is a courtesy: a holder that has not yet written it is still a holder.
            let pid = file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
            return Err(CheckpointError::InUse { dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(CheckpointError::io("lock", &path, error)),
    }
    let pid = format!("{}\n", std::process::id());
    // As above: a full disk must not keep a pipeline from reading its state.
    let _ = file.set_len(0).and_then(|()| file.write_all(pid.as_bytes()));
    Ok(Lock(file))
}

/// Makes the names in the folder durable.
pub(super) fn sync(dir: &Path) -> Result<(), CheckpointError> {
    File::open(dir).and_then(|it| it.sync_all()).map_err(|it| CheckpointError::io("sync", dir, it))
}

/// Writes `bytes` under `name`, whole or not at all, and durably: a file beside it, sync, `before_rename`, rename, sync of
/// the folder.
pub(super) fn write_atomically(
    dir: &Path,
    name: &str,
    bytes: &[u8],
    before_rename: impl FnOnce(),
) -> Result<(), CheckpointError> {
    let aside = dir.join(format!("{name}.tmp"));
    let written = (|| {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(&aside); // Nothing names it; it is removed at the next start too.
        return Err(CheckpointError::io("write", &aside, error));
    }
    before_rename();
    fs::rename(&aside, dir.join(name)).map_err(|it| CheckpointError::io("rename", &aside, it))?;
    sync(dir)
}

/// The names of the files in the folder, sorted.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, CheckpointError> {
    let read = || -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // Every name that a store gives is ASCII; what is not is somebody else's.
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    };
    read().map_err(|it| CheckpointError::io("list", dir, it))
}

/// Removes `name`; that it is gone already is no error.
pub(super) fn remove(dir: &Path, name: &str) -> Result<(), CheckpointError> {
    let path = dir.join(name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CheckpointError::io("remove", &path, error)),
        _ => Ok(()),
    }
}
