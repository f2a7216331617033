//! Measures Nexmark's queries from Kafka to Kafka, and checks what they wrote.

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use std::path::PathBuf;
use wasmill_bench::machine::machine;
use wasmill_bench::nexmark::digest::Digest;
use wasmill_bench::nexmark::events::{Events, time_ms};
use wasmill_bench::nexmark::queries::{QUERIES, Query, SWEEP};
use wasmill_bench::nexmark::run::{Used, run};
use wasmill_bench::topic;
use wasmill_tests::kafka::{self, Broker};
use wasmill_tests::settings;

/// Measures Nexmark's queries: events per CPU-second of the process, all threads, and the digest of the output.
///
/// Starts a broker, or uses the one that WASMILL_TEST_KAFKA names (host:port).
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary to measure, a release build [default: wasmill beside this one]
    #[arg(long, value_name = "FILE")]
    wasmill: Option<PathBuf>,

    /// Events in the topic
    #[arg(long, value_name = "N", default_value_t = 4_000_000)]
    events: u64,

    /// Partitions of the topics
    #[arg(long, value_name = "N", default_value_t = 2)]
    partitions: u32,

    /// How often each query runs; the run with the least CPU time is printed, and the spread
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: u32,

    /// `exactly-once` or `at-least-once`
    #[arg(long, value_name = "GUARANTEE", default_value = "exactly-once")]
    delivery: String,

    /// Queries to run: q0, q1, q2, q5c, q11, q12e, and hop-10s, hop-1s, hop-100ms, which are q5c with windows of 60 s
    /// [default: q0 to q12e]
    #[arg(value_name = "QUERY", value_parser = QUERIES.iter().chain(SWEEP).map(|it| it.name).collect::<Vec<_>>())]
    only: Vec<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.partitions > 0 && arguments.runs > 0, "a topic has a partition, and a query at least one run");
    let wasmill = arguments.wasmill.clone().unwrap_or_else(settings::wasmill);
    let bench = Bench {
        wasmill: wasmill.canonicalize().context("--wasmill")?,
        plugins: settings::plugin("nexmark-bids").parent().context("the plugins' folder")?.to_owned(),
        folder: tempfile::Builder::new().prefix("wasmill-nexmark-").tempdir()?,
        broker: kafka::shared(),
        arguments,
    };
    let Arguments { events, partitions, runs, delivery, only, .. } = &bench.arguments;
    println!("{}\n", machine());
    let from = bench.broker.topic("nexmark", *partitions as i32);
    let mut made = Events::default();
    topic::fill_with(bench.broker, &from, *partitions, *events, |index, value| {
        value.extend_from_slice(made.make(index));
        time_ms(index)
    })?;
    println!("{events} events in {partitions} partitions, {delivery}, the best of {runs} runs\n");
    println!("| query | thousand events per CPU-second | after the first fifth | spread | peak memory MB | output |");
    println!("|---|---|---|---|---|---|");
    let chosen = |it: &&Query| only.iter().any(|only| only == it.name);
    let all: Vec<&Query> =
        if only.is_empty() { QUERIES.iter().collect() } else { QUERIES.iter().chain(SWEEP).filter(chosen).collect() };
    for query in all {
        println!("{}", bench.row(query, &from)?);
    }
    Ok(())
}

/// What all runs have in common.
struct Bench {
    wasmill: PathBuf,
    plugins: PathBuf,
    folder: tempfile::TempDir,
    broker: &'static Broker,
    arguments: Arguments,
}

impl Bench {
    fn row(&self, query: &Query, from: &str) -> Result<String> {
        let events = self.arguments.events;
        self.run(query, from)?; // It compiles the plugin into the cache, where the others find it.
        let runs = (0..self.arguments.runs).map(|_| self.run(query, from)).collect::<Result<Vec<_>>>()?;
        let (best, digest) = runs.iter().min_by_key(|it| it.0.cpu).context("a run")?;
        if let Some((_, other)) = runs.iter().find(|it| it.1 != *digest) {
            bail!("{}: two runs wrote different outputs: {digest}, {other}", query.name);
        }
        let verdict = match query.known(events) {
            Some(known) if known == *digest => "as known",
            Some(known) => bail!("{}: wrote {digest}, expected {known}", query.name),
            None => "not known",
        };
        let (whole, after) = best.per_cpu_second(events);
        let worst = runs.iter().map(|it| it.0.per_cpu_second(events).0).fold(f64::MAX, f64::min);
        Ok(format!(
            "| {} | {:.0} | {} | {:.0}-{:.0} | {} | {digest}: {verdict} |",
            query.name,
            whole / 1e3,
            after.map_or_else(|| "-".to_owned(), |it| format!("{:.0}", it / 1e3)),
            worst / 1e3,
            whole / 1e3,
            best.resident_bytes_max / 1_000_000,
        ))
    }

    /// Runs a query with a new output topic and new state.
    fn run(&self, query: &Query, from: &str) -> Result<(Used, Digest)> {
        let Arguments { events, partitions, delivery, .. } = &self.arguments;
        let name = kafka::unique(&format!("nexmark-{}", query.name));
        let settings = [("message.timestamp.type", "LogAppendTime")];
        let to = self.broker.topic_with("nexmark-out", *partitions as i32, &settings);
        let at = |file: &str| self.folder.path().join(file);
        let brokers = self.broker.address();
        std::fs::write(at("pipeline.toml"), query.pipeline(&name, delivery, brokers, from, &to, &self.plugins))?;
        let used = run(&self.wasmill, &at("pipeline.toml"), &at("data"), &at("log"), *events)?;
        let (digest, _) = Digest::of_topic(brokers, &to)?;
        self.broker.delete_topic(&to);
        Ok((used, digest))
    }
}
