//! Measures how long a job with much state takes to catch up after `kill -9`, ours and others.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;
use wasmill_bench::machine::{Memory, machine};
use wasmill_bench::recovery::job::{Job, STATE_BYTES};
use wasmill_bench::recovery::run::{Found, Place, run};
use wasmill_bench::recovery::systems::{SYSTEMS, System};
use wasmill_tests::kafka::{self, Broker};
use wasmill_tests::settings;

/// Measures a keyed count and sum with 1 KiB of state a key, exactly once with a commit every second: filled, killed (-9) once all of it
/// is committed, and started again, how long until the last record that came meanwhile is committed.
///
/// Starts a broker, or uses the one that WASMILL_TEST_KAFKA names (host:port). Others than wasmill need a JDK and Maven.
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary to measure, a release build [default: wasmill beside this one]
    #[arg(long, value_name = "FILE")]
    wasmill: Option<PathBuf>,

    /// State, MiB: so many thousand keys, about
    #[arg(long, value_name = "MIB", default_value_t = 1_024)]
    state_mib: u64,

    /// Records of known keys before the kill, and again while nothing runs
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    updates: u64,

    /// Partitions of the topics
    #[arg(long, value_name = "N", default_value_t = 2)]
    partitions: u32,

    /// How often each system runs, in turns; the median is printed, and the spread
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: usize,

    /// The JVM's heap, of Flink and Kafka Streams
    #[arg(long, value_name = "SIZE", default_value = "4g")]
    heap: String,

    /// Also write the table to this file, Markdown
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,

    /// Systems to run [default: wasmill, with and without a bound of memory]
    #[arg(value_name = "SYSTEM", value_parser = SYSTEMS.iter().map(|it| it.id).chain(["all"]).collect::<Vec<_>>())]
    only: Vec<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.partitions > 0 && arguments.runs > 0, "a topic has a partition, and a system at least one run");
    ensure!(arguments.state_mib > 0, "there is no state to lose");
    let Arguments { updates, partitions, runs, .. } = arguments;
    let job = Job { keys: (arguments.state_mib << 20) / STATE_BYTES, updates, missed: updates, partitions };
    let wasmill = arguments.wasmill.clone().unwrap_or_else(settings::wasmill).canonicalize().context("--wasmill")?;
    let bench = Bench { wasmill, plugin: settings::plugin("recovery-count"), job, broker: kafka::shared(), arguments };
    let systems = bench.systems();
    let (expected, before) = (job.expected(), Memory::read());
    let mut rows: Vec<Vec<Result<Found>>> = systems.iter().map(|_| Vec::new()).collect();
    // In turns: a machine is not as fast from one minute to the next.
    for turn in 0..runs {
        for (system, row) in systems.iter().zip(&mut rows) {
            eprintln!("{}, {} of {runs}", system.name, turn + 1);
            let found = bench.run(system);
            row.push(found.and_then(|it| {
                ensure!(it.digest == expected, "wrote {}, expected {expected}", it.digest);
                Ok(it)
            }));
        }
    }
    let mut text = bench.heading(before, Memory::read());
    let ours = rows.first().and_then(|it| median(it, |it| it.caught_up));
    for (system, row) in systems.iter().zip(&rows) {
        text.push_str(&line(system, row, ours.filter(|_| systems.first().is_some_and(|it| it.is_ours()))));
    }
    print!("{text}");
    for error in rows.iter().flatten().filter_map(|it| it.as_ref().err()) {
        eprintln!("{error:#}");
    }
    if let Some(file) = &bench.arguments.results {
        std::fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    ensure!(rows.iter().flatten().all(Result::is_ok), "not every run was good");
    Ok(())
}

/// What all runs have in common.
struct Bench {
    wasmill: PathBuf,
    plugin: PathBuf,
    job: Job,
    broker: &'static Broker,
    arguments: Arguments,
}

