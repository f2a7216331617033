//! Measures what a guarantee costs: throughput, and end-to-end latency under an even load.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use wasmill_bench::latency::load::Load;
use wasmill_bench::latency::quantiles::Quantiles;
use wasmill_bench::machine::machine;
use wasmill_bench::nexmark::run::{figure, run, so_far};
use wasmill_bench::topic;
use wasmill_tests::kafka::{self, Broker};
use wasmill_tests::settings;

/// Shares of the maximum that are measured.
const SHARES: [f64; 3] = [0.25, 0.5, 0.75];
/// How long the running pipeline has to start.
const START_MAX: Duration = Duration::from_secs(30);

/// Measures a filter in wasm from Kafka to Kafka that lets every record pass: for each guarantee its maximum, then the
/// latency at a quarter, half and three quarters of what it does while a sender and a reader use the same machine.
///
/// Starts a broker, or uses the one that WASMILL_TEST_KAFKA names (host:port).
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary to measure, a release build [default: wasmill beside this one]
    #[arg(long, value_name = "FILE")]
    wasmill: Option<PathBuf>,

    /// Records for the maximum
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    records: u64,

    /// Partitions of the topics
    #[arg(long, value_name = "N", default_value_t = 4)]
    partitions: u32,

    /// How often the maximum is measured with each commit interval, in turns: what a guarantee costs is less than one run differs from the next
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,

    /// Seconds that each load lasts, after 5 that do not count; 0 for the maximum alone
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u64,

    /// Commit intervals to measure, and `none` for at-least-once with a checkpoint every second
    #[arg(long, value_name = "DURATION", value_delimiter = ',', default_value = "none,1s,100ms,10ms")]
    commits: Vec<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.partitions > 0 && arguments.runs > 0,
        "a topic has a partition, and a maximum is of one run at least"
    );
    let wasmill = arguments.wasmill.clone().unwrap_or_else(settings::wasmill);
    let bench = Bench {
        wasmill: wasmill.canonicalize().context("--wasmill")?,
        plugin: settings::plugin("large-amounts"),
        folder: tempfile::Builder::new().prefix("wasmill-latency-").tempdir()?,
        broker: kafka::shared(),
        arguments,
    };
    println!("{}\n", machine());
    let full = bench.topic("latency-full");
    topic::fill(bench.broker, &full, bench.arguments.partitions, bench.arguments.records)?;
    bench.maxima(&full)?;
    if bench.arguments.seconds == 0 {
        return Ok(());
    }
    println!(
        "\n| guarantee | load, records a second | p50 ms | p90 ms | p99 ms | p99.9 ms | CPU ns a record | commit ms, p50 and p99 |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for commit in &bench.arguments.commits {
        bench.measure(commit)?;
    }
    Ok(())
}

/// What all runs have in common.
struct Bench {
    wasmill: PathBuf,
    plugin: PathBuf,
    folder: tempfile::TempDir,
    broker: &'static Broker,
    arguments: Arguments,
}

impl Bench {
    fn topic(&self, stem: &str) -> String {
        self.broker.topic(stem, self.arguments.partitions as i32)
    }

    /// Writes the pipeline file for new topics; answers where its output goes.
    fn pipeline(&self, commit: &str, from: &str) -> Result<String> {
        let (name, to) = (kafka::unique("latency"), self.topic("latency-out"));
        let (delivery, interval) = if commit == "none" { ("at-least-once", "1s") } else { ("exactly-once", commit) };
        let kafka = format!("connector = \"kafka\"\nbrokers = \"{}\"\ntopic =", self.broker.address());
        let plugin = self.plugin.display();
        let text = format!(
            "name = \"{name}\"\ndelivery = \"{delivery}\"\ncheckpoint_interval = \"{interval}\"\n[sources.payments]\n{kafka} \"{from}\"\n\
             [steps.large]\nfrom = \"payments\"\nplugin = \"{plugin}\"\nconfig = {{ min_amount = 0 }}\n[sinks.out]\nfrom = \
             \"large\"\n{kafka} \"{to}\"\n"
        );
        std::fs::write(self.folder.path().join("pipeline.toml"), text)?;
        Ok(to)
    }

    /// What each guarantee costs, over a topic that is full: the runs in turns, and each compared with that of the first guarantee in its turn.
    fn maxima(&self, full: &str) -> Result<()> {
        let Arguments { records, runs, ref commits, .. } = self.arguments;
        let at = |file: &str| self.folder.path().join(file);
        let mut taken = vec![Vec::new(); commits.len()];
        let mut most = vec![0.0_f64; commits.len()];
        // The first turn also compiles the plugin into the cache, and does not count.
        for turn in 0..=runs {
            // Each begins a turn as often as the others.
            for of in (0..commits.len()).map(|it| (it + turn) % commits.len()) {
                let to = self.pipeline(&commits[of], full)?;
                let used = run(&self.wasmill, &at("pipeline.toml"), &at("data"), &at("log"), records)?;
                self.broker.delete_topic(&to);
                if turn > 0 {
                    most[of] = most[of].max(records as f64 / used.wall.as_secs_f64());
                    taken[of].push(used.cpu.as_nanos() as f64 / records as f64);
                }
            }
        }
        println!(
            "| guarantee | the maximum, records a second | CPU ns a record, median | least and most | beside the first row, median of the turns |"
        );
        println!("|---|---|---|---|---|");
        for ((commit, taken_ns), most) in commits.iter().zip(&taken).zip(most) {
            let ratios = taken_ns.iter().zip(&taken[0]).map(|(it, first)| it / first).collect();
            let (least, largest) = taken_ns.iter().fold((f64::MAX, 0.0_f64), |(a, b), it| (a.min(*it), b.max(*it)));
            println!(
                "| {} | {most:.0} | {:.0} | {least:.0}, {largest:.0} | {:+.1} % |",
                guarantee(commit),
                median(taken_ns.clone()),
                (median(ratios) - 1.0) * 100.0
            );
        }
        Ok(())
    }

