//! The checkpoints of a pipeline that are on disk, as far as a folder tells: read beside whoever writes them.

use super::record::state_dir;
use crate::checkpoint::{Manifest, Pointer};
use crate::daemon::api::{Checkpoint, Position};
use crate::daemon::disk::{self, Layout};
use jiff::Timestamp;
use std::io;
use std::path::Path;

/// Manifests that are read, the newest ones.
const SHOWN_MAX: usize = 20;

/// The newest checkpoints of the pipeline `name`, the newest first. `committed` is the last epoch that it committed, as far as
/// is known apart from the folder.
pub(super) fn list(layout: &Layout, name: &str, committed: u64) -> io::Result<Vec<Checkpoint>> {
    let dir = state_dir(layout, name);
    let current = match std::fs::read_to_string(dir.join("CURRENT")) {
        Ok(text) => text.parse::<Pointer>().ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(disk::named(&dir, error)),
    };
    let mut manifests = match std::fs::read_dir(&dir) {
        Ok(entries) => entries
            .filter_map(|it| it.ok()?.file_name().into_string().ok())
            .filter(|it| it.starts_with("manifest-") && it.ends_with(".json"))
            .collect::<Vec<_>>(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(disk::named(&dir, error)),
    };
    let committed = current.map_or(0, |it| it.epoch.0).max(committed);
    manifests.sort_by_key(|it| std::cmp::Reverse(epoch_of(it)));
    let read = |it: String| read(&dir, it, committed);
    // One that is removed in the meantime is none any more.
    Ok(manifests.into_iter().take(SHOWN_MAX).filter_map(read).collect())
}

fn epoch_of(manifest: &str) -> u64 {
    manifest.split('-').nth(1).and_then(|it| it.parse().ok()).unwrap_or_default()
}

fn read(dir: &Path, manifest: String, committed: u64) -> Option<Checkpoint> {
    let path = dir.join(&manifest);
    let found: Manifest = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    let written = path.metadata().and_then(|it| it.modified()).ok().and_then(|it| Timestamp::try_from(it).ok());
    let positions = found.meta.positions.iter().flat_map(|(source, partitions)| {
        partitions.iter().map(|(partition, position)| Position {
            source: source.clone(),
            partition: partition.clone(),
            next_offset: position.next_offset,
        })
    });
    Some(Checkpoint {
        epoch: found.epoch.0,
        committed: found.epoch.0 <= committed,
        files: found.files.len() as u64,
        bytes: found.files.iter().map(|it| it.bytes).sum(),
        entries: found.files.iter().map(|it| it.entries).sum(),
        positions: positions.collect(),
        written_at: written,
        manifest,
    })
}
