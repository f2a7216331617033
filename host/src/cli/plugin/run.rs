//! `wasmill plugin run`: a component over a file, once.

use super::build::Format;
use super::records::{ReadError, Records};
use super::stop::Stop;
use super::subject::{self, Config, Limits};
use crate::cli::arguments::LogFormat;
use crate::cli::exit::Exit;
use crate::cli::live::LiveLine;
use crate::cli::logging;
use crate::cli::report::{counted, grouped, lasting};
use clap::Args;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmill::config::{Window, duration_ms};
use wasmill::pipeline::trial::{Made, Place, Trial, TrialOptions, time_format};
use wasmill::plugin::Plugin;
use wasmill::watermark::WATERMARK_END;

/// Refused records that are shown on standard error.
const SHOWN_MAX: u64 = 100;

/// `wasmill plugin run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill plugin run build/big-spender.wasm --input records.jsonl
  tail -f records.jsonl | wasmill plugin run build/big-spender.wasm --input - --port alerts
  wasmill plugin run build/silence.wasm --input records.jsonl --key user --time at --delay 5s
  wasmill plugin run build/takings.wasm --input records.jsonl --key shop --time at --window 5m --rejects bad.jsonl

A window is a size (5m: one after the other), a size and a step (10m/1m: they overlap) or a silence that ends it (session/30s).")]
pub(crate) struct Run {
    /// The component, or the folder of a project that was built
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,

    /// The records, one JSON object a line; - is standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,

    /// The plugin's config: a JSON object, or @FILE.json or @FILE.toml
    #[arg(long, value_name = "JSON", value_parser = subject::config)]
    config: Option<Config>,

    /// The field whose value is the record's key; several make one key: a,b
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    key: Vec<String>,

    /// The field with the event time, in milliseconds or as RFC 3339
    #[arg(long, value_name = "FIELD")]
    time: Option<String>,

    /// How far records may be out of order
    #[arg(long, value_name = "DURATION", value_parser = duration_ms, default_value = "0s")]
    delay: u64,

    /// The windows of an aggregate plugin: 5m, 10m/1m or session/30s
    #[arg(long, value_name = "WINDOW", value_parser = window)]
    window: Option<Window>,

    /// Records handed over in one call, at most
    #[arg(long, value_name = "N", default_value = "1024")]
    batch: NonZeroUsize,

    /// Write only what comes out of this port; may be repeated [default: all ports]
    #[arg(long, value_name = "NAME")]
    port: Vec<String>,

    /// Where the records that come out go [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Where refused records go, as dead letters [default: the first 100, with why, to standard error]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    #[command(flatten)]
    limits: Limits,

    /// How the summary is written to standard error
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// Reads `5m`, `10m/1m` or `session/30s`.
fn window(text: &str) -> Result<Window, String> {
    let ms = |text: &str| match duration_ms(text)? {
        0 => Err("a duration longer than nothing".to_owned()),
        ms => i64::try_from(ms).map_err(|_| "a shorter duration".to_owned()),
    };
    match text.split_once('/') {
        None => Ok(Window::Tumbling { size_ms: ms(text)?, offset_ms: 0 }),
        Some(("session", gap)) => Ok(Window::session(ms(gap)?)),
        Some((size, slide)) => {
            let (size_ms, slide_ms) = (ms(size)?, ms(slide)?);
            if slide_ms > size_ms {
                return Err(format!("the step {slide} is longer than the window {size}: records would be in none"));
            }
            Ok(Window::Hopping { size_ms, slide_ms, offset_ms: 0 })
        }
    }
}

/// What a run came to.
#[derive(Debug, Default, Serialize)]
struct Summary {
    plugin: String,
    records: u64,
    ports: Vec<PortSummary>,
    rejects: u64,
    seconds: f64,
    /// Time in calls of the plugin, for each record.
    call_ns_per_record: f64,
    /// The largest linear memory of an instance.
    memory_bytes_max: usize,
    /// Instances replaced because their memory had grown.
    recycled: u64,
    /// Instances replaced because they had failed.
    replaced: u64,
    /// Keys left in state.
    state_keys: u64,
    counters: std::collections::BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct PortSummary {
    name: String,
    rows: u64,
    written: bool,
}

/// Runs the component over the input.
pub(crate) fn run(options: &Run) -> Exit {
    if let Err(error) = logging::start(LogFormat::Text, &LiveLine::default(), false, None) {
        return Stop::usage(format!("WASMILL_LOG: {error}")).report();
    }
    let outcome = start(options).and_then(|mut run| {
        let done = run.records();
        // What was made before it stopped counts too.
        run.out.flush().map_err(|error| written(&options.out, &error)).and(done)?;
        Ok(run.summary())
    });
    match outcome {
        Ok(summary) => {
            let text = match options.output {
                Format::Json => serde_json::to_string(&summary).unwrap_or_default() + "\n",
                Format::Text => text(&summary),
            };
            let _ = io::stderr().write_all(text.as_bytes());
            Exit::Done
        }
        // Whoever reads has read enough.
        Err(stop) if stop.message.is_empty() => Exit::Done,
        Err(stop) => stop.report(),
    }
}

/// A run under way.
struct Running<'a> {
    options: &'a Run,
    plugin: Plugin,
    trial: Option<Trial>,
    trial_options: TrialOptions,
    input: Records<Box<dyn Read>>,
    out: Box<dyn Write>,
    rejects: Option<BufWriter<File>>,
    summary: Summary,
    started: Instant,
}

#[expect(clippy::disallowed_methods, reason = "how long it took is told to a person")]
fn start(options: &Run) -> Result<Running<'_>, Stop> {
    let file = subject::component(&options.file)?;
    let input: Box<dyn Read> = match options.input.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(
            File::open(&options.input)
                .map_err(|error| Stop::usage(format!("--input {}: {error}", options.input.display())))?,
        ),
    };
    let plugin = Plugin::load(&subject::engine()?, &file).map_err(|error| Stop::wrong(error.to_string()))?;
    let create = |path: &Path| {
        File::create(path).map(BufWriter::new).map_err(|error| Stop::usage(format!("{}: {error}", path.display())))
    };
    let out: Box<dyn Write> = match &options.out {
        Some(path) => Box::new(create(path)?),
        None => Box::new(BufWriter::with_capacity(256 << 10, io::stdout())),
    };
    let trial_options = TrialOptions {
        config: subject::config_or_empty(options.config.as_ref()),
        limits: options.limits.limits(),
        key: options.key.iter().map(|it| Arc::from(it.as_str())).collect(),
        time: None,
        delay_ms: Some(i64::try_from(options.delay).unwrap_or(i64::MAX)),
        window: options.window.clone(),
        topic: options.input.display().to_string(),
    };
    Ok(Running {
        plugin,
        trial: None,
        trial_options,
        input: Records::new(input, options.batch.get()),
        out,
        rejects: options.rejects.as_deref().map(create).transpose()?,
        summary: Summary::default(),
        started: Instant::now(),
        options,
    })
}

