//! `wasmill serve`: the daemon in the foreground, as a supervisor wants it; and the child of it that looks at a component.

use super::arguments::LogFormat;
use super::exit::Exit;
use super::live::LiveLine;
use super::logging;
use super::pages;
use clap::Args;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use wasmill::daemon::{self, Ended, Examination, Logs, Overrides, ServeError, Settings};

/// `wasmill serve`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill serve                                   on 127.0.0.1:7878, with its data in ./wasmill-data
  wasmill serve --config /etc/wasmill/wasmill.toml
  wasmill serve --listen 127.0.0.1:0 --address-file address

Signals:
  SIGTERM, SIGINT  every pipeline takes a last checkpoint and commits; a second one aborts
  SIGHUP           the configuration is read again; on an error the old one stays")]
pub(crate) struct Serve {
    /// The daemon's configuration; every key in it has a default
    #[arg(long, value_name = "wasmill.toml")]
    config: Option<PathBuf>,

    /// Where to take requests, whatever the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    /// Where plugins, pipelines and their state are kept, whatever the configuration says
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Write the address to this file once requests are taken: with port 0 nobody else knows it
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,

    /// Listen beyond this machine although there are no tokens or no TLS
    #[arg(long)]
    insecure: bool,
}

/// The hidden command of the child.
#[derive(Args, Debug)]
pub(crate) struct Examine {
    file: PathBuf,
    #[arg(long)]
    label: String,
    #[arg(long)]
    cache_dir: PathBuf,
    #[arg(long)]
    cpu_s: u64,
    #[arg(long)]
    bytes_max: u64,
}

/// Runs the daemon until it is told to stop.
pub(crate) fn serve(arguments: &Serve) -> Exit {
    let overrides = Overrides { listen: arguments.listen, data_dir: arguments.data_dir.clone() };
    let settings = match Settings::load(arguments.config.as_deref(), &overrides) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error.to_string(), Exit::Config),
    };
    let format = if settings.log_json { LogFormat::Json } else { LogFormat::Text };
    let logs = Arc::new(Logs::default());
    if let Err(error) = logging::start(format, &LiveLine::default(), false, Some(logs.layer())) {
        return refuse(&format!("WASMILL_LOG: {error}"), Exit::Usage);
    }
    pages::never_huge();
    let options = daemon::Serve {
        config: arguments.config.clone(),
        overrides,
        address_file: arguments.address_file.clone(),
        insecure: arguments.insecure,
        logs,
    };
    match daemon::serve(&options, settings) {
        Ok(Ended::Done) => Exit::Done,
        Ok(Ended::Overdue) => Exit::Internal,
        Ok(Ended::Aborted) => Exit::Aborted,
        Err(error) => {
            let exit = match error {
                ServeError::Settings(_) | ServeError::Exposed { .. } | ServeError::Tls(_) | ServeError::Tokens(_) => {
                    Exit::Config
                }
                ServeError::Held(_) | ServeError::Reload(_) | ServeError::Io { .. } => Exit::Internal,
            };
            tracing::error!("{error}");
            exit
        }
    }
}

fn refuse(message: &str, exit: Exit) -> Exit {
    let _ = writeln!(io::stderr(), "{message}");
    exit
}

/// Looks at a component within limits, and prints what was found.
pub(crate) fn examine(arguments: &Examine) -> Exit {
    let examination = Examination {
        file: arguments.file.clone(),
        label: arguments.label.clone(),
        cache_dir: arguments.cache_dir.clone(),
        cpu_s: arguments.cpu_s,
        bytes_max: arguments.bytes_max,
    };
    let report = daemon::examine_here(&examination);
    match writeln!(io::stdout(), "{report}") {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Internal,
    }
}
