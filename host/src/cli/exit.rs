//! What the process answers to the one that started it.

use std::process::ExitCode;
use wasmill::pipeline::Failure;

/// Exit codes, after `sysexits.h` where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All was done, or stopped and committed.
    Done,
    /// Some cases of a plugin's test failed.
    Failed,
    /// The command line is wrong.
    Usage,
    /// A record cannot be processed, and `bad_records` is `stop`.
    BadData,
    /// A broker cannot be reached within `wait`.
    Unreachable,
    /// A bug, a full disk: what the user's files do not explain.
    Internal,
    /// The pipeline file or a plugin is wrong.
    Config,
    /// Two signals: what was in flight is undone and read again by the next run.
    Aborted,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 64,
            Exit::BadData => 65,
            Exit::Unreachable => 69,
            Exit::Internal => 70,
            Exit::Config => 78,
            Exit::Aborted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

impl From<Failure> for Exit {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Config => Exit::Config,
            Failure::BadData => Exit::BadData,
            Failure::Unreachable => Exit::Unreachable,
            Failure::Internal => Exit::Internal,
        }
    }
}