impl Running<'_> {
    /// All records, then the end of time.
    fn records(&mut self) -> Result<(), Stop> {
        while let Some(raw) = self.input.next().map_err(|error| self.unreadable(&error))? {
            if self.trial.is_none() {
                self.begin(raw.rows.value(0).unwrap_or_default())?;
            }
            let Some(trial) = &mut self.trial else { break };
            self.summary.records += raw.offsets.len() as u64;
            let made = trial.process(raw)?;
            self.take(&made)?;
        }
        if self.trial.is_none() {
            self.begin(b"")?; // Without a record, a wrong config is still one.
        }
        let Some(trial) = &mut self.trial else { return Ok(()) };
        let made = trial.advance(WATERMARK_END)?;
        self.take(&made)?;
        if let Some(rejects) = &mut self.rejects {
            rejects.flush().map_err(|error| written(&self.options.rejects, &error))?;
        }
        Ok(())
    }

    fn unreadable(&self, error: &ReadError) -> Stop {
        Stop::wrong(format!("{}: {error}", self.options.input.display()))
    }

    /// Starts the plugin: how event time is written shows in the first record.
    fn begin(&mut self, record: &[u8]) -> Result<(), Stop> {
        let mut options = self.trial_options.clone();
        options.time = self.options.time.as_ref().map(|it| (Arc::from(it.as_str()), time_format(record, it)));
        let trial = Trial::start(&self.plugin, &options)?;
        let opened = trial.opened();
        let wanted = &self.options.port;
        if let Some(unknown) = wanted.iter().find(|it| !opened.spec.ports.iter().any(|port| port.name == **it)) {
            let names: Vec<_> = opened.spec.ports.iter().map(|it| it.name.as_str()).collect();
            return Err(Stop::usage(format!("--port {unknown}: the plugin has the ports {}", names.join(", "))));
        }
        let port = |name: &String| PortSummary {
            name: name.clone(),
            rows: 0,
            written: wanted.is_empty() || wanted.contains(name),
        };
        self.summary.ports = opened.spec.ports.iter().map(|it| port(&it.name)).collect();
        self.summary.plugin = opened.info.name.clone();
        self.trial = Some(trial);
        Ok(())
    }

    /// Writes what came out of a call.
    fn take(&mut self, made: &Made) -> Result<(), Stop> {
        let failed = |error: &io::Error| written(&self.options.out, error);
        for (port, value) in made.values() {
            let Some(port) = self.summary.ports.get_mut(port) else { continue };
            port.rows += 1;
            if port.written {
                let line = value.unwrap_or(b"null");
                self.out.write_all(line).and_then(|()| self.out.write_all(b"\n")).map_err(|it| failed(&it))?;
            }
        }
        // Whoever looks at a slow input sees what came of it.
        self.out.flush().map_err(|it| failed(&it))?;
        self.refuse(made)
    }

    fn refuse(&mut self, made: &Made) -> Result<(), Stop> {
        if let Some(file) = &mut self.rejects {
            let letters = made.letters(&self.trial_options.topic);
            self.summary.rejects += letters.records.len() as u64;
            for row in 0..letters.records.len() {
                let letter = letters.value(row).unwrap_or(b"null");
                file.write_all(letter)
                    .and_then(|()| file.write_all(b"\n"))
                    .map_err(|error| written(&self.options.rejects, &error))?;
            }
            return Ok(());
        }
        let mut stderr = io::stderr().lock();
        for (place, reason) in made.rejects() {
            self.summary.rejects += 1;
            let _ = match (self.summary.rejects, place) {
                (..=SHOWN_MAX, Place::Record(line)) => writeln!(stderr, "line {line}: {reason}"),
                (..=SHOWN_MAX, Place::Key(key)) => writeln!(stderr, "key {key}: {reason}"),
                (it, _) if it == SHOWN_MAX + 1 => writeln!(stderr, "and more; --rejects FILE keeps them all"),
                _ => Ok(()),
            };
        }
        Ok(())
    }

    fn summary(mut self) -> Summary {
        if let Some(trial) = &mut self.trial {
            let vitals = trial.vitals();
            self.summary.memory_bytes_max = vitals.memory_bytes_max;
            self.summary.recycled = vitals.recycled;
            self.summary.replaced = vitals.replaced;
            self.summary.call_ns_per_record = vitals.busy.as_secs_f64() * 1e9 / self.summary.records.max(1) as f64;
            self.summary.state_keys = trial.keys();
            self.summary.counters = trial.counters();
        }
        self.summary.seconds = self.started.elapsed().as_secs_f64();
        self.summary
    }
}

