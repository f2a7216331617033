//! Measures Nexmark's queries and ShuffleBench's job from Kafka to Kafka, and checks what they wrote.

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use std::path::PathBuf;
use wasmill_bench::machine::machine;
use wasmill_bench::nexmark::digest::Digest;
use wasmill_bench::nexmark::events::{Events, time_ms};
use wasmill_bench::nexmark::peers::{PEERS, Peer};
use wasmill_bench::nexmark::queries::{Input, QUERIES, Query, SWEEP};
use wasmill_bench::nexmark::random;
use wasmill_bench::nexmark::run::{Used, run};
use wasmill_bench::topic;
use wasmill_tests::kafka::{self, Broker};
use wasmill_tests::settings;

/// Measures Nexmark's queries and ShuffleBench's job: events per CPU-second of the process, all threads, and the digest of the output.
///
/// Starts a broker, or uses the one that WASMILL_TEST_KAFKA names (host:port).
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary to measure, a release build [default: wasmill beside this one]
    #[arg(long, value_name = "FILE")]
    wasmill: Option<PathBuf>,

    /// Events in the topic; `shuffle` reads a quarter as many records of 1 KiB, in one partition
    #[arg(long, value_name = "N", default_value_t = 4_000_000)]
    events: u64,

    /// Partitions of the topics
    #[arg(long, value_name = "N", default_value_t = 2)]
    partitions: u32,

    /// How often each query runs; the run with the least CPU time is printed, and the spread
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: u32,

    /// The guarantee, with a checkpoint or commit every second
    #[arg(long, value_name = "GUARANTEE", value_parser = ["exactly-once", "at-least-once"], default_value = "exactly-once")]
    delivery: String,

    /// Also run other systems over the same topic, once each: flink, streams (needs a JDK and Maven)
    #[arg(long, value_name = "SYSTEM", value_delimiter = ',', value_parser = ["flink", "streams"])]
    peers: Vec<String>,

    /// Also write the table to this file, Markdown
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,

    /// Queries to run: q0, q1, q2, q5c, q11, q12e, shuffle, and hop-10s, hop-1s, hop-100ms, which are q5c with windows of 60 s
    /// [default: q0 to shuffle]
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
    let mut report = Report::default();
    report.say("# Nexmark and ShuffleBench\n");
    report.say(&format!("{}\n", machine()));
    report.say(&format!(
        "{events} events in {partitions} partitions, {delivery} with a commit every second, one worker; of wasmill the best of {runs} runs \
         (and the worst), of others one. Thousand events per CPU-second of the process, all threads.\n"
    ));
    report.say(
        "First output: from the start of the process until the broker has the first record. Commits: half of them, and 99 of 100, took at \
         most so long.\n",
    );
    report.say(
        "| query | system | whole run | after the first fifth | ratio | peak memory MB | first output s | commit ms | output |",
    );
    report.say("|---|---|---|---|---|---|---|---|---|");
    let chosen = |it: &&Query| only.iter().any(|only| only == it.name);
    let all: Vec<&Query> =
        if only.is_empty() { QUERIES.iter().collect() } else { QUERIES.iter().chain(SWEEP).filter(chosen).collect() };
    let mut inputs: Vec<(Input, String)> = Vec::new();
    for query in all {
        if !inputs.iter().any(|it| it.0 == query.input) {
            inputs.push((query.input, bench.fill(query.input)?));
        }
        let from = inputs.iter().find(|it| it.0 == query.input).map(|it| &*it.1);
        bench.rows(query, from.context("its topic")?, &mut report)?;
    }
    match &bench.arguments.results {
        Some(file) => std::fs::write(file, report.text).with_context(|| file.display().to_string()),
        None => Ok(()),
    }
}

/// What was found: said as it is found, and kept.
#[derive(Default)]
struct Report {
    text: String,
}

impl Report {
    fn say(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }
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
    /// A topic of `input`.
    fn fill(&self, input: Input) -> Result<String> {
        let (partitions, records) = (input.partitions(self.arguments.partitions), input.records(self.arguments.events));
        let topic = self.broker.topic("nexmark", partitions as i32);
        let mut made = Events::default();
        topic::fill_with(self.broker, &topic, partitions, records, |index, value| {
            match input {
                Input::Nexmark => value.extend_from_slice(made.make(index)),
                Input::Random => random::append(index, value),
            }
            time_ms(index)
        })?;
        Ok(topic)
    }

