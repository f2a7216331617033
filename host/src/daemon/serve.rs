//! The life of a daemon: start, signals, end.

use super::Daemon;
use super::catalog::Catalog;
use super::disk::{self, Layout, Lock};
use super::http::{self, Tokens};
use super::logs::Logs;
use super::notify::Notify;
use super::pipelines::{self, Pipelines};
use super::settings::{Overrides, Settings, SettingsError};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;

/// Threads of the control plane.
const CONTROL_THREADS: usize = 2;
/// How often the daemon looks after itself.
const TICK: Duration = Duration::from_secs(1);
/// How long aborted pipelines have before the process ends without them.
const ABORT_WAIT_MAX: Duration = Duration::from_secs(2);

/// How a daemon is started.
#[derive(Clone, Debug, Default)]
pub struct Serve {
    /// `wasmill.toml`; none for the defaults.
    pub config: Option<PathBuf>,
    /// What the command line says over the file.
    pub overrides: Overrides,
    /// Where to write the address that is listened on, once it is.
    pub address_file: Option<PathBuf>,
    /// The lines of the pipelines, of which the process's subscriber has the layer.
    pub logs: Arc<Logs>,
    /// Listen beyond this machine without tokens or without TLS.
    pub insecure: bool,
}

/// How a daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every pipeline took its last checkpoint.
    Done,
    /// Some did not in time; what they had not committed is read again.
    Overdue,
    /// A second signal; as above.
    Aborted,
}

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its configuration is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Whoever reaches the address could do everything.
    #[error(
        "listen = \"{listen}\" is not of this machine alone, and {missing}: whoever reaches it could do everything; set it, listen on \
         127.0.0.1, or say --insecure"
    )]
    Exposed {
        /// The address.
        listen: SocketAddr,
        /// What is missing.
        missing: &'static str,
    },
    /// The certificate or the key cannot be read.
    #[error("tls: {0}")]
    Tls(String),
    /// The tokens cannot be read.
    #[error("auth.tokens: {0}")]
    Tokens(String),
    /// What is new in the configuration does not go with what runs.
    #[error("{0}")]
    Reload(String),
    /// Another daemon holds the data directory.
    #[error("{0}")]
    Held(io::Error),
    /// The data directory, the address or the machine refuses.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why not.
        source: io::Error,
    },
}

fn failed(doing: impl Into<String>) -> impl FnOnce(io::Error) -> ServeError {
    let doing = doing.into();
    move |source| ServeError::Io { doing, source }
}

/// Runs a daemon until it is told to stop. Blocks.
///
/// # Errors
/// It does not start; nothing was changed then.
pub fn serve(options: &Serve, settings: Settings) -> Result<Ended, ServeError> {
    check_exposure(&settings, options.insecure)?;
    let tokens = read_tokens(&settings)?;
    let tls = settings.tls.as_ref().map(http::acceptor).transpose().map_err(ServeError::Tls)?;
    let lock = disk::lock(&settings.data_dir, &settings.listen.to_string()).map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => ServeError::Held(error),
        _ => failed("take the data directory")(error),
    })?;
    let daemon = open(settings, tokens, Arc::clone(&options.logs)).map_err(failed("read the data directory"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(failed("start the control threads"))?;
    let ended = runtime.block_on(run(options, tls, &lock, &daemon));
    runtime.shutdown_timeout(ABORT_WAIT_MAX);
    drop(lock);
    ended
}

fn check_exposure(settings: &Settings, insecure: bool) -> Result<(), ServeError> {
    let missing = match (&settings.tokens, &settings.tls) {
        (None, _) => "auth.tokens is not set",
        (_, None) => "tls is not set",
        (Some(_), Some(_)) => return Ok(()),
    };
    if settings.listen.ip().is_loopback() || insecure {
        return Ok(());
    }
    Err(ServeError::Exposed { listen: settings.listen, missing })
}

fn read_tokens(settings: &Settings) -> Result<Option<Arc<Tokens>>, ServeError> {
    let tokens = settings.tokens.as_deref().map(Tokens::read).transpose().map_err(ServeError::Tokens)?;
    Ok(tokens.map(Arc::new))
}

fn open(settings: Settings, tokens: Option<Arc<Tokens>>, logs: Arc<Logs>) -> io::Result<Arc<Daemon>> {
    let settings = Arc::new(settings);
    let layout = Layout::open(&settings.data_dir)?;
    let catalog = Arc::new(Catalog::open(&layout, &settings.limits, &pipelines::pinned(&layout)?)?);
    let pipelines = Pipelines::open(&layout, Arc::clone(&catalog), Arc::clone(&settings))?;
    Ok(Arc::new(Daemon {
        settings: RwLock::new(settings),
        tokens: RwLock::new(tokens),
        catalog,
        pipelines,
        logs,
        uploads: Mutex::default(),
        started: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
    }))
}

/// The signals that ask for the end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn run(
    options: &Serve,
    tls: Option<TlsAcceptor>,
    lock: &Lock,
    daemon: &Arc<Daemon>,
) -> Result<Ended, ServeError> {
    // First of all: a signal from now on ends the daemon in good order.
    let mut signals = Signals::new().map_err(failed("listen to signals"))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed("listen to signals"))?;
    let settings = daemon.settings();
    let listener = TcpListener::bind(settings.listen).await;
    let listener = listener.map_err(failed(format!("listen on {}", settings.listen)))?;
    let address = listener.local_addr().map_err(failed("find out the address"))?;
    lock.note(&address.to_string());
    let router = http::router(Arc::clone(daemon));
    let accepting = tokio::spawn(http::accept(listener, tls, router, settings.limits.connections_max));
    start_pipelines(daemon).await;
    let notify = Notify::from_environment();
    notify.ready(&status(daemon));
    tracing::info!(%address, data_dir = %settings.data_dir.display(), "listening");
    if let Some(path) = &options.address_file {
        let line = format!("{address}\n");
        disk::write_atomically(path, line.as_bytes()).map_err(failed("write the address down"))?;
    }
    let mut ticks = tokio::time::interval(notify.watchdog_every().map_or(TICK, |it| it.min(TICK)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = signals.end() => break,
            _ = hangup.recv() => reload(options, daemon, &notify).await,
            _ = ticks.tick() => look_after(daemon, &notify).await,
        }
    }
    notify.stopping();
    let ended = stop(daemon, &mut signals, settings.stop_within).await;
    accepting.abort();
    Ok(ended)
}

