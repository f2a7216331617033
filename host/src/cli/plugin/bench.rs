//! `wasmill plugin bench`: what a component costs.

mod made_up;

use super::build::Format;
use super::check::article;
use super::records::Records;
use super::stop::Stop;
use super::subject::{self, Config, Limits};
use crate::cli::exit::Exit;
use crate::cli::report::grouped;
use clap::Args;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wasmill::batch::RawBatch;
use wasmill::pipeline::trial::{Called, Drill, TrialError, TrialOptions};
use wasmill::plugin::{Instance, Plugin, PluginEngine};

/// How often each batch size is measured.
const RUNS: u32 = 7;
/// Instances started to find out what starting costs.
const STARTS: u32 = 20;
/// Records made up, or read of the input: a batch has them again and again where it has more.
const RECORDS_MAX: usize = 4_096;

/// `wasmill plugin bench`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill plugin bench build/big-spender.wasm
  wasmill plugin bench build/big-spender.wasm --input records.jsonl --batch 1024 --seconds 10
  wasmill plugin bench build/silence.wasm --groups 1000 -o json | jq '.batches[].best_ns'

Without --input the records are made up of the fields that the plugin reads, the same ones each time. A rule that refuses
them, because it wants a time or a code in a text, is measured right only with records of its own.")]
pub(crate) struct Bench {
    /// The component, or the folder of a project that was built
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,

    /// Records to measure with, one JSON object a line; the first 4,096 are taken [default: made up]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// The plugin's config: a JSON object, or @FILE.json or @FILE.toml
    #[arg(long, value_name = "JSON", value_parser = subject::config)]
    config: Option<Config>,

    /// Records in a call
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,64,1024,4096")]
    batch: Vec<NonZeroUsize>,

    /// Keys in a call, of a keyed or aggregate plugin
    #[arg(long, value_name = "N", default_value = "64")]
    groups: NonZeroUsize,

    /// How long each batch size is measured
    #[arg(long, value_name = "N", default_value = "2")]
    seconds: f64,

    #[command(flatten)]
    limits: Limits,

