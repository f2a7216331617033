//! `wasmill run`: the engine on a thread of its own, and here what a person or a supervisor sees of it.

use super::arguments;
use super::exit::Exit;
use super::live::LiveLine;
use super::logging;
use super::pages;
use super::report::{live_line, rate, summary, watermark};
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};
use wasmill::config::{self, Pipeline, SinkConnector};
use wasmill::metrics::{Progress, Summary};
use wasmill::pipeline::{self, Control, PipelineError, RunOptions};

/// How often the live line is drawn.
const REFRESH: Duration = Duration::from_millis(250);
/// How long an aborted engine has before the process ends without it.
const ABORT_WAIT_MAX: Duration = Duration::from_secs(2);

/// Runs the pipeline until it ends, fails or is told to stop.
pub(crate) fn run(options: &arguments::Run) -> Exit {
    let on_terminal = io::stderr().is_terminal() && options.log_format == arguments::LogFormat::Text;
    let line = LiveLine::default();
    if let Err(error) = logging::start(options.log_format, &line, on_terminal, None) {
        let _ = writeln!(
            io::stderr(),
            "WASMILL_LOG: {error}; expected a filter such as \"info\" or \"warn,wasmill=debug\""
        );
        return Exit::Usage;
    }
    pages::never_huge();
    let mut view = View { on_terminal, live: on_terminal, every: REFRESH, line };
    let pipeline = match config::load(&options.pipeline, &options.set.overrides) {
        Ok(pipeline) => pipeline,
        Err(errors) => {
            errors.iter().for_each(|it| view.error(&it.to_string()));
            return Exit::Config;
        }
    };
    // Results on the same terminal would run into the live line.
    view.live &= !(writes_to_stdout(&pipeline) && io::stdout().is_terminal());
    view.every = if view.live { REFRESH } else { options.progress_every };
    for warning in config::warnings(&pipeline) {
        tracing::warn!("{warning}");
    }
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map(|it| it.block_on(supervise(pipeline, options.options(cores), &view)));
    match outcome.unwrap_or_else(|error| Err(Stopped::Supervisor(error))) {
        Ok(()) => Exit::Done,
        Err(stopped) => {
            view.error(&stopped.to_string());
            stopped.exit()
        }
    }
}

fn writes_to_stdout(pipeline: &Pipeline) -> bool {
    pipeline.sinks.iter().chain(&pipeline.dead_letters).any(|it| it.connector == SinkConnector::Stdout)
}

/// Why a run ended before it was done.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("{0}")]
    Engine(PipelineError),
    #[error("the engine panicked; this is a bug, and the next run goes on from the last checkpoint")]
    Panicked,
    #[error("aborted by a second signal; the next run goes on from the last checkpoint")]
    Aborted,
    #[error("cannot watch over the engine: {0}")]
    Supervisor(#[source] io::Error),
}

impl Stopped {
    fn exit(&self) -> Exit {
        match self {
            Stopped::Engine(error) => error.failure().into(),
            Stopped::Panicked | Stopped::Supervisor(_) => Exit::Internal,
            Stopped::Aborted => Exit::Aborted,
        }
    }
}

/// What there is to react to.
enum Event {
    Ended(Result<Box<Summary>, Stopped>),
    Tick(Instant),
    Signal,
}