    fn measure(&self, commit: &str) -> Result<()> {
        let guarantee = guarantee(commit);
        let records = self.arguments.records;
        let (fed, _) = self.running(commit, |load, _| load.flat_out(records))?;
        println!("| {guarantee} | {fed:.0}, the maximum beside a sender and a reader | - | - | - | - | - | - |");
        for share in SHARES {
            println!("{}", self.row(commit, &guarantee, fed * share, share)?);
            println!("{}", self.bare_row(fed * share, share)?);
        }
        Ok(())
    }

    /// The same load where the reader reads what the sender wrote: what the machine and the broker take by themselves.
    fn bare_row(&self, rate: f64, share: f64) -> Result<String> {
        let topic = self.topic("latency-bare");
        let mut quantiles = Load { rate, ..self.load(&topic, &topic) }.run(|| Ok(()))?;
        self.broker.delete_topic(&topic);
        Ok(format!("| no pipeline between | {rate:.0}, {:.0} % | {} | - | - |", share * 100.0, shown(&mut quantiles)))
    }

    fn load<'a>(&'a self, from: &'a str, to: &'a str) -> Load<'a> {
        Load {
            brokers: self.broker.address(),
            from,
            to,
            partitions: self.arguments.partitions as i32,
            rate: 0.0,
            warm_up: Duration::from_secs(5),
            measured: Duration::from_secs(self.arguments.seconds),
        }
    }

    /// Runs the pipeline while `measure` has it under load; that is also given the pipeline's file of CPU time. And how long half of its commits took
    /// at most, and 99 of 100, ms.
    fn running<T>(
        &self,
        commit: &str,
        measure: impl FnOnce(Load<'_>, &str) -> Result<T>,
    ) -> Result<(T, Option<(f64, f64)>)> {
        let from = self.topic("latency-in");
        let to = self.pipeline(commit, &from)?;
        let file = self.folder.path().join("pipeline.toml");
        let mut run = Command::new(&self.wasmill);
        run.arg("run").arg(file).args(["--workers", "1", "--data-dir"]).arg(self.folder.path().join("data"));
        run.stdin(Stdio::null());
        let mut run = wasmill_tests::process::Run::start(run, self.folder.path(), &kafka::unique("latency"));
        run.wait_for_log("progress", START_MAX);
        let load = self.load(&from, &to);
        let measured = measure(load, &format!("/proc/{}/stat", run.pid()));
        run.signal(wasmill_tests::process::Signal::Terminate);
        let ended = run.wait(START_MAX).expect_code(0);
        let commit = |name: &str| ended.stderr.lines().rev().find_map(|it| figure::<f64>(it, name));
        let commits = commit("commit_ms_p50").zip(commit("commit_ms_p99"));
        [from, to].iter().for_each(|it| self.broker.delete_topic(it));
        Ok((measured?, commits))
    }

    fn row(&self, commit: &str, guarantee: &str, rate: f64, share: f64) -> Result<String> {
        let mut marks = Vec::new();
        let mut mark = |stat: &str| so_far(stat).map(|it| marks.push(it));
        let (mut quantiles, commits) = self.running(commit, |load, stat| Load { rate, ..load }.run(|| mark(stat)))?;
        let commits = commits.map_or_else(|| "-".to_owned(), |(half, most)| format!("{half}, {most}"));
        let cpu = match marks[..] {
            [begin, end] => end.saturating_sub(begin),
            _ => Duration::ZERO,
        };
        let per_record = cpu.as_nanos() as f64 / quantiles.count().max(1) as f64;
        let ms = shown(&mut quantiles);
        Ok(format!("| {guarantee} | {rate:.0}, {:.0} % | {ms} | {per_record:.0} | {commits} |", share * 100.0))
    }
}

/// As the tables call it.
fn guarantee(commit: &str) -> String {
    if commit == "none" { "at least once".to_owned() } else { format!("exactly once, {commit}") }
}

/// The middle one of some values, at least one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The quantiles' cells, ms.
fn shown(quantiles: &mut Quantiles) -> String {
    [0.5, 0.9, 0.99, 0.999].map(|it| format!("{:.1}", quantiles.at(it).as_secs_f64() * 1e3)).join(" | ")
}