async fn start_pipelines(daemon: &Arc<Daemon>) {
    let starting = Arc::clone(daemon);
    let started = tokio::task::spawn_blocking(move || starting.pipelines.start_all()).await;
    if let Err(error) = started {
        tracing::error!("starting the pipelines failed: {error}");
    }
    daemon.started.store(true, Relaxed);
}

fn status(daemon: &Daemon) -> String {
    format!("{} plugin versions, {} pipelines", daemon.catalog.len(), daemon.pipelines.list().len())
}

/// What has to be done now and then; it done, the daemon is alive.
async fn look_after(daemon: &Arc<Daemon>, notify: &Notify) {
    let settling = Arc::clone(daemon);
    if tokio::task::spawn_blocking(move || settling.pipelines.settle()).await.is_ok() {
        notify.alive();
    }
}

/// Reads the configuration again. On an error the old one stays, and the error is said.
async fn reload(options: &Serve, daemon: &Arc<Daemon>, notify: &Notify) {
    notify.reloading();
    let (reading, options) = (Arc::clone(daemon), options.clone());
    let read = tokio::task::spawn_blocking(move || read_again(&options, &reading)).await;
    match read.unwrap_or_else(|error| Err(ServeError::Reload(error.to_string()))) {
        Ok(()) => {
            tracing::info!("reloaded the configuration");
            notify.ready(&status(daemon));
        }
        Err(error) => {
            tracing::error!("not reloaded, the old configuration stays: {error}");
            let line = error.to_string().lines().next().unwrap_or_default().to_owned();
            notify.ready(&format!("not reloaded, the old configuration stays: {line}"));
        }
    }
}

fn read_again(options: &Serve, daemon: &Daemon) -> Result<(), ServeError> {
    let new = Settings::load(options.config.as_deref(), &options.overrides)?;
    check_exposure(&new, options.insecure)?;
    let fixed = daemon.settings().fixed_differences(&new);
    if !fixed.is_empty() {
        return Err(ServeError::Reload(format!(
            "{} can change only when the daemon is started again",
            fixed.join(", ")
        )));
    }
    let tokens = read_tokens(&new)?;
    daemon.reload(Arc::new(new), tokens).map_err(ServeError::Reload)
}

/// Lets every pipeline take its last checkpoint. A second signal, or the time being over, aborts.
async fn stop(daemon: &Arc<Daemon>, signals: &mut Signals, within: Duration) -> Ended {
    daemon.stopping.store(true, Relaxed);
    tracing::info!("stopping: last checkpoints, then commit; a second signal aborts");
    let stopping = Arc::clone(daemon);
    let stopped: JoinHandle<bool> = tokio::task::spawn_blocking(move || stopping.pipelines.stop_all(within));
    let ended = tokio::select! {
        done = stopped => if matches!(done, Ok(true)) { Ended::Done } else { Ended::Overdue },
        () = signals.end() => Ended::Aborted,
    };
    if ended == Ended::Done {
        tracing::info!("stopped: everything is committed");
        return ended;
    }
    tracing::error!("aborting: what is not committed is read again after the next start");
    let aborting = Arc::clone(daemon);
    let _ = tokio::task::spawn_blocking(move || aborting.pipelines.abort_all(ABORT_WAIT_MAX)).await;
    ended
}
