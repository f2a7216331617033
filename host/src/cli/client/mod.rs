//! The commands that talk to a daemon: what they have in common.

mod ask;
pub(crate) mod letters;
pub(crate) mod pipeline;
pub(crate) mod plugin;
mod server;
mod shadow;
mod table;
mod tls;
mod upgrade;
mod watch;

use super::exit::Exit;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;
use wasmill::daemon::Problem;

/// Which daemon, and how to say what it answers.
#[derive(Args, Clone, Debug)]
pub(crate) struct Client {
    /// The daemon's address
    #[arg(long, env = "WASMILL_SERVER", value_name = "URL", default_value = "http://127.0.0.1:7878")]
    server: String,

    /// A token of the daemon, where it wants one
    #[arg(long, env = "WASMILL_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// The authorities to believe about an https address, PEM [default: the system's]
    #[arg(long = "ca", env = "WASMILL_CA", value_name = "FILE.pem")]
    authorities: Option<PathBuf>,

    /// How to say it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// As the daemon gave it.
    Json,
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The daemon refused.
    #[error("{0}")]
    Refused(Problem),
    /// No daemon answered.
    #[error(
        "no daemon answers at {server}: {reason}; start one with `wasmill serve`, or name another with --server or WASMILL_SERVER"
    )]
    Unreachable {
        /// The address.
        server: String,
        /// Why not.
        reason: String,
    },
    /// Something of the user's is wrong.
    #[error("{0}")]
    Input(String),
    /// The answer makes no sense.
    #[error("{0}")]
    Answer(String),
    /// What was asked for was undone.
    #[error("{0}")]
    NotDone(String),
    /// The user said no.
    #[error("nothing was changed")]
    Declined,
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Failure::Refused(problem) if problem.status >= 500 => Exit::Internal,
            Failure::Refused(_) | Failure::Input(_) | Failure::NotDone(_) => Exit::Config,
            Failure::Unreachable { .. } => Exit::Unreachable,
            Failure::Answer(_) => Exit::Internal,
            Failure::Declined => Exit::Usage,
        }
    }
}

/// Prints what was answered, or what went wrong.
fn finish(result: Result<String, Failure>) -> Exit {
    match result {
        Ok(text) => {
            // A reader that has closed the pipe has read enough.
            let _ = io::stdout().write_all(text.as_bytes());
            Exit::Done
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            error.exit()
        }
    }
}

impl Client {
    /// `value` as was asked: JSON, or what `table` makes of it.
    fn say<T: Serialize>(&self, value: &T, table: impl FnOnce(&T) -> String) -> Result<String, Failure> {
        match self.output {
            Output::Table => Ok(table(value)),
            Output::Json => {
                let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Answer(error.to_string()))?;
                Ok(text + "\n")
            }
        }
    }
}
