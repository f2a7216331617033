//! `wasmill.toml`: the daemon's own configuration, as written, then checked into [`Settings`] in which nothing is left to
//! decide. Every key has a default; no file at all is a configuration too.

mod connections;
mod document;
mod secret;

pub use connections::Connection;
pub use secret::Secret;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A component as it is uploaded, in bytes; no setting allows more.
pub const UPLOAD_BYTES_MAX: u64 = 128 << 20;

/// The daemon's configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where requests are taken.
    pub listen: SocketAddr,
    /// Where plugins, pipelines and their state are kept.
    pub data_dir: PathBuf,
    /// The folders that file connectors may use; a relative path of a pipeline is below the first.
    pub files: Vec<PathBuf>,
    /// How long the last checkpoints may take when the daemon stops.
    pub stop_within: Duration,
    /// True where log lines are JSON.
    pub log_json: bool,
    /// The file with the tokens; none where everybody who reaches the daemon may do everything.
    pub tokens: Option<PathBuf>,
    /// Certificate and key, PEM; none for plain HTTP.
    pub tls: Option<Tls>,
    /// What requests and pipelines may use.
    pub limits: Limits,
    /// Kafka clusters by name.
    pub connections: BTreeMap<String, Connection>,
}

/// Certificate and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The chain, PEM.
    pub certificate: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

/// What requests and pipelines may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A component, in bytes.
    pub upload_bytes_max: u64,
    /// Connections at a time.
    pub connections_max: usize,
    /// Uploads at a time; others wait.
    pub uploads_max: usize,
    /// Wall time of compiling a component and opening it.
    pub compile_time_max: Duration,
    /// CPU time of the same.
    pub compile_cpu_max: Duration,
    /// Address space of the process that compiles, in bytes.
    pub compile_bytes_max: u64,
    /// Pipelines.
    pub pipelines_max: usize,
    /// Worker threads of each pipeline.
    pub workers: NonZeroUsize,
}

/// What the command line says over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
}

/// All that is wrong with the daemon's configuration, a line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsError(Vec<String>);

impl Settings {
    /// Reads and checks the file at `path`; none for the defaults. Relative paths in it are below its folder.
    ///
    /// # Errors
    /// All that is wrong, each with its key, what was found and what was expected.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Settings, SettingsError> {
        let Some(path) = path else { return document::check("", Path::new(""), "the defaults", overrides) };
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| SettingsError(vec![format!("{file}: cannot be read: {error}")]))?;
        document::check(&text, path.parent().unwrap_or(Path::new("")), &file, overrides)
    }

    /// The keys in which `new` differs that a running daemon cannot change.
    pub(super) fn fixed_differences(&self, new: &Settings) -> Vec<&'static str> {
        let differs = [
            ("listen", self.listen != new.listen),
            ("data_dir", self.data_dir != new.data_dir),
            ("log", self.log_json != new.log_json),
            ("tls", self.tls != new.tls),
            ("limits.connections_max", self.limits.connections_max != new.limits.connections_max),
            ("limits.uploads_max", self.limits.uploads_max != new.limits.uploads_max),
        ];
        differs.into_iter().filter(|it| it.1).map(|it| it.0).collect()
    }
}

#[cfg(test)]
mod tests;
