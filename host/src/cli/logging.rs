//! Log lines on standard error, as text or JSON, which ones by `WASMILL_LOG`.

use super::arguments::LogFormat;
use super::live::LiveLine;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FromEnvError, LevelFilter};

/// Starts logging. With a live line on the terminal only warnings are written unless `WASMILL_LOG` says otherwise.
///
/// # Errors
/// When `WASMILL_LOG` is no filter.
pub(crate) fn start(format: LogFormat, line: &LiveLine, on_terminal: bool) -> Result<(), FromEnvError> {
    let level = if on_terminal { LevelFilter::WARN } else { LevelFilter::INFO };
    let filter = EnvFilter::builder().with_default_directive(level.into()).with_env_var("WASMILL_LOG").from_env()?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(line.clone()).with_ansi(on_terminal);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).init(),
    }
    Ok(())
}
