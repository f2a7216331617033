//! Why a command ends before it is done, in words and as an exit code.

use crate::cli::exit::Exit;
use std::io::Write;
use wasmill::pipeline::PipelineError;
use wasmill::pipeline::trial::{Need, TrialError};
use wasmill::plugin::{Blame, PluginError};

/// The end of a command.
#[derive(Debug)]
pub(crate) struct Stop {
    /// What the process answers.
    pub(crate) exit: Exit,
    /// What was found, what was expected, what to do.
    pub(crate) message: String,
}

impl Stop {
    /// A file of the user, or the way in which it is used, is wrong.
    pub(crate) fn wrong(message: impl Into<String>) -> Stop {
        Stop { exit: Exit::Config, message: message.into() }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Stop {
        Stop { exit: Exit::Usage, message: message.into() }
    }

    /// The machine is in the way.
    pub(crate) fn internal(message: impl Into<String>) -> Stop {
        Stop { exit: Exit::Internal, message: message.into() }
    }

    /// Says it on standard error.
    pub(crate) fn report(self) -> Exit {
        // Nowhere to report a terminal that is gone.
        let _ = writeln!(std::io::stderr(), "error: {}", self.message);
        self.exit
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Stop::wrong(format!("{error:#}"))
    }
}

impl From<PluginError> for Stop {
    fn from(error: PluginError) -> Self {
        let exit = match error.blame() {
            Blame::Configuration => Exit::Config,
            Blame::Plugin | Blame::Host => Exit::Internal,
        };
        Stop { exit, message: error.to_string() }
    }
}

impl From<PipelineError> for Stop {
    fn from(error: PipelineError) -> Self {
        Stop { exit: error.failure().into(), message: error.to_string() }
    }
}

/// What is missing is named by the flag that gives it.
impl From<TrialError> for Stop {
    fn from(error: TrialError) -> Self {
        let flag = match &error {
            TrialError::Needs(Need::Key) => "--key FIELD",
            TrialError::Needs(Need::Time) => "--time FIELD",
            TrialError::Needs(Need::Window) => "--window 5m, with --time FIELD",
            TrialError::Plugin(_) | TrialError::Step(_) => "",
        };
        match error {
            TrialError::Needs(_) => Stop::usage(format!("{error}; give {flag}")),
            TrialError::Plugin(error) => error.into(),
            TrialError::Step(error) => error.into(),
        }
    }
}
