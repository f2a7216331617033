//! What was asked for, on disk: a file for each pipeline, renamed into place, so that everything comes back by itself.

use crate::daemon::api::{Desired, HistoryEntry, Pin};
use crate::daemon::disk::{self, Layout};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// A pipeline as it was deployed, and what is wanted of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its name, as in the definition.
    pub(super) name: String,
    /// Counts deployments under this name, from 1.
    pub(super) revision: u64,
    /// The pipeline file, TOML.
    pub(super) definition: String,
    /// The plugins that it names.
    pub(super) pins: Vec<Pin>,
    /// What is wanted of it.
    pub(super) desired: Desired,
    /// True until the first commit of a pipeline whose state was thrown away: what was committed under its name before does
    /// not count.
    #[serde(default)]
    pub(super) begins_anew: bool,
    /// When it was deployed.
    pub(super) deployed_at: Timestamp,
    /// By whom.
    pub(super) deployed_by: String,
    /// An upgrade that is under way: written before the engine begins it, and gone when it is known what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) upgrading: Option<Upgrading>,
    /// What was done, the latest last.
    #[serde(default)]
    pub(super) history: Vec<HistoryEntry>,
}

/// What a record becomes if an upgrade is accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Upgrading {
    /// The definition.
    pub(super) definition: String,
    /// The plugins that it names.
    pub(super) pins: Vec<Pin>,
    /// Its place in the history.
    pub(super) entry: HistoryEntry,
}

/// Entries of a history that are kept.
const HISTORY_MAX: usize = 100;

impl Record {
    /// Adds to the history; the oldest entry goes where it is full.
    pub(super) fn note(&mut self, entry: HistoryEntry) {
        self.history.push(entry);
        let excess = self.history.len().saturating_sub(HISTORY_MAX);
        self.history.drain(..excess);
    }

    /// The number of the next entry of the history.
    pub(super) fn next_number(&self) -> u64 {
        self.history.last().map_or(1, |it| it.number + 1)
    }

    /// Whether it uses a version, or is about to.
    pub(super) fn uses(&self, name: &str, version: &str) -> bool {
        let next = self.upgrading.iter().flat_map(|it| &it.pins);
        self.pins.iter().chain(next).any(|it| it.name == name && it.version == version)
    }

    /// Reads all records, by name.
    ///
    /// # Errors
    /// A file cannot be read, or says what cannot be; it is named.
    pub(super) fn read_all(layout: &Layout) -> io::Result<Vec<Record>> {
        disk::files(&layout.pipelines(), "json")?.iter().map(|it| Record::read(it)).collect()
    }

    fn read(file: &Path) -> io::Result<Record> {
        let bytes = std::fs::read(file).map_err(|error| disk::named(file, error))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| disk::named(file, io::Error::new(io::ErrorKind::InvalidData, error.to_string())))
    }

    /// Writes the record, whole or not at all.
    pub(super) fn write(&self, layout: &Layout) -> io::Result<()> {
        disk::write_atomically(&file(layout, &self.name), &serde_json::to_vec_pretty(self)?)
    }

    /// Removes the record of the pipeline `name`.
    pub(super) fn remove(layout: &Layout, name: &str) -> io::Result<()> {
        disk::remove(&file(layout, name))
    }
}

fn file(layout: &Layout, name: &str) -> PathBuf {
    layout.pipelines().join(format!("{name}.json"))
}

/// Tells that the state of a pipeline was thrown away, until it is deployed again: what was committed under its name
/// elsewhere (a consumer group's offsets) does not count then.
pub(super) fn discarded(layout: &Layout, name: &str) -> PathBuf {
    layout.state().join(format!("{name}.discarded"))
}

/// The folder of a pipeline's checkpoints.
pub(super) fn state_dir(layout: &Layout, name: &str) -> PathBuf {
    layout.state().join(name)
}
