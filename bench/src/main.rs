//! Measures whole pipelines: fills a topic, runs the release binary over it to its end, and prints what that took.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::path::PathBuf;
use std::process::Command;
use wasmill_bench::child::{self, Used};
use wasmill_bench::machine::machine;
use wasmill_bench::scenarios::{SCENARIOS, Scenario};
use wasmill_bench::{records, topic};
use wasmill_tests::kafka::{self, Broker};
use wasmill_tests::settings;

/// Measures pipelines from Kafka to Kafka: records per CPU-second of the process, all threads.
///
/// Starts a broker, or uses the one that WASMILL_TEST_KAFKA names (host:port).
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary to measure, a release build [default: wasmill beside this one]
    #[arg(long, value_name = "FILE")]
    wasmill: Option<PathBuf>,

    /// Records in the topic
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    records: u64,

    /// Partitions of the topics
    #[arg(long, value_name = "N", default_value_t = 4)]
    partitions: u32,

    /// How often each scenario runs; the one with the least CPU time is printed
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: u32,

    /// Which reader fetches from Kafka
    #[arg(long, value_parser = ["auto", "native", "librdkafka"], default_value = "auto")]
    fetch: String,

    /// Which producer writes to Kafka
    #[arg(long, value_parser = ["auto", "native", "librdkafka"], default_value = "auto")]
    produce: String,

    /// Scenarios to run [default: all]
    #[arg(value_name = "SCENARIO", value_parser = SCENARIOS.iter().map(|it| it.name).collect::<Vec<_>>())]
    only: Vec<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.partitions > 0, "a topic has at least one partition");
    let bench = Bench {
        wasmill: arguments.wasmill.unwrap_or_else(settings::wasmill).canonicalize().context("--wasmill")?,
        plugins: settings::plugin("large-amounts").parent().context("the plugins' folder")?.to_owned(),
        folder: tempfile::Builder::new().prefix("wasmill-bench-").tempdir()?,
        broker: kafka::shared(),
        partitions: arguments.partitions,
        fetch: arguments.fetch,
        produce: arguments.produce,
    };
    println!("{}\n", machine());
    let (full, empty) = (bench.topic("bench-in"), bench.topic("bench-empty"));
    topic::fill(bench.broker, &full, arguments.partitions, arguments.records)?;
    println!(
        "{} records of {} bytes in {} partitions, fetch = {}, produce = {}, least of {} runs; start: CPU seconds with nothing to read\n",
        arguments.records,
        records::RECORD_BYTES,
        arguments.partitions,
        bench.fetch,
        bench.produce,
        arguments.runs
    );
    println!(
        "| scenario | written | wall s | CPU s | of which start | records per CPU-second | target | peak memory MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for scenario in
        SCENARIOS.iter().filter(|it| arguments.only.is_empty() || arguments.only.iter().any(|only| only == it.name))
    {
        // The first run compiles the plugin into the cache, where the others find it.
        bench.run(scenario, &empty, 0)?;
        let start = bench.run(scenario, &empty, 0)?.0;
        let mut best: Option<(Used, u64)> = None;
        for _ in 0..arguments.runs {
            let run = bench.run(scenario, &full, arguments.records)?;
            best = best.filter(|it| it.0.cpu <= run.0.cpu).or(Some(run));
        }
        if let Some((used, written)) = best {
            println!("{}", row(scenario, arguments.records, written, start, used));
        }
    }
    Ok(())
}

/// What all runs have in common.
struct Bench {
    wasmill: PathBuf,
    plugins: PathBuf,
    folder: tempfile::TempDir,
    broker: &'static Broker,
    partitions: u32,
    fetch: String,
    produce: String,
}

impl Bench {
    fn topic(&self, stem: &str) -> String {
        self.broker.topic(stem, self.partitions as i32)
    }

    /// Runs a scenario over the `records` records of `from` with a new output topic and new state: what it used, and how many records it wrote.
    fn run(&self, scenario: &Scenario, from: &str, records: u64) -> Result<(Used, u64)> {
        let name = kafka::unique(&format!("bench-{}", scenario.name));
        let to = self.topic("bench-out");
        let file = self.folder.path().join("pipeline.toml");
        std::fs::write(&file, scenario.pipeline(&name, self.broker.address(), from, &to, &self.plugins))?;
        let mut command = Command::new(&self.wasmill);
        command.arg("run").arg(&file).args(["--until-end", "--workers", "1", "--data-dir"]);
        command.arg(self.folder.path().join("data"));
        command.arg("--set").arg(format!("sources.payments.fetch={}", self.fetch));
        command.arg("--set").arg(format!("sinks.out.produce={}", self.produce));
        let log = self.folder.path().join("log");
        let used = child::run(command, &log)?;
        self.broker.delete_topic(&to);
        let log = std::fs::read_to_string(log)?;
        let read = figure(&log, "records_in")?;
        ensure!(read == records, "{read} of {records} records were read:\n{log}");
        Ok((used, figure(&log, "records_out")?))
    }
}

/// `NAME=FIGURE` in the last line of the log that has it, which is the closing summary.
fn figure(log: &str, name: &str) -> Result<u64> {
    let found = log.rsplit_once(&format!(" {name}=")).and_then(|it| it.1.split_whitespace().next());
    found.and_then(|it| it.parse().ok()).with_context(|| format!("no {name} in the summary:\n{log}"))
}

fn row(scenario: &Scenario, records: u64, written: u64, start: Used, used: Used) -> String {
    let million = |it: f64| format!("{:.2} million", it / 1e6);
    format!(
        "| `{}`: {} | {written} | {:.2} | {:.2} | {:.2} | {} | {} | {} |",
        scenario.name,
        scenario.what,
        used.wall.as_secs_f64(),
        used.cpu.as_secs_f64(),
        start.cpu.as_secs_f64(),
        million(records as f64 / used.cpu.as_secs_f64()),
        scenario.target.map_or_else(|| "-".to_owned(), million),
        used.resident_bytes_max / 1_000_000,
    )
}
