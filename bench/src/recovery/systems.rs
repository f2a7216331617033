//! Who does the job, and how: each in the configurations of which the best one counts.

use super::run::Place;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;
use wasmill_tests::settings;

/// A configuration of a system.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// What the command line calls it.
    pub id: &'static str,
    /// What tables call it.
    pub name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// With what the pipeline file says of memory.
    Wasmill(&'static str),
    /// With an option of `bench/peers/run.sh`.
    Flink(&'static str),
    Streams(&'static str),
}

/// All of them; ours comes first.
pub const SYSTEMS: &[System] = &[
    System { id: "wasmill", name: "wasmill", kind: Kind::Wasmill("") },
    System {
        id: "wasmill-spilled",
        name: "wasmill, `memory = \"256MiB\"`",
        kind: Kind::Wasmill("memory = \"256MiB\""),
    },
    System { id: "flink-heap", name: "Flink, heap", kind: Kind::Flink("store=memory") },
    System { id: "flink-rocksdb", name: "Flink, RocksDB, incremental", kind: Kind::Flink("store=rocksdb") },
    System { id: "streams-memory", name: "Streams, memory", kind: Kind::Streams("store=memory") },
    System { id: "streams-rocksdb", name: "Streams, RocksDB", kind: Kind::Streams("store=rocksdb") },
];

impl System {
    /// True for ours.
    pub fn is_ours(&self) -> bool {
        matches!(self.kind, Kind::Wasmill(_))
    }

    /// What starts it, the first time and again.
    ///
    /// # Errors
    /// Its pipeline file cannot be written.
    pub fn command(&self, place: &Place<'_>) -> Result<Command> {
        let (system, option) = match self.kind {
            Kind::Wasmill(memory) => return wasmill(place, memory),
            Kind::Flink(option) => ("flink", option),
            Kind::Streams(option) => ("streams", option),
        };
        let mut command = Command::new(settings::repository().join("bench/peers/run.sh"));
        command.args([system, place.brokers, "recovery", place.from, place.to, option]);
        command.arg(format!("scratch={}", place.folder.display())).env("WASMILL_PEERS_HEAP", place.heap);
        Ok(command)
    }

    /// Where its state is in its folder.
    pub fn state(&self, place: &Place<'_>) -> PathBuf {
        place.folder.join(match self.kind {
            Kind::Wasmill(_) => "data",
            Kind::Flink(_) => "checkpoints",
            Kind::Streams(_) => place.to, // The application's name.
        })
    }

    /// A topic of its own that it leaves behind.
    pub fn leaves(&self, place: &Place<'_>) -> Option<String> {
        matches!(self.kind, Kind::Streams(_)).then(|| format!("{}-kept-changelog", place.to))
    }
}

fn wasmill(place: &Place<'_>, memory: &str) -> Result<Command> {
    let file = place.folder.join("pipeline.toml");
    let kafka = format!("connector = \"kafka\"\nbrokers = \"{}\"\ntopic =", place.brokers);
    let text = format!(
        "name = \"{to}\"\ncheckpoint_interval = \"1s\"\n{memory}\n[sources.updates]\n{kafka} \"{from}\"\n[steps.keep]\nfrom = \
         \"updates\"\nkey = \"key\"\nplugin = \"{plugin}\"\n[sinks.out]\nfrom = \"keep\"\n{kafka} \"{to}\"\n",
        to = place.to,
        from = place.from,
        plugin = place.plugin.display(),
    );
    std::fs::write(&file, text).with_context(|| file.display().to_string())?;
    let mut command = Command::new(place.wasmill);
    command.arg("run").arg(file).args(["--workers", "1", "--data-dir"]).arg(place.folder.join("data"));
    Ok(command)
}
