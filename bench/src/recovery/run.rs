//! One run of one system: filled, killed, started again.

use super::job::Job;
use super::reader::Reader;
use super::systems::System;
use crate::child::Endless;
use crate::clock::now;
use crate::nexmark::digest::Digest;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// What a run is about.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The binary to measure.
    pub wasmill: &'a Path,
    /// Our side of the job.
    pub plugin: &'a Path,
    /// `host:port`.
    pub brokers: &'a str,
    /// The topic of the records.
    pub from: &'a str,
    /// The topic of what is written; also the name of the job.
    pub to: &'a str,
    /// A folder of this run's own.
    pub folder: &'a Path,
    /// A JVM's heap, as `-Xmx` has it.
    pub heap: &'a str,
}

/// What a run has shown.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// From the first start until everything before the kill was committed.
    pub loaded: Duration,
    /// From the second start until the first line was to be read.
    pub first: Duration,
    /// From the second start until the last line was to be read.
    pub caught_up: Duration,
    /// User and system time of all threads from the second start until then.
    pub cpu: Duration,
    /// Resident memory at its peak since the second start, bytes.
    pub resident_bytes_max: u64,
    /// Files of its state when it was killed, bytes.
    pub state_bytes: u64,
    /// Of everything that was to be read.
    pub digest: Digest,
}

/// Does the job with a new topic of records and a new one of lines, both of which are left.
///
/// # Errors
/// The system ends by itself, or something does not come out.
pub fn run(system: &System, job: &Job, place: &Place<'_>) -> Result<Found> {
    let mut reader = Reader::new(place.brokers, place.to, job.partitions)?;
    job.write(place.brokers, place.from, 0..job.before())?;
    let started = now();
    let mut child = Endless::start(system.command(place)?, &place.folder.join("log"))?;
    let (_, loaded) = reader.read_until(job.before(), || child.is_running())?;
    child.kill()?;
    let state_bytes = bytes(&system.state(place))?;
    job.write(place.brokers, place.from, job.before()..job.all())?;
    let again = now();
    let mut child = Endless::start(system.command(place)?, &place.folder.join("log-again"))?;
    let (first, last) = reader.read_until(job.all(), || child.is_running())?;
    let used = child.kill()?;
    Ok(Found {
        loaded: loaded - started,
        first: first - again,
        caught_up: last - again,
        cpu: used.cpu,
        resident_bytes_max: used.resident_bytes_max,
        state_bytes,
        digest: reader.digest,
    })
}

/// The files in a folder, bytes.
fn bytes(folder: &Path) -> Result<u64> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0), // All of it is in memory.
        other => other.with_context(|| folder.display().to_string())?,
    };
    let mut all = 0;
    for entry in entries {
        let entry = entry?;
        let about = entry.metadata()?;
        all += if about.is_dir() { bytes(&entry.path())? } else { about.len() };
    }
    Ok(all)
}