    /// How the figures are written
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// The figures.
#[derive(Debug, Serialize)]
struct Figures {
    file: PathBuf,
    name: String,
    kind: &'static str,
    bytes: u64,
    /// Wall time, and CPU time of all threads.
    compile_ms: f64,
    compile_cpu_ms: f64,
    /// Wall time, the best of 20.
    instantiate_us: f64,
    open_us: f64,
    memory_start_bytes: usize,
    memory_end_bytes: usize,
    /// The most that an instance had, those replaced included.
    memory_max_bytes: usize,
    calls: u64,
    recycled: u64,
    replaced: u64,
    /// The input, or none where records were made up.
    input: Option<PathBuf>,
    batches: Vec<BatchFigures>,
}

/// The figures of one batch size, ns of CPU time of the thread for each record.
#[derive(Debug, Serialize)]
struct BatchFigures {
    rows: usize,
    groups: usize,
    best_ns: f64,
    median_ns: f64,
    /// Finishing the windows of an aggregate plugin, for each window.
    finish_ns: Option<f64>,
    rows_out: usize,
    rejects: usize,
}

/// Measures and says.
pub(crate) fn bench(options: &Bench) -> Exit {
    let figures = match measure(options) {
        Ok(figures) => figures,
        Err(stop) => return stop.report(),
    };
    let text = match options.output {
        Format::Json => serde_json::to_string(&figures).unwrap_or_default() + "\n",
        Format::Text => text(&figures),
    };
    // A reader that has closed the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Exit::Done
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn measure(options: &Bench) -> Result<Figures, Stop> {
    if !(options.seconds > 0.0 && options.seconds <= 3_600.0) {
        return Err(Stop::usage(format!("--seconds {}: expected more than 0 and at most 3600", options.seconds)));
    }
    let file = subject::component(&options.file)?;
    // Without the cache: what compiling costs is to be seen.
    let engine = PluginEngine::new(None)?;
    let (wall, cpu) = (Instant::now(), process_time());
    let plugin = Plugin::load(&engine, &file).map_err(|error| Stop::wrong(error.to_string()))?;
    let (compile, compile_cpu) = (wall.elapsed(), process_time().saturating_sub(cpu));
    let trial = TrialOptions {
        config: subject::config_or_empty(options.config.as_ref()),
        limits: options.limits.limits(),
        ..TrialOptions::default()
    };
    let (instantiate, open) = starts(&plugin, &trial)?;
    let mut drill = Drill::start(&plugin, &trial)?;
    let memory_start_bytes = drill.vitals().memory_bytes;
    let raw = match &options.input {
        Some(path) => first_records(path)?,
        None => made_up::records(&drill.opened().spec.reads, RECORDS_MAX),
    };
    let (mut batches, mut calls) = (Vec::new(), 0);
    for rows in &options.batch {
        drill.load(raw.clone(), rows.get(), options.groups.get())?;
        batches.push(batch(&mut drill, rows.get(), options.seconds, &mut calls)?);
    }
    let vitals = drill.vitals();
    Ok(Figures {
        bytes: std::fs::metadata(&file).map_or(0, |it| it.len()),
        file,
        name: drill.opened().info.name.clone(),
        kind: plugin.kind().name(),
        compile_ms: compile.as_secs_f64() * 1e3,
        compile_cpu_ms: compile_cpu.as_secs_f64() * 1e3,
        instantiate_us: instantiate.as_secs_f64() * 1e6,
        open_us: open.as_secs_f64() * 1e6,
        memory_start_bytes,
        memory_end_bytes: vitals.memory_bytes,
        memory_max_bytes: vitals.memory_bytes_max,
        calls,
        recycled: vitals.recycled,
        replaced: vitals.replaced,
        input: options.input.clone(),
        batches,
    })
}

/// The best times to instantiate, and to describe and open.
fn starts(plugin: &Plugin, options: &TrialOptions) -> Result<(Duration, Duration), Stop> {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..STARTS {
        let (instance, _) = Instance::start(plugin, &options.config, &options.limits)?;
        let started = instance.started();
        best = (best.0.min(started.instantiate), best.1.min(started.open));
    }
    Ok(best)
}

fn first_records(path: &Path) -> Result<RawBatch, Stop> {
    let unreadable = |error: &dyn std::fmt::Display| Stop::usage(format!("--input {}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
    let first = Records::new(file, RECORDS_MAX).next().map_err(|error| unreadable(&error))?;
    first.ok_or_else(|| unreadable(&"the file has no record"))
}

/// Measures one batch size: some calls to warm up and to learn how long one takes, then the runs.
fn batch(drill: &mut Drill, rows: usize, seconds: f64, calls: &mut u64) -> Result<BatchFigures, TrialError> {
    let mut last = Called::default();
    let mut timed = |drill: &mut Drill, count: u64| -> Result<Duration, TrialError> {
        let start = thread_time();
        for _ in 0..count {
            last = drill.call()?;
        }
        *calls += count;
        Ok(thread_time().saturating_sub(start))
    };
    let run_seconds = seconds / f64::from(RUNS + 1);
    let mut count = 1;
    let mut warm = timed(drill, count)?;
    while warm.as_secs_f64() < run_seconds / 4.0 && count < 1 << 30 {
        count *= 2;
        warm = timed(drill, count)?;
    }
    let count = ((count as f64 * run_seconds / warm.as_secs_f64().max(1e-9)) as u64).max(1);
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(timed(drill, count)?.as_secs_f64() * 1e9 / count as f64 / rows as f64);
    }
    runs.sort_by(f64::total_cmp);
    let finish_ns = finish(drill, run_seconds)?;
    Ok(BatchFigures {
        rows,
        groups: drill.groups(),
        best_ns: runs.first().copied().unwrap_or_default(),
        median_ns: runs.get(runs.len() / 2).copied().unwrap_or_default(),
        finish_ns,
        rows_out: last.rows_out,
        rejects: last.rejects,
    })
}

/// What finishing a window costs, where there are windows.
fn finish(drill: &mut Drill, seconds: f64) -> Result<Option<f64>, TrialError> {
    let start = thread_time();
    let mut windows = 0;
    while drill.finish()?.is_some() {
        windows += drill.groups();
        let time = thread_time().saturating_sub(start);
        if time.as_secs_f64() > seconds {
            return Ok(Some(time.as_secs_f64() * 1e9 / windows as f64));
        }
    }
    Ok(None)
}

/// CPU time of this thread.
fn thread_time() -> Duration {
    time(ClockId::ThreadCPUTime)
}

/// CPU time of all threads.
fn process_time() -> Duration {
    time(ClockId::ProcessCPUTime)
}

fn time(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// The figures for a person.
fn text(figures: &Figures) -> String {
    let mib = |bytes: usize| format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20));
    let mut lines = vec![
        format!("{}: {} plugin of {} bytes", figures.name, article(figures.kind), grouped(figures.bytes)),
        format!("  compile      {:.1} ms ({:.1} ms of CPU)", figures.compile_ms, figures.compile_cpu_ms),
        format!("  instantiate  {:.0} us, describe and open {:.0} us", figures.instantiate_us, figures.open_us),
        format!(
            "  memory       {} at the start, {} after {} calls, {} at most",
            mib(figures.memory_start_bytes),
            mib(figures.memory_end_bytes),
            grouped(figures.calls),
            mib(figures.memory_max_bytes)
        ),
    ];
    if figures.recycled + figures.replaced > 0 {
        lines.push(format!(
            "  instances    {} replaced because memory had grown, {} because they failed",
            figures.recycled, figures.replaced
        ));
    }
    let source = figures.input.as_ref().map_or_else(|| "made up".to_owned(), |it| it.display().to_string());
    lines.push(format!("  records      {source}; ns of CPU a record, best and median of {RUNS} runs\n"));
    let finish = figures.batches.iter().any(|it| it.finish_ns.is_some());
    lines.push(format!(
        "{:>9}{:>9}{:>12}{:>12}{}{:>10}{:>10}",
        "batch",
        "groups",
        "best",
        "median",
        if finish { "      window" } else { "" },
        "out",
        "refused"
    ));
    for batch in &figures.batches {
        let finish = batch.finish_ns.map_or_else(String::new, |it| format!("{it:>12.1}"));
        let groups = if figures.kind == "transform" { "-".to_owned() } else { batch.groups.to_string() };
        lines.push(format!(
            "{:>9}{groups:>9}{:>12.1}{:>12.1}{finish}{:>10}{:>10}",
            batch.rows, batch.best_ns, batch.median_ns, batch.rows_out, batch.rejects
        ));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_figures_stand_in_a_table() {
        let batch = |rows, best_ns| BatchFigures {
            rows,
            groups: rows.min(64),
            best_ns,
            median_ns: best_ns * 1.1,
            finish_ns: None,
            rows_out: rows / 2,
            rejects: 0,
        };
        let figures = Figures {
            file: "a.wasm".into(),
            name: "a".to_owned(),
            kind: "keyed",
            bytes: 31_204,
            compile_ms: 30.04,
            compile_cpu_ms: 45.0,
            instantiate_us: 9.2,
            open_us: 40.0,
            memory_start_bytes: 1_114_112,
            memory_end_bytes: 1_179_648,
            memory_max_bytes: 1_179_648,
            calls: 12_000,
            recycled: 0,
            replaced: 0,
            input: None,
            batches: vec![batch(1, 812.0), batch(1_024, 3.9)],
        };
        expect![[r#"
            a: a keyed plugin of 31,204 bytes
              compile      30.0 ms (45.0 ms of CPU)
              instantiate  9 us, describe and open 40 us
              memory       1.06 MiB at the start, 1.12 MiB after 12,000 calls, 1.12 MiB at most
              records      made up; ns of CPU a record, best and median of 7 runs

                batch   groups        best      median       out   refused
                    1        1       812.0       893.2         0         0
                 1024       64         3.9         4.3       512         0
        "#]]
        .assert_eq(&text(&figures));
    }
}