    /// Prints the line of a query, and one of each other system.
    fn rows(&self, query: &Query, from: &str, report: &mut Report) -> Result<()> {
        let (events, runs) = (query.input.records(self.arguments.events), self.arguments.runs);
        let asked = |it: &&Peer| self.arguments.peers.iter().any(|name| name == it.system) && it.runs(query.name);
        let peers: Vec<_> = PEERS.iter().filter(asked).collect();
        self.run(query, from)?; // It compiles the plugin into the cache, where the others find it.
        // In turns: a machine is not as fast from one minute to the next.
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for turn in 0..peers.len().max(runs as usize) {
            if turn < runs as usize {
                ours.push(self.run(query, from)?);
                progress(query.name, "wasmill", ours.last(), events);
            }
            if let Some(peer) = peers.get(turn) {
                theirs.push((peer, self.run_peer(peer, query, from)?));
                progress(query.name, peer.name, theirs.last().map(|it| &it.1), events);
            }
        }
        ours.sort_by_key(|it| it.used.cpu);
        let (Some(best), Some(worst)) = (ours.first(), ours.last()) else { bail!("no run") };
        let expected = query.known(events).unwrap_or(best.digest);
        if let Some(other) = ours.iter().find(|it| it.digest != expected) {
            bail!("{}: wrote {}, expected {expected}", query.name, other.digest);
        }
        let spread = format!("{:.0}-{:.0}", rate(&worst.used, events).0, rate(&best.used, events).0);
        let known = if query.known(events).is_some() { "as known" } else { "the same in every run" };
        let output = format!("{}, {known}", best.digest);
        report.say(&row((query.name, "wasmill"), &spread, best, &best.used, events, &output));
        for (peer, found) in theirs {
            let equal = found.digest == best.digest;
            let output = if equal { "equal".to_owned() } else { format!("DIFFERS: {}", found.digest) };
            let whole = format!("{:.0}", rate(&found.used, events).0);
            report.say(&row((query.name, peer.name), &whole, &found, &best.used, events, &output));
        }
        Ok(())
    }

    /// A topic for output, whose timestamps are the broker's.
    fn output(&self) -> String {
        let settings = [("message.timestamp.type", "LogAppendTime")];
        self.broker.topic_with("nexmark-out", self.arguments.partitions as i32, &settings)
    }

    fn run_peer(&self, peer: &Peer, query: &Query, from: &str) -> Result<Found> {
        let (events, delivery) = (query.input.records(self.arguments.events), &self.arguments.delivery);
        let (to, brokers) = (self.output(), self.broker.address());
        let log = self.folder.path().join("log");
        let used = peer.run(brokers, query.name, delivery == "exactly-once", (from, &to), &log, events)?;
        self.found(used, &to)
    }

    /// Runs a query with a new output topic and new state.
    fn run(&self, query: &Query, from: &str) -> Result<Found> {
        let (events, delivery) = (query.input.records(self.arguments.events), &self.arguments.delivery);
        let name = kafka::unique(&format!("nexmark-{}", query.name));
        let to = self.output();
        let at = |file: &str| self.folder.path().join(file);
        let brokers = self.broker.address();
        std::fs::write(at("pipeline.toml"), query.pipeline(&name, delivery, brokers, from, &to, &self.plugins))?;
        let used = run(&self.wasmill, &at("pipeline.toml"), &at("data"), &at("log"), events)?;
        self.found(used, &to)
    }

    /// What is in the topic `to`, which is gone then.
    fn found(&self, used: Used, to: &str) -> Result<Found> {
        let (digest, first_ms) = Digest::of_topic(self.broker.address(), to)?;
        self.broker.delete_topic(to);
        Ok(Found { used, digest, first_ms })
    }
}

/// What a run has shown.
struct Found {
    used: Used,
    digest: Digest,
    /// When the broker had the first record, ms since the Unix epoch.
    first_ms: Option<i64>,
}

/// Says what a run has found: all of a query's may take twenty minutes.
fn progress(query: &str, system: &str, found: Option<&Found>, events: u64) {
    if let Some(Found { used, .. }) = found {
        let (wall, rate) = (used.wall.as_secs_f64(), rate(used, events).0);
        eprintln!("{query}, {system}: {wall:.1} s, {rate:.0} thousand events per CPU-second");
    }
}

/// Thousand events per CPU-second: as a whole, and after the first fifth.
fn rate(used: &Used, events: u64) -> (f64, Option<f64>) {
    let (whole, after) = used.per_cpu_second(events);
    (whole / 1e3, after.map(|it| it / 1e3))
}

/// A line of the table. The ratio is ours to theirs after the first fifth, when everything is warm.
fn row((query, system): (&str, &str), whole: &str, found: &Found, ours: &Used, events: u64, output: &str) -> String {
    let Found { used, first_ms, .. } = found;
    let (own, after) = (rate(ours, events), rate(used, events).1);
    let ratio = own.1.zip(after).map_or_else(|| "-".to_owned(), |(own, after)| format!("{:.1}", own / after));
    let after = after.map_or_else(|| "-".to_owned(), |it| format!("{it:.0}"));
    let peak = used.resident_bytes_max / 1_000_000;
    let first = first_ms.map_or_else(|| "-".to_owned(), |it| format!("{:.2}", (it - used.started_ms) as f64 / 1e3));
    let commit = used.commit_ms.map_or_else(|| "-".to_owned(), |(half, most)| format!("{half}, {most}"));
    format!("| {query} | {system} | {whole} | {after} | {ratio} | {peak} | {first} | {commit} | {output} |")
}
