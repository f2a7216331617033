//! Log lines on standard error, as text or JSON, which ones by `WASMILL_LOG`.

use super::arguments::LogFormat;
use super::live::LiveLine;
use tracing_subscriber::filter::{FromEnvError, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use wasmill::daemon::LogLayer;

/// Starts logging. With a live line on the terminal only warnings are written unless `WASMILL_LOG` says otherwise. A daemon's own `logs` have every line
/// that is at least an information, whatever `WASMILL_LOG` says.
///
/// # Errors
/// When `WASMILL_LOG` is no filter.
pub(crate) fn start(
    format: LogFormat,
    line: &LiveLine,
    on_terminal: bool,
    logs: Option<LogLayer>,
) -> Result<(), FromEnvError> {
    let level = if on_terminal { LevelFilter::WARN } else { LevelFilter::INFO };
    let filter = EnvFilter::builder().with_default_directive(level.into()).with_env_var("WASMILL_LOG").from_env()?;
    let lines = tracing_subscriber::fmt::layer().with_writer(line.clone()).with_ansi(on_terminal);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).boxed(),
    };
    let logs = logs.map(|it| it.with_filter(LevelFilter::INFO));
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(logs).init();
    Ok(())
}