impl Bench {
    fn systems(&self) -> Vec<&'static System> {
        let only = &self.arguments.only;
        let chosen = |it: &&System| match &only[..] {
            [] => it.is_ours(),
            _ => only.iter().any(|only| only == it.id || only == "all"),
        };
        SYSTEMS.iter().filter(chosen).collect()
    }

    /// Runs a system with new topics and in a new folder, all of which are gone afterwards.
    fn run(&self, system: &System) -> Result<Found> {
        let folder = tempfile::Builder::new().prefix("wasmill-recovery-").tempdir()?;
        let topic = |stem: &str| self.broker.topic(stem, self.job.partitions as i32);
        let (from, to) = (topic("recovery-in"), topic("recovery-out"));
        let place = Place {
            wasmill: &self.wasmill,
            plugin: &self.plugin,
            brokers: self.broker.address(),
            from: &from,
            to: &to,
            folder: folder.path(),
            heap: &self.arguments.heap,
        };
        let found = run(system, &self.job, &place);
        if found.is_ok() {
            system.leaves(&place).iter().chain([&from, &to]).for_each(|it| self.broker.delete_topic(it));
        }
        found.with_context(|| system.name)
    }

    fn heading(&self, before: Memory, after: Memory) -> String {
        let Job { keys, updates, missed, partitions } = self.job;
        format!(
            "# Recovery\n\n{}, {} MB of memory, {} of them available at the start, {} pages swapped out meanwhile\n\n{keys} keys of 1 KiB in \
             {partitions} partitions, {updates} more records before `kill -9` and {missed} after it; exactly once with a commit every \
             second, one worker, a heap of {} for others. The median of {} runs (and their spread); the outputs are equal.\n\n\
             | system | caught up s | ratio | first output s | CPU s | peak memory MB | state on disk MB | filled in s |\n\
             |---|---|---|---|---|---|---|---|\n",
            machine(),
            before.total_bytes / 1_000_000,
            before.available_bytes / 1_000_000,
            after.swapped_pages - before.swapped_pages,
            self.arguments.heap,
            self.arguments.runs
        )
    }
}

/// The median of what the good runs have found; none where one was bad.
fn median<T: Ord + Copy>(row: &[Result<Found>], of: impl Fn(&Found) -> T) -> Option<T> {
    let mut found: Vec<T> = row.iter().map(|it| it.as_ref().ok().map(&of)).collect::<Option<_>>()?;
    found.sort_unstable();
    found.get(found.len() / 2).copied()
}

/// A line of the table. The ratio is to what `ours` took.
fn line(system: &System, row: &[Result<Found>], ours: Option<Duration>) -> String {
    let seconds = |of: fn(&Found) -> Duration| median(row, of).map_or(f64::NAN, |it| it.as_secs_f64());
    let Some(caught_up) = median(row, |it| it.caught_up) else {
        return format!("| {} | failed | - | - | - | - | - | - |\n", system.name);
    };
    let all = || row.iter().flatten().map(|it| it.caught_up);
    let spread = all()
        .min()
        .zip(all().max())
        .map_or_else(String::new, |(least, most)| format!(" ({:.2}-{:.2})", least.as_secs_f64(), most.as_secs_f64()));
    let ratio = ours.map_or_else(|| "-".to_owned(), |it| format!("{:.1}", caught_up.as_secs_f64() / it.as_secs_f64()));
    let megabytes = |of: fn(&Found) -> u64| median(row, of).unwrap_or(0) / 1_000_000;
    format!(
        "| {} | {:.2}{spread} | {ratio} | {:.2} | {:.1} | {} | {} | {:.1} |\n",
        system.name,
        caught_up.as_secs_f64(),
        seconds(|it| it.first),
        seconds(|it| it.cpu),
        megabytes(|it| it.resident_bytes_max),
        megabytes(|it| it.state_bytes),
        seconds(|it| it.loaded)
    )
}
