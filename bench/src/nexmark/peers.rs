//! Other systems over the same topic: `bench/peers/run.sh`, in configurations of which the best one counts.

use super::run::Used;
use crate::clock::{now, unix_ms};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use wasmill_tests::settings;

/// A configuration of a system.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// `flink` or `streams`.
    pub system: &'static str,
    /// What tables call it.
    pub name: &'static str,
    /// Options of `run.sh`.
    options: &'static [&'static str],
    /// Only queries with state differ by it.
    of_state: bool,
}

/// All of them. State on the heap and in RocksDB; Kafka Streams' windows emitted by the store or by a buffer behind it.
pub const PEERS: &[Peer] = &[
    Peer { system: "flink", name: "Flink, heap", options: &["store=memory"], of_state: false },
    Peer { system: "flink", name: "Flink, RocksDB", options: &["store=rocksdb"], of_state: true },
    Peer { system: "streams", name: "Streams, memory", options: &["store=memory"], of_state: false },
    Peer { system: "streams", name: "Streams, RocksDB", options: &["store=rocksdb"], of_state: true },
    Peer {
        system: "streams",
        name: "Streams, RocksDB, suppressed",
        options: &["store=rocksdb", "emit=suppress"],
        of_state: true,
    },
];

impl Peer {
    /// Whether it is worth running for a query: `q0`, `q1` and `q2` have no state. Kafka Streams' sessions that the store emits
    /// take minutes for a million events.
    pub fn runs(&self, query: &str) -> bool {
        let stateless = matches!(query, "q0" | "q1" | "q2");
        let hopeless = query == "q11" && self.system == "streams" && !self.options.contains(&"emit=suppress");
        let unlike = query == "shuffle" && self.options.contains(&"emit=suppress"); // It has no windows.
        let endless = query == "hop-100ms"; // 600 windows a record.
        !(hopeless || endless || unlike || stateless && self.of_state)
    }

    /// Runs a query over `events` events from one topic to another, exactly once or not. What it says goes to `log`.
    ///
    /// # Errors
    /// It does not start, ends with another code than 0, or has not read everything.
    pub fn run(
        &self,
        brokers: &str,
        query: &str,
        exactly_once: bool,
        topics: (&str, &str),
        log: &Path,
        events: u64,
    ) -> Result<Used> {
        let mut command = Command::new(settings::repository().join("bench/peers/run.sh"));
        command.args([self.system, brokers, query, topics.0, topics.1]).arg(format!("exactly_once={exactly_once}"));
        command.args(self.options).stdin(Stdio::null()).stderr(File::create(log)?);
        let (started, started_ms) = (now(), unix_ms());
        let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
        let wall = started.elapsed();
        let text = String::from_utf8_lossy(&output.stdout);
        let log = || std::fs::read_to_string(log).unwrap_or_default();
        ensure!(output.status.success(), "{command:?} ended with {}\n{text}{}", output.status, log());
        let told = text.lines().next_back().context("it said nothing")?;
        let figure = |name: &str| {
            let found = told.split_once(&format!("\"{name}\":")).map(|it| it.1);
            let digits = found.and_then(|it| it.split([',', '}']).next());
            digits.and_then(|it| it.parse::<u64>().ok()).with_context(|| format!("no {name} in {told}"))
        };
        ensure!(figure("taken")? >= events, "{command:?} read {} of {events} events", figure("taken")?);
        Ok(Used {
            wall,
            started_ms,
            commit_ms: None,
            cpu: Duration::from_millis(figure("cpu_ms")?),
            warm: Some((figure("warm_events")?, Duration::from_millis(figure("warm_cpu_ms")?))),
            resident_bytes_max: figure("peak_kib")? * 1024,
        })
    }
}