/// Output that cannot be written; silent where nobody reads it any more.
fn written(path: &Option<PathBuf>, error: &io::Error) -> Stop {
    match (error.kind(), path) {
        (ErrorKind::BrokenPipe, None) => Stop::internal(""),
        (_, Some(path)) => Stop::internal(format!("{} cannot be written: {error}", path.display())),
        (_, None) => Stop::internal(format!("standard output cannot be written: {error}")),
    }
}

/// The summary for a person.
fn text(summary: &Summary) -> String {
    let elapsed = lasting(Duration::from_secs_f64(summary.seconds));
    let mut lines = vec![format!("{}: {} in {elapsed}", summary.plugin, counted(summary.records, "record"))];
    let mut line = |what: &str, number: String, meaning: &str| {
        lines.push(format!("  {what:<12}{number:>14}  {meaning}").trim_end().to_owned());
    };
    for port in &summary.ports {
        let meaning = if port.written { "rows" } else { "rows, not written" };
        line(&format!("port {}", port.name), grouped(port.rows), meaning);
    }
    line("refused", grouped(summary.rejects), "records");
    line("call", format!("{:.1}", summary.call_ns_per_record), "ns a record, in the plugin");
    line(
        "memory",
        format!("{:.2}", summary.memory_bytes_max as f64 / f64::from(1 << 20)),
        "MiB at most, of an instance",
    );
    let mut rest = |count: u64, what: &str, meaning: &str| {
        if count > 0 {
            line(what, grouped(count), meaning);
        }
    };
    rest(summary.recycled, "recycled", "instances replaced because their memory had grown");
    rest(summary.replaced, "replaced", "instances replaced because they had failed");
    rest(summary.state_keys, "state", "keys were left");
    for (name, count) in &summary.counters {
        rest(*count, name, "counted by the plugin");
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_window_is_a_size_a_size_and_a_step_or_a_silence() {
        let minute = 60_000;
        assert_eq!(window("5m"), Ok(Window::Tumbling { size_ms: 5 * minute, offset_ms: 0 }));
        assert_eq!(window("10m/1m"), Ok(Window::Hopping { size_ms: 10 * minute, slide_ms: minute, offset_ms: 0 }));
        assert_eq!(window("session/30s"), Ok(Window::session(30_000)));
        for wrong in ["", "5", "0s", "1m/10m", "session/", "rolling/5m"] {
            assert!(window(wrong).is_err(), "{wrong:?} is no window");
        }
    }

    #[test]
    fn the_summary_says_what_became_of_the_records_and_what_it_cost() {
        let port = |name: &str, rows, written| PortSummary { name: name.to_owned(), rows, written };
        let summary = Summary {
            plugin: "rules".to_owned(),
            records: 100_000,
            ports: vec![port("out", 812, true), port("audit", 3, false)],
            rejects: 2,
            seconds: 1.25,
            call_ns_per_record: 41.26,
            memory_bytes_max: 1_114_112,
            counters: [("seen".to_owned(), 7)].into(),
            ..Summary::default()
        };
        expect![[r#"
            rules: 100,000 records in 1.2 s
              port out               812  rows
              port audit               3  rows, not written
              refused                  2  records
              call                  41.3  ns a record, in the plugin
              memory                1.06  MiB at most, of an instance
              seen                     7  counted by the plugin
        "#]]
        .assert_eq(&text(&summary));
    }
}