/// SIGINT and SIGTERM, which mean the same.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Starts the engine and stays until it has ended.
async fn supervise(pipeline: Pipeline, options: RunOptions, view: &View) -> Result<(), Stopped> {
    let name = pipeline.name.clone();
    let control = Control::new();
    // Before the engine: a signal from now on stops it gracefully rather than killing the process.
    let mut signals = Signals::new().map_err(Stopped::Supervisor)?;
    let mut ended = start(pipeline, options, Arc::clone(&control)).map_err(Stopped::Supervisor)?;
    let mut ticks = tokio::time::interval(view.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = (ticks.tick().await, control.progress()); // The first tick is at once.
    let mut stopping = false;
    loop {
        let event = tokio::select! {
            result = &mut ended => Event::Ended(match result {
                Ok(Ok(summary)) => Ok(Box::new(summary)),
                Ok(Err(error)) => Err(Stopped::Engine(error)),
                Err(_) => Err(Stopped::Panicked),
            }),
            () = signals.next() => Event::Signal,
            now = ticks.tick() => Event::Tick(now),
        };
        match event {
            Event::Ended(result) => {
                view.line.clear();
                view.summary(&name, &*result?);
                return Ok(());
            }
            Event::Tick(now) => {
                let progress = control.progress();
                view.progress(&name, &last.1, &progress, now.duration_since(last.0), stopping);
                last = (now, progress);
            }
            Event::Signal if stopping => {
                control.abort();
                // It may be stuck in a call; its work since the last checkpoint is undone by not being committed.
                let _ = tokio::time::timeout(ABORT_WAIT_MAX, &mut ended).await;
                view.line.clear();
                return Err(Stopped::Aborted);
            }
            Event::Signal => {
                stopping = true;
                view.note("stopping: last checkpoint, then commit; a second signal aborts");
                control.stop();
            }
        }
    }
}

/// Runs the engine on a thread of its own. The receiver hears how it ended, or that the thread panicked.
fn start(
    pipeline: Pipeline,
    options: RunOptions,
    control: Arc<Control>,
) -> io::Result<oneshot::Receiver<Result<Summary, PipelineError>>> {
    let (tell, ended) = oneshot::channel();
    std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
        // Nobody listens any more only after an abort.
        let _ = tell.send(pipeline::run(pipeline, options, control));
    })?;
    Ok(ended)
}

/// How a run is shown: to a person on a terminal, or in log lines.
struct View {
    on_terminal: bool,
    /// Whether progress is drawn on the terminal.
    live: bool,
    /// How often it is told.
    every: Duration,
    line: LiveLine,
}

impl View {
    /// A failure, as the last word.
    fn error(&self, message: &str) {
        if self.on_terminal {
            let _ = self.line.print_above(format!("{message}\n").as_bytes());
        } else {
            tracing::error!("{message}");
        }
    }

    /// What a person should know now. The live line says it itself.
    fn note(&self, message: &str) {
        if self.on_terminal && !self.live {
            let _ = self.line.print_above(format!("{message}\n").as_bytes());
        } else {
            tracing::info!("{message}");
        }
    }

    fn progress(&self, name: &str, before: &Progress, now: &Progress, over: Duration, stopping: bool) {
        if self.live {
            let mut line = live_line(name, before, now, over);
            if stopping {
                line.push_str("  stopping, Ctrl-C again aborts");
            }
            return self.line.show(line);
        }
        tracing::info!(
            pipeline = name,
            records_in = now.records_in,
            records_out = now.records_out,
            records_in_per_second = rate(now.records_in.saturating_sub(before.records_in), over),
            records_out_per_second = rate(now.records_out.saturating_sub(before.records_out), over),
            lag = now.lag,
            watermark = watermark(now.watermark),
            epoch = now.epoch,
            checkpoint_ms = now.checkpoint_ms,
            checkpoint_age_ms = now.checkpoint_age_ms,
            late = now.late,
            dead_letters = now.dead_letters,
            dropped = now.dropped,
            filtered = now.filtered,
            state_keys = now.state_keys,
            status = now.status.as_deref(),
            "progress"
        );
    }

    fn summary(&self, name: &str, done: &Summary) {
        if self.on_terminal {
            let _ = self.line.print_above(summary(name, done).as_bytes());
            return;
        }
        let list = |pairs: Vec<String>| pairs.join(" ");
        tracing::info!(
            pipeline = name,
            elapsed_ms = done.elapsed.as_millis() as u64,
            records_in = done.progress.records_in,
            records_out = done.progress.records_out,
            late = done.progress.late,
            dead_letters = done.progress.dead_letters,
            dropped = done.progress.dropped,
            filtered = done.progress.filtered,
            state_keys = done.progress.state_keys,
            epoch = done.progress.epoch,
            commits = done.progress.commits.count(),
            commit_ms_p50 = done.progress.commits.within_ms(50),
            commit_ms_p99 = done.progress.commits.within_ms(99),
            steps = list(done.per_step.iter().map(|(step, read, made)| format!("{step}={read}>{made}")).collect()),
            sinks = list(done.per_sink.iter().map(|(sink, records)| format!("{sink}={records}")).collect()),
            "{}",
            done.reason
        );
    }
}
